package guard_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/replay/durable"
)

// A random program of two servers behind one tunnel, and a model that says of each write whether it may arrive where it does. The model knows nothing of the gate: it sees the messages that pass, what
// the servers would answer to them, and what the operator was asked.
//
//	events, between any two messages   the tunnel is moved, a server is started again, a marker of a server or of a database is written or removed, a reply is lost, the clock jumps
//	statements                         documents, indexes and collections of two databases, several commands in one, undo, resume, a new session
//
// A write may arrive
//
//   - at the server that the session was shown when the statement began, whose identity was the last that was asked for on its connection;
//   - when the markers of the server and of its database were read there: for a change since the last write, otherwise in this statement and in the last 100 ms;
//   - on development freely; on staging as a document write of a change, or where an undo takes away an empty collection that its change had made; elsewhere as a part of a change that was typed, in a question about this server and an environment no lower.
//
// What is left is counted: a tunnel that is moved between the answer and the write right behind it, or in the 100 ms of writes that are not guarded; and one that is moved there and back for a
// marker alone, which is then the other server's, before an identity that is right.

// TestModel runs the seeds of testdata/model.txt, and, for so many seconds as RESPECT_MODEL_SECONDS says, random ones.
func TestModel(t *testing.T) {
	t.Parallel()
	var seeds []uint64
	f, err := os.Open(filepath.Join("testdata", "model.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), " ")
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, seed)
	}
	until := time.Now()
	if s := os.Getenv("RESPECT_MODEL_SECONDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		until = until.Add(time.Duration(n) * time.Second)
	}
	next := make(chan uint64)
	go func() {
		defer close(next)
		for _, s := range seeds {
			next <- s
		}
		for time.Now().Before(until) {
			next <- rand.Uint64()
		}
	}()
	var mu sync.Mutex
	var programs, differences int
	var total tally
	t.Run("programs", func(t *testing.T) {
		for i := range 8 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				for seed := range next {
					wrong := w.program(t, seed)
					mu.Lock()
					programs++
					total.add(w.tally)
					differences += len(wrong)
					if len(wrong) > 0 && differences < 50 {
						t.Errorf("seed %d: %s\n%s", seed, strings.Join(wrong, "\n"), strings.Join(w.trace, "\n"))
					}
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d programs, %d statements, %d messages, %d events: %d writes arrived where they may (%d of changes, %d of them typed), %d where only an identity right behind which the tunnel was moved had been, %d behind a marker of the other server, %d differences",
		programs, total.statements, total.messages, total.events, total.writes, total.changes, total.typed, total.residue, total.glimpses, differences)
}

// tally counts what programs did.
type tally struct{ statements, messages, events, writes, changes, typed, residue, glimpses int }

func (a *tally) add(b tally) {
	a.statements, a.messages, a.events, a.writes = a.statements+b.statements, a.messages+b.messages, a.events+b.events, a.writes+b.writes
	a.changes, a.typed, a.residue, a.glimpses = a.changes+b.changes, a.typed+b.typed, a.residue+b.residue, a.glimpses+b.glimpses
}

// world is what a program runs in, and what the model knows.
type world struct {
	servers [2]*wiretest.Memory
	anew    [2]func()
	f       *wiretest.Forwarder

	mu sync.Mutex // of all below
	*rand.Rand
	tally
	rate    float64 // of events, a message
	target  int     // where the tunnel leads
	marks   [2]map[string]string
	process map[string]int // whose it is
	fault   [2]wiretest.Fault
	clock   time.Time
	conns   map[int]*onConnection
	lastBy  int // who answered the last read of a server's marker

	n         int  // of the statement
	undo      bool // or a resume
	shown     int
	env       environment.Environment // that the session had reached when the statement began
	questions map[string]question
	ids       int32
	trace     []string
	wrong     []string
}

// question is what was typed about a change.
type question struct {
	env   environment.Environment
	about int
	typed bool
}

// onConnection is what was last asked on a connection.
type onConnection struct {
	hello, marker answer
	databases     map[string]answer
	behind        bool // the hello was the last message
}

// answer is who gave it, and what it said of the environment.
type answer struct {
	by        int
	env       environment.Environment
	none      bool // there is no marker
	statement int
	at        time.Time // when the identity came that the gate asks for behind it, by the gate's clock; zero before
	fresh     bool      // since the last write, and since the last question of the operator
}

const onServer = "respect.environment"

var modelDatabases = []string{"app", "shop"}

func newWorld(t *testing.T) *world {
	w := &world{}
	for i := range w.servers {
		m := wiretest.NewMemory(t, wiretest.MemoryConfig{})
		for _, db := range modelDatabases {
			for id := range int32(130) {
				m.Put(db+".c", encoded(t, bson.D{{Key: "_id", Value: id}, {Key: "v", Value: id % 5}, {Key: "of", Value: int32(i)}}))
			}
			m.Put(db+".d", encoded(t, bson.D{{Key: "_id", Value: int32(1)}}))
		}
		m.Put(onServer, encoded(t, bson.D{{Key: "_id", Value: "nothing"}})) // so that the collection stays the same one
		m.OnCommand(func(wiretest.Command) wiretest.Fault {
			w.mu.Lock()
			defer w.mu.Unlock()
			f := w.fault[i]
			w.fault[i] = nil
			return f
		})
		w.servers[i], w.anew[i] = m, m.Snapshot()
	}
	w.f = wiretest.NewForwarder(t, w.route)
	return w
}

func (w *world) say(format string, a ...any) { w.trace = append(w.trace, fmt.Sprintf(format, a...)) }

// mark writes a marker, or removes it. Requires the lock.
func (w *world) mark(server int, ns, value string) {
	w.marks[server][ns] = value
	if value == "" {
		w.servers[server].Take(ns, "environment")
		return
	}
	doc, err := bson.Marshal(environment.Marker{Value: value, Deployment: "any", By: "model", At: markedAt}.Document())
	if err != nil {
		panic(err)
	}
	w.servers[server].Put(ns, doc)
}

// says is what a marker that is there means, on its own.
func (w *world) says(server int, ns string) (env environment.Environment, none bool) {
	value := w.marks[server][ns]
	env, _ = environment.Parse(value)
	return env, value == ""
}

// event is one thing that happens. Requires the lock.
func (w *world) event() {
	w.events++
	server := w.IntN(2)
	switch w.IntN(10) {
	case 0, 1, 2:
		w.target = 1 - w.target
		w.say("  the tunnel leads to %d", w.target)
	case 3:
		w.servers[server].Restart()
		w.process[w.servers[server].Process()] = server
		w.say("  server %d is started again", server)
	case 4, 5, 6:
		ns := []string{onServer, "app." + onServer, "shop." + onServer}[w.IntN(3)]
		value := []string{"development", "development", "staging", "production", "production", "", "harmless"}[w.IntN(7)]
		w.mark(server, ns, value)
		w.say("  server %d: %s is %q", server, ns, value)
	case 7, 8:
		w.fault[w.target] = []wiretest.Fault{wiretest.LoseReply, wiretest.Drop}[w.IntN(2)]
		w.say("  server %d loses the next command or its reply", w.target)
	case 9:
		d := time.Duration(w.Int64N(int64(2*time.Hour))) - time.Hour
		w.clock = w.clock.Add(d)
		w.say("  the clock jumps by %v", d)
	}
}

// route is where a message goes. What may happen before it happens now.
func (w *world) route(m wiretest.Passed) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Handshake {
		return w.servers[w.target].Address()
	}
	w.messages++
	at := w.clock
	w.clock = w.clock.Add(time.Duration(w.Int64N(int64(30 * time.Millisecond))))
	for w.Float64() < w.rate {
		w.event()
	}
	c := w.conns[m.Conn]
	if c == nil {
		c = &onConnection{databases: map[string]answer{}}
		w.conns[m.Conn] = c
	}
	a := answer{by: w.target, statement: w.n, fresh: true}
	coll, _ := m.Doc.Index(0).Value().StringValueOK()
	ns := m.DB + "." + coll
	w.say("  %3d on %d to %d: %s %s", m.N, m.Conn, w.target, m.Name, ns)
	behind := c.behind
	c.behind = m.Name == "hello"
	switch {
	case m.Name == "hello":
		c.hello = a
		c.complete(w.clock)
	case m.Name == "find" && ns == onServer:
		a.env, a.none = w.says(w.target, ns)
		c.marker, w.lastBy = a, w.target
	case m.Name == "find" && coll == onServer:
		a.env, a.none = w.says(w.target, ns)
		c.databases[m.DB] = a
	case len(wiretest.Writes([]wiretest.Command{m.Command})) > 0:
		if why := w.judge(m, c, behind, at); why != "" {
			w.wrong = append(w.wrong, fmt.Sprintf("statement %d, message %d: %s %s on server %d: %s", w.n, m.N, m.Name, ns, w.target, why))
			w.say("  ^^^^ %s", why)
		}
		c.stale()
	}
	return w.servers[w.target].Address()
}

// complete: the identity that came now is behind all that was asked.
func (c *onConnection) complete(at time.Time) {
	set := func(a answer) answer {
		if a.at.IsZero() {
			a.at = at
		}
		return a
	}
	c.hello, c.marker = set(c.hello), set(c.marker)
	for db, a := range c.databases {
		c.databases[db] = set(a)
	}
}

// stale: what was asked is used up.
func (c *onConnection) stale() {
	c.hello.fresh, c.marker.fresh = false, false
	for db, a := range c.databases {
		a.fresh = false
		c.databases[db] = a
	}
}

var schemaCommands = map[string]bool{"create": true, "drop": true, "renameCollection": true, "createIndexes": true, "dropIndexes": true}

// takesAway are the commands by which an undo takes a collection away that its change had made, if it is empty.
var takesAway = map[string]bool{"renameCollection": true, "drop": true}

// judge says why a write may not arrive where it does; "" if it may.
func (w *world) judge(m wiretest.Passed, c *onConnection, behind bool, at time.Time) string {
	change := ""
	if text, ok := m.Doc.Lookup("comment").StringValueOK(); ok {
		change, _, _ = strings.Cut(strings.TrimPrefix(text, "respect change "), " by ")
	}
	holds := func(a answer) bool {
		if change != "" {
			return a.fresh && !a.at.IsZero() // behind it the identity was asked for
		}
		return a.statement == w.n && at.Sub(a.at) >= 0 && at.Sub(a.at) < 100*time.Millisecond
	}
	if w.target != w.shown {
		if c.hello.by == w.shown && (behind || change == "" && holds(c.hello)) {
			w.residue++
			return ""
		}
		return fmt.Sprintf("server %d was shown", w.shown)
	}
	w.writes++
	switch {
	case !holds(c.hello):
		return "its identity was not asked for before"
	case c.hello.by != w.target && !behind:
		return "the identity that was asked for before was the other's"
	case !holds(c.marker):
		return "its marker was not read before"
	case c.marker.by != w.target:
		w.glimpses++
		return ""
	}
	env := environment.Max(w.env, c.marker.env)
	q := w.questions[change]
	if env != environment.Production && !(q.typed && q.env == environment.Production) { // nothing could raise it further
		db := m.DB
		if m.Name == "renameCollection" {
			from, _ := m.Doc.Lookup("renameCollection").StringValueOK()
			db, _, _ = strings.Cut(from, ".")
		}
		a := c.databases[db]
		if !holds(a) {
			return "the marker of its database was not read before"
		}
		if a.by != w.target {
			w.glimpses++
			return ""
		}
		if !a.none {
			env = environment.Max(env, a.env)
		}
	}
	if change != "" {
		w.changes++
	}
	if q.typed {
		w.typed++
	}
	switch {
	case env == environment.Development:
	case change == "":
		return fmt.Sprintf("it is %s, and this is no part of a change", env)
	case env == environment.Staging && (!schemaCommands[m.Name] || w.undo && takesAway[m.Name]):
	case !q.typed:
		return fmt.Sprintf("it is %s, and nobody typed an answer", env)
	case q.about != w.target || environment.Max(q.env, env) != q.env:
		return fmt.Sprintf("it is %s, and what was typed was about server %d as %s", env, q.about, q.env)
	}
	return ""
}

// begin begins a statement.
func (w *world) begin(b *bench, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	w.undo = strings.HasPrefix(text, "undo")
	w.statements++
	seen := b.d.Observation()
	n := w.process[seen.Process] + w.lastBy
	if seen.Home == w.servers[1].UUID(onServer) {
		n++
	}
	w.shown, w.env = n/2, b.d.Environment()
	w.say("%d, shown server %d as %s: %s", w.n, w.shown, w.env, text)
}

// answer is the operator.
func (w *world) answer(q guard.Question) guard.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	typedIt := w.IntN(5) > 0
	w.questions[q.Plan.Change()] = question{q.Environment, w.shown, typedIt}
	w.say("  asked about %s as %s, typed: %v", q.Plan.Change(), q.Environment, typedIt)
	for w.Float64() < 3*w.rate {
		w.event()
	}
	w.clock = w.clock.Add(time.Duration(w.Int64N(int64(time.Minute))))
	for _, c := range w.conns {
		c.stale()
	}
	if typedIt {
		return typed(q)
	}
	return guard.Answer{Manner: guard.Aborted}
}

// command is a random one.
func (w *world) command() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	db := modelDatabases[w.IntN(2)]
	n := w.IntN(130)
	return db + ": " + []string{
		fmt.Sprintf(`{"insert": "c", "documents": [{"_id": %d, "v": 0}]}`, 1000+w.ids),
		fmt.Sprintf(`{"insert": "d", "documents": [{"_id": %d}, {"_id": %d}]}`, 1000+w.ids, 100_000+w.ids),
		fmt.Sprintf(`{"update": "c", "updates": [{"q": {"_id": {"$gte": %d}}, "u": {"$set": {"v": %d}}, "multi": true}]}`, n, w.ids),
		fmt.Sprintf(`{"update": "c", "updates": [{"q": {"_id": %d}, "u": {"$inc": {"v": 1}}}]}`, n),
		fmt.Sprintf(`{"delete": "c", "deletes": [{"q": {"_id": {"$lt": %d}}, "limit": 0}]}`, n/4),
		fmt.Sprintf(`{"delete": "c", "deletes": [{"q": {"_id": %d}, "limit": 1}]}`, n),
		fmt.Sprintf(`{"createIndexes": "c", "indexes": [{"key": {"f%d": 1}, "name": "f%d"}]}`, w.ids, w.ids),
		`{"drop": "d"}`,
	}[w.IntN(8)]
}

// program runs one, and returns what differs from the model.
func (w *world) program(t *testing.T, seed uint64) []string {
	dir, err := os.MkdirTemp("", "respect-model-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	w.reset(seed)
	b := &bench{
		server: &server{uri: w.f.URI(), db: "app"}, t: t, dir: dir, fs: durable.OS{}, op: &operator{answer: w.answer}, reason: "a test", wait: func(time.Duration) {},
		now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.clock },
	}
	defer b.close()
	for range 8 {
		if b.d == nil {
			w.session(b)
			continue
		}
		switch k := w.choose(12); {
		case k == 0:
			w.session(b)
		case k <= 2:
			changes := b.changes()
			if len(changes) == 0 {
				continue
			}
			c := changes[w.choose(len(changes))]
			w.begin(b, fmt.Sprintf("undo or resume %s, %s", c.ID, c.Status))
			if w.choose(2) == 0 {
				_, err = b.undo(c)
			} else {
				_, err = b.resume(c)
			}
		default:
			var cmds []string
			for range 1 + w.choose(4) {
				cmds = append(cmds, w.command())
			}
			w.begin(b, strings.Join(cmds, "; "))
			_, _, err = b.run(cmds...)
		}
		w.mu.Lock()
		w.say("  came to: %v", err)
		w.mu.Unlock()
	}
	b.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong
}

func (w *world) choose(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.IntN(n)
}

// session begins a new one. It may fail, since the tunnel is moved meanwhile.
func (w *world) session(b *bench) {
	b.close()
	w.mu.Lock()
	w.say("a new session")
	w.mu.Unlock()
	if err := b.open(); err != nil {
		b.close()
	}
}

func (w *world) reset(seed uint64) {
	w.f.CloseConnections()
	w.f.Begin(w.route)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Rand = rand.New(rand.NewPCG(seed, 12))
	w.tally, w.target, w.n, w.ids, w.lastBy = tally{}, 0, 0, 0, 0
	w.clock = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	w.process, w.conns, w.questions, w.trace, w.wrong = map[string]int{}, map[int]*onConnection{}, map[string]question{}, nil, nil
	w.rate = []float64{0, 0.01, 0.03, 0.1}[w.IntN(4)]
	for i, m := range w.servers {
		w.anew[i]()
		w.fault[i] = nil
		w.process[m.Process()] = i
		w.marks[i] = map[string]string{}
		w.mark(i, onServer, []string{"development", "staging", "production", ""}[w.IntN(4)])
	}
}
