package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// What a preview says that is not in the documents: what the operator looked at before, what was done before, and where the backup would be.

// looked is what the last find with a filter in a namespace found.
type looked struct {
	filter    bson.Raw
	documents int64
	cursor    int64 // that has more; 0 if all was seen
	at        time.Time
}

// lookKept is how long what somebody looked at is what he has in mind.
const lookKept = 30 * time.Minute

// see notes what a read showed to the operator.
func (g *Gate) see(d *Deployment, c *command.Command, reply bson.Raw) {
	if len(c.Sources()) != 1 {
		return
	}
	key := d.Name() + "\x00" + c.Sources()[0].String()
	switch c.Name() {
	case "find":
		filter, _ := c.Lookup("filter")
		doc, _ := filter.DocumentOK()
		some := slices.ContainsFunc([]string{"limit", "skip", "singleBatch"}, func(option string) bool { _, has := c.Lookup(option); return has })
		if some || len(doc) <= 5 {
			delete(g.looked, key) // of everything, or of some: nothing to compare with
			return
		}
		l := &looked{filter: doc, at: g.cfg.Now()}
		l.cursor, _ = plan.EachIn(reply, "firstBatch", func(bson.Raw) error { l.documents++; return nil })
		g.looked[key] = l
	case "getMore":
		if l := g.looked[key]; l != nil && slices.Contains(c.Cursors(), l.cursor) {
			l.cursor, _ = plan.EachIn(reply, "nextBatch", func(bson.Raw) error { l.documents++; return nil })
		}
	case "aggregate": // countDocuments
		if filter, n, ok := counted(c, reply); ok {
			g.looked[key] = &looked{filter: filter, documents: n, at: g.cfg.Now()}
		}
	case "count":
		query, _ := c.Lookup("query")
		if doc, _ := query.DocumentOK(); len(doc) > 5 {
			n, _ := reply.Lookup("n").AsInt64OK()
			g.looked[key] = &looked{filter: doc, documents: n, at: g.cfg.Now()}
		}
	}
}

// counted is what an aggregate counted that matches and counts, and nothing else, as countDocuments does.
func counted(c *command.Command, reply bson.Raw) (filter bson.Raw, n int64, ok bool) {
	pipeline, _ := c.Lookup("pipeline")
	arr, _ := pipeline.ArrayOK()
	stages, err := arr.Values()
	if err != nil || len(stages) != 2 {
		return nil, 0, false
	}
	group, _ := stages[1].DocumentOK()
	one, isSum := group.Lookup("$group", "n", "$sum").AsInt64OK()
	if filter = filterOf(c); len(filter) <= 5 || !isSum || one != 1 {
		return nil, 0, false
	}
	_, err = plan.EachIn(reply, "firstBatch", func(doc bson.Raw) error { n, _ = doc.Lookup("n").AsInt64OK(); return nil })
	return filter, n, err == nil
}

// lookedAt is how many documents of a namespace the operator saw last, with which filter; ok is false if he did not look, or not at all of them.
func (g *Gate) lookedAt(d *Deployment) func(ns string) (int64, bson.Raw, bool) {
	return func(ns string) (int64, bson.Raw, bool) {
		l := g.looked[d.Name()+"\x00"+ns]
		if l == nil || l.cursor != 0 || g.cfg.Now().Sub(l.at) > lookKept {
			return 0, nil, false
		}
		return l.documents, l.filter, true
	}
}

// dealtWith forgets what was looked at in the namespaces of a plan that was carried out: what comes next is about something else.
func (g *Gate) dealtWith(d *Deployment, p *plan.Plan) {
	for _, c := range p.Counts() {
		delete(g.looked, d.Name()+"\x00"+c.Namespace)
	}
}

// volatileFact says that the backup would not outlive this container or boot.
func (g *Gate) volatileFact() []plan.Fact {
	kind := durable.Volatile(g.cfg.StateDir)
	if kind == "" {
		return nil
	}
	return []plan.Fact{{
		Code: plan.VolatileBackup, Severity: plan.Danger, Data: map[string]any{"directory": g.cfg.StateDir, "kind": kind},
		Text: fmt.Sprintf("the backup would be in %s, on %s: it goes when this container or machine ends; --state-dir names another place", g.cfg.StateDir, kind),
	}}
}

// recent changes are looked at for one that was made of the same commands.
const (
	recentChanges = 200
	recentTime    = 24 * time.Hour
)

// madeBefore finds the last change of the same commands on the same deployment that still stands.
func (g *Gate) madeBefore(d *Deployment) func(typed string) (string, time.Time, bool) {
	return func(typed string) (string, time.Time, bool) {
		entries, err := os.ReadDir(filepath.Join(g.cfg.StateDir, "changes"))
		if err != nil {
			return "", time.Time{}, false // nothing was changed yet, or the fact is not said
		}
		slices.Reverse(entries)
		for _, e := range entries[:min(len(entries), recentChanges)] {
			h, t, err := plan.Ends(g.changeDir(e.Name()))
			if err != nil || t != typed || h.Deployment != d.Name() || h.Preview || g.cfg.Now().Sub(h.Created) > recentTime {
				continue
			}
			if g.stands(h.Change) {
				return h.Change, h.Created, true
			}
		}
		return "", time.Time{}, false
	}
}

// stands says whether a change was applied and not taken back since.
func (g *Gate) stands(change string) bool {
	record, err := journal.Indexed(g.cfg.StateDir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(record.Changes, func(c *journal.Change) bool {
		return c.ID == change && (c.Status == replay.StatusApplied || c.Status == replay.StatusPartly)
	})
}

// textOf is a command as the record has it: of long lists the first elements, of long values their length.
func textOf(cmd bson.Raw) string {
	const whole, most = 4 << 10, 2000
	if len(cmd) <= whole {
		return shorten(replay.WithoutCredentials(cmd.String()), most)
	}
	elems, err := cmd.Elements()
	if err != nil {
		return fmt.Sprintf("%d bytes", len(cmd))
	}
	out := bson.D{}
	for _, e := range elems {
		v := any(e.Value())
		if arr, ok := e.Value().ArrayOK(); ok {
			v = firstElements(arr)
		} else if len(e.Value().Value) > most {
			v = fmt.Sprintf("… %d bytes", len(e.Value().Value))
		}
		out = append(out, bson.E{Key: e.Key(), Value: v})
	}
	b, err := bson.MarshalExtJSON(out, false, false)
	if err != nil {
		return fmt.Sprintf("%d bytes", len(cmd))
	}
	return shorten(replay.WithoutCredentials(string(b)), most)
}

// firstElements are the first two of an array, and how many it has.
func firstElements(arr bson.RawArray) bson.A {
	out := bson.A{}
	for i := range 2 {
		v, err := arr.IndexErr(uint(i))
		if err != nil {
			break
		}
		if len(v.Value) > 1000 {
			out = append(out, fmt.Sprintf("… %d bytes", len(v.Value)))
		} else {
			out = append(out, v)
		}
	}
	return append(out, fmt.Sprintf("… %d bytes in all", len(arr)))
}
