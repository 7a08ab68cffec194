package wiretest

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

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

// Fault says what happens to one command.
type Fault uint8

// The faults.
const (
	None      Fault = iota
	LoseReply       // it is carried out, and the connection is closed before the answer
	Drop            // the connection is closed before it is carried out
)

// Double is a proxy in front of a real server.
type Double struct {
	backend string
	l       net.Listener
	exact   *mongo.Client // looks at documents for whole-document equality; nil: the double does not know it

	mu       sync.Mutex
	commands []Command
	fault    func(Command) Fault
	before   func(Command) // runs before a command is carried out
	conns    map[net.Conn]bool
	nconns   int

	one sync.Mutex // one command at a time: the look and the write of an equality are one step
}

// NewDouble starts a proxy in front of the server at address. With exact it implements whole-document equality.
func NewDouble(t testing.TB, address string, exact bool) *Double {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &Double{backend: address, l: l, conns: map[net.Conn]bool{}}
	if exact {
		d.exact, err = mongo.Connect(options.Client().ApplyURI("mongodb://" + address).SetDirect(true))
		if err != nil {
			t.Fatal(err)
		}
	}
	go d.accept()
	t.Cleanup(func() {
		_ = l.Close()
		d.CloseConnections()
		if d.exact != nil {
			_ = d.exact.Disconnect(context.Background())
		}
	})
	return d
}

// URI of the double, without a database.
func (d *Double) URI() string { return "mongodb://" + d.l.Addr().String() + "/" }

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
	for c := range d.conns {
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

func (d *Double) serve(client net.Conn) {
	d.mu.Lock()
	d.conns[client] = true
	d.nconns++
	n, backend := d.nconns, d.backend
	d.mu.Unlock()
	defer func() {
		_ = client.Close()
		d.mu.Lock()
		delete(d.conns, client)
		d.mu.Unlock()
	}()
	server, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		m, err := readMessage(client)
		if err != nil {
			return
		}
		if !d.pass(client, server, m, n) {
			return
		}
	}
}

// pass carries one message there and back; false ends the connection.
func (d *Double) pass(client, server net.Conn, m message, conn int) bool {
	doc, err := m.document()
	if err != nil { // the handshake of old
		reply, err := roundTrip(server, m)
		return err == nil && reply.writeTo(client) == nil
	}
	cmd := Command{Doc: bytes.Clone(doc), Conn: conn}
	cmd.DB, _ = doc.Lookup("$db").StringValueOK()
	if e, err := doc.IndexErr(0); err == nil {
		cmd.Name = e.Key()
	}
	d.mu.Lock()
	d.commands = append(d.commands, cmd)
	fault, before := d.fault, d.before
	d.mu.Unlock()

	d.one.Lock()
	defer d.one.Unlock()
	if before != nil {
		before(cmd)
	}
	f := None
	if fault != nil {
		f = fault(cmd)
	}
	if f == Drop {
		return false
	}
	if d.exact != nil {
		if m, err = d.rewrite(m, doc, cmd.DB); err != nil {
			return false
		}
	}
	reply, err := roundTrip(server, m)
	if err != nil || f == LoseReply {
		return false
	}
	return reply.writeTo(client) == nil
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
