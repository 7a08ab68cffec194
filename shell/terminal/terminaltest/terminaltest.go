// Package terminaltest runs a program on a pseudo-terminal and looks at its screen. For tests only.
package terminaltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// Session is a program on a terminal.
type Session struct {
	cmd *exec.Cmd
	pty *os.File

	change  Signal // more output, or the end
	watched []int
	seen    int // how much of the plain output Expect has looked through
	done    chan struct{}
	err     error // of the program, once it is done

	mu     sync.Mutex
	screen vt10x.Terminal
	raw    []byte
	plain  plain
}

// Width and Height of the terminal, unless Start is told otherwise.
const (
	Width  = 100
	Height = 40
)

// Start starts cmd as the leader of a session with this terminal. Zero width or height mean the defaults.
func Start(cmd *exec.Cmd, width, height int) (*Session, error) {
	if width == 0 {
		width = Width
	}
	if height == 0 {
		height = Height
	}
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	f, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
	if err != nil {
		return nil, err
	}
	// A duplicate that does not block: otherwise closing it waits for the read, and the program is not hung up.
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := errors.Join(unix.SetNonblock(fd, true), f.Close()); err != nil {
		return nil, err
	}
	s := &Session{cmd: cmd, pty: os.NewFile(uintptr(fd), "pty"), screen: vt10x.New(vt10x.WithSize(width, height)), done: make(chan struct{})}
	go s.read()
	return s, nil
}

func (s *Session) read() {
	buf := make([]byte, 32<<10)
	for {
		n, err := s.pty.Read(buf)
		if n > 0 {
			s.mu.Lock()
			s.raw = append(s.raw, buf[:n]...)
			s.plain.write(string(buf[:n]))
			_, _ = s.screen.Write(buf[:n])
			s.mu.Unlock()
			s.change.Tell()
		}
		if err != nil {
			break
		}
	}
	s.err = s.cmd.Wait()
	close(s.done)
	s.change.Tell()
}

// Screen is what stands on the screen, lines trimmed on the right, empty ones at the end left out.
func (s *Session) Screen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(s.screen.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// Output is all that the program has written, escape sequences included.
func (s *Session) Output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

// Plain takes escape sequences and carriage returns out of a terminal's output.
func Plain(out string) string {
	var p plain
	p.write(out)
	return p.text.String()
}

// plain is output without escape sequences and carriage returns, as far as it has come.
type plain struct {
	text  strings.Builder
	state byte // 0; or Escape, or '[' within a sequence
}

func (p *plain) write(out string) {
	for i := range len(out) {
		switch c := out[i]; {
		case p.state == 0x1b && c == '[':
			p.state = '['
		case p.state == 0x1b:
			p.state = 0
		case p.state == '[':
			if c >= 0x40 && c <= 0x7e {
				p.state = 0
			}
		case c == 0x1b:
			p.state = c
		case c != '\r':
			p.text.WriteByte(c)
		}
	}
}

// plainly is the output without escape sequences.
func (s *Session) plainly() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plain.text.String()
}

// Watch names a server of the program: while it works, the program may well be waiting for it.
func (s *Session) Watch(pids ...int) { s.watched = append(s.watched, pids...) }

// Ended says whether the program has.
func (s *Session) Ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Until waits until ok is true, as long as the program lives and it or one of its servers gets on.
func (s *Session) Until(what string, ok func() bool) error {
	ended, good := false, false
	Until(&s.change, func() bool {
		ended = s.Ended() // before the look: what it wrote at last is there
		good = ok()
		return good || ended
	}, append(s.watched, s.cmd.Process.Pid)...)
	switch {
	case good:
		return nil
	case ended:
		return fmt.Errorf("the program ended (%v) without %s; the screen:\n%s", s.err, what, s.Screen())
	}
	return fmt.Errorf("%s did not come; the screen:\n%s", what, s.Screen())
}

// Expect waits until text stands in the output, behind what Expect has found before.
func (s *Session) Expect(text string) error {
	return s.Until(fmt.Sprintf("%q", text), func() bool {
		out := s.plainly()
		i := strings.Index(out[s.seen:], text)
		if i >= 0 {
			s.seen += i + len(text)
		}
		return i >= 0
	})
}

// Ready waits until a question, or the pager, takes its answer: its prompt is the last that was written, behind what Expect has found before.
func (s *Session) Ready() error {
	return s.Until("the prompt of a question", func() bool {
		out := s.plainly()
		return s.seen <= len(out)-2 && (strings.HasSuffix(out, "\n> ") || strings.HasSuffix(out, "q goes back to the question -- "))
	})
}

// Rests waits until the program neither writes nor works, and its servers do not either, so that it waits for somebody.
func (s *Session) Rests() error {
	const rest = 300 * time.Millisecond
	until(&s.change, s.Ended, rest, append(s.watched, s.cmd.Process.Pid))
	if s.Ended() {
		return fmt.Errorf("the program ended (%v); the screen:\n%s", s.err, s.Screen())
	}
	return nil
}

// Last waits until one of some texts is the last line of the screen.
func (s *Session) Last(texts ...string) error {
	return s.Until(fmt.Sprintf("%q as the last line", texts), func() bool {
		screen := s.Screen()
		return slices.Contains(texts, screen[strings.LastIndexByte(screen, '\n')+1:])
	})
}

// Phrase is what the last question wants to be typed.
func (s *Session) Phrase() (string, error) {
	const mark = "To run it, type: "
	out := s.plainly()
	i := strings.LastIndex(out, mark)
	if i < 0 {
		return "", errors.New("no question was asked")
	}
	phrase, _, ok := strings.Cut(out[i+len(mark):], "\n")
	if !ok {
		return "", errors.New("the question is not whole yet")
	}
	return phrase, nil
}

// KeyGap is between two keys: slower than what is taken for a paste, faster than people.
const KeyGap = 20 * time.Millisecond

// Type types text key by key, as a finger would. It looks for the echo of each key, so that a program on a busy machine does not find
// two of them waiting. A password has no echo, and nobody counts its keys.
func (s *Session) Type(text string) error { return s.keys(text, KeyGap) }

// TypeFast is Type without the time between two keys, for where nobody measures it.
func (s *Session) TypeFast(text string) error { return s.keys(text, 0) }

func (s *Session) keys(text string, gap time.Duration) error {
	plain := s.plainly()
	if strings.HasPrefix(plain[strings.LastIndexByte(plain, '\n')+1:], "password") {
		return s.Send(text)
	}
	for _, r := range text {
		if err := s.Key(string(r)); err != nil {
			return err
		}
		time.Sleep(gap)
	}
	return nil
}

// Key presses a key, and waits until the program has done something about it.
func (s *Session) Key(b string) error {
	before := len(s.Output())
	if err := s.Send(b); err != nil {
		return err
	}
	// Not everything has an echo. Some time without any work is enough then: a program that has not come to read the key is not without.
	const noEcho = 300 * time.Millisecond
	until(&s.change, func() bool { return len(s.Output()) > before || s.Ended() }, noEcho, []int{s.cmd.Process.Pid})
	return nil
}

// Enter presses Enter.
func (s *Session) Enter() error { return s.Key("\r") }

// Send writes bytes at once: a key, a sequence, or a paste without brackets.
func (s *Session) Send(b string) error {
	_, err := s.pty.WriteString(b)
	return err
}

// Paste sends text as terminals send a paste to programs that asked for brackets.
func (s *Session) Paste(text string) error { return s.Send("\x1b[200~" + text + "\x1b[201~") }

// Resize changes the window.
func (s *Session) Resize(width, height int) error {
	s.mu.Lock()
	s.screen.Resize(width, height)
	s.mu.Unlock()
	return pty.Setsize(s.pty, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
}

// Signal sends a signal to the program.
func (s *Session) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Wait waits for the end of the program and returns its exit status; -1 if a signal ended it.
func (s *Session) Wait() (int, error) {
	if !Until(&s.change, s.Ended, append(s.watched, s.cmd.Process.Pid)...) {
		return 0, fmt.Errorf("the program does not end; the screen:\n%s", s.Screen())
	}
	var exit *exec.ExitError
	if errors.As(s.err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, s.err
}

// Close hangs up and ends the program.
func (s *Session) Close() {
	_ = s.pty.Close()
	select {
	case <-s.done:
	case <-time.After(5 * time.Second): // a test that has passed waits for nothing else
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		<-s.done
	}
}
