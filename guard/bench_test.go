package guard_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
)

// The benchmarks set what the guard costs beside what a bare program costs that does the same with the driver, in one run, on a server that answers as fast as
// it can. Machines are noisy: what counts is the ratio, which they report.
//
//	go test ./guard -run XXX -bench 'Preview|Change|Backup|Reads' -benchtime 3x -documents 1000000

var documents = flag.Int("documents", 100_000, "how many documents of 1 kB the benchmarks have")

// beside runs both and reports how many times as long the guard takes, and how much memory it needs at most.
func beside(b *testing.B, bare, guarded func(b *testing.B)) {
	b.Helper()
	var plainTime, ours time.Duration
	var peak uint64
	for b.Loop() {
		start := time.Now()
		bare(b)
		plainTime += time.Since(start)
		runtime.GC()
		stop := peakMemory(&peak)
		start = time.Now()
		guarded(b)
		ours += time.Since(start)
		stop()
	}
	n := float64(b.N)
	b.ReportMetric(plainTime.Seconds()/n*1000, "bare-ms/op")
	b.ReportMetric(ours.Seconds()/n*1000, "guard-ms/op")
	b.ReportMetric(ours.Seconds()/plainTime.Seconds(), "times-bare")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// peakMemory watches the heap until it is stopped.
func peakMemory(peak *uint64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapInuse)
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() { close(done); <-ended }
}

func driver(b *testing.B, uri string) *mongo.Client {
	b.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetDirect(true).SetRetryWrites(false))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c
}

// readAll reads the collection into raw BSON and hands each document on.
func readAll(b *testing.B, c *mongo.Collection, each func(bson.Raw) error) {
	b.Helper()
	cur, err := c.Find(b.Context(), bson.D{})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for cur.Next(b.Context()) {
		n++
		if err := each(cur.Current); err != nil {
			b.Fatal(err)
		}
	}
	if err := cur.Err(); err != nil || n != *documents {
		b.Fatal(n, err)
	}
}

const setN = `{"update": "big", "updates": [{"q": {}, "u": {"$set": {"n": 9}}, "multi": true}]}`

// BenchmarkPreview plans a change of all documents, beside reading them.
func BenchmarkPreview(b *testing.B) {
	bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: *documents})
	c := driver(b, bulk.URI()).Database("app").Collection("big")
	bench := (&server{uri: bulk.URI(), db: "app"}).bench(b)
	beside(b, func(b *testing.B) {
		readAll(b, c, func(bson.Raw) error { return nil })
	}, func(b *testing.B) {
		st, err := bench.gate.Begin(guard.Input{Text: "a benchmark", Manner: "argument", Mode: guard.Preview, Full: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.Run(b.Context(), bench.d, "app", raw(b, setN)); err != nil {
			b.Fatal(err)
		}
		if err := st.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		if plans, _ := st.Plans(); plans[0].Documents() != int64(*documents) {
			b.Fatal(plans[0].Documents())
		}
	})
}

// BenchmarkPreviewEmbedded is the same over the embedded server, whose own cost is most of it.
func BenchmarkPreviewEmbedded(b *testing.B) {
	s, err := startProduction()
	if err != nil {
		b.Fatal(err)
	}
	c := driver(b, s.URI).Database("benchmark").Collection("big")
	bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: *documents})
	for i := 0; i < *documents; i += 1000 {
		var docs []any
		for j := i; j < min(i+1000, *documents); j++ {
			docs = append(docs, bulk.Document(int32(j)))
		}
		if _, err := c.InsertMany(b.Context(), docs); err != nil {
			b.Fatal(err)
		}
	}
	defer c.Database().Drop(context.Background()) //nolint:errcheck // the benchmark is over
	bench := (&server{uri: s.URI, db: "benchmark"}).bench(b)
	beside(b, func(b *testing.B) {
		readAll(b, c, func(bson.Raw) error { return nil })
	}, func(b *testing.B) {
		st, err := bench.gate.Begin(guard.Input{Text: "a benchmark", Manner: "argument", Mode: guard.Preview, Full: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.Run(b.Context(), bench.d, "benchmark", raw(b, setN)); err != nil {
			b.Fatal(err)
		}
		if err := st.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkChange carries a change of all documents out, from the intent to the outcome, beside a program that reads each document once and sends the same
// statements in the same batches.
func BenchmarkChange(b *testing.B) {
	set := wiretest.BulkConfig{Documents: *documents, SetName: "rs0"}
	ours, theirs := wiretest.NewBulk(b, set), wiretest.NewBulk(b, set)
	c := driver(b, theirs.URI()).Database("app")
	bench := (&server{uri: ours.URI(), db: "app"}).bench(b)
	next := atomic.Int32{}
	next.Store(100)
	var plainTime, took time.Duration
	var peak uint64
	for b.Loop() {
		n := next.Add(1)
		update := bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: n}}}}
		start := time.Now()
		bareChange(b, c, update)
		plainTime += time.Since(start)
		runtime.GC()
		stop := peakMemory(&peak)
		if _, _, err := bench.run(fmt.Sprintf(`{"update": "big", "updates": [{"q": {}, "u": {"$set": {"n": %d}}, "multi": true}]}`, n)); err != nil {
			b.Fatal(err)
		}
		stop()
		r := bench.op.receipts[len(bench.op.receipts)-1]
		took += r.Took
		if r.Actual[0].Updated != int64(*documents) || len(r.Alarm) > 0 {
			b.Fatal(r)
		}
	}
	b.ReportMetric(plainTime.Seconds()/float64(b.N)*1000, "bare-ms/op")
	b.ReportMetric(took.Seconds()/float64(b.N)*1000, "guard-ms/op")
	b.ReportMetric(plainTime.Seconds()/took.Seconds(), "of-bare-speed")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
	b.ReportMetric(0, "ns/op")
}

// bareChange reads documents a thousand at a time and sends what the guard would send for them.
func bareChange(b *testing.B, db *mongo.Database, update bson.D) {
	b.Helper()
	const batch = 1000
	for i := 0; i < *documents; i += batch {
		ids := bson.A{}
		for j := i; j < min(i+batch, *documents); j++ {
			ids = append(ids, int32(j))
		}
		cur, err := db.Collection("big").Find(b.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, options.Find().SetBatchSize(batch+1))
		if err != nil {
			b.Fatal(err)
		}
		statements := bson.A{}
		for cur.Next(b.Context()) {
			still, err := plan.StillAs(cur.Current, plan.RoadExpr, nil)
			if err != nil {
				b.Fatal(err)
			}
			statements = append(statements, bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: cur.Current.Lookup("_id")}, {Key: "$expr", Value: still.Lookup("$expr")}}}, {Key: "u", Value: update}, {Key: "multi", Value: false}})
		}
		if err := cur.Err(); err != nil {
			b.Fatal(err)
		}
		reply, err := db.RunCommand(b.Context(), bson.D{{Key: "update", Value: "big"}, {Key: "updates", Value: statements}, {Key: "ordered", Value: true}, {Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}}}}).Raw()
		if err != nil || reply.Lookup("n").AsInt64() != int64(len(statements)) {
			b.Fatal(reply, err)
		}
	}
}

// BenchmarkBackup plans a deletion of all documents and seals its backup, beside reading the documents to a file that is synced.
func BenchmarkBackup(b *testing.B) {
	bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: *documents})
	c := driver(b, bulk.URI()).Database("app").Collection("big")
	bench := (&server{uri: bulk.URI(), db: "app"}).bench(b)
	dir := b.TempDir()
	beside(b, func(b *testing.B) {
		f, err := os.Create(filepath.Join(dir, "documents.bson"))
		if err != nil {
			b.Fatal(err)
		}
		w := bufio.NewWriterSize(f, 1<<20)
		readAll(b, c, func(doc bson.Raw) error { _, err := w.Write(doc); return err })
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}, func(b *testing.B) {
		st, err := bench.gate.Begin(guard.Input{Text: "a benchmark", Manner: "argument", Mode: guard.Preview, Full: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.Run(b.Context(), bench.d, "app", raw(b, `{"delete": "big", "deletes": [{"q": {}, "limit": 0}]}`)); err != nil {
			b.Fatal(err)
		}
		if err := st.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		plans, _ := st.Plans()
		if saved, err := plans[0].Seal(); err != nil || saved.Documents != int64(*documents) {
			b.Fatal(saved, err)
		}
	})
}

// BenchmarkReads reads all documents through the gate, as a script does, beside the bare driver.
func BenchmarkReads(b *testing.B) {
	bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: *documents})
	c := driver(b, bulk.URI()).Database("app").Collection("big")
	bench := (&server{uri: bulk.URI(), db: "app"}).bench(b)
	beside(b, func(b *testing.B) {
		readAll(b, c, func(bson.Raw) error { return nil })
	}, func(b *testing.B) {
		st, err := bench.gate.Begin(guard.Input{Text: "a benchmark", Manner: "argument"})
		if err != nil {
			b.Fatal(err)
		}
		cmd, n := raw(b, `{"find": "big"}`), 0
		for batch := "firstBatch"; ; batch = "nextBatch" {
			r, err := st.Run(b.Context(), bench.d, "app", cmd)
			if err != nil {
				b.Fatal(err)
			}
			reply, err := r.Raw(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			id, err := plan.EachIn(reply, batch, func(bson.Raw) error { n++; return nil })
			if err != nil {
				b.Fatal(err)
			}
			if id == 0 {
				break
			}
			cmd = raw(b, fmt.Sprintf(`{"getMore": {"$numberLong": "%d"}, "collection": "big"}`, id))
		}
		if n != *documents {
			b.Fatal(n)
		}
	})
}

// BenchmarkUnguardedWrites updates all documents of a development server through the gate, which asks nothing there and backs nothing up, beside the bare driver
// that sends the same commands.
func BenchmarkUnguardedWrites(b *testing.B) {
	marker := bson.D{{Key: "_id", Value: "environment"}, {Key: "value", Value: "development"}, {Key: "deployment", Value: "any"}, {Key: "by", Value: "test"}, {Key: "at", Value: bson.NewDateTimeFromTime(time.Now())}}
	bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: *documents, Marker: marker})
	db := driver(b, bulk.URI()).Database("app")
	bench := (&server{uri: bulk.URI(), db: "app"}).bench(b)
	var cmds []bson.Raw
	for i := 0; i < *documents; i += 1000 {
		updates := bson.A{}
		for j := i; j < min(i+1000, *documents); j++ {
			updates = append(updates, bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: int32(j)}}}, {Key: "u", Value: bulk.Document(int32(j))}})
		}
		cmd, err := bson.Marshal(bson.D{{Key: "update", Value: "big"}, {Key: "updates", Value: updates}})
		if err != nil {
			b.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	var before, after runtime.MemStats
	allocs := uint64(0)
	beside(b, func(b *testing.B) {
		for _, cmd := range cmds {
			if err := db.RunCommand(b.Context(), cmd).Err(); err != nil {
				b.Fatal(err)
			}
		}
	}, func(b *testing.B) {
		runtime.ReadMemStats(&before)
		st, err := bench.gate.Begin(guard.Input{Text: "a benchmark", Manner: "argument"})
		if err != nil {
			b.Fatal(err)
		}
		for _, cmd := range cmds {
			if _, err := st.Run(b.Context(), bench.d, "app", cmd); err != nil {
				b.Fatal(err)
			}
		}
		if err := st.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
	})
	b.ReportMetric(float64(allocs)/float64(b.N)/float64(*documents), "allocs/document")
}
