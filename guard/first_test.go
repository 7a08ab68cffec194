package guard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"respect/guard"
	"respect/guard/plan"
)

// TestFirstKeepsTheDanger: the first documents of a change of everything, and the rest of it, are asked about as dangerously as the whole: with a code.
func TestFirstKeepsTheDanger(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	for i := range 6 {
		s.setup(t, "people", fmt.Sprintf(`{"_id": %d}`, i))
	}
	b := s.bench(t)
	b.op.answer = func(q guard.Question) guard.Answer {
		if len(b.op.asked) == 1 {
			return guard.Answer{Text: "first 4", Manner: guard.Typed}
		}
		return typed(q)
	}
	if _, _, err := b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`); err != nil {
		t.Fatal(err)
	}
	if len(b.op.asked) != 3 || len(s.documents(t, "people")) != 0 {
		t.Fatalf("%d questions, %d documents left", len(b.op.asked), len(s.documents(t, "people")))
	}
	for i, q := range b.op.asked {
		if words := strings.Fields(q.Phrase); len(words) != 3 {
			t.Errorf("question %d wants %q, without a code", i+1, q.Phrase)
		}
		if !slices.ContainsFunc(q.Plan.Facts(), func(f plan.Fact) bool { return f.Code == plan.EmptyFilter && f.Severity == plan.Danger }) {
			t.Errorf("question %d does not say that no filter was given", i+1)
		}
	}
}
