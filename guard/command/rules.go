package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// rule looks at a command's arguments. An error makes the command Unknown, with the error as the reason.
type rule func(*parsing) error

// parsing is a command while a rule looks at it.
type parsing struct {
	*Command
	elems []bson.RawElement
	owned Owned
	parse func(db string, cmd bson.Raw, owned Owned) (*Command, error) // Parse: the table may not refer to itself
}

// collection is the command's first value, a collection's name.
func (p *parsing) collection() (Namespace, error) {
	name, ok := p.elems[0].Value().StringValueOK()
	if !ok {
		return Namespace{}, fmt.Errorf("%s wants the name of a collection", p.name)
	}
	if err := checkCollection(name); err != nil {
		return Namespace{}, err
	}
	return Namespace{DB: p.db, Collection: name}, nil
}

func (p *parsing) field(key string) (bson.RawValue, bool) {
	for _, e := range p.elems[1:] {
		if e.Key() == key {
			return e.Value(), true
		}
	}
	return bson.RawValue{}, false
}

func (p *parsing) read() { p.class, p.why = Read, "" }

func onCollection(p *parsing) error {
	ns, err := p.collection()
	p.targets = []Namespace{ns}
	return err
}

func onDatabase(p *parsing) error {
	p.targets = []Namespace{{DB: p.db}}
	return nil
}

// onNamespace: the first value is database.collection, whatever database the command is sent to.
func onNamespace(p *parsing) error {
	ns, err := p.namespace()
	p.targets = []Namespace{ns}
	return err
}

func fromNamespace(p *parsing) error {
	ns, err := p.namespace()
	p.sources = []Namespace{ns}
	return err
}

// namespace is the command's first value, database.collection.
func (p *parsing) namespace() (Namespace, error) {
	s, ok := p.elems[0].Value().StringValueOK()
	if !ok {
		return Namespace{DB: p.db}, fmt.Errorf("%s wants a namespace, database.collection", p.name)
	}
	return ParseNamespace(s)
}

// onNamed: the first value is the name of a database.
func onNamed(p *parsing) error {
	db, ok := p.elems[0].Value().StringValueOK()
	if !ok {
		return fmt.Errorf("%s wants the name of a database", p.name)
	}
	p.targets = []Namespace{{DB: db}}
	return checkDatabase(db)
}

func onCollectionOrDatabase(p *parsing) error {
	if isOne(p.elems[0].Value()) {
		return onDatabase(p)
	}
	return onCollection(p)
}

func readCollection(p *parsing) error {
	ns, err := p.collection()
	p.sources = []Namespace{ns}
	return err
}

func find(p *parsing) error {
	if v, ok := p.field("tailable"); ok && truthy(v) {
		p.live = true
	}
	return readCollection(p)
}

// aggregate is a read if every stage is a known read stage, in nested pipelines too.
// Source: https://www.mongodb.com/docs/manual/reference/command/aggregate/
func aggregate(p *parsing) error {
	first := p.elems[0].Value()
	switch name, isString := first.StringValueOK(); {
	case isString:
		if err := checkCollection(name); err != nil {
			return err
		}
		p.sources = []Namespace{{DB: p.db, Collection: name}}
	case isOne(first):
		p.sources = nil // database-level: $currentOp, $documents, $changeStream and their kind
	default:
		return errors.New("aggregate wants the name of a collection, or 1")
	}
	v, ok := p.field("pipeline")
	if !ok {
		return errors.New("aggregate has no pipeline")
	}
	write, err := p.pipeline(v)
	if err != nil {
		return err
	}
	if !write {
		p.read()
	} else {
		p.why = "$out and $merge write to " + namespaces(p.targets)
		p.explainsItself()
	}
	return nil
}

// pipeline looks at each stage. It says whether one writes; what it does not know is an error.
func (p *parsing) pipeline(v bson.RawValue) (write bool, err error) {
	stages, err := documents(v)
	if err != nil {
		return false, fmt.Errorf("pipeline: %w", err)
	}
	for _, s := range stages {
		elems, err := s.Elements()
		if err != nil || len(elems) != 1 {
			return false, errors.New("a pipeline stage must have exactly one field")
		}
		w, err := p.stage(elems[0].Key(), elems[0].Value())
		if err != nil {
			return false, err
		}
		write = write || w
	}
	return write, nil
}

func (p *parsing) stage(name string, arg bson.RawValue) (write bool, err error) {
	switch name {
	case "$out", "$merge":
		return true, p.output(name, arg)
	case "$facet":
		return p.eachPipeline(arg)
	case "$lookup", "$graphLookup", "$unionWith":
		return p.join(arg)
	case "$rankFusion", "$scoreFusion":
		if doc, ok := arg.DocumentOK(); ok {
			input, _ := doc.Lookup("input").DocumentOK()
			if err := errors.Join(once(doc), once(input)); err != nil {
				return false, err
			}
			return p.eachPipeline(input.Lookup("pipelines"))
		}
		return false, fmt.Errorf("%s is not a document", name)
	case "$changeStream":
		p.live = true
	}
	if !readStages[name] {
		return false, fmt.Errorf("the stage %q is not known to be a read", name)
	}
	return false, nil
}

func (p *parsing) eachPipeline(arg bson.RawValue) (write bool, err error) {
	doc, ok := arg.DocumentOK()
	if !ok {
		return false, errors.New("a document of pipelines was expected")
	}
	elems, err := doc.Elements()
	if err != nil {
		return false, err
	}
	for _, e := range elems {
		w, err := p.pipeline(e.Value())
		if err != nil {
			return false, err
		}
		write = write || w
	}
	return write, nil
}

// join notes the namespace that a stage reads from and looks into its pipeline.
func (p *parsing) join(arg bson.RawValue) (write bool, err error) {
	if coll, ok := arg.StringValueOK(); ok { // {$unionWith: "c"}
		p.sources = append(p.sources, Namespace{DB: p.db, Collection: coll})
		return false, nil
	}
	doc, ok := arg.DocumentOK()
	if !ok {
		return false, errors.New("$lookup, $graphLookup and $unionWith want a document")
	}
	if err := once(doc); err != nil {
		return false, err
	}
	for _, key := range []string{"from", "coll"} {
		if v, err := doc.LookupErr(key); err == nil {
			ns := Namespace{DB: p.db}
			if sub, ok := v.DocumentOK(); ok {
				ns.DB, _ = sub.Lookup("db").StringValueOK()
				ns.Collection, _ = sub.Lookup("coll").StringValueOK()
			} else {
				ns.Collection, _ = v.StringValueOK()
				if db, ok := doc.Lookup("db").StringValueOK(); ok {
					ns.DB = db
				}
			}
			p.sources = append(p.sources, ns)
		}
	}
	if v, err := doc.LookupErr("pipeline"); err == nil {
		return p.pipeline(v)
	}
	return false, nil
}

// output notes the namespace that $out or $merge writes to.
// Sources: https://www.mongodb.com/docs/manual/reference/operator/aggregation/out/ and …/merge/
func (p *parsing) output(stage string, arg bson.RawValue) error {
	ns := Namespace{DB: p.db}
	into := arg
	if doc, ok := arg.DocumentOK(); ok && stage == "$merge" {
		if err := once(doc, "into", "on", "let", "whenMatched", "whenNotMatched"); err != nil {
			return fmt.Errorf("%s: %w", stage, err)
		}
		into = doc.Lookup("into")
		if v, err := doc.LookupErr("whenMatched"); err == nil && v.Type == bson.TypeArray {
			if err := updatePipeline(v); err != nil {
				return fmt.Errorf("$merge.whenMatched: %w", err)
			}
		}
	}
	if name, ok := into.StringValueOK(); ok {
		ns.Collection = name
	} else if doc, ok := into.DocumentOK(); ok {
		if err := once(doc, "db", "coll", "timeseries"); err != nil {
			return fmt.Errorf("%s: %w", stage, err)
		}
		var ok1, ok2 = true, true
		if v, err := doc.LookupErr("db"); err == nil {
			ns.DB, ok1 = v.StringValueOK()
		}
		ns.Collection, ok2 = doc.Lookup("coll").StringValueOK()
		if !ok1 || !ok2 {
			return fmt.Errorf("%s: which namespace it writes to is not understood", stage)
		}
	} else {
		return fmt.Errorf("%s: which namespace it writes to is not understood", stage)
	}
	if err := checkCollection(ns.Collection); err != nil {
		return fmt.Errorf("%s: %w", stage, err)
	}
	p.targets = append(p.targets, ns)
	return checkDatabase(ns.DB)
}

// mapReduce is a read if out is the document {inline: 1} and nothing else. A string, also "inline", names a collection.
// Source: https://www.mongodb.com/docs/manual/reference/command/mapReduce/
func mapReduce(p *parsing) error {
	if err := readCollection(p); err != nil {
		return err
	}
	out, ok := p.field("out")
	if !ok {
		return errors.New("mapReduce has no out")
	}
	if name, ok := out.StringValueOK(); ok {
		p.targets = []Namespace{{DB: p.db, Collection: name}}
		return checkCollection(name)
	}
	doc, ok := out.DocumentOK()
	if !ok {
		return errors.New("mapReduce: out is not understood")
	}
	if err := once(doc); err != nil {
		return fmt.Errorf("mapReduce: out: %w", err)
	}
	elems, err := doc.Elements()
	if err != nil {
		return fmt.Errorf("mapReduce: out: %w", err)
	}
	if len(elems) == 1 && elems[0].Key() == "inline" && isOne(elems[0].Value()) {
		p.read()
		return nil
	}
	ns := Namespace{DB: p.db}
	for _, e := range elems {
		s, isString := e.Value().StringValueOK()
		switch k := e.Key(); {
		case (k == "replace" || k == "merge" || k == "reduce") && isString && ns.Collection == "":
			ns.Collection = s
		case k == "db" && isString:
			ns.DB = s
		case k == "sharded" || k == "nonAtomic":
		default:
			return fmt.Errorf("mapReduce: out.%s is not understood", k)
		}
	}
	p.targets = []Namespace{ns}
	return errors.Join(checkDatabase(ns.DB), checkCollection(ns.Collection))
}

// explain has the class of what it wraps: servers exist that carry a writing stage out while they explain it.
func explain(p *parsing) error {
	inner, ok := p.elems[0].Value().DocumentOK()
	if !ok {
		return errors.New("explain wants a command")
	}
	first, err := inner.IndexErr(0)
	if err != nil || !explainable[first.Key()] { // before it is parsed: explain does not nest
		return errors.New("only queries and document writes can be explained")
	}
	c, err := p.parse(p.db, inner, nil)
	if err != nil {
		return err
	}
	p.sources = append(slices.Clone(c.sources), c.targets...)
	switch c.class {
	case Unknown:
		return errors.New(c.why)
	case Read:
		p.read()
	default:
		p.class, p.wrapped, p.targets = c.class, c, c.targets
		p.why = "a server may carry out the " + c.name + " that it explains"
	}
	return nil
}

// explainsItself: an aggregate that writes and carries the option explain, whatever its value means to the server.
func (p *parsing) explainsItself() {
	if v, ok := p.field("explain"); ok && !isFalse(v) {
		p.wrapped = p.Command
		p.why = "a server may carry out the writing stage that it explains"
	}
}

// view looks into the pipeline of a view. One that writes would do so whenever somebody reads the view.
func (p *parsing) view() error {
	v, ok := p.field("pipeline")
	if !ok {
		return nil
	}
	if _, ok := v.ArrayOK(); !ok {
		return errors.New("the pipeline of a view is not an array")
	}
	inner := parsing{Command: &Command{db: p.db}}
	write, err := inner.pipeline(v)
	if err != nil {
		return fmt.Errorf("the pipeline of a view: %w", err)
	}
	if write {
		return errors.New("the pipeline of a view has a stage that writes")
	}
	return nil
}

// create: https://www.mongodb.com/docs/manual/reference/command/create/
func create(p *parsing) error {
	return errors.Join(onCollection(p), p.view())
}

// getMore is a read on a cursor that a read of this session opened: an aggregate with $out and batchSize 0 writes at its first getMore.
func getMore(p *parsing) error {
	id, ok := p.elems[0].Value().Int64OK()
	if !ok {
		return errors.New("getMore wants the id of a cursor, a 64-bit integer")
	}
	p.cursors = []int64{id}
	v, _ := p.field("collection")
	name, ok := v.StringValueOK()
	if !ok {
		return errors.New("getMore wants the name of a collection")
	}
	p.sources = []Namespace{{DB: p.db, Collection: name}}
	if p.owned == nil || !p.owned(id, p.sources[0]) {
		return errors.New(p.why)
	}
	p.read()
	return nil
}

func killCursors(p *parsing) error {
	v, _ := p.field("cursors")
	arr, ok := v.ArrayOK()
	if !ok {
		return errors.New("killCursors wants an array of cursor ids")
	}
	values, err := arr.Values()
	if err != nil {
		return err
	}
	name, _ := p.elems[0].Value().StringValueOK()
	own := true
	for _, v := range values {
		id, ok := v.Int64OK()
		if !ok {
			return errors.New("a cursor id is a 64-bit integer")
		}
		p.cursors = append(p.cursors, id)
		own = own && p.owned != nil && p.owned(id, Namespace{DB: p.db, Collection: name})
	}
	if own {
		p.class, p.why = Session, ""
	}
	return nil
}

// profile reads the level if it is -1 and nothing else is given: slowms, sampleRate and filter are set even then. Other numbers
// may be rounded to a level: -0.5 and NaN to 0.
// Source: https://www.mongodb.com/docs/manual/reference/command/profile/
func profile(p *parsing) error {
	level, ok := p.elems[0].Value().AsFloat64OK()
	if !ok {
		return errors.New("profile wants a number")
	}
	for _, e := range p.elems[1:] {
		switch e.Key() {
		case "slowms", "sampleRate", "filter":
			return nil
		}
	}
	if level == -1 {
		p.read()
	}
	return nil
}

// validate is a read in the background only, where it repairs nothing. metadata is not enough: 4.4 does not know it, and would run whole.
// Source: https://www.mongodb.com/docs/manual/reference/command/validate/
func validate(p *parsing) error {
	if err := onCollection(p); err != nil {
		return err
	}
	for _, e := range p.elems[1:] {
		switch e.Key() {
		case "full", "repair", "fixMultikey", "metadata":
			if !isFalse(e.Value()) {
				return nil
			}
		}
	}
	if v, _ := p.field("background"); isTrue(v) {
		p.sources, p.targets = p.targets, nil
		p.read()
	}
	return nil
}

// collMod is a read where it only looks whether an index could be made unique. Servers before 6.0 refuse dryRun.
// Source: https://www.mongodb.com/docs/manual/reference/command/collMod/
func collMod(p *parsing) error {
	if err := onCollection(p); err != nil {
		return err
	}
	if err := p.view(); err != nil {
		return err
	}
	dry := false
	for _, e := range p.elems[1:] {
		switch e.Key() {
		case "index":
			index, ok := e.Value().DocumentOK()
			if !ok {
				return errors.New("collMod: index is not a document")
			}
			if once(index, "name", "keyPattern", "unique") != nil || !isTrue(index.Lookup("unique")) {
				return nil
			}
		case "dryRun":
			dry = isTrue(e.Value())
		case "comment", "maxTimeMS", "writeConcern":
		default:
			return nil
		}
	}
	if _, ok := p.field("index"); ok && dry {
		p.sources, p.targets = p.targets, nil
		p.read()
	}
	return nil
}

// cloneCollectionAsCapped: https://www.mongodb.com/docs/manual/reference/command/cloneCollectionAsCapped/
func cloneCollectionAsCapped(p *parsing) error {
	if err := readCollection(p); err != nil {
		return err
	}
	v, _ := p.field("toCollection")
	name, ok := v.StringValueOK()
	if !ok {
		return errors.New("cloneCollectionAsCapped: toCollection is not the name of a collection")
	}
	p.targets = []Namespace{{DB: p.db, Collection: name}}
	return checkCollection(name)
}

// applyOps names a namespace in each entry of the oplog that it holds; a command among them may be another applyOps.
// Source: https://www.mongodb.com/docs/manual/reference/command/applyOps/
func applyOps(p *parsing) error { return p.entries(p.elems[0].Value()) }

func (p *parsing) entries(v bson.RawValue) error {
	entries, err := documents(v)
	if err != nil {
		return fmt.Errorf("applyOps: %w", err)
	}
	for _, e := range entries {
		if err := p.entry(e); err != nil {
			return fmt.Errorf("applyOps: %w", err)
		}
	}
	return nil
}

func (p *parsing) entry(e bson.Raw) error {
	if err := once(e); err != nil {
		return err
	}
	op, ok1 := e.Lookup("op").StringValueOK()
	s, ok2 := e.Lookup("ns").StringValueOK()
	db, coll, ok3 := strings.Cut(s, ".")
	if !ok1 || !ok2 || (!ok3 && op != "n") {
		return errors.New("an entry without op and ns")
	}
	if op != "c" {
		p.targets = append(p.targets, Namespace{DB: db, Collection: coll})
		return nil
	}
	p.targets = append(p.targets, Namespace{DB: db})
	o, ok := e.Lookup("o").DocumentOK()
	if !ok {
		return errors.New("a command that is not a document")
	}
	if err := once(o); err != nil {
		return err
	}
	for _, key := range []string{"renameCollection", "to"} {
		if s, ok := o.Lookup(key).StringValueOK(); ok {
			ns, err := ParseNamespace(s)
			if err != nil {
				return err
			}
			p.targets = append(p.targets, ns)
		}
	}
	if v, err := o.LookupErr("applyOps"); err == nil {
		return p.entries(v)
	}
	return nil
}

func usersInfo(p *parsing) error {
	if v, ok := p.field("showCredentials"); !ok || isFalse(v) {
		p.read()
	}
	return nil
}

// renameCollection names two namespaces, which may be in two databases.
// Source: https://www.mongodb.com/docs/manual/reference/command/renameCollection/
func renameCollection(p *parsing) error {
	from, ok1 := p.elems[0].Value().StringValueOK()
	v, _ := p.field("to")
	to, ok2 := v.StringValueOK()
	if !ok1 || !ok2 {
		return errors.New("renameCollection wants two namespaces")
	}
	a, err := ParseNamespace(from)
	if err != nil {
		return err
	}
	b, err := ParseNamespace(to)
	if err != nil {
		return err
	}
	if p.db != "admin" {
		return errors.New("renameCollection must be sent to the database admin")
	}
	p.targets = []Namespace{a, b}
	return nil
}

func documents(v bson.RawValue) ([]bson.Raw, error) {
	arr, ok := v.ArrayOK()
	if !ok {
		return nil, errors.New("an array of documents was expected")
	}
	var out []bson.Raw
	return out, eachElement(bson.Raw(arr), func(_ []byte, v bson.RawValue) error {
		doc, ok := v.DocumentOK()
		if !ok {
			return fmt.Errorf("element %d is not a document", len(out))
		}
		out = append(out, doc)
		return nil
	})
}

// once is an error if a field stands twice in a document, or is none of those known, if any are given: which of two a server
// takes depends on the server.
func once(doc bson.Raw, known ...string) error {
	elems, err := doc.Elements() // of no document: none
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range elems {
		k := e.Key()
		if seen[k] {
			return fmt.Errorf("the field %q stands twice", k)
		}
		if len(known) > 0 && !slices.Contains(known, k) {
			return fmt.Errorf("the field %q is not known", k)
		}
		seen[k] = true
	}
	return nil
}

// isTrue is true of true only.
func isTrue(v bson.RawValue) bool {
	b, ok := v.BooleanOK()
	return ok && b
}

func isOne(v bson.RawValue) bool {
	f, ok := v.AsFloat64OK()
	return ok && f == 1
}

// isFalse is true of false and numeric zero only.
func isFalse(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return !b
	}
	f, ok := v.AsFloat64OK()
	return ok && f == 0
}

// truthy is the server's notion for options that take a boolean or a number; what is neither counts as true.
func truthy(v bson.RawValue) bool {
	return v.Type != bson.TypeNull && v.Type != bson.TypeUndefined && !isFalse(v)
}

func namespaces(ns []Namespace) string {
	var s []string
	for _, n := range ns {
		s = append(s, n.String())
	}
	return strings.Join(s, ", ")
}
