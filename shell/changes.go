package shell

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"respect/guard/plan"
	"respect/replay"
	"respect/replay/journal"
	"respect/shell/render"
)

// ReadChanges folds all journals of a state directory into its changes, oldest first. It looks at what tells of changes alone; that the rest verifies is
// replay verify's to say. Where a journal does not verify, what it says behind that place is missing: whoever looks at the changes must be told the problems.
func ReadChanges(stateDir string) (changes []*journal.Change, problems []journal.Problem, err error) {
	sessions, err := journal.ReadIndexed(stateDir)
	if err != nil {
		return nil, nil, fmt.Errorf("read the record: %w", err)
	}
	changes, err = journal.Changes(sessions)
	return changes, journal.Problems(sessions), err
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

// FindChange finds a change by its id or the beginning or end of one; without an id, the last that can be taken back.
func FindChange(changes []*journal.Change, id string) (*journal.Change, error) {
	if id == "" {
		for i := len(changes) - 1; i >= 0; i-- {
			switch changes[i].Status {
			case replay.StatusRejected, replay.StatusUndone:
				continue
			}
			if !changes[i].Running {
				return changes[i], nil
			}
		}
		return nil, errors.New("there is no change to take back")
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
	Session  string         `json:"session,omitempty"`
	Undoes   string         `json:"undoes,omitempty"`
	UndoneBy string         `json:"undoneBy,omitempty"`
	CutOff   bool           `json:"cutOff,omitempty"`
	Counts   []replay.Count `json:"counts,omitempty"`
	Skipped  []string       `json:"skipped,omitempty"`
	Alarm    []string       `json:"alarm,omitempty"`
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
func ToFullJSON(c *journal.Change) FullChangeJSON {
	out := FullChangeJSON{
		ChangeJSON: ToJSON(c), Class: c.Planned.Class, Manner: c.Decided.Manner, Digest: c.Intent.Digest, Facts: notNil(c.Planned.Facts), Screen: c.Decided.Screen,
		Phrase: c.Decided.Phrase, Answer: c.Decided.Answer, Backup: c.Saved, Predicted: notNil(predicted(c)), PartlyBy: notNil(c.PartlyUndoneBy), ResumedBy: notNil(c.ResumedBy),
		Only: c.Intent.Only, Resumes: c.Intent.Resumes, Pruned: c.Pruned,
	}
	if o := c.Outcome; o != nil {
		out.Error, out.Took, out.Batches = o.Error, (time.Duration(o.Micros) * time.Microsecond).Seconds(), o.Batches
	}
	if c.Recovery != nil {
		out.Found = c.Recovery.Found
	}
	return out
}

// predicted is what the preview said.
func predicted(c *journal.Change) []replay.Count {
	if c.Outcome != nil && c.Outcome.Predicted != nil {
		return c.Outcome.Predicted
	}
	return c.Intent.Counts
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
		out.Counts, out.Skipped, out.Alarm = c.Outcome.Counts, c.Outcome.Skipped, c.Outcome.Alarm
	}
	if c.Recovery != nil {
		out.Counts = c.Recovery.Counts
	}
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

// ListChanges is a table of changes for people, oldest first.
func ListChanges(changes []*journal.Change) string {
	if len(changes) == 0 {
		return "nothing was changed from here\n"
	}
	var b strings.Builder
	for _, c := range changes {
		status := string(c.Status)
		switch {
		case c.CutOff:
			status = "CUT OFF"
		case c.Running:
			status = "running"
		}
		fmt.Fprintf(&b, "%s  %s  %-8s %-11s %s\n",
			render.Safe(c.ID), c.Time.Local().Format("2006-01-02 15:04:05"), render.Safe(status), render.Safe(strings.ToUpper(c.Intent.Environment)), render.Safe(c.Intent.Summary))
		if c.CutOff {
			fmt.Fprintf(&b, "  its session ended in the middle of it; to find out what was done, and take it back: respect undo %s\n", render.Safe(c.ID))
		}
	}
	return b.String()
}

// ShowChange is all that the record has of one change, for people: what it was, the preview as it was shown, what was answered, what was predicted beside what was
// done, and what became of it.
func ShowChange(c *journal.Change) string {
	var b strings.Builder
	line := func(name, format string, a ...any) {
		text := strings.ReplaceAll(render.SafeLines(fmt.Sprintf(format, a...)), "\n", "\n"+strings.Repeat(" ", 13))
		fmt.Fprintf(&b, "%-12s %s\n", name, text)
	}
	status := string(c.Status)
	switch {
	case c.CutOff:
		status += ": its session ended in the middle of it"
	case c.Running:
		status = "running"
	}
	line("change", "%s", c.ID)
	line("status", "%s", status)
	line("summary", "%s", c.Intent.Summary)
	line("environment", "%s", c.Intent.Environment)
	line("deployment", "%s (%s)", c.Intent.Deployment, c.Intent.URI)
	line("time", "%s", c.Time.UTC().Format(time.RFC3339))
	line("session", "%s", c.Session)
	for _, x := range []struct{ name, id string }{{"undoes", c.Intent.Undoes}, {"only", c.Intent.Only}, {"resumes", c.Intent.Resumes}} {
		if x.id != "" {
			line(x.name, "%s", x.id)
		}
	}
	showAnswer(line, c)
	showReceipt(line, c)
	if u := undoState(c); u.Possible {
		line("undo", "respect undo %s", c.ID)
	} else {
		line("undo", "%s", u.Reason)
	}
	for _, id := range c.PartlyUndoneBy {
		line("", "a part was taken back by %s", id)
	}
	for _, id := range c.ResumedBy {
		line("", "what it had left was done by %s", id)
	}
	return b.String()
}

func showAnswer(line func(name, format string, a ...any), c *journal.Change) {
	if screen := strings.Trim(c.Decided.Screen, "\n"); screen != "" {
		line("shown", "| %s", strings.ReplaceAll(screen, "\n", "\n| "))
	} else {
		for _, f := range c.Planned.Facts {
			line("fact", "%-8s %s: %s", f.Severity, f.Code, f.Text)
		}
	}
	if c.Decided.Phrase == "" {
		line("answered", "nothing: policy asks no question")
	} else {
		line("answered", "%s (%s)", render.Quote(c.Decided.Answer), c.Decided.Manner)
	}
	if c.Saved != nil {
		line("backup", "%s, %s, %s", plan.Plural(c.Saved.Documents, "document"), render.Bytes(c.Saved.Bytes), plan.Plural(int64(len(c.Saved.Files)), "file"))
	}
}

func showReceipt(line func(name, format string, a ...any), c *journal.Change) {
	actual := []replay.Count(nil)
	if o := c.Outcome; o != nil {
		actual = o.Counts
		if o.Micros > 0 {
			line("took", "%v, %s", (time.Duration(o.Micros) * time.Microsecond).Round(time.Millisecond), batches(o.Batches))
		}
	}
	if c.Recovery != nil {
		actual = c.Recovery.Counts
		line("found later", "%s", c.Recovery.Found)
	}
	for _, p := range predicted(c) {
		line("predicted", "%s", did(p))
	}
	for _, n := range actual {
		line("did", "%s", did(n))
	}
	if o := c.Outcome; o != nil {
		for _, x := range o.Skipped {
			line("left alone", "%s", x)
		}
		for _, x := range o.Alarm {
			line("ALARM", "%s", x)
		}
		if o.Error != "" {
			line("stopped", "%s", o.Error)
		}
	}
}

func did(c replay.Count) string {
	parts := []string{c.Namespace + ":"}
	if c.Schema != "" {
		parts = append(parts, c.Schema)
	}
	for _, n := range []struct {
		name string
		n    int64
	}{{"deleted", c.Deleted}, {"updated", c.Updated}, {"replaced", c.Replaced}, {"inserted", c.Inserted}, {"skipped", c.Skipped}} {
		if n.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", n.name, plan.Number(n.n)))
		}
	}
	return strings.Join(parts, " ")
}

func batches(n int64) string {
	if n == 1 {
		return "1 batch"
	}
	return plan.Number(n) + " batches"
}
