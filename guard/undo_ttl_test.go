package guard_test

import (
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
)

// TestUndoOfATTLIndex: an index that deletes is built again by the undo of what dropped it. That it deletes, and how many documents soon, is said as it is
// where it is made. The embedded server takes no such index: the double adds what makes it one.
func TestUndoOfATTLIndex(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ cmd, said string }{
		"index":      {`{"dropIndexes": "people", "index": "at_1"}`, "the server would delete 2 documents of"},
		"collection": {`{"drop": "people"}`, "2 documents of what is put back would soon be deleted again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := production(t, "double")
			s.setup(t, "people", `{"_id": 1, "at": {"$date": "2001-01-01T00:00:00Z"}}`, `{"_id": 2, "at": {"$date": "2002-01-01T00:00:00Z"}}`,
				`{"_id": 3, "at": {"$date": "2199-01-01T00:00:00Z"}}`, `{"_id": 4, "at": "2001"}`, `{"_id": 5}`)
			s.command(t, `{"createIndexes": "people", "indexes": [{"key": {"at": 1}, "name": "at_1"}]}`)
			dropped := false
			s.double.Answer(func(c wiretest.Command) bson.Raw {
				switch {
				case c.Name == "dropIndexes", c.Name == "drop":
					dropped = true
				case c.Name == "listIndexes" && !dropped:
					return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "x.people", "firstBatch": [{"v": 2, "key": {"_id": 1}, "name": "_id_"},
						{"v": 2, "key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 3600}]}, "ok": 1}`)
				}
				return nil
			})
			b := s.bench(t)
			if _, _, err := b.run(c.cmd); err != nil {
				t.Fatal(err)
			}
			p := b.undoing(guard.UndoOptions{})
			if !slices.ContainsFunc(p.Facts(), func(f plan.Fact) bool {
				return f.Code == plan.TTLDeletes && f.Severity == plan.Danger && strings.Contains(f.Text, c.said)
			}) {
				t.Errorf("it is said %v", p.Facts())
			}
		})
	}
}
