package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// ErrNoStatement is wrapped by the refusal to plan again what was not typed: an undo, schema work.
var ErrNoStatement = errors.New("has no statement that could be planned again")

// Again plans a part of a change once more: the documents that pick chooses, as they are now, as far as the statement that they come from still selects
// them. That is how the first documents of a plan are carried out alone, and how what a change has not done is done later.
func Again(ctx context.Context, cfg Config, of *Plan, pick func(Item) bool) (*Plan, error) {
	if len(of.steps) > 0 || of.header.Undoes != "" {
		return nil, fmt.Errorf("change %s %w", of.Change(), ErrNoStatement)
	}
	cfg.Facts = append(cfg.Facts, ofWhole(of)...)
	b, err := NewBuilder(cfg)
	if err != nil {
		return nil, err
	}
	b.part = of.Documents()
	a := &again{Builder: b, of: of, images: of.Images()}
	p, err := a.plan(ctx, pick)
	if cerr := a.images.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, joinDiscard(err, b)
	}
	return p, nil
}

// ofWhole is what parts of a plan do not show of themselves: a part of everything is still done in many steps to everything, and what the documents of a part were
// computed for is the whole.
func ofWhole(of *Plan) (out []Fact) {
	const first = "planned first: "
	for _, f := range of.Facts() {
		if f.Severity == Danger && (f.Code == EmptyFilter || f.Code == AllDocuments) || f.Code == ComputedOutput {
			f.Text = first + strings.TrimPrefix(f.Text, first)
			out = append(out, f)
		}
	}
	return out
}

// again is a Builder that takes its statements from another plan.
type again struct {
	*Builder
	of     *Plan
	images *Images
}

func (a *again) plan(ctx context.Context, pick func(Item) bool) (*Plan, error) {
	var group []Item
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := a.group(ctx, group)
		group = group[:0]
		return err
	}
	err := a.of.Items(func(it Item) error {
		if !pick(it) {
			return nil
		}
		if len(group) > 0 && (len(group) >= a.most(group[0]) || !a.readTogether(group[0], it)) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, it)
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = errors.Join(a.conflicts(ctx), a.validate(ctx))
	}
	if err != nil {
		return nil, err
	}
	return a.Finish()
}

// most is how many documents may be read together.
func (a *again) most(it Item) int {
	if w, typed, err := a.of.write(it); err == nil && typed && w.Pipeline() {
		return pipelineGroup
	}
	return maxGroup
}

// readTogether says whether two documents are of one statement, or of two that each name one document by its _id, as those of a loop.
func (a *again) readTogether(x, y Item) bool {
	if x.NS != y.NS || x.Op != y.Op {
		return false
	}
	if x.Command == y.Command && x.Statement == y.Statement {
		return true
	}
	return a.named(x) && a.named(y)
}

func (a *again) named(it Item) bool {
	w, typed, err := a.of.write(it)
	if err != nil || !typed || w.Pipeline() {
		return false
	}
	_, ok := onlyID(w)
	return ok
}

// group plans documents that are read together.
func (a *again) group(ctx context.Context, items []Item) error {
	w, typed, err := a.of.write(items[0])
	if err != nil {
		return err
	}
	if !typed {
		return fmt.Errorf("document %d %w", items[0].N, ErrNoStatement)
	}
	if err := pinnable(w, a.cfg.Header.Road); err != nil {
		return err
	}
	info, err := a.info(ctx, w.NS)
	if err != nil {
		return err
	}
	if items[0].Upsert { // whether it still inserts is decided anew
		_, err := a.addSelected(ctx, a.pending(items[0]))
		return err
	}
	if a.named(items[0]) {
		w.Filter = nil // each has its own, which is its _id
	}
	now, err := a.read(ctx, w, info, items)
	if err != nil {
		return err
	}
	if w.Pipeline() {
		var docs []bson.Raw
		for _, doc := range now {
			docs = append(docs, doc)
		}
		if err := a.evaluate(ctx, w, docs); err != nil {
			return fmt.Errorf("foresee the pipeline: %w", err)
		}
	}
	for _, it := range items {
		if err := a.one(it, now); err != nil {
			return err
		}
	}
	return nil
}

func (a *again) pending(it Item) Pending {
	return Pending{a.of.commands[it.Command], it.Statement}
}

// one plans one document: an insert if it is still not there, with the _id that it had in the plan; anything else if it is selected.
func (a *again) one(it Item, now map[IDHash]bson.Raw) error {
	id, err := it.DocumentID()
	if err != nil {
		return err
	}
	p, doc := a.pending(it), now[KeyOf(id)]
	insert := it.Op == command.Insert.String()
	if insert == (doc != nil) {
		a.unselected++
		return nil
	}
	if insert {
		if doc, err = a.images.After(it); err != nil {
			return err
		}
		return a.insert(p, doc, false)
	}
	if a.at.p != p {
		if err := a.begin(p); err != nil {
			return err
		}
	}
	a.at.seen[KeyOf(id)] = a.at.ordinal
	return a.documents(p, []bson.Raw{doc})
}

// read are those of the items' documents that are there and that the statement still selects.
func (a *again) read(ctx context.Context, w command.Write, info *collectionInfo, items []Item) (map[IDHash]bson.Raw, error) {
	now := map[IDHash]bson.Raw{}
	if !info.exists {
		return now, nil
	}
	ids := bson.A{}
	for _, it := range items {
		id, err := it.DocumentID()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	byID := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}
	w.Multi, w.Sort, w.Hint = true, bson.RawValue{}, bson.RawValue{}
	cmd := selection(w, nil)
	cmd[1].Value = byID
	if w.Op != command.Insert && len(w.Filter) > 5 {
		cmd[1].Value = bson.D{{Key: "$and", Value: bson.A{byID, w.Filter}}}
	}
	err := iterate(ctx, a.cfg.Reader, w.NS.DB, cmd, func(doc bson.Raw) error {
		now[KeyOf(doc.Lookup("_id"))] = bytes.Clone(doc)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the documents of %s: %w", w.NS, err)
	}
	return now, nil
}
