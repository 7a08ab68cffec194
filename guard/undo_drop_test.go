package guard_test

import (
	"slices"
	"testing"

	"respect/guard"
	"respect/guard/plan"
)

// TestUndoThatDrops: an undo in which a collection goes says so, with its danger, so that it asks for a code.
func TestUndoThatDrops(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	for _, c := range []struct{ cmd, said string }{
		{`{"create": "fresh"}`, "drops the collection " + s.db + ".fresh, which is empty"},
		{`{"insert": "newer", "documents": [{"_id": 1}, {"_id": 2}]}`, "drops the collection " + s.db + ".newer once its 2 documents are gone"},
		{`{"insert": "newest", "documents": [{"_id": 1}]}`, "drops the collection " + s.db + ".newest once its 1 document is gone"},
		{`{"createIndexes": "indexed", "indexes": [{"key": {"n": 1}, "name": "n_1"}]}`, "drops the collection " + s.db + ".indexed, which is empty"},
	} {
		b.must(c.cmd)
		p := b.undoing(guard.UndoOptions{})
		danger := slices.ContainsFunc(p.Facts(), func(f plan.Fact) bool { return f.Code == plan.DropsCollection && f.Severity == plan.Danger })
		if !has(p, plan.DropsCollection, c.said) || !danger {
			t.Errorf("%s: undo says %v", c.cmd, p.Facts())
		}
	}
	b.must(`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`)
	if p := b.undoing(guard.UndoOptions{}); has(p, plan.DropsCollection, "") {
		t.Errorf("what others are in stays, and undo says %v", p.Facts())
	}
}
