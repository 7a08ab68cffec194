package wiretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// decided is a command in which each whole-document equality is replaced by whether it holds: the statement keeps its _id, or selects nothing.
func (d *Double) decided(doc bson.Raw, db string) (bson.Raw, error) {
	if d.exact == nil || !bytes.Contains(doc, []byte("$$ROOT")) && !bytes.Contains(doc, []byte("$replaceWith")) {
		return doc, nil
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	coll, _ := elems[0].Value().StringValueOK()
	var out bson.D
	for _, e := range elems {
		v := any(e.Value())
		switch e.Key() {
		case "filter", "query":
			if v, err = d.filter(db, coll, e.Value().Document()); err != nil {
				return nil, err
			}
		case "update":
			v = literal(e.Value())
		case "updates", "deletes":
			if v, err = d.statements(db, coll, e.Value().Array()); err != nil {
				return nil, err
			}
		}
		out = append(out, bson.E{Key: e.Key(), Value: v})
	}
	return bson.Marshal(out)
}

func (d *Double) statements(db, coll string, list bson.RawArray) (bson.A, error) {
	values, err := list.Values()
	if err != nil {
		return nil, err
	}
	var out bson.A
	for _, v := range values {
		elems, err := v.Document().Elements()
		if err != nil {
			return nil, err
		}
		var s bson.D
		for _, e := range elems {
			v := any(e.Value())
			if e.Key() == "u" {
				v = literal(e.Value())
			}
			if e.Key() == "q" {
				if v, err = d.filter(db, coll, e.Value().Document()); err != nil {
					return nil, err
				}
			}
			s = append(s, bson.E{Key: e.Key(), Value: v})
		}
		out = append(out, s)
	}
	return out, nil
}

// literal is the document that [{$replaceWith: {$literal: doc}}] makes of any other; another update is itself.
func literal(u bson.RawValue) any {
	stages, ok := u.ArrayOK()
	if !ok {
		return u
	}
	values, err := stages.Values()
	if err != nil || len(values) != 1 {
		return u
	}
	stage, _ := values[0].DocumentOK()
	if doc, ok := stage.Lookup("$replaceWith", "$literal").DocumentOK(); ok {
		return doc
	}
	return u
}

var errNotOurs = errors.New("wiretest: $$ROOT in a form that the double does not know")

// filter evaluates {_id: …, $expr: {$and: [{$eq: ["$$ROOT", {$literal: doc}]}, {$eq: [{$bsonSize: "$$ROOT"}, n]}, …]}} on the document that the literal names.
func (d *Double) filter(db, coll string, q bson.Raw) (bson.D, error) {
	var out bson.D
	elems, err := q.Elements()
	if err != nil {
		return nil, err
	}
	holds := true
	for _, e := range elems {
		if e.Key() != "$expr" {
			out = append(out, bson.E{Key: e.Key(), Value: e.Value()})
			continue
		}
		want, ok := e.Value().Document().Lookup("$and", "0", "$eq", "1", "$literal").DocumentOK()
		if !ok {
			return nil, errNotOurs
		}
		if want.Lookup("_id").Type == 0 { // of no document in the database
			holds = false
			continue
		}
		have, err := d.exact.Database(db).Collection(coll).FindOne(context.Background(), bson.D{{Key: "_id", Value: want.Lookup("_id")}}).Raw()
		if errors.Is(err, mongo.ErrNoDocuments) {
			holds = false
			continue
		}
		if err != nil {
			return nil, err
		}
		same, err := evaluate(e.Value(), have, nil)
		if err != nil {
			return nil, err
		}
		holds = holds && same == true
	}
	if !holds {
		return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{}}}}}, nil
	}
	return out, nil
}

// compared answers an aggregation that hands a document to the server and asks whether it matches such a condition; nil if a command is no such one.
func (d *Double) compared(cmd Command) bson.Raw {
	if d.exact == nil || cmd.Name != "aggregate" {
		return nil
	}
	doc, err := cmd.Doc.LookupErr("pipeline", "0", "$documents", "0", "$literal")
	if err != nil {
		return nil
	}
	expr, err := cmd.Doc.LookupErr("pipeline", "1", "$match", "$expr")
	if err != nil {
		return nil
	}
	found := bson.A{}
	holds, err := evaluate(expr, doc.Document(), nil)
	if err != nil {
		return encode(bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: int32(2)}, {Key: "codeName", Value: "BadValue"}, {Key: "errmsg", Value: err.Error()}})
	}
	if holds == true {
		found = bson.A{doc}
	}
	return encode(bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: cmd.DB + ".$cmd.aggregate"}, {Key: "firstBatch", Value: found}}}, {Key: "ok", Value: 1.0}})
}

// missing is the value of a field that is not there.
type missing struct{}

// evaluate computes an aggregation expression of those that conditions are made of, on a document, as the manual says. Values are bool, string, float64, []any, missing and
// bson.RawValue. this is the element of a $map.
func evaluate(expr bson.RawValue, root bson.Raw, this any) (any, error) {
	switch expr.Type {
	case bson.TypeArray:
		return evaluateAll(expr, root, this)
	case bson.TypeString:
		path, ok := strings.CutPrefix(expr.StringValue(), "$")
		switch {
		case !ok:
			return expr.StringValue(), nil
		case path == "$ROOT":
			return bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: root}, nil
		case path == "$this":
			return this, nil
		case strings.HasPrefix(path, "$this."):
			return at(this, strings.TrimPrefix(path, "$this.")), nil
		}
		return at(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: root}, path), nil
	case bson.TypeEmbeddedDocument:
	default:
		return plain(expr), nil
	}
	e, err := expr.Document().IndexErr(0)
	if err != nil {
		return nil, errNotOurs
	}
	arg := e.Value()
	switch e.Key() {
	case "$literal":
		return plain(arg), nil
	case "$and": // in order, and no further than needed
		values, err := arg.Array().Values()
		for _, v := range values {
			x, err := evaluate(v, root, this)
			if err != nil || x != true {
				return false, err
			}
		}
		return true, err
	case "$map":
		return evaluateMap(arg.Document(), root, this)
	case "$cond":
		yes, err := evaluate(arg.Array().Index(0), root, this)
		if err != nil {
			return nil, err
		}
		if yes == true {
			return evaluate(arg.Array().Index(1), root, this)
		}
		return evaluate(arg.Array().Index(2), root, this)
	}
	v, err := evaluate(arg, root, this)
	if err != nil {
		return nil, err
	}
	list, _ := v.([]any)
	switch e.Key() {
	case "$eq":
		return equal(list[0], list[1]), nil
	case "$lt":
		a, _ := number(list[0])
		b, _ := number(list[1])
		return a < b, nil
	case "$atan2":
		a, _ := number(list[0])
		b, _ := number(list[1])
		return math.Atan2(a, b), nil
	case "$bsonSize":
		return float64(len(v.(bson.RawValue).Value)), nil
	case "$toString":
		if raw, ok := v.(bson.RawValue); ok {
			return raw.Decimal128().String(), nil
		}
		return v, nil
	case "$type":
		return typeOf(v), nil
	}
	return nil, errNotOurs
}

func evaluateAll(list bson.RawValue, root bson.Raw, this any) (any, error) {
	values, err := list.Array().Values()
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, v := range values {
		x, err := evaluate(v, root, this)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func evaluateMap(arg bson.Raw, root bson.Raw, this any) (any, error) {
	input, err := evaluate(arg.Lookup("input"), root, this)
	if err != nil {
		return nil, err
	}
	list, ok := input.([]any)
	if !ok {
		return nil, errors.New("input to $map must be an array")
	}
	out := []any{}
	for _, v := range list {
		x, err := evaluate(arg.Lookup("in"), root, v)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// plain is a value as evaluate has it. Numbers other than doubles keep their type, which $type is asked for.
func plain(v bson.RawValue) any {
	switch v.Type {
	case bson.TypeString:
		return v.StringValue()
	case bson.TypeBoolean:
		return v.Boolean()
	case bson.TypeDouble:
		return v.Double()
	case bson.TypeArray:
		values, err := v.Array().Values()
		if err != nil {
			return v
		}
		out := []any{}
		for _, x := range values {
			out = append(out, plain(x))
		}
		return out
	}
	return v
}

// at follows a field path, which no array stands in the way of.
func at(v any, path string) any {
	for _, name := range strings.Split(path, ".") {
		raw, ok := v.(bson.RawValue)
		doc, isDoc := raw.DocumentOK()
		if !ok || !isDoc {
			return missing{}
		}
		next, err := doc.LookupErr(name)
		if err != nil {
			return missing{}
		}
		v = plain(next)
	}
	return v
}

func typeOf(v any) string {
	switch x := v.(type) {
	case missing:
		return "missing"
	case string:
		return "string"
	case bool:
		return "bool"
	case float64:
		return "double"
	case []any:
		return "array"
	case bson.RawValue:
		return map[bson.Type]string{
			bson.TypeEmbeddedDocument: "object", bson.TypeBinary: "binData", bson.TypeUndefined: "undefined", bson.TypeObjectID: "objectId", bson.TypeDateTime: "date", bson.TypeNull: "null",
			bson.TypeRegex: "regex", bson.TypeDBPointer: "dbPointer", bson.TypeJavaScript: "javascript", bson.TypeSymbol: "symbol", bson.TypeCodeWithScope: "javascriptWithScope",
			bson.TypeInt32: "int", bson.TypeTimestamp: "timestamp", bson.TypeInt64: "long", bson.TypeDecimal128: "decimal", bson.TypeMinKey: "minKey", bson.TypeMaxKey: "maxKey",
		}[x.Type]
	}
	return "?"
}

// equal compares as $eq does: numbers by value, everything else by bytes, fields in order.
func equal(a, b any) bool {
	f, ok1 := number(a)
	g, ok2 := number(b)
	if ok1 && ok2 {
		return f == g
	}
	x, ok1 := a.([]any)
	y, ok2 := b.([]any)
	if ok1 && ok2 {
		return slices.EqualFunc(x, y, equal)
	}
	v, ok1 := a.(bson.RawValue)
	w, ok2 := b.(bson.RawValue)
	if !ok1 || !ok2 {
		return ok1 == ok2 && fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b) && a == b
	}
	if v.Type == bson.TypeEmbeddedDocument && w.Type == bson.TypeEmbeddedDocument {
		return looselyEqual(v.Document(), w.Document())
	}
	return v.Type == w.Type && bytes.Equal(v.Value, w.Value)
}

func number(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case bson.RawValue:
		if x.Type == bson.TypeDecimal128 {
			f, err := strconv.ParseFloat(x.Decimal128().String(), 64)
			return f, err == nil
		}
		return x.AsFloat64OK()
	}
	return 0, false
}

func looselyEqual(a, b bson.Raw) bool {
	x, err1 := a.Elements()
	y, err2 := b.Elements()
	if err1 != nil || err2 != nil || len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].Key() != y[i].Key() || !equal(plain(x[i].Value()), plain(y[i].Value())) {
			return false
		}
	}
	return true
}
