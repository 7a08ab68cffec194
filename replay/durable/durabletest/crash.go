// Package durabletest has a file system that crashes on demand. It is for tests only.
package durabletest

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"respect/replay/durable"
)

// Crash is a durable.FS that loses power at a chosen step. It works on real files below a directory; when it crashes, it takes
// back all that was not durable by then: bytes that were not synced, and names whose directory was not synced.
// From then on every call fails with ErrCrashed, as if the process were gone.
//
// It models the worst that a journaling file system may do with data that nobody synced, not torn sectors and not
// lying disks. A torn last line is modelled by Tear.
type Crash struct {
	mu    sync.Mutex
	fs    durable.OS
	left  int // steps until the crash; negative: never
	tear  int // unsynced bytes of each file that happen to survive
	steps []string
	files map[string]*crashFile
	names map[string]undoName // names whose directory was not synced
	order []string
	dead  bool

	fail      int // steps until one fails; negative: none does
	failure   error
	unhealthy bool // one has failed
}

// ErrCrashed is what every call returns after the crash.
var ErrCrashed = errors.New("crashed (test)")

type undoName func() error

// NewCrash returns an FS that crashes instead of taking step number n, counted from 0; negative n never crashes.
func NewCrash(n int) *Crash {
	return &Crash{left: n, fail: -1, files: map[string]*crashFile{}, names: map[string]undoName{}}
}

// Tear makes n bytes of each file's unsynced tail survive the crash.
func (c *Crash) Tear(n int) { c.tear = n }

// CrashAfter makes it crash after n more steps; negative n never.
func (c *Crash) CrashAfter(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = n
}

// FailAfter makes one step fail with an error after n more steps, as a disk does that is full or has a bad place; the steps behind it work again.
func (c *Crash) FailAfter(n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.failure = n, err
}

// Failed says whether that has happened.
func (c *Crash) Failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unhealthy
}

// Steps names the steps taken so far.
func (c *Crash) Steps() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.steps...)
}

// Crashed says whether the crash has happened.
func (c *Crash) Crashed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// Step is for tests that count other things than files as steps, a command on the wire for example.
func (c *Crash) Step(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.step(name)
}

func (c *Crash) step(name string) error {
	if c.dead {
		return ErrCrashed
	}
	if c.left == 0 {
		c.crash()
		return ErrCrashed
	}
	if c.left > 0 {
		c.left--
	}
	c.steps = append(c.steps, name)
	if c.fail == 0 {
		c.fail, c.unhealthy = -1, true
		return c.failure
	}
	if c.fail > 0 {
		c.fail--
	}
	return nil
}

func (c *Crash) crash() {
	c.dead = true
	for name, f := range c.files {
		keep := f.synced + int64(min(c.tear, int(f.size-f.synced)))
		_ = os.Truncate(name, keep) // a file that a later crash step removes
		_ = f.File.Close()
	}
	for i := len(c.order) - 1; i >= 0; i-- {
		if undo := c.names[c.order[i]]; undo != nil {
			_ = undo()
			c.names[c.order[i]] = nil
		}
	}
}

func (c *Crash) pending(name string, undo undoName) {
	if c.names[name] == nil {
		c.order = append(c.order, name)
		c.names[name] = undo
	}
}

// MkdirAll implements durable.FS. Directories are durable at once: losing one loses what Create's rule loses already.
func (c *Crash) MkdirAll(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step("mkdir " + filepath.Base(dir)); err != nil {
		return err
	}
	return c.fs.MkdirAll(dir)
}

// Create implements durable.FS.
func (c *Crash) Create(name string) (durable.File, error) { return c.open("create", name, c.fs.Create) }

// Append implements durable.FS.
func (c *Crash) Append(name string) (durable.File, error) { return c.open("append", name, c.fs.Append) }

func (c *Crash) open(what, name string, open func(string) (durable.File, error)) (durable.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step(what + " " + filepath.Base(name)); err != nil {
		return nil, err
	}
	fi, statErr := os.Stat(name)
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	cf := &crashFile{File: f, c: c, name: name}
	if statErr == nil {
		cf.size, cf.synced = fi.Size(), fi.Size()
	} else {
		c.pending(name, func() error { return os.Remove(name) })
	}
	c.files[name] = cf
	return cf, nil
}

// Rename implements durable.FS.
func (c *Crash) Rename(oldName, newName string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step("rename " + filepath.Base(newName)); err != nil {
		return err
	}
	before, readErr := os.ReadFile(newName)
	if err := c.fs.Rename(oldName, newName); err != nil {
		return err
	}
	if f := c.files[oldName]; f != nil {
		delete(c.files, oldName)
		c.files[newName] = f
	}
	c.pending(newName, func() error {
		err := os.Rename(newName, oldName)
		if readErr == nil {
			err = errors.Join(err, os.WriteFile(newName, before, 0o600))
		}
		return err
	})
	return nil
}

// RemoveAll implements durable.FS. It is durable at once.
func (c *Crash) RemoveAll(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step("remove " + filepath.Base(name)); err != nil {
		return err
	}
	return c.fs.RemoveAll(name)
}

// SyncDir implements durable.FS.
func (c *Crash) SyncDir(dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.step("syncdir " + filepath.Base(dir)); err != nil {
		return err
	}
	for name := range c.names {
		if filepath.Dir(name) == filepath.Clean(dir) {
			c.names[name] = nil
		}
	}
	return nil
}

type crashFile struct {
	durable.File
	c            *Crash
	name         string
	size, synced int64
}

// Write implements durable.File. A write alone is no step: what matters is whether it was synced.
func (f *crashFile) Write(b []byte) (int, error) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if f.c.dead {
		return 0, ErrCrashed
	}
	n, err := f.File.Write(b)
	f.size += int64(n)
	return n, err
}

// Sync implements durable.File.
func (f *crashFile) Sync() error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if err := f.c.step("sync " + filepath.Base(f.name)); err != nil {
		return err
	}
	f.synced = f.size
	return nil
}

// Close implements durable.File.
func (f *crashFile) Close() error {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	if f.c.dead {
		return ErrCrashed
	}
	return f.File.Close()
}
