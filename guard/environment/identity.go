package environment

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Identity is what a server says of itself, and how it was reached, as far as two such sayings can be compared. A part that is empty was not said: it is
// evidence for nothing and against nothing. The zero value says nothing at all, and is the same as no other, itself included.
//
// How it may grow: with parts that may be empty. Map leaves empty ones out, and FromMap ignores what it does not know.
type Identity struct {
	Address string // host:port that was dialled
	Here    bool   // what was dialled is this machine, whatever it is called: the server, or a tunnel
	Local   bool   // the server was shown to be a process of this machine
	Process string // topologyVersion.processId: drawn at each start of a mongod or mongos from 4.4 on
	PID     int64
	Started time.Time // by the server's own clock, to the millisecond

	Server   string // serverStatus.host: the machine's name; from a mongod always with its port
	Hostname string // hostInfo.system.hostname

	Set     string   // name of the replica set
	SetID   string   // settings.replicaSetId: drawn when the set was initiated
	Me      string   // the member's own address
	Members []string // of the set; of a cluster its config servers

	Mongos  bool
	Cluster string // config.version.clusterId: drawn when the cluster was made

	Marker string // the marker's own id: drawn when the marker was written; goes where the document is copied to
	// Home is the UUID of the collection that holds the marker, Data that of admin.system.version, which a mongod makes in a new data directory and a
	// dump does not bring along. Both are drawn when a collection is made: what is restored elsewhere gets others.
	Home, Data string
}

// Sameness says whether two identities belong to one server or deployment. The zero value is Unproven, and unproven is not equal.
type Sameness uint8

// What a comparison may come to.
const (
	Unproven Sameness = iota
	Same
	Different
)

// String is the word for people.
func (s Sameness) String() string {
	return [...]string{"unproven", "same", "different"}[s]
}

// clockTolerance is how far the start of one process may seem to move. Servers tell it as the difference of two clocks that they read one after the other, on
// a busy machine with a pause between. A clock that is set while the server runs makes a process look like another one, which errs on the safe side.
const clockTolerance = 2 * time.Second

// Compare says whether is can be taken for the deployment that was was, possibly after a restart, a fail-over, or through another router, and why (which may
// hold untrusted text). It is for
// what lasts longer than a connection: undo, resume, recovery, plan files, and markers, which say for whom they were written.
//
// A dump that is restored elsewhere brings the marker's id along, a copy of the data files also the ids of set, cluster and collection. So none of them
// counts alone, but only together with the names of machines and ports.
func Compare(was, is Identity) (Sameness, string) {
	s, why := Continued(was, is)
	switch {
	case s != Unproven, both(was.SetID, is.SetID), both(was.Process, is.Process) && was.Process == is.Process:
		return s, why
	case was.says() == "" || is.says() == "":
		return Unproven, "the server does not say enough of itself to be known again"
	case is.says() == "cluster":
		return sameCluster(was, is)
	case is.says() == "set":
		return sameSetWithoutID(was, is)
	}
	return sameStandalone(was, is)
}

// Continued says whether is can be taken for the server that was was without its having been restarted, or for another member of the same replica set. It is
// for one session: what a restart would explain is unproven here, since a tunnel that was pointed elsewhere looks the same. is may say less than was: what
// one hello says is enough if it names the process.
func Continued(was, is Identity) (Sameness, string) {
	if why := contradiction(was, is); why != "" {
		return Different, why
	}
	switch {
	case both(was.Process, is.Process) && was.Process == is.Process:
		return sameProcess(was, is)
	case both(was.SetID, is.SetID): // equal, or they would contradict
		return sameSet(was, is)
	case both(was.Process, is.Process):
		return Unproven, "it is not the process that was there before"
	case was.PID != 0 && is.PID != 0 && was.PID != is.PID:
		return Unproven, fmt.Sprintf("it is process %d, and was process %d", is.PID, was.PID)
	case was.PID == 0 || is.PID == 0 || was.Started.IsZero() || is.Started.IsZero():
		return Unproven, "the server does not say which process it is"
	case was.Started.Sub(is.Started).Abs() > clockTolerance:
		return Unproven, fmt.Sprintf("it was started at %s, and before it said %s", stamp(is.Started), stamp(was.Started))
	case !both(was.Server, is.Server) && !both(was.Hostname, is.Hostname):
		return Unproven, "the server does not say on which machine it runs"
	}
	return samePID(was, is)
}

// kinds are what says returns, for people.
var kinds = map[string]string{"set": "replica set", "cluster": "sharded cluster", "standalone": "server of its own"}

// contradiction is what no restart and no fail-over explains; "" if there is nothing of that kind.
func contradiction(was, is Identity) string {
	kind, now := was.says(), is.says()
	switch {
	case kind != "" && now != "" && kind != now:
		return fmt.Sprintf("it is a %s, and was a %s", kinds[now], kinds[kind])
	case differ(was.Set, is.Set):
		return fmt.Sprintf("its replica set is %q, and was %q", is.Set, was.Set)
	case differ(was.SetID, is.SetID):
		return "it is another replica set of the same name"
	case differ(was.Cluster, is.Cluster):
		return "it is another sharded cluster"
	case kind != "standalone" || now != "standalone":
		return ""
	case both(was.Server, is.Server) && !sameHost(was.Server, is.Server):
		return fmt.Sprintf("it calls itself %q, and was %q", is.Server, was.Server)
	case both(was.Hostname, is.Hostname) && !strings.EqualFold(was.Hostname, is.Hostname):
		return fmt.Sprintf("its machine is %q, and was %q", is.Hostname, was.Hostname)
	case differ(was.Data, is.Data):
		return "it has other data files"
	case both(was.Marker, is.Marker) && was.Marker == is.Marker && differ(was.Home, is.Home):
		return "its marker was copied from there: it is in another collection"
	}
	return ""
}

// sameProcess: the id is drawn at the start. Only a machine that was copied while it ran has it twice.
func sameProcess(was, is Identity) (Sameness, string) {
	if was.PID != 0 && is.PID != 0 && was.PID != is.PID {
		return Unproven, fmt.Sprintf("it says that it is the same process, but with the number %d instead of %d", is.PID, was.PID)
	}
	return Same, "it is the same process"
}

// samePID: number, start and machine are those that were there. One process may still serve two ports with different data, and containers that were started
// together may have all three in common.
func samePID(was, is Identity) (Sameness, string) {
	switch {
	case differ(was.Marker, is.Marker):
		return Unproven, fmt.Sprintf("process %d on %s had another marker", is.PID, cmp.Or(is.Server, is.Hostname))
	case differ(was.Home, is.Home):
		return Unproven, fmt.Sprintf("process %d on %s had its marker in another collection", is.PID, cmp.Or(is.Server, is.Hostname))
	case sameFiles(was, is), both(was.Address, is.Address) && sameAddress(was.Address, is.Address):
		return Same, "it is the same process"
	}
	return Unproven, fmt.Sprintf("process %d on %s was reached at %s, and may serve other data at %s", is.PID, cmp.Or(is.Server, is.Hostname), was.Address, is.Address)
}

// sameSet: the id of a set survives in a copy of its files, which then has members elsewhere.
func sameSet(was, is Identity) (Sameness, string) {
	if m := common(was.members(), is.members()); m != "" {
		return Same, fmt.Sprintf("it is the same replica set, with %s as a member", m)
	}
	return Unproven, "it has the id of the same replica set, but none of the members that were known: is it a copy?"
}

// sameSetWithoutID: not everybody may see the id. Two sets may have one name and name their members alike (in Kubernetes they do), so the marker must be the
// same too, and what was dialled a name that both sets know.
func sameSetWithoutID(was, is Identity) (Sameness, string) {
	const unseen = "the replica set's id cannot be seen (replSetGetConfig), and its name proves nothing"
	switch {
	case !both(was.Set, is.Set):
		return Unproven, unseen
	case !both(was.Marker, is.Marker) && !sameFiles(was, is):
		return Unproven, unseen + "; it has no marker by which it could be known again"
	case differ(was.Marker, is.Marker), differ(was.Home, is.Home), differ(was.Data, is.Data):
		return Unproven, unseen + "; its marker is another one"
	case common(was.members(), is.members()) == "":
		return Unproven, unseen + "; none of its members was known"
	case sameFiles(was, is):
		return Same, "it has the same marker in the same collection, and members that were known"
	case named(was) && named(is):
		return Same, "it has the same marker, and was reached by the names of its own members"
	}
	return Unproven, unseen + "; it was not reached by the name of a member"
}

// sameCluster: any router will do, as long as the cluster is where it was.
func sameCluster(was, is Identity) (Sameness, string) {
	switch {
	case !both(was.Cluster, is.Cluster):
		return Unproven, "the cluster's id cannot be seen (config.version)"
	case common(was.Members, is.Members) != "":
		return Same, "it is the same cluster, with the same config servers"
	case both(was.Server, is.Server) && sameHost(was.Server, is.Server) && both(was.Address, is.Address) && sameAddress(was.Address, is.Address):
		return Same, "it is the same cluster, through the same router"
	}
	return Unproven, "it has the id of the same cluster, but neither config servers nor a router that were known: is it a copy?"
}

// sameStandalone: nothing that a standalone says of itself is its own and lasts. What may be taken for the server that was there after a restart has the
// marker that was there, on the machine that was named, at the port that was dialled.
func sameStandalone(was, is Identity) (Sameness, string) {
	again := "it is another process, and a standalone server says nothing by which it could be known again after a restart"
	switch {
	case !both(was.Server, is.Server) && !both(was.Hostname, is.Hostname):
		return Unproven, again
	case !both(was.Marker, is.Marker) && !sameFiles(was, is):
		return Unproven, again + "; a marker would help"
	case differ(was.Marker, is.Marker), differ(was.Home, is.Home):
		return Unproven, again + "; its marker is another one"
	case !samePlace(was, is):
		return Unproven, fmt.Sprintf("%s; it was reached at %s, and now at %s", again, cmp.Or(was.Address, "?"), cmp.Or(is.Address, "?"))
	case sameFiles(was, is):
		return Same, "it has the same data files, on the same machine and port"
	case (was.here() || is.here()) && !(was.Local && is.Local):
		return Unproven, again + "; " + is.Address + " may be a tunnel, and the marker a copy"
	}
	return Same, "it has the same marker, on the same machine and port"
}

// sameFiles says whether collections are the ones that were there. Requires that nothing of it differs.
func sameFiles(was, is Identity) bool { return both(was.Home, is.Home) || both(was.Data, is.Data) }

// samePlace says whether two standalone servers were reached at one port of one machine: by the address that was dialled, or since both name their port.
func samePlace(was, is Identity) bool {
	if both(was.Address, is.Address) && sameAddress(was.Address, is.Address) {
		return true
	}
	_, p, e1 := net.SplitHostPort(was.Server)
	_, q, e2 := net.SplitHostPort(is.Server)
	return e1 == nil && e2 == nil && p == q
}

// says is what kind of deployment speaks; "" if nothing was said that only a server could know.
func (id Identity) says() string {
	switch {
	case id.Set != "":
		return "set"
	case id.Mongos || id.Cluster != "":
		return "cluster"
	case id.Process != "" || id.PID != 0 || id.Server != "" || id.Hostname != "":
		return "standalone"
	}
	return ""
}

// members are those of the set, with the one that speaks.
func (id Identity) members() []string {
	if id.Me == "" {
		return id.Members
	}
	return append(slices.Clone(id.Members), id.Me)
}

// here says whether this machine was dialled. Loopback is recognized also where that was not looked at.
func (id Identity) here() bool { return id.Here || Loopback(id.Address) }

// named says whether a set was reached by the name of one of its members, which is no address of this machine.
func named(id Identity) bool {
	return id.Address != "" && !id.here() && common([]string{id.Address}, id.members()) != ""
}

// common is an address that both lists hold; "" if there is none.
func common(a, b []string) string {
	for _, x := range a {
		if slices.ContainsFunc(b, func(y string) bool { return sameAddress(x, y) }) {
			return x
		}
	}
	return ""
}

func both(a, b string) bool { return a != "" && b != "" }

func differ(a, b string) bool { return both(a, b) && a != b }

// sameAddress compares what was dialled: names without regard to case and to the root's dot, ports with 27017 where none is given.
func sameAddress(a, b string) bool { return normalAddress(a) == normalAddress(b) }

func normalAddress(s string) string {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "27017"
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), port)
}

// sameHost compares what servers call themselves. Some leave out the port, and some always: so a port contradicts only another port.
func sameHost(a, b string) bool {
	h1, p1, e1 := net.SplitHostPort(a)
	h2, p2, e2 := net.SplitHostPort(b)
	if e1 != nil {
		h1 = a
	}
	if e2 != nil {
		h2 = b
	}
	return strings.EqualFold(h1, h2) && (e1 != nil || e2 != nil || p1 == p2)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// String is the identity for people, who are to compare it with another: one line, in one order. It may hold untrusted text.
func (id Identity) String() string {
	var out []string
	for _, p := range []struct{ what, text string }{
		{"replica set ", id.Set}, {"set id ", id.SetID}, {"cluster ", id.Cluster}, {"member ", id.Me}, {"server ", id.Server}, {"machine ", id.Hostname}, {"process ", id.Process},
		{"pid ", id.Map()["pid"]}, {"started ", id.Map()["started"]}, {"marker ", id.Marker}, {"reached at ", id.Address},
	} {
		if p.text != "" {
			out = append(out, p.what+p.text)
		}
	}
	if len(out) == 0 {
		return "a server that says nothing of itself"
	}
	return strings.Join(out, ", ")
}

// Map is the identity as plan files and records hold it. FromMap(id.Map()) is id, but for a start below the millisecond.
func (id Identity) Map() map[string]string {
	m := map[string]string{
		"address": id.Address, "process": id.Process, "server": id.Server, "host": id.Hostname, "set": id.Set, "setId": id.SetID, "me": id.Me,
		"members": strings.Join(id.Members, ","), "cluster": id.Cluster, "markerId": id.Marker, "home": id.Home, "data": id.Data,
	}
	for k, v := range map[string]bool{"here": id.Here, "local": id.Local, "mongos": id.Mongos} {
		if v {
			m[k] = "true"
		}
	}
	if id.PID != 0 {
		m["pid"] = strconv.FormatInt(id.PID, 10)
	}
	if !id.Started.IsZero() {
		m["started"] = stamp(id.Started)
	}
	maps.DeleteFunc(m, func(_, v string) bool { return v == "" })
	return m
}

// FromMap reads what Map wrote, now or in an earlier version. What cannot be understood was not said.
func FromMap(m map[string]string) Identity {
	id := Identity{
		Address: m["address"], Here: m["here"] == "true", Local: m["local"] == "true", Process: m["process"], Server: m["server"], Hostname: m["host"], Set: m["set"], SetID: m["setId"],
		Me: m["me"], Mongos: m["mongos"] == "true", Cluster: m["cluster"], Marker: m["markerId"], Home: m["home"], Data: m["data"],
	}
	if m["members"] != "" {
		id.Members = strings.Split(m["members"], ",")
	}
	if n, err := strconv.ParseInt(m["pid"], 10, 64); err == nil {
		id.PID = n
	}
	if t, err := time.Parse(time.RFC3339, m["started"]); err == nil {
		id.Started = t.UTC()
	}
	return id
}
