//go:build !respect_no_embedded && !race

package embedded

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

func start(t *testing.T, dir string) *Server {
	t.Helper()
	s, err := Start(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func client(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(uri).SetDirect(true).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(context.Background()) })
	return c
}

// TestNobodyIsLetInBeforeOpen: a client that connects while the data is loaded waits, and what it sees then is all of it.
func TestNobodyIsLetInBeforeOpen(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	inside, outside := client(t, s.Inside()).Database("app").Collection("c"), client(t, s.URI()).Database("app").Collection("c")
	var whole atomic.Bool
	early := make(chan bool, 1)
	seen := make(chan int64, 1)
	go func() {
		n, err := outside.CountDocuments(context.Background(), bson.D{})
		early <- !whole.Load() || err != nil
		seen <- n
	}()
	for i := range 300 {
		if _, err := inside.InsertOne(t.Context(), bson.D{{Key: "_id", Value: i}}); err != nil {
			t.Fatal(err)
		}
	}
	whole.Store(true)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	if <-early {
		t.Error("a client was answered before the server was opened")
	}
	if n := <-seen; n != 300 {
		t.Errorf("a client saw %d of 300 documents", n)
	}
}

// TestUnfinishedDirectoryIsEmptied: what a server held that ended before it let anybody in is not taken for data.
func TestUnfinishedDirectoryIsEmptied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, round := range []struct {
		open bool
		want []string
	}{{false, nil}, {true, nil}, {true, []string{"app"}}} {
		s, err := Start(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Start(Options{Dir: dir}); err == nil {
			t.Fatal("two servers work on one directory")
		}
		c, err := mongo.Connect(options.Client().ApplyURI(s.Inside()).SetDirect(true))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.ListDatabaseNames(t.Context(), bson.D{})
		if err != nil || !slices.Equal(got, round.want) {
			t.Errorf("it begins with %v (%v), want %v", got, err, round.want)
		}
		if _, err := c.Database("app").Collection("c").InsertOne(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
		if round.open {
			if err := s.Open(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Disconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

const documents = `[{"_id": "a", "n": 1, "tags": ["x", "y"], "in": {"k": 1}}, {"_id": "b", "n": {"$numberLong": "5"}}, {"_id": {"$oid": "64b0c0f10000000000000001"}, "n": null}, {"_id": 7, "n": 7}]`

// lookups are commands in which statements are brought into another form. Each is given what FerretDB answers, and leaves what FerretDB leaves.
var lookups = []string{
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$set": {"n": 2}}}]}`,
	`{"update": "c", "updates": [{"q": {"n": 1, "_id": "a"}, "u": {"$set": {"n": 2}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 2}, "u": {"$set": {"n": 3}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "z", "n": 2}, "u": {"$set": {"n": 3}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "z", "n": 2}, "u": {"$set": {"n": 3}}, "upsert": true}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$set": {"n": 3}}, "upsert": true}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": {"$eq": 1, "$type": 16, "$exists": true, "$not": {"$type": 4}}}, "u": {"$unset": {"n": 1}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "b", "n": {"$eq": 5, "$type": 16}}, "u": {"$unset": {"n": 1}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": {"$oid": "64b0c0f10000000000000001"}, "n": {"$eq": null, "$exists": true}}, "u": {"$set": {"n": 1}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "gone": {"$exists": false}}, "u": {"n": 9}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": 7, "n": 7}, "u": {"$inc": {"n": 1}}, "multi": true}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$set": {"_id": "c"}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$inc": {"tags": 1}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "$expr": {"$eq": ["$n", 1]}}, "u": {"$set": {"n": 2}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": {"$unheard": 1}}, "u": {"$set": {"n": 2}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": {"$in": ["a", "b"]}, "n": 1}, "u": {"$set": {"n": 2}}, "multi": true}]}`,
	`{"update": "c", "updates": [{"q": {}, "u": {"$set": {"m": 2}}, "multi": true}]}`,
	`{"update": "c", "updates": []}`,
	`{"update": 5, "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$set": {"n": 2}}}]}`,
	`{"update": "c"}`,
	`{"findAndModify": "c", "query": {"_id": "a", "n": 1}, "update": {"$set": {"n": 2}}}`,
	`{"findAndModify": "c", "query": {"_id": "a", "n": 1}, "update": {"$set": {"n": 2}}, "new": true}`,
	`{"findAndModify": "c", "query": {"_id": "a", "n": 2}, "update": {"$set": {"n": 3}}}`,
	`{"findAndModify": "c", "query": {"_id": "a", "n": 1}, "remove": true}`,
	`{"findAndModify": "c", "query": {"_id": "a", "n": 2}, "remove": true}`,
	`{"findAndModify": "c", "query": {"_id": "z", "n": 2}, "update": {"$set": {"m": 3}}, "upsert": true, "new": true}`,
	`{"findandmodify": "c", "query": {"_id": "a", "n": 1}, "update": {"$set": {"n": 2}}}`,
	`{"findAndModify": "c", "query": 5, "remove": true}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "b"]}}}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "a", "z", {"$oid": "64b0c0f10000000000000001"}]}}, "batchSize": 5}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "b"]}}, "limit": 1}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "b"]}}, "projection": {"n": 1}}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "b"]}, "n": 1}}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "b"], "$ne": "a"}}}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", 7]}}}`,
	`{"find": "c", "filter": {"_id": {"$in": []}}}`,
	`{"find": "c", "filter": {"_id": {"$in": ["x", "y"]}}}`,
	`{"find": "none", "filter": {"_id": {"$in": ["x", "y"]}}}`,
	`{"find": 5, "filter": {"_id": {"$in": ["x", "y"]}}}`,
	`{"find": "c", "filter": {"_id": {"$in": ["a", "b"]}}, "unheard": 1}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$set": {"n": 2}}}, {"q": {"_id": "a", "n": 2}, "u": {"$set": {"n": 3}}}, {"q": {"_id": "b", "n": 5}, "u": {"$set": {"n": 4}}}]}`,
	`{"update": "c", "updates": [{"q": {"_id": "a", "n": 1}, "u": {"$set": {"n": 2}}}, {"q": {"_id": "b", "n": 2}, "u": {"$set": {"n": 3}}}, {"q": {"_id": "z", "n": 5}, "u": {"$set": {"n": 4}}}]}`,
	`{"update": "c", "updates": [{"q": {"n": 1}, "u": {"$set": {"n": 5}}}, {"q": {"_id": "a", "n": 5}, "u": {"$set": {"n": 6}}}, {"q": {"_id": "b", "n": 5}, "u": {"$set": {"n": 4}}}]}`,
}

// TestLookUps sets what a client gets through the door beside what FerretDB itself does.
func TestLookUps(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	inside, outside := client(t, s.Inside()), client(t, s.URI())
	for i, text := range lookups {
		var cmd bson.D
		if err := bson.UnmarshalExtJSON([]byte(text), false, &cmd); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var got []string
		for _, side := range []struct {
			c  *mongo.Client
			db string
		}{{inside, "inside"}, {outside, "outside"}} {
			db := side.c.Database(fmt.Sprintf("%s%d", side.db, i))
			fill(t, db.Collection("c"))
			reply, err := db.RunCommand(t.Context(), cmd).Raw()
			if reply == nil {
				t.Fatalf("%s: %v", text, err)
			}
			cur, err := db.Collection("c").Find(t.Context(), bson.D{}, options.Find().SetSort(bson.D{{Key: "n", Value: 1}, {Key: "m", Value: 1}}))
			if err != nil {
				t.Fatal(err)
			}
			var docs []bson.Raw
			if err := cur.All(t.Context(), &docs); err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.ReplaceAll(fmt.Sprint(reply, docs), side.db, ""))
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s: FerretDB, and through the door:\n%s", text, diff)
		}
	}
}

func fill(t *testing.T, c *mongo.Collection) {
	t.Helper()
	var docs struct {
		Docs bson.A `bson:"docs"`
	}
	if err := bson.UnmarshalExtJSON([]byte(`{"docs": `+documents+`}`), false, &docs); err != nil {
		t.Fatal(err)
	}
	if _, err := c.InsertMany(t.Context(), docs.Docs); err != nil {
		t.Fatal(err)
	}
}

// TestManyStatements: FerretDB hangs for good at a hundred of them in one update.
func TestManyStatements(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	db := client(t, s.URI()).Database("app")
	var models []mongo.WriteModel
	for i := range 250 {
		models = append(models, mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: fmt.Sprint(i)}}).SetUpdate(bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}}).SetUpsert(true))
	}
	for round := range 2 {
		r, err := db.Collection("many").BulkWrite(t.Context(), models)
		if err != nil || int(r.UpsertedCount) != 250*(1-round) || int(r.ModifiedCount) != 250*round || int(r.MatchedCount) != 250*round {
			t.Fatalf("%+v, %v", r, err)
		}
		for i, id := range r.UpsertedIDs {
			if id != fmt.Sprint(i) {
				t.Errorf("upsert %d created %v", i, id)
			}
		}
	}
	for _, ordered := range []bool{true, false} {
		fill(t, db.Collection(fmt.Sprint(ordered)))
		reply, err := db.RunCommand(t.Context(), bson.D{{Key: "update", Value: fmt.Sprint(ordered)}, {Key: "updates", Value: bson.A{
			bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: "a"}, {Key: "n", Value: 1}}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: 2}}}}}},
			bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: "a"}, {Key: "n", Value: 2}}}, {Key: "u", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "tags", Value: 1}}}}}},
			bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: "b"}, {Key: "n", Value: 5}}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: 6}}}}}},
		}}, {Key: "ordered", Value: ordered}}).Raw()
		if reply == nil {
			t.Fatal(err)
		}
		want := map[bool]int64{true: 1, false: 2}[ordered]
		errs, _ := reply.Lookup("writeErrors").Array().Values()
		if reply.Lookup("nModified").AsInt64() != want || len(errs) != 1 || errs[0].Document().Lookup("index").AsInt64() != 1 || errs[0].Document().Lookup("errmsg").StringValue() == "" {
			t.Errorf("ordered %v: %v", ordered, reply)
		}
	}
}

// TestOneWriteAtATime: FerretDB reads a document, changes it and writes it in steps between which another write is lost.
func TestOneWriteAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	const clients, each = 6, 20
	c := client(t, s.URI()).Database("app").Collection("c")
	if _, err := c.InsertOne(t.Context(), bson.D{{Key: "_id", Value: "x"}, {Key: "n", Value: 0}, {Key: "m", Value: 0}}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for done := 0; done < each; {
				doc, err := c.FindOne(t.Context(), bson.D{{Key: "_id", Value: "x"}}).Raw()
				if err != nil {
					t.Error(err)
					return
				}
				n := doc.Lookup("n").AsInt64()
				r, err := c.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "x"}, {Key: "n", Value: n}}, bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: n + 1}}}})
				if err != nil {
					t.Error(err)
					return
				}
				done += int(r.ModifiedCount)
				if _, err := c.UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "x"}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "m", Value: r.ModifiedCount}}}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	doc, err := c.FindOne(t.Context(), bson.D{{Key: "_id", Value: "x"}}).Raw()
	if err != nil || doc.Lookup("n").AsInt64() != clients*each || doc.Lookup("m").AsInt64() != clients*each {
		t.Errorf("%v (%v), want %d of both", doc, err, clients*each)
	}
}

// TestUnansweredWrites: FerretDB answers a write that nobody waits for, and every later answer would be taken for that of the command before.
func TestUnansweredWrites(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	c, err := mongo.Connect(options.Client().ApplyURI(s.URI()).SetDirect(true).SetRetryWrites(false).SetMaxPoolSize(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(context.Background()) //nolint:errcheck // the test is over
	loud := c.Database("app").Collection("c")
	mute := c.Database("app").Collection("c", options.Collection().SetWriteConcern(writeconcern.Unacknowledged()))
	for i := range 20 {
		if _, err := mute.InsertOne(t.Context(), bson.D{{Key: "_id", Value: i}}); err != nil && !strings.Contains(err.Error(), "unacknowledged") {
			t.Fatal(err)
		}
		doc, err := loud.FindOne(t.Context(), bson.D{{Key: "_id", Value: i}}).Raw()
		if err != nil || doc.Lookup("_id").AsInt64() != int64(i) {
			t.Fatalf("%d: %v (%v)", i, doc, err)
		}
	}
}
