package guard_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/guard/policy"
	"respect/replay/durable"
)

// BenchmarkPacing is how long others wait while documents are changed: single reads, 300 a second, on a server that takes 0.1 ms for a command and 0.05 ms for a
// document, and lets others in every 10 ms. The program without a guard sends batches as large as they may be, one behind the other.
//
//	go test ./guard -run XXX -bench Pacing -benchtime 1x -documents 20000
func BenchmarkPacing(b *testing.B) {
	gentle := parsePolicy(b, "policy: {production: {documents: {pace: {batch: 20ms, busy: 50}}}}")
	next := int32(500)
	for _, row := range []struct {
		name  string
		rules *policy.Policy
		do    string
	}{
		{"nobody", nil, ""},
		{"a-program-without-guard", nil, "bare"},
		{"change-default-pace", nil, "change"},
		{"change-batch-20ms-busy-50", gentle, "change"},
	} {
		b.Run(row.name, func(b *testing.B) {
			bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: *documents, SetName: "rs0"})
			work := func(func()) { time.Sleep(2 * time.Second) }
			switch row.do {
			case "bare":
				c := driver(b, bulk.URI()).Database("app")
				work = func(func()) { next++; bareChange(b, c, bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: next}}}}) }
			case "change":
				bench := &bench{server: &server{uri: bulk.URI(), db: "app"}, t: b, dir: b.TempDir(), fs: durable.OS{}, op: &operator{}, reason: "a benchmark", policy: row.rules, wait: time.Sleep}
				if err := bench.open(); err != nil {
					b.Fatal(err)
				}
				defer bench.close()
				work = func(begin func()) {
					next++
					bench.op.answer = func(q guard.Question) guard.Answer {
						begin()
						return guard.Answer{Text: q.Phrase, Manner: guard.Typed}
					}
					if _, _, err := bench.run(fmt.Sprintf(`{"update": "big", "updates": [{"q": {}, "u": {"$set": {"n": %d}}, "multi": true}]}`, next)); err != nil {
						b.Fatal(err)
					}
				}
			}
			bulk.SetService(wiretest.Service{Base: 100 * time.Microsecond, PerDocument: 50 * time.Microsecond, Slice: 10 * time.Millisecond})
			others := wiretest.Workload{Address: bulk.Address(), DB: "app", Collection: "big", Documents: *documents, Rate: 300}
			for b.Loop() {
				ctx, stop := context.WithCancel(b.Context())
				waited := make(chan wiretest.Latencies, 1)
				var start time.Time
				begin := func() { // of what is measured: what a preview reads, and what it costs this machine, is another question
					start = time.Now()
					go func() {
						l, err := others.Run(ctx)
						if err != nil {
							b.Error(err)
						}
						waited <- l
					}()
				}
				if row.do != "change" {
					begin()
				}
				work(begin)
				took := time.Since(start)
				stop()
				l := <-waited
				b.Logf("%-28s %8v  %s", row.name, took.Round(time.Millisecond), l)
				b.ReportMetric(float64(l.P(0.99).Microseconds())/1000, "p99-ms")
				b.ReportMetric(float64(l.P(0.5).Microseconds())/1000, "p50-ms")
				b.ReportMetric(took.Seconds(), "s/change")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func parsePolicy(t testing.TB, text string) *policy.Policy {
	t.Helper()
	f, err := policy.Parse("admin.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Combine(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
