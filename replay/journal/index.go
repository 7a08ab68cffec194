package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"respect/replay"
	"respect/replay/durable"
)

// The index of a journal says where the lines stand that tell of changes, so that they are found without reading what was shown. It is derived, and
// never trusted: each line that it points to is checked against its own hash, an index that does not fit the file as it is now is not used, and Verify does
// not look at it. It is written beside the journal when a session ends, and again by whoever reads the whole of one that has none.
//
//	{"version":2,"size":S,"head":"H"}     S bytes the journal had, H the hash of its last line
//	<kind> <offset> <length>              for each indexed line, length without its newline

const (
	indexFile    = "journal.idx"
	indexVersion = 2 // 1 had no statements
)

// indexed are the kinds that tell of changes and of the session itself. The statement that a change came from is indexed with it.
var indexed = map[replay.Kind]bool{
	replay.KindOpen: true, replay.KindConnect: true, replay.KindReason: true, replay.KindPlanned: true, replay.KindDecided: true, replay.KindSaved: true,
	replay.KindIntent: true, replay.KindOutcome: true, replay.KindRefused: true, replay.KindRecovery: true, replay.KindPruned: true, replay.KindSecurity: true, replay.KindClose: true,
}

// index are the places of indexed lines, in order.
type index struct {
	entries []indexEntry
	input   *indexEntry // the last statement, of which nothing came yet
}

type indexEntry struct {
	kind     replay.Kind
	at, size int64
}

func (x *index) add(kind replay.Kind, at, size int64) {
	switch {
	case kind == replay.KindInput:
		x.input = &indexEntry{kind, at, size}
	case (kind == replay.KindPlanned || kind == replay.KindIntent) && x.input != nil:
		x.entries, x.input = append(x.entries, *x.input), nil
		fallthrough
	case indexed[kind]:
		x.entries = append(x.entries, indexEntry{kind, at, size})
	}
}

type indexHead struct {
	Version int    `json:"version"`
	Size    int64  `json:"size"`
	Head    string `json:"head"`
}

func (x *index) bytes(size int64, head string) []byte {
	var b bytes.Buffer
	first, err := json.Marshal(indexHead{indexVersion, size, head})
	if err != nil {
		panic("journal: internal error: " + err.Error())
	}
	b.Write(append(first, '\n'))
	for _, e := range x.entries {
		fmt.Fprintf(&b, "%s %d %d\n", e.kind, e.at, e.size)
	}
	return b.Bytes()
}

// writeIndex leaves an index beside the journal. Without one everything works as well.
func (w *Writer) writeIndex() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = durable.WriteFile(w.fs, filepath.Join(w.dir, indexFile), w.index.bytes(w.size, w.prev))
}

// errNoIndex says that there is none that fits.
var errNoIndex = errors.New("there is no index that fits the journal")

// readIndex reads the index of a session, if it fits its journal.
func readIndex(dir string, f *os.File) (*index, error) {
	if info, err := os.Lstat(filepath.Join(dir, indexFile)); err != nil || !info.Mode().IsRegular() {
		return nil, errNoIndex
	}
	b, err := durable.ReadFile(filepath.Join(dir, indexFile))
	if err != nil {
		return nil, errNoIndex
	}
	sc := bufio.NewScanner(bytes.NewReader(b))
	var head indexHead
	if !sc.Scan() || json.Unmarshal(sc.Bytes(), &head) != nil || head.Version != indexVersion {
		return nil, errNoIndex
	}
	info, err := f.Stat()
	if err != nil || info.Size() != head.Size {
		return nil, errNoIndex
	}
	x := &index{}
	for sc.Scan() {
		var e indexEntry
		if n, err := fmt.Sscanf(sc.Text(), "%s %d %d", &e.kind, &e.at, &e.size); n != 3 || err != nil || e.at < 0 || e.size < 0 || e.size > maxLine || e.at+e.size >= head.Size {
			return nil, errNoIndex
		}
		x.entries = append(x.entries, e)
	}
	if last, ok := lastEvent(f); !ok || last.Hash != head.Head {
		return nil, errNoIndex
	}
	return x, nil
}

// Indexed is the record with the events that tell of changes alone, and the changes that they are folded into. They are found through the indexes where there
// are some that fit, and each is checked against its own hash; that none is missing is not, and no seal is. Its Problems are those that were met on the way: who
// wants to know whether the record verifies, uses Verify.
func Indexed(stateDir string) (*Record, error) {
	noted := unverifiedPlaces(stateDir)
	ids, err := SessionIDs(stateDir)
	if err != nil {
		return nil, err
	}
	r := &Record{}
	for _, id := range ids {
		s, err := readIndexed(stateDir, id)
		if err != nil {
			return nil, err
		}
		r.Sessions = append(r.Sessions, s)
	}
	f := newFolder()
	for _, s := range r.Sessions {
		for _, e := range s.Events {
			if err := f.event(s, e, ""); err != nil {
				s.Problems = append(s.Problems, Problem{Session: s.ID, Line: int(e.Seq) + 1, Err: fmt.Errorf("%w: %v", ErrFormat, err)})
				break
			}
		}
	}
	r.take(f, noted)
	return r, nil
}

func readIndexed(stateDir, id string) (*Session, error) {
	dir := filepath.Join(stateDir, "sessions", id)
	live, err := durable.Held(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", id, err)
	}
	if live {
		return readIndexedWhole(stateDir, id, false)
	}
	if s := throughIndex(dir, id); s != nil {
		return s, nil
	}
	return readIndexedWhole(stateDir, id, true)
}

// throughIndex is nil where there is no index that fits.
func throughIndex(dir, id string) *Session {
	f, err := durable.Open(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		return nil
	}
	defer f.Close() // read only
	x, err := readIndex(dir, f)
	if err != nil {
		return nil
	}
	s := &Session{ID: id}
	for _, entry := range x.entries {
		e, err := readEvent(f, entry.at, entry.size)
		if err != nil || e.Kind != entry.kind {
			return nil
		}
		s.Events = append(s.Events, e)
		s.Closed = e.Kind == replay.KindClose
	}
	if len(s.Events) == 0 || s.Events[0].Kind != replay.KindOpen || s.Events[0].Decode(&s.Open) != nil || s.Open.Session != id {
		return nil
	}
	return s
}

// readIndexedWhole reads the session from its begin to its end, and leaves an index for next time.
func readIndexedWhole(stateDir, id string, leave bool) (*Session, error) {
	s, err := ReadSession(stateDir, id)
	if err != nil {
		return nil, err
	}
	var x index
	var end int64
	head := ""
	for _, e := range s.Events {
		x.add(e.Kind, e.At, e.Size)
		end, head = e.At+e.Size+1, e.Hash
	}
	wanted := map[int64]bool{}
	for _, e := range x.entries {
		wanted[e.at] = true
	}
	s.Events = slices.DeleteFunc(s.Events, func(e replay.Event) bool { return !wanted[e.At] })
	if leave && len(s.Problems) == 0 && s.Torn == 0 && !s.Live {
		name := filepath.Join(stateDir, "sessions", id, indexFile)
		_ = durable.ReplaceFile(durable.OS{}, name, x.bytes(end, head)) // a directory that cannot be written to has none
	}
	return s, nil
}

// readEvent reads one line.
func readEvent(f *os.File, at, size int64) (replay.Event, error) {
	line := make([]byte, size)
	if _, err := f.ReadAt(line, at); err != nil {
		return replay.Event{}, err
	}
	e, err := ParseLine(line)
	e.At, e.Size = at, size
	return e, err
}
