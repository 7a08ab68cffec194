// Package render turns documents, plans, facts and receipts into text. Pure: values in, text out; the one importer of fatih/color.
//
// All text that comes from a server or from a script passes Safe or Quote on its way: nothing in it can act on a terminal, and nothing can
// forge a preview. A danger is told by a word, never by colour alone.
package render

import (
	"fmt"
	"strings"
	"time"

	"github.com/fatih/color"

	"respect/guard/environment"
	"respect/guard/plan"
	"respect/replay"
)

// Style says how text is to be shown.
type Style struct {
	Color  bool
	Width  int // columns; 0 means 80
	Height int // lines; 0 is as many as it takes
	// AtOnce says that policy runs what is previewed at once: without a question, a backup and an undo.
	AtOnce bool
	// Instead is what a preview says that no answer of one person would confirm; "" says nothing.
	Instead string
}

// AtOnce is why there is neither backup nor undo of what policy runs at once.
const AtOnce = "policy runs it here at once, without a question or a backup"

func (s Style) width() int {
	if s.Width <= 0 {
		return 80
	}
	return s.Width
}

func (s Style) paint(text string, attrs ...color.Attribute) string {
	if !s.Color {
		return text
	}
	c := color.New(attrs...)
	c.EnableColor()
	return c.Sprint(text)
}

// EnvironmentName is the environment in capitals.
func EnvironmentName(e environment.Environment) string {
	if e == environment.Unknown {
		return "UNKNOWN, TREATED AS PRODUCTION"
	}
	return strings.ToUpper(e.String())
}

func (s Style) environment(e environment.Environment) string {
	name := " " + EnvironmentName(e) + " "
	switch e.Effective() {
	case environment.Production:
		return s.paint(name, color.FgHiWhite, color.BgRed, color.Bold)
	case environment.Staging:
		return s.paint(name, color.FgBlack, color.BgYellow)
	}
	return s.paint(name, color.FgBlack, color.BgGreen)
}

// Bar is a Banner that nobody overlooks: on a terminal with colours it is as wide as the screen.
func (s Style) Bar(e environment.Environment, deployment string) string {
	text := EnvironmentName(e) + "  " + Safe(deployment)
	if !s.Color {
		return text
	}
	text += strings.Repeat(" ", max(s.width()-1-Width(text), 1))
	switch e.Effective() {
	case environment.Production:
		return s.paint(text, color.FgHiWhite, color.BgRed, color.Bold)
	case environment.Staging:
		return s.paint(text, color.FgBlack, color.BgYellow)
	}
	return s.paint(text, color.FgBlack, color.BgGreen)
}

// Banner is the line that everything about a deployment begins with: the environment, then its name.
func (s Style) Banner(e environment.Environment, deployment string) string {
	return strings.TrimLeft(s.environment(e), " ") + " " + Safe(deployment)
}

// Bytes is a size for people.
func Bytes(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// Receipt is what a change came to, as it is shown.
type Receipt struct {
	Environment       environment.Environment
	Deployment        string
	Change            string
	Status            replay.Status
	Predicted, Actual []replay.Count
	Skipped, Alarm    []string
	Error             string
	Undoes            string
	Took              time.Duration
	Batches           int64
	ReadBack          int64
	Resumable         bool // what was left can be done with resume
}

// Receipt sets predicted beside actual, with an alarm where they differ.
func (s Style) Receipt(r Receipt) string {
	var out []string
	word := map[replay.Status]string{
		replay.StatusApplied: "applied", replay.StatusPartly: "PARTLY APPLIED", replay.StatusRejected: "REJECTED, nothing was changed", replay.StatusUnknown: "OUTCOME UNKNOWN",
	}[r.Status]
	attr := color.FgGreen
	if r.Status != replay.StatusApplied {
		attr = color.FgHiRed
	}
	took := ""
	if r.Took >= time.Second {
		took = fmt.Sprintf("  in %v", r.Took.Round(100*time.Millisecond))
	}
	changed := int64(0)
	for _, c := range r.Actual {
		changed += c.Changed()
	}
	if changed > 0 && r.ReadBack > 0 {
		took += fmt.Sprintf("  read back %s of %s", plan.Number(r.ReadBack), plan.Number(changed))
	}
	out = append(out, "", s.Banner(r.Environment, r.Deployment), fmt.Sprintf("%s  change %s%s", s.paint(word, attr, color.Bold), Safe(r.Change), took))
	for _, c := range r.Actual {
		out = append(out, "  "+Safe(countLine(c, find(r.Predicted, c.Namespace))))
	}
	for _, a := range r.Alarm {
		out = append(out, prefixed(s.paint("ALARM    ", color.FgHiRed, color.Bold), Safe(a), s.width())...)
	}
	const most = 10
	for i, x := range r.Skipped {
		if i == most {
			out = append(out, fmt.Sprintf("skipped  … and %d more: respect changes show %s", len(r.Skipped)-most, Safe(r.Change)))
			break
		}
		out = append(out, prefixed("skipped  ", Safe(x), s.width())...)
	}
	if r.Error != "" {
		out = append(out, prefixed("stopped  ", Safe(r.Error), s.width())...)
	}
	if r.Resumable {
		out = append(out, "to look at what is left, as it is now: resume "+Safe(r.Change))
	}
	if r.Status != replay.StatusRejected {
		verb := "to take it back: undo "
		if r.Undoes != "" {
			verb = "to make the change again: undo "
		}
		out = append(out, verb+Safe(r.Change))
	}
	return strings.Join(out, "\n") + "\n"
}

func prefixed(label, text string, width int) []string {
	lines := Wrap(text, width-10)
	for i := range lines {
		if i == 0 {
			lines[i] = label + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", 9) + lines[i]
		}
	}
	return lines
}

func find(counts []replay.Count, ns string) replay.Count {
	for _, c := range counts {
		if c.Namespace == ns {
			return c
		}
	}
	return replay.Count{Namespace: ns}
}

// countLine sets what was done beside what was predicted.
func countLine(actual, predicted replay.Count) string {
	parts := []string{actual.Namespace + ":"}
	switch {
	case actual.Schema != "":
		parts = append(parts, actual.Schema)
	case predicted.Schema != "":
		parts = append(parts, predicted.Schema+": not done")
	}
	for _, n := range []struct {
		name         string
		actual, want int64
	}{
		{"deleted", actual.Deleted, predicted.Deleted}, {"updated", actual.Updated, predicted.Updated},
		{"replaced", actual.Replaced, predicted.Replaced}, {"inserted", actual.Inserted, predicted.Inserted},
	} {
		switch {
		case actual.Schema != "" && n.actual > 0:
			parts = append(parts, fmt.Sprintf("%s %s", n.name, plan.Plural(n.actual, "document")))
		case actual.Schema == "" && (n.actual > 0 || n.want > 0):
			parts = append(parts, fmt.Sprintf("%s %s (predicted %s)", n.name, plan.Number(n.actual), plan.Number(n.want)))
		}
	}
	if actual.Skipped > 0 {
		parts = append(parts, fmt.Sprintf("skipped %s", plan.Number(actual.Skipped)))
	}
	if len(parts) == 1 {
		parts = append(parts, "done")
	}
	return strings.Join(parts, " ")
}

// Evidence is the reasoning of the classifier.
func (s Style) Evidence(env environment.Environment, deployment string, evidence []environment.Evidence) string {
	out := []string{s.Banner(env, deployment)}
	for _, e := range evidence {
		says := "says nothing"
		if e.Decides {
			says = "says " + e.Says.String()
		}
		if e.Scope != "" {
			says += " for " + Safe(e.Scope)
		}
		lines := Wrap(Safe(e.Why), s.width()-36)
		for i, l := range lines {
			if i == 0 {
				out = append(out, fmt.Sprintf("  %-9s %-22s %s", e.Source, says, l))
			} else {
				out = append(out, strings.Repeat(" ", 35)+l)
			}
		}
	}
	if environment.Disagree(evidence) {
		out = append(out, "the evidence disagrees; the most dangerous answer counts: "+env.Effective().String())
	}
	if env == environment.Unknown {
		why := "nothing says what this is"
		for _, e := range evidence {
			if e.Decides {
				why = "what this is cannot be told for sure"
			}
		}
		out = append(out, why+", so it is treated as production; to say it: respect mark ENVIRONMENT URI")
	}
	return strings.Join(out, "\n") + "\n"
}

// Refusal marks the lines of a refusal.
func (s Style) Refusal(lines []string) string {
	var out []string
	for i, l := range lines {
		l = Safe(l)
		if i == 0 {
			l = s.paint(l, color.FgHiRed, color.Bold)
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n") + "\n"
}
