package player

import (
	"fmt"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/journal"
)

// act is one thing that a session set out to change: what was planned, asked, answered, saved, done. Or, without a question, a write of an
// unguarded deployment.
type act struct {
	Change   string
	Seq      uint64    // of the event that begins it
	Time     time.Time // of that event
	Input    string    // the statement before it
	Planned  *replay.Planned
	Decided  []replay.Decided
	Answered time.Time
	Saved    *replay.Saved
	Intent   *replay.Intent
	Outcome  *replay.Outcome
	Ended    time.Time
	Recovery *replay.Recovery // by a later session
	UndoneBy string
	Status   replay.Status // "" for what was not tried
	Running  bool
	Plain    *replay.Command // an unguarded write; all else is empty then
}

// acts are the changes of a session, in order. all are the changes of all sessions: what was found out and taken back since is in others.
func acts(s *journal.Session, all []*journal.Change) ([]*act, error) {
	a := actor{byID: map[string]*act{}}
	for _, e := range s.Events {
		if err := a.event(e); err != nil {
			return nil, fmt.Errorf("seq %d: %w", e.Seq, err)
		}
	}
	for _, c := range all {
		if x := a.byID[c.ID]; x != nil && c.Session == s.ID {
			x.Recovery, x.UndoneBy, x.Status, x.Running = c.Recovery, c.UndoneBy, c.Status, c.Running
		}
	}
	return a.acts, nil
}

type actor struct {
	acts  []*act
	byID  map[string]*act
	input string
}

func (a *actor) act(id string, e replay.Event) *act {
	x := a.byID[id]
	if x == nil {
		x = &act{Change: id, Seq: e.Seq, Time: e.Time, Input: a.input}
		a.byID[id], a.acts = x, append(a.acts, x)
	}
	return x
}

func (a *actor) event(e replay.Event) error {
	take := map[replay.Kind]func() error{
		replay.KindInput: into(e, func(b replay.Input) { a.input = b.Text }),
		replay.KindPlanned: into(e, func(b replay.Planned) {
			if !b.Preview {
				a.act(b.Change, e).Planned = &b
			}
		}),
		replay.KindDecided: into(e, func(b replay.Decided) {
			x := a.act(b.Change, e)
			x.Decided, x.Answered = append(x.Decided, b), e.Time
		}),
		replay.KindSaved: into(e, func(b replay.Saved) {
			x := a.act(b.Change, e)
			if x.Saved == nil {
				x.Saved = &replay.Saved{Change: b.Change}
			}
			x.Saved.Documents, x.Saved.Bytes, x.Saved.Files = x.Saved.Documents+b.Documents, x.Saved.Bytes+b.Bytes, append(x.Saved.Files, b.Files...)
		}),
		replay.KindIntent:  into(e, func(b replay.Intent) { a.act(b.Change, e).Intent = &b }),
		replay.KindOutcome: into(e, func(b replay.Outcome) { x := a.act(b.Change, e); x.Outcome, x.Ended = &b, e.Time }),
		replay.KindCommand: into(e, func(b replay.Command) {
			if unguarded(b) {
				a.acts = append(a.acts, &act{Seq: e.Seq, Time: e.Time, Input: a.input, Plain: &b})
			}
		}),
	}[e.Kind]
	if take == nil {
		return nil
	}
	return take()
}

// verdict is what became of it, in a few words.
func (x *act) verdict() string {
	switch {
	case x.Plain != nil && x.Plain.Error != "":
		return "UNGUARDED, FAILED"
	case x.Plain != nil:
		return "UNGUARDED, DONE"
	case x.Status == replay.StatusUndone:
		return "UNDONE by " + replay.Safe(x.UndoneBy)
	case x.Running:
		return "RUNNING"
	case x.Status != "":
		return strings.ToUpper(replay.Safe(string(x.Status)))
	case x.Intent != nil:
		return "UNKNOWN"
	}
	for _, d := range x.Decided {
		if !d.Accepted {
			return "NOT CARRIED OUT"
		}
	}
	return "NOT BEGUN"
}

func (x *act) summary() string {
	switch {
	case x.Plain != nil:
		return strings.TrimSpace(fmt.Sprintf("%s %s", replay.Safe(x.Plain.Name), replay.Safe(strings.Join(x.Plain.Namespaces, ", "))))
	case x.Intent != nil:
		return replay.Safe(x.Intent.Summary)
	case x.Planned != nil:
		return replay.Safe(x.Planned.Summary)
	}
	return ""
}

// receipt is what a change was predicted to do and did, as the operator saw it.
func (x *act) receipt() []string {
	if x.Outcome == nil {
		return nil
	}
	var predicted []replay.Count
	if x.Intent != nil {
		predicted = x.Intent.Counts
	}
	return receipt(*x.Outcome, predicted)
}

var words = map[replay.Status]string{
	replay.StatusApplied: "applied", replay.StatusPartly: "PARTLY APPLIED", replay.StatusRejected: "REJECTED, nothing was changed", replay.StatusUnknown: "OUTCOME UNKNOWN",
}

func receipt(o replay.Outcome, predicted []replay.Count) []string {
	word := words[o.Status]
	if word == "" {
		word = replay.Safe(string(o.Status))
	}
	out := []string{fmt.Sprintf("%s  change %s", word, replay.Safe(o.Change))}
	for _, c := range o.Counts {
		out = append(out, "  "+countLine(c, predicted))
	}
	for _, a := range o.Alarm {
		out = append(out, "ALARM    "+replay.Safe(a))
	}
	for _, s := range o.Skipped {
		out = append(out, "skipped  "+replay.Safe(s))
	}
	if o.Error != "" {
		out = append(out, "stopped  "+replay.Safe(o.Error))
	}
	return out
}

type verb struct {
	name string
	of   func(replay.Count) int64
}

var verbs = []verb{
	{"deleted", func(c replay.Count) int64 { return c.Deleted }},
	{"updated", func(c replay.Count) int64 { return c.Updated }},
	{"replaced", func(c replay.Count) int64 { return c.Replaced }},
	{"inserted", func(c replay.Count) int64 { return c.Inserted }},
	{"skipped", func(c replay.Count) int64 { return c.Skipped }},
}

// countLine is what was done in a namespace, with what was predicted beside it.
func countLine(c replay.Count, predicted []replay.Count) string {
	p, known := replay.Count{}, false
	for _, x := range predicted {
		if x.Namespace == c.Namespace && x.Schema == c.Schema {
			p, known = x, true
			break
		}
	}
	s := replay.Safe(c.Namespace) + ":"
	if c.Schema != "" {
		s += " " + replay.Safe(c.Schema)
	}
	done := 0
	for _, v := range verbs {
		got, want := v.of(c), v.of(p)
		if got == 0 && (want == 0 || v.name == "skipped") {
			continue
		}
		done++
		s += fmt.Sprintf(" %s %d", v.name, got)
		if known && v.name != "skipped" {
			s += fmt.Sprintf(" (predicted %d)", want)
		}
	}
	if done == 0 && c.Schema == "" {
		s += " nothing"
	}
	return s
}

// Writes is only what a session changed, or was asked about: the statement, the preview as it was shown, the answer, the receipt, and what
// became of it since. all are the changes of all sessions.
func Writes(s *journal.Session, all []*journal.Change) (string, error) {
	list, err := acts(s, all)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "session %s, %s, %s on %s\n", replay.Safe(s.ID), State(s), replay.Safe(s.Open.Who.User), replay.Safe(s.Open.Who.Host))
	if len(list) == 0 {
		b.WriteString("nothing was written, and nothing was asked\n")
	}
	for _, x := range list {
		b.WriteString("\n")
		for _, l := range x.tell() {
			b.WriteString(strings.TrimRight(replay.Safe(l), " ") + "\n")
		}
	}
	tellProblems(&b, s)
	return b.String(), nil
}

func tellProblems(b *strings.Builder, s *journal.Session) {
	if s.Torn > 0 {
		fmt.Fprintf(b, "the last line is torn (%d bytes): the program was stopped while it was written\n", s.Torn)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(b, "DOES NOT VERIFY: %s\n", replay.Safe(p.String()))
	}
}

func (x *act) tell() []string {
	out := []string{strings.TrimSpace(fmt.Sprintf("%s  %s  %s  %s", x.Time.Format(stamp), replay.Safe(x.Change), x.verdict(), x.summary()))}
	if x.Input != "" {
		out = append(out, block("> ", x.Input)...)
	}
	if x.Plain != nil {
		if x.Plain.Text != "" {
			out = append(out, block("sent ", x.Plain.Text)...)
		}
		if x.Plain.Error != "" {
			out = append(out, block("error: ", x.Plain.Error)...)
		}
		return out
	}
	for _, d := range x.Decided {
		out = append(out, tellDecided(d)...)
	}
	if x.Saved != nil {
		out = append(out, fmt.Sprintf("backup: %d document(s), %d bytes, %d file(s), read back", x.Saved.Documents, x.Saved.Bytes, len(x.Saved.Files)))
	}
	out = append(out, x.receipt()...)
	return append(out, x.since()...)
}

// since is what was found out and done later.
func (x *act) since() (out []string) {
	if x.Intent != nil && x.Intent.Undoes != "" {
		out = append(out, "it takes back "+replay.Safe(x.Intent.Undoes))
	}
	if x.Recovery != nil {
		out = append(out, fmt.Sprintf("found later: %s: %s", replay.Safe(string(x.Recovery.Status)), replay.Safe(x.Recovery.Found)))
	}
	if x.UndoneBy != "" {
		out = append(out, "taken back by "+replay.Safe(x.UndoneBy))
	}
	return out
}

// stamp is how times are written: UTC, as they are recorded.
const stamp = "2006-01-02 15:04:05Z"
