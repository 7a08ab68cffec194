package js

import (
	"fmt"
	"maps"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/token"

	"respect/shell/render"
)

// compile parses a statement. Top-level let and const become var: what a person declared at the prompt can be declared again.
// maxNesting is how deep brackets may stand in each other. The parser's stack cannot be bounded, and its overflow ends the process.
const maxNesting = 5000

// tooDeep counts brackets without looking where they stand: in a string they count too.
func tooDeep(src string) bool {
	depth := 0
	for i := range len(src) {
		switch src[i] {
		case '(', '[', '{':
			if depth++; depth > maxNesting {
				return true
			}
		case ')', ']', '}':
			depth = max(depth-1, 0)
		}
	}
	return false
}

func (vm *VM) compile(name, src string) (*goja.Program, error) {
	if tooDeep(src) {
		return nil, fmt.Errorf("SyntaxError: brackets are nested deeper than %d levels", maxNesting)
	}
	prg, err := goja.Parse(name, src)
	if err != nil {
		return nil, syntaxError(err)
	}
	reordered, err := literalsOf(prg)
	if err != nil {
		return nil, err
	}
	maps.Copy(vm.reordered, reordered)
	b := []byte(src)
	for _, s := range prg.Body {
		d, ok := s.(*ast.LexicalDeclaration)
		if !ok {
			continue
		}
		i := int(d.Idx) - 1
		switch {
		case d.Token == token.LET && strings.HasPrefix(src[i:], "let"):
			copy(b[i:], "var")
		case d.Token == token.CONST && strings.HasPrefix(src[i:], "const"):
			copy(b[i:], "var  ")
		}
	}
	p, err := goja.Compile(name, string(b), false)
	if err != nil {
		return nil, syntaxError(err)
	}
	return p, nil
}

func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "SyntaxError: ")
	return fmt.Errorf("SyntaxError: %s", render.SafeLines(text))
}

// Complete says whether src is a whole statement; if not, more lines are wanted. What is wrong in another way is whole: evaluating it
// says what is wrong.
func Complete(src string) bool {
	if tooDeep(src) {
		return true // running it says so
	}
	_, err := goja.Parse("", src)
	if err == nil {
		return true
	}
	if strings.Contains(err.Error(), "Unexpected end of input") {
		return false
	}
	return !open(src)
}

// open says whether src ends inside a template literal or a block comment, which the parser reports as an illegal token.
func open(src string) bool {
	const (
		code = iota
		single
		double
		template
		line
		block
	)
	state := code
	for i := 0; i < len(src); i++ {
		c, next := src[i], byte(0)
		if i+1 < len(src) {
			next = src[i+1]
		}
		switch state {
		case code:
			switch {
			case c == '\'':
				state = single
			case c == '"':
				state = double
			case c == '`':
				state = template
			case c == '/' && next == '/':
				state = line
			case c == '/' && next == '*':
				state = block
				i++
			}
		case single, double, template:
			quote := map[int]byte{single: '\'', double: '"', template: '`'}[state]
			switch {
			case c == '\\':
				i++
			case c == quote, c == '\n' && state != template:
				state = code
			}
		case line:
			if c == '\n' {
				state = code
			}
		case block:
			if c == '*' && next == '/' {
				state = code
				i++
			}
		}
	}
	return state == template || state == block
}
