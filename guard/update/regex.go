package update

import (
	"bytes"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The server's regular expressions are PCRE2 in UTF mode, ours are RE2. A pattern is decided here only if it is made of what both read alike, and only
// on strings on which they cannot differ: they disagree about line ends, about case beyond ASCII, and about when to give up.
//
// Sources: https://www.mongodb.com/docs/manual/reference/operator/query/regex/, https://www.pcre.org/current/doc/html/pcre2pattern.html,
// https://github.com/google/re2/wiki/Syntax

// pattern is a regular expression of a filter.
type pattern struct {
	source, options []byte
	re              *regexp.Regexp // nil: not decided
	lines           bool           // line ends and white space in the string matter
	fold            bool
	repeats         int
}

func newPattern(source, options []byte) *pattern {
	p := &pattern{source: source, options: options}
	r := reader{in: string(source), fold: bytes.ContainsRune(options, 'i'), multi: bytes.ContainsRune(options, 'm')}
	if len(bytes.Trim(options, "ims")) > 0 || !utf8.Valid(source) || !r.pattern() {
		return p
	}
	flags := ""
	for _, f := range "ims" {
		if bytes.ContainsRune(options, f) {
			flags += string(f)
		}
	}
	if flags != "" {
		flags = "(?" + flags + ")"
	}
	re, err := regexp.Compile(flags + r.in)
	if err == nil {
		p.re, p.lines, p.fold, p.repeats = re, r.lines, r.fold, r.repeats
	}
	return p
}

// maxEffort bounds what backtracking could cost the server: beyond its limit it answers with an error.
const maxEffort = 1e6

func (p *pattern) matches(v value) Answer {
	switch v.t {
	case bson.TypeString, bson.TypeSymbol:
	case bson.TypeRegex:
		s, o := v.regex()
		return answer(bytes.Equal(s, p.source) && bytes.Equal(o, p.options))
	default:
		return No
	}
	s := v.text()
	switch {
	case p.re == nil,
		!utf8.Valid(s),
		p.fold && bytes.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }),
		p.lines && bytes.ContainsFunc(s, lineEnd),
		math.Pow(float64(len(s)+1), float64(p.repeats+1)) > maxEffort:
		return Undecidable
	}
	return answer(p.re.Match(s))
}

// lineEnd: what one of the two could take for the end of a line, or for white space.
func lineEnd(r rune) bool {
	return r < ' ' || r == 0x7f || r == 0x85 || r == 0xa0 || r == 0x2028 || r == 0x2029
}

// reader goes through a pattern and stops at what it does not know to be portable.
type reader struct {
	in          string
	i           int
	fold, multi bool
	lines       bool
	repeats     int
}

func (r *reader) peek() byte {
	if r.i < len(r.in) {
		return r.in[r.i]
	}
	return 0
}

func (r *reader) pattern() bool {
	_, ok := r.alternatives(0)
	return ok && r.i == len(r.in)
}

// alternatives reads up to the end or a closing parenthesis. repeats says whether something in it is repeated: repeated again, it could take forever.
func (r *reader) alternatives(depth int) (repeats, ok bool) {
	if depth > 20 {
		return false, false
	}
	for r.i < len(r.in) && r.peek() != ')' {
		if r.peek() == '|' {
			r.i++
			continue
		}
		repeatable, inner, ok := r.atom(depth)
		if !ok {
			return false, false
		}
		n, ok := r.quantifier()
		if !ok || n && (!repeatable || inner) {
			return false, false
		}
		repeats = repeats || n || inner
	}
	return repeats, true
}

// atom reads one character, class, group or assertion.
func (r *reader) atom(depth int) (repeatable, inner, ok bool) {
	c := r.peek()
	r.i++
	switch c {
	case '(':
		if r.peek() == '?' {
			if !strings.HasPrefix(r.in[r.i:], "?:") {
				return false, false, false
			}
			r.i += 2
		}
		if r.peek() == '*' { // a verb of PCRE
			return false, false, false
		}
		inner, ok = r.alternatives(depth + 1)
		if !ok || r.peek() != ')' {
			return false, false, false
		}
		r.i++
		return true, inner, true
	case '[':
		return true, false, r.class()
	case '\\':
		return r.escape()
	case '.':
		r.lines = true
		return true, false, true
	case '^':
		r.lines = r.lines || r.multi
		return false, false, true
	case '$':
		r.lines = true
		return false, false, true
	case '*', '+', '?', '{', '}', ']':
		return false, false, false
	}
	if c >= utf8.RuneSelf {
		_, n := utf8.DecodeRuneInString(r.in[r.i-1:])
		r.i += n - 1
		return true, false, !r.fold
	}
	return true, false, c >= ' ' && c < 0x7f
}

func (r *reader) escape() (repeatable, inner, ok bool) {
	c := r.peek()
	r.i++
	switch {
	case strings.IndexByte("dwDW", c) >= 0 && c != 0:
		return true, false, true
	case c == 's' || c == 'S':
		r.lines = true
		return true, false, true
	case c == 'b' || c == 'B':
		return false, false, true
	}
	return true, false, punctuation(c)
}

// punctuation: escaped, it means itself in both.
func punctuation(c byte) bool {
	return c > ' ' && c < 0x7f && !alphanumeric(c)
}

func alphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// class reads [abc], [^abc], [a-z] of ASCII characters.
func (r *reader) class() bool {
	if r.peek() == '^' {
		r.i++
	}
	for n := 0; ; n++ {
		c := r.peek()
		r.i++
		switch {
		case c == ']':
			return n > 0
		case c == '\\':
			if _, _, ok := r.escape(); !ok || r.in[r.i-1] == 'b' || r.in[r.i-1] == 'B' {
				return false
			}
			if r.peek() == '-' && !strings.HasPrefix(r.in[r.i:], "-]") {
				return false
			}
		case !literal(c) && (c != '-' || n > 0 && r.peek() != ']'):
			return false
		case r.peek() == '-' && !strings.HasPrefix(r.in[r.i:], "-]"):
			r.i++
			d := r.peek()
			r.i++
			if !alphanumeric(c) || !alphanumeric(d) || d < c {
				return false
			}
		case r.peek() == '-':
			r.i++
		}
	}
}

// literal: it means itself in a class.
func literal(c byte) bool {
	return alphanumeric(c) || c != 0 && strings.IndexByte(" !\"#%&'()*+,./:;<=>?@_`{|}~$", c) >= 0
}

// quantifier reads *, +, ?, {n}, {n,}, {n,m}, and a ? behind it. A possessive one is not portable.
func (r *reader) quantifier() (found, ok bool) {
	switch c := r.peek(); c {
	case '*', '+', '?':
		r.i++
	case '{':
		end := strings.IndexByte(r.in[r.i:], '}')
		if end < 0 || !bounds(r.in[r.i+1:r.i+end]) {
			return false, false
		}
		r.i += end + 1
	default:
		return false, true
	}
	r.repeats++
	if r.peek() == '?' {
		r.i++
	}
	return true, strings.IndexByte("*+?{", r.peek()) < 0 || r.peek() == 0
}

func bounds(s string) bool {
	low, high, two := strings.Cut(s, ",")
	m, err := strconv.ParseUint(low, 10, 8)
	if err != nil || !two || high == "" {
		return err == nil
	}
	n, err := strconv.ParseUint(high, 10, 8)
	return err == nil && m <= n
}
