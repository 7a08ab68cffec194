package journal

import (
	"bufio"
	"bytes"
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

// ErrMissing says that a session, or its end, is not there although another session names it.
var ErrMissing = errors.New("is missing")

// Session is a journal as it was read.
type Session struct {
	ID     string
	Live   bool // a process still writes it
	Closed bool // ended in order
	Torn   int  // bytes of an incomplete last line, set aside
	Open   replay.Open
	Events []replay.Event // up to the first problem
	// Problems are what does not verify; Events stops before the first of them.
	Problems []Problem
}

// Head is where the verified part of the chain ends.
func (s *Session) Head() replay.Head {
	if len(s.Events) == 0 {
		return replay.Head{Session: s.ID}
	}
	last := s.Events[len(s.Events)-1]
	return replay.Head{Session: s.ID, Seq: last.Seq, Hash: last.Hash, Closed: s.Closed}
}

// Scan reads lines and hands each verified event to each. It stops at the first line that does not verify, whose
// problem is returned with its line number. torn is the length of an incomplete last line.
// Events share no memory with later ones.
func Scan(r io.Reader, each func(replay.Event) error) (torn, line int, err error) {
	br := bufio.NewReaderSize(r, 64<<10)
	prev, seq := zeroHash, uint64(0)
	for line = 1; ; line++ {
		b, err := readLine(br)
		if errors.Is(err, io.EOF) {
			return len(b), line, nil
		}
		if err != nil {
			return 0, line, err
		}
		e, err := ParseLine(b)
		if err != nil {
			return 0, line, err
		}
		if e.Seq != seq || e.Prev != prev {
			return 0, line, fmt.Errorf("%w: seq %d prev %s, wanted seq %d prev %s", ErrChain, e.Seq, e.Prev, seq, prev)
		}
		if (seq == 0) != (e.Kind == replay.KindOpen) {
			return 0, line, fmt.Errorf("%w: kind %s as line %d", ErrChain, e.Kind, line)
		}
		prev, seq = e.Hash, seq+1
		if err := each(e); err != nil {
			return 0, line, err
		}
	}
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

// ReadSession reads and verifies one session of a state directory. An error means that it could not be read; what does
// not verify is in the Session's Problems.
func ReadSession(stateDir, id string) (*Session, error) {
	dir := filepath.Join(stateDir, "sessions", id)
	live, err := durable.Held(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", id, err)
	}
	f, err := os.Open(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", id, err)
	}
	defer f.Close() // read only
	s := &Session{ID: id, Live: live}
	torn, line, err := Scan(f, func(e replay.Event) error {
		if s.Closed {
			return fmt.Errorf("%w: an event after close", ErrChain)
		}
		s.Events = append(s.Events, e)
		s.Closed = e.Kind == replay.KindClose
		return nil
	})
	s.Torn = torn
	if err != nil {
		s.Closed = false
		s.Problems = append(s.Problems, Problem{Session: id, Line: line, Err: err})
	}
	if len(s.Events) > 0 {
		if err := s.Events[0].Decode(&s.Open); err != nil || s.Open.Session != id || s.Open.Format != 1 {
			s.Problems = append(s.Problems, Problem{Session: id, Line: 1, Err: fmt.Errorf("%w: its first line is of session %q, format %d", ErrFormat, s.Open.Session, s.Open.Format)})
		}
	}
	return s, nil
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
		if e.IsDir() && exists(filepath.Join(stateDir, "sessions", e.Name(), "journal.jsonl")) {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// ReadAll reads every session of a state directory and checks that those named by others are there and end
// where they were said to. Problems of single sessions are in the sessions; the second result has those between them.
func ReadAll(stateDir string) ([]*Session, []Problem, error) {
	ids, err := SessionIDs(stateDir)
	if err != nil {
		return nil, nil, err
	}
	var all []*Session
	byID := map[string]*Session{}
	for _, id := range ids {
		s, err := ReadSession(stateDir, id)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, s)
		byID[id] = s
	}
	var problems []Problem
	for _, s := range all {
		for _, h := range s.Open.Previous {
			if p := checkHead(byID[h.Session], h, s.ID); p != nil {
				problems = append(problems, *p)
			}
		}
	}
	return all, problems, nil
}

// checkHead compares a session with what a later one says of it.
func checkHead(s *Session, h replay.Head, by string) *Problem {
	switch {
	case s == nil:
		return &Problem{Session: h.Session, Err: fmt.Errorf("%w: session %s names it, with hash %s at seq %d", ErrMissing, by, h.Hash, h.Seq)}
	case uint64(len(s.Events)) <= h.Seq:
		if len(s.Problems) > 0 {
			return nil // said already
		}
		return &Problem{Session: h.Session, Err: fmt.Errorf("%w: its end; it has %d lines and session %s saw %d", ErrMissing, len(s.Events), by, h.Seq+1)}
	case s.Events[h.Seq].Hash != h.Hash:
		return &Problem{Session: h.Session, Line: int(h.Seq) + 1, Err: fmt.Errorf("%w: hash %s, session %s saw %s", ErrChain, s.Events[h.Seq].Hash, by, h.Hash)}
	case uint64(len(s.Events)) > h.Seq+1:
		return &Problem{Session: h.Session, Line: int(h.Seq) + 2, Err: fmt.Errorf("%w: lines after the end that session %s saw", ErrChain, by)}
	}
	return nil
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
	f, err := os.Open(filepath.Join(stateDir, "sessions", id, "journal.jsonl"))
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

// lastLine finds the last whole line of an ended session. The file is synced first: a head that is named must not be lost with the power.
func lastLine(stateDir, id string) (h replay.Head, ok bool) {
	f, err := os.Open(filepath.Join(stateDir, "sessions", id, "journal.jsonl"))
	if err != nil {
		return h, false
	}
	defer f.Close() // read only
	if err := f.Sync(); err != nil {
		return h, false
	}
	fi, err := f.Stat()
	if err != nil {
		return h, false
	}
	for size := int64(64 << 10); ; size *= 8 {
		from := max(fi.Size()-size, 0)
		buf := make([]byte, fi.Size()-from)
		if _, err := f.ReadAt(buf, from); err != nil {
			return h, false
		}
		if end := bytes.LastIndexByte(buf, '\n'); end >= 0 {
			start := bytes.LastIndexByte(buf[:end], '\n') + 1
			if start > 0 || from == 0 {
				e, err := ParseLine(buf[start:end])
				return replay.Head{Session: id, Seq: e.Seq, Hash: e.Hash, Closed: e.Kind == replay.KindClose}, err == nil
			}
		}
		if from == 0 || size > maxLine {
			return h, false
		}
	}
}
