package plan

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/update"
)

// paths gather, over all documents of a namespace, what happens to each field. What happens to one document is replay/diff's to say.
type paths struct {
	by   map[string]*pathStats // an element of an array is .$[], as in MongoDB's own paths
	more bool                  // there are more paths than are kept
}

const maxPaths = 500

type pathStats struct {
	removed, added, changed int64 // documents
	replaced                int64 // of removed and changed: by a replacement of the whole document
	renamed                 map[string]int64
	types                   map[[2]bson.Type]int64
	old, new                oldValues
	plain                   bool // old and new are values, not documents and arrays, and set by an update

	// Of an array that gets longer or shorter, or whose elements stand in another order.
	lost, gained oldValues
	reordered    int64

	concrete string // the path in the first document, with the numbers of elements
	various  bool   // it is another one in other documents
	last     int64  // the document that was counted last: of many elements it counts once
}

// path is what is said of it: with the number of the element, where that is always the same.
func (s *pathStats) path(key string) string {
	if s.various || s.concrete == "" {
		return key
	}
	return s.concrete
}

// spot is a path, and which one it is in the document at hand.
type spot struct{ general, concrete string }

func (p spot) field(name string) spot {
	if p.general == p.concrete {
		s := name
		if p.general != "" {
			s = p.general + "." + name
		}
		return spot{s, s}
	}
	return spot{p.general + "." + name, p.concrete + "." + name}
}

func (p spot) element(i int) spot {
	return spot{p.general + ".$[]", p.concrete + "." + strconv.Itoa(i)}
}

// at is what happens to a path; nil if it is one too many.
func (p *paths) at(path spot) *pathStats {
	s := p.by[path.general]
	if s == nil {
		if len(p.by) >= maxPaths {
			p.more = true
			return nil
		}
		s = &pathStats{types: map[[2]bson.Type]int64{}, concrete: path.concrete}
		p.by[path.general] = s
	}
	s.various = s.various || s.concrete != path.concrete
	return s
}

// changed notes what a document loses and how its values change, and returns how many fields that are. open are the paths of after that are not known.
func (s *stats) changed(w *command.Write, before, after bson.Raw, open []string) int {
	s.serial++
	d := differ{stats: s, update: w.Op == command.Update, open: open, renames: s.renames, before: before, after: after}
	d.documents(spot{}, before, after)
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
	update        bool // by operators or a pipeline, not by a whole document
	open          []string
	renames       [][2]string // from, to
	before, after bson.Raw
	lost          bool // fields of before are not in after
	fields        int
}

// known says whether what after has at a path is more than a guess.
func (d *differ) known(path string) bool {
	return !slices.ContainsFunc(d.open, func(o string) bool { return path == o || strings.HasPrefix(path, o+".") })
}

// documents walks through two documents side by side, from element to element as long as they have the same names in the same order, which most do.
func (d *differ) documents(at spot, before, after bson.Raw) {
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
			d.value(at.field(x.Key()), valueOf(x), valueOf(y))
			continue
		}
		if is, err := after.LookupErr(x.Key()); err == nil {
			d.value(at.field(x.Key()), valueOf(x), is)
			continue
		}
		d.removed(at.field(x.Key()), valueOf(x))
	}
	for len(b) > 1 { // what the walk did not pass is new, or stands elsewhere
		y, nextB, ok := bsoncore.ReadElement(b)
		if !ok {
			return
		}
		b = nextB
		if _, err := before.LookupErr(y.Key()); err != nil {
			d.added(at.field(y.Key()), valueOf(y))
		}
	}
}

func (d *differ) removed(path spot, was bson.RawValue) {
	if !d.known(path.concrete) {
		return
	}
	d.fields++
	s := d.paths.at(path)
	if to := d.renamedTo(path.concrete, was); to != "" {
		if s != nil {
			if s.renamed == nil {
				s.renamed = map[string]int64{}
			}
			s.renamed[to]++
		}
		return
	}
	d.lost = true
	if s != nil {
		s.removed += d.once(s)
		if !d.update {
			s.replaced++
		}
		s.old.add(was)
	}
}

// once is 1 if the document at hand was not counted there yet.
func (d *differ) once(s *pathStats) int64 {
	if s.last == d.serial {
		return 0
	}
	s.last = d.serial
	return 1
}

// renamedTo is the name that $rename gives to a field whose value is there afterwards; "" if it does not.
func (d *differ) renamedTo(path string, was bson.RawValue) string {
	for _, r := range d.renames {
		if r[0] != path {
			continue
		}
		if is, ok := update.Lookup(d.after, r[1]); ok && is.Type == was.Type && bytes.Equal(is.Value, was.Value) {
			return r[1]
		}
	}
	return ""
}

// fromRename says whether what is new at a path is nothing but a field that $rename put there.
func (d *differ) fromRename(path string, is bson.RawValue) bool {
	for _, r := range d.renames {
		name, below := r[1], ""
		if name != path {
			var ok bool
			if below, ok = strings.CutPrefix(name, path+"."); !ok {
				continue
			}
		}
		if _, had := update.Lookup(d.before, r[0]); !had {
			continue
		}
		for v := is; ; {
			if below == "" {
				return true
			}
			doc, ok := v.DocumentOK()
			elems, err := doc.Elements()
			var first string
			first, below, _ = strings.Cut(below, ".")
			if !ok || err != nil || len(elems) != 1 || elems[0].Key() != first {
				break
			}
			v = elems[0].Value()
		}
	}
	return false
}

func (d *differ) added(path spot, is bson.RawValue) {
	if d.fromRename(path.concrete, is) {
		return
	}
	d.fields++
	if s := d.paths.at(path); s != nil {
		s.added += d.once(s)
		if d.known(path.concrete) {
			s.new.add(is)
		} else {
			s.new.more, s.new.ordinary = true, true
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
func (d *differ) value(path spot, was, is bson.RawValue) {
	if is.Type == was.Type && bytes.Equal(is.Value, was.Value) {
		return
	}
	a, doc1 := was.DocumentOK()
	b, doc2 := is.DocumentOK()
	if doc1 && doc2 {
		d.documents(path, a, b)
		return
	}
	m, arr1 := was.ArrayOK()
	n, arr2 := is.ArrayOK()
	if arr1 && arr2 && d.known(path.concrete) {
		d.arrays(path, m, n)
		return
	}
	d.fields++
	s := d.paths.at(path)
	if s == nil {
		return
	}
	first := d.once(s)
	s.changed += first
	s.old.add(was)
	if !d.update {
		s.replaced++
	}
	if !d.known(path.concrete) {
		s.new.more, s.new.ordinary = true, true
		return
	}
	if is.Type != was.Type {
		s.types[[2]bson.Type{was.Type, is.Type}] += first
	}
	s.new.add(is)
	s.plain = s.plain || d.update && !doc1 && !arr1
}

// arrays notes how an array differs: element by element where it has as many as before, and otherwise by what it loses and gains. The same elements, each by one
// place further, are not as many changes.
func (d *differ) arrays(path spot, was, is bson.RawArray) {
	a, err1 := was.Values()
	b, err2 := is.Values()
	if err1 != nil || err2 != nil {
		return
	}
	d.shrunk(path.general, int64(len(a)), int64(len(b)))
	lost, gained := without(a, b), without(b, a)
	if len(a) == len(b) {
		var at []int
		for i := range a {
			if a[i].Type != b[i].Type || !bytes.Equal(a[i].Value, b[i].Value) {
				at = append(at, i)
			}
		}
		if len(at) <= len(lost) {
			for _, i := range at {
				d.value(path.element(i), a[i], b[i])
			}
			return
		}
	}
	d.fields++
	s := d.paths.at(path)
	if s == nil {
		return
	}
	s.changed += d.once(s)
	if !d.update {
		s.replaced++
	}
	if len(lost) == 0 && len(gained) == 0 {
		s.reordered++
	}
	for _, v := range lost {
		s.lost.add(v)
	}
	for _, v := range gained {
		s.gained.add(v)
	}
}

// without are the values of a list that another has not, each as often as it is missing there.
func without(list, other []bson.RawValue) (out []bson.RawValue) {
	have := map[string]int{}
	key := func(v bson.RawValue) string { return string(rune(v.Type)) + string(v.Value) }
	for _, v := range other {
		have[key(v)]++
	}
	for _, v := range list {
		if k := key(v); have[k] > 0 {
			have[k]--
		} else {
			out = append(out, v)
		}
	}
	return out
}

// renamesOf are the fields that $rename gives another name: from, to.
func renamesOf(w command.Write) (out [][2]string) {
	doc, _ := w.Update.DocumentOK()
	rename, _ := doc.Lookup("$rename").DocumentOK()
	elems, err := rename.Elements()
	if err != nil || w.Op != command.Update {
		return nil
	}
	for _, e := range elems {
		if to, ok := e.Value().StringValueOK(); ok {
			out = append(out, [2]string{e.Key(), to})
		}
	}
	return out
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

// PathChange is what happens to one field, over all documents of a namespace. An element of an array is .$[], or has its number where that is always the same.
type PathChange struct {
	Namespace string `json:"namespace"`
	Path      string `json:"path"`
	// In how many documents it goes, comes, or has another value.
	Removed int64 `json:"removed,omitempty"`
	Added   int64 `json:"added,omitempty"`
	Changed int64 `json:"changed,omitempty"`
	// Renamed is the field's other name, and in how many documents it gets it.
	Renamed []ValueCount `json:"renamed,omitempty"`
	// Values before and after, with how often there are, the commonest first; More says that there are others. Of many that can be compared there is a range.
	Old      []ValueCount `json:"old,omitempty"`
	MoreOld  bool         `json:"moreOld,omitempty"`
	OldRange *Range       `json:"oldRange,omitempty"`
	New      []ValueCount `json:"new,omitempty"`
	MoreNew  bool         `json:"moreNew,omitempty"`
	NewRange *Range       `json:"newRange,omitempty"`
	// Types that change.
	Types []TypeChangeCount `json:"types,omitempty"`
	// Of an array: the elements that it loses and gains, and in how many documents they only stand in another order.
	Lost       []ValueCount `json:"lost,omitempty"`
	MoreLost   bool         `json:"moreLost,omitempty"`
	Gained     []ValueCount `json:"gained,omitempty"`
	MoreGained bool         `json:"moreGained,omitempty"`
	Reordered  int64        `json:"reordered,omitempty"`
}

// ValueCount is a value as the shell prints it, shortened, with the number of documents that have it, or of elements. Safe on a terminal.
type ValueCount struct {
	Value     string `json:"value"`
	Documents int64  `json:"documents"`
}

// maxPathChanges are written down.
const maxPathChanges = 50

// pathChanges are what happens to each field, the most important first: what goes, then what changes its type or its name, then what changes, then what comes; and
// of those what concerns the most documents.
func (s *stats) pathChanges() (out []PathChange) {
	rank := func(p *pathStats) int {
		switch {
		case p.removed > 0:
			return 0
		case len(p.types) > 0 || len(p.renamed) > 0:
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
		out = append(out, s.paths.by[n].asChange(s.count.Namespace, n))
	}
	return out
}

func (s *pathStats) asChange(ns, key string) PathChange {
	c := PathChange{
		Namespace: ns, Path: s.path(key), Removed: s.removed, Added: s.added, Changed: s.changed, Types: s.typeChanges(), Reordered: s.reordered,
		Old: s.old.sorted(), MoreOld: s.old.more, OldRange: s.old.between(), New: s.new.sorted(), MoreNew: s.new.more, NewRange: s.new.between(),
		Lost: s.lost.sorted(), MoreLost: s.lost.more, Gained: s.gained.sorted(), MoreGained: s.gained.more,
	}
	for _, to := range slices.Sorted(maps.Keys(s.renamed)) {
		c.Renamed = append(c.Renamed, ValueCount{to, s.renamed[to]})
	}
	return c
}
