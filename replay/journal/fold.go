package journal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"respect/replay"
)

// Change is the state of one change, folded from the events of all sessions. There is no other place that says it.
type Change struct {
	ID       string
	Session  string
	Time     time.Time // of the intent
	Intent   replay.Intent
	Planned  replay.Planned
	Decided  replay.Decided
	Saved    *replay.Saved
	Outcome  *replay.Outcome
	Recovery *replay.Recovery
	Status   replay.Status
	CutOff   bool   // no outcome and no recovery, and its session is not running any more
	Doubtful bool   // its outcome is unknown, and nobody has looked since
	Running  bool   // no outcome yet, and its session is
	UndoneBy string // the change that took it back, if one did
	// PartlyUndoneBy are the changes that took a part of it back and stand; ResumedBy those that did what it had left.
	PartlyUndoneBy, ResumedBy []string
	// Pruned says that its files were deleted, at PrunedAt; nil if they were not.
	Pruned   *replay.Pruned
	PrunedAt time.Time
}

// AfterHash is the hash of after.idx that the record has, or "".
func (c *Change) AfterHash() string {
	if c.Outcome != nil {
		return c.Outcome.After
	}
	if c.Recovery != nil {
		return c.Recovery.After
	}
	return ""
}

// ValidChange says whether a change's id is one that can stand in a path. What else the record calls a change is none: somebody else wrote it.
func ValidChange(id string) bool {
	if id == "" || len(id) > 64 || strings.HasPrefix(id, ".") {
		return false
	}
	return strings.IndexFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	}) < 0
}

// Changes folds sessions into the changes that were tried: those with an intent, oldest first. What was declined or only
// previewed is none. Sessions must be in the order in which they were opened.
func Changes(sessions []*Session) ([]*Change, error) {
	f := folder{byID: map[string]*Change{}}
	for _, s := range sessions {
		for _, e := range s.Events {
			if err := f.event(s, e); err != nil {
				return nil, fmt.Errorf("session %s, seq %d: %w", s.ID, e.Seq, err)
			}
		}
	}
	var out []*Change
	for _, c := range f.byID {
		if c.Intent.Change != "" {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *Change) int {
		if d := a.Time.Compare(b.Time); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	live := map[string]bool{}
	for _, s := range sessions {
		live[s.ID] = s.Live
	}
	for _, c := range out {
		settle(c, live[c.Session])
	}
	// Newest first: when an undo is looked at, it is known whether it was itself undone.
	for _, c := range slices.Backward(out) {
		markUndone(f.byID, c)
	}
	return out, nil
}

type folder struct{ byID map[string]*Change }

func (f *folder) change(id string, s *Session) *Change {
	c := f.byID[id]
	if c == nil {
		c = &Change{ID: id, Session: s.ID}
		f.byID[id] = c
	}
	return c
}

func (f *folder) event(s *Session, e replay.Event) error {
	var body struct{ Change string }
	switch e.Kind {
	case replay.KindPlanned, replay.KindDecided, replay.KindSaved, replay.KindIntent, replay.KindOutcome, replay.KindRecovery, replay.KindPruned:
		if err := e.Decode(&body); err != nil {
			return err
		}
	default:
		return nil
	}
	if !ValidChange(body.Change) {
		return nil
	}
	c := f.change(body.Change, s)
	switch e.Kind {
	case replay.KindPlanned:
		return e.Decode(&c.Planned)
	case replay.KindDecided:
		return e.Decode(&c.Decided)
	case replay.KindSaved:
		var more replay.Saved // schema work saves what it takes when it takes it
		if err := e.Decode(&more); err != nil {
			return err
		}
		if c.Saved == nil {
			c.Saved = &replay.Saved{Change: more.Change}
		}
		c.Saved.Files = append(c.Saved.Files, more.Files...)
		c.Saved.Documents += more.Documents
		c.Saved.Bytes += more.Bytes
		return nil
	case replay.KindIntent:
		c.Time, c.Session = e.Time, s.ID
		return e.Decode(&c.Intent)
	case replay.KindOutcome:
		c.Outcome = new(replay.Outcome)
		return e.Decode(c.Outcome)
	case replay.KindRecovery:
		c.Recovery = new(replay.Recovery)
		return e.Decode(c.Recovery)
	case replay.KindPruned:
		c.Pruned, c.PrunedAt = new(replay.Pruned), e.Time
		return e.Decode(c.Pruned)
	}
	return nil
}

func settle(c *Change, live bool) {
	switch {
	case c.Recovery != nil:
		c.Status = c.Recovery.Status
	case c.Outcome != nil:
		c.Status = c.Outcome.Status
		c.Doubtful = c.Status == replay.StatusUnknown
	default:
		c.Status, c.Running, c.CutOff = replay.StatusUnknown, live, !live
	}
}

// markUndone: a change is undone when an undo of it was applied as a whole and not itself undone. An undo of a part, and one that left documents alone, is
// noted; so is a change that did the rest of one.
func markUndone(byID map[string]*Change, by *Change) {
	stands := by.Status == replay.StatusApplied || by.Status == replay.StatusPartly
	if c := byID[by.Intent.Undoes]; c != nil {
		switch {
		case by.Status == replay.StatusApplied && by.Intent.Only == "":
			c.Status, c.UndoneBy = replay.StatusUndone, by.ID
		case stands:
			c.PartlyUndoneBy = append(c.PartlyUndoneBy, by.ID)
		}
	}
	if c := byID[by.Intent.Resumes]; c != nil && stands {
		c.ResumedBy = append(c.ResumedBy, by.ID)
	}
}
