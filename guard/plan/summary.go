package plan

import (
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/replay"
)

// Summary is the plan in one line: what it does, to how many of how many, where. Untrusted text.
func (p *Plan) Summary() string {
	var parts []string
	for _, s := range p.steps {
		parts = append(parts, s.summary())
	}
	for _, c := range p.totals.Counts {
		if c.Schema == "" {
			parts = append(parts, p.countSummary(c))
		}
	}
	if p.header.Undoes != "" {
		return fmt.Sprintf("undoes %s: %s", p.header.Undoes, strings.Join(parts, "; "))
	}
	if len(parts) == 0 {
		return "changes nothing"
	}
	return strings.Join(parts, "; ")
}

func (s Step) summary() string {
	switch s.Do {
	case DoDrop:
		return fmt.Sprintf("drops %s with %s", s.NS, Plural(s.Documents, "document"))
	case DoDropEmpty:
		return fmt.Sprintf("drops %s, which is empty", s.NS)
	case DoDropIndexes:
		return "drops " + namedIndexes(s.Specs, s.NS)
	case DoCreateIndexes:
		return "builds " + namedIndexes(s.Specs, s.NS)
	case DoRename:
		return fmt.Sprintf("renames %s to %s", s.NS, s.To)
	}
	if s.Do == DoRun {
		return s.Verb + " " + s.NS
	}
	return fmt.Sprintf("creates %s", s.NS)
}

// namedIndexes are indexes of a namespace with their names, keys and traits, as far as somebody would read them.
func namedIndexes[T ~[]byte](specs []T, ns string) string {
	const most = 4
	if len(specs) == 1 {
		spec := bson.Raw(specs[0])
		return strings.Join(append(traits(spec), "index", named(spec), "of", ns), " ")
	}
	var list []string
	for _, spec := range specs[:min(len(specs), most)] {
		list = append(list, named(bson.Raw(spec))+indexTraits(bson.Raw(spec)))
	}
	if more := len(specs) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s of %s: %s", indexes(len(specs)), ns, strings.Join(list, ", "))
}

// named is an index by its name and its key.
func named(spec bson.Raw) string {
	name, _ := spec.Lookup("name").StringValueOK()
	var parts []string
	for _, e := range keyOf(spec) {
		value := shown(e.Value())
		if n, ok := e.Value().AsFloat64OK(); ok {
			value = fmt.Sprint(n)
		} else if kind, ok := e.Value().StringValueOK(); ok {
			value = kind
		}
		parts = append(parts, e.Key()+": "+value)
	}
	return strings.TrimSpace(fmt.Sprintf("%s {%s}", name, strings.Join(parts, ", ")))
}

func indexes(n int) string {
	if n == 1 {
		return "1 index"
	}
	return fmt.Sprintf("%d indexes", n)
}

func (p *Plan) countSummary(c replay.Count) string {
	var parts []string
	about, of := "", ""
	switch {
	case p.totals.AtLeast:
		about, of = "about ", " or more"
	case p.totals.Estimate:
		about = "about "
	}
	if c.Total != nil && *c.Total > 0 {
		of += " of " + Number(*c.Total)
	}
	for _, op := range []struct {
		n       int64
		verb    string
		counted bool
	}{{c.Deleted, "deletes", true}, {c.Updated, "updates", true}, {c.Replaced, "replaces", true}, {c.Inserted, "inserts", false}} {
		if op.n == 0 {
			continue
		}
		s := fmt.Sprintf("%s %s%s", op.verb, about, Number(op.n))
		if op.counted {
			s += of
		}
		parts = append(parts, s)
	}
	switch {
	case len(parts) == 0 && p.totals.Estimate:
		return "changes none of the documents that were looked at in " + c.Namespace
	case len(parts) == 0:
		return "changes nothing in " + c.Namespace
	}
	return strings.Join(parts, ", ") + " in " + c.Namespace
}

// Operations are the operations that a count holds, in words: "delete", "update", …
func Operations(c replay.Count) []string {
	var out []string
	for _, op := range []struct {
		n    int64
		name string
	}{{c.Deleted, "delete"}, {c.Updated, "update"}, {c.Replaced, "replace"}, {c.Inserted, "insert"}} {
		if op.n > 0 {
			out = append(out, op.name)
		}
	}
	return out
}
