package player

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"respect/replay"
	"respect/replay/journal"
)

// Record is a session with what else is known of it.
type Record struct {
	Session *journal.Session
	Changes []*journal.Change // of all sessions
	Between []journal.Problem // of all sessions: what does not verify outside of them
	Witness string            // the file that seals were compared with; "" if none was
}

// Problems are what does not verify of a session, in itself or in what others say of it.
func (r Record) Problems() (out []string) {
	for _, p := range r.Session.Problems {
		out = append(out, replay.Safe(p.String()))
	}
	for _, p := range r.Between {
		if p.Session == r.Session.ID || p.Session == "" {
			out = append(out, replay.Safe(p.String()))
		}
	}
	return out
}

// Verdict is the result of the verification, in a sentence. It never says more than chain and seals prove.
func (r Record) Verdict() string {
	s := r.Session
	if len(r.Problems()) > 0 {
		return "DOES NOT VERIFY"
	}
	out := "verifies"
	switch {
	case s.Live:
		out = "verifies so far; it is running"
	case !s.Closed:
		out = "verifies; ends without close: crash or truncation"
	}
	switch left := s.Lines - s.Sealed; {
	case s.Seals == 0:
		return out + "; not sealed"
	case left == 0:
		return out + "; sealed to its end"
	case left == 1:
		return out + "; its last line is not sealed"
	default:
		return out + fmt.Sprintf("; its last %d lines are not sealed", left)
	}
}

// Witnessed says whether somebody else has the last seal as well, and what it means if nobody has.
func (r Record) Witnessed() string {
	const key = "somebody who can write these files and has their key could have written all of it anew"
	switch {
	case r.Session.Witnessed:
		return "witnessed, to its last seal, by " + replay.Safe(r.Witness)
	case r.Session.Seals == 0:
		return "not witnessed, and not sealed: somebody who can write these files could have written all of it anew"
	case r.Witness != "":
		return "not witnessed: " + replay.Safe(r.Witness) + " does not have its last seal; " + key
	}
	return "not witnessed: " + key
}

// Formats are the names that Export knows.
var Formats = []string{"cast", "html", "json", "txt"}

// Export writes a session as one file in one of Formats, from the events of its journal alone.
func Export(w io.Writer, format string, r Record) error {
	switch format {
	case "cast":
		return exportCast(w, r)
	case "html":
		return exportHTML(w, r)
	case "json":
		return exportJSON(w, r)
	case "txt":
		return exportText(w, r)
	}
	return fmt.Errorf("%q is no format; %s are", format, strings.Join(Formats, ", "))
}

func exportText(w io.Writer, r Record) error {
	story, err := Story(&journal.Session{ID: r.Session.ID, Live: r.Session.Live, Closed: r.Session.Closed, Torn: r.Session.Torn, Open: r.Session.Open, Events: r.Session.Events})
	if err != nil {
		return err
	}
	writes, err := Writes(&journal.Session{ID: r.Session.ID, Live: r.Session.Live, Closed: r.Session.Closed, Open: r.Session.Open, Events: r.Session.Events}, r.Changes)
	if err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(story + "\nCHANGES\n\n" + writes + "\nVERIFICATION\n\n" + r.Verdict() + "\n" + r.Witnessed() + "\n")
	for _, p := range r.Problems() {
		b.WriteString("DOES NOT VERIFY: " + p + "\n")
	}
	b.WriteString("\nHASHES\n\n")
	for _, e := range r.Session.Events {
		fmt.Fprintf(&b, "%6d  %s  %-9s %s\n", e.Seq, e.Time.Format(time.RFC3339Nano), replay.Safe(string(e.Kind)), replay.Safe(e.Hash))
	}
	_, err = io.WriteString(w, b.String())
	return err
}

// exportJSON writes an object whose member events holds the journal's own lines, one a line: their hashes can be computed anew.
func exportJSON(w io.Writer, r Record) error {
	head := r.Session.Head()
	top := struct {
		Session      string       `json:"session"`
		State        string       `json:"state"`
		Verification verification `json:"verification"`
	}{r.Session.ID, State(r.Session), verification{
		Verdict: r.Verdict(), Verifies: len(r.Problems()) == 0, Witnessed: r.Session.Witnessed, Events: len(r.Session.Events), Head: head.Hash, Torn: r.Session.Torn,
		Seals: r.Session.Seals, Sealed: r.Session.Sealed, Key: r.Session.Open.Key, Problems: append([]string{}, r.Problems()...),
	}}
	first, err := encode(top)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(first, []byte("}")))
	b.WriteString(`,"events":[`)
	for i, e := range r.Session.Events {
		if i > 0 {
			b.WriteByte(',')
		}
		body, err := e.Bytes()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n"+`{"seq":%d,"time":"%s","kind":"%s","body":%s,"prev":"%s","hash":"%s"}`,
			e.Seq, e.Time.UTC().Format(time.RFC3339Nano), e.Kind, harmless(body), e.Prev, e.Hash)
	}
	b.WriteString("\n]}\n")
	if !json.Valid(b.Bytes()) {
		return fmt.Errorf("the events of session %s make no JSON", r.Session.ID)
	}
	_, err = w.Write(b.Bytes())
	return err
}

type verification struct {
	Verdict   string   `json:"verdict"`
	Verifies  bool     `json:"verifies"`
	Witnessed bool     `json:"witnessed"`
	Events    int      `json:"events"`
	Head      string   `json:"head"` // the hash of the last event
	Torn      int      `json:"torn"`
	Seals     int      `json:"seals"`
	Sealed    int      `json:"sealed"` // events up to the last seal, with it
	Key       string   `json:"key"`    // public
	Problems  []string `json:"problems"`
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return harmless(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// harmless writes hostile characters and invalid bytes in JSON as escapes. What this program recorded has none.
func harmless(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case r >= 0x7f && replay.Hostile(r) && r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r >= 0x7f && replay.Hostile(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	return out
}

// exportCast writes asciicast v2: what the operator saw, with markers at questions, writes and refusals.
func exportCast(w io.Writer, r Record) error {
	frames, err := Frames(r.Session)
	if err != nil {
		return err
	}
	const height = 40
	width := 80
	for _, f := range frames {
		for l := range strings.SplitSeq(f.Text, "\n") {
			width = max(width, utf8.RuneCountInString(l))
		}
	}
	type header struct {
		Version   int               `json:"version"`
		Width     int               `json:"width"`
		Height    int               `json:"height"`
		Timestamp int64             `json:"timestamp"`
		Title     string            `json:"title"`
		Env       map[string]string `json:"env"`
	}
	h := header{2, min(width, 200), height, 0, "respect session " + replay.Safe(r.Session.ID), map[string]string{"TERM": "xterm-256color"}}
	if len(r.Session.Events) > 0 {
		h.Timestamp = r.Session.Events[0].Time.Unix()
	}
	lines := []any{h}
	for _, f := range frames {
		at := json.Number(fmt.Sprintf("%.6f", f.At.Seconds()))
		if f.Mark != "" {
			// A marker stands before what it marks, so that a player that jumps there shows it next.
			lines = append(lines, []any{at, "m", f.Label})
		}
		lines = append(lines, []any{at, "o", strings.ReplaceAll(f.Text, "\n", "\r\n")})
	}
	for _, l := range lines {
		b, err := encode(l)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}
