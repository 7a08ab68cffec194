package replay

import (
	"strings"
	"testing"
)

func TestPainted(t *testing.T) {
	const bar, red, off = "\x1b[97;41;1m", "\x1b[91m", "\x1b[0;0;22m"
	for name, c := range map[string]struct{ written, text, want string }{
		"no colours":               {"", "text\n", "text\n"},
		"as it was written":        {bar + "PRODUCTION    " + off + "\nand " + red + "red" + off + "\n", "PRODUCTION\nand red\n", "\x1b[0m" + bar + "PRODUCTION    \x1b[0m\nand \x1b[0m" + red + "red\x1b[0m\n"},
		"a colour that never ends": {red + "red", "red", "\x1b[0m" + red + "red\x1b[0m"},
		"another text":             {red + "deletes 1" + off, "deletes 9,120", "deletes 9,120"},
		"hidden":                   {"\x1b[8mhidden" + off, "hidden", "hidden"},
		"black on black":           {"\x1b[30;40mhidden" + off, "hidden", "hidden"},
		"red on red":               {"\x1b[31;41mhidden" + off, "hidden", "hidden"},
		"red on a bar":             {bar + red + "x" + off, "x", "\x1b[0m" + bar + "\x1b[0m" + red + "x\x1b[0m"},
		"the screen is cleared":    {red + "x" + off + "\x1b[2J", "x", "x"},
		"the title is set":         {red + "\x1b]0;x\x07y" + off, "\x1b]0;x\x07y", "\x1b[0m" + red + `\x1B]0;x\x07y` + "\x1b[0m"},
		"an escape in the text":    {"", "\x1b[91mred", `\x1B[91mred`},
		"many codes":               {"\x1b[38;2;0;0;0mx" + off, "x", "x"},
		"no numbers":               {"\x1b[;m" + "x", "x", "\x1b[0mx"},
	} {
		if got := Painted(c.written, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Whatever stands in a record, its text is what is shown, and only our own sequences are beside it.
func FuzzPainted(f *testing.F) {
	f.Add("\x1b[97;41;1mPRODUCTION   \x1b[0;0;22m\nx", "PRODUCTION\nx")
	f.Add("\x1b[2J\x1b[1mx", "x")
	f.Fuzz(func(t *testing.T, written, text string) {
		got := Painted(written, text)
		plain := sgr.ReplaceAllString(got, "")
		if strings.ContainsRune(plain, 0x1b) || plain != SafeLines(plain) {
			t.Errorf("Painted(%q, %q) = %q", written, text, got)
		}
		for _, m := range sgr.FindAllStringSubmatch(got, -1) {
			if colorOf(m[1]) == notOurs {
				t.Errorf("Painted(%q, %q) = %q: %q", written, text, got, m[0])
			}
		}
		if trimmed(plain) != trimmed(SafeLines(text)) {
			t.Errorf("Painted(%q, %q) = %q, which says something else", written, text, got)
		}
	})
}
