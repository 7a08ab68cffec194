package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func raw(t *testing.T, text string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &d); err != nil {
		t.Fatal(err)
	}
	b, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDiffOnAScreen: paths in a column; what is too wide for a line stands below each other, cut in a preview, and whole where all of it is asked for.
func TestDiffOnAScreen(t *testing.T) {
	long := strings.Repeat("word  ", 20) // two spaces are two spaces
	before := raw(t, `{"_id": 1, "n": 1, "address": {"zip": 3000}, "list": [1, {"a": 1}], "s": "`+long+`", "t": [1]}`)
	after := raw(t, `{"_id": 1, "n": 2, "address": null, "list": [1, {"a": 2}], "s": ["`+long+`", "x"], "t": []}`)
	for _, c := range []struct {
		whole bool
		want  string
	}{
		{false, `
  n:        1 → 2
  address:  { zip: 3000 } → null
  list.1.a: 1 → 2
  s:        - 'word  word  word  word  word…
            + [ 'word  wo…  (string → array)
  t.0:      gone 1`},
		{true, `
  n:        1 → 2
  address:  { zip: 3000 } → null
  list.1.a: 1 → 2
  s:        - 'word  word  word  word  word
            word  word  word  word  word
            word  word  word  word  word
            word  word  word  word  word  '
            + [ 'word  word  word  word
            word  word  word  word  word
            word  word  word  word  word
            word  word  word  word  word
            word  ', 'x' ]  (string → array)
  t.0:      gone 1`},
	} {
		got := Style{Width: 45}.Diff(before, after, 2, c.whole)
		for i, l := range got {
			got[i] = strings.TrimRight(l, " ")
		}
		if d := cmp.Diff(strings.Split(strings.TrimPrefix(c.want, "\n"), "\n"), got); d != "" {
			t.Errorf("whole %v (-want +got):\n%s", c.whole, d)
		}
	}
	// Colours end with their line, so that a line can be left out; without them the text is the same.
	for _, whole := range []bool{false, true} {
		colored := Style{Width: 45, Color: true}.Diff(before, after, 2, whole)
		for _, l := range colored {
			if codes := painted.FindAllString(l, -1); len(codes) > 0 && !strings.HasPrefix(codes[len(codes)-1], "\x1b[0") {
				t.Errorf("%q does not end its colours", l)
			}
			if Width(l) > 45 {
				t.Errorf("%q is wider than the screen", l)
			}
		}
		trimmed := func(lines []string) string {
			for i := range lines {
				lines[i] = strings.TrimRight(lines[i], " ")
			}
			return strings.Join(lines, "\n")
		}
		plain := trimmed(strings.Split(Uncolored(strings.Join(colored, "\n")), "\n"))
		if d := cmp.Diff(trimmed(Style{Width: 45}.Diff(before, after, 2, whole)), plain); d != "" {
			t.Errorf("whole %v: colours change the text (-without +with):\n%s", whole, d)
		}
	}
}

func TestWidths(t *testing.T) {
	for text, want := range map[string]int{"abc": 3, "한국어": 6, "e\u0301": 1, "👩‍👩‍👧": 2, "\x1b[31mred\x1b[0m": 3, "→": 1} {
		if got := Width(text); got != want {
			t.Errorf("%q has %d columns, want %d", text, got, want)
		}
	}
	if got := Cut("\x1b[31mabcdef\x1b[0m", 4); Uncolored(got) != "abc…" || !strings.HasSuffix(got, "\x1b[0m") {
		t.Errorf("cut: %q", got)
	}
	for _, c := range []struct {
		got  []string
		want string
	}{
		{Wrap("one two three four", 9), "one two|three|four"},
		{Wrap("2026-12-01T10:00:00Z and-so-on", 22), "2026-12-01T10:00:00Z|and-so-on"}, // at spaces, not at hyphens
		{Wrap("aaaaaaaaaaaaaaaaaaaa b", 8), "aaaaaaaa|aaaaaaaa|aaaa b"},                // only what is wider than a line is broken
		{Wrap("한국어한국어 x", 8), "한국어한|국어 x"},
		{WrapKeeping("a  b  c   d", 8), "a  b  c   |d"},
		{WrapKeeping("", 8), ""},
	} {
		if got := strings.Join(c.got, "|"); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
