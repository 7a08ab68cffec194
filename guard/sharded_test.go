package guard_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/guard/plan"
)

// sharded poses as a mongos of a version, whose collection people is sharded by region and by a field inside another. What else is asked of it the embedded
// server answers.
func sharded(t *testing.T, version string) *server {
	s := production(t, "double")
	s.double.Answer(func(c wiretest.Command) bson.Raw {
		switch {
		case c.Name == "hello" || c.Name == "isMaster" || c.Name == "ismaster":
			return raw(t, `{"isWritablePrimary": true, "ismaster": true, "msg": "isdbgrid", "helloOk": true, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
				"maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": false, "ok": 1}`)
		case c.Name == "buildInfo":
			return raw(t, `{"version": "`+version+`", "ok": 1}`)
		case c.DB == "config" && c.Name == "find":
			docs := `[]`
			if ns, _ := c.Doc.Lookup("filter", "_id").StringValueOK(); strings.HasSuffix(ns, ".people") {
				docs = `[{"_id": "x", "key": {"region": 1, "at.zip": "hashed"}}]`
			}
			return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "config.collections", "firstBatch": `+docs+`}, "ok": 1}`)
		case c.DB == "config":
			return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "config.version", "firstBatch": []}, "ok": 1}`)
		}
		return nil
	})
	s.setup(t, "people", `{"_id": 1, "region": "eu", "at": {"zip": 3000}, "n": 1}`, `{"_id": 2, "region": "us", "n": 2}`, `{"_id": 3, "region": {"$regularExpression": {"pattern": "x", "options": ""}}, "n": 3}`)
	s.setup(t, "others", `{"_id": 1, "region": "eu"}`)
	return s
}

// TestShardKeys: on a sharded collection each document is named by its shard key too, and one that moves is alone in its command.
func TestShardKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cmd, want string
		commands  int
	}{
		{`{"update": "people", "updates": [{"q": {}, "u": {"$inc": {"n": 1}}, "multi": true}]}`, `{"_id": 1,"region": "eu","at.zip": 3000,`, 1},
		{`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"region": "ch"}}, "multi": true}]}`, `{"_id": 2,"region": "us","at.zip": null,`, 3},
		{`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"region": "ch", "at": {"zip": 3000}}}, {"q": {"_id": 2}, "u": {"region": "ch"}}]}`, `{"_id": 2,"region": "us","at.zip": null,`, 2},
		{`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`, `{"_id": 3,"region": {"$eq": {"$regularExpression":`, 1},
		{`{"delete": "others", "deletes": [{"q": {}, "limit": 0}]}`, `"q": {"_id": 1,"$expr"`, 1},
	} {
		s := sharded(t, "8.0.4")
		before := s.state(t)
		b := s.bench(t)
		s.double.Forget()
		if _, _, err := b.run(c.cmd); err != nil {
			t.Errorf("%s: %v", c.cmd, err)
			continue
		}
		sent := wiretest.Writes(s.double.Commands())
		text := ""
		for _, w := range sent {
			text += strings.ReplaceAll(strings.ReplaceAll(w.Doc.String(), `{"$numberInt":"`, ""), `"}`, "")
		}
		text = strings.NewReplacer(`{"$numberInt":"1"}`, "1").Replace(text)
		want := strings.ReplaceAll(c.want, " ", "")
		if !strings.Contains(strings.ReplaceAll(text, " ", ""), want) || len(sent) != c.commands {
			t.Errorf("%s: %d commands were sent, want %d with %s:\n%s", c.cmd, len(sent), c.commands, want, text)
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, s.state(t)); diff != "" {
			t.Errorf("%s: undo did not restore: %s", c.cmd, diff)
		}
	}
}

// TestShardedDrop: before 5.0 a sharded collection cannot be renamed aside. That is said, and it is dropped only if it is what the backup holds.
func TestShardedDrop(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		version, coll string
		atomic        bool
	}{{"4.4.29", "people", false}, {"4.4.29", "others", true}, {"8.0.4", "people", true}} {
		s := sharded(t, c.version)
		before := s.state(t)
		b := s.bench(t)
		s.double.Forget()
		_, _, err := b.run(`{"drop": "` + c.coll + `"}`)
		if err != nil {
			t.Fatal(err)
		}
		codes := []string{}
		for _, f := range b.last().Planned.Facts {
			codes = append(codes, f.Code)
		}
		if slices.Contains(codes, plan.NotAtomic) == c.atomic || slices.Contains(codes, plan.PartialUndo) != (c.coll == "people") {
			t.Errorf("%s of %s: it is said %v", c.coll, c.version, codes)
		}
		renamed := slices.ContainsFunc(s.double.Commands(), func(x wiretest.Command) bool { return x.Name == "renameCollection" })
		if renamed != c.atomic {
			t.Errorf("%s of %s: renamed is %v", c.coll, c.version, renamed)
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, s.state(t)); diff != "" {
			t.Errorf("%s of %s: undo did not restore: %s", c.coll, c.version, diff)
		}
	}

	s := sharded(t, "4.4.29")
	b := s.bench(t)
	finds := 0
	s.double.Before(func(c wiretest.Command) {
		if c.Name == "find" && strings.Contains(c.Doc.Index(0).String(), "people") {
			if finds++; finds == 2 { // the second look of the drop
				if _, err := s.other.Database(s.db).Collection("people").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 9}}); err != nil {
					t.Error(err)
				}
			}
		}
	})
	_, _, err := b.run(`{"drop": "people"}`)
	if n := len(s.documents(t, "people")); n != 4 || err == nil {
		t.Errorf("a document was inserted between backup and drop: %d are left, and it is said %v", n, err)
	}
}

// TestNotPinnableCollections: what cannot be written document by document from here is refused before anything is shown.
func TestNotPinnableCollections(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		options, version, cmd, want string
	}{
		{`{"encryptedFields": {"fields": []}}`, "8.0.4", `{"update": "people", "updates": [{"q": {}, "u": {"$set": {"a": 1}}, "multi": true}]}`, "encrypted fields"},
		{`{"encryptedFields": {"fields": []}}`, "8.0.4", `{"insert": "people", "documents": [{"_id": 77}]}`, "encrypted fields"},
		{`{"capped": true, "size": 4096}`, "4.4.29", `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`, "is capped"},
		{`{"capped": true, "size": 4096}`, "5.0.1", `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`, ""},
		{`{"capped": true, "size": 4096}`, "4.4.29", `{"insert": "people", "documents": [{"_id": 77}]}`, ""},
		{`{}`, "4.4.29", `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`, ""},
	} {
		s := production(t, "double")
		s.setup(t, "people", `{"_id": 1}`)
		s.double.Answer(func(x wiretest.Command) bson.Raw {
			switch x.Name {
			case "buildInfo":
				return raw(t, `{"version": "`+c.version+`", "ok": 1}`)
			case "listCollections":
				return raw(t, `{"cursor": {"id": {"$numberLong": "0"}, "ns": "x.$cmd", "firstBatch": [{"name": "people", "type": "collection", "options": `+c.options+`}]}, "ok": 1}`)
			}
			return nil
		})
		b := s.bench(t)
		_, _, err := b.runIn(guard.Preview, c.cmd)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s of %s: %v", c.cmd, c.options, c.version, err)
		}
	}
}
