package plan

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"respect/replay/backup"
	"respect/replay/durable"
	"strings"

	"github.com/klauspost/compress/gzip"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// Images reads spooled images. It is quick where they are asked for in the order of the plan, since the files are compressed: one that stands before the
// last that was read makes it begin again.
type Images struct {
	dir     string
	version int
	files   map[string]*imageFile
	// What the server foresaw, and what was read back; nil until they are asked for.
	foreseen, readBack *backup.Documents
}

// imageFile is a spool while it is read.
type imageFile struct {
	f  *os.File
	r  *bufio.Reader
	at int64 // of the next byte that r gives, uncompressed
}

// Images opens the plan's spools. Close it.
func (p *Plan) Images() *Images {
	return &Images{dir: p.dir, version: p.header.Version, files: map[string]*imageFile{}}
}

// Before is an item's before-image, or nil. It is the caller's.
func (im *Images) Before(it Item) (bson.Raw, error) { return im.read("before", it, it.Before) }

// After is an item's spooled after-image, or nil if it is not spooled. It is the caller's.
func (im *Images) After(it Item) (bson.Raw, error) { return im.read("after", it, it.After) }

// maxImage: no document is larger.
const maxImage = 64 << 20

func (im *Images) read(which string, it Item, i *Image) (bson.Raw, error) {
	if i == nil || i.At < 0 {
		return nil, nil
	}
	if i.Bytes < 5 || i.Bytes > maxImage {
		return nil, fmt.Errorf("%s-image of document %d: %d bytes", which, it.N, i.Bytes)
	}
	f, err := im.file(which, it.NS, i.At)
	if err != nil {
		return nil, err
	}
	doc := make(bson.Raw, i.Bytes)
	if err := f.read(doc, i.At); err != nil {
		return nil, fmt.Errorf("%s-image of document %d: %w", which, it.N, err)
	}
	if got := hashOf(doc); got != i.SHA256 {
		return nil, fmt.Errorf("%s-image of document %d: its hash is %s, the plan says %s", which, it.N, got, i.SHA256)
	}
	return doc, nil
}

// file is the spool of a namespace, not read beyond a place.
func (im *Images) file(which, ns string, at int64) (*imageFile, error) {
	name := filepath.Join(which, im.name(ns))
	f := im.files[name]
	if f != nil && f.at <= at {
		return f, nil
	}
	if f != nil {
		if err := f.f.Close(); err != nil {
			return nil, err
		}
	}
	f, err := openImages(im.dir, name)
	if err != nil {
		return nil, err
	}
	im.files[name] = f
	return f, nil
}

// name is where a namespace's images are. Plans of version 1 had them uncompressed.
func (im *Images) name(ns string) string {
	if im.version == 1 {
		db, coll, _ := strings.Cut(ns, ".")
		return filepath.Join(url.PathEscape(db), url.PathEscape(coll)+".bson")
	}
	return imageName(ns)
}

// openImages opens a file below the directory of a change.
func openImages(dir, name string) (*imageFile, error) {
	f, err := durable.OpenBelow(dir, name)
	if err != nil {
		return nil, err
	}
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
		}
	}
	return &imageFile{f: f, r: bufio.NewReaderSize(r, block)}, nil
}

// read fills doc with the bytes at a place that was not passed yet.
func (f *imageFile) read(doc []byte, at int64) error {
	for f.at < at {
		n, err := f.r.Discard(int(min(at-f.at, block)))
		f.at += int64(n)
		if err != nil {
			return err
		}
	}
	n, err := io.ReadFull(f.r, doc)
	f.at += int64(n)
	return err
}

// Close closes the spools.
func (im *Images) Close() error {
	var err error
	for _, d := range []*backup.Documents{im.foreseen, im.readBack} {
		if d != nil {
			err = errors.Join(err, d.Close())
		}
	}
	for _, f := range im.files {
		err = errors.Join(err, f.f.Close())
	}
	return err
}

// eachDocument reads a file of images or of a whole collection below the directory of a change, one document after the other, and hashes the file on the way. The
// document is valid until each returns. If the file is not the one that has the hash sum, the error at its end says so: what each was given is worth nothing then.
func eachDocument(dir, name, sum string, each func(bson.Raw) error) error {
	f, err := durable.OpenBelow(dir, name)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	h := sha256.New()
	raw := io.TeeReader(f, h)
	packed := raw
	if strings.HasSuffix(name, ".gz") {
		if packed, err = gzip.NewReader(raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	err = splitDocuments(bufio.NewReaderSize(packed, block), each)
	if err == nil {
		_, err = io.Copy(io.Discard, raw)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return fmt.Errorf("the backup %s has hash %s, the record says %s: it was changed", name, got, sum)
	}
	return nil
}

// splitDocuments hands each BSON document that a reader holds to each.
func splitDocuments(r io.Reader, each func(bson.Raw) error) error {
	buf := make([]byte, 4, 64<<10)
	for {
		if _, err := io.ReadFull(r, buf[:4]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		n, ok := documentLength(buf[:4])
		if !ok {
			return fmt.Errorf("a document of %d bytes", n)
		}
		if cap(buf) < n {
			buf = append(make([]byte, 0, n), buf[:4]...)
		}
		buf = buf[:n]
		if _, err := io.ReadFull(r, buf[4:]); err != nil {
			return err
		}
		if err := each(bson.Raw(buf)); err != nil {
			return err
		}
	}
}

func documentLength(b []byte) (int, bool) {
	n := int(int32(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24))
	return n, n >= 5 && n <= maxImage
}

// AfterOf is what a document is, or will be, after the change, for people: as it was spooled, as it can be foreseen from before, as the server foresaw it, or, if some
// of it nobody could foresee, as it was read back. left may be nil, of a change that was not carried out. open are the paths of it that are not known; after is nil
// where nothing is, and for a delete.
func (p *Plan) AfterOf(im *Images, left *backup.Left, it Item, before bson.Raw) (after bson.Raw, open []string, err error) {
	if after, err = im.After(it); err != nil || after != nil || it.Op != "update" {
		return after, nil, err
	}
	after, open, err = p.Foresee(it, before)
	if err != nil || after != nil && len(open) == 0 {
		return after, open, err
	}
	if it.After != nil {
		doc, err := im.byServer(it.After.SHA256)
		return doc, nil, err
	}
	if left != nil {
		if doc, err := left.Document(it.N); err != nil || doc != nil {
			return doc, nil, err
		}
	}
	return after, open, nil
}

// byServer is a document as the server foresaw it, by its hash; nil if there is none.
func (im *Images) byServer(sum string) (bson.Raw, error) {
	if im.foreseen == nil {
		im.foreseen = backup.Foreseen(im.dir)
	}
	return im.foreseen.Find(sum)
}

// kept is a document as the server foresaw it, or as it was read back, by its hash; nil if there is none.
func (im *Images) kept(sum string) (bson.Raw, error) {
	if doc, err := im.byServer(sum); doc != nil || err != nil {
		return doc, err
	}
	if im.readBack == nil {
		im.readBack = backup.ReadBack(im.dir)
	}
	return im.readBack.Find(sum)
}
