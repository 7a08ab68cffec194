package plan

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"

	"respect/replay"
	"respect/replay/durable"
)

// spool writes the files of a change while it is planned: buffered, compressed, hashed on the way, not synced.
//
//	append ─► the file's buffer ─► (full) ─► one goroutine: gzip member ─► hash ─► file
//
// The goroutine begins with the first full buffer and ends in drain, which flush, sync and discard call; what it found wrong is returned by the next
// call of any of them. Everything else belongs to the caller's goroutine.
type spool struct {
	fs      durable.FS
	dir     string
	files   map[string]*spoolFile
	order   []string
	images  map[[2]string]*spoolFile // before or after, and namespace
	pending int                      // bytes in buffers
	jobs    chan job
	done    chan struct{}
	free    chan []byte
	trouble trouble
}

type spoolFile struct {
	f      durable.File
	packed bool         // compressed: gzip members of at most one block each, one behind the other
	buf    []byte       // not handed over yet
	at     int64        // bytes appended so far
	handed bool         // something was handed over
	h      hash.Hash    // of the file's bytes; this and the next two belong to the goroutine until drain
	blocks *blockHasher // of the plan file
	packs  []pack       // the gzip members
	shut   bool
}

// pack is one gzip member of a file: how many bytes it has there, and how many it unpacks to.
type pack struct{ packed, bytes int }

// job is a full buffer on its way to the disk.
type job struct {
	f   *spoolFile
	buf []byte
}

// trouble is the first error of the goroutine.
type trouble struct {
	mu  sync.Mutex
	err error
}

func (t *trouble) set(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
}

func (t *trouble) get() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// planFile is the file that a plan is.
const planFile = "plan.jsonl"

const (
	block      = 256 << 10 // bytes of a file that are handed over, and compressed, together
	maxPending = 32 << 20  // bytes in the buffers of all files
	maxJobs    = 8         // blocks on their way
)

func newSpool(fs durable.FS, dir string) (*spool, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, err
	}
	return &spool{fs: fs, dir: dir, files: map[string]*spoolFile{}, images: map[[2]string]*spoolFile{}, free: make(chan []byte, maxJobs)}, nil
}

// imageName is the file of a namespace's documents below before/ or after/, as mongodump --gzip names it: a directory for the database, and the
// collection's name escaped as in a URL, cut and hashed where a file system would find it too long.
// Source: https://www.mongodb.com/docs/database-tools/mongodump/; the cut is that of its 100.x releases.
func imageName(ns string) string {
	db, coll, _ := strings.Cut(ns, ".")
	return filepath.Join(db, escapedName(coll)+".bson.gz")
}

func escapedName(coll string) string {
	const longest, kept = 238, 208
	name := url.PathEscape(coll)
	if len(name) <= longest {
		return name
	}
	sum := sha1.Sum([]byte(coll))
	return name[:kept] + "%24" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// metadataName is the file of a namespace's options and indexes, as mongodump names it.
func metadataName(ns string) string {
	return strings.TrimSuffix(imageName(ns), ".bson.gz") + ".metadata.json.gz"
}

// file is a file of the spool, which is made when it is first named.
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
	sf := &spoolFile{f: f, packed: strings.HasSuffix(name, ".gz"), h: sha256.New()}
	if name == planFile {
		sf.blocks = &blockHasher{}
	}
	s.files[name], s.order = sf, append(s.order, name)
	return sf, nil
}

// append adds bytes to a file and returns where they begin in it, before compression.
func (s *spool) append(name string, b []byte) (at int64, err error) {
	f, err := s.file(name)
	if err != nil {
		return 0, err
	}
	at = f.at
	f.buf = append(f.buf, b...)
	return at, s.added(f, len(b))
}

// added counts n bytes that a file's buffer has gained, and hands over what is full.
func (s *spool) added(f *spoolFile, n int) error {
	f.at += int64(n)
	s.pending += n
	switch {
	case len(f.buf) >= block:
		s.handOver(f)
	case s.pending > maxPending:
		for _, name := range s.order {
			s.handOver(s.files[name])
		}
	}
	return s.trouble.get()
}

// handOver gives what a file has buffered to the goroutine.
func (s *spool) handOver(f *spoolFile) {
	if len(f.buf) == 0 || f.shut {
		return
	}
	if s.jobs == nil {
		s.jobs, s.done = make(chan job, maxJobs), make(chan struct{})
		go s.write(s.jobs, s.done)
	}
	s.pending -= len(f.buf)
	s.jobs <- job{f, f.buf}
	f.handed = true
	select {
	case f.buf = <-s.free:
	default:
		f.buf = nil
	}
}

// write is the goroutine. After an error it only takes what is handed over.
func (s *spool) write(jobs <-chan job, done chan<- struct{}) {
	defer close(done)
	var p packer
	for j := range jobs {
		if s.trouble.get() == nil {
			if err := p.write(j.f, j.buf); err != nil {
				s.trouble.set(err)
			}
		}
		select {
		case s.free <- j.buf[:0]:
		default:
		}
	}
}

// packer compresses. The fastest level: a backup must not make a change wait.
type packer struct {
	gz  *gzip.Writer
	out bytes.Buffer
}

func (p *packer) write(f *spoolFile, b []byte) error {
	if f.packed {
		p.out.Reset()
		if p.gz == nil {
			gz, err := gzip.NewWriterLevel(&p.out, gzip.BestSpeed)
			if err != nil {
				return err
			}
			p.gz = gz
		}
		p.gz.Reset(&p.out)
		if _, err := p.gz.Write(b); err != nil {
			return err
		}
		if err := p.gz.Close(); err != nil {
			return err
		}
		f.packs = append(f.packs, pack{p.out.Len(), len(b)})
		b = p.out.Bytes()
	}
	f.h.Write(b) // never fails
	if f.blocks != nil {
		_, _ = f.blocks.Write(b) // never fails
	}
	_, err := f.f.Write(b)
	return err
}

// drain waits until all that was handed over is with the operating system.
func (s *spool) drain() error {
	if s.jobs != nil {
		close(s.jobs)
		<-s.done
		s.jobs, s.done = nil, nil
	}
	return s.trouble.get()
}

// image spools a document below before/ or after/. sum is its hash, if somebody has taken it already.
func (s *spool) image(which, ns string, doc []byte, sum string) (*Image, error) {
	key := [2]string{which, ns}
	f := s.images[key]
	if f == nil {
		var err error
		if f, err = s.file(filepath.Join(which, imageName(ns))); err != nil {
			return nil, fmt.Errorf("spool the %s-image: %w", which, err)
		}
		s.images[key] = f
	}
	at := f.at
	f.buf = append(f.buf, doc...)
	if err := s.added(f, len(doc)); err != nil {
		return nil, fmt.Errorf("spool the %s-image: %w", which, err)
	}
	return &Image{At: at, Bytes: len(doc), SHA256: orHash(sum, doc)}, nil
}

func orHash(sum string, doc []byte) string {
	if sum != "" {
		return sum
	}
	return hashOf(doc)
}

// item writes the line of a document.
func (s *spool) item(it *Item) error {
	f, err := s.file(planFile)
	if err != nil {
		return err
	}
	was := len(f.buf)
	if f.buf, err = appendItem(f.buf, it); err != nil {
		return err
	}
	return s.added(f, len(f.buf)-was)
}

func (s *spool) line(l line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("plan file: %w", err)
	}
	_, err = s.append(planFile, append(b, '\n'))
	return err
}

// flush hands everything to the operating system. A packed file without a byte becomes an empty gzip member, which readers take for no document.
func (s *spool) flush() error {
	for _, name := range s.order {
		s.handOver(s.files[name])
	}
	if err := s.drain(); err != nil {
		return err
	}
	var p packer
	for _, name := range s.order {
		if f := s.files[name]; f.packed && !f.handed && !f.shut {
			f.handed = true
			if err := p.write(f, nil); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// sync makes everything durable and closes the files.
func (s *spool) sync() error {
	if err := s.flush(); err != nil {
		return err
	}
	dirs := map[string]bool{}
	for _, name := range s.order {
		f := s.files[name]
		if f.shut {
			continue
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

// digest of a file as it was written, after flush.
func (s *spool) digest(name string) string {
	if f := s.files[name]; f != nil {
		return hex.EncodeToString(f.h.Sum(nil))
	}
	return ""
}

// readBack hashes every file as the disk has it, unpacks it, and compares it with what was written.
func (s *spool) readBack() ([]replay.SavedFile, error) {
	var out []replay.SavedFile
	for _, name := range s.order {
		f, err := s.files[name].readBack(s.dir, name)
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		if want := s.digest(name); f.SHA256 != want {
			return out, fmt.Errorf("%s has hash %s, %s was written", name, f.SHA256, want)
		}
		f.Name = filepath.ToSlash(name)
		out = append(out, f)
	}
	return out, nil
}

// readBack hashes the file as the disk has it, and unpacks its members, on all processors.
func (sf *spoolFile) readBack(dir, name string) (saved replay.SavedFile, err error) {
	if !sf.packed {
		saved, _, err := readBack(dir, name)
		return saved, err
	}
	f, err := durable.OpenBelow(dir, name)
	if err != nil {
		return saved, err
	}
	defer f.Close() // read only
	h := sha256.New()
	var wait sync.WaitGroup
	var wrong trouble
	free := make(chan []byte, runtime.GOMAXPROCS(0)) // as many members in memory as there are processors
	for range cap(free) {
		free <- nil
	}
	for _, p := range sf.packs {
		b := <-free
		if cap(b) < p.packed {
			b = make([]byte, p.packed)
		}
		b = b[:p.packed]
		if _, err := io.ReadFull(f, b); err != nil {
			wrong.set(err)
			break
		}
		h.Write(b)
		saved.Bytes += int64(len(b))
		wait.Go(func() {
			if err := unpacks(b, p.bytes); err != nil {
				wrong.set(err)
			}
			free <- b
		})
	}
	wait.Wait()
	if n, err := f.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		wrong.set(fmt.Errorf("there is more in the file than was written (%v)", err))
	}
	saved.SHA256 = hex.EncodeToString(h.Sum(nil))
	return saved, wrong.get()
}

// unpacks says what is wrong with one gzip member, whose checksum is compared on the way.
func unpacks(b []byte, bytesWant int) error {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, r)
	if err == nil && n != int64(bytesWant) {
		err = fmt.Errorf("a part of it unpacks to %d bytes, %d were written", n, bytesWant)
	}
	return err
}

func (s *spool) closeAll() (err error) {
	_ = s.drain() // what could not be written is not wanted any more
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

// readBack hashes a file as the disk has it, and counts the bytes that it unpacks to. Each gzip member's checksum is compared on the way.
func readBack(dir, name string) (saved replay.SavedFile, unpacked int64, err error) {
	f, err := durable.OpenBelow(dir, name)
	if err != nil {
		return saved, 0, err
	}
	defer f.Close() // read only
	h := sha256.New()
	c := &counter{r: io.TeeReader(f, h)}
	var r io.Reader = c
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(c); err != nil {
			return saved, 0, err
		}
	}
	if unpacked, err = io.Copy(io.Discard, r); err != nil {
		return saved, unpacked, err
	}
	return replay.SavedFile{Bytes: c.n, SHA256: hex.EncodeToString(h.Sum(nil))}, unpacked, nil
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
