// Package shell is what happens between a line that was read and a result that is printed.
//
//	line ─► words.go: show, use, undo … ─┐
//	     └► js.Eval ─► runner.go ─────────┴► guard.Statement ─► result, receipt, refusal ─► stdout, stderr, journal
//
// The Operator (operator.go) is the person at the terminal. Nothing here can reach a server but through a Statement.
package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/shell/js"
	"respect/shell/render"
	"respect/shell/terminal"
)

// The exit statuses.
const (
	ExitDone    = 0
	ExitError   = 1
	ExitUsage   = 2
	ExitRefused = 3 // the guard refused or the operator declined; nothing was changed
	ExitPartly  = 4 // something was applied, and something later was refused, skipped, drifted or is unknown
	ExitRecord  = 5 // a record failed verification
)

// JSON says how documents are printed.
type JSON uint8

// The formats.
const (
	Pretty JSON = iota // as mongosh prints them
	Relaxed
	Canonical
)

// Config is what a Shell works with.
type Config struct {
	Gate       *guard.Gate
	Deployment *guard.Deployment
	Database   string // to begin with
	StateDir   string
	Out, Err   io.Writer
	Style      render.Style // of Err and of a terminal's Out
	JSON       JSON
	TTY        *terminal.TTY // nil: there is none
	// OutShown and ErrShown say that Out and Err are that terminal.
	OutShown, ErrShown bool
	Version            string
	// Connect opens another deployment for Mongo(uri) and connect(uri). It closes it when the session ends.
	Connect func(ctx context.Context, uri string) (*guard.Deployment, error)
	NewID   func() bson.ObjectID
	// All prints every document of a cursor, not the first page.
	All bool
}

// Shell runs statements on one deployment. It belongs to one goroutine.
type Shell struct {
	cfg       Config
	vm        *js.VM
	run       *runner
	prompted  string // behind which the running entry was typed
	stood     string // how it stood on the screen, if that is not told by its text
	secret    bool   // the running entry may hold a password,
	hidden    bool   // and it was said that what it shows is not recorded
	exiting   bool
	quiet     bool // the result of a statement is not printed
	deaf      bool // nobody reads results any more
	held      []held
	heldBytes int
	cat       *catalogue

	previewed string // the last statement that was only previewed
}

// New makes a shell.
func New(cfg Config) (*Shell, error) {
	s := &Shell{cfg: cfg, run: &runner{}}
	if cfg.Database == "" {
		s.cfg.Database = "test" // as in mongosh
	}
	var err error
	s.vm, err = s.engine(cfg.Deployment, s.cfg.Database)
	return s, err
}

// engine makes a JavaScript world whose db is the named database of a deployment.
func (s *Shell) engine(d *guard.Deployment, db string) (*js.VM, error) {
	return js.New(js.Config{
		Connect: s.connect,
		Runner:  s.run, Print: func(text string) { s.print(text + "\n") }, ReadFile: js.ReadFile, Loaded: s.loaded, Sleep: js.Sleep, NewID: s.cfg.NewID, Version: s.cfg.Version,
		Exhausted: s.exhausted,
	}, d, db)
}

// renew makes another engine where the one that there was did not stop. What that one might still do reaches nothing: its runner has no statement any more.
func (s *Shell) renew() {
	if !s.vm.Lost() {
		return
	}
	d, db := s.vm.Database()
	s.run = &runner{}
	vm, err := s.engine(d.(*guard.Deployment), db)
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		s.exiting = true
		return
	}
	s.vm = vm
}

// exhausted ends the process: an engine that did not stop takes all memory. What was under way is looked at by the next session, as after a crash.
func (s *Shell) exhausted() {
	if s.cfg.TTY != nil {
		_ = s.cfg.TTY.Close() // the process ends
	}
	fmt.Fprint(s.cfg.Err, "the script did not stop and takes all memory: the session ends here; nothing of that statement is sent any more\n")
	os.Exit(ExitError)
}

// connect opens another deployment, classified for itself, under the same policy and record.
func (s *Shell) connect(ctx context.Context, uri string) (t js.Target, db string, err error) {
	if s.cfg.Connect == nil {
		return nil, "", errors.New("other deployments cannot be connected to from here")
	}
	d, err := s.cfg.Connect(ctx, uri)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", guard.Redact(uri), err)
	}
	db = d.DefaultDatabase()
	if db == "" {
		db = "test"
	}
	return d, db, nil
}

// loaded records what load() is about to run. What may hold a password may show it too.
func (s *Shell) loaded(name string, src []byte) error {
	text := string(src)
	redacted := RedactInput(text)
	s.secret = s.secret || redacted != text
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	return s.cfg.Gate.Loaded(replay.WithoutCredentials(name), src, redacted)
}

// here is the deployment of the current database: a script may have set db to one of another connection.
func (s *Shell) here() *guard.Deployment {
	t, _ := s.vm.Database()
	return t.(*guard.Deployment)
}

// out prints a result.
func (s *Shell) out(text string) {
	if _, err := fmt.Fprint(s.cfg.Out, text); errors.Is(err, syscall.EPIPE) {
		s.deaf = true
	}
	s.note(text, false)
}

// Print prints a result.
func (s *Shell) Print(text string) { s.out(text) }

// Say prints what is no result.
func (s *Shell) Say(text string) { s.say(text) }

func (s *Shell) say(text string) {
	text = s.folded(text, s.cfg.ErrShown)
	fmt.Fprint(s.cfg.Err, text)
	s.note(text, true)
}

// folded is text for people, as wide as the terminal that it is shown on; what is printed as a result, and may be copied, is not folded.
func (s *Shell) folded(text string, shown bool) string {
	if s.cfg.TTY == nil || !shown {
		return text
	}
	w, _ := s.cfg.TTY.Size()
	return render.Fold(text, w)
}

// tell prints what the shell itself has to say as a result.
func (s *Shell) tell(text string) { s.out(s.folded(text, s.cfg.OutShown)) }

// note records what was shown. After an entry that may hold a password, what it shows may hold it too.
func (s *Shell) note(text string, isError bool) {
	if !s.secret {
		s.cfg.Gate.Shown(text, isError)
	} else if !s.hidden {
		s.hidden = true
		s.cfg.Gate.Shown("[redacted: what an entry that may hold a password has shown]\n", isError)
	}
}

// Exec runs one entry and returns the exit status that it deserves.
func (s *Shell) Exec(ctx context.Context, text, manner string) int {
	if strings.TrimSpace(text) == "" {
		return ExitDone
	}
	if w, args, ok := findWord(text); ok {
		if w.local {
			if err := s.cfg.Gate.Heard(s.input(text, manner, guard.Execute)); err != nil {
				s.say(render.SafeLines(err.Error()) + "\n") // and it is done all the same: it changes nothing
			}
		}
		return w.run(s, ctx, args, text, manner)
	}
	code := s.statement(ctx, text, text, manner, guard.Execute)
	if code == ExitError {
		if u := called(text); u != "" {
			s.say(u + "\n")
		}
	}
	return code
}

// input is an entry as it is recorded.
func (s *Shell) input(text, manner string, mode guard.Mode) guard.Input {
	in := guard.Input{Text: RedactInput(text), Manner: manner, Mode: mode, Prompt: s.prompted}
	if in.Text == text {
		in.Screen = s.stood
	}
	return in
}

// statement runs JavaScript. recorded is the whole entry as it came.
func (s *Shell) statement(ctx context.Context, src, recorded, manner string, mode guard.Mode) int {
	return s.run1(ctx, src, s.input(recorded, manner, mode))
}

// run1 runs one statement in JavaScript as in says.
func (s *Shell) run1(ctx context.Context, src string, in guard.Input) int {
	st, err := s.cfg.Gate.Begin(in)
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	s.secret = Secret(src)
	defer func() { s.secret, s.hidden = false, false }()
	shown, err := s.evaluate(ctx, st, src)
	if in.Mode == guard.Preview {
		code := s.preview(st, err)
		if text, n := s.takeHeld(); n > 0 && s.cfg.JSON == Pretty {
			s.out(simulated(text))
		}
		return code
	}
	if err != nil {
		st.Discard()
		s.outcome(st)
		code := s.Failed(st, err)
		s.leaveOut()
		s.sum(st.Wrote(), "")
		return code
	}
	s.outcome(st)
	if s.quiet {
		shown = ""
	}
	s.out(shown)
	s.sum(st.Wrote(), shown)
	return codeOf(st)
}

// sum says what a statement wrote at once whose results nobody has printed: a loop has one result, or none.
func (s *Shell) sum(w guard.Wrote, shown string) {
	if text := w.String(); text != "" && (w.Commands > 1 || shown == "") {
		s.aside(text)
	}
}

// aside says something beside the results, on standard error: a line, or, to a program, an object on a line.
func (s *Shell) aside(text string) { s.say(noticeText(text, s.cfg.JSON != Pretty)) }

// evaluate runs a script to its end: its cursor page, what it queued, its result. After an error what it queued is still there: the
// caller discards it.
func (s *Shell) evaluate(ctx context.Context, st *guard.Statement, src string) (shown string, err error) {
	s.run.st = st
	defer func() { s.run.st = nil; s.renew() }()
	r, err := s.vm.Eval(ctx, "statement", src)
	if err != nil {
		return "", err
	}
	if r.Cursor() {
		if shown, err = s.pages(ctx, r); err != nil {
			return "", err
		}
	}
	if err := st.Settle(ctx); err != nil {
		return "", err
	}
	if !r.Cursor() && !r.Empty() {
		tree, err := s.vm.Tree(ctx, r)
		if err != nil {
			return "", err
		}
		shown = s.value(tree)
	}
	return shown, nil
}

// pages prints the first page of a cursor, or all of it.
func (s *Shell) pages(ctx context.Context, r js.Result) (string, error) {
	docs, more, err := s.vm.Page(ctx, r)
	if err != nil {
		return "", err
	}
	if r.Explains() {
		return s.value(docs[0]), nil
	}
	for s.cfg.All && more {
		s.out(s.list(docs, false)) // long results are printed as they come
		if docs, more, _, err = s.vm.It(ctx); err != nil {
			return "", err
		}
	}
	return s.list(docs, more), nil
}

func (s *Shell) list(docs render.List, more bool) string {
	if s.cfg.JSON != Pretty {
		var b strings.Builder
		for _, d := range docs {
			b.WriteString(s.value(d))
		}
		return b.String()
	}
	if len(docs) == 0 && !more {
		return "[]\n" // as mongosh says that nothing matches
	}
	text := render.Value(docs) + "\n"
	if more {
		text += "Type \"it\" for more\n"
	}
	return text
}

// value is one result as it is printed.
func (s *Shell) value(v any) string {
	if s.cfg.JSON == Pretty {
		return render.Value(v) + "\n"
	}
	return extJSON(v, s.cfg.JSON == Canonical) + "\n"
}

// codeOf is the exit status of a statement that ran to its end.
func codeOf(st *guard.Statement) int {
	code := ExitDone
	for _, o := range st.Outcomes() {
		if o.Status != replay.StatusApplied {
			code = ExitPartly
		}
	}
	if code == ExitPartly && len(st.Applied()) == 0 {
		return ExitRefused // all that was to be changed was left alone
	}
	return code
}

// Failed prints why a statement did not run to its end, and what of it was done, and returns the exit status.
func (s *Shell) Failed(st *guard.Statement, err error) int {
	applied := st.Applied()
	code := ExitError
	var refused *guard.Refused
	var value *js.Refusal
	var stopped *guard.Stopped
	switch {
	case errors.As(err, &refused):
		s.say(s.cfg.Style.Refusal(refused.Lines()))
		code = ExitRefused
		if refused.Record {
			code = ExitRecord
		}
	case errors.As(err, &value):
		r := &guard.Refused{Text: value.Text, Applied: applied}
		if value.Hint != "" {
			r.Hints = []string{value.Hint}
		}
		s.say(s.cfg.Style.Refusal(r.Lines()))
		code = ExitRefused
	case errors.As(err, &stopped): // its receipt says why
		s.say(render.SafeLines(stopped.What()) + "\n")
		if stopped.Outcome.Status != replay.StatusRejected {
			s.afterAll()
		}
		switch o := stopped.Outcome; {
		case o.Status != replay.StatusRejected:
			return ExitPartly
		case o.Error == "": // all of it is no longer as it was shown, and was left alone
			code = ExitRefused
		}
	case s.deaf && (errors.Is(err, js.ErrInterrupted) || guard.Interrupted(err)): // as who has enough wanted it
		s.say(changedLine(err, applied, st))
	default:
		s.say(render.SafeLines(err.Error()) + "\n" + changedLine(err, applied, st))
	}
	if len(applied) > 0 {
		return ExitPartly
	}
	return code
}

// changedLine says whether anything was changed, if anything was to be.
func changedLine(err error, applied []string, st *guard.Statement) string {
	var server *guard.ServerError // it says itself that nothing was sent
	switch {
	case len(applied) == 0 && st.Discarded() > 0:
		return "nothing was changed; what was queued before is dropped: " + plan.Plural(int64(st.Discarded()), "command") + "\n"
	case len(applied) == 0 && st.Unplanned() && !errors.As(err, &server):
		return "nothing was changed\n"
	case len(applied) == 0:
		return ""
	}
	return "nothing further was changed; already applied: " + strings.Join(applied, ", ") + "\n"
}

// preview prints the plans of a preview.
func (s *Shell) preview(st *guard.Statement, err error) int {
	if s.cfg.JSON != Pretty {
		return s.printPlan(st, err)
	}
	defer st.Discard()
	plans, judged := st.Plans()
	for i, p := range plans {
		style := s.cfg.Style
		style.AtOnce, style.Instead = judged[i].Action == policy.Run, instead(p, judged[i])
		s.out(style.Plan(p, judged[i].Environment, confirmPhrase(p, judged[i])))
	}
	switch {
	case errors.Is(err, guard.ErrIncomplete):
		s.say("the preview ends here: " + guard.ErrIncomplete.Error() + "\n")
		return ExitDone
	case err != nil:
		return s.Failed(st, err)
	case len(plans) == 0:
		s.say("this changes nothing: there is nothing to preview\n")
	}
	return ExitDone
}

// ID makes document ids like any driver's.
func ID() bson.ObjectID { return bson.NewObjectID() }
