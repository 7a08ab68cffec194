// Package player shows recorded sessions to people: as a list that can be filtered and searched, one as a story, as its changes only, in its own
// time, and as a file for somebody who has not got this program. It imports the standard library and this repository's record, nothing of the
// program that wrote it. All that it prints is safe on a terminal.
//
//	Archive ─► Record ─► events, read again for each use ─┬► Story, Writes, Summarize, Search
//	                                                      ├► Tape ─► Player, cast
//	                                                      └► Export: cast, html, json, txt
package player

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"respect/replay"
)

// State says how a session ended.
func (r Record) State() string {
	switch {
	case r.Session.Live:
		return "running"
	case r.Session.Closed:
		return "closed"
	}
	return "cut off"
}

// Story writes a session as a readable text: what was typed, what was shown, what was answered, what changed. Safe on a terminal. It is told in the order of the
// record, at the times when things were seen: what was looked at before an answer is recorded with it.
func (r Record) Story(w io.Writer) error {
	b := bufio.NewWriter(w)
	var last time.Time
	err := r.events(func(e replay.Event) error {
		if last.IsZero() {
			fmt.Fprintf(b, "session %s, %s, began %s\n", replay.Safe(r.Session.ID), r.State(), e.Time.Format(stamp))
		}
		lines, err := tell(e)
		last = seenAt(e, last)
		for i, l := range lines {
			at := strings.Repeat(" ", len(hourStamp))
			if i == 0 {
				at = last.Format(hourStamp)
			}
			b.WriteString(strings.TrimRight(at+"  "+replay.Safe(l), " ") + "\n")
		}
		return err
	})
	if err != nil {
		return err
	}
	if last.IsZero() {
		fmt.Fprintf(b, "session %s, %s\n", replay.Safe(r.Session.ID), r.State())
	}
	for _, l := range r.doubts() {
		b.WriteString(l + "\n")
	}
	return b.Flush()
}

// hourStamp is how times are written beside what happened in a session, whose begin says the day: UTC.
const hourStamp = "15:04:05.000Z"

// seenAt is when what an event tells of began to be seen: not before the event before, and not after it was recorded.
func seenAt(e replay.Event, before time.Time) time.Time {
	var b struct{ Since int64 }
	if e.Kind != replay.KindLooked && e.Kind != replay.KindOutput || e.Decode(&b) != nil || b.Since <= 0 {
		return e.Time
	}
	at := e.Time.Add(-time.Duration(b.Since) * time.Microsecond)
	if at.Before(before) {
		at = before
	}
	if at.After(e.Time) {
		at = e.Time
	}
	return at
}

// tell is one event in words; nothing for what is only of interest to machines.
func tell(e replay.Event) ([]string, error) {
	teller := tellers[e.Kind]
	if teller == nil {
		return []string{fmt.Sprintf("(an event of kind %s, which this version does not know)", replay.Safe(string(e.Kind)))}, nil
	}
	return teller(e)
}

var tellers = map[replay.Kind]func(replay.Event) ([]string, error){
	replay.KindOpen:    telling(tellOpen),
	replay.KindConnect: telling(tellConnect),
	replay.KindReason: telling(func(r replay.Reason) []string {
		if r.Manner == "aborted" {
			return block("no reason was given; what stood there: ", r.Text)
		}
		return block("reason: ", r.Text)
	}),
	replay.KindInput: telling(func(i replay.Input) []string {
		if i.Mode == "dropped" && i.Text == "" {
			return nil
		}
		return block(manner(i)+"> ", i.Text)
	}),
	replay.KindLoaded:  telling(tellLoaded),
	replay.KindCommand: telling(tellCommand),
	replay.KindPlanned: telling(func(p replay.Planned) []string {
		if p.Preview {
			return []string{"previewed: " + replay.Safe(p.Summary)}
		}
		return []string{fmt.Sprintf("planned %s: %s", p.Change, replay.Safe(p.Summary))}
	}),
	replay.KindAsked: telling(func(a replay.Asked) []string { // Decided tells what stood there, with the answer
		return []string{"asked about " + replay.Safe(a.Change)}
	}),
	replay.KindDecided: telling(tellDecided),
	replay.KindSaved: telling(func(s replay.Saved) []string {
		return []string{fmt.Sprintf("backup of %s: %d document(s), %d bytes, %d file(s), read back", s.Change, s.Documents, s.Bytes, len(s.Files))}
	}),
	replay.KindIntent:  telling(tellIntent),
	replay.KindOutcome: telling(tellOutcome),
	replay.KindReceipt: telling(func(r replay.Receipt) []string {
		return append([]string{"shown:"}, shown(r.Screen)...)
	}),
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
	replay.KindScreen: telling(func(s replay.Screen) []string {
		return []string{fmt.Sprintf("the terminal has %d columns and %d rows", s.Columns, s.Rows)}
	}),
	replay.KindSeal: telling(tellSeal),
	replay.KindPruned: telling(func(p replay.Pruned) []string {
		return []string{fmt.Sprintf("DELETED the backup of %s, %d bytes: %s", replay.Safe(p.Change), p.Bytes, replay.Safe(p.Why))}
	}),
	replay.KindLooked: telling(func(l replay.Looked) []string {
		return append([]string{fmt.Sprintf("looked closer: %s", replay.Safe(l.Asked))}, shown(l.Screen)...)
	}),
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
	mark = replay.Safe(mark)
	lines := strings.Split(replay.SafeLines(text), "\n")
	for i := range lines {
		if i > 0 && strings.TrimSpace(mark) != "|" {
			mark = strings.Repeat(" ", len(mark))
		}
		lines[i] = mark + lines[i]
	}
	return lines
}

// shown is a screen as it is quoted.
func shown(screen string) (out []string) {
	for l := range strings.SplitSeq(strings.Trim(replay.SafeLines(screen), "\n"), "\n") {
		out = append(out, "  ┃ "+l)
	}
	return out
}

func hints(h []string) (out []string) {
	for _, x := range h {
		out = append(out, "  hint: "+replay.Safe(x))
	}
	return out
}

// manner is how an entry came, and that it was not run.
func manner(i replay.Input) string {
	if i.Mode == "dropped" {
		return strings.TrimPrefix(i.Manner+", not run", ", ")
	}
	return i.Manner
}

func tellLoaded(l replay.Loaded) []string {
	out := []string{fmt.Sprintf("load> %s, %d bytes, SHA-256 %s", replay.Safe(l.Path), l.Bytes, replay.Safe(l.SHA256))}
	if l.Text != "" {
		out = append(out, block("  | ", strings.TrimSuffix(l.Text, "\n"))...)
	}
	if l.Dropped > 0 {
		out = append(out, fmt.Sprintf("  | (%d bytes more are not recorded)", l.Dropped))
	}
	if l.Again {
		out = append(out, "  | (as it was loaded before)")
	}
	return out
}

func tellOutput(o replay.Output) (out []string) {
	if o.Text != "" {
		out = block("| ", strings.TrimSuffix(o.Text, "\n"))
	}
	for _, l := range leftOut(o) {
		out = append(out, "| "+l)
	}
	return out
}

// leftOut says what of a statement's output is not recorded.
func leftOut(o replay.Output) []string {
	if o.Dropped == 0 {
		return nil
	}
	sum := ""
	if o.SHA256 != "" {
		sum = ", SHA-256 " + replay.Safe(o.SHA256)
	}
	return []string{fmt.Sprintf("(%d bytes that were shown are not recorded%s)", o.Dropped, sum)}
}

func tellOpen(o replay.Open) []string {
	out := []string{fmt.Sprintf("%s on %s began, with respect %s", replay.Safe(o.Who.User), replay.Safe(o.Who.Host), replay.Safe(o.Build.Version))}
	for _, x := range []struct{ name, of string }{
		{"terminal ", o.Who.Terminal}, {"from SSH ", o.Who.SSH}, {"sealed under the key ", o.Key}, {"seals are also written to ", o.Witness}, {"recorded of what is shown: ", o.Output},
	} {
		if x.of != "" {
			out = append(out, "  "+x.name+replay.Safe(x.of))
		}
	}
	for _, f := range o.Policy {
		out = append(out, fmt.Sprintf("  policy %s, SHA-256 %s", replay.Safe(f.Path), replay.Safe(f.SHA256)))
	}
	for _, h := range o.Previous {
		ended := "ended"
		if !h.Closed {
			ended = "was cut off"
		}
		out = append(out, fmt.Sprintf("  session %s %s before, at seq %d with hash %s", replay.Safe(h.Session), ended, h.Seq, replay.Safe(h.Hash)))
	}
	return out
}

// tellSeal says what was sealed; that the seal holds is the verification's to say.
func tellSeal(s replay.Seal) []string {
	lines := strings.Split(s.Note, "\n")
	if len(lines) < 3 {
		return []string{"sealed"}
	}
	seq, hash, _ := strings.Cut(lines[2], " ")
	return []string{fmt.Sprintf("sealed up to seq %s, hash %s", replay.Safe(seq), replay.Safe(hash))}
}

func tellConnect(c replay.Connect) []string {
	out := []string{fmt.Sprintf("connected to %s (%s): %s", replay.Safe(c.Deployment), replay.Safe(c.URI), strings.ToUpper(c.Environment))}
	for _, e := range c.Evidence {
		says := "says nothing"
		if e.Says != "" {
			says = "says " + e.Says
		}
		if e.Scope != "" {
			says += " of database " + replay.Safe(e.Scope)
		}
		out = append(out, fmt.Sprintf("  %s %s: %s", e.Source, says, replay.Safe(e.Why)))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Identity)) {
		out = append(out, fmt.Sprintf("  %s: %s", replay.Safe(name), replay.Safe(c.Identity[name])))
	}
	if c.User != "" {
		out = append(out, strings.TrimRight(fmt.Sprintf("  as database user %s %s", replay.Safe(c.User), replay.Safe(strings.Join(c.Roles, ", "))), " "))
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

func tellIntent(i replay.Intent) []string {
	out := []string{fmt.Sprintf("INTENT %s on %s: %s", i.Change, strings.ToUpper(i.Environment), replay.Safe(i.Summary))}
	for _, x := range []struct{ name, of string }{{"takes back ", i.Undoes}, {"only ", i.Only}, {"does the rest of ", i.Resumes}} {
		if x.of != "" {
			out = append(out, "  "+x.name+replay.Safe(x.of))
		}
	}
	return out
}

func tellDecided(d replay.Decided) []string {
	if d.Manner == "not asked" {
		return []string{"policy asks no question for " + d.Change}
	}
	var out []string
	if d.Screen != "" {
		out = append([]string{"shown:"}, shown(d.Screen)...)
	}
	return append(out, fmt.Sprintf("answered %q (%s): %s", replay.Safe(d.Answer), d.Manner, decision(d)))
}

// answered is tellDecided for who has seen the question and the answer.
func answered(d replay.Decided) []string {
	if d.Manner == "not asked" {
		return []string{"(policy asks no question for " + d.Change + ")"}
	}
	return []string{fmt.Sprintf("(%s: %s)", d.Manner, decision(d))}
}

func decision(d replay.Decided) string {
	if d.Accepted {
		return "ACCEPTED"
	}
	return "NOT ACCEPTED: " + replay.Safe(d.Why)
}

func tellOutcome(o replay.Outcome) []string {
	out := []string{fmt.Sprintf("OUTCOME %s: %s", o.Change, strings.ToUpper(string(o.Status)))}
	for _, c := range o.Counts {
		out = append(out, "  "+countLine(c, o.Predicted))
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
