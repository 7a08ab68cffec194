package wire

import (
	"context"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/internal/wiretest"
)

// TestElsewhere: after a fail-over the new primary is found among the members, and what is sent to it carries the session of what was sent to the old one: it
// is by that session that the set knows a command that it has carried out already.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	back := wiretest.NewFake(t, nil, func(string, bson.Raw) bson.D { return bson.D{{Key: "ok", Value: 1}} })
	set := wiretest.NewReplicaSet(t, wiretest.SetConfig{Backend: back.Address(), Members: 3})
	var hosts []string
	for _, m := range set.Members() {
		hosts = append(hosts, m.Address())
	}
	s, err := Dial(t.Context(), Config{URI: "mongodb://" + strings.Join(hosts, ",") + "/?replicaSet=rs0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	ping := marshal(t, bson.D{{Key: "ping", Value: int32(1)}})
	if _, err := s.Run(t.Context(), "db", ping, Options{}); err != nil {
		t.Fatal(err)
	}
	old := s.Address()
	set.StepDown(wiretest.StepDown{})
	set.Elect(set.Members()[2])
	next, err := s.Elsewhere(t.Context(), hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = next.Close(context.Background()) })
	if next.Address() == old || next.Address() != set.Primary().Address() {
		t.Fatalf("went from %s to %s, and %s is primary", old, next.Address(), set.Primary().Address())
	}
	if _, err := next.Run(t.Context(), "db", ping, Options{}); err != nil {
		t.Fatal(err)
	}
	lsids := map[string]bool{}
	to := map[string]bool{}
	for _, m := range set.Members() {
		for _, c := range m.Commands() {
			if c.Name == "ping" {
				lsids[c.Doc.Lookup("lsid").String()], to[c.To] = true, true
			}
		}
	}
	if len(lsids) != 1 || len(to) != 2 {
		t.Errorf("the pings went to %v with the sessions %v", to, lsids)
	}

	// Who asked for this one server alone is led to no other.
	alone, err := Dial(t.Context(), Config{URI: "mongodb://" + next.Address() + "/?directConnection=true"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = alone.Close(context.Background()) })
	if _, err := alone.Elsewhere(t.Context(), hosts); err == nil {
		t.Error("a direct connection went elsewhere")
	}
}
