package guard_test

import "testing"

// catalogueSaid are facts about what the embedded server has not, over a catalogue that tests make up; as findingsSaid.
var catalogueSaid = []struct {
	code, env, cmd, text string
	quiet                []string
}{
	{"system-collection", "staging", `{"insert": "system.js", "documents": [{"_id": "f"}]}`, "insert touches DB.system.js, which is the server's own", []string{
		`admin: {"setParameter": 1, "cursorTimeoutMillis": 1}`, // it is sent to admin, and changes nothing there
		`$external: {"dropUser": "bob"}`,
		`{"collMod": "users", "validator": {}}`,
	}},
	{"system-collection", "staging", `config: {"update": "settings", "updates": [{"q": {"_id": "balancer"}, "u": {"$set": {"stopped": true}}}]}`, "config.settings", nil},
	{"irreversible", "staging", `{"compact": "users"}`, "nothing takes it back", []string{
		`{"collMod": "users", "index": {"name": "at_1", "expireAfterSeconds": 60}}`,
		`{"drop": "adults"}`, // a view can be made again
		`{"profile": 2}`,
	}},
	{"irreversible", "staging", `{"dropUser": "ann"}`, "password", []string{
		`$external: {"dropUser": "bob"}`, // who has none
		`{"grantRolesToUser": "ann", "roles": [{"role": "writer", "db": "app"}]}`,
	}},
	{"irreversible", "production", `{"collMod": "users", "index": {"name": "at_1", "unique": true}}`, "collMod cannot take unique away again", nil},
	{"partial-undo", "staging", `{"dropRole": "writer"}`, "$external.bob, who is of another database", []string{
		`{"createRole": "auditor", "privileges": [], "roles": []}`,
		`{"updateRole": "writer", "privileges": []}`,
		`{"updateUser": "ann", "roles": []}`,
	}},
	{"changes-access", "staging", `{"updateUser": "ann", "roles": []}`, "roles of the user DB.ann", []string{
		`{"updateUser": "ann", "pwd": "kestrel-7431"}`, // the same rights under another password
		`{"collMod": "users", "validator": {}}`,
		`{"updateUser": "ann", "roles": [{"role": "read", "db": "app"}]}`, // those that she has
	}},
	{"changes-options", "production", `{"collMod": "users", "validator": {"age": {"$gt": 17}}}`, "validator of DB.users: { age: { '$gt': 0 } } becomes { age: { '$gt': 17 } }", []string{
		`{"collMod": "users", "validator": {"age": {"$gt": 0}}}`,                                            // as it is
		`{"collMod": "users", "validationLevel": "strict"}`,                                                 // as it is, since nobody said otherwise
		`{"collMod": "users", "index": {"name": "at_1", "expireAfterSeconds": {"$numberLong": "1000000"}}}`, // by another type of number
		`{"collMod": "users", "index": {"name": "at_1", "hidden": false}}`,
		`{"profile": 0}`,
		`{"profile": 0, "slowms": 100}`,
		`{"create": "kids", "viewOn": "users", "pipeline": []}`,
	}},
	{"changes-options", "production", `{"profile": 2, "slowms": 100}`, "the profiling level of DB: 0 becomes 2", nil},
	{"changes-options", "staging", `admin: {"setParameter": 1, "cursorTimeoutMillis": 1}`, "600000 becomes 1", []string{
		`admin: {"setParameter": 1, "cursorTimeoutMillis": 600000}`, // as it is
	}},
	{"no-change", "production", `{"collMod": "users", "validator": {"age": {"$gt": 0}}}`, "DB.users is as asked", []string{
		`{"collMod": "users", "validator": {"age": {"$gt": 0}}, "validationAction": "warn"}`, // one of two
	}},
	{"ttl-deletes", "production", `{"collMod": "users", "index": {"name": "at_1", "expireAfterSeconds": 60}}`, "would delete 7 documents of DB.users soon", []string{
		`{"collMod": "users", "index": {"name": "at_1", "expireAfterSeconds": 2000000}}`, // later than now
		`{"collMod": "users", "index": {"name": "at_1", "expireAfterSeconds": 1000000}}`,
		`{"collMod": "users", "index": {"name": "at_1", "hidden": true}}`,
		`{"createIndexes": "users", "indexes": [{"key": {"born": 1}, "name": "born_1"}, {"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 1000000}]}`, // that one is there
	}},
	{"ttl-deletes", "production", `{"createIndexes": "users", "indexes": [{"key": {"born": 1}, "name": "born_1", "expireAfterSeconds": 60}]}`, "would delete 7 documents of DB.users soon", []string{
		`{"createIndexes": "users", "indexes": [{"key": {"born": 1}, "name": "born_1"}]}`,
	}},
	{"no-match", "production", `admin: {"killOp": 1, "op": 78}`, "nothing to end", []string{`admin: {"killOp": 1, "op": 77}`}},
	{"matched", "production", `admin: {"killOp": 1, "op": 77}`, "ends the operation 77: 'update' on 'DB.users', running for 12 s", []string{`admin: {"killOp": 1, "op": 78}`}},
	{"drops-collection", "production", `{"drop": "adults"}`, "drops the view DB.adults on 'users'; no document goes with it", []string{`{"collMod": "adults", "viewOn": "users", "pipeline": []}`}},
	{"not-pinnable", "production", `{"delete": "adults", "deletes": [{"q": {}, "limit": 0}]}`, "adults is a view", []string{
		`{"delete": "users", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"drop": "adults"}`,
	}},
}

// TestFactsOfTheCatalogue: each fact where it is true, and not where it is not.
func TestFactsOfTheCatalogue(t *testing.T) {
	t.Parallel()
	benches := map[string]*bench{}
	for _, env := range []string{"staging", "production"} {
		s, _ := catalogueServer(t, env)
		benches[env] = s.bench(t)
	}
	for _, c := range catalogueSaid {
		b := benches[c.env]
		b.says(c.cmd, c.code, c.text)
		for _, cmd := range c.quiet {
			b.silent(cmd, c.code)
		}
	}
}
