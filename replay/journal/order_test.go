package journal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"respect/replay"
	"respect/replay/durable"
)

// clocked is a state directory whose machine has a clock that can be set.
type clocked struct {
	testing.TB
	dir  string
	key  *Key
	now  time.Time
	rand *rand.ChaCha8
}

func newClocked(t testing.TB) *clocked {
	c := &clocked{TB: t, dir: t.TempDir(), now: time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC), rand: rand.NewChaCha8([32]byte{9})}
	var err error
	if c.key, err = OpenKey(durable.OS{}, c.dir, "tim@conference", c.rand); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *clocked) begin() *Writer {
	c.Helper()
	w, err := Create(Config{FS: durable.OS{}, Dir: c.dir, Key: c.key, Rand: c.rand, Now: func() time.Time { return c.now }, Who: replay.Who{User: "tim", Host: "conference"}})
	if err == nil {
		err = w.Seal()
	}
	if err != nil {
		c.Fatal(err)
	}
	return w
}

// does makes a change, with a statement and a reason.
func (c *clocked) does(w *Writer, id, undoes string) {
	c.Helper()
	for _, e := range []struct {
		kind replay.Kind
		body any
	}{
		{replay.KindReason, replay.Reason{Text: "ticket of " + id, Manner: "typed"}},
		{replay.KindInput, replay.Input{Text: "makes " + id, Manner: "typed", Mode: "run"}},
		{replay.KindPlanned, replay.Planned{Change: id}},
		{replay.KindDecided, replay.Decided{Change: id, Screen: "the preview of " + id}},
		{replay.KindIntent, replay.Intent{Change: id, Undoes: undoes, Counts: []replay.Count{{Namespace: "shop.a", Matched: 35, Updated: 30}}}},
		{replay.KindOutcome, replay.Outcome{Change: id, Status: replay.StatusApplied, Counts: []replay.Count{{Namespace: "shop.a", Updated: 30}}}},
	} {
		err := w.Append(e.kind, e.body)
		if err == nil && (e.kind == replay.KindIntent || e.kind == replay.KindOutcome) {
			err = w.Seal()
		}
		if err != nil {
			c.Fatal(err)
		}
		c.now = c.now.Add(time.Second)
	}
}

func (c *clocked) close(w *Writer) {
	c.Helper()
	if err := w.Close(0); err != nil {
		c.Fatal(err)
	}
}

// states reads the record in both ways, which must say the same.
func (c *clocked) states() string {
	c.Helper()
	all, err := Verify(c.dir, Options{})
	if err != nil {
		c.Fatal(err)
	}
	if ps := all.AllProblems(); len(ps) > 0 {
		c.Errorf("does not verify: %v", ps)
	}
	want := stateOf(c, all)
	for range 2 { // the first may leave indexes that the second uses
		quick, err := Indexed(c.dir)
		if err != nil {
			c.Fatal(err)
		}
		if got := stateOf(c, quick); got != want {
			c.Errorf("through the index: %q, verified: %q", got, want)
		}
	}
	return want
}

func stateOf(t testing.TB, r *Record) string {
	t.Helper()
	var out []string
	for _, x := range r.Changes {
		screen, err := x.Screen()
		if err != nil || screen != "the preview of "+x.ID || x.Statement != "makes "+x.ID || x.Reason != "ticket of "+x.ID || x.Who.User != "tim" {
			t.Errorf("%s: %q %v, statement %q, reason %q, who %v", x.ID, screen, err, x.Statement, x.Reason, x.Who)
		}
		if n := x.Done(); len(n) != 1 || n[0].Matched != 35 || n[0].Updated != 30 {
			t.Errorf("%s did %v", x.ID, n)
		}
		out = append(out, x.ID+":"+string(x.Status))
	}
	return strings.Join(out, " ")
}

// A clock that is set back between two changes puts none of them in another place: what was made last is last, and what was made again stands.
func TestTheClockDecidesNothing(t *testing.T) {
	for _, back := range []time.Duration{0, -time.Minute, -48 * time.Hour} {
		t.Run(fmt.Sprint(back), func(t *testing.T) {
			t.Run("between sessions", func(t *testing.T) {
				c := newClocked(t)
				for _, x := range [][2]string{{"a"}, {"b", "a"}, {"c", "b"}, {"d"}} {
					w := c.begin()
					c.does(w, x[0], x[1])
					c.close(w)
					c.now = c.now.Add(back)
				}
				if got := c.states(); got != "a:applied b:undone c:applied d:applied" {
					t.Error(got)
				}
			})
			t.Run("in one session", func(t *testing.T) {
				c := newClocked(t)
				w := c.begin()
				for _, x := range [][2]string{{"a"}, {"b", "a"}, {"c", "b"}, {"d"}} {
					c.does(w, x[0], x[1])
					c.now = c.now.Add(back)
				}
				c.close(w)
				if got := c.states(); got != "a:applied b:undone c:applied d:applied" {
					t.Error(got)
				}
			})
			t.Run("in sessions that ran at the same time", func(t *testing.T) {
				c := newClocked(t)
				v, w := c.begin(), c.begin()
				for i, id := range []string{"a", "b", "c", "d", "e"} {
					c.does([]*Writer{v, w}[i%2], id, "")
					c.now = c.now.Add(back)
				}
				if got := c.states(); got != "a:applied b:applied c:applied d:applied e:applied" {
					t.Error(got)
				}
				c.close(w)
				c.close(v)
				if got := c.states(); got != "a:applied b:applied c:applied d:applied e:applied" {
					t.Error(got)
				}
			})
		})
	}
}

// Without the list of seals, what sessions say of each other still puts them in order.
func TestOrderWithoutTheListOfSeals(t *testing.T) {
	c := newClocked(t)
	for _, id := range []string{"a", "b", "c"} {
		w := c.begin()
		c.does(w, id, "")
		c.close(w)
		c.now = c.now.Add(-time.Hour)
	}
	if err := os.Remove(filepath.Join(c.dir, headsFile)); err != nil {
		t.Fatal(err)
	}
	if got := c.states(); got != "a:applied b:applied c:applied" {
		t.Error(got)
	}
}

// Changes that take each other back, and sessions that name each other, were not written by this program: there is an end to them all the same.
func TestCirclesEnd(t *testing.T) {
	type I = replay.Intent
	type O = replay.Outcome
	s := session("s", false, I{Change: "a", Undoes: "b"}, O{Change: "a", Status: replay.StatusApplied}, I{Change: "b", Undoes: "a"}, O{Change: "b", Status: replay.StatusApplied}, I{Change: "c", Undoes: "c"}, I{Change: "d", Resumes: "d"})
	s.Open.Previous = []replay.Head{{Session: "t"}, {Session: "s"}}
	u := session("t", false, I{Change: "e"})
	u.Open.Previous = []replay.Head{{Session: "s"}}
	changes, err := Changes([]*Session{s, u})
	if err != nil || len(changes) != 5 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}

// A line whose body is not what its kind says was written by somebody else: everybody says so, and nobody fails.
func TestABodyThatIsNotUnderstood(t *testing.T) {
	c := newClocked(t)
	w := c.begin()
	c.does(w, "a", "")
	if err := w.Append(replay.KindOutcome, map[string]any{"change": "a", "status": 7}); err != nil {
		t.Fatal(err)
	}
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	c.close(w)
	for name, read := range map[string]func() (*Record, error){
		"verified": func() (*Record, error) { return Verify(c.dir, Options{}) }, "through the index": func() (*Record, error) { return Indexed(c.dir) },
	} {
		r, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ps := r.AllProblems(); len(ps) != 1 || !errors.Is(ps[0].Err, ErrFormat) {
			t.Errorf("%s: %v", name, ps)
		}
	}
}
