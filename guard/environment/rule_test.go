package environment

import (
	"net/netip"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"a*c", "abbc", true}, {"a*c", "abcd", false}, {"*.x", "A.X", true}, {"db?", "db7", true},
		{"db?", "db", false}, {"*a*a*", "banana", true}, {"*a*x*", "banana", false}, {"ü?", "ÜÄ", true}, {"[ab]", "a", false}, {"a.c", "abc", false},
	} {
		if got := glob(tt.pattern, tt.name); got != tt.want {
			t.Errorf("glob(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"db1", "db1:27017", true}, {"db1:27017", "db1", true}, {"db1:27018", "db1", false}, {"::1", "[::1]:27017", true}, {"*.x.net", "a.x.net.:27017", true},
	} {
		if got := globHost(tt.pattern, tt.name); got != tt.want {
			t.Errorf("globHost(%q, %q) = %v, want %v", tt.pattern, tt.name, got, tt.want)
		}
	}
}

func TestRules(t *testing.T) {
	ten := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	tunnel := Observation{Hosts: []string{"localhost:27018"}, Address: "localhost:27018", Remote: []string{"127.0.0.1"}}
	with := func(f func(*Observation)) Observation {
		o := tunnel
		f(&o)
		return o
	}
	set := with(func(o *Observation) {
		o.Hosts, o.Members, o.SetName, o.Address = []string{"a.fam.x", "b.fam.x"}, []string{"m1:27017", "m2:27017"}, "rs0", "b.fam.x:27017"
	})
	for _, tt := range []struct {
		name string
		rule Rule
		o    Observation
		db   string
		want Environment
	}{
		{"administrator: a tunnel to development", Rule{Says: Development, Hosts: []string{"localhost:27018"}}, tunnel, "", Development},
		{"another port", Rule{Says: Development, Hosts: []string{"localhost:27019"}}, tunnel, "", Unknown},
		{"a production marker stays", Rule{Says: Development, Hosts: []string{"*"}}, with(func(o *Observation) { o.Marker = marker("production", "any") }), "", Production},
		{"a marker that was copied stays", Rule{Says: Development, Hosts: []string{"*"}}, with(func(o *Observation) { o.ServerHost, o.Marker = "h", marker("staging", "standalone other") }), "", Unknown},
		{"a production name stays", Rule{Says: Staging, Sets: []string{"*"}}, with(func(o *Observation) { o.SetName = "prod" }), "", Production},
		{"user: staging where nothing is known", Rule{Says: Staging, RaiseOnly: true, Hosts: []string{"*"}}, tunnel, "", Unknown},
		{"user: staging over development", Rule{Says: Staging, RaiseOnly: true, Hosts: []string{"*"}}, with(func(o *Observation) { o.Marker = marker("development", "any") }), "", Staging},
		{"user: production", Rule{Says: Production, RaiseOnly: true, Hosts: []string{"*"}}, with(func(o *Observation) { o.Marker = marker("development", "any") }), "", Production},
		{"one of two hosts does not lower", Rule{Says: Staging, Hosts: []string{"a.fam.x"}}, set, "", Unknown},
		{"both hosts lower", Rule{Says: Staging, Hosts: []string{"*.fam.x"}}, set, "", Staging},
		{"a set that names a primary elsewhere", Rule{Says: Development, Hosts: []string{"*.fam.x"}}, with(func(o *Observation) {
			o.Hosts, o.SetName, o.Address = []string{"a.fam.x"}, "rs0", "db7.example.net:27017"
		}), "", Unknown},
		{"a member does not lower", Rule{Says: Staging, Hosts: []string{"m1"}}, set, "", Unknown},
		{"a member raises", Rule{Says: Production, Hosts: []string{"m1"}}, set, "", Production},
		{"all that is named must match", Rule{Says: Production, Hosts: []string{"m1"}, Sets: []string{"rs1"}}, set, "", Unknown},
		{"host and set", Rule{Says: Production, Hosts: []string{"m1"}, Sets: []string{"rs0"}}, set, "", Production},
		{"cidr", Rule{Says: Production, CIDR: ten}, with(func(o *Observation) { o.Remote = []string{"192.0.2.1", "::ffff:10.1.2.3"} }), "", Production},
		{"cidr of all dialled", Rule{Says: Staging, CIDR: ten}, with(func(o *Observation) { o.Remote = []string{"10.1.2.3", "10.1.2.4"} }), "", Staging},
		{"cidr of some dialled does not lower", Rule{Says: Staging, CIDR: ten}, with(func(o *Observation) { o.Remote = []string{"10.1.2.3", "192.0.2.1"} }), "", Unknown},
		{"no address known", Rule{Says: Staging, CIDR: ten}, with(func(o *Observation) { o.Remote = nil }), "", Unknown},
		{"srv", Rule{Says: Staging, SRV: []string{"*.x.net"}}, Observation{SRV: true, Hosts: []string{"c.x.net"}, Address: "a:1"}, "", Staging},
		{"srv is not a host", Rule{Says: Staging, Hosts: []string{"c.x.net"}}, Observation{SRV: true, Hosts: []string{"c.x.net"}, Address: "a:1"}, "", Unknown},
		{"a host is not srv", Rule{Says: Staging, SRV: []string{"localhost"}}, tunnel, "", Unknown},
		{"database", Rule{Says: Production, Databases: []string{"Famigo"}}, tunnel, "famigo", Production},
		{"another database", Rule{Says: Production, Databases: []string{"famigo"}}, tunnel, "other", Unknown},
		{"a rule for databases says nothing of the deployment", Rule{Says: Production, Databases: []string{"*"}}, tunnel, "", Unknown},
		{"profile", Rule{Says: Production, Profiles: []string{"eu-*"}}, with(func(o *Observation) { o.Profile.Name = "eu-1" }), "", Production},
		{"no profile", Rule{Says: Production, Profiles: []string{"*"}}, tunnel, "", Unknown},
		{"a rule without anything matches nothing", Rule{Says: Development}, tunnel, "", Unknown},
	} {
		tt.rule.Where = "policy.yaml:7"
		rules := []Rule{tt.rule}
		ev := Judge(tt.o, rules...)
		if tt.db != "" {
			ev = append(ev, JudgeRules(rules, tt.o, tt.db)...)
		}
		if got := Classify(ev, tt.db); got != tt.want {
			t.Errorf("%s: %v, want %v; evidence %+v", tt.name, got, tt.want, ev)
		}
		for _, e := range ev {
			if e.Source == "policy" && !strings.HasPrefix(e.Why, "policy.yaml:7 says so: ") {
				t.Errorf("%s: where does it stand? %s", tt.name, e.Why)
			}
		}
	}
}

func TestProfilesOnlyRaise(t *testing.T) {
	dev, stg := marker("development", "any"), marker("staging", "any")
	for _, tt := range []struct {
		profile Profile
		marker  Marker
		want    Environment
	}{
		{Profile{Name: "eu", Says: Staging}, dev, Staging},
		{Profile{Name: "eu", Says: Production}, stg, Production},
		{Profile{Name: "eu", Says: Development}, stg, Staging},
		{Profile{Name: "eu", Says: Staging}, Marker{}, Unknown},
		{Profile{Name: "eu"}, dev, Development},
		{Profile{Name: "prod-eu"}, dev, Production},
		{Profile{Name: "dev-eu"}, Marker{}, Unknown},
		{Profile{Name: "products"}, dev, Development},
	} {
		if got := Classify(Judge(Observation{Address: "h:1", Marker: tt.marker, Profile: tt.profile}), ""); got != tt.want {
			t.Errorf("%+v on %q: %v, want %v", tt.profile, tt.marker.Value, got, tt.want)
		}
	}
}

func TestParseCIDR(t *testing.T) {
	for _, s := range []string{"10.0.0.0/8", "10.1.2.3", "fd00::/8", "::1"} {
		if _, err := ParseCIDR(s); err != nil {
			t.Errorf("ParseCIDR(%q): %v", s, err)
		}
	}
	for _, s := range []string{"", "10.0.0.0/33", "10.1.2.3/8", "10.0", "db1"} {
		if p, err := ParseCIDR(s); err == nil {
			t.Errorf("ParseCIDR(%q) = %v, want an error", s, p)
		}
	}
}
