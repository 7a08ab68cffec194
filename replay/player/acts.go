package player

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// act is one thing that a session set out to change: what was planned, asked, answered, saved, done. Or, without a question, a write of an
// unguarded deployment. What is known of a change is the fold's; what was shown of it is read from the journal when it is wanted.
type act struct {
	*journal.Change           // nil for an unguarded write
	Seq             uint64    // of the event that begins it
	Time            time.Time // of that event
	Input           string    // the statement before it
	looks           []place
	decided         []place
	declined        bool
	Answered        time.Time
	receipt         place
	Plain           *replay.Command // an unguarded write; all else is empty then
}

// acts are the changes of a session, in order, with what was found out and taken back since.
func (r Record) acts() ([]*act, error) {
	a := actor{known: r.In.Record.Plans, session: r.Session.ID, byID: map[string]*act{}}
	if err := r.events(a.event); err != nil {
		return nil, err
	}
	return a.acts, nil
}

type actor struct {
	known   map[string]*journal.Change
	session string
	acts    []*act
	byID    map[string]*act
	input   string
}

// act is that of a change of this session; nil for what others tell of theirs, and for what was only previewed.
func (a *actor) act(id string, e replay.Event) *act {
	c := a.known[id]
	if c == nil || c.Session != a.session || c.Planned.Preview {
		return nil
	}
	x := a.byID[id]
	if x == nil {
		x = &act{Change: c, Seq: e.Seq, Time: e.Time, Input: a.input}
		a.byID[id], a.acts = x, append(a.acts, x)
	}
	return x
}

func (a *actor) event(e replay.Event) error {
	of := func(id string, f func(*act)) {
		if x := a.act(id, e); x != nil {
			f(x)
		}
	}
	take := map[replay.Kind]func() error{
		replay.KindInput:   into(e, func(b replay.Input) { a.input = b.Text }),
		replay.KindPlanned: into(e, func(b replay.Planned) { of(b.Change, func(*act) {}) }),
		replay.KindIntent:  into(e, func(b replay.Intent) { of(b.Change, func(*act) {}) }),
		replay.KindLooked:  into(e, func(b replay.Looked) { of(b.Change, func(x *act) { x.looks = append(x.looks, placeOf(e)) }) }),
		replay.KindDecided: into(e, func(b replay.Decided) {
			of(b.Change, func(x *act) {
				x.decided, x.declined, x.Answered = append(x.decided, placeOf(e)), x.declined || !b.Accepted, e.Time
			})
		}),
		replay.KindReceipt: into(e, func(b replay.Receipt) { of(b.Change, func(x *act) { x.receipt = placeOf(e) }) }),
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

// id is that of the change; "" for an unguarded write.
func (x *act) id() string {
	if x.Change == nil {
		return ""
	}
	return x.ID
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
	case x.Tried():
		return strings.ToUpper(replay.Safe(string(x.Status)))
	case x.declined:
		return "NOT CARRIED OUT"
	}
	return "NOT BEGUN"
}

func (x *act) summary() string {
	switch {
	case x.Plain != nil:
		return strings.TrimSpace(fmt.Sprintf("%s %s", replay.Safe(x.Plain.Name), replay.Safe(strings.Join(x.Plain.Namespaces, ", "))))
	case x.Tried():
		return replay.Safe(x.Intent.Summary)
	}
	return replay.Safe(x.Planned.Summary)
}

// shownReceipt is what was shown of a change's outcome. Older journals do not have it: then it is said in the same words.
func (x *act) shownReceipt(f *os.File) ([]string, error) {
	if x.receipt.size > 0 {
		b, err := body[replay.Receipt](f, x.receipt)
		return strings.Split(strings.Trim(replay.SafeLines(b.Screen), "\n"), "\n"), err
	}
	if x.Change == nil || x.Outcome == nil {
		return nil, nil
	}
	return receipt(*x.Outcome, x.Predicted()), nil
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

// Writes writes only what a session changed, or was asked about: the statement, the preview as it was shown, the answer, the receipt, and what became of it
// since.
func (r Record) Writes(w io.Writer) error {
	list, err := r.acts()
	if err != nil {
		return err
	}
	f, err := durable.Open(r.file())
	if err != nil {
		return err
	}
	defer f.Close() // read only
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "session %s, %s, %s on %s\n", replay.Safe(r.Session.ID), r.State(), replay.Safe(r.Session.Open.Who.User), replay.Safe(r.Session.Open.Who.Host))
	if len(list) == 0 {
		b.WriteString("nothing was written, and nothing was asked\n")
	}
	for _, x := range list {
		lines, err := x.tell(f)
		if err != nil {
			return err
		}
		b.WriteString("\n")
		for _, l := range lines {
			b.WriteString(strings.TrimRight(replay.Safe(l), " ") + "\n")
		}
	}
	for _, l := range r.doubts() {
		b.WriteString(l + "\n")
	}
	return b.Flush()
}

func (x *act) tell(f *os.File) ([]string, error) {
	out := []string{strings.TrimSpace(fmt.Sprintf("%s  %s  %s  %s", x.Time.Format(stamp), replay.Safe(x.id()), x.verdict(), x.summary()))}
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
		return out, nil
	}
	for _, p := range append(x.looks[:len(x.looks):len(x.looks)], x.decided...) {
		e, err := p.read(f)
		if err != nil {
			return nil, err
		}
		lines, err := tell(e)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	if x.Saved != nil {
		out = append(out, fmt.Sprintf("backup: %d document(s), %d bytes, %d file(s), read back", x.Saved.Documents, x.Saved.Bytes, len(x.Saved.Files)))
	}
	receipt, err := x.shownReceipt(f)
	return append(append(out, receipt...), x.since()...), err
}

// since is what was found out and done later.
func (x *act) since() (out []string) {
	if x.Change == nil {
		return nil
	}
	for _, f := range []struct{ says, of string }{
		{"it takes back ", x.Intent.Undoes}, {"only ", x.Intent.Only}, {"it does the rest of ", x.Intent.Resumes}, {"taken back by ", x.UndoneBy},
	} {
		if f.of != "" {
			out = append(out, f.says+replay.Safe(f.of))
		}
	}
	if x.Recovery != nil {
		out = append(out, fmt.Sprintf("found later: %s: %s", replay.Safe(string(x.Recovery.Status)), replay.Safe(x.Recovery.Found)))
	}
	for _, id := range x.PartlyUndoneBy {
		out = append(out, "taken back in part by "+replay.Safe(id))
	}
	for _, id := range x.ResumedBy {
		out = append(out, "what it had left was done by "+replay.Safe(id))
	}
	if x.Pruned != nil {
		out = append(out, fmt.Sprintf("its backup was deleted at %s, %d bytes: %s", x.PrunedAt.Format(stamp), x.Pruned.Bytes, replay.Safe(x.Pruned.Why)))
	}
	return out
}

// stamp is how times are written: UTC, as they are recorded.
const stamp = "2006-01-02 15:04:05Z"
