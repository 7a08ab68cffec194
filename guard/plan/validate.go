package plan

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// A collection's validator, asked before the server asks it. One that is an ordinary filter is evaluated here, on every document; what is not decided here
// ($jsonSchema, $expr) the server evaluates, on as many after-images as asked has room for, handed to it in a read.
// Source: https://www.mongodb.com/docs/manual/core/schema-validation/

// validator is that of one namespace, and what it will say.
type validator struct {
	rule     bson.Raw       // nil if there is none that refuses
	filter   *update.Filter // the rule, if it is one that can be parsed here
	moderate bool           // documents that break it already may go on doing so
	asked    []bson.Raw
	size     int
	refused  int64
	first    string // _id of the first that it refuses
}

const (
	maxAsked      = 1000
	maxAskedBytes = 8 << 20
)

func newValidator(info *collectionInfo) *validator {
	v := &validator{}
	text := func(key string) string { s, _ := info.options.Lookup(key).StringValueOK(); return s }
	rule, ok := info.options.Lookup("validator").DocumentOK()
	if !ok || len(rule) <= 5 || text("validationAction") == "warn" || text("validationLevel") == "off" {
		return v
	}
	v.rule, v.moderate = rule, text("validationLevel") == "moderate"
	if f, err := update.ParseFilter(rule); err == nil {
		v.filter = f
	}
	return v
}

// check notes a document as the change will leave it.
func (v *validator) check(w *command.Write, before, after bson.Raw) {
	if v.rule == nil || w.BypassChecks || after == nil {
		return
	}
	if v.moderate && before != nil && v.match(before) != update.Yes {
		return // it may break the rule already
	}
	switch v.match(after) {
	case update.No:
		v.refuses(after)
	case update.Undecidable:
		if len(v.asked) < maxAsked && v.size+len(after) <= maxAskedBytes {
			v.asked, v.size = append(v.asked, after), v.size+len(after)
		}
	}
}

func (v *validator) match(doc bson.Raw) update.Answer {
	if v.filter == nil {
		return update.Undecidable
	}
	return v.filter.Match(doc)
}

func (v *validator) refuses(doc bson.Raw) {
	if v.refused++; v.refused == 1 {
		v.first = shown(doc.Lookup("_id"))
	}
}

// validate has the server evaluate what could not be decided here. A server that cannot is not asked again.
func (b *Builder) validate(ctx context.Context) error {
	for _, ns := range b.order {
		v := b.stats[ns].validator
		for len(v.asked) > 0 {
			n := min(len(v.asked), pipelineGroup)
			docs := bson.A{}
			for _, d := range v.asked[:n] {
				docs = append(docs, bson.D{{Key: "$literal", Value: d}})
			}
			v.asked = v.asked[n:]
			db, err := command.ParseNamespace(ns)
			if err != nil {
				return err
			}
			err = iterate(ctx, b.cfg.Reader, db.DB, bson.D{
				{Key: "aggregate", Value: int32(1)},
				{Key: "pipeline", Value: bson.A{bson.D{{Key: "$documents", Value: docs}}, bson.D{{Key: "$match", Value: bson.D{{Key: "$nor", Value: bson.A{v.rule}}}}}, bson.D{{Key: "$project", Value: bson.D{{Key: "_id", Value: 1}}}}}},
				{Key: "cursor", Value: bson.D{}},
			}, func(doc bson.Raw) error {
				v.refuses(doc)
				return nil
			})
			if a, ok := b.cfg.Reader.(interface{ Answered(error) bool }); err != nil && ok && a.Answered(err) {
				v.asked = nil
				break
			}
			if err != nil {
				return fmt.Errorf("ask the server what the validator of %s will say: %w", ns, err)
			}
		}
		v.size = 0
	}
	return nil
}

func (v *validator) facts(ns string) []Fact {
	if v == nil || v.refused == 0 {
		return nil
	}
	return []Fact{fact(ValidatorConflict, Danger, map[string]any{"namespace": ns, "documents": v.refused, "first": v.first},
		"would violate the validator of %s, so that the server refuses it, in %s: first %s", ns, Plural(v.refused, "document"), v.first)}
}
