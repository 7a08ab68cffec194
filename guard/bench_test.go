package guard_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
)

const benchDocuments = 100_000

// fullSpeed is a server that hands out documents of about 1 kB as fast as it can: what is measured is our own cost.
func fullSpeed(b *testing.B) *wiretest.Fake {
	b.Helper()
	const perBatch = 10_000
	filler := strings.Repeat("x", 900)
	var batches []bson.A
	for i := 0; i < benchDocuments; i += perBatch {
		var batch bson.A
		for j := i; j < i+perBatch; j++ {
			raw, err := bson.Marshal(bson.D{{Key: "_id", Value: int32(j)}, {Key: "name", Value: fmt.Sprint("name ", j)}, {Key: "n", Value: int32(j % 7)}, {Key: "at", Value: bson.D{{Key: "city", Value: "Bern"}}}, {Key: "filler", Value: filler}})
			if err != nil {
				b.Fatal(err)
			}
			batch = append(batch, bson.Raw(raw))
		}
		batches = append(batches, batch)
	}
	var mu sync.Mutex
	at := map[int64]int{}
	next := int64(100)
	return wiretest.NewFake(b, nil, func(db string, cmd bson.Raw) bson.D {
		mu.Lock()
		defer mu.Unlock()
		first := cmd.Index(0)
		cursor := func(key string, id int64, docs bson.A) bson.D {
			return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: id}, {Key: "ns", Value: "app.big"}, {Key: key, Value: docs}}}, {Key: "ok", Value: 1.0}}
		}
		switch first.Key() {
		case "find":
			if db == "respect" {
				return cursor("firstBatch", 0, bson.A{environment.MarkerDocument(environment.Production, "any", "test", time.Now())})
			}
			if limit, _ := cmd.Lookup("limit").AsInt64OK(); limit > 0 {
				return cursor("firstBatch", 0, batches[0][:min(int(limit), 20)])
			}
			if first.Value().StringValue() != "big" {
				return cursor("firstBatch", 0, bson.A{})
			}
			next++
			at[next] = 0
			return cursor("firstBatch", next, bson.A{})
		case "getMore":
			id := first.Value().Int64()
			n := at[id]
			at[id]++
			if n == len(batches)-1 {
				return cursor("nextBatch", 0, batches[n])
			}
			return cursor("nextBatch", id, batches[n])
		case "listCollections":
			return cursor("firstBatch", 0, bson.A{bson.D{{Key: "name", Value: "big"}, {Key: "type", Value: "collection"}}})
		case "listIndexes":
			return cursor("firstBatch", 0, bson.A{bson.D{{Key: "key", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "name", Value: "_id_"}}})
		case "count":
			return bson.D{{Key: "n", Value: int32(benchDocuments)}, {Key: "ok", Value: 1.0}}
		case "buildInfo":
			return bson.D{{Key: "version", Value: "8.0.0"}, {Key: "ok", Value: 1.0}}
		}
		return bson.D{{Key: "ok", Value: 1.0}}
	})
}

// BenchmarkRead is the bare driver reading the documents, for comparison.
func BenchmarkRead(b *testing.B) {
	f := fullSpeed(b)
	c, err := mongo.Connect(options.Client().ApplyURI(f.URI()).SetDirect(true))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Disconnect(context.Background()) //nolint:errcheck // the benchmark is over
	for b.Loop() {
		cur, err := c.Database("app").Collection("big").Find(b.Context(), bson.D{})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for cur.Next(b.Context()) {
			n += len(cur.Current)
		}
		if err := cur.Err(); err != nil || n < benchDocuments*900 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkPreview plans a change of all of them: pinned, spooled, foreseen, counted.
func BenchmarkPreview(b *testing.B) {
	f := fullSpeed(b)
	s := &server{uri: f.URI(), db: "app"}
	bench := s.bench(b)
	b.ReportAllocs()
	for b.Loop() {
		st, err := bench.gate.Begin(guard.Input{Text: "a benchmark", Manner: "argument", Mode: guard.Preview})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := st.Run(b.Context(), bench.d, "app", raw(b, `{"update": "big", "updates": [{"q": {}, "u": {"$set": {"n": 9}}, "multi": true}]}`)); err != nil {
			b.Fatal(err)
		}
		if err := st.Settle(b.Context()); err != nil {
			b.Fatal(err)
		}
		plans, _ := st.Plans()
		if plans[0].Documents() != benchDocuments {
			b.Fatal(plans[0].Documents())
		}
	}
}
