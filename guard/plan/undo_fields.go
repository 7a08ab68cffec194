package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay/diff"
)

// A document that others changed since the change is left alone by its undo, since putting its before-image back would take away what they did. Where they changed
// other fields than the change, those of the change alone can be set back: each of them is still as the change left it, byte for byte, and the document is
// pinned as it is now, like any other.

// Since is what others did to a field of a document since the change.
type Since struct {
	Path string `json:"path"`
	Left string `json:"left,omitempty"` // as the change left it, as the shell prints it, shortened; "" if it was not there
	Now  string `json:"now,omitempty"`  // "" if it is not there any more
	Text string `json:"text,omitempty"` // all of it in words, shortened
}

// String is that in words. Safe on a terminal.
func (s Since) String() string { return s.Text }

// afterOf is what the change made of a document, if that is known to the byte.
func (u *undo) afterOf(it Item, before bson.Raw, left string) (bson.Raw, error) {
	if before == nil || it.Op != "update" && it.Op != "replace" {
		return nil, nil
	}
	after, err := u.images.After(it)
	if err == nil && after == nil {
		after, _, err = u.of.Foresee(it, before)
	}
	if err != nil || after != nil && hashOf(after) == left {
		return after, err
	}
	return u.images.kept(left) // as the server foresaw it, or as it was read back
}

// setBack is a document as it is now with the fields that a change touched as they were before; ok is false if one of them is not as the change left it. fields are
// their paths; none if all of them are as before already.
func setBack(before, after, now bson.Raw) (target bson.Raw, fields []string, ok bool) {
	m := merge{}
	target = m.documents(before, after, now, "")
	if m.conflict {
		return nil, nil, false
	}
	return target, m.fields, true
}

// merge puts three versions of a document together.
type merge struct {
	fields   []string
	conflict bool
}

// elements are those of a document by their names; ok is false if one stands there twice, or the document cannot be read.
func elements(doc bson.Raw) (list []bson.RawElement, by map[string]bson.RawValue, ok bool) {
	list, err := doc.Elements()
	if err != nil {
		return nil, nil, false
	}
	by = map[string]bson.RawValue{}
	for _, e := range list {
		if _, twice := by[e.Key()]; twice {
			return nil, nil, false
		}
		by[e.Key()] = e.Value()
	}
	return list, by, true
}

func (m *merge) documents(before, after, now bson.Raw, path string) bson.Raw {
	was, b, ok1 := elements(before)
	_, a, ok2 := elements(after)
	is, n, ok3 := elements(now)
	if m.conflict = m.conflict || !ok1 || !ok2 || !ok3; m.conflict {
		return nil
	}
	out := bson.D{}
	for _, e := range is {
		if v, stays := m.field(b, a, n, e.Key(), path); stays {
			out = append(out, bson.E{Key: e.Key(), Value: v})
		}
	}
	last := ""
	for _, e := range was { // what is not there now comes back behind what stood before it
		if _, there := n[e.Key()]; !there {
			if v, comes := m.field(b, a, n, e.Key(), path); comes {
				at := 1 + slices.IndexFunc(out, func(x bson.E) bool { return x.Key == last })
				out = slices.Insert(out, at, bson.E{Key: e.Key(), Value: v})
			}
		}
		last = e.Key()
	}
	raw, err := bson.Marshal(out)
	if err != nil {
		m.conflict = true
	}
	return raw
}

// field is one field as it is to be, and whether there is one.
func (m *merge) field(before, after, now map[string]bson.RawValue, key, path string) (any, bool) {
	b, inB := before[key]
	a, inA := after[key]
	n, inN := now[key]
	name := strings.TrimPrefix(path+"."+key, ".")
	switch {
	case same(b, inB, a, inA), same(n, inN, b, inB): // the change did nothing to it, or it is as before
		return n, inN
	case same(n, inN, a, inA):
		m.fields = append(m.fields, name)
		return b, inB
	}
	db, ok1 := b.DocumentOK()
	da, ok2 := a.DocumentOK()
	dn, ok3 := n.DocumentOK()
	if !ok1 || !ok2 || !ok3 {
		m.conflict = true
		return n, inN
	}
	return m.documents(db, da, dn, name), true
}

// same says whether two fields are the same byte for byte, or neither is there.
func same(x bson.RawValue, hasX bool, y bson.RawValue, hasY bool) bool {
	return hasX == hasY && (!hasX || x.Type == y.Type && bytes.Equal(x.Value, y.Value))
}

// sinceThen is what others did to a document, by path.
func sinceThen(left, now bson.Raw) (out []Since) {
	for _, c := range diff.Between(left, now) {
		out = append(out, Since{Path: c.Path, Left: brief(c.Old.String()), Now: brief(c.New.String()), Text: brief(strings.ReplaceAll(c.String(), "\n", " "))})
	}
	return out
}

// brief is a text in few characters.
func brief(s string) string {
	const most = 120
	r := []rune(s)
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return string(r)
}

// ours decides what to do with a document that is not as the change left it: its fields are set back, if that is asked for and can be done; otherwise it is left alone,
// and what others did is said.
func (u *undo) ours(it Item, before, now bson.Raw, left string) (*restore, error) {
	c := Conflict{NS: it.NS, ID: string(it.ID), Why: why(it, now)}
	after, err := u.afterOf(it, before, left)
	if err != nil {
		return nil, err
	}
	if after != nil && now != nil {
		c.Since = sinceThen(after, now)
		target, fields, ok := setBack(before, after, now)
		switch {
		case ok && len(fields) == 0:
			u.nothing++
			u.stats[it.NS].count.Unchanged++
			return nil, nil
		case ok && u.cfg.Header.Fields:
			u.setBack[it.NS] = append(u.setBack[it.NS], FieldsSetBack{ID: string(it.ID), Fields: fields, Since: c.Since})
			return &restore{now: now, target: target, item: Item{Command: -1, NS: it.NS, ID: it.ID, Op: "replace"}}, nil
		case ok:
			c.Fields = fields
		}
	}
	u.conflicts[it.NS] = append(u.conflicts[it.NS], c)
	u.stats[it.NS].count.Skipped++
	return nil, nil
}

// FieldsSetBack is a document of which only the change's fields are set back.
type FieldsSetBack struct {
	ID     string   `json:"id"`
	Fields []string `json:"fields"`
	Since  []Since  `json:"since"` // what others did, which stays
}

// fieldFacts say of which documents only fields are set back, and of which they could be.
func (u *undo) fieldFacts(ns string) (out []Fact) {
	if list := u.setBack[ns]; len(list) > 0 {
		out = append(out, fact(FieldsOnly, Warn, map[string]any{"namespace": ns, "documents": len(list), "list": list[:min(len(list), 100)]},
			"%s of %s changed by others since: only %s set back, and what they did stays: %s", are(int64(len(list)), "document"), ns, theyAre(fieldsOf(list)), sinceText(list[0].Since)))
	}
	return out
}

// theyAre is a list of names with its verb.
func theyAre(names []string) string {
	const most = 5
	text := strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d fields more", len(names)-most)
	}
	if len(names) == 1 {
		return text + " is"
	}
	return text + " are"
}

func fieldsOf(list []FieldsSetBack) (out []string) {
	for _, x := range list {
		for _, f := range x.Fields {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

// sinceText is what others did to a document, in words.
func sinceText(list []Since) string {
	const most = 3
	var parts []string
	for _, s := range list[:min(len(list), most)] {
		parts = append(parts, s.String())
	}
	if more := len(list) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d fields more", more))
	}
	return strings.Join(parts, ", ")
}

// FieldsPossible is in how many documents that an undo leaves alone the change's own fields could be set back.
func (p *Plan) FieldsPossible() (n int64) {
	for _, f := range p.totals.Facts {
		if data, ok := f.Data.(map[string]any); ok && f.Code == Conflicts {
			k, _ := data["fields"].(int)
			n += int64(k)
		}
	}
	return n
}
