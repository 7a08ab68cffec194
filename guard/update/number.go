package update

import (
	"fmt"
	"math"
	"math/big"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

func isNumber(t bson.Type) bool {
	return t == bson.TypeInt32 || t == bson.TypeInt64 || t == bson.TypeDouble || t == bson.TypeDecimal128
}

// calculate is $inc and $mul. The result has the wider of the two types; an int that overflows becomes a long.
// Sources: https://www.mongodb.com/docs/manual/reference/operator/update/inc/ and …/mul/
func calculate(n *node, old *value) (*value, error) {
	verb := map[string]string{"$inc": "increment", "$mul": "multiply"}[n.op]
	if !isNumber(n.arg.t) {
		return nil, typeMismatch("Cannot %s with non-numeric argument: {%s: %s}", verb, n.path, typeName(n.arg.t))
	}
	if !isNumber(old.t) {
		return nil, typeMismatch("Cannot apply %s to a value of non-numeric type. The field '%s' is of type %s", n.op, n.path, typeName(old.t))
	}
	x, y := old.rawValue(), n.arg.rawValue()
	switch {
	case old.t == bson.TypeDecimal128 || n.arg.t == bson.TypeDecimal128:
		return decimals(n.op, x, y)
	case old.t == bson.TypeDouble || n.arg.t == bson.TypeDouble:
		if n.op == "$mul" {
			return doubleValue(x.AsFloat64() * y.AsFloat64()), nil
		}
		return doubleValue(x.AsFloat64() + y.AsFloat64()), nil
	}
	a, b := big.NewInt(x.AsInt64()), big.NewInt(y.AsInt64())
	sum := new(big.Int).Add(a, b)
	if n.op == "$mul" {
		sum.Mul(a, b)
	}
	if !sum.IsInt64() {
		return nil, badValue("Failed to apply %s operations to current value (%d) for document: integer overflow", n.op, a)
	}
	r := sum.Int64()
	if old.t == bson.TypeInt32 && n.arg.t == bson.TypeInt32 && r >= math.MinInt32 && r <= math.MaxInt32 {
		return int32Value(int32(r)), nil
	}
	return int64Value(r), nil
}

// decimals adds or multiplies exactly; what has to be rounded is not computed.
func decimals(op string, x, y bson.RawValue) (*value, error) {
	unknown := fmt.Errorf("%w: %s of a Decimal128 that has to be rounded", ErrNotPredictable, op)
	a, e, ok1 := decimal(x)
	b, f, ok2 := decimal(y)
	if !ok1 || !ok2 {
		return nil, unknown
	}
	if op == "$mul" {
		a, e = new(big.Int).Mul(a, b), e+f
	} else {
		if e-f > 40 || f-e > 40 {
			return nil, unknown
		}
		for ; e > f; e-- {
			a = new(big.Int).Mul(a, big.NewInt(10))
		}
		for ; f > e; f-- {
			b = new(big.Int).Mul(b, big.NewInt(10))
		}
		a = new(big.Int).Add(a, b)
	}
	if a.Sign() == 0 || len(new(big.Int).Abs(a).String()) > 34 {
		return nil, unknown // a zero has a sign of its own
	}
	d, ok := bson.ParseDecimal128FromBigInt(a, e)
	if !ok {
		return nil, unknown
	}
	h, l := d.GetBytes()
	return &value{t: bson.TypeDecimal128, raw: bsoncore.AppendDecimal128(nil, h, l)}, nil
}

func decimal(v bson.RawValue) (coef *big.Int, exp int, ok bool) {
	switch v.Type {
	case bson.TypeInt32, bson.TypeInt64:
		return big.NewInt(v.AsInt64()), 0, true
	case bson.TypeDecimal128:
		coef, exp, err := v.Decimal128().BigInt()
		return coef, exp, err == nil
	}
	return nil, 0, false // a double is rounded to 15 digits first
}

// bit is one operation of $bit.
type bit struct {
	op  string
	arg bson.RawValue
}

// parseBits: https://www.mongodb.com/docs/manual/reference/operator/update/bit/
func parseBits(path string, v bson.RawValue) (out []bit, err error) {
	doc, ok := v.DocumentOK()
	if !ok {
		return nil, badValue("The $bit modifier is not compatible with a %s. You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}", typeName(v.Type))
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	for _, e := range elems {
		if k := e.Key(); k != "and" && k != "or" && k != "xor" {
			return nil, badValue("The $bit modifier only supports 'and', 'or', and 'xor', not '%s' which is an unknown operator: {%s}", k, path)
		}
		if t := e.Value().Type; t != bson.TypeInt32 && t != bson.TypeInt64 {
			return nil, badValue("The $bit modifier field must be an Integer(32/64 bit); a '%s' is not supported here: {%s}", typeName(t), path)
		}
		out = append(out, bit{e.Key(), e.Value()})
	}
	if len(out) == 0 {
		return nil, badValue("You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}")
	}
	return out, nil
}

func bits(n *node, old *value) (*value, error) {
	if old.t != bson.TypeInt32 && old.t != bson.TypeInt64 {
		return nil, badValue("Cannot apply $bit to a value of non-integral type. The field '%s' has the value of type %s", n.path, typeName(old.t))
	}
	ops, err := parseBits(n.path, n.arg.rawValue())
	if err != nil {
		return nil, err
	}
	r, long := old.rawValue().AsInt64(), old.t == bson.TypeInt64
	for _, o := range ops {
		x := o.arg.AsInt64()
		long = long || o.arg.Type == bson.TypeInt64
		switch o.op {
		case "and":
			r &= x
		case "or":
			r |= x
		case "xor":
			r ^= x
		}
	}
	if long {
		return int64Value(r), nil
	}
	return int32Value(int32(r)), nil
}
