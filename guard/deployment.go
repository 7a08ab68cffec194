package guard

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
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
	databases map[string][]environment.Evidence // per database, as far as asked
	shapes    map[string]*knownShape            // of collections that were read
	identity  map[string]string
	verified  string // the connection on which identity was seen

	software software
	road     plan.Road

	mu         sync.Mutex
	main, side cursors
}

// unverified is the name of no connection: nothing that is bound to it is sent.
const unverified = "none"

// software is what the server is.
type software struct {
	version  string
	embedded bool // FerretDB, which has limits that MongoDB does not have
}

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

// Version is the server's own version.
func (d *Deployment) Version() string { return d.software.version }

// major is the first number of the version; 0 if it is not known.
func (d *Deployment) major() int {
	first, _, _ := strings.Cut(d.software.version, ".")
	n, err := strconv.Atoi(first)
	if err != nil || d.software.embedded {
		return 0
	}
	return n
}

// Embedded says that the server is FerretDB, which cannot do all that MongoDB can.
func (d *Deployment) Embedded() bool { return d.software.embedded }

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
	if c.Class() != command.Read && c.Class() != command.Session {
		return nil, fmt.Errorf("internal error: %s is no read (%s)", c.Name(), c.Why())
	}
	reply, err := d.wire().Run(ctx, db, c.Raw(), wire.Options{Background: true})
	if err != nil {
		return nil, err
	}
	d.own(d.side, c, reply)
	return reply, nil
}

// aside sends a command that belongs to a change, and takes back what that change is just doing, while the change's own connection waits.
func (d *Deployment) aside(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
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
	if c.Class() != command.Read && c.Class() != command.Session {
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

// classify looks at the server on the connection that commands will use, and records what it is. What was seen before is
// not forgotten: within a session an environment only rises.
func (d *Deployment) classify(ctx context.Context) error {
	start := environment.Observation{Address: d.server.Address(), User: wire.User(d.target.URI), Hosts: wire.Hosts(d.target.URI), Profile: d.target.Profile}
	start.SRV = len(d.target.URI) > 11 && d.target.URI[:11] == "mongodb+srv"
	// All of it must be said on one connection: the first answer binds the rest.
	r := &binding{mainReader: mainReader{d: d}}
	o, err := environment.Observe(ctx, r, start)
	for try := 0; errors.Is(err, wire.ErrOtherConnection); try++ {
		if try == 3 {
			return errors.New("the connection is replaced all the time: which server answers cannot be told")
		}
		r.bound = ""
		o, err = environment.Observe(ctx, r, start)
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
	if d.verified != "" {
		env = environment.Max(env, d.env)
	}
	d.seen, d.evidence, d.env, d.identity, d.verified = o, evidence, env, o.Identity(), r.bound
	clear(d.databases)
	return d.gate.record(replay.KindConnect, replay.Connect{
		Deployment: d.Name(), URI: wire.Redact(d.target.URI), Address: d.server.Address(), Environment: env.String(),
		Evidence: records(evidence), Identity: d.identity, User: o.User, Roles: o.Roles,
	})
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
	d.software.version, _ = reply.Lookup("version").StringValueOK()
	_, err = reply.LookupErr("ferretdbVersion")
	d.software.embedded = err == nil
	d.road = plan.RoadExpr
	still, err := plan.StillAs(bson.Raw{5, 0, 0, 0, 0}, plan.RoadExpr, nil)
	if err != nil {
		return err
	}
	cmd, err = bson.Marshal(bson.D{{Key: "find", Value: "environment"}, {Key: "filter", Value: still}, {Key: "limit", Value: int32(1)}, {Key: "singleBatch", Value: true}})
	if err != nil {
		return err
	}
	if _, err = (mainReader{d: d}).Read(ctx, "respect", cmd); err != nil {
		if !d.Answered(err) {
			return err
		}
		d.road = plan.RoadFields
	}
	if d.software.embedded && d.seen.Marker.State == environment.MarkerAbsent {
		d.road = plan.RoadFields // FerretDB looks at a filter only when there is a document to compare with
	}
	return nil
}

// verify makes sure that the connection which writes will use is to the server that was classified. If it was replaced, the new
// one is classified first. It returns an error if another server answers now.
func (d *Deployment) verify(ctx context.Context) error {
	if d.server.Connection() == d.verified {
		return nil
	}
	before := d.identity
	if err := d.classify(ctx); err != nil {
		return fmt.Errorf("verify the server behind the new connection: %w", err)
	}
	if !maps.Equal(before, d.identity) {
		return &Refused{
			Text:  fmt.Sprintf("the connection was replaced, and another server answers at %s now", d.server.Address()),
			Hints: []string{fmt.Sprintf("it says %v; before it said %v", d.identity, before), "look at env, and type the statement again if this is what you want"},
		}
	}
	return nil
}

// reconnect makes sure, after an answer was lost, that commands reach the same deployment again: the same process on a new connection, or, in a replica set,
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
	if err := d.classify(ctx); err != nil {
		return err
	}
	if why := environment.Another(was, d.seen); why != "" {
		d.seen, d.identity, d.verified = was, was.Identity(), unverified
		return &Refused{Text: fmt.Sprintf("another server answers at %s now: %s", d.server.Address(), why)}
	}
	if environment.Max(d.env, env) != env {
		d.verified = unverified
		return &Refused{Text: fmt.Sprintf("%s is %s by now", d.server.Address(), d.env)}
	}
	return nil
}

// environmentOf is the highest environment over all namespaces that a command may change.
func (d *Deployment) environmentOf(ctx context.Context, targets []command.Namespace) (environment.Environment, []environment.Evidence, error) {
	env, evidence := d.env, d.evidence
	for _, t := range targets {
		more, err := d.databaseEvidence(ctx, t.DB)
		if err != nil {
			return env, evidence, err
		}
		if len(more) > 0 {
			evidence = append(slices.Clone(evidence), more...)
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

func (d *Deployment) databaseEvidence(ctx context.Context, db string) ([]environment.Evidence, error) {
	if ev, ok := d.databases[db]; ok {
		return ev, nil
	}
	ev := d.DatabaseEvidence(db)
	m, err := environment.ObserveMarker(ctx, mainReader{d: d}, db)
	if err != nil {
		return nil, err
	}
	if m.State != environment.MarkerUnread && m.State != environment.MarkerAbsent {
		m.Scope = db
		ev = append(ev, environment.JudgeMarker(m, d.seen)...)
	}
	d.databases[db] = ev
	return ev, nil
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
