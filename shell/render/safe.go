package render

import (
	"regexp"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"respect/replay"
)

// Safe makes untrusted text harmless on a terminal: what could act on it stands as an escape.
func Safe(s string) string { return replay.Safe(s) }

// SafeLines is Safe but keeps newlines.
func SafeLines(s string) string { return replay.SafeLines(s) }

// SafeText is SafeLines but keeps tabs too: what a script prints in columns.
func SafeText(s string) string {
	if !strings.Contains(s, "\t") {
		return SafeLines(s)
	}
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = SafeLines(parts[i])
	}
	return strings.Join(parts, "\t")
}

var painted = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Uncolored is text of a Style with its colours taken out, and the blanks that fill a coloured line.
func Uncolored(s string) string { return replay.Uncolored(s) }

// Width is the number of columns that text takes on a terminal. Colours take none.
func Width(s string) int { return ansi.StringWidth(s) }

// Cut shortens text to a width, with "…" at its end if something is missing. Colours stay whole.
func Cut(s string, width int) string { return ansi.Truncate(s, max(width, 1), "…") }

// Wrap breaks text into lines of at most width columns, at spaces where there are any. Colours end with the line and begin again with the next.
func Wrap(s string, width int) []string {
	var out []string
	for _, para := range strings.Split(s, "\n") {
		out = append(out, wrapWords(strings.Fields(para), " ", max(width, 8))...)
	}
	return repainted(out)
}

// WrapKeeping is Wrap where each space stays as it is: in values they are part of them.
func WrapKeeping(s string, width int) []string {
	var words []string
	start := 0
	for i := 1; i < len(s); i++ {
		if s[i-1] == ' ' && s[i] != ' ' {
			words, start = append(words, s[start:i]), i
		}
	}
	return repainted(wrapWords(append(words, s[start:]), "", max(width, 8)))
}

// wrapWords puts words on lines, with something between two on one line. Only what is wider than a line is broken.
func wrapWords(words []string, between string, width int) (out []string) {
	line := ""
	for _, word := range words {
		fits := func(w string) bool { return Width(strings.TrimRight(w, " ")) <= width }
		if line != "" && fits(line+between+word) {
			line += between + word
			continue
		}
		if line != "" {
			out = append(out, line)
		}
		for line = word; !fits(line); {
			out, line = append(out, ansi.Cut(line, 0, width)), ansi.Cut(line, width, Width(line))
		}
	}
	return append(out, line)
}

// repainted ends the colours of each line with it, so that lines may be left out.
func repainted(lines []string) []string {
	const plain = "\x1b[0m"
	open := ""
	for i, l := range lines {
		before := open
		for _, code := range painted.FindAllString(l, -1) {
			if open = code; strings.HasPrefix(code, "\x1b[0") || code == "\x1b[m" {
				open = ""
			}
		}
		if lines[i] = before + l; open != "" {
			lines[i] += plain
		}
	}
	return lines
}
