package update

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Upserted is the document that an upsert creates when nothing matches: what the filter demands with equality, then the
// update. u is a document of operators, or a replacement.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.updateOne/#upsert
func Upserted(filter, u bson.Raw, replacement bool, newID func() bson.ObjectID) (bson.Raw, error) {
	equal := map[string]bson.RawValue{}
	if err := equalities(filter, equal); err != nil {
		return nil, err
	}
	if replacement {
		doc := u
		if id, ok := equal["_id"]; ok {
			if own, err := u.LookupErr("_id"); err == nil && !equalIDs(own, id) {
				return nil, immutable("_id")
			}
			var err error
			if doc, err = withID(id, u); err != nil {
				return nil, err
			}
		}
		return Inserted(doc, newID)
	}
	seed := &Update{root: &node{}}
	for _, path := range slices.Sorted(maps.Keys(equal)) {
		if err := seed.insert("$set", path, fromRaw(equal[path])); err != nil {
			return nil, err
		}
	}
	doc, err := seed.apply(bson.Raw{5, 0, 0, 0, 0}, true)
	if err != nil {
		return nil, err
	}
	p, err := Parse(u, Options{})
	if err != nil {
		return nil, err
	}
	if doc, err = p.apply(doc, true); err != nil {
		return nil, err
	}
	return Inserted(doc, newID)
}

// equalities collects the paths that a filter fixes to one value: {a: v}, {a: {$eq: v}}, and those below $and.
func equalities(filter bson.Raw, into map[string]bson.RawValue) error {
	elems, err := filter.Elements()
	if err != nil {
		return fmt.Errorf("not valid BSON: %w", err)
	}
	for _, e := range elems {
		key, v := e.Key(), e.Value()
		switch {
		case key == "$and":
			arr, ok := v.ArrayOK()
			if !ok {
				return badValue("$and must be an array")
			}
			values, err := arr.Values()
			if err != nil {
				return err
			}
			for _, sub := range values {
				doc, ok := sub.DocumentOK()
				if !ok {
					return badValue("$and entries need to be full objects")
				}
				if err := equalities(doc, into); err != nil {
					return err
				}
			}
		case key == "$comment":
		case strings.HasPrefix(key, "$"):
			return fmt.Errorf("%w: an upsert with %s in its filter", ErrNotPredictable, key)
		case v.Type == bson.TypeRegex:
		default:
			eq, ok, err := equality(v)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if _, twice := into[key]; twice {
				return &Error{54, "NotSingleValueField", fmt.Sprintf("cannot infer query fields to set, path '%s' is matched twice", key)}
			}
			into[key] = eq
		}
	}
	return nil
}

// equality is the value that a field's condition fixes, if it fixes one.
func equality(v bson.RawValue) (bson.RawValue, bool, error) {
	doc, ok := v.DocumentOK()
	if !ok {
		return v, true, nil
	}
	elems, err := doc.Elements()
	if err != nil {
		return v, false, err
	}
	if len(elems) == 0 || !strings.HasPrefix(elems[0].Key(), "$") {
		return v, true, nil
	}
	for _, e := range elems {
		switch e.Key() {
		case "$eq":
			return e.Value(), true, nil
		case "$in":
			arr, ok := e.Value().ArrayOK()
			if !ok {
				return v, false, badValue("$in needs an array")
			}
			values, err := arr.Values()
			if err != nil {
				return v, false, err
			}
			if len(values) == 1 && values[0].Type != bson.TypeRegex {
				return values[0], true, nil
			}
		case "$all":
			return v, false, fmt.Errorf("%w: an upsert with $all in its filter", ErrNotPredictable)
		}
	}
	return v, false, nil
}
