package plan

import (
	"bytes"
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
	conditions map[string]condition  // by path and operator and type: asked of the sampled documents
	asked      map[string]*askedPath // fields that filters want to be there, or to be something
	unseen     []*askedPath          // those of the statement at hand that no document has had so far
	missing    map[string]int64      // path compared with null -> matched documents that lack it
	lists      []string              // empty $in and $nin
	shrinks    map[string]*shrink    // array's path
	overwrites map[string]int64      // path that $set replaced as a whole -> documents that lost something in it
	elements   map[string]int64      // array that $set replaced as a whole by one no shorter -> documents that lost elements of it
	nulls      [][]string            // paths that the statement at hand compares with null
	wholes     []string              // paths that the statement at hand sets as a whole
	renames    [][2]string           // fields that the statement at hand renames
	sample     []bson.Raw            // some documents of the collection
	sampled    bool
	unindexed  bool             // a filter has conditions, and no index begins with a field of one
	foundBy    map[string]found // by the name of an index; "" is none
	ones       []one            // statements that take one of many
	chunks     string           // GridFS: the collection that holds what the files of this one consist of; "" if it is none
	bucketSeen bool
	near       string // of a collection that does not exist: the name that differs least
	unique     []uniqueIndex
	violations map[string]*violation // by unique index
}

type shrink struct{ documents, elements, emptied int64 }

// askedPath is a field that a filter asks about.
type askedPath struct {
	path  string
	parts []string
	found bool // in a document that was matched
}

func newFindings() findings {
	return findings{
		conditions: map[string]condition{}, asked: map[string]*askedPath{}, missing: map[string]int64{}, shrinks: map[string]*shrink{},
		overwrites: map[string]int64{}, elements: map[string]int64{}, violations: map[string]*violation{},
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

// absence says whether a condition is one that a document without the field is to meet.
func (c condition) absence() bool {
	switch c.op {
	case "$exists":
		there, is := c.value.BooleanOK()
		n, number := c.value.AsFloat64OK()
		return is && !there || number && n == 0
	case "$not":
		not, ok := c.value.DocumentOK()
		_, err := not.LookupErr("$exists")
		return ok && err == nil
	}
	return false
}

// ask notes the conditions of a statement.
func (f *findings) ask(w command.Write) {
	f.nulls, f.wholes, f.renames, f.unseen = nil, wholesOf(w), renamesOf(w), nil
	for _, c := range conditionsOf(w.Filter) {
		f.wants(c)
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

// wants notes the field that a condition is about. Each document has an _id.
func (f *findings) wants(c condition) {
	if c.path == "_id" || c.absence() {
		return
	}
	a := f.asked[c.path]
	if a == nil {
		if len(f.asked) == 100 {
			return
		}
		a = &askedPath{path: c.path, parts: strings.Split(c.path, ".")}
		f.asked[c.path] = a
	}
	if !a.found {
		f.unseen = append(f.unseen, a)
	}
}

// scan notes that no index begins with a field that the filter asks about: the server reads the whole collection.
func (f *findings) scan(w command.Write, info *collectionInfo) {
	f.unindexed = f.unindexed || len(conditionsOf(w.Filter)) > 0 && !served(w, info)
}

// served says whether an index begins with a field that the filter asks about.
func served(w command.Write, info *collectionInfo) bool {
	var first []string // fields; with a "*" behind them all that begin so
	for _, i := range info.indexes {
		if hidden, _ := i.Lookup("hidden").BooleanOK(); hidden {
			continue
		}
		f := firstField(i)
		if prefix, wild := strings.CutSuffix(f, "$**"); wild {
			f = prefix + "*"
		}
		first = append(first, f)
	}
	return servedBy(w.Filter, first)
}

// servedBy: one condition is enough, of an $or one in each of its branches.
func servedBy(filter bson.Raw, first []string) bool {
	elems, err := filter.Elements()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(elems, func(e bson.RawElement) bool {
		key := e.Key()
		arr, _ := e.Value().ArrayOK()
		list, _ := arr.Values() // none
		branch := func(v bson.RawValue) bool {
			sub, _ := v.DocumentOK()
			return servedBy(sub, first)
		}
		switch {
		case key == "$and":
			return slices.ContainsFunc(list, branch)
		case key == "$or":
			return len(list) > 0 && !slices.ContainsFunc(list, func(v bson.RawValue) bool { return !branch(v) })
		case strings.HasPrefix(key, "$"):
			return false
		}
		return slices.ContainsFunc(first, func(f string) bool {
			prefix, wild := strings.CutSuffix(f, "*")
			return key == f || wild && strings.HasPrefix(key+".", prefix)
		})
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

// matched notes what a matched document has of what its filter asks about, and what it lacks of what its filter compares with null.
func (f *findings) matched(doc bson.Raw) {
	if len(f.unseen) > 0 {
		f.unseen = slices.DeleteFunc(f.unseen, func(a *askedPath) bool {
			a.found = a.found || len(valuesAt(doc, a.parts)) > 0
			return a.found
		})
	}
	for _, path := range f.nulls {
		if len(valuesAt(doc, path)) == 0 {
			f.missing[strings.Join(path, ".")]++
		}
	}
}

// valuesAt are the values at a path, through arrays: of all their elements, or of one by its number.
func valuesAt(doc bson.Raw, parts []string) []bson.RawValue {
	v, err := doc.LookupErr(parts[0])
	if err != nil {
		return nil
	}
	return valuesBelow(v, parts[1:])
}

func valuesBelow(v bson.RawValue, parts []string) (out []bson.RawValue) {
	if len(parts) == 0 {
		return []bson.RawValue{v}
	}
	if sub, ok := v.DocumentOK(); ok {
		return valuesAt(sub, parts)
	}
	if arr, ok := v.ArrayOK(); ok {
		if x, err := bson.Raw(arr).LookupErr(parts[0]); err == nil { // its number is its name
			out = valuesBelow(x, parts[1:])
		}
		list, _ := arr.Values() // none
		for _, x := range list {
			if sub, ok := x.DocumentOK(); ok {
				out = append(out, valuesAt(sub, parts)...)
			}
		}
	}
	return out
}

// wholesOf are the paths whose value $set replaces by a whole document or array.
func wholesOf(w command.Write) (out []string) {
	doc, _ := w.Update.DocumentOK()
	set, _ := doc.Lookup("$set").DocumentOK()
	elems, err := set.Elements()
	if err != nil || w.Op != command.Update {
		return nil
	}
	for _, e := range elems {
		if t := e.Value().Type; t == bson.TypeEmbeddedDocument || t == bson.TypeArray {
			out = append(out, e.Key())
		}
	}
	return out
}

// loses says whether an array has an element that another has not.
func loses(was, is bson.RawArray) bool {
	a, err1 := was.Values()
	b, err2 := is.Values()
	if err1 != nil || err2 != nil {
		return false
	}
	kept := map[IDHash]bool{}
	for _, v := range b {
		kept[KeyOf(v)] = true
	}
	return slices.ContainsFunc(a, func(v bson.RawValue) bool { return !kept[KeyOf(v)] })
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
			"%s: null also matches documents that have no %s: %s of them", path, path, Number(f.missing[path])))
	}
	out = append(out, f.compared(ns, matched)...)
	out = append(out, f.violationFacts(ns)...)
	for _, path := range slices.Sorted(maps.Keys(f.overwrites)) {
		out = append(out, fact(OverwritesSubdocument, Danger, on(map[string]any{"field": path, "documents": f.overwrites[path]}),
			"$set of the whole of %s drops what else it held, in %s; to set single fields: {$set: {\"%s.field\": …}}", path, Plural(f.overwrites[path], "document"), path))
	}
	for _, path := range slices.Sorted(maps.Keys(f.elements)) {
		out = append(out, fact(OverwritesSubdocument, Warn, on(map[string]any{"field": path, "documents": f.elements[path]}),
			"$set of the whole array %s drops elements that it held, in %s; to add or take single ones: $push, $addToSet, $pull", path, Plural(f.elements[path], "document")))
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

// compared sets the filter beside the sampled documents: fields that none has, values of a type that none has there.
func (f *findings) compared(ns string, matched int64) (out []Fact) {
	if len(f.sample) == 0 {
		return nil
	}
	unknown := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(f.asked)) {
		a := f.asked[path]
		if a.found || slices.ContainsFunc(f.sample, func(doc bson.Raw) bool { return len(valuesAt(doc, a.parts)) > 0 }) {
			continue
		}
		unknown[path] = true
		text := fmt.Sprintf("none of %s that were looked at has the field %s", Plural(int64(len(f.sample)), "document"), path)
		if len(f.sample) == 1 {
			text = fmt.Sprintf("the one document that was looked at has no field %s", path)
		}
		if near := nearest(path, f.names()); near != "" {
			text += "; did you mean " + near + "?"
		}
		out = append(out, fact(UnknownField, Warn, map[string]any{"namespace": ns, "field": path}, "%s", text))
	}
	if matched > 0 {
		return out
	}
	compared := map[string][]bson.RawValue{}
	for _, key := range slices.Sorted(maps.Keys(f.conditions)) {
		c := f.conditions[key]
		compared[c.path] = append(compared[c.path], c.value)
	}
	for _, path := range slices.Sorted(maps.Keys(compared)) {
		if unknown[path] {
			continue
		}
		if asked, types := f.mismatch(path, compared[path]); asked != "" {
			out = append(out, fact(TypeMismatch, Danger, map[string]any{"namespace": ns, "field": path, "asked": asked, "types": types},
				"the filter compares %s with %s, but in the documents that were looked at it is %s: that matches none of them", path, article(asked), strings.Join(slices.Sorted(maps.Keys(types)), ", ")))
		}
	}
	return out
}

// mismatch is the type of values that a field is compared with, and the types that it has in the sampled documents, if none of the former is among the latter.
// What is null can become anything, and a regular expression is compared with what is none.
func (f *findings) mismatch(path string, values []bson.RawValue) (asked string, types map[string]int) {
	types = map[string]int{}
	for _, doc := range f.sample {
		for _, v := range valuesAt(doc, strings.Split(path, ".")) {
			types[update.TypeName(v.Type)]++
			if arr, ok := v.ArrayOK(); ok {
				list, _ := arr.Values() // none
				for _, x := range list {
					types[update.TypeName(x.Type)]++
				}
			}
		}
	}
	if other := len(types); other == 0 || other == 1 && types["null"] > 0 {
		return "", nil
	}
	for _, v := range values {
		name := update.TypeName(v.Type)
		same := types[name] > 0
		for n := range numeric {
			same = same || numeric[name] && types[n] > 0
		}
		if same || v.Type == bson.TypeNull || v.Type == bson.TypeRegex {
			return "", nil
		}
		if asked == "" {
			asked = name
		}
	}
	return asked, types
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

var numeric = map[string]bool{"int": true, "long": true, "double": true, "decimal": true}

// article is the name of a type with its article.
func article(name string) string {
	if strings.ContainsRune("aeio", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}
