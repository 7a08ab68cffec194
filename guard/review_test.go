package guard_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
)

// What a second hostile review broke.

// TestReviewLostRename: the answer to a rename aside is lost, and an application writes to the old name at once. The documents are aside all the same: the change is not rejected, and undo
// finds them.
func TestReviewLostRename(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		s.people(t)
		b := s.bench(t)
		lost := false
		s.onCommand(func(c wiretest.Command) wiretest.Fault {
			if c.Name == "renameCollection" && !lost {
				lost = true
				return wiretest.LoseReply
			}
			return wiretest.None
		})
		came := false
		s.before(func(c wiretest.Command) {
			if lost && !came {
				came = true
				s.setup(t, "people", `{"_id": "new"}`)
			}
		})
		_, _, err := b.run(`{"drop": "people"}`)
		s.before(nil)
		s.onCommand(nil)
		if !came {
			t.Fatal("nobody came in between")
		}
		if last := b.last(); last.Status == replay.StatusRejected {
			t.Errorf("the record says %s (%v)", last.Status, err)
		}
		names, err := s.other.Database(s.db).ListCollectionNames(t.Context(), bson.D{})
		if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "respect_aside_") }) {
			t.Errorf("the collections are %v (%v)", names, err)
		}
	}, "proxy", "set")
}

// TestReviewCountedByOthers: of three documents somebody else deletes one in the last moment. The server counts two and names none: which of the three this change deleted cannot be
// told, and is not guessed.
func TestReviewCountedByOthers(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		s.setup(t, "three", `{"_id": "a"}`, `{"_id": "b"}`, `{"_id": "c"}`)
		b := s.bench(t)
		came := false
		s.before(func(c wiretest.Command) {
			if c.Name == "delete" && !came {
				came = true
				s.command(t, `{"delete": "three", "deletes": [{"q": {"_id": "a"}, "limit": 1}]}`)
			}
		})
		_, _, err := b.run(`{"delete": "three", "deletes": [{"q": {}, "limit": 0}]}`)
		s.before(nil)
		if !came || err == nil {
			t.Fatalf("came: %v, %v", came, err)
		}
		if r := b.op.receipts[0]; r.Status != replay.StatusUnknown || len(r.Alarm) == 0 {
			t.Errorf("status %s, alarms %v", r.Status, r.Alarm)
		}
	}, "double", "set")
}

// TestReviewBackupGone: the backup is removed while a change runs. Nothing more is deleted than the batch that was under way.
func TestReviewBackupGone(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"before", "plan.jsonl", "."} {
		s := production(t, "double")
		var docs []any
		for range 400 {
			docs = append(docs, bson.D{{Key: "_id", Value: bson.NewObjectID()}})
		}
		coll := s.other.Database(s.db).Collection("many")
		if _, err := coll.InsertMany(t.Context(), docs); err != nil {
			t.Fatal(err)
		}
		b := s.bench(t)
		gone := false
		s.before(func(c wiretest.Command) {
			if c.Name != "delete" || gone {
				return
			}
			gone = true
			dirs, err := filepath.Glob(filepath.Join(b.dir, "changes", "*"))
			if err != nil || len(dirs) != 1 || os.RemoveAll(filepath.Join(dirs[0], what)) != nil {
				t.Errorf("%v, %v", dirs, err)
			}
		})
		_, _, err := b.run(`{"delete": "many", "deletes": [{"q": {}, "limit": 0}]}`)
		s.before(nil)
		var stopped *guard.Stopped
		if !errors.As(err, &stopped) {
			t.Errorf("%s removed: %v, want it to stop", what, err)
		}
		left, err := coll.CountDocuments(t.Context(), bson.D{})
		if most := int64(len(docs) - b.d.MaxStatements()); err != nil || left < most {
			t.Errorf("%s removed: %d documents are left, want at least %d (%v)", what, left, most, err)
		}
	}
}
