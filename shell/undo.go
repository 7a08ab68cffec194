package shell

import (
	"context"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/replay/journal"
	"respect/shell/render"
)

// What takes back changes, makes them again, and goes on with them.

// undoArgs takes apart what stands behind undo: an id, a filter in braces, both or neither.
func (s *Shell) undoArgs(ctx context.Context, args, text, manner string, mode guard.Mode) int {
	id, only := args, ""
	if i := strings.IndexByte(args, '{'); i >= 0 {
		id, only = strings.TrimSpace(args[:i]), args[i:]
	}
	opts := UndoOptions{Only: only}
	if rest, ok := strings.CutSuffix(id, "fields"); ok && (rest == "" || strings.HasSuffix(rest, " ")) {
		id, opts.Fields = strings.TrimSpace(rest), true
	}
	return s.undo(ctx, id, opts, text, manner, mode)
}

// UndoOptions say more of what is to be taken back, and where.
type UndoOptions struct {
	Only string // a filter, as JavaScript; "" for all
	// Fields sets back only what the change did, in documents that others changed since.
	Fields bool
	On     string // the deployment, if it is another than the one where the change was made
	// Change and Dir are a change that was made in another state directory, and where its files were unpacked; nil and "" for one that was made here.
	Change *journal.Change
	Dir    string
}

// Undo takes back a change, or the last one.
func (s *Shell) Undo(ctx context.Context, id string, opts UndoOptions, manner string) int {
	text := strings.TrimSpace("undo " + id)
	if opts.Fields {
		text += " fields"
	}
	if opts.Only != "" {
		text += " " + opts.Only
	}
	return s.undo(ctx, id, opts, text, manner, guard.Execute)
}

func (s *Shell) undo(ctx context.Context, id string, opts UndoOptions, text, manner string, mode guard.Mode) int {
	var only bson.Raw
	if opts.Only != "" {
		var err error
		only, err = s.vm.Filter(ctx, opts.Only)
		if s.renew(); err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
	}
	c, code := opts.Change, ExitDone
	if c == nil {
		if c, code = s.changeNamed(id); c == nil {
			return code
		}
	}
	st, code := s.begin(text, manner, mode)
	if st == nil {
		return code
	}
	err := st.Undo(ctx, s.here(), c, guard.UndoOptions{Only: only, Fields: opts.Fields, On: opts.On, Dir: opts.Dir})
	return s.ended(st, mode, err, "everything is already as it was before "+render.Safe(c.ID))
}

// Redo makes again what undo took back last.
func (s *Shell) Redo(ctx context.Context, opts UndoOptions, manner string) int {
	return s.redoWith(ctx, opts, "redo", manner, guard.Execute)
}

func (s *Shell) redo(ctx context.Context, text, manner string, mode guard.Mode) int {
	return s.redoWith(ctx, UndoOptions{}, text, manner, mode)
}

func (s *Shell) redoWith(ctx context.Context, opts UndoOptions, text, manner string, mode guard.Mode) int {
	changes, err := s.changes()
	if err == nil {
		opts.Change, err = LastUndo(changes)
	}
	if err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	return s.undo(ctx, opts.Change.ID, opts, text, manner, mode)
}

// Resume does what a change has left.
func (s *Shell) Resume(ctx context.Context, id, text, manner string) int {
	c, code := s.changeNamed(id)
	if c == nil {
		return code
	}
	st, code := s.begin(text, manner, guard.Execute)
	if st == nil {
		return code
	}
	return s.ended(st, guard.Execute, st.Resume(ctx, s.here(), c), "nothing of "+render.Safe(c.ID)+" is left to do")
}

// changeNamed finds a change, or says that there is none.
func (s *Shell) changeNamed(id string) (*journal.Change, int) {
	changes, err := s.changes()
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	c, err := FindChange(changes, id)
	if err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	return c, ExitDone
}

// begin begins a statement that is no JavaScript.
func (s *Shell) begin(text, manner string, mode guard.Mode) (*guard.Statement, int) {
	st, err := s.cfg.Gate.Begin(s.input(text, manner, mode))
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return nil, ExitError
	}
	return st, ExitDone
}

// ended says what came of a statement that takes back, or goes on with, a change. nothing is said if there was nothing to do.
func (s *Shell) ended(st *guard.Statement, mode guard.Mode, err error, nothing string) int {
	if mode == guard.Preview {
		return s.preview(st, err)
	}
	if err != nil {
		return s.Failed(st, err)
	}
	outcomes := st.Outcomes()
	if s.cfg.JSON != Pretty {
		s.carried(outcomes)
	}
	if len(outcomes) == 0 || slices.ContainsFunc(outcomes, func(o *guard.Outcome) bool { return o.Empty }) {
		s.notice(nothing)
	}
	return codeOf(st)
}

// carried prints what became of changes, to a program: each as changes --json has it.
func (s *Shell) carried(outcomes []*guard.Outcome) {
	changes, err := s.changes()
	if err != nil {
		s.say("warning: " + render.SafeLines(err.Error()) + "\n")
		return
	}
	for _, o := range outcomes {
		for _, c := range changes {
			if c.ID == o.Change {
				s.json(ToJSON(c))
			}
		}
	}
}

func (s *Shell) changes() ([]*journal.Change, error) {
	changes, problems, err := ReadChanges(s.cfg.StateDir)
	s.say(Unverified(problems))
	return changes, err
}
