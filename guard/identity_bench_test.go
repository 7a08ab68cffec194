package guard_test

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
)

// BenchmarkIdentity is which part of its time a change, and a loop of writes that are not guarded, spends asking the server who it is: how often it is asked, as counted on the wire, times what that takes alone
// in the same run. The part of a change of one document depends on the disk more than on the check: its journal is synced several times. The embedded server is asked for its status, one that says which process it is for a hello.
//
//	go test ./guard -run XXX -bench Identity -benchtime 20x
func BenchmarkIdentity(b *testing.B) {
	for _, kind := range []string{"embedded", "process", "bulk"} {
		for _, work := range []struct {
			name string
			env  environment.Environment
			n    int // documents
			cmd  func(i int) string
		}{
			{"one document, confirmed", environment.Production, 1, func(i int) string {
				return fmt.Sprintf(`{"update": "big", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": %d}}}]}`, i)
			}},
			{"one document, saved", environment.Staging, 1, func(i int) string {
				return fmt.Sprintf(`{"update": "big", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": %d}}}]}`, i)
			}},
			{"a batch, saved", environment.Staging, 0, func(i int) string {
				return fmt.Sprintf(`{"update": "big", "updates": [{"q": {}, "u": {"$set": {"n": %d}}, "multi": true}]}`, i)
			}},
			{"a loop, not guarded", environment.Development, 300, nil},
		} {
			b.Run(kind+"/"+work.name, func(b *testing.B) {
				documents := map[string]int{"embedded": 100, "process": 100, "bulk": 10_000}[kind]
				s, asked := measured(b, kind, work.env, documents)
				bench := s.bench(b)
				was := asked()
				start := time.Now()
				i := 1
				for b.Loop() {
					i++
					if work.cmd != nil {
						if _, _, err := bench.run(work.cmd(i)); err != nil {
							b.Fatal(err)
						}
						continue
					}
					loop(b, bench, work.n)
				}
				whole, times := time.Since(start), asked()-was
				const alone = 200
				start = time.Now()
				for range alone {
					if err := bench.d.Confirm(b.Context(), s.db); err != nil {
						b.Fatal(err)
					}
				}
				one := time.Since(start) / alone
				b.ReportMetric(float64(one)/float64(time.Microsecond), "µs/check")
				b.ReportMetric(float64(times)/float64(b.N), "checks/op")
				b.ReportMetric(100*float64(one)*float64(times)/float64(whole), "%")
			})
		}
	}
}

// loop is one statement of many writes.
func loop(b *testing.B, bench *bench, n int) {
	st, err := bench.gate.Begin(guard.Input{Text: "a loop", Manner: "typed"})
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		if _, err := st.Run(b.Context(), bench.d, bench.db, raw(b, fmt.Sprintf(`{"update": "big", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": %d}}}]}`, i))); err != nil {
			b.Fatal(err)
		}
	}
	if err := st.Settle(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// measured is a server of an environment, and how often it was asked who it is.
func measured(b *testing.B, kind string, env environment.Environment, documents int) (*server, func() int) {
	marker := environment.MarkerDocument(env, "any", "test", markedAt)
	count := func(name string, commands func() []wiretest.Command) func() int {
		return func() (n int) {
			for _, c := range commands() {
				if _, err := c.Doc.LookupErr("lsid"); err == nil && c.Name == name {
					n++
				}
			}
			return n
		}
	}
	docs := func() (out []bson.Raw) {
		for i := range int32(documents) {
			out = append(out, encoded(b, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: int32(0)}, {Key: "text", Value: fmt.Sprintf("%0900d", i)}}))
		}
		return out
	}
	switch kind {
	case "bulk":
		bulk := wiretest.NewBulk(b, wiretest.BulkConfig{Documents: documents, DB: "app", Coll: "big", Marker: marker})
		return &server{uri: bulk.URI(), db: "app"}, func() int { return int(bulk.Served()["serverStatus"]) }
	case "process":
		m := wiretest.NewMemory(b, wiretest.MemoryConfig{})
		m.Put("respect.environment", encoded(b, marker))
		m.Put("app.big", docs()...)
		return &server{uri: m.URI(), db: "app"}, count("hello", m.Commands)
	}
	e, err := start("production")
	if err != nil {
		b.Fatal(err)
	}
	s := &server{uri: e.URI, db: "app", double: wiretest.NewDouble(b, e.Address, false)}
	other := driver(b, e.URI)
	if _, err := other.Database("respect").Collection("environment").DeleteMany(b.Context(), bson.D{}); err != nil {
		b.Fatal(err)
	}
	if _, err := other.Database("respect").Collection("environment").InsertOne(b.Context(), marker); err != nil {
		b.Fatal(err)
	}
	if _, err := other.Database("app").Collection("big").InsertMany(b.Context(), docs()); err != nil {
		b.Fatal(err)
	}
	s.uri = s.double.URI()
	return s, count("serverStatus", s.double.Commands)
}
