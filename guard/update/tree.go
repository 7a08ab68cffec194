package update

import (
	"encoding/binary"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// tree is a document or an array that was opened to change it. What nobody touches is written back as the bytes it came in.
type tree struct {
	array   bool
	changed bool
	src     []byte // as it came; nil for a new one
	fields  []field
}

// field is one field of a tree. mod is what it became; nil as long as it is as it came.
type field struct {
	key      []byte
	off, end int32 // in src; 0 for a new one
	mod      *change
}

// change is a new value, or an opened one.
type change struct {
	val value
	sub *tree
}

// value of a field as it is now. An opened one must not be asked.
func (t *tree) value(f *field) value {
	if f.mod != nil {
		return f.mod.val
	}
	return value{bson.Type(t.src[f.off]), t.src[int(f.off)+1+len(f.key)+1 : f.end]}
}

// index finds the field that a component names; -1 if there is none.
func (t *tree) index(n *node) int {
	if t.array {
		if n.number >= 0 && n.number < len(t.fields) {
			return n.number
		}
		return -1
	}
	for i := range t.fields {
		if string(t.fields[i].key) == n.part {
			return i
		}
	}
	return -1
}

// remove takes a field out of a document; an element of an array becomes null.
func (t *tree) remove(i int) {
	t.changed = true
	if t.array {
		t.fields[i].mod = &change{val: nullValue()}
		return
	}
	t.fields = slices.Delete(t.fields, i, i+1)
}

// append encodes the tree.
func (t *tree) append(out []byte) []byte {
	if !t.changed && t.src != nil {
		return append(out, t.src...)
	}
	start := len(out)
	out = append(out, 0, 0, 0, 0)
	var from, to int32 // a run of fields that stay
	for i := range t.fields {
		f := &t.fields[i]
		if f.mod == nil {
			if f.off != to {
				out = append(out, t.src[from:to]...)
				from = f.off
			}
			to = f.end
			continue
		}
		out = append(out, t.src[from:to]...)
		from, to = 0, 0
		out = f.append(out)
	}
	out = append(out, t.src[from:to]...)
	out = append(out, 0)
	binary.LittleEndian.PutUint32(out[start:], uint32(len(out)-start))
	return out
}

func (f *field) append(out []byte) []byte {
	v := f.mod.val
	if s := f.mod.sub; s != nil {
		v.t = bson.TypeEmbeddedDocument
		if s.array {
			v.t = bson.TypeArray
		}
	}
	out = append(out, byte(v.t))
	out = append(out, f.key...)
	out = append(out, 0)
	if f.mod.sub != nil {
		return f.mod.sub.append(out)
	}
	return append(out, v.b...)
}

// open takes a document or array apart.
func (a *application) open(v value) (*tree, error) {
	begin := len(a.fields)
	s := scan(v.b)
	for s.more() {
		a.fields = append(a.fields, field{s.key, int32(s.off), int32(s.end), nil})
	}
	if s.bad {
		return nil, errInvalid
	}
	end := len(a.fields)
	a.fields = append(a.fields, field{}, field{}) // room for new ones
	return &tree{array: v.is(bson.TypeArray), src: v.b, fields: a.fields[begin:end:len(a.fields)]}, nil
}

// writer writes an array anew.
type writer struct {
	out []byte
	n   int
}

func (l *writer) add(v value) {
	if l.n == 0 {
		l.out = append(l.out, 0, 0, 0, 0)
	}
	l.out = append(l.out, byte(v.t))
	l.out = strconv.AppendInt(l.out, int64(l.n), 10)
	l.out = append(l.out, 0)
	l.out = append(l.out, v.b...)
	l.n++
}

// after is a writer that begins with all of an array's elements, as they are encoded.
func after(array []byte, n, room int) writer {
	if n == 0 {
		return writer{}
	}
	return writer{append(make([]byte, 0, len(array)+room), array[:len(array)-1]...), n}
}

func (l *writer) value() value {
	if l.n == 0 {
		return value{bson.TypeArray, []byte{5, 0, 0, 0, 0}}
	}
	l.out = append(l.out, 0)
	binary.LittleEndian.PutUint32(l.out, uint32(len(l.out)))
	return value{bson.TypeArray, l.out}
}

func arrayOf(vs []value) value {
	size := 5
	for _, v := range vs {
		size += len(v.b) + 8
	}
	l := writer{out: make([]byte, 0, size)}
	for _, v := range vs {
		l.add(v)
	}
	return l.value()
}
