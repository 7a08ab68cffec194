package policy

import (
	"fmt"
	"maps"
	"strings"

	"respect/guard/command"
	"respect/guard/environment"
)

// Combine is the default policy as the administrator's file changes it, tightened by the user's. Either may be nil. The administrator may say what he
// wants; where the user's file would loosen what it finds, that is an *Error with its place. Whatever the files say, environment.Judge hears the
// server's own marker.
func Combine(admin, user *File) (*Policy, error) {
	p := Default()
	for _, f := range []*File{admin, user} {
		if f == nil {
			continue
		}
		s := source{f.name}
		record, err := p.record.with(f, s, f == user)
		if err != nil {
			return nil, err
		}
		next := &Policy{table: maps.Clone(p.table), rules: p.Rules(), record: record}
		for _, c := range f.cells {
			if was := p.look(c.v.env, c.v.class, c.v.what); f == user && c.v.n > was.n {
				return nil, s.at(c.node, "", "%s on %s: %s is looser than %s, which is %s; a user's policy can only tighten",
					c.v.path(), c.v.env, c.v.what.text(c.v.n), c.v.what.text(was.n), was.origin())
			}
			next.table[c.v.cell] = value{c.v.n, fmt.Sprintf("%s:%d", f.name, c.node.Line)}
		}
		for _, c := range f.cells {
			if err := next.checkSize(s, c); err != nil {
				return nil, err
			}
		}
		for _, r := range f.rules {
			if f == user && r.v.Says == environment.Development {
				return nil, s.at(r.node, "the marker on the server says it for everybody: respect mark development URI", "a user's rule can only raise an environment, and development is the lowest")
			}
			r.v.RaiseOnly = r.v.RaiseOnly || f == user
			next.rules = append(next.rules, r.v)
		}
		p = next
	}
	return p, nil
}

// checkSize: how large a change is, is known of what is planned only.
func (p *Policy) checkSize(s source, c placed[written]) error {
	v := p.look(c.v.env, c.v.class, action)
	if !p.hasLarge(c.v.env, c.v.class) || Action(v.n) != Run {
		return nil
	}
	docs, bytes := p.look(c.v.env, c.v.class, largeDocuments), p.look(c.v.env, c.v.class, largeBytes)
	from := docs
	if docs.n == none {
		from = bytes
	}
	return s.at(c.node, "action: backup", "%s on %s would run without a plan (%s), and only a plan tells what is large (%s)", classWord(c.v.class), c.v.env, v.origin(), from.origin())
}

func (v value) origin() string {
	if v.from == "" {
		return "built in"
	}
	return v.from
}

// path is where a setting stands in a file, below its environment.
func (c cell) path() string {
	if c.what == action {
		return classWord(c.class)
	}
	return classWord(c.class) + "." + c.what.String()
}

func classWord(c command.Class) string {
	for _, k := range classes {
		if k.class == c {
			return k.name
		}
	}
	return c.String()
}

var settingWords = [...]string{"action", "large.documents", "large.bytes", "large.action", "max-time", "max-operations", "max-bytes",
	"pace.batch", "pace.busy", "pace.max-lag", "pace.stop-lag", "full-preview", "volatile-backup", "lower-marker", "keep-dropped"}

// String is the setting as a file has it, with a dot for a mapping.
func (s setting) String() string { return settingWords[s] }

// text is a value of the setting as a file has it.
func (s setting) text(n int64) string {
	switch {
	case n == none:
		return "none"
	case s == action, s == largeAction, s == volatileAction, s == lowerMarker:
		return actionWords[n]
	case s == maxTime, s == paceBatch, s == paceLag, s == paceStop:
		return inUnits(n, timeUnits)
	case s == largeBytes, s == maxBytes, s == keepDropped:
		return inUnits(n, byteUnits)
	}
	return inUnits(n, plainNumber)
}

// Setting is one line of what is in force.
type Setting struct {
	Environment string `json:"environment"`
	Class       string `json:"class"`
	Setting     string `json:"setting"`
	Value       string `json:"value"`
	From        string `json:"from"` // file:line, or "built in"
}

// Settings are all that is in force, in the order of the environments and classes.
func (p *Policy) Settings() (out []Setting) {
	for _, env := range environments {
		for _, c := range classes {
			for what := range setting(len(settingWords)) {
				if v := p.look(env, c.class, what); v.n != none {
					out = append(out, Setting{env.String(), c.name, what.String(), what.text(v.n), v.origin()})
				}
			}
		}
	}
	return out
}

// Format is the policy as one file: as the administrator's it gives the same policy again, but for which of the rules can only raise, which is
// said in a comment.
func (p *Policy) Format() string {
	var b strings.Builder
	if len(p.rules) > 0 {
		b.WriteString("environments:\n")
	}
	for _, r := range p.rules {
		only := ""
		if r.RaiseOnly {
			only = "; can only raise"
		}
		fmt.Fprintf(&b, "  - environment: %s # %s%s\n    match:\n", r.Says, r.Where, only)
		for _, l := range r.Lists() {
			quoted := make([]string, len(l.Patterns))
			for i, t := range l.Patterns {
				quoted[i] = quote(t)
			}
			fmt.Fprintf(&b, "      %s: [%s]\n", l.Key, strings.Join(quoted, ", "))
		}
	}
	b.WriteString("policy:\n")
	last := Setting{}
	for _, s := range p.Settings() {
		if s.Environment != last.Environment {
			fmt.Fprintf(&b, "  %s:\n", s.Environment)
		}
		if s.Class != last.Class {
			fmt.Fprintf(&b, "    %s:\n", s.Class)
		}
		group, key, in := strings.Cut(s.Setting, ".")
		indent := "      "
		if !in {
			key = group
		} else {
			if g, _, _ := strings.Cut(last.Setting, "."); g != group || s.Class != last.Class {
				fmt.Fprintf(&b, "      %s:\n", group)
			}
			indent += "  "
		}
		fmt.Fprintf(&b, "%s%s: %s # %s\n", indent, key, s.Value, s.From)
		last = s
	}
	b.WriteString(p.record.format())
	return b.String()
}

// quote is a text between single quotes, in which YAML knows no escape but the quote itself; what is not printable needs the other kind.
func quote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return fmt.Sprintf("%+q", s)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
