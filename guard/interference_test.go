package guard_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
)

// interference is what somebody else does to document 1 while a change is under way.
var interference = []struct {
	name string
	cmds []string
	do   string // the other client's command
	// What is there of document 1 in the end, as relaxed Extended JSON, on each road; "gone" if it is not there.
	expr, fields string
	alarm        bool // on the road without $expr
}{
	{
		name: "delete, changed", cmds: []string{`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 99}}}]}`,
		expr: `"age":99`, fields: "gone", alarm: true,
	},
	{
		name: "delete, replaced by its like", cmds: []string{`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"name": "Ann", "age": 30, "other": true}}]}`,
		expr: `"other":true`, fields: "gone", alarm: true,
	},
	{
		name: "update, the field changed", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 99}}}]}`,
		expr: `"age":99`, fields: `"age":99`,
	},
	{
		name: "update, the field gone", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$unset": {"age": 1}}}]}`,
		expr: `"name":"Ann","tags"`, fields: `"name":"Ann","tags"`,
	},
	{
		name: "update, the field wrapped in an array", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": [30]}}}]}`,
		expr: `"age":[30]`, fields: `"age":[30]`,
	},
	{
		name: "update, the field of another type", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": {"$numberLong": "30"}}}}]}`,
		expr: `"age":30`, fields: `"age":30`,
	},
	{
		name: "update, a missing field is null now", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"fresh": 1}}, "multi": true}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"fresh": null}}}]}`,
		expr: `"fresh":null`, fields: `"fresh":null`,
	},
	{
		name: "update, another field changed", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"name": "Other"}}}]}`,
		expr: `"name":"Other","age":30`, fields: `"name":"Other","age":1`, alarm: true,
	},
	{
		name: "update, deleted", cmds: []string{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`},
		do:   `{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`,
		expr: "gone", fields: "gone",
	},
	{
		name: "upsert that updates, deleted", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 1}}, "upsert": true}]}`},
		do:   `{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`,
		expr: "gone", fields: "gone",
	},
	{
		name: "replace, changed", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"name": "Zoe"}}]}`},
		do:   `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 99}}}]}`,
		expr: `"age":99`, fields: `"name":"Zoe"`, alarm: true,
	},
	{
		name: "replace, deleted", cmds: []string{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"name": "Zoe"}}]}`},
		do:   `{"delete": "people", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`,
		expr: "gone", fields: "gone",
	},
}

// TestP2InterferenceDuringTheQuestion: what somebody else changes while the operator reads is left alone, on every road.
func TestP2InterferenceDuringTheQuestion(t *testing.T) {
	t.Parallel()
	for _, c := range interference {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachServer(t, func(t *testing.T, s *server) {
				s.people(t)
				before := s.state(t)
				b := s.bench(t)
				var theirs string
				b.op.answer = func(q guard.Question) guard.Answer {
					s.command(t, c.do)
					theirs = s.one(t)
					return typed(q)
				}
				if _, _, err := b.run(c.cmds...); err == nil {
					t.Fatal("a change that left a document alone said nothing")
				}
				if got := s.one(t); got != theirs {
					t.Fatalf("the other's version %s became %s", theirs, got)
				}
				r := b.op.receipts[0]
				if len(r.Skipped) != 1 || len(r.Alarm) > 0 {
					t.Fatalf("skipped %v, alarms %v", r.Skipped, r.Alarm)
				}
				b.op.answer = nil
				if b.last().Status == replay.StatusPartly {
					if _, err := b.undo(b.last()); err != nil {
						t.Fatalf("undo: %v", err)
					}
				}
				sameBut1(t, before, s.state(t))
				if got := s.one(t); got != theirs {
					t.Fatalf("undo made %s of the other's version %s", got, theirs)
				}
			})
		})
	}
}

// TestP2InterferenceInTheLastMoment: between the last look at a document and the write, only the server can see that it was changed.
func TestP2InterferenceInTheLastMoment(t *testing.T) {
	t.Parallel()
	for _, c := range interference {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachRoad(t, func(t *testing.T, s *server) {
				s.people(t)
				before := s.state(t)
				b := s.bench(t)
				var theirs string
				s.before(func(cmd wiretest.Command) {
					if theirs == "" && len(wiretest.Writes([]wiretest.Command{cmd})) > 0 && strings.Contains(cmd.Doc.String(), `"$numberInt":"1"`) {
						s.command(t, c.do)
						theirs = s.one(t)
					}
				})
				_, _, _ = b.run(c.cmds...) // whether it is an error depends on the road
				if theirs == "" {
					t.Fatal("the other never came")
				}
				want, road := c.expr, "expr"
				if b.d.Embedded() && strings.Contains(t.Name(), "/proxy") {
					want, road = c.fields, "fields"
				}
				if got := s.one(t); !strings.Contains(got, want) {
					t.Fatalf("road %s: %s, want %s", road, got, want)
				}
				r := b.op.receipts[0]
				if (len(r.Alarm) > 0) != (c.alarm && road == "fields") {
					t.Fatalf("road %s: alarms %v", road, r.Alarm)
				}
				if want == "gone" && theirs != "gone" || strings.Contains(want, "Zoe") {
					overwritten, err := os.ReadFile(filepath.Join(b.dir, "changes", r.Change, "overwritten.bson"))
					if err != nil || text(overwritten) != theirs {
						t.Fatalf("the other's version %s was overwritten, and what is saved is %s (%v)", theirs, text(overwritten), err)
					}
				}
				s.before(nil)
				if st := b.last().Status; st == replay.StatusPartly || st == replay.StatusApplied {
					if _, err := b.undo(b.last()); err != nil {
						t.Fatalf("undo: %v", err)
					}
				}
				sameBut1(t, before, s.state(t))
			})
		})
	}
}

func text(doc bson.Raw) string {
	out, err := bson.MarshalExtJSON(doc, false, false)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// one is document 1 as it is now.
func (s *server) one(t *testing.T) string {
	t.Helper()
	doc, err := s.other.Database(s.db).Collection("people").FindOne(context.Background(), bson.D{{Key: "_id", Value: 1}}).Raw()
	if err != nil {
		return "gone"
	}
	return text(doc)
}

func sameBut1(t *testing.T, want, got state) {
	t.Helper()
	without := func(s state) state {
		out := state{}
		for k, list := range s {
			for _, d := range list {
				if !strings.HasPrefix(d, `{"_id":{"$numberInt":"1"},"name":"`) && !strings.HasPrefix(d, `{"_id":{"$numberInt":"1"},"age":`) {
					out[k] = append(out[k], d)
				}
			}
		}
		return out
	}
	same(t, "besides document 1", without(want), without(got))
}
