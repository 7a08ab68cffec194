//go:build !unix

package terminal

import (
	"errors"
	"io"
	"time"
)

// TTY cannot be had on this system yet: guarded writes are refused there.
type TTY struct{ input }

// Open reports that there is no terminal layer for this system.
func Open() (*TTY, error) {
	return nil, errors.New("respect has no terminal layer for this system yet: it reads, and refuses what would ask")
}

// Close does nothing.
func (*TTY) Close() error { return nil }

// Restore does nothing.
func (*TTY) Restore() error { return nil }

func (*TTY) raw() error { return errors.ErrUnsupported }

// Busy does nothing.
func (*TTY) Busy() error { return nil }

// Size is 80 by 24.
func (*TTY) Size() (width, height int) { return 80, 24 }

// Write fails.
func (*TTY) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (*TTY) read(time.Duration) ([]byte, error) { return nil, io.EOF }

func (*TTY) arrive(time.Duration) (b []byte, from, to time.Time, err error) {
	return nil, from, to, io.EOF
}

func (*TTY) poll() ([]byte, error) { return nil, nil }

func (*TTY) discard() error { return nil }
