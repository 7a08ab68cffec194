package js

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// protos are the prototypes of the shell's own objects. They are frozen when all is defined.
type protos struct {
	types                                            map[bson.Type]*goja.Object
	database, collection, cursor, mongo, explainable *goja.Object
	planCache, replicaSet, sharding                  *goja.Object
	bulk, bulkFind, stream, session                  *goja.Object
}

// shellObject is an object of the shell's own, which scripts see by its prototype.
func (vm *VM) shellObject(o goja.DynamicObject, proto *goja.Object) *goja.Object {
	obj := vm.rt.NewDynamicObject(o)
	vm.must(obj.SetPrototype(proto))
	return obj
}

// args are what a method was called with.
type args struct {
	vm     *VM
	method string
	values []goja.Value
	reads  bool // what they become is part of a read: see converter.reads
}

// with is the call of the same method with other arguments.
func (a args) with(values ...goja.Value) args {
	a.values = values
	return a
}

// at is an argument, or undefined.
func (a args) at(i int) goja.Value {
	if i < len(a.values) {
		return a.values[i]
	}
	return goja.Undefined()
}

func (a args) has(i int) bool {
	return i < len(a.values) && !goja.IsUndefined(a.values[i]) && !goja.IsNull(a.values[i])
}

// constructor is a BSON type that scripts can make. It works with and without new.
type constructor struct {
	name, args, help string
	make             func(vm *VM, a args) goja.Value
}

// constructors of mongosh's BSON types.
var constructors = []constructor{
	{"ObjectId", "hex", "a 12-byte id; a new one without an argument", makeObjectID},
	{"ISODate", "'2026-01-31T12:00:00Z'", "a date", makeISODate},
	{"NumberLong", "'123'", "a 64-bit integer", makeLong},
	{"Long", "'123'", "a 64-bit integer", makeLong},
	{"NumberInt", "123", "a 32-bit integer", makeInt},
	{"Int32", "123", "a 32-bit integer", makeInt},
	{"Double", "1.5", "a double, also of a whole number", makeDouble},
	{"NumberDecimal", "'1.50'", "a 128-bit decimal", makeDecimal},
	{"Decimal128", "'1.50'", "a 128-bit decimal", makeDecimal},
	{"LegacyCSharpUUID", "hex", "a UUID in the old order of the C# driver", legacyUUID([]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15})},
	{"LegacyJavaUUID", "hex", "a UUID in the old order of the Java driver", legacyUUID([]int{7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8})},
	{"LegacyPythonUUID", "hex", "a UUID in the old form of the Python driver", legacyUUID([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})},
	{"UUID", "hex", "a UUID; a new one without an argument", makeUUID},
	{"BinData", "subtype, base64", "binary data", makeBinData},
	{"HexData", "subtype, hex", "binary data", makeHexData},
	{"MD5", "hex", "binary data of subtype 5", func(vm *VM, a args) goja.Value {
		return makeHexData(vm, a.with(vm.rt.ToValue(5), a.at(0)))
	}},
	{"Timestamp", "{ t, i }", "a timestamp of the replication log", makeTimestamp},
	{"MinKey", "", "less than everything", func(vm *VM, _ args) goja.Value { return vm.wrap(rawOf(bson.MinKey{})) }},
	{"MaxKey", "", "greater than everything", func(vm *VM, _ args) goja.Value { return vm.wrap(rawOf(bson.MaxKey{})) }},
	{"Code", "'function() {…}', scope", "JavaScript code", makeCode},
	{"DBRef", "collection, id, db", "a reference", makeDBRef},
	{"BSONRegExp", "pattern, flags", "a regular expression with the server's flags", makeRegExp},
	{"BSONSymbol", "'text'", "a symbol (deprecated)", func(vm *VM, a args) goja.Value { return vm.wrap(rawOf(bson.Symbol(a.text(0)))) }},
}

// text is an argument that must be a string.
func (a args) text(i int) string {
	s, ok := exported[string](a.at(i))
	if !ok {
		a.vm.typeError("%s: argument %d must be a string", a.method, i+1)
	}
	return s
}

func (vm *VM) defineTypes() {
	vm.protos.types = map[bson.Type]*goja.Object{}
	for _, t := range []bson.Type{bson.TypeObjectID, bson.TypeInt64, bson.TypeInt32, bson.TypeDouble, bson.TypeDecimal128, bson.TypeTimestamp, bson.TypeBinary,
		bson.TypeMinKey, bson.TypeMaxKey, bson.TypeJavaScript, bson.TypeCodeWithScope, bson.TypeRegex, bson.TypeSymbol, bson.TypeDBPointer} {
		p := vm.rt.NewObject()
		if t != bson.TypeInt64 && t != bson.TypeInt32 && t != bson.TypeDouble {
			vm.method(p, "toString", func(this goja.Value, _ args) goja.Value { return vm.rt.ToValue(plainText(this)) })
		}
		vm.method(p, "toJSON", func(this goja.Value, _ args) goja.Value { return vm.inJSON(this) })
		vm.method(p, "equals", func(this goja.Value, a args) goja.Value {
			x, ok := export[*wrapped](this)
			return vm.rt.ToValue(ok && vm.equal(x.raw, a.at(0)))
		})
		vm.protos.types[t] = p
	}
	vm.defineNumbers()
	vm.define64()
	vm.typed(bson.TypeObjectID, "toHexString", func(raw bson.RawValue, _ args) goja.Value { return vm.rt.ToValue(raw.ObjectID().Hex()) })
	vm.typed(bson.TypeObjectID, "getTimestamp", func(raw bson.RawValue, _ args) goja.Value {
		return vm.date(float64(raw.ObjectID().Timestamp().UnixMilli()))
	})
	vm.typed(bson.TypeBinary, "toHexString", func(raw bson.RawValue, _ args) goja.Value {
		if sub, data := raw.Binary(); sub != bson.TypeBinaryUUID {
			return vm.rt.ToValue(hex.EncodeToString(data))
		}
		return vm.rt.ToValue(plainText(vm.wrap(raw)))
	})
	vm.typed(bson.TypeBinary, "length", func(raw bson.RawValue, _ args) goja.Value {
		_, data := raw.Binary()
		return vm.rt.ToValue(len(data))
	})
	vm.typed(bson.TypeBinary, "toUUID", func(raw bson.RawValue, _ args) goja.Value {
		_, data := raw.Binary()
		if len(data) != 16 {
			return vm.typeError("toUUID: %d bytes are no UUID", len(data))
		}
		return vm.fromRaw(rawOf(bson.Binary{Subtype: bson.TypeBinaryUUID, Data: data}))
	})
	for name, f := range map[string]func(t, i uint32) uint32{"getHighBits": func(t, _ uint32) uint32 { return t }, "getLowBits": func(_, i uint32) uint32 { return i }} {
		vm.typed(bson.TypeTimestamp, name, func(raw bson.RawValue, _ args) goja.Value { return vm.rt.ToValue(f(raw.Timestamp())) })
	}
	for _, c := range constructors {
		vm.define(c)
	}
	vm.constants = map[*goja.Object]bson.RawValue{vm.rt.Get("MinKey").ToObject(vm.rt): rawOf(bson.MinKey{}), vm.rt.Get("MaxKey").ToObject(vm.rt): rawOf(bson.MaxKey{})}
	vm.statics()
}

// define makes a constructor global.
func (vm *VM) define(c constructor) {
	f := vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		return c.make(vm, args{vm: vm, method: c.name, values: call.Arguments}).(*goja.Object)
	}).(*goja.Object)
	// A native constructor that is called without new gets a ConstructorCall as well.
	vm.must(f.DefineDataProperty("name", vm.rt.ToValue(c.name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	if proto := vm.protos.types[made[c.name]]; proto != nil { // instanceof
		vm.must(f.DefineDataProperty("prototype", proto, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	} else if c.name == "ISODate" {
		vm.must(f.DefineDataProperty("prototype", vm.dateProto, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	}
	vm.must(vm.rt.GlobalObject().DefineDataProperty(c.name, f, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
}

// statics are the functions on constructors that documents print with.
func (vm *VM) statics() {
	on := func(global, name string, f func(a args) goja.Value) {
		vm.method(vm.rt.Get(global).ToObject(vm.rt), name, func(_ goja.Value, a args) goja.Value { return f(a) })
	}
	binary := vm.rt.NewObject()
	vm.must(vm.rt.GlobalObject().DefineDataProperty("Binary", binary, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	on("Binary", "createFromBase64", func(a args) goja.Value {
		return makeBinData(vm, a.with(orZero(vm, a.at(1)), a.at(0)))
	})
	on("Binary", "createFromHexString", func(a args) goja.Value {
		return makeHexData(vm, a.with(orZero(vm, a.at(1)), a.at(0)))
	})
	on("ObjectId", "createFromHexString", func(a args) goja.Value { return makeObjectID(vm, a) })
	on("ObjectId", "createFromTime", func(a args) goja.Value {
		return vm.wrap(rawOf(bson.NewObjectIDFromTimestamp(time.Unix(a.at(0).ToInteger(), 0))))
	})
	on("ObjectId", "isValid", func(a args) goja.Value {
		s, ok := exported[string](a.at(0))
		_, err := bson.ObjectIDFromHex(s)
		w, isW := export[*wrapped](a.at(0))
		return vm.rt.ToValue((ok && err == nil) || (isW && w.raw.Type == bson.TypeObjectID))
	})
	on("Long", "fromNumber", func(a args) goja.Value { return makeLong(vm, a) })
	on("Long", "fromString", func(a args) goja.Value { return makeLong(vm, a) })
	on("Long", "fromInt", func(a args) goja.Value { return makeLong(vm, a) })
	on("Long", "fromBigInt", func(a args) goja.Value { return makeLong(vm, a) })
	on("Long", "isLong", func(a args) goja.Value {
		w, ok := export[*wrapped](a.at(0))
		return vm.rt.ToValue(ok && w.raw.Type == bson.TypeInt64)
	})
	for name, n := range map[string]int64{"MAX_VALUE": math.MaxInt64, "MIN_VALUE": math.MinInt64, "ZERO": 0, "ONE": 1} {
		vm.must(vm.rt.Get("Long").ToObject(vm.rt).DefineDataProperty(name, vm.wrap(rawOf(n)), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	}
	on("Decimal128", "fromString", func(a args) goja.Value { return makeDecimal(vm, a) })
}

func orZero(vm *VM, v goja.Value) goja.Value {
	if goja.IsUndefined(v) {
		return vm.rt.ToValue(0)
	}
	return v
}

// plainText is what a BSON value says of itself in JavaScript strings.
func plainText(v goja.Value) string {
	w, ok := export[*wrapped](v)
	if !ok {
		return "[object Object]"
	}
	switch w.raw.Type {
	case bson.TypeObjectID:
		return w.raw.ObjectID().Hex()
	case bson.TypeInt64:
		return strconv.FormatInt(w.raw.Int64(), 10)
	case bson.TypeInt32:
		return strconv.Itoa(int(w.raw.Int32()))
	case bson.TypeDouble:
		return render.Number(w.raw.Double())
	case bson.TypeDecimal128:
		return w.raw.Decimal128().String()
	case bson.TypeBinary:
		sub, data := w.raw.Binary()
		if sub == bson.TypeBinaryUUID && len(data) == 16 {
			s := render.Value(w.raw)
			return s[len("UUID('") : len(s)-2]
		}
		return base64.StdEncoding.EncodeToString(data)
	case bson.TypeSymbol:
		return w.raw.Symbol()
	case bson.TypeJavaScript:
		return w.raw.JavaScript()
	}
	return render.Inline(w.raw, 1000)
}

// defineNumbers gives number types valueOf, so that they can be reckoned with as far as JavaScript can.
func (vm *VM) defineNumbers() {
	for _, t := range []bson.Type{bson.TypeInt64, bson.TypeInt32, bson.TypeDouble} {
		value := func(raw bson.RawValue, _ args) goja.Value {
			if n, ok := raw.AsInt64OK(); ok && raw.Type == bson.TypeInt64 && (n > 1<<53 || n < -(1<<53)) {
				return vm.typeError("Long('%d') does not fit a JavaScript number: use BigInt(x.toString())", n)
			}
			return vm.rt.ToValue(raw.AsFloat64())
		}
		for _, name := range []string{"valueOf", "toNumber", "toInt"} {
			vm.typed(t, name, value)
		}
	}
	for name, f := range map[string]func(x, y *big.Int) *big.Int{
		"add": func(x, y *big.Int) *big.Int { return new(big.Int).Add(x, y) }, "subtract": func(x, y *big.Int) *big.Int { return new(big.Int).Sub(x, y) },
		"multiply": func(x, y *big.Int) *big.Int { return new(big.Int).Mul(x, y) },
		"divide":   func(x, y *big.Int) *big.Int { return new(big.Int).Quo(x, y) }, "modulo": func(x, y *big.Int) *big.Int { return new(big.Int).Rem(x, y) },
		"negate": func(x, _ *big.Int) *big.Int { return new(big.Int).Neg(x) },
	} {
		vm.typed(bson.TypeInt64, name, func(raw bson.RawValue, a args) goja.Value {
			y := int64(1)
			if name != "negate" {
				y = vm.longOf(a.at(0), name)
			}
			if y == 0 && (name == "divide" || name == "modulo") {
				return vm.typeError("%s: by zero", name)
			}
			sum := f(big.NewInt(raw.Int64()), big.NewInt(y))
			if !sum.IsInt64() {
				return vm.typeError("%s: the result does not fit 64 bits", name)
			}
			return vm.wrap(rawOf(sum.Int64()))
		})
	}
	compare := func(name string, f func(order int) any) {
		vm.typed(bson.TypeInt64, name, func(raw bson.RawValue, a args) goja.Value {
			return vm.rt.ToValue(f(big.NewInt(raw.Int64()).Cmp(big.NewInt(vm.longOf(a.at(0), name)))))
		})
	}
	compare("compare", func(order int) any { return order })
	compare("eq", func(order int) any { return order == 0 })
	compare("notEquals", func(order int) any { return order != 0 })
	compare("greaterThan", func(order int) any { return order > 0 })
	compare("greaterThanOrEqual", func(order int) any { return order >= 0 })
	compare("lessThan", func(order int) any { return order < 0 })
	compare("lessThanOrEqual", func(order int) any { return order <= 0 })
	for name, f := range map[string]func(n int64) any{
		"isZero": func(n int64) any { return n == 0 }, "isNegative": func(n int64) any { return n < 0 }, "toBigInt": func(n int64) any { return big.NewInt(n) },
	} {
		vm.typed(bson.TypeInt64, name, func(raw bson.RawValue, _ args) goja.Value { return vm.rt.ToValue(f(raw.Int64())) })
	}
}

// typed is a method of the values of one BSON type. A script may call it on anything.
func (vm *VM) typed(t bson.Type, name string, f func(raw bson.RawValue, a args) goja.Value) {
	vm.method(vm.protos.types[t], name, func(this goja.Value, a args) goja.Value {
		w, ok := export[*wrapped](this)
		if !ok || w.raw.Type != t {
			return vm.typeError("%s was called on something that is no %s", name, t)
		}
		return f(w.raw, a)
	})
}

// longOf reads a 64-bit integer from a string, a number that has all its digits, or another BSON number.
func (vm *VM) longOf(v goja.Value, method string) int64 {
	if w, ok := export[*wrapped](v); ok {
		if n, ok := w.raw.AsInt64OK(); ok {
			return n
		}
	}
	if isObject(v) {
		vm.typeError("%s wants an integer", method)
	}
	switch x := v.Export().(type) {
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(x), 10, 64)
		if err != nil {
			vm.typeError("%s: %q is no 64-bit integer", method, x)
		}
		return n
	case int64:
		if x >= 1<<53 || x <= -(1<<53) {
			vm.typeError("%s: the number has lost digits: write it in quotation marks", method)
		}
		return x
	case float64:
		if math.Abs(x) >= 1<<53 || math.IsNaN(x) {
			vm.typeError("%s: the number has lost digits: write it in quotation marks", method)
		}
		return int64(x)
	case *big.Int:
		if x.IsInt64() {
			return x.Int64()
		}
	}
	vm.typeError("%s wants an integer", method)
	return 0
}

func makeObjectID(vm *VM, a args) goja.Value {
	if !a.has(0) {
		return vm.wrap(rawOf(vm.cfg.NewID()))
	}
	if w, ok := export[*wrapped](a.at(0)); ok && w.raw.Type == bson.TypeObjectID {
		return vm.wrap(w.raw)
	}
	id, err := bson.ObjectIDFromHex(a.text(0))
	if err != nil {
		return vm.typeError("ObjectId wants 24 hexadecimal digits, not %q", a.text(0))
	}
	return vm.wrap(rawOf(id))
}

var isoDate = regexp.MustCompile(`^(\d{4})-?(\d{2})-?(\d{2})([T ](\d{2})(:?(\d{2})(:?(\d{2})(\.(\d+))?)?)?(Z|([+-])(\d{2}):?(\d{2})?)?)?$`)

// makeISODate reads what mongosh's ISODate reads: a date, optionally a time, UTC unless an offset is given.
func makeISODate(vm *VM, a args) goja.Value {
	if !a.has(0) {
		obj, err := vm.newDate(nil)
		vm.must(err)
		return obj
	}
	s := a.text(0)
	if strings.HasPrefix(s, "+") || strings.HasPrefix(s, "-") { // years beyond 9999, as they are printed
		obj, err := vm.newDate(nil, a.at(0))
		if err == nil {
			if _, ok := vm.dateMillis(obj); ok {
				return obj
			}
		}
	}
	m := isoDate.FindStringSubmatch(s)
	if m == nil {
		return vm.typeError("ISODate: %q is not a date like 2026-01-31T12:00:00Z", s)
	}
	n := func(i int) int { v, _ := strconv.Atoi("0" + m[i]); return v }
	nanos, _ := strconv.Atoi((m[11] + "000000000")[:9])
	t := time.Date(n(1), time.Month(n(2)), n(3), n(5), n(7), n(9), nanos, time.UTC)
	if t.Year() != n(1) || int(t.Month()) != n(2) || t.Day() != n(3) || n(5) > 23 || n(7) > 59 || n(9) > 59 {
		return vm.typeError("ISODate: there is no %q", s)
	}
	if m[13] != "" {
		offset := time.Duration(n(14))*time.Hour + time.Duration(n(15))*time.Minute
		if m[13] == "+" {
			offset = -offset
		}
		t = t.Add(offset)
	}
	return vm.date(float64(t.UnixMilli()))
}

func makeLong(vm *VM, a args) goja.Value {
	if a.has(1) && !isObject(a.at(0)) && !isObject(a.at(1)) { // the low and the high 32 bits
		low, high := vm.longOf(a.at(0), a.method), vm.longOf(a.at(1), a.method)
		return vm.wrap(rawOf(high<<32 | low&math.MaxUint32))
	}
	if !a.has(0) {
		return vm.wrap(rawOf(int64(0)))
	}
	return vm.wrap(rawOf(vm.longOf(a.at(0), a.method)))
}

func makeInt(vm *VM, a args) goja.Value {
	n := int64(0)
	if a.has(0) {
		n = vm.longOf(a.at(0), a.method)
	}
	if n < math.MinInt32 || n > math.MaxInt32 {
		return vm.typeError("%s: %d does not fit 32 bits", a.method, n)
	}
	return vm.wrap(rawOf(int32(n)))
}

// makeDouble takes a number, or its text. What is no number would be NaN without a word.
func makeDouble(vm *VM, a args) goja.Value {
	if len(a.values) == 0 {
		return vm.wrap(rawOf(0.0))
	}
	if w, ok := export[*wrapped](a.at(0)); ok {
		if f, ok := w.raw.AsFloat64OK(); ok {
			return vm.wrap(rawOf(f))
		}
	}
	if isObject(a.at(0)) {
		return vm.typeError("Double wants a number")
	}
	switch x := a.at(0).Export().(type) {
	case int64:
		return vm.wrap(rawOf(float64(x)))
	case float64:
		return vm.wrap(rawOf(x))
	case string:
		if f, err := strconv.ParseFloat(strings.TrimSpace(x), 64); err == nil {
			return vm.wrap(rawOf(f))
		}
	}
	return vm.typeError("Double wants a number")
}

func makeDecimal(vm *VM, a args) goja.Value {
	s := a.at(0).String()
	if !a.has(0) {
		s = "0"
	}
	if f := math.Abs(asFloat(a.at(0))); f >= 1<<53 && f < 1<<63 || vm.inexact[f] != "" {
		return vm.typeError("%s: the number has lost digits: write it in quotation marks", a.method)
	}
	d, err := bson.ParseDecimal128(s)
	if err != nil {
		return vm.typeError("%s: %q is no decimal number", a.method, s)
	}
	return vm.wrap(rawOf(d))
}

// asFloat is a number, or 0 for what is none.
func asFloat(v goja.Value) float64 {
	if f, ok := exported[float64](v); ok {
		return f
	}
	n, _ := exported[int64](v)
	return float64(n)
}

func makeUUID(vm *VM, a args) goja.Value {
	return vm.fromRaw(rawOf(bson.Binary{Subtype: bson.TypeBinaryUUID, Data: uuidBytes(vm, a)}))
}

// legacyUUID is a UUID of subtype 3, its bytes in the order in which a driver once wrote them.
// Source: https://github.com/mongodb/specifications/blob/master/source/bson-binary-uuid/uuid.md
func legacyUUID(order []int) func(*VM, args) goja.Value {
	return func(vm *VM, a args) goja.Value {
		data, out := uuidBytes(vm, a), make([]byte, 16)
		for i, from := range order {
			out[i] = data[from]
		}
		return vm.fromRaw(rawOf(bson.Binary{Subtype: bson.TypeBinaryUUIDOld, Data: out}))
	}
}

// uuidBytes are the bytes of a UUID; of a new one without an argument.
func uuidBytes(vm *VM, a args) []byte {
	if a.has(0) {
		data, err := hex.DecodeString(strings.ReplaceAll(a.text(0), "-", ""))
		if err != nil || len(data) != 16 {
			vm.typeError("%s: %q is no UUID", a.method, a.text(0))
		}
		return data
	}
	x, y := vm.cfg.NewID(), vm.cfg.NewID()
	data := append(x[:8:8], y[4:]...)
	data[6], data[8] = data[6]&0x0f|0x40, data[8]&0x3f|0x80 // version 4: RFC 9562, section 5.4
	return data
}

func makeBinData(vm *VM, a args) goja.Value {
	data, err := base64.StdEncoding.DecodeString(a.text(1))
	if err != nil {
		return vm.typeError("%s: %v", a.method, err)
	}
	return vm.binary(a, data)
}

func makeHexData(vm *VM, a args) goja.Value {
	data, err := hex.DecodeString(a.text(1))
	if err != nil {
		return vm.typeError("%s: %v", a.method, err)
	}
	return vm.binary(a, data)
}

func (vm *VM) binary(a args, data []byte) goja.Value {
	sub := a.at(0).ToInteger()
	if sub < 0 || sub > 255 {
		return vm.typeError("%s: subtype %d", a.method, sub)
	}
	return vm.fromRaw(rawOf(bson.Binary{Subtype: byte(sub), Data: data}))
}

func makeTimestamp(vm *VM, a args) goja.Value {
	if w, ok := export[*wrapped](a.at(0)); ok && w.raw.Type == bson.TypeInt64 { // seconds above, counter below
		n := uint64(w.raw.Int64())
		return vm.fromRaw(rawOf(bson.Timestamp{T: uint32(n >> 32), I: uint32(n)}))
	}
	get := func(v goja.Value) uint32 {
		n := vm.longOf(v, "Timestamp")
		if n < 0 || n > math.MaxUint32 {
			vm.typeError("Timestamp: %d does not fit 32 bits", n)
		}
		return uint32(n)
	}
	var t, i uint32
	if isObject(a.at(0)) {
		d := a.doc(0, "timestamp")
		tv, iv := d.Lookup("t"), d.Lookup("i")
		if tv.Type == 0 || iv.Type == 0 {
			return vm.typeError("Timestamp wants { t: seconds, i: counter }")
		}
		t, i = get(vm.fromRaw(tv)), get(vm.fromRaw(iv))
	} else if a.has(0) {
		t, i = get(a.at(0)), get(orZero(vm, a.at(1)))
	}
	return vm.fromRaw(rawOf(bson.Timestamp{T: t, I: i}))
}

func makeCode(vm *VM, a args) goja.Value {
	code := ""
	if _, ok := goja.AssertFunction(a.at(0)); ok {
		var err error
		if code, err = vm.functionText(a.at(0).ToObject(vm.rt)); err != nil {
			return vm.throw(err)
		}
	} else {
		code = a.text(0)
	}
	if !a.has(1) {
		return vm.fromRaw(rawOf(bson.JavaScript(code)))
	}
	scope, err := vm.toDocument(a.at(1), "scope", false)
	if err != nil {
		return vm.throw(err)
	}
	return vm.fromRaw(rawOf(bson.CodeWithScope{Code: bson.JavaScript(code), Scope: scope}))
}

// makeDBRef: a convention on a document.
// Source: https://www.mongodb.com/docs/manual/reference/database-references/
func makeDBRef(vm *VM, a args) goja.Value {
	id, err := vm.toRaw(a.at(1), "id", false)
	if err != nil {
		return vm.throw(err)
	}
	doc := bson.D{{Key: "$ref", Value: a.text(0)}, {Key: "$id", Value: id}}
	if a.has(2) {
		doc = append(doc, bson.E{Key: "$db", Value: a.text(2)})
	}
	return vm.fromRaw(rawOf(doc))
}

func makeRegExp(vm *VM, a args) goja.Value {
	opts := ""
	if a.has(1) {
		opts = a.text(1)
	}
	if strings.Trim(opts, "imsxlu") != "" {
		return vm.typeError("BSONRegExp: the flags are i, l, m, s, u, x; not %q", opts)
	}
	if strings.ContainsRune(a.text(0), 0) {
		return vm.typeError("BSONRegExp: a NUL character ends a pattern in BSON")
	}
	return vm.wrap(rawOf(bson.Regex{Pattern: a.text(0), Options: opts}))
}

// method defines a function on an object, frozen and not listed.
func (vm *VM) method(on *goja.Object, name string, f func(this goja.Value, a args) goja.Value) {
	fn := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		return f(call.This, args{vm: vm, method: name, values: call.Arguments})
	}).(*goja.Object)
	vm.must(fn.DefineDataProperty("name", vm.rt.ToValue(name), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	vm.must(on.DefineDataProperty(name, fn, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
}

func (vm *VM) describeTarget(t Target) string {
	if s, ok := t.(fmt.Stringer); ok {
		return s.String()
	}
	return "a server"
}
