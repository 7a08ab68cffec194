package update

import (
	"errors"
	"math"
	"math/bits"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func isNumber(t bson.Type) bool { return ranks[t] == numbers }

// errOverflow: the result has no type.
var errOverflow = errors.New("integer overflow")

// calculate adds or multiplies. The result has the wider of the two types; an int that overflows becomes a long.
// Sources: https://www.mongodb.com/docs/manual/reference/operator/update/inc/ and …/mul/
func calculate(multiply bool, x, y value) (value, error) {
	switch {
	case x.t == bson.TypeDecimal128 || y.t == bson.TypeDecimal128:
		if multiply {
			return multiplyDecimals(operand(x), operand(y)).encode(), nil
		}
		return addDecimals(operand(x), operand(y)).encode(), nil
	case x.t == bson.TypeDouble || y.t == bson.TypeDouble:
		f, _ := x.real()
		g, _ := y.real()
		if multiply {
			return doubleValue(f * g), nil
		}
		return doubleValue(f + g), nil
	}
	m, _ := x.integer()
	n, _ := y.integer()
	r, ok := addInts(m, n)
	if multiply {
		r, ok = multiplyInts(m, n)
	}
	if !ok {
		return value{}, errOverflow
	}
	if x.t == bson.TypeInt32 && y.t == bson.TypeInt32 && r >= math.MinInt32 && r <= math.MaxInt32 {
		return int32Value(int32(r)), nil
	}
	return int64Value(r), nil
}

func addInts(m, n int64) (int64, bool) {
	r := m + n
	return r, (r > m) == (n > 0)
}

func multiplyInts(m, n int64) (int64, bool) {
	high, low := bits.Mul64(magnitude(m), magnitude(n))
	if neg := (m < 0) != (n < 0); neg {
		return -int64(low), high == 0 && low <= 1<<63
	}
	return int64(low), high == 0 && low < 1<<63
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// zero is what $mul makes of a field that is not there.
func zero(t bson.Type) value {
	switch t {
	case bson.TypeInt32:
		return int32Value(0)
	case bson.TypeInt64:
		return int64Value(0)
	case bson.TypeDouble:
		return doubleValue(0)
	}
	return decimalOf(int32Value(0)).encode()
}

// bit is one operation of $bit.
type bit struct {
	op  string
	arg value
}

// parseBits: https://www.mongodb.com/docs/manual/reference/operator/update/bit/
func parseBits(path string, v value) (out []bit, err error) {
	if !v.is(bson.TypeEmbeddedDocument) {
		return nil, badValue("The $bit modifier is not compatible with a %s. You must pass in an embedded document: {$bit: {field: {and/or/xor: #}}", v.name())
	}
	s := scan(v.b)
	for s.more() {
		k, x := string(s.key), s.value()
		if k != "and" && k != "or" && k != "xor" {
			return nil, badValue("The $bit modifier only supports 'and', 'or', and 'xor', not '%s' which is an unknown operator: {%s}", k, path)
		}
		if _, ok := x.integer(); !ok {
			return nil, badValue("The $bit modifier field must be an Integer(32/64 bit); a '%s' is not supported here: {%s}", x.name(), path)
		}
		out = append(out, bit{k, x})
	}
	switch {
	case s.bad:
		return nil, errInvalid
	case len(out) == 0:
		return nil, badValue("You must pass in at least one bitwise operation. The format is: {$bit: {field: {and/or/xor: #}}")
	}
	return out, nil
}

// combine is $bit on an int or a long.
func combine(ops []bit, old value) value {
	r, _ := old.integer()
	long := old.t == bson.TypeInt64
	for _, o := range ops {
		x, _ := o.arg.integer()
		long = long || o.arg.t == bson.TypeInt64
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
		return int64Value(r)
	}
	return int32Value(int32(r))
}
