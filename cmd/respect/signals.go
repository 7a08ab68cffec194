package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"respect/guard"
)

// start runs the program with the process's own arguments and streams, and turns its signals into the end of a context.
func start() int {
	// With somebody to take it, a write that nobody reads is an error like others. It must not end the process in the middle of a change.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	// Ctrl-C belongs to the statement that runs, see package shell; these end the program in order, and the second one as it is.
	names := map[os.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGHUP: "SIGHUP", syscall.SIGQUIT: "SIGQUIT"}
	came := make(chan os.Signal, 2)
	signal.Notify(came, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		end(&guard.Ended{Why: "by the signal " + names[<-came]})
		if s, ok := (<-came).(syscall.Signal); ok {
			os.Exit(128 + int(s))
		}
	}()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}
