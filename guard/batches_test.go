package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/internal/wiretest"
)

// TestP2EachBatchIsLookedAtAgain: a loop's deletes share batches, and each document is read once more in front of the batch in which it is written.
func TestP2EachBatchIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	eachRoad(t, func(t *testing.T, s *server) {
		var docs, cmds []string
		for i := range 120 {
			id := fmt.Sprint(i)
			if i%2 == 0 {
				id = fmt.Sprintf(`"s%d"`, i)
			}
			docs = append(docs, fmt.Sprintf(`{"_id": %s, "n": 1}`, id))
			cmds = append(cmds, fmt.Sprintf(`{"delete": "many", "deletes": [{"q": {"_id": %s}, "limit": 1}]}`, id))
		}
		s.setup(t, "many", docs...)
		before := s.state(t)
		b := s.bench(t)
		b.op.answer = func(q guard.Question) guard.Answer {
			s.forget() // what was read for the plan
			return typed(q)
		}
		if _, _, err := b.run(cmds...); err != nil {
			t.Fatal(err)
		}
		read, written, batches, writing := map[string]bool{}, 0, 0, true
		for _, c := range s.commands() {
			if c.Name == "find" && c.DB == s.db {
				if writing {
					batches++
				}
				writing = false
				for _, id := range named(c.Doc.Lookup("filter")) {
					read[id] = true
				}
			}
			for _, q := range deletes(c) {
				writing = true
				for _, id := range named(q) {
					if !read[id] {
						t.Errorf("%s was deleted, and not looked at in front of its batch", id)
					}
					delete(read, id)
					written++
				}
			}
		}
		if written != 120 || batches > 80 { // the first has fifty; the pacer decides of the rest
			t.Errorf("%d documents in %d batches", written, batches)
		}
		if _, err := b.undo(b.last()); err != nil {
			t.Fatal(err)
		}
		same(t, "after undo", before, s.state(t))
	})
}

// deletes are the filters of what a command deletes.
func deletes(c wiretest.Command) (filters []bson.RawValue) {
	if c.Name == "findAndModify" {
		return []bson.RawValue{c.Doc.Lookup("query")}
	}
	list, _ := c.Doc.Lookup("deletes").ArrayOK()
	values, _ := list.Values() // none
	for _, v := range values {
		filters = append(filters, v.Document().Lookup("q"))
	}
	return filters
}

// named are the values of _id that a filter names.
func named(filter bson.RawValue) (ids []string) {
	v := filter.Document().Lookup("_id")
	doc, ok := v.DocumentOK()
	if !ok {
		return []string{v.String()}
	}
	values, _ := doc.Lookup("$in").Array().Values() // none
	for _, v := range values {
		ids = append(ids, v.String())
	}
	return ids
}

// TestConfirmedBeforeEachWrite: right before each write the server is asked who it is, and what its marker says; a server inside this process once a batch.
func TestConfirmedBeforeEachWrite(t *testing.T) {
	t.Parallel()
	for name, inside := range map[string]bool{"another process's": false, "inside": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := production(t, "proxy")
			for i := range 70 {
				s.setup(t, "many", fmt.Sprintf(`{"_id": "s%d", "n": 1}`, i))
			}
			b := s.bench(t)
			b.close()
			b.inside = inside
			if err := b.open(); err != nil {
				t.Fatal(err)
			}
			b.op.answer = func(q guard.Question) guard.Answer {
				s.forget()
				return typed(q)
			}
			if _, _, err := b.run(`{"delete": "many", "deletes": [{"q": {}, "limit": 0}]}`); err != nil {
				t.Fatal(err)
			}
			written, batch, asked := 0, 0, false
			for _, c := range s.commands() {
				switch {
				case c.Name == "find" && c.DB == "respect":
					asked = true
				case c.Name == "find" && c.DB == s.db:
					batch, asked = batch+1, false
				case len(wiretest.Writes([]wiretest.Command{c})) > 0:
					if !asked {
						t.Fatalf("write %d, in batch %d, and the server was not asked", written, batch)
					}
					written++
					asked = inside
				}
			}
			if written != 70 || batch < 2 {
				t.Errorf("%d writes in %d batches", written, batch)
			}
		})
	}
}

// TestP2InTheLastMomentByLookUp is TestP2InterferenceInTheLastMoment with an _id by which the embedded server looks a document up, so that it is its door that
// compares the rest of the filter.
func TestP2InTheLastMomentByLookUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ do, want string }{
		"the field changed":         {`{"$set": {"age": 99}}`, `"age":99`},
		"the field gone":            {`{"$unset": {"age": 1}}`, `{"_id":"a","name":"Ann"}`},
		"the field in an array":     {`{"$set": {"age": [30]}}`, `"age":[30]`},
		"the field of another type": {`{"$set": {"age": {"$numberLong": "30"}}}`, `"age":30`},
		"another field changed":     {`{"$set": {"name": "Other"}}`, `"name":"Other","age":1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := production(t, "proxy")
			s.setup(t, "people", `{"_id": "a", "name": "Ann", "age": 30}`, `{"_id": "b", "name": "Bob", "age": 40}`)
			b := s.bench(t)
			came := false
			s.before(func(cmd wiretest.Command) {
				if !came && len(wiretest.Writes([]wiretest.Command{cmd})) > 0 {
					came = true
					s.command(t, `{"update": "people", "updates": [{"q": {"_id": "a"}, "u": `+c.do+`}]}`)
				}
			})
			_, _, _ = b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 1}}, "multi": true}]}`) // whether it is an error depends on what was changed
			if !came {
				t.Fatal("the other never came")
			}
			for id, want := range map[string]string{"a": c.want, "b": `{"_id":"b","name":"Bob","age":1}`} {
				doc, err := s.other.Database(s.db).Collection("people").FindOne(t.Context(), bson.D{{Key: "_id", Value: id}}).Raw()
				if got := text(doc); err != nil || !strings.Contains(got, want) {
					t.Errorf("%s (%v), want %s", got, err, want)
				}
			}
		})
	}
}
