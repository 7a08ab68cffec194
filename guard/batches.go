package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/plan"
	"respect/replay"
)

// maxBatchBytes keeps a command below the 48 MB that a message may have, whatever else is in it, and a batch short.
const maxBatchBytes = 12 << 20

// documents carries out all documents of the plan, in its order.
func (x *execution) documents(ctx context.Context) {
	x.after = make([]afterHash, x.plan.Documents())
	feed := x.feed()
	defer feed.end()
	for {
		items, err := feed.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			x.fail(err)
			return
		}
		for len(items) > 0 && x.fatal == nil {
			n := min(x.pace.size, len(items))
			if err := x.portion(ctx, items[:n]); err != nil {
				if !errors.Is(err, errStopped) || x.done < x.plan.Documents() {
					x.fail(err)
				}
				return
			}
			items = items[n:]
		}
		if x.fatal != nil {
			return
		}
	}
}

// portion carries out one batch, records it, and makes room for others before the next.
func (x *execution) portion(ctx context.Context, items []plan.Item) error {
	if err := x.standing(); err != nil {
		return err
	}
	start := x.gate.cfg.Now()
	err := x.batch(ctx, items)
	took := x.gate.cfg.Now().Sub(start)
	x.done, x.batches = x.done+int64(len(items)), x.batches+1
	p := x.progress()
	if rerr := x.gate.record(replay.KindProgress, replay.Progress{Change: p.Change, Step: items[0].Op + " " + items[0].NS, Done: p.Done, Applied: p.Applied, Skipped: p.Skipped}); rerr != nil {
		return errors.Join(err, rerr)
	}
	if err != nil {
		return err
	}
	rest := x.pace.took(len(items), took)
	if err := x.control(ctx, p); err != nil || p.Done == p.Total {
		return err
	}
	if err := x.waitForSecondaries(ctx); err != nil {
		return err
	}
	return x.rest(ctx, rest)
}

// confirmWrite asks who the server is, right before a write of documents. Behind the address of a server inside this process nobody can put another one:
// there one answer holds for the batch, which may be fifty writes.
func (x *execution) confirmWrite(ctx context.Context) error {
	batch := x.batches + 1
	if x.d.inside() && x.confirmed == batch {
		return nil
	}
	err := x.confirm(ctx)
	if err == nil {
		x.confirmed = batch
	}
	return err
}

// rest does nothing for a while, and asks the operator meanwhile.
func (x *execution) rest(ctx context.Context, d time.Duration) error {
	const slice = 100 * time.Millisecond
	for d > 0 {
		x.gate.wait(ctx, min(d, slice))
		if d -= slice; d > 0 {
			p := x.progress()
			p.Waiting = x.pace.resting()
			if err := x.control(ctx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// feed are the documents of a plan as they are read ahead, while a batch is carried out.
type feed struct {
	portions chan []plan.Item
	quit     chan struct{}
	err      error // why portions was closed; written before that
}

// feed begins to read. It must be ended, which waits for its goroutine.
func (x *execution) feed() *feed {
	f := &feed{portions: make(chan []plan.Item, 4), quit: make(chan struct{})}
	go func() {
		defer close(f.portions)
		f.err = f.read(x.plan, x.d.MaxStatements())
	}()
	return f
}

var errQuit = errors.New("nobody wants more")

func (f *feed) read(p *plan.Plan, most int) error {
	var items []plan.Item
	size := 0
	hand := func() error {
		if len(items) == 0 {
			return nil
		}
		select {
		case f.portions <- items:
		case <-f.quit:
			return errQuit
		}
		items, size = make([]plan.Item, 0, min(most, 1000)), 0
		return nil
	}
	err := p.Items(func(it plan.Item) error {
		n := sizeOf(it)
		if len(items) > 0 && (len(items) == most || size+n > maxBatchBytes || !together(items[0], it)) {
			if err := hand(); err != nil {
				return err
			}
		}
		items, size = append(items, it), size+n
		return nil
	})
	if err == nil {
		err = hand()
	}
	return err
}

// sizeOf is about what a document adds to a command.
func sizeOf(it plan.Item) int {
	n := 500
	if it.Before != nil {
		n += it.Before.Bytes
	}
	if it.After != nil && it.After.At >= 0 {
		n += it.After.Bytes
	}
	return n
}

// together says whether two documents may stand in one batch, whichever commands selected them: no document is in a plan twice.
func together(a, b plan.Item) bool { return a.NS == b.NS && a.Op == b.Op }

// next are documents that may stand in one batch; io.EOF behind the last.
func (f *feed) next() ([]plan.Item, error) {
	items, ok := <-f.portions
	if ok {
		return items, nil
	}
	if f.err != nil {
		return nil, f.err
	}
	return nil, io.EOF
}

func (f *feed) end() {
	close(f.quit)
	for range f.portions { // what was read ahead
	}
}

// work is one document of a batch.
type work struct {
	item    plan.Item
	current bson.Raw // as the server has it now; nil if it is not there
	after   bson.Raw // spooled; nil if it is not
	fresh   bool     // current is still the before-image
	derived plan.Derived
	err     error
}

// batch looks at each document once more, leaves out what others changed, and sends the rest.
func (x *execution) batch(ctx context.Context, items []plan.Item) error {
	ns, err := command.ParseNamespace(items[0].NS)
	if err != nil {
		return err
	}
	works, err := x.look(ctx, ns, items)
	if err != nil {
		return fmt.Errorf("look at the documents once more: %w", x.d.fromWire(err, false))
	}
	x.prepare(works)
	var fresh []work
	for _, w := range works {
		switch {
		case !w.fresh:
			x.drift(w)
		case w.err != nil:
			return w.err
		default:
			fresh = append(fresh, w)
		}
	}
	sent := fresh
	for len(fresh) > 0 && err == nil {
		n := 1
		for n < len(fresh) && sameCommand(fresh[0].derived, fresh[n].derived) {
			n++
		}
		if fresh[0].derived.Command == "findAndModify" {
			err = x.oneByOne(ctx, ns, fresh[:n])
		} else {
			err = x.atOnce(ctx, ns, fresh[:n])
		}
		fresh = fresh[n:]
	}
	if err != nil {
		return err
	}
	return x.readBack(ctx, ns, sent)
}

// sameCommand says whether two statements may stand in one command.
func sameCommand(a, b plan.Derived) bool {
	return !a.Alone && !b.Alone && a.Command == b.Command && a.Bypass == b.Bypass && a.Let.Type == b.Let.Type && bytes.Equal(a.Let.Value, b.Let.Value)
}

// look reads the documents as they are now, on the connection of the change, and the images that will be sent.
func (x *execution) look(ctx context.Context, ns command.Namespace, items []plan.Item) ([]work, error) {
	works := make([]work, len(items))
	for i, it := range items {
		works[i].item = it
		var err error
		if works[i].after, err = x.images.After(it); err != nil {
			return nil, err
		}
	}
	now, err := x.find(ctx, ns, works)
	if err != nil {
		return nil, err
	}
	for i, it := range items {
		id, err := it.DocumentID()
		if err != nil {
			return nil, err
		}
		works[i].current = now[plan.KeyOf(id)]
	}
	return works, nil
}

// prepare compares each document with what was shown and derives its statement: pure work, shared among the processors.
func (x *execution) prepare(works []work) {
	each := func(works []work) {
		for i := range works {
			w := &works[i]
			if w.fresh = w.item.Before.Is(w.current); w.fresh {
				w.derived, w.err = x.plan.Derive(w.item, w.current, w.after)
			}
		}
	}
	const few = 64
	share := max(len(works)/runtime.GOMAXPROCS(0), few)
	var wait sync.WaitGroup
	for len(works) > share {
		part := works[:share]
		works = works[share:]
		wait.Go(func() { each(part) })
	}
	each(works)
	wait.Wait()
}

// find reads documents by _id, on the connection of the change.
func (x *execution) find(ctx context.Context, ns command.Namespace, works []work) (map[plan.IDHash]bson.Raw, error) {
	out := make(map[plan.IDHash]bson.Raw, len(works))
	cmd, err := findByID(ns, works)
	if err != nil {
		return nil, err
	}
	for batch := "firstBatch"; ; batch = "nextBatch" {
		reply, err := x.command(ctx, ns.DB, cmd)
		if err != nil {
			return nil, err
		}
		id, err := plan.EachIn(reply, batch, func(doc bson.Raw) error {
			out[plan.KeyOf(doc.Lookup("_id"))] = doc // in the reply's own memory
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("find: %w", err)
		}
		if id == 0 {
			return out, nil
		}
		if cmd, err = bson.Marshal(bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: ns.Collection}}); err != nil {
			return nil, err
		}
	}
}

// findByID is {find: …, filter: {_id: {$in: […]}}, batchSize: …}, by hand: there is one for each batch, with each document's _id in it.
func findByID(ns command.Namespace, works []work) (bson.Raw, error) {
	at, b := bsoncore.AppendDocumentStart(nil)
	b = bsoncore.AppendStringElement(b, "find", ns.Collection)
	filter, b := bsoncore.AppendDocumentElementStart(b, "filter")
	byID, b := bsoncore.AppendDocumentElementStart(b, "_id")
	in, b := bsoncore.AppendArrayElementStart(b, "$in")
	for i, w := range works {
		id, err := w.item.DocumentID()
		if err != nil {
			return nil, err
		}
		b = bsoncore.AppendValueElement(b, index(i), bsoncore.Value{Type: bsoncore.Type(id.Type), Data: id.Value})
	}
	for _, start := range []int32{in, byID, filter} {
		b, _ = bsoncore.AppendDocumentEnd(b, start) // each was begun above
	}
	b = bsoncore.AppendInt32Element(b, "batchSize", int32(len(works)+1))
	b, err := bsoncore.AppendDocumentEnd(b, at)
	return bson.Raw(b), err
}

// drift leaves a document alone that is not as it was shown.
func (x *execution) drift(w work) {
	x.drifted = append(x.drifted, w.item.N)
	x.skip(w, driftText(w.item, w.current))
}

func driftText(it plan.Item, current bson.Raw) string {
	switch {
	case it.Before == nil:
		return "a document with this _id exists by now"
	case current == nil:
		return "was deleted by somebody else since the preview"
	}
	return "was changed by somebody else since the preview"
}

func (x *execution) skip(w work, why string) {
	x.leave(w.item.NS, fmt.Sprintf("%s %s: %s", w.item.NS, w.item.ID, why))
}
