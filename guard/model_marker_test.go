package guard_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/environment"
	"respect/guard/internal/wiretest"
)

// raisedServer is a server of an environment, and what marks one of its databases as production.
func raisedServer(t *testing.T, env environment.Environment) (s *server, m *wiretest.Memory, raise func(db string)) {
	t.Helper()
	m = wiretest.NewMemory(t, wiretest.MemoryConfig{})
	m.Put("respect.environment", encoded(t, environment.MarkerDocument(env, "any", "one", markedAt)))
	for _, ns := range []string{"app.c", "shop.c"} {
		m.Put(ns, encoded(t, bson.D{{Key: "_id", Value: int32(1)}, {Key: "v", Value: int32(1)}}))
	}
	return &server{uri: m.URI(), db: "app"}, m, func(db string) {
		m.Put(db+".respect.environment", encoded(t, environment.MarkerDocument(environment.Production, "any", "one", markedAt)))
	}
}

// TestARaisedDatabaseBehindAnother: what was asked about one database says nothing of another. A statement writes to app, and then to shop, which was marked as production since the
// session looked at it.
func TestARaisedDatabaseBehindAnother(t *testing.T) {
	t.Parallel()
	s, m, raise := raisedServer(t, environment.Development)
	b := s.bench(t)
	if _, _, err := b.run(`shop: {"insert": "c", "documents": [{"_id": 2}]}`); err != nil {
		t.Fatal(err)
	}
	raise("shop")
	m.Forget()
	_, _, err := b.run(`app: {"insert": "c", "documents": [{"_id": 3}]}`, `shop: {"insert": "c", "documents": [{"_id": 3}]}`)
	for _, c := range wiretest.Writes(m.Commands()) {
		if c.DB == "shop" {
			t.Errorf("%s arrived in a database that was marked as production, asked %d times (%v)", c.Name, len(b.op.asked), err)
		}
	}
}
