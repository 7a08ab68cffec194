package guard_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/replay"
)

// foreign is somebody who changes, deletes and inserts documents all the time, and writes down each write that was made.
type foreign struct {
	coll *mongo.Collection
	mu   sync.Mutex
	log  []entry
	n    int32
}

// entry is a write that was made: the document holds w then, or is gone.
type entry struct {
	id, w int32
	gone  bool
}

func (f *foreign) write(ctx context.Context, r *rand.Rand, id int32) error {
	f.mu.Lock()
	defer f.mu.Unlock() // a write and its line in the log are one step
	f.n++
	one := bson.D{{Key: "_id", Value: id}}
	switch r.IntN(6) {
	case 0:
		res, err := f.coll.DeleteOne(ctx, one)
		if err == nil && res.DeletedCount == 1 {
			f.log = append(f.log, entry{id, f.n, true})
		}
		return err
	case 1:
		_, err := f.coll.InsertOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "w", Value: f.n}, {Key: "part", Value: id % 3}})
		if mongo.IsDuplicateKeyError(err) {
			return nil
		}
		if err == nil {
			f.log = append(f.log, entry{id, f.n, false})
		}
		return err
	}
	res, err := f.coll.UpdateOne(ctx, one, bson.D{{Key: "$set", Value: bson.D{{Key: "w", Value: f.n}}}})
	if err == nil && res.ModifiedCount == 1 {
		f.log = append(f.log, entry{id, f.n, false})
	}
	return err
}

// writes is how many writes were made so far.
func (f *foreign) writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.log)
}

// explain wants alarms of a change that deletes to be about documents that this one has inserted, meanwhile.
func (f *foreign) explain(t *testing.T, alarms []string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range alarms {
		mine := slices.ContainsFunc(f.log, func(e entry) bool {
			return !e.gone && strings.Contains(a, fmt.Sprintf(`{"_id":{"$numberInt":"%d"}} was deleted, and is there again`, e.id))
		})
		if !mine {
			t.Errorf("an alarm: %s", a)
		}
	}
}

// TestForeignWritesAreNeverLost: documents are changed, deleted and inserted by somebody else at random moments while changes to them are planned, confirmed,
// carried out and undone. In the end each document is as the last line of that other's log has it, or, if he never wrote to it, as it was in the beginning.
func TestForeignWritesAreNeverLost(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"double", "set"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			foreignWrites(t, production(t, kind))
		})
	}
}

func foreignWrites(t *testing.T, s *server) {
	// Of the beginning; and those that each third change inserts, which the other then finds too. How soon the two meet is the machine's affair.
	const documents, rounds, enough, ours, met = 45, 240, 6, 6, 20
	var docs []string
	for i := range documents {
		docs = append(docs, fmt.Sprintf(`{"_id": %d, "w": 0, "part": %d}`, i, i%3))
	}
	s.setup(t, "shared", docs...)
	// The other goes through the double too: there the look at a document and the write of it are one step, as on a real server.
	c, err := mongo.Connect(options.Client().ApplyURI(s.uri).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(context.Background()) //nolint:errcheck // the test is over
	f := &foreign{coll: c.Database(s.db).Collection("shared")}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		r := rand.New(rand.NewPCG(1, 2))
		for ctx.Err() == nil {
			if err := f.write(context.WithoutCancel(ctx), r, r.Int32N(documents+4*enough*ours)); err != nil {
				done <- err
				return
			}
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond)
		}
		done <- nil
	}()

	b := s.bench(t)
	applied, skipped := 0, 0
	for round := range rounds {
		if round >= enough && applied >= enough/2 && skipped > 0 && f.writes() >= met {
			break
		}
		var inserts []string
		for i := range ours {
			inserts = append(inserts, fmt.Sprintf(`{"_id": %d, "w": -1, "part": 9}`, documents+round*ours+i))
		}
		cmds := []string{
			fmt.Sprintf(`{"update": "shared", "updates": [{"q": {"part": %d}, "u": {"$set": {"ours": %d}}, "multi": true}]}`, round%3, round),
			fmt.Sprintf(`{"delete": "shared", "deletes": [{"q": {"part": %d}, "limit": 0}]}`, round%3),
			fmt.Sprintf(`{"insert": "shared", "documents": [%s], "ordered": false}`, strings.Join(inserts, ", ")),
		}
		_, _, _ = b.run(cmds[round%3]) // drift is an error, and is expected
		c := b.last()
		if c.Intent.Undoes != "" {
			continue // it was refused: somebody had the _ids already
		}
		switch c.Status {
		case replay.StatusApplied, replay.StatusPartly:
		case replay.StatusRejected:
			continue // somebody was everywhere first
		default:
			t.Fatalf("round %d: %s", round, c.Status)
		}
		r := b.op.receipts[len(b.op.receipts)-1]
		if round%3 == 1 {
			f.explain(t, r.Alarm)
		}
		applied, skipped = applied+1, skipped+len(r.Skipped)
		if _, err := b.undo(c); err != nil { // what was changed since is left alone, which is an error too
			t.Logf("round %d: undo: %v", round, err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if applied < enough/2 || skipped == 0 || len(f.log) < met {
		t.Errorf("%d changes were applied, %d documents skipped, %d foreign writes made: they did not meet", applied, skipped, len(f.log))
	}

	cur, err := s.other.Database(s.db).Collection("shared").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var left []bson.M
	if err := cur.All(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	there := map[int32]int32{}
	for _, d := range left {
		there[d["_id"].(int32)] = d["w"].(int32)
	}
	want := map[int32]int32{}
	for id := range int32(documents) {
		want[id] = 0
	}
	for _, e := range f.log {
		if want[e.id] = e.w; e.gone {
			delete(want, e.id)
		}
	}
	if diff := cmp.Diff(want, there); diff != "" {
		t.Errorf("documents after %d foreign writes (-want +got):\n%s", len(f.log), diff)
	}
	t.Logf("%d changes made and taken back, %d documents left alone by them, %d foreign writes, none lost", applied, skipped, len(f.log))
}
