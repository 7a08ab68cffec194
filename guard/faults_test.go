package guard_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
	"respect/replay/journal"
)

// changed are the changes that the fault matrix goes through: each kind of document write, and of schema work that the embedded server can do.
var faulted = strings.Split("insert one|update one field of all|replace|delete all|upsert that inserts|findAndModify update|two collections|drop|drop an index|create an index", "|")

// fault is what goes wrong at one point of a change.
type fault struct {
	name   string
	disk   bool           // a durable step fails, and not a command
	answer wiretest.Fault // of one command, reads too
	writes bool           // of commands that write only
}

var faults = []fault{
	{name: "a disk error", disk: true},
	{name: "a server error", answer: wiretest.ServerError(13, "Unauthorized", "not authorized any more")},
	{name: "a lost reply", answer: wiretest.LoseReply, writes: true}, // whether a read was carried out before the connection was lost makes no difference
	{name: "a lost connection", answer: wiretest.Drop},
}

var points, settled sync.Map // fault -> *atomic.Int64

// stride is how many points of a matrix lie between two that are tried: 1, but with the race detector and with -short.
func stride() int {
	if raceDetector || testing.Short() {
		return 5
	}
	return 1
}

func count(m *sync.Map, key string) {
	n, _ := m.LoadOrStore(key, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// TestFaultMatrix makes one thing go wrong at every durable step and at every command of a change, reads too, one after the other. Whatever it is: the documents
// are as before, or as after, or the record says of which it is neither; what the record says is what the server holds; and undo restores.
// TestKillMatrix does the same with the end of the process. With the race detector, and with -short, every fifth point is tried.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	t.Run("points", func(t *testing.T) {
		for _, c := range writes {
			if !slices.Contains(faulted, c.name) {
				continue
			}
			for _, f := range faults {
				t.Run(c.name+"/"+f.name, func(t *testing.T) {
					t.Parallel()
					roads := []string{"proxy", "set"}
					if f.disk && schemaWork(c.phrase) {
						roads = roads[:1] // its steps are the same wherever its commands go
					}
					eachInMemory(t, func(t *testing.T, s *server) {
						s.people(t)
						before := s.state(t)
						for n := 0; ; n += stride() {
							if !s.fault(t, before, in(s.db, c.cmds), f, n) {
								if n < 5 && (n == 0 || !f.writes) {
									t.Fatalf("the change has only %d points", n)
								}
								return
							}
							count(&points, f.name)
						}
					}, roads...)
				})
			}
		}
	})
	for _, f := range faults {
		n, _ := points.LoadOrStore(f.name, new(atomic.Int64))
		ok, _ := settled.LoadOrStore(f.name, new(atomic.Int64))
		t.Logf("%-18s %4d points; the change was made as a whole in %d of them", f.name, n.(*atomic.Int64).Load(), ok.(*atomic.Int64).Load())
	}
}

// fault makes point number n of a change fail, and looks at what is left; false if the change has not so many points. It leaves the data as it was before.
func (s *server) fault(t *testing.T, before state, cmds []string, f fault, n int) bool {
	t.Helper()
	fsys := durabletest.NewCrash(-1)
	b := &bench{server: s, t: t, dir: durabletest.MemoryDir(t), fs: fsys, op: &operator{}, reason: "a test"}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	at := ""
	if f.disk {
		fsys.FailAfter(n, syscall.EIO)
	} else {
		left := n
		s.onCommand(func(cmd wiretest.Command) wiretest.Fault {
			if cmd.Name == "hello" || cmd.Name == "isMaster" || cmd.Name == "ismaster" || cmd.Name == "endSessions" || at != "" {
				return wiretest.None
			}
			if f.writes && len(wiretest.Writes([]wiretest.Command{cmd})) == 0 {
				return wiretest.None
			}
			if left--; left >= 0 {
				return wiretest.None
			}
			at = cmd.Name
			return f.answer
		})
	}
	_, _, err := b.run(cmds...)
	s.onCommand(nil)
	b.close()
	if f.disk && fsys.Failed() {
		at = fsys.Steps()[len(fsys.Steps())-1]
	}
	what := fmt.Sprintf("%s at point %d (%s)", f.name, n, at)
	c := s.settle(t, before, b.dir, what)
	if at == "" {
		return false
	}
	if c != nil && c.Status == replay.StatusApplied && err == nil {
		count(&settled, f.name)
	}
	var refused *guard.Refused
	var server *guard.ServerError
	if c == nil && err == nil {
		t.Fatalf("%s: no error, and no change in the record", what)
	}
	if c == nil && !errors.As(err, &refused) && !errors.As(err, &server) && !f.disk && err.Error() == "" {
		t.Fatalf("%s: an error that says nothing: %v", what, err)
	}
	return true
}

// settle looks, in a session of its own, at what a session has left that came to no good end: that the record and the server say the same, and that undo
// restores. It returns the change, or nil if the record knows of none.
func (s *server) settle(t *testing.T, before state, dir, what string) *journal.Change {
	t.Helper()
	after := s.state(t)
	again := s.benchIn(t, dir, durable.OS{})
	defer again.close()
	changes := again.changes()
	if len(changes) == 0 {
		if !equal(before, after) {
			same(t, what+": the record knows of no change", before, after)
		}
		return nil
	}
	c := changes[0]
	if c.CutOff {
		r, err := again.gate.Recover(t.Context(), again.d, c)
		if err != nil {
			t.Fatalf("%s: what came of it cannot be told: %v", what, err)
		}
		if c = again.last(); c.Status != r.Status {
			t.Fatalf("%s: found %s, and the record says %s", what, r.Status, c.Status)
		}
	}
	switch unchanged := equal(before, after); {
	case unchanged && (c.Status == replay.StatusApplied || c.Status == replay.StatusPartly):
		t.Fatalf("%s: nothing was changed, and the record says %s", what, c.Status)
	case !unchanged && c.Status == replay.StatusRejected:
		same(t, what+": the record says "+string(c.Status), before, after)
	}
	if c.Status != replay.StatusRejected {
		if _, err := again.undo(c); err != nil {
			t.Fatalf("%s: %s: undo: %v", what, c.Status, err)
		}
		same(t, what+": after undo", before, s.state(t))
	}
	return c
}
