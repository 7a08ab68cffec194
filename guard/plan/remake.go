package plan

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/replay"
	"respect/replay/durable"
)

// An undo may put documents back into a collection that somebody dropped since the change. An insert would make the collection anew, without its options and
// without its unique indexes. So the undo makes it as it was when the change was made: the backup has that beside the documents, as mongodump does.

// metadata is what a backup says of a collection besides its documents.
type metadata struct {
	options bson.Raw
	specs   [][]byte // of the indexes but for _id_

	expiring []expiring // TTL indexes among them
}

// remake notes, before the first document of a namespace is looked at, that its collection is not there, and how it was.
func (u *undo) remake(ns command.Namespace, info *collectionInfo) error {
	_, looked := u.remade[ns.String()]
	drops := slices.ContainsFunc(u.of.steps, func(s Step) bool { return s.NS == ns.String() || s.To == ns.String() })
	if info.exists || looked || drops || slices.Contains(u.of.totals.Creates, ns.String()) {
		return nil
	}
	m, err := u.saidOf(ns)
	if err != nil {
		return err
	}
	if m != nil {
		m.expiring = u.ttlOf(m.specs, info)
	}
	u.remade[ns.String()] = m
	return nil
}

// saidOf reads what the backup says of a collection; nil if it has no such file.
func (u *undo) saidOf(ns command.Namespace) (*metadata, error) {
	name := filepath.ToSlash(filepath.Join("before", metadataName(ns.String())))
	i := slices.IndexFunc(u.backup, func(f replay.SavedFile) bool { return f.Name == name })
	if i < 0 {
		return nil, nil
	}
	text, err := readPacked(u.of.dir, filepath.FromSlash(name), u.backup[i].SHA256)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Options bson.Raw   `bson:"options"`
		Indexes []bson.Raw `bson:"indexes"`
	}
	if err := bson.UnmarshalExtJSON(text, true, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := &metadata{options: doc.Options}
	for _, spec := range doc.Indexes {
		if n, _ := spec.Lookup("name").StringValueOK(); n != "_id_" {
			m.specs = append(m.specs, spec)
		}
	}
	return m, nil
}

// readPacked reads a gzip file below the directory of a change, whose hash the record knows.
func readPacked(dir, name, sum string) ([]byte, error) {
	f, err := durable.OpenBelow(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	h := sha256.New()
	raw := io.TeeReader(f, h)
	z, err := gzip.NewReader(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	const most = 16 << 20
	text, err := io.ReadAll(io.LimitReader(z, most))
	if err == nil {
		_, err = io.Copy(io.Discard, raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return nil, fmt.Errorf("%s has hash %s, the record says %s: it was changed", name, got, sum)
	}
	return text, nil
}

// mayExpire looks whether a document that is inserted into a collection that is made anew goes again.
func (u *undo) mayExpire(ns string, doc bson.Raw) {
	if m := u.remade[ns]; m != nil {
		u.expiring = m.expiring
		u.expire(doc)
	}
}

// remakes are the steps that make such collections, and what the preview says of them. Indexes are built behind the documents.
func (u *undo) remakes() (first, last []Step, facts []Fact) {
	for _, ns := range u.order {
		m, gone := u.remade[ns]
		if !gone || u.stats[ns].count.Inserted == 0 {
			continue
		}
		if m == nil {
			facts = append(facts, fact(CreatesCollection, Danger, map[string]any{"namespace": ns}, "%s was dropped since. It is made anew, without the indexes and options that it had: the backup does not know them", ns))
			continue
		}
		first = append(first, Step{Do: DoCreate, NS: ns, Options: m.options})
		text := "without indexes, as it was"
		if len(m.specs) > 0 {
			text = "with " + Plural(int64(len(m.specs)), "index") + ", as it was"
			if len(m.specs) > 1 {
				text = fmt.Sprintf("with %d indexes, as it was", len(m.specs))
			}
			last = append(last, Step{Do: DoCreateIndexes, NS: ns, Specs: m.specs, Last: true})
		}
		facts = append(facts, fact(CreatesCollection, Warn, map[string]any{"namespace": ns, "indexes": len(m.specs)}, "%s was dropped since, with all that it held. It is made anew %s, with the documents of this change alone", ns, text))
		u.expiring = m.expiring
		facts = append(facts, u.expired(ns)...)
	}
	return first, last, facts
}
