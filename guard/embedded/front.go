package embedded

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
)

// front stands before FerretDB: clients dial it, and it passes their commands on.
//
//	client ─► front ─► FerretDB, on a socket that only this user can reach
//	           │ nobody is let in before the data is whole and marked: open
//	           │ one write at a time, since FerretDB reads, compares and writes in separate steps
//	           └ commands in a form that FerretDB looks up, where it would scan                     lookup.go
//
// It keeps no state of a client, and what it does not understand it passes on as it came.
type front struct {
	dial func() (net.Conn, error) // to FerretDB
	l    net.Listener

	opened chan struct{} // closed when clients are let in
	ended  chan struct{}
	once   [2]sync.Once // of both

	writing sync.Mutex // one write at a time

	mu    sync.Mutex
	conns map[net.Conn]bool
	done  sync.WaitGroup
}

// newFront begins to listen. Connections wait until open.
func newFront(l net.Listener, dial func() (net.Conn, error)) *front {
	f := &front{dial: dial, l: l, opened: make(chan struct{}), ended: make(chan struct{}), conns: map[net.Conn]bool{}}
	f.done.Go(f.accept)
	return f
}

func (f *front) open() { f.once[0].Do(func() { close(f.opened) }) }

// close breaks all connections and waits until nobody is served any more.
func (f *front) close() {
	f.once[1].Do(func() { close(f.ended) })
	_ = f.l.Close() // it only fails if it was closed
	f.mu.Lock()
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.done.Wait()
}

func (f *front) accept() {
	select {
	case <-f.opened:
	case <-f.ended:
		return
	}
	for {
		c, err := f.l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // too many open files, perhaps
			if f.ending() {
				return
			}
			continue
		}
		f.done.Go(func() { f.serve(c) })
	}
}

func (f *front) ending() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// hold notes a connection that close must break; false if that has begun.
func (f *front) hold(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = true
	return !f.ending()
}

func (f *front) release(c net.Conn) {
	_ = c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

// serve carries the messages of one client there and back, one after the other, on a connection of its own.
func (f *front) serve(client net.Conn) {
	defer f.release(client)
	if !f.hold(client) {
		return
	}
	server, err := f.dial()
	if err != nil {
		return
	}
	defer f.release(server)
	if !f.hold(server) {
		return
	}
	asked, left := make(chan message), make(chan struct{})
	defer close(left)
	f.done.Go(func() {
		defer close(asked)
		defer server.Close() // the client has gone: FerretDB stops what it does for it
		for {
			m, err := readMessage(client)
			if err != nil {
				return
			}
			select {
			case asked <- m:
			case <-left:
				return
			}
		}
	})
	for m := range asked {
		reply, err := f.pass(server, m)
		if err != nil {
			return
		}
		if m.unanswered() {
			continue // FerretDB answers all the same, and the client would take it for the answer to what it asks next
		}
		if _, err := client.Write(reply); err != nil {
			return
		}
	}
}

// pass has one message carried out.
func (f *front) pass(server io.ReadWriter, m message) (message, error) {
	doc, err := m.document()
	if err != nil { // the handshake of old
		return roundTrip(server, m)
	}
	first, err := doc.IndexErr(0)
	switch {
	case err == nil && first.Key() == "find":
		return find(server, m, doc)
	case err != nil || reads[first.Key()]:
		return roundTrip(server, m)
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	switch first.Key() {
	case "update":
		return updates(server, m, doc)
	case "findAndModify", "findandmodify":
		return findAndModify(server, m, doc)
	}
	return roundTrip(server, m)
}

// reads are the commands that change no document in FerretDB, where aggregate has no $out and no $merge. A command that is not named here waits for writes.
var reads = func() map[string]bool {
	out := map[string]bool{}
	for _, name := range strings.Fields("aggregate buildInfo buildinfo collStats connectionStatus count currentOp dataSize dbStats debugError distinct explain find getCmdLineOpts getFreeMonitoringStatus " +
		"getLog getMore getParameter hello hostInfo isMaster ismaster killCursors listCollections listCommands listDatabases listIndexes ping saslContinue saslStart serverStatus validate whatsmyuri") {
		out[name] = true
	}
	return out
}()

func roundTrip(server io.ReadWriter, m message) (message, error) {
	if _, err := server.Write(m); err != nil {
		return nil, err
	}
	return readMessage(server)
}
