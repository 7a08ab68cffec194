package replay

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Hostile says whether a character can act on a terminal or mislead the eye: C0 and C1 controls, format characters (bidirectional, zero-width, tags),
// line separators, private use.
func Hostile(r rune) bool {
	return r < 0x20 || (r >= 0x7f && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co))
}

// Safe makes untrusted text harmless on a terminal: hostile characters and what is not valid UTF-8 stand as escapes.
// Safe(Safe(s)) == Safe(s).
func Safe(s string) string { return escape(s, false) }

// SafeLines is Safe but keeps newlines.
func SafeLines(s string) string { return escape(s, true) }

func escape(s string, newlines bool) string {
	if isSafe(s, newlines) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' && newlines:
			b.WriteRune(r)
		case Hostile(r):
			b.WriteString(EscapeRune(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isSafe(s string, newlines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if Hostile(r) && !(r == '\n' && newlines) {
			return false
		}
	}
	return true
}

// EscapeRune is a character as an escape that JavaScript reads back.
func EscapeRune(r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\t':
		return `\t`
	case r == '\r':
		return `\r`
	case r < 0x100:
		return fmt.Sprintf(`\x%02X`, r)
	case r < 0x10000:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\u{%x}`, r)
}

// HarmlessJSON writes hostile characters and invalid bytes in JSON as escapes. What this program recorded has none.
func HarmlessJSON(b []byte) []byte {
	var out []byte
	done := 0
	for i := 0; i < len(b); {
		if b[i] < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if !Hostile(r) && (r != utf8.RuneError || n > 1) {
			i += n
			continue
		}
		out = append(out, b[done:i]...)
		switch {
		case r == utf8.RuneError:
			out = append(out, `\ufffd`...)
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
		done = i
	}
	if done == 0 {
		return b
	}
	return append(out, b[done:]...)
}
