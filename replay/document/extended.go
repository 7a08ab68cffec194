package document

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"respect/replay"
)

// Extended is a document as Extended JSON: relaxed, but for 64-bit integers, which keep their type.
func Extended(doc []byte) (text []byte, err error) {
	r := reader{rest: doc}
	var b bytes.Buffer
	r.document(&b, false, 0)
	if r.bad || len(r.rest) > 0 {
		return nil, errInvalid
	}
	return replay.HarmlessJSON(b.Bytes()), nil
}

func (r *reader) document(b *bytes.Buffer, array bool, depth int) {
	if depth > MaxDepth || len(r.rest) < 5 {
		r.bad = true
		return
	}
	n := int(int32(binary.LittleEndian.Uint32(r.rest)))
	if n < 5 || n > len(r.rest) || r.rest[n-1] != 0 {
		r.bad = true
		return
	}
	in := reader{rest: r.take(n)[4 : n-1]}
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
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // strings always encode
		return []byte(`""`)
	}
	return replay.HarmlessJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

func (r *reader) value(b *bytes.Buffer, kind byte, depth int) {
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
