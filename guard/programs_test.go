package guard_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"respect/shell"
	"respect/shell/js"
)

// programs writes random JavaScript, from a grammar over the shell's own list of methods.
type programs struct {
	*rand.Rand
	methods map[string][]js.Method
}

func newPrograms(seed uint64) *programs {
	p := &programs{Rand: rand.New(rand.NewPCG(seed, 1)), methods: map[string][]js.Method{}}
	for _, m := range js.Methods() {
		if m.Name != "sleep" && m.Name != "shardDrainingStatus" { // that one only reads, and the judge does not know it
			p.methods[m.Object] = append(p.methods[m.Object], m)
		}
	}
	return p
}

func (p *programs) one(of ...string) string { return of[p.IntN(len(of))] }

// statement is a statement, with others in it down to depth.
func (p *programs) statement(depth int) string {
	if depth == 0 {
		return p.call()
	}
	sub := func() string { return p.statement(depth - 1) }
	quoted := func() string {
		b, err := json.Marshal(sub())
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	switch p.IntN(16) {
	case 12:
		return "for (const x of {[Symbol.iterator]() { return {next: () => ({value: " + p.call() + "}), return() { " + sub() + "; return {} }} }}) { " + sub() + "; break }"
	case 13:
		return "(function*() { try { yield " + p.call() + " } finally { " + sub() + " } })().next()"
	case 14:
		return "Promise.resolve().then(() => { " + sub() + " }).finally(() => { " + sub() + " })"
	case 15:
		return "db.c.find({toBSON() { " + sub() + "; return " + p.filter() + " }}).toArray()"
	case 0:
		return "for (let i = 0; i < 3; i++) { " + sub() + " }"
	case 1:
		return "try { " + sub() + " } catch (e) { " + sub() + " } finally { " + sub() + " }"
	case 2:
		return "[1, 2].forEach(x => { " + sub() + " })"
	case 3:
		return "(async () => { await 0; " + sub() + " })()"
	case 4:
		return "eval(" + quoted() + ")"
	case 5:
		return "Function('db', " + quoted() + ")(db)"
	case 6:
		return "db.c.find(" + p.filter() + ").forEach(d => { " + sub() + " })"
	case 7:
		return "if (" + p.call() + ") { " + sub() + " }"
	case 8:
		return "(function*() { yield (() => { " + sub() + " })() })().next()"
	case 9:
		return "`${{toString() { " + sub() + "; return 'x' }}}`"
	case 10:
		return "var v = " + p.call() + "; print(v); " + sub()
	}
	return sub() + "; " + sub()
}

// call calls a random method on a random object, in one of the ways there are.
func (p *programs) call() string {
	object := p.one("Collection", "Collection", "Collection", "Collection", "Database", "Database", "Cursor", "Mongo", "Bulk", "BulkFind", "Explainable", "rs", "sh")
	m := p.methods[object][p.IntN(len(p.methods[object]))]
	on := map[string]string{"Collection": p.collection(), "Database": p.database(), "Cursor": p.collection() + ".find(" + p.filter() + ")", "Mongo": "db.getMongo()",
		"Bulk": p.collection() + ".initializeOrderedBulkOp()", "BulkFind": p.collection() + ".initializeUnorderedBulkOp().find(" + p.filter() + ")", "Explainable": p.collection() + ".explain()", "rs": "rs", "sh": "sh"}[object]
	var args []string
	if m.Args != "" {
		for _, a := range strings.Split(m.Args, ", ") {
			args = append(args, p.argument(a))
		}
	}
	list := strings.Join(args, ", ")
	switch p.IntN(6) {
	case 0:
		return fmt.Sprintf("%s[%q](%s)", on, m.Name, list)
	case 1:
		return fmt.Sprintf("Reflect.apply(%s.%s, %s, [%s])", on, m.Name, on, list)
	case 2:
		return fmt.Sprintf("%s.%s.bind(%s)(%s)", on, m.Name, p.collection(), list) // perhaps of another object
	}
	if object == "BulkFind" && strings.HasPrefix(m.Help, "delete ") || strings.HasPrefix(m.Help, "update ") && object == "BulkFind" {
		return fmt.Sprintf("%s.%s(%s).execute()", on, m.Name, list)
	}
	return fmt.Sprintf("%s.%s(%s)", on, m.Name, list)
}

func (p *programs) database() string {
	return p.one("db", "db", "db.getSiblingDB('prod')", "db.getMongo().getDB('x')", "db.getSiblingDB('admin')")
}

func (p *programs) collection() string {
	return p.database() + p.one(".c", ".c", ".d", ".users", "['with.dot']", ".getCollection('find')", ".nothere")
}

func (p *programs) filter() string {
	return p.one("{}", "{_id: 1}", "{a: 1}", "{_id: {$in: [1, 2]}}", "{a: {$exists: false}}", "{none: 5}", "{a: undefined}", "{$or: [{a: 1}, {b: 2}]}", "{_id: 77}")
}

func (p *programs) update() string {
	return p.one("{$set: {a: 2}}", "{$unset: {a: ''}}", "{$inc: {n: 1}}", "{$push: {l: 3}}", "[{$set: {a: 3}}]", "{gone: 1}", "{$rename: {a: 'z'}}", "{$set: {_id: 5}}")
}

func (p *programs) pipeline() string {
	return p.one("[]", "[{$match: {a: 1}}]", "[{$out: 'x'}]", "[{$merge: {into: {db: 'prod', coll: 'users'}}}]", "[{$facet: {a: [{$out: 'x'}]}}]", "[{$count: 'n'}]", "[{$unionWith: {coll: 'd', pipeline: [{$merge: 'd'}]}}]")
}

// argument is a value for a parameter; which kind its name says, and sometimes another.
func (p *programs) argument(name string) string {
	if p.IntN(12) == 0 {
		name = p.one("filter", "update", "name", "options", "n", "command")
	}
	name = strings.Trim(name, "[]{} …")
	switch {
	case strings.Contains(name, "filter"), name == "query", name == "document":
		return p.filter()
	case name == "documents":
		return "[" + p.filter() + ", " + p.filter() + "]"
	case name == "update", name == "replacement", name == "query, update":
		return p.update()
	case name == "pipeline":
		return p.pipeline()
	case name == "operations":
		return "[{updateOne: {filter: " + p.filter() + ", update: " + p.update() + "}}, {deleteMany: {filter: " + p.filter() + "}}]"
	case name == "command":
		return p.command()
	case strings.Contains(name, "function"), name == "map", name == "reduce":
		return "function(d) { return d }"
	case name == "n", name == "bytes", name == "milliseconds", name == "level":
		return p.one("1", "2", "1000")
	case name == "keys":
		return p.one("{a: 1}", "{b: -1}")
	case name == "verbosity":
		return p.one("'executionStats'", "'queryPlanner'")
	case name == "options":
		return p.one("{}", "{}", "{explain: true}", "{upsert: true}", "{limit: 1}", "{out: {inline: 1}}", "{out: 'x'}", "{unique: true}")
	}
	return p.one("'c'", "'d'", "'x'", "'k_1'", "true", "{a: 1}", "'test.c'", "'*'")
}

func (p *programs) command() string {
	return p.one("'ping'", "{find: 'c', filter: "+p.filter()+"}", "{delete: 'c', deletes: [{q: "+p.filter()+", limit: 0}]}", "{aggregate: 'c', pipeline: "+p.pipeline()+", cursor: {}}",
		"{update: 'c', updates: [{q: "+p.filter()+", u: "+p.update()+", multi: true}]}", "{drop: 'c'}", "'dropDatabase'", "{explain: {delete: 'c', deletes: [{q: {}, limit: 0}]}}", "{insert: 'c', documents: [{a: 1}]}",
		"{renameCollection: 'test.c', to: 'prod.c', dropTarget: true}", "{collMod: 'c', validator: {a: 1}}", "{mapReduce: 'c', map: m, reduce: r, out: "+p.one("{inline: 1}", "'x'")+"}")
}

// FuzzPrograms runs random programs with nobody to answer. Nothing is written, as the wire and the server say.
func FuzzPrograms(f *testing.F) {
	const seeds, each = 10, 20
	for seed := range uint64(seeds) {
		f.Add(seed)
	}
	on := newField(f)
	f.Fuzz(func(t *testing.T, seed uint64) {
		p := newPrograms(seed)
		refused, read := 0, 0
		var last []string
		for range each {
			src := p.statement(1 + p.IntN(3))
			last = append(last, src)
			got := on.run(t, src)
			if len(got.writes) > 0 {
				t.Errorf("%s\nreached the server: %v", src, got.writes)
			}
			if strings.Contains(got.text, "internal error") {
				t.Errorf("%s\n%s", src, got.text)
			}
			if got.code == shell.ExitRefused {
				refused++
			}
			if len(got.sent) > 0 {
				read++
			}
		}
		if diff := on.changed(t); diff != "" {
			t.Fatalf("one of these changed the server:\n%s\n%s", strings.Join(last, "\n"), diff)
		}
		if len(on.op.asked) > 0 {
			t.Error("a question was asked of nobody")
		}
		if refused == 0 || read == 0 {
			t.Logf("seed %d: %d programs were refused, %d read", seed, refused, read)
		}
	})
}
