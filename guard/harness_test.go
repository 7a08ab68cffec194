package guard_test

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard"
	"respect/guard/embedded/embeddedtest"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
	"respect/replay/journal"
)

// Tests of the gate run over the plain embedded server, over the double in front of it, which knows whole-document
// equality, and over a real mongod if RESPECT_TEST_MONGODB names one. That one should be there for tests only: it is marked as production.

var (
	startProduction = sync.OnceValues(func() (*embeddedtest.Server, error) { return start("production") })
	started         struct {
		sync.Mutex
		servers []*embeddedtest.Server
		dirs    []string
	}
)

func start(env string) (*embeddedtest.Server, error) {
	binary, err := embeddedtest.Build()
	if err != nil {
		return nil, err
	}
	dir, err := durabletest.MkdirMemory("respect-gate-test-")
	if err != nil {
		return nil, err
	}
	s, err := embeddedtest.Run(binary, dir, env)
	if err != nil {
		return nil, err
	}
	started.Lock()
	defer started.Unlock()
	started.servers, started.dirs = append(started.servers, s), append(started.dirs, dir)
	return s, nil
}

func TestMain(m *testing.M) {
	// Most of what these tests do is wait: for a disk, for the driver to dial again.
	flag.Parse()
	if err := flag.Set("test.parallel", "24"); err != nil {
		panic(err)
	}
	debug.SetGCPercent(embeddedtest.GCPercent)
	code := m.Run()
	for i, s := range started.servers {
		s.Stop()
		_ = os.RemoveAll(started.dirs[i])
	}
	os.Exit(code)
}

// server is one that a test works on, with a database of its own.
type server struct {
	uri    string
	db     string
	other  *mongo.Client        // another client, which knows nothing of guards
	double *wiretest.Double     // nil if there is none in between
	set    *wiretest.ReplicaSet // nil if it poses as none
	real   bool                 // a real mongod
}

// onCommand makes f decide what happens to each command that the guard sends.
func (s *server) onCommand(f func(wiretest.Command) wiretest.Fault) {
	if s.set != nil {
		s.set.OnCommand(f)
		return
	}
	s.double.OnCommand(f)
}

// before makes f run before each command of the guard is carried out, while no other is.
func (s *server) before(f func(wiretest.Command)) {
	if s.set == nil {
		s.double.Before(f)
		return
	}
	for _, m := range s.set.Members() {
		m.Before(f)
	}
}

// commands are those that the guard has sent, forget forgets them.
func (s *server) commands() []wiretest.Command {
	if s.set != nil {
		return s.set.Commands()
	}
	return s.double.Commands()
}

func (s *server) forget() {
	if s.set != nil {
		s.set.Forget()
		return
	}
	s.double.Forget()
}

var nextDatabase atomic.Int64

// production is a server of one kind: plain, proxy (plain behind a double that changes nothing), double, set (two doubles that say they are a replica set of
// MongoDB 8), mongod.
func production(t *testing.T, kind string) *server {
	t.Helper()
	out := &server{db: fmt.Sprintf("gate%d", nextDatabase.Add(1))}
	address := ""
	if kind == "mongod" {
		out.uri, out.real = os.Getenv("RESPECT_TEST_MONGODB"), true
		if out.uri == "" {
			t.Skip("SKIPPED, and not tested on a real MongoDB: RESPECT_TEST_MONGODB names no server")
		}
	} else {
		s, err := startProduction()
		if err != nil {
			t.Fatal(err)
		}
		out.uri, address = s.URI, s.Address
	}
	out.client(t)
	if out.real {
		doc := environment.MarkerDocument(environment.Production, "any", "test", markedAt)
		_, err := out.other.Database("respect").Collection("environment").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "environment"}}, doc, options.Replace().SetUpsert(true))
		if err != nil {
			t.Fatal(err)
		}
	}
	out.behind(t, kind, address)
	return out
}

// behind puts what a kind has in between in front of the server at address.
func (s *server) behind(t *testing.T, kind, address string) {
	t.Helper()
	switch kind {
	case "set":
		s.set = wiretest.NewReplicaSet(t, wiretest.SetConfig{Backend: address, Members: 2, Exact: true, Version: "8.0.4"})
		s.uri = s.set.URI()
	case "double", "proxy":
		s.double = wiretest.NewDouble(t, address, kind == "double")
		s.uri = s.double.URI()
	}
}

// inMemory is production with a server of its own that keeps a few documents in memory: for tests of the order of things, which carry a change out a thousand times.
func inMemory(t *testing.T, kind string) *server {
	t.Helper()
	m := wiretest.NewMemory(t, wiretest.MemoryConfig{Embedded: true})
	marker, err := bson.Marshal(environment.MarkerDocument(environment.Production, "any", "test", markedAt))
	if err != nil {
		t.Fatal(err)
	}
	m.Put("respect.environment", marker)
	out := &server{db: fmt.Sprintf("gate%d", nextDatabase.Add(1)), uri: m.URI()}
	out.client(t)
	out.behind(t, kind, m.Address())
	return out
}

// client connects the other client.
func (s *server) client(t *testing.T) {
	t.Helper()
	other, err := mongo.Connect(options.Client().ApplyURI(s.uri).SetDirect(true).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	s.other = other
	t.Cleanup(func() {
		// A test may have stopped the server, and the driver looks for another one for half a minute.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = other.Database(s.db).Drop(ctx)
		_ = other.Disconnect(ctx)
	})
}

// unmarked is a server with data and without a marker, behind a double, so that nothing shows that it runs on this machine.
func unmarked(t *testing.T) *server {
	t.Helper()
	s, err := start("production")
	if err != nil {
		t.Fatal(err)
	}
	out := &server{uri: s.URI, db: "unmarked", double: wiretest.NewDouble(t, s.Address, false)}
	out.client(t)
	if err := out.other.Database("respect").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	out.uri = out.double.URI()
	return out
}

// eachServer runs a test on each kind of server.
func eachServer(t *testing.T, f func(t *testing.T, s *server)) {
	t.Helper()
	each(t, f, "plain", "double", "mongod")
}

// eachRoad runs a test on all roads of execution, with a double in between: without $expr, with it, and with writes that can be sent again.
func eachRoad(t *testing.T, f func(t *testing.T, s *server)) {
	t.Helper()
	each(t, f, "proxy", "double", "set")
}

func each(t *testing.T, f func(t *testing.T, s *server), kinds ...string) {
	t.Helper()
	on(t, production, f, kinds)
}

// eachRoadInMemory is eachRoad, on servers in memory.
func eachRoadInMemory(t *testing.T, f func(t *testing.T, s *server)) {
	t.Helper()
	eachInMemory(t, f, "proxy", "double", "set")
}

// eachInMemory is each, on servers in memory.
func eachInMemory(t *testing.T, f func(t *testing.T, s *server), kinds ...string) {
	t.Helper()
	on(t, inMemory, f, kinds)
}

func on(t *testing.T, start func(*testing.T, string) *server, f func(t *testing.T, s *server), kinds []string) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f(t, start(t, kind))
		})
	}
}

// setup puts documents, given as Extended JSON, into a collection.
func (s *server) setup(t *testing.T, coll string, docs ...string) {
	t.Helper()
	for _, d := range docs {
		if _, err := s.other.Database(s.db).Collection(coll).InsertOne(t.Context(), doc(t, d)); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *server) command(t *testing.T, text string) {
	t.Helper()
	if err := s.other.Database(s.db).RunCommand(t.Context(), doc(t, text)).Err(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func doc(t testing.TB, text string) bson.D {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

func raw(t testing.TB, text string) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(doc(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type state = embeddedtest.State

func (s *server) state(t testing.TB) state { return embeddedtest.StateOf(t, s.other, s.db) }

// operator is a person who was told what to do. It implements guard.Operator.
type operator struct {
	absent   bool
	why      string                            // the reason that it gives when asked
	answer   func(guard.Question) guard.Answer // nil: types the phrase
	progress func(guard.Progress) guard.Control
	asked    []guard.Question
	receipts []guard.Receipt
	notices  []string
}

func (o *operator) Present() bool { return !o.absent }

func (o *operator) Ask(_ context.Context, q guard.Question) (guard.Answer, error) {
	o.asked = append(o.asked, q)
	if err := q.Shown("the question"); err != nil {
		return guard.Answer{Manner: guard.Aborted}, err
	}
	if o.answer != nil {
		return o.answer(q), nil
	}
	return typed(q), nil
}

func typed(q guard.Question) guard.Answer { return guard.Answer{Text: q.Phrase, Manner: guard.Typed} }

func (o *operator) Reason(context.Context, environment.Environment) (guard.Answer, error) {
	return guard.Answer{Text: o.why, Manner: guard.Typed}, nil
}

func (o *operator) Progress(p guard.Progress) guard.Control {
	if o.progress != nil {
		return o.progress(p)
	}
	return guard.Go
}

func (o *operator) Notice(text string) { o.notices = append(o.notices, text) }

func (o *operator) Receipt(r guard.Receipt) string {
	o.receipts = append(o.receipts, r)
	return "receipt of " + r.Change
}

// bench is a gate on a server, as a program has one.
type bench struct {
	*server
	t    testing.TB
	dir  string
	fs   durable.FS
	op   *operator
	log  *journal.Writer
	gate *guard.Gate
	d    *guard.Deployment

	inside  bool   // it says that the server runs in this process
	reason  string // given beforehand
	policy  *policy.Policy
	witness string              // of the record
	wait    func(time.Duration) // nil: a hundredth of it
	now     func() time.Time    // the gate's clock; nil: the real one
	later   time.Duration       // what the gate's clock is ahead
}

// bench is one whose state directory is in memory. Its plans say so, of what changes documents.
func (s *server) bench(t testing.TB) *bench {
	return s.benchIn(t, durabletest.MemoryDir(t), durable.OS{})
}

// onDisk is a bench for tests that compare all that a plan says.
func (s *server) onDisk(t testing.TB) *bench { return s.benchIn(t, t.TempDir(), durable.OS{}) }

func (s *server) benchIn(t testing.TB, dir string, fs durable.FS) *bench {
	t.Helper()
	b := &bench{server: s, t: t, dir: dir, fs: fs, op: &operator{}, reason: "a test"}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	return b
}

// open begins a session on the bench's directory.
func (b *bench) open() (err error) {
	b.log, b.gate, b.d = nil, nil, nil
	key, err := journal.OpenKey(durable.OS{}, b.dir, "tester@here", rand.Reader)
	if err != nil {
		return err
	}
	b.log, err = journal.Create(journal.Config{FS: b.fs, Dir: b.dir, Now: time.Now, Rand: rand.Reader, Who: replay.Who{User: "tester", Host: "here"}, Key: key, Witness: b.witness})
	if err == nil {
		err = b.log.Seal()
	}
	if err != nil && !errors.Is(err, journal.ErrWitness) {
		return err
	}
	now := b.now
	if now == nil {
		now = time.Now
	}
	b.gate, err = guard.New(guard.Config{
		FS: b.fs, StateDir: b.dir, Journal: b.log, Now: func() time.Time { return now().Add(b.later) }, Rand: rand.Reader, Who: "tester@here", Operator: b.op, Reason: b.reason, NewID: bson.NewObjectID, Policy: b.policy,
		Wait: func(_ context.Context, d time.Duration) {
			if b.wait != nil {
				b.wait(d)
				return
			}
			time.Sleep(d / 100) // a minute of patience is half a second
		},
	})
	if err != nil {
		return err
	}
	b.d, err = b.gate.Connect(context.Background(), guard.Target{URI: b.uri, Inside: b.inside})
	return err
}

// close ends the session in order.
func (b *bench) close() {
	if b.d != nil {
		_ = b.d.Close(context.Background())
	}
	if b.gate != nil {
		b.gate.Close()
	}
	if b.log != nil {
		_ = b.log.Close(0) // a test may have broken it
	}
	b.log, b.gate, b.d = nil, nil, nil
}

// again ends the session and begins another on the same directory.
func (b *bench) again() {
	b.t.Helper()
	b.close()
	b.fs = durable.OS{}
	if err := b.open(); err != nil {
		b.t.Fatal(err)
	}
}

// run runs commands, given as Extended JSON, as one statement.
func (b *bench) run(cmds ...string) (*guard.Statement, []bson.Raw, error) {
	b.t.Helper()
	return b.runIn(guard.Execute, cmds...)
}

func (b *bench) runIn(mode guard.Mode, cmds ...string) (*guard.Statement, []bson.Raw, error) {
	b.t.Helper()
	st, err := b.gate.Begin(guard.Input{Text: strings.Join(cmds, "; "), Manner: "typed", Mode: mode})
	if err != nil {
		return nil, nil, err
	}
	var replies []*guard.Reply
	for _, c := range cmds {
		db := b.db
		if name, rest, ok := strings.Cut(c, ": "); ok && !strings.HasPrefix(c, "{") {
			db, c = name, rest
		}
		r, err := st.Run(b.t.Context(), b.d, db, raw(b.t, c))
		if err != nil {
			st.Discard()
			return st, nil, err
		}
		replies = append(replies, r)
	}
	if err := st.Settle(b.t.Context()); err != nil {
		return st, nil, err
	}
	var out []bson.Raw
	for _, r := range replies {
		doc, err := r.Raw(b.t.Context())
		if err != nil {
			return st, nil, err
		}
		out = append(out, doc)
	}
	return st, out, nil
}

// changes are the changes of the bench's state directory, as the record has them.
func (b *bench) changes() []*journal.Change { return changesIn(b.t, b.dir) }

func changesIn(t testing.TB, dir string) []*journal.Change {
	t.Helper()
	r, err := journal.ReadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.AllProblems() {
		t.Errorf("the record does not verify: %s", p)
	}
	return r.Changes
}

func (b *bench) last() *journal.Change {
	b.t.Helper()
	changes := b.changes()
	if len(changes) == 0 {
		b.t.Fatal("there is no change")
	}
	return changes[len(changes)-1]
}

func (b *bench) undo(c *journal.Change) (*guard.Statement, error) {
	b.t.Helper()
	st, err := b.gate.Begin(guard.Input{Text: "undo " + c.ID, Manner: "undo"})
	if err != nil {
		return nil, err
	}
	return st, st.Undo(b.t.Context(), b.d, c, guard.UndoOptions{})
}

func (b *bench) resume(c *journal.Change) (*guard.Statement, error) {
	b.t.Helper()
	st, err := b.gate.Begin(guard.Input{Text: "resume " + c.ID, Manner: "resume"})
	if err != nil {
		return nil, err
	}
	return st, st.Resume(b.t.Context(), b.d, c)
}

// files are the names below the state directory's changes.
func (b *bench) files() []string {
	b.t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(b.dir, "changes"), func(path string, e os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && !e.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}
