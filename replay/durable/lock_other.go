//go:build !unix

package durable

import (
	"errors"
	"os"
)

// On other systems nothing is locked yet; guarded writes are refused there for want of a terminal layer.
func lockFile(*os.File) error { return nil }

func dirSyncUnsupported(err error) bool { return !errors.Is(err, os.ErrNotExist) }
