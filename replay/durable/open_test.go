//go:build unix

package durable

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestOpenTakesPlainFilesOnly(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe, sub := filepath.Join(dir, "f"), filepath.Join(dir, "l"), filepath.Join(dir, "p"), filepath.Join(dir, "d")
	if err := WriteFile(OS{}, file, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(file, link), syscall.Mkfifo(pipe, 0o600), os.Mkdir(sub, 0o700), os.Symlink(dir, filepath.Join(sub, "up"))); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(file); err != nil || string(b) != "x" {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
	for _, name := range []string{link, pipe, sub} {
		if _, err := Open(name); !errors.Is(err, ErrNotPlain) {
			t.Errorf("Open(%s) = %v, want ErrNotPlain", name, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open of nothing: %v", err)
	}
	if f, err := (OS{}).Append(link); err == nil {
		_ = f.Close()
		t.Error("Append followed a link")
	}
	f, err := OpenBelow(dir, "f")
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	if _, err := OpenBelow(dir, filepath.Join("d", "up", "f")); err == nil {
		t.Error("OpenBelow followed a link")
	}
}
