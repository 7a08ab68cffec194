//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// owned is a file of a user.
type owned struct {
	uid  uint32
	mode fs.FileMode
}

func (owned) Name() string        { return "state" }
func (owned) Size() int64         { return 0 }
func (o owned) Mode() fs.FileMode { return o.mode }
func (owned) ModTime() time.Time  { return time.Time{} }
func (o owned) IsDir() bool       { return o.mode.IsDir() }
func (o owned) Sys() any          { return &syscall.Stat_t{Uid: o.uid} }

// A state directory belongs to who runs the program, whoever that is: root is nobody else's guest.
func TestTheOwnerIsWhoRunsIt(t *testing.T) {
	t.Parallel()
	me := uint32(os.Geteuid())
	for _, c := range []struct {
		info owned
		want string
	}{
		{owned{me, 0o700}, ""},
		{owned{me, 0o755}, ""},
		{owned{me + 1, 0o700}, "belongs to another user"},
		{owned{me, 0o770}, "can be written to by others"},
	} {
		got := ""
		if err := mine("state", c.info); err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("mine(%+v) = %q, want %q", c.info, got, c.want)
		}
	}
}

// The same, of each file of a record, as root sees it.
func TestRootKeepsOffOthersState(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can give files away")
	}
	for _, name := range []string{"", "sessions", "changes", "keys", "heads.notes", "keys/seal.key", "sessions/20261120T180000.000Z-abcde/journal.jsonl"} {
		dir := t.TempDir()
		if name != "" {
			file := filepath.Join(dir, filepath.FromSlash(name))
			err := os.MkdirAll(filepath.Dir(file), 0o700)
			switch {
			case err != nil:
			case strings.Contains(filepath.Base(name), "."):
				err = os.WriteFile(file, []byte("x"), 0o600)
			default:
				err = os.Mkdir(file, 0o700)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := checkStateDir(dir); err != nil {
			t.Errorf("%q of mine: %v", name, err)
		}
		if err := os.Chown(filepath.Join(dir, filepath.FromSlash(name)), 12345, -1); err != nil {
			t.Fatal(err)
		}
		if err := checkStateDir(dir); err == nil || !strings.Contains(err.Error(), "uid "+strconv.Itoa(12345)) {
			t.Errorf("%q of another user: %v", name, err)
		}
		if name != "" {
			continue
		}
		// And the program says so, before it does anything.
		cmd := exec.Command(os.Args[0], "--state-dir", dir, "-e", "1", "mongodb://127.0.0.1:1")
		cmd.Args[0] = "respect"
		var failed *exec.ExitError
		if out, err := cmd.CombinedOutput(); !errors.As(err, &failed) || !strings.Contains(string(out), "belongs to another user") {
			t.Errorf("%v: %s", err, out)
		}
	}
}
