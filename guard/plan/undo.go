package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
	"respect/replay"
)

// Undo plans to take a change back. Each document of it is looked at as it is now:
//
//	as the change left it        ─► put back: replaced by its before-image, inserted again, or deleted
//	as it was before the change  ─► nothing to do
//	otherwise                    ─► a conflict: left alone, counted and listed, with what others did; with Header.Fields the change's own fields are set back, if each
//	                                is as the change left it (undo_fields.go)
//
// after says what the change left: the hash of each document's after-image, in the order of its items, "-" for one
// that was not applied; nil if nobody could write that down, because the change was cut off.
//
// saved are the files of its backup, as the record has them; nil if it was cut off before the backup was sealed.
//
// only, if it is not empty, is a filter: documents that match it neither as they were before the change nor as they are now are not looked at.
func Undo(ctx context.Context, cfg Config, change *Plan, after []string, saved []replay.SavedFile, only bson.Raw) (*Plan, error) {
	cfg.Header.Undoes = change.Change()
	cfg.Header.Class = change.header.Class
	if len(only) > 5 {
		for _, s := range change.steps {
			if s.Do != DoDrop {
				return nil, fmt.Errorf("%w: a part of what change %s did to collections and indexes", ErrNoPart, change.Change())
			}
		}
		cfg.Header.Only = shown(only)
	}
	b, err := NewBuilder(cfg)
	if err != nil {
		return nil, err
	}
	u := &undo{Builder: b, asked: only, of: change, after: after, backup: saved, images: change.Images(), conflicts: map[string][]Conflict{}, setBack: map[string][]FieldsSetBack{}, vacated: map[string]bool{}, unique: map[string]*order{}, remade: map[string]*metadata{}}
	if len(only) > 5 {
		if u.only, err = update.ParseFilter(only); err != nil {
			return nil, joinDiscard(fmt.Errorf("%w: %v", ErrNoPart, err), b)
		}
	}
	p, err := u.plan(ctx)
	if cerr := u.images.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, joinDiscard(err, b)
	}
	return p, nil
}

// Conflict is a document that an undo leaves alone.
type Conflict struct {
	NS  string `json:"namespace"`
	ID  string `json:"id"`  // Extended JSON
	Why string `json:"why"` // a sentence
	// Since is what others did to it since the change, where that is known; Fields are those of the change that could be set back all the same.
	Since  []Since  `json:"since,omitempty"`
	Fields []string `json:"fields,omitempty"`
}

// ErrNoPart is wrapped by the refusal to take back a part of what is one whole.
var ErrNoPart = errors.New("cannot be taken back alone")

type undo struct {
	*Builder
	only      *update.Filter // nil for all
	asked     bson.Raw       // only, as it was given
	others    int64          // documents that only leaves out
	of        *Plan
	after     []string
	backup    []replay.SavedFile
	images    *Images
	conflicts map[string][]Conflict
	setBack   map[string][]FieldsSetBack // documents of which only fields are
	nothing   int64                      // documents that are already as before
	unapplied int64                      // documents that the change never touched
	vacated   map[string]bool            // names that an earlier step of this undo makes free
	unique    map[string]*order
	remade    map[string]*metadata // collections that are not there any more, as they were; nil where that is not known
	asides    int                  // names under which collections are looked at
	expiring  []expiring           // TTL indexes of the collection that is brought back at the moment
}

func (u *undo) plan(ctx context.Context) (*Plan, error) {
	items, err := u.items()
	if err != nil {
		return nil, err
	}
	for start := 0; start < len(items); {
		end := start + 1
		for end < len(items) && end-start < maxGroup && items[end].NS == items[start].NS {
			end++
		}
		if err := u.group(ctx, items[start:end]); err != nil {
			return nil, err
		}
		start = end
	}
	if err := u.release(); err != nil {
		return nil, err
	}
	steps, facts, err := u.steps(ctx)
	if err != nil {
		return nil, err
	}
	last, more := u.uncreated()
	made, indexed, remade := u.remakes()
	steps, last, facts = append(made, steps...), append(last, indexed...), append(facts, remade...)
	t := totals{Documents: u.n, Saved: Backup{Possible: true, Documents: u.saved(), Bytes: u.bytes}, Facts: slices.Concat(facts, more, u.facts())}
	sortFacts(t.Facts)
	for _, ns := range u.order {
		t.Counts = append(t.Counts, u.stats[ns].count)
		t.Changes = append(t.Changes, u.stats[ns].pathChanges()...)
		if err := u.metadata(ns); err != nil {
			return nil, err
		}
	}
	return u.finish(t, append(steps, last...))
}

// items are the documents of the change: those it inserted first, since deleting them frees unique values that others had; then the
// rest in their order, so that deleted documents come back as they stood.
func (u *undo) items() ([]Item, error) {
	var inserted, rest []Item
	err := u.of.Items(func(it Item) error {
		if it.Op == "insert" {
			inserted = append(inserted, it)
		} else {
			rest = append(rest, it)
		}
		return nil
	})
	return append(inserted, rest...), err
}

// group looks at documents of one namespace as they are now.
func (u *undo) group(ctx context.Context, items []Item) error {
	ns, err := command.ParseNamespace(items[0].NS)
	if err != nil {
		return err
	}
	info, err := u.info(ctx, ns)
	if err != nil {
		return err
	}
	if err := u.remake(ns, info); err != nil {
		return err
	}
	now := map[IDHash]bson.Raw{}
	ids := bson.A{}
	for _, it := range items {
		id, err := it.DocumentID()
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	if info.exists {
		err := iterate(ctx, u.cfg.Reader, ns.DB, bson.D{
			{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}},
		}, func(doc bson.Raw) error {
			now[KeyOf(doc.Lookup("_id"))] = bytes.Clone(doc)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the documents of %s: %w", ns, err)
		}
	}
	var back []restore
	for i := range items {
		r, err := u.look(items[i], now[KeyOf(ids[i].(bson.RawValue))])
		if err != nil {
			return err
		}
		if r != nil {
			back = append(back, *r)
		}
	}
	return u.inOrder(ctx, ns, info, back)
}

// restored puts one document into the plan.
func (u *undo) restored(r restore) error {
	u.count(r.item)
	if r.now == nil {
		u.mayExpire(r.item.NS, r.target)
	}
	fields := 0
	if r.now != nil && r.target != nil {
		fields = u.stats[r.item.NS].changed(&command.Write{Op: command.Update}, r.now, r.target, nil)
	}
	return u.put(r.item, r.now, foreseen{after: r.target}, r.target != nil, fields)
}

// restore is one document to put back.
type restore struct {
	item        Item
	now, target bson.Raw // nil: not there, or to be deleted
}

// look decides what is to be done with one document; nil for nothing.
func (u *undo) look(it Item, now bson.Raw) (*restore, error) {
	before, err := u.images.Before(it)
	if err != nil {
		return nil, err
	}
	if mine, err := u.wanted(before, now); err != nil || !mine {
		return nil, err
	}
	left := u.left(it)
	st := u.stats[it.NS]
	st.count.Matched++
	switch {
	case left == notApplied:
		u.unapplied++
		st.count.Unchanged++
		return nil, nil
	case (now == nil) == (before == nil) && bytes.Equal(now, before):
		u.nothing++
		st.count.Unchanged++
		return nil, nil
	case !asLeft(left, now):
		return u.ours(it, before, now, left)
	}
	r := &restore{now: now, target: before, item: Item{Command: -1, NS: it.NS, ID: it.ID, Key: it.Key}}
	switch {
	case before == nil:
		r.item.Op = "delete"
	case now == nil:
		r.item.Op = "insert"
	default:
		r.item.Op = "replace"
	}
	return r, nil
}

// wanted says whether a document is one of those that are to be taken back.
func (u *undo) wanted(before, now bson.Raw) (bool, error) {
	if u.only == nil {
		return true, nil
	}
	for _, doc := range []bson.Raw{before, now} {
		if doc == nil {
			continue
		}
		switch u.only.Match(doc) {
		case update.Yes:
			return true, nil
		case update.Undecidable:
			return false, fmt.Errorf("%w: whether %s matches the filter cannot be decided here; a filter with plain conditions can", ErrNoPart, shown(doc.Lookup("_id")))
		}
	}
	u.others++
	return false, nil
}

const (
	notApplied = "-" // in after.idx: the change did not touch this document
	gone       = ""  // the change deleted it
	unknown    = "?" // nobody wrote down what the change made of it
)

// left is what the change made of a document: the hash of its after-image, or one of the words above.
func (u *undo) left(it Item) string {
	if u.after != nil && it.N < int64(len(u.after)) && u.after[it.N] != unknown {
		return u.after[it.N]
	}
	switch { // as it was foreseen, if it was
	case it.Op == "delete":
		return gone
	case it.After != nil:
		return it.After.SHA256
	}
	return unknown
}

func asLeft(left string, now bson.Raw) bool {
	if left == gone {
		return now == nil
	}
	return now != nil && hashOf(now) == left
}

func why(it Item, now bson.Raw) string {
	switch {
	case it.Op == "delete":
		return "it exists again: somebody else created it since"
	case now == nil:
		return "it was deleted by somebody else since"
	case it.After == nil && it.Unpredictable != "":
		return "it is neither as before nor known to be as the change left it"
	}
	return "it was changed by somebody else since"
}

func (u *undo) conflict(it Item, why string) {
	u.conflicts[it.NS] = append(u.conflicts[it.NS], Conflict{NS: it.NS, ID: string(it.ID), Why: why})
	u.stats[it.NS].count.Skipped++
}

func (u *undo) count(it Item) {
	c := &u.stats[it.NS].count
	switch it.Op {
	case "insert":
		c.Inserted++
	case "replace":
		c.Replaced++
	case "delete":
		c.Deleted++
	}
}

// facts of an undo: what it leaves alone.
func (u *undo) facts() []Fact {
	var out []Fact
	for _, ns := range u.order {
		c := u.stats[ns].count
		if conflicts := u.conflicts[ns]; len(conflicts) > 0 {
			possible := 0
			for _, c := range conflicts {
				if len(c.Fields) > 0 {
					possible++
				}
			}
			offer := ""
			if possible > 0 {
				offer = fmt.Sprintf("; in %s the fields of the change alone can be set back: undo %s fields", Number(int64(possible)), u.of.Change())
			}
			out = append(out, fact(Conflicts, Danger, map[string]any{"namespace": ns, "documents": len(conflicts), "fields": possible, "list": conflicts[:min(len(conflicts), 100)]},
				"%s of %s left alone: %s%s", Plural(int64(len(conflicts)), "document"), ns, conflictText(conflicts), offer))
		}
		out = append(out, u.fieldFacts(ns)...)
		out = append(out, fact(Matched, Info, map[string]any{"namespace": ns, "matched": c.Matched, "total": *c.Total},
			"%s: %s of the change, %s to put back", ns, Plural(c.Matched, "document"), Number(c.Changed())))
	}
	if u.nothing > 0 {
		out = append(out, fact(NoChange, Info, map[string]any{"documents": u.nothing}, "%s already as before the change", are(u.nothing, "document")))
	}
	if u.others > 0 {
		left := "are, since they do"
		if u.others == 1 {
			left = "is, since it does"
		}
		they := map[bool]string{true: "it", false: "they"}[u.others == 1]
		out = append(out, fact(Part, Info, map[string]any{"documents": u.others}, "%s of the change left as %s %s not match %s", Plural(u.others, "document"), they, left, printed(u.asked)))
	}
	if u.unapplied > 0 {
		out = append(out, fact(NoChange, Info, map[string]any{"documents": u.unapplied}, "%s never touched by the change", are(u.unapplied, "document")))
	}
	if u.after == nil && len(u.of.steps) == 0 {
		out = append(out, fact(PartialUndo, Warn, nil, "the change was cut off: a document that another client deleted in the same moment cannot be told from one that the change deleted"))
	}
	return out
}

// id is the _id of a conflict as the shell prints it.
func (c Conflict) id() string {
	var doc struct {
		ID bson.RawValue `bson:"_id"`
	}
	if err := bson.UnmarshalExtJSON([]byte(c.ID), true, &doc); err != nil {
		return c.ID
	}
	return "_id " + printed(doc.ID)
}

// conflictText names the first conflicts; all of them are in the fact's data.
func conflictText(list []Conflict) string {
	const most = 3
	var parts []string
	for _, c := range list[:min(len(list), most)] {
		why := c.Why
		if len(c.Since) > 0 {
			why += ": " + sinceText(c.Since)
		}
		parts = append(parts, c.id()+" ("+why+")")
	}
	if len(list) > most {
		parts = append(parts, fmt.Sprintf("and %d more", len(list)-most))
	}
	return strings.Join(parts, "; ")
}

// LeftAlone is how many documents, and other things, an undo leaves alone in each namespace.
func (p *Plan) LeftAlone() map[string]int64 {
	out := map[string]int64{}
	for _, f := range p.totals.Facts {
		data, ok := f.Data.(map[string]any)
		if !ok || f.Code != Conflicts {
			continue
		}
		ns, _ := data["namespace"].(string)
		list, _ := data["list"].([]Conflict)
		n, _ := data["documents"].(int)
		out[ns] += int64(max(n, len(list)))
	}
	return out
}

// Conflicts are the first documents that an undo leaves alone, by namespace.
func (p *Plan) Conflicts() []Conflict {
	var out []Conflict
	for _, f := range p.totals.Facts {
		if data, ok := f.Data.(map[string]any); ok && f.Code == Conflicts {
			if list, ok := data["list"].([]Conflict); ok {
				out = append(out, list...)
			}
		}
	}
	return out
}
