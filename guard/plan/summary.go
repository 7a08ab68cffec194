package plan

import (
	"fmt"
	"strings"

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
		return fmt.Sprintf("drops %s of %s", indexes(len(s.Specs)), s.NS)
	case DoCreateIndexes:
		return fmt.Sprintf("builds %s of %s", indexes(len(s.Specs)), s.NS)
	case DoRename:
		return fmt.Sprintf("renames %s to %s", s.NS, s.To)
	}
	if s.Do == DoRun {
		return s.Verb + " " + s.NS
	}
	return fmt.Sprintf("creates %s", s.NS)
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
