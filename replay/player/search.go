package player

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"respect/replay"
)

// Hit is one place where a text was found.
type Hit struct {
	Session string    `json:"session"`
	User    string    `json:"user"`
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Where   string    `json:"where"` // input, output, namespace, command, fact, preview, look, answer, refusal, reason, summary, deployment, outcome, receipt, pruned, security
	Change  string    `json:"change,omitempty"`
	Excerpt string    `json:"excerpt"`
}

// Search finds a text, in any case, in what was typed, shown, sent, answered and refused, and hands over each hit. There is at most one for each place of an
// event. An error of each ends it.
func (r Record) Search(text string, each func(Hit) error) error {
	if text == "" {
		return nil
	}
	tail := "" // of the output before: what was shown may be recorded in two pieces, and the text stand in both
	return r.events(func(e replay.Event) error {
		places, change, err := texts(e)
		if err != nil {
			return err
		}
		if e.Kind != replay.KindOutput {
			tail = ""
		}
		seen := map[string]bool{}
		for _, p := range places {
			if p.where == "output" {
				p.text = tail + p.text
				tail = lastRunes(p.text, utf8.RuneCountInString(text)-1)
			}
			i := fold(p.text, text)
			if i < 0 || seen[p.where] {
				continue
			}
			seen[p.where] = true
			if err := each(Hit{Session: r.Session.ID, User: r.Session.Open.Who.User, Seq: e.Seq, Time: e.Time, Where: p.where, Change: change, Excerpt: excerpt(p.text, i)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// lastRunes are the last n characters of a text.
func lastRunes(s string, n int) string {
	at := len(s)
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return s[at:]
}

type passage struct{ where, text string }

// texts are the parts of an event that people search, and the change that it belongs to.
func texts(e replay.Event) (out []passage, change string, err error) {
	add := func(where string, texts ...string) {
		for _, t := range texts {
			if t != "" {
				out = append(out, passage{where, t})
			}
		}
	}
	counts := func(counts []replay.Count) {
		for _, c := range counts {
			add("namespace", c.Namespace)
		}
	}
	look := map[replay.Kind]func() error{
		replay.KindConnect: into(e, func(b replay.Connect) { add("deployment", b.Deployment, b.Address, b.URI) }),
		replay.KindReason:  into(e, func(b replay.Reason) { add("reason", b.Text) }),
		replay.KindLooked: into(e, func(b replay.Looked) {
			change = b.Change
			add("look", b.Asked, b.Screen)
		}),
		replay.KindReceipt: into(e, func(b replay.Receipt) {
			change = b.Change
			add("receipt", b.Screen)
		}),
		replay.KindInput:  into(e, func(b replay.Input) { add("input", b.Text) }),
		replay.KindLoaded: into(e, func(b replay.Loaded) { add("loaded", b.Path, b.Text, b.SHA256) }),
		replay.KindCommand: into(e, func(b replay.Command) {
			change = b.Change
			add("namespace", b.Namespaces...)
			add("command", b.Text, b.Error, b.Database+"."+b.Name)
		}),
		replay.KindPlanned: into(e, func(b replay.Planned) {
			change = b.Change
			add("summary", b.Summary)
			counts(b.Counts)
			for _, f := range b.Facts {
				add("fact", f.Code, f.Text)
			}
		}),
		replay.KindDecided: into(e, func(b replay.Decided) {
			change = b.Change
			add("preview", b.Screen)
			add("answer", b.Answer, b.Why)
		}),
		replay.KindIntent: into(e, func(b replay.Intent) {
			change = b.Change
			counts(b.Counts)
		}),
		replay.KindOutcome: into(e, func(b replay.Outcome) {
			change = b.Change
			add("outcome", append(append([]string{b.Error, string(b.Status)}, b.Skipped...), b.Alarm...)...)
		}),
		replay.KindRefused:  into(e, func(b replay.Refused) { add("refusal", append([]string{b.Text, b.Code}, b.Hints...)...) }),
		replay.KindOutput:   into(e, func(b replay.Output) { add("output", b.Text) }),
		replay.KindRecovery: into(e, func(b replay.Recovery) { change = b.Change; add("outcome", b.Found, string(b.Status)) }),
		replay.KindPruned:   into(e, func(b replay.Pruned) { change = b.Change; add("pruned", b.Why) }),
		replay.KindSecurity: into(e, func(b replay.Security) { add("security", b.Text) }),
	}[e.Kind]
	if look != nil {
		err = look()
	}
	return out, change, err
}

func into[T any](e replay.Event, f func(T)) func() error {
	return func() error {
		var body T
		if err := e.Decode(&body); err != nil {
			return err
		}
		f(body)
		return nil
	}
}

// fold is the place of part in text, in any case, or -1.
func fold(text, part string) int {
	if isASCII(part) {
		return foldASCII(text, part)
	}
	want := []rune(part)
	for i := range text {
		rest, n := text[i:], 0
		for _, r := range rest {
			if n == len(want) || unicode.ToLower(r) != unicode.ToLower(want[n]) {
				break
			}
			n++
		}
		if n == len(want) {
			return i
		}
	}
	return -1
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func foldASCII(text, part string) int {
	if part == "" {
		return 0
	}
	low := strings.ToLower(part[:1])
	first := low + strings.ToUpper(part[:1])
	for at := 0; ; at++ {
		i := strings.IndexAny(text[at:], first)
		if i < 0 || len(text)-at-i < len(part) {
			return -1
		}
		if at += i; strings.EqualFold(text[at:at+len(part)], part) {
			return at
		}
	}
}

// excerpt is the line around a place, shortened, safe.
func excerpt(text string, at int) string {
	const before, width = 40, 140
	from := strings.LastIndexByte(text[:at], '\n') + 1
	line, _, _ := strings.Cut(text[from:], "\n")
	at -= from
	start, end := 0, len(line)
	if at > before {
		start = at - before
	}
	if end-start > width {
		end = start + width
	}
	for start > 0 && !utf8.RuneStart(line[start]) {
		start--
	}
	for end < len(line) && !utf8.RuneStart(line[end]) {
		end++
	}
	out := replay.Safe(line[start:end])
	if start > 0 {
		out = "…" + out
	}
	if end < len(line) {
		out += "…"
	}
	return strings.TrimSpace(out)
}

// String is a hit in a line.
func (h Hit) String() string {
	return fmt.Sprintf("%s  %s  seq %d  %s: %s", h.Time.Format(stamp), replay.Safe(h.Session), h.Seq, h.Where, h.Excerpt)
}
