package guard_test

import (
	"slices"
	"testing"

	"respect/guard"
	"respect/guard/plan"
)

// TestGridFS: that the contents of deleted files stay is said where it is so.
func TestGridFS(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "fs.files", `{"_id": 1, "length": 5}`)
	s.setup(t, "fs.chunks", `{"_id": 10, "files_id": 1, "n": 0}`)
	s.setup(t, "report.files", `{"_id": 1}`) // a name, and no GridFS
	b := s.bench(t)
	files, chunks := `{"delete": "fs.files", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`, `{"delete": "fs.chunks", "deletes": [{"q": {"files_id": 1}, "limit": 0}]}`
	for _, c := range []struct {
		cmds []string
		said bool
	}{
		{[]string{files}, true},
		{[]string{files, chunks}, false},
		{[]string{chunks}, false},
		{[]string{`{"delete": "fs.files", "deletes": [{"q": {"_id": 2}, "limit": 1}]}`}, false}, // deletes none
		{[]string{`{"delete": "report.files", "deletes": [{"q": {}, "limit": 0}]}`}, false},
		{[]string{`{"update": "fs.files", "updates": [{"q": {}, "u": {"$set": {"length": 6}}}]}`}, false},
	} {
		st, _, err := b.runIn(guard.Preview, c.cmds...)
		if err != nil {
			t.Fatal(err)
		}
		plans, _ := st.Plans()
		if said := slices.ContainsFunc(plans[0].Facts(), func(f plan.Fact) bool { return f.Code == plan.LeavesChunks }); said != c.said {
			t.Errorf("%v: it is said %v, want %v", c.cmds, said, c.said)
		}
	}
}
