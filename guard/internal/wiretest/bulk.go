package wiretest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// BulkConfig says what a Bulk holds and who it says it is.
type BulkConfig struct {
	Documents int    // how many; their _ids are the int32 from 0
	Size      int    // of each, in bytes, encoded; 1024 if 0, and never below what the fields need
	DB        string // "app" if empty
	Coll      string // "big" if empty
	SetName   string // of the replica set that it says it is the primary of; empty: a standalone
	Marker    bson.D // the document of respect.environment; nil: one that says production
}

// Bulk is a server with one collection that may be very large, for measuring what a client costs: it answers as fast as it can and holds no documents.
// They are all made from one encoded document, into which a few bytes are written; of each only the field n is kept, and whether it is still there.
// Documents that were inserted, or replaced by others, are kept whole.
//
// It knows what reading and changing that collection takes, and no more; what it does not know it refuses (NotImplemented), so that nobody takes its
// answer for MongoDB's:
//
//	filters      {}, {_id: x}, {_id: {$eq: x}}, {_id: {$in: [...]}}, and with one of them $expr for whole-document equality ($$ROOT, $bsonSize)
//	projections  none, {_id: 1}
//	sorts        none, {_id: 1}, {$natural: 1}; documents come in the order of _id, inserted ones last
//	updates      {$set: {n: int32}}, {$inc: {n: int32}}, a whole document
//	aggregate    $collStats, $count and what drivers count with, behind an optional $match
//	writes       as a replica set it knows a session's last retryable command as a whole: sent again, it is answered again
//
// Faults and a full table of retryable writes are had by putting a Double or a ReplicaSet in front.
type Bulk struct {
	cfg     BulkConfig
	l       net.Listener
	queue   queue
	process bson.ObjectID
	ns      string
	done    chan struct{} // closed when the test ends

	mu      sync.RWMutex // of all below
	docs    *collection
	cursors map[int64]*cursor
	next    int64
	served  map[string]int64
	conns   map[net.Conn]bool
	last    map[string]retry
	lag     time.Duration
	started time.Time
}

// retry is what a session's last retryable write was answered.
type retry struct {
	txn        int64
	reply      bson.Raw
	statements int
}

// NewBulk starts a server.
func NewBulk(t testing.TB, cfg BulkConfig) *Bulk {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Size == 0 {
		cfg.Size = 1024
	}
	if cfg.DB == "" {
		cfg.DB = "app"
	}
	if cfg.Coll == "" {
		cfg.Coll = "big"
	}
	if cfg.Marker == nil {
		cfg.Marker = bson.D{{Key: "_id", Value: "environment"}, {Key: "value", Value: "production"}, {Key: "deployment", Value: "any"}, {Key: "by", Value: "test"}, {Key: "at", Value: bson.NewDateTimeFromTime(time.Now())}}
	}
	b := &Bulk{
		cfg: cfg, l: l, process: bson.NewObjectID(), ns: cfg.DB + "." + cfg.Coll, docs: newCollection(cfg.Documents, cfg.Size), cursors: map[int64]*cursor{}, next: 1000,
		done: make(chan struct{}), served: map[string]int64{}, conns: map[net.Conn]bool{}, last: map[string]retry{}, started: time.Now(),
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	t.Cleanup(func() {
		close(b.done)
		_ = l.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		for c := range b.conns {
			_ = c.Close()
		}
	})
	return b
}

// URI of the server, without a database.
func (b *Bulk) URI() string { return "mongodb://" + b.Address() + "/" }

// Address of the server.
func (b *Bulk) Address() string { return b.l.Addr().String() }

// SetService makes commands on the collection take time from now on.
func (b *Bulk) SetService(s Service) { b.queue.set(s) }

// SetLag makes replSetGetStatus name a secondary that is so far behind. It exists in that answer only.
func (b *Bulk) SetLag(lag time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lag = lag
}

// Served says how often each command was carried out.
func (b *Bulk) Served() map[string]int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := map[string]int64{}
	for k, v := range b.served {
		out[k] = v
	}
	return out
}

// Count is how many documents there are.
func (b *Bulk) Count() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.docs.count
}

// Document is the document with an _id as it is now; nil if there is none.
func (b *Bulk) Document(id int32) bson.Raw {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.docs.document(key{index: int(id)}, nil)
}

// Original is the document with an _id as it was in the beginning.
func (b *Bulk) Original(id int32) bson.Raw { return b.docs.make(nil, int(id), original(int(id))) }

// Changes are how many documents were changed, put in or taken out so far, each as often as it was.
func (b *Bulk) Changes() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.docs.changes
}

// session is one connection to a Bulk. Its buffers are used again for each message.
type session struct {
	net.Conn
	b     *Bulk
	in    []byte
	out   []byte
	scan  *scan // for batches of whole documents
	count int   // documents that the running command read or wrote
}

func (b *Bulk) serve(conn net.Conn) {
	s := &session{Conn: conn, b: b}
	b.mu.Lock()
	b.conns[conn] = true
	b.mu.Unlock()
	defer func() {
		_ = conn.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.conns, conn)
	}()
	for {
		m, err := s.read()
		if err != nil || s.answer(m) != nil {
			return
		}
	}
}

// read is the next message; its body is good until the one after.
func (s *session) read() (message, error) {
	var h [16]byte
	if _, err := io.ReadFull(s.Conn, h[:]); err != nil {
		return message{}, err
	}
	n := int(binary.LittleEndian.Uint32(h[:]))
	if n < 16 || n > maxMessage {
		return message{}, fmt.Errorf("a message of %d bytes", n)
	}
	s.in = slices.Grow(s.in[:0], n)[:n-16]
	m := message{id: int32(binary.LittleEndian.Uint32(h[4:])), op: int32(binary.LittleEndian.Uint32(h[12:])), body: s.in}
	_, err := io.ReadFull(s.Conn, s.in)
	return m, err
}

// request is a command as it came in, taken apart no further than needed.
type request struct {
	message
	doc  bsoncore.Document
	name string
	db   string
	coll string // the value of the first field, if that is text
}

// answer carries out one command and answers it.
func (s *session) answer(m message) error {
	if doc, err := m.legacy(); err == nil {
		return m.reply(s.b.hello(doc)).writeTo(s)
	}
	r, err := requestOf(m)
	if err != nil {
		return err
	}
	s.count = 0
	handle := bulkCommands[r.name]
	s.b.mu.Lock()
	s.b.served[r.name]++
	s.b.mu.Unlock()
	if handle == nil {
		return s.reply(r, (&failure{59, "CommandNotFound", "no such command: '" + r.name + "'"}).reply())
	}
	reply, err := handle(s, r)
	if err != nil {
		return err
	}
	if s.count > 0 {
		s.b.queue.serve(s.count)
	}
	if reply.ready != nil {
		return reply.ready()
	}
	return s.reply(r, reply.doc)
}

// bulkReply is a document, or what sends one that lies ready.
type bulkReply struct {
	doc   bson.Raw
	ready func() error
}

func answerOf(d bson.D) (bulkReply, error) {
	return bulkReply{doc: encode(append(d, bson.E{Key: "ok", Value: 1.0}))}, nil
}

func refusal(f *failure) (bulkReply, error) { return bulkReply{doc: f.reply()}, nil }

// unknown is what is refused for not being known.
func unknown(what string) *failure {
	return &failure{238, "NotImplemented", "wiretest.Bulk does not know " + what}
}

// reply sends a document.
func (s *session) reply(r request, doc bson.Raw) error {
	if s.b.cfg.SetName != "" {
		doc = with(doc, s.b.times())
	}
	s.out = appendHeader(s.out[:0], r.id)
	s.out = append(s.out, doc...)
	return s.send(s.out)
}

// headerSize is that of an OP_MSG before its document.
const headerSize = 21

// appendHeader appends what stands before the document of an answer; its length is written by send.
func appendHeader(b []byte, responseTo int32) []byte {
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(responseTo))
	b = binary.LittleEndian.AppendUint32(b, opMsg)
	return append(b, 0, 0, 0, 0, 0)
}

func (s *session) send(b []byte) error {
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	_, err := s.Write(b)
	return err
}

// times are what a member of a set adds to its answers.
func (b *Bulk) times() bson.D {
	now := bson.Timestamp{T: uint32(time.Now().Unix()), I: 1}
	return bson.D{
		{Key: "$clusterTime", Value: bson.D{{Key: "clusterTime", Value: now}, {Key: "signature", Value: bson.D{{Key: "hash", Value: bson.Binary{Data: make([]byte, 20)}}, {Key: "keyId", Value: int64(0)}}}}},
		{Key: "operationTime", Value: now},
	}
}

// requestOf reads as little as can be: a command may be 48 MB long. Document sequences are read as the arrays that they are.
func requestOf(m message) (request, error) {
	r := request{message: m}
	if m.op != opMsg || len(m.body) < 5 {
		return r, errNoCommand
	}
	if whole, err := sized(m.body[5:]); m.body[4] == 0 && err == nil && len(whole) == len(m.body)-5 {
		r.doc = whole
	} else {
		doc, err := m.document()
		if err != nil {
			return r, err
		}
		r.doc = bsoncore.Document(doc)
	}
	err := elements(r.doc, func(key []byte, v bsoncore.Value) *failure {
		if r.name == "" {
			r.name = string(key)
			r.coll, _ = v.StringValueOK()
		}
		if string(key) == "$db" {
			r.db, _ = v.StringValueOK()
		}
		return nil
	})
	if err != nil {
		return r, errNoCommand
	}
	return r, nil
}

// elements calls f with each element of a document or array, until it fails.
func elements(doc []byte, f func(key []byte, v bsoncore.Value) *failure) *failure {
	if len(doc) < 5 {
		return malformed
	}
	rest := doc[4 : len(doc)-1]
	for len(rest) > 0 {
		e, more, ok := bsoncore.ReadElement(rest)
		if !ok {
			return malformed
		}
		if err := f(e.KeyBytes(), e.Value()); err != nil {
			return err
		}
		rest = more
	}
	return nil
}

var malformed = &failure{22, "InvalidBSON", "wiretest.Bulk cannot read the command"}

// whole says whether a number is one without a fraction, and which.
func whole(v bsoncore.Value) (int64, bool) {
	switch v.Type {
	case bsoncore.TypeInt32:
		return int64(v.Int32()), true
	case bsoncore.TypeInt64:
		return v.Int64(), true
	case bsoncore.TypeDouble:
		f := v.Double()
		return int64(f), f == float64(int64(f))
	}
	return 0, false
}

// hello answers the handshake.
func (b *Bulk) hello(cmd bson.Raw) bson.Raw {
	var more bson.D
	if b.cfg.SetName != "" {
		last := bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(time.Now().Unix()), I: 1}}, {Key: "t", Value: int64(1)}}
		now := bson.NewDateTimeFromTime(time.Now().Truncate(time.Second))
		more = bson.D{
			{Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: b.process}, {Key: "counter", Value: int64(6)}}}, {Key: "hosts", Value: bson.A{b.Address()}},
			{Key: "setName", Value: b.cfg.SetName}, {Key: "setVersion", Value: int32(1)}, {Key: "secondary", Value: false}, {Key: "primary", Value: b.Address()}, {Key: "me", Value: b.Address()},
			{Key: "electionId", Value: electionID(1)},
			{Key: "lastWrite", Value: bson.D{{Key: "opTime", Value: last}, {Key: "lastWriteDate", Value: now}, {Key: "majorityOpTime", Value: last}, {Key: "majorityWriteDate", Value: now}}},
		}
	}
	if ms, ok := cmd.Lookup("maxAwaitTimeMS").AsInt64OK(); ok && cmd.Lookup("topologyVersion", "processId").Equal(bson.RawValue{Type: bson.TypeObjectID, Value: b.process[:]}) {
		select { // nothing ever changes
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-b.done:
		}
	}
	return encode(helloReply(more))
}
