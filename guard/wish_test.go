package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"respect/guard"
)

// answers are given one after the other; "" is the phrase, as are those after the last.
func (b *bench) answers(list ...string) {
	b.op.answer = func(q guard.Question) guard.Answer {
		a := typed(q)
		if n := len(b.op.asked); n <= len(list) && list[n-1] != "" {
			a.Text = list[n-1]
		}
		return a
	}
}

// placed runs commands as one statement, whose commands come from one place of a script, and are settled one by one.
func (b *bench) placed(cmds ...string) error {
	b.t.Helper()
	st, err := b.gate.Begin(guard.Input{Text: strings.Join(cmds, "; "), Manner: "typed"})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range cmds {
		st.At("1:1")
		if _, err := st.Run(b.t.Context(), b.d, b.db, raw(b.t, c)); err != nil {
			return err
		}
		if err := st.Settle(b.t.Context()); err != nil {
			return err
		}
	}
	return nil
}

// TestPartsAreNoLoop: however small the parts in which somebody carries a change out, that is one question of the script. A loop that asks again and again is not.
func TestPartsAreNoLoop(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	for i := range 30 {
		s.setup(t, "many", fmt.Sprintf(`{"_id": %d}`, i))
	}
	const all = `{"delete": "many", "deletes": [{"q": {}, "limit": 0}]}`
	b := s.bench(t)
	b.answers("first 2", "", "first 20", "", "")
	if err := b.placed(all); err != nil {
		t.Fatal(err)
	}
	if n := len(s.documents(t, "many")); n > 0 || len(b.op.asked) != 5 {
		t.Errorf("%d questions, and %d documents are left", len(b.op.asked), n)
	}

	s.setup(t, "many", `{"_id": 1}`, `{"_id": 2}`, `{"_id": 3}`, `{"_id": 4}`, `{"_id": 5}`)
	var loop []string
	for i := range 5 {
		loop = append(loop, fmt.Sprintf(`{"delete": "many", "deletes": [{"q": {"_id": %d}, "limit": 1}]}`, i+1))
	}
	b = s.bench(t)
	if err := b.placed(loop...); err == nil || !strings.Contains(err.Error(), "the fourth question from the same place") || len(b.op.asked) != 3 {
		t.Errorf("%d questions of a loop: %v", len(b.op.asked), err)
	}
}
