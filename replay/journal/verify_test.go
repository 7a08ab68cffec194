package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
)

// sealed is a state directory with its witness.
type sealed struct {
	dir, witness string
	ids          []string
}

// recordSealed writes sessions as the guard does: two closed ones with a change each, and one that was cut off behind its last seal.
func recordSealed(t testing.TB) sealed {
	t.Helper()
	s := sealed{dir: t.TempDir(), witness: filepath.Join(t.TempDir(), "witness")}
	for n := range byte(3) {
		w := s.open(t, n+1)
		for _, text := range []string{"show dbs", "db.users.deleteMany({})"} {
			if err := w.Append(replay.KindInput, replay.Input{Text: text, Manner: "typed", Mode: "run"}); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []func() error{
			func() error { return w.Append(replay.KindIntent, replay.Intent{Change: "1", Summary: "deletes 2"}) },
			w.Seal,
			func() error {
				return w.Append(replay.KindOutcome, replay.Outcome{Change: "1", Status: replay.StatusApplied})
			},
			w.Seal,
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if n < 2 {
			if err := w.Close(0); err != nil {
				t.Fatal(err)
			}
		} else {
			if err := w.Record(replay.KindInput, replay.Input{Text: "not sealed any more"}); err != nil {
				t.Fatal(err)
			}
			crash(t, w)
		}
		s.ids = append(s.ids, w.Session())
	}
	return s
}

// crash leaves a session as a process that was killed does.
func crash(t testing.TB, w *Writer) {
	t.Helper()
	if err := errors.Join(w.f.Close(), w.lock.Release()); err != nil {
		t.Fatal(err)
	}
}

func (s sealed) open(t testing.TB, seed byte) *Writer {
	t.Helper()
	c := config(t, s.dir, seed)
	c.Witness = s.witness
	key, err := OpenKey(c.FS, s.dir, "tim@conference", chacha(99))
	if err != nil {
		t.Fatal(err)
	}
	c.Key = key
	w, err := Create(c)
	if err == nil {
		err = w.Seal()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// found are the problems of a verification.
func found(t testing.TB, dir string, o Options) (out []string) {
	t.Helper()
	r, err := Verify(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.AllProblems() {
		out = append(out, p.String())
	}
	return out
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSealedSessionsVerify(t *testing.T) {
	s := recordSealed(t)
	r, err := Verify(s.dir, Options{Witness: s.witness})
	if err != nil {
		t.Fatal(err)
	}
	if ps := r.AllProblems(); ps != nil {
		t.Errorf("problems: %v", ps)
	}
	type line struct {
		Lines, Seals, Sealed int
		Closed, Witnessed    bool
	}
	var got []line
	for _, s := range r.Sessions {
		got = append(got, line{s.Lines, s.Seals, s.Sealed, s.Closed, s.Witnessed})
	}
	want := []line{{10, 4, 10, true, true}, {10, 4, 10, true, true}, {9, 3, 8, false, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if w, n := r.Witnessed(); w != 3 || n != 3 {
		t.Errorf("witnessed %d of %d, want 3 of 3", w, n)
	}
}

// tamperings are all the ways of this test to damage a file of whole lines: every bit, line and length. sealed is how many lines the last seal covers.
func tamperings(good []byte, sealed int, try func(what string, bad []byte)) {
	lines := bytes.SplitAfter(good, []byte("\n"))
	lines = lines[:len(lines)-1]
	covered := 0
	for _, l := range lines[:sealed] {
		covered += len(l)
	}
	for i := range covered {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			try(fmt.Sprintf("bit %d of byte %d flipped", bit, i), bad)
		}
		try(fmt.Sprintf("truncated to %d bytes", i), good[:i])
	}
	join := func(parts ...[][]byte) []byte {
		var b []byte
		for _, p := range parts {
			b = append(b, bytes.Join(p, nil)...)
		}
		return b
	}
	for i := range sealed {
		try(fmt.Sprintf("line %d removed", i+1), join(lines[:i], lines[i+1:]))
		try(fmt.Sprintf("line %d twice", i+1), join(lines[:i+1], lines[i:]))
		for j := range i {
			swapped := append([][]byte{}, lines...)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			try(fmt.Sprintf("lines %d and %d swapped", j+1, i+1), join(swapped))
		}
	}
}

// P6: up to the last seal nothing can be taken away or changed unseen. What others say of a session is read once here; every 100th tampering goes through
// the whole of Verify.
func TestEveryTamperingUpToTheLastSealIsReported(t *testing.T) {
	s := recordSealed(t)
	said := s.claims(t)
	var all, tried, whole, withLine int
	for i, id := range s.ids {
		name := file(s.dir, id)
		good := readFile(t, name)
		tamperings(good, []int{10, 10, 8}[i], func(what string, bad []byte) {
			if all++; all%strides[i] != 0 {
				return
			}
			tried++
			var ps []string
			if tried%100 == 0 {
				whole++
				writeFile(t, name, bad)
				ps = found(t, s.dir, Options{})
			} else {
				session := &Session{ID: id}
				session.read(bytes.NewReader(bad), name, false, said[id], newFolder())
				for _, p := range session.Problems {
					ps = append(ps, p.String())
				}
			}
			if len(ps) == 0 || !strings.Contains(ps[0], id) {
				t.Fatalf("session %d: %s: problems %v", i+1, what, ps)
			}
			if strings.Contains(ps[0], ", line ") {
				withLine++
			}
		})
		writeFile(t, name, good)
	}
	if ps := found(t, s.dir, Options{}); ps != nil {
		t.Errorf("put back, and still reported: %v", ps)
	}
	t.Logf("%d tamperings of 3 sessions, of which %d were tried, %d through the whole of Verify; 0 misses, %d of those named with their line", all, tried, whole, withLine)
}

// claims are what heads.notes and later sessions say.
func (s sealed) claims(t testing.TB) map[string]claims {
	t.Helper()
	out := map[string]claims{}
	notes, err := readNotes(filepath.Join(s.dir, headsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		if n.open([]string{mustKey(t, s.dir)}); n.err != nil {
			t.Fatal(n.err)
		}
		out[n.seal.Session] = append(out[n.seal.Session], claim{seq: n.seal.Seq, hash: n.seal.Hash, by: n.file, note: n.text})
	}
	return out
}

func TestEveryRemovedSessionIsReported(t *testing.T) {
	s := recordSealed(t)
	for i, id := range s.ids {
		dir, aside := filepath.Join(s.dir, "sessions", id), filepath.Join(t.TempDir(), "aside")
		if err := os.Rename(dir, aside); err != nil {
			t.Fatal(err)
		}
		if ps := found(t, s.dir, Options{}); len(ps) == 0 || !strings.Contains(ps[0], "session "+id+": is missing") {
			t.Errorf("session %d removed: %v", i+1, ps)
		}
		if err := os.Rename(aside, dir); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever can write the state directory can remove seals from heads.notes as well. The witness has them.
func TestTheWitnessHasWhatTheStateDirectoryLost(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(t *testing.T, s sealed)
		want string
	}{
		{"the last session and its seals removed", func(t *testing.T, s sealed) {
			if err := os.RemoveAll(filepath.Join(s.dir, "sessions", s.ids[2])); err != nil {
				t.Fatal(err)
			}
			heads := filepath.Join(s.dir, headsFile)
			b := readFile(t, heads)
			writeFile(t, heads, b[:bytes.Index(b, []byte(s.ids[2]))-len("\n"+sealOrigin+"\n")])
		}, "is missing: witness has it"},
		{"the last session cut before its change, and heads.notes with it", func(t *testing.T, s sealed) {
			b := readFile(t, file(s.dir, s.ids[2]))
			writeFile(t, file(s.dir, s.ids[2]), b[:bytes.Index(b, []byte(`{"seq":2,`))])
			heads := filepath.Join(s.dir, headsFile)
			h := readFile(t, heads)
			first := bytes.Index(h, []byte(s.ids[2]))
			writeFile(t, heads, h[:first+bytes.Index(h[first:], []byte("\n\nrespect"))+1])
		}, "is missing: its end; it has 2 lines, and witness has 8"},
		{"a session written anew with the operator's own key", func(t *testing.T, s sealed) {
			if err := os.RemoveAll(filepath.Join(s.dir, "sessions")); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(s.dir, headsFile)); err != nil {
				t.Fatal(err)
			}
			again := sealed{dir: s.dir, witness: filepath.Join(t.TempDir(), "no witness")}
			for n := range byte(3) {
				w := again.open(t, n+1) // the same names
				if err := w.Close(0); err != nil {
					t.Fatal(err)
				}
			}
		}, "witness has "},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := recordSealed(t)
			test.do(t, s)
			if ps := found(t, s.dir, Options{}); ps != nil {
				t.Errorf("without the witness this was not to be seen, and is reported: %v", ps)
			}
			if ps := found(t, s.dir, Options{Witness: s.witness}); !strings.Contains(strings.Join(ps, "\n"), test.want) {
				t.Errorf("problems %q, want %q", ps, test.want)
			}
		})
	}
}

func TestAnotherKeyIsReported(t *testing.T) {
	s, forged := recordSealed(t), sealed{dir: t.TempDir(), witness: filepath.Join(t.TempDir(), "w")}
	key, err := PublicKey(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if ps := found(t, s.dir, Options{Keys: []string{key}}); ps != nil {
		t.Errorf("under its own key: %v", ps)
	}
	other, err := OpenKey(durable.OS{}, forged.dir, "tim@conference", chacha(7)) // the same name, another key
	if err != nil {
		t.Fatal(err)
	}
	if err := forged.open(t, 1).Close(0); err != nil {
		t.Fatal(err)
	}
	if ps := found(t, forged.dir, Options{}); ps != nil {
		t.Errorf("a directory that was made as a whole with another key: %v", ps)
	}
	ps := found(t, forged.dir, Options{Keys: []string{key}})
	if len(ps) == 0 || !strings.Contains(strings.Join(ps, "\n"), "is sealed with another key: "+other.Public()) {
		t.Errorf("with the key given: %v", ps)
	}
	// One session of another key among ours.
	id := sessionOf(t, forged.dir)
	if err := os.RemoveAll(filepath.Join(s.dir, "sessions", id)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(s.dir, "sessions", id), os.DirFS(filepath.Join(forged.dir, "sessions", id))); err != nil {
		t.Fatal(err)
	}
	if ps := found(t, s.dir, Options{}); !strings.Contains(strings.Join(ps, "\n"), "session "+id+", line 1: is sealed with another key") {
		t.Errorf("a session of another key among ours: %v", ps)
	}
}

// A seal is not moved to another place or another session.
func TestASealHoldsOnlyWhereItWasMade(t *testing.T) {
	s := recordSealed(t)
	r, err := ReadAll(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	donor := r.Sessions[1].notes[1].text
	// A session whose chain is right in itself, with a seal of another one: only the note gives it away.
	name := file(s.dir, s.ids[0])
	var out []byte
	prev := zeroHash
	for _, e := range r.Sessions[0].Events {
		if e.Kind == replay.KindSeal && e.Seq == 5 {
			if e.Body, err = encodeBody(replay.Seal{Note: donor}); err != nil {
				t.Fatal(err)
			}
		}
		e.Prev = prev
		out = append(out, encodeLine(&e)...)
		prev = e.Hash
	}
	writeFile(t, name, out)
	if ps := found(t, s.dir, Options{}); len(ps) == 0 || !strings.Contains(ps[0], "line 6: the seal does not hold: it is of session "+s.ids[1]) {
		t.Errorf("problems: %v", ps)
	}
}

// Damage to the notes themselves. The last note of a session may be missing: that is a crash between two files.
func TestDamagedNotesAreReported(t *testing.T) {
	s := recordSealed(t)
	heads := filepath.Join(s.dir, headsFile)
	good := readFile(t, heads)
	notes := splitNotes(good)
	missed := 0
	for i := 0; i < len(good); i += strides[0] {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		writeFile(t, heads, bad)
		if ps := found(t, s.dir, Options{}); len(ps) == 0 {
			if good[i] != '\n' { // the first of them may be a space as well
				t.Errorf("byte %d (%q) flipped: not reported", i, good[i])
			}
			missed++
		}
	}
	last := map[string]int{}
	for i, n := range notes {
		seal, err := OpenSeal(n, mustKey(t, s.dir))
		if err != nil {
			t.Fatal(err)
		}
		last[seal.Session] = i
	}
	for i, n := range notes {
		writeFile(t, heads, bytes.Replace(good, append([]byte("\n"), n...), nil, 1))
		ps := found(t, s.dir, Options{})
		isLast := false
		for _, l := range last {
			isLast = isLast || l == i
		}
		if (len(ps) == 0) != isLast {
			t.Errorf("note %d removed, the last of its session %v: %v", i+1, isLast, ps)
		}
	}
	t.Logf("%d bytes flipped, of which %d between notes", len(good), missed)
}

func mustKey(t testing.TB, dir string) string {
	t.Helper()
	k, err := PublicKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSealedCrashAtEveryStepIsNoTampering(t *testing.T) {
	for step := 0; ; step++ {
		s := sealed{dir: t.TempDir(), witness: filepath.Join(t.TempDir(), "witness")}
		before := s.open(t, 1)
		if err := before.Close(0); err != nil {
			t.Fatal(err)
		}
		fs := durabletest.NewCrash(step)
		fs.Tear(step * 7 % 150)
		c := config(t, s.dir, 2)
		c.FS, c.Witness = fs, s.witness
		key, err := OpenKey(durable.OS{}, s.dir, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Key = key
		w, err := Create(c)
		done := false
		if err == nil {
			err = w.Seal()
			for range 3 {
				err = errors.Join(err, w.Append(replay.KindInput, replay.Input{Text: "x"}), w.Seal())
			}
			err = errors.Join(err, w.Close(0))
			done = err == nil
		}
		after := s.open(t, 3) // and life goes on
		if err := after.Close(0); err != nil {
			t.Fatal(err)
		}
		if ps := found(t, s.dir, Options{Witness: s.witness}); ps != nil {
			t.Fatalf("crash at step %d: %v", step, ps)
		}
		if done {
			t.Logf("%d steps, no false alarm", step)
			return
		}
	}
}

// A key that is half there is not replaced by another one.
func TestCrashWhileTheKeyIsMade(t *testing.T) {
	for step := 0; ; step++ {
		dir := t.TempDir()
		_, err := OpenKey(durabletest.NewCrash(step), dir, "tim", chacha(3))
		if err == nil {
			if step < 5 {
				t.Errorf("only %d steps", step)
			}
			return
		}
		k, err := OpenKey(durable.OS{}, dir, "tim", chacha(4))
		if err != nil {
			t.Fatalf("crash at step %d: %v", step, err)
		}
		again, err := OpenKey(durable.OS{}, dir, "tim", chacha(5))
		if err != nil || again.Public() != k.Public() {
			t.Errorf("crash at step %d: two keys: %v", step, err)
		}
	}
}

// Somebody who writes two sessions at the same time to one witness is no tamperer, and neither are others who use the same file.
func TestSeveralWritersShareAWitness(t *testing.T) {
	a, b := sealed{dir: t.TempDir(), witness: filepath.Join(t.TempDir(), "witness")}, sealed{dir: t.TempDir()}
	b.witness = a.witness
	if _, err := OpenKey(durable.OS{}, b.dir, "ann", chacha(12)); err != nil {
		t.Fatal(err)
	}
	w1, w2, w3 := a.open(t, 1), a.open(t, 2), b.open(t, 3)
	for range 3 {
		for _, w := range []*Writer{w1, w2, w3} {
			if err := w.Seal(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, w := range []*Writer{w2, w1, w3} {
		if err := w.Close(0); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []sealed{a, b} {
		r, err := Verify(s.dir, Options{Witness: s.witness})
		if err != nil {
			t.Fatal(err)
		}
		if ps := r.AllProblems(); ps != nil || r.Others == 0 {
			t.Errorf("problems %v, notes of others %d", ps, r.Others)
		}
	}
}

// Journals of format 1 were written by an earlier version: a session of the demo with a change that was taken back.
func TestFormat1IsStillRead(t *testing.T) {
	dir := filepath.Join("testdata", "format1")
	r, err := ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	if ps := r.AllProblems(); ps != nil {
		t.Errorf("problems: %v", ps)
	}
	changes, err := Changes(r.Sessions)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, fmt.Sprintf("%s %s: %s", c.ID, c.Status, c.Intent.Summary))
	}
	want := []string{
		"20261128-4xd9e undone: deletes 35 of 300 in famigo.families",
		"20261128-tmm4y applied: undoes 20261128-4xd9e: inserts 35 in famigo.families",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if len(r.Sessions) != 2 || r.Sessions[0].Open.Format != 1 || r.Sessions[1].Seals != 0 {
		t.Errorf("%d sessions", len(r.Sessions))
	}
}

// Notes that could not be written are written with the next one; a file that stays unwritable leaves an end without them, which is no tampering.
func TestNotesThatFailedAreWrittenLater(t *testing.T) {
	s := sealed{dir: t.TempDir(), witness: filepath.Join(t.TempDir(), "away", "witness")}
	seals := func(w *Writer, n int) {
		for range n {
			if err := w.Seal(); !errors.Is(err, ErrWitness) && err != nil {
				t.Fatal(err)
			}
		}
	}
	c := config(t, s.dir, 1)
	c.Witness = s.witness
	var err error
	if c.Key, err = OpenKey(c.FS, s.dir, "tim", chacha(99)); err != nil {
		t.Fatal(err)
	}
	w, err := Create(c)
	if err != nil {
		t.Fatal(err)
	}
	seals(w, 3)
	if r, err := Verify(s.dir, Options{}); err != nil || r.AllProblems() != nil {
		t.Errorf("%v %v", r.AllProblems(), err)
	}
	if err := os.Mkdir(filepath.Dir(s.witness), 0o700); err != nil {
		t.Fatal(err)
	}
	seals(w, 1)
	notes, err := readNotes(s.witness)
	if err != nil || len(notes) != 4 {
		t.Errorf("the witness has %d notes, want 4 (%v)", len(notes), err)
	}
	if err := os.RemoveAll(filepath.Dir(s.witness)); err != nil {
		t.Fatal(err)
	}
	seals(w, 2)
	crash(t, w)
	r, err := Verify(s.dir, Options{})
	if err != nil || r.AllProblems() != nil {
		t.Errorf("%v %v", r.AllProblems(), err)
	}
}
