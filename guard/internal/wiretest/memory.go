package wiretest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Memory is a server of its own with a few documents, for tests that need many servers, each with its own identity, and begin anew thousands of times. It says that it is a
// standalone of MongoDB 8, knows whole-document equality, and can be started again as another process on the same port, with the same data.
//
// It knows what a guard asks for to plan, carry out and take back a change of a small collection; the rest it refuses (NotImplemented). Filters and updates are those of package update,
// so that it is no judge of what they mean: a test that compares what a guard foresaw with what came of it belongs on a server of somebody else. It never has a cursor left: a batch
// holds everything.
type Memory struct {
	t       testing.TB
	address string
	cfg     MemoryConfig

	mu       sync.Mutex // of all below
	l        net.Listener
	process  bson.ObjectID
	pid      int64
	started  time.Time
	colls    map[string]*memoryCollection // by namespace
	conns    map[net.Conn]bool
	nconns   int
	commands []Command
	fault    func(Command) Fault
}

// MemoryConfig says who a Memory is.
type MemoryConfig struct {
	Host string // what the server calls its machine; "memory" if empty
	// Silent servers say nothing of their process: neither in hello nor in serverStatus.
	Silent bool
	// Embedded servers say that they are FerretDB 1, and know as little as that: no $expr, no pipelines.
	Embedded bool
}

type memoryCollection struct {
	uuid    bson.Binary
	docs    []bson.Raw
	indexes []bson.Raw
}

func (c *memoryCollection) clone() *memoryCollection {
	return &memoryCollection{c.uuid, slices.Clone(c.docs), slices.Clone(c.indexes)} // documents are replaced, never changed
}

// NewMemory starts a server without documents.
func NewMemory(t testing.TB, cfg MemoryConfig) *Memory {
	t.Helper()
	if cfg.Host == "" {
		cfg.Host = "memory"
	}
	m := &Memory{t: t, cfg: cfg, colls: map[string]*memoryCollection{}, conns: map[net.Conn]bool{}, address: "127.0.0.1:0"}
	m.put("admin.system.version", encode(bson.D{{Key: "_id", Value: "featureCompatibilityVersion"}, {Key: "version", Value: "8.0"}}))
	m.Start()
	t.Cleanup(m.Stop)
	return m
}

// Address of the server.
func (m *Memory) Address() string { return m.address }

// URI of the server, without a database.
func (m *Memory) URI() string { return "mongodb://" + m.address + "/" }

// Process is the process that answers, in hex.
func (m *Memory) Process() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process.Hex()
}

// Start starts the server, as a new process. Requires that it does not run.
func (m *Memory) Start() {
	m.t.Helper()
	var l net.Listener
	var err error
	for range 100 { // the port was free a moment ago
		if l, err = net.Listen("tcp", m.address); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.mu.Lock()
	m.l, m.address, m.process, m.started = l, l.Addr().String(), bson.NewObjectID(), time.Now()
	m.pid = 4_200_000 + int64(m.process[11]) // no process of this machine has such a number
	m.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.serve(c)
		}
	}()
}

// Stop ends the process. Its data stay.
func (m *Memory) Stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = m.l.Close()
	m.close()
}

// Restart is Stop and Start.
func (m *Memory) Restart() {
	m.t.Helper()
	m.Stop()
	m.Start()
}

// Connections is how many there were so far.
func (m *Memory) Connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nconns
}

// CloseConnections breaks all connections.
func (m *Memory) CloseConnections() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.close()
}

func (m *Memory) close() {
	for c := range m.conns {
		_ = c.Close()
	}
}

// Put puts documents into a collection, which is made if it is not there; a document with the same _id is replaced.
func (m *Memory) Put(ns string, docs ...bson.Raw) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(ns, docs...)
}

func (m *Memory) put(ns string, docs ...bson.Raw) {
	c := m.made(ns)
	for _, d := range docs {
		if i := c.at(d.Lookup("_id")); i >= 0 {
			c.docs[i] = d
		} else {
			c.docs = append(c.docs, d)
		}
	}
}

// Take takes the document with an _id out of a collection.
func (m *Memory) Take(ns, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.colls[ns]; c != nil {
		c.docs = slices.DeleteFunc(slices.Clone(c.docs), func(d bson.Raw) bool { have, ok := d.Lookup("_id").StringValueOK(); return ok && have == id })
	}
}

// UUID of a collection, in hex; "" if it is not there.
func (m *Memory) UUID(ns string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.colls[ns]; c != nil {
		return fmt.Sprintf("%x", c.uuid.Data)
	}
	return ""
}

// Snapshot is what makes the server hold what it holds now.
func (m *Memory) Snapshot() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := cloned(m.colls)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.colls = cloned(kept)
	}
}

func cloned(colls map[string]*memoryCollection) map[string]*memoryCollection {
	out := map[string]*memoryCollection{}
	for ns, c := range colls {
		out[ns] = c.clone()
	}
	return out
}

// State is what the server holds in its databases, but for MongoDB's own, as text: collections, indexes, and documents in the order of their bytes.
func (m *Memory) State() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for ns, c := range m.colls {
		if strings.HasPrefix(ns, "admin.") {
			continue
		}
		lines = append(lines, ns)
		for _, i := range c.indexes {
			lines = append(lines, ns+" index "+i.String())
		}
		for _, d := range c.docs {
			lines = append(lines, ns+" "+d.String())
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Commands are the commands so far, in order.
func (m *Memory) Commands() []Command {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.commands)
}

// Forget empties the list of commands.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commands = nil
}

// OnCommand makes f decide what happens to each command: None, LoseReply or Drop. It runs before the command, while no other is carried out, and may call all methods but those that
// start and stop.
func (m *Memory) OnCommand(f func(Command) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

func (m *Memory) serve(c net.Conn) {
	defer c.Close()
	m.mu.Lock()
	m.conns[c] = true
	m.nconns++
	n := m.nconns
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.conns, c)
	}()
	for {
		msg, err := readMessage(c)
		if err != nil {
			return
		}
		reply, ok := m.answer(msg, n)
		if !ok || msg.reply(reply).writeTo(c) != nil {
			return
		}
	}
}

// answer is the answer to a message; false if the connection is closed instead.
func (m *Memory) answer(msg message, conn int) (bson.Raw, bool) {
	doc, err := msg.document()
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		return encode(helloReply(m.hello())), true
	}
	cmd := Command{Doc: bytes.Clone(doc), Conn: conn, To: m.address}
	cmd.DB, _ = doc.Lookup("$db").StringValueOK()
	if e, err := doc.IndexErr(0); err == nil {
		cmd.Name = e.Key()
	}
	m.mu.Lock()
	decide := m.fault
	m.mu.Unlock()
	var f fault
	if decide != nil && !isHello[cmd.Name] {
		f = of(decide(cmd))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commands = append(m.commands, cmd)
	if f.cut {
		return nil, false
	}
	reply := m.carryOut(cmd)
	return reply, f.silence == answered
}

// hello is what this server adds to what every server says.
func (m *Memory) hello() bson.D {
	if m.cfg.Silent || m.cfg.Embedded {
		return bson.D{}
	}
	return bson.D{{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: m.process}, {Key: "counter", Value: int64(0)}}}}
}

// status is what serverStatus says.
func (m *Memory) status() bson.D {
	_, port, err := net.SplitHostPort(m.address)
	if err != nil {
		m.t.Error(err)
	}
	out := bson.D{{Key: "host", Value: m.cfg.Host + ":" + port}, {Key: "version", Value: "8.0.4"}, {Key: "process", Value: "mongod"}}
	if m.cfg.Silent {
		return out
	}
	now := time.Now()
	return append(out, bson.E{Key: "pid", Value: m.pid}, bson.E{Key: "uptimeMillis", Value: now.Sub(m.started).Milliseconds()}, bson.E{Key: "localTime", Value: bson.NewDateTimeFromTime(now)})
}

// made is a collection, which is made if it is not there.
func (m *Memory) made(ns string) *memoryCollection {
	if m.colls[ns] == nil {
		id := bson.NewObjectID()
		m.colls[ns] = &memoryCollection{uuid: bson.Binary{Subtype: 4, Data: append(id[:], byte(os.Getpid()), 1, 2, 3)}, indexes: []bson.Raw{encode(idIndex)}}
	}
	return m.colls[ns]
}

// at is the place of the document with an _id; -1 if there is none.
func (c *memoryCollection) at(id bson.RawValue) int {
	return slices.IndexFunc(c.docs, func(d bson.Raw) bool { return d.Lookup("_id").Equal(id) })
}
