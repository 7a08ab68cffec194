package terminal

import (
	"io"
	"strings"
	"testing"
	"time"
)

// asked is a terminal on which these reads come in once a question can be answered: one every tick of a clock, and then nothing.
type asked struct {
	pressed
	now  time.Time
	tick time.Duration
	wait int // reads that bring nothing, so that it is silent
}

func (a *asked) read(d time.Duration) ([]byte, error) {
	if a.wait > 0 {
		a.wait--
		a.now = a.now.Add(d)
		return nil, nil
	}
	if a.tick > 0 {
		a.now = a.now.Add(a.tick)
	}
	b, err := a.pressed.read(d)
	if len(b) == 0 {
		a.now = a.now.Add(d)
	}
	return b, err
}

func (a *asked) arrive(d time.Duration) (b []byte, from, to time.Time, err error) {
	from = a.now
	if b, err = a.read(d); len(b) == 0 {
		from = a.now
	}
	return b, from, a.now, err
}

// What was pasted at a question confirms nothing, and is in the record all the same.
func TestAPasteIsRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		reads        []string
		text, manner string
	}{
		"a bracketed paste":             {[]string{"\x1b[200~famigo.families 68\x1b[201~"}, "famigo.families 68", "pasted"},
		"a paste in several reads":      {[]string{"\x1b[200~famigo.fam", "ilies 68", "\r\nyes\x1b[201~\r"}, "famigo.families 68\nyes", "pasted"},
		"a paste behind what was typed": {[]string{"f", "a", "\x1b[200~migo 1\x1b[201~"}, "famigo 1", "pasted"},
		"several keys at once":          {[]string{"famigo.families 68\r"}, "famigo.families 68", "pasted"},
		"a long one":                    {[]string{"\x1b[200~" + strings.Repeat("x", 5000) + "\x1b[201~"}, strings.Repeat("x", 4096) + "… 904 bytes more", "pasted"},
		"typed":                         {[]string{"o", "k", "\r"}, "ok", "typed"},
	} {
		a := &asked{pressed: pressed{reads: c.reads, end: nil}, now: time.Unix(0, 0), tick: 50 * time.Millisecond, wait: 20}
		got, err := confirm(t.Context(), a, &tokenizer{}, "really?", "> ", func() time.Time { return a.now })
		if err != nil && err != io.EOF || got.Text != c.text || string(got.Manner) != c.manner {
			t.Errorf("%s: %q %s (%s), %v; want %q %s", name, got.Text, got.Manner, got.Note, err, c.text, c.manner)
		}
	}
}
