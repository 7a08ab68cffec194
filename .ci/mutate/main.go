// Mutate removes one check of the guard at a time and looks whether a test turns red.
//
//	go run ./.ci/mutate [-set command|gate|js|source] [-only REGEXP] [-n N] [-time D] [-first] [-list] [-j N] [-tags TAGS]
//
// A mutant is an altered copy of one file: a row of the table is gone or says Read, a condition never holds or is turned round, half of an && or || is
// gone, an error is not returned, a case or a statement is gone, a word of a list is gone. It is compiled with "go test -overlay", so that neither the
// product nor the working tree knows of it; the tests of its set run on it, the quick ones first, until one fails.
//
// For each it prints killed, SURVIVED or does not compile, with file:line and the altered text, and at the end the numbers. Which mutants there are and in
// which order depends on the sources alone; -n takes so many, spread evenly. It exits with 1 if one survived that equivalent.txt does not explain.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// target is a set of files and the tests that must notice.
type target struct {
	files []string // globs
	tests []tests
	limit time.Duration // of one run of tests
}

type tests struct{ pkg, run string }

var targets = map[string]target{
	"command": {
		files: []string{"guard/command/*.go"},
		tests: []tests{{"./guard/command", "."}},
		limit: 30 * time.Second,
	},
	"gate": {
		files: []string{"guard/statement.go", "guard/carryout.go", "guard/deployment.go", "guard/internal/wire/tap.go"},
		tests: []tests{{"./guard/internal/wire", "."}, {"./guard", "TestP|TestGate|TestAnother|TestCommands"}, {"./guard", "."}},
		limit: 4 * time.Minute,
	},
	"js": {
		files: []string{"shell/js/convert.go"},
		tests: []tests{{"./shell/js", "TestConver|TestToBSON|TestPlaces|TestMethodsSend|TestDocuments"}, {"./shell/js", "."}},
		limit: 2 * time.Minute,
	},
	"source": {
		files: []string{"shell/js/source.go", "shell/js/scan.go", "shell/js/literals.go", "shell/js/code.go"},
		tests: []tests{{"./shell/js", "TestDeepSources|TestCode|TestAwait|TestSeparated|TestConversion$|TestUnhandled|TestComplete"}, {"./shell/js", "."}},
		limit: 2 * time.Minute,
	},
}

// mutant is one altered copy.
type mutant struct {
	file       string
	line       int
	in         string // the declaration around it
	nth        int    // of those that read the same there, from 1
	kind       string
	start, end int
	with       string
	old        string
}

// key names a mutant without its line, so that it is found again when lines move.
func (m mutant) key() string {
	return fmt.Sprintf("%s: %s: %s: %s => %s #%d", m.file, m.in, m.kind, squeeze(m.old), squeeze(m.with), m.nth)
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s: %s: %s => %s #%d", m.file, m.line, m.in, m.kind, squeeze(m.old), squeeze(m.with), m.nth)
}

func squeeze(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 160 {
		s = s[:157] + "..."
	}
	return s
}

func main() {
	os.Exit(run())
}

func run() int {
	set := flag.String("set", "command", "which files: command, gate, js, source")
	only := flag.String("only", "", "only mutants whose line of output matches")
	n := flag.Int("n", 0, "at most so many, spread evenly; 0: all")
	limit := flag.Duration("time", time.Hour, "stop after so long")
	list := flag.Bool("list", false, "print them and run nothing")
	tags := flag.String("tags", "ferretdb_no_postgresql", "build tags")
	first := flag.Bool("first", false, "run only the first, quickest tests of the set: what survives then may die by the others")
	jobs := flag.Int("j", 1, "how many at once")
	flag.Parse()
	t, ok := targets[*set]
	if !ok {
		fmt.Fprintf(os.Stderr, "mutate: no set is called %q\n", *set)
		return 2
	}
	if *first {
		t.tests = t.tests[:1]
	}
	all, err := mutants(t.files)
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutate: %v\n", err)
		return 2
	}
	if *only != "" {
		re, err := regexp.Compile(*only)
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutate: %v\n", err)
			return 2
		}
		all = slices.DeleteFunc(all, func(m mutant) bool { return !re.MatchString(m.String()) })
	}
	total := len(all)
	if *n > 0 && *n < total {
		var some []mutant
		for i := range *n {
			some = append(some, all[i*total/(*n)])
		}
		all = some
	}
	if *list {
		for _, m := range all {
			fmt.Println(m)
		}
		fmt.Println(len(all), "of", total)
		return 0
	}
	explained, err := equivalents()
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutate: %v\n", err)
		return 2
	}
	r := &runner{target: t, tags: *tags, deadline: time.Now().Add(*limit), explained: explained, count: map[string]int{}}
	if out, ok := r.sound(); !ok {
		fmt.Fprintf(os.Stderr, "mutate: the tests fail without a change\n%s", out)
		return 2
	}
	r.all(all, *jobs)
	fmt.Printf("\n%d mutants: %d killed, %d survived, %d survived and explained, %d do not compile, %d not run\n",
		total, r.count[killed], r.count[survived], r.count[equivalent], r.count[broken], total-r.ran)
	if r.count[survived] > 0 {
		return 1
	}
	return 0
}

// What became of a mutant.
const (
	killed     = "killed"
	survived   = "SURVIVED"
	equivalent = "explained"
	broken     = "does not compile"
)

type runner struct {
	target
	tags      string
	deadline  time.Time
	explained map[string]string

	mu    sync.Mutex
	count map[string]int
	ran   int
}

func (r *runner) all(ms []mutant, jobs int) {
	work := make(chan mutant)
	var wg sync.WaitGroup
	for range jobs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for m := range work {
				what := r.one(m)
				r.mu.Lock()
				r.count[what]++
				r.ran++
				fmt.Printf("%-10s %s\n", what, m)
				if why := r.explained[m.key()]; what == equivalent {
					fmt.Printf("%-10s   %s\n", "", why)
				}
				r.mu.Unlock()
			}
		}()
	}
	for _, m := range ms {
		if time.Now().After(r.deadline) {
			break
		}
		work <- m
	}
	close(work)
	wg.Wait()
}

// sound runs the tests on the unaltered sources.
func (r *runner) sound() ([]byte, bool) {
	for _, t := range r.tests {
		if out, err := r.test(t, ""); err != nil {
			return out, false
		}
	}
	return nil, true
}

func (r *runner) one(m mutant) string {
	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	overlay, err := m.write(dir)
	if err != nil {
		panic(err)
	}
	for _, t := range r.tests {
		out, err := r.test(t, overlay)
		if err == nil {
			continue
		}
		if bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")) {
			return broken
		}
		return killed
	}
	if r.explained[m.key()] != "" {
		return equivalent
	}
	return survived
}

func (r *runner) test(t tests, overlay string) ([]byte, error) {
	args := []string{"test", "-tags", r.tags, "-vet=off", "-failfast", "-count=1", "-run", t.run, "-timeout", r.limit.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	return exec.Command("go", append(args, t.pkg)...).CombinedOutput()
}

// write puts the altered copy and the overlay that names it into dir.
func (m mutant) write(dir string) (string, error) {
	src, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	altered := slices.Concat(src[:m.start], []byte(m.with), src[m.end:])
	path := filepath.Join(dir, filepath.Base(m.file))
	abs, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	j, err := json.Marshal(map[string]map[string]string{"Replace": {abs: path}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, altered, 0o600); err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, j, 0o600)
}

// equivalents reads .ci/mutate/equivalent.txt: a mutant's key, a tab, and why no test can tell it from the product.
func equivalents() (map[string]string, error) {
	f, err := os.Open(".ci/mutate/equivalent.txt")
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]string{}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if key, why, ok := strings.Cut(sc.Text(), "\t"); ok {
			out[key] = why
		}
	}
	return out, nil
}

// mutants are all of the files, by file and place.
func mutants(globs []string) ([]mutant, error) {
	var out []mutant
	for _, g := range globs {
		files, err := filepath.Glob(g)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			ms, err := mutantsOf(f)
			if err != nil {
				return nil, err
			}
			out = append(out, ms...)
		}
	}
	return out, nil
}

// maker collects the mutants of one file.
type maker struct {
	file string
	src  []byte
	fset *token.FileSet
	out  []mutant
	seen map[string]bool
	in   string
}

// named is the name of a declaration.
func named(d ast.Decl) string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return d.Name.Name
	case *ast.GenDecl:
		if len(d.Specs) > 0 {
			if v, ok := d.Specs[0].(*ast.ValueSpec); ok {
				return v.Names[0].Name
			}
		}
	}
	return ""
}

func mutantsOf(file string) ([]mutant, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	k := &maker{file: file, src: src, fset: token.NewFileSet(), seen: map[string]bool{}}
	parsed, err := parser.ParseFile(k.fset, file, src, 0)
	if err != nil {
		return nil, err
	}
	for _, d := range parsed.Decls {
		k.in = named(d)
		ast.Inspect(d, k.visit)
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			k.returns(f.Type, f.Body)
		}
	}
	slices.SortStableFunc(k.out, func(a, b mutant) int { return a.start - b.start })
	same := map[string]int{}
	for i := range k.out {
		key := k.out[i].key()
		same[key]++
		k.out[i].nth = same[key]
	}
	return k.out, nil
}

func (k *maker) text(n ast.Node) string { return string(k.src[k.at(n.Pos()):k.at(n.End())]) }

func (k *maker) at(p token.Pos) int { return k.fset.Position(p).Offset }

func (k *maker) add(kind string, from, to token.Pos, with string) {
	m := mutant{file: k.file, line: k.fset.Position(from).Line, in: k.in, kind: kind, start: k.at(from), end: k.at(to), with: with}
	m.old = string(k.src[m.start:m.end])
	id := fmt.Sprint(m.start, m.end, with)
	if m.old == with || k.seen[id] {
		return
	}
	k.seen[id] = true
	k.out = append(k.out, m)
}

func (k *maker) replace(kind string, n ast.Node, with string) { k.add(kind, n.Pos(), n.End(), with) }

func (k *maker) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		k.condition(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			k.replace("a loop that does not run", n.Cond, "false && ("+k.text(n.Cond)+")")
		}
	case *ast.BinaryExpr:
		if n.Op == token.LAND || n.Op == token.LOR {
			k.halves(n)
		}
	case *ast.CompositeLit:
		k.composite(n)
	case *ast.CallExpr:
		k.words(n)
	case *ast.CaseClause:
		k.clause(n)
	case *ast.BlockStmt:
		k.statements(n.List)
	}
	return true
}

// condition never holds, or is turned round.
func (k *maker) condition(c ast.Expr) {
	text := k.text(c)
	k.replace("never", c, "false && ("+text+")")
	k.replace("turned round", c, "!("+text+")")
}

// halves leaves one side of && or || out. What it uses is still used.
func (k *maker) halves(b *ast.BinaryExpr) {
	neutral := "true || "
	if b.Op == token.LOR {
		neutral = "false && "
	}
	k.replace("half", b.X, "("+neutral+k.text(b.X)+")")
	k.replace("half", b.Y, "("+neutral+k.text(b.Y)+")")
}

// composite: rows of the table, and lists of words.
func (k *maker) composite(c *ast.CompositeLit) {
	if a, ok := c.Type.(*ast.ArrayType); ok && len(c.Elts) > 0 {
		if id, ok := a.Elt.(*ast.Ident); ok && (id.Name == "row" || id.Name == "string") {
			for i, e := range c.Elts {
				end := e.End()
				if i+1 < len(c.Elts) {
					end = c.Elts[i+1].Pos()
				}
				if id.Name == "row" {
					k.row(e.(*ast.CompositeLit))
					continue
				}
				if i+1 < len(c.Elts) || i == 0 {
					k.add("without", e.Pos(), end, "")
				} else {
					k.add("without", c.Elts[i-1].End(), e.End(), "")
				}
			}
		}
	}
	if _, ok := c.Type.(*ast.MapType); ok {
		for i, e := range c.Elts {
			if i+1 < len(c.Elts) {
				k.add("without", e.Pos(), c.Elts[i+1].Pos(), "")
			} else if i > 0 {
				k.add("without", c.Elts[i-1].End(), e.End(), "")
			}
		}
	}
}

// row is gone, says Read, takes any option, has no rule, lacks an alias.
func (k *maker) row(c *ast.CompositeLit) {
	fields := map[string]ast.Expr{}
	for _, e := range c.Elts {
		kv := e.(*ast.KeyValueExpr)
		fields[kv.Key.(*ast.Ident).Name] = kv.Value
	}
	end := c.End()
	if i := k.at(end); i < len(k.src) && k.src[i] == ',' {
		end++
	}
	k.add("no row", c.Pos(), end, "")
	if class := fields["class"]; class != nil && k.text(class) != "Read" {
		k.replace("a read", class, "Read")
	}
	if rule := fields["rule"]; rule != nil {
		k.replace("no rule", rule, "nil")
	}
	if o := fields["options"]; o != nil && k.text(o) != `"*"` {
		k.replace("any option", o, `"*"`)
	}
	if len(c.Elts) > 0 && fields["options"] == nil {
		k.add("any option", c.Elts[0].Pos(), c.Elts[0].Pos(), `options: "*", `)
	}
	if names, ok := fields["names"].(*ast.BasicLit); ok {
		if words := strings.Fields(strings.Trim(names.Value, `"`)); len(words) > 1 {
			for i := range words {
				k.replace("without an alias", names, fmt.Sprintf("%q", strings.Join(slices.Delete(slices.Clone(words), i, i+1), " ")))
			}
		}
	}
}

// words of set("a b c"): each is left out.
func (k *maker) words(c *ast.CallExpr) {
	id, ok := c.Fun.(*ast.Ident)
	if !ok || id.Name != "set" || len(c.Args) != 1 {
		return
	}
	ast.Inspect(c.Args[0], func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			for _, at := range regexp.MustCompile(`[^\s"]+`).FindAllStringIndex(l.Value, -1) {
				k.add("without", l.Pos()+token.Pos(at[0]), l.Pos()+token.Pos(at[1]), "")
			}
		}
		return true
	})
}

// clause: a case is gone, or one of its values.
func (k *maker) clause(c *ast.CaseClause) {
	if len(c.List) == 0 {
		return
	}
	for i, e := range c.List {
		switch {
		case len(c.List) == 1:
		case i+1 < len(c.List):
			k.add("not this case", e.Pos(), c.List[i+1].Pos(), "")
		default:
			k.add("not this case", c.List[i-1].End(), e.End(), "")
		}
	}
	k.add("no case", c.Pos(), c.End(), "")
}

// statements that do something and whose result nobody waits for are gone.
func (k *maker) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			k.replace("not done", s, "")
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				keep := ""
				for _, e := range s.Rhs {
					keep += "_ = " + k.text(e) + ";"
				}
				k.replace("not done", s, keep)
			}
		case *ast.ReturnStmt:
			if len(s.Results) == 0 {
				k.replace("goes on", s, "")
			}
		}
	}
}

// returns: an error is not returned.
func (k *maker) returns(f *ast.FuncType, body *ast.BlockStmt) {
	fails := false
	if f.Results != nil && len(f.Results.List) > 0 {
		id, ok := f.Results.List[len(f.Results.List)-1].Type.(*ast.Ident)
		fails = ok && id.Name == "error"
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			k.returns(n.Type, n.Body)
			return false
		case *ast.ReturnStmt:
			if fails && len(n.Results) > 0 {
				if last := n.Results[len(n.Results)-1]; k.text(last) != "nil" {
					k.replace("no error", last, "nil")
				}
			}
		}
		return true
	})
}
