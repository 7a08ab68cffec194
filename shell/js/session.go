package js

import (
	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// session is mongosh's Session without its transactions: the gate has a server session of its own, in which everything is sent.
type session struct {
	fixedObject
	target Target
	given  bson.RawValue // its options
	ended  bool
}

func sessionMethods() []method[*session] {
	return []method[*session]{
		{"endSession", "", "end it", func(_ *VM, s *session, _ args) goja.Value { s.ended = true; return goja.Undefined() }},
		{"getDatabase", "name", "a database", func(vm *VM, s *session, a args) goja.Value {
			if s.ended {
				a.fail("the session has ended")
			}
			return vm.databaseObject(&database{vm: vm, target: s.target, name: a.text(0)})
		}},
		{"getOptions", "", "the options it was started with", func(vm *VM, s *session, _ args) goja.Value { return vm.fromRaw(s.given) }},
		{"hasEnded", "", "whether it has ended", func(vm *VM, s *session, _ args) goja.Value { return vm.rt.ToValue(s.ended) }},
	}
}

func startSession(vm *VM, m *mongo, a args) goja.Value {
	given := bson.Raw{5, 0, 0, 0, 0}
	if doc := a.optDoc(0, "options"); doc != nil {
		a.opts(0, "causalConsistency snapshot defaultTransactionOptions readConcern readPreference writeConcern retryWrites")
		given = doc
	}
	return vm.shellObject(&session{target: m.target, given: bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: given}}, vm.protos.session)
}
