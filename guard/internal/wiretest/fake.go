package wiretest

import (
	"net"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Fake is a server whose answers a test makes.
type Fake struct{ l net.Listener }

// NewFake starts a server. answer is called for each command but the handshake; its documents are sent as they are. hello is what the handshake adds to
// its answer: setName, hosts, topologyVersion.
func NewFake(t testing.TB, hello bson.D, answer func(db string, cmd bson.Raw) bson.D) *Fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{l: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c, hello, answer)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return f
}

// URI of the fake, without a database.
func (f *Fake) URI() string { return "mongodb://" + f.l.Addr().String() + "/" }

// Address of the fake.
func (f *Fake) Address() string { return f.l.Addr().String() }

func (f *Fake) serve(c net.Conn, hello bson.D, answer func(string, bson.Raw) bson.D) {
	defer c.Close()
	for {
		m, err := readMessage(c)
		if err != nil {
			return
		}
		var doc bson.D
		cmd, err := m.document()
		if err != nil {
			doc = helloReply(hello)
		} else if e, _ := cmd.IndexErr(0); e != nil && (e.Key() == "hello" || e.Key() == "isMaster" || e.Key() == "ismaster") {
			doc = helloReply(hello)
		} else {
			db, _ := cmd.Lookup("$db").StringValueOK()
			doc = answer(db, cmd)
		}
		raw, err := bson.Marshal(doc)
		if err != nil {
			return
		}
		if m.reply(raw).writeTo(c) != nil {
			return
		}
	}
}

// helloReply is a standalone's, or a primary's if more says so.
func helloReply(more bson.D) bson.D {
	return append(bson.D{
		{Key: "isWritablePrimary", Value: true}, {Key: "ismaster", Value: true}, {Key: "helloOk", Value: true},
		{Key: "maxBsonObjectSize", Value: int32(16777216)}, {Key: "maxMessageSizeBytes", Value: int32(48000000)}, {Key: "maxWriteBatchSize", Value: int32(100000)},
		{Key: "logicalSessionTimeoutMinutes", Value: int32(30)}, {Key: "minWireVersion", Value: int32(0)}, {Key: "maxWireVersion", Value: int32(25)},
		{Key: "readOnly", Value: false},
	}, append(more, bson.E{Key: "ok", Value: float64(1)})...)
}
