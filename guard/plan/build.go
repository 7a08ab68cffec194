package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/policy"
	"respect/guard/update"
	"respect/replay"
	"respect/replay/backup"
	"respect/replay/durable"
)

// Config is what a Builder works with.
type Config struct {
	FS     durable.FS
	Dir    string // of the change; must not exist
	Header Header
	Reader Reader
	NewID  func() bson.ObjectID // for documents without an _id
	// Full is how many documents a plan looks at: with more it is an estimate. 0 is no limit.
	Full int64
	// Facts are said of the plan if it changes anything.
	Facts []Fact
	// LookedAt is how many documents of a namespace the operator saw last, and with which filter; may be nil.
	LookedAt func(ns string) (documents int64, filter bson.Raw, ok bool)
	// MadeBefore finds a change that was made of the same commands; may be nil.
	MadeBefore func(typed string) (change string, at time.Time, ok bool)
	// Large says what policy asks of a change of so many documents and bytes, if it asks for more because of them; may be nil.
	Large func(documents, bytes int64) (why string, large bool)
	// Mongos says that the server is one, so that collections may be sharded; Major is its version, 0 if not known.
	Mongos bool
	Major  int
	// Keeps says whether a collection of so many bytes is kept under another name when it is dropped, instead of being copied; nil: none is.
	Keeps func(bytes int64) bool
	// Now is the clock, for how long a look at all would take; nil: not told.
	Now func() time.Time
	// Progress is told how far the plan is, from the goroutine that makes it, and may stop it with an error. May be nil.
	Progress func(Looked) error
}

// Looked is how far a plan is.
type Looked struct {
	Documents int64
	Expected  int64 // documents, as far as can be told: 0 if it cannot
	Bytes     int64
}

// Pending is one statement of a queued command.
type Pending struct {
	Command *command.Command
	Index   int // in Command.Writes()
}

func (p Pending) write() command.Write { return p.Command.Writes()[p.Index] }

// Foreseen is an error that the server would answer with. Nothing was sent.
type Foreseen struct {
	Code    int32
	Name    string
	Message string
}

// apart is a Foreseen of a statement of which the plan holds nothing: without it the others stay planned.
type apart struct{ *Foreseen }

func (a apart) Unwrap() error { return a.Foreseen }

// Apart says whether the plan holds nothing of the statement that an error is about.
func Apart(err error) bool { return errors.As(err, &apart{}) }

// Error implements error.
func (f *Foreseen) Error() string { return fmt.Sprintf("%s (%s)", f.Message, f.Name) }

// ErrUnpinnable is wrapped by the refusal of a statement that cannot be bound to documents that were shown.
var ErrUnpinnable = errors.New("cannot be bound to the documents shown")

// Result is what a statement will have done, known from the plan.
type Result struct {
	Matched, Modified, Inserted, Deleted int64
	UpsertedID                           bson.RawValue // Type 0 if nothing is upserted
	// Before and After are the documents of a findAndModify; nil where there is none.
	Before, After bson.Raw
	Unpredictable string // why After is not known
	// ModifiedUnknown: at least one document's after-image could not be computed, so that it may turn out not to change.
	ModifiedUnknown bool
}

type resultKey struct {
	cmd   *command.Command
	index int
}

// Builder makes a plan of documents from queued statements, one after the other, with reads only.
// After an error it must be discarded.
type Builder struct {
	cfg      Config
	sp       *spool
	commands []*command.Command
	numbers  map[*command.Command]int
	seen     map[string]idSet // pinned documents, by namespace
	afters   map[string]*afterImages
	infos    map[string]*collectionInfo
	stats    map[string]*stats
	order    []string
	results  map[resultKey]*Result
	samples  sampler
	n        int64
	bytes    int64
	at       struct { // the statement at hand
		p       Pending
		w       command.Write
		ns      string
		ordinal uint32 // counted over the plan; 0 before the first
		st      *stats
		res     *Result
		seen    idSet
		asked   []string // paths that its filter asks about
	}
	made struct { // by a pipeline, of the documents at hand
		after map[IDHash]bson.Raw
		why   string // not
	}
	secret     bson.Raw         // the command of schema work, if it has secrets: never written
	expected   int64            // documents that the statements so far were expected to select
	read       Looked           // so far
	sampled    *sampledPart     // of a statement that selects more than is looked at; nil if none does
	part       int64            // of how many documents this plans some again; 0 if it plans afresh
	unselected int64            // documents of those that the statement does not select any more
	explained  int              // statements of which it was asked how their documents are found
	extra      time.Duration    // that this took
	lastID     bson.RawValue    // of the document that was planned last
	without    []left           // statements that are left out
	inserted   map[string]idSet // of the plan's documents those that it inserts, by namespace
	follows    *follows         // of a statement that is cut into several plans; nil if it is not
}

// afterImages are kept to see whether a later statement could match one.
type afterImages struct {
	docs  []bson.Raw
	bytes int
	full  bool // too many: any later statement could match
}

const maxAfterImages = 32 << 20

// stats gather what the facts say, for one namespace.
type stats struct {
	count     replay.Count
	paths     paths
	byReplace bool                // at least one path was lost to a whole-document replacement
	unknown   map[string]unknowns // by why
	created   []bson.Raw          // by upserts
	filters   map[string]int      // shape of filters: empty-many, empty-one, other
	validator *validator
	serial    int64 // of the document at hand
	findings
}

// unknowns are documents of which something cannot be foreseen.
type unknowns struct {
	documents int64
	open      []string // the paths; none where the whole document cannot be foreseen
}

// NewBuilder begins a plan.
func NewBuilder(cfg Config) (*Builder, error) {
	sp, err := newSpool(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("begin the backup: %w", err)
	}
	cfg.Header.Version = formatVersion
	b := &Builder{
		cfg: cfg, sp: sp, numbers: map[*command.Command]int{}, seen: map[string]idSet{},
		afters: map[string]*afterImages{}, infos: map[string]*collectionInfo{}, stats: map[string]*stats{}, results: map[resultKey]*Result{},
	}
	if err := sp.line(line{Plan: &cfg.Header}); err != nil {
		return nil, errors.Join(err, sp.discard())
	}
	return b, nil
}

// Discard removes what was spooled.
func (b *Builder) Discard() error { return b.sp.discard() }

// Result is what a statement that was added will do; nil if it was not added.
func (b *Builder) Result(p Pending) *Result { return b.results[resultKey{p.Command, p.Index}] }

// Add takes statements in order, until one selects a document that is in the plan already, or could match a planned after-image:
// that one belongs to the next plan. It returns how many it took.
func (b *Builder) Add(ctx context.Context, ps []Pending) (taken int, err error) {
	for taken < len(ps) {
		if int64(taken) >= policy.MaxOperations {
			return taken, fmt.Errorf("more than %d operations in one plan", policy.MaxOperations)
		}
		if b.sampled != nil {
			return taken, nil // what was not looked at cannot be told from what comes next
		}
		if err := pinnable(ps[taken].write(), b.cfg.Header.Road); err != nil {
			return taken, err
		}
		if err := b.capped(ctx, ps[taken].write()); err != nil {
			return taken, err
		}
		group := b.byIDGroup(ps[taken:])
		n := 1
		if len(group) == 0 {
			ok, err := b.addSelected(ctx, ps[taken])
			if err != nil || !ok {
				return taken, err
			}
		} else if n, err = b.addByID(ctx, group); err != nil {
			if Apart(err) && n > 0 { // the rest of the group is planned
				if derr := errors.Join(b.doubt(ctx, ps[taken:taken+n]), b.conflicts(ctx), b.validate(ctx)); derr != nil {
					return taken, derr
				}
			}
			return taken + n, err
		}
		if err := b.doubt(ctx, ps[taken:taken+n]); err != nil {
			return taken, err
		}
		taken += n
		if err := errors.Join(b.conflicts(ctx), b.validate(ctx)); err != nil {
			return taken, err
		}
		if len(group) > n {
			return taken, nil
		}
	}
	return taken, nil
}

// capped: before 5.0 a capped collection gives no document back.
// Source: https://www.mongodb.com/docs/manual/core/capped-collections/
func (b *Builder) capped(ctx context.Context, w command.Write) error {
	if b.cfg.Major == 0 || b.cfg.Major >= 5 || w.Op != command.Delete {
		return nil
	}
	info, err := b.info(ctx, w.NS)
	if err != nil {
		return err
	}
	if is, _ := info.options.Lookup("capped").BooleanOK(); is {
		return fmt.Errorf("%w: %s is capped, and this server deletes nothing from such collections", ErrUnpinnable, w.NS)
	}
	return nil
}

// doubt looks at some documents of the collection where a filter may mean something else than its author thinks.
func (b *Builder) doubt(ctx context.Context, ps []Pending) error {
	for _, p := range ps {
		w := p.write()
		st, info := b.stats[w.NS.String()], b.infos[w.NS.String()]
		if !info.exists && st.near == "" && !st.sampled {
			st.sampled = true
			var err error
			if st.near, err = b.near(ctx, w.NS); err != nil {
				return err
			}
		}
		if w.Op == command.Insert {
			continue
		}
		if bucket, files := strings.CutSuffix(w.NS.Collection, ".files"); files && w.Op == command.Delete && !st.bucketSeen {
			st.bucketSeen = true
			chunks := command.Namespace{DB: w.NS.DB, Collection: bucket + ".chunks"}
			if kind, err := Kind(ctx, b.cfg.Reader, chunks); err != nil {
				return err
			} else if kind != "" {
				st.chunks = chunks.String()
			}
		}
		if _, byID := onlyID(w); !byID && info.exists {
			st.scan(w, info)
			if err := b.howFound(ctx, p); err != nil {
				return fmt.Errorf("look how the documents of %s are found: %w", w.NS, err)
			}
		}
		if r := b.Result(p); wantsSample(w) || (r != nil && r.Matched == 0) {
			if err := b.look(ctx, w.NS); err != nil {
				return err
			}
		}
	}
	return nil
}

// near is the collection of the same database whose name differs least from one that is not there, if it differs little.
func (b *Builder) near(ctx context.Context, ns command.Namespace) (string, error) {
	names, _, err := collectionNames(ctx, b.cfg.Reader, ns.DB)
	if err != nil {
		return "", fmt.Errorf("list the collections of %s: %w", ns.DB, err)
	}
	return nearest(ns.Collection, names), nil
}

// maxGroup documents are read by _id in one round trip.
const maxGroup = 1000

// byIDGroup is the longest run of statements in one namespace that each name one document by its _id.
func (b *Builder) byIDGroup(ps []Pending) []Pending {
	for i, p := range ps {
		w := p.write()
		if _, ok := onlyID(w); !ok || i == maxGroup || w.NS != ps[0].write().NS {
			return ps[:i]
		}
	}
	return ps
}

// onlyID is the _id that a statement names, if it can select no other document.
func onlyID(w command.Write) (bson.RawValue, bool) {
	if w.Op == command.Insert {
		id := w.ID()
		return id, id.Type != 0
	}
	if w.Collation.Type != 0 || w.Hint.Type != 0 || w.Upsert {
		return bson.RawValue{}, false
	}
	elems, err := w.Filter.Elements()
	if err != nil || len(elems) != 1 || elems[0].Key() != "_id" {
		return bson.RawValue{}, false
	}
	return plainID(elems[0].Value())
}

// plainID is a value that as a condition on _id means equality.
func plainID(v bson.RawValue) (bson.RawValue, bool) {
	switch v.Type {
	case bson.TypeEmbeddedDocument:
		first, err := v.Document().IndexErr(0)
		return v, err == nil && !strings.HasPrefix(first.Key(), "$")
	case bson.TypeRegex, bson.TypeArray, bson.TypeNull, bson.TypeUndefined:
		return v, false
	}
	return v, true
}

func (b *Builder) addByID(ctx context.Context, group []Pending) (int, error) {
	ns := group[0].write().NS
	info, err := b.info(ctx, ns)
	if err != nil {
		return 0, err
	}
	if info.collation() {
		ok, err := b.addSelected(ctx, group[0])
		if err != nil || !ok {
			return 0, err
		}
		return 1, nil
	}
	ids := bson.A{}
	for _, p := range group {
		id, _ := onlyID(p.write())
		ids = append(ids, id)
	}
	docs := map[IDHash]bson.Raw{}
	if info.exists {
		err := iterate(ctx, b.cfg.Reader, ns.DB, bson.D{
			{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}},
		}, func(doc bson.Raw) error {
			docs[KeyOf(doc.Lookup("_id"))] = bytes.Clone(doc)
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("read the documents of %s: %w", ns, err)
		}
	}
	for i, p := range group {
		id, _ := onlyID(p.write())
		if b.seen[ns.String()].has(id) {
			if p.write().Op == command.Insert && b.inserted[ns.String()].has(id) {
				return i, sameID(p.write()) // it is there by then
			}
			return i, nil // belongs to the next plan
		}
		if doc := docs[KeyOf(id)]; doc != nil && p.write().Pipeline() {
			if err := b.evaluate(ctx, p.write(), []bson.Raw{doc}); err != nil {
				return i, fmt.Errorf("foresee the pipeline: %w", err)
			}
		}
		if err := b.addFound(p, docs[KeyOf(id)]); err != nil {
			return i, err
		}
	}
	return len(group), nil
}

// sameID is what the server says to an insert of an _id that is there.
func sameID(w command.Write) error {
	return apart{&Foreseen{11000, "DuplicateKey", fmt.Sprintf("E11000 duplicate key error collection: %s index: _id_ dup key: { _id: %s }", w.NS, shown(w.ID()))}}
}

// Without is told of a statement that is not part of the plan because it would fail, while others of its command are.
func (b *Builder) Without(p Pending, f *Foreseen) {
	b.without = append(b.without, left{p.write().NS.String(), f})
}

// left is a statement that is left out.
type left struct {
	ns  string
	why *Foreseen
}

// leftOut names what would fail.
func (b *Builder) leftOut() (out []Fact) {
	n := map[string]int64{}
	for _, l := range b.without {
		n[l.ns]++
	}
	for _, l := range b.without {
		if n[l.ns] > 0 {
			out = append(out, fact(UniqueConflict, Warn, map[string]any{"namespace": l.ns, "documents": n[l.ns]}, "%s in %s %s left out, since the server would refuse %s: %s",
				Plural(n[l.ns], "insert"), l.ns, map[bool]string{true: "is", false: "are"}[n[l.ns] == 1], map[bool]string{true: "it", false: "them"}[n[l.ns] == 1], l.why.Message))
			n[l.ns] = 0
		}
	}
	return out
}

// addFound adds a statement that names one document; doc is nil if it is not there.
func (b *Builder) addFound(p Pending, doc bson.Raw) error {
	if p.write().Op != command.Insert {
		return b.one(p, doc)
	}
	if doc != nil {
		return sameID(p.write())
	}
	return b.insert(p, nil, false)
}

func (b *Builder) one(p Pending, doc bson.Raw) error {
	if err := b.begin(p); err != nil {
		return err
	}
	if doc == nil {
		return nil
	}
	b.at.seen[KeyOf(doc.Lookup("_id"))] = b.at.ordinal
	return b.documents(p, []bson.Raw{doc})
}

// addSelected adds a statement that selects its documents by a filter. It returns false if the statement belongs to the next plan.
func (b *Builder) addSelected(ctx context.Context, p Pending) (bool, error) {
	w := p.write()
	info, err := b.info(ctx, w.NS)
	if err != nil {
		return false, err
	}
	if w.Op == command.Insert { // without an _id: it is new whatever else there is
		return true, b.insert(p, nil, false)
	}
	overlaps, err := b.overlaps(ctx, w, info)
	if err != nil || overlaps {
		return false, err
	}
	if err := b.begin(p); err != nil {
		return false, err
	}
	found := false
	if info.exists {
		if found, err = b.selected(ctx, p, info); err != nil {
			return false, fmt.Errorf("read the documents of %s: %w", w.NS, err)
		}
	}
	if !found && w.Upsert {
		return true, b.upsert(p)
	}
	return true, nil
}

// selected reads what the statement at hand selects, and adds each document. With more documents than one plan looks at, only some are read, and the plan is an
// estimate.
func (b *Builder) selected(ctx context.Context, p Pending, info *collectionInfo) (found bool, err error) {
	w := b.at.w
	cmd := selection(w, nil)
	expected, err := b.expect(ctx, w, info)
	if err != nil {
		return false, err
	}
	limit := b.cfg.Full
	if limit > 0 && expected > limit {
		limit = min(estimateSample, limit)
		cmd = append(cmd, bson.E{Key: "limit", Value: limit})
	}
	b.expected += expected
	var group []bson.Raw // those of the batch at hand that are not added yet; in its memory
	size, n := 0, int64(0)
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		if w.Pipeline() {
			if err := b.evaluate(ctx, w, group); err != nil {
				return fmt.Errorf("foresee the pipeline: %w", err)
			}
		}
		err := b.documents(p, group)
		group, size = nil, 0
		return err
	}
	start := b.now()
	one := func(doc bson.Raw) error {
		key := KeyOf(doc.Lookup("_id"))
		switch by := b.at.seen[key]; by {
		case 0:
		case b.at.ordinal:
			return nil // a scan may return a moved document twice
		default:
			return fmt.Errorf("documents of %s were changed by others while the plan was made; try again", w.NS)
		}
		if n++; limit > 0 && n > limit {
			return errStop // more than was expected
		}
		b.at.seen[key] = b.at.ordinal
		found = true
		if err := b.looked(doc); err != nil {
			return err
		}
		group, size = append(group, doc), size+len(doc)
		if w.Pipeline() && (len(group) == pipelineGroup || size > pipelineBytes) {
			return flush()
		}
		return nil
	}
	err = read(ctx, b.cfg.Reader, w.NS.DB, cmd, !w.Pipeline(), func(docs bson.RawArray) error {
		if err := eachIn(docs, one); err != nil && !errors.Is(err, errStop) {
			return err
		} else if ferr := flush(); ferr != nil || err != nil {
			return errors.Join(ferr, err)
		}
		return nil
	})
	if err == nil && b.cfg.Full > 0 && max(expected, n) > b.cfg.Full {
		b.sampled = &sampledPart{ns: b.at.ns, looked: min(n, limit), matched: max(expected, n), took: b.now().Sub(start)}
	}
	return found, err
}

// selection is the find command that selects what a statement selects.
func selection(w command.Write, projection bson.D) bson.D {
	cmd := bson.D{{Key: "find", Value: w.NS.Collection}, {Key: "filter", Value: w.Filter}}
	for _, o := range []struct {
		key string
		v   bson.RawValue
	}{{"sort", w.Sort}, {"collation", w.Collation}, {"hint", w.Hint}, {"let", w.Let}} {
		if o.v.Type != 0 {
			cmd = append(cmd, bson.E{Key: o.key, Value: o.v})
		}
	}
	if projection != nil {
		cmd = append(cmd, bson.E{Key: "projection", Value: projection})
	}
	if !w.Multi {
		cmd = append(cmd, bson.E{Key: "limit", Value: int64(1)}, bson.E{Key: "singleBatch", Value: true})
	}
	return cmd
}

// overlaps says whether a statement selects a planned document or could match a planned after-image.
func (b *Builder) overlaps(ctx context.Context, w command.Write, info *collectionInfo) (bool, error) {
	ns := w.NS.String()
	if len(b.seen[ns]) == 0 {
		return false, nil
	}
	if a := b.afters[ns]; a != nil {
		if a.full || w.Collation.Type != 0 || info.collation() {
			return true, nil
		}
		f, err := update.ParseFilter(w.Filter)
		if err != nil {
			return true, nil // the server will say what is wrong with it
		}
		for _, doc := range a.docs {
			if f.Match(doc) != update.No {
				return true, nil
			}
		}
	}
	if !info.exists {
		return false, nil
	}
	hit := false
	err := iterate(ctx, b.cfg.Reader, w.NS.DB, selection(w, bson.D{{Key: "_id", Value: int32(1)}}), func(doc bson.Raw) error {
		if b.seen[ns].has(doc.Lookup("_id")) {
			hit = true
			return errStop
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read the documents of %s: %w", w.NS, err)
	}
	return hit, nil
}

func (b *Builder) info(ctx context.Context, ns command.Namespace) (*collectionInfo, error) {
	if i := b.infos[ns.String()]; i != nil {
		return i, nil
	}
	i, err := describe(ctx, b.cfg.Reader, ns)
	if err == nil && b.cfg.Mongos && i.exists {
		i.shardKey, err = shardKey(ctx, b.cfg.Reader, ns)
	}
	if err != nil {
		return nil, err
	}
	if _, err := i.options.LookupErr("encryptedFields"); err == nil {
		return nil, fmt.Errorf("%w: %s has encrypted fields, which only a client that holds their keys can write", ErrUnpinnable, ns)
	}
	switch i.kind {
	case "view":
		return nil, fmt.Errorf("%w: %s is a view", ErrUnpinnable, ns)
	case "timeseries":
		return nil, fmt.Errorf("%w: %s is a time series", ErrUnpinnable, ns)
	}
	b.infos[ns.String()] = i
	total := i.total
	b.stats[ns.String()] = &stats{
		count: replay.Count{Namespace: ns.String(), Total: &total},
		paths: paths{by: map[string]*pathStats{}}, unknown: map[string]unknowns{}, filters: map[string]int{},
		findings: newFindings(), validator: newValidator(i),
	}
	b.order = append(b.order, ns.String())
	return i, nil
}

// begin registers a statement and its command.
func (b *Builder) begin(p Pending) error {
	if _, ok := b.numbers[p.Command]; !ok {
		n := len(b.commands)
		b.numbers[p.Command], b.commands = n, append(b.commands, p.Command)
		if err := b.sp.line(line{Command: &commandLine{N: n, DB: p.Command.Database(), BSON: p.Command.Raw()}}); err != nil {
			return err
		}
	}
	w := p.write()
	ns := w.NS.String()
	st := b.stats[ns]
	b.at.p, b.at.w, b.at.ns, b.at.st, b.at.res, b.at.seen, b.at.asked = p, w, ns, st, &Result{}, b.pinned(ns), askedFields(w)
	b.at.ordinal++
	b.results[resultKey{p.Command, p.Index}] = b.at.res
	switch empty := w.Op != command.Insert && len(w.Filter) == 5; {
	case empty && w.Multi:
		st.filters["empty-many"]++
	case empty && w.Sort.Type == 0: // a sort says which one
		st.filters["empty-one"]++
	default:
		st.filters["other"]++
	}
	if w.Op != command.Insert {
		st.ask(w)
	}
	return nil
}

// document adds one document that the statement at hand selected, that is pinned, and of which f was foreseen. The bytes of before are the caller's.
func (b *Builder) document(p Pending, before bson.Raw, f foreseen) error {
	w, st, res := &b.at.w, b.at.st, b.at.res
	st.count.Matched++
	res.Matched++
	st.findings.matched(before)
	if !w.Multi {
		id := before.Lookup("_id")
		b.lastID = bson.RawValue{Type: id.Type, Value: bytes.Clone(id.Value)}
	}
	if f.err != nil {
		return f.err
	}
	if w.FindAndModify {
		res.Before, res.After, res.Unpredictable = bytes.Clone(before), f.after, f.why
	}
	if f.modified == update.No {
		st.count.Unchanged++
		return nil
	}
	it := Item{NS: b.at.ns, Op: w.Op.String(), Unpredictable: f.why, Open: f.open}.named(before.Lookup("_id"))
	if err := b.collate(*w, &f); err != nil {
		return err
	}
	switch w.Op {
	case command.Delete:
		st.count.Deleted++
		res.Deleted++
	case command.Replace:
		st.count.Replaced++
		res.Modified++
	default:
		st.count.Updated++
		res.Modified++
	}
	if f.why != "" {
		u := st.unknown[f.why]
		st.unknown[f.why] = unknowns{u.documents + 1, f.open}
	}
	if f.modified == update.Undecidable {
		res.ModifiedUnknown = true
	}
	fields := 0
	known := f.after
	if len(f.open) > 0 {
		known = nil
	}
	b.keyed(st, w.NS, before, known)
	if f.after != nil {
		if known != nil {
			st.validator.check(w, before, known)
		}
		fields = st.changed(w, before, f.after, f.open)
	}
	return b.item(p, it, before, f, fields)
}

// insert adds a new document: doc, or, if that is nil, the one that the statement has.
func (b *Builder) insert(p Pending, doc bson.Raw, upsert bool) error {
	if err := b.begin(p); err != nil {
		return err
	}
	w := p.write()
	unpredictable := ""
	if doc == nil {
		var err error
		doc, err = update.Inserted(w.Doc, b.cfg.NewID)
		if errors.Is(err, update.ErrNotPredictable) {
			return fmt.Errorf("%w: %v; give it a value", ErrUnpinnable, err)
		}
		if err != nil {
			return err
		}
	}
	st, res := b.at.st, b.at.res
	b.at.seen[KeyOf(doc.Lookup("_id"))] = b.at.ordinal
	if b.inserted == nil {
		b.inserted = map[string]idSet{}
	}
	if b.inserted[w.NS.String()] == nil {
		b.inserted[w.NS.String()] = idSet{}
	}
	b.inserted[w.NS.String()][KeyOf(doc.Lookup("_id"))] = b.at.ordinal
	st.count.Inserted++
	res.Inserted++
	b.keyed(st, w.NS, nil, doc)
	st.validator.check(&w, nil, doc)
	if upsert {
		res.UpsertedID = doc.Lookup("_id")
		res.Inserted--
		st.created = append(st.created, doc)
		if w.FindAndModify {
			res.After = doc
		}
	}
	return b.item(p, Item{NS: w.NS.String(), Op: "insert", Unpredictable: unpredictable, Upsert: upsert}.named(doc.Lookup("_id")), nil, foreseen{after: doc}, 0)
}

// upsert adds the document that an upsert creates, because nothing matches.
func (b *Builder) upsert(p Pending) error {
	w := p.write()
	img, err := b.foreseeUpsert(w)
	var server *update.Error
	switch {
	case err == nil && len(img.Unknown) > 0:
		return fmt.Errorf("%w: what the upsert gives to %s: %s", ErrUnpinnable, img.Unknown[0].Path, img.Unknown[0].Why)
	case errors.Is(err, update.ErrNotPredictable):
		return fmt.Errorf("%w: which document the upsert creates %v", ErrUnpinnable, err)
	case errors.As(err, &server):
		return &Foreseen{server.Code, server.Name, server.Message}
	case err != nil:
		return err
	}
	return b.insert(p, img.After, true)
}

func (b *Builder) foreseeUpsert(w command.Write) (update.Image, error) {
	if w.Pipeline() {
		pl, err := update.ParsePipeline(w.Update.Array())
		if err != nil {
			return update.Image{}, err
		}
		return pl.ForeseeUpsert(w.Filter, b.cfg.NewID)
	}
	opts, err := updateOptions(w, b.infos[w.NS.String()].collation())
	if err != nil {
		return update.Image{}, err
	}
	return update.ForeseeUpsert(w.Filter, w.Update.Document(), w.Op == command.Replace, opts, b.cfg.NewID)
}

// item writes one document of a statement with its images. The bytes of after are kept, those of before are not.
func (b *Builder) item(p Pending, it Item, before bson.Raw, f foreseen, fields int) error {
	it.Command, it.Statement = b.numbers[p.Command], p.Index
	spoolAfter := it.Op == "insert" || it.Op == "replace" || f.send
	if len(it.Open) > 0 {
		b.keepAfter(it, nil)
	} else {
		b.keepAfter(it, f.after)
	}
	if it.Op == "update" && b.at.w.Pipeline() && b.made.why == "" && f.after != nil && !spoolAfter { // what the server said cannot be computed again
		if _, err := b.sp.append(backup.ForeseenFile, f.after); err != nil {
			return err
		}
	}
	return b.put(it, before, f, spoolAfter, fields)
}

// put writes the line and the images of a document, whose bytes stay the caller's. fields is how many of its fields change.
func (b *Builder) put(it Item, before bson.Raw, f foreseen, spoolAfter bool, fields int) (err error) {
	after := f.after
	it.N = b.n
	b.n++
	if before != nil {
		if it.Before, err = b.sp.image("before", it.NS, before, f.beforeSum); err != nil {
			return err
		}
		b.bytes += int64(len(before))
	}
	switch {
	case len(it.Open) > 0: // not exact
	case after != nil && spoolAfter:
		it.After, err = b.sp.image("after", it.NS, after, f.afterSum)
	case after != nil:
		it.After = &Image{At: -1, Bytes: len(after), SHA256: orHash(f.afterSum, after)}
	}
	if err != nil {
		return err
	}
	if err := b.sendable(it, before, after, spoolAfter); err != nil {
		return err
	}
	b.samples.offer(it, b.at.asked, before, after, fields)
	return b.sp.item(&it)
}

// sendable makes sure, before anything is asked about, that what will be sent for a document can be written.
func (b *Builder) sendable(it Item, before, after bson.Raw, spooled bool) error {
	if !spooled {
		after = nil
	}
	n := derivation{road: b.cfg.Header.Road, mongodb: b.cfg.Header.Software == MongoDB, undo: b.cfg.Header.Undoes != ""}
	if info := b.infos[it.NS]; info != nil {
		n.shardKey, n.simple = info.shardKey, info.collation()
	}
	var w command.Write
	if !it.ofUndo() {
		w = b.commands[it.Command].Writes()[it.Statement]
		n.simple = n.simple || w.Collation.Type != 0
	}
	if len(it.Open) > 0 {
		after = nil
	}
	_, err := n.derive(it, w, !it.ofUndo(), before, after)
	return err
}

// pinned are the documents of a namespace that the plan has.
func (b *Builder) pinned(ns string) idSet {
	s := b.seen[ns]
	if s == nil {
		s = idSet{}
		b.seen[ns] = s
	}
	return s
}

func (b *Builder) keepAfter(it Item, after bson.Raw) {
	if it.Op == "delete" {
		return
	}
	a := b.afters[it.NS]
	if a == nil {
		a = &afterImages{}
		b.afters[it.NS] = a
	}
	if after == nil || a.full || a.bytes+len(after) > maxAfterImages {
		a.full, a.docs = true, nil
		return
	}
	a.docs, a.bytes = append(a.docs, after), a.bytes+len(after)
}
