package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"respect/guard/internal/wiretest"
)

// TestReceiptOfWhatWasNotDone: where a change of several collections ends in the middle, the receipt and the record do not say of the rest that it was done.
func TestReceiptOfWhatWasNotDone(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "a", `{"_id": 1}`)
	s.setup(t, "b", `{"_id": 1}`)
	b := s.bench(t)
	s.double.OnCommand(func(c wiretest.Command) wiretest.Fault {
		if c.Name == "renameCollection" && strings.HasSuffix(c.Doc.Lookup("renameCollection").StringValue(), ".b") {
			return wiretest.ServerError(13, "Unauthorized", "not this one")
		}
		return nil
	})
	if _, _, err := b.run(`{"dropDatabase": 1}`); err == nil {
		t.Fatal("it is said to be done")
	}
	got := map[string]string{}
	for _, c := range b.last().Outcome.Counts {
		got[c.Namespace] = c.Schema
	}
	if got[s.db+".a"] != "drop" || got[s.db+".b"] != "" {
		t.Errorf("the record says %v", got)
	}
	r := b.op.receipts[len(b.op.receipts)-1]
	for _, c := range r.Actual {
		if c.Namespace == s.db+".b" && c.Schema != "" {
			t.Errorf("the receipt says %+v", c)
		}
	}
}

// TestReceiptOfManyConflicts: an undo lists the first documents that it leaves alone, and counts all.
func TestReceiptOfManyConflicts(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	for i := range 160 {
		s.setup(t, "people", fmt.Sprintf(`{"_id": %d, "n": 1}`, i))
	}
	b := s.bench(t)
	if _, _, err := b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"n": 2}}, "multi": true}]}`); err != nil {
		t.Fatal(err)
	}
	c := b.last()
	s.command(t, `{"update": "people", "updates": [{"q": {"_id": {"$lt": 150}}, "u": {"$set": {"n": 3}}, "multi": true}]}`)
	if _, err := b.undo(c); err != nil {
		t.Fatal(err)
	}
	r := b.op.receipts[len(b.op.receipts)-1]
	if n := r.Actual[0].Skipped; n != 150 || len(r.Skipped) != 100 {
		t.Errorf("the receipt counts %d and lists %d", n, len(r.Skipped))
	}
	if n := b.last().Outcome.Counts[0].Skipped; n != 150 {
		t.Errorf("the record counts %d", n)
	}
}
