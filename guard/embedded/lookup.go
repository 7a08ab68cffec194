package embedded

import (
	"io"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/guard/update"
)

// FerretDB asks SQLite for one row only where a filter is {_id: …} and nothing else, and the value is a string or an ObjectID. With $in, or with any
// condition beside it, the whole table is read and decoded, for each statement: 20 to 50 ms in the demo's 1,000 devices, where a look-up takes 0.3 ms. And from
// the second statement of an update on, each takes another connection to SQLite, which stays open until the command ends: 26 ms a statement, and with 100 of
// them it hangs.
//
// So a document that a write's filter names by _id is looked up first. If it matches the rest of the filter for certain, the filter becomes {_id: …}. While
// other writes wait, that is the same document. In all other cases the filter stays as it came, and FerretDB decides. And a find of a few documents by their _id
// becomes as many look-ups.
// Source: FerretDB v1.24.2, internal/backends/sqlite/collection.go (Query), internal/handler/msg_update.go (updateDocument).

// key is an _id that FerretDB looks up.
type key string

func keyOf(v bson.RawValue) (key, bool) {
	return key(append([]byte{byte(v.Type)}, v.Value...)), v.Type == bson.TypeObjectID || v.Type == bson.TypeString
}

// filter is {_id: k}.
func (k key) filter() bson.Raw {
	return bson.Raw(bsoncore.BuildDocument(nil, bsoncore.AppendValueElement(nil, "_id", bsoncore.Value{Type: bsoncore.Type(k[0]), Data: []byte(k[1:])})))
}

// found are documents that were looked up; one that is not there is nil.
type found map[key]bson.Raw

// mostAsked are the bytes of look-ups that are sent in one go: they must have room on the way while nobody reads the answers.
const mostAsked = 32 << 10

// lookUp asks for documents of the collection that cmd is about, all at once. It returns nil if that cannot be done.
func lookUp(server io.ReadWriter, m message, cmd bson.Raw, ids []key) (found, error) {
	var asked []byte
	for _, id := range ids {
		find, err := bson.Marshal(bson.D{
			{Key: "find", Value: cmd.Index(0).Value()}, {Key: "filter", Value: id.filter()}, {Key: "limit", Value: int32(1)}, {Key: "singleBatch", Value: true}, {Key: "$db", Value: cmd.Lookup("$db")},
		})
		if err != nil || len(asked)+len(find) > mostAsked {
			return nil, nil
		}
		asked = append(asked, m.with(find)...)
	}
	if _, err := server.Write(asked); err != nil {
		return nil, err
	}
	out := make(found, len(ids))
	for _, id := range ids {
		reply, err := readMessage(server)
		if err != nil {
			return nil, err
		}
		answer, err := reply.document()
		if err != nil {
			return nil, err
		}
		doc, _ := answer.Lookup("cursor", "firstBatch", "0").DocumentOK() // none, or a refusal
		out[id] = doc
	}
	return out, nil
}

// finds are the fields that a find may have besides find and filter to be carried out as look-ups.
var finds = map[string]bool{"batchSize": true, "comment": true, "maxTimeMS": true, "lsid": true, "$db": true, "$readPreference": true, "$clusterTime": true}

// mostFound documents are looked up for one find, and not more bytes of them than a server puts into one batch.
const (
	mostFound      = 100
	mostFoundBytes = 16 << 20
)

// find has a find of a few documents by _id carried out as look-ups. They come in the order in which they were asked for, which nobody has promised.
func find(server io.ReadWriter, m message, cmd bson.Raw) (message, error) {
	ids := named(cmd)
	if ids == nil {
		return roundTrip(server, m)
	}
	docs, err := lookUp(server, m, cmd, ids)
	if err != nil {
		return nil, err
	}
	var batch bson.A
	size := 0
	for _, id := range ids {
		if doc := docs[id]; doc != nil {
			batch, size = append(batch, doc), size+len(doc)
		}
	}
	if len(batch) == 0 || size > mostFoundBytes { // a refusal says why
		return roundTrip(server, m)
	}
	db, _ := cmd.Lookup("$db").StringValueOK() // it found something there
	coll, _ := cmd.Index(0).Value().StringValueOK()
	reply, err := bson.Marshal(bson.D{
		{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: batch}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: db + "." + coll}}}, {Key: "ok", Value: 1.0},
	})
	return m.answer(reply), err
}

// named are the documents that a find asks for by $in, each once; nil if it asks for anything else, or in more than one batch.
func named(cmd bson.Raw) (ids []key) {
	elems, err := cmd.Elements()
	if err != nil {
		return nil
	}
	for i, e := range elems {
		if i > 0 && e.Key() != "filter" && !finds[e.Key()] {
			return nil
		}
	}
	filter, ok1 := cmd.Lookup("filter").DocumentOK()
	byID, ok2 := filter.Lookup("_id").DocumentOK()
	in, ok3 := byID.Lookup("$in").ArrayOK()
	values, err := in.Values()
	if !ok1 || !ok2 || !ok3 || err != nil || fields(filter) != 1 || fields(byID) != 1 || len(values) > mostFound {
		return nil
	}
	if size, given := cmd.Lookup("batchSize").AsInt64OK(); given && size <= int64(len(values)) {
		return nil
	}
	seen := map[key]bool{}
	for _, v := range values {
		id, ok := keyOf(v)
		if !ok {
			return nil
		}
		if !seen[id] {
			seen[id], ids = true, append(ids, id)
		}
	}
	return ids
}

func fields(doc bson.Raw) int {
	elems, _ := doc.Elements() // it was validated
	return len(elems)
}

// updates has the statements of an update carried out one by one.
func updates(server io.ReadWriter, m message, cmd bson.Raw) (message, error) {
	list, ok := cmd.Lookup("updates").ArrayOK()
	statements, err := list.Values()
	if !ok || err != nil || len(statements) == 0 {
		return roundTrip(server, m)
	}
	for _, s := range statements {
		if s.Type != bson.TypeEmbeddedDocument {
			return roundTrip(server, m)
		}
	}
	docs, err := before(server, m, cmd, statements)
	if err != nil {
		return nil, err
	}
	ordered, given := cmd.Lookup("ordered").BooleanOK()
	var sum total
	var last message
	for i, s := range statements {
		sent, err := lookedUp(server, m, cmd, s.Document(), docs, len(statements) == 1)
		if err != nil {
			return nil, err
		}
		if last, err = roundTrip(server, sent); err != nil || len(statements) == 1 {
			return last, err
		}
		answer, err := last.document()
		if err != nil {
			return nil, err
		}
		if i == 0 && !answer.Lookup("ok").Equal(ok1) {
			return last, nil // the command itself is refused, or its first statement: nothing was done
		}
		if failed := sum.add(i, answer); failed && (ordered || !given) {
			break
		}
	}
	return last.with(sum.reply()), nil
}

// before looks up at once what the statements of an update name. It returns nil if one of them may change what another has named.
func before(server io.ReadWriter, m message, cmd bson.Raw, statements []bson.RawValue) (found, error) {
	seen := map[key]bool{}
	var ids []key
	for _, s := range statements {
		q, _ := s.Document().Lookup("q").DocumentOK()
		id, ok := keyOf(q.Lookup("_id"))
		if !ok || seen[id] {
			return nil, nil
		}
		seen[id] = true
		if conditional(s.Document(), "q") {
			ids = append(ids, id)
		}
	}
	if len(ids) < 2 {
		return nil, nil
	}
	return lookUp(server, m, cmd, ids)
}

// lookedUp is the command with one of its statements, in a form that is looked up if it can have one.
func lookedUp(server io.ReadWriter, m message, cmd, statement bson.Raw, docs found, only bool) (message, error) {
	short, err := byID(server, m, cmd, statement, "q", docs)
	switch {
	case err != nil:
		return nil, err
	case short == nil && only:
		return m, nil // as it came
	case short == nil:
		short = statement
	}
	at, list := bsoncore.AppendArrayStart(nil)
	list = bsoncore.AppendDocumentElement(list, "0", short)
	list, err = bsoncore.AppendArrayEnd(list, at)
	return m.with(replaced(cmd, "updates", bson.RawValue{Type: bson.TypeArray, Value: list})), err
}

// findAndModify is carried out in a form that is looked up if it can have one.
func findAndModify(server io.ReadWriter, m message, cmd bson.Raw) (message, error) {
	short, err := byID(server, m, cmd, cmd, "query", nil)
	if err != nil {
		return nil, err
	}
	if short != nil {
		m = m.with(short)
	}
	return roundTrip(server, m)
}

// conditional says whether a statement's filter, under name, has an _id that is looked up and something beside it.
func conditional(statement bson.Raw, name string) bool {
	filter, ok := statement.Lookup(name).DocumentOK()
	_, plain := keyOf(filter.Lookup("_id"))
	_, collated := statement.Lookup("collation").DocumentOK()
	return ok && plain && !collated && fields(filter) > 1
}

// byID is a statement whose filter, under name, is its _id alone, if the document with that _id matches the whole filter; nil if that is not certain. The document
// is looked up if it is not among docs.
func byID(server io.ReadWriter, m message, cmd, statement bson.Raw, name string, docs found) (bson.Raw, error) {
	if !conditional(statement, name) {
		return nil, nil
	}
	filter := statement.Lookup(name).Document()
	id, _ := keyOf(filter.Lookup("_id"))
	if docs == nil {
		var err error
		if docs, err = lookUp(server, m, cmd, []key{id}); err != nil {
			return nil, err
		}
	}
	if doc := docs[id]; doc == nil || update.Match(filter, doc) != update.Yes {
		return nil, nil
	}
	return replaced(statement, name, bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: id.filter()}), nil
}

// replaced is doc with another value under key.
func replaced(doc bson.Raw, key string, v bson.RawValue) bson.Raw {
	var out []byte
	elems, _ := doc.Elements() // it was validated
	for _, e := range elems {
		if e.Key() == key {
			out = bsoncore.AppendValueElement(out, key, bsoncore.Value{Type: bsoncore.Type(v.Type), Data: v.Value})
			continue
		}
		out = append(out, e...)
	}
	return bsoncore.BuildDocument(nil, out)
}

// total is what the statements of an update came to, in the words of its reply.
type total struct {
	n, modified      int64
	upserted, failed bson.A
}

// add counts what came of statement i, and says whether it failed.
func (t *total) add(i int, answer bson.Raw) (failed bool) {
	n, _ := answer.Lookup("n").AsInt64OK()
	modified, _ := answer.Lookup("nModified").AsInt64OK()
	t.n, t.modified = t.n+n, t.modified+modified
	t.upserted = append(t.upserted, numbered(answer.Lookup("upserted"), i)...)
	errs := numbered(answer.Lookup("writeErrors"), i)
	if !answer.Lookup("ok").Equal(ok1) {
		errs = bson.A{bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: answer.Lookup("code")}, {Key: "errmsg", Value: answer.Lookup("errmsg")}}}
	}
	t.failed = append(t.failed, errs...)
	return len(errs) > 0
}

var ok1 = bson.RawValue{Type: bson.TypeDouble, Value: bsoncore.AppendDouble(nil, 1)}

// numbered are the documents of a reply's list, with the number of the statement that they are about.
func numbered(list bson.RawValue, i int) (out bson.A) {
	arr, ok := list.ArrayOK()
	values, err := arr.Values()
	if !ok || err != nil {
		return nil
	}
	for _, v := range values {
		if doc, ok := v.DocumentOK(); ok {
			out = append(out, replaced(doc, "index", bson.RawValue{Type: bson.TypeInt32, Value: bsoncore.AppendInt32(nil, int32(i))}))
		}
	}
	return out
}

func (t *total) reply() bson.Raw {
	doc := bson.D{{Key: "n", Value: int32(t.n)}}
	if len(t.upserted) > 0 {
		doc = append(doc, bson.E{Key: "upserted", Value: t.upserted})
	}
	doc = append(doc, bson.E{Key: "nModified", Value: int32(t.modified)})
	if len(t.failed) > 0 {
		doc = append(doc, bson.E{Key: "writeErrors", Value: t.failed})
	}
	raw, err := bson.Marshal(append(doc, bson.E{Key: "ok", Value: 1.0}))
	if err != nil {
		panic("embedded: internal error: a reply made of numbers and of replies cannot be encoded: " + err.Error())
	}
	return raw
}
