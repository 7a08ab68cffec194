package update

import (
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// relaxed reads Extended JSON in which 1 is an int and 1.5 a double.
func relaxed(t testing.TB, j string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(j), false, &d); err != nil {
		t.Fatalf("%s: %v", j, err)
	}
	return marshal(t, d)
}

const manual = "https://www.mongodb.com/docs/manual/"

// matches are what the manual says of the query language, page by page.
var matches = []struct {
	source      string
	filter, doc string
	want        Answer
}{
	{"reference/operator/query/eq/", `{}`, `{"a": 1}`, Yes},
	{"reference/operator/query/eq/", `{"a": 1}`, `{"a": 1}`, Yes},
	{"reference/operator/query/eq/", `{"a": 1}`, `{"a": 1.0}`, Yes},
	{"reference/operator/query/eq/", `{"a": 1}`, `{"a": {"$numberDecimal": "1.00"}}`, Yes},
	{"reference/operator/query/eq/", `{"a": {"$numberLong": "9007199254740993"}}`, `{"a": 9007199254740992.0}`, No},
	{"reference/operator/query/eq/", `{"a": 1}`, `{"a": "1"}`, No},
	{"reference/operator/query/eq/", `{"a": 1}`, `{"a": [0, 1]}`, Yes},
	{"reference/operator/query/eq/", `{"a": [0, 1]}`, `{"a": [0, 1]}`, Yes},
	{"reference/operator/query/eq/", `{"a": [0, 1]}`, `{"a": [1, 0]}`, No},
	{"reference/operator/query/eq/", `{"a": [0, 1]}`, `{"a": [[0, 1], 2]}`, Yes},
	{"reference/operator/query/eq/", `{"a": 1}`, `{"a": [[1]]}`, No},
	{"reference/operator/query/eq/", `{"a": {"$eq": {"$regularExpression": {"pattern": "x", "options": ""}}}}`, `{"a": "x"}`, No},
	{"reference/operator/query/eq/", `{"a": {"$eq": {"$regularExpression": {"pattern": "x", "options": ""}}}}`, `{"a": {"$regularExpression": {"pattern": "x", "options": ""}}}`, Yes},
	{"reference/operator/query/eq/", `{"a": {"b": 1, "c": 2}}`, `{"a": {"b": 1, "c": 2}}`, Yes},
	{"reference/operator/query/eq/", `{"a": {"b": 1, "c": 2}}`, `{"a": {"c": 2, "b": 1}}`, No},
	{"reference/operator/query/eq/", `{"a": {"$numberDouble": "NaN"}}`, `{"a": {"$numberDouble": "NaN"}}`, Yes},

	{"tutorial/query-embedded-documents/", `{"a.b": 1}`, `{"a": {"b": 1}}`, Yes},
	{"tutorial/query-embedded-documents/", `{"a.b": 1}`, `{"a": 1}`, No},
	{"tutorial/query-embedded-documents/", `{"a.b": 1}`, `{"a.b": 1}`, No},
	{"tutorial/query-array-of-documents/", `{"a.b": 1}`, `{"a": [{"b": 2}, {"b": 1}]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.b": 1}`, `{"a": [{"b": [2, 1]}]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.b": 1}`, `{"a": [[{"b": 1}]]}`, No},
	{"tutorial/query-array-of-documents/", `{"a.0.b": 1}`, `{"a": [[{"b": 1}]]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.0": 1}`, `{"a": [1, 2]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.1": 1}`, `{"a": [1, 2]}`, No},
	{"tutorial/query-array-of-documents/", `{"a.0": 1}`, `{"a": {"0": 1}}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.0": 1}`, `{"a": [{"0": 1}]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.0.b": 1}`, `{"a": [{"b": 1}, {"b": 2}]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.1.b": 1}`, `{"a": [{"b": 1}, {"b": 2}]}`, No},
	{"tutorial/query-array-of-documents/", `{"a.b.c": 1}`, `{"a": [{"b": [{"c": 2}, {"c": 1}]}]}`, Yes},
	{"tutorial/query-array-of-documents/", `{"a.b": {"$gt": 1, "$lt": 3}}`, `{"a": [{"b": 0}, {"b": 4}]}`, Yes}, // each by another element
	{"tutorial/query-arrays/", `{"a": {"$gt": 15, "$lt": 20}}`, `{"a": [10, 30]}`, Yes},
	{"tutorial/query-arrays/", `{"a": {"$elemMatch": {"$gt": 15, "$lt": 20}}}`, `{"a": [10, 30]}`, No},

	{"tutorial/query-for-null-fields/", `{"a": null}`, `{"a": null}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": null}`, `{}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": null}`, `{"a": 0}`, No},
	{"tutorial/query-for-null-fields/", `{"a": null}`, `{"a": []}`, No},
	{"tutorial/query-for-null-fields/", `{"a": null}`, `{"a": [1, null]}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a.b": null}`, `{"a": [{"b": 1}, {}]}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a.b": null}`, `{"a": []}`, No},
	{"tutorial/query-for-null-fields/", `{"a.b": null}`, `{"a": [1, 2]}`, No},
	{"tutorial/query-for-null-fields/", `{"a.b": null}`, `{"a": 1}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": {"$ne": null}}`, `{}`, No},
	{"tutorial/query-for-null-fields/", `{"a": {"$ne": null}}`, `{"a": 1}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": {"$type": 10}}`, `{"a": null}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": {"$type": 10}}`, `{}`, No},
	{"release-notes/8.0-compatibility/", `{"a": null}`, `{"a": {"$undefined": true}}`, Undecidable}, // until 8.0 they were equal
	{"tutorial/query-for-null-fields/", `{"a": {"$gte": null}}`, `{}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": {"$gt": null}}`, `{}`, No},
	{"tutorial/query-for-null-fields/", `{"a": {"$in": [null, 1]}}`, `{}`, Yes},
	{"tutorial/query-for-null-fields/", `{"a": {"$nin": [null]}}`, `{}`, No},

	{"reference/operator/query/gt/", `{"a": {"$gt": 1}}`, `{"a": 2.5}`, Yes},
	{"reference/operator/query/gt/", `{"a": {"$gt": 1}}`, `{"a": "2"}`, No},
	{"reference/operator/query/gt/", `{"a": {"$gt": 1}}`, `{}`, No},
	{"reference/operator/query/gt/", `{"a": {"$gt": "a"}}`, `{"a": "b"}`, Yes},
	{"reference/operator/query/gt/", `{"a": {"$gt": {"$minKey": 1}}}`, `{"a": 1}`, Yes},
	{"reference/operator/query/lt/", `{"a": {"$lt": {"$maxKey": 1}}}`, `{"a": 1}`, Yes},
	{"reference/operator/query/lt/", `{"a": {"$lt": {"$numberDouble": "NaN"}}}`, `{"a": 1}`, No},
	{"reference/operator/query/lt/", `{"a": {"$lt": 1}}`, `{"a": {"$numberDouble": "NaN"}}`, No},
	{"reference/operator/query/lte/", `{"a": {"$lte": {"$numberDouble": "NaN"}}}`, `{"a": {"$numberDouble": "NaN"}}`, Yes},
	{"reference/operator/query/gte/", `{"a": {"$gte": [1, 2]}}`, `{"a": [1, 3]}`, Yes},
	{"reference/operator/query/gte/", `{"a": {"$gte": {"$date": "2020-01-01T00:00:00Z"}}}`, `{"a": {"$date": "2021-01-01T00:00:00Z"}}`, Yes},
	{"reference/operator/query/gte/", `{"a": {"$gte": {"$date": "2020-01-01T00:00:00Z"}}}`, `{"a": {"$timestamp": {"t": 2000000000, "i": 1}}}`, No},
	{"reference/operator/query/gt/", `{"a": {"$gt": {"$numberDecimal": "0.1"}}}`, `{"a": 0.1}`, Yes}, // the double is a little more

	{"reference/operator/query/ne/", `{"a": {"$ne": 1}}`, `{}`, Yes},
	{"reference/operator/query/ne/", `{"a": {"$ne": 1}}`, `{"a": [2, 1]}`, No},
	{"reference/operator/query/in/", `{"a": {"$in": [1, 2]}}`, `{"a": 2}`, Yes},
	{"reference/operator/query/in/", `{"a": {"$in": [1, 2]}}`, `{"a": [3, 2]}`, Yes},
	{"reference/operator/query/in/", `{"a": {"$in": []}}`, `{"a": 2}`, No},
	{"reference/operator/query/in/", `{"a": {"$in": [[1, 2]]}}`, `{"a": [1, 2]}`, Yes},
	{"reference/operator/query/in/", `{"a": {"$in": [{"$regularExpression": {"pattern": "^st", "options": ""}}, 5]}}`, `{"a": "style"}`, Yes},
	{"reference/operator/query/in/", `{"a": {"$in": [{"$regularExpression": {"pattern": "^st", "options": ""}}, 5]}}`, `{"a": 5}`, Yes},
	{"reference/operator/query/in/", `{"a": {"$in": [{"$regularExpression": {"pattern": "^(?=x)", "options": ""}}, 5]}}`, `{"a": 5}`, Yes},
	{"reference/operator/query/in/", `{"a": {"$in": [{"$regularExpression": {"pattern": "^(?=x)", "options": ""}}, 5]}}`, `{"a": "x"}`, Undecidable},
	{"reference/operator/query/nin/", `{"a": {"$nin": [1]}}`, `{}`, Yes},
	{"reference/operator/query/nin/", `{"a": {"$nin": [1]}}`, `{"a": [1, 2]}`, No},

	{"reference/operator/query/and/", `{"$and": [{"a": 1}, {"b": 2}]}`, `{"a": 1, "b": 2}`, Yes},
	{"reference/operator/query/and/", `{"a": 2, "$expr": {"$eq": [1, 1]}}`, `{"a": 1}`, No},
	{"reference/operator/query/and/", `{"a": 1, "$expr": {"$eq": [1, 1]}}`, `{"a": 1}`, Undecidable},
	{"reference/operator/query/or/", `{"$or": [{"a": 1}, {"b": 2}]}`, `{"b": 2}`, Yes},
	{"reference/operator/query/or/", `{"$or": [{"a": 1}, {"$where": "true"}]}`, `{"a": 1}`, Yes},
	{"reference/operator/query/or/", `{"$or": [{"a": 2}, {"$where": "true"}]}`, `{"a": 1}`, Undecidable},
	{"reference/operator/query/nor/", `{"$nor": [{"a": 1}, {"b": 2}]}`, `{"a": 2}`, Yes},
	{"reference/operator/query/nor/", `{"$nor": [{"a": 1}]}`, `{"a": [1]}`, No},
	{"reference/operator/query/not/", `{"a": {"$not": {"$gt": 5}}}`, `{}`, Yes},
	{"reference/operator/query/not/", `{"a": {"$not": {"$gt": 5}}}`, `{"a": [1, 6]}`, No},
	{"reference/operator/query/not/", `{"a": {"$not": {"$gt": 5, "$lt": 9}}}`, `{"a": 10}`, Yes},
	{"reference/operator/query/not/", `{"a": {"$not": {"$regularExpression": {"pattern": "^p.*", "options": ""}}}}`, `{"a": "apple"}`, Yes},
	{"reference/operator/query/comment/", `{"a": 1, "$comment": "why"}`, `{"a": 1}`, Yes},

	{"reference/operator/query/exists/", `{"a": {"$exists": true}}`, `{"a": null}`, Yes},
	{"reference/operator/query/exists/", `{"a": {"$exists": true}}`, `{}`, No},
	{"reference/operator/query/exists/", `{"a": {"$exists": false}}`, `{}`, Yes},
	{"reference/operator/query/exists/", `{"a.b": {"$exists": false}}`, `{"a": []}`, Yes},
	{"reference/operator/query/exists/", `{"a.b": {"$exists": true}}`, `{"a": [{}, {"b": 1}]}`, Yes},
	{"reference/operator/query/exists/", `{"a.b": {"$exists": false}}`, `{"a": [{}, {"b": 1}]}`, No},
	{"reference/operator/query/exists/", `{"a": {"$exists": 0}}`, `{}`, Yes},

	{"reference/operator/query/type/", `{"a": {"$type": "string"}}`, `{"a": ["x", 1]}`, Yes},
	{"reference/operator/query/type/", `{"a": {"$type": "array"}}`, `{"a": [1]}`, Yes},
	{"reference/operator/query/type/", `{"a": {"$type": "array"}}`, `{"a": 1}`, No},
	{"reference/operator/query/type/", `{"a": {"$type": "number"}}`, `{"a": {"$numberDecimal": "1"}}`, Yes},
	{"reference/operator/query/type/", `{"a": {"$type": ["string", "bool"]}}`, `{"a": true}`, Yes},
	{"reference/operator/query/type/", `{"a": {"$type": -1}}`, `{"a": {"$minKey": 1}}`, Yes},
	{"reference/operator/query/type/", `{"a": {"$type": 127}}`, `{"a": {"$maxKey": 1}}`, Yes},
	{"reference/operator/query/type/", `{"a": {"$type": "nonsense"}}`, `{"a": 1}`, Undecidable}, // refused
	{"reference/operator/query/type/", `{"a": {"$type": 16}}`, `{"a": {"$numberLong": "1"}}`, No},

	{"reference/operator/query/size/", `{"a": {"$size": 2}}`, `{"a": [1, 2]}`, Yes},
	{"reference/operator/query/size/", `{"a": {"$size": 2}}`, `{"a": [[1, 2], 3, 4]}`, No},
	{"reference/operator/query/size/", `{"a": {"$size": 0}}`, `{"a": []}`, Yes},
	{"reference/operator/query/size/", `{"a": {"$size": 0}}`, `{}`, No},
	{"reference/operator/query/size/", `{"a.b": {"$size": 2}}`, `{"a": [{"b": [1, 2]}, {"b": 3}]}`, Yes},
	{"reference/operator/query/size/", `{"a": {"$size": -1}}`, `{"a": []}`, Undecidable},

	{"reference/operator/query/all/", `{"a": {"$all": [1, 2]}}`, `{"a": [2, 1, 3]}`, Yes},
	{"reference/operator/query/all/", `{"a": {"$all": [1, 2]}}`, `{"a": [1]}`, No},
	{"reference/operator/query/all/", `{"a": {"$all": [1]}}`, `{"a": 1}`, Yes},
	{"reference/operator/query/all/", `{"a": {"$all": []}}`, `{"a": []}`, No},
	{"reference/operator/query/all/", `{"a": {"$all": [["x", "y"]]}}`, `{"a": ["x", "y"]}`, Yes},
	{"reference/operator/query/all/", `{"a": {"$all": [["x", "y"]]}}`, `{"a": [["x", "y"], 1]}`, Yes},
	{"reference/operator/query/all/", `{"a": {"$all": [{"$elemMatch": {"k": 1, "n": {"$gt": 5}}}, {"$elemMatch": {"k": 2}}]}}`, `{"a": [{"k": 1, "n": 6}, {"k": 2}]}`, Yes},
	{"reference/operator/query/all/", `{"a": {"$all": [{"$elemMatch": {"k": 1, "n": {"$gt": 5}}}]}}`, `{"a": [{"k": 1, "n": 1}, {"k": 2, "n": 6}]}`, No},

	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"$gte": 80, "$lt": 85}}}`, `{"a": [82, 85, 88]}`, Yes},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"$gte": 80, "$lt": 85}}}`, `{"a": [75, 88]}`, No},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"k": 1, "n": 2}}}`, `{"a": [{"k": 1, "n": 1}, {"k": 2, "n": 2}]}`, No},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"k": 1, "n": 2}}}`, `{"a": [{"k": 1, "n": 2}]}`, Yes},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"k": 1}}}`, `{"a": {"k": 1}}`, No},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"$not": {"$gte": 0}}}}`, `{"a": [1, -1]}`, Yes},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"$in": [5, 6]}}}`, `{"a": [[5]]}`, No},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"$elemMatch": {"$gt": 3}}}}`, `{"a": [[1], [4]]}`, Yes},
	{"reference/operator/query/elemMatch/", `{"a": {"$elemMatch": {"$or": [{"k": 1}, {"k": 2}]}}}`, `{"a": [{"k": 3}, {"k": 2}]}`, Yes},
	{"reference/operator/query/elemMatch/", `{"a.b": {"$elemMatch": {"c": 1}}}`, `{"a": [{"b": [{"c": 1}]}]}`, Yes},

	{"reference/operator/query/mod/", `{"a": {"$mod": [4, 0]}}`, `{"a": 12}`, Yes},
	{"reference/operator/query/mod/", `{"a": {"$mod": [4, 1]}}`, `{"a": 5.9}`, Yes},
	{"reference/operator/query/mod/", `{"a": {"$mod": [4, -1]}}`, `{"a": -5}`, Yes},
	{"reference/operator/query/mod/", `{"a": {"$mod": [4, 0]}}`, `{"a": "12"}`, No},
	{"reference/operator/query/mod/", `{"a": {"$mod": [4, 0]}}`, `{"a": {"$numberDouble": "Infinity"}}`, No},
	{"reference/operator/query/mod/", `{"a": {"$mod": [4, 0]}}`, `{"a": {"$numberDecimal": "8.5"}}`, Yes},
	{"reference/operator/query/mod/", `{"a": {"$mod": [4]}}`, `{"a": 12}`, Undecidable},
	{"reference/operator/query/mod/", `{"a": {"$mod": [0, 0]}}`, `{"a": 12}`, Undecidable},

	{"reference/operator/query/bitsAllSet/", `{"a": {"$bitsAllSet": [1, 5]}}`, `{"a": 54}`, Yes},
	{"reference/operator/query/bitsAllSet/", `{"a": {"$bitsAllSet": 50}}`, `{"a": 54}`, Yes},
	{"reference/operator/query/bitsAllSet/", `{"a": {"$bitsAllSet": 50}}`, `{"a": 20}`, No},
	{"reference/operator/query/bitsAllSet/", `{"a": {"$bitsAllSet": {"$binary": {"base64": "MA==", "subType": "00"}}}}`, `{"a": 54}`, Yes},
	{"reference/operator/query/bitsAllSet/", `{"a": {"$bitsAllSet": [1]}}`, `{"a": {"$binary": {"base64": "Zg==", "subType": "00"}}}`, Yes},
	{"reference/operator/query/bitsAllClear/", `{"a": {"$bitsAllClear": [1, 5]}}`, `{"a": 20}`, Yes},
	{"reference/operator/query/bitsAllClear/", `{"a": {"$bitsAllClear": [200]}}`, `{"a": 1}`, Yes},
	{"reference/operator/query/bitsAllClear/", `{"a": {"$bitsAllClear": [200]}}`, `{"a": -1}`, No}, // the sign goes on for ever
	{"reference/operator/query/bitsAnySet/", `{"a": {"$bitsAnySet": [1, 5]}}`, `{"a": 2}`, Yes},
	{"reference/operator/query/bitsAnySet/", `{"a": {"$bitsAnySet": []}}`, `{"a": 2}`, No},
	{"reference/operator/query/bitsAnyClear/", `{"a": {"$bitsAnyClear": [1, 5]}}`, `{"a": 2}`, Yes},
	{"reference/operator/query/bitsAnyClear/", `{"a": {"$bitsAnyClear": [1]}}`, `{"a": 2.5}`, No},

	{"reference/operator/query/regex/", `{"a": {"$regex": "789$"}}`, `{"a": "xyz789"}`, Yes},
	{"reference/operator/query/regex/", `{"a": {"$regex": "789$"}}`, `{"a": "xyz789\n"}`, Undecidable}, // $ before the last line end
	{"reference/operator/query/regex/", `{"a": {"$regex": "^ABC", "$options": "i"}}`, `{"a": "abc123"}`, Yes},
	{"reference/operator/query/regex/", `{"a": {"$regex": "^abc", "$options": "i"}}`, `{"a": "äbc"}`, Undecidable},
	{"reference/operator/query/regex/", `{"a": {"$regex": "^abc"}}`, `{"a": "äbc"}`, No},
	{"reference/operator/query/regex/", `{"a": {"$regex": "a b", "$options": "x"}}`, `{"a": "ab"}`, Undecidable},
	{"reference/operator/query/regex/", `{"a": {"$regex": "acme.*corp", "$ne": "acmeblahcorp"}}`, `{"a": "acme corp"}`, Yes},
	{"reference/operator/query/regex/", `{"a": {"$regex": "(?<=x)y"}}`, `{"a": "xy"}`, Undecidable},
	{"reference/operator/query/regex/", `{"a": {"$regex": "(a+)+b"}}`, `{"a": "aaaa"}`, Undecidable}, // PCRE might give up
	{"reference/operator/query/regex/", `{"a": {"$regex": "x"}}`, `{"a": 5}`, No},
	{"reference/operator/query/regex/", `{"a": {"$regex": "(?<=x)y"}}`, `{"a": 5}`, No},
	{"reference/operator/query/regex/", `{"a": {"$regex": "x"}}`, `{"a": ["y", "x"]}`, Yes},
	{"reference/operator/query/regex/", `{"a": {"$options": "i"}}`, `{"a": "x"}`, Undecidable},

	{"reference/database-references/", `{"a": {"$ref": "c", "$id": 1}}`, `{"a": {"$ref": "c", "$id": 1}}`, Yes},
	{"reference/database-references/", `{"a.$id": 1}`, `{"a": {"$ref": "c", "$id": 1}}`, Yes},
	{"reference/operator/query/jsonSchema/", `{"$jsonSchema": {}}`, `{}`, Undecidable},
	{"reference/operator/query/geoWithin/", `{"a": {"$geoWithin": {"$center": [[0, 0], 1]}}}`, `{"a": [0, 0]}`, Undecidable},
	{"reference/operator/query/text/", `{"$text": {"$search": "x"}}`, `{"a": "x"}`, Undecidable},
	{"reference/mql/query-predicates/", `{"a": {"$newOperator": 1}}`, `{"a": 1}`, Undecidable},
	{"reference/mql/query-predicates/", `{"a": {"$newOperator": 1}, "b": 2}`, `{"a": 1, "b": 1}`, No},
	{"reference/mql/query-predicates/", `{"$gt": 1}`, `{"a": 1}`, Undecidable},
}

func TestMatch(t *testing.T) {
	for _, m := range matches {
		if got := Match(relaxed(t, m.filter), relaxed(t, m.doc)); got != m.want {
			t.Errorf("Match(%s, %s) = %v, want %v (%s)", m.filter, m.doc, got, m.want, manual+m.source)
		}
	}
}

// The order of types, and of values within them.
// https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
func TestCompareOrder(t *testing.T) {
	doc := relaxed(t, `{"v": [{"$minKey": 1}, null, {"$numberDouble": "NaN"}, {"$numberDecimal": "-Infinity"}, {"$numberDouble": "-1e300"},
		{"$numberLong": "-9007199254740993"}, {"$numberDouble": "-9007199254740992"}, -1, {"$numberDecimal": "-1E-6000"}, 0, {"$numberDouble": "5e-324"},
		{"$numberDecimal": "0.1"}, 0.1, 1, 1.5, {"$numberLong": "9007199254740993"}, {"$numberDecimal": "9007199254740993.1"}, {"$numberDouble": "1.5e300"},
		{"$numberDecimal": "1E+6000"}, {"$numberDouble": "Infinity"},
		"", "a", {"$symbol": "aa"}, "b", {}, {"a": 1}, {"a": 2}, {"a": 2, "b": 1}, {"b": 1}, {"a": "x"}, [], [1], [1, 2], [2], ["a"],
		{"$binary": {"base64": "/w==", "subType": "00"}}, {"$binary": {"base64": "AAA=", "subType": "00"}}, {"$binary": {"base64": "AAA=", "subType": "05"}},
		{"$oid": "5f0000000000000000000001"}, {"$oid": "5f0000000000000000000002"}, false, true,
		{"$date": {"$numberLong": "-5"}}, {"$date": {"$numberLong": "5"}}, {"$timestamp": {"t": 1, "i": 9}}, {"$timestamp": {"t": 4000000000, "i": 1}},
		{"$regularExpression": {"pattern": "a", "options": ""}}, {"$regularExpression": {"pattern": "a", "options": "i"}}, {"$regularExpression": {"pattern": "b", "options": ""}},
		{"$code": "a"}, {"$code": "b"}, {"$code": "a", "$scope": {}}, {"$code": "a", "$scope": {"x": 1}}, {"$maxKey": 1}]}`)
	list, err := doc.Lookup("v").Array().Values()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range list {
		for j, w := range list {
			if got, want := Compare(v, w), compareInts(i, j); compareInts(got, 0) != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", v, w, got, want)
			}
		}
	}
}

// A filter that the server refuses is refused.
func TestParseFilterErrors(t *testing.T) {
	for _, filter := range []string{
		`{"$and": []}`, `{"$and": 1}`, `{"$or": [1]}`, `{"$nor": {}}`, `{"$not": {"a": 1}}`, `{"$gt": 1}`,
		`{"a": {"$in": 1}}`, `{"a": {"$in": [{"$gt": 1}]}}`, `{"a": {"$all": 1}}`, `{"a": {"$all": [{"$gt": 1}]}}`, `{"a": {"$not": 1}}`, `{"a": {"$not": {}}}`,
		`{"a": {"$gt": 1, "b": 2}}`, `{"a": {"$size": "x"}}`, `{"a": {"$size": 1.5}}`, `{"a": {"$mod": 1}}`, `{"a": {"$mod": [1, 2, 3]}}`, `{"a": {"$elemMatch": 1}}`,
		`{"a": {"$bitsAllSet": "x"}}`, `{"a": {"$bitsAllSet": -1}}`, `{"a": {"$bitsAllSet": [-1]}}`, `{"a": {"$type": []}}`, `{"a": {"$type": 0}}`, `{"a": {"$type": true}}`,
		`{"a": {"$gt": {"$regularExpression": {"pattern": "x", "options": ""}}}}`, `{"a": {"$ne": {"$regularExpression": {"pattern": "x", "options": ""}}}}`,
		`{"a": {"$regex": 1}}`, `{"a": {"$options": "i"}}`,
	} {
		f, err := ParseFilter(relaxed(t, filter))
		if _, ok := err.(*Error); !ok {
			t.Errorf("ParseFilter(%s) = %v, %v, want an error of the server's", filter, f, err)
		}
	}
}

// Patterns that PCRE and RE2 read alike are decided, others are not.
func TestPortablePatterns(t *testing.T) {
	text := fromRaw(relaxed(t, `{"a": "abc-123 (x).y_z"}`).Lookup("a"))
	for _, p := range []struct {
		source, options string
		want            Answer
	}{
		{"", "", Yes}, {"bc", "", Yes}, {"BC", "", No}, {"BC", "i", Yes}, {"^abc", "", Yes}, {"^bc", "m", No}, {"z$", "", Yes}, {"a.c", "s", Yes},
		{`\d{3}`, "", Yes}, {`\d{4}`, "", No}, {`\d{2,}`, "", Yes}, {`\d{4,5}`, "", No}, {`\(x\)\.`, "", Yes}, {`[a-c]+-[0-9]`, "", Yes}, {`[^a-z]`, "", Yes},
		{`(ab|cd)c`, "", Yes}, {`(?:ab)+c`, "", Yes}, {`ab??c`, "", Yes}, {`\bx\b`, "", Yes}, {`\s\(`, "", Yes}, {`\w+-\W?\d`, "", Yes}, {`[\d-]+`, "", Yes}, {`a|`, "", Yes},
		{"(?i)abc", "", Undecidable}, {"a(?=b)", "", Undecidable}, {"(a)\\1", "", Undecidable}, {"a*+", "", Undecidable}, {"[[:alpha:]]", "", Undecidable},
		{`\Aabc`, "", Undecidable}, {`\x41`, "", Undecidable}, {`\p{L}`, "", Undecidable}, {"[]a]", "", Undecidable}, {"a{,3}", "", Undecidable}, {"(a*)*", "", Undecidable},
		{"(*UTF)a", "", Undecidable}, {"a", "u", Undecidable}, {"a b", "x", Undecidable}, {"(", "", Undecidable}, {"é", "i", Undecidable}, {"é", "", No},
		{".*.*.*.*.*.*x", "", Undecidable},
	} {
		if got := newPattern([]byte(p.source), []byte(p.options)).matches(text); got != p.want {
			t.Errorf("/%s/%s = %v, want %v", p.source, p.options, got, p.want)
		}
	}
}

func ExampleMatch() {
	filter, _ := bson.Marshal(bson.D{{Key: "a", Value: bson.D{{Key: "$gt", Value: 1}}}, {Key: "$expr", Value: true}})
	doc, _ := bson.Marshal(bson.D{{Key: "a", Value: 2}})
	fmt.Println(Match(filter, doc))
	// Output: undecidable
}
