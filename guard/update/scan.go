package update

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// BSON is read here without allocating: a preview reads a million documents. Nothing is trusted; what is not valid BSON ends a scan.
// Source: https://bsonspec.org/spec.html

// errInvalid is wrapped by the errors for input that is not BSON.
var errInvalid = errors.New("not valid BSON")

// value is an encoded value: its type, and its bytes without type and key. Type 0 is a missing one. The bytes are as long as the type asks for.
type value struct {
	t bson.Type
	b []byte
}

func fromRaw(v bson.RawValue) value    { return value{v.Type, v.Value} }
func document(d []byte) value          { return value{bson.TypeEmbeddedDocument, d} }
func (v value) is(t bson.Type) bool    { return v.t == t }
func (v value) missing() bool          { return v.t == 0 }
func (v value) identical(w value) bool { return v.t == w.t && bytes.Equal(v.b, w.b) }
func (v value) int32() int32           { return int32(binary.LittleEndian.Uint32(v.b)) }
func (v value) int64() int64           { return int64(binary.LittleEndian.Uint64(v.b)) }
func (v value) double() float64        { return math.Float64frombits(binary.LittleEndian.Uint64(v.b)) }
func (v value) text() []byte           { return v.b[4 : len(v.b)-1] }
func (v value) regex() (pattern, o []byte) {
	i := bytes.IndexByte(v.b, 0)
	return v.b[:i], v.b[i+1 : len(v.b)-1]
}
func (v value) decimal() (high, low uint64) {
	return binary.LittleEndian.Uint64(v.b[8:]), binary.LittleEndian.Uint64(v.b)
}

// integer is the value of an int or a long.
func (v value) integer() (int64, bool) {
	switch v.t {
	case bson.TypeInt32:
		return int64(v.int32()), true
	case bson.TypeInt64:
		return v.int64(), true
	}
	return 0, false
}

// whole is the value of a number of any type that is a whole number of 64 bits.
func (v value) whole() (int64, bool) {
	switch v.t {
	case bson.TypeDouble:
		f := v.double()
		return int64(f), f == math.Trunc(f) && f >= -(1<<63) && f < 1<<63
	case bson.TypeDecimal128:
		return decimalOf(v).int64()
	}
	return v.integer()
}

// real is a number as a double: exact but for long and decimal ones. ok is false for what is no number.
func (v value) real() (f float64, ok bool) {
	switch v.t {
	case bson.TypeDouble:
		return v.double(), true
	case bson.TypeDecimal128:
		return decimalOf(v).float(), true
	}
	n, ok := v.integer()
	return float64(n), ok
}

// truthy is how a flag is read.
func (v value) truthy() bool {
	switch v.t {
	case bson.TypeBoolean:
		return v.b[0] != 0
	case bson.TypeNull, bson.TypeUndefined, 0:
		return false
	case bson.TypeDecimal128:
		return !decimalOf(v).zero()
	}
	if f, ok := v.real(); ok {
		return f != 0
	}
	return true
}

// scanner goes through the elements of a document or an array.
//
//	s := scan(doc)
//	for s.more() { … s.t, s.key, s.val … }
//	if s.bad { … }
type scanner struct {
	t    bson.Type
	key  []byte
	val  []byte
	off  int // where the element begins in the document
	end  int
	doc  []byte
	bad  bool // the document is not valid; known after the last element
	live bool
}

func scan(doc []byte) scanner {
	ok := isDocument(doc)
	return scanner{doc: doc, end: 4, bad: !ok, live: ok}
}

func isDocument(b []byte) bool {
	return len(b) >= 5 && int64(binary.LittleEndian.Uint32(b)) == int64(len(b)) && b[len(b)-1] == 0
}

// more reads the next element.
func (s *scanner) more() bool {
	if !s.live || s.end == len(s.doc)-1 {
		return false
	}
	s.off = s.end
	s.t = bson.Type(s.doc[s.off])
	rest := s.doc[s.off+1 : len(s.doc)-1]
	i := bytes.IndexByte(rest, 0)
	if i < 0 {
		s.bad, s.live = true, false
		return false
	}
	s.key, rest = rest[:i:i], rest[i+1:]
	n, ok := valueSize(s.t, rest)
	if !ok {
		s.bad, s.live = true, false
		return false
	}
	s.val = rest[:n:n]
	s.end += 1 + i + 1 + n
	return true
}

// value is the element's value.
func (s *scanner) value() value { return value{s.t, s.val} }

// fixed are the sizes of the values that have one.
var fixed = [256]int8{
	bson.TypeDouble: 8, bson.TypeUndefined: 0, bson.TypeObjectID: 12, bson.TypeBoolean: 1, bson.TypeDateTime: 8, bson.TypeNull: 0,
	bson.TypeInt32: 4, bson.TypeTimestamp: 8, bson.TypeInt64: 8, bson.TypeDecimal128: 16, bson.TypeMinKey: 0, bson.TypeMaxKey: 0,
}

// valueSize is how many of the bytes belong to a value of a type.
func valueSize(t bson.Type, b []byte) (int, bool) {
	if n := int(fixed[t]); n > 0 {
		return n, n <= len(b)
	}
	switch t {
	case bson.TypeNull, bson.TypeUndefined, bson.TypeMinKey, bson.TypeMaxKey:
		return 0, true
	case bson.TypeString, bson.TypeSymbol, bson.TypeJavaScript:
		return stringSize(b)
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		n, ok := length(b)
		return n, ok && isDocument(b[:n])
	case bson.TypeBinary:
		n, ok := length(b)
		return n + 5, ok && n+5 <= len(b)
	case bson.TypeRegex:
		i := bytes.IndexByte(b, 0)
		j := bytes.IndexByte(b[i+1:], 0)
		return i + 1 + j + 1, i >= 0 && j >= 0
	case bson.TypeDBPointer:
		n, ok := stringSize(b)
		return n + 12, ok && n+12 <= len(b)
	case bson.TypeCodeWithScope:
		n, ok := length(b)
		if !ok || n < 14 {
			return 0, false
		}
		code, ok := stringSize(b[4:n])
		return n, ok && isDocument(b[4+code:n])
	}
	return 0, false
}

// length reads a length in front of bytes that are there.
func length(b []byte) (int, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n := binary.LittleEndian.Uint32(b)
	return int(n), int64(n) <= int64(len(b))
}

func stringSize(b []byte) (int, bool) {
	n, ok := length(b)
	if !ok || n < 1 || n+4 > len(b) || b[n+3] != 0 {
		return 0, false
	}
	return n + 4, true
}

// lookup is a field of a document; missing if it is not there.
func lookup(doc []byte, key string) value {
	s := scan(doc)
	for s.more() {
		if string(s.key) == key {
			return s.value()
		}
	}
	return value{}
}

// elements are the values of an array, or of a document's fields.
func elements(doc []byte) ([]value, error) {
	var out []value
	s := scan(doc)
	for s.more() {
		out = append(out, s.value())
	}
	if s.bad {
		return nil, errInvalid
	}
	return out, nil
}

// first is the name of a document's first field; false for an empty or broken document.
func first(doc []byte) (name string, ok bool) {
	s := scan(doc)
	ok = s.more()
	return string(s.key), ok
}

func int32Value(n int32) value {
	return value{bson.TypeInt32, binary.LittleEndian.AppendUint32(nil, uint32(n))}
}

func int64Value(n int64) value {
	return value{bson.TypeInt64, binary.LittleEndian.AppendUint64(nil, uint64(n))}
}

func doubleValue(f float64) value {
	return value{bson.TypeDouble, binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))}
}

func nullValue() value { return value{t: bson.TypeNull} }

// typeNames are the aliases of the types as MongoDB has them.
// Source: https://www.mongodb.com/docs/manual/reference/bson-types/
var typeNames = [256]string{
	bson.TypeDouble: "double", bson.TypeString: "string", bson.TypeEmbeddedDocument: "object", bson.TypeArray: "array", bson.TypeBinary: "binData",
	bson.TypeUndefined: "undefined", bson.TypeObjectID: "objectId", bson.TypeBoolean: "bool", bson.TypeDateTime: "date", bson.TypeNull: "null",
	bson.TypeRegex: "regex", bson.TypeDBPointer: "dbPointer", bson.TypeJavaScript: "javascript", bson.TypeSymbol: "symbol",
	bson.TypeCodeWithScope: "javascriptWithScope", bson.TypeInt32: "int", bson.TypeTimestamp: "timestamp", bson.TypeInt64: "long",
	bson.TypeDecimal128: "decimal", bson.TypeMinKey: "minKey", bson.TypeMaxKey: "maxKey",
}

// TypeName is the alias of a BSON type as MongoDB's $type has it.
func TypeName(t bson.Type) string {
	if n := typeNames[t]; n != "" {
		return n
	}
	return fmt.Sprintf("type %d", byte(t))
}

func (v value) name() string { return TypeName(v.t) }
