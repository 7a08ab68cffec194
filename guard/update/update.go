// Package update applies MongoDB's update language to one document, to foresee what the server will make of it.
//
//	update document ─► parse: one tree of paths, conflicts found ─► walk the tree and the document side by side ─► after-image
//
// It knows all update operators but $currentDate, with dotted and positional paths, and replacement documents. For everything else, and
// where it does not fully know the server's answer (Match), it returns ErrNotPredictable and guesses nothing. It answers with the error the server would answer with where it knows that.
// The order of new fields is the server's since 5.0: by name, numbers by value.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/
//
// Pure: bson and the standard library.
package update

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// ErrNotPredictable is wrapped by errors that say why an after-image cannot be computed here.
var ErrNotPredictable = errors.New("cannot be computed exactly")

// Error is what the server would answer.
type Error struct {
	Code    int32
	Name    string
	Message string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Message, e.Name) }

// https://www.mongodb.com/docs/manual/reference/error-codes/
func badValue(format string, a ...any) error {
	return &Error{2, "BadValue", fmt.Sprintf(format, a...)}
}
func failedToParse(format string, a ...any) error {
	return &Error{9, "FailedToParse", fmt.Sprintf(format, a...)}
}
func typeMismatch(format string, a ...any) error {
	return &Error{14, "TypeMismatch", fmt.Sprintf(format, a...)}
}
func pathNotViable(format string, a ...any) error {
	return &Error{28, "PathNotViable", fmt.Sprintf(format, a...)}
}
func conflicting(path string) error {
	return &Error{40, "ConflictingUpdateOperators", fmt.Sprintf("Updating the path '%s' would create a conflict at '%s'", path, path)}
}
func immutable(path string) error {
	return &Error{66, "ImmutableField", fmt.Sprintf("Performing an update on the path '%s' would modify the immutable field '%s'", path, path)}
}

// Update is a parsed update document. It may be applied to many documents, by one goroutine at a time.
type Update struct {
	root    *node
	renames []rename
	filters map[string]*arrayFilter
	filter  bson.Raw
}

// Options belong to an update statement.
type Options struct {
	ArrayFilters []bson.Raw
	// Filter is what selects the document: the positional $ means the element that it matched. Nil if that is not known.
	Filter bson.Raw
	// Collated says that strings are compared by a collation, which this package does not know.
	Collated bool
}

// comparing are the operators that compare values.
var comparing = map[string]bool{"$min": true, "$max": true, "$addToSet": true, "$pull": true, "$pullAll": true, "$push": true}

// node is one component of the paths that an update names.
type node struct {
	op   string   // leaf: the operator
	arg  *value   // leaf: its argument
	path string   // from the root
	kids []string // in the order of application
	next map[string]*node
}

type rename struct{ from, to string }

// Parse reads a document of update operators.
func Parse(u bson.Raw, opts Options) (*Update, error) {
	filters, err := parseArrayFilters(opts.ArrayFilters)
	if err != nil {
		return nil, err
	}
	p := &Update{root: &node{}, filters: filters, filter: opts.Filter}
	if opts.Collated {
		p.filter = nil
	}
	ops, err := u.Elements()
	if err != nil {
		return nil, fmt.Errorf("not valid BSON: %w", err)
	}
	for _, op := range ops {
		if opts.Collated && (comparing[op.Key()] || len(opts.ArrayFilters) > 0) {
			return nil, fmt.Errorf("%w: %s with a collation", ErrNotPredictable, op.Key())
		}
		args, ok := op.Value().DocumentOK()
		if !ok {
			return nil, failedToParse("Modifiers operate on fields but we found type %s instead", typeName(op.Value().Type))
		}
		elems, err := args.Elements()
		if err != nil {
			return nil, fmt.Errorf("not valid BSON: %w", err)
		}
		for _, e := range elems {
			if err := p.add(op.Key(), e.Key(), fromRaw(e.Value())); err != nil {
				return nil, err
			}
		}
	}
	for _, f := range p.filters {
		if !f.used {
			return nil, failedToParse("The array filter for identifier '%s' was not used in the update", f.name)
		}
	}
	p.root.sort()
	return p, nil
}

// Fields are the top-level fields that the update may touch.
func (p *Update) Fields() []string { return slices.Clone(p.root.kids) }

func (p *Update) add(op, path string, arg *value) error {
	switch op {
	case "$set", "$setOnInsert", "$unset", "$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$pop", "$pull", "$pullAll", "$bit":
		if err := checkArray(op, path, arg); err != nil {
			return err
		}
		return p.insert(op, path, arg)
	case "$rename":
		if arg.t != bson.TypeString {
			return badValue("The 'to' field for $rename must be a string: %s", path)
		}
		to, _ := arg.rawValue().StringValueOK()
		if slices.ContainsFunc(append(strings.Split(path, "."), strings.Split(to, ".")...), positional) {
			return badValue("The source and the destination field for $rename may not be dynamic: %s, %s", path, to)
		}
		if err := p.insert("rename from", path, null()); err != nil {
			return err
		}
		p.renames = append(p.renames, rename{path, to})
		return p.insert("rename to", to, &value{t: bson.TypeString, raw: []byte(path)})
	}
	return fmt.Errorf("%w: the operator %s", ErrNotPredictable, op)
}

func (p *Update) insert(op, path string, arg *value) error {
	if strings.ContainsRune(path, 0) { // the new name of $rename is a string, which may hold one
		return badValue("The path '%s' contains a NUL character", path)
	}
	parts := strings.Split(path, ".")
	if slices.Contains(parts, "") {
		return &Error{56, "EmptyFieldName", fmt.Sprintf("The update path '%s' contains an empty field name, which is not allowed.", path)}
	}
	n := p.root
	for i, part := range parts {
		if err := p.component(part, i, path); err != nil {
			return err
		}
		if n.op != "" {
			return conflicting(path)
		}
		if n.next == nil {
			n.next = map[string]*node{}
		}
		kid := n.next[part]
		if kid == nil {
			kid = &node{path: strings.Join(parts[:i+1], ".")}
			n.next[part] = kid
			n.kids = append(n.kids, part)
		}
		n = kid
	}
	if n.op != "" || n.next != nil {
		return conflicting(path)
	}
	n.op, n.arg = op, arg
	return nil
}

// component checks a part of a path that begins with a dollar.
func (p *Update) component(part string, i int, path string) error {
	switch {
	case !strings.HasPrefix(part, "$"):
		return nil
	case !positional(part):
		return fmt.Errorf("%w: the path %s", ErrNotPredictable, path)
	case i == 0:
		return badValue("Cannot have array filter identifier or positional (i.e. '$') element in the first position in path '%s'", path)
	case part == "$", part == "$[]":
		return nil
	}
	f := p.filters[strings.TrimSuffix(strings.TrimPrefix(part, "$["), "]")]
	if f == nil || !strings.HasSuffix(part, "]") {
		return badValue("No array filter found for identifier '%s' in path '%s'", strings.Trim(part, "$[]"), path)
	}
	f.used = true
	return nil
}

// sort puts components in the order of application: names by bytes, numbers by value.
func (n *node) sort() {
	slices.SortFunc(n.kids, func(a, b string) int {
		x, ok1 := arrayIndex(a)
		y, ok2 := arrayIndex(b)
		if ok1 && ok2 {
			return x - y
		}
		return strings.Compare(a, b)
	})
	for _, k := range n.next {
		k.sort()
	}
}

// Apply is the document after the update. It leaves before alone; if nothing changes it returns equal bytes.
func (p *Update) Apply(before bson.Raw) (after bson.Raw, err error) {
	return p.apply(before, false)
}

func (p *Update) apply(before bson.Raw, inserting bool) (bson.Raw, error) {
	doc := fromDocument(before)
	if err := doc.expand(); err != nil {
		return nil, err
	}
	moved, err := p.take(doc)
	if err != nil {
		return nil, err
	}
	a := &application{inserting: inserting, moved: moved, filters: p.filters, filter: p.filter, doc: before}
	if err := a.walk(p.root, doc); err != nil {
		return nil, err
	}
	after := bson.Raw(doc.bytes())
	if was := before.Lookup("_id"); was.Type != 0 && !equalIDs(was, after.Lookup("_id")) {
		return nil, immutable("_id")
	}
	return after, nil
}

// take copies what the renames move, before anything is changed.
func (p *Update) take(doc *value) (map[string]*value, error) {
	moved := map[string]*value{}
	for _, r := range p.renames {
		v := doc
		for _, part := range strings.Split(r.from, ".") {
			if v.isArray() {
				return nil, badValue("The source field cannot be an array element, '%s' in doc has an array field called '%s'", r.from, part)
			}
			if !v.isDocument() {
				return nil, pathNotViable("cannot use the part (%s of %s) to traverse the element of type %s", part, r.from, typeName(v.t))
			}
			if err := v.expand(); err != nil {
				return nil, err
			}
			if v = v.child(part); v == nil {
				break
			}
		}
		if v == nil {
			continue
		}
		moved[r.from] = &value{t: v.t, raw: v.bytes()}
		if err := noArrayOn(doc, r.to); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

func noArrayOn(v *value, path string) error {
	for _, part := range strings.Split(path, ".") {
		if v.isArray() {
			return badValue("The destination field cannot be an array element, '%s' in doc has an array field", path)
		}
		if !v.isDocument() {
			return nil
		}
		if err := v.expand(); err != nil {
			return err
		}
		if v = v.child(part); v == nil {
			return nil
		}
	}
	return nil
}

type application struct {
	inserting bool
	moved     map[string]*value
	filters   map[string]*arrayFilter
	filter    bson.Raw
	doc       bson.Raw // before
}

// walk applies all below n to v, which is an open document or array.
func (a *application) walk(n *node, v *value) error {
	if slices.ContainsFunc(n.kids, positional) {
		return a.walkArray(n, v)
	}
	for _, part := range n.kids {
		kid := n.next[part]
		if !a.applies(kid) {
			continue
		}
		i := v.index(part)
		if i < 0 {
			if err := a.create(kid, v, part); err != nil {
				return err
			}
			continue
		}
		if err := a.into(kid, v, i, part); err != nil {
			return err
		}
	}
	return nil
}

// into applies n, and what is below it, to the field i of v.
func (a *application) into(n *node, v *value, i int, part string) error {
	if n.op != "" {
		return a.change(n, v, i)
	}
	child := v.fields[i].val
	if !child.isDocument() && !child.isArray() {
		switch {
		case slices.ContainsFunc(n.kids, positional):
			return badValue("Cannot apply array updates to non-array element %s: %s", n.path, typeName(child.t))
		case n.hasPositional():
			return mustExist(n.path)
		case a.only(lenient, n):
			return nil
		}
		return pathNotViable("Cannot create field '%s' in element {%s: %s}", n.kids[0], part, typeName(child.t))
	}
	if err := child.expand(); err != nil {
		return err
	}
	return a.walk(n, child)
}

// applies says whether anything below n does something to this document.
func (a *application) applies(n *node) bool {
	switch n.op {
	case "$setOnInsert":
		return a.inserting
	case "rename from":
		return a.moved[n.path] != nil
	case "rename to":
		return a.moved[string(n.arg.raw)] != nil
	case "":
		for _, k := range n.next {
			if a.applies(k) {
				return true
			}
		}
		return false
	}
	return true
}

var (
	// removing are the operators that make nothing where nothing is.
	removing = map[string]bool{"$unset": true, "rename from": true, "$pop": true, "$pull": true, "$pullAll": true}
	// lenient are those that do not mind where nothing could be.
	lenient = map[string]bool{"$unset": true, "rename from": true}
)

// only says whether all that is below n and does something is one of these operators.
func (a *application) only(ops map[string]bool, n *node) bool {
	if n.op != "" {
		return ops[n.op] || !a.applies(n)
	}
	for _, k := range n.next {
		if !a.only(ops, k) {
			return false
		}
	}
	return true
}

// create makes the field part of v, and what is below it, where the document has none.
func (a *application) create(n *node, v *value, part string) error {
	if n.hasPositional() {
		return mustExist(n.path)
	}
	if a.only(removing, n) {
		if _, numbered := arrayIndex(part); v.isArray() && !numbered && !a.only(lenient, n) {
			return pathNotViable("Cannot create field '%s' in an array", part)
		}
		return nil
	}
	fresh := emptyDocument()
	if n.op != "" {
		var err error
		if fresh, err = a.fresh(n); err != nil {
			return err
		}
	} else if err := a.walk(n, fresh); err != nil {
		return err
	}
	if !v.isArray() {
		v.fields = append(v.fields, field{part, fresh})
		return nil
	}
	i, ok := arrayIndex(part)
	if !ok {
		return pathNotViable("Cannot create field '%s' in an array", part)
	}
	const maxPad = 1_500_000 // the server's limit on the padding of an array
	if i-len(v.fields) > maxPad {
		return &Error{2, "BadValue", fmt.Sprintf("can't backfill more than %d elements", maxPad)}
	}
	for len(v.fields) < i {
		v.fields = append(v.fields, field{"", null()})
	}
	v.fields = append(v.fields, field{"", fresh})
	return nil
}

// fresh is what an operator makes of a field that is not there.
func (a *application) fresh(n *node) (*value, error) {
	switch n.op {
	case "$inc":
		if !isNumber(n.arg.t) {
			return nil, typeMismatch("Cannot increment with non-numeric argument: {%s: %s}", n.path, typeName(n.arg.t))
		}
		return n.arg, nil
	case "$mul":
		if !isNumber(n.arg.t) {
			return nil, typeMismatch("Cannot multiply with non-numeric argument: {%s: %s}", n.path, typeName(n.arg.t))
		}
		return zero(n.arg.t)
	case "$push":
		return push(&value{t: bson.TypeArray, open: true}, n)
	case "$addToSet":
		return addToSet(&value{t: bson.TypeArray, open: true}, n)
	case "$bit":
		return bits(n, int32Value(0))
	case "rename to":
		return a.moved[string(n.arg.raw)], nil
	}
	return n.arg, nil // $set, $setOnInsert, $min, $max
}

// changes are the operators whose result depends on what is there.
var changes = map[string]func(n *node, old *value) (*value, error){
	"$inc": calculate, "$mul": calculate, "$bit": bits,
	"$push":     func(n *node, old *value) (*value, error) { return push(old, n) },
	"$addToSet": func(n *node, old *value) (*value, error) { return addToSet(old, n) },
	"$pop":      func(n *node, old *value) (*value, error) { return remove(old, n) },
	"$pull":     func(n *node, old *value) (*value, error) { return remove(old, n) },
	"$pullAll":  func(n *node, old *value) (*value, error) { return remove(old, n) },
}

// zero is what $mul makes of a field that is not there.
func zero(t bson.Type) (*value, error) {
	switch t {
	case bson.TypeInt32:
		return int32Value(0), nil
	case bson.TypeInt64:
		return int64Value(0), nil
	case bson.TypeDouble:
		return doubleValue(0), nil
	}
	h, l := bson.NewDecimal128(0x3040000000000000, 0).GetBytes() // 0
	return &value{t: t, raw: bsoncore.AppendDecimal128(nil, h, l)}, nil
}

// change applies an operator to the field i of v.
func (a *application) change(n *node, v *value, i int) (err error) {
	old := v.fields[i].val
	switch n.op {
	case "$unset", "rename from":
		if v.isArray() {
			v.fields[i].val = null()
			return nil
		}
		v.fields = slices.Delete(v.fields, i, i+1)
		return nil
	case "$min", "$max":
		if c := Compare(n.arg.rawValue(), old.rawValue()); (n.op == "$min") == (c < 0) && c != 0 {
			v.fields[i].val = n.arg
		}
		return nil
	}
	if f := changes[n.op]; f != nil {
		v.fields[i].val, err = f(n, old)
		return err
	}
	fresh, err := a.fresh(n)
	if err != nil {
		return err
	}
	v.fields[i].val = fresh
	return nil
}

// Replace is the document after a replacement: the old _id first, then the new fields.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.replaceOne/
func Replace(before, doc bson.Raw) (bson.Raw, error) {
	id := before.Lookup("_id")
	if v, err := doc.LookupErr("_id"); err == nil && !equalIDs(v, id) {
		return nil, immutable("_id")
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, fmt.Errorf("not valid BSON: %w", err)
	}
	for _, e := range elems {
		if strings.HasPrefix(e.Key(), "$") {
			return nil, &Error{52, "DollarPrefixedFieldName", fmt.Sprintf("The dollar ($) prefixed field '%s' in '%s' is not allowed in the context of an update's replacement document.", e.Key(), e.Key())}
		}
	}
	return withID(id, doc)
}

// equalIDs: numbers of different type with the same value are one _id.
func equalIDs(a, b bson.RawValue) bool {
	if a.Type == b.Type && bytes.Equal(a.Value, b.Value) {
		return true
	}
	if !isNumber(a.Type) || !isNumber(b.Type) || a.Type == bson.TypeDecimal128 || b.Type == bson.TypeDecimal128 {
		return false
	}
	return a.AsFloat64() == b.AsFloat64() && a.AsInt64() == b.AsInt64()
}

// Inserted is the document that the server stores for one that is inserted: _id first, and made up by newID if there is none.
func Inserted(doc bson.Raw, newID func() bson.ObjectID) (bson.Raw, error) {
	id, err := doc.LookupErr("_id")
	if err != nil {
		oid := newID()
		id = bson.RawValue{Type: bson.TypeObjectID, Value: oid[:]}
	}
	return withID(id, doc)
}

func withID(id bson.RawValue, doc bson.Raw) (bson.Raw, error) {
	if err := timestamps(doc); err != nil {
		return nil, err
	}
	v := fromDocument(doc)
	if err := v.expand(); err != nil {
		return nil, err
	}
	out := emptyDocument()
	out.fields = append(out.fields, field{"_id", fromRaw(id)})
	for _, f := range v.fields {
		if f.key != "_id" {
			out.fields = append(out.fields, f)
		}
	}
	return out.bytes(), nil
}

// timestamps: the server sets a top-level Timestamp(0, 0) of an inserted or replaced document to the current time.
// Source: https://www.mongodb.com/docs/manual/reference/bson-types/#timestamps
func timestamps(doc bson.Raw) error {
	elems, err := doc.Elements()
	if err != nil {
		return fmt.Errorf("not valid BSON: %w", err)
	}
	for _, e := range elems {
		if t, i, ok := e.Value().TimestampOK(); ok && t == 0 && i == 0 && e.Key() != "_id" {
			return fmt.Errorf("%w: the server sets %s, a Timestamp(0, 0), to the current time", ErrNotPredictable, e.Key())
		}
	}
	return nil
}
