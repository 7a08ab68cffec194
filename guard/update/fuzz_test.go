package update

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// sound says whether bytes are BSON to the driver.
func valid(docs ...[]byte) bool {
	return !slices.ContainsFunc(docs, func(d []byte) bool { return bson.Raw(d).Validate() != nil })
}

// known says whether an error is one that this package promises.
func known(err error) bool {
	var server *Error
	return err == nil || errors.Is(err, ErrNotPredictable) || errors.Is(err, errInvalid) || errors.As(err, &server)
}

// idempotent are the operators that do nothing the second time.
var idempotent = []string{"$set", "$unset", "$min", "$max", "$addToSet", "$pull", "$pullAll", "$setOnInsert"}

func FuzzApply(f *testing.F) {
	for i, c := range cases(f) {
		if i%23 != 0 || c.pipeline() || c.empty() {
			continue
		}
		filter := []byte{}
		if len(c.ArrayFilters) > 0 {
			filter = parseJSON(f, c.ArrayFilters[0])
		}
		f.Add([]byte(parseJSON(f, c.Update)), []byte(parseJSON(f, c.Before)), []byte(parseJSON(f, c.Filter)), filter)
	}
	f.Fuzz(func(t *testing.T, u, before, filter, arrayFilter []byte) {
		opts := Options{Filter: filter}
		if len(arrayFilter) > 0 {
			opts.ArrayFilters = []bson.Raw{arrayFilter}
		}
		p, err := Parse(u, opts)
		if !known(err) {
			t.Fatalf("Parse: %v", err)
		}
		if err != nil {
			return
		}
		keep := bytes.Clone(before)
		img, err := p.Foresee(before)
		if !bytes.Equal(keep, before) {
			t.Fatal("Foresee changed the document it was given")
		}
		if !known(err) {
			t.Fatalf("Foresee: %v", err)
		}
		if err != nil || !valid(u, before) {
			return
		}
		if !valid(img.After) {
			t.Fatalf("Foresee made %x, which is not BSON", []byte(img.After))
		}
		again, err := p.Foresee(before)
		if err != nil || !bytes.Equal(again.After, img.After) {
			t.Fatalf("the same update of the same document made %s, then %s, %v", img.After, again.After, err)
		}
		count(t, before, img)
		untouched(t, p, before, img.After)
		undone(t, before, img)
		twice(t, u, before, img)
	})
}

// count: a document counts as modified if its bytes change, and else only perhaps.
func count(t *testing.T, before []byte, img Image) {
	t.Helper()
	same := bytes.Equal(before, img.After)
	if img.Modified == No && (!same || len(img.Unknown) > 0) || img.Modified == Yes && same && len(img.Unknown) == 0 {
		t.Fatalf("modified %v: %s to %s", img.Modified, bson.Raw(before), img.After)
	}
}

// untouched: the fields that an update does not name stay as they are, in their order.
func untouched(t *testing.T, p *Update, before, after []byte) {
	t.Helper()
	rest := func(doc []byte) (out []byte) {
		s := scan(doc)
		for s.more() {
			if !slices.Contains(p.Fields(), string(s.key)) {
				out = append(out, doc[s.off:s.end]...)
			}
		}
		return out
	}
	if !bytes.Equal(rest(before), rest(after)) {
		t.Fatalf("%s to %s changes other fields than %s", bson.Raw(before), bson.Raw(after), p.Fields())
	}
}

// undone: what was there before, put back as a replacement, is there again.
func undone(t *testing.T, before []byte, img Image) {
	t.Helper()
	if name, ok := first(before); !ok || name != "_id" || bytes.Count(before, []byte("_id\x00")) > 1 {
		return
	}
	back, err := ForeseeReplace(img.After, before)
	if err != nil || len(back.Unknown) > 0 {
		return
	}
	if !bytes.Equal(back.After, before) {
		t.Fatalf("%s, updated and put back, is %s", bson.Raw(before), back.After)
	}
}

// twice: some updates do nothing the second time.
func twice(t *testing.T, u, before []byte, img Image) {
	t.Helper()
	s := scan(u)
	for s.more() {
		if !slices.Contains(idempotent, string(s.key)) || bytes.Contains(s.val, []byte("$")) {
			return
		}
	}
	if len(img.Unknown) > 0 {
		return
	}
	p, err := Parse(u, Options{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.Foresee(img.After)
	if err != nil || !bytes.Equal(second.After, img.After) {
		t.Fatalf("%s twice on %s: %s, then %s, %v", bson.Raw(u), bson.Raw(before), img.After, second.After, err)
	}
}

func FuzzMatch(f *testing.F) {
	for i, c := range cases(f) {
		if i%31 == 0 && !c.empty() {
			f.Add([]byte(parseJSON(f, c.Filter)), []byte(parseJSON(f, c.Before)))
		}
	}
	for _, m := range matches {
		f.Add([]byte(relaxed(f, m.filter)), []byte(relaxed(f, m.doc)))
	}
	f.Fuzz(func(t *testing.T, filter, doc []byte) {
		p, err := ParseFilter(filter)
		if !known(err) {
			t.Fatalf("ParseFilter: %v", err)
		}
		got := Match(filter, doc)
		if err != nil || !valid(filter, doc) {
			return
		}
		if again := p.Match(doc); again != got {
			t.Fatalf("%s on %s: %v, then %v", bson.Raw(filter), bson.Raw(doc), got, again)
		}
		for op, want := range map[string]Answer{"$and": got, "$or": got, "$nor": got.not()} {
			outer, err := bson.Marshal(bson.D{{Key: op, Value: bson.A{bson.Raw(filter)}}})
			if err != nil {
				t.Fatal(err)
			}
			if around := Match(outer, doc); around != want && around != Undecidable {
				t.Fatalf("%s on %s: %v, and within %s: %v", bson.Raw(filter), bson.Raw(doc), got, op, around)
			}
		}
	})
}

func FuzzUpserted(f *testing.F) {
	for i, c := range cases(f) {
		if c.empty() && !c.pipeline() && i%3 == 0 {
			f.Add([]byte(parseJSON(f, c.Filter)), []byte(parseJSON(f, c.Update)), c.replacement())
		}
	}
	f.Fuzz(func(t *testing.T, filter, u []byte, replacement bool) {
		id := bson.ObjectID{7}
		img, err := ForeseeUpsert(filter, u, replacement, Options{}, func() bson.ObjectID { return id })
		if !known(err) {
			t.Fatal(err)
		}
		if err != nil || !valid(filter, u) {
			return
		}
		if !valid(img.After) {
			t.Fatalf("made %x, which is not BSON", []byte(img.After))
		}
		if name, _ := first(img.After); name != "_id" {
			t.Fatalf("%s begins with %q", img.After, name)
		}
	})
}

func FuzzReplace(f *testing.F) {
	for i, c := range cases(f) {
		if !c.empty() && i%101 == 0 {
			f.Add([]byte(parseJSON(f, c.Before)), []byte(parseJSON(f, c.After)))
		}
	}
	f.Fuzz(func(t *testing.T, before, doc []byte) {
		img, err := ForeseeReplace(before, doc)
		if !known(err) {
			t.Fatal(err)
		}
		if err != nil || !valid(before, doc) {
			return
		}
		if !valid(img.After) {
			t.Fatalf("made %x, which is not BSON", []byte(img.After))
		}
		count(t, before, img)
		again, err := ForeseeReplace(img.After, doc)
		if err != nil || !bytes.Equal(again.After, img.After) {
			t.Fatalf("%s by %s: %s, then %s, %v", bson.Raw(before), bson.Raw(doc), img.After, again.After, err)
		}
	})
}

func FuzzCompare(f *testing.F) {
	f.Add(byte(bson.TypeInt32), []byte{1, 0, 0, 0}, byte(bson.TypeDouble), []byte{0, 0, 0, 0, 0, 0, 0xf0, 0x3f})
	f.Add(byte(bson.TypeDecimal128), make([]byte, 16), byte(bson.TypeInt64), []byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(byte(bson.TypeArray), []byte{5, 0, 0, 0, 0}, byte(0), []byte{})
	f.Fuzz(func(t *testing.T, s byte, a []byte, u byte, b []byte) {
		x, y := bson.RawValue{Type: bson.Type(s), Value: a}, bson.RawValue{Type: bson.Type(u), Value: b}
		if Compare(x, x) != 0 || Compare(x, y)+Compare(y, x) != 0 && Compare(x, y)*Compare(y, x) >= 0 {
			t.Fatalf("Compare(%v, %v) = %d, and the other way %d", x, y, Compare(x, y), Compare(y, x))
		}
	})
}

// A sum or a product is the number nearest to the exact one of those that have 34 digits.
func FuzzDecimal(f *testing.F) {
	f.Add(uint64(0x3040000000000000), uint64(15), uint64(0x303e000000000000), uint64(7))
	f.Add(uint64(0x5ffe000000000000), uint64(1), uint64(0), uint64(1))
	f.Fuzz(func(t *testing.T, h1, l1, h2, l2 uint64) {
		x, y := decodeDecimal(h1, l1), decodeDecimal(h2, l2)
		for _, r := range []struct {
			got   decimal
			exact func(a, b *big.Rat) *big.Rat
		}{{addDecimals(x, y), new(big.Rat).Add}, {multiplyDecimals(x, y), new(big.Rat).Mul}} {
			v := r.got.encode()
			if back := decodeDecimal(v.decimal()); back.kind != r.got.kind || back.kind == finite && (back.coef.Cmp(r.got.coef) != 0 || back.exp != r.got.exp) {
				t.Fatalf("%v is encoded as %v", r.got, back)
			}
			if r.got.kind != finite || x.kind != finite || y.kind != finite || max(abs(x.exp), abs(y.exp), abs(r.got.exp)) > 200 {
				continue
			}
			off := new(big.Rat).Sub(rat(r.got), r.exact(rat(x), rat(y)))
			unit := rat(decimal{coef: big.NewInt(1), exp: r.got.exp})
			if off.Abs(off).Cmp(unit.Mul(unit, big.NewRat(1, 2))) > 0 {
				t.Fatalf("%v and %v make %v, off by more than half a unit", x, y, r.got)
			}
		}
		if c := compareDecimals(x, y); x.kind == finite && y.kind == finite && max(abs(x.exp), abs(y.exp)) < 200 && c != rat(x).Cmp(rat(y)) {
			t.Fatalf("compare %v with %v: %d", x, y, c)
		}
	})
}

func abs(n int) int { return max(n, -n) }

func rat(d decimal) *big.Rat {
	r := new(big.Rat).SetInt(signed(d))
	if d.exp < 0 {
		return r.Quo(r, new(big.Rat).SetInt(tenTo(-d.exp)))
	}
	return r.Mul(r, new(big.Rat).SetInt(tenTo(d.exp)))
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{"^a", "a|b", "(a+)+", "[a-z]{2,3}?", `\d\.\$`, "(?i)a", "(?:x)", "é", "a++", "[]a]", `\x41`} {
		f.Add(p, "i", "abc")
	}
	f.Fuzz(func(t *testing.T, source, options, text string) {
		if strings.ContainsRune(source+options, 0) {
			return
		}
		p := newPattern([]byte(source), []byte(options))
		v := marshal(t, bson.D{{Key: "", Value: text}})
		got := p.matches(fromRaw(v.Lookup("")))
		if p.re == nil && got != Undecidable {
			t.Fatalf("/%s/%s on %q: %v", source, options, text, got)
		}
	})
}
