package update

import (
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Image is a foreseen document.
type Image struct {
	// After is the document, in which the fields that Unknown lists hold something else than here: what was there before, or an empty value of the
	// type that is known, or nothing.
	After bson.Raw
	// Unknown are the fields whose value is not known; everything else is exact. In the order in which the server applies them.
	Unknown []Unknown
	// Modified says whether the server counts the document as modified (nModified). An update that leaves the bytes as they are is not counted; it is
	// Undecidable where the server writes the same bytes again ($push with $sort, $inc on a NaN, $unset of an element that is null), of which the manual
	// does not speak, and where an unknown field may or may not change.
	// Source: https://www.mongodb.com/docs/manual/reference/command/update/#mongodb-data-update.nModified
	Modified Answer
}

// Unknown is a field of which the value is not known.
type Unknown struct {
	Path string    // dotted, from the root of the document
	Type bson.Type // 0 if that is not known either
	Why  string
}

// exact is the document of an image without unknown fields.
func (i Image) exact(err error) (bson.Raw, error) {
	if err != nil {
		return nil, err
	}
	if len(i.Unknown) > 0 {
		return nil, unpredictable("%s (%s)", i.Unknown[0].Why, i.Unknown[0].Path)
	}
	return i.After, nil
}

// Apply is the document after the update, if all of it is known. It leaves before alone; if nothing changes it returns equal bytes.
func (p *Update) Apply(before bson.Raw) (after bson.Raw, err error) {
	img, err := p.foresee(before, false)
	return img.exact(err)
}

// Foresee is the document after the update, and what of it is not known. It leaves before alone and does not keep it; the image is the caller's.
// It returns an *Error that the server would answer with, or an error that wraps ErrNotPredictable if nothing of the document is sure.
func (p *Update) Foresee(before bson.Raw) (Image, error) { return p.foresee(before, false) }

// maxDocument is the server's limit on the size of a document.
// Source: https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size
const maxDocument = 16 << 20

// application is one update applied to one document.
type application struct {
	p         *Update
	inserting bool
	doc       []byte
	moved     map[string]value // what $rename takes, by the path it was at
	stack     []string         // the path to where we are
	unknown   []Unknown
	sure      bool // something surely changes
	maybe     bool // something may count as changed
	asked     bool // whether the filter was asked for the element that $ means
	elected   elected
	matched   Answer
	fields    []field // room for trees
}

func (p *Update) foresee(before []byte, inserting bool) (Image, error) {
	a := &p.a
	*a = application{p: p, inserting: inserting, doc: before, fields: a.fields[:0], stack: a.stack[:0]}
	defer a.release()
	t, err := a.open(document(before))
	if err != nil {
		return Image{}, err
	}
	if err := a.take(); err != nil {
		return Image{}, err
	}
	if err := a.walk(p.root, t); err != nil {
		return Image{}, err
	}
	img := Image{After: t.append(make([]byte, 0, len(before)+64)), Unknown: a.unknown, Modified: No}
	switch {
	case a.sure:
		img.Modified = Yes
	case a.maybe:
		img.Modified = Undecidable
	}
	if len(img.After) > maxDocument {
		return Image{}, &Error{10334, "BSONObjectTooLarge", "Resulting document after update is larger than 16777216"}
	}
	if p.ids {
		err = p.checkID(before, img.After)
	}
	return img, err
}

// release lets go of the document, and of memory that was needed only once.
func (a *application) release() {
	fields := a.fields
	if cap(fields) > 4096 {
		fields = nil
	}
	clear(fields)
	*a = application{fields: fields[:0], stack: a.stack[:0]}
}

// checkID: an _id stays the number that it is, though perhaps of another type, and what is in it stays as it is.
func (p *Update) checkID(before, after []byte) error {
	was, is := lookup(before, "_id"), lookup(after, "_id")
	whole := slices.ContainsFunc(p.root.kids, func(k *node) bool { return k.part == "_id" && k.op != nil })
	if !was.missing() && (is.missing() || compare(was, is) != 0 || !whole && !was.identical(is)) {
		return immutable("_id")
	}
	return validID(is)
}

// validID: https://www.mongodb.com/docs/manual/core/document/#the-_id-field
func validID(id value) error {
	switch id.t {
	case bson.TypeArray, bson.TypeRegex, bson.TypeUndefined:
		return &Error{53, "InvalidIdField", "The '_id' value cannot be of type " + id.name()}
	}
	return nil
}

// take copies what the renames move, before anything is changed.
func (a *application) take() error {
	for _, r := range a.p.renames {
		v, err := r.source(a.doc)
		if err != nil {
			return err
		}
		if v.missing() {
			continue
		}
		if a.moved == nil {
			a.moved = map[string]value{}
		}
		a.moved[r.from] = v
		if throughArray(a.doc, r.toPath) {
			return badValue("The destination field cannot be an array element, '%s' in doc has an array field", r.to)
		}
	}
	return nil
}

// source is the value that is moved; missing if there is none.
func (r rename) source(doc []byte) (value, error) {
	v := document(doc)
	for _, part := range r.fromPath {
		switch v.t {
		case bson.TypeEmbeddedDocument:
			v = lookup(v.b, part)
		case bson.TypeArray:
			if _, ok := arrayIndex(part); ok {
				v = lookup(v.b, part)
				break
			}
			fallthrough
		default:
			return v, pathNotViable("cannot use the part (%s of %s) to traverse the element of type %s", part, r.from, v.name())
		}
		if v.missing() {
			return v, nil
		}
	}
	if throughArray(doc, r.fromPath) {
		return v, badValue("The source field cannot be an array element, '%s' in doc has an array on its way", r.from)
	}
	return v, nil
}

// throughArray says whether a path leads through an array.
func throughArray(doc []byte, path []string) bool {
	v := document(doc)
	for _, part := range path {
		if !v.is(bson.TypeEmbeddedDocument) {
			return v.is(bson.TypeArray)
		}
		v = lookup(v.b, part)
	}
	return false
}

// applies says whether anything below n does something to this document.
func (a *application) applies(n *node) bool {
	switch {
	case n.certain:
		return true
	case n.op == moveFrom:
		_, ok := a.moved[n.path]
		return ok
	case n.op == moveTo:
		_, ok := a.moved[n.arg.(string)]
		return ok
	case n.op != nil:
		return a.inserting // $setOnInsert
	}
	return slices.ContainsFunc(n.all(), a.applies)
}

// walk applies all below n to a document or an array.
func (a *application) walk(n *node, t *tree) error {
	if n.elements() {
		return a.walkElements(n, t)
	}
	kids := n.kids
	if n.position != nil && a.applies(n.position) {
		var err error
		if kids, err = a.withPosition(n, t); err != nil {
			return err
		}
	}
	for _, k := range kids {
		if !a.applies(k) {
			continue
		}
		i := t.index(k)
		if i < 0 {
			if err := a.create(k, t); err != nil {
				return err
			}
			continue
		}
		if err := a.into(k, t, i); err != nil {
			return err
		}
	}
	return nil
}

func (a *application) push(part string) { a.stack = append(a.stack, part) }
func (a *application) pop()             { a.stack = a.stack[:len(a.stack)-1] }

// into applies n, and what is below it, to the field i of t.
func (a *application) into(n *node, t *tree, i int) error {
	a.push(string(t.fields[i].key))
	defer a.pop()
	old := t.value(&t.fields[i])
	if n.op != nil {
		r, err := n.op.change(a, n, old)
		if err != nil {
			return err
		}
		a.replace(r, t, i, old)
		return nil
	}
	if !old.is(bson.TypeEmbeddedDocument) && !old.is(bson.TypeArray) || n.elements() && !old.is(bson.TypeArray) {
		return a.blocked(n, old)
	}
	sub, err := a.open(old)
	if err != nil {
		return err
	}
	if err := a.walk(n, sub); err != nil || !sub.changed {
		return err
	}
	t.fields[i].mod, t.changed = &change{val: old, sub: sub}, true
	return nil
}

// replace carries out what an operator made of a field.
func (a *application) replace(r result, t *tree, i int, old value) {
	if r.unknown != "" {
		a.doubt(r)
		if r.act == put && !r.v.identical(old) {
			t.fields[i].mod, t.changed = &change{val: r.v}, true
		}
		return
	}
	switch {
	case r.act == drop && t.array && old.is(bson.TypeNull):
		a.maybe = true
	case r.act == drop:
		t.remove(i)
		a.sure = true
	case r.act == put && !r.v.identical(old):
		t.fields[i].mod, t.changed = &change{val: r.v}, true
		a.sure = true
	default:
		a.maybe = a.maybe || r.again
	}
}

// doubt lists the field where we are as unknown. A clock moves on: what is set to it changes.
func (a *application) doubt(r result) {
	a.unknown = append(a.unknown, Unknown{strings.Join(a.stack, "."), r.v.t, r.unknown})
	a.maybe = true
	a.sure = a.sure || r.certain
}

// create makes the field of n in t, and what is below it, where the document has none.
func (a *application) create(n *node, t *tree) error {
	a.push(n.part)
	defer a.pop()
	if err := a.unborn(n, t.array && n.number < 0); err != nil {
		return err
	}
	c, made, err := a.build(n)
	if err != nil {
		return err
	}
	if !made {
		if t.array && n.number < 0 && !a.indifferent(n) {
			return pathNotViable("Cannot create field '%s' in an array", n.part)
		}
		return nil
	}
	key := []byte(n.part)
	if t.array {
		if n.number < 0 {
			return pathNotViable("Cannot create field '%s' in an array", n.part)
		}
		const maxPad = 1_500_000 // the server's limit on the padding of an array
		if n.number-len(t.fields) > maxPad {
			return badValue("can't backfill more than %d elements", maxPad)
		}
		for len(t.fields) < n.number {
			t.fields = append(t.fields, field{key: itoa(len(t.fields)), mod: &change{val: nullValue()}})
		}
		key = itoa(n.number)
	}
	t.fields = append(t.fields, field{key: key, mod: c})
	t.changed = true
	return nil
}

// build is what n, and what is below it, make where nothing is; made is false if they make nothing.
func (a *application) build(n *node) (c *change, made bool, err error) {
	if n.op == nil {
		return a.buildDocument(n)
	}
	if n.op.create == nil {
		return nil, false, nil
	}
	r, err := n.op.create(a, n)
	if err != nil {
		return nil, false, err
	}
	if r.unknown != "" {
		a.doubt(r)
	} else {
		a.sure = true
	}
	return &change{val: r.v}, !r.v.missing(), nil
}

func (a *application) buildDocument(n *node) (c *change, made bool, err error) {
	t := &tree{changed: true}
	for _, k := range n.kids {
		if !a.applies(k) {
			continue
		}
		a.push(k.part)
		c, made, err := a.build(k)
		a.pop()
		if err != nil {
			return nil, false, err
		}
		if made {
			t.fields = append(t.fields, field{key: []byte(k.part), mod: c})
		}
	}
	return &change{sub: t}, len(t.fields) > 0, nil
}

// indifferent says whether nothing below n minds a path that cannot be.
func (a *application) indifferent(n *node) bool {
	if n.op != nil {
		return n.op.indifferent || !a.applies(n)
	}
	return !slices.ContainsFunc(n.all(), func(k *node) bool { return !a.indifferent(k) })
}

// unborn refuses positional components below a field that is not there. impossible says that it cannot be created either.
func (a *application) unborn(n *node, impossible bool) error {
	if !n.moving {
		return nil
	}
	if n.elements() {
		return badValue("The path '%s' must exist in the document in order to apply array updates.", n.path)
	}
	if n.position != nil && a.applies(n.position) {
		if err := a.election(n.path); err != nil || !impossible {
			return orUnknown(err, n)
		}
	}
	for _, k := range n.all() {
		if err := a.unborn(k, impossible); err != nil {
			return err
		}
	}
	return nil
}

// orUnknown: what $ makes of a path that is not there is not known.
func orUnknown(err error, n *node) error {
	if err != nil {
		return err
	}
	return unpredictable("the positional $ of %s, which is not an array", n.path)
}

// blocked is the error of the first component below n that minds that old is in its way.
func (a *application) blocked(n *node, old value) error {
	if n.elements() {
		return badValue("Cannot apply array updates to non-array element %s: %s", n.path, old.name())
	}
	if n.position != nil && a.applies(n.position) {
		if err := a.election(n.path); err != nil {
			return err
		}
	}
	for _, k := range n.all() {
		switch {
		case !a.applies(k):
		case k.op != nil && k.op.indifferent:
		case k.op != nil:
			return pathNotViable("Cannot create field '%s' in element {%s: %s}", k.part, n.part, old.name())
		default:
			if k.elements() {
				return a.unborn(k, true)
			}
			if err := a.blocked(k, old); err != nil {
				return err
			}
		}
	}
	return nil
}

// withPosition puts what is below $ where it belongs among the named kids: the server treats it as the number of the element.
func (a *application) withPosition(n *node, t *tree) ([]*node, error) {
	i, err := a.position(n.path)
	if err != nil {
		return nil, err
	}
	if !t.array || i >= len(t.fields) {
		return nil, orUnknown(nil, n)
	}
	k := *n.position
	k.part, k.number = string(itoa(i)), i
	kids := slices.Clone(n.kids)
	at, found := slices.BinarySearchFunc(kids, &k, order)
	if !found {
		return slices.Insert(kids, at, &k), nil
	}
	kids[at], err = a.p.merge(kids[at], n.position)
	return kids, err
}

// election asks the filter for the element that the positional $ means: the one by which it selected the document. It fails if there surely is none.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/positional/
func (a *application) election(path string) error {
	if !a.asked {
		a.asked = true
		if a.p.filter != nil {
			a.matched = a.p.filter.match(root{doc: a.doc}, &a.elected)
		}
	}
	switch {
	case a.inserting: // the filter selected nothing
		return badValue("The positional operator did not find the match needed from the query.")
	case a.matched != Yes, a.elected.vague:
		return unpredictable("the element that the positional $ of %s means", path)
	case !a.elected.found:
		return badValue("The positional operator did not find the match needed from the query.")
	}
	return nil
}

// position is the element that the positional $ of a path means.
func (a *application) position(path string) (int, error) {
	if err := a.election(path); err != nil {
		return 0, err
	}
	if a.elected.torn || a.elected.array != path {
		return 0, unpredictable("the element that the positional $ of %s means", path)
	}
	return a.elected.index, nil
}

// walkElements applies what is below n to elements of an array: to each one, or to those that array filters mean.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/positional-all/
func (a *application) walkElements(n *node, t *tree) error {
	for i := range t.fields {
		v := t.value(&t.fields[i])
		k, unsure, err := a.reaching(n, v)
		switch {
		case err != nil:
			return err
		case k == nil:
		case unsure != "":
			err = a.perhaps(k, t, i, v, unsure)
		default:
			err = a.into(k, t, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// reaching is what reaches an element, and, if it may not, which array filter leaves that open.
func (a *application) reaching(n *node, v value) (k *node, unsure string, err error) {
	add := func(kid *node) (err error) {
		if k == nil {
			k = kid
			return nil
		}
		k, err = a.p.merge(k, kid)
		return err
	}
	if n.every != nil {
		k = n.every
	}
	for _, kid := range n.filtered {
		switch kid.filter.fulfils(v) {
		case No:
			continue
		case Undecidable:
			unsure = kid.filter.name
		}
		if err := add(kid); err != nil {
			if unsure != "" {
				err = unpredictable("whether the array filter %s means an element that others reach too", unsure)
			}
			return nil, "", err
		}
	}
	if k != nil && !a.applies(k) {
		k = nil
	}
	return k, unsure, nil
}

// perhaps lists an element as unknown that an array filter may mean. If the update would fail there it may fail altogether.
func (a *application) perhaps(k *node, t *tree, i int, v value, filter string) error {
	try := &tree{array: true, src: t.src, fields: []field{t.fields[i]}}
	known, sure, maybe := a.unknown, a.sure, a.maybe
	if err := a.into(k, try, 0); err != nil {
		return unpredictable("which elements the array filter %s means, some of which would make the update fail", filter)
	}
	a.unknown, a.sure, a.maybe = known, sure, maybe
	a.push(string(t.fields[i].key))
	a.doubt(result{unknown: "whether the array filter " + filter + " means this element"})
	a.pop()
	return nil
}
