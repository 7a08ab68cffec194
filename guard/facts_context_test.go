package guard_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
	"respect/replay/durable"
)

// Facts that are not in a statement alone: they come from what was done before, from policy, from the place of the backup, or from what a server has that the
// embedded one has not, and a double answers in its place.

// benchWith is a bench whose policy file has these rules.
func (s *server) benchWith(t *testing.T, rules string) *bench {
	t.Helper()
	b := &bench{server: s, t: t, dir: t.TempDir(), fs: durable.OS{}, op: &operator{}, reason: "a test", policy: parsePolicy(t, rules)}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// must runs commands as one statement, each of which has to work.
func (b *bench) must(cmds ...string) {
	b.t.Helper()
	if _, _, err := b.run(cmds...); err != nil {
		b.t.Fatalf("%v: %v", cmds, err)
	}
}

// codes are those of a plan's facts.
func codes(p *plan.Plan) (out []string) {
	for _, f := range p.Facts() {
		out = append(out, f.Code)
	}
	return out
}

// undoing are the facts of a preview that takes the last change back.
func (b *bench) undoing(opts guard.UndoOptions) *plan.Plan {
	b.t.Helper()
	c := b.last()
	st, err := b.gate.Begin(guard.Input{Text: "undo " + c.ID, Manner: "undo", Mode: guard.Preview})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := st.Undo(b.t.Context(), b.d, c, opts); err != nil {
		b.t.Fatal(err)
	}
	plans, _ := st.Plans()
	return plans[0]
}

// has says whether a plan says a fact with a piece of its text.
func has(p *plan.Plan, code, text string) bool {
	return slices.ContainsFunc(p.Facts(), func(f plan.Fact) bool { return f.Code == code && strings.Contains(f.Text, text) })
}

// TestDiffersFromFind: more documents than were looked at last, where all of those that a filter selects were looked at.
func TestDiffersFromFind(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	s.setup(t, "solo", `{"_id": 1, "n": 1}`)
	const three = `{"delete": "pets", "deletes": [{"q": {"n": {"$gt": 1}}, "limit": 0}]}`
	for _, c := range []struct {
		looks []string
		said  string
	}{
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 2}}}`}, `you last looked at 2 documents of DB.pets, with the filter { n: { '$gt': 2 } }; this touches 3`},
		{[]string{`{"count": "pets", "query": {"n": {"$gt": 2}}}`}, "looked at 2 documents"},
		{[]string{`{"aggregate": "pets", "pipeline": [{"$match": {"n": {"$gt": 3}}}, {"$group": {"_id": 1, "n": {"$sum": 1}}}], "cursor": {}}`}, "looked at 1 document "},
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 0}}}`, `{"find": "pets", "filter": {"n": {"$gt": 3}}}`}, "looked at 1 document "},
		{nil, ""},
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 1}}}`}, ""},                                                  // as many
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 0}}}`}, ""},                                                  // more
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 9}}}`}, ""},                                                  // none, which says nothing of these
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 1}}, "limit": 2}`}, ""},                                      // not all of them
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 1}}, "skip": 2}`}, ""},                                       // nor so
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 1}}, "batchSize": 2}`}, ""},                                  // nor yet
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 1}}, "batchSize": 2, "singleBatch": true}`}, ""},             // nor ever
		{[]string{`{"find": "solo", "filter": {"n": 1}}`}, ""},                                                           // elsewhere
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 2}}}`, `{"find": "pets"}`}, ""},                              // all of it since
		{[]string{`{"find": "pets", "filter": {"n": {"$gt": 2}}}`, `{"find": "pets", "filter": {"n": {"$gt": 1}}}`}, ""}, // these since
		{[]string{`{"aggregate": "pets", "pipeline": [{"$match": {"n": {"$gt": 3}}}, {"$group": {"_id": 1, "n": {"$sum": "$n"}}}], "cursor": {}}`}, ""},
	} {
		b := s.bench(t)
		for _, look := range c.looks {
			b.must(look)
		}
		if c.said == "" {
			b.silent(three, plan.DiffersFromFind)
		} else {
			b.says(three, plan.DiffersFromFind, c.said)
		}
		b.silent(`{"insert": "pets", "documents": [{"_id": 7}, {"_id": 8}, {"_id": 9}]}`, plan.DiffersFromFind)
		b.close()
	}
	b := s.bench(t)
	b.must(`{"find": "pets", "filter": {"n": {"$gt": 3}}}`)
	b.says(three, plan.DiffersFromFind, "looked at 1 document ")
	b.must(`{"update": "pets", "updates": [{"q": {"n": {"$gt": 3}}, "u": {"$set": {"seen": 1}}}]}`)
	b.silent(three, plan.DiffersFromFind) // that look was dealt with
	b.must(`{"find": "pets", "filter": {"n": {"$gt": 3}}}`)
	b.later = time.Hour
	b.silent(three, plan.DiffersFromFind) // an hour ago
}

// TestRepeated: the same commands, carried out before, which stand.
func TestRepeated(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	s.setup(t, "cats", pets...)
	b := s.bench(t)
	const inc = `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$inc": {"n": 1}}}]}`
	b.silent(inc, plan.Repeated)
	b.silent(inc, plan.Repeated) // a preview is no change
	b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Manner: guard.Aborted} }
	if _, _, err := b.run(inc); err == nil {
		t.Fatal("declined, and carried out")
	}
	b.silent(inc, plan.Repeated) // nor is what was declined
	b.op.answer = nil
	b.must(inc)
	b.says(inc, plan.Repeated, "change "+b.last().ID)
	b.silent(strings.ReplaceAll(inc, "pets", "cats"), plan.Repeated)
	b.silent(strings.ReplaceAll(inc, "Rex", "Mia"), plan.Repeated)
	b.silent(inc+"\n"+strings.ReplaceAll(inc, "Rex", "Mia"), plan.Repeated) // the same, and more
	b.again()
	b.says(inc, plan.Repeated, "the same was carried out before") // in another session too
	if p := b.undoing(guard.UndoOptions{}); slices.Contains(codes(p), plan.Repeated) {
		t.Errorf("undo says %v", codes(p))
	}
	if _, err := b.undo(b.last()); err != nil {
		t.Fatal(err)
	}
	b.silent(inc, plan.Repeated) // it was taken back
	const set = `{"update": "pets", "updates": [{"q": {"name": "Mia"}, "u": {"$set": {"seen": true}}}]}`
	b.must(set)
	b.silent(set, plan.Repeated) // once more changes nothing
}

// TestLarge: more documents than policy lets pass, of the kind of work that it speaks of.
func TestLarge(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.benchWith(t, "policy: {production: {documents: {large: {documents: 2, action: refuse}}}}\n")
	b.says(`{"delete": "pets", "deletes": [{"q": {"n": {"$gt": 1}}, "limit": 0}]}`, plan.Large, "2 documents")
	b.silent(`{"delete": "pets", "deletes": [{"q": {"n": {"$gt": 2}}, "limit": 0}]}`, plan.Large)                      // exactly so many
	b.silent(`{"update": "pets", "updates": [{"q": {}, "u": {"$max": {"n": 3}}, "multi": true}]}`, plan.Large)         // two of four change
	b.silent(`{"update": "pets", "updates": [{"q": {}, "u": {"$unset": {"absent": ""}}, "multi": true}]}`, plan.Large) // four of four do not
	b.silent(`{"drop": "pets"}`, plan.Large)                                                                           // no document write
	b = s.benchWith(t, "policy: {production: {schema: {large: {documents: 3, action: refuse}}}}\n")
	b.says(`{"drop": "pets"}`, plan.Large, "3 documents")
	b.silent(`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`, plan.Large)
	b.silent(`{"createIndexes": "pets", "indexes": [{"key": {"n": 1}, "name": "n_1"}]}`, plan.Large) // it takes nothing away
}

// TestEstimateAndPart: what looked at a sample says so, and what it would cost to know; a part says of which whole it is one.
func TestEstimateAndPart(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "pets", pets...)
	const all, three, none = `{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`, `{"delete": "pets", "deletes": [{"q": {"n": {"$gt": 1}}, "limit": 0}]}`,
		`{"update": "pets", "updates": [{"q": {}, "u": {"$unset": {"absent": ""}}, "multi": true}]}`
	b := s.benchWith(t, "policy: {production: {documents: {full-preview: 3}}}\n")
	b.says(all, plan.Estimate, "from the first 3 documents of 4 of DB.pets: it cannot be confirmed")
	b.says(`{"delete": "pets", "deletes": [{"q": {"_id": {"$exists": true}}, "limit": 0}]}`, plan.Estimate, "of 4 of DB.pets")
	b.silent(three, plan.Estimate)
	b.silent(`{"delete": "pets", "deletes": [{"q": {}, "limit": 1}]}`, plan.Estimate)
	b.silent(`{"drop": "pets"}`, plan.Estimate) // all of it goes, whatever it is

	// The numbers of an estimate are those of the whole, not of the sample.
	const million = 3_000_000
	s.double.Answer(func(c wiretest.Command) bson.Raw {
		if _, filtered := c.Doc.Lookup("query").DocumentOK(); c.Name == "count" && !filtered || c.Name == "collStats" {
			return raw(t, fmt.Sprintf(`{"n": %d, "count": %d, "size": 100, "ok": 1}`, million, million))
		}
		return nil
	})
	b = s.benchWith(t, "policy: {}\n")
	b.says(all, plan.Estimate, "from the first 4 documents of 3,000,000")
	b.says(all, plan.Matched, "matched: DB.pets: 3,000,000 of 3,000,000 documents, 100 %")
	b.must(`{"find": "pets", "filter": {"n": {"$gt": 0}}}`) // as many as the sample has
	b.says(all, plan.DiffersFromFind, "this touches 3,000,000")
	b.says(none, plan.NoChange, "3,000,000 matched documents are already as asked")
	s.double.Answer(nil)

	// A sample that would not change says nothing of the rest: it is looked at, and asked about.
	s.setup(t, "many", `{"_id": 0, "odd": true}`)
	var docs []any
	for i := range 2100 {
		docs = append(docs, bson.D{{Key: "_id", Value: i + 1}, {Key: "seen", Value: true}})
	}
	if _, err := s.other.Database(s.db).Collection("many").InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	s.command(t, `{"update": "many", "updates": [{"q": {"_id": 0}, "u": {"$set": {"seen": true}}}, {"q": {"_id": 2100}, "u": {"$unset": {"seen": ""}}}]}`)
	b = s.benchWith(t, "policy: {production: {documents: {full-preview: 2050}}}\n") // and a sample is of 2,000
	const seen = `{"update": "many", "updates": [{"q": {}, "u": {"$set": {"seen": true}}, "multi": true}]}`
	st, _, err := b.runIn(guard.Preview, seen)
	if err != nil {
		t.Fatal(err)
	}
	if plans, _ := st.Plans(); !plans[0].Estimate() || plans[0].Summary() != "changes none of the documents that were looked at in "+s.db+".many" {
		t.Errorf("a preview says that it %s", plans[0].Summary())
	}
	b.must(seen)
	if len(b.op.asked) != 1 || b.op.asked[0].Plan.Documents() != 1 || b.op.asked[0].Plan.Estimate() {
		t.Fatalf("%d questions, of the one document that is not so yet", len(b.op.asked))
	}

	// full, then a part of it, then the rest.
	b = s.benchWith(t, "policy: {production: {documents: {full-preview: 3}}}\n")
	answers := []string{"full", "first 1", "", ""}
	b.op.answer = func(q guard.Question) guard.Answer {
		a := typed(q)
		if text := answers[len(b.op.asked)-1]; text != "" {
			a.Text = text
		}
		return a
	}
	b.must(all)
	want := [][]string{{plan.Estimate}, {}, {plan.Part}, {plan.Part}}
	if len(b.op.asked) != len(want) {
		t.Fatalf("%d questions", len(b.op.asked))
	}
	for i, q := range b.op.asked {
		for _, code := range []string{plan.Estimate, plan.Part} {
			if slices.Contains(codes(q.Plan), code) != slices.Contains(want[i], code) {
				t.Errorf("question %d says %v, want %v of it", i, codes(q.Plan), want[i])
			}
		}
	}
	if p := b.op.asked[2].Plan; !has(p, plan.Part, "these are 1 of the 4 documents") || !has(p, plan.EmptyFilter, "planned first: ") {
		t.Errorf("the first part says %v", p.Facts())
	}
	if p := b.undoing(guard.UndoOptions{}); slices.Contains(codes(p), plan.Part) || slices.Contains(codes(p), plan.FromLoop) {
		t.Errorf("undo of all says %v", p.Facts())
	}
	if p := b.undoing(guard.UndoOptions{Only: raw(t, `{"name": "Mia"}`)}); !has(p, plan.Part, "2 documents of the change left as they are") {
		t.Errorf("undo of a part says %v", p.Facts())
	}
}

// TestVolatileBackup: a state directory on memory is said to be one, by a plan that changes anything.
func TestVolatileBackup(t *testing.T) {
	t.Parallel()
	const memory = "/dev/shm"
	if durable.Volatile(memory) == "" {
		t.Skipf("SKIPPED: %s is not known to be memory here", memory)
	}
	dir, err := os.MkdirTemp(memory, "respect-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	const rex = `{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`
	b := s.benchIn(t, dir, durable.OS{})
	b.says(rex, plan.VolatileBackup, "on tmpfs, which is memory")
	b.says(`{"drop": "pets"}`, plan.VolatileBackup, dir)
	b.silent(strings.ReplaceAll(rex, "Rex", "Nobody"), plan.VolatileBackup)
	link := filepath.Join(t.TempDir(), "shm") // a name that says so, on a disk
	if err := os.Mkdir(link, 0o700); err != nil {
		t.Fatal(err)
	}
	s.benchIn(t, link, durable.OS{}).silent(rex, plan.VolatileBackup)
}

// TestUndoSaysWhereFrom: an undo elsewhere than the change was, of a change from elsewhere, and of documents that others changed since.
func TestUndoSaysWhereFrom(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	b.must(`{"update": "pets", "updates": [{"q": {"n": {"$lt": 4}}, "u": {"$set": {"seen": true}}, "multi": true}]}`)
	other := func(filter, update string) {
		t.Helper()
		s.command(t, fmt.Sprintf(`{"update": "pets", "updates": [{"q": %s, "u": %s}]}`, filter, update))
	}
	silent := func(why string, p *plan.Plan, list ...string) {
		t.Helper()
		for _, code := range list {
			if slices.Contains(codes(p), code) {
				t.Errorf("%s: undo says %s: %v", why, code, p.Facts())
			}
		}
	}
	silent("at once", b.undoing(guard.UndoOptions{}), plan.OtherDeployment, plan.FromFile, plan.Conflicts, plan.NoChange, plan.PartialUndo)
	silent("on the one that it names", b.undoing(guard.UndoOptions{On: b.d.Name()}), plan.OtherDeployment)
	other(`{"name": "Zoe"}`, `{"$set": {"n": 40}}`)
	silent("a document of others was changed", b.undoing(guard.UndoOptions{}), plan.Conflicts)
	other(`{"name": "Rex"}`, `{"$unset": {"seen": ""}}`)
	p := b.undoing(guard.UndoOptions{})
	silent("one was put back by others", p, plan.Conflicts)
	if !has(p, plan.NoChange, "1 document is already as before the change") {
		t.Errorf("one was put back by others, and undo says %v", p.Facts())
	}
	other(`{"name": "Mia"}`, `{"$set": {"seen": 1}}`)
	if p := b.undoing(guard.UndoOptions{}); !has(p, plan.Conflicts, "1 document of") || !has(p, plan.Conflicts, "it was changed by somebody else since") {
		t.Errorf("one was changed by others, and undo says %v", p.Facts())
	}

	// The same change, from a file, and on another server.
	dir := filepath.Join(b.dir, "changes", b.last().ID)
	if p := b.undoing(guard.UndoOptions{Dir: dir}); !has(p, plan.FromFile, "cannot be told here") {
		t.Errorf("from a file, undo says %v", p.Facts())
	}
	away := production(t, "set")
	b.uri = away.uri
	b.again()
	p = b.undoing(guard.UndoOptions{On: b.d.Name()})
	if !has(p, plan.OtherDeployment, "and this is "+b.d.Name()) {
		t.Errorf("elsewhere, undo says %v", p.Facts())
	}
	silent("elsewhere", p, plan.FromFile)
}

// TestSetsOfOneName: two replica sets may have one name. An undo on the other one has to be asked for, and says so; on another member of the same one not.
func TestSetsOfOneName(t *testing.T) {
	t.Parallel()
	born := func(id string) *server {
		s := production(t, "set")
		for _, m := range s.set.Members() {
			m.Answer(func(c wiretest.Command) bson.Raw {
				if c.Name == "replSetGetConfig" {
					return raw(t, `{"config": {"settings": {"replicaSetId": {"$oid": "`+id+`"}}}, "ok": 1}`)
				}
				return nil
			})
		}
		return s
	}
	s, copied, other := born("64b0c0f1a2b3c4d5e6f70001"), born("64b0c0f1a2b3c4d5e6f70001"), born("64b0c0f1a2b3c4d5e6f70002")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	b.must(`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`)
	s.set.StepDown(wiretest.StepDown{})
	s.set.Elect(s.set.Members()[1])
	b.again()
	if p := b.undoing(guard.UndoOptions{}); slices.Contains(codes(p), plan.OtherDeployment) {
		t.Errorf("on another member, undo says %v", p.Facts())
	}
	b.uri = copied.uri
	b.again()
	if p := b.undoing(guard.UndoOptions{On: b.d.Name()}); !has(p, plan.OtherDeployment, "is it a copy?") {
		t.Errorf("on a set that was made of a copy of its files, undo says %v", p.Facts())
	}
	b.uri = other.uri
	b.again()
	if p := b.undoing(guard.UndoOptions{On: b.d.Name()}); !has(p, plan.OtherDeployment, "and this is "+b.d.Name()) {
		t.Errorf("on another set of the same name, undo says %v", p.Facts())
	}
	var refused *guard.Refused
	if _, err := b.undo(b.last()); !errors.As(err, &refused) || !strings.Contains(refused.Text, "another replica set of the same name") {
		t.Errorf("on another set of the same name, undo is not refused: %v", err)
	}
}

// TestPartialUndoOfACutOffChange: of a change whose end was never written down, and of no other, undo cannot tell what others deleted.
func TestPartialUndoOfACutOffChange(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	b.must(`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`)
	if p := b.undoing(guard.UndoOptions{}); slices.Contains(codes(p), plan.PartialUndo) {
		t.Errorf("undo says %v", p.Facts())
	}
	c := *b.last()
	c.Outcome = nil
	st, err := b.gate.Begin(guard.Input{Text: "undo", Manner: "undo", Mode: guard.Preview})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Undo(t.Context(), b.d, &c, guard.UndoOptions{}); err != nil {
		t.Fatal(err)
	}
	if plans, _ := st.Plans(); !has(plans[0], plan.PartialUndo, "cannot be told from one that the change deleted") {
		t.Errorf("of a change that was cut off, undo says %v", plans[0].Facts())
	}
}

// TestLowersMarker: said of a marker that says less than it did, and of no other.
func TestLowersMarker(t *testing.T) {
	t.Parallel()
	s := unmarked(t)
	s.setup(t, "pets", pets...)
	b := s.benchWith(t, "policy: {production: {security: {lower-marker: confirm}}, staging: {security: {lower-marker: confirm}}}\n")
	for _, c := range []struct {
		to   environment.Environment
		said bool
	}{
		{environment.Staging, false},    // it had none
		{environment.Production, false}, // up
		{environment.Staging, true},
		{environment.Development, true},
	} {
		b.op.asked = nil
		st, err := b.gate.Begin(guard.Input{Text: "mark", Manner: "mark"})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Mark(t.Context(), b.d, c.to); err != nil {
			t.Fatal(err)
		}
		b.again()
		if said := slices.ContainsFunc(b.op.asked, func(q guard.Question) bool {
			return has(q.Plan, plan.LowersMarker, "guarded only as on "+c.to.String())
		}); said != c.said {
			t.Errorf("to %v: lowers-marker said %v, want %v", c.to, said, c.said)
		}
	}
}

// TestCollectionScan: a large collection whose filter no index serves. The double says that it is large, and which indexes it has.
func TestCollectionScan(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "pets", pets...)
	large := func(total int) {
		s.double.Answer(func(c wiretest.Command) bson.Raw {
			_, filtered := c.Doc.Lookup("query").DocumentOK()
			switch {
			case c.Name == "collStats", c.Name == "count" && !filtered:
				return raw(t, fmt.Sprintf(`{"n": %d, "count": %d, "size": 100, "ok": 1}`, total, total))
			case c.Name == "listIndexes":
				return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "x.pets", "firstBatch": [
				{"v": 2, "key": {"_id": 1}, "name": "_id_"}, {"v": 2, "key": {"name": 1, "n": 1}, "name": "name_1_n_1"}, {"v": 2, "key": {"born": 1}, "name": "born_1"},
				{"v": 2, "key": {"owner": 1}, "name": "owner_1", "hidden": true}, {"v": 2, "key": {"at.$**": 1}, "name": "at.$**_1"},
				{"v": 2, "key": {"zip": 1}, "name": "zip_1"}, {"v": 2, "key": {"zip": 1, "n": 1}, "name": "zip_1_n_1", "hidden": true}]}, "ok": 1}`)
			}
			return nil
		})
	}
	large(10_000)
	b := s.bench(t)
	remove := func(filter string) string {
		return `{"delete": "pets", "deletes": [{"q": ` + filter + `, "limit": 0}]}`
	}
	for _, filter := range []string{
		`{"n": 1}`, // second in its index
		`{"$or": [{"name": "Rex"}, {"n": 4}]}`,
		`{"owner": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}}`, // its index is hidden
		`{"tags": "a", "n": 1}`,
	} {
		b.says(remove(filter), plan.CollectionScan, "reads all 10,000 documents of DB.pets")
	}
	for _, filter := range []string{
		`{"name": "Rex"}`, `{"n": 1, "name": "Rex"}`, `{"$and": [{"n": 1}, {"name": "Rex"}]}`, `{"$or": [{"name": "Rex"}, {"born": null}]}`,
		`{"$or": [{"n": 4}, {"tags": "a"}], "name": "Zoe"}`, `{"at.city": "Bern"}`, `{"_id": {"$gt": {"$oid": "64b0c0f1a2b3c4d5e6f70002"}}}`, `{}`,
	} {
		b.silent(remove(filter), plan.CollectionScan)
	}
	// Of a filter that is served it is said by which index, and how many it examines: here name alone is asked of the index, and n of the documents.
	b.says(remove(`{"n": 1, "name": "Rex"}`), plan.FoundBy, "found by the index name_1_n_1, as it looks: 1 of 10,000 documents examined")
	b.silent(remove(`{}`), plan.FoundBy)
	b.silent(`{"insert": "pets", "documents": [{"_id": 9}]}`, plan.CollectionScan)
	b.says(`{"dropIndexes": "pets", "index": "zip_1"}`, plan.DropsIndex, "; no other index begins with zip") // but a hidden one
	large(9_999)                                                                                             // read before anybody looks up
	b.silent(remove(`{"n": 1}`), plan.CollectionScan)
	b.says(remove(`{"n": 1}`), plan.FoundBy, "found by no index: it reads all 9,999 documents of DB.pets")
}

// TestFollows: what is cut into several plans says so at the first question, and what comes behind it; and its samples show each kind of operation.
func TestFollows(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	update := func(q, u string, multi bool) string {
		return fmt.Sprintf(`{"update": "pets", "updates": [{"q": %s, "u": %s, "multi": %v}]}`, q, u, multi)
	}
	many := update(`{"n": {"$gt": 1}}`, `{"$set": {"seen": 1}}`, true)
	last := update(`{"n": 2}`, `{"n": 9}`, false)
	remove := `{"delete": "pets", "deletes": [{"q": {"name": "Zoe"}, "limit": 1}]}`
	b.says(strings.Join([]string{many, many, remove, last}, "\n"), plan.Part, "part 1 of 3, as it looks; then: updateMany 3, deleteOne, replaceOne. Each part has a question of its own")
	b.says(strings.Join([]string{many, remove, last}, "\n"), plan.Part, "part 1 of 2, as it looks; then: deleteOne, replaceOne.")
	b.says(strings.Join([]string{many, remove, remove, remove, many}, "\n"), plan.Part, "then: 3 deleteOne, updateMany 3.")
	b.silent(strings.Join([]string{last, remove, update(`{"n": 1}`, `{"$set": {"seen": 1}}`, true)}, "\n"), plan.Part)
	if last := b.op.asked; len(last) > 0 {
		t.Fatal("a preview asked")
	}
	b.must(many, strings.Replace(many, `"seen": 1`, `"seen": 3`, 1))
	facts := b.op.asked[len(b.op.asked)-1].Plan.Facts()
	if !slices.ContainsFunc(facts, func(f plan.Fact) bool {
		return f.Code == plan.Part && strings.Contains(f.Text, "part 2 of 2, the last")
	}) {
		t.Errorf("the last question says %v", facts)
	}
	var kinds []string
	b.must(`{"insert": "pets", "documents": [{"_id": 5, "name": "A"}, {"_id": 6, "name": "B"}, {"_id": 7, "name": "C"}, {"_id": 8, "name": "D"}]}`, update(`{"n": {"$gt": 3}}`, `{"$set": {"seen": 2}}`, true), `{"delete": "pets", "deletes": [{"q": {"n": 3}, "limit": 1}]}`, update(`{"n": 2}`, `{"n": 9}`, false))
	for _, x := range b.op.asked[len(b.op.asked)-1].Plan.Samples() {
		if !slices.Contains(kinds, x.Op) {
			kinds = append(kinds, x.Op)
		}
	}
	if slices.Sort(kinds); !slices.Equal(kinds, []string{"delete", "insert", "replace", "update"}) {
		t.Errorf("samples of %v", kinds)
	}
}

// TestValidatorConflict: what the collection's validator would refuse, and nothing that it lets pass. The double says which one there is.
func TestValidatorConflict(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "pets", pets...)
	ruled := func(options, refused string) {
		s.double.Answer(func(c wiretest.Command) bson.Raw {
			if name, _ := c.Doc.Lookup("filter", "name").StringValueOK(); c.Name == "listCollections" && name == "pets" {
				return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "x.$cmd.listCollections", "firstBatch": [{"name": "pets", "type": "collection", "options": `+options+`}]}, "ok": 1}`)
			}
			if _, given := c.Doc.Lookup("pipeline", "0", "$documents").ArrayOK(); given && refused != "" {
				return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "x.$cmd.aggregate", "firstBatch": [`+refused+`]}, "ok": 1}`)
			}
			return nil
		})
	}
	b := s.bench(t)
	set := func(name string, n int) string {
		return fmt.Sprintf(`{"update": "pets", "updates": [{"q": {"name": %q}, "u": {"$set": {"n": %d}}, "upsert": true}]}`, name, n)
	}
	const small, schema = `"validator": {"n": {"$lt": 4}}`, `"validator": {"$jsonSchema": {"properties": {"n": {"maximum": 3}}}}`
	for _, c := range []struct {
		options, cmd, refused, said string
	}{
		{small, set("Rex", 50), "", `in 1 document: first {"$oid":"64b0c0f1a2b3c4d5e6f70001"}`},
		{small, set("Ada", 50), "", "would violate"}, // an upsert's document too
		{small, `{"insert": "pets", "documents": [{"_id": 9, "n": 9}, {"_id": 8, "n": 1}]}`, "", "in 1 document: first 9"},
		{small, `{"update": "pets", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}`, "", "in 2 documents"},
		{small, `{"update": "pets", "updates": [{"q": {"name": "Zoe"}, "u": {"$set": {"seen": true}}}]}`, "", "would violate"}, // it did already
		{small + `, "validationLevel": "moderate"`, set("Rex", 50), "", "would violate"},
		{schema, set("Rex", 50), `{"_id": 1}`, "would violate"}, // as the server says
		{small, set("Rex", 2), "", ""},
		{small + `, "validationAction": "warn"`, set("Rex", 50), "", ""},
		{small + `, "validationLevel": "off"`, set("Rex", 50), "", ""},
		{small + `, "validationLevel": "moderate"`, set("Zoe", 50), "", ""}, // it did already, and may
		{small, strings.Replace(set("Rex", 50), `"update": "pets",`, `"update": "pets", "bypassDocumentValidation": true,`, 1), "", ""},
		{small, `{"delete": "pets", "deletes": [{"q": {"name": "Zoe"}, "limit": 0}]}`, "", ""},
		{small, set("Zoe", 4), "", ""},   // nothing changes
		{schema, set("Rex", 50), "", ""}, // nobody knows: this server cannot be asked
		{`"validator": {}`, set("Rex", 50), "", ""},
	} {
		ruled("{"+c.options+"}", c.refused)
		if c.said == "" {
			b.silent(c.cmd, plan.ValidatorConflict)
		} else {
			b.says(c.cmd, plan.ValidatorConflict, c.said)
		}
	}
}

// TestTimeSeriesAreNotPinnable: what is no ordinary collection cannot be bound to documents; a capped one can.
func TestTimeSeriesAreNotPinnable(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "pets", pets...)
	collection := func(kind string) {
		s.double.Answer(func(c wiretest.Command) bson.Raw {
			if name, _ := c.Doc.Lookup("filter", "name").StringValueOK(); c.Name == "listCollections" && name == "pets" {
				return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "x.$cmd.listCollections", "firstBatch": [{"name": "pets", `+kind+`}]}, "ok": 1}`)
			}
			return nil
		})
	}
	b := s.bench(t)
	for _, kind := range []string{`"type": "timeseries", "options": {"timeseries": {"timeField": "born"}}`, `"type": "view", "options": {"viewOn": "x"}`} {
		collection(kind)
		b.says(`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`, plan.NotPinnable, "cannot be bound to the documents shown")
	}
	for _, kind := range []string{`"type": "collection", "options": {"capped": true, "size": 4096}`, `"options": {}`} {
		collection(kind)
		b.silent(`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`, plan.NotPinnable)
	}
	// A positional $ is sent with the filter that it needs, which $where cannot be a part of.
	collection(`"type": "collection", "options": {}`)
	b.says(`{"update": "pets", "updates": [{"q": {"tags": "a", "$where": "true"}, "u": {"$set": {"tags.$": "b"}}}]}`, plan.NotPinnable, "a positional $ with $where in the filter")
	b.silent(`{"update": "pets", "updates": [{"q": {"tags": "a", "n": {"$gt": 0}}, "u": {"$set": {"tags.$": "b"}}}]}`, plan.NotPinnable)
}
