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
	o := a.opts(2, updateOptions+map[bool]string{true: " multi"}[a.method == "update"])
	s := bson.D{{Key: "q", Value: a.doc(0, "filter")}, {Key: "u", Value: u}, {Key: "multi", Value: multi}}
	if o.truthy("upsert") {
		s = append(s, bson.E{Key: "upsert", Value: true})
	}
	s = o.copyTo(s, "arrayFilters", "collation", "hint", "sort")
	cmd := bson.D{{Key: "update", Value: c.name}, {Key: "updates", Value: bson.A{s}}}
	cmd = o.copyTo(cmd, "let", "writeConcern", "comment", "maxTimeMS", "bypassDocumentValidation")
	if v := o.explain(); v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.updateResult(c.send(cmd))
}

// updateResult is mongosh's UpdateResult.
func (vm *VM) updateResult(r Reply) goja.Value {
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("insertedId", func() goja.Value { return vm.upsertedID(r) })
	l.add("matchedCount", func() goja.Value {
		raw := vm.reply(r)
		return vm.rt.ToValue(raw.Lookup("n").AsFloat64() - float64(len(upserts(raw))))
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
		return vm.fromRaw(u[0].Document().Lookup("_id"))
	}
	return goja.Null()
}

func deleteDocs(vm *VM, c *collection, a args, limit int32) goja.Value {
	filter := a.doc(0, "filter")
	o := a.opts(1, writeOptions+"collation hint let explain")
	s := o.copyTo(bson.D{{Key: "q", Value: filter}, {Key: "limit", Value: limit}}, "collation", "hint")
	cmd := o.copyTo(bson.D{{Key: "delete", Value: c.name}, {Key: "deletes", Value: bson.A{s}}}, "let", "writeConcern", "comment", "maxTimeMS")
	if v := o.explain(); v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.deleteResult(c.send(cmd))
}

func (vm *VM) deleteResult(r Reply) goja.Value {
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("deletedCount", func() goja.Value { return vm.number(vm.reply(r).Lookup("n")) })
	return vm.rt.NewDynamicObject(l)
}

// removeDocs is the old remove: the second argument is justOne, or options.
func removeDocs(vm *VM, c *collection, a args) goja.Value {
	one := false
	if b, ok := exported[bool](a.at(1)); ok {
		one = b
		a.values = a.values[:1]
	} else {
		one = a.opts(1, writeOptions+"justOne collation hint let explain").truthy("justOne")
		if a.has(1) {
			a.values = a.values[:1]
		}
	}
	if one {
		return deleteDocs(vm, c, a, 1)
	}
	return deleteDocs(vm, c, a, 0)
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
	cmd := o.copyTo(bson.D{{Key: "insert", Value: c.name}, {Key: "documents", Value: bson.A{doc}}}, "writeConcern", "comment", "maxTimeMS", "bypassDocumentValidation")
	r := c.send(cmd)
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
	for i, v := range list(vm, a.at(0)) {
		doc, err := vm.toDocument(v, fmt.Sprintf("documents[%d]", i), false)
		a.check(err)
		docs = append(docs, vm.withID(v, doc))
	}
	if len(docs) == 0 {
		a.fail("the array is empty")
	}
	for rest := docs; len(rest) > 0; {
		n := batch(rest, vm.cfg.Runner.MaxStatements(c.db.target))
		cmd := o.copyTo(bson.D{{Key: "insert", Value: c.name}, {Key: "documents", Value: rest[:n]}}, "ordered", "writeConcern", "comment", "maxTimeMS", "bypassDocumentValidation")
		c.send(cmd)
		rest = rest[n:]
	}
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("insertedIds", func() goja.Value {
		ids := bson.D{}
		for i, d := range docs {
			ids = append(ids, bson.E{Key: itoa(i), Value: d.Lookup("_id")})
		}
		return vm.fromRaw(rawOf(ids))
	})
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
	return vm.modified(c.send(findOneCommand(c, a, o, what)), o.truthy("includeResultMetadata"))
}

func findOneCommand(c *collection, a args, o options, what bson.E) bson.D {
	cmd := bson.D{{Key: "findAndModify", Value: c.name}, {Key: "query", Value: a.doc(0, "filter")}, what}
	cmd = o.copyTo(cmd, "sort", "upsert", "collation", "arrayFilters", "hint", "let", "bypassDocumentValidation", "writeConcern", "maxTimeMS", "comment")
	if p := o.get("projection"); p.Type != 0 {
		cmd = append(cmd, bson.E{Key: "fields", Value: p})
	}
	if s, _ := o.get("returnDocument").StringValueOK(); s == "after" || o.truthy("returnNewDocument") || o.truthy("new") {
		cmd = append(cmd, bson.E{Key: "new", Value: true})
	} else if s != "" && s != "before" {
		a.fail("returnDocument must be 'before' or 'after'")
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
	return vm.modified(c.send(findAndModifyCommand(c, a)), false)
}

func findAndModifyCommand(c *collection, a args) bson.D {
	doc := a.doc(0, "options")
	cmd := bson.D{{Key: "findAndModify", Value: c.name}}
	elems, err := doc.Elements()
	a.check(err)
	for _, e := range elems {
		cmd = append(cmd, bson.E{Key: e.Key(), Value: e.Value()})
	}
	return cmd
}

// bulkWrite sends the operations as insert, update and delete commands, neighbours of one kind together.
func bulkWrite(vm *VM, c *collection, a args) goja.Value {
	a.need(0, "array of operations")
	o := a.opts(1, writeOptions+"ordered bypassDocumentValidation let")
	var groups []*bulkGroup
	inserted := bson.D{}
	for i, v := range list(vm, a.at(0)) {
		at := fmt.Sprintf("operations[%d]", i)
		op, err := vm.toDocument(v, at, false)
		a.check(err)
		g, s := bulkOperation(vm, a, at, op)
		if g.command == "insert" {
			inserted = append(inserted, bson.E{Key: itoa(i), Value: s.(bson.Raw).Lookup("_id")})
		}
		if n := len(groups); n == 0 || groups[n-1].command != g.command || len(groups[n-1].list) >= vm.cfg.Runner.MaxStatements(c.db.target) {
			groups = append(groups, &g)
		}
		last := groups[len(groups)-1]
		last.list, last.at = append(last.list, s), append(last.at, i)
	}
	if len(groups) == 0 {
		a.fail("the array is empty")
	}
	for _, g := range groups {
		cmd := o.copyTo(bson.D{{Key: g.command, Value: c.name}, {Key: g.field, Value: g.list}}, "ordered", "writeConcern", "comment", "maxTimeMS")
		if g.command != "delete" {
			cmd = o.copyTo(cmd, "bypassDocumentValidation")
		}
		if g.command != "insert" {
			cmd = o.copyTo(cmd, "let")
		}
		g.reply = c.send(cmd)
	}
	return vm.bulkResult(groups, inserted)
}

type bulkGroup struct {
	command, field string
	list           bson.A
	at             []int
	reply          Reply
}

// bulkOperation reads one operation of a bulkWrite.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.bulkWrite/
func bulkOperation(vm *VM, a args, at string, op bson.Raw) (bulkGroup, any) {
	elems, err := op.Elements()
	a.check(err)
	if len(elems) != 1 {
		a.fail("%s must have one field: insertOne, updateOne, updateMany, replaceOne, deleteOne or deleteMany", at)
	}
	kind := elems[0].Key()
	spec, ok := elems[0].Value().DocumentOK()
	if !ok {
		a.fail("%s.%s is not a document", at, kind)
	}
	field := func(name string) bson.RawValue {
		v, err := spec.LookupErr(name)
		if err != nil {
			a.fail("%s.%s: the %s is missing", at, kind, name)
		}
		return v
	}
	known := map[string]string{
		"insertOne": "document", "deleteOne": "filter collation hint", "deleteMany": "filter collation hint", "replaceOne": "filter replacement upsert collation hint sort",
		"updateOne": "filter update upsert arrayFilters collation hint sort", "updateMany": "filter update upsert arrayFilters collation hint",
	}[kind]
	so := args{vm: vm, method: a.method + " " + kind, values: []goja.Value{vm.documentObject(spec)}}.opts(0, known)
	switch kind {
	case "insertOne":
		doc, ok := field("document").DocumentOK()
		if !ok {
			a.fail("%s.%s.document is not a document", at, kind)
		}
		return bulkGroup{command: "insert", field: "documents"}, vm.withID(nil, doc)
	case "deleteOne", "deleteMany":
		limit := int32(1)
		if kind == "deleteMany" {
			limit = 0
		}
		return bulkGroup{command: "delete", field: "deletes"}, so.copyTo(bson.D{{Key: "q", Value: field("filter")}, {Key: "limit", Value: limit}}, "collation", "hint")
	case "replaceOne":
		u := field("replacement")
		if doc, ok := u.DocumentOK(); !ok || startsWithOperator(doc) {
			a.fail("%s.%s.replacement must be a document without operators", at, kind)
		}
		return bulkGroup{command: "update", field: "updates"}, so.copyTo(bson.D{{Key: "q", Value: field("filter")}, {Key: "u", Value: u}}, "upsert", "collation", "hint", "sort")
	case "updateOne", "updateMany":
		u := field("update")
		if doc, ok := u.DocumentOK(); u.Type != bson.TypeArray && (!ok || !startsWithOperator(doc)) {
			a.fail("%s.%s.update must be operators or a pipeline", at, kind)
		}
		return bulkGroup{command: "update", field: "updates"}, so.copyTo(bson.D{{Key: "q", Value: field("filter")}, {Key: "u", Value: u}, {Key: "multi", Value: kind == "updateMany"}}, "upsert", "arrayFilters", "collation", "hint", "sort")
	}
	a.fail("%s: there is no operation %q", at, kind)
	return bulkGroup{}, nil
}

// bulkResult is mongosh's BulkWriteResult.
func (vm *VM) bulkResult(groups []*bulkGroup, inserted bson.D) goja.Value {
	sum := func(command, field string, less func(bson.Raw) int) func() goja.Value {
		return func() goja.Value {
			n := 0.0
			for _, g := range groups {
				if g.command == command {
					raw := vm.reply(g.reply)
					f, _ := raw.Lookup(field).AsFloat64OK()
					n += f - float64(less(raw))
				}
			}
			return vm.rt.ToValue(n)
		}
	}
	none := func(bson.Raw) int { return 0 }
	ups := func(raw bson.Raw) int { return len(upserts(raw)) }
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	l.add("insertedCount", sum("insert", "n", none))
	l.add("insertedIds", func() goja.Value { return vm.fromRaw(rawOf(inserted)) })
	l.add("matchedCount", sum("update", "n", ups))
	l.add("modifiedCount", sum("update", "nModified", none))
	l.add("deletedCount", sum("delete", "n", none))
	l.add("upsertedCount", func() goja.Value {
		n := 0
		for _, g := range groups {
			if g.command == "update" {
				n += ups(vm.reply(g.reply))
			}
		}
		return vm.rt.ToValue(n)
	})
	l.add("upsertedIds", func() goja.Value {
		ids := bson.D{}
		for _, g := range groups {
			if g.command != "update" {
				continue
			}
			for _, u := range upserts(vm.reply(g.reply)) {
				ids = append(ids, bson.E{Key: itoa(g.at[u.Document().Lookup("index").AsInt64()]), Value: u.Document().Lookup("_id")})
			}
		}
		return vm.fromRaw(rawOf(ids))
	})
	return vm.rt.NewDynamicObject(l)
}
