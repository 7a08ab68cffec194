package update

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// ranks is where a type stands in MongoDB's order of all values.
// Source: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
var ranks = [256]uint8{
	bson.TypeMinKey:    1,
	bson.TypeUndefined: 2,
	bson.TypeNull:      3, 0: 3,
	bson.TypeInt32: numbers, bson.TypeInt64: numbers, bson.TypeDouble: numbers, bson.TypeDecimal128: numbers,
	bson.TypeString: texts, bson.TypeSymbol: texts,
	bson.TypeEmbeddedDocument: 6,
	bson.TypeArray:            7,
	bson.TypeBinary:           8,
	bson.TypeObjectID:         9,
	bson.TypeBoolean:          10,
	bson.TypeDateTime:         11,
	bson.TypeTimestamp:        12,
	bson.TypeRegex:            13,
	bson.TypeDBPointer:        14,
	bson.TypeJavaScript:       15,
	bson.TypeCodeWithScope:    16,
	bson.TypeMaxKey:           17,
}

const numbers, texts = 4, 5

func (v value) rank() uint8 { return ranks[v.t] }

// Compare orders two values as MongoDB does without a collation: negative, zero, positive. Numbers compare by value, whatever their type.
// Values that are not valid BSON compare by their bytes.
func Compare(a, b bson.RawValue) int {
	x, y := fromRaw(a), fromRaw(b)
	if !x.sound() || !y.sound() {
		return cmp.Or(cmp.Compare(x.t, y.t), bytes.Compare(x.b, y.b))
	}
	return compare(x, y)
}

// Equal says whether two values are one to MongoDB: numbers by value, fields of documents in order.
func Equal(a, b bson.RawValue) bool { return Compare(a, b) == 0 }

// sound says whether a value's bytes are those of its type.
func (v value) sound() bool {
	if v.missing() {
		return true
	}
	n, ok := valueSize(v.t, v.b)
	return ok && n == len(v.b)
}

func compare(a, b value) int { return compareAt(a, b, 0) }

// maxNesting is far deeper than the server stores documents (100 levels, or a little more); below, bytes are compared.
// Source: https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-Nested-Depth-for-BSON-Documents
const maxNesting = 1000

func compareAt(a, b value, depth int) int {
	r := a.rank()
	if c := cmp.Compare(r, b.rank()); c != 0 {
		return c
	}
	switch r {
	case numbers:
		return compareNumbers(a, b)
	case texts:
		return bytes.Compare(a.text(), b.text())
	}
	if a.t != b.t { // null and missing
		return 0
	}
	switch a.t {
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		return compareDocuments(a.b, b.b, a.t == bson.TypeArray, depth+1)
	case bson.TypeBinary, bson.TypeDBPointer: // by length, then subtype, then data
		return cmp.Or(cmp.Compare(len(a.b), len(b.b)), bytes.Compare(a.b[4:], b.b[4:]))
	case bson.TypeDateTime:
		return cmp.Compare(a.int64(), b.int64())
	case bson.TypeTimestamp:
		return cmp.Compare(uint64(a.int64()), uint64(b.int64()))
	case bson.TypeRegex:
		p, o := a.regex()
		q, r := b.regex()
		return cmp.Or(bytes.Compare(p, q), bytes.Compare(o, r))
	case bson.TypeJavaScript:
		return bytes.Compare(a.text(), b.text())
	case bson.TypeCodeWithScope:
		p, s := scoped(a.b)
		q, t := scoped(b.b)
		return cmp.Or(bytes.Compare(p, q), compareDocuments(s, t, false, depth+1))
	}
	return bytes.Compare(a.b, b.b)
}

// scoped takes JavaScript with a scope apart.
func scoped(b []byte) (code, scope []byte) {
	n := int(binary.LittleEndian.Uint32(b[4:]))
	return b[8 : 8+n-1], b[8+n:]
}

// compareDocuments goes through the fields in order: by type, then name, then value. The shorter one of two that are otherwise equal is smaller.
func compareDocuments(a, b []byte, array bool, depth int) int {
	if depth > maxNesting {
		return bytes.Compare(a, b)
	}
	x, y := scan(a), scan(b)
	for {
		m, n := x.more(), y.more()
		if !m || !n {
			return cmp.Or(flag(m)-flag(n), flag(y.bad)-flag(x.bad))
		}
		v, w := x.value(), y.value()
		if c := cmp.Compare(v.rank(), w.rank()); c != 0 {
			return c
		}
		if !array {
			if c := bytes.Compare(x.key, y.key); c != 0 {
				return c
			}
		}
		if c := compareAt(v, w, depth); c != 0 {
			return c
		}
	}
}

// compareNumbers: NaN is smaller than every number and equal to itself.
func compareNumbers(a, b value) int {
	m, long1 := a.integer()
	n, long2 := b.integer()
	switch {
	case long1 && long2:
		return cmp.Compare(m, n)
	case a.t == bson.TypeDouble && b.t == bson.TypeDouble:
		return cmp.Compare(a.double(), b.double())
	case long1 && b.t == bson.TypeDouble && small(m):
		return cmp.Compare(float64(m), b.double())
	case a.t == bson.TypeDouble && long2 && small(n):
		return cmp.Compare(a.double(), float64(n))
	}
	return compareDecimals(decimalOf(a), decimalOf(b))
}

// small says whether a double has room for n.
func small(n int64) bool { return n <= 1<<53 && n >= -(1<<53) }

func (v value) isNaN() bool {
	return v.t == bson.TypeDouble && math.IsNaN(v.double()) || v.t == bson.TypeDecimal128 && decimalOf(v).kind == notANumber
}
