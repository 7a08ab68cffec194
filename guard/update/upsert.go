package update

import (
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Replace is the document after a replacement, if all of it is known: the old _id first, then the new fields.
func Replace(before, doc bson.Raw) (bson.Raw, error) { return exact(ForeseeReplace(before, doc)) }

func exact(i Image, err error) (bson.Raw, error) { return i.exact(err) }

// ForeseeReplace is the document after a replacement, and what of it is not known.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.replaceOne/
func ForeseeReplace(before, doc bson.Raw) (Image, error) {
	if !isDocument(before) {
		return Image{}, errInvalid
	}
	if err := replaceable(doc); err != nil {
		return Image{}, err
	}
	id, own := lookup(before, "_id"), lookup(doc, "_id")
	if !own.missing() && compare(own, id) != 0 {
		return Image{}, immutable("_id")
	}
	img, err := stored(id, doc)
	if err != nil {
		return Image{}, err
	}
	if !own.missing() && !own.identical(id) {
		img.Unknown = append(img.Unknown, Unknown{"_id", 0, "which of two equal values the _id keeps"})
	}
	switch {
	case string(img.After) != string(before):
		img.Modified = Yes
	case len(img.Unknown) == 0:
		img.Modified = No
	}
	return img, nil
}

// replaceable refuses what cannot be a replacement.
func replaceable(doc []byte) error {
	s := scan(doc)
	for s.more() {
		if len(s.key) > 0 && s.key[0] == '$' {
			return dollarPrefixed(string(s.key), "an update's replacement document, consider using an aggregation pipeline with $replaceWith")
		}
	}
	if s.bad {
		return errInvalid
	}
	return nil
}

// Inserted is the document that the server stores for one that is inserted, if all of it is known: _id first, and made up by newID if there is none.
func Inserted(doc bson.Raw, newID func() bson.ObjectID) (bson.Raw, error) {
	return exact(inserted(doc, newID))
}

func inserted(doc []byte, newID func() bson.ObjectID) (Image, error) {
	id := lookup(doc, "_id")
	if !id.missing() || newID == nil {
		if err := validID(id); err != nil {
			return Image{}, err
		}
		img, err := stored(id, doc)
		if id.missing() {
			img.Unknown = append([]Unknown{{"_id", bson.TypeObjectID, "made up when it is inserted"}}, img.Unknown...)
		}
		return img, err
	}
	oid := newID()
	return stored(value{bson.TypeObjectID, oid[:]}, doc)
}

// stored is a document with its _id in front. A missing one stays away.
//
// The server sets a top-level Timestamp(0, 0) of a document that is inserted or replaced to its clock.
// Source: https://www.mongodb.com/docs/manual/reference/bson-types/#timestamps
func stored(id value, doc []byte) (Image, error) {
	t := &tree{changed: true, src: doc}
	if !id.missing() {
		t.fields = append(t.fields, field{key: []byte("_id"), mod: &change{val: id}})
	}
	img := Image{Modified: Yes}
	s := scan(doc)
	for s.more() {
		if string(s.key) == "_id" {
			continue
		}
		t.fields = append(t.fields, field{s.key, int32(s.off), int32(s.end), nil})
		if s.t == bson.TypeTimestamp && s.value().int64() == 0 {
			img.Unknown = append(img.Unknown, Unknown{string(s.key), s.t, "the server sets a Timestamp(0, 0) to its clock"})
		}
	}
	if s.bad {
		return Image{}, errInvalid
	}
	img.After = t.append(make([]byte, 0, len(doc)+len(id.b)+8))
	return img, nil
}

// Upserted is ForeseeUpsert, if all of the document is known.
func Upserted(filter, u bson.Raw, replacement bool, newID func() bson.ObjectID) (bson.Raw, error) {
	return exact(ForeseeUpsert(filter, u, replacement, Options{}, newID))
}

// ForeseeUpsert is the document that an upsert creates when nothing matches: what the filter demands with equality, then the update. u is a document of
// operators, or a replacement; only the array filters of opts are used. If newID is nil, a new _id is unknown, and missing.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.updateOne/#upsert
func ForeseeUpsert(filter, u bson.Raw, replacement bool, opts Options, newID func() bson.ObjectID) (Image, error) {
	e := equalities{values: map[string]value{}, onlyID: replacement}
	if err := e.filter(filter, 0); err != nil {
		return Image{}, err
	}
	if replacement {
		return e.replacement(u, newID)
	}
	start, err := e.document()
	if err != nil {
		return Image{}, err
	}
	opts.Filter = nil
	p, err := Parse(u, opts)
	if err != nil {
		return Image{}, err
	}
	img, err := p.foresee(start, true)
	if err != nil {
		return Image{}, err
	}
	made, err := inserted(img.After, newID)
	made.Unknown = together(img.Unknown, made.Unknown)
	return made, err
}

// together is both lists, without what stands in the first already.
func together(a, b []Unknown) []Unknown {
	for _, u := range b {
		if !slices.ContainsFunc(a, func(known Unknown) bool { return known.Path == u.Path }) {
			a = append(a, u)
		}
	}
	return a
}

// document is what the filter fixes, in the order of the paths.
func (e *equalities) document() ([]byte, error) {
	p := &Update{root: newNode("", "")}
	for _, path := range slices.Sorted(maps.Keys(e.values)) {
		if err := p.insert(operators["$set"], path, e.values[path]); err != nil {
			return nil, seedError(err, path)
		}
	}
	p.root.finish()
	img, err := p.foresee([]byte{5, 0, 0, 0, 0}, true)
	if err != nil {
		return nil, err
	}
	return img.After, validID(lookup(img.After, "_id"))
}

// seedError: a filter that fixes a field and one below it is refused; _id wants to be fixed whole.
func seedError(err error, path string) error {
	var server *Error
	switch {
	case asError(err, &server) && server.Name == "ConflictingUpdateOperators":
		return notSingleValue("path '%s' is matched twice, or one above it", path)
	case asError(err, &server):
		return unpredictable("an upsert with the path %s in its filter", path)
	}
	return err
}

func (e *equalities) replacement(doc []byte, newID func() bson.ObjectID) (Image, error) {
	if err := replaceable(doc); err != nil {
		return Image{}, err
	}
	id, own := e.values["_id"], lookup(doc, "_id")
	switch {
	case id.missing():
		return inserted(doc, newID)
	case !own.missing() && compare(own, id) != 0:
		return Image{}, immutable("_id")
	}
	if err := validID(id); err != nil {
		return Image{}, err
	}
	img, err := stored(id, doc)
	if !own.missing() && !own.identical(id) {
		img.Unknown = append(img.Unknown, Unknown{"_id", 0, "which of two equal values the _id gets"})
	}
	return img, err
}

// equalities are the paths that a filter fixes to one value: {a: v}, {a: {$eq: v}}, {a: {$in: [v]}}, {a: {$all: [v]}}, and those below $and.
type equalities struct {
	values map[string]value
	onlyID bool // a replacement takes only _id
}

func (e *equalities) filter(filter []byte, depth int) error {
	if depth > maxDepth {
		return unpredictable("a filter nested deeper than %d", maxDepth)
	}
	s := scan(filter)
	for s.more() {
		if err := e.condition(string(s.key), s.value(), depth); err != nil {
			return err
		}
	}
	if s.bad {
		return errInvalid
	}
	return nil
}

func (e *equalities) condition(key string, v value, depth int) error {
	switch key {
	case "$and":
		return e.each(v, depth)
	case "$or":
		if all, err := elements(v.b); v.is(bson.TypeArray) && err == nil && len(all) == 1 {
			return e.each(v, depth)
		}
		return nil
	case "$nor":
		if negative(v, depth) {
			return unpredictable("an upsert with a negation in $nor in its filter")
		}
		return nil
	case "$comment", "$text", "$where", "$jsonSchema":
		return nil
	}
	switch {
	case strings.HasPrefix(key, "$"):
		return unpredictable("an upsert with %s in its filter", key)
	case v.is(bson.TypeRegex):
		return nil
	case !isOperators(v):
		return e.fix(key, v)
	}
	s := scan(v.b)
	for s.more() {
		if err := e.operator(key, string(s.key), s.value(), depth); err != nil {
			return err
		}
	}
	return nil
}

func (e *equalities) each(v value, depth int) error {
	if !v.is(bson.TypeArray) {
		return badValue("$and must be an array")
	}
	s := scan(v.b)
	for s.more() {
		if s.t != bson.TypeEmbeddedDocument {
			return badValue("$and entries need to be full objects")
		}
		if err := e.filter(s.val, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (e *equalities) operator(path, op string, arg value, depth int) error {
	switch op {
	case "$eq":
		return e.fix(path, arg)
	case "$not":
		if negative(arg, depth) {
			return unpredictable("an upsert with a double negation in its filter")
		}
		return nil
	case "$in", "$all":
	default:
		return nil
	}
	if !arg.is(bson.TypeArray) {
		return badValue("%s needs an array", op)
	}
	all, err := elements(arg.b)
	if err != nil {
		return err
	}
	if op == "$in" {
		if all = distinct(all); len(all) != 1 {
			return nil
		}
	}
	for _, v := range all {
		if v.is(bson.TypeRegex) || op == "$all" && isOperators(v) {
			continue
		}
		if err := e.fix(path, v); err != nil {
			return err
		}
	}
	return nil
}

// distinct leaves out what was there before.
func distinct(vs []value) (out []value) {
	for _, v := range vs {
		if !slices.ContainsFunc(out, v.identical) {
			out = append(out, v)
		}
	}
	return out
}

// negative says whether a negation stands somewhere in a condition: two of them may make an equality.
func negative(v value, depth int) bool {
	if depth > maxDepth {
		return true
	}
	if !v.is(bson.TypeEmbeddedDocument) && !v.is(bson.TypeArray) {
		return false
	}
	s := scan(v.b)
	for s.more() {
		switch string(s.key) {
		case "$ne", "$nin", "$not", "$nor":
			return true
		}
		if negative(s.value(), depth+1) {
			return true
		}
	}
	return false
}

func (e *equalities) fix(path string, v value) error {
	if e.onlyID && path != "_id" && !strings.HasPrefix(path, "_id.") {
		return nil
	}
	if strings.HasPrefix(path, "_id.") {
		return &Error{55, "NotExactValueField", "field at '_id' must be exactly specified, field at sub-path '" + path + "' found"}
	}
	if v.is(bson.TypeUndefined) {
		return badValue("cannot compare to undefined")
	}
	if _, twice := e.values[path]; twice {
		return notSingleValue("path '%s' is matched twice", path)
	}
	e.values[path] = v
	return nil
}
