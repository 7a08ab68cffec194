package js

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dlclark/regexp2/v2"
	"github.com/dop251/goja"
)

// The language's own functions are Go here. While one runs the engine does not look whether it is to stop. So each that a small argument makes run for ever, or take
// all memory, is bounded: by what it is given where that tells, by counting while it runs where it does not. What a script can do with a loop of its own is not bounded
// here: that is stopped like any loop.
//
// A bound stands in the function itself (replace), not in another one of its name: goja compares its functions by identity to know whether
// a script has replaced them, and is ten times slower with regular expressions if one has.

// The bounds.
const (
	maxString   = 1<<28 - 16 // characters of a string that is made at once, as V8 has on 32 bits
	maxElements = 1 << 25    // of an array that is gone through or made at once
	maxNested   = 1 << 22    // elements of arrays in arrays, properties of objects in objects, that become one text
	maxArgs     = 1 << 20    // of a call that takes them from a list
	maxBuffer   = 1 << 30    // bytes
	maxBits     = 1 << 24    // of a BigInt
	maxPattern  = 1 << 21    // characters of a regular expression
	maxDeep     = 2000       // levels of arrays in arrays, of objects in objects
)

// matchTime bounds an attempt to match. Tests have less patience.
var matchTime = 1500 * time.Millisecond

// matching bounds each attempt to match. What takes longer is told by goja as no match: see timed.
var matching = sync.OnceFunc(func() { regexp2.DefaultMatchTimeout = matchTime })

// native is a function of the language's.
type native = func(goja.FunctionCall) goja.Value

// replace puts another function into a function of the language's: what it does changes, what it is does not.
func (vm *VM) replace(fn goja.Value, with func(original native) native) error {
	obj, ok := fn.(*goja.Object)
	if !ok {
		return errors.New("js: internal error: the engine lacks a function")
	}
	f := field(field(reflect.ValueOf(obj).Elem(), "self").Elem().Elem(), "f")
	if !f.IsValid() || f.Type() != reflect.TypeFor[native]() || f.IsNil() {
		return errors.New("js: internal error: a function of the engine is not the one that natives.go knows")
	}
	f.Set(reflect.ValueOf(with(f.Interface().(native))))
	return nil
}

// construct is how goja makes an object of a class.
type construct = func(args []goja.Value, newTarget *goja.Object) *goja.Object

func (vm *VM) replaceConstructor(class string, check func(args []goja.Value)) error {
	obj, ok := vm.rt.Get(class).(*goja.Object)
	if !ok {
		return fmt.Errorf("js: internal error: the engine lacks %s", class)
	}
	f := field(field(reflect.ValueOf(obj).Elem(), "self").Elem().Elem(), "construct")
	if !f.IsValid() || f.Type() != reflect.TypeFor[construct]() || f.IsNil() {
		return fmt.Errorf("js: internal error: %s of the engine is not the one that natives.go knows", class)
	}
	original := f.Interface().(construct)
	f.Set(reflect.ValueOf(construct(func(args []goja.Value, newTarget *goja.Object) *goja.Object {
		check(args)
		return original(args, newTarget)
	})))
	return nil
}

// tooLarge throws a RangeError.
func (vm *VM) tooLarge(format string, a ...any) {
	vm.pause()
	panic(vm.errorObject("RangeError", fmt.Sprintf(format, a...), nil))
}

// pause ends a script that is to stop. Whatever of ours runs for long asks it.
func (vm *VM) pause() {
	if vm.stopping.Load() {
		panic(&goja.InterruptedError{})
	}
}

// lengthOf is the length of an array, or of what is used as one.
func (vm *VM) lengthOf(v goja.Value) float64 {
	if goja.IsUndefined(v) || goja.IsNull(v) {
		return 0
	}
	if s, ok := v.(goja.String); ok {
		return float64(s.Length())
	}
	if !isObject(v) {
		return 0
	}
	n := v.(*goja.Object).Get("length")
	if n == nil {
		return 0
	}
	return max(math.Trunc(n.ToFloat()), 0)
}

func (vm *VM) boundedLength(v goja.Value, name string) {
	if n := vm.lengthOf(v); n > maxElements {
		vm.tooLarge("%s: %.0f elements are more than %d", name, n, maxElements)
	}
}

// text is a value as a string, and its length. What is no string is asked for it once.
func (vm *VM) text(v goja.Value) goja.String {
	if _, ok := v.(*goja.Symbol); ok {
		vm.typeError("Cannot convert a Symbol value to a string")
	}
	v = v.ToString() // of a number it is the number
	if s, ok := v.(goja.String); ok {
		return s
	}
	return vm.rt.ToValue(v.String()).(goja.String)
}

func (vm *VM) boundedString(n float64) {
	if n > maxString {
		vm.tooLarge("a string of %.0f characters is too long", n)
	}
}

// boundNatives sets the bounds.
func (vm *VM) boundNatives() error {
	matching()
	var failed error
	global := func(name string) *goja.Object { return vm.rt.Get(name).ToObject(vm.rt) }
	proto := func(class string) *goja.Object { return global(class).Get("prototype").ToObject(vm.rt) }
	on := func(obj *goja.Object, names string, with func(name string, original native) native) {
		for _, name := range strings.Fields(names) {
			if fn := obj.Get(name); fn != nil && failed == nil {
				failed = vm.replace(fn, func(original native) native { return with(name, original) })
			}
		}
	}
	before := func(check func(name string, call goja.FunctionCall)) func(string, native) native {
		return func(name string, original native) native {
			return func(call goja.FunctionCall) goja.Value { check(name, call); return original(call) }
		}
	}
	on(proto("Array"), "copyWithin entries every fill filter find findIndex findLast findLastIndex flatMap forEach includes indexOf keys lastIndexOf map reduce reduceRight reverse shift slice some sort splice "+
		"toLocaleString toReversed toSorted toSpliced unshift values with", before(func(name string, call goja.FunctionCall) { vm.boundedLength(call.This, name) }))
	on(proto("Array"), "join", func(string, native) native { return vm.join })
	on(proto("Array"), "sort toSorted", func(_ string, original native) native { return vm.sorter(original) })
	on(proto("Array"), "flat", before(vm.boundFlat))
	on(proto("Array"), "concat", before(func(name string, call goja.FunctionCall) {
		n := vm.lengthOf(call.This)
		for _, v := range call.Arguments {
			n += vm.lengthOf(v)
		}
		if n > maxElements {
			vm.tooLarge("%s: %.0f elements are more than %d", name, n, maxElements)
		}
	}))
	first := before(func(name string, call goja.FunctionCall) { vm.boundedLength(call.Argument(0), name) })
	on(global("Array"), "from", first)
	on(global("Uint8Array").Prototype(), "from", first)
	list := func(i int) func(string, native) native {
		return before(func(name string, call goja.FunctionCall) {
			if vm.lengthOf(call.Argument(i)) > maxArgs {
				vm.tooLarge("%s: a call with more than %d arguments", name, maxArgs)
			}
		})
	}
	on(proto("Function"), "apply", list(1))
	on(global("Reflect"), "apply", list(2))
	on(global("Reflect"), "construct", list(1))
	on(global("BigInt"), "asIntN asUintN", before(func(name string, call goja.FunctionCall) {
		if call.Argument(0).ToFloat() > maxBits {
			vm.tooLarge("%s: more than %d bits", name, maxBits)
		}
	}))
	failed = firstError(failed, vm.replace(vm.rt.Get("BigInt"), func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			if s, ok := call.Argument(0).(goja.String); ok && s.Length() > maxBits/4 {
				vm.tooLarge("BigInt: more than %d digits", maxBits/4)
			}
			return original(call)
		}
	}))
	vm.boundLocales(on, proto)
	vm.boundStringNatives(on, before, proto("String"), global("String"))
	for _, class := range strings.Fields("ArrayBuffer Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array") {
		width := 1.0
		if v := global(class).Get("BYTES_PER_ELEMENT"); v != nil {
			width = v.ToFloat()
		}
		failed = firstError(failed, vm.replaceConstructor(class, func(args []goja.Value) {
			if len(args) == 0 {
				return
			}
			n := vm.lengthOf(args[0])
			if !isObject(args[0]) {
				n = args[0].ToFloat()
			}
			if n*width > maxBuffer {
				vm.tooLarge("%s: Buffer size is too large: more than %d bytes", class, maxBuffer)
			}
		}))
	}
	return firstError(failed, vm.boundRegexps(), vm.boundStringify())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (vm *VM) boundStringNatives(on func(*goja.Object, string, func(string, native) native), before func(func(string, goja.FunctionCall)) func(string, native) native, proto, class *goja.Object) {
	once := func(name string, original native, check func(this goja.String, values []goja.Value)) native {
		return func(call goja.FunctionCall) goja.Value {
			if goja.IsUndefined(call.This) || goja.IsNull(call.This) {
				return original(call)
			}
			this := vm.text(call.This)
			values := slices.Clone(call.Arguments)
			check(this, values)
			return original(goja.FunctionCall{This: this, Arguments: values})
		}
	}
	number := func(values []goja.Value) float64 { // asked once
		if len(values) == 0 {
			return 0
		}
		n := values[0].ToFloat()
		values[0] = vm.rt.ToValue(n)
		return n
	}
	on(proto, "repeat", func(name string, original native) native {
		return once(name, original, func(this goja.String, values []goja.Value) {
			vm.boundedString(number(values) * float64(this.Length()))
		})
	})
	on(proto, "padStart padEnd", func(name string, original native) native {
		return once(name, original, func(_ goja.String, values []goja.Value) { vm.boundedString(number(values)) })
	})
	on(proto, "concat", func(name string, original native) native {
		return once(name, original, func(this goja.String, values []goja.Value) {
			n := float64(this.Length())
			for i, v := range values {
				s := vm.text(v)
				values[i], n = s, n+float64(s.Length())
				vm.boundedString(n)
			}
		})
	})
	on(proto, "replaceAll split", func(name string, original native) native { return vm.boundSplit(name, original) })
	on(class, "raw", before(func(name string, call goja.FunctionCall) {
		if o, ok := call.Argument(0).(*goja.Object); ok {
			vm.boundedLength(o.Get("raw"), name)
		}
	}))
}

// boundSplit bounds what takes a string to pieces at another string, or puts another there. Regular expressions are bounded for themselves.
func (vm *VM) boundSplit(name string, original native) native {
	return func(call goja.FunctionCall) goja.Value {
		if isObject(call.Argument(0)) || goja.IsUndefined(call.This) || goja.IsNull(call.This) || goja.IsUndefined(call.Argument(0)) {
			return original(call)
		}
		this, by := vm.text(call.This), vm.text(call.Argument(0))
		values := slices.Clone(call.Arguments)
		values[0] = by
		most := float64(this.Length() + 1)
		if by.Length() > 0 {
			most = float64(this.Length()/by.Length() + 1)
		}
		count := func() float64 {
			if by.Length() == 0 {
				return most
			}
			return float64(strings.Count(this.String(), by.String()))
		}
		if name == "split" {
			if most > maxElements && count() > maxElements {
				vm.tooLarge("split: more than %d pieces", maxElements)
			}
		} else if s, ok := call.Argument(1).(goja.String); ok {
			each := float64(s.Length())
			if strings.ContainsRune(s.String(), '$') {
				each *= float64(this.Length())
			}
			if most*each > maxString && count()*each > maxString {
				vm.tooLarge("replaceAll: the result is too long")
			}
		}
		return original(goja.FunctionCall{This: this, Arguments: values})
	}
}

// join is Array.prototype.join, which looks up now and then whether it is to stop.
// Source: https://tc39.es/ecma262/#sec-array.prototype.join
func (vm *VM) join(call goja.FunctionCall) goja.Value {
	obj := call.This.ToObject(vm.rt)
	if slices.Contains(vm.joining, obj) {
		return vm.rt.ToValue("")
	}
	if len(vm.joining) > maxDeep {
		vm.tooLarge("arrays in arrays, deeper than %d levels", maxDeep)
	}
	depth := len(vm.joining)
	if depth == 0 {
		vm.joined = 0
	}
	vm.joining = append(vm.joining, obj)
	defer func() { vm.joining = vm.joining[:depth] }()
	vm.boundedLength(obj, "join")
	n := int(vm.lengthOf(obj))
	if vm.joined += n; depth > 0 && vm.joined > vm.nested {
		vm.tooLarge("join: more than %d elements of arrays in arrays", vm.nested)
	}
	sep := vm.rt.ToValue(",").(goja.String)
	if v := call.Argument(0); !goja.IsUndefined(v) {
		sep = vm.text(v)
	}
	var b goja.StringBuilder
	length := float64(max(n-1, 0)) * float64(sep.Length())
	for i := range n {
		if vm.boundedString(length); i > 0 {
			b.WriteString(sep)
		}
		if i&1023 == 0 {
			vm.pause()
		}
		v := obj.Get(itoa(i))
		if v == nil || goja.IsUndefined(v) || goja.IsNull(v) {
			continue
		}
		s := vm.text(v)
		length += float64(s.Length())
		vm.boundedString(length)
		b.WriteString(s)
	}
	return b.String()
}

// boundFlat counts what flat will put into one array.
func (vm *VM) boundFlat(name string, call goja.FunctionCall) {
	depth := 1.0
	if v := call.Argument(0); !goja.IsUndefined(v) {
		depth = v.ToFloat()
	}
	total := 0
	var count func(v goja.Value, level int)
	count = func(v goja.Value, level int) {
		if level > maxDeep {
			vm.tooLarge("%s: arrays in arrays, deeper than %d levels", name, maxDeep)
		}
		vm.boundedLength(v, name)
		obj := v.ToObject(vm.rt)
		n := int(vm.lengthOf(v))
		if total += n; level > 0 && total > vm.nested {
			vm.tooLarge("%s: more than %d elements of arrays in arrays", name, vm.nested)
		}
		for i := range n {
			if i&1023 == 0 {
				vm.pause()
			}
			if e, ok := obj.Get(itoa(i)).(*goja.Object); ok && float64(level) < depth && e.ClassName() == "Array" {
				count(e, level+1)
			}
		}
	}
	if !goja.IsUndefined(call.This) && !goja.IsNull(call.This) {
		count(call.This, 0)
	}
}

// boundRegexps bounds the time of a match, and how much one call finds.
func (vm *VM) boundRegexps() error {
	proto := vm.regexpProto
	var failed error
	for _, m := range []struct {
		fn  goja.Value
		all bool // it may find many
	}{
		{proto.Get("exec"), false}, {proto.Get("test"), false}, {proto.GetSymbol(goja.SymMatch), true}, {proto.GetSymbol(goja.SymReplace), true},
		{proto.GetSymbol(goja.SymSearch), false}, {proto.GetSymbol(goja.SymSplit), true},
	} {
		failed = firstError(failed, vm.replace(m.fn, func(original native) native { return vm.timed(original, m.all) }))
	}
	it, err := vm.rt.RunString(`Object.getPrototypeOf(''.matchAll(/x/g)).next`)
	if failed = firstError(failed, err); failed == nil {
		failed = vm.replace(it, func(original native) native { return vm.timed(original, false) })
	}
	check := func(v goja.Value) {
		if s, ok := v.(goja.String); ok && s.Length() > maxPattern {
			vm.tooLarge("a regular expression of more than %d characters", maxPattern)
		}
	}
	return firstError(failed, vm.replaceConstructor("RegExp", func(args []goja.Value) {
		if len(args) > 0 {
			check(args[0])
		}
	}), vm.replace(vm.rt.Get("RegExp"), func(original native) native {
		return func(call goja.FunctionCall) goja.Value { check(call.Argument(0)); return original(call) }
	}))
}

// timed is a function that matches. A match that took longer than matchTime is told by goja as none: so is what takes as long and comes to nothing here, and that
// is thrown. What a function of the script's takes meanwhile does not count.
func (vm *VM) timed(original native, all bool) native {
	return func(call goja.FunctionCall) goja.Value {
		text, isString := call.Argument(0).(goja.String)
		if all && isString && text.Length() > maxElements {
			vm.tooLarge("a regular expression on a text of more than %d characters", maxElements)
		}
		var theirs time.Duration
		if f, ok := goja.AssertFunction(call.Argument(1)); ok && all {
			values := slices.Clone(call.Arguments)
			values[1] = vm.rt.ToValue(func(c goja.FunctionCall) goja.Value {
				start := time.Now()
				v, err := f(c.This, c.Arguments...)
				theirs += time.Since(start)
				if err != nil {
					vm.throw(err)
				}
				return v
			})
			call.Arguments = values
		} else if s, ok := call.Argument(1).(goja.String); ok && all {
			vm.boundReplacement(original, call, text, s)
		}
		start := time.Now()
		v := original(call)
		if took := time.Since(start) - theirs; took >= matchTime && vm.nothing(v, call.Argument(0)) {
			vm.tooLarge("a regular expression takes longer than %v on this text: it tries the same again and again", matchTime)
		}
		return v
	}
}

// nothing says whether a result is that of an expression that did not match.
func (vm *VM) nothing(v, text goja.Value) bool {
	switch x := v.(type) {
	case *goja.Object:
		if done := x.Get("done"); done != nil && done.ToBoolean() {
			return true // the end of matchAll
		}
		return x.ClassName() == "Array" && vm.lengthOf(x) <= 1 && (x.Get("0") == nil || x.Get("0").StrictEquals(text))
	case goja.String:
		return x.StrictEquals(text)
	}
	n, isNumber := exported[int64](v)
	return goja.IsNull(v) || goja.IsUndefined(v) || v.StrictEquals(vm.rt.ToValue(false)) || isNumber && n == -1
}

// boundReplacement counts what is replaced, where the text that is put there is long.
func (vm *VM) boundReplacement(original native, call goja.FunctionCall, text, with goja.String) {
	if text == nil {
		return
	}
	each := float64(with.Length())
	if strings.ContainsRune(with.String(), '$') {
		each *= float64(text.Length())
	}
	if each*float64(text.Length()+1) <= maxString {
		return
	}
	obj, ok := call.This.(*goja.Object)
	if !ok {
		return
	}
	last := obj.Get("lastIndex")
	total := 0.0
	counting := vm.rt.ToValue(func(goja.FunctionCall) goja.Value {
		vm.pause()
		total += each
		vm.boundedString(total)
		return vm.rt.ToValue("")
	})
	original(goja.FunctionCall{This: call.This, Arguments: []goja.Value{text, counting}})
	if last != nil {
		vm.must(obj.Set("lastIndex", last))
	}
}

// boundStringify bounds JSON.stringify: objects that stand in each other many times over are many times as long.
func (vm *VM) boundStringify() error {
	return vm.replace(vm.rt.Get("JSON").ToObject(vm.rt).Get("stringify"), func(original native) native {
		return func(call goja.FunctionCall) goja.Value {
			theirs, given := goja.AssertFunction(call.Argument(1))
			var within []*goja.Object
			length, count := 0.0, 0
			counting := vm.rt.ToValue(func(c goja.FunctionCall) goja.Value {
				vm.pause()
				holder, _ := c.This.(*goja.Object)
				for len(within) > 0 && within[len(within)-1] != holder {
					within = within[:len(within)-1]
				}
				v := c.Argument(1)
				if given {
					var err error
					if v, err = theirs(c.This, c.Arguments...); err != nil {
						vm.throw(err)
					}
				}
				if count++; count > vm.nested {
					vm.tooLarge("JSON: more than %d values", vm.nested)
				}
				length += 4
				switch x := v.(type) {
				case goja.String:
					length += float64(x.Length())
				case *goja.Object:
					if holder != nil && len(within) == 0 {
						within = append(within, holder)
					}
					if within = append(within, x); len(within) > maxNesting {
						vm.tooLarge("JSON: nested deeper than %d levels", maxNesting)
					}
				}
				vm.boundedString(length)
				return v
			})
			values := []goja.Value{call.Argument(0), counting, call.Argument(2)}
			if _, isList := call.Argument(1).(*goja.Object); isList && !given { // which properties: goja takes one or the other
				v := original(goja.FunctionCall{This: call.This, Arguments: values})
				if goja.IsUndefined(v) {
					return v
				}
				values[1] = call.Argument(1)
			}
			return original(goja.FunctionCall{This: call.This, Arguments: values})
		}
	})
}
