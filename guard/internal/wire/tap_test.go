package wire

import (
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
)

// started is what the driver says before it sends.
func started(name, db, conn string, cmd bson.Raw) *event.CommandStartedEvent {
	return &event.CommandStartedEvent{CommandName: name, DatabaseName: db, ConnectionID: conn, Command: cmd}
}

// TestTap: what may pass the tap when a find on app was permitted on connection c1, and what is left behind. Every other way in which the driver
// could send something shuts the valve.
func TestTap(t *testing.T) {
	find := marshal(t, bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{{Key: "a", Value: 1}}}})
	with := func(more ...bson.E) bson.Raw {
		return marshal(t, append(bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{{Key: "a", Value: 1}}}}, more...))
	}
	other := marshal(t, bson.D{{Key: "find", Value: "d"}, {Key: "filter", Value: bson.D{{Key: "a", Value: 1}}}})
	broken := append(bson.Raw{}, with(bson.E{Key: "$db", Value: "app"})...)
	broken[len(find)-1] = 0x42 // the type of $db
	empty := bson.Raw{5, 0, 0, 0, 0}
	ours, others := marshal(t, bson.D{{Key: "id", Value: "ours"}}), marshal(t, bson.D{{Key: "id", Value: "another"}})
	for _, tt := range []struct {
		name  string
		bound string
		e     *event.CommandStartedEvent
		want  error
		says  string
	}{
		{"as permitted", "c1", started("find", "app", "c1", find), nil, ""},
		{"on any connection", "", started("find", "app", "c9", find), nil, ""},
		{"with what drivers add", "c1", started("find", "app", "c1", with(bson.E{Key: "$db", Value: "app"}, bson.E{Key: "lsid", Value: ours}, bson.E{Key: "$clusterTime", Value: 1}, bson.E{Key: "$readPreference", Value: 1})), nil, ""},
		{"whose content the driver hides", "c1", started("find", "app", "c1", empty), nil, ""},
		{"on another connection", "c1", started("find", "app", "c2", find), ErrOtherConnection, ""},
		{"of another name, hidden", "c1", started("drop", "app", "c1", empty), ErrTripwire, "drop instead of find"},
		{"in another database", "c1", started("find", "prod", "c1", find), ErrTripwire, `"prod" instead of "app"`},
		{"of other content", "c1", started("find", "app", "c1", other), ErrTripwire, "other content"},
		{"cut off", "c1", started("find", "app", "c1", find[:len(find)-3]), ErrTripwire, "other content"},
		{"with more", "c1", started("find", "app", "c1", with(bson.E{Key: "limit", Value: 1})), ErrTripwire, `"limit"`},
		{"with a transaction", "c1", started("find", "app", "c1", with(bson.E{Key: "txnNumber", Value: 1})), ErrTripwire, `"txnNumber"`},
		{"with two databases", "c1", started("find", "app", "c1", with(bson.E{Key: "$db", Value: "app"}, bson.E{Key: "$db", Value: "prod"})), ErrTripwire, `"$db"`},
		{"in another session", "c1", started("find", "app", "c1", with(bson.E{Key: "lsid", Value: others})), ErrTripwire, "session"},
		{"in what is no session", "c1", started("find", "app", "c1", with(bson.E{Key: "lsid", Value: 1})), ErrTripwire, "session"},
		{"that is no BSON", "c1", started("find", "app", "c1", broken), ErrTripwire, ""},
		{"of other content, on another connection", "c1", started("find", "app", "c2", other), ErrTripwire, "other content"},
		{"at the end", "c1", started("endSessions", "admin", "c1", marshal(t, bson.D{{Key: "endSessions", Value: 1}})), ErrTripwire, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tap := newTap()
			if err := tap.permit("app", find, tt.bound, ours); err != nil {
				t.Fatal(err)
			}
			tap.onStarted(tt.e)
			if got := tap.valve.shut.Load(); got != (tt.want != nil) {
				t.Errorf("the valve is shut: %v", got)
			}
			if tap.lastConnection() != tt.e.ConnectionID || tap.tripped() != errors.Is(tt.want, ErrTripwire) {
				t.Errorf("connection %s, tripped %v", tap.lastConnection(), tap.tripped())
			}
			sent, trip := tap.done()
			if sent != (tt.want == nil) || !errors.Is(trip, tt.want) || trip != nil && !strings.Contains(trip.Error(), tt.says) {
				t.Errorf("sent %v, %v, want %v", sent, trip, tt.want)
			}
			again := tap.permit("app", find, tt.bound, ours)
			if dead := errors.Is(tt.want, ErrTripwire); tap.valve.shut.Load() != dead || errors.Is(again, ErrTripwire) != dead || tap.tripped() != dead {
				t.Errorf("afterwards the valve is shut: %v, %v", tap.valve.shut.Load(), again)
			}
		})
	}
}

// TestTapWhenNothingIsPermitted: only the driver's goodbye passes.
func TestTapWhenNothingIsPermitted(t *testing.T) {
	ping := marshal(t, bson.D{{Key: "ping", Value: 1}})
	tap := newTap()
	if sent, trip := tap.done(); sent || trip != nil {
		t.Errorf("sent %v, %v", sent, trip)
	}
	tap.onStarted(started("endSessions", "admin", "c1", marshal(t, bson.D{{Key: "endSessions", Value: 1}})))
	if tap.tripped() || tap.valve.shut.Load() {
		t.Error("the driver may not say goodbye")
	}
	if err := tap.permit("app", ping, "", nil); err != nil {
		t.Fatal(err)
	}
	if sent, trip := tap.done(); sent || trip != nil {
		t.Errorf("nothing was started: sent %v, %v", sent, trip)
	}
	tap.onStarted(started("ping", "app", "c1", ping))
	if !tap.tripped() || !tap.valve.shut.Load() {
		t.Error("a command passed when none was permitted")
	}
	if sent, trip := tap.done(); sent || !errors.Is(trip, ErrTripwire) {
		t.Errorf("sent %v, %v", sent, trip)
	}
}

// TestTapPassesOnce: a command that the driver sends again is another one.
func TestTapPassesOnce(t *testing.T) {
	ping := marshal(t, bson.D{{Key: "ping", Value: 1}})
	tap := newTap()
	if err := tap.permit("app", ping, "c1", nil); err != nil {
		t.Fatal(err)
	}
	tap.onStarted(started("ping", "app", "c1", ping))
	tap.onStarted(started("ping", "app", "c1", ping))
	if sent, trip := tap.done(); sent || !errors.Is(trip, ErrTripwire) || !strings.Contains(trip.Error(), "second time") {
		t.Errorf("sent %v, %v", sent, trip)
	}
}

// TestTapOpensAfterAnotherConnection: the bytes that were stopped are gone, and the new server can be asked who it is.
func TestTapOpensAfterAnotherConnection(t *testing.T) {
	ping := marshal(t, bson.D{{Key: "ping", Value: 1}})
	for _, forgotten := range []bool{false, true} {
		tap := newTap()
		if err := tap.permit("app", ping, "c1", nil); err != nil {
			t.Fatal(err)
		}
		tap.onStarted(started("ping", "app", "c2", ping))
		if !tap.valve.shut.Load() {
			t.Fatal("it is open")
		}
		if !forgotten {
			_, _ = tap.done()
			if tap.valve.shut.Load() {
				t.Error("it is shut after the command")
			}
		}
		if err := tap.permit("app", ping, "", nil); err != nil || tap.valve.shut.Load() {
			t.Errorf("it is shut for the next: %v", err)
		}
		tap.onStarted(started("ping", "app", "c2", ping))
		if sent, trip := tap.done(); !sent || trip != nil {
			t.Errorf("the next: sent %v, %v", sent, trip)
		}
	}
}
