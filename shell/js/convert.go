package js

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"respect/shell/render"
)

// converter turns JavaScript into BSON, once and strictly. What JavaScript would turn into {} or null without a word is refused by
// name and path.
type converter struct {
	vm   *VM
	seen []*goja.Object
	// times are how often an object was converted. Objects that stand in each other many times over are refused while that takes a moment.
	times map[*goja.Object]int
	err   *Refusal
	// reads says that the value belongs to a read. Only there is a toBSON called, as a driver calls it: once, and what it returns is the value. In what writes
	// it is refused: what is previewed is what stands there.
	reads bool
}

// onlyReads are the methods whose arguments belong to reads. The gate knows nothing of them: it judges what is sent.
var onlyReads = map[string]bool{
	"Collection.aggregate": true, "Collection.count": true, "Collection.countDocuments": true, "Collection.distinct": true, "Collection.find": true, "Collection.findOne": true,
	"Cursor.collation": true, "Cursor.max": true, "Cursor.min": true, "Cursor.projection": true, "Cursor.sort": true, "Database.aggregate": true,
	"Explainable.aggregate": true, "Explainable.count": true, "Explainable.distinct": true, "Explainable.find": true, "PlanCache.list": true,
}

// readCommand says whether a command's document is that of a read by its name, its first field.
func (vm *VM) readCommand(v goja.Value) bool {
	obj, ok := v.(*goja.Object)
	if _, isProxy := export[goja.Proxy](v); !ok || isProxy || vm.readable() != nil {
		return false
	}
	keys := obj.Keys()
	if own, _ := vm.property(obj, "toBSON"); own != nil || len(keys) == 0 {
		return false
	}
	return slices.Contains(readCommands, keys[0])
}

var readCommands = []string{"aggregate", "count", "distinct", "find"}

// toRaw converts a value that is called name, for example "filter".
func (vm *VM) toRaw(v goja.Value, name string, reads bool) (bson.RawValue, error) {
	c := &converter{vm: vm, reads: reads}
	return c.convert(v, name, "")
}

// convert converts a whole value; key is the field that it stands in.
func (c *converter) convert(v goja.Value, name, key string) (bson.RawValue, error) {
	if err := c.vm.readable(); err != nil {
		return bson.RawValue{}, err
	}
	out := c.value(v, name, key)
	if c.err != nil {
		return bson.RawValue{}, c.err
	}
	return out, nil
}

// toDocument converts a value that must be a plain document.
func (vm *VM) toDocument(v goja.Value, name string, reads bool) (bson.Raw, error) {
	raw, err := vm.toRaw(v, name, reads)
	if err != nil {
		return nil, err
	}
	if raw.Type != bson.TypeEmbeddedDocument {
		return nil, &Refusal{Text: fmt.Sprintf("%s must be a document, and is %s", name, describe(raw))}
	}
	if len(raw.Value) > maxDocument {
		return nil, &Refusal{Text: fmt.Sprintf("%s is %d bytes long: a document ends at 16 MiB", name, len(raw.Value))}
	}
	return raw.Document(), nil
}

// What a server takes: https://www.mongodb.com/docs/manual/reference/limits/ and maxMessageSizeBytes in …/command/hello/.
const (
	maxDocument = 16 << 20
	maxMessage  = 48_000_000
	maxTimes    = 1 << 16
)

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
		return c.text(v, x, path)
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

// text refuses what UTF-8 has no bytes for.
func (c *converter) text(v goja.Value, s, path string) bson.RawValue {
	if len(s) > maxDocument {
		return c.refuse("", "", "%s is a string of %d bytes: a document ends at 16 MiB", path, len(s))
	}
	if strings.ContainsRune(s, utf8.RuneError) && loneSurrogate(v) {
		return c.refuse("", "", "%s holds half of a surrogate pair, which is no character", path)
	}
	return rawString(s)
}

func loneSurrogate(v goja.Value) bool {
	s := v.(goja.String) // what is exported as a string is one
	for i := 0; i < s.Length(); i++ {
		r := rune(s.CharAt(i))
		if !utf16.IsSurrogate(r) {
			continue
		}
		if i++; i == s.Length() || utf16.DecodeRune(r, rune(s.CharAt(i))) == utf8.RuneError {
			return true
		}
	}
	return false
}

func (c *converter) number(f float64, path string) bson.RawValue {
	if typed := c.vm.inexact[math.Abs(f)]; typed != "" {
		return c.refuse("", "write it as NumberDecimal('…'), in quotation marks, or with an exponent if the digits do not matter", "%s was typed as %s, and a JavaScript number has lost some of the digits", path, render.Safe(typed))
	}
	if math.Abs(f) >= 1<<53 && math.Abs(f) < 1<<63 { // it has no fraction: there is no room for one
		return c.refuse("", "write it as NumberLong('…'), in quotation marks, or as Double(…) if the digits do not matter", "%s is an integer beyond 2^53: as a JavaScript number it may have lost digits", path)
	}
	return numberToRaw(f)
}

func (c *converter) object(obj *goja.Object, path, key string) bson.RawValue {
	if slices.Contains(c.seen, obj) {
		return c.refuse("", "", "%s contains itself", path)
	}
	if len(c.seen) > 150 { // the server's limit is 180 levels: https://www.mongodb.com/docs/manual/reference/limits/
		return c.refuse("", "", "%s… is nested deeper than %d levels", strings.ToValidUTF8(path[:min(len(path), 60)], ""), len(c.seen))
	}
	if c.times == nil {
		c.times = map[*goja.Object]int{}
	}
	if c.times[obj]++; c.times[obj] > maxTimes {
		return c.refuse("", "", "%s… holds the same object more than %d times", strings.ToValidUTF8(path[:min(len(path), 60)], ""), maxTimes)
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
	case *database, *collection, *cursor, *mongo, *explainable, *planCache, *replicaSet, *sharding, *bulk, *bulkFind, *stream, *session:
		return c.refuse("", "", "%s is %s of the shell, not a value", path, article(strings.TrimPrefix(fmt.Sprintf("%T", x), "*js.")))
	case goja.Proxy:
		return c.refuse("", "", "%s is a Proxy: what it says may differ each time it is asked", path)
	case *goja.Promise:
		return c.refuse("", "await it first", "%s is a Promise, not a value", path)
	}
	if constant, ok := c.vm.constants[obj]; ok {
		return constant
	}
	if _, isFunc := goja.AssertFunction(obj); isFunc {
		if slices.Contains(codeFields, key) {
			return c.function(obj, path)
		}
		return c.refuse("", "did you forget to call it?", "%s is a function", path)
	}
	class := obj.ClassName()
	proto, known := map[string]*goja.Object{"Date": c.vm.dateProto, "RegExp": c.vm.regexpProto, "Array": c.vm.arrayProto, "Object": c.vm.objectProto}[class]
	if name := c.vm.builtin(obj); !known || name != "" {
		if name == "" {
			name = class
		}
		return c.refuse("", "use a plain value", "%s is %s, which BSON has no type for", path, article(name))
	}
	if p := obj.Prototype(); p != proto && (p != nil || class != "Object") {
		return c.refuse("", "use a plain object", "%s is an instance of a class, which BSON has no type for", path)
	}
	if len(obj.Symbols()) > 0 {
		return c.refuse("", "", "%s has a field that is called by a symbol, which BSON has no names of", path)
	}
	switch class {
	case "Date":
		return c.date(obj, path)
	case "RegExp":
		return c.regexp(obj, path)
	case "Array":
		return c.list(obj, path)
	}
	return c.plain(obj, path)
}

func article(noun string) string {
	if strings.ContainsRune("AEIOUaeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// function is the text of a function for the server, by the language's own toString: a function's own may say anything.
func (c *converter) function(obj *goja.Object, path string) bson.RawValue {
	text, err := c.vm.functionText(obj)
	if err != nil {
		return c.refuse("", "", "%s is a function whose text cannot be had", path)
	}
	if strings.Contains(text, "eval("+checked+"(") {
		return c.refuse("", "write it where it is used", "%s is a function that was made by eval and calls eval", path)
	}
	if strings.HasSuffix(text, "{ [native code] }") {
		return c.refuse("", "write a function of your own", "%s is a function of the shell, which a server has not", path)
	}
	return rawOf(bson.JavaScript(text))
}

func (vm *VM) functionText(obj *goja.Object) (string, error) {
	v, err := vm.funcToString(obj)
	if err != nil {
		return "", err
	}
	s, _ := exported[string](v)
	return s, nil
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

// regexp: the flags that BSON has. Its g and y say how JavaScript iterates. Source and flags are asked of the language's own getters.
// Source: https://www.mongodb.com/docs/manual/reference/operator/query/regex/
func (c *converter) regexp(obj *goja.Object, path string) bson.RawValue {
	v, err := c.vm.regexpSource(obj)
	pattern, ok := exported[string](v)
	if err != nil || !ok {
		return c.refuse("", "", "%s is a regular expression that cannot be read", path)
	}
	var flags []byte
	for _, f := range c.vm.regexpFlags {
		on, err := f.get(obj)
		if err != nil {
			return c.refuse("", "", "%s is a regular expression that cannot be read", path)
		}
		if !on.ToBoolean() {
			continue
		}
		if !strings.ContainsRune("imsu", rune(f.flag)) {
			return c.refuse("", "", "%s has the flag %q, which the server does not know", path, f.flag)
		}
		flags = append(flags, f.flag)
	}
	if strings.ContainsRune(pattern, 0) {
		return c.refuse("", "write it as \\0", "%s holds a NUL character, which ends a pattern in BSON", path)
	}
	if pattern == "(?:)" {
		pattern = ""
	}
	return rawOf(bson.Regex{Pattern: unescaped(pattern), Options: string(flags)})
}

// unescaped is a pattern without the escapes that only a literal needs: of the slash, by a script, and by the engine as \u002f, which a server does not know; and
// of the line ends that the engine writes so. A backslash that is escaped itself escapes nothing.
func unescaped(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '\\' || i+1 == len(pattern) {
			b.WriteByte(pattern[i])
			continue
		}
		i++
		switch code, _, _ := strings.Cut(pattern[i:min(i+5, len(pattern))], "\\"); {
		case pattern[i] == '/':
			b.WriteByte('/')
		case strings.EqualFold(code, "u002f"):
			b.WriteByte('/')
			i += 4
		case code == "u2028" || code == "u2029":
			b.WriteString(map[string]string{"u2028": "\u2028", "u2029": "\u2029"}[code])
			i += 4
		default:
			b.WriteByte('\\')
			b.WriteByte(pattern[i])
		}
	}
	return b.String()
}

// list converts a JavaScript array. Holes are refused: they would become null.
func (c *converter) list(obj *goja.Object, path string) bson.RawValue {
	lv, _ := c.vm.property(obj, "length") // every array has one, which cannot be defined anew
	n := int(lv.ToInteger())
	if n > maxArray {
		return c.refuse("", "", "%s is too long", path)
	}
	for _, key := range obj.Keys() {
		if _, ok := arrayIndex(key); !ok {
			return c.refuse("", "", "%s is an array with a field %q beside its elements", path, key)
		}
	}
	return c.build(bson.TypeArray, path, n, func(i int) (string, bson.RawValue) {
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
	return c.build(bson.TypeArray, path, len(slots), func(i int) (string, bson.RawValue) {
		return itoa(i), c.slot(&slots[i], fmt.Sprintf("%s[%d]", path, i), "")
	})
}

func (c *converter) document(d *document, path string) bson.RawValue {
	return c.build(bson.TypeEmbeddedDocument, path, len(d.keys), func(i int) (string, bson.RawValue) {
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
	if _, ours := inner(obj).(*lazy); !ours {
		names := obj.GetOwnPropertyNames()
		if slices.Contains(names, "toBSON") {
			if v, getter := c.vm.property(obj, "toBSON"); getter {
				return c.refuse("", "", "%s has a toBSON that is computed by a getter", path)
			} else if f, ok := goja.AssertFunction(v); ok {
				return c.toBSON(obj, f, path)
			}
		}
		for _, key := range names {
			if len(names) != len(keys) && !slices.Contains(keys, key) {
				return c.refuse("", "use a plain object", "%s has the hidden field %q, which would be left out", path, key)
			}
		}
	}
	if typed := c.vm.reordered[fields(keys)]; typed != nil && !anyOrder[lastOf(path)] {
		return c.refuse("", "EJSON.parse('{…}') keeps the order", "%s was typed with the fields %s, and JavaScript puts those that are numbers first", path, strings.Join(typed, ", "))
	}
	var seen []string
	return c.build(bson.TypeEmbeddedDocument, path, len(keys), func(i int) (string, bson.RawValue) {
		at := join(path, keys[i])
		v, getter := c.vm.property(obj, keys[i])
		if strings.ContainsRune(keys[i], utf8.RuneError) {
			// The engine gives half of a surrogate pair as U+FFFD, and knows no field of that name, or one more.
			if v == nil && !getter || slices.Contains(seen, keys[i]) {
				return keys[i], c.refuse("", "", "a field name in %s holds half of a surrogate pair, which is no character", path)
			}
			seen = append(seen, keys[i])
		}
		if getter {
			return keys[i], c.refuse("", "", "%s is computed by a getter, which may answer otherwise the next time", at)
		}
		return keys[i], c.value(v, at, keys[i])
	})
}

// toBSON asks an object what it is in BSON, once. What it says is converted like anything else, and those bytes are the value: nothing is asked again.
func (c *converter) toBSON(obj *goja.Object, f goja.Callable, path string) bson.RawValue {
	if !c.reads {
		return c.refuse("", "write out what it would return", "%s has a toBSON, which is called in reads alone", path)
	}
	v, err := f(obj)
	if err == nil {
		err = c.vm.readable() // it is a script's code, and may have done anything
	}
	if err != nil {
		c.vm.throw(err)
	}
	path += ".toBSON()"
	if again, ok := v.(*goja.Object); ok && inner(again) == nil {
		if own, _ := c.vm.property(again, "toBSON"); own != nil {
			return c.refuse("", "", "%s has a toBSON itself", path)
		}
	}
	return c.value(v, path, "")
}

// anyOrder are documents whose fields mean the same in any order.
var anyOrder = map[string]bool{"filter": true, "query": true, "q": true, "$match": true, "projection": true, "fields": true, "$project": true, "options": true}

func lastOf(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func join(path, key string) string { return path + "." + key }

// described is a field of property descriptors that a script has given to Object.prototype, or "". To describe a property the engine makes an object and
// sets its fields as a script would: a setter among them would run a script's code wherever a value is read.
func (vm *VM) described() string {
	for _, key := range vm.objectProto.GetOwnPropertyNames() {
		switch key {
		case "value", "writable", "get", "set", "enumerable", "configurable":
			return key
		}
	}
	return ""
}

// readable refuses to read values that cannot be read without running a script's code.
func (vm *VM) readable() error {
	if key := vm.described(); key != "" {
		return &Refusal{Text: "Object.prototype has a property " + key + ": values cannot be read without running it", Hint: "delete Object.prototype." + key}
	}
	return nil
}

// notRead stands for what cannot be read.
const notRead = "[not read: Object.prototype was changed]"

// property reads an own data property without running code; getter says that it is an accessor. Nil if there is none. Requires described() == "", and
// an object that is no Proxy.
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

func (c *converter) build(t bson.Type, path string, n int, each func(int) (string, bson.RawValue)) bson.RawValue {
	idx, b := bsoncore.ReserveLength(nil)
	for i := range n {
		if i&1023 == 0 {
			c.vm.pause()
		}
		key, v := each(i)
		if c.err != nil {
			return bson.RawValue{Type: bson.TypeNull}
		}
		if strings.ContainsRune(key, 0) {
			return c.refuse("", "", "a field name in %s holds a NUL character", path)
		}
		if len(b)+len(v.Value) > maxMessage {
			return c.refuse("", "send it in parts", "%s is longer than %d bytes, more than a server takes at once", path, maxMessage)
		}
		b = bsoncore.AppendHeader(b, bsoncore.Type(v.Type), key)
		b = append(b, v.Value...)
	}
	b = append(b, 0)
	return bson.RawValue{Type: t, Value: bsoncore.UpdateLength(b, idx, int32(len(b)))}
}
