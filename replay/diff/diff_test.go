package diff

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay"
)

func marshalled(t testing.TB, v any) []byte {
	t.Helper()
	b, err := bson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// doc is a document from Extended JSON.
func doc(t testing.TB, text string) []byte {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return marshalled(t, d)
}

func lines(changes []Change) string {
	var out []string
	for _, c := range changes {
		out = append(out, c.String())
	}
	return strings.Join(out, "\n")
}

// order is a long order, of which little changes.
func order(change func(items bson.A) bson.A) bson.D {
	items := bson.A{}
	for i := range 50 {
		items = append(items, bson.D{{Key: "sku", Value: fmt.Sprintf("SKU-%03d", i)}, {Key: "qty", Value: int32(5)}, {Key: "name", Value: fmt.Sprintf("product %d", i)}})
	}
	return bson.D{{Key: "_id", Value: int32(1)}, {Key: "items", Value: change(items)}}
}

func TestBetween(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{`{"a": 1}`, `{"a": 1}`, ""},
		{`{"a": 1}`, `{"a": 2}`, "a: 1 → 2"},
		{`{"a": 1}`, `{"a": {"$numberLong": "1"}}`, "a: 1 → Long('1')  (int → long)"},
		{`{"a": 1}`, `{"a": {"$numberDouble": "1.0"}}`, "a: 1 → 1  (int → double)"},
		{`{"a": {"$numberDouble": "0.0"}}`, `{"a": {"$numberDouble": "-0.0"}}`, "a: 0 → -0"},
		{`{"a": {"$numberDouble": "1.5"}}`, `{"a": {"$numberDouble": "NaN"}}`, "a: 1.5 → NaN"},
		{`{"a": {"$numberDecimal": "1.0"}}`, `{"a": {"$numberDecimal": "1.00"}}`, "a: Decimal128('1.0') → Decimal128('1.00')"},
		{`{"a": {"$numberDecimal": "1E+3"}}`, `{"a": {"$numberDecimal": "1000"}}`, "a: Decimal128('1E+3') → Decimal128('1000')"},
		{`{"a": null}`, `{"a": "x"}`, "a: null → 'x'"},
		{`{"a": "1"}`, `{"a": 1}`, "a: '1' → 1  (string → int)"},
		{`{"a": 1, "b": 2}`, `{"b": 2}`, "a: gone 1"},
		{`{"a": 1}`, `{"a": 1, "b": {"c": []}}`, "b: new { c: [] }"},
		{`{"a": {"b": {"c": 1}}}`, `{"a": {"b": {"c": 2, "d": 3}}}`, "a.b.c: 1 → 2\na.b.d: new 3"},
		{`{"tags": ["a", "b", "x"]}`, `{"tags": ["a", "b"]}`, "tags.2: gone 'x'"},
		{`{"tags": ["x", "a", "b"]}`, `{"tags": ["a", "b"]}`, "tags.0: gone 'x'"},
		{`{"tags": ["a", "b"]}`, `{"tags": ["a", "x", "b"]}`, "tags.1: new 'x'"},
		{`{"tags": ["a", "b", "c"]}`, `{"tags": ["c", "a", "b"]}`, "tags.2: moved to tags.0 'c'"},
		{`{"tags": ["a", "b", "c"]}`, `{"tags": ["a", "x", "c"]}`, "tags.1: 'b' → 'x'"},
		{`{"tags": ["a"]}`, `{"tags": []}`, "tags.0: gone 'a'"},
		{`{"l": [{"_id": 1, "n": 1}, {"_id": 2, "n": 2}]}`, `{"l": [{"_id": 3, "n": 0}, {"_id": 1, "n": 1}, {"_id": 2, "n": 5}]}`, "l.1.n (now l.2.n): 2 → 5\nl.0: new { _id: 3, n: 0 }"},
		{`{"l": [{"_id": 1, "n": 1}, {"_id": 2, "n": 2}]}`, `{"l": [{"_id": 2, "n": 3}]}`, "l.0: gone { _id: 1, n: 1 }\nl.1.n (now l.0.n): 2 → 3"},
		{`{"l": [[1, 2], [3, 4]]}`, `{"l": [[1, 2], [3, 5]]}`, "l.1.1: 4 → 5"},
		{`{"a": 1, "b": 2, "c": 3}`, `{"a": 1, "c": 3, "b": 2}`, "order of fields: b, c → c, b"},
		{`{"s": {"a": 1, "b": 2}}`, `{"s": {"b": 2, "a": 1}}`, "order in s: a, b → b, a"},
		{`{"a.b": 1, "": 2, "x y": 3}`, `{"a.b": 2, "": 3, "x y": 4}`, "'a.b': 1 → 2\n'': 2 → 3\n'x y': 3 → 4"},
		{`{"mail": "kim@example.net", "n": 1}`, `{"n": 1, "email": "kim@example.net"}`, "mail: renamed to email 'kim@example.net'"},
		{`{"mail": "kim@example.net"}`, `{"contact": {"x": 1}, "email": "other"}`, "mail: gone 'kim@example.net'\ncontact: new { x: 1 }\nemail: new 'other'"},
		{`{"mail": "kim@example.net"}`, `{"contact": {"email": "kim@example.net"}}`, "mail: renamed to contact.email 'kim@example.net'"},
		{`{"mail": "kim@example.net"}`, `{"contact": {"email": "kim@example.net", "x": 1}}`, "mail: gone 'kim@example.net'\ncontact: new { email: 'kim@example.net', x: 1 }"},
		{`{"a": true}`, `{"b": true}`, "a: gone true\nb: new true"},
		{`{"a": [1]}`, `{"a": {"0": 1}}`, "a: [ 1 ] → { '0': 1 }  (array → object)"},
		{`{"\u202ea": "\u001b[2J"}`, `{"\u202ea": "b"}`, `'\u202ea': '\x1B[2J' → 'b'`},
	} {
		got := lines(Between(doc(t, c.before), doc(t, c.after)))
		if got != c.want {
			t.Errorf("%s → %s:\n%s\nwant:\n%s", c.before, c.after, got, c.want)
		}
	}
}

func TestLongArrays(t *testing.T) {
	same := func(items bson.A) bson.A { return items }
	for _, c := range []struct {
		name   string
		change func(bson.A) bson.A
		want   string
	}{
		{"one element of fifty", func(l bson.A) bson.A { l[44].(bson.D)[1].Value = int32(4); return l }, "items.44.qty: 5 → 4"},
		{"the first goes", func(l bson.A) bson.A { return l[1:] }, "items.0: gone { sku: 'SKU-000', qty: 5, name: 'product 0' }"},
		{"one goes and one changes", func(l bson.A) bson.A { l[44].(bson.D)[1].Value = int32(4); return append(l[:3], l[4:]...) },
			"items.3: gone { sku: 'SKU-003', qty: 5, name: 'product 3' }\nitems.44.qty (now items.43.qty): 5 → 4"},
		{"one moves", func(l bson.A) bson.A { return append(append(bson.A{l[7]}, l[:7]...), l[8:]...) }, "items.7: moved to items.0 { sku: 'SKU-007', qty: 5, name: 'product 7' }"},
	} {
		if got := lines(Between(marshalled(t, order(same)), marshalled(t, order(c.change)))); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.name, got, c.want)
		}
	}
}

func TestLongTexts(t *testing.T) {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 20)
	change := strings.Replace(text[:400], "lazy dog", "lazy cat", 1) + strings.Replace(text[400:], "brown", "red", 1)
	got := lines(Between(marshalled(t, bson.D{{Key: "body", Value: text}}), marshalled(t, bson.D{{Key: "body", Value: change}})))
	want := `body: at character 41
  - …jumps over the lazy dog. The quick brown fox…
  + …jumps over the lazy cat. The quick brown fox…
  at character 416
  - …lazy dog. The quick brown fox jumps over the…
  + …lazy dog. The quick red fox jumps over the…`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	// Binary data that differs at its end is a long text when it is printed.
	data := make([]byte, 300)
	other := append([]byte(nil), data...)
	other[299] = 1
	c := Between(marshalled(t, bson.D{{Key: "b", Value: data}}), marshalled(t, bson.D{{Key: "b", Value: other}}))
	if len(c) != 1 || len(c[0].Hunks) != 1 {
		t.Errorf("%s", lines(c))
	}
	// Texts that have nothing in common stand as they are.
	c = Between(marshalled(t, bson.D{{Key: "s", Value: strings.Repeat("a", 80)}}), marshalled(t, bson.D{{Key: "s", Value: strings.Repeat("b", 80)}}))
	if len(c) != 1 || len(c[0].Hunks) != 0 {
		t.Errorf("%s", lines(c))
	}
}

func TestDuplicateNames(t *testing.T) {
	before := marshalled(t, bson.D{{Key: "a", Value: "one"}, {Key: "a", Value: "two"}})
	for _, c := range []struct {
		after bson.D
		want  string
	}{
		{bson.D{{Key: "a", Value: "one"}, {Key: "a", Value: "three"}}, "a (2 of this name): 'two' → 'three'"},
		{bson.D{{Key: "a", Value: "one"}}, "a (2 of this name): gone 'two'"},
		{bson.D{{Key: "a", Value: "two"}, {Key: "a", Value: "one"}}, "a: 'one' → 'two'\na (2 of this name): 'two' → 'one'"},
	} {
		if got := lines(Between(before, marshalled(t, c.after))); got != c.want {
			t.Errorf("%v: %s, want %s", c.after, got, c.want)
		}
	}
}

func TestUnknown(t *testing.T) {
	got := lines(Between(doc(t, `{"a": 1, "at": 1, "s": {"x": 1}}`), doc(t, `{"a": 2, "at": 7, "s": {"x": 9}}`), "at", "s.x", "new.field"))
	want := "a: 1 → 2\nat: not known beforehand\ns.x: not known beforehand\nnew.field: not known beforehand"
	if got != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
}

// What looks the same and is not, says so.
func TestOtherBytes(t *testing.T) {
	nan := func(bits uint64) []byte { return marshalled(t, bson.D{{Key: "a", Value: math.Float64frombits(bits)}}) }
	if got := lines(Between(nan(0x7ff8000000000000), nan(0x7ff8000000000001))); got != "a: NaN → NaN  (they look the same, and differ in their bytes)" {
		t.Error(got)
	}
	deep := func(v any) bson.D {
		d := bson.D{{Key: "v", Value: v}}
		for range 205 {
			d = bson.D{{Key: "d", Value: d}}
		}
		return d
	}
	if got := Between(marshalled(t, deep(int32(1))), marshalled(t, deep(1.0))); len(got) != 1 || got[0].Note == "" {
		t.Error(lines(got))
	}
}

// Large arrays of which everything differs take no more than a moment.
func TestLargeArrays(t *testing.T) {
	list := func(from, step int) bson.D {
		a := bson.A{}
		for i := range 20_000 {
			a = append(a, int32(from+i*step))
		}
		return bson.D{{Key: "a", Value: a}}
	}
	if n := len(Between(marshalled(t, list(0, 1)), marshalled(t, list(1_000_000, 7)))); n != 20_000 {
		t.Errorf("%d changes", n)
	}
	if got := lines(Between(marshalled(t, list(0, 1)), marshalled(t, list(1, 1)))); got != "a.0: gone 0\na.19999: new 20000" {
		t.Error(got[:min(len(got), 300)])
	}
}

func TestJSON(t *testing.T) {
	b, err := json.Marshal(Between(doc(t, `{"a": 1, "b": 2, "c": 3, "t": ["x"]}`), doc(t, `{"a": {"$numberLong": "1"}, "c": 3, "b": 2, "t": []}`)))
	want := `[{"path":"a","kind":"changed","old":1,"new":{"$numberLong":"1"},"note":"int → long","text":"a: 1 → Long('1')  (int → long)"},` +
		`{"path":"t.0","kind":"gone","old":"x","text":"t.0: gone 'x'"},{"path":"","kind":"order","old":["b","c"],"new":["c","b"],"text":"order of fields: b, c → c, b"}]`
	if err != nil || string(b) != want {
		t.Errorf("%s (%v)\nwant %s", b, err, want)
	}
}

// FuzzBetween: there are no changes if and only if the documents are the same; what is shown differs, or says why it does not; and nothing in it acts on a terminal.
func FuzzBetween(f *testing.F) {
	for _, c := range [][2]string{
		{`{"a": 1, "l": [1, {"x": 2}, "y"]}`, `{"a": 2, "l": [{"x": 3}, "y", 1]}`},
		{`{"s": "` + strings.Repeat("some words ", 20) + `"}`, `{"s": "` + strings.Repeat("some words ", 10) + "other " + strings.Repeat("some words ", 9) + `"}`},
		{`{"a": 1, "b": 2}`, `{"b": 2, "a": 1}`},
	} {
		f.Add(doc(f, c[0]), doc(f, c[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		changes := Between(a, b)
		if (len(changes) == 0) != (string(a) == string(b)) {
			t.Fatalf("%x and %x: %d changes", a, b, len(changes))
		}
		for _, c := range changes {
			text := c.String()
			if replay.SafeLines(text) != text {
				t.Errorf("%q can act on a terminal", text)
			}
			if c.Kind == Changed && c.Note == "" && len(c.Hunks) == 0 && c.Old.String() == c.New.String() {
				t.Errorf("both sides of %q look the same", text)
			}
			for _, h := range c.Hunks {
				if h.Old == h.New {
					t.Errorf("both sides of %q look the same", text)
				}
			}
			if _, err := json.Marshal(c); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
