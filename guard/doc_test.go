package guard_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocNamesRealTests: the table of promises names tests that are there, and each promise.
func TestDocNamesRealTests(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			var b []byte
			b, err = os.ReadFile(path)
			tests.Write(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`Test[A-Z]\w+`).FindAllString(string(doc), -1)
	if len(names) < 20 {
		t.Errorf("doc.go names %d tests", len(names))
	}
	for _, n := range names {
		if !strings.Contains(tests.String(), "func "+n+"(t *testing.T)") {
			t.Errorf("doc.go names %s, and there is no such test", n)
		}
	}
	for _, p := range strings.Fields("P1 P2 P3 P4 P5 P6 P7 P8 P9 P10") {
		if !strings.Contains(string(doc), "//\t"+p+" ") {
			t.Errorf("doc.go has no row for %s", p)
		}
	}
	for _, script := range regexp.MustCompile(`TestScript \((\w+)\)`).FindAllStringSubmatch(string(doc), -1) {
		if _, err := os.Stat("../cmd/respect/testdata/script/" + script[1] + ".txtar"); err != nil {
			t.Error(err)
		}
	}
}

// TestDocNamesEveryWayOut: the table of the places where a command leaves the process has all of them, each in its file, and no other.
func TestDocNamesEveryWayOut(t *testing.T) {
	t.Parallel()
	var want []string
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, d := range parse(t, name).Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && leaves(call) {
					want = append(want, method(f)+" "+name)
				}
				return true
			})
		}
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range regexp.MustCompile(`(?m)^//\t(\w+\.\w+) +(\w+\.go)  `).FindAllStringSubmatch(string(doc), -1) {
		got = append(got, row[1]+" "+row[2])
	}
	slices.Sort(want)
	slices.Sort(got)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Errorf("commands leave in\n%s\ndoc.go says\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// leaves says whether a call is one of wire.Server.Run: d.server.Run, d.wire().Run.
func leaves(call *ast.CallExpr) bool {
	run, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || run.Sel.Name != "Run" {
		return false
	}
	of := run.X
	if c, ok := of.(*ast.CallExpr); ok {
		of = c.Fun
	}
	x, ok := of.(*ast.SelectorExpr)
	return ok && (x.Sel.Name == "server" || x.Sel.Name == "wire")
}

// method is a function with its receiver's type.
func method(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if p, ok := of.(*ast.StarExpr); ok {
		of = p.X
	}
	return of.(*ast.Ident).Name + "." + f.Name.Name
}
