package update

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The array operators, and the positional ones in paths.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update-array/

// checkArray refuses arguments that the server refuses whatever the document is.
func checkArray(op, path string, arg *value) error {
	v := arg.rawValue()
	switch op {
	case "$pop":
		n, ok := v.AsFloat64OK()
		if !ok {
			return failedToParse("Expected a number in: %s", path)
		}
		if n != 1 && n != -1 {
			return failedToParse("$pop expects 1 or -1, found: %v", n)
		}
	case "$pullAll":
		if !arg.isArray() {
			return badValue("$pullAll requires an array argument but was given a %s", typeName(arg.t))
		}
	case "$addToSet":
		_, _, err := eachOf(op, arg)
		return err
	case "$push":
		_, err := parsePush(arg)
		return err
	case "$bit":
		_, err := parseBits(path, v)
		return err
	}
	return nil
}

// eachOf are the values that $addToSet or $push adds; more are the modifiers beside $each.
func eachOf(op string, arg *value) (list []bson.RawValue, more []bson.RawElement, err error) {
	v := arg.rawValue()
	doc, ok := v.DocumentOK()
	if !ok {
		return []bson.RawValue{v}, nil, nil
	}
	first, err := doc.IndexErr(0)
	each, has := doc.LookupErr("$each")
	if err != nil || has != nil || (op == "$addToSet" && first.Key() != "$each") {
		if err == nil && strings.HasPrefix(first.Key(), "$") {
			return nil, nil, fmt.Errorf("%w: %s of a document that begins with %s", ErrNotPredictable, op, first.Key())
		}
		return []bson.RawValue{v}, nil, nil
	}
	arr, ok := each.ArrayOK()
	if !ok {
		return nil, nil, &Error{14, "TypeMismatch", fmt.Sprintf("The argument to $each in %s must be an array but it was of type %s", op, typeName(each.Type))}
	}
	if list, err = arr.Values(); err != nil {
		return nil, nil, err
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range elems {
		if e.Key() != "$each" {
			more = append(more, e)
		}
	}
	if op == "$addToSet" && len(more) > 0 {
		return nil, nil, badValue("Found unexpected fields after $each in $addToSet: %s", doc)
	}
	return list, more, nil
}

// pushed is a parsed argument of $push.
type pushed struct {
	values          []bson.RawValue
	position, slice *int64
	sort            *bson.RawValue
}

func parsePush(arg *value) (p pushed, err error) {
	values, more, err := eachOf("$push", arg)
	if err != nil {
		return p, err
	}
	p.values = values
	for _, e := range more {
		v := e.Value()
		switch e.Key() {
		case "$position", "$slice":
			f, ok := v.AsFloat64OK()
			n := int64(f)
			if !ok || float64(n) != f {
				return p, badValue("The value for %s must be an integer value but was given type: %s", e.Key(), typeName(v.Type))
			}
			if e.Key() == "$slice" {
				p.slice = &n
			} else {
				p.position = &n
			}
		case "$sort":
			if err := checkSort(v); err != nil {
				return p, err
			}
			p.sort = &v
		default:
			return p, badValue("Unrecognized clause in $push: %s", e.Key())
		}
	}
	return p, nil
}

// checkSort: 1, -1, or a document of them.
func checkSort(v bson.RawValue) error {
	direction := func(v bson.RawValue) bool { f, ok := v.AsFloat64OK(); return ok && (f == 1 || f == -1) }
	doc, ok := v.DocumentOK()
	if !ok {
		if !direction(v) {
			return badValue("The $sort element value must be either 1 or -1")
		}
		return nil
	}
	elems, err := doc.Elements()
	if err != nil || len(elems) == 0 {
		return badValue("The $sort pattern is empty when it should be a set of fields.")
	}
	for _, e := range elems {
		if !direction(e.Value()) {
			return badValue("The $sort element value must be either 1 or -1")
		}
		if slices.Contains(strings.Split(e.Key(), "."), "") {
			return badValue("The $sort field is a dotted field but has an empty part: %s", e.Key())
		}
	}
	return nil
}

// push is $push. https://www.mongodb.com/docs/manual/reference/operator/update/push/
func push(old *value, n *node) (*value, error) {
	if !old.isArray() {
		return nil, badValue("The field '%s' must be an array but is of type %s in document", n.path, typeName(old.t))
	}
	p, err := parsePush(n.arg)
	if err != nil {
		return nil, err
	}
	if err := old.expand(); err != nil {
		return nil, err
	}
	at := len(old.fields)
	if p.position != nil {
		if *p.position >= 0 {
			at = int(min(*p.position, int64(at)))
		} else {
			at = int(max(int64(at)+*p.position, 0))
		}
	}
	var fresh []field
	for _, v := range p.values {
		fresh = append(fresh, field{"", fromRaw(v)})
	}
	out := &value{t: bson.TypeArray, open: true, fields: slices.Insert(slices.Clone(old.fields), at, fresh...)}
	if p.sort != nil {
		if err := sortElements(out.fields, *p.sort); err != nil {
			return nil, err
		}
	}
	if p.slice != nil {
		keep := int(max(min(*p.slice, int64(len(out.fields))), -int64(len(out.fields))))
		if keep >= 0 {
			out.fields = out.fields[:keep]
		} else {
			out.fields = out.fields[len(out.fields)+keep:]
		}
	}
	return out, nil
}

func sortElements(list []field, by bson.RawValue) (err error) {
	doc, fields := by.DocumentOK()
	if !fields {
		sign := int(by.AsFloat64())
		slices.SortStableFunc(list, func(a, b field) int { return sign * Compare(a.val.rawValue(), b.val.rawValue()) })
		return nil
	}
	keys, err := doc.Elements()
	if err != nil {
		return err
	}
	extract := func(f field, path string) bson.RawValue {
		v := f.val.rawValue()
		for _, part := range strings.Split(path, ".") {
			d, ok := v.DocumentOK()
			if !ok {
				return bson.RawValue{Type: bson.TypeNull}
			}
			next, lerr := d.LookupErr(part)
			if lerr != nil {
				return bson.RawValue{Type: bson.TypeNull}
			}
			v = next
		}
		return v
	}
	for _, f := range list {
		for _, k := range keys {
			if v := extract(f, k.Key()); v.Type == bson.TypeArray {
				return fmt.Errorf("%w: $push with $sort by %s, which is an array", ErrNotPredictable, k.Key())
			}
			if strings.Contains(k.Key(), ".") && slices.ContainsFunc(strings.Split(k.Key(), "."), func(p string) bool { _, n := arrayIndex(p); return n }) {
				return fmt.Errorf("%w: $push with $sort by a numbered path", ErrNotPredictable)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b field) int {
		for _, k := range keys {
			if c := Compare(extract(a, k.Key()), extract(b, k.Key())); c != 0 {
				return int(k.Value().AsFloat64()) * c
			}
		}
		return 0
	})
	return nil
}

// addToSet: https://www.mongodb.com/docs/manual/reference/operator/update/addToSet/
func addToSet(old *value, n *node) (*value, error) {
	if !old.isArray() {
		return nil, badValue("Cannot apply $addToSet to non-array field. Field named '%s' has non-array type %s", n.path, typeName(old.t))
	}
	list, _, err := eachOf("$addToSet", n.arg)
	if err != nil {
		return nil, err
	}
	if err := old.expand(); err != nil {
		return nil, err
	}
	out := &value{t: bson.TypeArray, open: true, fields: slices.Clone(old.fields)}
	for _, v := range list {
		if !slices.ContainsFunc(out.fields, func(f field) bool { return Equal(f.val.rawValue(), v) }) {
			out.fields = append(out.fields, field{"", fromRaw(v)})
		}
	}
	return out, nil
}

// remove is $pop, $pull and $pullAll.
func remove(old *value, n *node) (*value, error) {
	if !old.isArray() {
		if n.op == "$pop" {
			return nil, typeMismatch("Path '%s' contains an element of non-array type '%s'", n.path, typeName(old.t))
		}
		return nil, badValue("Cannot apply %s to a non-array value", n.op)
	}
	if err := old.expand(); err != nil {
		return nil, err
	}
	out := &value{t: bson.TypeArray, open: true, fields: slices.Clone(old.fields)}
	if n.op == "$pop" {
		if len(out.fields) == 0 {
			return out, nil
		}
		if n.arg.rawValue().AsFloat64() == 1 {
			out.fields = out.fields[:len(out.fields)-1]
		} else {
			out.fields = out.fields[1:]
		}
		return out, nil
	}
	gone, err := pulls(n)
	if err != nil {
		return nil, err
	}
	out.fields = nil
	for _, f := range old.fields {
		switch gone(f.val.rawValue()) {
		case No:
			out.fields = append(out.fields, f)
		case Undecidable:
			return nil, fmt.Errorf("%w: which elements %s takes", ErrNotPredictable, n.op)
		}
	}
	return out, nil
}

// pulls says of an element whether it goes.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/pull/
func pulls(n *node) (func(bson.RawValue) Answer, error) {
	arg := n.arg.rawValue()
	if n.op == "$pullAll" {
		list, err := arg.Array().Values()
		return func(v bson.RawValue) Answer {
			return answer(slices.ContainsFunc(list, func(w bson.RawValue) bool { return Equal(v, w) }))
		}, err
	}
	doc, ok := arg.DocumentOK()
	switch {
	case ok:
		return func(v bson.RawValue) Answer { return matchElement(doc, v) }, nil
	case arg.Type == bson.TypeRegex:
		return func(bson.RawValue) Answer { return Undecidable }, nil
	}
	return func(v bson.RawValue) Answer { return answer(Equal(v, arg)) }, nil
}

// arrayFilter is one of arrayFilters: a condition on an element, which it calls by a name.
type arrayFilter struct {
	name string
	cond bson.Raw
	used bool
}

// parseArrayFilters: https://www.mongodb.com/docs/manual/reference/operator/update/positional-filtered/
func parseArrayFilters(list []bson.Raw) (map[string]*arrayFilter, error) {
	out := map[string]*arrayFilter{}
	for _, f := range list {
		var names []string
		if err := namesOf(f, &names); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, failedToParse("Cannot use an expression without a top-level field name in arrayFilters")
		}
		for _, n := range names[1:] {
			if n != names[0] {
				return nil, failedToParse("Error parsing array filter: Expected a single top-level field name, found '%s' and '%s'", names[0], n)
			}
		}
		if !identifier(names[0]) {
			return nil, badValue("The top-level field name must be an alphanumeric string beginning with a lowercase letter, found '%s'", names[0])
		}
		if out[names[0]] != nil {
			return nil, failedToParse("Found multiple array filters with the same top-level field name %s", names[0])
		}
		out[names[0]] = &arrayFilter{name: names[0], cond: f}
	}
	return out, nil
}

func identifier(s string) bool {
	for i, r := range s {
		lower := r >= 'a' && r <= 'z'
		if !lower && (i == 0 || !(r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')) {
			return false
		}
	}
	return s != ""
}

// namesOf collects the first components of all paths in a filter.
func namesOf(filter bson.Raw, into *[]string) error {
	elems, err := filter.Elements()
	if err != nil {
		return err
	}
	for _, e := range elems {
		switch key := e.Key(); key {
		case "$and", "$or", "$nor":
			arr, ok := e.Value().ArrayOK()
			if !ok {
				return badValue("%s must be an array", key)
			}
			list, err := arr.Values()
			if err != nil {
				return err
			}
			for _, v := range list {
				doc, ok := v.DocumentOK()
				if !ok {
					return badValue("%s entries need to be full objects", key)
				}
				if err := namesOf(doc, into); err != nil {
					return err
				}
			}
		default:
			if strings.HasPrefix(key, "$") {
				return fmt.Errorf("%w: an array filter with %s", ErrNotPredictable, key)
			}
			name, _, _ := strings.Cut(key, ".")
			*into = append(*into, name)
		}
	}
	return nil
}

// fulfils says whether an element is one that the filter means.
func (f *arrayFilter) fulfils(x bson.RawValue) Answer {
	if x.Type == bson.TypeArray {
		return Undecidable
	}
	wrapped, err := bson.Marshal(bson.D{{Key: f.name, Value: x}})
	if err != nil {
		return Undecidable
	}
	return Match(f.cond, wrapped)
}

func positional(part string) bool { return part == "$" || strings.HasPrefix(part, "$[") }

// hasPositional says whether a positional component stands somewhere below n.
func (n *node) hasPositional() bool {
	for part, k := range n.next {
		if positional(part) || k.hasPositional() {
			return true
		}
	}
	return false
}

func mustExist(path string) error {
	return badValue("The path '%s' must exist in the document in order to apply array updates.", path)
}

// walkArray applies what is below n, some of it positional, to the elements of v.
func (a *application) walkArray(n *node, v *value) error {
	if !v.isArray() {
		return badValue("Cannot apply array updates to non-array element %s", n.path)
	}
	reached := make([][]*node, len(v.fields))
	var named []string // numbered components that reach no element yet
	for _, part := range n.kids {
		kid := n.next[part]
		if !a.applies(kid) {
			continue
		}
		switch {
		case part == "$[]":
			for i := range reached {
				reached[i] = append(reached[i], kid)
			}
		case part == "$":
			i, err := a.position(n.path)
			if err != nil {
				return err
			}
			if i >= len(v.fields) {
				return fmt.Errorf("%w: the element that $ means", ErrNotPredictable)
			}
			reached[i] = append(reached[i], kid)
		case positional(part):
			f := a.filters[strings.TrimSuffix(strings.TrimPrefix(part, "$["), "]")]
			for i := range reached {
				switch f.fulfils(v.fields[i].val.rawValue()) {
				case Yes:
					reached[i] = append(reached[i], kid)
				case Undecidable:
					return fmt.Errorf("%w: which elements the array filter %s means", ErrNotPredictable, f.name)
				}
			}
		default:
			if i := v.index(part); i >= 0 {
				reached[i] = append(reached[i], kid)
			} else {
				named = append(named, part)
			}
		}
	}
	for i, kids := range reached {
		switch {
		case len(kids) > 1:
			return fmt.Errorf("%w: several paths reach element %d of %s", ErrNotPredictable, i, n.path)
		case len(kids) == 1:
			if err := a.into(kids[0], v, i, strconv.Itoa(i)); err != nil {
				return err
			}
		}
	}
	for _, part := range named {
		if err := a.create(n.next[part], v, part); err != nil {
			return err
		}
	}
	return nil
}

// position is the element that the positional $ means: the first that fulfils what the filter says of the array. It is known only where one condition, and one
// alone, is on an array.
func (a *application) position(path string) (int, error) {
	unknown := fmt.Errorf("%w: the element that the positional $ of %s means", ErrNotPredictable, path)
	if a.filter == nil {
		return 0, unknown
	}
	conds, ok := onArrays(a.filter, a.doc)
	if !ok || len(conds) != 1 || conds[0].array != path {
		if ok && len(conds) == 0 {
			return 0, badValue("The positional operator did not find the match needed from the query.")
		}
		return 0, unknown
	}
	for i, x := range conds[0].elements {
		switch conds[0].holds(x) {
		case Yes:
			return i, nil
		case Undecidable:
			return 0, unknown
		}
	}
	return 0, unknown
}

// onArray is a condition of a filter whose path meets an array.
type onArray struct {
	array    string // the array's path
	elements []bson.RawValue
	holds    func(bson.RawValue) Answer
}

// onArrays finds the conditions of a filter that are on arrays of the document; false if that cannot be told.
func onArrays(filter, doc bson.Raw) (out []onArray, ok bool) {
	elems, err := filter.Elements()
	if err != nil {
		return nil, false
	}
	for _, e := range elems {
		if e.Key() == "$and" {
			arr, isArray := e.Value().ArrayOK()
			list, err := arr.Values()
			if !isArray || err != nil {
				return nil, false
			}
			for _, v := range list {
				sub, isDoc := v.DocumentOK()
				if !isDoc {
					return nil, false
				}
				more, ok := onArrays(sub, doc)
				if !ok {
					return nil, false
				}
				out = append(out, more...)
			}
			continue
		}
		if strings.HasPrefix(e.Key(), "$") {
			return nil, false
		}
		c, found, ok := meets(e, doc)
		if !ok {
			return nil, false
		}
		if found {
			out = append(out, c)
		}
	}
	return out, true
}

// meets says whether the path of a condition meets an array in the document, and what the condition is on its elements.
func meets(e bson.RawElement, doc bson.Raw) (c onArray, found, ok bool) {
	parts := strings.Split(e.Key(), ".")
	v := bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}
	for i := 0; ; i++ {
		if arr, isArray := v.ArrayOK(); isArray {
			list, err := arr.Values()
			if err != nil {
				return c, false, false
			}
			c.array, c.elements = strings.Join(parts[:i], "."), list
			c.holds, ok = onElement(e.Value(), parts[i:])
			return c, true, ok
		}
		if i == len(parts) {
			return c, false, true
		}
		sub, isDoc := v.DocumentOK()
		if !isDoc {
			return c, false, true
		}
		next, err := sub.LookupErr(parts[i])
		if err != nil {
			return c, false, true
		}
		v = next
	}
}

// onElement is a condition as it is on one element; rest is what of the path is below the element. Conditions that several elements fulfil together, and
// negations, which every element may fulfil, do not tell.
func onElement(cond bson.RawValue, rest []string) (func(bson.RawValue) Answer, bool) {
	if doc, isDoc := cond.DocumentOK(); isDoc && isOperators(doc) {
		elems, err := doc.Elements()
		if err != nil || len(elems) != 1 {
			return nil, false
		}
		switch elems[0].Key() {
		case "$elemMatch":
			sub, isDoc := elems[0].Value().DocumentOK()
			if !isDoc || len(rest) > 0 {
				return nil, false
			}
			return func(x bson.RawValue) Answer { return matchElement(sub, x) }, true
		case "$eq", "$gt", "$gte", "$lt", "$lte", "$in":
		default:
			return nil, false
		}
	}
	if len(rest) > 0 {
		if _, numbered := arrayIndex(rest[0]); numbered {
			return nil, false
		}
	}
	return func(x bson.RawValue) Answer {
		if len(rest) == 0 {
			if x.Type == bson.TypeArray {
				return Undecidable
			}
			return matchCondition(cond, candidates{values: []bson.RawValue{x}})
		}
		sub, isDoc := x.DocumentOK()
		if !isDoc {
			return answer(false)
		}
		found, ok := values(sub, rest)
		if !ok {
			return Undecidable
		}
		return matchCondition(cond, found)
	}, true
}
