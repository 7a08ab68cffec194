package plan

import (
	"bytes"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/update"
)

// changed notes what a document loses and how its values change.
func (s *stats) changed(w *command.Write, before, after bson.Raw) {
	s.byReplace = s.differ("", before, after, w.Op == command.Update) && w.Op == command.Replace || s.byReplace
	for _, path := range s.wholes {
		was, ok1 := update.Lookup(before, path)
		is, ok2 := update.Lookup(after, path)
		a, isDoc1 := was.DocumentOK()
		b, isDoc2 := is.DocumentOK()
		if ok1 && ok2 && isDoc1 && isDoc2 && len(lostPaths("", a, b)) > 0 {
			s.overwrites[path]++
		}
	}
}

// differ walks through two documents side by side, from element to element as long as they have the same names in the same order, which most do. lost
// says that fields of before are not in after. What an array loses is counted, not named.
func (s *stats) differ(prefix string, before, after bson.Raw, values bool) (lost bool) {
	a, b := rest(before), rest(after)
	for len(a) > 1 {
		x, nextA, ok := bsoncore.ReadElement(a)
		if !ok {
			return lost
		}
		a = nextA
		y, nextB, ok := bsoncore.ReadElement(b)
		if ok && bytes.Equal(x, y) {
			b = nextB
			continue
		}
		if ok && sameKey(x, y) {
			b = nextB
			lost = s.value(prefix, x, valueOf(y), values) || lost
			continue
		}
		if is, err := after.LookupErr(x.Key()); err == nil {
			lost = s.value(prefix, x, is, values) || lost
			continue
		}
		s.removed[prefix+x.Key()]++
		lost = true
	}
	return lost
}

// rest are the elements of a document, with the zero byte behind them.
func rest(doc bson.Raw) []byte {
	if len(doc) < 5 {
		return nil
	}
	return doc[4:]
}

// sameKey compares the names of two elements.
func sameKey(x, y bsoncore.Element) bool {
	i := bytes.IndexByte(x[1:], 0)
	return i >= 0 && len(y) > i+1 && bytes.Equal(x[1:i+2], y[1:i+2])
}

func valueOf(e bsoncore.Element) bson.RawValue {
	v := e.Value()
	return bson.RawValue{Type: bson.Type(v.Type), Value: v.Data}
}

// value notes how one field differs.
func (s *stats) value(prefix string, x bsoncore.Element, is bson.RawValue, values bool) (lost bool) {
	was := valueOf(x)
	if is.Type == was.Type && bytes.Equal(is.Value, was.Value) {
		return false
	}
	path := prefix + x.Key()
	a, doc1 := was.DocumentOK()
	b, doc2 := is.DocumentOK()
	if doc1 && doc2 {
		return s.differ(path+".", a, b, values)
	}
	if is.Type != was.Type {
		s.types[typeChange{path, update.TypeName(was.Type), update.TypeName(is.Type)}]++
	}
	m, arr1 := was.ArrayOK()
	n, arr2 := is.ArrayOK()
	switch {
	case arr1 && arr2:
		s.shrunk(path, length(m), length(n))
	case values && !doc1 && !arr1:
		s.oldValue(path, was)
	}
	return false
}

// lostPaths are the fields of a document that another has not, nested ones by their path.
func lostPaths(prefix string, before, after bson.Raw) (out []string) {
	elems, err := before.Elements()
	if err != nil {
		return nil
	}
	for _, e := range elems {
		v, err := after.LookupErr(e.Key())
		if err != nil {
			out = append(out, prefix+e.Key())
			continue
		}
		was, ok1 := e.Value().DocumentOK()
		is, ok2 := v.DocumentOK()
		if ok1 && ok2 {
			out = append(out, lostPaths(prefix+e.Key()+".", was, is)...)
		}
	}
	return out
}
