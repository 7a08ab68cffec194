package update

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
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
	N, NModified     int
	CodeAgree        *bool
	NModifiedAgree   *bool
	Nondeterministic []string
}

func parseJSON(t testing.TB, j []byte) bson.Raw {
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

func (c caseLine) pipeline() bool { return len(c.Update) > 0 && c.Update[0] == '[' }
func (c caseLine) replacement() bool {
	return !bytes.HasPrefix(bytes.TrimSpace(c.Update[1:]), []byte(`"$`))
}
func (c caseLine) empty() bool { return string(c.Before) == "null" }

func (c caseLine) options(t testing.TB) Options {
	opts := Options{Filter: parseJSON(t, c.Filter)}
	for _, f := range c.ArrayFilters {
		opts.ArrayFilters = append(opts.ArrayFilters, parseJSON(t, f))
	}
	return opts
}

// errNothing: there is no document to predict.
var errNothing = errors.New("nothing to predict")

// predict is what this package says of a case.
func predict(t testing.TB, c caseLine) (Image, error) {
	filter := parseJSON(t, c.Filter)
	switch {
	case c.pipeline():
		return predictPipeline(t, c, filter)
	case c.empty() && c.Upsert:
		return ForeseeUpsert(filter, parseJSON(t, c.Update), c.replacement(), c.options(t), nil)
	case c.empty():
		return Image{}, errNothing
	case Match(filter, parseJSON(t, c.Before)) == No:
		return Image{}, errNothing
	case c.replacement() && c.Multi:
		return Image{}, fmt.Errorf("%w: package command refuses it", ErrNotPredictable)
	case c.replacement():
		return ForeseeReplace(parseJSON(t, c.Before), parseJSON(t, c.Update))
	}
	p, err := Parse(parseJSON(t, c.Update), c.options(t))
	if err != nil {
		return Image{}, err
	}
	return p.Foresee(parseJSON(t, c.Before))
}

func predictPipeline(t testing.TB, c caseLine, filter bson.Raw) (Image, error) {
	wrapped := parseJSON(t, slices.Concat([]byte(`{"p": `), c.Update, []byte(`}`)))
	p, err := ParsePipeline(wrapped.Lookup("p").Array())
	switch {
	case err != nil:
		return Image{}, err
	case c.empty() && c.Upsert:
		return p.ForeseeUpsert(filter, nil)
	case c.empty():
		return Image{}, errNothing
	}
	return p.Foresee(parseJSON(t, c.Before))
}

// What is predicted is right; what is not known is said to be not predictable.
func TestCases(t *testing.T) {
	all, predicted, partly, codes := cases(t), 0, 0, 0
	open := map[string]int{}
	for _, c := range all {
		img, err := predict(t, c)
		if errors.Is(err, errNothing) {
			predicted++
			if c.Error != "" || c.NModified > 0 {
				t.Errorf("%s: filter %s on %s: no match, want n = %d, error %q", c.ID, c.Filter, c.Before, c.N, c.Error)
			}
			continue
		}
		if err == nil && c.Error != "" && slices.ContainsFunc(img.Unknown, func(u Unknown) bool { return strings.HasPrefix(u.Why, "the operator ") }) {
			err = fmt.Errorf("%w: an operator that is not known here, and perhaps nowhere", ErrNotPredictable)
		}
		if errors.Is(err, ErrNotPredictable) {
			open[strings.TrimPrefix(err.Error(), ErrNotPredictable.Error()+": ")]++
			continue
		}
		predicted++
		if len(img.Unknown) > 0 {
			partly++
		}
		if c.check(t, img, err) {
			codes++
		}
	}
	t.Logf("%d cases: %d predicted, of these %d but for single fields, %d errors by their code; %d open", len(all), predicted, partly, codes, len(all)-predicted)
	for _, why := range slices.Sorted(maps.Keys(open)) {
		t.Logf("open: %d × %s", open[why], why)
	}
	if predicted < 1950 {
		t.Errorf("only %d cases were predicted", predicted)
	}
}

// check compares a prediction with a case. It returns whether the code of an error was compared.
func (c caseLine) check(t *testing.T, img Image, err error) bool {
	t.Helper()
	describe := fmt.Sprintf("%s: %s on %s (filter %s, arrayFilters %s)", c.ID, c.Update, c.Before, c.Filter, c.ArrayFilters)
	if c.Error != "" {
		var server *Error
		switch {
		case err == nil:
			t.Errorf("%s:\n got %v, want error %s", describe, img, c.Error)
		case c.CodeAgree != nil && !*c.CodeAgree:
		case !errors.As(err, &server) || server.Name != c.Error:
			t.Errorf("%s:\n got error %v, want %s", describe, err, c.Error)
		default:
			return true
		}
		return false
	}
	if err != nil {
		t.Errorf("%s:\n got error %v, want %s", describe, err, c.After)
		return false
	}
	if want := parseJSON(t, c.After); !sameBut(img, want) {
		t.Errorf("%s:\n got %s\n but %v\nwant %s", describe, img.After, img.Unknown, want)
	}
	counted := c.NModifiedAgree == nil || *c.NModifiedAgree
	if m := img.Modified; counted && !c.empty() && m != Undecidable && (m == Yes) != (c.NModified == 1) {
		t.Errorf("%s:\n modified %v, want nModified %d", describe, m, c.NModified)
	}
	return false
}

// sameBut says whether two documents are the same but for the values of the fields that are unknown, whose type must be the one that was foreseen.
func sameBut(img Image, want bson.Raw) bool {
	if len(img.Unknown) == 0 {
		return bytes.Equal(img.After, want)
	}
	unknown := map[string]bson.Type{}
	for _, u := range img.Unknown {
		unknown[u.Path] = u.Type
	}
	return sameFields("", img.After, want, unknown)
}

func sameFields(at string, got, want []byte, unknown map[string]bson.Type) bool {
	x, y := scan(got), scan(want)
	for {
		m, n := x.more(), y.more()
		for n && !(m && bytes.Equal(x.key, y.key)) {
			if _, ok := unknown[at+string(y.key)]; !ok {
				return false
			}
			n = y.more() // unknown, and so absent
		}
		if !m || !n {
			return m == n
		}
		path := at + string(y.key)
		if t, ok := unknown[path]; ok {
			if t != 0 && t != y.t {
				return false
			}
			continue
		}
		if x.t == y.t && (x.t == bson.TypeEmbeddedDocument || x.t == bson.TypeArray) {
			if !sameFields(path+".", x.val, y.val, unknown) {
				return false
			}
			continue
		}
		if !x.value().identical(y.value()) {
			return false
		}
	}
}
