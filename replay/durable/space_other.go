//go:build !unix

package durable

import "errors"

// Free is not known on this system.
func Free(string) (uint64, error) { return 0, errors.New("free space is not known on this system") }
