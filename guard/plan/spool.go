package plan

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"respect/replay"
	"respect/replay/durable"
)

// spool writes the files of a change while it is planned: buffered, hashed on the way, not synced.
type spool struct {
	fs    durable.FS
	dir   string
	files map[string]*spoolFile
	order []string
}

type spoolFile struct {
	f    durable.File
	w    *bufio.Writer
	h    hash.Hash
	at   int64
	shut bool
}

func newSpool(fs durable.FS, dir string) (*spool, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	return &spool{fs: fs, dir: dir, files: map[string]*spoolFile{}}, nil
}

// spoolName is where a namespace's documents stand below before/ or after/, named as mongodump names them.
func spoolName(ns string) string {
	db, coll, _ := strings.Cut(ns, ".")
	return filepath.Join(url.PathEscape(db), url.PathEscape(coll)+".bson")
}

func (s *spool) file(name string) (*spoolFile, error) {
	if f := s.files[name]; f != nil {
		return f, nil
	}
	path := filepath.Join(s.dir, name)
	if err := s.fs.MkdirAll(filepath.Dir(path)); err != nil {
		return nil, err
	}
	f, err := s.fs.Create(path)
	if err != nil {
		return nil, err
	}
	sf := &spoolFile{f: f, w: bufio.NewWriterSize(f, 256<<10), h: sha256.New()}
	s.files[name], s.order = sf, append(s.order, name)
	return sf, nil
}

// append adds bytes to a file and returns where they begin.
func (s *spool) append(name string, b []byte) (at int64, err error) {
	f, err := s.file(name)
	if err != nil {
		return 0, err
	}
	at = f.at
	if _, err := f.w.Write(b); err != nil {
		return 0, err
	}
	f.h.Write(b) // never fails
	f.at += int64(len(b))
	return at, nil
}

// image spools a document below before/ or after/.
func (s *spool) image(which, ns string, doc []byte) (*Image, error) {
	at, err := s.append(filepath.Join(which, spoolName(ns)), doc)
	if err != nil {
		return nil, fmt.Errorf("spool the %s-image: %w", which, err)
	}
	return &Image{At: at, Bytes: len(doc), SHA256: hashOf(doc)}, nil
}

func (s *spool) line(l line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("plan file: %w", err)
	}
	_, err = s.append("plan.jsonl", append(b, '\n'))
	return err
}

// flush hands everything to the operating system.
func (s *spool) flush() error {
	for _, name := range s.order {
		if f := s.files[name]; !f.shut {
			if err := f.w.Flush(); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// sync makes everything durable and closes the files.
func (s *spool) sync() error {
	dirs := map[string]bool{}
	for _, name := range s.order {
		f := s.files[name]
		if f.shut {
			continue
		}
		if err := f.w.Flush(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := f.f.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", name, err)
		}
		f.shut = true
		if err := f.f.Close(); err != nil {
			return fmt.Errorf("close %s: %w", name, err)
		}
		dirs[filepath.Dir(filepath.Join(s.dir, name))] = true
	}
	for d := range dirs {
		if err := s.fs.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// digest of a file as it was written.
func (s *spool) digest(name string) string {
	if f := s.files[name]; f != nil {
		return hex.EncodeToString(f.h.Sum(nil))
	}
	return ""
}

// readBack hashes every file as the disk has it and compares it with what was written.
func (s *spool) readBack() ([]replay.SavedFile, error) {
	var out []replay.SavedFile
	for _, name := range s.order {
		f, err := readBack(filepath.Join(s.dir, name))
		if err != nil {
			return out, err
		}
		if want := s.digest(name); f.SHA256 != want {
			return out, fmt.Errorf("%s has hash %s, %s was written", name, f.SHA256, want)
		}
		f.Name = filepath.ToSlash(name)
		out = append(out, f)
	}
	return out, nil
}

func (s *spool) closeAll() (err error) {
	for _, f := range s.files {
		if !f.shut {
			f.shut = true
			err = errors.Join(err, f.f.Close())
		}
	}
	return err
}

// discard closes and removes everything: the plan was declined, or could not be made.
func (s *spool) discard() error {
	return errors.Join(s.closeAll(), s.fs.RemoveAll(s.dir))
}

// readBack hashes a file as the disk has it.
func readBack(name string) (replay.SavedFile, error) {
	f, err := os.Open(name)
	if err != nil {
		return replay.SavedFile{}, err
	}
	defer f.Close() // read only
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return replay.SavedFile{}, err
	}
	return replay.SavedFile{Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}
