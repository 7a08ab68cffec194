package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/plan"
	"respect/replay"
)

// TestUndoOfFields: others changed other fields of documents since. The undo says what they did and leaves the documents alone; asked for fields it sets back what the
// change did, and nothing else, as a plan like any other, which can itself be taken back.
func TestUndoOfFields(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		s.setup(t, "people", `{"_id": 1, "name": "Ann", "plan": "trial", "note": "n"}`, `{"_id": 2, "name": "Bob", "plan": "trial"}`, `{"_id": 3, "name": "Cy", "plan": "trial", "at": {"x": 1, "y": 1}}`)
		b := s.bench(t)
		if _, _, err := b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"plan": "free", "at.x": 2}, "$unset": {"note": 1}}, "multi": true}]}`); err != nil {
			t.Fatal(err)
		}
		change := b.last()
		s.command(t, `{"update": "people", "updates": [{"q": {"_id": 1}, "u": {"$set": {"name": "Anna", "phone": "1"}}}, {"q": {"_id": 2}, "u": {"$set": {"plan": "gold"}}}, {"q": {"_id": 3}, "u": {"$set": {"at.y": 7}}}]}`)
		after := s.state(t)

		p := b.undoing(guard.UndoOptions{})
		if !has(p, plan.Conflicts, `name: 'Ann' → 'Anna', phone: new '1'`) || !has(p, plan.Conflicts, "in 2 the fields of the change alone can be set back: undo "+change.ID+" fields") || p.FieldsPossible() != 2 {
			t.Errorf("it is said %v", p.Facts())
		}
		var refused *guard.Refused
		if _, err := b.undo(change); !errors.As(err, &refused) || !strings.Contains(strings.Join(refused.Hints, ""), "undo "+change.ID+" fields") {
			t.Fatalf("undo: %v", err)
		}
		if diff := cmp.Diff(after, s.state(t)); diff != "" {
			t.Fatalf("it was changed: %s", diff)
		}

		// The question is answered with fields, if something else could be put back too; here it is asked for at once.
		st, err := b.gate.Begin(guard.Input{Text: "undo fields", Manner: "undo"})
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Undo(t.Context(), b.d, change, guard.UndoOptions{Fields: true}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`{"_id": 1, "name": "Anna", "plan": "trial", "note": "n", "phone": "1"}`, `{"_id": 2, "name": "Bob", "plan": "gold", "at": {"x": 2}}`,
			`{"_id": 3, "name": "Cy", "plan": "trial", "at": {"x": 1, "y": 7}}`,
		}
		for _, w := range want {
			doc, err := s.other.Database(s.db).Collection("people").FindOne(t.Context(), bson.D{{Key: "_id", Value: raw(t, w).Lookup("_id")}}).Raw()
			if err != nil || doc.String() != raw(t, w).String() {
				t.Errorf("it is %s, %v, want %s", doc, err, w)
			}
		}
		undo := b.last()
		if undo.Status != replay.StatusPartly && undo.Status != replay.StatusApplied || undo.Intent.Undoes != change.ID {
			t.Errorf("%+v", undo)
		}

		// And back again.
		if _, err := b.undo(undo); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(after, s.state(t)); diff != "" {
			t.Errorf("taken back (-want +got): %s", diff)
		}
	})
}

// TestFieldsIsAnAnswer: at the question of an undo that leaves documents alone, fields asks for the other plan, which is shown and asked about with a phrase of its own.
// What is changed by others meanwhile is left alone then, as ever.
func TestFieldsIsAnAnswer(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		for n, late := range []bool{false, true} {
			coll := fmt.Sprintf("people%d", n)
			s.setup(t, coll, `{"_id": 1, "name": "Ann", "plan": "trial"}`, `{"_id": 2, "name": "Bob", "plan": "trial"}`)
			b := s.bench(t)
			if _, _, err := b.run(`{"update": "` + coll + `", "updates": [{"q": {}, "u": {"$set": {"plan": "free"}}, "multi": true}]}`); err != nil {
				t.Fatal(err)
			}
			change := b.last()
			s.command(t, `{"update": "`+coll+`", "updates": [{"q": {"_id": 1}, "u": {"$set": {"name": "Anna"}}}]}`)
			b.op.asked = nil
			b.op.answer = func(q guard.Question) guard.Answer {
				if !q.Plan.Header().Fields {
					return guard.Answer{Text: " fields ", Manner: guard.Typed}
				}
				if late {
					s.command(t, `{"update": "`+coll+`", "updates": [{"q": {"_id": 1}, "u": {"$set": {"name": "Annika"}}}]}`)
				}
				return typed(q)
			}
			_, err := b.undo(change)
			var stopped *guard.Stopped
			if err != nil && !errors.As(err, &stopped) {
				t.Fatal(err)
			}
			want := []string{`{"_id": 1, "name": "Anna", "plan": "trial"}`, `{"_id": 2, "name": "Bob", "plan": "trial"}`}
			if late {
				want[0] = `{"_id": 1, "name": "Annika", "plan": "free"}`
			}
			for _, w := range want {
				doc, err := s.other.Database(s.db).Collection(coll).FindOne(t.Context(), bson.D{{Key: "_id", Value: raw(t, w).Lookup("_id")}}).Raw()
				if err != nil || doc.String() != raw(t, w).String() {
					t.Errorf("late %v: it is %s, %v, want %s", late, doc, err, w)
				}
			}
			if len(b.op.asked) != 2 || b.op.asked[0].Phrase == b.op.asked[1].Phrase {
				t.Errorf("%d questions", len(b.op.asked))
			}
			if late {
				continue
			}
			if c := b.changes(); c[0].Status != replay.StatusUndone {
				t.Errorf("the change is %s", c[0].Status)
			}
		}
	})
}

// TestFieldsWhereThereIsNothingToChoose: it is an answer like any other then, and declines.
func TestFieldsWhereThereIsNothingToChoose(t *testing.T) {
	t.Parallel()
	s := production(t, "double")
	s.setup(t, "people", `{"_id": 1, "plan": "trial"}`)
	b := s.bench(t)
	b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Text: "fields", Manner: guard.Typed} }
	var refused *guard.Refused
	if _, _, err := b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"plan": "free"}}, "multi": true}]}`); !errors.As(err, &refused) {
		t.Error(err)
	}
	b.op.answer = nil
	if _, _, err := b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"plan": "free"}}, "multi": true}]}`); err != nil {
		t.Fatal(err)
	}
	b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Text: "fields", Manner: guard.Typed} }
	if _, err := b.undo(b.last()); !errors.As(err, &refused) {
		t.Error(err)
	}
}
