package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fatih/color"

	"respect/guard/environment"
	"respect/guard/plan"
)

// A plan on the screen has one layout, whatever the change:
//
//	PRODUCTION  where                     the environment first
//	what it does, to how many of how many
//
//	DANGER   …                            every one, always
//	WARNING  …
//	changes  field: what happens to it    the most important fields first
//	         what else there is to say
//	sample   why this document
//	  - before
//	  + after
//
//	backup   what is saved first
//	undo     what it brings back, and what not
//
//	To run it, type: …
//	Anything else changes nothing …
//
// Where it does not fit, what gives way is, in this order: samples, information, fields, warnings, and the ends of long sentences. Dangers stay: the last
// thing that happens to them is that they are named by their codes.

// labelWidth is that of the first column.
const labelWidth = 9

var labels = map[plan.Severity]string{plan.Danger: "DANGER", plan.Warn: "WARNING", plan.Info: ""}

// Plan is a plan as it is shown. phrase is what confirms it; "" if nothing is asked. Height of the Style is how many lines there are: 0 is as many as it takes.
func (s Style) Plan(p *plan.Plan, env environment.Environment, phrase string) string {
	head := s.planHead(p, env)
	foot := s.planFoot(p, phrase)
	body := s.planBody(p)
	if s.Height > 0 {
		body.fit(s, s.Height-1-len(head)-len(foot))
	}
	return strings.Join(slices.Concat(head, body.lines(), foot), "\n") + "\n"
}

func (s Style) planHead(p *plan.Plan, env environment.Environment) []string {
	head := []string{s.Bar(env, p.Header().Deployment)}
	if p.Header().Preview {
		head[0] += "   (preview: nothing is carried out)"
	}
	what := Wrap(Safe(p.Summary()+share(p)), s.width())
	const most = 2
	if len(what) > most {
		what = append(what[:most-1], Cut(strings.Join(what[most-1:], " "), s.width()))
	}
	for _, l := range what {
		head = append(head, s.paint(l, color.Bold))
	}
	return append(head, "")
}

// share is the part of the collection that a plan of one namespace changes.
func share(p *plan.Plan) string {
	counts := p.Counts()
	if p.Estimate() || len(counts) != 1 || counts[0].Total == nil || *counts[0].Total <= 0 || counts[0].Schema != "" || counts[0].Inserted > 0 {
		return ""
	}
	n, total := counts[0].Changed(), *counts[0].Total
	switch {
	case n == 0:
		return ""
	case n >= total:
		return ": ALL of it"
	case n*100 < total:
		return ": under 1 %"
	}
	return fmt.Sprintf(": %d %%", min(n*100/total, 99))
}

func (s Style) planFoot(p *plan.Plan, phrase string) []string {
	saved, back := backupLine(p), undoLine(p)
	if s.AtOnce && !p.Empty() {
		saved, back = "none: "+AtOnce, "nothing takes it back"
	}
	foot := append([]string{""}, s.Labelled("backup", saved)...)
	foot = append(foot, s.Labelled("undo", back)...)
	if s.Instead != "" {
		foot = append(foot, "")
		return append(foot, Wrap("Nothing was carried out; "+Safe(s.Instead), s.width())...)
	}
	if phrase == "" {
		return foot
	}
	if p.Header().Preview {
		asks := "Nothing was carried out. The statement itself asks for: " + s.paint(phrase, color.Bold)
		if p.Estimate() {
			asks = "Nothing was carried out. The statement itself asks whether to look at all of it."
		}
		return append(foot, "", asks)
	}
	return append(foot, s.asks(p, phrase)...)
}

// asks is what is asked for.
func (s Style) asks(p *plan.Plan, phrase string) []string {
	if p.Estimate() {
		return []string{"", "This is an estimate, and cannot be run. To look at all of it, type: " + s.paint("full", color.Bold), otherwise(p)}
	}
	return []string{"", s.Instruction(phrase), otherwise(p)}
}

// otherwise says what everything else does.
func otherwise(p *plan.Plan) string {
	switch {
	case p.Divisible() && !p.Estimate():
		return "Anything else changes nothing. Look: details, sample N, diff ID. Some: first N."
	case p.Documents() > 0:
		return "Anything else changes nothing. Look closer: details, sample N, diff ID."
	}
	return "Anything else changes nothing; Ctrl-C leaves."
}

// Labelled is text behind a label in the first column, as facts are.
func (s Style) Labelled(label, text string) []string {
	return prefixed(fmt.Sprintf("%-*s", labelWidth, label), Safe(text), s.width())
}

// Columns is text behind a word in a column of so many characters, broken at words.
func (s Style) Columns(word string, column int, text string) []string {
	lines := Wrap(Safe(text), s.width()-1-column)
	for i := range lines {
		if i > 0 {
			word = ""
		}
		lines[i] = fmt.Sprintf("%-*s", column, word) + lines[i]
	}
	return lines
}

// Title says what is looked at: the change, what became of it, the statement and what it does.
func (s Style) Title(p *plan.Plan, statement, state string) []string {
	out := []string{s.paint(Cut(fmt.Sprintf("%s: %s", Safe(p.Change()), Safe(state)), s.width()-1), color.Bold)}
	const most = 3
	lines := Wrap(Safe(strings.Join(strings.Fields(statement), " ")), s.width()-3)
	if len(lines) > most {
		lines = append(lines[:most-1:most-1], Cut(strings.Join(lines[most-1:], " "), s.width()-3))
	}
	for _, l := range lines {
		if l != "" {
			out = append(out, "  "+l)
		}
	}
	return append(out, s.Columns("", 2, p.Summary())...)
}

// Again is a question that stands again, after something was looked at: where, which dangers, and what is asked.
func (s Style) Again(p *plan.Plan, env environment.Environment, phrase string) string {
	out := []string{s.Bar(env, p.Header().Deployment)}
	out = append(out, s.Columns("", 0, p.Summary())...)
	var codes []string
	for _, f := range p.Facts() {
		if f.Severity == plan.Danger && !slices.Contains(codes, f.Code) {
			codes = append(codes, f.Code)
		}
	}
	if len(codes) > 0 {
		for i, l := range s.Columns("DANGER", labelWidth, strings.Join(codes, ", ")) {
			if i == 0 {
				l = s.paint("DANGER", color.FgHiRed, color.Bold) + strings.TrimPrefix(l, "DANGER")
			}
			out = append(out, l)
		}
	}
	return strings.Join(append(out, s.asks(p, phrase)...), "\n") + "\n"
}

// planBody is what gives way.
type planBody struct {
	dangers, warnings, infos [][]string // each fact with its lines
	codes, warned            []string   // of dangers and warnings
	changes                  []string
	hidden                   int // fields that changes has not any more; the last line says so, if cut
	cut                      bool
	found                    []string // how the documents are found
	samples                  [][]string
	short                    []string // samples on one line each
	more                     []bool   // of samples: there is one of its kind before it
	of                       int64    // documents
	style                    Style
}

func (s Style) planBody(p *plan.Plan) *planBody {
	b := &planBody{of: p.Documents(), style: s}
	for _, f := range p.Facts() {
		switch lines := s.fact(f); {
		case f.Severity == plan.Danger:
			b.dangers, b.codes = append(b.dangers, lines), append(b.codes, f.Code)
		case f.Severity == plan.Warn:
			b.warnings, b.warned = append(b.warnings, lines), append(b.warned, f.Code)
		case f.Code == plan.FoundBy:
			b.found = append(b.found, oneLine(lines, s.width())...)
		case len(p.Changes()) > 0 && f.Code == plan.DistinctBefore:
			// the fields below say it
		case f.Code == plan.Matched && len(p.Counts()) == 1 && p.Counts()[0].Schema == "" && p.Documents() > 0 && p.Header().Undoes == "":
			// the second line says it
		default:
			b.infos = append(b.infos, lines)
		}
	}
	b.changes = s.changes(p)
	kinds := map[string]bool{}
	for _, x := range p.Samples() {
		kind := x.NS + "\x00" + x.Op
		b.samples, b.short, b.more = append(b.samples, s.sample(x)), append(b.short, s.short(x)), append(b.more, kinds[kind])
		kinds[kind] = true
	}
	return b
}

// lines are what is left, in the order of the layout.
func (b *planBody) lines() (out []string) {
	for _, part := range [][][]string{b.dangers, b.warnings} {
		out = append(out, slices.Concat(part...)...)
	}
	out = append(out, b.changes...)
	out = append(out, b.found...)
	out = append(out, slices.Concat(b.infos...)...)
	if len(b.samples) > 0 {
		out = append(out, fmt.Sprintf("%-*s%d of %s", labelWidth, "sample", len(b.samples), plan.Plural(b.of, "document")))
		out = append(out, slices.Concat(b.samples...)...)
	}
	return out
}

// fit takes away what does not fit into so many lines.
func (b *planBody) fit(s Style, room int) {
	over := func() int { return len(b.lines()) - room }
	b.fitSamples(over)
	for len(b.infos) > 0 && over() > 0 {
		b.infos = b.infos[:len(b.infos)-1]
	}
	for i := len(b.found) - 1; i > 0 && over() > 0; i-- {
		b.found = b.found[:i]
	}
	b.fitChanges(over, 5)
	for i := len(b.samples) - 1; i >= 0 && over() > 0; i-- {
		b.samples[i] = []string{b.short[i]}
	}
	if len(b.samples) > 1 {
		b.fitChanges(over, 3)
	}
	for len(b.samples) > 0 && over() > 0 {
		b.samples = b.samples[:len(b.samples)-1]
	}
	b.fitChanges(over, 2)
	for i := len(b.warnings) - 1; i >= 0 && over() > 0; i-- {
		b.warnings[i] = oneLine(b.warnings[i], s.width())
	}
	for i := len(b.dangers) - 1; i >= 0 && over() > 0; i-- {
		b.dangers[i] = oneLine(b.dangers[i], s.width())
	}
	if over() > 0 {
		b.found = nil
	}
	if over() > 0 {
		b.changes = nil
	}
	b.warnings = b.byCode(b.warnings, b.warned, "WARNING", over, color.FgHiYellow)
	b.dangers = b.byCode(b.dangers, b.codes, "DANGER", over, color.FgHiRed, color.Bold)
}

// fitChanges leaves out fields, but for so many lines.
func (b *planBody) fitChanges(over func() int, least int) {
	n := over()
	if n <= 0 || len(b.changes) <= least {
		return
	}
	keep := max(len(b.changes)-n-1, least-1)
	b.hidden += len(b.changes) - keep
	if b.cut {
		b.hidden--
	}
	b.cut = true
	b.changes = append(b.changes[:keep:keep], fmt.Sprintf("%*s… and %s: details", labelWidth, "", plan.Plural(int64(b.hidden), "more field")))
}

// fitSamples leaves out samples that are not the first of their kind, then lines of those that are.
func (b *planBody) fitSamples(over func() int) {
	for i := len(b.samples) - 1; i >= 0 && over() > 0; i-- {
		if i < len(b.more) && b.more[i] {
			b.samples, b.short = slices.Delete(b.samples, i, i+1), slices.Delete(b.short, i, i+1)
		}
	}
	for over() > 0 {
		longest := -1
		for i, x := range b.samples {
			const least = 3 // which document, one difference, and that there are more
			if len(x) > least && (longest < 0 || len(x) > len(b.samples[longest])) {
				longest = i
			}
		}
		if longest < 0 {
			return
		}
		b.samples[longest] = shortened(b.samples[longest])
	}
}

// shortened is a sample with one line less, and a word that there is more.
func shortened(lines []string) []string {
	return append(slices.Clone(lines[:len(lines)-2]), ellipsis+" more: diff shows all of it")
}

// ellipsis begins the line that says that a sample has more.
const ellipsis = "    …"

// byCode names the last facts by their codes, on one line, as many as do not fit.
func (b *planBody) byCode(facts [][]string, codes []string, label string, over func() int, attrs ...color.Attribute) [][]string {
	n := over()
	if n <= 0 || len(facts) < 2 {
		return facts
	}
	keep := max(len(facts)-n-1, 0)
	text := fmt.Sprintf("and %d more, see details: %s", len(facts)-keep, strings.Join(codes[keep:], ", "))
	line := b.style.paint(fmt.Sprintf("%-*s", labelWidth, label), attrs...) + Cut(Safe(text), b.style.width()-labelWidth)
	return append(facts[:keep:keep], []string{line})
}

// oneLine is a fact shortened to one line.
func oneLine(lines []string, width int) []string {
	if len(lines) < 2 {
		return lines
	}
	first := lines[0]
	if next := strings.TrimSpace(lines[1]); next != "" {
		first = Cut(first+" "+next, width-1)
	}
	return []string{first}
}

func (s Style) fact(f plan.Fact) []string {
	lines := Wrap(Safe(f.Text), s.width()-labelWidth-1)
	label := fmt.Sprintf("%-*s", labelWidth, labels[f.Severity])
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
			lines[i] = strings.Repeat(" ", labelWidth) + lines[i]
		}
	}
	return lines
}

func backupLine(p *plan.Plan) string {
	b := p.Backup()
	switch {
	case p.Empty():
		return "nothing to save"
	case p.Estimate():
		return "none: an estimate changes nothing"
	case b.Documents == 0:
		return "the plan; no document is changed or removed"
	}
	return fmt.Sprintf("%s, %s, on disk and read back first", plan.Plural(b.Documents, "document"), Bytes(b.Bytes))
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
	if p.Empty() || p.Estimate() {
		return true, "nothing to take back"
	}
	text = takenBack(p)
	for _, f := range p.Facts() {
		if f.Code == plan.PartialUndo {
			text = "not everything comes back: " + f.Text
			break
		}
	}
	return true, text
}

// takenBack says what an undo of a plan does.
func takenBack(p *plan.Plan) string {
	documents := "puts documents back; what others changed since stays, and is listed"
	var inserted, changed int64
	for _, c := range p.Counts() {
		inserted, changed = inserted+c.Inserted, changed+c.Changed()-c.Inserted
	}
	switch {
	case inserted > 0 && changed == 0:
		documents = "deletes what was inserted; what others changed since stays, and is listed"
	case inserted > 0:
		documents = "puts documents back, deletes new ones; what others changed since stays"
	}
	if len(p.Steps()) == 0 {
		return documents
	}
	words := map[string]string{
		plan.DoDrop: "makes the collection again, with its documents, indexes and options", plan.DoDropEmpty: "creates the collection again, empty",
		plan.DoCreate: "drops the collection if it is still empty", plan.DoRename: "renames it back, if the name is still free",
		plan.DoDropIndexes: "builds the indexes again", plan.DoCreateIndexes: "drops the indexes again", plan.DoRun: "sets back what was there before",
	}
	dropped := 0
	for _, st := range p.Steps() {
		if st.Do == plan.DoDrop {
			dropped++
		}
	}
	if dropped > 1 {
		words[plan.DoDrop] = "makes the collections again, with their documents, indexes and options"
	}
	var parts []string
	for _, st := range p.Steps() {
		w := words[st.Do]
		if st.Keep {
			w = "gives the collection that was kept aside its name back"
		}
		if !slices.Contains(parts, w) {
			parts = append(parts, w)
		}
	}
	if p.Documents() > 0 {
		parts = append(parts, documents)
	}
	return strings.Join(parts, "; ")
}

// Instruction is the line that tells what confirms.
func (s Style) Instruction(phrase string) string {
	return "To run it, type: " + s.paint(phrase, color.Bold)
}
