package plan

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// What a preview finds in filters, and in documents before and after, besides counts. Each finding is quiet unless it is true and matters.

// findings gather it for one namespace.
type findings struct {
	conditions map[string]condition // by path and operator and type: asked of the sampled documents
	missing    map[string]int64     // path compared with null -> matched documents that lack it
	lists      []string             // empty $in and $nin
	shrinks    map[string]*shrink   // array's path
	overwrites map[string]int64     // path that $set replaced as a whole -> documents that lost something in it
	nulls      [][]string           // paths that the statement at hand compares with null
	wholes     []string             // paths that the statement at hand sets as a whole
	sample     []bson.Raw           // some documents of the collection
	sampled    bool
	unindexed  bool   // a filter has conditions, and no index begins with a field of one
	chunks     string // GridFS: the collection that holds what the files of this one consist of; "" if it is none
	bucketSeen bool
	near       string // of a collection that does not exist: the name that differs least
	unique     []uniqueIndex
	taken      []string // what would violate a unique index
}

type shrink struct{ documents, elements, emptied int64 }

// oldValues are the values that a field has, as far as there are few: by type and bytes.
type oldValues struct {
	counts map[string]int64
	more   bool
}

const (
	maxOldValues     = 6
	maxOldValueBytes = 300 // of a value that is kept; longer ones are all different, as far as anybody will read
)

func (o *oldValues) add(v bson.RawValue) {
	if o.counts == nil {
		o.counts = map[string]int64{}
	}
	if len(v.Value) > maxOldValueBytes {
		o.more = true
		return
	}
	var buf [maxOldValueBytes + 1]byte
	key := append(append(buf[:0], byte(v.Type)), v.Value...)
	if _, has := o.counts[string(key)]; !has && len(o.counts) == maxOldValues {
		o.more = true
		return
	}
	o.counts[string(key)]++
}

// readable are the values as they are shown.
func (o *oldValues) readable() map[string]int64 {
	out := map[string]int64{}
	for key, n := range o.counts {
		out[shown(bson.RawValue{Type: bson.Type(key[0]), Value: []byte(key[1:])})] += n
	}
	return out
}

// sorted are the values as they are shown, the commonest first.
func (o *oldValues) sorted() (out []ValueCount) {
	for v, n := range o.readable() {
		out = append(out, ValueCount{v, n})
	}
	slices.SortFunc(out, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Documents, a.Documents), strings.Compare(a.Value, b.Value))
	})
	return out
}

func newFindings() findings {
	return findings{
		conditions: map[string]condition{}, missing: map[string]int64{}, shrinks: map[string]*shrink{},
		overwrites: map[string]int64{},
	}
}

// condition is what a filter asks of one path.
type condition struct {
	path, op string
	value    bson.RawValue
}

// conditionsOf are the simple conditions of a filter, also below $and and $or.
func conditionsOf(filter bson.Raw) (out []condition) {
	elems, err := filter.Elements()
	if err != nil {
		return nil
	}
	for _, e := range elems {
		key, v := e.Key(), e.Value()
		switch {
		case key == "$and" || key == "$or":
			arr, ok := v.ArrayOK()
			list, err := arr.Values()
			if !ok || err != nil {
				continue
			}
			for _, x := range list {
				if sub, ok := x.DocumentOK(); ok {
					out = append(out, conditionsOf(sub)...)
				}
			}
		case strings.HasPrefix(key, "$"):
		default:
			sub, ok := v.DocumentOK()
			first, err := sub.IndexErr(0)
			if !ok || err != nil || !strings.HasPrefix(first.Key(), "$") {
				out = append(out, condition{key, "$eq", v})
				continue
			}
			ops, err := sub.Elements()
			if err != nil {
				continue
			}
			for _, o := range ops {
				out = append(out, condition{key, o.Key(), o.Value()})
			}
		}
	}
	return out
}

// wanted are the values that a condition compares with.
func (c condition) wanted() []bson.RawValue {
	switch c.op {
	case "$eq", "$gt", "$gte", "$lt", "$lte":
		return []bson.RawValue{c.value}
	case "$in":
		arr, ok := c.value.ArrayOK()
		list, err := arr.Values()
		if ok && err == nil {
			return list
		}
	}
	return nil
}

// ask notes the conditions of a statement.
func (f *findings) ask(w command.Write) {
	f.nulls, f.wholes = nil, wholesOf(w)
	for _, c := range conditionsOf(w.Filter) {
		if slices.ContainsFunc(c.wanted(), func(v bson.RawValue) bool { return v.Type == bson.TypeNull }) && (c.op == "$eq" || c.op == "$in") {
			f.nulls = append(f.nulls, strings.Split(c.path, "."))
		}
		if arr, ok := c.value.ArrayOK(); ok && (c.op == "$in" || c.op == "$nin") && len(arr) == 5 {
			what := map[string]string{"$in": "matches nothing", "$nin": "matches everything"}[c.op]
			text := fmt.Sprintf("{%s: {%s: []}} %s", c.path, c.op, what)
			if !slices.Contains(f.lists, text) {
				f.lists = append(f.lists, text)
			}
		}
		for _, v := range c.wanted() {
			key := c.path + "\x00" + c.op + "\x00" + string(rune(v.Type))
			if _, has := f.conditions[key]; !has && len(f.conditions) < 100 {
				f.conditions[key] = condition{c.path, c.op, v}
			}
		}
	}
}

// scan notes that no index begins with a field that the filter asks about: the server reads the whole collection.
func (f *findings) scan(w command.Write, info *collectionInfo) {
	f.unindexed = f.unindexed || len(conditionsOf(w.Filter)) > 0 && !served(w, info)
}

// served says whether an index begins with a field that the filter asks about.
func served(w command.Write, info *collectionInfo) bool {
	conds := conditionsOf(w.Filter)
	return slices.ContainsFunc(info.indexes, func(i bson.Raw) bool {
		return slices.ContainsFunc(conds, func(c condition) bool { return c.path == firstField(i) })
	})
}

// wantsSample: conditions on anything but _id, or a statement that selects nothing.
func wantsSample(w command.Write) bool {
	if w.Op == command.Insert {
		return false
	}
	return slices.ContainsFunc(conditionsOf(w.Filter), func(c condition) bool { return c.path != "_id" })
}

const (
	sampleDocuments = 100
	sampleBytes     = 4 << 20
)

// look reads some documents of a collection, once, to compare a filter with.
func (b *Builder) look(ctx context.Context, ns command.Namespace) error {
	f := &b.stats[ns.String()].findings
	if f.sampled || !b.infos[ns.String()].exists {
		return nil
	}
	f.sampled = true
	size := 0
	err := iterate(ctx, b.cfg.Reader, ns.DB, bson.D{{Key: "find", Value: ns.Collection}, {Key: "limit", Value: int32(sampleDocuments)}, {Key: "batchSize", Value: int32(20)}}, func(doc bson.Raw) error {
		f.sample = append(f.sample, bytes.Clone(doc))
		if size += len(doc); size > sampleBytes {
			return errStop
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read some documents of %s: %w", ns, err)
	}
	return nil
}

// matched notes what a matched document lacks of what its filter compares with null.
func (f *findings) matched(doc bson.Raw) {
	for _, path := range f.nulls {
		if len(valuesAt(doc, path)) == 0 {
			f.missing[strings.Join(path, ".")]++
		}
	}
}

// valuesAt are the values at a path, through arrays.
func valuesAt(doc bson.Raw, parts []string) (out []bson.RawValue) {
	v, err := doc.LookupErr(parts[0])
	if err != nil {
		return nil
	}
	if len(parts) == 1 {
		return []bson.RawValue{v}
	}
	if sub, ok := v.DocumentOK(); ok {
		return valuesAt(sub, parts[1:])
	}
	if arr, ok := v.ArrayOK(); ok {
		list, _ := arr.Values() // none
		for _, x := range list {
			if sub, ok := x.DocumentOK(); ok {
				out = append(out, valuesAt(sub, parts[1:])...)
			}
		}
	}
	return out
}

// wholesOf are the paths whose value $set replaces by a whole document.
func wholesOf(w command.Write) (out []string) {
	doc, _ := w.Update.DocumentOK()
	set, _ := doc.Lookup("$set").DocumentOK()
	elems, err := set.Elements()
	if err != nil || w.Op != command.Update {
		return nil
	}
	for _, e := range elems {
		if _, whole := e.Value().DocumentOK(); whole {
			out = append(out, e.Key())
		}
	}
	return out
}

func length(arr bson.RawArray) int64 {
	list, _ := arr.Values() // 0
	return int64(len(list))
}

func (f *findings) shrunk(path string, was, is int64) {
	if is >= was {
		return
	}
	s := f.shrinks[path]
	if s == nil {
		s = &shrink{}
		f.shrinks[path] = s
	}
	s.documents++
	s.elements += was - is
	if is == 0 {
		s.emptied++
	}
}

// facts are what there is to say of it.
func (f *findings) facts(ns string, matched int64) (out []Fact) {
	on := func(more map[string]any) map[string]any {
		more["namespace"] = ns
		return more
	}
	for _, text := range f.lists {
		out = append(out, fact(EmptyList, Warn, on(map[string]any{}), "%s", text))
	}
	for _, path := range slices.Sorted(maps.Keys(f.missing)) {
		out = append(out, fact(NullMatchesMissing, Danger, on(map[string]any{"field": path, "documents": f.missing[path]}),
			"the filter compares %s with null, which also matches documents that have no %s: %s of them", path, path, Number(f.missing[path])))
	}
	out = append(out, f.compared(ns, matched)...)
	for _, text := range f.taken {
		out = append(out, fact(UniqueConflict, Danger, on(map[string]any{}), "%s", text))
	}
	for _, path := range slices.Sorted(maps.Keys(f.overwrites)) {
		out = append(out, fact(OverwritesSubdocument, Danger, on(map[string]any{"field": path, "documents": f.overwrites[path]}),
			"$set of the whole of %s drops what else it held, in %s; to set single fields: {$set: {\"%s.field\": …}}", path, Plural(f.overwrites[path], "document"), path))
	}
	for _, path := range slices.Sorted(maps.Keys(f.shrinks)) {
		s := f.shrinks[path]
		text := fmt.Sprintf("%s loses %s in %s", path, Plural(s.elements, "element"), Plural(s.documents, "document"))
		if s.emptied > 0 {
			text += fmt.Sprintf(", and becomes empty in %s", Plural(s.emptied, "document"))
		}
		out = append(out, fact(ArrayShrinks, Warn, on(map[string]any{"field": path, "documents": s.documents, "elements": s.elements, "emptied": s.emptied}), "%s", text))
	}
	return out
}

// valueFacts are what there is to say of values that change their type, and of those that are overwritten.
func (s *stats) valueFacts() (out []Fact) {
	ns := s.count.Namespace
	names := slices.Sorted(maps.Keys(s.paths.by))
	for _, path := range names {
		p := s.paths.by[path]
		for _, t := range slices.SortedFunc(maps.Keys(p.types), func(a, b [2]bson.Type) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }) {
			from, to := update.TypeName(t[0]), update.TypeName(t[1])
			sev := Warn
			if numeric[from] && numeric[to] {
				sev = Info
			}
			out = append(out, fact(TypeChange, sev, map[string]any{"namespace": ns, "field": path, "from": from, "to": to, "documents": p.types[t]},
				"%s changes its type from %s to %s, in %s", path, from, to, Plural(p.types[t], "document")))
		}
	}
	for _, path := range names {
		p := s.paths.by[path]
		if !p.plain {
			continue
		}
		counts := map[string]int64{}
		var parts []string
		for _, v := range p.old.sorted() {
			counts[v.Value] = v.Documents
			parts = append(parts, fmt.Sprintf("%s (%s)", v.Value, Number(v.Documents)))
		}
		if p.old.more {
			parts = append(parts, "and others")
		}
		out = append(out, fact(DistinctBefore, Info, map[string]any{"namespace": ns, "field": path, "values": counts, "more": p.old.more}, "%s is overwritten; it was %s", path, strings.Join(parts, ", ")))
	}
	return out
}

var numeric = map[string]bool{"int": true, "long": true, "double": true, "decimal": true}

// compared sets the filter beside the sampled documents: values of a type that no document has there, fields that none has.
func (f *findings) compared(ns string, matched int64) (out []Fact) {
	if len(f.sample) == 0 {
		return nil
	}
	said := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(f.conditions)) {
		c := f.conditions[key]
		types := map[string]int{}
		have, same := 0, false
		for _, doc := range f.sample {
			found := valuesAt(doc, strings.Split(c.path, "."))
			if len(found) > 0 {
				have++
			}
			for _, v := range found {
				list := []bson.RawValue{v}
				if arr, ok := v.ArrayOK(); ok {
					more, _ := arr.Values() // none
					list = append(list, more...)
				}
				for _, x := range list {
					types[update.TypeName(x.Type)]++
					same = same || x.Type == c.value.Type || numeric[update.TypeName(x.Type)] && numeric[update.TypeName(c.value.Type)]
				}
			}
		}
		switch {
		case said[c.path]:
		case have == 0:
			said[c.path] = true
			text := fmt.Sprintf("none of %s that were looked at has the field %s", Plural(int64(len(f.sample)), "document"), c.path)
			if near := nearest(c.path, f.names()); near != "" {
				text += "; did you mean " + near + "?"
			}
			out = append(out, fact(UnknownField, Warn, map[string]any{"namespace": ns, "field": c.path}, "%s", text))
		case !same && matched == 0 && c.value.Type != bson.TypeNull && c.value.Type != bson.TypeRegex:
			said[c.path] = true
			out = append(out, fact(TypeMismatch, Danger, map[string]any{"namespace": ns, "field": c.path, "asked": update.TypeName(c.value.Type), "types": types},
				"the filter compares %s with a %s, but in the documents that were looked at it is %s: nothing can match", c.path, update.TypeName(c.value.Type), strings.Join(slices.Sorted(maps.Keys(types)), ", ")))
		}
	}
	return out
}

// names are the top-level fields of the sampled documents.
func (f *findings) names() []string {
	seen := map[string]bool{}
	for _, doc := range f.sample {
		elems, _ := doc.Elements() // the server sent it
		for _, e := range elems {
			seen[e.Key()] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// nearest is the name that differs least from another, if it differs little.
func nearest(name string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d < least && d < len(n) {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, change or swap.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1)
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
