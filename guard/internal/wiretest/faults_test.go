package wiretest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// once is a fault of the first command of a name.
func once(name string, f Fault) func(Command) Fault {
	happened := false
	return func(c Command) Fault {
		if happened || c.Name != name {
			return nil
		}
		happened = true
		return f
	}
}

// TestFaults: what a client sees of each, and what was done.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fault Fault
		code  int32 // of the answer; -1: there is none
		did   []int32
	}{
		{"none", None, 0, []int32{1, 2, 3, 4}},
		{"nil", nil, 0, []int32{1, 2, 3, 4}},
		{"lose the reply", LoseReply, -1, []int32{1, 2, 3, 4}},
		{"drop", Drop, -1, nil},
		{"an error", ServerError(91, "ShutdownInProgress", "bye"), 91, nil},
		{"a delay", Delay(time.Millisecond, None), 0, []int32{1, 2, 3, 4}},
		{"a delay, then an error", Delay(time.Millisecond, ServerError(91, "ShutdownInProgress", "bye")), 91, nil},
		{"closed in the middle", CloseAfterStatements(2), -1, []int32{1, 2}},
		{"an error in the middle", AfterStatements(3, ServerError(91, "ShutdownInProgress", "bye")), 91, []int32{1, 2, 3}},
		{"closed behind the last", CloseAfterStatements(4), -1, []int32{1, 2, 3, 4}},
		{"closed far behind the last", CloseAfterStatements(40), -1, []int32{1, 2, 3, 4}},
		{"closed before the first", CloseAfterStatements(0), -1, nil},
		{"a step-down of what is no set", SteppingDown(StepDown{}), 11602, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, db := backend(t)
			d := NewDouble(t, address, false)
			d.OnCommand(once("insert", tt.fault))
			reply, err := dial(t, d.Address(), db).try(inserting("c", 1, 2, 3, 4))
			if (err != nil) != (tt.code == -1) || err == nil && code(reply) != tt.code {
				t.Errorf("answered %v, %v, want code %d", reply, err, tt.code)
			}
			if got := ids(t, address, db, "c"); !slices.Equal(got, tt.did) {
				t.Errorf("did %v, want %v", got, tt.did)
			}
			if sent := d.Commands(); len(sent) != 1 || sent[0].Name != "insert" || len(sent[0].Doc.Lookup("documents").Array()) < 40 {
				t.Errorf("recorded %v", sent)
			}
		})
	}
}

// TestHang: the command has no answer, whether it was carried out or not, others have theirs, and the double forgets it when its client does.
func TestHang(t *testing.T) {
	t.Parallel()
	for fault, did := range map[Fault][]int32{Hang: nil, HangReply: {1}} {
		address, db := backend(t)
		d := NewDouble(t, address, false)
		d.OnCommand(once("insert", fault))
		p := dial(t, d.Address(), db)
		if err := p.send(inserting("c", 1)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the command arrives", func() bool { return len(d.Commands()) == 1 })
		dial(t, d.Address(), db).run(bson.D{{Key: "ping", Value: 1}})
		eventually(t, "what it does is done", func() bool { return slices.Equal(ids(t, address, db, "c"), did) })
		if err := p.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := readMessage(p); err == nil {
			t.Error("it was answered")
		}
		_ = p.Close()
		eventually(t, "the connection is forgotten", func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			for c := range d.clients {
				if c.n == 1 {
					return false
				}
			}
			return true
		})
	}
}

// TestDelay: others are served meanwhile, and what is delayed is carried out although its client has gone.
func TestDelay(t *testing.T) {
	t.Parallel()
	address, db := backend(t)
	d := NewDouble(t, address, false)
	d.OnCommand(once("insert", Delay(time.Second, None)))
	p := dial(t, d.Address(), db)
	if err := p.send(inserting("c", 1)); err != nil {
		t.Fatal(err)
	}
	for len(d.Commands()) == 0 {
		time.Sleep(time.Millisecond)
	}
	dial(t, d.Address(), db).run(bson.D{{Key: "ping", Value: 1}})
	if got := ids(t, address, db, "c"); got != nil {
		t.Errorf("another command waited until %v was there", got)
	}
	_ = p.Close()
	for start := time.Now(); len(ids(t, address, db, "c")) == 0; time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatal("it was not carried out")
		}
	}
}

// TestWriteConcernError: the write is done, and the answer says both.
func TestWriteConcernError(t *testing.T) {
	t.Parallel()
	address, db := backend(t)
	d := NewDouble(t, address, false)
	d.OnCommand(once("insert", WriteConcernTimeout))
	reply := dial(t, d.Address(), db).run(inserting("c", 1))
	e := reply.Lookup("writeConcernError").Document()
	if n, _ := reply.Lookup("n").AsInt64OK(); n != 1 || code(reply) != 0 || code(e) != 64 || e.Lookup("codeName").StringValue() != "WriteConcernTimeout" || !e.Lookup("errInfo", "wtimeout").Boolean() {
		t.Errorf("%v", reply)
	}
	if got := ids(t, address, db, "c"); len(got) != 1 {
		t.Errorf("did %v", got)
	}
}

// TestStatementByStatement: a batch that is taken apart is answered as one that is not.
func TestStatementByStatement(t *testing.T) {
	t.Parallel()
	up := func(id int32, upsert bool) bson.D {
		return bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: id}}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "k", Value: int32(7)}}}}}, {Key: "upsert", Value: upsert}}
	}
	for name, cmd := range map[string]bson.D{
		"insert":                       inserting("c", 11, 12),
		"insert, with one that exists": inserting("c", 11, 1, 12),
		"insert, unordered":            append(inserting("c", 11, 1, 12), bson.E{Key: "ordered", Value: false}),
		"update":                       {{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{up(1, false), up(2, false), up(99, false), up(98, true)}}},
		"update to the same":           {{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{up(1, false), up(1, false)}}},
		"delete":                       {{Key: "delete", Value: "c"}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 1}}}, {Key: "limit", Value: 1}}, bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: 77}}}, {Key: "limit", Value: 1}}}}},
		"with a mistake":               {{Key: "update", Value: "c"}, {Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: 1}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, whole := backend(t)
			_, apart := backend(t)
			d := NewDouble(t, address, false)
			d.OnCommand(func(Command) Fault { return nil })
			var got [2]bson.Raw
			var left [2][]int32
			for i, db := range []string{whole, apart} {
				p := dial(t, d.Address(), db)
				p.run(inserting("c", 1, 2, 3))
				if i == 0 {
					got[i] = p.run(cmd)
				} else {
					b := batch{double: d, cmd: Command{DB: db, Name: cmd[0].Key, Doc: encode(append(cmd[:len(cmd):len(cmd)], bson.E{Key: "$db", Value: db}))}, most: -1, server: dial(t, address, db)}
					m, err := b.carryOut(message{op: opMsg})
					if err != nil {
						t.Fatal(err)
					}
					if got[i], err = m.document(); err != nil {
						t.Fatal(err)
					}
				}
				left[i] = ids(t, address, db, "c")
			}
			// The embedded server says that every upsert was that of statement 0.
			if at, ok := got[1].Lookup("upserted", "0", "index").AsInt64OK(); ok != (name == "update") || ok && at != 3 {
				t.Errorf("upserted by %d: %v", at, got[1])
			}
			for _, field := range []string{"n", "nModified", "writeErrors", "ok", "code", "errmsg"} {
				one, two := got[0].Lookup(field), got[1].Lookup(field)
				if x, ok := one.AsInt64OK(); ok {
					if y, _ := two.AsInt64OK(); x == y {
						continue
					}
				}
				if !one.Equal(two) && !sameErrors(one, two, whole, apart) {
					t.Errorf("%s: apart %v, whole %v", field, two, one)
				}
			}
			if !slices.Equal(left[0], left[1]) {
				t.Errorf("left apart %v, whole %v", left[1], left[0])
			}
		})
	}
}

// sameErrors compares texts in which the name of the database occurs.
func sameErrors(a, b bson.RawValue, dbA, dbB string) bool {
	return strings.ReplaceAll(a.String(), dbA+".", "") == strings.ReplaceAll(b.String(), dbB+".", "")
}

// eventually waits for something that happens elsewhere.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for start := time.Now(); !so(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
