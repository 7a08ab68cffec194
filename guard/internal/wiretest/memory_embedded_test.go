package wiretest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestMemoryIsLikeTheEmbeddedServer: a Memory that poses as the embedded server answers as it does, to what the tests on it send. Known to differ: a unique index of the embedded
// server lets several documents be without its field, and a collection that is not there can be dropped; here, as in MongoDB, neither.
func TestMemoryIsLikeTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	address, db := backend(t)
	real, memory := dial(t, address, db), dial(t, NewMemory(t, MemoryConfig{Embedded: true}).Address(), db)
	for _, text := range []string{
		`{"insert": "people", "documents": [{"_id": 1, "name": "Ann", "age": 30}, {"_id": "x", "name": "Cid", "when": {"$timestamp": {"t": 0, "i": 0}}}, {"_id": 2, "name": "Bob", "age": {"$numberLong": "40"}}]}`,
		`{"insert": "people", "documents": [{"_id": 1}, {"_id": 7, "name": "Eve"}]}`,
		`{"insert": "people", "documents": [{"_id": 1}, {"_id": 8, "name": "Fay"}], "ordered": false}`,
		`{"createIndexes": "people", "indexes": [{"key": {"name": 1}, "name": "name_1", "unique": true}]}`,
		`{"createIndexes": "people", "indexes": [{"key": {"name": 1}, "name": "name_1", "unique": true}]}`,
		`{"insert": "people", "documents": [{"_id": 9, "name": "Ann"}]}`,
		`{"listIndexes": "people"}`, `{"listIndexes": "nobody"}`,
		`{"find": "people", "filter": {}}`, `{"find": "people", "filter": {"_id": {"$eq": 1}}}`, `{"find": "people", "filter": {"age": {"$exists": true}}, "limit": 1}`, `{"find": "nobody", "filter": {}}`,
		`{"find": "people", "filter": {"$and": [{"_id": 1}, {"age": {"$eq": 30, "$type": "int"}}, {"$nor": [{"gone": {"$exists": true}}]}]}}`,
		`{"find": "people", "filter": {"_id": 1, "$expr": {"$eq": ["$age", 30]}}}`,
		`{"count": "people", "query": {"name": {"$in": ["Ann", "Bob"]}}}`, `{"collStats": "people"}`,
		`{"update": "people", "updates": [{"q": {"age": {"$exists": true}}, "u": {"$inc": {"age": 1}}, "multi": true}]}`,
		`{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"age": 31}}}]}`,
		`{"update": "people", "updates": [{"q": {"_id": "x"}, "u": {"name": "Cid", "when": {"$timestamp": {"t": 0, "i": 0}}, "more": true}}]}`,
		`{"update": "people", "updates": [{"q": {"_id": 50}, "u": {"$set": {"name": "Gus"}}, "upsert": true}]}`,
		`{"update": "people", "updates": [{"q": {"_id": 51}, "u": {"name": "Hal"}, "upsert": true}]}`,
		`{"update": "people", "updates": [{"q": {"_id": 1}, "u": [{"$set": {"a": 1}}]}]}`,
		`{"findAndModify": "people", "query": {"_id": 1}, "update": {"$set": {"age": 5}}, "new": true}`, `{"findAndModify": "people", "query": {"_id": 1}, "update": {"name": "Ann", "age": 6}}`,
		`{"findAndModify": "people", "query": {"_id": 77}, "update": {"$set": {"age": 5}}}`, `{"findAndModify": "people", "query": {"_id": 60}, "update": {"$set": {"name": "Ida"}}, "upsert": true, "new": true}`,
		`{"findAndModify": "people", "query": {"name": {"$exists": true}}, "sort": {"_id": 1}, "remove": true}`, `{"findAndModify": "people", "query": {"_id": 77}, "remove": true}`,
		`{"delete": "people", "deletes": [{"q": {"_id": 50}, "limit": 1}, {"q": {"_id": {"$in": []}}, "limit": 0}]}`,
		`{"dropIndexes": "people", "index": "nothing"}`, `{"dropIndexes": "people", "index": "name_1"}`, `{"dropIndexes": "people", "index": "*"}`,
		`{"create": "fresh"}`, `{"create": "fresh"}`, `{"listCollections": 1, "filter": {"name": "fresh"}}`,
		`{"aggregate": 1, "pipeline": [{"$documents": [{"$literal": {"a": 1}}]}, {"$match": {"a": 1}}], "cursor": {}}`,
		`{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`, `{"find": "people", "filter": {}}`,
		`{"drop": "fresh"}`, `{"nonsense": 1}`,
	} {
		var cmd bson.D
		if err := bson.UnmarshalExtJSON([]byte(text), false, &cmd); err != nil {
			t.Fatal(text, err)
		}
		want, got := essence(t, real.run(cmd)), essence(t, memory.run(cmd))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-embedded server +memory)\n%s", text, diff)
		}
	}
}

// essence is what a client looks at in an answer: what was done, what was found, and whether something was refused.
func essence(t *testing.T, reply bson.Raw) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range [][]string{
		{"ok"}, {"n"}, {"nModified"}, {"value"}, {"count"}, {"nIndexesWas"}, {"numIndexesAfter"}, {"upserted", "0", "_id"}, {"upserted", "0", "index"}, {"writeErrors", "0", "index"}, {"writeErrors", "0", "code"},
		{"writeErrors", "1", "code"}, {"lastErrorObject", "n"}, {"lastErrorObject", "updatedExisting"}, {"lastErrorObject", "upserted"}, {"cursor", "id"},
	} {
		if v, err := reply.LookupErr(path...); err == nil && v.Type != bson.TypeNull {
			out[path[len(path)-1]] += " " + canonical(v)
		}
	}
	if list, ok := reply.Lookup("cursor", "firstBatch").ArrayOK(); ok {
		values, err := list.Values()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			d := without(v.Document(), "info", "idIndex", "background", "type")
			out["found"] += " " + d.String()
		}
	}
	if code, ok := reply.Lookup("code").AsInt64OK(); ok {
		out["refused"] = "yes"
		if code == 26 || code == 27 || code == 48 || code == 11000 { // those that are looked at
			out["refused"] = reply.Lookup("code").String()
		}
	}
	return out
}

// canonical is a value without the type of its number: servers differ in that.
func canonical(v bson.RawValue) string {
	if n, ok := v.AsInt64OK(); ok && v.IsNumber() {
		return bson.RawValue{Type: bson.TypeInt64, Value: encode(bson.D{{Key: "n", Value: n}})[7:15]}.String()
	}
	return v.String()
}
