package guard

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"respect/guard/command"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
)

// wish is what an operator answers instead of the phrase: another plan. It confirms nothing: that plan is shown, and asked about with a phrase of its own.
//
//	first N   the first N documents alone, then the rest
//	full      all documents, where the preview was an estimate
//	fields    of an undo: the change's own fields, where others changed a document since
type wish struct {
	first  int64
	full   bool
	fields bool
}

func (w wish) other() bool { return w.first > 0 || w.full || w.fields }

var firstN = regexp.MustCompile(`^first ([1-9][0-9]{0,9})$`)

// wishOf is what a typed answer wishes for. What a plan cannot give is no wish, but an answer that is declined.
func wishOf(a Answer, p *plan.Plan) wish {
	if a.Manner != Typed {
		return wish{}
	}
	text := strings.Join(strings.Fields(a.Text), " ")
	if text == "full" && p.Estimate() {
		return wish{full: true}
	}
	if text == "fields" && !p.Header().Fields && p.FieldsPossible() > 0 {
		return wish{fields: true}
	}
	m := firstN.FindStringSubmatch(text)
	if m == nil || p.Estimate() || !p.Divisible() {
		return wish{}
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n >= p.Documents() {
		return wish{}
	}
	return wish{first: n}
}

// instead makes the plans that the operator wished for, and carries each out after its own question. The plan that was shown goes.
func (s *Statement) instead(ctx context.Context, d *Deployment, p *plan.Plan, v policy.Verdict, j Judged, w wish) (o *Outcome, err error) {
	defer func() { err = errors.Join(err, p.Discard()) }()
	if w.full {
		all, err := s.planFull(ctx, d, p, j)
		if err != nil {
			return nil, err
		}
		return s.carryOut(ctx, d, all, v, j)
	}
	if w.fields {
		again, err := s.fieldsAlone()
		if err != nil {
			return nil, err
		}
		return s.carryOut(ctx, d, again, v, j)
	}
	whole := &Outcome{Change: p.Change(), Status: replay.StatusApplied, sums: map[[2]int]*sum{}}
	for _, pick := range []func(plan.Item) bool{
		func(it plan.Item) bool { return it.N < w.first },
		func(it plan.Item) bool { return it.N >= w.first },
	} {
		part, err := s.planAgain(ctx, d, p, j, "", pick)
		if err != nil {
			return nil, err
		}
		o, err := s.carryOut(ctx, d, part, v, j)
		if err != nil {
			return nil, err
		}
		whole.add(o, part, p)
	}
	return whole, nil
}

// planAgain plans documents of a plan again, as a change of their own. resumes names the change that it does the rest of, if it does.
func (s *Statement) planAgain(ctx context.Context, d *Deployment, p *plan.Plan, j Judged, resumes string, pick func(plan.Item) bool) (*plan.Plan, error) {
	cfg, err := s.planConfig(d, j, command.DocumentWrite.String())
	if err != nil {
		return nil, err
	}
	cfg.Header.Resumes = resumes
	return plan.Again(ctx, cfg, p, pick)
}

// planFull makes the plan that an estimate stands for.
func (s *Statement) planFull(ctx context.Context, d *Deployment, p *plan.Plan, j Judged) (*plan.Plan, error) {
	cfg, err := s.planConfig(d, j, command.DocumentWrite.String())
	if err != nil {
		return nil, err
	}
	b, err := plan.NewBuilder(cfg)
	if err != nil {
		return nil, err
	}
	var ps []plan.Pending
	for _, c := range p.Commands() {
		for i := range c.Writes() {
			if q := (plan.Pending{Command: c, Index: i}); p.Result(q) != nil {
				ps = append(ps, q)
			}
		}
	}
	n, err := b.Add(ctx, ps)
	if err == nil && n < len(ps) {
		err = errors.New("documents were changed by others while the plan was made; try again")
	}
	if err != nil {
		return nil, errors.Join(err, b.Discard())
	}
	return b.Finish()
}

// add adds what a part did to what the whole did. The sums are those of the whole's statements.
func (o *Outcome) add(part *Outcome, of, whole *plan.Plan) {
	numbers := map[*command.Command]int{}
	for i, c := range whole.Commands() {
		numbers[c] = i
	}
	for i, c := range of.Commands() {
		for st := range c.Writes() {
			did := part.sums[[2]int{i, st}]
			if did == nil {
				continue
			}
			at := [2]int{numbers[c], st}
			if o.sums[at] == nil {
				o.sums[at] = &sum{}
			}
			o.sums[at].plus(did)
		}
	}
}

func (s *sum) plus(t *sum) {
	s.matched += t.matched
	s.modified += t.modified
	s.inserted += t.inserted
	s.deleted += t.deleted
	if t.upserted.Type != 0 {
		s.upserted = t.upserted
	}
}
