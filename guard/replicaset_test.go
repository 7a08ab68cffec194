package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
)

// many puts numbered documents into the collection many, and returns the command that counts each up by one.
func (s *server) many(t *testing.T, n int) string {
	t.Helper()
	for i := 0; i < n; i += 50 {
		var docs []string
		for j := i; j < min(i+50, n); j++ {
			docs = append(docs, fmt.Sprintf(`{"_id": %d, "n": 1}`, j))
		}
		if err := s.other.Database(s.db).RunCommand(t.Context(), doc(t, `{"insert": "many", "documents": [`+strings.Join(docs, ",")+`]}`)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return `{"update": "many", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}`
}

// counted says how many documents of many hold which number.
func (s *server) counted(t *testing.T) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, d := range s.state(t)["many"] {
		if strings.HasPrefix(d, `{"_id":{"$numberInt"`) {
			_, rest, _ := strings.Cut(d, `"n":{"$numberInt":"`)
			n, _, _ := strings.Cut(rest, `"`)
			out[n]++
		}
	}
	return out
}

// TestStepDown makes the primary step down while a change is carried out: in the middle of a batch, with an answer and without, and while a batch waits for its
// majority. The rest goes to the new primary under the same numbers, so that every document is changed once.
func TestStepDown(t *testing.T) {
	t.Parallel()
	const documents = 120
	for name, how := range map[string]func(to *wiretest.Double) wiretest.Fault{
		"in a batch, answered": func(to *wiretest.Double) wiretest.Fault {
			return wiretest.AfterStatements(7, wiretest.SteppingDown(wiretest.StepDown{To: to, KeepConnections: true}))
		},
		"in a batch, connections closed": func(to *wiretest.Double) wiretest.Fault {
			return wiretest.AfterStatements(7, wiretest.SteppingDown(wiretest.StepDown{To: to}))
		},
		"in a batch, without an answer": func(to *wiretest.Double) wiretest.Fault {
			return wiretest.AfterStatements(7, wiretest.SteppingDown(wiretest.StepDown{To: to, NoAnswer: true}))
		},
		"before a batch, as no primary": func(to *wiretest.Double) wiretest.Fault {
			return wiretest.SteppingDown(wiretest.StepDown{To: to, Code: 10107, KeepConnections: true})
		},
		"before the majority has a batch": func(to *wiretest.Double) wiretest.Fault {
			return wiretest.SteppingDownAfterwards(wiretest.StepDown{To: to, KeepConnections: true})
		},
		"the answer to a whole batch lost": func(to *wiretest.Double) wiretest.Fault { return wiretest.LoseReply },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, "set")
			cmd := s.many(t, documents)
			before := s.state(t)
			b := s.bench(t)
			first, n := s.set.Primary(), 0
			s.onCommand(func(c wiretest.Command) wiretest.Fault {
				if c.Name != "update" || c.DB != s.db {
					return nil
				}
				if n++; n != 2 { // in the second batch
					return nil
				}
				return how(s.set.Members()[1])
			})
			if _, _, err := b.run(cmd); err != nil {
				t.Fatal(err)
			}
			s.onCommand(nil)
			if got := s.counted(t); got["2"] != documents {
				t.Fatalf("documents by their number: %v, want all at 2", got)
			}
			r := b.op.receipts[0]
			if r.Status != replay.StatusApplied || len(r.Alarm) > 0 || r.Actual[0].Updated != documents {
				t.Errorf("receipt: %s, %v, %v", r.Status, r.Alarm, r.Actual)
			}
			if moved := s.set.Primary() != first; moved == strings.Contains(name, "lost") {
				t.Errorf("the primary moved: %v", moved)
			}
			if _, err := b.undo(b.last()); err != nil {
				t.Fatal(err)
			}
			same(t, "after undo", before, s.state(t))
		})
	}
}

// TestStepDownToAnother: what answers after a fail-over is another replica set of the same name. Nothing is sent to it, and the record says that the outcome
// is not known; when the own one is back it is found out.
func TestStepDownToAnother(t *testing.T) {
	t.Parallel()
	s, other := production(t, "set"), production(t, "set")
	cmd := s.many(t, 60)
	other.many(t, 60)
	b := s.bench(t)
	asked := false
	s.onCommand(func(c wiretest.Command) wiretest.Fault {
		if c.Name != "update" || asked {
			return nil
		}
		asked = true
		for i, m := range s.set.Members() {
			m.Redirect(other.set.Members()[i])
		}
		return wiretest.CloseAfterStatements(5)
	})
	_, _, err := b.run(cmd)
	var stopped *guard.Stopped
	if !errors.As(err, &stopped) || stopped.Outcome.Status != replay.StatusUnknown {
		t.Fatalf("%v", err)
	}
	if w := wiretest.Writes(other.commands()); len(w) > 0 || len(other.counted(t)) != 1 {
		t.Errorf("the other set was sent %v", w)
	}
	for _, m := range s.set.Members() {
		m.Redirect(nil)
		m.CloseConnections()
	}
	b.again()
	if _, err := b.undo(b.last()); err != nil {
		t.Fatal(err)
	}
	if got := s.counted(t); got["1"] != 60 {
		t.Errorf("after undo: %v", got)
	}
}

// TestMajority: a write that no majority has confirmed in time is applied. The change pauses, looks again, and goes on.
func TestMajority(t *testing.T) {
	t.Parallel()
	s := production(t, "set")
	cmd := s.many(t, 60)
	b := s.bench(t)
	s.onCommand(func(c wiretest.Command) wiretest.Fault {
		if c.Name == "update" {
			return wiretest.WriteConcernTimeout
		}
		return nil
	})
	if _, _, err := b.run(cmd); err != nil {
		t.Fatal(err)
	}
	if r := b.op.receipts[0]; r.Status != replay.StatusApplied || len(r.Alarm) > 0 || r.Actual[0].Updated != 60 {
		t.Errorf("receipt: %s, %v, %v", r.Status, r.Alarm, r.Actual)
	}
}

// TestLag: a change waits while a secondary is too far behind, says so, and goes on when it has caught up; if it is hopelessly behind, the change stops after
// its batch with a receipt for what was done.
func TestLag(t *testing.T) {
	t.Parallel()
	for name, lag := range map[string]time.Duration{"behind": 30 * time.Second, "hopeless": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inMemory(t, "set")
			cmd := s.many(t, 250)
			b := s.bench(t)
			secondary := s.set.Members()[1]
			waited := 0
			b.op.progress = func(p guard.Progress) guard.Control {
				if p.Waiting != "" {
					if waited++; waited == 3 && name == "behind" {
						s.set.SetLag(secondary, 0)
					}
				}
				return guard.Go
			}
			s.set.SetLag(secondary, lag)
			_, _, err := b.run(cmd)
			r := b.op.receipts[0]
			if name == "behind" {
				if err != nil || waited < 3 || r.Actual[0].Updated != 250 {
					t.Errorf("%v, waited %d times, %v", err, waited, r.Actual)
				}
				return
			}
			var stopped *guard.Stopped
			if !errors.As(err, &stopped) || r.Status != replay.StatusPartly || !strings.Contains(r.Error, "behind the primary") || r.Actual[0].Updated == 0 || r.Actual[0].Updated == 250 {
				t.Errorf("%v: %s %s %v", err, r.Status, r.Error, r.Actual)
			}
		})
	}
}

// TestPauseAndStop: the operator pauses a change, lets it go on, and stops it after the running batch; what was left can be done later.
func TestPauseAndStop(t *testing.T) {
	t.Parallel()
	eachRoadInMemory(t, func(t *testing.T, s *server) {
		cmd := s.many(t, 250)
		before := s.state(t)
		b := s.bench(t)
		calls, paused := 0, 0
		b.op.progress = func(p guard.Progress) guard.Control {
			if p.Planning {
				return guard.Go
			}
			if p.Paused {
				paused++
			}
			switch calls++; {
			case calls < 4:
				return guard.Pause
			case p.Done >= 100:
				return guard.Stop
			}
			return guard.Go
		}
		_, _, err := b.run(cmd)
		var stopped *guard.Stopped
		if !errors.As(err, &stopped) || paused == 0 {
			t.Fatalf("%v, paused %d times", err, paused)
		}
		r := b.op.receipts[0]
		done := s.counted(t)["2"]
		if r.Status != replay.StatusPartly || done == 0 || done == 250 || int64(done) != r.Actual[0].Updated {
			t.Fatalf("%s: %d documents are changed, the receipt says %v", r.Status, done, r.Actual)
		}
		if !r.Resumable || len(r.Skipped) > 0 {
			t.Errorf("it was stopped, nothing was skipped, and the receipt says %+v", r)
		}
		first := b.last()
		b.op.progress = nil
		if _, err := b.resume(first); err != nil {
			t.Fatal(err)
		}
		if got := s.counted(t); got["2"] != 250 {
			t.Fatalf("after resume: %v", got)
		}
		second := b.last()
		if second.Intent.Resumes != first.ID {
			t.Errorf("the record says it resumes %q", second.Intent.Resumes)
		}
		for _, c := range b.changes() {
			if _, err := b.undo(c); err != nil {
				t.Fatal(err)
			}
		}
		same(t, "after both were undone", before, s.state(t))
	})
}

// TestDelayedMember: a member that is kept behind by its configuration holds nothing back.
func TestDelayedMember(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"secondaryDelaySecs", "slaveDelay"} {
		s := inMemory(t, "set")
		cmd := s.many(t, 250)
		b := s.bench(t)
		delayed := s.set.Members()[1]
		s.set.SetLag(delayed, time.Hour+2*time.Second)
		for _, m := range s.set.Members() {
			m.Answer(func(c wiretest.Command) bson.Raw {
				if c.Name != "replSetGetConfig" {
					return nil
				}
				doc, err := bson.Marshal(bson.D{{Key: "config", Value: bson.D{{Key: "members", Value: bson.A{bson.D{{Key: "host", Value: delayed.Address()}, {Key: key, Value: 3600}}}}}}, {Key: "ok", Value: 1.0}})
				if err != nil {
					panic(err)
				}
				return doc
			})
		}
		if _, _, err := b.run(cmd); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		s.set.SetLag(delayed, 2*time.Hour)
		if _, err := b.undo(b.last()); err == nil || !strings.Contains(err.Error(), "behind the primary") {
			t.Errorf("%s: further behind than that, and nothing was said: %v", key, err)
		}
	}
}
