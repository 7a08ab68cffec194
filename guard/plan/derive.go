package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
	"respect/guard/update"
)

// Derived is the statement that is sent for one document.
type Derived struct {
	// Command is the command that it stands in: insert, update, delete or findAndModify. The first three hold many.
	Command string
	// Statement is the element of documents, updates or deletes, or, for findAndModify, what follows the collection's name.
	Statement bson.Raw
	// Let belongs to the command; statements with different ones cannot stand in one. Type 0 if not given.
	Let bson.RawValue
	// Bypass sets bypassDocumentValidation.
	Bypass bool
	// Alone says that no other statement may stand in the same command: it changes the shard key, which moves the document.
	// Source: https://www.mongodb.com/docs/manual/core/sharding-change-shard-key-value/
	Alone bool
	// ReturnsNew says that the reply holds the document as the change left it, because that could not be foreseen.
	ReturnsNew bool
	// ReturnsOld says that the reply tells which document was there: it must be compared with the before-image.
	ReturnsOld bool
}

// maxWhole is how many bytes of documents a statement may carry: a command may not be larger than 16 MiB and 16 KiB. Above it the document is not
// compared as a whole by the server.
// Source: https://www.mongodb.com/docs/manual/reference/limits/ (BSON document size), src/mongo/bson/util/builder.h (BSONObjMaxInternalSize).
const maxWhole = 15 << 20

// pinnable says why an update cannot be sent for single documents, before it is shown.
func pinnable(w command.Write, road Road) error {
	if w.Op != command.Update || !positional(w.Update) || road == RoadFields {
		return nil
	}
	_, err := appendTypedFilter(nil, w.Filter, road)
	return err
}

// Derive is what is sent for one document of a plan: a pure function of the plan file and the spooled images. It does not keep before and after.
//
// The filter is _id, the shard key if there is one, and the condition StillAs; upsert, hint, sort and skip of the typed statement are gone, since the document is
// pinned. Strings are compared by their bytes, whatever collation the statement or the collection has: see collate.go. The typed filter stays only where a positional
// $ needs it. Without the shard key a mongos would ask all shards, and before 7.0 refuse findAndModify.
func (p *Plan) Derive(it Item, before, after bson.Raw) (Derived, error) {
	w, typed, err := p.write(it)
	if err != nil {
		return Derived{}, err
	}
	return derivation{
		road: p.header.Road, mongodb: p.header.Software == MongoDB, undo: p.header.Undoes != "", shardKey: p.totals.ShardKeys[it.NS],
		simple: w.Collation.Type != 0 || slices.Contains(p.totals.Collated, it.NS),
	}.derive(it, w, typed, before, after)
}

// derivation is what of a plan decides how a document's statement looks.
type derivation struct {
	road     Road
	mongodb  bool // the server is MongoDB itself
	undo     bool
	shardKey []string
	simple   bool // some other collation than the simple one would be used
}

// derive writes the statement, and makes sure that it is BSON.
func (n derivation) derive(it Item, w command.Write, typed bool, before, after bson.Raw) (Derived, error) {
	d := Derived{Let: w.Let, Bypass: w.BypassChecks || n.undo}
	s := statement{derivation: n}
	s.road = roadFor(n.road, before, after)
	var err error
	s.doc(func() {
		switch {
		case it.Op == "insert":
			err = d.insert(&s, it, w, after)
		case it.Op == "update" && !typed:
			err = errors.New("an update without a typed statement")
		case it.Op == "update" && after == nil:
			err = d.update(&s, it, w, before)
		case it.Op == "update", it.Op == "delete", it.Op == "replace":
			err = d.whole(&s, it, w, before, after)
		default:
			err = fmt.Errorf("document %d: unknown operation %q", it.N, it.Op)
		}
	})
	d.Statement = bson.Raw(s.b)
	if err = errors.Join(err, s.err); err == nil {
		err = d.valid()
	}
	return d, err
}

// valid says what is wrong with a statement's bytes. A document that was appended without bytes would take those of what follows it.
func (d Derived) valid() error {
	if err := d.Statement.Validate(); err != nil {
		return fmt.Errorf("internal error: what would be sent is no BSON: %w", err)
	}
	for _, key := range map[string][]string{"update": {"q", "u"}, "delete": {"q", "limit"}, "findAndModify": {"query"}}[d.Command] {
		if v, err := d.Statement.LookupErr(key); err != nil || len(v.Value) == 0 {
			return fmt.Errorf("internal error: what would be sent has no %s", key)
		}
	}
	return nil
}

// roadFor: documents that are too large to be sent twice are not compared as a whole by the server.
func roadFor(road Road, before, after bson.Raw) Road {
	if len(before)+len(after) > maxWhole {
		return RoadFields
	}
	return road
}

// statement is a document while it is written.
type statement struct {
	derivation
	b   []byte
	err error
}

func (s *statement) doc(fill func()) {
	at, b := bsoncore.AppendDocumentStart(s.b)
	s.b = b
	fill()
	s.end(at)
}

func (s *statement) sub(key string, fill func()) {
	at, b := bsoncore.AppendDocumentElementStart(s.b, key)
	s.b = b
	fill()
	s.end(at)
}

func (s *statement) end(at int32) {
	b, err := bsoncore.AppendDocumentEnd(s.b, at)
	s.b, s.err = b, errors.Join(s.err, err)
}

func (s *statement) put(key string, v bson.RawValue) {
	if v.Type != 0 {
		s.b = appendValue(s.b, key, v)
	}
}

func (s *statement) document(key string, v bson.Raw) {
	s.b = bsoncore.AppendDocumentElement(s.b, key, v)
}

func (s *statement) flag(key string, v bool) { s.b = bsoncore.AppendBooleanElement(s.b, key, v) }

// byID selects one document.
func (s *statement) byID(doc bson.Raw) {
	s.equal("_id", doc.Lookup("_id"))
	for _, name := range s.shardKey {
		if name == "_id" {
			continue
		}
		v, ok := update.Lookup(doc, name)
		if !ok {
			v = bson.RawValue{Type: bson.TypeNull} // what a missing field counts as
		}
		s.equal(name, v)
	}
}

// equal is a condition on one field. A value that would be read as a condition itself stands behind $eq.
func (s *statement) equal(name string, v bson.RawValue) {
	if _, plain := plainID(v); plain || v.Type == bson.TypeNull {
		s.put(name, v)
		return
	}
	s.sub(name, func() { s.put("$eq", v) })
}

// moves says whether a change of these top-level fields can change the shard key.
func (s *statement) moves(touched []string) bool {
	return slices.ContainsFunc(s.shardKey, func(key string) bool {
		top, _, _ := strings.Cut(key, ".")
		return slices.Contains(touched, top)
	})
}

// moved says whether two images differ in the shard key.
func (s *statement) moved(before, after bson.Raw) bool {
	return slices.ContainsFunc(s.shardKey, func(key string) bool {
		was, had := update.Lookup(before, key)
		is, has := update.Lookup(after, key)
		return had != has || !was.Equal(is)
	})
}

// still appends the condition that a document is as it was shown. sees says that it holds for no other bytes.
func (s *statement) still(before bson.Raw, touched []string) (sees bool) {
	b, sees, err := appendStillAs(s.b, before, s.road, touched)
	if err != nil {
		s.err = errors.Join(s.err, err)
		return false
	}
	s.b = b
	return sees
}

// compared appends the collation by which bytes are compared, if there is another one that would be used.
func (s *statement) compared() {
	if s.simple {
		s.put("collation", simple)
	}
}

// insert is the statement of a new document: an insert of it as it was shown. There are two that are updates with upsert. What an undo brings back and an insert
// would not store as it was is set literally, where nothing has its _id. And what an upsert with operators or a pipeline creates is created only if still nothing matches its filter.
//
// Other servers than MongoDB store a plain insert as it is.
func (d *Derived) insert(s *statement, it Item, w command.Write, after bson.Raw) error {
	if len(after) < 5 {
		return errors.New("an insert without a document")
	}
	if it.ofUndo() && s.mongodb && s.road != RoadFields && unusual(after, false) {
		d.Command = "update"
		s.sub("q", func() {
			s.byID(after)
			s.b = append(s.b, nothingMatches...)
		})
		s.literally("u", after)
		s.flag("multi", false)
		s.flag("upsert", true)
		return nil
	}
	if !it.Upsert || w.Op == command.Replace {
		d.Command = "insert"
		s.b = append(s.b, after[4:len(after)-1]...)
		return nil
	}
	d.Command = "update"
	s.document("q", w.Filter)
	s.sub("u", func() { s.document("$setOnInsert", after) })
	s.flag("multi", false)
	s.flag("upsert", true)
	s.put("collation", w.Collation)
	return nil
}

// whole is the statement of a delete or a replacement, or of an update whose result is sent in its place. Where the condition does not see everything the server
// is asked to return what was there.
func (d *Derived) whole(s *statement, it Item, w command.Write, before, after bson.Raw) error {
	if it.Op == "replace" && after == nil {
		after = w.Doc // what the server makes of it is not foreseen in all fields
	}
	if it.Op != "delete" && len(after) < 5 {
		return errors.New("a replacement without a document")
	}
	d.Alone = it.Op != "delete" && s.moved(before, after)
	start := s.b
	sees := s.pinned("q", before, nil)
	if !sees || it.Unpredictable != "" {
		s.b = start
		d.Command, d.ReturnsOld = "findAndModify", true
		if s.pinned("query", before, nil); it.Op == "delete" {
			s.flag("remove", true)
		} else {
			s.become("update", after)
		}
		if it.Unpredictable != "" && it.Op != "delete" {
			s.flag("new", true)
			d.ReturnsOld, d.ReturnsNew = false, true
		}
		s.compared()
		return nil
	}
	if it.Op == "delete" {
		d.Command = "delete"
		s.b = bsoncore.AppendInt32Element(s.b, "limit", 1)
	} else {
		d.Command = "update"
		s.become("u", after)
		s.flag("multi", false)
	}
	s.compared()
	return nil
}

// unusual says whether a server would not store a document as it is given: in insert and in replacements it puts the current time where a field holds
// Timestamp(0, 0), and in replacements it refuses names that begin with $. Such documents existed all the same, and an undo brings them back.
// Sources: https://www.mongodb.com/docs/manual/reference/bson-types/#timestamps, …/core/dot-dollar-considerations/,
// https://jira.mongodb.org/browse/SERVER-88750.
func unusual(doc bson.Raw, replacement bool) bool {
	if replacement && dollars(doc) {
		return true
	}
	elems, err := doc.Elements()
	if err != nil {
		return false
	}
	for _, e := range elems {
		if t, i, ok := e.Value().TimestampOK(); ok && t == 0 && i == 0 && e.Key() != "_id" {
			return true
		}
	}
	return false
}

// dollars says whether a top-level name begins with $, which no server takes in a replacement.
func dollars(doc bson.Raw) bool {
	elems, err := doc.Elements()
	return err == nil && slices.ContainsFunc(elems, func(e bson.RawElement) bool { return strings.HasPrefix(e.Key(), "$") })
}

// nothingMatches is $nor: [{}] as the element of a filter: with it and an _id, an upsert creates the document or fails for its _id, and changes none.
var nothingMatches = func() []byte {
	s := statement{}
	s.doc(func() {
		at, b := bsoncore.AppendArrayElementStart(s.b, "$nor")
		s.b = bsoncore.AppendDocumentElement(b, "0", bson.Raw{5, 0, 0, 0, 0})
		s.end(at)
	})
	return s.b[4 : len(s.b)-1]
}()

// pinned appends the filter that selects one document as it was shown. sees says that it holds for no other bytes.
func (s *statement) pinned(key string, before bson.Raw, touched []string) (sees bool) {
	s.sub(key, func() {
		s.byID(before)
		if s.road != RoadFields || touched != nil { // without it, what is returned says what was there
			sees = s.still(before, touched)
		}
	})
	return sees
}

// become is the update that makes a document what is given: the document, or, where a server would store something else, what a pipeline makes of it.
func (s *statement) become(key string, doc bson.Raw) {
	if s.mongodb && s.road != RoadFields && unusual(doc, true) || dollars(doc) && s.road != RoadFields {
		s.literally(key, doc)
		return
	}
	s.document(key, doc)
}

// literally is an update that makes the document what is given, as the server stores what a pipeline computes: key: [{$replaceWith: {$literal: doc}}]. On servers
// other than MongoDB its _id stays out of that: the document keeps the one that it has, and one was seen that stored both.
func (s *statement) literally(key string, doc bson.Raw) {
	if !s.mongodb {
		doc = withoutID(doc)
	}
	at, b := bsoncore.AppendArrayElementStart(s.b, key)
	s.b = b
	s.sub("0", func() { s.sub("$replaceWith", func() { s.document("$literal", doc) }) })
	s.end(at)
}

// withoutID is a document without its _id, if that stands first, where servers put it.
func withoutID(doc bson.Raw) bson.Raw {
	first, err := doc.IndexErr(0)
	if err != nil || first.Key() != "_id" {
		return doc
	}
	return bson.Raw(bsoncore.BuildDocument(nil, doc[4+len(first):len(doc)-1]))
}

func (d *Derived) update(s *statement, it Item, w command.Write, before bson.Raw) error {
	touched, err := Touched(w.Update, before)
	if err != nil {
		return err
	}
	if touched == nil {
		touched = []string{}
	}
	d.Alone = s.moves(touched)
	u := w.Update
	if positional(u) && s.road == RoadFields {
		if u, err = withPositions(w, before); err != nil {
			return err
		}
	}
	start := s.b
	write := func(filter, change string) (sees bool) {
		s.b = start
		s.sub(filter, func() {
			if positional(u) {
				if s.b, err = appendTypedFilter(s.b, w.Filter, s.road); err != nil {
					return
				}
			}
			s.byID(before)
			sees = s.still(before, touched)
		})
		s.put(change, u)
		return sees
	}
	d.Command = "update"
	sees := write("q", "u")
	switch {
	case err != nil:
		return err
	case w.Constants.Type != 0: // findAndModify has none
		s.flag("multi", false)
	case it.Unpredictable != "": // what it becomes is in the reply; read later it could be somebody else's
		d.Command, d.ReturnsNew = "findAndModify", true
		write("query", "update")
		s.flag("new", true)
	case !sees:
		d.Command, d.ReturnsOld = "findAndModify", true
		write("query", "update")
	default:
		s.flag("multi", false)
	}
	s.compared()
	s.put("arrayFilters", w.ArrayFilters)
	s.put("c", w.Constants)
	return err
}

// positional says whether an update has the positional $, which means the element that the filter matched.
func positional(u bson.RawValue) bool {
	doc, ok := u.DocumentOK()
	if !ok {
		return false
	}
	ops, err := doc.Elements()
	if err != nil {
		return false
	}
	for _, op := range ops {
		args, ok := op.Value().DocumentOK()
		if !ok {
			continue
		}
		elems, err := args.Elements()
		if err != nil {
			return false
		}
		for _, e := range elems {
			if slices.Contains(strings.Split(e.Key(), "."), "$") {
				return true
			}
		}
	}
	return false
}

// withPositions is an update whose positional $ are the numbers of the elements that they mean in a document.
func withPositions(w command.Write, before bson.Raw) (bson.RawValue, error) {
	opts, err := updateOptions(w, false)
	if err != nil {
		return w.Update, err
	}
	u, err := update.Parse(w.Update.Document(), opts)
	if err != nil {
		return w.Update, err
	}
	return placed(u, w.Update, before)
}

// placed puts numbers in place of the positional $ of all paths of an update.
func placed(u *update.Update, typed bson.RawValue, before bson.Raw) (bson.RawValue, error) {
	ops, err := typed.Document().Elements()
	if err != nil {
		return typed, err
	}
	s := statement{}
	s.doc(func() {
		for _, op := range ops {
			args, isDoc := op.Value().DocumentOK()
			elems, eerr := args.Elements()
			if !isDoc || eerr != nil {
				s.put(op.Key(), op.Value())
				continue
			}
			s.sub(op.Key(), func() {
				for _, e := range elems {
					path, perr := placedPath(u, e.Key(), before)
					err = errors.Join(err, perr)
					s.put(path, e.Value())
				}
			})
		}
	})
	return bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: s.b}, errors.Join(err, s.err)
}

func placedPath(u *update.Update, path string, before bson.Raw) (string, error) {
	parts := strings.Split(path, ".")
	at := slices.Index(parts, "$")
	if at < 0 {
		return path, nil
	}
	n, err := u.Position(before, strings.Join(parts[:at], "."))
	if errors.Is(err, update.ErrNotPredictable) {
		return path, fmt.Errorf("%w: %v", ErrUnpinnable, err)
	}
	parts[at] = strconv.Itoa(n)
	return strings.Join(parts, "."), err
}

// appendTypedFilter keeps what the user's filter says of arrays, for a positional $.
func appendTypedFilter(dst []byte, filter bson.Raw, road Road) ([]byte, error) {
	if road == RoadFields {
		return dst, errors.New("internal error: a positional $ without a place")
	}
	elems, err := filter.Elements()
	if err != nil {
		return dst, err
	}
	for _, e := range elems {
		switch e.Key() {
		case "_id":
		case "$text", "$near", "$nearSphere", "$where", "$expr":
			return dst, fmt.Errorf("%w: a positional $ with %s in the filter", ErrUnpinnable, e.Key())
		default:
			dst = appendValue(dst, e.Key(), e.Value())
		}
	}
	return dst, nil
}
