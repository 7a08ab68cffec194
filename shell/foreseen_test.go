package shell_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell"
)

// An error that is foreseen is the script's: it is thrown at its call, and who catches it goes on. What a command does besides is planned, shown and done; what would fail is
// named, and never sent.
func TestForeseenErrors(t *testing.T) {
	t.Parallel()
	server, err := production()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		js    string
		asked int
		fact  string // that the preview has
		ids   string // there afterwards
		out   string
		err   string
		code  int
	}{
		"unordered":            {`db.q.insertMany([{_id: 1}, {_id: 50}, {_id: 51}], {ordered: false})`, 1, "dup key: { _id: 1 }", "1 2 50 51", "", "MongoBulkWriteError[DuplicateKey]: E11000 duplicate key error collection: NS.q index: _id_ dup key: { _id: 1 }", shell.ExitPartly},
		"bulk":                 {`db.q.bulkWrite([{insertOne: {document: {_id: 60}}}, {insertOne: {document: {_id: 1}}}, {insertOne: {document: {_id: 61}}}], {ordered: false})`, 1, "dup key: { _id: 1 }", "1 2 60 61", "", "MongoBulkWriteError", shell.ExitPartly},
		"unordered, then more": {`db.q.insertMany([{_id: 7}, {_id: 1}, {_id: 8}], {ordered: false}); print('not reached'); db.q.insertOne({_id: 9})`, 1, "dup key: { _id: 1 }", "1 2 7 8", "", "left out: 1 line", shell.ExitPartly},
		"ordered":              {`db.q.insertMany([{_id: 7}, {_id: 1}, {_id: 8}])`, 0, "", "1 2", "", "foreseen by the preview; nothing was sent", shell.ExitError},
		"ordered, caught":      {`try { db.q.insertMany([{_id: 7}, {_id: 1}, {_id: 8}]) } catch (e) { print(e.name, e.insertedCount, e.writeErrors[0].index) }; db.q.insertOne({_id: 9}); 0`, 1, "dup key: { _id: 1 }", "1 2 7 9", "MongoBulkWriteError 1 1\n0\n", "", shell.ExitDone},
		"ordered, first":       {`db.q.insertMany([{_id: 1}, {_id: 8}])`, 0, "", "1 2", "", "foreseen by the preview; nothing was sent", shell.ExitError},
		"one, uncaught":        {`db.q.insertOne({_id: 5}); db.q.insertOne({_id: 1}); db.q.insertOne({_id: 6})`, 0, "", "1 2", "", "foreseen by the preview; nothing was sent", shell.ExitError},
		"among themselves":     {`db.q.insertMany([{_id: 9}, {_id: 9}, {_id: 10}], {ordered: false})`, 1, "dup key: { _id: 9 }", "1 2 9 10", "", "MongoBulkWriteError", shell.ExitPartly},
		"all of them":          {`db.q.insertMany([{_id: 1}, {_id: 2}], {ordered: false})`, 0, "", "1 2", "", "MongoBulkWriteError", shell.ExitError},
		"caught in a loop":     {`for (const _id of [1, 5, 2, 6]) try { db.q.insertOne({_id}); print('in', _id) } catch (e) { print(e.name, e.code, e.message.includes('_id: ' + _id)) }`, 1, "", "1 2 5 6", "MongoServerError 11000 true\nin 5\nMongoServerError 11000 true\nin 6\n", "", shell.ExitDone},
		"caught, in a bulk":    {`try { db.q.insertMany([{_id: 1}, {_id: 50}, {_id: 51}], {ordered: false}) } catch (e) { print(e.name, e.insertedCount, e.writeErrors[0].index) }; db.q.insertOne({_id: 52}); 0`, 1, "dup key: { _id: 1 }", "1 2 50 51 52", "MongoBulkWriteError 2 0\n0\n", "", shell.ExitDone},
		"thrown on":            {`db.q.insertOne({_id: 5}); try { db.q.insertOne({_id: 1}) } catch (e) { throw e }`, 0, "", "1 2", "", "Uncaught MongoServerError[DuplicateKey]", shell.ExitError},
		"another error":        {`db.q.insertOne({_id: 5}); try { db.q.updateOne({_id: 2}, {$inc: {s: 1}}) } catch (e) { print(e.code) }; db.q.insertOne({_id: 6}); 0`, 1, "", "1 2 5 6", "14\n0\n", "", shell.ExitDone},
		"runCommand":           {`db.runCommand({insert: 'q', documents: [{_id: 1}, {_id: 3}], ordered: false}).writeErrors[0].code`, 1, "dup key: { _id: 1 }", "1 2 3", "11000\n", "", shell.ExitDone},
		"a preview":            {`preview db.q.insertMany([{_id: 1}, {_id: 50}], {ordered: false})`, 0, "", "1 2", "dup key: { _id: 1 }", "MongoBulkWriteError", shell.ExitError},
	} {
		t.Run(name, func(t *testing.T) {
			db := "foreseen_" + strings.NewReplacer(" ", "_", ",", "").Replace(name)
			c := server.Client(t).Database(db)
			t.Cleanup(func() { _ = c.Drop(context.Background()) })
			if _, err := c.Collection("q").InsertMany(t.Context(), []any{bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "_id", Value: 2}, {Key: "s", Value: "text"}}}); err != nil {
				t.Fatal(err)
			}
			who := &person{}
			s := open(t, server.URI, db, who)
			if code := s.Exec(t.Context(), tt.js, "typed"); code != tt.code {
				t.Errorf("status %d, want %d", code, tt.code)
			}
			if who.asked != tt.asked {
				t.Errorf("asked %d times, want %d", who.asked, tt.asked)
			}
			if tt.fact != "" && !slices.ContainsFunc(who.facts, func(f string) bool { return strings.Contains(f, tt.fact) }) {
				t.Errorf("the preview says %q, want %q", who.facts, tt.fact)
			}
			if got := s.out.String(); tt.out == "" && got != "" || tt.out != "" && got != tt.out && !(strings.HasPrefix(tt.js, "preview") && strings.Contains(strings.Join(strings.Fields(got), " "), tt.out)) {
				t.Errorf("printed %q, want %q", got, tt.out)
			}
			if want := strings.ReplaceAll(tt.err, "NS", db); !strings.Contains(s.err.String(), want) || want == "" && strings.Contains(s.err.String(), "Error") {
				t.Errorf("said %q, want %q", s.err.String(), want)
			}
			cur, err := c.Collection("q").Find(t.Context(), bson.D{})
			if err != nil {
				t.Fatal(err)
			}
			var docs []bson.D
			if err := cur.All(t.Context(), &docs); err != nil {
				t.Fatal(err)
			}
			var ids []int
			for _, d := range docs {
				ids = append(ids, int(d[0].Value.(int32)))
			}
			slices.Sort(ids)
			if got := strings.Trim(fmt.Sprint(ids), "[]"); got != tt.ids {
				t.Errorf("there are %s, want %s", got, tt.ids)
			}
		})
	}
}
