package shell

import (
	"context"
	"fmt"
	"strings"

	"respect/shell/js"
	"respect/shell/render"
)

func helpWord(s *Shell, _ context.Context, args, _, _ string) int {
	for _, w := range words() {
		if w.name == args {
			s.tell(w.usage() + "\n  " + w.help + "\n")
			return ExitDone
		}
	}
	if args != "" {
		object := strings.ToUpper(args[:1]) + strings.ToLower(args[1:])
		if text := js.Help(object); text != "" {
			s.out(text + "\n")
			return ExitDone
		}
		s.say(fmt.Sprintf("error: there is no help on %s; try a word that help lists, or collection, cursor, database\n", render.Safe(args)))
		return ExitError
	}
	return s.listWords()
}

// listWords prints the words, a line each, so that they fit a terminal of 80 columns and 24 rows.
func (s *Shell) listWords() int {
	type listed struct {
		Word string `json:"word"`
		Args string `json:"args"`
		Help string `json:"help"`
	}
	var list []listed
	var b strings.Builder
	for _, w := range words() {
		list = append(list, listed{w.name, w.args, w.help})
		args := w.args
		if w.short != "" {
			args = w.short
		}
		fmt.Fprintf(&b, "  %-25s %s\n", w.name+" "+args, w.help)
	}
	if s.cfg.JSON != Pretty {
		return s.json(list)
	}
	b.WriteString("help WORD says more; all else is JavaScript, as in mongosh: db.orders.find({…})\n")
	s.tell(b.String())
	return ExitDone
}

// usage is how a word is called.
func (w word) usage() string {
	return strings.TrimSpace("usage: " + w.name + " " + w.args)
}

// called is the usage of the word with which an entry begins that was meant as one, and was none; "" if it was not.
func called(text string) string {
	name, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(text), ";"), " ")
	if rest = strings.TrimSpace(rest); rest != "" && strings.ContainsAny(rest[:1], "=(.[,;:?&|<>!*/%^+`") {
		return "" // it goes on as code
	}
	for _, w := range words() {
		if w.name == name {
			return w.usage()
		}
	}
	return ""
}
