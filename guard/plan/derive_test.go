package plan

import (
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

func raw(t *testing.T, text string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &d); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func text(t *testing.T, d any) string {
	t.Helper()
	b, err := bson.MarshalExtJSON(d, false, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestStillAs writes the conditions out: what the server is asked before it changes a document.
func TestStillAs(t *testing.T) {
	t.Parallel()
	before := raw(t, `{"_id": 1, "a": 5, "tags": ["x"], "none": null}`)
	for _, c := range []struct {
		road    Road
		touched []string
		want    string
	}{
		{RoadExpr, []string{"a"}, `{"$expr":{"$and":[{"$eq":["$$ROOT",{"$literal":{"_id":1,"a":5,"tags":["x"],"none":null}}]},{"$eq":[{"$bsonSize":"$$ROOT"},47]},{"$eq":[[{"$type":"$_id"},{"$type":"$a"}],{"$literal":["int","int"]}]}]}}`},
		{RoadReturned, []string{"a"}, `{"$expr":{"$and":[{"$eq":["$$ROOT",{"$literal":{"_id":1,"a":5,"tags":["x"],"none":null}}]},{"$eq":[{"$bsonSize":"$$ROOT"},47]}]}}`},
		{RoadFields, []string{"a"}, `{"a":{"$eq":5,"$type":16,"$exists":true,"$not":{"$type":4}}}`},
		{RoadFields, []string{"missing"}, `{"missing":{"$exists":false}}`},
		{RoadFields, []string{"none"}, `{"none":{"$eq":null,"$type":10,"$exists":true,"$not":{"$type":4}}}`},
		{RoadFields, []string{"tags"}, `{"tags":{"$eq":["x"],"$type":4,"$exists":true}}`},
		{RoadFields, []string{"_id"}, `{}`},
		{RoadFields, nil, `{}`},
	} {
		got, err := StillAs(before, c.road, c.touched)
		if err != nil || text(t, got) != c.want {
			t.Errorf("%s %v: %s (%v), want %s", c.road, c.touched, text(t, got), err, c.want)
		}
	}
	for _, f := range []string{"", "$set", "a.b"} {
		if _, err := StillAs(before, RoadFields, []string{f}); err == nil {
			t.Errorf("a condition on the field %q", f)
		}
	}
}

// TestTouched: every top-level field that an update may change.
func TestTouched(t *testing.T) {
	t.Parallel()
	for u, want := range map[string]string{
		`{"$set": {"a.b": 1, "c": 2}, "$unset": {"a.x": ""}}`: `["a","c"]`,
		`{"$rename": {"a.b": "c.d"}}`:                         `["a","c"]`,
		`{"$inc": {"n": 1}, "$currentDate": {"at": true}}`:    `["n","at"]`,
	} {
		got, err := Touched(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: raw(t, u)}, nil)
		if err != nil || text(t, bson.D{{Key: "x", Value: got}}) != `{"x":`+want+`}` {
			t.Errorf("%s: %v (%v), want %s", u, got, err, want)
		}
	}
	pipeline := raw(t, `{"u": [{"$set": {"a": 1}}]}`).Lookup("u")
	if got, err := Touched(pipeline, raw(t, `{"_id": 1, "x": 1, "y": 2}`)); err != nil || len(got) != 3 {
		t.Errorf("a pipeline may change all: %v (%v)", got, err)
	}
}

// TestPositional: the positional $ means the element that the typed filter matched. Where that cannot be kept it is refused before it is shown.
func TestPositional(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, update string
		road           Road
		refused        bool
	}{
		{`{"_id": 1, "a": 5}`, `{"$set": {"a.$": 6}}`, RoadExpr, false},
		{`{"_id": 1, "a": 5}`, `{"$set": {"a.$": 6}}`, RoadFields, false},
		{`{"_id": 1, "a": 5}`, `{"$set": {"a.$[]": 6}}`, RoadFields, false},
		{`{"_id": 1, "$where": "1"}`, `{"$set": {"a.$": 6}}`, RoadExpr, true},
		{`{"_id": 1}`, `{"$set": {"a.b": 6}}`, RoadFields, false},
	} {
		w := command.Write{Op: command.Update, Filter: raw(t, c.filter), Update: bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: raw(t, c.update)}}
		if err := pinnable(w, c.road); errors.Is(err, ErrUnpinnable) != c.refused {
			t.Errorf("%s %s on %s: %v", c.filter, c.update, c.road, err)
		}
	}
}

// TestPlaced: without $expr the positional $ is sent as the number of the element that it means.
func TestPlaced(t *testing.T) {
	t.Parallel()
	before := raw(t, `{"_id": 1, "a": [4, 5, 6], "b": [{"c": 1}, {"c": 2, "d": [1]}]}`)
	for _, c := range []struct{ filter, update, want string }{
		{`{"a": 5}`, `{"$set": {"a.$": 9, "x": 1}, "$inc": {"n": 1}}`, `{"$set":{"a.1":9,"x":1},"$inc":{"n":1}}`},
		{`{"b.c": 2}`, `{"$unset": {"b.$.d": ""}}`, `{"$unset":{"b.1.d":""}}`},
		{`{"b": {"$elemMatch": {"c": {"$gt": 0}}}}`, `{"$set": {"b.$.c": 7}}`, `{"$set":{"b.0.c":7}}`},
		{`{"_id": 1}`, `{"$set": {"a.$": 9}}`, ""},
		{`{"a": 5, "b.c": 2}`, `{"$set": {"a.$": 9}}`, ""},
	} {
		w := command.Write{Op: command.Update, Filter: raw(t, c.filter), Update: bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: raw(t, c.update)}}
		got, err := withPositions(w, before)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s %s: %v, want an error", c.filter, c.update, got)
			}
			continue
		}
		if err != nil || text(t, bson.Raw(got.Value)) != c.want {
			t.Errorf("%s %s: %v (%v), want %s", c.filter, c.update, got, err, c.want)
		}
	}
}

// TestUndoOfUnusualDocuments: what a server would not store as it is given is given to it in another way.
func TestUndoOfUnusualDocuments(t *testing.T) {
	t.Parallel()
	usual := raw(t, `{"_id": 1, "a": {"$timestamp": {"t": 1, "i": 0}}, "in": {"$x": 1, "b.c": {"$timestamp": {"t": 0, "i": 0}}}, "a.b": 1}`)
	zero := raw(t, `{"_id": {"k": {"$timestamp": {"t": 0, "i": 0}}}, "at": {"$timestamp": {"t": 0, "i": 0}}}`)
	dollar := raw(t, `{"_id": 1, "a": 2}`)
	dollar = bson.Raw(append([]byte(nil), dollar...))
	dollar[len(dollar)-7] = '$' // a field named $
	before := raw(t, `{"_id": 1}`)
	for _, c := range []struct {
		name, op      string
		road          Road
		before, after bson.Raw
		want          string
		software      string
	}{
		{"replace", "replace", RoadExpr, before, usual, `"u":{"_id":1,"a":`, MongoDB},
		{"replace with Timestamp(0, 0)", "replace", RoadExpr, before, zero, `"u":[{"$replaceWith":{"$literal":{"_id":{"k":{"$timestamp":{"t":0,"i":0}}},"at":{"$timestamp":{"t":0,"i":0}}}}}],"multi":false}`, MongoDB},
		{"replace with $", "replace", RoadExpr, before, dollar, `"u":[{"$replaceWith":{"$literal":{"_id":1,"$":2}}}]`, MongoDB},
		{"insert", "insert", RoadExpr, nil, usual, `{"_id":1,"a":{"$timestamp"`, MongoDB},
		{"insert with $", "insert", RoadExpr, nil, dollar, `{"_id":1,"$":2}`, MongoDB},
		{"insert with Timestamp(0, 0)", "insert", RoadExpr, nil, zero, `{"q":{"_id":{"k":{"$timestamp":{"t":0,"i":0}}},"$nor":[{}]},"u":[{"$replaceWith":{"$literal":{"_id":`, MongoDB},
		{"replace with Timestamp(0, 0), elsewhere", "replace", RoadExpr, before, zero, `"u":{"_id":{"k"`, ""},
		{"replace with $, elsewhere", "replace", RoadExpr, before, dollar, `"u":[{"$replaceWith":{"$literal":{"$":2}}}]`, ""},
		{"insert with Timestamp(0, 0), elsewhere", "insert", RoadExpr, nil, zero, `{"_id":{"k"`, ""},
		{"insert with Timestamp(0, 0), by fields", "insert", RoadFields, nil, zero, `{"_id":{"k"`, MongoDB},
	} {
		p := &Plan{header: Header{Road: c.road, Undoes: "x", Software: c.software}}
		d, err := p.Derive(Item{Command: -1, Op: c.op}, c.before, c.after)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := text(t, d.Statement); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestDerivedComparesBytes: whatever collation was typed, or the collection has, what is sent compares by the simple one.
func TestDerivedComparesBytes(t *testing.T) {
	t.Parallel()
	before := raw(t, `{"_id": "abc"}`)
	english := raw(t, `{"c": {"locale": "en", "strength": 1}}`).Lookup("c")
	for _, c := range []struct {
		name     string
		typed    bool
		collated []string
		want     bool
	}{{"none", false, nil, false}, {"typed", true, nil, true}, {"of the collection", false, []string{"app.c"}, true}, {"of another", false, []string{"app.d"}, false}} {
		for _, op := range []string{"delete", "update", "replace"} {
			w := bson.D{{Key: "q", Value: before}}
			kind := map[string]string{"delete": "delete", "update": "update", "replace": "update"}[op]
			if op == "delete" {
				w = append(w, bson.E{Key: "limit", Value: 1})
			} else {
				w = append(w, bson.E{Key: "u", Value: map[string]bson.Raw{"update": raw(t, `{"$set": {"a": 1}}`), "replace": raw(t, `{"a": 1}`)}[op]})
			}
			if c.typed {
				w = append(w, bson.E{Key: "collation", Value: english})
			}
			cmd, err := bson.Marshal(bson.D{{Key: kind, Value: "c"}, {Key: kind + "s", Value: bson.A{w}}})
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := command.Parse("app", cmd, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := &Plan{header: Header{Road: RoadExpr}, commands: []*command.Command{parsed}, totals: totals{Collated: c.collated}}
			var after bson.Raw
			if op == "replace" {
				after = raw(t, `{"_id": "abc", "a": 1}`)
			}
			d, err := p.Derive(Item{NS: "app.c", Op: op}, before, after)
			if err != nil {
				t.Fatalf("%s %s: %v", c.name, op, err)
			}
			v, err := d.Statement.LookupErr("collation", "locale")
			if has := err == nil; has != c.want || has && v.StringValue() != "simple" {
				t.Errorf("a collation %s, %s: %s", c.name, op, d.Statement)
			}
		}
	}
}

// TestDerivedIsBSON: a statement without its document, or without a value, is found out before anything is sent.
func TestDerivedIsBSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op     string
		before bson.Raw
	}{{"replace", raw(t, `{"_id": 1}`)}, {"insert", nil}} {
		if d, err := (&Plan{header: Header{Road: RoadExpr}}).Derive(Item{Command: -1, Op: c.op}, c.before, nil); err == nil {
			t.Errorf("%s without a document: %v", c.op, d.Statement)
		}
	}
	if err := (Derived{Command: "update", Statement: raw(t, `{"q": {}}`)}).valid(); err == nil {
		t.Error("an update without u")
	}
	cut := raw(t, `{"q": {}, "u": {}}`)
	if err := (Derived{Command: "update", Statement: cut[:len(cut)-2]}).valid(); err == nil {
		t.Error("an update that is cut off")
	}
}
