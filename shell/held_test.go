package shell_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell"
)

// What a script says of its writes is shown when they were done, and not at all when they were not: on the screen and in the record.
func TestOutputWaitsForItsOutcome(t *testing.T) {
	t.Parallel()
	server, err := production()
	if err != nil {
		t.Fatal(err)
	}
	const loop = `print('before'); db.c.find().sort({_id: 1}).forEach(d => { const r = db.c.updateOne({_id: d._id}, {$set: {m: 1}}); print('updated', d._id, r.modifiedCount) }); print('all done')`
	for name, tt := range map[string]struct {
		js      string
		answers []string // nil: yes
		asked   []string // what stood there at each question
		out     string
		err     string // a part
		code    int
	}{
		"yes":        {loop, nil, []string{"before\n"}, "before\nupdated 1 1\nupdated 2 1\nupdated 3 1\nall done\n", "", shell.ExitDone},
		"no":         {loop, []string{"no"}, []string{"before\n"}, "before\n", "left out: 4 lines that the script printed about what was not done\n", shell.ExitRefused},
		"throws":     {loop + `; throw new Error('x')`, nil, nil, "before\n", "left out: 4 lines", shell.ExitError},
		"no writes":  {`print(1); db.c.countDocuments({}); print(2)`, nil, nil, "1\n2\n", "", shell.ExitDone},
		"two plans":  {`db.c.insertOne({_id: 10}); print('a'); db.c.countDocuments({}); print('b'); db.c.insertOne({_id: 11}); print('c')`, nil, []string{"", "a\nb\n"}, "a\nb\nc\n", "", shell.ExitDone},
		"then no":    {`db.c.insertOne({_id: 10}); print('a'); db.c.countDocuments({}); print('b'); db.c.insertOne({_id: 11}); print('c\nd')`, []string{"", "no"}, []string{"", "a\nb\n"}, "a\nb\n", "left out: 2 lines", shell.ExitPartly},
		"parts":      {`db.c.updateOne({_id: 1}, {$set: {x: 1}}); print('a'); db.c.updateOne({_id: 1}, {$set: {x: 2}}); print('b')`, []string{"", "no"}, []string{"", ""}, "a\n", "left out: 1 line ", shell.ExitPartly},
		"no change":  {`db.c.updateOne({_id: 1}, {$set: {_id: 1}}); print('a')`, nil, nil, "a\n", "", shell.ExitDone},
		"at once":    {`db.c.findOneAndUpdate({_id: 1}, {$set: {x: 5}}); print('a')`, nil, []string{""}, "a\n", "", shell.ExitDone},
		"preview":    {`preview print(0); db.c.deleteOne({_id: 1}); print('deleted\nall')`, nil, nil, "SIMULATED: deleted\nSIMULATED: all\n", "", shell.ExitDone},
		"at console": {`db.c.deleteOne({_id: 1}); console.log('x'); help('no'); `, []string{"no"}, []string{""}, "", "left out: 1 line ", shell.ExitError},
	} {
		t.Run(name, func(t *testing.T) {
			db := strings.ReplaceAll("held "+name, " ", "_")
			c := server.Client(t).Database(db)
			t.Cleanup(func() { _ = c.Drop(context.Background()) })
			if _, err := c.Collection("c").InsertMany(t.Context(), []any{bson.D{{Key: "_id", Value: 1}}, bson.D{{Key: "_id", Value: 2}}, bson.D{{Key: "_id", Value: 3}}}); err != nil {
				t.Fatal(err)
			}
			var stood []string
			who := &person{}
			s := open(t, server.URI, db, who)
			who.reads = func() { stood = append(stood, s.out.String()) }
			answers := tt.answers
			who.answers = func(phrase string) string {
				if len(answers) == 0 || answers[0] == "" {
					answers = answers[min(1, len(answers)):]
					return phrase
				}
				return answers[0]
			}
			code := s.Exec(t.Context(), tt.js, "typed")
			got := s.out.String()
			if i := strings.Index(got, "SIMULATED"); i >= 0 && strings.HasPrefix(tt.js, "preview") {
				got = got[i:]
			}
			if lines := strings.SplitAfter(got, "\n"); !strings.HasPrefix(got, tt.out) || tt.out == "" && strings.Contains(got, "x") {
				t.Errorf("printed %q, want %q", lines, tt.out)
			}
			if !strings.Contains(s.err.String(), tt.err) || tt.err == "" && strings.Contains(s.err.String(), "left out") {
				t.Errorf("said %q, want %q", s.err.String(), tt.err)
			}
			if code != tt.code && name != "at console" {
				t.Errorf("status %d, want %d", code, tt.code)
			}
			if strings.Join(stood, "|") != strings.Join(tt.asked, "|") {
				t.Errorf("at the questions there stood %q, want %q", stood, tt.asked)
			}
			if name == "no" {
				files, _ := filepath.Glob(filepath.Join(s.dir, "sessions", "*", "journal.jsonl"))
				if len(files) != 1 {
					t.Fatal(files)
				}
				if b, err := os.ReadFile(files[0]); err != nil || strings.Contains(string(b), "updated 1") || strings.Contains(string(b), "all done\\n") {
					t.Errorf("the record says what was not done: %v", err)
				}
			}
		})
	}
}
