package js

import (
	"fmt"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

const updateOptions = writeOptions + "upsert arrayFilters collation hint let bypassDocumentValidation sort explain"

func startsWithOperator(doc bson.Raw) bool {
	e, err := doc.IndexErr(0)
	return err == nil && strings.HasPrefix(e.Key(), "$")
}

// operators is an argument that must be update operators or a pipeline.
func operators(a args, i int) bson.RawValue {
	u := a.raw(i, "update")
	switch {
	case u.Type == bson.TypeArray:
	case u.Type != bson.TypeEmbeddedDocument:
		a.fail("the update must be a document or a pipeline, and is %s", describe(u))
	case !startsWithOperator(u.Document()):
		a.check(&Refusal{Text: a.method + ": the update has no operators", Hint: "did you forget $set? To replace the whole document use replaceOne"})
	}
	return u
}

// replacement is an argument that must be a document without operators.
func replacement(a args, i int) bson.RawValue {
	a.need(i, "replacement")
	doc := a.doc(i, "replacement")
	if startsWithOperator(doc) {
		a.check(&Refusal{Text: a.method + ": the replacement has operators", Hint: "to change fields use updateOne"})
	}
	return bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}
}

func updateDocs(vm *VM, c *collection, a args, u bson.RawValue, multi bool) goja.Value {
	cmd, v := updateCommand(c, a, u, multi)
	if v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.updateResult(c.write(cmd))
}

func updateCommand(c *collection, a args, u bson.RawValue, multi bool) (cmd bson.D, explain string) {
	o := a.opts(2, updateOptions+map[bool]string{true: " multi"}[a.method == "update"])
	s := bson.D{{Key: "q", Value: a.doc(0, "filter")}, {Key: "u", Value: u}, {Key: "multi", Value: multi}}
	if o.truthy("upsert") {
		s = append(s, bson.E{Key: "upsert", Value: true})
	}
	s = o.copyTo(s, "arrayFilters collation hint sort")
	cmd = bson.D{{Key: "update", Value: c.name}, {Key: "updates", Value: bson.A{s}}}
	return o.copyTo(cmd, "let writeConcern comment maxTimeMS bypassDocumentValidation"), o.explain()
}

// updateResult is mongosh's UpdateResult.
func (vm *VM) updateResult(r Reply) goja.Value {
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("insertedId", func() goja.Value { return vm.upsertedID(r) })
	l.add("matchedCount", func() goja.Value {
		raw := vm.reply(r)
		n, _ := raw.Lookup("n").AsFloat64OK()
		return vm.rt.ToValue(n - float64(len(upserts(raw))))
	})
	l.add("modifiedCount", func() goja.Value { return vm.number(vm.reply(r).Lookup("nModified")) })
	l.add("upsertedCount", func() goja.Value { return vm.rt.ToValue(len(upserts(vm.reply(r)))) })
	return vm.rt.NewDynamicObject(l)
}

func upserts(reply bson.Raw) []bson.RawValue {
	arr, ok := reply.Lookup("upserted").ArrayOK()
	if !ok {
		return nil
	}
	values, err := arr.Values()
	if err != nil {
		return nil
	}
	return values
}

func (vm *VM) upsertedID(r Reply) goja.Value {
	if u := upserts(vm.reply(r)); len(u) > 0 {
		return vm.fromRaw(orNull(doc(u[0]).Lookup("_id")))
	}
	return goja.Null()
}

func deleteDocs(vm *VM, c *collection, a args, limit int32) goja.Value {
	cmd, v := deleteCommand(c, a, limit)
	if v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.deleteResult(c.write(cmd))
}

func deleteCommand(c *collection, a args, limit int32) (cmd bson.D, explain string) {
	filter := a.doc(0, "filter")
	o := a.opts(1, writeOptions+"collation hint let explain"+map[bool]string{true: " justOne"}[a.method == "remove"])
	s := o.copyTo(bson.D{{Key: "q", Value: filter}, {Key: "limit", Value: limit}}, "collation hint")
	return o.copyTo(bson.D{{Key: "delete", Value: c.name}, {Key: "deletes", Value: bson.A{s}}}, "let writeConcern comment maxTimeMS"), o.explain()
}

func (vm *VM) deleteResult(r Reply) goja.Value {
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("deletedCount", func() goja.Value { return vm.number(vm.reply(r).Lookup("n")) })
	return vm.rt.NewDynamicObject(l)
}

// removeDocs is the old remove: the second argument is justOne, or options.
func removeDocs(vm *VM, c *collection, a args) goja.Value {
	cmd, v := removeCommand(c, a)
	if v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.deleteResult(c.write(cmd))
}

func removeCommand(c *collection, a args) (cmd bson.D, explain string) {
	one, isBool := exported[bool](a.at(1))
	if isBool {
		a = a.with(a.at(0))
	} else {
		one = a.opts(1, writeOptions+"justOne collation hint let explain").truthy("justOne")
	}
	return deleteCommand(c, a, map[bool]int32{true: 1, false: 0}[one])
}

// withID is a document to insert, with an _id in front if it has none. The script's object gets it too, as with other drivers.
func (vm *VM) withID(v goja.Value, doc bson.Raw) bson.Raw {
	if _, err := doc.LookupErr("_id"); err == nil {
		return doc
	}
	id := rawOf(vm.cfg.NewID())
	elems, err := doc.Elements()
	if err != nil {
		vm.throw(err)
	}
	d := bson.D{{Key: "_id", Value: id}}
	for _, e := range elems {
		d = append(d, bson.E{Key: e.Key(), Value: e.Value()})
	}
	if obj, ok := v.(*goja.Object); ok {
		_ = obj.Set("_id", vm.fromRaw(id)) // a frozen object stays as it is
	}
	return rawOf(d).Document()
}

func insertOne(vm *VM, c *collection, a args) goja.Value {
	doc := vm.withID(a.at(0), a.doc(0, "document"))
	o := a.opts(1, writeOptions+"bypassDocumentValidation ordered")
	cmd := o.copyTo(bson.D{{Key: "insert", Value: c.name}, {Key: "documents", Value: bson.A{doc}}}, "writeConcern comment maxTimeMS bypassDocumentValidation")
	r := c.write(cmd)
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("insertedId", func() goja.Value { _ = r; return vm.fromRaw(doc.Lookup("_id")) })
	return vm.rt.NewDynamicObject(l)
}

func insertMany(vm *VM, c *collection, a args) goja.Value {
	a.need(0, "array of documents")
	if obj, ok := a.at(0).(*goja.Object); !ok || obj.ClassName() != "Array" {
		a.fail("the first argument must be an array of documents")
	}
	o := a.opts(1, writeOptions+"bypassDocumentValidation ordered")
	var docs []bson.Raw
	tally := vm.tally(c.db.target, int(vm.lengthOf(a.at(0))))
	for i, v := range list(vm, a.at(0)) {
		doc, err := vm.toDocument(v, fmt.Sprintf("documents[%d]", i), false)
		a.check(err)
		docs = append(docs, vm.withID(v, doc))
		tally.made(i, len(doc))
	}
	if len(docs) == 0 {
		a.fail("the array is empty")
	}
	var groups []*bulkGroup
	for rest, from := docs, 0; len(rest) > 0; {
		n := batch(rest, vm.maxStatements(c.db.target))
		g := &bulkGroup{command: "insert"}
		for i := range n {
			g.at = append(g.at, from+i)
		}
		cmd := o.copyTo(bson.D{{Key: "insert", Value: c.name}, {Key: "documents", Value: rest[:n]}}, "ordered writeConcern comment maxTimeMS bypassDocumentValidation")
		g.reply, g.failed = c.attempt(cmd)
		if groups = append(groups, g); g.failed != nil && o.ordered() {
			break
		}
		rest, from = rest[n:], from+n
	}
	ids := bson.D{}
	for i, d := range docs {
		ids = append(ids, bson.E{Key: itoa(i), Value: d.Lookup("_id")})
	}
	vm.throwFailed(groups, ids)
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("insertedIds", func() goja.Value { return vm.fromRaw(rawOf(ids)) })
	return vm.rt.NewDynamicObject(l)
}

// batch is how many documents fit one command.
func batch(docs []bson.Raw, most int) int {
	const limit = 12 << 20
	bytes := 0
	for i, d := range docs {
		if bytes += len(d); i > 0 && (i == most || bytes > limit) {
			return i
		}
	}
	return len(docs)
}

func findOneAndChange(vm *VM, c *collection, a args, u bson.RawValue) goja.Value {
	o := a.opts(2, findOneOptions)
	return vm.findAndModify(c, a, o, bson.E{Key: "update", Value: u})
}

func (vm *VM) findAndModify(c *collection, a args, o options, what bson.E) goja.Value {
	cmd := findOneCommand(c, a, o, what)
	if v := o.explain(); v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.modified(c.send(cmd), o.truthy("includeResultMetadata"))
}

func findOneCommand(c *collection, a args, o options, what bson.E) bson.D {
	return o.changeOne(bson.D{{Key: "findAndModify", Value: c.name}, {Key: "query", Value: a.doc(0, "filter")}, what})
}

// changeOne appends the options of a findAndModify, under the names of the command.
func (o options) changeOne(cmd bson.D) bson.D {
	cmd = o.copyTo(cmd, "sort upsert collation arrayFilters hint let bypassDocumentValidation writeConcern maxTimeMS comment fields")
	if p := o.get("projection"); p.Type != 0 {
		cmd = append(cmd, bson.E{Key: "fields", Value: p})
	}
	if s, _ := o.get("returnDocument").StringValueOK(); s == "after" || o.truthy("returnNewDocument") || o.truthy("new") {
		cmd = append(cmd, bson.E{Key: "new", Value: true})
	} else if s != "" && s != "before" {
		o.args.fail("returnDocument must be 'before' or 'after'")
	}
	return cmd
}

func (vm *VM) modified(r Reply, whole bool) goja.Value {
	raw := vm.reply(r)
	if whole {
		return vm.documentObject(raw)
	}
	if doc, ok := raw.Lookup("value").DocumentOK(); ok {
		return vm.documentObject(doc)
	}
	return goja.Null()
}

// findAndModifyRaw is the old form: one document with query, update or remove, and options.
func findAndModifyRaw(vm *VM, c *collection, a args) goja.Value {
	cmd, v := findAndModifyCommand(c, a)
	if v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.modified(c.send(cmd), false)
}

// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.findAndModify/
func findAndModifyCommand(c *collection, a args) (cmd bson.D, explain string) {
	a.need(0, "query")
	o := a.opts(0, findOneOptions+" query update remove fields")
	if o.get("query").Type == 0 {
		a.check(&Refusal{Text: a.method + ": the query is missing", Hint: "to mean any document, say {query: {}} outright"})
	}
	update, remove := o.get("update").Type != 0, o.truthy("remove")
	if update == remove {
		a.fail("one of update and remove must be there")
	}
	return o.changeOne(o.copyTo(bson.D{{Key: "findAndModify", Value: c.name}}, map[bool]string{true: "query remove", false: "query update"}[remove])), o.explain()
}
