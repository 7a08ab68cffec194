package plan

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// The server's $eq takes 1, Long(1) and 1.0 as equal, 0.0 and -0.0, 1.1 and 1.10 of Decimal128. Beside the comparison of the whole document stands therefore one of what
// is said of each number in it:
//
//	{$eq: [[{$type: "$a"}, {$map: {input: "$items", in: [{$type: "$$this.qty"}]}}, …], {$literal: ["int", [["long"], ["missing"]], …]}]}
//
// Where there is a zero its sign stands there besides, {$lt: [{$atan2: [x, -1]}, 0]}, and where there is a Decimal128 its text, {$toString: x}. Two documents for which the whole comparison and
// this one hold have the same bytes, but for the payload of a NaN.
//
// Sources: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/, …/operator/aggregation/type/, …/atan2/, …/toString/.

// maxNumbers is how many numbers of a document are told about one by one. A document with more is sent in a way in which the server returns what was there.
const maxNumbers = 300

// typeNames are what $type says. Source: https://www.mongodb.com/docs/manual/reference/bson-types/
var typeNames = map[bson.Type]string{
	bson.TypeDouble: "double", bson.TypeString: "string", bson.TypeEmbeddedDocument: "object", bson.TypeArray: "array", bson.TypeBinary: "binData", bson.TypeUndefined: "undefined",
	bson.TypeObjectID: "objectId", bson.TypeBoolean: "bool", bson.TypeDateTime: "date", bson.TypeNull: "null", bson.TypeRegex: "regex", bson.TypeDBPointer: "dbPointer",
	bson.TypeJavaScript: "javascript", bson.TypeSymbol: "symbol", bson.TypeCodeWithScope: "javascriptWithScope", bson.TypeInt32: "int", bson.TypeTimestamp: "timestamp",
	bson.TypeInt64: "long", bson.TypeDecimal128: "decimal", bson.TypeMinKey: "minKey", bson.TypeMaxKey: "maxKey",
}

// numbers are the expressions about a document's numbers, and what they come to for it: the elements of two arrays, as BSON.
type numbers struct {
	exprs, wants []byte
	n, told      int
}

// numbersOf writes down what is said of each number in a document. ok is false if there is one of which that cannot be said: below a name that an expression cannot
// reach, a name that stands twice, in an array in an array, a NaN, or too many.
func numbersOf(doc bson.Raw) (out numbers, ok bool) {
	ok = out.document("$", doc) && out.told <= maxNumbers && !holdsOld(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc})
	return out, ok
}

func (x *numbers) key() string {
	x.n++
	return strconv.Itoa(x.n - 1)
}

// document tells about the numbers that stand in a document at a path, and in documents inside it.
func (x *numbers) document(path string, doc bson.Raw) bool {
	elems, err := doc.Elements()
	if err != nil {
		return false
	}
	for i, e := range elems {
		v := e.Value()
		if !holdsNumber(v) {
			continue
		}
		name := e.Key()
		if !reachable(name) || slices.ContainsFunc(elems[:i], func(o bson.RawElement) bool { return o.Key() == name }) || slices.ContainsFunc(elems[i+1:], func(o bson.RawElement) bool { return o.Key() == name }) {
			return false
		}
		ok := false
		switch v.Type {
		case bson.TypeEmbeddedDocument:
			ok = x.document(path+name+".", v.Document())
		case bson.TypeArray:
			ok = x.array(path+name, v.Array())
		case bson.TypeCodeWithScope:
		default:
			ok = x.number(path+name, v)
		}
		if !ok {
			return false
		}
	}
	return true
}

// reachable says whether a field path can name a field.
func reachable(name string) bool {
	return name != "" && !strings.HasPrefix(name, "$") && !strings.Contains(name, ".")
}

func (x *numbers) number(path string, v bson.RawValue) bool {
	s, ok := saidOf(v)
	if !ok {
		return false
	}
	x.told++
	k := x.key()
	x.exprs = appendAbout(x.exprs, k, path, s.signed || s.text != "")
	x.wants = s.append(x.wants, k, s.signed || s.text != "")
	return true
}

// said is what is said of one value.
type said struct {
	kind     string // of $type
	signed   bool   // a zero
	negative bool   // of a double
	text     string // of a Decimal128
}

func saidOf(v bson.RawValue) (s said, ok bool) {
	s.kind = typeNames[v.Type]
	switch v.Type {
	case bson.TypeDouble:
		f := v.Double()
		s.signed, s.negative = f == 0, math.Signbit(f)
		return s, !math.IsNaN(f)
	case bson.TypeDecimal128:
		d := v.Decimal128()
		s.text = d.String()
		again, err := bson.ParseDecimal128(s.text)
		return s, err == nil && again == d && s.text != "NaN"
	}
	return s, s.kind != ""
}

// append appends what an expression of appendAbout comes to.
func (s said) append(dst []byte, key string, more bool) []byte {
	if !more {
		return bsoncore.AppendStringElement(dst, key, s.kind)
	}
	at, dst := bsoncore.AppendArrayElementStart(dst, key)
	dst = bsoncore.AppendStringElement(dst, "0", s.kind)
	dst = bsoncore.AppendStringElement(dst, "1", s.text)
	dst = bsoncore.AppendBooleanElement(dst, "2", s.negative)
	dst, _ = bsoncore.AppendArrayEnd(dst, at) // only fails for an index of no start
	return dst
}

// appendAbout is {$type: x}, and with more [{$type: x}, {$toString: x, if it is a decimal, and else ""}, whether x is a double that is negative]. What is asked of a number is
// asked of another value where x is none: a server was seen that evaluates both sides of $cond.
func appendAbout(dst []byte, key, x string, more bool) []byte {
	if !more {
		return appendCall(dst, key, "$type", x)
	}
	at, dst := bsoncore.AppendArrayElementStart(dst, key)
	dst = appendCall(dst, "0", "$type", x)
	text, dst := bsoncore.AppendDocumentElementStart(dst, "1")
	dst = appendIfType(dst, "$toString", x, "decimal", func(dst []byte, key string) []byte { return bsoncore.AppendStringElement(dst, key, "") })
	dst, _ = bsoncore.AppendDocumentEnd(dst, text)
	dst = appendNegative(dst, "2", x)
	dst, _ = bsoncore.AppendArrayEnd(dst, at) // only fails for an index of no start
	return dst
}

func appendCall(dst []byte, key, function, x string) []byte {
	at, dst := bsoncore.AppendDocumentElementStart(dst, key)
	dst = bsoncore.AppendStringElement(dst, function, x)
	dst, _ = bsoncore.AppendDocumentEnd(dst, at)
	return dst
}

// appendIfType is {$cond: [{$eq: [{$type: x}, kind]}, x, no]}.
func appendIfType(dst []byte, key, x, kind string, no func([]byte, string) []byte) []byte {
	doc, dst := bsoncore.AppendDocumentElementStart(dst, key)
	list, dst := bsoncore.AppendArrayElementStart(dst, "$cond")
	eq, dst := bsoncore.AppendDocumentElementStart(dst, "0")
	sides, dst := bsoncore.AppendArrayElementStart(dst, "$eq")
	dst = bsoncore.AppendStringElement(appendCall(dst, "0", "$type", x), "1", kind)
	for _, at := range []int32{sides, eq} {
		dst, _ = bsoncore.AppendDocumentEnd(dst, at)
	}
	dst = no(bsoncore.AppendStringElement(dst, "1", x), "2")
	for _, at := range []int32{list, doc} {
		dst, _ = bsoncore.AppendDocumentEnd(dst, at)
	}
	return dst
}

// appendNegative is {$lt: [{$atan2: [x if it is a double, else 1, -1]}, 0]}: the angle of (-1, x) lies below the axis exactly if x has the sign bit, -0.0 too.
func appendNegative(dst []byte, key, x string) []byte {
	doc, dst := bsoncore.AppendDocumentElementStart(dst, key)
	lt, dst := bsoncore.AppendArrayElementStart(dst, "$lt")
	angle, dst := bsoncore.AppendDocumentElementStart(dst, "0")
	args, dst := bsoncore.AppendArrayElementStart(dst, "$atan2")
	dst = appendIfType(dst, "0", x, "double", func(dst []byte, key string) []byte { return bsoncore.AppendDoubleElement(dst, key, 1) })
	dst = bsoncore.AppendDoubleElement(dst, "1", -1)
	for _, at := range []int32{args, angle} {
		dst, _ = bsoncore.AppendDocumentEnd(dst, at)
	}
	dst = bsoncore.AppendInt32Element(dst, "1", 0)
	for _, at := range []int32{lt, doc} {
		dst, _ = bsoncore.AppendDocumentEnd(dst, at)
	}
	return dst
}

// array tells about the numbers of an array: those that are its elements, and those in documents that are. Each element is asked for all that one of them has.
func (x *numbers) array(path string, arr bson.RawArray) bool {
	values, err := arr.Values()
	if err != nil {
		return false
	}
	var paths []string // "" is the element itself
	add := func(p string) {
		if !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	more := false
	for _, v := range values {
		switch v.Type {
		case bson.TypeEmbeddedDocument:
			if !numberPaths("", v.Document(), func(p string, v bson.RawValue) bool {
				s, ok := saidOf(v)
				more = more || s.signed || s.text != ""
				add(p)
				return ok
			}) {
				return false
			}
		case bson.TypeArray, bson.TypeCodeWithScope:
			if holdsNumber(v) {
				return false
			}
		default:
			if isNumber(v) {
				s, ok := saidOf(v)
				if !ok {
					return false
				}
				more = more || s.signed || s.text != ""
				add("")
			}
		}
	}
	if x.told += len(paths) * len(values); x.told > maxNumbers {
		return false
	}
	k := x.key()
	doc, b := bsoncore.AppendDocumentElementStart(x.exprs, k)
	mapped, b := bsoncore.AppendDocumentElementStart(b, "$map")
	b = bsoncore.AppendStringElement(b, "input", path)
	in, b := bsoncore.AppendArrayElementStart(b, "in")
	for i, p := range paths {
		b = appendAbout(b, strconv.Itoa(i), strings.TrimSuffix("$$this."+p, "."), more)
	}
	for _, at := range []int32{in, mapped, doc} {
		b, _ = bsoncore.AppendDocumentEnd(b, at)
	}
	x.exprs = b
	list, b := bsoncore.AppendArrayElementStart(x.wants, k)
	for i, v := range values {
		one, c := bsoncore.AppendArrayElementStart(b, strconv.Itoa(i))
		for j, p := range paths {
			s, ok := saidAt(v, p)
			if !ok {
				return false
			}
			c = s.append(c, strconv.Itoa(j), more)
		}
		b, _ = bsoncore.AppendArrayEnd(c, one)
	}
	x.wants, _ = bsoncore.AppendArrayEnd(b, list)
	return true
}

// saidAt is what is said of the value at a path in an element of an array. ok is false where the path goes through another array, which an expression would spread.
func saidAt(v bson.RawValue, path string) (said, bool) {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if v.Type == bson.TypeArray {
			return said{}, false
		}
		doc, ok := v.DocumentOK()
		if !ok {
			return said{kind: "missing"}, true
		}
		elems, err := doc.Elements()
		if err != nil {
			return said{}, false
		}
		found := slices.IndexFunc(elems, func(e bson.RawElement) bool { return e.Key() == name })
		if found < 0 {
			return said{kind: "missing"}, true
		}
		v = elems[found].Value()
	}
	return saidOf(v)
}

// numberPaths hands the path of each number of a document to each. It is false where one cannot be reached by a path that stands for it alone.
func numberPaths(prefix string, doc bson.Raw, each func(path string, v bson.RawValue) bool) bool {
	elems, err := doc.Elements()
	if err != nil {
		return false
	}
	for i, e := range elems {
		v, name := e.Value(), e.Key()
		if slices.ContainsFunc(elems[:i], func(o bson.RawElement) bool { return o.Key() == name }) {
			return false
		}
		switch {
		case !holdsNumber(v):
			continue
		case !reachable(name), v.Type == bson.TypeArray, v.Type == bson.TypeCodeWithScope:
			return false
		case v.Type == bson.TypeEmbeddedDocument:
			if !numberPaths(prefix+name+".", v.Document(), each) {
				return false
			}
		case !each(prefix+name, v):
			return false
		}
	}
	return true
}

// holdsOld says whether a value has a symbol or an undefined inside, which servers take as equal to a string and to null.
func holdsOld(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeSymbol, bson.TypeUndefined:
		return true
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		elems, err := bson.Raw(v.Value).Elements()
		return err != nil || slices.ContainsFunc(elems, func(e bson.RawElement) bool { return holdsOld(e.Value()) })
	}
	return false
}

func isNumber(v bson.RawValue) bool {
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return true
	}
	return false
}

// holdsNumber says whether a value is a number or has one inside.
func holdsNumber(v bson.RawValue) bool {
	var inside bson.Raw
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		inside = v.Document()
	case bson.TypeArray:
		inside = bson.Raw(v.Array())
	case bson.TypeCodeWithScope:
		_, inside = v.CodeWithScope()
	default:
		return isNumber(v)
	}
	elems, err := inside.Elements()
	return err != nil || slices.ContainsFunc(elems, func(e bson.RawElement) bool { return holdsNumber(e.Value()) })
}

// Sampler is a document with something of each kind that conditions speak of, for which a server must find that the condition holds. FerretDB 1 closes the connection for a
// Decimal128, and gets none.
func Sampler(decimals bool) bson.Raw {
	var tenth any = "1.10"
	if d, err := bson.ParseDecimal128("1.10"); err == nil && decimals {
		tenth = d
	}
	raw, err := bson.Marshal(bson.D{
		{Key: "_id", Value: "sample"}, {Key: "i", Value: int32(1)}, {Key: "l", Value: int64(1)}, {Key: "d", Value: 1.0}, {Key: "z", Value: math.Copysign(0, -1)}, {Key: "p", Value: tenth},
		{Key: "in", Value: bson.D{{Key: "n", Value: int64(2)}}}, {Key: "a", Value: bson.A{int32(1), "x", 0.0, tenth, bson.D{{Key: "q", Value: 2.5}}}},
	})
	if err != nil {
		panic("plan: internal error: " + err.Error())
	}
	return raw
}
