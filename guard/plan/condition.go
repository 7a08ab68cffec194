package plan

import (
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
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
func StillAs(before bson.Raw, road Road, touched []string) (bson.Raw, error) {
	at, dst := bsoncore.AppendDocumentStart(nil)
	dst, err := appendStillAs(dst, before, road, touched)
	if err != nil {
		return nil, err
	}
	dst, err = bsoncore.AppendDocumentEnd(dst, at)
	return bson.Raw(dst), err
}

// appendStillAs appends the elements of the condition to a filter that is being written: once for each document of a change, so by hand.
func appendStillAs(dst []byte, before bson.Raw, road Road, touched []string) ([]byte, error) {
	if road == RoadExpr {
		return appendWhole(dst, before), nil
	}
	for _, f := range touched {
		if f == "_id" {
			continue
		}
		var err error
		if dst, err = appendField(dst, before, f); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// appendWhole: $expr: {$and: [{$eq: ["$$ROOT", {$literal: before}]}, {$eq: [{$bsonSize: "$$ROOT"}, n]}]}
func appendWhole(dst []byte, before bson.Raw) []byte {
	dst = slices.Grow(dst, len(before)+200)
	var ends []int32
	open := func(start func([]byte, string) (int32, []byte), key string) {
		var at int32
		at, dst = start(dst, key)
		ends = append(ends, at)
	}
	shut := func(n int) {
		for range n {
			dst, _ = bsoncore.AppendDocumentEnd(dst, ends[len(ends)-1]) // only fails for an index of no start
			ends = ends[:len(ends)-1]
		}
	}
	doc, array := bsoncore.AppendDocumentElementStart, bsoncore.AppendArrayElementStart
	open(doc, "$expr")
	open(array, "$and")
	open(doc, "0")
	open(array, "$eq")
	dst = bsoncore.AppendStringElement(dst, "0", "$$ROOT")
	open(doc, "1")
	dst = bsoncore.AppendDocumentElement(dst, "$literal", before)
	shut(3)
	open(doc, "1")
	open(array, "$eq")
	open(doc, "0")
	dst = bsoncore.AppendStringElement(dst, "$bsonSize", "$$ROOT")
	shut(1)
	dst = bsoncore.AppendInt32Element(dst, "1", int32(len(before)))
	shut(4)
	return dst
}

// appendField is the condition on one top-level field.
func appendField(dst []byte, before bson.Raw, f string) ([]byte, error) {
	if f == "" || strings.HasPrefix(f, "$") || strings.Contains(f, ".") {
		return nil, fmt.Errorf("the field name %q cannot stand in a condition", f)
	}
	at, dst := bsoncore.AppendDocumentElementStart(dst, f)
	v, err := before.LookupErr(f)
	if err != nil {
		dst = bsoncore.AppendBooleanElement(dst, "$exists", false)
		return bsoncore.AppendDocumentEnd(dst, at)
	}
	dst = appendValue(dst, "$eq", v)
	dst = bsoncore.AppendInt32Element(dst, "$type", int32(v.Type))
	dst = bsoncore.AppendBooleanElement(dst, "$exists", true)
	if v.Type != bson.TypeArray {
		var not int32
		not, dst = bsoncore.AppendDocumentElementStart(dst, "$not")
		dst = bsoncore.AppendInt32Element(dst, "$type", int32(bson.TypeArray))
		if dst, err = bsoncore.AppendDocumentEnd(dst, not); err != nil {
			return nil, err
		}
	}
	return bsoncore.AppendDocumentEnd(dst, at)
}

func appendValue(dst []byte, key string, v bson.RawValue) []byte {
	return bsoncore.AppendValueElement(dst, key, bsoncore.Value{Type: bsoncore.Type(v.Type), Data: v.Value})
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
