package durable

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotPlain is wrapped by the error of Open for a name that is no regular file: a symbolic link leads elsewhere, and a pipe or a device may never answer.
var ErrNotPlain = errors.New("is no regular file")

// Open opens a file of the record for reading. The last part of its name must be a regular file itself. What stands above it may be a link: see OpenBelow.
func Open(name string) (*os.File, error) {
	before, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: name, Err: ErrNotPlain}
	}
	f, err := os.OpenFile(name, os.O_RDONLY|plainOnly, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		if err == nil {
			err = &os.PathError{Op: "open", Path: name, Err: ErrNotPlain}
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// OpenBelow is Open for a file in a directory or in one below it, where none of the directories between may be a link either.
func OpenBelow(dir, name string) (*os.File, error) {
	path := dir
	parts := strings.Split(filepath.Clean(name), string(filepath.Separator))
	for _, part := range parts[:len(parts)-1] {
		path = filepath.Join(path, part)
		info, err := os.Lstat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, &os.PathError{Op: "open", Path: path, Err: errors.New("is no directory")}
		}
	}
	return Open(filepath.Join(dir, name))
}

// ReadFile is os.ReadFile for a file of the record: see Open.
func ReadFile(name string) ([]byte, error) {
	f, err := Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	return io.ReadAll(f)
}
