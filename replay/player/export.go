package player

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"respect/replay"
)

// exporters are the formats by their names.
var exporters = map[string]func(Record, *bufio.Writer) error{
	"cast": Record.exportCast, "html": Record.exportHTML, "json": Record.exportJSON, "txt": Record.exportText,
}

// Formats are the names that Export knows.
var Formats = []string{"cast", "html", "json", "txt"}

// Export writes a session as one file in one of Formats, as it reads it: the file may be longer than the memory. What was written before an error is
// no such file.
func (r Record) Export(w io.Writer, format string) error {
	export := exporters[format]
	if export == nil {
		return fmt.Errorf("%q is no format; %s are", format, strings.Join(Formats, ", "))
	}
	b := bufio.NewWriterSize(w, 64<<10)
	if err := export(r, b); err != nil {
		return err
	}
	return b.Flush()
}

func (r Record) exportText(w *bufio.Writer) error {
	if err := r.Story(w); err != nil {
		return err
	}
	w.WriteString("\nCHANGES\n\n")
	if err := r.Writes(w); err != nil {
		return err
	}
	w.WriteString("\nVERIFICATION\n\n" + r.Verdict() + "\n" + r.Witnessed() + "\n")
	if key := r.Session.Open.Key; key != "" {
		fmt.Fprintf(w, "%d seal(s), up to line %d of %d, under the key %s\n", r.Session.Seals, r.Session.Sealed, r.Session.Lines, replay.Safe(key))
	}
	for _, p := range r.Problems() {
		w.WriteString("DOES NOT VERIFY: " + p + "\n")
	}
	w.WriteString("\nHASHES\n\n")
	return r.events(func(e replay.Event) error {
		_, err := fmt.Fprintf(w, "%6d  %s  %-9s %s\n", e.Seq, e.Time.Format(time.RFC3339Nano), replay.Safe(string(e.Kind)), replay.Safe(e.Hash))
		return err
	})
}

// exportJSON writes an object whose member events holds the journal's own lines, one a line: their hashes can be computed anew.
func (r Record) exportJSON(w *bufio.Writer) error {
	top := struct {
		Session      string       `json:"session"`
		State        string       `json:"state"`
		Verification verification `json:"verification"`
	}{r.Session.ID, r.State(), verification{
		Verdict: r.Verdict(), Verifies: len(r.Problems()) == 0, Witnessed: r.Session.Witnessed, Witness: r.In.Record.Witness, Events: r.Session.Lines, Head: r.Session.Head().Hash,
		Torn: r.Session.Torn, Seals: r.Session.Seals, Sealed: r.Session.Sealed, Key: r.Session.Open.Key, Problems: append([]string{}, r.Problems()...),
	}}
	first, err := encode(top)
	if err != nil {
		return err
	}
	w.Write(bytes.TrimSuffix(first, []byte("}")))
	w.WriteString(`,"events":[`)
	comma := ""
	err = r.events(func(e replay.Event) error {
		line := fmt.Appendf(nil, `{"seq":%d,"time":"%s","kind":"%s","body":%s,"prev":"%s","hash":"%s"}`,
			e.Seq, e.Time.UTC().Format(time.RFC3339Nano), e.Kind, replay.HarmlessJSON(e.Body), e.Prev, e.Hash)
		if !json.Valid(line) {
			return fmt.Errorf("it is no JSON")
		}
		w.WriteString(comma + "\n")
		comma = ","
		_, err := w.Write(line)
		return err
	})
	w.WriteString("\n]}\n")
	return err
}

type verification struct {
	Verdict   string   `json:"verdict"`
	Verifies  bool     `json:"verifies"`
	Witnessed bool     `json:"witnessed"`
	Witness   string   `json:"witness"` // the file that was compared; "" if none was
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
	return replay.HarmlessJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// exportCast writes asciicast v2, https://docs.asciinema.org/manual/asciicast/v2/: what the operator saw, with markers at questions, writes and refusals.
func (r Record) exportCast(w *bufio.Writer) error {
	t, err := r.Tape()
	if err != nil {
		return err
	}
	defer t.Close() // read only
	size, err := t.window()
	if err != nil {
		return err
	}
	type header struct {
		Version   int               `json:"version"`
		Width     int               `json:"width"`
		Height    int               `json:"height"`
		Timestamp int64             `json:"timestamp"`
		Title     string            `json:"title"`
		Env       map[string]string `json:"env"`
	}
	line := func(v any) error {
		b, err := encode(v)
		w.Write(append(b, '\n'))
		return err
	}
	if err := line(header{2, size.Columns, size.Rows, t.cut.begin.Unix(), "respect session " + replay.Safe(r.Session.ID), map[string]string{"TERM": "xterm-256color"}}); err != nil {
		return err
	}
	for _, f := range t.Frames {
		at := json.Number(fmt.Sprintf("%.6f", f.At.Seconds()))
		if f.Window.Columns > 0 && f.Window != size {
			size = f.Window
			if err := line([]any{at, "r", fmt.Sprintf("%dx%d", size.Columns, size.Rows)}); err != nil {
				return err
			}
		}
		text, err := t.Text(f)
		if err != nil {
			return err
		}
		if f.Clear {
			text = "\x1b[H\x1b[2J" + text
		}
		for _, l := range f.loud {
			text += l + "\n"
		}
		if f.Mark != "" {
			// A marker stands before what it marks, so that a player that jumps there shows it next.
			if err := line([]any{at, "m", f.Label}); err != nil {
				return err
			}
		}
		if text != "" {
			if err := line([]any{at, "o", strings.ReplaceAll(text, "\n", "\r\n")}); err != nil {
				return err
			}
		}
	}
	return nil
}

// window is the size of the terminal at the begin. Where it is not recorded it is as wide as what was shown.
func (t *Tape) window() (replay.Screen, error) {
	size := replay.Screen{Columns: 80, Rows: 40}
	for _, f := range t.Frames {
		if f.Window.Columns > 0 {
			return f.Window, nil
		}
	}
	for _, f := range t.Frames {
		text, err := t.Text(f)
		if err != nil {
			return size, err
		}
		for l := range strings.SplitSeq(replay.Uncolored(text), "\n") {
			size.Columns = min(max(size.Columns, utf8.RuneCountInString(l)), 200)
		}
	}
	return size, nil
}
