package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"respect/guard/command"
	"respect/guard/update"
)

// TestDiffer: what a document loses, and how its values change, whatever the order of the fields.
func TestDiffer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		before, after string
		removed       map[string]int64
		types         map[string]int64 // path from to
		added         map[string]int64
		shrinks       map[string]int64
		old           []string
	}{
		{before: `{"_id": 1, "a": 1}`, after: `{"_id": 1, "a": 1}`},
		{before: `{"_id": 1, "a": 1, "b": 2}`, after: `{"_id": 1, "b": 2}`, removed: map[string]int64{"a": 1}},
		{before: `{"_id": 1, "a": 1, "b": 2}`, after: `{"_id": 1, "b": 3, "a": 1}`, old: []string{"b"}},
		{before: `{"_id": 1, "a": 1, "b": 2, "c": 3}`, after: `{"_id": 1, "c": 3, "z": 1, "a": 1}`, removed: map[string]int64{"b": 1}, added: map[string]int64{"z": 1}},
		{before: `{"_id": 1, "a": {"x": 1, "y": {"z": 2}}}`, after: `{"_id": 1, "a": {"y": {}}}`, removed: map[string]int64{"a.x": 1, "a.y.z": 1}},
		{before: `{"_id": 1, "a": 1}`, after: `{"_id": 1, "a": "1"}`, types: map[string]int64{"a int string": 1}, old: []string{"a"}},
		{before: `{"_id": 1, "a": {"b": 1}}`, after: `{"_id": 1, "a": 5}`, types: map[string]int64{"a object int": 1}},
		{before: `{"_id": 1, "t": [1, 2, 3]}`, after: `{"_id": 1, "t": [1]}`, shrinks: map[string]int64{"t": 2}},
		{before: `{"_id": 1, "a": 1, "ab": 2}`, after: `{"_id": 1, "ab": 2}`, removed: map[string]int64{"a": 1}},
	} {
		s := &stats{paths: paths{by: map[string]*pathStats{}}, findings: newFindings()}
		s.changed(&command.Write{Op: command.Update}, raw(t, c.before), raw(t, c.after), nil)
		shrinks, removed, added, types := map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]int64{}
		for path, x := range s.shrinks {
			shrinks[path] = x.elements
		}
		var old []string
		for path, x := range s.paths.by {
			if x.removed > 0 {
				removed[path] = x.removed
			}
			if x.added > 0 {
				added[path] = x.added
			}
			for t, n := range x.types {
				types[path+" "+update.TypeName(t[0])+" "+update.TypeName(t[1])] = n
			}
			if x.plain {
				old = append(old, path)
			}
		}
		for name, d := range map[string]string{
			"removed": cmp.Diff(orEmpty(c.removed), removed), "types": cmp.Diff(orEmpty(c.types), types), "added": cmp.Diff(orEmpty(c.added), added),
			"shrinks": cmp.Diff(orEmpty(c.shrinks), shrinks), "old": cmp.Diff(c.old, old),
		} {
			if d != "" {
				t.Errorf("%s → %s: %s: %s", c.before, c.after, name, d)
			}
		}
		if s.byReplace {
			t.Errorf("%s → %s: taken for a replacement", c.before, c.after)
		}
	}
}

func orEmpty[K comparable](m map[K]int64) map[K]int64 {
	if m == nil {
		return map[K]int64{}
	}
	return m
}

// TestPathChanges: what happens to each field over many documents, in few words.
func TestPathChanges(t *testing.T) {
	t.Parallel()
	type pair struct{ before, after string }
	times := func(n int, before, after func(i int) string) (out []pair) {
		for i := range n {
			out = append(out, pair{before(i), after(i)})
		}
		return out
	}
	always := func(s string) func(int) string { return func(int) string { return s } }
	for name, c := range map[string]struct {
		pairs   []pair
		renames [][2]string
		want    []PathChange
	}{
		"many numbers are a range": {
			pairs: times(40, func(i int) string { return fmt.Sprintf(`{"p": {"$numberDecimal": "%d.00"}}`, 1100+i*500) }, func(i int) string { return fmt.Sprintf(`{"p": {"$numberDecimal": "%d.%02d"}}`, 11+i*5, i) }),
			want: []PathChange{{Namespace: "a.b", Path: "p", Changed: 40, MoreOld: true, MoreNew: true,
				OldRange: &Range{"1,100.00", "20,600.00"}, NewRange: &Range{"11.00", "206.39"}}},
		},
		"few values are listed": {
			pairs: times(3, func(i int) string { return fmt.Sprintf(`{"p": %d}`, i%2) }, always(`{"p": 7}`)),
			want:  []PathChange{{Namespace: "a.b", Path: "p", Changed: 3, Old: []ValueCount{{"0", 2}, {"1", 1}}, New: []ValueCount{{"7", 3}}}},
		},
		"an element that is always the same one": {
			pairs: times(2, always(`{"l": [{"q": 5}, {"q": 5}]}`), always(`{"l": [{"q": 5}, {"q": 4}]}`)),
			want:  []PathChange{{Namespace: "a.b", Path: "l.1.q", Changed: 2, Old: []ValueCount{{"5", 2}}, New: []ValueCount{{"4", 2}}}},
		},
		"elements that are others": {
			pairs: []pair{{`{"l": [{"q": 5}, {"q": 5}]}`, `{"l": [{"q": 4}, {"q": 4}]}`}},
			want:  []PathChange{{Namespace: "a.b", Path: "l.$[].q", Changed: 1, Old: []ValueCount{{"5", 2}}, New: []ValueCount{{"4", 2}}}},
		},
		"an array that loses and gains": {
			pairs: times(2, always(`{"t": ["a", "b", "x"]}`), always(`{"t": ["b", "x", "y"]}`)),
			want:  []PathChange{{Namespace: "a.b", Path: "t", Changed: 2, Lost: []ValueCount{{"'a'", 2}}, Gained: []ValueCount{{"'y'", 2}}}},
		},
		"an array in another order": {
			pairs: []pair{{`{"t": ["a", "b"]}`, `{"t": ["b", "a"]}`}},
			want:  []PathChange{{Namespace: "a.b", Path: "t", Changed: 1, Reordered: 1}},
		},
		"a rename is no loss": {
			pairs:   []pair{{`{"mail": "x", "n": 1}`, `{"n": 1, "contact": {"email": "x"}}`}},
			renames: [][2]string{{"mail", "contact.email"}},
			want:    []PathChange{{Namespace: "a.b", Path: "mail", Renamed: []ValueCount{{"contact.email", 1}}}},
		},
		"a type": {
			pairs: []pair{{`{"n": 1}`, `{"n": {"$numberLong": "1"}}`}},
			want:  []PathChange{{Namespace: "a.b", Path: "n", Changed: 1, Old: []ValueCount{{"1", 1}}, New: []ValueCount{{"Long('1')", 1}}, Types: []TypeChangeCount{{"int", "long", 1}}}},
		},
	} {
		s := &stats{paths: paths{by: map[string]*pathStats{}}, findings: newFindings()}
		s.count.Namespace, s.renames = "a.b", c.renames
		for _, p := range c.pairs {
			s.changed(&command.Write{Op: command.Update}, raw(t, p.before), raw(t, p.after), nil)
		}
		got := s.pathChanges()
		for i := range got {
			if got[i].OldRange != nil {
				got[i].Old, got[i].New = nil, nil
			}
		}
		if d := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
