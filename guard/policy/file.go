package policy

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"respect/guard/command"
	"respect/guard/environment"
)

// A policy file:
//
//	environments:                    # which deployment is what; all keys of a match must fit, one item of each
//	  - environment: production
//	    match: {hosts: ["*.prod.example.net"], cidr: 10.1.0.0/16, srv: …, sets: …, databases: …, profiles: …}
//	policy:
//	  production:                    # what is unknown is treated as production
//	    reads: {max-time: 30s}
//	    documents:                   # an action alone, or what else there is to say of the class
//	      action: confirm
//	      large: {documents: 1000, action: refuse}
//	      max-operations: 5000
//	      full-preview: 100000         # documents; beyond it a preview is an estimate until somebody asks for all
//	      pace: {batch: 100ms, busy: 50, max-lag: 5s, stop-lag: 1m}
//	      volatile-backup: refuse      # where the state directory does not outlive the container
//	    schema:
//	      action: approve
//	      keep-dropped: 50GiB          # what is larger is not copied when it is dropped, but kept under another name until somebody drops that
//	record:                          # record.go
//	  output: full                   # writes, digest or off
//	  limit: 1MiB                    # of what one statement shows
//	  witness: /mnt/audit/respect.notes

// File is a policy file that was understood.
type File struct {
	name   string
	rules  []placed[environment.Rule]
	cells  []placed[written]
	record []placed[recordEntry]
}

// placed is something with its place in the file.
type placed[T any] struct {
	v    T
	node *yaml.Node
}

// written is one number of the file.
type written struct {
	cell
	n int64
}

// classes are those that a file can speak of, and what it can say of each. Commands of our own server session are nobody's to forbid.
var classes = []classKeys{
	{"reads", command.Read, []string{"action", "max-time"}},
	{"documents", command.DocumentWrite, []string{"action", "large", "max-operations", "max-bytes", "pace", "full-preview", "volatile-backup"}},
	{"schema", command.Schema, []string{"action", "large", "volatile-backup", "keep-dropped"}},
	{"operations", command.Operations, []string{"action"}},
	{"security", command.Security, []string{"action", "lower-marker"}},
	{"cluster", command.Cluster, []string{"action"}},
	{"server", command.Server, []string{"action"}},
	{"unknown", command.Unknown, []string{"action"}},
}

type classKeys struct {
	name  string
	class command.Class
	keys  []string
}

// environments are those that a file can speak of.
var environments = []environment.Environment{environment.Development, environment.Staging, environment.Production}

// actionWords are the actions as a file has them.
var actionWords = []string{"refuse", "approve", "confirm", "backup", "run"}

func environmentWords() (out []string) {
	for _, e := range environments {
		out = append(out, e.String())
	}
	return out
}

func classWords() (out []string) {
	for _, c := range classes {
		out = append(out, c.name)
	}
	return out
}

// Parse reads a policy file. name is what errors and reasons call it. An error is an *Error.
func Parse(name string, text []byte) (*File, error) {
	s := source{name}
	f := &File{name: name}
	top, err := s.read(text)
	if err != nil || top == nil {
		return f, err
	}
	entries, err := s.mapping(top, "the file", "environments", "policy", "record")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch e.name {
		case "environments":
			err = f.parseRules(s, e.value)
		case "record":
			err = f.parseRecord(s, e.value)
		default:
			err = f.parsePolicy(s, e.value)
		}
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *File) parseRules(s source, n *yaml.Node) error {
	items, err := s.items(n, "environments")
	if err != nil {
		return err
	}
	for _, i := range items {
		r, err := parseRule(s, i)
		if err != nil {
			return err
		}
		f.rules = append(f.rules, placed[environment.Rule]{r, i})
	}
	return nil
}

func parseRule(s source, n *yaml.Node) (environment.Rule, error) {
	r := environment.Rule{Where: fmt.Sprintf("%s:%d", s.name, n.Line)}
	entries, err := s.mapping(n, "a rule", "environment", "match")
	if err != nil {
		return r, err
	}
	for _, e := range entries {
		if e.name == "match" {
			err = parseMatch(s, e.value, &r)
		} else {
			var i int
			i, err = s.choice(e.value, "environment", environmentWords())
			r.Says = environments[i]
		}
		if err != nil {
			return r, err
		}
	}
	switch {
	case r.Says == environment.Unknown:
		return r, s.at(n, "environment: production", "the rule says no environment")
	case len(r.Lists()) == 0:
		return r, s.at(n, `match: {hosts: ["*.example.net"]}`, "the rule matches nothing")
	}
	// Profiles are the user's own words, and a deployment is never less than it is as a whole for one of its databases.
	r.RaiseOnly = len(r.Profiles) > 0 || len(r.Databases) > 0
	if r.RaiseOnly && r.Says == environment.Development {
		return r, s.at(n, "name hosts, cidr, srv or sets alone", "a rule for profiles or databases can only raise an environment, and development is the lowest")
	}
	return r, nil
}

func parseMatch(s source, n *yaml.Node, r *environment.Rule) error {
	into := map[string]*[]string{"hosts": &r.Hosts, "srv": &r.SRV, "sets": &r.Sets, "databases": &r.Databases, "profiles": &r.Profiles}
	entries, err := s.mapping(n, "match", "hosts", "cidr", "srv", "sets", "databases", "profiles")
	if err != nil {
		return err
	}
	for _, e := range entries {
		texts, err := s.texts(e.value, e.name)
		if err != nil {
			return err
		}
		if e.name != "cidr" {
			*into[e.name] = texts
			continue
		}
		for i, t := range texts {
			p, err := environment.ParseCIDR(t)
			if err != nil {
				at := e.value
				if at.Kind == yaml.SequenceNode {
					at = at.Content[i]
				}
				return s.at(at, "for example 10.1.0.0/16", "%q is no range of addresses: %v", t, err)
			}
			r.CIDR = append(r.CIDR, p)
		}
	}
	return nil
}

func (f *File) parsePolicy(s source, n *yaml.Node) error {
	rows, err := s.entries(n, "policy")
	if err != nil {
		return err
	}
	for _, row := range rows {
		env, ok := environment.Parse(row.name)
		if !ok {
			hint := suggest(row.name, environmentWords())
			if row.name == "unknown" {
				hint = "what is unknown is treated as production"
			}
			return s.at(row.key, hint, "%q is no environment", row.name)
		}
		entries, err := s.mapping(row.value, "policy of "+row.name, classWords()...)
		if err != nil {
			return err
		}
		for _, e := range entries {
			i := slices.IndexFunc(classes, func(c classKeys) bool { return c.name == e.name })
			if err := f.parseClass(s, cell{env: env, class: classes[i].class}, e, classes[i].keys); err != nil {
				return err
			}
		}
	}
	return nil
}

// parseClass reads an action alone or a mapping with more.
func (f *File) parseClass(s source, c cell, e entry, keys []string) error {
	if e.value.Kind == yaml.ScalarNode {
		return f.parseAction(s, c, action, e.value)
	}
	entries, err := s.mapping(e.value, e.name, keys...)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return s.at(e.value, "", "%s is empty", e.name)
	}
	for _, e := range entries {
		switch e.name {
		case "action":
			err = f.parseAction(s, c, action, e.value)
		case "large":
			err = f.parseLarge(s, c, e.value)
		case "pace":
			err = f.parsePace(s, c, e.value)
		case "full-preview":
			err = f.parseNumber(s, c, fullPreview, e, plainNumber, 1, 1<<53)
		case "volatile-backup":
			err = f.parseAction(s, c, volatileAction, e.value)
		case "lower-marker":
			err = f.parseAction(s, c, lowerMarker, e.value)
		case "keep-dropped":
			err = f.parseNumber(s, c, keepDropped, e, byteUnits, 0, 1<<53)
		case "max-time":
			err = f.parseNumber(s, c, maxTime, e, timeUnits, 1, 24*3600_000)
		case "max-operations":
			err = f.parseNumber(s, c, maxOperations, e, plainNumber, 1, MaxOperations)
		case "max-bytes":
			err = f.parseNumber(s, c, maxBytes, e, byteUnits, 1, MaxCommandBytes)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *File) parseLarge(s source, c cell, n *yaml.Node) error {
	keys := []string{"documents", "bytes", "action"}
	if c.class == command.DocumentWrite {
		keys = []string{"documents", "action"}
	}
	entries, err := s.mapping(n, "large", keys...)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.name {
		case "documents":
			err = f.parseNumber(s, c, largeDocuments, e, plainNumber, 0, 1<<53)
		case "bytes":
			err = f.parseNumber(s, c, largeBytes, e, byteUnits, 0, 1<<53)
		case "action":
			err = f.parseAction(s, c, largeAction, e.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *File) parsePace(s source, c cell, n *yaml.Node) error {
	entries, err := s.mapping(n, "pace", "batch", "busy", "max-lag", "stop-lag")
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch e.name {
		case "batch":
			err = f.parseNumber(s, c, paceBatch, e, timeUnits, 1, 60_000)
		case "busy":
			err = f.parseNumber(s, c, paceBusy, e, plainNumber, 1, 100)
		case "max-lag":
			err = f.parseNumber(s, c, paceLag, e, timeUnits, 1, 24*3600_000)
		case "stop-lag":
			err = f.parseNumber(s, c, paceStop, e, timeUnits, 1, 24*3600_000)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *File) parseAction(s source, c cell, what setting, n *yaml.Node) error {
	i, err := s.choice(n, "action", actionWords)
	if err != nil {
		return err
	}
	if c.class == command.Read && Action(i) != Run {
		return s.at(n, "reads can be bounded: {max-time: 30s}", "reads run everywhere")
	}
	c.what = what
	f.cells = append(f.cells, placed[written]{written{c, int64(i)}, n})
	return nil
}

func (f *File) parseNumber(s source, c cell, what setting, e entry, units []unit, low, high int64) error {
	v, err := s.number(e.value, e.name, units, low, high)
	c.what = what
	f.cells = append(f.cells, placed[written]{written{c, v}, e.value})
	return err
}
