package environment

import (
	"fmt"
	"testing"
	"time"
)

var may = time.Date(2026, 5, 4, 0, 0, 0, 0, time.UTC)

func marker(value, deployment string) Marker {
	return Marker{State: MarkerPresent, Value: value, Deployment: deployment, By: "ann", At: may}
}

func TestJudge(t *testing.T) {
	local := Local{Shown: true, Why: "the server is process 7 of this machine"}
	for _, tt := range []struct {
		name string
		o    Observation
		want Environment
	}{
		{"nothing known", Observation{Hosts: []string{"db7.example.net"}, Address: "db7.example.net:27017"}, Unknown},
		{"marker production", Observation{Address: "127.0.0.1:27017", Local: local, ServerHost: "x", Marker: marker("production", "standalone elsewhere")}, Production},
		{"marker staging, of an earlier version: for whom is not said so that it can be compared", Observation{Address: "h:1", ServerHost: "h", Marker: marker("staging", "standalone h")}, Unknown},
		{"marker staging, copied by a restore", Observation{Address: "h:1", ServerHost: "h", Marker: marker("staging", "standalone other")}, Unknown},
		{"marker development for images", Observation{Address: "h:1", ServerHost: "h", Marker: marker("development", "any")}, Development},
		{"marker with nonsense", Observation{Address: "127.0.0.1:1", Local: local, Marker: marker("prod", "any")}, Unknown},
		{"marker malformed", Observation{Address: "127.0.0.1:1", Local: local, Marker: Marker{State: MarkerMalformed}}, Unknown},
		{"marker unreadable", Observation{Address: "127.0.0.1:1", Local: local, Marker: Marker{State: MarkerUnreadable}}, Unknown},
		{"loopback that may be a tunnel", Observation{Hosts: []string{"localhost:27017"}, Address: "localhost:27017", Local: Local{Why: "?"}}, Unknown},
		{"loopback shown to be local", Observation{Hosts: []string{"localhost:27017"}, Address: "localhost:27017", Local: local}, Development},
		{"local process, production name", Observation{Hosts: []string{"localhost"}, Address: "localhost:1", Local: local, SetName: "prod-eu"}, Production},
		{"host prod", Observation{Hosts: []string{"db-prod-1.example.net"}, Address: "db-prod-1.example.net:27017"}, Production},
		{"host prodEU", Observation{Hosts: []string{"prodEU"}, Address: "prodEU:27017"}, Production},
		{"host prod2", Observation{Hosts: []string{"prod2.x"}, Address: "prod2.x:27017"}, Production},
		{"host products is no prod", Observation{Hosts: []string{"products.example.net"}, Address: "h:1"}, Unknown},
		{"host olive is not live", Observation{Hosts: []string{"olive.example.net"}, Address: "h:1"}, Unknown},
		{"srv live", Observation{SRV: true, Hosts: []string{"live.x.mongodb.net"}, Address: "h:1"}, Production},
		{"dev host, production member", Observation{Hosts: []string{"dev.x"}, Members: []string{"mongo-production-1:27017"}, Address: "dev.x:1"}, Production},
		{"dev host, production machine", Observation{Hosts: []string{"dev.x"}, Hostname: "mongo-prod-1", Address: "dev.x:1"}, Production},
		{"staging marker, production host", Observation{Hosts: []string{"prod.x"}, Address: "prod.x:1", ServerHost: "h", Marker: marker("staging", "any")}, Production},
		{"user prod_admin", Observation{User: "prod_admin", Hosts: []string{"dev.x"}, Address: "dev.x:1"}, Production},
		{"user dev says nothing", Observation{User: "dev", Address: "h:1"}, Unknown},
		{"our own empty server", Observation{OurServer: true, Address: "127.0.0.1:1"}, Development},
	} {
		ev := Judge(tt.o)
		if got := Classify(ev, ""); got != tt.want {
			t.Errorf("%s: %v, want %v; evidence %+v", tt.name, got, tt.want, ev)
		}
		for _, e := range ev {
			if e.Why == "" || e.Source == "" {
				t.Errorf("%s: evidence without a reason: %+v", tt.name, e)
			}
		}
	}
}

func TestDatabaseNamesOnlyRaise(t *testing.T) {
	for _, tt := range []struct {
		db   string
		want Environment
	}{{"test", Development}, {"famigo_prod", Production}, {"staging", Development}, {"products", Development}, {"LIVE", Production}} {
		ev := append([]Evidence{{Source: "marker", Says: Development, Decides: true}}, JudgeDatabase(tt.db)...)
		if got := Classify(ev, tt.db); got != tt.want {
			t.Errorf("database %s on development: %v, want %v", tt.db, got, tt.want)
		}
		if got := Classify(ev, "other"); got != Development {
			t.Errorf("database %s changes what other is: %v", tt.db, got)
		}
	}
}

func TestAMarkerForOneDatabase(t *testing.T) {
	m := marker("production", "any")
	m.Scope = "famigo"
	ev := Judge(Observation{Address: "h:1", SetName: "staging", Marker: m})
	if got := Classify(ev, "famigo"); got != Production {
		t.Errorf("famigo is %v", got)
	}
	if got := Classify(ev, "other"); got != Staging {
		t.Errorf("other is %v", got)
	}
}

func TestUnknownIsTreatedAsProduction(t *testing.T) {
	var e Environment
	if e != Unknown || e.Effective() != Production {
		t.Errorf("the zero environment is %v, effective %v", e, e.Effective())
	}
	if got := Classify(nil, ""); got != Unknown {
		t.Errorf("no evidence: %v", got)
	}
}

func ExampleClassify() {
	evidence := Judge(Observation{
		Hosts: []string{"localhost:27017"}, Address: "localhost:27017",
		Local:  Local{Why: "process 4711 of this machine does not listen on port 27017"},
		Marker: Marker{State: MarkerPresent, Value: "production", Deployment: "set rs0 a,b,c", By: "ann", At: may},
	})
	for _, e := range evidence {
		fmt.Printf("%s: %s\n", e.Source, e.Why)
	}
	fmt.Println(Classify(evidence, ""))
	// Output:
	// marker: the server's own marker says production (written by ann, 2026-05-04)
	// loopback: localhost:27017 is this machine, and may be a tunnel: process 4711 of this machine does not listen on port 27017
	// production
}
