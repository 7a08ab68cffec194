package js

import (
	"math/big"
	"reflect"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/token"
	"github.com/dop251/goja/unistring"
)

// Two operators of BigInt have results far longer than what stands there: 2n ** n and 1n << n. They are no functions that could be bounded, so the compiler is given
// calls of functions in their place. A number behind the operator is no BigInt, and such an expression is left alone.
const powerOf, shiftBy = "$power", "$shift"

// bounding are the functions for operators.
var bounding = map[token.Token]string{token.EXPONENT: powerOf, token.SHIFT_LEFT: shiftBy}

// bigOperators are where a program has such operators.
type bigOperators struct {
	places   []reflect.Value         // fields and elements of lists that hold an *ast.BinaryExpression, each before what stands in it
	compound []*ast.AssignExpression // x **= y
}

func (o *bigOperators) find(node reflect.Value) {
	if a, ok := node.Addr().Interface().(*ast.AssignExpression); ok && bounding[a.Operator] != "" && mayBeBig(a.Right) {
		o.compound = append(o.compound, a)
	}
	for i := range node.NumField() {
		switch f := node.Field(i); {
		case f.Kind() == reflect.Interface && f.CanSet():
			o.place(f)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Interface:
			for j := range f.Len() {
				o.place(f.Index(j))
			}
		}
	}
}

func (o *bigOperators) place(f reflect.Value) {
	if b, ok := f.Interface().(*ast.BinaryExpression); ok && bounding[b.Operator] != "" && mayBeBig(b.Right) {
		o.places = append(o.places, f)
	}
}

// mayBeBig says whether an operand may be a BigInt that is not small.
func mayBeBig(x ast.Expression) bool {
	n, ok := x.(*ast.NumberLiteral)
	if !ok {
		return true
	}
	b, ok := n.Value.(*big.Int)
	return ok && b.BitLen() > 7
}

// inTree puts calls in the place of operators, what stands inside first. Of x **= y it bounds y alone: x may be an expression that must be evaluated once.
func (o *bigOperators) inTree() {
	for i := len(o.places) - 1; i >= 0; i-- {
		b := o.places[i].Interface().(*ast.BinaryExpression)
		at := b.Idx0()
		o.places[i].Set(reflect.ValueOf(&ast.CallExpression{
			Callee: &ast.Identifier{Name: unistring.NewFromString(bounding[b.Operator]), Idx: at}, LeftParenthesis: at, ArgumentList: []ast.Expression{b.Left, b.Right}, RightParenthesis: b.Idx1() - 1,
		}))
	}
	for _, a := range o.compound {
		at := a.Right.Idx0()
		a.Right = &ast.CallExpression{Callee: &ast.Identifier{Name: unistring.NewFromString(bounding[a.Operator]), Idx: at}, LeftParenthesis: at, ArgumentList: []ast.Expression{a.Right}, RightParenthesis: a.Right.Idx1() - 1}
	}
}

// inText bounds in a text what stands behind each operator. What stands before it is not looked at.
func (o *bigOperators) inText(edits map[int]string) {
	add := func(op token.Token, right ast.Expression) {
		edits[int(right.Idx0())-1] += bounding[op] + "(("
		edits[int(right.Idx1())-1] = "))" + edits[int(right.Idx1())-1]
	}
	for _, p := range o.places {
		b := p.Interface().(*ast.BinaryExpression)
		add(b.Operator, b.Right)
	}
	for _, a := range o.compound {
		add(a.Operator, a.Right)
	}
}

// defineOperators makes the functions that stand for operators. With one argument they return it, if it is not too large.
func (vm *VM) defineOperators() error {
	n, err := vm.rt.RunString("x => -(-x)")
	if err != nil {
		return err
	}
	toNumeric, _ := goja.AssertFunction(n)
	numeric := func(v goja.Value) goja.Value { // an object says once which number it is, perhaps a BigInt
		if !isObject(v) {
			return v
		}
		v, err := toNumeric(goja.Undefined(), v)
		if err != nil {
			vm.throw(err)
		}
		return v
	}
	for op, source := range map[string]string{powerOf: "(x, y) => x ** y", shiftBy: "(x, y) => x << y"} {
		v, err := vm.rt.RunString(source)
		if err != nil {
			return err
		}
		f, _ := goja.AssertFunction(v)
		vm.method(vm.rt.GlobalObject(), op, func(_ goja.Value, a args) goja.Value {
			if len(a.values) == 1 {
				v := numeric(a.at(0))
				if y, ok := bigOf(v); ok && y.CmpAbs(big.NewInt(128)) > 0 {
					vm.tooLarge("a BigInt of %s at once, in an assignment: write x = x %s y", y.Text(10)[:min(20, len(y.Text(10)))], map[string]string{powerOf: "**", shiftBy: "<<"}[op])
				}
				return v
			}
			x, y := numeric(a.at(0)), numeric(a.at(1))
			vm.boundBig(op, x, y)
			v, err := f(goja.Undefined(), x, y)
			if err != nil {
				vm.throw(err)
			}
			return v
		})
	}
	return nil
}

var bigType = reflect.TypeFor[*big.Int]()

// bigOf is a value that is a BigInt.
func bigOf(v goja.Value) (*big.Int, bool) {
	if isObject(v) || v.ExportType() != bigType {
		return nil, false
	}
	return exported[*big.Int](v)
}

func (vm *VM) boundBig(op string, left, right goja.Value) {
	x, ok1 := bigOf(left)
	y, ok2 := bigOf(right)
	if !ok1 || !ok2 || y.Sign() <= 0 || x.Sign() == 0 || op == powerOf && x.CmpAbs(big.NewInt(1)) == 0 {
		return
	}
	bits := big.NewInt(int64(x.BitLen()))
	if op == powerOf {
		bits.Mul(bits, y)
	} else {
		bits.Add(bits, y)
	}
	if bits.Cmp(big.NewInt(maxBits)) > 0 {
		vm.tooLarge("Maximum BigInt size exceeded: more than %d bits", maxBits)
	}
}
