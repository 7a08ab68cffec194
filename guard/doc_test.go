package guard_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
