package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Help fits a terminal of 80 columns and 24 rows, with room for the prompt; each command says how it is called.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	var paths [][]string
	var walk func(*cobra.Command, []string)
	walk = func(c *cobra.Command, path []string) {
		paths = append(paths, path)
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk(new(app).root(), nil)
	if len(paths) < 25 {
		t.Fatalf("only %d commands", len(paths))
	}
	for _, path := range append(paths, []string{"policy", "format", "-"}) {
		args := append(path[:len(path):len(path)], "--help")
		if path != nil && path[len(path)-1] == "-" {
			args = path[:len(path)-1]
		}
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, os.Stdin, &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("respect %v: status %d, %s", args, code, errs.String())
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(path) > 1 && path[0] == "completion" {
			continue // cobra's own, with the lines that a shell wants
		}
		if len(lines) > 23 {
			t.Errorf("respect %v: %d lines\n%s", args, len(lines), out.String())
		}
		for _, l := range lines {
			if len(l) > 80 {
				t.Errorf("respect %v: %d columns: %s", args, len(l), l)
			}
		}
		if last := args[len(args)-1]; last == "--help" && !strings.Contains(out.String(), "usage: "+strings.TrimSpace("respect "+strings.Join(path, " "))) {
			t.Errorf("respect %v does not say how it is called:\n%s", args, out.String())
		}
	}
}
