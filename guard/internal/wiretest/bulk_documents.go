package wiretest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// collection is what a Bulk holds. Document i of the first ones is the template with i, a name, n, a place and a tag written into it, unless it is gone
// or replaced. It is not safe for concurrent use.
type collection struct {
	template []byte
	at       struct{ id, name, n, city, zip, tag int } // where in the template their bytes are

	n       []int32 // the field n of each
	state   []state
	count   int // those that are there
	changes int64

	replaced map[int][]byte    // whole documents instead of the template
	inserted map[string][]byte // documents with other _ids, by type and value; nil if gone
	order    []string          // of inserted
	scratch  []byte            // of each
}

// state of one of the first documents.
type state uint8

const (
	there state = iota
	gone
	other // in replaced
)

// key is a document's place: one of the first by number, or one that was inserted, by _id.
type key struct {
	index int
	id    string // if not empty
}

const nameDigits = 8

var (
	cities = [...]string{"Bern", "Chur", "Genf", "Biel", "Thun", "Visp", "Sion", "Brig"}
	tags   = [...]string{"red", "ski", "sun", "sea", "owl"}
)

func newCollection(count, size int) *collection {
	c := &collection{n: make([]int32, count), state: make([]state, count), count: count, replaced: map[int][]byte{}, inserted: map[string][]byte{}}
	for i := range c.n {
		c.n[i] = original(i)
	}
	doc := func(filler int) bson.Raw {
		return encode(bson.D{
			{Key: "_id", Value: int32(0)}, {Key: "name", Value: "name " + strings.Repeat("0", nameDigits)}, {Key: "n", Value: int32(0)},
			{Key: "at", Value: bson.D{{Key: "city", Value: cities[0]}, {Key: "zip", Value: int32(0)}}}, {Key: "tags", Value: bson.A{tags[0], "all"}},
			{Key: "filler", Value: strings.Repeat("x", filler)},
		})
	}
	t := doc(max(0, size-len(doc(0))))
	c.template = t
	// The value of a string has its length in front; the name has a word.
	c.at.id, c.at.name, c.at.n = valueAt(t, "_id"), valueAt(t, "name")+4+len("name "), valueAt(t, "n")
	c.at.city, c.at.zip, c.at.tag = valueAt(t, "at", "city")+4, valueAt(t, "at", "zip"), valueAt(t, "tags", "0")+4
	return c
}

// valueAt is where in a document the value of a field begins.
func valueAt(doc []byte, path ...string) int {
	at := 4
	for rest := doc[4 : len(doc)-1]; ; {
		e, more, ok := bsoncore.ReadElement(rest)
		if !ok {
			panic("wiretest: internal error: no field " + path[0])
		}
		if value := at + 1 + len(e.KeyBytes()) + 1; e.Key() == path[0] {
			if len(path) == 1 {
				return value
			}
			return value + valueAt(e.Value().Data, path[1:]...)
		}
		at += len(e)
		rest = more
	}
}

// original is the field n in the beginning.
func original(i int) int32 { return int32(i % 7) }

// patch makes a copy of the template into document i.
func (c *collection) patch(b []byte, i int, n int32) {
	binary.LittleEndian.PutUint32(b[c.at.id:], uint32(i))
	digits := b[c.at.name : c.at.name+nameDigits]
	for d, rest := nameDigits-1, i; d >= 0; d, rest = d-1, rest/10 {
		digits[d] = byte('0' + rest%10)
	}
	binary.LittleEndian.PutUint32(b[c.at.n:], uint32(n))
	copy(b[c.at.city:], cities[i%len(cities)])
	binary.LittleEndian.PutUint32(b[c.at.zip:], uint32(3000+i%1000))
	copy(b[c.at.tag:], tags[i%len(tags)])
}

// make appends document i with a field n.
func (c *collection) make(b []byte, i int, n int32) []byte {
	at := len(b)
	b = append(b, c.template...)
	c.patch(b[at:], i, n)
	return b
}

// document appends a document as it is now to b; nil if it is not there.
func (c *collection) document(k key, b []byte) []byte {
	if k.id != "" {
		if doc := c.inserted[k.id]; doc != nil {
			return append(b, doc...)
		}
		return nil
	}
	if k.index < 0 || k.index >= len(c.state) {
		return nil
	}
	switch c.state[k.index] {
	case gone:
		return nil
	case other:
		return append(b, c.replaced[k.index]...)
	}
	return c.make(b, k.index, c.n[k.index])
}

// keyOf is the place of an _id.
func (c *collection) keyOf(id bsoncore.Value) key {
	if i, ok := whole(id); ok && i >= 0 && i < int64(len(c.state)) {
		return key{index: int(i)}
	}
	if i, ok := whole(id); ok { // 1, 1L and 1.0 are the same
		return key{id: fmt.Sprint(i)}
	}
	return key{id: string(rune(id.Type)) + string(id.Data)}
}

// put puts a document in its place, whatever is there. It keeps nothing of doc.
func (c *collection) put(k key, doc []byte) {
	c.changes++
	if k.id != "" {
		was, known := c.inserted[k.id]
		if was == nil {
			c.count++
		}
		if !known {
			c.order = append(c.order, k.id)
		}
		c.inserted[k.id] = bytes.Clone(doc)
		return
	}
	if c.state[k.index] == gone {
		c.count++
	}
	delete(c.replaced, k.index)
	if n, ok := c.plain(k.index, doc); ok {
		c.state[k.index], c.n[k.index] = there, n
		return
	}
	c.state[k.index], c.replaced[k.index] = other, bytes.Clone(doc)
}

// plain says whether a document is the template with some field n.
func (c *collection) plain(i int, doc []byte) (int32, bool) {
	if len(doc) != len(c.template) {
		return 0, false
	}
	n := int32(binary.LittleEndian.Uint32(doc[c.at.n:]))
	return n, bytes.Equal(c.make(nil, i, n), doc)
}

// remove takes out a document that is there.
func (c *collection) remove(k key) {
	c.changes++
	c.count--
	if k.id != "" {
		c.inserted[k.id] = nil
		return
	}
	delete(c.replaced, k.index)
	c.state[k.index] = gone
}

// selection is what a filter selects.
type selection struct {
	all  bool
	keys []key
	// A document must also be equal to this one, as $eq compares, and of this size.
	literal []byte
	size    int64
}

// selectionOf reads a filter.
func (c *collection) selectionOf(filter []byte) (s selection, err *failure) {
	s.all = true
	err = elements(filter, func(name []byte, v bsoncore.Value) *failure {
		switch string(name) {
		case "_id":
			s.all = false
			var err *failure
			s.keys, err = c.keysOf(v)
			return err
		case "$expr":
			doc, ok := v.DocumentOK()
			if !ok {
				return unknown("this $expr")
			}
			return s.equality(doc)
		}
		return unknown("a filter by " + string(name))
	})
	return s, err
}

func (c *collection) keysOf(v bsoncore.Value) (keys []key, err *failure) {
	doc, ok := v.DocumentOK()
	if first, e := doc.IndexErr(0); !ok || e != nil || !bytes.HasPrefix(first.KeyBytes(), []byte("$")) {
		return []key{c.keyOf(v)}, nil
	}
	err = elements(doc, func(op []byte, v bsoncore.Value) *failure {
		switch list, isList := v.ArrayOK(); {
		case keys != nil:
			return unknown("two conditions on _id")
		case string(op) == "$eq":
			keys = []key{c.keyOf(v)}
			return nil
		case string(op) == "$in" && isList:
			keys = make([]key, 0, len(list)/7)
			return elements(list, func(_ []byte, v bsoncore.Value) *failure {
				keys = append(keys, c.keyOf(v))
				return nil
			})
		}
		return unknown("_id with " + string(op))
	})
	return inOrder(keys), err
}

// inOrder are keys in the order of _id, each once.
func inOrder(keys []key) []key {
	compare := func(a, b key) int {
		if a.id != b.id {
			return strings.Compare(a.id, b.id)
		}
		return a.index - b.index
	}
	if !slices.IsSortedFunc(keys, compare) {
		slices.SortFunc(keys, compare)
	}
	return slices.Compact(keys)
}

// equality reads {$and: [{$eq: ["$$ROOT", {$literal: doc}]}, {$eq: [{$bsonSize: "$$ROOT"}, size]}]}.
func (s *selection) equality(doc bsoncore.Document) *failure {
	both, _ := doc.Lookup("$and").ArrayOK()
	first, _ := bsoncore.Document(both).Lookup("0", "$eq").ArrayOK()
	second, _ := bsoncore.Document(both).Lookup("1", "$eq").ArrayOK()
	root, _ := bsoncore.Document(first).Lookup("0").StringValueOK()
	literal, ok1 := bsoncore.Document(first).Lookup("1", "$literal").DocumentOK()
	of, _ := bsoncore.Document(second).Lookup("0", "$bsonSize").StringValueOK()
	size, ok2 := whole(bsoncore.Document(second).Lookup("1"))
	if root != "$$ROOT" || of != "$$ROOT" || !ok1 || !ok2 {
		return unknown("this $expr")
	}
	s.literal, s.size = literal, size
	return nil
}

// equal says whether a document is as the selection wants it.
func (s *selection) equal(doc []byte) bool {
	return s.literal == nil || bytes.Equal(doc, s.literal) && int64(len(doc)) == s.size ||
		int64(len(doc)) == s.size && looselyEqual(bson.Raw(doc), bson.Raw(s.literal))
}

// each calls f with each selected document, until it returns false. The document is good until the next call, of each too; f may change it in the collection.
func (c *collection) each(s selection, f func(k key, doc []byte) bool) {
	visit := func(k key) bool {
		doc := c.document(k, c.scratch[:0])
		if doc == nil {
			return true
		}
		c.scratch = doc
		return !s.equal(doc) || f(k, doc)
	}
	if !s.all {
		for _, k := range s.keys {
			if !visit(k) {
				return
			}
		}
		return
	}
	for i := range c.state {
		if c.state[i] != gone && !visit(key{index: i}) {
			return
		}
	}
	for _, id := range c.order {
		if !visit(key{id: id}) {
			return
		}
	}
}

// cursor is where a find is.
type cursor struct {
	selection
	at      int  // how many places of the selection were visited
	left    int  // of its limit; negative: none
	idsOnly bool // the projection is {_id: 1}
}

// most is how many bytes of documents a batch has at most.
// Source: https://www.mongodb.com/docs/manual/tutorial/iterate-a-cursor/#cursor-batches
const most = 16 << 20

// place is the next of a cursor; false if there is none.
func (c *collection) place(cur *cursor) (key, bool) {
	i := cur.at
	switch {
	case !cur.all && i < len(cur.keys):
		return cur.keys[i], true
	case !cur.all:
		return key{}, false
	case i < len(c.state):
		return key{index: i}, true
	case i-len(c.state) < len(c.order):
		return key{id: c.order[i-len(c.state)]}, true
	}
	return key{}, false
}

// appendBatch appends the next documents of a cursor as elements of an array: count of them at most, or as many as there is room for. over says that there are no more.
func (c *collection) appendBatch(b []byte, cur *cursor, count int) (out []byte, n int, over bool) {
	start := len(b)
	for n < count && cur.left != 0 {
		k, ok := c.place(cur)
		if !ok {
			return b, n, true
		}
		before := len(b)
		b = append(b, byte(bsoncore.TypeEmbeddedDocument))
		b = append(strconv.AppendInt(b, int64(n), 10), 0)
		at := len(b)
		doc := c.document(k, b)
		if doc == nil || !cur.equal(doc[at:]) {
			b = b[:before]
			cur.at++
			continue
		}
		if cur.idsOnly {
			doc = onlyID(doc, at)
		}
		if len(doc)-start > most && n > 0 {
			return b[:before], n, false
		}
		b = doc
		cur.at++
		cur.left--
		n++
	}
	if cur.left == 0 {
		return b, n, true
	}
	_, ok := c.place(cur)
	return b, n, !ok
}

// onlyID cuts the document that begins at b[at:] down to its _id, which comes first.
func onlyID(b []byte, at int) []byte {
	e, _, ok := bsoncore.ReadElement(b[at+4:])
	if !ok {
		return b
	}
	b = append(b[:at+4+len(e)], 0)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

// scan is a batch of whole documents that lies ready as an answer to getMore; of each only the bytes are written that make it another document. It is used
// as long as no document was replaced, since then all have one length.
type scan struct {
	buf   []byte
	at    []int // where the documents begin
	array int   // where the array does
}

// newScan lays so many documents ready, or as many as a batch may have.
func newScan(c *collection, count int) *scan {
	count = min(count, max(1, most/len(c.template)), max(1, len(c.state)))
	s := &scan{}
	b := appendHeader(make([]byte, 0, headerSize+count*(len(c.template)+8)+512), 0)
	b = cursorHead(b, "nextBatch")
	s.array = len(b) - 4
	for n := range count {
		b = append(b, byte(bsoncore.TypeEmbeddedDocument))
		b = append(strconv.AppendInt(b, int64(n), 10), 0)
		s.at = append(s.at, len(b))
		b = append(b, c.template...)
	}
	s.buf = b
	return s
}

// fill writes the next documents of a cursor over the ones that lie there, and is where they end.
func (s *scan) fill(c *collection, cur *cursor, count int) (end, n int, over bool) {
	count = min(count, len(s.at))
	if cur.left >= 0 {
		count = min(count, cur.left)
	}
	i := cur.at
	for ; n < count && i < len(c.state); i++ {
		if c.state[i] == there {
			c.patch(s.buf[s.at[n]:], i, c.n[i])
			n++
		}
	}
	for i < len(c.state) && c.state[i] == gone {
		i++
	}
	cur.at = i
	cur.left -= n
	end = s.array + 4
	if n > 0 {
		end = s.at[n-1] + len(c.template)
	}
	return end, n, cur.left == 0 || i == len(c.state) && len(c.order) == 0
}

// cursorHead appends the beginning of {cursor: {<batch>: [, without the lengths.
func cursorHead(b []byte, batch string) []byte {
	b = append(b, 0, 0, 0, 0, byte(bsoncore.TypeEmbeddedDocument))
	b = append(b, "cursor\x00\x00\x00\x00\x00"...)
	b = append(b, byte(bsoncore.TypeArray))
	b = append(b, batch...)
	return append(b, 0, 0, 0, 0, 0)
}

// cursorTail appends the rest of what cursorHead began in b[doc:], and writes the lengths.
func cursorTail(b []byte, doc, array int, id int64, ns string, more []byte) []byte {
	b = append(b, 0)
	binary.LittleEndian.PutUint32(b[array:], uint32(len(b)-array))
	b = bsoncore.AppendInt64Element(b, "id", id)
	b = bsoncore.AppendStringElement(b, "ns", ns)
	b = append(b, 0)
	inner := doc + 4 + 1 + len("cursor\x00")
	binary.LittleEndian.PutUint32(b[inner:], uint32(len(b)-inner))
	b = bsoncore.AppendDoubleElement(b, "ok", 1)
	b = append(append(b, more...), 0)
	binary.LittleEndian.PutUint32(b[doc:], uint32(len(b)-doc))
	return b
}
