package plan

import (
	"bytes"
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// A document cannot be put back while another one has a value that a unique index wants for it alone. If the other one is itself put back, and so lets go of
// the value, it is put back first; otherwise, and where two wait for each other, both are conflicts, left alone and listed.

// order is what must be known to put the documents of one namespace back one behind the other.
type order struct {
	indexes []uniqueRule
	put     idSet // documents that stand in the plan already
	waiting []waiting
}

// waiting is a document whose values others have.
type waiting struct {
	restore
	holders []holder
}

// holder is a document that has a value, and the index that minds.
type holder struct {
	id    bson.RawValue
	index string
}

// uniqueRule is a unique index beside that of _id.
type uniqueRule struct {
	name    string
	fields  []string
	sparse  bool
	partial *update.Filter // nil: it holds all documents
}

func uniqueRules(info *collectionInfo) (out []uniqueRule) {
	for _, index := range info.indexes {
		unique, _ := index.Lookup("unique").BooleanOK()
		keys, ok := index.Lookup("key").DocumentOK()
		elems, err := keys.Elements()
		r := uniqueRule{}
		r.name, _ = index.Lookup("name").StringValueOK()
		if !unique || !ok || err != nil || r.name == "_id_" {
			continue
		}
		for _, e := range elems {
			r.fields = append(r.fields, e.Key())
		}
		r.sparse, _ = index.Lookup("sparse").BooleanOK()
		if p, ok := index.Lookup("partialFilterExpression").DocumentOK(); ok {
			if r.partial, err = update.ParseFilter(p); err != nil {
				continue // the server answers with a duplicate key, which is reported as a skipped document
			}
		}
		out = append(out, r)
	}
	return out
}

// key is the values of a document for the index; ok is false where they do not matter, or are arrays, which are not looked into: the server answers with a
// duplicate key then, which is reported as a skipped document.
func (r *uniqueRule) key(doc bson.Raw) (key []bson.RawValue, ok bool) {
	if r.partial != nil && r.partial.Match(doc) == update.No {
		return nil, false
	}
	for _, f := range r.fields {
		v, found := update.Lookup(doc, f)
		if !found { // an index has it as null
			v = bson.RawValue{Type: bson.TypeNull}
		}
		if !found && r.sparse || v.Type == bson.TypeArray || v.Type == bson.TypeRegex {
			return nil, false
		}
		key = append(key, v)
	}
	return key, true
}

// inOrder puts documents into the plan whose values nobody has, and lets the others wait.
func (u *undo) inOrder(ctx context.Context, ns command.Namespace, info *collectionInfo, back []restore) error {
	o := u.unique[ns.String()]
	if o == nil {
		o = &order{indexes: uniqueRules(info), put: idSet{}}
		u.unique[ns.String()] = o
	}
	if len(o.indexes) == 0 {
		for _, r := range back {
			if err := u.restored(r); err != nil {
				return err
			}
		}
		return nil
	}
	held := make([][]holder, len(back))
	for i := range o.indexes {
		if err := u.holders(ctx, ns, &o.indexes[i], back, held); err != nil {
			return err
		}
	}
	for i, r := range back {
		w := waiting{restore: r, holders: held[i]}
		if !w.free(o.put) {
			w.now, w.target = bytes.Clone(r.now), bytes.Clone(r.target)
			o.waiting = append(o.waiting, w)
			continue
		}
		if err := u.restoredIn(o, r); err != nil {
			return err
		}
	}
	return nil
}

func (u *undo) restoredIn(o *order, r restore) error {
	o.put[KeyOf(r.id())] = 1
	return u.restored(r)
}

// id is the _id of the document.
func (r restore) id() bson.RawValue {
	if r.target != nil {
		return r.target.Lookup("_id")
	}
	return r.now.Lookup("_id")
}

// free says whether all who had its values are put back by now.
func (w *waiting) free(put idSet) bool {
	for _, h := range w.holders {
		if !put.has(h.id) {
			return false
		}
	}
	return true
}

// holders finds out who has the values now that documents need.
func (u *undo) holders(ctx context.Context, ns command.Namespace, rule *uniqueRule, back []restore, held [][]holder) error {
	const group = 100
	var or bson.A
	var wanted []int
	var keys [][]bson.RawValue
	look := func() error {
		if len(or) == 0 || !u.infos[ns.String()].exists {
			return nil
		}
		cmd := bson.D{{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "$or", Value: or}}}}
		err := iterate(ctx, u.cfg.Reader, ns.DB, cmd, func(doc bson.Raw) error {
			has, ok := rule.key(doc)
			if !ok {
				return nil
			}
			id := doc.Lookup("_id")
			for i, n := range wanted {
				if sameValues(has, keys[i]) && !update.Equal(id, back[n].id()) {
					held[n] = append(held[n], holder{bson.RawValue{Type: id.Type, Value: bytes.Clone(id.Value)}, rule.name})
				}
			}
			return nil
		})
		or, wanted, keys = nil, nil, nil
		return err
	}
	for n, r := range back {
		if r.target == nil {
			continue
		}
		key, ok := rule.key(r.target)
		if !ok {
			continue
		}
		filter := bson.D{}
		for i, f := range rule.fields {
			filter = append(filter, bson.E{Key: f, Value: bson.D{{Key: "$eq", Value: key[i]}}})
		}
		or, wanted, keys = append(or, filter), append(wanted, n), append(keys, key)
		if len(or) == group {
			if err := look(); err != nil {
				return fmt.Errorf("look for unique values in %s: %w", ns, err)
			}
		}
	}
	if err := look(); err != nil {
		return fmt.Errorf("look for unique values in %s: %w", ns, err)
	}
	return nil
}

func sameValues(a, b []bson.RawValue) bool {
	for i := range a {
		if !update.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// release puts documents that waited into the plan, each behind those that had its values. What is left then are conflicts.
func (u *undo) release() error {
	for _, name := range u.order {
		o := u.unique[name]
		if o == nil {
			continue
		}
		for progress := true; progress; {
			progress = false
			var still []waiting
			for _, w := range o.waiting {
				if !w.free(o.put) {
					still = append(still, w)
					continue
				}
				if err := u.restoredIn(o, w.restore); err != nil {
					return err
				}
				progress = true
			}
			o.waiting = still
		}
		stuck := idSet{}
		for _, w := range o.waiting {
			stuck[KeyOf(w.id())] = 1
		}
		for _, w := range o.waiting {
			u.conflict(w.item, w.why(o.put, stuck))
		}
	}
	return nil
}

// why is the reason for a conflict.
func (w *waiting) why(put, stuck idSet) string {
	for _, h := range w.holders {
		if put.has(h.id) {
			continue
		}
		text := fmt.Sprintf("its value for the unique index %s is taken by the document with _id %s", h.index, h.id)
		if stuck.has(h.id) {
			text += ", which cannot be put back before it either: values were swapped"
		}
		return text
	}
	return "" // it would have been free
}
