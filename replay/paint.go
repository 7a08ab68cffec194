package replay

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What was shown with colours is recorded twice: as its text, which is what is searched, quoted and compared, and as it was written. That is shown again only if
// nothing but our own colours is in it, and if it says the same as the text; of a record that somebody else wrote nothing else reaches a terminal.

var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// Uncolored is text without its colours, and without the blanks that fill a coloured line.
func Uncolored(s string) string {
	if !strings.Contains(s, "\x1b") {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		plain := sgr.ReplaceAllString(l, "")
		if plain != l && i < len(lines)-1 {
			plain = strings.TrimRight(plain, " ")
		}
		lines[i] = plain
	}
	return strings.Join(lines, "\n")
}

// Written is what is recorded of a text beside itself: how it was written, if it had colours and they may be recorded.
func Written(s string) string {
	if plain := Uncolored(s); plain == s || WithoutCredentials(plain) != plain {
		return ""
	}
	return s
}

// Painted is a recorded text as it was written: safe on a terminal, with its colours if they are ours.
func Painted(written, text string) string {
	safe := SafeLines(text)
	if written == "" || len(written) > 8*len(text)+4<<10 { // blanks alone could push a text from the screen
		return safe
	}
	out, plain := "", strings.Builder{}
	var b strings.Builder
	open := false
	for {
		at := sgr.FindStringSubmatchIndex(written)
		piece := written
		if at != nil {
			piece = written[:at[0]]
		}
		plain.WriteString(piece)
		b.WriteString(SafeLines(piece))
		if at == nil {
			break
		}
		kind := colorOf(written[at[2]:at[3]])
		if kind == notOurs {
			return safe
		}
		b.WriteString("\x1b[0m") // nothing adds up: a colour stands for itself
		if open = kind == begins; open {
			b.WriteString(written[at[0]:at[1]])
		}
		written = written[at[1]:]
	}
	if out = b.String(); open {
		out += "\x1b[0m"
	}
	if trimmed(plain.String()) != trimmed(text) {
		return safe
	}
	return out
}

// trimmed is text without blanks at the end of its lines.
func trimmed(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

type colorKind uint8

const (
	notOurs colorKind = iota
	begins
	ends
)

// bars are the colours of a background that we write; in no other ones can text be told from what is behind it on every terminal.
var bars = [][]int{{97, 41, 1}, {30, 43}, {30, 42}}

// colorOf says what a sequence does: the colours of text that no terminal hides, bold, the bars of environments, and the end of all that.
func colorOf(params string) colorKind {
	var codes []int
	for p := range strings.SplitSeq(params, ";") {
		n, err := strconv.Atoi(p)
		if err != nil && p != "" {
			return notOurs
		}
		codes = append(codes, n)
	}
	if !slices.ContainsFunc(codes, func(n int) bool { return n != 0 && n != 22 }) {
		return ends
	}
	if slices.ContainsFunc(bars, func(b []int) bool { return slices.Equal(b, codes) }) {
		return begins
	}
	for _, n := range codes {
		if n != 1 && (n < 31 || n > 36) && (n < 91 || n > 96) {
			return notOurs
		}
	}
	return begins
}
