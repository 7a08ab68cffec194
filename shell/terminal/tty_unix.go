//go:build unix

package terminal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// TTY is the controlling terminal. It belongs to one goroutine, but for Size.
type TTY struct {
	f     *os.File
	fd    int
	saved *unix.Termios
	empty time.Time // when nothing was there to be read
	input
}

// Open opens the controlling terminal, if there is one and standard input is a terminal: what is piped in is not typed.
func Open() (*TTY, error) {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errors.New("standard input is not a terminal")
	}
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("there is no terminal: %w", err)
	}
	t := &TTY{f: f, fd: int(f.Fd())}
	if t.saved, err = unix.IoctlGetTermios(t.fd, getTermios); err != nil {
		return nil, errors.Join(fmt.Errorf("the terminal's mode cannot be read: %w", err), f.Close())
	}
	return t, nil
}

// Close gives the terminal back as it was found.
func (t *TTY) Close() error { return errors.Join(t.Restore(), t.f.Close()) }

// Restore sets the mode in which the terminal was found.
func (t *TTY) Restore() error { return unix.IoctlSetTermios(t.fd, setTermios, t.saved) }

// raw delivers every key as it is pressed, Ctrl-C too, and echoes nothing.
func (t *TTY) raw() error {
	m := *t.saved
	m.Iflag &^= unix.BRKINT | unix.ICRNL | unix.INPCK | unix.ISTRIP | unix.IXON | unix.INLCR | unix.IGNCR
	m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	m.Cflag |= unix.CS8
	m.Cc[unix.VMIN], m.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(t.fd, setTermios, &m) // output processing stays: \n moves to the line's begin
}

// Busy is the mode while a statement runs: nothing is echoed, and Ctrl-C is a signal.
func (t *TTY) Busy() error {
	m := *t.saved
	m.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON
	m.Lflag |= unix.ISIG
	m.Cc[unix.VMIN], m.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(t.fd, setTermios, &m)
}

// Size is the terminal's width and height; 80 and 24 if it does not tell.
func (t *TTY) Size() (width, height int) {
	w, h, err := term.GetSize(t.fd)
	if err != nil || w <= 0 || h <= 0 {
		return 80, 24
	}
	return w, h
}

// Write implements io.Writer: text on the screen.
func (t *TTY) Write(b []byte) (int, error) { return t.f.Write(b) }

// read waits up to d for input and returns what one read brings: nil, nil if nothing came.
func (t *TTY) read(d time.Duration) ([]byte, error) {
	b, _, _, err := t.arrive(d)
	return b, err
}

// arrive implements reader. It takes the time before the system is asked: from then on something may have come.
func (t *TTY) arrive(d time.Duration) (b []byte, from, to time.Time, err error) {
	if b := t.take(); b != nil {
		return b, t.empty, time.Now(), nil
	}
	tv := unix.NsecToTimeval(int64(d))
	var set unix.FdSet
	set.Zero()
	set.Set(t.fd)
	start := time.Now()
	n, err := unix.Select(t.fd+1, &set, nil, nil, &tv)
	switch {
	case errors.Is(err, unix.EINTR):
		return nil, t.empty, t.empty, nil
	case err == nil && n == 0:
		t.empty = start.Add(d) // the system has looked once more then, or later
		return nil, t.empty, t.empty, nil
	case err != nil:
		return nil, t.empty, t.empty, err
	}
	from, read := t.empty, time.Now()
	buf := make([]byte, 4096)
	n, err = unix.Read(t.fd, buf)
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		return nil, from, from, nil
	case err != nil:
		return nil, from, from, err
	case n == 0:
		return nil, from, from, io.EOF
	}
	t.empty = read
	return buf[:n], from, time.Now(), nil
}

// poll is what can be read at once.
func (t *TTY) poll() ([]byte, error) {
	back := t.take()
	b, err := t.read(0)
	t.unread(back)
	return b, err
}

// discard drops what the terminal has received and what was read of it.
func (t *TTY) discard() error {
	t.forget()
	t.empty = time.Now()
	return flushInput(t.fd)
}
