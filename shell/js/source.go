package js

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/parser"
	"github.com/dop251/goja/token"

	"respect/shell/render"
)

// compile makes a program of a text: of a statement, of a file, and of what eval and Function are given. What it declares at the top with let, const or class
// can be declared again, as at mongosh's prompt, and await may stand there.
func (vm *VM) compile(name, src string) (*goja.Program, error) {
	prg, err := parse(name, src)
	if err != nil {
		return nil, err
	}
	found, err := look(prg)
	if err != nil {
		return nil, err
	}
	vm.learn(found)
	found.evals.inTree()
	found.operators.inTree()
	redeclarable(prg)
	p, err := goja.CompileAST(prg, false)
	if err != nil {
		return nil, syntaxError(err)
	}
	return p, nil
}

// parse parses a text that is not too deep for it.
func parse(name, src string) (*ast.Program, error) {
	s := scan(src)
	if s.deep != "" {
		return nil, tooDeep(s.deep)
	}
	src = edited(src, s.edits)
	if s.await { // await (f)() would also be a call of a function of that name
		if prg, ok := parseAwait(name, src); ok {
			return prg, nil
		}
	}
	prg, err := goja.Parse(name, src, parser.WithDisableSourceMaps)
	if err != nil {
		return nil, syntaxError(err)
	}
	return prg, nil
}

func tooDeep(what string) error {
	switch what {
	case "operators":
		return fmt.Errorf("SyntaxError: more than %d operators stand in one expression: put the terms into a list, and use reduce or join", maxOperators)
	case "parameters":
		return fmt.Errorf("SyntaxError: parameters of functions are nested deeper than %d levels", maxArrows)
	}
	return fmt.Errorf("SyntaxError: brackets are nested deeper than %d levels", maxNesting)
}

func syntaxError(err error) error {
	text := strings.TrimPrefix(err.Error(), "SyntaxError: ")
	return fmt.Errorf("SyntaxError: %s", render.SafeLines(text))
}

// redeclarable makes let, const and class at the top what var is.
func redeclarable(prg *ast.Program) {
	for i, s := range prg.Body {
		var list []*ast.Binding
		switch s := s.(type) {
		case *ast.LexicalDeclaration:
			list = s.List
			for _, b := range list {
				if b.Initializer == nil { // let x is undefined, whatever x was before
					b.Initializer = undefined(s.Idx)
				}
			}
		case *ast.ClassDeclaration:
			list = []*ast.Binding{{Target: s.Class.Name, Initializer: s.Class}}
		default:
			continue
		}
		prg.Body[i] = &ast.VariableStatement{Var: s.Idx0(), List: list}
		prg.DeclarationList = append(prg.DeclarationList, &ast.VariableDeclaration{Var: s.Idx0(), List: list})
	}
}

func undefined(at file.Idx) ast.Expression {
	return &ast.UnaryExpression{Operator: token.VOID, Idx: at, Operand: &ast.NumberLiteral{Idx: at, Literal: "0", Value: int64(0)}}
}

// asyncHead and asyncTail make a text that awaits at its top the body of a function.
const asyncHead, asyncTail = "(async () => {", "\n})()"

// parseAwait parses a text that awaits at its top. It becomes an async function that is called at once; what it declares there is declared outside of it, and
// its last expression is what it comes to.
func parseAwait(name, src string) (*ast.Program, bool) {
	prg, err := goja.Parse(name, asyncHead+src+asyncTail, parser.WithDisableSourceMaps)
	if err != nil || len(prg.Body) != 1 {
		return nil, false
	}
	statement, _ := prg.Body[0].(*ast.ExpressionStatement)
	call, _ := statement.Expression.(*ast.CallExpression)
	if call == nil {
		return nil, false
	}
	fn, _ := call.Callee.(*ast.ArrowFunctionLiteral)
	if fn == nil {
		return nil, false
	}
	body, ok := fn.Body.(*ast.BlockStatement)
	if !ok || !awaits(body) {
		return nil, false
	}
	shift(reflect.ValueOf(prg.Body), len(asyncHead))
	out := &ast.Program{File: file.NewFile(name, src, 1)}
	inside := body.List[:0:0]
	for _, s := range body.List {
		switch s := s.(type) {
		case *ast.FunctionDeclaration:
			out.Body = append(out.Body, s)
		case *ast.VariableStatement:
			inside = outside(out, inside, s.Var, s.List)
			fn.DeclarationList = without(fn.DeclarationList, s.List)
		case *ast.LexicalDeclaration:
			inside = outside(out, inside, s.Idx, s.List)
		case *ast.ClassDeclaration:
			inside = outside(out, inside, s.Class.Class, []*ast.Binding{{Target: s.Class.Name, Initializer: s.Class}})
		default:
			inside = append(inside, s)
		}
	}
	if n := len(inside); n > 0 {
		if last, ok := inside[n-1].(*ast.ExpressionStatement); ok && inside[n-1] == body.List[len(body.List)-1] {
			inside[n-1] = &ast.ReturnStatement{Return: last.Idx0(), Argument: last.Expression}
		}
	}
	body.List = inside
	out.Body = append(out.Body, statement)
	return out, true
}

// awaits says whether a function's body awaits something itself, and not in another function.
func awaits(body *ast.BlockStatement) (found bool) {
	nodes(reflect.ValueOf(body.List), func(v reflect.Value, _ int) bool {
		switch v.Addr().Interface().(type) {
		case *ast.AwaitExpression:
			found = true
		case *ast.FunctionLiteral, *ast.ArrowFunctionLiteral:
			return false
		}
		return !found
	})
	return found
}

// outside declares variables outside of the function, and sets them inside.
func outside(prg *ast.Program, inside []ast.Statement, at file.Idx, list []*ast.Binding) []ast.Statement {
	prg.DeclarationList = append(prg.DeclarationList, &ast.VariableDeclaration{Var: at, List: list})
	for _, b := range list {
		value := b.Initializer
		if value == nil {
			value = undefined(at)
		}
		inside = append(inside, &ast.ExpressionStatement{Expression: &ast.AssignExpression{Operator: token.ASSIGN, Left: b.Target, Right: value}})
	}
	return inside
}

// without is a list of declarations without those of some variables.
func without(of []*ast.VariableDeclaration, list []*ast.Binding) []*ast.VariableDeclaration {
	var out []*ast.VariableDeclaration
	for _, d := range of {
		if len(d.List) == 0 || d.List[0] != list[0] {
			out = append(out, d)
		}
	}
	return out
}

// shift moves all positions in a tree back by n.
func shift(tree reflect.Value, n int) {
	nodes(tree, func(v reflect.Value, _ int) bool {
		for i := range v.NumField() {
			if f := v.Field(i); f.Type() == reflect.TypeFor[file.Idx]() && f.Int() > int64(n) {
				f.SetInt(f.Int() - int64(n))
			}
		}
		return true
	})
}

// Complete says whether src is a whole statement; if not, more lines are wanted. What is wrong in another way is whole: evaluating it
// says what is wrong.
func Complete(src string) bool {
	s := scan(src)
	if s.deep != "" {
		return true // running it says so
	}
	src = edited(src, s.edits)
	_, err := goja.Parse("", src, parser.WithDisableSourceMaps)
	if err != nil && s.await {
		if _, ok := parseAwait("", src); ok {
			return true
		}
		_, err = goja.Parse("", asyncHead+src, parser.WithDisableSourceMaps)
	}
	switch {
	case err == nil:
		return true
	case strings.Contains(err.Error(), "Unexpected end of input"):
		return false
	}
	return !s.open
}
