package wiretest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// clientOf is the real driver, connected to one server.
func clientOf(t testing.TB, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetDirect(true).SetServerSelectionTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(t.Context()) })
	return c
}

// readAll reads a collection through the driver, by _id.
func readAll(t testing.TB, c *mongo.Collection, opts ...options.Lister[options.FindOptions]) map[string]bson.Raw {
	t.Helper()
	cur, err := c.Find(t.Context(), bson.D{}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bson.Raw{}
	for cur.Next(t.Context()) {
		if err := cur.Current.Validate(); err != nil {
			t.Fatal(err)
		}
		out[cur.Current.Lookup("_id").String()] = bytes.Clone(cur.Current)
	}
	if err := cur.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBulkReads: all documents come, each once, as they are alone, whatever the size of the batches, and a batch has 16 MB at most.
func TestBulkReads(t *testing.T) {
	t.Parallel()
	const n = 17_000
	b := NewBulk(t, BulkConfig{Documents: n})
	coll := clientOf(t, b.URI()).Database("app").Collection("big")
	for _, size := range []int32{0, 5000} {
		all := readAll(t, coll, options.Find().SetBatchSize(size))
		if len(all) != n {
			t.Fatalf("batches of %d: %d documents", size, len(all))
		}
		for i := int32(0); i < n; i += 997 {
			doc := all[fmt.Sprintf(`{"$numberInt":"%d"}`, i)]
			if !bytes.Equal(doc, b.Document(i)) || !bytes.Equal(doc, b.Original(i)) || len(doc) != 1024 || doc.Lookup("name").StringValue() != fmt.Sprintf("name %08d", i) || doc.Lookup("n").Int32() != i%7 {
				t.Errorf("batches of %d: document %d is %v", size, i, doc)
			}
		}
	}
	p := dial(t, b.Address(), "app")
	first := p.run(bson.D{{Key: "find", Value: "big"}})
	if got := fields(first.Lookup("cursor", "firstBatch").Value); got != 101 {
		t.Errorf("%d documents in the first batch", got)
	}
	more := bson.D{{Key: "getMore", Value: first.Lookup("cursor", "id")}, {Key: "collection", Value: "big"}}
	if next := p.run(more); fields(next.Lookup("cursor", "nextBatch").Value) != 16<<20/1024 {
		t.Errorf("%d documents in the next", fields(next.Lookup("cursor", "nextBatch").Value))
	}
	if next := p.run(more); next.Lookup("cursor", "id").Int64() != 0 || fields(next.Lookup("cursor", "nextBatch").Value) != n-101-16<<10 {
		t.Errorf("%d documents in the last", fields(next.Lookup("cursor", "nextBatch").Value))
	}
	if next := p.run(more); code(next) != 43 {
		t.Errorf("behind the last: %v", next)
	}
}

// find is the documents of one batch.
func (p *peer) find(filter bson.D, more ...bson.E) (out []bson.Raw) {
	p.t.Helper()
	r := p.run(append(bson.D{{Key: "find", Value: "big"}, {Key: "filter", Value: filter}}, more...))
	list, ok := r.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		p.t.Fatalf("find %v: %v", filter, r)
	}
	values, err := list.Values()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, v := range values {
		out = append(out, v.Document())
	}
	return out
}

func byID(ids ...any) bson.D {
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: append(bson.A{}, ids...)}}}}
}

// TestBulkFinds: by _id, by several in any order, with a limit, only the _ids.
func TestBulkFinds(t *testing.T) {
	t.Parallel()
	b := NewBulk(t, BulkConfig{Documents: 1000, Size: 500})
	p := dial(t, b.Address(), "app")
	for _, tt := range []struct {
		filter bson.D
		more   []bson.E
		want   []int32
	}{
		{bson.D{{Key: "_id", Value: int32(7)}}, nil, []int32{7}},
		{bson.D{{Key: "_id", Value: int64(7)}}, nil, []int32{7}},
		{bson.D{{Key: "_id", Value: 7.0}}, nil, []int32{7}},
		{bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: int32(7)}}}}, nil, []int32{7}},
		{bson.D{{Key: "_id", Value: "7"}}, nil, nil},
		{bson.D{{Key: "_id", Value: int32(1000)}}, nil, nil},
		{byID(int32(9), int32(3), int32(9), "x", int32(-1), int64(5)), nil, []int32{3, 5, 9}},
		{byID(), nil, nil},
		{bson.D{}, []bson.E{{Key: "limit", Value: 3}, {Key: "singleBatch", Value: true}}, []int32{0, 1, 2}},
		{bson.D{}, []bson.E{{Key: "limit", Value: 3}, {Key: "sort", Value: bson.D{{Key: "_id", Value: 1}}}}, []int32{0, 1, 2}},
		{byID(int32(4), int32(2)), []bson.E{{Key: "projection", Value: bson.D{{Key: "_id", Value: 1}}}}, []int32{2, 4}},
	} {
		docs := p.find(tt.filter, tt.more...)
		var got []int32
		for _, d := range docs {
			got = append(got, d.Lookup("_id").Int32())
			want := []byte(b.Document(d.Lookup("_id").Int32()))
			if len(tt.more) == 1 {
				want = encode(bson.D{{Key: "_id", Value: d.Lookup("_id").Int32()}})
			}
			if !bytes.Equal(d, want) {
				t.Errorf("find %v: %v", tt.filter, d)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("find %v, %v = %v, want %v", tt.filter, tt.more, got, tt.want)
		}
	}
	var odd []any
	for i := int32(1); i < 1000; i += 2 {
		odd = append(odd, i)
	}
	r := p.run(bson.D{{Key: "find", Value: "big"}, {Key: "filter", Value: byID(odd...)}, {Key: "batchSize", Value: 200}})
	r = p.run(bson.D{{Key: "getMore", Value: r.Lookup("cursor", "id")}, {Key: "collection", Value: "big"}, {Key: "batchSize", Value: 200}})
	if got := r.Lookup("cursor", "nextBatch", "0").Document(); !bytes.Equal(got, b.Original(401)) || fields(r.Lookup("cursor", "nextBatch").Value) != 200 {
		t.Errorf("the second batch begins with %v", got)
	}
	k := p.run(bson.D{{Key: "killCursors", Value: "big"}, {Key: "cursors", Value: bson.A{r.Lookup("cursor", "id"), int64(5)}}})
	if !k.Lookup("cursorsKilled", "0").Equal(r.Lookup("cursor", "id")) || k.Lookup("cursorsNotFound", "0").AsInt64() != 5 {
		t.Errorf("%v", k)
	}
	for _, cmd := range []bson.D{
		{{Key: "find", Value: "big"}, {Key: "filter", Value: bson.D{{Key: "n", Value: 1}}}},
		{{Key: "find", Value: "big"}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: 1}}}}}},
		{{Key: "find", Value: "big"}, {Key: "projection", Value: bson.D{{Key: "n", Value: 1}}}},
		{{Key: "find", Value: "big"}, {Key: "sort", Value: bson.D{{Key: "n", Value: 1}}}},
		{{Key: "update", Value: "big"}, {Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "name", Value: "x"}}}}}}}}},
		{{Key: "aggregate", Value: "big"}, {Key: "pipeline", Value: bson.A{bson.D{{Key: "$project", Value: bson.D{}}}}}, {Key: "cursor", Value: bson.D{}}},
	} {
		if r := p.run(cmd); code(r) != 238 {
			t.Errorf("%v: %v", cmd, r)
		}
	}
	if r := p.run(bson.D{{Key: "drop", Value: "big"}}); code(r) != 59 {
		t.Errorf("%v", r)
	}
}

// stillAs is the condition for whole-document equality.
func stillAs(doc bson.Raw) bson.E {
	return bson.E{Key: "$expr", Value: bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "$eq", Value: bson.A{"$$ROOT", bson.D{{Key: "$literal", Value: doc}}}}},
		bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}, int32(len(doc))}}},
	}}}}
}

// settingN is an update of one document, as a change sends it.
func settingN(doc bson.Raw, n int32) bson.D {
	return bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: doc.Lookup("_id")}, stillAs(doc)}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: n}}}}}, {Key: "multi", Value: false}}
}

func update(list ...bson.D) bson.D {
	a := bson.A{}
	for _, s := range list {
		a = append(a, s)
	}
	return bson.D{{Key: "update", Value: "big"}, {Key: "updates", Value: a}}
}

// withN is a document with another field n.
func withN(doc bson.Raw, n int32) bson.Raw {
	out := bytes.Clone(doc)
	binary.LittleEndian.PutUint32(out[valueAt(out, "n"):], uint32(n))
	return out
}

// TestBulkWrites: what is changed, put in, replaced and taken out is so in every later read, and no other document is.
func TestBulkWrites(t *testing.T) {
	t.Parallel()
	const n = 7000
	b := NewBulk(t, BulkConfig{Documents: n})
	p := dial(t, b.Address(), "app")
	number := func(r bson.Raw, key string) int64 { v, _ := r.Lookup(key).AsInt64OK(); return v }
	if r := p.run(update(settingN(b.Original(5), 9), settingN(b.Original(6), 9), settingN(withN(b.Original(7), 3), 9))); number(r, "n") != 2 || number(r, "nModified") != 2 {
		t.Errorf("update: %v", r)
	}
	if r := p.run(update(settingN(withN(b.Original(5), 9), 9))); number(r, "n") != 1 || number(r, "nModified") != 0 {
		t.Errorf("update to the same: %v", r)
	}
	if r := p.run(update(bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 8}}}, {Key: "u", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int32(10)}}}}}})); number(r, "nModified") != 1 {
		t.Errorf("increment: %v", r)
	}
	del := func(q bson.D) bson.D {
		return bson.D{{Key: "delete", Value: "big"}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: q}, {Key: "limit", Value: 1}}}}}
	}
	if r := p.run(del(bson.D{{Key: "_id", Value: int32(10)}, stillAs(b.Original(10))})); number(r, "n") != 1 {
		t.Errorf("delete: %v", r)
	}
	if r := p.run(del(bson.D{{Key: "_id", Value: int32(11)}, stillAs(b.Original(12))})); number(r, "n") != 0 {
		t.Errorf("delete of what is another: %v", r)
	}
	tiny := encode(bson.D{{Key: "_id", Value: int32(5_000)}, {Key: "tiny", Value: true}})
	if r := p.run(update(bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: int32(5_000)}}}, {Key: "u", Value: bson.D{{Key: "tiny", Value: true}}}})); number(r, "nModified") != 1 {
		t.Errorf("replace: %v", r)
	}
	fresh := bson.D{{Key: "_id", Value: "fresh"}, {Key: "n", Value: int32(1)}}
	insert := func(docs ...any) bson.D {
		return bson.D{{Key: "insert", Value: "big"}, {Key: "documents", Value: bson.A(docs)}}
	}
	if r := p.run(insert(fresh, b.Original(20), bson.D{{Key: "_id", Value: "never"}})); number(r, "n") != 1 || code(r.Lookup("writeErrors", "0").Document()) != 11000 || r.Lookup("writeErrors", "0", "index").Int32() != 1 {
		t.Errorf("insert: %v", r)
	}
	want := map[string]bson.Raw{}
	for i := range int32(n) {
		want[fmt.Sprintf(`{"$numberInt":"%d"}`, i)] = b.Original(i)
	}
	id := func(i int) string { return fmt.Sprintf(`{"$numberInt":"%d"}`, i) }
	want[id(5)], want[id(6)], want[id(8)], want[id(5_000)], want[`"fresh"`] = withN(b.Original(5), 9), withN(b.Original(6), 9), withN(b.Original(8), 11), tiny, encode(fresh)
	delete(want, id(10))
	compare := func(when string) {
		t.Helper()
		coll := clientOf(t, b.URI()).Database("app").Collection("big")
		for _, size := range []int32{0, 3000} {
			got := readAll(t, coll, options.Find().SetBatchSize(size))
			for k, w := range want {
				if !bytes.Equal(got[k], w) {
					t.Errorf("%s, batches of %d: %s is %v, want %v", when, size, k, got[k], w)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s, batches of %d: %d documents, want %d", when, size, len(got), len(want))
			}
		}
		if c, err := coll.CountDocuments(t.Context(), bson.D{}); err != nil || int(c) != len(want) || b.Count() != len(want) {
			t.Errorf("%s: counted %d, %v, %d", when, c, err, b.Count())
		}
		if c, err := coll.EstimatedDocumentCount(t.Context()); err != nil || int(c) != len(want) {
			t.Errorf("%s: estimated %d, %v", when, c, err)
		}
	}
	compare("after the writes")

	// Back again: then nothing is kept of any document.
	fam := func(q, more bson.D) bson.Raw {
		return p.run(append(bson.D{{Key: "findAndModify", Value: "big"}, {Key: "query", Value: q}}, more...))
	}
	if r := fam(bson.D{{Key: "_id", Value: int32(5_000)}}, bson.D{{Key: "update", Value: b.Original(5_000)}}); !bytes.Equal(r.Lookup("value").Value, tiny) || number(r.Lookup("lastErrorObject").Document(), "n") != 1 {
		t.Errorf("replaced back: %v", r)
	}
	if r := fam(bson.D{{Key: "_id", Value: "fresh"}}, bson.D{{Key: "remove", Value: true}}); !bytes.Equal(r.Lookup("value").Value, encode(fresh)) {
		t.Errorf("taken out: %v", r)
	}
	if r := fam(bson.D{{Key: "_id", Value: int32(8)}}, bson.D{{Key: "update", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: int32(1)}}}}}, {Key: "new", Value: true}}); !bytes.Equal(r.Lookup("value").Value, b.Original(8)) {
		t.Errorf("set back: %v", r)
	}
	if r := fam(bson.D{{Key: "_id", Value: "nobody"}}, bson.D{{Key: "remove", Value: true}}); r.Lookup("value").Type != bson.TypeNull {
		t.Errorf("nobody: %v", r)
	}
	p.run(insert(b.Original(10)))
	p.run(update(bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 5}}}, {Key: "u", Value: b.Original(5)}}, bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 6}}}, {Key: "u", Value: b.Original(6)}}))
	for k := range want {
		delete(want, k)
	}
	for i := range int32(n) {
		want[id(int(i))] = b.Original(i)
	}
	compare("back again")
	if len(b.docs.replaced) != 0 {
		t.Errorf("%d documents are kept whole", len(b.docs.replaced))
	}

	// What lies ready leaves out what is gone.
	for _, gone := range []int{0, 200, 201, 5000, n - 1} {
		p.run(del(bson.D{{Key: "_id", Value: gone}}))
		delete(want, id(gone))
	}
	p.run(update(settingN(b.Original(5001), 9)))
	want[id(5001)] = withN(b.Original(5001), 9)
	compare("with some gone")
}

// TestBulkEquality: a document is equal to one with the same numbers in other types, and has another size then.
func TestBulkEquality(t *testing.T) {
	t.Parallel()
	b := NewBulk(t, BulkConfig{Documents: 10})
	p := dial(t, b.Address(), "app")
	p.run(bson.D{{Key: "insert", Value: "big"}, {Key: "documents", Value: bson.A{bson.D{{Key: "_id", Value: "x"}, {Key: "k", Value: int64(1)}, {Key: "n", Value: int32(1)}}}}})
	for _, tt := range []struct {
		name    string
		literal bson.D
		size    int32
		want    int
	}{
		{"the same", bson.D{{Key: "_id", Value: "x"}, {Key: "k", Value: int64(1)}, {Key: "n", Value: int32(1)}}, 0, 1},
		{"another type of that size", bson.D{{Key: "_id", Value: "x"}, {Key: "k", Value: 1.0}, {Key: "n", Value: int32(1)}}, 0, 1},
		{"another type of another size", bson.D{{Key: "_id", Value: "x"}, {Key: "k", Value: int32(1)}, {Key: "n", Value: int32(1)}}, 0, 0},
		{"the same, and another size is asked for", bson.D{{Key: "_id", Value: "x"}, {Key: "k", Value: int64(1)}, {Key: "n", Value: int32(1)}}, 1, 0},
		{"another value", bson.D{{Key: "_id", Value: "x"}, {Key: "k", Value: int64(2)}, {Key: "n", Value: int32(1)}}, 0, 0},
	} {
		condition := stillAs(encode(tt.literal))
		if tt.size != 0 {
			condition.Value.(bson.D)[0].Value.(bson.A)[1] = bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}, tt.size}}}
		}
		if got := len(p.find(bson.D{{Key: "_id", Value: "x"}, condition})); got != tt.want {
			t.Errorf("%s: %d found, want %d", tt.name, got, tt.want)
		}
	}
}

// TestBulkBehindASet: the faults and the table of retryable writes of a set, and the speed of Bulk.
func TestBulkBehindASet(t *testing.T) {
	t.Parallel()
	b := NewBulk(t, BulkConfig{Documents: 10})
	s := NewReplicaSet(t, SetConfig{Backend: b.Address(), Members: 2})
	s.OnCommand(once("update", AfterStatements(2, SteppingDown(StepDown{To: s.Members()[1], NoAnswer: true}))))
	cmd := append(update(settingN(b.Original(1), 9), settingN(b.Original(2), 9), settingN(b.Original(3), 9)), lsid(1), txnNumber(1))
	dial(t, s.Primary().Address(), "app").gone(cmd)
	if got := b.Changes(); got != 2 {
		t.Fatalf("%d changed", got)
	}
	r := dial(t, s.Primary().Address(), "app").run(cmd)
	if n, _ := r.Lookup("nModified").AsInt64OK(); n != 3 || fmt.Sprint(retriedIDs(r)) != "[0 1]" || b.Changes() != 3 {
		t.Errorf("%v, and %d changed", r, b.Changes())
	}
}

// TestBulkAsASet: what it says of itself, and that a session's last write is answered again.
func TestBulkAsASet(t *testing.T) {
	t.Parallel()
	b := NewBulk(t, BulkConfig{Documents: 100, SetName: "rs9"})
	p := dial(t, b.Address(), "app")
	h := p.run(hello)
	if h.Lookup("setName").StringValue() != "rs9" || h.Lookup("me").StringValue() != b.Address() || h.Lookup("topologyVersion", "processId").Type != bson.TypeObjectID || !h.Lookup("isWritablePrimary").Boolean() {
		t.Errorf("%v", h)
	}
	inc := func(n int64) bson.Raw {
		return p.run(append(update(bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 0}}}, {Key: "u", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int32(1)}}}}}}), lsid(1), txnNumber(n)))
	}
	inc(1)
	if r := inc(1); len(retriedIDs(r)) != 1 || r.Lookup("nModified").Int32() != 1 {
		t.Errorf("again: %v", r)
	}
	inc(2)
	if r := inc(1); code(r) != 225 {
		t.Errorf("too old: %v", r)
	}
	if got := b.Document(0).Lookup("n").Int32(); got != 2 {
		t.Errorf("n is %d", got)
	}
	c, err := mongo.Connect(options.Client().ApplyURI(b.URI() + "?replicaSet=rs9"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(t.Context()) //nolint:errcheck // the test is over
	if r, err := c.Database("app").Collection("big").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: 3}}, bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: int32(77)}}}}); err != nil || r.ModifiedCount != 1 {
		t.Errorf("%v, %v", r, err)
	}
	if r := dial(t, NewBulk(t, BulkConfig{Documents: 1}).Address(), "app").run(append(update(), lsid(1), txnNumber(1))); code(r) != 20 {
		t.Errorf("a standalone: %v", r)
	}
}

const benchDocuments = 1_000_000

// BenchmarkBulkWire reads the documents and looks at none: what the server and the loopback cost.
func BenchmarkBulkWire(b *testing.B) {
	s := NewBulk(b, BulkConfig{Documents: benchDocuments})
	b.SetBytes(benchDocuments * 1024)
	for b.Loop() {
		p := dial(b, s.Address(), "app")
		buf := make([]byte, 1<<20)
		id := p.run(bson.D{{Key: "find", Value: "big"}}).Lookup("cursor", "id").Int64()
		for total := 0; total < (benchDocuments-101)*1024; {
			if err := p.send(bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: "big"}}); err != nil {
				b.Fatal(err)
			}
			var h [4]byte
			if _, err := io.ReadFull(p, h[:]); err != nil {
				b.Fatal(err)
			}
			for rest := int(binary.LittleEndian.Uint32(h[:])) - 4; rest > 0; {
				n, err := p.Read(buf[:min(rest, len(buf))])
				if err != nil {
					b.Fatal(err)
				}
				rest -= n
				total += n
			}
		}
		_ = p.Close()
	}
}

// BenchmarkBulkRead reads them through the driver, which looks at each no further than to find where it ends.
func BenchmarkBulkRead(b *testing.B) {
	s := NewBulk(b, BulkConfig{Documents: benchDocuments})
	coll := clientOf(b, s.URI()).Database("app").Collection("big")
	b.SetBytes(benchDocuments * 1024)
	b.ReportAllocs()
	for b.Loop() {
		cur, err := coll.Find(b.Context(), bson.D{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for cur.Next(b.Context()) {
			n++
		}
		if err := cur.Err(); err != nil || n != benchDocuments {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkBulkCommand reads them through the driver's RunCommand, as package wire does: the batch is one reply.
func BenchmarkBulkCommand(b *testing.B) {
	s := NewBulk(b, BulkConfig{Documents: benchDocuments})
	db := clientOf(b, s.URI()).Database("app")
	b.SetBytes(benchDocuments * 1024)
	b.ReportAllocs()
	for b.Loop() {
		reply, err := db.RunCommand(b.Context(), bson.D{{Key: "find", Value: "big"}}).Raw()
		for n := 0; ; {
			if err != nil {
				b.Fatal(err)
			}
			batch := reply.Lookup("cursor", "firstBatch")
			if batch.Type == 0 {
				batch = reply.Lookup("cursor", "nextBatch")
			}
			n += fields(batch.Value)
			id := reply.Lookup("cursor", "id").Int64()
			if id == 0 {
				if n != benchDocuments {
					b.Fatal(n)
				}
				break
			}
			reply, err = db.RunCommand(b.Context(), bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: "big"}}).Raw()
		}
	}
}

// BenchmarkBulkUpdate sends 1,000 updates in a command, each with its document as it was, and measures the server: the commands lie ready.
func BenchmarkBulkUpdate(b *testing.B) {
	const perCommand = 1000
	s := NewBulk(b, BulkConfig{Documents: perCommand})
	p := dial(b, s.Address(), "app")
	var commands [2]message
	for i := range commands {
		var list []bson.D
		for d := range int32(perCommand) {
			list = append(list, settingN(withN(s.Original(d), int32(9-i)), int32(8+i)))
		}
		commands[i] = message{id: 1, op: opMsg}.withDocument(encode(append(update(list...), bson.E{Key: "$db", Value: "app"})))
	}
	for d := range int32(perCommand) { // so that the first command matches
		p.run(update(bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: d}}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: int32(9)}}}}}}))
	}
	b.SetBytes(int64(len(commands[0].body)))
	for i := 0; b.Loop(); i++ {
		if err := commands[i%2].writeTo(p); err != nil {
			b.Fatal(err)
		}
		r, err := p.receive()
		if n, _ := r.Lookup("nModified").AsInt64OK(); err != nil || n != perCommand {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/perCommand, "ns/document")
}
