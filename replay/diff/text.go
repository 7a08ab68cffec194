package diff

import (
	"fmt"
	"strings"
	"unicode"

	"respect/replay/document"
)

// Hunk is one difference in a long text, with what stands around it. All of it is safe on a terminal.
type Hunk struct {
	At       int    // the character where it begins in the old text, from 1
	Head     string // before it, with … where something is left out
	Old, New string
	Tail     string
}

const (
	longText = 100 // characters, of both texts together, that are shown whole
	around   = 24  // characters of what is the same, on either side
)

// hunks are the differences between two long texts, or printed values of one type; none of short ones, and of those that have nothing in common.
func hunks(was, is document.Value) []Hunk {
	old, ok1 := was.Text()
	now, ok2 := is.Text()
	escape := func(s string) string { return document.Escape(s, -1) }
	if !ok1 || !ok2 {
		old, now, escape = was.String(), is.String(), func(s string) string { return s }
	}
	if len([]rune(old))+len([]rune(now)) <= longText {
		return nil
	}
	return between(words(old), words(now), escape)
}

// words cuts a text where it may be cut. Together they are the text.
func words(s string) (out []string) {
	start, last := 0, 0
	for i, r := range s {
		kind := 3
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_':
			kind = 1
		case unicode.IsSpace(r):
			kind = 2
		}
		if i > start && (kind != last || kind == 3 || i-start >= 32) {
			out, start = append(out, s[start:i]), i
		}
		last = kind
	}
	return append(out, s[start:])
}

// edit is a run of words that others took the place of.
type edit struct{ i0, i1, j0, j1 int }

func between(a, b []string, escape func(string) string) (out []Hunk) {
	edits := edits(a, b)
	var joined []edit // with those that stand so near that what surrounds them is the same
	for _, e := range edits {
		if n := len(joined); n > 0 && length(a[joined[n-1].i1:e.i0]) <= around {
			joined[n-1].i1, joined[n-1].j1 = e.i1, e.j1
			continue
		}
		joined = append(joined, e)
	}
	if len(joined) == 1 && joined[0].i0 == 0 && joined[0].i1 == len(a) {
		return nil // nothing is the same
	}
	for _, e := range joined {
		out = append(out, Hunk{
			At: length(a[:e.i0]) + 1, Head: escape(ending(strings.Join(a[:e.i0], ""))), Old: escape(strings.Join(a[e.i0:e.i1], "")), New: escape(strings.Join(b[e.j0:e.j1], "")),
			Tail: escape(beginning(strings.Join(a[e.i1:], ""))),
		})
	}
	return out
}

func length(list []string) (n int) {
	for _, s := range list {
		n += len([]rune(s))
	}
	return n
}

// ending is the end of what stands before a difference, from the begin of a word if there is one.
func ending(s string) string {
	r := []rune(s)
	if len(r) <= around {
		return s
	}
	r = r[len(r)-around:]
	for i, c := range r[:around/2] {
		if unicode.IsSpace(c) {
			r = r[i+1:]
			break
		}
	}
	return "…" + string(r)
}

// beginning is the begin of what stands behind one, to the end of a word if there is one.
func beginning(s string) string {
	r := []rune(s)
	if len(r) <= around {
		return s
	}
	r = r[:around]
	for i := around - 1; i > around/2; i-- {
		if unicode.IsSpace(r[i]) {
			r = r[:i]
			break
		}
	}
	return string(r) + "…"
}

func edits(a, b []string) (out []edit) {
	number := map[string]int{}
	numbers := func(list []string) []int {
		n := make([]int, len(list))
		for i, s := range list {
			if _, has := number[s]; !has {
				number[s] = len(number)
			}
			n[i] = number[s]
		}
		return n
	}
	i, j := 0, 0
	for _, m := range append(matches(numbers(a), numbers(b)), [2]int{len(a), len(b)}) {
		if i < m[0] || j < m[1] {
			out = append(out, edit{i, m[0], j, m[1]})
		}
		i, j = m[0]+1, m[1]+1
	}
	return out
}

// Part is a piece of a line: what was there, what is there now, or neither.
type Part struct {
	Sign byte // '-', '+', or 0
	Text string
}

// IsOld says that it was there.
func (p Part) IsOld() bool { return p.Sign == '-' }

// IsNew says that it is there now.
func (p Part) IsNew() bool { return p.Sign == '+' }

// Line is a change, or a part of one, as it is shown. Of several lines of a change the first has the label.
type Line struct {
	Label string // its path, and what to it
	Parts []Part
}

// String is the line without anything that only looks tell.
func (l Line) String() string {
	var b strings.Builder
	if l.Label != "" {
		b.WriteString(l.Label + ": ")
	} else {
		b.WriteString("  ")
	}
	for _, p := range l.Parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// String is the change as it is shown, on lines.
func (c Change) String() string {
	var out []string
	for _, l := range c.Lines() {
		out = append(out, l.String())
	}
	return strings.Join(out, "\n")
}

// Lines are the change as it is shown. Nothing is shortened, but what is the same in long texts.
func (c Change) Lines() []Line {
	name := c.Path
	note := []Part{}
	if c.Note != "" {
		note = append(note, Part{0, "  (" + c.Note + ")"})
	}
	line := func(parts ...Part) []Line { return []Line{{name, append(parts, note...)}} }
	switch c.Kind {
	case Gone:
		return line(Part{0, "gone "}, Part{'-', c.Old.String()})
	case New:
		return line(Part{0, "new "}, Part{'+', c.New.String()})
	case Moved:
		return line(Part{0, "moved to " + c.To + " "}, Part{0, c.Old.String()})
	case Renamed:
		return line(Part{0, "renamed to " + c.To + " "}, Part{0, c.Old.String()})
	case Unknown:
		return line(Part{0, "not known beforehand"})
	case Order:
		if name = "order of fields"; c.Path != "" {
			name = "order in " + c.Path
		}
		return line(Part{'-', strings.Join(c.oldOrder, ", ")}, Part{0, " → "}, Part{'+', strings.Join(c.newOrder, ", ")})
	}
	if c.To != "" {
		name += " (now " + c.To + ")"
	}
	if len(c.Hunks) == 0 {
		old, now := c.Old.String(), c.New.String()
		return line(Part{'-', old}, Part{0, " → "}, Part{'+', now})
	}
	var out []Line
	for i, h := range c.Hunks {
		at := Part{0, fmt.Sprintf("at character %d", h.At)}
		if i == 0 {
			out = append(out, Line{name, append([]Part{at}, note...)})
		} else {
			out = append(out, Line{"", []Part{at}})
		}
		out = append(out,
			Line{"", []Part{{0, "- " + h.Head}, {'-', h.Old}, {0, h.Tail}}},
			Line{"", []Part{{0, "+ " + h.Head}, {'+', h.New}, {0, h.Tail}}})
	}
	return out
}
