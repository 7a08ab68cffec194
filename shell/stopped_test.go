package shell_test

import (
	"strings"
	"testing"

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
