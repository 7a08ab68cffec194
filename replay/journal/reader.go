package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"respect/replay"
	"respect/replay/durable"
)

// Problem is something that does not verify.
type Problem struct {
	Session string // "" if it concerns the directory as a whole
	Line    int    // counted from 1; 0 if it concerns the session as a whole
	Err     error  // wraps ErrFormat, ErrHash, ErrChain or ErrMissing
}

func (p Problem) String() string {
	switch {
	case p.Line > 0:
		return fmt.Sprintf("session %s, line %d: %v", p.Session, p.Line, p.Err)
	case p.Session != "":
		return fmt.Sprintf("session %s: %v", p.Session, p.Err)
	}
	return p.Err.Error()
}

// Reasons why a session does not verify although each of its lines does.
var (
	// ErrMissing says that a session, its end or a seal is not there although something else has it.
	ErrMissing = errors.New("is missing")
	// ErrSeal says that a signed note is not what was signed, or says something else than the lines.
	ErrSeal = errors.New("the seal does not hold")
	// ErrKey says that a session was sealed with a key that is not trusted.
	ErrKey = errors.New("is sealed with another key")
)

// Session is a journal as it was read.
type Session struct {
	ID     string
	Live   bool // a process still writes it
	Closed bool // ended in order
	Torn   int  // bytes of an incomplete last line, set aside
	Open   replay.Open
	Events []replay.Event // up to the first problem; nil if nobody wanted them
	// Problems are what does not verify; Events stops before the first of them.
	Problems []Problem

	Lines     int   // that verify
	Bytes     int64 // of these lines
	Seals     int
	Sealed    int  // lines that the last seal covers, it and what is before it
	Witnessed bool // the last seal is known to the witness

	notes []sealNote
	last  replay.Head
	// pending is the kind of a line that is sealed before anything else is done, until its seal is found.
	pending replay.Kind
}

// sealedAtOnce are the kinds of lines that a session with a key seals before it goes on, and goesOn are those that show that it went on. A crash may come
// between a line and its seal; a session that went on without one was not written by this program.
var (
	sealedAtOnce = map[replay.Kind]bool{replay.KindOpen: true, replay.KindIntent: true, replay.KindOutcome: true, replay.KindClose: true}
	goesOn       = map[replay.Kind]bool{replay.KindInput: true, replay.KindPlanned: true, replay.KindIntent: true, replay.KindOutcome: true, replay.KindClose: true}
)

// sealNote is a seal as it stands in a session.
type sealNote struct {
	text string
	line int
}

// Head is where the verified part of the chain ends.
func (s *Session) Head() replay.Head {
	h := s.last
	h.Session, h.Closed = s.ID, s.Closed
	return h
}

// readLine returns a line without its newline, or what is left with io.EOF.
func readLine(br *bufio.Reader) ([]byte, error) {
	var out []byte
	for {
		part, err := br.ReadSlice('\n')
		out = append(out, part...)
		if len(out) > maxLine {
			return nil, fmt.Errorf("%w: longer than %d bytes", ErrFormat, maxLine)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return out, err
		}
		return bytes.TrimSuffix(out, []byte("\n")), nil
	}
}

// Format is that of the journals that are written. Format 1, without seals, is still read.
const Format = 2

// ReadSession reads one session of a state directory and verifies its chain and its seals, these under the key that it names itself. Long bodies are left
// in the file until they are decoded. An error means that it could not be read; what does not verify is in the Session's Problems.
func ReadSession(stateDir, id string) (*Session, error) {
	return readSession(stateDir, id, true, nil, newFolder())
}

func readSession(stateDir, id string, keep bool, said claims, fold *folder) (*Session, error) {
	dir := filepath.Join(stateDir, "sessions", id)
	live, err := durable.Held(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", id, err)
	}
	f, err := durable.Open(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", id, err)
	}
	defer f.Close() // read only
	s := &Session{ID: id, Live: live}
	s.read(f, f.Name(), keep, said, fold)
	return s, nil
}

// read reads a journal whose file has a name. said is what others have of it.
func (s *Session) read(r io.Reader, name string, keep bool, said claims, fold *folder) {
	claimed := map[uint64]claims{}
	for _, c := range said {
		claimed[c.seq] = append(claimed[c.seq], c)
	}
	c := ending{}
	var before claims // what was said of the line before
	torn, line, err := Scan(r, !keep, func(e replay.Event) error {
		if err := c.follow(e); err != nil {
			return err
		}
		if err := s.take(e, before); err != nil {
			return err
		}
		if err := fold.event(s, e, name); err != nil { // what cannot be understood was written by somebody else
			return fmt.Errorf("%w: %v", ErrFormat, err)
		}
		s.Lines++
		s.Bytes += e.Size + 1
		s.last.Seq, s.last.Hash = e.Seq, e.Hash
		before = claimed[e.Seq]
		for _, c := range before {
			if c.hash != e.Hash {
				return fmt.Errorf("%w: hash %s, %s has %s", ErrChain, e.Hash, c.by, c.hash)
			}
		}
		if keep {
			if e.Size > longBody && !indexed[e.Kind] {
				e = leftOut(e, name)
			}
			s.Events = append(s.Events, e)
		}
		return nil
	})
	s.Torn = torn
	s.Closed = c.closed
	if err != nil {
		s.Closed = false
		s.Problems = append(s.Problems, Problem{Session: s.ID, Line: line, Err: err})
		return
	}
	s.missing(said)
}

// take checks what one line says, and remembers it. before is what is said of the line before it.
func (s *Session) take(e replay.Event, before claims) error {
	for _, c := range before {
		switch {
		case c.last:
			return fmt.Errorf("%w: a line after the end that %s saw", ErrChain, c.by)
		case c.note != nil && e.Kind != replay.KindSeal:
			return fmt.Errorf("%w: %s has a seal in this place", ErrChain, c.by)
		}
	}
	switch e.Kind {
	case replay.KindOpen:
		if err := e.Decode(&s.Open); err != nil || s.Open.Session != s.ID || s.Open.Format < 1 || s.Open.Format > Format {
			return fmt.Errorf("%w: its first line is of session %q, format %d", ErrFormat, s.Open.Session, s.Open.Format)
		}
	case replay.KindSeal:
		if err := s.seal(e, before); err != nil {
			return err
		}
		s.pending = ""
	}
	if s.Open.Key != "" {
		if s.pending != "" && goesOn[e.Kind] {
			return fmt.Errorf("%w: the session goes on, and its %s was not sealed", ErrSeal, s.pending)
		}
		if sealedAtOnce[e.Kind] {
			s.pending = e.Kind
		}
	}
	return nil
}

// seal checks that a seal says where it stands, and is the one that others have of this place.
func (s *Session) seal(e replay.Event, before claims) error {
	var body replay.Seal
	if err := e.Decode(&body); err != nil {
		return fmt.Errorf("%w: %v", ErrSeal, err)
	}
	seal, err := OpenSeal([]byte(body.Note), s.Open.Key)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %v", ErrSeal, err)
	case seal.Session != s.ID || seal.Seq+1 != e.Seq || seal.Hash != e.Prev:
		return fmt.Errorf("%w: it is of session %s, seq %d, hash %s", ErrSeal, seal.Session, seal.Seq, seal.Hash)
	}
	for _, c := range before {
		if c.note != nil && string(c.note) != body.Note {
			return fmt.Errorf("%w: %s has another one of this place", ErrSeal, c.by)
		}
	}
	s.Seals++
	s.Sealed = int(e.Seq) + 1
	s.notes = append(s.notes, sealNote{body.Note, s.Sealed})
	return nil
}

// missing reports that others have more than this session has.
func (s *Session) missing(said claims) {
	if len(said) == 0 {
		return
	}
	if c := said.last(); uint64(s.Lines) < c.lines() {
		s.Problems = append(s.Problems, Problem{Session: s.ID, Err: fmt.Errorf("%w: its end; it has %d lines, and %s has %d", ErrMissing, s.Lines, c.by, c.lines())})
	}
}

// longBody is how long a line may be whose body is kept in memory.
const longBody = 4 << 10

// leftOut is an event whose body is read again when it is wanted, and believed if it has the hash that it had.
func leftOut(e replay.Event, name string) replay.Event {
	at, size, hash := e.At, e.Size, e.Hash
	e.Body = nil
	e.Load = func() (json.RawMessage, error) {
		f, err := durable.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() // read only
		again, err := readEvent(f, at, size)
		if err != nil {
			return nil, err
		}
		if again.Hash != hash {
			return nil, fmt.Errorf("%w: it was read with hash %s, and has %s now", ErrHash, hash, again.Hash)
		}
		return again.Body, nil
	}
	return e
}

// ending looks after what may follow what at the end: behind close only its seal.
type ending struct{ closed, sealed bool }

func (c *ending) follow(e replay.Event) error {
	if c.closed && (c.sealed || e.Kind != replay.KindSeal) {
		return fmt.Errorf("%w: an event after close", ErrChain)
	}
	c.sealed = c.closed
	c.closed = c.closed || e.Kind == replay.KindClose
	return nil
}

// SessionIDs are the sessions of a state directory, oldest first by name.
func SessionIDs(stateDir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, "sessions"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		name := filepath.Join(stateDir, "sessions", e.Name(), "journal.jsonl")
		info, err := os.Lstat(name)
		switch {
		case !e.IsDir() || err != nil:
		case !info.Mode().IsRegular(): // a pipe would never answer, and a link leads elsewhere
			return nil, fmt.Errorf("%s is no plain file (%s)", name, info.Mode())
		default:
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// unnamedHeads are the heads of all sessions that have ended and that no session names yet. It reads the first and
// the last line of each, not what is between: a session must begin fast, verification is replay verify's.
func unnamedHeads(stateDir string) ([]replay.Head, error) {
	ids, err := SessionIDs(stateDir)
	if err != nil {
		return nil, err
	}
	named := map[string]bool{}
	for _, id := range ids {
		for _, h := range firstLine(stateDir, id).Previous {
			named[h.Session] = true
		}
	}
	heads := []replay.Head{}
	for _, id := range ids {
		if named[id] {
			continue
		}
		live, err := durable.Held(filepath.Join(stateDir, "sessions", id, "lock"))
		if err != nil {
			return nil, err
		}
		if live {
			continue
		}
		if h, ok := lastLine(stateDir, id); ok {
			heads = append(heads, h)
		}
	}
	return heads, nil
}

// firstLine is what a session says of itself; nothing if it cannot be read, which verification reports.
func firstLine(stateDir, id string) (o replay.Open) {
	f, err := durable.Open(filepath.Join(stateDir, "sessions", id, "journal.jsonl"))
	if err != nil {
		return o
	}
	defer f.Close() // read only
	line, err := readLine(bufio.NewReader(f))
	if err != nil {
		return o
	}
	if e, err := ParseLine(line); err == nil {
		_ = e.Decode(&o) // an unreadable body names nobody
	}
	return o
}

// lastLine is where an ended session's chain ends. The file is synced first: a head that is named must not be lost with the power.
func lastLine(stateDir, id string) (h replay.Head, ok bool) {
	f, err := durable.Open(filepath.Join(stateDir, "sessions", id, "journal.jsonl"))
	if err != nil {
		return h, false
	}
	defer f.Close() // read only
	if err := f.Sync(); err != nil {
		return h, false
	}
	e, ok := lastEvent(f)
	return replay.Head{Session: id, Seq: e.Seq, Hash: e.Hash, Closed: e.Kind == replay.KindClose || e.Kind == replay.KindSeal && closedBefore(f, e)}, ok
}

// closedBefore says whether the line before a seal is the close.
func closedBefore(f *os.File, seal replay.Event) bool {
	e, ok := eventBefore(f, seal.At)
	return ok && e.Kind == replay.KindClose
}

// lastEvent is the last whole line of a file.
func lastEvent(f *os.File) (e replay.Event, ok bool) {
	fi, err := f.Stat()
	if err != nil {
		return e, false
	}
	return eventBefore(f, fi.Size())
}

// eventBefore is the last whole line before a place in a file.
func eventBefore(f *os.File, end int64) (e replay.Event, ok bool) {
	for size := int64(64 << 10); ; size *= 8 {
		from := max(end-size, 0)
		buf := make([]byte, end-from)
		if _, err := f.ReadAt(buf, from); err != nil {
			return e, false
		}
		if last := bytes.LastIndexByte(buf, '\n'); last >= 0 {
			start := bytes.LastIndexByte(buf[:last], '\n') + 1
			if start > 0 || from == 0 {
				e, err := ParseLine(buf[start:last])
				e.At, e.Size = from+int64(start), int64(last-start)
				return e, err == nil
			}
		}
		if from == 0 || size > maxLine {
			return e, false
		}
	}
}
