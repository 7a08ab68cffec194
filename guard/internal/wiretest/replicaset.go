package wiretest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// SetConfig says what a replica set is made of.
type SetConfig struct {
	Name    string // of the set; "rs0" if empty
	Backend string // the address of the server that holds the documents
	Members int    // how many there are; 1 if 0. The first is the primary
	Exact   bool   // whole-document equality is known, as by NewDouble
	// Version, when not empty, is the version of MongoDB that buildInfo claims; nothing in it then says that the embedded server is behind.
	Version string
}

// ReplicaSet are doubles in front of one server that say they are a replica set. What is written through the primary is at once on all of them; what a
// real set does to keep its members equal is not here. What it does to its clients is: who takes writes, what becomes of a running one when another member
// is elected, retryable writes, cluster times, cursors that only the member knows which opened them, replication lag as a number.
//
//	s := NewReplicaSet(t, SetConfig{Backend: address, Members: 2, Exact: true})
//	s.OnCommand(func(c Command) Fault {
//		if c.Name == "update" && s.Primary() == s.Members()[0] {
//			return AfterStatements(3, SteppingDown(StepDown{To: s.Members()[1]}))
//		}
//		return nil
//	})
//
// Every insert, update and delete is carried out statement by statement (see batch), so that it can be interrupted, and so that its size does not matter to
// the embedded server, which stands still for good at 100 updates in a command.
//
// Otherwise than in a real set
//   - nothing is rolled back: a write that a majority never had survives its primary;
//   - a write concern waits for nobody, whatever SetLag says; that it was not met is a Fault;
//   - an insert can be interrupted between any two documents, where a server writes groups of them;
//   - commands are carried out one at a time, and a resent write never meets the first one half done; hello waits for none, and no hook sees it;
//   - an operation other than insert, update and delete is not interrupted by a step-down;
//   - a session lasts until ForgetSessions, killCursors asks the server behind, and cluster times are not signed.
type ReplicaSet struct {
	cfg     SetConfig
	members []*Double

	mu       sync.Mutex
	primary  int // -1: none
	term     int64
	elected  time.Time
	down     StepDown // how the last primary did
	wrote    time.Time
	ordinal  uint32 // of the last write within its second
	states   []memberState
	changed  chan struct{} // closed when any member's hello changes
	sessions sessions
	commands []Command
}

// memberState is what a member knows of itself.
type memberState struct {
	process bson.ObjectID // of the running mongod
	counter int64         // of what hello said since it runs
	lag     time.Duration
	cursors map[int64]string // by id; the session that opened it
}

// NewReplicaSet starts a replica set.
func NewReplicaSet(t testing.TB, cfg SetConfig) *ReplicaSet {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "rs0"
	}
	s := &ReplicaSet{cfg: cfg, term: 1, elected: time.Now(), wrote: time.Now(), ordinal: 1, changed: make(chan struct{}), sessions: sessions{}}
	one := &sync.Mutex{}
	for i := range max(1, cfg.Members) {
		d := newDouble(t, cfg.Backend)
		d.one, d.set, d.place = one, s, i
		if cfg.Exact {
			d.exact = looker(t, cfg.Backend)
		}
		s.members = append(s.members, d)
		s.states = append(s.states, memberState{process: bson.NewObjectID(), counter: 6, cursors: map[int64]string{}})
	}
	for _, d := range s.members {
		d.start(t)
	}
	return s
}

// URI names all members and the set.
func (s *ReplicaSet) URI() string {
	return "mongodb://" + strings.Join(s.hosts(), ",") + "/?replicaSet=" + s.cfg.Name
}

func (s *ReplicaSet) hosts() (out []string) {
	for _, d := range s.members {
		out = append(out, d.Address())
	}
	return out
}

// Members are the doubles, in order.
func (s *ReplicaSet) Members() []*Double { return slices.Clone(s.members) }

// Primary is the member that takes writes; nil if none does.
func (s *ReplicaSet) Primary() *Double {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.primary < 0 {
		return nil
	}
	return s.members[s.primary]
}

// Commands are the commands that all members were sent, in order.
func (s *ReplicaSet) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Forget empties that list, and those of the members.
func (s *ReplicaSet) Forget() {
	s.mu.Lock()
	s.commands = nil
	s.mu.Unlock()
	for _, d := range s.members {
		d.Forget()
	}
}

// OnCommand makes f decide what happens to each command, whichever member it is sent to.
func (s *ReplicaSet) OnCommand(f func(Command) Fault) {
	for _, d := range s.members {
		d.OnCommand(f)
	}
}

// SetLag makes a secondary say that what it has applied is so much older than what the primary has. It is a number only: the secondary reads the same
// documents, and a write concern waits for nobody. It may be called from a hook.
func (s *ReplicaSet) SetLag(member *Double, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[s.place(member)].lag = lag
}

// ForgetSessions makes the set forget what retryable writes did, as it does of a session that was not used for logicalSessionTimeoutMinutes: what is sent
// again then is carried out again.
func (s *ReplicaSet) ForgetSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}

// Restart makes a member say that another process answers now, and closes its connections. Its cursors are gone. What the set remembers is kept.
func (s *ReplicaSet) Restart(member *Double) {
	s.mu.Lock()
	i := s.place(member)
	s.states[i].process, s.states[i].counter = bson.NewObjectID(), 0
	clear(s.states[i].cursors)
	s.announce()
	s.mu.Unlock()
	member.CloseConnections()
}

// StepDown is how a primary steps down.
type StepDown struct {
	To *Double // the next primary; nil: there is none until Elect
	// Code of the error that the write gets which is running: 11602 (InterruptedDueToReplStateChange) if 0; 10107 (NotWritablePrimary) and
	// 189 (PrimarySteppedDown) are known too.
	Code     int32
	NoAnswer bool // it gets none, and its connection is closed
	// KeepConnections is what a primary does since MongoDB 4.2. Before, and when its process ends, all connections are closed. One with a running write
	// is closed behind the answer.
	// Source: https://www.mongodb.com/docs/manual/reference/command/replSetStepDown/#client-connections
	KeepConnections bool
}

// notPrimary are the errors that say that a member does not take writes, by code.
// Source: https://github.com/mongodb/specifications/blob/master/source/server-discovery-and-monitoring/server-discovery-and-monitoring.md
var notPrimary = map[int32]*failure{
	10107: {10107, "NotWritablePrimary", "not primary"},
	13435: {13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false"},
	11602: {11602, "InterruptedDueToReplStateChange", "operation was interrupted"},
	189:   {189, "PrimarySteppedDown", "Not primary while processing the command: the primary stepped down"},
	91:    {91, "ShutdownInProgress", "The server is in quiesce mode and will shut down"},
	11600: {11600, "InterruptedAtShutdown", "interrupted at shutdown"},
	13436: {13436, "NotPrimaryOrSecondary", "node is not in primary or recovering state"},
}

func (how StepDown) failure() *failure {
	if how.Code == 0 {
		how.Code = 11602
	}
	if f := notPrimary[how.Code]; f != nil {
		return f
	}
	return &failure{how.Code, fmt.Sprintf("Location%d", how.Code), "the primary stepped down"}
}

// StepDown makes the primary step down now. A write that is running is interrupted behind the statement that it is at. It may be called from a hook.
func (s *ReplicaSet) StepDown(how StepDown) {
	s.mu.Lock()
	old := s.primary
	s.down = how
	s.elect(how.To)
	s.mu.Unlock()
	if old >= 0 && !how.KeepConnections {
		s.members[old].closeIdle()
	}
}

// Elect makes a member the primary when there is none.
func (s *ReplicaSet) Elect(member *Double) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elect(member)
}

// elect needs mu. member may be nil.
func (s *ReplicaSet) elect(member *Double) {
	s.primary = -1
	if member != nil {
		s.primary = s.place(member)
		s.states[s.primary].lag = 0
		s.term++
		s.elected = time.Now()
	}
	s.announce()
}

// announce needs mu. Each member's hello differs from now on.
func (s *ReplicaSet) announce() {
	for i := range s.states {
		s.states[i].counter++
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *ReplicaSet) place(member *Double) int {
	if member.set != s {
		panic("wiretest: the double is no member of this replica set")
	}
	return member.place
}

// reign says whether a member is primary, and since which term.
func (s *ReplicaSet) reign(d *Double) (bool, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.primary == d.place, s.term
}

// history is that of the write that a command is, if it is a retryable one; nil otherwise.
func (s *ReplicaSet) history(cmd Command) (*history, *failure) {
	session, txn, has, err := transaction(cmd, true)
	if !has || err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions.begin(session, txn)
}

// The answers that a member gives without the server behind.

// always are the commands that every member carries out; other reads a secondary carries out only for a client that asked for one.
var always = func() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields("hello isMaster ismaster ping buildInfo hostInfo serverStatus connectionStatus getMore killCursors endSessions refreshSessions startSession " +
		"getParameter getCmdLineOpts currentOp replSetGetStatus replSetGetConfig getLog whatsmyuri listCommands top") {
		m[n] = true
	}
	return m
}()

// refuse is why a member does not carry a command out at all; nil if it does.
func (s *ReplicaSet) refuse(d *Double, cmd Command) *failure {
	primary, _ := s.reign(d)
	mode, _ := cmd.Doc.Lookup("$readPreference", "mode").StringValueOK()
	switch {
	case primary || always[cmd.Name]:
	case len(Writes([]Command{cmd})) > 0:
		return notPrimary[10107]
	case mode == "" || mode == "primary":
		return notPrimary[13435]
	}
	return s.cursor(d, cmd)
}

// cursor is why a member does not know the cursor of a getMore.
// Source: https://www.mongodb.com/docs/manual/reference/command/getMore/; the session: src/mongo/db/query/getmore_request.cpp and its kind.
func (s *ReplicaSet) cursor(d *Double, cmd Command) *failure {
	if cmd.Name != "getMore" {
		return nil
	}
	id, _ := cmd.Doc.Lookup("getMore").AsInt64OK()
	s.mu.Lock()
	session, ok := s.states[d.place].cursors[id]
	s.mu.Unlock()
	switch {
	case !ok:
		return &failure{43, "CursorNotFound", fmt.Sprintf("cursor id %d not found", id)}
	case session != sessionOf(cmd):
		return &failure{50738, "Location50738", fmt.Sprintf("Cannot run getMore on cursor %d, which was created in session %x, in session %x", id, session, sessionOf(cmd))}
	}
	return nil
}

func sessionOf(cmd Command) string {
	_, id, _ := cmd.Doc.Lookup("lsid", "id").BinaryOK()
	return string(id)
}

// timestamp of the last write, as the oplog has it. It needs mu. A primary that is idle writes something every ten seconds.
// Source: https://www.mongodb.com/docs/manual/reference/parameters/ (periodicNoopIntervalSecs)
func (s *ReplicaSet) lastWrite() time.Time {
	if now := time.Now(); now.Sub(s.wrote) > 10*time.Second {
		s.wrote, s.ordinal = now.Truncate(10*time.Second), 1
	}
	return s.wrote
}

// opTime of a member that is so far behind. It needs mu.
func (s *ReplicaSet) opTime(lag time.Duration) (bson.D, time.Time) {
	at := s.lastWrite().Add(-lag)
	ordinal := s.ordinal
	if lag > 0 {
		ordinal = 1
	}
	return bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(at.Unix()), I: ordinal}}, {Key: "t", Value: s.term}}, at
}

// majority is how far the last member of a majority is behind. It needs mu.
func (s *ReplicaSet) majority() time.Duration {
	var lags []time.Duration
	for _, m := range s.states {
		lags = append(lags, m.lag)
	}
	slices.Sort(lags)
	return lags[len(lags)/2]
}

// electionID of a term. Drivers trust the primary with the highest.
func electionID(term int64) (id bson.ObjectID) {
	binary.BigEndian.PutUint32(id[:], 0x7fffffff)
	binary.BigEndian.PutUint64(id[4:], uint64(term))
	return id
}

func (s *ReplicaSet) topologyVersion(d *Double) bson.D {
	return bson.D{{Key: "processId", Value: s.states[d.place].process}, {Key: "counter", Value: s.states[d.place].counter}}
}

// hello is a member's answer. base is what the server behind said of its limits; asked is the name of the command.
// Source: https://www.mongodb.com/docs/manual/reference/command/hello/#output
func (s *ReplicaSet) hello(d *Double, base bson.Raw, asked string) bson.Raw {
	s.mu.Lock()
	defer s.mu.Unlock()
	primary := s.primary == d.place
	writable := "isWritablePrimary"
	if asked != "hello" {
		writable = "ismaster"
	}
	own := bson.D{
		{Key: "topologyVersion", Value: s.topologyVersion(d)}, {Key: "hosts", Value: s.hosts()}, {Key: "setName", Value: s.cfg.Name},
		{Key: "setVersion", Value: int32(1)}, {Key: writable, Value: primary}, {Key: "secondary", Value: !primary},
	}
	if s.primary >= 0 {
		own = append(own, bson.E{Key: "primary", Value: s.members[s.primary].Address()})
	}
	own = append(own, bson.E{Key: "me", Value: d.Address()})
	if primary {
		own = append(own, bson.E{Key: "electionId", Value: electionID(s.term)})
	}
	last, lastDate := s.opTime(s.states[d.place].lag)
	majority, majorityDate := s.opTime(s.majority())
	own = append(own, bson.E{Key: "lastWrite", Value: bson.D{
		{Key: "opTime", Value: last}, {Key: "lastWriteDate", Value: bson.NewDateTimeFromTime(lastDate.Truncate(time.Second))},
		{Key: "majorityOpTime", Value: majority}, {Key: "majorityWriteDate", Value: bson.NewDateTimeFromTime(majorityDate.Truncate(time.Second))},
	}}, bson.E{Key: "logicalSessionTimeoutMinutes", Value: int32(30)})
	rest := without(base, "topologyVersion", "hosts", "setName", "setVersion", "isWritablePrimary", "ismaster", "secondary", "primary", "me", "electionId", "lastWrite", "logicalSessionTimeoutMinutes")
	return withElements(encode(own), elementsOf(rest))
}

// await waits until a member's hello is another one than the client knows, or as long as the client lets it.
// Source: https://github.com/mongodb/specifications/blob/master/source/server-discovery-and-monitoring/server-monitoring.md (streaming protocol)
func (s *ReplicaSet) await(d *Double, cmd bson.Raw) {
	counter, ok1 := cmd.Lookup("topologyVersion", "counter").Int64OK()
	process, ok2 := cmd.Lookup("topologyVersion", "processId").ObjectIDOK()
	most, ok3 := cmd.Lookup("maxAwaitTimeMS").AsInt64OK()
	if !ok1 || !ok2 || !ok3 {
		return
	}
	s.mu.Lock()
	same, changed := s.states[d.place].counter == counter && s.states[d.place].process == process, s.changed
	s.mu.Unlock()
	if !same {
		return
	}
	timeout := time.NewTimer(time.Duration(most) * time.Millisecond)
	defer timeout.Stop()
	select {
	case <-changed:
	case <-timeout.C:
	case <-d.done:
	}
}

// status answers replSetGetStatus.
// Source: https://www.mongodb.com/docs/manual/reference/command/replSetGetStatus/#output
func (s *ReplicaSet) status(d *Double) bson.Raw {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	state := func(i int) (int32, string) {
		if i == s.primary {
			return 1, "PRIMARY"
		}
		return 2, "SECONDARY"
	}
	source := func(i int) (string, int32) {
		if i == s.primary || s.primary < 0 {
			return "", -1
		}
		return s.members[s.primary].Address(), int32(s.primary)
	}
	var members bson.A
	for i, m := range s.members {
		number, name := state(i)
		optime, at := s.opTime(s.states[i].lag)
		host, id := source(i)
		doc := bson.D{
			{Key: "_id", Value: int32(i)}, {Key: "name", Value: m.Address()}, {Key: "health", Value: 1.0}, {Key: "state", Value: number}, {Key: "stateStr", Value: name},
			{Key: "uptime", Value: int32(1000)}, {Key: "optime", Value: optime}, {Key: "optimeDurable", Value: optime},
			{Key: "optimeDate", Value: bson.NewDateTimeFromTime(at.Truncate(time.Second))}, {Key: "optimeDurableDate", Value: bson.NewDateTimeFromTime(at.Truncate(time.Second))},
			{Key: "lastAppliedWallTime", Value: bson.NewDateTimeFromTime(at)}, {Key: "lastDurableWallTime", Value: bson.NewDateTimeFromTime(at)},
		}
		if i != d.place {
			doc = append(doc, bson.E{Key: "lastHeartbeat", Value: bson.NewDateTimeFromTime(now)}, bson.E{Key: "lastHeartbeatRecv", Value: bson.NewDateTimeFromTime(now)}, bson.E{Key: "pingMs", Value: int64(0)})
		}
		doc = append(doc, bson.E{Key: "lastHeartbeatMessage", Value: ""}, bson.E{Key: "syncSourceHost", Value: host}, bson.E{Key: "syncSourceId", Value: id}, bson.E{Key: "infoMessage", Value: ""})
		if i == s.primary {
			doc = append(doc, bson.E{Key: "electionTime", Value: bson.Timestamp{T: uint32(s.elected.Unix()), I: 1}}, bson.E{Key: "electionDate", Value: bson.NewDateTimeFromTime(s.elected.Truncate(time.Second))})
		}
		doc = append(doc, bson.E{Key: "configVersion", Value: int32(1)}, bson.E{Key: "configTerm", Value: s.term})
		if i == d.place {
			doc = append(doc, bson.E{Key: "self", Value: true})
		}
		members = append(members, doc)
	}
	number, _ := state(d.place)
	host, id := source(d.place)
	applied, appliedAt := s.opTime(s.states[d.place].lag)
	committed, committedAt := s.opTime(s.majority())
	most := int32(len(s.members)/2 + 1)
	return encode(bson.D{
		{Key: "set", Value: s.cfg.Name}, {Key: "date", Value: bson.NewDateTimeFromTime(now)}, {Key: "myState", Value: number}, {Key: "term", Value: s.term},
		{Key: "syncSourceHost", Value: host}, {Key: "syncSourceId", Value: id}, {Key: "heartbeatIntervalMillis", Value: int64(2000)},
		{Key: "majorityVoteCount", Value: most}, {Key: "writeMajorityCount", Value: most},
		{Key: "votingMembersCount", Value: int32(len(s.members))}, {Key: "writableVotingMembersCount", Value: int32(len(s.members))},
		{Key: "optimes", Value: bson.D{
			{Key: "lastCommittedOpTime", Value: committed}, {Key: "lastCommittedWallTime", Value: bson.NewDateTimeFromTime(committedAt)},
			{Key: "readConcernMajorityOpTime", Value: committed}, {Key: "appliedOpTime", Value: applied}, {Key: "durableOpTime", Value: applied},
			{Key: "lastAppliedWallTime", Value: bson.NewDateTimeFromTime(appliedAt)}, {Key: "lastDurableWallTime", Value: bson.NewDateTimeFromTime(appliedAt)},
		}},
		{Key: "members", Value: members}, {Key: "ok", Value: 1.0},
	})
}

// dress adds to a member's answer what every member adds to all of them, and notes what it says of cursors and writes.
func (s *ReplicaSet) dress(d *Double, cmd Command, reply bson.Raw) bson.Raw {
	s.mu.Lock()
	defer s.mu.Unlock()
	var more bson.D
	writes := len(Writes([]Command{cmd})) > 0
	switch ok := succeeded(reply); {
	case ok && writes:
		s.write()
		if statementsOf[cmd.Name] != "" {
			optime, _ := s.opTime(0)
			more = append(more, bson.E{Key: "electionId", Value: electionID(s.term)}, bson.E{Key: "opTime", Value: optime})
		}
		more = append(more, s.explain(d, cmd, reply.Lookup("writeConcernError", "code"))...)
	case ok:
		s.opened(d, cmd, reply)
	default:
		more = s.explain(d, cmd, reply.Lookup("code"))
	}
	if cmd.Name == "buildInfo" && s.cfg.Version != "" {
		reply = disguise(reply, s.cfg.Version)
	}
	last, _ := s.opTime(s.states[d.place].lag)
	return with(reply, append(more,
		bson.E{Key: "$clusterTime", Value: bson.D{{Key: "clusterTime", Value: last[0].Value}, {Key: "signature", Value: bson.D{{Key: "hash", Value: bson.Binary{Data: make([]byte, 20)}}, {Key: "keyId", Value: int64(0)}}}}},
		bson.E{Key: "operationTime", Value: last[0].Value}))
}

// explain is what an answer with the code of an error, or of a write concern's, carries besides. It needs mu.
// Source: https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md (determining retryable errors)
func (s *ReplicaSet) explain(d *Double, cmd Command, code bson.RawValue) (more bson.D) {
	if n, ok := code.AsInt64OK(); !ok || notPrimary[int32(n)] == nil {
		return nil
	}
	if _, err := cmd.Doc.LookupErr("txnNumber"); err == nil {
		more = append(more, bson.E{Key: "errorLabels", Value: bson.A{"RetryableWriteError"}})
	}
	return append(more, bson.E{Key: "topologyVersion", Value: s.topologyVersion(d)})
}

// write notes that something was written. It needs mu.
func (s *ReplicaSet) write() {
	now := time.Now()
	if now.Unix() != s.wrote.Unix() {
		s.ordinal = 0
	}
	s.wrote = now
	s.ordinal++
}

// opened notes the cursor that a command opened or used up. It needs mu.
func (s *ReplicaSet) opened(d *Double, cmd Command, reply bson.Raw) {
	id, ok := reply.Lookup("cursor", "id").Int64OK()
	if !ok {
		return
	}
	if used, ok := cmd.Doc.Lookup("getMore").AsInt64OK(); ok && id == 0 {
		delete(s.states[d.place].cursors, used)
	}
	if id != 0 {
		s.states[d.place].cursors[id] = sessionOf(cmd)
	}
}

// disguise takes out of buildInfo what says that it is not MongoDB's.
func disguise(reply bson.Raw, version string) bson.Raw {
	elems, err := reply.Elements()
	if err != nil {
		return reply
	}
	out := bson.D{{Key: "version", Value: version}}
	for _, e := range elems {
		if key := e.Key(); key != "version" && key != "versionArray" && !bytes.Contains(bytes.ToLower([]byte(key)), []byte("ferretdb")) {
			out = append(out, bson.E{Key: key, Value: e.Value()})
		}
	}
	return encode(out)
}
