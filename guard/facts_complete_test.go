package guard_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// factsElsewhere are tests, besides the two tables, in which a fact is said, and in which it must not be; with their directory where that is not this one.
var factsElsewhere = map[string]string{
	"collection-scan":    "TestCollectionScan",
	"conflicts":          "TestUndoSaysWhereFrom",
	"differs-from-find":  "TestDiffersFromFind",
	"estimate":           "TestEstimateAndPart",
	"fields-only":        "TestUndoOfFields",
	"found-by":           "TestCollectionScan",
	"from-file":          "TestUndoSaysWhereFrom",
	"large":              "TestLarge",
	"leaves-chunks":      "TestGridFS",
	"lowers-marker":      "TestLowersMarker",
	"not-atomic":         "TestShardedDrop",
	"other-deployment":   "TestSetsOfOneName",
	"part":               "TestEstimateAndPart",
	"recalled":           "TestRecalled",
	"repeated":           "TestRepeated",
	"undefined-value":    "../shell TestUndefinedIsRefused",
	"unproven-server":    "TestUnprovenServer",
	"validator-conflict": "TestValidatorConflict",
	"volatile-backup":    "TestVolatileBackup",
}

// TestEveryFactHasBothCases: each code of plan/fact.go is said by something, and has a test in which it is said, and one in which it must not be.
func TestEveryFactHasBothCases(t *testing.T) {
	t.Parallel()
	names := factConstants(t)
	said, silent := map[string]bool{}, map[string]bool{}
	note := func(code, text string, quiet int) {
		if !slices.Contains(slices.Collect(maps.Values(names)), code) {
			t.Errorf("a table has the code %s, which plan/fact.go has not", code)
		}
		said[code] = said[code] || text != "" || code == "system-collection" || code == "not-pinnable" // of a refusal the code is what counts
		silent[code] = silent[code] || quiet > 0
	}
	for _, c := range findingsSaid {
		note(c.code, c.text, len(c.quiet))
	}
	for _, c := range catalogueSaid {
		note(c.code, c.text, len(c.quiet))
	}
	for code, where := range factsElsewhere {
		dir, test, ok := strings.Cut(where, " ")
		if !ok {
			dir, test = ".", where
		}
		if !declares(t, dir, test) {
			t.Errorf("%s: there is no test %s in %s", code, test, dir)
		}
		note(code, test, 1)
	}
	for name, code := range names {
		switch {
		case !saidBy(t, name) && code != "undefined-value": // said by shell/js, which does not import guard
			t.Errorf("%s: nothing says it", code)
		case !said[code]:
			t.Errorf("%s: there is no test in which it is said", code)
		case !silent[code]:
			t.Errorf("%s: there is no test in which it must not be said", code)
		}
	}
}

// factConstants are the codes of plan/fact.go, by the names of their constants.
func factConstants(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range parse(t, filepath.Join("plan", "fact.go")).Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if v.Type != nil { // a Severity
				continue
			}
			code, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[v.Names[0].Name] = code
		}
	}
	if len(out) < 40 {
		t.Fatalf("plan/fact.go has %d codes", len(out))
	}
	return out
}

// declares says whether a directory's tests have one of this name.
func declares(t *testing.T, dir, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(name string) bool {
		return slices.ContainsFunc(parse(t, name).Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && f.Recv == nil && f.Name.Name == test
		})
	})
}

// saidBy says whether something in this package or in plan, tests apart, uses a constant of plan/fact.go.
func saidBy(t *testing.T, name string) (used bool) {
	t.Helper()
	for _, dir := range []string{".", "plan"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") || e.Name() == "fact.go" {
				continue
			}
			ast.Inspect(parse(t, filepath.Join(dir, e.Name())), func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					pkg, _ := n.X.(*ast.Ident)
					used = used || pkg != nil && pkg.Name == "plan" && n.Sel.Name == name
					return false
				case *ast.CallExpr: // fact(Code, …) and r.fact(Code, …)
					for _, a := range n.Args[:min(1, len(n.Args))] {
						id, ok := a.(*ast.Ident)
						used = used || ok && dir == "plan" && id.Name == name
					}
				}
				return true
			})
		}
	}
	return used
}

var parsed = struct {
	sync.Mutex
	fset  *token.FileSet
	files map[string]*ast.File
}{fset: token.NewFileSet(), files: map[string]*ast.File{}}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	parsed.Lock()
	defer parsed.Unlock()
	if parsed.files[name] == nil {
		f, err := parser.ParseFile(parsed.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed.files[name] = f
	}
	return parsed.files[name]
}
