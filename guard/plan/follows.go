package plan

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// A script, or a bulkWrite, that is cut into several plans: each is asked about on its own, and the first question says what comes behind it.

// follows is what comes behind a plan.
type follows struct {
	part, of int
	sure     bool // of is not only what it looks like
	then     []string
}

const (
	// mostFollowing statements are looked at.
	mostFollowing = 20
	// mostIDs of a statement are compared with those of the others.
	mostIDs = 1000
)

// Follows notes that this is one of several plans, the part-th, and which statements come behind it. What those select is read as it is now, before this plan is
// carried out: so how many parts there are is what it looks like.
func (b *Builder) Follows(ctx context.Context, part int, rest []Pending) error {
	f := &follows{part: part, of: part, sure: len(rest) == 0}
	b.follows = f
	if len(rest) == 0 {
		return nil
	}
	f.of++
	start := b.now()
	seen := map[string]idSet{} // of the part that is counted
	var groups []group
	for i, p := range rest {
		w := p.write()
		n, counted := int64(0), false
		if known := i < mostFollowing && b.now().Sub(start) < extraTime; known && w.Op != command.Insert {
			ids, all, err := b.selects(ctx, w)
			if err != nil {
				return err
			}
			ns := w.NS.String()
			for id := range ids {
				if _, again := seen[ns][id]; again {
					f.of, seen = f.of+1, map[string]idSet{}
					break
				}
			}
			if seen[ns] == nil {
				seen[ns] = idSet{}
			}
			for id := range ids {
				seen[ns][id] = 1
			}
			n, counted = int64(len(ids)), all
			if !all && w.Multi {
				if n, counted, err = b.countUpTo(ctx, w, w.Filter); err != nil {
					return err
				}
			}
		}
		groups = grouped(groups, w, n, counted)
	}
	const most = 6
	for i, g := range groups {
		if i == most {
			f.then = append(f.then, fmt.Sprintf("and %d more", len(groups)-most))
			break
		}
		f.then = append(f.then, g.String())
	}
	return nil
}

// selects are the documents that a statement selects, up to mostIDs; all says that there are no more.
func (b *Builder) selects(ctx context.Context, w command.Write) (ids idSet, all bool, err error) {
	cmd := selection(w, bson.D{{Key: "_id", Value: int32(1)}})
	if w.Multi {
		cmd = append(cmd, bson.E{Key: "limit", Value: int64(mostIDs + 1)}, bson.E{Key: "singleBatch", Value: true}, bson.E{Key: "batchSize", Value: int32(mostIDs + 1)})
	}
	reply, answered, err := b.ask(ctx, w.NS.DB, append(cmd, bson.E{Key: "maxTimeMS", Value: int64(countMS)}))
	if err != nil || !answered {
		return nil, false, err
	}
	ids = idSet{}
	if _, err := EachIn(reply, "firstBatch", func(doc bson.Raw) error { ids[KeyOf(doc.Lookup("_id"))] = 1; return nil }); err != nil {
		return nil, false, nil
	}
	return ids, len(ids) <= mostIDs, nil
}

// group is a run of statements of one kind.
type group struct {
	name       string
	multi      bool
	statements int64
	documents  int64
	known      bool
}

func grouped(groups []group, w command.Write, documents int64, known bool) []group {
	g := group{wordFor(w), w.Multi, 1, documents, known}
	if n := len(groups); n > 0 && groups[n-1].name == g.name && !g.multi {
		groups[n-1].statements++
		return groups
	}
	return append(groups, g)
}

// String is updateMany 517, deleteOne, 40 insertOne.
func (g group) String() string {
	switch {
	case g.statements > 1:
		return Number(g.statements) + " " + g.name
	case g.multi && g.known && g.documents > countTo:
		return g.name + " more than " + Number(countTo)
	case g.multi && g.known:
		return g.name + " " + Number(g.documents)
	}
	return g.name
}

// wordFor is a statement's name in the shell.
func wordFor(w command.Write) string {
	if w.FindAndModify {
		return "findAndModify"
	}
	many := "One"
	if w.Multi {
		many = "Many"
	}
	return w.Op.String() + many
}

// followFacts say which part this is, and what follows.
func (b *Builder) followFacts() []Fact {
	f := b.follows
	if f == nil {
		return nil
	}
	looks := ""
	if !f.sure {
		looks = ", as it looks"
	}
	data := map[string]any{"part": f.part, "parts": f.of, "then": f.then}
	if len(f.then) == 0 {
		return []Fact{fact(Part, Info, data, "part %d of %d, the last", f.part, f.of)}
	}
	return []Fact{fact(Part, Warn, data, "part %d of %d%s; then: %s. Each part has a question of its own, since one changes what the next selects", f.part, f.of, looks, strings.Join(f.then, ", "))}
}
