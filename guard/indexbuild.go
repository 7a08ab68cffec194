package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
	"respect/replay"
)

// An index build may take hours, in one command. It is watched from the side link:
//
//	createIndexes ─► (the change's connection waits) ─► done
//	      │  every second: currentOp ─► progress on the screen; s, or Ctrl-C ─► dropIndexes of what is being built
//	      └─ the connection is lost ─► currentOp until the build is over ─► listIndexes says what came of it
//
// Sources: https://www.mongodb.com/docs/manual/core/index-creation/ (a build goes on when its client is gone), …/reference/method/db.currentOp/ (index
// builds), …/reference/command/dropIndexes/ (aborts a build in progress, since 4.4).

// watchEvery is how often somebody looks at an index build.
const watchEvery = time.Second

// build builds indexes and waits for the end of it.
func (x *execution) build(ctx context.Context, s plan.Step, ns command.Namespace, cmd bson.D) error {
	w := &watch{x: x, ns: ns, step: s, what: fmt.Sprintf("builds %s on %s", plan.Plural(int64(len(s.Specs)), "index"), s.NS)}
	if len(s.Specs) > 1 {
		w.what = fmt.Sprintf("builds %d indexes on %s", len(s.Specs), s.NS)
	}
	stop := w.begin(ctx)
	err := x.schema(ctx, ns.DB, cmd, func() (bool, error) {
		stop() // from here on this goroutine looks itself
		if err := w.untilOver(ctx); err != nil {
			return false, err
		}
		all, err := x.indexes(ctx, ns)
		for _, spec := range s.Specs {
			if !hasIndex(all, bson.Raw(spec).Lookup("name").StringValue()) {
				return false, err
			}
		}
		return true, err
	})
	stop()
	if w.stopped == nil {
		return err
	}
	all, lerr := x.indexes(ctx, ns)
	built := slices.ContainsFunc(s.Specs, func(spec []byte) bool { return hasIndex(all, bson.Raw(spec).Lookup("name").StringValue()) })
	switch {
	case lerr != nil:
		x.unknown = true
		return errors.Join(x.stopped(), w.stopped, lerr)
	case built:
		x.changed = true
		return fmt.Errorf("%w, too late: indexes were built already", x.stopped())
	}
	x.changed = false
	return errors.Join(x.stopped(), w.stopped)
}

// watch looks at an index build from the side link. Its methods are called by one goroutine at a time.
type watch struct {
	x       *execution
	ns      command.Namespace
	step    plan.Step
	what    string
	stopped error // it was stopped; says what came of it
}

// begin watches from a goroutine of its own until the function that it returns is called, which may be called twice. The goroutine touches nothing of the
// execution but what does not change while the command is on its way.
func (w *watch) begin(ctx context.Context) (end func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	began := w.x.gate.cfg.Now()
	go func() {
		defer close(gone)
		t := time.NewTicker(watchEvery)
		defer t.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ctx.Done():
				return
			case <-t.C:
			}
			p, _, _ := w.look(ctx, began) // who may not look is shown that it goes on
			if w.show(ctx, p) {
				return
			}
		}
	}()
	ended := false
	return func() {
		if !ended {
			ended = true
			close(quit)
			<-gone
		}
	}
}

// untilOver waits until no build of the collection is on its way.
func (w *watch) untilOver(ctx context.Context) error {
	began := w.x.gate.cfg.Now()
	for failed := 0; ; {
		p, building, err := w.look(ctx, began)
		switch {
		case err != nil && failed == 5:
			return fmt.Errorf("whether the index is still being built cannot be told: %w", err)
		case err != nil:
			failed++
		case !building:
			return nil
		default:
			failed = 0
			if w.show(ctx, p) {
				return nil
			}
		}
		w.x.gate.wait(ctx, watchEvery)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// look is what currentOp tells of builds on the collection.
func (w *watch) look(ctx context.Context, began time.Time) (p Progress, building bool, err error) {
	x := w.x
	p = Progress{Change: x.plan.Change(), What: w.what, Elapsed: x.gate.cfg.Now().Sub(began)}
	cmd, err := bson.Marshal(bson.D{{Key: "currentOp", Value: int32(1)}, {Key: "$or", Value: bson.A{
		bson.D{{Key: "op", Value: "command"}, {Key: "command.createIndexes", Value: w.ns.Collection}},
		bson.D{{Key: "op", Value: "none"}, {Key: "ns", Value: w.ns.String()}, {Key: "msg", Value: bson.Regex{Pattern: "^Index Build"}}},
	}}})
	if err != nil {
		return p, false, err
	}
	reply, err := x.d.Read(ctx, "admin", cmd)
	if err != nil {
		return p, false, err
	}
	arr, ok := reply.Lookup("inprog").ArrayOK()
	ops, verr := arr.Values()
	if !ok || verr != nil {
		return p, false, errors.New("currentOp: the reply has no operations")
	}
	for _, v := range ops {
		op, _ := v.DocumentOK()
		coll, _ := op.Lookup("command", "createIndexes").StringValueOK()
		db, _ := op.Lookup("command", "$db").StringValueOK()
		ns, _ := op.Lookup("ns").StringValueOK()
		msg, _ := op.Lookup("msg").StringValueOK()
		if (coll != w.ns.Collection || db != w.ns.DB) && (ns != w.ns.String() || !strings.HasPrefix(msg, "Index Build")) {
			continue
		}
		building = true
		if total, ok := op.Lookup("progress", "total").AsInt64OK(); ok && total > p.Total {
			p.Total = total
			p.Done, _ = op.Lookup("progress", "done").AsInt64OK()
		}
	}
	if p.Done > 0 && p.Elapsed > 0 {
		p.Rate = float64(p.Done) / p.Elapsed.Seconds()
		p.Left = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	return p, building, nil
}

// show tells the operator, and stops the build if he wants that. It says whether it did.
func (w *watch) show(ctx context.Context, p Progress) bool {
	x := w.x
	want := Go
	if x.gate.cfg.Operator != nil {
		want = x.gate.cfg.Operator.Progress(p)
	}
	select {
	case <-x.stop:
		want = Stop
	default:
	}
	if want != Stop {
		return false
	}
	w.stopped = w.abort(ctx)
	return true
}

// abort drops the indexes that are being built. What it says is for the receipt.
func (w *watch) abort(ctx context.Context) error {
	x := w.x
	for _, spec := range w.step.Specs {
		name := bson.Raw(spec).Lookup("name").StringValue()
		cmd, err := bson.Marshal(bson.D{{Key: "dropIndexes", Value: w.ns.Collection}, {Key: "index", Value: name}, x.gate.comment(x.plan.Change())})
		if err != nil {
			return err
		}
		start := x.gate.cfg.Now()
		reply, err := x.d.aside(ctx, w.ns.DB, cmd)
		e := replay.Command{
			Deployment: x.d.Name(), Database: w.ns.DB, Name: "dropIndexes", Class: command.Schema.String(), Change: x.plan.Change(), Namespaces: []string{w.ns.String()},
			Text: textOf(cmd), Micros: x.gate.cfg.Now().Sub(start).Microseconds(), Bytes: len(reply),
		}
		if err != nil {
			e.Error = err.Error()
		}
		if rerr := x.gate.cfg.Journal.Append(replay.KindCommand, e); rerr != nil {
			return rerr
		}
		if err != nil {
			return fmt.Errorf("the build of the index %s could not be stopped: %w", name, err)
		}
	}
	return fmt.Errorf("the build was stopped: %s of %s", plan.Plural(int64(len(w.step.Specs)), "index"), w.ns)
}
