package guard

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/replay"
)

// execution carries one plan out, after its intent is durable. It belongs to one goroutine.
//
//	for each batch:  re-read ─► compare byte for byte ─► leave out what differs ─► send ─► read the reply ─► record progress
//	at the end:      read back what could not be foreseen, and a sample of the rest ─► after.idx
type execution struct {
	gate   *Gate
	d      *Deployment
	plan   *plan.Plan
	images *plan.Images

	predicted []replay.Count
	actual    map[string]*replay.Count
	order     []string
	sums      map[[2]int]*sum
	skipped   []string
	nSkipped  int64
	alarm     []string
	fatal     error // nothing more is begun
	unknown   bool  // something was sent and it cannot be told what came of it
	done      int64
	after     []afterHash // one an item
	afterHex  string
	verified  int64
	mismatch  bool
	differs   map[int64]bool // documents that an alarm was given of
	changed   bool           // something may have been changed
	status    replay.Status
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

// verifySample is how many foreseeable after-images are read back at least.
const verifySample = 1000

// wtimeout bounds the wait for a majority, in milliseconds: a write is then applied and not yet on a majority.
const wtimeout = 60_000

func newExecution(g *Gate, d *Deployment, p *plan.Plan) *execution {
	x := &execution{gate: g, d: d, plan: p, predicted: p.Counts(), actual: map[string]*replay.Count{}, sums: map[[2]int]*sum{}, differs: map[int64]bool{}}
	for _, c := range p.Counts() {
		x.count(c.Namespace).Schema = c.Schema
	}
	for _, c := range p.Conflicts() { // an undo that leaves documents alone is not whole
		x.leave(c.NS, fmt.Sprintf("%s %s: %s", c.NS, c.ID, c.Why))
	}
	return x
}

// leave counts and lists a document that is left alone.
func (x *execution) leave(ns, why string) {
	x.nSkipped++
	x.count(ns).Skipped++
	if len(x.skipped) < 100 {
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
	return replay.Intent{
		Change: x.plan.Change(), Digest: x.plan.Digest(), Deployment: x.d.Name(), URI: x.d.URI(), Environment: j.Environment.String(),
		Summary: x.plan.Summary(), Counts: x.plan.Counts(), Road: string(x.plan.Header().Road), Undoes: x.plan.Header().Undoes,
		SessionID: hex.EncodeToString(x.d.server.SessionID()),
	}
}

// run does it. Ctrl-C stops it after the running batch; commands themselves are not interrupted.
func (x *execution) run(ctx context.Context) *Outcome {
	stop := ctx.Done()
	work := context.WithoutCancel(ctx)
	x.images = x.plan.Images()
	x.steps(work, false)
	if x.fatal == nil && x.plan.Documents() > 0 {
		x.documents(work, stop)
	}
	if x.fatal == nil {
		x.steps(work, true)
	}
	x.finish(work)
	if err := x.images.Close(); err != nil {
		x.warn("closing the backup: %v", err)
	}
	return x.outcome()
}

func (x *execution) warn(format string, a ...any) {
	x.alarm = append(x.alarm, fmt.Sprintf(format, a...))
}

func (x *execution) fail(err error) {
	if x.fatal == nil {
		x.fatal = err
	}
}

// command sends one command of the change on the verified connection. If the driver had replaced the connection nothing was sent: the
// server behind the new one is verified, and if it is the same the command is sent once more.
func (x *execution) command(ctx context.Context, db string, cmd bson.D) (bson.Raw, error) {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	start := x.gate.cfg.Now()
	reply, err := x.d.server.Run(ctx, db, raw, wire.Options{Connection: x.d.verified})
	if errors.Is(err, wire.ErrOtherConnection) {
		if verr := x.d.verify(ctx); verr != nil {
			return nil, &notSent{verr}
		}
		reply, err = x.d.server.Run(ctx, db, raw, wire.Options{Connection: x.d.verified})
	}
	if errors.Is(err, wire.ErrTripwire) {
		return nil, &notSent{x.gate.security(err)}
	}
	if errors.Is(err, wire.ErrOtherConnection) {
		return nil, &notSent{err}
	}
	if c, perr := command.Parse(db, raw, func(id int64) bool { return x.d.owns(x.d.main, id) }); perr == nil {
		if c.Class() == command.Read {
			if err == nil {
				x.d.own(x.d.main, c, reply)
			}
		} else if rerr := x.gate.recordCommand(x.d, c, x.plan.Change(), start, reply, err); rerr != nil {
			x.fail(rerr)
		}
	}
	return reply, err
}

// notSent is an error after which it is certain that the command did not leave.
type notSent struct{ error }

func (n *notSent) Unwrap() error { return n.error }

// lost says whether a command may have been carried out without an answer.
func lost(err error) bool {
	var n *notSent
	if err == nil || errors.As(err, &n) {
		return false
	}
	e, ok := wire.AsError(err)
	return !ok || (!e.Answered() && e.Sent)
}

// concern is the write concern of every write of a change.
func concern() bson.E {
	return bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: int32(wtimeout)}}}
}

// batch is what is sent in one command.
type batch struct {
	command string
	ns      command.Namespace
	let     bson.RawValue
	bypass  bool
	works   []work
	bytes   int
}

// work is one document of a batch.
type work struct {
	item          plan.Item
	before, after bson.Raw
	derived       plan.Derived
	statement     bson.Raw
}

func (x *execution) documents(ctx context.Context, stop <-chan struct{}) {
	x.after = make([]afterHash, x.plan.Documents())
	var b batch
	flush := func() error {
		if len(b.works) == 0 {
			return nil
		}
		err := x.batch(ctx, &b)
		b = batch{}
		if err != nil {
			return err
		}
		select {
		case <-stop:
			return errStopped
		default:
		}
		if x.gate.cfg.Operator != nil && x.gate.cfg.Operator.Progress(x.progress()) == Stop {
			return errStopped
		}
		return x.fatal
	}
	err := x.plan.Items(func(it plan.Item) error {
		w, err := x.prepare(it)
		if err != nil {
			return err
		}
		ns, err := command.ParseNamespace(it.NS)
		if err != nil {
			return err
		}
		if !b.fits(ns, w, x.d.MaxStatements()) {
			if err := flush(); err != nil {
				return err
			}
		}
		b.add(ns, w)
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil && (!errors.Is(err, errStopped) || x.done < x.plan.Documents()) {
		x.fail(err)
	}
}

var errStopped = errors.New("stopped by the operator after the running batch")

func (x *execution) progress() Progress {
	p := Progress{Change: x.plan.Change(), Done: x.done, Total: x.plan.Documents(), Skipped: x.nSkipped}
	for _, c := range x.actual {
		p.Applied += c.Changed()
	}
	return p
}

func (x *execution) prepare(it plan.Item) (work, error) {
	before, err := x.images.Before(it)
	if err != nil {
		return work{}, err
	}
	after, err := x.images.After(it)
	if err != nil {
		return work{}, err
	}
	derived, err := x.plan.Derive(it, before, after)
	if err != nil {
		return work{}, err
	}
	raw, err := bson.Marshal(derived.Statement)
	return work{it, before, after, derived, raw}, err
}

// maxBatchBytes keeps a command below the 48 MB that a message may have, whatever else is in it, and a batch short.
const maxBatchBytes = 12 << 20

func (b *batch) fits(ns command.Namespace, w work, most int) bool {
	if len(b.works) == 0 {
		return true
	}
	sameLet := b.let.Type == w.derived.Let.Type && bytes.Equal(b.let.Value, w.derived.Let.Value)
	return b.ns == ns && b.command == w.derived.Command && sameLet && b.bypass == w.derived.Bypass &&
		len(b.works) < most && b.bytes+len(w.statement) <= maxBatchBytes
}

func (b *batch) add(ns command.Namespace, w work) {
	b.ns, b.command, b.let, b.bypass = ns, w.derived.Command, w.derived.Let, w.derived.Bypass
	b.works, b.bytes = append(b.works, w), b.bytes+len(w.statement)
}

// batch looks at each document once more, leaves out what others changed, and sends the rest.
func (x *execution) batch(ctx context.Context, b *batch) error {
	now, err := x.look(ctx, b)
	if err != nil {
		return fmt.Errorf("look at the documents once more: %w", x.d.fromWire(err, false))
	}
	var fresh []work
	for _, w := range b.works {
		if current := now[key(w)]; bytes.Equal(current, w.before) && (current == nil) == (w.before == nil) {
			fresh = append(fresh, w)
		} else {
			x.skip(w, drift(w, current))
		}
	}
	if len(fresh) > 0 {
		if b.command == "findAndModify" {
			err = x.oneByOne(ctx, b, fresh)
		} else {
			err = x.together(ctx, b, fresh)
		}
	}
	x.done += int64(len(b.works))
	p := x.progress()
	if rerr := x.gate.record(replay.KindProgress, replay.Progress{Change: x.plan.Change(), Step: b.command + " " + b.ns.String(), Done: p.Done, Applied: p.Applied, Skipped: p.Skipped}); rerr != nil {
		return errors.Join(err, rerr)
	}
	if err != nil {
		return err
	}
	return x.readBack(ctx, b.ns, fresh)
}

func drift(w work, current bson.Raw) string {
	switch {
	case w.before == nil:
		return "a document with this _id exists by now"
	case current == nil:
		return "was deleted by somebody else since the preview"
	}
	return "was changed by somebody else since the preview"
}

func key(w work) string {
	id := idOf(w)
	return string(id.Type) + string(id.Value)
}

func idOf(w work) bson.RawValue {
	if w.before != nil {
		return w.before.Lookup("_id")
	}
	return w.after.Lookup("_id")
}

// look reads the batch's documents as they are now, by _id.
func (x *execution) look(ctx context.Context, b *batch) (map[string]bson.Raw, error) {
	return x.find(ctx, b.ns, b.works)
}

func (x *execution) find(ctx context.Context, ns command.Namespace, works []work) (map[string]bson.Raw, error) {
	ids := bson.A{}
	for _, w := range works {
		ids = append(ids, idOf(w))
	}
	out := map[string]bson.Raw{}
	cmd := bson.D{{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}}}
	for batch := "firstBatch"; ; batch = "nextBatch" {
		reply, err := x.command(ctx, ns.DB, cmd)
		if err != nil {
			return nil, err
		}
		docs, ok := reply.Lookup("cursor", batch).ArrayOK()
		if !ok {
			return nil, errors.New("find: the reply has no documents")
		}
		values, err := docs.Values()
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			doc := bson.Raw(bytes.Clone(v.Document()))
			id := doc.Lookup("_id")
			out[string(id.Type)+string(id.Value)] = doc
		}
		cursor := reply.Lookup("cursor", "id").AsInt64()
		if cursor == 0 {
			return out, nil
		}
		cmd = bson.D{{Key: "getMore", Value: cursor}, {Key: "collection", Value: ns.Collection}}
	}
}

func (x *execution) skip(w work, why string) {
	x.leave(w.item.NS, fmt.Sprintf("%s %s: %s", w.item.NS, w.item.ID, why))
}

// applied counts a document that was changed.
func (x *execution) applied(w work) {
	x.changed = true
	c := x.count(w.item.NS)
	s := x.sums[[2]int{w.item.Command, w.item.Statement}]
	if s == nil {
		s = &sum{}
		x.sums[[2]int{w.item.Command, w.item.Statement}] = s
	}
	h := &x.after[w.item.N]
	switch w.item.Op {
	case "insert":
		c.Inserted++
		if w.item.Upsert {
			s.upserted = w.after.Lookup("_id")
		} else {
			s.inserted++
		}
	case "update":
		c.Updated++
		s.modified++
	case "replace":
		c.Replaced++
		s.modified++
	case "delete":
		c.Deleted++
		s.deleted++
		h.state = afterGone
		return
	}
	h.state = afterUnread
	if w.item.After != nil {
		if sum, err := hex.DecodeString(w.item.After.SHA256); err == nil && len(sum) == sha256.Size {
			h.sum, h.state = [sha256.Size]byte(sum), afterHere
		}
	}
}

// together sends a batch of insert, update or delete.
func (x *execution) together(ctx context.Context, b *batch, fresh []work) error {
	list := bson.A{}
	for _, w := range fresh {
		list = append(list, bson.Raw(w.statement))
	}
	cmd := bson.D{
		{Key: b.command, Value: b.ns.Collection},
		{Key: map[string]string{"insert": "documents", "update": "updates", "delete": "deletes"}[b.command], Value: list},
		{Key: "ordered", Value: x.plan.Header().Undoes == ""}, concern(), x.gate.comment(x.plan.Change()),
	}
	if b.bypass && b.command != "delete" {
		cmd = append(cmd, bson.E{Key: "bypassDocumentValidation", Value: true})
	}
	if b.let.Type != 0 {
		cmd = append(cmd, bson.E{Key: "let", Value: b.let})
	}
	reply, err := x.command(ctx, b.ns.DB, cmd)
	if lost(err) {
		return x.examine(ctx, b.ns, fresh, err)
	}
	if reply == nil && err != nil {
		return fmt.Errorf("%s %s: %w", b.command, b.ns, err) // it did not leave
	}
	x.concernError(reply)
	n := reply.Lookup("n").AsInt64()
	failed := writeErrors(reply)
	if len(failed) == 0 && err == nil && n == int64(len(fresh)) {
		for _, w := range fresh {
			x.applied(w)
		}
		return nil
	}
	return x.sortOut(ctx, b, fresh, failed, err)
}

// sortOut finds out which documents of a batch were changed when the server did not change all of them.
func (x *execution) sortOut(ctx context.Context, b *batch, sent []work, failed map[int]string, err error) error {
	now, lerr := x.find(ctx, b.ns, sent)
	if lerr != nil {
		x.unknown = true
		return fmt.Errorf("find out which documents were changed: %w", lerr)
	}
	var first string
	for i, w := range sent {
		current := now[key(w)]
		switch {
		case changedTo(w, current):
			x.applied(w)
		case failed[i] != "":
			if first == "" {
				first = failed[i]
			}
			x.skip(w, failed[i])
		case bytes.Equal(current, w.before) && (current == nil) == (w.before == nil):
			if len(failed) == 0 && err == nil {
				x.skip(w, "the server did not change it, although it is as in the preview")
				x.warn("%s %s: the server reported no change", w.item.NS, w.item.ID)
			} else {
				x.skip(w, "not tried, because the server refused one before it")
			}
		default:
			x.skip(w, drift(w, current))
		}
	}
	if x.plan.Header().Undoes != "" {
		return nil // an undo goes on with the rest
	}
	if first != "" {
		return fmt.Errorf("the server refused: %s", first)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", b.command, b.ns, x.d.fromWire(err, true))
	}
	return nil
}

// changedTo says whether a document is as the change was to leave it.
func changedTo(w work, current bson.Raw) bool {
	switch {
	case w.item.Op == "delete":
		return current == nil
	case current == nil:
		return false
	case w.item.After == nil:
		return !bytes.Equal(current, w.before)
	}
	sum := sha256.Sum256(current)
	return hex.EncodeToString(sum[:]) == w.item.After.SHA256
}

func writeErrors(reply bson.Raw) map[int]string {
	out := map[int]string{}
	arr, ok := reply.Lookup("writeErrors").ArrayOK()
	if !ok {
		return out
	}
	values, err := arr.Values()
	if err != nil {
		return out
	}
	for _, v := range values {
		if e, ok := v.DocumentOK(); ok {
			out[int(e.Lookup("index").AsInt64())] = e.Lookup("errmsg").StringValue()
		}
	}
	return out
}

// concernError: applied, and not yet on a majority; never rejected.
func (x *execution) concernError(reply bson.Raw) {
	if e, ok := reply.Lookup("writeConcernError").DocumentOK(); ok {
		msg, _ := e.Lookup("errmsg").StringValueOK()
		x.warn("applied, and not yet confirmed by a majority of the replica set: %s", msg)
	}
}

// examine decides document by document what came of a batch whose answer was lost. It goes on only if all of it was applied.
func (x *execution) examine(ctx context.Context, ns command.Namespace, sent []work, cause error) error {
	now, err := x.find(ctx, ns, sent)
	if err != nil {
		x.unknown, x.changed = true, true
		return fmt.Errorf("the answer was lost (%v), and the documents cannot be looked at: %w", cause, err)
	}
	applied := 0
	for _, w := range sent {
		current := now[key(w)]
		switch {
		case changedTo(w, current):
			x.applied(w)
			applied++
		case bytes.Equal(current, w.before) && (current == nil) == (w.before == nil):
			x.skip(w, "not changed: the connection was lost before")
		default:
			x.unknown, x.changed = true, true
			x.after[w.item.N].state = afterUnread
			x.skip(w, "changed by this, or by somebody else: the answer was lost")
		}
	}
	if applied == len(sent) {
		x.warn("the answer to a batch was lost (%v); its documents were looked at one by one, and all of them are changed", cause)
		return nil
	}
	return fmt.Errorf("the answer to a batch was lost (%v); its documents were looked at one by one", cause)
}

// oneByOne sends each document's findAndModify, which tells which document was there.
func (x *execution) oneByOne(ctx context.Context, b *batch, fresh []work) error {
	for _, w := range fresh {
		cmd := bson.D{{Key: "findAndModify", Value: b.ns.Collection}}
		cmd = append(cmd, w.derived.Statement...)
		cmd = append(cmd, concern(), x.gate.comment(x.plan.Change()))
		if b.bypass && w.item.Op != "delete" {
			cmd = append(cmd, bson.E{Key: "bypassDocumentValidation", Value: true})
		}
		if b.let.Type != 0 {
			cmd = append(cmd, bson.E{Key: "let", Value: b.let})
		}
		reply, err := x.command(ctx, b.ns.DB, cmd)
		switch {
		case lost(err):
			return x.examine(ctx, b.ns, []work{w}, err)
		case err != nil && reply == nil:
			return fmt.Errorf("findAndModify %s: %w", b.ns, err)
		case err != nil:
			x.skip(w, err.Error())
			if x.plan.Header().Undoes == "" {
				return fmt.Errorf("the server refused: %w", x.d.fromWire(err, true))
			}
			continue
		}
		x.concernError(reply)
		old, ok := reply.Lookup("value").DocumentOK()
		switch {
		case ok && w.derived.ReturnsNew:
			x.applied(w)
			x.after[w.item.N] = afterHash{sha256.Sum256(old), afterHere}
		case !ok:
			x.skip(w, "was deleted by somebody else since the preview")
		case !bytes.Equal(old, w.before):
			x.applied(w)
			x.overwrote(w, old)
		default:
			x.applied(w)
		}
	}
	return nil
}

// overwrote: between the last look and the write somebody else changed the document. What was there is saved at once.
func (x *execution) overwrote(w work, old bson.Raw) {
	x.warn("%s %s was changed by somebody else in the last moment, and that version is gone from the server; it is saved in %s", w.item.NS, w.item.ID, x.saveOverwritten(old))
}

func (x *execution) saveOverwritten(old bson.Raw) string {
	name := filepath.Join(x.plan.Dir(), "overwritten.bson")
	f, err := x.gate.cfg.FS.Append(name)
	if err != nil {
		return fmt.Sprintf("nowhere (%v): %s", err, old)
	}
	_, err = f.Write(old)
	if err = errors.Join(err, f.Sync(), f.Close(), x.gate.cfg.FS.SyncDir(x.plan.Dir())); err != nil {
		return fmt.Sprintf("nowhere (%v): %s", err, old)
	}
	return name
}

// readBack compares documents with what was foreseen, and writes down what could not be.
func (x *execution) readBack(ctx context.Context, ns command.Namespace, sent []work) error {
	var look []work
	for _, w := range sent {
		h := x.after[w.item.N]
		if h.state == afterUnread || (h.state == afterHere && (x.verified < verifySample || x.mismatch)) {
			look = append(look, w)
			x.verified++
		}
	}
	if len(look) == 0 {
		return nil
	}
	now, err := x.find(ctx, ns, look)
	if err != nil {
		x.warn("the documents could not be read back: %v", err)
		return nil // what was changed is known; what it looks like is not
	}
	for _, w := range look {
		x.compare(w, now[key(w)])
	}
	return nil
}

func (x *execution) compare(w work, current bson.Raw) {
	h := &x.after[w.item.N]
	if current == nil {
		x.warn("%s %s is not there any more after the change", w.item.NS, w.item.ID)
		return
	}
	sum := sha256.Sum256(current)
	switch {
	case h.state != afterHere:
		h.sum, h.state = sum, afterHere
	case h.sum != sum && !x.differs[w.item.N]:
		// The server did something else, or somebody wrote since: that cannot be told. What was foreseen stays what undo compares with, so that it
		// leaves this document alone.
		x.mismatch, x.differs[w.item.N] = true, true
		if len(x.alarm) < 100 {
			x.warn("%s %s is not as the preview showed it, by this change or by somebody else's since: it is now %s", w.item.NS, w.item.ID, shorten(current.String(), 500))
		}
	}
}

// finish reads back all that was not, if one document was not as foreseen, and writes after.idx.
func (x *execution) finish(ctx context.Context) {
	if x.after == nil {
		return
	}
	if x.mismatch && !x.unknown {
		x.readAllBack(ctx)
	}
	if err := x.writeAfter(); err != nil {
		x.warn("after.idx could not be written, so that undo will go by what was foreseen: %v", err)
	}
}

func (x *execution) readAllBack(ctx context.Context) {
	var group []work
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		ns, err := command.ParseNamespace(group[0].item.NS)
		if err != nil {
			return err
		}
		now, err := x.find(ctx, ns, group)
		if err != nil {
			return err
		}
		for _, w := range group {
			x.compare(w, now[key(w)])
		}
		group = nil
		return nil
	}
	err := x.plan.Items(func(it plan.Item) error {
		if x.after[it.N].state != afterHere {
			return nil
		}
		w, err := x.prepare(it)
		if err != nil {
			return err
		}
		if len(group) > 0 && (group[0].item.NS != it.NS || len(group) == 500) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, w)
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		x.warn("not all documents could be read back: %v", err)
	}
}

// writeAfter writes after.idx: one line a document, in the order of the plan.
func (x *execution) writeAfter() error {
	name := filepath.Join(x.plan.Dir(), "after.idx")
	f, err := x.gate.cfg.FS.Create(name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	w := bufio.NewWriter(f)
	for _, h := range x.after {
		line := h.line()
		sum.Write([]byte(line))
		if _, err := w.WriteString(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close(), x.gate.cfg.FS.SyncDir(x.plan.Dir())); err != nil {
		return err
	}
	x.afterHex = hex.EncodeToString(sum.Sum(nil))
	return nil
}

func (h afterHash) line() string {
	switch h.state {
	case afterGone:
		return "\n"
	case afterHere:
		return hex.EncodeToString(h.sum[:]) + "\n"
	case afterUnread:
		return "?\n"
	}
	return "-\n"
}

func (x *execution) outcome() *Outcome {
	o := &Outcome{Change: x.plan.Change(), Predicted: x.predicted, Skipped: x.skipped, Alarm: x.alarm, sums: x.sums}
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
	return replay.Outcome{Change: o.Change, Status: o.Status, Counts: o.Actual, Skipped: o.Skipped, Alarm: o.Alarm, Error: o.Error, After: x.afterHex}
}
