// Package player shows recorded sessions to people: as a list that can be filtered and searched, one as a story, as its changes only, in its own
// time, and as a file for somebody who has not got this program. It imports the standard library and this repository's record, nothing of the
// program that wrote it. All that it prints is safe on a terminal.
package player

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/journal"
)

// Line is one session in a list.
type Line struct {
	Session     string    `json:"session"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"` // of the last event
	User        string    `json:"user"`
	Host        string    `json:"host"`
	Deployments []string  `json:"deployments"`
	Environment string    `json:"environment"` // the most dangerous
	Statements  int       `json:"statements"`
	Changes     int       `json:"changes"`
	Undone      int       `json:"undone"`    // changes that were taken back since; List fills it
	Unguarded   int       `json:"unguarded"` // writes that no question was asked about, and no backup made
	Declined    int       `json:"declined"`  // questions that were not answered as they wanted
	Refusals    int       `json:"refusals"`
	State       string    `json:"state"` // closed, running, cut off
	Problems    int       `json:"problems"`

	DatabaseUsers []string `json:"databaseUsers"`
	environments  []string
	addresses     []string
}

var danger = map[string]int{"development": 1, "staging": 2, "unknown": 3, "production": 4}

// Summarize makes the list's line of a session.
func Summarize(s *journal.Session) (Line, error) {
	l := Line{Session: s.ID, User: s.Open.Who.User, Host: s.Open.Who.Host, Deployments: []string{}, DatabaseUsers: []string{}, Problems: len(s.Problems), State: State(s)}
	if len(s.Events) > 0 {
		l.Start, l.End = s.Events[0].Time, s.Events[len(s.Events)-1].Time
	}
	for _, e := range s.Events {
		switch e.Kind {
		case replay.KindConnect:
			var c replay.Connect
			if err := e.Decode(&c); err != nil {
				return l, err
			}
			if len(l.Deployments) == 0 || l.Deployments[len(l.Deployments)-1] != c.Deployment {
				l.Deployments = append(l.Deployments, c.Deployment)
			}
			if danger[c.Environment] > danger[l.Environment] {
				l.Environment = c.Environment
			}
			l.environments, l.addresses = append(l.environments, c.Environment), append(l.addresses, c.Address)
			if c.User != "" && !slices.Contains(l.DatabaseUsers, c.User) {
				l.DatabaseUsers = append(l.DatabaseUsers, c.User)
			}
		case replay.KindInput:
			l.Statements++
		case replay.KindIntent:
			l.Changes++
		case replay.KindRefused:
			l.Refusals++
		case replay.KindCommand:
			var c replay.Command
			if err := e.Decode(&c); err != nil {
				return l, err
			}
			if unguarded(c) {
				l.Unguarded++
			}
		case replay.KindDecided:
			var d replay.Decided
			if err := e.Decode(&d); err != nil {
				return l, err
			}
			if !d.Accepted {
				l.Declined++
			}
		}
	}
	return l, nil
}

// reads says whether a command only reads, or is of a session's upkeep.
func reads(c replay.Command) bool { return c.Class == "read" || c.Class == "session" }

// unguarded says whether a command wrote outside of a change.
func unguarded(c replay.Command) bool { return !reads(c) && c.Change == "" }

// State says how a session ended.
func State(s *journal.Session) string {
	switch {
	case s.Live:
		return "running"
	case s.Closed:
		return "closed"
	}
	return "cut off"
}

// Story is a session as a readable text: what was typed, what was shown, what was answered, what changed. Safe on a terminal.
func Story(s *journal.Session) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "session %s, %s\n", replay.Safe(s.ID), State(s))
	for _, e := range s.Events {
		lines, err := tell(e)
		if err != nil {
			return "", fmt.Errorf("seq %d: %w", e.Seq, err)
		}
		for i, l := range lines {
			stamp := "            "
			if i == 0 {
				stamp = e.Time.Format("15:04:05.000")
			}
			b.WriteString(strings.TrimRight(stamp+"  "+replay.Safe(l), " ") + "\n")
		}
	}
	if s.Torn > 0 {
		fmt.Fprintf(&b, "the last line is torn (%d bytes): the program was stopped while it was written\n", s.Torn)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "DOES NOT VERIFY: %s\n", replay.Safe(p.String()))
	}
	return b.String(), nil
}

// tell is one event in words; nothing for what is only of interest to machines.
func tell(e replay.Event) ([]string, error) {
	teller := map[replay.Kind]func(replay.Event) ([]string, error){
		replay.KindOpen: telling(func(o replay.Open) []string {
			return []string{fmt.Sprintf("%s on %s began, with respect %s", replay.Safe(o.Who.User), replay.Safe(o.Who.Host), replay.Safe(o.Build.Version))}
		}),
		replay.KindConnect: telling(tellConnect),
		replay.KindReason:  telling(func(r replay.Reason) []string { return block("reason: ", r.Text) }),
		replay.KindInput: telling(func(i replay.Input) []string {
			return block(fmt.Sprintf("%s> ", i.Manner), i.Text)
		}),
		replay.KindCommand: telling(tellCommand),
		replay.KindPlanned: telling(func(p replay.Planned) []string {
			if p.Preview {
				return []string{"previewed: " + replay.Safe(p.Summary)}
			}
			return []string{fmt.Sprintf("planned %s: %s", p.Change, replay.Safe(p.Summary))}
		}),
		replay.KindDecided: telling(tellDecided),
		replay.KindSaved: telling(func(s replay.Saved) []string {
			return []string{fmt.Sprintf("backup of %s: %d document(s), %d bytes, %d file(s), read back", s.Change, s.Documents, s.Bytes, len(s.Files))}
		}),
		replay.KindIntent: telling(func(i replay.Intent) []string {
			return []string{fmt.Sprintf("INTENT %s on %s: %s", i.Change, strings.ToUpper(i.Environment), replay.Safe(i.Summary))}
		}),
		replay.KindOutcome: telling(tellOutcome),
		replay.KindRefused: telling(func(r replay.Refused) []string {
			return append(block("REFUSED: ", r.Text), hints(r.Hints)...)
		}),
		replay.KindOutput: telling(tellOutput),
		replay.KindRecovery: telling(func(r replay.Recovery) []string {
			return []string{fmt.Sprintf("FOUND of %s, cut off in session %s: %s: %s", r.Change, replay.Safe(r.Session), r.Status, replay.Safe(r.Found))}
		}),
		replay.KindSecurity: telling(func(s replay.Security) []string { return block("SECURITY: ", s.Text) }),
		replay.KindClose:    telling(func(c replay.Close) []string { return []string{fmt.Sprintf("ended with status %d", c.Code)} }),
		replay.KindProgress: nothing,
		replay.KindScreen:   nothing,
		replay.KindReceipt:  nothing, // the outcome is told in the same words
		replay.KindSeal:     nothing,
		replay.KindLooked: telling(func(l replay.Looked) []string {
			return append([]string{fmt.Sprintf("looked closer: %s", replay.Safe(l.Asked))}, block("  | ", strings.TrimSuffix(l.Screen, "\n"))...)
		}),
	}[e.Kind]
	if teller == nil {
		return []string{fmt.Sprintf("(an event of kind %s, which this version does not know)", replay.Safe(string(e.Kind)))}, nil
	}
	return teller(e)
}

// nothing tells nothing.
func nothing(replay.Event) ([]string, error) { return nil, nil }

func telling[T any](f func(T) []string) func(replay.Event) ([]string, error) {
	return func(e replay.Event) ([]string, error) {
		var body T
		if err := e.Decode(&body); err != nil {
			return nil, err
		}
		return f(body), nil
	}
}

// block puts a mark before the first line of a text and spaces before the others.
func block(mark, text string) []string {
	lines := strings.Split(replay.SafeLines(text), "\n")
	for i := range lines {
		if i > 0 && mark != "| " {
			mark = strings.Repeat(" ", len(mark))
		}
		lines[i] = mark + lines[i]
	}
	return lines
}

func hints(h []string) (out []string) {
	for _, x := range h {
		out = append(out, "  hint: "+replay.Safe(x))
	}
	return out
}

func tellOutput(o replay.Output) (out []string) {
	if o.Text != "" {
		out = block("| ", strings.TrimSuffix(o.Text, "\n"))
	}
	if o.Dropped > 0 {
		sum := ""
		if o.SHA256 != "" {
			sum = ", SHA-256 " + replay.Safe(o.SHA256)
		}
		out = append(out, fmt.Sprintf("| (%d bytes that were shown are not recorded%s)", o.Dropped, sum))
	}
	return out
}

func tellConnect(c replay.Connect) []string {
	out := []string{fmt.Sprintf("connected to %s (%s): %s", replay.Safe(c.Deployment), replay.Safe(c.URI), strings.ToUpper(c.Environment))}
	for _, e := range c.Evidence {
		says := "says nothing"
		if e.Says != "" {
			says = "says " + e.Says
		}
		out = append(out, fmt.Sprintf("  %s %s: %s", e.Source, says, replay.Safe(e.Why)))
	}
	return out
}

func tellCommand(c replay.Command) []string {
	if reads(c) {
		return nil
	}
	s := fmt.Sprintf("sent %s to %s", replay.Safe(c.Name), replay.Safe(c.Database))
	if c.Change != "" {
		s += " for " + c.Change
	}
	if c.Error != "" {
		s += ": " + replay.Safe(c.Error)
	}
	return []string{s}
}

func tellDecided(d replay.Decided) []string {
	if d.Manner == "not asked" {
		return []string{"policy asks no question for " + d.Change}
	}
	var out []string
	if d.Screen != "" {
		out = append(out, "shown:")
		for _, l := range strings.Split(strings.Trim(replay.SafeLines(d.Screen), "\n"), "\n") {
			out = append(out, "  ┃ "+l)
		}
	}
	verdict := "ACCEPTED"
	if !d.Accepted {
		verdict = "NOT ACCEPTED: " + replay.Safe(d.Why)
	}
	return append(out, fmt.Sprintf("answered %q (%s): %s", replay.Safe(d.Answer), d.Manner, verdict))
}

func tellOutcome(o replay.Outcome) []string {
	out := []string{fmt.Sprintf("OUTCOME %s: %s", o.Change, strings.ToUpper(string(o.Status)))}
	for _, c := range o.Counts {
		s := "  " + replay.Safe(c.Namespace) + ":"
		if c.Schema != "" {
			s += " " + c.Schema
		}
		for _, n := range []struct {
			name string
			n    int64
		}{{"deleted", c.Deleted}, {"updated", c.Updated}, {"replaced", c.Replaced}, {"inserted", c.Inserted}, {"skipped", c.Skipped}} {
			if n.n > 0 {
				s += fmt.Sprintf(" %s %d", n.name, n.n)
			}
		}
		out = append(out, s)
	}
	for _, x := range o.Skipped {
		out = append(out, "  skipped "+replay.Safe(x))
	}
	for _, x := range o.Alarm {
		out = append(out, "  ALARM "+replay.Safe(x))
	}
	if o.Error != "" {
		out = append(out, "  stopped: "+replay.Safe(o.Error))
	}
	return out
}
