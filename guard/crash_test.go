package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"respect/guard/internal/wiretest"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
)

// killed are the changes that the kill matrix goes through: one of each way in which a change is carried out.
var killed = strings.Split("insert into a new collection|update one field of all|replace|delete all|a loop|two collections|findAndModify update|drop|drop database|"+
	"drop an index|create an index|create a collection|rename a collection|rename onto another", "|")

// TestKillMatrix stops the world at every durable step of a change, before every write reaches the server, and before each answer comes back. What is
// left is either no write, or a record from which a later session tells what happened, and undo restores.
//
// A power loss takes back what was not synced (Tear 0); kill -9 does not, and may leave a torn last line.
func TestKillMatrix(t *testing.T) {
	t.Parallel()
	for _, c := range writes {
		name := c.name
		found := false
		for _, k := range killed {
			found = found || k == name
		}
		if !found {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roads := []string{"proxy", "double"}
			if strings.HasPrefix(c.phrase, strings.Fields(c.phrase)[0]+" DB") {
				roads = roads[:1] // schema work has one road only
			}
			const parts = 3 // most of the time is spent waiting for the driver to dial again
			for part := range parts {
				each(t, func(t *testing.T, s *server) {
					s.people(t)
					before := s.state(t)
					for n := part; ; n += parts {
						if s.kill(t, before, in(s.db, c.cmds), n, 40*(n/parts%2)) {
							if n < 8 {
								t.Fatalf("the change has only %d steps", n)
							}
							return
						}
					}
				}, roads...)
			}
		})
	}
	for _, k := range killed {
		if !strings.Contains(fmt.Sprint(writes), k) {
			t.Errorf("no write is called %q", k)
		}
	}
}

// kill crashes at step n and looks at what is left; true if the change has not so many steps. It leaves the data as it was before.
func (s *server) kill(t *testing.T, before state, cmds []string, n, tear int) bool {
	t.Helper()
	fsys := durabletest.NewCrash(-1)
	fsys.Tear(tear)
	b := &bench{server: s, t: t, dir: t.TempDir(), fs: fsys, op: &operator{}, reason: "a test"}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	fsys.CrashAfter(n)
	s.double.OnCommand(func(cmd wiretest.Command) wiretest.Fault {
		write := len(wiretest.Writes([]wiretest.Command{cmd})) > 0
		switch {
		case fsys.Crashed(), write && fsys.Step("send "+cmd.Name) != nil:
			return wiretest.Drop
		case write && fsys.Step("answer "+cmd.Name) != nil:
			return wiretest.LoseReply
		}
		return wiretest.None
	})
	_, _, _ = b.run(cmds...) // what a dead process would have said
	finished := !fsys.Crashed()
	b.close()
	s.double.OnCommand(nil)
	steps := fsys.Steps()
	at := fmt.Sprintf("killed at step %d, after %s (tear %d)", n, steps[len(steps)-1], tear)

	after := s.state(t)
	again := s.benchIn(t, b.dir, durable.OS{})
	defer again.close()
	changes := again.changes()
	if len(changes) == 0 {
		if !equal(before, after) {
			same(t, at+": the record knows of no change", before, after)
		}
		return false
	}
	c := changes[0]
	if c.CutOff {
		r, err := again.gate.Recover(t.Context(), again.d, c)
		if err != nil {
			t.Fatalf("%s: what came of it cannot be told: %v", at, err)
		}
		if c = again.last(); c.Status != r.Status {
			t.Fatalf("%s: found %s, and the record says %s", at, r.Status, c.Status)
		}
	}
	switch unchanged := equal(before, after); {
	case unchanged && (c.Status == replay.StatusApplied || c.Status == replay.StatusPartly):
		t.Fatalf("%s: nothing was changed, and the record says %s", at, c.Status)
	case !unchanged && c.Status == replay.StatusRejected:
		same(t, at+": the record says "+string(c.Status), before, after)
	}
	if c.Status != replay.StatusRejected {
		if _, err := again.undo(c); err != nil {
			t.Fatalf("%s: %s: undo: %v", at, c.Status, err)
		}
		same(t, at+": after undo", before, s.state(t))
	}
	return finished
}
