package update

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Decimal128 arithmetic as the server does it: 34 digits, halves rounded to even, the exponent of a sum the smaller one, the exponent of a product
// the sum, as long as that leaves the result exact; zeros at the end are part of a number.
//
// Sources: IEEE 754-2008, sections 5.2 and 5.4.1, for the arithmetic and 3.5.2 for the encoding;
// https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md
const (
	decimalDigits = 34
	minExponent   = -6176
	maxExponent   = 6111
)

// decimal is coef × 10^exp, or not finite. coef is never negative, and never changed once it is here.
type decimal struct {
	kind decimalKind
	neg  bool
	coef *big.Int
	exp  int
}

type decimalKind uint8

const (
	finite decimalKind = iota
	infinite
	notANumber
)

var (
	tooLarge   = tenTo(decimalDigits)
	tooLarge15 = tenTo(15)
)

// tenTo is 10^n.
func tenTo(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// digits is the number of decimal digits of n > 0; 1 for zero.
func digits(n *big.Int) int {
	if n.IsUint64() {
		d := 1
		for u := n.Uint64(); u >= 10; u /= 10 {
			d++
		}
		return d
	}
	d := (n.BitLen() - 1) * 30103 / 100000 // log10(2), from below
	for p := tenTo(d); n.Cmp(p) >= 0; p.Mul(p, big.NewInt(10)) {
		d++
	}
	return d
}

// decimalOf is the exact value of a number of any type.
func decimalOf(v value) decimal {
	switch v.t {
	case bson.TypeDouble:
		return decimalOfDouble(v.double())
	case bson.TypeDecimal128:
		return decodeDecimal(v.decimal())
	}
	n, _ := v.integer()
	c := big.NewInt(n)
	return decimal{neg: n < 0, coef: c.Abs(c)}
}

// decodeDecimal reads the binary encoding. A coefficient that is too large is a zero.
func decodeDecimal(high, low uint64) decimal {
	d := decimal{neg: high>>63 == 1, coef: new(big.Int)}
	switch {
	case high>>58&31 == 31:
		d.kind = notANumber
	case high>>58&31 == 30:
		d.kind = infinite
	case high>>61&3 == 3:
		d.exp = int(high>>47&0x3fff) + minExponent // and the coefficient begins with 100, beyond 34 digits
	default:
		d.exp = int(high>>49&0x3fff) + minExponent
		d.coef.SetUint64(high & (1<<49 - 1))
		d.coef.Lsh(d.coef, 64).Or(d.coef, new(big.Int).SetUint64(low))
		if d.coef.Cmp(tooLarge) >= 0 {
			d.coef = new(big.Int)
		}
	}
	return d
}

// encode is the value of a decimal that was made by finish.
func (d decimal) encode() value {
	var high, low uint64
	switch d.kind {
	case notANumber:
		high = 31 << 58
	case infinite:
		high = 30 << 58
	default:
		var b [16]byte
		d.coef.FillBytes(b[:])
		high, low = binary.BigEndian.Uint64(b[:8])|uint64(d.exp-minExponent)<<49, binary.BigEndian.Uint64(b[8:])
	}
	if d.neg {
		high |= 1 << 63
	}
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), low)
	return value{bson.TypeDecimal128, binary.LittleEndian.AppendUint64(b, high)}
}

// decimalOfDouble is the exact value of a double, which always has one.
func decimalOfDouble(f float64) decimal {
	d := decimal{neg: math.Signbit(f), coef: new(big.Int)}
	switch {
	case math.IsNaN(f):
		d.kind = notANumber
		return d
	case math.IsInf(f, 0):
		d.kind = infinite
		return d
	case f == 0:
		return d
	}
	b := math.Float64bits(f)
	mantissa, e := b&(1<<52-1), int(b>>52&0x7ff)
	if e == 0 {
		e = 1
	} else {
		mantissa |= 1 << 52
	}
	e -= 1075
	if n := bits.TrailingZeros64(mantissa); e < 0 {
		n = min(n, -e)
		mantissa, e = mantissa>>n, e+n
	}
	d.coef.SetUint64(mantissa)
	if e >= 0 {
		d.coef.Lsh(d.coef, uint(e))
		return d
	}
	d.coef.Mul(d.coef, new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(-e)), nil))
	d.exp = e
	return d
}

// operand is a number as it enters decimal arithmetic: a double with the 15 digits that it surely has.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/toDecimal/ (the conversion is the same)
func operand(v value) decimal {
	d := decimalOf(v)
	if v.t != bson.TypeDouble || d.kind != finite || d.coef.Sign() == 0 {
		return d
	}
	d = d.round(decimalDigits) // the conversion itself; then its first 15 digits
	e := digits(d.coef) + d.exp - 15
	r := d.quantize(e)
	if r.coef.Cmp(tooLarge15) >= 0 {
		r = d.quantize(e + 1)
	}
	return r
}

// quantize is d with another exponent, rounded.
func (d decimal) quantize(exp int) decimal {
	if exp > d.exp {
		return decimal{neg: d.neg, coef: shift(d.coef, exp-d.exp), exp: exp}
	}
	return decimal{neg: d.neg, coef: new(big.Int).Mul(d.coef, tenTo(d.exp-exp)), exp: exp}
}

// shift drops n decimal digits: rounded to the nearest, a half to even.
func shift(c *big.Int, n int) *big.Int {
	p := tenTo(n)
	q, r := new(big.Int).QuoRem(c, p, new(big.Int))
	switch r.Lsh(r, 1).Cmp(p) {
	case 1:
		q.Add(q, big.NewInt(1))
	case 0:
		q.Add(q, big.NewInt(int64(q.Bit(0))))
	}
	return q
}

// round keeps at most n digits.
func (d decimal) round(n int) decimal {
	over := digits(d.coef) - n
	if over <= 0 {
		return d
	}
	r := decimal{neg: d.neg, coef: shift(d.coef, over), exp: d.exp + over}
	if digits(r.coef) > n { // 99…9 became 100…0
		r.coef, r.exp = shift(r.coef, 1), r.exp+1
	}
	return r
}

// finish makes a result one that can be encoded: rounded once, its exponent in range, infinite if it is too large.
func (d decimal) finish() decimal {
	if d.kind != finite {
		return d
	}
	over := max(digits(d.coef)-decimalDigits, minExponent-d.exp, 0)
	if over > 0 {
		d.coef, d.exp = shift(d.coef, over), d.exp+over
		if d.coef.Cmp(tooLarge) >= 0 {
			d.coef, d.exp = shift(d.coef, 1), d.exp+1
		}
	}
	switch {
	case d.exp <= maxExponent:
	case d.coef.Sign() == 0:
		d.exp = maxExponent
	case digits(d.coef)+d.exp-maxExponent <= decimalDigits:
		d.coef, d.exp = new(big.Int).Mul(d.coef, tenTo(d.exp-maxExponent)), maxExponent
	default:
		d.kind = infinite
	}
	return d
}

// addDecimals is x + y.
func addDecimals(x, y decimal) decimal {
	switch {
	case x.kind == notANumber:
		return x
	case y.kind == notANumber:
		return y
	case x.kind == infinite && y.kind == infinite && x.neg != y.neg:
		return decimal{kind: notANumber}
	case x.kind == infinite:
		return x
	case y.kind == infinite:
		return y
	}
	exp := min(x.exp, y.exp)
	a, b := x.quantize(exp), y.quantize(exp)
	sum := new(big.Int).Add(signed(a), signed(b))
	r := decimal{neg: sum.Sign() < 0, exp: exp}
	if sum.Sign() == 0 {
		r.neg = x.neg && y.neg
	}
	r.coef = sum.Abs(sum)
	return r.finish()
}

func signed(d decimal) *big.Int {
	if d.neg {
		return new(big.Int).Neg(d.coef)
	}
	return d.coef
}

// multiplyDecimals is x × y.
func multiplyDecimals(x, y decimal) decimal {
	neg := x.neg != y.neg
	switch {
	case x.kind == notANumber:
		return x
	case y.kind == notANumber:
		return y
	case x.kind == infinite || y.kind == infinite:
		if x.zero() || y.zero() {
			return decimal{kind: notANumber}
		}
		return decimal{kind: infinite, neg: neg}
	}
	return decimal{neg: neg, coef: new(big.Int).Mul(x.coef, y.coef), exp: x.exp + y.exp}.finish()
}

func (d decimal) zero() bool { return d.kind == finite && d.coef.Sign() == 0 }

// sign is -1, 0 or 1; infinities have one too.
func (d decimal) sign() int {
	switch {
	case d.zero():
		return 0
	case d.neg:
		return -1
	}
	return 1
}

// compareDecimals orders by value: NaN first, equal to itself.
func compareDecimals(x, y decimal) int {
	if x.kind == notANumber || y.kind == notANumber {
		return flag(y.kind == notANumber) - flag(x.kind == notANumber)
	}
	s := x.sign()
	if s != y.sign() {
		return compareInts(s, y.sign())
	}
	if s == 0 {
		return 0
	}
	if x.kind == infinite || y.kind == infinite {
		return s * (flag(x.kind == infinite) - flag(y.kind == infinite))
	}
	if c := compareInts(digits(x.coef)+x.exp, digits(y.coef)+y.exp); c != 0 {
		return s * c
	}
	exp := min(x.exp, y.exp)
	return s * x.quantize(exp).coef.Cmp(y.quantize(exp).coef)
}

func compareInts(a, b int) int { return flag(a > b) - flag(a < b) }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// truncated is the whole part, if it fits 64 bits.
func (d decimal) truncated() (int64, bool) {
	if d.kind != finite || (!d.zero() && digits(d.coef)+d.exp > 19) {
		return 0, false
	}
	c := d.coef
	switch {
	case d.zero():
		return 0, true
	case d.exp > 0:
		c = new(big.Int).Mul(c, tenTo(d.exp))
	case -d.exp > digits(c):
		return 0, true
	case d.exp < 0:
		c = new(big.Int).Quo(c, tenTo(-d.exp))
	}
	n := signed(decimal{neg: d.neg, coef: c})
	return n.Int64(), n.IsInt64()
}

// int64 is the value of a decimal that is a whole number of 64 bits.
func (d decimal) int64() (int64, bool) {
	n, ok := d.truncated()
	if !ok {
		return 0, false
	}
	return n, compareDecimals(d, decimalOf(int64Value(n))) == 0
}

// float is the nearest double.
func (d decimal) float() float64 {
	switch {
	case d.kind == notANumber:
		return math.NaN()
	case d.kind == infinite:
		return math.Inf(d.sign())
	case d.exp < -400 && digits(d.coef)+d.exp < -400:
		return math.Copysign(0, float64(d.sign()))
	case d.exp > 400 && !d.zero():
		return math.Inf(d.sign())
	case d.zero():
		return 0
	}
	r := new(big.Rat).SetInt(signed(d))
	if d.exp < 0 {
		r.Quo(r, new(big.Rat).SetInt(tenTo(-d.exp)))
	} else {
		r.Mul(r, new(big.Rat).SetInt(tenTo(d.exp)))
	}
	f, _ := r.Float64()
	return f
}
