package js

import (
	"fmt"
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
		{"changeUserPassword", "name, password", "change a password", func(vm *VM, d *database, a args) goja.Value {
			return vm.documentObject(d.command(bson.D{{Key: "updateUser", Value: a.text(0)}, {Key: "pwd", Value: a.text(1)}}))
		}},
		{"checkMetadataConsistency", "options", "whether a cluster's metadata agree", func(vm *VM, d *database, a args) goja.Value {
			cmd := a.opts(0, "checkIndexes").copyTo(bson.D{{Key: "checkMetadataConsistency", Value: int32(1)}}, "checkIndexes")
			return vm.cursorObject(&cursor{vm: vm, db: d, command: cmd})
		}},
		{"createCollection", "name, options", "create a collection", createCollection},
		{"createRole", "{ role, privileges, roles }", "create a role", named("createRole", "role")},
		{"createUser", "{ user, pwd, roles }", "create a user", named("createUser", "user")},
		{"createView", "name, source, pipeline, options", "create a view", createView},
		{"currentOp", "options", "what the server is doing", currentOp},
		{"dropAllRoles", "", "drop all roles of this database", func(vm *VM, d *database, _ args) goja.Value {
			return vm.documentObject(d.command(bson.D{{Key: "dropAllRolesFromDatabase", Value: int32(1)}}))
		}},
		{"dropAllUsers", "", "drop all users of this database", func(vm *VM, d *database, _ args) goja.Value {
			return vm.documentObject(d.command(bson.D{{Key: "dropAllUsersFromDatabase", Value: int32(1)}}))
		}},
		{"dropDatabase", "", "drop this database", func(_ *VM, d *database, _ args) goja.Value {
			return d.vm.documentObject(d.command(bson.D{{Key: "dropDatabase", Value: int32(1)}}))
		}},
		{"dropRole", "name", "drop a role", withList("dropRole", "")},
		{"dropUser", "name", "drop a user", withList("dropUser", "")},
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
		{"getLogComponents", "", "how much the server logs", func(vm *VM, d *database, _ args) goja.Value {
			reply := vm.reply(vm.send(d.target, "admin", bson.D{{Key: "getParameter", Value: int32(1)}, {Key: "logComponentVerbosity", Value: int32(1)}}))
			return vm.fromRaw(reply.Lookup("logComponentVerbosity"))
		}},
		{"getMongo", "", "the connection", func(vm *VM, d *database, _ args) goja.Value { return vm.mongoObject(d.target) }},
		{"getName", "", "this database's name", func(vm *VM, d *database, _ args) goja.Value { return vm.rt.ToValue(d.name) }},
		{"getProfilingStatus", "", "what the server's profiler notes", func(vm *VM, d *database, _ args) goja.Value {
			return vm.documentObject(d.command(bson.D{{Key: "profile", Value: int32(-1)}}))
		}},
		{"getRole", "name, options", "one role, or null", info("rolesInfo", "roles", true)},
		{"getRoles", "options", "the roles", info("rolesInfo", "roles", false)},
		{"getSiblingDB", "name", "another database of the same server", func(vm *VM, d *database, a args) goja.Value {
			return vm.databaseObject(&database{vm: vm, target: d.target, name: a.text(0)})
		}},
		{"getUser", "name, options", "one user, or null", info("usersInfo", "users", true)},
		{"getUsers", "options", "the users", info("usersInfo", "users", false)},
		{"grantPrivilegesToRole", "name, [privileges]", "give a role privileges", withList("grantPrivilegesToRole", "privileges")},
		{"grantRolesToRole", "name, [roles]", "give a role others", withList("grantRolesToRole", "roles")},
		{"grantRolesToUser", "name, [roles]", "give a user roles", withList("grantRolesToUser", "roles")},
		simple("hello", "hello: what the server says of itself", ""),
		{"help", "", "what a database can do", func(vm *VM, _ *database, _ args) goja.Value { return vm.printHelp("Database") }},
		simple("hostInfo", "hostInfo: the server's machine", "admin"),
		simple("isMaster", "isMaster: what the server says of itself", ""),
		{"killOp", "id", "end an operation", func(vm *VM, d *database, a args) goja.Value {
			return vm.documentObject(vm.reply(vm.send(d.target, "admin", bson.D{{Key: "killOp", Value: int32(1)}, {Key: "op", Value: a.raw(0, "id")}})))
		}},
		simple("listCommands", "listCommands: the commands that the server knows", ""),
		{"revokePrivilegesFromRole", "name, [privileges]", "take privileges from a role", withList("revokePrivilegesFromRole", "privileges")},
		{"revokeRolesFromRole", "name, [roles]", "take others from a role", withList("revokeRolesFromRole", "roles")},
		{"revokeRolesFromUser", "name, [roles]", "take roles from a user", withList("revokeRolesFromUser", "roles")},
		{"runCommand", "command", "run any command; it passes the same guard", func(vm *VM, d *database, a args) goja.Value { return runCommand(vm, d, d.name, a) }},
		{"serverBits", "", "32 or 64", func(vm *VM, d *database, _ args) goja.Value {
			return vm.number(vm.reply(vm.send(d.target, "admin", bson.D{{Key: "buildInfo", Value: int32(1)}})).Lookup("bits"))
		}},
		simple("serverBuildInfo", "buildInfo: the server's version", "admin"),
		simple("serverCmdLineOpts", "getCmdLineOpts: how the server was started", "admin"),
		simple("serverStatus", "serverStatus: counters of the server", "admin"),
		{"setProfilingLevel", "level, options", "what the server's profiler notes", func(vm *VM, d *database, a args) goja.Value {
			cmd := bson.D{{Key: "profile", Value: a.raw(0, "level")}}
			if _, isNumber := cmd[0].Value.(bson.RawValue).AsInt64OK(); !isNumber {
				a.fail("the level must be 0, 1 or 2")
			}
			return vm.documentObject(d.command(a.opts(1, "slowms sampleRate filter").copyTo(cmd, "slowms", "sampleRate", "filter")))
		}},
		simple("stats", "dbStats: sizes of this database", ""),
		{"updateRole", "name, { privileges, roles }", "change a role", namedFirst("updateRole")},
		{"updateUser", "name, { pwd, roles }", "change a user", namedFirst("updateUser")},
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
	a.reads = vm.readCommand(a.at(0))
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

// fieldsOf appends a document's fields to a command, but one.
func fieldsOf(a args, cmd bson.D, doc bson.Raw, but string) bson.D {
	elems, err := doc.Elements()
	a.check(err)
	for _, e := range elems {
		if e.Key() != but {
			cmd = append(cmd, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	return cmd
}

// named sends a document whose field key is the command's first value.
func named(command, key string) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		doc := a.doc(0, key)
		name, ok := doc.Lookup(key).StringValueOK()
		if !ok {
			a.fail("the field %s is missing", key)
		}
		cmd := fieldsOf(a, bson.D{{Key: command, Value: name}}, doc, key)
		if wc := a.optDoc(1, "writeConcern"); wc != nil {
			cmd = append(cmd, bson.E{Key: "writeConcern", Value: wc})
		}
		return vm.documentObject(d.command(cmd))
	}
}

// namedFirst sends a name and a document.
func namedFirst(command string) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		return vm.documentObject(d.command(fieldsOf(a, bson.D{{Key: command, Value: a.text(0)}}, a.doc(1, "change"), "")))
	}
}

// withList sends a name, and a list if it has a key.
func withList(command, key string) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		cmd := bson.D{{Key: command, Value: a.text(0)}}
		if key != "" {
			cmd = append(cmd, bson.E{Key: key, Value: a.raw(1, key)})
		}
		return vm.documentObject(d.command(cmd))
	}
}

// info asks for one user or role, or for all.
func info(command, field string, one bool) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		cmd, opts := bson.D{{Key: command, Value: int32(1)}}, 0
		if one {
			cmd[0].Value, opts = a.text(0), 1
		}
		if doc := a.optDoc(opts, "options"); doc != nil {
			cmd = fieldsOf(a, cmd, doc, "")
		}
		reply := d.command(cmd)
		if !one {
			return vm.documentObject(reply)
		}
		if doc, ok := reply.Lookup(field, "0").DocumentOK(); ok {
			return vm.documentObject(doc)
		}
		return goja.Null()
	}
}

func createView(vm *VM, d *database, a args) goja.Value {
	cmd := bson.D{{Key: "create", Value: a.text(0)}, {Key: "viewOn", Value: a.text(1)}, {Key: "pipeline", Value: bson.A{}}}
	if a.has(2) {
		pipeline := bson.A{}
		for i, v := range list(vm, a.at(2)) {
			stage, err := vm.toDocument(v, fmt.Sprintf("pipeline[%d]", i), false)
			a.check(err)
			pipeline = append(pipeline, stage)
		}
		cmd[2].Value = pipeline
	}
	return vm.documentObject(d.command(a.opts(3, "collation").copyTo(cmd, "collation")))
}

// currentOp is an aggregation on admin, as in mongosh. true, or a document with $all, asks for idle connections too; other fields select.
func currentOp(vm *VM, d *database, a args) goja.Value {
	all, match := false, bson.D{}
	if b, ok := exported[bool](a.at(0)); ok {
		all = b
	} else if doc := a.optDoc(0, "options"); doc != nil {
		all = options{elems: elementsOf(a, doc)}.truthy("$all")
		own := options{elems: elementsOf(a, doc)}.truthy("$ownOps")
		for _, e := range elementsOf(a, doc) {
			if e.Key() != "$all" && e.Key() != "$ownOps" {
				match = append(match, bson.E{Key: e.Key(), Value: e.Value()})
			}
		}
		return vm.inProgress(d, bson.D{{Key: "allUsers", Value: !own}, {Key: "idleConnections", Value: all}}, match)
	}
	return vm.inProgress(d, bson.D{{Key: "allUsers", Value: true}, {Key: "idleConnections", Value: all}}, match)
}

func elementsOf(a args, doc bson.Raw) []bson.RawElement {
	elems, err := doc.Elements()
	a.check(err)
	return elems
}

func (vm *VM) inProgress(d *database, stage, match bson.D) goja.Value {
	pipeline := bson.A{bson.D{{Key: "$currentOp", Value: stage}}}
	if len(match) > 0 {
		pipeline = append(pipeline, bson.D{{Key: "$match", Value: match}})
	}
	admin := &database{vm: vm, target: d.target, name: "admin"}
	cur := &cursor{vm: vm, db: admin, command: bson.D{{Key: "aggregate", Value: int32(1)}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: bson.D{}}}}
	ops := bson.A{}
	for doc := cur.nextRaw(); doc != nil; doc = cur.nextRaw() {
		ops = append(ops, doc)
	}
	return vm.fromRaw(rawOf(bson.D{{Key: "inprog", Value: ops}, {Key: "ok", Value: int32(1)}}))
}

func aggregateDatabase(vm *VM, d *database, a args) goja.Value {
	return aggregateOn(vm, d, nil, a)
}

// mongo is mongosh's Mongo: a connection.
type mongo struct {
	fixedObject
	target Target
}

func (vm *VM) mongoObject(t Target) goja.Value {
	obj := vm.rt.NewDynamicObject(&mongo{target: t})
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
		{"getCollection", "namespace", "a collection by database.collection", func(vm *VM, m *mongo, a args) goja.Value {
			db, coll, ok := strings.Cut(a.text(0), ".")
			if !ok || db == "" || coll == "" {
				a.fail("%q is not database.collection", a.text(0))
			}
			return (&database{vm: vm, target: m.target, name: db}).collection(coll)
		}},
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
		{"getReadPrefMode", "", "where is read: the one server", func(vm *VM, _ *mongo, _ args) goja.Value { return vm.rt.ToValue("primary") }},
		{"getURI", "", "which server it is", func(vm *VM, m *mongo, _ args) goja.Value { return vm.rt.ToValue(vm.describeTarget(m.target)) }},
		{"setReadPref", "mode", "where to read: here it is the server that the shell is connected to", func(_ *VM, _ *mongo, a args) goja.Value {
			readPreference(a)
			return goja.Undefined()
		}},
		{"use", "name", "switch to another database", func(vm *VM, m *mongo, a args) goja.Value {
			vm.Use(m.target, a.text(0))
			return vm.rt.ToValue("switched to db " + a.text(0))
		}},
	}
}
