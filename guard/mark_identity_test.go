package guard_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/embedded/embeddedtest"
	"respect/guard/environment"
	"respect/guard/internal/wiretest"
)

// mark marks the bench's deployment.
func (b *bench) mark(env environment.Environment) error {
	b.t.Helper()
	st, err := b.gate.Begin(guard.Input{Text: "mark " + env.String(), Manner: "mark"})
	if err != nil {
		b.t.Fatal(err)
	}
	return st.Mark(b.t.Context(), b.d, env)
}

// markerDocument is the marker that is there.
func (s *server) markerDocument(t *testing.T) bson.Raw {
	t.Helper()
	raw, err := s.other.Database("respect").Collection("environment").FindOne(t.Context(), bson.D{}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// emptied is an unmarked server without data.
func emptied(t *testing.T) *server {
	t.Helper()
	s := unmarked(t)
	if err := s.other.Database("famigo").Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Data is data, whatever its database is called: a server that holds some is not marked without a question.
func TestDataIsLookedForEverywhere(t *testing.T) {
	t.Parallel()
	s := emptied(t)
	for _, db := range []string{"admin", "config", "local", "respect"} {
		coll := s.other.Database(db).Collection("things")
		if _, err := coll.InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
			t.Fatal(err)
		}
		b := s.bench(t)
		b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Manner: guard.Aborted} }
		var refused *guard.Refused
		if err := b.mark(environment.Development); !errors.As(err, &refused) || len(b.op.asked) != 1 {
			t.Errorf("with data in %s: %v, asked %d times", db, err, len(b.op.asked))
		}
		if err := coll.Drop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b := s.bench(t)
	if err := b.mark(environment.Development); err != nil || len(b.op.asked) != 0 {
		t.Errorf("without data: %v, asked %d times", err, len(b.op.asked))
	}
	if env := s.bench(t).d.Environment(); env != environment.Development {
		t.Errorf("the next session finds %s", env)
	}
}

// What a marker would replace is what its plan has read, not what was there when the session began.
func TestAMarkerThatIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		foreign string // what somebody else writes between classification and planning
		env     environment.Environment
		refused string // "" if it is written
		asked   int
	}{
		{"production, while development is to be written", "production", environment.Development, "lowering a marker of production needs a second person", 0},
		{"nonsense, while staging is to be written", "harmless", environment.Staging, "lowering a marker", 0},
		{"development, while production is to be written", "development", environment.Production, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := emptied(t)
			b := s.bench(t)
			once := false
			s.before(func(c wiretest.Command) { // the deployment is classified, and its marker is read again for the plan
				if once || c.DB != "respect" {
					return
				}
				once = true
				doc := environment.Marker{Value: tt.foreign, Deployment: "any", By: "another", At: time.Now()}.Document()
				if _, err := s.other.Database("respect").Collection("environment").InsertOne(t.Context(), doc); err != nil {
					t.Error(err)
				}
			})
			err := b.mark(tt.env)
			var refused *guard.Refused
			switch {
			case !once:
				t.Error("nothing was read")
			case tt.refused == "" && err != nil, tt.refused != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Text, tt.refused)):
				t.Errorf("%v, want %q", err, tt.refused)
			}
			want := tt.foreign
			if tt.refused == "" {
				want = tt.env.String()
			}
			if got := environment.ParseMarker(s.markerDocument(t)).Value; got != want {
				t.Errorf("the marker says %s, want %s", got, want)
			}
		})
	}
}

// A marker knows for which server it was written: it is known again through a tunnel and after a restart, and means nothing on another server of this machine.
func TestAMarkerOnAnotherServer(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"demo", "mark"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			run := func() *embeddedtest.Server {
				t.Helper()
				a, err := embeddedtest.Run(embeddedtest.Binary(t), dir, "staging")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(a.Stop)
				return a
			}
			first := run()
			a := &server{uri: first.URI, db: "staging"}
			a.client(t)
			if by == "mark" {
				if err := a.other.Database("respect").Drop(t.Context()); err != nil {
					t.Fatal(err)
				}
				a.double = wiretest.NewDouble(t, first.Address, false)
				a.uri = a.double.URI()
				b := a.bench(t)
				if err := b.mark(environment.Staging); err != nil {
					t.Fatal(err)
				}
				if got := a.bench(t).d.Environment(); got != environment.Staging {
					t.Errorf("where it was marked: %v", got)
				}
			}
			marker := a.markerDocument(t)
			if m := environment.ParseMarker(marker); m.ID == "" || m.For.Home == "" {
				t.Errorf("the marker does not say where it is: %v", marker)
			}

			// Another one of this machine, with a copy of the marker.
			second := embeddedtest.Start(t, "production")
			other := &server{uri: second.URI, db: "x"}
			other.client(t)
			coll := other.other.Database("respect").Collection("environment")
			if _, err := coll.DeleteMany(t.Context(), bson.D{}); err != nil {
				t.Fatal(err)
			}
			if _, err := coll.InsertOne(t.Context(), marker); err != nil {
				t.Fatal(err)
			}
			for _, uri := range []string{second.URI, wiretest.NewDouble(t, second.Address, false).URI()} {
				d := (&server{uri: uri, db: "x"}).bench(t).d
				if got := d.Environment(); got != environment.Unknown {
					t.Errorf("%s: a copied marker makes it %v: %+v", uri, got, d.Evidence())
				}
			}

			// The first one through a tunnel, and again when it was started anew, on another port.
			through := func(s *embeddedtest.Server) {
				t.Helper()
				for _, uri := range []string{s.URI, wiretest.NewDouble(t, s.Address, false).URI()} {
					d := (&server{uri: uri, db: "x"}).bench(t).d
					if got := d.Environment(); got != environment.Staging {
						t.Errorf("%s: %v: %+v", uri, got, d.Evidence())
					}
				}
			}
			through(first)
			first.Stop()
			through(run())
		})
	}
}

// Two standalone servers of one machine have its name in common. A change of one is not taken back on the other, not even where that one stands at its address now.
func TestUndoOnAnotherServerOfTheMachine(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"another address", "the same address", "the same address, the marker copied"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			first, second := embeddedtest.Start(t, "production"), embeddedtest.Start(t, "production")
			a := &server{uri: first.URI, db: "famigo", double: wiretest.NewDouble(t, first.Address, false)}
			a.client(t)
			a.uri = a.double.URI()
			b := a.bench(t)
			if _, _, err := b.run(`{"delete": "devices", "deletes": [{"q": {}, "limit": 1}]}`); err != nil {
				t.Fatal(err)
			}
			change := b.last()

			other := &server{uri: second.URI, db: "famigo"}
			other.client(t)
			if strings.Contains(way, "copied") {
				coll := other.other.Database("respect").Collection("environment")
				if _, err := coll.DeleteMany(t.Context(), bson.D{}); err != nil {
					t.Fatal(err)
				}
				if _, err := coll.InsertOne(t.Context(), a.markerDocument(t)); err != nil {
					t.Fatal(err)
				}
			}
			before := other.state(t)
			b.close()
			if way == "another address" {
				b.uri = second.URI
			} else {
				a.double.SetBackend(second.Address)
				a.double.CloseConnections()
			}
			b.again()
			var refused *guard.Refused
			if _, err := b.undo(change); !errors.As(err, &refused) || !strings.Contains(refused.Text, "change "+change.ID+" was made on ") || len(b.op.asked) != 1 {
				t.Errorf("undo on the other one: %v, asked %d times", err, len(b.op.asked))
			}
			if diff := cmp.Diff(before, other.state(t)); diff != "" {
				t.Errorf("the other one was changed: %s", diff)
			}
			b.close()
			a.double.SetBackend(first.Address)
			a.double.CloseConnections()
			b.uri = a.double.URI()
			b.again()
			if _, err := b.undo(change); err != nil {
				t.Errorf("undo where it was made: %v", err)
			}
		})
	}
}
