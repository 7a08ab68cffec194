package embedded

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// say is an OP_MSG with sections: the first is a document, the others are document sequences named updates.
func say(id uint32, flags uint32, doc bson.D, sequence ...bson.D) message {
	m := binary.LittleEndian.AppendUint32(nil, 0)
	m = binary.LittleEndian.AppendUint32(m, id)
	m = binary.LittleEndian.AppendUint32(m, 0)
	m = binary.LittleEndian.AppendUint32(m, opMsg)
	m = binary.LittleEndian.AppendUint32(m, flags)
	m = append(append(m, 0), marshal(doc)...)
	if len(sequence) > 0 {
		section := append(make([]byte, 4), "updates\x00"...)
		for _, d := range sequence {
			section = append(section, marshal(d)...)
		}
		binary.LittleEndian.PutUint32(section, uint32(len(section)))
		m = append(append(m, 1), section...)
	}
	if flags&checksumPresent != 0 {
		m = append(m, 1, 2, 3, 4)
	}
	binary.LittleEndian.PutUint32(m, uint32(len(m)))
	return m
}

func marshal(d bson.D) bson.Raw {
	raw, err := bson.Marshal(d)
	if err != nil {
		panic(err)
	}
	return raw
}

// backend answers each command with what it was asked, and counts how many writes it has at once.
type backend struct {
	l    net.Listener
	now  atomic.Int32
	many atomic.Bool // it had several
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{l: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(c)
		}
	}()
	return b
}

func (b *backend) serve(c net.Conn) {
	defer c.Close()
	for {
		m, err := readMessage(c)
		if err != nil {
			return
		}
		doc, err := m.document()
		if err != nil {
			return
		}
		write := !reads[doc.Index(0).Key()]
		if write && b.now.Add(1) > 1 {
			b.many.Store(true)
		}
		found := bson.D{{Key: "firstBatch", Value: bson.A{bson.D{{Key: "_id", Value: "a"}, {Key: "n", Value: int32(1)}}}}}
		reply := m.answer(marshal(bson.D{{Key: "asked", Value: doc}, {Key: "cursor", Value: found}, {Key: "ok", Value: 1.0}}))
		if write {
			b.now.Add(-1)
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

func (b *backend) front(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := newFront(l, func() (net.Conn, error) { return net.Dial("tcp", b.l.Addr().String()) })
	t.Cleanup(f.close)
	return f
}

func dial(t *testing.T, f *front) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestFront: each client gets the answers to its own messages, in order, while one write is carried out at a time.
func TestFront(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	f := b.front(t)
	var all sync.WaitGroup
	for n := range 8 {
		c := dial(t, f) // before it is open
		all.Go(func() {
			for i := range 50 {
				name := []string{"insert", "find", "update"}[i%3]
				sent := say(uint32(1000*n+i), 0, bson.D{{Key: name, Value: "c"}, {Key: "i", Value: int32(1000*n + i)}, {Key: "$db", Value: "app"}})
				if i%7 == 0 {
					if _, err := c.Write(say(uint32(1000*n+i), moreToCome, bson.D{{Key: name, Value: "unanswered"}, {Key: "$db", Value: "app"}})); err != nil {
						t.Error(err)
						return
					}
				}
				reply, err := roundTrip(c, sent)
				if err != nil {
					t.Error(err)
					return
				}
				doc, err := reply.document()
				if err != nil || doc.Lookup("asked", "i").AsInt64() != int64(1000*n+i) || reply.word(8) != sent.word(4) {
					t.Errorf("client %d, message %d: %v (%v)", n, i, doc, err)
					return
				}
			}
		})
	}
	f.open()
	all.Wait()
	if b.many.Load() {
		t.Error("several writes were carried out at once")
	}
}

// TestShortened: a filter becomes its _id alone where the document that has it matches for certain, and nowhere else. The document is {_id: "a", n: 1}.
func TestShortened(t *testing.T) {
	t.Parallel()
	f := newBackend(t).front(t)
	f.open()
	c := dial(t, f)
	id := bson.E{Key: "_id", Value: "a"}
	for _, row := range []struct {
		q    bson.D
		more bson.D // beside q in the statement
		want bool
	}{
		{q: bson.D{id, {Key: "n", Value: 1}}, want: true},
		{q: bson.D{{Key: "n", Value: 1}, id}, want: true},
		{q: bson.D{id, {Key: "n", Value: bson.D{{Key: "$eq", Value: 1}, {Key: "$type", Value: 16}, {Key: "$exists", Value: true}, {Key: "$not", Value: bson.D{{Key: "$type", Value: 4}}}}}}, want: true},
		{q: bson.D{id, {Key: "m", Value: bson.D{{Key: "$exists", Value: false}}}}, want: true},
		{q: bson.D{id}},
		{q: bson.D{id, {Key: "n", Value: 2}}},
		{q: bson.D{id, {Key: "n", Value: bson.D{{Key: "$eq", Value: 1}, {Key: "$type", Value: 18}}}}},
		{q: bson.D{id, {Key: "$where", Value: "true"}}},
		{q: bson.D{id, {Key: "$expr", Value: true}}},
		{q: bson.D{id, {Key: "_id", Value: "b"}}},
		{q: bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: 1}}},
		{q: bson.D{{Key: "_id", Value: bson.D{{Key: "$gte", Value: "a"}}}, {Key: "n", Value: 1}}},
		{q: bson.D{id, {Key: "n", Value: 1}}, more: bson.D{{Key: "collation", Value: bson.D{{Key: "locale", Value: "en"}, {Key: "strength", Value: 1}}}}},
	} {
		for _, name := range []string{"update", "findAndModify"} {
			key, cmd := "query", append(bson.D{{Key: name, Value: "c"}, {Key: "query", Value: row.q}, {Key: "$db", Value: "app"}}, row.more...)
			if name == "update" {
				key, cmd = "q", bson.D{{Key: name, Value: "c"}, {Key: "updates", Value: bson.A{append(bson.D{{Key: "q", Value: row.q}, {Key: "u", Value: bson.D{}}}, row.more...)}}, {Key: "$db", Value: "app"}}
			}
			reply, err := roundTrip(c, say(7, 0, cmd))
			if err != nil {
				t.Fatal(err)
			}
			doc, err := reply.document()
			if err != nil {
				t.Fatal(err)
			}
			got, want := doc.Lookup("asked"), marshal(cmd)
			if row.want {
				want = replaced(marshal(cmd), "query", bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: marshal(bson.D{id})})
			}
			if name == "update" {
				got, want = got.Document().Lookup("updates", "0", key), marshal(row.q)
				if row.want {
					want = marshal(bson.D{id})
				}
			}
			if string(got.Value) != string(want) {
				t.Errorf("%s %v arrives as %v", name, row.q, got)
			}
		}
	}
}

// TestFrontEnds: a client that waits is told when the server ends, and one that goes takes its connection to FerretDB along.
func TestFrontEnds(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	f := b.front(t)
	waits := dial(t, f)
	f.close()
	if n, err := io.Copy(io.Discard, waits); n > 0 {
		t.Errorf("a client that was not let in got %d bytes (%v)", n, err)
	}
	f = b.front(t)
	f.open()
	c := dial(t, f)
	if _, err := roundTrip(c, say(1, 0, bson.D{{Key: "ping", Value: 1}})); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	f.close() // waits for all that the front holds
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.conns) > 0 {
		t.Errorf("%d connections are still held", len(f.conns))
	}
}

// FuzzMessage: what a client sends is read without harm, and what is understood of it says the same when it is written again.
func FuzzMessage(f *testing.F) {
	update := bson.D{{Key: "update", Value: "c"}, {Key: "$db", Value: "app"}}
	statement := bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: "a"}, {Key: "n", Value: 1}}}, {Key: "u", Value: bson.D{}}}
	for _, m := range []message{say(1, 0, update), say(2, 0, update, statement, statement), say(3, checksumPresent, update, statement), say(4, moreToCome, update), make(message, header), {}} {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < header {
			return
		}
		m := message(b)
		_ = m.unanswered()
		doc, err := m.document()
		if err != nil {
			return
		}
		again, err := m.with(doc).document()
		if err != nil || string(again) != string(doc) {
			t.Errorf("%v became %v (%v)", doc, again, err)
		}
	})
}

// TestSequences: updates that come as a document sequence are the same as in an array.
func TestSequences(t *testing.T) {
	t.Parallel()
	statement := bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: "a"}}}}
	for _, flags := range []uint32{0, checksumPresent} {
		doc, err := say(1, flags, bson.D{{Key: "update", Value: "c"}}, statement, statement).document()
		want := marshal(bson.D{{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{statement, statement}}})
		if err != nil || string(doc) != string(want) {
			t.Errorf("flags %d: %v (%v), want %v", flags, doc, err, want)
		}
	}
}
