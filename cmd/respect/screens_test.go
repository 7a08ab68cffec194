package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/embedded/embeddedtest"
	"respect/replay"
	"respect/shell/terminal/terminaltest"
)

var rewrite = flag.Bool("update", false, "write testdata/screens anew")

// screens are what stands on a terminal at the moments that matter: the program on a real one, with a server that has always the same documents. What is new
// each time is replaced by as many letters.
var screens = []struct {
	name   string
	policy string   // of the user's own file
	script string   // of -e
	typed  []string // or what is typed at the prompt; all but the last have no question
	answer []string // to questions; <phrase> is what is asked for
	then   string   // what is typed at the prompt after them
	until  string   // the last line then, where that is not a question
	before string   // -e of a session before, whose question is answered with its phrase
	others bson.D   // what somebody else sets in one document of stock between the two, which is found by its n
	asks   bool     // the last thing on the screen is a question: all its dangers, the environment and the phrase are on it
}{
	{name: "update", script: updateMany, asks: true},
	{name: "conference", script: `db.families.find().forEach(f => db.families.deleteOne({_id: f._id}))`, asks: true},
	{name: "drop", script: `db.families.drop()`, asks: true},
	{name: "crowded", script: crowded, asks: true},
	{name: "one", script: `db.families.updateOne({email: "kim6@example.net"}, {$set: {plan: "family"}})`, asks: true},
	{name: "details", script: updateMany, answer: []string{"details"}, until: more},
	{name: "diff", script: updateMany, answer: []string{"diff 64b0c0f1a2b3c4d5e6000004"}, asks: true},
	{name: "sample", script: updateMany, answer: []string{"sample 3"}},
	{name: "estimate", policy: "policy: {production: {documents: {full-preview: 20}}}\n", script: updateMany, asks: true},
	{name: "full", policy: "policy: {production: {documents: {full-preview: 20}}}\n", script: updateMany, answer: []string{"full"}, asks: true},
	{name: "receipt", typed: []string{`db.spares.deleteMany({kind: "tablet"})`}, answer: []string{"<phrase>"}, until: "PRODUCTION famigo>"},
	{name: "declined", typed: []string{`db.families.drop()`}, answer: []string{"yes"}, until: "PRODUCTION famigo>"},
	{name: "array", script: `db.orders.updateOne({_id: 1, "items.sku": "SKU-044"}, {$set: {"items.44.qty": 4}, $push: {tags: "rush"}})`, asks: true},
	{name: "arrays", script: `db.orders.updateMany({}, {$pull: {items: {sku: "SKU-007"}}, $push: {tags: "seen"}})`, asks: true},
	{name: "text", script: `db.notes.updateOne({title: "evening"}, {$set: {body: db.notes.findOne().body.replace("lazy dog", "lazy cat").replace("slept", "woke")}})`, asks: true},
	{name: "prices", script: `db.stock.updateMany({}, {$mul: {price: 0.5, n: 1.5}})`, asks: true},
	{name: "pipeline", script: `db.stock.updateMany({n: {$gt: 30}}, [{$set: {label: {$concat: ["no ", "$name"]}}}])`, asks: true},
	{name: "rename", script: `db.families.updateMany({plan: "trial"}, {$rename: {email: "contact.email"}})`, asks: true},
	{name: "replace", script: `db.families.replaceOne({name: "Family 7"}, {name: "Family 7", plan: "gone"})`, asks: true},
	{name: "bulk", script: `db.families.bulkWrite([{insertOne: {document: {_id: 1, name: "new"}}}, {updateMany: {filter: {plan: "trial"}, update: {$set: {days: 9}}}}, {deleteOne: {filter: {name: "Family 1"}}}, {replaceOne: {filter: {name: "Family 2"}, replacement: {name: "Two"}}}])`, asks: true},
	{name: "cut", script: `db.families.bulkWrite([{updateMany: {filter: {plan: "trial"}, update: {$set: {days: 9}}}}, {updateMany: {filter: {days: {$gt: 1}}, update: {$set: {plan: "old"}}}}, {deleteOne: {filter: {name: "Family 1"}}}, {replaceOne: {filter: {name: "Family 2"}, replacement: {name: "Two"}}}])`, asks: true},
	{name: "one-of-many", script: `db.families.deleteOne({plan: "trial"})`, asks: true},
	{name: "insert", script: `db.families.insertMany([{_id: 1, name: "Ada", pets: ["cat"]}, {_id: 2, name: "Bob"}])`, asks: true},
	{name: "ttl", script: `db.notes.createIndex({title: 1}, {expireAfterSeconds: 7 * 24 * 3600 * 1000})`, asks: true},
	{name: "undo", before: `db.ledger.updateMany({n: {$lt: 3}}, {$set: {paid: true, "lines.1.sum": 0}})`, typed: []string{"undo"}, asks: true},
	{name: "conflict", before: `db.stock2.updateMany({n: {$lt: 3}}, {$set: {paid: true}})`, others: bson.D{{Key: "paid", Value: "no"}}, typed: []string{"undo"}, asks: true},
	{name: "help", script: updateMany, answer: []string{"help"}, asks: true},
	{name: "look-declined", typed: []string{`db.families.updateOne({name: "Family 7"}, {$set: {plan: "gone"}})`}, answer: []string{"no"}, then: "details", until: "PRODUCTION famigo>"},
	{name: "prompt", typed: []string{`db.families.find({plan: "trial"}).limit(2)`, `use other`}, until: "PRODUCTION other>"},
}

const (
	asked      = ">"
	more       = "-- Enter shows more, q goes back to the question --"
	updateMany = `db.families.updateMany({partner: null}, {$set: {address: {city: "Bern"}, "days": 30}, $unset: {email: ""}})`
	crowded    = `db.families.updateMany({partner: null}, {$set: {email: "none", address: {}, pets: []}}); db.devices.updateMany({family: null, kind: {$ne: "phone"}}, {$set: {at: {}, kind: 1}}); db.devcies.insertOne({_id: 1})`
)

// seed puts the documents of the screens into database famigo.
func seed(t *testing.T, s *embeddedtest.Server) {
	t.Helper()
	db := s.Client(t).Database("famigo")
	if err := db.Drop(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := func(n int) bson.ObjectID {
		oid, err := bson.ObjectIDFromHex(fmt.Sprintf("64b0c0f1a2b3c4d5e6%06x", n))
		if err != nil {
			t.Fatal(err)
		}
		return oid
	}
	var families, devices []any
	for n := range 60 {
		f := bson.D{
			{Key: "_id", Value: id(n)}, {Key: "name", Value: fmt.Sprintf("Family %d", n)}, {Key: "email", Value: fmt.Sprintf("kim%d@example.net", n)},
			{Key: "plan", Value: []string{"trial", "family", "family plus"}[n%3]}, {Key: "days", Value: int32(n % 5)},
			{Key: "address", Value: bson.D{{Key: "street", Value: fmt.Sprintf("%d Hill Road", n)}, {Key: "city", Value: []string{"Bern", "Thun", "Biel"}[n%3]}, {Key: "zip", Value: int32(3000 + n)}}},
			{Key: "pets", Value: bson.A{"cat", "dog"}[:n%3]}, {Key: "joined", Value: bson.DateTime(1_300_000_000_000 + int64(n)*86_400_000)},
		}
		if n%4 == 1 {
			f = append(f, bson.E{Key: "partner", Value: id(n + 1000)})
		} else if n%8 == 0 {
			f = append(f, bson.E{Key: "partner", Value: nil})
		}
		families = append(families, f)
	}
	for n := range 90 {
		d := bson.D{{Key: "_id", Value: int32(n)}, {Key: "kind", Value: []string{"phone", "tablet", "watch"}[n%3]}, {Key: "at", Value: bson.D{{Key: "lat", Value: 46.9}, {Key: "long", Value: 7.4}}}}
		if n%2 == 0 {
			d = append(d, bson.E{Key: "family", Value: id(n % 60)})
		}
		devices = append(devices, d)
	}
	for name, docs := range map[string][]any{"families": families, "devices": devices, "spares": devices} {
		if _, err := db.Collection(name).InsertMany(t.Context(), docs); err != nil {
			t.Fatal(err)
		}
	}
	items := bson.A{}
	for n := range 50 {
		items = append(items, bson.D{{Key: "sku", Value: fmt.Sprintf("SKU-%03d", n)}, {Key: "qty", Value: int32(5)}, {Key: "name", Value: fmt.Sprintf("product %d", n)}})
	}
	orders := []any{}
	for n := range 4 {
		orders = append(orders, bson.D{{Key: "_id", Value: int32(n + 1)}, {Key: "items", Value: items}, {Key: "tags", Value: bson.A{"new", "web"}}})
	}
	var stock []any
	for n := range 40 {
		stock = append(stock, bson.D{{Key: "_id", Value: int32(n)}, {Key: "n", Value: int32(n)}, {Key: "name", Value: fmt.Sprintf("Article %d", n)}, {Key: "price", Value: 1100.5 + float64(n)*500},
			{Key: "lines", Value: bson.A{bson.D{{Key: "sum", Value: int32(7)}}, bson.D{{Key: "sum", Value: int32(n)}}}}})
	}
	body := strings.Repeat("The quick brown fox jumps over the fence. ", 9) + "The quick brown fox jumps over the lazy dog. " + strings.Repeat("It rained. ", 20) + "Nobody slept that night. The end."
	for name, docs := range map[string][]any{"orders": orders, "stock": stock, "stock2": stock, "ledger": stock, "notes": {bson.D{{Key: "_id", Value: "n1"}, {Key: "title", Value: "evening"}, {Key: "body", Value: body}}}} {
		if _, err := db.Collection(name).InsertMany(t.Context(), docs); err != nil {
			t.Fatal(err)
		}
	}
	index := bson.D{{Key: "createIndexes", Value: "families"}, {Key: "indexes", Value: bson.A{
		bson.D{{Key: "key", Value: bson.D{{Key: "email", Value: 1}}}, {Key: "name", Value: "email_1"}, {Key: "unique", Value: true}},
		bson.D{{Key: "key", Value: bson.D{{Key: "plan", Value: 1}}}, {Key: "name", Value: "plan_1"}},
	}}}
	if err := db.RunCommand(t.Context(), index).Err(); err != nil {
		t.Fatal(err)
	}
}

// TestScreens compares screens with testdata/screens, on a small terminal and on a large one.
func TestScreens(t *testing.T) {
	t.Parallel()
	binary := embeddedtest.Binary(t)
	for _, size := range []struct{ width, height int }{{80, 24}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size.width, size.height), func(t *testing.T) {
			t.Parallel()
			s, err := embeddedtest.Run(binary, t.TempDir(), "production")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Stop)
			seed(t, s)
			for _, c := range screens {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					p := newProgram(t, binary, c.policy)
					p.prepare(t, s, c.before, c.others)
					tty := p.start(t, s, c.script, size.width, size.height)
					for i, text := range c.typed {
						must(t, tty.Last("PRODUCTION famigo>"))
						if i == len(c.typed)-1 {
							must(t, tty.Send("\x0c")) // Ctrl-L: what stood there before is not of interest
						}
						must(t, tty.TypeFast(text))
						must(t, tty.Enter())
					}
					for _, a := range c.answer {
						must(t, tty.Last(asked))
						if a == "<phrase>" {
							phrase, err := tty.Phrase()
							must(t, err)
							a = phrase
						}
						must(t, tty.Type(a))
						must(t, tty.Enter())
					}
					if c.then != "" {
						must(t, tty.Last("PRODUCTION famigo>"))
						must(t, tty.Send("\x0c"))
						must(t, tty.TypeFast(c.then))
						must(t, tty.Enter())
					}
					if c.until != "" {
						must(t, tty.Last(c.until))
					} else {
						must(t, tty.Last(asked, more))
					}
					got := steady(tty.Screen())
					if c.asks {
						p.checkQuestion(t, tty, size.height)
					}
					golden(t, fmt.Sprintf("%s-%dx%d.txt", c.name, size.width, size.height), got)
				})
			}
		})
	}
}

// TestDevelopmentScreen: on development nothing is in capitals, and nothing asks.
func TestDevelopmentScreen(t *testing.T) {
	t.Parallel()
	binary := embeddedtest.Binary(t)
	s, err := embeddedtest.Run(binary, t.TempDir(), "development")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	seed(t, s)
	tty := newProgram(t, binary, "").start(t, s, "", 80, 24)
	must(t, tty.Last("famigo>"))
	must(t, tty.Send("\x0c"))
	must(t, tty.TypeFast(`db.devices.deleteMany({kind: "tablet"})`))
	must(t, tty.Enter())
	must(t, tty.Expect("deletedCount"))
	must(t, tty.Last("famigo>"))
	golden(t, "development-80x24.txt", steady(tty.Screen()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// program is one installation of the program: its directories.
type program struct {
	binary, state string
	env           []string
}

func newProgram(t *testing.T, binary, policy string) *program {
	t.Helper()
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	p := &program{binary, state, []string{"HOME=" + dir, "RESPECT_STATE_DIR=" + state, "XDG_CONFIG_HOME=" + filepath.Join(dir, "config"), "PATH=" + os.Getenv("PATH")}}
	if policy != "" {
		must(t, os.MkdirAll(filepath.Join(dir, "config", "respect"), 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "config", "respect", "policy.yaml"), []byte(policy), 0o600))
	}
	return p
}

// start starts it on a terminal: with a script, or as a shell if that is empty.
func (p *program) start(t *testing.T, server *embeddedtest.Server, script string, width, height int) *terminaltest.Session {
	t.Helper()
	args := []string{"--reason", "a test", server.URI + "famigo"}
	if script != "" {
		args = append([]string{"-e", script}, args...)
	}
	cmd := exec.Command(p.binary, args...)
	cmd.Env = append([]string(nil), p.env...)
	s, err := terminaltest.Start(cmd, width, height)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Watch(server.PID())
	return s
}

// prepare makes a change in a session of its own, and then one by somebody else.
func (p *program) prepare(t *testing.T, s *embeddedtest.Server, script string, others bson.D) {
	t.Helper()
	if script == "" {
		return
	}
	tty := p.start(t, s, script, 80, 24)
	must(t, tty.Last(asked))
	must(t, tty.Ready())
	phrase, err := tty.Phrase()
	must(t, err)
	must(t, tty.Type(phrase))
	must(t, tty.Enter())
	must(t, tty.Expect("to take it back"))
	if _, err := tty.Wait(); err != nil {
		t.Fatal(err)
	}
	if others == nil {
		return
	}
	_, err = s.Client(t).Database("famigo").Collection("stock2").UpdateOne(t.Context(), bson.D{{Key: "n", Value: 1}}, bson.D{{Key: "$set", Value: others}})
	must(t, err)
}

// checkQuestion: what must be known before an answer stands on the screen at once. Of a danger that is the beginning of its sentence, or its code.
func (p *program) checkQuestion(t *testing.T, tty *terminaltest.Session, height int) {
	t.Helper()
	screen := tty.Screen()
	if n := strings.Count(screen, "\n") + 1; n > height {
		t.Errorf("the screen has %d lines, of %d", n, height)
	}
	flat := strings.Join(strings.Fields(screen), " ")
	if !strings.Contains(flat, "PRODUCTION 127.0.0.1") {
		t.Error("the environment is not on the screen")
	}
	dangers, estimate := 0, false
	for _, f := range p.planned(t).Facts {
		estimate = estimate || f.Code == "estimate"
		if f.Severity != "danger" {
			continue
		}
		dangers++
		words := strings.Fields(f.Text)
		if begin := strings.Join(words[:min(len(words), 5)], " "); !strings.Contains(flat, begin) && !strings.Contains(flat, f.Code) {
			t.Errorf("the danger %s is not on the screen: %s", f.Code, f.Text)
		}
	}
	if n := strings.Count(screen, "DANGER"); (n > 0) != (dangers > 0) {
		t.Errorf("the screen has the word DANGER %d times, for %d of them", n, dangers)
	}
	if runs := strings.Contains(screen, "To run it, type: "); runs == estimate {
		t.Errorf("an estimate: %v, and the screen says how to run it: %v", estimate, runs)
	}
	want := "To look at all of it, type: full"
	if !estimate {
		phrase, err := tty.Phrase()
		must(t, err)
		want = "To run it, type: " + phrase
	}
	if !strings.Contains(screen, want) {
		t.Errorf("%q is not on the screen", want)
	}
}

// planned is the last plan that the program's record has.
func (p *program) planned(t *testing.T) (last replay.Planned) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.state, "sessions", "*", "journal.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are %d journals: %v", len(files), err)
	}
	slices.Sort(files) // the last session
	text, err := os.ReadFile(files[len(files)-1])
	must(t, err)
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		var e struct {
			Kind replay.Kind
			Body json.RawMessage
		}
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Kind == replay.KindPlanned {
			last = replay.Planned{}
			must(t, json.Unmarshal(e.Body, &last))
		}
	}
	if last.Change == "" {
		t.Fatal("the record has no plan")
	}
	return last
}

// What is another each time, and what stands in its place, as wide.
var volatile = []struct {
	pattern *regexp.Regexp
	letter  string
}{
	{regexp.MustCompile(`127\.0\.0\.1:(\d{5})`), "p"},
	{regexp.MustCompile(`\b(20\d{6}-[a-z0-9]+)\b`), "c"},
	{regexp.MustCompile(`(?m)^To run it, type: .* ([a-z][a-z0-9]{2})$`), "c"},
	{regexp.MustCompile(`about (\d)s\b`), "s"},
}

var took = regexp.MustCompile(`(?m)^(applied  change \S+)  in [\d.]+m?s$`)

// steady is a screen without what is another each time.
func steady(screen string) string {
	for _, v := range volatile {
		at := 0
		for _, m := range v.pattern.FindAllStringSubmatchIndex(screen, -1) {
			at = m[3]
			screen = screen[:m[2]] + strings.Repeat(v.letter, m[3]-m[2]) + screen[at:]
		}
	}
	return took.ReplaceAllString(screen, "$1")
}

// golden compares text with a file of testdata/screens.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "screens", name)
	if *rewrite {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(got+"\n"), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; -update writes it", err)
	}
	if string(want) != got+"\n" {
		t.Errorf("the screen is not that of %s; -update writes it anew. It is\n%s\nand was\n%s", path, got, want)
	}
}
