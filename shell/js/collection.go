package js

import (
	"fmt"
	"slices"
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
	findOneDeleteOptions = writeOptions + "sort projection collation hint let includeResultMetadata explain"
	findOneOptions       = writeOptions + "explain upsert arrayFilters collation hint let bypassDocumentValidation sort projection returnDocument returnNewDocument new includeResultMetadata"
	// of find that the command has under the same names, and those that a method of the cursor has
	findFields  = "projection sort limit skip hint batchSize singleBatch maxTimeMS collation comment allowDiskUse let noCursorTimeout tailable awaitData min max returnKey showRecordId allowPartialResults oplogReplay"
	findOptions = findFields + " maxAwaitTimeMS explain " + readOptions
	// of every method that reads
	readOptions = "readConcern readPreference"
	// of an aggregation, under the same names in the command
	aggregateFields  = "allowDiskUse maxTimeMS bypassDocumentValidation collation hint comment let writeConcern"
	aggregateOptions = aggregateFields + " cursor batchSize maxAwaitTimeMS explain " + readOptions
)

func collectionMethods() []method[*collection] {
	text := func(s string) func(*VM, *collection, args) goja.Value {
		return func(vm *VM, c *collection, _ args) goja.Value {
			return vm.rt.ToValue(map[string]string{"name": c.name, "full": c.db.name + "." + c.name}[s])
		}
	}
	return []method[*collection]{
		{"aggregate", "pipeline, options", "run an aggregation pipeline", func(vm *VM, c *collection, a args) goja.Value { return aggregateOn(vm, c.db, c, a) }},
		{"analyzeShardKey", "key, options", "how a shard key would do", func(vm *VM, c *collection, a args) goja.Value {
			orderMatters(a, 0, "the shard key")
			cmd := bson.D{{Key: "analyzeShardKey", Value: c.full()}, {Key: "key", Value: a.doc(0, "key")}}
			return vm.documentObject(c.onAdmin(a.withFields(1, cmd)))
		}},
		{"bulkWrite", "operations, options", "several writes at once", bulkWrite},
		{"checkMetadataConsistency", "options", "whether a cluster's metadata agree", func(vm *VM, c *collection, a args) goja.Value {
			cmd := a.opts(0, "checkIndexes").copyTo(bson.D{{Key: "checkMetadataConsistency", Value: c.name}}, "checkIndexes")
			return vm.cursorObject(&cursor{vm: vm, db: c.db, command: cmd})
		}},
		{"compactStructuredEncryptionData", "", "tidy up what Queryable Encryption has left", func(vm *VM, c *collection, _ args) goja.Value {
			return vm.documentObject(c.reply(bson.D{{Key: "compactStructuredEncryptionData", Value: c.name}}))
		}},
		{"configureQueryAnalyzer", "options", "sample queries for analyzeShardKey()", func(vm *VM, c *collection, a args) goja.Value {
			a.need(0, "options")
			return vm.documentObject(c.onAdmin(a.withFields(0, bson.D{{Key: "configureQueryAnalyzer", Value: c.full()}})))
		}},
		{"convertToCapped", "bytes", "make this collection capped", func(vm *VM, c *collection, a args) goja.Value {
			return vm.documentObject(c.reply(bson.D{{Key: "convertToCapped", Value: c.name}, {Key: "size", Value: a.raw(0, "size")}}))
		}},
		{"count", "filter, options", "count matching documents (deprecated: countDocuments)", func(vm *VM, c *collection, a args) goja.Value {
			return vm.number(c.reply(countCommand(c, a)).Lookup("n"))
		}},
		{"countDocuments", "filter, options", "count matching documents", countDocuments},
		{"createIndex", "keys, options, commitQuorum", "build an index", func(vm *VM, c *collection, a args) goja.Value {
			return createIndexes(vm, c, a, []goja.Value{a.at(0)})
		}},
		{"createIndexes", "[keys], options, commitQuorum", "build several indexes", func(vm *VM, c *collection, a args) goja.Value {
			return createIndexes(vm, c, a, list(vm, a.at(0)))
		}},
		{"createSearchIndex", "name, type, definition", "build a search index", createSearchIndex},
		{"createSearchIndexes", "[{ name, type, definition }]", "build several search indexes", createSearchIndexes},
		{"dataSize", "", "bytes of all documents", size("size")},
		{"deleteMany", "filter, options", "delete all matching documents", func(vm *VM, c *collection, a args) goja.Value { return deleteDocs(vm, c, a, 0) }},
		{"deleteOne", "filter, options", "delete one matching document", func(vm *VM, c *collection, a args) goja.Value { return deleteDocs(vm, c, a, 1) }},
		{"distinct", "field, filter, options", "the values of a field", distinct},
		{"drop", "options", "drop this collection", dropCollection},
		{"dropIndex", "name", "drop an index", dropIndex},
		{"dropIndexes", "names", "drop indexes; all but _id_ without an argument", dropIndex},
		{"dropSearchIndex", "name", "drop a search index", func(_ *VM, c *collection, a args) goja.Value {
			c.reply(bson.D{{Key: "dropSearchIndex", Value: c.name}, {Key: "name", Value: a.text(0)}})
			return goja.Undefined()
		}},
		{"ensureIndex", "keys, options, commitQuorum", "build an index (deprecated: createIndex)", func(vm *VM, c *collection, a args) goja.Value {
			return createIndexes(vm, c, a, []goja.Value{a.at(0)})
		}},
		{"estimatedDocumentCount", "options", "the number of documents, from metadata", func(vm *VM, c *collection, a args) goja.Value {
			o := a.opts(0, "maxTimeMS comment "+readOptions)
			return vm.number(c.reply(o.reading(o.copyTo(bson.D{{Key: "count", Value: c.name}}, "maxTimeMS comment"))).Lookup("n"))
		}},
		{"exists", "", "what the server knows of this collection, or null", func(vm *VM, c *collection, _ args) goja.Value {
			if doc := c.info(); doc != nil {
				return vm.documentObject(doc)
			}
			return goja.Null()
		}},
		{"explain", "verbosity", "explain what follows: db.c.explain().find()", func(vm *VM, c *collection, a args) goja.Value {
			return vm.explainableObject(&explainable{coll: c, verbosity: verbosity(a, 0)})
		}},
		{"find", "filter, projection, options", "find documents", find},
		{"findAndModify", "{ query, update, … }", "change or remove one document and return it", findAndModifyRaw},
		{"findOne", "filter, projection, options", "find one document", findOne},
		{"findOneAndDelete", "filter, options", "delete one document and return it", func(vm *VM, c *collection, a args) goja.Value {
			return vm.findAndModify(c, a, a.opts(1, findOneDeleteOptions), bson.E{Key: "remove", Value: true})
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
			return vm.shellObject(&planCache{coll: c}, vm.protos.planCache)
		}},
		{"getSearchIndexes", "name", "the search indexes", func(vm *VM, c *collection, a args) goja.Value {
			which := bson.D{}
			if a.has(0) {
				which = bson.D{{Key: "name", Value: a.text(0)}}
			}
			return vm.cursorObject(c.stage("$listSearchIndexes", which))
		}},
		{"getShardDistribution", "", "what lies on which shard", shardDistribution},
		{"getShardVersion", "", "what a shard knows of this collection's distribution", func(vm *VM, c *collection, _ args) goja.Value {
			return vm.documentObject(vm.reply(vm.send(c.db.target, "admin", bson.D{{Key: "getShardVersion", Value: c.db.name + "." + c.name}})))
		}},
		{"help", "", "what a collection can do", func(vm *VM, _ *collection, _ args) goja.Value { return vm.printHelp("Collection") }},
		{"hideIndex", "name", "hide an index from the planner", hideIndex(true)},
		{"initializeOrderedBulkOp", "", "several writes, one after the other", func(vm *VM, c *collection, _ args) goja.Value { return vm.bulkObject(&bulk{coll: c, ordered: true}) }},
		{"initializeUnorderedBulkOp", "", "several writes, in any order", func(vm *VM, c *collection, _ args) goja.Value { return vm.bulkObject(&bulk{coll: c}) }},
		{"insert", "document or [documents]", "insert (deprecated: insertOne, insertMany)", func(vm *VM, c *collection, a args) goja.Value {
			if obj, ok := a.at(0).(*goja.Object); ok && obj.ClassName() == "Array" {
				return insertMany(vm, c, a)
			}
			return insertOne(vm, c, a)
		}},
		{"insertMany", "[documents], options", "insert documents", insertMany},
		{"insertOne", "document, options", "insert one document", insertOne},
		{"isCapped", "", "whether this collection is capped", func(vm *VM, c *collection, _ args) goja.Value {
			b, _ := c.info().Lookup("options", "capped").BooleanOK()
			return vm.rt.ToValue(b)
		}},
		{"latencyStats", "options", "how long operations took", func(vm *VM, c *collection, a args) goja.Value {
			o := a.opts(0, "histograms").copyTo(bson.D{}, "histograms")
			return c.stage("$collStats", bson.D{{Key: "latencyStats", Value: o}}).toArray()
		}},
		{"mapReduce", "map, reduce, options", "map and reduce (deprecated: aggregate)", func(vm *VM, c *collection, a args) goja.Value {
			cmd, v := mapReduce(c, a)
			if v != "" {
				return vm.explained(c.db, cmd, v)
			}
			return vm.documentObject(c.reply(cmd))
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
				a.reads = slices.Contains(readCommands, name)
				cmd := a.withFields(1, bson.D{{Key: name, Value: c.name}})
				for _, e := range cmd[1:] {
					if e.Key == name {
						a.fail("%s cannot be among the options too", name)
					}
				}
				return vm.documentObject(c.reply(cmd))
			}
			if a.has(1) {
				a.fail("options come after the name of a command; a document has its own")
			}
			return runCommand(vm, c.db, c.db.name, a)
		}},
		{"stats", "scale or options", "sizes of this collection", func(vm *VM, c *collection, a args) goja.Value {
			return vm.documentObject(collectionStats(c, a))
		}},
		{"storageSize", "", "bytes on disk", size("storageSize")},
		{"totalIndexSize", "", "bytes of all indexes", size("totalIndexSize")},
		{"totalSize", "", "bytes of documents and indexes", size("totalSize")},
		{"unhideIndex", "name", "show a hidden index to the planner", hideIndex(false)},
		{"update", "filter, update, options", "update (deprecated: updateOne, updateMany)", func(vm *VM, c *collection, a args) goja.Value {
			multi := a.opts(2, updateOptions+" multi").truthy("multi")
			return updateDocs(vm, c, a, operators(a, 1), multi) // as in mongosh: the old shell replaced where there were no operators
		}},
		{"updateMany", "filter, update, options", "update all matching documents", func(vm *VM, c *collection, a args) goja.Value {
			return updateDocs(vm, c, a, operators(a, 1), true)
		}},
		{"updateOne", "filter, update, options", "update one matching document", func(vm *VM, c *collection, a args) goja.Value {
			return updateDocs(vm, c, a, operators(a, 1), false)
		}},
		{"updateSearchIndex", "name, definition", "change a search index", func(_ *VM, c *collection, a args) goja.Value {
			c.reply(bson.D{{Key: "updateSearchIndex", Value: c.name}, {Key: "name", Value: a.text(0)}, {Key: "definition", Value: a.doc(1, "definition")}})
			return goja.Undefined()
		}},
		{"validate", "options", "check this collection's data", func(vm *VM, c *collection, a args) goja.Value {
			const known = "full repair fixMultikey metadata checkBSONConformance background"
			cmd := bson.D{{Key: "validate", Value: c.name}}
			if full, ok := exported[bool](a.at(0)); ok {
				return vm.documentObject(c.reply(append(cmd, bson.E{Key: "full", Value: full})))
			}
			return vm.documentObject(c.reply(a.opts(0, known).copyTo(cmd, known)))
		}},
		{"watch", "pipeline, options", "changes of this collection as they happen", func(vm *VM, c *collection, a args) goja.Value {
			return watch(vm, c.db, c.name, c.full(), a, nil)
		}},
	}
}

func (c *collection) full() string { return c.db.name + "." + c.name }

// onAdmin sends a command that names the collection to the database admin.
func (c *collection) onAdmin(cmd bson.D) bson.Raw {
	return c.vm.reply(c.vm.send(c.db.target, "admin", cmd))
}

// createSearchIndex takes a name, a type and a definition, all but the last optional, or one description.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.createSearchIndex/
func createSearchIndex(vm *VM, c *collection, a args) goja.Value {
	spec, i := bson.D{{Key: "name", Value: "default"}}, 0
	if name, ok := exported[string](a.at(0)); ok {
		spec[0].Value, i = name, 1
	}
	if kind, ok := exported[string](a.at(i)); ok && i == 1 {
		spec, i = append(spec, bson.E{Key: "type", Value: kind}), 2
	}
	doc := a.doc(i, "definition")
	if doc.Lookup("definition").Type == bson.TypeEmbeddedDocument { // a description
		spec = fieldsOf(a, bson.D{}, doc, "")
	} else {
		spec = append(spec, bson.E{Key: "definition", Value: doc})
		if kind, ok := exported[string](a.at(i + 1)); ok {
			spec = append(spec, bson.E{Key: "type", Value: kind})
		}
	}
	return vm.rt.ToValue(c.searchIndexes(bson.A{spec})[0])
}

func createSearchIndexes(vm *VM, c *collection, a args) goja.Value {
	specs := bson.A{}
	for i, v := range list(vm, a.at(0)) {
		spec, err := vm.toDocument(v, fmt.Sprintf("specs[%d]", i), false)
		a.check(err)
		specs = append(specs, spec)
	}
	return vm.rt.NewArray(c.searchIndexes(specs)...)
}

// searchIndexes builds search indexes and returns their names.
func (c *collection) searchIndexes(specs bson.A) []any {
	var names []any
	if arr, ok := c.reply(bson.D{{Key: "createSearchIndexes", Value: c.name}, {Key: "indexes", Value: specs}}).Lookup("indexesCreated").ArrayOK(); ok {
		values, err := arr.Values()
		if err != nil {
			c.vm.throw(err)
		}
		for _, v := range values {
			name, _ := doc(v).Lookup("name").StringValueOK()
			names = append(names, name)
		}
	}
	for len(names) < len(specs) { // a server that says none
		names = append(names, "")
	}
	return names
}

// info is what the server knows of the collection; nil if there is none.
func (c *collection) info() bson.Raw {
	cur := &cursor{vm: c.vm, db: c.db, command: bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "filter", Value: bson.D{{Key: "name", Value: c.name}}}}}
	return cur.nextRaw()
}

// collectionStats: a number is the scale. The details of indexes are left out unless they are asked for, as in mongosh.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.stats/
func collectionStats(c *collection, a args) bson.Raw {
	o := options{args: a}
	if n, isNumber := a.scale(0); isNumber {
		o.add("scale", n)
	} else {
		o = a.opts(0, "scale indexDetails indexDetailsKey indexDetailsName")
	}
	of, _ := o.get("indexDetailsName").StringValueOK()
	if key, ok := o.get("indexDetailsKey").DocumentOK(); ok {
		if of != "" {
			a.fail("indexDetailsKey and indexDetailsName say the same: one of them is enough")
		}
		for cur := indexes(c.vm, c); cur.fill(); {
			if doc := cur.nextRaw(); doc.Lookup("key").Equal(rawOf(key)) {
				of, _ = doc.Lookup("name").StringValueOK()
			}
		}
	}
	elems, err := c.reply(o.copyTo(bson.D{{Key: "collStats", Value: c.name}}, "scale")).Elements()
	a.check(err)
	out := bson.D{}
	for _, e := range elems {
		details, isDoc := e.Value().DocumentOK()
		switch {
		case e.Key() != "indexDetails" || !isDoc:
			out = append(out, bson.E{Key: e.Key(), Value: e.Value()})
		case o.truthy("indexDetails") && of == "":
			out = append(out, bson.E{Key: e.Key(), Value: details})
		case o.truthy("indexDetails"):
			out = append(out, bson.E{Key: e.Key(), Value: bson.D{{Key: of, Value: orNull(details.Lookup(of))}}})
		}
	}
	return rawOf(out).Document()
}

// stage is a cursor over an aggregation of one stage.
func (c *collection) stage(name string, arg any) *cursor {
	return &cursor{vm: c.vm, db: c.db, command: bson.D{{Key: "aggregate", Value: c.name}, {Key: "pipeline", Value: bson.A{bson.D{{Key: name, Value: arg}}}}, {Key: "cursor", Value: bson.D{}}}}
}

// mapReduce: map and reduce are functions or their text; the third argument is a document with out, or out itself.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.mapReduce/
func mapReduce(c *collection, a args) (cmd bson.D, explain string) {
	cmd = bson.D{{Key: "mapReduce", Value: c.name}}
	for i, name := range []string{"map", "reduce"} {
		a.need(i, name)
		code, err := (&converter{vm: a.vm}).convert(a.at(i), name, name)
		a.check(err)
		cmd = append(cmd, bson.E{Key: name, Value: code})
	}
	if out, ok := exported[string](a.at(2)); ok {
		return append(cmd, bson.E{Key: "out", Value: out}), ""
	}
	a.need(2, "out")
	const known = "out query sort limit finalize scope jsMode verbose collation bypassDocumentValidation maxTimeMS comment writeConcern"
	o := a.opts(2, known+" explain")
	if o.get("out").Type == 0 {
		a.fail("the option out is missing: {inline: 1} returns the result")
	}
	return o.copyTo(cmd, known), o.explain()
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

// verbosity is an argument of explain. true and false mean what they meant in the old shell.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.explain/
func verbosity(a args, i int) string {
	if b, ok := exported[bool](a.at(i)); ok {
		return map[bool]string{true: "allPlansExecution", false: "queryPlanner"}[b]
	}
	if !a.has(i) {
		return "queryPlanner"
	}
	return verbosityOf(a, a.raw(i, "verbosity"))
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
	cur := &cursor{vm: vm, db: c.db, command: bson.D{{Key: "find", Value: c.name}, {Key: "filter", Value: filter}}, explained: o.explain(), await: o.get("maxAwaitTimeMS")}
	if p := a.optDoc(1, "projection"); p != nil {
		cur.set("projection", p)
	}
	for _, e := range o.reading(o.copyTo(nil, findFields)) {
		if e.Key != "projection" || !a.has(1) {
			cur.set(e.Key, e.Value)
		}
	}
	if n := o.get("limit"); n.Type != 0 {
		cur.limit(n)
	}
	return cur
}

func findOne(vm *VM, c *collection, a args) goja.Value {
	cur := newFind(vm, c, a)
	if cur.explained != "" {
		return cur.explain(cur.explained)
	}
	cur.limit(int64(-1))
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
	o := a.opts(1, "limit skip hint maxTimeMS collation comment "+readOptions)
	pipeline := bson.A{bson.D{{Key: "$match", Value: filter}}}
	for _, s := range []string{"skip", "limit"} {
		if v := o.get(s); v.Type != 0 {
			pipeline = append(pipeline, bson.D{{Key: "$" + s, Value: v}})
		}
	}
	pipeline = append(pipeline, bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: bson.D{{Key: "$sum", Value: int32(1)}}}}}})
	cmd := o.copyTo(bson.D{{Key: "aggregate", Value: c.name}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: bson.D{}}}, "hint maxTimeMS collation comment")
	cur := &cursor{vm: vm, db: c.db, command: o.reading(cmd)}
	if doc := cur.nextRaw(); doc != nil {
		return vm.number(doc.Lookup("n"))
	}
	return vm.rt.ToValue(0)
}

// countCommand is the command count, which what mongosh deprecates still sends.
func countCommand(c *collection, a args) bson.D {
	cmd := bson.D{{Key: "count", Value: c.name}}
	if q := a.optDoc(0, "filter"); q != nil {
		cmd = append(cmd, bson.E{Key: "query", Value: q})
	}
	const known = "limit skip hint maxTimeMS collation comment"
	o := a.opts(1, known+" "+readOptions)
	return o.reading(o.copyTo(cmd, known))
}

func distinct(vm *VM, c *collection, a args) goja.Value {
	cmd, v := distinctCommand(c, a)
	if v != "" {
		return vm.explained(c.db, cmd, v)
	}
	return vm.fromRaw(c.reply(cmd).Lookup("values"))
}

func distinctCommand(c *collection, a args) (cmd bson.D, explain string) {
	cmd = bson.D{{Key: "distinct", Value: c.name}, {Key: "key", Value: a.text(0)}}
	if q := a.optDoc(1, "filter"); q != nil {
		cmd = append(cmd, bson.E{Key: "query", Value: q})
	}
	o := a.opts(2, "collation maxTimeMS comment hint explain "+readOptions)
	return o.reading(o.copyTo(cmd, "collation maxTimeMS comment hint")), o.explain()
}

func aggregateOn(vm *VM, d *database, c *collection, a args) goja.Value {
	cur, pipeline := newAggregate(vm, d, c, a)
	if cur.explained != "" {
		return cur.explain(cur.explained)
	}
	if writes(pipeline) {
		cur.begin() // mongosh runs $out and $merge at once
	}
	return vm.cursorObject(cur)
}

// newAggregate takes a pipeline and options, or stages as arguments.
func newAggregate(vm *VM, d *database, c *collection, a args) (cur *cursor, pipeline bson.RawValue) {
	o := options{args: a}
	first, isArray := a.at(0).(*goja.Object)
	if isArray = isArray && first.ClassName() == "Array"; isArray || len(a.values) == 0 {
		if len(a.values) == 0 {
			pipeline = rawOf(bson.A{})
		} else {
			pipeline = a.raw(0, "pipeline")
		}
		o = a.opts(1, aggregateOptions)
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
	cmd = o.reading(o.copyTo(cmd, aggregateFields))
	return &cursor{vm: vm, db: d, command: cmd, explained: o.explain(), await: o.get("maxAwaitTimeMS")}, pipeline
}

// writes says whether a pipeline ends in $out or $merge: it is then run at once. What may write is decided elsewhere.
func writes(pipeline bson.RawValue) bool {
	arr, ok := pipeline.ArrayOK()
	values, err := arr.Values()
	if !ok || err != nil || len(values) == 0 {
		return false
	}
	e, err := doc(values[len(values)-1]).IndexErr(0)
	return err == nil && (e.Key() == "$out" || e.Key() == "$merge")
}

// explained wraps a command in explain and returns the reply.
func (vm *VM) explained(d *database, cmd bson.D, verbosity string) goja.Value {
	return vm.documentObject(vm.reply(vm.send(d.target, d.name, bson.D{{Key: "explain", Value: cmd}, {Key: "verbosity", Value: verbosity}})))
}

func dropCollection(vm *VM, c *collection, a args) goja.Value {
	cmd := a.opts(0, "writeConcern comment").copyTo(bson.D{{Key: "drop", Value: c.name}}, "writeConcern comment")
	dropped := false
	ex := vm.rt.Try(func() {
		_, err := c.reply(cmd).LookupErr("ns")
		dropped = err == nil
	})
	if ex == nil {
		return vm.rt.ToValue(dropped)
	}
	if obj, ok := ex.Value().(*goja.Object); ok && vm.described() == "" && vm.ownText(obj, "codeName") == "NamespaceNotFound" {
		return vm.rt.ToValue(false) // there was nothing to drop: before MongoDB 7.0 that was an error
	}
	return vm.throw(ex)
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
	o := a.opts(1, "name "+indexOptions+" "+indexCommandOptions)
	specs := bson.A{}
	var names []any
	for i, p := range patterns {
		orderMatters(a.with(patterns...), i, "the key pattern")
		keys, err := vm.toDocument(p, "keys", false)
		a.check(err)
		name := indexName(keys)
		if v := o.get("name"); v.Type != 0 {
			given, ok := v.StringValueOK()
			if name = given; !ok || name == "" {
				a.fail("the name of an index must be a string, and not an empty one")
			}
		}
		specs = append(specs, append(o.copyTo(bson.D{{Key: "key", Value: keys}}, indexOptions), bson.E{Key: "name", Value: name}))
		names = append(names, name)
	}
	cmd := o.copyTo(bson.D{{Key: "createIndexes", Value: c.name}, {Key: "indexes", Value: specs}}, indexCommandOptions)
	if a.has(2) {
		cmd = append(cmd, bson.E{Key: "commitQuorum", Value: a.raw(2, "commitQuorum")})
	}
	c.reply(cmd)
	if a.method == "createIndexes" {
		return vm.rt.NewArray(names...)
	}
	return vm.rt.ToValue(names[0])
}

// Source: https://www.mongodb.com/docs/manual/reference/command/createIndexes/
const (
	indexOptions = "background unique partialFilterExpression sparse expireAfterSeconds hidden storageEngine weights default_language language_override textIndexVersion 2dsphereIndexVersion " +
		"bits min max bucketSize collation wildcardProjection prepareUnique clustered"
	indexCommandOptions = "commitQuorum writeConcern comment maxTimeMS"
)

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
	return vm.shellObject(e, vm.protos.explainable)
}

func explainableMethods() []method[*explainable] {
	run := func(command func(c *collection, a args) bson.D) func(*VM, *explainable, args) goja.Value {
		return func(vm *VM, e *explainable, a args) goja.Value {
			return vm.explained(e.coll.db, command(e.coll, a), e.verbosity)
		}
	}
	return []method[*explainable]{
		{"aggregate", "pipeline, options", "explain an aggregation", run(func(c *collection, a args) bson.D {
			cur, _ := newAggregate(c.vm, c.db, c, a)
			return cur.command
		})},
		{"count", "filter, options", "explain a count", run(countCommand)},
		{"distinct", "field, filter, options", "explain a distinct", run(func(c *collection, a args) bson.D {
			cmd, _ := distinctCommand(c, a)
			return cmd
		})},
		{"find", "filter, projection, options", "explain a find", func(vm *VM, e *explainable, a args) goja.Value {
			cur := newFind(vm, e.coll, a)
			cur.explained = e.verbosity
			return vm.cursorObject(cur)
		}},
		{"findAndModify", "{ query, update, … }", "explain a findAndModify", run(func(c *collection, a args) bson.D {
			cmd, _ := findAndModifyCommand(c, a)
			return cmd
		})},
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
		{"mapReduce", "map, reduce, options", "explain a mapReduce", run(func(c *collection, a args) bson.D {
			cmd, _ := mapReduce(c, a)
			return cmd
		})},
		{"remove", "filter, options", "explain a delete", run(func(c *collection, a args) bson.D {
			cmd, _ := removeCommand(c, a)
			return cmd
		})},
		{"setVerbosity", "verbosity", "how much is explained", func(vm *VM, e *explainable, a args) goja.Value {
			e.verbosity = verbosity(a, 0)
			return vm.explainableObject(e)
		}},
		{"update", "filter, update, options", "explain an update", run(func(c *collection, a args) bson.D {
			cmd, _ := updateCommand(c, a, operators(a, 1), a.opts(2, updateOptions+" multi").truthy("multi"))
			return cmd
		})},
	}
}
