package plan

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/replay"
)

// Finish writes the facts and totals and makes the plan.
func (b *Builder) Finish() (*Plan, error) {
	t := totals{Documents: b.n, Estimate: b.sampled != nil, AtLeast: b.atLeast(), Saved: Backup{Possible: true, Documents: b.saved(), Bytes: b.bytes}}
	for _, ns := range slices.Sorted(slices.Values(b.order)) {
		t.Counts = append(t.Counts, b.scale(b.stats[ns].count))
	}
	t.Facts = b.facts()
	for _, ns := range slices.Sorted(slices.Values(b.order)) {
		t.Changes = append(t.Changes, b.stats[ns].pathChanges()...)
	}
	for _, ns := range b.order {
		if err := b.metadata(ns); err != nil {
			return nil, err
		}
	}
	return b.finish(t, nil)
}

func (b *Builder) saved() (n int64) {
	for _, s := range b.stats {
		n += s.count.Updated + s.count.Replaced + s.count.Deleted
	}
	return n
}

func (b *Builder) finish(t totals, steps []Step) (*Plan, error) {
	for _, s := range steps {
		if err := b.sp.line(line{Step: &s}); err != nil {
			return nil, err
		}
	}
	t.Typed = b.typed()
	if b.n > 0 || len(steps) > 0 {
		documents, bytes := b.n, b.bytes
		for _, s := range steps {
			documents, bytes = documents+s.Documents, bytes+s.Bytes
		}
		t.Facts = append(t.Facts, b.general(t.Typed, documents, bytes)...)
		sortFacts(t.Facts)
	}
	if t.Facts == nil {
		t.Facts = []Fact{}
	}
	for _, ns := range b.order {
		if key := b.infos[ns].shardKey; len(key) > 0 {
			if t.ShardKeys == nil {
				t.ShardKeys = map[string][]string{}
			}
			t.ShardKeys[ns] = key
		}
		if b.infos[ns].collation() {
			t.Collated = append(t.Collated, ns)
		}
		made := slices.ContainsFunc(steps, func(s Step) bool { return s.Do == DoCreate && s.NS == ns })
		if !b.infos[ns].exists && b.stats[ns].count.Inserted > 0 && !made {
			t.Creates = append(t.Creates, ns)
		}
	}
	if err := b.sp.line(line{Totals: &t}); err != nil {
		return nil, err
	}
	p := &Plan{
		dir: b.cfg.Dir, header: b.cfg.Header, commands: b.commands, steps: steps, totals: t, samples: b.samples.chosen(),
		results: b.results, sp: b.sp, secret: b.secret,
	}
	if _, err := b.sp.append("RESTORE.txt", restoreText(p)); err != nil {
		return nil, err
	}
	if err := b.sp.flush(); err != nil {
		return nil, err
	}
	p.digest, p.blocks = b.sp.digest(planFile), b.sp.files[planFile].blocks.sums()
	return p, nil
}

// metadata writes what mongorestore needs to know of a collection whose documents are in before/.
func (b *Builder) metadata(ns string) error {
	name := filepath.Join("before", imageName(ns))
	if b.sp.files[name] == nil {
		return nil
	}
	return writeMetadata(b.sp, ns, b.infos[ns])
}

// writeMetadata: the layout of mongodump, Extended JSON in canonical form.
// Source: https://www.mongodb.com/docs/database-tools/mongodump/
func writeMetadata(sp *spool, ns string, info *collectionInfo) error {
	_, coll, _ := strings.Cut(ns, ".")
	indexes := bson.A{}
	for _, i := range info.indexes {
		indexes = append(indexes, i)
	}
	doc, err := bson.MarshalExtJSON(bson.D{
		{Key: "options", Value: info.options}, {Key: "indexes", Value: indexes}, {Key: "uuid", Value: info.uuid},
		{Key: "collectionName", Value: coll}, {Key: "type", Value: "collection"},
	}, true, false)
	if err != nil {
		return fmt.Errorf("metadata of %s: %w", ns, err)
	}
	_, err = sp.append(filepath.Join("before", metadataName(ns)), doc)
	return err
}

// restoreText says how to get the documents back without this program. Never --drop: a part of a collection restored with it deletes the rest.
func restoreText(p *Plan) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "Change %s on %s (%s), planned %s\n\n", replay.Safe(p.Change()), replay.Safe(p.header.Deployment), replay.Safe(p.header.Environment), p.header.Created.UTC().Format("2006-01-02 15:04:05 UTC"))
	fmt.Fprintf(&b, "To take it back:\n\n    respect undo %s\n\n", replay.Safe(p.Change()))
	fmt.Fprint(&b, "Without respect: the directory before/ holds the documents as they were before the change, in the layout of\nmongodump. Restore them into a NEW collection and compare; do not use --drop, which would delete\nwhat is not in this backup:\n\n")
	for _, c := range p.totals.Counts {
		fmt.Fprintf(&b, "    mongorestore --gzip --uri URI --nsInclude %s --nsFrom %s --nsTo %s before/\n", shellQuote(c.Namespace), shellQuote(c.Namespace), shellQuote(c.Namespace+"_before_"+strings.ReplaceAll(p.Change(), "-", "_")))
	}
	return []byte(b.String())
}

// shellQuote is s as one word for a shell. What could act on a terminal stands as escapes, which bash, zsh and ksh read back.
func shellQuote(s string) string {
	if replay.Safe(s) == s {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for rest := s; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		switch c := rest[:n]; {
		case c == "'" || c == `\`:
			b.WriteString(`\` + c)
		case replay.Hostile(r) || r == utf8.RuneError && n == 1:
			for i := range n {
				fmt.Fprintf(&b, `\%03o`, c[i]) // three digits: what follows cannot become part of it
			}
		default:
			b.WriteString(c)
		}
		rest = rest[n:]
	}
	return b.String() + "'"
}

// Result is what a statement of the plan will have done; nil if it is not in this plan.
func (p *Plan) Result(s Pending) *Result { return p.results[resultKey{s.Command, s.Index}] }

// Seal makes the backup durable, reads it back and compares it with what was written. From then on the files are immutable.
func (p *Plan) Seal() (replay.Saved, error) {
	out := replay.Saved{Change: p.Change()}
	if len(p.steps) == 0 || p.header.Undoes != "" { // what schema work takes is saved when it is taken
		out.Documents, out.Bytes = p.totals.Saved.Documents, p.totals.Saved.Bytes
	}
	if p.sp == nil {
		return out, errors.New("seal the backup: internal error: the plan was not made here")
	}
	if err := p.sp.sync(); err != nil {
		return out, fmt.Errorf("seal the backup: %w", err)
	}
	files, err := p.sp.readBack()
	out.Files = files
	if err != nil {
		return out, fmt.Errorf("read the backup back: %w", err)
	}
	return out, nil
}

// Discard removes the files of a plan that was not carried out.
func (p *Plan) Discard() error {
	if p.sp == nil {
		return nil
	}
	return p.sp.discard()
}

// OnlyID is the _id that a statement names, if it can select no other document.
func OnlyID(w command.Write) (bson.RawValue, bool) { return onlyID(w) }

// FindIDs are the _ids that a find command names, if it can select no other documents and does nothing else with them.
func FindIDs(find bson.Raw) ([]bson.RawValue, bool) {
	filter, ok := find.Lookup("filter").DocumentOK()
	if !ok {
		return nil, false
	}
	if _, err := find.LookupErr("collation"); err == nil {
		return nil, false
	}
	elems, err := filter.Elements()
	if err != nil || len(elems) != 1 || elems[0].Key() != "_id" {
		return nil, false
	}
	v := elems[0].Value()
	if id, ok := plainID(v); ok {
		return []bson.RawValue{id}, true
	}
	doc, ok := v.DocumentOK()
	if !ok {
		return nil, false
	}
	in, ok := doc.Lookup("$in").ArrayOK()
	if fields, err := doc.Elements(); !ok || err != nil || len(fields) != 1 {
		return nil, false
	}
	values, err := in.Values()
	if err != nil {
		return nil, false
	}
	for _, id := range values {
		if _, ok := plainID(id); !ok {
			return nil, false
		}
	}
	return values, true
}

// SameID says whether id is one of ids, numbers by value.
func SameID(ids []bson.RawValue, id bson.RawValue) bool {
	return slices.ContainsFunc(ids, func(v bson.RawValue) bool { return KeyOf(v) == KeyOf(id) })
}
