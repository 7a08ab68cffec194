package terminal

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	prompt "github.com/c-bata/go-prompt"
)

// Suggestion is one line of the completion menu.
type Suggestion struct{ Text, Help string }

// Line is what was entered at the prompt.
type Line struct {
	Text   string
	Row    string // as it stands on the screen, behind the prompt: the lines of a paste are one row
	Manner string // typed, pasted, recalled
}

// Prompt is what stands before the input.
type Prompt struct {
	Text  string
	Color Color
}

// Color of a prompt.
type Color uint8

// The colours, by what they are for.
const (
	Plain      Color = iota
	Danger           // production and unknown
	Caution          // staging
	Calm             // development
	maxHistory = 1000
)

// ErrInterrupted is the error of a line that was dropped with Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

// newline stands for a line break inside a line that is being edited: the editor draws one row.
const newline = '\u23ce'

// Editor reads lines with go-prompt. It belongs to one goroutine; Refresh may be called from any.
type Editor struct {
	tty      *TTY
	colors   bool
	complete func(text string) []Suggestion
	history  []string

	p      *prompt.Prompt
	left   string // what stood in a line that was left with Ctrl-C
	keys   *keyReader
	screen *screen
	menu   menu
}

// menu is what go-prompt shows, kept still while an entry is selected: it crashes when the list becomes shorter then.
// go-prompt asks for it in one goroutine and reads keys in another.
type menu struct {
	mu       sync.Mutex
	items    []prompt.Suggest
	selected bool
	search   bool // Ctrl-R: the menu lists the history
}

func (m *menu) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items, m.selected, m.search = nil, false, false
}

// NewEditor makes an editor on a terminal. complete is called for each key with the text before the cursor and must answer at once.
func NewEditor(tty *TTY, colors bool, history []string, complete func(text string) []Suggestion) *Editor {
	e := &Editor{tty: tty, colors: colors, complete: complete, history: history}
	e.screen = &screen{w: tty, colors: colors}
	e.keys = &keyReader{e: e}
	e.p = prompt.New(func(string) {}, e.suggest,
		prompt.OptionParser(e.keys), prompt.OptionWriter(e.screen), prompt.OptionMaxSuggestion(8),
		prompt.OptionCompletionWordSeparator(separators), prompt.OptionBreakLineCallback(e.broken), prompt.OptionSetExitCheckerOnInput(func(string, bool) bool { return e.keys.leave }),
		prompt.OptionSuggestionBGColor(prompt.DarkGray), prompt.OptionSuggestionTextColor(prompt.White),
		prompt.OptionDescriptionBGColor(prompt.DarkGray), prompt.OptionDescriptionTextColor(prompt.LightGray),
		prompt.OptionSelectedSuggestionBGColor(prompt.LightGray), prompt.OptionSelectedSuggestionTextColor(prompt.Black),
		prompt.OptionSelectedDescriptionBGColor(prompt.LightGray), prompt.OptionSelectedDescriptionTextColor(prompt.Black),
		prompt.OptionScrollbarBGColor(prompt.DarkGray), prompt.OptionPreviewSuggestionTextColor(prompt.DefaultColor),
		prompt.OptionAddKeyBind(prompt.KeyBind{Key: prompt.ControlRight, Fn: wordRight}, prompt.KeyBind{Key: prompt.ControlLeft, Fn: wordLeft}),
	)
	return e
}

// separators end the word that a completion replaces.
const separators = " .(){}[],;:'\"\n\u23ce"

// Refresh draws the menu again, because there is more to suggest.
func (e *Editor) Refresh() { e.keys.refresh.Store(true) }

// History is what was entered, oldest first.
func (e *Editor) History() []string { return e.history }

// broken is told of each line that has ended. A line that is left is drawn by go-prompt once more, empty: that is not shown.
func (e *Editor) broken(d *prompt.Document) {
	if e.keys.leave && !e.screen.muted.Swap(true) {
		e.left = d.Text
	}
}

// ReadLine reads one line. It returns io.EOF for Ctrl-D on an empty line and when the terminal is gone, and ErrInterrupted with what stood there for Ctrl-C.
func (e *Editor) ReadLine(ctx context.Context, p Prompt) (Line, error) {
	if err := e.tty.raw(); err != nil {
		return Line{}, err
	}
	defer func() { _ = e.tty.Busy() }() // the line is read; the next use of the terminal reports what is wrong with it
	winch := make(chan os.Signal, 1)
	notifyResize(winch)
	defer signal.Stop(winch)
	e.apply(prompt.OptionPrefix(p.Text), prompt.OptionHistory(append([]string(nil), e.history...)), prompt.OptionPrefixTextColor(promptColor(p.Color)))
	e.keys.begin(ctx, winch)
	e.menu.reset()
	e.left = ""
	_ = echo(e.tty, "\x1b[?2004h")
	defer func() { _ = echo(e.tty, "\x1b[?2004l") }()
	for {
		text := e.p.Input()
		e.screen.muted.Store(false)
		switch {
		case e.keys.resized:
			e.keys.resized, e.keys.leave, e.keys.done = false, false, false
			_ = echo(e.tty, "\r\x1b[J")
			continue
		case e.keys.err != nil:
			return Line{}, e.keys.err
		case e.keys.last == CtrlC:
			return e.line(e.left), ErrInterrupted
		case e.keys.last == CtrlD && text == "":
			return Line{Manner: "typed"}, io.EOF
		}
		return e.line(text), nil
	}
}

func (e *Editor) line(text string) Line {
	row := text
	text = strings.ReplaceAll(text, string(newline), "\n")
	l := Line{Text: text, Row: row, Manner: "typed"}
	switch {
	case e.keys.pasted:
		l.Manner = "pasted"
	case e.keys.recalled && contains(e.history, text):
		l.Manner = "recalled"
	}
	return l
}

// Remember adds a line to the history.
func (e *Editor) Remember(text string) {
	text = strings.ReplaceAll(text, "\n", string(newline))
	if strings.TrimSpace(text) == "" || (len(e.history) > 0 && e.history[len(e.history)-1] == text) {
		return
	}
	e.history = append(e.history, text)
	if len(e.history) > maxHistory {
		e.history = e.history[len(e.history)-maxHistory:]
	}
}

func contains(list []string, text string) bool {
	text = strings.ReplaceAll(text, "\n", string(newline))
	for _, s := range list {
		if s == text {
			return true
		}
	}
	return false
}

func (e *Editor) apply(opts ...prompt.Option) {
	for _, o := range opts {
		if err := o(e.p); err != nil {
			panic("terminal: internal error: " + err.Error())
		}
	}
}

// suggest is go-prompt's completer. It is called twice a key, once with an empty document, always from the goroutine of Input.
func (e *Editor) suggest(d prompt.Document) []prompt.Suggest {
	m := &e.menu
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.selected {
		return m.items
	}
	words := separators
	if m.search {
		words = "\x00" // a suggestion replaces the whole line
	}
	e.apply(prompt.OptionCompletionWordSeparator(words))
	text := d.TextBeforeCursor()
	m.items = nil
	switch {
	case m.search:
		for i := len(e.history) - 1; i >= 0 && len(m.items) < 50; i-- {
			if strings.Contains(e.history[i], text) {
				m.items = append(m.items, prompt.Suggest{Text: e.history[i]})
			}
		}
	case text != "":
		for _, s := range e.complete(strings.ReplaceAll(text, string(newline), "\n")) {
			m.items = append(m.items, prompt.Suggest{Text: s.Text, Description: s.Help})
		}
	}
	return m.items
}

// keyReader gives go-prompt one key a read. It implements prompt.ConsoleParser.
type keyReader struct {
	e       *Editor
	ctx     context.Context
	winch   <-chan os.Signal
	refresh atomic.Bool

	// What happened in this line. Input reads leave when it has received the key that was pushed behind it; the rest is read when it has returned.
	leave    bool // Input is to return
	done     bool // the key that ends the line was handed out: what follows belongs to the next one
	resized  bool
	pasted   bool
	recalled bool
	last     rune
	err      error

	mu sync.Mutex // go-prompt reads in a goroutine, which has ended when Input returns
}

func (k *keyReader) begin(ctx context.Context, winch <-chan os.Signal) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ctx, k.winch = ctx, winch
	k.leave, k.done, k.resized, k.pasted, k.recalled, k.last, k.err = false, false, false, false, false, 0, nil
}

// Setup implements prompt.ConsoleParser. The terminal's mode is ours.
func (k *keyReader) Setup() error { return nil }

// TearDown implements prompt.ConsoleParser.
func (k *keyReader) TearDown() error { return nil }

// GetWinSize implements prompt.ConsoleParser. go-prompt erases the screen of a window that it finds too low, and divides by the width.
func (k *keyReader) GetWinSize() *prompt.WinSize {
	w, _ := k.e.tty.Size()
	return &prompt.WinSize{Row: 10000, Col: uint16(min(max(w, 20), 10000))}
}

var redraw = []byte{0x1b, '[', 'E'} // go-prompt's key Ignore: it draws again and does nothing

// Read implements prompt.ConsoleParser: the bytes of one key, as go-prompt knows it.
func (k *keyReader) Read() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.done {
		return nil, errNothing
	}
	in := &k.e.tty.input
	if len(in.queue) == 0 {
		k.fill()
	}
	if len(in.queue) == 0 {
		return nil, errNothing
	}
	b := in.queue[0]
	in.queue = in.queue[1:]
	k.done = k.leave || (len(b) == 1 && b[0] == '\r')
	return b, nil
}

var errNothing = errors.New("nothing was typed")

func (k *keyReader) fill() {
	select {
	case <-k.ctx.Done():
		k.stop(io.EOF)
		return
	case <-k.winch:
		k.resized, k.leave = true, true
		k.e.screen.muted.Store(true)
		k.push(redraw)
		return
	default:
	}
	b, err := k.e.tty.read(20 * time.Millisecond)
	if err != nil {
		k.stop(io.EOF)
		return
	}
	t := &k.e.tty.tok
	if len(b) == 0 {
		if t.waiting() && !t.pasting {
			k.take(t.flush(), false)
		} else if k.refresh.Swap(false) {
			k.e.menu.mu.Lock()
			still := k.e.menu.selected
			k.e.menu.mu.Unlock()
			if !still {
				k.push(redraw)
			}
		}
		return
	}
	k.take(t.feed(b), true)
}

func (k *keyReader) stop(err error) {
	k.err, k.leave = err, true
	k.push(redraw)
}

func (k *keyReader) push(b []byte) { k.e.tty.queue = append(k.e.tty.queue, b) }

// take turns tokens into keys. Several lines in one read are a paste without brackets: they become one entry, and run after a real Enter.
func (k *keyReader) take(tokens []Token, fromRead bool) {
	for i, t := range tokens {
		enter := t.Kind == Control && (t.Rune == '\r' || t.Rune == '\n')
		if enter && fromRead && (i < len(tokens)-1 || k.more()) {
			k.pasted = true
			k.push([]byte(string(newline)))
			continue
		}
		k.one(t)
	}
}

// enterHold is how long Enter waits for what would show that it is part of a paste.
const enterHold = 25 * time.Millisecond

// more says whether more input follows at once; it is read again.
func (k *keyReader) more() bool {
	b, err := k.e.tty.read(enterHold)
	if err != nil || len(b) == 0 {
		return false
	}
	k.e.tty.unread(b)
	return true
}

func (k *keyReader) one(t Token) {
	m := &k.e.menu
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.selected
	m.selected = false
	switch t.Kind {
	case Rune:
		k.push([]byte(string(t.Rune)))
	case Paste:
		k.pasted = true
		if text := pastedText(t.Text); text != "" {
			k.push([]byte(text))
		}
	case Named:
		k.named(t.Seq, was)
	case Control:
		k.control(t.Rune, was)
	}
	if t.Kind == Control || t.Kind == Rune {
		k.last = t.Rune
	} else {
		k.last = 0
	}
}

func (k *keyReader) named(seq []byte, wasSelected bool) {
	m := &k.e.menu
	switch string(seq) {
	case "\x1b[A", "\x1b[B":
		m.selected = wasSelected
		k.recalled = k.recalled || !wasSelected
	case "\x1b[Z":
		m.selected = len(m.items) > 0
	}
	k.push(seq)
}

func (k *keyReader) control(r rune, wasSelected bool) {
	m := &k.e.menu
	switch r {
	case '\r', '\n':
		m.search = false
		if wasSelected { // Enter takes the suggestion, and does not run it
			k.push(redraw)
			return
		}
		k.push([]byte{'\r'})
	case Tab:
		m.selected = len(m.items) > 0
		k.push([]byte{Tab})
	case CtrlR:
		m.search, k.recalled = true, true
		k.push(redraw)
	case CtrlC:
		k.leave = true
		k.push([]byte{CtrlC})
	case Escape:
		m.search = false
		k.push(redraw)
	case 0x1a, 0x1c: // Ctrl-Z and Ctrl-\ do nothing here
	default:
		k.push([]byte{byte(r)})
	}
}

// pastedText is a paste as it stands in the line: line breaks as one character each, nothing that could act on the terminal.
func pastedText(s string) string {
	s = strings.TrimRight(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"), "\n")
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteRune(newline)
		case r == '\t':
			b.WriteString("  ")
		case r == utf8.RuneError || invisible(r):
			b.WriteRune('\ufffd') // shown, and wrong: not dropped in silence
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}

// wordRight and wordLeft move by words. go-prompt's own mix bytes and characters.
func wordRight(b *prompt.Buffer) {
	rest := []rune(b.Document().TextAfterCursor())
	n := 0
	for n < len(rest) && !isWord(rest[n]) {
		n++
	}
	for n < len(rest) && isWord(rest[n]) {
		n++
	}
	for range n {
		b.CursorRight(1)
	}
}

func wordLeft(b *prompt.Buffer) {
	text := []rune(b.Document().TextBeforeCursor())
	n := len(text)
	for n > 0 && !isWord(text[n-1]) {
		n--
	}
	for n > 0 && isWord(text[n-1]) {
		n--
	}
	for range len(text) - n {
		b.CursorLeft(1)
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '$' }

func promptColor(c Color) prompt.Color {
	return map[Color]prompt.Color{Plain: prompt.DefaultColor, Danger: prompt.Red, Caution: prompt.Yellow, Calm: prompt.Green}[c]
}
