package replay

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "nothing": "nothing", "http://u:p@h": "http://u:p@h",
		"mongodb://h/db": "mongodb://h/db", "mongodb://h:27017,i:27018/db?x=y": "mongodb://h:27017,i:27018/db?x=y", "mongodb://[::1]:27017": "mongodb://[::1]:27017",
		"mongodb://u@h/": "mongodb://u@h/", "say mongodb://h:27017, and mail a@b": "say mongodb://h:27017, and mail a@b",
		"see mongodb://h:27017.": "see mongodb://h:27017.", `{"u":"mongodb://h","m":"a@b"}`: `{"u":"mongodb://h","m":"a@b"}`,
		"mongodb://u:p@h/db":                               "mongodb://u:***@h/db",
		"mongodb+srv://u:p@h/db":                           "mongodb+srv://u:***@h/db",
		"MongoDB+SRV://u:p@h/db":                           "MongoDB+SRV://u:***@h/db",
		`mongodb:\/\/u:p@h`:                                `mongodb:\/\/u:***@h`,
		"mongodb://u:a@p@h":                                "mongodb://u:***@h",
		"mongodb://u@p:q@h":                                "mongodb://u:***@h",
		"mongodb://u:p/q?r@h/db":                           "mongodb://u:***@h/db",
		"mongodb://us/er:p@h/db":                           "mongodb://us/er:***@h/db",
		`f("mongodb://u:it'sp@h/", "x")`:                   `f("mongodb://u:***@h/", "x")`,
		`f('mongodb://u:it"sp@h/', 'x@y')`:                 `f('mongodb://u:***@h/', 'x@y')`,
		`f("mongodb://u:it\"sp@h/", "x@y")`:                `f("mongodb://u:***@h/", "x@y")`,
		`JSON.parse("{\"a\":\"mongodb://u:p q@h/\"}")`:     `JSON.parse("{\"a\":\"mongodb://u:***@h/\"}")`,
		"f(`mongodb://u:p q@h/`)":                          "f(`mongodb://u:***@h/`)",
		`"mongodb://u:p\x40h/"`:                            `"mongodb://u:***\x40h/"`,
		`"mongodb://u\x3ap@h/"`:                            `"mongodb://u:***@h/"`,
		`'mongodb://u:p' + '@h'`:                           `'mongodb://u:***@h'`,
		`"mongodb://u:`:                                    `"mongodb://u:`,
		`{"u":"mongodb://u:secr… (12 bytes)`:               `{"u":"mongodb://u:*** (12 bytes)`,
		"mongodb://h/?authMechanismProperties=A:p,B:q&x=y": "mongodb://h/?authMechanismProperties=***&x=y",
		"mongodb://h/?x=y&tlsCertificateKeyFilePassword=p": "mongodb://h/?x=y&tlsCertificateKeyFilePassword=***",
		"mongodb://h/?proxyPassword=p&w=1":                 "mongodb://h/?proxyPassword=***&w=1",
		`{"AWS_SESSION_TOKEN":"p"}`:                        `{"AWS_SESSION_TOKEN":"***"}`,
		"mongodb://a:p@h/ and mongodb://b:q@i/":            "mongodb://a:***@h/ and mongodb://b:***@i/",
		"mongodb://u:p@h/: no such host\nmail a@b":         "mongodb://u:***@h/: no such host\nmail a@b",
	} {
		if got := WithoutCredentials(text); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// generated is a text with a connection string whose secrets all hold mark.
func generated(r *rand.Rand, mark string) string {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	some := func(letters string) string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	const clean = "abcXYZ019-._~%!*+,;=&$"
	secret := func(letters string) string { return some(letters) + mark + some(letters) }
	form := r.IntN(5)
	letters := clean + "@:/?#[]'\"`\\" // as they stand there by mistake
	if form == 4 {
		letters = clean + "@:/?#[]'\""
	}
	uri := pick("mongodb", "MONGODB", "mongodb+srv", "MongoDb") + "://" + "u" + some("abc/@.%") + ":" + secret(letters) + "@" +
		pick("h", "h:27017", "h:1,i:2", "[::1]:27017") + pick("", "/", "/db", "/db?w=1&tlsCertificateKeyFilePassword="+secret("abc%"), "/?authMechanismProperties=AWS_SESSION_TOKEN:"+secret("abc:,%")+"&w=1")
	quoted, _ := json.Marshal(uri)
	switch form {
	case 0:
		return pick("connect(", `{"a":`, "x=") + string(quoted) + pick(")", ",b:1", "; f('x')", "")
	case 1:
		twice, _ := json.Marshal(`{"a":` + string(quoted) + `}`)
		return "JSON.parse(" + string(twice) + ")"
	case 2:
		return "x = " + strings.ReplaceAll(string(quoted), "/", `\/`)
	case 3:
		return "connect('" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(uri) + "')" + pick("", " // it's")
	}
	return pick("error: ", "", "line\n") + uri + pick("", " x", ": no such host", "\nmail a@b.c")
}

// TestNoSecretSurvives: whatever a connection string looks like, and wherever it stands.
func TestNoSecretSurvives(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		check(t, generated(r, "S3KR3T"), "S3KR3T")
	}
}

func check(t *testing.T, text, mark string) {
	t.Helper()
	got := WithoutCredentials(text)
	if strings.Contains(got, mark) {
		t.Fatalf("%s\nbecomes %s", text, got)
	}
	if again := WithoutCredentials(got); again != got {
		t.Fatalf("%s\nbecomes %s\nand then %s", text, got, again)
	}
}

func FuzzWithoutCredentials(f *testing.F) {
	for i := range uint64(20) {
		f.Add(i, "a"+string(rune(33+i)))
	}
	f.Fuzz(func(t *testing.T, seed uint64, around string) {
		if strings.Contains(around, "S3KR3T") || len(around) > 100 {
			return
		}
		check(t, generated(rand.New(rand.NewPCG(seed, 0)), "S3KR3T"), "S3KR3T")
		if got := WithoutCredentials(around + "\nmongodb://u:S3KR3T@h/\n" + around); strings.Contains(got, "S3KR3T") {
			t.Fatalf("%q becomes %q", around, got)
		}
	})
}
