package player

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"respect/replay/backup"
	"respect/replay/document"
	"respect/replay/durable"
	"respect/replay/journal"
)

// planDocument is what a line of a plan file says of a document. The format is guard/plan's; an auditor reads it without that package.
type planDocument struct {
	N      int             `json:"n"` // counted from 0 in the plan
	NS     string          `json:"ns"`
	Op     string          `json:"op"`
	ID     json.RawMessage `json:"id"`
	Before *planImage      `json:"before"`
	After  *planImage      `json:"after"`

	raw json.RawMessage // all of it
}

type planImage struct {
	At     int64  `json:"at"` // in the file below before or after; -1: only the hash was kept
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (im *planImage) is(doc []byte) bool {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:]) == im.SHA256
}

// Document is a document in the files of a change.
type Document struct {
	SHA256 string          `json:"sha256"`         // of its BSON, in hex, as the plan has it
	Text   json.RawMessage `json:"text,omitempty"` // Extended JSON; nothing if only its hash was kept

	bson []byte
}

var (
	errPlan  = errors.New("its plan is not the one that was confirmed")
	errImage = errors.New("is not what the plan says")
)

// documents reads the plan of a change line by line, hashing it as it goes, and hands over each document of it. An error of each, or a plan that is not the
// one that was confirmed, ends it with an error; so do documents that are not what the plan says, at the end.
func (a *Archive) documents(c *journal.Change, each func(planDocument, *spools) error) (err error) {
	if c.ID != filepath.Base(c.ID) || strings.HasPrefix(c.ID, ".") {
		return fmt.Errorf("%q is no name of a change", c.ID)
	}
	dir := filepath.Join(a.Dir, "changes", c.ID)
	f, err := durable.Open(filepath.Join(dir, "plan.jsonl"))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	sp := &spools{dir: dir, digest: c.Intent.Digest, foresee: a.Foresee, foreseen: backup.Foreseen(dir), open: map[string]*spool{}}
	if sp.left, err = backup.OpenLeft(dir, c.AfterHash()); err != nil {
		sp.failed, sp.left = err, &backup.Left{}
	}
	defer sp.close()
	sum := sha256.New()
	err = eachLine(f, sum, func(line []byte) error {
		var item struct {
			Document json.RawMessage `json:"document"`
		}
		d := planDocument{}
		err := json.Unmarshal(line, &item)
		if err == nil && item.Document != nil {
			err = json.Unmarshal(item.Document, &d)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errPlan, err)
		}
		if item.Document == nil {
			return nil
		}
		d.raw = item.Document
		return each(d, sp)
	})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.Intent.Digest {
		return fmt.Errorf("%w: the record says SHA-256 %s, the file has %s", errPlan, c.Intent.Digest, got)
	}
	return sp.failed
}

func eachLine(r io.Reader, sum hash.Hash, each func([]byte) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadBytes('\n')
		sum.Write(line)
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := each(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// spools are the files in which a change has its documents, before and after. They are read from their begin to their end, as plans name them.
type spools struct {
	dir, digest string
	foresee     Foresee
	left        *backup.Left      // what could not be foreseen, as it was read back
	foreseen    *backup.Documents // what the server foresaw, and cannot be computed
	open        map[string]*spool
	failed      error // all that was not what the plan says
}

type spool struct {
	io.Reader
	closer io.Closer
	name   string
	at     int64
}

func (s *spools) close() {
	_, _ = s.left.Close(), s.foreseen.Close() // read only
	for _, sp := range s.open {
		_ = sp.closer.Close() // read only
	}
}

// images are a document before and after. What is not what the plan says is noted, and has no text.
func (s *spools) images(d planDocument) (before, after *Document) {
	before, after = s.image("before", d.NS, d.Before), s.image("after", d.NS, d.After)
	if d.After == nil && d.Op == "update" {
		return before, s.readBack(int64(d.N))
	}
	if after == nil || after.bson != nil || before == nil || before.bson == nil {
		return before, after
	}
	if s.foresee != nil {
		doc, err := s.foresee(s.dir, s.digest, d.raw, before.bson)
		if err == nil && d.After.is(doc) {
			s.take(after, doc, "what was foreseen")
			return before, after
		}
	}
	doc, err := s.foreseen.Find(d.After.SHA256)
	switch {
	case err != nil:
		s.failed = errors.Join(s.failed, err)
	case doc != nil: // otherwise its hash is all that is known
		s.take(after, doc, backup.ForeseenFile)
	}
	return before, after
}

// readBack is what the change left of a document that could not be foreseen; nil if nobody knows.
func (s *spools) readBack(n int64) *Document {
	sum := s.left.Sum(n)
	if sum == "" {
		return nil
	}
	d := &Document{SHA256: sum}
	doc, err := s.left.Document(n)
	if err != nil {
		s.failed = errors.Join(s.failed, err)
	} else if doc != nil {
		s.take(d, doc, backup.LeftFile)
	}
	return d
}

func (s *spools) image(which, ns string, im *planImage) *Document {
	if im == nil {
		return nil
	}
	d := &Document{SHA256: im.SHA256}
	if im.At < 0 {
		return d
	}
	doc, name, err := s.read(which, ns, im)
	if err != nil {
		s.failed = errors.Join(s.failed, fmt.Errorf("%s, byte %d: %w", name, im.At, err))
		return d
	}
	s.take(d, doc, fmt.Sprintf("%s, byte %d", name, im.At))
	return d
}

func (s *spools) take(d *Document, doc []byte, name string) {
	text, err := document.Extended(doc)
	if err != nil {
		s.failed = errors.Join(s.failed, fmt.Errorf("%s: %w", name, err))
		return
	}
	d.Text, d.bson = text, doc
}

// read finds a document, and believes it if it has the plan's hash.
func (s *spools) read(which, ns string, im *planImage) (doc []byte, name string, err error) {
	key := which + "/" + ns
	sp := s.open[key]
	if sp == nil || sp.at > im.At {
		if sp != nil {
			_ = sp.closer.Close() // read only
			delete(s.open, key)
		}
		if sp, err = openSpool(s.dir, which, ns); err != nil {
			return nil, which, err
		}
		s.open[key] = sp
	}
	if im.Bytes < 0 || im.Bytes > 64<<20 {
		return nil, sp.name, errImage
	}
	n, err := io.CopyN(io.Discard, sp, im.At-sp.at)
	sp.at += n
	if err != nil {
		return nil, sp.name, err
	}
	doc = make([]byte, im.Bytes)
	m, err := io.ReadFull(sp, doc)
	sp.at += int64(m)
	if err == nil && !im.is(doc) {
		err = errImage
	}
	return doc, sp.name, err
}

// openSpool opens the documents of a namespace below before or after: named and compressed as mongodump --gzip does it, or as changes of format
// version 1 had them.
func openSpool(dir, which, ns string) (*spool, error) {
	db, coll, _ := strings.Cut(ns, ".")
	name := filepath.Join(which, db, escapedName(coll)+".bson.gz")
	old := filepath.Join(which, url.PathEscape(db), url.PathEscape(coll)+".bson")
	if !filepath.IsLocal(name) || !filepath.IsLocal(old) {
		return nil, fmt.Errorf("%s: %w", name, errImage)
	}
	f, err := durable.OpenBelow(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = durable.OpenBelow(dir, old); err != nil {
			return nil, err
		}
		return &spool{Reader: bufio.NewReader(f), closer: f, name: old}, nil
	}
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return &spool{Reader: z, closer: f, name: name}, nil
}

// escapedName is a collection's name as mongodump makes a file's name of it.
func escapedName(coll string) string {
	const longest, kept = 238, 208
	name := url.PathEscape(coll)
	if len(name) <= longest {
		return name
	}
	sum := sha1.Sum([]byte(coll))
	return name[:kept] + "%24" + base64.RawURLEncoding.EncodeToString(sum[:])
}
