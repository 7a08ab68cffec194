package update

import (
	"encoding/binary"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The expressions of a pipeline that are known exactly: paths, variables, literals, and the operators below. Everything else leaves one field open.
// Source: https://www.mongodb.com/docs/manual/reference/mql/expressions/

// openError says why the value of an expression is not known, and of which type it will be, if that is. It wraps ErrNotPredictable.
type openError struct {
	t   bson.Type
	why string
}

func (e *openError) Error() string { return ErrNotPredictable.Error() + ": " + e.why }
func (e *openError) Unwrap() error { return ErrNotPredictable }

func open(why string) error { return &openError{why: why} }

// environment is what an expression can look at.
type environment struct {
	draft draft
	vars  map[string]value
}

// eval is the value of an expression; missing if it has none.
func (e *environment) eval(expr value, depth int) (value, error) {
	if depth > maxDepth {
		return value{}, open("an expression nested too deep")
	}
	switch expr.t {
	case bson.TypeString:
		s := string(expr.text())
		switch {
		case strings.HasPrefix(s, "$$"):
			return e.variable(strings.Split(s[2:], "."))
		case strings.HasPrefix(s, "$"):
			return e.path(document(e.draft.doc), strings.Split(s[1:], "."), "")
		}
		return expr, nil
	case bson.TypeArray:
		vs, err := e.list(expr, depth)
		for i := range vs {
			if vs[i].missing() {
				vs[i] = nullValue()
			}
		}
		return arrayOf(vs), err
	case bson.TypeEmbeddedDocument:
		if name, ok := first(expr.b); ok && strings.HasPrefix(name, "$") {
			return e.operator(name, expr, depth)
		}
		return e.document(expr, depth)
	}
	return expr, nil
}

// list evaluates each element.
func (e *environment) list(arg value, depth int) ([]value, error) {
	vs, err := elements(arg.b)
	for i := range vs {
		if err == nil {
			vs[i], err = e.eval(vs[i], depth+1)
		}
	}
	return vs, err
}

func (e *environment) document(expr value, depth int) (value, error) {
	var b builder
	s := scan(expr.b)
	for s.more() {
		if len(s.key) == 0 || strings.ContainsAny(string(s.key), ".$") {
			return value{}, open("an expression with a field called " + string(s.key))
		}
		v, err := e.eval(s.value(), depth+1)
		if err != nil {
			return v, err
		}
		b.add(string(s.key), v)
	}
	if s.bad {
		return value{}, errInvalid
	}
	return b.document(), nil
}

// variable: https://www.mongodb.com/docs/manual/reference/aggregation-variables/
func (e *environment) variable(parts []string) (value, error) {
	rest := parts[1:]
	switch parts[0] {
	case "ROOT", "CURRENT":
		if len(rest) > 0 {
			return e.path(document(e.draft.doc), rest, "")
		}
		if len(e.draft.unknown) > 0 {
			return value{}, open("it depends on " + e.draft.unknown[0].Path)
		}
		return document(e.draft.doc), nil
	case "REMOVE":
		if len(rest) == 0 {
			return value{}, nil
		}
	case "NOW":
		return value{}, &openError{bson.TypeDateTime, "the server's clock ($$NOW)"}
	case "CLUSTER_TIME":
		return value{}, &openError{bson.TypeTimestamp, "the server's clock ($$CLUSTER_TIME)"}
	}
	v, ok := e.vars[parts[0]]
	if !ok {
		return v, open("the variable $$" + parts[0])
	}
	return e.path(v, rest, "$")
}

// path finds a value, in arrays one of each element that is a document. at is where v is in the document, "$" if it is elsewhere.
// Source: https://www.mongodb.com/docs/manual/core/field-paths/
func (e *environment) path(v value, parts []string, at string) (value, error) {
	for i, part := range parts {
		if part == "" || part[0] == '$' {
			return value{}, open("a path with an empty name, or one that begins with a dollar")
		}
		if at != "$" {
			if at = strings.TrimPrefix(at+"."+part, "."); e.doubted(at, i == len(parts)-1) {
				return value{}, open("it depends on " + at)
			}
		}
		switch v.t {
		case bson.TypeEmbeddedDocument:
			v = lookup(v.b, part)
		case bson.TypeArray:
			return e.each(v, parts[i:], at)
		default:
			return value{}, nil
		}
	}
	return v, nil
}

// each goes on in each element of an array that is a document.
func (e *environment) each(arr value, parts []string, at string) (value, error) {
	vs, err := elements(arr.b)
	if err != nil {
		return value{}, err
	}
	var found []value
	for _, x := range vs {
		if !x.is(bson.TypeEmbeddedDocument) {
			continue
		}
		v, err := e.path(x, parts, "$")
		if err != nil {
			return v, err
		}
		if !v.missing() {
			found = append(found, v)
		}
	}
	return arrayOf(found), nil
}

// doubted says whether what is at a path is not known; if whole, also whether something below it is not.
func (e *environment) doubted(path string, whole bool) bool {
	return slices.ContainsFunc(e.draft.unknown, func(u Unknown) bool {
		return u.Path == path || whole && strings.HasPrefix(u.Path, path+".")
	})
}

// operator evaluates {$name: …}.
func (e *environment) operator(name string, expr value, depth int) (value, error) {
	s := scan(expr.b)
	if s.more(); s.end != len(s.doc)-1 {
		return value{}, open("an expression with more than one operator")
	}
	arg := s.value()
	switch name {
	case "$literal":
		return arg, nil
	case "$cond":
		return e.condition(arg, depth)
	case "$filter", "$map":
		return e.loop(name, arg, depth)
	case "$rand":
		return value{}, &openError{bson.TypeDouble, "$rand"}
	}
	f, ok := functions[name]
	if !ok {
		return value{}, open("the expression " + name)
	}
	args := []value{}
	var err error
	if arg.is(bson.TypeArray) {
		args, err = e.list(arg, depth)
	} else {
		args = append(args, value{})
		args[0], err = e.eval(arg, depth+1)
	}
	if err != nil {
		return value{}, err
	}
	if f.arity > 0 && len(args) != f.arity {
		return value{}, open(name + " with the wrong number of arguments")
	}
	v, ok := f.call(args)
	if !ok {
		return value{}, open("the expression " + name + " of values of these types")
	}
	return v, nil
}

func (e *environment) condition(arg value, depth int) (value, error) {
	var parts []value
	switch arg.t {
	case bson.TypeArray:
		parts, _ = elements(arg.b)
	case bson.TypeEmbeddedDocument:
		parts = []value{lookup(arg.b, "if"), lookup(arg.b, "then"), lookup(arg.b, "else")}
	}
	if len(parts) != 3 || slices.ContainsFunc(parts, value.missing) {
		return value{}, open("$cond with other than three parts")
	}
	c, err := e.eval(parts[0], depth+1)
	if err != nil {
		return c, err
	}
	return e.eval(parts[2-flag(c.truthy())], depth+1)
}

// loop is $filter and $map.
func (e *environment) loop(name string, arg value, depth int) (value, error) {
	body, as := lookup(arg.b, map[string]string{"$filter": "cond", "$map": "in"}[name]), lookup(arg.b, "as")
	if !arg.is(bson.TypeEmbeddedDocument) || body.missing() || !lookup(arg.b, "limit").missing() || !lookup(arg.b, "arrayIndexAs").missing() {
		return value{}, open(name + " in a form that is not known here")
	}
	variable := "this"
	if as.is(bson.TypeString) {
		variable = string(as.text())
	}
	in, err := e.eval(lookup(arg.b, "input"), depth+1)
	switch {
	case err != nil:
		return in, err
	case in.missing(), in.is(bson.TypeNull):
		return nullValue(), nil
	case !in.is(bson.TypeArray):
		return in, open(name + " of what is not an array")
	}
	vs, err := elements(in.b)
	if err != nil {
		return in, err
	}
	inner := environment{draft: e.draft, vars: map[string]value{}}
	for k, v := range e.vars {
		inner.vars[k] = v
	}
	out := vs[:0]
	for _, v := range vs {
		inner.vars[variable] = v
		r, err := inner.eval(body, depth+1)
		switch {
		case err != nil:
			return r, err
		case name == "$filter" && r.truthy():
			out = append(out, v)
		case name == "$map" && r.missing():
			out = append(out, nullValue())
		case name == "$map":
			out = append(out, r)
		}
	}
	return arrayOf(out), nil
}

// function is an operator whose arguments are evaluated first. call returns false for what it does not know, errors among it.
type function struct {
	arity int // 0: any
	call  func(args []value) (value, bool)
}

var functions = map[string]function{
	"$add": {0, sum},
	"$and": {0, func(a []value) (value, bool) {
		return boolean(!slices.ContainsFunc(a, func(v value) bool { return !v.truthy() })), true
	}},
	"$arrayElemAt":  {2, elementAt},
	"$concat":       {0, concatenate},
	"$concatArrays": {0, concatenateArrays},
	"$eq":           comparing(func(c int) bool { return c == 0 }),
	"$gt":           comparing(func(c int) bool { return c > 0 }),
	"$gte":          comparing(func(c int) bool { return c >= 0 }),
	"$ifNull":       {0, ifNull},
	"$isArray":      {1, func(a []value) (value, bool) { return boolean(a[0].is(bson.TypeArray)), true }},
	"$lt":           comparing(func(c int) bool { return c < 0 }),
	"$lte":          comparing(func(c int) bool { return c <= 0 }),
	"$mergeObjects": {0, mergeObjects},
	"$multiply":     {2, product},
	"$ne":           comparing(func(c int) bool { return c != 0 }),
	"$not":          {1, func(a []value) (value, bool) { return boolean(!a[0].truthy()), true }},
	"$or":           {0, func(a []value) (value, bool) { return boolean(slices.ContainsFunc(a, value.truthy)), true }},
	"$size":         {1, sizeOf},
	"$subtract":     {2, difference},
}

func boolean(b bool) value { return value{bson.TypeBoolean, []byte{byte(flag(b))}} }

func (v value) nullish() bool {
	return v.missing() || v.is(bson.TypeNull) || v.is(bson.TypeUndefined)
}

// comparing compares across types. What is missing is smaller than null.
func comparing(holds func(c int) bool) function {
	return function{2, func(a []value) (value, bool) {
		for _, v := range a {
			if v.is(bson.TypeUndefined) || v.is(bson.TypeMinKey) {
				return value{}, false
			}
		}
		if a[0].missing() || a[1].missing() {
			return boolean(holds(flag(a[1].missing()) - flag(a[0].missing()))), true
		}
		return boolean(holds(compare(a[0], a[1]))), true
	}}
}

// numbersOf says whether arguments are numbers with which we reckon as the server does, and whether there is a null among them. Decimals are not: in which
// order they meet decides how their sum is written. Nor are longs beyond what a double holds, beside doubles.
func numbersOf(a []value) (null, ok bool) {
	large, doubles := false, false
	for _, v := range a {
		switch n, whole := v.integer(); {
		case v.nullish():
			null = true
		case !isNumber(v.t), v.is(bson.TypeDecimal128):
			return false, false
		default:
			large, doubles = large || whole && !small(n), doubles || !whole
		}
	}
	return null, !large || !doubles
}

// sum: of more than two numbers only if they are integers, since doubles are added with more digits than they have.
func sum(a []value) (value, bool) {
	null, ok := numbersOf(a)
	if !ok || len(a) > 2 && slices.ContainsFunc(a, func(v value) bool { _, whole := v.integer(); return !whole && !v.nullish() }) {
		return value{}, false
	}
	if null {
		return nullValue(), true
	}
	total := int32Value(0)
	for i, v := range a {
		if i == 0 {
			total = v
			continue
		}
		r, err := calculate(false, total, v)
		if err != nil {
			return value{}, false
		}
		total = r
	}
	return total, true
}

func product(a []value) (value, bool) {
	null, ok := numbersOf(a)
	if !ok || null {
		return nullValue(), ok
	}
	r, err := calculate(true, a[0], a[1])
	return r, err == nil
}

func difference(a []value) (value, bool) {
	null, ok := numbersOf(a)
	if !ok || null {
		return nullValue(), ok
	}
	minus, err := calculate(true, a[1], int32Value(-1))
	if err != nil || minus.t != a[1].t { // the smallest int, or long
		return value{}, false
	}
	r, err := calculate(false, a[0], minus)
	return r, err == nil
}

func elementAt(a []value) (value, bool) {
	if a[0].nullish() || a[1].nullish() {
		return nullValue(), true
	}
	i, ok := a[1].whole()
	if !a[0].is(bson.TypeArray) || !ok || i != int64(int32(i)) {
		return value{}, false
	}
	vs, err := elements(a[0].b)
	if i < 0 {
		i += int64(len(vs))
	}
	if err != nil || i < 0 || i >= int64(len(vs)) {
		return value{}, err == nil
	}
	return vs[i], true
}

func concatenate(a []value) (value, bool) {
	var b strings.Builder
	for _, v := range a {
		switch {
		case v.nullish():
			return nullValue(), !slices.ContainsFunc(a, func(w value) bool { return !w.nullish() && !w.is(bson.TypeString) })
		case !v.is(bson.TypeString):
			return value{}, false
		}
		b.Write(v.text())
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(b.Len()+1))
	return value{bson.TypeString, append(append(out, b.String()...), 0)}, true
}

func concatenateArrays(a []value) (value, bool) {
	var all []value
	for _, v := range a {
		switch {
		case v.nullish():
			return nullValue(), !slices.ContainsFunc(a, func(w value) bool { return !w.nullish() && !w.is(bson.TypeArray) })
		case !v.is(bson.TypeArray):
			return value{}, false
		}
		vs, err := elements(v.b)
		if err != nil {
			return value{}, false
		}
		all = append(all, vs...)
	}
	return arrayOf(all), true
}

func ifNull(a []value) (value, bool) {
	for _, v := range a {
		if !v.nullish() {
			return v, len(a) > 1
		}
	}
	return a[len(a)-1], len(a) > 1
}

func sizeOf(a []value) (value, bool) {
	vs, err := elements(a[0].b)
	return int32Value(int32(len(vs))), a[0].is(bson.TypeArray) && err == nil
}

// mergeObjects: a later document's field takes the place of an earlier one's of the same name.
func mergeObjects(a []value) (value, bool) {
	var names []string
	fields := map[string]value{}
	for _, v := range a {
		if v.nullish() {
			continue
		}
		if !v.is(bson.TypeEmbeddedDocument) {
			return value{}, false
		}
		s := scan(v.b)
		for s.more() {
			if _, ok := fields[string(s.key)]; !ok {
				names = append(names, string(s.key))
			}
			fields[string(s.key)] = s.value()
		}
	}
	var b builder
	for _, n := range names {
		b.add(n, fields[n])
	}
	return b.document(), true
}

// builder writes a document. Missing values are left out.
type builder struct{ out []byte }

func (b *builder) add(name string, v value) {
	if v.missing() {
		return
	}
	if b.out == nil {
		b.out = []byte{0, 0, 0, 0}
	}
	b.out = append(append(append(b.out, byte(v.t)), name...), 0)
	b.out = append(b.out, v.b...)
}

func (b *builder) document() value {
	if b.out == nil {
		return value{bson.TypeEmbeddedDocument, []byte{5, 0, 0, 0, 0}}
	}
	b.out = append(b.out, 0)
	binary.LittleEndian.PutUint32(b.out, uint32(len(b.out)))
	return value{bson.TypeEmbeddedDocument, b.out}
}
