package guard

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/journal"
)

// Mark writes the server's own environment marker: one document, planned, confirmed, backed up and recorded like any other change.
// A marker may be written where there is none, and raised. Lowering one needs what policy asks for it: a second person, which does not exist yet, unless the
// administrator's file says otherwise. Which marker is there is what the plan itself has read, and pins.
func (s *Statement) Mark(ctx context.Context, d *Deployment, env environment.Environment) error {
	if err := d.verify(ctx); err != nil {
		return err
	}
	for try := 0; ; try++ {
		was := d.seen.Marker
		if was.Holds(env, d.seen) {
			return nil // it is marked so already
		}
		m, err := s.newMarker(d, env)
		if err != nil {
			return err
		}
		v, facts, err := s.markVerdict(d, was, env)
		if err != nil {
			return err
		}
		p, j, err := s.planMarker(ctx, d, m, v, facts)
		if err != nil {
			return err
		}
		found, err := markerBefore(p)
		if err != nil {
			return errors.Join(s.fail(err), p.Discard())
		}
		if found.Is(was) {
			return s.carryMarker(ctx, d, m, p, v, j)
		}
		if err := p.Discard(); err != nil {
			return err
		}
		if try == 3 {
			return s.refuse(&Refused{Text: fmt.Sprintf("the marker of %s is changed by others again and again", d.Name())})
		}
		if err := d.classify(ctx); err != nil { // somebody has written a marker meanwhile: it is heard, and judged again
			return err
		}
	}
}

// newMarker is a marker for a deployment as it is seen.
func (s *Statement) newMarker(d *Deployment, env environment.Environment) (environment.Marker, error) {
	id, err := journal.Letters(20, s.gate.cfg.Rand)
	if err != nil {
		return environment.Marker{}, err
	}
	return environment.Marker{
		ID: id, Value: env.String(), Deployment: d.seen.Deployment(), For: d.seen.Who(), By: s.gate.cfg.Who, At: s.gate.cfg.Now(),
	}, nil
}

// markVerdict is what is asked for a marker in place of the one that was there, and what its preview must say.
func (s *Statement) markVerdict(d *Deployment, was environment.Marker, env environment.Environment) (v policy.Verdict, facts []plan.Fact, err error) {
	v = policy.Verdict{Action: policy.Confirm, Why: fmt.Sprintf("writing the marker of %s: confirm", d.Name()), AskReason: d.env.Effective() == environment.Production}
	if !lowers(was, env) {
		return v, nil, nil
	}
	if v = s.gate.cfg.Policy.LowerMarker(environment.Max(d.env, said(was))); v.Action < policy.Confirm {
		return v, nil, s.refuse(&Refused{
			Text: fmt.Sprintf("%s is marked %s; %s, and approval by a second person is not built yet", d.Name(), was.Value, v.Why),
			Hints: []string{
				"the administrator can allow it, for everybody here: in /etc/respect/policy.yaml, policy: {production: {security: {lower-marker: confirm}}}",
				"somebody with another tool and the right to write in the database respect can do it, outside of this record",
			},
		})
	}
	v.Action = policy.Confirm // whatever else policy would let pass
	return v, []plan.Fact{{
		Code: plan.LowersMarker, Severity: plan.Danger, Data: map[string]any{"was": was.Value, "becomes": env.String()},
		Text: fmt.Sprintf("the deployment was marked %s: from now on everybody who connects is guarded only as on %s", was.Value, env),
	}}, nil
}

// planMarker plans to write a marker.
func (s *Statement) planMarker(ctx context.Context, d *Deployment, m environment.Marker, v policy.Verdict, facts []plan.Fact) (*plan.Plan, Judged, error) {
	j := Judged{d.env, d.evidence, v.Action, v.Why, d.answers}
	c, err := command.Marker(m.Document())
	if err != nil {
		return nil, j, err
	}
	cfg, err := s.planConfig(d, j, command.Security.String())
	if err != nil {
		return nil, j, err
	}
	cfg.Facts = append(cfg.Facts, facts...)
	b, err := plan.NewBuilder(cfg)
	if err != nil {
		return nil, j, err
	}
	if _, err := b.Add(ctx, []plan.Pending{{Command: c}}); err != nil {
		return nil, j, errors.Join(s.fail(err), b.Discard())
	}
	p, err := b.Finish()
	if err != nil {
		return nil, j, errors.Join(err, b.Discard())
	}
	return p, j, nil
}

// markerBefore is the marker that a plan found and would replace.
func markerBefore(p *plan.Plan) (environment.Marker, error) {
	found := environment.Marker{State: environment.MarkerAbsent}
	images := p.Images()
	err := p.Items(func(it plan.Item) error {
		before, err := images.Before(it)
		if err == nil && before != nil {
			found = environment.ParseMarker(before)
		}
		return err
	})
	return found, errors.Join(err, images.Close())
}

// carryMarker carries out the plan of a marker. Without user data it does so without a question, unless a marker is lowered.
func (s *Statement) carryMarker(ctx context.Context, d *Deployment, m environment.Marker, p *plan.Plan, v policy.Verdict, j Judged) error {
	if s.mode == Preview {
		return s.keep(p, j)
	}
	if !lowers(d.seen.Marker, said(m)) {
		empty, err := d.empty(ctx)
		if err != nil {
			return errors.Join(d.fromWire(err, false), p.Discard())
		}
		if empty {
			v = policy.Verdict{Action: policy.Backup, Why: "a deployment without user data may be marked without a question"}
		}
	}
	o, err := s.carryOut(ctx, d, p, v, j)
	if err != nil {
		return s.fail(err)
	}
	if o.Status != replay.StatusApplied {
		return nil
	}
	if err := d.classify(ctx); err != nil {
		return err
	}
	return s.completeMarker(ctx, d, m)
}

// completeMarker adds to a marker that was just written where it is, if that could not be known before there was a collection: by that it is known again after a
// restart, or through a tunnel. It only ever narrows for whom the marker speaks. One of production speaks anyway.
func (s *Statement) completeMarker(ctx context.Context, d *Deployment, m environment.Marker) error {
	if said(m) == environment.Production || m.For.Home != "" || m.For.Data != "" || d.seen.Home == "" || d.seen.Marker.ID != m.ID {
		return nil
	}
	whole := m
	whole.For = d.seen.Who()
	v := policy.Verdict{Action: policy.Backup, Why: "the marker that was just written is told where it is"}
	p, j, err := s.planMarker(ctx, d, whole, v, nil)
	if err != nil {
		return err
	}
	if found, err := markerBefore(p); err != nil || !found.Is(d.seen.Marker) {
		return errors.Join(err, p.Discard()) // somebody has written another one: that stands
	}
	if _, err := s.carryOut(ctx, d, p, v, j); err != nil {
		return s.fail(err)
	}
	return d.classify(ctx)
}

// said is the environment that a marker names. One that cannot be understood may have said anything.
func said(was environment.Marker) environment.Environment {
	if env, ok := environment.Parse(was.Value); ok {
		return env
	}
	return environment.Production
}

// lowers says whether a marker would become less dangerous. One that cannot be understood may say anything.
func lowers(was environment.Marker, env environment.Environment) bool {
	if was.State == environment.MarkerAbsent {
		return false
	}
	old, ok := environment.Parse(was.Value)
	return !ok || environment.Max(old, env) != env
}

// MarkOurs marks a server that this process has started and that holds no data yet, where nothing is guarded: the demo's. load is called before the marker
// is written. The marker is the last command: from then on the server is what it says.
func (s *Statement) MarkOurs(ctx context.Context, d *Deployment, env environment.Environment, load func() error) error {
	if !d.seen.OurServer {
		return errors.New("internal error: only a server of our own is marked without a plan")
	}
	create, err := bson.Marshal(bson.D{{Key: "create", Value: "environment"}})
	if err != nil {
		return err
	}
	if _, err := s.Run(ctx, d, command.MarkerDatabase, create); err != nil {
		return err
	}
	if err := environment.ObserveHome(ctx, mainReader{d: d}, &d.seen); err != nil {
		return err
	}
	if err := load(); err != nil {
		return err
	}
	m, err := s.newMarker(d, env)
	if err != nil {
		return err
	}
	c, err := command.Marker(m.Document())
	if err != nil {
		return err
	}
	_, err = s.Run(ctx, d, c.Database(), c.Raw())
	return err
}
