package shell

import (
	"testing"
	"time"
)

// TestKeysOfAChange: what is typed ahead while a change runs neither stops nor pauses it; keys that are pressed alone do, and to stop takes two.
func TestKeysOfAChange(t *testing.T) {
	const alone, typed = time.Second, 150 * time.Millisecond
	type press struct {
		key   string // more than one character came at once
		after time.Duration
	}
	line := func(text string, gap time.Duration) (out []press) {
		for i, r := range text {
			after := gap
			if i == 0 {
				after = alone
			}
			out = append(out, press{string(r), after})
		}
		return out
	}
	for name, c := range map[string]struct {
		presses []press
		want    keyState
	}{
		"nothing":                   {nil, runs},
		"s":                         {[]press{{"s", alone}}, asks},
		"s s":                       {[]press{{"s", alone}, {"s", alone}}, stops},
		"ss at once":                {[]press{{"ss", alone}}, runs},
		"ss quickly":                {line("ss", typed), runs},
		"s r":                       {[]press{{"s", alone}, {"r", alone}}, runs},
		"s x":                       {[]press{{"s", alone}, {"x", alone}}, runs},
		"p":                         {[]press{{"p", alone}}, pauses},
		"p r":                       {[]press{{"p", alone}, {"r", alone}}, runs},
		"p s s":                     {[]press{{"p", alone}, {"s", alone}, {"S", alone}}, stops},
		"q":                         {[]press{{"q", alone}}, runs},
		"a space":                   {[]press{{" ", alone}}, runs},
		"a line, typed":             {line("show collections\r", typed), runs},
		"a line that begins with p": {line("preview db.pets.drop()\r", typed), runs},
		"a line that ends with s":   {line("dbs", typed), runs},
		"a line, pasted":            {[]press{{"show dbs\r", alone}}, runs},
		"a line while paused":       {append([]press{{"p", alone}}, line("rs.status()", typed)...), pauses},
		"typed, then s s":           {append(line("show dbs", typed), press{"s", alone}, press{"s", alone}), stops},
	} {
		var k keys
		now := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
		for _, p := range c.presses {
			now = now.Add(p.after)
			k.press(rune(p.key[0]), len(p.key) == 1, now)
		}
		if k.state != c.want {
			t.Errorf("%s: %d, want %d", name, k.state, c.want)
		}
	}
}
