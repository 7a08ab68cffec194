package wiretest

import (
	"bytes"
	"encoding/binary"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// writing is a write with what surrounds each: the lock, the namespace, and the answer to one that was sent before.
func writing(do func(s *session, r request) (reply bson.D, statements int, err *failure)) func(*session, request) (bulkReply, error) {
	return func(s *session, r request) (bulkReply, error) {
		if !s.ours(r) {
			return refusal(unknown("writes to " + r.db + "." + r.coll))
		}
		number, lerr := r.doc.LookupErr("txnNumber")
		var session string
		if lerr == nil {
			var err *failure
			if session, _, _, err = transaction(Command{Name: r.name, Doc: bson.Raw(r.doc)}, s.b.cfg.SetName != ""); err != nil {
				return refusal(err)
			}
		}
		s.b.mu.Lock()
		defer s.b.mu.Unlock()
		if lerr == nil {
			if last, ok := s.b.last[session]; ok && last.txn >= number.Int64() {
				if last.txn > number.Int64() {
					return refusal(&failure{225, "TransactionTooOld", "Retryable write is prohibited on session because a newer retryable write has already started on this session."})
				}
				return bulkReply{doc: last.again(r.name)}, nil
			}
		}
		d, statements, err := do(s, r)
		if err != nil {
			return refusal(err)
		}
		s.count += max(1, statements)
		reply, _ := answerOf(d) // does not fail
		if lerr == nil {
			s.b.last[session] = retry{number.Int64(), reply.doc, statements}
		}
		return reply, nil
	}
}

// again is the answer to what was sent before.
func (r retry) again(command string) bson.Raw {
	if command == "findAndModify" {
		return retried(r.reply)
	}
	ids := bson.A{}
	for i := range r.statements {
		ids = append(ids, int32(i))
	}
	return with(r.reply, bson.D{{Key: "retriedStmtIds", Value: ids}})
}

// statement is one of an update, or a findAndModify.
type statement struct {
	filter, update []byte
	multi, upsert  bool
}

// updateBulk carries out an update. A statement that it does not know refuses the command, and those before it are done.
func updateBulk(s *session, r request) (bson.D, int, *failure) {
	list, _ := r.doc.Lookup("updates").ArrayOK()
	var n, modified, statements int
	err := elements(orEmpty(list), func(_ []byte, v bsoncore.Value) *failure {
		doc, _ := v.DocumentOK()
		st, err := statementOf(doc)
		if err != nil {
			return err
		}
		sel, err := s.b.docs.selectionOf(orEmpty(st.filter))
		if err != nil {
			return err
		}
		matched := 0
		s.b.docs.each(sel, func(k key, doc []byte) bool {
			matched++
			var changed bool
			if changed, err = s.b.docs.update(k, doc, st.update); changed {
				modified++
			}
			return err == nil && st.multi
		})
		if matched == 0 && st.upsert {
			return unknown("an upsert that inserts")
		}
		n += matched
		statements += max(1, matched)
		return err
	})
	return bson.D{{Key: "n", Value: int32(n)}, {Key: "nModified", Value: int32(modified)}}, statements, err
}

func statementOf(doc []byte) (st statement, err *failure) {
	err = elements(orEmpty(doc), func(name []byte, v bsoncore.Value) *failure {
		switch string(name) {
		case "q":
			st.filter, _ = v.DocumentOK()
		case "u":
			var ok bool
			if st.update, ok = v.DocumentOK(); !ok {
				return unknown("updates by a pipeline")
			}
		case "multi":
			st.multi, _ = v.BooleanOK()
		case "upsert":
			st.upsert, _ = v.BooleanOK()
		case "collation", "hint":
		default:
			return unknown("the field " + string(name) + " of an update")
		}
		return nil
	})
	return st, err
}

// update changes one document, which is doc now.
func (c *collection) update(k key, doc, update []byte) (changed bool, err *failure) {
	first, rest, ok := bsoncore.ReadElement(update[4:])
	if !ok || !bytes.HasPrefix(first.KeyBytes(), []byte("$")) {
		return c.replace(k, doc, update)
	}
	arg, _ := first.Value().DocumentOK()
	field, lerr := arg.IndexErr(0)
	if lerr != nil || fields(arg) != 1 || len(rest) != 1 || field.Key() != "n" || field.Value().Type != bsoncore.TypeInt32 {
		return false, unknown("an update other than $set or $inc of n by an int32")
	}
	value := field.Value().Int32()
	at := -1
	if e, lerr := bsoncore.Document(doc).LookupErr("n"); lerr == nil && e.Type == bsoncore.TypeInt32 {
		at = valueAt(doc, "n")
	}
	switch op := first.Key(); {
	case at < 0:
		return false, unknown("a document without an int32 in n")
	case op == "$inc":
		value += int32(binary.LittleEndian.Uint32(doc[at:]))
	case op != "$set":
		return false, unknown(op)
	}
	if value == int32(binary.LittleEndian.Uint32(doc[at:])) {
		return false, nil
	}
	if k.id == "" && c.state[k.index] == there {
		c.n[k.index] = value
		c.changes++
		return true, nil
	}
	binary.LittleEndian.PutUint32(doc[at:], uint32(value))
	c.put(k, doc)
	return true, nil
}

// replace puts another document in the place of doc, with its _id.
func (c *collection) replace(k key, doc, by []byte) (bool, *failure) {
	id := bsoncore.Document(doc).Lookup("_id")
	if theirs, err := bsoncore.Document(by).LookupErr("_id"); err != nil {
		by = withElements(encode(bson.D{{Key: "_id", Value: bson.RawValue{Type: bson.Type(id.Type), Value: id.Data}}}), elementsOf(by))
	} else if c.keyOf(theirs) != k {
		return false, &failure{66, "ImmutableField", "After applying the update, the (immutable) field '_id' was found to have been altered"}
	}
	if bytes.Equal(doc, by) {
		return false, nil
	}
	c.put(k, by)
	return true, nil
}

func deleteBulk(s *session, r request) (bson.D, int, *failure) {
	list, _ := r.doc.Lookup("deletes").ArrayOK()
	n, statements := 0, 0
	err := elements(orEmpty(list), func(_ []byte, v bsoncore.Value) *failure {
		doc, _ := v.DocumentOK()
		filter, _ := doc.Lookup("q").DocumentOK()
		limit, _ := whole(doc.Lookup("limit"))
		sel, err := s.b.docs.selectionOf(orEmpty(filter))
		if err != nil {
			return err
		}
		matched := 0
		s.b.docs.each(sel, func(k key, _ []byte) bool {
			s.b.docs.remove(k)
			matched++
			return limit == 0
		})
		n += matched
		statements += max(1, matched)
		return nil
	})
	return bson.D{{Key: "n", Value: int32(n)}}, statements, err
}

func insertBulk(s *session, r request) (bson.D, int, *failure) {
	list, _ := r.doc.Lookup("documents").ArrayOK()
	ordered, isSet := r.doc.Lookup("ordered").BooleanOK()
	var n, index int
	var failed bson.A
	err := elements(orEmpty(list), func(_ []byte, v bsoncore.Value) *failure {
		defer func() { index++ }()
		if len(failed) > 0 && (ordered || !isSet) {
			return nil
		}
		doc, _ := v.DocumentOK()
		id, err := doc.LookupErr("_id")
		if err != nil {
			return unknown("documents without an _id")
		}
		k := s.b.docs.keyOf(id)
		if s.b.docs.document(k, nil) != nil {
			failed = append(failed, bson.D{{Key: "index", Value: int32(index)}, {Key: "code", Value: int32(11000)}, {Key: "errmsg", Value: "E11000 duplicate key error collection: " + s.b.ns + " index: _id_ dup key: { _id: " + id.String() + " }"}})
			return nil
		}
		s.b.docs.put(k, doc)
		n++
		return nil
	})
	out := bson.D{{Key: "n", Value: int32(n)}}
	if failed != nil {
		out = append(out, bson.E{Key: "writeErrors", Value: failed})
	}
	return out, index, err
}

func findAndModifyBulk(s *session, r request) (bson.D, int, *failure) {
	filter, _ := r.doc.Lookup("query").DocumentOK()
	remove, _ := r.doc.Lookup("remove").BooleanOK()
	after, _ := r.doc.Lookup("new").BooleanOK()
	upsert, _ := r.doc.Lookup("upsert").BooleanOK()
	update, isUpdate := r.doc.Lookup("update").DocumentOK()
	if upsert || !remove && !isUpdate || len(r.doc.Lookup("fields").Data) > 5 {
		return nil, 0, unknown("this findAndModify")
	}
	c := s.b.docs
	sel, err := c.selectionOf(orEmpty(filter))
	if err != nil {
		return nil, 0, err
	}
	n := 0
	value := bson.RawValue{Type: bson.TypeNull}
	c.each(sel, func(k key, doc []byte) bool {
		n++
		was := bytes.Clone(doc)
		if remove {
			c.remove(k)
		} else if _, err = c.update(k, doc, update); err != nil {
			return false
		}
		value = bson.RawValue{Type: bson.TypeEmbeddedDocument, Value: was}
		if after && !remove {
			value.Value = c.document(k, nil)
		}
		return false
	})
	last := bson.D{{Key: "n", Value: int32(n)}}
	if !remove {
		last = append(last, bson.E{Key: "updatedExisting", Value: n > 0})
	}
	return bson.D{{Key: "lastErrorObject", Value: last}, {Key: "value", Value: value}}, 1, err
}
