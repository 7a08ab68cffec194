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
// replay verify's to say.
func ReadChanges(stateDir string) ([]*journal.Change, error) {
	sessions, err := journal.ReadIndexed(stateDir)
	if err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	return journal.Changes(sessions)
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
		fmt.Fprintf(&b, "%s  %s  %-8s %-11s %s\n", c.ID, c.Time.Local().Format("2006-01-02 15:04:05"), status, strings.ToUpper(c.Intent.Environment), render.Safe(c.Intent.Summary))
		if c.CutOff {
			fmt.Fprintf(&b, "  its session ended in the middle of it; to find out what was done, and take it back: respect undo %s\n", c.ID)
		}
	}
	return b.String()
}

// ShowChange is all that the record has of one change, for people.
func ShowChange(c *journal.Change) string {
	var b strings.Builder
	line := func(name, format string, a ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, render.SafeLines(fmt.Sprintf(format, a...)))
	}
	line("change", "%s", c.ID)
	line("time", "%s", c.Time.UTC().Format(time.RFC3339))
	line("environment", "%s", c.Intent.Environment)
	line("deployment", "%s (%s)", c.Intent.Deployment, c.Intent.URI)
	line("session", "%s", c.Session)
	line("summary", "%s", c.Intent.Summary)
	if c.Intent.Undoes != "" {
		line("undoes", "%s", c.Intent.Undoes)
	}
	for _, f := range c.Planned.Facts {
		line("fact", "%-8s %s: %s", f.Severity, f.Code, f.Text)
	}
	line("answered", "%s (%s)", render.Quote(c.Decided.Answer), c.Decided.Manner)
	if c.Saved != nil {
		line("backup", "%d document(s), %s, %d file(s)", c.Saved.Documents, render.Bytes(c.Saved.Bytes), len(c.Saved.Files))
	}
	status := string(c.Status)
	if c.CutOff {
		status += ": its session ended in the middle of it"
	}
	line("status", "%s", status)
	if c.Outcome != nil {
		for _, n := range c.Outcome.Counts {
			line("did", "%s", did(n))
		}
		for _, x := range c.Outcome.Skipped {
			line("skipped", "%s", x)
		}
		for _, x := range c.Outcome.Alarm {
			line("ALARM", "%s", x)
		}
		if c.Outcome.Error != "" {
			line("stopped", "%s", c.Outcome.Error)
		}
	}
	if c.Recovery != nil {
		line("found later", "%s", c.Recovery.Found)
	}
	if u := undoState(c); u.Possible {
		line("undo", "respect undo %s", c.ID)
	} else {
		line("undo", "%s", u.Reason)
	}
	return b.String()
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
