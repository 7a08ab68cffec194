// Package command says what a server command may do before it is sent: its class, the namespaces it may change, and, for
// document writes, each single statement in it.
//
//	Parse(db, bytes) ─► table.go: one row a command, by exact first key
//	                     ├ no row, a forbidden field, an unknown option, any doubt ─► class Unknown
//	                     └ a rule, only where the table has one, looks at the arguments (rules.go)
//	                  ─► targets in admin, config, local, system.*, respect ─► raised to Security or Cluster
//
// It fails closed: the zero Class is Unknown, and Unknown is treated like a write that nobody can plan. Only a row may say
// Read, and only a rule of that row may lower a command to it.
//
// Pure: values in, values out; bson and the standard library.
package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// TableVersion changes with every change of what a row means. It is recorded with each session.
const TableVersion = "3"

// Class is what a command may do.
type Class uint8

// The classes. The zero value is Unknown.
const (
	Unknown       Class = iota // not in the table, or not understood
	Read                       // changes nothing
	Session                    // belongs to our own server session
	DocumentWrite              // inserts, updates, replaces, deletes documents
	Schema                     // collections, indexes, views, their options
	Operations                 // ends clients' operations, profiling level
	Security                   // users, roles, the environment marker
	Cluster                    // replica set, sharding
	Server                     // the server process
)

var classNames = [...]string{"unknown", "read", "session", "document write", "schema", "operations", "security", "cluster", "server"}

// String is the class in words, as JSON output and the journal have it.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// Namespace is database.collection. An empty Collection means the database as a whole.
type Namespace struct{ DB, Collection string }

// String is database.collection, or the database alone. Untrusted text.
func (n Namespace) String() string {
	if n.Collection == "" {
		return n.DB
	}
	return n.DB + "." + n.Collection
}

// Overlaps says whether the two name a common collection.
func (n Namespace) Overlaps(o Namespace) bool {
	return n.DB == o.DB && (n.Collection == "" || o.Collection == "" || n.Collection == o.Collection)
}

// Command is one server command, parsed. It is immutable: callers must not modify what its methods return.
type Command struct {
	db      string
	name    string // canonical, as the table has it
	raw     bson.Raw
	class   Class
	why     string
	targets []Namespace
	sources []Namespace
	writes  []Write
	cursors []int64
	live    bool
	parts   []Write  // writes, before raise forgets them: what an explain wraps may stand in a namespace of the server's own
	wrapped *Command // what an explain of a write wraps; the command itself, where it is an aggregate that asks for its own explanation
}

// Owned says whether a cursor on a namespace was handed to this session by a command of class Read.
type Owned func(cursor int64, ns Namespace) bool

// Parse reads a command document as it would be sent to database db. It keeps a private copy of the bytes.
// The error is of bytes that are no command at all, or that carry a field which no user may set, in any environment; a
// command that is merely not understood has class Unknown and says why.
// owned says which cursors are this session's; nil means that none is.
func Parse(db string, cmd bson.Raw, owned Owned) (*Command, error) {
	if err := wellFormed(cmd, 0); err != nil {
		return nil, fmt.Errorf("the command is not valid BSON: %w", err)
	}
	elems, err := cmd.Elements()
	if err != nil {
		return nil, fmt.Errorf("the command is not valid BSON: %w", err)
	}
	if len(elems) == 0 {
		return nil, errors.New("an empty document is no command")
	}
	if err := checkDatabase(db); err != nil {
		return nil, err
	}
	if err := forbiddenField(elems); err != nil {
		return nil, err
	}
	c := &Command{db: db, name: elems[0].Key(), raw: slices.Clone(cmd)}
	if elems, err = c.raw.Elements(); err != nil { // of our own copy
		return nil, fmt.Errorf("the command is not valid BSON: %w", err)
	}
	c.classify(elems, owned)
	return c, nil
}

// maxDepth is how deep documents nest that a server takes: https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-Nested-Depth-for-BSON-Documents
// is 100; servers accept a few more in commands.
const maxDepth = 200

// wellFormed says what is wrong with a document or with one inside it. bson.Raw.Validate looks neither into documents nor behind their end.
func wellFormed(doc bson.Raw, depth int) error {
	if depth > maxDepth {
		return errors.New("it nests too deep")
	}
	if n, _, ok := bsoncore.ReadLength(doc); !ok || int(n) != len(doc) || n < 5 || doc[n-1] != 0 {
		return errors.New("a document does not end where it says")
	}
	return eachElement(doc, func(key []byte, v bson.RawValue) (err error) {
		switch v.Type {
		case bson.TypeEmbeddedDocument, bson.TypeArray:
			err = wellFormed(v.Value, depth+1)
		case bson.TypeCodeWithScope:
			if _, scope, ok := v.CodeWithScopeOK(); ok {
				err = wellFormed(scope, depth+1)
			} else {
				err = errors.New("code whose scope cannot be read")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
}

// eachElement hands the elements of a document to f, in order, and allocates nothing: a command may have a hundred thousand statements. Key and value share the
// document's memory.
func eachElement(doc bson.Raw, f func(key []byte, v bson.RawValue) error) error {
	if len(doc) < 5 {
		return errors.New("a document is too short")
	}
	for left := doc[4 : len(doc)-1]; len(left) > 0; {
		e, next, ok := bsoncore.ReadElement(left)
		if !ok {
			return errors.New("a document has an element that does not end")
		}
		key := e.KeyBytes()
		v := bsoncore.Value{Type: bsoncore.Type(e[0]), Data: e[len(key)+2:]}
		if err := v.Validate(); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if err := f(key, bson.RawValue{Type: bson.Type(v.Type), Value: v.Data}); err != nil {
			return err
		}
		left = next
	}
	return nil
}

// classify fills in all but bytes and names. Every way out of it that is not sure leaves class Unknown.
func (c *Command) classify(elems []bson.RawElement, owned Owned) {
	r, ok := rowFor(c.name)
	if !ok {
		c.unknown(unknownName(c.name))
		return
	}
	c.name = r.canonical()
	c.class, c.why = r.class, r.why
	var err error
	if r.rule != nil {
		err = r.rule(&parsing{Command: c, elems: elems, owned: owned, parse: Parse})
	}
	if why := r.unknownOption(elems); why != "" {
		c.unknown(why) // with the targets that the rule found
		return
	}
	if err != nil {
		c.unknown(err.Error())
		return
	}
	if c.class == Read || c.class == Session {
		return
	}
	c.parts = c.writes
	c.raise()
	if len(c.targets) == 0 {
		c.targets = []Namespace{{DB: c.db}}
	}
}

// unknown keeps the targets that were found before the doubt: the environment of any of them may be the highest.
func (c *Command) unknown(why string) {
	c.class, c.why, c.writes, c.targets = Unknown, why, nil, append(c.targets, Namespace{DB: c.db})
}

// raise: what is written to the server's own namespaces is not document work, whatever command does it.
func (c *Command) raise() {
	for _, t := range c.targets {
		if class, why := systemNamespace(t); class != Unknown {
			c.class, c.why, c.writes = class, why, nil
			return
		}
	}
}

// MarkerCollection is the collection of the environment marker, in database MarkerDatabase or, for users who see only
// one database, in that one.
const (
	MarkerDatabase   = "respect"
	MarkerCollection = "respect.environment"
)

// systemNamespace says what writing to a namespace really is, and Unknown for an ordinary one.
func systemNamespace(n Namespace) (Class, string) {
	switch {
	case n.DB == MarkerDatabase || n.Collection == MarkerCollection:
		return Security, "the database respect and the collection respect.environment say which environment this is"
	case n.DB == "admin", n.DB == "$external":
		return Security, "the database " + n.DB + " holds users, roles and server settings"
	case n.DB == "config", n.DB == "local":
		return Cluster, "the database " + n.DB + " holds sharding metadata, sessions or the oplog"
	case strings.HasPrefix(n.Collection, "system."):
		return Security, "system.* collections are the server's own"
	}
	return Unknown, ""
}

// Database that the command is sent to.
func (c *Command) Database() string { return c.db }

// Name is the command's canonical name; an alias is resolved, an unknown name is as given. Untrusted text if Class is Unknown.
func (c *Command) Name() string { return c.name }

// Raw is the command's bytes: what was classified is what is planned and sent.
func (c *Command) Raw() bson.Raw { return c.raw }

// Class says what the command may do.
func (c *Command) Class() Class { return c.class }

// Why says in a sentence why it has that class. May be empty for reads.
func (c *Command) Why() string { return c.why }

// Targets are the namespaces that it may change; for class Unknown at least its database.
func (c *Command) Targets() []Namespace { return c.targets }

// Sources are the namespaces that it reads.
func (c *Command) Sources() []Namespace { return c.sources }

// Writes are the statements of a document write, in order; nil if it cannot be taken apart.
func (c *Command) Writes() []Write { return c.writes }

// Cursors are the ids that a getMore or killCursors names.
func (c *Command) Cursors() []int64 { return c.cursors }

// Bounded is the command with a limit of time in milliseconds, if it is a read of documents that has none of its own; otherwise it is the command
// itself. A tailable cursor waits for as long as it is wanted. maxTimeMS counts for the getMores of a cursor too:
// https://www.mongodb.com/docs/manual/reference/method/cursor.maxTimeMS/
func (c *Command) Bounded(ms int64) *Command {
	if _, has := c.Lookup("maxTimeMS"); has || c.class != Read || c.live || !slices.Contains([]string{"find", "aggregate", "count", "distinct"}, c.name) {
		return c
	}
	out := *c
	body := bsoncore.AppendInt64Element(slices.Clone(c.raw[4:len(c.raw)-1]), "maxTimeMS", ms)
	out.raw = bson.Raw(bsoncore.BuildDocument(nil, body))
	return &out
}

// Explains is the write that the command asks an explanation of; nil if it explains none. It is the command itself where a writing aggregate carries
// the option explain.
func (c *Command) Explains() *Command { return c.wrapped }

// ExplainsStatement says that the command explains an update, a delete or a findAndModify, and nothing that writes by a pipeline. MongoDB's manual says that
// these are planned and not carried out. That is a statement about one server: whether it holds where the command goes, Class does not know.
// Source: https://www.mongodb.com/docs/manual/reference/command/explain/
func (c *Command) ExplainsStatement() bool {
	return c.wrapped != nil && c.wrapped != c && len(c.wrapped.parts) > 0
}

// Live says that a read waits for what happens later: a change stream or a tailable cursor.
func (c *Command) Live() bool { return c.live }

// Lookup is a top-level field of the command.
func (c *Command) Lookup(key string) (bson.RawValue, bool) {
	v, err := c.raw.LookupErr(key)
	return v, err == nil
}

// forbiddenField: fields that decide where and in whose name a command runs belong to the driver and to the gate.
// Unacknowledged writes are refused with them: their outcome could never be known.
func forbiddenField(elems []bson.RawElement) error {
	seen := map[string]bool{}
	for _, e := range elems {
		k := e.Key()
		switch {
		case seen[k]:
			return fmt.Errorf("the field %q stands twice in the command", k)
		case currentOpFields[k] && elems[0].Key() == "currentOp":
		case strings.HasPrefix(k, "$"), internalFields[k]:
			return fmt.Errorf("the field %q is for drivers and servers, not for users", k)
		case k == "writeConcern" && !acknowledged(e.Value()):
			return errors.New("a writeConcern that does not wait for an answer, {w: 0}, would leave the outcome unknown; it is never sent")
		}
		seen[k] = true
	}
	return nil
}

// currentOpFields are the $ fields that its page documents: https://www.mongodb.com/docs/manual/reference/command/currentOp/
var currentOpFields = set("$all $ownOps $or $and $nor")

// acknowledged: w must be absent, a name, tags, or a number that is 1 or more for every server, whichever of two
// fields of one name it takes.
func acknowledged(v bson.RawValue) bool {
	doc, ok := v.DocumentOK()
	if !ok {
		return false
	}
	elems, err := doc.Elements()
	if err != nil {
		return false
	}
	for _, e := range elems {
		if e.Key() != "w" {
			continue
		}
		switch w := e.Value(); w.Type {
		case bson.TypeString, bson.TypeEmbeddedDocument:
		default:
			if f, ok := w.AsFloat64OK(); !ok || !(f >= 1) { // also of NaN
				return false
			}
		}
	}
	return true
}

func unknownName(name string) string {
	for _, k := range names() {
		if strings.EqualFold(k, name) {
			return fmt.Sprintf("no command is called %q; command names are case-sensitive: did you mean %q?", name, k)
		}
	}
	for _, p := range []string{"_", "cluster", "streams_", "test", "replSetTest"} {
		if strings.HasPrefix(name, p) {
			return fmt.Sprintf("%q looks like a command that servers send to each other", name)
		}
	}
	return fmt.Sprintf("%q is not in the command table", name)
}

// checkDatabase: https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
func checkDatabase(db string) error {
	if db == "" || len(db) > 63 || strings.ContainsAny(db, "/\\. \"\x00") {
		return fmt.Errorf("%q is not a valid database name", db)
	}
	return nil
}

// checkCollection: as checkDatabase, for the part behind the first dot.
func checkCollection(name string) error {
	if name == "" || strings.ContainsAny(name, "$\x00") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q is not a valid collection name", name)
	}
	return nil
}

// ParseNamespace splits database.collection at the first dot.
func ParseNamespace(s string) (Namespace, error) {
	db, coll, ok := strings.Cut(s, ".")
	if !ok {
		return Namespace{}, fmt.Errorf("%q is not database.collection", s)
	}
	if err := checkDatabase(db); err != nil {
		return Namespace{}, err
	}
	return Namespace{DB: db, Collection: coll}, checkCollection(coll)
}

// Marker is the command that writes the environment marker: an upsert of one document, of class Security. Parse gives such a command no
// statements; this is the one way to have it planned.
func Marker(doc any) (*Command, error) {
	raw, err := bson.Marshal(bson.D{
		{Key: "update", Value: "environment"},
		{Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: "environment"}}}, {Key: "u", Value: doc}, {Key: "upsert", Value: true}}}},
	})
	if err != nil {
		return nil, err
	}
	c, err := Parse(MarkerDatabase, raw, nil)
	if err != nil {
		return nil, err
	}
	p := &parsing{Command: c}
	if p.elems, err = c.raw.Elements(); err != nil {
		return nil, err
	}
	if err := update(p); err != nil {
		return nil, err
	}
	return c, nil
}
