package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay/document"
)

// The tree that Value prints: nil, bool, float64, string, bson.RawValue, bson.Raw, List, Object, Named, Members, Pair, Token, Undefined.
type (
	// Undefined prints as undefined.
	Undefined struct{}
	// Token is printed as it stands, made safe.
	Token string
	// List is an array.
	List []any
	// Object is a document with its fields in order.
	Object []Field
	// Named is a value with the name of its class before it: Map(1) {…}, P { x: 1 }.
	Named struct {
		Name string
		Of   any
	}
	// Members are what a Set has, or, as Pairs, a Map.
	Members []any
	// Pair is an entry of a Map.
	Pair struct{ Key, Value any }
	// Field of an Object.
	Field struct {
		Key    string
		Value  any
		Symbol bool // Key stands without quotation marks
	}
)

const (
	breakLength = 80 // the width that lines are broken for, as in mongosh
	compact     = 3  // levels of nesting that are put on one line
)

// Value prints a value as mongosh does, so that it can be pasted back. It is safe on a terminal.
func Value(v any) string {
	p := &printer{}
	if s, ok := v.(string); ok {
		return SafeText(s) // a bare string is printed without quotes
	}
	return p.value(v, 0, 0)
}

// Inline prints a value on one line, shortened to width.
func Inline(v any, width int) string {
	p := &printer{inline: true}
	return Cut(p.value(v, 0, 0), width)
}

// printer lays values out the way Node's util.inspect does, which mongosh uses. depth is that of the value being printed; last is that of the document or array which
// was begun last, by which a parent knows how deep its children are.
type printer struct {
	last   int
	inline bool
}

func (p *printer) value(v any, depth, indent int) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case Undefined:
		return "undefined"
	case Token:
		return Safe(string(v))
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return Number(v)
	case int:
		return strconv.Itoa(v)
	case string:
		return p.quote(v, indent)
	case bson.Raw:
		return p.raw(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: v}, depth, indent)
	case bson.RawValue:
		return p.raw(v, depth, indent)
	case Object:
		return p.object(v, depth, indent)
	case List:
		return p.list(v, depth, indent)
	case Named:
		return Safe(v.Name) + " " + p.value(v.Of, depth, indent)
	case Members:
		return p.members(v, depth, indent)
	case Pair:
		return p.value(v.Key, depth, indent) + " => " + p.value(v.Value, depth, indent)
	}
	return Safe(fmt.Sprint(v))
}

func (p *printer) object(o Object, depth, indent int) string {
	if len(o) == 0 {
		return "{}"
	}
	if ref, ok := p.dbRef(o, depth, indent); ok {
		return ref
	}
	p.last = depth
	parts := make([]string, len(o))
	for i, f := range o {
		key := document.Key(f.Key)
		if f.Symbol {
			key = Safe(f.Key)
		}
		parts[i] = key + ": " + p.value(f.Value, depth+1, indent+2)
	}
	return p.join(parts, "{", "}", depth, indent, false)
}

func (p *printer) members(l Members, depth, indent int) string {
	if len(l) == 0 {
		return "{}"
	}
	p.last = depth
	parts := make([]string, len(l))
	for i, v := range l {
		parts[i] = p.value(v, depth+1, indent+2)
	}
	return p.join(parts, "{", "}", depth, indent, false)
}

func (p *printer) list(l List, depth, indent int) string {
	if len(l) == 0 {
		return "[]"
	}
	p.last = depth
	parts := make([]string, len(l))
	numbers := true
	for i, v := range l {
		parts[i] = p.value(v, depth+1, indent+2)
		numbers = numbers && isNumber(v)
	}
	grouped := parts
	if len(parts) > 6 && !p.inline {
		grouped = columns(parts, numbers, indent)
	}
	return p.join(grouped, "[", "]", depth, indent, len(grouped) != len(parts))
}

func isNumber(v any) bool {
	switch v := v.(type) {
	case float64, int:
		return true
	case bson.RawValue:
		return v.Type == bson.TypeInt32 || v.Type == bson.TypeDouble
	}
	return false
}

// join puts the parts on one line if they fit and are not nested too deep, otherwise one below the other.
func (p *printer) join(parts []string, open, shut string, depth, indent int, grouped bool) string {
	if p.inline {
		return open + " " + strings.Join(parts, ", ") + " " + shut
	}
	if p.last-depth < compact && !grouped {
		// What the line takes besides the parts: separators, indentation, brackets, and some air.
		total := 2*len(parts) + indent + len(open) + 10
		multi := false
		for _, s := range parts {
			total += length(s)
			multi = multi || strings.Contains(s, "\n")
		}
		if total <= breakLength && !multi {
			return open + " " + strings.Join(parts, ", ") + " " + shut
		}
	}
	pad := "\n" + strings.Repeat(" ", indent)
	return open + pad + "  " + strings.Join(parts, ","+pad+"  ") + pad + shut
}

// length in UTF-16 units, which is what JavaScript counts.
func length(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(max(r, 0))
	}
	return n
}

// columns groups the elements of a long array into lines of several, as nearly square as they can be drawn.
func columns(parts []string, numbers bool, indent int) []string {
	const separator = 2
	total, longest := 0, 0
	for _, s := range parts {
		if strings.Contains(s, "\n") {
			return parts
		}
		n := length(s)
		total += n + separator
		longest = max(longest, n)
	}
	width := longest + separator
	if width*3+indent >= breakLength || (float64(total)/float64(width) <= 5 && longest > 6) {
		return parts
	}
	bias := math.Max(float64(width)-3-math.Sqrt(float64(width)-float64(total)/float64(len(parts))), 1)
	n := min(
		int(math.Round(math.Sqrt(2.5*bias*float64(len(parts)))/bias)),
		(breakLength-indent)/width,
		compact*4,
		15,
	)
	if n <= 1 {
		return parts
	}
	widths := make([]int, n)
	for i, s := range parts {
		widths[i%n] = max(widths[i%n], length(s)+separator)
	}
	var lines []string
	for i := 0; i < len(parts); i += n {
		var b strings.Builder
		for j := i; j < min(i+n, len(parts)); j++ {
			last := j == min(i+n, len(parts))-1
			cell, pad := parts[j], 0
			if !last {
				cell += ", "
				pad = widths[j-i] - length(cell)
			} else if numbers {
				pad = widths[j-i] - separator - length(cell)
			}
			if numbers {
				cell = strings.Repeat(" ", max(pad, 0)) + cell
			} else if !last {
				cell += strings.Repeat(" ", max(pad, 0))
			}
			b.WriteString(cell)
		}
		lines = append(lines, b.String())
	}
	return lines
}

// quote writes a string, broken at its newlines if it is long.
func (p *printer) quote(s string, indent int) string {
	n := length(s)
	if p.inline || n <= 16 || n <= breakLength-indent-4 || !strings.Contains(s, "\n") {
		return Quote(s)
	}
	lines := strings.SplitAfter(s, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for i := range lines {
		lines[i] = Quote(lines[i])
	}
	return strings.Join(lines, " +\n"+strings.Repeat(" ", indent+2))
}

// Quote writes a string as a JavaScript literal, in whatever quotation marks need no escapes.
func Quote(s string) string { return document.Quote(s) }

// Number writes a number as JavaScript does.
func Number(f float64) string { return document.Number(f) }

// raw prints a BSON value.
func (p *printer) raw(v bson.RawValue, depth, indent int) string {
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		return p.document(v.Value, depth, indent)
	case bson.TypeArray:
		values, err := bson.RawArray(v.Value).Values()
		if err != nil {
			return "[Invalid BSON]"
		}
		l := make(List, len(values))
		for i, e := range values {
			l[i] = e
		}
		return p.list(l, depth, indent)
	case bson.TypeString:
		return p.quote(v.StringValue(), indent)
	case bson.TypeCodeWithScope:
		code, scope := v.CodeWithScope()
		return "Code(" + Quote(code) + ", " + p.document(scope, depth, indent) + ")"
	}
	return document.Scalar(byte(v.Type), v.Value)
}

func (p *printer) document(doc bson.Raw, depth, indent int) string {
	elems, err := doc.Elements()
	if err != nil {
		return "[Invalid BSON]"
	}
	o := make(Object, len(elems))
	for i, e := range elems {
		o[i] = Field{Key: e.Key(), Value: e.Value()}
	}
	return p.object(o, depth, indent)
}

func (p *printer) dbRef(o Object, depth, indent int) (string, bool) {
	if len(o) < 2 || len(o) > 3 || o[0].Key != "$ref" || o[1].Key != "$id" || (len(o) == 3 && o[2].Key != "$db") {
		return "", false
	}
	var args []string
	for _, f := range o {
		args = append(args, p.value(f.Value, depth, indent))
	}
	return "DBRef(" + strings.Join(args, ", ") + ")", true
}

// ISODate writes milliseconds since 1970 as JavaScript's toISOString does, years beyond 9999 with a sign and six digits.
func ISODate(ms int64) string { return document.ISODate(ms) }
