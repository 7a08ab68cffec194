package update

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Answer is a yes, a no, or neither. The zero value is neither.
type Answer uint8

// The answers.
const (
	Undecidable Answer = iota
	No
	Yes
)

// String is the answer in a word.
func (a Answer) String() string { return [...]string{"undecidable", "no", "yes"}[a] }

func answer(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

func (a Answer) not() Answer {
	switch a {
	case Yes:
		return No
	case No:
		return Yes
	}
	return Undecidable
}

// Filter is a parsed filter. It may be used by several goroutines.
type Filter struct{ p *predicate }

// ParseFilter reads a filter of the query language. It returns an *Error where the server would refuse it, as far as that is sure: an operator that is
// not known here is not an error, it is undecidable.
// Source: https://www.mongodb.com/docs/manual/reference/mql/query-predicates/
func ParseFilter(filter bson.Raw) (*Filter, error) {
	p, err := parseFilter(filter, 0)
	if err != nil {
		return nil, err
	}
	return &Filter{p}, nil
}

// Match says whether a document matches, without a collation.
//
// What is not fully known is Undecidable, never a guess: $expr, $where, $text, $jsonSchema, geometry, operators that are not known here, regular
// expressions that PCRE might read in another way, and the few comparisons that versions of the server answer differently (undefined with null,
// what is beyond MinKey or MaxKey).
func (f *Filter) Match(doc bson.Raw) Answer {
	s := scan(doc)
	for s.more() {
	}
	if s.bad {
		return Undecidable
	}
	return f.p.match(root{doc: doc}, nil)
}

// Match parses a filter and says whether a document matches it. A filter that the server would refuse is Undecidable.
func Match(filter, doc bson.Raw) Answer {
	f, err := ParseFilter(filter)
	if err != nil {
		return Undecidable
	}
	return f.Match(doc)
}

// predicate is one node of a parsed filter.
type predicate struct {
	op    junction
	kids  []*predicate
	path  []string                             // of a leaf
	whole bool                                 // of a leaf: an array at the end of the path is looked at, not its elements
	vague bool                                 // of a leaf: the manual does not say that it elects an element
	one   func(v value, found *elected) Answer // of a leaf: whether one value holds; missing ones are asked too
}

type junction uint8

const (
	unknowable junction = iota
	leaf
	and
	or
	nor
	not
)

// root is what a path begins at: a document, or one value under a name.
type root struct {
	doc  []byte
	name string
	val  value
}

func (r root) field(name string) value {
	if r.doc != nil {
		return lookup(r.doc, name)
	}
	if r.name == name {
		return r.val
	}
	return value{}
}

// elected is the element of an array by which a document matched: what the positional $ means.
type elected struct {
	found bool
	index int
	array string // the path of the array
	torn  bool   // several conditions elected different ones
	vague bool   // whether it was elected, and whether others were, is not known
}

func (e *elected) set(index int, array string) {
	if e == nil {
		return
	}
	if e.found && (e.index != index || e.array != array) {
		e.torn = true
	}
	e.found, e.index, e.array = true, index, array
}

// match says whether a document holds, and, if found is not nil, by which element.
func (p *predicate) match(r root, found *elected) Answer {
	switch p.op {
	case leaf:
		return p.leaf(r, found)
	case and:
		out := Yes
		for _, k := range p.kids {
			switch k.match(r, found) {
			case No:
				return No
			case Undecidable:
				out = Undecidable
			}
		}
		return out
	case or:
		return p.any(func(k *predicate) Answer { return p.branch(k, r, found) })
	case nor:
		return p.any(func(k *predicate) Answer { return k.match(r, nil) }).not()
	case not:
		return p.kids[0].match(r, nil).not()
	}
	return Undecidable
}

// branch is one branch of $or. Those on one field elect an element, as $in does; others are not known to.
func (p *predicate) branch(k *predicate, r root, found *elected) Answer {
	if found == nil {
		return k.match(r, nil)
	}
	var e elected
	a := k.match(r, &e)
	if a == Yes && (e.found || len(p.kids) > 1) {
		same := !slices.ContainsFunc(p.kids, func(o *predicate) bool { return o.op != leaf || !slices.Equal(o.path, k.path) })
		if e.found {
			found.set(e.index, e.array)
		}
		found.torn, found.vague = found.torn || e.torn, found.vague || e.vague || !same
	}
	return a
}

// any asks each kid: of $or, each one even after a yes, since each may elect an element.
func (p *predicate) any(ask func(*predicate) Answer) Answer {
	out := No
	for _, k := range p.kids {
		switch ask(k) {
		case Yes:
			out = Yes
		case Undecidable:
			if out == No {
				out = Undecidable
			}
		}
	}
	return out
}

// single says whether a value holds by itself: no path leads to it, and its elements are not looked at.
func (p *predicate) single(v value) Answer {
	switch p.op {
	case leaf:
		return p.one(v, nil)
	case and:
		out := Yes
		for _, k := range p.kids {
			switch k.single(v) {
			case No:
				return No
			case Undecidable:
				out = Undecidable
			}
		}
		return out
	case or:
		return p.any(func(k *predicate) Answer { return k.single(v) })
	case nor:
		return p.any(func(k *predicate) Answer { return k.single(v) }).not()
	case not:
		return p.kids[0].single(v).not()
	}
	return Undecidable
}

func (p *predicate) leaf(r root, found *elected) Answer {
	out := No
	w := walker{path: p.path, whole: p.whole}
	w.yield = func(v value, at place) bool {
		var inner *elected
		if found != nil {
			inner = &elected{}
		}
		switch p.one(v, inner) {
		case Undecidable:
			out = Undecidable
		case Yes:
			if found != nil {
				p.elect(found, inner, at, out == Undecidable)
			}
			out = Yes
			return true
		}
		return false
	}
	w.at(r.field(p.path[0]), 1, place{})
	return out
}

// elect records the element by which a leaf held: the one of the outermost array on its path, or else the one that $elemMatch found.
func (p *predicate) elect(found, inner *elected, at place, unsure bool) {
	switch {
	case at.inside:
		inner.vague = false
		found.set(at.index, strings.Join(p.path[:at.depth], "."))
	case inner.found:
		found.set(inner.index, strings.Join(p.path, "."))
	}
	found.torn, found.vague = found.torn || inner.torn, found.vague || inner.vague || unsure || p.vague && at.inside
}

// place is where a value stands in the outermost array that was gone through element by element.
type place struct {
	inside bool
	index  int
	depth  int // components of the path in front of the array
}

func (at place) in(index, depth int) place {
	if at.inside {
		return at
	}
	return place{true, index, depth}
}

// walker finds the values that a path leads to: into documents by name, into arrays through all elements, and also by number.
// Source: https://www.mongodb.com/docs/manual/tutorial/query-array-of-documents/
type walker struct {
	path  []string
	whole bool
	yield func(value, place) bool // true: enough
}

// at goes on from v, to which the first n components led.
func (w *walker) at(v value, n int, where place) (enough bool) {
	for ; ; n++ {
		switch {
		case v.is(bson.TypeArray):
			return w.through(v, n, where)
		case n == len(w.path), v.missing():
			return w.yield(v, where)
		case !v.is(bson.TypeEmbeddedDocument):
			return w.yield(value{}, where)
		}
		v = lookup(v.b, w.path[n])
	}
}

// through goes through the elements of an array.
func (w *walker) through(arr value, n int, where place) (enough bool) {
	if n == len(w.path) {
		if !w.whole {
			s := scan(arr.b)
			for i := 0; s.more(); i++ {
				if w.yield(s.value(), where.in(i, n)) {
					return true
				}
			}
		}
		return w.yield(arr, where)
	}
	number, numbered := arrayIndex(w.path[n])
	s := scan(arr.b)
	for i := 0; s.more(); i++ {
		v := s.value()
		if v.is(bson.TypeEmbeddedDocument) && w.at(lookup(v.b, w.path[n]), n+1, where.in(i, n)) {
			return true
		}
		if numbered && i == number && w.numbered(v, n+1, where) {
			return true
		}
	}
	return false
}

// numbered goes on from the element that a path names by its number.
func (w *walker) numbered(v value, n int, where place) bool {
	switch {
	case n == len(w.path):
		return w.yield(v, where)
	case v.is(bson.TypeArray):
		return w.through(v, n, where)
	case v.is(bson.TypeEmbeddedDocument):
		return w.at(lookup(v.b, w.path[n]), n+1, where)
	}
	return false
}

// arrayIndex reads a path component as an index: decimal, no sign, no leading zero.
func arrayIndex(s string) (int, bool) {
	if s == "" || len(s) > 9 || (len(s) > 1 && s[0] == '0') {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
