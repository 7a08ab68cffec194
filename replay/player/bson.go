package player

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
)

var errBSON = errors.New("is no BSON document")

// extended is a BSON document as Extended JSON: relaxed, but for 64-bit integers, which keep their type. It is read here and not by the driver: an auditor
// needs nothing but the bytes whose hash was recorded.
func extended(doc []byte) (text []byte, err error) {
	r := bsonReader{rest: doc}
	var b bytes.Buffer
	r.document(&b, false, 0)
	if r.bad || len(r.rest) > 0 {
		return nil, errBSON
	}
	return harmless(b.Bytes()), nil
}

// bsonReader reads from the front of rest. After something that cannot be, bad is set and all it returns is empty.
type bsonReader struct {
	rest []byte
	bad  bool
}

const maxDepth = 200

func (r *bsonReader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad, r.rest = true, nil
		return make([]byte, min(max(n, 0), 16))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *bsonReader) int32() int32 { return int32(binary.LittleEndian.Uint32(r.take(4))) }

func (r *bsonReader) uint64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

func (r *bsonReader) cstring() string {
	i := bytes.IndexByte(r.rest, 0)
	if i < 0 {
		r.bad, r.rest = true, nil
		return ""
	}
	return string(r.take(i + 1)[:i])
}

func (r *bsonReader) string() string {
	n := int(r.int32())
	if n < 1 || n > len(r.rest) || r.rest[n-1] != 0 {
		r.bad, r.rest = true, nil
		return ""
	}
	return string(r.take(n)[:n-1])
}

func (r *bsonReader) document(b *bytes.Buffer, array bool, depth int) {
	if depth > maxDepth || len(r.rest) < 5 {
		r.bad = true
		return
	}
	n := int(int32(binary.LittleEndian.Uint32(r.rest)))
	if n < 5 || n > len(r.rest) || r.rest[n-1] != 0 {
		r.bad = true
		return
	}
	in := bsonReader{rest: r.take(n)[4 : n-1]}
	open, shut := "{", "}"
	if array {
		open, shut = "[", "]"
	}
	b.WriteString(open)
	for i := 0; len(in.rest) > 0 && !in.bad; i++ {
		if i > 0 {
			b.WriteString(", ")
		}
		kind := in.take(1)[0]
		name := in.cstring()
		if !array {
			b.Write(quote(name))
			b.WriteString(": ")
		}
		in.value(b, kind, depth)
	}
	b.WriteString(shut)
	r.bad = r.bad || in.bad
}

func quote(s string) []byte {
	b, err := encode(s)
	if err != nil { // strings always encode
		return []byte(`""`)
	}
	return b
}

func (r *bsonReader) value(b *bytes.Buffer, kind byte, depth int) {
	wrap := func(name, text string) { fmt.Fprintf(b, `{"$%s": %s}`, name, quote(text)) }
	switch kind {
	case 0x01:
		f := math.Float64frombits(r.uint64())
		switch {
		case math.IsNaN(f):
			wrap("numberDouble", "NaN")
		case math.IsInf(f, 0):
			wrap("numberDouble", map[bool]string{true: "Infinity", false: "-Infinity"}[f > 0])
		case f == math.Trunc(f) && math.Abs(f) < 1e15:
			b.WriteString(strconv.FormatFloat(f, 'f', 1, 64))
		default:
			b.WriteString(strconv.FormatFloat(f, 'g', -1, 64))
		}
	case 0x02:
		b.Write(quote(r.string()))
	case 0x03, 0x04:
		r.document(b, kind == 0x04, depth+1)
	case 0x05:
		n := int(r.int32())
		sub := r.take(1)[0]
		fmt.Fprintf(b, `{"$binary": {"base64": "%s", "subType": "%02x"}}`, base64.StdEncoding.EncodeToString(r.take(n)), sub)
	case 0x06:
		b.WriteString(`{"$undefined": true}`)
	case 0x07:
		wrap("oid", hex.EncodeToString(r.take(12)))
	case 0x08:
		b.WriteString(strconv.FormatBool(r.take(1)[0] != 0))
	case 0x09:
		ms := int64(r.uint64())
		if t := time.UnixMilli(ms).UTC(); t.Year() >= 1970 && t.Year() <= 9999 {
			wrap("date", t.Format("2006-01-02T15:04:05.999Z07:00"))
		} else {
			fmt.Fprintf(b, `{"$date": {"$numberLong": "%d"}}`, ms)
		}
	case 0x0a:
		b.WriteString("null")
	case 0x0b:
		pattern := r.cstring()
		fmt.Fprintf(b, `{"$regularExpression": {"pattern": %s, "options": %s}}`, quote(pattern), quote(r.cstring()))
	case 0x0c:
		ref := r.string()
		fmt.Fprintf(b, `{"$dbPointer": {"$ref": %s, "$id": {"$oid": "%x"}}}`, quote(ref), r.take(12))
	case 0x0d:
		wrap("code", r.string())
	case 0x0e:
		wrap("symbol", r.string())
	case 0x0f:
		r.int32()
		fmt.Fprintf(b, `{"$code": %s, "$scope": `, quote(r.string()))
		r.document(b, false, depth+1)
		b.WriteString("}")
	case 0x10:
		b.WriteString(strconv.Itoa(int(r.int32())))
	case 0x11:
		v := r.uint64()
		fmt.Fprintf(b, `{"$timestamp": {"t": %d, "i": %d}}`, v>>32, v&math.MaxUint32)
	case 0x12:
		wrap("numberLong", strconv.FormatInt(int64(r.uint64()), 10))
	case 0x13:
		low := r.uint64()
		wrap("numberDecimal", decimal(r.uint64(), low))
	case 0x7f:
		b.WriteString(`{"$maxKey": 1}`)
	case 0xff:
		b.WriteString(`{"$minKey": 1}`)
	default:
		r.bad, r.rest = true, nil
	}
}

// decimal is a 128-bit decimal: its coefficient and exponent, as 1234E-2.
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
	if exponent -= 6176; exponent == 0 {
		return sign + coefficient.String()
	}
	return fmt.Sprintf("%s%sE%+d", sign, coefficient, exponent)
}
