package wire

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/internal/wiretest"
)

// TestTheSetThatIsNamed: a connection string that names a replica set means no other server.
func TestTheSetThatIsNamed(t *testing.T) {
	t.Parallel()
	answer := func(string, bson.Raw) bson.D { return bson.D{{Key: "ok", Value: 1}} }
	alone, member := wiretest.NewFake(t, nil, answer), wiretest.NewFake(t, bson.D{{Key: "setName", Value: "rs0"}, {Key: "me", Value: "h:1"}}, answer)
	for _, c := range []struct {
		uri, refused string
	}{
		{alone.URI() + "?replicaSet=rs0", "is a member of none"},
		{member.URI() + "?replicaSet=rs1", `is a member of "rs0"`},
		{member.URI() + "?replicaSet=rs1&directConnection=true", `is a member of "rs0"`},
		{member.URI() + "?replicaSet=rs0", ""},
		{member.URI(), ""},
		{alone.URI(), ""},
	} {
		s, err := Dial(t.Context(), Config{URI: c.uri})
		if err == nil {
			t.Cleanup(func() { _ = s.Close(context.Background()) })
		}
		if (err == nil) != (c.refused == "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v, want %q", c.uri, err, c.refused)
		}
	}
}
