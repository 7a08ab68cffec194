package render

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/plan"
)

// mostDiff are the lines of a sample that a preview has.
const mostDiff = 8

// sample is one document of a preview: its _id and what the filter asked of it, then what happens to it.
func (s Style) sample(x plan.Sample) []string {
	why := ""
	if x.Why != "" {
		why = "  (" + x.Why + ")"
	}
	room := s.width() - 5 - Width(why)
	one := func(mark string, doc any) []string { return []string{"  " + s.marked(mark, Inline(doc, room)) + why} }
	title := "  ~ " + Cut(s.Fields(x.Document(), append([]string{"_id"}, x.Asked...)), room) + why
	switch {
	case x.Before == nil:
		return one("+", x.After)
	case x.Op == "delete":
		doc := any(x.Before)
		if Width(Inline(x.Before, 1<<20)) > room {
			doc = first(x.Before, x.Asked, true)
		}
		return one("-", doc)
	case x.After == nil:
		return []string{title, "    " + Inline(x.Before, s.width()-6), "    (" + Cut(Safe(x.Unpredictable), s.width()-8) + ")"}
	}
	lines := append([]string{title}, s.Diff(x.Before, x.After, 4, false, x.Open...)...)
	if len(lines) > mostDiff {
		lines = append(lines[:mostDiff-1:mostDiff-1], fmt.Sprintf(ellipsis+" %d more lines: diff %s", len(lines)-mostDiff+1, Cut(IDText(x.Document().Lookup("_id")), 30)))
	}
	return lines
}

// short is a sample on one line: which document, and the first difference.
func (s Style) short(x plan.Sample) string {
	lines := s.sample(x)
	if x.Before == nil || x.Op == "delete" || len(lines) < 2 {
		return lines[0]
	}
	return Cut("  ~ "+IDText(x.Document().Lookup("_id"))+"  "+strings.TrimSpace(lines[1]), s.width()-1)
}

// IDText is an _id as it is given to diff: what of it is not its constructor.
func IDText(id bson.RawValue) string {
	if id.Type == bson.TypeObjectID {
		return id.ObjectID().Hex()
	}
	return Inline(id, 1000)
}

// first is a document with its _id and what it has at some paths before all other fields, or without others. What stands in an array is not told: it would be many
// values.
func first(doc bson.Raw, paths []string, all bool) Object {
	out, have := Object{{Key: "_id", Value: doc.Lookup("_id")}}, map[string]bool{"_id": true}
	for _, path := range paths {
		v, found := at(doc, path)
		switch {
		case have[path], all && strings.Contains(path, "."):
		case found && v.Type == bson.TypeArray && !all:
		case found:
			out, have[path] = append(out, Field{Key: path, Value: v}), true
		case v.Type == 0 && !all:
			out, have[path] = append(out, Field{Key: path, Value: Token("(missing)")}), true
		}
	}
	elems, _ := doc.Elements() // none
	for _, e := range elems {
		if all && !have[e.Key()] {
			out = append(out, Field{Key: e.Key(), Value: e.Value()})
		}
	}
	return out
}

// at is the value at a path through documents. On its way may be an array: then there is no one value, and it has the array's type.
func at(doc bson.Raw, path string) (v bson.RawValue, found bool) {
	v = bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}
	for part := range strings.SplitSeq(path, ".") {
		sub, ok := v.DocumentOK()
		if !ok {
			return bson.RawValue{Type: v.Type}, false
		}
		var err error
		if v, err = sub.LookupErr(part); err != nil {
			return bson.RawValue{}, false
		}
	}
	return v, true
}
