package player

import (
	"fmt"
	"os"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/durable"
)

// Mark says what a frame is, for those who look for it.
type Mark string

// The marks.
const (
	Question Mark = "question"
	Write    Mark = "write"
	Refusal  Mark = "refusal"
)

// Frame is a step of a session as it is played: text that was added to the screen, or something to know that was not on it, or both.
type Frame struct {
	At     time.Duration // since the session began; never less than that of the frame before
	Clear  bool          // the screen was cleared, before the text
	Window replay.Screen // the terminal had this size from now on; zero if nothing is said
	Mark   Mark          // "" for what nobody jumps to
	Label  string        // of a marked frame: one line, safe

	from place
	text func(replay.Event) (string, error)   // safe, with our colours; nil: nothing
	note func(replay.Event) ([]string, error) // nil: nothing
	said string                               // text that is known already
	loud []string                             // notes that must not be missed
}

// Tape is a session as its operator saw it. A preview stands where it was shown, not where it was answered. The frames are small: what they show is read from
// the journal when it is wanted.
type Tape struct {
	Frames []Frame

	file *os.File
	cut  framer
}

// Tape makes the tape of a session. The caller closes it.
func (r Record) Tape() (*Tape, error) {
	f, err := durable.Open(r.file())
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", r.Session.ID, err)
	}
	t := &Tape{file: f}
	t.cut.tape = t
	if err := r.events(t.cut.event); err != nil {
		_ = t.Close() // read only
		return nil, err
	}
	if doubts := r.doubts(); len(doubts) > 0 {
		t.cut.add(Frame{loud: doubts})
	}
	return t, nil
}

// Close closes the journal.
func (t *Tape) Close() error { return t.file.Close() }

// Length is the time of the last frame.
func (t *Tape) Length() time.Duration {
	if len(t.Frames) == 0 {
		return 0
	}
	return t.Frames[len(t.Frames)-1].At
}

// Text is what a frame adds to the screen, with its colours: safe on a terminal, and without a line break at its end where the cursor stayed in the line.
func (t *Tape) Text(f Frame) (string, error) {
	if f.text == nil || f.from.size == 0 {
		return replay.SafeLines(f.said), nil
	}
	e, err := f.from.read(t.file)
	if err != nil {
		return "", err
	}
	return f.text(e)
}

// Notes are what this program says of a frame, in lines, safe. They were not on the screen.
func (t *Tape) Notes(f Frame) (out []string, err error) {
	lines := f.loud
	if f.note != nil {
		e, err := f.from.read(t.file)
		if err != nil {
			return nil, err
		}
		told, err := f.note(e)
		if err != nil {
			return nil, err
		}
		lines = append(told, lines...)
	}
	for _, l := range lines {
		out = append(out, strings.TrimRight(replay.Safe(l), " "))
	}
	return out, nil
}

// framer cuts a session into frames.
type framer struct {
	tape   *Tape
	format int
	begin  time.Time
	before time.Duration // when the event before was recorded
	window bool          // there is a terminal

	planned   replay.Planned            // the last
	asked     []int                     // frames of the question that stands, in journals that tell what it says with the answer alone
	standing  string                    // the change about which a question stands, where journals tell that before the answer
	refused   int                       // the frame, counted from 1, of a refusal whose words are still to come
	predicted map[string][]replay.Count // where receipts are not recorded
}

func (c *framer) add(f Frame) {
	if n := len(c.tape.Frames); n > 0 {
		f.At = max(f.At, c.tape.Frames[n-1].At)
	}
	f.Label = replay.Safe(f.Label)
	c.tape.Frames = append(c.tape.Frames, f)
}

// step is what one event shows and says, and where it is.
type step struct {
	event replay.Event
	at    time.Duration
}

func (s step) shows(text func(replay.Event) (string, error)) Frame {
	return Frame{At: s.at, from: placeOf(s.event), text: text}
}

func (s step) says(note func(replay.Event) ([]string, error)) Frame {
	return Frame{At: s.at, from: placeOf(s.event), note: note}
}

// event adds the frames of one event.
func (c *framer) event(e replay.Event) error {
	if c.begin.IsZero() {
		c.begin = e.Time
	}
	s := step{e, e.Time.Sub(c.begin)}
	cut := cutters[e.Kind]
	if cut == nil {
		cut = (*framer).told
	}
	if e.Kind != replay.KindOutput {
		c.refused = 0
	}
	err := cut(c, s)
	c.before = s.at
	return err
}

// cutters are what the kinds of events become. What is not here is only told of.
var cutters = map[replay.Kind]func(*framer, step) error{
	replay.KindOpen:     (*framer).open,
	replay.KindScreen:   (*framer).screen,
	replay.KindReason:   (*framer).reason,
	replay.KindInput:    (*framer).input,
	replay.KindCommand:  (*framer).command,
	replay.KindPlanned:  (*framer).plan,
	replay.KindAsked:    (*framer).stands,
	replay.KindLooked:   (*framer).looked,
	replay.KindDecided:  (*framer).decided,
	replay.KindIntent:   (*framer).intent,
	replay.KindOutcome:  (*framer).outcome,
	replay.KindReceipt:  (*framer).receipt,
	replay.KindRefused:  (*framer).refusal,
	replay.KindOutput:   (*framer).output,
	replay.KindProgress: (*framer).silent,
}

func (c *framer) silent(step) error { return nil }

func (c *framer) told(s step) error {
	c.add(s.says(tell))
	return nil
}

func (c *framer) open(s step) error {
	var b replay.Open
	err := s.event.Decode(&b)
	c.format = b.Format
	c.add(s.says(tell))
	return err
}

func (c *framer) screen(s step) error {
	f := Frame{At: s.at}
	err := s.event.Decode(&f.Window)
	c.window = true
	c.add(f)
	return err
}

func (c *framer) reason(s step) error {
	var b replay.Reason
	err := s.event.Decode(&b)
	if b.Screen == "" {
		c.add(s.says(tell))
		return err
	}
	prompt := s.shows(painting(func(b replay.Reason) (string, string, string, string) { return "", b.Written, b.Screen, "" }))
	prompt.At = c.before
	c.add(prompt)
	answer := s.shows(showing(func(b replay.Reason) string { return b.Text + "\n" }))
	if b.Manner != "typed" {
		answer.note = telling(func(b replay.Reason) []string { return []string{"(" + b.Manner + ")"} })
	}
	c.add(answer)
	return err
}

// atKeyboard are the manners of what stood on the screen because it was entered there.
var atKeyboard = map[string]bool{"typed": true, "pasted": true, "recalled": true}

func (c *framer) input(s step) error {
	var b replay.Input
	if err := s.event.Decode(&b); err != nil {
		return err
	}
	c.asked = nil
	if b.Prompt == "" && !atKeyboard[b.Manner] {
		c.add(s.says(tell))
	} else {
		prompt := s.shows(showing(prompted))
		prompt.At = c.before
		c.add(prompt)
		entered := s.shows(showing(entered))
		if b.Manner != "typed" || b.Mode == "dropped" {
			entered.note = telling(func(b replay.Input) []string { return []string{"(" + manner(b) + ")"} })
		}
		c.add(entered)
	}
	if b.Mode == "run" && c.window && word(b.Text) == "cls" {
		c.add(Frame{At: s.at, Clear: true})
	}
	return nil
}

// word is an entry as the shell looks for its words.
func word(text string) string {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ";"))
}

// prompted is what stood before an entry. Older journals do not tell.
func prompted(b replay.Input) string {
	if b.Prompt == "" {
		return "> "
	}
	return b.Prompt
}

// entered is how an entry stood behind its prompt.
func entered(b replay.Input) string {
	if b.Screen != "" {
		return strings.TrimPrefix(b.Screen, b.Prompt)
	}
	return strings.ReplaceAll(b.Text, "\n", "\n... ") + "\n"
}

func (c *framer) command(s step) error {
	var b replay.Command
	err := s.event.Decode(&b)
	if err == nil && unguarded(b) {
		f := s.says(tell)
		f.Mark, f.Label = Write, "write: "+b.Name+" "+strings.Join(b.Namespaces, ", ")
		c.add(f)
	}
	return err
}

func (c *framer) plan(s step) error {
	c.planned, c.asked, c.standing = replay.Planned{}, nil, ""
	err := s.event.Decode(&c.planned)
	c.planned.Facts, c.planned.Counts = nil, nil
	c.add(s.says(tell))
	return err
}

// stands is a question, as it is shown first or again.
func (c *framer) stands(s step) error {
	var b replay.Asked
	if err := s.event.Decode(&b); err != nil {
		return err
	}
	f := s.shows(painting(func(b replay.Asked) (string, string, string, string) { return "", b.Written, b.Screen, "> " }))
	if c.standing != b.Change {
		c.question(&f, b.Change)
	}
	c.standing = b.Change
	c.add(f)
	return nil
}

// question marks the frame where a question is first shown.
func (c *framer) question(f *Frame, change string) {
	f.Mark, f.Label = Question, "question: "+change
	if c.planned.Change == change {
		f.Label = "question: " + c.planned.Summary
	}
}

// ask is the question that stands, as it is shown first or again, in journals without Asked.
func (c *framer) ask(change string, at time.Duration) {
	f := Frame{At: at, text: showing(func(b replay.Decided) string { return b.Screen + "> " })}
	if len(c.asked) == 0 {
		c.question(&f, change)
	}
	c.add(f)
	c.asked = append(c.asked, len(c.tape.Frames)-1)
}

func (c *framer) looked(s step) error {
	var b replay.Looked
	err := s.event.Decode(&b)
	live := c.standing == b.Change
	if len(c.asked) == 0 && !live {
		c.ask(b.Change, c.before)
	}
	look := s.shows(painting(func(b replay.Looked) (string, string, string, string) { return b.Asked + "\n", b.Written, b.Screen, "" }))
	look.At -= time.Duration(b.Since) * time.Microsecond
	c.add(look)
	if !live {
		c.ask(b.Change, look.At)
	}
	return err
}

func (c *framer) decided(s step) error {
	var b replay.Decided
	if err := s.event.Decode(&b); err != nil {
		return err
	}
	f := s.says(telling(answered))
	if b.Screen != "" {
		if len(c.asked) == 0 && c.standing != b.Change {
			c.ask(b.Change, c.before)
		}
		for _, i := range c.asked {
			c.tape.Frames[i].from = placeOf(s.event)
		}
		f.text = showing(func(b replay.Decided) string { return b.Answer + "\n" })
	}
	c.asked, c.standing = nil, ""
	if !b.Accepted && b.Why != anotherPlan {
		f.Mark, f.Label = Refusal, "refusal: "+b.Why
	}
	c.add(f)
	return nil
}

// anotherPlan is why an answer was not accepted that wished for a part of the plan, or for more to be looked at.
const anotherPlan = "asked for another plan"

func (c *framer) intent(s step) error {
	var b replay.Intent
	err := s.event.Decode(&b)
	f := s.says(tell)
	f.Mark, f.Label = Write, "write: "+b.Summary
	c.add(f)
	if c.format < recordsReceipts {
		if c.predicted == nil {
			c.predicted = map[string][]replay.Count{}
		}
		c.predicted[b.Change] = b.Counts
	}
	return err
}

// recordsReceipts is the first format of journals that have what was shown of outcomes and refusals. Before that it is said in the same words.
const recordsReceipts = 2

func (c *framer) outcome(s step) error {
	if c.format >= recordsReceipts {
		c.add(s.says(tell))
		return nil
	}
	var b replay.Outcome
	err := s.event.Decode(&b)
	c.add(Frame{At: s.at, said: "\n" + strings.Join(receipt(b, c.predicted[b.Change]), "\n") + "\n"})
	return err
}

func (c *framer) receipt(s step) error {
	c.add(s.shows(painting(func(b replay.Receipt) (string, string, string, string) { return "", b.Written, b.Screen, "" })))
	return nil
}

func (c *framer) refusal(s step) error {
	var b replay.Refused
	err := s.event.Decode(&b)
	first, _, _ := strings.Cut(b.Text, "\n")
	f := s.says(tell)
	f.Mark, f.Label = Refusal, "refusal: "+first
	if c.format < recordsReceipts {
		f.note, f.said = nil, strings.Join(append(block("refused: ", b.Text), hints(b.Hints)...), "\n")+"\n"
	}
	c.add(f)
	c.refused = len(c.tape.Frames)
	return err
}

func (c *framer) output(s step) error {
	var b replay.Output
	if err := s.event.Decode(&b); err != nil {
		return err
	}
	f := s.shows(painting(func(b replay.Output) (string, string, string, string) { return "", b.Written, b.Text, "" }))
	f.At -= time.Duration(b.Since) * time.Microsecond
	if b.Dropped > 0 {
		f.note = telling(leftOut)
	}
	if b.Text == "" && b.Dropped == 0 {
		return nil
	}
	if c.refused > 0 && b.Text != "" { // whoever looks for the refusal wants to read it
		r := &c.tape.Frames[c.refused-1]
		f.Mark, f.Label, r.Mark, r.Label = r.Mark, r.Label, "", ""
		c.refused = 0
	}
	c.add(f)
	return nil
}

// showing reads what a kind of event shows.
func showing[T any](f func(T) string) func(replay.Event) (string, error) {
	return func(e replay.Event) (string, error) {
		var b T
		err := e.Decode(&b)
		return replay.SafeLines(f(b)), err
	}
}

// painting reads what a kind of event shows: what stands before it, what it was, as it was written and as text, and what stands behind it.
func painting[T any](f func(T) (before, written, text, behind string)) func(replay.Event) (string, error) {
	return func(e replay.Event) (string, error) {
		var b T
		err := e.Decode(&b)
		before, written, text, behind := f(b)
		return replay.SafeLines(before) + replay.Painted(written, text) + replay.SafeLines(behind), err
	}
}
