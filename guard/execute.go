package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/replay"
)

// execution carries one plan out, after its intent is durable. It belongs to one goroutine.
//
//	steps ─► documents, batch by batch (batches.go) ─► last steps                    steps.go
//	            look again ─► leave out what differs ─► send ─► make sure of it      submit.go
//	                                                            │ lost: the same server? resend, or examine
//	         read back what could not be foreseen, and a sample of the rest ─► after.idx   after.go
type execution struct {
	gate   *Gate
	d      *Deployment
	plan   *plan.Plan
	images *plan.Images
	pace   *pacer
	judged Judged

	databases []string           // that the change is for
	saved     []replay.SavedFile // of its backup, as it was sealed

	resend bool  // the server remembers writes by their numbers, so that the same command may be sent again
	txn    int64 // the number of the last one

	predicted []replay.Count
	actual    map[string]*replay.Count
	order     []string
	sums      map[[2]int]*sum
	skipped   []string
	nSkipped  int64
	drifted   []int64 // documents that others changed since the preview, by their number in the plan
	alarm     []string
	fatal     error // nothing more is begun
	unknown   bool  // something was sent and it cannot be told what came of it
	done      int64
	batches   int64
	confirmed int64 // the number of the batch for which the server inside this process was asked who it is
	began     time.Time
	lagAt     time.Time                // of the last look at the secondaries
	delays    map[string]time.Duration // of delayed members, by name; nil until it was asked for
	after     []afterHash              // one an item
	afterHex  string
	verified  int64
	mismatch  bool
	differs   map[int64]bool // documents that an alarm was given of
	changed   bool           // something may have been changed
	stop      <-chan struct{}
	asked     context.Context // whose end stop is
	cursors   cursors         // that the change has opened
	readings  readings        // what was read back and could not be foreseen
	status    replay.Status
}

// wtimeout bounds the wait for a majority, in milliseconds: a write is then applied and not yet on a majority.
const wtimeout = 60_000

func newExecution(g *Gate, d *Deployment, p *plan.Plan, j Judged) *execution {
	x := &execution{
		gate: g, d: d, plan: p, judged: j, databases: databasesOf(p), pace: d.pacer(j.Environment), resend: d.remembersWrites(),
		predicted: p.Counts(), actual: map[string]*replay.Count{}, sums: map[[2]int]*sum{}, differs: map[int64]bool{}, cursors: cursors{}, began: g.cfg.Now(),
	}
	for _, c := range p.Counts() {
		x.count(c.Namespace)
	}
	listed := map[string]int64{}
	for _, c := range p.Conflicts() { // an undo that leaves documents alone is not whole
		x.leave(c.NS, fmt.Sprintf("%s %s: %s", c.NS, c.ID, c.Why))
		listed[c.NS]++
	}
	for ns, n := range p.LeftAlone() { // of many only the first are listed
		x.nSkipped += n - listed[ns]
		x.count(ns).Skipped += n - listed[ns]
	}
	return x
}

// didStep notes that the schema work of a namespace was done, where the plan counts it.
func (x *execution) didStep(s plan.Step) {
	for _, c := range x.predicted {
		if c.Namespace == s.NS && c.Schema == s.Do {
			x.count(s.NS).Schema = s.Do
		}
	}
}

// mostSkipped are listed; all are counted.
const mostSkipped = 100

// leave counts and lists a document that is left alone.
func (x *execution) leave(ns, why string) {
	x.nSkipped++
	x.count(ns).Skipped++
	if len(x.skipped) < mostSkipped {
		x.skipped = append(x.skipped, why)
	}
}

func (x *execution) count(ns string) *replay.Count {
	c := x.actual[ns]
	if c == nil {
		c = &replay.Count{Namespace: ns}
		x.actual[ns], x.order = c, append(x.order, ns)
	}
	return c
}

func (x *execution) intent(j Judged) replay.Intent {
	i := replay.Intent{
		Change: x.plan.Change(), Digest: x.plan.Digest(), Deployment: x.d.Name(), URI: x.d.URI(), Environment: j.Environment.String(),
		Summary: x.plan.Summary(), Counts: x.plan.Counts(), Road: string(x.plan.Header().Road), Undoes: x.plan.Header().Undoes, Resumes: x.plan.Header().Resumes, Only: x.plan.Header().Only,
		SessionID: hex.EncodeToString(x.d.server.SessionID()),
	}
	if x.resend {
		x.txn = x.d.txn
		i.TxnFirst = x.txn + 1
	}
	return i
}

// run does it. Ctrl-C stops it after the running batch; commands themselves are not interrupted.
func (x *execution) run(ctx context.Context) *Outcome {
	x.stop, x.asked = ctx.Done(), ctx
	work := context.WithoutCancel(ctx)
	x.images = x.plan.Images()
	x.steps(work, false)
	if x.fatal == nil && x.plan.Documents() > 0 {
		x.documents(work)
	}
	if x.fatal == nil {
		x.steps(work, true)
	}
	x.finish(work)
	if err := x.images.Close(); err != nil {
		x.warn("closing the backup: %v", err)
	}
	x.d.txn = max(x.d.txn, x.txn)
	return x.outcome()
}

func (x *execution) warn(format string, a ...any) {
	const most = 200
	if len(x.alarm) < most {
		x.alarm = append(x.alarm, fmt.Sprintf(format, a...))
	}
}

func (x *execution) fail(err error) {
	if x.fatal == nil {
		x.fatal = err
	}
}

// command sends one command of the change on the verified connection. If the driver had replaced the connection nothing was sent: the
// server behind the new one is confirmed, and if it is the same the command is sent once more.
func (x *execution) command(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	reply, err := x.d.server.Run(ctx, db, cmd, wire.Options{Connection: x.d.verified})
	if errors.Is(err, wire.ErrOtherConnection) {
		if cerr := x.confirm(ctx); cerr != nil {
			return nil, cerr
		}
		reply, err = x.d.server.Run(ctx, db, cmd, wire.Options{Connection: x.d.verified})
	}
	if errors.Is(err, wire.ErrTripwire) {
		return nil, &notSent{x.gate.security(err)}
	}
	if errors.Is(err, wire.ErrOtherConnection) {
		return nil, &notSent{err}
	}
	return reply, err
}

// standing says that the record or the backup is not where it was: what is done next could not be told, or not be taken back.
func (x *execution) standing() error {
	if r := x.gate.standing(false); r != nil {
		return r
	}
	for _, f := range x.saved {
		info, err := os.Lstat(filepath.Join(x.plan.Dir(), filepath.FromSlash(f.Name)))
		if err != nil || !info.Mode().IsRegular() || info.Size() != f.Bytes {
			return &Refused{Text: fmt.Sprintf("the backup is not as it was sealed: %s was removed or changed (%v)", f.Name, err), Hints: []string{"state directory: " + x.gate.cfg.StateDir}}
		}
	}
	return nil
}

// confirm asks who the server is, right before a write of the change. After an error nothing was sent: a *notSent will not go away, a *notReached may.
func (x *execution) confirm(ctx context.Context) error {
	err := x.d.confirm(ctx, x.databases...)
	if err == nil && x.d.answers != x.judged.answers {
		err = x.d.overtaken()
	}
	var r *Refused
	switch {
	case err == nil:
		return nil
	case errors.As(err, &r):
		return &notSent{err}
	}
	return &notReached{err}
}

// ask is command for one that is written as a document: reads, and steps of schema work, which are recorded.
func (x *execution) ask(ctx context.Context, db string, cmd bson.D) (bson.Raw, error) {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	c, err := command.Parse(db, raw, x.owned)
	if err != nil {
		return nil, &notSent{err}
	}
	start := x.gate.cfg.Now()
	reply, err := x.command(ctx, db, raw)
	if c.Class() == command.Read {
		if id, ok := reply.Lookup("cursor", "id").Int64OK(); ok {
			x.cursors[id], _ = reply.Lookup("cursor", "ns").StringValueOK()
		}
		return reply, err
	}
	if rerr := x.gate.recordCommand(x.d, c, x.plan.Change(), start, reply, err); rerr != nil {
		x.fail(rerr)
	}
	return reply, err
}

// owned says which cursors this change has opened.
func (x *execution) owned(id int64, ns command.Namespace) bool {
	have, ok := x.cursors[id]
	return ok && have == ns.String()
}

// write is command for one that holds derived statements, and records it: what they are is known, so that they need no parsing. numbered are the same bytes
// with the number under which the server remembers them, or nil.
func (x *execution) write(ctx context.Context, name string, ns command.Namespace, cmd, numbered bson.Raw) (bson.Raw, error) {
	if numbered == nil {
		numbered = cmd
	}
	if err := x.confirmWrite(ctx); err != nil {
		return nil, err
	}
	start := x.gate.cfg.Now()
	reply, err := x.command(ctx, ns.DB, numbered)
	e := replay.Command{
		Deployment: x.d.Name(), Database: ns.DB, Name: name, Class: command.DocumentWrite.String(), Change: x.plan.Change(), Namespaces: []string{ns.String()},
		Text: textOf(cmd), Micros: x.gate.cfg.Now().Sub(start).Microseconds(), Bytes: len(reply),
	}
	if err != nil {
		e.Error = err.Error()
	}
	if rerr := x.gate.record(replay.KindCommand, e); rerr != nil {
		x.fail(rerr)
	}
	return reply, err
}

// notSent is an error after which it is certain that the command did not leave.
type notSent struct{ error }

func (n *notSent) Unwrap() error { return n.error }

// notReached is an error of the question that goes before a write: the write did not leave, and may be tried again.
type notReached struct{ error }

func (n *notReached) Unwrap() error { return n.error }

// lost says whether a command may have been carried out without an answer.
func lost(err error) bool {
	var n *notSent
	var r *notReached
	if err == nil || errors.As(err, &n) || errors.As(err, &r) {
		return false
	}
	e, ok := wire.AsError(err)
	return !ok || (!e.Answered() && e.Sent)
}

// concern is the write concern of every write of a change.
func concern() bson.E {
	return bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: int32(wtimeout)}}}
}

var errStopped = errors.New("stopped by the operator after the running batch")

// endedError is errStopped when it was not the operator.
type endedError struct{ *Ended }

func (e *endedError) Error() string { return "stopped after the running batch, " + e.Why }

func (e *endedError) Is(target error) bool { return target == errStopped }

// stopped is why the change ends before its end.
func (x *execution) stopped() error {
	if e := endedBy(x.asked); e != nil {
		return &endedError{e}
	}
	return errStopped
}

// progress is where the change stands.
func (x *execution) progress() Progress {
	p := Progress{Change: x.plan.Change(), Done: x.done, Total: x.plan.Documents(), Skipped: x.nSkipped, Batches: x.batches}
	for _, c := range x.actual {
		p.Applied += c.Changed()
	}
	p.Elapsed = x.gate.cfg.Now().Sub(x.began)
	if p.Elapsed > 0 {
		p.Rate = float64(x.done) / p.Elapsed.Seconds()
	}
	if p.Rate > 0 {
		p.Left = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	return p
}

// control asks the operator, between batches, whether to go on, and waits while he wants a pause.
func (x *execution) control(ctx context.Context, p Progress) error {
	for paused := false; ; paused = true {
		select {
		case <-x.stop:
			return x.stopped()
		default:
		}
		if x.gate.cfg.Operator == nil {
			return nil
		}
		p.Paused = paused
		switch x.gate.cfg.Operator.Progress(p) {
		case Stop:
			return x.stopped()
		case Pause:
			if !paused {
				if err := x.gate.record(replay.KindProgress, replay.Progress{Change: p.Change, Step: "paused by the operator", Done: p.Done, Applied: p.Applied, Skipped: p.Skipped}); err != nil {
					return err
				}
			}
			x.gate.wait(ctx, 100*time.Millisecond)
		default:
			return nil
		}
	}
}

func (x *execution) outcome() *Outcome {
	o := &Outcome{Change: x.plan.Change(), Predicted: x.predicted, Skipped: x.skipped, Alarm: x.alarm, Took: x.gate.cfg.Now().Sub(x.began), Batches: x.batches, ReadBack: x.verified, sums: x.sums, drifted: x.drifted}
	for _, ns := range x.order {
		o.Actual = append(o.Actual, *x.actual[ns])
	}
	if x.fatal != nil {
		o.Error = x.fatal.Error()
	}
	switch {
	case x.unknown:
		o.Status = replay.StatusUnknown
	case x.fatal == nil && x.nSkipped == 0:
		o.Status = replay.StatusApplied
	case !x.changed:
		o.Status = replay.StatusRejected
	default:
		o.Status = replay.StatusPartly
	}
	x.status = o.Status
	return o
}

func (x *execution) outcomeEvent() replay.Outcome {
	o := x.outcome()
	return replay.Outcome{
		Change: o.Change, Status: o.Status, Predicted: o.Predicted, Counts: o.Actual, Skipped: o.Skipped, Alarm: o.Alarm, Error: o.Error, After: x.afterHex,
		Micros: o.Took.Microseconds(), Batches: o.Batches, ReadBack: o.ReadBack,
	}
}

// afterHash is what the change left of a document: its hash; zero and gone if it is not there; zero and skipped if it was not touched.
type afterHash struct {
	sum   [sha256.Size]byte
	state afterState
}

type afterState uint8

const (
	afterUntouched afterState = iota
	afterGone
	afterHere
	afterUnread // changed, and not read back yet
)
