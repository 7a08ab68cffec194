package guard

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
)

// Reply is a server's reply, or the promise of one for a write that waits for its plan.
type Reply struct {
	raw bson.Raw
	s   *Statement
	q   *queued
}

// Raw is the reply's document. For a queued write it plans what is queued, with reads only, and answers with the plan's own numbers, which
// are exact because the documents are pinned; where a number cannot be foreseen the queue is settled.
func (r *Reply) Raw(ctx context.Context) (bson.Raw, error) {
	if r.q == nil {
		return r.raw, nil
	}
	q, s := r.q, r.s
	for q.left > 0 {
		if s.stopped != nil {
			return nil, s.stopped
		}
		if err := s.take(ctx, q); err != nil {
			return nil, s.fail(err)
		}
		if q.took == len(q.cmd.Writes()) && s.builder != nil && s.foreseeable(q) {
			return q.build()
		}
		if err := s.settleBuilt(ctx); err != nil {
			return nil, s.fail(err)
		}
		if s.mode == Preview {
			return nil, s.stop(ErrIncomplete)
		}
	}
	return q.build()
}

// Known is the reply, if it is known without asking anybody: nil for a write that waits for its plan. look says that reads may find out whether the server would refuse a part of
// it; then that is told here, with what the rest of the plan would do, and the statement goes on.
func (r *Reply) Known(ctx context.Context, look bool) (bson.Raw, error) {
	if r.q == nil {
		return r.raw, nil
	}
	q, s := r.q, r.s
	if q.left > 0 && look && s.stopped == nil {
		if err := s.takeTelling(ctx, q, true); err != nil {
			return nil, s.fail(err)
		}
		if s.builder != nil {
			s.foreseeable(q)
		}
	}
	if q.left > 0 && len(q.failed) == 0 {
		return nil, nil
	}
	return q.build()
}

// Pending says whether the numbers are still those of a plan.
func (r *Reply) Pending() bool { return r.q != nil && r.q.left > 0 }

// foreseeable fills in the planned numbers of a queued write; false if one of them is not known before it runs.
func (s *Statement) foreseeable(q *queued) bool {
	for i := range q.sums {
		res := s.builder.Result(plan.Pending{Command: q.cmd, Index: i})
		if q.skips(i) {
			continue
		}
		if res == nil {
			if i < len(q.cmd.Writes())-q.left {
				continue // carried out by an earlier plan
			}
			return false
		}
		if res.ModifiedUnknown {
			return false
		}
		q.sums[i] = planSum(res)
	}
	return true
}

func planSum(res *plan.Result) sum {
	if res == nil {
		return sum{}
	}
	return sum{matched: res.Matched, modified: res.Modified, inserted: res.Inserted, deleted: res.Deleted, upserted: res.UpsertedID}
}

// build makes the reply that the server would have given to the typed command.
func (q *queued) build() (bson.Raw, error) {
	var total sum
	upserted := bson.A{}
	for i, s := range q.sums {
		total.matched += s.matched
		total.modified += s.modified
		total.inserted += s.inserted
		total.deleted += s.deleted
		if s.upserted.Type != 0 {
			upserted = append(upserted, bson.D{{Key: "index", Value: int32(i)}, {Key: "_id", Value: s.upserted}})
		}
	}
	doc := bson.D{}
	switch q.cmd.Name() {
	case "insert":
		doc = append(doc, bson.E{Key: "n", Value: int32(total.inserted)})
	case "delete":
		doc = append(doc, bson.E{Key: "n", Value: int32(total.deleted)})
	case "update":
		doc = append(doc, bson.E{Key: "n", Value: int32(total.matched) + int32(len(upserted))})
		if len(upserted) > 0 {
			doc = append(doc, bson.E{Key: "upserted", Value: upserted})
		}
		doc = append(doc, bson.E{Key: "nModified", Value: int32(total.modified)})
	case "findAndModify":
		doc = append(doc, bson.E{Key: "lastErrorObject", Value: q.lastErrorObject()}, bson.E{Key: "value", Value: valueOrNull(q.sums[0].value)})
	case "bulkWrite":
		return q.buildBulk()
	default:
		return nil, fmt.Errorf("internal error: no reply for %s", q.cmd.Name())
	}
	if len(q.failed) > 0 {
		failed := bson.A{}
		for _, f := range q.failed {
			failed = append(failed, bson.D{{Key: "index", Value: int32(f.index)}, {Key: "code", Value: f.err.Code}, {Key: "errmsg", Value: f.err.Message}})
		}
		doc = append(doc, bson.E{Key: "writeErrors", Value: failed})
	}
	return bson.Marshal(append(doc, bson.E{Key: "ok", Value: float64(1)}))
}

// buildBulk is the reply to a bulkWrite.
// Source: https://www.mongodb.com/docs/manual/reference/command/bulkWrite/#output
func (q *queued) buildBulk() (bson.Raw, error) {
	errorsOnly := false
	if v, ok := q.cmd.Lookup("errorsOnly"); ok {
		errorsOnly, _ = v.BooleanOK()
	}
	results := bson.A{}
	var total sum
	upserts := int32(0)
	for i, s := range q.sums {
		r := bson.D{{Key: "ok", Value: float64(1)}, {Key: "idx", Value: int32(i)}}
		switch q.cmd.Writes()[i].Op {
		case command.Insert:
			r = append(r, bson.E{Key: "n", Value: int32(s.inserted)})
			total.inserted += s.inserted
		case command.Delete:
			r = append(r, bson.E{Key: "n", Value: int32(s.deleted)})
			total.deleted += s.deleted
		default:
			n := s.matched
			if s.upserted.Type != 0 {
				n, upserts = n+1, upserts+1
			}
			r = append(r, bson.E{Key: "n", Value: int32(n)}, bson.E{Key: "nModified", Value: int32(s.modified)})
			if s.upserted.Type != 0 {
				r = append(r, bson.E{Key: "upserted", Value: bson.D{{Key: "_id", Value: s.upserted}}})
			}
			total.matched, total.modified = total.matched+s.matched, total.modified+s.modified
		}
		results = append(results, r)
	}
	if errorsOnly {
		results = bson.A{}
	}
	return bson.Marshal(bson.D{
		{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "firstBatch", Value: results}, {Key: "ns", Value: "admin.$cmd.bulkWrite"}}},
		{Key: "nErrors", Value: int32(0)}, {Key: "nInserted", Value: int32(total.inserted)}, {Key: "nMatched", Value: int32(total.matched)},
		{Key: "nModified", Value: int32(total.modified)}, {Key: "nUpserted", Value: upserts}, {Key: "nDeleted", Value: int32(total.deleted)}, {Key: "ok", Value: float64(1)},
	})
}

func (q *queued) lastErrorObject() bson.D {
	s := q.sums[0]
	n := s.matched
	if s.upserted.Type != 0 {
		n = 1
	}
	out := bson.D{{Key: "n", Value: int32(n)}}
	if q.cmd.Writes()[0].Op != command.Delete {
		out = append(out, bson.E{Key: "updatedExisting", Value: s.matched > 0})
	}
	if s.upserted.Type != 0 {
		out = append(out, bson.E{Key: "upserted", Value: s.upserted})
	}
	return out
}

func valueOrNull(doc bson.Raw) any {
	if doc == nil {
		return bson.Null{}
	}
	return doc
}

func okReply() bson.Raw {
	raw, err := bson.Marshal(bson.D{{Key: "ok", Value: float64(1)}})
	if err != nil {
		panic("guard: internal error: " + err.Error())
	}
	return raw
}

// schemaReply is what the server would have answered to schema work that was carried out in other steps.
func schemaReply(c *command.Command, p *plan.Plan) bson.Raw {
	doc := bson.D{}
	switch c.Name() {
	case "drop":
		doc = append(doc, bson.E{Key: "ns", Value: c.Targets()[0].String()})
	case "dropDatabase":
		doc = append(doc, bson.E{Key: "dropped", Value: c.Database()})
	case "createIndexes":
		n := 0
		for _, s := range p.Steps() {
			n += len(s.Specs)
		}
		doc = append(doc, bson.E{Key: "numIndexesCreated", Value: int32(n)})
	}
	raw, err := bson.Marshal(append(doc, bson.E{Key: "ok", Value: float64(1)}))
	if err != nil {
		panic("guard: internal error: " + err.Error())
	}
	return raw
}
