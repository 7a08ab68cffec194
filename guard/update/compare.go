package update

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// rank is where a type stands in MongoDB's order of all values.
// Source: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
func rank(t bson.Type) int {
	switch t {
	case bson.TypeMinKey:
		return 1
	case bson.TypeUndefined:
		return 2
	case bson.TypeNull, 0:
		return 3
	case bson.TypeInt32, bson.TypeInt64, bson.TypeDouble, bson.TypeDecimal128:
		return 4
	case bson.TypeString, bson.TypeSymbol:
		return 5
	case bson.TypeEmbeddedDocument:
		return 6
	case bson.TypeArray:
		return 7
	case bson.TypeBinary:
		return 8
	case bson.TypeObjectID:
		return 9
	case bson.TypeBoolean:
		return 10
	case bson.TypeDateTime:
		return 11
	case bson.TypeTimestamp:
		return 12
	case bson.TypeRegex:
		return 13
	case bson.TypeDBPointer:
		return 14
	case bson.TypeJavaScript:
		return 15
	case bson.TypeCodeWithScope:
		return 16
	}
	return 17 // MaxKey
}

// Compare orders two values as MongoDB does without a collation: negative, zero, positive. Numbers compare by value, whatever their type.
func Compare(a, b bson.RawValue) int {
	if c := cmp.Compare(rank(a.Type), rank(b.Type)); c != 0 {
		return c
	}
	switch rank(a.Type) {
	case 4:
		return compareNumbers(a, b)
	case 5:
		x, _ := text(a)
		y, _ := text(b)
		return strings.Compare(x, y)
	case 6, 7:
		return compareDocuments(bson.Raw(a.Value), bson.Raw(b.Value), rank(a.Type) == 7)
	case 8:
		s, x := a.Binary()
		t, y := b.Binary()
		if c := cmp.Compare(len(x), len(y)); c != 0 {
			return c
		}
		if c := cmp.Compare(s, t); c != 0 {
			return c
		}
		return bytes.Compare(x, y)
	case 9:
		return bytes.Compare(a.Value, b.Value)
	case 10:
		return cmp.Compare(a.Value[0], b.Value[0])
	case 11:
		return cmp.Compare(a.DateTime(), b.DateTime())
	case 12:
		t, i := a.Timestamp()
		u, j := b.Timestamp()
		return cmp.Or(cmp.Compare(t, u), cmp.Compare(i, j))
	case 13:
		p, o := a.Regex()
		q, r := b.Regex()
		return cmp.Or(strings.Compare(p, q), strings.Compare(o, r))
	}
	return bytes.Compare(a.Value, b.Value)
}

func text(v bson.RawValue) (string, bool) {
	if s, ok := v.StringValueOK(); ok {
		return s, true
	}
	return v.SymbolOK()
}

func compareDocuments(a, b bson.Raw, array bool) int {
	x, err1 := a.Elements()
	y, err2 := b.Elements()
	if err1 != nil || err2 != nil {
		return bytes.Compare(a, b)
	}
	for i := range min(len(x), len(y)) {
		v, w := x[i].Value(), y[i].Value()
		if c := cmp.Compare(rank(v.Type), rank(w.Type)); c != 0 {
			return c
		}
		if c := strings.Compare(x[i].Key(), y[i].Key()); c != 0 && !array {
			return c
		}
		if c := Compare(v, w); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}

// compareNumbers: NaN is smaller than every number and equal to itself.
func compareNumbers(a, b bson.RawValue) int {
	x, xNaN, xInf := number(a)
	y, yNaN, yInf := number(b)
	switch {
	case xNaN || yNaN:
		return cmp.Compare(flag(yNaN), flag(xNaN))
	case xInf != 0 || yInf != 0:
		return cmp.Compare(xInf, yInf)
	}
	return x.Cmp(y)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// number is a value's exact number, or whether it is none, or which infinity.
func number(v bson.RawValue) (r *big.Rat, nan bool, inf int) {
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64:
		return new(big.Rat).SetInt64(v.AsInt64()), false, 0
	case bson.TypeDouble:
		f := v.Double()
		switch {
		case math.IsNaN(f):
			return nil, true, 0
		case math.IsInf(f, 0):
			return new(big.Rat), false, map[bool]int{true: 1, false: -1}[f > 0]
		}
		return new(big.Rat).SetFloat64(f), false, 0
	}
	d := v.Decimal128()
	if d.IsNaN() {
		return nil, true, 0
	}
	if i := d.IsInf(); i != 0 {
		return new(big.Rat), false, i
	}
	coef, exp, err := d.BigInt()
	if err != nil {
		return nil, true, 0
	}
	r = new(big.Rat).SetInt(coef)
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(abs(exp))), nil)
	if exp < 0 {
		return r.Quo(r, new(big.Rat).SetInt(ten)), false, 0
	}
	return r.Mul(r, new(big.Rat).SetInt(ten)), false, 0
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// Equal says whether two values are one to MongoDB: numbers by value, fields of documents in order.
func Equal(a, b bson.RawValue) bool { return Compare(a, b) == 0 }
