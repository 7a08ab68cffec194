package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/replay"
)

// Step is one part of schema work. What it needs to be carried out and to be undone is in it.
type Step struct {
	Do     string `json:"do"`               // one of the words below
	Phrase string `json:"phrase,omitempty"` // what is typed to confirm; "" for a part that its neighbours speak for
	NS     string `json:"ns"`
	To     string `json:"to,omitempty"` // rename: the new name; drop, dropEmpty: the name under which it is kept aside meanwhile, "" if it cannot be renamed
	// Specs are index specifications, BSON documents as listIndexes gives them; base64 in JSON.
	Specs [][]byte `json:"specs,omitempty"`
	// Options of create, a BSON document; base64 in JSON.
	Options   []byte `json:"options,omitempty"`
	UUID      string `json:"uuid,omitempty"`
	Documents int64  `json:"documents,omitempty"` // as previewed; the backup is made of what is there
	Bytes     int64  `json:"bytes,omitempty"`
	Creates   bool   `json:"creates,omitempty"` // createIndexes: the collection does not exist yet
	Keep      bool   `json:"keep,omitempty"`    // drop: it stays under the name To, and is not copied

	// Of DoRun: a command, sent to DB; those that take it back, none if nothing does; what Look tells of the thing before. BSON documents.
	Verb     string   `json:"verb,omitempty"` // the command's name
	DB       string   `json:"db,omitempty"`
	Run      []byte   `json:"run,omitempty"`      // without secrets
	Redacted bool     `json:"redacted,omitempty"` // secrets were taken out of Run: it can only be carried out by the session that planned it
	Inverse  [][]byte `json:"inverse,omitempty"`
	Look     string   `json:"look,omitempty"` // what kind of thing it changes
	Name     string   `json:"name,omitempty"` // its name: of a user, of a role, of parameters
	Was      []byte   `json:"was,omitempty"`

	Last bool `json:"last,omitempty"` // after the documents of the plan, not before
}

// What a step does.
const (
	DoDrop          = "drop"          // rename aside, back up, drop; or, where it cannot be renamed, back up, compare, drop
	DoDropEmpty     = "dropEmpty"     // drop if it is still empty
	DoDropIndexes   = "dropIndexes"   // drop the indexes in Specs
	DoCreate        = "create"        // with Options
	DoCreateIndexes = "createIndexes" // with Specs
	DoRename        = "rename"        // to To
	DoRun           = "run"           // a command with another as its inverse, or none
)

// words are the step's own phrase: the verb, the namespace, and a number.
func (s Step) words() string {
	switch s.Do {
	case DoDrop, DoDropEmpty:
		return fmt.Sprintf("drop %s %d", typeable(s.NS), s.Documents)
	case DoDropIndexes, DoCreateIndexes:
		return fmt.Sprintf("%s %s %d", s.Do, typeable(s.NS), len(s.Specs))
	case DoRename:
		return fmt.Sprintf("rename %s %s", typeable(s.NS), typeable(s.To))
	case DoRun:
		return s.Verb + " " + typeable(s.NS)
	}
	return s.Do + " " + typeable(s.NS)
}

// verb is the step in one word.
func (s Step) verb() string {
	if s.Do == DoRun {
		return s.Verb
	}
	return s.Do
}

// ErrNotPlanned is wrapped by the refusal of a command that cannot be planned, backed up and undone yet.
var ErrNotPlanned = errors.New("cannot be previewed, backed up and undone yet")

// Schema plans one schema command. What it would not change is no plan: the result is then nil, and the command may be answered with reply.
func Schema(ctx context.Context, cfg Config, c *command.Command) (*Plan, error) {
	cfg.Header.Class = c.Class().String()
	b, err := NewBuilder(cfg)
	if err != nil {
		return nil, err
	}
	written, redacted, err := withoutSecrets(c.Raw())
	if err != nil {
		return nil, joinDiscard(err, b)
	}
	b.commands = []*command.Command{c}
	if redacted {
		shown, err := command.Parse(c.Database(), written, nil)
		if err != nil {
			return nil, joinDiscard(err, b)
		}
		b.commands, b.secret = []*command.Command{shown}, c.Raw()
	}
	if err := b.sp.line(line{Command: &commandLine{DB: c.Database(), BSON: written}}); err != nil {
		return nil, joinDiscard(err, b)
	}
	plan := map[string]func(context.Context, *Builder, *command.Command) ([]Step, []Fact, error){
		"drop": planDrop, "dropDatabase": planDropDatabase, "dropIndexes": planDropIndexes,
		"createIndexes": planCreateIndexes, "create": planCreate, "renameCollection": planRename,
	}[c.Name()]
	if plan == nil && (c.Class() != command.Schema || c.Name() == "collMod" || c.Name() == "cloneCollectionAsCapped") {
		plan = planRun
	}
	if plan == nil {
		return nil, joinDiscard(fmt.Errorf("%s %w%s", c.Name(), ErrNotPlanned, instead[c.Name()]), b)
	}
	steps, facts, err := plan(ctx, b, c)
	if err != nil {
		return nil, joinDiscard(err, b)
	}
	t := totals{Facts: facts, Saved: Backup{Possible: true}}
	for _, s := range steps {
		t.Counts = append(t.Counts, replay.Count{Namespace: s.NS, Schema: s.verb()})
		if s.Do == DoDrop && !s.Keep {
			t.Saved.Documents += s.Documents
			t.Saved.Bytes += s.Bytes
		}
	}
	if len(steps) > 0 {
		t.Facts = append(t.Facts, systemFacts(c)...)
	}
	t.Facts = append(t.Facts, b.recalled()...)
	sortFacts(t.Facts)
	p, err := b.finish(t, steps)
	if err != nil {
		return nil, joinDiscard(err, b)
	}
	return p, nil
}

// instead is how to do it with commands that are planned.
var instead = map[string]string{
	"convertToCapped": ": rename the collection, make the capped one of it with cloneCollectionAsCapped, and drop the old one when the new one is right",
}

func joinDiscard(err error, b *Builder) error {
	if derr := b.Discard(); derr != nil {
		return errors.Join(err, fmt.Errorf("remove the half-made backup: %w", derr))
	}
	return err
}

// asidePrefix begins the names of collections that are set aside.
const asidePrefix = "respect_aside_"

// Aside is the name under which a collection is kept while its backup is completed.
func Aside(change string, n int) string {
	return fmt.Sprintf("%s%s_%d", asidePrefix, strings.ReplaceAll(change, "-", "_"), n)
}

// IsAside says whether a collection's name is one under which a change keeps a collection meanwhile.
func IsAside(collection string) bool { return strings.HasPrefix(collection, asidePrefix) }

func onlyOptions(c *command.Command, allowed ...string) error {
	elems, err := c.Raw().Elements()
	if err != nil {
		return err
	}
	for _, e := range elems[1:] {
		if !slices.Contains(append(allowed, "comment", "writeConcern", "maxTimeMS"), e.Key()) {
			return fmt.Errorf("%s with the option %q %w", c.Name(), e.Key(), ErrNotPlanned)
		}
	}
	return nil
}

func planDrop(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	if err := onlyOptions(c); err != nil {
		return nil, nil, err
	}
	ns := c.Targets()[0]
	if kind, err := Kind(ctx, b.cfg.Reader, ns); err != nil {
		return nil, nil, err
	} else if kind == "view" {
		return planRun(ctx, b, c)
	}
	s, facts, err := b.dropStep(ctx, ns, 0)
	if err != nil || s == nil {
		return nil, facts, err
	}
	s.Phrase = s.words()
	return []Step{*s}, facts, nil
}

// dropStep plans to drop one collection. A collection that is not there needs no step.
func (b *Builder) dropStep(ctx context.Context, ns command.Namespace, n int) (*Step, []Fact, error) {
	info, err := describe(ctx, b.cfg.Reader, ns)
	if err != nil {
		return nil, nil, err
	}
	if !info.exists {
		near, err := b.near(ctx, ns)
		return nil, []Fact{noCollection(ns.String(), near)}, err
	}
	if info.kind != "" && info.kind != "collection" {
		return nil, nil, fmt.Errorf("%s is a %s: dropping it %w", ns, info.kind, ErrNotPlanned)
	}
	size := collectionSize(ctx, b.cfg.Reader, ns)
	s := &Step{
		Do: DoDrop, NS: ns.String(), To: command.Namespace{DB: ns.DB, Collection: Aside(b.cfg.Header.Change, n)}.String(),
		Options: info.options, UUID: info.uuid, Documents: info.total, Bytes: size,
	}
	var names []string
	for _, i := range info.indexes {
		s.Specs = append(s.Specs, i)
		if name, _ := i.Lookup("name").StringValueOK(); name != "_id_" {
			names = append(names, name+indexTraits(i))
		}
	}
	text := fmt.Sprintf("drops the collection %s: %s", ns, Plural(info.total, "document"))
	if len(names) > 0 {
		text += fmt.Sprintf(" and %s: %s", indexes(len(names)), strings.Join(names, ", "))
	}
	var facts []Fact
	if b.cfg.Mongos {
		key, err := shardKey(ctx, b.cfg.Reader, ns)
		if err != nil {
			return nil, nil, err
		}
		facts = s.sharded(ns, key, b.cfg.Major)
	}
	data := map[string]any{"namespace": ns.String(), "documents": info.total, "bytes": size, "indexes": names}
	if s.To != "" && b.cfg.Keeps != nil && b.cfg.Keeps(size) && !strings.HasPrefix(ns.Collection, asidePrefix) {
		s.Keep = true
		data["kept"] = s.To
		text += fmt.Sprintf("; with %s it is not copied, but kept as %s until somebody drops that, and takes its room meanwhile", sizeText(size), s.To)
	}
	return s, append([]Fact{fact(DropsCollection, Danger, data, "%s", text)}, facts...), nil
}

// sharded says what is not as elsewhere when a sharded collection is dropped. Servers before 5.0 do not rename one.
// Source: https://www.mongodb.com/docs/manual/reference/command/renameCollection/#sharded-collections
func (s *Step) sharded(ns command.Namespace, key []string, major int) []Fact {
	if len(key) == 0 {
		return nil
	}
	data := map[string]any{"namespace": ns.String(), "shardKey": key}
	out := []Fact{fact(PartialUndo, Warn, data, "%s is sharded by %s: undo brings its documents and indexes back into a collection that is not", ns, strings.Join(key, ", "))}
	if major > 0 && major < 5 {
		s.To = ""
		out = append(out, fact(NotAtomic, Danger, data, "%s is sharded, and this server cannot rename it aside: what others write between the backup and the drop is lost", ns))
	}
	return out
}

// traits are what an index does besides serving queries.
func traits(spec bson.Raw) (t []string) {
	if u, _ := spec.Lookup("unique").BooleanOK(); u {
		t = append(t, "unique")
	}
	if _, err := spec.LookupErr("expireAfterSeconds"); err == nil && len(keyOf(spec)) == 1 {
		t = append(t, "TTL")
	}
	return t
}

// indexTraits are the traits of an index behind its name.
func indexTraits(spec bson.Raw) string {
	if t := traits(spec); len(t) > 0 {
		return " (" + strings.Join(t, ", ") + ")"
	}
	return ""
}

// keyOf are the fields of an index.
func keyOf(spec bson.Raw) []bson.RawElement {
	key, _ := spec.Lookup("key").DocumentOK()
	elems, _ := key.Elements() // none
	return elems
}

// planDropDatabase drops collection by collection: what others create meanwhile is left alone.
func planDropDatabase(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	if err := onlyOptions(c); err != nil {
		return nil, nil, err
	}
	db := c.Database()
	names, views, err := collectionNames(ctx, b.cfg.Reader, db)
	if err != nil {
		return nil, nil, err
	}
	steps := []Step{}
	var facts []Fact
	for _, name := range slices.Sorted(slices.Values(views)) {
		s, f, err := b.dropView(ctx, db, name)
		if err != nil {
			return nil, nil, err
		}
		steps, facts = append(steps, s...), append(facts, f...)
	}
	var documents int64
	for i, name := range slices.Sorted(slices.Values(names)) {
		ns := command.Namespace{DB: db, Collection: name}
		if name == "system.views" && len(views) > 0 {
			continue // it goes with the views
		}
		if strings.HasPrefix(name, "system.") || name == command.MarkerCollection {
			return nil, nil, fmt.Errorf("the database %s has the collection %s: dropping it %w", db, name, ErrNotPlanned)
		}
		s, f, err := b.dropStep(ctx, ns, i)
		if err != nil {
			return nil, nil, err
		}
		if s != nil {
			documents += s.Documents
			steps, facts = append(steps, *s), append(facts, f...)
		}
	}
	if len(steps) == 0 {
		return nil, []Fact{fact(NoMatch, Info, map[string]any{"namespace": db}, "the database %s has no collections; nothing will change", db)}, nil
	}
	head := fact(DropsCollection, Danger, map[string]any{"namespace": db, "collections": len(steps), "documents": documents},
		"drops the database %s: %s, %s", db, Plural(int64(len(steps)), "collection"), Plural(documents, "document"))
	for i := range steps {
		steps[i].Phrase = ""
	}
	steps[0].Phrase = fmt.Sprintf("dropDatabase %s %d", typeable(db), documents)
	return steps, append([]Fact{head}, facts...), nil
}

func planDropIndexes(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	if err := onlyOptions(c, "index"); err != nil {
		return nil, nil, err
	}
	ns := c.Targets()[0]
	info, err := describe(ctx, b.cfg.Reader, ns)
	if err != nil {
		return nil, nil, err
	}
	if !info.exists {
		return nil, nil, &Foreseen{26, "NamespaceNotFound", "ns not found " + ns.String()}
	}
	v, _ := c.Lookup("index")
	gone, err := selectIndexes(info.indexes, v)
	if err != nil {
		return nil, nil, err
	}
	if len(gone) == 0 {
		return nil, []Fact{fact(NoMatch, Info, map[string]any{"namespace": ns.String()}, "%s has no index besides _id_; nothing will change", ns)}, nil
	}
	s := Step{Do: DoDropIndexes, NS: ns.String()}
	var facts []Fact
	for _, spec := range gone {
		s.Specs = append(s.Specs, spec)
		facts = append(facts, dropsIndex(ns, spec, info.indexes, gone))
	}
	s.Phrase = s.words()
	return []Step{s}, facts, nil
}

// dropsIndex says what an index served: its fields, and whether another index begins with the same one.
func dropsIndex(ns command.Namespace, spec bson.Raw, all, gone []bson.Raw) Fact {
	name, _ := spec.Lookup("name").StringValueOK()
	first := firstField(spec)
	other := ""
	for _, i := range all {
		n, _ := i.Lookup("name").StringValueOK()
		if hidden, _ := i.Lookup("hidden").BooleanOK(); hidden {
			continue // it serves no query
		}
		if n != name && firstField(i) == first && !slices.ContainsFunc(gone, func(g bson.Raw) bool { return slices.Equal(g, i) }) {
			other = n
		}
	}
	severity, text := Warn, fmt.Sprintf("drops the index %s%s of %s", name, indexTraits(spec), ns)
	if other == "" {
		text += fmt.Sprintf("; no other index begins with %s", first)
	} else {
		text += fmt.Sprintf("; %s also begins with %s", other, first)
	}
	if indexTraits(spec) != "" {
		severity = Danger
	}
	return fact(DropsIndex, severity, map[string]any{"namespace": ns.String(), "index": name, "key": spec.Lookup("key").String(), "traits": indexTraits(spec)}, "%s", text)
}

func firstField(spec bson.Raw) string {
	if key := keyOf(spec); len(key) > 0 {
		return key[0].Key()
	}
	return ""
}

// selectIndexes finds what dropIndexes names: a name, several, a key pattern, or "*".
// Source: https://www.mongodb.com/docs/manual/reference/command/dropIndexes/
func selectIndexes(indexes []bson.Raw, v bson.RawValue) ([]bson.Raw, error) {
	byName := func(name string) (bson.Raw, error) {
		for _, i := range indexes {
			if n, _ := i.Lookup("name").StringValueOK(); n == name {
				if name == "_id_" {
					return nil, &Foreseen{72, "InvalidOptions", "cannot drop _id index"}
				}
				return i, nil
			}
		}
		return nil, &Foreseen{27, "IndexNotFound", fmt.Sprintf("index not found with name [%s]", name)}
	}
	if name, ok := v.StringValueOK(); ok && name == "*" {
		return slices.DeleteFunc(slices.Clone(indexes), func(i bson.Raw) bool {
			n, _ := i.Lookup("name").StringValueOK()
			return n == "_id_"
		}), nil
	} else if ok {
		i, err := byName(name)
		return []bson.Raw{i}, err
	}
	if key, ok := v.DocumentOK(); ok {
		for _, i := range indexes {
			if k, _ := i.Lookup("key").DocumentOK(); slices.Equal(k, key) || sameKeys(k, key) {
				n, _ := i.Lookup("name").StringValueOK()
				i, err := byName(n)
				return []bson.Raw{i}, err
			}
		}
		return nil, &Foreseen{27, "IndexNotFound", fmt.Sprintf("can't find index with key: %s", key)}
	}
	arr, ok := v.ArrayOK()
	if !ok {
		return nil, &Foreseen{14, "TypeMismatch", "dropIndexes wants the name or the key of an index"}
	}
	values, err := arr.Values()
	if err != nil {
		return nil, err
	}
	var out []bson.Raw
	for _, n := range values {
		name, ok := n.StringValueOK()
		if !ok {
			return nil, &Foreseen{14, "TypeMismatch", "dropIndexes wants names of indexes"}
		}
		i, err := byName(name)
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

// sameKeys compares key patterns by name, order and value, whatever the type of the numbers.
func sameKeys(a, b bson.Raw) bool {
	x, err1 := a.Elements()
	y, err2 := b.Elements()
	return err1 == nil && err2 == nil && slices.EqualFunc(x, y, func(p, q bson.RawElement) bool {
		f, ok1 := p.Value().AsFloat64OK()
		g, ok2 := q.Value().AsFloat64OK()
		if ok1 && ok2 {
			return p.Key() == q.Key() && f == g
		}
		return p.Key() == q.Key() && p.Value().Equal(q.Value())
	})
}

func planCreateIndexes(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	if err := onlyOptions(c, "indexes"); err != nil {
		return nil, nil, err
	}
	ns := c.Targets()[0]
	info, err := describe(ctx, b.cfg.Reader, ns)
	if err != nil {
		return nil, nil, err
	}
	v, _ := c.Lookup("indexes")
	arr, ok := v.ArrayOK()
	if !ok {
		return nil, nil, &Foreseen{14, "TypeMismatch", "createIndexes wants an array of indexes"}
	}
	values, err := arr.Values()
	if err != nil {
		return nil, nil, err
	}
	s := Step{Do: DoCreateIndexes, NS: ns.String(), Creates: !info.exists}
	var facts []Fact
	for _, v := range values {
		spec, ok := v.DocumentOK()
		if !ok {
			return nil, nil, &Foreseen{14, "TypeMismatch", "an index specification must be a document"}
		}
		if slices.ContainsFunc(info.indexes, func(i bson.Raw) bool { return sameIndex(i, spec) }) {
			continue
		}
		s.Specs = append(s.Specs, spec)
		if v, err := spec.LookupErr("expireAfterSeconds"); err == nil && info.exists {
			f, err := ttlFact(ctx, b, ns, spec, v)
			if err != nil {
				return nil, nil, err
			}
			facts = append(facts, *f)
		}
		if info.exists {
			f, err := b.duplicates(ctx, ns, spec, info)
			if err != nil {
				return nil, nil, err
			}
			facts = append(facts, f...)
		}
	}
	if len(s.Specs) == 0 {
		return nil, []Fact{fact(NoChange, Info, map[string]any{"namespace": ns.String()}, "%s has these indexes already; nothing will change", ns)}, nil
	}
	if !info.exists {
		facts = append(facts, fact(CreatesCollection, Warn, map[string]any{"namespace": ns.String()}, "%s does not exist and will be created", ns))
	}
	s.Phrase = s.words()
	facts = append(facts, fact(Matched, Info, map[string]any{"namespace": ns.String(), "total": info.total}, "%s, reading its %s", s.summary(), Plural(info.total, "document")))
	return []Step{s}, facts, nil
}

func sameIndex(have, want bson.Raw) bool {
	a, ok1 := have.Lookup("key").DocumentOK()
	b, ok2 := want.Lookup("key").DocumentOK()
	n, _ := have.Lookup("name").StringValueOK()
	m, _ := want.Lookup("name").StringValueOK()
	return ok1 && ok2 && n == m && sameKeys(a, b)
}

func planCreate(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	if _, view := c.Lookup("viewOn"); view {
		return planRun(ctx, b, c)
	}
	ns := c.Targets()[0]
	options := bson.D{}
	elems, err := c.Raw().Elements()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range elems[1:] {
		switch e.Key() {
		case "comment", "writeConcern", "maxTimeMS":
		case "capped", "size", "max", "validator", "validationLevel", "validationAction", "collation", "storageEngine", "indexOptionDefaults":
			options = append(options, bson.E{Key: e.Key(), Value: e.Value()})
		default:
			return nil, nil, fmt.Errorf("create with the option %q %w", e.Key(), ErrNotPlanned)
		}
	}
	info, err := describe(ctx, b.cfg.Reader, ns)
	if err != nil {
		return nil, nil, err
	}
	if info.exists {
		return nil, nil, &Foreseen{48, "NamespaceExists", fmt.Sprintf("Collection %s already exists.", ns)}
	}
	raw, err := bson.Marshal(options)
	if err != nil {
		return nil, nil, err
	}
	s := Step{Do: DoCreate, NS: ns.String(), Options: raw}
	s.Phrase = s.words()
	return []Step{s},
		[]Fact{fact(CreatesCollection, Info, map[string]any{"namespace": ns.String()}, "creates the collection %s", ns)}, nil
}

func planRename(ctx context.Context, b *Builder, c *command.Command) ([]Step, []Fact, error) {
	from, to := c.Targets()[0], c.Targets()[1]
	v, named := c.Lookup("dropTarget")
	dropTarget, understood := v.BooleanOK()
	if named && !understood {
		return nil, nil, fmt.Errorf("renameCollection with a dropTarget that is no boolean %w", ErrNotPlanned)
	}
	if from.DB != to.DB {
		return nil, nil, fmt.Errorf("renameCollection to another database %w", ErrNotPlanned)
	}
	info, err := describe(ctx, b.cfg.Reader, from)
	if err != nil {
		return nil, nil, err
	}
	if !info.exists {
		return nil, nil, &Foreseen{26, "NamespaceNotFound", fmt.Sprintf("Source collection %s does not exist", from)}
	}
	target, err := describe(ctx, b.cfg.Reader, to)
	if err != nil {
		return nil, nil, err
	}
	if info.kind != "" && info.kind != "collection" {
		return nil, nil, fmt.Errorf("%s is a %s: renaming it %w", from, info.kind, ErrNotPlanned)
	}
	var steps []Step
	var facts []Fact
	switch {
	case target.exists && !dropTarget:
		return nil, nil, &Foreseen{48, "NamespaceExists", "target namespace exists"}
	case target.exists: // it goes like any collection that is dropped, before its name is taken
		drop, f, err := b.dropStep(ctx, to, 0)
		if err != nil {
			return nil, nil, err
		}
		drop.Phrase = drop.words()
		steps, facts = append(steps, *drop), append(facts, f...)
	}
	s := Step{Do: DoRename, NS: from.String(), To: to.String(), UUID: info.uuid}
	s.Phrase = s.words()
	return append(steps, s),
		append(facts, fact(Matched, Info, map[string]any{"namespace": from.String(), "total": info.total}, "renames %s, %s, to %s: programs that use the old name will find nothing there", from, Plural(info.total, "document"), to)), nil
}
