package guard_test

import (
	"errors"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
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

// TestARaisedDatabaseBehindANewConnection: the marker of a database is looked at again also where the connection was replaced meanwhile. While the question stands, the database is marked as production, and the
// connection is lost: what is confirmed was judged as staging.
func TestARaisedDatabaseBehindANewConnection(t *testing.T) {
	t.Parallel()
	s, m, raise := raisedServer(t, environment.Staging)
	b := s.bench(t)
	b.op.answer = func(q guard.Question) guard.Answer {
		raise("app")
		was := m.Connections()
		m.CloseConnections()
		for until := time.Now().Add(10 * time.Second); m.Connections() == was && time.Now().Before(until); { // the driver notices, and will dial again
			time.Sleep(time.Millisecond)
		}
		return typed(q)
	}
	m.Forget()
	_, _, err := b.run(`{"drop": "c"}`)
	var refused *guard.Refused
	if !errors.As(err, &refused) {
		t.Errorf("%v, want a refusal", err)
	}
	if w := wiretest.Writes(m.Commands()); len(w) > 0 {
		t.Errorf("%s arrived in a database that was marked as production while the question stood, which was about %s", w[0].Name, b.op.asked[0].Environment)
	}
}

// TestARaisedDatabaseBehindANewConnectionNotAsked: the same in a change that is saved and not asked about, between two batches.
func TestARaisedDatabaseBehindANewConnectionNotAsked(t *testing.T) {
	t.Parallel()
	s, m, raise := raisedServer(t, environment.Staging)
	for i := range int32(300) {
		m.Put("app.c", encoded(t, bson.D{{Key: "_id", Value: i}, {Key: "v", Value: int32(1)}}))
	}
	b := s.bench(t)
	n, late := 0, 0
	m.OnCommand(func(c wiretest.Command) wiretest.Fault {
		if c.Name != "update" {
			return nil
		}
		if n++; n == 1 {
			raise("app")
			return wiretest.LoseReply
		}
		late++
		return nil
	})
	_, _, err := b.run(`{"update": "c", "updates": [{"q": {}, "u": {"$set": {"v": 2}}, "multi": true}]}`)
	if n == 0 {
		t.Fatalf("nothing was sent: %v", err)
	}
	if late > 0 {
		t.Errorf("%d batches arrived behind the marker, asked %d times (%v)", late, len(b.op.asked), err)
	}
}
