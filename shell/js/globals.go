package js

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// global is a function that scripts can call by its name alone.
type global struct {
	name, args, help string
	fn               func(vm *VM, a args) goja.Value
}

func globals() []global {
	return []global{
		{"bsonsize", "document", "bytes of a document", func(vm *VM, a args) goja.Value { return vm.rt.ToValue(len(a.doc(0, "document"))) }},
		{"isInteractive", "", "whether somebody types", func(vm *VM, _ args) goja.Value { return vm.rt.ToValue(false) }},
		{"load", "file", "run a file as part of this statement", load},
		{"print", "values", "print values", func(vm *VM, a args) goja.Value { vm.print(a); return goja.Undefined() }},
		{"printjson", "value", "print a value", func(vm *VM, a args) goja.Value { vm.print(a); return goja.Undefined() }},
		{"sleep", "milliseconds", "wait", func(vm *VM, a args) goja.Value {
			if err := vm.cfg.Sleep(vm.ctx, time.Duration(a.at(0).ToFloat()*float64(time.Millisecond))); err != nil {
				return vm.throw(err)
			}
			return goja.Undefined()
		}},
		{"tojson", "value", "a value as it is printed", func(vm *VM, a args) goja.Value { return vm.rt.ToValue(render.Value(quoted(vm.tree(a.at(0))))) }},
		{"use", "name", "switch to another database", func(vm *VM, a args) goja.Value {
			t, _ := vm.Database()
			vm.Use(t, a.text(0))
			return vm.rt.ToValue("switched to db " + a.text(0))
		}},
		{"connect", "uri", "a database of another deployment, which is classified for itself", func(vm *VM, a args) goja.Value {
			t, db := vm.connect(a)
			return vm.databaseObject(&database{vm: vm, target: t, name: db})
		}},
		{"version", "", "the version of this shell", func(vm *VM, _ args) goja.Value { return vm.rt.ToValue(vm.cfg.Version) }},
	}
}

// quoted makes a bare string print with its quotation marks.
func quoted(v any) any {
	if s, ok := v.(string); ok {
		return render.Token(render.Quote(s))
	}
	return v
}

func (vm *VM) print(a args) {
	var parts []string
	for _, v := range a.values {
		parts = append(parts, render.Value(vm.tree(v)))
	}
	vm.cfg.Print(strings.Join(parts, " "))
}

// connect opens the deployment that a script names; without a name it is the current one.
func (vm *VM) connect(a args) (Target, string) {
	if len(a.values) == 0 {
		return vm.Database()
	}
	uri := a.text(0)
	if !strings.HasPrefix(uri, "mongodb://") && !strings.HasPrefix(uri, "mongodb+srv://") {
		a.fail("%q is no connection string: it begins with mongodb:// or mongodb+srv://", render.Safe(uri))
	}
	if len(a.values) > 1 {
		vm.throw(&Refusal{Text: a.method + " with options is not in respect yet", Method: a.method, Hint: "put them into the connection string"})
	}
	if vm.cfg.Connect == nil || vm.ctx == nil {
		vm.throw(&Refusal{Text: a.method + ": other deployments cannot be connected to from here", Method: a.method})
	}
	t, db, err := vm.cfg.Connect(vm.ctx, uri)
	if err != nil {
		vm.throw(err)
	}
	return t, db
}

func (vm *VM) defineGlobals() {
	vm.protos.database = install(vm, "Database", databaseMethods())
	vm.protos.collection = install(vm, "Collection", collectionMethods())
	vm.protos.cursor = install(vm, "Cursor", cursorMethods())
	vm.protos.mongo = install(vm, "Mongo", mongoMethods())
	vm.protos.explainable = install(vm, "Explainable", explainableMethods())
	vm.protos.planCache = install(vm, "PlanCache", planCacheMethods())
	vm.protos.replicaSet = install(vm, "rs", replicaSetMethods())
	vm.protos.sharding = install(vm, "sh", shardingMethods())
	vm.method(vm.protos.database, "toString", func(this goja.Value, _ args) goja.Value { return vm.rt.ToValue(fmt.Sprint(vm.tree(this))) })
	vm.method(vm.protos.collection, "toString", func(this goja.Value, _ args) goja.Value { return vm.rt.ToValue(fmt.Sprint(vm.tree(this))) })
	vm.iterable()
	vm.boundStrings()
	global := vm.rt.GlobalObject()
	for _, g := range globals() {
		vm.method(global, g.name, func(_ goja.Value, a args) goja.Value { return g.fn(vm, a) })
	}
	vm.define(constructor{name: "Mongo", make: func(vm *VM, a args) goja.Value {
		t, _ := vm.connect(a)
		return vm.mongoObject(t)
	}})
	for _, name := range strings.Fields(notYetGlobals) {
		vm.notYetGlobal(name)
	}
	vm.global("rs", &replicaSet{}, vm.protos.replicaSet)
	vm.global("sh", &sharding{}, vm.protos.sharding)
	console := vm.rt.NewObject()
	for _, name := range []string{"log", "info", "warn", "error", "debug"} {
		vm.method(console, name, func(_ goja.Value, a args) goja.Value { vm.print(a); return goja.Undefined() })
	}
	vm.must(global.Set("console", console))
	vm.must(global.Set("EJSON", vm.ejson()))
	for _, p := range []*goja.Object{vm.protos.database, vm.protos.collection, vm.protos.cursor, vm.protos.mongo, vm.protos.explainable, vm.protos.planCache, vm.protos.replicaSet, vm.protos.sharding} {
		vm.freeze(p)
	}
	for _, p := range vm.protos.types {
		vm.freeze(p)
	}
}

// global is an object with methods that scripts know by a name.
func (vm *VM) global(name string, o goja.DynamicObject, proto *goja.Object) {
	obj := vm.rt.NewDynamicObject(o)
	vm.must(obj.SetPrototype(proto))
	vm.must(vm.rt.GlobalObject().Set(name, obj))
}

func (vm *VM) freeze(obj *goja.Object) {
	freeze, ok := goja.AssertFunction(vm.rt.Get("Object").ToObject(vm.rt).Get("freeze"))
	if !ok {
		panic("js: internal error: no Object.freeze")
	}
	_, err := freeze(goja.Undefined(), obj)
	vm.must(err)
}

// maxString is how long a string may become at once, as in V8. Longer ones would take the process's memory.
const maxString = 1<<29 - 24

// boundStrings bounds the methods that make long strings of short ones.
func (vm *VM) boundStrings() {
	proto := vm.rt.Get("String").ToObject(vm.rt).Get("prototype").ToObject(vm.rt)
	for _, name := range []string{"repeat", "padStart", "padEnd"} {
		original, ok := goja.AssertFunction(proto.Get(name))
		if !ok {
			panic("js: internal error: no String.prototype." + name)
		}
		f := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
			values := slices.Clone(call.Arguments)
			this := call.This
			if len(values) > 0 && !goja.IsUndefined(this) && !goja.IsNull(this) {
				this = this.ToString()
				n := values[0].ToFloat()
				values[0] = vm.rt.ToValue(n)
				if name == "repeat" {
					n *= float64(this.(goja.String).Length())
				}
				if n > maxString {
					panic(vm.errorObject("RangeError", "a string of that length is too long", nil))
				}
			}
			v, err := original(this, values...)
			if err != nil {
				return vm.throw(err)
			}
			return v
		}).(*goja.Object)
		vm.must(f.DefineDataProperty("name", vm.rt.ToValue(name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
		vm.must(proto.DefineDataProperty(name, f, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
}

// words of the shell are no functions here.
var words = map[string]bool{"cls": true, "exit": true, "help": true, "it": true, "quit": true, "show": true}

// notYetGlobal answers for a name of mongosh: as a function, and as an object whose every method answers.
func (vm *VM) notYetGlobal(name string) {
	refuse := func() goja.Value {
		if words[name] {
			return vm.throw(&Refusal{Text: name + " is a word of the shell, not a function", Hint: "type it as a line of its own, without brackets"})
		}
		return vm.throw(&Refusal{Text: name + " is in mongosh and not in respect yet", Hint: "db.runCommand() sends any command, through the same guard"})
	}
	target := vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object { refuse(); return nil }).(*goja.Object)
	p := vm.rt.NewProxy(target, &goja.ProxyTrapConfig{
		Get: func(_ *goja.Object, property string, _ goja.Value) goja.Value {
			if hidden(property) || property == "name" || property == "length" || property == "prototype" {
				return goja.Undefined()
			}
			return refuse()
		},
	})
	vm.must(vm.rt.GlobalObject().DefineDataProperty(name, vm.rt.ToValue(p), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
}

// iterable lets for…of read a cursor.
func (vm *VM) iterable() {
	next := func(this goja.Value) goja.Value {
		c, ok := export[*cursor](this)
		if !ok {
			return vm.typeError("not a cursor")
		}
		it := vm.rt.NewObject()
		vm.method(it, "next", func(goja.Value, args) goja.Value {
			r := vm.rt.NewObject()
			v := c.next()
			vm.put(r, "done", v == nil)
			if v != nil {
				vm.put(r, "value", v)
			}
			return r
		})
		return it
	}
	vm.must(vm.protos.cursor.DefineDataPropertySymbol(goja.SymIterator, vm.rt.ToValue(func(call goja.FunctionCall) goja.Value { return next(call.This) }), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
}

// load runs a file in the same statement: what it writes is planned with the rest.
func load(vm *VM, a args) goja.Value {
	name := a.text(0)
	if vm.cfg.ReadFile == nil {
		a.fail("files cannot be read here")
	}
	if vm.loading >= 20 {
		a.fail("files load each other without end")
	}
	src, err := vm.cfg.ReadFile(name)
	if err != nil {
		return vm.throw(err)
	}
	p, err := vm.compile(name, string(src))
	if err != nil {
		return vm.throw(err)
	}
	vm.loading++
	defer func() { vm.loading-- }()
	if _, err := vm.rt.RunProgram(p); err != nil {
		return vm.throw(err)
	}
	return vm.rt.ToValue(true)
}

// ReadFile reads a script from disk, up to 64 MiB.
func ReadFile(name string) ([]byte, error) {
	const limit = 64 << 20
	fi, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if fi.Size() > limit {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return os.ReadFile(name)
}

// Sleep waits, or until ctx ends.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// ejson is Extended JSON.
// Source: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
func (vm *VM) ejson() *goja.Object {
	obj := vm.rt.NewObject()
	vm.method(obj, "stringify", func(_ goja.Value, a args) goja.Value {
		raw := a.raw(0, "value")
		canonical := false
		for i := 1; i < len(a.values); i++ { // (value, options) or (value, replacer, indent, options)
			if raw := a.raw(i, "options"); raw.Type == bson.TypeEmbeddedDocument {
				if relaxed, ok := raw.Document().Lookup("relaxed").BooleanOK(); ok {
					canonical = !relaxed
				}
			}
		}
		b, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: raw}}, canonical, false)
		if err != nil {
			return vm.throw(err)
		}
		s := string(b)
		return vm.rt.ToValue(s[len(`{"v":`) : len(s)-1])
	})
	vm.method(obj, "parse", func(_ goja.Value, a args) goja.Value {
		var d struct {
			V bson.RawValue `bson:"v"`
		}
		if err := bson.UnmarshalExtJSON([]byte(`{"v":`+a.text(0)+`}`), false, &d); err != nil {
			return vm.typeError("EJSON.parse: %v", err)
		}
		return vm.fromRaw(d.V)
	})
	vm.freeze(obj)
	return obj
}

// printHelp lists an object's methods.
func (vm *VM) printHelp(object string) goja.Value {
	vm.cfg.Print(Help(object))
	return goja.Undefined()
}

// Help lists the methods of an object, one a line.
func Help(object string) string {
	var b strings.Builder
	for _, m := range Methods() {
		if m.Object == object {
			fmt.Fprintf(&b, "  %-40s %s\n", m.Name+"("+m.Args+")", m.Help)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
