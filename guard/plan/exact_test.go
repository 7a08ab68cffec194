package plan

import (
	"math"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestNumbersOf writes out what is said of numbers, and of which documents it cannot be said.
func TestNumbersOf(t *testing.T) {
	t.Parallel()
	decimal, err := bson.ParseDecimal128("1.10")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		doc  bson.D
		want string // "" if it cannot be said
	}{
		{"none", bson.D{{Key: "a", Value: "x"}, {Key: "b", Value: bson.A{"y", true}}}, `[]=[]`},
		{"each type", bson.D{{Key: "i", Value: int32(1)}, {Key: "l", Value: int64(1)}, {Key: "d", Value: 1.5}}, `[{"$type":"$i"},{"$type":"$l"},{"$type":"$d"}]=["int","long","double"]`},
		{"inside", bson.D{{Key: "a", Value: bson.D{{Key: "b", Value: bson.D{{Key: "c", Value: int64(1)}}}}}}, `[{"$type":"$a.b.c"}]=["long"]`},
		{"an array", bson.D{{Key: "a", Value: bson.A{int32(1), "x", 2.5}}}, `[{"$map":{"input":"$a","in":[{"$type":"$$this"}]}}]=[[["int"],["string"],["double"]]]`},
		{"documents in an array", bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "n", Value: int32(1)}}, bson.D{{Key: "n", Value: "x"}}, "y"}}},
			`[{"$map":{"input":"$a","in":[{"$type":"$$this.n"}]}}]=[[["int"],["string"],["missing"]]]`},
		{"a name that stands twice", bson.D{{Key: "a", Value: int32(1)}, {Key: "a", Value: int32(1)}}, ""},
		{"a name with a dot", bson.D{{Key: "a.b", Value: int32(1)}}, ""},
		{"a name with a dollar", bson.D{{Key: "$a", Value: int32(1)}}, ""},
		{"no name", bson.D{{Key: "", Value: int32(1)}}, ""},
		{"such names without a number", bson.D{{Key: "a.b", Value: "x"}, {Key: "$a", Value: "y"}}, `[]=[]`},
		{"an array in an array", bson.D{{Key: "a", Value: bson.A{bson.A{int32(1)}}}}, ""},
		{"NaN", bson.D{{Key: "a", Value: math.NaN()}}, ""},
		{"a path through an array", bson.D{{Key: "a", Value: bson.A{bson.D{{Key: "b", Value: bson.D{{Key: "c", Value: int32(1)}}}}, bson.D{{Key: "b", Value: bson.A{"x"}}}}}}, ""},
	} {
		raw, err := bson.Marshal(c.doc)
		if err != nil {
			t.Fatal(err)
		}
		n, ok := numbersOf(raw)
		got := ""
		if ok {
			got = text(t, bson.D{{Key: "x", Value: n.list(t, n.exprs)}})[5:]
			got = got[:len(got)-1] + "=" + text(t, bson.D{{Key: "x", Value: n.list(t, n.wants)}})[5:]
			got = got[:len(got)-1]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// A zero has a sign, and a Decimal128 a text: what is said of two that are equal to the server differs.
	for _, pair := range [][2]any{{0.0, math.Copysign(0, -1)}, {decimal, must(bson.ParseDecimal128("1.1"))(t)}, {int64(1), 1.0}} {
		var said [2]string
		for i, v := range pair {
			for _, doc := range []bson.D{{{Key: "a", Value: v}}, {{Key: "a", Value: bson.A{v, "x"}}}} {
				raw, err := bson.Marshal(doc)
				if err != nil {
					t.Fatal(err)
				}
				n, ok := numbersOf(raw)
				if !ok {
					t.Fatalf("%v: cannot be said", doc)
				}
				said[i] += string(n.wants)
			}
		}
		if said[0] == said[1] {
			t.Errorf("of %v and %v the same is said", pair[0], pair[1])
		}
	}
}

func must(d bson.Decimal128, err error) func(*testing.T) bson.Decimal128 {
	return func(t *testing.T) bson.Decimal128 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

// list is the elements of an array, as one.
func (x numbers) list(t *testing.T, elems []byte) bson.RawValue {
	t.Helper()
	doc := append([]byte{0, 0, 0, 0}, elems...)
	doc = append(doc, 0)
	for i, n := 0, len(doc); i < 4; i++ {
		doc[i] = byte(n >> (8 * i))
	}
	return bson.RawValue{Type: bson.TypeArray, Value: doc}
}
