package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"respect/guard"
	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
	"respect/shell"
	"respect/shell/render"
	"respect/shell/terminal"
)

func safe(s string) string { return replay.SafeLines(s) }

// session is a journal, a gate, and the terminal if there is one.
type session struct {
	app     *app
	dir     string
	journal *journal.Writer
	gate    *guard.Gate
	tty     *terminal.TTY
	style   render.Style
	others  []*guard.Deployment // that scripts connected to
	warned  error               // what is wrong with the record from the beginning on
}

// open begins a session. asks says that it may need a person.
func (a *app) open(dir string, asks bool, p *policy.Policy) (*session, error) {
	if err := checkStateDir(dir); err != nil {
		return nil, fmt.Errorf("the record cannot be kept: %w", err)
	}
	s := &session{app: a, dir: dir, style: render.Style{Color: colored(a.err)}}
	if asks {
		if tty, err := terminal.Open(); err == nil {
			s.tty = tty
			w, _ := tty.Size()
			s.style.Width = min(w, 120)
			if err := tty.Busy(); err != nil {
				return nil, errors.Join(err, tty.Close())
			}
		}
	}
	if err := s.begin(p); err != nil {
		return nil, errors.Join(fmt.Errorf("the record cannot be begun in %s: %w", dir, err), s.closeTTY())
	}
	var err error
	s.gate, err = guard.New(guard.Config{
		FS: durable.OS{}, StateDir: dir, Journal: s.journal, Now: time.Now, Rand: rand.Reader, Who: who().User + "@" + who().Host,
		Operator: s.operator(), Reason: a.flags.reason, NewID: shell.ID, Policy: p,
	})
	if err != nil {
		return nil, errors.Join(err, s.journal.Close(shell.ExitError), s.closeTTY())
	}
	if s.tty != nil {
		s.gate.Screen(s.tty.Size())
	}
	return s, nil
}

// begin begins the record, and seals its begin. A witness that cannot be written to is no reason to end: reads need none, and guarded writes are refused.
func (s *session) begin(p *policy.Policy) error {
	me := who()
	key, err := journal.OpenKey(durable.OS{}, s.dir, me.User+"@"+me.Host, rand.Reader)
	if err != nil {
		return err
	}
	record := p.Record()
	s.journal, err = journal.Create(journal.Config{
		FS: durable.OS{}, Dir: s.dir, Now: time.Now, Rand: rand.Reader, Who: me, Build: build(), Key: key, Witness: record.Witness,
		Policy: s.app.policyHashes(), Output: record.Output.String(),
	})
	if err != nil {
		return err
	}
	if s.warned = s.journal.Seal(); s.warned != nil && !errors.Is(s.warned, journal.ErrWitness) {
		return errors.Join(s.warned, s.journal.Close(shell.ExitError))
	}
	return nil
}

func (s *session) operator() guard.Operator {
	if s.tty == nil {
		return &shell.Silent{Err: s.app.err, Style: s.style, JSON: s.app.flags.json != ""}
	}
	return &shell.Operator{TTY: s.tty, Err: s.app.err, Color: s.style.Color, JSON: s.app.flags.json != "", ErrShown: isTerminal(file(s.app.err)), Screen: func(columns, rows int) { s.gate.Screen(columns, rows) }, Shown: func(text string) {
		fmt.Fprint(s.app.err, text)
		s.gate.Shown(text, true)
	}}
}

func (s *session) closeTTY() error {
	if s.tty == nil {
		return nil
	}
	return s.tty.Close()
}

// close ends the session with the status it came to.
func (s *session) close(code int) error {
	for _, d := range s.others {
		_ = d.Close(context.Background()) // nothing depends on it any more
	}
	s.gate.Close()
	return errors.Join(s.journal.Close(code), s.closeTTY())
}

// another opens one more deployment, for a script that names it. It is closed with the session.
func (s *session) another(ctx context.Context, uri string) (*guard.Deployment, error) {
	const most = 20
	if len(s.others) == most {
		return nil, fmt.Errorf("%d deployments are open: leave and begin again", most)
	}
	d, err := s.connect(ctx, place{uri: uri})
	if err == nil {
		s.others = append(s.others, d)
	}
	return d, err
}

// connect dials a deployment. A password that is missing comes from the profile, or is asked for on the terminal.
func (s *session) connect(ctx context.Context, at place) (*guard.Deployment, error) {
	return s.gate.Connect(ctx, guard.Target{URI: at.uri, Profile: at.says(), Inside: at.inside, Password: func(user string) (string, error) {
		if text, ok, err := at.password(ctx, s.app.err); ok || err != nil {
			return text, err
		}
		if s.tty == nil {
			return "", fmt.Errorf("the connection string names user %q and no password, and there is no terminal to ask for it", user)
		}
		prompt := fmt.Sprintf("password of %s: ", replay.Safe(user))
		s.gate.Shown(prompt+"\n", true)
		a, err := s.tty.ReadText(ctx, prompt, true)
		if err == nil && a.Manner == terminal.Aborted {
			err = errors.New("no password was given")
		}
		return a.Text, err
	}})
}

// with runs f in a session on a deployment, and ends it with the status that f returns.
func (a *app) with(ctx context.Context, at place, asks bool, f func(*session, *guard.Deployment) int) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	return a.withIn(ctx, dir, at, asks, f)
}

func (a *app) withIn(ctx context.Context, dir string, at place, asks bool, f func(*session, *guard.Deployment) int) error {
	p, err := a.policy()
	if err != nil {
		return err
	}
	s, err := a.open(dir, asks, p)
	if err != nil {
		return err
	}
	code := shell.ExitError
	d, err := s.connect(ctx, at)
	if err == nil {
		code = f(s, d)
		err = d.Close(context.WithoutCancel(ctx))
		if err != nil && code != shell.ExitDone {
			err = nil // there is something worse to tell
		}
	} else {
		err = fmt.Errorf("%s: %w", guard.Redact(at.uri), err)
		s.gate.Shown("error: "+safe(err.Error())+"\n", true) // as run will
	}
	var text string
	if text, code = a.unwritten(code, len(s.gate.Changes()) > 0); text != "" && !a.told {
		fmt.Fprint(a.err, text)
		s.gate.Shown(text, true)
		a.told = true
	}
	switch cerr := s.close(code); {
	case cerr == nil:
	case errors.Is(cerr, journal.ErrWitness):
		fmt.Fprintf(a.err, "warning: this session is recorded, and its end %s\n", safe(cerr.Error()))
	default:
		fmt.Fprintf(a.err, "error: the record could not be ended: %s\n", safe(cerr.Error()))
		if code == shell.ExitDone {
			code = shell.ExitError
		}
	}
	if err != nil {
		return err
	}
	return status(code)
}

func colored(w io.Writer) bool {
	f := file(w)
	return f != nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isatty.IsTerminal(f.Fd())
}

func isTerminal(f *os.File) bool { return f != nil && isatty.IsTerminal(f.Fd()) }

func who() replay.Who {
	w := replay.Who{User: "unknown", UID: os.Getuid(), PID: os.Getpid(), SSH: os.Getenv("SSH_CONNECTION")}
	if u, err := user.Current(); err == nil {
		w.User = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		w.Host = h
	}
	if t, err := os.Readlink("/proc/self/fd/0"); err == nil && strings.HasPrefix(t, "/dev/") && t != "/dev/null" {
		w.Terminal = t
	}
	return w
}

// build is what the build information says.
func build() replay.Build {
	b := replay.Build{Version: "(devel)", Go: "unknown", Driver: "unknown", Commands: command.TableVersion}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Go = info.GoVersion
	if v := info.Main.Version; v != "" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				b.Revision += " with changes"
			}
		}
	}
	for _, d := range info.Deps {
		if d.Path == "go.mongodb.org/mongo-driver/v2" {
			b.Driver = d.Version
		}
	}
	return b
}

// shell opens the guarded shell, or evaluates a script and leaves.
func (a *app) shell(ctx context.Context, at place, list scripts) error {
	return a.with(ctx, at, true, func(s *session, d *guard.Deployment) int {
		return s.run(ctx, d, list)
	})
}

// run runs a script, or what is piped in, or the interactive shell.
func (s *session) run(ctx context.Context, d *guard.Deployment, list scripts) int {
	format, err := s.app.jsonFormat()
	if err != nil {
		fmt.Fprintf(s.app.err, "error: %s\n", safe(err.Error()))
		return shell.ExitUsage
	}
	sh, err := shell.New(shell.Config{
		Gate: s.gate, Deployment: d, Database: d.DefaultDatabase(), StateDir: s.dir, Out: s.app.out, Err: s.app.err, Style: s.style, OutShown: isTerminal(file(s.app.out)), ErrShown: isTerminal(file(s.app.err)),
		JSON: format, TTY: s.tty, Version: build().Version, NewID: shell.ID, All: format != shell.Pretty, Connect: s.another,
	})
	if err != nil {
		fmt.Fprintf(s.app.err, "error: %s\n", safe(err.Error()))
		return shell.ExitError
	}
	s.recoverChanges(ctx, sh, d)
	switch {
	case len(list) > 0:
		ctx, _ := shell.Interruptible(ctx, s.tty, s.app.err, s.gate.Aside) // until the process ends: a Ctrl-C too many must not come upon its last words
		return sh.Scripts(ctx, list)
	case s.tty == nil || !isTerminal(s.app.in):
		ctx, _ := shell.Interruptible(ctx, s.tty, s.app.err, s.gate.Aside)
		return sh.Lines(ctx, s.app.in)
	}
	s.welcome(sh, d)
	return sh.Interactive(ctx)
}

// welcome says where one is, before the first prompt.
func (s *session) welcome(sh *shell.Shell, d *guard.Deployment) {
	env, evidence := shell.Standing(d, d.DefaultDatabase())
	sh.Say(s.style.Evidence(env, d.Name(), evidence))
	sh.Say(fmt.Sprintf("record and backups: %s\n", safe(s.dir)))
	if s.warned != nil {
		sh.Say(fmt.Sprintf("warning: %s\n  until that works, nothing that is guarded can be changed\n", safe(s.warned.Error())))
	}
	if d.Embedded() {
		sh.Say("this is an embedded server (FerretDB): it cannot do all that MongoDB can\n")
	}
	if env == environment.Unknown {
		sh.Say("until somebody says what it is, it is treated as production\n")
	}
	sh.Say("help lists the words of this shell; everything else is JavaScript, as in mongosh\n")
}

// recoverChanges looks at changes of this deployment whose session was cut off, and says what came of them.
func (s *session) recoverChanges(ctx context.Context, sh *shell.Shell, d *guard.Deployment) {
	changes, problems, err := shell.ReadChanges(s.dir)
	if err != nil {
		sh.Say(fmt.Sprintf("warning: %s\n", safe(err.Error())))
		return
	}
	if len(problems) > 0 {
		sh.Say(shell.Unverified(problems))
	}
	for _, c := range changes {
		if !c.CutOff && !c.Doubtful {
			continue
		}
		id := safe(c.ID)
		r, err := s.gate.Recover(ctx, d, c)
		var elsewhere *guard.OtherServer
		if errors.As(err, &elsewhere) {
			sh.Say(fmt.Sprintf("change %s did not come to its end: %s\n  %s\n", id, safe(c.Intent.Summary), safe(elsewhere.Error())))
			continue
		}
		if err != nil {
			sh.Say(fmt.Sprintf("warning: change %s did not come to its end, and what came of it cannot be told: %s\n", id, safe(err.Error())))
			continue
		}
		sh.Say(fmt.Sprintf("change %s did not come to its end: %s\n  it is %s: %s\n  to take it back: undo %s; to do the rest: resume %s\n",
			id, safe(c.Intent.Summary), r.Status, safe(r.Found), id, id))
	}
}
