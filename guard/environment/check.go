package environment

import (
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Question is one command of the check that goes before a write.
type Question struct {
	DB      string
	Command bson.Raw
	about   about
}

// about says what a question asks for.
type about uint8

const (
	aboutMarker about = iota
	aboutServer       // hello
	aboutStatus       // serverStatus
)

// Check are the questions that tell, right before a write and on its own connection, whether the server is still the one that was seen, with the marker that
// was seen. The marker comes first and the identity last: nothing stands between an identity and the write behind it.
//
// A mongod or mongos names its process in hello (topologyVersion, since 4.4), and two questions do. What other servers say there is said by many, and
// serverStatus is asked as well; and instead, where hello says nothing at all, as from FerretDB without a set.
// Source: https://www.mongodb.com/docs/manual/reference/command/hello/
func (o Observation) Check() []Question {
	out := []Question{questionMarker}
	if o.Process != "" || o.SetName != "" || o.Mongos {
		out = append(out, questionHello)
	}
	if Needs(o) {
		out = append(out, questionStatus)
	}
	return out
}

// Needs says whether a server's hello is not enough to know it again by, so that it must be asked for its status too.
func Needs(o Observation) bool { return o.Process == "" }

// Answer is what the replies to the questions of a check say, in their order. A nil reply is one that the server refused. address is where it was
// dialled.
func Answer(address string, questions []Question, replies []bson.Raw) (Identity, Marker, error) {
	if len(questions) != len(replies) {
		return Identity{}, Marker{}, fmt.Errorf("environment: internal error: %d answers to %d questions", len(replies), len(questions))
	}
	o := Observation{Address: address}
	for i, q := range questions {
		switch q.about {
		case aboutMarker:
			o.Marker = markerOf(replies[i], nil, "")
		case aboutServer:
			o.hello(replies[i])
		case aboutStatus:
			o.status(replies[i])
		}
	}
	return o.Who(), o.Marker, nil
}

var (
	questionMarker = question("respect", aboutMarker, markerCommand("environment"))
	questionHello  = question("admin", aboutServer, bson.D{{Key: "hello", Value: int32(1)}})
	questionStatus = question("admin", aboutStatus, statusCommand())
)

func question(db string, a about, cmd bson.D) Question {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		panic("environment: internal error: " + err.Error())
	}
	return Question{db, raw, a}
}

func markerCommand(coll string) bson.D {
	return bson.D{
		{Key: "find", Value: coll}, {Key: "filter", Value: bson.D{{Key: "_id", Value: "environment"}}},
		{Key: "limit", Value: int32(1)}, {Key: "singleBatch", Value: true},
	}
}

// statusCommand leaves out the sections that cost something.
func statusCommand() bson.D {
	cmd := bson.D{{Key: "serverStatus", Value: int32(1)}}
	for _, section := range []string{"repl", "metrics", "locks", "wiredTiger", "tcmalloc", "opcounters", "opLatencies", "transactions"} {
		cmd = append(cmd, bson.E{Key: section, Value: int32(0)})
	}
	return cmd
}

// hello takes over what a server says in hello.
func (o *Observation) hello(reply bson.Raw) {
	o.SetName, o.Me, o.Members = text(reply, "setName"), text(reply, "me"), nil
	o.Mongos = text(reply, "msg") == "isdbgrid"
	arr, _ := reply.Lookup("hosts").ArrayOK()
	values, _ := arr.Values() // validated by the driver
	for _, v := range values {
		if s, ok := v.StringValueOK(); ok {
			o.Members = append(o.Members, s)
		}
	}
	if id, ok := reply.Lookup("topologyVersion", "processId").ObjectIDOK(); ok {
		o.Process = id.Hex()
	}
}

// status takes over what a server says in serverStatus.
func (o *Observation) status(reply bson.Raw) {
	o.ServerHost, o.Executable = text(reply, "host"), text(reply, "process")
	o.PID, _ = reply.Lookup("pid").AsInt64OK()
	for _, name := range []string{"ferretdbVersion", "ferretdb"} {
		if _, err := reply.LookupErr(name); err == nil {
			o.Ferret = true
		}
	}
	now, ok1 := reply.Lookup("localTime").TimeOK()
	up, ok2 := reply.Lookup("uptimeMillis").AsInt64OK()
	if ok1 && ok2 && up >= 0 {
		o.Started = now.Add(-time.Duration(up) * time.Millisecond).UTC()
	}
	o.Config = nil
	if _, hosts, ok := strings.Cut(text(reply, "sharding", "configsvrConnectionString"), "/"); ok {
		o.Config = strings.Split(hosts, ",")
	}
}

// markerOf is what a look for the marker came to: the reply, or the server's refusal.
func markerOf(reply bson.Raw, refusal error, db string) Marker {
	if reply == nil {
		m := Marker{State: MarkerUnreadable, Scope: db, Err: "the server refuses to read it"}
		if refusal != nil {
			m.Err = refusal.Error()
		}
		return m
	}
	doc := firstDocument(reply)
	if doc == nil {
		return Marker{State: MarkerAbsent, Scope: db}
	}
	m := ParseMarker(doc)
	m.Scope = db
	return m
}
