package render

import (
	"strings"
	"unicode/utf8"
)

// Fold breaks the lines of a text that is shown to people at words, so that none is wider than a terminal of so many columns: what follows stands below the text
// of its line, not below its label. Colours stay. A word that is wider than the terminal stays whole, so that it can be copied, but for where it begins. 0 columns fold nothing.
func Fold(text string, columns int) string {
	if columns <= 0 {
		return text
	}
	columns = max(columns, 20)
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, end := strings.TrimSuffix(line, "\n"), ""
		if len(body) < len(line) {
			end = "\n"
		}
		b.WriteString(foldLine(body, columns) + end)
	}
	return b.String()
}

func foldLine(line string, columns int) string {
	if Width(plain(line)) <= columns {
		return line
	}
	indent := strings.Repeat(" ", hanging(plain(line), columns))
	var b strings.Builder
	at, fresh := 0, true // columns of the row that is written; whether nothing but its indent is there
	for _, word := range wordsOf(line) {
		w := Width(plain(word))
		text := strings.TrimLeft(word, " ")
		switch {
		case at+w <= columns || fresh && at == 0:
			b.WriteString(word)
			at += w
		case fresh:
			b.WriteString(text)
			at += Width(plain(text))
		default:
			b.WriteString("\n" + indent + text)
			at = len(indent) + Width(plain(text))
		}
		fresh = fresh && strings.TrimSpace(plain(word)) == ""
	}
	return b.String()
}

// wordsOf cuts a line before the blanks that stand between words: the words together are the line.
func wordsOf(line string) (out []string) {
	from, letter := 0, false
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRuneInString(line[i:])
		if r == ' ' && letter {
			out = append(out, line[from:i])
			from, letter = i, false
		}
		letter = letter || r != ' '
		i += n
	}
	return append(out, line[from:])
}

// plain is a line without its colours.
func plain(line string) string {
	if !strings.Contains(line, "\x1b") {
		return line
	}
	return painted.ReplaceAllString(line, "")
}

// hangs begin lines whose text goes on below itself.
var hangs = []string{"hint: ", "error: ", "warning: ", "refused: ", "> ", "| ", "┃ "}

// hanging is the column below which a line goes on: behind its label, or where its last column of text begins if that is not too far to the right.
func hanging(line string, columns int) int {
	text := strings.TrimLeft(line, " ")
	indent := len(line) - len(text)
	for _, l := range hangs {
		if strings.HasPrefix(text, l) {
			return indent + Width(l)
		}
	}
	if i := strings.Index(text, "  "); i > 0 { // a table: its second column
		at := indent + Width(text[:i]) + len(text[i:]) - len(strings.TrimLeft(text[i:], " "))
		if at <= columns/2 {
			return at
		}
	}
	if indent == 0 {
		return 2
	}
	return min(indent, columns/2)
}
