package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string // of the non-test files
}

// TestImports holds the house rules: which way imports may point, and why.
func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "respect/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) < 15 {
		t.Fatalf("only %d packages", len(pkgs))
	}
	for _, p := range pkgs {
		path := strings.TrimPrefix(p.ImportPath, "respect/")
		for _, imp := range p.Imports {
			for _, r := range rules {
				if r.about(path) && r.forbids(path, imp) {
					t.Errorf("%s imports %s: %s", path, imp, r.why)
				}
			}
		}
	}
}

type rule struct {
	about   func(path string) bool
	forbids func(path, imp string) bool
	why     string
}

const (
	driver = "go.mongodb.org/mongo-driver/v2/mongo"
	color  = "github.com/fatih/color"
	yaml   = "go.yaml.in/yaml"
)

// forTests are packages that only tests import.
func forTests(path string) bool { return strings.HasSuffix(path, "test") }

func product(path string) bool { return !forTests(path) }

func in(dirs ...string) func(string) bool {
	return func(path string) bool {
		for _, d := range dirs {
			if path == d || strings.HasPrefix(path, d+"/") {
				return product(path)
			}
		}
		return false
	}
}

func exactly(paths ...string) func(string) bool {
	return func(path string) bool {
		for _, p := range paths {
			if path == p {
				return true
			}
		}
		return false
	}
}

func std(imp string) bool { return !strings.Contains(strings.Split(imp, "/")[0], ".") && !own(imp) }

func own(imp string) bool { return imp == "respect" || strings.HasPrefix(imp, "respect/") }

// below says whether an import is a module or package, or one below it.
func below(imp string, modules ...string) bool {
	for _, m := range modules {
		if imp == m || strings.HasPrefix(imp, m+"/") {
			return true
		}
	}
	return false
}

// oneDoor: a heavy dependency has one importing package.
func oneDoor(door string, modules ...string) rule {
	return rule{
		func(path string) bool { return product(path) && path != door },
		func(_, imp string) bool { return below(imp, modules...) },
		"R4: only " + door + " imports it: a heavy dependency has one door",
	}
}

var rules = []rule{
	{in("replay"), func(path, imp string) bool {
		return !std(imp) && !below(imp, "respect/replay") && !(path == "replay/journal" && imp == "golang.org/x/mod/sumdb/note")
	},
		"R1: an auditor must not need to trust what he audits"},
	{in("guard"), func(_, imp string) bool {
		return below(imp, "respect/shell", "respect/cmd", "github.com/dop251/goja", "github.com/c-bata/go-prompt", color)
	}, "R2: the gate cannot be persuaded by what it guards"},
	{func(path string) bool { return product(path) && path != "guard/internal/wire" }, func(_, imp string) bool { return below(imp, driver, "go.mongodb.org/mongo-driver/v2/event") },
		"R3: there is no client to get hold of"},
	oneDoor("shell/js", "github.com/dop251/goja"),
	oneDoor("shell/terminal", "github.com/c-bata/go-prompt", "golang.org/x/term"),
	oneDoor("shell/render", color),
	oneDoor("guard/embedded", "github.com/FerretDB/FerretDB", "modernc.org/sqlite"),
	oneDoor("cmd/respect", "github.com/spf13/cobra", "github.com/spf13/pflag"),
	oneDoor("guard/policy", yaml),
	{product, func(_, imp string) bool {
		return below(imp, "github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "github.com/creack/pty", "github.com/hinshun/vt10x", "testing") || (own(imp) && forTests(imp))
	}, "R4: it is for tests"},
	{exactly("guard/command", "guard/policy", "guard/update", "shell/complete", "shell/render"), func(_, imp string) bool {
		return below(imp, "os", "net", "context", "io/fs", "syscall", "time/tzdata")
	}, "R5: purity is visible in the import list"},
	{exactly("guard/command", "guard/policy", "guard/update"), func(_, imp string) bool {
		return !std(imp) && !below(imp, "go.mongodb.org/mongo-driver/v2/bson", "go.mongodb.org/mongo-driver/v2/x/bsonx", yaml, "respect/guard/command", "respect/guard/environment", "respect/guard/policy", "respect/guard/update")
	}, "R5: bson and the standard library; policy parses YAML, whose library turns bytes into values and does nothing else"},
	{exactly("guard/plan"), func(_, imp string) bool { return below(imp, "respect/guard/internal") },
		"a plan is made with reads only, through the small Reader that it is given"},
	{in("shell/js"), func(_, imp string) bool { return below(imp, "respect/guard") },
		"JavaScript reaches commands through the Runner that it defines"},
}
