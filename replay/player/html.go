package player

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"respect/replay"
)

//go:embed page.html
var pageText string

// page is one file that needs nothing else: no scripts, no network. html/template escapes for HTML what replay.Safe made harmless for eyes.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"safe":  replay.Safe,
	"lines": replay.SafeLines,
	"stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") },
	"upper": func(s string) string { return strings.ToUpper(replay.Safe(s)) },
	"join":  func(s []string) string { return strings.Join(s, "\n") },
}).Parse(pageText))

type htmlPage struct {
	ID       string
	State    string
	Line     Line
	Who      replay.Who
	Build    replay.Build
	Connects []replay.Connect
	Reasons  []string
	Verdict  string
	Bad      bool
	Notes    []string
	Problems []string
	Head     replay.Head
	Previous []replay.Head
	Acts     []htmlAct
	Timeline []htmlEvent
	Hashes   []htmlHash
}

type htmlAct struct {
	N        int
	Change   string
	Seq      uint64
	Time     time.Time
	Verdict  string
	Bad      bool
	Summary  string
	Input    string
	Sent     string // of an unguarded write
	Error    string
	Facts    []replay.Fact
	Digest   string
	Asked    []replay.Decided
	Answered time.Time
	Saved    *replay.Saved
	Receipt  string
	Counts   []htmlCount
	After    string
	Ended    time.Time
	Since    []string
}

type htmlCount struct {
	Namespace, What   string
	Predicted, Actual int64
	Differs           bool
}

type htmlEvent struct {
	Seq   uint64
	Time  time.Time
	Kind  string
	Text  string
	Bad   bool
	Begin bool // a statement
}

type htmlHash struct {
	Seq        uint64
	Time, Kind string
	Hash       string
}

func exportHTML(w io.Writer, r Record) error {
	p, err := newPage(r)
	if err != nil {
		return err
	}
	return page.Execute(w, p)
}

func newPage(r Record) (*htmlPage, error) {
	s := r.Session
	line, err := Summarize(s)
	if err != nil {
		return nil, err
	}
	p := &htmlPage{
		ID: s.ID, State: State(s), Line: line, Who: s.Open.Who, Build: s.Open.Build, Verdict: r.Verdict(), Problems: r.Problems(), Head: s.Head(), Previous: s.Open.Previous,
		Bad: len(r.Problems()) > 0,
	}
	if s.Torn > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("the last line is torn (%d bytes): the program was stopped while it was written", s.Torn))
	}
	p.Notes = append(p.Notes, r.Witnessed())
	list, err := acts(s, r.Changes)
	if err != nil {
		return nil, err
	}
	for i, x := range list {
		p.Acts = append(p.Acts, newAct(i+1, x))
	}
	for _, e := range s.Events {
		if err := p.event(e); err != nil {
			return nil, fmt.Errorf("seq %d: %w", e.Seq, err)
		}
	}
	return p, nil
}

func (p *htmlPage) event(e replay.Event) error {
	p.Hashes = append(p.Hashes, htmlHash{e.Seq, e.Time.Format(time.RFC3339Nano), string(e.Kind), e.Hash})
	switch e.Kind {
	case replay.KindConnect:
		var c replay.Connect
		if err := e.Decode(&c); err != nil {
			return err
		}
		p.Connects = append(p.Connects, c)
	case replay.KindReason:
		var b replay.Reason
		if err := e.Decode(&b); err != nil {
			return err
		}
		p.Reasons = append(p.Reasons, b.Text)
	}
	lines, err := tell(e)
	if err != nil {
		return err
	}
	if len(lines) > 0 {
		p.Timeline = append(p.Timeline, htmlEvent{
			Seq: e.Seq, Time: e.Time, Kind: string(e.Kind), Text: strings.Join(lines, "\n"),
			Bad: e.Kind == replay.KindRefused || e.Kind == replay.KindSecurity, Begin: e.Kind == replay.KindInput,
		})
	}
	return nil
}

func newAct(n int, x *act) htmlAct {
	h := htmlAct{
		N: n, Change: x.Change, Seq: x.Seq, Time: x.Time, Verdict: x.verdict(), Summary: x.summary(), Input: x.Input,
		Asked: x.Decided, Answered: x.Answered, Saved: x.Saved, Receipt: strings.Join(x.receipt(), "\n"), Ended: x.Ended, Since: x.since(),
	}
	h.Bad = x.Plain == nil && x.Status != replay.StatusApplied && x.Status != replay.StatusUndone
	if x.Plain != nil {
		h.Sent, h.Error = x.Plain.Text, x.Plain.Error
	}
	if x.Planned != nil {
		h.Facts, h.Digest = x.Planned.Facts, x.Planned.Digest
	}
	if x.Outcome != nil {
		h.After = x.Outcome.After
		h.Counts = counts(x)
	}
	return h
}

// counts puts what was predicted beside what was done.
func counts(x *act) (out []htmlCount) {
	var predicted []replay.Count
	if x.Intent != nil {
		predicted = x.Intent.Counts
	}
	for _, c := range x.Outcome.Counts {
		var p replay.Count
		for _, q := range predicted {
			if q.Namespace == c.Namespace && q.Schema == c.Schema {
				p = q
				break
			}
		}
		if c.Schema != "" {
			out = append(out, htmlCount{Namespace: c.Namespace, What: c.Schema, Predicted: p.Matched, Actual: c.Matched})
			continue
		}
		for _, v := range verbs {
			if got, want := v.of(c), v.of(p); got != 0 || want != 0 {
				out = append(out, htmlCount{c.Namespace, v.name, want, got, got != want})
			}
		}
	}
	return out
}
