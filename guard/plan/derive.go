package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// Derived is the statement that is sent for one document.
type Derived struct {
	// Command is the command that it stands in: insert, update, delete or findAndModify. The first three hold many.
	Command string
	// Statement is the element of documents, updates or deletes, or, for findAndModify, what follows the collection's name.
	Statement bson.D
	// Let belongs to the command; statements with different ones cannot stand in one. Type 0 if not given.
	Let bson.RawValue
	// Bypass sets bypassDocumentValidation.
	Bypass bool
	// ReturnsNew says that the reply holds the document as the change left it, because that could not be foreseen.
	ReturnsNew bool
	// ReturnsOld says that the reply tells which document was there: it must be compared with the before-image.
	ReturnsOld bool
}

// maxWhole is how many bytes of documents a statement may carry: a command may not be larger than 16 MiB and 16 KiB. Above it the document is not
// compared as a whole by the server.
// Source: https://www.mongodb.com/docs/manual/reference/limits/ (BSON document size), src/mongo/bson/util/builder.h (BSONObjMaxInternalSize).
const maxWhole = 15 << 20

// pinnable says why an update cannot be sent for single documents, before it is shown.
func pinnable(w command.Write, road Road) error {
	if w.Op != command.Update || !positional(w.Update) {
		return nil
	}
	_, err := withTypedFilter(nil, w.Filter, road)
	return err
}

// Derive is what is sent for one document of a plan: a pure function of the plan file and the spooled images.
//
// The filter is _id and the condition StillAs; upsert, hint, sort and skip of the typed statement are gone, since the document is
// pinned; its collation stays, because update operators compare with it. The typed filter stays only where a positional $ needs it.
// A shard key is not added yet: on a sharded collection the server then asks all shards, which it allows for an update by _id since 7.0.
func (p *Plan) Derive(it Item, before, after bson.Raw) (Derived, error) {
	w, typed, err := p.write(it)
	if err != nil {
		return Derived{}, err
	}
	d := Derived{Let: w.Let, Bypass: w.BypassChecks || p.header.Undoes != ""}
	if it.Op == "insert" {
		return deriveInsert(d, it, w, after)
	}
	id := byID(before.Lookup("_id"))
	road := p.header.Road
	if len(before)+len(after) > maxWhole {
		road = RoadFields
	}
	switch it.Op {
	case "delete", "replace":
		return deriveWhole(d, it, w, id, before, after, road)
	case "update":
		if !typed {
			return d, errors.New("an update without a typed statement")
		}
		return deriveUpdate(d, it, w, id, before, road)
	}
	return d, fmt.Errorf("document %d: unknown operation %q", it.N, it.Op)
}

// byID selects one document. A value that would be read as a condition stands behind $eq.
func byID(id bson.RawValue) bson.D {
	if _, plain := plainID(id); plain || id.Type == bson.TypeNull {
		return bson.D{{Key: "_id", Value: id}}
	}
	return bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: id}}}}
}

// deriveInsert: an upsert that will insert creates the planned document only if still nothing matches.
func deriveInsert(d Derived, it Item, w command.Write, after bson.Raw) (Derived, error) {
	if !it.Upsert || w.Op == command.Replace {
		d.Command, d.Statement = "insert", nil
		elems, err := after.Elements()
		if err != nil {
			return d, err
		}
		for _, e := range elems {
			d.Statement = append(d.Statement, bson.E{Key: e.Key(), Value: e.Value()})
		}
		return d, nil
	}
	d.Command = "update"
	d.Statement = bson.D{
		{Key: "q", Value: w.Filter}, {Key: "u", Value: bson.D{{Key: "$setOnInsert", Value: after}}},
		{Key: "multi", Value: false}, {Key: "upsert", Value: true},
	}
	d.Statement = withCollation(d.Statement, w)
	return d, nil
}

func deriveWhole(d Derived, it Item, w command.Write, id bson.D, before, after bson.Raw, road Road) (Derived, error) {
	if road == RoadFields {
		d.Command, d.ReturnsOld = "findAndModify", true
		d.Statement = bson.D{{Key: "query", Value: id}, {Key: "remove", Value: true}}
		if it.Op == "replace" {
			d.Statement[1] = bson.E{Key: "update", Value: after}
		}
		return d, nil
	}
	still, err := StillAs(before, road, nil)
	if err != nil {
		return d, err
	}
	q := slices.Concat(id, still)
	if it.Op == "delete" {
		d.Command = "delete"
		d.Statement = withCollation(bson.D{{Key: "q", Value: q}, {Key: "limit", Value: int32(1)}}, w)
		return d, nil
	}
	d.Command = "update"
	d.Statement = withCollation(bson.D{{Key: "q", Value: q}, {Key: "u", Value: after}, {Key: "multi", Value: false}}, w)
	return d, nil
}

func deriveUpdate(d Derived, it Item, w command.Write, id bson.D, before bson.Raw, road Road) (Derived, error) {
	touched, err := Touched(w.Update, before)
	if err != nil {
		return d, err
	}
	still, err := StillAs(before, road, touched)
	if err != nil {
		return d, err
	}
	q := slices.Concat(id, still)
	if positional(w.Update) {
		if q, err = withTypedFilter(q, w.Filter, road); err != nil {
			return d, err
		}
	}
	d.Command = "update"
	d.Statement = withCollation(bson.D{{Key: "q", Value: q}, {Key: "u", Value: w.Update}, {Key: "multi", Value: false}}, w)
	if it.Unpredictable != "" && w.Constants.Type == 0 { // what it becomes is in the reply; read later it could be somebody else's
		d.Command, d.ReturnsNew = "findAndModify", true
		d.Statement = withCollation(bson.D{{Key: "query", Value: q}, {Key: "update", Value: w.Update}, {Key: "new", Value: true}}, w)
	}
	if w.ArrayFilters.Type != 0 {
		d.Statement = append(d.Statement, bson.E{Key: "arrayFilters", Value: w.ArrayFilters})
	}
	if w.Constants.Type != 0 {
		d.Statement = append(d.Statement, bson.E{Key: "c", Value: w.Constants})
	}
	return d, nil
}

func withCollation(s bson.D, w command.Write) bson.D {
	if w.Collation.Type == 0 {
		return s
	}
	return append(s, bson.E{Key: "collation", Value: w.Collation})
}

// positional says whether an update has the positional $, which means the element that the filter matched.
func positional(u bson.RawValue) bool {
	doc, ok := u.DocumentOK()
	if !ok {
		return false
	}
	ops, err := doc.Elements()
	if err != nil {
		return false
	}
	for _, op := range ops {
		args, ok := op.Value().DocumentOK()
		if !ok {
			continue
		}
		elems, err := args.Elements()
		if err != nil {
			return false
		}
		for _, e := range elems {
			if slices.Contains(strings.Split(e.Key(), "."), "$") {
				return true
			}
		}
	}
	return false
}

// withTypedFilter keeps what the user's filter says of arrays, for a positional $.
func withTypedFilter(q bson.D, filter bson.Raw, road Road) (bson.D, error) {
	if road == RoadFields {
		return nil, fmt.Errorf("%w: a positional $ on a server without $expr", ErrUnpinnable)
	}
	elems, err := filter.Elements()
	if err != nil {
		return nil, err
	}
	var own bson.D
	for _, e := range elems {
		switch e.Key() {
		case "_id":
		case "$text", "$near", "$nearSphere", "$where", "$expr":
			return nil, fmt.Errorf("%w: a positional $ with %s in the filter", ErrUnpinnable, e.Key())
		default:
			own = append(own, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	return slices.Concat(own, q), nil
}
