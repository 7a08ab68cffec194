package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
)

// ErrTripwire is wrapped by the error of a command that was stopped because the driver was about to send something
// else than what was permitted. It is a broken invariant: the session must end and nothing more be sent.
var ErrTripwire = errors.New("the driver was about to send another command than the one permitted")

// ErrOtherConnection is wrapped by the error of a command that was stopped because the driver was about to send it on another
// connection than the one it was bound to. Nothing was sent; the new connection must be verified first.
var ErrOtherConnection = errors.New("the connection was replaced since it was verified")

// driverAdds are the fields that the driver may append to a command that it was given.
// Source: https://github.com/mongodb/specifications (sessions, server selection, versioned API, OP_MSG).
var driverAdds = map[string]bool{
	"lsid": true, "$clusterTime": true, "$db": true, "$readPreference": true,
	"apiVersion": true, "apiStrict": true, "apiDeprecationErrors": true,
}

// driverSends are the commands that the driver sends on its own and publishes: only at the very end.
// (Handshake, authentication and heartbeats are not published.)
var driverSends = map[string]bool{"endSessions": true}

// tap watches one link. Exactly one command is permitted at a time.
type tap struct {
	valve valve

	mu      sync.Mutex
	armed   bool
	db      string
	cmd     bson.Raw
	bound   string
	lsid    bson.Raw // the session that the command must carry, if any
	started bool
	trip    error
	last    string
}

func newTap() *tap { return &tap{} }

func (t *tap) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) { t.onStarted(e) }}
}

// permit arms the tap for one command. After a tripwire it never arms again.
func (t *tap) permit(db string, cmd bson.Raw, connection string, lsid bson.Raw) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(t.trip, ErrTripwire) {
		return t.trip
	}
	t.armed, t.db, t.cmd, t.bound, t.lsid, t.started, t.trip = true, db, cmd, connection, lsid, false, nil
	t.valve.shut.Store(false)
	return nil
}

// done disarms the tap. sent says whether the command may have left; trip is why it did not.
func (t *tap) done() (sent bool, trip error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed, t.cmd = false, nil
	if t.trip != nil && !errors.Is(t.trip, ErrTripwire) {
		t.valve.shut.Store(false)
	}
	return t.started && t.trip == nil, t.trip
}

// onStarted runs in the driver, before the command is written to the connection.
func (t *tap) onStarted(e *event.CommandStartedEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.armed && driverSends[e.CommandName] {
		return
	}
	err := t.compare(e)
	if err == nil && t.bound != "" && e.ConnectionID != t.bound {
		err = ErrOtherConnection
	}
	if err != nil {
		t.trip = err
		t.valve.shut.Store(true)
	}
	t.started = true
	t.last = e.ConnectionID
}

func (t *tap) compare(e *event.CommandStartedEvent) error {
	switch {
	case !t.armed:
		return fmt.Errorf("%w: %s, when none was", ErrTripwire, e.CommandName)
	case t.started:
		return fmt.Errorf("%w: %s a second time", ErrTripwire, e.CommandName)
	case e.DatabaseName != t.db:
		return fmt.Errorf("%w: database %q instead of %q", ErrTripwire, e.DatabaseName, t.db)
	case len(e.Command) <= 5:
		if name := firstKey(t.cmd); e.CommandName != name {
			return fmt.Errorf("%w: %s instead of %s", ErrTripwire, e.CommandName, name)
		}
		return nil
	}
	return sameCommand(t.cmd, e.Command, t.lsid)
}

// sameCommand says how the command about to be sent differs from the permitted one. The permitted elements must
// come first and unchanged; behind them only what drivers add may stand, each once, and no other session than lsid. A server without sessions gets none.
func sameCommand(permitted, sending, lsid bson.Raw) error {
	body := permitted[4 : len(permitted)-1]
	if len(sending) < len(body)+5 || !bytes.Equal(sending[4:4+len(body)], body) {
		return fmt.Errorf("%w: %s with other content", ErrTripwire, firstKey(sending))
	}
	elems, err := sending.Elements()
	if err != nil {
		return fmt.Errorf("%w: not BSON: %v", ErrTripwire, err)
	}
	own, err := permitted.Elements()
	if err != nil {
		return fmt.Errorf("%w: not BSON: %v", ErrTripwire, err)
	}
	seen := map[string]bool{}
	for _, e := range elems[len(own):] {
		if !driverAdds[e.Key()] || seen[e.Key()] {
			return fmt.Errorf("%w: %s with an added field %q", ErrTripwire, firstKey(sending), e.Key())
		}
		if doc, ok := e.Value().DocumentOK(); e.Key() == "lsid" && (!ok || !bytes.Equal(doc, lsid)) {
			return fmt.Errorf("%w: %s in another session", ErrTripwire, firstKey(sending))
		}
		seen[e.Key()] = true
	}
	return nil
}

func firstKey(doc bson.Raw) string {
	e, err := doc.IndexErr(0)
	if err != nil {
		return ""
	}
	return e.Key()
}

// tripped says that nothing leaves this link any more.
func (t *tap) tripped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Is(t.trip, ErrTripwire)
}

func (t *tap) lastConnection() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

// valve stops all writes of a link's connections when shut, heartbeats included.
type valve struct{ shut atomic.Bool }

type valved struct {
	net.Conn
	valve *valve
}

var errShut = errors.New("the valve is shut: nothing was sent")

// Write implements net.Conn. It sits below TLS: when it refuses, no byte leaves.
func (c *valved) Write(b []byte) (int, error) {
	if c.valve.shut.Load() {
		return 0, errShut
	}
	return c.Conn.Write(b)
}
