package js

import (
	"context"
	"errors"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// cursor is mongosh's cursor: a command that is sent when the first document is wanted.
type cursor struct {
	fixedObject
	vm        *VM
	db        *database
	command   bson.D
	explained string // verbosity: the cursor is an explanation instead
	maps      []goja.Callable
	await     bson.RawValue // milliseconds that a getMore waits for what is not there yet; Type 0: what the server thinks

	begun  bool
	closed bool
	ns     string
	id     int64
	buffer []bson.Raw
	token  bson.RawValue // of a change stream: where it stands
}

// fixedObject is an object with no properties but its prototype's.
type fixedObject struct{}

func (fixedObject) Get(string) goja.Value       { return nil }
func (fixedObject) Set(string, goja.Value) bool { return false }
func (fixedObject) Has(string) bool             { return false }
func (fixedObject) Delete(string) bool          { return false }
func (fixedObject) Keys() []string              { return nil }

func (vm *VM) cursorObject(c *cursor) goja.Value { return vm.shellObject(c, vm.protos.cursor) }

// set changes the command before it is sent.
func (c *cursor) set(key string, v any) {
	for i, e := range c.command {
		if e.Key == key {
			c.command[i].Value = v
			return
		}
	}
	c.command = append(c.command, bson.E{Key: key, Value: v})
}

// limit is mongosh's: a negative number is a single batch of so many.
func (c *cursor) limit(v any) {
	n, ok := rawOf(v).AsInt64OK()
	if ok && n < 0 {
		c.set("limit", -n)
		c.set("singleBatch", true)
		return
	}
	c.set("limit", v)
}

// tailing says that a cursor goes on when all has been read.
func (c *cursor) tailing() bool {
	for _, e := range c.command {
		if e.Key == "tailable" {
			on, _ := rawOf(e.Value).BooleanOK()
			return on
		}
	}
	return false
}

func (c *cursor) begin() {
	if c.begun || c.closed {
		return
	}
	c.begun = true
	c.take(c.vm.reply(c.vm.send(c.db.target, c.db.name, c.command)), "firstBatch")
}

func (c *cursor) take(reply bson.Raw, batch string) {
	cur, ok := reply.Lookup("cursor").DocumentOK()
	if !ok {
		return
	}
	c.id, _ = cur.Lookup("id").AsInt64OK()
	c.ns, _ = cur.Lookup("ns").StringValueOK()
	if t := cur.Lookup("postBatchResumeToken"); t.Type != 0 {
		c.token = t
	}
	arr, ok := cur.Lookup(batch).ArrayOK()
	if !ok {
		return
	}
	values, err := arr.Values()
	if err != nil {
		c.vm.throw(err)
	}
	for _, v := range values {
		d, ok := v.DocumentOK()
		if !ok {
			c.vm.throw(errors.New("the server sent a batch with what is no document"))
		}
		c.buffer = append(c.buffer, d)
	}
}

// fill makes sure that there is a document in the buffer, if there is one at all. For a cursor that goes on it waits until there is.
func (c *cursor) fill() bool {
	c.begin()
	for len(c.buffer) == 0 && c.id != 0 && !c.closed {
		c.more()
		if len(c.buffer) == 0 && c.tailing() { // a server that waits has waited already
			c.vm.sleep(50 * time.Millisecond)
		}
	}
	return len(c.buffer) > 0
}

// look is fill that asks once: what goes on may have nothing now.
func (c *cursor) look() bool {
	if c.tailing() && c.begun && len(c.buffer) == 0 && c.id != 0 && !c.closed {
		c.more()
	}
	if c.begin(); c.tailing() {
		return len(c.buffer) > 0
	}
	return c.fill()
}

func (c *cursor) more() {
	cmd := bson.D{{Key: "getMore", Value: c.id}, {Key: "collection", Value: c.collection()}}
	for _, e := range c.command {
		if e.Key == "batchSize" {
			cmd = append(cmd, e)
		}
	}
	if c.await.Type != 0 {
		cmd = append(cmd, bson.E{Key: "maxTimeMS", Value: c.await})
	}
	c.id = 0
	c.take(c.vm.reply(c.vm.send(c.db.target, c.db.name, cmd)), "nextBatch")
}

// collection is the part of the cursor's namespace behind the database.
func (c *cursor) collection() string {
	if n := len(c.db.name) + 1; len(c.ns) > n {
		return c.ns[n:]
	}
	return c.ns
}

// nextRaw is the next document as the server sent it, or nil.
func (c *cursor) nextRaw() bson.Raw {
	c.fill()
	return c.buffered()
}

// buffered is the next document of those that are here.
func (c *cursor) buffered() bson.Raw {
	if len(c.buffer) == 0 {
		return nil
	}
	doc := c.buffer[0]
	c.buffer = c.buffer[1:]
	return doc
}

// next is the next document, after the functions given to map; nil at the end.
func (c *cursor) next() goja.Value { return c.mapped(c.nextRaw()) }

// mapped is what the functions given to map make of a document.
func (c *cursor) mapped(doc bson.Raw) goja.Value {
	if doc == nil {
		return nil
	}
	var v goja.Value = c.vm.documentObject(doc)
	for _, f := range c.maps {
		var err error
		if v, err = f(goja.Undefined(), v); err != nil {
			c.vm.throw(err)
		}
	}
	return v
}

func (c *cursor) toArray() goja.Value {
	var out []any
	for v := c.next(); v != nil; v = c.next() {
		out = append(out, v)
	}
	return c.vm.rt.NewArray(out...)
}

func (c *cursor) close() {
	if c.id != 0 && !c.closed {
		c.vm.send(c.db.target, c.db.name, bson.D{{Key: "killCursors", Value: c.collection()}, {Key: "cursors", Value: bson.A{c.id}}})
	}
	c.closed, c.id, c.buffer = true, 0, nil
}

func (c *cursor) explain(verbosity string) goja.Value {
	return c.vm.explained(c.db, c.command, verbosity)
}

// modifier is a method that changes the command and returns the cursor.
func modifier(name, args_, help string, set func(c *cursor, a args)) method[*cursor] {
	return method[*cursor]{name, args_, help, func(vm *VM, c *cursor, a args) goja.Value {
		if c.begun {
			a.fail("the cursor was read already")
		}
		set(c, a)
		return vm.cursorObject(c)
	}}
}

func asDoc(key string) func(*cursor, args) {
	return func(c *cursor, a args) { c.set(key, a.doc(0, key)) }
}

func asNumber(key string) func(*cursor, args) {
	return func(c *cursor, a args) {
		n := a.raw(0, key)
		if _, ok := n.AsInt64OK(); !ok {
			a.fail("a number was expected")
		}
		c.set(key, n)
	}
}

func cursorMethods() []method[*cursor] {
	return []method[*cursor]{
		modifier("addOption", "flag", "a flag of the old shell: DBQuery.Option", onFind(addOption)),
		modifier("allowDiskUse", "true", "let the server use disk for sorting", func(c *cursor, a args) { c.set("allowDiskUse", !a.has(0) || a.at(0).ToBoolean()) }),
		modifier("allowPartialResults", "", "do without shards that are down", onFind(func(c *cursor, _ args) { c.set("allowPartialResults", true) })),
		modifier("batchSize", "n", "how many documents a round trip brings", asBatchSize),
		{"close", "", "close the cursor", func(vm *VM, c *cursor, _ args) goja.Value { c.close(); return goja.Undefined() }},
		modifier("collation", "{ locale }", "compare strings by the rules of a language", asDoc("collation")),
		modifier("comment", "text", "a comment for the server's log", func(c *cursor, a args) { c.set("comment", a.raw(0, "comment")) }),
		{"count", "", "how many documents match, with skip and limit", cursorCount},
		{"disableBlockWarnings", "", "does nothing: there are no such warnings", func(vm *VM, c *cursor, _ args) goja.Value { return vm.cursorObject(c) }},
		{"explain", "verbosity", "how the server would do it", func(vm *VM, c *cursor, a args) goja.Value {
			return c.explain(verbosity(a, 0))
		}},
		{"finish", "", "the explanation, after explain().find()", func(vm *VM, c *cursor, _ args) goja.Value {
			if c.explained == "" {
				return vm.typeError("finish() belongs to explain().find()")
			}
			return c.explain(c.explained)
		}},
		{"forEach", "function", "call a function with each document", func(vm *VM, c *cursor, a args) goja.Value {
			f, ok := goja.AssertFunction(a.at(0))
			if !ok {
				a.fail("a function was expected")
			}
			for v := c.next(); v != nil; v = c.next() {
				r, err := f(goja.Undefined(), v)
				if err != nil {
					return vm.throw(err)
				}
				if on, isBool := exported[bool](r); isBool && !on { // as in mongosh, false ends it
					break
				}
			}
			return goja.Undefined()
		}},
		{"hasNext", "", "whether there is another document", func(vm *VM, c *cursor, _ args) goja.Value { return vm.rt.ToValue(c.fill()) }},
		{"help", "", "what a cursor can do", func(vm *VM, _ *cursor, _ args) goja.Value { return vm.printHelp("Cursor") }},
		modifier("hint", "index", "which index to use", func(c *cursor, a args) { c.set("hint", a.raw(0, "hint")) }),
		{"isClosed", "", "whether the cursor is closed", func(vm *VM, c *cursor, _ args) goja.Value { return vm.rt.ToValue(c.closed) }},
		{"isExhausted", "", "whether all was read", func(vm *VM, c *cursor, _ args) goja.Value {
			return vm.rt.ToValue(c.closed || (c.begun && c.id == 0 && len(c.buffer) == 0))
		}},
		{"itcount", "", "count by reading all", func(vm *VM, c *cursor, _ args) goja.Value {
			n := 0
			for c.nextRaw() != nil {
				n++
			}
			return vm.rt.ToValue(n)
		}},
		modifier("limit", "n", "at most n documents", func(c *cursor, a args) {
			n := a.raw(0, "limit")
			if _, ok := n.AsInt64OK(); !ok {
				a.fail("a number was expected")
			}
			c.limit(n)
		}),
		{"map", "function", "change each document with a function", func(vm *VM, c *cursor, a args) goja.Value {
			f, ok := goja.AssertFunction(a.at(0))
			if !ok {
				a.fail("a function was expected")
			}
			c.maps = append(c.maps, f)
			return vm.cursorObject(c)
		}},
		modifier("max", "{ field: value }", "an index's keys below this", onFind(asDoc("max"))),
		modifier("maxAwaitTimeMS", "milliseconds", "how long to wait for what is not there yet", func(c *cursor, a args) {
			c.await = a.raw(0, "maxAwaitTimeMS")
			if _, ok := c.await.AsInt64OK(); !ok {
				a.fail("a number was expected")
			}
		}),
		modifier("maxTimeMS", "milliseconds", "stop after this time", asNumber("maxTimeMS")),
		modifier("min", "{ field: value }", "an index's keys from this on", onFind(asDoc("min"))),
		{"next", "", "the next document, or null", func(vm *VM, c *cursor, _ args) goja.Value {
			if v := c.next(); v != nil {
				return v
			}
			return goja.Null()
		}},
		modifier("noCursorTimeout", "", "the server keeps the cursor for as long as the session lives", onFind(func(c *cursor, _ args) { c.set("noCursorTimeout", true) })),
		modifier("oplogReplay", "", "does nothing since MongoDB 4.4", onFind(func(c *cursor, _ args) { c.set("oplogReplay", true) })),
		{"objsLeftInBatch", "", "documents that were sent and not read", func(vm *VM, c *cursor, _ args) goja.Value { return vm.rt.ToValue(len(c.buffer)) }},
		{"pretty", "", "does nothing: all is printed pretty", func(vm *VM, c *cursor, _ args) goja.Value { return vm.cursorObject(c) }},
		modifier("projection", "{ field: 1 }", "which fields to bring", asDoc("projection")),
		modifier("readConcern", "level", "how well confirmed what is read must be", func(c *cursor, a args) { c.set("readConcern", bson.D{{Key: "level", Value: a.text(0)}}) }),
		modifier("readPref", "mode", "where to read: here it is the server that the shell is connected to", func(_ *cursor, a args) { a.vm.readPreference(a, a.text(0)) }),
		modifier("returnKey", "true", "only an index's keys", onFind(asFlag("returnKey"))),
		modifier("showRecordId", "true", "the server's own number of each document too", onFind(asFlag("showRecordId"))),
		{"size", "", "how many documents match, with skip and limit", cursorCount},
		modifier("skip", "n", "leave out the first n", asNumber("skip")),
		modifier("sort", "{ field: 1 }", "in which order", func(c *cursor, a args) {
			if field, ok := exported[string](a.at(0)); ok { // as drivers take it
				c.set("sort", bson.D{{Key: field, Value: int32(1)}})
				return
			}
			orderMatters(a, 0, "sort")
			c.set("sort", a.doc(0, "sort"))
		}),
		modifier("tailable", "{ awaitData: true }", "go on when all was read, on a capped collection", onFind(func(c *cursor, a args) {
			c.set("tailable", true)
			if a.opts(0, "awaitData").truthy("awaitData") {
				c.set("awaitData", true)
			}
		})),
		{"toArray", "", "all documents as an array", func(_ *VM, c *cursor, _ args) goja.Value { return c.toArray() }},
		{"tryNext", "", "the next document, or null if there is none now", func(_ *VM, c *cursor, _ args) goja.Value {
			if c.look(); len(c.buffer) > 0 {
				return c.mapped(c.buffered())
			}
			return goja.Null()
		}},
	}
}

func asFlag(key string) func(*cursor, args) {
	return func(c *cursor, a args) { c.set(key, !a.has(0) || a.at(0).ToBoolean()) }
}

// onFind is for what an aggregate has not.
func onFind(set func(*cursor, args)) func(*cursor, args) {
	return func(c *cursor, a args) {
		if c.command[0].Key != "find" {
			a.fail("only what find returns has this")
		}
		set(c, a)
	}
}

// readPreference takes every mode, and changes nothing: there is one server to read from. A person who wants a secondary is told.
func (vm *VM) readPreference(a args, mode string) {
	switch mode {
	case "primary", "primaryPreferred", "secondaryPreferred", "nearest":
	case "secondary":
		vm.warn("%s: reads go to the server that the shell is connected to; to read from a secondary, connect to it", a.method)
	default:
		a.fail("there is no read preference %q", mode)
	}
}

// addOption sets the flags of the old wire protocol.
// Source: https://www.mongodb.com/docs/manual/reference/method/cursor.addOption/
func addOption(c *cursor, a args) {
	flags, ok := a.raw(0, "flag").AsInt64OK()
	if !ok {
		a.fail("a number was expected")
	}
	for _, f := range []struct {
		bit  int64
		name string // of the command's field; "": nothing is to be done
	}{{2, "tailable"}, {4, ""}, {8, "oplogReplay"}, {16, "noCursorTimeout"}, {32, "awaitData"}, {128, "allowPartialResults"}} {
		if flags&f.bit != 0 && f.name != "" {
			c.set(f.name, true)
		}
		flags &^= f.bit
	}
	if flags != 0 {
		a.fail("there is no flag %d", flags)
	}
}

// asBatchSize: in an aggregate it belongs to the cursor option.
func asBatchSize(c *cursor, a args) {
	n := a.raw(0, "batchSize")
	if _, ok := n.AsInt64OK(); !ok {
		a.fail("a number was expected")
	}
	if c.command[0].Key == "aggregate" {
		c.set("cursor", bson.D{{Key: "batchSize", Value: n}})
		return
	}
	c.set("batchSize", n)
}

func cursorCount(vm *VM, c *cursor, a args) goja.Value {
	if c.command[0].Key != "find" {
		a.fail("only what find returns can be counted; use itcount()")
	}
	cmd := bson.D{{Key: "count", Value: c.command[0].Value}}
	for _, e := range c.command[1:] {
		switch e.Key {
		case "filter":
			cmd = append(cmd, bson.E{Key: "query", Value: e.Value})
		case "collation", "hint", "maxTimeMS", "comment":
			cmd = append(cmd, e)
		case "limit", "skip":
			cmd = append(cmd, e)
		}
	}
	return vm.number(vm.reply(vm.send(c.db.target, c.db.name, cmd)).Lookup("n"))
}

// Page fetches the next documents of a cursor, up to BatchSize or what a script said instead, while the statement that made it runs: functions given to map may issue
// commands. more says that there are others, for It.
func (vm *VM) Page(ctx context.Context, r Result) (docs render.List, more bool, err error) {
	err = vm.run(ctx, func() error {
		docs, more, err = vm.pageOf(r.cursor)
		return err
	})
	return docs, more, err
}

func (vm *VM) pageOf(c *cursor) (docs render.List, more bool, err error) {
	if c.explained != "" {
		err := vm.inEngine(func() { docs = render.List{vm.tree(c.explain(c.explained))} })
		return docs, false, err
	}
	vm.it = c
	err = vm.inEngine(func() { docs, more = c.page() })
	if err != nil {
		return nil, false, err
	}
	if !more && !c.tailing() {
		vm.it = nil
	}
	return docs, more, nil
}

// page is the next documents, as they are printed, and whether there are more.
func (c *cursor) page() (docs render.List, more bool) {
	for len(docs) < c.vm.pageSize {
		if !c.look() {
			return docs, false
		}
		if doc := c.buffered(); len(c.maps) == 0 {
			docs = append(docs, doc)
		} else {
			docs = append(docs, c.vm.tree(c.mapped(doc)))
		}
	}
	return docs, c.look()
}

// It is Page for the cursor that was shown last. ok is false if there is none.
func (vm *VM) It(ctx context.Context) (docs render.List, more, ok bool, err error) {
	if vm.it == nil {
		return nil, false, false, nil
	}
	docs, more, err = vm.Page(ctx, Result{cursor: vm.it})
	return docs, more, true, err
}

// Explains says that a page is an explanation, one document and not a list.
func (r Result) Explains() bool { return r.cursor != nil && r.cursor.explained != "" }
