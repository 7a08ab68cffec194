package update

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// value is a BSON value that can be changed in place. Documents and arrays are taken apart only where something looks into
// them; what nobody touched is written back as the bytes it came in.
type value struct {
	t      bson.Type
	raw    []byte // the value's bytes, if !open
	open   bool
	fields []field // of an open document or array; keys of arrays are not used
}

type field struct {
	key string
	val *value
}

func fromRaw(v bson.RawValue) *value { return &value{t: v.Type, raw: v.Value} }

func fromDocument(doc bson.Raw) *value { return &value{t: bson.TypeEmbeddedDocument, raw: doc} }

func emptyDocument() *value { return &value{t: bson.TypeEmbeddedDocument, open: true} }

func null() *value { return &value{t: bson.TypeNull} }

func (v *value) isDocument() bool { return v.t == bson.TypeEmbeddedDocument }
func (v *value) isArray() bool    { return v.t == bson.TypeArray }

// expand takes a document or array apart.
func (v *value) expand() error {
	if v.open {
		return nil
	}
	elems, err := bson.Raw(v.raw).Elements()
	if err != nil {
		return fmt.Errorf("not valid BSON: %w", err)
	}
	v.fields = make([]field, 0, len(elems)+2)
	for _, e := range elems {
		v.fields = append(v.fields, field{e.Key(), fromRaw(e.Value())})
	}
	v.open, v.raw = true, nil
	return nil
}

// child of an open document or array; nil if there is none.
func (v *value) child(key string) *value {
	if i := v.index(key); i >= 0 {
		return v.fields[i].val
	}
	return nil
}

func (v *value) index(key string) int {
	if v.isArray() {
		n, ok := arrayIndex(key)
		if !ok || n >= len(v.fields) {
			return -1
		}
		return n
	}
	for i, f := range v.fields {
		if f.key == key {
			return i
		}
	}
	return -1
}

// arrayIndex reads a path component as the server does: decimal, no sign, no leading zero.
func arrayIndex(s string) (int, bool) {
	if s == "" || len(s) > 9 || (len(s) > 1 && s[0] == '0') {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 31)
	return int(n), err == nil
}

// bytes is the encoded value.
func (v *value) bytes() []byte {
	if !v.open {
		return v.raw
	}
	var b []byte
	idx, b := bsoncore.ReserveLength(b)
	for i, f := range v.fields {
		key := f.key
		if v.isArray() {
			key = strconv.Itoa(i)
		}
		b = bsoncore.AppendHeader(b, bsoncore.Type(f.val.t), key)
		b = append(b, f.val.bytes()...)
	}
	b = append(b, 0)
	return bsoncore.UpdateLength(b, idx, int32(len(b)))
}

func (v *value) rawValue() bson.RawValue { return bson.RawValue{Type: v.t, Value: v.bytes()} }

// typeName is the type's alias as MongoDB names it.
// Source: https://www.mongodb.com/docs/manual/reference/bson-types/
func typeName(t bson.Type) string {
	switch t {
	case bson.TypeDouble:
		return "double"
	case bson.TypeEmbeddedDocument:
		return "object"
	case bson.TypeBinary:
		return "binData"
	case bson.TypeObjectID:
		return "objectId"
	case bson.TypeBoolean:
		return "bool"
	case bson.TypeDateTime:
		return "date"
	case bson.TypeRegex:
		return "regex"
	case bson.TypeDBPointer:
		return "dbPointer"
	case bson.TypeJavaScript:
		return "javascript"
	case bson.TypeCodeWithScope:
		return "javascriptWithScope"
	case bson.TypeInt32:
		return "int"
	case bson.TypeInt64:
		return "long"
	case bson.TypeDecimal128:
		return "decimal"
	case bson.TypeMinKey:
		return "minKey"
	case bson.TypeMaxKey:
		return "maxKey"
	}
	return t.String() // string, array, undefined, null, symbol, timestamp
}

// TypeName is the alias of a BSON type as MongoDB's $type has it.
func TypeName(t bson.Type) string { return typeName(t) }

func int32Value(n int32) *value {
	return &value{t: bson.TypeInt32, raw: binary.LittleEndian.AppendUint32(nil, uint32(n))}
}

func int64Value(n int64) *value {
	return &value{t: bson.TypeInt64, raw: binary.LittleEndian.AppendUint64(nil, uint64(n))}
}

func doubleValue(f float64) *value {
	return &value{t: bson.TypeDouble, raw: bsoncore.AppendDouble(nil, f)}
}

// Lookup finds a value by a dotted path through documents; not through arrays.
func Lookup(doc bson.Raw, path string) (bson.RawValue, bool) {
	v, err := doc.LookupErr(strings.Split(path, ".")...)
	return v, err == nil
}
