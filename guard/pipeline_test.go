package guard_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
)

// TestPipelinesAreForeseen: an update by a pipeline is evaluated by the server on the before-images, which are handed to it; what is another value each time,
// and what the server does not evaluate, is said not to be predictable. Over a fake: the embedded server knows no pipelines.
func TestPipelinesAreForeseen(t *testing.T) {
	t.Parallel()
	doc := bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: int32(41)}}
	for _, c := range []struct {
		update, why string
		open        string // the field that is not known, and no other
		knows       bool   // $documents
		fails       string // with which the server would answer
	}{
		{update: `[{"$set": {"n": {"$add": ["$n", 1]}}}]`, knows: true},
		{update: `[{"$set": {"n": {"$add": ["$n", 1]}}}]`},                      // known here
		{update: `[{"$set": {"n": {"$toHashedIndexKey": "$n"}}}]`, knows: true}, // known to the server alone
		{update: `[{"$set": {"n": {"$toHashedIndexKey": "$n"}}}]`, why: "n: ", open: "n"},
		{update: `[{"$set": {"at": "$$NOW"}}]`, why: "at: ", open: "at", knows: true},
		{update: `[{"$set": {"m": {"$floor": {"$multiply": [{"$rand": {}}, 9]}}}}]`, why: "m: ", open: "m", knows: true},
		{update: `[{"$match": {"n": 1}}]`, knows: true, fails: "no stage"},
	} {
		asked := 0
		f := wiretest.NewFake(t, nil, func(db string, cmd bson.Raw) bson.D {
			switch cmd.Index(0).Key() {
			case "find":
				if db == "respect" {
					return cursorOf(environment.MarkerDocument(environment.Production, "any", "test", markedAt))
				}
				return cursorOf(doc)
			case "listCollections":
				return cursorOf(bson.D{{Key: "name", Value: "c"}, {Key: "type", Value: "collection"}})
			case "listIndexes":
				return cursorOf(bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "name", Value: "_id_"}})
			case "count":
				return ok(bson.E{Key: "n", Value: int32(1)})
			case "aggregate":
				if name, ok := cmd.Lookup("aggregate").StringValueOK(); ok && name == "environment" { // does the server know conditions?
					return cursorOf()
				}
				if db != "respect" {
					asked++
				}
				given, err := cmd.LookupErr("pipeline", "0", "$documents", "0", "$literal")
				if !c.knows || err != nil || db == "respect" {
					return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(40324)}, {Key: "codeName", Value: "Location40324"}, {Key: "errmsg", Value: "Unrecognized pipeline stage name: '$documents'"}}
				}
				if n := given.Document().Lookup("n").Int32(); n != 41 {
					t.Errorf("the server was given n = %d", n)
				}
				return cursorOf(bson.D{{Key: "_id", Value: int32(1)}, {Key: "n", Value: int32(42)}})
			case "update", "findAndModify":
				t.Errorf("a preview sent %s", cmd)
			}
			return ok()
		})
		s := &server{uri: f.URI(), db: "app"}
		b := s.bench(t)
		st, _, err := b.runIn(guard.Preview, `{"update": "c", "updates": [{"q": {}, "u": `+c.update+`, "multi": true}]}`)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", c.update, err, c.fails)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", c.update, err)
		}
		plans, _ := st.Plans()
		why := ""
		for _, f := range plans[0].Facts() {
			if f.Code == plan.NotPredictable {
				why = f.Text
			}
		}
		if (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: it is said %q, want %q", c.update, why, c.why)
		}
		sample := plans[0].Samples()[0]
		if strings.Join(sample.Open, " ") != c.open {
			t.Errorf("%s: not known is %v, want %q", c.update, sample.Open, c.open)
		}
		if c.open != "n" && sample.After.Lookup("n").Int32() != map[bool]int32{true: 42, false: 41}[c.open == ""] {
			t.Errorf("%s: foreseen is %s", c.update, sample.After)
		}
		// Whoever looks a second time sees what was shown.
		images := plans[0].Images()
		err = plans[0].Items(func(it plan.Item) error {
			before, err := images.Before(it)
			if err != nil {
				return err
			}
			after, open, err := plans[0].AfterOf(images, nil, it, before)
			if strings.Join(open, " ") != c.open || !bytes.Equal(after, sample.After) {
				t.Errorf("%s: a second look shows %s, without %v; the preview showed %s", c.update, after, open, sample.After)
			}
			return err
		})
		if err = errors.Join(err, images.Close()); err != nil {
			t.Errorf("%s: %v", c.update, err)
		}
	}
}
