package js

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja/ast"

	"respect/shell/render"
)

// An object literal is not always the object that was typed: of two fields of one name JavaScript keeps the last, and names like "1" come first,
// wherever they stood. The first is refused when a script is compiled, the second when such an object becomes BSON. Code that is made at run time
// (eval, Function) is not looked at.

// maxDepthOfLiterals bounds the stack: what is nested deeper is not looked at.
const maxDepthOfLiterals = 10_000

type literals struct {
	seen      map[uintptr]bool
	reordered map[string][]string // fields in JavaScript's order -> as typed
	err       *Refusal
}

// literalsOf finds the object literals of a program.
func literalsOf(prg *ast.Program) (reordered map[string][]string, err error) {
	l := &literals{seen: map[uintptr]bool{}, reordered: map[string][]string{}}
	l.walk(reflect.ValueOf(prg.Body), 0)
	if l.err != nil {
		return nil, l.err
	}
	return l.reordered, nil
}

// walk visits all nodes. The syntax tree has no visitor of its own.
func (l *literals) walk(v reflect.Value, depth int) {
	if l.err != nil || depth > maxDepthOfLiterals {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		l.walk(v.Elem(), depth)
	case reflect.Pointer:
		if v.IsNil() || l.seen[v.Pointer()] || v.Type().Elem().PkgPath() != "github.com/dop251/goja/ast" {
			return
		}
		l.seen[v.Pointer()] = true
		if o, ok := v.Interface().(*ast.ObjectLiteral); ok {
			l.object(o)
		}
		l.walk(v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() {
				l.walk(f, depth+1)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			l.walk(v.Index(i), depth+1)
		}
	}
}

func (l *literals) object(o *ast.ObjectLiteral) {
	var typed []string
	for _, p := range o.Value {
		name, ok := fieldName(p)
		if !ok {
			return // computed or spread: the names are not known here
		}
		if slices.Contains(typed, name) {
			l.err = &Refusal{
				Text: fmt.Sprintf("an object has the field %q twice: JavaScript would keep the last and say nothing", render.Safe(name)),
				Hint: "for two conditions on one field: {$and: [{…}, {…}]}",
			}
			return
		}
		typed = append(typed, name)
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
