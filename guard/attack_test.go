package guard_test

import (
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
)

// What a hostile review broke, kind by kind. Each test is of one kind, with its relatives.

// explains are commands that ask a server to explain a write.
var explains = map[string][]string{
	"by a pipeline": {
		`{"explain": {"aggregate": "users", "pipeline": [{"$out": "victim"}], "cursor": {}}, "verbosity": "queryPlanner"}`,
		`{"explain": {"aggregate": "users", "pipeline": [{"$merge": {"into": {"db": "other", "coll": "victim"}}}], "cursor": {}}, "verbosity": "executionStats"}`,
		`{"explain": {"aggregate": "users", "pipeline": [{"$facet": {"a": [{"$out": "victim"}]}}], "cursor": {}}}`,
		`{"explain": {"aggregate": "users", "pipeline": [{"$lookup": {"from": "users", "as": "x", "pipeline": [{"$merge": "victim"}]}}], "cursor": {}}}`,
		`{"explain": {"aggregate": "users", "pipeline": [{"$unionWith": {"coll": "users", "pipeline": [{"$out": "victim"}]}}], "cursor": {}}}`,
		`{"explain": {"mapReduce": "users", "map": "m", "reduce": "r", "out": "victim"}}`,
		`{"aggregate": "users", "pipeline": [{"$out": "victim"}], "explain": true}`,
		`{"aggregate": "users", "pipeline": [{"$out": "victim"}], "cursor": {}, "explain": 1}`,
		`{"aggregate": "users", "pipeline": [{"$merge": "victim"}], "cursor": {}, "explain": "yes"}`,
		`{"create": "v", "viewOn": "users", "pipeline": [{"$out": "victim"}]}`,
		`{"collMod": "adults", "viewOn": "users", "pipeline": [{"$merge": "victim"}]}`,
		`{"update": "users", "updates": [{"q": {}, "u": [{"$out": "victim"}], "multi": true}]}`,
	},
	"of a statement": {
		`{"explain": {"delete": "users", "deletes": [{"q": {}, "limit": 0}]}, "verbosity": "queryPlanner"}`,
		`{"explain": {"update": "users", "updates": [{"q": {}, "u": {"$set": {"a": 1}}, "multi": true}]}, "verbosity": "executionStats"}`,
		`{"explain": {"findAndModify": "users", "remove": true}}`,
	},
}

// mongodBuild is what a mongod answers to buildInfo, as far as it is looked at.
var mongodBuild = bson.D{
	{Key: "version", Value: "8.0.4"}, {Key: "gitVersion", Value: strings.Repeat("0123456789", 4)}, {Key: "allocator", Value: "tcmalloc-google"}, {Key: "javascriptEngine", Value: "mozjs"},
	{Key: "buildEnvironment", Value: bson.D{{Key: "target_arch", Value: "x86_64"}}}, {Key: "storageEngines", Value: bson.A{"devnull", "wiredTiger"}}, {Key: "ok", Value: 1.0},
}

// TestAttackExplain: a server may carry out what it explains. An explanation of a writing pipeline leaves for no guarded deployment and in no preview; one of a statement only
// for a server that is known to carry nothing out.
func TestAttackExplain(t *testing.T) {
	t.Parallel()
	for _, env := range []string{"production", "staging"} {
		for _, mode := range []guard.Mode{guard.Execute, guard.Preview} {
			for kind, cmds := range explains {
				for _, cmd := range cmds {
					s, c := catalogueServer(t, env)
					b := s.bench(t)
					_, _, err := b.runIn(mode, cmd)
					var r *guard.Refused
					if !errors.As(err, &r) {
						t.Errorf("%s, %s: %v, want a refusal", env, cmd, err)
					}
					if len(c.sent) > 0 {
						t.Errorf("%s, %s (%s): %s was sent", env, cmd, kind, c.sent[0])
					}
					if len(b.op.asked) > 0 {
						t.Errorf("%s, %s asked a question", env, cmd)
					}
				}
			}
		}
	}
	c := newCatalogue("production")
	explained := 0
	f := wiretest.NewFake(t, bson.D{{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: bson.NewObjectID()}, {Key: "counter", Value: int64(0)}}}}, func(db string, cmd bson.Raw) bson.D {
		switch cmd.Index(0).Key() {
		case "buildInfo":
			return mongodBuild
		case "explain":
			explained++
			return bson.D{{Key: "queryPlanner", Value: bson.D{}}, {Key: "ok", Value: 1.0}}
		}
		return c.answer(db, cmd)
	})
	b := (&server{uri: f.URI(), db: "app"}).bench(t)
	for _, cmd := range explains["of a statement"] {
		if _, _, err := b.run(cmd); err != nil {
			t.Errorf("%s on MongoDB: %v", cmd, err)
		}
	}
	for _, cmd := range explains["by a pipeline"] {
		if _, _, err := b.run(cmd); err == nil {
			t.Errorf("%s on MongoDB ran", cmd)
		}
	}
	if want := len(explains["of a statement"]); explained != want || len(c.sent) > 0 || len(b.op.asked) > 0 {
		t.Errorf("explained %d, want %d; sent %v; asked %d", explained, want, c.sent, len(b.op.asked))
	}
}
