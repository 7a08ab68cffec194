package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"respect/guard/command"
	"respect/replay"
)

// facts are what the preview says of the plan so far, the most important first.
func (b *Builder) facts() []Fact {
	out := b.estimateFacts() // whatever else is said was seen in a part
	for _, ns := range slices.Sorted(slices.Values(b.order)) {
		said := b.stats[ns].facts(b.infos[ns], b.scale(b.stats[ns].count), b.part > 0)
		if slices.ContainsFunc(b.cfg.Facts, func(f Fact) bool { return f.Code == ComputedOutput }) { // no filter was typed, and each document has a statement of its own
			said = slices.DeleteFunc(said, func(f Fact) bool { return f.Code == AllDocuments })
		}
		out = append(out, said...)
		out = append(out, b.differsFromFind(ns)...)
	}
	out = append(out, b.leavesChunks()...)
	out = append(out, b.leftOut()...)
	out = append(out, b.followFacts()...)
	out = append(out, b.partFacts()...)
	out = append(out, b.recalled()...)
	if n := len(b.commands); n > 1 {
		out = append(out, fact(FromLoop, Warn, map[string]any{"operations": n}, "%s issued by one statement", Plural(int64(n), "operation")))
	}
	sortFacts(out)
	return out
}

// leavesChunks: a file of GridFS is a document in files and many in chunks. Deleting the first leaves the others, which nothing finds any more.
// Source: https://www.mongodb.com/docs/manual/core/gridfs/
func (b *Builder) leavesChunks() (out []Fact) {
	for _, ns := range b.order {
		st := b.stats[ns]
		if st.chunks == "" || st.count.Deleted == 0 {
			continue
		}
		if also := b.stats[st.chunks]; also != nil && also.count.Deleted > 0 {
			continue
		}
		out = append(out, fact(LeavesChunks, Warn, map[string]any{"namespace": ns, "chunks": st.chunks, "documents": st.count.Deleted},
			"deletes %s of GridFS; what they hold stays in %s, where nothing finds it any more", Plural(st.count.Deleted, "file"), st.chunks))
	}
	return out
}

// differsFromFind: what was looked at is what one means to change. Fewer documents are no surprise, more are.
func (b *Builder) differsFromFind(ns string) []Fact {
	matched := b.scale(b.stats[ns].count).Matched
	if b.cfg.LookedAt == nil || b.part > 0 || matched == 0 {
		return nil
	}
	saw, filter, ok := b.cfg.LookedAt(ns)
	if !ok || saw == 0 || matched <= saw {
		return nil
	}
	return []Fact{fact(DiffersFromFind, Warn, map[string]any{"namespace": ns, "looked": saw, "matched": matched, "filter": shown(filter)},
		"you last looked at %s of %s, with the filter %s; this touches %s", Plural(saw, "document"), ns, printed(filter), Number(matched))}
}

// general are the facts that are not about documents: of a plan that changes anything.
func (b *Builder) general(typed string, documents, bytes int64) (out []Fact) {
	out = append(out, b.cfg.Facts...)
	if b.cfg.MadeBefore != nil && typed != "" && b.part == 0 {
		if change, at, ok := b.cfg.MadeBefore(typed); ok {
			out = append(out, fact(Repeated, Warn, map[string]any{"change": change, "at": at.UTC()}, "the same was carried out before: change %s, planned at %s", change, at.UTC().Format("2006-01-02 15:04:05Z")))
		}
	}
	if b.cfg.Large != nil {
		if why, large := b.cfg.Large(documents, bytes); large {
			out = append(out, fact(Large, Warn, map[string]any{"documents": documents, "bytes": bytes}, "%s", why))
		}
	}
	return out
}

// typed is the hash of the commands as they were typed.
func (b *Builder) typed() string {
	if len(b.commands) == 0 || b.cfg.Header.Undoes != "" {
		return ""
	}
	h := sha256.New()
	for _, c := range b.commands {
		fmt.Fprintf(h, "%d %s %d ", len(c.Database()), c.Database(), len(c.Raw()))
		h.Write(c.Raw())
	}
	return hex.EncodeToString(h.Sum(nil))
}

// partFacts say of which whole this is a part, and what of it is not to be changed any more.
func (b *Builder) partFacts() (out []Fact) {
	if b.part == 0 {
		return nil
	}
	out = append(out, fact(Part, Info, map[string]any{"of": b.part, "documents": b.n}, "these are %s of the %s that were planned first", Number(b.n), Plural(b.part, "document")))
	if b.unselected > 0 {
		out = append(out, fact(Part, Warn, map[string]any{"unselected": b.unselected}, "%s left out: gone, there already, or not what the statement selects any more", are(b.unselected, "document")))
	}
	return out
}

// scanned is how many documents a collection has before it is worth a word that all are read.
const scanned = 10_000

// recalled: what was typed with a finger is meant for here; a line from the history or from a paste may be meant for elsewhere.
func (b *Builder) recalled() []Fact {
	switch m := b.cfg.Header.Manner; m {
	case "recalled", "pasted":
		return []Fact{fact(Recalled, Warn, map[string]any{"manner": m}, "this line was %s, not typed: is it meant for %s?", m, b.cfg.Header.Deployment)}
	}
	return nil
}

// System are the namespaces of the server's own that a command may change: not those that it is merely sent to, as shutdown is to admin.
func System(c *command.Command) (out []command.Namespace) {
	for _, ns := range c.Targets() {
		own := slices.Contains([]string{"admin", "config", "local"}, ns.DB) || strings.HasPrefix(ns.Collection, "system.")
		if own && (ns.Collection != "" || c.Name() == "dropDatabase") {
			out = append(out, ns)
		}
	}
	return out
}

// systemFacts: what is there is the server's work, and it may break by it.
func systemFacts(c *command.Command) (out []Fact) {
	for _, ns := range System(c) {
		out = append(out, fact(SystemCollection, Danger, map[string]any{"namespace": ns.String()}, "%s touches %s, which is the server's own", c.Name(), ns))
	}
	return out
}

func sortFacts(f []Fact) {
	rank := map[Severity]int{Danger: 0, Warn: 1, Info: 2}
	slices.SortStableFunc(f, func(a, b Fact) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
}

// facts of one namespace. c are its counts; of an estimate those of the whole, while what fields lose is that of the documents that were looked at.
func (s *stats) facts(info *collectionInfo, c replay.Count, part bool) (out []Fact) {
	ns := c.Namespace
	total := *c.Total
	onNS := map[string]any{"namespace": ns}
	if c.Matched > 0 || c.Inserted == 0 {
		out = append(out, fact(Matched, Info, map[string]any{"namespace": ns, "matched": c.Matched, "total": total}, "%s: %s of %s%s", ns, Number(c.Matched), Plural(total, "document"), percent(c.Matched, total)))
	}
	if part && c.Matched < total {
		// what the filter alone would select is not what this is about
	} else if c.Changed() == 0 {
		// what is matched and left as it is can be all there is
	} else if s.filters["empty-many"] > 0 && total > 0 {
		out = append(out, fact(EmptyFilter, Danger, onNS, "the filter is {}: every document of %s", ns))
	} else if s.filters["empty-one"] > 0 && total > 1 {
		out = append(out, fact(EmptyFilter, Warn, onNS, "the filter is {}: one document of %s, whichever the server finds first", ns))
	}
	if s.filters["empty-many"] == 0 && total > 1 && c.Matched >= total && c.Changed() > 0 {
		out = append(out, fact(AllDocuments, Danger, onNS, "%s", s.everyDocument(ns, c.Matched)))
	}
	if c.Matched == 0 && c.Inserted == 0 && !info.exists {
		out = append(out, noCollection(ns, s.near))
	} else if c.Matched == 0 && c.Inserted == 0 {
		out = append(out, fact(NoMatch, Info, onNS, "nothing in %s matches; nothing there will change", ns))
	}
	if c.Unchanged > 0 {
		out = append(out, fact(NoChange, Info, map[string]any{"namespace": ns, "documents": c.Unchanged}, "%s already as asked", are(c.Unchanged, "matched document")))
	}
	if c.Replaced > 0 {
		out = append(out, fact(ReplacesDocument, Warn, map[string]any{"namespace": ns, "documents": c.Replaced}, "replaces the whole of %s in %s", Plural(c.Replaced, "document"), ns))
	}
	out = append(out, s.foundFacts(ns, total)...)
	out = append(out, s.removedFact()...)
	out = append(out, s.findings.facts(ns, c.Matched)...)
	out = append(out, s.valueFacts()...)
	out = append(out, s.validator.facts(ns)...)
	for _, doc := range s.created {
		out = append(out, fact(CreatesDocument, Warn, map[string]any{"namespace": ns, "_id": doc.Lookup("_id").String()}, "nothing matches, so the upsert creates a document in %s", ns))
	}
	if !info.exists && c.Inserted > 0 {
		text := ns + " does not exist and will be created"
		if s.near != "" {
			text = fmt.Sprintf("%s does not exist: did you mean %s? It will be created", ns, s.near)
		}
		out = append(out, fact(CreatesCollection, Warn, map[string]any{"namespace": ns, "nearest": s.near}, "%s", text))
	}
	for _, why := range slices.Sorted(maps.Keys(s.unknown)) {
		u := s.unknown[why]
		data := map[string]any{"namespace": ns, "documents": u.documents, "why": why}
		if len(u.open) > 0 {
			data["fields"] = u.open
			out = append(out, fact(NotPredictable, Warn, data, "not known beforehand in %s: %s; all other fields are", Plural(u.documents, "document"), why))
			continue
		}
		out = append(out, fact(NotPredictable, Warn, data, "what %s will look like cannot be computed: %s", Plural(u.documents, "document"), why))
	}
	return out
}

// everyDocument says that all of a collection is selected, though no filter is empty: by one that excludes nothing, or by several together.
func (s *stats) everyDocument(ns string, matched int64) string {
	if n := s.filters["other"]; n > 1 {
		return fmt.Sprintf("this is EVERY document of %s: the %s select all %s, together", ns, Plural(int64(n), "statement"), Number(matched))
	}
	return fmt.Sprintf("this is EVERY document of %s: the filter excludes none of its %s", ns, Plural(matched, "document"))
}

// noCollection: what is not there is changed by nothing. near is the name that differs least, "" if none differs little.
func noCollection(ns, near string) Fact {
	text := "there is no collection " + ns
	if near != "" {
		text += "; did you mean " + near + "?"
	}
	return fact(NoMatch, Warn, map[string]any{"namespace": ns, "nearest": near}, "%s", text)
}

func (s *stats) removedFact() []Fact {
	removed := map[string]int64{}
	var most int64
	for key, p := range s.paths.by {
		if p.removed > 0 {
			removed[p.path(key)] = p.removed
			most = max(most, p.removed)
		}
	}
	if len(removed) == 0 {
		return nil
	}
	paths := slices.Sorted(maps.Keys(removed))
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(removed[b], removed[a]) })
	shown := paths
	const limit = 12
	if len(shown) > limit {
		shown = append(slices.Clone(shown[:limit]), fmt.Sprintf("and %d more", len(paths)-limit))
	}
	severity := Warn
	if s.byReplace {
		severity = Danger
	}
	upTo := ""
	for _, n := range removed {
		if n != most {
			upTo = "up to "
		}
	}
	return []Fact{fact(RemovesFields, severity, map[string]any{"namespace": s.count.Namespace, "fields": removed},
		"removes fields from %s%s: %s", upTo, Plural(most, "document"), strings.Join(shown, ", "))}
}

func are(n int64, one string) string { return Plural(n, one) + " " + isAre(n) }

func isAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func percent(n, total int64) string {
	switch {
	case total <= 0:
		return ""
	case n == total:
		return ", 100 %"
	case n > 0 && n*100 < total:
		return ", under 1 %"
	}
	return fmt.Sprintf(", %d %%", min(n*100/total, 99))
}
