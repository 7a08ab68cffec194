package journal

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"respect/replay"
)

// session makes a Session of events without hashes: folding does not look at them.
func session(id string, live bool, bodies ...any) *Session {
	s := &Session{ID: id, Live: live}
	for i, b := range bodies {
		raw, err := json.Marshal(b)
		if err != nil {
			panic(err)
		}
		kind := map[string]replay.Kind{
			"replay.Planned": replay.KindPlanned, "replay.Intent": replay.KindIntent,
			"replay.Outcome": replay.KindOutcome, "replay.Recovery": replay.KindRecovery,
		}[typeName(b)]
		s.Events = append(s.Events, replay.Event{Seq: uint64(i), Kind: kind, Body: raw, Time: time.Unix(int64(len(id)*1000+i), 0)})
	}
	return s
}

func typeName(v any) string {
	switch v.(type) {
	case replay.Planned:
		return "replay.Planned"
	case replay.Intent:
		return "replay.Intent"
	case replay.Outcome:
		return "replay.Outcome"
	case replay.Recovery:
		return "replay.Recovery"
	}
	return ""
}

func TestChanges(t *testing.T) {
	type P = replay.Planned
	type I = replay.Intent
	type O = replay.Outcome
	applied, partly := replay.StatusApplied, replay.StatusPartly
	for _, tt := range []struct {
		name     string
		sessions []*Session
		want     string
	}{
		{"declined is none", []*Session{session("s", false, P{Change: "a"})}, ""},
		{"applied", []*Session{session("s", false, P{Change: "a"}, I{Change: "a"}, O{Change: "a", Status: applied})}, "a:applied"},
		{"cut off", []*Session{session("s", false, I{Change: "a"})}, "a:unknown!"},
		{"running", []*Session{session("s", true, I{Change: "a"})}, "a:unknown"},
		{"recovered later", []*Session{session("s", false, I{Change: "a"}), session("tt", false, replay.Recovery{Change: "a", Session: "s", Status: partly})}, "a:partly"},
		{"undone", []*Session{session("s", false, I{Change: "a"}, O{Change: "a", Status: applied}, I{Change: "b", Undoes: "a"}, O{Change: "b", Status: applied})}, "a:undone b:applied"},
		{"undo that left conflicts", []*Session{session("s", false, I{Change: "a"}, O{Change: "a", Status: applied}, I{Change: "b", Undoes: "a"}, O{Change: "b", Status: partly})}, "a:applied b:partly"},
		{"undo undone", []*Session{session("s", false, I{Change: "a"}, O{Change: "a", Status: partly}, I{Change: "b", Undoes: "a"}, O{Change: "b", Status: applied}, I{Change: "c", Undoes: "b"}, O{Change: "c", Status: applied})}, "a:partly b:undone c:applied"},
	} {
		changes, err := Changes(tt.sessions)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		var got []string
		for _, c := range changes {
			s := c.ID + ":" + string(c.Status)
			if c.CutOff {
				s += "!"
			}
			got = append(got, s)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, strings.Join(got, " "), tt.want)
		}
	}
}
