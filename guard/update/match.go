package update

import (
	"math"
	"slices"
	"strconv"
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

// all is whether all of several hold; any, whether one does.
func all(each []Answer) Answer {
	switch {
	case slices.Contains(each, No):
		return No
	case slices.Contains(each, Undecidable):
		return Undecidable
	}
	return Yes
}

func anyOf(each []Answer) Answer {
	switch {
	case slices.Contains(each, Yes):
		return Yes
	case slices.Contains(each, Undecidable):
		return Undecidable
	}
	return No
}

// Match says whether a document matches a filter, without a collation. What it does not fully know is Undecidable, never a guess: regular expressions,
// $expr, $where, $text, $jsonSchema, geometry and bit tests, and null compared across arrays.
// Source: https://www.mongodb.com/docs/manual/reference/mql/query-predicates/
func Match(filter, doc bson.Raw) Answer {
	elems, err := filter.Elements()
	if err != nil {
		return Undecidable
	}
	var each []Answer
	for _, e := range elems {
		each = append(each, matchField(e.Key(), e.Value(), doc))
	}
	return all(each)
}

func matchField(key string, cond bson.RawValue, doc bson.Raw) Answer {
	switch key {
	case "$and", "$or", "$nor":
		return matchLogic(key, cond, doc)
	case "$comment":
		return Yes
	}
	if strings.HasPrefix(key, "$") {
		return Undecidable
	}
	found, ok := values(doc, strings.Split(key, "."))
	if !ok {
		return Undecidable
	}
	return matchCondition(cond, found)
}

func matchLogic(key string, cond bson.RawValue, doc bson.Raw) Answer {
	arr, ok := cond.ArrayOK()
	if !ok {
		return Undecidable
	}
	list, err := arr.Values()
	if err != nil || len(list) == 0 {
		return Undecidable
	}
	var each []Answer
	for _, v := range list {
		sub, ok := v.DocumentOK()
		if !ok {
			return Undecidable
		}
		each = append(each, Match(sub, doc))
	}
	switch key {
	case "$and":
		return all(each)
	case "$or":
		return anyOf(each)
	}
	return anyOf(each).not()
}

// candidates are what a path finds in a document.
type candidates struct {
	values  []bson.RawValue // Type 0: the field is missing there
	through bool            // an array stands on the path, before its end
}

// values finds the values at a path, looking into the elements of arrays on the way, and at a numbered one. ok is false if the server's answer is not known.
func values(doc bson.Raw, parts []string) (c candidates, ok bool) {
	v, err := doc.LookupErr(parts[0])
	switch {
	case err != nil:
		c.values = append(c.values, bson.RawValue{})
		return c, true
	case len(parts) == 1:
		c.values = append(c.values, v)
		return c, true
	}
	rest := parts[1:]
	if sub, isDoc := v.DocumentOK(); isDoc {
		return values(sub, rest)
	}
	arr, isArray := v.ArrayOK()
	if !isArray {
		c.values = append(c.values, bson.RawValue{})
		return c, true
	}
	c.through = true
	list, err := arr.Values()
	if err != nil {
		return c, false
	}
	if _, err := strconv.ParseUint(rest[0], 10, 31); err == nil {
		return c, false // an element by number, or a field that is called so in each element
	}
	for _, x := range list {
		sub, isDoc := x.DocumentOK()
		if !isDoc {
			if x.Type == bson.TypeArray {
				return c, false
			}
			continue
		}
		more, ok := values(sub, rest)
		if !ok {
			return c, false
		}
		c.values = append(c.values, more.values...)
	}
	return c, true
}

// matchCondition is one field's condition: a value to be equal to, or operators.
func matchCondition(cond bson.RawValue, found candidates) Answer {
	doc, ok := cond.DocumentOK()
	if ok {
		elems, err := doc.Elements()
		if err != nil {
			return Undecidable
		}
		if len(elems) > 0 && strings.HasPrefix(elems[0].Key(), "$") {
			var each []Answer
			for _, e := range elems {
				each = append(each, matchOperator(e.Key(), e.Value(), found))
			}
			return all(each)
		}
	}
	return matchOperator("$eq", cond, found)
}

func matchOperator(op string, arg bson.RawValue, found candidates) Answer {
	switch op {
	case "$eq", "$gt", "$gte", "$lt", "$lte", "$type", "$mod":
		return found.any(func(v bson.RawValue) Answer { return matchValue(op, arg, v) }, arg)
	case "$ne":
		return matchOperator("$eq", arg, found).not()
	case "$in", "$nin":
		arr, ok := arg.ArrayOK()
		if !ok {
			return Undecidable
		}
		list, err := arr.Values()
		if err != nil {
			return Undecidable
		}
		each := []Answer{No}
		for _, w := range list {
			if w.Type == bson.TypeRegex {
				each = append(each, Undecidable)
				continue
			}
			each = append(each, matchOperator("$eq", w, found))
		}
		if op == "$nin" {
			return anyOf(each).not()
		}
		return anyOf(each)
	case "$not":
		if doc, ok := arg.DocumentOK(); ok && isOperators(doc) {
			return matchCondition(arg, found).not()
		}
	case "$exists":
		there := slices.ContainsFunc(found.values, func(v bson.RawValue) bool { return v.Type != 0 })
		return answer(there == truthy(arg))
	case "$size":
		n, ok := arg.AsInt64OK()
		if !ok {
			return Undecidable
		}
		return answer(slices.ContainsFunc(found.values, func(v bson.RawValue) bool {
			arr, ok := v.ArrayOK()
			list, err := arr.Values()
			return ok && err == nil && int64(len(list)) == n
		}))
	case "$elemMatch":
		return matchElem(arg, found)
	case "$all":
		arr, ok := arg.ArrayOK()
		if !ok {
			return Undecidable
		}
		list, err := arr.Values()
		if err != nil {
			return Undecidable
		}
		if len(list) == 0 {
			return No
		}
		var each []Answer
		for _, w := range list {
			if d, ok := w.DocumentOK(); ok && isOperators(d) {
				each = append(each, matchCondition(w, found))
			} else {
				each = append(each, matchOperator("$eq", w, found))
			}
		}
		return all(each)
	}
	return Undecidable
}

func isOperators(doc bson.Raw) bool {
	e, err := doc.IndexErr(0)
	return err == nil && strings.HasPrefix(e.Key(), "$")
}

func truthy(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	if f, ok := v.AsFloat64OK(); ok {
		return f != 0
	}
	return v.Type != bson.TypeNull && v.Type != bson.TypeUndefined
}

// any says whether one of the values holds, or one element of an array among them.
func (c candidates) any(holds func(bson.RawValue) Answer, arg bson.RawValue) Answer {
	if c.through && len(c.values) == 0 && (arg.Type == bson.TypeNull || arg.Type == bson.TypeUndefined) {
		return Undecidable // null, and no element has the field because none is a document
	}
	each := []Answer{No}
	for _, v := range c.values {
		each = append(each, holds(v))
		if arr, ok := v.ArrayOK(); ok {
			list, err := arr.Values()
			if err != nil {
				return Undecidable
			}
			for _, x := range list {
				each = append(each, holds(x))
			}
		}
	}
	return anyOf(each)
}

// matchValue compares one value; Type 0 is a missing one, which is equal to null.
func matchValue(op string, arg, v bson.RawValue) Answer {
	if arg.Type == bson.TypeRegex || arg.Type == bson.TypeUndefined {
		return Undecidable
	}
	switch op {
	case "$type":
		return matchType(arg, v)
	case "$mod":
		return matchMod(arg, v)
	}
	if v.Type == bson.TypeUndefined {
		return Undecidable
	}
	if rank(arg.Type) != rank(v.Type) {
		if arg.Type == bson.TypeMinKey || arg.Type == bson.TypeMaxKey {
			return Undecidable
		}
		return No // comparisons stay within a type
	}
	if rank(arg.Type) == 4 {
		_, n1, _ := number(arg)
		_, n2, _ := number(v)
		if n1 || n2 {
			return answer(n1 && n2 && (op == "$eq" || op == "$gte" || op == "$lte"))
		}
	}
	c := Compare(v, arg)
	switch op {
	case "$eq":
		return answer(c == 0)
	case "$gt":
		return answer(c > 0)
	case "$gte":
		return answer(c >= 0)
	case "$lt":
		return answer(c < 0)
	}
	return answer(c <= 0)
}

// matchType: https://www.mongodb.com/docs/manual/reference/operator/query/type/
func matchType(arg, v bson.RawValue) Answer {
	if v.Type == 0 {
		return No
	}
	one := func(a bson.RawValue) Answer {
		if s, ok := a.StringValueOK(); ok {
			return answer(s == typeName(v.Type) || (s == "number" && rank(v.Type) == 4))
		}
		if n, ok := a.AsInt64OK(); ok {
			return answer(n == int64(v.Type) || (n == -1 && v.Type == bson.TypeMinKey))
		}
		return Undecidable
	}
	if arr, ok := arg.ArrayOK(); ok {
		list, err := arr.Values()
		if err != nil {
			return Undecidable
		}
		var each []Answer
		for _, a := range list {
			each = append(each, one(a))
		}
		return anyOf(each)
	}
	return one(arg)
}

func matchMod(arg, v bson.RawValue) Answer {
	arr, ok := arg.ArrayOK()
	if !ok {
		return Undecidable
	}
	list, err := arr.Values()
	if err != nil || len(list) != 2 || rank(v.Type) != 4 {
		return answer(false)
	}
	d, ok1 := list[0].AsInt64OK()
	r, ok2 := list[1].AsInt64OK()
	if !ok1 || !ok2 || d == 0 || v.Type == bson.TypeDecimal128 {
		return Undecidable
	}
	if f, isDouble := v.DoubleOK(); isDouble && (math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > 1<<62) {
		return Undecidable
	}
	return answer(v.AsInt64()%d == r)
}

// matchElem is $elemMatch: one element of an array fulfils all, as a document or as a value.
func matchElem(arg bson.RawValue, found candidates) Answer {
	cond, ok := arg.DocumentOK()
	if !ok {
		return Undecidable
	}
	each := []Answer{No}
	for _, v := range found.values {
		arr, ok := v.ArrayOK()
		if !ok {
			continue
		}
		list, err := arr.Values()
		if err != nil {
			return Undecidable
		}
		for _, x := range list {
			each = append(each, matchElement(cond, x))
		}
	}
	return anyOf(each)
}

// matchElement says whether an element of an array fulfils a condition: operators on it as a value, or a filter on it as a document.
func matchElement(cond bson.Raw, x bson.RawValue) Answer {
	e, err := cond.IndexErr(0)
	if err == nil && strings.HasPrefix(e.Key(), "$") && !slices.Contains([]string{"$and", "$or", "$nor"}, e.Key()) {
		if x.Type == bson.TypeArray {
			return Undecidable
		}
		return matchCondition(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: cond}, candidates{values: []bson.RawValue{x}})
	}
	switch x.Type {
	case bson.TypeEmbeddedDocument:
		return Match(cond, x.Document())
	case bson.TypeArray:
		return Undecidable // a filter may look into it by number
	}
	return No
}
