package plan

import (
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// A collation makes strings equal that are not the same bytes, in _id, in $$ROOT and in every $eq: the condition that pins a document would hold for another one. So
// what is sent for a document compares by the simple collation, always. An update that itself compares strings by another collation cannot be sent like that:
//
//	its result is known (the server told it)   ─► the result is sent in place of the update
//	otherwise                                  ─► not pinnable

// simple is the collation that compares bytes.
// Source: https://www.mongodb.com/docs/manual/reference/collation/#collation-document
var simple = func() bson.RawValue {
	raw, err := bson.Marshal(bson.D{{Key: "locale", Value: "simple"}})
	if err != nil {
		panic("plan: internal error: " + err.Error())
	}
	return bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: raw}
}()

// collate decides how an update is carried out where strings are compared by a collation, and says why that cannot be done.
func (b *Builder) collate(w command.Write, f *foreseen) error {
	if w.Op != command.Update || w.Collation.Type == 0 && !b.infos[w.NS.String()].collation() {
		return nil
	}
	const compares = "compares strings by a collation, and what is sent for one document must compare bytes"
	known := f.after != nil && f.why == "" && len(f.open) == 0
	switch {
	case w.Pipeline() && known && b.made.why == "":
		f.send = true
	case w.Pipeline():
		return fmt.Errorf("%w: its pipeline %s", ErrUnpinnable, compares)
	case strings.Contains(f.why, update.WithCollation):
		return fmt.Errorf("%w: the update %s", ErrUnpinnable, compares)
	case holdsText(w.ArrayFilters):
		return fmt.Errorf("%w: arrayFilters %s", ErrUnpinnable, compares)
	case positional(w.Update) && holdsText(bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: w.Filter}):
		return fmt.Errorf("%w: the filter says which element a positional $ means, and %s", ErrUnpinnable, compares)
	}
	return nil
}

// holdsText says whether a value is or holds a string, a symbol or a regular expression.
func holdsText(v bson.RawValue) bool {
	var inside bson.Raw
	switch v.Type {
	case bson.TypeString, bson.TypeSymbol, bson.TypeRegex, bson.TypeCodeWithScope:
		return true
	case bson.TypeEmbeddedDocument, bson.TypeArray:
		inside = bson.Raw(v.Value)
	default:
		return false
	}
	elems, err := inside.Elements()
	return err != nil || slices.ContainsFunc(elems, func(e bson.RawElement) bool { return holdsText(e.Value()) })
}
