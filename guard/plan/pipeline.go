package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// Updates by an aggregation pipeline are foreseen by the server itself: a read-only aggregate runs the same stages on the before-images, which are handed to
// it, so that nothing can change in between.
//
// Sources: https://www.mongodb.com/docs/manual/tutorial/update-documents-with-aggregation-pipeline/,
// https://www.mongodb.com/docs/manual/reference/operator/aggregation/documents/ (5.1). A server that does not know $documents leaves it unforeseen.

// updateStages are the stages that an update may have.
var updateStages = []string{"$addFields", "$set", "$project", "$unset", "$replaceRoot", "$replaceWith"}

// unforeseeable are what is another value each time it is looked at.
var unforeseeable = []string{"$$NOW", "$$CLUSTER_TIME", "$rand", "$function", "$accumulator", "$where", "$sampleRate", "$$USER_ROLES"}

// foreseeable says why the result of a pipeline cannot be foreseen; "" if it can.
func foreseeable(pipeline bson.RawValue) string {
	stages, ok := pipeline.ArrayOK()
	list, err := stages.Values()
	if !ok || err != nil {
		return "an aggregation pipeline"
	}
	for _, s := range list {
		doc, ok := s.DocumentOK()
		e, err := doc.IndexErr(0)
		if !ok || err != nil || !slices.Contains(updateStages, e.Key()) {
			return "an aggregation pipeline with a stage that updates do not have"
		}
	}
	if what := mentioned(pipeline); what != "" {
		return "an aggregation pipeline with " + what
	}
	return ""
}

// mentioned looks through all names and strings for what cannot be foreseen.
func mentioned(v bson.RawValue) string {
	if s, ok := v.StringValueOK(); ok {
		for _, u := range unforeseeable {
			if strings.HasPrefix(u, "$$") && strings.HasPrefix(s, u) {
				return u
			}
		}
		return ""
	}
	var elems []bson.RawElement
	if doc, ok := v.DocumentOK(); ok {
		elems, _ = doc.Elements() // it was parsed
	} else if arr, ok := v.ArrayOK(); ok {
		elems, _ = bson.Raw(arr).Elements()
	}
	for _, e := range elems {
		if slices.Contains(unforeseeable, e.Key()) {
			return e.Key()
		}
		if what := mentioned(e.Value()); what != "" {
			return what
		}
	}
	return ""
}

// pipelineGroup documents, or bytes of them, are handed over in one aggregate.
const (
	pipelineGroup = 100
	pipelineBytes = 8 << 20
)

// variables are those of a statement, as an aggregate takes them. Those of c are constants, which are not evaluated; those of let are expressions.
// Source: https://www.mongodb.com/docs/manual/reference/command/update/ (c, let)
func variables(w command.Write) (let bson.D, err error) {
	for _, from := range []struct {
		v        bson.RawValue
		constant bool
	}{{w.Let, false}, {w.Constants, true}} {
		doc, ok := from.v.DocumentOK()
		if !ok {
			continue
		}
		elems, err := doc.Elements()
		if err != nil {
			return nil, err
		}
		for _, e := range elems {
			let = slices.DeleteFunc(let, func(x bson.E) bool { return x.Key == e.Key() })
			if from.constant {
				let = append(let, bson.E{Key: e.Key(), Value: bson.D{{Key: "$literal", Value: e.Value()}}})
			} else {
				let = append(let, bson.E{Key: e.Key(), Value: e.Value()})
			}
		}
	}
	return let, nil
}

// evaluate asks the server what a pipeline makes of documents, and keeps the answers for afterImage.
func (b *Builder) evaluate(ctx context.Context, w command.Write, docs []bson.Raw) error {
	b.made.why = foreseeable(w.Update)
	if b.made.why != "" || len(docs) == 0 {
		return nil
	}
	literals := bson.A{}
	for _, d := range docs {
		literals = append(literals, bson.D{{Key: "$literal", Value: d}})
	}
	list, err := w.Update.Array().Values()
	if err != nil {
		return err
	}
	pipeline := bson.A{bson.D{{Key: "$documents", Value: literals}}}
	for _, s := range list {
		pipeline = append(pipeline, s)
	}
	cmd := bson.D{{Key: "aggregate", Value: int32(1)}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: bson.D{}}}
	let, err := variables(w)
	if err != nil {
		return err
	}
	if len(let) > 0 {
		cmd = append(cmd, bson.E{Key: "let", Value: let})
	}
	if w.Collation.Type != 0 {
		cmd = append(cmd, bson.E{Key: "collation", Value: w.Collation})
	} else if own, err := b.infos[w.NS.String()].options.LookupErr("collation"); err == nil { // these documents are in no collection that would have one
		cmd = append(cmd, bson.E{Key: "collation", Value: own})
	}
	b.made.after = map[IDHash]bson.Raw{}
	err = iterate(ctx, b.cfg.Reader, w.NS.DB, cmd, func(doc bson.Raw) error {
		b.made.after[KeyOf(doc.Lookup("_id"))] = slices.Clone(doc)
		return nil
	})
	if a, ok := b.cfg.Reader.(interface{ Answered(error) bool }); err != nil && ok && a.Answered(err) {
		b.made.after, b.made.why = nil, "an aggregation pipeline, which this server does not evaluate beforehand"
		return nil
	}
	if err == nil && len(b.made.after) != len(docs) {
		b.made.after, b.made.why = nil, fmt.Sprintf("an aggregation pipeline, of which the server gave %d results for %d documents", len(b.made.after), len(docs))
	}
	return err
}
