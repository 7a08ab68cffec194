package wiretest

import (
	"net"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// statementsOf says under which name a write has its statements.
var statementsOf = map[string]string{"insert": "documents", "update": "updates", "delete": "deletes"}

// batch carries a write out statement by statement: each is sent to the server behind as a command of its own, and the answers are put together to
// one. That way it can end in the middle, and it is known what each statement did.
type batch struct {
	double  *Double
	server  net.Conn
	cmd     Command
	most    int         // so many statements are carried out at most; negative: all
	history *history    // of a retryable write; or nil
	stopped func() bool // says between two statements whether there must be no more; or nil

	cut bool // it ended in the middle

	n, modified int64
	upserted    bson.A
	writeErrors bson.A
	retried     bson.A
}

// carryOut is the answer to the whole, if it was not cut. m is the message that the command came in.
func (b *batch) carryOut(m message) (message, error) {
	key := statementsOf[b.cmd.Name]
	list, ok := b.cmd.Doc.Lookup(key).ArrayOK()
	if !ok {
		return b.double.forward(b.server, m, b.cmd.Doc, b.cmd.DB) // it will say what it thinks of that
	}
	statements, err := list.Values()
	if err != nil {
		return message{}, err
	}
	ordered, isSet := b.cmd.Doc.Lookup("ordered").BooleanOK()
	ordered = ordered || !isSet
	rest := without(b.cmd.Doc, key)
	for i, s := range statements {
		if i == b.most || b.stopped != nil && b.stopped() {
			b.cut = true
			return message{}, nil
		}
		r, seen := b.history.did(int32(i))
		if seen {
			b.retried = append(b.retried, int32(i))
		} else if r, err = b.one(m, rest, key, s); err != nil {
			return message{}, err
		}
		if r.refused && len(statements) == 1 {
			return m.reply(r.reply), nil // what is wrong is wrong with the command
		}
		b.history.remember(int32(i), r)
		b.add(int32(i), r)
		if r.err != nil && ordered {
			break
		}
	}
	b.cut = b.most >= 0 || b.stopped != nil && b.stopped()
	return m.reply(encode(b.reply())), nil
}

// one carries out one statement.
func (b *batch) one(m message, rest bson.Raw, key string, statement bson.RawValue) (result, error) {
	if doc, ok := statement.DocumentOK(); ok && b.history != nil && b.cmd.Name != "insert" {
		if e := forbidden(doc); e != nil {
			return result{err: bson.D{{Key: "code", Value: e.code}, {Key: "errmsg", Value: e.message}}}, nil
		}
	}
	single := with(rest, bson.D{{Key: key, Value: bson.A{statement}}})
	reply, err := b.double.forward(b.server, m.withDocument(single), single, b.cmd.DB)
	if err != nil {
		return result{}, err
	}
	doc, err := reply.answered()
	return resultOf(b.cmd.Name, doc), err
}

// result is what one statement did.
type result struct {
	n, modified int64
	upserted    bson.RawValue // an _id, or of type 0
	err         bson.D        // an element of writeErrors without its index; nil: none
	changed     bool          // something was
	refused     bool          // the command was, not the statement
	reply       bson.Raw      // the whole
}

func resultOf(command string, reply bson.Raw) result {
	r := result{reply: reply}
	r.n, _ = reply.Lookup("n").AsInt64OK()
	r.modified, _ = reply.Lookup("nModified").AsInt64OK()
	r.upserted = reply.Lookup("upserted", "0", "_id")
	r.changed = r.n > 0 && (command != "update" || r.modified > 0 || r.upserted.Type != 0)
	if !succeeded(reply) {
		r.refused, r.changed = true, false
		r.err = bson.D{{Key: "code", Value: reply.Lookup("code")}, {Key: "errmsg", Value: reply.Lookup("errmsg")}}
	} else if doc, ok := reply.Lookup("writeErrors", "0").DocumentOK(); ok {
		elems, _ := without(doc, "index").Elements() // a part of what was validated
		for _, e := range elems {
			r.err = append(r.err, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	return r
}

func (b *batch) add(index int32, r result) {
	b.n += r.n
	b.modified += r.modified
	if r.upserted.Type != 0 {
		b.upserted = append(b.upserted, bson.D{{Key: "index", Value: index}, {Key: "_id", Value: r.upserted}})
	}
	if r.err != nil {
		b.writeErrors = append(b.writeErrors, append(bson.D{{Key: "index", Value: index}}, r.err...))
	}
}

// reply is what a server says of the statements together.
// Source: https://www.mongodb.com/docs/manual/reference/command/update/#output
func (b *batch) reply() bson.D {
	out := bson.D{{Key: "n", Value: int32(b.n)}}
	if b.upserted != nil {
		out = append(out, bson.E{Key: "upserted", Value: b.upserted})
	}
	if b.cmd.Name == "update" {
		out = append(out, bson.E{Key: "nModified", Value: int32(b.modified)})
	}
	if b.writeErrors != nil {
		out = append(out, bson.E{Key: "writeErrors", Value: b.writeErrors})
	}
	if b.retried != nil {
		out = append(out, bson.E{Key: "retriedStmtIds", Value: b.retried})
	}
	return append(out, bson.E{Key: "ok", Value: 1.0})
}
