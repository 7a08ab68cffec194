package update

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// caseLine is one line of testdata/updates.jsonl: cases of the update language on which a MongoDB-compatible engine and a model of
// the manual agree, or where a sentence of the manual decides.
type caseLine struct {
	ID               string
	Filter           json.RawMessage
	Update           json.RawMessage
	ArrayFilters     []json.RawMessage
	Upsert           bool
	Multi            bool
	Before, After    json.RawMessage
	Error            string
	CodeAgree        *bool
	Nondeterministic []string
}

func document(t testing.TB, j json.RawMessage) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON(j, true, &d); err != nil {
		t.Fatalf("%s: %v", j, err)
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func cases(t testing.TB) (out []caseLine) {
	t.Helper()
	f, err := os.Open("testdata/updates.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var c caseLine
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		out = append(out, c)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// predict is what this package says of a case.
func predict(t testing.TB, c caseLine) (bson.Raw, error) {
	u := document(t, c.Update)
	first, err := u.IndexErr(0)
	replacement := err != nil || !strings.HasPrefix(first.Key(), "$")
	switch {
	case bytes.Equal(c.Before, []byte("null")) && c.Upsert:
		return Upserted(document(t, c.Filter), u, replacement, func() bson.ObjectID { return bson.ObjectID{1} })
	case bytes.Equal(c.Before, []byte("null")):
		return nil, ErrNotPredictable
	case replacement && c.Multi:
		return nil, ErrNotPredictable // package command refuses it
	case replacement:
		return Replace(document(t, c.Before), u)
	}
	opts := Options{Filter: document(t, c.Filter)}
	for _, f := range c.ArrayFilters {
		opts.ArrayFilters = append(opts.ArrayFilters, document(t, f))
	}
	p, err := Parse(u, opts)
	if err != nil {
		return nil, err
	}
	return p.Apply(document(t, c.Before))
}

// sameID says whether a filter on _id alone selects the document.
func sameID(t testing.TB, c caseLine) bool {
	want, err := document(t, c.Filter).LookupErr("_id")
	if err != nil || bytes.Equal(c.Before, []byte("null")) || want.Type == bson.TypeEmbeddedDocument {
		return true
	}
	return equalIDs(want, document(t, c.Before).Lookup("_id"))
}

// What is predicted is right; what is not known is said to be not predictable.
func TestCases(t *testing.T) {
	predicted, unknown := 0, 0
	for _, c := range cases(t) {
		if len(c.Update) == 0 || c.Update[0] == '[' || len(c.Nondeterministic) > 0 {
			unknown++
			continue
		}
		if !bytes.Equal(c.Before, []byte("null")) && Match(document(t, c.Filter), document(t, c.Before)) == No || !sameID(t, c) {
			continue // nothing to predict
		}
		got, err := predict(t, c)
		if errors.Is(err, ErrNotPredictable) {
			unknown++
			continue
		}
		predicted++
		if c.Error != "" {
			if err == nil {
				t.Errorf("%s: %s on %s: got %s, want error %s", c.ID, c.Update, c.Before, got, c.Error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %s on %s: %v, want %s", c.ID, c.Update, c.Before, err, c.After)
			continue
		}
		if bytes.Equal(c.After, []byte("null")) {
			continue
		}
		if want := document(t, c.After); !bytes.Equal(got, want) {
			t.Errorf("%s: %s on %s (filter %s):\n got %s\nwant %s", c.ID, c.Update, c.Before, c.Filter, got, want)
		}
	}
	t.Logf("%d cases predicted, %d not predictable yet", predicted, unknown)
	if predicted < 500 {
		t.Errorf("only %d cases were predicted", predicted)
	}
}

func FuzzApply(f *testing.F) {
	for i, c := range cases(f) {
		if i%97 == 0 && len(c.Update) > 0 && c.Update[0] == '{' && !bytes.Equal(c.Before, []byte("null")) {
			f.Add([]byte(document(f, c.Update)), []byte(document(f, c.Before)))
		}
	}
	f.Fuzz(func(t *testing.T, u, before []byte) {
		if bson.Raw(u).Validate() != nil || bson.Raw(before).Validate() != nil {
			return
		}
		keep := bytes.Clone(before)
		p, err := Parse(u, Options{})
		if err != nil {
			return
		}
		after, err := p.Apply(before)
		if !bytes.Equal(keep, before) {
			t.Fatal("Apply changed the document it was given")
		}
		if err == nil && after.Validate() != nil {
			t.Fatalf("Apply made %x, which is not BSON", []byte(after))
		}
	})
}
