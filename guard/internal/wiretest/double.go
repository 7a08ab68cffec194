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
	Conn int      // which connection, counted from 1
}

// Double is a proxy in front of a real server.
type Double struct {
	l     net.Listener
	exact *mongo.Client // looks at documents for whole-document equality; nil: the double does not know it
	done  chan struct{} // closed when the test ends

	mu       sync.Mutex
	backend  string
	commands []Command
	fault    func(Command) Fault
	before   func(Command) // runs before a command is carried out
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
	n      int      // counted from 1
}

// hang reads on until the client closes the connection.
func (c *client) hang() { _, _ = io.Copy(io.Discard, c.Conn) }

func (d *Double) serve(conn net.Conn) {
	c := &client{Conn: conn}
	defer c.Close()
	d.mu.Lock()
	d.clients[c] = true
	d.nclients++
	c.n = d.nclients
	backend := d.backend
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.clients, c)
	}()
	var err error
	if c.server, err = net.Dial("tcp", backend); err != nil {
		return
	}
	defer c.server.Close()
	for {
		m, err := readMessage(c)
		if err != nil || !d.pass(c, m) {
			return
		}
	}
}

// pass carries one message there and back; false ends the connection.
func (d *Double) pass(c *client, m message) bool {
	doc, err := m.document()
	if err != nil { // the handshake of old
		reply, err := roundTrip(c.server, m)
		return err == nil && reply.writeTo(c) == nil
	}
	cmd := Command{Doc: bytes.Clone(doc), Conn: c.n}
	cmd.DB, _ = doc.Lookup("$db").StringValueOK()
	if e, err := doc.IndexErr(0); err == nil {
		cmd.Name = e.Key()
	}
	d.mu.Lock()
	d.commands = append(d.commands, cmd)
	d.mu.Unlock()
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
	if f.concern != nil {
		if doc, err = reply.answered(); err != nil {
			return false
		}
		reply = m.reply(with(doc, bson.D{{Key: "writeConcernError", Value: *f.concern}}))
	}
	return reply.writeTo(c) == nil
}

// turn is a command's own time, in which no other is carried out.
func (d *Double) turn(c *client, m message, cmd Command) (message, fault, error) {
	d.mu.Lock()
	decide, before := d.fault, d.before
	d.mu.Unlock()
	d.one.Lock()
	defer d.one.Unlock()
	if before != nil {
		before(cmd)
	}
	var f fault
	if decide != nil {
		f = of(decide(cmd))
	}
	if f.delay > 0 {
		d.one.Unlock()
		select {
		case <-time.After(f.delay):
		case <-d.done:
		}
		d.one.Lock()
	}
	reply, err := d.carryOut(c, m, cmd, f)
	return reply, f, err
}

// carryOut has a command carried out, as far as its fault lets it, and is its answer.
func (d *Double) carryOut(c *client, m message, cmd Command, f fault) (message, error) {
	if f.cut && f.after <= 0 {
		return d.end(m, f), nil
	}
	if f.cut && statementsOf[cmd.Name] != "" {
		b := batch{double: d, server: c.server, cmd: cmd, most: f.after}
		reply, err := b.carryOut(m)
		if err != nil || !b.cut {
			return reply, err
		}
		return d.end(m, f), nil
	}
	reply, err := d.forward(c.server, m, cmd.Doc, cmd.DB)
	if err == nil && f.cut {
		return d.end(m, f), nil
	}
	return reply, err
}

// end is the answer to a command that was cut off; of no importance if its fault is silent.
func (d *Double) end(m message, f fault) message {
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
	known, err := d.decided(doc, db)
	if err != nil {
		return message{}, err
	}
	if !bytes.Equal(known, doc) {
		m = m.withDocument(known)
	}
	return roundTrip(server, m)
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
