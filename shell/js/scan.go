package js

import (
	"regexp"
	"strings"
)

// The parser's stack is the process's: it cannot be bounded, and its overflow ends the process. So a text is looked over before it is parsed, token by
// token and without a stack: how deep would it go?
const (
	// maxNesting is how deep brackets may stand in each other, and how deep the syntax tree may be. A chain of operators is as deep as it is long, and
	// the compiler takes the square of its length: 40 ms for 5000.
	maxNesting = 5000
	// maxOperators is how many operators and keywords may be open at once, before the parser knows how they belong together: x = !!!…
	maxOperators = 4 * maxNesting
	// maxArrows is how deep parameters of arrow functions may stand in each other: (a = (b = …) => 1) => 1. The parser reads each level twice.
	maxArrows = 8
)

// scanned is what a look over a text finds.
type scanned struct {
	deep  string // what is nested too deep, or ""
	open  bool   // it ends inside a template literal or a block comment, which the parser reports as an illegal token
	await bool   // there is an await
	edits []edit // what the engine's language lacks
}

// edit puts a text, not longer and filled up with spaces, in the place of what stands from one byte up to another: no position moves.
type edit struct {
	from, to int
	text     string
}

// edited is a text with its edits.
func edited(src string, edits []edit) string {
	b := []byte(src)
	for _, e := range edits {
		for i := e.from; i < e.to; i++ {
			b[i] = ' '
		}
		copy(b[e.from:e.to], e.text)
	}
	return string(b)
}

type scanner struct {
	src     string
	at      int
	found   scanned
	open    []bracket
	run     int  // operators and keywords since the last separator, between these brackets
	total   int  // of all brackets that are open
	operand bool // what stands before ends an operand: a slash divides, a newline may end a statement
	last    string
	arrows  int // of the bracket that was closed last
}

type bracket struct {
	c       byte
	run     int
	control bool // of if, for, while, with: what follows is a statement
	arrows  int
}

// scan looks over a text. It knows strings, comments, templates and regular expressions; where a slash could be either, it guesses.
func scan(src string) scanned {
	s := &scanner{src: src}
	for s.at < len(src) && s.found.deep == "" {
		s.token()
	}
	for _, b := range s.open {
		s.found.open = s.found.open || b.c == '`'
	}
	return s.found
}

func (s *scanner) peek(n int) byte {
	if s.at+n < len(s.src) {
		return s.src[s.at+n]
	}
	return 0
}

func (s *scanner) token() {
	if n := len(s.open); n > 0 && s.open[n-1].c == '`' {
		s.template()
		return
	}
	switch c := s.src[s.at]; {
	case c == '\n':
		if s.operand {
			s.separate()
		}
		s.at++
	case c == ' ' || c == '\t' || c == '\r':
		s.at++
	case c == '/' && s.peek(1) == '/':
		s.skipTo("\n")
	case c == '/' && s.peek(1) == '*':
		s.at += 2
		if !s.skipTo("*/") {
			s.found.open = true
		}
		s.at += 2
	case c == '/' && !s.operand:
		s.regexp()
	case c == '\'' || c == '"':
		s.quoted(c)
	case c == '`':
		s.push('`')
		s.at++
	case c == '(' || c == '[' || c == '{':
		s.push(c)
		s.at++
		s.operand, s.last = false, string(c)
	case c == ')' || c == ']' || c == '}':
		s.pop(c)
		s.at++
	case c == ',' || c == ';':
		s.separate()
		s.at++
		s.operand, s.last = false, string(c)
	case isWord(c):
		s.word()
	default:
		s.operator()
	}
}

// separate ends what was open between these brackets.
func (s *scanner) separate() { s.total, s.run = s.total-s.run, 0 }

func (s *scanner) count() {
	s.run++
	if s.total++; s.total > maxOperators {
		s.found.deep = "operators"
	}
}

func (s *scanner) push(c byte) {
	control := c == '(' && (s.last == "if" || s.last == "for" || s.last == "while" || s.last == "with")
	s.open = append(s.open, bracket{c: c, run: s.run, control: control})
	s.run = 0
	if len(s.open) > maxNesting {
		s.found.deep = "brackets"
	}
}

func (s *scanner) pop(c byte) {
	s.separate()
	s.operand, s.last, s.arrows = true, string(c), 0
	if n := len(s.open); n > 0 {
		b := s.open[n-1]
		s.open, s.run, s.operand, s.arrows = s.open[:n-1], b.run, !b.control, b.arrows
		s.arrow(b.arrows)
		if n > 1 && c == '}' && s.open[n-2].c == '`' {
			s.operand = false
		}
	}
}

// arrow notes in the bracket around that something in it has parameters so deep in each other.
func (s *scanner) arrow(depth int) {
	if n := len(s.open); n > 0 {
		s.open[n-1].arrows = max(s.open[n-1].arrows, depth)
	}
	if depth > maxArrows {
		s.found.deep = "parameters"
	}
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c == '\\' || c == '#' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (s *scanner) word() {
	from := s.at
	for s.at < len(s.src) && (isWord(s.src[s.at]) || s.src[s.at] == '.' && s.src[from] >= '0' && s.src[from] <= '9') {
		s.at++
	}
	w := s.src[from:s.at]
	if s.last == "}" && w != "else" && w != "catch" && w != "finally" && w != "while" && w != "in" && w != "of" && w != "instanceof" {
		s.separate()
	}
	if w[0] >= '0' && w[0] <= '9' && separated.MatchString(w) { // 1_000_000
		s.found.edits = append(s.found.edits, edit{from, s.at, strings.ReplaceAll(w, "_", "")})
	}
	member := s.last == "."
	if w == "await" && !member {
		s.found.await = true
		if s.last == "for" {
			s.found.edits = append(s.found.edits, edit{from, s.at, ""}) // a cursor is read by for…of: for await means the same here
			return                                                      // the bracket that follows is the for's
		}
	}
	s.operand = member || !strings.Contains(keywords, " "+w+" ")
	if !s.operand {
		s.count()
	}
	s.last = w
}

var separated = regexp.MustCompile(`^(?:[0-9a-zA-Z.]+_)+[0-9a-zA-Z.]+$`)

// keywords are those that more must follow.
const keywords = " async await case class delete do else export extends finally for function if import in instanceof new of return throw try typeof void while with yield "

func (s *scanner) operator() {
	c := s.src[s.at]
	switch {
	case c == '=' && s.peek(1) == '>':
		if s.last == ")" {
			s.arrow(s.arrows + 1)
		}
		s.at++
		s.count()
	case c == '.':
	case strings.IndexByte("*%&|^<>=?:", c) >= 0 && s.at > 0 && s.src[s.at-1] == c: // the second of ==, &&, **
	default:
		s.count()
	}
	s.at++
	s.last = string(c)
	s.operand = (c == '+' || c == '-') && s.at > 1 && s.src[s.at-2] == c && s.operand // a++
}

// quoted skips a string, which ends with its line.
func (s *scanner) quoted(q byte) {
	for s.at++; s.at < len(s.src) && s.src[s.at] != q && s.src[s.at] != '\n'; s.at++ {
		if s.src[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
	s.operand, s.last = true, "'"
}

// template skips the text of a template literal up to its end or to ${.
func (s *scanner) template() {
	for ; s.at < len(s.src); s.at++ {
		switch {
		case s.src[s.at] == '\\':
			s.at++
		case s.src[s.at] == '`':
			s.pop('`')
			s.at++
			return
		case s.src[s.at] == '$' && s.peek(1) == '{':
			s.push('{')
			s.at += 2
			s.operand, s.last = false, "{"
			return
		}
	}
}

func (s *scanner) regexp() {
	class := false
	for s.at++; s.at < len(s.src) && s.src[s.at] != '\n' && (class || s.src[s.at] != '/'); s.at++ {
		switch s.src[s.at] {
		case '\\':
			s.at++
		case '[':
			class = true
		case ']':
			class = false
		}
	}
	s.at++
	s.operand, s.last = true, "/"
}

// skipTo goes to the next end, which may be the text's.
func (s *scanner) skipTo(end string) bool {
	i := strings.Index(s.src[min(s.at, len(s.src)):], end)
	if i < 0 {
		s.at = len(s.src)
		return false
	}
	s.at += i
	return true
}
