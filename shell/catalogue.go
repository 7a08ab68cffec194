package shell

import (
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/shell/complete"
	"respect/shell/js"
)

// catalogue is what completion knows. Names of databases and collections are fetched in the background, with reads; a key never waits for them.
type catalogue struct {
	d       *guard.Deployment
	refresh func() // the menu can show more

	mu       sync.Mutex
	db       string
	fixed    complete.Catalogue
	names    []string
	colls    map[string][]string
	fetching bool
	at       time.Time
	stop     context.CancelFunc
	ctx      context.Context
	running  sync.WaitGroup
}

const catalogueAge = 20 * time.Second

func newCatalogue(d *guard.Deployment, db string, refresh func()) *catalogue {
	c := &catalogue{d: d, db: db, refresh: refresh, colls: map[string][]string{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.fixed = complete.Catalogue{
		Methods:   map[string][]complete.Suggestion{},
		Arguments: map[string][]complete.Suggestion{"show": {{Text: "dbs", Help: "databases"}, {Text: "collections", Help: "collections of this database"}}, "help": {{Text: "collection"}, {Text: "cursor"}, {Text: "database"}}, "changes": {{Text: "show", Help: "one change"}}},
	}
	for _, w := range words() {
		c.fixed.Words = append(c.fixed.Words, complete.Suggestion{Text: w.name, Help: w.help})
	}
	for _, m := range js.Methods() {
		s := complete.Suggestion{Text: m.Name, Help: m.Help}
		if m.Object == "" {
			c.fixed.Globals = append(c.fixed.Globals, s)
		} else {
			c.fixed.Methods[m.Object] = append(c.fixed.Methods[m.Object], s)
		}
	}
	return c
}

// close ends the background reads.
func (c *catalogue) close() {
	c.stop()
	c.running.Wait()
}

func (c *catalogue) use(db string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.db, c.at = db, time.Time{}
}

// changed makes the next look fetch the names again.
func (c *catalogue) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = time.Time{}
}

// complete answers at once, with what is known, and fetches what is old.
func (c *catalogue) complete(text string) []complete.Suggestion {
	c.mu.Lock()
	cat := c.fixed
	cat.Databases, cat.Collections = c.names, c.colls[c.db]
	db := c.db
	if !c.fetching && time.Since(c.at) > catalogueAge && c.ctx.Err() == nil {
		c.fetching = true
		c.running.Go(func() { c.fetch(db) })
	}
	c.mu.Unlock()
	return complete.Complete(text, cat)
}

// fetch runs in its own goroutine, which close waits for.
func (c *catalogue) fetch(db string) {
	names := c.list("admin", bson.D{{Key: "listDatabases", Value: int32(1)}, {Key: "nameOnly", Value: true}}, "databases")
	colls := c.list(db, bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "nameOnly", Value: true}, {Key: "authorizedCollections", Value: true}}, "cursor", "firstBatch")
	c.mu.Lock()
	c.fetching, c.at = false, time.Now()
	if names != nil {
		c.names = names
	}
	if colls != nil {
		c.colls[db] = colls
	}
	c.mu.Unlock()
	if c.ctx.Err() == nil {
		c.refresh()
	}
}

// list reads names; what fails is only not suggested.
func (c *catalogue) list(db string, cmd bson.D, path ...string) []string {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil
	}
	reply, err := c.d.Read(c.ctx, db, raw)
	if err != nil {
		return nil
	}
	arr, ok := reply.Lookup(path...).ArrayOK()
	if !ok {
		return nil
	}
	values, err := arr.Values()
	if err != nil {
		return nil
	}
	out := []string{}
	for _, v := range values {
		if doc, ok := v.DocumentOK(); ok {
			if name, ok := doc.Lookup("name").StringValueOK(); ok {
				out = append(out, name)
			}
		}
	}
	return out
}
