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
)

// Mark writes the server's own environment marker: one document, planned, confirmed, backed up and recorded like any other change.
// A marker may be written where there is none, and raised. Lowering one needs what policy asks for it: a second person, which does not exist yet, unless the
// administrator's file says otherwise.
func (s *Statement) Mark(ctx context.Context, d *Deployment, env environment.Environment) error {
	g := s.gate
	if err := d.confirm(ctx); err != nil {
		return s.unconfirmed(err)
	}
	was := d.seen.Marker
	if now, ok := environment.Parse(was.Value); ok && now == env && was.State == environment.MarkerPresent && was.Deployment == d.seen.Deployment() {
		return nil // it is marked so already
	}
	v := policy.Verdict{Action: policy.Confirm, Why: fmt.Sprintf("writing the marker of %s: confirm", d.Name()), AskReason: d.env.Effective() == environment.Production}
	if lowers(was, env) {
		if v = g.cfg.Policy.LowerMarker(environment.Max(d.env, said(was))); v.Action < policy.Confirm {
			return s.refuse(&Refused{
				Text: fmt.Sprintf("%s is marked %s; %s, and approval by a second person is not built yet", d.Name(), was.Value, v.Why),
				Hints: []string{
					"the administrator can allow it, for everybody here: in /etc/respect/policy.yaml, policy: {production: {security: {lower-marker: confirm}}}",
					"somebody with another tool and the right to write in the database respect can do it, outside of this record",
				},
			})
		}
	}
	c, err := command.Marker(environment.MarkerDocument(env, d.seen.Deployment(), g.cfg.Who, g.cfg.Now()))
	if err != nil {
		return err
	}
	if empty, err := d.empty(ctx); err != nil {
		return d.fromWire(err, false)
	} else if empty && !lowers(was, env) {
		v = policy.Verdict{Action: policy.Backup, Why: "a deployment without user data may be marked without a question"}
	}
	j := Judged{d.env, d.evidence, v.Action, d.answers}
	cfg, err := s.planConfig(d, j, command.Security.String())
	if err != nil {
		return err
	}
	if lowers(was, env) {
		v.Action = policy.Confirm // whatever else policy would let pass
		cfg.Facts = append(cfg.Facts, plan.Fact{
			Code: plan.LowersMarker, Severity: plan.Danger, Data: map[string]any{"was": was.Value, "becomes": env.String()},
			Text: fmt.Sprintf("the deployment was marked %s: from now on everybody who connects is guarded only as on %s", was.Value, env),
		})
	}
	b, err := plan.NewBuilder(cfg)
	if err != nil {
		return err
	}
	if _, err := b.Add(ctx, []plan.Pending{{Command: c}}); err != nil {
		return errors.Join(s.fail(err), b.Discard())
	}
	p, err := b.Finish()
	if err != nil {
		return errors.Join(err, b.Discard())
	}
	if s.mode == Preview {
		return s.keep(p, j)
	}
	o, err := s.carryOut(ctx, d, p, v, j)
	if err != nil {
		return s.fail(err)
	}
	if o.Status == replay.StatusApplied {
		return d.classify(ctx)
	}
	return nil
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

// MarkCommand is the command that loads a marker without a plan, for a deployment where nothing is guarded: the demo's own.
func MarkCommand(d *Deployment, env environment.Environment) (db string, cmd bson.Raw, err error) {
	c, err := command.Marker(environment.MarkerDocument(env, d.seen.Deployment(), d.gate.cfg.Who, d.gate.cfg.Now()))
	if err != nil {
		return "", nil, err
	}
	return c.Database(), c.Raw(), nil
}
