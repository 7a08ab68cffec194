package update

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// row is one update of one document.
type row struct {
	source       string // page of the manual, or of a specification
	update       string
	before       string
	want         string // the document, or the name of an error
	filter       string
	arrayFilters []string
}

const specifications = "https://github.com/mongodb/specifications/blob/master/source/"

// rows are what the manual's pages say and show, operator by operator.
var rows = []row{
	// https://www.mongodb.com/docs/manual/reference/operator/update/set/
	{source: "set", update: `{"$set": {"quantity": 500, "details": {"model": "2600", "make": "Fashionaires"}}}`, before: `{"_id": 100, "quantity": 250, "details": {"model": "14QQ", "make": "Clothes Corp"}, "tags": ["apparel"]}`,
		want: `{"_id": 100, "quantity": 500, "details": {"model": "2600", "make": "Fashionaires"}, "tags": ["apparel"]}`},
	{source: "set", update: `{"$set": {"details.make": "Kustom Kidz"}}`, before: `{"_id": 100, "details": {"model": "14QQ", "make": "Clothes Corp"}}`, want: `{"_id": 100, "details": {"model": "14QQ", "make": "Kustom Kidz"}}`},
	{source: "set", update: `{"$set": {"tags.1": "rain gear", "ratings.0.rating": 2}}`, before: `{"_id": 100, "tags": ["apparel", "clothing"], "ratings": [{"by": "x", "rating": 4}]}`,
		want: `{"_id": 100, "tags": ["apparel", "rain gear"], "ratings": [{"by": "x", "rating": 2}]}`},
	{source: "set", update: `{"$set": {"a.b.c": 1}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": {"b": {"c": 1}}}`},
	{source: "set", update: `{"$set": {"a.2": "x"}}`, before: `{"_id": 1, "a": [0]}`, want: `{"_id": 1, "a": [0, null, "x"]}`},
	{source: "set", update: `{"$set": {"a.2.b": "x"}}`, before: `{"_id": 1, "a": [0]}`, want: `{"_id": 1, "a": [0, null, {"b": "x"}]}`},
	{source: "set", update: `{"$set": {"a.0": 1}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": {"0": 1}}`},
	{source: "set", update: `{"$set": {"a.b": 1}}`, before: `{"_id": 1, "a": 5}`, want: "PathNotViable"},
	{source: "set", update: `{"$set": {"a.b": 1}}`, before: `{"_id": 1, "a": null}`, want: "PathNotViable"},
	{source: "set", update: `{"$set": {"a.b": 1}}`, before: `{"_id": 1, "a": [1]}`, want: "PathNotViable"},
	{source: "set", update: `{"$set": {}}`, before: `{"_id": 1, "a": 1}`, want: `{"_id": 1, "a": 1}`},
	{source: "set", update: `{"$set": {"a.1600000": 1}}`, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},

	// https://www.mongodb.com/docs/manual/reference/operator/update/#update-operators-behavior: names in order, numbers by value
	{source: "#update-operators-behavior", update: `{"$set": {"c": 1, "b": 2}, "$inc": {"a": 3}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": 3, "b": 2, "c": 1}`},
	{source: "#update-operators-behavior", update: `{"$set": {"a.10": 1, "a.2": 2, "a.b": 3}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": {"2": 2, "10": 1, "b": 3}}`},

	{source: "unset", update: `{"$unset": {"quantity": "", "instock": ""}}`, before: `{"_id": 1, "item": "chisel", "quantity": 4, "instock": true}`, want: `{"_id": 1, "item": "chisel"}`},
	{source: "unset", update: `{"$unset": {"a.b": ""}}`, before: `{"_id": 1, "a": {"b": 1}}`, want: `{"_id": 1, "a": {}}`},
	{source: "unset", update: `{"$unset": {"a.1": ""}}`, before: `{"_id": 1, "a": [1, 2, 3]}`, want: `{"_id": 1, "a": [1, null, 3]}`},
	{source: "unset", update: `{"$unset": {"a.5": "", "b.c": "", "d": ""}}`, before: `{"_id": 1, "a": [1], "b": 2}`, want: `{"_id": 1, "a": [1], "b": 2}`},
	{source: "unset", update: `{"$unset": {"a.b": ""}}`, before: `{"_id": 1, "a": [{"b": 1}]}`, want: `{"_id": 1, "a": [{"b": 1}]}`},

	{source: "inc", update: `{"$inc": {"quantity": -2, "metrics.orders": 1}}`, before: `{"_id": 1, "quantity": 10, "metrics": {"orders": 2}}`, want: `{"_id": 1, "quantity": 8, "metrics": {"orders": 3}}`},
	{source: "inc", update: `{"$inc": {"a": 5}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": 5}`},
	{source: "inc", update: `{"$inc": {"a": 1}}`, before: `{"_id": 1, "a": null}`, want: "TypeMismatch"},
	{source: "inc", update: `{"$inc": {"a": "1"}}`, before: `{"_id": 1, "a": 1}`, want: "TypeMismatch"},
	{source: "inc", update: `{"$inc": {"a": null}}`, before: `{"_id": 1}`, want: "TypeMismatch"},
	{source: "inc", update: `{"$inc": {"a": 1}}`, before: `{"_id": 1, "a": 2147483647}`, want: `{"_id": 1, "a": {"$numberLong": "2147483648"}}`},
	{source: "inc", update: `{"$inc": {"a": {"$numberLong": "1"}}}`, before: `{"_id": 1, "a": 1}`, want: `{"_id": 1, "a": {"$numberLong": "2"}}`},
	{source: "inc", update: `{"$inc": {"a": 1}}`, before: `{"_id": 1, "a": {"$numberLong": "9223372036854775807"}}`, want: "BadValue"},
	{source: "inc", update: `{"$inc": {"a": -1}}`, before: `{"_id": 1, "a": {"$numberLong": "-9223372036854775808"}}`, want: "BadValue"},
	{source: "inc", update: `{"$inc": {"a": 0.5}}`, before: `{"_id": 1, "a": 1}`, want: `{"_id": 1, "a": 1.5}`},

	{source: "mul", update: `{"$mul": {"price": {"$numberDecimal": "1.25"}, "quantity": 2}}`, before: `{"_id": 1, "price": {"$numberDecimal": "10.99"}, "quantity": 25}`,
		want: `{"_id": 1, "price": {"$numberDecimal": "13.7375"}, "quantity": 50}`},
	{source: "mul", update: `{"$mul": {"price": {"$numberLong": "100"}}}`, before: `{"_id": 2}`, want: `{"_id": 2, "price": {"$numberLong": "0"}}`},
	{source: "mul", update: `{"$mul": {"price": 5}}`, before: `{"_id": 3, "price": {"$numberLong": "10"}}`, want: `{"_id": 3, "price": {"$numberLong": "50"}}`},
	{source: "mul", update: `{"$mul": {"a": 2}}`, before: `{"_id": 1, "a": 1073741824}`, want: `{"_id": 1, "a": {"$numberLong": "2147483648"}}`},
	{source: "mul", update: `{"$mul": {"a": 2}}`, before: `{"_id": 1, "a": {"$numberLong": "4611686018427387904"}}`, want: "BadValue"},
	{source: "mul", update: `{"$mul": {"a": -1}}`, before: `{"_id": 1, "a": {"$numberLong": "-9223372036854775808"}}`, want: "BadValue"},
	{source: "mul", update: `{"$mul": {"a": 2}}`, before: `{"_id": 1, "a": "x"}`, want: "TypeMismatch"},

	{source: "min", update: `{"$min": {"lowScore": 150}}`, before: `{"_id": 1, "highScore": 800, "lowScore": 200}`, want: `{"_id": 1, "highScore": 800, "lowScore": 150}`},
	{source: "min", update: `{"$min": {"lowScore": 250}}`, before: `{"_id": 1, "lowScore": 200}`, want: `{"_id": 1, "lowScore": 200}`},
	{source: "min", update: `{"$min": {"a": null}}`, before: `{"_id": 1, "a": 0}`, want: `{"_id": 1, "a": null}`},
	{source: "min", update: `{"$min": {"a": 1.0}}`, before: `{"_id": 1, "a": 1}`, want: `{"_id": 1, "a": 1}`},
	{source: "max", update: `{"$max": {"highScore": 950}}`, before: `{"_id": 1, "highScore": 800}`, want: `{"_id": 1, "highScore": 950}`},
	{source: "max", update: `{"$max": {"a": 1}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": 1}`},
	{source: "max", update: `{"$max": {"a": "x"}}`, before: `{"_id": 1, "a": 1000}`, want: `{"_id": 1, "a": "x"}`},
	{source: "max", update: `{"$max": {"a": {"$timestamp": {"t": 1, "i": 1}}}}`, before: `{"_id": 1, "a": {"$date": "2020-01-01T00:00:00Z"}}`, want: `{"_id": 1, "a": {"$timestamp": {"t": 1, "i": 1}}}`},

	{source: "rename", update: `{"$rename": {"nickname": "alias", "cell": "mobile"}}`, before: `{"_id": 1, "alias": ["old"], "nickname": "TA", "cell": "555"}`, want: `{"_id": 1, "alias": "TA", "mobile": "555"}`},
	{source: "rename", update: `{"$rename": {"name.first": "name.fname"}}`, before: `{"_id": 1, "name": {"first": "g", "last": "w"}}`, want: `{"_id": 1, "name": {"last": "w", "fname": "g"}}`},
	{source: "rename", update: `{"$rename": {"name.last": "contact.lname", "name": "x"}}`, before: `{"_id": 1, "name": {"last": "w"}}`, want: "ConflictingUpdateOperators"},
	{source: "rename", update: `{"$rename": {"wife": "spouse"}}`, before: `{"_id": 1, "a": 1}`, want: `{"_id": 1, "a": 1}`},
	{source: "rename", update: `{"$rename": {"a": "b"}}`, before: `{"_id": 1, "a": [1, 2]}`, want: `{"_id": 1, "b": [1, 2]}`},
	{source: "rename", update: `{"$rename": {"a.0": "b"}}`, before: `{"_id": 1, "a": [1, 2]}`, want: "BadValue"},
	{source: "rename", update: `{"$rename": {"a": 1}}`, before: `{"_id": 1, "a": 1}`, want: "BadValue"},

	{source: "setOnInsert", update: `{"$setOnInsert": {"a": 5}, "$set": {"b": 1}}`, before: `{"_id": 1}`, want: `{"_id": 1, "b": 1}`},

	{source: "addToSet", update: `{"$addToSet": {"letters": ["c", "d"]}}`, before: `{"_id": 1, "letters": ["a", "b"]}`, want: `{"_id": 1, "letters": ["a", "b", ["c", "d"]]}`},
	{source: "addToSet", update: `{"$addToSet": {"tags": {"$each": ["camera", "electronics", "accessories", "camera"]}}}`, before: `{"_id": 2, "tags": ["electronics", "supplies"]}`, want: `{"_id": 2, "tags": ["electronics", "supplies", "camera", "accessories"]}`},
	{source: "addToSet", update: `{"$addToSet": {"a": 1.0}}`, before: `{"_id": 1, "a": [1]}`, want: `{"_id": 1, "a": [1]}`},
	{source: "addToSet", update: `{"$addToSet": {"a": {"x": 1, "y": 2}}}`, before: `{"_id": 1, "a": [{"y": 2, "x": 1}]}`, want: `{"_id": 1, "a": [{"y": 2, "x": 1}, {"x": 1, "y": 2}]}`},
	{source: "addToSet", update: `{"$addToSet": {"a": 1}}`, before: `{"_id": 1, "a": 5}`, want: "BadValue"},
	{source: "addToSet", update: `{"$addToSet": {"a": {"$each": 1}}}`, before: `{"_id": 1, "a": []}`, want: "TypeMismatch"},
	{source: "addToSet", update: `{"$addToSet": {"a": {"$each": [1, 1.0, 1]}}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": [1]}`},

	{source: "pop", update: `{"$pop": {"scores": -1}}`, before: `{"_id": 1, "scores": [8, 9, 10]}`, want: `{"_id": 1, "scores": [9, 10]}`},
	{source: "pop", update: `{"$pop": {"scores": 1}}`, before: `{"_id": 10, "scores": [9, 10]}`, want: `{"_id": 10, "scores": [9]}`},
	{source: "pop", update: `{"$pop": {"a": 1}}`, before: `{"_id": 1, "a": []}`, want: `{"_id": 1, "a": []}`},
	{source: "pop", update: `{"$pop": {"a": 1}}`, before: `{"_id": 1}`, want: `{"_id": 1}`},
	{source: "pop", update: `{"$pop": {"a": 2}}`, before: `{"_id": 1, "a": [1]}`, want: "FailedToParse"},
	{source: "pop", update: `{"$pop": {"a": 1}}`, before: `{"_id": 1, "a": 1}`, want: "TypeMismatch"},

	{source: "pull", update: `{"$pull": {"fruits": {"$in": ["apples", "oranges"]}, "vegetables": "carrots"}}`, before: `{"_id": 1, "fruits": ["apples", "pears", "oranges", "grapes"], "vegetables": ["carrots", "celery", "carrots"]}`,
		want: `{"_id": 1, "fruits": ["pears", "grapes"], "vegetables": ["celery"]}`},
	{source: "pull", update: `{"$pull": {"votes": {"$gte": 6}}}`, before: `{"_id": 1, "votes": [3, 5, 6, 7, 7, 8]}`, want: `{"_id": 1, "votes": [3, 5]}`},
	{source: "pull", update: `{"$pull": {"results": {"score": 8, "item": "B"}}}`, before: `{"_id": 1, "results": [{"item": "A", "score": 5}, {"item": "B", "score": 8}, {"score": 8, "item": "B", "x": 1}]}`, want: `{"_id": 1, "results": [{"item": "A", "score": 5}]}`},
	{source: "pull", update: `{"$pull": {"results": {"answers": {"$elemMatch": {"q": 2, "a": {"$gte": 8}}}}}}`, before: `{"_id": 1, "results": [{"answers": [{"q": 1, "a": 4}, {"q": 2, "a": 6}]}, {"answers": [{"q": 1, "a": 8}, {"q": 2, "a": 9}]}]}`,
		want: `{"_id": 1, "results": [{"answers": [{"q": 1, "a": 4}, {"q": 2, "a": 6}]}]}`},
	{source: "pull", update: `{"$pull": {"a": [1, 2]}}`, before: `{"_id": 1, "a": [[1, 2], [2, 1], 1, 2]}`, want: `{"_id": 1, "a": [[2, 1], 1, 2]}`},
	{source: "pull", update: `{"$pull": {"a": {"$ne": 1}}}`, before: `{"_id": 1, "a": [1, 2, null, [1], [2]]}`, want: `{"_id": 1, "a": [1, [1]]}`},
	{source: "pull", update: `{"$pull": {"a": {}}}`, before: `{"_id": 1, "a": [{}, {"x": 1}, 1, []]}`, want: `{"_id": 1, "a": [1, []]}`},
	{source: "pull", update: `{"$pull": {"a": {"x": null}}}`, before: `{"_id": 1, "a": [{}, {"x": null}, {"x": 1}, 5]}`, want: `{"_id": 1, "a": [{"x": 1}, 5]}`},
	{source: "pull", update: `{"$pull": {"a": {"$or": [{"x": 1}, {"y": 2}]}}}`, before: `{"_id": 1, "a": [{"x": 1}, {"y": 2}, {"z": 3}]}`, want: `{"_id": 1, "a": [{"z": 3}]}`},
	{source: "pull", update: `{"$pull": {"a": 1}}`, before: `{"_id": 1, "a": {"x": 1}}`, want: "BadValue"},
	{source: "pullAll", update: `{"$pullAll": {"scores": [0, 5]}}`, before: `{"_id": 1, "scores": [0, 2, 5, 5, 1, 0]}`, want: `{"_id": 1, "scores": [2, 1]}`},
	{source: "pullAll", update: `{"$pullAll": {"a": [{"x": 1}]}}`, before: `{"_id": 1, "a": [{"x": 1}, {"x": 1, "y": 2}, {"x": 1.0}]}`, want: `{"_id": 1, "a": [{"x": 1, "y": 2}]}`},
	{source: "pullAll", update: `{"$pullAll": {"a": 1}}`, before: `{"_id": 1, "a": []}`, want: "BadValue"},

	{source: "push", update: `{"$push": {"scores": 89}}`, before: `{"_id": 1, "scores": [44, 78, 38, 80]}`, want: `{"_id": 1, "scores": [44, 78, 38, 80, 89]}`},
	{source: "push", update: `{"$push": {"scores": [1, 2]}}`, before: `{"_id": 1}`, want: `{"_id": 1, "scores": [[1, 2]]}`},
	{source: "push", update: `{"$push": {"quizzes": {"$each": [{"wk": 5, "score": 8}, {"wk": 6, "score": 7}, {"wk": 7, "score": 6}], "$sort": {"score": -1}, "$slice": 3}}}`,
		before: `{"_id": 5, "quizzes": [{"wk": 1, "score": 10}, {"wk": 2, "score": 8}, {"wk": 3, "score": 5}, {"wk": 4, "score": 6}]}`,
		want:   `{"_id": 5, "quizzes": [{"wk": 1, "score": 10}, {"wk": 2, "score": 8}, {"wk": 5, "score": 8}]}`},
	{source: "position", update: `{"$push": {"scores": {"$each": [50, 60, 70], "$position": 0}}}`, before: `{"_id": 1, "scores": [100]}`, want: `{"_id": 1, "scores": [50, 60, 70, 100]}`},
	{source: "position", update: `{"$push": {"scores": {"$each": [20, 30], "$position": 2}}}`, before: `{"_id": 2, "scores": [50, 60, 70, 100]}`, want: `{"_id": 2, "scores": [50, 60, 20, 30, 70, 100]}`},
	{source: "position", update: `{"$push": {"scores": {"$each": [90, 80], "$position": -2}}}`, before: `{"_id": 3, "scores": [50, 60, 20, 30, 70, 100]}`, want: `{"_id": 3, "scores": [50, 60, 20, 30, 90, 80, 70, 100]}`},
	{source: "position", update: `{"$push": {"a": {"$each": [1], "$position": -9}}}`, before: `{"_id": 3, "a": [2, 3]}`, want: `{"_id": 3, "a": [1, 2, 3]}`},
	{source: "slice", update: `{"$push": {"scores": {"$each": [80, 78, 86], "$slice": -5}}}`, before: `{"_id": 1, "scores": [40, 50, 60]}`, want: `{"_id": 1, "scores": [50, 60, 80, 78, 86]}`},
	{source: "slice", update: `{"$push": {"scores": {"$each": [100, 20], "$slice": 3}}}`, before: `{"_id": 2, "scores": [89, 90]}`, want: `{"_id": 2, "scores": [89, 90, 100]}`},
	{source: "slice", update: `{"$push": {"scores": {"$each": [], "$slice": -3}}}`, before: `{"_id": 3, "scores": [89, 70, 100, 20]}`, want: `{"_id": 3, "scores": [70, 100, 20]}`},
	{source: "slice", update: `{"$push": {"a": {"$each": [1], "$slice": 0}}}`, before: `{"_id": 3, "a": [2]}`, want: `{"_id": 3, "a": []}`},
	{source: "sort", update: `{"$push": {"tests": {"$each": [40, 60], "$sort": 1}}}`, before: `{"_id": 2, "tests": [89, 70, 89, 50]}`, want: `{"_id": 2, "tests": [40, 50, 60, 70, 89, 89]}`},
	{source: "sort", update: `{"$push": {"tests": {"$each": [], "$sort": -1}}}`, before: `{"_id": 3, "tests": [89, 70, 100, 20]}`, want: `{"_id": 3, "tests": [100, 89, 70, 20]}`},
	{source: "sort", update: `{"$push": {"a": {"$each": [], "$sort": {"k.m": 1}}}}`, before: `{"_id": 3, "a": [{"k": {"m": 2}}, {"k": 1}, {"k": {"m": 1}}, 5]}`, want: `{"_id": 3, "a": [{"k": 1}, 5, {"k": {"m": 1}}, {"k": {"m": 2}}]}`},
	{source: "sort", update: `{"$push": {"a": {"$each": [], "$sort": {"k": 1}}}}`, before: `{"_id": 3, "a": [{"k": [2]}, {"k": [1, 9]}, {"k": {}}]}`, want: `{"_id": 3, "a": [{"k": {}}, {"k": [1, 9]}, {"k": [2]}]}`},
	{source: "sort", update: `{"$push": {"a": {"$each": [], "$sort": {"k.0": 1}}}}`, before: `{"_id": 3, "a": [{"k": [2]}, {"k": [1, 9]}]}`, want: `{"_id": 3, "a": [{"k": [1, 9]}, {"k": [2]}]}`},
	{source: "sort", update: `{"$push": {"a": {"$each": [], "$sort": 2}}}`, before: `{"_id": 3, "a": []}`, want: "BadValue"},
	{source: "sort", update: `{"$push": {"a": {"$each": [], "$sort": {}}}}`, before: `{"_id": 3, "a": []}`, want: "BadValue"},
	{source: "each", update: `{"$push": {"a": {"$each": 1}}}`, before: `{"_id": 3, "a": []}`, want: "BadValue"},
	{source: "each", update: `{"$push": {"a": {"$each": [1], "b": 2}}}`, before: `{"_id": 3, "a": []}`, want: "BadValue"},
	{source: "slice", update: `{"$push": {"a": {"$each": [1], "$slice": 1.5}}}`, before: `{"_id": 3, "a": []}`, want: "BadValue"},

	{source: "bit", update: `{"$bit": {"expdata": {"and": 10}}}`, before: `{"_id": 1, "expdata": 13}`, want: `{"_id": 1, "expdata": 8}`},
	{source: "bit", update: `{"$bit": {"expdata": {"or": 5}}}`, before: `{"_id": 2, "expdata": 3}`, want: `{"_id": 2, "expdata": 7}`},
	{source: "bit", update: `{"$bit": {"expdata": {"xor": 5}}}`, before: `{"_id": 3, "expdata": 1}`, want: `{"_id": 3, "expdata": 4}`},
	{source: "bit", update: `{"$bit": {"a": {"or": {"$numberLong": "4294967296"}}}}`, before: `{"_id": 3, "a": -1}`, want: `{"_id": 3, "a": {"$numberLong": "-1"}}`},
	{source: "bit", update: `{"$bit": {"a": {"or": 1}}}`, before: `{"_id": 3, "a": 1.0}`, want: "BadValue"},
	{source: "bit", update: `{"$bit": {"a": {"or": 1.0}}}`, before: `{"_id": 3, "a": 1}`, want: "BadValue"},
	{source: "bit", update: `{"$bit": {"a": {}}}`, before: `{"_id": 3, "a": 1}`, want: "BadValue"},
	{source: "bit", update: `{"$bit": {"a": {"not": 1}}}`, before: `{"_id": 3, "a": 1}`, want: "BadValue"},

	{source: "currentDate", update: `{"$currentDate": {"a": {"$type": "day"}}}`, before: `{"_id": 1}`, want: "BadValue"},
	{source: "currentDate", update: `{"$currentDate": {"a": 1}}`, before: `{"_id": 1}`, want: "BadValue"},

	{source: "positional", update: `{"$set": {"grades.$": 82}}`, filter: `{"_id": 1, "grades": 80}`, before: `{"_id": 1, "grades": [85, 80, 80]}`, want: `{"_id": 1, "grades": [85, 82, 80]}`},
	{source: "positional", update: `{"$set": {"grades.$.std": 6}}`, filter: `{"_id": 4, "grades.grade": 85}`, before: `{"_id": 4, "grades": [{"grade": 80, "std": 8}, {"grade": 85, "std": 5}]}`, want: `{"_id": 4, "grades": [{"grade": 80, "std": 8}, {"grade": 85, "std": 6}]}`},
	{source: "positional", update: `{"$set": {"grades.$.std": 6}}`, filter: `{"_id": 5, "grades": {"$elemMatch": {"grade": {"$lte": 90}, "mean": {"$gt": 80}}}}`, before: `{"_id": 5, "grades": [{"grade": 80, "mean": 75}, {"grade": 85, "mean": 90}]}`,
		want: `{"_id": 5, "grades": [{"grade": 80, "mean": 75}, {"grade": 85, "mean": 90, "std": 6}]}`},
	{source: "positional", update: `{"$set": {"a.$": 9}}`, filter: `{"_id": 1}`, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},
	{source: "positional", update: `{"$set": {"a.$": 9}}`, filter: `{"a": {"$ne": 5}}`, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},
	{source: "positional", update: `{"$set": {"a.$": 9}}`, filter: `{"a": {"$nin": [5]}}`, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},
	{source: "positional", update: `{"$set": {"a.$": 9}}`, filter: `{"a": {"$not": {"$gt": 5}}}`, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},
	{source: "positional", update: `{"$unset": {"a.$": 1}}`, filter: `{"a": 2}`, before: `{"_id": 1, "a": [1, 2]}`, want: `{"_id": 1, "a": [1, null]}`},
	{source: "positional", update: `{"$set": {"a.$.b.$.c": 1}}`, filter: `{"a": 2}`, before: `{"_id": 1, "a": [1, 2]}`, want: "BadValue"},
	{source: "positional", update: `{"$set": {"$.a": 1}}`, before: `{"_id": 1, "a": [1, 2]}`, want: "BadValue"},
	{source: "positional", update: `{"$set": {"a.$.b": 1, "a.0.c": 2}}`, filter: `{"a.x": 1}`, before: `{"_id": 1, "a": [{"x": 1}, {"x": 2}]}`, want: `{"_id": 1, "a": [{"x": 1, "b": 1, "c": 2}, {"x": 2}]}`},
	{source: "positional", update: `{"$set": {"a.$": 1, "a.0": 2}}`, filter: `{"a.x": 1}`, before: `{"_id": 1, "a": [{"x": 1}]}`, want: "ConflictingUpdateOperators"},
	{source: "positional", update: `{"$inc": {"a.$.n": 1}}`, filter: `{"a": {"$all": [{"$elemMatch": {"k": 2}}]}}`, before: `{"_id": 1, "a": [{"k": 1, "n": 1}, {"k": 2, "n": 1}]}`, want: `{"_id": 1, "a": [{"k": 1, "n": 1}, {"k": 2, "n": 2}]}`},
	{source: "positional", update: `{"$set": {"a.b.$": 0}}`, filter: `{"a.b": {"$gt": 1}}`, before: `{"_id": 1, "a": {"b": [1, 2]}}`, want: `{"_id": 1, "a": {"b": [1, 0]}}`},
	{source: "positional", update: `{"$set": {"a.$.b": 0}}`, filter: `{"a.b.c": 2}`, before: `{"_id": 1, "a": [{"b": [{"c": 1}]}, {"b": [{"c": 5}, {"c": 2}]}]}`, want: `{"_id": 1, "a": [{"b": [{"c": 1}]}, {"b": 0}]}`},

	{source: "positional-all", update: `{"$inc": {"grades.$[]": 10}}`, before: `{"_id": 1, "grades": [85, 82, 80]}`, want: `{"_id": 1, "grades": [95, 92, 90]}`},
	{source: "positional-all", update: `{"$inc": {"grades.$[].std": -2}}`, before: `{"_id": 1, "grades": [{"std": 8}, {"std": 5}]}`, want: `{"_id": 1, "grades": [{"std": 6}, {"std": 3}]}`},
	{source: "positional-all", update: `{"$set": {"a.$[]": 1}}`, before: `{"_id": 1, "a": []}`, want: `{"_id": 1, "a": []}`},
	{source: "positional-all", update: `{"$set": {"a.$[]": 1}}`, before: `{"_id": 1}`, want: "BadValue"},
	{source: "positional-all", update: `{"$set": {"a.$[]": 1}}`, before: `{"_id": 1, "a": 5}`, want: "BadValue"},
	{source: "positional-all", update: `{"$inc": {"grades.$[].questions.$[score]": 2}}`, arrayFilters: []string{`{"score": 8}`}, before: `{"_id": 1, "grades": [{"questions": [10, 8, 8]}, {"questions": [8, 5]}]}`,
		want: `{"_id": 1, "grades": [{"questions": [10, 10, 10]}, {"questions": [10, 5]}]}`},

	{source: "positional-filtered", update: `{"$set": {"grades.$[element]": 100}}`, arrayFilters: []string{`{"element": {"$gte": 100}}`}, before: `{"_id": 1, "grades": [95, 102, 90, 150]}`, want: `{"_id": 1, "grades": [95, 100, 90, 100]}`},
	{source: "positional-filtered", update: `{"$set": {"grades.$[elem].mean": 100}}`, arrayFilters: []string{`{"elem.grade": {"$gte": 85}}`}, before: `{"_id": 1, "grades": [{"grade": 80, "mean": 75}, {"grade": 85, "mean": 90}]}`,
		want: `{"_id": 1, "grades": [{"grade": 80, "mean": 75}, {"grade": 85, "mean": 100}]}`},
	{source: "positional-filtered", update: `{"$inc": {"grades.$[elem].std": -1}}`, arrayFilters: []string{`{"elem.grade": {"$gte": 80}, "elem.std": {"$gt": 5}}`}, before: `{"_id": 1, "grades": [{"grade": 80, "std": 6}, {"grade": 90, "std": 3}]}`,
		want: `{"_id": 1, "grades": [{"grade": 80, "std": 5}, {"grade": 90, "std": 3}]}`},
	{source: "positional-filtered", update: `{"$set": {"degrees.$[degree].gradcampaign": 1}}`, arrayFilters: []string{`{"degree.level": {"$ne": "Bachelor"}}`}, before: `{"_id": 1, "degrees": [{"level": "Master"}, {"level": "Bachelor"}]}`,
		want: `{"_id": 1, "degrees": [{"level": "Master", "gradcampaign": 1}, {"level": "Bachelor"}]}`},
	{source: "positional-filtered", update: `{"$set": {"a.$[x]": 1}}`, arrayFilters: []string{`{"y": 1}`}, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},
	{source: "positional-filtered", update: `{"$set": {"a.$[x]": 1}}`, arrayFilters: []string{`{"x": 1}`, `{"y": 1}`}, before: `{"_id": 1, "a": [1]}`, want: "FailedToParse"},
	{source: "positional-filtered", update: `{"$set": {"a.$[x]": 1}}`, arrayFilters: []string{`{"x": 1, "y": 2}`}, before: `{"_id": 1, "a": [1]}`, want: "FailedToParse"},
	{source: "positional-filtered", update: `{"$set": {"a.$[x]": 1}}`, arrayFilters: []string{`{"x": 1}`, `{"x": 2}`}, before: `{"_id": 1, "a": [1]}`, want: "FailedToParse"},
	{source: "positional-filtered", update: `{"$set": {"a.$[X]": 1}}`, arrayFilters: []string{`{"X": 1}`}, before: `{"_id": 1, "a": [1]}`, want: "BadValue"},
	{source: "positional-filtered", update: `{"$set": {"a.$[x]": 1}}`, arrayFilters: []string{`{"$or": [{"x": 1}, {"x.y": 2}]}`}, before: `{"_id": 1, "a": [1, {"y": 2}, 3]}`, want: `{"_id": 1, "a": [1, 1, 3]}`},
	{source: "positional-filtered", update: `{"$set": {"a.$[x].p": 1, "a.$[y].q": 2}}`, arrayFilters: []string{`{"x.k": 1}`, `{"y.k": {"$gte": 1}}`}, before: `{"_id": 1, "a": [{"k": 1}, {"k": 2}]}`, want: `{"_id": 1, "a": [{"k": 1, "p": 1, "q": 2}, {"k": 2, "q": 2}]}`},
	{source: "positional-filtered", update: `{"$set": {"a.$[x].p": 1, "a.$[y].p": 2}}`, arrayFilters: []string{`{"x.k": 1}`, `{"y.k": {"$gte": 1}}`}, before: `{"_id": 1, "a": [{"k": 1}, {"k": 2}]}`, want: "ConflictingUpdateOperators"},
	{source: "positional-filtered", update: `{"$set": {"a.$[].b": 1, "a.0.c": 1}}`, before: `{"_id": 1, "a": [{}]}`, want: "ConflictingUpdateOperators"},
	{source: "positional-filtered", update: `{"$set": {"a.$[x]": {"done": true}}}`, arrayFilters: []string{`{"x": {"$regex": "^ab"}}`}, before: `{"_id": 1, "a": ["abc", "xyz"]}`, want: `{"_id": 1, "a": [{"done": true}, "xyz"]}`},

	// conflicts, names, unknown modifiers
	{source: "#update-operators-behavior", update: `{"$set": {"a": 1}, "$inc": {"a": 1}}`, before: `{"_id": 1}`, want: "ConflictingUpdateOperators"},
	{source: "#update-operators-behavior", update: `{"$set": {"a.b": 1}, "$unset": {"a": 1}}`, before: `{"_id": 1}`, want: "ConflictingUpdateOperators"},
	{source: "#update-operators-behavior", update: `{"$set": {"a": 1, "ab": 2, "a-b": 3}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": 1, "a-b": 3, "ab": 2}`},
	{source: "set", update: `{"$set": {"a..b": 1}}`, before: `{"_id": 1}`, want: "EmptyFieldName"},
	{source: "set", update: `{"$set": {"": 1}}`, before: `{"_id": 1}`, want: "EmptyFieldName"},
	{source: "set", update: `{"$set": 5}`, before: `{"_id": 1}`, want: "FailedToParse"},
	{source: "set", update: `{"$Set": {"a": 1}}`, before: `{"_id": 1}`, want: "FailedToParse"},
	{source: "set", update: `{"$pushAll": {"a": [1]}}`, before: `{"_id": 1}`, want: "FailedToParse"},
	{source: "set", update: `{"$addFields": {"a": 1}}`, before: `{"_id": 1}`, want: "FailedToParse"},

	// https://www.mongodb.com/docs/manual/core/document/#the-_id-field
	{source: "set", update: `{"$set": {"_id": 2}}`, before: `{"_id": 1}`, want: "ImmutableField"},
	{source: "set", update: `{"$set": {"_id": 1, "a": 2}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": 2}`},
	{source: "set", update: `{"$set": {"_id.x": 2}}`, before: `{"_id": {"x": 1}}`, want: "ImmutableField"},
	{source: "set", update: `{"$set": {"_id.x": 1}}`, before: `{"_id": {"x": 1}}`, want: `{"_id": {"x": 1}}`},
	{source: "unset", update: `{"$unset": {"_id": ""}}`, before: `{"_id": 1}`, want: "ImmutableField"},
	{source: "rename", update: `{"$rename": {"_id": "id"}}`, before: `{"_id": 1}`, want: "ImmutableField"},
	{source: "inc", update: `{"$inc": {"_id": 1}}`, before: `{"_id": 1}`, want: "ImmutableField"},
}

// driverRows are the cases of the published driver specifications that update a document.
var driverRows = []row{
	{source: "crud/tests/unified/updateOne.json", update: `{"$inc": {"x": 1}}`, filter: `{"_id": 1}`, before: `{"_id": 1, "x": 11}`, want: `{"_id": 1, "x": 12}`},
	{source: "crud/tests/unified/updateMany.json", update: `{"$inc": {"x": 1}}`, filter: `{"_id": {"$gt": 1}}`, before: `{"_id": 2, "x": 22}`, want: `{"_id": 2, "x": 23}`},
	{source: "crud/tests/unified/findOneAndUpdate.json", update: `{"$inc": {"x": 1}}`, filter: `{"_id": {"$gt": 1}}`, before: `{"_id": 2, "x": 22}`, want: `{"_id": 2, "x": 23}`},
	{source: "crud/tests/unified/updateOne-arrayFilters.json", update: `{"$set": {"y.$[i].b": 2}}`, arrayFilters: []string{`{"i.b": 3}`}, before: `{"_id": 1, "y": [{"b": 3}, {"b": 1}]}`, want: `{"_id": 1, "y": [{"b": 2}, {"b": 1}]}`},
	{source: "crud/tests/unified/updateOne-arrayFilters.json", update: `{"$set": {"y.$[i].b": 2}}`, arrayFilters: []string{`{"i.b": 1}`}, before: `{"_id": 1, "y": [{"b": 3}, {"b": 1}]}`, want: `{"_id": 1, "y": [{"b": 3}, {"b": 2}]}`},
	{source: "crud/tests/unified/updateOne-arrayFilters.json", update: `{"$set": {"y.$[i].c.$[j].d": 0}}`, arrayFilters: []string{`{"i.b": 5}`, `{"j.d": 3}`},
		before: `{"_id": 3, "y": [{"b": 5, "c": [{"d": 2}, {"d": 1}]}]}`, want: `{"_id": 3, "y": [{"b": 5, "c": [{"d": 2}, {"d": 1}]}]}`},
	{source: "crud/tests/unified/updateMany-arrayFilters.json", update: `{"$set": {"y.$[i].b": 2}}`, arrayFilters: []string{`{"i.b": 0}`}, before: `{"_id": 2, "y": [{"b": 0}, {"b": 1}]}`, want: `{"_id": 2, "y": [{"b": 2}, {"b": 1}]}`},
	{source: "crud/tests/unified/findOneAndUpdate-arrayFilters.json", update: `{"$set": {"y.$[i].c.$[j].d": 0}}`, arrayFilters: []string{`{"i.b": 5}`, `{"j.d": 1}`},
		before: `{"_id": 3, "y": [{"b": 5, "c": [{"d": 2}, {"d": 1}]}]}`, want: `{"_id": 3, "y": [{"b": 5, "c": [{"d": 2}, {"d": 0}]}]}`},
	{source: "crud/tests/unified/bulkWrite-arrayFilters.json", update: `{"$set": {"y.$[i].b": 2}}`, arrayFilters: []string{`{"i.b": 1}`}, before: `{"_id": 2, "y": [{"b": 0}, {"b": 1}]}`, want: `{"_id": 2, "y": [{"b": 0}, {"b": 2}]}`},
	{source: "crud/tests/unified/updateOne-dots_and_dollars.json", update: `{"$set": {"a": {"$b": 1}}}`, before: `{"_id": 1}`, want: `{"_id": 1, "a": {"$b": 1}}`},
	{source: "retryable-writes/tests/unified/updateOne.json", update: `{"$inc": {"x": 1}}`, filter: `{"_id": 1}`, before: `{"_id": 1, "x": 11}`, want: `{"_id": 1, "x": 12}`},
	{source: "collation/", update: `{"$set": {"x": "pong"}}`, before: `{"_id": 1, "x": "ping"}`, want: `{"_id": 1, "x": "pong"}`},
}

func (r row) run(t *testing.T) (Image, error) {
	t.Helper()
	opts := Options{}
	if r.filter != "" {
		opts.Filter = relaxed(t, r.filter)
	} else {
		opts.Filter = relaxed(t, `{}`)
	}
	for _, f := range r.arrayFilters {
		opts.ArrayFilters = append(opts.ArrayFilters, relaxed(t, f))
	}
	p, err := Parse(relaxed(t, r.update), opts)
	if err != nil {
		return Image{}, err
	}
	return p.Foresee(relaxed(t, r.before))
}

func (r row) check(t *testing.T, page string) {
	t.Helper()
	img, err := r.run(t)
	var server *Error
	switch {
	case r.want[0] != '{':
		if !errors.As(err, &server) || server.Name != r.want {
			t.Errorf("%s on %s: %v, %v, want %s (%s)", r.update, r.before, img.After, err, r.want, page)
		}
	case err != nil || len(img.Unknown) > 0 || string(img.After) != string(relaxed(t, r.want)):
		t.Errorf("%s on %s:\n got %s, %v, %v\nwant %s (%s)", r.update, r.before, img.After, img.Unknown, err, r.want, page)
	case (img.Modified == Yes) != (string(img.After) != string(relaxed(t, r.before))):
		t.Errorf("%s on %s: modified %v (%s)", r.update, r.before, img.Modified, page)
	}
}

func TestManual(t *testing.T) {
	for _, r := range rows {
		r.check(t, manual+"reference/operator/update/"+r.source+"/")
	}
}

func TestDriverSpecifications(t *testing.T) {
	for _, r := range driverRows {
		r.check(t, specifications+r.source)
	}
}

// What cannot be known is unknown for its own field only; the rest is exact.
func TestUnknownFields(t *testing.T) {
	ties := `{"_id": 1, "a": [` + `{"k": 1, "n": 0}, {"k": 1, "n": 1}, {"k": 1, "n": 2}, {"k": 1, "n": 3}, {"k": 1, "n": 4}, {"k": 1, "n": 5}, {"k": 1, "n": 6}, {"k": 1, "n": 7}, {"k": 1, "n": 8},
		{"k": 1, "n": 9}, {"k": 1, "n": 10}, {"k": 1, "n": 11}, {"k": 1, "n": 12}, {"k": 1, "n": 13}, {"k": 1, "n": 14}, {"k": 1, "n": 15}, {"k": 1, "n": 16}` + `], "b": 1}`
	for _, u := range []struct {
		update, before, after string
		filters               []string
		collated              bool
		unknown               []Unknown
		modified              Answer
	}{
		{update: `{"$currentDate": {"at": true}, "$set": {"b": 2}}`, before: `{"_id": 1, "b": 1, "z": 1}`, after: `{"_id": 1, "b": 2, "z": 1, "at": {"$date": {"$numberLong": "0"}}}`,
			unknown: []Unknown{{Path: "at", Type: bson.TypeDateTime}}, modified: Yes},
		{update: `{"$currentDate": {"at": {"$type": "timestamp"}}}`, before: `{"at": 5, "z": 1}`, after: `{"at": {"$timestamp": {"t": 0, "i": 0}}, "z": 1}`, unknown: []Unknown{{Path: "at", Type: bson.TypeTimestamp}}, modified: Yes},
		{update: `{"$currentDate": {"m.at": {"$type": "date"}, "c": true}, "$set": {"m.by": "x"}}`, before: `{"_id": 1}`,
			after:   `{"_id": 1, "c": {"$date": {"$numberLong": "0"}}, "m": {"at": {"$date": {"$numberLong": "0"}}, "by": "x"}}`,
			unknown: []Unknown{{Path: "c", Type: bson.TypeDateTime}, {Path: "m.at", Type: bson.TypeDateTime}}, modified: Yes},
		{update: `{"$currentDate": {"a.$[].at": true}}`, before: `{"a": [{"x": 1}, {"at": 1}]}`, after: `{"a": [{"x": 1, "at": {"$date": {"$numberLong": "0"}}}, {"at": {"$date": {"$numberLong": "0"}}}]}`,
			unknown: []Unknown{{Path: "a.0.at", Type: bson.TypeDateTime}, {Path: "a.1.at", Type: bson.TypeDateTime}}, modified: Yes},
		{update: `{"$shiny": {"a": 1}, "$set": {"b": 2}}`, before: `{"a": 1, "b": 1}`, after: `{"a": 1, "b": 2}`, unknown: []Unknown{{Path: "a"}}, modified: Yes},
		{update: `{"$shiny": {"a": 1}, "$set": {"b": 1}}`, before: `{"b": 1}`, after: `{"b": 1}`, unknown: []Unknown{{Path: "a"}}, modified: Undecidable},
		{update: `{"$pull": {"a": {"$regex": "(?=x)"}}, "$inc": {"b": 1}}`, before: `{"a": [1, "x"], "b": 1}`, after: `{"a": [1, "x"], "b": 2}`, unknown: []Unknown{{Path: "a", Type: bson.TypeArray}}, modified: Yes},
		{update: `{"$pull": {"a": {"$regex": "(?=x)"}}, "$inc": {"b": 1}}`, before: `{"a": [1, 2], "b": 1}`, after: `{"a": [1, 2], "b": 2}`, modified: Yes},
		{update: `{"$set": {"a.$[i]": 0, "b": 2}}`, filters: []string{`{"i": {"$regex": "(?=x)"}}`}, before: `{"a": [1, "x", "y"], "b": 1}`, after: `{"a": [1, "x", "y"], "b": 2}`,
			unknown: []Unknown{{Path: "a.1"}, {Path: "a.2"}}, modified: Yes},
		{update: `{"$push": {"a": {"$each": [], "$sort": {"k": 1}}}, "$set": {"b": 2}}`, before: ties, after: ties[:len(ties)-2] + "2}", unknown: []Unknown{{Path: "a", Type: bson.TypeArray}}, modified: Yes},
		{update: `{"$inc": {"a": {"$numberDecimal": "0"}}, "$set": {"b": 2}}`, before: `{"a": {"$numberDecimal": "1E+3"}, "b": 1}`, after: `{"a": {"$numberDecimal": "1E+3"}, "b": 2}`, unknown: []Unknown{{Path: "a", Type: bson.TypeDecimal128}}, modified: Yes},
		{update: `{"$addToSet": {"a": "X"}, "$push": {"c": 1}, "$set": {"b": 2}}`, collated: true, before: `{"a": ["x"], "b": 1}`, after: `{"a": ["x"], "b": 2, "c": [1]}`, unknown: []Unknown{{Path: "a"}}, modified: Yes},
	} {
		opts := Options{Collated: u.collated}
		for _, f := range u.filters {
			opts.ArrayFilters = append(opts.ArrayFilters, relaxed(t, f))
		}
		p, err := Parse(relaxed(t, u.update), opts)
		if err != nil {
			t.Errorf("%s: %v", u.update, err)
			continue
		}
		img, err := p.Foresee(relaxed(t, u.before))
		same := slices.EqualFunc(img.Unknown, u.unknown, func(a, b Unknown) bool { return a.Path == b.Path && a.Type == b.Type && a.Why != "" })
		if err != nil || string(img.After) != string(relaxed(t, u.after)) || !same || img.Modified != u.modified {
			t.Errorf("%s on %s:\n got %s, %v, modified %v, %v\nwant %s, %v, modified %v", u.update, u.before, img.After, img.Unknown, img.Modified, err, u.after, u.unknown, u.modified)
		}
		if _, err := p.Apply(relaxed(t, u.before)); (err == nil) != (len(u.unknown) == 0) || err != nil && !errors.Is(err, ErrNotPredictable) {
			t.Errorf("%s: Apply: %v", u.update, err)
		}
	}
}

// Where nothing of the document is sure, nothing is said of it.
func TestNotPredictable(t *testing.T) {
	for _, r := range []row{
		{update: `{"$set": {"a.$": 1}}`, filter: `{"a": 1, "b": 2}`, before: `{"a": [1], "b": [1, 2]}`},                       // two arrays
		{update: `{"$set": {"a.$": 1}}`, filter: `{"b": 2}`, before: `{"a": [1, 5], "b": [1, 2]}`},                            // of another array
		{update: `{"$set": {"a.$": 1}}`, filter: `{"a": {"$gt": 0, "$lt": 2}}`, before: `{"a": [5, 1, 0]}`},                   // each by another element
		{update: `{"$set": {"a.$": 1}}`, filter: `{"$or": [{"a": 2}, {"b": 1}]}`, before: `{"a": [1, 2], "b": 1}`},            // branches on several fields
		{update: `{"$set": {"a.$": 1}}`, filter: `{"a": 1, "$expr": {"$eq": [1, 1]}}`, before: `{"a": [1]}`},                  // perhaps not even selected
		{update: `{"$inc": {"a.$[i]": 1}}`, arrayFilters: []string{`{"i": {"$regex": "(?=x)"}}`}, before: `{"a": ["x"]}`},     // an error, perhaps
		{update: `{"$set": {"a.$[i]": 1}}`, arrayFilters: []string{`{"$expr": {"$eq": ["$$i", 1]}}`}, before: `{"a": ["x"]}`}, //
		{update: `{"$set": {"a.$b": 1}}`, before: `{"a": {}}`},                                                                // versions differ
		{update: `{"$set": {"a.$": 1}}`, filter: `{"a": {"$exists": true}}`, before: `{"a": [1]}`},
		{update: `{"$set": {"a.$": 1}}`, filter: `{"a": {"$type": "int"}}`, before: `{"a": [1]}`},
		{update: `{"$shiny": 1}`, before: `{"a": {}}`},                                  // whose fields?
		{update: `{"$set": {"a.$.b": 1}}`, filter: `{"b": 2}`, before: `{"b": [1, 2]}`}, // made below a field that is not there
	} {
		if img, err := r.run(t); !errors.Is(err, ErrNotPredictable) {
			t.Errorf("%s on %s (filter %s): %s, %v, want ErrNotPredictable", r.update, r.before, r.filter, img.After, err)
		}
	}
}

// Sums and products of all pairs of types.
// Sources: https://www.mongodb.com/docs/manual/reference/operator/update/inc/, …/mul/#behavior, IEEE 754-2008 for decimals.
func TestArithmetic(t *testing.T) {
	for _, c := range []struct{ x, y, sum, product string }{
		{`1`, `2`, `3`, `2`},
		{`1`, `{"$numberLong": "2"}`, `{"$numberLong": "3"}`, `{"$numberLong": "2"}`},
		{`{"$numberLong": "1"}`, `2`, `{"$numberLong": "3"}`, `{"$numberLong": "2"}`},
		{`1`, `2.5`, `3.5`, `2.5`},
		{`{"$numberLong": "9007199254740993"}`, `0.5`, `9007199254740992.0`, `4503599627370496.0`},
		{`-2147483648`, `-1`, `{"$numberLong": "-2147483649"}`, `{"$numberLong": "2147483648"}`},
		{`2147483647`, `2147483647`, `{"$numberLong": "4294967294"}`, `{"$numberLong": "4611686014132420609"}`},
		{`{"$numberDouble": "Infinity"}`, `1`, `{"$numberDouble": "Infinity"}`, `{"$numberDouble": "Infinity"}`},
		{`1e300`, `1e300`, `2e300`, `{"$numberDouble": "Infinity"}`},
		{`{"$numberDecimal": "1.50"}`, `1`, `{"$numberDecimal": "2.50"}`, `{"$numberDecimal": "1.50"}`},
		{`3`, `{"$numberDecimal": "1.50"}`, `{"$numberDecimal": "4.50"}`, `{"$numberDecimal": "4.50"}`},
		{`1.5`, `{"$numberDecimal": "1"}`, `{"$numberDecimal": "2.50000000000000"}`, `{"$numberDecimal": "1.50000000000000"}`},
		{`0.1`, `{"$numberDecimal": "1"}`, `{"$numberDecimal": "1.100000000000000"}`, `{"$numberDecimal": "0.100000000000000"}`},
		{`0.0`, `{"$numberDecimal": "1.5"}`, `{"$numberDecimal": "1.5"}`, `{"$numberDecimal": "0.0"}`},
		{`1e300`, `{"$numberDecimal": "1.5"}`, `{"$numberDecimal": "1.000000000000000000000000000000000E+300"}`, `{"$numberDecimal": "1.500000000000000E+300"}`},
		{`0.30000000000000004`, `{"$numberDecimal": "0"}`, `{"$numberDecimal": "0.300000000000000"}`, `{"$numberDecimal": "0E-15"}`},
		{`{"$numberDecimal": "9999999999999999999999999999999999"}`, `1`, `{"$numberDecimal": "1.000000000000000000000000000000000E+34"}`, `{"$numberDecimal": "9999999999999999999999999999999999"}`},
		{`{"$numberDecimal": "1E+40"}`, `1`, ``, `{"$numberDecimal": "1E+40"}`},
		{`{"$numberDecimal": "1"}`, `{"$numberDecimal": "-1.00"}`, `{"$numberDecimal": "0.00"}`, `{"$numberDecimal": "-1.00"}`},
		{`{"$numberDecimal": "-0"}`, `{"$numberDecimal": "-0.0"}`, ``, ``},
		{`{"$numberDecimal": "9.999999999999999999999999999999999E+6144"}`, `{"$numberDecimal": "9E+6144"}`, `{"$numberDecimal": "Infinity"}`, `{"$numberDecimal": "Infinity"}`},
		{`{"$numberDecimal": "1E-6176"}`, `{"$numberDecimal": "0.5"}`, `{"$numberDecimal": "0.5000000000000000000000000000000000"}`, `{"$numberDecimal": "0E-6176"}`},
		{`{"$numberDecimal": "3E-6176"}`, `{"$numberDecimal": "0.5"}`, `{"$numberDecimal": "0.5000000000000000000000000000000000"}`, `{"$numberDecimal": "2E-6176"}`},
		{`{"$numberDecimal": "1E+6111"}`, `{"$numberDecimal": "1E+30"}`, ``, `{"$numberDecimal": "1.000000000000000000000000000000E+6141"}`},
		{`{"$numberDecimal": "0.3333333333333333333333333333333333"}`, `{"$numberDecimal": "3"}`, `{"$numberDecimal": "3.333333333333333333333333333333333"}`, `{"$numberDecimal": "0.9999999999999999999999999999999999"}`},
		{`{"$numberDecimal": "1000000000000000000000000000000000"}`, `{"$numberDecimal": "0.5"}`, `{"$numberDecimal": "1000000000000000000000000000000000"}`, `{"$numberDecimal": "500000000000000000000000000000000.0"}`},
		{`{"$numberDecimal": "1000000000000000000000000000000001"}`, `{"$numberDecimal": "0.5"}`, `{"$numberDecimal": "1000000000000000000000000000000002"}`, `{"$numberDecimal": "500000000000000000000000000000000.5"}`},
		{`{"$numberDecimal": "Infinity"}`, `{"$numberDecimal": "-Infinity"}`, `{"$numberDecimal": "NaN"}`, `{"$numberDecimal": "-Infinity"}`},
		{`{"$numberDecimal": "Infinity"}`, `0`, `{"$numberDecimal": "Infinity"}`, `{"$numberDecimal": "NaN"}`},
		{`{"$numberDecimal": "NaN"}`, `1`, `{"$numberDecimal": "NaN"}`, `{"$numberDecimal": "NaN"}`},
		{`{"$numberDouble": "NaN"}`, `{"$numberDecimal": "1"}`, `{"$numberDecimal": "NaN"}`, `{"$numberDecimal": "NaN"}`},
		{`{"$numberDouble": "-Infinity"}`, `{"$numberDecimal": "1"}`, `{"$numberDecimal": "-Infinity"}`, `{"$numberDecimal": "-Infinity"}`},
	} {
		for op, want := range map[string]string{"$inc": c.sum, "$mul": c.product} {
			img, err := row{update: `{"` + op + `": {"a": ` + c.y + `}}`, before: `{"a": ` + c.x + `}`}.run(t)
			switch {
			case err != nil:
				t.Errorf("%s %s of %s: %v", op, c.y, c.x, err)
			case want == "":
				if len(img.Unknown) != 1 {
					t.Errorf("%s %s of %s: %s, want an unknown field", op, c.y, c.x, img.After)
				}
			case string(img.After) != string(relaxed(t, `{"a": `+want+`}`)) || len(img.Unknown) > 0:
				t.Errorf("%s %s of %s: %s, %v, want %s", op, c.y, c.x, img.After, img.Unknown, want)
			}
		}
	}
}

// What upserts create.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.updateOne/#upsert
func TestUpserts(t *testing.T) {
	for _, u := range []struct {
		filter, update, want string
		replacement          bool
	}{
		{`{"_id": 1}`, `{"$set": {"a": 1}}`, `{"_id": 1, "a": 1}`, false},
		{`{"name": "x", "n": {"$gt": 1}}`, `{"$inc": {"k": 1}}`, `{"_id": {"$oid": "070000000000000000000000"}, "name": "x", "k": 1}`, false},
		{`{"b": 1, "a": {"$eq": 2}}`, `{"$setOnInsert": {"c": 3}}`, `{"_id": {"$oid": "070000000000000000000000"}, "a": 2, "b": 1, "c": 3}`, false},
		{`{"$and": [{"a.b": 1}, {"a.c": 2}], "_id": 5}`, `{"$set": {"a.d": 3}}`, `{"_id": 5, "a": {"b": 1, "c": 2, "d": 3}}`, false},
		{`{"$or": [{"a": 1}]}`, `{"$set": {"b": 1}}`, `{"_id": {"$oid": "070000000000000000000000"}, "a": 1, "b": 1}`, false},
		{`{"$or": [{"a": 1}, {"a": 2}]}`, `{"$set": {"_id": 1}}`, `{"_id": 1}`, false},
		{`{"a": {"$in": [7]}}`, `{"$set": {"_id": 1}}`, `{"_id": 1, "a": 7}`, false},
		{`{"a": {"$all": [7]}}`, `{"$set": {"_id": 1}}`, `{"_id": 1, "a": 7}`, false}, // $all: [7] is the same as $and of one: …/query/all/
		{`{"a": {"$all": [7, 8]}}`, `{"$set": {"_id": 1}}`, "NotSingleValueField", false},
		{`{"a": {"$elemMatch": {"b": 1}}, "c": {"$exists": true}, "d": {"$not": {"$gt": 1}}, "$nor": [{"e": 1}]}`, `{"$set": {"_id": 1}}`, `{"_id": 1}`, false},
		{`{"a": 1, "$and": [{"a": 2}]}`, `{"$set": {"_id": 1}}`, "NotSingleValueField", false},
		{`{"a": {"x": 1}, "a.y": 1}`, `{"$set": {"_id": 1}}`, "NotSingleValueField", false},
		{`{"_id.x": 1}`, `{"$set": {"a": 1}}`, "NotExactValueField", false},
		{`{"_id": 1}`, `{"$set": {"_id": 2}}`, "ImmutableField", false},
		{`{"a": 1}`, `{"$set": {"_id": [1]}}`, "InvalidIdField", false},
		{`{"a": 1}`, `{"$set": {"a": 2}, "$inc": {"b": 1}}`, `{"_id": {"$oid": "070000000000000000000000"}, "a": 2, "b": 1}`, false},
		{`{"a": 1}`, `{"$push": {"a": 1}}`, "BadValue", false},
		{`{"a": [1]}`, `{"$set": {"a.$": 2}}`, "BadValue", false},
		{`{"a": [1, 2]}`, `{"$push": {"a": 3}, "$set": {"_id": 1}}`, `{"_id": 1, "a": [1, 2, 3]}`, false},
		{`{"a": 5, "_id": 1}`, `{"b": 1}`, `{"_id": 1, "b": 1}`, true},
		{`{"a": 5}`, `{"b": 1, "_id": 3}`, `{"_id": 3, "b": 1}`, true},
		{`{"_id": 5}`, `{"b": 1, "_id": 3}`, "ImmutableField", true},
		{`{"a": 5}`, `{"$set": 1}`, "DollarPrefixedFieldName", true},
		{`{"a": 5}`, `{"b.c": 1}`, `{"_id": {"$oid": "070000000000000000000000"}, "b.c": 1}`, true},
	} {
		img, err := ForeseeUpsert(relaxed(t, u.filter), relaxed(t, u.update), u.replacement, Options{}, func() bson.ObjectID { return bson.ObjectID{7} })
		var server *Error
		if u.want[0] != '{' {
			if !errors.As(err, &server) || server.Name != u.want {
				t.Errorf("%s, %s: %s, %v, want %s", u.filter, u.update, img.After, err, u.want)
			}
			continue
		}
		if err != nil || string(img.After) != string(relaxed(t, u.want)) || len(img.Unknown) > 0 || img.Modified != Yes {
			t.Errorf("%s, %s:\n got %s, %v, %v\nwant %s", u.filter, u.update, img.After, img.Unknown, err, u.want)
		}
	}
	img, err := ForeseeUpsert(relaxed(t, `{"a": 1}`), relaxed(t, `{"$set": {"b": 1}, "$currentDate": {"c": true}}`), false, Options{}, nil)
	if err != nil || len(img.Unknown) != 2 || img.Unknown[0].Path != "c" || img.Unknown[1].Path != "_id" {
		t.Errorf("an upsert with a new _id and a date: %s, %v, %v", img.After, img.Unknown, err)
	}
}

// Replacements keep the _id, in front.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.replaceOne/
func TestReplacements(t *testing.T) {
	for _, r := range []struct {
		before, doc, want string
		modified          Answer
		unknown           string
	}{
		{`{"_id": 1, "a": 1}`, `{"b": 2}`, `{"_id": 1, "b": 2}`, Yes, ""},
		{`{"_id": 1, "a": 1}`, `{"a": 1}`, `{"_id": 1, "a": 1}`, No, ""},
		{`{"_id": 1, "a": 1}`, `{"a": 1.0}`, `{"_id": 1, "a": 1.0}`, Yes, ""},
		{`{"_id": 1, "a": 1}`, `{"b": 2, "_id": 1}`, `{"_id": 1, "b": 2}`, Yes, ""},
		{`{"_id": 1, "a": 1}`, `{}`, `{"_id": 1}`, Yes, ""},
		{`{"_id": 1, "a": 1}`, `{"_id": 2}`, "ImmutableField", No, ""},
		{`{"_id": 1, "a": 1}`, `{"a": 1, "$set": {"b": 1}}`, "DollarPrefixedFieldName", No, ""},
		{`{"_id": 1, "a": 1}`, `{"a": {"$set": 1}, "b.c": 2}`, `{"_id": 1, "a": {"$set": 1}, "b.c": 2}`, Yes, ""},
		{`{"_id": 1}`, `{"t": {"$timestamp": {"t": 0, "i": 0}}, "d": {"t": {"$timestamp": {"t": 0, "i": 0}}}}`, `{"_id": 1, "t": {"$timestamp": {"t": 0, "i": 0}}, "d": {"t": {"$timestamp": {"t": 0, "i": 0}}}}`, Yes, "t"},
		{`{"_id": 1}`, `{"_id": 1.0, "a": 1}`, `{"_id": 1, "a": 1}`, Yes, "_id"},
	} {
		img, err := ForeseeReplace(relaxed(t, r.before), relaxed(t, r.doc))
		var server *Error
		if r.want[0] != '{' {
			if !errors.As(err, &server) || server.Name != r.want {
				t.Errorf("%s by %s: %s, %v, want %s", r.before, r.doc, img.After, err, r.want)
			}
			continue
		}
		unknown := ""
		if len(img.Unknown) > 0 {
			unknown = img.Unknown[0].Path
		}
		if err != nil || string(img.After) != string(relaxed(t, r.want)) || img.Modified != r.modified || unknown != r.unknown {
			t.Errorf("%s by %s:\n got %s, %v, modified %v, %v\nwant %s", r.before, r.doc, img.After, img.Unknown, img.Modified, err, r.want)
		}
	}
}

// What is not BSON is an error, not a panic.
func TestInvalid(t *testing.T) {
	good := relaxed(t, `{"_id": 1, "a": [1]}`)
	for _, bad := range [][]byte{nil, {}, {5, 0, 0, 0}, {5, 0, 0, 0, 1}, {6, 0, 0, 0, 0}, {8, 0, 0, 0, 2, 'a', 0, 0}, {0xff, 0xff, 0xff, 0xff, 0}, {12, 0, 0, 0, 0x10, 'a', 0, 1, 0, 0, 0, 1}} {
		p, err := Parse(relaxed(t, `{"$set": {"b": 1}}`), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if img, err := p.Foresee(bad); err == nil {
			t.Errorf("Foresee(%x) = %s", bad, img.After)
		}
		if _, err := Parse(bad, Options{}); err == nil {
			t.Errorf("Parse(%x) is no error", bad)
		}
		if _, err := ForeseeReplace(good, bad); err == nil {
			t.Errorf("ForeseeReplace by %x is no error", bad)
		}
		if _, err := ForeseeReplace(bad, good); err == nil {
			t.Errorf("ForeseeReplace of %x is no error", bad)
		}
		if _, err := Inserted(bad, bson.NewObjectID); err == nil {
			t.Errorf("Inserted(%x) is no error", bad)
		}
		if _, err := Upserted(bad, good, true, bson.NewObjectID); err == nil {
			t.Errorf("Upserted(%x) is no error", bad)
		}
		if got := Match(bad, good); got != Undecidable {
			t.Errorf("Match(%x, …) = %v", bad, got)
		}
		if got := Match(good, bad); got != Undecidable {
			t.Errorf("Match(…, %x) = %v", bad, got)
		}
	}
}

// Documents nested deeper than any stack are compared, and matched.
func TestDeep(t *testing.T) {
	const levels = 400_000
	doc := make([]byte, 0, levels*8)
	for i := range levels {
		doc = append(binary.LittleEndian.AppendUint32(doc, uint32((levels-i)*8+5)), 3, 'a', 0)
	}
	doc = append(doc, 5, 0, 0, 0, 0)
	doc = append(doc, make([]byte, levels)...)
	v := bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}
	if Compare(v, v) != 0 {
		t.Error("a deep document is not equal to itself")
	}
	deep := append(append([]byte{0, 0, 0, 0, 3, 'a', 0}, doc...), 0)
	binary.LittleEndian.PutUint32(deep, uint32(len(deep)))
	if got := Match(deep, deep); got != Yes {
		t.Errorf("a deep document on itself: %v", got)
	}
	if _, err := Upserted(deep, relaxed(t, `{"$set": {"b": 1}}`), false, bson.NewObjectID); err != nil {
		t.Error(err)
	}
}
