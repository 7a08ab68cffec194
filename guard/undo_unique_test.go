package guard_test

import (
	"strings"
	"testing"

	"respect/replay"
)

// An undo puts documents back in the order in which unique values become free, and lists those whose values others have taken.
func TestUndoRespectsUniqueIndexes(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		s.command(t, `{"insert": "ranks", "documents": [{"_id": 1, "rank": 1}, {"_id": 2, "rank": 2}, {"_id": 3, "rank": 3}, {"_id": 4, "rank": 40}, {"_id": 5, "rank": 50}]}`)
		s.command(t, `{"createIndexes": "ranks", "indexes": [{"key": {"rank": 1}, "name": "rank_1", "unique": true}]}`)
		before := s.state(t)
		b := s.bench(t)
		// Each takes what the one before it lets go of: taken back in this order, all but the last would meet a duplicate key.
		const chain = `{"update": "ranks", "updates": [{"q": {"_id": 3}, "u": {"$set": {"rank": 4}}}, {"q": {"_id": 2}, "u": {"$set": {"rank": 3}}}, {"q": {"_id": 1}, "u": {"$set": {"rank": 2}}}, {"q": {"_id": 4}, "u": {"$set": {"rank": 41}}}]}`
		if _, _, err := b.run(chain); err != nil {
			t.Fatal(err)
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		same(t, "after the undo of a chain", before, s.state(t))
		if c := b.last(); c.Status != replay.StatusApplied || c.Outcome.Counts[0].Skipped != 0 {
			t.Errorf("the undo is %s, %+v", c.Status, c.Outcome.Counts)
		}

		// One value of the chain is taken by somebody else: what depends on it stays as it is, the rest is put back.
		if _, _, err := b.run(chain); err != nil {
			t.Fatal(err)
		}
		s.command(t, `{"insert": "ranks", "documents": [{"_id": 9, "rank": 1}]}`)
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		c := b.last()
		if n := c.Outcome.Counts[0]; c.Status != replay.StatusPartly || n.Skipped != 3 || n.Replaced != 1 {
			t.Errorf("the undo is %s, %+v", c.Status, n)
		}
		said := false
		for _, f := range c.Planned.Facts {
			said = said || f.Code == "conflicts" && strings.Contains(f.Text, "its value for the unique index rank_1 is taken by the document with _id {\"$numberInt\":\"9\"}")
		}
		if !said {
			t.Errorf("who has the value is not said: %+v", c.Planned.Facts)
		}
	})
}
