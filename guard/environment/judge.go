package environment

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Observation is what the collectors saw.
type Observation struct {
	Hosts   []string // that the connection string names
	SRV     bool     // Hosts holds a service name
	User    string   // database user
	Roles   []string // of the database user: role@database
	Address string   // host:port that was dialled
	Remote  []string // addresses that were dialled, as numbers
	Own     []string // addresses of this machine, as numbers
	Profile Profile  // that the connection string came from

	SetName string   // of the replica set
	SetID   string   // of the replica set, from its birth; "" if the server does not tell
	Me      string   // the member's own address
	Members []string // of the replica set
	Mongos  bool
	Cluster string // id of the sharded cluster
	// ServerHost is serverStatus.host: the machine's name, with the port if it is not 27017.
	ServerHost string
	Ferret     bool   // it says that it is FerretDB, of whatever version
	Hostname   string // hostInfo.system.hostname
	Process    string // topologyVersion.processId: changes with every start of the server
	PID        int64
	Started    time.Time // by the server's clock
	Executable string    // serverStatus.process: the name of the program
	Config     []string  // addresses of the cluster's config servers
	Home       string    // UUID of the collection that holds the marker
	Data       string    // UUID of admin.system.version

	Marker    Marker
	OurServer bool  // this process started the server and it holds no user data
	Local     Local // only for a loopback address
}

// Profile is what the user's own file of profiles says of a deployment. It can only raise.
type Profile struct {
	Name  string      // "" if there is none
	Says  Environment // Unknown if it says nothing
	Where string      // file:line
}

// Local says whether a server on loopback was shown to run on this machine.
type Local struct {
	Shown bool
	Why   string
}

// Deployment names the deployment for people who read its marker: the replica set with its members, the cluster, or the standalone's host and port.
func (o Observation) Deployment() string {
	switch {
	case o.SetName != "":
		members := slices.Clone(o.Members)
		slices.Sort(members)
		return "set " + o.SetName + " " + strings.Join(members, ",")
	case o.Mongos:
		return "cluster " + o.Cluster
	}
	return fmt.Sprintf("standalone %s (%s)", o.Server(), o.Address)
}

// Name is how the deployment is called on the screen.
func (o Observation) Name() string {
	switch {
	case o.SetName != "":
		return o.SetName + " (" + firstOf(o.Me, o.Address) + ")"
	case o.Mongos:
		return "mongos " + o.Address
	}
	return o.Address
}

// Who is what can be compared of it.
func (o Observation) Who() Identity {
	id := Identity{
		Address: o.Address, Here: o.Here(), Local: o.Local.Shown, Process: o.Process, PID: o.PID, Started: o.Started, Server: o.Server(), Hostname: o.Hostname,
		Set: o.SetName, SetID: o.SetID, Me: o.Me, Members: o.Members, Mongos: o.Mongos, Cluster: o.Cluster, Marker: o.Marker.ID, Home: o.Home, Data: o.Data,
	}
	if o.Mongos {
		id.Members = o.Config
	}
	return id
}

// Server is what the server calls itself, with its port if it can be known. A mongod leaves it out if it is 27017; FerretDB always does.
func (o Observation) Server() string {
	if _, _, err := net.SplitHostPort(o.ServerHost); o.Ferret || o.ServerHost == "" || err == nil {
		return o.ServerHost
	}
	return net.JoinHostPort(o.ServerHost, "27017")
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

// Judge says what each observation means under a policy's rules. It decides nothing: Classify does. No rule takes an answer away: whatever they
// say, a production marker is still there.
func Judge(o Observation, rules ...Rule) []Evidence {
	var out []Evidence
	if o.OurServer {
		out = append(out, Evidence{Source: "process", Says: Development, Decides: true, Why: "this process started the server, and it is empty"})
	}
	out = append(out, JudgeMarker(o.Marker, o)...)
	out = append(out, JudgeRules(rules, o, "")...)
	out = append(out, judgeProfile(o.Profile)...)
	out = append(out, judgeNames(o)...)
	out = append(out, judgeAddress(o)...)
	return out
}

// JudgeMarker says what a marker means on a deployment. A production marker always counts, whoever it was written for. A lower one counts only on the
// deployment it was written for, so that a staging dump restored into production does not lower it; or anywhere, if that is what it says, for images.
func JudgeMarker(m Marker, o Observation) []Evidence {
	e := Evidence{Source: "marker", Decides: true, Scope: m.Scope}
	switch m.State {
	case MarkerUnread:
		return nil
	case MarkerAbsent:
		if m.Scope != "" {
			return nil
		}
		e.Decides, e.Why = false, "the server has no marker (respect.environment)"
		return []Evidence{e}
	case MarkerUnreadable:
		e.Says, e.Why = Unknown, "the server's marker cannot be read: "+m.Err
		return []Evidence{e}
	case MarkerMalformed:
		e.Says, e.Why = Unknown, "the server's marker is malformed: "+m.Err
		return []Evidence{e}
	}
	env, ok := Parse(m.Value)
	if !ok {
		e.Says, e.Why = Unknown, fmt.Sprintf("the server's marker says %q, which is no environment", m.Value)
		return []Evidence{e}
	}
	e.Says, e.Why = env, fmt.Sprintf("the server's own marker says %s", env)
	if m.By != "" {
		e.Why += fmt.Sprintf(" (written by %s, %s)", m.By, m.At.UTC().Format(time.DateOnly))
	}
	if env == Production {
		return []Evidence{e}
	}
	if why := m.elsewhere(o); why != "" {
		e.Says = Unknown
		e.Why = fmt.Sprintf("the server's marker says %s, but it seems to be for another deployment (%s; this is %s): %s; was it copied by a restore?", env, m.Deployment, o.Deployment(), why)
	}
	return []Evidence{e}
}

// elsewhere says why a marker cannot be taken to be written for a deployment; "" if it can.
func (m Marker) elsewhere(o Observation) string {
	switch {
	case m.Deployment == "any":
		return ""
	case m.ID == "":
		return "it does not say so in a way that can be compared"
	}
	is := o.Who()
	is.Marker = "" // it is what is to be shown, and shows nothing
	if m.For.says() == "standalone" && (both(m.For.Home, is.Home) && m.For.Home == is.Home || both(m.For.Data, is.Data) && m.For.Data == is.Data) {
		is.Address = m.For.Address // it is where it was written, whatever way one comes there; nor does it matter here that files can be copied with it
	}
	if s, why := Compare(m.For, is); s != Same {
		return why
	}
	return ""
}

// Holds says whether a marker calls this deployment env, and is written for it.
func (m Marker) Holds(env Environment, o Observation) bool {
	said, ok := Parse(m.Value)
	return ok && m.State == MarkerPresent && said == env && m.ID != "" && m.Deployment != "any" && m.elsewhere(o) == ""
}

// judgeProfile: a profile is the user's own word, and can only raise.
func judgeProfile(p Profile) (out []Evidence) {
	if p.Says != Unknown {
		out = append(out, Evidence{Source: "profile", Says: p.Says, Decides: true, Raises: true, Why: fmt.Sprintf("the profile %q says so (%s; it can only raise)", p.Name, p.Where)})
	}
	if w := containsWord(p.Name, productionWords); w != "" {
		out = append(out, Evidence{Source: "name", Says: Production, Decides: true, Why: fmt.Sprintf("the profile's name %q contains %q", p.Name, w)})
	}
	return out
}

// judgeAddress is the loopback rule.
func judgeAddress(o Observation) []Evidence {
	if o.OurServer || !Loopback(o.Address) {
		return nil
	}
	if o.Local.Shown {
		return []Evidence{{Source: "loopback", Says: Development, Decides: true, Why: o.Local.Why}}
	}
	return []Evidence{{Source: "loopback", Why: o.Address + " is this machine, and may be a tunnel: " + o.Local.Why}}
}

// Loopback says whether an address is on this machine.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".sock") { // RFC 6761, section 6.3
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// Here says whether what was dialled is this machine, by its own name or number or by any that leads to it.
func (o Observation) Here() bool {
	return Loopback(o.Address) || slices.ContainsFunc(o.Remote, func(r string) bool {
		a, err := netip.ParseAddr(r)
		return err == nil && (Loopback(r) || slices.Contains(o.Own, a.Unmap().WithZone("").String()))
	})
}
