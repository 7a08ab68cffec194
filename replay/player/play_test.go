package player

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hinshun/vt10x"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// played is all that frames of a tape add to the screen.
func played(t testing.TB, tape *Tape, frames []Frame) string {
	t.Helper()
	var b strings.Builder
	for _, f := range frames {
		text, err := tape.Text(f)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(text)
	}
	return b.String()
}

func noted(t testing.TB, tape *Tape) (out []string) {
	t.Helper()
	for _, f := range tape.Frames {
		notes, err := tape.Notes(f)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, notes...)
	}
	return out
}

func TestFramesAreWhatStoodOnTheScreen(t *testing.T) {
	dir := t.TempDir()
	id := "c"
	record(t, dir, 1, evening, "tim",
		said{0, replay.KindScreen, replay.Screen{Columns: 100, Rows: 40}},
		connect("production"),
		said{0, replay.KindOutput, replay.Output{Text: "welcome\n", Error: true}},
		said{2 * time.Second, replay.KindInput, replay.Input{Text: "db.fam", Manner: "typed", Mode: "dropped", Prompt: "famigo> "}},
		said{time.Second, replay.KindInput, replay.Input{Text: "", Manner: "typed", Mode: "dropped", Prompt: "famigo> "}},
		said{time.Second, replay.KindInput, replay.Input{Text: "f({\na: 1})", Manner: "typed", Mode: "run", Prompt: "famigo> "}},
		said{5 * time.Second, replay.KindOutput, replay.Output{Text: "1\n", Since: 3e6}},
		said{time.Second, replay.KindInput, replay.Input{Text: "g(\n1)", Manner: "pasted", Mode: "run", Prompt: "famigo> ", Screen: "famigo> g(\u23ce1)\n"}},
		said{time.Second, replay.KindPlanned, replay.Planned{Change: id, Summary: "deletes 2"}},
		said{time.Second, replay.KindReason, replay.Reason{Text: "ticket", Manner: "typed", Screen: "\nwhat for?\n> "}},
		said{9 * time.Second, replay.KindLooked, replay.Looked{Change: id, Asked: "details", Screen: "delete 1\n-- more -- q\n", Since: 4e6}},
		said{0, replay.KindDecided, replay.Decided{Change: id, Screen: "\nPRODUCTION\ndeletes 2\n", Answer: "y", Manner: "typed", Why: "declined"}},
		said{0, replay.KindOutput, replay.Output{Text: "refused: declined\n", Error: true}},
		said{time.Second, replay.KindInput, replay.Input{Text: " cls; ", Manner: "typed", Mode: "run", Prompt: "famigo> "}},
		said{time.Second, replay.KindRefused, replay.Refused{Text: "no"}},
		said{0, replay.KindOutput, replay.Output{Text: "refused: no\n", Error: true}},
		said{time.Second, replay.KindReason, replay.Reason{Text: "tick", Manner: "aborted", Screen: "what for?\n> "}},
	)
	tape := tapeOf(t, read(t, dir).Sessions()[0])
	var got strings.Builder
	for _, f := range tape.Frames {
		text, err := tape.Text(f)
		if err != nil {
			t.Fatal(err)
		}
		if f.Clear {
			got.WriteString("(clear)")
		}
		if f.Mark != "" {
			fmt.Fprintf(&got, "(%s)", f.Label)
		}
		if text != "" {
			fmt.Fprintf(&got, "%v %q\n", f.At, text)
		}
	}
	want := `1s "welcome\n"
1s "famigo> "
3s "db.fam\n"
3s "famigo> "
4s "\n"
4s "famigo> "
5s "f({\n... a: 1})\n"
7s "1\n"
10s "famigo> "
11s "g(⏎1)\n"
12s "\nwhat for?\n> "
13s "ticket\n"
(question: deletes 2)13s "\nPRODUCTION\ndeletes 2\n> "
18s "details\ndelete 1\n-- more -- q\n"
18s "\nPRODUCTION\ndeletes 2\n> "
(refusal: declined)22s "y\n"
22s "refused: declined\n"
22s "famigo> "
23s " cls; \n"
(clear)(refusal: no)24s "refused: no\n"
24s "what for?\n> "
25s "tick\n"
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	notes := strings.Join(noted(t, tape), "\n")
	for _, want := range []string{"tim on conference began", "connected to famigo-production", "(typed, not run)", "(pasted)", "planned c: deletes 2", "(typed: NOT ACCEPTED: declined)", "REFUSED: no", "(aborted)", "ended with status 0"} {
		if !strings.Contains(notes, want) {
			t.Errorf("without %q:\n%s", want, notes)
		}
	}
	if strings.Contains(got.String(), "ACCEPTED") || strings.Contains(got.String(), "conference") {
		t.Error("notes stand on the screen")
	}
}

// A journal of format 1 has no receipts, no prompts and no refusals as they were shown: they are told in the same words.
func TestFormat1Plays(t *testing.T) {
	all := read(t, "../journal/testdata/format1")
	r := all.Sessions()[1] // the first loads the demo's data
	if len(r.Problems()) > 0 {
		t.Fatal(r.Problems())
	}
	tape := tapeOf(t, r)
	text := played(t, tape, tape.Frames)
	for _, want := range []string{"To run it, type: famigo.families 35\n", "> famigo.families 35\n\napplied  change 20261128-"} {
		if strings.Count(text, want) != 2 {
			t.Errorf("%q stands %d times:\n%s", want, strings.Count(text, want), text)
		}
	}
	for _, format := range Formats {
		if got := written(t, func(w io.Writer) error { return r.Export(w, format) }); !strings.Contains(got, "To run it, type: famigo.families") {
			t.Errorf("%s has no question", format)
		}
	}
	if text := written(t, r.Writes); strings.Count(text, "\napplied  change 20261128-") != 2 {
		t.Error(text)
	}
	touches, problems := touched(t, all, "64b0c0f1*")
	if len(problems) > 0 || len(touches) < 2 || touches[0].Before.Text == nil {
		t.Error(len(touches), problems)
	}
}

func TestFramesShowTheQuestionWhenItWasAsked(t *testing.T) {
	_, all := archive(t)
	tape := tapeOf(t, all.Sessions()[1])
	var got []string
	last := time.Duration(0)
	for _, f := range tape.Frames {
		if f.At < last {
			t.Errorf("%q goes back in time", f.Label)
		}
		last = f.At
		if f.Mark != "" {
			got = append(got, fmt.Sprintf("%v %s", f.At, f.Label))
		}
	}
	if diff := cmp.Diff([]string{"4s question: deletes 2 of 9 in famigo.families", "10s write: deletes 2 of 9 in famigo.families"}, got); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	text := played(t, tape, tape.Frames)
	if strings.Count(text, "To run it, type") != 1 || strings.Index(text, "To run it, type") > strings.Index(text, "> famigo.families 2") {
		t.Errorf("the question does not stand once, before its answer:\n%s", text)
	}
}

// A clock that goes back does not make the player wait for ever, or crash.
func TestFramesOfAClockThatGoesBack(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", input("1"), said{-time.Hour, replay.KindInput, replay.Input{Text: "2"}}, said{0, replay.KindOutput, replay.Output{Text: "x\n", Since: 1 << 40}}, input("3"))
	for _, f := range tapeOf(t, read(t, dir).Sessions()[0]).Frames {
		if f.At < 0 || f.At > time.Second {
			t.Errorf("at %v: %q", f.At, f.Label)
		}
	}
}

// A journal that is changed while it is played is not believed.
func TestATapeDoubtsItsJournal(t *testing.T) {
	_, all := archive(t)
	r := all.Sessions()[1]
	tape := tapeOf(t, r)
	b, err := os.ReadFile(r.file())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(r.file(), bytes.Replace(b, []byte("To run it"), []byte("Do run it"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Player{Out: io.Discard, Clock: (&fakeTime{}).clock()}
	if err := p.Play(t.Context(), tape); err == nil {
		t.Error("it was played")
	}
	if _, err := r.Tape(); err == nil {
		t.Error("a tape was made of it")
	}
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
	tape := tapeOf(t, all.Sessions()[1])
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
			if err := c.p.Play(t.Context(), tape); err != nil {
				t.Fatal(err)
			}
			if got := f.now.Sub(evening); got != c.want {
				t.Errorf("it took %v, want %v: %v", got, c.want, f.waits)
			}
			if out.String() != played(t, tape, tape.Frames) {
				t.Errorf("it printed\n%s", out.String())
			}
		})
	}
}

// With notes, what was on the screen stands behind a bar, and nothing on it can look like a note.
func TestNotesAreToldFromTheScreen(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", connect("production"), said{0, replay.KindInput, replay.Input{Text: "print('x')", Manner: "argument", Mode: "run"}},
		said{0, replay.KindOutput, replay.Output{Text: "policy asks no question\n\nand no"}}, said{0, replay.KindOutput, replay.Output{Text: " newline"}}, input("1"))
	tape := tapeOf(t, read(t, dir).Sessions()[0])
	var out bytes.Buffer
	p := Player{Out: &out, Clock: (&fakeTime{}).clock(), Notes: true}
	if err := p.Play(t.Context(), tape); err != nil {
		t.Fatal(err)
	}
	want := `tim on conference began, with respect v1
connected to famigo-production (mongodb://db.example/famigo): PRODUCTION
  marker says production: the server's own marker says production
  as database user app
argument> print('x')
` + bar + `policy asks no question
` + bar + `
` + bar + `and no newlinefamigo> 1
ended with status 0
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// press plays a tape with keys, each of which is pressed when the player waits, in a time in which nothing happens by itself.
func press(t testing.TB, tape *Tape, keys string, columns, rows int) string {
	t.Helper()
	f := &fakeTime{now: evening, never: true}
	pressed := make(chan rune)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(pressed)
		for _, k := range keys {
			select {
			case pressed <- k:
			case <-ctx.Done():
				return
			}
		}
	}()
	var out bytes.Buffer
	p := Player{Out: &out, Clock: f.clock(), Speed: 1, Keys: pressed, Size: func() (int, int) { return columns, rows }}
	if err := p.Play(ctx, tape); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// pressSeeing plays a tape with keys, each of which is pressed when something was seen: the player may take several at once, and show nothing between them.
func pressSeeing(t testing.TB, tape *Tape, columns, rows int, keys ...string) string {
	t.Helper()
	out := &watched{}
	pressed := make(chan rune)
	go func() {
		defer close(pressed)
		for i := 0; i+1 < len(keys); i += 2 {
			for since := time.Now(); !strings.Contains(out.String(), keys[i+1]) && time.Since(since) < 20*time.Second; {
				time.Sleep(time.Millisecond)
			}
			pressed <- rune(keys[i][0])
		}
	}()
	p := Player{Out: out, Clock: (&fakeTime{now: evening, never: true}).clock(), Speed: 1, Keys: pressed, Size: func() (int, int) { return columns, rows }}
	if err := p.Play(t.Context(), tape); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// screenOf is what a terminal shows of an output.
func screenOf(out string, columns, rows int) string {
	term := vt10x.New(vt10x.WithSize(columns, rows))
	_, _ = term.Write([]byte(strings.ReplaceAll(out, "\n", "\r\n")))
	lines := strings.Split(term.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

func TestPlayKeys(t *testing.T) {
	_, all := archive(t)
	tape := tapeOf(t, all.Sessions()[1])
	upTo := func(n int) string { return played(t, tape, tape.Frames[:n]) }
	mark := func(m Mark, more int) string { return upTo(indexOf(tape, m) + 1 + more) }
	for keys, want := range map[string]string{
		"q":             upTo(1),
		"\x03":          upTo(1),
		" q":            upTo(1),
		"....q":         upTo(5),
		" .q":           upTo(2),
		"nq":            mark(Question, 0),
		"wq":            mark(Write, 0),
		"nwq":           mark(Write, 0),
		"rq":            upTo(1), // there is none
		"nnq":           mark(Question, 0),
		"zZ+-?q":        upTo(1),
		"n  q":          mark(Question, 0),
		"wr.q":          mark(Write, 1),
		"":              upTo(1), // the terminal is gone
		"g0:04\rq":      mark(Question, 0),
		"g0:09\rq":      mark(Question, 1),
		"wg4s\rq":       mark(Question, 0),
		"w g0\r q":      upTo(1),
		"g99\x7f\x1bq":  upTo(1),
		"gx9:99\rq":     upTo(1), // is no time
		"g9:00\rq":      upTo(len(tape.Frames)),
		"ng0:01\x03":    mark(Question, 0),
		"ng0:01\r...rq": upTo(indexOf(tape, Question)),
	} {
		t.Run(fmt.Sprintf("%q", keys), func(t *testing.T) {
			for _, size := range [][2]int{{100, 60}, {30, 10}, {7, 3}, {40, 2}} {
				got := screenOf(press(t, tape, keys, size[0], size[1]), size[0], size[1])
				full := screenOf(want+tail(want), size[0], size[1])
				lower := screenOf(want+tail(want), size[0], size[1]-1) // where the line at the end stood, the rest went up
				if diff := cmp.Diff(full, got); diff != "" && got != lower {
					t.Errorf("in %v (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

// tail is how the player leaves a line.
func tail(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return ""
	}
	return "\n"
}

func indexOf(t *Tape, m Mark) int {
	for i, f := range t.Frames {
		if f.Mark == m {
			return i
		}
	}
	return -1
}

// watched is an output that can be looked at while it is written.
type watched struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

// The line at the end of the terminal does not move what was on the screen, and is cut to the window.
func TestTheLineAtTheEnd(t *testing.T) {
	_, all := archive(t)
	tape := tapeOf(t, all.Sessions()[1])
	question := played(t, tape, tape.Frames[:indexOf(tape, Question)+1])
	for _, size := range [][2]int{{100, 40}, {100, 10}, {40, 6}, {20, 4}} {
		columns, rows := size[0], size[1]
		out, seen := &watched{}, ""
		pressed := make(chan rune)
		go func() {
			pressed <- 'n'
			const line = "\x1b[0m\x1b[K\x1b8" // how it ends
			for !strings.HasSuffix(out.String(), line) || !strings.Contains(out.String(), "To run it") {
				time.Sleep(time.Millisecond)
			}
			seen = out.String()
			close(pressed)
		}()
		p := Player{Out: out, Clock: (&fakeTime{never: true}).clock(), Speed: 1, Keys: pressed, Size: func() (int, int) { return columns, rows }}
		if err := p.Play(t.Context(), tape); err != nil {
			t.Fatal(err)
		}
		got := strings.Split(screenOf(seen, columns, rows), "\n")
		want := strings.Split(screenOf(question, columns, rows-1), "\n")
		if diff := cmp.Diff(want, got[:min(len(want), len(got))]); diff != "" {
			t.Errorf("%v: the screen (-want +got):\n%s", size, diff)
		}
		if len(got) != len(want)+1 || !strings.HasPrefix(got[len(got)-1], "[00:04 of 00:11") || len(got[len(got)-1]) >= columns {
			t.Errorf("%v: the line is %q", size, got[len(want):])
		}
	}
}

// All keys stand in one line of 80 columns.
func TestTheKeysAreListed(t *testing.T) {
	_, all := archive(t)
	if out := pressSeeing(t, tapeOf(t, all.Sessions()[1]), 80, 24, "?", "?: keys", "q", "["+Help+"\x1b"); !strings.Contains(out, "["+Help+"\x1b") || !strings.Contains(out, "?: keys") {
		t.Errorf("%q", out)
	}
}

func TestASmallerWindowIsSaid(t *testing.T) {
	dir := t.TempDir()
	record(t, dir, 1, evening, "tim", said{0, replay.KindScreen, replay.Screen{Columns: 100, Rows: 40}}, input("1"))
	tape := tapeOf(t, read(t, dir).Sessions()[0])
	if out := pressSeeing(t, tape, 99, 30, ".", "?: keys", ".", "", "q", "had 100 columns and 40 rows"); !strings.Contains(out, "had 100 columns and 40 rows") {
		t.Errorf("%q", out)
	}
	if out := press(t, tape, "..q", 100, 30); strings.Contains(out, "had 100 columns") {
		t.Errorf("%q", out)
	}
}

func TestPlayIsInterrupted(t *testing.T) {
	_, all := archive(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := Player{Out: io.Discard, Clock: (&fakeTime{}).clock(), Speed: 1}
	if err := p.Play(ctx, tapeOf(t, all.Sessions()[1])); err == nil {
		t.Error("no error")
	}
}

// A session that is running is followed to its end.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	w, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: dir, Rand: zeros{}, Now: func() time.Time { return evening }, Who: replay.Who{User: "tim", Host: "conference"}})
	if err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		if err := w.Append(replay.KindOutput, replay.Output{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	say("one\n")
	f, err := read(t, dir).Sessions()[0].Follow()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // read only
	steps := []func(){
		func() {},
		func() { say("two\n"); say("three\n") },
		func() {
			if err := w.Close(0); err != nil {
				t.Fatal(err)
			}
		},
	}
	var out bytes.Buffer
	p := Player{Out: &out, Clock: (&fakeTime{}).clock(), More: func() (bool, error) {
		if len(steps) > 0 {
			steps[0]()
			steps = steps[1:]
		}
		return f.Grow()
	}}
	if err := p.Play(t.Context(), f.Tape); err != nil {
		t.Fatal(err)
	}
	if out.String() != "one\ntwo\nthree\n" || len(steps) > 0 {
		t.Errorf("%q", out.String())
	}
}

// What comes is checked line by line.
func TestFollowDoubtsWhatComes(t *testing.T) {
	for what, line := range map[string]string{"no line": "nonsense\n", "another chain": ""} {
		dir := t.TempDir()
		w, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: dir, Rand: zeros{}, Now: func() time.Time { return evening }})
		if err != nil {
			t.Fatal(err)
		}
		f, err := read(t, dir).Sessions()[0].Follow()
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, "sessions", w.Session(), "journal.jsonl")
		if line == "" {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			line = string(b)
		}
		at, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = at.WriteString(line)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Grow(); err == nil {
			t.Errorf("%s: no error", what)
		}
		_, _, _ = at.Close(), f.Close(), w.Close(0)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestOffset(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "90": 90 * time.Second, "1:30": 90 * time.Second, "1:02:03": 3723 * time.Second, "1m30s": 90 * time.Second, "99:00": 99 * time.Minute} {
		if got, err := Offset(text); err != nil || got != want {
			t.Errorf("Offset(%q) = %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":", "1:", "1:60", "1:2:3:4", "-1", "-1s", "x", "18:47pm", "99999999999"} {
		if got, err := Offset(text); err == nil {
			t.Errorf("Offset(%q) = %v", text, got)
		}
	}
}

// Whatever is pressed, the player comes to an end, and leaves nothing of its line.
func FuzzPlayKeys(f *testing.F) {
	_, all := archive(f)
	tape := tapeOf(f, all.Sessions()[1])
	for _, keys := range []string{"q", "n.w", "g0:05\rr", "+-  g1\x7f\x1b", "\x03", "gggg::::\r"} {
		f.Add(keys, 80, 24)
	}
	f.Fuzz(func(t *testing.T, keys string, columns, rows int) {
		if len(keys) > 100 {
			return
		}
		columns, rows = 1+columns&127, 1+rows&63
		out := press(t, tape, keys, columns, rows)
		if strings.Contains(screenOf(out, columns, rows), " of 00:11") {
			t.Errorf("%q left its line:\n%s", keys, screenOf(out, columns, rows))
		}
	})
}
