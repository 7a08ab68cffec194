package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
)

// people is what most cases begin with.
var people = []string{
	`{"_id": 1, "name": "Ann", "age": 30, "tags": ["a"], "at": {"city": "Bern", "zip": 3000}}`,
	`{"_id": 2, "name": "Bob", "age": {"$numberLong": "40"}, "tags": []}`,
	`{"_id": "x", "name": "Cid", "age": 1.5, "gone": null, "when": {"$timestamp": {"t": 0, "i": 0}}}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70001"}, "name": "Dee", "bin": {"$binary": {"base64": "AAEC", "subType": "00"}}, "d": {"$date": "2011-11-17T20:00:00Z"}}`,
}

// writes are guarded writes of every kind. The same command sent by another client to a copy of the data says what must come of it.
var writes = []struct {
	name   string
	cmds   []string
	phrase string   // that must be typed; "" if nothing is asked. CODE stands for the random code
	facts  string   // codes that must be among them
	full   bool     // the embedded server cannot do it
	like   []string // what does the same, where the embedded server cannot do it
	ids    bool     // creates documents whose _id the test does not give: the copy cannot be compared
}{
	{name: "insert one", cmds: []string{`{"insert": "people", "documents": [{"_id": 9, "name": "Eve"}]}`}, phrase: "DB.people 1"},
	{name: "insert without _id", cmds: []string{`{"insert": "people", "documents": [{"name": "Eve"}, {"name": "Fay"}]}`}, phrase: "DB.people 2", ids: true},
	{name: "insert into a new collection", cmds: []string{`{"insert": "poeple", "documents": [{"_id": 9}]}`}, phrase: "DB.poeple 1", facts: "creates-collection"},
	{name: "update one field of all", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"plan": "free"}}, "multi": true}]}`}, phrase: "DB.people 4 CODE", facts: "empty-filter matched"},
	{name: "update one", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 2}, "u": {"$set": {"age": 41}}}]}`}, phrase: "DB.people 1"},
	{name: "update the first of many", cmds: []string{`{"update": "people", "updates": [{"q": {"age": {"$gt": 0}}, "u": {"$inc": {"age": 1}}}]}`}, phrase: "DB.people 1"},
	{name: "unset", cmds: []string{`{"update": "people", "updates": [{"q": {"name": "Ann"}, "u": {"$unset": {"at.zip": "", "tags": ""}}, "multi": true}]}`}, phrase: "DB.people 1", facts: "removes-fields"},
	{name: "inc of three types", cmds: []string{`{"update": "people", "updates": [{"q": {"age": {"$exists": true}}, "u": {"$inc": {"age": {"$numberLong": "5"}}}, "multi": true}]}`}, phrase: "DB.people 3"},
	{name: "rename", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$rename": {"name": "called"}}, "multi": true}]}`}, phrase: "DB.people 4 CODE"},
	{name: "push", cmds: []string{`{"update": "people", "updates": [{"q": {"tags": {"$exists": true}}, "u": {"$push": {"tags": "new"}}, "multi": true}]}`}, phrase: "DB.people 2"},
	{name: "no change", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 30}}, "multi": true}]}`}, facts: "no-change"},
	{name: "no match", cmds: []string{`{"delete": "people", "deletes": [{"q": {"_id": 77}, "limit": 0}]}`}, facts: "no-match"},
	{name: "not predictable", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$currentDate": {"at": true}}}]}`}, phrase: "DB.people 1", facts: "not-predictable", ids: true},
	{name: "pull", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$pull": {"tags": "a"}}}]}`}, phrase: "DB.people 1", facts: "array-shrinks"},
	{name: "add to set, min, max, mul", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$addToSet": {"tags": "b"}, "$min": {"age": 3}, "$max": {"at.zip": 4000}, "$mul": {"new": 2}}}]}`}, phrase: "DB.people 1"},
	{name: "push, sorted and cut", full: true, cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 2}, "u": {"$push": {"tags": {"$each": [3, 1, 2], "$sort": 1, "$slice": 2}}}}]}`}, phrase: "DB.people 1"},
	{name: "replace", cmds: []string{`{"update": "people", "updates": [{"q": {"name": "Ann"}, "u": {"name": "Anna"}}]}`}, phrase: "DB.people 1 CODE", facts: "replaces-document"},
	{name: "upsert that inserts", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 50}, "u": {"$set": {"a": 1}}, "upsert": true}]}`}, phrase: "DB.people 1", facts: "creates-document"},
	{name: "upsert that replaces", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"a": 1}, "upsert": true}]}`}, phrase: "DB.people 1 CODE", facts: "replaces-document"},
	{name: "upsert of a replacement", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 51}, "u": {"a": 1}, "upsert": true}]}`}, phrase: "DB.people 1", facts: "creates-document"},
	{name: "delete one", cmds: []string{`{"delete": "people", "deletes": [{"q": {"name": "Cid"}, "limit": 1}]}`}, phrase: "DB.people 1"},
	{name: "delete all", cmds: []string{`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`}, phrase: "DB.people 4 CODE", facts: "empty-filter"},
	{name: "delete all by a filter", cmds: []string{`{"delete": "people", "deletes": [{"q": {"name": {"$exists": true}}, "limit": 0}]}`}, phrase: "DB.people 4 CODE", facts: "all-documents"},
	{name: "several statements in one command", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"a": 1}}}, {"q": {"_id": 2}, "u": {"$set": {"a": 2}}}]}`}, phrase: "DB.people 2"},
	{name: "a loop", cmds: []string{
		`{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`, `{"delete": "people", "deletes": [{"q": {"_id": 2}, "limit": 1}]}`, `{"delete": "people", "deletes": [{"q": {"_id": "x"}, "limit": 1}]}`,
	}, phrase: "DB.people 3", facts: "from-loop"},
	{name: "two collections", cmds: []string{
		`{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`, `{"insert": "gone", "documents": [{"_id": 1}]}`,
	}, phrase: "DB.gone 1 DB.people 1"},
	{name: "findAndModify update", cmds: []string{`{"findAndModify": "people", "query": {"_id": 1}, "update": {"$set": {"age": 31}}, "new": true}`}, phrase: "DB.people 1"},
	{name: "findAndModify remove", cmds: []string{`{"findAndModify": "people", "query": {"name": {"$exists": true}}, "sort": {"_id": 1}, "remove": true}`}, phrase: "DB.people 1"},
	{name: "findAndModify upsert", cmds: []string{`{"findAndModify": "people", "query": {"_id": 60}, "update": {"$set": {"a": 1}}, "upsert": true}`}, phrase: "DB.people 1", facts: "creates-document"},
	{name: "drop", cmds: []string{`{"drop": "people"}`}, phrase: "drop DB.people 4 CODE", facts: "drops-collection"},
	{name: "drop database", cmds: []string{`{"dropDatabase": 1}`}, phrase: "dropDatabase DB 5 CODE", facts: "drops-collection"},
	{name: "drop an index", cmds: []string{`{"dropIndexes": "people", "index": "name_1"}`}, phrase: "dropIndexes DB.people 1 CODE", facts: "drops-index"},
	{name: "drop all indexes", cmds: []string{`{"dropIndexes": "people", "index": "*"}`}, phrase: "dropIndexes DB.people 1 CODE", facts: "drops-index"},
	{name: "create an index", cmds: []string{`{"createIndexes": "people", "indexes": [{"key": {"age": -1}, "name": "age_-1"}]}`}, phrase: "createIndexes DB.people 1"},
	{name: "create a collection", cmds: []string{`{"create": "fresh"}`}, phrase: "create DB.fresh"},
	{name: "rename a collection", cmds: []string{`admin: {"renameCollection": "DB.people", "to": "DB.persons"}`}, phrase: "rename DB.people DB.persons"},
	{name: "array filters", full: true, cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"tags.$[t]": "b"}}, "arrayFilters": [{"t": "a"}]}]}`}, phrase: "DB.people 1"},
	{name: "pipeline", full: true, cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": [{"$set": {"age": {"$add": ["$age", 1]}}}]}]}`}, phrase: "DB.people 1"},
	{name: "rename onto another", cmds: []string{`admin: {"renameCollection": "DB.people", "to": "DB.others", "dropTarget": true}`}, phrase: "drop DB.others 1 rename DB.people DB.others CODE", facts: "drops-collection",
		like: []string{`{"drop": "others"}`, `admin: {"renameCollection": "DB.people", "to": "DB.others"}`}},
	{name: "create a TTL index", cmds: []string{`{"createIndexes": "people", "indexes": [{"key": {"d": 1}, "name": "d_1", "expireAfterSeconds": 3600}]}`}, phrase: "createIndexes DB.people 1 CODE", facts: "ttl-deletes", full: true},
}

func (s *server) people(t *testing.T) {
	t.Helper()
	s.setup(t, "people", people...)
	s.setup(t, "others", `{"_id": 1, "note": "not touched"}`)
	s.command(t, `{"createIndexes": "people", "indexes": [{"key": {"name": 1}, "name": "name_1", "unique": true}]}`)
}

func in(db string, cmds []string) []string {
	var out []string
	for _, c := range cmds {
		out = append(out, strings.ReplaceAll(c, "DB", db))
	}
	return out
}

// TestGuardedWrites carries every kind of write through its whole life: previewed, declined, confirmed, undone, undone again.
func TestGuardedWrites(t *testing.T) {
	t.Parallel()
	for _, c := range writes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachServer(t, func(t *testing.T, s *server) {
				if c.full && !s.real {
					t.Skip("the embedded server cannot do this; see RESPECT_TEST_MONGODB")
				}
				s.people(t)
				before := s.state(t)
				b := s.onDisk(t)
				cmds := in(s.db, c.cmds)

				// A preview changes nothing and asks nothing.
				st, _, err := b.runIn(guard.Preview, cmds...)
				if err != nil && !errors.Is(err, guard.ErrIncomplete) {
					t.Fatalf("preview: %v", err)
				}
				plans, _ := st.Plans()
				if len(plans) != 1 {
					t.Fatalf("the preview made %d plans, want 1", len(plans))
				}
				codes := " "
				for _, f := range plans[0].Facts() {
					codes += f.Code + " "
				}
				for _, want := range strings.Fields(c.facts) {
					if !strings.Contains(codes, " "+want+" ") {
						t.Errorf("the preview has the facts%s, not %s", codes, want)
					}
				}
				if len(b.op.asked) != 0 {
					t.Fatal("a preview asked a question")
				}
				same(t, "after the preview", before, s.state(t))

				// Declined: nothing left the process but reads, and no file stays.
				if s.double != nil {
					s.forget()
				}
				b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Text: "yes", Manner: guard.Typed} }
				_, _, err = b.run(cmds...)
				var refused *guard.Refused
				if c.phrase != "" && (!errors.As(err, &refused) || !refused.Declined) {
					t.Fatalf("declined: %v", err)
				}
				same(t, "after it was declined", before, s.state(t))
				if s.double != nil {
					if w := wiretest.Writes(s.commands()); len(w) > 0 {
						t.Fatalf("declined, and %s was sent: %s", w[0].Name, w[0].Doc)
					}
				}
				b.gate.Close()
				if files := b.files(); len(files) > 0 {
					t.Fatalf("declined, and these files stay: %v", files)
				}

				// Confirmed: what another client's same command makes of a copy.
				b.op.answer, b.op.asked = nil, nil
				if _, _, err = b.run(cmds...); err != nil {
					t.Fatalf("confirmed: %v", err)
				}
				if c.phrase == "" {
					if len(b.op.asked) != 0 || len(b.changes()) != 0 {
						t.Fatalf("%d questions, %d changes, where nothing is to be changed", len(b.op.asked), len(b.changes()))
					}
					same(t, "after nothing was to be changed", before, s.state(t))
					return
				}
				checkPhrase(t, b.op.asked, strings.ReplaceAll(c.phrase, "DB", s.db))
				after := s.state(t)
				if !c.ids {
					same(t, "what the same command makes of a copy", s.copied(t, c.cmds, c.like), after)
				}
				checkReceipt(t, b)

				// Undone, and the undo undone.
				if _, err := b.undo(b.last()); err != nil {
					t.Fatalf("undo: %v", err)
				}
				same(t, "after undo", before, s.state(t))
				checkReceipt(t, b)
				if _, err := b.undo(b.last()); err != nil {
					t.Fatalf("undo of the undo: %v", err)
				}
				same(t, "after undo of the undo", after, s.state(t))
			})
		})
	}
}

// copied says what commands make of a copy of the data, sent by another client.
func (s *server) copied(t *testing.T, cmds, like []string) state {
	t.Helper()
	if like != nil && !s.real {
		cmds = like
	}
	c := *s
	c.db = s.db + "copy"
	t.Cleanup(func() { _ = s.other.Database(c.db).Drop(t.Context()) })
	c.people(t)
	for _, cmd := range in(c.db, cmds) {
		db := c.db
		if rest, ok := strings.CutPrefix(cmd, "admin: "); ok {
			db, cmd = "admin", rest
		}
		if err := s.other.Database(db).RunCommand(t.Context(), doc(t, cmd)).Err(); err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
	}
	return c.state(t)
}

func same(t *testing.T, when string, want, got state) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", when, d)
	}
}

// checkPhrase compares the phrase of the one question; CODE stands for three letters or digits.
func checkPhrase(t *testing.T, asked []guard.Question, want string) {
	t.Helper()
	if len(asked) != 1 {
		t.Fatalf("%d questions, want 1", len(asked))
	}
	got := asked[0].Phrase
	if body, coded := strings.CutSuffix(want, " CODE"); coded {
		if len(got) != len(body)+4 || !strings.HasPrefix(got, body+" ") {
			t.Errorf("the phrase is %q, want %q and a code", got, body)
		}
		return
	}
	if got != want {
		t.Errorf("the phrase is %q, want %q", got, want)
	}
}

// checkReceipt: what the last receipt says was done is what was predicted.
func checkReceipt(t *testing.T, b *bench) {
	t.Helper()
	r := b.op.receipts[len(b.op.receipts)-1]
	if r.Status != replay.StatusApplied || len(r.Alarm) > 0 || r.Error != "" || len(r.Skipped) > 0 {
		t.Fatalf("the receipt says %s; alarms %v, skipped %v, error %q", r.Status, r.Alarm, r.Skipped, r.Error)
	}
	for _, p := range r.Predicted {
		var a replay.Count
		for _, c := range r.Actual {
			if c.Namespace == p.Namespace {
				a = c
			}
		}
		if p.Schema == "" && p.Changed() != a.Changed() {
			t.Errorf("%s: predicted %d, actual %d", p.Namespace, p.Changed(), a.Changed())
		}
	}
	c := b.last()
	if c.Status != replay.StatusApplied || c.ID != r.Change {
		t.Fatalf("the record says %s of %s, the receipt %s of %s", c.Status, c.ID, r.Status, r.Change)
	}
}
