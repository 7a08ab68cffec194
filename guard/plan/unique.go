package plan

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// Unique indexes whose rule is a plain one: no collation, no partial filter, not sparse, each key a field that is no array. Of the others nothing is
// foreseen here; the server's answer then stands in the receipt.

// uniqueIndex is one of them, with the keys that the plan's documents will have.
type uniqueIndex struct {
	name   string
	fields []string
	keys   map[string]bson.RawValue // key as bytes -> _id of the planned document that will have it
	queue  []bson.D                 // filters for keys that were not looked for yet
}

func uniqueIndexes(info *collectionInfo) (out []uniqueIndex) {
	for _, spec := range info.indexes {
		if u, _ := spec.Lookup("unique").BooleanOK(); !u {
			continue
		}
		plain := true
		for _, o := range []string{"collation", "partialFilterExpression", "sparse"} {
			if _, err := spec.LookupErr(o); err == nil {
				plain = false
			}
		}
		keys, ok := spec.Lookup("key").DocumentOK()
		elems, err := keys.Elements()
		if !plain || !ok || err != nil {
			continue
		}
		x := uniqueIndex{keys: map[string]bson.RawValue{}}
		x.name, _ = spec.Lookup("name").StringValueOK()
		for _, e := range elems {
			x.fields = append(x.fields, e.Key())
		}
		out = append(out, x)
	}
	return out
}

// keyOf is the key of a document, as a filter that finds it, and as text; false if it has an array or a missing field in it.
func (x *uniqueIndex) keyOf(doc bson.Raw) (filter bson.D, text string, ok bool) {
	for _, f := range x.fields {
		v, found := update.Lookup(doc, f)
		if !found || v.Type == bson.TypeArray || v.Type == bson.TypeNull || v.Type == bson.TypeRegex || strings.Contains(f, "$") {
			return nil, "", false
		}
		filter = append(filter, bson.E{Key: f, Value: bson.D{{Key: "$eq", Value: v}}})
		text += f + ": " + shown(v) + " "
	}
	return filter, strings.TrimSpace(text), true
}

const maxKeys = 100_000

// keyed notes the unique keys that a document will have and had not before.
func (b *Builder) keyed(st *stats, ns command.Namespace, before, after bson.Raw) {
	info := b.infos[ns.String()]
	if st.unique == nil {
		st.unique = uniqueIndexes(info)
		if st.unique == nil {
			st.unique = []uniqueIndex{}
		}
	}
	id := after.Lookup("_id")
	for i := range st.unique {
		x := &st.unique[i]
		filter, text, ok := x.keyOf(after)
		if !ok || len(x.keys) >= maxKeys {
			continue
		}
		if before != nil {
			if _, had, ok := x.keyOf(before); ok && had == text {
				continue
			}
		}
		if other, twice := x.keys[text]; twice && !update.Equal(other, id) {
			st.violates(x.name, ns, text, fmt.Sprintf("two documents of this change would have it, %s and %s", shown(other), shown(id)))
			continue
		}
		x.keys[text] = id
		x.queue = append(x.queue, filter)
	}
}

func (st *stats) violates(index string, ns command.Namespace, key, why string) {
	const most = 5
	if len(st.taken) < most {
		st.taken = append(st.taken, fmt.Sprintf("would violate the unique index %s of %s with {%s}: %s", index, ns, key, why))
	}
}

// conflicts looks for documents that have the new keys already and are no part of this plan: of one that is, the key may be free by then.
func (b *Builder) conflicts(ctx context.Context) error {
	for _, name := range b.order {
		st := b.stats[name]
		ns, err := command.ParseNamespace(name)
		if err != nil {
			return err
		}
		for i := range st.unique {
			if err := b.takenKeys(ctx, ns, st, &st.unique[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Builder) takenKeys(ctx context.Context, ns command.Namespace, st *stats, x *uniqueIndex) error {
	const group = 100
	for len(x.queue) > 0 && b.infos[ns.String()].exists {
		n := min(group, len(x.queue))
		or := bson.A{}
		for _, f := range x.queue[:n] {
			or = append(or, f)
		}
		x.queue = x.queue[n:]
		err := iterate(ctx, b.cfg.Reader, ns.DB, bson.D{{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "$or", Value: or}}}, {Key: "limit", Value: int64(group)}}, func(doc bson.Raw) error {
			id := doc.Lookup("_id")
			if _, text, ok := x.keyOf(doc); ok && !b.seen[ns.String()].has(id) {
				st.violates(x.name, ns, text, "the document "+shown(id)+" has it")
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("look for unique values in %s: %w", ns, err)
		}
	}
	x.queue = nil
	return nil
}
