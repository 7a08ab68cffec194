package guard_test

import (
	"errors"
	"strings"
	"testing"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/replay/durable"
)

// A marker is lowered only where the administrator's file lets it, and then with a question that says what it means. Within the session nothing falls.
func TestLowerAMarker(t *testing.T) {
	t.Parallel()
	s := unmarked(t)
	s.people(t)
	mark := func(b *bench, env environment.Environment) error {
		t.Helper()
		st, err := b.gate.Begin(guard.Input{Text: "mark " + env.String(), Manner: "mark"})
		if err != nil {
			t.Fatal(err)
		}
		return st.Mark(t.Context(), b.d, env)
	}
	open := func(rules string) *bench {
		t.Helper()
		b := &bench{server: s, t: t, dir: t.TempDir(), fs: durable.OS{}, op: &operator{}, reason: "a test", policy: parsePolicy(t, rules)}
		if err := b.open(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.close)
		return b
	}
	b := open("policy: {}\n")
	if err := mark(b, environment.Production); err != nil {
		t.Fatal(err)
	}
	var refused *guard.Refused
	for _, rules := range []string{"policy: {}\n", "policy: {staging: {security: {lower-marker: run}}}\n", "policy: {production: {security: run}}\n"} {
		b := open(rules)
		s.forget()
		if err := mark(b, environment.Staging); !errors.As(err, &refused) || !strings.Contains(refused.Text, "lowering a marker of production needs a second person") || len(b.op.asked) != 0 {
			t.Errorf("%q: %v", rules, err)
		}
		if w := wiretest.Writes(s.commands()); len(w) > 0 {
			t.Errorf("%q: sent %v", rules, w)
		}
	}

	// "run" asks all the same: a marker that says less is never written without a word.
	for _, action := range []string{"confirm", "run"} {
		rules := "policy: {production: {security: {lower-marker: " + action + "}}}\n"
		b := open(rules)
		b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Manner: guard.Aborted} }
		if err := mark(b, environment.Staging); !errors.As(err, &refused) || !refused.Declined {
			t.Errorf("%q: %v", rules, err)
		}
		said := false
		for _, f := range b.op.asked[0].Plan.Facts() {
			said = said || f.Code == "lowers-marker" && f.Severity == "danger" && strings.Contains(f.Text, "was marked production: from now on everybody who connects is guarded only as on staging")
		}
		if !said {
			t.Errorf("%q: what it means is not said: %v", rules, b.op.asked[0].Plan.Facts())
		}
	}
	b = open("policy: {production: {security: {lower-marker: confirm}}}\n")
	if err := mark(b, environment.Staging); err != nil {
		t.Fatal(err)
	}
	if env := b.d.Environment(); env != environment.Production {
		t.Errorf("within the session it fell to %s", env)
	}
	if env := open("policy: {}\n").d.Environment(); env != environment.Staging {
		t.Errorf("the next session finds %s", env)
	}
}
