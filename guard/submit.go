package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/replay"
)

// maxTries is how often a write is sent whose answer is lost again and again.
const maxTries = 5

// atOnce sends documents in one insert, update or delete, and makes sure of what came of each.
func (x *execution) atOnce(ctx context.Context, ns command.Namespace, fresh []work) error {
	for try := 1; ; try++ {
		cmd, err := x.assemble(ns, fresh)
		if err != nil {
			return err
		}
		reply, err := x.submit(ctx, fresh[0].derived.Command, ns, cmd)
		var gone *gaveUp
		switch {
		case errors.As(err, &gone):
			if fresh, err = x.examine(ctx, ns, fresh, gone); err != nil {
				return err
			}
			if len(fresh) == 0 {
				return nil
			}
			if try == maxTries {
				return x.notDone(fresh, gone)
			}
			continue // what is as before was not done, and is bound to be as before: it may be sent again
		case reply == nil && err != nil:
			return fmt.Errorf("%s %s: %w", fresh[0].derived.Command, ns, err) // it did not leave
		}
		t := toldBy(reply, fresh)
		if err == nil && t.all(fresh) {
			for _, w := range fresh {
				x.applied(w)
			}
			return x.majority(ctx, reply)
		}
		return errors.Join(x.sortOut(ctx, ns, fresh, t, err), x.majority(ctx, reply))
	}
}

// told is what a server's answer to an insert, update or delete says of its statements. It is the outcome; what documents look like fills in only what it does not say.
// Source: https://www.mongodb.com/docs/manual/reference/command/update/#output
type told struct {
	n        int64          // documents inserted, deleted, or matched and upserted
	modified int64          // by updates; -1 if it does not say
	failed   map[int]string // by the number of the statement
	upserted map[int]bool
	ordered  int // the number of the first that failed, after which nothing was tried; -1 if all were
}

func toldBy(reply bson.Raw, sent []work) told {
	t := told{failed: writeErrors(reply), upserted: map[int]bool{}, modified: -1, ordered: -1}
	t.n, _ = reply.Lookup("n").AsInt64OK()
	if m, ok := reply.Lookup("nModified").AsInt64OK(); ok {
		t.modified = m
	}
	arr, _ := reply.Lookup("upserted").ArrayOK()
	values, _ := arr.Values() // of no array: none
	for _, v := range values {
		doc, _ := v.DocumentOK()
		if i, ok := doc.Lookup("index").AsInt64OK(); ok {
			t.upserted[int(i)] = true
		}
	}
	for i := range sent {
		if t.failed[i] != "" {
			t.ordered = i
			break
		}
	}
	return t
}

// creates says whether a statement is an update that must create its document.
func (w work) creates() bool { return w.item.Op == "insert" && w.derived.Command == "update" }

// all says that the server did everything that it was sent.
func (t told) all(sent []work) bool {
	if len(t.failed) > 0 || t.n != int64(len(sent)) {
		return false
	}
	changes := int64(0)
	for i, w := range sent {
		switch {
		case w.creates() && !t.upserted[i]:
			return false
		case w.derived.Command == "update" && !w.creates():
			changes++
		}
	}
	return t.modified < 0 || t.modified >= changes
}

// notDone leaves documents that could not be sent, since the connection was lost each time.
func (x *execution) notDone(left []work, why error) error {
	for _, w := range left {
		x.skip(w, "not changed: the connection was lost before")
	}
	return why
}

// assemble is the command that holds the statements of documents.
func (x *execution) assemble(ns command.Namespace, fresh []work) (bson.Raw, error) {
	first := fresh[0].derived
	size := 500
	for _, w := range fresh {
		size += len(w.derived.Statement) + 10
	}
	at, b := bsoncore.AppendDocumentStart(make([]byte, 0, size))
	b = bsoncore.AppendStringElement(b, first.Command, ns.Collection)
	list, b := bsoncore.AppendArrayElementStart(b, map[string]string{"insert": "documents", "update": "updates", "delete": "deletes"}[first.Command])
	for i, w := range fresh {
		b = bsoncore.AppendDocumentElement(b, index(i), w.derived.Statement)
	}
	b, err := bsoncore.AppendDocumentEnd(b, list)
	if err != nil {
		return nil, err
	}
	b = bsoncore.AppendBooleanElement(b, "ordered", x.plan.Header().Undoes == "")
	return x.finishCommand(b, at, first, first.Command != "delete")
}

// finishCommand appends what every command of a change has.
func (x *execution) finishCommand(b []byte, at int32, d plan.Derived, bypassable bool) (bson.Raw, error) {
	more := bson.D{concern(), x.gate.comment(x.plan.Change())}
	if d.Bypass && bypassable {
		more = append(more, bson.E{Key: "bypassDocumentValidation", Value: true})
	}
	if d.Let.Type != 0 {
		more = append(more, bson.E{Key: "let", Value: d.Let})
	}
	raw, err := bson.Marshal(more)
	if err != nil {
		return nil, err
	}
	b, err = bsoncore.AppendDocumentEnd(append(b, raw[4:len(raw)-1]...), at)
	return bson.Raw(b), err
}

// indexes are the keys of an array's first elements.
var indexes = func() (out [1000]string) {
	for i := range out {
		out[i] = strconv.Itoa(i)
	}
	return out
}()

func index(i int) string {
	if i < len(indexes) {
		return indexes[i]
	}
	return strconv.Itoa(i)
}

// gaveUp is an answer that was lost and could not be had by sending the same command again.
type gaveUp struct{ cause error }

// Error implements error.
func (g *gaveUp) Error() string { return fmt.Sprintf("the answer was lost (%v)", g.cause) }

// Unwrap is for errors.As.
func (g *gaveUp) Unwrap() error { return g.cause }

// submit sends a write of the change. Where the server remembers writes by session and number (replica sets and mongos), a command whose answer was lost, or that
// a fail-over interrupted, is sent again, byte for byte, to whoever is primary by then: the server does what it has not done, and answers for
// all of it. Where that does not help, or cannot be done, the error is a *gaveUp.
// Source: https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md
func (x *execution) submit(ctx context.Context, name string, ns command.Namespace, cmd bson.Raw) (bson.Raw, error) {
	var numbered bson.Raw
	if x.resend {
		x.txn++
		b := bsoncore.AppendInt64Element(slices.Clone(cmd[4:len(cmd)-1]), "txnNumber", x.txn)
		numbered = bson.Raw(bsoncore.BuildDocument(nil, b))
	}
	for try := 1; ; try++ {
		reply, err := x.write(ctx, name, ns, cmd, numbered)
		if ok, _ := reply.Lookup("ok").AsFloat64OK(); ok == 1 {
			err = nil // what of it failed, and what a majority does not have, is in the reply
		}
		why := again(reply, err)
		if why == nil {
			return reply, err
		}
		if !x.resend && !lost(err) && !unreachable(err) {
			return reply, err
		}
		if try == maxTries {
			return nil, &gaveUp{why}
		}
		if rerr := x.reconnect(ctx, why); rerr != nil {
			return nil, &gaveUp{errors.Join(why, rerr)}
		}
		if !x.resend {
			return nil, &gaveUp{why} // a standalone remembers nothing: its documents must be looked at
		}
	}
}

// retryable are the codes after which a write may be sent again. Source: the specification of retryable writes, "Terms: Retryable Error".
var retryable = map[int64]string{
	6: "HostUnreachable", 7: "HostNotFound", 89: "NetworkTimeout", 91: "ShutdownInProgress", 134: "ReadConcernMajorityNotAvailableYet", 189: "PrimarySteppedDown", 262: "ExceededTimeLimit",
	9001: "SocketException", 10107: "NotWritablePrimary", 11600: "InterruptedAtShutdown", 11602: "InterruptedDueToReplStateChange", 13435: "NotPrimaryNoSecondaryOk", 13436: "NotPrimaryOrSecondary",
}

// again says why a write must be sent again; nil if its answer is final.
func again(reply bson.Raw, err error) error {
	if lost(err) || unreachable(err) {
		return err
	}
	if e, ok := wire.AsError(err); ok && retryable[int64(e.Code)] != "" {
		return err
	}
	if code, _ := reply.Lookup("writeConcernError", "code").AsInt64OK(); retryable[code] != "" {
		return fmt.Errorf("%s", retryable[code])
	}
	if labels, ok := reply.Lookup("errorLabels").ArrayOK(); ok {
		values, _ := labels.Values() // none
		for _, v := range values {
			if s, _ := v.StringValueOK(); s == "RetryableWriteError" {
				return errors.New("the server says that the write may be sent again")
			}
		}
	}
	return nil
}

// unreachable says that a command did not leave, because there was no connection to leave on.
func unreachable(err error) bool {
	var n *notSent
	var r *notReached
	if errors.As(err, &r) {
		return true
	}
	e, ok := wire.AsError(err)
	return ok && !errors.As(err, &n) && !e.Answered() && !e.Sent
}

// patience is how long a change waits for its deployment to be reachable again.
const patience = time.Minute

// reconnect waits until the same deployment takes writes again. The operator may stop it.
func (x *execution) reconnect(ctx context.Context, why error) error {
	wait, waited := 50*time.Millisecond, time.Duration(0)
	for {
		if x.fatal != nil { // the record cannot be written: nothing more is sent
			return x.fatal
		}
		err := x.d.reconnect(ctx, x.judged.Environment)
		var refused *Refused
		if err == nil || errors.As(err, &refused) {
			return err
		}
		if waited >= patience {
			return fmt.Errorf("it was not reachable for %v: %w", patience, err)
		}
		p := x.progress()
		p.Waiting = fmt.Sprintf("the connection was lost (%v); looking for the server: %v", why, err)
		if cerr := x.control(ctx, p); cerr != nil {
			return errors.Join(cerr, err)
		}
		x.gate.wait(ctx, wait)
		waited += wait
		wait = min(2*wait, 2*time.Second)
	}
}

// sortOut finds out which documents of a batch were changed when the server did not change all of them. What the answer says counts. Where it says only how many, the documents
// are looked at, and no more of them are counted than it says.
func (x *execution) sortOut(ctx context.Context, ns command.Namespace, sent []work, t told, err error) error {
	now, lerr := x.find(ctx, ns, sent)
	if lerr != nil {
		x.unclear(sent)
		return fmt.Errorf("find out which documents were changed: %w", lerr)
	}
	ordered := x.plan.Header().Undoes == ""
	left := t.n - int64(len(t.upserted)) // documents that it counts and does not name
	candidates := int64(0)               // that look as this change was to leave them
	for i, w := range sent {
		switch {
		case t.failed[i] != "" || ordered && t.ordered >= 0 && i > t.ordered:
		case w.creates() && !t.upserted[i]:
			left-- // it matched what somebody else had made, which counts as well
		case !w.creates() && changedTo(w, now[key(w)]):
			candidates++
		}
	}
	var first string
	counted := int64(0)
	for i, w := range sent {
		current := now[key(w)]
		switch {
		case t.failed[i] != "":
			if first == "" {
				first = t.failed[i]
			}
			x.skip(w, t.failed[i])
		case ordered && t.ordered >= 0 && i > t.ordered:
			x.skip(w, "not tried, because the server refused one before it")
		case w.creates():
			if t.upserted[i] {
				x.applied(w)
			} else {
				x.skip(w, "nothing was created: by now a document matches")
			}
		case changedTo(w, current) && left > 0 && candidates > left: // a count names nobody
			x.unclear([]work{w})
			x.skip(w, fmt.Sprintf("is as this change was to leave it, by it or by somebody else: the server counts %d such documents, and there are %d", left, candidates))
		case changedTo(w, current) && left > 0:
			counted++
			x.applied(w)
		case changedTo(w, current):
			x.skip(w, "is as this change was to leave it, but the server did not count it: somebody else did the same")
		case w.item.Before.Is(current):
			x.skip(w, "the server did not change it, although it is as in the preview")
			x.warn("%s %s: the server reported no change", w.item.NS, w.item.ID)
		default:
			w.current = current
			x.drift(w)
		}
	}
	if candidates > left && left > 0 {
		x.warn("%s: of %d documents that look as this change was to leave them the server counts %d as its own; which these are cannot be told", ns, candidates, left)
	} else if left > counted && err == nil {
		x.warn("%s: the server counts %d changes more than documents that look like it", ns, left-counted)
	}
	if !ordered {
		return nil // an undo goes on with the rest
	}
	if first != "" {
		return fmt.Errorf("the server refused: %s", first)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", sent[0].derived.Command, ns, x.d.fromWire(err, true))
	}
	return nil
}

// unclear marks documents of which it cannot be told whether they were changed.
func (x *execution) unclear(sent []work) {
	x.unknown, x.changed = true, true
	for _, w := range sent {
		x.after[w.item.N].state = afterUnread
	}
}

func key(w work) plan.IDHash {
	id, err := w.item.DocumentID()
	if err != nil {
		panic("guard: internal error: a document without an _id was sent")
	}
	return plan.KeyOf(id)
}

// changedTo says whether a document is as the change was to leave it.
func changedTo(w work, current bson.Raw) bool {
	switch {
	case w.item.Op == "delete":
		return current == nil
	case current == nil:
		return false
	case w.item.After == nil:
		return !w.item.Before.Is(current)
	}
	return w.item.After.Is(current)
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
			text, _ := e.Lookup("errmsg").StringValueOK()
			if text == "" {
				text = "the server gives no reason"
			}
			out[int(e.Lookup("index").AsInt64())] = text
		}
	}
	return out
}

// examine decides document by document what came of a batch whose answer was lost, and returns those that are as before. It is an error if there is one of
// which that cannot be told.
func (x *execution) examine(ctx context.Context, ns command.Namespace, sent []work, cause error) (left []work, err error) {
	now, err := x.find(ctx, ns, sent)
	if err != nil {
		x.unclear(sent)
		return nil, fmt.Errorf("%w, and the documents cannot be looked at: %w", cause, err)
	}
	applied, unclear := 0, 0
	for _, w := range sent {
		current := now[key(w)]
		switch {
		case changedTo(w, current):
			x.applied(w)
			applied++
		case w.item.Before.Is(current):
			left = append(left, w)
		default:
			unclear++
			x.unclear([]work{w})
			x.skip(w, "changed by this, or by somebody else: the answer was lost")
		}
	}
	if unclear > 0 {
		return nil, x.notDone(left, fmt.Errorf("%w; its documents were looked at one by one", cause))
	}
	x.warn("%v; the %d documents of the batch were looked at one by one: %d were changed, %d not yet", cause, len(sent), applied, len(left))
	return left, nil
}

// oneByOne sends each document's findAndModify, which tells which document was there.
func (x *execution) oneByOne(ctx context.Context, ns command.Namespace, fresh []work) error {
	for _, w := range fresh {
		if err := x.one(ctx, ns, w); err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) one(ctx context.Context, ns command.Namespace, w work) error {
	at, b := bsoncore.AppendDocumentStart(nil)
	b = bsoncore.AppendStringElement(b, "findAndModify", ns.Collection)
	b = append(b, w.derived.Statement[4:len(w.derived.Statement)-1]...)
	cmd, err := x.finishCommand(b, at, w.derived, w.item.Op != "delete")
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		reply, err := x.submit(ctx, "findAndModify", ns, cmd)
		var gone *gaveUp
		switch {
		case errors.As(err, &gone):
			left, err := x.examine(ctx, ns, []work{w}, gone)
			if err != nil || len(left) == 0 {
				return err
			}
			if try == maxTries {
				return x.notDone(left, gone)
			}
			continue
		case err != nil && reply == nil:
			return fmt.Errorf("findAndModify %s: %w", ns, err)
		case err != nil:
			x.skip(w, err.Error())
			if x.plan.Header().Undoes == "" {
				return fmt.Errorf("the server refused: %w", x.d.fromWire(err, true))
			}
			return nil
		}
		old, ok := reply.Lookup("value").DocumentOK()
		switch {
		case ok && w.derived.ReturnsNew:
			x.applied(w)
			x.after[w.item.N] = afterHash{sha256.Sum256(old), afterHere}
			x.keepReading(old)
			x.asForeseen(w, old)
		case !ok:
			w.current = nil
			x.drift(w)
		case !w.item.Before.Is(old):
			x.applied(w)
			x.overwrote(w, old)
		default:
			x.applied(w)
		}
		return x.majority(ctx, reply)
	}
}

// asForeseen compares what could be foreseen of a document with what the server made of it.
func (x *execution) asForeseen(w work, now bson.Raw) {
	want, open, err := x.plan.Foresee(w.item, w.current)
	if err != nil || want == nil || plan.EqualBut(want, now, open) {
		return
	}
	x.differs[w.item.N] = true
	x.warn("%s %s is not as the preview showed it, besides %s: it is now %s", w.item.NS, w.item.ID, strings.Join(open, ", "), shorten(now.String(), 500))
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
		if _, err := hex.Decode(h.sum[:], []byte(w.item.After.SHA256)); err == nil {
			h.state = afterHere
		}
	}
}

// majority looks after an answer that says: done here, and not yet on a majority. Such a write is applied, never rejected; the change pauses until the
// majority has it, and stops if that takes too long.
// Source: https://www.mongodb.com/docs/manual/reference/write-concern/#wtimeout
func (x *execution) majority(ctx context.Context, reply bson.Raw) error {
	e, ok := reply.Lookup("writeConcernError").DocumentOK()
	if !ok {
		return nil
	}
	text, _ := e.Lookup("errmsg").StringValueOK()
	wanted, _, known := x.lastWrite(ctx)
	if !known {
		x.warn("applied, and not yet confirmed by a majority of the replica set: %s", text)
		return nil
	}
	const every = 500 * time.Millisecond
	for waited := time.Duration(0); ; waited += every {
		_, have, known := x.lastWrite(ctx)
		if known && !have.Before(wanted) {
			return x.gate.record(replay.KindProgress, replay.Progress{Change: x.plan.Change(), Step: "the majority has it now: " + text, Done: x.done})
		}
		p := x.progress()
		p.Waiting = "for a majority of the replica set: " + text
		err := x.control(ctx, p)
		if limit := x.gate.cfg.Policy.Pace(x.judged.Environment).StopLag; err == nil && waited >= limit {
			err = fmt.Errorf("a majority of the replica set did not have it after %v: %s", limit, text)
		}
		if err != nil {
			x.warn("applied, and not yet confirmed by a majority of the replica set: %s", text)
			return err
		}
		x.gate.wait(ctx, every)
	}
}

// lastWrite are the places in the oplog of the server's last write and of the last that a majority has.
func (x *execution) lastWrite(ctx context.Context) (last, majority bson.Timestamp, known bool) {
	reply, err := x.ask(ctx, "admin", bson.D{{Key: "hello", Value: int32(1)}})
	if err != nil {
		return last, majority, false
	}
	of := func(key string) (ts bson.Timestamp, ok bool) {
		ts.T, ts.I, ok = reply.Lookup("lastWrite", key, "ts").TimestampOK()
		return ts, ok
	}
	last, ok1 := of("opTime")
	majority, ok2 := of("majorityOpTime")
	return last, majority, ok1 && ok2
}

// lagEvery is how often the secondaries are looked at.
const lagEvery = 2 * time.Second

// waitForSecondaries waits while a secondary is further behind than policy allows, and stops where one is hopelessly behind.
func (x *execution) waitForSecondaries(ctx context.Context) error {
	now := x.gate.cfg.Now()
	if x.d.seen.SetName == "" || (!x.lagAt.IsZero() && now.Sub(x.lagAt) < lagEvery && now.Sub(x.lagAt) >= 0) {
		return nil
	}
	pace := x.gate.cfg.Policy.Pace(x.judged.Environment)
	for {
		x.lagAt = x.gate.cfg.Now()
		lag, member, known := x.lag(ctx)
		switch {
		case !known || lag <= pace.MaxLag:
			return nil
		case lag > pace.StopLag:
			return fmt.Errorf("%s is %v behind the primary: the change was stopped", member, lag.Round(time.Second))
		}
		p := x.progress()
		p.Waiting = fmt.Sprintf("%s is %v behind the primary", member, lag.Round(time.Second))
		if err := x.control(ctx, p); err != nil {
			return err
		}
		x.gate.wait(ctx, time.Second)
	}
}

// lag is how far the secondary that is furthest behind is behind the primary. A user who may not ask is not told, and majority write concern then
// is what holds the change back.
// Source: https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/
func (x *execution) lag(ctx context.Context) (lag time.Duration, member string, known bool) {
	const secondary = 2
	reply, err := x.ask(ctx, "admin", bson.D{{Key: "replSetGetStatus", Value: int32(1)}})
	if err != nil {
		return 0, "", false
	}
	arr, ok := reply.Lookup("members").ArrayOK()
	members, err := arr.Values()
	if !ok || err != nil {
		return 0, "", false
	}
	var newest time.Time
	for _, m := range members {
		if at, ok := m.Document().Lookup("optimeDate").TimeOK(); ok && at.After(newest) {
			newest = at
		}
	}
	for _, m := range members {
		doc := m.Document()
		at, ok := doc.Lookup("optimeDate").TimeOK()
		if state, _ := doc.Lookup("state").AsInt64OK(); !ok || state != secondary {
			continue
		}
		name, _ := doc.Lookup("name").StringValueOK()
		if d := newest.Sub(at) - x.delay(ctx, name); d > lag || member == "" {
			lag, member = max(d, 0), name
		}
	}
	return lag, member, true
}

// delay is how far behind a member is kept by its configuration, which is no reason to wait for it. It is asked for once a change; who may not ask is told
// that none is.
// Source: https://www.mongodb.com/docs/manual/reference/replica-configuration/ (secondaryDelaySecs; slaveDelay before 5.0)
func (x *execution) delay(ctx context.Context, member string) time.Duration {
	if x.delays == nil {
		x.delays = map[string]time.Duration{}
		reply, err := x.ask(ctx, "admin", bson.D{{Key: "replSetGetConfig", Value: int32(1)}})
		arr, ok := reply.Lookup("config", "members").ArrayOK()
		members, verr := arr.Values()
		if err != nil || !ok || verr != nil {
			members = nil
		}
		for _, m := range members {
			doc, ok := m.DocumentOK()
			host, _ := doc.Lookup("host").StringValueOK()
			for _, key := range []string{"secondaryDelaySecs", "slaveDelay"} {
				if n, has := doc.Lookup(key).AsInt64OK(); ok && has {
					x.delays[host] = time.Duration(min(n, 365*24*3600)) * time.Second
				}
			}
		}
	}
	return x.delays[member]
}
