package wiretest

import (
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func lsid(n byte) bson.E {
	return bson.E{Key: "lsid", Value: bson.D{{Key: "id", Value: bson.Binary{Subtype: bson.TypeBinaryUUID, Data: slices.Repeat([]byte{n}, 16)}}}}
}

func txnNumber(n int64) bson.E { return bson.E{Key: "txnNumber", Value: n} }

// retriedIDs are an answer's retriedStmtIds.
func retriedIDs(reply bson.Raw) (out []int32) {
	list, ok := reply.Lookup("retriedStmtIds").ArrayOK()
	if !ok {
		return nil
	}
	values, _ := list.Values()
	for _, v := range values {
		out = append(out, v.Int32())
	}
	return out
}

// TestRetry: what is sent again with the same numbers is not done again, whichever member is primary by then, and is answered as it was, with the
// statements named that had been done.
func TestRetry(t *testing.T) {
	t.Parallel()
	set := func(id int32, more ...bson.E) bson.D {
		return append(bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: id}}}, {Key: "u", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "k", Value: int32(1)}}}}}}, more...)
	}
	del := func(id int32) bson.D {
		return bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: id}}}, {Key: "limit", Value: int32(1)}}
	}
	for name, tt := range map[string]struct {
		cmd     bson.D
		n       int64
		retried []int32
		left    []int32 // the fields k
	}{
		"insert":      {inserting("c", 11, 12), 2, []int32{0, 1}, []int32{-1, -1, -1, -1, -1}},
		"update":      {incrementing("c", 1, 2, 3), 3, []int32{0, 1, 2}, []int32{1, 1, 1}},
		"upsert":      {bson.D{{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{set(1), set(50, bson.E{Key: "upsert", Value: true})}}}, 2, []int32{0, 1}, []int32{1, -1, -1, 1}},
		"delete":      {bson.D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{del(1), del(3)}}}, 2, []int32{0, 1}, []int32{-1}},
		"one of two":  {incrementing("c", 1, 77), 1, []int32{0}, []int32{1, -1, -1}}, // what matched nothing is not remembered
		"no document": {incrementing("c", 77), 0, nil, []int32{-1, -1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address, db := replicaSet(t, 2)
			dial(t, s.Primary().Address(), db).run(inserting("c", 1, 2, 3))
			cmd := append(tt.cmd, lsid(1), txnNumber(5))
			first := dial(t, s.Primary().Address(), db).run(cmd)
			s.StepDown(StepDown{To: s.Members()[1]})
			second := dial(t, s.Primary().Address(), db).run(cmd)
			for i, r := range []bson.Raw{first, second} {
				if n, _ := r.Lookup("n").AsInt64OK(); n != tt.n || !succeeded(r) || r.Lookup("opTime").Type == 0 || r.Lookup("electionId").Type == 0 {
					t.Errorf("answer %d: %v, want n %d", i, r, tt.n)
				}
			}
			if retriedIDs(first) != nil || !slices.Equal(retriedIDs(second), tt.retried) {
				t.Errorf("retried first %v, then %v, want %v", retriedIDs(first), retriedIDs(second), tt.retried)
			}
			if a, b := first.Lookup("nModified"), second.Lookup("nModified"); !a.Equal(b) {
				t.Errorf("modified first %v, then %v", a, b)
			}
			if a, b := first.Lookup("upserted"), second.Lookup("upserted"); !a.Equal(b) {
				t.Errorf("upserted first %v, then %v", a, b)
			}
			if got := values(t, address, db, "c"); !slices.Equal(got, tt.left) {
				t.Errorf("left %v, want %v", got, tt.left)
			}
		})
	}
}

// TestRetryFindAndModify: the document that was returned is returned again.
func TestRetryFindAndModify(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 2)
	p := dial(t, s.Primary().Address(), db)
	p.run(incrementing("c", 1)) // matches nothing yet
	p.run(inserting("c", 1))
	cmd := bson.D{{Key: "findAndModify", Value: "c"}, {Key: "query", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "update", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "k", Value: int32(1)}}}}}, {Key: "new", Value: true}, lsid(1), txnNumber(1)}
	first, second := p.run(cmd), p.run(cmd)
	if !first.Lookup("value").Equal(second.Lookup("value")) || first.Lookup("value", "k").Int32() != 1 || first.Lookup("retriedStmtId").Type != 0 || second.Lookup("retriedStmtId").Int32() != 0 || !first.Lookup("lastErrorObject").Equal(second.Lookup("lastErrorObject")) {
		t.Errorf("first %v, then %v", first, second)
	}
	if got := values(t, address, db, "c"); !slices.Equal(got, []int32{1}) {
		t.Errorf("left %v", got)
	}
}

// TestRetryTheRest: of a batch that ended in the middle the rest is done when it is sent again, even if the batch has grown.
func TestRetryTheRest(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(s *ReplicaSet) Fault{
		"closed":        func(*ReplicaSet) Fault { return CloseAfterStatements(2) },
		"stepping down": func(s *ReplicaSet) Fault { return AfterStatements(2, SteppingDown(StepDown{To: s.Members()[1]})) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, address, db := replicaSet(t, 2)
			p := dial(t, s.Primary().Address(), db)
			p.run(inserting("c", 1, 2, 3, 4, 5))
			s.OnCommand(once("update", fault(s)))
			_, _ = p.try(append(incrementing("c", 1, 2, 3, 4), lsid(1), txnNumber(1)))
			if got := values(t, address, db, "c"); !slices.Equal(got, []int32{1, 1, -1, -1, -1}) {
				t.Fatalf("cut off, left %v", got)
			}
			r := dial(t, s.Primary().Address(), db).run(append(incrementing("c", 1, 2, 3, 4, 5), lsid(1), txnNumber(1)))
			if n, _ := r.Lookup("nModified").AsInt64OK(); n != 5 || !slices.Equal(retriedIDs(r), []int32{0, 1}) {
				t.Errorf("the rest: %v", r)
			}
			if got := values(t, address, db, "c"); !slices.Equal(got, []int32{1, 1, 1, 1, 1}) {
				t.Errorf("left %v", got)
			}
		})
	}
}

// TestRetryAfterAnError: a statement that failed is tried again, and an ordered batch ends there as before.
func TestRetryAfterAnError(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 1)
	p := dial(t, s.Primary().Address(), db)
	p.run(inserting("c", 2))
	cmd := append(inserting("c", 1, 2, 3), lsid(1), txnNumber(1))
	if r := p.run(cmd); r.Lookup("writeErrors", "0", "index").Int32() != 1 || code(r.Lookup("writeErrors", "0").Document()) != 11000 {
		t.Errorf("%v", r)
	}
	p.run(bson.D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 2}}}, {Key: "limit", Value: 1}}}}})
	if r := p.run(cmd); r.Lookup("writeErrors").Type != 0 || !slices.Equal(retriedIDs(r), []int32{0}) {
		t.Errorf("again: %v", r)
	}
	if got := ids(t, address, db, "c"); !slices.Equal(got, []int32{1, 2, 3}) {
		t.Errorf("left %v", got)
	}
}

// TestSessionsAndNumbers: a session has one number at a time, sessions do not know each other, and what is forgotten is done again.
func TestSessionsAndNumbers(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 1)
	p := dial(t, s.Primary().Address(), db)
	p.run(inserting("c", 1))
	inc := func(e ...bson.E) bson.Raw { return p.run(append(incrementing("c", 1), e...)) }
	inc(lsid(1), txnNumber(5))
	inc(lsid(2), txnNumber(5))
	inc(lsid(1), txnNumber(6))
	if r := inc(lsid(1), txnNumber(5)); code(r) != 225 || !strings.Contains(r.Lookup("errmsg").StringValue(), "because a newer retryable write with txnNumber 6") {
		t.Errorf("a number before: %v", r)
	}
	inc(lsid(2), txnNumber(5)) // the same
	if got := values(t, address, db, "c"); !slices.Equal(got, []int32{3}) {
		t.Errorf("left %v", got)
	}
	s.ForgetSessions()
	inc(lsid(2), txnNumber(5))
	if got := values(t, address, db, "c"); !slices.Equal(got, []int32{4}) {
		t.Errorf("left %v", got)
	}
}

// TestWhoMayNotRetry: what a real server refuses, and how.
func TestWhoMayNotRetry(t *testing.T) {
	t.Parallel()
	s, address, db := replicaSet(t, 1)
	lone := NewDouble(t, address, false)
	lone.PoseAsStandalone()
	plain := NewDouble(t, address, false)
	multi := bson.D{{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "k", Value: 1}}}}}, {Key: "multi", Value: true}}}}}
	all := bson.D{{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: 0}}}}}
	set, alone := s.Primary().Address(), lone.Address()
	for _, tt := range []struct {
		name    string
		address string
		cmd     bson.D
		code    int32
		says    string
	}{
		{"a number at a standalone", alone, append(inserting("c", 1), lsid(1), txnNumber(1)), 20, "Transaction numbers are only allowed on a replica set member or mongos"},
		{"a session at a standalone", alone, append(inserting("c", 2), lsid(1)), 0, ""},
		{"a number at the plain double", plain.Address(), append(inserting("c", 3), lsid(1), txnNumber(1)), 0, ""},
		{"a number without a session", set, append(inserting("c", 4), txnNumber(1)), 72, "requires a session ID"},
		{"a number that is no long", set, append(inserting("c", 4), lsid(1), bson.E{Key: "txnNumber", Value: int32(1)}), 14, "expected type 'long'"},
		{"a negative number", set, append(inserting("c", 4), lsid(1), txnNumber(-1)), 72, "negative"},
		{"a read with a number", set, bson.D{{Key: "find", Value: "c"}, lsid(1), txnNumber(1)}, 50768, "not a retryable write command"},
		{"many documents with one statement", set, append(multi, lsid(1), txnNumber(1)), -72, "multi=true"},
		{"all documents with one statement", set, append(all, lsid(1), txnNumber(2)), -72, "limit=0"},
		{"many documents without a number", set, append(multi, lsid(1)), 0, ""},
	} {
		r := dial(t, tt.address, db).run(tt.cmd)
		got, says := code(r), r.Lookup("errmsg")
		if e, ok := r.Lookup("writeErrors", "0").DocumentOK(); ok {
			got, says = -code(e), e.Lookup("errmsg")
		}
		if text, _ := says.StringValueOK(); got != tt.code || !strings.Contains(text, tt.says) {
			t.Errorf("%s: %v, want code %d, %q", tt.name, r, tt.code, tt.says)
		}
	}
}
