package guard_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
	"respect/replay"
	"respect/replay/durable"
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
	f := wiretest.NewFake(t, process(), func(db string, cmd bson.Raw) bson.D {
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

// TestAttackSealedPlan: what is executed is what was sealed. A plan file that is edited in place after the intent stops the change before the batch that would hold the edit.
func TestAttackSealedPlan(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "double")
	var docs []any
	const most = 1000
	long := strings.Repeat("x", 1200) // so that what is read ahead is a part of the file
	id := func(i int) string { return fmt.Sprintf("%s%04d", long, i) }
	for i := range most {
		docs = append(docs, bson.D{{Key: "_id", Value: id(i)}, {Key: "go", Value: i%2 == 0}})
	}
	if _, err := s.other.Database(s.db).Collection("people").InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"before the first batch", "between batches"} {
		b := s.bench(t)
		edited := false
		edit := func() {
			edited = true
			files, err := filepath.Glob(filepath.Join(b.dir, "changes", "*", "plan.jsonl"))
			if err != nil || len(files) != 1 {
				t.Fatalf("%v, %v", files, err)
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			// The _ids of the plan become those of documents that nobody was shown: …0998 ─► …0999.
			hash := func(i int, goes bool) []byte {
				doc, err := bson.Marshal(bson.D{{Key: "_id", Value: id(i)}, {Key: "go", Value: goes}})
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(doc)
				return []byte(hex.EncodeToString(sum[:]))
			}
			for i := most - 100; i < most; i += 2 {
				text = bytes.ReplaceAll(text, []byte(id(i)), []byte(id(i+1)))
				text = bytes.ReplaceAll(text, hash(i, true), hash(i+1, false))
			}
			f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(text, 0); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		s.before(func(c wiretest.Command) {
			if c.Name != "delete" {
				return
			}
			if n++; n == 1 && when == "between batches" && !edited {
				edit()
			}
		})
		if when == "before the first batch" {
			b.op.answer = func(q guard.Question) guard.Answer { edit(); return typed(q) }
		}
		_, _, err := b.run(`{"delete": "people", "deletes": [{"q": {"go": true}, "limit": 0}]}`)
		s.before(func(wiretest.Command) {})
		if err == nil {
			t.Errorf("%s: the change of an edited plan ran to its end", when)
		}
		odd, err := s.other.Database(s.db).Collection("people").CountDocuments(t.Context(), bson.D{{Key: "go", Value: false}})
		if err != nil || odd != most/2 {
			t.Errorf("%s: of the %d documents that were never shown %d are left (%v)", when, most/2, odd, err)
		}
	}
}

// TestAttackRecordGone: a record that was removed, cut, moved or copied while the question stood knows nothing of what would be done: nothing is.
func TestAttackRecordGone(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.people(t)
	was := s.state(t)
	journalOf := func(t *testing.T, dir string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "sessions", "*", "journal.jsonl"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%v, %v", files, err)
		}
		return files[0]
	}
	for name, attack := range map[string]func(t *testing.T, dir string) error{
		"unlinked":  func(t *testing.T, dir string) error { return os.Remove(journalOf(t, dir)) },
		"truncated": func(t *testing.T, dir string) error { return os.Truncate(journalOf(t, dir), 100) },
		"moved":     func(t *testing.T, dir string) error { return os.Rename(dir, dir+".moved") },
		"moved and copied": func(t *testing.T, dir string) error {
			return errors.Join(os.Rename(dir, dir+".moved"), os.CopyFS(dir, os.DirFS(dir+".moved")))
		},
		"replaced by a link": func(t *testing.T, dir string) error {
			j := journalOf(t, dir)
			return errors.Join(os.Rename(j, j+".1"), os.Symlink(j+".1", j))
		},
		"replaced by a pipe": func(t *testing.T, dir string) error {
			j := journalOf(t, dir)
			return errors.Join(os.Rename(j, j+".1"), syscall.Mkfifo(j, 0o600))
		},
		"edited": func(t *testing.T, dir string) error {
			j := journalOf(t, dir)
			text, err := os.ReadFile(j)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(j, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt(bytes.ReplaceAll(text, []byte(`"planned"`), []byte(`"plonned"`)), 0)
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := s.benchIn(t, filepath.Join(t.TempDir(), "state"), durable.OS{})
			b.op.answer = func(q guard.Question) guard.Answer {
				if err := attack(t, b.dir); err != nil {
					t.Fatal(err)
				}
				return typed(q)
			}
			s.forget()
			_, _, err := b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`)
			var r *guard.Refused
			if !errors.As(err, &r) {
				t.Errorf("%v, want a refusal", err)
			}
			s.quiet(t, name)
			if diff := cmp.Diff(was, s.state(t)); diff != "" {
				t.Errorf("something was changed: %s", diff)
			}
			if len(b.op.receipts) > 0 {
				t.Errorf("there is a receipt: %+v", b.op.receipts[0])
			}
		})
	}
}

// markedAt is when a scripted server was marked: a marker that says another time each time is another marker.
var markedAt = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)

// TestAttackCollation: a collation loosens _id and $$ROOT. What pins a document compares bytes: the document that was shown is deleted, and no other that the server takes as equal, not
// even if somebody else puts it in its place in the last moment.
func TestAttackCollation(t *testing.T) {
	t.Parallel()
	s := production(t, "mongod")
	s.setup(t, "words", `{"_id": "abc", "n": 1}`, `{"_id": "ABC", "n": 1}`, `{"_id": "x", "tags": ["A", "b"]}`)
	was := s.state(t)
	b := s.bench(t)
	collation := `"collation": {"locale": "en", "strength": 1}`
	if _, _, err := b.run(`{"delete": "words", "deletes": [{"q": {"_id": {"$regex": "^abc$"}}, "limit": 0, ` + collation + `}]}`); err != nil {
		t.Fatal(err)
	}
	ids := func() string {
		var all []bson.D
		cur, err := s.other.Database(s.db).Collection("words").Find(t.Context(), bson.D{})
		if err == nil {
			err = cur.All(t.Context(), &all)
		}
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, d := range all {
			out = append(out, d[0].Value.(string))
		}
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	if got := ids(); got != "ABC x" {
		t.Fatalf("abc was shown, and left are %s", got)
	}
	if _, err := b.undo(b.last()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was, s.state(t)); diff != "" {
		t.Errorf("after undo: %s", diff)
	}
	// In the last moment abc is replaced by a document that a collation takes as the same.
	b.op.answer = func(q guard.Question) guard.Answer {
		words := s.other.Database(s.db).Collection("words")
		if _, err := words.DeleteMany(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
		s.setup(t, "words", `{"_id": "ABC", "n": 1}`)
		return typed(q)
	}
	if _, _, err := b.run(`{"delete": "words", "deletes": [{"q": {"_id": "abc"}, "limit": 1}]}`); err == nil {
		t.Error("a document that was not there any more was deleted")
	}
	if got := ids(); got != "ABC" {
		t.Errorf("left are %q, want ABC", got)
	}
	b.op.answer = nil
	// An update that itself compares by a collation is not sent.
	s.setup(t, "words", `{"_id": "y", "tags": ["A", "b"]}`)
	_, _, err := b.run(`{"update": "words", "updates": [{"q": {"_id": "y"}, "u": {"$pull": {"tags": "a"}}, ` + collation + `}]}`)
	var r *guard.Refused
	if !errors.As(err, &r) || r.Code != plan.NotPinnable {
		t.Errorf("an update by a collation: %v, want not pinnable", err)
	}
}

// TestAttackKilledBetweenIndexes: several indexes are dropped by several commands. A change that ended between two of them is made in part, and undo builds what is gone, and no more.
func TestAttackKilledBetweenIndexes(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	s.command(t, `{"createIndexes": "people", "indexes": [{"key": {"age": 1}, "name": "age_1"}, {"key": {"d": 1}, "name": "d_1"}]}`)
	before := s.state(t)
	points := 0
	for n := 0; ; n++ {
		points++
		if s.kill(t, before, []string{`{"dropIndexes": "people", "index": ["name_1", "age_1", "d_1"]}`}, n, 0) {
			break
		}
	}
	t.Logf("%d points, 0 wrong", points)
	if points < 15 {
		t.Errorf("only %d points between three indexes", points)
	}
}

// TestAttackLeftAside: a collection that is dropped only if it is empty is looked at under another name. If the program dies meanwhile, what others wrote just before is not lost: the
// name is in the plan, and undo gives the collection its own back.
func TestAttackLeftAside(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	b := s.bench(t)
	if _, _, err := b.run(`{"create": "fresh"}`); err != nil {
		t.Fatal(err)
	}
	made := b.last()
	foreign := `{"_id": "somebody else's"}`
	renamed := false
	s.onCommand(func(c wiretest.Command) wiretest.Fault {
		switch {
		case c.Name == "renameCollection" && !renamed:
			renamed = true
			s.setup(t, "fresh", foreign)
			return wiretest.None
		case renamed: // from here on the process is dead
			return wiretest.Drop
		}
		return wiretest.None
	})
	_, _ = b.undo(made) // what a dead process would have said
	if !renamed {
		t.Fatal("nothing was renamed")
	}
	b.close()
	s.onCommand(nil)
	b = s.benchIn(t, b.dir, durable.OS{})
	c := b.last()
	if c.CutOff || c.Doubtful {
		r, err := b.gate.Recover(t.Context(), b.d, c)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status == replay.StatusApplied || r.Status == replay.StatusRejected || !strings.Contains(r.Found, "set aside as") {
			t.Errorf("found %s: %s", r.Status, r.Found)
		}
	}
	if _, err := b.undo(b.last()); err != nil {
		t.Fatal(err)
	}
	n, err := s.other.Database(s.db).Collection("fresh").CountDocuments(t.Context(), bson.D{})
	if err != nil || n != 1 {
		t.Errorf("fresh holds %d documents (%v), want somebody else's", n, err)
	}
	names, err := s.other.Database(s.db).ListCollectionNames(t.Context(), bson.D{})
	if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "respect_aside_") }) {
		t.Errorf("the collections are %v (%v)", names, err)
	}
}

// TestAttackTheServersWord: a document that looks as this change was to leave it may be somebody else's. What the server answers is the outcome, and undo leaves alone what this change
// did not make.
func TestAttackTheServersWord(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		for _, c := range []struct{ name, cmd, foreign string }{
			{"an insert where an identical document stands", `{"insert": "people", "documents": [{"_id": 70, "a": 1}]}`, `{"_id": 70, "a": 1}`},
			{"an upsert that finds a document", `{"update": "people", "updates": [{"q": {"_id": 71}, "u": {"$set": {"a": 1}}, "upsert": true}]}`, `{"_id": 71, "a": 1}`},
			{"an upsert that finds another document", `{"update": "people", "updates": [{"q": {"k": 72}, "u": {"$set": {"a": 1}}, "upsert": true}]}`, `{"_id": 72, "k": 72}`},
		} {
			b := s.bench(t)
			came := false
			s.before(func(cmd wiretest.Command) {
				if (cmd.Name == "insert" || cmd.Name == "update") && !came {
					came = true
					s.setup(t, "people", c.foreign)
				}
			})
			_, _, err := b.run(c.cmd)
			s.before(nil)
			if !came {
				t.Fatalf("%s: nothing was sent", c.name)
			}
			if err == nil {
				t.Errorf("%s: no error", c.name)
			}
			last := b.last()
			if last.Status != replay.StatusRejected {
				t.Errorf("%s: the record says %s", c.name, last.Status)
			}
			for _, r := range b.op.receipts {
				for _, n := range r.Actual {
					if n.Inserted > 0 {
						t.Errorf("%s: the receipt says %d inserted", c.name, n.Inserted)
					}
				}
			}
			_, _ = b.undo(last) // refused, or nothing to do
			n, err := s.other.Database(s.db).Collection("people").CountDocuments(t.Context(), doc(t, c.foreign))
			if err != nil || n != 1 {
				t.Errorf("%s: somebody else's document is there %d times (%v)", c.name, n, err)
			}
		}
	})
}

// TestAttackOtherThanForeseen: some of many documents come out otherwise than foreseen, by the server's own fault. All are read back, and the receipt says how many.
func TestAttackOtherThanForeseen(t *testing.T) {
	t.Parallel()
	s := inMemory(t, "double")
	const most = 1200
	var docs []any
	for i := range most {
		docs = append(docs, bson.D{{Key: "_id", Value: fmt.Sprintf("d%d", i)}, {Key: "n", Value: int32(1)}}) // numbers are not looked up by the embedded server
	}
	coll := s.other.Database(s.db).Collection("many")
	if _, err := coll.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	b := s.bench(t)
	wrong := map[string]bool{"d1071": true, "d1133": true, "d1198": true} // in batches that a sample leaves out
	s.before(func(cmd wiretest.Command) {
		in, ok := cmd.Doc.Lookup("filter", "_id", "$in").ArrayOK()
		if cmd.Name != "find" || !ok {
			return
		}
		values, err := in.Values()
		if err != nil {
			return
		}
		for _, v := range values {
			id, _ := v.StringValueOK()
			if !wrong[id] {
				continue
			}
			n, err := coll.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: id}, {Key: "n", Value: int32(2)}}, bson.D{{Key: "$set", Value: bson.D{{Key: "odd", Value: true}}}})
			if err == nil && n.ModifiedCount > 0 {
				delete(wrong, id)
			}
		}
	})
	_, _, err := b.run(`{"update": "many", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}`)
	s.before(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(wrong) > 0 {
		t.Fatalf("of the three documents %v were not met", wrong)
	}
	r := b.op.receipts[0]
	if len(r.Alarm) != 3 || r.ReadBack != most {
		t.Errorf("alarms %v, read back %d; want 3 alarms, and all %d read back", r.Alarm, r.ReadBack, most)
	}
}

// TestAttackUndoIntoADroppedCollection: the collection of a change was dropped since. Undo makes it as it was, with its unique index and its options, and says so.
func TestAttackUndoIntoADroppedCollection(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.setup(t, "mails", `{"_id": 1, "a": "x"}`, `{"_id": 2, "a": "y"}`)
	s.command(t, `{"createIndexes": "mails", "indexes": [{"key": {"a": 1}, "name": "a_1", "unique": true}]}`)
	was := s.state(t)
	b := s.bench(t)
	if _, _, err := b.run(`{"delete": "mails", "deletes": [{"q": {}, "limit": 0}]}`); err != nil {
		t.Fatal(err)
	}
	c := b.last()
	s.command(t, `{"drop": "mails"}`)
	if _, err := b.undo(c); err != nil {
		t.Fatal(err)
	}
	same(t, "after undo", was, s.state(t))
	said := false
	for _, f := range b.op.asked[len(b.op.asked)-1].Plan.Facts() {
		said = said || f.Code == plan.CreatesCollection && strings.Contains(f.Text, "was dropped since")
	}
	if !said {
		t.Errorf("the preview says %v", b.op.asked[len(b.op.asked)-1].Plan.Facts())
	}
}

// TestAttackLongPhrase: what is to be typed stays short enough to be typed, however many namespaces a plan has.
func TestAttackLongPhrase(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	var cmds []string
	for i := range 30 {
		s.setup(t, fmt.Sprintf("a_rather_long_name_%d", i), `{"_id": 1}`)
		cmds = append(cmds, fmt.Sprintf(`{"delete": "a_rather_long_name_%d", "deletes": [{"q": {}, "limit": 0}]}`, i))
	}
	b := s.bench(t)
	if _, _, err := b.run(cmds...); err != nil {
		t.Fatal(err)
	}
	if len(b.op.asked) != 1 {
		t.Fatalf("%d questions", len(b.op.asked))
	}
	phrase := b.op.asked[0].Phrase
	if !strings.HasPrefix(phrase, "30 namespaces 30 ") || len(phrase) > 60 {
		t.Errorf("the phrase is %q", phrase)
	}
	// One name, however long, is typed.
	s.setup(t, strings.Repeat("x", 90), `{"_id": 1}`)
	if _, _, err := b.run(`{"update": "` + strings.Repeat("x", 90) + `", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 1}}}]}`); err != nil {
		t.Fatal(err)
	}
	if phrase := b.op.asked[1].Phrase; !strings.Contains(phrase, strings.Repeat("x", 90)+" 1") {
		t.Errorf("the phrase is %q", phrase)
	}
}

// TestAttackMarkedMeanwhile: a session is open on development, and somebody else marks the server production. Nothing more is written unasked, from the next write on.
func TestAttackMarkedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"respect", ""} { // the marker of the deployment, and that of the database
		srv, err := start("development")
		if err != nil {
			t.Fatal(err)
		}
		s := &server{uri: srv.URI, db: fmt.Sprintf("marked%d", nextDatabase.Add(1)), double: wiretest.NewDouble(t, srv.Address, false)}
		s.uri = s.double.URI()
		s.client(t)
		s.people(t)
		b := s.bench(t)
		if _, _, err := b.run(`{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`); err != nil || len(b.op.asked) > 0 {
			t.Fatalf("on development: %v, %d questions", err, len(b.op.asked))
		}
		db, coll := where, "environment"
		if where == "" {
			db, coll = s.db, "respect.environment"
		}
		if _, err := s.other.Database(db).Collection(coll).DeleteMany(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.other.Database(db).Collection(coll).InsertOne(t.Context(), environment.MarkerDocument(environment.Production, "any", "somebody", markedAt)); err != nil {
			t.Fatal(err)
		}
		s.forget()
		_, _, err = b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`)
		var r *guard.Refused
		if !errors.As(err, &r) || !strings.Contains(r.Text, "production") {
			t.Errorf("marker in %q: %v, want a refusal that says what it is now", db, err)
		}
		s.quiet(t, "marked meanwhile")
		b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Manner: guard.Aborted} }
		for _, cmd := range []string{`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`, `{"drop": "people"}`} {
			if _, _, err := b.run(cmd); err == nil {
				t.Errorf("marker in %q: %s ran", db, cmd)
			}
		}
		if len(b.op.asked) != 2 {
			t.Errorf("marker in %q: %d questions, want 2", db, len(b.op.asked))
		}
		s.quiet(t, "declined")
		srv.Stop()
	}
}

// TestAttackSpool: what is in the place of a backup's file must be that file. A link leads elsewhere, and a pipe would never answer.
func TestAttackSpool(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.people(t)
	was := s.state(t)
	for name, attack := range map[string]func(file string) error{
		"a link": func(file string) error { return errors.Join(os.Rename(file, file+".1"), os.Symlink(file+".1", file)) },
		"a pipe": func(file string) error { return errors.Join(os.Rename(file, file+".1"), syscall.Mkfifo(file, 0o600)) },
		"a linked directory": func(file string) error {
			dir := filepath.Dir(file)
			return errors.Join(os.Rename(dir, dir+".1"), os.Symlink(dir+".1", dir))
		},
		"nothing": os.Remove,
	} {
		for _, which := range []string{"before/*/people.bson.gz", "plan.jsonl"} {
			b := s.bench(t)
			if which == "plan.jsonl" && name == "a linked directory" {
				continue
			}
			b.op.answer = func(q guard.Question) guard.Answer {
				files, err := filepath.Glob(filepath.Join(b.dir, "changes", "*", which))
				if err != nil || len(files) != 1 {
					t.Fatalf("%v, %v", files, err)
				}
				if err := attack(files[0]); err != nil {
					t.Fatal(err)
				}
				return typed(q)
			}
			s.forget()
			_, _, err := b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`)
			var r *guard.Refused
			if !errors.As(err, &r) {
				t.Errorf("%s in the place of %s: %v, want a refusal", name, which, err)
			}
			s.quiet(t, name)
		}
	}
	same(t, "afterwards", was, s.state(t))
}

// TestUnprovenServer: a server that says nothing by which it could be told from another one behind the same connection is a danger that the preview names. It is used all the same: who
// wants to know has read it.
func TestUnprovenServer(t *testing.T) {
	t.Parallel()
	for _, says := range []bool{false, true} {
		c := newCatalogue("staging")
		hello := bson.D(nil)
		if says {
			hello = process()
		}
		f := wiretest.NewFake(t, hello, c.answer)
		b := (&server{uri: f.URI(), db: "app"}).bench(t)
		if _, _, err := b.run(`admin: {"setParameter": 1, "cursorTimeoutMillis": 1}`); err != nil {
			t.Fatal(err)
		}
		facts := b.op.asked[0].Plan.Facts()
		said := slices.ContainsFunc(facts, func(f plan.Fact) bool { return f.Code == plan.UnprovenServer && f.Severity == plan.Danger })
		if said == says {
			t.Errorf("the server says who it is: %v; the preview says %v", says, facts)
		}
	}
}
