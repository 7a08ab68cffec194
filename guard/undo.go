package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/backup"
	"respect/replay/durable"
	"respect/replay/journal"
)

// UndoOptions say more of what is to be taken back. The zero value takes all of it back, where it was done.
type UndoOptions struct {
	// Only is a filter: of the change's documents those that match it, as they were before or as they are now.
	Only bson.Raw
	// On names the deployment to take it back on, if that is not shown to be the one where it was done: a restored copy, for example.
	On string
	// Fields sets back only the change's own fields in documents that others changed since; without it they are left alone.
	Fields bool
	// Dir is where the files of the change are, if it was made in another state directory and brought here; "" if it was made here.
	Dir string
}

// Undo plans to take a change back and carries that out like any other plan. change is its state as the record has it.
func (s *Statement) Undo(ctx context.Context, d *Deployment, change *journal.Change, opts UndoOptions) error {
	if err := undoable(change); err != nil {
		return s.refuse(err)
	}
	p, v, judged, err := s.openChange(ctx, d, change, opts)
	if err != nil {
		return err
	}
	after, err := readAfter(p.Dir(), change.AfterHash())
	if err != nil {
		return s.unreadable(ctx, change, opts.Dir, err)
	}
	var saved []replay.SavedFile
	if change.Saved != nil {
		saved = change.Saved.Files
	}
	s.fieldsAlone = func() (*plan.Plan, error) {
		opts.Fields = true
		return s.planUndo(ctx, d, p, judged, after, saved, opts)
	}
	u, err := s.planUndo(ctx, d, p, judged, after, saved, opts)
	if errors.Is(err, plan.ErrNoPart) {
		return s.refuse(&Refused{Text: err.Error()})
	}
	if err != nil {
		return s.unreadable(ctx, change, opts.Dir, err)
	}
	if s.mode == Preview {
		return s.keep(u, judged)
	}
	if u.Empty() && len(u.Conflicts()) > 0 {
		r := &Refused{Text: "nothing can be put back: " + u.Facts()[0].Text}
		if u.FieldsPossible() > 0 {
			r.Hints = []string{"to set back only what the change did to them: undo " + change.ID + " fields"}
		}
		err := s.gate.record(replay.KindPlanned, plannedEvent(u, judged))
		return errors.Join(err, s.refuse(r), u.Discard())
	}
	if _, err := s.carryOut(ctx, d, u, v, judged); err != nil {
		return s.fail(err)
	}
	return nil
}

// planUndo plans to take a change back.
func (s *Statement) planUndo(ctx context.Context, d *Deployment, p *plan.Plan, judged Judged, after []string, saved []replay.SavedFile, opts UndoOptions) (*plan.Plan, error) {
	cfg, err := s.planConfig(d, judged, p.Header().Class)
	if err != nil {
		return nil, err
	}
	cfg.Header.Fields = opts.Fields
	if opts.Dir != "" {
		cfg.Facts = append(cfg.Facts, plan.Fact{
			Code: plan.FromFile, Severity: plan.Danger, Text: "the change and its backup come from a file; whether they say what was, cannot be told here",
		})
	}
	if other := sameDeployment(d, p); opts.On != "" && other != nil {
		cfg.Facts = append(cfg.Facts, plan.Fact{
			Code: plan.OtherDeployment, Severity: plan.Danger, Data: map[string]any{"made": p.Header().Deployment, "here": d.Name(), "was": p.Header().Identity, "is": d.who.Map()},
			Text: other.Text + "; " + other.Hints[0],
		})
	}
	return plan.Undo(ctx, cfg, p, after, saved, opts.Only)
}

// unreadable ends a statement that works on a change with an error on the way there. If files of the change are not as the record has them, that is what is
// said: it is no error like others.
func (s *Statement) unreadable(ctx context.Context, change *journal.Change, dir string, err error) error {
	var r *Refused
	if _, server := wire.AsError(err); server || errors.As(err, &r) || ctx.Err() != nil {
		return s.fail(err)
	}
	if dir == "" {
		dir = s.gate.changeDir(change.ID)
	}
	report, verr := backup.Verify(dir, change)
	if verr != nil || len(report.Problems) == 0 {
		return s.fail(err)
	}
	return s.refuse(&Refused{
		Text:   fmt.Sprintf("change %s cannot be worked on: its files are not as the record has them: %s", change.ID, strings.Join(report.Problems, "; ")),
		Hints:  []string{"respect changes verify checks them; a copy of them, or a bundle that respect changes export made before, can take their place"},
		Record: true,
	})
}

// openChange opens the plan of a change that is to be taken back or to be finished, on a deployment that is shown to be the one where it was made, or
// that the operator names.
func (s *Statement) openChange(ctx context.Context, d *Deployment, change *journal.Change, opts UndoOptions) (p *plan.Plan, v policy.Verdict, j Judged, err error) {
	dir := opts.Dir
	if dir == "" {
		dir = s.gate.changeDir(change.ID)
	}
	if p, err = plan.Open(dir, change.Intent.Digest); err != nil {
		return nil, v, j, s.unreadable(ctx, change, opts.Dir, err)
	}
	if err := d.confirm(ctx); err != nil {
		return nil, v, j, s.unconfirmed(err)
	}
	if err := sameDeployment(d, p); err != nil && (opts.On == "" || opts.On != d.Name()) {
		return nil, v, j, s.refuse(err)
	}
	if !d.primary() {
		return nil, v, j, s.refuse(&Refused{Text: d.Name() + " is not a primary: it takes no writes"})
	}
	v, j, err = s.decideUndo(ctx, d, p, opts.Dir != "")
	return p, v, j, err
}

// Resume plans what a change has not done, because it was cut off, stopped, or left documents alone that others had changed, and carries that out like any other
// plan: those documents, as they are now, as far as the statement that was typed still selects them.
func (s *Statement) Resume(ctx context.Context, d *Deployment, change *journal.Change) error {
	switch {
	case change.Running:
		return s.refuse(&Refused{Text: fmt.Sprintf("change %s is being carried out by another session", change.ID)})
	case change.Status == replay.StatusApplied:
		return s.refuse(&Refused{Text: fmt.Sprintf("change %s was made as a whole: there is nothing left to do", change.ID)})
	case change.Status == replay.StatusUndone:
		return s.refuse(&Refused{Text: fmt.Sprintf("change %s was taken back, by %s", change.ID, change.UndoneBy), Hints: []string{"to make it again: undo " + change.UndoneBy}})
	}
	p, v, judged, err := s.openChange(ctx, d, change, UndoOptions{})
	if err != nil {
		return err
	}
	if len(p.Steps()) > 0 || p.Header().Undoes != "" || p.Header().Class != command.DocumentWrite.String() {
		return s.refuse(&Refused{
			Text:  fmt.Sprintf("change %s is no change of documents that could be gone on with", change.ID),
			Hints: []string{"undo " + change.ID + " takes back what was done of it; then type it again"},
		})
	}
	after, err := readAfter(p.Dir(), change.AfterHash())
	if err != nil {
		return s.unreadable(ctx, change, "", err)
	}
	left, err := plan.LeftOf(ctx, planReader{d}, p, after)
	if err != nil {
		return s.unreadable(ctx, change, "", err)
	}
	if left.Documents == 0 {
		r := &Refused{Text: fmt.Sprintf("nothing is left of change %s", change.ID)}
		if left.Unclear > 0 {
			r.Text += fmt.Sprintf(", but for %d documents that are neither as before nor as it was to leave them", left.Unclear)
		}
		return s.refuse(r)
	}
	rest, err := s.planAgain(ctx, d, p, judged, change.ID, left.Has)
	if err != nil {
		return s.fail(err)
	}
	if s.mode == Preview {
		return s.keep(rest, judged)
	}
	if _, err := s.carryOut(ctx, d, rest, v, judged); err != nil {
		return s.fail(err)
	}
	return nil
}

func undoable(c *journal.Change) *Refused {
	switch {
	case c.Running:
		return &Refused{Text: fmt.Sprintf("change %s is being carried out by another session", c.ID)}
	case c.Pruned != nil:
		return &Refused{Text: fmt.Sprintf("the backup of change %s was deleted on %s: it cannot be taken back (%s)", c.ID, c.PrunedAt.Format("2006-01-02"), c.Pruned.Why)}
	case c.Status == replay.StatusRejected:
		return &Refused{Text: fmt.Sprintf("change %s changed nothing: there is nothing to take back", c.ID)}
	case c.Status == replay.StatusUndone:
		return &Refused{Text: fmt.Sprintf("change %s was taken back already, by %s", c.ID, c.UndoneBy), Hints: []string{"to make it again: undo " + c.UndoneBy}}
	}
	return nil
}

// decideUndo asks policy for the class of work that the change was. Marking a deployment is never undone by undo.
func (s *Statement) decideUndo(ctx context.Context, d *Deployment, p *plan.Plan, brought bool) (v policy.Verdict, j Judged, err error) {
	class, targets := command.Unknown, []command.Namespace{}
	for c := command.DocumentWrite; c <= command.Server; c++ {
		if c.String() == p.Header().Class {
			class = c
		}
	}
	for _, c := range p.Counts() {
		ns, err := command.ParseNamespace(c.Namespace)
		if err != nil {
			ns = command.Namespace{DB: c.Namespace} // a database as a whole
		}
		targets = append(targets, ns)
	}
	if class == command.Security && p.Documents() > 0 {
		return v, j, s.refuse(&Refused{Text: "a marker is not taken back with undo", Hints: []string{"respect mark writes another one"}})
	}
	if brought {
		more, err := vet(p, class)
		if err != nil {
			return v, j, s.refuse(&Refused{Text: fmt.Sprintf("change %s cannot be taken back from a file: %v", p.Change(), err)})
		}
		targets = append(targets, more...)
	}
	env, evidence, err := d.environmentOf(ctx, targets)
	if err != nil {
		return v, j, d.fromWire(err, false)
	}
	v = s.gate.cfg.Policy.Decide(env, class)
	if len(p.Steps()) > 0 {
		if schema := s.gate.cfg.Policy.Decide(env, command.Schema); schema.Action < v.Action {
			v = schema
		}
	}
	return v, Judged{env, evidence, v.Action, v.Why, d.answers}, nil
}

// vet reads all of a plan that was not made here, and of which therefore nothing is believed: the namespaces that it would touch are those of its documents and
// steps, and only ordinary documents, collections and indexes may be among them. No command of its own is ever sent.
func vet(p *plan.Plan, class command.Class) (targets []command.Namespace, err error) {
	if class != command.DocumentWrite && class != command.Schema {
		return nil, fmt.Errorf("it is %s work", p.Header().Class)
	}
	seen := map[string]bool{}
	look := func(name string) error {
		if name == "" || seen[name] {
			return nil
		}
		seen[name] = true
		ns, err := command.ParseNamespace(name)
		if err != nil {
			return err
		}
		targets = append(targets, ns)
		return ordinary(ns)
	}
	for _, st := range p.Steps() {
		if st.Do == plan.DoRun {
			return nil, fmt.Errorf("it ran %s, whose inverse would come from the file", st.Verb)
		}
		if err := errors.Join(look(st.NS), look(st.To), plainOptions(st)); err != nil {
			return nil, err
		}
	}
	for _, ns := range p.Creates() {
		if err := look(ns); err != nil {
			return nil, err
		}
	}
	return targets, p.Items(func(it plan.Item) error { return look(it.NS) })
}

// plainOptions says what is special about the collection that a step would make.
func plainOptions(st plan.Step) error {
	if len(st.Options) == 0 {
		return nil
	}
	elems, err := bson.Raw(st.Options).Elements()
	if err != nil {
		return err
	}
	for _, e := range elems {
		switch e.Key() {
		case "capped", "size", "max", "validator", "validationLevel", "validationAction", "collation", "storageEngine", "indexOptionDefaults", "clusteredIndex",
			"changeStreamPreAndPostImages", "autoIndexId", "flags":
		default:
			return fmt.Errorf("it would make %s with the option %q", st.NS, e.Key())
		}
	}
	return nil
}

// ordinary says what is special about a namespace: that a write to it would be more than a write of documents.
func ordinary(ns command.Namespace) error {
	for class, cmd := range map[command.Class]bson.D{
		command.DocumentWrite: {{Key: "delete", Value: ns.Collection}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: int32(0)}}}}},
		command.Schema:        {{Key: "drop", Value: ns.Collection}},
	} {
		raw, err := bson.Marshal(cmd)
		if err != nil {
			return err
		}
		c, err := command.Parse(ns.DB, raw, nil)
		if err != nil {
			return err
		}
		if c.Class() != class {
			return fmt.Errorf("%s is no ordinary collection: %s", ns, c.Why())
		}
	}
	return nil
}

// readAfter reads after.idx and compares it with the hash in the record; nil if the record has none.
func readAfter(dir, want string) ([]string, error) {
	if want == "" {
		return nil, nil
	}
	b, err := durable.ReadFile(filepath.Join(dir, "after.idx"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("after.idx is missing")
	}
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
		return nil, fmt.Errorf("after.idx has hash %x, the record says %s: it was changed", sum, want)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"), nil
}

// OtherServer says that what came of a change can be found out only where it was made.
type OtherServer struct {
	Change, Made string
	refused      *Refused
}

// Error implements error.
func (e *OtherServer) Error() string {
	return fmt.Sprintf("what came of change %s stays unknown until this program is connected to %s again: %s (%s)", e.Change, e.Made, e.refused.Text, e.refused.Hints[0])
}

// Unwrap is for errors.As.
func (e *OtherServer) Unwrap() error { return e.refused }

// Recover finds out what came of a change whose session was cut off, with reads only, and records it in this session.
func (g *Gate) Recover(ctx context.Context, d *Deployment, change *journal.Change) (replay.Recovery, error) {
	r := replay.Recovery{Change: change.ID, Session: change.Session}
	p, err := plan.Open(g.changeDir(change.ID), change.Intent.Digest)
	if err != nil {
		return r, err
	}
	if err := d.confirm(ctx); err != nil {
		return r, err
	}
	if err := sameDeployment(d, p); err != nil {
		return r, &OtherServer{Change: change.ID, Made: p.Header().Deployment, refused: err}
	}
	x, err := plan.Examine(ctx, planReader{d}, p)
	if err != nil {
		return r, d.fromWire(err, false)
	}
	r.Status, r.Counts = x.Status(), x.Counts
	r.Found = fmt.Sprintf("%d applied, %d not applied, %d changed by it or by others", x.Applied, x.NotApplied, x.Unclear)
	if len(x.Found) > 0 {
		r.Found += " (" + strings.Join(x.Found, "; ") + ")"
	}
	return r, g.recordSync(replay.KindRecovery, r)
}
