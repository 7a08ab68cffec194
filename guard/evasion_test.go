package guard_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/internal/wiretest"
	"respect/shell"
)

// evasion is a statement that writes without looking like it, or looks like a write and is none. A line that holds only "then" divides statements.
type evasion struct {
	ID     string // of the case, or the road that it closes
	JS     string
	Expect string
}

// field is a production server of its own, every database of which is compared, with nobody at the terminal.
type field struct {
	*bench
	before map[string]state
	load   string // a script that writes
}

// newField puts documents where the cases look for some.
func newField(t testing.TB) *field {
	t.Helper()
	s, err := start("production")
	if err != nil {
		t.Fatal(err)
	}
	sv := &server{uri: s.URI, db: "test", double: wiretest.NewDouble(t, s.Address, false), other: s.Client(t)}
	names, err := sv.other.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if n != "respect" && n != "admin" { // the demo's data
			if err := sv.other.Database(n).Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	const doc = `{"_id": 1, "a": 1, "k": 1, "n": 5, "ts": {"$date": "2026-01-01T00:00:00Z"}, "name": "\u001b[1A\u001b[2Kmatched 0 documents", "nonShardKey": 1, "l": [1, 2]}`
	for _, ns := range []string{"test.c", "test.d", "test.other", "test.users", "test.users\u200b", "test.with.dot", "test.find", "prod.c", "prod.users", "x.c", "a.x", "b.x"} {
		db, coll, _ := strings.Cut(ns, ".")
		if _, err := sv.other.Database(db).Collection(coll).InsertMany(t.Context(), []any{raw(t, doc), raw(t, `{"_id": 2, "b": 2, "in": "`+ns+`"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	index := bson.D{{Key: "createIndexes", Value: "c"}, {Key: "indexes", Value: bson.A{bson.D{{Key: "key", Value: bson.D{{Key: "k", Value: 1}}}, {Key: "name", Value: "k_1"}}}}}
	if err := sv.other.Database("test").RunCommand(t.Context(), index).Err(); err != nil {
		t.Fatal(err)
	}
	sv.uri = sv.double.URI()
	f := &field{bench: sv.bench(t), load: filepath.Join(t.TempDir(), "x.js")}
	f.op.absent = true
	if err := os.WriteFile(f.load, []byte("db.c.drop()\ndb.c.deleteMany({})\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.before = f.states(t)
	return f
}

// states is all that the server holds.
func (f *field) states(t testing.TB) map[string]state {
	t.Helper()
	names, err := f.other.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]state{}
	for _, n := range names {
		one := *f.server
		one.db = n
		out[n] = one.state(t)
	}
	return out
}

// changed says how the server differs from what it was.
func (f *field) changed(t testing.TB) string {
	t.Helper()
	return cmp.Diff(f.before, f.states(t))
}

// seen is what came of a case.
type seen struct {
	code   int                // the worst exit status
	sent   []wiretest.Command // without those by which a driver watches a server
	writes []wiretest.Command
	text   string
}

// prelude declares what the cases take for granted.
const prelude = `var m = function() { emit(this.a, 1) }, r = function(k, v) { return v.length }, L = {id: UUID()}; void 0`

// run types a case into a new shell.
func (f *field) run(t testing.TB, js string) (out seen) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	s, err := shell.New(shell.Config{Gate: f.gate, Deployment: f.d, Database: "test", StateDir: f.dir, Out: &stdout, Err: &stderr, NewID: bson.NewObjectID})
	if err != nil {
		t.Fatal(err)
	}
	if code := s.Exec(t.Context(), prelude, "typed"); code != shell.ExitDone {
		t.Fatalf("the prelude: %s", &stderr)
	}
	f.double.Forget()
	for _, st := range strings.Split(strings.ReplaceAll(js, "/tmp/x.js", f.load), "\nthen\n") {
		out.code = max(out.code, s.Exec(t.Context(), st, "typed"))
	}
	for _, c := range f.double.Commands() {
		if !strings.EqualFold(c.Name, "ismaster") && c.Name != "hello" {
			out.sent = append(out.sent, c)
		}
	}
	out.writes = wiretest.Writes(out.sent)
	out.text = stdout.String() + stderr.String()
	return out
}

// serverSaid says that the embedded server could not do what reached it.
func (s seen) serverSaid() bool {
	return len(s.sent) > 0 && (strings.Contains(s.text, "MongoServerError") || strings.Contains(s.text, "the connection to the embedded server (FerretDB) was closed before it answered"))
}

// free says whether a case must run without a question; either says that both is right.
func (e evasion) free() (free, either bool) {
	if harmless[e.ID] != "" || e.Expect == "either" {
		return false, true
	}
	for _, p := range []string{"read-or-deny", "read(mongosh"} {
		if strings.HasPrefix(e.Expect, p) {
			return false, true
		}
	}
	return strings.HasPrefix(e.Expect, "read") || e.Expect == "client-only", false
}

// unsent says that nothing at all may be sent.
func (e evasion) unsent() bool {
	for _, p := range []string{"error", "throw", "mongosh", "reject"} {
		if strings.HasPrefix(e.Expect, p) {
			return true
		}
	}
	return false
}

// harmless are writes in their list, and none here.
var harmless = map[string]string{
	"E079": "the prototypes are frozen: find stays find",
	"E106": "printing calls no getter",
}

// TestEvasions types what writes without looking like it, with nobody to answer: no write reaches the server. What only reads is neither asked about nor
// refused.
func TestEvasions(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/evasion.json") // copied from ../shared/cases
	if err != nil {
		t.Fatal(err)
	}
	var cases []evasion
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 91 || len(evasions) < 60 || len(typedReads) < 60 {
		t.Fatalf("%d cases, %d and %d of our own", len(cases), len(evasions), len(typedReads))
	}
	f := newField(t)
	reached, refused, reads, said := 0, 0, 0, 0
	cases = slices.Concat(cases, evasions, typedReads)
	for i, e := range cases {
		got := f.run(t, e.JS)
		free, either := e.free()
		if free {
			reads++
		}
		if free && got.code != shell.ExitDone && got.serverSaid() {
			said++
		}
		if len(got.writes) > 0 {
			reached++
			t.Errorf("%s: %s\nreached the server: %v", e.ID, e.JS, got.writes)
		}
		switch {
		case either:
		case free && got.code != shell.ExitDone && !got.serverSaid():
			refused++
			t.Errorf("%s: %s\nonly reads, and ended with status %d: %s", e.ID, e.JS, got.code, got.text)
		case !free && got.code == shell.ExitDone:
			t.Errorf("%s: %s\n%s, and was not refused: %s", e.ID, e.JS, e.Expect, got.text)
		}
		if e.unsent() && len(got.sent) > 0 {
			t.Errorf("%s: %s\n%s, and sent %v", e.ID, e.JS, e.Expect, got.sent)
		}
		if i%20 == 19 || i == len(cases)-1 { // the second judge, who takes longer
			if diff := f.changed(t); diff != "" {
				t.Fatalf("after %s, or one of the 19 before it, the server is another:\n%s", e.ID, diff)
			}
		}
	}
	if len(f.op.asked) > 0 {
		t.Errorf("nobody was there, and %d questions were asked", len(f.op.asked))
	}
	t.Logf("%d of %d statements reached the server as a write; of %d that only read %d were refused or asked about, and %d are beyond the embedded server", reached, len(cases), reads, refused, said)
}
