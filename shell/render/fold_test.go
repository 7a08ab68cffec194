package render

import (
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	const red, off = "\x1b[31m", "\x1b[0m"
	for _, c := range []struct {
		text    string
		columns int
		want    string
	}{
		{"short\n", 20, "short\n"},
		{"no terminal, no end of the line, whatever it is\n", 0, "no terminal, no end of the line, whatever it is\n"},
		{"one two three four five six\n", 20, "one two three four\n  five six\n"},
		{"hint: one two three four five", 20, "hint: one two three\n      four five"},
		{"  name    what it does and why\n", 24, "  name    what it does\n          and why\n"},
		{"a table with a very long first column  text behind it\n", 24, "a table with a very long\n  first column  text\n  behind it\n"},
		{"see /a/path/that/is/longer/than/the/line now\n", 20, "see\n  /a/path/that/is/longer/than/the/line\n  now\n"},
		{red + "refused: one two three four" + off + "\n", 20, red + "refused: one two\n         three four" + off + "\n"},
		{"新しい 文書 を 消す こと\n", 20, "新しい 文書 を 消す\n  こと\n"},
		{"| { a: 1, b: 2, c: 3, d: 4 }", 20, "| { a: 1, b: 2, c:\n  3, d: 4 }"},
	} {
		got := Fold(c.text, c.columns)
		if got != c.want {
			t.Errorf("Fold(%q, %d) = %q, want %q", c.text, c.columns, got, c.want)
		}
	}
}

// Whatever the width, nothing is lost, and no line is wider unless it is one word.
func TestFoldAtAnyWidth(t *testing.T) {
	const text = "  help  STATEMENT  show what a statement would change, and change nothing at all\nhint: --reason TEXT gives it beforehand: respect --reason 'ticket 4711' mongodb://db.example.net:27017/famigo\n"
	for columns := 20; columns < 130; columns++ {
		got := Fold(text, columns)
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
			t.Fatalf("%d columns: %q", columns, got)
		}
		for line := range strings.Lines(got) {
			if line = strings.TrimRight(line, "\n"); Width(line) > columns && len(strings.Fields(line)) > 1 {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
	}
}
