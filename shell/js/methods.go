package js

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// Method is one function of an object, as help and completion have it.
type Method struct{ Object, Name, Args, Help string }

// method of an object of type T. The tables of methods are what help, completion and the engine are made from.
type method[T any] struct {
	name, args, help string
	fn               func(vm *VM, this T, a args) goja.Value
}

// install puts methods on a prototype, and behind them a clear answer for each name that mongosh has and this package has not.
func install[T any](vm *VM, object string, methods []method[T]) *goja.Object {
	proto := vm.rt.NewObject()
	for _, m := range methods {
		vm.method(proto, m.name, func(this goja.Value, a args) goja.Value {
			t, ok := export[T](this)
			if !ok {
				return vm.typeError("%s was called on something that is no %s", m.name, strings.ToLower(object))
			}
			a.reads = onlyReads[object+"."+m.name]
			return m.fn(vm, t, a)
		})
	}
	for _, name := range strings.Fields(notYet[object]) {
		vm.method(proto, name, func(goja.Value, args) goja.Value {
			return vm.throw(&Refusal{Text: fmt.Sprintf("%s.%s() is in mongosh and not in respect yet", lowerFirst(object), name), Hint: "db.runCommand() sends any command, through the same guard"})
		})
	}
	return proto
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func listed[T any](object string, methods []method[T]) []Method {
	var out []Method
	for _, m := range methods {
		out = append(out, Method{object, m.name, m.args, m.help})
	}
	return out
}

// Methods are all that scripts can call, by object: Database, Collection, Cursor, Mongo, and "" for what is global.
func Methods() []Method {
	out := slices.Concat(listed("Database", databaseMethods()), listed("Collection", collectionMethods()), listed("Cursor", cursorMethods()), listed("Mongo", mongoMethods()))
	for _, c := range constructors {
		out = append(out, Method{"", c.name, c.args, c.help})
	}
	for _, g := range globals() {
		out = append(out, Method{"", g.name, g.args, g.help})
	}
	return out
}

func methodNames() []string {
	var out []string
	for _, m := range Methods() {
		out = append(out, m.Name)
	}
	return out
}

// need throws if an argument is missing.
func (a args) need(i int, what string) {
	if i >= len(a.values) {
		r := &Refusal{Text: fmt.Sprintf("%s: the %s is missing", a.method, what), Method: a.method}
		if what == "filter" {
			r.Hint = "to mean every document, say {} outright"
		}
		a.vm.throw(r)
	}
}

// doc is an argument that must be a document; what says what it is.
func (a args) doc(i int, what string) bson.Raw {
	a.need(i, what)
	raw, err := a.vm.toDocument(a.values[i], what, a.reads)
	a.check(err)
	return raw
}

// optDoc is doc for an argument that may be left out; then it is nil.
func (a args) optDoc(i int, what string) bson.Raw {
	if !a.has(i) {
		return nil
	}
	return a.doc(i, what)
}

func (a args) raw(i int, what string) bson.RawValue {
	a.need(i, what)
	v, err := a.vm.toRaw(a.values[i], what, a.reads)
	a.check(err)
	return v
}

func (a args) check(err error) {
	if err == nil {
		return
	}
	if r, ok := err.(*Refusal); ok {
		r.Method = a.method
	}
	a.vm.throw(err)
}

func (a args) fail(format string, v ...any) {
	a.check(&Refusal{Text: a.method + ": " + fmt.Sprintf(format, v...)})
}

// opts are a method's options, by name. Names that the method does not know are refused.
func (a args) opts(i int, allowed string) options {
	raw := a.optDoc(i, "options")
	o := options{args: a}
	if raw == nil {
		return o
	}
	elems, err := raw.Elements()
	a.check(err)
	known := strings.Fields(allowed)
	for _, e := range elems {
		if !slices.Contains(known, e.Key()) {
			hint := "the options are: " + strings.Join(known, ", ")
			if n := nearest(e.Key(), known); n != "" {
				hint = fmt.Sprintf("did you mean %q?", n)
			}
			a.check(&Refusal{Text: fmt.Sprintf("%s has no option %q", a.method, e.Key()), Hint: hint})
		}
		o.elems = append(o.elems, e)
	}
	return o
}

type options struct {
	args  args
	elems []bson.RawElement
}

// get is an option's value; Type 0 if it was not given, or given as null.
func (o options) get(name string) bson.RawValue {
	for _, e := range o.elems {
		if e.Key() == name && e.Value().Type != bson.TypeNull {
			return e.Value()
		}
	}
	return bson.RawValue{}
}

func (o options) truthy(name string) bool {
	v := o.get(name)
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	f, ok := v.AsFloat64OK()
	return v.Type != 0 && (!ok || f != 0)
}

// copyTo appends the named options to a command, under the same names.
func (o options) copyTo(cmd bson.D, names ...string) bson.D {
	for _, n := range names {
		if v := o.get(n); v.Type != 0 {
			cmd = append(cmd, bson.E{Key: n, Value: v})
		}
	}
	return cmd
}

// explain is the verbosity that the option explain asks for, or "". Only what mongosh documents is taken: there, any other value explains too.
func (o options) explain() string {
	v := o.get("explain")
	if v.Type == 0 {
		return ""
	}
	if b, ok := v.BooleanOK(); ok && b {
		return "queryPlanner"
	}
	if s, ok := v.StringValueOK(); ok && slices.Contains([]string{"queryPlanner", "executionStats", "allPlansExecution"}, s) {
		return s
	}
	o.args.fail("explain must be true, 'queryPlanner', 'executionStats' or 'allPlansExecution'")
	return ""
}

// notYet are names that mongosh has and this package has not, by object.
var notYet = map[string]string{
	"Collection": "initializeOrderedBulkOp initializeUnorderedBulkOp getShardDistribution getShardLocation watch " +
		"analyzeShardKey configureQueryAnalyzer createSearchIndex createSearchIndexes dropSearchIndex updateSearchIndex " +
		"compactStructuredEncryptionData save group copyTo ensureIndex",
	"Database": "logout auth createEncryptedCollection shutdownServer " +
		"fsyncLock fsyncUnlock rotateCertificates printCollectionStats setLogLevel cloneDatabase cloneCollection copyDatabase commandHelp " +
		"getLastErrorObj getLastError printShardingStatus printSecondaryReplicationInfo printSlaveReplicationInfo getReplicationInfo printReplicationInfo setSecondaryOk watch sql eval " +
		"enableFreeMonitoring disableFreeMonitoring getFreeMonitoringStatus",
	"Cursor": "addOption oplogReplay tailable maxScan maxAwaitTimeMS getResumeToken",
	"Mongo": "connect bulkWrite close getReadPref getReadPrefTagSet getReadConcern getWriteConcern setReadConcern setWriteConcern startSession setCausalConsistency isCausalConsistency " +
		"setSlaveOk setSecondaryOk watch getClientEncryption getKeyVault convertShardKeyToHashed show",
	"PlanCache": "listQueryShapes getPlansByQuery",
	"rs":        "initiate reconfig reconfigForPSASet printSecondaryReplicationInfo printSlaveReplicationInfo printReplicationInfo add addArb remove freeze stepDown syncFrom secondaryOk",
	"sh": "enableSharding commitReshardCollection abortReshardCollection shardCollection reshardCollection status addShard addShardToZone addShardTag updateZoneKeyRange addTagRange " +
		"removeRangeFromZone removeTagRange removeShardFromZone removeShardTag enableAutoSplit disableAutoSplit splitAt splitFind moveChunk moveRange enableBalancing disableBalancing " +
		"enableMigrations disableMigrations startBalancer stopBalancer setBalancerState startAutoMerger stopAutoMerger isAutoMergerEnabled disableAutoMerger enableAutoMerger " +
		"checkMetadataConsistency shardAndDistributeCollection moveCollection abortMoveCollection unshardCollection abortUnshardCollection isConfigShardEnabled shardDrainingStatus " +
		"getTransitionToDedicatedConfigServerStatus",
}

// notYetGlobals are global names that mongosh has and this package has not.
const notYetGlobals = "sp require process setTimeout setInterval setImmediate queueMicrotask clearTimeout clearInterval edit snippet passwordPrompt cat ls pwd cd mkdir " +
	"removeFile writeFile fs child_process getHostName hostname fuzzFile listFiles md5sumFile copyFile config log loadCallNestingLevel show exit quit it cls help enableTelemetry " +
	"disableTelemetry convertShardKeyToHashed DBQuery LegacyJavaUUID LegacyCSharpUUID LegacyPythonUUID tojsonObject printjsononeline hex_md5 assert Random isString"
