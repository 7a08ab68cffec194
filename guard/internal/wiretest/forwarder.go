package wiretest

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// Forwarder is a tunnel whose other end is moved between two messages, while its clients' connections stay open.
//
//	client ─► Forwarder ─► route(message) ─► one of the servers, by its address
//
// It reads where a message ends and passes it on as it is. Messages are counted over all connections: handshakes and commands, but not the driver's heartbeats, which come when they like, and go
// where the last message went.
type Forwarder struct {
	l net.Listener

	mu     sync.Mutex // of all below
	route  func(Passed) string
	last   string
	nconns int
	conns  map[net.Conn]bool
	passed []Passed
}

// Passed is one message that was counted.
type Passed struct {
	Command        // Name is "" for a handshake; To is the server that it went to
	Handshake bool // of a connection
	N         int  // its number, from 0
}

// NewForwarder starts a forwarder. route is called for each message that is counted, one at a time, and says the address of a server. It must call no method of the forwarder.
func NewForwarder(t testing.TB, route func(Passed) string) *Forwarder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Forwarder{l: l, route: route, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		f.CloseConnections()
	})
	return f
}

// URI of the forwarder, without a database.
func (f *Forwarder) URI() string { return "mongodb://" + f.l.Addr().String() + "/" }

// Begin begins to count anew, by another route.
func (f *Forwarder) Begin(route func(Passed) string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.route, f.last, f.passed = route, "", nil
}

// Passed are the messages that were counted, in order.
func (f *Forwarder) Passed() []Passed {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Passed(nil), f.passed...)
}

// CloseConnections breaks all connections.
func (f *Forwarder) CloseConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.conns {
		_ = c.Close()
	}
}

func (f *Forwarder) serve(c net.Conn) {
	servers := map[string]net.Conn{}
	f.mu.Lock()
	f.conns[c] = true
	f.nconns++
	conn := f.nconns
	f.mu.Unlock()
	defer func() {
		_ = c.Close()
		for _, s := range servers {
			_ = s.Close()
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.conns, c)
	}()
	for {
		m, err := readMessage(c)
		if err != nil {
			return
		}
		to := f.next(m, conn)
		if servers[to] == nil {
			if servers[to], err = net.Dial("tcp", to); err != nil {
				delete(servers, to)
				return
			}
		}
		reply, err := roundTrip(servers[to], m)
		if err != nil || reply.writeTo(c) != nil {
			return
		}
	}
}

// next counts a message, and is where it goes.
func (f *Forwarder) next(m message, conn int) string {
	p := Passed{Command: Command{Conn: conn}}
	doc, err := m.document()
	if err != nil {
		doc, err = m.legacy()
		p.Handshake = true
	}
	if err == nil {
		p.Doc = bytes.Clone(doc)
		p.DB, _ = doc.Lookup("$db").StringValueOK()
		if _, err := doc.LookupErr("client"); err == nil {
			p.Handshake = true
		} else if e, err := doc.IndexErr(0); err == nil {
			p.Name = e.Key()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	p.N, p.To = len(f.passed), f.last
	if _, err := doc.LookupErr("lsid"); err != nil && !p.Handshake && isHello[p.Name] && f.last != "" {
		return p.To // a heartbeat
	}
	p.To = f.route(p)
	f.last, f.passed = p.To, append(f.passed, p)
	return p.To
}
