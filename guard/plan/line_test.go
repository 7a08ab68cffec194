package plan

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// item makes an item of anything, for laws.
func anyItem(n int64, ns, op, id, sum, why string, at int64, upsert bool) Item {
	it := Item{N: n, Command: int(at % 7), Statement: int(n % 5), NS: ns, Op: op, Unpredictable: why, Upsert: upsert}
	it.ID = idText(bson.RawValue{Type: bson.TypeString, Value: stringValue(id)})
	it.Before = &Image{At: at, Bytes: int(n % 1000), SHA256: sum}
	if n%3 == 0 {
		it.After = &Image{At: -1, Bytes: 5, SHA256: hashOf([]byte(sum))}
	}
	return it
}

func stringValue(s string) []byte {
	_, b, err := bson.MarshalValue(strings.ReplaceAll(s, "\x00", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// FuzzItem: the quick encoding is that of encoding/json, and what is read is what was written.
func FuzzItem(f *testing.F) {
	f.Add(int64(0), "app.users", "update", "u1", strings.Repeat("ab", 32), "", int64(0), false)
	f.Add(int64(3), "app.a<b>", "delete", `quo"te\`, "", "$currentDate", int64(-1), true)
	f.Add(int64(math.MaxInt64), "app.ö", "insert", "}{", "00", "", int64(7), false)
	f.Fuzz(func(t *testing.T, n int64, ns, op, id, sum, why string, at int64, upsert bool) {
		it := anyItem(n, ns, op, id, sum, why, at, upsert)
		got, err := appendItem(nil, &it)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(line{Document: &it})
		if err != nil {
			t.Fatal(err)
		}
		if plainText(sum) && string(got) != string(want)+"\n" {
			t.Fatalf("appendItem:\n%s\nencoding/json:\n%s", got, want)
		}
		if quick, ok := parseItem(bytes.TrimSuffix(got, []byte("\n"))); ok {
			var slow line
			if err := json.Unmarshal(got, &slow); err != nil {
				t.Fatalf("parseItem takes what encoding/json does not: %s: %v", got, err)
			}
			if d := cmp.Diff(*slow.Document, quick); d != "" {
				t.Fatalf("%s:\n%s", got, d)
			}
		}
	})
}

// FuzzParseItem: what the quick reader takes encoding/json takes too, and finds the same in it.
func FuzzParseItem(f *testing.F) {
	it := anyItem(3, "app.users", "update", "u1", strings.Repeat("ab", 32), "", 0, false)
	b, err := appendItem(nil, &it)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSuffix(b, []byte("\n")))
	f.Add([]byte(`{"document":{"n":1,"c":-1,"s":0,"ns":"a.b","op":"delete","id":{"_id":{"$oid":"64b0c0f10000000000000001"}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		quick, ok := parseItem(b)
		if !ok {
			return
		}
		var slow line
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&slow); err != nil || slow.Document == nil {
			t.Fatalf("%s: encoding/json: %v", b, err)
		}
		if d := cmp.Diff(*slow.Document, quick); d != "" {
			t.Fatalf("%s:\n%s", b, d)
		}
	})
}

// TestIDText: the quick encoding of an _id is the driver's.
func TestIDText(t *testing.T) {
	t.Parallel()
	for _, id := range []any{bson.ObjectID{1, 2, 255}, int32(-7), int64(math.MinInt64), 1.5, "x", bson.D{{Key: "a", Value: 1}}, nil, bson.Binary{Subtype: 4, Data: make([]byte, 16)}} {
		doc, err := bson.Marshal(bson.D{{Key: "_id", Value: id}})
		if err != nil {
			t.Fatal(err)
		}
		want, err := bson.MarshalExtJSON(bson.Raw(doc), true, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(idText(bson.Raw(doc).Lookup("_id"))); got != string(want) {
			t.Errorf("idText(%v) = %s, want %s", id, got, want)
		}
		back, err := Item{ID: idText(bson.Raw(doc).Lookup("_id"))}.DocumentID()
		if v := bson.Raw(doc).Lookup("_id"); err != nil || back.Type != v.Type || !bytes.Equal(back.Value, v.Value) {
			t.Errorf("DocumentID of %s = %v (%v), want %v", want, back, err, v)
		}
	}
}

// TestIDKey: what the server takes as one _id has one hash, and everything else has another.
func TestIDKey(t *testing.T) {
	t.Parallel()
	value := func(v any) bson.RawValue {
		doc, err := bson.Marshal(bson.D{{Key: "v", Value: v}})
		if err != nil {
			t.Fatal(err)
		}
		return bson.Raw(doc).Lookup("v")
	}
	if KeyOf(value(int32(1))) != KeyOf(value(int64(1))) || KeyOf(value(int32(1))) != KeyOf(value(1.0)) {
		t.Error("1, Long(1) and 1.0 are one _id")
	}
	seen := map[IDHash]any{}
	for _, v := range []any{int32(1), 1.5, "1", true, nil, math.NaN(), math.Inf(1), math.Inf(-1), 1e300, int64(math.MaxInt64), int64(math.MinInt64), "n\x01", bson.ObjectID{}, bson.A{1}, bson.D{}} {
		k := KeyOf(value(v))
		if other, twice := seen[k]; twice {
			t.Errorf("%v and %v have one hash", v, other)
		}
		seen[k] = v
	}
}

func BenchmarkAppendItem(b *testing.B) {
	it := anyItem(1, "app.users", "update", "u1", strings.Repeat("ab", 32), "", 0, false)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = appendItem(buf[:0], &it)
	}
}

func BenchmarkParseItem(b *testing.B) {
	it := anyItem(1, "app.users", "update", "u1", strings.Repeat("ab", 32), "", 0, false)
	buf, _ := appendItem(nil, &it)
	buf = bytes.TrimSuffix(buf, []byte("\n"))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := parseItem(buf); !ok {
			b.Fatal("not read")
		}
	}
}
