package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hinshun/vt10x"

	"respect/guard/embedded/embeddedtest"
	"respect/replay/journal"
	"respect/replay/player"
	"respect/replay/player/browsertest"
	"respect/shell/terminal/terminaltest"
)

// evening is the conference evening, at a terminal: what somebody typed who was distracted, and what stood on his screen.
type evening struct {
	t     *testing.T
	tty   *terminaltest.Session
	state string
	// screens are what stood there when a question was asked or asked again, and at last.
	screens []string
	last    string
	// followed is what somebody saw who followed the session meanwhile.
	follower *exec.Cmd
	followed watched
}

// watched is an output that can be looked at while it is written.
type watched struct {
	change terminaltest.Signal
	mu     sync.Mutex
	out    strings.Builder
}

func (w *watched) Write(b []byte) (int, error) {
	defer w.change.Tell()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

const (
	loop      = "db.families.find().forEach(f => db.families.deleteOne({_id: f._id}))"
	answering = "Anything else changes nothing."
)

// spend records the evening.
func spend(t *testing.T) *evening {
	t.Helper()
	server := embeddedtest.Start(t, "production")
	e := &evening{t: t, state: t.TempDir()}
	cmd := exec.Command(embeddedtest.Binary(t), server.URI+"famigo")
	cmd.Env = append(os.Environ(), "RESPECT_STATE_DIR="+e.state, "HOME="+t.TempDir())
	var err error
	if e.tty, err = terminaltest.Start(cmd, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer e.tty.Close()
	e.tty.Watch(server.PID())
	e.expect("famigo> ")
	e.follow()
	e.enter("db.families.countDocuments({})", "300")
	e.sees("famigo> db.families.countDocuments({})\n300\n")
	e.enter("", "famigo> ")
	e.do(e.tty.TypeFast("db.families.drop()"))
	e.leave("\x03") // he thinks better of it
	e.enter("db.families.find({", "... ")
	e.enter("plan: 'trial'}).limit(1)", "famigo> ")
	e.paste("db.families.countDocuments({\nplan: 'trial'})", "68")
	e.paste("print('"+strings.Repeat("0123456789", 15)+"'); db.nosuch.find().foo()", "is not a function")
	e.paste("db.families.find({}, {name: 1})", "it\" for more")
	e.enter("it", "famigo> ")

	e.enter(loop, "What is this session for?")
	e.do(e.tty.Type("none of"))
	e.leave("\x03") // nor of this
	e.key("\x1b[A", "f._id}))")
	e.enter("", "What is this session for?")
	e.do(e.tty.Type("save them alll"))
	e.do(e.tty.Key("\x7f"))
	e.enter("", answering)
	e.keep()
	stands, err := e.tty.Phrase()
	e.do(err)
	e.sees(stands) // while nobody has answered
	e.answer("details", "-- Enter shows more")
	e.answer("", "-- Enter shows more")
	e.ask("q")
	e.ask("sample 2")
	e.answer("y", "nothing was changed")
	e.do(e.tty.Resize(90, 30))
	e.enter("cls", "famigo> ")

	e.paste("db.families.updateMany({plan: 'trial'}, {$set: {plan: 'trail'}})", answering)
	e.phrase("applied", true)
	e.enter("undo", answering)
	e.phrase("applied", false)
	e.paste("db.families.deleteMany({_id: ObjectId('64b0c0f10000000000000004')})", answering)
	e.phrase("deletedCount: 1", false)
	e.do(e.tty.Send("\x04"))
	if code, err := e.tty.Wait(); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	e.last = e.tty.Screen()
	if err := e.follower.Wait(); err != nil {
		t.Fatalf("play --follow: %v", err)
	}
	return e
}

// follow has somebody look at the session from elsewhere, from its first prompt on.
func (e *evening) follow() {
	e.t.Helper()
	cmd := exec.Command(embeddedtest.Binary(e.t), "replay", "play", "--follow")
	cmd.Env = append(os.Environ(), "RESPECT_STATE_DIR="+e.state, "HOME="+e.t.TempDir())
	cmd.Stdout, cmd.Stderr = &e.followed, os.Stderr
	e.do(cmd.Start())
	e.follower = cmd
	e.sees("help lists the words of this shell")
}

// sees waits until the follower sees a text.
func (e *evening) sees(text string) {
	e.t.Helper()
	if !terminaltest.Until(&e.followed.change, func() bool { return strings.Contains(e.followed.String(), text) }, e.follower.Process.Pid) {
		e.t.Fatalf("who follows does not see %q:\n%s", text, e.followed.String())
	}
}

func (e *evening) do(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *evening) expect(text string) { e.t.Helper(); e.do(e.tty.Expect(text)) }

// enter enters a line at the prompt, and waits for what follows.
func (e *evening) enter(text, want string) {
	e.t.Helper()
	e.do(e.tty.TypeFast(text))
	e.do(e.tty.Enter())
	e.expect(want)
}

// paste pastes a line, and enters it.
func (e *evening) paste(text, want string) {
	e.t.Helper()
	e.do(e.tty.Paste(text))
	e.expect(text[len(text)-5:])
	e.enter("", want)
}

func (e *evening) key(key, want string) {
	e.t.Helper()
	e.do(e.tty.Send(key))
	e.expect(want)
}

// leave presses a key that leaves a line, and waits for the next prompt.
func (e *evening) leave(key string) {
	e.t.Helper()
	e.do(e.tty.Send(key))
	e.do(e.tty.Last("PRODUCTION famigo>"))
}

// answer types an answer as a finger does.
func (e *evening) answer(text, want string) {
	e.t.Helper()
	e.do(e.tty.Ready())
	e.finger(text, want)
}

func (e *evening) finger(text, want string) {
	e.t.Helper()
	e.do(e.tty.Type(text))
	e.do(e.tty.Enter())
	e.expect(want)
}

// ask types an answer that a question follows, and keeps the screen.
func (e *evening) ask(text string) {
	e.t.Helper()
	e.answer(text, answering)
	e.keep()
}

// keep keeps the screen, once a question can be answered on it.
func (e *evening) keep() {
	e.t.Helper()
	e.do(e.tty.Ready())
	e.screens = append(e.screens, e.tty.Screen())
}

// phrase keeps the screen, and types what the question wants; with a wrong key, if he errs.
func (e *evening) phrase(want string, errs bool) {
	e.t.Helper()
	e.keep()
	phrase, err := e.tty.Phrase()
	e.do(err)
	if errs {
		e.do(e.tty.Type("f."))
		e.do(e.tty.Key("\x7f"))
		time.Sleep(terminaltest.KeyGap)
		phrase = phrase[1:]
	}
	e.finger(phrase, want)
	e.do(e.tty.Last("PRODUCTION famigo>"))
}

// record is the session as it is looked at afterwards.
func (e *evening) record() player.Record {
	e.t.Helper()
	all, err := player.Open(e.state, journal.Options{})
	e.do(err)
	for _, p := range all.Record.AllProblems() {
		e.t.Error(p)
	}
	all.Foresee = foresee()
	return all.Sessions()[0]
}

// screen is a terminal that shows what is written to it.
type screen struct{ vt10x.Terminal }

func newScreen(columns, rows int) screen { return screen{vt10x.New(vt10x.WithSize(columns, rows))} }

func (s screen) add(text string) { _, _ = s.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) }

func (s screen) String() string {
	lines := strings.Split(s.Terminal.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// question is a screen on which a question waits for its answer.
var question = regexp.MustCompile(`(?s)To run it, type: .*\n> $`)

// TestTheEveningAgain records the conference evening through a terminal, and shows it again in every way there is: at each question the same stands on the
// screen.
func TestTheEveningAgain(t *testing.T) {
	t.Parallel()
	e := spend(t)
	if len(e.screens) != 6 {
		t.Fatalf("%d questions", len(e.screens))
	}
	t.Run("frames", e.frames)
	t.Run("cast", e.cast)
	t.Run("asciinema", e.asciinema)
	t.Run("terminal", e.terminal)
	t.Run("pipe", e.pipe)
	t.Run("html", e.html)
	t.Run("search", e.search)
}

// equal compares screens with those of the evening.
func (e *evening) equal(t *testing.T, n int, got string) {
	t.Helper()
	if n >= len(e.screens) {
		t.Fatalf("there is a question %d", n+1)
	}
	if diff := cmp.Diff(e.screens[n], got); diff != "" {
		t.Errorf("question %d (-was +is):\n%s\nis:\n%s", n+1, diff, got)
	}
}

func (e *evening) frames(t *testing.T) {
	tape, err := e.record().Tape()
	if err != nil {
		t.Fatal(err)
	}
	defer tape.Close() // read only
	s, n := newScreen(80, 24), 0
	for _, f := range tape.Frames {
		text, err := tape.Text(f)
		if err != nil {
			t.Fatal(err)
		}
		if f.Window.Columns > 0 {
			s.Resize(f.Window.Columns, f.Window.Rows)
		}
		if f.Clear {
			s.add("\x1b[H\x1b[2J")
		}
		if s.add(text); question.MatchString(text) {
			e.equal(t, n, s.String())
			n++
		}
	}
	if n != len(e.screens) {
		t.Errorf("%d questions", n)
	}
	if diff := cmp.Diff(e.last, s.String()); diff != "" {
		t.Errorf("at last (-was +is):\n%s", diff)
	}
}

// respect runs the program on the evening's record.
func (e *evening) respect(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(embeddedtest.Binary(t), args...)
	cmd.Env = append(os.Environ(), "RESPECT_STATE_DIR="+e.state, "HOME="+t.TempDir())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(args, err)
	}
	return string(out)
}

func (e *evening) cast(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(e.respect(t, "replay", "export", "--format", "cast")), "\n")
	var head struct{ Version, Width, Height int }
	if err := json.Unmarshal([]byte(lines[0]), &head); err != nil || head.Version != 2 {
		t.Fatal(lines[0], err)
	}
	s, n, marks := newScreen(head.Width, head.Height), 0, map[string]int{}
	for _, l := range lines[1:] {
		var event [3]any
		if err := json.Unmarshal([]byte(l), &event); err != nil {
			t.Fatal(l, err)
		}
		text := event[2].(string)
		switch event[1] {
		case "o":
			if _, _ = s.Write([]byte(text)); question.MatchString(strings.ReplaceAll(text, "\r", "")) {
				e.equal(t, n, s.String())
				n++
			}
		case "r":
			s.Resize(90, 30)
			if text != "90x30" {
				t.Error(l)
			}
		case "m":
			kind, _, _ := strings.Cut(text, ":")
			marks[kind]++
		}
	}
	if diff := cmp.Diff(map[string]int{"question": 4, "write": 3, "refusal": 1}, marks); diff != "" || n != len(e.screens) {
		t.Errorf("%d questions; markers (-want +got):\n%s", n, diff)
	}
}

// asciinema is a player of casts that others have.
func (e *evening) asciinema(t *testing.T) {
	program, err := exec.LookPath("asciinema")
	if err != nil {
		t.Skip("SKIPPED, and no export was played by asciinema: it is not here; install asciinema")
	}
	name := filepath.Join(t.TempDir(), "evening.cast")
	if err := os.WriteFile(name, []byte(e.respect(t, "replay", "export", "--format", "cast")), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := terminaltest.Start(exec.Command(program, "play", "--speed", "1000", "--idle-time-limit", "0.01", name), 90, 30)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if code, err := s.Wait(); err != nil || code != 0 {
		t.Fatalf("asciinema: %d %v\n%s", code, err, s.Screen())
	}
	if got := s.Screen(); !strings.HasSuffix(got, e.last) {
		t.Errorf("asciinema shows at last (-was +is):\n%s", cmp.Diff(e.last, got))
	}
}

// terminal plays the evening on a terminal that has one row more, for the player's own line, and jumps from question to question.
func (e *evening) terminal(t *testing.T) {
	cmd := exec.Command(embeddedtest.Binary(t), "replay", "play", "--speed", "0.05", "--idle", "0")
	cmd.Env = append(os.Environ(), "RESPECT_STATE_DIR="+e.state, "HOME="+t.TempDir())
	s, err := terminaltest.Start(cmd, 100, 41)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e.again(t, s, "n", "question: deletes 300 of 300", 0, 40)
	e.do(s.Resize(90, 31))
	e.again(t, s, "n", "question: updates 68 of 300", 3, 30)
	e.again(t, s, "n", "question: undoes", 4, 30)
	e.again(t, s, "r", "no further refusal", 4, 30)
	e.do(s.Send("q"))
	if code, err := s.Wait(); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	if strings.Contains(s.Screen(), "no further refusal") {
		t.Errorf("the player's line is left:\n%s", s.Screen())
	}
}

func (e *evening) again(t *testing.T, s *terminaltest.Session, key, line string, n, rows int) {
	t.Helper()
	e.do(s.Send(key))
	got := ""
	err := s.Until("the question", func() bool {
		lines := strings.Split(s.Screen(), "\n")
		got = strings.TrimRight(strings.Join(lines[:min(rows, len(lines)-1)], "\n"), "\n")
		return strings.Contains(lines[len(lines)-1], line) && got == e.screens[n]
	})
	if err != nil {
		t.Fatalf("after %q (-was +is):\n%s\n%v", key, cmp.Diff(e.screens[n], got), err)
	}
}

func (e *evening) pipe(t *testing.T) {
	out := e.respect(t, "replay", "play", "--speed", "0")
	if strings.ContainsRune(out, 0x1b) {
		t.Error("there is an escape sequence in a pipe")
	}
	s := newScreen(90, 30)
	s.add(out)
	if got := s.String(); got != e.last {
		t.Errorf("at last (-was +is):\n%s", cmp.Diff(e.last, got))
	}
	if diff := cmp.Diff(out, e.followed.String()); diff != "" {
		t.Errorf("who followed saw something else (-afterwards +meanwhile):\n%s", diff)
	}
}

// html opens the page in a browser, which shows the same.
func (e *evening) html(t *testing.T) {
	name := filepath.Join(t.TempDir(), "evening.html")
	page := e.respect(t, "replay", "export")
	if err := os.WriteFile(name, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Logf("the page has %d bytes", len(page))
	p := browsertest.Start(t, 1200, 900)
	p.Open(name)
	const terminal = `document.getElementById('terminal').textContent`
	n, columns, rows := 0, 100, 40
	for range 400 {
		before := p.Eval(terminal)
		p.Eval(`document.getElementById('step').click()`)
		text := p.Eval(terminal)
		if p.Eval(`document.getElementById('playing').textContent`) == "no further step" {
			break
		}
		if len(text) < len(before) {
			columns, rows = 90, 30 // it was cleared
		}
		if question.MatchString(text) && text != before {
			s := newScreen(columns, rows)
			s.add(text)
			e.equal(t, n, s.String())
			n++
		}
	}
	if n != len(e.screens) {
		t.Errorf("%d questions", n)
	}
	body := p.Eval(`document.getElementById('changes').innerText`)
	for _, want := range []string{
		"NOT CARRIED OUT", "UNDONE by", "APPLIED", "Looked at before the answer: details", "Preview as the operator saw it", "ACCEPTED", "Receipt", "updated 68 (predicted 68)",
		`plan: 'trial' → 'trail'`, `- { _id: ObjectId('64b0c0f10000000000000004')`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the changes are without %q", want)
		}
	}
	if got := p.Eval(`document.getElementById('verification').innerText`); !strings.Contains(got, "The record verifies; sealed to its end.") || !strings.Contains(got, "under the key respect-") {
		t.Errorf("the verification says %q", got)
	}
	if said, asked := p.Said(), p.Requests(); len(said) > 0 || len(asked) > 0 {
		t.Errorf("the browser said %q, and the page asked for %q", said, asked)
	}
	e.pictures(p)
}

// pictures leaves what a person looks at, where RESPECT_PICTURES names a directory.
func (e *evening) pictures(p *browsertest.Page) {
	dir := os.Getenv("RESPECT_PICTURES")
	if dir == "" {
		return
	}
	p.Eval(`document.getElementById('seek').value = 0; document.getElementById('seek').dispatchEvent(new Event('input')); document.getElementById('question').click()`)
	for _, scheme := range []string{"light", "dark"} {
		p.Media("", "prefers-color-scheme: "+scheme)
		for _, part := range []string{"main", "changes", "change-3", "playback", "timeline"} {
			p.Eval(`document.getElementById('` + part + `').scrollIntoView({behavior: 'instant'})`)
			e.do(os.WriteFile(filepath.Join(dir, scheme+"-"+part+".png"), p.Picture(), 0o600))
		}
	}
	p.Media("")
	e.do(os.WriteFile(filepath.Join(dir, "printed.pdf"), p.PDF(), 0o600))
}

// search answers who touched a document, when, and what it was before and after.
func (e *evening) search(t *testing.T) {
	out := e.respect(t, "replay", "search", "--id", "families/64b0c0f10000000000000004")
	for _, want := range []string{
		`(?m)^\S+ \S+  update  famigo.families _id .*: undone by `, `(?m)^  plan: 'trial' → 'trail'$`, `(?m)^  plan: 'trail' → 'trial'$`,
		`(?m)^\S+ \S+  delete  famigo.families _id .*: applied `,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("without %s:\n%s", want, out)
		}
	}
	if !strings.Contains(out, "    - { _id: ObjectId('64b0c0f10000000000000004')") { // all of what was deleted
		t.Errorf("without the document:\n%s", out)
	}
}
