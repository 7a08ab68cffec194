package js

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// fake records commands and answers them.
type fake struct {
	most     int // writes of a statement, and a thousandth of its bytes
	commands []string
	answer   func(db string, cmd bson.Raw) (bson.D, error)
}

func (f *fake) MaxStatements(Target) int { return 1000 }

func (f *fake) Fits(_ Target, writes, bytes int) error {
	if f.most > 0 && (writes > f.most || bytes > 1000*f.most) {
		return &Stop{Err: errors.New("more than a statement takes")}
	}
	return nil
}

func (f *fake) Run(_ context.Context, _ Target, db string, cmd bson.Raw, _ string) (Reply, error) {
	f.commands = append(f.commands, db+" "+cmd.String())
	doc := bson.D{{Key: "ok", Value: 1.0}, {Key: "n", Value: int32(0)}, {Key: "nModified", Value: int32(0)}, {Key: "value", Value: nil}, {Key: "values", Value: bson.A{}}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: bson.A{}}}}}
	if f.answer != nil {
		d, err := f.answer(db, cmd)
		if err != nil {
			return nil, err
		}
		if d != nil {
			doc = d
		}
	}
	raw, err := bson.Marshal(doc)
	return fixed(raw), err
}

type fixed bson.Raw

func (r fixed) Raw(context.Context) (bson.Raw, error) { return bson.Raw(r), nil }

func (r fixed) Known(context.Context, bool) (bson.Raw, error) { return bson.Raw(r), nil }

func newVM(t testing.TB, f *fake) (*VM, *strings.Builder) {
	t.Helper()
	var out strings.Builder
	n := byte(0)
	vm, err := New(Config{
		Runner: f, Print: func(s string) { out.WriteString(s + "\n") }, Sleep: Sleep, ReadFile: func(string) ([]byte, error) { return []byte("db.loaded.drop()"), nil },
		NewID: func() bson.ObjectID { n++; return bson.ObjectID{n} },
	}, nil, "app")
	if err != nil {
		t.Fatal(err)
	}
	return vm, &out
}

// eval runs a statement and returns the commands it issued and how its result prints.
func eval(t testing.TB, f *fake, src string) (commands []string, printed string, err error) {
	t.Helper()
	vm, out := newVM(t, f)
	f.commands = nil
	r, err := vm.Eval(t.Context(), "test", src)
	if err != nil {
		return f.commands, out.String(), err
	}
	if r.Cursor() {
		docs, _, err := vm.Page(t.Context(), r)
		return f.commands, out.String() + render.Value(docs), err
	}
	tree, err := vm.Tree(t.Context(), r)
	return f.commands, out.String() + render.Value(tree), err
}

// Each method sends what mongosh's method of that name sends.
func TestMethodsSend(t *testing.T) {
	const q = `{"a": {"$numberInt":"1"}}`
	for _, tt := range []struct{ js, want string }{
		{`db.c.find({a: 1})`, `app {"find": "c","filter": ` + q + `}`},
		{`db.c.find({a: 1}, {b: 1}).sort({a: -1}).limit(2).skip(1).hint('a_1').batchSize(5).maxTimeMS(9).collation({locale: 'en'}).comment('x')`,
			`app {"find": "c","filter": ` + q + `,"projection": {"b": {"$numberInt":"1"}},"sort": {"a": {"$numberInt":"-1"}},"limit": {"$numberInt":"2"},"skip": {"$numberInt":"1"},"hint": "a_1","batchSize": {"$numberInt":"5"},"maxTimeMS": {"$numberInt":"9"},"collation": {"locale": "en"},"comment": "x"}`},
		{`db.c.findOne({a: 1})`, `app {"find": "c","filter": ` + q + `,"limit": {"$numberLong":"1"},"singleBatch": true}`},
		{`db.c.countDocuments({a: 1})`, `app {"aggregate": "c","pipeline": [{"$match": ` + q + `},{"$group": {"_id": {"$numberInt":"1"},"n": {"$sum": {"$numberInt":"1"}}}}],"cursor": {}}`},
		{`db.c.estimatedDocumentCount()`, `app {"count": "c"}`},
		{`db.c.distinct('a', {a: 1})`, `app {"distinct": "c","key": "a","query": ` + q + `}`},
		{`db.c.aggregate([{$match: {a: 1}}])`, `app {"aggregate": "c","pipeline": [{"$match": ` + q + `}],"cursor": {}}`},
		{`db.c.aggregate({$match: {a: 1}}, {$count: 'n'})`, `app {"aggregate": "c","pipeline": [{"$match": ` + q + `},{"$count": "n"}],"cursor": {}}`},
		{`db.aggregate([{$currentOp: {}}])`, `app {"aggregate": {"$numberInt":"1"},"pipeline": [{"$currentOp": {}}],"cursor": {}}`},
		{`db.c.insertOne({_id: 1})`, `app {"insert": "c","documents": [{"_id": {"$numberInt":"1"}}]}`},
		{`db.c.insertMany([{_id: 1}], {ordered: false})`, `app {"insert": "c","documents": [{"_id": {"$numberInt":"1"}}],"ordered": false}`},
		{`db.c.updateOne({a: 1}, {$set: {b: 2}})`, `app {"update": "c","updates": [{"q": ` + q + `,"u": {"$set": {"b": {"$numberInt":"2"}}},"multi": false}]}`},
		{`db.c.updateMany({a: 1}, [{$set: {b: 2}}], {upsert: true})`, `app {"update": "c","updates": [{"q": ` + q + `,"u": [{"$set": {"b": {"$numberInt":"2"}}}],"multi": true,"upsert": true}]}`},
		{`db.c.replaceOne({a: 1}, {b: 2})`, `app {"update": "c","updates": [{"q": ` + q + `,"u": {"b": {"$numberInt":"2"}},"multi": false}]}`},
		{`db.c.deleteOne({a: 1})`, `app {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"1"}}]}`},
		{`db.c.deleteMany({a: 1})`, `app {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"0"}}]}`},
		{`db.c.remove({a: 1}, true)`, `app {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"1"}}]}`},
		{`db.c.remove({a: 1})`, `app {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"0"}}]}`},
		{`db.c.update({a: 1}, {$set: {b: 2}}, {multi: true})`, `app {"update": "c","updates": [{"q": ` + q + `,"u": {"$set": {"b": {"$numberInt":"2"}}},"multi": true}]}`},
		{`db.c.findOneAndUpdate({a: 1}, {$set: {b: 2}}, {returnDocument: 'after', sort: {a: 1}})`, `app {"findAndModify": "c","query": ` + q + `,"update": {"$set": {"b": {"$numberInt":"2"}}},"sort": ` + q + `,"new": true}`},
		{`db.c.findOneAndReplace({a: 1}, {b: 2})`, `app {"findAndModify": "c","query": ` + q + `,"update": {"b": {"$numberInt":"2"}}}`},
		{`db.c.findOneAndDelete({a: 1}, {projection: {a: 1}})`, `app {"findAndModify": "c","query": ` + q + `,"remove": true,"fields": ` + q + `}`},
		{`db.c.bulkWrite([{deleteOne: {filter: {a: 1}}}, {deleteMany: {filter: {a: 1}}}])`, `app {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"1"}},{"q": ` + q + `,"limit": {"$numberInt":"0"}}]}`},
		{`db.c.createIndex({a: 1}, {unique: true})`, `app {"createIndexes": "c","indexes": [{"key": ` + q + `,"unique": true,"name": "a_1"}]}`},
		{`db.c.dropIndex('a_1')`, `app {"dropIndexes": "c","index": "a_1"}`},
		{`db.c.dropIndexes()`, `app {"dropIndexes": "c","index": "*"}`},
		{`db.c.getIndexes()`, `app {"listIndexes": "c"}`},
		{`db.c.drop()`, `app {"drop": "c"}`},
		{`db.c.renameCollection('d', true)`, `admin {"renameCollection": "app.c","to": "app.d","dropTarget": true}`},
		{`db.c.stats()`, `app {"collStats": "c"}`},
		{`db.dropDatabase()`, `app {"dropDatabase": {"$numberInt":"1"}}`},
		{`db.createCollection('d', {capped: true})`, `app {"create": "d","capped": true}`},
		{`db.getSiblingDB('x').c.drop()`, `x {"drop": "c"}`},
		{`db.getMongo().getDB('x').c.drop()`, `x {"drop": "c"}`},
		{`db.runCommand({ping: 1})`, `app {"ping": {"$numberInt":"1"}}`},
		{`db.runCommand('dropDatabase')`, `app {"dropDatabase": {"$numberInt":"1"}}`},
		{`db.adminCommand({ping: 1})`, `admin {"ping": {"$numberInt":"1"}}`},
		{`db.c.runCommand({delete: 'other'})`, `app {"delete": "other"}`},
		{`db.c.runCommand('collStats')`, `app {"collStats": "c"}`},
		{`db.fs.files.find()`, `app {"find": "fs.files","filter": {}}`},
		{`db['a-b'].find()`, `app {"find": "a-b","filter": {}}`},
		{`db.getCollection('find').find()`, `app {"find": "find","filter": {}}`},
		{`db.c.find({a: 1}).explain()`, `app {"explain": {"find": "c","filter": ` + q + `},"verbosity": "queryPlanner"}`},
		{`db.c.explain('executionStats').find({a: 1})`, `app {"explain": {"find": "c","filter": ` + q + `},"verbosity": "executionStats"}`},
		{`db.c.deleteMany({a: 1}, {explain: true})`, `app {"explain": {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"0"}}]},"verbosity": "queryPlanner"}`},
		{`db.c.find({a: 1}).count()`, `app {"count": "c","query": ` + q + `}`},

		// However it is written, it ends as the same command.
		{`const {drop} = db.c; drop.call(db.d)`, `app {"drop": "d"}`},
		{`Function('return db')().c.drop()`, `app {"drop": "c"}`},
		{`eval('db.c.drop()')`, `app {"drop": "c"}`},
		{`({toString() { db.c.drop(); return 'x' }}) + ''`, `app {"drop": "c"}`},
		{`try { throw 1 } catch { db.c.drop() }`, `app {"drop": "c"}`},
		{`[1].map(() => db.c.drop())`, `app {"drop": "c"}`},
		{`db['c']['dr' + 'op']()`, `app {"drop": "c"}`},
		{`(async () => { await 1; db.c.drop() })()`, `app {"drop": "c"}`},
		{`(function*() { yield db.c.drop() })().next()`, `app {"drop": "c"}`},
		{`new Proxy(db.c, {}).drop()`, ``},
		{`load('x.js')`, `app {"drop": "loaded"}`},
		{`Object.prototype.limit = 0; db.c.deleteOne({a: 1})`, `app {"delete": "c","deletes": [{"q": ` + q + `,"limit": {"$numberInt":"1"}}]}`},
		{`db.c.__proto__.find = db.c.__proto__.drop; db.c.find()`, `app {"find": "c","filter": {}}`},

		// Looking sends nothing.
		{`db.c.find().constructor`, ``},
		{`db.c.drop`, ``},
		{`db.c`, ``},
		{`({get x() { db.c.drop(); return 1 }})`, ``},
		{`new Proxy({}, {get() { db.c.drop() }, ownKeys() { db.c.drop(); return [] }})`, ``},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		if strings.Join(got, "\n") != tt.want {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, strings.Join(got, "\n"), err, tt.want)
		}
	}
}

// What would become {} or null without a word is refused by name, and nothing is sent.
func TestConversionRefuses(t *testing.T) {
	for _, tt := range []struct{ js, want string }{
		{`let id; db.c.deleteMany({userId: id})`, "filter.userId is undefined"},
		{`db.c.updateOne({}, {$set: {a: {b: [1, undefined]}}})`, "update.$set.a.b[1] is undefined"},
		{`db.c.deleteMany()`, "deleteMany: the filter is missing"},
		{`db.c.updateMany({a: 1})`, "updateMany: the update is missing"},
		{`db.c.deleteMany(undefined)`, "filter is undefined"},
		{`db.c.deleteMany(null)`, "filter must be a document"},
		{`db.c.deleteMany([])`, "filter must be a document"},
		{`db.c.deleteMany('x')`, "filter must be a document"},
		{`db.c.deleteMany(new Map())`, "filter is a Map"},
		{`db.c.deleteMany(new Set())`, "filter is a Set"},
		{`db.c.deleteMany((async () => ({_id: 1}))())`, "filter is a Promise"},
		{`db.c.deleteMany(new Error('x'))`, "filter is an Error"},
		{`db.c.deleteMany({_id: new Number(5)})`, "filter._id is a Number"},
		{`db.c.deleteMany({_id: new String('5')})`, "filter._id is a String"},
		{`db.c.deleteMany({_id: Symbol('x')})`, "filter._id is a"},
		{`db.c.deleteMany({ts: {$gt: new Date('2024-13-45')}})`, "filter.ts.$gt is an invalid date"},
		{`db.c.deleteMany({n: 9007199254740993})`, "filter.n is an integer beyond 2^53"},
		{`db.c.deleteMany({n: NumberLong(9007199254740993)})`, "has lost digits"},
		{`db.c.deleteMany({n: 2n**63n})`, "filter.n is a BigInt"},
		{`db.c.deleteMany({get a() { return 1 }})`, "filter.a is computed by a getter"},
		{`db.c.deleteMany({toBSON() { return {} }})`, "filter has a toBSON"},
		{`class C { constructor() { this.a = 1 } }; db.c.deleteMany(new C())`, "filter is an instance of a class"},
		{`db.c.deleteMany(Object.create({a: 1}))`, "filter is an instance of a class"},
		{`db.c.deleteMany(new Proxy({}, {}))`, "filter is a Proxy"},
		{`db.c.deleteMany({f: () => 1})`, "filter.f is a function"},
		{`db.c.deleteMany({a: [1,,2]})`, "filter.a[1] is a hole"},
		{`db.c.deleteMany({a: db.c})`, "filter.a is a collection of the shell"},
		{`db.c.deleteMany({a: db.c.find()})`, "filter.a is a cursor of the shell"},
		{`db.c.deleteMany({'a\0b': 1})`, "NUL"},
		{`let a = {}; a.a = a; db.c.deleteMany(a)`, "contains itself"},
		{`db.c.deleteMany({a: /x/g})`, `the flag 'g'`},
		{`db.c.deleteMany({}, {explian: true})`, `has no option "explian"`},
		{`db.c.deleteMany({}, {explain: 0})`, "explain must be true"},
		{`db.c.update({}, {$set: {a: 1}}, {mutli: true})`, `has no option "mutli"`},
		{`db.c.updateMany({}, {name: 'x'})`, "the update has no operators"},
		{`db.c.replaceOne({}, {$set: {a: 1}})`, "the replacement has operators"},
		{`db.c.find().sort({b: 1, 2: 1})`, "sort has a field called 2"},
		{`db.runCommand({b: 1, 1: {}})`, "command has a field called 1"},
		{`db.c.createIndex({b: 1, 2: 1})`, "the key pattern has a field called 2"},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.js, err, tt.want)
		}
		if len(got) > 0 {
			t.Errorf("%s sent %v", tt.js, got)
		}
	}
}

// A refusal cannot be caught: a script must not go on as if nothing had been.
func TestRefusalsCannotBeCaught(t *testing.T) {
	for _, js := range []string{
		`try { db.c.deleteMany({a: undefined}) } catch (e) {} finally { db.d.drop() }; db.e.drop()`,
		`[1, 2].forEach(() => { try { db.c.deleteMany() } catch {} }); db.e.drop()`,
		`db.c.find().forEach(() => { try { db.c.deleteMany() } catch {} }); db.e.drop()`,
		`Promise.resolve().then(() => db.c.deleteMany()).catch(() => db.e.drop())`,
	} {
		f := &fake{answer: oneDocument}
		got, _, err := eval(t, f, js)
		var r *Refusal
		if !errors.As(err, &r) {
			t.Errorf("%s: %v", js, err)
		}
		for _, c := range got {
			if strings.Contains(c, "drop") {
				t.Errorf("%s went on: %v", js, got)
			}
		}
	}
}

func oneDocument(_ string, cmd bson.Raw) (bson.D, error) {
	if e, _ := cmd.IndexErr(0); e.Key() != "find" {
		return nil, nil
	}
	doc := bson.D{{Key: "_id", Value: int32(1)}, {Key: "d", Value: 1.0}, {Key: "l", Value: int64(5)}, {Key: "2", Value: "two"}, {Key: "1", Value: "one"}, {Key: "z", Value: math0()}, {Key: "sub", Value: bson.D{{Key: "x", Value: 2.0}}}, {Key: "arr", Value: bson.A{1.0, int64(2)}}, {Key: "at", Value: bson.DateTime(5)}}
	return bson.D{{Key: "ok", Value: 1.0}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: bson.A{doc}}}}}, nil
}

func math0() float64 { z := 0.0; return -z }

func TestStopEndsTheStatement(t *testing.T) {
	declined := errors.New("declined")
	f := &fake{answer: func(string, bson.Raw) (bson.D, error) { return nil, &Stop{declined} }}
	_, out, err := eval(t, f, `try { db.c.drop() } catch (e) { print('caught') } finally { print('finally') }; print('after')`)
	if !errors.Is(err, declined) || out != "" {
		t.Errorf("err %v, printed %q", err, out)
	}
}

// The engine closes iterators and generators on its way out of a statement that was ended. What it calls there runs no further.
func TestNothingRunsAfterTheStop(t *testing.T) {
	t.Parallel()
	for _, js := range []string{
		`for (const x of {[Symbol.iterator]() { return {next() { return {value: 1} }, return() { db.d.drop() }} }}) db.end.drop()`,
		`for (const x of {[Symbol.iterator]() { return {next() { return {value: 1} }, return() { db.d.drop() }} }}) db.end.deleteMany()`,
		`const [a] = {[Symbol.iterator]() { return {next() { db.end.drop() }, return() { db.d.drop() }} }}`,
		`function* g() { try { yield 1 } finally { db.d.drop() } }; for (const x of g()) db.end.drop()`,
		`function* g() { try { yield 1 } finally { while (true) {} } }; for (const x of g()) db.end.drop()`,
		`function* g() { try { yield* h() } finally { db.d.drop() } }; function* h() { try { yield 1 } finally { print('h') } }; for (const x of g()) db.end.drop()`,
		`new Map([[1, 2]]).forEach(() => { try { db.end.drop() } finally { db.d.drop() } })`,
		`new Set({[Symbol.iterator]() { return {next() { return {value: db.end.drop()} }, return() { db.d.drop() }} }})`,
		`Promise.all({[Symbol.iterator]() { return {next() { return {value: db.end.drop()} }, return() { db.d.drop() }} }})`,
		`Array.from({[Symbol.iterator]() { return {next() { return {value: 1} }, return() { db.d.drop() }} }}, () => db.end.drop())`,
		`(async () => { try { db.end.drop() } finally { db.d.drop() } })().finally(() => db.d.drop())`,
		`Promise.resolve().then(() => db.d.drop()); db.end.drop()`,
	} {
		f := &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
			if s, _ := cmd.Lookup("drop").StringValueOK(); s == "end" {
				return nil, &Stop{errors.New("declined")}
			}
			return nil, nil
		}}
		got, out, err := eval(t, f, js)
		if err == nil || strings.Contains(strings.Join(got, ""), `"d"`) || out != "" {
			t.Errorf("%s\n sent %v, printed %q, %v", js, got, out, err)
		}
	}
}

func TestServerErrorsCanBeCaught(t *testing.T) {
	f := &fake{answer: func(string, bson.Raw) (bson.D, error) {
		return nil, &ServerError{Code: 26, Name: "NamespaceNotFound", Message: "ns not found"}
	}}
	_, out, err := eval(t, f, `try { db.c.reIndex() } catch (e) { print(e.name, e.code, e.codeName, e.message, e instanceof Error) }`)
	if err != nil || out != "MongoServerError 26 NamespaceNotFound ns not found true\nundefined" {
		t.Errorf("err %v, printed %q", err, out)
	}
	if _, _, err := eval(t, f, `db.c.reIndex()`); err == nil || !strings.Contains(err.Error(), "ns not found") {
		t.Errorf("uncaught: %v", err)
	}
	if _, out, err := eval(t, f, `db.c.drop()`); err != nil || out != "false" { // there was nothing to drop
		t.Errorf("drop() of what is not there: %s %v", out, err)
	}
	f.answer = func(string, bson.Raw) (bson.D, error) {
		return nil, &ServerError{Code: 13, Name: "Unauthorized", Message: "not authorized"}
	}
	if _, _, err := eval(t, f, `db.c.drop()`); err == nil || !strings.Contains(err.Error(), "not authorized") {
		t.Errorf("drop() that fails: %v", err)
	}
}

// What the server sent goes back as it came: types, order, nested values, unless it was changed.
func TestDocumentsKeepTheirTypes(t *testing.T) {
	whole := `{"_id": {"$numberInt":"1"},"d": {"$numberDouble":"1.0"},"l": {"$numberLong":"5"},"2": "two","1": "one","z": {"$numberDouble":"-0.0"},"sub": {"x": {"$numberDouble":"2.0"}},"arr": [{"$numberDouble":"1.0"},{"$numberLong":"2"}],"at": {"$date":{"$numberLong":"5"}}}`
	for _, tt := range []struct{ js, want string }{
		{`var d = db.c.findOne(); db.c.replaceOne({}, d)`, whole},
		{`var d = db.c.findOne(); d.d + d.l + d.sub.x + d.arr[0]; d.at.getTime(); JSON.stringify(d); db.c.replaceOne({}, d)`, whole},
		{`var d = db.c.findOne(); d.d = d.d; db.c.replaceOne({}, d)`, whole},
		{`var d = db.c.findOne(); d.d = 7; db.c.replaceOne({}, d)`, strings.Replace(whole, `"d": {"$numberDouble":"1.0"}`, `"d": {"$numberInt":"7"}`, 1)},
		{`var d = db.c.findOne(); delete d.l; d.new = 1; db.c.replaceOne({}, d)`, strings.Replace(strings.TrimSuffix(whole, "}"), `"l": {"$numberLong":"5"},`, "", 1) + `,"new": {"$numberInt":"1"}}`},
		{`var d = db.c.findOne(); d.sub.y = 1; db.c.replaceOne({}, d)`, strings.Replace(whole, `"sub": {"x": {"$numberDouble":"2.0"}}`, `"sub": {"x": {"$numberDouble":"2.0"},"y": {"$numberInt":"1"}}`, 1)},
		{`var d = db.c.findOne(); d.arr.push('x'); db.c.replaceOne({}, d)`, strings.Replace(whole, `{"$numberLong":"2"}]`, `{"$numberLong":"2"},"x"]`, 1)},
		{`var d = db.c.findOne(); d.at.setTime(6); db.c.replaceOne({}, d)`, strings.Replace(whole, `{"$numberLong":"5"}}}`, `{"$numberLong":"6"}}}`, 1)},
	} {
		f := &fake{answer: oneDocument}
		got, _, err := eval(t, f, tt.js)
		want := `app {"update": "c","updates": [{"q": {},"u": ` + tt.want + `,"multi": false}]}`
		if err != nil || got[len(got)-1] != want {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, got[len(got)-1], err, want)
		}
	}
}

// What is printed can be pasted back: the constructors make the same bytes.
func TestConstructors(t *testing.T) {
	for _, tt := range []struct{ js, want string }{
		{`ObjectId('64b0c0f1a2b3c4d5e6f70001')`, ""},
		{`ISODate('2026-01-31T12:00:00.000Z')`, ""},
		{`ISODate('2026-01-31')`, "ISODate('2026-01-31T00:00:00.000Z')"},
		{`ISODate('2026-01-31T12:00:00+02:00')`, "ISODate('2026-01-31T10:00:00.000Z')"},
		{`ISODate('+010000-01-01T00:00:00.000Z')`, ""},
		{`Long('9007199254740993')`, ""},
		{`NumberLong('5')`, "Long('5')"},
		{`NumberInt(3)`, "Int32(3)"},
		{`Double(3)`, "Double(3)"},
		{`Decimal128('1.50')`, ""},
		{`UUID('3f23364a-7132-4fc2-b13e-af233024c6ba')`, ""},
		{`Binary.createFromBase64('AQID', 0)`, ""},
		{`BinData(0, 'AQID')`, "Binary.createFromBase64('AQID', 0)"},
		{`HexData(0, '010203')`, "Binary.createFromBase64('AQID', 0)"},
		{`Timestamp({ t: 1, i: 2 })`, ""},
		{`MinKey()`, ""}, {`new MaxKey()`, "MaxKey()"},
		{`Code('function(){}')`, ""}, {`Code('x', { a: 1 })`, ""},
		{`DBRef('c', 1)`, ""},
		{`BSONRegExp('ab', 'x')`, ""}, {`/ab+c/i`, ""},
		{`BSONSymbol('q')`, ""},
		{`EJSON.parse('{"a":{"$numberDouble":"1.5"}}')`, "{ a: 1.5 }"},
		{`EJSON.stringify({a: NumberLong('5'), b: new Date(0)})`, `{"a":5,"b":{"$date":"1970-01-01T00:00:00Z"}}`},
		{`bsonsize({a: 1})`, "12"},
		{`Long('5') + 1`, "6"}, {`Long('5').add(Long('9007199254740993'))`, "Long('9007199254740998')"},
		{`String(ObjectId('64b0c0f1a2b3c4d5e6f70001'))`, "64b0c0f1a2b3c4d5e6f70001"},
		{`ObjectId('64b0c0f1a2b3c4d5e6f70001').equals(ObjectId('64b0c0f1a2b3c4d5e6f70001'))`, "true"},
		{`ObjectId('64b0c0f1a2b3c4d5e6f70001').getTimestamp()`, "ISODate('2023-07-14T03:28:49.000Z')"},
	} {
		want := tt.want
		if want == "" {
			want = tt.js
		}
		_, got, err := eval(t, &fake{}, tt.js)
		if err != nil || got != want {
			t.Errorf("%s prints %s (%v), want %s", tt.js, got, err, want)
		}
	}
	for _, js := range []string{`ObjectId('x')`, `ISODate('2026-13-01')`, `ISODate('2026-02-30')`, `NumberInt(5000000000)`, `NumberLong('x')`, `UUID('x')`, `BinData(0, '%')`, `Decimal128('x')`} {
		if _, got, err := eval(t, &fake{}, js); err == nil {
			t.Errorf("%s is taken: %s", js, got)
		}
	}
}

func TestWhatIsNotYetSaysSoByName(t *testing.T) {
	for _, tt := range []struct{ js, want string }{
		{`db.c.getShardLocation()`, "collection.getShardLocation() is in mongosh and not in respect yet"},
		{`db.auth('u', 'p')`, "database.auth() is in mongosh and not in respect yet"},
		{`db.c.find().maxScan(5)`, "cursor.maxScan() was in the old shell, and is neither in mongosh nor in respect"},
		{`db.getMongo().getKeyVault()`, "mongo.getKeyVault() is in mongosh and not in respect yet"},
		{`db.getMongo().startSession().startTransaction()`, "session.startTransaction() is in mongosh and not in respect yet"},
		{`rs.reconfigForPSASet()`, "rs.reconfigForPSASet() is in mongosh and not in respect yet"},
		{`db.c.save({})`, "collection.save() was in the old shell"},
		{`passwordPrompt()`, "passwordPrompt is in mongosh and not in respect yet"},
		{`quit()`, "quit is a word of the shell"},
		{`require('fs')`, "require is in mongosh and not in respect yet"},
		{`process.exit()`, "process is in mongosh and not in respect yet"},
		{`setTimeout(() => db.c.drop(), 5)`, "setTimeout is in mongosh and not in respect yet"},
		{`db.c.find().forEech()`, `"forEech" is not a function; did you mean "forEach"?`},
		{`db.c.fnid({})`, `"fnid" is not a function; did you mean "find"?`},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "undefined is not") {
			t.Errorf("%s: %v, want %q", tt.js, err, tt.want)
		}
		if len(got) > 0 {
			t.Errorf("%s sent %v", tt.js, got)
		}
	}
}

// Every name in mongosh's API is there, or says that it is not yet.
func TestFrozenPrototypes(t *testing.T) {
	_, _, err := eval(t, &fake{}, `'use strict'; db.c.__proto__.find = 1`)
	if err == nil {
		t.Error("a method of the shell can be replaced")
	}
	f := &fake{}
	got, _, _ := eval(t, f, `Array.prototype.map = Object.keys = Object.getOwnPropertyDescriptor = () => { throw 1 }; db.c.deleteMany({a: [1]})`)
	if len(got) != 1 || !strings.Contains(got[0], `"a": [{"$numberInt":"1"}]`) {
		t.Errorf("replacing built-ins changes what is sent: %v", got)
	}
}

func TestCursors(t *testing.T) {
	f := &fake{}
	batches := 0
	f.answer = func(_ string, cmd bson.Raw) (bson.D, error) {
		e, _ := cmd.IndexErr(0)
		batch, id := "firstBatch", int64(7)
		if e.Key() == "getMore" {
			batch = "nextBatch"
			if batches++; batches == 2 {
				id = 0
			}
		}
		docs := bson.A{}
		for i := range 10 {
			docs = append(docs, bson.D{{Key: "_id", Value: int32(batches*10 + i)}})
		}
		return bson.D{{Key: "ok", Value: 1.0}, {Key: "cursor", Value: bson.D{{Key: "id", Value: id}, {Key: "ns", Value: "app.c"}, {Key: batch, Value: docs}}}}, nil
	}
	vm, _ := newVM(t, f)
	r, err := vm.Eval(t.Context(), "x", `db.c.find()`)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.commands) != 0 {
		t.Errorf("a cursor that nobody reads sent %v", f.commands)
	}
	docs, more, err := vm.Page(t.Context(), r)
	if err != nil || len(docs) != BatchSize || !more {
		t.Errorf("first page: %d documents, more %v, %v", len(docs), more, err)
	}
	docs, more, ok, err := vm.It(t.Context())
	if err != nil || len(docs) != 10 || more || !ok {
		t.Errorf("second page: %d documents, more %v, ok %v, %v", len(docs), more, ok, err)
	}
	if _, _, ok, _ := vm.It(t.Context()); ok {
		t.Error("there is a third page")
	}
	for js, want := range map[string]string{
		`db.c.find().toArray().length`: "30", `db.c.find().map(d => d._id).toArray().join()`: "0,1,2", `var n = 0; for (const d of db.c.find()) n++; n`: "30",
		`db.c.find().itcount()`: "30", `var c = db.c.find(); c.next(); c.hasNext()`: "true", `var n = 0; db.c.find().forEach(() => n++); n`: "30",
	} {
		batches = 0
		_, got, err := eval(t, f, js)
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s = %s (%v), want %s", js, got, err, want)
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "x.js")
	if err := os.WriteFile(name, []byte("db.c.find()"), 0o600); err != nil {
		t.Fatal(err)
	}
	if src, err := ReadFile(name); err != nil || string(src) != "db.c.find()" {
		t.Errorf("%q %v", src, err)
	}
	if _, err := ReadFile(name + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		if _, err := ReadFile("/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
			t.Errorf("a file without end: %v", err)
		}
	}
}

func TestComplete(t *testing.T) {
	for src, want := range map[string]bool{
		"db.c.find()": true, "db.c.find({": false, "if (x) {": false, "`abc": false, "/* abc": false, "'abc": true, "a +": false, "": true, "x = [1,": false,
		"function f() {\n return 1\n}": true, "// {": true, "'use": true, ")": true, "db.c.find(`a\n": false, "a = '`'": true,
	} {
		if got := Complete(src); got != want {
			t.Errorf("Complete(%q) = %v, want %v", src, got, want)
		}
	}
}

func TestTopLevelDeclarationsCanBeRepeated(t *testing.T) {
	vm, _ := newVM(t, &fake{})
	for i, src := range []string{`let x = 1`, `const y = {a: 1}`, `let x = 2`, `const y = 3`, `const {z} = {z: 4}`, `const {z} = {z: 5}`} {
		if _, err := vm.Eval(t.Context(), "x", src); err != nil {
			t.Fatalf("%d: %s: %v", i, src, err)
		}
	}
	r, err := vm.Eval(t.Context(), "x", `x + y + z`)
	if err != nil {
		t.Fatal(err)
	}
	if tree, err := vm.Tree(t.Context(), r); err != nil || render.Value(tree) != "10" {
		t.Errorf("%v %v", render.Value(tree), err)
	}
}

func TestInterrupt(t *testing.T) {
	vm, _ := newVM(t, &fake{})
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	if _, err := vm.Eval(ctx, "x", `while (true) {}`); !errors.Is(err, ErrInterrupted) {
		t.Errorf("err = %v", err)
	}
	r, err := vm.Eval(t.Context(), "x", `1 + 1`)
	if err != nil {
		t.Fatalf("after it: %v", err)
	}
	if tree, err := vm.Tree(t.Context(), r); err != nil || render.Value(tree) != "2" {
		t.Errorf("after it: %v %v", tree, err)
	}
}

func TestErrorsAreSafe(t *testing.T) {
	for _, js := range []string{`throw new Error('\x1b[2J\u202e')`, `throw '\x1b[2J'`, `throw {a: '\x1b[2J'}`, "x = '\x1b", `db['\x1b[2J'].fnid()()`} {
		_, _, err := eval(t, &fake{}, js)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\u202e") {
			t.Errorf("%q: %q", js, err)
		}
	}
	if _, _, err := eval(t, &fake{}, `throw new Error('a\nrefused: b\nTo run it, type: y')`); err == nil || strings.Contains(err.Error(), "\nrefused") || strings.Contains(err.Error(), "\nTo run") {
		t.Errorf("a thrown text passes for lines of ours: %v", err)
	}
	_, _, err := eval(t, &fake{}, `var e = new Error('x'); Object.defineProperty(e, 'message', {get() { db.c.drop() }}); throw e`)
	if err == nil {
		t.Error("nothing was thrown")
	}
}

func TestPrintingRunsNoUserCode(t *testing.T) {
	f := &fake{}
	_, got, err := eval(t, f, `({get x() { db.c.drop() }, toString() { db.c.drop() }, toJSON() { db.c.drop() }, inspect() { db.c.drop() }})`)
	if err != nil || len(f.commands) > 0 || !strings.Contains(got, "x: [Getter]") {
		t.Errorf("%s %v %v", got, err, f.commands)
	}
}

func FuzzEval(f *testing.F) {
	f.Add(`db.c.find({a: 1}).toArray()`)
	f.Add(`for (const k in db) print(k)`)
	f.Add("db.c.insertOne({a: [1, {b: /x/i}], c: new Date()})")
	f.Fuzz(func(t *testing.T, src string) {
		if strings.Contains(src, "while") || strings.Contains(src, "for") || strings.Contains(src, "repeat") || len(src) > 300 {
			return
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1e9, fmt.Errorf("slow"))
		defer cancel()
		vm, _ := newVM(t, &fake{})
		if r, err := vm.Eval(ctx, "fuzz", src); err == nil && !r.Cursor() {
			tree, _ := vm.Tree(t.Context(), r)
			_ = render.Value(tree)
		}
		Complete(src)
	})
}

func BenchmarkForEach(b *testing.B) {
	docs := bson.A{}
	for i := range 1000 {
		docs = append(docs, bson.D{{Key: "_id", Value: int32(i)}, {Key: "email", Value: "family@example.com"}, {Key: "n", Value: 1.5}})
	}
	f := &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
		if e, _ := cmd.IndexErr(0); e.Key() != "find" {
			return bson.D{{Key: "ok", Value: 1.0}}, nil
		}
		return bson.D{{Key: "ok", Value: 1.0}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: docs}}}}, nil
	}}
	vm, _ := newVM(b, f)
	for b.Loop() {
		f.commands = nil
		if _, err := vm.Eval(b.Context(), "x", `db.c.find().forEach(d => db.c.deleteOne({_id: d._id}))`); err != nil {
			b.Fatal(err)
		}
	}
}

// declined is the reply of a write that was declined.
type declined struct{}

func (declined) Known(context.Context, bool) (bson.Raw, error) { return nil, nil }

func (declined) Raw(context.Context) (bson.Raw, error) {
	return nil, &Stop{Err: errors.New("declined")}
}

// TestResultsOfWhatWasDeclined: such a result is looked at in a later statement. It says why, and the shell lives.
func TestResultsOfWhatWasDeclined(t *testing.T) {
	t.Parallel()
	for _, src := range []string{"r", "[r]", "r.matchedCount", "print(r)", "throw r", "throw [r]", "EJSON.stringify(r)", "({a: {b: r}})"} {
		f := &fake{}
		vm, _ := newVM(t, f)
		vm.cfg.Runner = pending{f}
		if _, err := vm.Eval(t.Context(), "test", "var r = db.c.updateOne({_id: 1}, {$set: {a: 5}})"); err != nil {
			t.Fatal(err)
		}
		r, err := vm.Eval(t.Context(), "test", src)
		if err == nil {
			_, err = vm.Tree(t.Context(), r)
		}
		if err == nil {
			t.Errorf("%s: there is no error", src)
		}
		if r, err = vm.Eval(t.Context(), "test", "1 + 1"); err != nil {
			t.Errorf("after %s: %v", src, err)
		} else if tree, err := vm.Tree(t.Context(), r); err != nil || render.Value(tree) != "2" {
			t.Errorf("after %s: %v (%v)", src, tree, err)
		}
	}
}

type pending struct{ *fake }

func (p pending) Run(context.Context, Target, string, bson.Raw, string) (Reply, error) {
	return declined{}, nil
}

// TestDeepNesting: the parser's stack is the process's.
func TestDeepNesting(t *testing.T) {
	t.Parallel()
	for _, open := range []string{"(", "[", "{a:", "f("} {
		src := "x = " + strings.Repeat(open, 1_000_000)
		if !Complete(src) {
			t.Errorf("%s…: waits for more", open)
		}
		if _, _, err := eval(t, &fake{}, src); err == nil || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%s…: %v", open, err)
		}
	}
}
