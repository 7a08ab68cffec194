package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"respect/replay"
)

// Change is the state of one change, folded from the events of all sessions. There is no other place that says it.
type Change struct {
	ID      string
	Session string // that has its intent; of what was not tried, its plan
	Seq     uint64 // of the intent in its session
	Time    time.Time
	Who     replay.Who // of the session
	Reason  string     // that was given in the session before
	// Statement is the entry that it came from: secrets redacted, and "" where the record does not tell.
	Statement string
	Planned   replay.Planned
	Decided   replay.Decided // without its screen: Screen reads it
	Saved     *replay.Saved
	Intent    replay.Intent
	Outcome   *replay.Outcome
	Recovery  *replay.Recovery
	Status    replay.Status
	CutOff    bool   // no outcome and no recovery, and its session is not running any more
	Doubtful  bool   // its outcome is unknown, and nobody has looked since
	Running   bool   // no outcome yet, and its session is
	UndoneBy  string // the change that took it back, if one did
	// PartlyUndoneBy are the changes that took a part of it back and stand; ResumedBy those that did what it had left.
	PartlyUndoneBy, ResumedBy []string
	// Pruned says that its files were deleted, at PrunedAt; nil if they were not.
	Pruned   *replay.Pruned
	PrunedAt time.Time

	screen     func() (string, error)
	recoveries []recovered
}

// recovered is what one session found out of a change.
type recovered struct {
	session string
	replay.Recovery
}

// Tried says whether it has an intent: what was declined or only previewed has none.
func (c *Change) Tried() bool { return c.Intent.Change != "" }

// Screen is the preview as it was shown; "" if there was none.
func (c *Change) Screen() (string, error) {
	if c.screen == nil {
		return "", nil
	}
	return c.screen()
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

// Predicted is what the preview said that it would do.
func (c *Change) Predicted() []replay.Count {
	if c.Outcome != nil && c.Outcome.Predicted != nil {
		return c.Outcome.Predicted
	}
	return c.Intent.Counts
}

// Done is what it did, as far as anybody knows. What only the plan can know, how many documents matched and how many there were, is the plan's.
func (c *Change) Done() []replay.Count {
	var counts []replay.Count
	switch {
	case c.Recovery != nil:
		counts = slices.Clone(c.Recovery.Counts)
	case c.Outcome != nil:
		counts = slices.Clone(c.Outcome.Counts)
	}
	for i := range counts {
		for _, p := range c.Predicted() {
			if p.Namespace != counts[i].Namespace || p.Schema != counts[i].Schema {
				continue
			}
			if counts[i].Matched == 0 {
				counts[i].Matched = p.Matched
			}
			if counts[i].Total == nil {
				counts[i].Total = p.Total
			}
			if counts[i].Unchanged == 0 {
				counts[i].Unchanged = p.Unchanged
			}
			break
		}
	}
	return counts
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

// TellsOfChange says whether a kind of event belongs to one change, and is folded into its state.
func TellsOfChange(k replay.Kind) bool { return ofChange[k] }

var ofChange = map[replay.Kind]bool{
	replay.KindPlanned: true, replay.KindDecided: true, replay.KindSaved: true, replay.KindIntent: true, replay.KindOutcome: true, replay.KindRecovery: true,
	replay.KindPruned: true,
}

// Changes folds sessions whose events are in memory into the changes that were tried: those with an intent, the first first.
func Changes(sessions []*Session) ([]*Change, error) {
	f := newFolder()
	for _, s := range sessions {
		for _, e := range s.Events {
			if err := f.event(s, e, ""); err != nil {
				return nil, fmt.Errorf("session %s, seq %d: %w", s.ID, e.Seq, err)
			}
		}
	}
	f.end(sessions, nil)
	return f.tried, nil
}

// folder takes the events of sessions, of each in their order, and makes the state of changes of them. Who verifies, who lists, who searches and who deletes
// all have it from here.
type folder struct {
	byID  map[string]*Change
	tried []*Change           // the first first, once it has ended
	of    map[string]*sayings // of sessions
}

// longStatement is how much of a statement is kept with its changes.
const longStatement = 64 << 10

// sayings are what a session has said that belongs to what follows.
type sayings struct{ reason, statement string }

func newFolder() *folder { return &folder{byID: map[string]*Change{}, of: map[string]*sayings{}} }

func (f *folder) change(id string, s *Session) *Change {
	c := f.byID[id]
	if c == nil {
		c = &Change{ID: id, Session: s.ID, Who: s.Open.Who}
		f.byID[id] = c
	}
	return c
}

// event takes one event. Its body may be used again by others when this returns. file is the journal that it stands in; "" says that the body stays.
func (f *folder) event(s *Session, e replay.Event, file string) error {
	said := f.of[s.ID]
	if said == nil {
		said = &sayings{}
		f.of[s.ID] = said
	}
	switch {
	case e.Kind == replay.KindReason:
		var b replay.Reason
		if err := e.Decode(&b); err != nil {
			return err
		}
		if b.Manner != "aborted" {
			said.reason = b.Text
		}
		return nil
	case e.Kind == replay.KindInput:
		var b replay.Input
		if err := e.Decode(&b); err != nil {
			return err
		}
		said.statement = strings.ToValidUTF8(b.Text[:min(len(b.Text), longStatement)], "")
		return nil
	case !ofChange[e.Kind]:
		return nil
	}
	var body struct{ Change string }
	if err := e.Decode(&body); err != nil {
		return err
	}
	if !ValidChange(body.Change) {
		return nil
	}
	return f.change(body.Change, s).take(s, e, *said, file)
}

// take is what one event says of a change.
func (c *Change) take(s *Session, e replay.Event, said sayings, file string) error {
	switch e.Kind {
	case replay.KindPlanned:
		return e.Decode(&c.Planned)
	case replay.KindDecided:
		return c.decided(e, file)
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
		c.Time, c.Session, c.Seq, c.Who, c.Reason, c.Statement = e.Time, s.ID, e.Seq, s.Open.Who, said.reason, said.statement
		return e.Decode(&c.Intent)
	case replay.KindOutcome:
		c.Outcome = new(replay.Outcome)
		return e.Decode(c.Outcome)
	case replay.KindRecovery:
		r := recovered{session: s.ID}
		err := e.Decode(&r.Recovery)
		c.recoveries = append(c.recoveries, r)
		return err
	case replay.KindPruned:
		c.Pruned, c.PrunedAt = new(replay.Pruned), e.Time
		return e.Decode(c.Pruned)
	}
	return nil
}

// decided keeps an answer without its screen, which is long, and how to get that.
func (c *Change) decided(e replay.Event, file string) error {
	c.Decided = replay.Decided{}
	if err := e.Decode(&c.Decided); err != nil {
		return err
	}
	c.Decided.Screen = ""
	switch {
	case file != "":
		e = leftOut(e, file)
	default:
		e.Body = json.RawMessage(bytes.Clone(e.Body))
	}
	c.screen = func() (string, error) {
		var d replay.Decided
		err := e.Decode(&d)
		return d.Screen, err
	}
	return nil
}

// end puts the changes in order and says what became of each. noted is where seals stand among those of all sessions. It returns the sessions as they began.
func (f *folder) end(sessions []*Session, noted notePlaces) []*Session {
	live := map[string]bool{}
	for _, s := range sessions {
		live[s.ID] = s.Live
	}
	sessions, f.tried = inOrder(sessions, f.byID, noted)
	rank := map[string]int{}
	for i, s := range sessions {
		rank[s.ID] = i
	}
	for _, c := range f.byID {
		last := -1
		for _, r := range c.recoveries { // of several the last
			if at := rank[r.session]; at >= last {
				c.Recovery, last = &r.Recovery, at
			}
		}
	}
	for _, c := range f.tried {
		settle(c, live[c.Session])
	}
	f.undone()
	return sessions
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

// undone says of each change whether it was taken back: when an undo of it was applied as a whole and was not itself undone. An undo of a part, and one that left
// documents alone, is noted; so is a change that did the rest of one. What a change takes back is in its intent, so that no clock and no order decides.
func (f *folder) undone() {
	undos := map[string][]*Change{}
	for _, c := range f.tried {
		if c.Intent.Undoes != "" && c.Intent.Undoes != c.ID {
			undos[c.Intent.Undoes] = append(undos[c.Intent.Undoes], c)
		}
	}
	const looking, known = 1, 2
	state := map[*Change]int{}
	var look func(*Change)
	look = func(c *Change) {
		if state[c] != 0 { // or it takes itself back, as no program of ours has it
			return
		}
		state[c] = looking
		for _, by := range undos[c.ID] {
			look(by)
			switch {
			case !stands(by):
			case by.Status == replay.StatusApplied && by.Intent.Only == "":
				c.Status, c.UndoneBy = replay.StatusUndone, by.ID
			default:
				c.PartlyUndoneBy = append(c.PartlyUndoneBy, by.ID)
			}
		}
		state[c] = known
	}
	for _, c := range f.tried {
		look(c)
	}
	for _, by := range f.tried {
		if c := f.byID[by.Intent.Resumes]; c != nil && stands(by) {
			c.ResumedBy = append(c.ResumedBy, by.ID)
		}
	}
}

// stands says whether what a change did is there.
func stands(c *Change) bool {
	return c.Status == replay.StatusApplied || c.Status == replay.StatusPartly
}
