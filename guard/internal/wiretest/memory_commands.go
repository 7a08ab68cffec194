package wiretest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	language "respect/guard/update"
)

// memoryRequest is a command while it is carried out. The server is its alone.
type memoryRequest struct {
	*Memory
	doc    bson.Raw
	db, ns string
}

// memoryCommands are what a Memory knows.
var memoryCommands = map[string]func(memoryRequest) (bson.D, error){
	"hello": func(r memoryRequest) (bson.D, error) { return helloReply(r.hello()), nil }, "isMaster": func(r memoryRequest) (bson.D, error) { return helloReply(r.hello()), nil },
	"ping": nothingOfMemory, "endSessions": nothingOfMemory, "killCursors": nothingOfMemory, "killSessions": nothingOfMemory,
	"buildInfo": func(r memoryRequest) (bson.D, error) {
		if r.cfg.Embedded {
			return bson.D{{Key: "version", Value: "7.0.42"}, {Key: "ferretdbVersion", Value: "unknown"}}, nil
		}
		return bson.D{
			{Key: "version", Value: "8.0.4"}, {Key: "gitVersion", Value: strings.Repeat("0123456789", 4)}, {Key: "allocator", Value: "tcmalloc-google"}, {Key: "javascriptEngine", Value: "mozjs"},
			{Key: "buildEnvironment", Value: bson.D{{Key: "target_arch", Value: "x86_64"}}}, {Key: "storageEngines", Value: bson.A{"devnull", "wiredTiger"}},
		}, nil
	},
	"hostInfo": func(r memoryRequest) (bson.D, error) {
		return bson.D{{Key: "system", Value: bson.D{{Key: "hostname", Value: r.cfg.Host}}}}, nil
	},
	"serverStatus": func(r memoryRequest) (bson.D, error) { return r.status(), nil },
	"connectionStatus": func(memoryRequest) (bson.D, error) {
		return bson.D{{Key: "authInfo", Value: bson.D{{Key: "authenticatedUsers", Value: bson.A{}}, {Key: "authenticatedUserRoles", Value: bson.A{}}}}}, nil
	},
	"listCollections": memoryRequest.listCollections, "listIndexes": memoryRequest.listIndexes, "collStats": memoryRequest.collStats, "count": memoryRequest.count,
	"find": memoryRequest.find, "aggregate": memoryRequest.aggregate, "insert": memoryRequest.insert, "update": memoryRequest.update, "delete": memoryRequest.delete, "findAndModify": memoryRequest.findAndModify,
	"listDatabases": memoryRequest.listDatabases, "dropDatabase": memoryRequest.dropDatabase,
	"create": memoryRequest.create, "drop": memoryRequest.drop, "renameCollection": memoryRequest.rename, "createIndexes": memoryRequest.createIndexes, "dropIndexes": memoryRequest.dropIndexes,
}

func nothingOfMemory(memoryRequest) (bson.D, error) { return nil, nil }

// Error implements error.
func (e *failure) Error() string { return e.message }

// carryOut carries a command out. Requires the lock.
func (m *Memory) carryOut(cmd Command) bson.Raw {
	r := memoryRequest{Memory: m, doc: cmd.Doc, db: cmd.DB}
	if e, err := cmd.Doc.IndexErr(0); err == nil {
		coll, _ := e.Value().StringValueOK()
		r.ns = cmd.DB + "." + coll
	}
	do := memoryCommands[cmd.Name]
	if do == nil {
		return (&failure{238, "NotImplemented", "a Memory does not know " + cmd.Name}).reply()
	}
	out, err := do(r)
	var f *failure
	switch {
	case errors.As(err, &f):
		return f.reply()
	case err != nil:
		return (&failure{238, "NotImplemented", fmt.Sprintf("a Memory cannot do this %s: %v", cmd.Name, err)}).reply()
	}
	if len(out) == 0 || out[len(out)-1].Key != "ok" {
		out = append(out, bson.E{Key: "ok", Value: 1.0})
	}
	return encode(out)
}

func cursorOfMemory(ns string, docs []bson.Raw) (bson.D, error) {
	list := bson.A{}
	for _, d := range docs {
		list = append(list, d)
	}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: list}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: ns}}}}, nil
}

func (r memoryRequest) listDatabases() (bson.D, error) {
	names, list := map[string]bool{}, bson.A{}
	for ns := range r.colls {
		db, _, _ := strings.Cut(ns, ".")
		if !names[db] {
			names[db] = true
			list = append(list, bson.D{{Key: "name", Value: db}, {Key: "sizeOnDisk", Value: int64(4096)}, {Key: "empty", Value: false}})
		}
	}
	return bson.D{{Key: "databases", Value: list}}, nil
}

func (r memoryRequest) dropDatabase() (bson.D, error) {
	maps.DeleteFunc(r.colls, func(ns string, _ *memoryCollection) bool { return strings.HasPrefix(ns, r.db+".") })
	return bson.D{{Key: "dropped", Value: r.db}}, nil
}

func (r memoryRequest) listCollections() (bson.D, error) {
	want, one := r.doc.Lookup("filter", "name").StringValueOK()
	var docs []bson.Raw
	for ns, c := range r.colls {
		db, name, _ := strings.Cut(ns, ".")
		if db != r.db || one && name != want {
			continue
		}
		docs = append(docs, encode(bson.D{
			{Key: "name", Value: name}, {Key: "type", Value: "collection"}, {Key: "options", Value: bson.D{}}, {Key: "info", Value: bson.D{{Key: "readOnly", Value: false}, {Key: "uuid", Value: c.uuid}}},
			{Key: "idIndex", Value: idIndex},
		}))
	}
	return cursorOfMemory(r.db+".$cmd.listCollections", docs)
}

func (r memoryRequest) listIndexes() (bson.D, error) {
	c := r.colls[r.ns]
	if c == nil {
		return nil, &failure{26, "NamespaceNotFound", "ns does not exist: " + r.ns}
	}
	return cursorOfMemory(r.ns, c.indexes)
}

func (r memoryRequest) collStats() (bson.D, error) {
	size, n := 0, 0
	if c := r.colls[r.ns]; c != nil {
		n = len(c.docs)
		for _, d := range c.docs {
			size += len(d)
		}
	}
	return bson.D{{Key: "ns", Value: r.ns}, {Key: "size", Value: int64(size)}, {Key: "count", Value: int64(n)}, {Key: "storageSize", Value: int64(size)}, {Key: "capped", Value: false}}, nil
}

// matching are the places of the documents that a filter selects, at most limit if that is not 0.
func (r memoryRequest) matching(ns string, filter bson.RawValue, limit int64) (out []int, err error) {
	c := r.colls[ns]
	if c == nil {
		return nil, nil
	}
	q, expr := bson.Raw{5, 0, 0, 0, 0}, bson.RawValue{}
	if filter.Type != 0 {
		whole, ok := filter.DocumentOK()
		if !ok {
			return nil, errors.New("a filter that is no document")
		}
		q, expr = without(whole, "$expr"), whole.Lookup("$expr")
		if r.cfg.Embedded && expr.Type != 0 {
			return nil, errors.New("with $expr")
		}
	}
	for i, d := range c.docs {
		answer := language.Match(q, d)
		if answer == language.Undecidable {
			return nil, fmt.Errorf("the filter %v", q)
		}
		if answer == language.Yes && expr.Type != 0 {
			same, err := evaluate(expr, d, nil)
			if err != nil {
				return nil, err
			}
			if same != true {
				continue
			}
		}
		if answer == language.Yes {
			out = append(out, i)
		}
		if limit > 0 && int64(len(out)) == limit {
			break
		}
	}
	return out, nil
}

func (r memoryRequest) find() (bson.D, error) {
	for _, field := range []string{"skip", "min", "max", "collation"} {
		if _, err := r.doc.LookupErr(field); err == nil {
			return nil, errors.New("with " + field)
		}
	}
	limit, _ := r.doc.Lookup("limit").AsInt64OK()
	places, err := r.matching(r.ns, r.doc.Lookup("filter"), limit)
	if err != nil {
		return nil, err
	}
	var docs []bson.Raw
	for _, i := range places {
		doc := r.colls[r.ns].docs[i]
		if p, ok := r.doc.Lookup("projection").DocumentOK(); ok && len(p) > 5 {
			if _, err := p.LookupErr("_id"); err != nil || len(elementsOf(p)) > 17 {
				return nil, errors.New("with a projection")
			}
			doc = encode(bson.D{{Key: "_id", Value: doc.Lookup("_id")}})
		}
		docs = append(docs, doc)
	}
	return cursorOfMemory(r.ns, docs)
}

func (r memoryRequest) count() (bson.D, error) {
	places, err := r.matching(r.ns, r.doc.Lookup("query"), 0)
	return bson.D{{Key: "n", Value: int32(len(places))}}, err
}

func (r memoryRequest) aggregate() (bson.D, error) {
	if one := r.doc.Lookup("pipeline", "1", "$group", "n", "$sum"); one.IsNumber() { // what drivers count with
		places, err := r.matching(r.ns, r.doc.Lookup("pipeline", "0", "$match"), 0)
		if err != nil || len(places) == 0 {
			return cursorOfMemory(r.ns, nil)
		}
		return cursorOfMemory(r.ns, []bson.Raw{encode(bson.D{{Key: "_id", Value: 1}, {Key: "n", Value: int32(len(places))}})})
	}
	literal, err1 := r.doc.LookupErr("pipeline", "0", "$documents", "0", "$literal")
	expr, err2 := r.doc.LookupErr("pipeline", "1", "$match", "$expr")
	if err1 != nil || err2 != nil || r.cfg.Embedded {
		return nil, errors.New("with this pipeline")
	}
	doc := literal.Document()
	holds, err := evaluate(expr, doc, nil)
	if err != nil || holds != true {
		return cursorOfMemory(r.db+".$cmd.aggregate", nil)
	}
	return cursorOfMemory(r.db+".$cmd.aggregate", []bson.Raw{doc})
}

// each hands the statements of a write to f, which says how many documents it meant, and puts the answer together.
func (r memoryRequest) each(key string, f func(s bson.Raw, out *bson.D) (n int, err error)) (bson.D, error) {
	list, ok := r.doc.Lookup(key).ArrayOK()
	if !ok {
		return nil, errors.New("without " + key)
	}
	values, err := list.Values()
	if err != nil {
		return nil, err
	}
	total, errs, more := 0, bson.A{}, bson.D{}
	for i, v := range values {
		n, err := f(v.Document(), &more)
		total += n
		var refused *failure
		if errors.As(err, &refused) {
			errs = append(errs, bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: refused.code}, {Key: "errmsg", Value: refused.message}})
			if ordered, given := r.doc.Lookup("ordered").BooleanOK(); ordered || !given {
				break
			}
		} else if err != nil {
			return nil, err
		}
	}
	out := append(bson.D{{Key: "n", Value: int32(total)}}, more...)
	if len(errs) > 0 {
		out = append(out, bson.E{Key: "writeErrors", Value: errs})
	}
	return out, nil
}

// store puts a document at a place, or behind all others if that is -1, unless another one has its values of a unique index.
func (r memoryRequest) store(at int, doc bson.Raw) error {
	c := r.made(r.ns)
	for _, index := range c.indexes {
		unique, _ := index.Lookup("unique").BooleanOK()
		if name := index.Lookup("name").StringValue(); !unique && name != "_id_" {
			continue
		}
		for i, other := range c.docs {
			if i != at && sameKey(index.Lookup("key").Document(), doc, other) {
				return &failure{11000, "DuplicateKey", "E11000 duplicate key error collection: " + r.ns}
			}
		}
	}
	if at >= 0 {
		c.docs[at] = doc
	} else {
		c.docs = append(c.docs, doc)
	}
	return nil
}

// sameKey says whether two documents have the same values of an index.
func sameKey(key, a, b bson.Raw) bool {
	elems, err := key.Elements()
	for _, e := range elems {
		v, _ := language.Lookup(a, e.Key()) // of a missing field: null
		w, _ := language.Lookup(b, e.Key())
		if !language.Equal(orNull(v), orNull(w)) {
			return false
		}
	}
	return err == nil
}

func orNull(v bson.RawValue) bson.RawValue {
	if v.Type == 0 {
		return bson.RawValue{Type: bson.TypeNull}
	}
	return v
}

// upsert stores the document that an update makes of nothing.
func (r memoryRequest) upsert(q bson.Raw, u bson.RawValue) (bson.Raw, error) {
	doc, ok := u.DocumentOK()
	if !ok {
		return nil, errors.New("with a pipeline that inserts")
	}
	doc, err := language.Upserted(q, doc, replaces(doc), bson.NewObjectID)
	if err != nil {
		return nil, err
	}
	return doc, r.store(-1, doc)
}

func (r memoryRequest) insert() (bson.D, error) {
	return r.each("documents", func(doc bson.Raw, _ *bson.D) (int, error) {
		if _, err := doc.LookupErr("_id"); err != nil || !r.cfg.Embedded { // which stores it as it is: an empty timestamp is nothing special
			if doc, err = language.Inserted(doc, bson.NewObjectID); err != nil {
				return 0, err
			}
		}
		if err := r.store(-1, doc); err != nil {
			return 0, err
		}
		return 1, nil
	})
}

// replaces says whether an update is a whole document.
func replaces(u bson.Raw) bool {
	e, err := u.IndexErr(0)
	return err != nil || !strings.HasPrefix(e.Key(), "$")
}

// changed is a document after an update.
func (r memoryRequest) changed(before bson.Raw, u bson.RawValue, opts language.Options) (bson.Raw, error) {
	var i language.Image
	var err error
	switch doc, ok := u.DocumentOK(); {
	case !ok:
		var p *language.Pipeline
		if p, err = language.ParsePipeline(u.Array()); err == nil {
			i, err = p.Foresee(before)
		}
	case replaces(doc) && r.cfg.Embedded: // as it is: an empty timestamp is nothing special
		return withElements(encode(bson.D{{Key: "_id", Value: before.Lookup("_id")}}), elementsOf(without(doc, "_id"))), nil
	case replaces(doc):
		i, err = language.ForeseeReplace(before, doc)
	default:
		var p *language.Update
		if p, err = language.Parse(doc, opts); err == nil {
			i, err = p.Foresee(before)
		}
	}
	if err == nil && len(i.Unknown) > 0 {
		err = fmt.Errorf("of which %v is not known", i.Unknown)
	}
	return i.After, err
}

func (r memoryRequest) update() (bson.D, error) {
	modified, upserted := 0, bson.A{}
	at := -1
	out, err := r.each("updates", func(s bson.Raw, _ *bson.D) (int, error) {
		at++
		if _, pipeline := s.Lookup("u").ArrayOK(); pipeline && r.cfg.Embedded {
			return 0, errors.New("with a pipeline")
		}
		limit := int64(1)
		if multi, _ := s.Lookup("multi").BooleanOK(); multi {
			limit = 0
		}
		places, err := r.matching(r.ns, s.Lookup("q"), limit)
		if err != nil {
			return 0, err
		}
		for _, i := range places {
			c := r.colls[r.ns]
			after, err := r.changed(c.docs[i], s.Lookup("u"), language.Options{Filter: without(s.Lookup("q").Document(), "$expr")})
			if err != nil {
				return 0, err
			}
			same := language.Equal(document(after), document(c.docs[i]))
			if err := r.store(i, after); err != nil {
				return 0, err
			}
			if !same {
				modified++
			}
		}
		if upsert, _ := s.Lookup("upsert").BooleanOK(); upsert && len(places) == 0 {
			doc, err := r.upsert(s.Lookup("q").Document(), s.Lookup("u"))
			if err != nil {
				return 0, err
			}
			upserted = append(upserted, bson.D{{Key: "index", Value: int32(at)}, {Key: "_id", Value: doc.Lookup("_id")}})
			return 1, nil
		}
		return len(places), nil
	})
	out = append(out, bson.E{Key: "nModified", Value: int32(modified)})
	if len(upserted) > 0 {
		out = append(out, bson.E{Key: "upserted", Value: upserted})
	}
	return out, err
}

func document(doc bson.Raw) bson.RawValue {
	return bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: doc}
}

func (r memoryRequest) delete() (bson.D, error) {
	return r.each("deletes", func(s bson.Raw, _ *bson.D) (int, error) {
		limit, _ := s.Lookup("limit").AsInt64OK()
		places, err := r.matching(r.ns, s.Lookup("q"), limit)
		if err != nil || len(places) == 0 {
			return 0, err
		}
		r.remove(places)
		return len(places), nil
	})
}

// remove takes documents away, of places in ascending order.
func (r memoryRequest) remove(places []int) {
	c := r.colls[r.ns]
	var kept []bson.Raw
	for i, d := range c.docs {
		if len(places) > 0 && places[0] == i {
			places = places[1:]
			continue
		}
		kept = append(kept, d)
	}
	c.docs = kept
}

func (r memoryRequest) findAndModify() (bson.D, error) {
	for _, field := range []string{"fields", "arrayFilters"} {
		if _, err := r.doc.LookupErr(field); err == nil {
			return nil, errors.New("with " + field)
		}
	}
	places, err := r.matching(r.ns, r.doc.Lookup("query"), 0)
	if err != nil {
		return nil, err
	}
	if sort, ok := r.doc.Lookup("sort").DocumentOK(); ok {
		if e, err := sort.IndexErr(0); err != nil || e.Key() != "_id" || fields(sort) != 1 {
			return nil, errors.New("with this sort")
		}
		slices.SortFunc(places, func(i, j int) int {
			return language.Compare(r.colls[r.ns].docs[i].Lookup("_id"), r.colls[r.ns].docs[j].Lookup("_id"))
		})
	}
	places = places[:min(1, len(places))]
	if upsert, _ := r.doc.Lookup("upsert").BooleanOK(); upsert && len(places) == 0 {
		doc, err := r.upsert(r.doc.Lookup("query").Document(), r.doc.Lookup("update"))
		if err != nil {
			return nil, err
		}
		value := any(nil)
		if fresh, _ := r.doc.Lookup("new").BooleanOK(); fresh {
			value = doc
		}
		return found(1, append(r.updates(false), bson.E{Key: "upserted", Value: doc.Lookup("_id")}), value), nil
	}
	if len(places) == 0 {
		return found(0, r.updates(false), nil), nil
	}
	c := r.colls[r.ns]
	value := c.docs[places[0]]
	if remove, _ := r.doc.Lookup("remove").BooleanOK(); remove {
		r.remove(places)
	} else {
		after, err := r.changed(value, r.doc.Lookup("update"), language.Options{Filter: without(r.doc.Lookup("query").Document(), "$expr")})
		if err != nil {
			return nil, err
		}
		if err := r.store(places[0], after); err != nil {
			return nil, err
		}
		if fresh, _ := r.doc.Lookup("new").BooleanOK(); fresh {
			value = after
		}
	}
	return found(1, r.updates(true), value), nil
}

// found is the answer to a findAndModify.
func found(n int32, more bson.D, value any) bson.D {
	return bson.D{{Key: "lastErrorObject", Value: append(bson.D{{Key: "n", Value: n}}, more...)}, {Key: "value", Value: value}}
}

// updates is what the answer to a findAndModify that updates says besides: whether there was a document.
func (r memoryRequest) updates(existing bool) bson.D {
	if remove, _ := r.doc.Lookup("remove").BooleanOK(); remove {
		return nil
	}
	return bson.D{{Key: "updatedExisting", Value: existing}}
}

func (r memoryRequest) create() (bson.D, error) {
	if r.colls[r.ns] != nil {
		return nil, &failure{48, "NamespaceExists", "Collection " + r.ns + " already exists."}
	}
	r.made(r.ns)
	return nil, nil
}

func (r memoryRequest) drop() (bson.D, error) {
	if r.colls[r.ns] == nil {
		return nil, &failure{26, "NamespaceNotFound", "ns not found"}
	}
	was := len(r.colls[r.ns].indexes)
	delete(r.colls, r.ns)
	return bson.D{{Key: "nIndexesWas", Value: int32(was)}, {Key: "ns", Value: r.ns}}, nil
}

func (r memoryRequest) rename() (bson.D, error) {
	from, _ := r.doc.Lookup("renameCollection").StringValueOK()
	to, _ := r.doc.Lookup("to").StringValueOK()
	if r.colls[from] == nil {
		return nil, &failure{26, "NamespaceNotFound", "Source collection " + from + " does not exist"}
	}
	if over, _ := r.doc.Lookup("dropTarget").BooleanOK(); r.colls[to] != nil && !over {
		return nil, &failure{48, "NamespaceExists", "target namespace exists"}
	}
	r.colls[to] = r.colls[from]
	delete(r.colls, from)
	return nil, nil
}

func (r memoryRequest) createIndexes() (bson.D, error) {
	values, err := r.doc.Lookup("indexes").Array().Values()
	if err != nil {
		return nil, err
	}
	c := r.made(r.ns)
	before := len(c.indexes)
	for _, v := range values {
		spec := withElements(encode(bson.D{{Key: "v", Value: int32(2)}}), elementsOf(without(v.Document(), "v")))
		if unique, _ := spec.Lookup("unique").BooleanOK(); unique {
			for i, d := range c.docs {
				if slices.ContainsFunc(c.docs[:i], func(o bson.Raw) bool { return sameKey(spec.Lookup("key").Document(), d, o) }) {
					return nil, &failure{11000, "DuplicateKey", "E11000 duplicate key error collection: " + r.ns}
				}
			}
		}
		if r.index(spec.Lookup("name").StringValue()) < 0 {
			c.indexes = append(c.indexes, spec)
		}
	}
	return bson.D{{Key: "numIndexesBefore", Value: int32(before)}, {Key: "numIndexesAfter", Value: int32(len(c.indexes))}}, nil
}

// index is the place of an index by its name; -1 if there is none.
func (r memoryRequest) index(name string) int {
	for i, spec := range r.colls[r.ns].indexes {
		if n, _ := spec.Lookup("name").StringValueOK(); n == name {
			return i
		}
	}
	return -1
}

func (r memoryRequest) dropIndexes() (bson.D, error) {
	name, ok := r.doc.Lookup("index").StringValueOK()
	c := r.colls[r.ns]
	if !ok || c == nil {
		return nil, errors.New("that are not named, or of no collection")
	}
	if name == "*" {
		before := len(c.indexes)
		c.indexes = slices.DeleteFunc(slices.Clone(c.indexes), func(i bson.Raw) bool { return i.Lookup("name").StringValue() != "_id_" })
		return bson.D{{Key: "nIndexesWas", Value: int32(before)}}, nil
	}
	i := r.index(name)
	if i < 0 {
		return nil, &failure{27, "IndexNotFound", "index not found with name [" + name + "]"}
	}
	before := len(c.indexes)
	c.indexes = append(c.indexes[:i:i], c.indexes[i+1:]...)
	return bson.D{{Key: "nIndexesWas", Value: int32(before)}}, nil
}
