package plan

import (
	"bytes"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// Sample is a document as it is shown, before and after; nil where it is not there.
type Sample struct {
	NS            string
	Op            string
	Why           string // why this one is shown: newest, largest, most different; "" for one of the first
	Before, After bson.Raw
	Unpredictable string
	Open          []string // paths of After that cannot be foreseen
	Asked         []string // paths that the statement's filter asks about, besides _id
	n             int64
}

// sampler keeps the documents that tell the most: the newest, since what was made today is what somebody is working with; the largest; the one that
// changes in most fields; one of each operation; and the first, for company.
type sampler struct {
	first                      []Sample
	newest, largest, different Sample
	kinds                      []Sample // the first of each operation in each namespace
	age                        bson.RawValue
	size, fields               int
}

const (
	maxFirst       = 3
	maxKinds       = 12
	maxSampleBytes = 64 << 10 // of both images of one that is kept
)

// offer looks at one document of the plan.
func (s *sampler) offer(it Item, asked []string, before, after bson.Raw, fields int) {
	size := len(before) + len(after)
	if size > maxSampleBytes {
		return
	}
	x := Sample{NS: it.NS, Op: it.Op, Before: before, After: after, Unpredictable: it.Unpredictable, Open: it.Open, Asked: asked, n: it.N}
	if kind := func(k Sample) bool { return k.NS == x.NS && k.Op == x.Op }; len(s.kinds) < maxKinds && !slices.ContainsFunc(s.kinds, kind) {
		s.kinds = append(s.kinds, Sample{})
		s.kinds[len(s.kinds)-1].become(x)
	}
	if len(s.first) < maxFirst {
		s.first = append(s.first, Sample{})
		s.first[len(s.first)-1].become(x)
	}
	if id := x.Document().Lookup("_id"); newer(id, s.age) {
		s.newest.become(x)
		s.age = s.newest.Document().Lookup("_id")
	}
	if size > s.size {
		s.largest.become(x)
		s.size = size
	}
	if fields > s.fields {
		s.different.become(x)
		s.fields = fields
	}
}

// mostAsked fields of a filter are shown with a document.
const mostAsked = 4

// askedFields are the paths that a statement's filter asks about, besides _id: by them its author knows a document.
func askedFields(w command.Write) (out []string) {
	if w.Op == command.Insert {
		return nil
	}
	for _, c := range conditionsOf(w.Filter) {
		if c.path != "_id" && !slices.Contains(out, c.path) && len(out) < mostAsked {
			out = append(out, c.path)
		}
	}
	return out
}

// Asked are the paths that the statement of a document asks about, besides _id.
func (p *Plan) Asked(it Item) []string {
	w, typed, err := p.write(it)
	if err != nil || !typed {
		return nil
	}
	return askedFields(w)
}

// become copies a sample into the memory that this one has: the newest document may be the last of a million, each newer than the one before.
func (s *Sample) become(x Sample) {
	before, after := s.Before[:0], s.After[:0]
	*s = x
	s.Before, s.After = into(before, x.Before), into(after, x.After)
}

func into(buf, doc bson.Raw) bson.Raw {
	if doc == nil {
		return nil
	}
	return append(buf, doc...)
}

// Document is what there is of it: before the change, or, where that is nothing, after.
func (s *Sample) Document() bson.Raw {
	if s.Before != nil {
		return s.Before
	}
	return s.After
}

// newer compares _ids that grow with time: ObjectIds, whose first bytes are a clock, dates and numbers.
// Source: https://www.mongodb.com/docs/manual/reference/bson-types/#objectid
func newer(id, than bson.RawValue) bool {
	if than.Type != 0 && than.Type != id.Type {
		return false
	}
	switch id.Type {
	case bson.TypeObjectID:
		return than.Type == 0 || bytes.Compare(id.Value, than.Value) > 0
	case bson.TypeDateTime:
		return than.Type == 0 || id.DateTime() > than.DateTime()
	case bson.TypeInt32, bson.TypeInt64:
		return than.Type == 0 || id.AsInt64() > than.AsInt64()
	}
	return false
}

// chosen are the samples in the order in which they are shown, each document once.
func (s *sampler) chosen() (out []Sample) {
	at := map[int64]int{}
	add := func(x *Sample, why string) {
		if x.Document() == nil {
			return
		}
		if i, has := at[x.n]; has {
			if out[i].Why != "" && why != "" {
				out[i].Why += ", " + why
			}
			return
		}
		x.Why = why
		at[x.n] = len(out)
		out = append(out, *x)
	}
	add(&s.different, "most different")
	add(&s.newest, "newest")
	add(&s.largest, "largest")
	if len(s.kinds) > 1 { // one of each comes before what is only for company
		for i := range s.kinds {
			if k := &s.kinds[i]; !slices.ContainsFunc(out, func(x Sample) bool { return x.NS == k.NS && x.Op == k.Op }) {
				add(k, "")
			}
		}
	}
	for i := range s.first {
		add(&s.first[i], "")
	}
	if len(out) == 1 {
		out[0].Why = "" // there is no other
	}
	return out
}
