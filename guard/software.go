package guard

import (
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
)

// software is what the server is. The zero value is a server of which nothing is known.
type software struct {
	version  string
	mongodb  bool // MongoDB itself, not another server that speaks its protocol
	embedded bool // FerretDB 1, which has limits that MongoDB does not have
	// plansOnly says that explain of an update, a delete or a findAndModify carries nothing out here. It holds for MongoDB by its manual, and for FerretDB 1,
	// whose explain makes a query plan of filter and sort and calls nothing else (its msg_explain.go). Other servers are not believed.
	plansOnly bool
}

// softwareOf tells what a server is by its answers to buildInfo and hello.
//
// MongoDB is known by what its own builds say and servers that only speak its protocol do not: the JavaScript engine and the allocator that it was built with, a
// storage engine of its own, the commit, and, since 4.4, the process that answers.
// Sources: https://www.mongodb.com/docs/manual/reference/command/buildInfo/, …/hello/.
func softwareOf(build, hello bson.Raw) software {
	var s software
	s.version, _ = build.Lookup("version").StringValueOK()
	ferret, _ := build.Lookup("ferretdbVersion").StringValueOK()
	s.embedded = ferret == "unknown" || strings.HasPrefix(strings.TrimPrefix(ferret, "v"), "1.") // the version is known only where FerretDB itself was built
	s.mongodb = mongodb(build, hello)
	s.plansOnly = s.embedded || s.mongodb
	return s
}

// name is how plan files call it; "" for a server that is not known.
func (s software) name() string {
	if s.mongodb {
		return plan.MongoDB
	}
	return ""
}

// mongodb says whether a server is MongoDB itself, as far as its answers tell.
func mongodb(build, hello bson.Raw) bool {
	for _, foreign := range []string{"ferretdbVersion", "ferretdb", "_t", "documentdb", "internalVersion"} {
		if _, err := build.LookupErr(foreign); err == nil {
			return false
		}
	}
	for _, own := range []string{"javascriptEngine", "allocator"} {
		if s, _ := build.Lookup(own).StringValueOK(); s == "" {
			return false
		}
	}
	if _, ok := build.Lookup("buildEnvironment", "target_arch").StringValueOK(); !ok {
		return false
	}
	commit, _ := build.Lookup("gitVersion").StringValueOK()
	engines, _ := build.Lookup("storageEngines").ArrayOK()
	values, _ := engines.Values() // of no array: none
	stores := false
	for _, v := range values {
		name, _ := v.StringValueOK()
		stores = stores || name == "wiredTiger" || name == "inMemory" || name == "mmapv1"
	}
	_, process := hello.Lookup("topologyVersion", "processId").ObjectIDOK()
	version, _ := build.Lookup("version").StringValueOK()
	old := strings.HasPrefix(version, "3.") || strings.HasPrefix(version, "4.0.") || strings.HasPrefix(version, "4.2.")
	mongos, _ := hello.Lookup("msg").StringValueOK() // it stores nothing itself
	return len(commit) == 40 && (stores || mongos == "isdbgrid") && (process || old)
}

// reads says whether a command changes nothing on this server: what is a read everywhere, and an explanation where it is known to carry nothing out.
func (d *Deployment) reads(c *command.Command) bool {
	return c.Class() == command.Read || c.Class() == command.Session || c.ExplainsStatement() && d.software.plansOnly
}

// Version is the server's own version.
func (d *Deployment) Version() string { return d.software.version }

// major is the first number of MongoDB's version; 0 if it is not known, or of another server.
func (d *Deployment) major() int {
	first, _, _ := strings.Cut(d.software.version, ".")
	n, err := strconv.Atoi(first)
	if err != nil || d.software.embedded {
		return 0
	}
	return n
}

// Embedded says that the server is FerretDB 1, which cannot do all that MongoDB can.
func (d *Deployment) Embedded() bool { return d.software.embedded }
