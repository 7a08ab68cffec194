package plan

import (
	"context"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// explainer answers one command, and remembers it.
type explainer struct {
	asked bson.Raw
	reply bson.Raw
}

func (e *explainer) Read(_ context.Context, _ string, cmd bson.Raw) (bson.Raw, error) {
	e.asked = cmd
	return e.reply, nil
}

// TestAccess: what a server tells of how it finds documents. Whatever the statement does, a find is what is explained, and it is not run.
func TestAccess(t *testing.T) {
	t.Parallel()
	info := &collectionInfo{exists: true, indexes: []bson.Raw{raw(t, `{"key": {"_id": 1}, "name": "_id_"}`), raw(t, `{"key": {"a": 1, "b": 1}, "name": "a_1_b_1"}`)}}
	for _, c := range []struct {
		name, plan  string
		index       string
		scan, sure  bool
		filter, cmd string
	}{
		{name: "an index", plan: `{"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "a_1_b_1"}}`, index: "a_1_b_1", sure: true},
		{name: "no index", plan: `{"stage": "COLLSCAN", "direction": "forward"}`, scan: true, sure: true},
		{name: "SBE", plan: `{"isCached": false, "queryPlan": {"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "a_1_b_1"}}, "slotBasedPlan": {}}`, index: "a_1_b_1", sure: true},
		{name: "by _id", plan: `{"stage": "IDHACK"}`, index: "_id_", sure: true},
		{name: "express", plan: `{"stage": "EXPRESS_IXSCAN", "indexName": "_id_"}`, index: "_id_", sure: true},
		{name: "two branches", plan: `{"stage": "SUBPLAN", "inputStage": {"stage": "OR", "inputStages": [{"stage": "IXSCAN", "indexName": "x"}, {"stage": "IXSCAN", "indexName": "y"}, {"stage": "IXSCAN", "indexName": "x"}]}}`, index: "x, y", sure: true},
		{name: "shards", plan: `{"stage": "SHARD_MERGE", "shards": [{"winningPlan": {"stage": "COLLSCAN"}}, {"winningPlan": {"stage": "IXSCAN", "indexName": "x"}}]}`, index: "x", scan: true, sure: true},
		{name: "nothing that is known", plan: `{"stage": "RECORD_STORE_FAST_COUNT"}`, index: "a_1_b_1"},
		{name: "nothing at all", plan: ``, index: "a_1_b_1"},
		{name: "nothing, and no index", plan: ``, filter: `{"z": 1}`, scan: true},
	} {
		r := &explainer{reply: raw(t, `{"ok": 1}`)}
		if c.plan != "" {
			r.reply = raw(t, `{"queryPlanner": {"winningPlan": `+c.plan+`}, "ok": 1}`)
		}
		if c.filter == "" {
			c.filter = `{"a": 1, "c": 2}`
		}
		b := &Builder{cfg: Config{Reader: r}}
		w := command.Write{Op: command.Delete, NS: command.Namespace{DB: "d", Collection: "c"}, Filter: raw(t, c.filter), Multi: true}
		index, scan, sure, err := b.access(t.Context(), w, info)
		if err != nil || index != c.index || scan != c.scan || sure != c.sure {
			t.Errorf("%s: %q, scan %v, sure %v, %v", c.name, index, scan, sure, err)
		}
		cmd, _ := r.asked.Lookup("explain").DocumentOK()
		if verbosity, _ := r.asked.Lookup("verbosity").StringValueOK(); cmd.Index(0).Key() != "find" || verbosity != "queryPlanner" {
			t.Errorf("%s: it asked %v", c.name, r.asked)
		}
	}
	if part := covered(raw(t, `{"a": 1, "c": 2}`), info, "a_1_b_1"); part.String() != raw(t, `{"a": 1}`).String() {
		t.Errorf("the index answers %v", part)
	}
	for _, filter := range []string{`{"a": 1}`, `{"b": 1}`, `{"a": 1, "b": {"$gt": 2}}`} {
		if part := covered(raw(t, filter), info, "a_1_b_1"); part != nil {
			t.Errorf("of %s the index answers %v alone", filter, part)
		}
	}
}
