package shell

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"respect/shell/terminal"
)

// Interruptible is ctx that Ctrl-C ends. A statement ends then at the next point where it can: a change after its running batch. What does not get there, a
// regular expression that runs for ever, is left with the third Ctrl-C: the process ends, and the terminal is as it was. What was under way is then looked
// at by the next session, as after a crash.
// said is told what was shown meanwhile, from another goroutine.
func Interruptible(ctx context.Context, tty *terminal.TTY, errs io.Writer, said func(text string)) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	pressed, done := make(chan os.Signal, 3), make(chan struct{})
	signal.Notify(pressed, os.Interrupt)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case <-pressed:
			}
			switch n {
			case 1:
				cancel()
			case 2:
				const stopping = "stopping after what is running; once more leaves at once, and what was under way is looked at next time\n"
				fmt.Fprint(errs, stopping)
				said(stopping)
			default:
				if tty != nil {
					_ = tty.Close() // the process ends
				}
				os.Exit(ExitError)
			}
		}
	}()
	return ctx, sync.OnceFunc(func() { signal.Stop(pressed); close(done); cancel() })
}
