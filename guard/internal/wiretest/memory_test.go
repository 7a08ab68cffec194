package wiretest

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestMemory: what it was told is there, for as long as it is its own, and it refuses what it does not know.
func TestMemory(t *testing.T) {
	t.Parallel()
	m := NewMemory(t, MemoryConfig{})
	m.Put("app.c", encode(bson.D{{Key: "_id", Value: 1}, {Key: "v", Value: 1}}), encode(bson.D{{Key: "_id", Value: 2}, {Key: "v", Value: 2}}))
	was, restore := m.State(), m.Snapshot()
	for _, tt := range []struct {
		cmd  bson.D
		says string
	}{
		{bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: 3}}}}}, `"n": {"$numberInt":"1"}`},
		{bson.D{{Key: "insert", Value: "c"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: 3}}}}}, "E11000"},
		{bson.D{{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "u", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "v", Value: 1}}}}}}}}}, `"nModified": {"$numberInt":"1"}`},
		{bson.D{{Key: "findAndModify", Value: "c"}, {Key: "query", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "remove", Value: true}}, `"v": {"$numberInt":"2"}`},
		{bson.D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: 0}}}}}, `"n": {"$numberInt":"2"}`},
		{bson.D{{Key: "createIndexes", Value: "c"}, {Key: "indexes", Value: bson.A{bson.D{{Key: "key", Value: bson.D{{Key: "v", Value: 1}}}, {Key: "name", Value: "v_1"}}}}}, `"numIndexesAfter": {"$numberInt":"2"}`},
		{bson.D{{Key: "dropIndexes", Value: "c"}, {Key: "index", Value: "v_1"}}, `"nIndexesWas": {"$numberInt":"2"}`},
		{bson.D{{Key: "drop", Value: "c"}}, `"ok": {"$numberDouble":"1.0"}`},
		{bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{}}, {Key: "skip", Value: 1}}, "NotImplemented"},
		{bson.D{{Key: "mapReduce", Value: "c"}}, "NotImplemented"},
	} {
		if got := dial(t, m.Address(), "app").run(tt.cmd).String(); !strings.Contains(got, tt.says) {
			t.Errorf("%v: %s, want %s", tt.cmd, got, tt.says)
		}
	}
	restore()
	if m.State() != was {
		t.Errorf("restored:\n%s\nwant\n%s", m.State(), was)
	}
	process, address := m.Process(), m.Address()
	m.Restart()
	if m.Process() == process || m.Address() != address || m.State() != was {
		t.Errorf("restarted: process %s, was %s; at %s, was %s", m.Process(), process, m.Address(), address)
	}
	m.OnCommand(func(Command) Fault { return LoseReply })
	if _, err := dial(t, m.Address(), "app").try(bson.D{{Key: "drop", Value: "c"}}); err == nil {
		t.Error("a lost reply came")
	}
	m.OnCommand(nil)
	if m.UUID("app.c") != "" {
		t.Error("a command whose reply was lost was not carried out")
	}
}

// TestForwarder: a message goes where it is led, on a connection that stays.
func TestForwarder(t *testing.T) {
	t.Parallel()
	a, b := NewMemory(t, MemoryConfig{}), NewMemory(t, MemoryConfig{})
	f := NewForwarder(t, func(m Passed) string {
		if m.N == 1 {
			return b.Address()
		}
		return a.Address()
	})
	p := dial(t, f.l.Addr().String(), "app")
	for i, want := range []*Memory{a, b, a} {
		got, _ := p.run(bson.D{{Key: "hello", Value: 1}, {Key: "lsid", Value: bson.D{}}}).Lookup("topologyVersion", "processId").ObjectIDOK()
		if got.Hex() != want.Process() {
			t.Errorf("message %d went to process %s, want %s", i, got.Hex(), want.Process())
		}
	}
	if passed := f.Passed(); len(passed) != 3 || passed[1].To != b.Address() || passed[2].Name != "hello" {
		t.Errorf("%+v", passed)
	}
}
