package js

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// on is how a script has an object of each class of mongosh. A class that is not here is only had from a method that is not there yet: that one is called.
var on = map[string]string{
	"Collection": "db.c.", "Database": "db.", "Mongo": "db.getMongo().", "ReplicaSet": "rs.", "Shard": "sh.", "PlanCache": "db.c.getPlanCache().",
	"BaseCursor": "db.c.find().", "AbstractFiniteCursor": "db.c.find().", "AggregateOrFindCursor": "db.c.aggregate([]).", "Cursor": "db.c.find().",
	"Explainable": "db.c.explain().", "ExplainableCursor": "db.c.explain().find().", "DBQuery": "DBQuery.", "ShellApi": "", "global (shellBson)": "", "global": "",
	"Bulk": "db.c.initializeOrderedBulkOp().", "BulkFindOp": "db.c.initializeOrderedBulkOp().find({}).", "ChangeStreamCursor": "db.watch().",
	"ClientEncryption": "db.getMongo().getClientEncryption().", "KeyVault": "db.getMongo().getKeyVault().", "Session": "db.getMongo().startSession().",
	"Streams": "sp.", "StreamProcessor": "sp.x.", "ShellConfig": "config.", "ShellLog": "log.", "CommandResult": "db.runCommand({ping: 1}).",
}

// notOurs are rows that no script can call, or that the language itself has.
var notOurs = map[string]string{
	"CommandResult toJSON": "replies are plain documents", "Cursor toJSON": "JSON.stringify(cursor.toArray())", "global .exit .break .clear .editor .help .load .save": "node's REPL has them",
	"global db": "an object", "global rs": "an object", "global sh": "an object", "global help": "a word of the shell", "global eval / Function / new Function / (async()=>{}).constructor / GeneratorFunction": "the language's",
	"global (shellBson) EJSON": "an object", "global (shellBson) Binary": "an object", "global console.log/warn/info/error/clear": "an object",
}

// TestEveryNameOfMongosh calls each method of mongosh's API without arguments, and with some: it works, wants others, or says by name that it is not there yet.
func TestEveryNameOfMongosh(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/mongosh-api.tsv") // copied from ../shared/mongo/mongosh-api.tsv, its first two columns
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(text)), "\n")[1:]
	if len(rows) < 430 {
		t.Fatalf("%d rows", len(rows))
	}
	works, notYet, names := 0, 0, []string(nil)
	for _, row := range rows {
		class, listed, _ := strings.Cut(row, "\t")
		if notOurs[class+" "+listed] != "" || class == "object" {
			continue
		}
		object, ok := on[class]
		if !ok {
			t.Errorf("%s: no object of this class", row)
			continue
		}
		for _, name := range strings.FieldsFunc(listed, func(r rune) bool { return r == ' ' || r == '/' }) {
			name = strings.TrimPrefix(name, "db.c.")
			if n, isDB := strings.CutPrefix(name, "db."); isDB {
				object, name = "db.", n
			} else if class == "global" && strings.Contains("copyTo group save", name) {
				object = "db.c."
			}
			if name == "(get)" || name == "..." || name == "Array.sum" || name == "shellBatchSize" || name == "DBQuery.shellBatchSize" || class == "global" && name == "config" || name == "isString..." || name == "enableFreeMonitoring" {
				continue
			}
			for _, args := range []string{"()", "('x', {}, {})"} {
				f := &fake{}
				src := object + name + args
				_, _, err := eval(t, f, src)
				var r *Refusal
				switch {
				case err == nil, errors.As(err, &r) && !strings.Contains(r.Text, "in respect"):
					works++
				case errors.As(err, &r):
					notYet++
					names = append(names, object+name)
					if r.Hint == "" {
						t.Errorf("%s: %v, and not what to use instead", src, err)
					}
				case strings.Contains(err.Error(), "is not a function"), strings.Contains(err.Error(), "undefined"), strings.Contains(err.Error(), "not defined"):
					t.Errorf("%s: %v", src, err)
				default:
					works++ // it wants other arguments
				}
			}
		}
	}
	slices.Sort(names)
	t.Logf("not there: %s", strings.Join(slices.Compact(names), " "))
	t.Logf("of %d calls %d work or say what they want, %d say that they are not there yet", works+notYet, works, notYet)
}

// The methods that read, and those that pass the gate like the commands they send.
func TestMoreMethodsSend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		{`db.c.mapReduce(function() { emit(1, 1) }, 'function(k, v) { return 1 }', {out: {inline: 1}, query: {a: 'x'}})`,
			`app {"mapReduce": "c","map": {"$code":"function() { emit(1, 1) }"},"reduce": "function(k, v) { return 1 }","out": {"inline": {"$numberInt":"1"}},"query": {"a": "x"}}`},
		{`db.c.mapReduce(function() {}, function() {}, 'x')`, `app {"mapReduce": "c","map": {"$code":"function() {}"},"reduce": {"$code":"function() {}"},"out": "x"}`},
		{`db.c.mapReduce(function() {}, function() {}, {})`, ``},
		{`db.c.mapReduce(function() {}, undefined, 'x')`, ``},
		{`db.c.find().readConcern('linearizable').readPref('nearest').min({a: 'x'}).max({a: 'y'}).returnKey().showRecordId(true).noCursorTimeout().allowPartialResults().tryNext()`,
			`app {"find": "c","filter": {},"readConcern": {"level": "linearizable"},"min": {"a": "x"},"max": {"a": "y"},"returnKey": true,"showRecordId": true,"noCursorTimeout": true,"allowPartialResults": true}`},
		{`db.c.find().readPref('secondary').toArray()`, `app {"find": "c","filter": {}}`},
		{`db.c.find().readPref('nosuch').toArray()`, ``},
		{`db.c.aggregate([]).min({a: 1}).toArray()`, ``},
		{`db.c.hideIndex('a_1')`, `app {"collMod": "c","index": {"name": "a_1","hidden": true}}`},
		{`db.c.unhideIndex({a: 'x'})`, `app {"collMod": "c","index": {"keyPattern": {"a": "x"},"hidden": false}}`},
		{`db.c.reIndex()`, `app {"reIndex": "c"}`},
		{`db.c.validate({full: true})`, `app {"validate": "c","full": true}`},
		{`db.c.validate(true)`, `app {"validate": "c","full": true}`},
		{`db.c.latencyStats()`, `app {"aggregate": "c","pipeline": [{"$collStats": {"latencyStats": {}}}],"cursor": {}}`},
		{`db.c.getSearchIndexes('x').toArray()`, `app {"aggregate": "c","pipeline": [{"$listSearchIndexes": {"name": "x"}}],"cursor": {}}`},
		{`db.c.getPlanCache().list([{$match: {a: 'x'}}])`, `app {"aggregate": "c","pipeline": [{"$planCacheStats": {}},{"$match": {"a": "x"}}],"cursor": {}}`},
		{`db.c.getPlanCache().clear()`, `app {"planCacheClear": "c"}`},
		{`db.c.explain().findOneAndUpdate({a: 'x'}, {$set: {b: 'y'}})`, `app {"explain": {"findAndModify": "c","query": {"a": "x"},"update": {"$set": {"b": "y"}}},"verbosity": "queryPlanner"}`},
		{`db.c.explain().findOneAndDelete({a: 'x'})`, `app {"explain": {"findAndModify": "c","query": {"a": "x"},"remove": true},"verbosity": "queryPlanner"}`},
		{`db.c.explain('executionStats').findAndModify({query: {a: 'x'}, remove: true})`, `app {"explain": {"findAndModify": "c","query": {"a": "x"},"remove": true},"verbosity": "executionStats"}`},
		{`db.c.explain().mapReduce(function() {}, function() {}, 'x')`,
			`app {"explain": {"mapReduce": "c","map": {"$code":"function() {}"},"reduce": {"$code":"function() {}"},"out": "x"},"verbosity": "queryPlanner"}`},
		{`db.createView('v', 'c', [{$match: {a: 'x'}}], {collation: {locale: 'en'}})`, `app {"create": "v","viewOn": "c","pipeline": [{"$match": {"a": "x"}}],"collation": {"locale": "en"}}`},
		{`db.createUser({user: 'u', pwd: 'p', roles: ['read']})`, `app {"createUser": "u","pwd": "p","roles": ["read"]}`},
		{`db.updateUser('u', {roles: []})`, `app {"updateUser": "u","roles": []}`},
		{`db.grantRolesToUser('u', ['read'])`, `app {"grantRolesToUser": "u","roles": ["read"]}`},
		{`db.dropUser('u')`, `app {"dropUser": "u"}`},
		{`db.dropAllUsers()`, `app {"dropAllUsersFromDatabase": {"$numberInt":"1"}}`},
		{`db.getUser('u')`, `app {"usersInfo": "u"}`},
		{`db.getUsers({showCredentials: true})`, `app {"usersInfo": {"$numberInt":"1"},"showCredentials": true}`},
		{`db.getRoles()`, `app {"rolesInfo": {"$numberInt":"1"}}`},
		{`db.currentOp({$all: true, ns: 'x'})`, `admin {"aggregate": {"$numberInt":"1"},"pipeline": [{"$currentOp": {"allUsers": true,"idleConnections": true}},{"$match": {"ns": "x"}}],"cursor": {}}`},
		{`db.killOp('s:1')`, `admin {"killOp": {"$numberInt":"1"},"op": "s:1"}`},
		{`db.getProfilingStatus()`, `app {"profile": {"$numberInt":"-1"}}`},
		{`db.setProfilingLevel(1, {slowms: 5})`, `app {"profile": {"$numberInt":"1"},"slowms": {"$numberInt":"5"}}`},
		{`db.getMongo().getCollection('x.y.z').drop()`, `x {"drop": "y.z"}`},
		{`db.getMongo().use('x'); db.c.drop()`, `x {"drop": "c"}`},
		{`rs.status()`, `admin {"replSetGetStatus": {"$numberInt":"1"}}`},
		{`sh.getBalancerState()`, `admin {"balancerStatus": {"$numberInt":"1"}}`},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		if s := strings.Join(got, "\n"); s != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, s, err, tt.want)
		}
	}
}

// What the methods that read send. With mongosh's options, in all the forms that it takes.
func TestReadsSend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		// find and its cursor
		{`db.c.find({}, {}, {sort: {a: 1}, limit: 5, skip: 2, hint: 'x', batchSize: 3, collation: {locale: 'en'}, comment: 'x', noCursorTimeout: true, min: {a: 'x'}, max: {a: 'y'}, returnKey: true, showRecordId: true, allowPartialResults: true, readConcern: {level: 'local'}, readPreference: 'nearest', let: {x: 'y'}})`,
			`app {"find": "c","filter": {},"projection": {},"sort": {"a": {"$numberInt":"1"}},"limit": {"$numberInt":"5"},"skip": {"$numberInt":"2"},"hint": "x","batchSize": {"$numberInt":"3"},"collation": {"locale": "en"},"comment": "x","let": {"x": "y"},"noCursorTimeout": true,"min": {"a": "x"},"max": {"a": "y"},"returnKey": true,"showRecordId": true,"allowPartialResults": true,"readConcern": {"level": "local"}}`},
		{`db.c.find({}, null, {projection: {a: 1}, readConcern: 'majority', readPreference: {mode: 'secondary'}})`, `app {"find": "c","filter": {},"projection": {"a": {"$numberInt":"1"}},"readConcern": {"level": "majority"}}`},
		{`db.c.find().limit(-5)`, `app {"find": "c","filter": {},"limit": {"$numberLong":"5"},"singleBatch": true}`},
		{`db.c.find().limit(0)`, `app {"find": "c","filter": {},"limit": {"$numberInt":"0"}}`},
		{`db.c.find({}, {}, {limit: -5})`, `app {"find": "c","filter": {},"projection": {},"limit": {"$numberLong":"5"},"singleBatch": true}`},
		{`db.c.find().sort('a')`, `app {"find": "c","filter": {},"sort": {"a": {"$numberInt":"1"}}}`},
		{`db.c.find().sort(5)`, ``},
		{`db.c.find().tailable().oplogReplay()`, `app {"find": "c","filter": {},"tailable": true,"oplogReplay": true}`},
		{`db.c.find().tailable({awaitData: true}).maxAwaitTimeMS(500)`, `app {"find": "c","filter": {},"tailable": true,"awaitData": true}`},
		{`db.c.find().addOption(2 + 4 + 16 + 32 + 128)`, `app {"find": "c","filter": {},"tailable": true,"noCursorTimeout": true,"awaitData": true,"allowPartialResults": true}`},
		{`db.c.find().addOption(DBQuery.Option.noTimeout)`, `app {"find": "c","filter": {},"noCursorTimeout": true}`},
		{`db.c.find().addOption(64)`, ``},
		{`db.c.findOne({}, {}, {sort: {a: 1}, readConcern: 'local'})`, `app {"find": "c","filter": {},"projection": {},"sort": {"a": {"$numberInt":"1"}},"readConcern": {"level": "local"},"limit": {"$numberLong":"1"},"singleBatch": true}`},
		{`db.c.find({}, {}, {explain: true})`, `app {"explain": {"find": "c","filter": {},"projection": {}},"verbosity": "queryPlanner"}`},
		{`db.c.findOne({}, null, {explain: 'executionStats'})`, `app {"explain": {"find": "c","filter": {}},"verbosity": "executionStats"}`},
		{`db.c.find({}, {}, {explian: true})`, ``},
		{`db.c.find({a: {$gt: MinKey, $lt: MaxKey()}})`, `app {"find": "c","filter": {"a": {"$gt": {"$minKey":1},"$lt": {"$maxKey":1}}}}`},

		// explain, in its modes
		{`db.c.find().explain()`, `app {"explain": {"find": "c","filter": {}},"verbosity": "queryPlanner"}`},
		{`db.c.find().explain(true)`, `app {"explain": {"find": "c","filter": {}},"verbosity": "allPlansExecution"}`},
		{`db.c.find().explain(false)`, `app {"explain": {"find": "c","filter": {}},"verbosity": "queryPlanner"}`},
		{`db.c.find().explain('allPlansExecution')`, `app {"explain": {"find": "c","filter": {}},"verbosity": "allPlansExecution"}`},
		{`db.c.find().explain('much')`, ``},
		{`db.c.explain(true).find({}).sort({a: 1}).finish()`, `app {"explain": {"find": "c","filter": {},"sort": {"a": {"$numberInt":"1"}}},"verbosity": "allPlansExecution"}`},
		{`const e = db.c.explain(); e.setVerbosity('executionStats'); e.count()`, `app {"explain": {"count": "c"},"verbosity": "executionStats"}`},
		{`db.c.explain().count({a: 'x'}, {hint: 'i', limit: 5})`, `app {"explain": {"count": "c","query": {"a": "x"},"limit": {"$numberInt":"5"},"hint": "i"},"verbosity": "queryPlanner"}`},
		{`db.c.explain().distinct('a', {}, {collation: {locale: 'en'}})`, `app {"explain": {"distinct": "c","key": "a","query": {},"collation": {"locale": "en"}},"verbosity": "queryPlanner"}`},
		{`db.c.distinct('a', {}, {explain: true})`, `app {"explain": {"distinct": "c","key": "a","query": {}},"verbosity": "queryPlanner"}`},
		{`db.c.explain().aggregate([{$match: {}}], {allowDiskUse: true, hint: 'i'})`, `app {"explain": {"aggregate": "c","pipeline": [{"$match": {}}],"cursor": {},"allowDiskUse": true,"hint": "i"},"verbosity": "queryPlanner"}`},
		{`db.c.explain().aggregate({$match: {}}, {$count: 'n'})`, `app {"explain": {"aggregate": "c","pipeline": [{"$match": {}},{"$count": "n"}],"cursor": {}},"verbosity": "queryPlanner"}`},
		{`db.c.explain().remove({}, true)`, `app {"explain": {"delete": "c","deletes": [{"q": {},"limit": {"$numberInt":"1"}}]},"verbosity": "queryPlanner"}`},
		{`db.c.explain().remove({}, {justOne: true, hint: 'i'})`, `app {"explain": {"delete": "c","deletes": [{"q": {},"limit": {"$numberInt":"1"},"hint": "i"}]},"verbosity": "queryPlanner"}`},
		{`db.c.explain().update({}, {$set: {a: 'x'}}, {multi: true, upsert: true})`, `app {"explain": {"update": "c","updates": [{"q": {},"u": {"$set": {"a": "x"}},"multi": true,"upsert": true}]},"verbosity": "queryPlanner"}`},
		{`db.c.findOneAndDelete({}, {explain: true})`, `app {"explain": {"findAndModify": "c","query": {},"remove": true},"verbosity": "queryPlanner"}`},
		{`db.c.findAndModify({query: {}, update: {$set: {a: 'x'}}, explain: 'executionStats'})`, `app {"explain": {"findAndModify": "c","query": {},"update": {"$set": {"a": "x"}}},"verbosity": "executionStats"}`},
		{`db.c.mapReduce('m', 'r', {out: {inline: 1}, explain: true})`, `app {"explain": {"mapReduce": "c","map": "m","reduce": "r","out": {"inline": {"$numberInt":"1"}}},"verbosity": "queryPlanner"}`},

		// counts, distinct, aggregate
		{`db.c.count()`, `app {"count": "c"}`},
		{`db.c.count({a: 'x'}, {limit: 5, skip: 1, hint: 'i', maxTimeMS: 9, collation: {locale: 'en'}, readConcern: {level: 'local'}})`,
			`app {"count": "c","query": {"a": "x"},"limit": {"$numberInt":"5"},"skip": {"$numberInt":"1"},"hint": "i","maxTimeMS": {"$numberInt":"9"},"collation": {"locale": "en"},"readConcern": {"level": "local"}}`},
		{`db.c.countDocuments({}, {skip: 1, limit: 5, hint: 'i', collation: {locale: 'en'}, readConcern: 'majority'})`,
			`app {"aggregate": "c","pipeline": [{"$match": {}},{"$skip": {"$numberInt":"1"}},{"$limit": {"$numberInt":"5"}},{"$group": {"_id": {"$numberInt":"1"},"n": {"$sum": {"$numberInt":"1"}}}}],"cursor": {},"hint": "i","collation": {"locale": "en"},"readConcern": {"level": "majority"}}`},
		{`db.c.estimatedDocumentCount({maxTimeMS: 9, readConcern: 'local'})`, `app {"count": "c","maxTimeMS": {"$numberInt":"9"},"readConcern": {"level": "local"}}`},
		{`db.c.find({a: 'x'}).skip(1).limit(2).count()`, `app {"count": "c","query": {"a": "x"},"skip": {"$numberInt":"1"},"limit": {"$numberInt":"2"}}`},
		{`db.c.find({a: 'x'}).skip(1).limit(2).size()`, `app {"count": "c","query": {"a": "x"},"skip": {"$numberInt":"1"},"limit": {"$numberInt":"2"}}`},
		{`db.c.distinct('a', {}, {hint: 'i', comment: 'x', readConcern: 'local'})`, `app {"distinct": "c","key": "a","query": {},"comment": "x","hint": "i","readConcern": {"level": "local"}}`},
		{`db.c.aggregate([], {writeConcern: {w: 'majority'}, readPreference: 'secondaryPreferred', cursor: {batchSize: 7}})`, `app {"aggregate": "c","pipeline": [],"cursor": {"batchSize": {"$numberInt":"7"}},"writeConcern": {"w": "majority"}}`},
		{`db.c.aggregate()`, `app {"aggregate": "c","pipeline": [],"cursor": {}}`},
		{`db.c.aggregate([{$match: {}}], {explain: true})`, `app {"explain": {"aggregate": "c","pipeline": [{"$match": {}}],"cursor": {}},"verbosity": "queryPlanner"}`},
		{`db.sql('select 1')`, `app {"aggregate": {"$numberInt":"1"},"pipeline": [{"$sql": {"statement": "select 1","format": "jdbc","dialect": "mongosql","formatVersion": {"$numberInt":"1"}}}],"cursor": {}}`},

		// collections and databases
		{`db.c.stats()`, `app {"collStats": "c"}`},
		{`db.c.stats(1024)`, `app {"collStats": "c","scale": {"$numberInt":"1024"}}`},
		{`db.c.stats({scale: 1024, indexDetails: true, indexDetailsName: 'x'})`, `app {"collStats": "c","scale": {"$numberInt":"1024"}}`},
		{`db.c.stats('x')`, ``},
		{`db.c.isCapped()`, `app {"listCollections": {"$numberInt":"1"},"filter": {"name": "c"}}`},
		{`db.c.exists()`, `app {"listCollections": {"$numberInt":"1"},"filter": {"name": "c"}}`},
		{`db.c.latencyStats({histograms: true})`, `app {"aggregate": "c","pipeline": [{"$collStats": {"latencyStats": {"histograms": true}}}],"cursor": {}}`},
		{`db.c.validate({background: true})`, `app {"validate": "c","background": true}`},
		{`db.c.getShardVersion()`, `admin {"getShardVersion": "app.c"}`},
		{`db.c.runCommand('find', {filter: {a: 'x'}})`, `app {"find": "c","filter": {"a": "x"}}`},
		{`db.c.runCommand('find', {find: 'd'})`, ``},
		{`db.c.runCommand({find: 'd'}, {filter: {}})`, ``},
		{`db.runCommand({ping: 1}, {readPreference: 'nearest'})`, `app {"ping": {"$numberInt":"1"}}`},
		{`db.runCommand({ping: 1}, {maxTimeMS: 5})`, ``},
		{`db.stats()`, `app {"dbStats": {"$numberInt":"1"}}`},
		{`db.stats(1024)`, `app {"dbStats": {"$numberInt":"1"},"scale": {"$numberInt":"1024"}}`},
		{`db.stats({freeStorage: 1, scale: 2})`, `app {"dbStats": {"$numberInt":"1"},"scale": {"$numberInt":"2"},"freeStorage": {"$numberInt":"1"}}`},
		{`db.serverStatus()`, `admin {"serverStatus": {"$numberInt":"1"}}`},
		{`db.serverStatus({repl: 0, metrics: 0})`, `admin {"serverStatus": {"$numberInt":"1"},"repl": {"$numberInt":"0"},"metrics": {"$numberInt":"0"}}`},
		{`db.currentOp()`, `admin {"aggregate": {"$numberInt":"1"},"pipeline": [{"$currentOp": {"allUsers": true,"idleConnections": false}}],"cursor": {}}`},
		{`db.currentOp(true)`, `admin {"aggregate": {"$numberInt":"1"},"pipeline": [{"$currentOp": {"allUsers": true,"idleConnections": true}}],"cursor": {}}`},
		{`db.getCollectionInfos({name: 'x'}, {nameOnly: true})`, `app {"listCollections": {"$numberInt":"1"},"filter": {"name": "x"},"nameOnly": true}`},
		{`db.getMongo().getDBs({nameOnly: true})`, `admin {"listDatabases": {"$numberInt":"1"},"nameOnly": true}`},
		{`db.getMongo().getDBNames({filter: {name: 'x'}})`, `admin {"listDatabases": {"$numberInt":"1"},"filter": {"name": "x"}}`},
		{`db.getUsers({filter: {user: 'x'}})`, `app {"usersInfo": {"$numberInt":"1"},"filter": {"user": "x"}}`},
		{`db.getRoles({showBuiltinRoles: true, showPrivileges: true})`, `app {"rolesInfo": {"$numberInt":"1"},"showPrivileges": true,"showBuiltinRoles": true}`},
		{`db.getUsers({explian: true})`, ``},
		{`db.getLogComponents()`, `admin {"getParameter": {"$numberInt":"1"},"logComponentVerbosity": {"$numberInt":"1"}}`},
		{`db.adminCommand({getLog: 'startupWarnings'})`, `admin {"getLog": "startupWarnings"}`},
		{`convertShardKeyToHashed('x')//toArray()`, `admin {"aggregate": {"$numberInt":"1"},"pipeline": [{"$documents": [{}]},{"$project": {"_id": {"$toHashedIndexKey": {"$literal": "x"}}}}],"cursor": {}}`},
		{`db.getMongo().show('users')`, `app {"usersInfo": {"$numberInt":"1"}}`},
		{`db.getMongo().show('roles')`, `app {"rolesInfo": {"$numberInt":"1"},"showPrivileges": true,"showBuiltinRoles": true}`},
		{`db.getMongo().show('dbs')`, `admin {"listDatabases": {"$numberInt":"1"}}`},
		{`db.getMongo().show('tables')`, `app {"listCollections": {"$numberInt":"1"},"nameOnly": true}`},
		{`db.getMongo().show('profile')`, `app {"find": "system.profile","filter": {"millis": {"$gt": {"$numberInt":"0"}}},"sort": {"$natural": {"$numberInt":"-1"}},"limit": {"$numberLong":"5"},"singleBatch": true}`},
		{`db.getMongo().show('logs')`, `admin {"getLog": "*"}`},
		{`db.getMongo().show('log')`, `admin {"getLog": "global"}`},
		{`db.getMongo().show('log', 'rs')`, `admin {"getLog": "rs"}`},
		{`db.getMongo().show('startupWarnings')`, `admin {"getLog": "startupWarnings"}`},
		{`db.getMongo().show('nothing')`, ``},
		{`db.getMongo().startSession({causalConsistency: true}).getDatabase('x').c.findOne()`, `x {"find": "c","filter": {},"limit": {"$numberLong":"1"},"singleBatch": true}`},
		{`const s = db.getMongo().startSession(); s.endSession(); s.getDatabase('x')`, ``},

		// streams
		{`db.c.watch()`, `app {"aggregate": "c","pipeline": [{"$changeStream": {}}],"cursor": {}}`},
		{`db.c.watch([{$match: {operationType: 'insert'}}], {fullDocument: 'updateLookup', batchSize: 5, collation: {locale: 'en'}})`,
			`app {"aggregate": "c","pipeline": [{"$changeStream": {"fullDocument": "updateLookup"}},{"$match": {"operationType": "insert"}}],"cursor": {"batchSize": {"$numberInt":"5"}},"collation": {"locale": "en"}}`},
		{`db.watch({resumeAfter: {_data: 'x'}})`, `app {"aggregate": {"$numberInt":"1"},"pipeline": [{"$changeStream": {"resumeAfter": {"_data": "x"}}}],"cursor": {}}`},
		{`db.getMongo().watch([], {fullDocumentBeforeChange: 'required'})`, `admin {"aggregate": {"$numberInt":"1"},"pipeline": [{"$changeStream": {"allChangesForCluster": true,"fullDocumentBeforeChange": "required"}}],"cursor": {}}`},
		{`db.c.watch([], {explian: true})`, ``},
		{`db.c.watch().toArray()`, `app {"aggregate": "c","pipeline": [{"$changeStream": {}}],"cursor": {}}`},

		// replica sets and clusters
		{`rs.status()`, `admin {"replSetGetStatus": {"$numberInt":"1"}}`},
		{`rs.conf()`, `admin {"replSetGetConfig": {"$numberInt":"1"}}`},
		{`rs.hello()`, `admin {"hello": {"$numberInt":"1"}}`},
		{`sh.listShards({draining: true})`, `admin {"listShards": {"$numberInt":"1"},"filter": {"draining": true}}`},
		{`sh.shardDrainingStatus()`, `admin {"shardDrainingStatus": {"$numberInt":"1"}}`},
		{`sh.shardDrainingStatus('s1')`, `admin {"shardDrainingStatus": "s1"}`},
		{`sh.isAutoMergerEnabled()`, `config {"find": "settings","filter": {"_id": "automerge"},"limit": {"$numberLong":"1"},"singleBatch": true}`},
		{`sh.isConfigShardEnabled()`, `config {"find": "shards","filter": {"_id": "config"},"limit": {"$numberLong":"1"},"singleBatch": true}`},
		{`sh.checkMetadataConsistency({checkIndexes: true})`, `admin {"checkMetadataConsistency": {"$numberInt":"1"},"checkIndexes": true}`},
		{`sh.balancerCollectionStatus('app.c')`, `admin {"balancerCollectionStatus": "app.c"}`},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, s, err, tt.want)
		}
		if (err == nil) != (tt.want != "") && !strings.Contains(tt.js, "toArray()") {
			t.Errorf("%s: %v", tt.js, err)
		}
	}
}

// What the methods that write send.
func TestWritesSend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		// documents
		{`db.c.findAndModify({query: {a: 'x'}, sort: {a: 1}, update: {$set: {b: 'y'}}, new: true, fields: {b: 1}, upsert: true, arrayFilters: [], collation: {locale: 'en'}, writeConcern: {w: 1}})`,
			`app {"findAndModify": "c","query": {"a": "x"},"update": {"$set": {"b": "y"}},"sort": {"a": {"$numberInt":"1"}},"upsert": true,"collation": {"locale": "en"},"arrayFilters": [],"writeConcern": {"w": {"$numberInt":"1"}},"fields": {"b": {"$numberInt":"1"}},"new": true}`},
		{`db.c.findAndModify({query: {}, remove: true, explian: true})`, ``},
		{`db.c.findAndModify({query: {}, remove: true, update: {}})`, ``},
		{`db.c.findAndModify({query: {}})`, ``},
		{`db.c.findAndModify({remove: true})`, ``},
		{`db.c.remove({a: 'x'}, {justOne: true, collation: {locale: 'en'}, writeConcern: {w: 1}})`, `app {"delete": "c","deletes": [{"q": {"a": "x"},"limit": {"$numberInt":"1"},"collation": {"locale": "en"}}],"writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.c.remove({}, false)`, `app {"delete": "c","deletes": [{"q": {},"limit": {"$numberInt":"0"}}]}`},
		{`db.c.remove({}, {justone: true})`, ``},
		{`db.c.updateOne({}, {$set: {a: 'x'}}, {sort: {a: 1}, hint: 'i', arrayFilters: [], let: {x: 'y'}, comment: 'z', bypassDocumentValidation: true})`,
			`app {"update": "c","updates": [{"q": {},"u": {"$set": {"a": "x"}},"multi": false,"arrayFilters": [],"hint": "i","sort": {"a": {"$numberInt":"1"}}}],"let": {"x": "y"},"comment": "z","bypassDocumentValidation": true}`},
		{`const b = db.c.initializeOrderedBulkOp(); b.insert({_id: 'x'}); b.find({a: 'x'}).updateOne({$set: {b: 'y'}}); b.find({}).upsert().collation({locale: 'en'}).hint('i').arrayFilters([]).update({$set: {b: 'y'}}); b.find({a: 'x'}).replaceOne({c: 'z'}); b.find({a: 'x'}).deleteOne(); b.find({}).delete(); b.execute({w: 1})`,
			`app {"insert": "c","documents": [{"_id": "x"}],"ordered": true,"writeConcern": {"w": {"$numberInt":"1"}}}
app {"update": "c","updates": [{"q": {"a": "x"},"u": {"$set": {"b": "y"}},"multi": false},{"q": {},"u": {"$set": {"b": "y"}},"multi": true,"upsert": true,"collation": {"locale": "en"},"hint": "i","arrayFilters": []},{"q": {"a": "x"},"u": {"c": "z"},"multi": false}],"ordered": true,"writeConcern": {"w": {"$numberInt":"1"}}}
app {"delete": "c","deletes": [{"q": {"a": "x"},"limit": {"$numberInt":"1"}},{"q": {},"limit": {"$numberInt":"0"}}],"ordered": true,"writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`const b = db.c.initializeUnorderedBulkOp(); b.find({a: 'x'}).remove(); b.find({a: 'x'}).removeOne(); b.execute()`, `app {"delete": "c","deletes": [{"q": {"a": "x"},"limit": {"$numberInt":"0"}},{"q": {"a": "x"},"limit": {"$numberInt":"1"}}],"ordered": false}`},
		{`const b = db.c.initializeOrderedBulkOp(); b.find()`, ``},
		{`const b = db.c.initializeOrderedBulkOp(); b.find({a: undefined}).delete(); b.execute()`, ``},
		{`const b = db.c.initializeOrderedBulkOp(); b.find({toBSON() { return {} }}).delete(); b.execute()`, ``},
		{`const b = db.c.initializeOrderedBulkOp(); b.find({}).update({a: 1}); b.execute()`, ``},
		{`const b = db.c.initializeOrderedBulkOp(); b.find({}).upsert().delete(); b.execute()`, ``},
		{`db.c.initializeOrderedBulkOp().execute()`, ``},
		{`const b = db.c.initializeOrderedBulkOp(); b.find({}).delete(); b.execute(); b.execute()`, `app {"delete": "c","deletes": [{"q": {},"limit": {"$numberInt":"0"}}],"ordered": true}`},
		{`db.getMongo().bulkWrite([{name: 'insertOne', namespace: 'a.b.c', document: {_id: 'x'}}, {name: 'updateMany', namespace: 'a.d', filter: {}, update: {$set: {x: 'y'}}, upsert: true}, {name: 'replaceOne', namespace: 'a.d', filter: {}, replacement: {x: 'y'}}, {name: 'deleteOne', namespace: 'a.b.c', filter: {}}, {name: 'deleteMany', namespace: 'a.b.c', filter: {}}], {ordered: false})`,
			`admin {"bulkWrite": {"$numberInt":"1"},"ops": [{"insert": {"$numberInt":"0"},"document": {"_id": "x"}},{"update": {"$numberInt":"1"},"filter": {},"updateMods": {"$set": {"x": "y"}},"multi": true,"upsert": true},{"update": {"$numberInt":"1"},"filter": {},"updateMods": {"x": "y"}},{"delete": {"$numberInt":"0"},"filter": {},"multi": false},{"delete": {"$numberInt":"0"},"filter": {},"multi": true}],"nsInfo": [{"ns": "a.b.c"},{"ns": "a.d"}],"errorsOnly": true,"ordered": false}`},
		{`db.getMongo().bulkWrite([{name: 'deleteMany', namespace: 'c', filter: {}}])`, ``},
		{`db.getMongo().bulkWrite([{name: 'removeMany', namespace: 'a.c', filter: {}}])`, ``},

		// indexes and collections
		{`db.c.createIndex({a: 1}, {name: 'n', unique: true, writeConcern: {w: 1}, comment: 'x', maxTimeMS: 9}, 'majority')`,
			`app {"createIndexes": "c","indexes": [{"key": {"a": {"$numberInt":"1"}},"unique": true,"name": "n"}],"writeConcern": {"w": {"$numberInt":"1"}},"comment": "x","maxTimeMS": {"$numberInt":"9"},"commitQuorum": "majority"}`},
		{`db.c.createIndexes([{a: 1}, {b: -1}], {sparse: true})`, `app {"createIndexes": "c","indexes": [{"key": {"a": {"$numberInt":"1"}},"sparse": true,"name": "a_1"},{"key": {"b": {"$numberInt":"-1"}},"sparse": true,"name": "b_-1"}]}`},
		{`db.c.ensureIndex({a: 'text'}, {weights: {a: 2}, default_language: 'de'})`, `app {"createIndexes": "c","indexes": [{"key": {"a": "text"},"weights": {"a": {"$numberInt":"2"}},"default_language": "de","name": "a_text"}]}`},
		{`db.c.createIndex({a: 1}, {uniqe: true})`, ``},
		{`db.c.createIndex({a: 1}, {name: ''})`, ``},
		{`db.c.createSearchIndex('n', {mappings: {dynamic: true}})`, `app {"createSearchIndexes": "c","indexes": [{"name": "n","definition": {"mappings": {"dynamic": true}}}]}`},
		{`db.c.createSearchIndex('n', 'vectorSearch', {fields: []})`, `app {"createSearchIndexes": "c","indexes": [{"name": "n","type": "vectorSearch","definition": {"fields": []}}]}`},
		{`db.c.createSearchIndex({mappings: {}})`, `app {"createSearchIndexes": "c","indexes": [{"name": "default","definition": {"mappings": {}}}]}`},
		{`db.c.createSearchIndex({name: 'n', definition: {mappings: {}}})`, `app {"createSearchIndexes": "c","indexes": [{"name": "n","definition": {"mappings": {}}}]}`},
		{`db.c.createSearchIndexes([{name: 'n', definition: {}}])`, `app {"createSearchIndexes": "c","indexes": [{"name": "n","definition": {}}]}`},
		{`db.c.dropSearchIndex('n')`, `app {"dropSearchIndex": "c","name": "n"}`},
		{`db.c.updateSearchIndex('n', {mappings: {}})`, `app {"updateSearchIndex": "c","name": "n","definition": {"mappings": {}}}`},
		{`db.c.drop({writeConcern: {w: 1}})`, `app {"drop": "c","writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.c.drop({explian: 1})`, ``},
		{`db.createCollection('d', {capped: true, size: 4096, max: 10, validator: {}})`, `app {"create": "d","capped": true,"size": {"$numberInt":"4096"},"max": {"$numberInt":"10"},"validator": {}}`},
		{`db.createCollection('d', {caped: true})`, ``},
		{`db.c.analyzeShardKey({a: 1}, {sampleSize: 5})`, `admin {"analyzeShardKey": "app.c","key": {"a": {"$numberInt":"1"}},"sampleSize": {"$numberInt":"5"}}`},
		{`db.c.configureQueryAnalyzer({mode: 'off'})`, `admin {"configureQueryAnalyzer": "app.c","mode": "off"}`},
		{`db.c.compactStructuredEncryptionData()`, `app {"compactStructuredEncryptionData": "c"}`},

		// databases, users, the server
		{`db.dropDatabase({w: 1})`, `app {"dropDatabase": {"$numberInt":"1"},"writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.changeUserPassword('u', 'p', {w: 1})`, `app {"updateUser": "u","pwd": "p","writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.dropUser('u', {w: 1})`, `app {"dropUser": "u","writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.grantRolesToUser('u', ['read'], {w: 1})`, `app {"grantRolesToUser": "u","roles": ["read"],"writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.updateRole('r', {roles: []}, {w: 1})`, `app {"updateRole": "r","roles": [],"writeConcern": {"w": {"$numberInt":"1"}}}`},
		{`db.setProfilingLevel(1, 50)`, `app {"profile": {"$numberInt":"1"},"slowms": {"$numberInt":"50"}}`},
		{`db.setProfilingLevel(3)`, ``},
		{`db.setProfilingLevel(-1)`, ``},
		{`db.setLogLevel(2, 'storage.journal')`, `admin {"setParameter": {"$numberInt":"1"},"logComponentVerbosity": {"storage": {"journal": {"verbosity": {"$numberInt":"2"}}}}}`},
		{`db.setLogLevel(2)`, `admin {"setParameter": {"$numberInt":"1"},"logComponentVerbosity": {"verbosity": {"$numberInt":"2"}}}`},
		{`db.fsyncLock()`, `admin {"fsync": {"$numberInt":"1"},"lock": true}`},
		{`db.fsyncUnlock()`, `admin {"fsyncUnlock": {"$numberInt":"1"}}`},
		{`db.shutdownServer({force: true})`, `admin {"shutdown": {"$numberInt":"1"},"force": true}`},
		{`db.rotateCertificates('x')`, `admin {"rotateCertificates": {"$numberInt":"1"},"message": "x"}`},

		// replica sets and clusters
		{`rs.initiate({_id: 'x', members: []})`, `admin {"replSetInitiate": {"_id": "x","members": []}}`},
		{`rs.stepDown(30, 10)`, `admin {"replSetStepDown": {"$numberInt":"30"},"secondaryCatchUpPeriodSecs": {"$numberInt":"10"}}`},
		{`rs.stepDown()`, `admin {"replSetStepDown": {"$numberInt":"60"}}`},
		{`rs.freeze(5)`, `admin {"replSetFreeze": {"$numberInt":"5"}}`},
		{`rs.freeze()`, ``},
		{`rs.syncFrom('h:1')`, `admin {"replSetSyncFrom": "h:1"}`},
		{`rs.add('h:1')`, `admin {"replSetGetConfig": {"$numberInt":"1"}}
admin {"replSetReconfig": {"_id": "x","version": {"$numberInt":"8"},"members": [{"_id": {"$numberInt":"4"},"host": "a:1"},{"_id": {"$numberInt":"5"},"host": "h:1"}]}}`},
		{`rs.addArb('h:1')`, `admin {"replSetGetConfig": {"$numberInt":"1"}}
admin {"replSetReconfig": {"_id": "x","version": {"$numberInt":"8"},"members": [{"_id": {"$numberInt":"4"},"host": "a:1"},{"_id": {"$numberInt":"5"},"host": "h:1","arbiterOnly": true}]}}`},
		{`rs.add({host: 'h:1', _id: 9, priority: 0})`, `admin {"replSetGetConfig": {"$numberInt":"1"}}
admin {"replSetReconfig": {"_id": "x","version": {"$numberInt":"8"},"members": [{"_id": {"$numberInt":"4"},"host": "a:1"},{"host": "h:1","_id": {"$numberInt":"9"},"priority": {"$numberInt":"0"}}]}}`},
		{`rs.remove('a:1')`, `admin {"replSetGetConfig": {"$numberInt":"1"}}
admin {"replSetReconfig": {"_id": "x","version": {"$numberInt":"8"},"members": []}}`},
		{`rs.remove('b:1')`, `admin {"replSetGetConfig": {"$numberInt":"1"}}`},
		{`rs.reconfig({_id: 'x', version: 3, members: []}, {force: true})`, `admin {"replSetGetConfig": {"$numberInt":"1"}}
admin {"replSetReconfig": {"_id": "x","members": [],"version": {"$numberInt":"8"}},"force": true}`},
		{`sh.enableSharding('x', 's1')`, `admin {"enableSharding": "x","primaryShard": "s1"}`},
		{`sh.shardCollection('x.c', {a: 'hashed'}, false, {numInitialChunks: 4})`, `admin {"shardCollection": "x.c","key": {"a": "hashed"},"unique": false,"numInitialChunks": {"$numberInt":"4"}}`},
		{`sh.shardCollection('x.c', {a: 1}, {collation: {locale: 'simple'}})`, `admin {"shardCollection": "x.c","key": {"a": {"$numberInt":"1"}},"collation": {"locale": "simple"}}`},
		{`sh.reshardCollection('x.c', {b: 1})`, `admin {"reshardCollection": "x.c","key": {"b": {"$numberInt":"1"}}}`},
		{`sh.addShard('s/h:1')`, `admin {"addShard": "s/h:1"}`},
		{`sh.addShardToZone('s', 'z')`, `admin {"addShardToZone": "s","zone": "z"}`},
		{`sh.updateZoneKeyRange('x.c', {a: 'x'}, {a: 'y'}, 'z')`, `admin {"updateZoneKeyRange": "x.c","min": {"a": "x"},"max": {"a": "y"},"zone": "z"}`},
		{`sh.updateZoneKeyRange('x.c', {a: 'x'}, {a: 'y'}, null)`, `admin {"updateZoneKeyRange": "x.c","min": {"a": "x"},"max": {"a": "y"},"zone": null}`},
		{`sh.removeRangeFromZone('x.c', {a: 'x'}, {a: 'y'})`, `admin {"updateZoneKeyRange": "x.c","min": {"a": "x"},"max": {"a": "y"},"zone": null}`},
		{`sh.removeShardFromZone('s', 'z')`, `admin {"removeShardFromZone": "s","zone": "z"}`},
		{`sh.splitAt('x.c', {a: 'x'})`, `admin {"split": "x.c","middle": {"a": "x"}}`},
		{`sh.splitFind('x.c', {a: 'x'})`, `admin {"split": "x.c","find": {"a": "x"}}`},
		{`sh.moveChunk('x.c', {a: 'x'}, 's')`, `admin {"moveChunk": "x.c","find": {"a": "x"},"to": "s"}`},
		{`sh.moveRange('x.c', 's', {a: 'x'})`, `admin {"moveRange": "x.c","toShard": "s","min": {"a": "x"}}`},
		{`sh.moveCollection('x.c', 's')`, `admin {"moveCollection": "x.c","toShard": "s"}`},
		{`sh.unshardCollection('x.c', 's')`, `admin {"unshardCollection": "x.c","toShard": "s"}`},
		{`sh.abortReshardCollection('x.c')`, `admin {"abortReshardCollection": "x.c"}`},
		{`sh.startBalancer()`, `admin {"balancerStart": {"$numberInt":"1"},"maxTimeMS": {"$numberInt":"60000"}}`},
		{`sh.stopBalancer(5)`, `admin {"balancerStop": {"$numberInt":"1"},"maxTimeMS": {"$numberInt":"5"}}`},
		{`sh.setBalancerState(false)`, `admin {"balancerStop": {"$numberInt":"1"},"maxTimeMS": {"$numberInt":"60000"}}`},
		{`sh.enableMigrations('x.c')`, `admin {"setAllowMigrations": "x.c","allowMigrations": true}`},
		{`sh.disableBalancing('x.c')`, `config {"update": "collections","updates": [{"q": {"_id": "x.c"},"u": {"$set": {"noBalance": true}},"multi": false}],"writeConcern": {"w": "majority","wtimeout": {"$numberInt":"30000"}}}`},
		{`sh.enableAutoSplit()`, `config {"update": "settings","updates": [{"q": {"_id": "autosplit"},"u": {"$set": {"enabled": true}},"multi": false,"upsert": true}],"writeConcern": {"w": "majority","wtimeout": {"$numberInt":"30000"}}}`},
		{`sh.stopAutoMerger()`, `config {"update": "settings","updates": [{"q": {"_id": "automerge"},"u": {"$set": {"enabled": false}},"multi": false,"upsert": true}],"writeConcern": {"w": "majority","wtimeout": {"$numberInt":"30000"}}}`},
		{`sh.shardAndDistributeCollection('x.c', {a: 1})`, `admin {"shardCollection": "x.c","key": {"a": {"$numberInt":"1"}}}
admin {"reshardCollection": "x.c","key": {"a": {"$numberInt":"1"}},"forceRedistribution": true}`},
	} {
		f := &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
			if e, _ := cmd.IndexErr(0); e.Key() == "replSetGetConfig" {
				return bson.D{{Key: "ok", Value: 1}, {Key: "config", Value: bson.D{{Key: "_id", Value: "x"}, {Key: "version", Value: int32(7)}, {Key: "members", Value: bson.A{bson.D{{Key: "_id", Value: int32(4)}, {Key: "host", Value: "a:1"}}}}}}}, nil
			}
			return nil, nil
		}}
		got, _, err := eval(t, f, tt.js)
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, s, err, tt.want)
		}
	}
}

// What methods make of replies.
func TestResults(t *testing.T) {
	t.Parallel()
	cursor := func(docs ...any) bson.D {
		return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "x"}, {Key: "firstBatch", Value: bson.A(docs)}}}}
	}
	at := func(s int) bson.DateTime { return bson.DateTime(s * 1000) }
	answers := map[string]bson.D{
		"insert": {{Key: "ok", Value: 1}, {Key: "n", Value: 1}}, "delete": {{Key: "ok", Value: 1}, {Key: "n", Value: 2}},
		"update":    {{Key: "ok", Value: 1}, {Key: "n", Value: 3}, {Key: "nModified", Value: 1}, {Key: "upserted", Value: bson.A{bson.D{{Key: "index", Value: 0}, {Key: "_id", Value: "u"}}}}},
		"bulkWrite": {{Key: "ok", Value: 1}, {Key: "nInserted", Value: 1}, {Key: "nMatched", Value: 2}, {Key: "nModified", Value: 3}, {Key: "nUpserted", Value: 4}, {Key: "nDeleted", Value: 5}},
		"collStats": {{Key: "ok", Value: 1}, {Key: "size", Value: 1 << 20}, {Key: "maxSize", Value: 2 << 20}, {Key: "indexDetails", Value: bson.D{{Key: "_id_", Value: 1}, {Key: "a_1", Value: 2}}}},
		"replSetGetStatus": {{Key: "ok", Value: 1}, {Key: "members", Value: bson.A{
			bson.D{{Key: "name", Value: "a"}, {Key: "state", Value: 1}, {Key: "optimeDate", Value: at(100)}}, bson.D{{Key: "name", Value: "b"}, {Key: "state", Value: 2}, {Key: "health", Value: 1}, {Key: "optimeDate", Value: at(40)}},
			bson.D{{Key: "name", Value: "c"}, {Key: "state", Value: 8}, {Key: "stateStr", Value: "DOWN"}, {Key: "health", Value: 0}}, bson.D{{Key: "name", Value: "d"}, {Key: "state", Value: 7}}}}},
		"balancerStatus":  {{Key: "ok", Value: 1}, {Key: "mode", Value: "full"}, {Key: "inBalancerRound", Value: false}},
		"listIndexes":     cursor(bson.D{{Key: "key", Value: bson.D{{Key: "a", Value: int32(1)}}}, {Key: "name", Value: "a_1"}}),
		"listCommands":    {{Key: "ok", Value: 1}, {Key: "commands", Value: bson.D{{Key: "ping", Value: bson.D{}}}}},
		"listCollections": cursor(bson.D{{Key: "name", Value: "c"}, {Key: "options", Value: bson.D{{Key: "capped", Value: true}}}}),
	}
	answer := func(db string, cmd bson.Raw) (bson.D, error) {
		e, _ := cmd.IndexErr(0)
		name, _ := e.Value().StringValueOK()
		switch key := e.Key() + " " + name; {
		case key == "find oplog.rs" && cmd.Lookup("sort", "$natural").AsInt64() == 1:
			return cursor(bson.D{{Key: "ts", Value: bson.Timestamp{T: 1000}}}), nil
		case key == "find oplog.rs":
			return cursor(bson.D{{Key: "ts", Value: bson.Timestamp{T: 8200}}}), nil
		case key == "find version":
			return cursor(bson.D{{Key: "_id", Value: 1}, {Key: "clusterId", Value: "x"}}), nil
		case key == "find shards" && db == "config":
			return cursor(bson.D{{Key: "_id", Value: "s1"}, {Key: "host", Value: "s1/h"}}), nil
		case key == "find databases":
			return cursor(bson.D{{Key: "_id", Value: "app"}, {Key: "primary", Value: "s1"}}), nil
		case key == "find collections":
			return cursor(bson.D{{Key: "_id", Value: "app.c"}, {Key: "key", Value: bson.D{{Key: "a", Value: 1}}}}), nil
		case key == "aggregate chunks":
			return cursor(bson.D{{Key: "nChunks", Value: 2}, {Key: "shard", Value: "s1"}}), nil
		case key == "aggregate c":
			return cursor(bson.D{{Key: "shard", Value: "s1"}, {Key: "storageStats", Value: bson.D{{Key: "size", Value: 1000}, {Key: "count", Value: 10}}}}), nil
		}
		return answers[e.Key()], nil
	}
	for _, tt := range []struct{ js, want string }{
		{`const b = db.c.initializeOrderedBulkOp(); b.insert({_id: 'x'}); b.find({}).update({$set: {a: 1}}); b.find({}).delete(); const s = '' + b, j = b.toJSON(); [s, j.nBatches, b.execute(), b.getOperations().map(o => o.batchType + ':' + o.originalZeroIndex).join()]`,
			"[\n  '{\"nInsertOps\":1,\"nUpdateOps\":1,\"nRemoveOps\":1,\"nBatches\":3}',\n  3,\n  {\n    acknowledged: true,\n    insertedCount: 1,\n    insertedIds: { '0': 'x' },\n    matchedCount: 2,\n    modifiedCount: 1,\n    deletedCount: 2,\n    upsertedCount: 1,\n    upsertedIds: { '1': 'u' }\n  },\n  '1:0,2:1,3:2'\n]"},
		{`db.c.initializeOrderedBulkOp().insert({}).insert({})`, "{ nInsertOps: 2, nUpdateOps: 0, nRemoveOps: 0, nBatches: 1 }"},
		{`db.c.initializeOrderedBulkOp().find({})`, "BulkFindOp"},
		{`const r = db.getMongo().bulkWrite([{name: 'deleteMany', namespace: 'a.c', filter: {}}]); [r.insertedCount, r.matchedCount, r.modifiedCount, r.upsertedCount, r.deletedCount]`, "[ 1, 2, 3, 4, 5 ]"},
		{`db.c.stats()`, "{ ok: 1, size: 1048576, maxSize: 2097152 }"},
		{`db.c.stats({indexDetails: true}).indexDetails`, "{ _id_: 1, a_1: 2 }"},
		{`db.c.stats({indexDetails: true, indexDetailsKey: {a: 1}}).indexDetails`, "{ a_1: 2 }"},
		{`db.c.stats({indexDetails: true, indexDetailsName: '_id_'}).indexDetails`, "{ _id_: 1 }"},
		{`db.c.isCapped()`, "true"},
		{`db.listCommands()`, "{ ping: {} }"},
		{`db.printCollectionStats().c.size`, "1048576"},
		{`rs.printSecondaryReplicationInfo()`, "{\n  'source: b': {\n    syncedTo: ISODate('1970-01-01T00:00:40.000Z'),\n    replLag: '60 secs (0.01 hrs) behind the primary'\n  },\n  'source: c': { 'no replication info, yet. State': 'DOWN' }\n}"},
		{`db.getReplicationInfo()`, "{\n  configuredLogSizeMB: 2,\n  logSizeMB: 2,\n  usedMB: 1,\n  timeDiff: Long('7200'),\n  timeDiffHours: 2,\n  tFirst: ISODate('1970-01-01T00:16:40.000Z'),\n  tLast: ISODate('1970-01-01T02:16:40.000Z')\n}"},
		{`db.printReplicationInfo()['log length start to end'] + rs.printReplicationInfo()['actual oplog size']`, "7200 secs (2 hrs)2 MB"},
		{`sh.getBalancerState()`, "true"},
		{`sh.status()`, "{\n  shardingVersion: { _id: 1, clusterId: 'x' },\n  shards: [ { _id: 's1', host: 's1/h' } ],\n  balancer: { 'Currently enabled': 'yes', 'Currently running': 'no' },\n  databases: [\n    {\n      database: { _id: 'app', primary: 's1' },\n      collections: {\n        'app.c': {\n          shardKey: { a: 1 },\n          unique: false,\n          balancing: true,\n          chunkMetadata: [ { nChunks: 2, shard: 's1' } ]\n        }\n      }\n    }\n  ]\n}"},
		{`db.c.getShardDistribution().Totals`, "{ bytes: 1000, docs: 10, chunks: 2 }"},
		{`sh.isConfigShardEnabled().enabled`, "true"},
		{`let n = 0; db.c.aggregate([]).forEach(() => { n++; return false }); n`, "1"},
		{`config.set('displayBatchSize', 3); config.get('displayBatchSize')`, "3"},
		{`DBQuery.shellBatchSize = 7; config.get('displayBatchSize') + DBQuery.shellBatchSize`, "14"},
		{`config.reset('displayBatchSize'); config.get('displayBatchSize')`, "20"},
		{`const s = db.getMongo().startSession({snapshot: true}); [s.getOptions(), s.hasEnded(), s.endSession(), s.hasEnded(), s]`, "[ { snapshot: true }, false, undefined, true, [session] ]"},
		{`[db.getMongo().getReadPref(), db.getMongo().getReadPrefMode(), db.getMongo().getReadConcern(), db.getMongo().close()]`, "[ { mode: 'primary' }, 'primary', undefined, undefined ]"},

		// values
		{`EJSON.stringify({a: Long('5'), b: 1.5}, null, 2)`, "{\n  \"a\": 5,\n  \"b\": 1.5\n}"},
		{`EJSON.stringify({a: 1}, {relaxed: false})`, `{"a":{"$numberInt":"1"}}`},
		{`EJSON.stringify({a: 1}, null, '', {relaxed: false})`, `{"a":{"$numberInt":"1"}}`},
		{`EJSON.serialize({a: ObjectId('64b0c0f1a2b3c4d5e6f70001')}).a.$oid`, "64b0c0f1a2b3c4d5e6f70001"},
		{`EJSON.deserialize({a: {$oid: '64b0c0f1a2b3c4d5e6f70001'}, n: 5})`, "{ a: ObjectId('64b0c0f1a2b3c4d5e6f70001'), n: 5 }"},
		{`EJSON.deserialize(EJSON.serialize({l: Long('5'), d: new Date(5)}, {relaxed: false}))`, "{ l: Long('5'), d: ISODate('1970-01-01T00:00:00.005Z') }"},
		{`const a = Long('7'), b = Long('2'); [a.divide(b), a.modulo(b), a.negate(), a.eq(7), a.greaterThan(b), a.lessThanOrEqual(b), a.isZero(), a.toBigInt(), Long.MAX_VALUE, Long.isLong(a), a.compare(b)]`,
			"[\n  Long('3'),\n  Long('1'),\n  Long('-7'),\n  true,\n  true,\n  false,\n  false,\n  7n,\n  Long('9223372036854775807'),\n  true,\n  1\n]"},
		{`const u = UUID('3f23364a-7132-4fc2-b13e-af233024c6ba'); [u.toHexString(), u.sub_type, u.length(), LegacyPythonUUID(u.toHexString()).toUUID().equals(u)]`, "[ '3f23364a-7132-4fc2-b13e-af233024c6ba', 4, 16, true ]"},
		{`[LegacyJavaUUID('00112233-4455-6677-8899-aabbccddeeff'), LegacyCSharpUUID('00112233-4455-6677-8899-aabbccddeeff')].map(b => b.toHexString())`, "[\n  '7766554433221100ffeeddccbbaa9988',\n  '33221100554477668899aabbccddeeff'\n]"},
		{`const ts = Timestamp({t: 5, i: 6}); [ts.getHighBits(), ts.getLowBits(), ts.t, Timestamp(Long('21474836486'))]`, "[ 5, 6, 5, Timestamp({ t: 5, i: 6 }) ]"},
		{`const c = Code('x', {a: 1}); c.code + c.scope.a`, "x1"},
	} {
		_, got, err := eval(t, &fake{answer: answer}, tt.js)
		if err != nil || got != tt.want {
			t.Errorf("%s\n prints %q (%v)\n want   %q", tt.js, got, err, tt.want)
		}
	}
}
