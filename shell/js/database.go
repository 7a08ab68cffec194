package js

import (
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// database is mongosh's Database.
type database struct {
	vm     *VM
	target Target
	name   string
	colls  map[string]*goja.Object
}

// databaseObject is a database whose unknown properties are its collections.
func (vm *VM) databaseObject(d *database) *goja.Object {
	obj := vm.rt.NewDynamicObject(d)
	vm.must(obj.SetPrototype(vm.protos.database))
	return obj
}

// hidden are names that the language looks up by itself: a collection of such a name is had with getCollection.
func hidden(key string) bool {
	switch key {
	case "then", "toJSON", "constructor", "valueOf", "toString", "__proto__", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString":
		return true
	}
	return false
}

func (d *database) Get(key string) goja.Value {
	if hidden(key) || d.vm.protos.database.Get(key) != nil {
		return nil
	}
	return d.collection(key)
}

func (d *database) Set(string, goja.Value) bool { return false }
func (d *database) Has(key string) bool         { return d.Get(key) != nil }
func (d *database) Delete(string) bool          { return false }
func (d *database) Keys() []string              { return nil }

func (d *database) collection(name string) *goja.Object {
	if obj := d.colls[name]; obj != nil {
		return obj
	}
	obj := d.vm.rt.NewDynamicObject(&collection{vm: d.vm, db: d, name: name})
	d.vm.must(obj.SetPrototype(d.vm.protos.collection))
	if d.colls == nil || len(d.colls) > 1000 {
		d.colls = map[string]*goja.Object{}
	}
	d.colls[name] = obj
	return obj
}

func (d *database) command(cmd bson.D) bson.Raw { return d.vm.reply(d.vm.send(d.target, d.name, cmd)) }

// simple is a method that sends {name: 1} and returns the reply.
func simple(name, help, on string) method[*database] {
	cmd, _, _ := strings.Cut(help, ":")
	return method[*database]{name, "", help, func(vm *VM, d *database, _ args) goja.Value {
		db := d.name
		if on != "" {
			db = on
		}
		return vm.documentObject(vm.reply(vm.send(d.target, db, bson.D{{Key: cmd, Value: int32(1)}})))
	}}
}

func databaseMethods() []method[*database] {
	return []method[*database]{
		{"adminCommand", "command", "run a command on the database admin", func(vm *VM, d *database, a args) goja.Value { return runCommand(vm, d, "admin", a) }},
		{"aggregate", "pipeline, options", "run a pipeline on the database itself", aggregateDatabase},
		{"createCollection", "name, options", "create a collection", createCollection},
		{"dropDatabase", "", "drop this database", func(_ *VM, d *database, _ args) goja.Value {
			return d.vm.documentObject(d.command(bson.D{{Key: "dropDatabase", Value: int32(1)}}))
		}},
		{"getCollection", "name", "a collection by its name", func(vm *VM, d *database, a args) goja.Value {
			name := a.text(0)
			if name == "" {
				a.fail("the name is empty")
			}
			return d.collection(name)
		}},
		{"getCollectionInfos", "filter", "collections with their options", func(vm *VM, d *database, a args) goja.Value {
			cmd := bson.D{{Key: "listCollections", Value: int32(1)}}
			if f := a.optDoc(0, "filter"); f != nil {
				cmd = append(cmd, bson.E{Key: "filter", Value: f})
			}
			return (&cursor{vm: vm, db: d, command: cmd}).toArray()
		}},
		{"getCollectionNames", "", "names of the collections", func(vm *VM, d *database, _ args) goja.Value {
			c := &cursor{vm: vm, db: d, command: bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "nameOnly", Value: true}}}
			var names []any
			for doc := c.nextRaw(); doc != nil; doc = c.nextRaw() {
				names = append(names, doc.Lookup("name").StringValue())
			}
			return vm.rt.NewArray(names...)
		}},
		{"getMongo", "", "the connection", func(vm *VM, d *database, _ args) goja.Value { return vm.mongoObject(d.target) }},
		{"getName", "", "this database's name", func(vm *VM, d *database, _ args) goja.Value { return vm.rt.ToValue(d.name) }},
		{"getSiblingDB", "name", "another database of the same server", func(vm *VM, d *database, a args) goja.Value {
			return vm.databaseObject(&database{vm: vm, target: d.target, name: a.text(0)})
		}},
		simple("hello", "hello: what the server says of itself", ""),
		{"help", "", "what a database can do", func(vm *VM, _ *database, _ args) goja.Value { return vm.printHelp("Database") }},
		simple("hostInfo", "hostInfo: the server's machine", "admin"),
		simple("isMaster", "isMaster: what the server says of itself", ""),
		simple("listCommands", "listCommands: the commands that the server knows", ""),
		{"runCommand", "command", "run any command; it passes the same guard", func(vm *VM, d *database, a args) goja.Value { return runCommand(vm, d, d.name, a) }},
		simple("serverBuildInfo", "buildInfo: the server's version", "admin"),
		simple("serverCmdLineOpts", "getCmdLineOpts: how the server was started", "admin"),
		simple("serverStatus", "serverStatus: counters of the server", "admin"),
		simple("stats", "dbStats: sizes of this database", ""),
		{"version", "", "the server's version", func(vm *VM, d *database, _ args) goja.Value {
			reply := vm.reply(vm.send(d.target, "admin", bson.D{{Key: "buildInfo", Value: int32(1)}}))
			return vm.fromRaw(reply.Lookup("version"))
		}},
	}
}

// runCommand sends a document as it is, or {name: 1} for a name.
func runCommand(vm *VM, d *database, db string, a args) goja.Value {
	if name, ok := exported[string](a.at(0)); ok {
		return vm.documentObject(vm.reply(vm.send(d.target, db, bson.D{{Key: name, Value: int32(1)}})))
	}
	a.need(0, "command")
	orderMatters(a, 0, "command")
	return vm.documentObject(vm.reply(vm.sendRaw(d.target, db, a.doc(0, "command"))))
}

// orderMatters refuses a JavaScript object whose field order the language has changed: keys like "1" come first, whatever was typed.
func orderMatters(a args, i int, what string) {
	obj, ok := a.at(i).(*goja.Object)
	if !ok {
		return
	}
	if _, ok := inner(obj).(*document); ok {
		return // it has kept its order
	}
	keys := obj.Keys()
	for _, k := range keys {
		if len(keys) > 1 && k != "" && strings.Trim(k, "0123456789") == "" {
			a.check(&Refusal{Text: what + " has a field called " + k + ", which JavaScript puts first, whatever was typed", Hint: "the order of the fields matters here"})
		}
	}
}

func createCollection(vm *VM, d *database, a args) goja.Value {
	cmd := bson.D{{Key: "create", Value: a.text(0)}}
	if o := a.optDoc(1, "options"); o != nil {
		elems, err := o.Elements()
		a.check(err)
		for _, e := range elems {
			cmd = append(cmd, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	return vm.documentObject(d.command(cmd))
}

func aggregateDatabase(vm *VM, d *database, a args) goja.Value {
	return aggregateOn(vm, d, nil, a)
}

// mongo is mongosh's Mongo: a connection.
type mongo struct{ target Target }

func (*mongo) Get(string) goja.Value       { return nil }
func (*mongo) Set(string, goja.Value) bool { return false }
func (*mongo) Has(string) bool             { return false }
func (*mongo) Delete(string) bool          { return false }
func (*mongo) Keys() []string              { return nil }

func (vm *VM) mongoObject(t Target) goja.Value {
	obj := vm.rt.NewDynamicObject(&mongo{t})
	vm.must(obj.SetPrototype(vm.protos.mongo))
	return obj
}

func mongoMethods() []method[*mongo] {
	getDB := func(vm *VM, m *mongo, a args) goja.Value {
		return vm.databaseObject(&database{vm: vm, target: m.target, name: a.text(0)})
	}
	list := func(vm *VM, m *mongo) bson.Raw {
		return vm.reply(vm.send(m.target, "admin", bson.D{{Key: "listDatabases", Value: int32(1)}}))
	}
	return []method[*mongo]{
		{"getDB", "name", "a database", getDB},
		{"getDBNames", "", "names of the databases", func(vm *VM, m *mongo, _ args) goja.Value {
			var names []any
			if arr, ok := list(vm, m).Lookup("databases").ArrayOK(); ok {
				values, _ := arr.Values()
				for _, v := range values {
					names = append(names, v.Document().Lookup("name").StringValue())
				}
			}
			return vm.rt.NewArray(names...)
		}},
		{"getDBs", "", "the databases with their sizes", func(vm *VM, m *mongo, _ args) goja.Value { return vm.documentObject(list(vm, m)) }},
		{"getURI", "", "which server it is", func(vm *VM, m *mongo, _ args) goja.Value { return vm.rt.ToValue(vm.describeTarget(m.target)) }},
	}
}
