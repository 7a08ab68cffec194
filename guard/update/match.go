package update

import (
	"bytes"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Answer is a yes, a no, or neither. The zero value is neither.
type Answer uint8

// The answers.
const (
	Undecidable Answer = iota
	No
	Yes
)

// Match says whether a document matches a filter. What it does not fully know is Undecidable, never a guess: it knows
// equality, $eq and $in of strings, ObjectIds and booleans on top-level fields that are no arrays, and $and.
func Match(filter, doc bson.Raw) Answer {
	elems, err := filter.Elements()
	if err != nil {
		return Undecidable
	}
	answer := Yes
	for _, e := range elems {
		a := matchField(e.Key(), e.Value(), doc)
		if a == No {
			return No // whatever the others say
		}
		if a == Undecidable {
			answer = Undecidable
		}
	}
	return answer
}

func matchField(key string, cond bson.RawValue, doc bson.Raw) Answer {
	if key == "$and" {
		return matchAnd(cond, doc)
	}
	if strings.HasPrefix(key, "$") || strings.Contains(key, ".") {
		return Undecidable
	}
	wanted, ok := wantedValues(cond)
	if !ok {
		return Undecidable
	}
	have, err := doc.LookupErr(key)
	if err == nil && have.Type == bson.TypeArray {
		return Undecidable
	}
	for _, w := range wanted {
		if !comparable(w) {
			return Undecidable
		}
		if err == nil && w.Type == have.Type && bytes.Equal(w.Value, have.Value) {
			return Yes
		}
	}
	return No
}

func matchAnd(cond bson.RawValue, doc bson.Raw) Answer {
	arr, ok := cond.ArrayOK()
	if !ok {
		return Undecidable
	}
	values, err := arr.Values()
	if err != nil {
		return Undecidable
	}
	answer := Yes
	for _, v := range values {
		sub, ok := v.DocumentOK()
		if !ok {
			return Undecidable
		}
		switch Match(sub, doc) {
		case No:
			return No
		case Undecidable:
			answer = Undecidable
		}
	}
	return answer
}

// comparable values are equal exactly if their bytes are, to no other type.
func comparable(v bson.RawValue) bool {
	return v.Type == bson.TypeString || v.Type == bson.TypeObjectID || v.Type == bson.TypeBoolean
}

// wantedValues are the values that a condition accepts, if it is an equality or $in alone.
func wantedValues(cond bson.RawValue) ([]bson.RawValue, bool) {
	doc, ok := cond.DocumentOK()
	if !ok {
		return []bson.RawValue{cond}, true
	}
	elems, err := doc.Elements()
	if err != nil || len(elems) != 1 {
		return nil, false
	}
	switch elems[0].Key() {
	case "$eq":
		return []bson.RawValue{elems[0].Value()}, true
	case "$in":
		arr, ok := elems[0].Value().ArrayOK()
		if !ok {
			return nil, false
		}
		values, err := arr.Values()
		return values, err == nil
	}
	return nil, false
}
