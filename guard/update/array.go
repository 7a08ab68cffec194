package update

import (
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The array operators.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update-array/

// eachOf are the values that $addToSet or $push adds; modifiers says whether they came with $each, beside which there may be more.
func eachOf(op string, arg value) (vs []value, modifiers bool, err error) {
	if !arg.is(bson.TypeEmbeddedDocument) {
		return []value{arg}, false, nil
	}
	each := lookup(arg.b, "$each")
	name, _ := first(arg.b)
	if each.missing() || (op == "$addToSet" && name != "$each") {
		return []value{arg}, false, nil
	}
	if !each.is(bson.TypeArray) {
		if op == "$push" {
			return nil, false, badValue("The argument to $each in $push must be an array but it was of type: %s", each.name())
		}
		return nil, false, typeMismatch("The argument to $each in %s must be an array but it was of type %s", op, each.name())
	}
	vs, err = elements(each.b)
	return vs, true, err
}

// pushed is a parsed argument of $push.
type pushed struct {
	values          []value
	position, slice *int64
	sort            []sortKey // nil: not sorted
}

// sortKey is one field to sort by; its path is nil for the whole element.
type sortKey struct {
	path []string
	sign int
}

func parsePush(_ string, arg value) (any, error) {
	p := &pushed{}
	vs, modifiers, err := eachOf("$push", arg)
	p.values = vs
	if err != nil || !modifiers {
		return p, err
	}
	seen := map[string]bool{}
	s := scan(arg.b)
	for s.more() {
		key := string(s.key)
		if seen[key] {
			return nil, badValue("Only one %s is supported.", key)
		}
		seen[key] = true
		if err := p.modifier(key, s.value()); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *pushed) modifier(key string, v value) (err error) {
	switch key {
	case "$each":
	case "$position", "$slice":
		n, ok := v.whole()
		if !ok {
			return badValue("The value for %s must be an integer value but was given type: %s", key, v.name())
		}
		if key == "$slice" {
			p.slice = &n
		} else {
			p.position = &n
		}
	case "$sort":
		p.sort, err = parseSort(v)
	default:
		return badValue("Unrecognized clause in $push: %s", key)
	}
	return err
}

// parseSort: 1, -1, or a document of them.
func parseSort(v value) (out []sortKey, err error) {
	direction := func(v value) (int, bool) { f, ok := v.real(); return int(f), ok && (f == 1 || f == -1) }
	if !v.is(bson.TypeEmbeddedDocument) {
		sign, ok := direction(v)
		if !ok {
			return nil, badValue("The $sort element value must be either 1 or -1")
		}
		return []sortKey{{nil, sign}}, nil
	}
	s := scan(v.b)
	for s.more() {
		sign, ok := direction(s.value())
		if !ok {
			return nil, badValue("The $sort element value must be either 1 or -1")
		}
		path := strings.Split(string(s.key), ".")
		if slices.Contains(path, "") {
			return nil, badValue("The $sort field is a dotted field but has an empty part: %s", s.key)
		}
		out = append(out, sortKey{path, sign})
	}
	switch {
	case s.bad:
		return nil, errInvalid
	case len(out) == 0:
		return nil, badValue("The $sort pattern is empty when it should be a set of fields.")
	}
	return out, nil
}

// push is $push. https://www.mongodb.com/docs/manual/reference/operator/update/push/
func push() *operator {
	return &operator{
		name: "$push", parse: parsePush,
		comparing: func(arg any) bool { return arg.(*pushed).sort != nil },
		change: func(_ *application, n *node, old value) (result, error) {
			if !old.is(bson.TypeArray) {
				return result{}, badValue("The field '%s' must be an array but is of type %s in document", n.path, old.name())
			}
			return n.arg.(*pushed).onto(old.b)
		},
		create: func(_ *application, n *node) (result, error) {
			r, err := n.arg.(*pushed).onto([]byte{5, 0, 0, 0, 0})
			if r.act == keep {
				r.act, r.v = put, arrayOf(nil)
			}
			return r, err
		},
	}
}

func (p *pushed) onto(array []byte) (result, error) {
	if p.position == nil && p.slice == nil && p.sort == nil {
		return appended(array, p.values)
	}
	vs, err := elements(array)
	if err != nil {
		return result{}, err
	}
	at := len(vs)
	if p.position != nil && *p.position >= 0 {
		at = int(min(*p.position, int64(at)))
	} else if p.position != nil {
		at = int(max(int64(at)+*p.position, 0))
	}
	vs = slices.Insert(vs, at, p.values...)
	r := result{act: put, again: p.sort != nil}
	if p.sort != nil && !sortValues(vs, p.sort) {
		r.unknown = "in which order $sort leaves elements that are equal to it, in an array of more than 16"
	}
	if p.slice != nil {
		keep := int(max(min(*p.slice, int64(len(vs))), -int64(len(vs))))
		if keep >= 0 {
			vs = vs[:keep]
		} else {
			vs = vs[len(vs)+keep:]
		}
	}
	r.v = arrayOf(vs)
	return r, nil
}

// appended is an array with more elements at its end; what is there stays as it is encoded.
func appended(array []byte, vs []value) (result, error) {
	n, room := 0, 0
	s := scan(array)
	for s.more() {
		n++
	}
	if s.bad {
		return result{}, errInvalid
	}
	if len(vs) == 0 {
		return result{}, nil
	}
	for _, v := range vs {
		room += len(v.b) + 8
	}
	l := after(array, n, room)
	for _, v := range vs {
		l.add(v)
	}
	return set(l.value())
}

// stableUpTo is the length up to which the server's sort leaves equal elements in their order. It promises nothing.
const stableUpTo = 16

// sortValues sorts elements. It returns false if the server may leave elements that are equal by the keys, and yet differ, in another order.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/sort/
func sortValues(vs []value, by []sortKey) (certain bool) {
	type keyed struct {
		v    value
		keys []value
	}
	list := make([]keyed, len(vs))
	for i, v := range vs {
		list[i] = keyed{v, make([]value, len(by))}
		for j, k := range by {
			list[i].keys[j] = extract(v, k.path)
		}
	}
	less := func(a, b keyed) int {
		for j, k := range by {
			if c := compare(a.keys[j], b.keys[j]); c != 0 {
				return c * k.sign
			}
		}
		return 0
	}
	slices.SortStableFunc(list, less)
	certain = true
	for i, k := range list {
		vs[i] = k.v
		if i > 0 && len(list) > stableUpTo && less(list[i-1], k) == 0 && !k.v.identical(list[i-1].v) {
			certain = false
		}
	}
	return certain
}

// extract finds what an element is sorted by: by name in documents, by number in arrays; null if there is nothing.
func extract(v value, path []string) value {
	for i := range path {
		if !v.is(bson.TypeEmbeddedDocument) && (!v.is(bson.TypeArray) || i == 0) {
			return nullValue()
		}
		v = lookup(v.b, path[i])
	}
	if v.missing() {
		return nullValue()
	}
	return v
}

// addition is $addToSet. https://www.mongodb.com/docs/manual/reference/operator/update/addToSet/
func addition() *operator {
	return &operator{
		name: "$addToSet", comparing: always,
		parse: func(_ string, arg value) (any, error) {
			vs, modifiers, err := eachOf("$addToSet", arg)
			if s := scan(arg.b); err == nil && modifiers && s.more() && s.more() {
				return nil, badValue("Found unexpected fields after $each in $addToSet: %s", s.key)
			}
			return vs, err
		},
		change: func(_ *application, n *node, old value) (result, error) {
			if !old.is(bson.TypeArray) {
				return result{}, badValue("Cannot apply $addToSet to non-array field. Field named '%s' has non-array type %s", n.path, old.name())
			}
			have, err := elements(old.b)
			if err != nil {
				return result{}, err
			}
			return appended(old.b, missingFrom(have, n.arg.([]value)))
		},
		create: func(_ *application, n *node) (result, error) { return set(arrayOf(missingFrom(nil, n.arg.([]value)))) },
	}
}

// missingFrom are the values that are not in a list, each once.
func missingFrom(have, vs []value) (out []value) {
	for _, v := range vs {
		same := func(w value) bool { return compare(v, w) == 0 }
		if !slices.ContainsFunc(have, same) && !slices.ContainsFunc(out, same) {
			out = append(out, v)
		}
	}
	return out
}

// pop is $pop. https://www.mongodb.com/docs/manual/reference/operator/update/pop/
func pop() *operator {
	return &operator{
		name: "$pop",
		parse: func(path string, arg value) (any, error) {
			n, ok := arg.whole()
			switch {
			case !isNumber(arg.t):
				return nil, failedToParse("Expected a number in: %s", path)
			case !ok || n != 1 && n != -1:
				return nil, failedToParse("$pop expects 1 or -1, found: %d", n)
			}
			return n == -1, nil
		},
		change: func(_ *application, n *node, old value) (result, error) {
			if !old.is(bson.TypeArray) {
				return result{}, typeMismatch("Path '%s' contains an element of non-array type '%s'", n.path, old.name())
			}
			vs, err := elements(old.b)
			switch {
			case err != nil || len(vs) == 0:
				return result{}, err
			case n.arg.(bool):
				return set(arrayOf(vs[1:]))
			}
			return set(arrayOf(vs[:len(vs)-1]))
		},
	}
}

// taking is $pull and $pullAll: goes says which elements go.
func taking(name string, parse func(string, value) (any, error), goes func(arg any, v value) Answer) *operator {
	return &operator{
		name: name, parse: parse, comparing: always,
		change: func(_ *application, n *node, old value) (result, error) {
			if !old.is(bson.TypeArray) {
				return result{}, badValue("Cannot apply %s to a non-array value", name)
			}
			vs, err := elements(old.b)
			if err != nil {
				return result{}, err
			}
			stay := vs[:0]
			for _, v := range vs {
				switch goes(n.arg, v) {
				case No:
					stay = append(stay, v)
				case Undecidable:
					return result{act: put, v: old, unknown: "which elements " + name + " takes"}, nil
				}
			}
			if len(stay) == len(vs) {
				return result{}, nil
			}
			return set(arrayOf(stay))
		},
	}
}

// pullAll: https://www.mongodb.com/docs/manual/reference/operator/update/pullAll/
func pullAll() *operator {
	return taking("$pullAll", func(_ string, arg value) (any, error) {
		if !arg.is(bson.TypeArray) {
			return nil, badValue("$pullAll requires an array argument but was given a %s", arg.name())
		}
		return elements(arg.b)
	}, func(arg any, v value) Answer {
		return answer(slices.ContainsFunc(arg.([]value), func(w value) bool { return compare(v, w) == 0 }))
	})
}

// pull: a document without operators is a filter on elements that are documents; operators and regular expressions are a condition on an element as on a
// field; other values are to be equal to.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/pull/
func pull() *operator {
	return taking("$pull", parsePull, func(arg any, v value) Answer { return arg.(func(value) Answer)(v) })
}

func parsePull(_ string, arg value) (any, error) {
	name := ""
	if arg.is(bson.TypeEmbeddedDocument) {
		name, _ = first(arg.b)
	}
	switch {
	case strings.HasPrefix(name, "$") && parser(name) == nil && name != "$and" && name != "$or" && name != "$nor":
		return func(value) Answer { return Undecidable }, nil
	case arg.is(bson.TypeRegex), parser(name) != nil:
		p, err := parseCondition([]string{""}, arg, 0)
		return func(v value) Answer { return p.match(root{val: v}, nil) }, err
	case arg.is(bson.TypeEmbeddedDocument):
		p, err := parseFilter(arg.b, 0)
		return func(v value) Answer {
			if !v.is(bson.TypeEmbeddedDocument) {
				return No
			}
			return p.match(root{doc: v.b}, nil)
		}, err
	}
	return func(v value) Answer { return answer(compare(v, arg) == 0) }, nil
}

// arrayFilter is one of arrayFilters: a condition on an element, which it calls by a name.
type arrayFilter struct {
	name string
	cond *predicate
	used bool
}

// parseArrayFilters: https://www.mongodb.com/docs/manual/reference/operator/update/positional-filtered/
func parseArrayFilters(opts Options) (map[string]*arrayFilter, error) {
	out := map[string]*arrayFilter{}
	for _, f := range opts.ArrayFilters {
		cond, err := parseFilter(f, 0)
		if err != nil {
			return nil, err
		}
		names, err := namesOf(f, nil)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, failedToParse("Cannot use an expression without a top-level field name in arrayFilters")
		}
		if i := slices.IndexFunc(names, func(n string) bool { return n != names[0] }); i > 0 {
			return nil, failedToParse("Error parsing array filter: Expected a single top-level field name, found '%s' and '%s'", names[0], names[i])
		}
		if !identifier(names[0]) {
			return nil, badValue("The top-level field name must be an alphanumeric string beginning with a lowercase letter, found '%s'", names[0])
		}
		if out[names[0]] != nil {
			return nil, failedToParse("Found multiple array filters with the same top-level field name %s", names[0])
		}
		if opts.Collated {
			cond = unknown
		}
		out[names[0]] = &arrayFilter{name: names[0], cond: cond}
	}
	return out, nil
}

func identifier(s string) bool {
	for i := range len(s) {
		lower := s[i] >= 'a' && s[i] <= 'z'
		if !lower && (i == 0 || !alphanumeric(s[i])) {
			return false
		}
	}
	return s != ""
}

// namesOf collects the first components of all paths in a filter.
func namesOf(filter []byte, into []string) ([]string, error) {
	s := scan(filter)
	for s.more() {
		key := string(s.key)
		switch key {
		case "$and", "$or", "$nor":
			if s.t != bson.TypeArray {
				return nil, badValue("%s must be an array", key)
			}
			for e := scan(s.val); e.more(); {
				if e.t != bson.TypeEmbeddedDocument {
					return nil, badValue("%s entries need to be full objects", key)
				}
				var err error
				if into, err = namesOf(e.val, into); err != nil {
					return nil, err
				}
			}
		default:
			if strings.HasPrefix(key, "$") {
				return nil, unpredictable("an array filter with %s", key)
			}
			name, _, _ := strings.Cut(key, ".")
			into = append(into, name)
		}
	}
	if s.bad {
		return nil, errInvalid
	}
	return into, nil
}

// fulfils says whether an element is one that the filter means.
func (f *arrayFilter) fulfils(v value) Answer { return f.cond.match(root{name: f.name, val: v}, nil) }

// itoa is the name of an element.
func itoa(i int) []byte { return strconv.AppendInt(nil, int64(i), 10) }
