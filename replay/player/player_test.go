package player

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// said is an event and the time since the one before it.
type said struct {
	after time.Duration
	kind  replay.Kind
	body  any
}

var evening = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

// record writes a session that begins at start, and returns its name.
func record(t testing.TB, dir string, seed byte, start time.Time, user string, events ...said) string {
	t.Helper()
	clock := start
	w, err := journal.Create(journal.Config{
		FS: durable.OS{}, Dir: dir, Rand: rand.NewChaCha8([32]byte{seed}), Now: func() time.Time { return clock },
		Who: replay.Who{User: user, Host: "conference", UID: 1000, PID: 7}, Build: replay.Build{Version: "v1", Go: "go1.26", Driver: "v2", Commands: "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		clock = clock.Add(e.after)
		if err := w.Append(e.kind, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(0); err != nil {
		t.Fatal(err)
	}
	return w.Session()
}

func connect(env string) said {
	return said{time.Second, replay.KindConnect, replay.Connect{
		Deployment: "famigo-" + env, URI: "mongodb://db.example/famigo", Address: "db.example:27017", Environment: env, User: "app",
		Evidence: []replay.Evidence{{Source: "marker", Says: env, Why: "the server's own marker says " + env}},
	}}
}

func input(text string) said {
	return said{time.Second, replay.KindInput, replay.Input{Text: text, Manner: "typed", Mode: "run", Prompt: "famigo> "}}
}

const screen = "\nPRODUCTION  famigo\ndeletes 2 of 9 in famigo.families\n\nTo run it, type: famigo.families 2\n"

// before is {a: 1}.
const before = "\x0c\x00\x00\x00\x10a\x00\x01\x00\x00\x00\x00"

// change are the events of a change that was confirmed and applied, and its plan file.
func change(t testing.TB, dir, id, undoes string, docs ...string) []said {
	t.Helper()
	plan := `{"plan":{"version":1,"change":"` + id + `"}}` + "\n"
	for i, d := range docs {
		plan += fmt.Sprintf(`{"document":{"n":%d,"c":0,"s":0,"ns":"famigo.families","op":"delete","id":{"_id":%s},"before":{"at":0,"bytes":%d,"sha256":"%x"}}}`+"\n", i, d, len(before), sha256.Sum256([]byte(before)))
	}
	at := filepath.Join(dir, "changes", id)
	spool := filepath.Join(at, "before", "famigo")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spool, "families.bson"), []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "plan.jsonl"), []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(plan))
	digest := hex.EncodeToString(sum[:])
	total := int64(9)
	counts := []replay.Count{{Namespace: "famigo.families", Matched: 2, Total: &total, Deleted: 2}}
	summary := "deletes 2 of 9 in famigo.families"
	return []said{
		{time.Second, replay.KindPlanned, replay.Planned{Change: id, Digest: digest, Environment: "production", Class: "document write", Summary: summary, Commands: 1, Counts: counts, Facts: []replay.Fact{{Code: "matched", Severity: "info", Text: "2 of 9"}}}},
		{5 * time.Second, replay.KindDecided, replay.Decided{Change: id, Screen: screen, Phrase: "famigo.families 2", Answer: "famigo.families 2", Manner: "typed", Accepted: true}},
		{time.Second, replay.KindSaved, replay.Saved{Change: id, Documents: 2, Bytes: 10, Files: []replay.SavedFile{{Name: "plan.jsonl", Bytes: int64(len(plan)), SHA256: digest}}}},
		{0, replay.KindIntent, replay.Intent{Change: id, Digest: digest, Deployment: "famigo-production", Environment: "production", Summary: summary, Counts: counts, Undoes: undoes}},
		{0, replay.KindCommand, replay.Command{Database: "famigo", Name: "delete", Class: "document write", Namespaces: []string{"famigo.families"}, Change: id}},
		{time.Second, replay.KindOutcome, replay.Outcome{Change: id, Status: replay.StatusApplied, Counts: []replay.Count{{Namespace: "famigo.families", Deleted: 2}}, Predicted: counts}},
		{0, replay.KindReceipt, replay.Receipt{Change: id, Screen: "\nPRODUCTION  famigo\napplied  change " + id + "\n  famigo.families: deleted 2 (predicted 2)\n"}},
	}
}

// archive is a state directory with a read session on staging, a change on production by tim, its undo by ana, and a refusal on production.
func archive(t testing.TB) (dir string, all *Archive) {
	t.Helper()
	dir = t.TempDir()
	record(t, dir, 1, evening.AddDate(0, 0, -3), "tim", connect("staging"), input("db.users.find()"), said{0, replay.KindOutput, replay.Output{Text: "{ _id: 1, email: 'a@example.com' }\n"}},
		said{0, replay.KindCommand, replay.Command{Database: "famigo", Name: "find", Class: "read"}})
	first := append([]said{connect("production"), {time.Second, replay.KindReason, replay.Reason{Text: "ticket 4711", Manner: "typed"}}, input("db.families.deleteMany({})")},
		change(t, dir, "c-one", "", `{"$oid":"64b0c0f10000000000000004"}`, `"families/7"`)...)
	record(t, dir, 2, evening, "tim", append(first, said{0, replay.KindOutput, replay.Output{Text: "{ acknowledged: true, deletedCount: 2 }\n"}})...)
	record(t, dir, 3, evening.Add(2*time.Hour), "ana", append([]said{connect("production"), input("undo c-one")}, change(t, dir, "c-undo", "c-one", `{"$oid":"64b0c0f10000000000000004"}`, `{"$numberInt":"42"}`)...)...)
	record(t, dir, 4, evening.AddDate(0, 0, 1), "ana", connect("production"), input("db.families.drop()"), said{time.Second, replay.KindRefused, replay.Refused{Text: "schema work on production must be confirmed", Hints: []string{"run it in a terminal"}}},
		said{0, replay.KindOutput, replay.Output{Text: "refused: schema work on production must be confirmed\nhint: run it in a terminal\n", Error: true}})
	return dir, read(t, dir)
}

func read(t testing.TB, dir string) *Archive {
	t.Helper()
	a, err := Open(dir, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range a.Record.Problems {
		t.Log(p)
	}
	return a
}

// written is what a function writes.
func written(t testing.TB, f func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func tapeOf(t testing.TB, r Record) *Tape {
	t.Helper()
	tape, err := r.Tape()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tape.Close() })
	return tape
}

func search(t testing.TB, a *Archive, text string) (hits []Hit) {
	t.Helper()
	for _, r := range a.Sessions() {
		if err := r.Search(text, func(h Hit) error { hits = append(hits, h); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return hits
}

func touched(t testing.TB, a *Archive, id string) (touches []Touch, problems []journal.Problem) {
	t.Helper()
	_, problems, err := a.Touched(id, func(string) bool { return true }, func(x Touch) error { touches = append(touches, x); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return touches, problems
}

func TestFilters(t *testing.T) {
	_, all := archive(t)
	for name, c := range map[string]struct {
		f    Filter
		want string // indexes of sessions
	}{
		"all":             {Filter{}, "0123"},
		"user":            {Filter{User: "TIM"}, "01"},
		"user and host":   {Filter{User: "ana@conf"}, "23"},
		"database user":   {Filter{User: "app"}, "0123"},
		"deployment":      {Filter{Deployment: "famigo-prod"}, "123"},
		"address":         {Filter{Deployment: "db.example:27017"}, "0123"},
		"environment":     {Filter{Environment: "prod"}, "123"},
		"none":            {Filter{Environment: "development"}, ""},
		"since":           {Filter{Since: evening}, "123"},
		"until":           {Filter{Until: evening}, "0"},
		"since and until": {Filter{Since: evening.Add(time.Hour), Until: evening.Add(3 * time.Hour)}, "2"},
		"running at that": {Filter{Since: evening.Add(4 * time.Second), Until: evening.Add(5 * time.Second)}, "1"},
		"writes":          {Filter{Writes: true}, "12"},
		"undone":          {Filter{Undone: true}, "1"},
		"refusals":        {Filter{Refusals: true}, "3"},
		"text":            {Filter{Text: "DELETEDcount"}, "1"},
		"text and user":   {Filter{Text: "famigo.families", User: "ana"}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			lines, err := all.List(c.f)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, l := range lines {
				for i, r := range all.Sessions() {
					if r.Session.ID == l.Session {
						got += fmt.Sprint(i)
					}
				}
			}
			if got != c.want {
				t.Errorf("sessions %q, want %q", got, c.want)
			}
		})
	}
}

// An unguarded write is a write, and a declined question a refusal.
func TestWritesAndRefusalsOfOtherKinds(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", connect("development"), input("db.users.insertOne({})"),
		said{0, replay.KindCommand, replay.Command{Database: "famigo", Name: "insert", Class: "document write", Namespaces: []string{"famigo.users"}, Text: `{"insert":"users"}`}})
	record(t, dir, 2, evening.Add(time.Hour), "tim", connect("production"),
		said{0, replay.KindPlanned, replay.Planned{Change: "c", Summary: "drops it"}},
		said{0, replay.KindDecided, replay.Decided{Change: "c", Screen: screen, Answer: "y", Manner: "typed", Why: "declined"}})
	all := read(t, dir)
	for i, f := range []Filter{{Writes: true}, {Refusals: true}} {
		lines, err := all.List(f)
		if err != nil || len(lines) != 1 || lines[0].Session != all.Sessions()[i].Session.ID {
			t.Errorf("%+v: %v %v", f, lines, err)
		}
	}
	for i, want := range []string{"UNGUARDED, DONE  insert famigo.users\n> db.users.insertOne({})\nsent {\"insert\":\"users\"}", "NOT CARRIED OUT  drops it"} {
		if text := written(t, all.Sessions()[i].Writes); !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
}

// A filter must not hide what was tampered with.
func TestASessionThatDoesNotVerifyPassesEveryFilter(t *testing.T) {
	dir, all := archive(t)
	name := all.Sessions()[1].file()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if err := os.WriteFile(name, bytes.Join(append(lines[:2:2], lines[3:]...), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := read(t, dir).List(Filter{User: "nobody", Writes: true, Text: "nowhere"})
	if err != nil || len(got) != 1 || got[0].Session != all.Sessions()[1].Session.ID || got[0].Problems == 0 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestSearchFindsEveryPlace(t *testing.T) {
	_, all := archive(t)
	for text, want := range map[string]string{
		"DeleteMany":    "input",
		"deletedcount":  "output",
		"ticket 4711":   "reason",
		"To run it":     "preview preview",
		"run it in a":   "refusal output",
		"predicted 2":   "receipt receipt",
		"2 of 9":        "summary fact preview summary fact preview",
		"db.users.find": "input",
		"no such text":  "",
		"":              "",
	} {
		var got []string
		for _, h := range search(t, all, text) {
			got = append(got, h.Where)
		}
		// Places of one event come in their own order.
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	if hits := search(t, all, "famigo.families"); !strings.Contains(fmt.Sprint(hits), "namespace") {
		t.Errorf("no namespace: %v", hits)
	}
}

func TestFoldIsOfAnyCaseAndScript(t *testing.T) {
	for _, c := range []struct {
		text, part string
		want       int
	}{{"abcABC", "cab", 2}, {"ÄÖ Straße", "öST", -1}, {"xÄÖ", "äö", 1}, {"aé", "É", 1}, {"", "a", -1}, {"ab", "abc", -1}, {"\xffé", "é", 1}} {
		if got := fold(c.text, c.part); got != c.want {
			t.Errorf("fold(%q, %q) = %d, want %d", c.text, c.part, got, c.want)
		}
	}
}

func TestTouched(t *testing.T) {
	_, all := archive(t)
	for id, want := range map[string]string{
		"64b0c0f10000000000000004":                             "c-one undone, c-undo applied",
		`ObjectId("64B0C0F10000000000000004")`:                 "c-one undone, c-undo applied",
		"families/64b0c0f10000000000000004":                    "c-one undone, c-undo applied",
		"famigo.families/ObjectId('64b0c0f10000000000000004')": "c-one undone, c-undo applied",
		"users/64b0c0f10000000000000004":                       "",
		"64b0c0f1*":                                            "c-one undone, c-undo applied",
		"64b0c0f1":                                             "",
		`{"$oid": "64b0c0f10000000000000004"}`:                 "c-one undone, c-undo applied",
		"42":                                                   "c-undo applied",
		"NumberInt(42)":                                        "c-undo applied",
		"4":                                                    "",
		"families/7":                                           "c-one undone",
		"famigo.families/families/7":                           "c-one undone",
		`"families/7"`:                                         "c-one undone",
	} {
		touches, problems := touched(t, all, id)
		if problems != nil {
			t.Fatal(problems)
		}
		var got []string
		for _, x := range touches {
			got = append(got, x.Change+" "+string(x.Status))
		}
		if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", id, diff)
		}
	}
	touches, _ := touched(t, all, "64b0c0f10000000000000004")
	text := touches[0].String() + touches[1].String()
	for _, want := range []string{"2026-11-20 18:00:10Z  delete  famigo.families _id {\"$oid\":\"64b0c0f10000000000000004\"}: undone by c-undo  tim@conference  change c-one", "\n    - { a: 1 }\n", "takes back c-one"} {
		if !strings.Contains(text, want) {
			t.Errorf("without %q:\n%s", want, text)
		}
	}
}

// A plan file that is not the one that was confirmed, or is gone, is a problem and not an answer of "nobody".
func TestTouchedDoubtsItsPlans(t *testing.T) {
	dir, all := archive(t)
	name := filepath.Join(dir, "changes", "c-one", "plan.jsonl")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string][]byte{
		"edited": bytes.Replace(b, []byte("64b0c0f10000000000000004"), []byte("64b0c0f10000000000000005"), 1), "cut": b[:len(b)/2], "empty": nil,
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, problems := touched(t, all, "64b0c0f10000000000000004"); len(problems) != 1 || !strings.Contains(problems[0].String(), "c-one") {
			t.Errorf("%s: %v", what, problems)
		}
	}
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(dir, "changes", "c-one", "before", "famigo", "families.bson")
	for what, text := range map[string]string{"another document": strings.Replace(before, "\x01", "\x02", 1), "no document": "short"} {
		if err := os.WriteFile(spool, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		touches, problems := touched(t, all, "64b0c0f10000000000000004")
		if len(problems) != 1 || len(touches) != 2 || touches[0].Before.Text != nil {
			t.Errorf("%s: %v %v", what, touches, problems)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, problems := touched(t, all, "42"); len(problems) != 1 {
		t.Errorf("removed: %v", problems)
	}
}

func TestWrites(t *testing.T) {
	_, all := archive(t)
	got := written(t, all.Sessions()[1].Writes)
	want := `session ` + all.Sessions()[1].Session.ID + `, closed, tim on conference

2026-11-20 18:00:04Z  c-one  UNDONE by c-undo  deletes 2 of 9 in famigo.families
> db.families.deleteMany({})
shown:
  ┃ PRODUCTION  famigo
  ┃ deletes 2 of 9 in famigo.families
  ┃
  ┃ To run it, type: famigo.families 2
answered "famigo.families 2" (typed): ACCEPTED
backup: 2 document(s), 10 bytes, 1 file(s), read back
PRODUCTION  famigo
applied  change c-one
  famigo.families: deleted 2 (predicted 2)
taken back by c-undo
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := written(t, all.Sessions()[0].Writes); !strings.Contains(got, "nothing was written") {
		t.Errorf("%s", got)
	}
}

// What a session says of its own record, of seals and of backups that were deleted is told.
func TestTheRecordIsTold(t *testing.T) {
	dir := t.TempDir()
	key, err := journal.OpenKey(durable.OS{}, dir, "tim@conference", rand.NewChaCha8([32]byte{9}))
	if err != nil {
		t.Fatal(err)
	}
	witness := filepath.Join(t.TempDir(), "witness")
	sealed := func(seed byte, who replay.Who, events ...said) string {
		t.Helper()
		w, err := journal.Create(journal.Config{
			FS: durable.OS{}, Dir: dir, Rand: rand.NewChaCha8([32]byte{seed}), Now: func() time.Time { return evening.Add(time.Duration(seed) * time.Hour) }, Key: key, Witness: witness,
			Who: who, Policy: []replay.File{{Path: "/etc/respect/policy.yaml", SHA256: "ab12"}}, Output: "writes",
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Seal(); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if err := w.Append(e.kind, e.body); err != nil {
				t.Fatal(err)
			}
			if e.kind == replay.KindIntent || e.kind == replay.KindOutcome {
				if err := w.Seal(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(0); err != nil {
			t.Fatal(err)
		}
		return w.Session()
	}
	first := sealed(1, replay.Who{User: "tim", Host: "conference"}, append([]said{connect("production"), input("db.families.deleteMany({})")}, change(t, dir, "c-one", "", `"a"`)...)...)
	sealed(2, replay.Who{User: "ana", Host: "office", Terminal: "/dev/pts/7", SSH: "10.0.0.1 4711"},
		said{0, replay.KindConnect, replay.Connect{Deployment: "famigo", Environment: "production", Identity: map[string]string{"set": "rs0", "me": "db.example:27017"}, Evidence: []replay.Evidence{{Source: "marker", Says: "production", Why: "says so", Scope: "famigo"}}}},
		said{0, replay.KindPruned, replay.Pruned{Change: "c-one", Bytes: 4711, Why: "older than 90 days"}})
	all, err := Open(dir, journal.Options{Witness: witness})
	if err != nil {
		t.Fatal(err)
	}
	head := all.Record.Sessions[0].Head()
	r := all.Sessions()[1]
	story := written(t, r.Story)
	page := html.UnescapeString(export(t, "html", r))
	tape := tapeOf(t, r)
	notes := strings.Join(noted(t, tape), "\n")
	for _, want := range []string{
		"ana on office began", "  terminal /dev/pts/7", "  from SSH 10.0.0.1 4711", "  sealed under the key " + key.Public(), "  seals are also written to " + witness, "  recorded of what is shown: writes",
		"  policy /etc/respect/policy.yaml, SHA-256 ab12", fmt.Sprintf("  session %s ended before, at seq %d with hash %s", first, head.Seq, head.Hash),
		"  marker says production of database famigo: says so", "  me: db.example:27017", "  set: rs0",
		"DELETED the backup of c-one, 4711 bytes: older than 90 days", "sealed up to seq ",
	} {
		for name, text := range map[string]string{"story": story, "page": page, "notes of the player": notes} {
			if !strings.Contains(text, want) {
				t.Errorf("the %s is without %q", name, want)
			}
		}
	}
	if got, want := r.Witnessed(), "witnessed, to its last seal, by "+witness; got != want {
		t.Errorf("Witnessed() = %q, want %q", got, want)
	}
	const since = "its backup was deleted at 2026-11-20 20:00:00Z, 4711 bytes: older than 90 days"
	if got := written(t, all.Sessions()[0].Writes); !strings.Contains(got, since) {
		t.Errorf("without %q:\n%s", since, got)
	}
	if hits := search(t, all, "90 days"); len(hits) != 1 || hits[0].Where != "pruned" || hits[0].Change != "c-one" {
		t.Errorf("hits %+v", hits)
	}
}

// The story says when something was seen, as far as that can be believed.
func TestTheStoryIsOfWhatWasSeenWhen(t *testing.T) {
	dir := t.TempDir()
	look := func(after, since time.Duration, asked string) said {
		return said{after, replay.KindLooked, replay.Looked{Change: "c-one", Asked: asked, Screen: "x", Since: since.Microseconds()}}
	}
	record(t, dir, 1, evening, "tim", input("1"), look(9*time.Second, 6*time.Second, "details"), look(0, 2*time.Second, "sample"), look(0, -time.Second, "ahead"),
		said{time.Second, replay.KindOutput, replay.Output{Text: "late", Since: 1000}}, said{0, replay.KindOutput, replay.Output{Text: "endless", Since: 1 << 62}})
	story := written(t, read(t, dir).Sessions()[0].Story)
	for _, want := range []string{"18:00:04.000Z  looked closer: details", "18:00:08.000Z  looked closer: sample", "18:00:10.000Z  looked closer: ahead", "18:00:10.999Z  | late", "18:00:11.000Z  | endless"} {
		if !strings.Contains(story, want) {
			t.Errorf("without %q:\n%s", want, story)
		}
	}
}

// What became of one document is told of the document, not of the change as a whole; and a plan that was deleted by prune is no record that does not verify.
func TestTouchedTellsOfTheDocument(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", append([]said{connect("production"), input("db.families.deleteMany({})")}, withAfter(t, dir, "c-one", "-\n\n", change(t, dir, "c-one", "", `1`, `2`))...)...)
	record(t, dir, 2, evening.Add(time.Hour), "ana", append([]said{connect("production"), input("undo c-one")}, change(t, dir, "c-undo", "c-one", `2`)...)...)
	all := read(t, dir)
	for id, want := range map[string]string{"1": "delete nothing true  undone", "2": "delete delete false c-undo undone"} {
		touches, problems := touched(t, all, id)
		if len(touches) == 0 || len(problems) > 0 {
			t.Fatalf("%s: %v %v", id, touches, problems)
		}
		x := touches[0]
		if got := fmt.Sprintf("%s %s %v %s %s", x.Op, x.Did, x.LeftAlone, x.UndoneBy, x.Status); got != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	touches, _ := touched(t, all, "1")
	if text := touches[0].String(); !strings.Contains(text, "(none)  famigo.families _id 1: left alone by a change that was to delete it") || strings.Contains(text, "undone") {
		t.Error(text)
	}

	// What the change left is the record's, as it was written.
	after := filepath.Join(dir, "changes", "c-one", "after.idx")
	if err := os.WriteFile(after, []byte("\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problems := touched(t, all, "1"); len(problems) != 1 || !strings.Contains(problems[0].String(), "after.idx") {
		t.Error(problems)
	}

	record(t, dir, 3, evening.Add(2*time.Hour), "ana", said{0, replay.KindPruned, replay.Pruned{Change: "c-one", Bytes: 7, Why: "respect changes prune --keep 0"}})
	if err := os.RemoveAll(filepath.Join(dir, "changes", "c-one")); err != nil {
		t.Fatal(err)
	}
	pruned, problems, err := read(t, dir).Touched("1", func(string) bool { return true }, func(x Touch) error { t.Error(x); return nil })
	if err != nil || problems != nil || fmt.Sprint(pruned) != "[c-one]" {
		t.Errorf("%v %v %v", pruned, problems, err)
	}
}

// withAfter writes down what a change left of each document.
func withAfter(t testing.TB, dir, id, after string, events []said) []said {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "changes", id, "after.idx"), []byte(after), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if o, ok := e.body.(replay.Outcome); ok {
			o.After = fmt.Sprintf("%x", sha256.Sum256([]byte(after)))
			events[i].body = o
		}
	}
	return events
}
