// Package document reads BSON documents without the driver, and writes their values as mongosh and Extended JSON have them. An auditor needs nothing but the
// bytes whose hash was recorded; and what the shell, the previews and the record show of a value is one text, made here.
//
// The format: https://bsonspec.org/spec.html
package document

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The kinds of values that others than this package must know.
const (
	Double   byte = 0x01
	String   byte = 0x02
	Document byte = 0x03
	Array    byte = 0x04
	Date     byte = 0x09
	Null     byte = 0x0a
	Int32    byte = 0x10
	Int64    byte = 0x12
	Decimal  byte = 0x13
)

// Value is a value as a document has it. Of the zero Value there is none.
type Value struct {
	Kind byte   // the type byte of BSON
	Data []byte // in the document's memory
}

// Is says whether two values are the same, byte for byte.
func (v Value) Is(w Value) bool { return v.Kind == w.Kind && bytes.Equal(v.Data, w.Data) }

// Nested says whether a value is a document or an array.
func (v Value) Nested() bool { return v.Kind == Document || v.Kind == Array }

// Element is a field of a document, or an element of an array, whose name is its number.
type Element struct {
	Name  string
	Value Value
}

var errInvalid = errors.New("is no BSON document")

// MaxDepth is how deep documents may be nested that are read here. A server takes no more than 100 levels.
const MaxDepth = 200

// Elements are the fields of a document or the elements of an array. What is nested in them is not looked at.
func Elements(doc []byte) (out []Element, err error) {
	if len(doc) < 5 || int(int32(binary.LittleEndian.Uint32(doc))) != len(doc) || doc[len(doc)-1] != 0 {
		return nil, errInvalid
	}
	r := reader{rest: doc[4 : len(doc)-1]}
	for len(r.rest) > 0 {
		kind := r.take(1)[0]
		name := r.cstring()
		before := r.rest
		r.skip(kind)
		if r.bad {
			return nil, errInvalid
		}
		out = append(out, Element{name, Value{kind, before[:len(before)-len(r.rest)]}})
	}
	return out, nil
}

// Lookup is the first field with a name; the zero Value if there is none.
func Lookup(doc []byte, name string) Value {
	list, _ := Elements(doc) // none
	for _, e := range list {
		if e.Name == name {
			return e.Value
		}
	}
	return Value{}
}

// sizes are those of the kinds that have always the same.
var sizes = map[byte]int{0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0a: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7f: 0, 0xff: 0}

// skip passes a value.
func (r *reader) skip(kind byte) {
	if n, fixed := sizes[kind]; fixed {
		r.take(n)
		return
	}
	switch kind {
	case 0x02, 0x0d, 0x0e:
		_ = r.string()
	case 0x03, 0x04, 0x0f:
		if len(r.rest) < 5 {
			r.bad = true
			return
		}
		n := int(int32(binary.LittleEndian.Uint32(r.rest)))
		if n < 5 {
			r.bad = true
			return
		}
		r.take(n)
	case 0x05:
		n := int(r.int32())
		r.take(1)
		r.take(n)
	case 0x0b:
		r.cstring()
		r.cstring()
	case 0x0c:
		_ = r.string()
		r.take(12)
	default:
		r.bad, r.rest = true, nil
	}
}

var typeNames = map[byte]string{
	0x01: "double", 0x02: "string", 0x03: "object", 0x04: "array", 0x05: "binData", 0x06: "undefined", 0x07: "objectId", 0x08: "bool", 0x09: "date", 0x0a: "null", 0x0b: "regex",
	0x0c: "dbPointer", 0x0d: "javascript", 0x0e: "symbol", 0x0f: "javascriptWithScope", 0x10: "int", 0x11: "timestamp", 0x12: "long", 0x13: "decimal", 0x7f: "maxKey", 0xff: "minKey",
}

// TypeName is the name that $type has for the type of a value.
// Source: https://www.mongodb.com/docs/manual/reference/bson-types/
func TypeName(kind byte) string {
	if n := typeNames[kind]; n != "" {
		return n
	}
	return fmt.Sprintf("type %d", kind)
}

// reader reads from the front of rest. After something that cannot be, bad is set and all it returns is empty.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad, r.rest = true, nil
		return make([]byte, min(max(n, 0), 16))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) int32() int32 { return int32(binary.LittleEndian.Uint32(r.take(4))) }

func (r *reader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *reader) cstring() string {
	i := bytes.IndexByte(r.rest, 0)
	if i < 0 {
		r.bad, r.rest = true, nil
		return ""
	}
	return string(r.take(i + 1)[:i])
}

func (r *reader) string() string {
	n := int(r.int32())
	if n < 1 || n > len(r.rest) || r.rest[n-1] != 0 {
		r.bad, r.rest = true, nil
		return ""
	}
	return string(r.take(n)[:n-1])
}
