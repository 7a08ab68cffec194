package player

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"iter"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"respect/replay"
	"respect/replay/diff"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// page is one file that needs nothing else, and may load nothing: its only style and its only script are named by their hashes. html/template escapes for HTML
// what replay.Safe made harmless for eyes.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"safe":  replay.Safe,
	"lines": replay.SafeLines,
	"stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000Z") },
	"upper": func(s string) string { return strings.ToUpper(replay.Safe(s)) },
	"join":  func(s []string) string { return strings.Join(s, "\n") },
}).Parse(pageText))

// What a page has of a long session: who wants the rest has the other formats, and the record.
const (
	pageScreens = 4 << 20  // bytes of what is played
	pageTexts   = 6 << 20  // bytes of what the timeline tells
	pageText1   = 64 << 10 // bytes of one event of them
	pageFrames  = 50000    // steps of the playback,
	pageMarked  = 4 << 20  // bytes of those that somebody jumps to, when there is no room for others any more
	pageRows    = 20000    // events, before only those are listed that tell of changes
	pagePlain   = 1000     // unguarded writes
	pageDocs    = 100      // documents of a change,
	pageFold    = 10       // of which these are not folded up
	pageDocText = 256 << 10
)

// htmlPage is what the page's template shows. What is long is made while it is written.
type htmlPage struct {
	ID                    string
	State                 string
	Line                  Line
	Who                   replay.Who
	Build                 replay.Build
	Output                string
	Connects              []replay.Connect
	Reasons               []string
	Verdict, Witnessed    string
	Witness               string // that the session was to write to
	Bad                   bool
	Doubts                []string
	Lines, Seals, Sealed  int
	Key                   string
	Head                  replay.Head
	Policy                []replay.File
	Previous              []replay.Head
	Acts                  []*htmlAct
	Window                replay.Screen
	Style                 template.CSS
	Script                template.JS
	StyleHash, ScriptHash string

	record Record
	file   *os.File
	tape   *Tape
	told   budget
	rows   int // of the timeline
	// unplayed is the number of frames that the playback has not.
	unplayed int
	// MorePlain is the number of unguarded writes that are only counted.
	MorePlain int
	err       error
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
	Saved    *replay.Saved
	Counts   []htmlCount
	After    string
	Since    []string
	HasPlan  bool
	Folded   bool // documents beyond the first few were written, which are folded up
	act      *act
	page     *htmlPage
	Answered time.Time
}

type htmlCount struct {
	Namespace, What   string
	Predicted, Actual int64
	Differs           bool
}

// htmlDoc is a document of a change, or a text in its place.
type htmlDoc struct {
	Op, NS, ID string
	Lines      []diff.Line
	Text       string
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

func (r Record) exportHTML(w *bufio.Writer) error {
	p, err := newPage(r)
	if err != nil {
		return err
	}
	defer p.tape.Close() // read only
	err = page.Execute(w, p)
	return errors.Join(p.err, err)
}

func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func newPage(r Record) (*htmlPage, error) {
	s := r.Session
	line, err := r.Summarize()
	if err != nil {
		return nil, err
	}
	p := &htmlPage{
		ID: s.ID, State: r.State(), Line: line, Who: s.Open.Who, Build: s.Open.Build, Output: s.Open.Output, Verdict: r.Verdict(), Witnessed: r.Witnessed(), Witness: s.Open.Witness,
		Bad: len(r.Problems()) > 0, Doubts: r.doubts(), Lines: s.Lines, Seals: s.Seals, Sealed: s.Sealed, Key: s.Open.Key, Head: s.Head(), Policy: s.Open.Policy,
		Previous: s.Open.Previous, Style: template.CSS(pageStyle), Script: template.JS(pageScript), StyleHash: sourceHash(pageStyle), ScriptHash: sourceHash(pageScript),
		record: r, told: budget{left: pageTexts},
	}
	list, err := r.acts()
	if err != nil {
		return nil, err
	}
	plain := 0
	for i, x := range list {
		if x.Plain != nil {
			if plain++; plain > pagePlain {
				p.MorePlain++
				continue
			}
		}
		p.Acts = append(p.Acts, p.newAct(i+1, x))
	}
	if err := r.events(p.facts); err != nil {
		return nil, err
	}
	if p.tape, err = r.Tape(); err != nil {
		return nil, err
	}
	p.file = p.tape.file
	if p.Window, err = p.tape.window(); err != nil {
		return nil, errors.Join(err, p.tape.Close())
	}
	return p, nil
}

// facts takes what stands at the top of the page.
func (p *htmlPage) facts(e replay.Event) error {
	take := map[replay.Kind]func() error{
		replay.KindConnect: into(e, func(c replay.Connect) { p.Connects = append(p.Connects, c) }),
		replay.KindReason: into(e, func(b replay.Reason) {
			if b.Manner != "aborted" {
				p.Reasons = append(p.Reasons, b.Text)
			}
		}),
	}[e.Kind]
	if take == nil {
		return nil
	}
	return take()
}

// fail remembers why the page cannot be written.
func (p *htmlPage) fail(err error) bool {
	if err != nil && p.err == nil && !errors.Is(err, errEnough) {
		p.err = err
	}
	return p.err != nil
}

// budget is how much of a text is left to be used.
type budget struct{ left, leftOut int }

// take is as much of a text as there is room for, and says what is missing.
func (b *budget) take(text string, most int) string {
	room := min(max(b.left, 500), most)
	if len(text) > room {
		cut := room
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		b.leftOut += len(text) - cut
		text = text[:cut] + fmt.Sprintf("\n(%d bytes more are left out of this page)\n", len(text)-cut)
	}
	b.left -= len(text)
	return text
}

// Frames are those of the tape, each as JSON that a script element can hold. Once they are long, only what somebody jumps to is among them.
func (p *htmlPage) Frames() iter.Seq[template.JS] {
	return func(yield func(template.JS) bool) {
		room, marked := budget{left: pageScreens}, budget{left: pageMarked}
		n, less := 0, false
		put := func(js string, err error) bool {
			if n > 0 {
				js = ",\n" + js
			}
			n++
			return !p.fail(err) && yield(template.JS(js))
		}
		for _, f := range p.tape.Frames {
			from := &room
			if room.left <= 0 || n >= pageFrames {
				if from = &marked; f.Mark == "" && len(f.loud) == 0 || n >= 2*pageFrames {
					p.unplayed++
					if !less {
						const only = "(from here on this page plays only questions, writes and refusals; replay play and the format cast have the rest)"
						b, err := json.Marshal(jsFrame{T: f.At.Seconds(), S: only + "\n", N: []string{only}})
						if less = true; !put(string(b), err) {
							return
						}
					}
					continue
				}
			}
			if !put(p.frame(f, from)) {
				return
			}
		}
	}
}

// jsFrame is a frame as the page's script reads it.
type jsFrame struct {
	T float64  `json:"t"`
	S string   `json:"s,omitempty"` // what is added to the screen
	C bool     `json:"c,omitempty"` // after it was cleared
	M Mark     `json:"m,omitempty"`
	L string   `json:"l,omitempty"`
	N []string `json:"n,omitempty"` // notes
}

func (p *htmlPage) frame(f Frame, room *budget) (string, error) {
	text, err := p.tape.Text(f)
	if err != nil {
		return "", err
	}
	notes, err := p.tape.Notes(f)
	if err != nil {
		return "", err
	}
	const many = 20
	if len(notes) > many {
		notes = append(notes[:many:many], fmt.Sprintf("(%d lines more are in the timeline)", len(notes)-many))
	}
	if len(text) > min(max(room.left, 500), pageText1) {
		text = replay.Uncolored(text) // which may be cut anywhere
	}
	b, err := json.Marshal(jsFrame{f.At.Seconds(), room.take(text, pageText1), f.Clear, f.Mark, f.Label, notes}) // which escapes <, >, & and U+2028
	return string(replay.HarmlessJSON(b)), err
}

// Timeline is what happened, in words.
func (p *htmlPage) Timeline() iter.Seq[htmlEvent] {
	return func(yield func(htmlEvent) bool) {
		p.fail(p.record.events(func(e replay.Event) error {
			lines, err := tell(e)
			if err != nil || len(lines) == 0 {
				return err
			}
			if p.rows++; p.rows > pageRows && !telling1[e.Kind] {
				return nil
			}
			if !yield(htmlEvent{
				Seq: e.Seq, Time: e.Time, Kind: string(e.Kind), Text: p.told.take(strings.Join(lines, "\n"), pageText1),
				Bad: e.Kind == replay.KindRefused || e.Kind == replay.KindSecurity, Begin: e.Kind == replay.KindInput,
			}) {
				return errEnough
			}
			return nil
		}))
	}
}

// telling1 are the kinds of events that a page has however many there are.
var telling1 = map[replay.Kind]bool{
	replay.KindOpen: true, replay.KindConnect: true, replay.KindReason: true, replay.KindLoaded: true, replay.KindPlanned: true, replay.KindDecided: true, replay.KindSaved: true, replay.KindIntent: true,
	replay.KindOutcome: true, replay.KindRefused: true, replay.KindRecovery: true, replay.KindPruned: true, replay.KindSecurity: true, replay.KindSeal: true, replay.KindClose: true,
}

// Unplayed says what the playback does not have, once it was written.
func (p *htmlPage) Unplayed() string {
	if p.unplayed == 0 {
		return ""
	}
	return fmt.Sprintf("To keep this page small the playback is without %d of %d steps: replay play and the format cast have them.", p.unplayed, len(p.tape.Frames))
}

// LeftOut says what the timeline does not have, once it was written.
func (p *htmlPage) LeftOut() string {
	var out []string
	if p.rows > pageRows {
		out = append(out, fmt.Sprintf("From event %d on only those are listed that tell of changes; there are %d in all.", pageRows, p.rows))
	}
	if p.told.leftOut > 0 {
		out = append(out, fmt.Sprintf("%d bytes of text are left out, to keep this page small; the formats txt and json have them.", p.told.leftOut))
	}
	return strings.Join(out, " ")
}

// Hashes are those of all events, or of those that tell of changes where there are very many.
func (p *htmlPage) Hashes() iter.Seq[htmlHash] {
	return func(yield func(htmlHash) bool) {
		n := 0
		p.fail(p.record.events(func(e replay.Event) error {
			if n++; n > pageRows && !telling1[e.Kind] {
				return nil
			}
			if !yield(htmlHash{e.Seq, e.Time.Format(time.RFC3339Nano), string(e.Kind), e.Hash}) {
				return errEnough
			}
			return nil
		}))
	}
}

// HashesLeftOut says which hashes are missing.
func (p *htmlPage) HashesLeftOut() string {
	if p.Lines <= pageRows {
		return ""
	}
	return fmt.Sprintf("From event %d on only the hashes of events are listed that tell of changes, and of seals; there are %d events.", pageRows, p.Lines)
}

func (p *htmlPage) newAct(n int, x *act) *htmlAct {
	h := &htmlAct{N: n, Seq: x.Seq, Time: x.Time, Verdict: x.verdict(), Summary: x.summary(), Input: x.Input, Since: x.since(), act: x, page: p, Answered: x.Answered}
	if x.Plain != nil {
		h.Sent, h.Error = x.Plain.Text, x.Plain.Error
		return h
	}
	h.Change, h.Saved, h.Facts, h.Digest, h.HasPlan = x.ID, x.Saved, x.Planned.Facts, x.Planned.Digest, x.Tried()
	h.Bad = x.Status != replay.StatusApplied && x.Status != replay.StatusUndone
	if x.Outcome != nil {
		h.After, h.Counts = x.Outcome.After, counts(x)
	}
	return h
}

// Asked are the answers to the questions about a change.
func (h *htmlAct) Asked() ([]replay.Decided, error) {
	return bodies[replay.Decided](h.page.file, h.act.decided)
}

// Looked is what was looked at before.
func (h *htmlAct) Looked() ([]replay.Looked, error) {
	return bodies[replay.Looked](h.page.file, h.act.looks)
}

func bodies[T any](f *os.File, places []place) (out []T, err error) {
	for _, p := range places {
		b, err := body[T](f, p)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// Receipt is what was shown of the outcome.
func (h *htmlAct) Receipt() (string, error) {
	lines, err := h.act.shownReceipt(h.page.file)
	return strings.Join(lines, "\n"), err
}

// Documents are those of the plan, as far as its files are still there.
func (h *htmlAct) Documents() iter.Seq2[int, htmlDoc] {
	return func(each func(int, htmlDoc) bool) {
		n, room := 0, pageDocText
		i, stopped := 0, false
		yield := func(d htmlDoc) bool {
			h.Folded = i >= pageFold
			i++
			return each(i-1, d)
		}
		err := h.page.record.In.documents(h.act.Change, func(d planDocument, sp *spools) error {
			if n++; n > pageDocs || room <= 0 {
				return nil
			}
			doc := htmlDoc{Op: d.Op, NS: d.NS, ID: idText(d.ID), Lines: documentLines(d, sp)}
			for _, l := range doc.Lines {
				for i, part := range l.Parts {
					const long = 16 << 10
					if t := part.Text; len(t) > long {
						l.Parts[i].Text = strings.ToValidUTF8(t[:long], "") + fmt.Sprintf("… (%d bytes)", len(t))
					}
					room -= len(l.Parts[i].Text)
				}
			}
			if stopped = !yield(doc); stopped {
				return errEnough
			}
			return nil
		})
		switch {
		case stopped:
		case errors.Is(err, os.ErrNotExist):
			yield(htmlDoc{Text: "The files of this change are not there any more: " + replay.Safe(err.Error())})
		case err != nil:
			yield(htmlDoc{Text: "DOES NOT VERIFY: " + replay.Safe(err.Error())})
		case n > pageDocs || room <= 0:
			yield(htmlDoc{Text: fmt.Sprintf("%d document(s) in all; the rest is in the files of the change.", n)})
		case n == 0:
			yield(htmlDoc{Text: "none: it is no change of documents"})
		}
	}
}

// counts puts what was predicted beside what was done.
func counts(x *act) (out []htmlCount) {
	for _, c := range x.Outcome.Counts {
		var p replay.Count
		for _, q := range x.Predicted() {
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
