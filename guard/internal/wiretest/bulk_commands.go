package wiretest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// bulkCommands are what a Bulk knows.
var bulkCommands = map[string]func(s *session, r request) (bulkReply, error){
	"hello": helloOfBulk, "isMaster": helloOfBulk, "ismaster": helloOfBulk,
	"ping": fixed(nothing), "endSessions": fixed(nothing), "refreshSessions": fixed(nothing),
	"buildInfo": fixed(func(*Bulk) bson.D {
		return bson.D{{Key: "version", Value: "8.0.4"}, {Key: "versionArray", Value: bson.A{8, 0, 4, 0}}, {Key: "maxBsonObjectSize", Value: int32(16 << 20)}}
	}),
	"hostInfo": fixed(func(*Bulk) bson.D {
		return bson.D{{Key: "system", Value: bson.D{{Key: "hostname", Value: "bulk"}}}}
	}),
	"serverStatus": fixed(func(b *Bulk) bson.D {
		return bson.D{{Key: "host", Value: "bulk"}, {Key: "version", Value: "8.0.4"}, {Key: "process", Value: "mongod"}, {Key: "uptime", Value: time.Since(b.started).Seconds()}, {Key: "localTime", Value: bson.NewDateTimeFromTime(time.Now())}}
	}),
	"connectionStatus": fixed(func(*Bulk) bson.D {
		return bson.D{{Key: "authInfo", Value: bson.D{{Key: "authenticatedUsers", Value: bson.A{}}, {Key: "authenticatedUserRoles", Value: bson.A{}}}}}
	}),
	"listDatabases": fixed(func(b *Bulk) bson.D {
		return bson.D{{Key: "databases", Value: bson.A{
			bson.D{{Key: "name", Value: b.cfg.DB}, {Key: "sizeOnDisk", Value: int64(b.cfg.Documents) * int64(b.cfg.Size)}, {Key: "empty", Value: false}},
			bson.D{{Key: "name", Value: "respect"}, {Key: "sizeOnDisk", Value: int64(4096)}, {Key: "empty", Value: false}},
		}}}
	}),
	"replSetGetStatus": statusOfBulk,
	"listCollections":  listCollections, "listIndexes": listIndexes, "collStats": collStats, "count": countBulk, "aggregate": aggregateBulk,
	"find": findBulk, "getMore": getMoreBulk, "killCursors": killCursors,
	"insert": writing(insertBulk), "update": writing(updateBulk), "delete": writing(deleteBulk), "findAndModify": writing(findAndModifyBulk),
}

// fixed is a command whose answer does not depend on its fields.
func fixed(f func(b *Bulk) bson.D) func(*session, request) (bulkReply, error) {
	return func(s *session, _ request) (bulkReply, error) { return answerOf(f(s.b)) }
}

func nothing(*Bulk) bson.D { return nil }

func helloOfBulk(s *session, r request) (bulkReply, error) {
	return bulkReply{doc: s.b.hello(bson.Raw(r.doc))}, nil
}

func statusOfBulk(s *session, _ request) (bulkReply, error) {
	b := s.b
	if b.cfg.SetName == "" {
		return refusal(&failure{76, "NoReplicationEnabled", "not running with --replSet"})
	}
	b.mu.RLock()
	lag := b.lag
	b.mu.RUnlock()
	now := time.Now()
	member := func(id int32, name, state string, number int32, lag time.Duration) bson.D {
		at := now.Add(-lag)
		return bson.D{
			{Key: "_id", Value: id}, {Key: "name", Value: name}, {Key: "health", Value: 1.0}, {Key: "state", Value: number}, {Key: "stateStr", Value: state},
			{Key: "optime", Value: bson.D{{Key: "ts", Value: bson.Timestamp{T: uint32(at.Unix()), I: 1}}, {Key: "t", Value: int64(1)}}},
			{Key: "optimeDate", Value: bson.NewDateTimeFromTime(at.Truncate(time.Second))}, {Key: "lastAppliedWallTime", Value: bson.NewDateTimeFromTime(at)},
			{Key: "self", Value: number == 1},
		}
	}
	members := bson.A{member(0, b.Address(), "PRIMARY", 1, 0)}
	if lag > 0 {
		members = append(members, member(1, "secondary.invalid:27017", "SECONDARY", 2, lag))
	}
	return answerOf(bson.D{{Key: "set", Value: b.cfg.SetName}, {Key: "date", Value: bson.NewDateTimeFromTime(now)}, {Key: "myState", Value: int32(1)}, {Key: "term", Value: int64(1)}, {Key: "members", Value: members}})
}

// batchOf is a cursor that is used up with its first batch.
func batchOf(ns string, docs ...bson.D) (bulkReply, error) {
	list := bson.A{}
	for _, d := range docs {
		list = append(list, d)
	}
	return answerOf(bson.D{{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: list}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: ns}}}})
}

// ours says whether a request is about the large collection.
func (s *session) ours(r request) bool { return r.db == s.b.cfg.DB && r.coll == s.b.cfg.Coll }

func listCollections(s *session, r request) (bulkReply, error) {
	ns := r.db + ".$cmd.listCollections"
	name := map[string]string{s.b.cfg.DB: s.b.cfg.Coll, "respect": "environment"}[r.db]
	wanted, has := r.doc.Lookup("filter", "name").StringValueOK()
	if name == "" || has && wanted != name {
		return batchOf(ns)
	}
	return batchOf(ns, bson.D{
		{Key: "name", Value: name}, {Key: "type", Value: "collection"}, {Key: "options", Value: bson.D{}}, {Key: "info", Value: bson.D{{Key: "readOnly", Value: false}}},
		{Key: "idIndex", Value: idIndex},
	})
}

var idIndex = bson.D{{Key: "v", Value: int32(2)}, {Key: "key", Value: bson.D{{Key: "_id", Value: int32(1)}}}, {Key: "name", Value: "_id_"}}

func listIndexes(s *session, r request) (bulkReply, error) {
	if !s.ours(r) {
		return refusal(&failure{26, "NamespaceNotFound", "ns does not exist: " + r.db + "." + r.coll})
	}
	return batchOf(s.b.ns, idIndex)
}

// stats of the collection.
func (s *session) stats() bson.D {
	n := int64(s.b.Count())
	size := n * int64(len(s.b.docs.template))
	return bson.D{{Key: "size", Value: size}, {Key: "count", Value: n}, {Key: "avgObjSize", Value: int64(len(s.b.docs.template))}, {Key: "storageSize", Value: size}, {Key: "capped", Value: false}, {Key: "nindexes", Value: int32(1)}}
}

func collStats(s *session, r request) (bulkReply, error) {
	if !s.ours(r) {
		return answerOf(bson.D{{Key: "ns", Value: r.db + "." + r.coll}, {Key: "size", Value: int32(0)}, {Key: "count", Value: int32(0)}, {Key: "nindexes", Value: int32(0)}})
	}
	return answerOf(append(bson.D{{Key: "ns", Value: s.b.ns}}, s.stats()...))
}

// countOf is how many documents a filter selects. filter may be nil.
func (s *session) countOf(filter []byte) (int, *failure) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if len(filter) <= 5 {
		return s.b.docs.count, nil
	}
	sel, err := s.b.docs.selectionOf(filter)
	if err != nil {
		return 0, err
	}
	n := 0
	s.b.docs.each(sel, func(key, []byte) bool { n++; return true })
	s.count += n
	return n, nil
}

func countBulk(s *session, r request) (bulkReply, error) {
	if !s.ours(r) {
		return answerOf(bson.D{{Key: "n", Value: int32(0)}})
	}
	filter, _ := r.doc.Lookup("query").DocumentOK()
	n, err := s.countOf(filter)
	if err != nil {
		return refusal(err)
	}
	s.count++
	return answerOf(bson.D{{Key: "n", Value: int32(n)}})
}

func aggregateBulk(s *session, r request) (bulkReply, error) {
	pipeline, _ := r.doc.Lookup("pipeline").ArrayOK()
	var filter []byte
	var out bson.D
	err := elements(pipeline, func(_ []byte, v bsoncore.Value) *failure {
		stage, _ := v.DocumentOK()
		e, err := stage.IndexErr(0)
		if err != nil {
			return unknown("an empty stage")
		}
		switch name := e.Key(); name {
		case "$match":
			filter, _ = e.Value().DocumentOK()
		case "$collStats":
			st := s.stats()
			out = bson.D{{Key: "ns", Value: s.b.ns}, {Key: "storageStats", Value: st}, {Key: "count", Value: st[1].Value}}
		case "$count", "$group":
			field, isText := e.Value().StringValueOK()
			if one, ok := whole(stage.Lookup("$group", "n", "$sum")); ok && one == 1 {
				field, isText = "n", true
			}
			if !isText {
				return unknown("this " + name)
			}
			n, err := s.countOf(filter)
			if err != nil {
				return err
			}
			s.count++
			out = bson.D{{Key: "_id", Value: int32(1)}, {Key: field, Value: int32(n)}}
		default:
			return unknown("the stage " + name)
		}
		return nil
	})
	switch {
	case err != nil:
		return refusal(err)
	case !s.ours(r):
		return batchOf(r.db + "." + r.coll)
	case out == nil:
		return refusal(unknown("this pipeline"))
	}
	return batchOf(s.b.ns, out)
}

func findBulk(s *session, r request) (bulkReply, error) {
	filter, _ := r.doc.Lookup("filter").DocumentOK()
	if r.db == "respect" && r.coll == "environment" {
		if id, _ := filter.Lookup("_id").StringValueOK(); id == "environment" {
			return batchOf("respect.environment", s.b.cfg.Marker)
		}
	}
	if !s.ours(r) {
		return batchOf(r.db + "." + r.coll)
	}
	cur := &cursor{left: -1}
	count, single := 101, false // https://www.mongodb.com/docs/manual/tutorial/iterate-a-cursor/#cursor-batches
	err := elements(r.doc, func(name []byte, v bsoncore.Value) *failure {
		n, isNumber := whole(v)
		switch string(name) {
		case "limit":
			if isNumber && n > 0 {
				cur.left = int(n)
			}
		case "batchSize":
			count = int(n)
		case "singleBatch":
			single, _ = v.BooleanOK()
		case "projection":
			doc, _ := v.DocumentOK()
			id, _ := whole(doc.Lookup("_id"))
			if yes, _ := doc.Lookup("_id").BooleanOK(); id != 1 && !yes && len(doc) > 5 || fields(doc) > 1 {
				return unknown("this projection")
			}
			cur.idsOnly = len(doc) > 5
		case "sort":
			doc, _ := v.DocumentOK()
			id, _ := whole(doc.Lookup("_id"))
			natural, _ := whole(doc.Lookup("$natural"))
			if len(doc) > 5 && id != 1 && natural != 1 || fields(doc) > 1 {
				return unknown("this sort")
			}
		case "skip":
			if n != 0 {
				return unknown("skip")
			}
		}
		return nil
	})
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if err == nil {
		cur.selection, err = s.b.docs.selectionOf(orEmpty(filter))
	}
	if err != nil {
		return refusal(err)
	}
	cur.literal = bytes.Clone(cur.literal) // the message is overwritten by the next
	if cur.left >= 0 && single {
		count = max(count, cur.left)
	}
	return s.batch(r, cur, 0, "firstBatch", count, single)
}

func orEmpty(doc []byte) []byte {
	if len(doc) == 0 {
		return []byte{5, 0, 0, 0, 0}
	}
	return doc
}

func fields(doc []byte) (n int) {
	_ = elements(orEmpty(doc), func([]byte, bsoncore.Value) *failure { n++; return nil })
	return n
}

func getMoreBulk(s *session, r request) (bulkReply, error) {
	id, _ := whole(r.doc.Lookup("getMore"))
	count := math.MaxInt
	if n, ok := whole(r.doc.Lookup("batchSize")); ok && n > 0 {
		count = int(n)
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	cur := s.b.cursors[id]
	if cur == nil {
		return refusal(&failure{43, "CursorNotFound", fmt.Sprintf("cursor id %d not found", id)})
	}
	return s.batch(r, cur, id, "nextBatch", count, false)
}

// batch is the next one of a cursor. It needs the Bulk's mu.
func (s *session) batch(r request, cur *cursor, id int64, name string, count int, single bool) (bulkReply, error) {
	var more []byte
	if s.b.cfg.SetName != "" {
		more = elementsOf(encode(s.b.times()))
	}
	docs := s.b.docs
	ready := name == "nextBatch" && cur.all && cur.literal == nil && !cur.idsOnly && len(docs.replaced) == 0 && cur.at < len(docs.state)
	if ready && s.scan == nil {
		s.scan = newScan(docs, math.MaxInt)
	}
	var out []byte
	var end, n, array int
	var over bool
	if ready {
		out, array = s.scan.buf, s.scan.array
		end, n, over = s.scan.fill(docs, cur, count)
	} else {
		out = cursorHead(appendHeader(s.out[:0], 0), name)
		array = len(out) - 4
		out, n, over = docs.appendBatch(out, cur, count)
		end = len(out)
	}
	s.count += max(1, n)
	if over || single {
		delete(s.b.cursors, id)
		id = 0
	} else if id == 0 {
		s.b.next++
		id = s.b.next
		s.b.cursors[id] = cur
	}
	return bulkReply{ready: func() error {
		// What lies behind the last document of a scan is put back for the next.
		behind := slices.Clone(out[end:min(len(out), end+1024)])
		b := cursorTail(out[:end], headerSize, array, id, s.b.ns, more)
		binary.LittleEndian.PutUint32(b[8:], uint32(r.id))
		err := s.send(b)
		if ready {
			copy(s.scan.buf[end:], behind)
		} else {
			s.out = b
		}
		return err
	}}, nil
}

func killCursors(s *session, r request) (bulkReply, error) {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	killed, missing := bson.A{}, bson.A{}
	list, _ := r.doc.Lookup("cursors").ArrayOK()
	err := elements(orEmpty(list), func(_ []byte, v bsoncore.Value) *failure {
		id, _ := whole(v)
		if s.b.cursors[id] == nil {
			missing = append(missing, id)
		} else {
			killed = append(killed, id)
		}
		delete(s.b.cursors, id)
		return nil
	})
	if err != nil {
		return refusal(err)
	}
	return answerOf(bson.D{{Key: "cursorsKilled", Value: killed}, {Key: "cursorsNotFound", Value: missing}, {Key: "cursorsAlive", Value: bson.A{}}, {Key: "cursorsUnknown", Value: bson.A{}}})
}
