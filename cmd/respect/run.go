package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"

	"respect/shell"
)

// exit is an error that ends the program with a status; what there was to say has been said.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usage is an error in how the program was called.
type usage struct {
	text string
	hint string
}

func (u *usage) Error() string { return u.text }

// app is one call of the program.
type app struct {
	in       *os.File
	out, err io.Writer
	flags    flags
	admin    adminFile
	results  *results // what out is while the program runs
	told     bool     // that it failed
}

// flags are those that all commands share.
type flags struct {
	stateDir string
	reason   string
	json     string
}

// run is the program: arguments and streams in, exit status out.
func run(ctx context.Context, args []string, in *os.File, out, errw io.Writer) int {
	return (&app{in: in, out: out, err: errw, admin: admins}).run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	a.results = &results{w: a.out, end: end}
	a.out = a.results
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	text, code := a.unwritten(a.code(root.ExecuteContext(ctx)), false)
	if !a.told {
		fmt.Fprint(a.err, text)
	}
	return code
}

// code says what an error of a command has to say, and is its exit status.
func (a *app) code(err error) int {
	var code exit
	var wrong *usage
	failed := a.results.failed()
	switch {
	case failed != nil && (errors.Is(err, failed) || errors.Is(err, context.Canceled)): // unwritten says it
		return shell.ExitError
	case err == nil:
		return shell.ExitDone
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &wrong):
		fmt.Fprint(a.err, a.foldedErr(fmt.Sprintf("error: %s\n", safe(wrong.text))))
		if wrong.hint != "" {
			fmt.Fprint(a.err, a.foldedErr(fmt.Sprintf("hint: %s\n", safe(wrong.hint))))
		}
		return shell.ExitUsage
	}
	fmt.Fprint(a.err, a.foldedErr(fmt.Sprintf("error: %s\n", safe(err.Error()))))
	return shell.ExitError
}

// status turns an exit status into the error that run turns back.
func status(code int) error {
	if code == shell.ExitDone {
		return nil
	}
	return exit(code)
}

func (a *app) root() *cobra.Command {
	var scripts scripts
	c := &cobra.Command{
		Use: "respect [flags] URI|PROFILE", Short: "a guarded shell for MongoDB",
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := a.onePlace(cmd, args)
			if err != nil {
				return err
			}
			if _, err := a.jsonFormat(); err != nil {
				return err
			}
			if err := scripts.read(); err != nil {
				return err
			}
			return a.shell(cmd.Context(), at, scripts)
		},
	}
	c.Flags().VarP(scripts.flag("argument"), "eval", "e", "evaluate `js`, as JavaScript, and leave")
	c.Flags().VarP(scripts.flag("file"), "file", "f", "evaluate a `file` and leave")
	c.PersistentFlags().StringVar(&a.flags.stateDir, "state-dir", "", "`dir` of record and backups, not $XDG_STATE_HOME/respect")
	c.PersistentFlags().StringVar(&a.flags.reason, "reason", "", "what the session is for; production asks otherwise")
	c.PersistentFlags().StringVar(&a.flags.json, "json", "", "print Extended JSON, or `canonical` Extended JSON")
	c.PersistentFlags().Lookup("json").NoOptDefVal = "relaxed"
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usage{text: err.Error(), hint: "respect --help"} })
	c.AddCommand(a.demo(), a.classify(), a.mark(), a.plan(), a.changes(), a.undo(), a.redo(), a.resume(), a.replay(), a.policyCommand(), a.version())
	c.SetHelpFunc(a.help)
	c.InitDefaultCompletionCmd()
	if completion, _, err := c.Find([]string{"completion"}); err == nil {
		completion.Short = "let your own shell complete commands: bash, zsh or fish"
		completion.Args, completion.RunE = cobra.ArbitraryArgs, func(*cobra.Command, []string) error {
			return &usage{text: "completion for which shell?", hint: "respect completion bash, zsh or fish"}
		}
	}
	return c
}

// onePlace is the only argument.
func (a *app) onePlace(cmd *cobra.Command, args []string) (place, error) {
	switch {
	case len(args) == 0:
		return place{}, &usage{text: "which deployment?", hint: cmd.CommandPath() + " mongodb://host:27017/database; without a server: respect demo"}
	case len(args) > 1:
		return place{}, &usage{text: fmt.Sprintf("one connection string is wanted, not %d arguments", len(args)), hint: "quote the connection string and the script"}
	}
	return a.where(args[0])
}

// scripts are what -e or --file gives, in the order in which they stand.
type scripts []shell.Script

// flag is -e or --file.
func (s *scripts) flag(manner string) *scriptFlag { return &scriptFlag{s, manner} }

type scriptFlag struct {
	to     *scripts
	manner string
}

// Set implements pflag.Value.
func (f *scriptFlag) Set(text string) error {
	*f.to = append(*f.to, shell.Script{Text: text, Manner: f.manner})
	return nil
}

// String implements pflag.Value.
func (f *scriptFlag) String() string { return "" }

// Type implements pflag.Value.
func (f *scriptFlag) Type() string { return "string" }

// read reads the files, all of them before anything runs.
func (s scripts) read() error {
	for i := range s {
		if s[i].Manner != s[0].Manner {
			return &usage{text: "-e and --file do not go together"}
		}
		if s[i].Manner == "file" {
			b, err := os.ReadFile(s[i].Text)
			if err != nil {
				return err
			}
			s[i].Text = string(b)
		}
	}
	return nil
}

// stateDir is where the record is kept.
func (a *app) stateDir() (string, error) {
	dir := a.flags.stateDir
	if dir == "" {
		dir = os.Getenv("RESPECT_STATE_DIR")
	}
	if dir == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("where to keep the record: %w; say it with --state-dir", err)
			}
			base = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(base, "respect")
	}
	return filepath.Abs(dir)
}

func (a *app) jsonFormat() (shell.JSON, error) {
	switch a.flags.json {
	case "":
		return shell.Pretty, nil
	case "relaxed", "true":
		return shell.Relaxed, nil
	case "canonical":
		return shell.Canonical, nil
	}
	return 0, &usage{text: fmt.Sprintf("--json=%s is no format", a.flags.json), hint: "--json=relaxed or --json=canonical"}
}

// interruptible is ctx that Ctrl-C ends, for what runs without a prompt.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt)
}
