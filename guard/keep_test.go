package guard_test

import (
	"slices"
	"strings"
	"testing"

	"respect/replay"
)

// TestDroppedIsKept: where policy says so a large collection is not copied when it is dropped, but kept under another name. Undo gives it its name back; what
// is kept is dropped like any other collection, with a copy.
func TestDroppedIsKept(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		s.people(t)
		before := s.state(t)
		b := s.bench(t)
		b.policy = parsePolicy(t, "policy: {production: {schema: {keep-dropped: 1}}}")
		b.again()
		if _, _, err := b.run(`{"drop": "people"}`); err != nil {
			t.Fatal(err)
		}
		after := s.state(t)
		var kept string
		for name := range after {
			if strings.HasPrefix(name, "respect_aside_") {
				kept = name
			}
		}
		if _, there := after["people"]; there || kept == "" || len(s.documents(t, kept)) == 0 {
			t.Fatalf("there is %v", after)
		}
		said := ""
		for _, f := range b.last().Planned.Facts {
			said += f.Text
		}
		if !strings.Contains(said, "it is not copied, but kept as "+s.db+"."+kept) {
			t.Errorf("it is said %s", said)
		}
		copied := func() bool {
			return slices.ContainsFunc(b.files(), func(f string) bool { return strings.Contains(f, b.last().ID) && strings.HasSuffix(f, ".bson.gz") })
		}
		if c := b.last(); copied() || c.Status != replay.StatusApplied {
			t.Errorf("files %v, status %s", b.files(), c.Status)
		}
		dropped := b.last()
		if _, err := b.undo(dropped); err != nil {
			t.Fatal(err)
		}
		same(t, "after undo", before, s.state(t))

		if _, _, err := b.run(`{"drop": "people"}`); err != nil {
			t.Fatal(err)
		}
		for name := range s.state(t) {
			if strings.HasPrefix(name, "respect_aside_") {
				kept = name
			}
		}
		if _, _, err := b.run(`{"drop": "` + kept + `"}`); err != nil {
			t.Fatal(err)
		}
		if _, there := s.state(t)[kept]; there || !copied() {
			t.Errorf("what was kept is still there, or was not copied: %v", b.files())
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		if n := len(s.documents(t, kept)); n == 0 {
			t.Error("undo did not bring back what was kept")
		}
	})
}
