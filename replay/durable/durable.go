// Package durable makes bytes survive a crash: synced append, atomic creation, directory sync, locks.
//
// Every file that the guard depends on after a crash is written through an FS, so that a test can stop the world between
// any two of its steps (Crash, in this package's tests and for others') and look at what is left.
//
//	write ─► Sync ─► bytes are on disk
//	Create / Rename / MkdirAll ─► SyncDir ─► the name is on disk
//
// Files are made with mode 0600 and directories with 0700: the record holds production data.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// FS is what the record needs from a file system. Paths are the operating system's.
type FS interface {
	// MkdirAll makes a directory and its missing parents, and syncs each parent it added a name to.
	MkdirAll(dir string) error
	// Create makes a new file; it fails with fs.ErrExist if the name is taken. The name is durable after SyncDir.
	Create(name string) (File, error)
	// Append opens a file for appending, and makes it if it is missing. The name is durable after SyncDir.
	Append(name string) (File, error)
	// Rename replaces newName by oldName, atomically. It is durable after SyncDir.
	Rename(oldName, newName string) error
	// RemoveAll removes a file, or a directory and all that it holds. A missing name is no error.
	RemoveAll(name string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is written and synced; its bytes are durable when Sync has returned without error.
// After an error of Write or Sync nothing is known about the bytes since the last good Sync: do not go on.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// OS is the file system of this machine.
type OS struct{}

// MkdirAll implements FS.
func (o OS) MkdirAll(dir string) error {
	dir = filepath.Clean(dir)
	if fi, err := os.Stat(dir); err == nil {
		if !fi.IsDir() {
			return &os.PathError{Op: "mkdir", Path: dir, Err: errors.New("is a file")}
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := o.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return o.SyncDir(parent)
}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	return openFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
}

// Append implements FS.
func (OS) Append(name string) (File, error) {
	return openFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
}

func openFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag|plainOnly, 0o600)
	if err != nil {
		return nil, err // not a nil *os.File in a File
	}
	return f, nil
}

// Rename implements FS.
func (OS) Rename(oldName, newName string) error { return os.Rename(oldName, newName) }

// RemoveAll implements FS.
func (OS) RemoveAll(name string) error { return os.RemoveAll(name) }

// SyncDir implements FS.
func (OS) SyncDir(dir string) (err error) {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := d.Sync(); err != nil && !dirSyncUnsupported(err) {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// WriteFile creates name with data and returns when both data and name are durable. It fails if the name is taken. After a crash the file
// is there whole, or not there, or there and shorter: what must be whole at any time is written under
// another name and renamed, which is ReplaceFile.
func WriteFile(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// ReplaceFile makes name hold data, atomically: after a crash it holds the old bytes or the new ones.
func ReplaceFile(fsys FS, name string, data []byte) error {
	tmp := name + ".new"
	if err := fsys.RemoveAll(tmp); err != nil {
		return err
	}
	if err := WriteFile(fsys, tmp, data); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// ErrLocked is returned by Acquire when another process, or another part of this one, holds the lock.
var ErrLocked = errors.New("in use by another process")

// Lock is a lock on a file, held until Release or until the process ends, however it ends.
type Lock struct{ f *os.File }

// Acquire takes the lock named by a file, which it makes if it is missing, or fails with ErrLocked at once.
func Acquire(name string) (*Lock, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{f: f}, nil
}

// Held says whether somebody holds the lock named by a file. A missing file is not held.
func Held(name string) (bool, error) {
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	l, err := Acquire(name)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, l.Release()
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.f.Close() }
