package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"respect/replay/player"
	"respect/shell"
	"respect/shell/terminal"
)

func (a *app) replayPlay() *cobra.Command {
	var p player.Player
	var from string
	var follow bool
	c := &cobra.Command{
		Use: "play [ID]", Short: "a session again, in its own time", Args: cobra.ArbitraryArgs,
		Long: "play shows what stood on the operator's screen, when it stood there. In a terminal its last line says where in the session this is, and keys are heard:\n" +
			player.Help + "\nIn a pipe there are no keys. --follow goes on with a session that is running, and shows a question while it stands.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case math.IsNaN(p.Speed) || math.IsInf(p.Speed, 0) || p.Speed < 0:
				return &usage{text: "--speed is a number from 0", hint: "--speed 1 is the session's own, --speed 10 ten times as fast, --speed 0 at once"}
			case p.Idle < 0:
				return &usage{text: "--idle is not negative", hint: "--idle 2s"}
			}
			r, err := a.oneRecord(args)
			if err != nil {
				return err
			}
			if p.From, err = begin(from, r); err != nil {
				return err
			}
			p.Out, p.Clock = a.out, player.Clock{Now: time.Now, After: time.After}
			if follow {
				return a.follow(cmd.Context(), &p, r)
			}
			t, err := r.Tape()
			if err != nil {
				return err
			}
			defer t.Close() // read only
			if err := a.play(cmd.Context(), &p, t); err != nil {
				return err
			}
			return believed(r)
		},
	}
	c.Flags().Float64Var(&p.Speed, "speed", 1, "how many times as fast; 0 is at once")
	c.Flags().DurationVar(&p.Idle, "idle", 2*time.Second, "the longest wait; 0 waits as long as it took")
	c.Flags().StringVar(&from, "from", "", `what was before this is shown at once: 10m30s, 10:30, or a date and time, "2026-11-20 18:47"`)
	c.Flags().BoolVar(&p.Notes, "notes", false, "say between the lines, which stand behind a bar then, who did what, where, and how it was answered")
	c.Flags().BoolVar(&follow, "follow", false, "show what there is at once, and go on with the session while it is running")
	return c
}

// begin is the time in a session that --from means.
func begin(from string, r player.Record) (time.Duration, error) {
	if from == "" {
		return 0, nil
	}
	if d, err := player.Offset(from); err == nil {
		return d, nil
	}
	at, _, err := player.When(from, time.Now())
	if err != nil {
		return 0, &usage{text: fmt.Sprintf("--from: %q is no time", safe(from)), hint: `--from 10m30s, --from 10:30, --from "2026-11-20 18:47"`}
	}
	l, err := r.Summarize()
	return max(at.Sub(l.Start), 0), err
}

// follow plays a session that may be running, and looks at its record again when it has ended.
func (a *app) follow(ctx context.Context, p *player.Player, r player.Record) error {
	f, err := r.Follow()
	if err != nil {
		return err
	}
	defer f.Close() // read only
	p.Speed, p.More = 0, f.Grow
	if err := a.play(ctx, p, f.Tape); err != nil {
		return err
	}
	if r, err = a.oneRecord([]string{r.Session.ID}); err != nil {
		return err
	}
	for _, problem := range r.Problems() {
		fmt.Fprintf(a.err, "DOES NOT VERIFY: %s\n", problem)
	}
	return believed(r)
}

// play gives the player the keys and the size of the terminal, if it plays to one.
func (a *app) play(ctx context.Context, p *player.Player, t *player.Tape) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	p.Color = colored(a.out)
	if isTerminal(file(a.out)) {
		if tty, terr := terminal.Open(); terr == nil {
			reading, cancel := context.WithCancel(ctx)
			defer func() { err = errors.Join(err, tty.Close()) }()
			keys, kerr := tty.Presses(reading)
			if kerr != nil {
				cancel()
				return kerr
			}
			defer func() { // before the terminal is given back nobody may read it
				cancel()
				for range keys {
				}
			}()
			p.Keys, p.Size = keys, tty.Size
		}
	}
	if err = p.Play(ctx, t); errors.Is(err, context.Canceled) {
		return exit(shell.ExitError)
	}
	return err
}
