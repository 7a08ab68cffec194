package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/journal"
	"respect/shell"
)

func (a *app) classify() *cobra.Command {
	return &cobra.Command{
		Use: "classify URI|PROFILE", Short: "which environment a deployment is, and why", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := a.onePlace(cmd, args)
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.with(ctx, at, true, func(s *session, d *guard.Deployment) int {
				return a.printEvidence(s, d)
			})
		},
	}
}

func (a *app) printEvidence(s *session, d *guard.Deployment) int {
	env, evidence := shell.Standing(d, d.DefaultDatabase())
	if a.flags.json == "" {
		st := s.style
		st.Color = colored(a.out)
		fmt.Fprint(a.out, a.folded(st.Evidence(env, d.Name(), evidence)))
		return shell.ExitDone
	}
	return a.printJSON(shell.EvidenceJSON(env, d.Name(), evidence))
}

func (a *app) printJSON(v any) int {
	text, err := shell.IndentJSON(v)
	if err != nil {
		fmt.Fprintf(a.err, "error: %s\n", safe(err.Error()))
		return shell.ExitError
	}
	fmt.Fprint(a.out, text)
	return shell.ExitDone
}

func (a *app) mark() *cobra.Command {
	return &cobra.Command{
		Use: "mark development|staging|production URI|PROFILE", Short: "write the server's own marker", Args: cobra.ArbitraryArgs,
		Long: "mark writes one document into the database respect of the server, which says which environment it is and travels\nwith no connection string, tunnel or profile. It is a guarded write. A marker can be written where there is none, and raised.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &usage{text: "an environment and a connection string are wanted", hint: cmd.UseLine()}
			}
			env, ok := environment.Parse(args[0])
			if !ok {
				return &usage{text: fmt.Sprintf("%q is no environment", args[0]), hint: "development, staging or production"}
			}
			at, err := a.where(args[1])
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.with(ctx, at, true, func(s *session, d *guard.Deployment) int {
				return s.mark(ctx, d, env)
			})
		},
	}
}

func (a *app) plan() *cobra.Command {
	var scripts scripts
	var full bool
	c := &cobra.Command{
		Use: "plan -e JS|--file F URI|PROFILE", Short: "show what a script would change, and change nothing", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := a.onePlace(cmd, args)
			if err != nil {
				return err
			}
			if err := scripts.read(); err != nil {
				return err
			}
			switch len(scripts) {
			case 0:
				return &usage{text: "what is to be planned?", hint: "respect plan -e 'db.users.deleteMany({})' URI"}
			case 1:
			default: // what one changes the next would see
				return &usage{text: "one script is planned at a time", hint: "put them into one -e, or into one file"}
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			return a.with(ctx, at, false, func(s *session, d *guard.Deployment) int {
				return s.plan(ctx, d, scripts[0].Text, scripts[0].Manner, full)
			})
		},
	}
	c.Flags().VarP(scripts.flag("argument"), "eval", "e", "the script")
	c.Flags().VarP(scripts.flag("file"), "file", "f", "a file that holds the script")
	c.Flags().BoolVar(&full, "full", false, "look at all documents, where policy would have an estimate")
	return c
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usage{text: fmt.Sprintf("%s takes no argument %q", cmd.CommandPath(), args[0]), hint: cmd.CommandPath() + " --help"}
	}
	return nil
}

func (a *app) undo() *cobra.Command {
	var opts shell.UndoOptions
	var from string
	c := &cobra.Command{
		Use: "undo [ID] [URI|PROFILE]", Short: "take back a change, or the last one that stands", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if from == "" {
				return a.onChange(cmd, args, func(ctx context.Context, s *session, d *guard.Deployment, c *journal.Change) int {
					return s.undo(ctx, d, c.ID, opts)
				})
			}
			id, at, err := a.undoArgs(cmd, args)
			if err != nil {
				return err
			}
			if at.uri == "" { // a file is not believed where to connect to
				return &usage{text: "on which deployment?", hint: cmd.CommandPath() + " --from FILE URI"}
			}
			b, err := a.bring(from, id)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, b.remove()) }()
			opts.Change, opts.Dir = b.change, b.files
			return a.on(cmd, at, b.change, func(ctx context.Context, s *session, d *guard.Deployment, c *journal.Change) int {
				return s.undo(ctx, d, c.ID, opts)
			})
		},
	}
	c.Flags().StringVar(&opts.Only, "only", "", "a filter, as JavaScript: take back only documents that match it, as they were or as they are")
	c.Flags().BoolVar(&opts.Fields, "fields", false, "in documents that others changed since, set back only what the change did")
	c.Flags().StringVar(&opts.On, "on", "", "the name of the deployment, if it is another than the one where the change was made")
	c.Flags().StringVar(&from, "from", "", "a file that respect changes export made, for a change from another machine")
	return c
}

func (a *app) redo() *cobra.Command {
	return &cobra.Command{
		Use: "redo [URI|PROFILE]", Short: "make again what undo took back last", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			id, at, err := a.undoArgs(cmd, args)
			if err != nil {
				return err
			}
			if id != "" {
				return &usage{text: fmt.Sprintf("redo goes forward one change after the other; it takes no id %q", guard.Redact(id)), hint: "to take back one that took something back: respect undo ID"}
			}
			return a.onFound(cmd, at, shell.LastUndo, func(ctx context.Context, s *session, d *guard.Deployment, c *journal.Change) int {
				return s.undo(ctx, d, c.ID, shell.UndoOptions{})
			})
		},
	}
}

func (a *app) resume() *cobra.Command {
	return &cobra.Command{
		Use: "resume [ID] [URI|PROFILE]", Short: "do what is left of a change that did not end well", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.onChange(cmd, args, func(ctx context.Context, s *session, d *guard.Deployment, c *journal.Change) int {
				return s.resume(ctx, d, c.ID)
			})
		},
	}
}

// onChange runs f on a change and the deployment where it was made, or the one that is named.
func (a *app) onChange(cmd *cobra.Command, args []string, f func(context.Context, *session, *guard.Deployment, *journal.Change) int) error {
	id, at, err := a.undoArgs(cmd, args)
	if err != nil {
		return err
	}
	return a.onFound(cmd, at, func(changes []*journal.Change) (*journal.Change, error) { return shell.FindChange(changes, id) }, f)
}

// onFound is onChange for a change that find chooses.
func (a *app) onFound(cmd *cobra.Command, at place, find func([]*journal.Change) (*journal.Change, error), f func(context.Context, *session, *guard.Deployment, *journal.Change) int) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	changes, problems, err := shell.ReadChanges(dir)
	fmt.Fprint(a.err, a.foldedErr(shell.Unverified(problems)))
	if err != nil {
		return err
	}
	c, err := find(changes)
	if err != nil {
		return err
	}
	return a.on(cmd, at, c, f)
}

// on runs f on a change, at a place or, if it is none, where the change was made.
func (a *app) on(cmd *cobra.Command, at place, c *journal.Change, f func(context.Context, *session, *guard.Deployment, *journal.Change) int) (err error) {
	if at.uri == "" {
		if at, err = a.named(c.Intent.URI); err != nil {
			return err
		}
	}
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	return a.with(ctx, at, true, func(s *session, d *guard.Deployment) int { return f(ctx, s, d, c) })
}

// undoArgs are an id and a place, both optional and in any order. What is the name of a profile is no id.
func (a *app) undoArgs(cmd *cobra.Command, args []string) (id string, at place, err error) {
	ps, err := a.profiles()
	if err != nil {
		return "", at, err
	}
	for _, arg := range args {
		named := slices.ContainsFunc(ps, func(p policy.Profile) bool { return p.Name == arg })
		switch {
		case at.uri == "" && (named || strings.Contains(arg, "://")):
			if at, err = a.where(arg); err != nil {
				return "", at, err
			}
		case id == "":
			id = arg
		default:
			return "", at, &usage{text: fmt.Sprintf("what is %q?", guard.Redact(arg)), hint: cmd.UseLine()}
		}
	}
	return id, at, nil
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "which build this is", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		b := build()
		if a.flags.json != "" {
			return status(a.printJSON(struct {
				replay.Build
				Embedded string `json:"embedded"`
			}{b, embeddedVersion()}))
		}
		a.say("respect %s\n", b.Version)
		if b.Revision != "" {
			a.say("revision       %s\n", b.Revision)
		}
		a.say("go             %s\nmongo-driver   %s\ncommand table  %s\nembedded       %s\n", b.Go, b.Driver, b.Commands, embeddedVersion())
		return nil
	}}
}

var errNoDemo = errors.New("this build has no embedded server; build without the tag respect_no_embedded, and without -race")
