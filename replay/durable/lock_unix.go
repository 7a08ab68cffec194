//go:build unix

package durable

import (
	"errors"
	"os"
	"syscall"
)

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// dirSyncUnsupported: some file systems cannot sync a directory and say EINVAL; there is nothing more to do on them.
func dirSyncUnsupported(err error) bool { return errors.Is(err, syscall.EINVAL) }
