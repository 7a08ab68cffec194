package environment

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// standalone is a mongod of its own, as it says since 4.4, on a machine that is dialled by its name.
var standalone = Identity{
	Address: "db1.fam.net:27018", Process: "66f0a0000000000000000001", PID: 812, Started: may, Server: "db1:27018", Hostname: "db1", Marker: "m1", Home: "u1",
}

// embedded is a FerretDB: no process, no port in its name.
var embedded = Identity{Address: "127.0.0.1:27101", PID: 4711, Started: may, Server: "anna", Hostname: "anna"}

var replica = Identity{
	Address: "a:27017", Process: "66f0a0000000000000000002", PID: 1, Started: may, Server: "a:27017", Hostname: "a", Set: "rs0", SetID: "s1", Me: "a:27017",
	Members: []string{"a:27017", "b:27017"}, Marker: "m1", Home: "u1",
}

var router = Identity{
	Address: "r1:27017", Process: "66f0a0000000000000000003", PID: 1, Started: may, Server: "r1:27017", Hostname: "r1", Mongos: true, Cluster: "c1", Members: []string{"cfg1:27019"},
}

func with(id Identity, f func(*Identity)) Identity {
	f(&id)
	return id
}

// restarted is a server after a restart.
func restarted(id Identity) Identity {
	if id.Process != "" {
		id.Process = "66f0a00000000000000000ff"
	}
	id.PID, id.Started = 99, may.Add(time.Hour)
	return id
}

func TestSameness(t *testing.T) {
	hello := func(id Identity) Identity {
		return Identity{Address: id.Address, Process: id.Process, Set: id.Set, Me: id.Me, Members: id.Members}
	}
	bare := with(standalone, func(id *Identity) { id.Marker, id.Home = "", "" })
	unseen := with(replica, func(id *Identity) { id.SetID = "" })
	for _, tt := range []struct {
		name       string
		was, is    Identity
		continued  Sameness
		afterwards Sameness // what Compare says
	}{
		{"nothing was said", Identity{}, Identity{}, Unproven, Unproven},
		{"only where it was dialled", Identity{Address: "a:1"}, Identity{Address: "a:1"}, Unproven, Unproven},
		{"the same", standalone, standalone, Same, Same},
		{"the same set", replica, replica, Same, Same},
		{"the same router", router, router, Same, Same},
		{"the same embedded server", embedded, embedded, Same, Same},
		{"a hello is enough where it names the process", standalone, hello(standalone), Same, Same},
		{"through another name", standalone, with(standalone, func(id *Identity) { id.Address = "localhost:9" }), Same, Same},
		{"a hello of another process", standalone, restarted(hello(standalone)), Unproven, Unproven},
		{"a hello that says nothing", embedded, hello(embedded), Unproven, Unproven},

		// Standalone servers.
		{"another machine", standalone, with(restarted(standalone), func(id *Identity) { id.Server, id.Hostname = "db2:27018", "db2" }), Different, Different},
		{"another port of the machine", standalone, with(restarted(standalone), func(id *Identity) { id.Server = "db1:27019" }), Different, Different},
		{"another hostname", embedded, with(embedded, func(id *Identity) { id.Hostname = "bert" }), Different, Different},
		{"the same process with another number", standalone, with(standalone, func(id *Identity) { id.PID++ }), Unproven, Unproven},
		{"restarted, its marker where it was", standalone, restarted(standalone), Unproven, Same},
		{"restarted, without a marker", bare, restarted(bare), Unproven, Unproven},
		{"restarted, a marker with an id of its own", with(standalone, func(id *Identity) { id.Home = "" }), with(restarted(standalone), func(id *Identity) { id.Home = "" }), Unproven, Same},
		{"restarted, another marker", standalone, with(restarted(standalone), func(id *Identity) { id.Marker, id.Home = "m2", "u2" }), Unproven, Unproven},
		{"a copied marker", standalone, with(restarted(standalone), func(id *Identity) { id.Home = "u2" }), Different, Different},
		{"a copied marker, where it is cannot be seen", with(embedded, func(id *Identity) { id.Marker = "m1" }), with(restarted(embedded), func(id *Identity) { id.Marker = "m1" }), Unproven, Unproven},
		{
			"a copied marker behind a name for this machine, where it is cannot be seen", with(standalone, func(id *Identity) { id.Home, id.Here = "", true }),
			with(restarted(standalone), func(id *Identity) { id.Home, id.Here = "", true }), Unproven, Unproven,
		},
		{"the same, as a check sees it", with(standalone, func(id *Identity) { id.Home, id.Here = "", true }), with(restarted(standalone), func(id *Identity) { id.Home = "" }), Unproven, Unproven},
		{
			"restarted on this machine, which was shown", with(embedded, func(id *Identity) { id.Marker, id.Local = "m1", true }),
			with(restarted(embedded), func(id *Identity) { id.Marker, id.Local = "m1", true }), Unproven, Same,
		},
		{
			"this machine then, a tunnel now", with(embedded, func(id *Identity) { id.Marker, id.Local = "m1", true }),
			with(restarted(embedded), func(id *Identity) { id.Marker = "m1" }), Unproven, Unproven,
		},
		{
			"copied files on another port", with(embedded, func(id *Identity) { id.Marker, id.Home = "m1", "u1" }),
			with(restarted(embedded), func(id *Identity) { id.Address, id.Marker, id.Home = "127.0.0.1:27102", "m1", "u1" }), Unproven, Unproven,
		},
		{
			"restarted, through another tunnel, but the server names its port", with(standalone, func(id *Identity) { id.Address = "localhost:1" }),
			with(restarted(standalone), func(id *Identity) { id.Address = "localhost:2" }), Unproven, Same,
		},
		{"another server of the machine", embedded, with(embedded, func(id *Identity) { id.PID, id.Started, id.Address = 4712, may.Add(time.Hour), "127.0.0.1:27102" }), Unproven, Unproven},
		{"a tunnel to another server of an equal name", embedded, with(embedded, func(id *Identity) { id.PID = 4712 }), Unproven, Unproven},
		{"an equal number, another start", embedded, with(embedded, func(id *Identity) { id.Started = may.Add(3 * time.Second) }), Unproven, Unproven},
		{"a start that is told a little otherwise", embedded, with(embedded, func(id *Identity) { id.Started = may.Add(-1900 * time.Millisecond) }), Same, Same},
		{"a number without a start", embedded, with(embedded, func(id *Identity) { id.Started = time.Time{} }), Unproven, Unproven},
		{"a number and a start without a machine", with(embedded, func(id *Identity) { id.Server, id.Hostname = "", "" }), embedded, Unproven, Unproven},
		{"one process, another port", embedded, with(embedded, func(id *Identity) { id.Address = "127.0.0.1:27102" }), Unproven, Unproven},
		{"one process, another marker", with(embedded, func(id *Identity) { id.Marker = "m1" }), with(embedded, func(id *Identity) { id.Marker = "m2" }), Unproven, Unproven},
		{"one process, its first marker", embedded, with(embedded, func(id *Identity) { id.Marker = "m2" }), Same, Same},
		{"spelled otherwise", embedded, with(embedded, func(id *Identity) { id.Server, id.Hostname = "ANNA", "Anna" }), Same, Same},
		{"a port that one of them leaves out", with(standalone, func(id *Identity) { id.Server = "db1" }), restarted(standalone), Unproven, Same},

		// Replica sets.
		{"another member", replica, with(restarted(replica), func(id *Identity) { id.Address, id.Me, id.Server, id.Hostname = "b:27017", "b:27017", "b:27017", "b" }), Same, Same},
		{"a set of another name", replica, with(replica, func(id *Identity) { id.Set = "rs1" }), Different, Different},
		{"another set of one name", replica, with(restarted(replica), func(id *Identity) { id.SetID = "s2" }), Different, Different},
		{"a copy of the set's files, with other members", replica, with(restarted(replica), func(id *Identity) { id.Me, id.Members = "x:27017", []string{"x:27017"} }), Unproven, Unproven},
		{"a set that was a standalone", standalone, replica, Different, Different},
		{"a standalone that was a set", replica, standalone, Different, Different},
		{"a set whose id cannot be seen", unseen, restarted(unseen), Unproven, Same},
		{"the same, without a marker", with(unseen, func(id *Identity) { id.Marker, id.Home = "", "" }), with(restarted(unseen), func(id *Identity) { id.Marker, id.Home = "", "" }), Unproven, Unproven},
		{"the same, with another marker", unseen, with(restarted(unseen), func(id *Identity) { id.Marker, id.Home = "m2", "u2" }), Unproven, Unproven},
		{"the same, with a copied marker", unseen, with(restarted(unseen), func(id *Identity) { id.Home = "u2" }), Unproven, Unproven},
		{
			"the same, through a tunnel, where the marker is cannot be seen", with(unseen, func(id *Identity) { id.Home, id.Address = "", "localhost:1" }),
			with(restarted(unseen), func(id *Identity) { id.Home, id.Address = "", "localhost:1" }), Unproven, Unproven,
		},
		{
			"the same, by name, where the marker is cannot be seen", with(unseen, func(id *Identity) { id.Home = "" }),
			with(restarted(unseen), func(id *Identity) { id.Home, id.Address = "", "B.:27017" }), Unproven, Same,
		},
		{"one process of a set of old servers", with(unseen, func(id *Identity) { id.Process = "" }), with(unseen, func(id *Identity) { id.Process = "" }), Same, Same},

		// Clusters.
		{"another router", router, with(restarted(router), func(id *Identity) { id.Address, id.Server, id.Hostname = "r2:27017", "r2:27017", "r2" }), Unproven, Same},
		{"another cluster", router, with(restarted(router), func(id *Identity) { id.Cluster = "c2" }), Different, Different},
		{"a copy of a cluster", router, with(restarted(router), func(id *Identity) { id.Address, id.Members = "x:27017", []string{"cfg9:27019"} }), Unproven, Unproven},
		{"a router whose cluster cannot be seen", router, with(restarted(router), func(id *Identity) { id.Cluster = "" }), Unproven, Unproven},
		{"a shard instead of the cluster", router, replica, Different, Different},
	} {
		for _, dir := range []struct {
			name    string
			was, is Identity
		}{{"", tt.was, tt.is}, {", the other way round", tt.is, tt.was}} {
			if got, why := Continued(dir.was, dir.is); got != tt.continued || why == "" {
				t.Errorf("%s%s: Continued = %v (%s), want %v", tt.name, dir.name, got, why, tt.continued)
			}
			if got, why := Compare(dir.was, dir.is); got != tt.afterwards || why == "" {
				t.Errorf("%s%s: Compare = %v (%s), want %v", tt.name, dir.name, got, why, tt.afterwards)
			}
		}
	}
}

// What is the same in a session is the same later; and nothing that is left unsaid makes two servers the same that were not.
func TestSamenessIsMonotonic(t *testing.T) {
	forget := []func(*Identity){
		func(id *Identity) { id.Process = "" }, func(id *Identity) { id.PID = 0 }, func(id *Identity) { id.Started = time.Time{} }, func(id *Identity) { id.Address = "" },
		func(id *Identity) { id.Server = "" }, func(id *Identity) { id.Hostname = "" }, func(id *Identity) { id.Me = "" }, func(id *Identity) { id.Members = nil },
		func(id *Identity) { id.Local = false },
	}
	all := []Identity{standalone, restarted(standalone), embedded, restarted(embedded), replica, restarted(replica), router, restarted(router)}
	for _, was := range all {
		for _, is := range all {
			full, _ := Compare(was, is)
			for mask := range 1 << len(forget) {
				less := is
				for i, f := range forget {
					if mask>>i&1 == 1 {
						f(&less)
					}
				}
				if got, why := Compare(was, less); got == Same && full != Same {
					t.Errorf("%+v and %+v are %v, but with less said %v (%s): %+v", was, is, full, got, why, less)
				}
				c, _ := Continued(was, less)
				if got, _ := Compare(was, less); c == Same && got != Same {
					t.Errorf("%+v and %+v are the same in a session, and %v later", was, less, got)
				}
			}
		}
	}
}

func TestIdentityMap(t *testing.T) {
	for _, id := range []Identity{{}, standalone, embedded, replica, router, with(embedded, func(id *Identity) { id.Local, id.Here = true, true })} {
		if diff := cmp.Diff(id, FromMap(id.Map())); diff != "" {
			t.Errorf("FromMap(Map) differs:\n%s", diff)
		}
	}
	// As earlier versions wrote it.
	old := map[string]string{"host": "anna", "server": "anna", "pid": "4711", "marker": "production standalone anna"}
	if got := FromMap(old); !cmp.Equal(got, Identity{Hostname: "anna", Server: "anna", PID: 4711}) {
		t.Errorf("FromMap(%v) = %+v", old, got)
	}
	old = map[string]string{"set": "rs0", "setId": "s1", "me": "a:27017", "process": "66f0a0000000000000000002", "host": "a", "server": "a", "marker": "staging set rs0 a:27017,b:27017"}
	if got, why := Compare(FromMap(old), restarted(replica)); got != Same {
		t.Errorf("a set as an earlier version knew it: %v (%s)", got, why)
	}
	if got := FromMap(map[string]string{"pid": "many", "started": "yesterday", "new": "x"}); !cmp.Equal(got, Identity{}) {
		t.Errorf("FromMap = %+v", got)
	}
}

func TestIdentityString(t *testing.T) {
	for want, id := range map[string]Identity{
		"a server that says nothing of itself": {},
		"server anna, machine anna, pid 4711, started 2026-05-04T00:00:00.000Z, reached at 127.0.0.1:27101":                                                                               embedded,
		"replica set rs0, set id s1, member a:27017, server a:27017, machine a, process 66f0a0000000000000000002, pid 1, started 2026-05-04T00:00:00.000Z, marker m1, reached at a:27017": replica,
	} {
		if got := id.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}
