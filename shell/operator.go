package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/plan"
	"respect/shell/render"
	"respect/shell/terminal"
)

// Operator is the person at a terminal. It implements guard.Operator.
type Operator struct {
	TTY   *terminal.TTY
	Err   io.Writer // receipts and progress go here
	Color bool
	// Screen is told the size of the terminal before a question is shown. May be nil.
	Screen func(columns, rows int)
	// Shown prints text to Err, and has it recorded.
	Shown func(text string)
	JSON  bool // notices are for a program
	// ErrShown says that Err is this terminal.
	ErrShown bool

	line progressLine
}

func (o *Operator) style() render.Style {
	w, h := o.TTY.Size()
	if o.Screen != nil {
		o.Screen(w, h)
	}
	return render.Style{Color: o.Color, Width: min(w, 200), Height: h}
}

// Ask implements guard.Operator. The text that is returned as Screen is what was shown first. What is looked at meanwhile confirms nothing: what is asked stands there
// again behind it, and everything before its answer is flushed as before.
func (o *Operator) Ask(ctx context.Context, q guard.Question) (guard.Answer, error) {
	o.line.clear(o.Err)
	text := "\n" + o.style().Plan(q.Plan, q.Environment, q.Phrase)
	screen := text
	for {
		if err := q.Shown(text); err != nil {
			return guard.Answer{Screen: screen, Manner: guard.Aborted}, err
		}
		a, err := o.TTY.Confirm(ctx, text, "> ")
		answer := guard.Answer{Text: a.Text, Manner: guard.Manner(a.Manner), Note: a.Note, Screen: screen}
		if err != nil || a.Manner != terminal.Typed {
			answer.Text = RedactInput(answer.Text) // what was pasted may be anything
			return answer, err
		}
		look, ok := lookFor(a.Text)
		if !ok {
			look, ok = misused(a.Text)
		}
		if !ok {
			return answer, nil
		}
		at := time.Now()
		seen, err := o.page(ctx, subject{plan: q.Plan, text: q.Text, state: stateAsked}, look)
		if err == nil {
			err = q.Looked(guard.Look{Asked: a.Text, Screen: seen, At: at})
		}
		if err != nil {
			return answer, err
		}
		text = "\n" + o.style().Again(q.Plan, q.Environment, q.Phrase)
	}
}

// page shows what somebody wants to look at, a screen at a time, and returns what was shown, with the answers between two screens.
func (o *Operator) page(ctx context.Context, x subject, look look) (string, error) {
	style := o.style()
	room := max(style.Height-3, 5)
	var shown strings.Builder
	n := 0
	show := func(line string) {
		fmt.Fprintln(o.TTY, line)
		shown.WriteString(line + "\n")
	}
	err := look(x, style, func(line string) error {
		rows := 1 + max(render.Width(line)-1, 0)/style.Width
		if n > 0 && n+rows > room {
			n = 0
			const more = "-- Enter shows more, q goes back to the question -- "
			a, err := o.TTY.ReadText(ctx, more, false)
			if err != nil {
				return err
			}
			shown.WriteString(more + a.Text + "\n")
			if a.Manner != terminal.Typed || strings.TrimSpace(a.Text) != "" {
				return errEnough
			}
		}
		n += rows
		show(line)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		show("error: " + render.SafeLines(err.Error()))
	}
	return shown.String(), nil
}

// Reason implements guard.Operator.
func (o *Operator) Reason(ctx context.Context, env environment.Environment) (guard.Answer, error) {
	o.line.clear(o.Err)
	s := o.style()
	asks := s.Columns("", 0, "What is this session for? A sentence or a ticket, for the record; it confirms nothing.")
	prompt := "\n" + s.Banner(env, "asks once a session") + "\n" + strings.Join(asks, "\n") + "\n> "
	a, err := o.TTY.ReadText(ctx, prompt, false)
	return guard.Answer{Text: a.Text, Manner: guard.Manner(a.Manner), Screen: prompt}, err
}

// Progress implements guard.Operator. While a change runs, p pauses it, r goes on, and s, twice, stops it after the running batch.
func (o *Operator) Progress(p guard.Progress) guard.Control {
	if !p.Planning && p.Elapsed >= quiet || p.Paused || p.Waiting != "" {
		key, alone := o.TTY.Pressed()
		if o.line.keys.press(key, alone, time.Now()); o.line.keys.state == stops {
			o.line.clear(o.Err)
			return guard.Stop
		}
	}
	w, _ := o.TTY.Size()
	p.Paused = p.Paused && o.line.keys.state != runs
	o.line.show(o.Err, p, w)
	if o.line.keys.state != runs && (p.Total == 0 || p.Done < p.Total) { // of nothing that is left there is nothing to pause
		return guard.Pause
	}
	return guard.Go
}

// keys is what the keys of a running change have come to.
type keys struct {
	state, before keyState // before the last key
	last          time.Time
}

type keyState uint8

const (
	runs   keyState = iota
	pauses          // until r
	asks            // whether s was meant
	stops
)

// typing is how soon one key follows another where somebody types a line. Its letters mean nothing.
const typing = 400 * time.Millisecond

// press takes a key; 0 is none. A letter that others follow at once was none of these keys: what it did is taken back.
func (k *keys) press(key rune, alone bool, now time.Time) {
	if key == 0 {
		return
	}
	follows := now.Sub(k.last) < typing
	k.last = now
	if follows || !alone {
		k.state = k.before
		return
	}
	k.before = k.state
	switch {
	case k.state == asks && (key == 's' || key == 'S'):
		k.state = stops
	case k.state == asks:
		k.state = runs
	case key == 's' || key == 'S':
		k.state = asks
	case key == 'p' || key == 'P':
		k.state = pauses
	case key == 'r' || key == 'R':
		k.state = runs
	}
}

// Notice implements guard.Operator.
func (o *Operator) Notice(text string) {
	o.line.clear(o.Err)
	if o.Shown != nil {
		o.Shown(o.folded(noticeText(text, o.JSON)))
	}
}

// noticeText is a notice as it is written to standard error: a line, or, to a program, an object on a line.
func noticeText(text string, asJSON bool) string {
	if !asJSON {
		return render.SafeLines(text) + "\n"
	}
	b, err := json.Marshal(struct {
		Notice string `json:"notice"`
	}{text})
	if err != nil {
		panic("shell: internal error: " + err.Error())
	}
	return EscapeJSON(string(b)) + "\n"
}

// Receipt implements guard.Operator.
func (o *Operator) Receipt(r guard.Receipt) string {
	o.line.clear(o.Err)
	o.line = progressLine{}
	text := o.folded(receipt(o.style(), r))
	fmt.Fprint(o.Err, text)
	return text
}

// folded is text as wide as the terminal, if it is shown there, and to a person.
func (o *Operator) folded(text string) string {
	if !o.ErrShown || o.JSON {
		return text
	}
	w, _ := o.TTY.Size()
	return render.Fold(text, w)
}

// receipt is a receipt as it is shown.
func receipt(s render.Style, r guard.Receipt) string {
	return s.Receipt(render.Receipt{
		Environment: r.Environment, Deployment: r.Deployment, Change: r.Change, Status: r.Status, Predicted: r.Predicted, Actual: r.Actual,
		Skipped: r.Skipped, Alarm: r.Alarm, Error: r.Error, Undoes: r.Undoes, Took: r.Took, Batches: r.Batches, ReadBack: r.ReadBack, Resumable: r.Resumable,
	})
}

// Present implements guard.Operator.
func (o *Operator) Present() bool { return true }

// quiet is how long something may take before its progress is shown: what is over sooner needs none.
const quiet = 700 * time.Millisecond

// progressLine is one line on a terminal that is written again and again.
type progressLine struct {
	at   time.Duration // of what was shown last, by the clock of what runs
	text string
	keys keys
}

func (l *progressLine) show(w io.Writer, p guard.Progress, width int) {
	if p.Elapsed < quiet && !p.Paused && p.Waiting == "" {
		return
	}
	const often = 200 * time.Millisecond
	line := progressText(p)
	if l.keys.state == asks {
		line = fmt.Sprintf("STOP after %s of %s documents? s again stops, any other key goes on", plan.Number(p.Done), plan.Number(p.Total))
	}
	text := render.Cut(render.Safe(line), width-1)
	if text == l.text || p.Elapsed-l.at < often && p.Elapsed >= l.at && !p.Paused {
		return
	}
	l.at, l.text = p.Elapsed, text
	fmt.Fprintf(w, "\r%s\x1b[K", text)
}

func (l *progressLine) clear(w io.Writer) {
	if l.text != "" {
		fmt.Fprint(w, "\r\x1b[K")
		l.text = ""
	}
}

// progressText is where something stands, in one line: the most important first, since it may be cut.
func progressText(p guard.Progress) string {
	left := ""
	if p.Left > 0 {
		left = fmt.Sprintf(", about %v left", round(p.Left))
	}
	switch {
	case p.Planning && p.Total > p.Done:
		return fmt.Sprintf("looking at %s of about %s documents, %s%s. Nothing is changed yet; Ctrl-C stops", plan.Number(p.Done), plan.Number(p.Total), render.Bytes(p.Bytes), left)
	case p.Planning:
		return fmt.Sprintf("looking at documents: %s, %s. Nothing is changed yet; Ctrl-C stops", plan.Number(p.Done), render.Bytes(p.Bytes))
	case p.Paused:
		return fmt.Sprintf("PAUSED after %s of %s documents: r goes on, s stops", plan.Number(p.Done), plan.Number(p.Total))
	case p.Waiting != "":
		return fmt.Sprintf("waiting after %s of %s documents: %s", plan.Number(p.Done), plan.Number(p.Total), p.Waiting)
	case p.What != "" && p.Total > 0:
		return fmt.Sprintf("%s: %s of %s%s. s stops", p.What, plan.Number(p.Done), plan.Number(p.Total), left)
	case p.What != "" && p.Elapsed > 0:
		return fmt.Sprintf("%s, for %v. s stops", p.What, round(p.Elapsed))
	case p.What != "":
		return p.What
	}
	return fmt.Sprintf("%s of %s documents, %s/s%s: p pauses, s stops", plan.Number(p.Done), plan.Number(p.Total), plan.Number(int64(p.Rate)), left)
}

func round(d time.Duration) time.Duration {
	if d < time.Minute {
		return max(d.Round(time.Second), time.Second)
	}
	return d.Round(10 * time.Second)
}

// Silent is nobody: it prints receipts and cannot be asked. It implements guard.Operator.
type Silent struct {
	Err   io.Writer
	Style render.Style
	JSON  bool // notices are for a program
}

// Present implements guard.Operator.
func (*Silent) Present() bool { return false }

// Ask implements guard.Operator.
func (*Silent) Ask(context.Context, guard.Question) (guard.Answer, error) {
	return guard.Answer{}, errNobody
}

// Reason implements guard.Operator.
func (*Silent) Reason(context.Context, environment.Environment) (guard.Answer, error) {
	return guard.Answer{}, errNobody
}

var errNobody = errors.New("there is no terminal")

// Progress implements guard.Operator.
func (*Silent) Progress(guard.Progress) guard.Control { return guard.Go }

// Notice implements guard.Operator.
func (o *Silent) Notice(text string) {
	if o.JSON {
		fmt.Fprint(o.Err, noticeText(text, true))
	}
}

// Receipt implements guard.Operator.
func (o *Silent) Receipt(r guard.Receipt) string {
	text := receipt(o.Style, r)
	fmt.Fprint(o.Err, text)
	return text
}
