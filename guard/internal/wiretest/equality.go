package wiretest

import (
	"bytes"
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// decided is a command in which each whole-document equality is replaced by whether it holds: the statement keeps its _id, or selects nothing.
func (d *Double) decided(doc bson.Raw, db string) (bson.Raw, error) {
	if d.exact == nil || !bytes.Contains(doc, []byte("$$ROOT")) && !bytes.Contains(doc, []byte("$replaceWith")) {
		return doc, nil
	}
	elems, err := doc.Elements()
	if err != nil {
		return nil, err
	}
	coll, _ := elems[0].Value().StringValueOK()
	var out bson.D
	for _, e := range elems {
		v := any(e.Value())
		switch e.Key() {
		case "filter", "query":
			if v, err = d.filter(db, coll, e.Value().Document()); err != nil {
				return nil, err
			}
		case "updates", "deletes":
			if v, err = d.statements(db, coll, e.Value().Array()); err != nil {
				return nil, err
			}
		}
		out = append(out, bson.E{Key: e.Key(), Value: v})
	}
	return bson.Marshal(out)
}

func (d *Double) statements(db, coll string, list bson.RawArray) (bson.A, error) {
	values, err := list.Values()
	if err != nil {
		return nil, err
	}
	var out bson.A
	for _, v := range values {
		elems, err := v.Document().Elements()
		if err != nil {
			return nil, err
		}
		var s bson.D
		for _, e := range elems {
			v := any(e.Value())
			if e.Key() == "u" {
				v = literal(e.Value())
			}
			if e.Key() == "q" {
				if v, err = d.filter(db, coll, e.Value().Document()); err != nil {
					return nil, err
				}
			}
			s = append(s, bson.E{Key: e.Key(), Value: v})
		}
		out = append(out, s)
	}
	return out, nil
}

// literal is the document that [{$replaceWith: {$literal: doc}}] makes of any other; another update is itself.
func literal(u bson.RawValue) any {
	stages, ok := u.ArrayOK()
	if !ok {
		return u
	}
	values, err := stages.Values()
	if err != nil || len(values) != 1 {
		return u
	}
	stage, _ := values[0].DocumentOK()
	if doc, ok := stage.Lookup("$replaceWith", "$literal").DocumentOK(); ok {
		return doc
	}
	return u
}

var errNotOurs = errors.New("wiretest: $$ROOT in a form that the double does not know")

// filter evaluates {_id: …, $expr: {$and: [{$eq: ["$$ROOT", {$literal: doc}]}, {$eq: [{$bsonSize: "$$ROOT"}, n]}]}}.
func (d *Double) filter(db, coll string, q bson.Raw) (bson.D, error) {
	var out bson.D
	elems, err := q.Elements()
	if err != nil {
		return nil, err
	}
	holds := true
	for _, e := range elems {
		if e.Key() != "$expr" {
			out = append(out, bson.E{Key: e.Key(), Value: e.Value()})
			continue
		}
		want, ok1 := e.Value().Document().Lookup("$and", "0", "$eq", "1", "$literal").DocumentOK()
		size, ok2 := e.Value().Document().Lookup("$and", "1", "$eq", "1").AsInt64OK()
		if root, _ := e.Value().Document().Lookup("$and", "0", "$eq", "0").StringValueOK(); !ok1 || !ok2 || root != "$$ROOT" {
			return nil, errNotOurs
		}
		if want.Lookup("_id").Type == 0 { // of no document in the database
			holds = false
			continue
		}
		have, err := d.exact.Database(db).Collection(coll).FindOne(context.Background(), bson.D{{Key: "_id", Value: want.Lookup("_id")}}).Raw()
		if errors.Is(err, mongo.ErrNoDocuments) {
			holds = false
			continue
		}
		if err != nil {
			return nil, err
		}
		holds = holds && int64(len(have)) == size && looselyEqual(have, want)
	}
	if !holds {
		return bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: bson.A{}}}}}, nil
	}
	return out, nil
}

// looselyEqual compares as $eq does: numbers by value, everything else by bytes, fields in order.
func looselyEqual(a, b bson.Raw) bool {
	x, err1 := a.Elements()
	y, err2 := b.Elements()
	if err1 != nil || err2 != nil || len(x) != len(y) {
		return false
	}
	for i := range x {
		v, w := x[i].Value(), y[i].Value()
		if x[i].Key() != y[i].Key() {
			return false
		}
		f, ok1 := v.AsFloat64OK()
		g, ok2 := w.AsFloat64OK()
		switch {
		case ok1 && ok2:
			if f != g {
				return false
			}
		case v.Type == bson.TypeEmbeddedDocument && w.Type == bson.TypeEmbeddedDocument, v.Type == bson.TypeArray && w.Type == bson.TypeArray:
			if !looselyEqual(bson.Raw(v.Value), bson.Raw(w.Value)) {
				return false
			}
		case v.Type != w.Type || !bytes.Equal(v.Value, w.Value):
			return false
		}
	}
	return true
}
