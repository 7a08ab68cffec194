package render

import (
	"regexp"
	"strings"
	"unicode"

	"respect/replay"
)

// Safe makes untrusted text harmless on a terminal: what could act on it stands as an escape.
func Safe(s string) string { return replay.Safe(s) }

// SafeLines is Safe but keeps newlines.
func SafeLines(s string) string { return replay.SafeLines(s) }

var painted = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Uncolored is text of a Style with its colours taken out, and the blanks that fill a coloured line.
func Uncolored(s string) string { return replay.Uncolored(s) }

// Width is the number of columns that text takes on a terminal, roughly: East Asian wide characters and emoji take two.
func Width(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case r >= 0x1100 && (r <= 0x115f || (r >= 0x2e80 && r <= 0xa4cf) || (r >= 0xac00 && r <= 0xd7a3) || (r >= 0xf900 && r <= 0xfaff) ||
			(r >= 0xfe30 && r <= 0xfe6f) || (r >= 0xff00 && r <= 0xff60) || (r >= 0x1f300 && r <= 0x1faff) || (r >= 0x20000 && r <= 0x3fffd)):
			n += 2
		default:
			n++
		}
	}
	return n
}

// Cut shortens text to a width, with "…" at its end if something is missing.
func Cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	var b strings.Builder
	n := 0
	for _, r := range s {
		w := Width(string(r))
		if n+w > width-1 {
			break
		}
		b.WriteRune(r)
		n += w
	}
	return b.String() + "…"
}

// Wrap breaks text into lines of at most width columns, at spaces where there are any.
func Wrap(s string, width int) []string {
	if width < 8 {
		width = 8
	}
	var out []string
	for _, para := range strings.Split(s, "\n") {
		line := ""
		for _, word := range strings.Fields(para) {
			for Width(word) > width {
				if line != "" {
					out, line = append(out, line), ""
				}
				head := strings.TrimSuffix(Cut(word, width+1), "…")
				if Width(head) > width || head == "" {
					head = string([]rune(word)[:1])
				}
				out, word = append(out, head), word[len(head):]
			}
			switch {
			case line == "":
				line = word
			case Width(line)+1+Width(word) <= width:
				line += " " + word
			default:
				out, line = append(out, line), word
			}
		}
		out = append(out, line)
	}
	return out
}
