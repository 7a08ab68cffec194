package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"respect/guard"
)

// TestDiscarded counts what was queued before the command that failed: not that one, and not those behind it.
func TestDiscarded(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	s.setup(t, "solo", `{"_id": 1, "n": 1}`)
	b := s.bench(t)
	insert := func(ids ...int) string {
		var docs []string
		for _, id := range ids {
			docs = append(docs, fmt.Sprintf(`{"_id": %d}`, id))
		}
		return `{"insert": "solo", "documents": [` + strings.Join(docs, ", ") + `]}`
	}
	bad := `{"update": "solo", "updates": [{"q": {"n": {"$gt": 0}}, "u": {"$set": {"_id": 5}}}]}`
	for _, c := range []struct {
		cmds []string
		want int
	}{
		{[]string{insert(1)}, 0},
		{[]string{insert(7, 8, 1)}, 0}, // nothing of it is there
		{[]string{insert(7), insert(1)}, 1},
		{[]string{insert(7), insert(8), insert(1), insert(9)}, 2},
		{[]string{bad}, 0},
		{[]string{insert(7), bad, insert(9)}, 1},
		{[]string{`{"findAndModify": "solo", "query": {"_id": 1}, "update": {"_id": 5}}`}, 0},
	} {
		for _, mode := range []guard.Mode{guard.Preview, guard.Execute} {
			st, _, err := b.runIn(mode, c.cmds...)
			if err == nil || st.Discarded() != c.want {
				t.Errorf("%v: %d commands are dropped, want %d: %v", c.cmds, st.Discarded(), c.want, err)
			}
		}
	}
}
