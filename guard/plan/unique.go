package plan

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// Unique indexes whose rule is a plain one: no collation, no partial filter, not sparse, each key a field that is no array. Of the others nothing is
// foreseen here; the server's answer then stands in the receipt.
//
// The server refuses a document at the moment at which another one has its key, whatever comes of that one later. So it is asked when, in the order of the
// plan, a document takes a key and when it gives one up: a key that is free by then is no conflict, one that its document keeps, or gives up later, is.

// uniqueIndex is one of them, with the keys that the plan's documents will have.
type uniqueIndex struct {
	name   string
	fields []string
	taken  map[string]taking // by key: by which document of the plan
	freed  map[string]int64  // by key: the number of the document that gives it up
	blind  bool              // there were too many to note
	queue  []bson.D          // filters for keys that were not looked for yet
}

// taking is a document that takes a key.
type taking struct {
	id bson.RawValue
	n  int64 // its number in the plan
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
		x := uniqueIndex{taken: map[string]taking{}, freed: map[string]int64{}}
		x.name, _ = spec.Lookup("name").StringValueOK()
		for _, e := range elems {
			x.fields = append(x.fields, e.Key())
		}
		out = append(out, x)
	}
	return out
}

// uniqueKey is a document's key in an index.
type uniqueKey struct {
	hash   string // the same for what the server takes as the same
	filter bson.D // finds it
}

// keyOf is the key of a document; false if there is none, or an array or a missing field in it.
func (x *uniqueIndex) keyOf(doc bson.Raw) (k uniqueKey, ok bool) {
	if doc == nil {
		return k, false
	}
	var hash []byte
	for _, f := range x.fields {
		v, found := update.Lookup(doc, f)
		if !found || v.Type == bson.TypeArray || v.Type == bson.TypeNull || v.Type == bson.TypeRegex || strings.Contains(f, "$") {
			return k, false
		}
		for _, n := range KeyOf(v) {
			hash = binary.LittleEndian.AppendUint64(hash, n)
		}
		k.filter = append(k.filter, bson.E{Key: f, Value: bson.D{{Key: "$eq", Value: v}}})
	}
	k.hash = string(hash)
	return k, true
}

// readable is a key as it is shown.
func (k uniqueKey) readable() string {
	var parts []string
	for _, e := range k.filter {
		parts = append(parts, e.Key+": "+shown(e.Value.(bson.D)[0].Value))
	}
	return strings.Join(parts, ", ")
}

// duplicates looks for documents that share a key of a unique index that is to be built: the build would fail on them, after having read all. It is one read, of
// all documents. Of an index that does not hold all documents, or compares strings by its own rules, nothing is said; where the server does not want to group so many, neither.
func (b *Builder) duplicates(ctx context.Context, ns command.Namespace, spec bson.Raw, info *collectionInfo) ([]Fact, error) {
	if unique, _ := spec.Lookup("unique").BooleanOK(); !unique || info.collation() {
		return nil, nil
	}
	for _, option := range []string{"partialFilterExpression", "sparse", "collation"} {
		if _, err := spec.LookupErr(option); err == nil {
			return nil, nil
		}
	}
	key := keyOf(spec)
	group := bson.D{}
	for i, e := range key {
		if _, plain := e.Value().AsFloat64OK(); !plain || strings.Contains(e.Key(), "$") {
			return nil, nil
		}
		group = append(group, bson.E{Key: fmt.Sprint("f", i), Value: "$" + e.Key()})
	}
	var by any = group
	if len(group) == 1 {
		by = group[0].Value
	}
	var found bson.Raw
	err := iterate(ctx, b.cfg.Reader, ns.DB, bson.D{{Key: "aggregate", Value: ns.Collection}, {Key: "cursor", Value: bson.D{}}, {Key: "pipeline", Value: bson.A{
		bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: by}, {Key: "n", Value: bson.D{{Key: "$sum", Value: int32(1)}}}}}},
		bson.D{{Key: "$match", Value: bson.D{{Key: "n", Value: bson.D{{Key: "$gt", Value: int32(1)}}}}}},
		bson.D{{Key: "$limit", Value: int32(1)}},
	}}}, func(doc bson.Raw) error {
		found = bytes.Clone(doc)
		return nil
	})
	if a, ok := b.cfg.Reader.(interface{ Answered(error) bool }); err != nil && ok && a.Answered(err) {
		return nil, nil
	}
	if err != nil || found == nil {
		return nil, err
	}
	var example []string
	lacking := ""
	for i, e := range key {
		v := found.Lookup("_id")
		if len(key) > 1 {
			v = found.Lookup("_id", fmt.Sprint("f", i))
		}
		if v.Type == 0 || v.Type == bson.TypeNull {
			v, lacking = bson.RawValue{Type: bson.TypeNull}, ", or lack it"
		}
		example = append(example, e.Key()+": "+shown(v))
	}
	name, _ := spec.Lookup("name").StringValueOK()
	n, _ := found.Lookup("n").AsInt64OK()
	return []Fact{fact(UniqueConflict, Danger, map[string]any{"namespace": ns.String(), "index": name, "documents": n},
		"the unique index %s cannot be built: %s of %s have {%s}%s, and others may be alike", name, Plural(n, "document"), ns, strings.Join(example, ", "), lacking)}, nil
}

const maxKeys = 100_000

// keyed notes the unique keys that the next document of the plan gives up, and those that it takes. before is nil for an insert; after for a delete, and where it
// is not known.
func (b *Builder) keyed(st *stats, ns command.Namespace, before, after bson.Raw) {
	if st.unique == nil {
		st.unique = uniqueIndexes(b.infos[ns.String()])
		if st.unique == nil {
			st.unique = []uniqueIndex{}
		}
	}
	for i := range st.unique {
		x := &st.unique[i]
		had, gives := x.keyOf(before)
		has, takes := x.keyOf(after)
		if gives && takes && had.hash == has.hash {
			continue
		}
		if gives {
			if x.blind = x.blind || len(x.freed) >= maxKeys; !x.blind {
				x.freed[had.hash] = b.n
			}
		}
		if !takes || len(x.taken) >= maxKeys {
			continue
		}
		id := after.Lookup("_id")
		if other, twice := x.taken[has.hash]; twice && !update.Equal(other.id, id) {
			st.violates(x.name, has, fmt.Sprintf("two documents of this change would have it, %s and %s", shown(other.id), shown(id)))
			continue
		}
		x.taken[has.hash] = taking{id, b.n}
		x.queue = append(x.queue, has.filter)
	}
}

// violation is what would violate one unique index.
type violation struct {
	documents  int64
	first, why string
}

func (st *stats) violates(index string, key uniqueKey, why string) {
	v := st.violations[index]
	if v == nil {
		v = &violation{first: key.readable(), why: why}
		st.violations[index] = v
	}
	v.documents++
}

// violationFacts are one for each index: the second document that is refused says no more than the first.
func (f *findings) violationFacts(ns string) (out []Fact) {
	for _, index := range slices.Sorted(maps.Keys(f.violations)) {
		v := f.violations[index]
		in := ""
		if v.documents > 1 {
			in = fmt.Sprintf(", in %s: first", Plural(v.documents, "document"))
		}
		out = append(out, fact(UniqueConflict, Danger, map[string]any{"namespace": ns, "index": index, "documents": v.documents},
			"would violate the unique index %s of %s%s with {%s}: %s", index, ns, in, v.first, v.why))
	}
	return out
}

// conflicts looks for documents that have the new keys already, and have them still when they are taken.
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
			k, ok := x.keyOf(doc)
			if !ok {
				return nil
			}
			given, gives := x.freed[k.hash]
			switch planned := b.seen[ns.String()].has(id); {
			case planned && gives && given < x.taken[k.hash].n, planned && x.blind:
			case planned && gives:
				st.violates(x.name, k, "the document "+shown(id)+" has it still, and gives it up only later in this change")
			default:
				st.violates(x.name, k, "the document "+shown(id)+" has it")
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
