// Package diff says what differs between two documents, by path: the one place where that is found out, for previews, looks, receipts, the record, its exports and
// JSON. Pure: bytes in, changes out.
//
//	items.44.qty: 5 → 4
//	tags.2: gone 'x'
//	size: 1 → Long('1')  (int → long)
//	body: at character 1,204
//	  - …over the lazy dog and…
//	  + …over the lazy cat and…
//
// Laws: there are no changes if and only if the documents are the same, byte for byte; and no change has the same two texts without a note that says why.
package diff

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"respect/replay/document"
)

// Kind is what happened at a path.
type Kind string

// The kinds.
const (
	Changed Kind = "changed"
	Gone    Kind = "gone"
	New     Kind = "new"
	Moved   Kind = "moved"   // an element of an array stands at another place, To
	Renamed Kind = "renamed" // a field's value is that of another field now, To
	Order   Kind = "order"   // the fields of a document, or of the whole if Path is "", stand in another order
	Unknown Kind = "unknown" // what it becomes is not known beforehand
)

// Change is one difference.
type Change struct {
	// Path of what differs, where it was; of what is new, where it is. Names that would not be read as one stand in quotation marks. Safe on a terminal.
	Path string
	Kind Kind
	// To is the path now, of what moved or was renamed, and below an element that stands at another place because others came or went.
	To       string
	Old, New document.Value // none where there is none
	Note     string         // the types, if they differ; or why two values that look the same are not
	Hunks    []Hunk         // of a long text, instead of all of it

	oldOrder, newOrder []string
	field              bool // of a document, not of an array
}

// Between are the differences between two documents. At the paths of unknown the second is not known.
func Between(before, after []byte, unknown ...string) []Change {
	d := differ{unknown: unknown}
	d.documents(place{}, before, after)
	d.renames()
	for _, path := range unknown {
		d.isUnknown(path)
	}
	return d.out
}

// place is where something stands: as it is compared, as it is shown, and where it is now if that is elsewhere.
type place struct {
	raw, label, now string
	moved           bool // now is to be said
	depth           int
}

func (p place) at(name string) place {
	return place{raw: join(p.raw, name), label: join(p.label, label(name)), now: join(p.now, label(name)), moved: p.moved, depth: p.depth + 1}
}

// element is a place in an array, where i was and j is now.
func (p place) element(i, j int) place {
	e := p.at(fmt.Sprint(i))
	e.now = join(p.now, fmt.Sprint(j))
	e.moved = p.moved || i != j
	return e
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// label is a field's name as a part of a path. What would be read as something else stands in quotation marks.
func label(name string) string {
	plain := name != ""
	for _, r := range name {
		plain = plain && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '$')
	}
	if plain {
		return name
	}
	return document.Quote(name)
}

func (p place) change(k Kind, was, is document.Value) Change {
	c := Change{Path: p.label, Kind: k, Old: was, New: is, field: true}
	if p.moved {
		c.To = p.now
	}
	return c
}

type differ struct {
	unknown, said []string
	out           []Change
}

// isUnknown says whether a path, or what it is in, is not known, and notes that once.
func (d *differ) isUnknown(path string) bool {
	for _, u := range d.unknown {
		if path != u && !strings.HasPrefix(path, u+".") {
			continue
		}
		for _, s := range d.said {
			if s == u {
				return true
			}
		}
		d.said = append(d.said, u)
		var labels []string
		for part := range strings.SplitSeq(u, ".") {
			labels = append(labels, label(part))
		}
		d.out = append(d.out, Change{Path: strings.Join(labels, "."), Kind: Unknown, field: true})
		return true
	}
	return false
}

// field is one of a document's fields, by its name and how many of that name stand before it.
type field struct {
	name string
	nth  int
}

// fields numbers the elements of a document: names may occur more than once.
func fields(list []document.Element) (out []field, at map[field]int) {
	at, seen := make(map[field]int, len(list)), map[string]int{}
	for i, e := range list {
		f := field{e.Name, seen[e.Name]}
		seen[e.Name]++
		out, at[f] = append(out, f), i
	}
	return out, at
}

// place of a field. That of a name that occurs before says so.
func (f field) place(in place) place {
	p := in.at(f.name)
	if f.nth > 0 {
		again := fmt.Sprintf(" (%d of this name)", f.nth+1)
		p.label, p.now = p.label+again, p.now+again
	}
	return p
}

func (d *differ) documents(in place, before, after []byte) {
	a, err1 := document.Elements(before)
	b, err2 := document.Elements(after)
	if err1 != nil || err2 != nil {
		if string(before) != string(after) {
			d.out = append(d.out, Change{Path: in.label, Kind: Changed, Old: document.Value{Kind: document.Document, Data: before}, New: document.Value{Kind: document.Document, Data: after}, Note: "no valid BSON"})
		}
		return
	}
	old, oldAt := fields(a)
	now, nowAt := fields(b)
	var common []field
	for i, f := range old {
		p := f.place(in)
		j, there := nowAt[f]
		if there {
			common = append(common, f)
		}
		switch {
		case d.isUnknown(p.raw):
		case there:
			d.values(p, a[i].Value, b[j].Value)
		default:
			d.out = append(d.out, p.change(Gone, a[i].Value, document.Value{}))
		}
	}
	var reordered []field
	for j, f := range now {
		p := f.place(in)
		if _, there := oldAt[f]; there {
			reordered = append(reordered, f)
		} else if !d.isUnknown(p.raw) {
			c := p.change(New, document.Value{}, b[j].Value)
			c.Path, c.To = p.now, ""
			d.out = append(d.out, c)
		}
	}
	d.order(in, common, reordered)
}

// order notes that fields which both documents have stand in another order, and names them from the first to the last that does.
func (d *differ) order(in place, was, is []field) {
	for len(was) > 0 && was[0] == is[0] {
		was, is = was[1:], is[1:]
	}
	for n := len(was); n > 0 && was[n-1] == is[n-1]; n-- {
		was, is = was[:n-1], is[:n-1]
	}
	if len(was) == 0 {
		return
	}
	c := in.change(Order, document.Value{}, document.Value{})
	for i := range was {
		c.oldOrder, c.newOrder = append(c.oldOrder, label(was[i].name)), append(c.newOrder, label(is[i].name))
	}
	if strings.Join(c.oldOrder, ".") == strings.Join(c.newOrder, ".") {
		c.Note = "fields of the same name changed places"
	}
	d.out = append(d.out, c)
}

// values compares two values that belong to each other.
func (d *differ) values(p place, was, is document.Value) {
	if was.Is(is) {
		return
	}
	if was.Kind == is.Kind && was.Nested() && p.depth < document.MaxDepth {
		if was.Kind == document.Document {
			d.documents(p, was.Data, is.Data)
		} else {
			d.arrays(p, was.Data, is.Data)
		}
		return
	}
	c := p.change(Changed, was, is)
	if was.Kind != is.Kind {
		c.Note = typeNote(was, is)
	} else {
		c.Hunks = hunks(was, is)
	}
	if c.Note == "" && len(c.Hunks) == 0 && was.String() == is.String() {
		c.Note = "they look the same, and differ in their bytes"
	}
	d.out = append(d.out, c)
}

// typeNote names both types. Of null everybody sees it.
func typeNote(was, is document.Value) string {
	if (was.Kind == document.Null || is.Kind == document.Null) && was.String() != is.String() {
		return ""
	}
	return document.TypeName(was.Kind) + " → " + document.TypeName(is.Kind)
}

// renames makes one change of a field that goes and another that comes with the same value, if no others have it. Values that many fields have tell nothing.
func (d *differ) renames() {
	type value struct {
		kind byte
		data string
	}
	gone, come := map[value][]int{}, map[value][]int{}
	paths := map[value]string{} // where what comes stands
	note := func(list map[value][]int, v document.Value, i int, path string) {
		const telling = 2 // bytes: true, false and null are found everywhere
		if len(v.Data) >= telling {
			k := value{v.Kind, string(v.Data)}
			list[k], paths[k] = append(list[k], i), path
		}
	}
	for i, c := range d.out {
		if c.Kind == Gone && c.field {
			note(gone, c.Old, i, "")
		}
	}
	for i, c := range d.out {
		if c.Kind != New || !c.field {
			continue
		}
		// A field may come with the document that it is in, and nothing else in that.
		for v, path := c.New, c.Path; ; {
			note(come, v, i, path)
			list, err := document.Elements(v.Data)
			if v.Kind != document.Document || err != nil || len(list) != 1 {
				break
			}
			v, path = list[0].Value, path+"."+label(list[0].Name)
		}
	}
	drop := map[int]bool{}
	for k, from := range gone {
		if to := come[k]; len(from) == 1 && len(to) == 1 {
			c := &d.out[from[0]]
			c.Kind, c.To, c.New = Renamed, paths[k], c.Old
			drop[to[0]] = true
		}
	}
	if len(drop) == 0 {
		return
	}
	var out []Change
	for i, c := range d.out {
		if !drop[i] {
			out = append(out, c)
		}
	}
	d.out = out
}

// changeJSON is a Change as JSON has it. It may grow.
type changeJSON struct {
	Path string          `json:"path"`
	Kind Kind            `json:"kind"`
	To   string          `json:"to,omitempty"`
	Old  json.RawMessage `json:"old,omitempty"` // Extended JSON; of Order the names of fields
	New  json.RawMessage `json:"new,omitempty"`
	Note string          `json:"note,omitempty"`
	Text string          `json:"text"` // as it is shown
}

// MarshalJSON implements json.Marshaler.
func (c Change) MarshalJSON() ([]byte, error) {
	out := changeJSON{Path: c.Path, Kind: c.Kind, To: c.To, Note: c.Note, Text: c.String()}
	var err error
	if c.Kind == Order {
		if out.Old, err = json.Marshal(c.oldOrder); err == nil {
			out.New, err = json.Marshal(c.newOrder)
		}
		return marshal(out, err)
	}
	if c.Old.Kind != 0 {
		out.Old = c.Old.Extended()
	}
	if c.New.Kind != 0 {
		out.New = c.New.Extended()
	}
	return marshal(out, nil)
}

func marshal(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
