package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/replay"
)

// Deployment is one classified server.
type Deployment struct {
	gate    *Gate
	server  *wire.Server // changes only in reconnect; other goroutines ask for it with wire
	formers []*wire.Server
	target  Target
	txn     int64 // the last number under which a write was sent in the session of the main link

	seen      environment.Observation
	evidence  []environment.Evidence
	env       environment.Environment
	databases map[string]speaks      // per database, as far as asked
	shapes    map[string]*knownShape // of collections that were read
	who       environment.Identity
	verified  string // the connection on which who was seen
	answers   int    // how often the classification came to something else than before

	software software
	road     plan.Road

	mu         sync.Mutex
	main, side cursors
}

// unverified is the name of no connection: nothing that is bound to it is sent.
const unverified = "none"

// cursors are those opened by reads, on one link, each with the namespace under which the server gave it.
type cursors map[int64]string

// Name is how the deployment is called on the screen.
func (d *Deployment) Name() string { return d.seen.Name() }

// Environment of the deployment as a whole. It never falls within a session.
func (d *Deployment) Environment() environment.Environment { return d.env }

// Evidence is why. Callers must not modify it.
func (d *Deployment) Evidence() []environment.Evidence { return d.evidence }

// Observation is what was seen of the server.
func (d *Deployment) Observation() environment.Observation { return d.seen }

// MaxStatements is how many statements one command should hold.
func (d *Deployment) MaxStatements() int {
	if d.software.embedded {
		return 50 // 100 deadlock it
	}
	return 1000
}

// DefaultDatabase is the database that the connection string names, or "".
func (d *Deployment) DefaultDatabase() string { return wire.Database(d.target.URI) }

// URI is the connection string without its password.
func (d *Deployment) URI() string { return wire.WithoutPassword(d.target.URI) }

// Redact takes secrets out of a connection string, for people and for the record.
func Redact(uri string) string { return wire.Redact(uri) }

// Close ends the connections.
func (d *Deployment) Close(ctx context.Context) error {
	err := d.server.Close(ctx)
	for _, s := range d.formers {
		err = errors.Join(err, s.Close(ctx))
	}
	return err
}

// wire is the server that is connected to, for goroutines other than the statement's.
func (d *Deployment) wire() *wire.Server {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.server
}

// remembersWrites says whether the server keeps what came of a write under its session and number, so that it can be sent again.
func (d *Deployment) remembersWrites() bool {
	_, sessions := d.server.Hello().Lookup("logicalSessionTimeoutMinutes").AsInt64OK()
	return sessions && !d.software.embedded && (d.seen.SetName != "" || d.seen.Mongos)
}

// Read runs a command that reads, and getMore and killCursors on cursors that it opened itself. Anything else is refused. It may be called from any
// goroutine, and does not wait for a statement.
func (d *Deployment) Read(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	c, err := command.Parse(db, cmd, d.owned(d.side))
	if err != nil {
		return nil, err
	}
	if !d.reads(c) {
		return nil, fmt.Errorf("internal error: %s is no read (%s)", c.Name(), c.Why())
	}
	reply, err := d.wire().Run(ctx, db, c.Raw(), wire.Options{Background: true})
	if err != nil {
		return nil, err
	}
	d.own(d.side, c, reply)
	return reply, nil
}

// aside sends a command that belongs to a change, and takes back what that change is just doing, while the change's own connection waits. Its connection is
// asked who it is before.
func (d *Deployment) aside(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	questions := d.seen.Check()
	replies := make([]bson.Raw, len(questions))
	for i, q := range questions {
		reply, err := d.Read(ctx, q.DB, q.Command)
		if err != nil && !d.Answered(err) {
			return nil, err
		}
		if err == nil {
			replies[i] = reply
		}
	}
	id, _, err := environment.Answer(d.server.Address(), questions, replies)
	if err != nil {
		return nil, err
	}
	if !d.continued(id) {
		return nil, &notSent{d.another(d.who, "on the connection beside that of the change it is "+sides(id))}
	}
	return d.wire().Run(ctx, db, cmd, wire.Options{Background: true})
}

// Answered implements environment.Reader.
func (d *Deployment) Answered(err error) bool {
	e, ok := wire.AsError(err)
	return ok && e.Answered()
}

// owned says which cursors are ours: the id with the namespace under which the server gave it.
func (d *Deployment) owned(c cursors) command.Owned {
	return func(id int64, ns command.Namespace) bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		have, ok := c[id]
		return ok && have == ns.String()
	}
}

// own notes the cursor that a read opened, and forgets it when it is used up.
func (d *Deployment) own(cs cursors, c *command.Command, reply bson.Raw) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Class() != command.Read {
		for _, id := range c.Cursors() {
			delete(cs, id)
		}
		return
	}
	id, ok := reply.Lookup("cursor", "id").Int64OK()
	if !ok {
		return
	}
	if id != 0 {
		cs[id], _ = reply.Lookup("cursor", "ns").StringValueOK()
		return
	}
	for _, used := range c.Cursors() {
		delete(cs, used)
	}
}

// mainReader reads on the connection that writes will use, for evidence and for the last look before a batch.
type mainReader struct {
	d     *Deployment
	bound string // the connection that must be used; "" for any
}

func (r mainReader) Read(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	c, err := command.Parse(db, cmd, r.d.owned(r.d.main))
	if err != nil {
		return nil, err
	}
	if !r.d.reads(c) {
		return nil, fmt.Errorf("internal error: %s is no read (%s)", c.Name(), c.Why())
	}
	reply, err := r.d.server.Run(ctx, db, c.Raw(), wire.Options{Connection: r.bound})
	if err != nil {
		return nil, err
	}
	r.d.own(r.d.main, c, reply)
	return reply, nil
}

func (r mainReader) Answered(err error) bool { return r.d.Answered(err) }

// planReader reads for a plan, on the connection whose server was classified: what is shown must come from where the change will go. If that
// connection was replaced, the server behind the new one is verified first.
type planReader struct{ d *Deployment }

func (r planReader) Read(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	reply, err := mainReader{d: r.d, bound: r.d.verified}.Read(ctx, db, cmd)
	if errors.Is(err, wire.ErrOtherConnection) {
		if err := r.d.verify(ctx); err != nil {
			return nil, err
		}
		reply, err = mainReader{d: r.d, bound: r.d.verified}.Read(ctx, db, cmd)
	}
	return reply, err
}

func (r planReader) Answered(err error) bool { return r.d.Answered(err) }

// Embedded says that the server is FerretDB.
func (r planReader) Embedded() bool { return r.d.software.embedded }

// binding reads on whatever connection its first command travels on, and on no other.
type binding struct{ mainReader }

func (b *binding) Read(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	reply, err := b.mainReader.Read(ctx, db, cmd)
	if err == nil && b.bound == "" {
		b.bound = b.d.server.Connection()
	}
	return reply, err
}

func records(ev []environment.Evidence) []replay.Evidence {
	out := []replay.Evidence{}
	for _, e := range ev {
		out = append(out, e.Record())
	}
	return out
}

// empty says whether the server was seen to hold no user data.
func (d *Deployment) empty(ctx context.Context) (bool, error) {
	return environment.Empty(ctx, mainReader{d: d})
}

// probe finds out what the server can do, with reads.
func (d *Deployment) probe(ctx context.Context) error {
	cmd, err := bson.Marshal(bson.D{{Key: "buildInfo", Value: int32(1)}})
	if err != nil {
		return err
	}
	reply, err := mainReader{d: d}.Read(ctx, "admin", cmd)
	if err != nil && !d.Answered(err) {
		return err
	}
	d.software = softwareOf(reply, d.server.Hello())
	d.road, err = d.roadOf(ctx)
	return err
}

// roadOf finds out how the server can make sure that a document is as it was shown.
func (d *Deployment) roadOf(ctx context.Context) (plan.Road, error) {
	sample := plan.Sampler(!d.software.embedded)
	for _, road := range []plan.Road{plan.RoadExpr, plan.RoadReturned} {
		still, err := plan.StillAs(sample, road, nil)
		if err != nil {
			return "", err
		}
		// A server that compares documents that are handed to it tells whether the condition holds for what it should: MongoDB since 5.1.
		holds, err := d.matches(ctx, 1, bson.A{bson.D{{Key: "$documents", Value: bson.A{bson.D{{Key: "$literal", Value: sample}}}}}, bson.D{{Key: "$match", Value: still}}})
		if err == nil && holds {
			return road, nil
		}
		if err != nil && !d.Answered(err) {
			return "", err
		}
		// Others tell at least whether they know all of it. FerretDB 1 looks at a filter only when there is a document to compare with.
		_, ferr := d.matches(ctx, "environment", bson.A{bson.D{{Key: "$match", Value: still}}})
		if ferr != nil && !d.Answered(ferr) {
			return "", ferr
		}
		if err != nil && ferr == nil && !d.software.embedded {
			return road, nil
		}
	}
	return plan.RoadFields, nil
}

// matches says whether an aggregation in the database respect finds anything.
func (d *Deployment) matches(ctx context.Context, of any, pipeline bson.A) (bool, error) {
	cmd, err := bson.Marshal(bson.D{{Key: "aggregate", Value: of}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: bson.D{}}})
	if err != nil {
		return false, err
	}
	reply, err := mainReader{d: d}.Read(ctx, "respect", cmd)
	if err != nil {
		return false, err
	}
	arr, _ := reply.Lookup("cursor", "firstBatch").ArrayOK()
	values, err := arr.Values()
	return len(values) > 0, err
}

// environmentOf is the highest environment over all namespaces that a command may change.
func (d *Deployment) environmentOf(ctx context.Context, targets []command.Namespace) (environment.Environment, []environment.Evidence, error) {
	env, evidence := d.env, d.evidence
	for _, t := range targets {
		said, err := d.database(ctx, t.DB)
		if err != nil {
			return env, evidence, err
		}
		if len(said.evidence) > 0 {
			evidence = append(slices.Clone(evidence), said.evidence...)
			env = environment.Max(env, environment.Classify(evidence, t.DB))
		}
	}
	return env, evidence, nil
}

// DatabaseEvidence is what a database's name and the policy's rules say of it, without asking the server. It can only raise.
func (d *Deployment) DatabaseEvidence(db string) []environment.Evidence {
	if db == "" {
		return nil
	}
	return append(environment.JudgeDatabase(db), environment.JudgeRules(d.gate.cfg.Policy.Rules(), d.seen, db)...)
}

// primary says whether the server takes writes.
func (d *Deployment) primary() bool {
	b, _ := d.server.Hello().Lookup("isWritablePrimary").BooleanOK()
	return b
}

// isView says whether a namespace is a view; true if that cannot be told.
func (d *Deployment) isView(ctx context.Context, ns command.Namespace) bool {
	kind, err := plan.Kind(ctx, planReader{d}, ns)
	return err != nil || kind == "view"
}
