package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Error is what is wrong in a file, and where.
type Error struct {
	File         string
	Line, Column int // from 1
	Text         string
	Hint         string // what to write instead; may be ""
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text) }

// maxText is the size of the largest file that is read.
const maxText = 1 << 20

// source is a file while it is read. The YAML is a small and strict part: one document of mappings, lists and plain values; no tags, anchors
// and aliases, no key twice.
type source struct{ name string }

// at is an error at a node.
func (s source) at(n *yaml.Node, hint, format string, args ...any) error {
	return &Error{s.name, max(n.Line, 1), max(n.Column, 1), fmt.Sprintf(format, args...), hint}
}

// read is the one value of a file; nil if the file is empty.
func (s source) read(text []byte) (*yaml.Node, error) {
	switch {
	case len(text) > maxText:
		return nil, &Error{s.name, 1, 1, fmt.Sprintf("the file has more than %d bytes", maxText), ""}
	case !utf8.Valid(text):
		return nil, s.where(text, firstInvalid(text), "this is not UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, s.syntax(text, err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, s.at(&more, "", "there is a second document; a file has one")
	} else if !errors.Is(err, io.EOF) {
		return nil, s.syntax(text, err)
	}
	if len(doc.Content) != 1 {
		return nil, nil
	}
	top := doc.Content[0]
	if err := s.plain(top); err != nil {
		return nil, err
	}
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return nil, nil
	}
	return top, nil
}

// plain refuses what the small part of YAML does not have.
func (s source) plain(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return s.at(n, "write it out", "anchors and aliases are not understood here")
	case n.Style&yaml.TaggedStyle != 0:
		return s.at(n, "leave the tag out", "tags are not understood here")
	}
	for _, c := range n.Content {
		if err := s.plain(c); err != nil {
			return err
		}
	}
	return nil
}

var lineOf = regexp.MustCompile(`^yaml: line (\d+): (?s:(.*))$`)

// syntax gives an error of the YAML parser, which names a line at most, the place where that line begins.
func (s source) syntax(text []byte, err error) error {
	line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
		what = m[2]
	}
	lines := bytes.Split(text, []byte("\n"))
	line = min(max(line, 1), len(lines))
	rest := bytes.TrimLeft(lines[line-1], " \t")
	return &Error{s.name, line, len(lines[line-1]) - len(rest) + 1, "this is not YAML: " + what, ""}
}

func (s source) where(text []byte, offset int, what string) error {
	before := text[:offset]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return &Error{s.name, line, column, what, ""}
}

func firstInvalid(text []byte) int {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(text)
}

// entry is one key of a mapping with its value.
type entry struct {
	name       string
	key, value *yaml.Node
}

// mapping reads a mapping whose keys are all known.
func (s source) mapping(n *yaml.Node, what string, keys ...string) ([]entry, error) {
	entries, err := s.entries(n, what)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !slices.Contains(keys, e.name) {
			return nil, s.at(e.key, suggest(e.name, keys), "%s has no key %q", what, e.name)
		}
	}
	return entries, nil
}

// entries reads a mapping with any keys, none of them twice.
func (s source) entries(n *yaml.Node, what string) ([]entry, error) {
	if n.Kind != yaml.MappingNode {
		return nil, s.at(n, "write key: value, one on each line", "%s must be a mapping, not %s", what, kindOf(n))
	}
	var out []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			return nil, s.at(k, "", "a key of %s must be a word, not %s", what, kindOf(k))
		}
		for _, e := range out {
			if e.name == k.Value {
				return nil, s.at(k, "", "%q stands twice; first on line %d", k.Value, e.key.Line)
			}
		}
		out = append(out, entry{k.Value, k, n.Content[i+1]})
	}
	return out, nil
}

// items reads a list that is not empty.
func (s source) items(n *yaml.Node, what string) ([]*yaml.Node, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, s.at(n, "write - item, one on each line", "%s must be a list, not %s", what, kindOf(n))
	}
	if len(n.Content) == 0 {
		return nil, s.at(n, "", "%s is empty", what)
	}
	return n.Content, nil
}

// text reads a text that is not empty.
func (s source) text(n *yaml.Node, what string) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		hint := ""
		if n.Kind == yaml.ScalarNode && n.Value != "" {
			hint = "if it is meant as text: " + strconv.Quote(n.Value)
		}
		return "", s.at(n, hint, "%s must be a text, not %s", what, kindOf(n))
	}
	if n.Value == "" {
		return "", s.at(n, "", "%s is empty", what)
	}
	return n.Value, nil
}

// texts reads one text or a list of them.
func (s source) texts(n *yaml.Node, what string) ([]string, error) {
	nodes := []*yaml.Node{n}
	if n.Kind != yaml.ScalarNode {
		var err error
		if nodes, err = s.items(n, what); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, i := range nodes {
		t, err := s.text(i, "each of "+what)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

// choice reads one word of a list.
func (s source) choice(n *yaml.Node, what string, words []string) (int, error) {
	w, err := s.text(n, what)
	if err != nil {
		return 0, err
	}
	i := slices.Index(words, w)
	if i < 0 {
		return 0, s.at(n, suggest(w, words), "%q is no %s", w, what)
	}
	return i, nil
}

// number reads an amount in a unit, between two bounds. The first unit, if it is "", needs not be written.
func (s source) number(n *yaml.Node, what string, units []unit, low, high int64) (int64, error) {
	digits := len(n.Value) - len(strings.TrimLeft(n.Value, "0123456789"))
	i := slices.IndexFunc(units, func(u unit) bool { return n.Kind == yaml.ScalarNode && n.Value[digits:] == u.name })
	if digits == 0 || i < 0 {
		return 0, s.at(n, "for example "+units[len(units)-1].example, "%s must be a number%s, not %s", what, of(units), shown(n))
	}
	v, err := strconv.ParseInt(n.Value[:digits], 10, 64)
	if err != nil || v > high/units[i].factor || v*units[i].factor < low {
		return 0, s.at(n, "", "%s must be from %s to %s", what, inUnits(low, units), inUnits(high, units))
	}
	return v * units[i].factor, nil
}

// unit of a number. In a list the smallest stands first.
type unit struct {
	name    string
	factor  int64
	example string
}

var (
	plainNumber = []unit{{"", 1, "1000"}}
	byteUnits   = []unit{{"", 1, ""}, {"KiB", 1 << 10, ""}, {"MiB", 1 << 20, ""}, {"GiB", 1 << 30, "1GiB"}}
	timeUnits   = []unit{{"ms", 1, ""}, {"s", 1000, ""}, {"m", 60_000, ""}, {"h", 3600_000, "30s"}}
)

func of(units []unit) string {
	if len(units) == 1 {
		return ""
	}
	names := []string{}
	for _, u := range units {
		if u.name != "" {
			names = append(names, u.name)
		}
	}
	return " with " + strings.Join(names, ", ")
}

// inUnits is the inverse of number: the largest unit in which the amount is whole.
func inUnits(v int64, units []unit) string {
	for _, u := range slices.Backward(units) {
		if v%u.factor == 0 && (v != 0 || u.factor == 1) {
			return strconv.FormatInt(v/u.factor, 10) + u.name
		}
	}
	return strconv.FormatInt(v, 10)
}

func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return strconv.Quote(n.Value)
	}
	return kindOf(n)
}

// kindOf is what a node is, in words.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!null":
			return "nothing"
		case "!!str":
			return "a text"
		case "!!int", "!!float":
			return "a number"
		case "!!bool":
			return "a truth value"
		case "!!timestamp":
			return "a date"
		}
	}
	return "this"
}

// suggest is a hint that names the nearest of some words, or all of them.
func suggest(word string, words []string) string {
	if near := Nearest(word, words); near != "" {
		return "did you mean " + near + "?"
	}
	return "it can be " + strings.Join(words, ", ")
}

// Nearest is the word that is most like another one, or "" if none is alike: at most one letter in three differs.
func Nearest(word string, words []string) string {
	best, at := "", len(word)/3+1
	for _, w := range words {
		if d := distance(word, w); d < at || (d == at && best == "") {
			best, at = w, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace, and no further than in the first hundred.
func distance(a, b string) int {
	a, b = a[:min(len(a), 100)], b[:min(len(b), 100)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
