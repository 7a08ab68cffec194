package wiretest

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Command is one command that a client sent.
type Command struct {
	DB   string
	Name string
	Doc  bson.Raw // whole, with what the driver added
	Conn int      // which connection to its server, counted from 1
	To   string   // the address that it was sent to
}

// Double is a proxy in front of a real server.
type Double struct {
	l     net.Listener
	exact *mongo.Client // looks at documents for whole-document equality; nil: the double does not know it
	done  chan struct{} // closed when the test ends
	set   *ReplicaSet   // that it is a member of; or nil
	place int           // among the members

	mu       sync.Mutex
	backend  string
	alone    bool    // it says that it is a standalone mongod
	target   *Double // that new connections are led to; nil: itself
	commands []Command
	fault    func(Command) Fault
	before   func(Command)          // runs before a command is carried out
	answer   func(Command) bson.Raw // answers in place of the server; may be nil
	clients  map[*client]bool
	nclients int

	one *sync.Mutex // one command at a time: the look and the write of an equality are one step
}

// NewDouble starts a proxy in front of the server at address. With exact it implements whole-document equality.
func NewDouble(t testing.TB, address string, exact bool) *Double {
	t.Helper()
	d := newDouble(t, address)
	if exact {
		d.exact = looker(t, address)
	}
	d.start(t)
	return d
}

func newDouble(t testing.TB, address string) *Double {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &Double{backend: address, l: l, done: make(chan struct{}), clients: map[*client]bool{}, one: &sync.Mutex{}}
}

// looker is a client that looks at the documents behind a double.
func looker(t testing.TB, address string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI("mongodb://" + address).SetDirect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c
}

func (d *Double) start(t testing.TB) {
	go d.accept()
	t.Cleanup(func() {
		close(d.done)
		_ = d.l.Close()
		d.CloseConnections()
	})
}

// URI of the double, without a database.
func (d *Double) URI() string { return "mongodb://" + d.Address() + "/" }

// Address of the double.
func (d *Double) Address() string { return d.l.Addr().String() }

// SetBackend makes new connections go to another server.
func (d *Double) SetBackend(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.backend = address
}

// CloseConnections breaks all connections.
func (d *Double) CloseConnections() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.clients {
		_ = c.Close()
	}
}

// OnCommand makes f decide what happens to each command.
func (d *Double) OnCommand(f func(Command) Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// Before makes f run before each command is carried out, while no other is.
func (d *Double) Before(f func(Command)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = f
}

// Answer makes f answer in place of the server, where it returns something: for what the server behind does not know.
func (d *Double) Answer(f func(Command) bson.Raw) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = f
}

// Commands are the commands so far, in order.
func (d *Double) Commands() []Command {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Command(nil), d.commands...)
}

// Forget empties the list of commands.
func (d *Double) Forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commands = nil
}

// PoseAsStandalone makes the double refuse what a mongod that is no member of a replica set refuses and the embedded server does not: transaction
// numbers, and replSetGetStatus in these words.
func (d *Double) PoseAsStandalone() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.alone = true
}

// Redirect leads new connections to another double, as when a tunnel is pointed elsewhere: whoever dials this address gets that double's answers,
// identity and documents. What is sent here is recorded here, and this double's hooks decide about it. Nil undoes it.
func (d *Double) Redirect(to *Double) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = to
}

func (d *Double) accept() {
	for {
		c, err := d.l.Accept()
		if err != nil {
			return
		}
		go d.serve(c)
	}
}

// client is one connection to a double.
type client struct {
	net.Conn
	server net.Conn // its own connection to the server behind
	as     *Double  // whose answers it gets
	n      int      // counted from 1

	mu      sync.Mutex
	busy    bool // a command is being carried out
	leaving bool // it is to be closed behind the answer
}

// begin says that a command is being carried out.
func (c *client) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = true
}

// end says that none is; false if the connection is to be closed.
func (c *client) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	return !c.leaving
}

// closeIdle closes the connection, behind the answer to the command that is being carried out.
func (c *client) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		c.leaving = true
	} else {
		_ = c.Close()
	}
}

// hang reads on until the client closes the connection.
func (c *client) hang() {
	if c.end() {
		_, _ = io.Copy(io.Discard, c.Conn)
	}
}

// closeIdle breaks all connections, those with a running command behind its answer.
func (d *Double) closeIdle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.clients {
		c.closeIdle()
	}
}

// join notes a connection, and returns its number and what forgets it.
func (d *Double) join(c *client) (n int, leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clients[c] = true
	d.nclients++
	return d.nclients, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.clients, c)
	}
}

func (d *Double) serve(conn net.Conn) {
	defer conn.Close()
	d.mu.Lock()
	c := &client{Conn: conn, as: d}
	if d.target != nil {
		c.as = d.target
	}
	d.mu.Unlock()
	var leave func()
	if c.as != d {
		_, leave = c.as.join(c)
		defer leave()
	}
	c.n, leave = d.join(c)
	defer leave()
	c.as.mu.Lock()
	backend := c.as.backend
	c.as.mu.Unlock()
	var err error
	if c.server, err = net.Dial("tcp", backend); err != nil {
		return
	}
	defer c.server.Close()
	for {
		m, err := readMessage(c)
		if err != nil {
			return
		}
		c.begin()
		if ok := d.pass(c, m); !c.end() || !ok {
			return
		}
	}
}

// pass carries one message there and back; false ends the connection.
func (d *Double) pass(c *client, m message) bool {
	doc, err := m.document()
	if err != nil {
		return c.as.greet(c, m)
	}
	cmd := Command{Doc: bytes.Clone(doc), Conn: c.n, To: d.Address()}
	cmd.DB, _ = doc.Lookup("$db").StringValueOK()
	if e, err := doc.IndexErr(0); err == nil {
		cmd.Name = e.Key()
	}
	d.record(cmd)
	if c.as.set != nil && isHello[cmd.Name] {
		return c.as.hello(c, m, cmd.Doc)
	}
	reply, f, err := d.turn(c, m, cmd)
	if err != nil {
		return false
	}
	switch f.silence {
	case closed:
		return false
	case hung:
		c.hang()
		return false
	}
	return reply.writeTo(c) == nil
}

func (d *Double) record(cmd Command) {
	if d.set != nil {
		d.set.mu.Lock()
		defer d.set.mu.Unlock()
		d.set.commands = append(d.set.commands, cmd)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commands = append(d.commands, cmd)
}

// isHello are the names of the command by which a server says who it is.
var isHello = map[string]bool{"hello": true, "isMaster": true, "ismaster": true}

// greet answers the handshake of old.
func (d *Double) greet(c *client, m message) bool {
	doc, err := m.legacy()
	if err == nil && d.set != nil {
		return d.hello(c, m, doc)
	}
	reply, err := roundTrip(c.server, m)
	return err == nil && reply.writeTo(c) == nil
}

// hello answers as a member of a set. It waits for no other command.
func (d *Double) hello(c *client, m message, cmd bson.Raw) bool {
	if !c.end() {
		return false
	}
	d.set.await(d, cmd)
	c.begin()
	asked := m
	if m.op == opMsg {
		asked = m.withDocument(without(cmd, "topologyVersion", "maxAwaitTimeMS", "$clusterTime"))
	}
	reply, err := roundTrip(c.server, asked)
	if err != nil {
		return false
	}
	base, err := reply.answered()
	if err != nil {
		return false
	}
	first, err := cmd.IndexErr(0)
	if err != nil {
		return false
	}
	name := first.Key()
	return m.reply(d.set.dress(d, Command{Name: name, Doc: cmd}, d.set.hello(d, base, name))).writeTo(c) == nil
}

// turn is a command's own time, in which no other is carried out.
func (d *Double) turn(c *client, m message, cmd Command) (message, fault, error) {
	d.mu.Lock()
	decide, before := d.fault, d.before
	d.mu.Unlock()
	one := c.as.one
	one.Lock()
	defer one.Unlock()
	if before != nil {
		before(cmd)
	}
	var f fault
	if decide != nil {
		f = of(decide(cmd))
	}
	if f.delay > 0 {
		one.Unlock()
		select {
		case <-time.After(f.delay):
		case <-d.done:
		}
		one.Lock()
	}
	reply, err := c.as.carryOut(c, m, cmd, &f)
	if err != nil || c.as.set == nil && f.concern == nil {
		return reply, f, err
	}
	doc, err := reply.answered()
	if err != nil {
		return message{}, f, err
	}
	if f.concern != nil {
		doc = with(doc, bson.D{{Key: "writeConcernError", Value: *f.concern}})
	}
	if c.as.set != nil {
		doc = c.as.set.dress(c.as, cmd, doc)
	}
	return m.reply(doc), f, nil
}

// carryOut has a command carried out, as far as its fault lets it, and is its answer. It changes the fault if the primary steps down meanwhile.
func (d *Double) carryOut(c *client, m message, cmd Command, f *fault) (message, error) {
	if f.cut && f.after <= 0 {
		return d.end(m, f), nil
	}
	if e := d.refuse(cmd); e != nil {
		return m.reply(e.reply()), nil
	}
	if doc := d.itself(cmd); doc != nil {
		return m.reply(doc), nil
	}
	var h *history
	if d.set != nil {
		var e *failure
		if h, e = d.set.history(cmd); e != nil {
			return m.reply(e.reply()), nil
		}
	}
	var reply message
	var err error
	if statementsOf[cmd.Name] != "" && (f.cut || d.set != nil) {
		b := batch{double: d, server: c.server, cmd: cmd, most: -1, history: h}
		if f.cut {
			b.most = f.after
		}
		if d.set != nil {
			_, term := d.set.reign(d)
			b.stopped = func() bool { primary, now := d.set.reign(d); return !primary || now != term }
		}
		if reply, err = b.carryOut(m); err == nil && b.cut && !f.cut {
			d.set.mu.Lock()
			how := d.set.down
			d.set.mu.Unlock()
			*f = of(SteppingDown(how))
			f.down = nil
		}
	} else {
		reply, err = d.whole(c, m, cmd, h)
	}
	if err == nil && f.cut {
		return d.end(m, f), nil
	}
	if err == nil && f.down != nil && d.set != nil {
		d.set.StepDown(*f.down)
	}
	return reply, err
}

// whole has a command carried out in one piece.
func (d *Double) whole(c *client, m message, cmd Command, h *history) (message, error) {
	if before, ok := h.did(0); ok {
		return m.reply(retried(before.reply)), nil
	}
	reply, err := d.forward(c.server, m, cmd.Doc, cmd.DB)
	if err != nil || h == nil {
		return reply, err
	}
	doc, err := reply.answered()
	h.remember(0, resultOfFind(doc))
	return reply, err
}

// refuse is why a command is not carried out; nil if it is.
func (d *Double) refuse(cmd Command) *failure {
	if d.set != nil {
		return d.set.refuse(d, cmd)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.alone {
		return nil
	}
	if _, _, _, err := transaction(cmd, false); err != nil {
		return err
	}
	if cmd.Name == "replSetGetStatus" {
		return &failure{76, "NoReplicationEnabled", "not running with --replSet"}
	}
	return nil
}

// itself is the answer to a command that the server behind does not know; nil if that is not so.
func (d *Double) itself(cmd Command) bson.Raw {
	d.mu.Lock()
	answer := d.answer
	d.mu.Unlock()
	if answer != nil {
		if doc := answer(cmd); doc != nil {
			return doc
		}
	}
	if doc := d.compared(cmd); doc != nil {
		return doc
	}
	switch {
	case d.set == nil:
		return nil
	case cmd.Name == "replSetGetStatus" && cmd.DB != "admin":
		return (&failure{13, "Unauthorized", "replSetGetStatus may only be run against the admin database."}).reply()
	case cmd.Name == "replSetGetStatus":
		return d.set.status(d)
	case cmd.Name == "endSessions" || cmd.Name == "refreshSessions":
		return encode(bson.D{{Key: "ok", Value: 1.0}})
	}
	return nil
}

// end is the answer to a command that was cut off; of no importance if its fault is silent.
func (d *Double) end(m message, f *fault) message {
	if f.down != nil && d.set != nil {
		d.set.StepDown(*f.down)
	}
	if f.err == nil {
		return m.reply(encode(bson.D{{Key: "ok", Value: 1.0}}))
	}
	return m.reply(f.err.reply())
}

// reply is an error as a server answers it.
func (e *failure) reply() bson.Raw {
	return encode(bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: e.message}, {Key: "code", Value: e.code}, {Key: "codeName", Value: e.name}})
}

// forward has a command carried out by the server behind, in the form that it knows. m is the message that the command came in, and is sent as it is
// if there is nothing to change.
func (d *Double) forward(server net.Conn, m message, doc bson.Raw, db string) (message, error) {
	known := doc
	if d.set != nil {
		known = without(doc, "txnNumber", "$clusterTime", "stmtId", "stmtIds")
	}
	known, err := d.decided(known, db)
	if err != nil {
		return message{}, err
	}
	if !bytes.Equal(known, doc) {
		m = m.withDocument(known)
	}
	reply, err := roundTrip(server, m)
	if err == nil && bytes.HasPrefix(doc[4:], statusCommand) {
		reply, err = elsewhere(m, reply)
	}
	return reply, err
}

// statusCommand is what a serverStatus command's first element begins with, behind its type.
var statusCommand = []byte("\x10serverStatus\x00")

// elsewhere is an answer to serverStatus as from another machine, whose process ids mean nothing on this one: above the largest that Linux has. A client on this
// one is spared to go through all that the server has open.
func elsewhere(m, reply message) (message, error) {
	const pids = 1 << 22
	doc, err := reply.answered()
	if err != nil {
		return message{}, err
	}
	pid, ok := doc.Lookup("pid").AsInt64OK()
	if !ok {
		return reply, nil
	}
	return m.reply(with(without(doc, "pid"), bson.D{{Key: "pid", Value: pid + pids}})), nil
}

func roundTrip(server net.Conn, m message) (message, error) {
	if err := m.writeTo(server); err != nil {
		return message{}, err
	}
	return readMessage(server)
}

// Writes are the commands of a list that are no reads, by name: what a guard must account for.
func Writes(commands []Command) (out []Command) {
	reads := map[string]bool{}
	for _, n := range strings.Fields("hello isMaster ismaster ping buildInfo hostInfo serverStatus connectionStatus listDatabases listCollections listIndexes find getMore killCursors count distinct aggregate collStats dbStats endSessions explain getParameter getCmdLineOpts rolesInfo currentOp " +
		"replSetGetStatus replSetGetConfig balancerStatus balancerCollectionStatus listShards listCommands getShardVersion checkMetadataConsistency dataSize dbHash top getLog whatsmyuri") {
		reads[n] = true
	}
	for _, c := range commands {
		read := reads[c.Name]
		switch level, _ := c.Doc.Lookup("profile").AsInt64OK(); c.Name {
		case "aggregate":
			read = !names(bson.Raw(c.Doc), "$out", "$merge")
		case "collMod":
			read, _ = c.Doc.Lookup("dryRun").BooleanOK()
		case "mapReduce", "mapreduce":
			out, isDoc := c.Doc.Lookup("out").DocumentOK()
			e, err := out.IndexErr(0)
			read = isDoc && err == nil && e.Key() == "inline"
		case "usersInfo":
			_, err := c.Doc.LookupErr("showCredentials")
			read = err != nil
		case "profile":
			read = level == -1
		}
		if !read {
			out = append(out, c)
		}
	}
	return out
}

// names says whether a document has a field of one of these names, however deep.
func names(doc bson.Raw, fields ...string) bool {
	elems, err := doc.Elements()
	if err != nil {
		return true
	}
	for _, e := range elems {
		v := e.Value()
		if slices.Contains(fields, e.Key()) || (v.Type == bson.TypeEmbeddedDocument || v.Type == bson.TypeArray) && names(bson.Raw(v.Value), fields...) {
			return true
		}
	}
	return false
}
