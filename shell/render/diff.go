package render

import (
	"bytes"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/update"
)

// Diff says which fields differ between two documents, nested ones by their path: "- a: 1", "+ a: 2". Where a type changes, both types stand behind.
func Diff(before, after bson.Raw) []string { return DiffBut(before, after, nil) }

// DiffBut is Diff where some paths of after are not known: "? a".
func DiffBut(before, after bson.Raw, open []string) []string {
	d := differ{open: open}
	d.documents("", before, after)
	for _, path := range open {
		if !slices.Contains(d.said, path) {
			d.out = append(d.out, "? "+Safe(path)+": not known beforehand")
		}
	}
	return d.out
}

type differ struct {
	open, said []string
	out        []string
}

func (d *differ) unknown(path string) bool {
	for _, o := range d.open {
		if path == o || strings.HasPrefix(path, o+".") {
			if !slices.Contains(d.said, o) {
				d.said = append(d.said, o)
				d.out = append(d.out, "? "+Safe(o)+": not known beforehand")
			}
			return true
		}
	}
	return false
}

func (d *differ) line(mark, path string, v bson.RawValue, note string) {
	const longest = 200
	d.out = append(d.out, mark+" "+Safe(path)+": "+Inline(v, longest)+note)
}

func (d *differ) documents(prefix string, before, after bson.Raw) {
	a, err1 := before.Elements()
	b, err2 := after.Elements()
	if err1 != nil || err2 != nil {
		d.out = append(d.out, "(not valid BSON)")
		return
	}
	for _, e := range a {
		path, was := prefix+e.Key(), e.Value()
		if d.unknown(path) {
			continue
		}
		is, err := after.LookupErr(e.Key())
		switch {
		case err != nil:
			d.line("-", path, was, "")
		case is.Type == was.Type && bytes.Equal(is.Value, was.Value):
		case is.Type == bson.TypeEmbeddedDocument && was.Type == bson.TypeEmbeddedDocument:
			d.documents(path+".", was.Document(), is.Document())
		case is.Type != was.Type:
			d.line("-", path, was, "  ("+update.TypeName(was.Type)+")")
			d.line("+", path, is, "  ("+update.TypeName(is.Type)+")")
		default:
			d.line("-", path, was, "")
			d.line("+", path, is, "")
		}
	}
	for _, e := range b {
		path := prefix + e.Key()
		if _, err := before.LookupErr(e.Key()); err != nil && !d.unknown(path) {
			d.line("+", path, e.Value(), "")
		}
	}
}
