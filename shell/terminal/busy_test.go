package terminal

import (
	"strings"
	"testing"
	"time"
)

// keyboard is a terminal whose clock is held: keys come at their times, and a machine that is busy lets nobody look at them meanwhile.
type keyboard struct {
	now, empty time.Time
	keys       []stroke
	busy       [][2]time.Time
	out        strings.Builder
	react      func(k *keyboard) // once, when it is to be typed again
}

type stroke struct {
	at   time.Time
	text string
}

var start = time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)

func (k *keyboard) Write(b []byte) (int, error) {
	k.out.Write(b)
	if f := k.react; f != nil && strings.Contains(string(b), busy) {
		k.react = nil
		f(k)
	}
	return len(b), nil
}

func (*keyboard) raw() error { return nil }

func (*keyboard) Busy() error { return nil }

func (k *keyboard) discard() error {
	for len(k.keys) > 0 && !k.keys[0].at.After(k.now) {
		k.keys = k.keys[1:]
	}
	k.empty = k.now
	return nil
}

func (k *keyboard) read(d time.Duration) ([]byte, error) {
	b, _, _, err := k.arrive(d)
	return b, err
}

func (k *keyboard) arrive(d time.Duration) (b []byte, from, to time.Time, err error) {
	end := k.now.Add(d)
	wake := end
	if len(k.keys) > 0 && k.keys[0].at.Before(wake) {
		wake = k.keys[0].at
	}
	if wake.Before(k.now) {
		wake = k.now
	}
	for _, s := range k.busy {
		if !wake.Before(s[0]) && wake.Before(s[1]) {
			wake = s[1]
		}
	}
	k.now = wake
	for len(k.keys) > 0 && !k.keys[0].at.After(k.now) {
		b = append(b, k.keys[0].text...)
		k.keys = k.keys[1:]
	}
	if len(b) == 0 {
		k.empty = end
		return nil, end, end, nil
	}
	from, k.empty = k.empty, k.now
	return b, from, k.now, nil
}

// types presses keys one after the other from a time on.
func (k *keyboard) types(from time.Duration, text string, gap time.Duration) *keyboard {
	at := start.Add(from)
	for _, r := range text {
		k.keys = append(k.keys, stroke{at, string(r)})
		at = at.Add(gap)
	}
	return k
}

// sends is what comes at once.
func (k *keyboard) sends(at time.Duration, text string) *keyboard {
	k.keys = append(k.keys, stroke{start.Add(at), text})
	return k
}

func (k *keyboard) stalls(from, to time.Duration) *keyboard {
	k.busy = append(k.busy, [2]time.Time{start.Add(from), start.Add(to)})
	return k
}

// often lets the machine be busy again and again: of each period it takes a part.
func (k *keyboard) often(period, part time.Duration) *keyboard {
	for at := time.Second; at < 30*time.Second; at += period {
		k.stalls(at, at+part)
	}
	return k
}

func (k *keyboard) retypes(text string, gap time.Duration) *keyboard {
	k.react = func(k *keyboard) {
		k.keys = nil
		k.types(k.now.Sub(start)+time.Second, text, gap)
	}
	return k
}

const sec, ms = time.Second, time.Millisecond

// A person who types is understood on a machine that is busy. What was prepared is not, busy or not.
func TestConfirm(t *testing.T) {
	const phrase = "shop.orders 300 k7q"
	board := func() *keyboard { return &keyboard{now: start, empty: start} }
	for name, tt := range map[string]struct {
		k      *keyboard
		manner Manner
		text   string
		again  bool
	}{
		"typed":                               {board().types(sec, phrase+"\r", 150*ms), Typed, phrase, false},
		"typed fast":                          {board().types(sec, phrase+"\r", 40*ms), Typed, phrase, false},
		"corrected":                           {board().types(sec, "shpx\x7f\x7fop\r", 150*ms), Typed, "shop", false},
		"a stall of 300 ms in its middle":     {board().types(sec, phrase+"\r", 120*ms).stalls(2*sec, 2300*ms), Typed, phrase, false},
		"a stall over half a second":          {board().types(sec, phrase+"\r", 150*ms).stalls(1500*ms, 2200*ms), Typed, phrase, false},
		"a machine that is busy all the time": {board().types(sec, phrase+"\r", 160*ms).often(250*ms, 200*ms), Typed, phrase, false},
		"a machine that is very busy":         {board().types(sec, phrase+"\r", 100*ms).often(450*ms, 400*ms).retypes(phrase+"\r", 500*ms), Typed, phrase, true},
		"short stalls, keys come late and on time": {board().types(sec, phrase+"\r", 120*ms).stalls(1110*ms, 1238*ms).stalls(1470*ms, 1598*ms).stalls(1950*ms, 2078*ms).
			stalls(2430*ms, 2558*ms), Typed, phrase, false},
		"a stall at the end, with Enter":              {board().types(sec, phrase+"\r", 100*ms).stalls(2500*ms, 4*sec).retypes(phrase+"\r", 150*ms), Typed, phrase, true},
		"all of it in a stall":                        {board().types(sec, phrase+"\r", 100*ms).stalls(990*ms, 6*sec).retypes(phrase+"\r", 150*ms), Typed, phrase, true},
		"all but Enter in a stall":                    {board().types(sec, phrase, 100*ms).stalls(990*ms, 4*sec).types(5*sec, "\r", 0).retypes(phrase+"\r", 150*ms), Typed, phrase, true},
		"a stall, then no":                            {board().types(sec, phrase, 100*ms).stalls(990*ms, 4*sec).types(5*sec, "\x1b", 0), Aborted, "", false},
		"no, in a stall":                              {board().types(sec, "sho\x03", 100*ms).stalls(990*ms, 4*sec), Aborted, "", false},
		"again, and then nothing":                     {board().types(sec, phrase+"\r", 100*ms).stalls(990*ms, 6*sec), TimedOut, "", true},
		"again, and then it is pasted":                {board().types(sec, phrase+"\r", 100*ms).stalls(990*ms, 6*sec).sends(20*sec, phrase+"\r"), Pasted, "", true},
		"in one read":                                 {board().sends(sec, phrase+"\r"), Pasted, "", false},
		"in one read without Enter":                   {board().sends(sec, phrase).types(2*sec, "\r", 0), Pasted, "", false},
		"two keys in one read":                        {board().types(sec, "sh", 100*ms).sends(2*sec, "op"), Pasted, "", false},
		"with brackets":                               {board().sends(sec, "\x1b[200~"+phrase+"\x1b[201~").types(2*sec, "\r", 0), Pasted, "", false},
		"with brackets, in a stall":                   {board().sends(1500*ms, "\x1b[200~"+phrase+"\x1b[201~").stalls(sec, 4*sec).types(5*sec, "\r", 0), Pasted, "", false},
		"dripping, 1 ms":                              {board().types(sec, phrase+"\r", 1*ms), Pasted, "", false},
		"dripping, 5 ms":                              {board().types(sec, phrase+"\r", 5*ms), Pasted, "", false},
		"dripping, 11 ms":                             {board().types(sec, phrase+"\r", 11*ms), Pasted, "", false},
		"in one read, in a stall":                     {board().sends(1500*ms, phrase+"\r").stalls(sec, 4*sec), TimedOut, "", true},
		"in one read without Enter, in a stall":       {board().sends(1500*ms, phrase).stalls(sec, 4*sec).types(5*sec, "\r", 0), TimedOut, "", true},
		"in one read, in a short stall":               {board().sends(1050*ms, phrase+"\r").stalls(sec, 1200*ms), Pasted, "", false},
		"dripping, in a stall":                        {board().types(1100*ms, phrase+"\r", 5*ms).stalls(sec, 4*sec), TimedOut, "", true},
		"dripping, over the end of a stall":           {board().types(1990*ms, phrase+"\r", 5*ms).stalls(sec, 2*sec), Pasted, "", false},
		"in pieces, each in a stall":                  {board().sends(1100*ms, "shop.").sends(2100*ms, "orders").sends(3100*ms, " 300 k7q").stalls(sec, 1500*ms).stalls(2*sec, 2500*ms).stalls(3*sec, 3500*ms).types(5*sec, "\r", 0), TimedOut, "", true},
		"typed ahead":                                 {board().sends(0, phrase+"\r").types(sec, "\x1b", 0), Aborted, "", false},
		"typed ahead, while the silence is not heard": {board().sends(100*ms, phrase+"\r").stalls(20*ms, 2*sec).types(3*sec, "\x1b", 0), Aborted, "", false},
		"typed ahead, key by key, in a stall":         {board().types(100*ms, phrase+"\r", 60*ms).stalls(20*ms, 2*sec).types(4*sec, "\x1b", 0), Aborted, "", false},
		"it does not stop coming":                     {board().types(0, strings.Repeat("x", 200), 100*ms), Pasted, "", false},
	} {
		a, err := confirm(t.Context(), tt.k, &tokenizer{}, "?", "> ", func() time.Time { return tt.k.now })
		if err != nil || a.Manner != tt.manner || tt.manner == Typed && a.Text != tt.text {
			t.Errorf("%s: %s %q (%s) %v, want %s %q", name, a.Manner, a.Text, a.Note, err, tt.manner, tt.text)
		}
		if again := strings.Contains(tt.k.out.String(), busy); again != tt.again {
			t.Errorf("%s: to be typed again: %v, want %v", name, again, tt.again)
		}
	}
}
