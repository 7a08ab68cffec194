package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"respect/guard/command"
	"respect/guard/environment"
)

const whole = `# all that a file can say
environments:
  - environment: production
    match: {hosts: ["*.prod.example.net", db1], cidr: [10.1.0.0/16, "::1"], srv: "*.x.net", sets: rs0}
  - environment: staging
    match:
      databases: famigo
      profiles: [it's, "ü	"]
policy:
  development:
    documents: {action: backup, large: {documents: 5, action: confirm}, max-operations: 10, max-bytes: 1KiB}
  staging:
    reads: {max-time: 90s}
  production:
    reads: {action: run, max-time: 500ms}
    documents:
      action: approve
    schema: {large: {documents: 100, bytes: 1MiB, action: refuse}}
    operations: backup
    security: confirm
    cluster: confirm
    server: confirm
    unknown: refuse
record: {output: digest, limit: 4KiB, witness: /mnt/audit/notes}
`

func parse(t *testing.T, name, text string) *File {
	t.Helper()
	f, err := Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ text, at, want, hint string }{
		{"polcy: {}\n", "1:1", `the file has no key "polcy"`, "did you mean policy?"},
		{"zzz: {}\n", "1:1", `no key "zzz"`, "it can be environments, policy, record"},
		{"record: {output: everything}\n", "1:18", `"everything" is no way of recording output`, "it can be full, writes, digest, off"},
		{"policy:\n  production:\n    documents: {pace: {bach: 1s}}\n", "3:24", `pace has no key "bach"`, "did you mean batch?"},
		{"policy:\n  production:\n    documents: {pace: {busy: 0}}\n", "3:30", "busy must be from 1 to 100", ""},
		{"policy:\n  production:\n    documents: {full-preview: 0}\n", "3:31", "full-preview must be from 1", ""},
		{"policy:\n  production:\n    schema: {pace: {busy: 5}}\n", "3:14", `schema has no key "pace"`, ""},
		{"policy:\n  production:\n    documents: {lower-marker: confirm}\n", "3:17", `documents has no key "lower-marker"`, ""},
		{"policy:\n  production:\n    schema: {keep-dropped: much}\n", "3:28", "keep-dropped", ""},
		{"policy:\n  production:\n    documents: {keep-dropped: 1}\n", "3:17", `documents has no key "keep-dropped"`, ""},
		{"policy:\n  production:\n    security: {lower-marker: perhaps}\n", "3:30", `"perhaps" is no action`, "it can be"},
		{"record: {limit: 5}\n", "1:17", "limit must be from 1KiB to 1GiB", ""},
		{"record: {witness: notes}\n", "1:19", "witness is no absolute path", "/mnt/audit"},
		{"record: {witnes: /x}\n", "1:10", `record has no key "witnes"`, "did you mean witness?"},
		{"policy:\n  prodution: {}\n", "2:3", `"prodution" is no environment`, "did you mean production?"},
		{"policy:\n  unknown: {}\n", "2:3", `"unknown" is no environment`, "treated as production"},
		{"policy:\n  production:\n    document: run\n", "3:5", `no key "document"`, "did you mean documents?"},
		{"policy:\n  production:\n    documents: confrim\n", "3:16", `"confrim" is no action`, "did you mean confirm?"},
		{"policy:\n  production:\n    documents: 3\n", "3:16", "action must be a text, not a number", ""},
		{"policy:\n  production:\n    documents:\n", "3:15", "action must be a text, not nothing", ""},
		{"policy:\n  production:\n    documents: {}\n", "3:16", "documents is empty", ""},
		{"policy:\n  production:\n    documents: [run]\n", "3:16", "documents must be a mapping, not a list", ""},
		{"policy:\n  production:\n    reads: confirm\n", "3:12", "reads run everywhere", "max-time"},
		{"policy:\n  production:\n    reads: {max-time: 60}\n", "3:23", `max-time must be a number with ms, s, m, h, not "60"`, "30s"},
		{"policy:\n  production:\n    reads: {max-time: 25h}\n", "3:23", "max-time must be from 1ms to 24h", ""},
		{"policy:\n  production:\n    reads: {maxtime: 5s}\n", "3:13", `reads has no key "maxtime"`, "did you mean max-time?"},
		{"policy:\n  production:\n    documents: {max-operations: 100001}\n", "3:33", "from 1 to 100000", ""},
		{"policy:\n  production:\n    documents: {max-operations: 99999999999999999999}\n", "3:33", "from 1 to 100000", ""},
		{"policy:\n  production:\n    documents: {max-bytes: 1GB}\n", "3:28", `not "1GB"`, "1GiB"},
		{"policy:\n  production:\n    documents: {large: {bytes: 5}}\n", "3:25", `large has no key "bytes"`, "documents"},
		{"policy:\n  production:\n    schema: {large: {bytes: -5}}\n", "3:29", "bytes must be a number", ""},
		{"policy:\n  production:\n    security: {large: {}}\n", "3:16", `no key "large"`, "action"},
		{"policy:\n  staging: {}\n  production: {}\n  staging: {}\n", "4:3", `"staging" stands twice; first on line 2`, ""},
		{"policy: {}\npolicy: {}\n", "2:1", `"policy" stands twice`, ""},
		{"- policy\n", "1:1", "the file must be a mapping, not a list", ""},
		{"policy: {}\n---\npolicy: {}\n", "2:1", "a second document", ""},
		{"policy: &a {}\n", "1:9", "anchors and aliases", ""},
		{"policy: {staging: !!map {}}\n", "1:19", "tags are not", ""},
		{"policy: {<<: {staging: {}}}\n", "1:10", `"<<" is no environment`, ""},
		{"policy: {[a]: {}}\n", "1:10", "a key of policy must be a word, not a list", ""},
		{"policy:\n  staging: {documents: 'run\n", "", "this is not YAML", ""},
		{"policy:\n\tstaging: {}\n", "2:2", "this is not YAML", ""},
		{"policy:\n  x: \xff\n", "2:6", "this is not UTF-8", ""},
		{strings.Repeat("#", maxText+1), "1:1", "more than 1048576 bytes", ""},
		{"environments: {}\n", "1:15", "environments must be a list, not a mapping", ""},
		{"environments: []\n", "1:15", "environments is empty", ""},
		{"environments:\n  - enviroment: production\n", "2:5", `a rule has no key "enviroment"`, "did you mean environment?"},
		{"environments:\n  - match: {hosts: a}\n", "2:5", "the rule says no environment", ""},
		{"environments:\n  - environment: prod\n    match: {hosts: a}\n", "2:18", `"prod" is no environment`, ""},
		{"environments:\n  - environment: production\n", "2:5", "the rule matches nothing", ""},
		{"environments:\n  - environment: production\n    match: {host: a}\n", "3:13", `match has no key "host"`, "did you mean hosts?"},
		{"environments:\n  - environment: production\n    match: {hosts: [a, 7]}\n", "3:24", "each of hosts must be a text, not a number", `"7"`},
		{"environments:\n  - environment: production\n    match: {hosts: []}\n", "3:20", "hosts is empty", ""},
		{"environments:\n  - environment: production\n    match: {hosts: [\"\"]}\n", "3:21", "each of hosts is empty", ""},
		{"environments:\n  - environment: production\n    match: {cidr: [10.0.0.0/8, 10.1/8]}\n", "3:32", `"10.1/8" is no range of addresses`, ""},
		{"environments:\n  - environment: development\n    match: {profiles: a, hosts: b}\n", "2:5", "can only raise", ""},
		{"environments:\n  - environment: development\n    match: {databases: a}\n", "2:5", "can only raise", ""},
	} {
		_, err := Parse("p.yaml", []byte(tt.text))
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%.60q) = %v, want an error with %q", tt.text, err, tt.want)
			continue
		}
		if !strings.HasPrefix(e.Error(), "p.yaml:"+tt.at) || !strings.Contains(e.Text, tt.want) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("Parse(%.60q) = %v (hint: %s), want %s %s (hint: %s)", tt.text, err, e.Hint, tt.at, tt.want, tt.hint)
		}
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "{}\n", "policy: {}\n"} {
		if _, err := Parse("p.yaml", []byte(text)); err != nil {
			t.Errorf("Parse(%q): %v", text, err)
		}
	}
}

func TestCombine(t *testing.T) {
	row := func(env, what string) string { return "policy:\n  " + env + ":\n    " + what + "\n" }
	for _, tt := range []struct{ name, admin, user, want string }{
		{"user tightens", "", row("production", "documents: approve"), ""},
		{"user says what is", "", row("production", "documents: confirm"), ""},
		{"user loosens", "", row("production", "documents: backup"), "user.yaml:3:16: documents on production: backup is looser than confirm, which is built in; a user's policy can only tighten"},
		{"user loosens what is refused", "", row("production", "security: confirm"), "security on production: confirm is looser than refuse"},
		{"user loosens what the administrator tightened", row("staging", "documents: refuse"), row("staging", "documents: backup"), "backup is looser than refuse, which is admin.yaml:3"},
		{"user tightens what the administrator loosened", row("production", "security: run"), row("production", "security: confirm"), ""},
		{"administrator loosens", row("production", "documents: run\n    reads: {max-time: 24h}"), "", ""},
		{"user: more time", "", row("production", "reads: {max-time: 61s}"), "reads.max-time on production: 61s is looser than 1m"},
		{"user: less time", "", row("production", "reads: {max-time: 59s}"), ""},
		{"user: time where there is none", "", row("staging", "reads: {max-time: 24h}"), ""},
		{"user: larger", "", row("production", "schema: {large: {documents: 10001}}"), "schema.large.documents on production: 10001 is looser than 10000"},
		{"user: smaller", "", row("production", "schema: {large: {documents: 9999, bytes: 1MiB}}"), ""},
		{"user: large asks less", "", row("production", "schema: {large: {action: confirm}}"), "schema.large.action on production: confirm is looser than approve"},
		{"user: new large", "", row("staging", "documents: {large: {documents: 10, action: confirm}}"), ""},
		{"user: large asks less than the administrator's, who did not say", row("staging", "documents: {large: {documents: 10}}"), row("staging", "documents: {large: {action: confirm}}"), "confirm is looser than approve"},
		{"large where nothing is planned", "", row("development", "documents: {large: {documents: 10}}"), "user.yaml:3:36: documents on development would run without a plan (built in)"},
		{"run where large counts", row("production", "schema: run"), "", "admin.yaml:3:13: schema on production would run without a plan"},
		{"user: a lower marker asks less", "", row("production", "security: {lower-marker: confirm}"), "security.lower-marker on production: confirm is looser than approve"},
		{"user: less is kept", row("production", "schema: {keep-dropped: 1GiB}"), row("production", "schema: {keep-dropped: 2GiB}"), "schema.keep-dropped on production: 2GiB is looser than 1GiB"},
		{"user: more is kept", row("production", "schema: {keep-dropped: 1GiB}"), row("production", "schema: {keep-dropped: 1MiB}"), ""},
		{"administrator: a lower marker asks less", row("production", "security: {lower-marker: confirm}"), "", ""},
		{"user: gentler", "", row("production", "documents: {pace: {batch: 100ms, busy: 50, max-lag: 5s, stop-lag: 1m}}"), ""},
		{"user: less gentle", "", row("production", "documents: {pace: {max-lag: 11s}}"), "documents.pace.max-lag on production: 11s is looser than 10s"},
		{"user: less gentle than the administrator's", row("production", "documents: {pace: {busy: 30}}"), row("production", "documents: {pace: {busy: 31}}"), "31 is looser than 30, which is admin.yaml:3"},
		{"user: larger previews", "", row("production", "documents: {full-preview: 1000001}"), "documents.full-preview on production: 1000001 is looser than 1000000"},
		{"user: refuses volatile backups", "", row("production", "documents: {volatile-backup: refuse}"), ""},
		{"user: volatile backups as the administrator does not", row("production", "documents: {volatile-backup: refuse}"), row("production", "documents: {volatile-backup: confirm}"), "confirm is looser than refuse"},
		{"administrator: less is recorded", "record: {output: off, limit: 1KiB}", "", ""},
		{"user: less is recorded", "", "record: {output: writes}", "user.yaml:1:18: record.output: writes is not as strict as full, which is built in; a user's policy can only ask for more"},
		{"user: more than the administrator's", "record: {output: digest, limit: 64KiB}", "record: {output: writes, limit: 65KiB}", ""},
		{"user: a shorter record", "record: {limit: 64KiB}", "record: {limit: 63KiB}", "record.limit: 63KiB is not as strict as 64KiB, which is admin.yaml:1"},
		{"user: a witness where there is none", "", "record: {witness: /x/notes}", ""},
		{"user: another witness", "record: {witness: /x/notes}", "record: {witness: /tmp/mine}", "record.witness: /tmp/mine is not as strict as /x/notes"},
		{"user rule: development", "", "environments:\n  - environment: development\n    match: {hosts: a}\n", "user.yaml:2:5: a user's rule can only raise"},
		{"administrator's rule: development", "environments:\n  - environment: development\n    match: {hosts: a}\n", "", ""},
		{"user rule: staging", "", "environments:\n  - environment: staging\n    match: {hosts: a}\n", ""},
	} {
		admin, user := parse(t, "admin.yaml", tt.admin), parse(t, "user.yaml", tt.user)
		_, err := Combine(admin, user)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestTightening: whatever a user's file says, if it is taken, nothing is looser than without it.
func TestTightening(t *testing.T) {
	base := Default()
	taken := 0
	for _, env := range environments {
		for _, c := range classes {
			for a := Refuse; a <= Run; a++ {
				text := fmt.Sprintf("policy: {%s: {%s: {action: %s}}}\n", env, c.name, actionWords[a])
				f, err := Parse("u", []byte(text))
				if err != nil {
					continue
				}
				p, err := Combine(nil, f)
				if (err == nil) != (a <= base.Decide(env, c.class).Action) {
					t.Errorf("Combine(%s): %v; it was %v", text, err, base.Decide(env, c.class).Action)
				}
				if err != nil {
					continue
				}
				taken++
				if got := p.Decide(env, c.class); got.Action != a {
					t.Errorf("%s: %v", text, got.Action)
				}
			}
		}
	}
	if taken < 20 {
		t.Errorf("only %d were taken", taken)
	}
}

func TestDecideByFile(t *testing.T) {
	admin := parse(t, "/etc/respect/policy.yaml", "policy:\n  production:\n    security: confirm\n    documents: {large: {documents: 10, action: refuse}, max-operations: 7}\n    reads: {max-time: 5s}\n")
	user := parse(t, "mine.yaml", "policy:\n  staging:\n    documents: confirm\n")
	p, err := Combine(admin, user)
	if err != nil {
		t.Fatal(err)
	}
	v := p.Decide(environment.Unknown, command.Security)
	if want := "security work on an unknown environment (treated as production) must be confirmed (/etc/respect/policy.yaml:3)"; v.Action != Confirm || v.Why != want {
		t.Errorf("%v %q, want %q", v.Action, v.Why, want)
	}
	if v := p.Decide(environment.Staging, command.DocumentWrite); v.Action != Confirm || !strings.HasSuffix(v.Why, "(mine.yaml:3)") {
		t.Errorf("%v %q", v.Action, v.Why)
	}
	v = p.Decide(environment.Production, command.DocumentWrite)
	if got := p.Size(v, environment.Production, command.DocumentWrite, 10, 0); got != v {
		t.Errorf("10 documents: %+v", got)
	}
	got := p.Size(v, environment.Production, command.DocumentWrite, 11, 0)
	if want := "document work on production over 10 documents (/etc/respect/policy.yaml:4) is refused (/etc/respect/policy.yaml:4)"; got.Action != Refuse || !got.Large || got.Why != want {
		t.Errorf("11 documents: %+v, want %q", got, want)
	}
	if p.MaxOperations(environment.Unknown) != 7 || p.MaxOperations(environment.Staging) != MaxOperations || p.MaxTimeMS(environment.Production) != 5000 || p.MaxTimeMS(environment.Staging) != 0 || p.MaxCommandBytes(environment.Production) != MaxCommandBytes {
		t.Error("caps")
	}
	if d := Default(); d.Decide(environment.Production, command.Security).Action != Refuse {
		t.Error("the default policy was changed")
	}
	p, err = Combine(parse(t, "a", "record: {output: writes, limit: 4KiB, witness: /x/../y}\npolicy: {production: {documents: {volatile-backup: refuse, pace: {batch: 100ms}, full-preview: 5}, security: {lower-marker: confirm}}}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Record(); r.Output != OutputWrites || r.Limit != 4<<10 || r.Witness != "/y" {
		t.Errorf("record: %+v", r)
	}
	if v := p.Volatile(Verdict{Action: Confirm}, environment.Unknown, command.DocumentWrite); v.Action != Refuse || !strings.Contains(v.Why, "would not outlive this container or boot is refused (a:2)") {
		t.Errorf("volatile: %+v", v)
	}
	if v := p.Volatile(Verdict{Action: Confirm}, environment.Staging, command.DocumentWrite); v.Action != Confirm {
		t.Errorf("volatile on staging: %+v", v)
	}
	if v := p.LowerMarker(environment.Production); v.Action != Confirm || Default().LowerMarker(environment.Production).Action != Approve {
		t.Errorf("lower-marker: %+v", v)
	}
	want := defaultPace
	want.Batch = 100 * time.Millisecond
	if got := p.Pace(environment.Production); got != want || p.Pace(environment.Staging) != defaultPace || p.FullPreview(environment.Production) != 5 {
		t.Errorf("pace %+v, full preview %d", got, p.FullPreview(environment.Production))
	}
	var zero Policy
	if zero.Decide(environment.Development, command.DocumentWrite).Action != Refuse {
		t.Error("the zero policy does not refuse")
	}
}

// TestFormat: what show prints is a policy file that says the same.
func TestFormat(t *testing.T) {
	for _, text := range []string{"", whole} {
		p, err := Combine(parse(t, "a.yaml", text), nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Combine(parse(t, "b.yaml", p.Format()), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, p.Format())
		}
		clean := func(p *Policy) (s []Setting, lists [][]environment.List) {
			for _, x := range append(p.Settings(), p.Record().Settings()...) {
				x.From = ""
				s = append(s, x)
			}
			for _, r := range p.Rules() {
				lists = append(lists, r.Lists())
			}
			return s, lists
		}
		s1, l1 := clean(p)
		s2, l2 := clean(again)
		if d := cmp.Diff(s1, s2) + cmp.Diff(l1, l2); d != "" {
			t.Errorf("it says something else:\n%s\n%s", d, p.Format())
		}
	}
}

func TestProfiles(t *testing.T) {
	ps, err := ParseProfiles("p.yaml", []byte("profiles:\n  prod-eu:\n    uri: mongodb://ann@h:1,i:2/famigo?replicaSet=rs0\n    environment: production\n    password: {command: [pass, show, x]}\n  b: {uri: mongodb+srv://h}\n  c: {uri: 'mongodb://u@h', password: prompt}\n  d: {uri: 'mongodb://u@h', password: {env: PW}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Profile{
		{"prod-eu", "mongodb://ann@h:1,i:2/famigo?replicaSet=rs0", environment.Production, "", []string{"pass", "show", "x"}, "p.yaml", 2, 3},
		{"b", "mongodb+srv://h", 0, "", nil, "p.yaml", 6, 3}, {"c", "mongodb://u@h", 0, "", nil, "p.yaml", 7, 3}, {"d", "mongodb://u@h", 0, "PW", nil, "p.yaml", 8, 3},
	}
	if d := cmp.Diff(want, ps); d != "" {
		t.Error(d)
	}
	const secret = "kestrel"
	for _, tt := range []struct{ body, at, want string }{
		{"{uri: 'mongodb://ann:kestrel@h/db'}", "1:21", "the uri holds a password"},
		{"{uri: 'mongodb://ann:@h/db'}", "1:21", "the uri holds a password"},
		{"{uri: 'mongodb://ann:kes/trel@h/db'}", "1:21", "the uri holds a password"},
		{"{uri: 'mongodb://h/db?tlsCertificateKeyFilePassword=kestrel'}", "1:21", "the uri holds a secret"},
		{"{uri: 'mongodb://ann@h/db?tlsCertificateKeyFilePassword=kestrel@x'}", "1:21", "the uri holds a"},
		{"{uri: 'mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:kestrel'}", "1:21", "the uri holds a secret"},
		{"{uri: 'kestrel'}", "1:21", "uri must be a connection string"},
		{"{uri: 'mongodb://ann@h', password: kestrel}", "1:50", "a password is not written here"},
		{"{uri: 'mongodb://ann@h', password: {env: A, command: [b]}}", "1:50", "from one place"},
		{"{uri: 'mongodb://ann@h', password: {enw: A}}", "1:51", `no key "enw"`},
		{"{uri: 'mongodb://ann@h', password: {command: pass show}}", "1:60", "command must be a list"},
		{"{uri: 'mongodb://h', password: prompt}", "1:46", "names no user"},
		{"{uri: 'mongodb://h', environment: development}", "1:49", "can only raise"},
		{"{uri: 'mongodb://h', environment: prod}", "1:49", "is no environment"},
		{"{environment: staging}", "1:12", "has no uri"},
		{"{url: x}", "1:16", `no key "url"`},
		{"mongodb://h", "1:15", "a profile must be a mapping"},
	} {
		_, err := ParseProfiles("p.yaml", []byte("profiles: {x: "+tt.body+"}\n"))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(e.Error(), "p.yaml:"+tt.at+":") || !strings.Contains(e.Text, tt.want) || strings.Contains(e.Text+e.Hint, secret) {
			t.Errorf("%s: %v, want %s %s", tt.body, err, tt.at, tt.want)
		}
	}
	for _, name := range []string{"a/b", "mongodb://h", "-x", "''"} {
		if _, err := ParseProfiles("p", []byte("profiles: {"+name+": {uri: 'mongodb://h'}}\n")); err == nil {
			t.Errorf("a profile can be called %q", name)
		}
	}
}

// FuzzParse: no text breaks the parser, an error has a place, and what is taken as a user's is not looser than the default.
func FuzzParse(f *testing.F) {
	for _, s := range []string{whole, "", "a: *b\n", "? {a: b}\n: c\n", "policy: {production: {documents: refuse}}", "%YAML 1.1\n---\n{}", "profiles: {a: {uri: 'mongodb://u@h', password: {env: X}}}", "\ufeffpolicy: {}", "policy:\n\t- x"} {
		f.Add([]byte(s))
	}
	base := Default()
	f.Fuzz(func(t *testing.T, text []byte) {
		placed := func(err error) {
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Line > len(text)+1) { // YAML breaks lines at more than \n
				t.Errorf("%#v has no place", err)
			}
		}
		_, err := ParseProfiles("p", text)
		placed(err)
		file, err := Parse("f", text)
		placed(err)
		if err != nil {
			return
		}
		p, err := Combine(nil, file)
		placed(err)
		if err != nil {
			return
		}
		for _, env := range environments {
			for _, c := range classes {
				for what := range setting(len(settingWords)) {
					if p.look(env, c.class, what).n > base.look(env, c.class, what).n {
						t.Errorf("%s on %s: %v loosened", c.name, env, what)
					}
				}
			}
		}
		for _, r := range p.Rules() {
			if !r.RaiseOnly {
				t.Errorf("a user's rule could lower: %+v", r)
			}
		}
	})
}
