package guard_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/replay"
)

// foreign is somebody who writes to documents all the time, and remembers what the last write to each was.
type foreign struct {
	coll *mongo.Collection
	mu   sync.Mutex
	last map[int32]int32 // _id -> the value that was written last
	n    int32
}

func (f *foreign) write(ctx context.Context, id int32) error {
	f.mu.Lock()
	defer f.mu.Unlock() // a write and its line in the log are one step
	f.n++
	r, err := f.coll.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: bson.D{{Key: "w", Value: f.n}}}})
	if err == nil && r.ModifiedCount == 1 {
		f.last[id] = f.n
	}
	return err
}

// TestForeignWritesAreNeverLost: documents are changed by somebody else at random moments while changes to them are planned, confirmed, carried out and undone.
// In the end each document that is there holds what that other wrote last.
func TestForeignWritesAreNeverLost(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	const documents = 45
	var docs []string
	for i := range documents {
		docs = append(docs, fmt.Sprintf(`{"_id": %d, "w": 0, "part": %d}`, i, i%3))
	}
	s.setup(t, "shared", docs...)
	// The other goes through the double too: there the look at a document and the write of it are one step, as on a real server.
	c, err := mongo.Connect(options.Client().ApplyURI(s.uri).SetDirect(true).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(context.Background()) //nolint:errcheck // the test is over
	f := &foreign{coll: c.Database(s.db).Collection("shared"), last: map[int32]int32{}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		r := rand.New(rand.NewPCG(1, 2))
		for ctx.Err() == nil {
			if err := f.write(context.WithoutCancel(ctx), r.Int32N(documents)); err != nil {
				done <- err
				return
			}
			time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
		}
		done <- nil
	}()

	b := s.bench(t)
	applied, skipped := 0, 0
	for round := range 4 {
		cmds := []string{
			fmt.Sprintf(`{"update": "shared", "updates": [{"q": {"part": %d}, "u": {"$set": {"ours": %d}}, "multi": true}]}`, round%3, round),
			fmt.Sprintf(`{"delete": "shared", "deletes": [{"q": {"part": %d}, "limit": 0}]}`, round%3),
		}
		_, _, _ = b.run(cmds[round%2]) // drift is an error, and is expected
		c := b.last()
		switch c.Status {
		case replay.StatusApplied, replay.StatusPartly:
		case replay.StatusRejected:
			continue // somebody was everywhere first
		default:
			t.Fatalf("round %d: %s", round, c.Status)
		}
		r := b.op.receipts[len(b.op.receipts)-1]
		if len(r.Alarm) > 0 && round%2 == 1 {
			t.Errorf("round %d: alarms %v", round, r.Alarm)
		}
		applied, skipped = applied+1, skipped+len(r.Skipped)
		_, _ = b.undo(c) // what was changed since is left alone, which is an error too
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if applied == 0 || skipped == 0 {
		t.Errorf("%d changes were applied and %d documents skipped: the two never met", applied, skipped)
	}

	cur, err := s.other.Database(s.db).Collection("shared").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var left []bson.M
	if err := cur.All(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	there := map[int32]bool{}
	for _, d := range left {
		id, w := d["_id"].(int32), d["w"].(int32)
		there[id] = true
		if w != f.last[id] {
			t.Errorf("document %d holds %d; the last foreign write was %d", id, w, f.last[id])
		}
	}
	for id := range int32(documents) {
		if !there[id] {
			t.Errorf("document %d is gone: it was deleted, and undo did not bring it back", id)
		}
	}
	t.Logf("%d foreign writes, %d changes applied, %d documents skipped", f.n, applied, skipped)
}
