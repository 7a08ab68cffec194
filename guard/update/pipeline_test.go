package update

import (
	"errors"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func pipelineOf(t testing.TB, stages string) (*Pipeline, error) {
	t.Helper()
	return ParsePipeline(relaxed(t, `{"p": `+stages+`}`).Lookup("p").Array())
}

// What pipelines make of documents.
// Sources: https://www.mongodb.com/docs/manual/tutorial/update-documents-with-aggregation-pipeline/, …/reference/operator/aggregation/
func TestPipelines(t *testing.T) {
	for _, c := range []struct {
		stages, before, want string
		unknown              []string
	}{
		{`[{"$set": {"test3": 98, "modified": "$$NOW"}}]`, `{"_id": 3, "test1": 95}`, `{"_id": 3, "test1": 95, "test3": 98}`, []string{"modified"}},
		{`[{"$set": {"average": {"$avg": ["$a", "$b"]}, "total": {"$add": ["$a", "$b"]}}}]`, `{"_id": 1, "a": 1, "b": 2}`, `{"_id": 1, "a": 1, "b": 2, "total": 3}`, []string{"average"}},
		{`[{"$set": {"r": {"$rand": {}}, "a": 2}}]`, `{"_id": 1, "a": 1, "r": 0}`, `{"_id": 1, "a": 2, "r": 0}`, []string{"r"}},
		{`[{"$set": {"f": {"$function": {"body": "x", "args": [], "lang": "js"}}, "a": 2}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 2}`, []string{"f"}},
		{`[{"$set": {"at": "$$NOW"}}, {"$set": {"copy": "$at", "a": 2}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 2}`, []string{"at", "copy"}},
		{`[{"$set": {"at": "$$NOW"}}, {"$unset": "at"}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 1}`, nil},
		{`[{"$set": {"at": "$$NOW"}}, {"$set": {"at": 5}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 1, "at": 5}`, nil},
		{`[{"$set": {"z": "$a", "a": 5}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 5, "z": 1}`, nil},
		{`[{"$set": {"a": "$missing"}}]`, `{"_id": 1, "a": 1, "b": 2}`, `{"_id": 1, "b": 2}`, nil},
		{`[{"$set": {"a": "$$REMOVE"}}]`, `{"_id": 1, "a": 1, "b": 2}`, `{"_id": 1, "b": 2}`, nil},
		{`[{"$set": {"a": {"$literal": "$b"}}}]`, `{"_id": 1}`, `{"_id": 1, "a": "$b"}`, nil},
		{`[{"$set": {"a.b": 1, "a.c": {"d": 2}}}]`, `{"_id": 1, "a": {"x": 0, "c": {"e": 3}}}`, `{"_id": 1, "a": {"x": 0, "c": {"e": 3, "d": 2}, "b": 1}}`, nil},
		{`[{"$set": {"a.b": 1}}]`, `{"_id": 1, "a": 5}`, `{"_id": 1, "a": {"b": 1}}`, nil},
		{`[{"$set": {"a.b": 1}}]`, `{"_id": 1, "a": [{"c": 1}, 5, []]}`, `{"_id": 1, "a": [{"c": 1, "b": 1}, {"b": 1}, []]}`, nil},
		{`[{"$set": {"a.b": "$$NOW"}}]`, `{"_id": 1, "a": [{"c": 1}]}`, `{"_id": 1, "a": [{"c": 1}]}`, []string{"a"}},
		{`[{"$set": {"x": ["$a", "$nope", 3]}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 1, "x": [1, null, 3]}`, nil},
		{`[{"$set": {"x": "$o.k"}}]`, `{"_id": 1, "o": [{"k": 1}, {}, 5, {"k": [2]}]}`, `{"_id": 1, "o": [{"k": 1}, {}, 5, {"k": [2]}], "x": [1, [2]]}`, nil},
		{`[{"$set": {"x": {"$concat": ["$s", "-", "$s"]}}}]`, `{"_id": 1, "s": "a"}`, `{"_id": 1, "s": "a", "x": "a-a"}`, nil},
		{`[{"$set": {"x": {"$concat": ["$s", null]}}}]`, `{"_id": 1, "s": "a"}`, `{"_id": 1, "s": "a", "x": null}`, nil},
		{`[{"$set": {"x": {"$subtract": ["$a", 1]}, "y": {"$multiply": ["$a", 2.5]}}}]`, `{"_id": 1, "a": 3}`, `{"_id": 1, "a": 3, "x": 2, "y": 7.5}`, nil},
		{`[{"$set": {"x": {"$add": [2147483647, "$a"]}}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 1, "x": {"$numberLong": "2147483648"}}`, nil},
		{`[{"$set": {"x": {"$add": ["$a", {"$numberDecimal": "1"}]}}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 1}`, []string{"x"}},
		{`[{"$set": {"x": {"$cond": [{"$gte": ["$a", 1]}, "yes", "no"]}, "y": {"$cond": {"if": {"$eq": ["$a", null]}, "then": 1, "else": 2}}}}]`, `{"_id": 1, "a": 1}`, `{"_id": 1, "a": 1, "x": "yes", "y": 2}`, nil},
		{`[{"$set": {"x": {"$ifNull": ["$a", "none"]}, "y": {"$ifNull": ["$b", "none"]}}}]`, `{"_id": 1, "b": null}`, `{"_id": 1, "b": null, "x": "none", "y": "none"}`, nil},
		{`[{"$set": {"x": {"$lt": ["$a", null]}, "y": {"$and": ["$b", 1]}, "z": {"$not": ["$b"]}, "w": {"$or": []}}}]`, `{"_id": 1, "b": 0}`, `{"_id": 1, "b": 0, "x": true, "y": false, "z": true, "w": false}`, nil},
		{`[{"$set": {"x": {"$filter": {"input": "$l", "as": "e", "cond": {"$gt": ["$$e", 1]}}}, "y": {"$map": {"input": "$l", "in": {"$add": ["$$this", 1]}}}}}]`, `{"_id": 1, "l": [1, 2]}`, `{"_id": 1, "l": [1, 2], "x": [2], "y": [2, 3]}`, nil},
		{`[{"$set": {"x": {"$concatArrays": ["$l", [9]]}, "y": {"$arrayElemAt": ["$l", -1]}, "z": {"$arrayElemAt": ["$l", 7]}, "n": {"$size": "$l"}}}]`, `{"_id": 1, "l": [1, 2]}`, `{"_id": 1, "l": [1, 2], "x": [1, 2, 9], "y": 2, "n": 2}`, nil},
		{`[{"$replaceWith": {"$mergeObjects": [{"a": 0, "b": 0}, "$$ROOT"]}}]`, `{"_id": 1, "a": 5}`, `{"_id": 1, "a": 5, "b": 0}`, nil},
		{`[{"$replaceRoot": {"newRoot": {"x": "$a"}}}]`, `{"_id": 1, "a": 5}`, `{"_id": 1, "x": 5}`, nil},
		{`[{"$replaceWith": "$a"}]`, `{"_id": 1, "a": 5}`, "Location40228", nil},
		{`[{"$unset": ["a", "b.c"]}]`, `{"_id": 1, "a": 5, "b": [{"c": 1, "d": 2}, 3]}`, `{"_id": 1, "b": [{"d": 2}, 3]}`, nil},
		{`[{"$project": {"a": 0, "b": false}}]`, `{"_id": 1, "a": 5, "b": 1, "c": 2}`, `{"_id": 1, "c": 2}`, nil},
		{`[{"$unset": "_id"}]`, `{"_id": 1, "a": 5}`, `{"_id": 1, "a": 5}`, nil},
		{`[{"$set": {"_id": 2}}]`, `{"_id": 1, "a": 5}`, "ImmutableField", nil},
		{`[{"$match": {"a": 1}}]`, `{"_id": 1}`, "InvalidOptions", nil},
		{`[{"$set": {"a": 1}, "$unset": "b"}]`, `{"_id": 1}`, "Location40323", nil},
		{`[]`, `{"_id": 1, "a": 5}`, `{"_id": 1, "a": 5}`, nil},
	} {
		var img Image
		p, err := pipelineOf(t, c.stages)
		if err == nil {
			img, err = p.Foresee(relaxed(t, c.before))
		}
		var server *Error
		if c.want[0] != '{' {
			if !errors.As(err, &server) || server.Name != c.want {
				t.Errorf("%s on %s: %s, %v, want %s", c.stages, c.before, img.After, err, c.want)
			}
			continue
		}
		var unknown []string
		for _, u := range img.Unknown {
			unknown = append(unknown, u.Path)
		}
		if err != nil || string(img.After) != string(relaxed(t, c.want)) || !slices.Equal(unknown, c.unknown) {
			t.Errorf("%s on %s:\n got %s, %v, %v\nwant %s, %v", c.stages, c.before, img.After, img.Unknown, err, c.want, c.unknown)
		}
	}
	for _, stages := range []string{`[{"$shiny": 1}]`, `[{"$project": {"a": 1}}]`, `[{"$set": {"a": {}}}]`, `[{"$set": {"a": 1, "a.b": 2}}]`, `[{"$set": {"": 1}}]`, `[{"$unset": []}]`} {
		if _, err := pipelineOf(t, stages); !errors.Is(err, ErrNotPredictable) {
			t.Errorf("%s: %v, want ErrNotPredictable", stages, err)
		}
	}
	p, err := pipelineOf(t, `[{"$set": {"at": "$$NOW"}}, {"$replaceWith": {"was": "$$ROOT"}}]`)
	if err != nil {
		t.Fatal(err)
	}
	if img, err := p.Foresee(relaxed(t, `{"_id": 1}`)); !errors.Is(err, ErrNotPredictable) {
		t.Errorf("a document that holds the clock: %s, %v, want ErrNotPredictable", img.After, err)
	}
}

func FuzzPipeline(f *testing.F) {
	for _, c := range cases(f) {
		if c.pipeline() && !c.empty() {
			f.Add([]byte(parseJSON(f, slices.Concat([]byte(`{"p": `), c.Update, []byte(`}`)))), []byte(parseJSON(f, c.Before)))
		}
	}
	f.Fuzz(func(t *testing.T, wrapped, before []byte) {
		v := lookup(wrapped, "p")
		if !v.is(bson.TypeArray) {
			return
		}
		p, err := ParsePipeline(bson.RawArray(v.b))
		if !known(err) {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		img, err := p.Foresee(before)
		if !known(err) {
			t.Fatal(err)
		}
		if err != nil || !valid(wrapped, before) {
			return
		}
		if !valid(img.After) {
			t.Fatalf("made %x, which is not BSON", []byte(img.After))
		}
		count(t, before, img)
	})
}
