package journal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
)

// chacha is cryptographic randomness that is the same in every run.
func chacha(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

func config(t testing.TB, dir string, seed byte) Config {
	t.Helper()
	clock := time.Date(2026, 11, 22, 18, 47, int(seed), 0, time.UTC)
	return Config{
		FS: durable.OS{}, Dir: dir, Rand: chacha(seed),
		Now: func() time.Time { clock = clock.Add(1500 * time.Microsecond); return clock },
		Who: replay.Who{User: "tim", Host: "conference", PID: 7},
	}
}

// record writes a session and returns its name.
func record(t testing.TB, dir string, seed byte, inputs ...string) string {
	t.Helper()
	w, err := Create(config(t, dir, seed))
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		if err := w.Append(replay.KindInput, replay.Input{Text: in, Manner: "typed", Mode: "run"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(0); err != nil {
		t.Fatal(err)
	}
	return w.Session()
}

func file(dir, id string) string { return filepath.Join(dir, "sessions", id, "journal.jsonl") }

func problems(t testing.TB, dir string) (out []string) {
	t.Helper()
	r, err := ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.AllProblems() {
		out = append(out, p.String())
	}
	return out
}

func TestARecordedSessionVerifies(t *testing.T) {
	dir := t.TempDir()
	id := record(t, dir, 1, "db.users.find()", "it")
	second := record(t, dir, 2)
	if got := problems(t, dir); got != nil {
		t.Errorf("problems: %v", got)
	}
	s, err := ReadSession(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []replay.Kind
	for _, e := range s.Events {
		kinds = append(kinds, e.Kind)
	}
	if diff := cmp.Diff([]replay.Kind{"open", "input", "input", "close"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if !s.Closed || s.Live || s.Torn != 0 {
		t.Errorf("Closed %v Live %v Torn %d, want true false 0", s.Closed, s.Live, s.Torn)
	}
	next, err := ReadSession(dir, second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]replay.Head{s.Head()}, next.Open.Previous); diff != "" {
		t.Errorf("the second session names (-want +got):\n%s", diff)
	}
}

// P6: the record is tamper-evident. Every bit of every line is flipped.
func TestEveryFlippedBitIsReported(t *testing.T) {
	dir := t.TempDir()
	id := record(t, dir, 1, "db.users.find()")
	good, err := os.ReadFile(file(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	flips := 0
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			_, _, err := Scan(bytes.NewReader(bad), false, func(replay.Event) error { return nil })
			torn := i == len(good)-1 // without its newline the last line is torn, which is reported as such
			if err == nil && !torn {
				t.Fatalf("flipping bit %d of byte %d (%q) is not reported", bit, i, good[i])
			}
			flips++
		}
	}
	t.Logf("%d flipped bits, all reported", flips)
}

func TestRemovedDuplicatedAndSwappedLinesAreReported(t *testing.T) {
	dir := t.TempDir()
	id := record(t, dir, 1, "a", "b", "c")
	record(t, dir, 2)
	good, err := os.ReadFile(file(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(good), "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	try := func(name string, changed []string) {
		t.Helper()
		if err := os.WriteFile(file(dir, id), []byte(strings.Join(changed, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := problems(t, dir); len(got) == 0 {
			t.Errorf("%s: not reported", name)
		}
	}
	for i := range lines {
		without := append(append([]string{}, lines[:i]...), lines[i+1:]...)
		try(fmt.Sprintf("line %d removed", i+1), without)
		try(fmt.Sprintf("truncated before line %d", i+1), lines[:i])
		twice := append(append([]string{}, lines[:i+1]...), lines[i:]...)
		try(fmt.Sprintf("line %d twice", i+1), twice)
		if i > 0 {
			swapped := append([]string{}, lines...)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			try(fmt.Sprintf("lines %d and %d swapped", i, i+1), swapped)
		}
	}
	try("a line added behind close", append(append([]string{}, lines...), lines[1]))
	if err := os.RemoveAll(filepath.Dir(file(dir, id))); err != nil {
		t.Fatal(err)
	}
	if got := problems(t, dir); len(got) != 1 || !strings.Contains(got[0], "is missing") {
		t.Errorf("removed session: %v", got)
	}
}

func TestATornLastLineIsNoTampering(t *testing.T) {
	dir := t.TempDir()
	id := record(t, dir, 1, "a")
	good, err := os.ReadFile(file(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 40; n++ {
		if err := os.WriteFile(file(dir, id), good[:len(good)-n], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := ReadSession(dir, id)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Problems) != 0 || s.Torn == 0 || s.Closed || len(s.Events) != 2 {
			t.Errorf("%d bytes missing: problems %v, torn %d, closed %v, %d events", n, s.Problems, s.Torn, s.Closed, len(s.Events))
		}
	}
}

func TestCrashAtEveryStepLeavesAVerifiableJournal(t *testing.T) {
	for step := 0; ; step++ {
		dir := t.TempDir()
		fs := durabletest.NewCrash(step)
		fs.Tear(step * 7 % 50)
		c := config(t, dir, 1)
		c.FS = fs
		w, err := Create(c)
		synced := ""
		if err == nil {
			for _, text := range []string{"one", "two", "three"} {
				if w.Append(replay.KindInput, replay.Input{Text: text}) == nil && w.Sync() == nil {
					synced = text
				}
			}
			err = w.Close(0)
		}
		if got := problems(t, dir); got != nil {
			t.Errorf("crash at step %d: %v", step, got)
		}
		raw, _ := os.ReadFile(file(dir, sessionOf(t, dir)))
		if synced != "" && !strings.Contains(string(raw), `"`+synced+`"`) {
			t.Errorf("crash at step %d: %q was synced and is lost", step, synced)
		}
		if err == nil {
			if step < 6 {
				t.Errorf("only %d steps", step)
			}
			return
		}
		if !errors.Is(err, durabletest.ErrCrashed) {
			t.Errorf("crash at step %d: %v", step, err)
		}
	}
}

func sessionOf(t testing.TB, dir string) string {
	t.Helper()
	ids, err := SessionIDs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) == 0 {
		return "none"
	}
	return ids[0]
}

func TestAfterAnErrorNothingMoreIsWritten(t *testing.T) {
	dir := t.TempDir()
	fs := durabletest.NewCrash(-1)
	c := config(t, dir, 1)
	c.FS = fs
	w, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	crashAfter := durabletest.NewCrash(0)
	w.f = failing{crashAfter}
	if err := w.Append(replay.KindInput, replay.Input{}); err == nil {
		t.Fatal("Append did not fail")
	}
	if err := w.Record(replay.KindIntent, replay.Intent{}); err == nil {
		t.Error("a broken journal accepted an intent")
	}
}

type failing struct{ c *durabletest.Crash }

func (f failing) Write([]byte) (int, error) { return 0, f.c.Step("write") }
func (f failing) Sync() error               { return f.c.Step("sync") }
func (f failing) Close() error              { return nil }

// P9: the file can be shown with cat.
func TestHostileTextStandsAsEscapes(t *testing.T) {
	dir := t.TempDir()
	hostile := "\x1b[2J\u009b2J\u202eevil\u200b\u2028\U000e0041 ok ü 家族 👪"
	id := record(t, dir, 1, hostile)
	raw, err := os.ReadFile(file(dir, id))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range string(raw) {
		if hostileRune := hostileExceptNewline(r); hostileRune {
			t.Errorf("the file holds %U", r)
		}
	}
	s, err := ReadSession(dir, id)
	if err != nil {
		t.Fatal(err)
	}
	var in replay.Input
	if err := s.Events[1].Decode(&in); err != nil {
		t.Fatal(err)
	}
	if in.Text != hostile {
		t.Errorf("read back %q, want %q", in.Text, hostile)
	}
}

func hostileExceptNewline(r rune) bool { return r != '\n' && replay.Hostile(r) }

func FuzzParseLine(f *testing.F) {
	e := replay.Event{Seq: 3, Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Kind: "input", Body: []byte(`{"text":"x"}`), Prev: zeroHash}
	f.Add(bytes.TrimSuffix(encodeLine(&e), []byte("\n")))
	f.Add([]byte(`{"seq":0}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseLine(line)
		if err != nil {
			return
		}
		again := e
		if got := bytes.TrimSuffix(encodeLine(&again), []byte("\n")); !bytes.Equal(got, line) {
			t.Errorf("accepted %q, which would be written as %q", line, got)
		}
	})
}

func Example() {
	dir, err := os.MkdirTemp("", "state")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	w, err := Create(Config{FS: durable.OS{}, Dir: dir, Now: time.Now, Rand: chacha(1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w.Append(replay.KindInput, replay.Input{Text: "show dbs", Manner: "typed", Mode: "run"}))
	fmt.Println(w.Close(0))

	s, err := ReadSession(dir, w.Session())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range s.Events {
		fmt.Println(e.Seq, e.Kind)
	}
	fmt.Println("problems:", len(s.Problems))
	// Output:
	// <nil>
	// <nil>
	// 0 open
	// 1 input
	// 2 close
	// problems: 0
}
