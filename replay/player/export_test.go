package player

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
	"respect/replay/player/browsertest"
)

func export(t testing.TB, format string, r Record) string {
	t.Helper()
	return written(t, func(w io.Writer) error { return r.Export(w, format) })
}

// cast is what a player of asciicasts reads.
type cast struct {
	Version, Width, Height int
	Timestamp              int64
	events                 [][]any
}

func readCast(t testing.TB, text string) (c cast) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if err := json.Unmarshal([]byte(lines[0]), &c); err != nil {
		t.Fatal(err)
	}
	last := 0.0
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
		c.events = append(c.events, e)
	}
	return c
}

// of are the events of a kind.
func (c cast) of(kind string) (out []string) {
	for _, e := range c.events {
		if e[1] == kind {
			out = append(out, fmt.Sprintf("%v %v", e[0], e[2]))
		}
	}
	return out
}

func TestExportCast(t *testing.T) {
	_, all := archive(t)
	r := all.Sessions()[1]
	c := readCast(t, export(t, "cast", r))
	if c.Version != 2 || c.Width < 80 || c.Height < 24 || c.Timestamp != evening.Unix() {
		t.Errorf("header %+v", c)
	}
	if diff := cmp.Diff([]string{"4 question: deletes 2 of 9 in famigo.families", "10 write: deletes 2 of 9 in famigo.families"}, c.of("m")); diff != "" {
		t.Errorf("markers (-want +got):\n%s", diff)
	}
	text := ""
	for _, e := range c.events {
		if e[1] == "o" {
			text += e[2].(string)
		}
	}
	tape := tapeOf(t, r)
	if text != strings.ReplaceAll(played(t, tape, tape.Frames), "\n", "\r\n") {
		t.Errorf("it shows\n%s", text)
	}
}

// The window of the cast is the operator's, and changes when his did.
func TestExportCastHasTheWindow(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", said{0, replay.KindScreen, replay.Screen{Columns: 100, Rows: 30}}, input("1"),
		said{time.Second, replay.KindScreen, replay.Screen{Columns: 60, Rows: 20}}, input("cls"), said{0, replay.KindOutput, replay.Output{Text: "1\n"}})
	c := readCast(t, export(t, "cast", read(t, dir).Sessions()[0]))
	if c.Width != 100 || c.Height != 30 {
		t.Errorf("%dx%d", c.Width, c.Height)
	}
	if diff := cmp.Diff([]string{"2 60x20"}, c.of("r")); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(strings.Join(c.of("o"), ""), "\x1b[H\x1b[2J") {
		t.Error("the screen is not cleared")
	}
}

// The lines of the JSON export are those of the journal: a hash can be computed anew from them.
func TestExportJSONHoldsTheJournalsOwnLines(t *testing.T) {
	_, all := archive(t)
	r := all.Sessions()[1]
	var doc struct {
		Session      string
		Verification verification
		Events       []json.RawMessage
	}
	if err := json.Unmarshal([]byte(export(t, "json", r)), &doc); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(r.file())
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
	if v := doc.Verification; !v.Verifies || v.Witnessed || v.Head != r.Session.Head().Hash || v.Verdict != "verifies; not sealed" {
		t.Errorf("verification %+v", v)
	}
}

func TestExportHTML(t *testing.T) {
	_, all := archive(t)
	first, r := all.Sessions()[0], all.Sessions()[1]
	got := export(t, "html", r)
	for _, want := range []string{
		"<h1>Session " + r.Session.ID, "tim (uid 1000) on conference", "ticket 4711", "famigo-production: PRODUCTION", "The record verifies; not sealed.", "not witnessed, and not sealed: somebody who can write these files could have written all of it anew",
		"deletes 2 of 9 in famigo.families", "UNDONE by c-undo", "To run it, type: famigo.families 2", "ACCEPTED", "famigo.families: deleted 2 (predicted 2)", "taken back by c-undo",
		"<del>- { a: 1 }</del>", r.Session.Head().Hash, first.Session.Head().Hash, "@media print", "prefers-color-scheme", `id="seq-3"`,
		`"s":"\nPRODUCTION  famigo\ndeletes 2 of 9 in famigo.families\n\nTo run it, type: famigo.families 2\n\u003e ","m":"question","l":"question: deletes 2 of 9 in famigo.families"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q", want)
		}
	}
	if err := r.events(func(e replay.Event) error {
		if !strings.Contains(got, e.Hash) {
			t.Errorf("without the hash of seq %d", e.Seq)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"http://", "https://", "src=", "javascript:", "@import", "url(", "ZgotmplZ", " style=", " onclick=", "innerHTML"} {
		if strings.Contains(strings.ReplaceAll(got, "mongodb://", ""), never) {
			t.Errorf("it has %q", never)
		}
	}
	if !strings.Contains(html.UnescapeString(got), "style-src '"+sourceHash(pageStyle)+"'; script-src '"+sourceHash(pageScript)+"'") || strings.Count(got, "<script>") != 1 {
		t.Error("its script and style are not the ones that it allows")
	}
}

// What does not verify is said in every format.
func TestExportsSayWhatDoesNotVerify(t *testing.T) {
	dir, all := archive(t)
	name := all.Sessions()[1].file()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(b, []byte("ticket 4711"), []byte("ticket 4712"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	r := read(t, dir).Sessions()[1]
	for _, format := range Formats {
		if got := export(t, format, r); !strings.Contains(got, "DOES NOT VERIFY") {
			t.Errorf("%s:\n%s", format, got)
		}
	}
	tape := tapeOf(t, r)
	if notes := noted(t, tape); !strings.Contains(notes[len(notes)-1], "DOES NOT VERIFY") {
		t.Error("it is played as if it did")
	}
	// A session that another knew longer.
	all = read(t, dir)
	id := all.Record.Sessions[0].ID
	all.Record.Problems = []journal.Problem{{Session: id, Err: journal.ErrMissing}}
	for _, format := range Formats {
		if got := export(t, format, all.Sessions()[0]); !strings.Contains(got, "DOES NOT VERIFY") {
			t.Errorf("%s:\n%s", format, got)
		}
	}
	if err := r.Export(io.Discard, "pdf"); err == nil {
		t.Error("pdf is a format")
	}
}

// A change whose files are gone, or are not what was confirmed, is shown all the same, and it is said.
func TestExportHTMLSaysWhatIsMissing(t *testing.T) {
	dir, all := archive(t)
	plan := filepath.Join(dir, "changes", "c-one", "plan.jsonl")
	b, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, append(b, '\n', ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := export(t, "html", all.Sessions()[1]); !strings.Contains(got, "<li>DOES NOT VERIFY: its plan is not the one that was confirmed") {
		t.Error("an edited plan is believed")
	}
	if err := os.Remove(plan); err != nil {
		t.Fatal(err)
	}
	if got := export(t, "html", all.Sessions()[1]); !strings.Contains(got, "<li>The files of this change are not there any more") {
		t.Error("a plan that is gone is not missed")
	}
}

// A long session makes a page that can be opened, and says what it leaves out.
func TestExportHTMLIsBounded(t *testing.T) {
	dir := t.TempDir()
	events := []said{connect("production")}
	for i := range 400 {
		events = append(events, input(fmt.Sprint("print ", i)), said{0, replay.KindOutput, replay.Output{Text: strings.Repeat("0123456789abcde\n", 4<<10)}})
	}
	record(t, dir, 1, evening, "tim", events...)
	got := export(t, "html", read(t, dir).Sessions()[0])
	if len(got) > 16<<20 {
		t.Errorf("%d bytes", len(got))
	}
	for _, want := range []string{"bytes of text are left out, to keep this page small", "bytes more are left out of this page", "print 399"} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q", want)
		}
	}
}

// So does a session of very many short entries: its playback goes on with what somebody jumps to.
func TestExportHTMLOfManyEntriesIsBounded(t *testing.T) {
	dir := t.TempDir()
	events := []said{connect("development")}
	for i := range 9000 {
		events = append(events, input(fmt.Sprint("print ", i)), said{0, replay.KindOutput, replay.Output{Text: strings.Repeat("0123456789", 60) + "\n"}})
	}
	for range pagePlain + 7 {
		events = append(events, said{0, replay.KindCommand, replay.Command{Database: "famigo", Name: "insert", Class: "document write", Namespaces: []string{"famigo.log"}}})
	}
	events = append(events, said{0, replay.KindRefused, replay.Refused{Text: "the last of all"}})
	record(t, dir, 1, evening, "tim", events...)
	got := export(t, "html", read(t, dir).Sessions()[0])
	if len(got) > 20<<20 { // 18,000 rows without a text are 7 MB of them
		t.Errorf("%d bytes", len(got))
	}
	for _, want := range []string{"<p>7 unguarded write(s) more are counted here only", "To keep this page small the playback is without "} {
		if !strings.Contains(got, want) {
			t.Errorf("without %q", want)
		}
	}
	_, tape, _ := strings.Cut(got, `id="tape">`)
	tape, _, _ = strings.Cut(tape, "</script>")
	var played struct{ Frames []jsFrame }
	if err := json.Unmarshal([]byte(tape), &played); err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, f := range played.Frames {
		if strings.HasPrefix(f.S, "(from here on this page plays only questions, writes and refusals") {
			said++
		}
	}
	if last := played.Frames[len(played.Frames)-1]; said != 1 || last.M != Refusal || last.L != "refusal: the last of all" {
		t.Errorf("it was said %d times, and the last step is %+v", said, last)
	}
}

// attacks are what strangers write into names, documents and errors, so that it acts where it is looked at.
var attacks = []struct{ name, text string }{
	{"escape sequences", "\x1b[2J\x1b[1;1H\x1b]0;owned\x07\u009b31m"},
	{"control characters", "what\rthat\b\x00\x7f\x85"},
	{"HTML", "</pre></td></table><img src=x onerror=alert(1)><a href='javascript:alert(1)'>x</a><!--\"'`&amp;"},
	{"script tags", "</script><script>alert(1)</script><!--<script>"},
	{"styles", "</style><style>@import url(http://example.com/x)</style>"},
	{"bidi characters", "\u202egnp.exe\u202c\u2066\u2069\u200f"},
	{"zero-width characters", "a\u200bb\u200dc\ufeff\u2060"},
	{"line separators", "one\u2028two\u2029three"},
	{"tag characters", "\U000e0041\U000e007f"},
	{"bytes that are no text", "\xff\xfe\xc3"},
	{"templates", "{{.}}${1}%s%n"},
}

// evil are all of them.
var evil = func() (all string) {
	for _, a := range attacks {
		all += a.text
	}
	return all
}()

// hostile is a session in which everything that is recorded is this text, and of which one result has some bytes more.
func hostile(t testing.TB, evil string, more int) *Archive {
	t.Helper()
	dir := t.TempDir()
	one := []replay.Count{{Namespace: evil, Deleted: 1, Schema: ""}}
	w, err := journal.Create(journal.Config{
		FS: durable.OS{}, Dir: dir, Rand: rand.NewChaCha8([32]byte{1}), Now: func() time.Time { return evening }, Policy: []replay.File{{Path: evil, SHA256: evil}}, Output: evil,
		Who: replay.Who{User: evil, Host: evil, Terminal: evil, SSH: evil}, Build: replay.Build{Version: evil, Revision: evil, Go: evil, Driver: evil, Commands: evil},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []said{
		{0, replay.KindScreen, replay.Screen{Columns: -1, Rows: 1 << 30}},
		{0, replay.KindConnect, replay.Connect{Deployment: evil, URI: evil, Address: evil, Environment: evil, User: evil, Roles: []string{evil}, Evidence: []replay.Evidence{{Source: evil, Says: evil, Why: evil, Scope: evil}}, Identity: map[string]string{evil: evil}}},
		{0, replay.KindReason, replay.Reason{Text: evil, Manner: evil}},
		{0, replay.KindReason, replay.Reason{Text: evil, Manner: evil, Screen: evil}},
		{0, replay.KindInput, replay.Input{Text: evil, Manner: evil, Mode: evil}},
		{0, replay.KindInput, replay.Input{Text: evil, Manner: evil, Mode: "dropped", Prompt: evil, Screen: evil}},
		{0, replay.KindCommand, replay.Command{Deployment: evil, Database: evil, Name: evil, Class: evil, Namespaces: []string{evil}, Text: evil, Error: evil}},
		{0, replay.KindPlanned, replay.Planned{Change: evil, Digest: evil, Deployment: evil, Environment: evil, Class: evil, Summary: evil, Counts: one, Facts: []replay.Fact{{Code: evil, Severity: evil, Text: evil}}, Undoes: evil}},
		{0, replay.KindLoaded, replay.Loaded{Path: evil, SHA256: evil, Text: evil, Dropped: 1, Again: true}},
		{0, replay.KindLooked, replay.Looked{Change: evil, Asked: evil, Screen: evil, Since: -1 << 62}},
		{0, replay.KindDecided, replay.Decided{Change: evil, Screen: evil, Phrase: evil, Answer: evil, Manner: evil, Why: evil}},
		{0, replay.KindDecided, replay.Decided{Change: evil, Screen: evil, Phrase: evil, Answer: evil, Manner: evil, Accepted: true}},
		{0, replay.KindSaved, replay.Saved{Change: evil, Files: []replay.SavedFile{{Name: evil, SHA256: evil}}}},
		{0, replay.KindIntent, replay.Intent{Change: evil, Digest: evil, Deployment: evil, URI: evil, Environment: evil, Summary: evil, Counts: one, Undoes: evil, Only: evil, Resumes: evil}},
		{0, replay.KindProgress, replay.Progress{Change: evil, Step: evil}},
		{0, replay.KindOutcome, replay.Outcome{Change: evil, Status: replay.Status(evil), Counts: one, Predicted: one, Skipped: []string{evil}, Alarm: []string{evil}, Error: evil, After: evil}},
		{0, replay.KindReceipt, replay.Receipt{Change: evil, Screen: evil}},
		{0, replay.KindRefused, replay.Refused{Text: evil, Hints: []string{evil}, Code: evil}},
		{0, replay.KindOutput, replay.Output{Text: evil, Error: true, Since: -1 << 62}},
		{0, replay.KindOutput, replay.Output{Text: evil + strings.Repeat("x", more), Dropped: 1, SHA256: evil}},
		{0, replay.KindRecovery, replay.Recovery{Change: evil, Session: evil, Status: replay.Status(evil), Found: evil}},
		{0, replay.KindPruned, replay.Pruned{Change: evil, Why: evil}},
		{0, replay.KindSecurity, replay.Security{Text: evil}},
		{0, "novel", replay.Security{Text: evil}},
	} {
		if err := w.Append(e.kind, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(0); err != nil {
		t.Fatal(err)
	}
	return read(t, dir)
}

// printedOf is all that can be printed of a session, by what prints it.
func printedOf(t testing.TB, all *Archive, part string) map[string]string {
	t.Helper()
	r := all.Sessions()[0]
	printed := map[string]string{"show": written(t, r.Story), "show --writes": written(t, r.Writes)}
	for _, format := range Formats {
		printed[format] = export(t, format, r)
	}
	tape := tapeOf(t, r)
	for _, notes := range []bool{false, true} {
		var out strings.Builder
		p := Player{Out: &out, Clock: (&fakeTime{}).clock(), Notes: notes}
		if err := p.Play(t.Context(), tape); err != nil {
			t.Fatal(err)
		}
		printed[fmt.Sprintf("play --notes=%v", notes)] = out.String()
	}
	for _, f := range tape.Frames {
		printed["labels"] += f.Label
	}
	own := strings.NewReplacer("\x1bD\x1b[A\x1b7", "", "\x1b[7m", "", "\x1b[0m\x1b[K\x1b8", "", "\x1b7\x1b[B\r\x1b[2K\x1b8", "", "\r\n", "")
	printed["play, on a terminal"] = own.Replace(press(t, tape, strings.Repeat(".", len(tape.Frames)-1)+"q", 80, 24))
	for _, h := range search(t, all, part) {
		printed["search"] += h.String() + "\n"
	}
	return printed
}

// Hostile text in everything that is recorded is harmless in everything that is printed: on a terminal, as HTML and as JSON.
func TestHostileTextIsHarmless(t *testing.T) {
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			shown := replay.Safe(strings.ToValidUTF8(a.text, "\ufffd"))
			printed := printedOf(t, hostile(t, a.text, 0), string([]rune(a.text)[:1]))
			printed["search --id"] = Touch{User: a.text, Host: a.text, Change: a.text, Session: a.text, Namespace: a.text, ID: a.text, Op: a.text, Status: replay.Status(a.text), UndoneBy: a.text, Undoes: a.text, Before: &Document{SHA256: a.text}, After: &Document{Text: []byte(a.text)}}.String()
			lines, err := tell(replay.Event{Kind: replay.KindSeal, Body: mustEncode(t, replay.Seal{Note: strings.Repeat(a.text+"\n", 4)})})
			if err != nil {
				t.Fatal(err)
			}
			printed["a seal"] = strings.Join(lines, "\n")
			for name, text := range printed {
				if i := strings.IndexFunc(text, func(c rune) bool { return c != '\n' && replay.Hostile(c) }); i >= 0 || !utf8.ValidString(text) {
					t.Errorf("%s has %q", name, text[max(i, 0):min(max(i, 0)+40, len(text))])
				}
				if name == "json" || name == "cast" || name == "html" || name == "a seal" {
					continue
				}
				if n := strings.Count(text, shown) + strings.Count(text, replay.Safe(a.text)); n == 0 || name == "show" && n < 30 {
					t.Errorf("%s does not show %q", name, shown)
				}
			}
			for _, never := range []string{"<script>alert", "<img", "<a href='javascript", "</pre></td></table>", "<!--", "<style>@import", "</script><", "ZgotmplZ"} {
				if strings.Contains(printed["html"], never) {
					t.Errorf("the page has %q", never)
				}
			}
			var doc struct {
				Events []struct {
					Kind string
					Body struct{ Text string }
				}
			}
			if err := json.Unmarshal([]byte(printed["json"]), &doc); err != nil {
				t.Fatal(err)
			}
			if got, want := doc.Events[3].Body.Text, string([]rune(a.text)); got != want {
				t.Errorf("JSON has %q, want %q", got, want)
			}
		})
	}
}

func mustEncode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Ten megabytes in one line of one result, hostile ones: a page can still be opened, and nothing else gets lost.
func TestHostileOutputOfTenMegabytes(t *testing.T) {
	printed := printedOf(t, hostile(t, evil, tenMegabytes), "alert")
	for name, text := range printed {
		if i := strings.IndexFunc(text, func(c rune) bool { return c != '\n' && replay.Hostile(c) }); i >= 0 {
			t.Errorf("%s has %q", name, text[i:min(i+40, len(text))])
		}
		if whole := name != "html" && name != "search" && name != "labels" && name != "show --writes"; whole && len(text) < tenMegabytes {
			t.Errorf("%s has %d bytes: the output is not whole", name, len(text))
		}
	}
	for _, name := range []string{"html", "search"} {
		if n := len(printed[name]); n > 2<<20 {
			t.Errorf("they make %d bytes of %s", n, name)
		}
	}
	if !strings.Contains(printed["html"], "bytes more are left out of this page") {
		t.Error("the page does not say what it leaves out")
	}
}

// The page in a browser: nothing of a hostile session acts, nothing is asked for, nothing breaks its own rules, and what was recorded is there as text.
func TestHostileTextIsHarmlessInABrowser(t *testing.T) {
	t.Parallel()
	all := hostile(t, evil, tenMegabytes)
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(export(t, "html", all.Sessions()[0])), 0o600); err != nil {
		t.Fatal(err)
	}
	p := browsertest.Start(t, 1000, 800)
	p.Open(file)
	p.Eval(`document.getElementById('seek').value = 1e9; document.getElementById('seek').dispatchEvent(new Event('input'))`)
	if shown := p.Eval(`document.getElementById('terminal').textContent`); strings.Count(shown, "<script>alert(1)</script>") < 5 || strings.ContainsAny(shown, "\x1b\u202e\u200b\u2028") {
		t.Errorf("the screen shows %.500q", shown)
	}
	if n := p.Eval(`document.querySelectorAll('script, img, iframe, object, style, link').length`); n != "3" {
		t.Errorf("%s scripts, pictures and styles, want 3", n)
	}
	if said, asked := p.Said(), p.Requests(); len(said) > 0 || len(asked) > 0 {
		t.Errorf("the browser said %q, and the page asked for %q", said, asked)
	}
}

// What does a reader get who has no scripts, a keyboard only, a screen reader, a dark screen, a printer?
func TestThePageForEverybody(t *testing.T) {
	t.Parallel()
	_, all := archive(t)
	r := all.Sessions()[1]
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(export(t, "html", r)), 0o600); err != nil {
		t.Fatal(err)
	}
	p := browsertest.Start(t, 900, 700)
	p.Open(file)

	// A keyboard: the first stop skips to the content, all controls are reached in their order, and the screen has keys of its own.
	var stops []string
	for range 40 {
		p.Key("Tab")
		stops = append(stops, p.Eval(`document.activeElement.id || document.activeElement.textContent`))
	}
	if want := []string{"play", "step", "question", "write", "refusal", "speed", "idle", "seek", "terminal"}; stops[0] != "To the content" || !slices.Equal(only(stops, want), want) {
		t.Errorf("Tab stops at %q", stops)
	}
	p.Eval(`document.getElementById('question').focus()`)
	p.Key("Enter")
	const terminal = `document.getElementById('terminal').textContent`
	if got := p.Eval(terminal); !strings.HasSuffix(got, "To run it, type: famigo.families 2\n> ") {
		t.Errorf("the screen shows %q", got)
	}
	if got := p.Eval(`document.getElementById('playing').textContent`); got != "0:04 question: deletes 2 of 9 in famigo.families" {
		t.Errorf("it says %q", got)
	}
	p.Eval(`document.getElementById('terminal').focus()`)
	p.Key(".")
	if got := p.Eval(terminal); !strings.HasSuffix(got, "> famigo.families 2\n") {
		t.Errorf("after a step the screen shows %q", got)
	}
	p.Key("r")
	if got := p.Eval(`document.getElementById('playing').textContent`); got != "no further refusal" {
		t.Errorf("it says %q", got)
	}
	p.Eval(`document.getElementById('speed').value = 20`)
	p.Key(" ")
	p.Eval(`new Promise(done => { const i = setInterval(() => { if (document.getElementById('playing').textContent === 'the end') { clearInterval(i); done() } }, 5) })`)
	tape := tapeOf(t, r)
	if diff := cmp.Diff(played(t, tape, tape.Frames), p.Eval(terminal)); diff != "" {
		t.Errorf("the whole screen (-want +got):\n%s", diff)
	}

	// A screen reader: everything has a role and a name.
	nodes := p.Accessible()
	for _, want := range []browsertest.Node{
		{Role: "heading", Name: "Verification"}, {Role: "heading", Name: "Changes"}, {Role: "heading", Name: "Playback"}, {Role: "heading", Name: "Timeline"}, {Role: "navigation", Name: "Parts"},
		{Role: "button", Name: "Play"}, {Role: "button", Name: "Next question"}, {Role: "slider", Name: "Time"}, {Role: "region", Name: "The operator's screen"}, {Role: "combobox", Name: "Speed"},
	} {
		if !slices.Contains(nodes, want) {
			t.Errorf("there is no %v", want)
		}
	}
	for _, n := range nodes {
		if slices.Contains([]string{"button", "slider", "combobox", "link", "heading", "table", "region", "navigation", "article", "group"}, n.Role) && n.Name == "" {
			t.Errorf("a %s has no name", n.Role)
		}
	}
	if got := p.Eval(`document.documentElement.lang + document.querySelectorAll('table:not(:has(caption)), th:not([scope]), main + main').length`); got != "en0" {
		t.Errorf("language, tables without a caption, headers without a scope: %s", got)
	}

	// Light, dark and printed: the text can be read on its ground, and is not the same everywhere.
	grounds := map[string]bool{}
	for _, media := range [][]string{{"", "prefers-color-scheme: light"}, {"", "prefers-color-scheme: dark"}, {"print", "prefers-color-scheme: dark"}} {
		p.Media(media[0], media[1:]...)
		for _, what := range []string{"body", "a", ".bad", ".good", "pre", "del", "#terminal", "button"} {
			if media[0] == "print" && (what == "#terminal" || what == "button") {
				continue
			}
			if n := p.Eval(fmt.Sprintf(contrast, what)); n != "" && len(n) < 2 && n < "4" {
				t.Errorf("%v: the contrast of %s is %s", media, what, n)
			}
		}
		grounds[p.Eval(`getComputedStyle(document.body).backgroundColor`)] = true
	}
	if len(grounds) != 2 {
		t.Errorf("grounds %v", grounds)
	}
	if got := p.Eval(`getComputedStyle(document.getElementById('playback')).display`); got != "none" {
		t.Errorf("printed, the playback is %q", got)
	}
	if pdf := p.PDF(); !bytes.HasPrefix(pdf, []byte("%PDF-")) {
		t.Errorf("%.20q is no PDF", pdf)
	}
	p.Media("")

	// No scripts: all is there but the playback, and that is said.
	p.Scripts(false)
	p.Open(file)
	text := p.Eval(`document.body.innerText`)
	for _, want := range []string{"Playback needs scripts", "To run it, type: famigo.families 2", "ACCEPTED", "deleted 2 (predicted 2)", "The record verifies; not sealed."} {
		if !strings.Contains(text, want) {
			t.Errorf("without scripts there is no %q", want)
		}
	}
	if strings.Contains(text, "Next question") {
		t.Error("without scripts there are controls that do nothing")
	}
	if said, asked := p.Said(), p.Requests(); len(said) > 0 || len(asked) > 0 {
		t.Errorf("the browser said %q, and the page asked for %q", said, asked)
	}
}

// contrast is the contrast of an element's text with its ground, as WCAG 2 computes it, whole.
const contrast = `(() => {
	const e = document.querySelector(%q);
	if (!e) return null;
	const rgb = (s) => s.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((s, c, i) => s + c * [0.2126, 0.7152, 0.0722][i], 0);
	let ground = e;
	while (ground && rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
	const [x, y] = [light(rgb(getComputedStyle(e).color)), light(ground ? rgb(getComputedStyle(ground).backgroundColor) : [255, 255, 255])].sort((a, b) => b - a);
	return String(Math.floor((x + 0.05) / (y + 0.05)));
})()`

// only are those of a list that another has, in their order, each once.
func only(list, of []string) (out []string) {
	for _, s := range list {
		if slices.Contains(of, s) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
