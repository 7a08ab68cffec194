package environment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestMarkerRoundTrip(t *testing.T) {
	for _, m := range []Marker{
		marker("staging", "standalone h"),
		{State: MarkerPresent, ID: "0123abcd", Value: "production", Deployment: "set rs0 a,b", By: "ann", At: may, For: with(replica, func(id *Identity) { id.Marker = "0123abcd" })},
	} {
		if diff := cmp.Diff(m, ParseMarker(rawOf(t, m.Document()))); diff != "" {
			t.Errorf("ParseMarker(Document) differs:\n%s", diff)
		}
	}
}

func TestParseMarkerIsStrict(t *testing.T) {
	good := Marker{ID: "0123abcd", Value: "staging", Deployment: "x", By: "y", At: may, For: embedded}.Document()
	set := func(key string, value any) bson.D {
		out := bson.D{}
		for _, e := range good {
			if e.Key == key {
				e.Value = value
			}
			out = append(out, e)
		}
		return out
	}
	without := func(key string) (out bson.D) {
		for _, e := range good {
			if e.Key != key {
				out = append(out, e)
			}
		}
		return out
	}
	if m := ParseMarker(rawOf(t, good)); m.State != MarkerPresent {
		t.Fatalf("the marker that is spoiled below is %+v", m)
	}
	for _, bad := range []bson.D{
		{}, set("value", 1), set("deployment", nil), set("by", bson.A{}), set("at", "today"), set("marker", ""), set("marker", "short"), set("marker", "UPPERCASE"),
		set("marker", 7), set("identity", "x"), set("identity", bson.D{{Key: "set", Value: 1}}), set("identity", bson.D{{Key: "set", Value: "a"}, {Key: "set", Value: "b"}}),
		without("value"), without("deployment"), without("by"), without("at"), without("marker"), without("identity"),
		append(without(""), bson.E{Key: "value", Value: "production"}), append(without(""), bson.E{Key: "note", Value: "x"}),
	} {
		if m := ParseMarker(rawOf(t, bad)); m.State != MarkerMalformed || m.Err == "" || m.Value != "" {
			t.Errorf("ParseMarker(%v) = %+v, want malformed", bad, m)
		}
	}
}
