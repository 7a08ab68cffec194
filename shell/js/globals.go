package js

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/dop251/goja"

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
			d := time.Duration(a.at(0).ToFloat() * float64(time.Millisecond))
			vm.sleep(d)
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
		{"convertShardKeyToHashed", "value", "the hash by which a hashed index has a value", func(vm *VM, a args) goja.Value {
			t, _ := vm.Database()
			return hashed(vm, t, a)
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
		c, ok := export[*cursor](v)
		switch {
		case !ok:
			parts = append(parts, render.Value(vm.tree(v)))
		case c.explained != "":
			parts = append(parts, render.Value(vm.tree(c.explain(c.explained))))
		default: // as at the prompt
			docs, _ := c.page()
			parts = append(parts, render.Value(docs))
		}
	}
	vm.show(strings.Join(parts, " "))
}

func (vm *VM) show(text string) { vm.outside(func() { vm.cfg.Print(text) }) }

// sleep waits, or until the statement ends.
func (vm *VM) sleep(d time.Duration) {
	var err error
	vm.outside(func() { err = vm.cfg.Sleep(vm.ctx, d) })
	if err != nil {
		vm.throw(err)
	}
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
	var t Target
	var db string
	var err error
	vm.outside(func() { t, db, err = vm.cfg.Connect(vm.ctx, uri) })
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
	vm.protos.bulk = install(vm, "Bulk", bulkMethods())
	vm.protos.bulkFind = install(vm, "BulkFind", bulkFindMethods())
	vm.protos.stream = install(vm, "ChangeStream", streamMethods())
	vm.protos.session = install(vm, "Session", sessionMethods())
	vm.method(vm.protos.database, "toString", func(this goja.Value, _ args) goja.Value { return vm.rt.ToValue(fmt.Sprint(vm.tree(this))) })
	vm.method(vm.protos.collection, "toString", func(this goja.Value, _ args) goja.Value { return vm.rt.ToValue(fmt.Sprint(vm.tree(this))) })
	vm.iterable(vm.protos.cursor, func(this goja.Value) func() goja.Value {
		c, ok := export[*cursor](this)
		if !ok {
			vm.typeError("not a cursor")
		}
		return c.next
	})
	vm.iterable(vm.protos.stream, func(this goja.Value) func() goja.Value {
		s, ok := export[*stream](this)
		if !ok {
			vm.typeError("not a change stream")
		}
		return s.try
	})
	vm.boundJSON()
	global := vm.rt.GlobalObject()
	for _, g := range globals() {
		vm.method(global, g.name, func(_ goja.Value, a args) goja.Value { return g.fn(vm, a) })
	}
	vm.define(constructor{name: "Mongo", make: func(vm *VM, a args) goja.Value {
		t, _ := vm.connect(a)
		return vm.mongoObject(t)
	}})
	for _, m := range absent {
		for _, name := range strings.Fields(m.names) {
			if m.object == "" {
				vm.absentGlobal(name, m)
			}
		}
	}
	vm.global("rs", &replicaSet{}, vm.protos.replicaSet)
	vm.global("sh", &sharding{}, vm.protos.sharding)
	console := vm.rt.NewObject()
	for _, name := range []string{"log", "info", "warn", "error", "debug"} {
		vm.method(console, name, func(_ goja.Value, a args) goja.Value { vm.print(a); return goja.Undefined() })
	}
	vm.must(global.Set("console", console))
	vm.defineSettings()
	vm.must(global.Set("EJSON", vm.ejson()))
	for _, p := range []*goja.Object{vm.protos.database, vm.protos.collection, vm.protos.cursor, vm.protos.mongo, vm.protos.explainable, vm.protos.planCache, vm.protos.replicaSet, vm.protos.sharding, vm.protos.bulk, vm.protos.bulkFind, vm.protos.stream, vm.protos.session} {
		vm.freeze(p)
	}
	for _, p := range vm.protos.types {
		vm.freeze(p)
	}
}

// defineSettings makes mongosh's config, and the old shell's name for the one setting that is here.
func (vm *VM) defineSettings() {
	const name = "displayBatchSize"
	set := func(a args, v goja.Value) {
		n, ok := exported[int64](v)
		if !ok || n < 1 || n > 10_000 {
			a.fail("%s is a number from 1 to 10000", name)
		}
		vm.pageSize = int(n)
	}
	known := func(a args) {
		if key := a.text(0); key != name {
			a.check(&Refusal{Text: a.method + ": respect has no setting " + render.Quote(key), Hint: "there is " + name + ", the number of documents on a page; the rest are flags: respect --help"})
		}
	}
	config := vm.rt.NewObject()
	vm.method(config, "get", func(_ goja.Value, a args) goja.Value { known(a); return vm.rt.ToValue(vm.pageSize) })
	vm.method(config, "set", func(_ goja.Value, a args) goja.Value {
		known(a)
		set(a, a.at(1))
		return vm.rt.ToValue("Setting \"" + name + "\" has been changed")
	})
	vm.method(config, "reset", func(_ goja.Value, a args) goja.Value {
		known(a)
		vm.pageSize = BatchSize
		return vm.rt.ToValue("Setting \"" + name + "\" has been reset to its default value")
	})
	vm.must(vm.rt.GlobalObject().Set("config", config))
	query := vm.rt.NewObject()
	get := func(goja.FunctionCall) goja.Value { return vm.rt.ToValue(vm.pageSize) }
	put := func(call goja.FunctionCall) goja.Value {
		set(args{vm: vm, method: "DBQuery.shellBatchSize"}, call.Argument(0))
		return goja.Undefined()
	}
	vm.must(query.DefineAccessorProperty("shellBatchSize", vm.rt.ToValue(get), vm.rt.ToValue(put), goja.FLAG_FALSE, goja.FLAG_TRUE))
	option := vm.rt.NewObject()
	for _, f := range []struct {
		name string
		bit  int
	}{{"tailable", 2}, {"slaveOk", 4}, {"oplogReplay", 8}, {"noTimeout", 16}, {"awaitData", 32}, {"exhaust", 64}, {"partial", 128}} {
		vm.put(option, f.name, f.bit)
	}
	vm.put(query, "Option", option)
	vm.must(vm.rt.GlobalObject().Set("DBQuery", query))
}

// global is an object with methods that scripts know by a name.
func (vm *VM) global(name string, o goja.DynamicObject, proto *goja.Object) {
	vm.must(vm.rt.GlobalObject().Set(name, vm.shellObject(o, proto)))
}

func (vm *VM) freeze(obj *goja.Object) {
	freeze, ok := goja.AssertFunction(vm.rt.Get("Object").ToObject(vm.rt).Get("freeze"))
	if !ok {
		panic("js: internal error: no Object.freeze")
	}
	_, err := freeze(goja.Undefined(), obj)
	vm.must(err)
}

// absentGlobal answers for a name that is not here: as a function, and as an object whose every method answers.
func (vm *VM) absentGlobal(name string, m missing) {
	refuse := func() goja.Value { return vm.throw(m.refusal(name)) }
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

// iterable lets for…of read a cursor, and what is there of a change stream.
func (vm *VM) iterable(proto *goja.Object, next func(this goja.Value) func() goja.Value) {
	iterator := func(this goja.Value) goja.Value {
		f := next(this)
		it := vm.rt.NewObject()
		vm.method(it, "next", func(goja.Value, args) goja.Value {
			r := vm.rt.NewObject()
			v := f()
			vm.put(r, "done", v == nil)
			if v != nil {
				vm.put(r, "value", v)
			}
			return r
		})
		return it
	}
	vm.must(proto.DefineDataPropertySymbol(goja.SymIterator, vm.rt.ToValue(func(call goja.FunctionCall) goja.Value { return iterator(call.This) }), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
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
	var src []byte
	var err error
	vm.outside(func() {
		if src, err = vm.cfg.ReadFile(name); err == nil && vm.cfg.Loaded != nil {
			err = vm.cfg.Loaded(name, src)
		}
	})
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
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, limit+1)) // a device has no size, and may have no end
	if err == nil && len(src) > limit {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, limit>>20)
	}
	return src, err
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

// printHelp lists an object's methods.
func (vm *VM) printHelp(object string) goja.Value {
	vm.show(Help(object))
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
