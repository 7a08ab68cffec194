package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if err := (OS{}).MkdirAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(OS{}, filepath.Join(dir, "f"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, filepath.Join(dir, "f"): 0o600} {
		fi, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %v, want %v", name, got, want)
		}
	}
}

func TestCreateRefusesATakenName(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := WriteFile(OS{}, name, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(OS{}, name, []byte("y")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second WriteFile = %v, want fs.ErrExist", err)
	}
}

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	if held, err := Held(name); held || err != nil {
		t.Errorf("Held(missing) = %v, %v", held, err)
	}
	l, err := Acquire(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(name); !errors.Is(err, ErrLocked) {
		t.Errorf("second Acquire = %v, want ErrLocked", err)
	}
	if held, err := Held(name); !held || err != nil {
		t.Errorf("Held(held) = %v, %v", held, err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if held, err := Held(name); held || err != nil {
		t.Errorf("Held(released) = %v, %v", held, err)
	}
}
