package guard

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strings"
	"time"
	"unicode/utf8"

	"respect/guard/command"
	"respect/guard/policy"
	"respect/replay"
)

// shown is what one statement shows, on its way to the record. Text is gathered for a moment, so that a loop of prints is not an event a line, and stands
// in the record before whatever happens next.
type shown struct {
	text    strings.Builder
	isError bool
	at      time.Time // when the first of text was shown
	last    time.Time // when something was recorded last

	kept  int64 // bytes of this statement that are recorded
	left  int64 // bytes that are not
	sum   hash.Hash
	wrote bool       // it plans or makes a change
	held  []heldText // until it is known whether it does
	size  int64      // of held
}

// heldText is text that waits for a decision.
type heldText struct {
	text    string
	written string // with its colours; "" if it has none, or they are not recorded
	isError bool
	at      time.Time
}

const (
	shownTime  = 100 * time.Millisecond // text of one event was shown within about this long
	shownBytes = 64 << 10               // and is not much longer than this
)

// Shown records text that was shown as a result, colours and all, as far as policy wants it recorded, without the passwords of connection strings.
func (g *Gate) Shown(text string, isError bool) {
	s, now := &g.shown, g.cfg.Now()
	if s.text.Len() > 0 && s.isError != isError {
		g.flushShown()
	}
	if s.text.Len() == 0 {
		s.at, s.isError = now, isError
	}
	s.text.WriteString(text)
	if now.Sub(s.last) >= shownTime || s.text.Len() >= shownBytes {
		g.flushShown()
	}
}

// flushShown hands on what was gathered.
func (g *Gate) flushShown() {
	s := &g.shown
	if s.text.Len() == 0 {
		return
	}
	raw := s.text.String()
	t := heldText{replay.WithoutCredentials(replay.Uncolored(raw)), replay.Written(raw), s.isError, s.at}
	s.text.Reset()
	s.last = g.cfg.Now()
	limit := g.cfg.Policy.Record()
	switch {
	case limit.Output == policy.OutputFull, limit.Output == policy.OutputWrites && s.wrote:
		g.keepShown(t)
	case limit.Output == policy.OutputWrites && s.size < limit.Limit:
		s.held, s.size = append(s.held, t), s.size+int64(len(t.text))
	default:
		g.leaveOut(t.text)
	}
}

// keepShown records text up to the statement's limit.
func (g *Gate) keepShown(t heldText) {
	s := &g.shown
	room := max(g.cfg.Policy.Record().Limit-s.kept, 0)
	text := t.text
	if int64(len(text)) > room {
		for room > 0 && !utf8.RuneStart(text[room]) {
			room--
		}
		text = text[:room]
		s.kept = g.cfg.Policy.Record().Limit // what comes after a gap is not recorded either
	}
	g.leaveOut(t.text[len(text):])
	if text == "" {
		return
	}
	s.kept += int64(len(text))
	if len(text) < len(t.text) {
		t.written = ""
	}
	_ = g.cfg.Journal.Append(replay.KindOutput, replay.Output{ // a broken journal stops guarded writes, not what was shown
		Text: strings.ToValidUTF8(text, "\uFFFD"), Written: strings.ToValidUTF8(t.written, "\uFFFD"), Error: t.isError, Since: g.cfg.Now().Sub(t.at).Microseconds(),
	})
}

// leaveOut counts text that is not recorded.
func (g *Gate) leaveOut(text string) {
	s := &g.shown
	if text == "" {
		return
	}
	s.left += int64(len(text))
	if g.cfg.Policy.Record().Output != policy.OutputOff {
		if s.sum == nil {
			s.sum = sha256.New()
		}
		s.sum.Write([]byte(text))
	}
}

// noteWrite looks at what is recorded: once a statement plans or makes a change, what it showed before is wanted as well.
func (g *Gate) noteWrite(body any) {
	s := &g.shown
	switch b := body.(type) {
	case replay.Planned:
	case replay.Command:
		if b.Class == command.Read.String() || b.Class == command.Session.String() {
			return
		}
	default:
		return
	}
	s.wrote = true
	for _, t := range s.held {
		g.keepShown(t)
	}
	s.held, s.size = nil, 0
}

// endShown ends the text of a statement: what was left out is marked.
func (g *Gate) endShown() {
	g.flushShown()
	s := &g.shown
	for _, t := range s.held {
		g.leaveOut(t.text)
	}
	if s.left > 0 {
		o := replay.Output{Dropped: s.left}
		if s.sum != nil {
			o.SHA256 = hex.EncodeToString(s.sum.Sum(nil))
		}
		_ = g.cfg.Journal.Append(replay.KindOutput, o) // as above
	}
	g.shown = shown{last: s.last}
}

// Screen records the size of the terminal, in characters, if it has changed. It is called before somebody is waited for: what was shown until then stands in
// the record, for who follows it meanwhile.
func (g *Gate) Screen(columns, rows int) {
	g.flushShown()
	now := replay.Screen{Columns: columns, Rows: rows}
	if now != g.screen {
		g.screen = now
		_ = g.record(replay.KindScreen, now) // a broken journal stops guarded writes
	}
}

// Heard records an entry that is no statement: a word of the shell that asks no server.
func (g *Gate) Heard(in Input) error {
	g.endShown()
	return g.record(replay.KindInput, in.event("run"))
}

// Dropped records an entry that was not run: it was left with Ctrl-C, or empty.
func (g *Gate) Dropped(in Input) error {
	g.endShown()
	return g.record(replay.KindInput, in.event("dropped"))
}

// Loaded records a file that the statement is about to run as part of itself: its hash, and its text with the secrets redacted.
func (g *Gate) Loaded(path string, content []byte, redacted string) error {
	const most = 64 << 10
	sum := sha256.Sum256(content)
	e := replay.Loaded{Path: path, Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:]), Text: strings.ToValidUTF8(replay.WithoutCredentials(redacted), "\uFFFD")}
	switch {
	case g.loaded[e.SHA256]:
		e.Text, e.Again = "", true
	case len(e.Text) > most:
		cut := most
		for !utf8.RuneStart(e.Text[cut]) {
			cut--
		}
		e.Text, e.Dropped = e.Text[:cut], int64(len(e.Text)-cut)
	}
	g.loaded[e.SHA256] = true
	return g.record(replay.KindLoaded, e)
}

// Aside records text that was shown while a statement runs, by another goroutine than the Gate's.
func (g *Gate) Aside(text string) {
	_ = g.cfg.Journal.Append(replay.KindOutput, replay.Output{Text: replay.WithoutCredentials(text), Error: true}) // a broken journal stops guarded writes, not what was shown
}
