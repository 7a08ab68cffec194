package plan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// How the documents of a statement are found, and whether it takes one of many. Both cost reads of their own, which are bounded: in number, by what the server counts
// up to, and in time.

const (
	// explainStatements of a plan are looked at so; a loop has many, and they are alike.
	explainStatements = 20
	// countTo is how far the server counts what one statement selects.
	countTo = 10_000
	// countMS is how long the server may count.
	countMS = 2000
	// extraTime is how long all of it may take, for one plan.
	extraTime = 5 * time.Second
)

// found is how documents are found: by an index, or by reading the whole collection.
type found struct {
	statements int64
	examined   int64
	more       bool // at least so many
	guessed    bool // the server did not tell which index it takes
}

// one is a statement that takes one document of those that its filter matches.
type one struct {
	matched int64
	more    bool // at least so many
	sorted  bool
	id      bson.RawValue
}

// howFound asks the server how it finds what a statement selects, and how many others match where only one is taken.
func (b *Builder) howFound(ctx context.Context, p Pending) error {
	w := p.write()
	st, info, r := b.stats[w.NS.String()], b.infos[w.NS.String()], b.Result(p)
	if b.explained >= explainStatements || b.extra > extraTime || !info.exists || r == nil || b.part > 0 {
		return nil
	}
	b.explained++
	start := b.now()
	defer func() { b.extra += b.now().Sub(start) }()
	filtered := len(w.Filter) > 5
	matched, more := r.Matched, false
	if !w.Multi && r.Matched > 0 && filtered {
		n, known, err := b.countUpTo(ctx, w, w.Filter)
		if err != nil {
			return err
		}
		if known && n > 1 {
			st.ones = append(st.ones, one{matched: min(n, countTo), more: n > countTo, sorted: w.Sort.Type != 0, id: b.lastID})
		}
		if known {
			matched, more = min(n, countTo), n > countTo
		}
	}
	if !filtered {
		return nil // all of it is asked for
	}
	index, scan, sure, err := b.access(ctx, w, info)
	if err != nil {
		return err
	}
	if scan {
		st.find("", found{examined: info.total})
		return nil
	}
	if index == "" {
		return nil
	}
	f := found{examined: matched, more: more, guessed: !sure}
	if part := covered(w.Filter, info, index); part != nil {
		n, known, err := b.countUpTo(ctx, w, part)
		if err != nil {
			return err
		}
		if known {
			f.examined, f.more = min(n, countTo), n > countTo
		}
	}
	f.examined = max(f.examined, r.Matched)
	st.find(index, f)
	return nil
}

// find adds a statement whose documents are found by an index; "" is none.
func (f *findings) find(index string, add found) {
	if f.foundBy == nil {
		f.foundBy = map[string]found{}
	}
	have := f.foundBy[index]
	have.statements++
	have.examined, have.more, have.guessed = have.examined+add.examined, have.more || add.more, have.guessed || add.guessed
	f.foundBy[index] = have
}

// countUpTo is how many documents a filter matches, up to one more than countTo. known is false if the server does not tell, or not in time.
func (b *Builder) countUpTo(ctx context.Context, w command.Write, filter bson.Raw) (n int64, known bool, err error) {
	cmd := bson.D{{Key: "count", Value: w.NS.Collection}, {Key: "query", Value: filter}, {Key: "limit", Value: int64(countTo + 1)}, {Key: "maxTimeMS", Value: int64(countMS)}}
	if w.Collation.Type != 0 {
		cmd = append(cmd, bson.E{Key: "collation", Value: w.Collation})
	}
	reply, answered, err := b.ask(ctx, w.NS.DB, cmd)
	if err != nil || !answered {
		return 0, false, err
	}
	n, known = reply.Lookup("n").AsInt64OK()
	return n, known, nil
}

// ask reads something that the plan can do without: answered is false if the server refused it.
func (b *Builder) ask(ctx context.Context, db string, cmd bson.D) (reply bson.Raw, answered bool, err error) {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, false, err
	}
	reply, err = b.cfg.Reader.Read(ctx, db, raw)
	if a, ok := b.cfg.Reader.(interface{ Answered(error) bool }); err != nil && ok && a.Answered(err) {
		return nil, false, nil
	}
	return reply, err == nil, err
}

// access is the index by which the server finds what a statement selects. Only a find is explained, whatever the statement is, and it is not run: there are servers
// that carry out a write while they explain it. sure is false where the server does not tell, and the index is one that could serve.
// Source: https://www.mongodb.com/docs/manual/reference/explain-results/
func (b *Builder) access(ctx context.Context, w command.Write, info *collectionInfo) (index string, scan, sure bool, err error) {
	if e, ok := b.cfg.Reader.(interface{ Embedded() bool }); !ok || !e.Embedded() {
		reply, answered, err := b.ask(ctx, w.NS.DB, bson.D{{Key: "explain", Value: selection(w, nil)}, {Key: "verbosity", Value: "queryPlanner"}})
		if err != nil {
			return "", false, false, err
		}
		if plan, ok := reply.Lookup("queryPlanner", "winningPlan").DocumentOK(); answered && ok {
			if used, scans := stages(plan); len(used) > 0 || scans {
				return strings.Join(used, ", "), scans, true, nil
			}
		}
	}
	if len(conditionsOf(w.Filter)) == 0 {
		return "", false, false, nil // $where and its kind
	}
	for _, i := range info.indexes {
		if served(w, &collectionInfo{indexes: []bson.Raw{i}}) {
			name, _ := i.Lookup("name").StringValueOK()
			return name, false, false, nil
		}
	}
	return "", !served(w, info), false, nil
}

// stages are the indexes that a winning plan reads, and whether it reads a whole collection.
func stages(plan bson.Raw) (indexes []string, scan bool) {
	elems, err := plan.Elements()
	if err != nil {
		return nil, false
	}
	stage, _ := plan.Lookup("stage").StringValueOK()
	scan = stage == "COLLSCAN"
	switch {
	case stage == "IDHACK", strings.HasPrefix(stage, "EXPRESS_CLUSTERED"), stage == "CLUSTERED_IXSCAN":
		indexes = append(indexes, "_id_")
	default:
		if name, ok := plan.Lookup("indexName").StringValueOK(); ok {
			indexes = append(indexes, name)
		}
	}
	add := func(v bson.RawValue) {
		doc, ok := v.DocumentOK()
		if !ok {
			return
		}
		used, scans := stages(doc)
		for _, u := range used {
			if !slices.Contains(indexes, u) {
				indexes = append(indexes, u)
			}
		}
		scan = scan || scans
	}
	for _, e := range elems {
		switch e.Key() {
		case "inputStage", "queryPlan", "winningPlan", "outerStage", "innerStage":
			add(e.Value())
		case "inputStages", "shards":
			arr, _ := e.Value().ArrayOK()
			list, _ := arr.Values() // none
			for _, v := range list {
				add(v)
			}
		}
	}
	return indexes, scan
}

// covered is the part of a filter that an index answers by itself: conditions on its first fields. nil if that is the whole filter, or none of it.
func covered(filter bson.Raw, info *collectionInfo, index string) bson.Raw {
	i := slices.IndexFunc(info.indexes, func(i bson.Raw) bool { name, _ := i.Lookup("name").StringValueOK(); return name == index })
	elems, err := filter.Elements()
	if i < 0 || err != nil {
		return nil
	}
	var part bson.D
	for _, k := range keyOf(info.indexes[i]) {
		v, err := filter.LookupErr(k.Key())
		if err != nil {
			break
		}
		part = append(part, bson.E{Key: k.Key(), Value: v})
	}
	if len(part) == 0 || len(part) == len(elems) {
		return nil
	}
	raw, err := bson.Marshal(part)
	if err != nil {
		return nil
	}
	return raw
}

// foundFacts say how the documents are found, and where one of many is taken.
func (f *findings) foundFacts(ns string, total int64) (out []Fact) {
	out = append(out, f.oneOfMany(ns)...)
	if len(f.foundBy) == 0 && f.unindexed && total >= scanned { // of more statements than are looked at
		f.find("", found{examined: total})
	}
	names := slices.Sorted(maps.Keys(f.foundBy))
	for _, index := range names {
		x := f.foundBy[index]
		of := ""
		if len(names) > 1 || x.statements > 1 {
			of = ", by " + Plural(x.statements, "statement")
		}
		data := map[string]any{"namespace": ns, "index": index, "examined": x.examined, "total": total}
		if index == "" {
			text := fmt.Sprintf("found by no index: it reads all %s of %s%s", Plural(total, "document"), ns, of)
			if total == 1 {
				text = fmt.Sprintf("found by no index: it reads the one document of %s%s", ns, of)
			}
			if total >= scanned {
				out = append(out, fact(CollectionScan, Warn, map[string]any{"namespace": ns, "documents": total}, "%s", text))
			} else {
				out = append(out, fact(FoundBy, Info, data, "%s", text))
			}
			continue
		}
		about := ""
		if x.more {
			about = "more than "
		}
		seems := ""
		if x.guessed {
			seems = ", as it looks"
		}
		out = append(out, fact(FoundBy, Info, data, "found by the index %s%s: %s%s of %s examined%s", index, seems, about, Number(x.examined), Plural(total, "document"), of))
	}
	return out
}

// oneOfMany says that others match as well.
func (f *findings) oneOfMany(ns string) []Fact {
	if len(f.ones) == 0 {
		return nil
	}
	o := f.ones[0]
	if n := len(f.ones); n > 1 {
		least, most := o.matched, o.matched
		for _, x := range f.ones {
			least, most = min(least, x.matched), max(most, x.matched)
		}
		how := Number(least)
		if least != most {
			how += " to " + Number(most)
		}
		return []Fact{fact(OneOfMany, Warn, map[string]any{"namespace": ns, "statements": n, "matched": most},
			"in %s of %s more than one document matches (%s match), and only one each is taken", Plural(int64(n), "statement"), ns, how)}
	}
	many := Number(o.matched)
	if o.more {
		many = "more than " + many
	}
	which := "whichever the server finds first"
	if o.sorted {
		which = "the first by its sort"
	}
	return []Fact{fact(OneOfMany, Warn, map[string]any{"namespace": ns, "statements": 1, "matched": o.matched, "more": o.more, "_id": shown(o.id)},
		"%s documents of %s match, and only this one is taken, %s: _id %s", many, ns, which, printed(o.id))}
}
