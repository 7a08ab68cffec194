package render

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// testdata/mongosh.jsonl holds documents with what mongosh 2.12.0 printed for them (numbers promoted as it does with what a
// server sends).
func TestValueIsAsMongoshPrintsIt(t *testing.T) {
	f, err := os.Open("testdata/mongosh.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	n, bad := 0, 0
	for sc.Scan() {
		var c struct {
			Doc  json.RawMessage
			Text string
		}
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		var d bson.D
		if err := bson.UnmarshalExtJSON(c.Doc, true, &d); err != nil {
			t.Fatalf("%s: %v", c.Doc, err)
		}
		raw, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if diff := cmp.Diff(strings.Split(c.Text, "\n"), strings.Split(Value(bson.Raw(raw)), "\n")); diff != "" {
			bad++
			if bad < 6 {
				t.Errorf("%.300s (-mongosh +ours):\n%s", c.Doc, diff)
			}
		}
	}
	if n < 100 || sc.Err() != nil {
		t.Errorf("%d documents, %v", n, sc.Err())
	}
	t.Logf("%d documents, %d differ", n, bad)
}

func TestValueOfTheOtherTypes(t *testing.T) {
	for _, tt := range []struct{ json, want string }{
		{`{"r":{"$regularExpression":{"pattern":"ab/c[/]+","options":"i"}}}`, `{ r: /ab\/c[/]+/i }`},
		{`{"r":{"$regularExpression":{"pattern":"ab","options":"x"}}}`, `{ r: BSONRegExp('ab', 'x') }`},
		{`{"r":{"$ref":"c","$id":{"$numberInt":"1"}}}`, `{ r: DBRef('c', 1) }`},
		{`{"r":{"$ref":"c","$id":{"$numberInt":"1"},"$db":"d"}}`, `{ r: DBRef('c', 1, 'd') }`},
		{`{"b":{"$binary":{"base64":"AQID","subType":"00"}}}`, `{ b: Binary.createFromBase64('AQID', 0) }`},
		{`{"u":{"$binary":{"base64":"PyM2SnEyT8KxPq8jMCTGug==","subType":"04"}}}`, `{ u: UUID('3f23364a-7132-4fc2-b13e-af233024c6ba') }`},
		{`{"t":{"$timestamp":{"t":1,"i":2}}}`, `{ t: Timestamp({ t: 1, i: 2 }) }`},
		{`{"d":{"$date":{"$numberLong":"253402300800000"}}}`, `{ d: ISODate('+010000-01-01T00:00:00.000Z') }`},
		{`{"m":{"$minKey":1},"n":{"$maxKey":1}}`, `{ m: MinKey(), n: MaxKey() }`},
		{`{"c":{"$code":"function(){ return 'x' }"}}`, `{ c: Code("function(){ return 'x' }") }`},
		{`{"d":{"$numberDecimal":"1.50"}}`, `{ d: Decimal128('1.50') }`},
	} {
		var d bson.D
		if err := bson.UnmarshalExtJSON([]byte(tt.json), true, &d); err != nil {
			t.Fatal(err)
		}
		raw, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := Value(bson.Raw(raw)); got != tt.want {
			t.Errorf("Value(%s) = %s, want %s", tt.json, got, tt.want)
		}
	}
}

// P9: nothing that a server or a script says can act on the terminal.
func TestNothingHostileIsPrinted(t *testing.T) {
	hostile := "a\x1b[2J\u009b1A\r\b\u202e\u2066\u200b\u2028\U000e0041\ufeff\xff'\"`${x}"
	raw, err := bson.Marshal(bson.D{{Key: hostile, Value: hostile}, {Key: "code", Value: bson.JavaScript(hostile)}, {Key: "re", Value: bson.Regex{Pattern: strings.ReplaceAll(hostile, "\xff", ""), Options: "i"}}, {Key: "s", Value: bson.Symbol(hostile)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"Value": Value(bson.Raw(raw)), "Inline": Inline(bson.Raw(raw), 1000), "string": Value(hostile), "token": Value(Token(hostile)),
		"Safe": Safe(hostile), "SafeLines": SafeLines(hostile),
	} {
		for _, r := range got {
			if r != '\n' && hostileRune(r) {
				t.Errorf("%s prints %U: %q", name, r, got)
			}
		}
	}
}

func hostileRune(r rune) bool {
	return r < 0x20 || (r >= 0x7f && r < 0xa0) || strings.ContainsRune("\u202e\u2066\u200b\u2028\U000e0041\ufeff", r)
}

func FuzzSafe(f *testing.F) {
	f.Add("a\x1b[2J\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		once := Safe(s)
		if Safe(once) != once {
			t.Errorf("Safe(%q) = %q is not stable", s, once)
		}
	})
}
