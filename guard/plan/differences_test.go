package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

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
