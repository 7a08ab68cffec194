// Package render turns documents, plans, facts and receipts into text. Pure: values in, text out; the one importer of fatih/color.
//
// All text that comes from a server or from a script passes Safe or Quote on its way: nothing in it can act on a terminal, and nothing can
// forge a preview. A danger is told by a word, never by colour alone.
package render

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/fatih/color"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/environment"
	"respect/guard/plan"
	"respect/replay"
)

// Style says how text is to be shown.
type Style struct {
	Color bool
	Width int // columns; 0 means 80
}

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

// Banner is the line that everything about a deployment begins with: the environment, then its name.
func (s Style) Banner(e environment.Environment, deployment string) string {
	return strings.TrimLeft(s.environment(e), " ") + " " + Safe(deployment)
}

var labels = map[plan.Severity]string{plan.Danger: "DANGER", plan.Warn: "WARNING", plan.Info: ""}

func (s Style) fact(f plan.Fact) []string {
	const indent = 9
	lines := Wrap(Safe(f.Text), s.width()-indent-1)
	label := fmt.Sprintf("%-*s", indent, labels[f.Severity])
	switch f.Severity {
	case plan.Danger:
		label = s.paint(label, color.FgHiRed, color.Bold)
	case plan.Warn:
		label = s.paint(label, color.FgHiYellow)
	}
	for i := range lines {
		if i == 0 {
			lines[i] = label + lines[i]
		} else {
			lines[i] = strings.Repeat(" ", indent) + lines[i]
		}
	}
	return lines
}

// Plan is a plan as it is shown: where, what, the dangers, samples, what the backup holds and what undo brings back. Height is how many lines
// the screen has; samples give way, facts do not. 0 means no limit.
func (s Style) Plan(p *plan.Plan, env environment.Environment, height int) string {
	head := []string{s.Banner(env, p.Header().Deployment), s.paint(Cut(Safe(p.Summary()), s.width()*2), color.Bold), ""}
	if p.Header().Preview {
		head[0] += "   (preview: nothing is carried out)"
	}
	for _, f := range p.Facts() {
		head = append(head, s.fact(f)...)
	}
	foot := append([]string{""}, prefixed("backup   ", Safe(backupLine(p)), s.width())...)
	foot = append(foot, prefixed("undo     ", Safe(undoLine(p)), s.width())...)
	room := height - len(head) - len(foot) - 4
	if height == 0 {
		room = 60
	}
	samples := s.samples(p, room)
	return strings.Join(append(append(head, samples...), foot...), "\n") + "\n"
}

func backupLine(p *plan.Plan) string {
	b := p.Backup()
	switch {
	case p.Empty():
		return "nothing to save"
	case b.Documents == 0:
		return "the plan; no document is changed or removed"
	}
	return fmt.Sprintf("%s, %s, on disk and read back before anything is changed", plan.Plural(b.Documents, "document"), Bytes(b.Bytes))
}

func undoLine(p *plan.Plan) string {
	possible, why := Undo(p)
	if !possible {
		return "NOT POSSIBLE: " + why
	}
	return why
}

// Undo says whether a plan can be taken back, and what that will and will not bring back.
func Undo(p *plan.Plan) (possible bool, text string) {
	for _, f := range p.Facts() {
		if f.Code == plan.Irreversible {
			return false, f.Text
		}
	}
	if p.Empty() {
		return true, "nothing to take back"
	}
	return true, "each document gets back what it holds now; one that somebody changes meanwhile is left alone, and listed"
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

// samples shows documents as they are and as they will be, as many lines as there is room for.
func (s Style) samples(p *plan.Plan, room int) []string {
	var out []string
	shown := 0
	for _, sample := range p.Samples() {
		lines := s.sample(sample)
		if len(out)+len(lines)+2 > room {
			break
		}
		out = append(out, lines...)
		shown++
	}
	if shown == 0 {
		return nil
	}
	title := fmt.Sprintf("sample (%d of %s):", shown, plan.Number(p.Documents()))
	return append([]string{"", title}, out...)
}

func (s Style) sample(x plan.Sample) []string {
	cut := func(mark string, v any, attr color.Attribute) string {
		return s.paint(mark+" "+Inline(v, s.width()-3), attr)
	}
	switch {
	case x.Before == nil:
		return []string{cut("+", x.After, color.FgGreen)}
	case x.Op == "delete":
		return []string{cut("-", x.Before, color.FgRed)}
	case x.After == nil:
		return []string{"~ " + Inline(x.Before, s.width()-3), "  (" + Safe(x.Unpredictable) + ")"}
	}
	lines := []string{"~ " + Inline(Object{{Key: "_id", Value: x.Before.Lookup("_id")}}, s.width()-3)}
	for _, d := range Diff(x.Before, x.After) {
		attr := color.FgGreen
		if strings.HasPrefix(d, "-") {
			attr = color.FgRed
		}
		lines = append(lines, s.paint("  "+Cut(d, s.width()-3), attr))
	}
	const most = 8
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("  … %d more lines", len(lines)-most))
	}
	return lines
}

// Diff says which fields differ between two documents, nested ones by their path: "- a: 1", "+ a: 2".
func Diff(before, after bson.Raw) []string { return diff("", before, after) }

func diff(prefix string, before, after bson.Raw) (out []string) {
	a, err1 := before.Elements()
	b, err2 := after.Elements()
	if err1 != nil || err2 != nil {
		return []string{"(not valid BSON)"}
	}
	line := func(mark, key string, v bson.RawValue) string {
		return mark + " " + Safe(prefix+key) + ": " + Inline(v, 200)
	}
	for _, e := range a {
		v, err := after.LookupErr(e.Key())
		switch {
		case err != nil:
			out = append(out, line("-", e.Key(), e.Value()))
		case v.Type == e.Value().Type && bytes.Equal(v.Value, e.Value().Value):
		case v.Type == bson.TypeEmbeddedDocument && e.Value().Type == bson.TypeEmbeddedDocument:
			out = append(out, diff(prefix+e.Key()+".", e.Value().Document(), v.Document())...)
		default:
			out = append(out, line("-", e.Key(), e.Value()), line("+", e.Key(), v))
		}
	}
	for _, e := range b {
		if _, err := before.LookupErr(e.Key()); err != nil {
			out = append(out, line("+", e.Key(), e.Value()))
		}
	}
	return out
}

// Instruction is the line that tells what confirms.
func (s Style) Instruction(phrase string) string {
	return "To run it, type: " + s.paint(phrase, color.Bold)
}

// Otherwise says what everything else does.
const Otherwise = "Anything else changes nothing; Ctrl-C leaves."

// Receipt is what a change came to: predicted beside actual, and an alarm where they differ.
func (s Style) Receipt(env environment.Environment, deployment, change string, status replay.Status, predicted, actual []replay.Count, skipped, alarm []string, errText, undoes string) string {
	var out []string
	word := map[replay.Status]string{
		replay.StatusApplied: "applied", replay.StatusPartly: "PARTLY APPLIED", replay.StatusRejected: "REJECTED, nothing was changed", replay.StatusUnknown: "OUTCOME UNKNOWN",
	}[status]
	attr := color.FgGreen
	if status != replay.StatusApplied {
		attr = color.FgHiRed
	}
	out = append(out, "", s.Banner(env, deployment), fmt.Sprintf("%s  change %s", s.paint(word, attr, color.Bold), Safe(change)))
	for _, c := range actual {
		out = append(out, "  "+Safe(countLine(c, find(predicted, c.Namespace))))
	}
	for _, a := range alarm {
		out = append(out, prefixed(s.paint("ALARM    ", color.FgHiRed, color.Bold), Safe(a), s.width())...)
	}
	const most = 10
	for i, x := range skipped {
		if i == most {
			out = append(out, fmt.Sprintf("skipped  … and %d more: respect changes show %s", len(skipped)-most, Safe(change)))
			break
		}
		out = append(out, prefixed("skipped  ", Safe(x), s.width())...)
	}
	if errText != "" {
		out = append(out, prefixed("stopped  ", Safe(errText), s.width())...)
	}
	if status != replay.StatusRejected {
		verb := "to take it back: undo "
		if undoes != "" {
			verb = "to make the change again: undo "
		}
		out = append(out, verb+Safe(change))
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
	if actual.Schema != "" {
		parts = append(parts, actual.Schema)
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
