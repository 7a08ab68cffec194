package shell

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestRedactInput(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`connect("host/db","u","S3KR3T")`,
		`connect("mongodb://h/db", "u", "S3KR3T")`,
		"connect(`h/${db}`, user, 'S3KR3T')",
		`connect ( f("a", [1, 2]), "u", "S3KR3T" )`,
		`this["connect"]("h", "u", "S3KR3T")`,
		`(connect)("h", "u", "S3KR3T")`,
		`connect/* , */("h", "u", "S3KR3T")`,
		`connect.call(null, "h", "u", "S3KR3T")`,
		`connect?.("h", "u", "S3KR3T")`,
		`new Mongo("h", {x: "S3KR3T"})`,
		`connect("it\"s", 'u', "S3KR3T"`,
		`connect("mongodb://u:it'sS3KR3T@h/")`,
		`connect("mongodb:\/\/u:S3KR3T@h")`,
		`connect("MONGODB://u:S3KR3T@h/")`,
		`connect("mongodb://u:a@S3KR3T@h/")`,
		`connect("mongodb://u@S3KR3T:S3KR3T@h/")`,
		`connect("mongodb://u:S3KR3T\x40h/")`,
		`connect("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:S3KR3T")`,
		`connect("mongodb://h/?proxyPassword=S3KR3T")`,
		`const uri = 'mongodb://u:' + 'S3KR3T' + '@h/'; connect(uri)`,
		`const uri = 'mongodb://' + ["u", "S3KR3T"].join(":") + '@h/'`,
		`const uri = 'mongodb://u'.concat(':S3KR3T@h/')`,
		"const p = 'S3KR3T'; connect(`mongodb://u:${p}@h/`)",
		`db.createUser({user: "a", pwd: "S3KR3T", roles: []})`,
		`db.auth("u", "S3KR3T")`,
		`db.c.insertOne({url: "mongodb://u:S3KR3T@h/"})`,
	} {
		if got := RedactInput(text); strings.Contains(got, "S3KR3T") {
			t.Errorf("%s is recorded as %s", text, got)
		}
		if !Secret(text) {
			t.Errorf("%s goes into history", text)
		}
	}
	for _, text := range []string{
		`connect("mongodb://h:27017/db").c.find({}, {a: 1})`, `connect("h/db",)`, `connect(uri); f(1, 2)`, `db.connect.find({}, {a: 1})`, `new Mongo(f(1, 2))`,
		`db.c.insertOne({a: "mongodb://h/db", b: "me@h"})`, `connect("mongodb://h:27017/" + name)`, `db.c.find({}, {b: 1})`, `// mongodb://h, or so`,
		`db.c.find({user: "u@h"})`, `print("mongodb://")`,
	} {
		if got := RedactInput(text); got != text {
			t.Errorf("%s is recorded as %s", text, got)
		}
	}
}

// TestNoSecretIsRecorded: whatever script holds the connection string.
func TestNoSecretIsRecorded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	const letters = "aZ09-._~%!*+,;=&$@:/?#[]{}() "
	some := func() string {
		var b strings.Builder
		for range r.IntN(4) {
			b.WriteByte(letters[r.IntN(len(letters))])
		}
		return b.String()
	}
	for range 50_000 {
		secret := some() + "S3KR3T" + some()
		quote := []string{`"`, "'", "`"}[r.IntN(3)]
		host := []string{"h", "h:27017", "h:1,i:2"}[r.IntN(3)] + []string{"", "/", "/db?w=1"}[r.IntN(3)]
		lit := func(s string) string { return quote + s + quote }
		text := []string{
			lit("mongodb://u:" + secret + "@" + host),
			lit("mongodb://u:") + " + " + lit(secret) + "+" + lit("@"+host),
			"connect(" + lit(host) + ", " + lit("u") + "," + lit(secret) + ")",
			"connect(" + lit("mongodb://"+host) + ",\n" + lit("u") + "," + lit(secret) + ").c.find()",
		}[r.IntN(4)]
		text = fmt.Sprintf([]string{"%s", "x = %s; y", "f(%s, 1)", "db.c.insertOne({a: %s})", "/* it's */ %s"}[r.IntN(5)], text)
		if got := RedactInput(text); strings.Contains(got, "S3KR3T") {
			t.Fatalf("%s\nis recorded as %s", text, got)
		}
	}
}
