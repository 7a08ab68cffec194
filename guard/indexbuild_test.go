package guard_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
)

// building is what currentOp tells of an index build.
func building(db string, done, total int) bson.Raw {
	ops := bson.A{bson.D{{Key: "op", Value: "command"}, {Key: "command", Value: bson.D{{Key: "createIndexes", Value: "other"}, {Key: "$db", Value: db}}}, {Key: "progress", Value: bson.D{{Key: "done", Value: 9999}, {Key: "total", Value: 9999}}}}}
	if total > 0 {
		ops = append(ops, bson.D{{Key: "op", Value: "none"}, {Key: "ns", Value: db + ".people"}, {Key: "msg", Value: "Index Build: scanning collection"}, {Key: "progress", Value: bson.D{{Key: "done", Value: done}, {Key: "total", Value: total}}}})
	}
	b, err := bson.Marshal(bson.D{{Key: "inprog", Value: ops}, {Key: "ok", Value: 1.0}})
	if err != nil {
		panic(err)
	}
	return b
}

const buildAge = `{"createIndexes": "people", "indexes": [{"key": {"age": 1}, "name": "age_1"}]}`

// An index build shows its progress, and can be stopped: the indexes that are being built are dropped.
func TestIndexBuildIsWatchedAndStopped(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	var mu sync.Mutex
	var seen []guard.Progress
	b.op.progress = func(p guard.Progress) guard.Control {
		mu.Lock()
		defer mu.Unlock()
		if seen = append(seen, p); p.Total > 0 {
			return guard.Stop
		}
		return guard.Go
	}
	dropped := make(chan struct{})
	s.double.Answer(func(c wiretest.Command) bson.Raw {
		switch c.Name {
		case "currentOp":
			return building(s.db, 30, 100)
		case "dropIndexes":
			close(dropped)
			return []byte("\x11\x00\x00\x00\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0?\x00")
		}
		return nil
	})
	s.onCommand(func(c wiretest.Command) wiretest.Fault {
		if c.Name == "createIndexes" {
			return wiretest.Delay(3*time.Second, wiretest.ServerError(276, "IndexBuildAborted", "collection dropped or index build aborted"))
		}
		return wiretest.None
	})
	_, _, err := b.run(buildAge)
	select {
	case <-dropped:
	default:
		t.Error("the build was not stopped")
	}
	var stopped *guard.Stopped
	if !errors.As(err, &stopped) || !strings.Contains(err.Error(), "the build was stopped: 1 index of "+s.db+".people") {
		t.Errorf("error %v", err)
	}
	if c := b.last(); c.Status != replay.StatusRejected {
		t.Errorf("the record says %s: %s", c.Status, c.Outcome.Error)
	}
	mu.Lock()
	defer mu.Unlock()
	if p := seen[len(seen)-1]; p.Done != 30 || p.Total != 100 || p.What != "builds 1 index on "+s.db+".people" {
		t.Errorf("progress %+v", p)
	}
}

// An index build whose connection was lost goes on, is waited for, and its end is found.
func TestIndexBuildIsFoundAgain(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	looks, lost := 0, false
	var shown []guard.Progress
	b.op.progress = func(p guard.Progress) guard.Control { shown = append(shown, p); return guard.Go }
	s.double.Answer(func(c wiretest.Command) bson.Raw {
		if c.Name != "currentOp" {
			return nil
		}
		if looks++; looks < 4 {
			return building(s.db, 25*looks, 100)
		}
		return building(s.db, 0, 0)
	})
	s.onCommand(func(c wiretest.Command) wiretest.Fault {
		if c.Name == "createIndexes" && !lost {
			lost = true
			return wiretest.LoseReply
		}
		return wiretest.None
	})
	if _, _, err := b.run(buildAge); err != nil {
		t.Fatal(err)
	}
	if c := b.last(); c.Status != replay.StatusApplied || looks != 4 {
		t.Errorf("the record says %s, after %d looks", c.Status, looks)
	}
	if len(shown) < 3 || shown[2].Done != 75 {
		t.Errorf("progress %+v", shown)
	}
	sent := 0
	for _, c := range s.commands() {
		if c.Name == "createIndexes" {
			sent++
		}
	}
	if sent != 1 {
		t.Errorf("it was sent %d times", sent)
	}
}
