// Package complete says what could stand at the cursor: text before the cursor and a catalogue in, suggestions out. Pure.
package complete

import (
	"regexp"
	"slices"
	"strings"
)

// Suggestion is one word with one line of help.
type Suggestion struct{ Text, Help string }

// Catalogue is what can be suggested. Slices are not modified.
type Catalogue struct {
	Words       []Suggestion            // of the shell: show, use, undo …
	Arguments   map[string][]Suggestion // of those words
	Globals     []Suggestion
	Methods     map[string][]Suggestion // by object: Database, Collection, Cursor
	Databases   []string
	Collections []string // of the current database
}

var (
	word       = regexp.MustCompile(`[\w$]*$`)
	firstWord  = regexp.MustCompile(`^\s*(\w*)$`)
	withArg    = regexp.MustCompile(`^\s*(\w+)\s+(\S*)$`)
	onDatabase = regexp.MustCompile(`(?:^|[^\w.])db\.([\w$]*)$`)
	onSibling  = regexp.MustCompile(`\.getSiblingDB\([^()]*\)\.([\w$]*)$`)
	onCall     = regexp.MustCompile(`\.(\w+)\s*$`)
	property   = regexp.MustCompile(`(?:^|[^\w.])db\.([\w$.]+)\.([\w$]*)$`)
)

// cursorCalls return cursors.
var cursorCalls = []string{"find", "aggregate", "sort", "limit", "skip", "projection", "hint", "batchSize", "maxTimeMS", "collation", "map", "comment", "allowDiskUse", "pretty"}

// Complete suggests what could stand where text ends. Nothing is suggested inside a string.
func Complete(text string, c Catalogue) []Suggestion {
	if m := withArg.FindStringSubmatch(text); m != nil {
		if m[1] == "use" {
			return matching(m[2], named(c.Databases, "database"))
		}
		if args, ok := c.Arguments[m[1]]; ok {
			return matching(m[2], args)
		}
		if m[1] == "preview" {
			return Complete(strings.TrimLeft(text, " ")[len("preview "):], c)
		}
	}
	if inString(text) {
		return nil
	}
	prefix := word.FindString(text)
	if m := onDatabase.FindStringSubmatch(text); m != nil {
		return matching(m[1], slices.Concat(named(c.Collections, "collection"), c.Methods["Database"]))
	}
	if onSibling.MatchString(text) {
		return matching(prefix, c.Methods["Database"])
	}
	if m := property.FindStringSubmatch(text); m != nil {
		return matching(m[2], slices.Concat(c.Methods["Collection"], below(c.Collections, m[1])))
	}
	if head := text[:len(text)-len(prefix)]; strings.HasSuffix(head, ").") {
		return matching(prefix, afterCall(head[:len(head)-1], c))
	} else if strings.HasSuffix(head, ".") {
		return nil
	}
	if strings.HasPrefix(prefix, "$") {
		return matching(prefix, operatorsFor(text))
	}
	if firstWord.MatchString(text) {
		if prefix == "" {
			return nil
		}
		return matching(prefix, slices.Concat(c.Words, []Suggestion{{"db", "the current database"}}, c.Globals))
	}
	if prefix == "" {
		return nil
	}
	return matching(prefix, slices.Concat([]Suggestion{{"db", "the current database"}}, c.Globals))
}

// afterCall suggests methods of what a call returned: text ends with its ")".
func afterCall(text string, c Catalogue) []Suggestion {
	depth := 0
	for i := len(text) - 1; i >= 0; i-- {
		switch text[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth > 0 {
				continue
			}
			m := onCall.FindStringSubmatch(text[:i])
			switch {
			case m == nil:
				return nil
			case slices.Contains(cursorCalls, m[1]):
				return c.Methods["Cursor"]
			case m[1] == "getCollection":
				return c.Methods["Collection"]
			case m[1] == "getSiblingDB", m[1] == "getDB":
				return c.Methods["Database"]
			}
			return nil
		}
	}
	return nil
}

func matching(prefix string, from []Suggestion) []Suggestion {
	var out []Suggestion
	for _, s := range from {
		if strings.HasPrefix(strings.ToLower(s.Text), strings.ToLower(prefix)) && s.Text != prefix {
			out = append(out, s)
		}
	}
	return out
}

func named(names []string, help string) []Suggestion {
	var out []Suggestion
	for _, n := range names {
		out = append(out, Suggestion{n, help})
	}
	return out
}

// below are the rests of collection names that begin with a prefix and a dot: chunks and files below fs.
func below(collections []string, prefix string) []Suggestion {
	var out []Suggestion
	for _, n := range collections {
		if rest, ok := strings.CutPrefix(n, prefix+"."); ok {
			out = append(out, Suggestion{rest, "collection"})
		}
	}
	return out
}

// inString says whether text ends inside a string literal or a comment.
func inString(text string) bool {
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		}
	}
	return quote != 0
}
