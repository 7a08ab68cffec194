package js

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// strange are values that a script may call any function on, and with.
var strange = []string{
	"undefined", "null", "5", "'x'", "{}", "[]", "() => 1", "Symbol('x')", "10n", "new Proxy({}, {})", "new Proxy([], {})", "db", "db.c", "db.c.find()", "db.getMongo()", "db.c.explain()", "db.c.getPlanCache()", "rs", "sh",
	"ObjectId()", "Long('9007199254740993')", "NumberInt(1)", "Double(1)", "Decimal128('1')", "UUID()", "MinKey()", "Code('x')", "Code('x', {})", "Timestamp({t: 1, i: 1})", "BSONRegExp('x')", "BSONSymbol('x')",
	"EJSON.parse('{\"$undefined\": true}')", "db.c.findOne()", "db.c.findOne().arr", "db.c.insertOne({})", "new Date(NaN)", "/x/", "Promise.resolve(1)", "new Map()", "new Error('x')",
}

// functions are all that a script can reach of the shell, as expressions.
func functions(t testing.TB) []string {
	t.Helper()
	vm, _ := newVM(t, &fake{answer: oneDocument})
	seen := map[string]bool{}
	var out []string
	for _, of := range append([]string{"globalThis", "EJSON", "console", "Binary", "Long", "ObjectId", "Decimal128"}, strange...) {
		src := fmt.Sprintf(`((o) => { const out = []; for (let p = Object(o); p && p !== Object.prototype && p !== Array.prototype && p !== Function.prototype; p = Object.getPrototypeOf(p))
			for (const k of Object.getOwnPropertyNames(p)) { try { if (typeof p[k] === 'function' && !/^[A-Z].*(Error|Array|Map|Set|Ref)$|^(Date|RegExp|Proxy|Promise|Symbol|Object|Function|Array|eval|sleep)$/.test(k)) out.push(k) } catch {} }
			return out.join(' ') })(%s)`, of)
		r, err := vm.Eval(t.Context(), "test", src)
		if err != nil {
			continue // null and its like
		}
		names, _ := exported[string](r.v)
		for _, n := range strings.Fields(names) {
			if key := of + n; !seen[key] && n != "then" {
				seen[key] = true
				out = append(out, fmt.Sprintf("Object(%s)[%q]", of, n))
			}
		}
	}
	return out
}

// TestNoCallPanics calls everything on everything. What it comes to does not matter: the process lives.
func TestNoCallPanics(t *testing.T) {
	t.Parallel()
	fns := functions(t)
	if len(fns) < 300 {
		t.Fatalf("%d functions: %v", len(fns), fns)
	}
	f := &fake{answer: oneDocument}
	vm, _ := newVM(t, f)
	try := func(src string) {
		defer func() {
			if x := recover(); x != nil {
				t.Errorf("%s\n panics: %v", src, x)
				vm, _ = newVM(t, f)
			}
		}()
		f.commands = nil
		r, err := vm.Eval(t.Context(), "test", src)
		if err == nil && !r.Cursor() {
			_, err = vm.Tree(t.Context(), r)
		}
		if err != nil && (strings.Contains(err.Error(), "internal error") || strings.Contains(err.Error(), "the JavaScript engine cannot")) {
			t.Errorf("%s\n %v", src, err)
		}
	}
	for i, fn := range fns {
		for j, on := range strange {
			n := len(strange)
			try(fmt.Sprintf("(%s).call(%s, %s, %s, %s)", fn, on, strange[(i+j)%n], strange[(i+3*j)%n], strange[(i+7*j)%n]))
		}
		try(fmt.Sprintf("new (%s)()", fn))
	}
}

// What a server says is not trusted to be what the manual says.
func TestStrangeReplies(t *testing.T) {
	t.Parallel()
	cursor := func(batch any) bson.D {
		return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "x"}, {Key: "firstBatch", Value: batch}, {Key: "nextBatch", Value: batch}}}}
	}
	replies := []bson.D{
		{}, {{Key: "cursor", Value: 5}}, {{Key: "cursor", Value: bson.D{}}}, cursor(5), cursor(bson.A{}), cursor(bson.A{5, "x"}), cursor(bson.A{bson.D{}}), cursor(bson.A{bson.D{{Key: "name", Value: 5}, {Key: "_id", Value: bson.A{}}, {Key: "uuid", Value: 1}}}),
		{{Key: "n", Value: "x"}, {Key: "nModified", Value: bson.D{}}, {Key: "upserted", Value: bson.A{5, bson.D{}, bson.D{{Key: "index", Value: 99}}, bson.D{{Key: "index", Value: -1}}}}, {Key: "value", Value: 5}, {Key: "values", Value: 5}, {Key: "databases", Value: bson.A{5, bson.D{}}}, {Key: "version", Value: bson.A{}}},
		{{Key: "config", Value: bson.D{{Key: "version", Value: "x"}, {Key: "members", Value: 5}}}, {Key: "members", Value: bson.A{5, bson.D{{Key: "state", Value: "x"}}}}, {Key: "users", Value: 5}, {Key: "roles", Value: bson.A{}}, {Key: "shards", Value: "x"}, {Key: "commands", Value: 1}, {Key: "indexesCreated", Value: bson.A{5}}, {Key: "ns", Value: 5}},
		{{Key: "config", Value: bson.D{{Key: "members", Value: bson.A{5, bson.D{{Key: "_id", Value: "x"}}}}}}, {Key: "inprog", Value: 5}, {Key: "mode", Value: 5}, {Key: "logComponentVerbosity", Value: 5}, {Key: "bits", Value: "x"}, {Key: "names", Value: bson.D{}}, {Key: "log", Value: 5}},
	}
	i := 0
	vm, _ := newVM(t, &fake{answer: func(string, bson.Raw) (bson.D, error) { return replies[i], nil }})
	for _, m := range Methods() {
		on := map[string]string{"Database": "db", "Collection": "db.c", "Cursor": "db.c.find()", "Mongo": "db.getMongo()", "Explainable": "db.c.explain()", "PlanCache": "db.c.getPlanCache()", "rs": "rs", "sh": "sh", "ChangeStream": "db.c.watch()"}[m.Object]
		if on == "" {
			continue
		}
		for _, args := range []string{"", "{}", "'x'", "'x', {}", "{}, {$set: {a: 1}}", "[{insertOne: {document: {}}}, {updateMany: {filter: {}, update: {$set: {a: 1}}, upsert: true}}]", "'x', 'y', {}", "'users'", "{query: {}, remove: true}", "5", "'m', 'r', 'x'"} {
			for i = range replies {
				r, err := vm.Eval(t.Context(), "test", fmt.Sprintf("%s.%s(%s)", on, m.Name, args))
				switch {
				case err == nil && r.Cursor():
					_, _, err = vm.Page(t.Context(), r)
				case err == nil:
					_, err = vm.Tree(t.Context(), r)
				}
				if err != nil && (strings.Contains(err.Error(), "internal error") || strings.Contains(err.Error(), "the JavaScript engine cannot")) {
					t.Errorf("%s.%s(%s), answered with %v: %v", on, m.Name, args, replies[i], err)
				}
			}
		}
	}
}

// Nothing that a script does to the language's own objects ends the process, or makes the shell run its code for itself.
func TestHostileWorlds(t *testing.T) {
	t.Parallel()
	for _, js := range []string{
		`Object.defineProperty(Error.prototype, 'name', {set() { throw 1 }})`,
		`Object.defineProperty(Error.prototype, 'message', {set() { throw 1 }, get() { throw 1 }})`,
		`for (const k of ['code', 'codeName', 'done', 'value', 'name', 'message', 'stack', 'get', 'set', 'writable', 'enumerable', 'configurable', 'length', 't', 'i', 'relaxed', '_id', 'constructor', 'then', 'toJSON'])
			Object.defineProperty(Object.prototype, k, {get() { db.evil.drop() }, set() { db.evil.drop() }, configurable: true})`,
		`for (const k of ['code', 'done', 'value', '_id']) Object.defineProperty(Object.prototype, k, {value: 1})`,
		`Object.defineProperty(Array.prototype, '0', {get() { db.evil.drop() }, set() { db.evil.drop() }})`,
		`for (const C of [Object, Array, Function, Date, RegExp, Promise, Error, TypeError, String, Number, Map, Set, Symbol, Proxy, JSON, Reflect]) for (const o of [C, C.prototype]) if (o) for (const k of Reflect.ownKeys(o))
			try { const d = Object.getOwnPropertyDescriptor(o, k); if (d.configurable && k !== 'constructor') Object.defineProperty(o, k, 'value' in d ? {value() { db.evil.drop() }} : {get() { db.evil.drop() }}) } catch {}`,
		`for (const k of ['Object', 'Array', 'Date', 'RegExp', 'Error', 'Promise', 'JSON', 'EJSON', 'console', 'rs', 'sh', 'Function', 'eval']) try { globalThis[k] = () => db.evil.drop() } catch {}`,
		`for (const k of Object.getOwnPropertyNames(globalThis)) try { Object.defineProperty(globalThis, k, {get() { db.evil.drop() }}) } catch {}`,
		`for (const k of Object.getOwnPropertyNames(globalThis)) try { delete globalThis[k] } catch {}`,
		`Object.setPrototypeOf(globalThis, new Proxy({}, {get() { db.evil.drop() }, has() { db.evil.drop() }, getOwnPropertyDescriptor() { db.evil.drop() }}))`,
		`Object.setPrototypeOf(Object.getPrototypeOf(db.c), null)`,
		`Object.freeze(Object.prototype); Object.freeze(Array.prototype); Object.freeze(globalThis)`,
		`Object.preventExtensions(globalThis)`,
	} {
		f := &fake{answer: func(db string, cmd bson.Raw) (bson.D, error) {
			if e, _ := cmd.IndexErr(0); e.Key() == "fails" {
				return nil, &ServerError{Code: 1, Name: "Name", Message: "message"}
			}
			return oneDocument(db, cmd)
		}}
		vm, _ := newVM(t, f)
		exec := func(src string) error {
			r, err := vm.Eval(t.Context(), "test", src)
			switch {
			case err == nil && r.Cursor():
				_, _, err = vm.Page(t.Context(), r)
			case err == nil:
				_, err = vm.Tree(t.Context(), r)
			}
			return err
		}
		_ = exec("(() => { " + js + " })()") // some cannot be done, and say so
		vm.Use(nil, "other")
		if _, name := vm.Database(); name != "other" {
			t.Errorf("%s\n the database is %q", js, name)
		}
		for _, src := range []string{
			`db.c.find({a: [1, {b: /x/i}], c: new Date(5)}).toArray()`, `db.c.insertOne({a: 1})`, `db.c.insertMany([{a: 1}, {b: 2}]); 0`, `db.runCommand({fails: 1})`, `db.c.find()`, `db.c.findOne()`, `db.c.updateOne({a: 1}, {$set: {b: 1}})`,
			`throw {a: 1}`, `null.z`, `db.c.nosuch()`, `({a: [1, {b: 2}], c: /x/, d: new Date(0)})`, `db.c.createIndex({a: 1})`, `ObjectId()`,
		} {
			f.commands = nil
			_ = exec(src)
			if sent := strings.Join(f.commands, "\n"); strings.Contains(sent, "evil") {
				t.Errorf("%s\nthen %s\n sent %s", js, src, sent)
			}
		}
	}
}

// db is a database, whatever a script does.
func TestDB(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		{`db = 5`, "db must be a database"},
		{`var db = 5`, "db must be a database"},
		{`globalThis.db = null`, "db must be a database"},
		{`Object.defineProperty(globalThis, 'db', {get() { return 5 }})`, "redefine"},
		{`'use strict'; delete globalThis.db`, "delete"},
		{`db = db.getSiblingDB('x')`, ""},
		{`var db = db.getSiblingDB('x')`, ""},
		{`let db = connect`, "db must be a database"},
		{`(db => db.c.drop())(db.getSiblingDB('y'))`, ""},
	} {
		vm, _ := newVM(t, &fake{})
		_, err := vm.Eval(t.Context(), "test", tt.js)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.js, err, tt.want)
		}
		want := map[bool]string{true: "x", false: "app"}[err == nil && strings.Contains(tt.js, "'x'")]
		if _, name := vm.Database(); name != want {
			t.Errorf("%s: the database is %s, want %s", tt.js, name, want)
		}
	}
}

// A script that calls itself without end is told so.
func TestEndlessRecursion(t *testing.T) {
	t.Parallel()
	_, _, err := eval(t, &fake{}, `try { (function f() { f() })() } catch {}`)
	if err == nil || !strings.Contains(err.Error(), "functions call each other deeper than") {
		t.Errorf("%v", err)
	}
}

// What the engine cannot do in Go ends the statement. A panic of the Runner's is not taken for one.
func TestEngineFailures(t *testing.T) {
	t.Parallel()
	vm, out := newVM(t, &fake{})
	vm.method(vm.rt.GlobalObject(), "broken", func(goja.Value, args) goja.Value { return vm.rt.ToValue(make([]int, len(out.String())-1000)) })
	for _, js := range []string{
		`'x'.repeat(2 ** 40)`, `'xy'.padEnd(2 ** 40)`, `'x'.repeat({valueOf() { print('once'); return 2 ** 29 }})`, `new ArrayBuffer(2 ** 60)`,
		`try { broken() } catch {}`, `Promise.resolve().then(() => db.c.drop()); try { broken() } catch {} finally { db.c.drop() }`,
	} {
		if r, err := vm.Eval(t.Context(), "test", js); err == nil || !strings.Contains(err.Error(), "RangeError") {
			t.Errorf("%s: %v %v", js, r.v, err)
		}
	}
	if out.String() != "once\n" {
		t.Errorf("printed %q", out)
	}
	f := &fake{}
	vm.cfg.Runner = f
	for js, want := range map[string]string{`'ab'.repeat(2) + 'x'.padStart(3, '-') + 'x'.padEnd(2)`: "abab--xx ", `'x'.repeat(Long('2'))`: "xx", `'x'.repeat()`: ""} {
		if r, err := vm.Eval(t.Context(), "test", js); err != nil || r.v.String() != want {
			t.Errorf("%s: %v %v, want %q", js, r.v, err, want)
		}
	}
	if len(f.commands) > 0 {
		t.Errorf("what the failed statement had queued was run by the next: %v", f.commands)
	}
	f.answer = func(string, bson.Raw) (bson.D, error) { var none []bson.D; return none[1], nil }
	defer func() {
		if recover() == nil {
			t.Error("a panic beyond the shell was taken for the engine's")
		}
	}()
	_, _ = vm.Eval(t.Context(), "test", `db.c.drop()`)
}
