package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/update"
	"respect/replay/document"
)

// oldValues are the values that a field has, as far as there are few: by type and bytes. Of many that can be compared it is the least and the greatest.
type oldValues struct {
	counts   map[string]int64
	more     bool
	span     span
	ordinary bool // at least one value beyond the few has no place in a span
}

const (
	maxOldValues     = 6
	maxOldValueBytes = 300 // of a value that is kept; longer ones are all different, as far as anybody will read
)

func (o *oldValues) add(v bson.RawValue) {
	if o.counts == nil {
		o.counts = map[string]int64{}
	}
	if len(v.Value) > maxOldValueBytes {
		o.more, o.ordinary = true, true
		return
	}
	var buf [maxOldValueBytes + 1]byte
	key := append(append(buf[:0], byte(v.Type)), v.Value...)
	if _, has := o.counts[string(key)]; !has && len(o.counts) == maxOldValues {
		o.more = true
		o.ordinary = !o.span.add(v) || o.ordinary
		return
	}
	o.counts[string(key)]++
}

func valueOfKey(key string) bson.RawValue {
	return bson.RawValue{Type: bson.Type(key[0]), Value: []byte(key[1:])}
}

// readable are the values as facts have them in their data: relaxed Extended JSON.
func (o *oldValues) readable() map[string]int64 {
	out := map[string]int64{}
	for key, n := range o.counts {
		out[shown(valueOfKey(key))] += n
	}
	return out
}

// sorted are the values as the shell prints them, the commonest first.
func (o *oldValues) sorted() (out []ValueCount) {
	for key, n := range o.counts {
		out = append(out, ValueCount{printedValue(valueOfKey(key)), n})
	}
	slices.SortFunc(out, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Documents, a.Documents), strings.Compare(a.Value, b.Value))
	})
	return out
}

// between is the range of the values where there are more than are listed, and all can be compared with each other; nil otherwise.
func (o *oldValues) between() *Range {
	if !o.more || o.ordinary {
		return nil
	}
	s := o.span
	for key := range o.counts {
		if v := valueOfKey(key); !s.add(bson.RawValue{Type: v.Type, Value: bytes.Clone(v.Value)}) {
			return nil
		}
	}
	return &Range{From: readableNumber(s.least), To: readableNumber(s.greatest)}
}

// Range is the least and the greatest of many values, as they are read: numbers with thousands separated.
type Range struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// span is the least and the greatest of numbers, or of dates.
type span struct {
	least, greatest bson.RawValue
	dates           bool
}

// add is false for a value that cannot be compared with the others. It copies what it keeps.
func (s *span) add(v bson.RawValue) bool {
	date := v.Type == bson.TypeDateTime
	if f := floatOf(v); !date && math.IsNaN(f) {
		return false
	}
	if s.least.Type == 0 {
		s.dates = date
		s.least = bson.RawValue{Type: v.Type, Value: bytes.Clone(v.Value)}
		s.greatest = s.least
		return true
	}
	if date != s.dates {
		return false
	}
	if floatOf(v) < floatOf(s.least) {
		s.least = bson.RawValue{Type: v.Type, Value: bytes.Clone(v.Value)}
	}
	if floatOf(v) > floatOf(s.greatest) {
		s.greatest = bson.RawValue{Type: v.Type, Value: bytes.Clone(v.Value)}
	}
	return true
}

// floatOf is a number or a date as nearly as a float can tell it; NaN of anything else.
func floatOf(v bson.RawValue) float64 {
	switch v.Type {
	case bson.TypeDateTime:
		return float64(v.DateTime())
	case bson.TypeDecimal128:
		n, exp, err := v.Decimal128().BigInt()
		if err != nil {
			return math.NaN()
		}
		f, _ := new(big.Float).SetInt(n).Float64()
		return f * math.Pow10(exp)
	case bson.TypeInt64, bson.TypeInt32, bson.TypeDouble:
		return v.AsFloat64()
	}
	return math.NaN()
}

// printed is a value as the shell prints it, on one line, shortened.
func printed(v any) string {
	t, data, err := bson.MarshalValue(v)
	if err != nil {
		return "?"
	}
	return printedValue(bson.RawValue{Type: t, Value: data})
}

func printedValue(v bson.RawValue) string {
	const most = 300
	s := document.Scalar(byte(v.Type), v.Value)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// readableNumber is a number with thousands separated, or a date.
func readableNumber(v bson.RawValue) string {
	s := document.Scalar(byte(v.Type), v.Value)
	for _, wrap := range []string{"Long('", "Decimal128('", "ISODate('"} {
		if rest, ok := strings.CutPrefix(s, wrap); ok {
			s = strings.TrimSuffix(rest, "')")
		}
	}
	if v.Type == bson.TypeDateTime {
		return strings.TrimSuffix(s, ".000Z") + map[bool]string{true: "Z"}[strings.HasSuffix(s, ".000Z")]
	}
	sign, digits := "", s
	if strings.HasPrefix(s, "-") {
		sign, digits = "-", s[1:]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	if strings.ContainsAny(digits, "eEIN") { // 1E+30, Infinity, NaN
		return s
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// valueFacts are what there is to say of values that change their type, of fields that get another name, and of values that are overwritten.
func (s *stats) valueFacts() (out []Fact) {
	ns := s.count.Namespace
	names := slices.Sorted(maps.Keys(s.paths.by))
	for _, key := range names {
		p := s.paths.by[key]
		path := p.path(key)
		for _, to := range slices.Sorted(maps.Keys(p.renamed)) {
			out = append(out, fact(RenamesField, Warn, map[string]any{"namespace": ns, "field": path, "to": to, "documents": p.renamed[to]},
				"renames %s to %s, in %s: whoever asks for %s does not find it any more", path, to, Plural(p.renamed[to], "document"), path))
		}
		for _, t := range p.typeChanges() {
			if t.From == "null" {
				continue // it was waiting for a value
			}
			out = append(out, fact(TypeChange, Warn, map[string]any{"namespace": ns, "field": path, "from": t.From, "to": t.To, "documents": t.Documents},
				"%s changes its type from %s to %s, in %s", path, t.From, t.To, Plural(t.Documents, "document")))
		}
	}
	for _, key := range names {
		p := s.paths.by[key]
		if !p.plain {
			continue
		}
		var parts []string
		for _, v := range p.old.sorted() {
			parts = append(parts, fmt.Sprintf("%s (%s)", v.Value, Number(v.Documents)))
		}
		if p.old.more {
			parts = append(parts, "and others")
		}
		path := p.path(key)
		out = append(out, fact(DistinctBefore, Info, map[string]any{"namespace": ns, "field": path, "values": p.old.readable(), "more": p.old.more}, "%s is overwritten; it was %s", path, strings.Join(parts, ", ")))
	}
	return out
}

// TypeChangeCount is a change of type, with the number of documents.
type TypeChangeCount struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Documents int64  `json:"documents"`
}

func (p *pathStats) typeChanges() (out []TypeChangeCount) {
	for _, t := range slices.SortedFunc(maps.Keys(p.types), func(a, b [2]bson.Type) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) }) {
		out = append(out, TypeChangeCount{update.TypeName(t[0]), update.TypeName(t[1]), p.types[t]})
	}
	return out
}
