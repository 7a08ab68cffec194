package js

import (
	"math/big"
	"strconv"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// made are the BSON types of what constructors make, for instanceof.
var made = map[string]bson.Type{
	"ObjectId": bson.TypeObjectID, "NumberLong": bson.TypeInt64, "Long": bson.TypeInt64, "NumberInt": bson.TypeInt32, "Int32": bson.TypeInt32, "Double": bson.TypeDouble,
	"NumberDecimal": bson.TypeDecimal128, "Decimal128": bson.TypeDecimal128, "UUID": bson.TypeBinary, "BinData": bson.TypeBinary, "HexData": bson.TypeBinary, "MD5": bson.TypeBinary,
	"LegacyCSharpUUID": bson.TypeBinary, "LegacyJavaUUID": bson.TypeBinary, "LegacyPythonUUID": bson.TypeBinary, "Timestamp": bson.TypeTimestamp,
	"Code": bson.TypeJavaScript, "BSONRegExp": bson.TypeRegex, "BSONSymbol": bson.TypeSymbol,
}

// inJSON is what JSON.stringify has of a BSON value: numbers where JSON's are exact, otherwise text, as with other drivers.
func (vm *VM) inJSON(v goja.Value) goja.Value {
	w, ok := export[*wrapped](v)
	if !ok {
		return vm.rt.ToValue(plainText(v))
	}
	switch w.raw.Type {
	case bson.TypeInt32, bson.TypeDouble:
		return vm.rt.ToValue(w.raw.AsFloat64())
	case bson.TypeDecimal128:
		o := vm.rt.NewObject()
		vm.put(o, "$numberDecimal", w.raw.Decimal128().String())
		return o
	}
	return vm.rt.ToValue(plainText(v))
}

// equal is equals() of BSON values: with one of the same type, and with what the type's constructor would make the same of.
func (vm *VM) equal(x bson.RawValue, v goja.Value) bool {
	if w, ok := export[*wrapped](v); ok {
		a, okA := x.AsInt64OK()
		b, okB := w.raw.AsInt64OK()
		if okA && okB && x.Type != bson.TypeDouble && w.raw.Type != bson.TypeDouble {
			return a == b
		}
		return x.Equal(w.raw)
	}
	if isObject(v) {
		return false
	}
	switch text := v.String(); x.Type {
	case bson.TypeObjectID:
		id, err := bson.ObjectIDFromHex(text)
		return err == nil && id == x.ObjectID()
	case bson.TypeInt64, bson.TypeInt32:
		n, err := strconv.ParseInt(text, 10, 64)
		mine, _ := x.AsInt64OK()
		return err == nil && n == mine
	case bson.TypeDouble, bson.TypeDecimal128:
		return plainText(vm.wrap(x)) == text
	case bson.TypeBinary:
		sub, _ := x.Binary()
		return sub == bson.TypeBinaryUUID && plainText(vm.wrap(x)) == text
	}
	return false
}

// primitive64 is a 64-bit integer in an expression: a number where that has all of its digits, otherwise a BigInt, which is exact in texts and comparisons, and in sums with
// others of its kind. With a number JavaScript refuses to mix it, which is better than a wrong digit.
func (vm *VM) primitive64(n int64, hint string) goja.Value {
	switch {
	case hint == "string":
		return vm.rt.ToValue(strconv.FormatInt(n, 10))
	case n > 1<<53 || n < -(1<<53):
		return vm.rt.ToValue(big.NewInt(n))
	}
	return vm.rt.ToValue(float64(n))
}

func (vm *VM) define64() {
	proto := vm.protos.types[bson.TypeInt64]
	vm.must(proto.DefineDataPropertySymbol(goja.SymToPrimitive, vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		w, ok := export[*wrapped](call.This)
		if !ok || w.raw.Type != bson.TypeInt64 {
			return vm.typeError("not a 64-bit integer")
		}
		hint, _ := exported[string](call.Argument(0))
		return vm.primitive64(w.raw.Int64(), hint)
	}), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_FALSE))
	for _, t := range []bson.Type{bson.TypeInt64, bson.TypeInt32, bson.TypeDouble} {
		vm.typed(t, "toString", func(raw bson.RawValue, a args) goja.Value {
			radix := int64(10)
			if a.has(0) {
				radix = a.at(0).ToInteger()
			}
			if radix < 2 || radix > 36 {
				vm.tooLarge("toString() radix argument must be between 2 and 36")
			}
			if n, ok := raw.AsInt64OK(); ok && raw.Type != bson.TypeDouble {
				return vm.rt.ToValue(strconv.FormatInt(n, int(radix)))
			}
			if radix != 10 {
				return vm.typeError("toString: a double is written in the base 10: use toString(%d) of its number", radix)
			}
			return vm.rt.ToValue(render.Number(raw.Double()))
		})
	}
}

// sorter lets a comparison return a BigInt, the difference of two 64-bit integers: the language takes none.
func (vm *VM) sorter(original native) native {
	return func(call goja.FunctionCall) goja.Value {
		f, ok := goja.AssertFunction(call.Argument(0))
		if !ok {
			return original(call)
		}
		compare := vm.rt.ToValue(func(c goja.FunctionCall) goja.Value {
			v, err := f(c.This, c.Arguments...)
			if err != nil {
				vm.throw(err)
			}
			if n, ok := bigOf(v); ok {
				return vm.rt.ToValue(n.Sign())
			}
			return v
		})
		return original(goja.FunctionCall{This: call.This, Arguments: []goja.Value{compare}})
	}
}
