package environment

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Rule is one entry of a policy file that says which environment a deployment is, or, with Databases, which one a database is.
// Everything that it names must match, by one of each list. Patterns are globs without regard to case: * is any text, ? one letter.
type Rule struct {
	Says      Environment
	Hosts     []string // names of machines, with or without a port
	SRV       []string // service names of mongodb+srv
	Sets      []string // replica sets
	CIDR      []netip.Prefix
	Databases []string
	Profiles  []string
	// RaiseOnly: it is the user's own word, and counts only upwards.
	RaiseOnly bool
	Where     string // file:line
}

// ParseCIDR reads a range of addresses, or one address.
func ParseCIDR(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err == nil && p != p.Masked() {
		err = fmt.Errorf("%s has bits behind its mask; %s is meant?", s, p.Masked())
	}
	return p, err
}

// List is one thing that a rule matches: the key in the file, and its patterns.
type List struct {
	Key      string
	Patterns []string
}

// Lists are what a rule matches, in the file's own words.
func (r Rule) Lists() (out []List) {
	var ranges []string
	for _, p := range r.CIDR {
		ranges = append(ranges, p.String())
	}
	for _, l := range []List{{"hosts", r.Hosts}, {"cidr", ranges}, {"srv", r.SRV}, {"sets", r.Sets}, {"databases", r.Databases}, {"profiles", r.Profiles}} {
		if len(l.Patterns) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// JudgeRules says what a policy's rules mean for a deployment (db is ""), or for one database of it.
func JudgeRules(rules []Rule, o Observation, db string) (out []Evidence) {
	for _, r := range rules {
		if (len(r.Databases) > 0) != (db != "") {
			continue
		}
		why, ok := r.match(o, db)
		if !ok {
			continue
		}
		e := Evidence{Source: "policy", Says: r.Says, Decides: true, Raises: r.RaiseOnly, Scope: db, Why: r.Where + " says so: " + why}
		if e.Raises && e.Says != Production {
			e.Why += " (this can only raise)"
		}
		out = append(out, e)
	}
	return out
}

// match says whether and why a rule speaks for a deployment. One that raises matches by any of the server's names and addresses. One that could
// lower must match every host that the connection string names, the one that was dialled, which a server of theirs may have named, and every address: what else
// it reaches is not what was meant.
func (r Rule) match(o Observation, db string) (why string, ok bool) {
	lowers := !r.RaiseOnly && r.Says != Production
	var hosts, services []string
	if o.SRV {
		services = o.Hosts
	} else {
		hosts = o.Hosts
	}
	switch {
	case lowers && o.SRV: // it names no host
		hosts = append([]string{o.Address}, o.Members...)
	case lowers:
		hosts = append([]string{o.Address}, hosts...)
	default:
		hosts = append(append([]string{o.Address, o.Me, o.ServerHost, o.Hostname}, hosts...), o.Members...)
	}
	var whys []string
	for _, m := range []struct {
		what     string
		patterns []string
		names    []string
		all      bool
		fits     func(pattern, name string) bool
	}{
		{"the host", r.Hosts, hosts, lowers, globHost},
		{"the service name", r.SRV, services, lowers, globHost},
		{"the replica set", r.Sets, []string{o.SetName}, false, glob},
		{"the database", r.Databases, []string{db}, false, glob},
		{"the profile", r.Profiles, []string{o.Profile.Name}, false, glob},
	} {
		if len(m.patterns) == 0 {
			continue
		}
		w, ok := matchNames(m.what, m.patterns, m.names, m.all, m.fits)
		if !ok {
			return "", false
		}
		whys = append(whys, w)
	}
	if len(r.CIDR) > 0 {
		w, ok := matchAddresses(r.CIDR, o.Remote, lowers)
		if !ok {
			return "", false
		}
		whys = append(whys, w)
	}
	return strings.Join(whys, ", and "), len(whys) > 0
}

// matchNames says whether one of the names matches one of the patterns, or, with all, whether every name does.
func matchNames(what string, patterns, names []string, all bool, fits func(pattern, name string) bool) (why string, ok bool) {
	for _, n := range names {
		if n == "" {
			continue
		}
		i := slices.IndexFunc(patterns, func(p string) bool { return fits(p, n) })
		switch {
		case i >= 0 && why == "":
			why = fmt.Sprintf("%s %q matches %q", what, n, patterns[i])
		case i < 0 && all:
			return "", false
		}
	}
	return why, why != ""
}

func matchAddresses(ranges []netip.Prefix, addresses []string, all bool) (why string, ok bool) {
	for _, text := range addresses {
		a, err := netip.ParseAddr(text)
		i := slices.IndexFunc(ranges, func(p netip.Prefix) bool { return err == nil && p.Contains(a.Unmap().WithZone("")) })
		switch {
		case i >= 0 && why == "":
			why = fmt.Sprintf("the address %s is in %s", text, ranges[i])
		case i < 0 && all:
			return "", false
		}
	}
	return why, why != ""
}

// globHost compares with a port if the pattern has one, and without if not.
func globHost(pattern, name string) bool {
	host, port, err := net.SplitHostPort(name)
	if err != nil {
		host, port = strings.Trim(name, "[]"), "27017"
	}
	host = strings.TrimSuffix(host, ".")
	return glob(pattern, host) || glob(pattern, net.JoinHostPort(host, port))
}

// glob says whether a whole name matches a pattern, in which * is any text and ? one letter, without regard to case.
func glob(pattern, name string) bool {
	p, n := []rune(strings.ToLower(pattern)), []rune(strings.ToLower(name))
	star, from := -1, 0 // the last star, and where the rest was tried behind it
	i, j := 0, 0
	for j < len(n) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == n[j]):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
