package plan

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func ejson(t testing.TB, text string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), true, &d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestSetBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after, now, want, fields string }{
		"another field was changed":    {`{"_id": 1, "a": 1, "b": 1}`, `{"_id": 1, "a": 2, "b": 1}`, `{"_id": 1, "a": 2, "b": 5}`, `{"_id": 1, "a": 1, "b": 5}`, "[a]"},
		"another field was added":      {`{"_id": 1, "a": 1}`, `{"_id": 1, "a": 2}`, `{"_id": 1, "a": 2, "z": 5}`, `{"_id": 1, "a": 1, "z": 5}`, "[a]"},
		"another field was removed":    {`{"_id": 1, "a": 1, "b": 1}`, `{"_id": 1, "a": 2, "b": 1}`, `{"_id": 1, "a": 2}`, `{"_id": 1, "a": 1}`, "[a]"},
		"the same field":               {`{"_id": 1, "a": 1}`, `{"_id": 1, "a": 2}`, `{"_id": 1, "a": 3}`, "", ""},
		"the same value, another type": {`{"_id": 1, "a": 1}`, `{"_id": 1, "a": 2}`, `{"_id": 1, "a": {"$numberLong": "2"}}`, "", ""},
		"our field was removed":        {`{"_id": 1, "a": 1, "b": 1}`, `{"_id": 1, "a": 2, "b": 1}`, `{"_id": 1, "b": 2}`, "", ""},
		"what we removed":              {`{"_id": 1, "a": 1, "b": 2, "c": 3}`, `{"_id": 1, "a": 1, "c": 3}`, `{"_id": 1, "a": 9, "c": 3}`, `{"_id": 1, "a": 9, "b": 2, "c": 3}`, "[b]"},
		"what we removed stood first":  {`{"a": 1, "_id": 1, "c": 3}`, `{"_id": 1, "c": 3}`, `{"_id": 1, "c": 4}`, `{"a": 1, "_id": 1, "c": 4}`, "[a]"},
		"what we removed came again":   {`{"_id": 1, "a": 1}`, `{"_id": 1}`, `{"_id": 1, "a": 7}`, "", ""},
		"what we added":                {`{"_id": 1}`, `{"_id": 1, "x": 1}`, `{"_id": 1, "x": 1, "y": 1}`, `{"_id": 1, "y": 1}`, "[x]"},
		"as before already":            {`{"_id": 1, "a": 1}`, `{"_id": 1, "a": 2}`, `{"_id": 1, "a": 1, "y": 1}`, `{"_id": 1, "a": 1, "y": 1}`, "[]"},
		"in a subdocument":             {`{"_id": 1, "s": {"a": 1, "b": 1}}`, `{"_id": 1, "s": {"a": 2, "b": 1}}`, `{"_id": 1, "s": {"a": 2, "b": 5}}`, `{"_id": 1, "s": {"a": 1, "b": 5}}`, "[s.a]"},
		"the same in a subdocument":    {`{"_id": 1, "s": {"a": 1}}`, `{"_id": 1, "s": {"a": 2}}`, `{"_id": 1, "s": {"a": 3}}`, "", ""},
		"arrays are one value":         {`{"_id": 1, "s": [1, 2]}`, `{"_id": 1, "s": [1]}`, `{"_id": 1, "s": [1, 9]}`, "", ""},
	} {
		target, fields, ok := setBack(ejson(t, c.before), ejson(t, c.after), ejson(t, c.now))
		if !ok {
			if c.want != "" {
				t.Errorf("%s: it cannot be done", name)
			}
			continue
		}
		if c.want == "" || !bytes.Equal(target, ejson(t, c.want)) || fmt.Sprint(fields) != c.fields {
			t.Errorf("%s: %s %v, want %s %s", name, target, fields, c.want, c.fields)
		}
	}
	twice := append(bson.Raw{}, ejson(t, `{"_id": 1, "a": 1, "b": 1}`)...)
	copy(twice[bytes.Index(twice, []byte("b\x00")):], "a")
	if _, _, ok := setBack(twice, ejson(t, `{"_id": 1}`), ejson(t, `{"_id": 1, "c": 1}`)); ok {
		t.Error("a name that stands there twice")
	}
}

// Where others touched other fields than the change, what comes out is what they would have made of the document before the change; where nobody else came, it is the
// document before, byte for byte.
func TestSetBackOfRandomDocuments(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 5000 {
		before, after, now, want := bson.D{{Key: "_id", Value: int32(n)}}, bson.D{{Key: "_id", Value: int32(n)}}, bson.D{{Key: "_id", Value: int32(n)}}, map[string]any{}
		for _, key := range []string{"a", "b", "c", "d", "e"} {
			v, w, x := r.Int32N(5), 10+r.Int32N(5), 20+r.Int32N(5)
			switch r.IntN(4) {
			case 0: // ours
				before, after, now, want[key] = append(before, bson.E{Key: key, Value: v}), append(after, bson.E{Key: key, Value: w}), append(now, bson.E{Key: key, Value: w}), v
			case 1: // theirs
				before, after, now, want[key] = append(before, bson.E{Key: key, Value: v}), append(after, bson.E{Key: key, Value: v}), append(now, bson.E{Key: key, Value: x}), x
			case 2: // ours, removed
				before, want[key] = append(before, bson.E{Key: key, Value: v}), v
			case 3: // nobody's
				before, after, now, want[key] = append(before, bson.E{Key: key, Value: v}), append(after, bson.E{Key: key, Value: v}), append(now, bson.E{Key: key, Value: v}), v
			}
		}
		target, _, ok := setBack(bytesOf(t, before), bytesOf(t, after), bytesOf(t, now))
		if !ok {
			t.Fatalf("%v %v %v", before, after, now)
		}
		for key, v := range want {
			if got, ok := target.Lookup(key).Int32OK(); !ok || got != v {
				t.Fatalf("%v %v %v: %s", before, after, now, target)
			}
		}
		if back, _, ok := setBack(bytesOf(t, before), bytesOf(t, after), bytesOf(t, after)); !ok || !bytes.Equal(back, bytesOf(t, before)) {
			t.Fatalf("%v %v: %s", before, after, back)
		}
	}
}

func bytesOf(t testing.TB, d bson.D) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
