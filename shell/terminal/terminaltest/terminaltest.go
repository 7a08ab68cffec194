// Package terminaltest runs a program on a pseudo-terminal and looks at its screen. For tests only.
package terminaltest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
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

	mu     sync.Mutex
	screen vt10x.Terminal
	raw    []byte
	done   chan struct{}
	err    error
	seen   int // how much of the output Expect has looked through
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
			_, _ = s.screen.Write(buf[:n])
			s.mu.Unlock()
		}
		if err != nil {
			break
		}
	}
	s.err = s.cmd.Wait()
	close(s.done)
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
	var b strings.Builder
	for i := 0; i < len(out); i++ {
		switch {
		case out[i] == 0x1b && i+1 < len(out) && out[i+1] == '[':
			for i += 2; i < len(out) && (out[i] < 0x40 || out[i] > 0x7e); i++ {
			}
		case out[i] == 0x1b:
			i++
		case out[i] == '\r':
		default:
			b.WriteByte(out[i])
		}
	}
	return b.String()
}

// Patience is how long Expect waits.
const Patience = 90 * time.Second

// Expect waits until text stands in the output, behind what Expect has found before.
func (s *Session) Expect(text string) error {
	deadline := time.Now().Add(Patience)
	for {
		ended := false
		select {
		case <-s.done:
			ended = true
		default:
		}
		out := Plain(s.Output())
		if i := strings.Index(out[min(s.seen, len(out)):], text); i >= 0 {
			s.seen += i + len(text)
			return nil
		}
		if ended {
			return fmt.Errorf("the program ended (%v) without %q; the screen:\n%s", s.err, text, s.Screen())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%q did not come; the screen:\n%s", text, s.Screen())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Phrase is what the last question wants to be typed.
func (s *Session) Phrase() (string, error) {
	const mark = "To run it, type: "
	out := Plain(s.Output())
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
// two of them waiting. A password has no echo.
func (s *Session) Type(text string) error { return s.keys(text, KeyGap) }

// TypeFast is Type without the time between two keys, for where nobody measures it.
func (s *Session) TypeFast(text string) error { return s.keys(text, 0) }

func (s *Session) keys(text string, gap time.Duration) error {
	plain := Plain(s.Output())
	patience := Patience
	if strings.HasPrefix(plain[strings.LastIndexByte(plain, '\n')+1:], "password") {
		patience = 5 * KeyGap
	}
	for _, r := range text {
		before := len(s.Output())
		if err := s.Send(string(r)); err != nil {
			return err
		}
		for start := time.Now(); len(s.Output()) == before && time.Since(start) < patience; {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(gap)
	}
	return nil
}

// settle waits until nothing was written for a while: a program on a busy machine draws what was typed in several steps, and what it has not read yet it
// would read together with the next key.
func (s *Session) settle() {
	since, n := time.Now(), len(s.Output())
	for start := since; time.Since(since) < 2*KeyGap && time.Since(start) < time.Second; time.Sleep(KeyGap / 4) {
		if now := len(s.Output()); now != n {
			since, n = time.Now(), now
		}
	}
}

// Enter presses Enter.
func (s *Session) Enter() error {
	s.settle()
	err := s.Send("\r")
	time.Sleep(2 * KeyGap)
	return err
}

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
	select {
	case <-s.done:
	case <-time.After(Patience):
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
	case <-time.After(2 * time.Second):
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		<-s.done
	}
}
