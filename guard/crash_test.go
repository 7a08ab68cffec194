package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"respect/guard/internal/wiretest"
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
			roads := []string{"proxy", "set"}
			if schemaWork(c.phrase) {
				roads = roads[:1] // schema work has one road only
			}
			const parts = 3 // most of the time is spent waiting for the driver to dial again
			for part := range parts {
				eachInMemory(t, func(t *testing.T, s *server) {
					s.people(t)
					before := s.state(t)
					for n := part; ; n += parts * stride() {
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

// schemaWork says whether a phrase confirms no writes of documents: it begins with a command then.
func schemaWork(phrase string) bool { return phrase != "" && !strings.HasPrefix(phrase, "DB.") }

// kill crashes at step n and looks at what is left; true if the change has not so many steps. It leaves the data as it was before.
func (s *server) kill(t *testing.T, before state, cmds []string, n, tear int) bool {
	t.Helper()
	fsys := durabletest.NewCrash(-1)
	fsys.Tear(tear)
	b := &bench{server: s, t: t, dir: durabletest.MemoryDir(t), fs: fsys, op: &operator{}, reason: "a test"}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	fsys.CrashAfter(n)
	s.onCommand(func(cmd wiretest.Command) wiretest.Fault {
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
	s.onCommand(nil)
	steps := fsys.Steps()
	at := fmt.Sprintf("killed at step %d, after %s (tear %d)", n, steps[len(steps)-1], tear)

	s.settle(t, before, b.dir, at)
	return finished
}
