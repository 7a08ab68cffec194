package render

import (
	"fmt"
	"strings"

	"respect/guard/plan"
)

// changes are the fields that change, one line each:
//
//	changes  price    40×: 1,100.00 … 20,900.00 → 11.00 … 209.00
//	         status   40×: 'new' (32), 'old' (8) → 'done'
//	         email    GOES 45×: it was 'a@b.c' (1), …
//	         name     renamed to title 12×
func (s Style) changes(p *plan.Plan) []string { return s.fieldLines(p, s.width()-1) }

// AllChanges is changes with whatever is known of each field.
func (s Style) AllChanges(p *plan.Plan) (out []string) {
	for _, l := range s.fieldLines(p, 1<<20) {
		text := strings.TrimPrefix(l, "changes")
		label := strings.TrimSuffix(l, text)
		out = append(out, s.Columns(label, labelWidth, strings.TrimLeft(text, " "))...)
	}
	return out
}

func (s Style) fieldLines(p *plan.Plan, width int) (out []string) {
	namespaces := map[string]bool{}
	for _, c := range p.Changes() {
		namespaces[c.Namespace] = true
	}
	names, column := make([]string, len(p.Changes())), 0
	for i, c := range p.Changes() {
		if names[i] = Safe(c.Path); len(namespaces) > 1 {
			names[i] = Safe(c.Namespace + " " + c.Path)
		}
		if w := Width(names[i]); w <= s.width()/3 {
			column = max(column, w)
		}
	}
	for i, c := range p.Changes() {
		label := ""
		if i == 0 {
			label = "changes"
		}
		head := fmt.Sprintf("%-*s%s%s  ", labelWidth, label, names[i], strings.Repeat(" ", max(column-Width(names[i]), 0)))
		out = append(out, Cut(head+pathText(c, width-Width(head)), width))
	}
	return out
}

// pathText is what happens to one field, in so many columns.
func pathText(c plan.PathChange, room int) string {
	var parts []string
	add := func(head, tail string) { parts = append(parts, head+tail) }
	for _, r := range c.Renamed {
		add("renamed to "+Safe(r.Value), " "+times(r.Documents))
	}
	if c.Removed > 0 {
		head, was := "GOES "+times(c.Removed), ""
		if c.Changed == 0 { // otherwise the values are of both
			was = valuesText(": it was ", values{c.Old, c.MoreOld, c.OldRange}, c.Removed, room-Width(head))
		}
		add(head, was)
	}
	if c.Changed > 0 {
		head := times(c.Changed)
		if len(parts) > 0 {
			head = "changes " + head
		}
		add(head, changedText(c, room-Width(head)-Width(strings.Join(parts, "; "))))
	}
	if c.Added > 0 {
		head := "is new " + times(c.Added)
		tail := ""
		if c.Changed == 0 {
			tail = valuesText(": ", values{c.New, c.MoreNew, c.NewRange}, c.Added, room-Width(head))
		}
		add(head, tail)
	}
	return strings.Join(parts, "; ")
}

func times(n int64) string { return plan.Number(n) + "×" }

// changedText are the values of a field that has others: before and after, what an array loses and gains, and the types.
func changedText(c plan.PathChange, room int) string {
	note := ""
	for _, t := range c.Types {
		note += fmt.Sprintf("  (%s → %s)", t.From, t.To)
	}
	switch {
	case c.Reordered > 0 && c.Reordered == c.Changed:
		return ": its elements in another order"
	case len(c.Lost) > 0 || c.MoreLost || len(c.Gained) > 0 || c.MoreGained:
		var parts []string
		gains := valuesText("gains ", values{c.Gained, c.MoreGained, nil}, 0, room/2)
		if loses := valuesText("loses ", values{c.Lost, c.MoreLost, nil}, 0, room-4-Width(gains)-Width(note)); loses != "" {
			parts = append(parts, loses)
		}
		if gains != "" {
			parts = append(parts, gains)
		}
		return ": " + strings.Join(parts, "; ") + note
	case len(c.Old) == 0 && len(c.New) == 0 && c.OldRange == nil && c.NewRange == nil:
		return ": values too long for this line, see sample" + note
	}
	room -= Width(note) + len(":  → ")
	now := valuesText("", values{c.New, c.MoreNew, c.NewRange}, c.Changed, room/2)
	old := valuesText("", values{c.Old, c.MoreOld, c.OldRange}, c.Changed, room-Width(now))
	switch {
	case old == "" && now == "":
		return note
	case now == "":
		now = "not known beforehand"
	}
	return ": " + old + " → " + now + note
}

// values are what a field has in many documents.
type values struct {
	list   []plan.ValueCount
	more   bool
	within *plan.Range
}

// valuesText are values in so many columns: the range of many, or the commonest few, with their number where there are several. The last of them is cut, if even one
// is too long.
func valuesText(before string, v values, of int64, room int) string {
	if v.within != nil {
		return before + v.within.From + " … " + v.within.To
	}
	if len(v.list) == 0 {
		if v.more {
			return before + "…"
		}
		return ""
	}
	text := ""
	for i, x := range v.list {
		one := Safe(x.Value)
		if len(v.list) > 1 || v.more || of > 0 && x.Documents != of {
			one += fmt.Sprintf(" (%s)", plan.Number(x.Documents))
		}
		if i > 0 {
			one = ", " + one
		}
		tail := ""
		if v.more || i < len(v.list)-1 {
			tail = ", …"
		}
		if i == 0 {
			text = Cut(one, max(room-Width(before)-Width(tail), 12))
			continue
		}
		if Width(before+text+one+tail) > room {
			return before + text + ", …"
		}
		text += one
	}
	if v.more {
		text += ", …"
	}
	return before + text
}
