package durabletest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"respect/replay/durable"
)

// write appends two lines, syncing after the first, and puts the name on disk in between.
func write(c *Crash, dir string) error {
	f, err := c.Append(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte("one\n")); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := c.SyncDir(dir); err != nil {
		return err
	}
	if _, err := f.Write([]byte("two\n")); err != nil {
		return err
	}
	return f.Sync()
}

func TestCrashTakesBackWhatWasNotSynced(t *testing.T) {
	for _, tt := range []struct {
		step, tear int
		want       string // "-": the file is not there
	}{
		{0, 0, "-"},       // before the file is made
		{1, 0, "-"},       // bytes not synced, name not synced
		{2, 0, "-"},       // bytes synced, name not
		{3, 0, "one\n"},   // second line not synced
		{3, 2, "one\ntw"}, // of which two bytes survived by chance
		{-1, 0, "one\ntwo\n"},
	} {
		dir := t.TempDir()
		c := NewCrash(tt.step)
		c.Tear(tt.tear)
		err := write(c, dir)
		if (tt.step >= 0) != errors.Is(err, ErrCrashed) {
			t.Errorf("step %d: err = %v", tt.step, err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "log"))
		if errors.Is(err, os.ErrNotExist) {
			got = []byte("-")
		}
		if string(got) != tt.want {
			t.Errorf("crash at step %d, tear %d: file holds %q, want %q", tt.step, tt.tear, got, tt.want)
		}
	}
}

func TestReplaceFileIsOldOrNew(t *testing.T) {
	for step := 0; ; step++ {
		dir := t.TempDir()
		name := filepath.Join(dir, "x")
		if err := durable.WriteFile(durable.OS{}, name, []byte("old")); err != nil {
			t.Fatal(err)
		}
		c := NewCrash(step)
		err := durable.ReplaceFile(c, name, []byte("new"))
		got, rerr := os.ReadFile(name)
		if rerr != nil || (string(got) != "old" && string(got) != "new") {
			t.Errorf("crash at step %d: %q, %v; want old or new", step, got, rerr)
		}
		if err == nil {
			if string(got) != "new" {
				t.Errorf("no crash: %q, want new", got)
			}
			if step < 4 {
				t.Errorf("only %d steps were taken: %v", step, c.Steps())
			}
			return
		}
	}
}
