package plan

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/update"
)

// paths gather, over all documents of a namespace, what happens to each field.
type paths struct {
	by   map[string]*pathStats
	more bool // there are more paths than are kept
}

const maxPaths = 500

type pathStats struct {
	removed, added, changed int64 // documents
	replaced                int64 // of removed and changed: by a replacement of the whole document
	types                   map[[2]bson.Type]int64
	old, new                oldValues
	plain                   bool // old and new are values, not documents and arrays, and set by an update
}

// at is what happens to a path; nil if it is one too many.
func (p *paths) at(path string) *pathStats {
	s := p.by[path]
	if s == nil {
		if len(p.by) >= maxPaths {
			p.more = true
			return nil
		}
		s = &pathStats{types: map[[2]bson.Type]int64{}}
		p.by[path] = s
	}
	return s
}

// changed notes what a document loses and how its values change, and returns how many fields that are. open are the paths of after that are not known.
func (s *stats) changed(w *command.Write, before, after bson.Raw, open []string) int {
	d := differ{stats: s, update: w.Op == command.Update, open: open}
	d.documents("", before, after)
	s.byReplace = s.byReplace || d.lost && w.Op == command.Replace
	for _, path := range s.wholes {
		was, ok1 := update.Lookup(before, path)
		is, ok2 := update.Lookup(after, path)
		a, isDoc1 := was.DocumentOK()
		b, isDoc2 := is.DocumentOK()
		if ok1 && ok2 && isDoc1 && isDoc2 && len(lostPaths("", a, b)) > 0 {
			s.overwrites[path]++
		}
		m, isArr1 := was.ArrayOK()
		n, isArr2 := is.ArrayOK()
		if ok1 && ok2 && isArr1 && isArr2 && length(n) >= length(m) && loses(m, n) { // of a shorter one array-shrinks is said
			s.elements[path]++
		}
	}
	return d.fields
}

// differ compares two documents.
type differ struct {
	*stats
	update bool // by operators or a pipeline, not by a whole document
	open   []string
	lost   bool // fields of before are not in after
	fields int
}

// known says whether what after has at a path is more than a guess.
func (d *differ) known(path string) bool {
	return !slices.ContainsFunc(d.open, func(o string) bool { return path == o || strings.HasPrefix(path, o+".") })
}

// documents walks through two documents side by side, from element to element as long as they have the same names in the same order, which most do. What an
// array loses is counted, not named.
func (d *differ) documents(prefix string, before, after bson.Raw) {
	a, b := rest(before), rest(after)
	for len(a) > 1 {
		x, nextA, ok := bsoncore.ReadElement(a)
		if !ok {
			return
		}
		a = nextA
		y, nextB, ok := bsoncore.ReadElement(b)
		if ok && bytes.Equal(x, y) {
			b = nextB
			continue
		}
		if ok && sameKey(x, y) {
			b = nextB
			d.value(prefix, x, valueOf(y))
			continue
		}
		if is, err := after.LookupErr(x.Key()); err == nil {
			d.value(prefix, x, is)
			continue
		}
		d.removed(prefix+x.Key(), valueOf(x))
	}
	for len(b) > 1 { // what the walk did not pass is new, or stands elsewhere
		y, nextB, ok := bsoncore.ReadElement(b)
		if !ok {
			return
		}
		b = nextB
		if _, err := before.LookupErr(y.Key()); err != nil {
			d.added(prefix+y.Key(), valueOf(y))
		}
	}
}

func (d *differ) removed(path string, was bson.RawValue) {
	if !d.known(path) {
		return
	}
	d.lost, d.fields = true, d.fields+1
	if s := d.paths.at(path); s != nil {
		s.removed++
		if !d.update {
			s.replaced++
		}
		s.old.add(was)
	}
}

func (d *differ) added(path string, is bson.RawValue) {
	d.fields++
	if s := d.paths.at(path); s != nil {
		s.added++
		if d.known(path) {
			s.new.add(is)
		} else {
			s.new.more = true
		}
	}
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
func (d *differ) value(prefix string, x bsoncore.Element, is bson.RawValue) {
	was := valueOf(x)
	if is.Type == was.Type && bytes.Equal(is.Value, was.Value) {
		return
	}
	path := prefix + x.Key()
	a, doc1 := was.DocumentOK()
	b, doc2 := is.DocumentOK()
	if doc1 && doc2 {
		d.documents(path+".", a, b)
		return
	}
	d.fields++
	s := d.paths.at(path)
	if s == nil {
		return
	}
	s.changed++
	s.old.add(was)
	if !d.update {
		s.replaced++
	}
	if !d.known(path) {
		s.new.more = true
		return
	}
	if is.Type != was.Type {
		s.types[[2]bson.Type{was.Type, is.Type}]++
	}
	m, arr1 := was.ArrayOK()
	n, arr2 := is.ArrayOK()
	if arr1 && arr2 {
		d.shrunk(path, length(m), length(n))
	}
	s.new.add(is)
	s.plain = s.plain || d.update && !doc1 && !arr1
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

// PathChange is what happens to one field, over all documents of a namespace.
type PathChange struct {
	Namespace string `json:"namespace"`
	Path      string `json:"path"`
	// In how many documents it goes, comes, or has another value.
	Removed int64 `json:"removed,omitempty"`
	Added   int64 `json:"added,omitempty"`
	Changed int64 `json:"changed,omitempty"`
	// Values before and after, with the number of documents, the commonest first; More says that there are others.
	Old     []ValueCount `json:"old,omitempty"`
	MoreOld bool         `json:"moreOld,omitempty"`
	New     []ValueCount `json:"new,omitempty"`
	MoreNew bool         `json:"moreNew,omitempty"`
}

// ValueCount is a value, as relaxed Extended JSON and shortened, with the number of documents that have it. Untrusted text.
type ValueCount struct {
	Value     string `json:"value"`
	Documents int64  `json:"documents"`
}

// maxPathChanges are written down.
const maxPathChanges = 50

// pathChanges are what happens to each field, the most important first: what goes, then what changes its type, then what changes, then what comes; and of those
// what concerns the most documents.
func (s *stats) pathChanges() (out []PathChange) {
	rank := func(p *pathStats) int {
		switch {
		case p.removed > 0:
			return 0
		case len(p.types) > 0:
			return 1
		case p.changed > 0:
			return 2
		}
		return 3
	}
	names := slices.SortedFunc(maps.Keys(s.paths.by), func(a, b string) int {
		x, y := s.paths.by[a], s.paths.by[b]
		return cmp.Or(cmp.Compare(rank(x), rank(y)), cmp.Compare(y.removed+y.changed+y.added, x.removed+x.changed+x.added), strings.Compare(a, b))
	})
	for _, n := range names[:min(len(names), maxPathChanges)] {
		p := s.paths.by[n]
		c := PathChange{Namespace: s.count.Namespace, Path: n, Removed: p.removed, Added: p.added, Changed: p.changed, MoreOld: p.old.more, MoreNew: p.new.more}
		c.Old, c.New = p.old.sorted(), p.new.sorted()
		out = append(out, c)
	}
	return out
}
