package player

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	return said{time.Second, replay.KindInput, replay.Input{Text: text, Manner: "typed", Mode: "run"}}
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
		{time.Second, replay.KindOutcome, replay.Outcome{Change: id, Status: replay.StatusApplied, Counts: []replay.Count{{Namespace: "famigo.families", Deleted: 2}}}},
	}
}

// archive is a state directory with a read session on staging, a change on production by tim, its undo by ana, and a refusal on production.
func archive(t testing.TB) (dir string, all []*journal.Session) {
	t.Helper()
	dir = t.TempDir()
	record(t, dir, 1, evening.AddDate(0, 0, -3), "tim", connect("staging"), input("db.users.find()"), said{0, replay.KindOutput, replay.Output{Text: "{ _id: 1, email: 'a@example.com' }\n"}},
		said{0, replay.KindCommand, replay.Command{Database: "famigo", Name: "find", Class: "read"}})
	first := append([]said{connect("production"), {time.Second, replay.KindReason, replay.Reason{Text: "ticket 4711", Manner: "typed"}}, input("db.families.deleteMany({})")},
		change(t, dir, "c-one", "", `{"$oid":"64b0c0f10000000000000004"}`, `"families/7"`)...)
	record(t, dir, 2, evening, "tim", append(first, said{0, replay.KindOutput, replay.Output{Text: "{ acknowledged: true, deletedCount: 2 }\n"}})...)
	record(t, dir, 3, evening.Add(2*time.Hour), "ana", append([]said{connect("production"), input("undo c-one")}, change(t, dir, "c-undo", "c-one", `{"$oid":"64b0c0f10000000000000004"}`, `{"$numberInt":"42"}`)...)...)
	record(t, dir, 4, evening.AddDate(0, 0, 1), "ana", connect("production"), input("db.families.drop()"), said{time.Second, replay.KindRefused, replay.Refused{Text: "schema work on production must be confirmed", Hints: []string{"run it in a terminal"}}})
	return dir, read(t, dir)
}

func read(t testing.TB, dir string) []*journal.Session {
	t.Helper()
	r, err := journal.ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Problems {
		t.Log(p)
	}
	return r.Sessions
}

func changesOf(t testing.TB, all []*journal.Session) []*journal.Change {
	t.Helper()
	c, err := journal.Changes(all)
	if err != nil {
		t.Fatal(err)
	}
	return c
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
			lines, err := List(all, c.f)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, l := range lines {
				for i, s := range all {
					if s.ID == l.Session {
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
		lines, err := List(all, f)
		if err != nil || len(lines) != 1 || lines[0].Session != all[i].ID {
			t.Errorf("%+v: %v %v", f, lines, err)
		}
	}
	for i, want := range []string{"UNGUARDED, DONE  insert famigo.users\n> db.users.insertOne({})\nsent {\"insert\":\"users\"}", "NOT CARRIED OUT  drops it"} {
		if text, err := Writes(all[i], nil); err != nil || !strings.Contains(text, want) {
			t.Errorf("without %q: %v\n%s", want, err, text)
		}
	}
}

// A filter must not hide what was tampered with.
func TestASessionThatDoesNotVerifyPassesEveryFilter(t *testing.T) {
	dir, all := archive(t)
	name := filepath.Join(dir, "sessions", all[1].ID, "journal.jsonl")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if err := os.WriteFile(name, bytes.Join(append(lines[:2:2], lines[3:]...), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := List(read(t, dir), Filter{User: "nobody", Writes: true, Text: "nowhere"})
	if err != nil || len(got) != 1 || got[0].Session != all[1].ID || got[0].Problems != 1 {
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
		"run it in a":   "refusal",
		"2 of 9":        "summary fact preview summary fact preview",
		"db.users.find": "input",
		"no such text":  "",
		"":              "",
	} {
		hits, err := Search(all, text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range hits {
			got = append(got, h.Where)
		}
		// Places of one event come in their own order.
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	hits, err := Search(all, "famigo.families")
	if err != nil || !strings.Contains(fmt.Sprint(hits), "namespace") {
		t.Errorf("no namespace: %v %v", hits, err)
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
	dir, all := archive(t)
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
		touches, problems, err := Touched(dir, all, id)
		if err != nil || problems != nil {
			t.Fatal(err, problems)
		}
		var got []string
		for _, x := range touches {
			got = append(got, x.Change+" "+string(x.Status))
		}
		if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", id, diff)
		}
	}
	touches, _, err := Touched(dir, all, "64b0c0f10000000000000004")
	if err != nil {
		t.Fatal(err)
	}
	text := TouchText(touches)
	for _, want := range []string{"2026-11-20 18:00:10Z  delete  famigo.families _id {\"$oid\":\"64b0c0f10000000000000004\"}: undone by c-undo  tim@conference  change c-one", "\n  before: {\"a\": 1}\n", "takes back c-one"} {
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
		if _, problems, err := Touched(dir, all, "64b0c0f10000000000000004"); err != nil || len(problems) != 1 || !strings.Contains(problems[0].String(), "c-one") {
			t.Errorf("%s: %v %v", what, problems, err)
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
		touches, problems, err := Touched(dir, all, "64b0c0f10000000000000004")
		if err != nil || len(problems) != 1 || len(touches) != 2 || touches[0].Before.Text != nil {
			t.Errorf("%s: %v %v %v", what, touches, problems, err)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, problems, err := Touched(dir, all, "42"); err != nil || len(problems) != 1 {
		t.Errorf("removed: %v %v", problems, err)
	}
}

func TestWrites(t *testing.T) {
	_, all := archive(t)
	got, err := Writes(all[1], changesOf(t, all))
	if err != nil {
		t.Fatal(err)
	}
	want := `session ` + all[1].ID + `, closed, tim on conference

2026-11-20 18:00:04Z  c-one  UNDONE by c-undo  deletes 2 of 9 in famigo.families
> db.families.deleteMany({})
shown:
  ┃ PRODUCTION  famigo
  ┃ deletes 2 of 9 in famigo.families
  ┃
  ┃ To run it, type: famigo.families 2
answered "famigo.families 2" (typed): ACCEPTED
backup: 2 document(s), 10 bytes, 1 file(s), read back
applied  change c-one
  famigo.families: deleted 2 (predicted 2)
taken back by c-undo
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := Writes(all[0], nil); err != nil || !strings.Contains(got, "nothing was written") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestFramesShowTheQuestionWhenItWasAsked(t *testing.T) {
	_, all := archive(t)
	frames, err := Frames(all[1])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	last := time.Duration(0)
	for _, f := range frames {
		if f.At < last {
			t.Errorf("%q goes back in time", f.Text)
		}
		last = f.At
		if f.Mark != "" {
			got = append(got, fmt.Sprintf("%v %s", f.At, f.Label))
		}
	}
	if diff := cmp.Diff([]string{"4s question: deletes 2 of 9 in famigo.families", "10s write: deletes 2 of 9 in famigo.families"}, got); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	text := played(frames)
	if strings.Count(text, "To run it, type") != 1 || strings.Index(text, "To run it, type") > strings.Index(text, "> famigo.families 2") {
		t.Errorf("the question does not stand once, before its answer:\n%s", text)
	}
}

// A clock that goes back does not make the player wait for ever, or crash.
func TestFramesOfAClockThatGoesBack(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", input("1"), said{-time.Hour, replay.KindInput, replay.Input{Text: "2"}}, input("3"))
	frames, err := Frames(read(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if f.At < 0 || f.At > time.Second {
			t.Errorf("at %v: %q", f.At, f.Text)
		}
	}
}

func played(frames []Frame) string {
	var b strings.Builder
	for _, f := range frames {
		b.WriteString(f.Text)
	}
	return b.String()
}

// fakeTime is a clock that only moves when somebody waits.
type fakeTime struct {
	now   time.Time
	waits []time.Duration
	never bool // timers do not fire: only keys go on
}

func (f *fakeTime) clock() Clock {
	return Clock{Now: func() time.Time { return f.now }, After: func(d time.Duration) <-chan time.Time {
		if f.never {
			return nil
		}
		f.waits, f.now = append(f.waits, d), f.now.Add(d)
		c := make(chan time.Time, 1)
		c <- f.now
		return c
	}}
}

func TestPlayInItsOwnTime(t *testing.T) {
	_, all := archive(t)
	frames, err := Frames(all[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		p    Player
		want time.Duration
	}{
		"own time":   {Player{Speed: 1}, 11 * time.Second},
		"ten times":  {Player{Speed: 10}, 1100 * time.Millisecond},
		"half":       {Player{Speed: 0.5}, 22 * time.Second},
		"at once":    {Player{}, 0},
		"idle limit": {Player{Speed: 1, Idle: 2 * time.Second}, 8 * time.Second},
		"from":       {Player{Speed: 1, From: 5 * time.Second}, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeTime{now: evening}
			var out bytes.Buffer
			c.p.Out, c.p.Clock = &out, f.clock()
			if err := c.p.Play(t.Context(), frames); err != nil {
				t.Fatal(err)
			}
			if got := f.now.Sub(evening); got != c.want {
				t.Errorf("it took %v, want %v: %v", got, c.want, f.waits)
			}
			if out.String() != played(frames) {
				t.Errorf("it printed\n%s", out.String())
			}
		})
	}
}

// The keys: each is pressed when the player waits, in a time in which nothing happens by itself.
func TestPlayKeys(t *testing.T) {
	_, all := archive(t)
	frames, err := Frames(all[1])
	if err != nil {
		t.Fatal(err)
	}
	upTo := func(mark Mark) string {
		for i, f := range frames {
			if f.Mark == mark {
				return played(frames[:i+1])
			}
		}
		return played(frames)
	}
	for keys, want := range map[string]string{
		"q":     played(frames[:1]),
		"\x03":  played(frames[:1]),
		" q":    played(frames[:1]),
		"..q":   played(frames[:3]),
		" .q":   played(frames[:2]),
		"nq":    upTo(Question),
		"wq":    upTo(Write),
		"nwq":   upTo(Write),
		"rq":    played(frames[:1]), // there is none
		"nnq":   upTo(Question),     // there is no second
		"zZ+-q": played(frames[:1]),
		"n  q":  upTo(Question),
		"wr.q":  played(frames[:indexOf(frames, Write)+2]),
		"":      played(frames[:1]), // the terminal is gone
	} {
		t.Run(keys, func(t *testing.T) {
			f := &fakeTime{now: evening, never: true}
			pressed := make(chan rune)
			go func() {
				for _, k := range keys {
					pressed <- k
				}
				close(pressed)
			}()
			var out bytes.Buffer
			p := Player{Out: &out, Clock: f.clock(), Speed: 1, Keys: pressed, Width: func() int { return 30 }}
			if err := p.Play(t.Context(), frames); err != nil {
				t.Fatal(err)
			}
			for l := range strings.SplitSeq(out.String(), "\r\x1b[K") {
				if i := strings.LastIndexByte(l, '\n'); len(l)-i > 30 {
					t.Errorf("the line of a pause is %d wide in a window of 30: %q", len(l)-i, l[i+1:])
				}
			}
			if got := unpaused(out.String()); got != want {
				t.Errorf("keys %q printed\n%s\nwant\n%s", keys, got, want)
			}
		})
	}
}

func indexOf(frames []Frame, m Mark) int {
	for i, f := range frames {
		if f.Mark == m {
			return i
		}
	}
	return -1
}

// unpaused takes out the lines that pauses showed and wiped.
func unpaused(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "\r\x1b[K")
		if !ok {
			return b.String() + s
		}
		b.WriteString(before[:strings.LastIndexByte(before, '\n')+1])
		s = after
	}
}

func TestPlayIsInterrupted(t *testing.T) {
	_, all := archive(t)
	frames, err := Frames(all[1])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := Player{Out: io.Discard, Clock: (&fakeTime{}).clock(), Speed: 1}
	if err := p.Play(ctx, frames); err == nil {
		t.Error("no error")
	}
}

func export(t testing.TB, format string, r Record) string {
	t.Helper()
	var b bytes.Buffer
	if err := Export(&b, format, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExportCast(t *testing.T) {
	_, all := archive(t)
	lines := strings.Split(strings.TrimSpace(export(t, "cast", Record{Session: all[1]})), "\n")
	var h struct {
		Version, Width, Height int
		Timestamp              int64
	}
	if err := json.Unmarshal([]byte(lines[0]), &h); err != nil || h.Version != 2 || h.Width < 80 || h.Height < 24 || h.Timestamp != evening.Unix() {
		t.Errorf("header %+v %v: %s", h, err, lines[0])
	}
	var marks []string
	text, last := "", 0.0
	for _, l := range lines[1:] {
		var e []any
		if err := json.Unmarshal([]byte(l), &e); err != nil || len(e) != 3 {
			t.Fatalf("%s: %v", l, err)
		}
		if at := e[0].(float64); at < last {
			t.Errorf("%s goes back in time", l)
		} else {
			last = at
		}
		switch e[1] {
		case "m":
			marks = append(marks, fmt.Sprintf("%v %v", e[0], e[2]))
		case "o":
			text += e[2].(string)
		default:
			t.Errorf("event %s", l)
		}
	}
	if diff := cmp.Diff([]string{"4 question: deletes 2 of 9 in famigo.families", "10 write: deletes 2 of 9 in famigo.families"}, marks); diff != "" {
		t.Errorf("markers (-want +got):\n%s", diff)
	}
	frames, err := Frames(all[1])
	if err != nil || text != strings.ReplaceAll(played(frames), "\n", "\r\n") {
		t.Errorf("%v: it shows\n%s", err, text)
	}
}

// The lines of the JSON export are those of the journal: a hash can be computed anew from them.
func TestExportJSONHoldsTheJournalsOwnLines(t *testing.T) {
	dir, all := archive(t)
	got := export(t, "json", Record{Session: all[1], Changes: changesOf(t, all)})
	var doc struct {
		Session      string
		Verification verification
		Events       []json.RawMessage
	}
	if err := json.Unmarshal([]byte(got), &doc); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "sessions", all[1].ID, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != len(doc.Events) {
		t.Fatalf("%d events, %d lines", len(doc.Events), len(lines))
	}
	for i := range lines {
		if diff := cmp.Diff(lines[i], string(doc.Events[i])); diff != "" {
			t.Errorf("line %d (-want +got):\n%s", i, diff)
		}
	}
	if v := doc.Verification; !v.Verifies || v.Witnessed || v.Head != all[1].Head().Hash || v.Verdict != "verifies; not sealed" {
		t.Errorf("verification %+v", v)
	}
}

func TestExportHTML(t *testing.T) {
	_, all := archive(t)
	got := export(t, "html", Record{Session: all[1], Changes: changesOf(t, all)})
	for _, want := range []string{
		"<h1>Session " + all[1].ID, "tim (uid 1000) on conference", "ticket 4711", "famigo-production: PRODUCTION", "The record verifies; not sealed.", "not witnessed, and not sealed: somebody who can write these files could have written all of it anew",
		"deletes 2 of 9 in famigo.families", "UNDONE by c-undo", "To run it, type: famigo.families 2", "ACCEPTED", "famigo.families: deleted 2 (predicted 2)", "taken back by c-undo",
		all[1].Head().Hash, all[0].Head().Hash, "@media print", "prefers-color-scheme", `id="seq-3"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q", want)
		}
	}
	for _, e := range all[1].Events {
		if !strings.Contains(got, e.Hash) {
			t.Errorf("without the hash of seq %d", e.Seq)
		}
	}
	for _, never := range []string{"<script", "http://", "https://", "src=", "javascript:", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(got, never) {
			t.Errorf("it has %q", never)
		}
	}
}

// What does not verify is said in every format.
func TestExportsSayWhatDoesNotVerify(t *testing.T) {
	dir, all := archive(t)
	name := filepath.Join(dir, "sessions", all[1].ID, "journal.jsonl")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(b, []byte("ticket 4711"), []byte("ticket 4712"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	record, err := journal.ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	sessions := record.Sessions
	r := Record{Session: sessions[1], Changes: changesOf(t, sessions), Between: record.Problems}
	for _, format := range Formats {
		if got := export(t, format, r); !strings.Contains(got, "DOES NOT VERIFY") {
			t.Errorf("%s:\n%s", format, got)
		}
	}
	// A session that another knew longer.
	r = Record{Session: all[0], Between: []journal.Problem{{Session: all[0].ID, Err: journal.ErrMissing}}}
	for _, format := range []string{"html", "json", "txt"} {
		if got := export(t, format, r); !strings.Contains(got, "DOES NOT VERIFY") {
			t.Errorf("%s:\n%s", format, got)
		}
	}
	if err := Export(io.Discard, "pdf", r); err == nil {
		t.Error("pdf is a format")
	}
}

// Hostile text in everything that is recorded is harmless in everything that is printed.
func TestHostileTextIsHarmless(t *testing.T) {
	const evil = "\x1b[2J\x1b]0;owned\x07\u202egnp\u202c\u200b\x9b31m\u2028</pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'`&amp;\xff\r\U000e0041"
	dir := t.TempDir()
	one := []replay.Count{{Namespace: evil, Deleted: 1, Schema: ""}}
	record(t, dir, 1, evening, evil,
		said{0, replay.KindConnect, replay.Connect{Deployment: evil, URI: evil, Address: evil, Environment: evil, User: evil, Evidence: []replay.Evidence{{Source: evil, Says: evil, Why: evil, Scope: evil}}}},
		said{0, replay.KindReason, replay.Reason{Text: evil, Manner: evil}},
		said{0, replay.KindInput, replay.Input{Text: evil, Manner: evil, Mode: evil}},
		said{0, replay.KindCommand, replay.Command{Deployment: evil, Database: evil, Name: evil, Class: evil, Namespaces: []string{evil}, Text: evil, Error: evil}},
		said{0, replay.KindPlanned, replay.Planned{Change: evil, Digest: evil, Deployment: evil, Environment: evil, Class: evil, Summary: evil, Counts: one, Facts: []replay.Fact{{Code: evil, Severity: evil, Text: evil}}, Undoes: evil}},
		said{0, replay.KindDecided, replay.Decided{Change: evil, Screen: evil, Phrase: evil, Answer: evil, Manner: evil, Why: evil}},
		said{0, replay.KindDecided, replay.Decided{Change: evil, Screen: evil, Phrase: evil, Answer: evil, Manner: evil, Accepted: true}},
		said{0, replay.KindSaved, replay.Saved{Change: evil, Files: []replay.SavedFile{{Name: evil, SHA256: evil}}}},
		said{0, replay.KindIntent, replay.Intent{Change: evil, Digest: evil, Deployment: evil, URI: evil, Environment: evil, Summary: evil, Counts: one, Undoes: evil}},
		said{0, replay.KindOutcome, replay.Outcome{Change: evil, Status: replay.Status(evil), Counts: one, Skipped: []string{evil}, Alarm: []string{evil}, Error: evil, After: evil}},
		said{0, replay.KindRefused, replay.Refused{Text: evil, Hints: []string{evil}, Code: evil}},
		said{0, replay.KindOutput, replay.Output{Text: evil + strings.Repeat("x", 10<<20)}},
		said{0, replay.KindRecovery, replay.Recovery{Change: evil, Session: evil, Status: replay.Status(evil), Found: evil}},
		said{0, replay.KindSecurity, replay.Security{Text: evil}},
		said{0, "novel", replay.Security{Text: evil}},
	)
	all := read(t, dir)
	changes := changesOf(t, all)
	printed := map[string]string{}
	for _, format := range Formats {
		printed[format] = export(t, format, Record{Session: all[0], Changes: changes})
	}
	frames, err := Frames(all[0])
	if err != nil {
		t.Fatal(err)
	}
	printed["play"] = played(frames)
	for _, f := range frames {
		printed["labels"] += f.Label
	}
	if printed["show"], err = Story(all[0]); err != nil {
		t.Fatal(err)
	}
	if printed["writes"], err = Writes(all[0], changes); err != nil {
		t.Fatal(err)
	}
	hits, err := Search(all, "script")
	if err != nil || len(hits) < 15 {
		t.Fatal(len(hits), err)
	}
	printed["search"] = HitText(hits)
	printed["touched"] = TouchText([]Touch{{User: evil, Host: evil, Change: evil, Session: evil, Namespace: evil, ID: evil, Op: evil, Status: replay.Status(evil), UndoneBy: evil, Undoes: evil, Before: &Document{SHA256: evil}, After: &Document{Text: []byte(evil)}}})
	for name, text := range printed {
		for _, r := range text {
			if r != '\n' && replay.Hostile(r) {
				t.Errorf("%s has %q", name, r)
				break
			}
		}
	}
	for _, never := range []string{"<script", "<img", "</pre><script", "ZgotmplZ"} {
		if strings.Contains(printed["html"], never) {
			t.Errorf("the page has %q", never)
		}
	}
	if strings.Count(printed["html"], "alert(1)") < 20 {
		t.Error("the page does not show what was recorded")
	}
}
