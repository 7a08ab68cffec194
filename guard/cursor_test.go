package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
)

// TestALoopOverACursorIsOnePlan: each document of a cursor is deleted while more of it is fetched in between. What the cursor reads was asked before; it does
// not settle what is queued.
func TestALoopOverACursorIsOnePlan(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	var docs []string
	for i := range 25 {
		docs = append(docs, fmt.Sprintf(`{"_id": %d}`, i))
	}
	s.setup(t, "many", docs...)
	b := s.bench(t)
	st, err := b.gate.Begin(guard.Input{Text: "a loop", Manner: "typed"})
	if err != nil {
		t.Fatal(err)
	}
	run := func(cmd string) bson.Raw {
		t.Helper()
		r, err := st.Run(t.Context(), b.d, s.db, raw(t, cmd))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(cmd, "delete") {
			return nil
		}
		doc, err := r.Raw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	reply, batch, rounds := run(`{"find": "many", "batchSize": 10}`), "firstBatch", 0
	for {
		values, err := reply.Lookup("cursor", batch).Array().Values()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			run(fmt.Sprintf(`{"delete": "many", "deletes": [{"q": {"_id": %d}, "limit": 1}]}`, v.Document().Lookup("_id").Int32()))
		}
		id := reply.Lookup("cursor", "id").Int64()
		if id == 0 {
			break
		}
		reply, batch, rounds = run(fmt.Sprintf(`{"getMore": {"$numberLong": "%d"}, "collection": "many", "batchSize": 10}`, id)), "nextBatch", rounds+1
	}
	if err := st.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rounds < 2 || len(b.op.asked) != 1 || b.op.asked[0].Plan.Documents() != int64(len(docs)) {
		t.Errorf("%d more batches, %d questions, the first of %d documents", rounds, len(b.op.asked), b.op.asked[0].Plan.Documents())
	}
}
