package journal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Record is what was found in a state directory.
type Record struct {
	Sessions []*Session // in the order in which they began, as the chain has it
	// Changes are those that were tried, in the order in which they were; Plans are all that were planned, asked about or tried, by their ids.
	Changes []*Change
	Plans   map[string]*Change
	// Problems are what does not verify between sessions, in heads.notes and against the witness; those of one session are in the session.
	Problems []Problem
	// Witness is the file that was compared; "" if none was.
	Witness string
	// Keys are the public keys under which seals were checked, beside the one that each session names.
	Keys []string
	// Others counts the notes of the witness that belong to none of these keys: other operators write there too.
	Others int
}

// AllProblems are those of the sessions and those between them, in this order.
func (r *Record) AllProblems() (out []Problem) {
	for _, s := range r.Sessions {
		out = append(out, s.Problems...)
	}
	return append(out, r.Problems...)
}

// Witnessed says how many sessions with seals the witness has, to their last seal, and how many there are.
func (r *Record) Witnessed() (witnessed, sealed int) {
	for _, s := range r.Sessions {
		if s.Seals > 0 {
			sealed++
			if s.Witnessed {
				witnessed++
			}
		}
	}
	return witnessed, sealed
}

// Options of Verify.
type Options struct {
	// Keys are public keys that are trusted, as replay key prints them. Without any, the seals are checked under the key that the session and the state
	// directory name, which whoever can write there can exchange.
	Keys []string
	// Witness is a file to which seals were written besides; "" compares with none.
	Witness string
}

// Verify reads all sessions of a state directory and checks every line, every seal, and what sessions, heads.notes and the witness say of each other. It
// keeps no events. An error means that something could not be read; what does not verify is in the Record.
func Verify(stateDir string, o Options) (*Record, error) { return read(stateDir, o, false) }

// ReadAll is Verify without a witness, and keeps the events.
func ReadAll(stateDir string) (*Record, error) { return read(stateDir, Options{}, true) }

// claim is what somebody says of a line: that it is there, and has this hash.
type claim struct {
	seq  uint64
	hash string
	by   string
	last bool   // and that it is the last but for what follows from it
	note []byte // the seal behind it, as it stands in the line that follows; nil if nobody says so
}

// claims are what is said of one session.
type claims []claim

func (cs claims) last() claim {
	return slices.MaxFunc(cs, func(a, b claim) int { return cmp.Compare(a.lines(), b.lines()) })
}

// lines are how many lines there must be.
func (c claim) lines() uint64 {
	if c.note != nil {
		return c.seq + 2 // the seal itself
	}
	return c.seq + 1
}

func read(stateDir string, o Options, keep bool) (*Record, error) {
	r := &Record{Keys: o.Keys, Witness: o.Witness}
	if len(r.Keys) == 0 {
		own, err := PublicKey(stateDir)
		if err != nil {
			return nil, err
		}
		if own != "" {
			r.Keys = []string{own}
		}
	}
	// What is said of sessions is read before them: one that is running grows meanwhile.
	heads, err := readNotes(filepath.Join(stateDir, headsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var witness []*witnessNote
	if o.Witness != "" {
		if witness, err = readNotes(o.Witness); err != nil {
			return nil, fmt.Errorf("the witness: %w", err)
		}
	}
	ids, err := SessionIDs(stateDir)
	if err != nil {
		return nil, err
	}
	claims := map[string]claims{}
	keys := slices.Clone(r.Keys)
	for _, id := range ids {
		first := firstLine(stateDir, id)
		for _, h := range first.Previous {
			claims[h.Session] = append(claims[h.Session], claim{seq: h.Seq, hash: h.Hash, by: "session " + id, last: true})
		}
		if len(o.Keys) == 0 && first.Key != "" && !slices.Contains(keys, first.Key) {
			keys = append(keys, first.Key)
		}
	}
	for _, n := range append(slices.Clone(heads), witness...) {
		if n.open(keys); n.err == nil {
			claims[n.seal.Session] = append(claims[n.seal.Session], claim{seq: n.seal.Seq, hash: n.seal.Hash, by: n.file, note: n.text})
		}
	}
	all := map[string]*Session{}
	notes := map[string]bool{}
	fold := newFolder()
	for _, id := range ids {
		s, err := readSession(stateDir, id, keep, claims[id], fold)
		if err != nil {
			return nil, err
		}
		if s.Open.Key != "" && len(r.Keys) > 0 && !slices.Contains(r.Keys, s.Open.Key) {
			s.Problems = append(s.Problems, Problem{Session: id, Line: 1, Err: fmt.Errorf("%w: %s", ErrKey, s.Open.Key)})
		}
		for _, n := range s.notes {
			notes[n.text] = true
		}
		r.Sessions = append(r.Sessions, s)
		all[id] = s
	}
	r.take(fold, places(heads))
	r.unsealed(len(o.Keys) > 0)
	for id, cs := range claims {
		if all[id] == nil {
			last := cs.last()
			r.Problems = append(r.Problems, Problem{Session: id, Err: fmt.Errorf("%w: %s has it, with hash %s at line %d", ErrMissing, last.by, last.hash, last.seq+1)})
		}
	}
	slices.SortFunc(r.Problems, func(a, b Problem) int { return strings.Compare(a.Session, b.Session) })
	r.checkNotes(heads, notes, false)
	r.checkNotes(witness, notes, true)
	r.cover(heads, witness)
	return r, nil
}

// take ends a fold of the record's sessions.
func (r *Record) take(f *folder, noted notePlaces) {
	r.Sessions = f.end(r.Sessions, noted)
	r.Changes, r.Plans = f.tried, f.byID
}

// unsealed reports sessions without any seal, which anybody could have written, where there is no reason for them: once a state directory has a key all of its
// sessions are sealed, and those from before it are named, with their hashes, by a sealed one.
func (r *Record) unsealed(asked bool) {
	named, keyed := map[string]bool{}, false
	for _, s := range r.Sessions {
		if s.Seals > 0 {
			for _, h := range s.Open.Previous {
				named[h.Session] = true
			}
		}
	}
	for _, s := range r.Sessions {
		switch {
		case s.Open.Key != "":
			keyed = true
		case named[s.ID] || s.Live || s.Lines == 0 || len(s.Problems) > 0:
		case keyed:
			s.Problems = append(s.Problems, Problem{Session: s.ID, Err: fmt.Errorf("%w: there is none, and sessions before it are sealed", ErrSeal)})
		case asked || len(r.Keys) > 0 && s.Open.Format > 1:
			s.Problems = append(s.Problems, Problem{Session: s.ID, Err: fmt.Errorf("%w: there is none, and no sealed session names it", ErrSeal)})
		}
	}
}

// checkNotes reports notes that are not what was written. A note that was cut off by a crash is the beginning of one that a session has.
func (r *Record) checkNotes(notes []*witnessNote, known map[string]bool, shared bool) {
	for i, n := range notes {
		var unverified *note.UnverifiedNoteError
		switch {
		case n.err == nil || known[string(n.text)]:
		case shared && errors.As(n.err, &unverified):
			r.Others++
		case n.beginningOf(known):
		default:
			r.Problems = append(r.Problems, Problem{Err: fmt.Errorf("%s, note %d: %w: %v", n.file, i+1, ErrSeal, n.err)})
		}
	}
}

// beginningOf says whether a text is the beginning of a note.
func (n *witnessNote) beginningOf(known map[string]bool) bool {
	for k := range known {
		if strings.HasPrefix(k, strings.TrimSuffix(string(n.text), "\n")) {
			return true
		}
	}
	return false
}

// cover compares the seals of sessions with heads.notes and the witness. The last ones may be missing there, after a crash or where the file could not be
// written; none that stands before another one.
func (r *Record) cover(heads, witness []*witnessNote) {
	has := func(notes []*witnessNote) map[string]bool {
		m := map[string]bool{}
		for _, n := range notes {
			m[string(n.text)] = true
		}
		return m
	}
	inHeads, inWitness := has(heads), has(witness)
	for _, s := range r.Sessions {
		later := false
		for _, n := range slices.Backward(s.notes) {
			if later && !inHeads[n.text] {
				r.Problems = append(r.Problems, Problem{Session: s.ID, Line: n.line, Err: fmt.Errorf("%w: its seal is not in %s, which has later ones", ErrMissing, headsFile)})
			}
			later = later || inHeads[n.text]
		}
		if len(s.notes) > 0 {
			s.Witnessed = inWitness[s.notes[len(s.notes)-1].text]
		}
	}
}

// witnessNote is a note as it stands in a file beside the journals.
type witnessNote struct {
	file string
	text []byte
	seal Seal
	err  error
}

func (n *witnessNote) open(keys []string) { n.seal, n.err = OpenSeal(n.text, keys...) }

// readNotes reads the notes of a file, oldest first.
func readNotes(name string) ([]*witnessNote, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var out []*witnessNote
	for _, text := range splitNotes(b) {
		out = append(out, &witnessNote{file: filepath.Base(name), text: text})
	}
	return out, nil
}

// splitNotes cuts a file where notes begin, and behind their signatures. Whatever stands between is taken for a note.
func splitNotes(b []byte) (notes [][]byte) {
	begin, signature := []byte("\n"+sealOrigin+"\n"), []byte("\n\n\u2014 ")
	add := func(text []byte) {
		if text = bytes.Trim(text, "\n"); len(text) > 0 {
			notes = append(notes, append(bytes.Clone(text), '\n'))
		}
	}
	for rest := b; len(rest) > 0; {
		end := len(rest)
		if i := bytes.Index(rest[1:], begin); i >= 0 {
			end = i + 1
		}
		one := rest[:end]
		rest = rest[end:]
		if i := bytes.Index(one, signature); i >= 0 {
			i += len(signature)
			if n := bytes.IndexByte(one[i:], '\n'); n >= 0 {
				add(one[:i+n])
				one = one[i+n:]
			}
		}
		add(one)
	}
	return notes
}
