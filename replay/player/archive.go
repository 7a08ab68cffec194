package player

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// Archive is the record of a state directory, verified. It holds no events: they are read from the journals whenever they are wanted, one after the other, so
// that a long record needs no more memory than a short one.
type Archive struct {
	Dir     string
	Record  *journal.Record
	Foresee Foresee // may be nil
}

// Foresee computes what a change made of a document, from the directory of the change, the digest of its plan, the plan's line of the document and the
// document before. What it returns is believed only if it has the hash that the plan has.
type Foresee func(dir, digest string, item, before []byte) (after []byte, err error)

// Open verifies a state directory.
func Open(dir string, o journal.Options) (*Archive, error) {
	r, err := journal.Verify(dir, o)
	if err != nil {
		return nil, err
	}
	return &Archive{Dir: dir, Record: r}, nil
}

// Sessions are all of them, in the order in which they began.
func (a *Archive) Sessions() (out []Record) {
	for _, s := range a.Record.Sessions {
		out = append(out, Record{s, a})
	}
	return out
}

// Record is one session of an Archive.
type Record struct {
	Session *journal.Session // without its events
	In      *Archive
}

func (r Record) file() string {
	return filepath.Join(r.In.Dir, "sessions", r.Session.ID, "journal.jsonl")
}

// errEnough ends a Scan early.
var errEnough = errors.New("enough")

// events hands each event that was verified to each, in order. Its body belongs to each until that returns; what was decoded may be kept. An error of each
// ends it.
func (r Record) events(each func(replay.Event) error) error {
	f, err := durable.Open(r.file())
	if err != nil {
		return fmt.Errorf("session %s: %w", r.Session.ID, err)
	}
	defer f.Close() // read only
	n, last := 0, ""
	var failed error
	_, _, err = journal.Scan(f, true, func(e replay.Event) error {
		if n == r.Session.Lines { // what follows did not verify, or was written since
			return errEnough
		}
		n, last = n+1, e.Hash
		if failed = each(e); failed != nil {
			failed = fmt.Errorf("session %s, seq %d: %w", r.Session.ID, e.Seq, failed)
		}
		return failed
	})
	switch {
	case failed != nil:
		return failed
	case n != r.Session.Lines:
		return fmt.Errorf("session %s was changed while it was read: %w", r.Session.ID, errors.Join(journal.ErrMissing, err))
	case n > 0 && last != r.Session.Head().Hash:
		return fmt.Errorf("session %s was changed while it was read: %w", r.Session.ID, journal.ErrHash)
	}
	return nil
}

// place is where an event stands in its journal.
type place struct {
	at, size int64
	hash     string
}

func placeOf(e replay.Event) place { return place{e.At, e.Size, e.Hash} }

// read reads an event again, and believes it if it has the hash that it had.
func (p place) read(f *os.File) (replay.Event, error) {
	line := make([]byte, p.size)
	if _, err := f.ReadAt(line, p.at); err != nil {
		return replay.Event{}, err
	}
	e, err := journal.ParseLine(line)
	if err == nil && e.Hash != p.hash {
		err = fmt.Errorf("%w: it was read with hash %s, and has %s now", journal.ErrHash, p.hash, e.Hash)
	}
	e.At, e.Size = p.at, p.size
	return e, err
}

// body reads the body of an event again.
func body[T any](f *os.File, p place) (b T, err error) {
	e, err := p.read(f)
	if err == nil {
		err = e.Decode(&b)
	}
	return b, err
}

// Problems are what does not verify of a session, in itself or in what others say of it, and of the state directory as a whole.
func (r Record) Problems() (out []string) {
	for _, p := range slices.Concat(r.Session.Problems, r.In.Record.Problems) {
		if p.Session == r.Session.ID || p.Session == "" {
			out = append(out, replay.Safe(p.String()))
		}
	}
	return out
}

// problems is the number of those that name the session.
func (r Record) problems() (n int) {
	for _, p := range r.In.Record.AllProblems() {
		if p.Session == r.Session.ID {
			n++
		}
	}
	return n
}

// Verdict is the result of the verification, in a sentence. It never says more than chain and seals prove.
func (r Record) Verdict() string {
	s := r.Session
	if len(r.Problems()) > 0 {
		return "DOES NOT VERIFY"
	}
	out := "verifies"
	switch {
	case s.Live:
		out = "verifies so far; it is running"
	case !s.Closed:
		out = "verifies; ends without close: crash or truncation"
	}
	switch left := s.Lines - s.Sealed; {
	case s.Seals == 0:
		return out + "; not sealed"
	case left == 0:
		return out + "; sealed to its end"
	case left == 1:
		return out + "; its last line is not sealed"
	default:
		return out + fmt.Sprintf("; its last %d lines are not sealed", left)
	}
}

// Witnessed says whether somebody else has the last seal as well, and what it means if nobody has.
func (r Record) Witnessed() string {
	const key = "somebody who can write these files and has their key could have written all of it anew"
	witness := r.In.Record.Witness
	switch {
	case r.Session.Witnessed:
		return "witnessed, to its last seal, by " + replay.Safe(witness)
	case r.Session.Seals == 0:
		return "not witnessed, and not sealed: somebody who can write these files could have written all of it anew"
	case witness != "":
		return "not witnessed: " + replay.Safe(witness) + " does not have its last seal; " + key
	}
	return "not witnessed: " + key
}

// doubts are what a reader of the session must know of its record, in lines: that it does not verify, or is not whole.
func (r Record) doubts() (out []string) {
	if r.Session.Torn > 0 {
		out = append(out, fmt.Sprintf("the last line is torn (%d bytes): the program was stopped while it was written", r.Session.Torn))
	}
	problems := r.Problems()
	for _, p := range problems {
		out = append(out, "DOES NOT VERIFY: "+p)
	}
	if !r.Session.Closed && !r.Session.Live && len(problems) == 0 {
		out = append(out, "the record ends without close: crash or truncation")
	}
	return out
}
