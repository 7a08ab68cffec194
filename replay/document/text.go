package document

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"respect/replay"
)

// String is the value on one line as mongosh prints it, so that it can be pasted back; "" of no value. It is safe on a terminal.
func (v Value) String() string {
	if v.Kind == 0 {
		return ""
	}
	var b strings.Builder
	r := reader{rest: v.Data}
	r.text(&b, v.Kind, 0)
	if r.bad || len(r.rest) > 0 {
		return "[Invalid BSON]"
	}
	return b.String()
}

// Extended is the value as Extended JSON.
func (v Value) Extended() []byte {
	var b bytes.Buffer
	r := reader{rest: v.Data}
	r.value(&b, v.Kind, 0)
	if r.bad || v.Kind == 0 {
		return []byte("null")
	}
	return replay.HarmlessJSON(b.Bytes())
}

// Text is the text of a string, and whether the value is one.
func (v Value) Text() (string, bool) {
	if v.Kind != String {
		return "", false
	}
	r := reader{rest: v.Data}
	s := r.string()
	return s, !r.bad
}

// Scalar is a value that is no document and no array, as mongosh prints it.
func Scalar(kind byte, data []byte) string { return Value{kind, data}.String() }

func (r *reader) text(b *strings.Builder, kind byte, depth int) {
	switch kind {
	case 0x01:
		b.WriteString(Number(math.Float64frombits(r.uint64())))
	case 0x02:
		b.WriteString(Quote(r.string()))
	case 0x03, 0x04:
		r.nested(b, kind, depth+1)
	case 0x05:
		n := int(r.int32())
		sub := r.take(1)[0]
		b.WriteString(binaryText(sub, r.take(n)))
	case 0x06:
		b.WriteString("undefined")
	case 0x07:
		fmt.Fprintf(b, "ObjectId('%x')", r.take(12)[:12])
	case 0x08:
		b.WriteString(strconv.FormatBool(r.take(1)[0] != 0))
	case 0x09:
		b.WriteString("ISODate('" + ISODate(int64(r.uint64())) + "')")
	case 0x0a:
		b.WriteString("null")
	case 0x0b:
		pattern := r.cstring()
		b.WriteString(regexText(pattern, r.cstring()))
	case 0x0c:
		ref := r.string()
		fmt.Fprintf(b, "DBPointer(%s, ObjectId('%x'))", Quote(ref), r.take(12)[:12])
	case 0x0d:
		b.WriteString("Code(" + Quote(r.string()) + ")")
	case 0x0e:
		b.WriteString("BSONSymbol(" + Quote(r.string()) + ")")
	case 0x0f:
		r.int32()
		b.WriteString("Code(" + Quote(r.string()) + ", ")
		r.nested(b, Document, depth+1)
		b.WriteString(")")
	case 0x10:
		b.WriteString(strconv.Itoa(int(r.int32())))
	case 0x11:
		v := r.uint64()
		fmt.Fprintf(b, "Timestamp({ t: %d, i: %d })", v>>32, v&math.MaxUint32)
	case 0x12:
		b.WriteString("Long('" + strconv.FormatInt(int64(r.uint64()), 10) + "')")
	case 0x13:
		low := r.uint64()
		b.WriteString("Decimal128('" + decimal(r.uint64(), low) + "')")
	case 0x7f:
		b.WriteString("MaxKey()")
	case 0xff:
		b.WriteString("MinKey()")
	default:
		r.bad, r.rest = true, nil
	}
}

// nested prints a document or an array.
func (r *reader) nested(b *strings.Builder, kind byte, depth int) {
	if depth > MaxDepth || len(r.rest) < 5 {
		r.bad = true
		return
	}
	n := int(int32(binary.LittleEndian.Uint32(r.rest)))
	if n < 5 || n > len(r.rest) || r.rest[n-1] != 0 {
		r.bad = true
		return
	}
	doc := r.take(n)
	list, err := Elements(doc)
	if err != nil {
		r.bad = true
		return
	}
	open, shut, isRef := "{", "}", false
	if kind == Array {
		open, shut = "[", "]"
	} else if isRef = dbRef(list); isRef {
		open, shut = "DBRef(", ")"
	}
	b.WriteString(open)
	for i, e := range list {
		if i > 0 {
			b.WriteString(", ")
		} else if !isRef {
			b.WriteString(" ")
		}
		if kind == Document && !isRef {
			b.WriteString(Key(e.Name) + ": ")
		}
		in := reader{rest: e.Value.Data}
		in.text(b, e.Value.Kind, depth)
		r.bad = r.bad || in.bad || len(in.rest) > 0
	}
	if len(list) > 0 && !isRef {
		b.WriteString(" ")
	}
	b.WriteString(shut)
}

// dbRef says whether fields are those of a reference, which mongosh prints as a call.
func dbRef(list []Element) bool {
	return (len(list) == 2 || len(list) == 3 && list[2].Name == "$db") && list[0].Name == "$ref" && list[1].Name == "$id"
}

func binaryText(sub byte, data []byte) string {
	const uuid = 4
	if sub == uuid && len(data) == 16 {
		return fmt.Sprintf("UUID('%x-%x-%x-%x-%x')", data[:4], data[4:6], data[6:8], data[8:10], data[10:])
	}
	return fmt.Sprintf("Binary.createFromBase64('%s', %d)", base64.StdEncoding.EncodeToString(data), sub)
}

var plainKey = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z_0-9]*$`)

// Key is the name of a field as it stands in an object's literal.
func Key(name string) string {
	if plainKey.MatchString(name) {
		return name
	}
	return Quote(name)
}

// Quote writes a string as a JavaScript literal, in whatever quotation marks need no escapes.
func Quote(s string) string {
	q := byte('\'')
	if strings.Contains(s, "'") {
		if !strings.Contains(s, `"`) {
			q = '"'
		} else if !strings.Contains(s, "`") && !strings.Contains(s, "${") {
			q = '`'
		}
	}
	return string(q) + Escape(s, rune(q)) + string(q)
}

// Escape is what stands between the quotation marks q of a literal.
func Escape(s string, q rune) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02X`, s[i])
		case r == q, r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case replay.Hostile(r):
			b.WriteString(replay.EscapeRune(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Number writes a number as JavaScript does.
func Number(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0 && math.Signbit(f):
		return "-0"
	}
	if a := math.Abs(f); a != 0 && (a >= 1e21 || a < 1e-6) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		mant, exp, _ := strings.Cut(s, "e")
		sign, digits := exp[:1], strings.TrimLeft(exp[1:], "0")
		return mant + "e" + sign + digits
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// regexText is a literal if JavaScript has these options, otherwise a constructor call.
func regexText(pattern, opts string) string {
	if strings.Trim(opts, "imsu") != "" || pattern == "" {
		return "BSONRegExp(" + Quote(pattern) + ", " + Quote(opts) + ")"
	}
	var b strings.Builder
	escaped, class := false, false
	for _, r := range pattern {
		switch {
		case r == '/' && !escaped && !class:
			b.WriteString(`\/`)
		default:
			b.WriteString(replay.Safe(string(r)))
		}
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '[':
			class = true
		case r == ']':
			class = false
		}
	}
	return "/" + b.String() + "/" + opts
}

// ISODate writes milliseconds since 1970 as JavaScript's toISOString does, years beyond 9999 with a sign and six digits.
func ISODate(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		sign := "+"
		if y < 0 {
			sign, y = "-", -y
		}
		return fmt.Sprintf("%s%06d%s", sign, y, t.Format("-01-02T15:04:05.000Z"))
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// decimal is a 128-bit decimal as the specification writes it: 12.340, 1E+3, -0.
// Source: https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md
func decimal(high, low uint64) string {
	sign := ""
	if high>>63 == 1 {
		sign = "-"
	}
	switch high >> 58 & 31 {
	case 31:
		return "NaN"
	case 30:
		return sign + "Infinity"
	}
	exponent, coefficient := int(high>>49&(1<<14-1)), new(big.Int)
	if high>>61&3 == 3 {
		exponent = int(high >> 47 & (1<<14 - 1)) // such a coefficient is too large, and means 0
	} else {
		coefficient.SetUint64(high & (1<<49 - 1))
		coefficient.Lsh(coefficient, 64).Or(coefficient, new(big.Int).SetUint64(low))
	}
	exponent -= 6176
	digits := coefficient.String()
	scientific := exponent + len(digits) - 1
	switch {
	case exponent > 0 || scientific < -6:
		if len(digits) > 1 {
			digits = digits[:1] + "." + digits[1:]
		}
		return fmt.Sprintf("%s%sE%+d", sign, digits, scientific)
	case exponent == 0:
		return sign + digits
	}
	if point := len(digits) + exponent; point > 0 {
		return sign + digits[:point] + "." + digits[point:]
	}
	return sign + "0." + strings.Repeat("0", -exponent-len(digits)) + digits
}
