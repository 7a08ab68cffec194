package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/journal"
)

// Mode says what a statement may do.
type Mode uint8

// The modes.
const (
	// Execute carries plans out after their confirmation.
	Execute Mode = iota
	// Preview only plans, in every environment, and sends nothing but reads.
	Preview
)

// Input is one statement as it came.
type Input struct {
	Text   string // secrets redacted
	Manner string // typed, pasted, recalled, argument, file, pipe, undo, mark, seed
	Prompt string // behind which it was typed; "" if there was none
	Screen string // how it stood on the screen with its prompts, if that is not told by Prompt and Text
	Mode   Mode
	Full   bool // previews look at all documents, however many they are
}

// Statement is one statement with all its commands, on all deployments. It belongs to the Gate's goroutine.
type Statement struct {
	gate        *Gate
	mode        Mode
	queue       []*queued
	builder     *plan.Builder
	cut         bool         // the builder takes no more: what is next belongs to the next plan
	plans       []*plan.Plan // Preview: what was planned
	envs        []Judged     // Preview: under which environment, one each
	planned     []command.Namespace
	outcome     []*Outcome
	asked       map[string]int             // questions from the same place
	confirmedAt map[confirmation]time.Time // when a server was last asked who it is
	place       string
	wished      bool  // the plan at hand is one that an answer wished for
	stopped     error // after it the statement runs nothing more
	manner      string
	text        string                     // as it was recorded
	whole       bool                       // previews look at everything, however much it is
	sent        []string                   // writes that needed no plan and reached a server, as "insert famigo.families"
	wrote       Wrote                      // what they did
	fieldsAlone func() (*plan.Plan, error) // of an undo: the plan that sets back only the change's own fields
	looking     time.Time                  // since when the plan at hand is made

	discarded int
	unplanned bool
	late      *queued // a command of which a part would fail, which ends the script when the rest of it is done
	issued    int     // guarded writes that waited, or wait, for their plan,
	settled   int     // and those of them whose plan was carried out
}

// confirmation is what was asked: a server, and its markers of some databases. It says nothing of other databases.
type confirmation struct {
	d         *Deployment
	databases string
}

// Judged is an environment with its evidence, and what policy asks there.
type Judged struct {
	Environment environment.Environment
	Evidence    []environment.Evidence
	Action      policy.Action // of a plan that is only previewed, what would be asked of it
	Why         string        // which rule gives this action

	answers int // Deployment.answers when it was judged: another number is another answer
}

// queued is a document write that waits for its plan.
type queued struct {
	d       *Deployment
	cmd     *command.Command
	verdict policy.Verdict
	judged  Judged
	reply   *Reply
	sums    []sum       // one a statement of the command
	left    int         // statements that have no result yet
	took    int         // statements that plans have taken
	facts   []plan.Fact // of a plan that begins with it
	failed  []failure   // statements that are not planned, since the server would refuse them
}

// failure is an error of one statement of a command that was foreseen, and that the script is told.
type failure struct {
	index int
	err   *plan.Foreseen
}

// skips says whether a statement of the command is not planned: because it would fail, or because one before it would, where they are ordered.
func (q *queued) skips(i int) bool {
	for _, f := range q.failed {
		if f.index == i || f.index < i && q.ordered() {
			return true
		}
	}
	return false
}

func (q *queued) ordered() bool {
	v, ok := q.cmd.Lookup("ordered")
	b, isBool := v.BooleanOK()
	return !ok || !isBool || b
}

// sum is what a statement did.
type sum struct {
	matched, modified, inserted, deleted int64
	upserted                             bson.RawValue
	value                                bson.Raw // of a findAndModify
}

func (in Input) event(mode string) replay.Input {
	return replay.Input{Text: in.Text, Manner: in.Manner, Mode: mode, Prompt: in.Prompt, Screen: in.Screen}
}

// Begin starts a statement and records its input.
func (g *Gate) Begin(in Input) (*Statement, error) {
	mode := "run"
	if in.Mode == Preview {
		mode = "preview"
	}
	g.endShown()
	if err := g.record(replay.KindInput, in.event(mode)); err != nil {
		return nil, err
	}
	g.forgetPreviews()
	g.wrote = g.Wrote()
	g.last = &Statement{gate: g, mode: in.Mode, manner: in.Manner, text: in.Text, whole: in.Full, asked: map[string]int{}, confirmedAt: map[confirmation]time.Time{}}
	return g.last, nil
}

// Wrote says whether anything was changed in this session, with a plan or without.
func (g *Gate) Wrote() bool { return g.wrote || g.last != nil && len(g.last.applied()) > 0 }

// Stopped is why the statement runs nothing more; nil while it does.
func (s *Statement) Stopped() error { return s.stopped }

// Applied is what this statement changed: the changes that were made, and in words what was written without a plan.
func (s *Statement) Applied() []string { return s.applied() }

// Pending is how many commands have been queued so far, and how many of them, the first ones, have been carried out since.
func (s *Statement) Pending() (issued, settled int) { return s.issued, s.settled }

// At names the place in the script that the next commands come from, to notice a loop that asks again and again.
func (s *Statement) At(place string) { s.place = place }

// Outcomes are what the statement's guarded writes came to, oldest first.
func (s *Statement) Outcomes() []*Outcome { return s.outcome }

// Plans are what a preview planned, with the environment of each. Their files are gone.
func (s *Statement) Plans() ([]*plan.Plan, []Judged) { return s.plans, s.envs }

// Run is the waist: every command of every kind passes here on its way to a server.
func (s *Statement) Run(ctx context.Context, d *Deployment, db string, cmd bson.Raw) (*Reply, error) {
	if s.stopped != nil {
		return nil, s.stopped
	}
	c, err := command.Parse(db, cmd, d.owned(d.main)) // private copy of the bytes; unknown = write
	if err != nil {
		return nil, s.refuse(&Refused{Text: err.Error()})
	}
	if d.reads(c) {
		return s.read(ctx, d, c)
	}
	v, judged, err := s.decide(ctx, d, c)
	if err != nil {
		return nil, err
	}
	if s.mode == Preview && !v.Guarded() {
		v = policy.Verdict{Action: policy.Confirm, Why: "preview"}
	}
	if v.Action == policy.Refuse {
		return nil, s.refuse(refusal(d, c, v, judged.Environment))
	}
	if v.Guarded() && c.Explains() != nil {
		return nil, s.refuse(explains(d, c))
	}
	if v.Guarded() && len(c.Writes()) > 0 {
		return s.enqueue(ctx, d, c, v, judged) // nothing is sent
	}
	if v.Guarded() {
		o, err := c.Output()
		var m command.Misplaced
		if errors.As(err, &m) { // src/mongo/db/pipeline/pipeline.cpp, validateCommon
			return nil, s.fail(&plan.Foreseen{Code: 40601, Name: "Location40601", Message: m.Error()})
		}
		if err != nil {
			return nil, s.fail(fmt.Errorf("%w %w", err, plan.ErrNotPlanned))
		}
		if o != nil {
			return s.outputs(ctx, d, c, o, v, judged)
		}
	}
	if err := s.settleFor(ctx, d, c); err != nil {
		return nil, err
	}
	if v.Guarded() {
		return s.settleAlone(ctx, d, c, v, judged)
	}
	return s.send(ctx, d, c, judged)
}

// decide says what policy asks, on a connection whose server was verified. A plan is confirmed before it is asked about and again before it is carried out; what
// needs none stands on what is confirmed here.
func (s *Statement) decide(ctx context.Context, d *Deployment, c *command.Command) (policy.Verdict, Judged, error) {
	if err := d.verify(ctx); err != nil {
		return policy.Verdict{}, Judged{}, err
	}
	env, evidence, err := d.environmentOf(ctx, c.Targets())
	if err != nil {
		return policy.Verdict{}, Judged{}, d.fromWire(err, false)
	}
	v := s.gate.cfg.Policy.Decide(env, c.Class())
	j := Judged{env, evidence, v.Action, v.Why, d.answers}
	if !v.Guarded() && v.Action != policy.Refuse && s.mode != Preview {
		err = s.confirmed(ctx, d, c)
	}
	return v, j, err
}

// confirmed makes sure, before a write that is not guarded, that its server is the one that was classified. An answer holds for confirmEvery, within the statement.
func (s *Statement) confirmed(ctx context.Context, d *Deployment, c *command.Command) error {
	var dbs []string
	for _, t := range c.Targets() {
		dbs = append(dbs, t.DB)
	}
	now, what := s.gate.cfg.Now(), confirmation{d, strings.Join(dbs, ".")} // no name of a database has a dot
	if at, ok := s.confirmedAt[what]; ok && now.Sub(at) >= 0 && now.Sub(at) < confirmEvery && d.server.Connection() == d.verified {
		return nil
	}
	if err := d.confirm(ctx, dbs...); err != nil {
		return s.unconfirmed(err)
	}
	s.confirmedAt[what] = s.gate.cfg.Now()
	return nil
}

// unconfirmed records that a server was not the one that was classified.
func (s *Statement) unconfirmed(err error) error {
	var r *Refused
	if errors.As(err, &r) {
		return s.refuse(r)
	}
	return err
}

// confirmPlan makes sure that the server is the one that a plan was made on, in the environment that was judged.
func (s *Statement) confirmPlan(ctx context.Context, d *Deployment, p *plan.Plan, j Judged) error {
	if err := d.confirm(ctx, databasesOf(p)...); err != nil {
		return s.unconfirmed(err)
	}
	if d.answers != j.answers {
		return s.refuse(d.overtaken())
	}
	return nil
}

// refusal says what policy does not let pass, and, where no file forbids it but what is built in, which rule would.
func refusal(d *Deployment, c *command.Command, v policy.Verdict, env environment.Environment) *Refused {
	r := &Refused{Text: fmt.Sprintf("%s on %s: %s", c.Name(), d.Name(), v.Why)}
	if c.Why() != "" {
		r.Text = fmt.Sprintf("%s: %s", r.Text, c.Why())
	}
	switch c.Class() {
	case command.Unknown:
		r.Hints = []string{"what respect does not understand it treats as a write that nobody can preview or undo"}
	case command.Security, command.Cluster, command.Server:
		if v == policy.Default().Decide(env, c.Class()) {
			r.Hints = []string{fmt.Sprintf("an administrator can allow it in /etc/respect/policy.yaml: policy: {%s: {%s: confirm}}", env.Effective(), c.Class())}
		}
	}
	if len(plan.System(c)) > 0 {
		r.Code = plan.SystemCollection
	}
	return r
}

// refuseUnrecorded ends a statement because the record cannot be relied on. That it was refused is written where there may be no reader.
func (s *Statement) refuseUnrecorded(r *Refused) error {
	r.Applied = s.applied()
	s.stopped = r
	_ = s.gate.record(replay.KindRefused, replay.Refused{Text: r.Text, Hints: r.Hints}) // it may fail like the rest
	return r
}

// explains refuses an explanation that could itself write.
func explains(d *Deployment, c *command.Command) *Refused {
	r := &Refused{Text: fmt.Sprintf("%s on %s: %s", c.Name(), d.Name(), c.Why())}
	if c.ExplainsStatement() {
		r.Hints = []string{"explain a find with the same filter: db.COLLECTION.find(FILTER).explain()", "preview STATEMENT shows what it would change"}
	} else {
		r.Hints = []string{"explain the same pipeline without its stage that writes"}
	}
	return r
}

// refuse records a refusal and ends the statement with it.
func (s *Statement) refuse(r *Refused) error {
	r.Applied = s.applied()
	if err := s.gate.record(replay.KindRefused, replay.Refused{Text: r.Text, Hints: r.Hints, Code: r.Code}); err != nil {
		return err
	}
	s.stopped = r
	return r
}

func (s *Statement) applied() (what []string) {
	for _, o := range s.outcome {
		if o.Status != replay.StatusRejected && !o.Empty {
			what = append(what, o.Change)
		}
	}
	if len(s.sent) > 0 {
		what = append(what, s.without())
	}
	return what
}

// read sends a command that changes nothing, after what it depends on.
func (s *Statement) read(ctx context.Context, d *Deployment, c *command.Command) (*Reply, error) {
	if err := s.settleFor(ctx, d, c); err != nil {
		return nil, err
	}
	if ms := d.boundsReads(c); ms > 0 {
		c = c.Bounded(ms)
	}
	s.announce(ctx, d, c)
	return s.send(ctx, d, c, Judged{})
}

// boundsReads is the limit of time that a read gets, in milliseconds; 0 for none. On production a forgotten one costs others.
func (d *Deployment) boundsReads(c *command.Command) int64 {
	if d.software.embedded && c.Name() == "distinct" {
		return 0 // FerretDB's distinct knows no maxTimeMS
	}
	env := d.env
	for _, src := range c.Sources() {
		env = environment.Max(env, environment.Classify(append(slices.Clone(d.evidence), d.DatabaseEvidence(src.DB)...), src.DB))
	}
	return d.gate.cfg.Policy.MaxTimeMS(env)
}

// settleFor settles what is queued if a command depends on it. A preview ends there: it carries nothing out, so that what the command
// would see is not there.
func (s *Statement) settleFor(ctx context.Context, d *Deployment, c *command.Command) error {
	if s.overlapsPlanned(c) {
		return s.stop(ErrIncomplete)
	}
	if !s.dependsOnPending(ctx, d, c) {
		return nil
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	if s.mode == Preview {
		return s.stop(ErrIncomplete)
	}
	return nil
}

// send is the last step of what needs no plan. A write is bound to the connection whose server was verified.
func (s *Statement) send(ctx context.Context, d *Deployment, c *command.Command, j Judged) (*Reply, error) {
	write := !d.reads(c)
	opts := wire.Options{}
	if write {
		if s.mode == Preview {
			panic("guard: internal error: a preview was about to write")
		}
		if d.software.embedded && c.Name() == "update" && len(c.Writes()) >= 100 {
			return nil, s.refuse(&Refused{Text: "100 or more statements in one update command would hang the embedded server", Hints: []string{"send fewer at a time"}})
		}
		if err := s.confirmed(ctx, d, c); err != nil { // a question may have stood since it was decided
			return nil, err
		}
		if d.answers != j.answers {
			return nil, s.refuse(d.overtaken())
		}
		opts.Connection = d.verified
	}
	start := s.gate.cfg.Now()
	reply, err := d.server.Run(ctx, c.Database(), c.Raw(), opts)
	if rerr := s.gate.recordCommand(d, c, "", start, reply, err); rerr != nil && write {
		return nil, rerr
	}
	if errors.Is(err, wire.ErrTripwire) {
		return nil, s.gate.security(err)
	}
	e, ok := wire.AsError(err)
	partly := ok && e.Answered() && wroteSome(e.Reply) // some of its statements failed, and others did not
	if write && (err == nil || partly || ok && e.Sent && !e.Answered()) {
		s.sent = append(s.sent, strings.TrimSpace(c.Name()+" "+targetsOf(c)))
	}
	if err != nil {
		err = d.fromWire(err, write)
		if !partly {
			return &Reply{raw: reply}, err
		}
		reply = e.Reply
	}
	if write {
		s.wrote.add(c, reply)
	}
	d.own(d.main, c, reply)
	s.gate.see(d, c, reply)
	if write && touchesMarker(c) {
		return &Reply{raw: reply}, errors.Join(err, d.classify(ctx)) // it was this session that wrote it
	}
	return &Reply{raw: reply}, err
}

// wroteSome says whether a reply is that of a command of which some statements were carried out, and others failed.
func wroteSome(reply bson.Raw) bool {
	n, _ := reply.Lookup("n").AsInt64OK()
	failed, ok := reply.Lookup("writeErrors").ArrayOK()
	return ok && len(failed) > 5 && n > 0
}

// touchesMarker says whether a command may change an environment marker.
func touchesMarker(c *command.Command) bool {
	return slices.ContainsFunc(c.Targets(), func(t command.Namespace) bool {
		return t.DB == command.MarkerDatabase || t.Collection == command.MarkerCollection || t.Collection == ""
	})
}

// targetsOf are the namespaces that a command may change, in words.
func targetsOf(c *command.Command) string {
	var names []string
	for _, t := range c.Targets() {
		names = append(names, t.String())
	}
	return shorten(strings.Join(names, ", "), 200)
}

// security records a broken invariant. The wire sends nothing more after it.
func (g *Gate) security(err error) error {
	return errors.Join(fmt.Errorf("security: %w; the session must end", err), g.recordSync(replay.KindSecurity, replay.Security{Text: err.Error()}))
}

func (g *Gate) recordCommand(d *Deployment, c *command.Command, change string, start time.Time, reply bson.Raw, err error) error {
	e := replay.Command{
		Deployment: d.Name(), Database: c.Database(), Name: c.Name(), Class: c.Class().String(), Change: change,
		Micros: g.cfg.Now().Sub(start).Microseconds(), Bytes: len(reply),
	}
	for _, t := range c.Targets() {
		e.Namespaces = append(e.Namespaces, t.String())
	}
	if err != nil {
		e.Error = err.Error()
	}
	switch c.Class() {
	case command.DocumentWrite, command.Schema, command.Operations:
		e.Text = textOf(c.Raw())
	case command.Read, command.Session:
	default: // any value may be a password: users, parameters, what is not understood
		e.Text = strings.Join(keys(c.Raw()), " ") + " (values are not recorded)"
	}
	return g.record(replay.KindCommand, e)
}

func keys(doc bson.Raw) (out []string) {
	elems, _ := doc.Elements() // it was parsed
	for _, e := range elems {
		out = append(out, e.Key())
	}
	return out
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + fmt.Sprintf("… (%d bytes)", len(s))
}

// enqueue keeps a document write for the plan of its statement. A findAndModify is settled at once: its reply is a document.
func (s *Statement) enqueue(ctx context.Context, d *Deployment, c *command.Command, v policy.Verdict, judged Judged) (*Reply, error) {
	if !d.primary() {
		return nil, s.refuse(&Refused{Text: d.Name() + " is not a primary: it takes no writes", Hints: []string{"connect to the replica set, or to its primary"}})
	}
	// One question is about one deployment and one environment.
	if len(s.queue) > 0 && (s.queue[0].d != d || s.queue[0].judged.Environment != judged.Environment) {
		if err := s.Settle(ctx); err != nil {
			return nil, err
		}
	}
	if s.overlapsPlanned(c) {
		return nil, s.stop(ErrIncomplete)
	}
	if err := s.fits(judged.Environment, len(c.Writes()), len(c.Raw())); err != nil {
		return nil, err
	}
	q := &queued{d: d, cmd: c, verdict: v, judged: judged, sums: make([]sum, len(c.Writes())), left: len(c.Writes())}
	q.reply = &Reply{s: s, q: q}
	fam := c.Writes()[0].FindAndModify
	if fam && len(s.queue) > 0 {
		if err := s.Settle(ctx); err != nil {
			return nil, err
		}
	}
	s.queue = append(s.queue, q)
	s.issued++
	if fam {
		return q.reply, s.settleFindAndModify(ctx, q)
	}
	return q.reply, nil
}

// Fits ends the statement if so many writes more, and so many bytes of commands, would be over its caps: a script that is about to make them hears it before it has.
// Nothing is queued or sent.
func (s *Statement) Fits(d *Deployment, writes, bytes int) error {
	if s.stopped != nil {
		return s.stopped
	}
	if s.mode != Preview && !s.gate.cfg.Policy.Decide(d.env, command.DocumentWrite).Guarded() {
		return nil
	}
	return s.fits(d.env, writes, bytes)
}

func (s *Statement) fits(env environment.Environment, writes, bytes int) error {
	n, size := int64(writes), int64(bytes)
	for _, q := range s.queue {
		n, size = n+int64(len(q.cmd.Writes())), size+int64(len(q.cmd.Raw()))
	}
	mostOps, mostBytes := s.gate.cfg.Policy.MaxOperations(env), s.gate.cfg.Policy.MaxCommandBytes(env)
	if n <= mostOps && size <= mostBytes {
		return nil
	}
	s.Discard()
	return s.refuse(&Refused{
		Text:  fmt.Sprintf("this statement issues more than %d operations or %.3g MiB of commands", mostOps, float64(mostBytes)/(1<<20)),
		Hints: []string{"half a loop is worse than none: use one deleteMany or updateMany, or split the script"},
	})
}

// settleFindAndModify carries one out at the call and finds the document that it returns, with the fields that were asked for.
func (s *Statement) settleFindAndModify(ctx context.Context, q *queued) error {
	w := q.cmd.Writes()[0]
	if err := s.take(ctx, q); err != nil {
		return s.fail(err)
	}
	res := s.builder.Result(plan.Pending{Command: q.cmd})
	id := res.Before.Lookup("_id")
	if res.Before == nil {
		id = res.UpsertedID
	}
	value := res.Before
	var err error
	if !w.New && res.Before != nil && w.Fields.Type != 0 {
		if value, err = q.d.findOne(ctx, w, id); err != nil {
			return s.fail(q.d.fromWire(err, false))
		}
	}
	if err := s.Settle(ctx); err != nil {
		return err
	}
	switch {
	case w.New && s.mode == Preview:
		if res.ModifiedUnknown || w.Fields.Type != 0 {
			return s.stop(ErrIncomplete)
		}
		value = res.After
	case w.New && id.Type != 0:
		if value, err = q.d.findOne(ctx, w, id); err != nil {
			return q.d.fromWire(err, false)
		}
	}
	q.sums[0].value = value
	return nil
}

// findOne reads one document by its _id, with the fields that a findAndModify asked for.
func (d *Deployment) findOne(ctx context.Context, w command.Write, id bson.RawValue) (bson.Raw, error) {
	cmd := bson.D{{Key: "find", Value: w.NS.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$eq", Value: id}}}}}, {Key: "limit", Value: int32(1)}, {Key: "singleBatch", Value: true}}
	if w.Fields.Type != 0 {
		cmd = append(cmd, bson.E{Key: "projection", Value: w.Fields})
	}
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	reply, err := planReader{d}.Read(ctx, w.NS.DB, raw)
	if err != nil {
		return nil, err
	}
	v, err := reply.LookupErr("cursor", "firstBatch", "0")
	if err != nil {
		return nil, nil // gone again
	}
	return v.Document(), nil
}

// stop ends the statement: whatever the script does next, nothing more runs.
func (s *Statement) stop(err error) error {
	s.stopped = err
	return err
}

// overlapsPlanned says whether a preview's command touches what was planned and not carried out.
func (s *Statement) overlapsPlanned(c *command.Command) bool {
	if c.Name() == "getMore" {
		return false // of a cursor that was opened before
	}
	for _, p := range s.planned {
		for _, t := range append(append([]command.Namespace(nil), c.Targets()...), c.Sources()...) {
			if p.Overlaps(t) {
				return true
			}
		}
	}
	return false
}

// dependsOnPending says whether a command could see what the queued writes will do.
func (s *Statement) dependsOnPending(ctx context.Context, d *Deployment, c *command.Command) bool {
	if len(s.queue) == 0 {
		return false
	}
	if !d.reads(c) {
		return true
	}
	if c.Live() {
		return true
	}
	if c.Name() == "getMore" {
		return false // more of what was asked before: for (doc of cursor) deleteOne(doc) is one plan
	}
	for _, src := range c.Sources() {
		for _, q := range s.queue {
			if q.d != d {
				continue
			}
			for _, t := range q.cmd.Targets() {
				if t.Overlaps(src) && !untouched(c, q) {
					return true
				}
				if t.DB == src.DB && src.Collection != "" && t != src && d.isView(ctx, src) {
					return true
				}
			}
		}
	}
	return false
}

// untouched says whether a find by _id reads only documents that a queued write cannot touch, because each of its statements names
// another one by its _id.
func untouched(c *command.Command, q *queued) bool {
	if c.Name() != "find" {
		return false
	}
	wanted, ok := plan.FindIDs(c.Raw())
	if !ok {
		return false
	}
	for _, w := range q.cmd.Writes() {
		id, ok := plan.OnlyID(w)
		if !ok || plan.SameID(wanted, id) {
			return false
		}
	}
	return true
}

// Settle carries out what is queued: plans are made, shown, confirmed, backed up and executed, one after the other. In a preview they
// are only made.
func (s *Statement) Settle(ctx context.Context) error {
	if s.stopped != nil {
		return s.stopped
	}
	for part := 1; len(s.queue) > 0; part++ {
		if err := s.take(ctx, nil); err != nil {
			return s.fail(err)
		}
		if s.cut || part > 1 {
			if err := s.builder.Follows(ctx, part, s.untaken()); err != nil {
				return s.fail(err)
			}
		}
		if err := s.settleBuilt(ctx); err != nil {
			return s.fail(err)
		}
		if s.mode == Preview && len(s.queue) > 0 {
			return s.stop(ErrIncomplete)
		}
	}
	if q := s.late; q != nil {
		s.late = nil
		return s.stop(q.refused())
	}
	return nil
}

// refused is the error of a command of which a part was refused.
func (q *queued) refused() error {
	raw, err := q.build()
	if err != nil {
		return err
	}
	f := q.failed[0].err
	return &ServerError{Code: f.Code, Name: f.Name, Message: f.Message, Reply: raw, Bulk: true}
}

// fail drops what is queued and ends the statement.
func (s *Statement) fail(err error) error {
	s.Discard()
	var r *Refused
	if errors.As(err, &r) {
		r.Applied = s.applied()
	}
	if errors.Is(err, plan.ErrUnpinnable) || errors.Is(err, plan.ErrNotPlanned) {
		code := plan.NotPinnable
		if errors.Is(err, plan.ErrNotPlanned) {
			code = ""
		}
		return s.refuse(&Refused{Text: err.Error(), Code: code})
	}
	var f *plan.Foreseen
	if errors.As(err, &f) {
		err = &ServerError{Code: f.Code, Name: f.Name, Message: f.Message, Foreseen: true}
	}
	if e, ok := wire.AsError(err); ok && e.Answered() { // a read of the plan, which the server refused
		err = &ServerError{Code: e.Code, Name: e.Name, Message: e.Message, Planning: true}
	}
	return s.stop(err)
}

// Discarded says how many commands were queued and dropped, of a plan that could not be made those before the one that failed: nothing of them was sent.
func (s *Statement) Discarded() int { return s.discarded }

// Unplanned says that a plan could not be made, so that a command failed of which nothing was sent.
func (s *Statement) Unplanned() bool { return s.unplanned }

// Discard drops what is queued: the script threw, or the operator declined. What was carried out stands.
func (s *Statement) Discard() {
	s.discarded += len(s.queue)
	if s.builder != nil {
		_ = s.builder.Discard() // files that nobody refers to
	}
	s.builder, s.cut, s.queue = nil, false, nil
}

// take feeds the queue to the builder, up to a cut, or until command q is in.
func (s *Statement) take(ctx context.Context, until *queued) error {
	return s.takeTelling(ctx, until, false)
}

// takeTelling is take; told says that the script is told, at its call, what of until would fail.
func (s *Statement) takeTelling(ctx context.Context, until *queued, told bool) error {
	if s.cut || len(s.queue) == 0 {
		return nil
	}
	if s.builder == nil {
		if err := s.newBuilder(); err != nil {
			return err
		}
	}
	var ps []plan.Pending
	for _, q := range s.queue {
		for i := q.took; i < len(q.cmd.Writes()); i++ {
			if !q.skips(i) {
				ps = append(ps, plan.Pending{Command: q.cmd, Index: i})
			}
		}
		if q == until {
			break
		}
	}
	n, err := s.builder.Add(ctx, ps)
	if f := new(plan.Foreseen); errors.As(err, &f) && n < len(ps) && s.leaveOut(ps[n], f, until, told) {
		s.taken(n)
		if !plan.Apart(err) { // something of it is in the plan
			s.takeAgain()
		} else {
			s.builder.Without(ps[n], f)
		}
		return s.takeTelling(ctx, until, told)
	}
	if err != nil {
		s.unplanned = true
		s.queue = s.queue[:slices.IndexFunc(s.queue, func(q *queued) bool { return q.cmd == ps[min(n, len(ps)-1)].Command })]
		return err // what is dropped now was queued before the one that failed
	}
	s.cut = n < len(ps)
	s.taken(n)
	return nil
}

// taken notes that the next n statements are in the plan.
func (s *Statement) taken(n int) {
	for _, q := range s.queue {
		for q.took < len(q.cmd.Writes()) {
			if q.skips(q.took) {
				q.took++
				continue
			}
			if n == 0 {
				return
			}
			q.took, n = q.took+1, n-1
		}
	}
}

// leaveOut decides what becomes of a statement that the server would refuse. told says that the script hears it at the call of that command: its author may go on after
// it. Otherwise it ends the script there, as the server's answer would have: what a command does besides whose author said that the order does not matter is carried
// out, and what was issued after it is dropped; of an ordered one nothing is, as of a script that fails. Nothing that was not planned is ever sent for it.
func (s *Statement) leaveOut(p plan.Pending, f *plan.Foreseen, until *queued, told bool) bool {
	at := slices.IndexFunc(s.queue, func(q *queued) bool { return q.cmd == p.Command })
	q := s.queue[at]
	n := len(q.cmd.Writes())
	switch {
	case !replyHasErrors[q.cmd.Name()]:
		return false
	case told && q == until:
	case told, n == 1, q.ordered(), s.late != nil && s.late != q:
		return false
	default:
		s.late = q
		s.discarded += len(s.queue) - at - 1
		s.queue = s.queue[:at+1]
	}
	q.failed = append(q.failed, failure{p.Index, f})
	return true
}

// replyHasErrors are the commands whose reply names the statements that failed.
var replyHasErrors = map[string]bool{"insert": true, "update": true, "delete": true}

// takeAgain drops the plan at hand: what was taken for it is taken again.
func (s *Statement) takeAgain() {
	_ = s.builder.Discard() // files that nobody refers to
	s.builder, s.cut = nil, false
	for _, q := range s.queue {
		q.took = len(q.cmd.Writes()) - q.left
	}
}

// untaken are the statements of the queue that no plan has taken.
func (s *Statement) untaken() (ps []plan.Pending) {
	for _, q := range s.queue {
		for i := q.took; i < len(q.cmd.Writes()); i++ {
			if !q.skips(i) {
				ps = append(ps, plan.Pending{Command: q.cmd, Index: i})
			}
		}
	}
	return ps
}

func (s *Statement) newBuilder() error {
	q := s.queue[0]
	cfg, err := s.planConfig(q.d, q.judged, command.DocumentWrite.String())
	if err != nil {
		return err
	}
	cfg.Facts = append(cfg.Facts, q.facts...)
	if q.verdict.Action == policy.Confirm { // what is not asked about is backed up and carried out, all of it
		cfg.Full = s.full(q.judged)
	}
	s.builder, err = plan.NewBuilder(cfg)
	return err
}

// full is how many documents a plan looks at before it is an estimate; 0 for no limit.
func (s *Statement) full(j Judged) int64 {
	if s.whole {
		return 0
	}
	return s.gate.cfg.Policy.FullPreview(j.Environment)
}

// planning tells the operator how far a plan is. It may be stopped: nothing was changed yet.
func (s *Statement) planning(l plan.Looked) error {
	if s.gate.cfg.Operator == nil {
		return nil
	}
	now := s.gate.cfg.Now()
	if s.looking.IsZero() {
		s.looking = now
	}
	p := Progress{Planning: true, Done: l.Documents, Total: l.Expected, Bytes: l.Bytes, Elapsed: now.Sub(s.looking)}
	if p.Elapsed > 0 {
		p.Rate = float64(p.Done) / p.Elapsed.Seconds()
	}
	if p.Rate > 0 && p.Total > p.Done {
		p.Left = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	if s.gate.cfg.Operator.Progress(p) == Stop {
		return errInterrupted
	}
	return nil
}

// planConfig begins a change: its id, its directory, and where it is planned.
func (s *Statement) planConfig(d *Deployment, j Judged, class string) (plan.Config, error) {
	g := s.gate
	id, err := journal.NewID(g.cfg.Now().UTC().Format("20060102"), g.cfg.Rand)
	if err != nil {
		return plan.Config{}, err
	}
	s.looking = time.Time{}
	return plan.Config{
		FS: g.cfg.FS, Dir: g.changeDir(id), Reader: planReader{d}, NewID: g.cfg.NewID, Now: g.cfg.Now, Progress: s.planning,
		Facts: append(d.unprovenFact(), g.volatileFact()...), LookedAt: g.lookedAt(d), MadeBefore: g.madeBefore(d), Large: g.large(j, class),
		Mongos: d.seen.Mongos, Major: d.major(),
		Keeps: func(bytes int64) bool { return g.cfg.Policy.KeepsDropped(j.Environment, bytes) },
		Header: plan.Header{
			Change: id, Created: g.cfg.Now().UTC(), Deployment: d.Name(), Identity: d.who.Map(), Environment: j.Environment.String(),
			Evidence: records(j.Evidence), Class: class, Road: d.road, Preview: s.mode == Preview, Manner: s.manner, Software: d.software.name(),
		},
	}, nil
}

// settleBuilt finishes the builder's plan and carries it out, or keeps it if this is a preview.
func (s *Statement) settleBuilt(ctx context.Context) error {
	d, verdict, judged := s.queue[0].d, s.queue[0].verdict, s.queue[0].judged // all of the queue have the same
	p, err := s.builder.Finish()
	if err != nil {
		return err
	}
	s.builder, s.cut = nil, false
	if s.mode == Preview {
		return s.keep(p, judged)
	}
	o, err := s.carryOut(ctx, d, p, verdict, judged)
	if err != nil {
		return err
	}
	s.distribute(p, o)
	return nil
}

// keep notes a plan of a preview. Its files stay until the next statement begins.
func (s *Statement) keep(p *plan.Plan, j Judged) error {
	v := s.gate.sizeUp(policy.Verdict{Action: j.Action, Why: j.Why}, j, p) // as it would be before the question
	j.Action, j.Why = v.Action, v.Why
	if err := s.gate.record(replay.KindPlanned, plannedEvent(p, j)); err != nil {
		return errors.Join(err, p.Discard())
	}
	s.plans, s.envs = append(s.plans, p), append(s.envs, j)
	for _, c := range p.Counts() {
		if ns, err := command.ParseNamespace(c.Namespace); err == nil {
			s.planned = append(s.planned, ns)
		}
	}
	for _, st := range p.Steps() {
		if ns, err := command.ParseNamespace(st.To); err == nil {
			s.planned = append(s.planned, ns)
		}
	}
	s.shift(func(q *queued, i int) { q.sums[i] = planSum(p.Result(plan.Pending{Command: q.cmd, Index: i})) })
	s.gate.previews = append(s.gate.previews, Seen{Plan: p, Text: s.text})
	return nil
}

// distribute gives each statement of the plan what it did.
func (s *Statement) distribute(p *plan.Plan, o *Outcome) {
	numbers := map[*command.Command]int{}
	for i, c := range p.Commands() {
		numbers[c] = i
	}
	s.shift(func(q *queued, i int) {
		if q.skips(i) {
			return
		}
		planned := planSum(p.Result(plan.Pending{Command: q.cmd, Index: i}))
		q.sums[i] = o.sum(numbers[q.cmd], i, planned)
	})
}

// shift hands each statement that the last plan took to each, and removes finished commands from the queue.
func (s *Statement) shift(each func(q *queued, i int)) {
	var rest []*queued
	for _, q := range s.queue {
		for i := len(q.cmd.Writes()) - q.left; i < q.took; i++ {
			each(q, i)
		}
		q.left = len(q.cmd.Writes()) - q.took
		switch {
		case q.left > 0:
			rest = append(rest, q)
		case s.mode == Execute && q != s.late: // what the script said behind that one it would not have said
			s.settled++
		}
	}
	s.queue = rest
}

// settleAlone plans and carries out one command that is no document write.
func (s *Statement) settleAlone(ctx context.Context, d *Deployment, c *command.Command, v policy.Verdict, j Judged) (*Reply, error) {
	if !d.primary() {
		return nil, s.refuse(&Refused{Text: d.Name() + " is not a primary: it takes no writes"})
	}
	if c.Class() == command.Unknown || c.Class() == command.DocumentWrite {
		return nil, s.refuse(&Refused{
			Text:  strings.TrimSuffix(fmt.Sprintf("%s (%s) on %s %v: %s", c.Name(), c.Class(), j.Environment, plan.ErrNotPlanned, c.Why()), ": "),
			Hints: []string{"what cannot wait must be done with another client, and will not be in this record"},
		})
	}
	cfg, err := s.planConfig(d, j, c.Class().String())
	if err != nil {
		return nil, err
	}
	p, err := plan.Schema(ctx, cfg, c)
	if err != nil {
		return nil, s.fail(err)
	}
	if s.mode == Preview {
		if err := s.keep(p, j); err != nil {
			return nil, err
		}
		return &Reply{raw: okReply()}, nil
	}
	if _, err := s.carryOut(ctx, d, p, v, j); err != nil {
		return nil, s.fail(err)
	}
	return &Reply{raw: schemaReply(c, p)}, nil
}
