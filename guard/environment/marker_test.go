package environment

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestMarkerRoundTrip(t *testing.T) {
	for _, m := range []Marker{
		marker("staging", "standalone h"),
		{State: MarkerPresent, ID: "0123abcd", Value: "production", Deployment: "set rs0 a,b", By: "ann", At: may, For: with(replica, func(id *Identity) { id.Marker = "0123abcd" })},
	} {
		if diff := cmp.Diff(m, ParseMarker(rawOf(t, m.Document()))); diff != "" {
			t.Errorf("ParseMarker(Document) differs:\n%s", diff)
		}
	}
}

func TestParseMarkerIsStrict(t *testing.T) {
	good := Marker{ID: "0123abcd", Value: "staging", Deployment: "x", By: "y", At: may, For: embedded}.Document()
	set := func(key string, value any) bson.D {
		out := bson.D{}
		for _, e := range good {
			if e.Key == key {
				e.Value = value
			}
			out = append(out, e)
		}
		return out
	}
	without := func(key string) (out bson.D) {
		for _, e := range good {
			if e.Key != key {
				out = append(out, e)
			}
		}
		return out
	}
	if m := ParseMarker(rawOf(t, good)); m.State != MarkerPresent {
		t.Fatalf("the marker that is spoiled below is %+v", m)
	}
	for _, bad := range []bson.D{
		{}, set("value", 1), set("deployment", nil), set("by", bson.A{}), set("at", "today"), set("marker", ""), set("marker", "short"), set("marker", "UPPERCASE"),
		set("marker", 7), set("identity", "x"), set("identity", bson.D{{Key: "set", Value: 1}}), set("identity", bson.D{{Key: "set", Value: "a"}, {Key: "set", Value: "b"}}),
		without("value"), without("deployment"), without("by"), without("at"), without("marker"), without("identity"),
		append(without(""), bson.E{Key: "value", Value: "production"}), append(without(""), bson.E{Key: "note", Value: "x"}),
	} {
		if m := ParseMarker(rawOf(t, bad)); m.State != MarkerMalformed || m.Err == "" || m.Value != "" {
			t.Errorf("ParseMarker(%v) = %+v, want malformed", bad, m)
		}
	}
}

// observed is a deployment as it would be seen.
func observed(id Identity) Observation {
	return Observation{
		Address: id.Address, Process: id.Process, PID: id.PID, Started: id.Started, ServerHost: id.Server, Ferret: id.Process == "", Hostname: id.Hostname,
		SetName: id.Set, SetID: id.SetID, Me: id.Me, Members: id.Members, Home: id.Home, Data: id.Data,
	}
}

// A marker that lowers counts where it was written and nowhere else; one that raises counts everywhere.
func TestForWhomAMarkerSpeaks(t *testing.T) {
	home := func(uuid string) func(*Identity) { return func(id *Identity) { id.Home = uuid } }
	b := with(embedded, func(id *Identity) { id.PID, id.Started, id.Address = 4712, may.Add(time.Minute), "127.0.0.1:27102" })
	for _, tt := range []struct {
		name        string
		written, is Identity
		counts      bool
	}{
		{"where it was written", embedded, embedded, true},
		{"on another standalone of the same machine name, on another port", embedded, b, false},
		{"the same, in a collection of its own", with(embedded, home("u1")), with(b, home("u2")), false},
		{"the same, and the collection cannot be seen there", with(embedded, home("u1")), b, false},
		{"the same, behind a tunnel where the other was", embedded, with(b, func(id *Identity) { id.Address = embedded.Address }), false},
		{"in its collection after a restart", with(embedded, home("u1")), with(restarted(embedded), home("u1")), true},
		{"in its collection, through a tunnel", with(embedded, home("u1")), with(embedded, func(id *Identity) { id.Home, id.Address = "u1", "localhost:9" }), true},
		{"in its collection after a restart, through a tunnel", with(embedded, home("u1")), with(restarted(embedded), func(id *Identity) { id.Home, id.Address = "u1", "localhost:9" }), true},
		{"its files on another machine", with(embedded, home("u1")), with(restarted(embedded), func(id *Identity) { id.Home, id.Server, id.Hostname = "u1", "bert", "bert" }), false},
		{"after a restart, where its collection was not known: the marker does not vouch for itself", embedded, restarted(embedded), false},
		{"a mongod after a restart", standalone, restarted(standalone), true},
		{"a mongod's data directory, known before there was a marker", with(standalone, func(id *Identity) { id.Home, id.Data = "", "d1" }), with(restarted(standalone), func(id *Identity) { id.Data = "d1" }), true},
		{"a dump restored into another mongod", standalone, with(restarted(standalone), func(id *Identity) { id.Server, id.Hostname, id.Home = "db2:27018", "db2", "u2" }), false},
		{"a dump restored into another mongod of the same name", standalone, with(restarted(standalone), home("u2")), false},
		{"another data directory", with(standalone, func(id *Identity) { id.Data = "d1" }), with(restarted(standalone), func(id *Identity) { id.Data = "d2" }), false},
		{"another member of the set", replica, with(restarted(replica), func(id *Identity) { id.Address, id.Me = "b:27017", "b:27017" }), true},
		{"a dump restored into another set of one name, with members of one name", replica, with(restarted(replica), func(id *Identity) { id.SetID, id.Home = "s2", "u2" }), false},
		{"another member of a set whose id cannot be seen", with(replica, func(id *Identity) { id.SetID = "" }), with(restarted(replica), func(id *Identity) { id.SetID, id.Address, id.Me = "", "b:27017", "b:27017" }), true},
		{
			"the same, where the set's id cannot be seen", with(replica, home("")),
			with(restarted(replica), func(id *Identity) { id.SetID, id.Home = "", "" }), false,
		},
		{"on a set, where it was written for a standalone", standalone, replica, false},
		{"written for nobody", Identity{}, embedded, false},
	} {
		for value, lowered := range map[string]Environment{"staging": Staging, "development": Development, "production": Production} {
			o := observed(tt.is)
			o.Marker = Marker{State: MarkerPresent, ID: "0123abcd", Value: value, Deployment: "x", By: "ann", At: may, For: tt.written}
			o.Marker = ParseMarker(rawOf(t, o.Marker.Document()))
			want := lowered
			if !tt.counts && value != "production" {
				want = Unknown
			}
			if got := Classify(Judge(o), ""); got != want {
				t.Errorf("%s: %s is %v, want %v; %+v", tt.name, value, got, want, Judge(o))
			}
			if got := o.Marker.Holds(lowered, o); got != tt.counts {
				t.Errorf("%s: Holds(%v) = %v", tt.name, lowered, got)
			}
			o.Marker.Deployment = "any"
			if got := Classify(Judge(o), ""); got != lowered {
				t.Errorf("%s: %s for any is %v", tt.name, value, got)
			}
		}
	}
}
