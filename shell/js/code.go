package js

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
)

// Code that is made at run time is looked at like what is typed. The engine compiles what eval and Function are given, and asks nobody, so
//
//	Function(a, b)     is a function of ours, which compiles it
//	(0, eval)(a)       is one too: globalThis.eval
//	eval(a)            sees the variables around it, which only the engine's own can. It is compiled as eval(checked(a)); in a, the same is done in its text
const (
	checked  = "$checked" // the name of the function that looks at a text: nothing depends on nobody calling it
	evalName = "<eval>"   // where code made at run time says that it stands
)

func (vm *VM) defineCode() error {
	if _, err := vm.rt.RunString("const eval = globalThis.eval"); err != nil { // what a call of eval by its name means
		return err
	}
	global := vm.rt.GlobalObject()
	hide := func(on *goja.Object, name string, v any) {
		vm.must(on.DefineDataProperty(name, vm.rt.ToValue(v), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
	vm.method(global, checked, func(_ goja.Value, a args) goja.Value {
		if _, isString := a.at(0).(goja.String); !isString {
			return a.at(0)
		}
		return vm.rt.ToValue(vm.checkedText(a.at(0).String()))
	})
	global.Delete("eval")
	vm.method(global, "eval", func(_ goja.Value, a args) goja.Value {
		if _, isString := a.at(0).(goja.String); !isString {
			return a.at(0)
		}
		return vm.runText(evalName, a.at(0).String())
	})
	for _, kind := range []string{"function", "function*", "async function"} {
		v, err := vm.rt.RunString("(" + kind + "() {}).constructor")
		if err != nil {
			return err
		}
		vm.redefine(v.ToObject(vm.rt), kind, hide)
	}
	return nil
}

// redefine puts a constructor of functions in the place of the engine's.
func (vm *VM) redefine(original *goja.Object, kind string, hide func(*goja.Object, string, any)) {
	proto := original.Get("prototype").ToObject(vm.rt)
	var f *goja.Object
	f = vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		obj := vm.functionOf(kind, call.Arguments)
		if call.NewTarget != nil && call.NewTarget != f { // a class of a script's that extends this one
			vm.must(obj.SetPrototype(call.NewTarget.Get("prototype").ToObject(vm.rt)))
		}
		return obj
	}).(*goja.Object)
	name := original.Get("name").String()
	vm.must(f.DefineDataProperty("name", vm.rt.ToValue(name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	vm.must(f.DefineDataProperty("prototype", proto, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	hide(proto, "constructor", f)
	if name == "Function" {
		hide(vm.rt.GlobalObject(), name, f)
	} else {
		vm.must(f.SetPrototype(vm.rt.Get("Function").ToObject(vm.rt)))
	}
}

// functionOf is what the constructors of functions make: of parameters and a body, all text.
// Source: https://tc39.es/ecma262/#sec-createdynamicfunction
func (vm *VM) functionOf(kind string, values []goja.Value) *goja.Object {
	var params []string
	body := ""
	for i, v := range values {
		if s := v.String(); i < len(values)-1 {
			params = append(params, s)
		} else {
			body = s
		}
	}
	src := "(" + kind + " anonymous(" + strings.Join(params, ",") + "\n) {\n" + body + "\n})"
	for _, part := range []string{"(" + kind + " anonymous(\n) {\n" + body + "\n})", "(" + kind + " anonymous(" + strings.Join(params, ",") + "\n) {})", src} {
		prg, err := parse(evalName, part)
		if err != nil {
			vm.throwSyntax(err)
		}
		ok := false
		if statement, is := prg.Body[0].(*ast.ExpressionStatement); is && len(prg.Body) == 1 {
			_, ok = statement.Expression.(*ast.FunctionLiteral)
		}
		if !ok {
			vm.throwSyntax(errors.New("SyntaxError: the parameters and the body are not those of one function"))
		}
	}
	return vm.runText(evalName, src).ToObject(vm.rt)
}

// runText compiles and runs a text as a script of its own.
func (vm *VM) runText(name, src string) goja.Value {
	p, err := vm.compile(name, src)
	if err != nil {
		vm.throwSyntax(err)
	}
	v, err := vm.rt.RunProgram(p)
	if err != nil {
		vm.throw(err)
	}
	return v
}

// throwSyntax throws a SyntaxError that a script can catch; a refusal it cannot.
func (vm *VM) throwSyntax(err error) {
	if refusal := new(Refusal); errors.As(err, &refusal) {
		vm.throw(err)
	}
	obj, e := vm.newSyntaxError(nil, vm.rt.ToValue(strings.TrimPrefix(err.Error(), "SyntaxError: ")))
	vm.must(e)
	panic(obj)
}

// checkedText looks at a text that is given to eval, and returns it with the same done to the calls of eval in it.
func (vm *VM) checkedText(src string) string {
	prg, err := parse(evalName, src)
	if err != nil {
		vm.throwSyntax(err)
	}
	found, err := look(prg)
	if err != nil {
		vm.throwSyntax(err)
	}
	vm.learn(found)
	edits := map[int]string{}
	found.operators.inText(edits)
	return found.evals.inText(prg.File.Source(), edits)
}

// evals are where a program uses eval: calls by its name, and its name elsewhere.
type evals struct {
	calls  []*ast.CallExpression
	names  []reflect.Value // fields and elements of lists that hold an identifier
	shorts []reflect.Value // elements of object literals: {eval}
}

// find looks for uses of eval in a node.
func (e *evals) find(node reflect.Value) {
	call, isCall := node.Addr().Interface().(*ast.CallExpression)
	if isCall && isEval(call.Callee) {
		e.calls = append(e.calls, call)
	}
	if o, ok := node.Addr().Interface().(*ast.ObjectLiteral); ok {
		for i, p := range o.Value {
			if short, ok := p.(*ast.PropertyShort); ok && short.Name.Name == "eval" {
				e.shorts = append(e.shorts, reflect.ValueOf(o.Value).Index(i))
			}
		}
	}
	for i := range node.NumField() {
		switch f, name := node.Field(i), node.Type().Field(i).Name; {
		case f.Type() == reflect.TypeFor[ast.Expression]():
			if x, ok := f.Interface().(ast.Expression); ok && isEval(x) && name != "Key" && !(isCall && name == "Callee") {
				e.names = append(e.names, f)
			}
		case f.Type() == reflect.TypeFor[[]ast.Expression]():
			for j := range f.Len() {
				if x, ok := f.Index(j).Interface().(ast.Expression); ok && isEval(x) {
					e.names = append(e.names, f.Index(j))
				}
			}
		}
	}
}

func isEval(x ast.Expression) bool {
	id, ok := x.(*ast.Identifier)
	return ok && id.Name == "eval"
}

// inTree makes calls look at what they are given, and other uses those of our function.
func (e *evals) inTree() {
	for _, c := range e.calls {
		look := &ast.CallExpression{Callee: &ast.Identifier{Name: checked, Idx: c.LeftParenthesis}, LeftParenthesis: c.LeftParenthesis, ArgumentList: c.ArgumentList, RightParenthesis: c.RightParenthesis}
		c.ArgumentList = []ast.Expression{look}
	}
	ours := func(at file.Idx) ast.Expression {
		return &ast.DotExpression{Left: &ast.Identifier{Name: "globalThis", Idx: at}, Identifier: ast.Identifier{Name: "eval", Idx: at}}
	}
	for _, n := range e.names {
		n.Set(reflect.ValueOf(ours(n.Interface().(*ast.Identifier).Idx)))
	}
	for _, s := range e.shorts {
		at := s.Interface().(*ast.PropertyShort).Name.Idx
		s.Set(reflect.ValueOf(&ast.PropertyKeyed{Key: &ast.StringLiteral{Idx: at, Literal: "'eval'", Value: "eval"}, Kind: ast.PropertyKindValue, Value: ours(at)}))
	}
}

// inText does in a text what inTree does in its tree. edits is what else to put before a place.
func (e *evals) inText(src string, edits map[int]string) string {
	for _, c := range e.calls {
		edits[int(c.LeftParenthesis)] = checked + "(" + edits[int(c.LeftParenthesis)]
		edits[int(c.RightParenthesis)-1] += ")"
	}
	for _, n := range e.names {
		edits[int(n.Interface().(*ast.Identifier).Idx)-1] += "globalThis."
	}
	for _, s := range e.shorts {
		edits[int(s.Interface().(*ast.PropertyShort).Name.Idx)-1] += "eval: globalThis."
	}
	var b strings.Builder
	at := 0
	for _, i := range slices.Sorted(maps.Keys(edits)) {
		b.WriteString(src[at:i] + edits[i])
		at = i
	}
	return b.String() + src[at:]
}
