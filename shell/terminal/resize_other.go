//go:build !unix

package terminal

import "os"

func notifyResize(chan<- os.Signal) {}
