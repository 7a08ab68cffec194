package wiretest

import (
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

var hello = bson.D{{Key: "hello", Value: int32(1)}}

// replicaSet is one over the embedded server, and a database of the test's own.
func replicaSet(t testing.TB, members int) (s *ReplicaSet, address, db string) {
	t.Helper()
	address, db = backend(t)
	return NewReplicaSet(t, SetConfig{Backend: address, Members: members}), address, db
}

// TestHello: the primary and a secondary say what a set's members say, in both forms of the handshake.
func TestHello(t *testing.T) {
	t.Parallel()
	s, _, db := replicaSet(t, 3)
	m := s.Members()
	if s.Primary() != m[0] {
		t.Fatal("the first is not the primary")
	}
	for i, d := range m {
		h := dial(t, d.Address(), db).run(hello)
		hosts, _ := h.Lookup("hosts").Array().Values()
		_, hasElection := h.Lookup("electionId").ObjectIDOK()
		if h.Lookup("setName").StringValue() != "rs0" || len(hosts) != 3 || h.Lookup("me").StringValue() != d.Address() || h.Lookup("primary").StringValue() != m[0].Address() ||
			h.Lookup("isWritablePrimary").Boolean() != (i == 0) || h.Lookup("secondary").Boolean() == (i == 0) || hasElection != (i == 0) ||
			h.Lookup("logicalSessionTimeoutMinutes").Int32() != 30 || h.Lookup("maxBsonObjectSize").Type == 0 || h.Lookup("maxWireVersion").Type == 0 {
			t.Errorf("member %d: %v", i, h)
		}
		if h.Lookup("lastWrite", "opTime", "ts").Type != bson.TypeTimestamp || h.Lookup("lastWrite", "majorityOpTime", "t").Int64() != 1 || h.Lookup("$clusterTime", "clusterTime").Type != bson.TypeTimestamp || h.Lookup("operationTime").Type != bson.TypeTimestamp {
			t.Errorf("member %d: %v", i, h)
		}
	}
	p := dial(t, m[1].Address(), db)
	old := message{id: 1, op: opQuery, body: append([]byte("\x00\x00\x00\x00admin.$cmd\x00\x00\x00\x00\x00\xff\xff\xff\xff"), encode(bson.D{{Key: "isMaster", Value: int32(1)}, {Key: "helloOk", Value: true}})...)}
	if err := old.writeTo(p); err != nil {
		t.Fatal(err)
	}
	reply, err := readMessage(p)
	if err != nil {
		t.Fatal(err)
	}
	h, err := reply.answered()
	if err != nil || h.Lookup("ismaster").Boolean() || !h.Lookup("secondary").Boolean() || h.Lookup("setName").StringValue() != "rs0" || reply.op != opReply {
		t.Errorf("the handshake of old: %v, %v", h, err)
	}
}

// TestAwaitableHello: a client that asks for news is answered when there is some, or when its time is over.
func TestAwaitableHello(t *testing.T) {
	t.Parallel()
	s, _, db := replicaSet(t, 2)
	p := dial(t, s.Members()[0].Address(), db)
	ask := func(known bson.Raw, ms int64) bson.D {
		return bson.D{{Key: "hello", Value: int32(1)}, {Key: "topologyVersion", Value: known.Lookup("topologyVersion")}, {Key: "maxAwaitTimeMS", Value: ms}}
	}
	h := p.run(hello)
	start := time.Now()
	if got := p.run(ask(h, 20)); time.Since(start) < 15*time.Millisecond || !got.Lookup("topologyVersion").Equal(h.Lookup("topologyVersion")) {
		t.Errorf("after %v: %v", time.Since(start), got)
	}
	if err := p.send(ask(h, 60_000)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	s.StepDown(StepDown{To: s.Members()[1], KeepConnections: true})
	got, err := p.receive()
	if err != nil || got.Lookup("isWritablePrimary").Boolean() || got.Lookup("topologyVersion", "counter").Int64() <= h.Lookup("topologyVersion", "counter").Int64() {
		t.Errorf("after the step-down: %v, %v", got, err)
	}
	start = time.Now()
	if p.run(ask(h, 60_000)); time.Since(start) > 5*time.Second {
		t.Error("who knows less is made to wait")
	}
}

// TestSecondary: it takes no writes, and reads for those who asked for it.
func TestSecondary(t *testing.T) {
	t.Parallel()
	s, _, db := replicaSet(t, 2)
	dial(t, s.Members()[0].Address(), db).run(inserting("c", 1))
	p := dial(t, s.Members()[1].Address(), db)
	find := bson.D{{Key: "find", Value: "c"}}
	prefer := func(mode string) bson.D {
		return append(find[:1:1], bson.E{Key: "$readPreference", Value: bson.D{{Key: "mode", Value: mode}}})
	}
	for _, tt := range []struct {
		name string
		cmd  bson.D
		code int32
	}{
		{"a write", inserting("c", 2), 10107},
		{"a write by one who reads here", append(inserting("c", 2), bson.E{Key: "$readPreference", Value: bson.D{{Key: "mode", Value: "secondary"}}}), 10107},
		{"schema", bson.D{{Key: "create", Value: "d"}}, 10107},
		{"a read", find, 13435},
		{"a read of the primary", prefer("primary"), 13435},
		{"a read that prefers the primary", prefer("primaryPreferred"), 0},
		{"a read of a secondary", prefer("secondary"), 0},
		{"a read of the nearest", prefer("nearest"), 0},
		{"what all answer", bson.D{{Key: "buildInfo", Value: 1}}, 0},
	} {
		reply := p.run(tt.cmd)
		if code(reply) != tt.code || (tt.code != 0) != (reply.Lookup("topologyVersion").Type != 0) {
			t.Errorf("%s: %v, want code %d", tt.name, reply, tt.code)
		}
	}
}

// TestCursorsBelongToAMember: and there to a session.
func TestCursorsBelongToAMember(t *testing.T) {
	t.Parallel()
	s, _, db := replicaSet(t, 2)
	a, b := dial(t, s.Members()[0].Address(), db), dial(t, s.Members()[1].Address(), db)
	a.run(inserting("c", 1, 2, 3, 4))
	reply := a.run(bson.D{{Key: "find", Value: "c"}, {Key: "batchSize", Value: 1}, lsid(1)})
	id := reply.Lookup("cursor", "id").Int64()
	more := bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: "c"}, {Key: "batchSize", Value: 1}}
	if got := b.run(append(more, lsid(1))); code(got) != 43 {
		t.Errorf("another member: %v", got)
	}
	if got := a.run(append(more, lsid(2))); code(got) != 50738 {
		t.Errorf("another session: %v", got)
	}
	if got := a.run(append(more, lsid(1))); code(got) != 0 {
		t.Errorf("the same: %v", got)
	}
	s.Restart(s.Members()[0])
	if got := dial(t, s.Members()[0].Address(), db).run(append(more, lsid(1))); code(got) != 43 {
		t.Errorf("the same, after another start: %v", got)
	}
}

// TestStepDown: where a batch ends that is running, what its client hears, what becomes of the connections, and who is primary then.
func TestStepDown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		how   StepDown
		after int
		code  int32 // -1: no answer
		open  bool
	}{
		"in the middle":                      {StepDown{}, 2, 11602, false},
		"before the first":                   {StepDown{}, 0, 11602, false},
		"with another code":                  {StepDown{Code: 10107}, 1, 10107, false},
		"as since 4.2":                       {StepDown{KeepConnections: true}, 3, 11602, true},
		"without an answer":                  {StepDown{NoAnswer: true}, 2, -1, false},
		"without an answer, to that one":     {StepDown{NoAnswer: true, KeepConnections: true}, 2, -1, true},
		"behind the last, without an answer": {StepDown{NoAnswer: true}, 4, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address, db := replicaSet(t, 2)
			old, next := s.Members()[0], s.Members()[1]
			tt.how.To = next
			other := dial(t, old.Address(), db)
			before := other.run(hello)
			old.OnCommand(once("insert", AfterStatements(tt.after, SteppingDown(tt.how))))
			p := dial(t, old.Address(), db)
			reply, err := p.try(append(inserting("c", 1, 2, 3, 4), lsid(1), txnNumber(1)))
			if (err != nil) != (tt.code == -1) || err == nil && (code(reply) != tt.code || reply.Lookup("errorLabels", "0").StringValue() != "RetryableWriteError" || reply.Lookup("topologyVersion", "counter").Int64() <= before.Lookup("topologyVersion", "counter").Int64()) {
				t.Errorf("answered %v, %v, want code %d", reply, err, tt.code)
			}
			if got := ids(t, address, db, "c"); len(got) != tt.after {
				t.Errorf("did %v, want %d", got, tt.after)
			}
			if _, err := other.try(hello); (err == nil) != tt.open {
				t.Errorf("an idle connection: %v", err)
			}
			if _, err := p.try(hello); (err == nil) != (tt.open && tt.code != -1) {
				t.Errorf("the connection of the write: %v", err)
			}
			if s.Primary() != next {
				t.Error("the other is not primary")
			}
			h := dial(t, old.Address(), db).run(hello)
			if h.Lookup("isWritablePrimary").Boolean() || !h.Lookup("secondary").Boolean() || h.Lookup("primary").StringValue() != next.Address() || h.Lookup("topologyVersion", "counter").Int64() <= before.Lookup("topologyVersion", "counter").Int64() {
				t.Errorf("the old one says %v", h)
			}
			if h = dial(t, next.Address(), db).run(hello); !h.Lookup("isWritablePrimary").Boolean() || h.Lookup("electionId").ObjectID().Hex() <= before.Lookup("electionId").ObjectID().Hex() {
				t.Errorf("the new one says %v", h)
			}
			if got := dial(t, old.Address(), db).run(inserting("c", 9)); code(got) != 10107 {
				t.Errorf("a write to the old one: %v", got)
			}
		})
	}
}

// TestStepDownAfterwards: the write is done, the answer says that a majority did not confirm it, and a driver sends it again, to no effect.
func TestStepDownAfterwards(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 2)
	p := dial(t, s.Primary().Address(), db)
	p.run(inserting("c", 1))
	s.OnCommand(once("update", SteppingDownAfterwards(StepDown{To: s.Members()[1]})))
	cmd := append(incrementing("c", 1), lsid(1), txnNumber(1))
	r := p.run(cmd)
	if n, _ := r.Lookup("nModified").AsInt64OK(); n != 1 || !succeeded(r) || code(r.Lookup("writeConcernError").Document()) != 189 || r.Lookup("errorLabels", "0").StringValue() != "RetryableWriteError" {
		t.Errorf("%v", r)
	}
	p.gone(hello)
	if s.Primary() != s.Members()[1] {
		t.Error("the other is not primary")
	}
	if r := dial(t, s.Primary().Address(), db).run(cmd); !slices.Equal(retriedIDs(r), []int32{0}) {
		t.Errorf("again: %v", r)
	}
	if got := values(t, address, db, "c"); !slices.Equal(got, []int32{1}) {
		t.Errorf("left %v", got)
	}
}

// TestStepDownFromOutside interrupts a batch that runs already.
func TestStepDownFromOutside(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 2)
	many := make([]int32, 2000)
	for i := range many {
		many[i] = int32(i)
	}
	p := dial(t, s.Members()[0].Address(), db)
	if err := p.send(inserting("c", many...)); err != nil {
		t.Fatal(err)
	}
	for count(t, address, db, "c") < 3 {
		time.Sleep(time.Millisecond)
	}
	s.StepDown(StepDown{}) // to nobody yet
	reply, err := p.receive()
	if err != nil || code(reply) != 11602 {
		t.Fatalf("%v, %v", reply, err)
	}
	if got := count(t, address, db, "c"); got < 3 || got >= len(many) {
		t.Errorf("did %d of %d", got, len(many))
	}
	p.gone(hello)
	h := dial(t, s.Members()[0].Address(), db).run(hello)
	if s.Primary() != nil || h.Lookup("primary").Type != 0 || h.Lookup("isWritablePrimary").Boolean() {
		t.Errorf("there is a primary: %v", h)
	}
	s.Elect(s.Members()[0])
	if got := dial(t, s.Members()[0].Address(), db).run(inserting("c", -1)); code(got) != 0 {
		t.Errorf("after the election: %v", got)
	}
}

func count(t testing.TB, address, db, coll string) int {
	t.Helper()
	n, _ := dial(t, address, db).run(bson.D{{Key: "count", Value: coll}}).Lookup("n").AsInt64OK()
	return int(n)
}

// TestStatus: who is what, and how far behind. What is no set says so.
func TestStatus(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 3)
	dial(t, s.Members()[0].Address(), db).run(inserting("c", 1))
	s.SetLag(s.Members()[1], 90*time.Second)
	s.SetLag(s.Members()[2], 7*time.Second)
	status := bson.D{{Key: "replSetGetStatus", Value: 1}}
	r := dial(t, s.Members()[0].Address(), "admin").run(status)
	members, err := r.Lookup("members").Array().Values()
	if err != nil || len(members) != 3 || r.Lookup("set").StringValue() != "rs0" || r.Lookup("myState").Int32() != 1 {
		t.Fatalf("%v", r)
	}
	first := members[0].Document().Lookup("optimeDate").Time()
	for i, want := range []time.Duration{0, 90 * time.Second, 7 * time.Second} {
		m := members[i].Document()
		if got := first.Sub(m.Lookup("optimeDate").Time()); got != want || m.Lookup("stateStr").StringValue() != []string{"PRIMARY", "SECONDARY", "SECONDARY"}[i] || m.Lookup("name").StringValue() != s.Members()[i].Address() {
			t.Errorf("member %d is %v behind, want %v: %v", i, got, want, m)
		}
	}
	if got := r.Lookup("optimes", "appliedOpTime", "ts"); !got.Equal(members[0].Document().Lookup("optime", "ts")) {
		t.Errorf("applied %v", got)
	}
	if t1, _ := r.Lookup("optimes", "lastCommittedOpTime", "ts").Timestamp(); t1 != uint32(first.Unix())-7 {
		t.Errorf("committed %v", r.Lookup("optimes"))
	}
	if got := dial(t, s.Members()[0].Address(), db).run(status); code(got) != 13 {
		t.Errorf("in another database: %v", got)
	}
	if r = dial(t, s.Members()[2].Address(), "admin").run(status); r.Lookup("myState").Int32() != 2 || r.Lookup("syncSourceHost").StringValue() != s.Members()[0].Address() {
		t.Errorf("a secondary: %v", r)
	}
	d := NewDouble(t, address, false)
	d.PoseAsStandalone()
	if got := dial(t, d.Address(), "admin").run(status); code(got) != 76 {
		t.Errorf("a standalone: %v", got)
	}
}

// TestRedirect: another set answers at the same address, as behind a tunnel, and what is sent there is recorded here.
func TestRedirect(t *testing.T) {
	t.Parallel()
	s, _, db := replicaSet(t, 1)
	address, _ := backend(t)
	other := NewReplicaSet(t, SetConfig{Name: "rs1", Backend: address, Members: 1})
	d := s.Members()[0]
	p := dial(t, d.Address(), db)
	before := p.run(hello)
	d.Redirect(other.Members()[0])
	if got := p.run(hello); !got.Lookup("setName").Equal(before.Lookup("setName")) {
		t.Errorf("an old connection: %v", got)
	}
	d.CloseConnections()
	p = dial(t, d.Address(), db)
	if got := p.run(hello); got.Lookup("setName").StringValue() != "rs1" || got.Lookup("me").StringValue() != other.Members()[0].Address() || got.Lookup("topologyVersion", "processId").Equal(before.Lookup("topologyVersion", "processId")) {
		t.Errorf("a new one: %v", got)
	}
	d.Forget()
	p.run(inserting("c", 1))
	if got := d.Commands(); len(got) != 1 || got[0].To != d.Address() || len(other.Commands()) != 0 {
		t.Errorf("recorded %v, and there %v", got, other.Commands())
	}
	other.StepDown(StepDown{})
	p.gone(hello)
	d.Redirect(nil)
	if got := dial(t, d.Address(), db).run(hello); got.Lookup("setName").StringValue() != "rs0" {
		t.Errorf("back again: %v", got)
	}
}

// TestRestart: another process answers for the same member.
func TestRestart(t *testing.T) {
	t.Parallel()
	s, _, db := replicaSet(t, 1)
	p := dial(t, s.Members()[0].Address(), db)
	before := p.run(hello)
	s.Restart(s.Members()[0])
	p.gone(hello)
	after := dial(t, s.Members()[0].Address(), db).run(hello)
	if after.Lookup("topologyVersion", "processId").Equal(before.Lookup("topologyVersion", "processId")) || !after.Lookup("setName").Equal(before.Lookup("setName")) || !after.Lookup("me").Equal(before.Lookup("me")) {
		t.Errorf("before %v, after %v", before, after)
	}
}

// TestVersion: nothing says that the embedded server is behind.
func TestVersion(t *testing.T) {
	t.Parallel()
	address, db := backend(t)
	s := NewReplicaSet(t, SetConfig{Backend: address, Version: "8.0.4"})
	info := dial(t, s.Primary().Address(), db).run(bson.D{{Key: "buildInfo", Value: 1}})
	if _, err := info.LookupErr("ferretdbVersion"); err == nil || info.Lookup("version").StringValue() != "8.0.4" {
		t.Errorf("%v", info)
	}
	many := make([]int32, 300) // a third of them in one command deadlock the embedded server
	for i := range many {
		many[i] = int32(i)
	}
	if got := dial(t, s.Primary().Address(), db).run(incrementing("c", many...)); code(got) != 0 {
		t.Errorf("a large batch: %v", got)
	}
}

// driver is the real driver, connected to a whole set.
func driver(t testing.TB, s *ReplicaSet) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetServerSelectionTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(t.Context()) })
	return c
}

// TestDriver: the real driver takes the doubles for a replica set. It finds the primary, reads from secondaries, and makes up for faults by sending a
// write again, so that each is done once.
func TestDriver(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault func(s *ReplicaSet) Fault
		again bool
	}{
		"nothing happens":     {func(*ReplicaSet) Fault { return None }, false},
		"the reply is lost":   {func(*ReplicaSet) Fault { return LoseReply }, true},
		"the command is lost": {func(*ReplicaSet) Fault { return Drop }, true},
		"a batch is cut":      {func(*ReplicaSet) Fault { return CloseAfterStatements(2) }, true},
		"the primary steps down": {func(s *ReplicaSet) Fault {
			return AfterStatements(3, SteppingDown(StepDown{To: s.Members()[1], KeepConnections: true}))
		}, true},
		"the primary steps down hard": {func(s *ReplicaSet) Fault {
			return AfterStatements(1, SteppingDown(StepDown{To: s.Members()[1], NoAnswer: true}))
		}, true},
		"the primary steps down, done": {func(s *ReplicaSet) Fault { return SteppingDownAfterwards(StepDown{To: s.Members()[1]}) }, true},
		"the majority does not answer": {func(*ReplicaSet) Fault { return WriteConcernTimeout }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address, db := replicaSet(t, 2)
			coll := driver(t, s).Database(db).Collection("c")
			if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: int32(0)}}); err != nil {
				t.Fatal(err)
			}
			s.Forget()
			s.OnCommand(once("insert", tt.fault(s)))
			_, err := coll.InsertMany(t.Context(), []bson.D{{{Key: "_id", Value: int32(1)}}, {{Key: "_id", Value: int32(2)}}, {{Key: "_id", Value: int32(3)}}, {{Key: "_id", Value: int32(4)}}})
			if (err != nil) != (name == "the majority does not answer") {
				t.Fatal(err)
			}
			if got := ids(t, address, db, "c"); !slices.Equal(got, []int32{0, 1, 2, 3, 4}) {
				t.Errorf("the documents are %v", got)
			}
			var sent []Command
			for _, c := range s.Commands() {
				if c.Name == "insert" {
					sent = append(sent, c)
				}
			}
			if (len(sent) == 2) != tt.again || tt.again && (!sent[0].Doc.Lookup("txnNumber").Equal(sent[1].Doc.Lookup("txnNumber")) || !sent[0].Doc.Lookup("lsid").Equal(sent[1].Doc.Lookup("lsid"))) {
				t.Errorf("sent %v", sent)
			}
			secondary := driver(t, s).Database(db, options.Database().SetReadPreference(readpref.Secondary()))
			if n, err := secondary.Collection("c").CountDocuments(t.Context(), bson.D{}); err != nil || n != 5 {
				t.Errorf("read from a secondary: %d, %v", n, err)
			}
		})
	}
}
