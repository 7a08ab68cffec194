package plan

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/command"
)

// Reader runs commands that read, and getMore and killCursors on the cursors that they open. Everything that planning does to a
// server goes through it.
type Reader interface {
	Read(ctx context.Context, db string, cmd bson.Raw) (bson.Raw, error)
}

// errStop ends an iteration early.
var errStop = errors.New("stop")

// iterate runs a command that returns a cursor and hands each document to each. The documents are valid until each returns.
func iterate(ctx context.Context, r Reader, db string, cmd bson.D, each func(bson.Raw) error) error {
	return read(ctx, r, db, cmd, false, func(docs bson.RawArray) error { return eachIn(docs, each) })
}

// read runs a command that returns a cursor and hands each batch to each. The documents are valid until each returns. With ahead the next batch is on its way
// meanwhile: each must not read itself then.
func read(ctx context.Context, r Reader, db string, cmd bson.D, ahead bool, each func(bson.RawArray) error) error {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return err
	}
	return readRaw(ctx, r, db, raw, ahead, each)
}

// Each runs a command that returns a cursor and hands each document to each. A document is valid until each returns.
func Each(ctx context.Context, r Reader, db string, cmd bson.Raw, each func(bson.Raw) error) error {
	return readRaw(ctx, r, db, cmd, false, func(docs bson.RawArray) error { return eachIn(docs, each) })
}

func readRaw(ctx context.Context, r Reader, db string, cmd bson.Raw, ahead bool, each func(bson.RawArray) error) error {
	reply, err := r.Read(ctx, db, cmd)
	for batch := "firstBatch"; ; batch = "nextBatch" {
		if err != nil {
			return err
		}
		id, ns, docs, err := cursorBatch(db, reply, batch)
		if err != nil {
			return fmt.Errorf("%s: %w", cmd.Index(0).Key(), err)
		}
		more := func() (bson.Raw, error) {
			raw, err := bson.Marshal(bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: ns.Collection}})
			if err != nil {
				return nil, err
			}
			return r.Read(ctx, db, raw)
		}
		if id != 0 && ahead {
			more = begin(more)
		}
		if err := each(docs); err != nil {
			if id != 0 && ahead {
				_, _ = more() // nothing may be on its way when the cursor is closed
			}
			kill(ctx, r, ns, id)
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
		if id == 0 {
			return nil
		}
		if reply, err = more(); err != nil {
			return err
		}
	}
}

// begin runs f in a goroutine of its own; the result waits for who asks, and must be asked for once: so the goroutine ends before read does.
func begin(f func() (bson.Raw, error)) func() (bson.Raw, error) {
	type result struct {
		reply bson.Raw
		err   error
	}
	c := make(chan result, 1)
	go func() {
		reply, err := f()
		c <- result{reply, err}
	}()
	return func() (bson.Raw, error) {
		r := <-c
		return r.reply, r.err
	}
}

// cursorBatch is what a reply has of a cursor: its id, the namespace that getMore must name, and the documents.
func cursorBatch(db string, reply bson.Raw, batch string) (id int64, ns command.Namespace, docs bson.RawArray, err error) {
	cursor, ok := reply.Lookup("cursor").DocumentOK()
	if !ok {
		return 0, ns, nil, errors.New("the reply has no cursor")
	}
	full, _ := cursor.Lookup("ns").StringValueOK()
	_, coll, _ := strings.Cut(full, ".") // also of names like $cmd.listCollections
	if docs, ok = cursor.Lookup(batch).ArrayOK(); !ok {
		return 0, ns, nil, errors.New("the reply has no batch")
	}
	return cursor.Lookup("id").AsInt64(), command.Namespace{DB: db, Collection: coll}, docs, nil
}

// EachIn hands each document in a cursor's reply to each, and returns the cursor's id. batch is firstBatch or nextBatch. The documents are in the
// reply's memory.
func EachIn(reply bson.Raw, batch string, each func(bson.Raw) error) (id int64, err error) {
	id, _, docs, err := cursorBatch("", reply, batch)
	if err != nil {
		return 0, err
	}
	return id, eachIn(docs, each)
}

// eachIn hands each document of an array to each.
func eachIn(docs bson.RawArray, each func(bson.Raw) error) error {
	left := rest(bson.Raw(docs))
	for len(left) > 1 {
		e, next, ok := bsoncore.ReadElement(left)
		if !ok {
			return errors.New("the reply has a batch that is not valid BSON")
		}
		doc, ok := e.Value().DocumentOK()
		if !ok {
			return errors.New("the reply has something else than documents")
		}
		if err := each(bson.Raw(doc)); err != nil {
			return err
		}
		left = next
	}
	return nil
}

// kill closes a cursor that is not read to its end. If that fails the server closes it after ten minutes.
func kill(ctx context.Context, r Reader, ns command.Namespace, id int64) {
	if id == 0 {
		return
	}
	raw, err := bson.Marshal(bson.D{{Key: "killCursors", Value: ns.Collection}, {Key: "cursors", Value: bson.A{id}}})
	if err == nil {
		_, _ = r.Read(ctx, ns.DB, raw)
	}
}

// collectionInfo is what the server tells of a collection.
type collectionInfo struct {
	exists  bool
	kind    string   // collection, view, timeseries
	options bson.Raw // of create
	uuid    string   // hex; "" if the server has none
	indexes []bson.Raw
	total   int64 // documents, from the collection's metadata
	// shardKey are the fields of the shard key; none of a collection that is not sharded.
	shardKey []string
}

// shardKey are the fields by which a collection is sharded, from the cluster's own metadata; none if it is not sharded, or if the operator may not read them.
// Source: https://www.mongodb.com/docs/manual/reference/config-database/#mongodb-data-config.collections
func shardKey(ctx context.Context, r Reader, ns command.Namespace) (fields []string, err error) {
	err = iterate(ctx, r, "config", bson.D{{Key: "find", Value: "collections"}, {Key: "filter", Value: bson.D{{Key: "_id", Value: ns.String()}}}}, func(doc bson.Raw) error {
		if dropped, _ := doc.Lookup("dropped").BooleanOK(); dropped {
			return nil
		}
		key, _ := doc.Lookup("key").DocumentOK()
		elems, err := key.Elements()
		for _, e := range elems {
			fields = append(fields, e.Key())
		}
		return err
	})
	if a, ok := r.(interface{ Answered(error) bool }); err != nil && ok && a.Answered(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look how %s is sharded: %w", ns, err)
	}
	return fields, nil
}

// collation says whether strings may be equal without being the same bytes.
func (c *collectionInfo) collation() bool {
	_, err := c.options.LookupErr("collation")
	return err == nil
}

func describe(ctx context.Context, r Reader, ns command.Namespace) (*collectionInfo, error) {
	c := &collectionInfo{options: bson.Raw{5, 0, 0, 0, 0}}
	err := iterate(ctx, r, ns.DB, bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "filter", Value: bson.D{{Key: "name", Value: ns.Collection}}}}, func(doc bson.Raw) error {
		c.exists = true
		c.kind, _ = doc.Lookup("type").StringValueOK()
		if o, ok := doc.Lookup("options").DocumentOK(); ok {
			c.options = append(bson.Raw(nil), o...)
		}
		if _, data, ok := doc.Lookup("info", "uuid").BinaryOK(); ok {
			c.uuid = hex.EncodeToString(data)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", ns, err)
	}
	if !c.exists || c.kind == "view" {
		return c, nil
	}
	err = iterate(ctx, r, ns.DB, bson.D{{Key: "listIndexes", Value: ns.Collection}}, func(doc bson.Raw) error {
		c.indexes = append(c.indexes, append(bson.Raw(nil), doc...))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the indexes of %s: %w", ns, err)
	}
	if c.total, err = countAll(ctx, r, ns); err != nil {
		return nil, err
	}
	return c, nil
}

// countAll is the number of a collection's documents from its metadata. FerretDB reads all documents for count, and counts for collStats.
func countAll(ctx context.Context, r Reader, ns command.Namespace) (int64, error) {
	if e, ok := r.(interface{ Embedded() bool }); ok && e.Embedded() {
		if n, err := statsCount(ctx, r, ns); err == nil {
			return n, nil
		} // it fails for some: then as everywhere
	}
	raw, err := bson.Marshal(bson.D{{Key: "count", Value: ns.Collection}})
	if err != nil {
		return 0, err
	}
	reply, err := r.Read(ctx, ns.DB, raw)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", ns, err)
	}
	return reply.Lookup("n").AsInt64(), nil
}

func statsCount(ctx context.Context, r Reader, ns command.Namespace) (int64, error) {
	raw, err := bson.Marshal(bson.D{{Key: "collStats", Value: ns.Collection}})
	if err != nil {
		return 0, err
	}
	reply, err := r.Read(ctx, ns.DB, raw)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", ns, err)
	}
	n, ok := reply.Lookup("count").AsInt64OK()
	if !ok {
		return 0, fmt.Errorf("count %s: collStats tells no count", ns)
	}
	return n, nil
}

// collectionSize is the uncompressed size of a collection's documents, 0 if the server does not tell.
func collectionSize(ctx context.Context, r Reader, ns command.Namespace) int64 {
	raw, err := bson.Marshal(bson.D{{Key: "collStats", Value: ns.Collection}})
	if err != nil {
		return 0
	}
	reply, err := r.Read(ctx, ns.DB, raw)
	if err != nil {
		return 0
	}
	n, _ := reply.Lookup("size").AsInt64OK()
	return n
}

// collectionNames are the ordinary collections of a database, and the views.
func collectionNames(ctx context.Context, r Reader, db string) (names, views []string, err error) {
	err = iterate(ctx, r, db, bson.D{{Key: "listCollections", Value: int32(1)}}, func(doc bson.Raw) error {
		name := doc.Lookup("name").StringValue()
		if kind, _ := doc.Lookup("type").StringValueOK(); kind == "view" {
			views = append(views, name)
		} else {
			names = append(names, name)
		}
		return nil
	})
	return names, views, err
}

// Kind is what a namespace is: collection, view, timeseries, or "" if it does not exist.
func Kind(ctx context.Context, r Reader, ns command.Namespace) (string, error) {
	info, err := describe(ctx, r, ns)
	if err != nil || !info.exists {
		return "", err
	}
	if info.kind == "" { // servers before 3.4, and FerretDB in some cases, do not say
		return "collection", nil
	}
	return info.kind, nil
}
