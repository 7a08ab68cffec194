package shell_test

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/replay"
	"respect/shell"
)

// TestStoppedIsSaidOnce: why a change was stopped is in its receipt, and not said again.
func TestStoppedIsSaidOnce(t *testing.T) {
	t.Parallel()
	server, err := production()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, server.URI, "stopped", &person{})
	st, err := s.gate.Begin(guard.Input{Text: "a statement", Manner: "typed"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[replay.Status]string{
		replay.StatusPartly: "the change 1 was made only in part\n", replay.StatusRejected: "the change 1 was rejected: nothing was changed\n", replay.StatusUnknown: "the change 1 was cut off: its outcome is unknown\n",
	} {
		s.err.Reset()
		code := s.Failed(st, &guard.Stopped{Outcome: &guard.Outcome{Change: "1", Status: status, Error: "because of it"}})
		if got := s.err.String(); got != want {
			t.Errorf("%s: %q", status, got)
		}
		if wanted := map[bool]int{true: shell.ExitError, false: shell.ExitPartly}[status == replay.StatusRejected]; code != wanted {
			t.Errorf("%s: status %d", status, code)
		}
	}
	// The same in what a program reads: all of it.
	if err := (&guard.Stopped{Outcome: &guard.Outcome{Change: "1", Status: replay.StatusPartly, Error: "because of it"}}); !strings.Contains(err.Error(), "because of it") {
		t.Error(err)
	}
}

// TestNothingWasChanged: where a plan cannot be made it is said that nothing was changed, once, and what else the script had queued before.
func TestNothingWasChanged(t *testing.T) {
	t.Parallel()
	server, err := production()
	if err != nil {
		t.Fatal(err)
	}
	many := server.Client(t).Database("unchanged").Collection("many")
	var docs []any
	for i := range 2000 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}})
	}
	if _, err := many.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = many.Database().Drop(context.Background()) })
	p := &person{impatient: true}
	s := open(t, server.URI, "unchanged", p)
	for text, want := range map[string]string{
		`db.many.insertOne({_id: 1})`:                               "(foreseen by the preview; nothing was sent)\n",
		`db.many.insertOne({_id: -1}); db.many.insertOne({_id: 1})`: "nothing was sent)\nnothing was changed; what was queued before is dropped: 1 command\n",
		`db.many.deleteMany({})`:                                    "interrupted\nnothing was changed\n",
		`db.many.find({a: {$zap: 1}})`:                              "", // a read
		`db.many.insertOne({_id: -1}); zap()`:                       "is dropped: 1 command\n",
	} {
		s.err.Reset()
		if code := s.Exec(t.Context(), text, "typed"); code != shell.ExitError {
			t.Errorf("%s: status %d", text, code)
		}
		got := s.err.String()
		if !strings.HasSuffix(got, want) || strings.Contains(got, "dropped") != strings.Contains(want, "dropped") || want == "" && strings.Contains(got, "nothing was") {
			t.Errorf("%s: %s", text, got)
		}
	}
}
