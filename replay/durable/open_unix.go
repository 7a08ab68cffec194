//go:build unix

package durable

import "syscall"

// plainOnly makes open fail on a symbolic link, and not wait for the other end of a pipe.
const plainOnly = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
