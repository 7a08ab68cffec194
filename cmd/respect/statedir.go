package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// checkStateDir says why a state directory must not be used: what somebody else can write to is no record, and what is no plain file or directory may lead
// elsewhere, or never answer. A directory that is not there yet is made by who uses it.
func checkStateDir(dir string) error {
	info, err := os.Stat(dir) // the directory itself may be reached by a link
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	if err := mine(dir, info); err != nil {
		return err
	}
	for _, name := range []string{"sessions", "changes", "keys"} {
		if err := checkEntry(filepath.Join(dir, name), fs.ModeDir); err != nil {
			return err
		}
	}
	for _, name := range []string{"heads.notes", "history.jsonl", "keys/seal.key", "keys/seal.pub"} {
		if err := checkEntry(filepath.Join(dir, filepath.FromSlash(name)), 0); err != nil {
			return err
		}
	}
	sessions, err := os.ReadDir(filepath.Join(dir, "sessions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, s := range sessions {
		if s.IsDir() {
			if err := checkEntry(filepath.Join(dir, "sessions", s.Name()), fs.ModeDir); err != nil {
				return err
			}
		}
		if err := checkEntry(filepath.Join(dir, "sessions", s.Name(), "journal.jsonl"), 0); err != nil {
			return err
		}
	}
	return nil
}

// checkEntry looks at a file or directory without following a link.
func checkEntry(name string, kind fs.FileMode) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != kind {
		what := "file"
		if kind == fs.ModeDir {
			what = "directory"
		}
		return fmt.Errorf("%s is no plain %s (%s): nobody but this program makes it; move it away", name, what, info.Mode())
	}
	return mine(name, info)
}

// mine says whether others can write to a file or directory. Permissions of systems that have none are not looked at.
func mine(name string, info fs.FileInfo) error {
	uid, known := ownerOf(info)
	if !known {
		return nil
	}
	if me := os.Geteuid(); uid != me { // root's too: whose it is could replace what root relies on
		return fmt.Errorf("%s belongs to another user (uid %d), and you are uid %d: --state-dir names a directory of your own", name, uid, me)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written to by others (%s): chmod go-w %s", name, info.Mode().Perm(), name)
	}
	return nil
}
