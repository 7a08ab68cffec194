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
//	RoadExpr      the server compares the whole document: $$ROOT equal to the before-image, of the same size, and each number of the same type (exact.go)
//	RoadReturned  the same without the types, on servers that do not evaluate all of it. The statement is a findAndModify, which returns the document that was there
//	RoadFields    for updates, each top-level field that the update touches: same value, same type, an array only where it was
//	              one, missing where it was missing. Statements are sent as findAndModify, which returns the document that was there.
//
// What it cannot see. RoadExpr: nothing, where numbersOf says what is to be said; where it does not, which Derive finds out, the statement is sent as a findAndModify, and
// what it returns is compared byte by byte. What was overwritten by that comparison's word is saved at once, and an alarm is given. All of this is by the
// simple collation: strings are equal if their bytes are.
//
// One case is left: an update whose result cannot be foreseen is a findAndModify that returns what the document became, and not what was there. On RoadFields, and where
// numbersOf gives up, a change that others make in the last moment, between the last look and the write, is then seen only in fields that the update leaves alone.
//
// Sources: https://www.mongodb.com/docs/manual/reference/operator/aggregation/bsonSize/,
// https://www.mongodb.com/docs/manual/tutorial/query-for-null-fields/, …/query-arrays/.
func StillAs(before bson.Raw, road Road, touched []string) (bson.Raw, error) {
	at, dst := bsoncore.AppendDocumentStart(nil)
	dst, _, err := appendStillAs(dst, before, road, touched)
	if err != nil {
		return nil, err
	}
	dst, err = bsoncore.AppendDocumentEnd(dst, at)
	return bson.Raw(dst), err
}

// appendStillAs appends the elements of the condition to a filter that is being written: once for each document of a change, so by hand. sees says that it holds
// for no other bytes than those of before.
func appendStillAs(dst []byte, before bson.Raw, road Road, touched []string) (out []byte, sees bool, err error) {
	if road == RoadExpr || road == RoadReturned {
		n, exact := numbersOf(before)
		exact = exact && road == RoadExpr
		if !exact {
			n = numbers{}
		}
		return appendWhole(dst, before, n), exact, nil
	}
	for _, f := range touched {
		if f == "_id" {
			continue
		}
		if dst, err = appendField(dst, before, f); err != nil {
			return nil, false, err
		}
	}
	return dst, false, nil
}

// appendWhole: $expr: {$and: [{$eq: ["$$ROOT", {$literal: before}]}, {$eq: [{$bsonSize: "$$ROOT"}, n]}, {$eq: [[…], {$literal: […]}]}]}
func appendWhole(dst []byte, before bson.Raw, about numbers) []byte {
	dst = slices.Grow(dst, len(before)+len(about.exprs)+len(about.wants)+250)
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
	shut(2)
	if about.n > 0 {
		open(doc, "2")
		open(array, "$eq")
		open(array, "0")
		dst = append(dst, about.exprs...)
		shut(1)
		open(doc, "1")
		open(array, "$literal")
		dst = append(dst, about.wants...)
		shut(4)
	}
	shut(2)
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
