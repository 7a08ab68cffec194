package environment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func rawOf(t testing.TB, d bson.D) bson.Raw {
	t.Helper()
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// found is a reply of find with one document, or none.
func found(docs ...bson.D) bson.D {
	batch := bson.A{}
	for _, d := range docs {
		batch = append(batch, d)
	}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "firstBatch", Value: batch}}}, {Key: "ok", Value: 1.0}}
}

func TestCheck(t *testing.T) {
	process, err := bson.ObjectIDFromHex(standalone.Process)
	if err != nil {
		t.Fatal(err)
	}
	hello := bson.D{{Key: "isWritablePrimary", Value: true}, {Key: "topologyVersion", Value: bson.D{{Key: "processId", Value: process}}}}
	set := bson.D{{Key: "setName", Value: "rs0"}, {Key: "me", Value: "a:1"}, {Key: "hosts", Value: bson.A{"a:1", "b:1"}}}
	status := bson.D{
		{Key: "host", Value: "anna"}, {Key: "pid", Value: int64(4711)}, {Key: "process", Value: "respect"}, {Key: "ferretdbVersion", Value: "v1.24.2"},
		{Key: "uptimeMillis", Value: int64(60_000)}, {Key: "localTime", Value: bson.NewDateTimeFromTime(may.Add(60_000e6))},
	}
	marked := Marker{State: MarkerPresent, ID: "0123abcd", Value: "staging", Deployment: "standalone anna", By: "ann", At: may, For: embedded}
	marked.For.Marker = marked.ID
	for _, tt := range []struct {
		name    string
		seen    Observation
		replies []bson.D // nil is refused
		want    Identity
		marker  Marker
	}{
		{
			"a mongod", Observation{Process: "x"}, []bson.D{found(), hello},
			Identity{Address: "h:1", Process: standalone.Process}, Marker{State: MarkerAbsent},
		},
		{
			"a set of old servers", Observation{SetName: "rs0"}, []bson.D{found(marked.Document()), set, status},
			Identity{Address: "h:1", Set: "rs0", Me: "a:1", Members: []string{"a:1", "b:1"}, PID: 4711, Started: may, Server: "anna", Marker: marked.ID}, marked,
		},
		{"an embedded server", Observation{}, []bson.D{found(), status}, Identity{Address: "h:1", PID: 4711, Started: may, Server: "anna"}, Marker{State: MarkerAbsent}},
		{"one that tells nothing", Observation{}, []bson.D{nil, nil}, Identity{Address: "h:1"}, Marker{State: MarkerUnreadable, Err: "the server refuses to read it"}},
	} {
		questions := tt.seen.Check()
		var replies []bson.Raw
		for _, r := range tt.replies {
			if r == nil {
				replies = append(replies, nil)
				continue
			}
			replies = append(replies, rawOf(t, r))
		}
		id, m, err := Answer("h:1", questions, replies)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, id); diff != "" {
			t.Errorf("%s: the identity differs:\n%s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.marker, m); diff != "" {
			t.Errorf("%s: the marker differs:\n%s", tt.name, diff)
		}
	}
}
