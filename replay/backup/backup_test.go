package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// state is a state directory in which one session has made a change.
func state(t testing.TB) (dir string, c *journal.Change) {
	t.Helper()
	dir = t.TempDir()
	w, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: dir, Now: func() time.Time { return noon }, Rand: bytes.NewReader(make([]byte, 64))})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"plan.jsonl": "the plan\n", "before/shop/people.bson.gz": "the backup", "after.idx": "-\n"}
	saved := replay.Saved{Change: "c-1", Documents: 1}
	for name, text := range files {
		file := filepath.Join(Dir(dir, "c-1"), filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if name != "after.idx" {
			saved.Files = append(saved.Files, replay.SavedFile{Name: name, Bytes: int64(len(text)), SHA256: sum(t, file)})
		}
	}
	for kind, body := range map[replay.Kind]any{replay.KindPlanned: replay.Planned{Change: "c-1"}, replay.KindSaved: saved} {
		if err := w.Append(kind, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Append(replay.KindIntent, replay.Intent{Change: "c-1", Digest: sum(t, filepath.Join(Dir(dir, "c-1"), "plan.jsonl"))}); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(replay.KindOutcome, replay.Outcome{Change: "c-1", Status: replay.StatusApplied, After: sum(t, filepath.Join(Dir(dir, "c-1"), "after.idx"))}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(0); err != nil {
		t.Fatal(err)
	}
	return dir, changes(t, dir)[0]
}

func sum(t testing.TB, file string) string {
	t.Helper()
	_, s, err := hashFile(filepath.Dir(file), filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func changes(t testing.TB, dir string) []*journal.Change {
	t.Helper()
	r, err := journal.ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r.Changes
}

func bundle(t testing.TB, dir string, c *journal.Change) []byte {
	t.Helper()
	r, err := journal.ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Export(&b, dir, r.Sessions, c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every byte of every file of a change that is not as it was is seen.
func TestVerifySeesEveryByte(t *testing.T) {
	dir, c := state(t)
	r, err := Verify(Dir(dir, c.ID), c)
	if diff := cmp.Diff(Report{Change: "c-1", Files: 3, Bytes: 21, Problems: []string{}}, r); err != nil || diff != "" {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	for _, f := range wanted(c) {
		name := filepath.Join(Dir(dir, c.ID), filepath.FromSlash(f.Name))
		good, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		try := func(what string, do func() error) {
			t.Helper()
			if err := do(); err != nil {
				t.Fatal(err)
			}
			if r, err := Verify(Dir(dir, c.ID), c); err != nil || len(r.Problems) != 1 || !strings.HasPrefix(r.Problems[0], f.Name) {
				t.Errorf("%s: %s: %+v (%v)", f.Name, what, r, err)
			}
			if err := os.WriteFile(name, good, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i := range good {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			try(fmt.Sprintf("byte %d changed", i), func() error { return os.WriteFile(name, bad, 0o600) })
			try(fmt.Sprintf("cut to %d bytes", i), func() error { return os.WriteFile(name, good[:i], 0o600) })
		}
		try("removed", func() error { return os.Remove(name) })
	}
}

func TestWhatMayGo(t *testing.T) {
	dir := t.TempDir()
	at := func(id string, days int, status replay.Status) *journal.Change {
		if err := os.MkdirAll(Dir(dir, id), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(Dir(dir, id), "plan.jsonl"), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		return &journal.Change{ID: id, Time: noon.AddDate(0, 0, -days), Status: status}
	}
	old, undone, needed, cut, fresh := at("old", 100, replay.StatusApplied), at("undone", 99, replay.StatusUndone), at("needed", 98, replay.StatusApplied), at("cut", 97, replay.StatusUnknown), at("fresh", 1, replay.StatusApplied)
	cut.CutOff, cut.Intent.Undoes = true, "needed"
	gone := at("gone", 200, replay.StatusApplied)
	gone.Pruned = &replay.Pruned{}
	all := []*journal.Change{gone, old, undone, needed, cut, fresh}
	const day = 24 * time.Hour
	for _, tt := range []struct {
		rule        Rule
		goes, stays string
	}{
		{Rule{Keep: -1}, "", ""},
		{Rule{OlderThan: 1000 * day, Keep: -1}, "", ""},
		{Rule{OlderThan: 90 * day, Keep: -1}, "old undone", "needed cut"},
		{Rule{OlderThan: 99 * day, Keep: -1}, "old undone", ""},
		{Rule{Keep: 500}, "", ""},
		{Rule{Keep: 499}, "old", ""},
		{Rule{Keep: 250}, "old undone fresh", "needed cut"},
		{Rule{Keep: 0}, "old undone fresh", "needed cut"},
		{Rule{OlderThan: day, Keep: 1000}, "old undone fresh", "needed cut"},
	} {
		list, err := Prunable(dir, all, tt.rule, noon)
		if err != nil {
			t.Fatal(err)
		}
		var goes, stays []string
		for _, c := range list {
			if c.Needed == "" {
				goes = append(goes, c.Change.ID)
			} else {
				stays = append(stays, c.Change.ID)
			}
		}
		if strings.Join(goes, " ") != tt.goes || strings.Join(stays, " ") != tt.stays {
			t.Errorf("%+v: %v go, %v stay; want %q and %q", tt.rule, goes, stays, tt.goes, tt.stays)
		}
	}
	if err := Prune(durable.OS{}, nil, dir, Candidate{Change: needed, Needed: "by cut"}, ""); err == nil {
		t.Error("what is needed was deleted")
	}
}

// A change that could not be recorded as pruned keeps its files.
func TestPruneIsRecordedFirst(t *testing.T) {
	dir, c := state(t)
	if err := Prune(durable.OS{}, deaf{}, dir, Candidate{Change: c}, "a test"); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(Dir(dir, c.ID), "plan.jsonl")); err != nil {
		t.Error(err)
	}
}

// TestNothingOutsideIsTouched: a record that somebody wrote names a change, or a file of one, that lies elsewhere.
func TestNothingOutsideIsTouched(t *testing.T) {
	dir, c := state(t)
	victim := filepath.Join(dir, "victim")
	if err := os.Mkdir(victim, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../victim", "..", ".", "", "a/b", "/etc", "x\x1b", strings.Repeat("x", 65)} {
		bad := *c
		bad.ID = id
		if err := Prune(durable.OS{}, deaf{}, dir, Candidate{Change: &bad}, "a test"); err == nil || !strings.Contains(err.Error(), "is no change") {
			t.Errorf("%q: %v", id, err)
		}
		own := t.TempDir()
		w, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: own, Now: func() time.Time { return noon }, Rand: bytes.NewReader(make([]byte, 64))})
		if err == nil {
			err = errors.Join(w.Append(replay.KindIntent, replay.Intent{Change: id}), w.Close(0))
		}
		if err != nil {
			t.Fatal(err)
		}
		if cs := changes(t, own); len(cs) > 0 {
			t.Errorf("%q is taken for a change", id)
		}
	}
	if _, err := os.Stat(victim); err != nil {
		t.Error(err)
	}
	bad := *c
	bad.Saved = &replay.Saved{Files: []replay.SavedFile{{Name: "../../../etc/passwd", SHA256: "x"}}}
	r, err := Verify(Dir(dir, c.ID), &bad)
	if err != nil || !slices.Contains(r.Problems, `"../../../etc/passwd" is no name of a file of a change`) {
		t.Errorf("%v %v", r, err)
	}
}

type deaf struct{}

func (deaf) Append(replay.Kind, any) error { return nil }
func (deaf) Seal() error                   { return io.ErrShortWrite }

func TestStrays(t *testing.T) {
	dir, _ := state(t)
	const day = 25 * time.Hour
	plans := map[string]string{"half": "{\"plan\":{}}\n", "unknown": "{\"plan\":{}}\n{\"totals\":{}}\n", "asked": "{\"plan\":{}}\n{\"totals\":{}}\n"}
	for name, age := range map[string]time.Duration{"left": day, "young": time.Hour, "half": day, "unknown": day, "asked": day, "c-1": day} {
		d := filepath.Join(dir, "changes", name)
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
		if text, ok := plans[name]; ok {
			file := filepath.Join(d, "plan.jsonl")
			if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chtimes(file, noon.Add(-age), noon.Add(-age))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chtimes(d, noon.Add(-age), noon.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: dir, Now: func() time.Time { return noon.Add(time.Second) }, Rand: bytes.NewReader(make([]byte, 64))})
	if err == nil {
		err = errors.Join(w.Append(replay.KindPlanned, replay.Planned{Change: "asked"}), w.Close(0))
	}
	if err != nil {
		t.Fatal(err)
	}
	record, err := journal.Indexed(dir)
	if err != nil {
		t.Fatal(err)
	}
	names, _, err := Strays(dir, record, noon)
	if diff := cmp.Diff([]string{"asked", "half", "left"}, names); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestBundlesComeBackAsTheyWere(t *testing.T) {
	dir, c := state(t)
	b := bundle(t, dir, c)
	got, files, err := Import(bytes.NewReader(b), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got, cmpopts.IgnoreUnexported(journal.Change{})); diff != "" {
		t.Errorf("the change (-want +got):\n%s", diff)
	}
	for _, f := range wanted(c) {
		if sum(t, filepath.Join(files, filepath.FromSlash(f.Name))) != f.SHA256 {
			t.Errorf("%s differs", f.Name)
		}
	}
	// Damaged, it is refused, or says the same.
	missed := 0
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 0x10
		again, _, err := Import(bytes.NewReader(bad), filepath.Join(t.TempDir(), "x"))
		if err != nil {
			continue
		}
		missed++
		if diff := cmp.Diff(c, again, cmpopts.IgnoreUnexported(journal.Change{})); diff != "" {
			t.Errorf("byte %d changed (-want +got):\n%s", i, diff)
		}
	}
	t.Logf("%d bytes changed, %d of them without effect", len(b), missed)
}

func TestEvilBundles(t *testing.T) {
	dir, c := state(t)
	z, err := gzip.NewReader(bytes.NewReader(bundle(t, dir, c)))
	if err != nil {
		t.Fatal(err)
	}
	honest, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	type file struct {
		name string
		kind byte
		link string
		size int
	}
	for _, f := range []file{
		{"../out", tar.TypeReg, "", 1}, {"/tmp/out", tar.TypeReg, "", 1}, {"c-1/../../out", tar.TypeReg, "", 1}, {"c-1/./x", tar.TypeReg, "", 1}, {`c-1\..\..\out`, tar.TypeReg, "", 1},
		{"c-1/link", tar.TypeSymlink, "/etc/passwd", 0}, {"c-1/hard", tar.TypeLink, "c-1/plan.jsonl", 0}, {"c-1/dev", tar.TypeChar, "", 0}, {"c-1", tar.TypeReg, "", 1},
		{"c-2/plan.jsonl", tar.TypeReg, "", 1}, {"c-1/plan.jsonl", tar.TypeReg, "", 1}, {"c-1/huge", tar.TypeReg, "", maxBundle + 1}, {"c-1/record/x.jsonl", tar.TypeReg, "", 1},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		r := tar.NewReader(bytes.NewReader(honest))
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(w, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.WriteHeader(&tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Size: int64(f.size), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, f.size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		if _, _, err := Import(pack(t, b.Bytes()), filepath.Join(out, "in")); err == nil {
			t.Errorf("%q of kind %c was taken", f.name, f.kind)
		}
		if entries, err := os.ReadDir(out); err != nil || len(entries) != 1 {
			t.Errorf("%q: outside there is %v (%v)", f.name, entries, err)
		}
	}
}

func pack(t testing.TB, b []byte) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func FuzzImport(f *testing.F) {
	dir, c := state(f)
	z, err := gzip.NewReader(bytes.NewReader(bundle(f, dir, c)))
	if err != nil {
		f.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		out := t.TempDir()
		in := filepath.Join(out, "in")
		got, files, err := Import(pack(t, b), in)
		if err == nil {
			if r, err := Verify(files, got); err != nil || len(r.Problems) > 0 {
				t.Errorf("taken, and %v %v", r.Problems, err)
			}
		}
		if entries, err := os.ReadDir(out); err != nil || len(entries) > 1 {
			t.Errorf("outside there is %v", entries)
		}
	})
}
