package main

import (
	"context"
	"fmt"

	"respect/guard"
	"respect/guard/environment"
	"respect/shell"
)

// mark writes the marker and says what the deployment is now.
func (s *session) mark(ctx context.Context, d *guard.Deployment, env environment.Environment) int {
	st, err := s.gate.Begin(guard.Input{Text: "mark " + env.String(), Manner: "mark"})
	if err != nil {
		fmt.Fprintf(s.app.err, "error: %s\n", safe(err.Error()))
		return shell.ExitError
	}
	sh, code := s.plain(d)
	if sh == nil {
		return code
	}
	if err := st.Mark(ctx, d, env); err != nil {
		return sh.Failed(st, err)
	}
	if outcomes := st.Outcomes(); len(outcomes) == 0 {
		sh.Notice("it is marked so already; nothing was changed")
	}
	// Within a session the environment never falls; what the next one finds is what was marked.
	next := environment.Classify(d.Evidence(), "")
	return sh.Evidence(next, d.Name(), d.Evidence())
}

// plain is a shell for what is not a statement in JavaScript.
func (s *session) plain(d *guard.Deployment) (*shell.Shell, int) {
	format, err := s.app.jsonFormat()
	if err != nil {
		fmt.Fprintf(s.app.err, "error: %s\n", safe(err.Error()))
		return nil, shell.ExitUsage
	}
	sh, err := shell.New(shell.Config{
		Gate: s.gate, Deployment: d, Database: d.DefaultDatabase(), StateDir: s.dir, Out: s.app.out, Err: s.app.err, Style: s.style, OutShown: isTerminal(file(s.app.out)), ErrShown: isTerminal(file(s.app.err)),
		JSON: format, TTY: s.tty, Version: build().Version, NewID: shell.ID, Connect: s.another,
	})
	if err != nil {
		fmt.Fprintf(s.app.err, "error: %s\n", safe(err.Error()))
		return nil, shell.ExitError
	}
	return sh, shell.ExitDone
}

func (s *session) plan(ctx context.Context, d *guard.Deployment, src, manner string, full bool) int {
	sh, code := s.plain(d)
	if sh == nil {
		return code
	}
	return sh.Plan(ctx, src, manner, s.app.flags.json != "", full)
}

func (s *session) undo(ctx context.Context, d *guard.Deployment, id string, opts shell.UndoOptions) int {
	sh, code := s.plain(d)
	if sh == nil {
		return code
	}
	return sh.Undo(ctx, id, opts, "undo")
}

func (s *session) resume(ctx context.Context, d *guard.Deployment, id string) int {
	sh, code := s.plain(d)
	if sh == nil {
		return code
	}
	return sh.Resume(ctx, id, "resume "+id, "resume")
}
