package js

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/token"

	"respect/shell/render"
)

// An object literal is not always the object that was typed: of two fields of one name JavaScript keeps the last, and names like "1" come first, wherever they
// stood. The first is refused when a script is compiled, the second when such an object becomes BSON. An integer of too many digits is another number, which is
// refused where it becomes BSON too.

// literals are what a look at a program finds.
type literals struct {
	reordered map[string][]string // fields in JavaScript's order -> as typed
	inexact   map[float64]string  // numbers -> the digits that were typed, some of which are lost
	evals     evals
	operators bigOperators
	catches   bool
	err       error
}

// look finds the literals of a program, and its calls of eval.
func look(prg *ast.Program) (*literals, error) {
	l := &literals{reordered: map[string][]string{}, inexact: map[float64]string{}}
	nodes(reflect.ValueOf(prg.Body), func(v reflect.Value, depth int) bool {
		if depth > maxNesting && l.err == nil {
			l.err = fmt.Errorf("SyntaxError: expressions are nested deeper than %d levels: put the terms of a long chain of operators into a list, and use reduce or join", maxNesting)
		}
		switch n := v.Addr().Interface().(type) {
		case *ast.ObjectLiteral:
			l.object(n)
		case *ast.NumberLiteral:
			l.number(n)
		case *ast.LexicalDeclaration:
			l.declaration(n)
		}
		l.catches = l.catches || catches(v.Addr().Interface())
		l.evals.find(v)
		l.operators.find(v)
		return true
	})
	if l.err != nil {
		return nil, l.err
	}
	return l, nil
}

// learn keeps what conversions must know of the literals.
func (vm *VM) learn(l *literals) {
	maps.Copy(vm.reordered, l.reordered)
	maps.Copy(vm.inexact, l.inexact)
	vm.catches = vm.catches || l.catches
}

// nodes calls f with each node of a syntax tree, a struct, and with how many expressions and statements it stands in. If f says so, it goes on with what is in
// it. The tree has no visitor of its own. It is gone through without a stack: a tree may be as deep as the text is long.
func nodes(tree reflect.Value, f func(node reflect.Value, depth int) bool) {
	type place struct {
		v     reflect.Value
		depth int
	}
	seen := map[uintptr]bool{}
	todo := []place{{tree, 0}}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch v := p.v; v.Kind() {
		case reflect.Interface:
			todo = append(todo, place{v.Elem(), p.depth})
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] || v.Type().Elem().PkgPath() != "github.com/dop251/goja/ast" {
				continue
			}
			seen[v.Pointer()] = true
			_, isProperty := v.Interface().(ast.Property)
			if _, isExpression := v.Interface().(ast.Expression); isExpression && !isProperty {
				p.depth++
			} else if _, isStatement := v.Interface().(ast.Statement); isStatement {
				p.depth++
			}
			todo = append(todo, place{v.Elem(), p.depth})
		case reflect.Struct: // behind a pointer or in a list, and so addressable
			if !f(v, p.depth) {
				continue
			}
			for i := v.NumField() - 1; i >= 0; i-- {
				if v.Type().Field(i).IsExported() {
					todo = append(todo, place{v.Field(i), p.depth})
				}
			}
		case reflect.Slice:
			for i := v.Len() - 1; i >= 0; i-- {
				todo = append(todo, place{v.Index(i), p.depth})
			}
		}
	}
}

// declaration refuses what the engine's parser lets pass.
func (l *literals) declaration(d *ast.LexicalDeclaration) {
	for _, b := range d.List {
		name, plain := b.Target.(*ast.Identifier)
		switch {
		case l.err != nil:
		case plain && name.Name == "let":
			l.err = errors.New("SyntaxError: let is disallowed as a lexically bound name")
		case d.Token == token.CONST && b.Initializer == nil:
			l.err = errors.New("SyntaxError: Missing initializer in const declaration")
		}
	}
}

// number notes an integer some of whose digits a double has no room for.
func (l *literals) number(n *ast.NumberLiteral) {
	f, ok := n.Value.(float64)
	if !ok || math.Abs(f) < 1<<53 || math.IsInf(f, 0) {
		return
	}
	typed, ok := new(big.Int).SetString(strings.ReplaceAll(n.Literal, "_", ""), 0)
	if !ok {
		return // it has a point or an exponent: so exact was not meant
	}
	if exact, _ := big.NewFloat(f).Int(nil); exact.Cmp(typed) != 0 {
		l.inexact[f] = n.Literal
	}
}

func (l *literals) object(o *ast.ObjectLiteral) {
	var typed fieldList
	for _, p := range o.Value {
		name, ok := fieldName(p)
		if !ok {
			return // computed or spread: the names are not known here
		}
		if typed.add(name) && l.err == nil {
			l.err = twice(name)
			return
		}
	}
	l.order(typed.names)
}

// fieldList are the names of an object's fields, in order.
type fieldList struct {
	names []string
	set   map[string]bool // the same, when there are many
}

// add adds a name and says whether it was there.
func (f *fieldList) add(name string) (there bool) {
	const many = 32
	if f.set == nil {
		there = slices.Contains(f.names, name)
	} else {
		there = f.set[name]
		f.set[name] = true
	}
	if f.names = append(f.names, name); len(f.names) == many {
		f.set = map[string]bool{}
		for _, n := range f.names {
			f.set[n] = true
		}
	}
	return there
}

// order notes fields that JavaScript does not keep in the order of the text.
func (l *literals) order(typed []string) {
	if !slices.ContainsFunc(typed, func(s string) bool { _, ok := arrayIndex(s); return ok }) {
		return
	}
	js := slices.Clone(typed)
	slices.SortStableFunc(js, func(a, b string) int {
		m, isM := arrayIndex(a)
		n, isN := arrayIndex(b)
		switch {
		case isM && isN:
			return int(min(max(m-n, -1), 1))
		case isM:
			return -1
		case isN:
			return 1
		}
		return 0
	})
	if !slices.Equal(js, typed) {
		l.reordered[fields(js)] = typed
	}
}

func twice(name string) *Refusal {
	return &Refusal{
		Text: fmt.Sprintf("an object has the field %q twice: JavaScript would keep the last and say nothing", render.Safe(name)),
		Hint: "for two conditions on one field: {$and: [{…}, {…}]}",
	}
}

// fieldName is the name of a plain field. Getters and setters come in pairs of one name; the conversion refuses them.
func fieldName(p ast.Property) (string, bool) {
	switch p := p.(type) {
	case *ast.PropertyShort:
		return string(p.Name.Name.String()), true
	case *ast.PropertyKeyed:
		if p.Computed || (p.Kind != ast.PropertyKindValue && p.Kind != ast.PropertyKindMethod) {
			return "", false
		}
		switch k := p.Key.(type) {
		case *ast.StringLiteral:
			return k.Value.String(), k.Value.String() != "__proto__"
		case *ast.Identifier:
			return k.Name.String(), true
		case *ast.NumberLiteral:
			return fmt.Sprint(k.Value), true
		}
	}
	return "", false
}

// arrayIndex says whether the language puts a name first: 0, 1, … 2^32-2, written without leading zeros.
// Source: https://tc39.es/ecma262/#sec-ordinaryownpropertykeys
func arrayIndex(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return int64(n), err == nil && n < 1<<32-1 && strconv.FormatUint(n, 10) == s
}

func fields(names []string) string { return strings.Join(names, "\x00") }
