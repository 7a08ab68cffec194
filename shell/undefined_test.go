package shell_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestUndefinedIsRefused: a field that is undefined, which other shells drop or take for null, is refused by name; an argument that was left out is none.
func TestUndefinedIsRefused(t *testing.T) {
	t.Parallel()
	server, err := production()
	if err != nil {
		t.Fatal(err)
	}
	const db = "undefined"
	other := server.Client(t).Database(db)
	t.Cleanup(func() { _ = other.Drop(context.Background()) })
	if _, err := other.Collection("c").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}, {Key: "a", Value: nil}}); err != nil {
		t.Fatal(err)
	}
	s := open(t, server.URI, db, &person{})
	for _, c := range []struct {
		script string
		said   bool
	}{
		{`db.c.deleteMany({_id: undefined})`, true},
		{`db.c.deleteMany({_id: db.c.findOne({_id: 2})?._id})`, true},
		{`db.c.updateMany({_id: 1}, {$set: {a: {b: [1, void 0]}}})`, true},
		{`db.c.insertOne({_id: 2, a: undefined})`, true},
		{`db.c.deleteMany({a: null})`, false},
		{`db.c.deleteMany({a: "undefined"})`, false},
		{`db.c.deleteMany({a: 1}, undefined)`, false},
		{`db.c.updateOne({_id: 1}, {$set: {a: 1}}, {upsert: undefined})`, true}, // which may be a misspelt one
		{`let x; db.c.deleteMany({a: x ?? null})`, false},
		{`db.c.updateOne({_id: 1}, {$set: {undefined: 1}})`, false}, // a name
	} {
		s.out.Reset()
		_ = s.Plan(t.Context(), c.script, "argument", true, false) // the refusal is in what it prints
		var out struct {
			Refused *struct{ Code string }
			Error   string
			Changes []struct{ Facts []struct{ Code string } }
		}
		if err := json.Unmarshal(s.out.Bytes(), &out); err != nil {
			t.Fatalf("%s: %v", &s.out, err)
		}
		said := out.Refused != nil && out.Refused.Code == "undefined-value"
		for _, ch := range out.Changes {
			said = said || slices.ContainsFunc(ch.Facts, func(f struct{ Code string }) bool { return f.Code == "undefined-value" })
		}
		if said != c.said || !c.said && out.Error != "" {
			t.Errorf("%s: undefined-value said %v, want %v:\n%s", c.script, said, c.said, &s.out)
		}
	}
}
