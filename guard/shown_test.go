package guard_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// How much of what is shown stands in the record is policy's. What is left out is counted, and nothing else is lost.
func TestOutputRecording(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.people(t)
	const read, first, result = "a document\n", "before the question\n", "{ acknowledged: true }\n"
	long := strings.Repeat("ü", 3000) + "\n"
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	kept := []replay.Output{{Text: first}, {Text: result}}
	for _, tt := range []struct {
		policy            string
		read, long, write []replay.Output
	}{
		{"output: full", []replay.Output{{Text: read}}, []replay.Output{{Text: long}}, kept},
		{"limit: 1KiB", []replay.Output{{Text: read}}, []replay.Output{{Text: strings.Repeat("ü", 512)}, {Dropped: 4977, SHA256: sum(long[1024:])}}, kept},
		{"output: writes", []replay.Output{{Dropped: 11, SHA256: sum(read)}}, []replay.Output{{Dropped: 6001, SHA256: sum(long)}}, kept},
		{"output: digest", []replay.Output{{Dropped: 11, SHA256: sum(read)}}, []replay.Output{{Dropped: 6001, SHA256: sum(long)}}, []replay.Output{{Dropped: 43, SHA256: sum(first + result)}}},
		{"output: 'off'", []replay.Output{{Dropped: 11}}, []replay.Output{{Dropped: 6001}}, []replay.Output{{Dropped: 43}}},
	} {
		f, err := policy.Parse("admin.yaml", []byte("record: {"+tt.policy+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{server: s, t: t, dir: t.TempDir(), fs: durable.OS{}, op: &operator{}, reason: "a test"}
		if b.policy, err = policy.Combine(f, nil); err != nil {
			t.Fatal(err)
		}
		if err := b.open(); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{read, long} {
			if err := b.gate.Heard(guard.Input{Text: "help"}); err != nil {
				t.Fatal(err)
			}
			b.gate.Shown(text, false)
		}
		st, err := b.gate.Begin(guard.Input{Text: "a change", Mode: guard.Preview})
		if err != nil {
			t.Fatal(err)
		}
		b.gate.Shown(first, false)
		if _, err := st.Run(context.Background(), b.d, s.db, raw(t, `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`)); err != nil {
			t.Fatal(err)
		}
		if err := st.Settle(context.Background()); err != nil && !errors.Is(err, guard.ErrIncomplete) {
			t.Fatal(err)
		}
		b.gate.Shown(result, false)
		b.close()

		got := [][]replay.Output{nil}
		for _, e := range sessionsIn(t, b.dir)[0].Events {
			switch e.Kind {
			case replay.KindInput:
				got = append(got, nil)
			case replay.KindOutput:
				var o replay.Output
				if err := e.Decode(&o); err != nil {
					t.Fatal(err)
				}
				o.Since = 0
				got[len(got)-1] = append(got[len(got)-1], o)
			}
		}
		if diff := cmp.Diff([][]replay.Output{nil, tt.read, tt.long, tt.write}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.policy, diff)
		}
	}
}

func sessionsIn(t *testing.T, dir string) []*journal.Session {
	t.Helper()
	r, err := journal.ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r.Sessions
}

// P6: where the seal of an intent cannot reach the witness, nothing is sent, and the record says so. Where that of an outcome cannot, the operator hears it.
func TestAChangeThatCannotBeWitnessedIsNotMade(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	before := s.state(t)
	away := filepath.Join(t.TempDir(), "mount")
	b := &bench{server: s, t: t, dir: t.TempDir(), fs: durable.OS{}, op: &operator{}, reason: "a test", witness: filepath.Join(away, "notes")}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	const change = `{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 7}}, "multi": true}]}`
	s.forget()
	_, _, err := b.run(change)
	var refused *guard.Refused
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "is not witnessed") {
		t.Fatalf("it was not refused: %v", err)
	}
	if w := wiretest.Writes(s.commands()); len(w) > 0 {
		t.Fatalf("it was sent: %v", w)
	}
	same(t, "after a change that could not be witnessed", before, s.state(t))
	if c := b.last(); c.Status != replay.StatusRejected {
		t.Errorf("the record says %s", c.Status)
	}
	if err := os.Mkdir(away, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.run(change); err != nil {
		t.Errorf("with the witness there: %v", err)
	}
	if c := b.last(); c.Status != replay.StatusApplied {
		t.Errorf("the record says %s", c.Status)
	}

	s.before(func(c wiretest.Command) {
		if c.Name == "update" || c.Name == "findAndModify" { // it goes while the change runs
			_ = os.RemoveAll(away)
		}
	})
	_, _, err = b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 8}}, "multi": true}]}`)
	if err == nil || !strings.Contains(err.Error(), "was made and written down") {
		t.Errorf("an outcome that is not witnessed: %v", err)
	}
	if c := b.last(); c.Status != replay.StatusApplied || c.Outcome == nil {
		t.Errorf("the record says %s", c.Status)
	}
}

// TestQuestionsAreRecordedWhileTheyStand: who follows a session, or looks at one that ended at a question, sees what was asked.
func TestQuestionsAreRecordedWhileTheyStand(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.people(t)
	b := s.bench(t)
	kinds := func() (out []replay.Kind) {
		sessions := sessionsIn(t, b.dir)
		for _, e := range sessions[len(sessions)-1].Events {
			if e.Kind == replay.KindAsked || e.Kind == replay.KindLooked || e.Kind == replay.KindDecided {
				out = append(out, e.Kind)
			}
		}
		return out
	}
	b.op.answer = func(q guard.Question) guard.Answer {
		if diff := cmp.Diff([]replay.Kind{replay.KindAsked}, kinds()); diff != "" {
			t.Errorf("while the question stands: %s", diff)
		}
		if err := errors.Join(q.Looked(guard.Look{Asked: "details", Screen: "all"}), q.Shown("the question")); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]replay.Kind{replay.KindAsked, replay.KindLooked, replay.KindAsked}, kinds()); diff != "" {
			t.Errorf("while it stands again: %s", diff)
		}
		return typed(q)
	}
	if _, _, err := b.run(`{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]replay.Kind{replay.KindAsked, replay.KindLooked, replay.KindAsked, replay.KindDecided}, kinds()); diff != "" {
		t.Errorf("afterwards: %s", diff)
	}
}
