package guard_test

import (
	"slices"
	"strings"
	"testing"
)

// TestWhyNothingMatched: a write that selects nothing asks nothing, and tells why where the plan knows. Where nothing is wrong it stays quiet.
func TestWhyNothingMatched(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	for _, c := range []struct {
		cmd  string
		want []string
	}{
		{`{"delete": "pets", "deletes": [{"q": {"_id": "64b0c0f1a2b3c4d5e6f70001"}, "limit": 1}]}`, []string{"compares _id with a string"}},
		{`{"update": "pets", "updates": [{"q": {"nmae": "Rex"}, "u": {"$set": {"n": 5}}, "multi": true}]}`, []string{"did you mean name?"}},
		{`{"update": "pets", "updates": [{"q": {"name": {"$in": []}}, "u": {"$set": {"n": 5}}, "multi": true}]}`, []string{"matches nothing"}},
		{`{"update": "pest", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 5}}}]}`, []string{"there is no collection DB.pest; did you mean pets?"}},
		{`{"delete": "pest", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`, []string{"there is no collection DB.pest; did you mean pets?"}},
		{`{"findAndModify": "quite_other", "query": {"name": "Rex"}, "remove": true}`, []string{"there is no collection DB.quite_other"}},
		{`{"drop": "pest"}`, []string{"there is no collection DB.pest; did you mean pets?"}},
		{`{"delete": "pets", "deletes": [{"q": {"name": "Nobody"}, "limit": 0}]}`, nil},
		{`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 1}}}]}`, nil},                                   // as asked
		{`{"delete": "pets", "deletes": [{"q": {"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70009"}}, "limit": 1}]}`, nil},                  // of the right type
		{`{"update": "pest", "updates": [{"q": {"name": "Rex"}, "u": {"$setOnInsert": {"n": 5}}, "upsert": true}]}`, []string{}},    // it creates, and is asked about
		{`{"delete": "pest", "deletes": [{"q": {"name": "Nobody"}, "limit": 0}, {"q": {"name": "Nobody else"}, "limit": 0}]}`, nil}, // it is there now
		{`{"createIndexes": "pets", "indexes": [{"key": {"_id": 1}, "name": "_id_"}]}`, nil},
	} {
		b.op.notices, b.op.asked = nil, nil
		b.must(c.cmd)
		if asked := len(b.op.asked) > 0; asked != (c.want != nil && len(c.want) == 0) {
			t.Errorf("%s: %d questions", c.cmd, len(b.op.asked))
		}
		if !slices.EqualFunc(b.op.notices, c.want, func(got, want string) bool {
			return strings.Contains(strings.ReplaceAll(got, s.db, "DB"), want)
		}) {
			t.Errorf("%s: it is said %q, want %q", c.cmd, b.op.notices, c.want)
		}
	}
}
