package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// Outcome is what a plan came to.
type Outcome struct {
	Change    string
	Status    replay.Status
	Predicted []replay.Count
	Actual    []replay.Count
	Skipped   []string
	Alarm     []string
	Error     string
	Empty     bool // nothing was to be changed; nothing was asked
	Took      time.Duration
	Batches   int64
	ReadBack  int64 // documents that were compared with what was foreseen, or deleted ones looked for

	drifted []int64         // documents that others changed since the preview, by their number in the plan
	sums    map[[2]int]*sum // per command and statement
}

// sum is what one statement really did: what was planned for it, less what was skipped.
func (o *Outcome) sum(cmd, statement int, planned sum) sum {
	if o.Empty {
		return planned
	}
	did := o.sums[[2]int{cmd, statement}]
	if did == nil {
		return sum{matched: planned.matched - planned.modified - planned.deleted}
	}
	out := *did
	out.value = planned.value
	out.matched = planned.matched - planned.modified - planned.deleted + did.modified + did.deleted
	return out
}

// carryOut is the protocol on one screen: ask, seal the backup, sealed intent, execute, sealed outcome, receipt.
// Until the intent is durable, every way out of it leaves the server untouched, and until it is written the spooled files removed.
func (s *Statement) carryOut(ctx context.Context, d *Deployment, p *plan.Plan, v policy.Verdict, j Judged) (*Outcome, error) {
	g := s.gate
	v = g.sizeUp(v, j, p)
	if err := g.record(replay.KindPlanned, plannedEvent(p, j)); err != nil {
		return nil, errors.Join(err, p.Discard())
	}
	if p.Empty() && p.Estimate() { // the sample stays as it is, which says nothing of the rest
		return s.instead(ctx, d, p, v, j, wish{full: true})
	}
	if p.Empty() {
		g.whyEmpty(p)
		return &Outcome{Change: p.Change(), Status: replay.StatusApplied, Empty: true}, p.Discard()
	}
	if err := s.confirmPlan(ctx, d, p, j); err != nil { // what is shown is of the server that answers now
		return nil, errors.Join(err, p.Discard())
	}
	wish, err := s.ask(ctx, d, p, v, j) // may this run?                                     -> event: decided
	if err != nil {
		return nil, errors.Join(err, s.notCarriedOut(p, err))
	}
	if wish.other() { // not this: another plan is made, shown and asked about
		defer func(was bool) { s.wished = was }(s.wished)
		s.wished = true
		return s.instead(ctx, d, p, v, j, wish)
	}
	if p.Estimate() {
		return nil, errors.Join(s.refuse(&Refused{Text: "a preview that looked at a part cannot be carried out", Code: plan.Estimate}), p.Discard())
	}
	if v.Action == policy.Confirm { // a question stood: is it still the same server?
		if err := s.confirmPlan(ctx, d, p, j); err != nil {
			return nil, errors.Join(err, p.Discard())
		}
	}
	if err := g.space(p); err != nil {
		return nil, errors.Join(s.refuse(err), p.Discard())
	}
	saved, err := p.Seal() // synced, read back, compared
	if err == nil {
		err = g.record(replay.KindSaved, saved)
	}
	if err != nil {
		return nil, errors.Join(s.refuse(&Refused{Text: "the backup could not be made: " + err.Error(), Hints: []string{"is the disk full? state directory: " + g.cfg.StateDir}}), p.Discard())
	}
	x := newExecution(g, d, p, j)
	x.saved = saved.Files
	if err := g.recordSealed(replay.KindIntent, x.intent(j)); err != nil { // ◄ nothing has happened yet
		if errors.Is(err, journal.ErrWitness) { // the record itself is whole, and says how it ended
			if rerr := g.recordSealed(replay.KindOutcome, notBegun(p, err)); !errors.Is(rerr, journal.ErrWitness) {
				err = errors.Join(err, rerr)
			}
		}
		return nil, s.refuse(&Refused{Text: err.Error()}) // the files stay: the intent may stand in the record all the same
	}
	if r := g.standing(true); r != nil { // is the intent where a reader will look for it?
		_ = g.recordSealed(replay.KindOutcome, notBegun(p, r)) // wherever that file is by now, it says how it ended
		return nil, s.refuseUnrecorded(r)
	}
	o := x.run(ctx)
	g.dealtWith(d, p)
	g.changes = append(g.changes, o.Change)
	s.outcome = append(s.outcome, o)
	err = g.recordSealed(replay.KindOutcome, x.outcomeEvent())
	if g.cfg.Operator != nil {
		if screen := g.cfg.Operator.Receipt(receipt(d, p, o, j)); err == nil || errors.Is(err, journal.ErrWitness) {
			err = errors.Join(err, g.record(replay.KindReceipt, replay.Receipt{Change: o.Change, Screen: replay.Uncolored(screen), Written: replay.Written(screen)}))
		}
	}
	switch {
	case errors.Is(err, journal.ErrWitness):
		return o, fmt.Errorf("the change %s was made and written down; %w", o.Change, err)
	case err != nil:
		return o, fmt.Errorf("the change %s was made, and its outcome could not be written down: %w", o.Change, err)
	}
	if o.Status != replay.StatusApplied && !(p.Header().Undoes != "" && o.Error == "") {
		return o, &Stopped{Outcome: o}
	}
	return o, nil
}

// notBegun is the outcome of a change whose intent was written, and of which nothing was sent.
func notBegun(p *plan.Plan, why error) replay.Outcome {
	return replay.Outcome{Change: p.Change(), Status: replay.StatusRejected, Error: why.Error(), Counts: []replay.Count{}}
}

// notCarriedOut keeps the files of a plan that was declined until the next statement begins, for who looks at it again, and removes those of any other.
func (s *Statement) notCarriedOut(p *plan.Plan, why error) error {
	var r *Refused
	if !errors.As(why, &r) || !r.Declined {
		return p.Discard()
	}
	s.gate.previews = append(s.gate.previews, Seen{Plan: p, Text: s.text, Declined: true})
	return nil
}

// whyEmpty tells, of a plan that changes nothing and so is not shown, what of it its author may not have meant.
func (g *Gate) whyEmpty(p *plan.Plan) {
	if g.cfg.Operator == nil {
		return
	}
	for _, f := range p.Facts() {
		switch f.Code {
		case plan.NoMatch, plan.TypeMismatch, plan.UnknownField, plan.EmptyList:
			if f.Severity != plan.Info {
				g.cfg.Operator.Notice(replay.Safe(f.Text)) // one line
			}
		}
	}
}

// Stopped ends a statement whose change was not made as a whole: what follows in the script would build on it.
type Stopped struct{ Outcome *Outcome }

// Error implements error.
func (e *Stopped) Error() string {
	s := e.What()
	if e.Outcome.Error != "" {
		s += ": " + e.Outcome.Error
	}
	return s
}

// What says what became of the change, and not why: that is in its receipt.
func (e *Stopped) What() string {
	return fmt.Sprintf("the change %s was %s", e.Outcome.Change, map[replay.Status]string{
		replay.StatusPartly: "made only in part", replay.StatusRejected: "rejected: nothing was changed", replay.StatusUnknown: "cut off: its outcome is unknown",
	}[e.Outcome.Status])
}

// large says what policy asks of a change of a class because of its size.
func (g *Gate) large(j Judged, class string) func(documents, bytes int64) (string, bool) {
	c := command.Schema
	switch class {
	case command.Schema.String():
	case command.DocumentWrite.String():
		c = command.DocumentWrite
	default:
		return nil
	}
	return func(documents, bytes int64) (string, bool) {
		v := g.cfg.Policy.Size(g.cfg.Policy.Decide(j.Environment, c), j.Environment, c, documents, bytes)
		return v.Why, v.Large
	}
}

// sizeUp asks policy again, now that it is known how much the plan takes with it, and where its backup would be.
func (g *Gate) sizeUp(v policy.Verdict, j Judged, p *plan.Plan) policy.Verdict {
	var docs, bytes int64
	class := command.Schema
	switch p.Header().Class {
	case command.Schema.String():
		for _, st := range p.Steps() {
			docs, bytes = docs+st.Documents, bytes+st.Bytes
		}
	case command.DocumentWrite.String():
		class = command.DocumentWrite
		for _, c := range p.Counts() {
			docs += c.Changed()
		}
	default:
		return v
	}
	v = g.cfg.Policy.Size(v, j.Environment, class, docs, bytes)
	if durable.Volatile(g.cfg.StateDir) != "" {
		v = g.cfg.Policy.Volatile(v, j.Environment, class)
	}
	return v
}

// ask gets the operator's answer where the policy wants one. Without an error the plan may be carried out, or, if the operator wishes for another one, that one
// must be asked about.
func (s *Statement) ask(ctx context.Context, d *Deployment, p *plan.Plan, v policy.Verdict, j Judged) (wish, error) {
	g := s.gate
	switch v.Action {
	case policy.Backup, policy.Run:
		return wish{}, g.record(replay.KindDecided, replay.Decided{Change: p.Change(), Manner: "not asked", Accepted: true})
	case policy.Confirm:
	default:
		return wish{}, s.refuse(unanswerable(v))
	}
	if r := s.nobodyCanAnswer(p, v); r != nil {
		return wish{}, s.refuse(r)
	}
	if v.AskReason && g.reason == "" {
		if err := s.askReason(ctx, j.Environment); err != nil {
			return wish{}, err
		}
	}
	phrase, err := g.phrase(p)
	if err != nil {
		return wish{}, err
	}
	answer, err := g.cfg.Operator.Ask(ctx, s.question(d, p, v, j, phrase))
	return s.decided(ctx, p, phrase, answer, err)
}

// unanswerable is what no answer of the operator's could allow.
func unanswerable(v policy.Verdict) *Refused {
	r := &Refused{Text: v.Why}
	if v.Large {
		r.Code = plan.Large
	}
	if v.Action == policy.Approve {
		r.Hints = []string{"approval by a second person is not built yet, so this cannot be done with respect today"}
	}
	return r
}

// nobodyCanAnswer says why a question is not asked: nobody is there, or a loop asks it, and nobody reads the fourth screen of a loop.
func (s *Statement) nobodyCanAnswer(p *plan.Plan, v policy.Verdict) *Refused {
	if op := s.gate.cfg.Operator; op == nil || !op.Present() {
		hint := "run it in a terminal, or look at what it would do with: respect plan"
		if p.Header().Class == command.Security.String() {
			hint = "run it in a terminal"
		}
		return &Refused{
			Text:  fmt.Sprintf("%s; somebody must see the preview and type the answer, and there is no terminal", v.Why),
			Hints: []string{hint},
		}
	}
	if s.place == "" || s.wished { // what an answer wished for is no question of the script's
		return nil
	}
	if s.asked[s.place]++; s.asked[s.place] > 3 {
		return &Refused{
			Text:  "this is the fourth question from the same place in the script",
			Hints: []string{"change many documents with one deleteMany or updateMany, or with a loop that does not read what it wrote"},
		}
	}
	return nil
}

// question is what the operator is asked, and records what is shown meanwhile.
func (s *Statement) question(d *Deployment, p *plan.Plan, v policy.Verdict, j Judged, phrase string) Question {
	g := s.gate
	return Question{
		Plan: p, Environment: j.Environment, Deployment: d.Name(), Text: s.text, Phrase: phrase, Why: v.Why,
		Shown: func(screen string) error {
			return g.record(replay.KindAsked, replay.Asked{Change: p.Change(), Screen: replay.Uncolored(screen), Written: replay.Written(screen)})
		},
		Looked: func(l Look) error {
			const most = 256 << 10
			looked := replay.Looked{Change: p.Change(), Asked: l.Asked, Screen: shorten(replay.Uncolored(l.Screen), most)}
			if len(l.Screen) <= most {
				looked.Written = replay.Written(l.Screen)
			}
			if !l.At.IsZero() {
				looked.Since = g.cfg.Now().Sub(l.At).Microseconds()
			}
			return g.record(replay.KindLooked, looked)
		},
	}
}

// decided records what came of a question, durably before anything follows from it. err is that of asking.
func (s *Statement) decided(ctx context.Context, p *plan.Plan, phrase string, a Answer, err error) (wish, error) {
	wanted := wishOf(a, p)
	e := replay.Decided{Change: p.Change(), Screen: replay.Uncolored(a.Screen), Phrase: phrase, Answer: a.Text, Manner: string(a.Manner)}
	e.Accepted, e.Why = accept(a, phrase)
	if end := endedBy(ctx); end != nil && a.Manner == Aborted {
		e.Why = "not answered: the session was ended " + end.Why
	}
	switch {
	case p.Estimate() && e.Accepted:
		e.Accepted, e.Why = false, "this preview is an estimate: it cannot be confirmed before all of it was looked at"
	case wanted.other():
		e.Why = "asked for another plan"
	}
	if err != nil {
		e.Accepted, e.Why = false, err.Error()
	}
	if rerr := s.gate.recordSync(replay.KindDecided, e); rerr != nil {
		return wish{}, rerr
	}
	if e.Accepted || wanted.other() && err == nil {
		return wanted, nil
	}
	return wish{}, s.stop(&Refused{Text: e.Why, Declined: true, Applied: s.applied()})
}

// accept compares an answer with the phrase. Words may be set apart by any number of spaces; nothing else is forgiven.
func accept(a Answer, phrase string) (bool, string) {
	switch {
	case a.Manner == Typed && strings.Join(strings.Fields(a.Text), " ") == phrase && phrase != "":
		return true, ""
	case a.Manner == Pasted:
		return false, "the answer was not typed key by key: " + a.Note
	case a.Manner == Aborted:
		return false, "declined"
	case a.Manner == TimedOut:
		return false, "nobody answered"
	case strings.TrimSpace(a.Text) == "":
		return false, "declined: Enter alone confirms nothing"
	}
	return false, fmt.Sprintf("declined: %q is not what was asked for", a.Text)
}

func (s *Statement) askReason(ctx context.Context, env environment.Environment) error {
	a, err := s.gate.cfg.Operator.Reason(ctx, env)
	if err != nil {
		return s.refuse(&Refused{Text: "no reason was given: " + err.Error()})
	}
	text := strings.TrimSpace(a.Text)
	if a.Manner == Aborted || a.Manner == TimedOut || text == "" {
		if err := s.gate.record(replay.KindReason, replay.Reason{Text: a.Text, Manner: string(Aborted), Screen: replay.Uncolored(a.Screen), Written: replay.Written(a.Screen)}); err != nil {
			return err
		}
		return s.stop(&Refused{Text: "declined: no reason was given", Declined: true, Applied: s.applied()})
	}
	s.gate.reason = replay.WithoutCredentials(text)
	return s.gate.record(replay.KindReason, replay.Reason{Text: text, Manner: string(a.Manner), Screen: replay.Uncolored(a.Screen), Written: replay.Written(a.Screen)})
}

// phrase is what must be typed, with a random code where a danger is shown. A code begins with a letter: it stands behind a number.
func (g *Gate) phrase(p *plan.Plan) (string, error) {
	phrase := p.Phrase()
	if phrase == "" {
		return "", errors.New("internal error: a plan that changes something has no phrase")
	}
	if !p.Coded() {
		return phrase, nil
	}
	for {
		code, err := journal.Letters(3, g.cfg.Rand)
		if err != nil {
			return "", err
		}
		if code[0] > '9' {
			return phrase + " " + code, nil
		}
	}
}

// space refuses a change whose backup would not leave room on the disk. What is spooled is there already; schema work copies later.
func (g *Gate) space(p *plan.Plan) *Refused {
	const reserve = 64 << 20
	var more uint64
	for _, st := range p.Steps() {
		if !st.Keep {
			more += uint64(max(st.Bytes, 0))
		}
	}
	free, err := durable.Free(g.cfg.StateDir)
	if err != nil {
		return &Refused{Text: "whether there is room for the backup cannot be told: " + err.Error()}
	}
	if free < more+reserve {
		return &Refused{
			Text:  fmt.Sprintf("no room for the backup: it needs %d MiB, and %d MiB are free", (more+reserve)>>20, free>>20),
			Hints: []string{"make room, or choose another place with --state-dir"},
		}
	}
	return nil
}

func plannedEvent(p *plan.Plan, j Judged) replay.Planned {
	e := replay.Planned{
		Change: p.Change(), Digest: p.Digest(), Deployment: p.Header().Deployment, Environment: j.Environment.String(), Class: p.Header().Class,
		Summary: p.Summary(), Commands: len(p.Commands()), Counts: p.Counts(), Undoes: p.Header().Undoes, Preview: p.Header().Preview, Facts: []replay.Fact{},
	}
	for _, f := range p.Facts() {
		e.Facts = append(e.Facts, f.Record())
	}
	for _, c := range p.Changes() {
		e.Fields = append(e.Fields, replay.Field{Namespace: c.Namespace, Path: c.Path, Gone: c.Removed, Changed: c.Changed, New: c.Added})
	}
	return e
}

func receipt(d *Deployment, p *plan.Plan, o *Outcome, j Judged) Receipt {
	return Receipt{
		Change: o.Change, Environment: j.Environment, Deployment: d.Name(), Summary: p.Summary(), Status: o.Status,
		Predicted: o.Predicted, Actual: o.Actual, Skipped: o.Skipped, Alarm: o.Alarm, Error: o.Error, Undoes: p.Header().Undoes,
		Took: o.Took, Batches: o.Batches, ReadBack: o.ReadBack, Resumable: o.Status == replay.StatusPartly && p.Resumable(),
	}
}

// comment is what a DBA finds in currentOp, the profiler and the log beside each command of a change.
func (g *Gate) comment(change string) bson.E {
	return bson.E{Key: "comment", Value: fmt.Sprintf("respect change %s by %s", change, g.cfg.Who)}
}
