package plan

import (
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// StillAs is the condition, besides _id, under which a document is still as its before-image. An empty condition means that the
// road makes sure in another way.
//
//	RoadExpr    the server compares the whole document: $$ROOT equal to the before-image, and of the same size
//	RoadFields  for updates, each top-level field that the update touches: same value, same type, an array only where it was
//	            one, missing where it was missing. Deletes and replacements have no condition on this road: they are sent as
//	            findAndModify, which returns the document that was there.
//
// What it cannot see. RoadExpr: $eq takes 1, Long(1) and 1.0 as equal, and -0.0 and 0.0, inside the document; the size tells an int from the two
// others, not Long(1) from 1.0. RoadFields: changes of fields that the update does not touch, which it then leaves alone; numbers of
// different type inside subdocuments and arrays; an array that was wrapped in another array, as {f: [[1]]} for {f: [1]}.
// In all these cases the comparison, byte for byte, of the document as it was re-read just before the batch is what remains; a change by others in
// the moment between is then not seen.
//
// Sources: https://www.mongodb.com/docs/manual/reference/operator/aggregation/bsonSize/,
// https://www.mongodb.com/docs/manual/tutorial/query-for-null-fields/, …/query-arrays/.
func StillAs(before bson.Raw, road Road, touched []string) (bson.D, error) {
	if road == RoadExpr {
		return bson.D{{Key: "$expr", Value: bson.D{{Key: "$and", Value: bson.A{
			bson.D{{Key: "$eq", Value: bson.A{"$$ROOT", bson.D{{Key: "$literal", Value: before}}}}},
			bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$bsonSize", Value: "$$ROOT"}}, int32(len(before))}}},
		}}}}}, nil
	}
	var out bson.D
	for _, f := range touched {
		if f == "_id" {
			continue
		}
		cond, err := fieldStillAs(before, f)
		if err != nil {
			return nil, err
		}
		out = append(out, bson.E{Key: f, Value: cond})
	}
	return out, nil
}

func fieldStillAs(before bson.Raw, f string) (bson.D, error) {
	if f == "" || strings.HasPrefix(f, "$") || strings.Contains(f, ".") {
		return nil, fmt.Errorf("the field name %q cannot stand in a condition", f)
	}
	v, err := before.LookupErr(f)
	if err != nil {
		return bson.D{{Key: "$exists", Value: false}}, nil
	}
	cond := bson.D{{Key: "$eq", Value: v}, {Key: "$type", Value: int32(v.Type)}, {Key: "$exists", Value: true}}
	if v.Type != bson.TypeArray {
		return append(cond, bson.E{Key: "$not", Value: bson.D{{Key: "$type", Value: int32(bson.TypeArray)}}}), nil
	}
	return cond, nil
}

// Touched are the top-level fields that an update names; all fields of the document for a pipeline.
func Touched(u bson.RawValue, before bson.Raw) ([]string, error) {
	var out []string
	add := func(path string) {
		top, _, _ := strings.Cut(path, ".")
		if !slices.Contains(out, top) {
			out = append(out, top)
		}
	}
	if u.Type == bson.TypeArray {
		elems, err := before.Elements()
		if err != nil {
			return nil, err
		}
		for _, e := range elems {
			add(e.Key())
		}
		return out, nil
	}
	ops, err := u.Document().Elements()
	if err != nil {
		return nil, err
	}
	for _, op := range ops {
		args, ok := op.Value().DocumentOK()
		if !ok {
			return nil, fmt.Errorf("%s is not a document", op.Key())
		}
		elems, err := args.Elements()
		if err != nil {
			return nil, err
		}
		for _, e := range elems {
			add(e.Key())
			if to, ok := e.Value().StringValueOK(); ok && op.Key() == "$rename" {
				add(to)
			}
		}
	}
	return out, nil
}
