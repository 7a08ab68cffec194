// Package update applies MongoDB's update language to one document, to foresee what the server will make of it.
//
//	update document ─► parse: one tree of paths, conflicts found ─► walk the tree and the document side by side ─► after-image
//	filter          ─► parse: one tree of predicates             ─► ask it of a document or of an element      ─► yes, no, undecidable
//
// It knows all update operators, with dotted and positional paths, array filters, replacement documents and upserts, the query predicates that these need, and
// of pipelines the stages that updates have, with the expressions that are met most.
// What it cannot know is never guessed: a field that depends on the server's clock, on an operator or a predicate that is not known here, is listed as unknown,
// beside the rest of the document, which is exact (Image). Where not even that much is certain the error wraps ErrNotPredictable. It answers with the error
// that the server would answer with, where it knows that.
//
// The order of new fields is the server's since 5.0: by name, numbers by value.
// Sources: https://www.mongodb.com/docs/manual/reference/mql/update/, https://www.mongodb.com/docs/manual/reference/mql/query-predicates/.
// Where the manual is silent: the cases in testdata, and what is said beside the line.
//
// Pure: bson and the standard library.
package update

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Update is a parsed update document. It may be applied to many documents, by one goroutine at a time.
type Update struct {
	root    *node
	renames []rename
	filters map[string]*arrayFilter
	filter  *predicate // what selects the document; nil if that is not known
	ids     bool       // something below _id is named
	merged  map[[2]*node]*node
	a       application // memory that is used again
}

// Options belong to an update statement.
type Options struct {
	ArrayFilters []bson.Raw
	// Filter is what selects the document: the positional $ means the element that it matched. Nil if that is not known.
	Filter bson.Raw
	// Collated says that strings are compared by a collation, which this package does not know.
	Collated bool
}

// node is one component of the paths that an update names.
type node struct {
	part     string
	path     string // from the root
	number   int    // part as an index of an array; -1 if it is none
	op       *operator
	arg      any     // leaf: the operator's argument, parsed
	kids     []*node // named, in the order of application
	position *node   // the kid $
	every    *node   // the kid $[]
	filtered []*node // the kids $[identifier]
	filter   *arrayFilter
	certain  bool // something below is applied to every document
	moving   bool // something below is $, $[] or $[identifier]
	byName   map[string]*node
}

type rename struct {
	from, to         string
	fromPath, toPath []string
}

// Parse reads a document of update operators.
func Parse(u bson.Raw, opts Options) (*Update, error) {
	filters, err := parseArrayFilters(opts)
	if err != nil {
		return nil, err
	}
	p := &Update{root: newNode("", ""), filters: filters}
	if opts.Filter != nil && !opts.Collated {
		p.filter, _ = parseFilter(opts.Filter, 0) // the server's answer to a filter that it refuses is not this package's
	}
	s := scan(u)
	for s.more() {
		if err := p.operator(string(s.key), s.value(), opts); err != nil {
			return nil, err
		}
	}
	if s.bad {
		return nil, errInvalid
	}
	for _, f := range p.filters {
		if !f.used {
			return nil, failedToParse("The array filter for identifier '%s' was not used in the update", f.name)
		}
	}
	p.root.finish()
	return p, nil
}

// Fields are the top-level fields that the update may touch.
func (p *Update) Fields() []string {
	var out []string
	for _, k := range p.root.kids {
		out = append(out, k.part)
	}
	return out
}

// WithCollation ends what is said of an operator whose result depends on a collation.
const WithCollation = " with a collation"

// operator adds all paths of one operator.
func (p *Update) operator(name string, args value, opts Options) error {
	op := operatorNamed(name)
	switch {
	case op == nil && elsewhere(name):
		return failedToParse("Unknown modifier: %s. Expected a valid update modifier or pipeline-style update specified as an array", name)
	case op == nil && !args.is(bson.TypeEmbeddedDocument):
		return unpredictable("the operator %s", name)
	case !args.is(bson.TypeEmbeddedDocument):
		return failedToParse("Modifiers operate on fields but we found type %s instead", args.name())
	case op == nil:
		op = foreign(name)
	}
	s := scan(args.b)
	for s.more() {
		if err := p.add(op, string(s.key), s.value(), opts.Collated); err != nil {
			return err
		}
	}
	if s.bad {
		return errInvalid
	}
	return nil
}

func (p *Update) add(op *operator, path string, arg value, collated bool) error {
	parsed, err := op.parse(path, arg)
	if err != nil {
		return err
	}
	if collated && op.compares(parsed) {
		op = undecided("%s"+WithCollation, op.name)
	}
	if op == moveFrom {
		return p.rename(path, string(arg.text()))
	}
	return p.insert(op, path, parsed)
}

func (p *Update) rename(from, to string) error {
	r := rename{from, to, strings.Split(from, "."), strings.Split(to, ".")}
	if slices.ContainsFunc(append(slices.Clone(r.fromPath), r.toPath...), positional) {
		return badValue("The source and the destination field for $rename may not be dynamic: %s, %s", from, to)
	}
	if strings.HasPrefix(from+".", to+".") || strings.HasPrefix(to+".", from+".") {
		return badValue("The source and target field for $rename must not be on the same path: %s, %s", from, to)
	}
	if err := p.insert(moveFrom, from, nil); err != nil {
		return err
	}
	p.renames = append(p.renames, r)
	return p.insert(moveTo, to, from)
}

func (p *Update) insert(op *operator, path string, arg any) error {
	if strings.ContainsRune(path, 0) { // the new name of $rename is a string, which may hold one
		return badValue("The path '%s' contains a NUL character", path)
	}
	parts := strings.Split(path, ".")
	if slices.Contains(parts, "") {
		return &Error{56, "EmptyFieldName", "The update path '" + path + "' contains an empty field name, which is not allowed."}
	}
	n, dollars := p.root, 0
	for i, part := range parts {
		f, err := p.component(part, i, path)
		if err != nil {
			return err
		}
		if part == "$" {
			dollars++
		}
		at := strings.Join(parts[:i+1], ".")
		kid, fits := n.kid(part, at)
		if n.op != nil || !fits {
			return conflicting(path, at)
		}
		kid.filter = f
		n = kid
	}
	switch {
	case dollars > 1:
		return badValue("Too many positional (i.e. '$') elements found in path '%s'", path)
	case n.op != nil || !n.bare():
		return conflicting(path, path)
	}
	p.ids = p.ids || parts[0] == "_id"
	n.op, n.arg = op, arg
	return nil
}

// component checks a part of a path that begins with a dollar, and finds its array filter.
func (p *Update) component(part string, i int, path string) (*arrayFilter, error) {
	switch {
	case !strings.HasPrefix(part, "$"):
		return nil, nil
	case !positional(part) && i == 0:
		return nil, dollarPrefixed(part, "an update")
	case !positional(part):
		return nil, unpredictable("the path %s", path)
	case i == 0:
		return nil, badValue("Cannot have array filter identifier or positional (i.e. '$') element in the first position in path '%s'", path)
	case part == "$", part == "$[]":
		return nil, nil
	}
	f := p.filters[strings.TrimSuffix(strings.TrimPrefix(part, "$["), "]")]
	if f == nil || !strings.HasSuffix(part, "]") {
		return nil, badValue("No array filter found for identifier '%s' in path '%s'", strings.Trim(part, "$[]"), path)
	}
	f.used = true
	return f, nil
}

func positional(part string) bool { return part == "$" || strings.HasPrefix(part, "$[") }

func newNode(part, path string) *node {
	n := &node{part: part, path: path, number: -1}
	if i, ok := arrayIndex(part); ok {
		n.number = i
	}
	return n
}

func (n *node) bare() bool { return len(n.byName) == 0 && n.position == nil && !n.elements() }

// elements says whether the kids are elements of an array that are not named by number: $[], $[identifier].
func (n *node) elements() bool { return n.every != nil || len(n.filtered) > 0 }

// kid is the kid for a component, made if it is not there. Those of arrays and those with names do not stand beside each other.
func (n *node) kid(part, path string) (k *node, fits bool) {
	if k := n.byName[part]; k != nil {
		return k, true
	}
	k = newNode(part, path)
	switch {
	case strings.HasPrefix(part, "$["):
		if fits = len(n.kids) == 0 && n.position == nil; part == "$[]" {
			n.every = k
		} else {
			n.filtered = append(n.filtered, k)
		}
	case part == "$":
		fits, n.position = !n.elements(), k
	default:
		fits, n.kids = !n.elements(), append(n.kids, k)
	}
	if n.byName == nil {
		n.byName = map[string]*node{}
	}
	n.byName[part] = k
	return k, fits
}

// all are the kids of any kind.
func (n *node) all() []*node {
	out := append(slices.Clone(n.kids), n.filtered...)
	for _, k := range []*node{n.position, n.every} {
		if k != nil {
			out = append(out, k)
		}
	}
	return out
}

// finish puts components in the order of application, names by bytes, numbers by value, and says what is below.
func (n *node) finish() {
	slices.SortFunc(n.kids, order)
	n.certain = n.op != nil && !n.op.sometimes
	n.moving = n.position != nil || n.elements()
	for _, k := range n.all() {
		k.finish()
		n.certain = n.certain || k.certain
		n.moving = n.moving || k.moving
	}
}

func order(a, b *node) int {
	if a.number >= 0 && b.number >= 0 {
		return compareInts(a.number, b.number)
	}
	return strings.Compare(a.part, b.part)
}

// merge is what two components do that reach the same element.
func (p *Update) merge(x, y *node) (*node, error) {
	if m := p.merged[[2]*node{x, y}]; m != nil {
		return m, nil
	}
	if x.op != nil || y.op != nil || x.elements() != y.elements() {
		return nil, conflicting(y.path, x.path)
	}
	m := newNode(x.part, x.path)
	for _, k := range append(x.all(), y.all()...) {
		mine, _ := m.kid(k.part, k.path)
		next := k
		if !mine.bare() || mine.op != nil {
			var err error
			if next, err = p.merge(mine, k); err != nil {
				return nil, err
			}
		}
		*mine = *next
	}
	m.finish()
	if p.merged == nil {
		p.merged = map[[2]*node]*node{}
	}
	p.merged[[2]*node{x, y}] = m
	return m, nil
}

// Lookup finds a value by a dotted path, through documents by name and through arrays by number.
func Lookup(doc bson.Raw, path string) (bson.RawValue, bool) {
	v, err := doc.LookupErr(strings.Split(path, ".")...)
	return v, err == nil
}
