package guard_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/plan"
)

// pets is a small collection in which names, types and missing fields can be got wrong.
var pets = []string{
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70001"}, "name": "Rex", "owner": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}, "born": {"$date": "2020-01-01T00:00:00Z"}, "tags": ["a", "b"], "at": {"city": "Bern", "zip": 3000}, "n": 1}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70002"}, "name": "Mia", "owner": {"$oid": "64b0c0f1a2b3c4d5e6f70012"}, "born": {"$date": "2021-01-01T00:00:00Z"}, "tags": ["a"], "at": {"city": "Thun", "zip": 3600}, "n": 2}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70003"}, "name": "Ivo", "owner": null, "born": {"$date": "2022-01-01T00:00:00Z"}, "tags": [], "at": {"city": "Biel", "zip": 2500}, "n": 3}`,
	`{"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70004"}, "name": "Zoe", "born": {"$date": "2023-01-01T00:00:00Z"}, "tags": ["c"], "at": {"city": "Chur", "zip": 7000}, "n": 4}`,
}

// findingsSaid says what a fact's text holds where it is true, and statements in which the fact is not to be said. A statement is one command, or several, one a
// line. Besides pets there are solo and bare, of one document, ranks, of three, and many, of more than are looked at to know what a collection has. DB is the
// database, LONG a long text.
var findingsSaid = []struct {
	code, cmd, text string
	quiet           []string
}{
	{"null-matches-missing", `{"delete": "pets", "deletes": [{"q": {"owner": null}, "limit": 0}]}`, "1 of them", []string{
		`{"delete": "pets", "deletes": [{"q": {"owner": null, "name": "Ivo"}, "limit": 0}]}`, // it has the field, and that is null
		`{"delete": "pets", "deletes": [{"q": {"owner": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}}, "limit": 0}]}`,
		`{"delete": "pets", "deletes": [{"q": {"owner": {"$eq": null, "$exists": true}}, "limit": 0}]}`, // asked for, and kept out
		`{"delete": "pets", "deletes": [{"q": {"owner": {"$ne": null}}, "limit": 0}]}`,
		`{"delete": "pets", "deletes": [{"q": {"at.zip": null}, "limit": 0}]}`, // none lacks it
	}},
	{"type-mismatch", `{"delete": "pets", "deletes": [{"q": {"_id": {"$in": ["64b0c0f1a2b3c4d5e6f70001"]}}, "limit": 0}]}`, "compares _id with a string, but in the documents that were looked at it is objectId", []string{
		`{"delete": "pets", "deletes": [{"q": {"_id": {"$in": [{"$oid": "64b0c0f1a2b3c4d5e6f70009"}]}}, "limit": 0}]}`,      // not there, and of the right type
		`{"delete": "pets", "deletes": [{"q": {"n": {"$numberLong": "77"}}, "limit": 0}]}`,                                  // numbers are one type
		`{"delete": "pets", "deletes": [{"q": {"tags": "zz"}, "limit": 0}]}`,                                                // an array's elements count
		`{"delete": "pets", "deletes": [{"q": {"tags.0": "zz"}, "limit": 0}]}`,                                              // by their number too
		`{"delete": "pets", "deletes": [{"q": {"_id": {"$in": ["x", {"$oid": "64b0c0f1a2b3c4d5e6f70009"}]}}, "limit": 0}]}`, // one of them could match
		`{"delete": "pets", "deletes": [{"q": {"$or": [{"_id": "x"}, {"name": "Rex"}]}, "limit": 0}]}`,                      // it matches all the same
		`{"delete": "pets", "deletes": [{"q": {"name": {"$regex": "^Q"}}, "limit": 0}]}`,
		`{"delete": "many", "deletes": [{"q": {"ref": "x"}, "limit": 0}]}`, // where it is null it may become anything
		`{"delete": "pets", "deletes": [{"q": {"name": {"$regularExpression": {"pattern": "^Q", "options": ""}}}, "limit": 0}]}`,
	}},
	{"type-mismatch", `{"delete": "pets", "deletes": [{"q": {"born": {"$lt": "2020-06-01"}}, "limit": 0}]}`, "with a string, but", nil},
	{"type-mismatch", `{"delete": "pets", "deletes": [{"q": {"name": 5}, "limit": 0}]}`, "compares name with an int, but", nil},
	{"type-mismatch", `{"delete": "pets", "deletes": [{"q": {"name": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}}, "limit": 0}]}`, "compares name with an objectId, but", nil},
	{"ttl-deletes", `{"createIndexes": "pets", "indexes": [{"key": {"n": 1}, "name": "x", "expireAfterSeconds": 604800000}]}`, "n holds a date in none of the 4 documents of DB.pets: the index deletes nothing, however old they get; it is for those whose n is older than 604,800,000 s (19 years), counted in seconds and not in milliseconds", nil},
	{"ttl-deletes", `{"createIndexes": "solo", "indexes": [{"key": {"n": 1}, "name": "x", "expireAfterSeconds": 86400}]}`, "n holds no date in the one document of DB.solo", nil},
	{"ttl-deletes", `{"createIndexes": "pets", "indexes": [{"key": {"born": 1}, "name": "x", "expireAfterSeconds": 3600000000}]}`, "once its born is older than 3,600,000,000 s (114 years), counted in seconds and not in milliseconds; none is yet", nil},
	{"unknown-field", `{"update": "pets", "updates": [{"q": {"nmae": "Rex"}, "u": {"$set": {"n": 5}}, "multi": true}]}`, "did you mean name?", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Nobody"}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"at.city": "Bern"}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
		`{"delete": "pets", "deletes": [{"q": {"tags.0": "a"}, "limit": 0}]}`,              // an element, not a field
		`{"delete": "pets", "deletes": [{"q": {"nmae": {"$exists": false}}, "limit": 0}]}`, // just that is asked for
		`{"delete": "many", "deletes": [{"q": {"archived": true}, "limit": 0}]}`,           // one has it, which nobody looked at
	}},
	{"unknown-field", `{"delete": "pets", "deletes": [{"q": {"n": {"$gt": 2}, "nmae": {"$ne": "Rex"}}, "limit": 0}]}`, "did you mean name?", nil},
	{"unknown-field", `{"delete": "solo", "deletes": [{"q": {"absent": 1}, "limit": 0}]}`, "the one document that was looked at has no field absent", nil},
	{"unknown-field", `{"delete": "pets", "deletes": [{"q": {"nmae": {"$regex": "^R"}}, "limit": 0}]}`, "did you mean name?", nil},
	{"unknown-field", `{"delete": "pets", "deletes": [{"q": {"$or": [{"nmae": "Rex"}, {"name": "Mia"}]}, "limit": 0}]}`, "did you mean name?", nil},
	{"empty-list", `{"update": "pets", "updates": [{"q": {"name": {"$in": []}}, "u": {"$set": {"n": 5}}, "multi": true, "upsert": true}]}`, "matches nothing", []string{
		`{"update": "pets", "updates": [{"q": {"name": {"$in": ["Rex"]}}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"tags": []}, "u": {"$set": {"n": 5}}, "multi": true}]}`, // a value, which Ivo has
		`{"update": "pets", "updates": [{"q": {"tags": {"$in": [[]]}}, "u": {"$set": {"n": 5}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": []}}}]}`, // not in the filter
	}},
	{"empty-list", `{"delete": "pets", "deletes": [{"q": {"name": {"$nin": []}}, "limit": 0}]}`, "matches everything", nil},
	{"overwrites-subdocument", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at": {"zip": 3001}}}}]}`, "$set of the whole of at drops", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at.zip": 3001}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at": {"city": "Biel", "zip": 2500}}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"home": {"zip": 2500}}}}]}`,   // there was none
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": ["b", "a", "c"]}}}]}`, // all of them are still there
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": ["b"]}}}]}`,           // array-shrinks says it
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$push": {"tags": "c"}}}]}`,
	}},
	{"overwrites-subdocument", `{"update": "pets", "updates": [{"q": {"n": {"$lt": 3}}, "u": {"$set": {"tags": ["x", "y"]}}, "multi": true}]}`, "$set of the whole array tags drops elements that it held, in 2 documents", nil},
	{"array-shrinks", `{"update": "pets", "updates": [{"q": {}, "u": {"$pull": {"tags": "a"}}, "multi": true}]}`, "tags loses 2 elements in 2 documents, and becomes empty in 1 document", []string{
		`{"update": "pets", "updates": [{"q": {}, "u": {"$push": {"tags": "z"}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": ["x", "y"]}}}]}`,
		`{"update": "pets", "updates": [{"q": {}, "u": {"$pull": {"tags": "zz"}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Ivo"}, "u": {"$pop": {"tags": 1}}}]}`,   // it is empty
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": "a"}}}]}`, // type-change says it
	}},
	{"type-change", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": "one"}}}]}`, "n changes its type from int to string, in 1 document", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 7}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Ivo"}, "u": {"$set": {"owner": {"$oid": "64b0c0f1a2b3c4d5e6f70011"}}}}]}`, // null had no type to lose
		`{"update": "pets", "updates": [{"q": {"name": "Zoe"}, "u": {"$set": {"owner": "Ann"}}}]}`,                                // nor had nothing
		`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`,
	}},
	{"type-change", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"owner": null}}}]}`, "owner changes its type from objectId to null", nil},
	{"type-change", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags": "a"}}}]}`, "tags changes its type from array to string", nil},
	{"unique-conflict", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "Mia"}}}]}`, "would violate the unique index name_1", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "Max"}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 2}}}]}`,
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"update": "pets", "updates": [{"q": {"n": {"$lt": 3}}, "u": {"$set": {"seen": true}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Mia"}, "u": {"$set": {"name": "Eva"}}}, {"q": {"name": "Rex"}, "u": {"$set": {"name": "Mia"}}}]}`, // free by then
		`{"delete": "pets", "deletes": [{"q": {"name": "Mia"}, "limit": 1}]}` + "\n" + `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "Mia"}}}]}`,
		`{"insert": "pets", "documents": [{"_id": 8, "name": "LONG1"}, {"_id": 9, "name": "LONG2"}]}`, // alike, as far as anybody would read them
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "mia"}}}]}`,
		`{"update": "ranks", "updates": [{"q": {}, "u": {"$inc": {"rank": -1}}, "multi": true}]}`,
	}},
	{"unique-conflict", `{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"name": "Same"}}, "multi": true}]}`, "two documents of this change", nil},
	{"unique-conflict", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"name": "Mia"}}}, {"q": {"name": "Mia"}, "u": {"$set": {"n": 9}}}]}`, "has it", nil},          // and keeps it
	{"unique-conflict", `{"update": "pets", "updates": [{"q": {"name": "Mia"}, "u": {"$set": {"n": 9}}}, {"q": {"name": "Rex"}, "u": {"$set": {"name": "Mia"}}}]}`, "{name: \"Mia\"}", nil}, // in the other order
	{"unique-conflict", `{"update": "ranks", "updates": [{"q": {}, "u": {"$inc": {"rank": 1}}, "multi": true}]}`, "has it still", nil},                                                      // each takes the next one's

	{"unique-conflict", `{"createIndexes": "bare", "indexes": [{"key": {"of": 1}, "name": "of_1", "unique": true}]}`, "the unique index of_1 cannot be built: 2 documents of DB.bare have {of: \"a\"}", []string{
		`{"createIndexes": "bare", "indexes": [{"key": {"of": 1}, "name": "of_1"}]}`,
		`{"createIndexes": "bare", "indexes": [{"key": {"n": 1}, "name": "n_1", "unique": true}]}`,
		`{"createIndexes": "bare", "indexes": [{"key": {"of": 1, "n": 1}, "name": "of_1_n_1", "unique": true}]}`,
		`{"createIndexes": "bare", "indexes": [{"key": {"of": 1}, "name": "of_1", "unique": true, "partialFilterExpression": {"n": {"$gt": 1}}}]}`, // not known: it holds some of them
		`{"createIndexes": "nowhere", "indexes": [{"key": {"of": 1}, "name": "of_1", "unique": true}]}`,
	}},
	{"unique-conflict", `{"createIndexes": "bare", "indexes": [{"key": {"at.x": -1, "of": 1}, "name": "x", "unique": true}]}`, "2 documents of DB.bare have {at.x: 1, of: \"a\"}", nil},
	{"unique-conflict", `{"createIndexes": "bare", "indexes": [{"key": {"absent": 1}, "name": "x", "unique": true}]}`, "3 documents of DB.bare have {absent: null}, or lack it", nil},
	{"matched", `{"createIndexes": "bare", "indexes": [{"key": {"n": 1, "of": -1}, "name": "n_1", "unique": true}]}`, "builds unique index n_1 {n: 1, of: -1} of DB.bare, reading its 3 documents", nil},
	{"matched", `{"createIndexes": "bare", "indexes": [{"key": {"n": 1}, "name": "n_1", "unique": true}, {"key": {"of": "hashed"}, "name": "h"}]}`, "builds 2 indexes of DB.bare: n_1 {n: 1} (unique), h {of: hashed}, reading", nil},
	{"ttl-deletes", `{"createIndexes": "pets", "indexes": [{"key": {"born": 1, "n": 1}, "name": "x", "expireAfterSeconds": 60}]}`, "expireAfterSeconds has no effect on the compound index x", nil},
	{"unique-conflict", `{"insert": "pets", "documents": [{"_id": 9, "name": "Zoe"}]}`, "has it", []string{`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`}},
	{"creates-collection", `{"insert": "pest", "documents": [{"_id": 9}]}`, "did you mean pets?", []string{`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`}},
	{"matched", `{"delete": "pets", "deletes": [{"q": {"n": {"$gt": 1}}, "limit": 0}]}`, "3 of 4 documents, 75 %", []string{
		`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`,                                                    // what is new was not matched
		`{"update": "pets", "updates": [{"q": {"name": "Ada"}, "u": {"$set": {"n": 5}}, "multi": true, "upsert": true}]}`, // and nothing was
	}},
	{"empty-filter", `{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`, "every document of", []string{
		`{"delete": "pets", "deletes": [{"q": {"_id": {"$exists": true}}, "limit": 0}]}`,             // it has a condition, such as it is
		`{"delete": "nowhere", "deletes": [{"q": {}, "limit": 0}]}`,                                  // every document of none
		`{"update": "pets", "updates": [{"q": {}, "u": {"$unset": {"absent": ""}}, "multi": true}]}`, // matched, and none of them is changed
		`{"findAndModify": "pets", "query": {}, "sort": {"n": -1}, "remove": true}`,                  // the sort says which one
		`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`,                               // it has no filter at all
		`{"update": "solo", "updates": [{"q": {}, "u": {"$set": {"n": 2}}}]}`,                        // there is but one that it can mean
	}},
	{"empty-filter", `{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"n": 9}}}]}`, "whichever the server finds first", nil},
	{"one-of-many", `{"update": "pets", "updates": [{"q": {"n": {"$gt": 1}}, "u": {"$set": {"seen": 1}}}]}`, "3 documents of DB.pets match, and only this one is taken, whichever the server finds first: _id ObjectId('64b0c0f1a2b3c4d5e6f70002')", []string{
		`{"update": "pets", "updates": [{"q": {"n": {"$gt": 1}}, "u": {"$set": {"seen": 1}}, "multi": true}]}`, // all of them are taken
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"seen": 1}}}]}`,
		`{"delete": "pets", "deletes": [{"q": {"_id": {"$oid": "64b0c0f1a2b3c4d5e6f70001"}}, "limit": 1}]}`,
		`{"delete": "pets", "deletes": [{"q": {"name": "Nobody"}, "limit": 1}]}`,
		`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`,
	}},
	{"one-of-many", `{"delete": "pets", "deletes": [{"q": {"n": {"$lt": 3}}, "limit": 1}]}`, "2 documents of DB.pets match", nil},
	{"one-of-many", `{"findAndModify": "pets", "query": {"n": {"$gt": 1}}, "sort": {"n": -1}, "remove": true}`, "3 documents of DB.pets match, and only this one is taken, the first by its sort: _id ObjectId('64b0c0f1a2b3c4d5e6f70004')", nil},
	{"one-of-many", `{"update": "pets", "updates": [{"q": {"n": {"$gt": 3}}, "u": {"n": 5}}]}` + "\n" + `{"delete": "pets", "deletes": [{"q": {"n": {"$lt": 3}}, "limit": 1}]}` + "\n" + `{"update": "pets", "updates": [{"q": {"n": {"$in": [2, 3]}, "tags": []}, "u": {"$set": {"n": 3.5}}}]}`, "2 documents of DB.pets match", nil},
	{"all-documents", `{"delete": "pets", "deletes": [{"q": {"_id": {"$exists": true}}, "limit": 0}]}`, "this is EVERY document of DB.pets: the filter excludes none of its 4 documents", []string{
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`,                                                                                // that is the empty filter
		`{"delete": "solo", "deletes": [{"q": {"_id": 1}, "limit": 1}]}`,                                                                        // the only one there is
		`{"aggregate": "ranks", "pipeline": [{"$match": {"rank": 1}}, {"$out": "pets"}], "cursor": {}}`,                                         // that is what $out does
		`{"delete": "pets", "deletes": [{"q": {"n": {"$lt": 4}}, "limit": 0}]}`,                                                                 // all but one
		`{"update": "pets", "updates": [{"q": {"n": {"$gt": 0}}, "u": {"$unset": {"absent": ""}}, "multi": true}]}`,                             // none of them is changed
		`{"insert": "pets", "documents": [{"_id": 6, "name": "A"}, {"_id": 7, "name": "B"}, {"_id": 8, "name": "C"}, {"_id": 9, "name": "D"}]}`, // as many as there are
	}},
	{"all-documents", `{"delete": "pets", "deletes": [{"q": {"n": {"$lt": 3}}, "limit": 0}]}` + "\n" + `{"delete": "pets", "deletes": [{"q": {"n": {"$gte": 3}}, "limit": 0}]}`, "this is EVERY document of DB.pets: the 2 statements select all 4, together", nil},
	{"no-match", `{"delete": "pets", "deletes": [{"q": {"name": "Nobody"}, "limit": 0}]}`, "nothing there will change", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 1}}}]}`,                 // it matches, and is as asked
		`{"update": "pets", "updates": [{"q": {"name": "Ada"}, "u": {"$set": {"n": 5}}, "upsert": true}]}`, // nothing matches, and something changes
		`{"delete": "pets", "deletes": [{"q": {"name": "Nobody"}, "limit": 0}, {"q": {"name": "Rex"}, "limit": 0}]}`,
	}},
	{"computed-output", `{"aggregate": "ranks", "pipeline": [{"$match": {"rank": 1}}, {"$project": {"n": "$rank"}}, {"$out": "pets"}], "cursor": {}}`, "$out computed 1 document for DB.pets, which will hold it and nothing else: 4 others go", []string{
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"aggregate": "ranks", "pipeline": [{"$out": "ranks"}], "cursor": {}}` + "\n" + `{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`, // it stays as it is
	}},
	{"computed-output", `{"aggregate": "ranks", "pipeline": [{"$out": "solo"}], "cursor": {}}`, "$out computed 3 documents for DB.solo, which will hold them and nothing else; ", nil}, // it has _id 1
	{"computed-output", `{"aggregate": "ranks", "pipeline": [{"$merge": "pets"}], "cursor": {}}`, "$merge computed 3 documents for DB.pets", nil},
	{"no-match", `{"drop": "nowhere"}`, "there is no collection DB.nowhere", []string{`{"drop": "solo"}`}},
	{"no-match", `{"drop": "slo"}`, "there is no collection DB.slo; did you mean solo?", nil},
	{"no-match", `{"delete": "pest", "deletes": [{"q": {}, "limit": 0}]}`, "there is no collection DB.pest; did you mean pets?", []string{
		`{"update": "pest", "updates": [{"q": {"_id": 9}, "u": {"$set": {"n": 5}}, "upsert": true}]}`,
	}},
	{"no-change", `{"update": "pets", "updates": [{"q": {"n": {"$lt": 3}}, "u": {"$set": {"n": 1}}, "multi": true}]}`, "1 matched document is already as asked", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": {"$numberLong": "1"}}}}]}`,           // as much, but another type
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at": {"zip": 3000, "city": "Bern"}}}}]}`, // the same fields in another order
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"owner": null}}}]}`,
		`{"delete": "pets", "deletes": [{"q": {"name": "Nobody"}, "limit": 0}]}`,
	}},
	{"removes-fields", `{"update": "pets", "updates": [{"q": {"n": {"$lt": 3}}, "u": {"$unset": {"at.zip": "", "absent": ""}}, "multi": true}]}`, "removes fields from 2 documents: at.zip", []string{
		`{"update": "pets", "updates": [{"q": {}, "u": {"$unset": {"absent": ""}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {}, "u": {"$pull": {"tags": "a"}}, "multi": true}]}`,                   // elements are no fields
		`{"update": "pets", "updates": [{"q": {}, "u": {"$rename": {"n": "number"}}, "multi": true}]}`,               // it has another name
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"at": {"zip": 1, "city": "Bern"}}}}]}`, // all of them, in another order
		`{"update": "pets", "updates": [{"q": {"name": "Zoe"}, "u": {"$set": {"owner": null}}}]}`,                    // it had none
		`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 0}]}`,                                        // the whole document goes
	}},
	{"renames-field", `{"update": "pets", "updates": [{"q": {"n": {"$lt": 3}}, "u": {"$rename": {"n": "number"}}, "multi": true}]}`, "renames n to number, in 2 documents", []string{
		`{"update": "pets", "updates": [{"q": {}, "u": {"$rename": {"absent": "present"}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$unset": {"n": ""}, "$set": {"number": 1}}}]}`, // it goes, and another one comes
	}},
	{"renames-field", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$rename": {"at": "home.now"}}}]}`, "renames at to home.now, in 1 document", nil},
	{"type-change", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": {"$numberLong": "1"}}}}]}`, "n changes its type from int to long, in 1 document", nil},
	{"type-change", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"tags.1": 2}}}]}`, "tags.1 changes its type from string to int, in 1 document", nil},
	{"replaces-document", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"name": "Rex"}}]}`, "replaces the whole of 1 document", []string{
		`{"update": "solo", "updates": [{"q": {"_id": 1}, "u": {"n": 1}}]}`,                             // by what it is already
		`{"update": "pets", "updates": [{"q": {"name": "Ada"}, "u": {"name": "Ada"}, "upsert": true}]}`, // by nothing: it is new
		`{"update": "solo", "updates": [{"q": {"_id": 1}, "u": {"$set": {"n": 2}}}]}`,                   // each of its fields
	}},
	{"replaces-document", `{"findAndModify": "solo", "query": {"_id": 1}, "update": {"n": 2}}`, "replaces the whole", nil},
	{"creates-document", `{"update": "pets", "updates": [{"q": {"name": "Ada"}, "u": {"$set": {"n": 5}}, "multi": true, "upsert": true}]}`, "the upsert creates a document", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 5}}, "upsert": true}]}`, // it matches
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 1}}, "upsert": true}]}`, // it matches, and is as asked
		`{"update": "pets", "updates": [{"q": {"name": "Ada"}, "u": {"$set": {"n": 5}}, "multi": true}]}`,  // not without upsert
		`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada"}]}`,                                     // that says so itself
	}},
	{"creates-collection", `{"update": "pest", "updates": [{"q": {"_id": 9}, "u": {"$set": {"n": 5}}, "upsert": true}]}`, "did you mean pets?", []string{
		`{"update": "pest", "updates": [{"q": {"_id": 9}, "u": {"$set": {"n": 5}}}]}`, // nothing is inserted
		`{"delete": "pest", "deletes": [{"q": {}, "limit": 0}]}`,
	}},
	{"creates-collection", `{"createIndexes": "pest", "indexes": [{"key": {"n": 1}, "name": "n_1"}]}`, "will be created", []string{
		`{"createIndexes": "pets", "indexes": [{"key": {"n": 1}, "name": "n_1"}]}`,
	}},
	{"creates-collection", `{"create": "fresh"}`, "creates the collection", nil},
	{"from-loop", `{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}` + "\n" + `{"delete": "pets", "deletes": [{"q": {"name": "Mia"}, "limit": 1}]}`, "2 operations issued by one statement", []string{
		`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}, {"q": {"name": "Mia"}, "limit": 1}]}`, // one command, written down as a whole
	}},
	{"drops-index", `{"dropIndexes": "pets", "index": {"name": 1}}`, "drops the index name_1 (unique)", []string{
		`{"dropIndexes": "bare", "index": "*"}`, // there is none that can be dropped
		`{"drop": "pets"}`,                      // the collection goes, and names its indexes
		`{"createIndexes": "pets", "indexes": [{"key": {"n": 1}, "name": "n_1"}]}`,
	}},
	{"drops-index", `{"dropIndexes": "pets", "index": "name_1"}`, "; no other index begins with name", nil},
	{"drops-index", `{"dropIndexes": "pets", "index": "born_1"}`, "; born_1_n_1 also begins with born", nil},
	{"drops-index", `{"dropIndexes": "pets", "index": ["born_1", "born_1_n_1"]}`, "; no other index begins with born", nil},
	{"drops-collection", `{"drop": "pets"}`, "4 documents", []string{
		`{"drop": "nowhere"}`,
		`admin: {"renameCollection": "DB.pets", "to": "DB.free", "dropTarget": true}`, // nothing is there that could go
		`admin: {"renameCollection": "DB.pets", "to": "DB.free"}`,
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`, // the collection stays, with its indexes
	}},
	{"drops-collection", `admin: {"renameCollection": "DB.pets", "to": "DB.solo", "dropTarget": true}`, "drops the collection DB.solo: 1 document", nil},
	{"drops-collection", `{"dropDatabase": 1}`, "drops the database DB: 5 collections, 142 documents", nil},
	{"not-predictable", `{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$currentDate": {"seen": true}}}]}`, "not known beforehand in 1 document", []string{
		`{"update": "pets", "updates": [{"q": {"name": "Nobody"}, "u": {"$currentDate": {"seen": true}}}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"born": {"$date": "2020-02-02T00:00:00Z"}}}}]}`, // a date, but a given one
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 5}, "$setOnInsert": {"seen": {"$timestamp": {"t": 0, "i": 0}}}}, "upsert": true}]}`,
		`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`,
	}},
	{"system-collection", `local: {"delete": "startup_log", "deletes": [{"q": {}, "limit": 0}]}`, "", []string{
		`admin: {"shutdown": 1}`, // refused, but for what it does, not for where
		`{"delete": "systems", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"delete": "admin", "deletes": [{"q": {}, "limit": 0}]}`, // a name like that of the database
	}},
	{"system-collection", `{"insert": "system.js", "documents": [{"_id": "f"}]}`, "", nil},
	{"not-pinnable", `{"insert": "pets", "documents": [{"_id": 9, "name": "Ada", "seen": {"$timestamp": {"t": 0, "i": 0}}}]}`, "give it a value", []string{
		`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada", "seen": {"$timestamp": {"t": 1, "i": 1}}}]}`,
		`{"insert": "pets", "documents": [{"_id": 9, "name": "Ada", "at": {"seen": {"$timestamp": {"t": 0, "i": 0}}}}]}`, // the server fills in only what stands at the top
	}},
	{"distinct-before", `{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"n": 9}}, "multi": true}]}`, `1 (1)`, []string{
		`{"delete": "pets", "deletes": [{"q": {}, "limit": 0}]}`,
		`{"update": "pets", "updates": [{"q": {}, "u": {"$set": {"fresh": 1}}, "multi": true}]}`,
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$set": {"n": 1}}}]}`, // by the same
		`{"update": "pets", "updates": [{"q": {"name": "Rex"}, "u": {"$push": {"tags": "z"}}}]}`,
	}},
}

// said are the facts of the first plan of a statement in a preview, or the code with which it is refused.
func (b *bench) said(cmds string) (codes []string, texts string) {
	b.t.Helper()
	st, _, err := b.runIn(guard.Preview, strings.Split(strings.ReplaceAll(cmds, "DB", b.db), "\n")...)
	var refused *guard.Refused
	if errors.As(err, &refused) {
		return []string{refused.Code}, refused.Code + ": " + refused.Text + "\n"
	}
	if err != nil && !errors.Is(err, guard.ErrIncomplete) {
		b.t.Fatalf("%s: %v", cmds, err)
	}
	plans, _ := st.Plans()
	for _, f := range plans[0].Facts() {
		codes, texts = append(codes, f.Code), texts+f.Code+": "+f.Text+"\n"
	}
	return codes, strings.ReplaceAll(texts, b.db, "DB")
}

// says and silent: a fact is there, with a piece of its text, or it is not.
func (b *bench) says(cmds, code, text string) {
	b.t.Helper()
	if codes, texts := b.said(cmds); !slices.Contains(codes, code) || !strings.Contains(texts, text) {
		b.t.Errorf("%s\nsays\n%s\nnot %s: %s", cmds, texts, code, text)
	}
}

func (b *bench) silent(cmds, code string) {
	b.t.Helper()
	if codes, texts := b.said(cmds); slices.Contains(codes, code) {
		b.t.Errorf("%s\nsays %s, which is not so:\n%s", cmds, code, texts)
	}
}

// TestFindings: each fact where it is true, and not where it is not.
func TestFindings(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	s.setup(t, "solo", `{"_id": 1, "n": 1}`)
	s.setup(t, "bare", `{"_id": 1, "n": 1, "of": "a", "at": {"x": 1}}`, `{"_id": 2, "n": 2, "of": "a", "at": {"x": 1}}`, `{"_id": 3, "n": 3, "of": "b", "at": {"x": 1}}`)
	s.setup(t, "ranks", `{"_id": 1, "rank": 1}`, `{"_id": 2, "rank": 2}`, `{"_id": 3, "rank": 3}`)
	s.command(t, `{"createIndexes": "pets", "indexes": [{"key": {"name": 1}, "name": "name_1", "unique": true}, {"key": {"born": 1}, "name": "born_1"}, {"key": {"born": 1, "n": 1}, "name": "born_1_n_1"}]}`)
	s.command(t, `{"createIndexes": "ranks", "indexes": [{"key": {"rank": 1}, "name": "rank_1", "unique": true}]}`)
	var docs []any
	for i := range 130 { // more than a sample
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "ref", Value: nil}})
	}
	docs = append(docs, bson.D{{Key: "_id", Value: "last"}, {Key: "archived", Value: true}})
	if _, err := s.other.Database(s.db).Collection("many").InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	b := s.bench(t)
	long := strings.NewReplacer("LONG", strings.Repeat("long ", 100))
	for _, c := range findingsSaid {
		b.says(c.cmd, c.code, c.text)
		for _, cmd := range c.quiet {
			b.silent(long.Replace(cmd), c.code)
		}
	}
}

// TestRecalled: a line from the history or from a paste is said to be one; a typed one is not.
func TestRecalled(t *testing.T) {
	t.Parallel()
	s := production(t, "plain")
	s.setup(t, "pets", pets...)
	b := s.bench(t)
	for _, cmd := range []string{`{"delete": "pets", "deletes": [{"q": {"name": "Rex"}, "limit": 1}]}`, `{"drop": "pets"}`} {
		for manner, want := range map[string]bool{"typed": false, "recalled": true, "pasted": true, "file": false} {
			st, err := b.gate.Begin(guard.Input{Text: "x", Manner: manner, Mode: guard.Preview})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Run(t.Context(), b.d, s.db, raw(t, cmd)); err != nil {
				t.Fatal(err)
			}
			if err := st.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			plans, _ := st.Plans()
			if got := slices.ContainsFunc(plans[0].Facts(), func(f plan.Fact) bool { return f.Code == plan.Recalled }); got != want {
				t.Errorf("%s, %s: said %v", cmd, manner, got)
			}
		}
	}
}
