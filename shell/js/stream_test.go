package js

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// flow is a server whose cursors have no end: each getMore brings the next of its batches, and nothing when there is none left.
func flow(batches ...bson.A) *fake {
	n := -1
	return &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
		e, _ := cmd.IndexErr(0)
		if e.Key() == "killCursors" {
			return bson.D{{Key: "ok", Value: 1}}, nil
		}
		batch := bson.A{}
		if n++; n < len(batches) {
			batch = batches[n]
		}
		return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(7)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: batch}, {Key: "nextBatch", Value: batch}, {Key: "postBatchResumeToken", Value: bson.D{{Key: "_data", Value: itoa(n)}}}}}}, nil
	}}
}

func event(id int32) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "_data", Value: "e" + itoa(int(id))}}}, {Key: "n", Value: id}}
}

// Change streams and tailable cursors go on.
func TestWhatGoesOn(t *testing.T) {
	t.Parallel()
	batches := []bson.A{{}, {event(1), event(2)}, {}, {}, {event(3)}, {}}
	for _, tt := range []struct{ js, want string }{
		{`const s = db.c.watch(); s`, "ChangeStreamCursor on app.c"},
		{`const s = db.c.watch(); [s.tryNext().n, s.tryNext().n, s.tryNext(), s.next().n, s.tryNext()]`, "[ 1, 2, null, 3, null ]"},
		{`const s = db.c.watch(); [s.hasNext(), s.next().n, s.next().n, s.next().n]`, "[ true, 1, 2, 3 ]"},
		{`const s = db.c.watch(); const out = []; for (const e of s) out.push(e.n); out.concat(s.itcount(), s.itcount(), s.itcount())`, "[ 1, 2, 0, 1, 0 ]"},
		{`const s = db.c.watch(); const a = s.getResumeToken()._data; s.tryNext(); const b = s.getResumeToken()._data; s.tryNext(); s.tryNext(); a + ' ' + b + ' ' + s.getResumeToken()._data`, "0 e1 2"},
		{`const s = db.c.watch(); const open = s.isClosed(); s.close(); [open, s.isClosed(), s.pretty()]`, "[ false, true, ChangeStreamCursor on app.c ]"},
		{`const s = db.c.find().tailable(); [s.tryNext(), s.tryNext().n, s.next().n, s.tryNext(), s.next().n, s.tryNext()]`, "[ null, 1, 2, null, 3, null ]"},
		{`const s = db.c.find().tailable({awaitData: true}).batchSize(2).maxAwaitTimeMS(100); s.next().n`, "1"},
	} {
		f := flow(batches...)
		_, got, err := eval(t, f, tt.js)
		if err != nil || got != tt.want {
			t.Errorf("%s\n prints %s (%v)\n want  %s", tt.js, got, err, tt.want)
		}
		if strings.Contains(tt.js, "maxAwaitTimeMS") && f.commands[1] != `app {"getMore": {"$numberLong":"7"},"collection": "c","batchSize": {"$numberInt":"2"},"maxTimeMS": {"$numberInt":"100"}}` {
			t.Errorf("%s: %v", tt.js, f.commands)
		}
	}
	for _, js := range []string{`const s = db.c.watch(); s.close(); s.tryNext()`, `const s = db.c.watch(); s.close(); s.next()`, `db.c.watch().forEach(() => 1)`, `db.c.watch().map(() => 1)`, `db.c.watch().isExhausted()`} {
		if _, got, err := eval(t, flow(batches...), js); err == nil {
			t.Errorf("%s = %s", js, got)
		}
	}
}

// At the prompt, what goes on shows what is there; "it" shows what has come since. Waiting ends with the statement's context.
func TestPagesOfWhatGoesOn(t *testing.T) {
	t.Parallel()
	f := flow(bson.A{event(1)}, bson.A{}, bson.A{event(2)}, bson.A{}, bson.A{})
	vm, _ := newVM(t, f)
	r, err := vm.Eval(t.Context(), "test", `db.c.find().tailable()`)
	if err != nil {
		t.Fatal(err)
	}
	docs, more, err := vm.Page(t.Context(), r)
	if len(docs) != 1 || more || err != nil {
		t.Errorf("the first page: %v %v %v", docs, more, err)
	}
	docs, _, ok, err := vm.It(t.Context())
	if len(docs) != 1 || !ok || err != nil {
		t.Errorf("the second: %v %v %v", docs, ok, err)
	}
	if docs, _, ok, err = vm.It(t.Context()); len(docs) != 0 || !ok || err != nil {
		t.Errorf("the third: %v %v %v", docs, ok, err)
	}
	for _, js := range []string{`db.c.find().tailable().next()`, `db.c.find().tailable().toArray()`, `for (const d of db.c.find().tailable()) {}`} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := vm.Eval(ctx, "test", js); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: %v", js, err)
		}
		cancel()
	}
	vm.cfg.Runner = slow{f}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := vm.Eval(ctx, "test", `db.c.watch().next()`); !errors.Is(err, ErrInterrupted) {
		t.Errorf("next() of a stream: %v", err)
	}
}

// slow is a server that waits before it answers, and a Runner that ends with its context.
type slow struct{ *fake }

func (s slow) Run(ctx context.Context, t Target, db string, cmd bson.Raw, place string) (Reply, error) {
	if err := Sleep(ctx, 10*time.Millisecond); err != nil {
		return nil, err
	}
	return s.fake.Run(ctx, t, db, cmd, place)
}

// print() of a cursor prints its first page, as the prompt does; in a list it is a cursor.
func TestPrintedCursors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		{`print(db.c.find())`, "[ { _id: 1 }, { _id: 2 } ]\nundefined"},
		{`print('all', db.c.find().map(d => d._id))`, "all [ 1, 2 ]\nundefined"},
		{`printjson(db.c.find()); 1`, "[ { _id: 1 }, { _id: 2 } ]\n1"},
		{`print(db.c.find().explain())`, "{ ok: 1 }\nundefined"},
		{`print(db.c.explain().find())`, "{ ok: 1 }\nundefined"},
		{`print([db.c.find()])`, "[ [cursor] ]\nundefined"},
		{`print(db.c.find().next())`, "{ _id: 1 }\nundefined"},
	} {
		f := &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
			if e, _ := cmd.IndexErr(0); e.Key() == "explain" {
				return bson.D{{Key: "ok", Value: 1}}, nil
			}
			return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: bson.A{bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "_id", Value: 2}}}}}}}, nil
		}}
		if _, got, err := eval(t, f, tt.js); err != nil || got != tt.want {
			t.Errorf("%s prints %q (%v), want %q", tt.js, got, err, tt.want)
		}
	}
}

// A page has as many documents as a script says.
func TestPageSize(t *testing.T) {
	t.Parallel()
	docs := bson.A{}
	for i := range 30 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}})
	}
	f := &fake{answer: func(string, bson.Raw) (bson.D, error) {
		return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: docs}}}}, nil
	}}
	vm, _ := newVM(t, f)
	for _, tt := range []struct {
		js   string
		want int
	}{{`1`, BatchSize}, {`config.set('displayBatchSize', 7)`, 7}, {`DBQuery.shellBatchSize = 3`, 3}, {`config.reset('displayBatchSize')`, BatchSize}} {
		if _, err := vm.Eval(t.Context(), "test", tt.js); err != nil {
			t.Fatal(err)
		}
		r, err := vm.Eval(t.Context(), "test", `db.c.find()`)
		if err != nil {
			t.Fatal(err)
		}
		if page, more, err := vm.Page(t.Context(), r); len(page) != tt.want || !more || err != nil {
			t.Errorf("after %s: a page of %d, %v, want %d", tt.js, len(page), err, tt.want)
		}
	}
	for _, js := range []string{`config.set('displayBatchSize', 0)`, `config.set('displayBatchSize', 'x')`, `config.set('editor', 'vi')`, `config.get('nothing')`, `DBQuery.shellBatchSize = -5`} {
		if _, err := vm.Eval(t.Context(), "test", js); err == nil {
			t.Errorf("%s is taken", js)
		}
	}
}

// A person who wants to read from a secondary is told that it is the one server that is read from.
func TestWarnings(t *testing.T) {
	t.Parallel()
	var said []string
	vm, _ := newVM(t, &fake{})
	vm.cfg.Warn = func(text string) { said = append(said, text) }
	for _, js := range []string{`db.c.find().readPref('nearest').toArray()`, `db.c.find().readPref('secondary').toArray()`, `db.c.countDocuments({}, {readPreference: {mode: 'secondary'}})`, `db.getMongo().setReadPref('secondary')`} {
		if _, err := vm.Eval(t.Context(), "test", js); err != nil {
			t.Errorf("%s: %v", js, err)
		}
	}
	if len(said) != 3 || !strings.Contains(said[0], "readPref: reads go to the server") {
		t.Errorf("said %q", said)
	}
}

// A change stream is no value.
func TestStreamAsValue(t *testing.T) {
	t.Parallel()
	if _, _, err := eval(t, &fake{}, `const s = db.c.watch(); db.c.deleteMany({s})`); err == nil || !strings.Contains(err.Error(), "filter.s is a stream of the shell") {
		t.Errorf("%v", err)
	}
}
