package js

import (
	"fmt"
	"slices"
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
	return vm.shellObject(d, vm.protos.database)
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
	obj := d.vm.shellObject(&collection{vm: d.vm, db: d, name: name}, d.vm.protos.collection)
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
	return command(name, "", help, on, func(args) bson.D { return bson.D{{Key: cmd, Value: int32(1)}} })
}

// command is a method that sends a command made of its arguments, to a database or to its own, and returns the reply.
func command(name, args_, help, on string, cmd func(a args) bson.D) method[*database] {
	return method[*database]{name, args_, help, func(vm *VM, d *database, a args) goja.Value {
		db := d.name
		if on != "" {
			db = on
		}
		return vm.documentObject(vm.reply(vm.send(d.target, db, cmd(a))))
	}}
}

// withFields appends the fields of an optional document to a command.
func (a args) withFields(i int, cmd bson.D) bson.D {
	if doc := a.optDoc(i, "options"); doc != nil {
		return fieldsOf(a, cmd, doc, "")
	}
	return cmd
}

// concern appends the write concern that is the last argument of many methods.
func (a args) concern(i int, cmd bson.D) bson.D {
	if wc := a.optDoc(i, "writeConcern"); wc != nil {
		return append(cmd, bson.E{Key: "writeConcern", Value: wc})
	}
	return cmd
}

func databaseMethods() []method[*database] {
	return []method[*database]{
		{"adminCommand", "command", "run a command on the database admin", func(vm *VM, d *database, a args) goja.Value { return runCommand(vm, d, "admin", a) }},
		{"aggregate", "pipeline, options", "run a pipeline on the database itself", aggregateDatabase},
		command("changeUserPassword", "name, password, writeConcern", "change a password", "", func(a args) bson.D {
			return a.concern(2, bson.D{{Key: "updateUser", Value: a.text(0)}, {Key: "pwd", Value: a.text(1)}})
		}),
		{"checkMetadataConsistency", "options", "whether a cluster's metadata agree", func(vm *VM, d *database, a args) goja.Value {
			cmd := a.opts(0, "checkIndexes").copyTo(bson.D{{Key: "checkMetadataConsistency", Value: int32(1)}}, "checkIndexes")
			return vm.cursorObject(&cursor{vm: vm, db: d, command: cmd})
		}},
		{"createCollection", "name, options", "create a collection", createCollection},
		{"createRole", "{ role, privileges, roles }", "create a role", named("createRole", "role")},
		{"createUser", "{ user, pwd, roles }", "create a user", named("createUser", "user")},
		{"createView", "name, source, pipeline, options", "create a view", createView},
		{"currentOp", "options", "what the server is doing", currentOp},
		command("dropAllRoles", "writeConcern", "drop all roles of this database", "", func(a args) bson.D {
			return a.concern(0, bson.D{{Key: "dropAllRolesFromDatabase", Value: int32(1)}})
		}),
		command("dropAllUsers", "writeConcern", "drop all users of this database", "", func(a args) bson.D {
			return a.concern(0, bson.D{{Key: "dropAllUsersFromDatabase", Value: int32(1)}})
		}),
		command("dropDatabase", "writeConcern", "drop this database", "", func(a args) bson.D {
			return a.concern(0, bson.D{{Key: "dropDatabase", Value: int32(1)}})
		}),
		{"dropRole", "name, writeConcern", "drop a role", withList("dropRole", "")},
		{"dropUser", "name, writeConcern", "drop a user", withList("dropUser", "")},
		command("fsyncLock", "", "let the server write nothing until fsyncUnlock()", "admin", func(args) bson.D { return bson.D{{Key: "fsync", Value: int32(1)}, {Key: "lock", Value: true}} }),
		simple("fsyncUnlock", "fsyncUnlock: let the server write again", "admin"),
		{"getCollection", "name", "a collection by its name", func(vm *VM, d *database, a args) goja.Value {
			name := a.text(0)
			if name == "" {
				a.fail("the name is empty")
			}
			return d.collection(name)
		}},
		{"getCollectionInfos", "filter, options", "collections with their options", func(vm *VM, d *database, a args) goja.Value {
			cmd := bson.D{{Key: "listCollections", Value: int32(1)}}
			if f := a.optDoc(0, "filter"); f != nil {
				cmd = append(cmd, bson.E{Key: "filter", Value: f})
			}
			cmd = a.opts(1, "nameOnly authorizedCollections comment maxTimeMS").copyTo(cmd, "nameOnly authorizedCollections comment maxTimeMS")
			return (&cursor{vm: vm, db: d, command: cmd}).toArray()
		}},
		{"getCollectionNames", "", "names of the collections", func(vm *VM, d *database, _ args) goja.Value {
			var names []any
			for _, n := range d.names() {
				names = append(names, n)
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
		{"getReplicationInfo", "", "how much of the past the oplog holds", func(vm *VM, d *database, a args) goja.Value {
			return vm.fromRaw(rawOf(vm.replicationInfo(d.sibling("local"), a)))
		}},
		{"getRole", "name, options", "one role, or null", info("rolesInfo", "roles", true)},
		{"getRoles", "options", "the roles", info("rolesInfo", "roles", false)},
		{"getSiblingDB", "name", "another database of the same server", func(vm *VM, d *database, a args) goja.Value {
			return vm.databaseObject(d.sibling(a.text(0)))
		}},
		{"getUser", "name, options", "one user, or null", info("usersInfo", "users", true)},
		{"getUsers", "options", "the users", info("usersInfo", "users", false)},
		{"grantPrivilegesToRole", "name, [privileges], writeConcern", "give a role privileges", withList("grantPrivilegesToRole", "privileges")},
		{"grantRolesToRole", "name, [roles], writeConcern", "give a role others", withList("grantRolesToRole", "roles")},
		{"grantRolesToUser", "name, [roles], writeConcern", "give a user roles", withList("grantRolesToUser", "roles")},
		simple("hello", "hello: what the server says of itself", ""),
		{"help", "", "what a database can do", func(vm *VM, _ *database, _ args) goja.Value { return vm.printHelp("Database") }},
		simple("hostInfo", "hostInfo: the server's machine", "admin"),
		simple("isMaster", "isMaster: what the server says of itself", ""),
		{"killOp", "id", "end an operation", func(vm *VM, d *database, a args) goja.Value {
			return vm.documentObject(vm.reply(vm.send(d.target, "admin", bson.D{{Key: "killOp", Value: int32(1)}, {Key: "op", Value: a.raw(0, "id")}})))
		}},
		{"listCommands", "", "the commands that the server knows", func(vm *VM, d *database, _ args) goja.Value {
			return vm.fromRaw(d.command(bson.D{{Key: "listCommands", Value: int32(1)}}).Lookup("commands"))
		}},
		{"printCollectionStats", "scale", "sizes of all collections", func(vm *VM, d *database, a args) goja.Value {
			scale, ok := a.scale(0)
			if !ok {
				scale = rawOf(int32(1))
			}
			out := bson.D{}
			for _, name := range d.names() {
				stats := vm.tried(d, bson.D{{Key: "collStats", Value: name}, {Key: "scale", Value: scale}})
				out = append(out, bson.E{Key: name, Value: stats})
			}
			return vm.fromRaw(rawOf(out))
		}},
		{"printReplicationInfo", "", "how much of the past the oplog holds", func(vm *VM, d *database, a args) goja.Value { return vm.printReplicationInfo(d.sibling("local"), a) }},
		{"printSecondaryReplicationInfo", "", "how far behind the secondaries are", func(vm *VM, d *database, a args) goja.Value { return vm.printSecondaries(d, a) }},
		{"printShardingStatus", "verbose", "the shards and what lies on them", func(vm *VM, _ *database, a args) goja.Value { return vm.shardingStatus(a) }},
		{"revokePrivilegesFromRole", "name, [privileges], writeConcern", "take privileges from a role", withList("revokePrivilegesFromRole", "privileges")},
		{"revokeRolesFromRole", "name, [roles], writeConcern", "take others from a role", withList("revokeRolesFromRole", "roles")},
		{"revokeRolesFromUser", "name, [roles], writeConcern", "take roles from a user", withList("revokeRolesFromUser", "roles")},
		command("rotateCertificates", "message", "read the server's certificates again", "admin", func(a args) bson.D {
			cmd := bson.D{{Key: "rotateCertificates", Value: int32(1)}}
			if a.has(0) {
				cmd = append(cmd, bson.E{Key: "message", Value: a.text(0)})
			}
			return cmd
		}),
		{"runCommand", "command", "run any command; it passes the same guard", func(vm *VM, d *database, a args) goja.Value { return runCommand(vm, d, d.name, a) }},
		{"serverBits", "", "32 or 64", func(vm *VM, d *database, _ args) goja.Value {
			return vm.number(vm.reply(vm.send(d.target, "admin", bson.D{{Key: "buildInfo", Value: int32(1)}})).Lookup("bits"))
		}},
		simple("serverBuildInfo", "buildInfo: the server's version", "admin"),
		simple("serverCmdLineOpts", "getCmdLineOpts: how the server was started", "admin"),
		command("serverStatus", "options", "counters of the server", "admin", func(a args) bson.D {
			return a.withFields(0, bson.D{{Key: "serverStatus", Value: int32(1)}})
		}),
		command("setLogLevel", "level, component", "how much the server logs", "admin", func(a args) bson.D {
			doc := bson.D{{Key: "verbosity", Value: a.whole(0, "level", nil)}}
			if a.has(1) {
				parts := strings.Split(a.text(1), ".")
				for i := len(parts) - 1; i >= 0; i-- {
					doc = bson.D{{Key: parts[i], Value: doc}}
				}
			}
			return bson.D{{Key: "setParameter", Value: int32(1)}, {Key: "logComponentVerbosity", Value: doc}}
		}),
		{"setProfilingLevel", "level, options", "what the server's profiler notes", func(vm *VM, d *database, a args) goja.Value {
			cmd := bson.D{{Key: "profile", Value: a.raw(0, "level")}}
			if n, isNumber := cmd[0].Value.(bson.RawValue).AsInt64OK(); !isNumber || n < 0 || n > 2 {
				a.fail("the level must be 0, 1 or 2")
			}
			if asFloat(a.at(1)) != 0 { // as in the old shell, what takes longer is noted
				return vm.documentObject(d.command(append(cmd, bson.E{Key: "slowms", Value: a.raw(1, "slowms")})))
			}
			return vm.documentObject(d.command(a.opts(1, "slowms sampleRate filter").copyTo(cmd, "slowms sampleRate filter")))
		}},
		{"setSecondaryOk", "", "does nothing: reads go to the server that the shell is connected to", func(*VM, *database, args) goja.Value { return goja.Undefined() }},
		command("shutdownServer", "options", "end the server", "admin", func(a args) bson.D { return a.withFields(0, bson.D{{Key: "shutdown", Value: int32(1)}}) }),
		{"sql", "query, options", "a query in SQL, on Atlas Data Federation", func(vm *VM, d *database, a args) goja.Value {
			o := a.opts(1, aggregateOptions)
			stage := bson.D{{Key: "$sql", Value: bson.D{{Key: "statement", Value: a.text(0)}, {Key: "format", Value: "jdbc"}, {Key: "dialect", Value: "mongosql"}, {Key: "formatVersion", Value: int32(1)}}}}
			cmd := bson.D{{Key: "aggregate", Value: int32(1)}, {Key: "pipeline", Value: bson.A{stage}}, {Key: "cursor", Value: bson.D{}}}
			return vm.cursorObject(&cursor{vm: vm, db: d, command: o.reading(o.copyTo(cmd, aggregateFields)), explained: o.explain()})
		}},
		command("stats", "scale or options", "sizes of this database", "", func(a args) bson.D {
			cmd := bson.D{{Key: "dbStats", Value: int32(1)}}
			if n, ok := a.scale(0); ok {
				return append(cmd, bson.E{Key: "scale", Value: n})
			}
			return a.opts(0, "scale freeStorage").copyTo(cmd, "scale freeStorage")
		}),
		{"updateRole", "name, { privileges, roles }, writeConcern", "change a role", namedFirst("updateRole")},
		{"updateUser", "name, { pwd, roles }, writeConcern", "change a user", namedFirst("updateUser")},
		{"version", "", "the server's version", func(vm *VM, d *database, _ args) goja.Value {
			reply := vm.reply(vm.send(d.target, "admin", bson.D{{Key: "buildInfo", Value: int32(1)}}))
			return vm.fromRaw(reply.Lookup("version"))
		}},
		{"watch", "pipeline, options", "changes of this database as they happen", func(vm *VM, d *database, a args) goja.Value {
			return watch(vm, d, int32(1), d.name, a, nil)
		}},
	}
}

// sibling is another database of the same connection.
func (d *database) sibling(name string) *database {
	return &database{vm: d.vm, target: d.target, name: name}
}

// names are the collections' names.
func (d *database) names() (out []string) {
	c := &cursor{vm: d.vm, db: d, command: bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "nameOnly", Value: true}}}
	for doc := c.nextRaw(); doc != nil; doc = c.nextRaw() {
		name, _ := doc.Lookup("name").StringValueOK()
		out = append(out, name)
	}
	return out
}

// tried is the reply of a command, or what the server said instead.
func (vm *VM) tried(d *database, cmd bson.D) (reply bson.Raw) {
	ex := vm.rt.Try(func() { reply = d.command(cmd) })
	if ex != nil {
		return rawOf(bson.D{{Key: "ok", Value: int32(0)}, {Key: "errmsg", Value: vm.errorText(ex.Value())}}).Document()
	}
	return reply
}

// runCommand sends a document as it is, or {name: 1} for a name.
func runCommand(vm *VM, d *database, db string, a args) goja.Value {
	if name, ok := exported[string](a.at(0)); ok {
		return vm.documentObject(vm.reply(vm.send(d.target, db, bson.D{{Key: name, Value: int32(1)}})))
	}
	a.need(0, "command")
	a.opts(1, "readPreference").reading(nil)
	orderMatters(a, 0, "command")
	a.reads = vm.readCommand(a.at(0))
	r, err := vm.run1(d.target, db, a.doc(0, "command"))
	if failed := asServer(err); failed != nil && at(failed.Reply, "writeErrors", 0).Type != 0 {
		return vm.documentObject(failed.Reply) // a reply like any other: its ok is 1
	}
	if err != nil {
		vm.throw(err)
	}
	var raw bson.Raw
	if vm.outside(func() { raw, err = r.Known(vm.ctx, true) }); err != nil {
		vm.throw(err)
	}
	if raw == nil {
		raw = vm.reply(r)
	}
	return vm.documentObject(raw)
}

// orderMatters refuses a JavaScript object whose field order the language has changed: keys like "1" come first, whatever was typed.
func orderMatters(a args, i int, what string) {
	obj, ok := a.at(i).(*goja.Object)
	if !ok {
		return
	}
	switch inner(obj).(type) {
	case *document:
		return // it has kept its order
	case goja.Proxy:
		return // the conversion refuses it; asking for its keys would run a script's code
	}
	keys := obj.Keys()
	for _, k := range keys {
		if len(keys) > 1 && k != "" && strings.Trim(k, "0123456789") == "" {
			a.check(&Refusal{Text: what + " has a field called " + k + ", which JavaScript puts first, whatever was typed", Hint: "the order of the fields matters here"})
		}
	}
}

// Source: https://www.mongodb.com/docs/manual/reference/command/create/
const createOptions = "capped timeseries expireAfterSeconds clusteredIndex changeStreamPreAndPostImages recordPreImages autoIndexId size max storageEngine validator validationLevel validationAction " +
	"indexOptionDefaults viewOn pipeline collation writeConcern encryptedFields comment maxTimeMS"

func createCollection(vm *VM, d *database, a args) goja.Value {
	return vm.documentObject(d.command(a.opts(1, createOptions).copyTo(bson.D{{Key: "create", Value: a.text(0)}}, createOptions)))
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
		return vm.documentObject(d.command(a.concern(1, fieldsOf(a, bson.D{{Key: command, Value: name}}, doc, key))))
	}
}

// namedFirst sends a name and a document.
func namedFirst(command string) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		return vm.documentObject(d.command(a.concern(2, fieldsOf(a, bson.D{{Key: command, Value: a.text(0)}}, a.doc(1, "change"), ""))))
	}
}

// withList sends a name, and a list if it has a key.
func withList(command, key string) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		cmd, next := bson.D{{Key: command, Value: a.text(0)}}, 1
		if key != "" {
			cmd, next = append(cmd, bson.E{Key: key, Value: a.raw(1, key)}), 2
		}
		return vm.documentObject(d.command(a.concern(next, cmd)))
	}
}

// info asks for one user or role, or for all.
func info(command, field string, one bool) func(*VM, *database, args) goja.Value {
	return func(vm *VM, d *database, a args) goja.Value {
		cmd, opts := bson.D{{Key: command, Value: int32(1)}}, 0
		if one {
			cmd[0].Value, opts = a.text(0), 1
		}
		known := map[string]string{"usersInfo": "showCredentials showCustomData showPrivileges showAuthenticationRestrictions filter", "rolesInfo": "showPrivileges showBuiltinRoles showAuthenticationRestrictions"}[command]
		reply := d.command(a.opts(opts, known).copyTo(cmd, known))
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
	return vm.documentObject(d.command(a.opts(3, "collation writeConcern comment").copyTo(cmd, "collation writeConcern comment")))
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
	return vm.shellObject(&mongo{target: t}, vm.protos.mongo)
}

func mongoMethods() []method[*mongo] {
	getDB := func(vm *VM, m *mongo, a args) goja.Value {
		return vm.databaseObject(&database{vm: vm, target: m.target, name: a.text(0)})
	}
	list := func(vm *VM, m *mongo, a args) bson.Raw {
		const known = "filter nameOnly authorizedDatabases comment maxTimeMS"
		return vm.reply(vm.send(m.target, "admin", a.opts(0, known).copyTo(bson.D{{Key: "listDatabases", Value: int32(1)}}, known)))
	}
	nothing := func(name, help string) method[*mongo] {
		return method[*mongo]{name, "", help, func(*VM, *mongo, args) goja.Value { return goja.Undefined() }}
	}
	return []method[*mongo]{
		{"bulkWrite", "operations, options", "writes in several collections at once", clientBulkWrite},
		nothing("close", "does nothing: the shell closes it when the session ends"),
		{"convertShardKeyToHashed", "value", "the hash by which a hashed index has a value", func(vm *VM, m *mongo, a args) goja.Value { return hashed(vm, m.target, a) }},
		{"getCollection", "namespace", "a collection by database.collection", func(vm *VM, m *mongo, a args) goja.Value {
			db, coll, ok := strings.Cut(a.text(0), ".")
			if !ok || db == "" || coll == "" {
				a.fail("%q is not database.collection", a.text(0))
			}
			return (&database{vm: vm, target: m.target, name: db}).collection(coll)
		}},
		{"getDB", "name", "a database", getDB},
		{"getDBNames", "options", "names of the databases", func(vm *VM, m *mongo, a args) goja.Value {
			var names []any
			if arr, ok := list(vm, m, a).Lookup("databases").ArrayOK(); ok {
				values, _ := arr.Values()
				for _, v := range values {
					name, _ := doc(v).Lookup("name").StringValueOK()
					names = append(names, name)
				}
			}
			return vm.rt.NewArray(names...)
		}},
		{"getDBs", "options", "the databases with their sizes", func(vm *VM, m *mongo, a args) goja.Value { return vm.documentObject(list(vm, m, a)) }},
		nothing("getReadConcern", "undefined: the server's own"),
		{"getReadPref", "", "where is read: the one server", func(vm *VM, _ *mongo, _ args) goja.Value {
			return vm.fromRaw(rawOf(bson.D{{Key: "mode", Value: "primary"}}))
		}},
		{"getReadPrefMode", "", "where is read: the one server", func(vm *VM, _ *mongo, _ args) goja.Value { return vm.rt.ToValue("primary") }},
		nothing("getReadPrefTagSet", "undefined: there is one server"),
		{"getURI", "", "which server it is", func(vm *VM, m *mongo, _ args) goja.Value { return vm.rt.ToValue(vm.describeTarget(m.target)) }},
		nothing("getWriteConcern", "undefined: the gate's own"),
		{"help", "", "what a connection can do", func(vm *VM, _ *mongo, _ args) goja.Value { return vm.printHelp("Mongo") }},
		{"setReadPref", "mode", "where to read: here it is the server that the shell is connected to", func(_ *VM, _ *mongo, a args) goja.Value {
			a.vm.readPreference(a, a.text(0))
			return goja.Undefined()
		}},
		nothing("setSecondaryOk", "does nothing: reads go to the server that the shell is connected to"),
		nothing("setSlaveOk", "does nothing: reads go to the server that the shell is connected to"),
		{"show", "what, name", "what show prints: dbs, collections, users, roles, profile, log, logs, startupWarnings", show},
		{"startSession", "options", "a session, without transactions", startSession},
		{"use", "name", "switch to another database", func(vm *VM, m *mongo, a args) goja.Value {
			vm.Use(m.target, a.text(0))
			return vm.rt.ToValue("switched to db " + a.text(0))
		}},
		{"watch", "pipeline, options", "changes of all databases as they happen", func(vm *VM, m *mongo, a args) goja.Value {
			return watch(vm, &database{vm: vm, target: m.target, name: "admin"}, int32(1), vm.describeTarget(m.target), a, bson.D{{Key: "allChangesForCluster", Value: true}})
		}},
	}
}

// hashed asks the server how a hashed index has a value.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/toHashedIndexKey/
func hashed(vm *VM, t Target, a args) goja.Value {
	d := &database{vm: vm, target: t, name: "admin"}
	cur := &cursor{vm: vm, db: d, command: bson.D{{Key: "aggregate", Value: int32(1)}, {Key: "pipeline", Value: bson.A{
		bson.D{{Key: "$documents", Value: bson.A{bson.D{}}}}, bson.D{{Key: "$project", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$toHashedIndexKey", Value: bson.D{{Key: "$literal", Value: a.raw(0, "value")}}}}}}}},
	}}, {Key: "cursor", Value: bson.D{}}}}
	doc := cur.nextRaw()
	if doc == nil {
		a.cannot("the server says no hash")
	}
	return vm.fromRaw(doc.Lookup("_id"))
}

// show is what the word show prints, as values.
// Source: https://www.mongodb.com/docs/mongodb-shell/reference/access-mdb-shell-help/
func show(vm *VM, m *mongo, a args) goja.Value {
	_, name := vm.Database()
	d := &database{vm: vm, target: m.target, name: name}
	admin := d.sibling("admin")
	switch what := a.text(0); what {
	case "databases", "dbs":
		return vm.fromRaw(admin.command(bson.D{{Key: "listDatabases", Value: int32(1)}}).Lookup("databases"))
	case "collections", "tables":
		return (&cursor{vm: vm, db: d, command: bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "nameOnly", Value: true}}}).toArray()
	case "users":
		return vm.fromRaw(d.command(bson.D{{Key: "usersInfo", Value: int32(1)}}).Lookup("users"))
	case "roles":
		return vm.fromRaw(d.command(bson.D{{Key: "rolesInfo", Value: int32(1)}, {Key: "showPrivileges", Value: true}, {Key: "showBuiltinRoles", Value: true}}).Lookup("roles"))
	case "profile":
		return (&cursor{vm: vm, db: d, command: bson.D{{Key: "find", Value: "system.profile"}, {Key: "filter", Value: bson.D{{Key: "millis", Value: bson.D{{Key: "$gt", Value: int32(0)}}}}},
			{Key: "sort", Value: bson.D{{Key: "$natural", Value: int32(-1)}}}, {Key: "limit", Value: int64(5)}, {Key: "singleBatch", Value: true}}}).toArray()
	case "logs":
		return vm.fromRaw(admin.command(bson.D{{Key: "getLog", Value: "*"}}).Lookup("names"))
	case "log", "startupWarnings":
		which := map[string]string{"log": "global", "startupWarnings": "startupWarnings"}[what]
		if what == "log" && a.has(1) {
			which = a.text(1)
		}
		return vm.fromRaw(admin.command(bson.D{{Key: "getLog", Value: which}}).Lookup("log"))
	default:
		a.fail("there is nothing called %q to show: dbs, collections, users, roles, profile, log, logs, startupWarnings", what)
	}
	return nil
}

// clientBulkWrite is the bulkWrite of a connection: a namespace in each operation.
// Source: https://www.mongodb.com/docs/manual/reference/method/Mongo.bulkWrite/, …/command/bulkWrite/
func clientBulkWrite(vm *VM, m *mongo, a args) goja.Value {
	a.need(0, "array of operations")
	o := a.opts(1, writeOptions+"ordered bypassDocumentValidation let verboseResults")
	ops, spaces, index := bson.A{}, bson.A{}, map[string]int32{}
	for i, v := range list(vm, a.at(0)) {
		at := fmt.Sprintf("operations[%d]", i)
		doc, err := vm.toDocument(v, at, false)
		a.check(err)
		kind, _ := doc.Lookup("name").StringValueOK()
		ns, ok := doc.Lookup("namespace").StringValueOK()
		if db, coll, cut := strings.Cut(ns, "."); !ok || !cut || db == "" || coll == "" {
			a.fail("%s: the namespace must be database.collection", at)
		}
		if _, known := index[ns]; !known {
			index[ns] = int32(len(spaces))
			spaces = append(spaces, bson.D{{Key: "ns", Value: ns}})
		}
		spec := rawOf(bson.D{{Key: kind, Value: fieldsBut(a, doc, "name", "namespace")}}).Document()
		ops = append(ops, clientOperation(bulkOperation(vm, a, at, spec), index[ns]))
	}
	if len(ops) == 0 {
		a.fail("the array is empty")
	}
	cmd := bson.D{{Key: "bulkWrite", Value: int32(1)}, {Key: "ops", Value: ops}, {Key: "nsInfo", Value: spaces}, {Key: "errorsOnly", Value: !o.truthy("verboseResults")}}
	r := vm.send(m.target, "admin", o.copyTo(cmd, "ordered bypassDocumentValidation let writeConcern comment maxTimeMS"))
	l := &lazy{}
	l.add("acknowledged", func() goja.Value { return vm.rt.ToValue(true) })
	for _, f := range [][2]string{{"insertedCount", "nInserted"}, {"matchedCount", "nMatched"}, {"modifiedCount", "nModified"}, {"deletedCount", "nDeleted"}, {"upsertedCount", "nUpserted"}} {
		l.add(f[0], func() goja.Value { return vm.number(vm.reply(r).Lookup(f[1])) })
	}
	return vm.rt.NewDynamicObject(l)
}

// fieldsBut are a document's fields but some.
func fieldsBut(a args, doc bson.Raw, but ...string) bson.D {
	out := bson.D{}
	for _, e := range elementsOf(a, doc) {
		if !slices.Contains(but, e.Key()) {
			out = append(out, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	return out
}

// clientOperation is an operation as the command bulkWrite has it: its fields have other names there.
func clientOperation(op bulkOp, ns int32) bson.D {
	if op.command == "insert" {
		return bson.D{{Key: "insert", Value: ns}, {Key: "document", Value: op.what}}
	}
	out := bson.D{{Key: op.command, Value: ns}}
	for _, e := range op.what.(bson.D) {
		switch e.Key {
		case "q":
			e.Key = "filter"
		case "u":
			e.Key = "updateMods"
		case "limit":
			e = bson.E{Key: "multi", Value: e.Value == int32(0)}
		}
		out = append(out, e)
	}
	return out
}
