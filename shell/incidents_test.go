package shell_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"respect/guard"
	"respect/guard/embedded/embeddedtest"
	"respect/guard/environment"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/durable/durabletest"
	"respect/replay/journal"
	"respect/shell"
)

// incident is a real accident, or a control.
type incident struct {
	ID    string
	Setup struct {
		DB          string
		Collections map[string][]json.RawMessage
		Indexes     map[string][]struct{ Key, Options json.RawMessage }
	}
	Statements  []string
	UserAnswers []string `json:"user_answers"`
	Interleaved []struct {
		Op, Collection      string
		Doc, Filter, Update json.RawMessage
	} `json:"interleaved_writes_before_undo"`
	Expected struct {
		MustNotChange bool     `json:"must_not_change"`
		MustMention   []string `json:"preview_must_mention"`
	}
}

// mentions are the facts that the previews of an incident say, by code: what its preview_must_mention asks for, in this program's words.
var mentions = map[string]string{
	"M01-fausak-delete-loop":         "all-documents from-loop matched",
	"M02-sghill-missing-set":         "replaces-document removes-fields type-change from-loop",
	"M06b-null-matches-missing":      "null-matches-missing matched",
	"M12b-pull-common-value":         "empty-filter array-shrinks matched",
	"M15-projection-then-save":       "replaces-document removes-fields matched",
	"M18-drop-instead-of-empty":      "drops-collection",
	"M19-mocha-erases-database":      "drops-collection",
	"M25-loop-stops-half-way":        "from-loop",
	"M26-upsert-garbage":             "empty-list creates-document",
	"M31-drop-needed-index":          "drops-index",
	"M40-quoted-objectid":            "type-mismatch no-match",
	"M46-nested-object-overwritten":  "overwrites-subdocument removes-fields matched",
	"S04-atlassian-wrong-kind-of-id": "from-loop matched",
	"S01-wrong-window":               "drops-collection",
	"F03-rename-drop-target":         "drops-collection",
	"K2-one-document-fix":            "matched",
	"K5-no-op":                       "no-match",
}

// wording is what the screen says, in this program's words, of what an incident's preview must mention. SERVER is the server's address.
var wording = map[string]string{
	"deletes 5 of 5 documents":                                   "deletes 5 of 5 in",
	"collection families":                                        ".families",
	"issued from a loop over find()":                             "operations issued by one statement",
	"issued from a loop":                                         "6 operations issued by one statement",
	"replaces the whole document":                                "replaces the whole of",
	"removes fields: name, price, supplier, images":              "removes fields from 3 documents: images, name, price, supplier",
	"3 of 3 documents":                                           "replaces 3 of 3 in",
	"tax changes type string -> number":                          "tax changes its type from string to double",
	"filter value customerId is null":                            "customerId: null",
	"null also matches documents without customerId":             "null also matches documents that have no customerId: 3 of them",
	"deletes 3 of 5 documents":                                   "deletes 3 of 5 in",
	"missing update argument (refused, nothing sent)":            "refused: updateMany: the update is missing nothing was changed",
	"filter is empty":                                            "the filter is {}: every document",
	"modifies 2 of 4 documents":                                  "updates 2 of 4 in",
	"array roles becomes empty in 1 document":                    "roles loses 2 elements in 2 documents, and becomes empty in 1 document",
	"removes fields: email, passwordHash, roles, profile":        "removes fields from 1 document: email, passwordHash, profile, roles",
	"1 of 3 documents":                                           " 1 of 3 in",
	"drops the collection products":                              ".products: 4 documents",
	"4 documents":                                                "4 documents and",
	"2 indexes besides _id are lost: sku_1 (unique), cat_1":      "2 indexes: cat_1, sku_1 (unique)",
	"drops the database muii":                                    "drops the database",
	"2 collections, 5 documents":                                 "2 collections, 5 documents",
	"real server name":                                           "PRODUCTION SERVER",
	"real server name and role (primary)":                        "PRODUCTION SERVER",
	"up to 5 deletes of 6 documents":                             "deletes 3 of 6 in", // three, then it throws
	"matches 0 documents":                                        "nothing matches",
	"inserts 1 new document (upsert)":                            "the upsert creates a document",
	"the $in list is empty":                                      "{mongoId: {$in: []}} matches nothing",
	"drops index merchant_1_created_-1":                          "drops the index merchant_1_created_-1",
	"no other index begins with merchant":                        "no other index begins with merchant",
	"matches 0 of 3 documents":                                   "0 of 3 documents",
	"_id is ObjectId in this collection, the filter has strings": "compares _id with a string, but in the documents that were looked at it is objectId",
	"removes fields: some_key.param1":                            "removes fields from 1 document: some_key.param1",
	"1 of 2 documents":                                           "updates 1 of 2 in",
	"deletes 0 of 3 documents in apps":                           ".apps: 0 of 3 documents",
	"deletes 3 of 4 documents in sites":                          ".sites: 3 of 4 documents",
	"drops the collection projects":                              ".projects: 3 documents",
	"drops the collection issues":                                ".issues: 2 documents",
	"drops the existing collection users":                        "drops the collection",
	"3 documents are lost":                                       ".users: 3 documents",
	"age: 22 -> 30":                                              "age 1×: 22 → 30",
}

// checkWording previews each statement as people see it, and looks for what must be mentioned. It returns how much that is.
func (in incident) checkWording(t *testing.T, server *embeddedtest.Server, db string) int {
	t.Helper()
	s := open(t, server.URI, db, &person{})
	for _, st := range in.Statements {
		_ = s.Plan(t.Context(), st, "argument", false, false) // what is refused or thrown says so
	}
	screen := strings.Join(strings.Fields(s.out.String()+" "+s.err.String()), " ")
	for _, must := range in.Expected.MustMention {
		want, ok := strings.ReplaceAll(wording[must], "SERVER", server.Address), wording[must] != ""
		if !ok || !strings.Contains(screen, want) {
			t.Errorf("%q is not mentioned, as %q; the preview says\n%s%s", must, want, &s.out, &s.err)
		}
	}
	return len(in.Expected.MustMention)
}

// running is the server, if a test has asked for it.
var running *embeddedtest.Server

// production is one server for all tests of the package.
var production = sync.OnceValues(func() (s *embeddedtest.Server, err error) {
	binary, err := embeddedtest.Build()
	if err != nil {
		return nil, err
	}
	dir, err := durabletest.MkdirMemory("respect-shell-test-")
	if err != nil {
		return nil, err
	}
	running, err = embeddedtest.Run(binary, dir, "production")
	return running, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if running != nil {
		running.Stop()
		_ = os.RemoveAll(running.Dir)
	}
	os.Exit(code)
}

// person answers questions: with prepared answers, or with what is asked for.
type person struct {
	distracted []string // nil: types what is asked for
	asked      int
	impatient  bool // stops whatever takes its time
	answers    func(phrase string) string
	facts      []string // that it was shown
	reads      func()   // what stands on the screen when it is asked
	receipts   []guard.Receipt
}

func (p *person) Present() bool { return true }

func (p *person) Ask(_ context.Context, q guard.Question) (guard.Answer, error) {
	if p.reads != nil {
		p.reads()
	}
	for _, f := range q.Plan.Facts() {
		p.facts = append(p.facts, f.Text)
	}
	a := guard.Answer{Text: q.Phrase, Manner: guard.Typed}
	if p.distracted != nil {
		a.Text = p.distracted[p.asked%len(p.distracted)]
	}
	if p.answers != nil {
		a.Text = p.answers(q.Phrase)
	}
	p.asked++
	return a, nil
}

func (p *person) Reason(context.Context, environment.Environment) (guard.Answer, error) {
	return guard.Answer{Text: "an incident", Manner: guard.Typed}, nil
}

func (p *person) Progress(guard.Progress) guard.Control {
	if p.impatient {
		return guard.Stop
	}
	return guard.Go
}
func (p *person) Notice(string)                  {}
func (p *person) Receipt(r guard.Receipt) string { p.receipts = append(p.receipts, r); return "" }

// session is a shell on a server, with somebody at it.
type session struct {
	*shell.Shell
	dir      string
	gate     *guard.Gate
	out, err bytes.Buffer
}

func open(t *testing.T, uri, db string, p *person) *session {
	t.Helper()
	s := &session{dir: t.TempDir()}
	w, err := journal.Create(journal.Config{FS: durable.OS{}, Dir: s.dir, Now: time.Now, Rand: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	s.gate, err = guard.New(guard.Config{FS: durable.OS{}, StateDir: s.dir, Journal: w, Now: time.Now, Rand: rand.Reader, Who: "tester", Operator: p, NewID: shell.ID})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.gate.Connect(t.Context(), guard.Target{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Close(context.Background())
		s.gate.Close()
		_ = w.Close(0)
	})
	s.Shell, err = shell.New(shell.Config{Gate: s.gate, Deployment: d, Database: db, StateDir: s.dir, Out: &s.out, Err: &s.err, NewID: shell.ID})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (in incident) setUp(t *testing.T, c *mongo.Client, db string) {
	t.Helper()
	for coll, docs := range in.Setup.Collections {
		for _, d := range docs {
			if _, err := c.Database(db).Collection(coll).InsertOne(t.Context(), document(t, d)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for coll, indexes := range in.Setup.Indexes {
		for _, i := range indexes {
			key := document(t, i.Key)
			var name []string
			for _, e := range key {
				name = append(name, fmt.Sprintf("%s_%v", e.Key, e.Value))
			}
			spec := append(bson.D{{Key: "key", Value: key}, {Key: "name", Value: strings.Join(name, "_")}}, document(t, i.Options)...)
			if err := c.Database(db).RunCommand(t.Context(), bson.D{{Key: "createIndexes", Value: coll}, {Key: "indexes", Value: bson.A{spec}}}).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func document(t *testing.T, text json.RawMessage) (d bson.D) {
	t.Helper()
	if len(text) == 0 {
		return nil
	}
	if err := bson.UnmarshalExtJSON(text, false, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestIncidents types what was typed in real accidents. Distracted answers change nothing; a real confirmation and undo leave what was there, also
// when others write in between; what needs no guard is not stopped.
func TestIncidents(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/incidents.json")
	if err != nil {
		t.Fatal(err)
	}
	var incidents []incident
	if err := json.Unmarshal(text, &incidents); err != nil {
		t.Fatal(err)
	}
	if len(incidents) < 19 {
		t.Fatalf("%d incidents", len(incidents))
	}
	server, err := production()
	if err != nil {
		t.Fatal(err)
	}
	other := server.Client(t)
	controls, mentioned, undone := 0, 0, 0
	for n, in := range incidents {
		t.Run(in.ID, func(t *testing.T) {
			if in.ID[0] == 'K' {
				controls++
			}
			db := fmt.Sprintf("incident%d", n)
			in.setUp(t, other, db)
			t.Cleanup(func() { _ = other.Database(db).Drop(context.Background()) })
			before := embeddedtest.StateOf(t, other, db)

			if in.Expected.MustNotChange {
				p := &person{distracted: append([]string{"n"}, in.UserAnswers...)}
				s := open(t, server.URI, db, p)
				for _, st := range in.Statements {
					if code := s.Exec(t.Context(), st, "typed"); in.ID[0] == 'K' && code != shell.ExitDone {
						t.Errorf("%s: status %d: %s", st, code, &s.err)
					}
				}
				if in.ID[0] == 'K' && p.asked > 0 {
					t.Errorf("%d questions were asked", p.asked)
				}
				same(t, "after distracted answers", before, embeddedtest.StateOf(t, other, db))
			}
			in.checkMentions(t, server, db)
			mentioned += in.checkWording(t, server, db)
			same(t, "after a preview", before, embeddedtest.StateOf(t, other, db))
			undone += in.confirmAndUndo(t, server, other, db, before, false)
			if len(in.Interleaved) > 0 {
				undone += in.confirmAndUndo(t, server, other, db, before, true)
			}
		})
	}
	t.Logf("%d incidents, of which %d are controls: %d mentions are on the screens, %d changes were confirmed and taken back", len(incidents), controls, mentioned, undone)
	if mentioned < len(wording) || controls < 3 || undone < 17 {
		t.Error("that is less than there was")
	}
}

// checkMentions previews each statement, and looks for the facts; a control says no warning.
func (in incident) checkMentions(t *testing.T, server *embeddedtest.Server, db string) {
	t.Helper()
	s := open(t, server.URI, db, &person{})
	codes := map[string]bool{}
	for _, st := range in.Statements {
		s.out.Reset()
		_ = s.Plan(t.Context(), st, "argument", true, false) // what is refused or thrown has no plan
		var out struct {
			Changes []struct {
				Facts []struct{ Code, Severity, Text string }
			}
		}
		if err := json.Unmarshal(s.out.Bytes(), &out); err != nil {
			t.Fatalf("%s: %v", &s.out, err)
		}
		for _, c := range out.Changes {
			for _, f := range c.Facts {
				codes[f.Code] = true
				if in.ID[0] == 'K' && f.Severity != "info" {
					t.Errorf("a control is warned: %s", f.Text)
				}
			}
		}
	}
	for _, want := range strings.Fields(mentions[in.ID]) {
		if !codes[want] {
			t.Errorf("the preview does not say %s; it says %v", want, codes)
		}
	}
}

// confirmAndUndo types what is asked for, then takes all of it back, last first. It returns how many changes that were.
func (in incident) confirmAndUndo(t *testing.T, server *embeddedtest.Server, other *mongo.Client, db string, before embeddedtest.State, interleaved bool) (changes int) {
	t.Helper()
	p := &person{}
	s := open(t, server.URI, db, p)
	for _, st := range in.Statements {
		_ = s.Exec(t.Context(), st, "typed") // some are refused, some throw
	}
	for _, r := range p.receipts {
		if r.Status != replay.StatusApplied || len(r.Alarm) > 0 {
			t.Errorf("%s: %s, alarms %v", r.Summary, r.Status, r.Alarm)
		}
	}
	if p.asked > 0 && cmp.Equal(before, embeddedtest.StateOf(t, other, db)) {
		t.Error("confirmed, and nothing was changed")
	}
	if interleaved {
		for _, w := range in.Interleaved {
			if w.Op != "insertOne" {
				t.Fatalf("the test knows no %s", w.Op)
			}
			if _, err := other.Database(db).Collection(w.Collection).InsertOne(t.Context(), document(t, w.Doc)); err != nil {
				t.Fatal(err)
			}
		}
	}
	changes = len(s.gate.Changes())
	for _, c := range slices.Backward(s.gate.Changes()) {
		code := s.Exec(t.Context(), "undo "+c, "typed")
		if want := map[bool]int{false: shell.ExitDone, true: shell.ExitPartly}[interleaved]; code != want {
			t.Errorf("undo %s: status %d, want %d: %s%s", c, code, want, &s.out, &s.err)
		}
	}
	after := embeddedtest.StateOf(t, other, db)
	if !interleaved {
		same(t, "after undo", before, after)
		return changes
	}
	// What the others wrote is there; of the rest all is there but what cannot stand beside it.
	for _, w := range in.Interleaved {
		doc, err := bson.MarshalExtJSON(document(t, w.Doc), true, false)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(after[w.Collection], string(doc)) {
			t.Errorf("undo removed what others wrote: %s", doc)
		}
		if missing := len(before[w.Collection]) + 1 - len(after[w.Collection]); missing > 1 {
			t.Errorf("%d documents of %s were not put back", missing, w.Collection)
		}
	}
	if last := p.receipts[len(p.receipts)-1]; len(last.Skipped) == 0 {
		t.Error("undo left something alone, and its receipt does not say so")
	}
	return changes
}

func same(t *testing.T, when string, want, got embeddedtest.State) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s (-want +got):\n%s", when, d)
	}
}
