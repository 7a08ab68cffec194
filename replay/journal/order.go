package journal

import (
	"bytes"
	"cmp"
	"container/heap"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// The order of sessions and changes is that of the chain, since clocks are set back:
//
//	in a session            the order of its lines
//	between sessions        one that names another in "previous" began after that had ended
//	what takes back         comes after what it takes back; what does the rest, after what left it
//	where these leave it    the order of seals in heads.notes, to which every session appends as it goes
//	where there are none    the names of sessions, which are times
//
// Who can write to the state directory can swap notes of sessions that ran at the same time. Nothing else of this order is theirs to choose.

// notePlaces are where the seals of sessions stand among all: by session, the line that was sealed and its place, in the order of lines.
type notePlaces map[string][]notePlace

type notePlace struct {
	seq uint64
	at  int
}

// places are those of notes that were read.
func places(notes []*witnessNote) notePlaces {
	out := notePlaces{}
	for i, n := range notes {
		if n.err == nil {
			out[n.seal.Session] = append(out[n.seal.Session], notePlace{n.seal.Seq, i})
		}
	}
	return out.sort()
}

// unverifiedPlaces are those of heads.notes, of which nothing was verified: they order what is shown, and prove nothing.
func unverifiedPlaces(stateDir string) notePlaces {
	b, err := os.ReadFile(filepath.Join(stateDir, headsFile))
	if err != nil {
		return nil // an order there is all the same
	}
	out := notePlaces{}
	for i, text := range splitNotes(b) {
		lines := bytes.SplitN(text, []byte("\n"), 4)
		if len(lines) < 4 {
			continue
		}
		var seq uint64
		if n, err := fmt.Sscanf(string(lines[2]), "%d", &seq); n == 1 && err == nil {
			out[string(lines[1])] = append(out[string(lines[1])], notePlace{seq, i})
		}
	}
	return out.sort()
}

func (p notePlaces) sort() notePlaces {
	for _, list := range p {
		slices.SortFunc(list, func(a, b notePlace) int { return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.at, b.at)) })
	}
	return p
}

// of is the place of the seal that covers a line first; of a line that none covers, that of the last before it; -1 if there is none.
func (p notePlaces) of(session string, seq uint64) int {
	at := -1
	for _, n := range p[session] {
		at = n.at
		if n.seq >= seq {
			break
		}
	}
	return at
}

// step is the begin of a session, a change of it, or its end.
type step struct {
	session *Session
	change  *Change
	note    int // place of its seal
	rank    int // of the session, as it came
	seq     uint64
	waits   int // for so many others
	then    []*step
	done    bool
}

func (s *step) before(o *step) bool {
	return cmp.Or(cmp.Compare(s.note, o.note), cmp.Compare(s.rank, o.rank), cmp.Compare(s.seq, o.seq)) < 0
}

func (s *step) wait(for_ *step) {
	s.waits++
	for_.then = append(for_.then, s)
}

// inOrder are the sessions as they began, and the changes that were tried as they were.
func inOrder(sessions []*Session, changes map[string]*Change, noted notePlaces) (began []*Session, tried []*Change) {
	all := steps(sessions, changes, noted)
	ready := &queue{}
	for _, s := range all {
		if s.waits == 0 {
			heap.Push(ready, s)
		}
	}
	for left := len(all); left > 0; left-- {
		if ready.Len() == 0 { // a circle: somebody else wrote this, and any order will do
			i := slices.IndexFunc(all, func(s *step) bool { return !s.done })
			all[i].waits = 0
			heap.Push(ready, all[i])
		}
		s := heap.Pop(ready).(*step)
		s.done = true
		switch {
		case s.change != nil:
			tried = append(tried, s.change)
		case s.session != nil:
			began = append(began, s.session)
		}
		for _, t := range s.then {
			if t.waits--; t.waits == 0 && !t.done {
				heap.Push(ready, t)
			}
		}
	}
	return began, tried
}

// steps are what there is to be put in order, each with what it comes after.
func steps(sessions []*Session, changes map[string]*Change, noted notePlaces) (all []*step) {
	of := map[string][]*Change{}
	for _, c := range changes {
		if c.Tried() {
			of[c.Session] = append(of[c.Session], c)
		}
	}
	begins, ends, does := map[string]*step{}, map[string]*step{}, map[string]*step{}
	for rank, s := range sessions {
		slices.SortFunc(of[s.ID], func(a, b *Change) int { return cmp.Compare(a.Seq, b.Seq) })
		last := &step{session: s, note: noted.of(s.ID, 0), rank: rank}
		begins[s.ID], all = last, append(all, last)
		for _, c := range of[s.ID] {
			next := &step{change: c, note: noted.of(s.ID, c.Seq), rank: rank, seq: c.Seq + 1}
			next.wait(last)
			does[c.ID], all, last = next, append(all, next), next
		}
		end := &step{note: last.note, rank: rank, seq: last.seq + 1}
		end.wait(last)
		ends[s.ID], all = end, append(all, end)
	}
	for _, s := range sessions {
		for _, h := range s.Open.Previous {
			if end := ends[h.Session]; end != nil && h.Session != s.ID {
				begins[s.ID].wait(end)
			}
		}
	}
	for id, s := range does {
		for _, other := range []string{s.change.Intent.Undoes, s.change.Intent.Resumes} {
			if o := does[other]; o != nil && other != id {
				s.wait(o)
			}
		}
	}
	return all
}

// queue is a heap of steps that wait for nothing.
type queue []*step

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].before(q[j]) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*step)) }
func (q *queue) Pop() any {
	old := *q
	s := old[len(old)-1]
	*q = old[:len(old)-1]
	return s
}
