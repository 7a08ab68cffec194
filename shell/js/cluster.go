package js

import (
	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// replicaSet is mongosh's rs, sharding its sh: what they read. What they change is cluster work, which has no plan yet.
type replicaSet struct{ fixedObject }

type sharding struct{ fixedObject }

// onAdmin sends a command to the database admin of the current connection.
func (vm *VM) onAdmin(cmd bson.D) bson.Raw {
	t, _ := vm.Database()
	return vm.reply(vm.send(t, "admin", cmd))
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

func replicaSetMethods() []method[*replicaSet] {
	return []method[*replicaSet]{
		admin[*replicaSet]("conf", "replSetGetConfig", "config", "the set's configuration"),
		admin[*replicaSet]("config", "replSetGetConfig", "config", "the set's configuration"),
		admin[*replicaSet]("hello", "hello", "", "what the server says of itself"),
		admin[*replicaSet]("isMaster", "isMaster", "", "what the server says of itself"),
		admin[*replicaSet]("status", "replSetGetStatus", "", "the set's members"),
	}
}

func shardingMethods() []method[*sharding] {
	return []method[*sharding]{
		{"balancerCollectionStatus", "namespace", "whether a collection is balanced", func(vm *VM, _ *sharding, a args) goja.Value {
			return vm.documentObject(vm.onAdmin(bson.D{{Key: "balancerCollectionStatus", Value: a.text(0)}}))
		}},
		{"getBalancerState", "", "whether the balancer is on", func(vm *VM, _ *sharding, _ args) goja.Value {
			mode, _ := vm.onAdmin(bson.D{{Key: "balancerStatus", Value: int32(1)}}).Lookup("mode").StringValueOK()
			return vm.rt.ToValue(mode == "full")
		}},
		{"getShardedDataDistribution", "options", "how data lie on the shards", func(vm *VM, _ *sharding, _ args) goja.Value {
			t, _ := vm.Database()
			return vm.cursorObject(&cursor{vm: vm, db: &database{vm: vm, target: t, name: "admin"}, command: bson.D{
				{Key: "aggregate", Value: int32(1)}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$shardedDataDistribution", Value: bson.D{}}}}}, {Key: "cursor", Value: bson.D{}},
			}})
		}},
		admin[*sharding]("isBalancerRunning", "balancerStatus", "", "what the balancer does"),
		admin[*sharding]("listShards", "listShards", "shards", "the shards"),
	}
}
