package update

import (
	"errors"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Updates by an aggregation pipeline, as far as their expressions are known here (expression.go). The server is the better judge of the others.
// Source: https://www.mongodb.com/docs/manual/tutorial/update-documents-with-aggregation-pipeline/

// Pipeline is a parsed pipeline of an update. It may be used by several goroutines.
type Pipeline struct{ stages []stage }

// stage makes of a document another one.
type stage func(d draft) (draft, error)

// draft is a document between two stages, and what of it is not known.
type draft struct {
	doc     []byte
	unknown []Unknown
}

// ParsePipeline reads the stages of an update. It returns an *Error where the server would refuse them, as far as that is sure, and an error that wraps
// ErrNotPredictable for a stage of which nothing is known here.
func ParsePipeline(stages bson.RawArray) (*Pipeline, error) {
	list, err := elements(stages)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{}
	for _, s := range list {
		if !s.is(bson.TypeEmbeddedDocument) {
			return nil, typeMismatch("Each element of the 'pipeline' array must be an object")
		}
		e := scan(s.b)
		if !e.more() {
			return nil, &Error{40323, "Location40323", "A pipeline stage specification object must contain exactly one field."}
		}
		name, arg := string(e.key), e.value()
		if e.more() {
			return nil, &Error{40323, "Location40323", "A pipeline stage specification object must contain exactly one field."}
		}
		st, err := parseStage(name, arg)
		if err != nil {
			return nil, err
		}
		p.stages = append(p.stages, st)
	}
	return p, nil
}

// otherStages are those that an update may not have.
var otherStages = []string{"$match", "$group", "$sort", "$limit", "$skip", "$lookup", "$unwind", "$out", "$merge", "$count", "$facet", "$sample", "$bucket", "$bucketAuto",
	"$sortByCount", "$graphLookup", "$unionWith", "$setWindowFields", "$densify", "$fill", "$redact", "$geoNear", "$documents", "$collStats", "$indexStats"}

func parseStage(name string, arg value) (stage, error) {
	switch name {
	case "$set", "$addFields":
		return parseSet(arg)
	case "$unset":
		return parseUnset(arg)
	case "$project":
		return parseExclusion(arg)
	case "$replaceWith":
		return newRoot(arg), nil
	case "$replaceRoot":
		if v := lookup(arg.b, "newRoot"); arg.is(bson.TypeEmbeddedDocument) && !v.missing() {
			return newRoot(v), nil
		}
	}
	if slices.Contains(otherStages, name) {
		return nil, &Error{72, "InvalidOptions", name + " is not allowed to be used within an update"}
	}
	return nil, unpredictable("a pipeline with the stage %s", name)
}

// Foresee is the document after the update, and what of it is not known.
func (p *Pipeline) Foresee(before bson.Raw) (Image, error) {
	d, err := p.run(before)
	if err != nil {
		return Image{}, err
	}
	id, own := lookup(before, "_id"), lookup(d.doc, "_id")
	if !own.missing() && compare(own, id) != 0 && !id.missing() {
		return Image{}, immutable("_id")
	}
	img, err := kept(id, d, before)
	if err != nil {
		return Image{}, err
	}
	if !own.missing() && !own.identical(id) {
		img.Unknown = append(img.Unknown, Unknown{"_id", 0, "which of two equal values the _id keeps"})
	}
	switch {
	case string(img.After) == string(before) && len(img.Unknown) > 0:
		img.Modified = Undecidable
	case string(img.After) == string(before):
		img.Modified = No
	}
	return img, nil
}

// ForeseeUpsert is the document that an upsert by a pipeline creates when nothing matches: what the filter demands with equality, then the stages.
// If newID is nil, a new _id is unknown, and missing.
func (p *Pipeline) ForeseeUpsert(filter bson.Raw, newID func() bson.ObjectID) (Image, error) {
	start, err := seed(filter)
	if err != nil {
		return Image{}, err
	}
	d, err := p.run(start)
	if err != nil {
		return Image{}, err
	}
	id := lookup(start, "_id")
	switch own := lookup(d.doc, "_id"); {
	case own.missing() && !id.missing():
		return kept(id, d, nil)
	case !id.missing() && compare(own, id) != 0:
		return Image{}, immutable("_id")
	}
	img, err := inserted(d.doc, newID)
	img.Unknown = together(d.unknown, img.Unknown)
	return img, err
}

// kept is a draft with its _id in front. A Timestamp(0, 0) that was there before stays; whether a new one does is not known.
func kept(id value, d draft, before []byte) (Image, error) {
	img, err := stored(id, d.doc)
	made := img.Unknown
	img.Unknown = d.unknown
	for _, u := range made {
		if was := lookup(before, u.Path); !was.identical(lookup(d.doc, u.Path)) {
			img.Unknown = append(without(img.Unknown, u.Path), u)
		}
	}
	if len(img.After) > maxDocument {
		return Image{}, &Error{10334, "BSONObjectTooLarge", "Resulting document after update is larger than 16777216"}
	}
	return img, err
}

func (p *Pipeline) run(doc []byte) (d draft, err error) {
	d.doc = doc
	if s := scan(doc); !s.live {
		return d, errInvalid
	}
	for _, s := range p.stages {
		if d, err = s(d); err != nil {
			return d, err
		}
	}
	return d, nil
}

// assignment is one name of $set: an expression, or names below it.
type assignment struct {
	name string
	expr value
	kids []*assignment
}

// parseSet: https://www.mongodb.com/docs/manual/reference/operator/aggregation/set/
func parseSet(arg value) (stage, error) {
	if !arg.is(bson.TypeEmbeddedDocument) {
		return nil, &Error{40272, "Location40272", "$set specification stage must be an object, got " + arg.name()}
	}
	top := &assignment{}
	if err := top.parse(arg, nil); err != nil {
		return nil, err
	}
	return func(d draft) (draft, error) {
		a := assigning{env: environment{draft: d}, out: draft{unknown: d.unknown}}
		doc, err := a.document(top, document(d.doc), "")
		a.out.doc = doc.b
		return a.out, err
	}, nil
}

func (a *assignment) parse(arg value, path []string) error {
	s := scan(arg.b)
	for s.more() {
		n := a
		parts := strings.Split(string(s.key), ".")
		if slices.ContainsFunc(parts, func(p string) bool { return p == "" || p[0] == '$' }) || len(path)+len(parts) > maxDepth {
			return unpredictable("a pipeline that sets %s", s.key)
		}
		for _, part := range parts {
			if n.expr.t != 0 {
				return unpredictable("a pipeline that sets a field and one below it")
			}
			n = n.kid(part)
		}
		if n.expr.t != 0 || len(n.kids) > 0 {
			return unpredictable("a pipeline that sets a field twice")
		}
		v := s.value()
		name, some := "", false
		if v.is(bson.TypeEmbeddedDocument) {
			name, some = first(v.b)
		}
		switch {
		case !v.is(bson.TypeEmbeddedDocument), strings.HasPrefix(name, "$"):
			n.expr = v
		case !some:
			return unpredictable("a pipeline that sets an empty document")
		default:
			if err := n.parse(v, append(path, parts...)); err != nil {
				return err
			}
		}
	}
	if s.bad {
		return errInvalid
	}
	return nil
}

func (a *assignment) kid(name string) *assignment {
	for _, k := range a.kids {
		if k.name == name {
			return k
		}
	}
	k := &assignment{name: name}
	a.kids = append(a.kids, k)
	return k
}

// assigning is one $set of one document.
type assigning struct {
	env   environment
	out   draft
	depth int
}

// document sets what is below a in a document: in place what is there, the rest behind it, in the order in which it is named.
func (g *assigning) document(a *assignment, doc value, path string) (value, error) {
	var b builder
	done := map[string]bool{}
	s := scan(doc.b)
	for s.more() {
		name := string(s.key)
		i := slices.IndexFunc(a.kids, func(k *assignment) bool { return k.name == name })
		v := s.value()
		if i >= 0 {
			done[name] = true
			var err error
			if v, err = g.field(a.kids[i], v, path+name); err != nil {
				return v, err
			}
		}
		b.add(name, v)
	}
	if s.bad {
		return value{}, errInvalid
	}
	for _, k := range a.kids {
		if done[k.name] {
			continue
		}
		v, err := g.field(k, value{}, path+k.name)
		if err != nil {
			return v, err
		}
		b.add(k.name, v)
	}
	return b.document(), nil
}

// field is what becomes of one field; the old value, or none, holds the place of what is not known.
func (g *assigning) field(a *assignment, old value, path string) (value, error) {
	if a.expr.t == 0 {
		return g.below(a, old, path)
	}
	v, err := g.env.eval(a.expr, 0)
	var open *openError
	if errors.As(err, &open) {
		g.out.unknown = append(without(g.out.unknown, path), Unknown{path, open.t, open.why})
		return old, nil
	}
	if err == nil {
		g.out.unknown = without(g.out.unknown, path)
	}
	return v, err
}

// below sets what is below a name: in a document, in each element of an array, in a new document in the place of anything else.
func (g *assigning) below(a *assignment, old value, path string) (value, error) {
	if g.depth++; g.depth > maxNesting {
		return old, unpredictable("a pipeline, of a document nested deeper than %d", maxNesting)
	}
	defer func() { g.depth-- }()
	switch old.t {
	case bson.TypeEmbeddedDocument:
		return g.document(a, old, path+".")
	case bson.TypeArray:
		vs, err := elements(old.b)
		if err != nil {
			return old, err
		}
		known := len(g.out.unknown)
		for i, v := range vs {
			if vs[i], err = g.below(a, v, path); err != nil {
				return old, err
			}
		}
		if len(g.out.unknown) > known {
			g.out.unknown = append(g.out.unknown[:known:known], Unknown{path, bson.TypeArray, g.out.unknown[known].Why})
		}
		return arrayOf(vs), nil
	}
	v, err := g.document(a, value{bson.TypeEmbeddedDocument, []byte{5, 0, 0, 0, 0}}, path+".")
	if err == nil && len(v.b) == 5 {
		return v, unpredictable("a pipeline that sets nothing below %s", path)
	}
	return v, err
}

// without leaves out what is at a path, or below it.
func without(list []Unknown, path string) (out []Unknown) {
	for _, u := range list {
		if u.Path != path && !strings.HasPrefix(u.Path, path+".") {
			out = append(out, u)
		}
	}
	return out
}

// parseUnset: https://www.mongodb.com/docs/manual/reference/operator/aggregation/unset/
func parseUnset(arg value) (stage, error) {
	names := []value{arg}
	if arg.is(bson.TypeArray) {
		var err error
		if names, err = elements(arg.b); err != nil {
			return nil, err
		}
	}
	var paths []string
	for _, n := range names {
		if !n.is(bson.TypeString) {
			return nil, &Error{31120, "Location31120", "$unset specification must be a string or an array containing only string values"}
		}
		paths = append(paths, string(n.text()))
	}
	if len(paths) == 0 {
		return nil, unpredictable("a pipeline that takes nothing away")
	}
	return exclusion(paths)
}

// parseExclusion is $project with nothing but fields that go. Others are not known here.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/project/#suppress-the-_id-field
func parseExclusion(arg value) (stage, error) {
	var paths []string
	s := scan(arg.b)
	for arg.is(bson.TypeEmbeddedDocument) && s.more() {
		if f, ok := s.value().real(); !ok && s.t != bson.TypeBoolean || ok && f != 0 || s.value().truthy() {
			return nil, unpredictable("a pipeline with $project that keeps or computes fields")
		}
		paths = append(paths, string(s.key))
	}
	if s.bad || len(paths) == 0 || slices.Equal(paths, []string{"_id"}) {
		return nil, unpredictable("a pipeline with $project of nothing")
	}
	return exclusion(paths)
}

func exclusion(paths []string) (stage, error) {
	tree := &assignment{}
	for _, p := range paths {
		parts := strings.Split(p, ".")
		if slices.ContainsFunc(parts, func(p string) bool { return p == "" || p[0] == '$' }) || len(parts) > maxDepth {
			return nil, unpredictable("a pipeline that takes %s away", p)
		}
		n := tree
		for _, part := range parts {
			if n.expr.t != 0 {
				return nil, unpredictable("a pipeline that takes a field and one below it away")
			}
			n = n.kid(part)
		}
		if n.expr.t != 0 || len(n.kids) > 0 {
			return nil, unpredictable("a pipeline that takes a field away twice")
		}
		n.expr = nullValue() // a leaf
	}
	return func(d draft) (draft, error) {
		v, err := tree.exclude(document(d.doc), 0)
		out := draft{v.b, d.unknown}
		for _, p := range paths {
			out.unknown = without(out.unknown, p)
		}
		return out, err
	}, nil
}

// exclude takes fields away, in arrays from each element.
func (a *assignment) exclude(v value, depth int) (value, error) {
	if depth > maxNesting {
		return v, unpredictable("a pipeline, of a document nested deeper than %d", maxNesting)
	}
	switch v.t {
	case bson.TypeEmbeddedDocument:
		var b builder
		s := scan(v.b)
		for s.more() {
			x := s.value()
			if i := slices.IndexFunc(a.kids, func(k *assignment) bool { return k.name == string(s.key) }); i >= 0 {
				if a.kids[i].expr.t != 0 {
					continue
				}
				var err error
				if x, err = a.kids[i].exclude(x, depth+1); err != nil {
					return x, err
				}
			}
			b.add(string(s.key), x)
		}
		if s.bad {
			return v, errInvalid
		}
		return b.document(), nil
	case bson.TypeArray:
		vs, err := elements(v.b)
		for i := range vs {
			if err == nil {
				vs[i], err = a.exclude(vs[i], depth+1)
			}
		}
		return arrayOf(vs), err
	}
	return v, nil
}

// newRoot is $replaceWith. https://www.mongodb.com/docs/manual/reference/operator/aggregation/replaceWith/
func newRoot(expr value) stage {
	return func(d draft) (draft, error) {
		env := environment{draft: d}
		v, err := env.eval(expr, 0)
		var open *openError
		switch {
		case errors.As(err, &open):
			return d, unpredictable("%s", open.why)
		case err != nil:
			return d, err
		case !v.is(bson.TypeEmbeddedDocument):
			return d, &Error{40228, "Location40228", "'replacement document' must evaluate to an object, but it is of type " + v.name()}
		}
		return draft{doc: v.b}, nil
	}
}

// seed is the document that an upsert begins with: what a filter fixes to one value.
func seed(filter []byte) ([]byte, error) {
	e := equalities{values: map[string]value{}}
	if err := e.filter(filter, 0); err != nil {
		return nil, err
	}
	return e.document()
}
