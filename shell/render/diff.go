package render

import (
	"slices"
	"strings"

	"github.com/fatih/color"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay/diff"
	"respect/replay/document"
)

// Diff are the lines that show what differs between two documents, behind so many blanks: paths in a column, then values. Paths of unknown are those at which after
// is not known. Where a line is too narrow for a value it is cut, or, of a whole diff, broken.
//
//	items.44.qty: 5 → 4
//	tags.2:       gone 'x'
//	address:      - { street: '0 Hill Road', …
//	              + null
func (s Style) Diff(before, after bson.Raw, indent int, whole bool, unknown ...string) (out []string) {
	changes := diff.Between(before, after, unknown...)
	column := 0
	for _, c := range changes {
		if w := Width(c.Lines()[0].Label) + 2; w <= s.width()/3 {
			column = max(column, w)
		}
	}
	l := layout{Style: s, indent: indent, column: column, whole: whole}
	for _, c := range changes {
		out = append(out, l.change(c)...)
	}
	return out
}

// layout is how the lines of a diff are put on a screen.
type layout struct {
	Style
	indent, column int
	whole          bool
}

// room is how wide a line may be.
func (l layout) room() int { return l.width() - 1 - l.indent }

func (l layout) change(c diff.Change) (out []string) {
	lines := c.Lines()
	if c.Kind == diff.Changed && len(lines) == 1 {
		return l.indented(l.changed(lines[0]))
	}
	for i, x := range lines {
		text := l.parts(x.Parts)
		if i == 0 {
			out = append(out, l.fitted(l.label(x.Label), text)...)
			continue
		}
		out = append(out, l.fitted("  ", text)...)
	}
	return l.indented(out)
}

func (l layout) indented(lines []string) []string {
	for i := range lines {
		lines[i] = strings.Repeat(" ", l.indent) + lines[i]
	}
	return lines
}

// label is a path with what keeps the values in one column.
func (l layout) label(path string) string {
	if path == "" {
		return ""
	}
	path += ":"
	return path + strings.Repeat(" ", max(l.column-Width(path), 1))
}

func (l layout) parts(parts []diff.Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(l.part(p, p.Text))
	}
	return b.String()
}

func (l layout) part(p diff.Part, text string) string {
	switch {
	case p.IsOld():
		return l.paint(text, color.FgRed)
	case p.IsNew():
		return l.paint(text, color.FgGreen)
	}
	return text
}

// changed puts old and new on one line, or, where that is too narrow, one below the other, so that neither is cut for the other's sake.
func (l layout) changed(x diff.Line) (out []string) {
	label, text := l.label(x.Label), l.parts(x.Parts)
	if Width(label)+Width(text) <= l.room() {
		return []string{label + text}
	}
	old, now := diff.Part{}, diff.Part{}
	for _, p := range x.Parts {
		if p.IsOld() {
			old = p
		}
		if p.IsNew() {
			now = p
		}
	}
	note := ""
	if last := x.Parts[len(x.Parts)-1]; last.Sign == 0 {
		note = last.Text
	}
	blank := label
	if Width(label) > l.width()/2 { // a long path has a line of its own
		out, blank = l.fitted("", strings.TrimRight(label, " ")), "  "
		label = blank
	}
	text = "+ " + now.Text
	if !l.whole { // the types stay
		text = Cut(text, l.room()-Width(blank)-Width(note))
	}
	out = append(out, l.fitted(label, l.part(old, "- "+old.Text))...)
	return append(out, l.fitted(strings.Repeat(" ", Width(blank)), l.part(now, text)+note)...)
}

// fitted is text behind a label, on as many lines as it takes, or cut.
func (l layout) fitted(label, text string) (out []string) {
	if !l.whole {
		return []string{Cut(label+text, l.room())}
	}
	blank := strings.Repeat(" ", min(Width(label), l.width()/2))
	if Width(label) > Width(blank) { // a long path has lines of its own
		out, label, blank = WrapKeeping(strings.TrimRight(label, " "), l.room()), "  ", "  "
	}
	for i, line := range WrapKeeping(text, l.room()-Width(blank)) {
		if i == 0 {
			out = append(out, label+line)
		} else {
			out = append(out, blank+line)
		}
	}
	return out
}

// Document is all of a document that comes or goes, as the shell prints it, each line behind a mark.
func (s Style) Document(mark string, doc bson.Raw, indent int) []string {
	var out []string
	for line := range strings.SplitSeq(Value(doc), "\n") {
		for _, part := range WrapKeeping(line, s.width()-3-indent) {
			out = append(out, strings.Repeat(" ", indent)+s.marked(mark, part))
		}
	}
	return out
}

// Marked is a document on one line behind a mark, as much of it as there is room for.
func (s Style) Marked(mark string, doc bson.Raw, indent int) string {
	return strings.Repeat(" ", indent) + s.marked(mark, Inline(doc, s.width()-3-indent))
}

func (s Style) marked(mark, text string) string {
	switch text = mark + " " + text; mark {
	case "-":
		return s.paint(text, color.FgRed)
	case "+":
		return s.paint(text, color.FgGreen)
	}
	return text
}

// Fields are some fields of a document on one line, as far as it has them.
func (s Style) Fields(doc bson.Raw, names []string) string {
	var parts []string
	for _, f := range first(doc, names, false) {
		if f.Key != "_id" || slices.Contains(names, "_id") {
			parts = append(parts, document.Key(f.Key)+": "+Inline(f.Value, 60))
		}
	}
	return strings.Join(parts, ", ")
}
