package complete

import "regexp"

var (
	inUpdate   = regexp.MustCompile(`\.(update\w*|findOneAndUpdate)\([^;]*,[^;]*$`)
	inPipeline = regexp.MustCompile(`\.aggregate\([^;]*$`)
)

// operatorsFor are the operators that make sense at the end of text.
func operatorsFor(text string) []Suggestion {
	switch {
	case inUpdate.MatchString(text):
		return append(append([]Suggestion(nil), updateOperators...), queryOperators...)
	case inPipeline.MatchString(text):
		return append(append([]Suggestion(nil), stages...), queryOperators...)
	}
	return queryOperators
}

// https://www.mongodb.com/docs/manual/reference/operator/query/
var queryOperators = []Suggestion{
	{"$all", "an array that holds all of these"}, {"$and", "all of these conditions"}, {"$comment", "a comment"}, {"$elemMatch", "one array element that fulfils all"},
	{"$eq", "equal to"}, {"$exists", "the field is there, or not"}, {"$expr", "an aggregation expression"}, {"$gt", "greater than"}, {"$gte", "greater than or equal to"},
	{"$in", "one of these values"}, {"$jsonSchema", "valid by this schema"}, {"$lt", "less than"}, {"$lte", "less than or equal to"}, {"$mod", "remainder of a division"},
	{"$ne", "not equal to"}, {"$nin", "none of these values"}, {"$nor", "none of these conditions"}, {"$not", "not this condition"}, {"$or", "one of these conditions"},
	{"$regex", "a regular expression"}, {"$size", "an array of this length"}, {"$text", "text search"}, {"$type", "of this BSON type"}, {"$where", "a JavaScript condition (slow)"},
}

// https://www.mongodb.com/docs/manual/reference/operator/update/
var updateOperators = []Suggestion{
	{"$addToSet", "add to an array unless it is there"}, {"$bit", "bitwise and, or, xor"}, {"$currentDate", "the current date"}, {"$inc", "add a number"}, {"$max", "set if greater"},
	{"$min", "set if less"}, {"$mul", "multiply by a number"}, {"$pop", "remove the first or last element"}, {"$pull", "remove matching elements"}, {"$pullAll", "remove these elements"},
	{"$push", "append to an array"}, {"$rename", "rename a field"}, {"$set", "set a field"}, {"$setOnInsert", "set a field if the upsert inserts"}, {"$unset", "remove a field"},
	{"$each", "several elements"}, {"$position", "where in the array"}, {"$slice", "keep so many elements"}, {"$sort", "sort the array"},
}

// https://www.mongodb.com/docs/manual/reference/mql/aggregation-stages/
var stages = []Suggestion{
	{"$addFields", "add fields"}, {"$bucket", "group by ranges"}, {"$bucketAuto", "group by ranges, made even"}, {"$collStats", "sizes of the collection"}, {"$count", "count documents"},
	{"$densify", "fill gaps"}, {"$documents", "literal documents"}, {"$facet", "several pipelines at once"}, {"$fill", "fill missing values"}, {"$geoNear", "sort by distance"},
	{"$graphLookup", "follow references"}, {"$group", "group and sum up"}, {"$indexStats", "use of the indexes"}, {"$limit", "at most so many"}, {"$lookup", "join another collection"},
	{"$match", "only matching documents"}, {"$merge", "WRITES into a collection"}, {"$out", "WRITES: replaces a collection"}, {"$project", "choose and compute fields"}, {"$redact", "leave out parts"},
	{"$replaceRoot", "another document in its place"}, {"$replaceWith", "another document in its place"}, {"$sample", "random documents"}, {"$set", "add or change fields"},
	{"$setWindowFields", "compute over windows"}, {"$skip", "leave out the first"}, {"$sort", "in this order"}, {"$sortByCount", "group, count and sort"}, {"$unionWith", "and another collection"},
	{"$unset", "leave out fields"}, {"$unwind", "one document for each element"},
}
