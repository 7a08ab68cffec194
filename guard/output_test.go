package guard_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
)

var sales = []string{
	`{"_id": 1, "shop": "a", "sum": 10}`, `{"_id": 2, "shop": "b", "sum": 20}`, `{"_id": 3, "shop": "c", "sum": 30}`,
}

// totals is what stood there before: 1 is as it will be, 2 is not, 9 will go.
var totals = []string{`{"_id": 1, "shop": "a", "sum": 10}`, `{"_id": 2, "shop": "b", "sum": 5, "note": "old"}`, `{"_id": 9, "shop": "z", "sum": 0}`}

// TestOutputs: what the server would compute and write is shown document by document, written so, and taken back.
func TestOutputs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, cmd string
		want      []string // of totals, in the order of _id
		facts     []string // that are said
		fails     string
	}{
		{
			name: "$out", cmd: `{"aggregate": "sales", "pipeline": [{"$out": "totals"}], "cursor": {"batchSize": 0}}`, want: sales,
			facts: []string{"$out computed 3 documents", "hold them and nothing else", plan.ReplacesDocument},
		},
		{name: "$out of some", cmd: `{"aggregate": "sales", "pipeline": [{"$match": {"shop": "c"}}, {"$out": {"db": "DB", "coll": "totals"}}], "cursor": {}}`, want: sales[2:]},
		{name: "$out of nothing", cmd: `{"aggregate": "sales", "pipeline": [{"$match": {"shop": "x"}}, {"$out": "totals"}], "cursor": {}}`, want: nil},
		{
			name: "$out of the same _id twice", cmd: `{"aggregate": "sales", "pipeline": [{"$set": {"_id": 1}}, {"$out": "totals"}], "cursor": {}}`,
			fails: "two of the documents that it computes have the _id",
		},
		{
			name: "$merge that replaces", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": "totals", "whenMatched": "replace"}}], "cursor": {}}`,
			want: append(slices.Clone(sales), totals[2]), facts: []string{"$merge computed 3 documents"},
		},
		{
			name: "$merge", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": "totals"}], "cursor": {}}`,
			want: []string{sales[0], `{"_id": 2, "shop": "b", "sum": 20, "note": "old"}`, sales[2], totals[2]},
		},
		{
			name: "$merge that keeps", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": {"coll": "totals"}, "whenMatched": "keepExisting"}}], "cursor": {}}`,
			want: []string{totals[0], totals[1], sales[2], totals[2]},
		},
		{
			name: "$merge that discards", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": "totals", "whenMatched": "replace", "whenNotMatched": "discard"}}], "cursor": {}}`,
			want: []string{sales[0], sales[1], totals[2]},
		},
		{name: "$merge that fails", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": "totals", "whenMatched": "fail"}}], "cursor": {}}`, fails: "whenMatched is fail"},
		{name: "$merge that finds none", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": "totals", "whenNotMatched": "fail"}}], "cursor": {}}`, fails: "could not find a matching document"},
		{
			name: "$merge by another field", cmd: `{"aggregate": "sales", "pipeline": [{"$project": {"_id": 0}}, {"$match": {"shop": {"$ne": "c"}}}, {"$merge": {"into": "totals", "on": "shop", "whenMatched": "replace"}}], "cursor": {}}`,
			want: []string{totals[0], `{"_id": 2, "shop": "b", "sum": 20}`, totals[2]},
		},
		{
			name: "$merge that would change an _id", cmd: `{"aggregate": "sales", "pipeline": [{"$set": {"_id": 7}}, {"$match": {"shop": "b"}}, {"$merge": {"into": "totals", "on": ["shop"]}}], "cursor": {}}`,
			fails: "modify the _id",
		},
		{name: "$merge by a field without a unique index", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": "totals", "on": "sum"}}], "cursor": {}}`, fails: "join fields will be unique"},
		{name: "$merge by a missing field", cmd: `{"aggregate": "sales", "pipeline": [{"$unset": "shop"}, {"$merge": {"into": "totals", "on": "shop"}}], "cursor": {}}`, fails: "cannot be missing"},
		{name: "$merge with variables", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": {"into": "totals", "let": {"a": 1}, "whenMatched": []}}], "cursor": {}}`, fails: "cannot be previewed, backed up and undone yet"},
		{name: "$out that is not last", cmd: `{"aggregate": "sales", "pipeline": [{"$out": "totals"}, {"$match": {}}], "cursor": {}}`, fails: "$out can only be the final stage in the pipeline (foreseen"},
		{name: "$merge that is not last", cmd: `{"aggregate": "sales", "pipeline": [{"$merge": "totals"}, {"$out": "totals"}], "cursor": {}}`, fails: "MongoServerError[Location40601]: $merge can only be"},
		{name: "$out inside", cmd: `{"aggregate": "sales", "pipeline": [{"$facet": {"a": [{"$out": "totals"}]}}], "cursor": {}}`, fails: "inside of another stage"},
		{name: "$out into a time series", cmd: `{"aggregate": "sales", "pipeline": [{"$out": {"db": "DB", "coll": "totals", "timeseries": {"timeField": "t"}}}], "cursor": {}}`, fails: "time series"},
		{name: "mapReduce that reduces", cmd: `{"mapReduce": "sales", "map": "m", "reduce": "r", "out": {"reduce": "totals"}}`, fails: "the server's own code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := production(t, "double")
			s.setup(t, "sales", sales...)
			s.setup(t, "totals", totals...)
			s.command(t, `{"createIndexes": "totals", "indexes": [{"key": {"shop": 1}, "name": "shop_1", "unique": true}]}`)
			before := s.state(t)
			b := s.bench(t)
			cmd := strings.ReplaceAll(c.cmd, `"DB"`, `"`+s.db+`"`)

			st, _, err := b.runIn(guard.Preview, cmd)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("the preview says %v, want %q", err, c.fails)
				}
				if _, _, err := b.run(cmd); err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("the run says %v, want %q", err, c.fails)
				}
				if diff := cmp.Diff(before, s.state(t)); diff != "" {
					t.Errorf("something changed: %s", diff)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			plans, _ := st.Plans()
			said := ""
			for _, f := range plans[0].Facts() {
				said += f.Code + ": " + f.Text + "\n"
			}
			for _, f := range c.facts {
				if !strings.Contains(said, f) {
					t.Errorf("it is not said %q, only\n%s", f, said)
				}
			}
			if strings.Contains(said, plan.FromLoop) {
				t.Errorf("one command is said to be a loop:\n%s", said)
			}
			if diff := cmp.Diff(before, s.state(t)); diff != "" {
				t.Fatalf("the preview changed something: %s", diff)
			}

			if _, _, err := b.run(cmd); err != nil {
				t.Fatal(err)
			}
			if got := s.documents(t, "totals"); !slices.Equal(got, texts(t, c.want)) {
				t.Errorf("there is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			bounded := false
			for _, cmd := range s.double.Commands() {
				if _, err := cmd.Doc.LookupErr("maxTimeMS"); err == nil && cmd.Name == "aggregate" {
					bounded = true
				}
				if cmd.Name == "aggregate" && strings.Contains(cmd.Doc.String(), "$out") || strings.Contains(cmd.Doc.String(), "$merge\"") {
					t.Errorf("the server was sent %s", cmd.Doc)
				}
			}
			if !bounded {
				t.Error("what reads production for it may take as long as it likes")
			}
			if _, err := b.undo(b.last()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, s.state(t)); diff != "" {
				t.Errorf("undo did not restore: %s", diff)
			}
		})
	}
}

func (s *server) documents(t testing.TB, coll string) (out []string) {
	t.Helper()
	cur, err := s.other.Database(s.db).Collection(coll).Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	for cur.Next(t.Context()) {
		out = append(out, cur.Current.String())
	}
	slices.Sort(out)
	return out
}

func texts(t testing.TB, docs []string) (out []string) {
	for _, d := range docs {
		out = append(out, raw(t, d).String())
	}
	slices.Sort(out)
	return out
}

// TestOutputCreates: $out makes the collection, also an empty one; undo takes it away again.
func TestOutputCreates(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]int{`{}`: 3, `{"shop": "x"}`: 0} {
		s := production(t, "double")
		s.setup(t, "sales", sales...)
		before := s.state(t)
		b := s.bench(t)
		_, replies, err := b.run(`{"aggregate": "sales", "pipeline": [{"$match": ` + filter + `}, {"$out": "totals"}], "cursor": {}}`)
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := replies[0].Lookup("cursor", "id").Int64OK(); !ok || id != 0 {
			t.Errorf("the answer is %s", replies[0])
		}
		after := s.state(t)
		if _, there := after["totals"]; !there || len(s.documents(t, "totals")) != want {
			t.Errorf("%s: the collection is %v", filter, after["totals"])
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, s.state(t)); diff != "" {
			t.Errorf("%s: undo did not restore: %s", filter, diff)
		}
	}
}

// TestOutputIsShown: what $out does is said where somebody decides about it, also of a part of it, and a danger where documents go.
func TestOutputIsShown(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "sales", sales...)
	s.setup(t, "totals", totals...)
	b := s.bench(t)
	b.answers("first 1")
	if _, _, err := b.run(`{"aggregate": "sales", "pipeline": [{"$match": {"shop": "c"}}, {"$out": "totals"}], "cursor": {}}`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.run(`{"aggregate": "sales", "pipeline": [{"$merge": "totals"}], "cursor": {}}`); err != nil {
		t.Fatal(err)
	}
	if len(b.op.asked) != 4 {
		t.Fatalf("%d questions", len(b.op.asked))
	}
	for i, q := range b.op.asked {
		at := slices.IndexFunc(q.Plan.Facts(), func(f plan.Fact) bool { return f.Code == plan.ComputedOutput })
		if at < 0 || (q.Plan.Facts()[at].Severity == plan.Danger) != (i < 3) || slices.Contains(codes(q.Plan), plan.AllDocuments) {
			t.Errorf("question %d says %v", i, q.Plan.Facts())
		}
	}
}

// TestOutputLeavesOthersAlone: what somebody else writes into the collection while the question is asked is neither replaced nor deleted.
func TestOutputLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		s.setup(t, "sales", sales...)
		s.setup(t, "totals", totals...)
		b := s.bench(t)
		b.op.answer = func(q guard.Question) guard.Answer {
			s.command(t, `{"insert": "totals", "documents": [{"_id": 100, "mine": true}]}`)
			s.command(t, `{"update": "totals", "updates": [{"q": {"_id": 9}, "u": {"$set": {"mine": true}}}]}`)
			return typed(q)
		}
		if _, _, err := b.run(`{"aggregate": "sales", "pipeline": [{"$out": "totals"}], "cursor": {}}`); err == nil || !strings.Contains(err.Error(), "only in part") {
			t.Fatalf("the run says %v", err)
		}
		want := append(slices.Clone(sales), `{"_id": 9, "shop": "z", "sum": 0, "mine": true}`, `{"_id": 100, "mine": true}`)
		if got := s.documents(t, "totals"); !slices.Equal(got, texts(t, want)) {
			t.Errorf("there is\n%s", strings.Join(got, "\n"))
		}
	})
}

// TestOutputOfMapReduce over answers as MongoDB gives them: the embedded server has no mapReduce.
func TestOutputOfMapReduce(t *testing.T) {
	t.Parallel()
	for out, want := range map[string][]string{
		`"totals"`:                        {`{"_id": 1, "value": 10}`, `{"_id": 5, "value": 50}`},
		`{"replace": "totals"}`:           {`{"_id": 1, "value": 10}`, `{"_id": 5, "value": 50}`},
		`{"merge": "totals", "db": "DB"}`: {`{"_id": 1, "value": 10}`, totals[1], totals[2], `{"_id": 5, "value": 50}`},
	} {
		s := production(t, "double")
		s.setup(t, "sales", sales...)
		s.setup(t, "totals", totals...)
		s.double.Answer(func(c wiretest.Command) bson.Raw {
			if c.Name != "mapReduce" {
				return nil
			}
			if c.Doc.Lookup("out", "inline").Int32() != 1 {
				t.Errorf("the server was sent %s", c.Doc)
			}
			return raw(t, `{"results": [{"_id": 1, "value": 10}, {"_id": 5, "value": 50}], "ok": 1}`)
		})
		b := s.bench(t)
		_, replies, err := b.run(`{"mapReduce": "sales", "map": "m", "reduce": "r", "out": ` + strings.ReplaceAll(out, "DB", s.db) + `}`)
		if err != nil {
			t.Fatal(err)
		}
		if name, _ := replies[0].Lookup("result").StringValueOK(); name != "totals" {
			t.Errorf("the answer is %s", replies[0])
		}
		if got := s.documents(t, "totals"); !slices.Equal(got, texts(t, want)) {
			t.Errorf("%s: there is\n%s", out, strings.Join(got, "\n"))
		}
	}
}

// TestOutputsAreBounded: what is computed is held in memory, and never more of it than policy allows.
func TestOutputsAreBounded(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "sales", sales...)
	b := s.bench(t)
	b.policy = parsePolicy(t, "policy: {production: {documents: {max-operations: 2}}}")
	b.again()
	for _, stage := range []string{`{"$out": "totals"}`, `{"$merge": "totals"}`} {
		_, _, err := b.run(`{"aggregate": "sales", "pipeline": [` + stage + `], "cursor": {}}`)
		var r *guard.Refused
		if !errors.As(err, &r) || !strings.Contains(err.Error(), "would write more than 2 documents") || strings.Count(strings.Join(r.Lines(), "\n"), "nothing was changed") != 1 {
			t.Errorf("%s: %v", stage, err)
		}
	}
	s.setup(t, "totals", totals...)
	_, _, err := b.run(`{"aggregate": "sales", "pipeline": [{"$match": {"_id": 100}}, {"$out": "totals"}], "cursor": {}}`)
	if err == nil || !strings.Contains(err.Error(), "would write more than 2 documents") {
		t.Errorf("deletes: %v", err)
	}
}

// TestServerBulkWrite: the server's bulkWrite is taken apart like the commands that it stands for, over several namespaces.
func TestServerBulkWrite(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		s.setup(t, "sales", sales...)
		s.setup(t, "totals", totals...)
		before := s.state(t)
		b := s.bench(t)
		_, replies, err := b.run(fmt.Sprintf(`admin: {"bulkWrite": 1, "ops": [
			{"insert": 0, "document": {"_id": 50, "shop": "new"}},
			{"update": 1, "filter": {"shop": {"$in": ["a", "b"]}}, "updateMods": {"$set": {"sum": 5}}, "multi": true},
			{"update": 1, "filter": {"_id": 77}, "updateMods": {"$set": {"sum": 1}}, "upsert": true},
			{"delete": 0, "filter": {"_id": {"$lt": 3}}, "multi": true},
			{"delete": 1, "filter": {"_id": 9}}
		], "nsInfo": [{"ns": "%[1]s.sales"}, {"ns": "%[1]s.totals"}]}`, s.db))
		if err != nil {
			t.Fatal(err)
		}
		r := replies[0]
		for field, want := range map[string]int32{"nInserted": 1, "nMatched": 2, "nModified": 1, "nUpserted": 1, "nDeleted": 3, "nErrors": 0} {
			if got := r.Lookup(field).Int32(); got != want {
				t.Errorf("%s is %d, want %d: %s", field, got, want, r)
			}
		}
		if got := s.documents(t, "sales"); !slices.Equal(got, texts(t, []string{sales[2], `{"_id": 50, "shop": "new"}`})) {
			t.Errorf("sales is %s", got)
		}
		if got := s.documents(t, "totals"); !slices.Equal(got, texts(t, []string{`{"_id": 1, "shop": "a", "sum": 5}`, totals[1], `{"_id": 77, "sum": 1}`})) {
			t.Errorf("totals is %s", got)
		}
		for changes := b.changes(); len(changes) > 0; changes = changes[:len(changes)-1] {
			if _, err := b.undo(changes[len(changes)-1]); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(before, s.state(t)); diff != "" {
			t.Errorf("undo did not restore: %s", diff)
		}
	})
}
