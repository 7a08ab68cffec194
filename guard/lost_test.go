package guard_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
)

// TestLostReplies loses the connection at each command of a change that writes, before it is carried out and after, and then looks: nothing is
// done twice, the record says what the server says, and undo brings back what was there.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for _, c := range writes {
		if c.full || c.phrase == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			roads := []string{"proxy", "set", "double"}
			if schemaWork(c.phrase) {
				roads = roads[:2] // no document of it is compared, which is what the double can
			}
			start := inMemory
			if c.name == "not predictable" || c.name == "rename" {
				start = production // nobody can say beforehand what these make of a document, or of a unique index
			}
			on(t, start, func(t *testing.T, s *server) {
				for _, fault := range []wiretest.Fault{wiretest.LoseReply, wiretest.Drop} {
					for n := 0; ; n++ {
						if done := loseOne(t, s, in(s.db, c.cmds), fault, n); done {
							if n == 0 {
								t.Fatal("the change sends no write")
							}
							break
						}
					}
				}
			}, roads)
		})
	}
}

// documentWrites are the commands that a replica set remembers by their number.
var documentWrites = map[string]bool{"insert": true, "update": true, "delete": true, "findAndModify": true}

// loseOne runs commands and loses the connection at write number n; true if there are not so many.
func loseOne(t *testing.T, s *server, cmds []string, fault wiretest.Fault, n int) bool {
	t.Helper()
	_ = s.other.Database(s.db).Drop(t.Context())
	s.people(t)
	before := s.state(t)
	b := s.benchIn(t, durabletest.MemoryDir(t), durable.OS{})
	count, lost := 0, ""
	s.onCommand(func(cmd wiretest.Command) wiretest.Fault {
		if len(wiretest.Writes([]wiretest.Command{cmd})) == 0 {
			return wiretest.None
		}
		if count++; count-1 != n {
			return wiretest.None
		}
		lost = cmd.Name
		return fault
	})
	_, _, err := b.run(cmds...)
	s.onCommand(nil)
	if lost == "" {
		if err != nil {
			t.Fatalf("nothing was lost: %v", err)
		}
		b.close()
		return true
	}
	after := s.state(t)
	last := b.last()
	unchanged := equal(before, after)
	if s.set != nil && documentWrites[lost] && (last.Status != replay.StatusApplied || err != nil) {
		t.Fatalf("fault %v at %s: it was not sent again: %s, %v", fault, lost, last.Status, err)
	}
	switch last.Status {
	case replay.StatusRejected:
		if !unchanged {
			same(t, "write "+lost+" lost, and the record says rejected", before, after)
		}
	case replay.StatusApplied, replay.StatusPartly:
		if unchanged {
			t.Fatalf("fault %v at %s: the record says %s, and nothing was changed", fault, lost, last.Status)
		}
	case replay.StatusUnknown:
	default:
		t.Fatalf("fault %v at %s: the record says %s", fault, lost, last.Status)
	}
	var stopped *guard.Stopped
	if last.Status != replay.StatusApplied && !errors.As(err, &stopped) {
		t.Fatalf("fault %v at %s: %s, and the error is %v", fault, lost, last.Status, err)
	}
	if last.Status != replay.StatusRejected {
		if _, err := b.undo(last); err != nil {
			t.Fatalf("fault %v at %s (%s): undo: %v", fault, lost, last.Status, err)
		}
		same(t, "write "+lost+" lost, "+string(last.Status)+": after undo", before, s.state(t))
	}
	b.close()
	return false
}

func equal(a, b state) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if !slices.Equal(a[k], b[k]) {
			return false
		}
	}
	return true
}

// TestLostBatch loses the answer to one of several batches.
func TestLostBatch(t *testing.T) {
	t.Parallel()
	eachRoadInMemory(t, func(t *testing.T, s *server) {
		var docs []string
		for i := range 120 { // three batches on the embedded server
			docs = append(docs, fmt.Sprintf(`{"_id": %d, "n": 1}`, i))
		}
		s.setup(t, "many", docs...)
		before := s.state(t)
		b := s.bench(t)
		count := 0
		s.onCommand(func(cmd wiretest.Command) wiretest.Fault {
			if cmd.Name != "update" && cmd.Name != "findAndModify" { // one for each document, where the server cannot compare whole ones
				return wiretest.None
			}
			if count++; count == 2 {
				return wiretest.LoseReply
			}
			return wiretest.None
		})
		if _, _, err := b.run(`{"update": "many", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}`); err != nil {
			t.Fatal(err)
		}
		if count < 2 {
			t.Fatal("there was only one batch")
		}
		r := b.op.receipts[0]
		alarms := map[bool]int{true: 0, false: 1}[s.set != nil] // a set has the answer again
		if r.Status != replay.StatusApplied || len(r.Alarm) != alarms || r.Actual[0].Updated != int64(len(docs)) {
			t.Fatalf("status %s, alarms %v, counts %v", r.Status, r.Alarm, r.Actual)
		}
		for _, d := range s.state(t)["many"] {
			if strings.HasPrefix(d, `{"_id"`) && !strings.Contains(d, `"n":{"$numberInt":"2"}`) {
				t.Fatalf("a document was changed twice or not at all: %s", d)
			}
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		same(t, "after undo", before, s.state(t))
	})
}
