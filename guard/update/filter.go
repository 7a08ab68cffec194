package update

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// maxDepth of a filter; the server's limit is 100 for each kind of nesting.
const maxDepth = 100

func parseFilter(filter []byte, depth int) (*predicate, error) {
	if depth > maxDepth {
		return nil, unpredictable("a filter nested deeper than %d", maxDepth)
	}
	out := &predicate{op: and}
	s := scan(filter)
	for s.more() {
		p, err := parseTop(string(s.key), s.value(), depth)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out.kids = append(out.kids, p)
		}
	}
	if s.bad {
		return nil, errInvalid
	}
	return out.simple(), nil
}

// simple is the only kid of a junction with one.
func (p *predicate) simple() *predicate {
	if len(p.kids) == 1 {
		return p.kids[0]
	}
	return p
}

// unknown is a condition that nothing here decides.
var unknown = &predicate{}

func parseTop(key string, v value, depth int) (*predicate, error) {
	switch key {
	case "$and", "$or", "$nor":
		return parseJunction(key, v, depth)
	case "$comment":
		return nil, nil
	}
	if !strings.HasPrefix(key, "$") {
		return parseCondition(strings.Split(key, "."), v, depth+1)
	}
	if parser(key) != nil {
		return nil, badValue("unknown top level operator: %s", key)
	}
	return unknown, nil
}

func parseJunction(key string, v value, depth int) (*predicate, error) {
	if !v.is(bson.TypeArray) {
		return nil, badValue("%s must be an array", key)
	}
	out := &predicate{op: map[string]junction{"$and": and, "$or": or, "$nor": nor}[key]}
	s := scan(v.b)
	for s.more() {
		if s.t != bson.TypeEmbeddedDocument {
			return nil, badValue("%s entries need to be full objects", key)
		}
		p, err := parseFilter(s.val, depth+1)
		if err != nil {
			return nil, err
		}
		out.kids = append(out.kids, p)
	}
	switch {
	case s.bad:
		return nil, errInvalid
	case len(out.kids) == 0:
		return nil, badValue("%s must be a nonempty array", key)
	case key != "$nor":
		return out.simple(), nil
	}
	return out, nil
}

// isOperators says whether a document is made of operators; a DBRef is not.
func isOperators(v value) bool {
	if !v.is(bson.TypeEmbeddedDocument) {
		return false
	}
	name, ok := first(v.b)
	return ok && strings.HasPrefix(name, "$") && (lookup(v.b, "$ref").missing() || lookup(v.b, "$id").missing())
}

// parseCondition is one field's condition: a value to be equal to, a regular expression, or operators.
func parseCondition(path []string, v value, depth int) (*predicate, error) {
	switch {
	case v.is(bson.TypeRegex):
		return regexLeaf(path, newPattern(v.regex())), nil
	case !isOperators(v):
		return comparison("$eq", path, v)
	}
	if depth > maxDepth {
		return nil, unpredictable("a filter nested deeper than %d", maxDepth)
	}
	out := &predicate{op: and}
	s := scan(v.b)
	for s.more() {
		c := condition{string(s.key), path, s.value(), v.b, depth}
		p, err := c.parse()
		if err != nil {
			return nil, err
		}
		if p != nil {
			out.kids = append(out.kids, p)
		}
	}
	if s.bad {
		return nil, errInvalid
	}
	return out.simple(), nil
}

// condition is one operator on a field.
type condition struct {
	op    string
	path  []string
	arg   value
	all   []byte // the operators beside it, itself too
	depth int
}

// parser reads one operator on a field; nil for what is not known here.
func parser(op string) func(condition) (*predicate, error) {
	switch op {
	case "$eq", "$gt", "$gte", "$lt", "$lte", "$ne":
		return compared
	case "$in", "$nin":
		return in
	case "$bitsAllClear", "$bitsAllSet", "$bitsAnyClear", "$bitsAnySet":
		return bitTest
	case "$all":
		return allOf
	case "$elemMatch":
		return elemMatch
	case "$exists":
		return exists
	case "$mod":
		return modulo
	case "$not":
		return negated
	case "$options":
		return regexOptions
	case "$regex":
		return regex
	case "$size":
		return size
	case "$type":
		return typed
	}
	return nil
}

func (c condition) parse() (*predicate, error) {
	if !strings.HasPrefix(c.op, "$") {
		return nil, badValue("unknown operator: %s", c.op)
	}
	if f := parser(c.op); f != nil {
		return f(c)
	}
	return unknown, nil
}

func (c condition) leaf(one func(v value) Answer) *predicate {
	return &predicate{op: leaf, path: c.path, one: func(v value, _ *elected) Answer { return one(v) }}
}

func compared(c condition) (*predicate, error) {
	if c.op == "$ne" {
		if c.arg.is(bson.TypeRegex) {
			return nil, badValue("Can't have regex as arg to $ne.")
		}
		p, err := comparison("$eq", c.path, c.arg)
		return &predicate{op: not, kids: []*predicate{p}}, err
	}
	if c.arg.is(bson.TypeRegex) && c.op != "$eq" {
		return nil, badValue("Can't have RegEx as arg to predicate over field '%s'.", strings.Join(c.path, "."))
	}
	return comparison(c.op, c.path, c.arg)
}

// comparison: comparisons stay within a type.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.find/#type-bracketing
func comparison(op string, path []string, arg value) (*predicate, error) {
	if arg.is(bson.TypeUndefined) {
		return unknown, nil
	}
	nan := arg.isNaN()
	return condition{path: path}.leaf(func(v value) Answer { return holds(op, v, arg, nan) }), nil
}

func holds(op string, v, arg value, nan bool) Answer {
	if v.rank() != arg.rank() {
		return acrossTypes(op, v, arg)
	}
	if op == "$eq" {
		return answer(compare(v, arg) == 0)
	}
	if nan || v.isNaN() {
		return answer(nan && v.isNaN() && (op == "$gte" || op == "$lte"))
	}
	switch c := compare(v, arg); op {
	case "$gt":
		return answer(c > 0)
	case "$gte":
		return answer(c >= 0)
	case "$lt":
		return answer(c < 0)
	default:
		return answer(c <= 0)
	}
}

func acrossTypes(op string, v, arg value) Answer {
	switch {
	case arg.is(bson.TypeNull) && v.is(bson.TypeUndefined) && op != "$gt" && op != "$lt":
		return Undecidable // equal until 8.0
	case op == "$eq", !arg.is(bson.TypeMinKey) && !arg.is(bson.TypeMaxKey):
		return No
	case v.missing():
		return Undecidable
	case arg.is(bson.TypeMinKey) && (op == "$gt" || op == "$gte"), arg.is(bson.TypeMaxKey) && (op == "$lt" || op == "$lte"):
		return Yes
	}
	return Undecidable
}

func list(c condition) ([]value, error) {
	if !c.arg.is(bson.TypeArray) {
		return nil, badValue("%s needs an array", c.op)
	}
	return elements(c.arg.b)
}

// in: https://www.mongodb.com/docs/manual/reference/operator/query/in/
func in(c condition) (*predicate, error) {
	all, err := list(c)
	if err != nil {
		return nil, err
	}
	var plain []value
	var patterns []*pattern
	null := false
	for _, v := range all {
		switch {
		case v.is(bson.TypeRegex):
			patterns = append(patterns, newPattern(v.regex()))
		case isOperators(v):
			return nil, badValue("cannot nest $ under %s", c.op)
		case v.is(bson.TypeUndefined):
			return unknown, nil
		default:
			plain = append(plain, v)
			null = null || v.is(bson.TypeNull)
		}
	}
	slices.SortFunc(plain, compare)
	p := c.leaf(func(v value) Answer {
		if v.is(bson.TypeUndefined) && null {
			return Undecidable
		}
		if _, ok := slices.BinarySearchFunc(plain, v, compare); ok {
			return Yes
		}
		out := No
		for _, re := range patterns {
			switch re.matches(v) {
			case Yes:
				return Yes
			case Undecidable:
				out = Undecidable
			}
		}
		return out
	})
	if c.op == "$nin" {
		return &predicate{op: not, kids: []*predicate{p}}, nil
	}
	return p, nil
}

// negated: https://www.mongodb.com/docs/manual/reference/operator/query/not/
func negated(c condition) (*predicate, error) {
	var p *predicate
	var err error
	switch {
	case c.arg.is(bson.TypeRegex):
		p = regexLeaf(c.path, newPattern(c.arg.regex()))
	case !c.arg.is(bson.TypeEmbeddedDocument):
		return nil, badValue("$not needs a regex or a document")
	case len(c.arg.b) == 5:
		return nil, badValue("$not cannot be empty")
	case !isOperators(c.arg):
		return nil, badValue("unknown operator under $not")
	default:
		p, err = parseCondition(c.path, c.arg, c.depth+1)
	}
	return &predicate{op: not, kids: []*predicate{p}}, err
}

// exists: https://www.mongodb.com/docs/manual/reference/operator/query/exists/
func exists(c condition) (*predicate, error) {
	p := c.leaf(func(v value) Answer { return answer(!v.missing()) })
	p.vague = true
	if c.arg.truthy() {
		return p, nil
	}
	return &predicate{op: not, kids: []*predicate{p}}, nil
}

// size: https://www.mongodb.com/docs/manual/reference/operator/query/size/
func size(c condition) (*predicate, error) {
	n, ok := c.arg.whole()
	if !ok || n < 0 {
		return nil, badValue("Failed to parse $size. Expected a non-negative integer in: %s", strings.Join(c.path, "."))
	}
	p := c.leaf(func(v value) Answer {
		if !v.is(bson.TypeArray) {
			return No
		}
		s, i := scan(v.b), int64(0)
		for s.more() {
			i++
		}
		return answer(i == n)
	})
	p.whole = true
	return p, nil
}

// allOf: https://www.mongodb.com/docs/manual/reference/operator/query/all/
func allOf(c condition) (*predicate, error) {
	all, err := list(c)
	if err != nil {
		return nil, err
	}
	out := &predicate{op: and}
	for _, v := range all {
		var p *predicate
		name := ""
		if isOperators(v) {
			name, _ = first(v.b)
		}
		switch {
		case name == "$elemMatch":
			p, err = parseCondition(c.path, v, c.depth+1)
		case name != "":
			return nil, badValue("no $ expressions in $all")
		case v.is(bson.TypeRegex):
			p = regexLeaf(c.path, newPattern(v.regex()))
		default:
			p, err = comparison("$eq", c.path, v)
		}
		if err != nil {
			return nil, err
		}
		out.kids = append(out.kids, p)
	}
	if len(out.kids) == 0 {
		out.op = or // which holds for nothing
	}
	return out.simple(), nil
}

// elemMatch: one element of an array fulfils all, as a document or as a value.
// Source: https://www.mongodb.com/docs/manual/reference/operator/query/elemMatch/
func elemMatch(c condition) (*predicate, error) {
	if !c.arg.is(bson.TypeEmbeddedDocument) {
		return nil, badValue("$elemMatch needs an Object")
	}
	name, _ := first(c.arg.b)
	var holds func(value) Answer
	if isOperators(c.arg) && !slices.Contains([]string{"$and", "$or", "$nor", "$where", "$expr"}, name) {
		p, err := parseCondition([]string{""}, c.arg, c.depth+1)
		if err != nil {
			return nil, err
		}
		holds = p.single
	} else {
		p, err := parseFilter(c.arg.b, c.depth+1)
		if err != nil {
			return nil, err
		}
		holds = func(v value) Answer {
			if !v.is(bson.TypeEmbeddedDocument) && !v.is(bson.TypeArray) {
				return No
			}
			return p.match(root{doc: v.b}, nil)
		}
	}
	return &predicate{op: leaf, path: c.path, whole: true, one: func(v value, found *elected) Answer {
		if !v.is(bson.TypeArray) {
			return No
		}
		out := No
		s := scan(v.b)
		for i := 0; s.more(); i++ {
			switch holds(s.value()) {
			case Yes:
				found.set(i, "")
				if found != nil {
					found.vague = found.vague || out == Undecidable
				}
				return Yes
			case Undecidable:
				out = Undecidable
			}
		}
		return out
	}}, nil
}

func regexLeaf(path []string, p *pattern) *predicate {
	return condition{path: path}.leaf(p.matches)
}

// regex: https://www.mongodb.com/docs/manual/reference/operator/query/regex/
func regex(c condition) (*predicate, error) {
	var source, opts []byte
	switch c.arg.t {
	case bson.TypeString:
		source = c.arg.text()
	case bson.TypeRegex:
		source, opts = c.arg.regex()
	default:
		return nil, badValue("$regex has to be a string")
	}
	if o := lookup(c.all, "$options"); !o.missing() {
		if !o.is(bson.TypeString) {
			return nil, badValue("$options has to be a string")
		}
		if len(opts) > 0 {
			return unknown, nil
		}
		opts = o.text()
	}
	if bytes.IndexByte(source, 0) >= 0 || bytes.IndexByte(opts, 0) >= 0 {
		return nil, badValue("Regular expression cannot contain an embedded null byte")
	}
	return regexLeaf(c.path, newPattern(source, opts)), nil
}

// regexOptions belong to $regex, which reads them.
func regexOptions(c condition) (*predicate, error) {
	if lookup(c.all, "$regex").missing() {
		return nil, badValue("$options needs a $regex")
	}
	return nil, nil
}

// modulo: https://www.mongodb.com/docs/manual/reference/operator/query/mod/
func modulo(c condition) (*predicate, error) {
	if !c.arg.is(bson.TypeArray) {
		return nil, badValue("malformed mod, needs to be an array")
	}
	args, err := elements(c.arg.b)
	if err != nil {
		return nil, err
	}
	if len(args) != 2 {
		return nil, badValue("malformed mod, needs two elements")
	}
	divisor, ok1 := truncate(args[0])
	remainder, ok2 := truncate(args[1])
	switch {
	case !isNumber(args[0].t):
		return nil, badValue("malformed mod, divisor not a number")
	case !ok1, !ok2: // versions differ
		return unknown, nil
	case divisor == 0:
		return nil, badValue("divisor cannot be 0")
	}
	return c.leaf(func(v value) Answer {
		n, ok := truncate(v)
		return answer(ok && n%divisor == remainder)
	}), nil
}

// truncate is the whole part of a number, if it fits 64 bits.
func truncate(v value) (int64, bool) {
	switch v.t {
	case bson.TypeDouble:
		f := v.double()
		return int64(f), f >= -(1<<63) && f < 1<<63
	case bson.TypeDecimal128:
		return decimalOf(v).truncated()
	}
	return v.integer()
}

// bitTest: https://www.mongodb.com/docs/manual/reference/operator/query-bitwise/
func bitTest(c condition) (*predicate, error) {
	positions, err := bitPositions(c.arg)
	if err != nil {
		return nil, err
	}
	set := strings.HasSuffix(c.op, "Set")
	every := strings.HasPrefix(c.op, "$bitsAll")
	return c.leaf(func(v value) Answer {
		var bit func(int) bool
		switch {
		case v.is(bson.TypeBinary):
			data := v.b[5:]
			bit = func(i int) bool { return i/8 < len(data) && data[i/8]>>(i%8)&1 == 1 }
		case isNumber(v.t):
			n, ok := v.whole()
			if !ok && v.is(bson.TypeDecimal128) {
				return Undecidable // versions differ
			}
			if !ok {
				return No
			}
			bit = func(i int) bool { return n>>min(i, 63)&1 == 1 }
		default:
			return No
		}
		for _, i := range positions {
			if (bit(i) == set) != every {
				return answer(!every)
			}
		}
		return answer(every)
	}), nil
}

// bitPositions reads a mask: a number, binary data, or a list of positions.
func bitPositions(arg value) (out []int, err error) {
	bad := badValue("bit positions must be a non-negative integer, binary data, or an array of non-negative integers")
	switch {
	case arg.is(bson.TypeBinary):
		for i, b := range arg.b[5:] {
			for j := range 8 {
				if b>>j&1 == 1 {
					out = append(out, i*8+j)
				}
			}
		}
	case isNumber(arg.t):
		n, ok := arg.whole()
		if !ok || n < 0 {
			return nil, bad
		}
		for i := range 63 {
			if n>>i&1 == 1 {
				out = append(out, i)
			}
		}
	case arg.is(bson.TypeArray):
		all, err := elements(arg.b)
		if err != nil {
			return nil, err
		}
		for _, v := range all {
			n, ok := v.whole()
			if !ok || n < 0 || n > 1<<31-1 {
				return nil, bad
			}
			out = append(out, int(n))
		}
	default:
		return nil, bad
	}
	return out, nil
}

// typed: https://www.mongodb.com/docs/manual/reference/operator/query/type/
func typed(c condition) (*predicate, error) {
	args := []value{c.arg}
	if c.arg.is(bson.TypeArray) {
		var err error
		if args, err = elements(c.arg.b); err != nil {
			return nil, err
		}
		if len(args) == 0 {
			return nil, badValue("%s must match at least one type", strings.Join(c.path, "."))
		}
	}
	var set [256]bool
	for _, a := range args {
		if err := typeSet(a, &set); err != nil {
			return nil, err
		}
	}
	p := c.leaf(func(v value) Answer { return answer(!v.missing() && set[v.t]) })
	p.vague = true
	return p, nil
}

// typeSet adds the types that an alias or a number stands for.
func typeSet(a value, set *[256]bool) error {
	if a.is(bson.TypeString) {
		name := string(a.text())
		if name == "number" {
			for _, t := range []bson.Type{bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128} {
				set[t] = true
			}
			return nil
		}
		for t, n := range typeNames {
			if n == name {
				set[t] = true
				return nil
			}
		}
		return badValue("Unknown type name alias: %s", name)
	}
	n, ok := a.whole()
	if !isNumber(a.t) {
		return typeMismatch("type must be represented as a number or a string")
	}
	if n == -1 {
		n = int64(bson.TypeMinKey)
	}
	if !ok || n <= 0 || n > 255 || typeNames[n] == "" {
		return badValue("Invalid numerical type code: %s", strconv.FormatInt(n, 10))
	}
	set[n] = true
	return nil
}
