package player

import (
	"bytes"
	"fmt"
)

// diffLine is a line of two documents beside each other.
type diffLine struct {
	Sign string // -, +, or "" for what is the same
	Text string // a path and a value, as Extended JSON
}

// diff compares two documents field by field, in whatever order they are. Either may be nil. Both must be what extended reads.
func diff(before, after *Document) []diffLine {
	switch {
	case before == nil && after == nil:
		return nil
	case after == nil:
		return []diffLine{whole("-", before)}
	case before == nil:
		return []diffLine{whole("+", after)}
	case before.bson == nil || after.bson == nil:
		return []diffLine{whole("-", before), whole("+", after)}
	}
	d := differ{}
	d.compare("", before.bson, after.bson, 0)
	switch {
	case d.lines == nil && !bytes.Equal(before.bson, after.bson):
		d.lines = []diffLine{whole("-", before), whole("+", after)} // their order
	case d.same > 0:
		d.lines = append(d.lines, diffLine{"", fmt.Sprintf("(%d field(s) unchanged)", d.same)})
	}
	return d.lines
}

func whole(sign string, d *Document) diffLine {
	if d.Text == nil {
		return diffLine{sign, "SHA-256 " + d.SHA256}
	}
	return diffLine{sign, string(d.Text)}
}

type differ struct {
	lines []diffLine
	same  int
}

func (d *differ) compare(path string, before, after []byte, depth int) {
	old, now := elements(before), elements(after)
	find := func(list []element, name string) *element {
		for i := range list {
			if list[i].name == name {
				return &list[i]
			}
		}
		return nil
	}
	for _, x := range old {
		y := find(now, x.name)
		nested := y != nil && x.kind == y.kind && (x.kind == 0x03 || x.kind == 0x04) && depth < maxDepth
		switch {
		case y == nil:
			d.lines = append(d.lines, diffLine{"-", path + x.name + ": " + x.text})
		case x.kind == y.kind && bytes.Equal(x.value, y.value):
			d.same++
		case nested:
			d.compare(path+x.name+".", x.value, y.value, depth+1)
		default:
			d.lines = append(d.lines, diffLine{"-", path + x.name + ": " + x.text}, diffLine{"+", path + x.name + ": " + y.text})
		}
	}
	for _, y := range now {
		if find(old, y.name) == nil {
			d.lines = append(d.lines, diffLine{"+", path + y.name + ": " + y.text})
		}
	}
}

// element is a field of a document.
type element struct {
	name  string
	kind  byte
	value []byte
	text  string
}

// elements are the fields of a document, up to where it stops being one.
func elements(doc []byte) (out []element) {
	if len(doc) < 5 {
		return nil
	}
	r := bsonReader{rest: doc[4 : len(doc)-1]}
	for len(r.rest) > 0 {
		e := element{kind: r.take(1)[0]}
		e.name = r.cstring()
		var b bytes.Buffer
		rest := r.rest
		r.value(&b, e.kind, 0)
		if r.bad {
			return out
		}
		e.value, e.text = rest[:len(rest)-len(r.rest)], b.String()
		out = append(out, e)
	}
	return out
}
