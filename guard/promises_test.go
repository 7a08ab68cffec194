package guard_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
)

// quiet fails the test if a write reached the wire since the double last forgot.
func (s *server) quiet(t *testing.T, when string) {
	t.Helper()
	if w := wiretest.Writes(s.commands()); len(w) > 0 {
		t.Fatalf("%s, and %s was sent: %s", when, w[0].Name, w[0].Doc)
	}
}

// probes are forms of a command in which it could do harm, if it were sent.
func probes(name string) []string {
	out := []string{
		fmt.Sprintf(`{%q: 1}`, name), fmt.Sprintf(`{%q: "people"}`, name), fmt.Sprintf(`{%q: true, "force": true, "x": 1}`, name),
		fmt.Sprintf(`admin: {%q: 1}`, name),
	}
	switch name {
	case "aggregate":
		out = append(out, `{"aggregate": "people", "pipeline": [{"$out": "others"}], "cursor": {}}`, `{"aggregate": 1, "pipeline": [{"$documents": [{"_id": 1}]}, {"$merge": "people"}], "cursor": {}}`,
			`{"aggregate": "people", "pipeline": [{"$facet": {"a": [{"$out": "others"}]}}], "cursor": {}}`, `{"aggregate": "people", "pipeline": [{"$emit": 1}], "cursor": {}}`)
	case "explain":
		out = append(out, `{"explain": {"aggregate": "people", "pipeline": [{"$out": "others"}], "cursor": {}}, "verbosity": "executionStats"}`, `{"explain": {"drop": "people"}}`)
	case "mapReduce":
		out = append(out, `{"mapReduce": "people", "map": "function() { emit(1, 1) }", "reduce": "function() {}", "out": "others"}`)
	case "getMore":
		out = append(out, `{"getMore": {"$numberLong": "7"}, "collection": "people"}`)
	case "killCursors":
		out = append(out, `{"killCursors": "people", "cursors": [{"$numberLong": "7"}]}`)
	case "usersInfo":
		out = append(out, `{"usersInfo": 1, "showCredentials": true}`)
	case "profile":
		out = append(out, `{"profile": 2}`)
	}
	for _, w := range writes {
		for _, c := range w.cmds {
			if strings.Contains(c, `"`+name+`"`) {
				out = append(out, c)
			}
		}
	}
	return out
}

// TestP1NoWayAround: with nobody there to ask, no command of the table and no unknown one leaves a write on the wire. What the server was sent is
// looked at, not what the classifier thinks.
func TestP1NoWayAround(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	before := s.state(t)
	b := s.bench(t)
	b.op.absent = true
	names := strings.Fields("godMode internalThing dropAllTheThings $cmd eval copydb clone emptycapped _configsvrDropDatabase _shardsvrDropCollection repairDatabase " +
		"testCommand sleep godinsert captrunc replSetTest __proto__ constructor Insert INSERT DROP findAndRemove dropdatabase renamecollection insert\u200b \u0131nsert")
	for _, r := range command.Rows() {
		if r.Class != command.Read && r.Class != command.Session {
			names = append(names, r.Names...)
		}
	}
	tried := 0
	for _, name := range names {
		for _, cmd := range in(s.db, probes(name)) {
			_, _, err := b.run(cmd)
			s.quiet(t, fmt.Sprintf("nobody was there (%v)", err))
			tried++
		}
	}
	if tried < 400 {
		t.Errorf("only %d commands were tried", tried)
	}
	same(t, "after all that", before, s.state(t))
	if len(b.op.asked) > 0 || len(b.changes()) > 0 {
		t.Errorf("%d questions, %d changes", len(b.op.asked), len(b.changes()))
	}
}

// TestP1ReadsCannotWrite: the road for reads refuses everything else, whoever asks.
func TestP1ReadsCannotWrite(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	for _, r := range command.Rows() {
		if r.Class == command.Read || r.Class == command.Session {
			continue
		}
		for _, name := range r.Names {
			for _, cmd := range in(s.db, probes(name)) {
				db := s.db
				if rest, ok := strings.CutPrefix(cmd, "admin: "); ok {
					db, cmd = "admin", rest
				}
				_, _ = b.d.Read(t.Context(), db, raw(t, cmd))
			}
		}
	}
	s.quiet(t, "only the road for reads was used")
}

// TestP2NewDocumentsAreLeftAlone: documents that match by now and were not shown are not touched.
func TestP2NewDocumentsAreLeftAlone(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, s *server) {
		s.people(t)
		b := s.bench(t)
		b.op.answer = func(q guard.Question) guard.Answer {
			s.setup(t, "people", `{"_id": "late", "name": "Late"}`)
			return typed(q)
		}
		if _, _, err := b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, d := range s.state(t)["people"] {
			if strings.HasPrefix(d, `{"_id":`) {
				n++
				if !strings.Contains(d, `"late"`) {
					t.Errorf("still there: %s", d)
				}
			}
		}
		if n != 1 {
			t.Errorf("%d documents are there, want the late one alone", n)
		}
	})
}

// noSpace is a disk that is full as soon as a file of a backup is written, or that keeps other bytes than it was given.
type noSpace struct {
	durable.OS
	rot bool
}

type badFile struct {
	durable.File
	rot bool
}

func (n noSpace) Create(name string) (durable.File, error) {
	f, err := n.OS.Create(name)
	if err == nil && strings.HasSuffix(name, ".bson.gz") {
		return &badFile{f, n.rot}, nil
	}
	return f, err
}

func (f *badFile) Write(b []byte) (int, error) {
	if !f.rot {
		return 0, syscall.ENOSPC
	}
	c := append([]byte(nil), b...)
	if len(c) > 20 {
		c[len(c)-2] ^= 1
	}
	return f.File.Write(c)
}

// TestP3FailClosed: whatever is missing that the guard needs, nothing is written, and it says so.
func TestP3FailClosed(t *testing.T) {
	t.Parallel()
	del := `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`
	cases := []struct {
		name string
		make func(t *testing.T, s *server) *bench
		cmd  string
		want string
	}{
		{name: "no terminal", want: "there is no terminal", make: func(t *testing.T, s *server) *bench {
			b := s.bench(t)
			b.op.absent = true
			return b
		}},
		{name: "full disk", want: "no space left on device", make: func(t *testing.T, s *server) *bench { return s.benchIn(t, t.TempDir(), noSpace{}) }},
		{name: "a backup that does not read back", want: "backup could not be made", make: func(t *testing.T, s *server) *bench {
			return s.benchIn(t, t.TempDir(), noSpace{rot: true})
		}},
		{name: "a collection's backup that does not read back", want: "", cmd: `{"drop": "people"}`, make: func(t *testing.T, s *server) *bench {
			return s.benchIn(t, t.TempDir(), noSpace{rot: true})
		}},
		{name: "nothing understood", want: "unknown", cmd: `{"frobnicate": "people"}`, make: func(t *testing.T, s *server) *bench { return s.bench(t) }},
		{name: "no reason", want: "no reason", make: func(t *testing.T, s *server) *bench {
			b := s.bench(t)
			b.reason = ""
			b.again()
			return b
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachRoad(t, func(t *testing.T, s *server) {
				s.people(t)
				before := s.state(t)
				b := c.make(t, s)
				cmd := c.cmd
				if cmd == "" {
					cmd = del
				}
				_, _, err := b.run(cmd)
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("the error is %v, want %q", err, c.want)
				}
				same(t, "after it was refused", before, s.state(t))
				if c.name != "a collection's backup that does not read back" { // which renames the collection aside and back
					s.quiet(t, "it was refused")
				}
			})
		})
	}
}

// TestP3JournalFails: each durable step fails in turn, from the beginning of a change to its intent. What was not recorded is not sent.
func TestP3JournalFails(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		s.people(t)
		before := s.state(t)
		for n := 0; ; n++ {
			fsys := durabletest.NewCrash(-1)
			b := &bench{server: s, t: t, dir: t.TempDir(), fs: fsys, op: &operator{}, reason: "a test"}
			if err := b.open(); err != nil {
				t.Fatal(err)
			}
			fsys.CrashAfter(n)
			s.forget()
			_, _, err := b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 7}}, "multi": true}]}`)
			sent := len(wiretest.Writes(s.commands())) > 0
			b.close()
			if sent {
				if n < 5 {
					t.Fatalf("a write was sent after %d durable steps: %v", n, fsys.Steps())
				}
				if len(changesIn(t, b.dir)) != 1 {
					t.Fatal("a write was sent, and its intent is not in the record")
				}
				return
			}
			if err == nil {
				t.Fatalf("the disk failed at step %d, nothing was sent, and nothing was said", n)
			}
			same(t, fmt.Sprintf("after the disk failed at step %d", n), before, s.state(t))
		}
	})
}

// TestP4APersonAnswers: what confirms nothing, and that nothing is sent then.
func TestP4APersonAnswers(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	before := s.state(t)
	b := s.bench(t)
	first := ""
	answers := map[string]func(guard.Question) guard.Answer{
		"pasted":    func(q guard.Question) guard.Answer { return guard.Answer{Text: q.Phrase, Manner: guard.Pasted} },
		"no manner": func(q guard.Question) guard.Answer { return guard.Answer{Text: q.Phrase} },
		"aborted":   func(q guard.Question) guard.Answer { return guard.Answer{Text: q.Phrase, Manner: guard.Aborted} },
		"timed out": func(q guard.Question) guard.Answer { return guard.Answer{Text: q.Phrase, Manner: guard.TimedOut} },
		"Enter":     func(q guard.Question) guard.Answer { return guard.Answer{Manner: guard.Typed} },
		"y":         func(q guard.Question) guard.Answer { return guard.Answer{Text: "y", Manner: guard.Typed} },
		"yes":       func(q guard.Question) guard.Answer { return guard.Answer{Text: "yes", Manner: guard.Typed} },
		"without its code": func(q guard.Question) guard.Answer {
			return guard.Answer{Text: q.Phrase[:len(q.Phrase)-4], Manner: guard.Typed}
		},
		"the code alone": func(q guard.Question) guard.Answer {
			return guard.Answer{Text: q.Phrase[len(q.Phrase)-3:], Manner: guard.Typed}
		},
		"in capitals": func(q guard.Question) guard.Answer {
			return guard.Answer{Text: strings.ToUpper(q.Phrase), Manner: guard.Typed}
		},
		"one letter more": func(q guard.Question) guard.Answer { return guard.Answer{Text: q.Phrase + "x", Manner: guard.Typed} },
		"another number": func(q guard.Question) guard.Answer {
			return guard.Answer{Text: strings.Replace(q.Phrase, " 4 ", " 5 ", 1), Manner: guard.Typed}
		},
		"an earlier question's": func(q guard.Question) guard.Answer { return guard.Answer{Text: first, Manner: guard.Typed} },
	}
	b.op.answer = func(q guard.Question) guard.Answer { first = q.Phrase; return guard.Answer{Manner: guard.Aborted} }
	del := `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`
	if _, _, err := b.run(del); err == nil {
		t.Fatal("aborted, and no error")
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			b.op.answer = answer
			_, _, err := b.run(del)
			var refused *guard.Refused
			if !errors.As(err, &refused) || !refused.Declined {
				t.Fatalf("the error is %v", err)
			}
			s.quiet(t, "it was declined")
		})
	}
	same(t, "after all those answers", before, s.state(t))
	if changes := b.changes(); len(changes) > 0 {
		t.Errorf("%d changes in the record", len(changes))
	}
}

// TestP4NothingRunsAfterANo: a script cannot catch a refusal and go on.
func TestP4NothingRunsAfterANo(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Text: "no", Manner: guard.Typed} }
	st, err := b.gate.Begin(guard.Input{Text: "a script", Manner: "file"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Run(t.Context(), b.d, s.db, raw(t, `{"drop": "people"}`)); err == nil {
		t.Fatal("declined, and no error")
	}
	b.op.answer = nil
	for _, cmd := range []string{`{"drop": "others"}`, `{"find": "people"}`, `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`} {
		if _, err := st.Run(t.Context(), b.d, s.db, raw(t, cmd)); err == nil {
			t.Errorf("%s ran after a no", cmd)
		}
	}
	if err := st.Settle(t.Context()); err == nil {
		t.Error("a statement that was declined settled")
	}
	s.quiet(t, "the statement was declined")
}

// TestP6RecordedBeforeItHappens reads the journal's file at the moment the first write arrives at the server.
func TestP6RecordedBeforeItHappens(t *testing.T) {
	t.Parallel()
	for _, c := range writes {
		if c.full || c.phrase == "" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			eachRoad(t, func(t *testing.T, s *server) {
				s.people(t)
				b := s.bench(t)
				looked := false
				s.before(func(cmd wiretest.Command) {
					if looked || len(wiretest.Writes([]wiretest.Command{cmd})) == 0 {
						return
					}
					looked = true
					changes := b.changes()
					if len(changes) != 1 || changes[0].Intent.Digest == "" || changes[0].Outcome != nil {
						t.Errorf("%s arrived, and the record has no intent of it: %v", cmd.Name, changes)
						return
					}
					p := filepath.Join(b.dir, "changes", changes[0].ID, "plan.jsonl")
					if _, err := os.Stat(p); err != nil {
						t.Errorf("%s arrived, and its plan is not there: %v", cmd.Name, err)
					}
				})
				if _, _, err := b.run(in(s.db, c.cmds)...); err != nil {
					t.Fatal(err)
				}
				if !looked {
					t.Fatal("no write arrived")
				}
				if c := b.last(); c.Outcome == nil || c.Outcome.Status != replay.StatusApplied {
					t.Errorf("the outcome is %v", c.Outcome)
				}
			})
		})
	}
}

// TestP7ReadsAreFree: no read asks, and on production each is bounded in time, unless it says its own.
func TestP7ReadsAreFree(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	reads := map[string]string{
		`{"find": "people", "filter": {"name": "Ann"}}`:                                        "60000",
		`{"find": "people", "maxTimeMS": 55555}`:                                               "55555",
		`{"count": "people", "query": {}}`:                                                     "60000",
		`{"aggregate": "people", "pipeline": [{"$match": {"age": {"$gt": 1}}}], "cursor": {}}`: "60000",
		`{"listIndexes": "people"}`:                                                            "",
		`{"listCollections": 1}`:                                                               "",
		`{"explain": {"delete": "people", "deletes": [{"q": {}, "limit": 0}]}, "verbosity": "queryPlanner"}`: "?",
		`{"ping": 1}`: "",
	}
	for cmd, want := range reads {
		s.forget()
		_, _, err := b.run(cmd)
		if want == "?" {
			continue // the embedded server explains no writes; that it was not asked about is seen below
		}
		if err != nil {
			t.Errorf("%s: %v", cmd, err)
			continue
		}
		var last bson.Raw // a heartbeat may have come behind it
		for _, sent := range s.commands() {
			if sent.Name == raw(t, cmd).Index(0).Key() {
				last = sent.Doc
			}
		}
		got := ""
		if v, err := last.LookupErr("maxTimeMS"); err == nil {
			got = fmt.Sprint(v.AsInt64())
		}
		if got != want {
			t.Errorf("%s was sent with maxTimeMS %q, want %q", cmd, got, want)
		}
	}
	if len(b.op.asked) > 0 {
		t.Errorf("a read asked %d questions", len(b.op.asked))
	}
	s.quiet(t, "there were only reads")
}

// TestP8Gentle: a preview sends nothing but reads, and a change goes in batches of bounded size that the operator can stop between.
func TestP8Gentle(t *testing.T) {
	t.Parallel()
	eachRoadInMemory(t, func(t *testing.T, s *server) {
		var docs []string
		for i := range 170 {
			docs = append(docs, fmt.Sprintf(`{"_id": %d, "n": 1}`, i))
		}
		s.setup(t, "many", docs...)
		before := s.state(t)
		b := s.bench(t)
		inc := `{"update": "many", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}`
		if _, _, err := b.runIn(guard.Preview, inc); err != nil {
			t.Fatal(err)
		}
		s.quiet(t, "it was a preview")
		s.forget()
		b.op.progress = func(p guard.Progress) guard.Control {
			if p.Planning { // which is told only where it takes long
				return guard.Go
			}
			return guard.Stop
		}
		_, _, err := b.run(inc)
		var stopped *guard.Stopped
		if !errors.As(err, &stopped) || stopped.Outcome.Status != replay.StatusPartly {
			t.Fatalf("stopped by the operator, and the error is %v", err)
		}
		batches, alone := 0, 0
		for _, c := range wiretest.Writes(s.commands()) {
			if c.Name == "findAndModify" { // one for each document, where the server cannot compare whole ones
				alone++
				continue
			}
			batches++
			if list, err := c.Doc.Lookup("updates").Array().Values(); err != nil || len(list) > b.d.MaxStatements() {
				t.Errorf("a batch of %d statements (%v)", len(list), err)
			}
		}
		if batches+alone == 0 || batches > 2 || alone > 2*b.d.MaxStatements() {
			t.Errorf("%d batches and %d documents were sent before it stopped, want two batches of %d", batches, alone, b.d.MaxStatements())
		}
		b.op.progress = nil
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		same(t, "after undo of half a change", before, s.state(t))
	})
}

// TestP10TheReceiptTellsTheTruth: the server does something else than was foreseen, and the receipt says so.
func TestP10TheReceiptTellsTheTruth(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	meddled := false
	s.before(func(cmd wiretest.Command) {
		// As a trigger of the server's would: the write is done, and then one more.
		if v, ok := cmd.Doc.Lookup("filter", "_id", "$in", "0").AsInt64OK(); !meddled && ok && v == 1 && cmd.Name == "find" && len(wiretest.Writes(s.commands())) > 0 {
			meddled = true
			s.command(t, `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"trigger": true}}}]}`)
		}
	})
	if _, _, err := b.run(`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 31}}}]}`); err != nil {
		t.Fatal(err)
	}
	if !meddled {
		t.Fatal("nobody meddled")
	}
	r := b.op.receipts[0]
	if len(r.Alarm) != 1 || !strings.Contains(r.Alarm[0], "not as the preview showed it") || !strings.Contains(r.Alarm[0], "trigger") {
		t.Errorf("the alarms are %v", r.Alarm)
	}
	// Whose that is cannot be told: undo leaves it alone.
	s.before(nil)
	if _, err := b.undo(b.last()); err == nil {
		t.Error("undo said nothing of a document that is not as the change was to leave it")
	}
	if got := s.one(t); !strings.Contains(got, `"trigger":true`) {
		t.Errorf("undo made %s of it", got)
	}
}

// TestAnotherServerBehindTheTunnel: while the question stands, the tunnel is pointed elsewhere. The answer is to a question about another server.
func TestAnotherServerBehindTheTunnel(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"during the question", "before the statement"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			s := production(t, "proxy")
			s.people(t)
			before := s.state(t)
			elsewhere, err := start("production")
			if err != nil {
				t.Fatal(err)
			}
			b := s.bench(t)
			swap := func() {
				s.double.SetBackend(elsewhere.Address)
				s.double.CloseConnections()
				s.forget()
			}
			b.op.answer = func(q guard.Question) guard.Answer { swap(); return typed(q) }
			if when == "before the statement" {
				b.op.answer = nil
				swap()
			}
			// The first command on the broken connection says that it is broken; the next is on a new one.
			said := ""
			for range 3 {
				_, _, err = b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`)
				if err == nil {
					t.Fatal("a write went to another server than the one that was classified")
				}
				said += err.Error() + "\n"
				b.op.answer = nil
				if strings.Contains(said, "another server answers") {
					break
				}
			}
			if !strings.Contains(said, "another server answers") {
				t.Fatalf("the errors are %s", said)
			}
			s.quiet(t, "another server answered")
			same(t, "on the first server", before, s.state(t))
		})
	}
}

// TestP3UnknownCountsAsProduction: a server that says nothing of itself gets production's rules.
func TestP3UnknownCountsAsProduction(t *testing.T) {
	t.Parallel()
	s := unmarked(t)
	s.people(t)
	before := s.state(t)
	b := s.bench(t)
	if env := b.d.Environment(); env != environment.Unknown {
		t.Fatalf("the environment is %s", env)
	}
	b.op.absent = true
	if _, _, err := b.run(`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`); err == nil {
		t.Fatal("a write on an unknown environment needed nobody")
	}
	same(t, "after it was refused", before, s.state(t))
	s.quiet(t, "it was refused")
}

// TestStateIsPrivate: what the guard keeps is production data.
func TestStateIsPrivate(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.people(t)
	b := s.bench(t)
	if _, _, err := b.run(`{"drop": "people"}`); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := filepath.WalkDir(b.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == b.dir {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		n++
		return nil
	})
	if err != nil || n < 5 {
		t.Errorf("%d files (%v)", n, err)
	}
}
