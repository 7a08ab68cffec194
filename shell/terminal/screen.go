package terminal

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"unicode/utf8"

	prompt "github.com/c-bata/go-prompt"
)

// screen is where go-prompt draws. It implements prompt.ConsoleWriter. Text is made harmless here too: go-prompt itself replaces Escape only.
type screen struct {
	w      io.Writer
	colors bool
	muted  atomic.Bool // while the window is resized
	buf    bytes.Buffer
}

// WriteRaw implements prompt.ConsoleWriter: control sequences of go-prompt's own.
func (s *screen) WriteRaw(b []byte) { s.buf.Write(b) }

// WriteRawStr implements prompt.ConsoleWriter.
func (s *screen) WriteRawStr(t string) { s.buf.WriteString(t) }

// Write implements prompt.ConsoleWriter: text, in which nothing may act on the terminal but a line break.
func (s *screen) Write(b []byte) { s.WriteStr(string(b)) }

// WriteStr implements prompt.ConsoleWriter.
func (s *screen) WriteStr(t string) {
	for _, r := range t {
		if r != '\n' && (r == utf8.RuneError || invisible(r)) {
			r = '?'
		}
		s.buf.WriteRune(r)
	}
}

// Flush implements prompt.ConsoleWriter.
func (s *screen) Flush() error {
	defer s.buf.Reset()
	if s.muted.Load() {
		return nil
	}
	_, err := s.w.Write(s.buf.Bytes())
	return err
}

func (s *screen) csi(format string, a ...any) { fmt.Fprintf(&s.buf, "\x1b["+format, a...) }

func (s *screen) move(n int, back, forth byte) {
	switch {
	case n > 0:
		s.csi("%d%c", n, forth)
	case n < 0:
		s.csi("%d%c", -n, back)
	}
}

// The rest of prompt.ConsoleWriter, as ECMA-48 has it.

func (s *screen) EraseScreen()         { s.csi("2J") }
func (s *screen) EraseUp()             { s.csi("1J") }
func (s *screen) EraseDown()           { s.csi("J") }
func (s *screen) EraseStartOfLine()    { s.csi("1K") }
func (s *screen) EraseEndOfLine()      { s.csi("K") }
func (s *screen) EraseLine()           { s.csi("2K") }
func (s *screen) ShowCursor()          { s.csi("?25h") }
func (s *screen) HideCursor()          { s.csi("?25l") }
func (s *screen) CursorGoTo(r, c int)  { s.csi("%d;%dH", max(r, 1), max(c, 1)) }
func (s *screen) CursorUp(n int)       { s.move(n, 'B', 'A') }
func (s *screen) CursorDown(n int)     { s.move(n, 'A', 'B') }
func (s *screen) CursorForward(n int)  { s.move(n, 'D', 'C') }
func (s *screen) CursorBackward(n int) { s.move(n, 'C', 'D') }
func (s *screen) AskForCPR()           {}
func (s *screen) SaveCursor()          { s.csi("s") }
func (s *screen) UnSaveCursor()        { s.csi("u") }
func (s *screen) ScrollDown()          { s.buf.WriteString("\x1bD") }
func (s *screen) ScrollUp()            { s.buf.WriteString("\x1bM") }
func (s *screen) SetTitle(string)      {}
func (s *screen) ClearTitle()          {}

// ansi are the SGR numbers of go-prompt's colours.
var ansi = map[prompt.Color]int{
	prompt.DefaultColor: 39, prompt.Black: 30, prompt.DarkRed: 31, prompt.DarkGreen: 32, prompt.Brown: 33, prompt.DarkBlue: 34, prompt.Purple: 35,
	prompt.Cyan: 36, prompt.LightGray: 37, prompt.DarkGray: 90, prompt.Red: 91, prompt.Green: 92, prompt.Yellow: 93, prompt.Blue: 94,
	prompt.Fuchsia: 95, prompt.Turquoise: 96, prompt.White: 97,
}

// SetColor implements prompt.ConsoleWriter. Without colours the selected entry is still told by reverse video.
func (s *screen) SetColor(fg, bg prompt.Color, bold bool) {
	if !s.colors {
		if fg == prompt.Black && bg == prompt.LightGray {
			s.csi("0;7m")
		} else {
			s.csi("0m")
		}
		return
	}
	b := 0
	if bold {
		b = 1
	}
	s.csi("%d;%d;%dm", b, ansi[fg], ansi[bg]+10)
}
