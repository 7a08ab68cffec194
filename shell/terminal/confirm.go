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
	maxAnswer  = 500                    // characters
	escapeWait = 25 * time.Millisecond  // after Escape, for the rest of a sequence
)

// reader is what Confirm needs of a TTY.
type reader interface {
	io.Writer
	raw() error
	read(time.Duration) ([]byte, error)
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
	came, quiet, err := untilSilent(ctx, t, now)
	if err != nil {
		return a, err
	}
	if !quiet {
		return Answer{Text: droppedText("", came), Manner: Pasted, Note: "input did not stop coming while the question was shown"}, nil
	}
	if err := echo(t, prompt); err != nil {
		return a, fmt.Errorf("the terminal cannot be asked: %w", err)
	}
	a, err = answer(ctx, t, tok, now)
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

// untilSilent drops input until none comes for a while, and returns what came. quiet is false if that does not happen in time.
func untilSilent(ctx context.Context, t reader, now func() time.Time) (came []byte, quiet bool, err error) {
	start := now()
	last := start
	for now().Sub(last) < silence {
		if now().Sub(start) > noSilence {
			return came, false, nil
		}
		if ctx.Err() != nil {
			return came, true, nil
		}
		b, err := t.read(silence / 6)
		if err != nil {
			return came, false, err
		}
		if len(b) > 0 {
			came = append(came, b[:min(len(b), maxCame-len(came))]...)
			last = now()
		}
	}
	return came, true, nil
}

// answer reads keys until Enter.
func answer(ctx context.Context, t reader, tok *tokenizer, now func() time.Time) (Answer, error) {
	var text []rune
	var last time.Time
	lastKey, quick := now(), 0
	var b []byte // what came last
	pasted := func(why string) (Answer, error) {
		return Answer{Text: string(text), Manner: Pasted, Note: why, came: b}, nil
	}
	for {
		switch {
		case ctx.Err() != nil:
			return Answer{Text: string(text), Manner: Aborted, Note: "interrupted"}, nil
		case now().Sub(lastKey) > patience:
			return Answer{Text: string(text), Manner: TimedOut}, nil
		}
		var err error
		b, err = t.read(100 * time.Millisecond)
		if err == io.EOF {
			return Answer{Text: string(text), Manner: Aborted, Note: "the terminal was closed"}, nil
		}
		if err != nil {
			return Answer{}, err
		}
		tokens := tok.feed(b)
		if len(b) == 0 {
			tokens = tok.flush()
			if len(tokens) == 0 {
				continue
			}
		} else {
			at := now()
			if !last.IsZero() && at.Sub(last) < fast {
				quick++
			}
			last, lastKey = at, at
		}
		switch {
		case tok.pasting, len(tokens) > 0 && tokens[0].Kind == Paste:
			return pasted("it was pasted")
		case len(tokens) > 1:
			return pasted("more than one key came at once")
		case quick >= 2:
			return pasted("the keys came faster than fingers are")
		case len(tokens) == 0:
			continue
		}
		switch k := tokens[0]; {
		case k.Kind == Rune && len(text) < maxAnswer:
			text = append(text, k.Rune)
			err = echo(t, string(k.Rune))
		case k.Kind == Control && (k.Rune == '\r' || k.Rune == '\n'):
			return Answer{Text: string(text), Manner: Typed}, nil
		case k.Kind == Control && (k.Rune == CtrlC || k.Rune == CtrlD || k.Rune == Escape):
			return Answer{Text: string(text), Manner: Aborted, Note: "declined"}, nil
		case k.Kind == Control && (k.Rune == Backspace || k.Rune == 0x08) && len(text) > 0:
			text = text[:len(text)-1]
			err = echo(t, "\b \b")
		case k.Kind == Control && k.Rune == CtrlU:
			err = echo(t, strings.Repeat("\b \b", len(text)))
			text = nil
		}
		if err != nil {
			return Answer{}, err
		}
	}
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
