package command

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// js is a command in relaxed Extended JSON.
func js(t testing.TB, s string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(s), false, &d); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		cmd     string
		class   Class
		targets string // "" where it does not matter
	}{
		// Reads.
		{`{"find":"c","filter":{"a":1}}`, Read, ""},
		{`{"count":"c"}`, Read, ""},
		{`{"distinct":"c","key":"a"}`, Read, ""},
		{`{"ping":1}`, Read, ""},
		{`{"ismaster":1}`, Read, ""},
		{`{"serverStatus":1,"repl":0}`, Read, ""},
		{`{"aggregate":"c","pipeline":[],"cursor":{}}`, Read, ""},
		{`{"aggregate":1,"pipeline":[{"$currentOp":{}}],"cursor":{}}`, Read, ""},
		{`{"aggregate":"c","pipeline":[{"$set":{"a":1}},{"$match":{"$expr":{"$eq":["$a","$out"]}}}],"cursor":{}}`, Read, ""},
		{`{"aggregate":"c","pipeline":[{"$facet":{"x":[{"$count":"n"}]}}],"cursor":{}}`, Read, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":1}}`, Read, ""},
		{`{"explain":{"delete":"c","deletes":[{"q":{},"limit":0}]},"verbosity":"queryPlanner"}`, Read, ""},
		{`{"profile":-1}`, Read, ""},
		{`{"usersInfo":1}`, Read, ""},

		// Writes that do not look like it.
		{`{"aggregate":"c","pipeline":[{"$out":"x"}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$out":{"db":"prod","coll":"x"}}],"cursor":{"batchSize":0}}`, DocumentWrite, "prod.x"},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":{"db":"prod","coll":"users"}}}],"cursor":{}}`, DocumentWrite, "prod.users"},
		{`{"aggregate":"c","pipeline":[{"$facet":{"x":[{"$merge":"y"}]}}],"cursor":{}}`, DocumentWrite, "app.y"},
		{`{"aggregate":"c","pipeline":[{"$lookup":{"from":"d","pipeline":[{"$merge":"x"}],"as":"y"}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$out":"system.users"}],"cursor":{}}`, Security, "app.system.users"},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":"inline"}`, DocumentWrite, "app.inline"},
		{`{"mapreduce":"c","map":"m","reduce":"r","out":{"reduce":"x","db":"prod"}}`, DocumentWrite, "prod.x"},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":1,"db":"x"}}`, Unknown, ""},
		{`{"profile":-1,"slowms":0}`, Operations, ""},
		{`{"usersInfo":1,"showCredentials":true}`, Security, ""},
		{`{"validate":"c"}`, Operations, "app.c"},
		{`{"getMore":{"$numberLong":"7"},"collection":"c"}`, Unknown, ""},
		{`{"killCursors":"c","cursors":[{"$numberLong":"7"}]}`, Operations, ""},

		// Document writes.
		{`{"insert":"c","documents":[{"a":1}]}`, DocumentWrite, "app.c"},
		{`{"delete":"c","deletes":[{"q":{},"limit":0}]}`, DocumentWrite, "app.c"},
		{`{"findandmodify":"c","query":{},"remove":true}`, DocumentWrite, "app.c"},
		{`{"insert":"system.views","documents":[{"_id":"x"}]}`, Security, "app.system.views"},

		// Schema.
		{`{"drop":"c"}`, Schema, "app.c"},
		{`{"dropDatabase":1}`, Schema, "app"},
		{`{"deleteIndexes":"c","index":"*"}`, Schema, "app.c"},

		// Whatever is not sure is Unknown.
		{`{"aGgregate":"c","pipeline":[],"cursor":{}}`, Unknown, ""},
		{`{"Find":"c"}`, Unknown, ""},
		{`{"find":"c","delete":"c","deletes":[{"q":{},"limit":0}]}`, Unknown, ""},
		{`{"commitTransaction":1}`, Unknown, ""},
		{`{"multicast":1,"db":"admin","command":{"dropDatabase":1}}`, Unknown, ""},
		{`{"_shardsvrDropDatabase":1}`, Unknown, ""},
		{`{"clusterDelete":"c"}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$emit":{}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$match":{},"$out":"x"}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":{"0":{"$out":"x"}},"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":{"s3":{"bucket":"b"}}}],"cursor":{}}`, Unknown, ""},
		{`{"explain":{"drop":"c"}}`, Unknown, ""},
		{`{"explain":{"aggregate":"c","pipeline":[{"$zap":1}],"cursor":{}}}`, Unknown, ""},
		{`{"explain":{"find":"c","$db":"other"}}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{},"limit":0}],"explain":true}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{},"limit":2}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{}}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":5,"limit":1}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"a":1,"$set":{"b":1}}}]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"a":1},"multi":true}]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"zap":true}]}`, Unknown, ""},
		{`{"findAndModify":"c","remove":true,"update":{"a":1}}`, Unknown, ""},
		{`{"findAndModify":"c"}`, Unknown, ""},
		{`{"insert":"a$b","documents":[{"a":1}]}`, Unknown, ""},
		{`{"renameCollection":"a.x","to":"b.x"}`, Unknown, ""}, // not sent to admin
	} {
		c, err := Parse("app", js(t, tt.cmd), nil)
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.cmd, err)
			continue
		}
		if c.Class() != tt.class {
			t.Errorf("Parse(%s) = %v (%s), want %v", tt.cmd, c.Class(), c.Why(), tt.class)
		}
		if got := namespaces(c.Targets()); tt.targets != "" && got != tt.targets {
			t.Errorf("Parse(%s) targets %s, want %s", tt.cmd, got, tt.targets)
		}
		if c.Class() == Read && len(c.Targets()) > 0 {
			t.Errorf("Parse(%s) is a read with targets %v", tt.cmd, c.Targets())
		}
	}
}

func TestSystemNamespacesAreRaised(t *testing.T) {
	for _, tt := range []struct {
		db, coll string
		want     Class
	}{
		{"admin", "system.users", Security},
		{"admin", "anything", Security},
		{"config", "chunks", Cluster},
		{"local", "oplog.rs", Cluster},
		{"respect", "environment", Security},
		{"respect", "anything", Security},
		{"app", "respect.environment", Security},
		{"app", "system.js", Security},
		{"app", "systems", DocumentWrite},
		{"respected", "environment", DocumentWrite},
	} {
		c, err := Parse(tt.db, js(t, fmt.Sprintf(`{"delete":%q,"deletes":[{"q":{},"limit":0}]}`, tt.coll)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.Class() != tt.want {
			t.Errorf("delete in %s.%s is %v, want %v", tt.db, tt.coll, c.Class(), tt.want)
		}
		if (c.Writes() != nil) != (tt.want == DocumentWrite) {
			t.Errorf("delete in %s.%s has writes %v", tt.db, tt.coll, c.Writes())
		}
	}
}

func TestOwnCursorsOnly(t *testing.T) {
	owned := func(id int64) bool { return id == 7 }
	for cmd, want := range map[string]Class{
		`{"getMore":{"$numberLong":"7"},"collection":"c"}`:                        Read,
		`{"getMore":{"$numberLong":"8"},"collection":"c"}`:                        Unknown,
		`{"killCursors":"c","cursors":[{"$numberLong":"7"}]}`:                     Session,
		`{"killCursors":"c","cursors":[{"$numberLong":"7"},{"$numberLong":"8"}]}`: Operations,
	} {
		c, err := Parse("app", js(t, cmd), owned)
		if err != nil {
			t.Fatal(err)
		}
		if c.Class() != want {
			t.Errorf("Parse(%s) = %v, want %v", cmd, c.Class(), want)
		}
	}
}

// P2: the command keeps its own copy, so that nobody can change what was classified.
func TestParseCopiesTheBytes(t *testing.T) {
	cmd := js(t, `{"find":"c"}`)
	c, err := Parse("app", cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cmd {
		cmd[i] = 0
	}
	if got, _ := c.Raw().Lookup("find").StringValueOK(); got != "c" {
		t.Errorf("the command changed with the caller's bytes: %v", c.Raw())
	}
}

// In no environment may a user choose where, in whose name or how unacknowledged a command runs.
func TestForbiddenFields(t *testing.T) {
	for _, cmd := range []string{
		`{"find":"c","$db":"prod"}`, `{"find":"c","lsid":{}}`, `{"find":"c","startTransaction":true}`, `{"find":"c","shardVersion":1}`,
		`{"insert":"c","documents":[{"a":1}],"writeConcern":{"w":0}}`, `{"drop":"c","writeConcern":{"w":0.0}}`, `{"drop":"c","writeConcern":0}`,
	} {
		if c, err := Parse("app", js(t, cmd), nil); err == nil {
			t.Errorf("Parse(%s) = %v, want an error", cmd, c.Class())
		}
	}
	raw, err := bson.Marshal(bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{}}, {Key: "filter", Value: bson.D{}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("app", raw, nil); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a field that stands twice: %v", err)
	}
}

func TestNoCommandAtAll(t *testing.T) {
	for _, tt := range []struct {
		db  string
		cmd bson.Raw
	}{
		{"app", nil}, {"app", bson.Raw{5, 0, 0, 0, 0}}, {"app", bson.Raw{1, 2, 3}}, {"", js(t, `{"find":"c"}`)}, {"a.b", js(t, `{"find":"c"}`)}, {"a b", js(t, `{"find":"c"}`)},
	} {
		if c, err := Parse(tt.db, tt.cmd, nil); err == nil {
			t.Errorf("Parse(%q, %v) = %v, want an error", tt.db, tt.cmd, c.Class())
		}
	}
}

func TestTheZeroClassIsUnknown(t *testing.T) {
	var c Class
	if c != Unknown || c.String() != "unknown" {
		t.Errorf("the zero Class is %v", c)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"find":"c"}`, `{"aggregate":"c","pipeline":[{"$out":"x"}]}`, `{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}}}]}`, `{"explain":{"find":"c"}}`, `{"mapReduce":"c","out":{"inline":1}}`} {
		f.Add([]byte(js(f, s)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("app", b, nil)
		if err != nil {
			return
		}
		switch c.Class() {
		case Read:
			r, ok := rowFor(c.Name())
			if !ok || (r.class != Read && r.rule == nil) {
				t.Errorf("%v is a read without a row that may say so", c.Raw())
			}
		case DocumentWrite, Schema:
			if len(c.Targets()) == 0 {
				t.Errorf("%v changes nothing?", c.Raw())
			}
		}
	})
}

func ExampleParse() {
	cmd, err := bson.Marshal(bson.D{
		{Key: "aggregate", Value: "orders"},
		{Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: bson.D{{Key: "db", Value: "prod"}, {Key: "coll", Value: "users"}}}}}},
		{Key: "cursor", Value: bson.D{}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := Parse("staging", cmd, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Class(), c.Targets())
	// Output: document write [prod.users]
}
