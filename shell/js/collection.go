package js

import (
	"fmt"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// collection is mongosh's Collection. Its unknown properties are collections with a longer name: db.fs.files.
type collection struct {
	vm   *VM
	db   *database
	name string
}

func (c *collection) Get(key string) goja.Value {
	if hidden(key) || c.vm.protos.collection.Get(key) != nil {
		return nil
	}
	return c.db.collection(c.name + "." + key)
}

func (c *collection) Set(string, goja.Value) bool { return false }
func (c *collection) Has(key string) bool         { return c.Get(key) != nil }
func (c *collection) Delete(string) bool          { return false }
func (c *collection) Keys() []string              { return nil }

func (c *collection) send(cmd bson.D) Reply { return c.vm.send(c.db.target, c.db.name, cmd) }

func (c *collection) reply(cmd bson.D) bson.Raw { return c.vm.reply(c.send(cmd)) }

const (
	writeOptions = "writeConcern comment maxTimeMS "
	// of findOneAndDelete, and of its two siblings
	findOneDeleteOptions = writeOptions + "sort projection collation hint let includeResultMetadata"
	findOneOptions       = writeOptions + "upsert arrayFilters collation hint let bypassDocumentValidation sort projection returnDocument returnNewDocument new includeResultMetadata"
	findOptions          = "sort projection limit skip hint batchSize maxTimeMS collation comment allowDiskUse let explain"
)

func collectionMethods() []method[*collection] {
	text := func(s string) func(*VM, *collection, args) goja.Value {
		return func(vm *VM, c *collection, _ args) goja.Value {
			return vm.rt.ToValue(map[string]string{"name": c.name, "full": c.db.name + "." + c.name}[s])
		}
	}
	return []method[*collection]{
		{"aggregate", "pipeline, options", "run an aggregation pipeline", func(vm *VM, c *collection, a args) goja.Value { return aggregateOn(vm, c.db, c, a) }},
		{"bulkWrite", "operations, options", "several writes at once", bulkWrite},
		{"checkMetadataConsistency", "options", "whether a cluster's metadata agree", func(vm *VM, c *collection, a args) goja.Value {
			cmd := a.opts(0, "checkIndexes").copyTo(bson.D{{Key: "checkMetadataConsistency", Value: c.name}}, "checkIndexes")
			return vm.cursorObject(&cursor{vm: vm, db: c.db, command: cmd})
		}},
		{"convertToCapped", "bytes", "make this collection capped", func(vm *VM, c *collection, a args) goja.Value {
			return vm.documentObject(c.reply(bson.D{{Key: "convertToCapped", Value: c.name}, {Key: "size", Value: a.raw(0, "size")}}))
		}},
		{"count", "filter", "count matching documents (deprecated: countDocuments)", countDocuments},
		{"countDocuments", "filter, options", "count matching documents", countDocuments},
		{"createIndex", "keys, options", "build an index", func(vm *VM, c *collection, a args) goja.Value {
			return createIndexes(vm, c, a, []goja.Value{a.at(0)})
		}},
		{"createIndexes", "[keys], options", "build several indexes", func(vm *VM, c *collection, a args) goja.Value {
			return createIndexes(vm, c, a, list(vm, a.at(0)))
		}},
		{"dataSize", "", "bytes of all documents", size("size")},
		{"deleteMany", "filter, options", "delete all matching documents", func(vm *VM, c *collection, a args) goja.Value { return deleteDocs(vm, c, a, 0) }},
		{"deleteOne", "filter, options", "delete one matching document", func(vm *VM, c *collection, a args) goja.Value { return deleteDocs(vm, c, a, 1) }},
		{"distinct", "field, filter, options", "the values of a field", distinct},
		{"drop", "", "drop this collection", dropCollection},
		{"dropIndex", "name", "drop an index", dropIndex},
		{"dropIndexes", "names", "drop indexes; all but _id_ without an argument", dropIndex},
		{"estimatedDocumentCount", "options", "the number of documents, from metadata", func(vm *VM, c *collection, a args) goja.Value {
			cmd := a.opts(0, "maxTimeMS comment").copyTo(bson.D{{Key: "count", Value: c.name}}, "maxTimeMS", "comment")
			return vm.number(c.reply(cmd).Lookup("n"))
		}},
		{"exists", "", "what the server knows of this collection, or null", func(vm *VM, c *collection, _ args) goja.Value {
			cur := &cursor{vm: vm, db: c.db, command: bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "filter", Value: bson.D{{Key: "name", Value: c.name}}}}}
			if doc := cur.nextRaw(); doc != nil {
				return vm.documentObject(doc)
			}
			return goja.Null()
		}},
		{"explain", "verbosity", "explain what follows: db.c.explain().find()", func(vm *VM, c *collection, a args) goja.Value {
			v := "queryPlanner"
			if a.has(0) {
				v = options{args: a, elems: explainElem(a)}.explain()
			}
			return vm.explainableObject(&explainable{coll: c, verbosity: v})
		}},
		{"find", "filter, projection, options", "find documents", find},
		{"findAndModify", "{ query, update, … }", "change or remove one document and return it", findAndModifyRaw},
		{"findOne", "filter, projection, options", "find one document", findOne},
		{"findOneAndDelete", "filter, options", "delete one document and return it", func(vm *VM, c *collection, a args) goja.Value {
			o := a.opts(1, findOneDeleteOptions)
			return vm.findAndModify(c, a, o, bson.E{Key: "remove", Value: true})
		}},
		{"findOneAndReplace", "filter, replacement, options", "replace one document and return it", func(vm *VM, c *collection, a args) goja.Value {
			return findOneAndChange(vm, c, a, replacement(a, 1))
		}},
		{"findOneAndUpdate", "filter, update, options", "update one document and return it", func(vm *VM, c *collection, a args) goja.Value {
			return findOneAndChange(vm, c, a, operators(a, 1))
		}},
		{"getDB", "", "the database", func(vm *VM, c *collection, _ args) goja.Value { return vm.databaseObject(c.db) }},
		{"getFullName", "", "database.collection", text("full")},
		{"getIndexKeys", "", "the keys of the indexes", func(vm *VM, c *collection, _ args) goja.Value {
			var keys []any
			cur := indexes(vm, c)
			for doc := cur.nextRaw(); doc != nil; doc = cur.nextRaw() {
				keys = append(keys, vm.fromRaw(doc.Lookup("key")))
			}
			return vm.rt.NewArray(keys...)
		}},
		{"getIndexSpecs", "", "the indexes", func(vm *VM, c *collection, _ args) goja.Value { return indexes(vm, c).toArray() }},
		{"getIndexes", "", "the indexes", func(vm *VM, c *collection, _ args) goja.Value { return indexes(vm, c).toArray() }},
		{"getIndices", "", "the indexes", func(vm *VM, c *collection, _ args) goja.Value { return indexes(vm, c).toArray() }},
		{"getMongo", "", "the connection", func(vm *VM, c *collection, _ args) goja.Value { return vm.mongoObject(c.db.target) }},
		{"getName", "", "this collection's name", text("name")},
		{"getPlanCache", "", "the plans that the server keeps", func(vm *VM, c *collection, _ args) goja.Value {
			obj := vm.rt.NewDynamicObject(&planCache{coll: c})
			vm.must(obj.SetPrototype(vm.protos.planCache))
			return obj
		}},
		{"getSearchIndexes", "name", "the search indexes", func(vm *VM, c *collection, a args) goja.Value {
			which := bson.D{}
			if a.has(0) {
				which = bson.D{{Key: "name", Value: a.text(0)}}
			}
			return vm.cursorObject(c.stage("$listSearchIndexes", which))
		}},
		{"getShardVersion", "", "what a shard knows of this collection's distribution", func(vm *VM, c *collection, _ args) goja.Value {
			return vm.documentObject(vm.reply(vm.send(c.db.target, "admin", bson.D{{Key: "getShardVersion", Value: c.db.name + "." + c.name}})))
		}},
		{"help", "", "what a collection can do", func(vm *VM, _ *collection, _ args) goja.Value { return vm.printHelp("Collection") }},
		{"hideIndex", "name", "hide an index from the planner", hideIndex(true)},
		{"insert", "document or [documents]", "insert (deprecated: insertOne, insertMany)", func(vm *VM, c *collection, a args) goja.Value {
			if obj, ok := a.at(0).(*goja.Object); ok && obj.ClassName() == "Array" {
				return insertMany(vm, c, a)
			}
			return insertOne(vm, c, a)
		}},
		{"insertMany", "[documents], options", "insert documents", insertMany},
		{"insertOne", "document, options", "insert one document", insertOne},
		{"isCapped", "", "whether this collection is capped", func(vm *VM, c *collection, _ args) goja.Value {
			b, _ := c.reply(bson.D{{Key: "collStats", Value: c.name}}).Lookup("capped").BooleanOK()
			return vm.rt.ToValue(b)
		}},
		{"latencyStats", "options", "how long operations took", func(vm *VM, c *collection, a args) goja.Value {
			o := bson.D{}
			if doc := a.optDoc(0, "options"); doc != nil {
				o = bson.D{{Key: "histograms", Value: doc.Lookup("histograms")}}
			}
			return c.stage("$collStats", bson.D{{Key: "latencyStats", Value: o}}).toArray()
		}},
		{"mapReduce", "map, reduce, options", "map and reduce (deprecated: aggregate)", func(vm *VM, c *collection, a args) goja.Value {
			return vm.documentObject(c.reply(mapReduce(c, a)))
		}},
		{"reIndex", "", "drop and build all indexes", func(vm *VM, c *collection, _ args) goja.Value {
			return vm.documentObject(c.reply(bson.D{{Key: "reIndex", Value: c.name}}))
		}},
		{"remove", "filter, justOne", "delete (deprecated: deleteOne, deleteMany)", removeDocs},
		{"renameCollection", "name, dropTarget", "rename this collection", renameCollection},
		{"replaceOne", "filter, replacement, options", "replace one document", func(vm *VM, c *collection, a args) goja.Value {
			return updateDocs(vm, c, a, replacement(a, 1), false)
		}},
		{"runCommand", "command", "run a command; it passes the same guard", func(vm *VM, c *collection, a args) goja.Value {
			if name, ok := exported[string](a.at(0)); ok {
				cmd := bson.D{{Key: name, Value: c.name}}
				if o := a.optDoc(1, "options"); o != nil {
					elems, err := o.Elements()
					a.check(err)
					for _, e := range elems {
						cmd = append(cmd, bson.E{Key: e.Key(), Value: e.Value()})
					}
				}
				return vm.documentObject(c.reply(cmd))
			}
			return runCommand(vm, c.db, c.db.name, a)
		}},
		{"stats", "", "sizes of this collection", func(vm *VM, c *collection, a args) goja.Value {
			cmd := a.opts(0, "scale").copyTo(bson.D{{Key: "collStats", Value: c.name}}, "scale")
			return vm.documentObject(c.reply(cmd))
		}},
		{"storageSize", "", "bytes on disk", size("storageSize")},
		{"totalIndexSize", "", "bytes of all indexes", size("totalIndexSize")},
		{"totalSize", "", "bytes of documents and indexes", size("totalSize")},
		{"unhideIndex", "name", "show a hidden index to the planner", hideIndex(false)},
		{"update", "filter, update, options", "update (deprecated: updateOne, updateMany)", func(vm *VM, c *collection, a args) goja.Value {
			a.need(1, "update")
			multi := a.opts(2, updateOptions+" multi").truthy("multi")
			u := a.raw(1, "update")
			if u.Type == bson.TypeEmbeddedDocument && !startsWithOperator(u.Document()) {
				u = replacement(a, 1)
			}
			return updateDocs(vm, c, a, u, multi)
		}},
		{"updateMany", "filter, update, options", "update all matching documents", func(vm *VM, c *collection, a args) goja.Value {
			return updateDocs(vm, c, a, operators(a, 1), true)
		}},
		{"updateOne", "filter, update, options", "update one matching document", func(vm *VM, c *collection, a args) goja.Value {
			return updateDocs(vm, c, a, operators(a, 1), false)
		}},
		{"validate", "options", "check this collection's data", func(vm *VM, c *collection, a args) goja.Value {
			cmd := bson.D{{Key: "validate", Value: c.name}}
			if full, ok := exported[bool](a.at(0)); ok {
				return vm.documentObject(c.reply(append(cmd, bson.E{Key: "full", Value: full})))
			}
			return vm.documentObject(c.reply(a.opts(0, "full repair metadata checkBSONConformance").copyTo(cmd, "full", "repair", "metadata", "checkBSONConformance")))
		}},
	}
}

// stage is a cursor over an aggregation of one stage.
func (c *collection) stage(name string, arg any) *cursor {
	return &cursor{vm: c.vm, db: c.db, command: bson.D{{Key: "aggregate", Value: c.name}, {Key: "pipeline", Value: bson.A{bson.D{{Key: name, Value: arg}}}}, {Key: "cursor", Value: bson.D{}}}}
}

// mapReduce: map and reduce are functions or their text; the third argument is a document with out, or out itself.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.mapReduce/
func mapReduce(c *collection, a args) bson.D {
	cmd := bson.D{{Key: "mapReduce", Value: c.name}}
	for i, name := range []string{"map", "reduce"} {
		a.need(i, name)
		code, err := (&converter{vm: a.vm}).convert(a.at(i), name, name)
		a.check(err)
		cmd = append(cmd, bson.E{Key: name, Value: code})
	}
	if out, ok := exported[string](a.at(2)); ok {
		return append(cmd, bson.E{Key: "out", Value: out})
	}
	a.need(2, "out")
	const known = "out query sort limit finalize scope jsMode verbose collation bypassDocumentValidation maxTimeMS comment writeConcern"
	o := a.opts(2, known)
	if o.get("out").Type == 0 {
		a.fail("the option out is missing: {inline: 1} returns the result")
	}
	return o.copyTo(cmd, strings.Fields(known)...)
}

func hideIndex(hidden bool) func(*VM, *collection, args) goja.Value {
	return func(vm *VM, c *collection, a args) goja.Value {
		which := bson.E{Key: "keyPattern", Value: a.raw(0, "name of the index")}
		if name, ok := exported[string](a.at(0)); ok {
			which = bson.E{Key: "name", Value: name}
		}
		return vm.documentObject(c.reply(bson.D{{Key: "collMod", Value: c.name}, {Key: "index", Value: bson.D{which, {Key: "hidden", Value: hidden}}}}))
	}
}

// planCache is mongosh's PlanCache.
type planCache struct {
	fixedObject
	coll *collection
}

func planCacheMethods() []method[*planCache] {
	return []method[*planCache]{
		{"clear", "", "forget all plans", func(vm *VM, p *planCache, _ args) goja.Value {
			return vm.documentObject(p.coll.reply(bson.D{{Key: "planCacheClear", Value: p.coll.name}}))
		}},
		{"clearPlansByQuery", "query, projection, sort", "forget the plans of a query", func(vm *VM, p *planCache, a args) goja.Value {
			cmd := bson.D{{Key: "planCacheClear", Value: p.coll.name}, {Key: "query", Value: a.doc(0, "query")}}
			for i, name := range []string{"projection", "sort"} {
				if d := a.optDoc(i+1, name); d != nil {
					cmd = append(cmd, bson.E{Key: name, Value: d})
				}
			}
			return vm.documentObject(p.coll.reply(cmd))
		}},
		{"list", "pipeline", "the plans", func(vm *VM, p *planCache, a args) goja.Value {
			pipeline := bson.A{bson.D{{Key: "$planCacheStats", Value: bson.D{}}}}
			for i, v := range list(vm, a.at(0)) {
				if a.has(0) {
					stage, err := vm.toDocument(v, fmt.Sprintf("pipeline[%d]", i), a.reads)
					a.check(err)
					pipeline = append(pipeline, stage)
				}
			}
			c := p.coll.stage("$planCacheStats", bson.D{})
			c.set("pipeline", pipeline)
			return c.toArray()
		}},
	}
}

func explainElem(a args) []bson.RawElement {
	raw := bson.Raw(rawOf(bson.D{{Key: "explain", Value: a.raw(0, "verbosity")}}).Value)
	elems, err := raw.Elements()
	a.check(err)
	return elems
}

func size(field string) func(*VM, *collection, args) goja.Value {
	return func(vm *VM, c *collection, _ args) goja.Value {
		return vm.number(c.reply(bson.D{{Key: "collStats", Value: c.name}}).Lookup(field))
	}
}

// number is a count as a JavaScript number.
func (vm *VM) number(v bson.RawValue) goja.Value {
	f, _ := v.AsFloat64OK()
	return vm.rt.ToValue(f)
}

func indexes(vm *VM, c *collection) *cursor {
	return &cursor{vm: vm, db: c.db, command: bson.D{{Key: "listIndexes", Value: c.name}}}
}

// list is a JavaScript array's elements, or else the value alone.
func list(vm *VM, v goja.Value) []goja.Value {
	if a, ok := export[*array](v); ok {
		out := make([]goja.Value, a.Len())
		for i := range out {
			out[i] = a.Get(i)
		}
		return out
	}
	obj, ok := v.(*goja.Object)
	if _, isProxy := export[goja.Proxy](v); !ok || isProxy || obj.ClassName() != "Array" {
		return []goja.Value{v}
	}
	if err := vm.readable(); err != nil {
		vm.throw(err)
	}
	lv, _ := vm.property(obj, "length")
	n, _ := exported[int64](lv)
	if n > maxArray {
		vm.throw(&Refusal{Text: fmt.Sprintf("an array of %d elements is too long", n), Hint: "send it in parts"})
	}
	out := make([]goja.Value, 0, n)
	for i := range int(n) {
		e, _ := vm.property(obj, itoa(i))
		if e == nil {
			e = goja.Undefined()
		}
		out = append(out, e)
	}
	return out
}

func find(vm *VM, c *collection, a args) goja.Value {
	cur := newFind(vm, c, a)
	return vm.cursorObject(cur)
}

func newFind(vm *VM, c *collection, a args) *cursor {
	filter := a.optDoc(0, "filter")
	if filter == nil {
		filter = bson.Raw{5, 0, 0, 0, 0}
	}
	o := a.opts(2, findOptions)
	cmd := bson.D{{Key: "find", Value: c.name}, {Key: "filter", Value: filter}}
	if p := a.optDoc(1, "projection"); p != nil {
		cmd = append(cmd, bson.E{Key: "projection", Value: p})
		cmd = o.copyTo(cmd, "sort", "limit", "skip", "hint", "batchSize", "maxTimeMS", "collation", "comment", "allowDiskUse", "let")
	} else {
		cmd = o.copyTo(cmd, "projection", "sort", "limit", "skip", "hint", "batchSize", "maxTimeMS", "collation", "comment", "allowDiskUse", "let")
	}
	return &cursor{vm: vm, db: c.db, command: cmd, explained: o.explain()}
}

func findOne(vm *VM, c *collection, a args) goja.Value {
	cur := newFind(vm, c, a)
	cur.set("limit", int64(1))
	cur.set("singleBatch", true)
	if doc := cur.nextRaw(); doc != nil {
		return vm.documentObject(doc)
	}
	return goja.Null()
}

// countDocuments counts with an aggregation, as drivers do.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.countDocuments/#mechanics
func countDocuments(vm *VM, c *collection, a args) goja.Value {
	filter := a.optDoc(0, "filter")
	if filter == nil {
		filter = bson.Raw{5, 0, 0, 0, 0}
	}
	o := a.opts(1, "limit skip hint maxTimeMS collation comment")
	pipeline := bson.A{bson.D{{Key: "$match", Value: filter}}}
	for _, s := range []string{"skip", "limit"} {
		if v := o.get(s); v.Type != 0 {
			pipeline = append(pipeline, bson.D{{Key: "$" + s, Value: v}})
		}
	}
	pipeline = append(pipeline, bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: bson.D{{Key: "$sum", Value: int32(1)}}}}}})
	cmd := o.copyTo(bson.D{{Key: "aggregate", Value: c.name}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: bson.D{}}}, "hint", "maxTimeMS", "collation", "comment")
	cur := &cursor{vm: vm, db: c.db, command: cmd}
	if doc := cur.nextRaw(); doc != nil {
		return vm.number(doc.Lookup("n"))
	}
	return vm.rt.ToValue(0)
}

func distinct(vm *VM, c *collection, a args) goja.Value {
	cmd := bson.D{{Key: "distinct", Value: c.name}, {Key: "key", Value: a.text(0)}}
	if q := a.optDoc(1, "filter"); q != nil {
		cmd = append(cmd, bson.E{Key: "query", Value: q})
	}
	cmd = a.opts(2, "collation maxTimeMS comment hint").copyTo(cmd, "collation", "maxTimeMS", "comment", "hint")
	return vm.fromRaw(c.reply(cmd).Lookup("values"))
}

func aggregateOn(vm *VM, d *database, c *collection, a args) goja.Value {
	var pipeline bson.RawValue
	o := options{args: a}
	const known = "allowDiskUse cursor maxTimeMS bypassDocumentValidation readConcern collation hint comment let explain batchSize"
	first, isArray := a.at(0).(*goja.Object)
	if isArray = isArray && first.ClassName() == "Array"; isArray || len(a.values) == 0 {
		if len(a.values) == 0 {
			pipeline = rawOf(bson.A{})
		} else {
			pipeline = a.raw(0, "pipeline")
		}
		o = a.opts(1, known)
	} else { // stages as arguments
		stages := bson.A{}
		for i := range a.values {
			stages = append(stages, a.doc(i, fmt.Sprintf("stage %d", i)))
		}
		pipeline = rawOf(stages)
	}
	var on any = int32(1)
	if c != nil {
		on = c.name
	}
	cursorDoc := bson.D{}
	if b := o.get("batchSize"); b.Type != 0 {
		cursorDoc = bson.D{{Key: "batchSize", Value: b}}
	} else if v, ok := o.get("cursor").DocumentOK(); ok {
		if b, err := v.LookupErr("batchSize"); err == nil {
			cursorDoc = bson.D{{Key: "batchSize", Value: b}}
		}
	}
	cmd := bson.D{{Key: "aggregate", Value: on}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: cursorDoc}}
	cmd = o.copyTo(cmd, "allowDiskUse", "maxTimeMS", "bypassDocumentValidation", "readConcern", "collation", "hint", "comment", "let")
	cur := &cursor{vm: vm, db: d, command: cmd, explained: o.explain()}
	if cur.explained != "" {
		return cur.explain(cur.explained)
	}
	if writes(pipeline) {
		cur.begin() // mongosh runs $out and $merge at once
	}
	return vm.cursorObject(cur)
}

// writes says whether a pipeline ends in $out or $merge: it is then run at once. What may write is decided elsewhere.
func writes(pipeline bson.RawValue) bool {
	values, err := pipeline.Array().Values()
	if err != nil || len(values) == 0 {
		return false
	}
	doc, ok := values[len(values)-1].DocumentOK()
	if !ok {
		return false
	}
	e, err := doc.IndexErr(0)
	return err == nil && (e.Key() == "$out" || e.Key() == "$merge")
}

// explained wraps a command in explain and returns the reply.
func (vm *VM) explained(d *database, cmd bson.D, verbosity string) goja.Value {
	return vm.documentObject(vm.reply(vm.send(d.target, d.name, bson.D{{Key: "explain", Value: cmd}, {Key: "verbosity", Value: verbosity}})))
}

func dropCollection(vm *VM, c *collection, a args) goja.Value {
	a.opts(0, "writeConcern")
	reply := c.reply(bson.D{{Key: "drop", Value: c.name}})
	_, err := reply.LookupErr("ns")
	return vm.rt.ToValue(err == nil)
}

func dropIndex(vm *VM, c *collection, a args) goja.Value {
	which := rawString("*")
	if a.method == "dropIndex" || a.has(0) {
		orderMatters(a, 0, "the key pattern")
		which = a.raw(0, "name of the index")
	}
	if s, ok := which.StringValueOK(); ok && s == "*" && a.method == "dropIndex" {
		a.fail("to drop all indexes, use dropIndexes()")
	}
	return vm.documentObject(c.reply(bson.D{{Key: "dropIndexes", Value: c.name}, {Key: "index", Value: which}}))
}

func createIndexes(vm *VM, c *collection, a args, patterns []goja.Value) goja.Value {
	a.need(0, "key pattern")
	o := a.optDoc(1, "options")
	specs := bson.A{}
	var names []any
	for i, p := range patterns {
		orderMatters(a.with(patterns...), i, "the key pattern")
		keys, err := vm.toDocument(p, "keys", false)
		a.check(err)
		name := indexName(keys)
		spec := bson.D{{Key: "key", Value: keys}}
		if o != nil {
			elems, err := o.Elements()
			a.check(err)
			for _, e := range elems {
				if e.Key() == "name" {
					name, _ = e.Value().StringValueOK()
					continue
				}
				spec = append(spec, bson.E{Key: e.Key(), Value: e.Value()})
			}
		}
		specs = append(specs, append(spec, bson.E{Key: "name", Value: name}))
		names = append(names, name)
	}
	c.reply(bson.D{{Key: "createIndexes", Value: c.name}, {Key: "indexes", Value: specs}})
	if a.method == "createIndex" {
		return vm.rt.ToValue(names[0])
	}
	return vm.rt.NewArray(names...)
}

// indexName is what drivers call an index: a_1_b_-1.
// Source: https://github.com/mongodb/specifications/blob/master/source/index-management/index-management.md
func indexName(keys bson.Raw) string {
	elems, err := keys.Elements()
	if err != nil {
		return ""
	}
	var parts []string
	for _, e := range elems {
		v := e.Value()
		s, isString := v.StringValueOK()
		if f, ok := v.AsFloat64OK(); ok && !isString {
			s = fmt.Sprint(f)
		}
		parts = append(parts, e.Key(), s)
	}
	return strings.Join(parts, "_")
}

func renameCollection(vm *VM, c *collection, a args) goja.Value {
	cmd := bson.D{{Key: "renameCollection", Value: c.db.name + "." + c.name}, {Key: "to", Value: c.db.name + "." + a.text(0)}}
	if a.has(1) {
		cmd = append(cmd, bson.E{Key: "dropTarget", Value: a.at(1).ToBoolean()})
	}
	return vm.documentObject(vm.reply(vm.send(c.db.target, "admin", cmd)))
}

// explainable is what db.c.explain() returns.
type explainable struct {
	fixedObject
	coll      *collection
	verbosity string
}

func (vm *VM) explainableObject(e *explainable) goja.Value {
	obj := vm.rt.NewDynamicObject(e)
	vm.must(obj.SetPrototype(vm.protos.explainable))
	return obj
}

func explainableMethods() []method[*explainable] {
	run := func(command func(c *collection, a args) bson.D) func(*VM, *explainable, args) goja.Value {
		return func(vm *VM, e *explainable, a args) goja.Value {
			return vm.explained(e.coll.db, command(e.coll, a), e.verbosity)
		}
	}
	return []method[*explainable]{
		{"aggregate", "pipeline", "explain an aggregation", run(func(c *collection, a args) bson.D {
			return bson.D{{Key: "aggregate", Value: c.name}, {Key: "pipeline", Value: a.raw(0, "pipeline")}, {Key: "cursor", Value: bson.D{}}}
		})},
		{"count", "filter", "explain a count", run(func(c *collection, a args) bson.D {
			cmd := bson.D{{Key: "count", Value: c.name}}
			if q := a.optDoc(0, "filter"); q != nil {
				cmd = append(cmd, bson.E{Key: "query", Value: q})
			}
			return cmd
		})},
		{"distinct", "field, filter", "explain a distinct", run(func(c *collection, a args) bson.D {
			cmd := bson.D{{Key: "distinct", Value: c.name}, {Key: "key", Value: a.text(0)}}
			if q := a.optDoc(1, "filter"); q != nil {
				cmd = append(cmd, bson.E{Key: "query", Value: q})
			}
			return cmd
		})},
		{"find", "filter, projection", "explain a find", func(vm *VM, e *explainable, a args) goja.Value {
			cur := newFind(vm, e.coll, a)
			cur.explained = e.verbosity
			return vm.cursorObject(cur)
		}},
		{"findAndModify", "{ query, update, … }", "explain a findAndModify", run(func(c *collection, a args) bson.D { return findAndModifyCommand(c, a) })},
		{"findOneAndDelete", "filter, options", "explain it", run(func(c *collection, a args) bson.D {
			return findOneCommand(c, a, a.opts(1, findOneDeleteOptions), bson.E{Key: "remove", Value: true})
		})},
		{"findOneAndReplace", "filter, replacement, options", "explain it", run(func(c *collection, a args) bson.D {
			return findOneCommand(c, a, a.opts(2, findOneOptions), bson.E{Key: "update", Value: replacement(a, 1)})
		})},
		{"findOneAndUpdate", "filter, update, options", "explain it", run(func(c *collection, a args) bson.D {
			return findOneCommand(c, a, a.opts(2, findOneOptions), bson.E{Key: "update", Value: operators(a, 1)})
		})},
		{"getCollection", "", "the collection", func(_ *VM, e *explainable, _ args) goja.Value { return e.coll.db.collection(e.coll.name) }},
		{"getVerbosity", "", "how much is explained", func(vm *VM, e *explainable, _ args) goja.Value { return vm.rt.ToValue(e.verbosity) }},
		{"mapReduce", "map, reduce, options", "explain a mapReduce", run(mapReduce)},
		{"remove", "filter", "explain a delete", run(func(c *collection, a args) bson.D {
			return bson.D{{Key: "delete", Value: c.name}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: a.doc(0, "filter")}, {Key: "limit", Value: int32(0)}}}}}
		})},
		{"setVerbosity", "verbosity", "how much is explained", func(vm *VM, e *explainable, a args) goja.Value {
			e.verbosity = options{args: a, elems: explainElem(a)}.explain()
			return vm.explainableObject(e)
		}},
		{"update", "filter, update", "explain an update", run(func(c *collection, a args) bson.D {
			return bson.D{{Key: "update", Value: c.name}, {Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: a.doc(0, "filter")}, {Key: "u", Value: a.raw(1, "update")}}}}}
		})},
	}
}
