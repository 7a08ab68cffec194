package plan

import (
	"bytes"
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/update"
)

// Foresee is what the server will make of a document of the plan, for people: after-images of updates are not spooled. open are the paths of it that are not
// known; after is nil where nothing is, and for a delete.
func (p *Plan) Foresee(it Item, before bson.Raw) (after bson.Raw, open []string, err error) {
	w, typed, err := p.write(it)
	if err != nil || !typed || w.Op == command.Delete || before == nil || it.After == nil && len(it.Open) == 0 {
		return nil, nil, err // what was not known when it was planned is not known now
	}
	var img update.Image
	switch {
	case w.Op == command.Replace:
		img, err = update.ForeseeReplace(before, w.Doc)
	case w.Pipeline():
		var pl *update.Pipeline
		if pl, err = update.ParsePipeline(w.Update.Array()); err == nil {
			img, err = pl.Foresee(before)
		}
	default:
		var opts update.Options
		if opts, err = updateOptions(w, false); err == nil {
			var u *update.Update
			if u, err = update.Parse(w.Update.Document(), opts); err == nil {
				img, err = u.Foresee(before)
			}
		}
	}
	if errors.Is(err, update.ErrNotPredictable) {
		return nil, nil, nil
	}
	for _, u := range img.Unknown {
		open = append(open, u.Path)
	}
	if len(open) < len(it.Open) {
		open = it.Open
	}
	if it.After != nil && len(open) == 0 && !it.After.Is(img.After) {
		return nil, nil, nil // a collation, for example: what was planned was known by other means
	}
	return img.After, open, err
}

// EqualBut says whether two documents are the same, byte for byte and field for field in their order, but for what stands at some paths.
func EqualBut(a, b bson.Raw, open []string) bool { return equalBut("", a, b, open) }

func equalBut(prefix string, a, b bson.Raw, open []string) bool {
	x, okX := known(prefix, a, open)
	y, okY := known(prefix, b, open)
	if !okX || !okY || len(x) != len(y) {
		return false
	}
	for i := range x {
		if bytes.Equal(x[i], y[i]) {
			continue
		}
		v, w := x[i].Value(), y[i].Value()
		if x[i].Key() != y[i].Key() || v.Type != w.Type || v.Type != bsoncore.TypeEmbeddedDocument && v.Type != bsoncore.TypeArray {
			return false
		}
		path := prefix + x[i].Key() + "."
		below := false
		for _, o := range open {
			below = below || strings.HasPrefix(o, path)
		}
		if !below || !equalBut(path, bson.Raw(v.Data), bson.Raw(w.Data), open) {
			return false
		}
	}
	return true
}

// known are the elements of a document that stand at no open path.
func known(prefix string, doc bson.Raw, open []string) (out []bsoncore.Element, ok bool) {
	left := rest(doc)
	for len(left) > 1 {
		e, next, ok := bsoncore.ReadElement(left)
		if !ok {
			return nil, false
		}
		left = next
		isOpen := false
		for _, o := range open {
			isOpen = isOpen || o == prefix+e.Key()
		}
		if !isOpen {
			out = append(out, e)
		}
	}
	return out, true
}
