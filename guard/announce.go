package guard

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/environment"
	"respect/guard/plan"
)

const (
	// largeScan is from how many documents on a read of a whole collection is announced.
	largeScan = 100_000
	// indexesKnown is how long it is believed which indexes a collection has.
	indexesKnown = time.Minute
)

// announce says before a read on production that it will read a whole large collection, since no index begins with a field of its filter. It asks nothing, and
// what it cannot find out it leaves unsaid. The embedded server is never large.
func (s *Statement) announce(ctx context.Context, d *Deployment, c *command.Command) {
	g := s.gate
	filter := filterOf(c)
	if g.cfg.Operator == nil || !g.cfg.Operator.Present() || d.software.embedded || d.env.Effective() != environment.Production || len(filter) <= 5 || len(c.Sources()) != 1 {
		return
	}
	ns := c.Sources()[0]
	known := d.shapes[ns.String()]
	if now := g.cfg.Now(); known == nil || now.Sub(known.at) > indexesKnown || now.Before(known.at) {
		shape, err := plan.ShapeOf(ctx, planReader{d}, ns)
		if err != nil {
			shape = plan.Shape{} // of which nothing is said
		}
		known = &knownShape{shape, now}
		d.shapes[ns.String()] = known
	}
	if known.Documents >= largeScan && !known.Serves(filter) {
		g.cfg.Operator.Notice(fmt.Sprintf("no index of %s begins with a field of this filter: the server reads all %s; Ctrl-C stops", ns, plan.Plural(known.Documents, "document")))
	}
}

// knownShape is what was found out of a collection, and when.
type knownShape struct {
	plan.Shape
	at time.Time
}

// filterOf is what a read selects by; nil if it reads in another way.
func filterOf(c *command.Command) bson.Raw {
	key := map[string]string{"find": "filter", "count": "query", "distinct": "query"}[c.Name()]
	v, _ := c.Lookup(key)
	doc, _ := v.DocumentOK()
	if c.Name() == "aggregate" {
		pipeline, _ := c.Lookup("pipeline")
		if arr, ok := pipeline.ArrayOK(); ok {
			if first, err := arr.IndexErr(0); err == nil {
				stage, _ := first.DocumentOK()
				doc, _ = stage.Lookup("$match").DocumentOK()
			}
		}
	}
	return doc
}
