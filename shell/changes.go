package shell

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/journal"
	"respect/shell/render"
)

// ReadChanges is the record of a state directory as far as it tells of changes. It looks at what tells of them alone; that the rest verifies is
// replay verify's to say. Where a journal does not verify, what it says behind that place is missing: whoever looks at the changes must be told the problems.
func ReadChanges(stateDir string) (changes []*journal.Change, problems []journal.Problem, err error) {
	record, err := journal.Indexed(stateDir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the record: %w", err)
	}
	return record.Changes, record.AllProblems(), nil
}

// Unverified says of each problem what it means for the changes.
func Unverified(problems []journal.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "warning: the record does not verify: %s; what was changed behind that place is not known here\n", render.Safe(p.String()))
	}
	return b.String()
}

func changeDir(stateDir, id string) string { return filepath.Join(stateDir, "changes", id) }

// FindChange finds a change by its id or the beginning or end of one; without an id, the last that stands.
func FindChange(changes []*journal.Change, id string) (*journal.Change, error) {
	if id == "" {
		return LastChange(changes)
	}
	var found []*journal.Change
	for _, c := range changes {
		if c.ID == id {
			return c, nil
		}
		if strings.HasPrefix(c.ID, id) || strings.HasSuffix(c.ID, id) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("there is no change %q; respect changes lists them", id)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%q means %d changes; give more of the id", id, len(found))
}

// lineage says what takes back what, so that undo goes back one change after the other, and redo forward.
type lineage struct {
	changes []*journal.Change
	byID    map[string]*journal.Change
}

func lineageOf(changes []*journal.Change) lineage {
	h := lineage{changes, map[string]*journal.Change{}}
	for _, c := range changes {
		h.byID[c.ID] = c
	}
	return h
}

// back says whether a change takes something back; what takes back such a change makes again what was. root is what it all began with.
func (h lineage) back(c *journal.Change) (back bool, root *journal.Change) {
	for range len(h.changes) { // no longer than there are changes: who wrote a circle was not this program
		of := h.byID[c.Intent.Undoes]
		if of == nil {
			return back != (c.Intent.Undoes != ""), c
		}
		back, c = !back, of
	}
	return back, c
}

func standing(c *journal.Change) bool {
	return !c.Running && c.Status != replay.StatusRejected && c.Status != replay.StatusUndone && c.Planned.Class != "security" // a marker is not taken back
}

// LastChange is the one that undo without an id takes back: the last that stands, was not taken back as far as it could be, and takes nothing back itself.
func LastChange(changes []*journal.Change) (*journal.Change, error) {
	h := lineageOf(changes)
	for _, c := range slices.Backward(changes) {
		back, root := h.back(c)
		if !back && standing(c) && standing(root) && !h.exhausted(c) {
			return c, nil
		}
	}
	if _, err := LastUndo(changes); err == nil {
		return nil, errors.New("there is no change to take back; redo makes again the one that was taken back last")
	}
	return nil, errors.New("there is no change to take back")
}

// exhausted says that all of a change was to be taken back, and that what was left alone then is still not as the change left it.
func (h lineage) exhausted(c *journal.Change) bool {
	return slices.ContainsFunc(c.PartlyUndoneBy, func(id string) bool { return h.byID[id] != nil && h.byID[id].Intent.Only == "" })
}

// LastUndo is the one that redo takes back: the last that took something back and stands.
func LastUndo(changes []*journal.Change) (*journal.Change, error) {
	h := lineageOf(changes)
	for _, c := range slices.Backward(changes) {
		if back, _ := h.back(c); back && standing(c) && !h.exhausted(c) {
			return c, nil
		}
	}
	return nil, errors.New("nothing was taken back that could be made again")
}

// ChangeJSON is a change as --json prints it. Its form is part of the outside contract.
type ChangeJSON struct {
	ID          string   `json:"id"`
	Time        string   `json:"time"` // RFC 3339
	Environment string   `json:"environment"`
	Deployment  string   `json:"deployment"`
	Namespaces  []string `json:"namespaces"`
	Summary     string   `json:"summary"`
	Status      string   `json:"status"`
	Undo        UndoJSON `json:"undo"`
	// The following are beyond the contract.
	Session   string         `json:"session,omitempty"`
	User      string         `json:"user,omitempty"`
	Host      string         `json:"host,omitempty"`
	Reason    string         `json:"reason,omitempty"`
	Statement string         `json:"statement,omitempty"` // that it came from; secrets redacted
	Fields    []replay.Field `json:"fields,omitempty"`    // that changed, as they were foreseen
	Undoes    string         `json:"undoes,omitempty"`
	UndoneBy  string         `json:"undoneBy,omitempty"`
	CutOff    bool           `json:"cutOff,omitempty"`
	Counts    []replay.Count `json:"counts,omitempty"`
	Skipped   []string       `json:"skipped,omitempty"`
	Alarm     []string       `json:"alarm,omitempty"`
}

// UndoJSON says whether something can be taken back.
type UndoJSON struct {
	Possible bool   `json:"possible"`
	Reason   string `json:"reason"`
}

// FullChangeJSON is a change as changes show --json prints it.
type FullChangeJSON struct {
	ChangeJSON
	Class     string         `json:"class"`
	Manner    string         `json:"manner"` // how the answer came
	Digest    string         `json:"digest"` // of the plan
	Facts     []replay.Fact  `json:"facts"`
	Screen    string         `json:"screen"` // the preview, as it was shown
	Phrase    string         `json:"phrase"`
	Answer    string         `json:"answer"`
	Backup    *replay.Saved  `json:"backup"` // null if none was made
	Predicted []replay.Count `json:"predicted"`
	Error     string         `json:"error,omitempty"`
	Took      float64        `json:"took"` // seconds
	Batches   int64          `json:"batches"`
	Found     string         `json:"found,omitempty"` // later, if it was cut off
	PartlyBy  []string       `json:"partlyUndoneBy"`
	ResumedBy []string       `json:"resumedBy"`
	Only      string         `json:"only,omitempty"`
	Resumes   string         `json:"resumes,omitempty"`
	Pruned    *replay.Pruned `json:"pruned"` // null if its files are there
}

// ToFullJSON is all that the record has of a change.
func ToFullJSON(c *journal.Change) (FullChangeJSON, error) {
	screen, err := c.Screen()
	out := FullChangeJSON{
		ChangeJSON: ToJSON(c), Class: c.Planned.Class, Manner: c.Decided.Manner, Digest: c.Intent.Digest, Facts: notNil(c.Planned.Facts), Screen: screen,
		Phrase: c.Decided.Phrase, Answer: c.Decided.Answer, Backup: c.Saved, Predicted: notNil(c.Predicted()), PartlyBy: notNil(c.PartlyUndoneBy), ResumedBy: notNil(c.ResumedBy),
		Only: c.Intent.Only, Resumes: c.Intent.Resumes, Pruned: c.Pruned,
	}
	if o := c.Outcome; o != nil {
		out.Error, out.Took, out.Batches = o.Error, (time.Duration(o.Micros) * time.Microsecond).Seconds(), o.Batches
	}
	if c.Recovery != nil {
		out.Found = c.Recovery.Found
	}
	return out, err
}

// ToJSON is a change for --json.
func ToJSON(c *journal.Change) ChangeJSON {
	out := ChangeJSON{
		ID: c.ID, Time: c.Time.UTC().Format(time.RFC3339), Environment: c.Intent.Environment, Deployment: c.Intent.Deployment, Namespaces: []string{},
		Summary: c.Intent.Summary, Status: string(c.Status), Undo: undoState(c), Session: c.Session, Undoes: c.Intent.Undoes, UndoneBy: c.UndoneBy, CutOff: c.CutOff,
	}
	for _, n := range c.Intent.Counts {
		out.Namespaces = append(out.Namespaces, n.Namespace)
	}
	if c.Outcome != nil {
		out.Skipped, out.Alarm = c.Outcome.Skipped, c.Outcome.Alarm
	}
	out.Counts = c.Done()
	out.User, out.Host, out.Reason, out.Statement, out.Fields = c.Who.User, c.Who.Host, c.Reason, c.Statement, c.Planned.Fields
	return out
}

func undoState(c *journal.Change) UndoJSON {
	switch {
	case c.Running:
		return UndoJSON{false, "it is being carried out by another session"}
	case c.Pruned != nil:
		return UndoJSON{false, "its backup was deleted on " + c.PrunedAt.Format("2006-01-02") + ": " + c.Pruned.Why}
	case c.Status == replay.StatusUndone:
		return UndoJSON{false, "it was taken back by " + c.UndoneBy}
	case c.Status == replay.StatusRejected:
		return UndoJSON{false, "it changed nothing"}
	case c.Planned.Class == "security":
		return UndoJSON{false, "a marker is not taken back; respect mark writes another one"}
	case c.CutOff:
		return UndoJSON{true, "it was cut off; undo looks at each document and puts back what was changed"}
	}
	return UndoJSON{true, "undo " + c.ID}
}
