package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"respect/replay"
	"respect/replay/durable"
)

// Writer appends to the journal of one session. Its methods may be called from several goroutines.
//
// After any error it writes nothing more: what follows a line that may be torn would not verify. Callers that
// depend on the record must stop then.
type Writer struct {
	fs   durable.FS
	now  func() time.Time
	id   string
	dir  string
	lock *durable.Lock
	key  *Key

	witnesses []witness
	sealing   sync.Mutex // one seal at a time, so that they stand in the same order everywhere

	mu    sync.Mutex
	f     durable.File
	seq   uint64
	prev  string
	size  int64
	last  []byte // the bytes that were written last, recent of them or more
	dirty bool
	err   error
	index index
}

// Config says where and by whom a journal is written.
type Config struct {
	FS    durable.FS
	Dir   string           // the state directory; made if missing
	Now   func() time.Time // the clock
	Rand  io.Reader        // for the session's name; cryptographic
	Who   replay.Who
	Build replay.Build
	// Key seals the journal; nil leaves it unsealed.
	Key *Key
	// Witness is a file, best on another machine's disk, to which every seal is written as well; "" is none.
	Witness string
	Policy  []replay.File // in force
	Output  string        // how much of what is shown is recorded
}

// Create begins a session: its directory, its lock, and the first line, which is durable when Create returns.
func Create(c Config) (*Writer, error) {
	previous, err := unnamedHeads(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("journal: read earlier sessions: %w", err)
	}
	id, err := NewID(c.Now().UTC().Format("20060102T150405.000Z"), c.Rand)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	dir := filepath.Join(c.Dir, "sessions", id)
	if err := c.FS.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock, err := durable.Acquire(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w := &Writer{fs: c.FS, now: c.Now, id: id, dir: dir, lock: lock, prev: zeroHash, key: c.Key}
	first := replay.Open{Format: Format, Session: id, Previous: previous, Who: c.Who, Build: c.Build, Witness: c.Witness, Policy: c.Policy, Output: c.Output}
	if c.Key != nil {
		first.Key = c.Key.Public()
		w.witnesses = append(w.witnesses, witness{name: filepath.Join(c.Dir, headsFile)})
		if c.Witness != "" {
			w.witnesses = append(w.witnesses, witness{name: c.Witness})
		}
	}
	if err := w.open(first); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return w, nil
}

func (w *Writer) open(first replay.Open) error {
	f, err := w.fs.Create(filepath.Join(w.dir, "journal.jsonl"))
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	w.f = f
	if err := w.Append(replay.KindOpen, first); err != nil {
		return err
	}
	if err := w.fs.SyncDir(w.dir); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return w.Sync()
}

// Session is the name of the session.
func (w *Writer) Session() string { return w.id }

// Append writes one event. It is not durable before Sync.
func (w *Writer) Append(kind replay.Kind, body any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	return w.append(kind, body)
}

func (w *Writer) append(kind replay.Kind, body any) error {
	raw, err := encodeBody(body)
	if err != nil {
		return err // nothing was written: the journal is still good
	}
	e := replay.Event{Seq: w.seq, Time: w.now().UTC(), Kind: kind, Body: raw, Prev: w.prev}
	line := encodeLine(&e)
	if _, err := w.f.Write(line); err != nil {
		w.err = fmt.Errorf("journal: write %s: %w", kind, err)
		return w.err
	}
	w.remember(line)
	w.index.add(kind, w.size, int64(len(line)-1))
	w.seq, w.prev, w.dirty, w.size = w.seq+1, e.Hash, true, w.size+int64(len(line))
	return nil
}

// recent is how much of what was written is read back before something is done that it speaks of.
const recent = 64 << 10

func (w *Writer) remember(line []byte) {
	if len(w.last) > 8*recent {
		w.last = append(w.last[:0], w.last[len(w.last)-recent:]...)
	}
	w.last = append(w.last, line...)
}

// Sync makes all that was appended durable.
func (w *Writer) Sync() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || !w.dirty {
		return w.err
	}
	if err := w.f.Sync(); err != nil {
		w.err = fmt.Errorf("journal: sync: %w", err)
		return w.err
	}
	w.dirty = false
	return nil
}

// Standing says why the journal that is being written is not the one that is found under its name, whole: a record that was removed, cut, moved or replaced would
// know nothing of what is done next. With readBack what was written last is read from there and compared, otherwise only the file and its length.
// It says nothing of what is not synced.
func (w *Writer) Standing(readBack bool) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	name := filepath.Join(w.dir, "journal.jsonl")
	f, err := durable.Open(name)
	if err != nil {
		return fmt.Errorf("journal: the record is not where it was: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	there, err := f.Stat()
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	if o, ok := w.f.(interface{ Stat() (os.FileInfo, error) }); ok {
		ours, err := o.Stat()
		if err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		if !os.SameFile(ours, there) {
			return fmt.Errorf("journal: another file stands at %s", name)
		}
	}
	if there.Size() != w.size {
		return fmt.Errorf("journal: %s has %d bytes, and %d were written", name, there.Size(), w.size)
	}
	if !readBack {
		return nil
	}
	last := make([]byte, len(w.last))
	if _, err := f.ReadAt(last, w.size-int64(len(last))); err != nil {
		return fmt.Errorf("journal: what was written last cannot be read back: %w", err)
	}
	if !bytes.Equal(last, w.last) {
		return fmt.Errorf("journal: the end of %s is not what was written", name)
	}
	return nil
}

// Record appends one event and makes it durable.
func (w *Writer) Record(kind replay.Kind, body any) error {
	if err := w.Append(kind, body); err != nil {
		return err
	}
	return w.Sync()
}

// Close ends the session in order and seals its end. code is the exit status. The Writer cannot be used afterwards. An error that wraps ErrWitness says that
// the session is whole.
func (w *Writer) Close(code int) error {
	err := w.Append(replay.KindClose, replay.Close{Code: code})
	if err == nil {
		err = w.Seal()
	}
	if err == nil || errors.Is(err, ErrWitness) {
		w.writeIndex()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = errors.New("journal: closed")
	}
	return errors.Join(err, w.f.Close(), w.lock.Release())
}

// alphabet has no letters and digits that look alike.
const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"

// NewID is a name that sorts by its prefix and is unique by five random letters.
func NewID(prefix string, random io.Reader) (string, error) {
	letters, err := Letters(5, random)
	if err != nil {
		return "", err
	}
	return prefix + "-" + letters, nil
}

// Letters are n letters or digits drawn from random, none of which looks like another.
func Letters(n int, random io.Reader) (string, error) {
	var b strings.Builder
	buf := make([]byte, 1)
	for b.Len() < n {
		if _, err := io.ReadFull(random, buf); err != nil {
			return "", fmt.Errorf("random letters: %w", err)
		}
		// 256 is no multiple of 31: the rest is drawn again.
		if int(buf[0]) < 256-256%len(alphabet) {
			b.WriteByte(alphabet[int(buf[0])%len(alphabet)])
		}
	}
	return b.String(), nil
}

// exists says whether a file is there.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
