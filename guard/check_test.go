package guard_test

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/environment"
)

// check asks the small questions that go before a write, on a connection beside.
func (b *bench) check() (environment.Identity, environment.Marker) {
	b.t.Helper()
	questions := b.d.Observation().Check()
	replies := make([]bson.Raw, len(questions))
	for i, q := range questions {
		var err error
		if replies[i], err = b.d.Read(b.t.Context(), q.DB, q.Command); err != nil {
			b.t.Fatal(err)
		}
	}
	id, m, err := environment.Answer(b.d.Observation().Address, questions, replies)
	if err != nil {
		b.t.Fatal(err)
	}
	return id, m
}

// The small questions are enough to know a server again, and to tell it from another one that stands where it stood.
func TestTheCheckKnowsAServerAgain(t *testing.T) {
	t.Parallel()
	for kind, questions := range map[string]int{"proxy": 2, "set": 2} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := production(t, kind).bench(t)
			was := b.d.Observation()
			if got := len(was.Check()); got != questions {
				t.Errorf("%d questions, want %d", got, questions)
			}
			is, m := b.check()
			if s, why := environment.Continued(was.Who(), is); s != environment.Same {
				t.Errorf("%v: %s; was %+v, is %+v", s, why, was.Who(), is)
			}
			if !m.Is(was.Marker) {
				t.Errorf("the marker is %+v, was %+v", m, was.Marker)
			}
			other := production(t, "plain").bench(t).d.Observation().Who()
			switch kind {
			case "set":
				if s, _ := environment.Continued(is, other); s == environment.Same {
					t.Errorf("a standalone is taken for a set: %+v, %+v", is, other)
				}
			case "proxy":
				second, err := start("production")
				if err != nil {
					t.Fatal(err)
				}
				b.double.SetBackend(second.Address)
				b.double.CloseConnections()
				other := (&server{uri: b.double.URI(), db: "x"}).bench(t)
				is, _ := other.check()
				for name, id := range map[string]environment.Identity{"observed": other.d.Observation().Who(), "checked": is} {
					if s, why := environment.Continued(was.Who(), id); s == environment.Same {
						t.Errorf("%s: another server behind the same address is the same: %s", name, why)
					}
					if s, why := environment.Compare(was.Who(), id); s == environment.Same {
						t.Errorf("%s: another server behind the same address is the same afterwards: %s", name, why)
					}
				}
			}
		})
	}
}

// BenchmarkCheck is what the questions cost beside one insert of one document that is not guarded.
func BenchmarkCheck(b *testing.B) {
	s, err := start("development")
	if err != nil {
		b.Fatal(err)
	}
	bench := (&server{uri: s.URI, db: "check"}).bench(b)
	questions := bench.d.Observation().Check()
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			for _, q := range questions {
				if _, err := bench.d.Read(b.Context(), q.DB, q.Command); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for _, q := range append(questions, environment.Observation{Process: "x"}.Check()[1]) {
		e, err := q.Command.IndexErr(0)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(e.Key(), func(b *testing.B) {
			for b.Loop() {
				if _, err := bench.d.Read(b.Context(), q.DB, q.Command); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("insert", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := bench.run(`{"insert": "c", "documents": [{"a": 1}]}`); err != nil {
				b.Fatal(err)
			}
		}
	})
}
