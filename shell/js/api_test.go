package js

import (
	"errors"
	"os"
	"strings"
	"testing"
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
	works, notYet := 0, 0
	for _, row := range rows {
		class, names, _ := strings.Cut(row, "\t")
		if notOurs[class+" "+names] != "" || class == "object" {
			continue
		}
		object, ok := on[class]
		if !ok {
			t.Errorf("%s: no object of this class", row)
			continue
		}
		for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ' ' || r == '/' }) {
			name = strings.TrimPrefix(name, "db.c.")
			if n, isDB := strings.CutPrefix(name, "db."); isDB {
				object, name = "db.", n
			} else if class == "global" && strings.Contains("copyTo group save", name) {
				object = "db.c."
			}
			if name == "(get)" || name == "..." || name == "Array.sum" || name == "isString..." || name == "enableFreeMonitoring" {
				continue
			}
			for _, args := range []string{"()", "('x', {}, {})"} {
				f := &fake{}
				src := object + name + args
				_, _, err := eval(t, f, src)
				var r *Refusal
				switch {
				case err == nil, errors.As(err, &r) && !strings.Contains(r.Text, "not in respect"):
					works++
				case errors.As(err, &r):
					notYet++
				case strings.Contains(err.Error(), "is not a function"), strings.Contains(err.Error(), "undefined"), strings.Contains(err.Error(), "not defined"):
					t.Errorf("%s: %v", src, err)
				default:
					works++ // it wants other arguments
				}
			}
		}
	}
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
		{`db.c.find().readPref('secondary').toArray()`, ``},
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
