package wire

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"respect/guard/internal/wiretest"
)

func marshal(t *testing.T, d bson.D) bson.Raw {
	t.Helper()
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// server is a fake that notes what arrives, and a connection to it.
func server(t *testing.T, answer func(cmd bson.Raw) bson.D) (*wiretest.Fake, *Server, func() string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	f := wiretest.NewFake(t, nil, func(_ string, cmd bson.Raw) bson.D {
		mu.Lock()
		seen = append(seen, firstKey(cmd))
		mu.Unlock()
		if answer != nil {
			if a := answer(cmd); a != nil {
				return a
			}
		}
		return bson.D{{Key: "ok", Value: 1}}
	})
	s, err := Dial(t.Context(), Config{URI: f.URI()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return f, s, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(seen, " ")
	}
}

// TestTripwire: the driver is made to send something else than what was permitted, as a bug or a retry of its own would. Nothing of it arrives, and
// nothing ever after.
func TestTripwire(t *testing.T) {
	t.Parallel()
	ping := bson.D{{Key: "ping", Value: int32(1)}}
	cases := map[string]func(l *link) error{
		"another command":     func(l *link) error { return send(l, "db", bson.D{{Key: "drop", Value: "people"}}) },
		"another database":    func(l *link) error { return send(l, "other", ping) },
		"another value":       func(l *link) error { return send(l, "db", bson.D{{Key: "ping", Value: int32(2)}}) },
		"one field more":      func(l *link) error { return send(l, "db", append(ping[:1:1], bson.E{Key: "x", Value: 1})) },
		"the same, twice":     func(l *link) error { return errors.Join(send(l, "db", ping), send(l, "db", ping)) },
		"when none was asked": func(l *link) error { l.tap.done(); return send(l, "db", ping) },
	}
	for name, misbehave := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, seen := server(t, nil)
			if _, err := s.Run(t.Context(), "db", marshal(t, bson.D{{Key: "buildInfo", Value: int32(1)}}), Options{}); err != nil {
				t.Fatal(err)
			}
			before := seen()
			if err := s.main.tap.permit("db", marshal(t, ping), "", s.SessionID()); err != nil {
				t.Fatal(err)
			}
			if err := misbehave(s.main); err == nil {
				t.Error("the driver was not stopped")
			}
			after := strings.TrimSpace(strings.TrimPrefix(seen(), before))
			if want := map[bool]string{false: "", true: "ping"}[name == "the same, twice"]; after != want {
				t.Errorf("%q arrived, want %q", after, want)
			}
			if _, err := s.Run(t.Context(), "db", marshal(t, ping), Options{}); !errors.Is(err, ErrTripwire) {
				t.Errorf("after the tripwire a command ended with %v", err)
			}
		})
	}
}

func send(l *link, db string, cmd bson.D) error {
	return l.client.Database(db).RunCommand(mongo.NewSessionContext(context.Background(), l.sess), cmd).Err()
}

// TestSameCommand: what the driver may add, and nothing else.
func TestSameCommand(t *testing.T) {
	t.Parallel()
	base := bson.D{{Key: "delete", Value: "people"}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: 0}}}}}
	with := func(more ...bson.E) bson.D { return append(base[:2:2], more...) }
	cases := []struct {
		name    string
		sending bson.D
		ok      bool
	}{
		{"as it is", base, true},
		{"with what drivers add", with(bson.E{Key: "lsid", Value: bson.D{}}, bson.E{Key: "$clusterTime", Value: bson.D{}}, bson.E{Key: "$db", Value: "db"}, bson.E{Key: "$readPreference", Value: bson.D{}}), true},
		{"with a field that no driver adds", with(bson.E{Key: "writeConcern", Value: bson.D{}}), false},
		{"with a transaction", with(bson.E{Key: "txnNumber", Value: int64(1)}), false},
		{"with maxTimeMS", with(bson.E{Key: "maxTimeMS", Value: int64(1)}), false},
		{"with a field twice", with(bson.E{Key: "$db", Value: "a"}, bson.E{Key: "$db", Value: "b"}), false},
		{"in another order", bson.D{base[1], base[0]}, false},
		{"with a field before", append(bson.D{{Key: "$db", Value: "a"}}, base...), false},
		{"with another value", bson.D{base[0], {Key: "deletes", Value: bson.A{}}}, false},
		{"cut off", base[:1], false},
	}
	for _, c := range cases {
		err := sameCommand(marshal(t, base), marshal(t, c.sending), marshal(t, bson.D{}))
		if (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrTripwire)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestBoundToAConnection: a command that is bound to a connection does not leave on the one that the driver dials instead.
func TestBoundToAConnection(t *testing.T) {
	t.Parallel()
	f, _, _ := server(t, nil)
	d := wiretest.NewDouble(t, f.Address(), false)
	s, err := Dial(t.Context(), Config{URI: d.URI()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background()) //nolint:errcheck // the test is over
	cmd := marshal(t, bson.D{{Key: "ping", Value: int32(1)}})
	if _, err := s.Run(t.Context(), "db", cmd, Options{}); err != nil {
		t.Fatal(err)
	}
	was := s.Connection()
	d.CloseConnections()
	d.Forget()
	for range 5 { // the first finds the connection broken
		_, err := s.Run(t.Context(), "db", marshal(t, bson.D{{Key: "drop", Value: "people"}}), Options{Connection: was})
		if err == nil {
			t.Fatal("it was sent on another connection")
		}
		if errors.Is(err, ErrOtherConnection) {
			break
		}
	}
	for _, c := range d.Commands() {
		if c.Name == "drop" {
			t.Errorf("it arrived on connection %d", c.Conn)
		}
	}
	if _, err := s.Run(t.Context(), "db", cmd, Options{}); err != nil || s.Connection() == was {
		t.Errorf("on the new connection: %v; it is called %s, the old one %s", err, s.Connection(), was)
	}
}

// TestNoRetries: an answer that makes drivers try again is handed back, and the command is sent once.
func TestNoRetries(t *testing.T) {
	t.Parallel()
	for _, labels := range []bson.A{{"RetryableWriteError"}, {"SystemOverloadedError", "RetryableError"}, {"TransientTransactionError"}} {
		_, s, seen := server(t, func(cmd bson.Raw) bson.D {
			if firstKey(cmd) != "insert" {
				return nil
			}
			return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: int32(91)}, {Key: "codeName", Value: "ShutdownInProgress"}, {Key: "errmsg", Value: "bye"}, {Key: "errorLabels", Value: labels}}
		})
		_, err := s.Run(t.Context(), "db", marshal(t, bson.D{{Key: "insert", Value: "people"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: 1}}}}}), Options{})
		if e, ok := AsError(err); !ok || !e.Answered() || e.Code != 91 {
			t.Errorf("%v: the error is %v", labels, err)
		}
		if n := strings.Count(seen(), "insert"); n != 1 {
			t.Errorf("%v: sent %d times", labels, n)
		}
	}
}

// TestErrorsSayWhetherItWasSent decides between "rejected" and "unknown".
func TestErrorsSayWhetherItWasSent(t *testing.T) {
	t.Parallel()
	e, ok := AsError(toError(mongo.CommandError{Code: 11000, Name: "DuplicateKey", Message: "dup", Raw: marshal(t, bson.D{{Key: "ok", Value: 0}})}, true))
	if !ok || !e.Answered() || e.Code != 11000 || e.Error() != "dup (DuplicateKey)" {
		t.Errorf("%+v", e)
	}
	e, ok = AsError(toError(errors.New("connection reset"), true))
	if !ok || e.Answered() || !e.Sent {
		t.Errorf("%+v", e)
	}
	if e, _ = AsError(toError(context.Canceled, false)); !e.Canceled || e.Sent {
		t.Errorf("%+v", e)
	}
}

// TestNobodyListens: that is said at once, and in words.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	start := time.Now()
	_, err = Dial(t.Context(), Config{URI: "mongodb://" + l.Addr().String() + "/", SelectionTimeout: time.Hour})
	if err == nil || !strings.Contains(err.Error(), "connection refused") || time.Since(start) > time.Minute {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
}
