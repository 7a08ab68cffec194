package guard

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
)

// Wrote is what the writes of a statement did that no plan was made of, as the server's replies say it.
type Wrote struct {
	Commands                   int
	Inserted, Updated, Deleted int64
}

// String is what was done in words; "" if no document was changed.
func (w Wrote) String() string {
	var parts []string
	for _, n := range []struct {
		n    int64
		done string
	}{{w.Deleted, "deleted"}, {w.Updated, "updated"}, {w.Inserted, "inserted"}} {
		if n.n > 0 {
			parts = append(parts, plan.Number(n.n)+" "+n.done)
		}
	}
	return strings.Join(parts, ", ")
}

// Wrote is what the statement has written without a plan.
func (s *Statement) Wrote() Wrote { return s.wrote }

// add counts one reply.
func (w *Wrote) add(c *command.Command, reply bson.Raw) {
	w.Commands++
	n := func(keys ...string) int64 {
		n, _ := reply.Lookup(keys...).AsInt64OK() // a server that does not say it has done none
		return n
	}
	switch c.Name() {
	case "insert":
		w.Inserted += n("n")
	case "delete":
		w.Deleted += n("n")
	case "update":
		w.Updated += n("nModified")
		w.Inserted += elements(reply, "upserted")
	case "bulkWrite":
		w.Inserted += n("nInserted") + n("nUpserted")
		w.Updated += n("nModified")
		w.Deleted += n("nDeleted")
	case "findAndModify", "findandmodify":
		if remove, _ := c.Lookup("remove"); truth(remove) {
			w.Deleted += n("lastErrorObject", "n")
			return
		}
		if existing, ok := reply.Lookup("lastErrorObject", "updatedExisting").BooleanOK(); ok && existing {
			w.Updated += n("lastErrorObject", "n")
		} else {
			w.Inserted += n("lastErrorObject", "n")
		}
	}
}

// elements is the length of an array in a reply.
func elements(reply bson.Raw, key string) int64 {
	arr, ok := reply.Lookup(key).ArrayOK()
	if !ok {
		return 0
	}
	values, err := arr.Values()
	if err != nil {
		return 0
	}
	return int64(len(values))
}

func truth(v bson.RawValue) bool {
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	f, ok := v.AsFloat64OK()
	return ok && f != 0
}

// without says how many writes without a plan there were.
func (s *Statement) without() string {
	if len(s.sent) == 1 {
		return s.sent[0] + ", without a plan"
	}
	return fmt.Sprintf("%d writes without a plan, the last of them %s", len(s.sent), s.sent[len(s.sent)-1])
}
