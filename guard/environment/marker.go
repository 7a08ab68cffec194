package environment

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Marker is what was found in the namespace respect.environment.
type Marker struct {
	State      MarkerState
	Scope      string // the database it was found in, if not the one for the whole deployment
	ID         string // drawn when it was written; "" in those that earlier versions or people wrote
	Value      string
	Deployment string   // for whom it was written, as people read it, or any
	For        Identity // the same, as it is compared; says nothing if ID is ""
	By         string
	At         time.Time
	Err        string // why it could not be read, or what is malformed
}

// MarkerState says what a look at the marker came to.
type MarkerState uint8

// The states of a marker. The zero value is that nobody has looked.
const (
	MarkerUnread MarkerState = iota
	MarkerAbsent
	MarkerPresent
	MarkerMalformed
	MarkerUnreadable
)

var markerID = regexp.MustCompile(`^[0-9a-z]{8,64}$`)

// ParseMarker reads the marker document. Anything unexpected makes it malformed. Those without an id and an identity are older, or written by hand for an
// image.
func ParseMarker(doc bson.Raw) Marker {
	m, err := parseMarker(doc)
	if err != nil {
		return Marker{State: MarkerMalformed, Err: err.Error()}
	}
	return m
}

func parseMarker(doc bson.Raw) (Marker, error) {
	m := Marker{State: MarkerPresent}
	elems, err := doc.Elements()
	if err != nil {
		return m, err
	}
	seen := map[string]bool{}
	for _, e := range elems {
		key, v, ok := e.Key(), e.Value(), false
		if seen[key] {
			return m, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		switch key {
		case "_id":
			ok = true // it was asked for by its _id
		case "value":
			m.Value, ok = v.StringValueOK()
		case "deployment":
			m.Deployment, ok = v.StringValueOK()
		case "by":
			m.By, ok = v.StringValueOK()
		case "at":
			m.At, ok = v.TimeOK()
			m.At = m.At.UTC()
		case "marker":
			m.ID, _ = v.StringValueOK()
			ok = markerID.MatchString(m.ID)
		case "identity":
			m.For, ok = identityOf(v)
		}
		if !ok {
			return m, fmt.Errorf("%s is not expected, or not of this kind", key)
		}
	}
	for _, key := range []string{"value", "deployment", "by", "at"} {
		if !seen[key] {
			return m, fmt.Errorf("%s is missing", key)
		}
	}
	if seen["marker"] != seen["identity"] {
		return m, errors.New("of marker and identity, one is missing")
	}
	m.For.Marker = m.ID
	return m, nil
}

func identityOf(v bson.RawValue) (Identity, bool) {
	doc, ok := v.DocumentOK()
	if !ok {
		return Identity{}, false
	}
	elems, err := doc.Elements()
	if err != nil {
		return Identity{}, false
	}
	parts := map[string]string{}
	for _, e := range elems {
		s, ok := e.Value().StringValueOK()
		if _, twice := parts[e.Key()]; !ok || twice {
			return Identity{}, false
		}
		parts[e.Key()] = s
	}
	return FromMap(parts), true
}

// Is says whether two looks found the same marker.
func (m Marker) Is(other Marker) bool {
	return m.State == other.State && m.Scope == other.Scope && m.ID == other.ID && m.Value == other.Value && m.Deployment == other.Deployment && m.By == other.By &&
		m.At.Equal(other.At) && maps.Equal(m.For.Map(), other.For.Map())
}

// Document is what ParseMarker reads.
func (m Marker) Document() bson.D {
	doc := bson.D{
		{Key: "_id", Value: "environment"}, {Key: "value", Value: m.Value}, {Key: "deployment", Value: m.Deployment},
		{Key: "by", Value: m.By}, {Key: "at", Value: bson.NewDateTimeFromTime(m.At)},
	}
	if m.ID == "" {
		return doc
	}
	return append(doc, bson.E{Key: "marker", Value: m.ID}, bson.E{Key: "identity", Value: m.For.document()})
}

// document is the identity in the order of its names, so that one identity has one encoding.
func (id Identity) document() bson.D {
	m := id.Map()
	delete(m, "markerId") // it stands beside it
	doc := bson.D{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		doc = append(doc, bson.E{Key: k, Value: m[k]})
	}
	return doc
}

// MarkerDocument is a marker without an id, as people write it for an image.
func MarkerDocument(env Environment, deployment, by string, at time.Time) bson.D {
	return Marker{Value: env.String(), Deployment: deployment, By: by, At: at}.Document()
}
