package js

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// replicaSet is mongosh's rs, sharding its sh. What changes something is sent as the command that the manual documents: the gate decides.
type replicaSet struct{ fixedObject }

type sharding struct{ fixedObject }

// onAdmin sends a command to the database admin of the current connection.
func (vm *VM) onAdmin(cmd bson.D) bson.Raw {
	t, _ := vm.Database()
	return vm.reply(vm.send(t, "admin", cmd))
}

// here is a database of the current connection.
func (vm *VM) here(name string) *database {
	t, _ := vm.Database()
	return &database{vm: vm, target: t, name: name}
}

// config is a collection of the cluster's metadata.
func (vm *VM) config(name string) *collection {
	d := vm.here("config")
	return &collection{vm: vm, db: d, name: name}
}

// admin is a method that sends {command: 1} and returns the reply, or a field of it.
func admin[T any](name, command, field, help string) method[T] {
	return method[T]{name, "", help, func(vm *VM, _ T, _ args) goja.Value {
		reply := vm.onAdmin(bson.D{{Key: command, Value: int32(1)}})
		if field == "" {
			return vm.documentObject(reply)
		}
		return vm.fromRaw(reply.Lookup(field))
	}}
}

// sends is a method that sends a command made of its arguments to admin, and returns the reply.
func sends[T any](name, args_, help string, command func(a args) bson.D) method[T] {
	return method[T]{name, args_, help, func(vm *VM, _ T, a args) goja.Value { return vm.documentObject(vm.onAdmin(command(a))) }}
}

// one is a command whose only argument is its first value.
func one(command string) func(a args) bson.D {
	return func(a args) bson.D { return bson.D{{Key: command, Value: a.text(0)}} }
}

// whole is an argument that must be a number, or what stands for it.
func (a args) whole(i int, what string, otherwise any) any {
	if !a.has(i) && otherwise != nil {
		return otherwise
	}
	n := a.raw(i, what)
	if _, ok := n.AsFloat64OK(); !ok {
		a.fail("the %s must be a number", what)
	}
	return n
}

func replicaSetMethods() []method[*replicaSet] {
	return []method[*replicaSet]{
		{"add", "host or { host, … }, arbiter", "add a member", func(vm *VM, _ *replicaSet, a args) goja.Value { return vm.reconfig(addMember(vm, a, a.at(1))) }},
		{"addArb", "host", "add an arbiter", func(vm *VM, _ *replicaSet, a args) goja.Value {
			return vm.reconfig(addMember(vm, a, vm.rt.ToValue(true)))
		}},
		admin[*replicaSet]("conf", "replSetGetConfig", "config", "the set's configuration"),
		admin[*replicaSet]("config", "replSetGetConfig", "config", "the set's configuration"),
		sends[*replicaSet]("freeze", "seconds", "let this member not become primary", func(a args) bson.D { return bson.D{{Key: "replSetFreeze", Value: a.whole(0, "seconds", nil)}} }),
		admin[*replicaSet]("hello", "hello", "", "what the server says of itself"),
		{"help", "", "what rs can do", func(vm *VM, _ *replicaSet, _ args) goja.Value { return vm.printHelp("rs") }},
		sends[*replicaSet]("initiate", "configuration", "make a replica set", func(a args) bson.D {
			config := a.optDoc(0, "configuration")
			if config == nil {
				config = bson.Raw{5, 0, 0, 0, 0}
			}
			return bson.D{{Key: "replSetInitiate", Value: config}}
		}),
		admin[*replicaSet]("isMaster", "isMaster", "", "what the server says of itself"),
		{"printReplicationInfo", "", "how much of the past the oplog holds", func(vm *VM, _ *replicaSet, a args) goja.Value { return vm.printReplicationInfo(vm.here("local"), a) }},
		{"printSecondaryReplicationInfo", "", "how far behind the secondaries are", func(vm *VM, _ *replicaSet, a args) goja.Value { return vm.printSecondaries(vm.here("local"), a) }},
		{"reconfig", "configuration, options", "change the set's configuration", func(vm *VM, _ *replicaSet, a args) goja.Value {
			version, _ := vm.setConfig(a).Lookup("version").AsInt64OK()
			out := fieldsOf(a, bson.D{}, a.doc(0, "configuration"), "version")
			cmd := bson.D{{Key: "replSetReconfig", Value: append(out, bson.E{Key: "version", Value: int32(version + 1)})}}
			return vm.documentObject(vm.onAdmin(a.opts(1, "force maxTimeMS").copyTo(cmd, "force maxTimeMS")))
		}},
		{"remove", "host", "take a member out", func(vm *VM, _ *replicaSet, a args) goja.Value {
			host := a.text(0)
			return vm.reconfig(changeMembers(vm, a, func(members []bson.RawValue) bson.A {
				out := bson.A{}
				for _, m := range members {
					if h, _ := doc(m).Lookup("host").StringValueOK(); h != host {
						out = append(out, m)
					}
				}
				if len(out) == len(members) {
					a.cannot("%s is no member of this set", host)
				}
				return out
			}))
		}},
		{"secondaryOk", "", "does nothing: reads go to the server that the shell is connected to", func(*VM, *replicaSet, args) goja.Value { return goja.Undefined() }},
		admin[*replicaSet]("status", "replSetGetStatus", "", "the set's members"),
		sends[*replicaSet]("stepDown", "seconds, secondsToCatchUp", "let another member become primary", func(a args) bson.D {
			cmd := bson.D{{Key: "replSetStepDown", Value: a.whole(0, "seconds", int32(60))}}
			if a.has(1) {
				cmd = append(cmd, bson.E{Key: "secondaryCatchUpPeriodSecs", Value: a.whole(1, "seconds to catch up", nil)})
			}
			return cmd
		}),
		sends[*replicaSet]("syncFrom", "host", "let this member copy from another", one("replSetSyncFrom")),
	}
}

// setConfig is the set's configuration.
func (vm *VM) setConfig(a args) bson.Raw {
	doc, ok := vm.onAdmin(bson.D{{Key: "replSetGetConfig", Value: int32(1)}}).Lookup("config").DocumentOK()
	if !ok {
		a.cannot("the server says no configuration of a replica set")
	}
	return doc
}

func (vm *VM) reconfig(config bson.D) goja.Value {
	return vm.documentObject(vm.onAdmin(bson.D{{Key: "replSetReconfig", Value: config}}))
}

// changeMembers is the set's configuration with other members, and the next version.
func changeMembers(vm *VM, a args, change func([]bson.RawValue) bson.A) bson.D {
	out := bson.D{}
	for _, e := range elementsOf(a, vm.setConfig(a)) {
		v := any(e.Value())
		switch e.Key() {
		case "version":
			n, _ := e.Value().AsInt64OK()
			v = int32(n + 1)
		case "members":
			arr, ok := e.Value().ArrayOK()
			if !ok {
				a.cannot("the server names no members")
			}
			members, err := arr.Values()
			a.check(err)
			v = change(members)
		}
		out = append(out, bson.E{Key: e.Key(), Value: v})
	}
	return out
}

// addMember: a host, or a member's document; its _id is the next one unless it has one.
func addMember(vm *VM, a args, arbiter goja.Value) bson.D {
	member := bson.D{}
	if host, ok := exported[string](a.at(0)); ok {
		member = bson.D{{Key: "host", Value: host}}
		if b, _ := exported[bool](arbiter); b {
			member = append(member, bson.E{Key: "arbiterOnly", Value: true})
		}
	} else {
		member = fieldsOf(a, member, a.doc(0, "member"), "")
	}
	return changeMembers(vm, a, func(members []bson.RawValue) (out bson.A) {
		next := int64(0)
		for _, m := range members {
			if id, ok := doc(m).Lookup("_id").AsInt64OK(); ok {
				next = max(next, id+1)
			}
			out = append(out, m)
		}
		if rawOf(member).Document().Lookup("_id").Type == 0 {
			member = append(bson.D{{Key: "_id", Value: int32(next)}}, member...)
		}
		return append(out, member)
	})
}

// replicationInfo is what the oplog holds, in the fields of mongosh's getReplicationInfo.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.getReplicationInfo/
func (vm *VM) replicationInfo(local *database, a args) bson.D {
	oplog := &collection{vm: vm, db: local, name: "oplog.rs"}
	if oplog.info() == nil {
		a.cannot("there is no oplog: this server is no member of a replica set")
	}
	stats := oplog.reply(bson.D{{Key: "collStats", Value: oplog.name}})
	edge := func(order int32) int64 {
		cur := &cursor{vm: vm, db: local, command: bson.D{{Key: "find", Value: oplog.name}, {Key: "filter", Value: bson.D{}}, {Key: "sort", Value: bson.D{{Key: "$natural", Value: order}}}, {Key: "limit", Value: int64(1)}, {Key: "singleBatch", Value: true}}}
		doc := cur.nextRaw()
		t, _, ok := doc.Lookup("ts").TimestampOK()
		if !ok {
			a.cannot("the oplog is empty")
		}
		return int64(t)
	}
	first, last := edge(1), edge(-1)
	mb := func(name string) float64 { n, _ := stats.Lookup(name).AsFloat64OK(); return n / (1 << 20) }
	return bson.D{
		{Key: "configuredLogSizeMB", Value: mb("maxSize")}, {Key: "logSizeMB", Value: max(mb("maxSize"), mb("size"))}, {Key: "usedMB", Value: mb("size")},
		{Key: "timeDiff", Value: last - first}, {Key: "timeDiffHours", Value: float64((last-first)/36) / 100},
		{Key: "tFirst", Value: bson.DateTime(first * 1000)}, {Key: "tLast", Value: bson.DateTime(last * 1000)},
	}
}

func (vm *VM) printReplicationInfo(local *database, a args) goja.Value {
	info := rawOf(vm.replicationInfo(local, a)).Document()
	number := func(name string) float64 { return info.Lookup(name).AsFloat64() }
	return vm.fromRaw(rawOf(bson.D{
		{Key: "actual oplog size", Value: fmt.Sprintf("%g MB", number("logSizeMB"))}, {Key: "configured oplog size", Value: fmt.Sprintf("%g MB", number("configuredLogSizeMB"))},
		{Key: "log length start to end", Value: fmt.Sprintf("%g secs (%g hrs)", number("timeDiff"), number("timeDiffHours"))},
		{Key: "oplog first event time", Value: info.Lookup("tFirst")}, {Key: "oplog last event time", Value: info.Lookup("tLast")},
	}))
}

// printSecondaries says for each secondary how far it is behind the primary, or behind the member that is furthest.
func (vm *VM) printSecondaries(local *database, a args) goja.Value {
	const primary, arbiter = 1, 7
	arr, ok := vm.reply(vm.send(local.target, "admin", bson.D{{Key: "replSetGetStatus", Value: int32(1)}})).Lookup("members").ArrayOK()
	if !ok {
		a.cannot("the server names no members of a replica set")
	}
	members, err := arr.Values()
	a.check(err)
	newest, of := int64(0), "the freshest member (no primary available at the moment)"
	for _, m := range members {
		at, _ := doc(m).Lookup("optimeDate").DateTimeOK()
		if state, _ := doc(m).Lookup("state").AsInt64OK(); state == primary {
			newest, of = at, "the primary"
			break
		}
		newest = max(newest, at)
	}
	out := bson.D{}
	for _, m := range members {
		member := doc(m)
		state, _ := member.Lookup("state").AsInt64OK()
		if state == primary || state == arbiter {
			continue
		}
		name, _ := member.Lookup("name").StringValueOK()
		at, ok := member.Lookup("optimeDate").DateTimeOK()
		said := bson.D{{Key: "no replication info, yet. State", Value: orNull(member.Lookup("stateStr"))}}
		if health, _ := member.Lookup("health").AsFloat64OK(); ok && health != 0 {
			behind := (newest - at) / 1000
			said = bson.D{{Key: "syncedTo", Value: bson.DateTime(at)}, {Key: "replLag", Value: fmt.Sprintf("%d secs (%g hrs) behind %s", behind, float64(behind/36)/100, of)}}
		}
		out = append(out, bson.E{Key: "source: " + name, Value: said})
	}
	return vm.fromRaw(rawOf(out))
}

// zone is updateZoneKeyRange; none takes the range out of its zone.
func zone(none bool) func(a args) bson.D {
	return func(a args) bson.D {
		cmd := bson.D{{Key: "updateZoneKeyRange", Value: a.text(0)}, {Key: "min", Value: a.doc(1, "lower end")}, {Key: "max", Value: a.doc(2, "upper end")}}
		if none || (len(a.values) > 3 && goja.IsNull(a.at(3))) {
			return append(cmd, bson.E{Key: "zone", Value: nil})
		}
		return append(cmd, bson.E{Key: "zone", Value: a.text(3)})
	}
}

// two is a command of two texts.
func two(command, second string) func(a args) bson.D {
	return func(a args) bson.D { return bson.D{{Key: command, Value: a.text(0)}, {Key: second, Value: a.text(1)}} }
}

// shard is shardCollection or reshardCollection: the third argument is unique, or options.
func shard(command string) func(a args) bson.D {
	return func(a args) bson.D {
		orderMatters(a, 1, "the shard key")
		cmd := bson.D{{Key: command, Value: a.text(0)}, {Key: "key", Value: a.doc(1, "shard key")}}
		opts := 2
		if unique, ok := exported[bool](a.at(2)); ok {
			cmd, opts = append(cmd, bson.E{Key: "unique", Value: unique}), 3
		} else if !a.has(2) {
			opts = 3
		}
		const known = "unique numInitialChunks presplitHashedZones collation timeseries implicitlyCreateIndex enforceUniquenessCheck zones forceRedistribution reshardingUUID shardDistribution relaxed"
		return a.opts(opts, known).copyTo(cmd, known)
	}
}

// setting is a method that changes a document of the cluster's configuration, as mongosh does.
func setting(name, args_, help, coll string, filter, set func(a args) bson.D, upsert bool) method[*sharding] {
	return method[*sharding]{name, args_, help, func(vm *VM, _ *sharding, a args) goja.Value {
		c := vm.config(coll)
		s := bson.D{{Key: "q", Value: filter(a)}, {Key: "u", Value: bson.D{{Key: "$set", Value: set(a)}}}, {Key: "multi", Value: false}}
		if upsert {
			s = append(s, bson.E{Key: "upsert", Value: true})
		}
		return vm.updateResult(c.send(bson.D{{Key: "update", Value: coll}, {Key: "updates", Value: bson.A{s}}, {Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: int32(30000)}}}}))
	}}
}

func shardingMethods() []method[*sharding] {
	is := func(key string, v any) func(args) bson.D {
		return func(args) bson.D { return bson.D{{Key: key, Value: v}} }
	}
	namespace := func(a args) bson.D { return bson.D{{Key: "_id", Value: a.text(0)}} }
	balancer := func(command string) func(a args) bson.D {
		return func(a args) bson.D {
			return bson.D{{Key: command, Value: int32(1)}, {Key: "maxTimeMS", Value: a.whole(0, "milliseconds", int32(60000))}}
		}
	}
	migrations := func(allow bool) func(a args) bson.D {
		return func(a args) bson.D {
			return bson.D{{Key: "setAllowMigrations", Value: a.text(0)}, {Key: "allowMigrations", Value: allow}}
		}
	}
	at := func(command, key string) func(a args) bson.D {
		return func(a args) bson.D { return bson.D{{Key: command, Value: a.text(0)}, {Key: key, Value: a.doc(1, key)}} }
	}
	return []method[*sharding]{
		sends[*sharding]("abortMoveCollection", "namespace", "stop moving a collection", one("abortMoveCollection")),
		sends[*sharding]("abortReshardCollection", "namespace", "stop resharding a collection", one("abortReshardCollection")),
		sends[*sharding]("abortUnshardCollection", "namespace", "stop unsharding a collection", one("abortUnshardCollection")),
		sends[*sharding]("addShard", "host", "add a shard", one("addShard")),
		sends[*sharding]("addShardTag", "shard, zone", "put a shard into a zone", two("addShardToZone", "zone")),
		sends[*sharding]("addShardToZone", "shard, zone", "put a shard into a zone", two("addShardToZone", "zone")),
		sends[*sharding]("addTagRange", "namespace, min, max, zone", "put a range of keys into a zone", zone(false)),
		sends[*sharding]("balancerCollectionStatus", "namespace", "whether a collection is balanced", one("balancerCollectionStatus")),
		{"checkMetadataConsistency", "options", "whether the cluster's metadata agree", func(vm *VM, _ *sharding, a args) goja.Value {
			cmd := a.opts(0, "checkIndexes").copyTo(bson.D{{Key: "checkMetadataConsistency", Value: int32(1)}}, "checkIndexes")
			return vm.cursorObject(&cursor{vm: vm, db: vm.here("admin"), command: cmd})
		}},
		sends[*sharding]("commitReshardCollection", "namespace", "finish resharding a collection", one("commitReshardCollection")),
		setting("disableAutoMerger", "namespace", "let chunks of a collection not be merged", "collections", namespace, is("enableAutoMerge", false), false),
		setting("disableAutoSplit", "", "let chunks not be split", "settings", is("_id", "autosplit"), is("enabled", false), true),
		setting("disableBalancing", "namespace", "leave a collection where it is", "collections", namespace, is("noBalance", true), false),
		sends[*sharding]("disableMigrations", "namespace", "let no chunk of a collection be moved", migrations(false)),
		setting("enableAutoMerger", "namespace", "let chunks of a collection be merged", "collections", namespace, is("enableAutoMerge", true), false),
		setting("enableAutoSplit", "", "let chunks be split", "settings", is("_id", "autosplit"), is("enabled", true), true),
		setting("enableBalancing", "namespace", "let a collection be balanced", "collections", namespace, is("noBalance", false), false),
		sends[*sharding]("enableMigrations", "namespace", "let chunks of a collection be moved", migrations(true)),
		sends[*sharding]("enableSharding", "database, primaryShard", "let a database have sharded collections", func(a args) bson.D {
			cmd := one("enableSharding")(a)
			if a.has(1) {
				cmd = append(cmd, bson.E{Key: "primaryShard", Value: a.text(1)})
			}
			return cmd
		}),
		{"getBalancerState", "", "whether the balancer is on", func(vm *VM, _ *sharding, _ args) goja.Value {
			mode, _ := vm.onAdmin(bson.D{{Key: "balancerStatus", Value: int32(1)}}).Lookup("mode").StringValueOK()
			return vm.rt.ToValue(mode == "full")
		}},
		{"getShardedDataDistribution", "options", "how data lie on the shards", func(vm *VM, _ *sharding, a args) goja.Value {
			o := a.opts(0, aggregateOptions)
			cmd := bson.D{{Key: "aggregate", Value: int32(1)}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$shardedDataDistribution", Value: bson.D{}}}}}, {Key: "cursor", Value: bson.D{}}}
			return vm.cursorObject(&cursor{vm: vm, db: vm.here("admin"), command: o.reading(o.copyTo(cmd, aggregateFields)), explained: o.explain()})
		}},
		admin[*sharding]("getTransitionToDedicatedConfigServerStatus", "getTransitionToDedicatedConfigServerStatus", "", "how far the config server's change is"),
		{"help", "", "what sh can do", func(vm *VM, _ *sharding, _ args) goja.Value { return vm.printHelp("sh") }},
		{"isAutoMergerEnabled", "", "whether chunks are merged", func(vm *VM, _ *sharding, _ args) goja.Value {
			doc := vm.config("settings").first(bson.D{{Key: "_id", Value: "automerge"}})
			on, isBool := doc.Lookup("enabled").BooleanOK()
			return vm.rt.ToValue(on || !isBool)
		}},
		admin[*sharding]("isBalancerRunning", "balancerStatus", "", "what the balancer does"),
		{"isConfigShardEnabled", "", "whether the config server is a shard too", func(vm *VM, _ *sharding, _ args) goja.Value {
			doc := vm.config("shards").first(bson.D{{Key: "_id", Value: "config"}})
			out := bson.D{{Key: "enabled", Value: doc != nil}}
			if doc != nil {
				out = fieldsOf(args{vm: vm}, out, doc, "_id")
			}
			return vm.fromRaw(rawOf(out))
		}},
		{"listShards", "filter", "the shards", func(vm *VM, _ *sharding, a args) goja.Value {
			cmd := bson.D{{Key: "listShards", Value: int32(1)}}
			if f := a.optDoc(0, "filter"); f != nil {
				cmd = append(cmd, bson.E{Key: "filter", Value: f})
			}
			return vm.fromRaw(vm.onAdmin(cmd).Lookup("shards"))
		}},
		sends[*sharding]("moveChunk", "namespace, query, shard", "move a chunk", func(a args) bson.D {
			return bson.D{{Key: "moveChunk", Value: a.text(0)}, {Key: "find", Value: a.doc(1, "query")}, {Key: "to", Value: a.text(2)}}
		}),
		sends[*sharding]("moveCollection", "namespace, shard", "move an unsharded collection", two("moveCollection", "toShard")),
		sends[*sharding]("moveRange", "namespace, shard, min, max", "move a range of keys", func(a args) bson.D {
			cmd := two("moveRange", "toShard")(a)
			for i, end := range []string{"min", "max"} {
				if d := a.optDoc(2+i, end); d != nil {
					cmd = append(cmd, bson.E{Key: end, Value: d})
				}
			}
			return cmd
		}),
		sends[*sharding]("removeRangeFromZone", "namespace, min, max", "take a range of keys out of its zone", zone(true)),
		sends[*sharding]("removeShardFromZone", "shard, zone", "take a shard out of a zone", two("removeShardFromZone", "zone")),
		sends[*sharding]("removeShardTag", "shard, zone", "take a shard out of a zone", two("removeShardFromZone", "zone")),
		sends[*sharding]("removeTagRange", "namespace, min, max", "take a range of keys out of its zone", zone(true)),
		sends[*sharding]("reshardCollection", "namespace, key, unique, options", "give a collection another shard key", shard("reshardCollection")),
		sends[*sharding]("setBalancerState", "true or false", "turn the balancer on or off", func(a args) bson.D {
			on, ok := exported[bool](a.at(0))
			if !ok {
				a.fail("true or false was expected")
			}
			return balancer(map[bool]string{true: "balancerStart", false: "balancerStop"}[on])(a.with())
		}),
		{"shardAndDistributeCollection", "namespace, key, unique, options", "shard a collection and spread it", func(vm *VM, _ *sharding, a args) goja.Value {
			vm.onAdmin(shard("shardCollection")(a))
			return vm.documentObject(vm.onAdmin(append(shard("reshardCollection")(a), bson.E{Key: "forceRedistribution", Value: true})))
		}},
		sends[*sharding]("shardCollection", "namespace, key, unique, options", "shard a collection", shard("shardCollection")),
		sends[*sharding]("shardDrainingStatus", "shard", "how far shards are emptied", func(a args) bson.D {
			if a.has(0) {
				return one("shardDrainingStatus")(a)
			}
			return bson.D{{Key: "shardDrainingStatus", Value: int32(1)}}
		}),
		sends[*sharding]("splitAt", "namespace, key", "split a chunk at a key", at("split", "middle")),
		sends[*sharding]("splitFind", "namespace, query", "split the chunk of a document", at("split", "find")),
		setting("startAutoMerger", "", "let chunks be merged", "settings", is("_id", "automerge"), is("enabled", true), true),
		sends[*sharding]("startBalancer", "milliseconds", "turn the balancer on", balancer("balancerStart")),
		{"status", "verbose", "the shards and what lies on them", func(vm *VM, _ *sharding, a args) goja.Value { return vm.shardingStatus(a) }},
		setting("stopAutoMerger", "", "let chunks not be merged", "settings", is("_id", "automerge"), is("enabled", false), true),
		sends[*sharding]("stopBalancer", "milliseconds", "turn the balancer off", balancer("balancerStop")),
		sends[*sharding]("unshardCollection", "namespace, shard", "move a sharded collection to one shard", two("unshardCollection", "toShard")),
		sends[*sharding]("updateZoneKeyRange", "namespace, min, max, zone", "put a range of keys into a zone", zone(false)),
	}
}

// first is the first document that matches, or nil.
func (c *collection) first(filter bson.D) bson.Raw {
	cur := &cursor{vm: c.vm, db: c.db, command: bson.D{{Key: "find", Value: c.name}, {Key: "filter", Value: filter}, {Key: "limit", Value: int64(1)}, {Key: "singleBatch", Value: true}}}
	return cur.nextRaw()
}

// all are the documents that match, by _id.
func (c *collection) all(filter bson.D) (out []bson.Raw) {
	cur := &cursor{vm: c.vm, db: c.db, command: bson.D{{Key: "find", Value: c.name}, {Key: "filter", Value: filter}, {Key: "sort", Value: bson.D{{Key: "_id", Value: int32(1)}}}}}
	for doc := cur.nextRaw(); doc != nil; doc = cur.nextRaw() {
		out = append(out, doc)
	}
	return out
}

// shardingStatus is what the config database says, in the fields of mongosh's sh.status().
// Source: https://www.mongodb.com/docs/manual/reference/method/sh.status/
func (vm *VM) shardingStatus(a args) goja.Value {
	version := vm.config("version").first(bson.D{})
	if version == nil {
		a.cannot("this server has no metadata of a sharded cluster: connect to a mongos")
	}
	yes := func(on bool) string { return map[bool]string{true: "yes", false: "no"}[on] }
	balancer := vm.onAdmin(bson.D{{Key: "balancerStatus", Value: int32(1)}})
	mode, _ := balancer.Lookup("mode").StringValueOK()
	running, _ := balancer.Lookup("inBalancerRound").BooleanOK()
	databases := bson.A{}
	for _, d := range vm.config("databases").all(bson.D{}) {
		name, _ := d.Lookup("_id").StringValueOK()
		colls := bson.D{}
		for _, c := range vm.config("collections").all(bson.D{{Key: "_id", Value: bson.Regex{Pattern: "^" + regexp.QuoteMeta(name) + `\.`}}, {Key: "dropped", Value: bson.D{{Key: "$ne", Value: true}}}}) {
			ns, _ := c.Lookup("_id").StringValueOK()
			colls = append(colls, bson.E{Key: ns, Value: vm.shardedCollection(c)})
		}
		databases = append(databases, bson.D{{Key: "database", Value: d}, {Key: "collections", Value: colls}})
	}
	return vm.fromRaw(rawOf(bson.D{
		{Key: "shardingVersion", Value: version}, {Key: "shards", Value: vm.config("shards").all(bson.D{})},
		{Key: "balancer", Value: bson.D{{Key: "Currently enabled", Value: yes(mode == "full")}, {Key: "Currently running", Value: yes(running)}}},
		{Key: "databases", Value: databases},
	}))
}

// shardedCollection says how a collection is sharded, and how many chunks each shard has.
func (vm *VM) shardedCollection(c bson.Raw) bson.D {
	unique, _ := c.Lookup("unique").BooleanOK()
	off, _ := c.Lookup("noBalance").BooleanOK()
	return bson.D{{Key: "shardKey", Value: orNull(c.Lookup("key"))}, {Key: "unique", Value: unique}, {Key: "balancing", Value: !off}, {Key: "chunkMetadata", Value: vm.chunks(c)}}
}

// chunks are the numbers of a collection's chunks by shard: since MongoDB 5.0 a chunk names its collection by UUID.
func (vm *VM) chunks(c bson.Raw) (out bson.A) {
	match := bson.D{{Key: "ns", Value: orNull(c.Lookup("_id"))}}
	if id := c.Lookup("uuid"); id.Type != 0 {
		match = bson.D{{Key: "$or", Value: bson.A{bson.D{{Key: "uuid", Value: id}}, match}}}
	}
	cur := &cursor{vm: vm, db: vm.here("config"), command: bson.D{{Key: "aggregate", Value: "chunks"}, {Key: "pipeline", Value: bson.A{
		bson.D{{Key: "$match", Value: match}}, bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: "$shard"}, {Key: "nChunks", Value: bson.D{{Key: "$sum", Value: int32(1)}}}}}},
		bson.D{{Key: "$project", Value: bson.D{{Key: "_id", Value: int32(0)}, {Key: "shard", Value: "$_id"}, {Key: "nChunks", Value: int32(1)}}}}, bson.D{{Key: "$sort", Value: bson.D{{Key: "shard", Value: int32(1)}}}},
	}}, {Key: "cursor", Value: bson.D{}}}}
	out = bson.A{}
	for doc := cur.nextRaw(); doc != nil; doc = cur.nextRaw() {
		out = append(out, doc)
	}
	return out
}

// shardDistribution says what lies on which shard.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.getShardDistribution/
func shardDistribution(vm *VM, c *collection, a args) goja.Value {
	full := c.db.name + "." + c.name
	meta := (&collection{vm: vm, db: &database{vm: vm, target: c.db.target, name: "config"}, name: "collections"}).first(bson.D{{Key: "_id", Value: full}, {Key: "dropped", Value: bson.D{{Key: "$ne", Value: true}}}})
	if meta == nil {
		a.cannot("%s is not sharded", full)
	}
	chunks := map[string]float64{}
	for _, d := range vm.chunks(meta) {
		name, _ := d.(bson.Raw).Lookup("shard").StringValueOK()
		chunks[name], _ = d.(bson.Raw).Lookup("nChunks").AsFloat64OK()
	}
	out, size, docs, all := bson.D{}, 0.0, 0.0, 0.0
	cur := c.stage("$collStats", bson.D{{Key: "storageStats", Value: bson.D{}}})
	for doc := cur.nextRaw(); doc != nil; doc = cur.nextRaw() {
		name, _ := doc.Lookup("shard").StringValueOK()
		bytes, _ := doc.Lookup("storageStats", "size").AsFloat64OK()
		count, _ := doc.Lookup("storageStats", "count").AsFloat64OK()
		n := chunks[name]
		size, docs, all = size+bytes, docs+count, all+n
		said := bson.D{{Key: "bytes", Value: bytes}, {Key: "docs", Value: count}, {Key: "chunks", Value: n}}
		if n > 0 {
			said = append(said, bson.E{Key: "estimated bytes per chunk", Value: bytes / n}, bson.E{Key: "estimated docs per chunk", Value: float64(int64(count / n))})
		}
		out = append(out, bson.E{Key: "Shard " + strings.TrimSpace(name), Value: said})
	}
	return vm.fromRaw(rawOf(append(out, bson.E{Key: "Totals", Value: bson.D{{Key: "bytes", Value: size}, {Key: "docs", Value: docs}, {Key: "chunks", Value: all}}})))
}
