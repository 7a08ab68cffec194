package terminal

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Manner says how an answer came.
type Manner string

// The manners.
const (
	Typed    Manner = "typed"
	Pasted   Manner = "pasted"
	Aborted  Manner = "aborted"
	TimedOut Manner = "timeout"
)

// Answer is what was answered.
type Answer struct {
	Text   string // of a paste too: for the record
	Manner Manner
	Note   string // why it was taken as pasted, or aborted

	came []byte // with which it turned out to be pasted
}

const (
	silence    = 300 * time.Millisecond // that must pass before a question can be answered
	noSilence  = 10 * time.Second       // after this long without it the question is refused
	patience   = 2 * time.Minute        // without a key
	fast       = 12 * time.Millisecond  // between two keys of a finger there is more
	finger     = 40 * time.Millisecond  // a key, for as long as somebody types that fast
	look       = 10 * time.Millisecond  // how long one look for keys waits
	stall      = 40 * time.Millisecond  // a look that took longer was kept from looking
	maxAnswer  = 500                    // characters
	escapeWait = 25 * time.Millisecond  // after Escape, for the rest of a sequence
)

// reader is what Confirm needs of a TTY.
type reader interface {
	io.Writer
	raw() error
	read(time.Duration) ([]byte, error)
	// arrive is read that tells when what it brings came at the earliest, from, and at the latest, to. When it brings nothing, nothing was there at from.
	arrive(time.Duration) (b []byte, from, to time.Time, err error)
	discard() error
	Busy() error
}

// Confirm shows a question and reads the answer, key by key. Nothing that was there before the question counts: what was typed
// ahead is flushed, and only after a silence keys are taken; then the prompt appears. The answer is compared by somebody else.
func (t *TTY) Confirm(ctx context.Context, question, prompt string) (Answer, error) {
	return confirm(ctx, t, &t.tok, question, prompt, time.Now)
}

func confirm(ctx context.Context, t reader, tok *tokenizer, question, prompt string, now func() time.Time) (a Answer, err error) {
	if err := t.raw(); err != nil {
		return a, fmt.Errorf("the terminal cannot be asked: %w", err)
	}
	defer func() {
		if berr := t.Busy(); err == nil {
			err = berr
		}
	}()
	if _, err := io.WriteString(t, question+"\x1b[?2004h"); err != nil {
		return a, fmt.Errorf("the terminal cannot be asked: %w", err)
	}
	defer func() {
		if _, werr := io.WriteString(t, "\x1b[?2004l\r\n"); err == nil {
			err = werr
		}
	}()
	if err := t.discard(); err != nil {
		return a, fmt.Errorf("the terminal cannot be asked: %w", err)
	}
	var came []byte
	for again := true; again && err == nil; {
		var quiet bool
		if came, quiet, err = untilSilent(ctx, t, now); err != nil {
			return a, err
		}
		if !quiet {
			return Answer{Text: droppedText("", came), Manner: Pasted, Note: "input did not stop coming while the question was shown"}, nil
		}
		if err := echo(t, prompt); err != nil {
			return a, fmt.Errorf("the terminal cannot be asked: %w", err)
		}
		if a, again, err = answer(ctx, t, tok, now); again && err == nil {
			*tok = tokenizer{}
			err = echo(t, "\r\n"+busy+"\r\n")
		}
	}
	if err == nil && a.Manner == Pasted {
		came, _, err = untilSilent(ctx, t, now) // the rest of the paste must not become a command
		a.Text = droppedText(a.Text, append(a.came, came...))
		*tok = tokenizer{}
	}
	return a, err
}

// droppedText is what was pasted, as a text for the record: behind what stood there already, without the marks that the terminal puts around it, and shortened.
func droppedText(stood string, came []byte) string {
	const most = 4 << 10
	text := strings.NewReplacer("\x1b[200~", "", "\x1b[201~", "", "\r\n", "\n", "\r", "\n").Replace(string(came))
	text = strings.ToValidUTF8(stood+strings.TrimRight(text, "\n"), "\ufffd")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("… %d bytes more", len(text)-most)
	}
	return text
}

// maxCame bounds what is kept of input that is dropped.
const maxCame = 64 << 10

// busy is what is said when keys came in a way that may be typing on a machine that had no time for them, and may be something else. It confirms nothing, and declines
// nothing.
const busy = "This machine was busy, and several keys came at once: please type it again, a little slower."

// untilSilent drops input until none comes for a while, and returns what came. quiet is false if that does not happen in time. Of a silence counts only what was
// listened to.
func untilSilent(ctx context.Context, t reader, now func() time.Time) (came []byte, quiet bool, err error) {
	start := now()
	last, heard := start, start
	for heard.Sub(last) < silence {
		if now().Sub(start) > noSilence {
			return came, false, nil
		}
		if ctx.Err() != nil {
			return came, true, nil
		}
		b, from, to, err := t.arrive(silence / 6)
		switch {
		case err != nil:
			return came, false, err
		case len(b) > 0:
			came = append(came, b[:min(len(b), maxCame-len(came))]...)
			last, heard = to, to
		default:
			heard = from
		}
	}
	return came, true, nil
}

// typing is what an answer has come to, and how.
//
// A key says only that it is there. When it was pressed is known as far as the reader looked: not before the last look that found nothing, not after the one that found it. A
// reader that is kept waiting by a busy machine finds several keys of a person who typed one after the other. So what came in one look is judged
// by what could have been typed in that time, and by what else came: Enter counts only where it came alone, and at least half of the answer must have come key by key.
// What was prepared comes faster than that, or all of it at once.
type typing struct {
	text     []rune
	grouped  int       // keys that came in company
	from, to time.Time // of what came last
	quick    int
}

// together judges keys that came at once. pasted is why they were not typed; again says that they may have been, and do not count.
func (y *typing) together(tokens []Token, from, to time.Time) (pasted string, again bool) {
	switch took := to.Sub(from); {
	case took <= stall:
		return "more than one key came at once", false
	case took < finger*time.Duration(len(tokens)):
		return "the keys came faster than fingers are", false
	}
	for _, k := range tokens {
		if k.Kind != Rune && !(k.Kind == Control && isErase(k.Rune)) {
			return "", true
		}
	}
	y.grouped += len(tokens)
	return "", false
}

// alone judges a key that came alone: it says whether keys come faster than fingers are, even if each came as early, or as late, as it can have.
func (y *typing) alone(from, to time.Time) (tooFast bool) {
	before := y.to
	if y.to.Sub(y.from) > stall {
		before = y.from
	}
	if !y.to.IsZero() && to.Sub(before) < fast {
		y.quick++
	}
	return y.quick >= 2
}

func isErase(r rune) bool { return r == Backspace || r == 0x08 || r == CtrlU }

// answer reads keys until Enter. again says that they must be typed once more.
func answer(ctx context.Context, t reader, tok *tokenizer, now func() time.Time) (a Answer, again bool, err error) {
	var y typing
	lastKey := now()
	end := func(m Manner, note string) (Answer, bool, error) {
		return Answer{Text: string(y.text), Manner: m, Note: note}, false, nil
	}
	for {
		switch {
		case ctx.Err() != nil:
			return end(Aborted, "interrupted")
		case now().Sub(lastKey) > patience:
			return end(TimedOut, "")
		}
		b, from, to, err := t.arrive(look)
		if err == io.EOF {
			return end(Aborted, "the terminal was closed")
		}
		if err != nil {
			return Answer{}, false, err
		}
		tokens := tok.feed(b)
		if len(b) == 0 {
			if !tok.waiting() || now().Sub(lastKey) < escapeWait {
				continue
			}
			tokens = tok.flush()
		}
		why, repeat := "", false
		switch {
		case tok.pasting, len(tokens) > 0 && tokens[0].Kind == Paste:
			why = "it was pasted"
		case declines(tokens) && (len(tokens) == 1 || to.Sub(from) > stall):
			return end(Aborted, "declined")
		case len(tokens) > 1:
			why, repeat = y.together(tokens, from, to)
		case len(b) > 0 && y.alone(from, to):
			why = "the keys came faster than fingers are"
		}
		if len(b) > 0 {
			y.from, y.to, lastKey = from, to, to
		}
		if why != "" {
			return Answer{Text: string(y.text), Manner: Pasted, Note: why, came: b}, false, nil
		}
		if repeat {
			return Answer{}, true, nil
		}
		for _, k := range tokens {
			if k.Kind == Control && (k.Rune == '\r' || k.Rune == '\n') {
				if 2*y.grouped > len(y.text) {
					return Answer{}, true, nil
				}
				return end(Typed, "")
			}
			if err := echo(t, y.take(k)); err != nil {
				return Answer{}, false, err
			}
		}
	}
}

// declines says whether a key among these says no.
func declines(tokens []Token) bool {
	for _, k := range tokens {
		if k.Kind == Control && (k.Rune == CtrlC || k.Rune == CtrlD || k.Rune == Escape) {
			return true
		}
	}
	return false
}

// take takes a key into the text, and returns what it draws.
func (y *typing) take(k Token) string {
	switch {
	case k.Kind == Rune && len(y.text) < maxAnswer:
		y.text = append(y.text, k.Rune)
		return string(k.Rune)
	case k.Kind == Control && (k.Rune == Backspace || k.Rune == 0x08) && len(y.text) > 0:
		y.text = y.text[:len(y.text)-1]
		return "\b \b"
	case k.Kind == Control && k.Rune == CtrlU:
		n := len(y.text)
		y.text, y.grouped = nil, 0
		return strings.Repeat("\b \b", n)
	}
	return ""
}

func echo(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

// ReadText reads a line that may be pasted: a reason, for example. hidden echoes nothing, for a password. An answer that was aborted has what stood there.
func (t *TTY) ReadText(ctx context.Context, prompt string, hidden bool) (Answer, error) {
	if err := t.raw(); err != nil {
		return Answer{}, fmt.Errorf("the terminal cannot be asked: %w", err)
	}
	a, err := readText(ctx, t, &t.tok, prompt, hidden)
	if berr := t.Busy(); err == nil {
		err = berr
	}
	return a, err
}

func readText(ctx context.Context, t reader, tok *tokenizer, prompt string, hidden bool) (Answer, error) {
	if err := echo(t, prompt+"\x1b[?2004h"); err != nil {
		return Answer{}, err
	}
	defer func() { _ = echo(t, "\x1b[?2004l\r\n") }() // the answer is there already
	var text []rune
	manner := Typed
	add := func(s string) error {
		text = append(text, []rune(s)...)
		if hidden {
			return nil
		}
		return echo(t, s)
	}
	aborted := func(note string) (Answer, error) {
		if hidden {
			text = nil
		}
		return Answer{Text: string(text), Manner: Aborted, Note: note}, nil
	}
	for {
		if ctx.Err() != nil {
			return aborted("")
		}
		b, err := t.read(100 * time.Millisecond)
		if err == io.EOF {
			return aborted("the terminal was closed")
		}
		if err != nil {
			return Answer{}, err
		}
		tokens := tok.feed(b)
		if len(b) == 0 {
			tokens = tok.flush()
		}
		for _, k := range tokens {
			switch {
			case k.Kind == Rune && len(text) < maxAnswer:
				err = add(string(k.Rune))
			case k.Kind == Paste:
				manner = Pasted
				err = add(oneLine(k.Text))
			case k.Kind == Control && (k.Rune == '\r' || k.Rune == '\n'):
				return Answer{Text: string(text), Manner: manner}, nil
			case k.Kind == Control && (k.Rune == CtrlC || k.Rune == CtrlD || k.Rune == Escape):
				return aborted("")
			case k.Kind == Control && (k.Rune == Backspace || k.Rune == 0x08) && len(text) > 0:
				text = text[:len(text)-1]
				if !hidden {
					err = echo(t, "\b \b")
				}
			}
			if err != nil {
				return Answer{}, err
			}
		}
	}
}

// oneLine is pasted text without what a line cannot hold.
func oneLine(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError || invisible(r):
		default:
			b.WriteRune(r)
		}
		if b.Len() > maxAnswer {
			break
		}
	}
	return strings.TrimSpace(b.String())
}
