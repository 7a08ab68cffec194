package js

import (
	"fmt"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// bulk is mongosh's Bulk: operations that execute() sends, like those of bulkWrite.
type bulk struct {
	fixedObject
	coll    *collection
	ordered bool
	ops     []bulkOp
	tally   *tally
	done    bool
}

// bulkFind is what bulk.find() returns: the selection of the operations to come.
type bulkFind struct {
	fixedObject
	on   *bulk
	with bson.D // q, and what goes into the statement beside it
}

func (vm *VM) bulkObject(b *bulk) goja.Value { return vm.shellObject(b, vm.protos.bulk) }

func (vm *VM) bulkFindObject(f *bulkFind) goja.Value { return vm.shellObject(f, vm.protos.bulkFind) }

// add takes an operation up.
func (b *bulk) add(a args, op bulkOp) goja.Value {
	if b.done {
		a.fail("this bulk was executed already")
	}
	if b.ops = append(b.ops, op); b.tally == nil {
		b.tally = a.vm.tally(b.coll.db.target, 1)
	}
	b.tally.writes = len(b.ops)
	b.tally.made(len(b.ops), op.size())
	return a.vm.bulkObject(b)
}

func (b *bulk) counts() bson.D {
	n := map[string]int32{}
	batches := groupOps(b.ops, 1<<30)
	for _, op := range b.ops {
		n[op.command]++
	}
	return bson.D{{Key: "nInsertOps", Value: n["insert"]}, {Key: "nUpdateOps", Value: n["update"]}, {Key: "nRemoveOps", Value: n["delete"]}, {Key: "nBatches", Value: int32(len(batches))}}
}

func bulkMethods() []method[*bulk] {
	return []method[*bulk]{
		{"execute", "writeConcern", "send the operations", func(vm *VM, b *bulk, a args) goja.Value {
			if b.done {
				a.fail("this bulk was executed already")
			}
			if len(b.ops) == 0 {
				a.fail("there are no operations")
			}
			b.done = true
			o := options{args: a}
			o.add("ordered", b.ordered)
			if wc := a.optDoc(0, "writeConcern"); wc != nil {
				o.add("writeConcern", wc)
			}
			return vm.sendBulk(b.coll, b.ops, o)
		}},
		{"find", "filter", "what the next operation is about", func(vm *VM, b *bulk, a args) goja.Value {
			return vm.bulkFindObject(&bulkFind{on: b, with: bson.D{{Key: "q", Value: a.doc(0, "filter")}}})
		}},
		{"getOperations", "", "the operations, after execute()", func(vm *VM, b *bulk, a args) goja.Value {
			if !b.done {
				a.fail("execute() comes first")
			}
			types, out := map[string]int32{"insert": 1, "update": 2, "delete": 3}, bson.A{}
			for _, g := range groupOps(b.ops, 1<<30) {
				out = append(out, bson.D{{Key: "originalZeroIndex", Value: int32(g.at[0])}, {Key: "batchType", Value: types[g.command]}, {Key: "operations", Value: g.list}})
			}
			return vm.fromRaw(rawOf(out))
		}},
		{"insert", "document", "insert a document", func(vm *VM, b *bulk, a args) goja.Value {
			return b.add(a, bulkOp{"insert", vm.withID(a.at(0), a.doc(0, "document"))})
		}},
		{"toJSON", "", "how many operations there are", func(vm *VM, b *bulk, _ args) goja.Value { return vm.fromRaw(rawOf(b.counts())) }},
		{"toString", "", "how many operations there are", func(vm *VM, b *bulk, _ args) goja.Value {
			text, err := bson.MarshalExtJSON(b.counts(), false, false)
			vm.must(err)
			return vm.rt.ToValue(string(text))
		}},
	}
}

func bulkFindMethods() []method[*bulkFind] {
	modify := func(name, args_, help, key string, value func(a args) any) method[*bulkFind] {
		return method[*bulkFind]{name, args_, help, func(vm *VM, f *bulkFind, a args) goja.Value {
			for _, e := range f.with {
				if e.Key == key {
					a.fail("%s was set already", key)
				}
			}
			f.with = append(f.with, bson.E{Key: key, Value: value(a)})
			return vm.bulkFindObject(f)
		}}
	}
	remove := func(name string, limit int32) method[*bulkFind] {
		return method[*bulkFind]{name, "", map[int32]string{0: "delete all matching documents", 1: "delete one matching document"}[limit], func(_ *VM, f *bulkFind, a args) goja.Value {
			f.only(a, "collation", "hint")
			return f.on.add(a, bulkOp{"delete", append(f.with[:len(f.with):len(f.with)], bson.E{Key: "limit", Value: limit})})
		}}
	}
	change := func(name, arg, help string, multi bool, u func(a args, i int) bson.RawValue) method[*bulkFind] {
		return method[*bulkFind]{name, arg, help, func(_ *VM, f *bulkFind, a args) goja.Value {
			if name == "replaceOne" {
				f.only(a, "collation", "hint", "upsert")
			}
			s := append(bson.D{f.with[0], {Key: "u", Value: u(a, 0)}, {Key: "multi", Value: multi}}, f.with[1:]...)
			return f.on.add(a, bulkOp{"update", s})
		}}
	}
	return []method[*bulkFind]{
		modify("arrayFilters", "[filters]", "which elements an update means", "arrayFilters", func(a args) any { return a.raw(0, "arrayFilters") }),
		modify("collation", "{ locale }", "compare strings by the rules of a language", "collation", func(a args) any { return a.doc(0, "collation") }),
		remove("delete", 0),
		remove("deleteOne", 1),
		modify("hint", "index", "which index to use", "hint", func(a args) any { return a.raw(0, "hint") }),
		remove("remove", 0),
		remove("removeOne", 1),
		change("replaceOne", "replacement", "replace one document", false, replacement),
		change("update", "update", "update all matching documents", true, operators),
		change("updateOne", "update", "update one matching document", false, operators),
		modify("upsert", "", "insert if nothing matches", "upsert", func(args) any { return true }),
	}
}

// only refuses what was set and does not belong to the operation.
func (f *bulkFind) only(a args, known ...string) {
	for _, e := range f.with[1:] {
		for i := 0; ; i++ {
			if i == len(known) {
				a.fail("%s does not belong to it", e.Key)
			}
			if known[i] == e.Key {
				break
			}
		}
	}
}

// bulkOp is one operation of a bulk: a document to insert, or a statement of an update or a delete.
type bulkOp struct {
	command string
	what    any
}

// size is about how many bytes the operation has.
func (op bulkOp) size() int {
	switch x := op.what.(type) {
	case bson.Raw:
		return len(x)
	case bson.D:
		n := 0
		for _, e := range x {
			switch v := e.Value.(type) {
			case bson.RawValue:
				n += len(v.Value)
			case bson.Raw:
				n += len(v)
			}
		}
		return n
	}
	return 0
}

// bulkFields are where the commands have their operations.
var bulkFields = map[string]string{"insert": "documents", "update": "updates", "delete": "deletes"}

type bulkGroup struct {
	command string
	list    bson.A
	at      []int
	reply   Reply
	failed  *ServerError // of some of it
}

// groupOps puts neighbours of one kind together, up to so many.
func groupOps(ops []bulkOp, most int) []*bulkGroup {
	var groups []*bulkGroup
	for i, op := range ops {
		if n := len(groups); n == 0 || groups[n-1].command != op.command || len(groups[n-1].list) >= most {
			groups = append(groups, &bulkGroup{command: op.command})
		}
		last := groups[len(groups)-1]
		last.list, last.at = append(last.list, op.what), append(last.at, i)
	}
	return groups
}

// sendBulk sends operations as insert, update and delete commands.
func (vm *VM) sendBulk(c *collection, ops []bulkOp, o options) goja.Value {
	inserted := bson.D{}
	for i, op := range ops {
		if op.command == "insert" {
			inserted = append(inserted, bson.E{Key: itoa(i), Value: op.what.(bson.Raw).Lookup("_id")})
		}
	}
	groups := groupOps(ops, vm.maxStatements(c.db.target))
	for n, g := range groups {
		cmd := o.copyTo(bson.D{{Key: g.command, Value: c.name}, {Key: bulkFields[g.command], Value: g.list}}, "ordered writeConcern comment maxTimeMS")
		if g.command != "delete" {
			cmd = o.copyTo(cmd, "bypassDocumentValidation")
		}
		if g.command != "insert" {
			cmd = o.copyTo(cmd, "let")
		}
		if g.reply, g.failed = c.attempt(cmd); g.failed != nil && o.ordered() {
			groups = groups[:n+1]
			break
		}
	}
	vm.throwFailed(groups, inserted)
	return vm.bulkResult(groups, inserted)
}

// bulkWrite is db.c.bulkWrite([{insertOne: {…}}, …]).
func bulkWrite(vm *VM, c *collection, a args) goja.Value {
	a.need(0, "array of operations")
	o := a.opts(1, writeOptions+"ordered bypassDocumentValidation let")
	var ops []bulkOp
	n := 1
	if obj, ok := a.at(0).(*goja.Object); ok && obj.ClassName() == "Array" {
		n = int(vm.lengthOf(obj))
	}
	tally := vm.tally(c.db.target, n)
	for i, v := range list(vm, a.at(0)) {
		at := fmt.Sprintf("operations[%d]", i)
		doc, err := vm.toDocument(v, at, false)
		a.check(err)
		ops = append(ops, bulkOperation(vm, a, at, doc))
		tally.made(i, len(doc))
	}
	if len(ops) == 0 {
		a.fail("the array is empty")
	}
	return vm.sendBulk(c, ops, o)
}

// bulkOperation reads one operation of a bulkWrite.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.bulkWrite/
func bulkOperation(vm *VM, a args, at string, op bson.Raw) bulkOp {
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
		return bulkOp{"insert", vm.withID(nil, doc)}
	case "deleteOne", "deleteMany":
		limit := int32(1)
		if kind == "deleteMany" {
			limit = 0
		}
		return bulkOp{"delete", so.copyTo(bson.D{{Key: "q", Value: field("filter")}, {Key: "limit", Value: limit}}, "collation hint")}
	case "replaceOne":
		u := field("replacement")
		if doc, ok := u.DocumentOK(); !ok || startsWithOperator(doc) {
			a.fail("%s.%s.replacement must be a document without operators", at, kind)
		}
		return bulkOp{"update", so.copyTo(bson.D{{Key: "q", Value: field("filter")}, {Key: "u", Value: u}}, "upsert collation hint sort")}
	case "updateOne", "updateMany":
		u := field("update")
		if doc, ok := u.DocumentOK(); u.Type != bson.TypeArray && (!ok || !startsWithOperator(doc)) {
			a.fail("%s.%s.update must be operators or a pipeline", at, kind)
		}
		return bulkOp{"update", so.copyTo(bson.D{{Key: "q", Value: field("filter")}, {Key: "u", Value: u}, {Key: "multi", Value: kind == "updateMany"}}, "upsert arrayFilters collation hint sort")}
	}
	a.fail("%s: there is no operation %q", at, kind)
	return bulkOp{}
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
				if i, ok := doc(u).Lookup("index").AsInt64OK(); ok && i >= 0 && i < int64(len(g.at)) {
					ids = append(ids, bson.E{Key: itoa(g.at[i]), Value: orNull(doc(u).Lookup("_id"))})
				}
			}
		}
		return vm.fromRaw(rawOf(ids))
	})
	return vm.rt.NewDynamicObject(l)
}
