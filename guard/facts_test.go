package guard_test

import (
	"slices"
	"strings"
	"testing"

	"respect/guard"
	"respect/guard/plan"
)

// pets is a small collection in which names, types and missing fields can be got wrong.
var pets = []string{
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70001"}, "name": "Rex", "owner": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}, "born": {"$date": "2020-01-01T00:00:00Z"}, "tags": ["a", "b"], "at": {"city": "Bern", "zip": 3000}, "n": 1}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70002"}, "name": "Mia", "owner": {"$oid": "64b0c0f1a2b3c4d5e6f70012"}, "born": {"$date": "2021-01-01T00:00:00Z"}, "tags": ["a"], "at": {"city": "Thun", "zip": 3600}, "n": 2}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70003"}, "name": "Ivo", "owner": null, "born": {"$date": "2022-01-01T00:00:00Z"}, "tags": [], "at": {"city": "Biel", "zip": 2500}, "n": 3}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70004"}, "name": "Zoe", "born": {"$date": "2023-01-01T00:00:00Z"}, "tags": ["c"], "at": {"city": "Chur", "zip": 7000}, "n": 4}`,
}

// findingsSaid says what a fact's text holds where it is true, and statements in which the fact is not to be said.
var findingsSaid = []struct {
	code, cmd, text string
	quiet           []string
}{
	{"null-matches-missing", `{"delete": "pets", "deletes": [{"q": {"owner": null}, "limit": 0}]}`, "1 of them", []string{
		`{"delete": "pets", "deletes": [{"q": {"owner": null, "name": "Ivo"}, "limit": 0}]}`, // it has the field, and that is null
		`{"delete": "pets", "deletes": [{"q": {"owner": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}}, "limit": 0}]}`,
	}},
	{"type-mismatch", `{"delete": "pets", "deletes": [{"q": {"_id": {"$in": ["64b0c0f1a2b3c4d5e6f70001"]}}, "limit": 0}]}`, "compares _id with a string, but in the documents that were looked at it is objectId", []string{
		`{"delete": "pets", "deletes": [{"q": {"_id": {"$in": [{"$oid": "64b0c0f1a2b3c4d5e6f70009"}]}}, "limit": 0}]}`, // not there, and of the right type
		`{"delete": "pets", "deletes": [{"q": {"n": {"$numberLong": "77"}}, "limit": 0}]}`,                             // numbers are one type
		`{"delete": "pets", "deletes": [{"q": {"tags": "zz"}, "limit": 0}]}`,                                           // an array's elements count
	}},
	{"type-mismatch", `{"delete": "pets", "deletes": [{"q": {"born": {"$lt": "2020-06-01"}}, "limit": 0}]}`, "with a string, but", nil},
	{"unknown-field", `{"update": "pets", "updates": [{"q": {"nmae": "Rex"}, "u": {"$set": {"n": 5}}, "multi": true}]}`, "did you mean name?", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Nobody"}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"at.city": "Bern"}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
	}},
	{"empty-list", `{"update": "pets", "updates": [{"q": {"name": {"$in": []}}, "u": {"$set": {"n": 5}}, "multi": true, "upsert": true}]}`, "matches nothing", []string{
		`{"update": "pets", "updates": [{"q": {"name": {"$in": ["Rex"]}}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
	}},
	{"empty-list", `{"delete": "pets", "deletes": [{"q": {"name": {"$nin": []}}, "limit": 0}]}`, "matches everything", nil},
	{"overwrites-subdocument", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at": {"zip": 3001}}}}]}`, "$set of the whole of at drops", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at.zip": 3001}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at": {"city": "Biel", "zip": 2500}}}}]}`,
	}},
	{"array-shrinks", `{"update": "pets", "updates": [{"q": {}, "u": {"$pull": {"tags": "a"}}, "multi": true}]}`, "tags loses 2 elements in 2 documents, and becomes empty in 1 document", []string{
		`{"update": "pets", "updates": [{"q": {}, "u": {"$push": {"tags": "z"}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": ["x", "y"]}}}]}`,
	}},
	{"type-change", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": "one"}}}]}`, "n changes its type from int to string, in 1 document", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 7}}}]}`,
	}},
	{"unique-conflict", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "Mia"}}}]}`, "would violate the unique index name_1", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "Max"}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 2}}}]}`,
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`,
	}},
	{"unique-conflict", `{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"name": "Same"}}, "multi": true}]}`, "two documents of this change", nil},
	{"unique-conflict", `{"insert": "pets", "documents": [{"_id": 9, "name": "Zoe"}]}`, "has it", []string{`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`}},
	{"creates-collection", `{"insert": "pest", "documents": [{"_id": 9}]}`, "did you mean pets?", []string{`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`}},
	{"distinct-before", `{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"n": 9}}, "multi": true}]}`, `1 (1)`, []string{
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"fresh": 1}}, "multi": true}]}`,
	}},
}

// TestFindings: each fact where it is true, and not where it is not.
func TestFindings(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	s.command(t, `{"createIndexes": "pets", "indexes": [{"key": {"name": 1}, "name": "name_1", "unique": true}]}`)
	b := s.bench(t)
	facts := func(cmd string) (codes []string, texts string) {
		t.Helper()
		st, _, err := b.runIn(guard.Preview, cmd)
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		plans, _ := st.Plans()
		for _, f := range plans[0].Facts() {
			codes, texts = append(codes, f.Code), texts+f.Code+": "+f.Text+"\n"
		}
		return codes, texts
	}
	for _, c := range findingsSaid {
		codes, texts := facts(c.cmd)
		if !slices.Contains(codes, c.code) || !strings.Contains(texts, c.text) {
			t.Errorf("%s\nsays\n%s\nnot %s: %s", c.cmd, texts, c.code, c.text)
		}
		for _, cmd := range c.quiet {
			if codes, texts := facts(cmd); slices.Contains(codes, c.code) {
				t.Errorf("%s\nsays %s, which is not so:\n%s", cmd, c.code, texts)
			}
		}
	}
}

// TestRecalled: a line from the history or from a paste is said to be one; a typed one is not.
func TestRecalled(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	for _, cmd := range []string{`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`, `{"drop": "pets"}`} {
		for manner, want := range map[string]bool{"typed": false, "recalled": true, "pasted": true, "file": false} {
			st, err := b.gate.Begin(guard.Input{Text: "x", Manner: manner, Mode: guard.Preview})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Run(t.Context(), b.d, s.db, raw(t, cmd)); err != nil {
				t.Fatal(err)
			}
			if err := st.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			plans, _ := st.Plans()
			if got := slices.ContainsFunc(plans[0].Facts(), func(f plan.Fact) bool { return f.Code == plan.Recalled }); got != want {
				t.Errorf("%s, %s: said %v", cmd, manner, got)
			}
		}
	}
}
