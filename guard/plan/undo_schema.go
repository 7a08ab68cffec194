package plan

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
	"respect/replay"
)

// steps plans the inverse of the change's schema work, last first.
func (u *undo) steps(ctx context.Context) (steps []Step, facts []Fact, err error) {
	inverse := map[string]func(context.Context, Step) ([]Step, []Fact, error){
		DoDrop: u.undrop, DoDropEmpty: u.uncreateInverse, DoDropIndexes: u.undropIndexes,
		DoCreate: u.uncreate, DoCreateIndexes: u.uncreateIndexes, DoRename: u.unrename, DoRun: u.unrun,
	}
	for _, s := range slices.Backward(u.of.steps) {
		f := inverse[s.Do]
		if f == nil {
			return nil, nil, fmt.Errorf("undo of %q is not known", s.Do)
		}
		st, fa, err := f(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		steps, facts = append(steps, st...), append(facts, fa...)
	}
	return steps, facts, nil
}

// deletes is how many documents of a namespace this undo deletes.
func (u *undo) deletes(ns string) int64 {
	if st := u.stats[ns]; st != nil {
		return st.count.Deleted
	}
	return 0
}

// uncreated are the last steps: a collection that the change's inserts created goes with them, if it holds nothing else.
func (u *undo) uncreated() (steps []Step, facts []Fact) {
	for _, ns := range u.of.totals.Creates {
		if now := u.infos[ns]; now != nil && now.exists && len(now.indexes) < 2 && now.total == u.deletes(ns) {
			steps = append(steps, u.dropEmpty(ns, now.options, true))
			facts = append(facts, dropsEmpty(ns, now))
		}
	}
	return steps, facts
}

func (u *undo) describe(ctx context.Context, name string) (command.Namespace, *collectionInfo, error) {
	ns, err := command.ParseNamespace(name)
	if err != nil {
		return ns, nil, err
	}
	info, err := describe(ctx, u.cfg.Reader, ns)
	return ns, info, err
}

func leftAlone(ns, why string) []Fact {
	return []Fact{fact(Conflicts, Danger, map[string]any{"namespace": ns, "list": []Conflict{{NS: ns, Why: why}}}, "%s is left alone: %s", ns, why)}
}

func nothingToDo(ns, why string) []Fact {
	return []Fact{fact(NoChange, Info, map[string]any{"namespace": ns}, "%s: %s", ns, why)}
}

// undrop brings a dropped collection back: from the name it was set aside under if it is still there, otherwise from the backup.
func (u *undo) undrop(ctx context.Context, s Step) ([]Step, []Fact, error) {
	ns, now, err := u.describe(ctx, s.NS)
	if err != nil {
		return nil, nil, err
	}
	if u.vacated[s.NS] {
		now = &collectionInfo{options: bson.Raw{5, 0, 0, 0, 0}}
	}
	aside := &collectionInfo{}
	if s.To != "" {
		if _, aside, err = u.describe(ctx, s.To); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case aside.exists && now.exists:
		return nil, leftAlone(s.NS, fmt.Sprintf("it exists again, and what was dropped is still there as %s: move one of them by hand", s.To)), nil
	case aside.exists:
		back := Step{Do: DoRename, NS: s.To, To: s.NS, UUID: s.UUID}
		back.Phrase = back.words()
		return []Step{back}, nil, nil
	case now.exists && s.UUID != "" && now.uuid == s.UUID:
		return nil, nothingToDo(s.NS, "was never dropped"), nil
	}
	return u.fromBackup(ctx, s, ns, now)
}

// fromBackup plans to create the collection, insert what the backup holds, and build its indexes.
func (u *undo) fromBackup(ctx context.Context, s Step, ns command.Namespace, now *collectionInfo) (steps []Step, facts []Fact, err error) {
	if !now.exists {
		create := Step{Do: DoCreate, NS: s.NS, Options: s.Options}
		if s.Documents == 0 {
			create.Phrase = create.words()
		}
		steps = append(steps, create)
	}
	if _, err := u.info(ctx, ns); err != nil {
		return nil, nil, err
	}
	if u.vacated[s.NS] {
		u.infos[s.NS], *u.stats[s.NS].count.Total = now, 0
	}
	u.expiring = u.ttlOf(s.Specs, now)
	name := filepath.Join("before", u.images.name(s.NS))
	if i := slices.IndexFunc(u.backup, func(f replay.SavedFile) bool { return f.Name == filepath.ToSlash(name) }); i < 0 {
		if s.Documents > 0 {
			return nil, nil, fmt.Errorf("the backup of %s was not finished, and what was dropped is not there under another name (%q) either", s.NS, s.To)
		}
	} else if err := u.insertBackup(ctx, ns, now, name, u.backup[i]); err != nil {
		return nil, nil, err
	}
	indexes := Step{Do: DoCreateIndexes, NS: s.NS, Last: true}
	for _, spec := range s.Specs {
		if n, _ := bson.Raw(spec).Lookup("name").StringValueOK(); n != "_id_" && !slices.ContainsFunc(now.indexes, func(i bson.Raw) bool { return sameIndex(i, spec) }) {
			indexes.Specs = append(indexes.Specs, spec)
		}
	}
	if len(indexes.Specs) > 0 {
		if now.exists {
			indexes.Phrase = indexes.words()
		}
		steps = append(steps, indexes)
	}
	facts = append(facts, u.expired(s.NS)...)
	if len(s.Options) > 5 && !now.exists {
		facts = append(facts, fact(ChangesOptions, Info, map[string]any{"namespace": s.NS, "options": shown(bson.Raw(s.Options))}, "%s is made with the options that it had: %s", s.NS, printed(bson.Raw(s.Options))))
	}
	facts = append(facts, fact(PartialUndo, Info, map[string]any{"namespace": s.NS}, "%s is created anew: it gets another UUID, so change streams on it do not go on", s.NS))
	return steps, facts, nil
}

// expiring is a TTL index that is built again: documents whose field is before the limit go again.
type expiring struct {
	field, index string
	limit        time.Time
	gone         int64
}

// ttlOf are the TTL indexes among those that are built again.
func (u *undo) ttlOf(specs [][]byte, now *collectionInfo) (out []expiring) {
	for _, spec := range specs {
		seconds, ok := bson.Raw(spec).Lookup("expireAfterSeconds").AsFloat64OK()
		keys, _ := bson.Raw(spec).Lookup("key").DocumentOK()
		elems, err := keys.Elements()
		if !ok || err != nil || len(elems) != 1 || slices.ContainsFunc(now.indexes, func(i bson.Raw) bool { return sameIndex(i, spec) }) {
			continue
		}
		const century = 100 * 365 * 24 * 3600
		name, _ := bson.Raw(spec).Lookup("name").StringValueOK()
		out = append(out, expiring{field: elems[0].Key(), index: name, limit: u.cfg.Header.Created.Add(-time.Duration(min(max(seconds, 0), century)) * time.Second)})
	}
	return out
}

// expire looks whether a document that is put back goes again.
func (u *undo) expire(doc bson.Raw) {
	for i := range u.expiring {
		v, _ := update.Lookup(doc, u.expiring[i].field)
		if at, ok := v.TimeOK(); ok && at.Before(u.expiring[i].limit) {
			u.expiring[i].gone++
		}
	}
}

func (u *undo) expired(ns string) (out []Fact) {
	for _, x := range u.expiring {
		severity, text := Info, "none of what is put back is that old"
		if x.gone > 0 {
			severity, text = Danger, Plural(x.gone, "document")+" of what is put back would soon be deleted again"
		}
		out = append(out, fact(TTLDeletes, severity, map[string]any{"namespace": ns, "documents": x.gone, "field": x.field}, "the TTL index %s of %s is built again: %s", x.index, ns, text))
	}
	return out
}

// insertBackup plans the insertion of each document in a backup file whose bytes the record knows.
func (u *undo) insertBackup(ctx context.Context, ns command.Namespace, now *collectionInfo, name string, want replay.SavedFile) error {
	var group []bson.Raw
	size := 0
	err := eachDocument(u.of.dir, name, want.SHA256, func(doc bson.Raw) error {
		if mine, err := u.wanted(doc, nil); err != nil || !mine {
			return err
		}
		group, size = append(group, bytes.Clone(doc)), size+len(doc)
		if len(group) < maxGroup && size < maxGroupBytes {
			return nil
		}
		err := u.insertGroup(ctx, ns, now, group)
		group, size = nil, 0
		return err
	})
	if err != nil {
		return err
	}
	return u.insertGroup(ctx, ns, now, group)
}

// maxGroupBytes is how much of a backup is compared with the collection in one round trip.
const maxGroupBytes = 8 << 20

// insertGroup plans the insertion of those documents that are not there.
func (u *undo) insertGroup(ctx context.Context, ns command.Namespace, now *collectionInfo, docs []bson.Raw) error {
	there := map[IDHash]bson.Raw{}
	if now.exists && len(docs) > 0 {
		ids := bson.A{}
		for _, doc := range docs {
			ids = append(ids, doc.Lookup("_id"))
		}
		err := iterate(ctx, u.cfg.Reader, ns.DB, bson.D{
			{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}},
		}, func(doc bson.Raw) error {
			there[KeyOf(doc.Lookup("_id"))] = bytes.Clone(doc)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read the documents of %s: %w", ns, err)
		}
	}
	count := &u.stats[ns.String()].count
	for _, doc := range docs {
		id := doc.Lookup("_id")
		it := Item{Command: -1, NS: ns.String(), Op: "insert"}.named(id)
		count.Matched++
		switch have := there[KeyOf(id)]; {
		case have != nil && bytes.Equal(have, doc):
			u.nothing++
			count.Unchanged++
			continue
		case have != nil:
			u.conflict(it, "it exists again: somebody else created it since")
			continue
		}
		count.Inserted++
		u.expire(doc)
		if err := u.put(it, nil, foreseen{after: doc}, true, 0); err != nil {
			return err
		}
	}
	return nil
}

func (u *undo) undropIndexes(ctx context.Context, s Step) ([]Step, []Fact, error) {
	ns, now, err := u.describe(ctx, s.NS)
	if err != nil {
		return nil, nil, err
	}
	if !now.exists {
		return nil, leftAlone(s.NS, "the collection does not exist any more"), nil
	}
	back := Step{Do: DoCreateIndexes, NS: s.NS}
	var facts []Fact
	for _, spec := range s.Specs {
		name, _ := bson.Raw(spec).Lookup("name").StringValueOK()
		i := slices.IndexFunc(now.indexes, func(i bson.Raw) bool { n, _ := i.Lookup("name").StringValueOK(); return n == name })
		switch {
		case i < 0:
			back.Specs = append(back.Specs, spec)
			if v, err := bson.Raw(spec).LookupErr("expireAfterSeconds"); err == nil {
				f, err := ttlFact(ctx, u.Builder, ns, spec, v)
				if err != nil {
					return nil, nil, err
				}
				facts = append(facts, *f)
			}
		case sameIndex(now.indexes[i], spec):
			facts = append(facts, nothingToDo(s.NS, "the index "+name+" is there")...)
		default:
			facts = append(facts, leftAlone(s.NS, "another index is called "+name+" now")...)
		}
	}
	if len(back.Specs) == 0 {
		return nil, facts, nil
	}
	back.Phrase = back.words()
	return []Step{back}, facts, nil
}

func (u *undo) uncreateIndexes(ctx context.Context, s Step) ([]Step, []Fact, error) {
	ns, now, err := u.describe(ctx, s.NS)
	if err != nil {
		return nil, nil, err
	}
	gone := Step{Do: DoDropIndexes, NS: s.NS}
	var facts []Fact
	for _, spec := range s.Specs {
		if i := slices.IndexFunc(now.indexes, func(i bson.Raw) bool { return sameIndex(i, spec) }); i >= 0 {
			gone.Specs = append(gone.Specs, now.indexes[i])
			facts = append(facts, dropsIndex(ns, now.indexes[i], now.indexes, nil))
		}
	}
	if len(gone.Specs) == 0 {
		return nil, nothingToDo(s.NS, "the indexes are not there"), nil
	}
	gone.Phrase = gone.words()
	if s.Creates && now.total == 0 {
		return []Step{gone, u.dropEmpty(s.NS, now.options, false)}, append(facts, dropsEmpty(s.NS, &collectionInfo{})), nil
	}
	return []Step{gone}, facts, nil
}

func (u *undo) uncreate(ctx context.Context, s Step) ([]Step, []Fact, error) {
	_, now, err := u.describe(ctx, s.NS)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case !now.exists:
		return nil, nothingToDo(s.NS, "does not exist"), nil
	case now.total > u.deletes(s.NS):
		return nil, leftAlone(s.NS, fmt.Sprintf("it has %s by now", Plural(now.total, "document"))), nil
	}
	drop := u.dropEmpty(s.NS, s.Options, u.deletes(s.NS) > 0)
	drop.Phrase = drop.words()
	u.vacated[s.NS] = true
	return []Step{drop}, []Fact{dropsEmpty(s.NS, now)}, nil
}

// dropsEmpty: a collection that goes is a danger also where it is empty by then: its indexes and options go with it, and whoever writes to it meanwhile.
func dropsEmpty(ns string, now *collectionInfo) Fact {
	text := "drops the collection " + ns + ", which is empty"
	if now.total > 0 {
		text = fmt.Sprintf("drops the collection %s once its %s gone", ns, are(now.total, "document"))
	}
	if n := len(now.indexes) - 1; n > 0 {
		text += fmt.Sprintf(", with %s", indexes(n))
	}
	return fact(DropsCollection, Danger, map[string]any{"namespace": ns, "documents": now.total}, "%s", text)
}

// dropEmpty is the step that drops a collection if it holds nothing. The name under which that is looked at stands in the plan, so that what is left there by a crash is
// found again.
func (u *undo) dropEmpty(ns string, options bson.Raw, last bool) Step {
	db, _, _ := strings.Cut(ns, ".")
	s := Step{Do: DoDropEmpty, NS: ns, To: db + "." + Aside(u.cfg.Header.Change, u.asides), Options: options, Last: last}
	u.asides++
	return s
}

// uncreateInverse takes back the dropping of an empty collection. One that a crash has left under its other name gets its own back, with what others wrote to it.
func (u *undo) uncreateInverse(ctx context.Context, s Step) ([]Step, []Fact, error) {
	_, now, err := u.describe(ctx, s.NS)
	if err != nil {
		return nil, nil, err
	}
	aside := &collectionInfo{}
	if s.To != "" {
		if _, aside, err = u.describe(ctx, s.To); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case aside.exists && now.exists:
		return nil, leftAlone(s.NS, fmt.Sprintf("it exists again, and what was to be dropped is still there as %s, with %s: move one of them by hand", s.To, Plural(aside.total, "document"))), nil
	case aside.exists:
		back := Step{Do: DoRename, NS: s.To, To: s.NS, UUID: aside.uuid}
		back.Phrase = back.words()
		return []Step{back}, nil, nil
	case now.exists:
		return nil, nothingToDo(s.NS, "exists"), nil
	}
	create := Step{Do: DoCreate, NS: s.NS, Options: s.Options}
	if s.Phrase != "" {
		create.Phrase = create.words()
	}
	var facts []Fact
	if len(s.Options) > 5 {
		facts = append(facts, fact(ChangesOptions, Info, map[string]any{"namespace": s.NS, "options": shown(bson.Raw(s.Options))}, "%s is made with the options that it had: %s", s.NS, printed(bson.Raw(s.Options))))
	}
	return []Step{create}, facts, nil
}

func (u *undo) unrename(ctx context.Context, s Step) ([]Step, []Fact, error) {
	_, old, err := u.describe(ctx, s.NS)
	if err != nil {
		return nil, nil, err
	}
	_, now, err := u.describe(ctx, s.To)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case old.exists && !now.exists:
		return nil, nothingToDo(s.NS, "has its old name"), nil
	case old.exists && !u.vacated[s.NS]:
		return nil, leftAlone(s.To, "the name "+s.NS+" is taken"), nil
	case !now.exists:
		return nil, leftAlone(s.To, "it does not exist any more"), nil
	case another(now, s):
		return nil, leftAlone(s.To, "it is another collection than the one that was renamed: that one was dropped or renamed by somebody else"), nil
	}
	back := Step{Do: DoRename, NS: s.To, To: s.NS, UUID: s.UUID, Last: u.vacated[s.NS]}
	back.Phrase = back.words()
	u.vacated[s.To] = true
	return []Step{back}, nil, nil
}
