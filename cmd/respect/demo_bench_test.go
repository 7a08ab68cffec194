//go:build unix && !respect_no_embedded && !race

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard"
	"respect/guard/embedded"
	"respect/guard/environment"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
	"respect/shell"
)

// BenchmarkDemo sets the README's own lines, from the answer to the receipt, beside a bare loop of single writes by _id that changes the same documents of the
// same server in the same run, and beside their undo. Machines are noisy: what counts is the ratio. Where others use the machine too, times say less than what the
// process used of its processors, server and client together.
//
//	go test ./cmd/respect -run XXX -bench Demo -benchtime 3x
func BenchmarkDemo(b *testing.B) {
	for _, row := range []struct {
		name, line, coll string
		bare             func(ctx context.Context, c *mongo.Collection, id bson.RawValue) error
		filter           bson.D
	}{
		{
			name: "update-192", coll: "devices", line: `db.devices.updateMany({battery: {$lt: 20}}, {$unset: {seen: 1}})`, filter: bson.D{{Key: "battery", Value: bson.D{{Key: "$lt", Value: 20}}}},
			bare: func(ctx context.Context, c *mongo.Collection, id bson.RawValue) error {
				_, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$unset", Value: bson.D{{Key: "seen", Value: 1}}}})
				return err
			},
		},
		{
			name: "delete-300", coll: "families", line: `db.families.find().forEach(f => db.families.deleteOne({_id: f._id}))`, filter: bson.D{},
			bare: func(ctx context.Context, c *mongo.Collection, id bson.RawValue) error {
				_, err := c.DeleteOne(ctx, bson.D{{Key: "_id", Value: id}})
				return err
			},
		},
	} {
		b.Run(row.name, func(b *testing.B) {
			d := newDemoBench(b)
			var bare, guarded, undone spent
			for b.Loop() {
				c := d.copyOf(b, row.coll)
				ids := idsOf(b, c, row.filter)
				start := now(b)
				for _, id := range ids {
					if err := row.bare(b.Context(), c, id); err != nil {
						b.Fatal(err)
					}
				}
				bare.add(now(b).since(start))
				guarded.add(d.run(b, row.line, int64(len(ids))))
				undone.add(d.run(b, "undo", int64(len(ids))))
			}
			n := float64(b.N)
			b.ReportMetric(bare.wall.Seconds()/n*1000, "bare-ms")
			b.ReportMetric(guarded.wall.Seconds()/n*1000, "guard-ms")
			b.ReportMetric(undone.wall.Seconds()/n*1000, "undo-ms")
			b.ReportMetric(guarded.wall.Seconds()/bare.wall.Seconds(), "times-bare")
			b.ReportMetric((guarded.wall.Seconds()-0.2*n)/bare.wall.Seconds(), "times-bare-less-0.2s")
			b.ReportMetric(bare.cpu.Seconds()/n*1000, "bare-cpu-ms")
			b.ReportMetric(guarded.cpu.Seconds()/n*1000, "guard-cpu-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// spent is time, by the clock and of the processors.
type spent struct{ wall, cpu time.Duration }

func (s *spent) add(t spent) { s.wall, s.cpu = s.wall+t.wall, s.cpu+t.cpu }

// moment is when it is, and what the process has used until then.
type moment struct {
	at  time.Time
	cpu time.Duration
}

func now(b *testing.B) moment {
	b.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return moment{time.Now(), time.Duration(r.Utime.Nano() + r.Stime.Nano())}
}

func (m moment) since(start moment) spent { return spent{m.at.Sub(start.at), m.cpu - start.cpu} }

// BenchmarkDemoStart is how long it takes until the demo's first prompt could stand, once the program is built.
func BenchmarkDemoStart(b *testing.B) {
	for b.Loop() {
		newDemoBench(b).end()
	}
}

// demoBench is the demo as runDemo opens it, with somebody at the terminal who types what is asked for.
type demoBench struct {
	server   *embedded.Server
	client   *mongo.Client
	shell    *shell.Shell
	b        *testing.B
	answered moment
	receipts []guard.Receipt
	took     spent
	said     bytes.Buffer
	closers  []func()
}

func newDemoBench(b *testing.B) *demoBench {
	b.Helper()
	dir := b.TempDir()
	a := &app{out: io.Discard, err: io.Discard, flags: flags{stateDir: dir + "/state"}}
	d := &demoBench{b: b}
	var err error
	if d.server, err = a.startDemo(b.Context(), dir, demoFlags{}, environment.Production); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.end)
	d.closers = append(d.closers, func() { _ = d.server.Close() })
	key, err := journal.OpenKey(durable.OS{}, a.flags.stateDir, "tester@here", rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	log, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: a.flags.stateDir, Now: time.Now, Rand: rand.Reader, Who: replay.Who{User: "tester", Host: "here"}, Key: key})
	if err != nil {
		b.Fatal(err)
	}
	if err := log.Seal(); err != nil {
		b.Fatal(err)
	}
	gate, err := guard.New(guard.Config{
		FS: durable.OS{}, StateDir: a.flags.stateDir, Journal: log, Now: time.Now, Rand: rand.Reader, Who: "tester@here", Operator: d, Reason: "a benchmark", NewID: shell.ID,
	})
	if err != nil {
		b.Fatal(err)
	}
	deployment, err := gate.Connect(b.Context(), guard.Target{URI: d.server.URI() + "famigo", Inside: true})
	if err != nil {
		b.Fatal(err)
	}
	d.shell, err = shell.New(shell.Config{Gate: gate, Deployment: deployment, Database: "famigo", StateDir: a.flags.stateDir, Out: &d.said, Err: &d.said, NewID: shell.ID})
	if err != nil {
		b.Fatal(err)
	}
	d.closers = append(d.closers, func() {
		_ = deployment.Close(context.Background())
		gate.Close()
		_ = log.Close(shell.ExitDone)
	})
	return d
}

func (d *demoBench) end() {
	if d.client != nil {
		_ = d.client.Disconnect(context.Background())
	}
	for i := len(d.closers) - 1; i >= 0; i-- {
		d.closers[i]()
	}
	d.closers, d.client = nil, nil
}

// run runs one entry of the shell and returns what it took from the answer to the receipt.
func (d *demoBench) run(b *testing.B, line string, want int64) spent {
	b.Helper()
	d.said.Reset()
	n := len(d.receipts)
	if code := d.shell.Exec(b.Context(), line, "typed"); code != shell.ExitDone || len(d.receipts) != n+1 {
		b.Fatalf("%s: exit status %d, %d receipts\n%s", line, code, len(d.receipts)-n, d.said.String())
	}
	if r := d.receipts[n]; r.Actual[0].Changed() != want || len(r.Alarm)+len(r.Skipped) > 0 {
		b.Fatalf("%s: want %d changed: %+v", line, want, r)
	}
	return d.took
}

// copyOf makes a collection with the same documents and indexes, and with the index that the embedded server lacks.
func (d *demoBench) copyOf(b *testing.B, name string) *mongo.Collection {
	b.Helper()
	if d.client == nil {
		c, err := mongo.Connect(options.Client().ApplyURI(d.server.URI()).SetDirect(true).SetRetryWrites(false))
		if err != nil {
			b.Fatal(err)
		}
		d.client = c
	}
	db := d.client.Database("famigo")
	cur, err := db.Collection(name).Find(b.Context(), bson.D{})
	if err != nil {
		b.Fatal(err)
	}
	var docs []any
	for cur.Next(b.Context()) {
		docs = append(docs, bson.Raw(bytes.Clone(cur.Current)))
	}
	c := db.Collection(name + "_copy")
	if err := c.Drop(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := c.InsertMany(b.Context(), docs); err != nil {
		b.Fatal(err)
	}
	indexes, err := db.Collection(name).Indexes().ListSpecifications(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, i := range indexes {
		if i.Name == "_id_" {
			continue
		}
		o := options.Index().SetName(i.Name).SetUnique(i.Unique != nil && *i.Unique)
		if _, err := c.Indexes().CreateOne(b.Context(), mongo.IndexModel{Keys: i.KeysDocument, Options: o}); err != nil {
			b.Fatal(err)
		}
	}
	if err := d.server.IndexIDs(b.Context()); err != nil {
		b.Fatal(err)
	}
	return c
}

func idsOf(b *testing.B, c *mongo.Collection, filter bson.D) (ids []bson.RawValue) {
	b.Helper()
	cur, err := c.Find(b.Context(), filter)
	if err != nil {
		b.Fatal(err)
	}
	for cur.Next(b.Context()) {
		id := cur.Current.Lookup("_id")
		ids = append(ids, bson.RawValue{Type: id.Type, Value: bytes.Clone(id.Value)})
	}
	return ids
}

// Present implements guard.Operator, as the rest does.
func (d *demoBench) Present() bool { return true }

func (d *demoBench) Ask(_ context.Context, q guard.Question) (guard.Answer, error) {
	err := q.Shown("the question")
	d.answered = now(d.b)
	return guard.Answer{Text: q.Phrase, Manner: guard.Typed}, err
}

func (d *demoBench) Reason(context.Context, environment.Environment) (guard.Answer, error) {
	return guard.Answer{Text: "a benchmark", Manner: guard.Typed}, nil
}

func (d *demoBench) Progress(guard.Progress) guard.Control { return guard.Go }

func (d *demoBench) Notice(string) {}

func (d *demoBench) Receipt(r guard.Receipt) string {
	d.receipts, d.took = append(d.receipts, r), now(d.b).since(d.answered)
	return "the receipt"
}
