package js

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// refuses answers as a server does in which 1 is there already, in the collection of unique ids.
func refuses(_ string, cmd bson.Raw) (bson.D, error) {
	docs := elements(cmd.Lookup("documents"))
	ordered, isBool := cmd.Lookup("ordered").BooleanOK()
	failed, n := bson.A{}, int32(0)
	for i, d := range docs {
		if id, _ := doc(d).Lookup("_id").AsInt64OK(); id == 1 {
			failed = append(failed, bson.D{{Key: "index", Value: int32(i)}, {Key: "code", Value: int32(11000)}, {Key: "errmsg", Value: "E11000 duplicate key error"}})
			if ordered || !isBool {
				break
			}
			continue
		}
		n++
	}
	if len(failed) == 0 {
		return nil, nil
	}
	reply, err := bson.Marshal(bson.D{{Key: "n", Value: n}, {Key: "writeErrors", Value: failed}, {Key: "ok", Value: 1.0}})
	if err != nil {
		return nil, err
	}
	return nil, &ServerError{Code: 11000, Name: "DuplicateKey", Message: "MongoServerError[DuplicateKey]: E11000 duplicate key error\nnote: as shown", Text: "E11000 duplicate key error", Reply: reply}
}

// What a server refuses is thrown with mongosh's class and fields.
func TestWriteErrors(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{
		`try { db.c.insertOne({_id: 1}) } catch (e) { [e.name, e.code, e.message, e.index, e.errmsg, e.errorResponse.code, e instanceof Error].join('|') }`: "MongoServerError|11000|E11000 duplicate key error|0|E11000 duplicate key error|11000|true",
		`try { db.c.insertMany([{_id: 1}, {_id: 50}, {_id: 51}], {ordered: false}) } catch (e) { [e.name, e.code, e.message, e.insertedCount, e.result.insertedCount, e.writeErrors.length, e.writeErrors[0].index, e.writeErrors[0].errmsg, Object.keys(e.insertedIds).join('+')].join('|') }`://
		"MongoBulkWriteError|11000|E11000 duplicate key error|2|2|1|0|E11000 duplicate key error|1+2",
		`try { db.c.insertMany([{_id: 80}, {_id: 1}, {_id: 81}]) } catch (e) { [e.name, e.writeErrors.length, e.writeErrors[0].index, e.result.insertedCount].join() }`:                                                                "MongoBulkWriteError,1,1,?",
		`try { db.c.bulkWrite([{insertOne: {document: {_id: 60}}}, {insertOne: {document: {_id: 1}}}, {insertOne: {document: {_id: 61}}}], {ordered: false}) } catch (e) { [e.name, e.writeErrors[0].index, e.insertedCount].join() }`: "MongoBulkWriteError,1,2",
		`try { db.c.bulkWrite([{deleteOne: {filter: {}}}, {insertOne: {document: {_id: 1}}}, {deleteOne: {filter: {}}}]) } catch (e) { [e.name, e.writeErrors[0].index].join() }`:                                                      "MongoBulkWriteError,1",
		`let n = 0; for (const _id of [1, 2, 1, 3]) try { db.c.insertOne({_id}); n++ } catch (e) { if (e.code !== 11000) throw e }; n`:                                                                                                 "2",
		`db.runCommand({insert: 'c', documents: [{_id: 1}]}).writeErrors[0].code`:                                                                                                                                                      "11000",
		`const b = db.c.initializeUnorderedBulkOp(); b.insert({_id: 1}); b.insert({_id: 2}); try { b.execute() } catch (e) { e.name + e.insertedCount }`:                                                                               "MongoBulkWriteError1",
	} {
		want = strings.Replace(want, "?", "1", 1)
		if _, got, err := eval(t, &fake{answer: refuses}, js); err != nil || got != want {
			t.Errorf("%s\n %q %v, want %q", js, got, err, want)
		}
	}
	for js, want := range map[string]string{
		`db.c.insertOne({_id: 1})`:                                                   "Uncaught MongoServerError[DuplicateKey]: E11000 duplicate key error\n  note: as shown (test:1:15)",
		`db.c.insertMany([{_id: 2}, {_id: 1}])`:                                      "Uncaught MongoBulkWriteError[DuplicateKey]: E11000 duplicate key error\n  note: as shown (test:1:16)",
		`try { db.c.insertOne({_id: 1}) } catch (e) { e.message = 'mine'; throw e }`: "Uncaught MongoServerError: mine (test:1:15)",
	} {
		if _, _, err := eval(t, &fake{answer: refuses}, js); err == nil || strings.SplitN(err.Error(), " (test", 2)[0] != strings.SplitN(want, " (test", 2)[0] {
			t.Errorf("%s\n %v, want %q", js, err, want)
		}
	}
	f := &fake{answer: refuses}
	if _, _, err := eval(t, f, `db.c.bulkWrite([{insertOne: {document: {_id: 1}}}, {deleteOne: {filter: {}}}])`); err == nil || len(f.commands) != 1 {
		t.Errorf("%v, and sent on: %v", err, f.commands)
	}
	f = &fake{answer: refuses}
	if _, _, err := eval(t, f, `db.c.bulkWrite([{insertOne: {document: {_id: 1}}}, {deleteOne: {filter: {}}}], {ordered: false})`); err == nil || len(f.commands) != 2 {
		t.Errorf("%v, and did not send on: %v", err, f.commands)
	}
}
