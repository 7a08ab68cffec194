package guard_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/replay/durable"
)

// A tunnel may be pointed at another server between any two messages. These tests do that before every single message of a session, one message a run, and look at what arrives where.
//
//	A  what the session was shown
//	B  another server with the same collections and the same _ids, other content in the documents, and another marker

// session is what is done through the forwarder.
type session struct {
	name   string
	a, b   environment.Environment
	first  []string // commands that run while the forwarder leads to A, and are not counted
	undo   bool     // what first did is taken back, instead of commands
	cmds   [][]string
	pinned bool // all writes are of documents that were shown: wherever they arrive, only those documents can be changed
	// behind is how many writes there are in the session. Each arrives at B if the forwarder is switched between the identity's answer and it. Of pinned ones none changes anything.
	behind int
}

var sessions = []session{
	{
		name: "not guarded, development", a: environment.Development, b: environment.Production, behind: 4,
		cmds: [][]string{
			{`{"insert": "c", "documents": [{"_id": 1000, "v": 1}]}`}, {`{"update": "c", "updates": [{"q": {}, "u": {"$set": {"v": -1}}, "multi": true}]}`},
			{`{"delete": "c", "deletes": [{"q": {"_id": {"$lt": 20}}, "limit": 0}]}`}, {`{"drop": "d"}`},
		},
	},
	{
		name: "saved and not asked about, staging", a: environment.Staging, b: environment.Production, pinned: true, behind: 2,
		cmds: [][]string{
			{`{"update": "c", "updates": [{"q": {"_id": {"$lt": 30}}, "u": {"$set": {"v": -1}}, "multi": true}]}`}, {`{"delete": "c", "deletes": [{"q": {"_id": {"$gte": 90}}, "limit": 0}]}`},
		},
	},
	{
		name: "asked about, production, an update in batches", a: environment.Production, b: environment.Production, pinned: true, behind: 2,
		cmds: [][]string{{`{"update": "c", "updates": [{"q": {}, "u": {"$set": {"v": -1}}, "multi": true}]}`}},
	},
	{
		name: "asked about, production, a delete", a: environment.Production, b: environment.Production, pinned: true, behind: 2,
		cmds: [][]string{{`{"delete": "c", "deletes": [{"q": {}, "limit": 0}]}`}},
	},
	{
		name: "asked about, production, an insert", a: environment.Production, b: environment.Production, behind: 1,
		cmds: [][]string{{`{"insert": "c", "documents": [{"_id": 1000, "v": 1}, {"_id": 1001, "v": 1}]}`}},
	},
	{
		name: "asked about, production, an index", a: environment.Production, b: environment.Production, behind: 1,
		cmds: [][]string{{`{"createIndexes": "c", "indexes": [{"key": {"v": 1}, "name": "v_1"}]}`}},
	},
	{
		name: "asked about, production, a drop", a: environment.Production, b: environment.Production, behind: 2,
		cmds: [][]string{{`{"drop": "d"}`}},
	},
	{
		name: "undo, production", a: environment.Production, b: environment.Production, pinned: true, undo: true, behind: 2,
		first: []string{`{"update": "c", "updates": [{"q": {}, "u": {"$set": {"v": -1}}, "multi": true}]}`},
	},
}

// tunnel are the two servers and the forwarder between them and the gate.
type tunnel struct {
	a, b   *wiretest.Memory
	anew   []func()
	f      *wiretest.Forwarder
	pinned bool
	came
}

// came is what a run came to, or many.
type came struct {
	messages int
	behind   int      // writes that arrived at a server that was not the one shown, right behind an identity that the one shown gave
	changing int      // statements of which such a write changed something
	wrong    []string // what must not be
}

func (x session) tunnel(t *testing.T) *tunnel {
	t.Helper()
	p := &tunnel{a: wiretest.NewMemory(t, wiretest.MemoryConfig{}), b: wiretest.NewMemory(t, wiretest.MemoryConfig{}), pinned: x.pinned}
	for _, s := range []struct {
		*wiretest.Memory
		env environment.Environment
		by  string
	}{{p.a, x.a, "one"}, {p.b, x.b, "another"}} {
		s.Put("respect.environment", encoded(t, environment.MarkerDocument(s.env, "any", s.by, markedAt)))
		for i := range int32(120) {
			doc := encoded(t, bson.D{{Key: "_id", Value: i}, {Key: "v", Value: i % 7}, {Key: "of", Value: s.by}})
			s.Put("app.c", doc)
			if i < 5 {
				s.Put("app.d", doc)
			}
		}
		p.anew = append(p.anew, s.Snapshot())
	}
	p.f = wiretest.NewForwarder(t, p.always)
	return p
}

func encoded(t testing.TB, d bson.D) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *tunnel) always(wiretest.Passed) string { return p.a.Address() }

// run is one session through the forwarder, in which message k, and with from all later ones, go to B. It is false if there is no message k.
func (x session) run(t *testing.T, p *tunnel, k int, from bool) bool {
	t.Helper()
	p.came = came{}
	for _, f := range p.anew {
		f()
	}
	dir, err := os.MkdirTemp("", "respect-forwarder-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	route := func(m wiretest.Passed) string {
		if m.N == k || from && m.N > k {
			return p.b.Address()
		}
		return p.a.Address()
	}
	b := &bench{server: &server{uri: p.f.URI(), db: "app"}, t: t, dir: dir, fs: durable.OS{}, op: &operator{}, reason: "a test", wait: func(time.Duration) {}}
	defer b.close()
	if x.first == nil {
		p.f.Begin(route)
	} else {
		p.f.Begin(p.always)
	}
	err = b.open()
	if x.first != nil {
		if err == nil {
			_, _, err = b.run(x.first...)
		}
		if err != nil {
			t.Fatal(err)
		}
		p.f.Begin(route)
	}
	if err == nil {
		if x.undo {
			p.statement(b, func() { _, _ = b.undo(b.last()) })
		}
		for _, cmds := range x.cmds {
			p.statement(b, func() { _, _, _ = b.run(cmds...) }) // whether it is refused depends on k
		}
	}
	b.close()
	p.messages = len(p.f.Passed())
	return p.messages > k
}

// shown is the server that a session was shown, and the other one. Where the forwarder was switched while the server was classified, a part of what was seen may be of the other: what was seen is
// the one that two of process, data files and marker say. If that is not what the marker says, nothing may be written: then known is false.
func (p *tunnel) shown(b *bench) (shown, other *wiretest.Memory, known bool) {
	seen := b.d.Observation()
	marker := seen.Marker.By == "another"
	n := 0
	for _, ofB := range []bool{seen.Process == p.b.Process(), seen.Home == p.b.UUID("respect.environment"), marker} {
		if ofB {
			n++
		}
	}
	if n >= 2 {
		return p.b, p.a, marker
	}
	return p.a, p.b, !marker
}

// statement runs one, and looks at what arrived at another server than the one that was shown when it began.
func (p *tunnel) statement(b *bench, do func()) {
	shown, other, known := p.shown(b)
	start, was := len(p.f.Passed()), other.State()
	do()
	before := map[int]wiretest.Passed{} // by connection
	behind := 0
	for i, m := range p.f.Passed() {
		last := before[m.Conn]
		before[m.Conn] = m
		if i < start || known && m.To != other.Address() || m.Handshake || len(wiretest.Writes([]wiretest.Command{m.Command})) == 0 {
			continue
		}
		if known && last.To == shown.Address() && last.Name == "hello" {
			behind++
		} else {
			p.wrong = append(p.wrong, fmt.Sprintf("%s arrived at a server that was not shown: %v", m.Name, m.Doc))
		}
	}
	p.behind += behind
	if behind > 1 {
		p.wrong = append(p.wrong, fmt.Sprintf("%d writes arrived at a server that was not shown", behind))
	}
	diff := cmp.Diff(strings.Split(was, "\n"), strings.Split(other.State(), "\n"))
	if diff != "" {
		p.changing++
	}
	if diff != "" && (behind == 0 || p.pinned) {
		p.wrong = append(p.wrong, "a server that was not shown was changed: "+diff)
	}
}

// TestForwarderSwitches: whenever a forwarder changes its target, nothing arrives on the other server but a write right behind an identity that the first one gave, and of documents
// that were shown nothing is changed by that.
//
// RESPECT_EXHAUSTIVE=1 tries every message; otherwise every seventh is, from a random first one.
func TestForwarderSwitches(t *testing.T) {
	t.Parallel()
	step := 7
	if os.Getenv("RESPECT_EXHAUSTIVE") != "" {
		step = 1
	}
	seed := uint64(time.Now().UnixNano())
	for _, x := range sessions {
		for _, from := range []bool{true, false} {
			name := x.name + map[bool]string{true: ", from then on", false: ", one message"}[from]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := x.tunnel(t)
				start := rand.New(rand.NewPCG(seed, 1)).IntN(step)
				runs, total := 0, came{}
				for k := start; ; k += step {
					more := x.run(t, p, k, from)
					runs++
					total.messages = max(total.messages, p.messages)
					total.behind, total.changing = total.behind+p.behind, total.changing+p.changing
					for _, w := range p.wrong {
						t.Errorf("seed %d, message %d: %s", seed, k, w)
					}
					if !more {
						break
					}
				}
				t.Logf("%d runs of at most %d messages: %d writes right behind an identity of the server that was shown arrived at the other, %d of them changed something there", runs, total.messages, total.behind, total.changing)
				if step == 1 && total.behind != x.behind {
					t.Errorf("%d writes arrived right behind an identity, want %d: the session is not what it was meant to be", total.behind, x.behind)
				}
			})
		}
	}
}
