package command

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func parse(t *testing.T, db, cmd string) *Command {
	t.Helper()
	c, err := Parse(db, js(t, cmd), nil)
	if err != nil {
		t.Fatalf("Parse(%s): %v", cmd, err)
	}
	return c
}

// The names stand in journals and in JSON.
func TestClassNames(t *testing.T) {
	want := []string{"unknown", "read", "session", "document write", "schema", "operations", "security", "cluster", "server", "unknown"}
	for c := Unknown; c <= Server+1; c++ {
		if got := c.String(); got != want[c] {
			t.Errorf("class %d is %q, want %q", c, got, want[c])
		}
	}
	for op, want := range map[Op]string{Insert: "insert", Update: "update", Replace: "replace", Delete: "delete"} {
		if got := op.String(); got != want {
			t.Errorf("operation %d is %q, want %q", op, got, want)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, tt := range []struct {
		a, b Namespace
		want bool
	}{
		{Namespace{"a", "x"}, Namespace{"a", "x"}, true},
		{Namespace{"a", "x"}, Namespace{"a", "y"}, false},
		{Namespace{"a", "x"}, Namespace{"b", "x"}, false},
		{Namespace{"a", ""}, Namespace{"a", "x"}, true},
		{Namespace{"a", ""}, Namespace{"a", ""}, true},
		{Namespace{"a", ""}, Namespace{"b", ""}, false},
		{Namespace{"a", ""}, Namespace{"b", "x"}, false},
	} {
		if tt.a.Overlaps(tt.b) != tt.want || tt.b.Overlaps(tt.a) != tt.want {
			t.Errorf("%v and %v overlap: %v, want %v", tt.a, tt.b, !tt.want, tt.want)
		}
	}
}

func TestParseNamespace(t *testing.T) {
	for s, want := range map[string]Namespace{"a.b": {"a", "b"}, "a.b.c": {"a", "b.c"}, "a.system.x": {"a", "system.x"}} {
		if got, err := ParseNamespace(s); err != nil || got != want || got.String() != s {
			t.Errorf("ParseNamespace(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "a", ".", "a.", ".b", "a b.c", "a/b.c", `a\b.c`, `a".c`, "a\x00.c", "a.b$c", "a.b\x00c", "a..b", strings.Repeat("a", 64) + ".b"} {
		if got, err := ParseNamespace(s); err == nil {
			t.Errorf("ParseNamespace(%q) = %v, want an error", s, got)
		}
	}
	if _, err := ParseNamespace("a"); err == nil || !strings.Contains(err.Error(), "is not database.collection") {
		t.Errorf("ParseNamespace(a): %v", err)
	}
	if _, err := ParseNamespace(strings.Repeat("a", 63) + ".b"); err != nil {
		t.Error(err)
	}
}

// TestReasons: what is not understood says why, in words that help.
func TestReasons(t *testing.T) {
	for cmd, want := range map[string]string{
		`{"frobnicate":1}`:                                    `"frobnicate" is not in the command table`,
		`{"INSERT":"c"}`:                                      `did you mean "insert"`,
		`{"_shardsvrDropDatabase":1}`:                         "servers send to each other",
		`{"clusterInsert":1}`:                                 "servers send to each other",
		`{"streams_sendEvent":1}`:                             "servers send to each other",
		`{"testRemoval":1}`:                                   "servers send to each other",
		`{"replSetTestEgress":1}`:                             "servers send to each other",
		`{"find":"c","explian":1}`:                            `find has no option "explian" that is known`,
		`{"drop":"system.x","zap":1}`:                         `drop has no option "zap"`,
		`{"aggregate":"c","pipeline":[{"$out":"x"}]}`:         "$out and $merge write to app.x",
		`{"aggregate":"c","pipeline":[{"$zap":1}]}`:           `"$zap" is not known to be a read`,
		`{"getMore":{"$numberLong":"7"},"collection":"c"}`:    "not one that this session opened",
		`{"explain":{"find":"c","explian":1}}`:                `find has no option "explian"`,
		`{"explain":{"drop":"c"}}`:                            "can be explained",
		`{"delete":"c","deletes":[{"q":{}}]}`:                 "limit is missing",
		`{"update":"c","updates":[{"q":{},"u":{},"zap":1}]}`:  `updates[0]: the field "zap"`,
		`{"insert":"c"}`:                                      "documents: an array of documents",
		`{"renameCollection":"a.b","to":"a.c"}`:               "sent to the database admin",
		`{"renameCollection":"a.b"}`:                          "wants two namespaces",
		`{"renameCollection":1,"to":"a.b"}`:                   "wants two namespaces",
		`{"mapReduce":"c","out":{"inline":1,"zap":1}}`:        "out.inline is not understood",
		`{"shardCollection":1}`:                               "wants a namespace",
		`{"killCursors":"c","cursors":[{"$numberLong":"7"}]}`: "did not open",
		`{"insert":"system.users","documents":[{}]}`:          "system.*",
		`{"insert":"respect.environment","documents":[{}]}`:   "which environment this is",
		`{"find":5}`:           "find wants the name of a collection",
		`{"movePrimary":5}`:    "wants the name of a database",
		`{"aggregate":"c"}`:    "has no pipeline",
		`{"enableSharding":5}`: "wants the name of a database",
		`{"aggregate":"c","pipeline":[{"$out":{"coll":5}}]}`:                     "$out: which namespace it writes to is not understood",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":{"db":5,"coll":"x"}}}]}`: "$merge: which namespace it writes to is not understood",
		`{"mapReduce":"c"}`:                                            "mapReduce has no out",
		`{"mapReduce":"c","out":5}`:                                    "out is not understood",
		`{"explain":5}`:                                                "explain wants a command",
		`{"explain":{"find":"c","lsid":{}}}`:                           `the field "lsid"`,
		`{"getMore":7,"collection":"c"}`:                               "wants the id of a cursor",
		`{"getMore":{"$numberLong":"7"}}`:                              "wants the name of a collection",
		`{"killCursors":"c","cursors":5}`:                              "wants an array of cursor ids",
		`{"killCursors":"c","cursors":[7]}`:                            "a cursor id is a 64-bit integer",
		`{"profile":"x"}`:                                              "profile wants a number",
		`{"collMod":"c","index":5}`:                                    "index is not a document",
		`{"cloneCollectionAsCapped":"c"}`:                              "toCollection is not the name",
		`{"applyOps":5}`:                                               "applyOps: an array of documents",
		`{"applyOps":[{"op":"n"}]}`:                                    "an entry without op and ns",
		`{"applyOps":[{"op":"i"}]}`:                                    "an entry without op and ns",
		`{"applyOps":[{"op":"c","ns":"a.$cmd"}]}`:                      "a command that is not a document",
		`{"bulkWrite":1,"nsInfo":5}`:                                   "bulkWrite: nsInfo: an array",
		`{"bulkWrite":1,"nsInfo":[]}`:                                  "bulkWrite: ops: an array",
		`{"bulkWrite":1,"nsInfo":[],"ops":[]}`:                         "sent to the database admin",
		`{"bulkWrite":1,"nsInfo":[{"ns":"a"}]}`:                        `bulkWrite: "a" is not database.collection`,
		`{"insert":"c","documents":[]}`:                                "insert has no statement",
		`{"insert":"c","documents":[5]}`:                               "element 0 is not a document",
		`{"delete":"c","deletes":[{"q":{},"limit":2}]}`:                "limit must be 0 or 1",
		`{"delete":"c","deletes":[{"q":5,"limit":1}]}`:                 "the filter q is not a document",
		`{"findAndModify":"c","query":5,"remove":true}`:                "query is not a document",
		`{"findAndModify":"c"}`:                                        "neither update nor remove",
		`{"findAndModify":"c","remove":true,"new":true}`:               "remove goes with neither",
		`{"update":"c","updates":[{"q":{},"u":{"a":1},"multi":true}]}`: "did you forget $set?",
		`{"update":"c","updates":[{"q":{},"u":5}]}`:                    "neither a document nor a pipeline",
		`{"update":"c","updates":[{"q":{},"u":{"$set":{},"a":1}}]}`:    "mixes operators and fields",
		`{"update":"c","updates":[{"q":{},"u":{},"multi":"x"}]}`:       "multi is neither true nor false",
		`{"delete":"c","deletes":5}`:                                   "delete: deletes: an array",
		`{"createUser":"u"}`:                                           "",
		`{"update":"c","updates":[{"q":{},"u":{"":1}}]}`:               "", // a replacement, with a field without a name
		`{"update":"c","updates":[{"q":{},"u":{"$set":{},"":1}}]}`:     "mixes operators and fields",
	} {
		if got := parse(t, "app", cmd).Why(); !strings.Contains(got, want) {
			t.Errorf("Parse(%s) says %q, want %q", cmd, got, want)
		}
	}
	for _, cmd := range []string{`{"aggregate":"c","pipeline":[]}`, `{"profile":-1}`, `{"usersInfo":1}`, `{"explain":{"find":"c"}}`, `{"mapReduce":"c","out":{"inline":1}}`} {
		if got := parse(t, "app", cmd).Why(); got != "" {
			t.Errorf("the read %s says %q", cmd, got)
		}
	}
	if c := parse(t, "app", `{"drop":"system.x","zap":1}`); c.Class() != Unknown {
		t.Errorf("a command that is not understood is %v", c.Class())
	}
}

// TestSystemNamespacesOfSchema: for the schema of the server's own collections too, and wherever they stand among the targets.
func TestSystemNamespacesOfSchema(t *testing.T) {
	for _, tt := range []struct {
		db, cmd string
		want    Class
	}{
		{"admin", `{"renameCollection":"app.a","to":"app.b"}`, Schema},
		{"admin", `{"renameCollection":"app.a","to":"admin.b"}`, Security},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0,"document":{}}],"nsInfo":[{"ns":"a.x"},{"ns":"b.y"}]}`, DocumentWrite},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0,"document":{}}],"nsInfo":[{"ns":"a.x"},{"ns":"admin.system.users"}]}`, Security},
		{"admin", `{"bulkWrite":1,"ops":[],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":1,"document":{}}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":-1,"document":{}}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0.5,"document":{}}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":"0","document":{}}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0,"document":5}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0,"document":{},"zap":1}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":5,"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"drop":0}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0,"document":{}}],"nsInfo":5}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"insert":0,"document":{}}],"nsInfo":[{"ns":"a.x"}],"bypassDocumentValidation":"yes"}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"drop":0}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"delete":0}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"delete":0,"filter":{},"multi":"x"}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"update":0,"filter":{},"updateMods":5}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"update":0,"filter":{},"updateMods":{"$set":{"a":1}},"upsert":"x"}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"bulkWrite":1,"ops":[{"update":0,"filter":{},"updateMods":{"a":1},"multi":true}],"nsInfo":[{"ns":"a.x"}]}`, Unknown},
		{"admin", `{"renameCollection":"config.a","to":"app.b"}`, Cluster},
		{"admin", `{"renameCollection":"app.a","to":"app.system.js"}`, Security},
		{"admin", `{"renameCollection":"app.a","to":"app"}`, Unknown},
		{"admin", `{"renameCollection":"app","to":"app.a"}`, Unknown},
		{"admin", `{"dropDatabase":1}`, Security},
		{"config", `{"dropDatabase":1}`, Cluster},
		{"local", `{"drop":"x"}`, Cluster},
		{"respect", `{"dropDatabase":1}`, Security},
		{"$external", `{"drop":"x"}`, Security},
		{"app", `{"drop":"respect.environment"}`, Security},
		{"admin", `{"renameCollection":"admin.a","to":"config.b"}`, Security}, // the first that is found
		{"admin", `{"renameCollection":"config.a","to":"admin.b"}`, Cluster},
		{"admin", `{"dbCheck":1}`, Security},
		{"admin", `{"dbHash":1}`, Security},
		{"config", `{"dbHash":1}`, Cluster},
		{"app", `{"delete":"system.x","deletes":5}`, Unknown},
		{"app", `{"insert":"system.x","documents":[]}`, Unknown},
		{"admin", `{"find":"system.users"}`, Read},
		{"config", `{"aggregate":"chunks","pipeline":[],"cursor":{}}`, Read},
		{"admin", `{"killOp":1,"op":1}`, Operations},
		{"admin", `{"shutdown":1}`, Server},
		{"admin", `{"startSession":1}`, Session},
	} {
		if c := parse(t, tt.db, tt.cmd); c.Class() != tt.want {
			t.Errorf("in %s, %s is %v, want %v", tt.db, tt.cmd, c.Class(), tt.want)
		}
	}
}

// TestSources: a read must wait for the writes before it, so that it has to say what it reads.
func TestSources(t *testing.T) {
	for cmd, want := range map[string]string{
		`{"find":"c"}`:                  "app.c",
		`{"count":"c"}`:                 "app.c",
		`{"distinct":"c","key":"a"}`:    "app.c",
		`{"listIndexes":"c"}`:           "app.c",
		`{"collStats":"c"}`:             "app.c",
		`{"planCacheListFilters":"c"}`:  "app.c",
		`{"dataSize":"prod.c"}`:         "prod.c",
		`{"mapReduce":"c","out":"x"}`:   "app.c",
		`{"aggregate":1,"pipeline":[]}`: "",
		`{"explain":{"find":"c"}}`:      "app.c",
		`{"explain":{"delete":"c","deletes":[{"q":{},"limit":0}]}}`:                                     "app.c",
		`{"validate":"c","background":true}`:                                                            "app.c",
		`{"collMod":"c","index":{"unique":true},"dryRun":true}`:                                         "app.c",
		`{"cloneCollectionAsCapped":"c","toCollection":"d","size":1}`:                                   "app.c",
		`{"balancerCollectionStatus":"prod.c"}`:                                                         "prod.c",
		`{"checkShardingIndex":"prod.c","keyPattern":{"a":1}}`:                                          "prod.c",
		`{"aggregate":"c","pipeline":[{"$unionWith":"d"}]}`:                                             "app.c, app.d",
		`{"aggregate":"c","pipeline":[{"$unionWith":{"coll":"d"}}]}`:                                    "app.c, app.d",
		`{"aggregate":"c","pipeline":[{"$graphLookup":{"from":"d"}}]}`:                                  "app.c, app.d",
		`{"aggregate":"c","pipeline":[{"$lookup":{"from":"d","pipeline":[{"$lookup":{"from":"e"}}]}}]}`: "app.c, app.d, app.e",
		`{"aggregate":"c","pipeline":[{"$lookup":{"from":{"db":"x","coll":"d"}}}]}`:                     "app.c, x.d",
		`{"aggregate":"c","pipeline":[{"$unionWith":{"db":"x","coll":"d"}}]}`:                           "app.c, x.d",
		`{"aggregate":"c","pipeline":[{"$lookup":{"pipeline":[]}}]}`:                                    "app.c",
	} {
		if got := namespaces(parse(t, "app", cmd).Sources()); got != want {
			t.Errorf("%s reads %q, want %q", cmd, got, want)
		}
	}
	c, err := Parse("app", js(t, `{"getMore":{"$numberLong":"7"},"collection":"c"}`), func(int64, Namespace) bool { return true })
	if err != nil || namespaces(c.Sources()) != "app.c" || !slices.Equal(c.Cursors(), []int64{7}) {
		t.Errorf("getMore reads %v of %v, %v", c.Cursors(), c.Sources(), err)
	}
	if c := parse(t, "app", `{"killCursors":"c","cursors":[{"$numberLong":"7"},{"$numberLong":"8"}]}`); !slices.Equal(c.Cursors(), []int64{7, 8}) {
		t.Errorf("killCursors names %v", c.Cursors())
	}
}

// TestBounded: reads of documents get a limit of time, unless they have one or wait for what happens later.
func TestBounded(t *testing.T) {
	for cmd, want := range map[string]bool{
		`{"find":"c"}`:                                        true,
		`{"count":"c"}`:                                       true,
		`{"distinct":"c","key":"a"}`:                          true,
		`{"aggregate":"c","pipeline":[]}`:                     true,
		`{"find":"c","maxTimeMS":5}`:                          false,
		`{"find":"c","tailable":true}`:                        false,
		`{"find":"c","tailable":false}`:                       true,
		`{"find":"c","tailable":{"$undefined":true}}`:         true,
		`{"find":"c","tailable":null}`:                        true,
		`{"find":"c","tailable":"x"}`:                         false,
		`{"aggregate":"c","pipeline":[{"$changeStream":{}}]}`: false,
		`{"aggregate":"c","pipeline":[{"$out":"x"}]}`:         false,
		`{"ping":1}`:                                          false,
		`{"listIndexes":"c"}`:                                 false,
		`{"delete":"c","deletes":[{"q":{},"limit":1}]}`:       false,
	} {
		c := parse(t, "app", cmd)
		b := c.Bounded(1234)
		v, has := b.Lookup("maxTimeMS")
		if got := has && v.AsInt64() == 1234; got != want {
			t.Errorf("%s is bounded: %v, want %v", cmd, got, want)
		}
		if !want && b != c {
			t.Errorf("%s became %s", cmd, b.Raw())
		}
		if want {
			if err := b.Raw().Validate(); err != nil || b == c {
				t.Errorf("%s: %v", b.Raw(), err)
			}
			if _, has := c.Lookup("maxTimeMS"); has {
				t.Errorf("the command itself changed: %s", c.Raw())
			}
		}
	}
}

// TestWrites: every part of a statement arrives where a plan looks for it.
func TestWrites(t *testing.T) {
	c := parse(t, "app", `{"update":"c","updates":[{"q":{"a":1},"u":{"$set":{"b":1}},"c":{"k":1},"upsert":true,"multi":true,"collation":{"locale":"de"},"arrayFilters":[{"x":1}],"hint":"a_1","sort":{"s":1}},`+
		`{"q":{},"u":{"b":1}},{"q":{},"u":[{"$set":{"a":1}}]},{"q":{},"u":{"$set":{"b":1}},"multi":1,"upsert":0},{"q":{},"u":{}},{"q":{},"u":{"$set":{}},"multi":null}],"let":{"v":1},"bypassDocumentValidation":true}`)
	w := c.Writes()
	if len(w) != 6 || namespaces(c.Targets()) != "app.c" {
		t.Fatalf("%d statements on %v", len(w), c.Targets())
	}
	first := w[0]
	for name, v := range map[string]bson.RawValue{"c": first.Constants, "collation": first.Collation, "arrayFilters": first.ArrayFilters, "hint": first.Hint, "sort": first.Sort, "let": first.Let, "u": first.Update} {
		if v.Type == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	if first.Op != Update || !first.Multi || !first.Upsert || !first.BypassChecks || first.Pipeline() || first.FindAndModify || first.Filter.Lookup("a").AsInt64() != 1 {
		t.Errorf("the first is %+v", first)
	}
	if w[1].Op != Replace || w[1].Doc.Lookup("b").AsInt64() != 1 || w[1].Multi || w[1].Upsert {
		t.Errorf("the second is %+v", w[1])
	}
	if w[2].Op != Update || !w[2].Pipeline() || !w[3].Multi || w[3].Upsert || w[4].Op != Replace || w[5].Multi {
		t.Errorf("%+v", w[2:])
	}
	c = parse(t, "app", `{"delete":"c","deletes":[{"q":{"a":1},"limit":0,"collation":{"locale":"de"},"hint":"a_1"},{"q":{},"limit":1}],"let":{"v":1}}`)
	w = c.Writes()
	if len(w) != 2 || w[0].Op != Delete || !w[0].Multi || w[1].Multi || w[0].Collation.Type == 0 || w[0].Hint.Type == 0 || w[1].Hint.Type != 0 || w[0].Let.Type == 0 || w[0].Filter.Lookup("a").Type == 0 {
		t.Errorf("%+v", w)
	}
	c = parse(t, "app", `{"insert":"c","documents":[{"_id":5,"a":1},{"a":2}],"bypassDocumentValidation":false}`)
	w = c.Writes()
	if len(w) != 2 || w[0].Op != Insert || w[0].ID().AsInt64() != 5 || w[1].ID().Type != 0 || w[1].Doc.Lookup("a").AsInt64() != 2 || w[0].BypassChecks || w[0].NS != (Namespace{"app", "c"}) {
		t.Errorf("%+v", w)
	}
	c = parse(t, "app", `{"findAndModify":"c","query":{"a":1},"sort":{"s":1},"update":{"$set":{"a":2}},"new":true,"upsert":true,"fields":{"a":1},"collation":{"locale":"de"},"hint":"a_1","arrayFilters":[],"let":{},"bypassDocumentValidation":1}`)
	w = c.Writes()
	if len(w) != 1 || w[0].Op != Update || !w[0].FindAndModify || !w[0].New || !w[0].Upsert || w[0].Multi || !w[0].BypassChecks || w[0].Filter.Lookup("a").AsInt64() != 1 {
		t.Fatalf("%+v", w)
	}
	for name, v := range map[string]bson.RawValue{"sort": w[0].Sort, "fields": w[0].Fields, "collation": w[0].Collation, "hint": w[0].Hint, "arrayFilters": w[0].ArrayFilters, "let": w[0].Let} {
		if v.Type == 0 {
			t.Errorf("%s is missing", name)
		}
	}
	for _, cmd := range []string{`{"findAndModify":"c","remove":true}`, `{"findAndModify":"c","query":null,"remove":true,"upsert":false}`} {
		w = parse(t, "app", cmd).Writes()
		if len(w) != 1 || w[0].Op != Delete || len(w[0].Filter) != 5 || w[0].New {
			t.Errorf("%+v", w)
		}
	}
}

// TestMarker: the one write of the marker that is taken apart.
func TestMarker(t *testing.T) {
	c, err := Marker(bson.D{{Key: "_id", Value: "environment"}, {Key: "value", Value: "staging"}})
	if err != nil {
		t.Fatal(err)
	}
	w := c.Writes()
	if c.Class() != Security || len(w) != 1 || w[0].Op != Replace || !w[0].Upsert || w[0].NS != (Namespace{MarkerDatabase, "environment"}) {
		t.Errorf("%v, %+v", c.Class(), w)
	}
	for _, bad := range []any{5, func() {}, bson.D{{Key: "$set", Value: 1}, {Key: "a", Value: 1}}} {
		if _, err := Marker(bad); err == nil {
			t.Errorf("a marker of %T", bad)
		}
	}
}

// TestRows: the table for people holds what the table for machines does.
func TestRows(t *testing.T) {
	n := 0
	for _, r := range Rows() {
		for _, name := range r.Names {
			n++
			if got, ok := rowFor(name); !ok || got.class != r.Class || got.why != r.Why || got.canonical() != r.Names[0] {
				t.Errorf("%s: %+v, %+v", name, got, r)
			}
		}
	}
	if all := names(); len(all) != n || !slices.IsSorted(all) {
		t.Errorf("%d names in rows, %d in all", n, len(all))
	}
}

// TestBulkWrites: each operation is a statement in the namespace that it names by number.
func TestBulkWrites(t *testing.T) {
	c := parse(t, "admin", `{"bulkWrite":1,"ops":[
		{"insert":1,"document":{"_id":1}},
		{"update":0,"filter":{"a":1},"updateMods":[{"$set":{"b":"$$v"}}],"constants":{"v":2},"multi":true,"hint":"a_1","collation":{"locale":"de"}},
		{"update":0,"filter":{"a":2},"updateMods":{"$set":{"b.$[x]":1}},"arrayFilters":[{"x":1}],"upsert":true,"sort":{"a":1}},
		{"delete":1,"filter":{"a":3},"multi":true}, {"delete":1,"filter":{"a":4}}
	],"nsInfo":[{"ns":"a.x"},{"ns":"b.y"}],"let":{"w":1},"bypassDocumentValidation":true}`)
	w := c.Writes()
	if len(w) != 5 {
		t.Fatalf("%d statements: %s", len(w), c.Why())
	}
	for i, want := range []struct {
		op            Op
		ns            string
		multi, upsert bool
	}{{Insert, "b.y", false, false}, {Update, "a.x", true, false}, {Update, "a.x", false, true}, {Delete, "b.y", true, false}, {Delete, "b.y", false, false}} {
		if w[i].Op != want.op || w[i].NS.String() != want.ns || w[i].Multi != want.multi || w[i].Upsert != want.upsert || w[i].Let.Type == 0 || !w[i].BypassChecks {
			t.Errorf("statement %d is %+v, want %+v", i, w[i], want)
		}
	}
	for what, v := range map[string]bson.RawValue{"constants": w[1].Constants, "hint": w[1].Hint, "collation": w[1].Collation, "arrayFilters": w[2].ArrayFilters, "sort": w[2].Sort} {
		if v.Type == 0 {
			t.Errorf("%s is lost", what)
		}
	}
	if got := w[0].Doc.Lookup("_id").Int32(); got != 1 {
		t.Errorf("the document is %s", w[0].Doc)
	}
	if got := w[3].Filter.Lookup("a").Int32(); got != 3 {
		t.Errorf("the filter is %s", w[3].Filter)
	}
}

// TestOutput: what such a command computes is read by the same command without the part that writes.
func TestOutput(t *testing.T) {
	for _, c := range []struct{ cmd, read, into, rest string }{
		{`{"aggregate":"c","pipeline":[{"$match":{"a":1}},{"$out":"x"}],"cursor":{"batchSize":0},"let":{"v":1},"bypassDocumentValidation":true,"writeConcern":{"w":1}}`,
			`{"aggregate":"c","pipeline":[{"$match":{"a":1}}],"cursor":{},"let":{"v":1}}`, "app.x", "$out [] |"},
		{`{"aggregate":1,"pipeline":[{"$documents":[]},{"$merge":{"into":{"db":"o","coll":"x"},"on":["a","b"],"whenMatched":"fail","whenNotMatched":"discard"}}],"cursor":{}}`,
			`{"aggregate":1,"pipeline":[{"$documents":[]}],"cursor":{}}`, "o.x", "$merge [a b] fail|discard"},
		{`{"aggregate":"c","pipeline":[{"$merge":"x"}],"cursor":{}}`, `{"aggregate":"c","pipeline":[],"cursor":{}}`, "app.x", "$merge [_id] merge|insert"},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":"a","whenMatched":[]}}],"cursor":{}}`, `{"aggregate":"c","pipeline":[],"cursor":{}}`, "app.x", "$merge [a] pipeline|insert"},
		{`{"mapReduce":"c","map":"m","reduce":"r","query":{"a":1},"out":"x"}`, `{"mapReduce":"c","map":"m","reduce":"r","query":{"a":1},"out":{"inline":1}}`, "app.x", "mapReduce [] |"},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"merge":"x","db":"o"},"bypassDocumentValidation":true,"writeConcern":{"w":1}}`, `{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":1}}`, "o.x", "mapReduce [_id] replace|insert"},
	} {
		o, err := parse(t, "app", c.cmd).Output()
		if err != nil || o == nil {
			t.Errorf("%s: %v, %v", c.cmd, o, err)
			continue
		}
		rest := fmt.Sprintf("%s %v %s|%s", o.By, o.On, o.WhenMatched, o.WhenNotMatched)
		if !bytes.Equal(o.Read.Raw(), js(t, c.read)) || o.Into.String() != c.into || rest != c.rest || o.Read.Class() != Read || o.Replaces != (len(o.On) == 0) {
			t.Errorf("%s:\n%s into %s: %s", c.cmd, o.Read.Raw(), o.Into, rest)
		}
	}
	for _, matched := range []string{"replace", "merge", "keepExisting", "fail"} {
		for _, not := range []string{"insert", "discard", "fail"} {
			o, err := parse(t, "app", `{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":"`+matched+`","whenNotMatched":"`+not+`"}}],"cursor":{}}`).Output()
			if err != nil || o.WhenMatched != matched || o.WhenNotMatched != not {
				t.Errorf("%s, %s: %+v, %v", matched, not, o, err)
			}
		}
	}
	for cmd, want := range map[string]string{
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":["a",5]}}],"cursor":{}}`:            "neither a field nor a list",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":["a",""]}}],"cursor":{}}`:           "neither a field nor a list",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":5}}],"cursor":{}}`:         "whenMatched is not understood",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenNotMatched":"zap"}}],"cursor":{}}`:  "whenNotMatched is not understood",
		`{"aggregate":"c","pipeline":[{"$out":"x"},{"$match":{}}],"cursor":{}}`:                      "$out can only be the final stage",
		`{"aggregate":"c","pipeline":[{"$out":{"db":"a","coll":"x","timeseries":{}}}],"cursor":{}}`:  "time series",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","let":{}}}],"cursor":{}}`:                "let",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":5}}],"cursor":{}}`:                  "neither a field nor a list",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":["a","a"]}}],"cursor":{}}`:          "neither a field nor a list",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":[]}}],"cursor":{}}`:                 "neither a field nor a list",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","on":""}}],"cursor":{}}`:                 "neither a field nor a list",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":"zap"}}],"cursor":{}}`:     "whenMatched is not understood",
		`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenNotMatched":5}}],"cursor":{}}`:      "whenNotMatched is not understood",
		`{"aggregate":"c","pipeline":[{"$merge":"x"}],"cursor":{},"bypassDocumentValidation":"yes"}`: "bypassDocumentValidation is neither",
		`{"aggregate":"c","pipeline":[{"$changeStream":{}},{"$merge":"x"}],"cursor":{}}`:             "what has no end",
		`{"aggregate":"c","pipeline":[{"$out":"x"},{"$merge":"x"}],"cursor":{}}`:                     "$out can only be the final stage",
		`{"aggregate":"c","pipeline":[{"$facet":{"a":[{"$out":"x"}]}}],"cursor":{}}`:                 "inside of another stage",
		`{"aggregate":"c","pipeline":[{"$merge":"x"},{"$merge":"y"}],"cursor":{}}`:                   "$merge can only be the final stage",
		`{"mapReduce":"c","map":"m","reduce":"r","out":{"reduce":"x"}}`:                              "the server's own code",
		`{"aggregate":"c","pipeline":[{"$match":{}}],"cursor":{}}`:                                   "",
		`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":1}}`:                                "",
		`{"aggregate":"c","pipeline":[{"$out":"system.users"}],"cursor":{}}`:                         "",
		`{"drop":"c"}`: "",
	} {
		o, err := parse(t, "app", cmd).Output()
		if o != nil || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", cmd, o, err, want)
		}
	}
}

// TestOneOfMany: what a single word of a rule or a row decides.
func TestOneOfMany(t *testing.T) {
	for cmd, want := range map[string]Class{
		`{"mapReduce":"c","map":"m","reduce":"r","out":{"replace":1}}`: Unknown,
		`{"mapReduce":"c","map":"m","reduce":"r","out":{"outline":1}}`: Unknown,
		`{"usersInfo":1,"zap":1}`:                                      Unknown,
		`{"geoSearch":"c","zap":1}`:                                    Unknown,
		`{"geoSearch":"c","near":[1,2]}`:                               Read,
	} {
		if got := parse(t, "app", cmd).Class(); got != want {
			t.Errorf("%s is %v, want %v", cmd, got, want)
		}
	}
	if got := namespaces(parse(t, "app", `{"geoSearch":"c","near":[1,2]}`).Sources()); got != "app.c" {
		t.Errorf("geoSearch reads %q", got)
	}
}
