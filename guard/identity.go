package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/environment"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/replay"
)

// Which server answers, and which environment it is, holds for the moment in which it was asked. A tunnel may be pointed elsewhere behind a connection that
// stays open, and a marker may be written while a session runs. So both are asked again, on the very connection:
//
//	classify   everything that can be seen of a server            at connect, on a new connection, and where confirm finds something else
//	confirm    marker and process, two small reads                before each write of a change, before each question,
//	                                                              and where writes are not guarded before the first of a statement and every 100 ms
//
// What differs is refused before the byte leaves. It was classified anew by then, so that the next statement stands on the new answer. An environment
// only rises within a session.
//
// What this leaves: a forwarder that changes its target between the answer and the write right behind it. Of a guarded change such a write is bound to the
// bytes of the documents that were shown, and changes no others. An insert, an index, and the rename by which a drop begins are bound to nothing: one such command arrives, and what is behind it does
// not. A write that is not guarded arrives, with those of the 100 ms behind it.

// confirmEvery is how long an answer holds for writes that are not guarded.
const confirmEvery = 100 * time.Millisecond

// speaks is what was found about one database.
type speaks struct {
	marker   environment.Marker
	evidence []environment.Evidence
	stale    bool // the server was classified since: it is read again, and is still what a new look is compared with
}

// classify looks at the server on the connection that commands will use, and records what it is. What was seen before is
// not forgotten: within a session an environment only rises.
func (d *Deployment) classify(ctx context.Context) error {
	start := environment.Observation{Address: d.server.Address(), User: wire.User(d.target.URI), Hosts: wire.Hosts(d.target.URI), Profile: d.target.Profile}
	start.SRV = strings.HasPrefix(d.target.URI, "mongodb+srv")
	// All of it must be said on one connection: the first answer binds the rest.
	r := &binding{mainReader: mainReader{d: d}}
	o, err := r.observe(ctx, start)
	for try := 0; errors.Is(err, wire.ErrOtherConnection); try++ {
		if try == 3 {
			return errors.New("the connection is replaced, or leads elsewhere, all the time: which server answers cannot be told")
		}
		r.bound = ""
		o, err = r.observe(ctx, start)
	}
	if err != nil {
		return err
	}
	if d.target.Ours {
		empty, err := d.empty(ctx)
		if err != nil {
			return err
		}
		o.OurServer = empty
	}
	o.Remote = d.server.Remote()
	evidence := environment.Judge(o, d.gate.cfg.Policy.Rules()...)
	env := environment.Classify(evidence, "")
	who := o.Who()
	if d.verified != "" {
		env = environment.Max(env, d.env)
		if s, _ := environment.Compare(d.who, who); s != environment.Same || env != d.env || !o.Marker.Is(d.seen.Marker) {
			d.answers++
		}
	}
	d.seen, d.evidence, d.env, d.who, d.verified = o, evidence, env, who, r.bound
	for db, s := range d.databases {
		s.stale = true
		d.databases[db] = s
	}
	return d.gate.record(replay.KindConnect, replay.Connect{
		Deployment: d.Name(), URI: wire.Redact(d.target.URI), Address: d.server.Address(), Environment: env.String(),
		Evidence: records(evidence), Identity: who.Map(), User: o.User, Roles: o.Roles,
	})
}

// observe looks at a server, and asks it in the end once more who it is: what was seen in between is of that server. A tunnel that was pointed elsewhere meanwhile is as good as another connection.
func (b *binding) observe(ctx context.Context, start environment.Observation) (environment.Observation, error) {
	o, err := environment.Observe(ctx, b, start)
	if err != nil {
		return o, err
	}
	id, _, err := b.d.asked(ctx, b, o.Check())
	if err == nil && !continues(o.Who(), id) {
		err = wire.ErrOtherConnection
	}
	return o, err
}

// asked is what the questions of a check are answered.
func (d *Deployment) asked(ctx context.Context, r environment.Reader, questions []environment.Question) (environment.Identity, environment.Marker, error) {
	replies := make([]bson.Raw, len(questions))
	for i, q := range questions {
		reply, err := r.Read(ctx, q.DB, q.Command)
		if err != nil && !d.Answered(err) {
			return environment.Identity{}, environment.Marker{}, err
		}
		if err == nil {
			replies[i] = reply
		}
	}
	return environment.Answer(d.server.Address(), questions, replies)
}

// saysOfMarker is a marker in words.
func saysOfMarker(m environment.Marker) string {
	switch m.State {
	case environment.MarkerPresent:
		return fmt.Sprintf("%q, written by %s at %s", m.Value, replay.Safe(m.By), m.At.UTC().Format(time.RFC3339))
	case environment.MarkerAbsent:
		return "none"
	}
	return "one that cannot be read"
}

// database is what its marker, its name and the policy's rules say of one database. The marker is asked for once, and by confirm again.
func (d *Deployment) database(ctx context.Context, db string) (speaks, error) {
	was, known := d.databases[db]
	if known && !was.stale {
		return was, nil
	}
	m, err := environment.ObserveMarker(ctx, mainReader{d: d}, db)
	if err != nil {
		return speaks{}, err
	}
	if known && !m.Is(was.marker) {
		d.answers++
	}
	return d.heard(db, m), nil
}

// heard notes what a look at the marker of a database found.
func (d *Deployment) heard(db string, m environment.Marker) speaks {
	s := speaks{marker: m, evidence: d.DatabaseEvidence(db)}
	if m.State != environment.MarkerUnread && m.State != environment.MarkerAbsent {
		m.Scope = db
		s.evidence = append(s.evidence, environment.JudgeMarker(m, d.seen)...)
	}
	d.databases[db] = s
	return s
}

// confirm asks, on the connection that the next write will use, whether the server is still the one that was classified, with the markers that were seen. The
// databases are those that the write is for. What differs is an error, and nothing may be sent that stood on the old answer. Where the server was classified anew and is the same, it is asked
// again: nothing stands between its identity and the write.
func (d *Deployment) confirm(ctx context.Context, databases ...string) error {
	for range 4 {
		if done, err := d.confirmOnce(ctx, databases); done || err != nil {
			return err
		}
	}
	return errors.New("the connection is replaced, or leads elsewhere, all the time: which server would be written to cannot be told")
}

// confirmOnce is confirm; done is false if the server was classified anew, and is the same.
func (d *Deployment) confirmOnce(ctx context.Context, databases []string) (done bool, err error) {
	if d.server.Connection() != d.verified {
		return false, d.verify(ctx)
	}
	for _, db := range databases {
		if err := d.confirmDatabase(ctx, db); errors.Is(err, wire.ErrOtherConnection) {
			return false, d.verify(ctx)
		} else if err != nil {
			return false, err
		}
	}
	id, marker, err := d.asked(ctx, mainReader{d: d, bound: d.verified}, d.seen.Check())
	switch {
	case errors.Is(err, wire.ErrOtherConnection):
		return false, d.verify(ctx)
	case err != nil:
		return false, fmt.Errorf("ask the server who it is before writing: %w", d.fromWire(err, false))
	case d.continued(id) && marker.Is(d.seen.Marker):
		return true, nil
	}
	return false, d.verifyAnew(ctx)
}

// continued says whether what a check was answered is the server that was classified. One that never says which process it is must say the same as before: that
// is all that can be had, and a preview there says that it is not proven.
func (d *Deployment) continued(id environment.Identity) bool { return continues(d.who, id) }

func continues(was, is environment.Identity) bool {
	if s, _ := environment.Continued(was, is); s != environment.Unproven {
		return s == environment.Same
	}
	return !proven(was) && is.Set == was.Set && is.Me == was.Me && is.Mongos == was.Mongos && is.PID == was.PID && is.Process == was.Process && slices.Equal(is.Members, was.Members)
}

// proven says whether a server tells enough of itself to be told from another one behind the same connection.
func proven(who environment.Identity) bool {
	s, _ := environment.Continued(who, who)
	return s == environment.Same
}

// unprovenFact is what a preview says where a tunnel could be pointed elsewhere without a trace.
func (d *Deployment) unprovenFact() []plan.Fact {
	if proven(d.who) {
		return nil
	}
	return []plan.Fact{{
		Code: plan.UnprovenServer, Severity: plan.Danger, Data: map[string]any{"is": d.who.Map()},
		Text: fmt.Sprintf("the server does not say which process it is: if the way to it leads elsewhere by the time it is written to, that cannot be told (it is %s)", sides(d.who)),
	}}
}

// confirmDatabase looks at the marker of one database again, if it could still raise.
func (d *Deployment) confirmDatabase(ctx context.Context, db string) error {
	was, known := d.databases[db]
	if !known || db == "" || d.env == environment.Production || environment.Classify(append(slices.Clone(d.evidence), was.evidence...), db) == environment.Production {
		return nil
	}
	m, err := environment.ObserveMarker(ctx, mainReader{d: d, bound: d.verified}, db)
	if errors.Is(err, wire.ErrOtherConnection) {
		return err
	}
	if err != nil {
		return fmt.Errorf("look at the marker of %s before writing: %w", db, d.fromWire(err, false))
	}
	if m.Is(was.marker) {
		before := environment.Classify(append(slices.Clone(d.evidence), was.evidence...), db)
		if is := d.heard(db, m); environment.Classify(append(slices.Clone(d.evidence), is.evidence...), db) != before {
			d.answers++
		}
		return nil
	}
	delete(d.databases, db)
	d.answers++
	return &Refused{
		Text:  fmt.Sprintf("the environment marker of the database %s was changed: it was %s, and is %s", db, saysOfMarker(was.marker), saysOfMarker(m)),
		Hints: []string{"look at env, and type the statement again if this is what you want"},
	}
}

// verify makes sure that the connection which writes will use is to the server that was classified. If it was replaced, the new
// one is classified first. It returns an error if another server answers now.
func (d *Deployment) verify(ctx context.Context) error {
	if d.server.Connection() == d.verified {
		return nil
	}
	return d.verifyAnew(ctx)
}

// verifyAnew classifies the server that answers now. It is an error if that is not shown to be the one that was there, or if its marker was changed.
func (d *Deployment) verifyAnew(ctx context.Context) error {
	was, who, env := d.seen, d.who, d.env
	if err := d.classify(ctx); err != nil {
		return fmt.Errorf("verify which server answers: %w", err)
	}
	s, why := environment.Compare(who, d.who)
	if s != environment.Same {
		if err := d.probe(ctx); err != nil {
			return err
		}
		return d.another(who, why)
	}
	if !d.seen.Marker.Is(was.Marker) || d.env != env {
		return &Refused{
			Text:  fmt.Sprintf("%s is %s now: its environment marker was %s, and is %s", d.Name(), d.env, saysOfMarker(was.Marker), saysOfMarker(d.seen.Marker)),
			Hints: []string{"look at env, and type the statement again if this is what you want"},
		}
	}
	return nil
}

// another refuses what stood on another server than the one that answers now.
func (d *Deployment) another(was environment.Identity, why string) *Refused {
	return &Refused{
		Text:  fmt.Sprintf("another server answers at %s now, or one that does not prove to be the same: %s", d.server.Address(), why),
		Hints: []string{fmt.Sprintf("it was %s; it is %s", sides(was), sides(d.who)), "look at env, and type the statement again if this is what you want"},
	}
}

// overtaken refuses what was judged before the server was found to be another, or in another environment.
func (d *Deployment) overtaken() *Refused {
	return &Refused{
		Text:  fmt.Sprintf("what %s is was found out anew since this was judged: it is %s now", d.Name(), d.env),
		Hints: []string{"look at env, and type the statement again if this is what you want"},
	}
}

// databasesOf are the databases that a plan changes.
func databasesOf(p *plan.Plan) (out []string) {
	add := func(ns string) {
		db, _, _ := strings.Cut(ns, ".")
		if db != "" && !slices.Contains(out, db) {
			out = append(out, db)
		}
	}
	for _, c := range p.Counts() {
		add(c.Namespace)
	}
	for _, st := range p.Steps() {
		add(st.NS)
		add(st.To)
	}
	return out
}

// sides is an identity as a person compares it with another.
func sides(id environment.Identity) string { return replay.Safe(id.String()) }

// reconnect makes sure, after an answer was lost, that commands reach the same deployment again: the same server on a new connection, or, in a replica set,
// whichever member is primary now. An error that is a *Refused will not go away: another deployment answers, or one of a higher environment than
// env, which was asked about.
func (d *Deployment) reconnect(ctx context.Context, env environment.Environment) error {
	was := d.seen
	cmd, err := bson.Marshal(bson.D{{Key: "hello", Value: int32(1)}})
	if err != nil {
		return err
	}
	hello, err := mainReader{d: d}.Read(ctx, "admin", cmd) // on a new connection, if the old one is gone
	if primary, _ := hello.Lookup("isWritablePrimary").BooleanOK(); err == nil && !primary {
		err = fmt.Errorf("%s is not a primary any more", d.server.Address())
	}
	if err == nil {
		return d.stillTheSame(ctx, was, env)
	}
	if was.SetName == "" {
		return d.fromWire(err, false)
	}
	next, eerr := d.server.Elsewhere(ctx, was.Members)
	if eerr != nil {
		return errors.Join(d.fromWire(err, false), eerr)
	}
	former := d.server
	d.exchange(next)
	if err := d.stillTheSame(ctx, was, env); err != nil {
		d.exchange(former)
		return errors.Join(err, next.Close(ctx))
	}
	d.formers = append(d.formers, former) // its session goes on, and ends with the deployment
	return nil
}

// exchange makes another server the one that is connected to. Cursors of the former one are none of it.
func (d *Deployment) exchange(s *wire.Server) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server, d.main, d.side = s, cursors{}, cursors{}
}

// stillTheSame classifies the server behind the connection, and compares it with the one that was there.
func (d *Deployment) stillTheSame(ctx context.Context, was environment.Observation, env environment.Environment) error {
	who := d.who
	if err := d.classify(ctx); err != nil {
		return err
	}
	if s, why := environment.Compare(who, d.who); s != environment.Same {
		err := d.another(who, why)
		d.seen, d.who, d.verified = was, who, unverified
		return err
	}
	if environment.Max(d.env, env) != env {
		d.verified = unverified
		return &Refused{Text: fmt.Sprintf("%s is %s by now", d.server.Address(), d.env)}
	}
	return nil
}

// sameDeployment says why this server is not shown to be the one where a plan was made. A restart explains some differences, and what explains none is said.
func sameDeployment(d *Deployment, p *plan.Plan) *Refused {
	was := environment.FromMap(p.Header().Identity)
	s, why := environment.Compare(was, d.who)
	if s == environment.Same {
		return nil
	}
	text := fmt.Sprintf("change %s was made on %s, and this is %s: %s", p.Change(), p.Header().Deployment, d.Name(), why)
	if s == environment.Unproven {
		text = fmt.Sprintf("change %s was made on %s, and that this is the same server is not proven: %s", p.Change(), p.Header().Deployment, why)
	}
	return &Refused{
		Text: text,
		Hints: []string{
			fmt.Sprintf("it was made on %s; this is %s", sides(was), sides(d.who)),
			"connect to the deployment that was changed", "to take it back here all the same, name this one: --on " + d.Name(),
		},
	}
}
