package js

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// What a server sends is kept as BSON and turned into JavaScript value by value, when it is looked at. What nobody changes is
// written back as the bytes it came in: a double 1.0 stays a double, fields keep their order.

// slot is one value of a document or an array.
type slot struct {
	raw bson.RawValue // Type 0: there is only js
	js  goja.Value    // nil: not looked at
}

func (vm *VM) slotValue(s *slot) goja.Value {
	if s.js == nil {
		s.js = vm.fromRaw(s.raw)
	}
	return s.js
}

// set replaces a slot's value. The same primitive again changes nothing, its BSON type included.
func (s *slot) set(v goja.Value) {
	if s.raw.Type != 0 && s.js != nil && s.js.StrictEquals(v) {
		return
	}
	s.raw, s.js = bson.RawValue{}, v
}

// document is a BSON document as a JavaScript object.
type document struct {
	vm    *VM
	keys  []string
	slots []slot
}

func (vm *VM) documentObject(raw bson.Raw) *goja.Object {
	elems, err := raw.Elements()
	if err != nil {
		vm.throw(err)
	}
	d := &document{vm: vm, keys: make([]string, len(elems)), slots: make([]slot, len(elems))}
	for i, e := range elems {
		d.keys[i], d.slots[i].raw = e.Key(), e.Value()
	}
	return vm.rt.NewDynamicObject(d)
}

func (d *document) Get(key string) goja.Value {
	if i := slices.Index(d.keys, key); i >= 0 {
		return d.vm.slotValue(&d.slots[i])
	}
	return nil
}

func (d *document) Set(key string, v goja.Value) bool {
	i := slices.Index(d.keys, key)
	if i < 0 && strings.ContainsRune(key, utf8.RuneError) {
		d.vm.throw(&Refusal{Text: "a field name holds half of a surrogate pair, or the character that stands for what is none"})
	}
	if i < 0 {
		d.keys, d.slots = append(d.keys, key), append(d.slots, slot{})
		i = len(d.keys) - 1
	}
	d.slots[i].set(v)
	return true
}

func (d *document) Has(key string) bool { return slices.Contains(d.keys, key) }

func (d *document) Delete(key string) bool {
	if i := slices.Index(d.keys, key); i >= 0 {
		d.keys, d.slots = slices.Delete(d.keys, i, i+1), slices.Delete(d.slots, i, i+1)
	}
	return true
}

func (d *document) Keys() []string {
	var out []string
	for _, k := range d.keys {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// array is a BSON array as a JavaScript array.
type array struct {
	vm    *VM
	slots []slot
}

func (vm *VM) arrayObject(raw bson.RawArray) *goja.Object {
	values, err := raw.Values()
	if err != nil {
		vm.throw(err)
	}
	a := &array{vm: vm, slots: make([]slot, len(values))}
	for i, v := range values {
		a.slots[i].raw = v
	}
	return vm.rt.NewDynamicArray(a)
}

func (a *array) Len() int { return len(a.slots) }

func (a *array) Get(i int) goja.Value {
	if i < 0 || i >= len(a.slots) {
		return nil
	}
	return a.vm.slotValue(&a.slots[i])
}

const (
	maxArray = 10_000_000
	maxSlots = 2 << 20 // elements of an array in a document of 16 MiB: none is shorter than 8 bytes, beyond the first million
)

func (a *array) Set(i int, v goja.Value) bool {
	if i < 0 {
		return false
	}
	if i >= maxSlots {
		a.tooLong(i)
	}
	if i >= len(a.slots) {
		a.SetLen(i + 1)
	}
	a.slots[i].set(v)
	return true
}

func (a *array) tooLong(n int) {
	a.vm.throw(&Refusal{Text: fmt.Sprintf("an array of %d elements fits no document", n)})
}

func (a *array) SetLen(n int) bool {
	if n < 0 {
		return false
	}
	if n > maxSlots {
		a.tooLong(n)
	}
	for len(a.slots) < n {
		a.slots = append(a.slots, slot{js: goja.Undefined()})
	}
	a.slots = a.slots[:n]
	return true
}

// wrapped is a BSON value that JavaScript has no type for. It cannot be changed.
type wrapped struct {
	raw    bson.RawValue
	fields map[string]goja.Value // what scripts can read of it: Timestamp's t and i
	names  []string
}

func (w *wrapped) Get(key string) goja.Value     { return w.fields[key] }
func (*wrapped) Set(string, goja.Value) bool     { return false }
func (w *wrapped) Has(key string) bool           { return w.fields[key] != nil }
func (*wrapped) Delete(string) bool              { return false }
func (w *wrapped) Keys() []string                { return w.names }
func (w *wrapped) with(k string, v goja.Value)   { w.fields[k], w.names = v, append(w.names, k) }
func (vm *VM) wrap(v bson.RawValue) *goja.Object { return vm.wrapFields(v, nil) }

func (vm *VM) wrapFields(v bson.RawValue, fields func(*wrapped)) *goja.Object {
	w := &wrapped{raw: v, fields: map[string]goja.Value{}}
	if fields != nil {
		fields(w)
	}
	obj := vm.rt.NewDynamicObject(w)
	if p := vm.protos.types[v.Type]; p != nil {
		vm.must(obj.SetPrototype(p))
	}
	return obj
}

// fromRaw is a BSON value as JavaScript sees it.
func (vm *VM) fromRaw(v bson.RawValue) goja.Value {
	switch v.Type {
	case 0: // a field that is not there
		return goja.Undefined()
	case bson.TypeDouble:
		return vm.rt.ToValue(v.Double())
	case bson.TypeInt32:
		return vm.rt.ToValue(v.Int32())
	case bson.TypeString:
		return vm.rt.ToValue(v.StringValue())
	case bson.TypeBoolean:
		return vm.rt.ToValue(v.Boolean())
	case bson.TypeNull:
		return goja.Null()
	case bson.TypeUndefined:
		return goja.Undefined()
	case bson.TypeEmbeddedDocument:
		return vm.documentObject(v.Document())
	case bson.TypeArray:
		return vm.arrayObject(v.Array())
	case bson.TypeDateTime:
		return vm.date(float64(v.DateTime()))
	case bson.TypeRegex:
		if obj := vm.regexp(v); obj != nil {
			return obj
		}
	case bson.TypeTimestamp:
		t, i := v.Timestamp()
		return vm.wrapFields(v, func(w *wrapped) { w.with("t", vm.rt.ToValue(t)); w.with("i", vm.rt.ToValue(i)) })
	case bson.TypeJavaScript:
		return vm.wrapFields(v, func(w *wrapped) { w.with("code", vm.rt.ToValue(v.JavaScript())) })
	case bson.TypeCodeWithScope:
		code, scope := v.CodeWithScope()
		return vm.wrapFields(v, func(w *wrapped) { w.with("code", vm.rt.ToValue(code)); w.with("scope", vm.documentObject(scope)) })
	case bson.TypeBinary:
		sub, _ := v.Binary()
		return vm.wrapFields(v, func(w *wrapped) { w.with("sub_type", vm.rt.ToValue(sub)) })
	}
	return vm.wrap(v)
}

func (vm *VM) date(ms float64) goja.Value {
	obj, err := vm.newDate(nil, vm.rt.ToValue(ms))
	vm.must(err)
	return obj
}

// regexp is a JavaScript RegExp if it can say the same, otherwise nil.
func (vm *VM) regexp(v bson.RawValue) *goja.Object {
	pattern, opts := v.Regex()
	for _, o := range opts {
		if !slices.Contains([]rune("imsu"), o) {
			return nil
		}
	}
	obj, err := vm.newRegExp(nil, vm.rt.ToValue(pattern), vm.rt.ToValue(opts))
	if err != nil {
		return nil
	}
	return obj
}

func rawString(s string) bson.RawValue { return rawOf(s) }

// rawOf encodes a Go value that always can be.
func rawOf(v any) bson.RawValue {
	t, b, err := bson.MarshalValue(v)
	if err != nil {
		panic("js: internal error: " + err.Error())
	}
	return bson.RawValue{Type: t, Value: b}
}

// doc is the document that a value should be, or an empty one: a server may say anything.
func doc(v bson.RawValue) bson.Raw {
	d, _ := v.DocumentOK()
	return d
}

// orNull is a value that may not be there.
func orNull(v bson.RawValue) bson.RawValue {
	if v.Type == 0 {
		return bson.RawValue{Type: bson.TypeNull}
	}
	return v
}

// numberToRaw: an integer that fits 32 bits is an int, every other number a double, as in mongosh.
func numberToRaw(f float64) bson.RawValue {
	if f == math.Trunc(f) && f >= math.MinInt32 && f <= math.MaxInt32 && !(f == 0 && math.Signbit(f)) {
		return rawOf(int32(f))
	}
	return rawOf(f)
}

// lazy is an object whose values are found when they are looked at: the result of a write that may still wait for its plan.
type lazy struct {
	names []string
	get   map[string]func() goja.Value
	known map[string]goja.Value
}

func (l *lazy) add(name string, get func() goja.Value) {
	if l.get == nil {
		l.get, l.known = map[string]func() goja.Value{}, map[string]goja.Value{}
	}
	l.names, l.get[name] = append(l.names, name), get
}

func (l *lazy) Get(key string) goja.Value {
	if v := l.known[key]; v != nil {
		return v
	}
	if get := l.get[key]; get != nil {
		return get()
	}
	return nil
}

func (l *lazy) Set(key string, v goja.Value) bool {
	if l.get[key] == nil && l.known[key] == nil {
		l.names = append(l.names, key)
	}
	if l.known == nil {
		l.known = map[string]goja.Value{}
	}
	l.known[key] = v
	return true
}

func (l *lazy) Has(key string) bool    { return slices.Contains(l.names, key) }
func (l *lazy) Delete(key string) bool { return !l.Has(key) }
func (l *lazy) Keys() []string         { return l.names }

func itoa(n int) string { return strconv.Itoa(n) }
