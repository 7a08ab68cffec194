package js

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// converter turns JavaScript into BSON, once and strictly. What JavaScript would turn into {} or null without a word is refused by
// name and path.
type converter struct {
	vm   *VM
	seen []*goja.Object
	err  *Refusal
}

// toRaw converts a value that is called name, for example "filter".
func (vm *VM) toRaw(v goja.Value, name string) (bson.RawValue, error) {
	c := &converter{vm: vm}
	out := c.value(v, name, "")
	if c.err != nil {
		return bson.RawValue{}, c.err
	}
	return out, nil
}

// toDocument converts a value that must be a plain document.
func (vm *VM) toDocument(v goja.Value, name string) (bson.Raw, error) {
	raw, err := vm.toRaw(v, name)
	if err != nil {
		return nil, err
	}
	if raw.Type != bson.TypeEmbeddedDocument {
		return nil, &Refusal{Text: fmt.Sprintf("%s must be a document, and is %s", name, describe(raw))}
	}
	return raw.Document(), nil
}

func describe(v bson.RawValue) string {
	if v.Type == bson.TypeArray {
		return "an array"
	}
	return v.Type.String()
}

func (c *converter) refuse(code, hint, format string, a ...any) bson.RawValue {
	if c.err == nil {
		c.err = &Refusal{Text: fmt.Sprintf(format, a...), Hint: hint, Code: code}
	}
	return bson.RawValue{Type: bson.TypeNull}
}

// codeFields are where a function stands for server-side JavaScript.
var codeFields = []string{"$where", "map", "reduce", "finalize", "body", "init", "accumulate", "merge", "$code"}

func (c *converter) value(v goja.Value, path, key string) bson.RawValue {
	if c.err != nil {
		return bson.RawValue{Type: bson.TypeNull}
	}
	switch {
	case v == nil || goja.IsUndefined(v):
		return c.refuse("undefined-value", "did a look-up return nothing?", "%s is undefined", path)
	case goja.IsNull(v):
		return bson.RawValue{Type: bson.TypeNull}
	}
	if obj, ok := v.(*goja.Object); ok {
		return c.object(obj, path, key)
	}
	if _, ok := v.(*goja.Symbol); ok {
		return c.refuse("", "", "%s is a symbol, which BSON has no type for", path)
	}
	switch x := v.Export().(type) {
	case string:
		return rawString(x)
	case bool:
		return rawOf(x)
	case int64:
		return c.number(float64(x), path)
	case float64:
		return c.number(x, path)
	case *big.Int:
		if !x.IsInt64() {
			return c.refuse("", "", "%s is a BigInt that does not fit 64 bits", path)
		}
		return rawOf(x.Int64())
	}
	return c.refuse("", "", "%s is a %s, which BSON has no type for", path, v.ExportType())
}

func (c *converter) number(f float64, path string) bson.RawValue {
	if f == math.Trunc(f) && math.Abs(f) >= 1<<53 && math.Abs(f) < 1<<63 {
		return c.refuse("", "write it as NumberLong('…'), in quotation marks", "%s is an integer beyond 2^53: as a JavaScript number it may have lost digits", path)
	}
	return numberToRaw(f)
}

func (c *converter) object(obj *goja.Object, path, key string) bson.RawValue {
	if slices.Contains(c.seen, obj) {
		return c.refuse("", "", "%s contains itself", path)
	}
	if len(c.seen) > 150 { // the server's limit is 180 levels: https://www.mongodb.com/docs/manual/reference/limits/
		return c.refuse("", "", "%s is nested too deep", path)
	}
	c.seen = append(c.seen, obj)
	defer func() { c.seen = c.seen[:len(c.seen)-1] }()
	switch x := inner(obj).(type) {
	case *document:
		return c.document(x, path)
	case *array:
		return c.array(x.slots, path)
	case *wrapped:
		return x.raw
	case *lazy:
		return c.plain(obj, path)
	case *database, *collection, *cursor, *mongo, *explainable:
		return c.refuse("", "", "%s is a %s of the shell, not a value", path, strings.TrimPrefix(fmt.Sprintf("%T", x), "*js."))
	case goja.Proxy:
		return c.refuse("", "", "%s is a Proxy: what it says may differ each time it is asked", path)
	case *goja.Promise:
		return c.refuse("", "await it first", "%s is a Promise, not a value", path)
	}
	if _, isFunc := goja.AssertFunction(obj); isFunc {
		if slices.Contains(codeFields, key) {
			return rawOf(bson.JavaScript(obj.String()))
		}
		return c.refuse("", "did you forget to call it?", "%s is a function", path)
	}
	switch class := obj.ClassName(); class {
	case "Date":
		return c.date(obj, path)
	case "RegExp":
		return c.regexp(obj, path)
	case "Array":
		return c.list(obj, path)
	case "Object":
		if name := c.vm.builtin(obj); name != "" {
			return c.refuse("", "use a plain value", "%s is a %s, which BSON has no type for", path, name)
		}
		if p := obj.Prototype(); p != nil && p != c.vm.objectProto {
			return c.refuse("", "use a plain object", "%s is an instance of a class, which BSON has no type for", path)
		}
		return c.plain(obj, path)
	default:
		return c.refuse("", "use a plain value", "%s is a %s, which BSON has no type for", path, class)
	}
}

func (c *converter) date(obj *goja.Object, path string) bson.RawValue {
	f, ok := c.vm.dateMillis(obj)
	if !ok {
		return c.refuse("", "", "%s is an invalid date", path)
	}
	return rawOf(bson.DateTime(f))
}

// dateMillis is the engine's own value of a Date, whatever a script made of its methods; false for an invalid one.
func (vm *VM) dateMillis(obj *goja.Object) (int64, bool) {
	t, ok := inner(obj).(time.Time)
	return t.UnixMilli(), ok
}

// regexp: the flags that BSON has. Its g and y say how JavaScript iterates.
// Source: https://www.mongodb.com/docs/manual/reference/operator/query/regex/
func (c *converter) regexp(obj *goja.Object, path string) bson.RawValue {
	literal := obj.String()
	i := strings.LastIndexByte(literal, '/')
	if i < 1 {
		return c.refuse("", "", "%s is a regular expression that cannot be read", path)
	}
	pattern, flags := literal[1:i], []byte(literal[i+1:])
	slices.Sort(flags)
	for _, f := range flags {
		if !strings.ContainsRune("imsu", rune(f)) {
			return c.refuse("", "", "%s has the flag %q, which the server does not know", path, f)
		}
	}
	if pattern == "(?:)" {
		pattern = ""
	}
	return rawOf(bson.Regex{Pattern: strings.ReplaceAll(pattern, `\/`, `/`), Options: string(flags)})
}

// list converts a JavaScript array. Holes are refused: they would become null.
func (c *converter) list(obj *goja.Object, path string) bson.RawValue {
	lv, getter := c.vm.property(obj, "length")
	if getter || lv == nil {
		return c.refuse("", "", "%s is no ordinary array", path)
	}
	n := int(lv.ToInteger())
	if n > maxArray {
		return c.refuse("", "", "%s is too long", path)
	}
	return c.build(bson.TypeArray, n, func(i int) (string, bson.RawValue) {
		key := itoa(i)
		at := fmt.Sprintf("%s[%d]", path, i)
		v, getter := c.vm.property(obj, key)
		switch {
		case getter:
			return key, c.refuse("", "", "%s is computed by a getter", at)
		case v == nil:
			return key, c.refuse("undefined-value", "", "%s is a hole in the array", at)
		}
		return key, c.value(v, at, key)
	})
}

func (c *converter) array(slots []slot, path string) bson.RawValue {
	return c.build(bson.TypeArray, len(slots), func(i int) (string, bson.RawValue) {
		return itoa(i), c.slot(&slots[i], fmt.Sprintf("%s[%d]", path, i), "")
	})
}

func (c *converter) document(d *document, path string) bson.RawValue {
	return c.build(bson.TypeEmbeddedDocument, len(d.keys), func(i int) (string, bson.RawValue) {
		return d.keys[i], c.slot(&d.slots[i], join(path, d.keys[i]), d.keys[i])
	})
}

// slot is a value that came from a server: as it came if nobody changed it.
func (c *converter) slot(s *slot, path, key string) bson.RawValue {
	if s.raw.Type == 0 {
		return c.value(s.js, path, key)
	}
	obj, ok := s.js.(*goja.Object)
	if !ok || s.raw.Type == bson.TypeRegex {
		return s.raw // not looked at, or a primitive
	}
	if s.raw.Type == bson.TypeDateTime {
		if _, valid := c.vm.dateMillis(obj); !valid {
			return s.raw // beyond what JavaScript can count
		}
	}
	return c.object(obj, path, key)
}

// plain converts an object's own enumerable properties, in order. Getters are refused: they may answer otherwise the next time.
func (c *converter) plain(obj *goja.Object, path string) bson.RawValue {
	keys := obj.Keys()
	if v, _ := c.vm.property(obj, "toBSON"); v != nil {
		return c.refuse("", "", "%s has a toBSON, which is not called here", path)
	}
	return c.build(bson.TypeEmbeddedDocument, len(keys), func(i int) (string, bson.RawValue) {
		at := join(path, keys[i])
		if strings.ContainsRune(keys[i], 0) {
			return "", c.refuse("", "", "a field name in %s holds a NUL character", path)
		}
		v, getter := c.vm.property(obj, keys[i])
		if getter {
			return keys[i], c.refuse("", "", "%s is computed by a getter, which may answer otherwise the next time", at)
		}
		return keys[i], c.value(v, at, keys[i])
	})
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// property reads an own data property without running code; getter says that it is an accessor. Nil if there is none.
func (vm *VM) property(obj *goja.Object, key string) (v goja.Value, getter bool) {
	switch x := inner(obj).(type) {
	case *document:
		return x.Get(key), false
	case *lazy:
		return x.Get(key), false
	}
	d, err := vm.descriptor(goja.Undefined(), obj, vm.rt.ToValue(key))
	if err != nil || d == nil || goja.IsUndefined(d) {
		return nil, false
	}
	desc := d.ToObject(vm.rt)
	if !slices.Contains(desc.Keys(), "value") { // an own field: a script may have put others on Object.prototype
		return nil, true
	}
	return desc.Get("value"), false
}

func (c *converter) build(t bson.Type, n int, each func(int) (string, bson.RawValue)) bson.RawValue {
	idx, b := bsoncore.ReserveLength(nil)
	for i := range n {
		key, v := each(i)
		if c.err != nil {
			return bson.RawValue{Type: bson.TypeNull}
		}
		b = bsoncore.AppendHeader(b, bsoncore.Type(v.Type), key)
		b = append(b, v.Value...)
	}
	b = append(b, 0)
	return bson.RawValue{Type: t, Value: bsoncore.UpdateLength(b, idx, int32(len(b)))}
}
