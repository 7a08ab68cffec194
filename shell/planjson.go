package shell

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/diff"
	"respect/replay/document"
	"respect/shell/js"
	"respect/shell/render"
)

// PlanJSON is what plan --json prints. Its form is part of the outside contract.
type PlanJSON struct {
	Complete    bool              `json:"complete"`
	Environment string            `json:"environment"`
	Evidence    []replay.Evidence `json:"evidence"`
	Changes     []PlannedJSON     `json:"changes"`
	Refused     *RefusedJSON      `json:"refused,omitempty"`
	Error       string            `json:"error,omitempty"`
}

// PlannedJSON is one question.
type PlannedJSON struct {
	Command    json.RawMessage `json:"command"` // the first, as Extended JSON with its $db
	Commands   int             `json:"commands"`
	Namespaces []string        `json:"namespaces"`
	Class      string          `json:"class"`
	Matched    *int64          `json:"matched"`
	Total      *int64          `json:"total"`
	Modified   int64           `json:"modified"`
	Facts      []plan.Fact     `json:"facts"`
	Backup     plan.Backup     `json:"backup"`
	Undo       UndoJSON        `json:"undo"`
	Asks       AsksJSON        `json:"asks"`
	// The following are beyond the contract.
	Summary string            `json:"summary"`
	Fields  []plan.PathChange `json:"fields,omitempty"` // what happens to each, the most important first
	Samples []SampleJSON      `json:"samples,omitempty"`

	Confirm *string `json:"confirm"` // null where nothing would be asked, or where no answer of one person would do
}

// SampleJSON is one document of a question: what differs, or, of one that comes or goes, all of it. Values are Extended JSON.
type SampleJSON struct {
	Namespace     string          `json:"namespace"`
	Op            string          `json:"op"`
	ID            json.RawMessage `json:"_id"`
	Why           string          `json:"why,omitempty"`
	Diff          []diff.Change   `json:"diff,omitempty"`
	Document      json.RawMessage `json:"document,omitempty"`
	Unpredictable string          `json:"unpredictable,omitempty"`
}

func sampleJSON(x plan.Sample) SampleJSON {
	id := x.Document().Lookup("_id")
	out := SampleJSON{Namespace: x.NS, Op: x.Op, ID: document.Value{Kind: byte(id.Type), Data: id.Value}.Extended(), Why: x.Why, Unpredictable: x.Unpredictable}
	if x.Before != nil && x.After != nil && x.Op != "delete" {
		out.Diff = diff.Between(x.Before, x.After, x.Open...)
		return out
	}
	out.Document = document.Value{Kind: document.Document, Data: x.Document()}.Extended()
	return out
}

// AsksJSON is what policy asks of a change.
type AsksJSON struct {
	Action string `json:"action"` // as in a policy file: refuse, approve (a second person), confirm, backup, run
	Why    string `json:"why"`    // which rule says so
}

// actionWords are the actions as policy files have them.
var actionWords = map[policy.Action]string{policy.Refuse: "refuse", policy.Approve: "approve", policy.Confirm: "confirm", policy.Backup: "backup", policy.Run: "run"}

// RefusedJSON is what the guard would not let through.
type RefusedJSON struct {
	Text  string   `json:"text"`
	Hints []string `json:"hints"`
	Code  string   `json:"code,omitempty"`
}

// Plan previews one script and prints the plan; with asJSON, as PlanJSON; with full, of all documents, however many. It returns the exit status.
func (s *Shell) Plan(ctx context.Context, src, manner string, asJSON, full bool) int {
	in := s.input(src, manner, guard.Preview)
	in.Full = full
	st, err := s.cfg.Gate.Begin(in)
	if err != nil {
		s.say(render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	_, err = s.evaluate(ctx, st, src)
	var thrown *js.Exception
	if errors.As(err, &thrown) {
		// What a script queued before it threw is shown all the same: it is what would have been asked, had the script gone on.
		err = errors.Join(err, ignoreIncomplete(st.Settle(ctx)))
	}
	if !asJSON {
		return s.preview(st, err)
	}
	return s.printPlan(st, err)
}

// printPlan prints what was planned as PlanJSON.
func (s *Shell) printPlan(st *guard.Statement, err error) int {
	defer st.Discard()
	out := s.planJSON(st, err)
	text, jerr := IndentJSON(out)
	if jerr != nil {
		return s.Failed(st, jerr)
	}
	s.out(text)
	switch {
	case out.Refused != nil:
		return ExitRefused
	case out.Error != "":
		return ExitError
	}
	return ExitDone
}

func ignoreIncomplete(err error) error {
	if errors.Is(err, guard.ErrIncomplete) {
		return nil
	}
	return err
}

func (s *Shell) planJSON(st *guard.Statement, err error) PlanJSON {
	d := s.cfg.Deployment
	out := PlanJSON{Complete: err == nil, Environment: d.Environment().String(), Evidence: []replay.Evidence{}, Changes: []PlannedJSON{}}
	for _, e := range d.Evidence() {
		out.Evidence = append(out.Evidence, e.Record())
	}
	plans, judged := st.Plans()
	for i, p := range plans {
		out.Changes = append(out.Changes, plannedJSON(p, judged[i]))
		out.Environment = environment.Max(parsed(out.Environment), judged[i].Environment).String()
	}
	var refused *guard.Refused
	var value *js.Refusal
	switch {
	case err == nil, errors.Is(err, guard.ErrIncomplete):
	case errors.As(err, &refused):
		out.Refused = &RefusedJSON{Text: refused.Text, Hints: notNil(refused.Hints), Code: refused.Code}
	case errors.As(err, &value):
		out.Refused = &RefusedJSON{Text: value.Text, Hints: []string{}, Code: value.Code}
		if value.Hint != "" {
			out.Refused.Hints = []string{value.Hint}
		}
		if value.Code != "" {
			out.Changes = append(out.Changes, refusedChange(value))
		}
	default:
		out.Error = err.Error()
	}
	return out
}

func notNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func parsed(s string) environment.Environment {
	e, _ := environment.Parse(s)
	return e
}

// refusedChange is the question that would have been asked, had the value been one: it says why it was not.
func refusedChange(r *js.Refusal) PlannedJSON {
	return PlannedJSON{
		Command: json.RawMessage(`null`), Namespaces: []string{}, Class: command.Unknown.String(),
		Facts: []plan.Fact{{Code: r.Code, Severity: plan.Danger, Text: r.Text}}, Undo: UndoJSON{false, "it is refused"}, Asks: AsksJSON{actionWords[policy.Refuse], r.Text},
	}
}

func plannedJSON(p *plan.Plan, j guard.Judged) PlannedJSON {
	out := PlannedJSON{Commands: len(p.Commands()), Namespaces: []string{}, Class: p.Header().Class, Facts: p.Facts(), Backup: p.Backup(), Command: json.RawMessage(`null`)}
	if cmds := p.Commands(); len(cmds) > 0 {
		out.Command = commandJSON(cmds[0])
	}
	var matched, total int64
	for _, c := range p.Counts() {
		out.Namespaces = append(out.Namespaces, c.Namespace)
		matched += c.Matched
		if c.Total != nil {
			total += *c.Total
		}
		out.Modified += c.Changed()
	}
	if out.Class == command.DocumentWrite.String() {
		out.Matched, out.Total = &matched, &total
	}
	possible, reason := render.Undo(p)
	out.Undo = UndoJSON{possible, reason}
	if j.Action == policy.Run && !p.Empty() {
		out.Backup, out.Undo = plan.Backup{}, UndoJSON{false, render.AtOnce}
	}
	out.Asks = AsksJSON{actionWords[j.Action], j.Why}
	out.Summary, out.Fields = p.Summary(), p.Changes()
	for _, x := range p.Samples() {
		out.Samples = append(out.Samples, sampleJSON(x))
	}
	if phrase := confirmPhrase(p, j); phrase != "" {
		out.Confirm = &phrase
	}
	return out
}

// confirmPhrase is what would have to be typed, ending in <code> where a random code is asked; "" where nothing is.
func confirmPhrase(p *plan.Plan, j guard.Judged) string {
	if p.Empty() || p.Estimate() || j.Action != policy.Confirm {
		return ""
	}
	if p.Coded() {
		return p.Phrase() + " <code>"
	}
	return p.Phrase()
}

// instead is what a preview says where there is no phrase that would confirm it.
func instead(p *plan.Plan, j guard.Judged) string {
	switch {
	case p.Empty() || p.Estimate():
		return ""
	case j.Action == policy.Refuse:
		return "the statement itself would be refused: " + j.Why
	case j.Action == policy.Approve:
		return "the statement itself asks for a second person, and is refused without one: " + j.Why
	}
	return ""
}

func commandJSON(c *command.Command) json.RawMessage {
	elems, err := c.Raw().Elements()
	if err != nil {
		return json.RawMessage(`null`)
	}
	doc := bson.D{}
	for _, e := range elems {
		doc = append(doc, bson.E{Key: e.Key(), Value: e.Value()})
	}
	doc = append(doc, bson.E{Key: "$db", Value: c.Database()})
	b, err := bson.MarshalExtJSON(doc, false, false)
	if err != nil {
		return json.RawMessage(`null`)
	}
	const limit = 64 << 10
	if len(b) > limit {
		return json.RawMessage(fmt.Sprintf(`{%q: "… %d bytes", "$db": %q}`, c.Name(), len(b), c.Database()))
	}
	return b
}

// extJSON is a result as Extended JSON on one line.
func extJSON(v any, canonical bool) string {
	b, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: plainValue(v)}}, canonical, false)
	if err != nil {
		return "null"
	}
	s := string(b)
	return EscapeJSON(s[len(`{"v":`) : len(s)-1])
}

// IndentJSON is a value as --json prints it: indented, <, > and & as themselves, and safe on a terminal.
func IndentJSON(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return EscapeJSON(b.String()), err
}

// EscapeJSON escapes in JSON what could act on a terminal; outside strings there is none of it.
func EscapeJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		if safe := render.Safe(string(r)); safe != string(r) && r > 0x7e {
			if r > 0xffff {
				r -= 0x10000
				fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plainValue turns a tree for render into values that BSON can hold.
func plainValue(v any) any {
	switch v := v.(type) {
	case render.Undefined:
		return nil
	case render.Token:
		return string(v)
	case float64:
		if v == float64(int32(v)) {
			return int32(v)
		}
		return v
	case render.List:
		out := bson.A{}
		for _, e := range v {
			out = append(out, plainValue(e))
		}
		return out
	case render.Named:
		return plainValue(v.Of)
	case render.Members:
		return plainValue(render.List(v))
	case render.Pair:
		return bson.A{plainValue(v.Key), plainValue(v.Value)}
	case render.Object:
		out := bson.D{}
		for _, f := range v {
			out = append(out, bson.E{Key: f.Key, Value: plainValue(f.Value)})
		}
		return out
	}
	return v
}
