package guard_test

import (
	"slices"
	"strings"
	"testing"

	"respect/guard/plan"
)

// TestIndexesAreNamed: the first line of a question says which indexes are built or dropped.
func TestIndexesAreNamed(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	for _, c := range []struct{ cmd, want string }{
		{`{"createIndexes": "pets", "indexes": [{"key": {"name": 1}, "name": "p", "unique": true}]}`, "builds unique index p {name: 1} of DB.pets"},
		{`{"createIndexes": "pets", "indexes": [{"key": {"born": 1}, "name": "b", "unique": true}, {"key": {"n": -1.0, "at.zip": 1}, "name": "n"}]}`, "builds 2 indexes of DB.pets: b {born: 1} (unique), n {n: -1, at.zip: 1}"},
		{`{"dropIndexes": "pets", "index": "p"}`, "drops unique index p {name: 1} of DB.pets"},
		{`{"dropIndexes": "pets", "index": "*"}`, "drops 2 indexes of DB.pets: b {born: 1} (unique), n {n: -1, at.zip: 1}"},
	} {
		b.op.asked = nil
		b.must(c.cmd)
		p := b.op.asked[0].Plan
		if got := strings.ReplaceAll(p.Summary(), s.db, "DB"); got != c.want {
			t.Errorf("%s: %s, want %s", c.cmd, got, c.want)
		}
		if slices.Contains(codes(p), plan.UniqueConflict) {
			t.Errorf("%s says %v", c.cmd, p.Facts())
		}
	}
}
