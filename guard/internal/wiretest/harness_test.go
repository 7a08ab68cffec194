package wiretest

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/embedded/embeddedtest"
	"respect/replay/durable/durabletest"
)

// The embedded server runs as a child process, one for all tests of this package, each of which has a database of its own.

var (
	running      *embeddedtest.Server
	startBackend = sync.OnceValues(func() (*embeddedtest.Server, error) { return start() })
	backendDir   string
	nextDatabase atomic.Int64
	patience     = 10 * time.Second // after which a test says that something hangs
)

func start() (s *embeddedtest.Server, err error) {
	binary, err := embeddedtest.Build()
	if err != nil {
		return nil, err
	}
	if backendDir, err = durabletest.MkdirMemory("respect-wiretest-"); err != nil {
		return nil, err
	}
	running, err = embeddedtest.Run(binary, backendDir, "development")
	return running, err
}

func TestMain(m *testing.M) {
	code := m.Run()
	if running != nil {
		running.Stop()
	}
	if backendDir != "" {
		_ = os.RemoveAll(backendDir)
	}
	os.Exit(code)
}

// backend is the address of a real server, and a database that nobody else uses.
func backend(t testing.TB) (address, db string) {
	t.Helper()
	s, err := startBackend()
	if err != nil {
		t.Fatal(err)
	}
	return s.Address, fmt.Sprintf("wiretest%d", nextDatabase.Add(1))
}

// peer is a client without a driver, so that a test sees what is on the wire and nothing is tried again.
type peer struct {
	net.Conn
	t  testing.TB
	db string
}

func dial(t testing.TB, address, db string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &peer{Conn: c, t: t, db: db}
}

// send sends a command without waiting.
func (p *peer) send(cmd bson.D) error {
	m := message{id: 1, op: opMsg}.withDocument(encode(append(cmd[:len(cmd):len(cmd)], bson.E{Key: "$db", Value: p.db})))
	return m.writeTo(p)
}

// receive is the next answer; an error if there is none.
func (p *peer) receive() (bson.Raw, error) {
	if err := p.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	m, err := readMessage(p)
	if err != nil {
		return nil, err
	}
	return m.document()
}

// try is the answer to a command; an error if the connection ends instead.
func (p *peer) try(cmd bson.D) (bson.Raw, error) {
	if err := p.send(cmd); err != nil {
		return nil, err
	}
	return p.receive()
}

// run is the answer to a command.
func (p *peer) run(cmd bson.D) bson.Raw {
	p.t.Helper()
	doc, err := p.try(cmd)
	if err != nil {
		p.t.Fatalf("%v: %v", cmd, err)
	}
	return doc
}

// gone fails the test unless a command ends with the connection.
func (p *peer) gone(cmd bson.D) {
	p.t.Helper()
	if doc, err := p.try(cmd); err == nil {
		p.t.Fatalf("%v was answered: %v", cmd, doc)
	}
}

// ids are the _ids of a collection, in order.
func ids(t testing.TB, address, db, coll string) (out []int32) {
	t.Helper()
	reply := dial(t, address, db).run(bson.D{{Key: "find", Value: coll}, {Key: "sort", Value: bson.D{{Key: "_id", Value: 1}}}})
	values, err := reply.Lookup("cursor", "firstBatch").Array().Values()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		out = append(out, v.Document().Lookup("_id").Int32())
	}
	return out
}

// inserting is an insert of documents that have an _id only.
func inserting(coll string, ids ...int32) bson.D {
	docs := bson.A{}
	for _, id := range ids {
		docs = append(docs, bson.D{{Key: "_id", Value: id}})
	}
	return bson.D{{Key: "insert", Value: coll}, {Key: "documents", Value: docs}}
}

// incrementing is an update of documents, one statement each.
func incrementing(coll string, ids ...int32) bson.D {
	list := bson.A{}
	for _, id := range ids {
		list = append(list, bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: id}}}, {Key: "u", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "k", Value: int32(1)}}}}}})
	}
	return bson.D{{Key: "update", Value: coll}, {Key: "updates", Value: list}}
}

// values are the fields k of a collection, by the order of _id; -1 where there is none.
func values(t testing.TB, address, db, coll string) (out []int32) {
	t.Helper()
	reply := dial(t, address, db).run(bson.D{{Key: "find", Value: coll}, {Key: "sort", Value: bson.D{{Key: "_id", Value: 1}}}})
	list, err := reply.Lookup("cursor", "firstBatch").Array().Values()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		k, ok := v.Document().Lookup("k").Int32OK()
		if !ok {
			k = -1
		}
		out = append(out, k)
	}
	return out
}

func code(reply bson.Raw) int32 {
	c, _ := reply.Lookup("code").AsInt64OK()
	return int32(c)
}
