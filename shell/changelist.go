package shell

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"respect/guard/plan"
	"respect/replay"
	"respect/replay/journal"
	"respect/shell/render"
)

// Stamp is how times are written for people, everywhere: UTC, as they are recorded.
const Stamp = "2006-01-02 15:04:05Z"

// ChangeFilter says which changes are wanted. Its zero value wants all.
type ChangeFilter struct {
	Since, Until time.Time // not before, and before
	User         string    // a part of user@host
	Namespace    string    // a namespace, or a database
}

// Of are the changes that it lets through.
func (f ChangeFilter) Of(changes []*journal.Change) (out []*journal.Change) {
	for _, c := range changes {
		if f.lets(c) {
			out = append(out, c)
		}
	}
	return out
}

func (f ChangeFilter) lets(c *journal.Change) bool {
	switch {
	case !f.Since.IsZero() && c.Time.Before(f.Since), !f.Until.IsZero() && !c.Time.Before(f.Until),
		!strings.Contains(strings.ToLower(c.Who.User+"@"+c.Who.Host), strings.ToLower(f.User)):
		return false
	}
	return f.Namespace == "" || slices.ContainsFunc(c.Intent.Counts, func(n replay.Count) bool {
		db, _, _ := strings.Cut(n.Namespace, ".")
		return n.Namespace == f.Namespace || db == f.Namespace
	})
}

// ListChanges says of each change who made it, when, why and how, and what came of it, in the order in which they were made.
func ListChanges(changes []*journal.Change) string {
	if len(changes) == 0 {
		return "nothing was changed from here\n"
	}
	var b strings.Builder
	for _, c := range changes {
		listChange(&b, c)
	}
	return b.String()
}

func listChange(b *strings.Builder, c *journal.Change) {
	fmt.Fprintf(b, "%s  %s  %-8s %-11s %s\n", render.Safe(c.ID), c.Time.UTC().Format(Stamp), render.Safe(shortStatus(c)), render.Safe(strings.ToUpper(c.Intent.Environment)), render.Safe(c.Intent.Summary))
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "  %-5s %s\n", name, render.Safe(text))
		}
	}
	line("who", whoMade(c)+" on "+c.Intent.Deployment)
	line("why", c.Reason)
	line("what", firstLine(c.Statement))
	line("done", came(c))
	if c.CutOff {
		fmt.Fprintf(b, "  its session ended in the middle of it; to find out what was done, and take it back: respect undo %s\n", render.Safe(c.ID))
	}
}

func shortStatus(c *journal.Change) string {
	switch {
	case c.CutOff:
		return "CUT OFF"
	case c.Running:
		return "running"
	}
	return string(c.Status)
}

// whoMade is the person, as far as the record knows.
func whoMade(c *journal.Change) string {
	switch {
	case c.Who.User == "":
		return "somebody"
	case c.Who.Host == "":
		return c.Who.User
	}
	return c.Who.User + "@" + c.Who.Host
}

// firstLine is the begin of a statement, and how much follows.
func firstLine(text string) string {
	const long = 300
	first, rest, more := strings.Cut(strings.TrimSpace(text), "\n")
	switch {
	case more:
		return render.Cut(first, long) + " … and " + plan.Plural(int64(strings.Count(rest, "\n")+1), "line") + " more"
	default:
		return render.Cut(first, long)
	}
}

// came is what came of a change: counts as the server had them, fields as they were foreseen.
func came(c *journal.Change) string {
	var parts []string
	for _, n := range c.Done() {
		parts = append(parts, did(n))
	}
	if c.Status == replay.StatusRejected {
		parts = []string{"nothing was changed"}
	}
	if f := fieldsText(c); f != "" && len(parts) > 0 && c.Status != replay.StatusRejected {
		parts = append(parts, f)
	}
	if c.UndoneBy != "" {
		parts = append(parts, "taken back by "+c.UndoneBy)
	}
	for _, id := range c.PartlyUndoneBy {
		parts = append(parts, "a part was taken back by "+id)
	}
	if o := c.Outcome; o != nil && o.Error != "" {
		parts = append(parts, "stopped: "+o.Error)
	}
	return strings.Join(parts, "; ")
}

// fieldsText names the fields that changed: as they were foreseen, if not all of it was done.
func fieldsText(c *journal.Change) string {
	const most = 5
	fields := c.Planned.Fields
	var parts []string
	for _, f := range fields[:min(len(fields), most)] {
		text := f.Path
		for _, x := range []struct {
			n    int64
			says string
		}{{f.Gone, "gone"}, {f.Changed, "changed"}, {f.New, "new"}} {
			if x.n > 0 {
				text += fmt.Sprintf(" %s in %s", x.says, plan.Number(x.n))
			}
		}
		parts = append(parts, text)
	}
	if more := len(fields) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d fields more", more))
	}
	if len(parts) == 0 {
		return ""
	}
	if c.Outcome == nil || c.Outcome.Status != replay.StatusApplied {
		return "fields, as foreseen: " + strings.Join(parts, ", ")
	}
	return "fields: " + strings.Join(parts, ", ")
}

// ShowChange is all that the record has of one change, for people: what it was, the preview as it was shown, what was answered, what was predicted beside what was
// done, and what became of it.
func ShowChange(c *journal.Change) (string, error) {
	screen, err := c.Screen()
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
	line("time", "%s", c.Time.UTC().Format(Stamp))
	line("session", "%s", c.Session)
	line("who", "%s", whoMade(c))
	if c.Reason != "" {
		line("reason", "%s", c.Reason)
	}
	if c.Statement != "" {
		line("statement", "%s", strings.TrimSpace(c.Statement))
	}
	for _, x := range []struct{ name, id string }{{"undoes", c.Intent.Undoes}, {"only", c.Intent.Only}, {"resumes", c.Intent.Resumes}} {
		if x.id != "" {
			line(x.name, "%s", x.id)
		}
	}
	showAnswer(line, c, screen)
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
	return b.String(), err
}

func showAnswer(line func(name, format string, a ...any), c *journal.Change, screen string) {
	if screen = strings.Trim(screen, "\n"); screen != "" {
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
	if o := c.Outcome; o != nil && o.Micros > 0 {
		line("took", "%v, %s", (time.Duration(o.Micros) * time.Microsecond).Round(time.Millisecond), batches(o.Batches))
	}
	if c.Recovery != nil {
		line("found later", "%s", c.Recovery.Found)
	}
	for _, p := range c.Predicted() {
		line("predicted", "%s", did(p))
	}
	for _, n := range c.Done() {
		line("did", "%s", did(n))
	}
	if f := fieldsText(c); f != "" {
		line("", "%s", f)
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
