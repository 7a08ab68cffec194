package environment

import (
	"testing"
)

// far is what a connection to another machine shows beside its name.
var far = []string{"192.0.2.7"}

// Names raise everywhere. They lower to staging at most, and only as whole labels below the registered domain of the host that was dialled.
func TestNamesLower(t *testing.T) {
	for _, tt := range []struct {
		address string
		want    Environment
	}{
		// Words that stand where somebody who runs servers has put them.
		{"mongo.staging.acme.net:27017", Staging}, {"dev.acme.net:27017", Staging}, {"db1.dev.acme.co.uk:27018", Staging}, {"qa.acme.net", Staging}, {"a.test.acme.net:1", Staging},
		{"sandbox.eu.acme.com:27017", Staging}, {"Mongo.STAGING.Acme.Net.:27017", Staging}, {"uat.acme.com.au:27017", Staging}, {"preprod.acme.net:27017", Staging},
		{"mongo-0.mongo.staging.svc.cluster.local:27017", Staging}, {"dev.cluster0.ab1cd.mongodb.net:27017", Staging},

		// Names of organisations, top-level domains and what is no domain at all.
		{"db1.acme.dev:27017", Unknown}, {"acme.dev", Unknown}, {"mongo.sandbox.co:27017", Unknown}, {"test.de:27017", Unknown}, {"staging.co.uk:27017", Unknown}, {"a.dev.uk.com:1", Unknown},
		{"dev:27017", Unknown}, {"staging", Unknown}, {"dev.:27017", Unknown}, {"test.local:27017", Unknown}, {"dev.internal:27017", Unknown}, {"dev.localhost:27017", Unknown},
		{"staging.github.io:27017", Unknown}, {"dev.blogspot.com:27017", Unknown}, {"dev.xn--p1ai:27017", Unknown}, {"test.herokuapp.com:1", Unknown}, {"db.sandbox:27017", Unknown},

		// Parts of words.
		{"devices.acme.net:1", Unknown}, {"dev-db1.acme.net:1", Unknown}, {"dev2.acme.net:1", Unknown}, {"mydev.acme.net:1", Unknown}, {"contest.acme.net:1", Unknown}, {"stages.acme.net:1", Unknown},
		{"not_dev.acme.net:1", Unknown}, {"devProd.acme.net:1", Production},

		// Numbers, sockets, and names that do not mean what they look like.
		{"10.0.0.1:27017", Unknown}, {"[2001:db8::1]:27017", Unknown}, {"[fe80::1%dev.a.b]:27017", Unknown}, {"/tmp/dev.acme.net/mongodb-27017.sock", Unknown}, {"/run/a.dev.acme.sock", Unknown},
		{"ｄｅｖ.acme.net:27017", Unknown}, {"dev.müller.de:27017", Unknown}, {"dev..acme.net:27017", Unknown}, {".dev.acme.net:27017", Unknown}, {"a dev.acme.net:1", Unknown}, {"dev.acme.net..:1", Unknown},
		{"dev.acme.net/x:1", Unknown}, {"x@dev.acme.net:1", Unknown}, {"", Unknown}, {":27017", Unknown}, {"dev.acme.net%2e:1", Unknown},

		// What raises is heard everywhere.
		{"dev.prod.acme.net:27017", Production}, {"prod.dev.acme.net:27017", Production}, {"dev.acme-prod.net:27017", Production}, {"staging.acme.live:27017", Production},
		{"mongo.PRD.acme.net:1", Production}, {"mongo-production-1", Production}, {"/run/prod/mongodb.sock", Production}, {"mongo.staging.live.svc.cluster.local:27017", Production},
	} {
		o := Observation{Address: tt.address, Hosts: []string{tt.address}, Remote: far}
		if got := Classify(Judge(o), ""); got != tt.want {
			t.Errorf("dialled %q: %v, want %v; %+v", tt.address, got, tt.want, Judge(o))
		}
	}
}

func TestOnlyWhatWasDialledLowers(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Observation
		want Environment
	}{
		{"dev is first in the list and was not reached", Observation{Hosts: []string{"dev:1", "db7.example.net:27017"}, Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"a staging host is only listed", Observation{Hosts: []string{"a.staging.example.net", "db7.example.net"}, Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"a service name", Observation{SRV: true, Hosts: []string{"c0.staging.example.net"}, Address: "n1.example.net:27017", Remote: far}, Unknown},
		{"the member calls itself so", Observation{Me: "mongo.dev.example.net:27017", Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"a member is called so", Observation{SetName: "rs0", Members: []string{"mongo.dev.example.net:27017"}, Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"the machine is called so", Observation{Hostname: "a.dev.example.net", ServerHost: "a.dev.example.net", Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"a user", Observation{User: "dev", Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"a profile", Observation{Profile: Profile{Name: "dev"}, Address: "db7.example.net:27017", Remote: far}, Unknown},
		{"a name for this machine, which may be a tunnel", Observation{Address: "mongo.dev.example.net:27017", Remote: []string{"127.0.0.1"}}, Unknown},
		{"one of its addresses is this machine", Observation{Address: "mongo.dev.example.net:27017", Remote: []string{"192.0.2.1", "::1"}}, Unknown},
		{"an address that maps to this machine", Observation{Address: "mongo.dev.example.net:27017", Remote: []string{"::ffff:127.0.0.1"}}, Unknown},
		{"an address of this machine's network", Observation{Address: "mongo.dev.example.net:27017", Remote: []string{"192.0.2.9"}, Own: []string{"127.0.0.1", "192.0.2.9"}}, Unknown},
		{"the same, written otherwise", Observation{Address: "mongo.dev.example.net:27017", Remote: []string{"fe80::1%eth0"}, Own: []string{"fe80::1"}}, Unknown},
		{"nobody knows where it went", Observation{Address: "mongo.dev.example.net:27017"}, Unknown},
		{"a listed host raises", Observation{Hosts: []string{"prod:1", "a.dev.example.net"}, Address: "a.dev.example.net:27017", Remote: far}, Production},
		{"the machine raises", Observation{Hostname: "mongo-prod-1", Address: "a.dev.example.net:27017", Remote: far}, Production},
		{"what the server calls itself raises", Observation{ServerHost: "mongo-prod-1:27018", Address: "a.dev.example.net:27017", Remote: far}, Production},
		{"what was dialled raises, though nothing lists it", Observation{Hosts: []string{"a.dev.example.net"}, Address: "db.prod.example.net:27017", Remote: far}, Production},
		{"a user raises", Observation{User: "prod_admin", Address: "a.dev.example.net:27017", Remote: far}, Production},

		{"a set", Observation{SetName: "dev", Address: "h:1"}, Staging},
		{"a set with more words", Observation{SetName: "rs-STAGING_0", Address: "h:1"}, Staging},
		{"a set of another word", Observation{SetName: "devices", Address: "h:1"}, Unknown},
		{"a set with a number", Observation{SetName: "dev2", Address: "h:1"}, Unknown},
		{"a set of two words", Observation{SetName: "dev-prod", Address: "h:1"}, Production},

		{"a development marker stays, where a name says no more than dev", Observation{Address: "a.dev.example.net:27017", Remote: far, Marker: marker("development", "any")}, Development},
		{"a development marker on a host called staging", Observation{Address: "a.staging.example.net:27017", Remote: far, Marker: marker("development", "any")}, Staging},
		{"a production marker", Observation{Address: "a.dev.example.net:27017", Remote: far, Marker: marker("production", "any")}, Production},
		{"a marker that was copied", Observation{Address: "a.dev.example.net:27017", Remote: far, ServerHost: "x", Marker: marker("staging", "standalone other")}, Unknown},
		{"a marker that cannot be read", Observation{Address: "a.dev.example.net:27017", Remote: far, Marker: Marker{State: MarkerUnreadable}}, Unknown},
	} {
		ev := Judge(tt.o)
		if got := Classify(ev, ""); got != tt.want {
			t.Errorf("%s: %v, want %v; %+v", tt.name, got, tt.want, ev)
		}
	}
}

func FuzzNamesLowerToStagingAtMost(f *testing.F) {
	for _, s := range []string{"dev.acme.net:1", "[::1%dev]:1", "ｄｅｖ.x.y", "dev", "/a/dev.b.c", "staging.co.uk", ""} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, address, set string) {
		switch got := Classify(Judge(Observation{Address: address, SetName: set, Remote: far}), ""); got {
		case Development:
			t.Errorf("dialled %q, set %q: development", address, set)
		case Staging, Unknown, Production:
		}
	})
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"localhost:27017": true, "LocalHost:1": true, "localhost.:1": true, "db.localhost:1": true, "127.0.0.1:1": true, "127.9.9.9": true, "[::1]:1": true, "::1": true,
		"[::ffff:127.0.0.1]:1": true, "0.0.0.0:1": true, "[::]:1": true, "/tmp/mongodb-27017.sock": true,
		"localhost.example.net:1": false, "notlocalhost:1": false, "128.0.0.1:1": false, "": false,
	} {
		if got := Loopback(address); got != want {
			t.Errorf("Loopback(%q) = %v", address, got)
		}
	}
}
