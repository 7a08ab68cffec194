package js

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// ejson is Extended JSON.
// Source: https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
func (vm *VM) ejson() *goja.Object {
	obj := vm.rt.NewObject()
	vm.method(obj, "stringify", func(_ goja.Value, a args) goja.Value { return vm.rt.ToValue(vm.extJSON(a)) })
	vm.method(obj, "parse", func(_ goja.Value, a args) goja.Value {
		a.opts(1, "relaxed")
		return vm.fromExtJSON(a, a.text(0))
	})
	vm.method(obj, "serialize", func(_ goja.Value, a args) goja.Value {
		v, err := vm.parseJSON(goja.Undefined(), vm.rt.ToValue(vm.extJSON(a)))
		a.check(err)
		return v
	})
	vm.method(obj, "deserialize", func(_ goja.Value, a args) goja.Value {
		a.opts(1, "relaxed")
		return vm.fromExtJSON(a, extJSONOf(a, a.raw(0, "value"), false))
	})
	vm.freeze(obj)
	return obj
}

// extJSON is the text of a value: (value, options), or as of JSON.stringify (value, null, indent, options).
func (vm *VM) extJSON(a args) string {
	raw := a.raw(0, "value")
	canonical, indent := false, ""
	for i := 1; i < len(a.values); i++ {
		if !a.has(i) {
			continue
		}
		switch given := a.raw(i, "options"); given.Type {
		case bson.TypeString:
			indent = given.StringValue()
		case bson.TypeInt32, bson.TypeDouble:
			indent = strings.Repeat(" ", int(min(max(given.AsFloat64(), 0), 10)))
		case bson.TypeEmbeddedDocument:
			o := a.opts(i, "relaxed")
			canonical = o.get("relaxed").Type != 0 && !o.truthy("relaxed")
		default:
			a.fail("options, or null, an indent and options were expected")
		}
	}
	text := extJSONOf(a, raw, canonical)
	if indent == "" {
		return text
	}
	var out bytes.Buffer
	a.check(json.Indent(&out, []byte(text), "", indent))
	return out.String()
}

func extJSONOf(a args, v bson.RawValue, canonical bool) string {
	b, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: v}}, canonical, false)
	a.check(err)
	return string(b[len(`{"v":`) : len(b)-1])
}

func (vm *VM) fromExtJSON(a args, text string) goja.Value {
	if _, deep := lookJSON(text); deep { // the rest is honoured: BSON keeps it
		return vm.typeError("%s: nested too deep", a.method)
	}
	var d struct {
		V bson.RawValue `bson:"v"`
	}
	if err := bson.UnmarshalExtJSON([]byte(`{"v":`+text+`}`), false, &d); err != nil {
		return vm.typeError("%s: %v", a.method, err)
	}
	return vm.fromRaw(d.V)
}

// lookJSON looks over a text of JSON as look does over a program: for fields that stand twice in an object, or in another order than JavaScript has them, and for
// how deep it goes. What is no JSON is for the parser to say.
func lookJSON(text string) (l *literals, deep bool) {
	l = &literals{reordered: map[string][]string{}}
	type object struct {
		fields fieldList
		list   bool
	}
	var open []object
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '[', '{':
			if open = append(open, object{list: text[i] == '['}); len(open) > maxNesting {
				return l, true
			}
		case ']', '}':
			if n := len(open); n > 0 {
				l.order(open[n-1].fields.names)
				open = open[:n-1]
			}
		case '"':
			from := i
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			n, after := len(open), strings.TrimLeft(text[min(i+1, len(text)):], " \t\r\n")
			if n == 0 || open[n-1].list || !strings.HasPrefix(after, ":") {
				continue
			}
			var name string
			if json.Unmarshal([]byte(text[from:min(i+1, len(text))]), &name) != nil {
				continue
			}
			if open[n-1].fields.add(name) && l.err == nil {
				l.err = twice(name)
			}
		}
	}
	return l, false
}

// boundJSON lets JSON.parse refuse what would overflow the stack, and what would become another object than the text says.
func (vm *VM) boundJSON() {
	obj := vm.rt.Get("JSON").ToObject(vm.rt)
	original, ok := goja.AssertFunction(obj.Get("parse"))
	if !ok {
		panic("js: internal error: no JSON.parse")
	}
	vm.parseJSON = original
	f := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		text := call.Argument(0).ToString()
		found, deep := lookJSON(text.String())
		if deep {
			panic(vm.errorObject("RangeError", "JSON is nested too deep", nil))
		}
		v, err := original(goja.Undefined(), text, call.Argument(1))
		if err == nil {
			err = found.err
			vm.learn(found)
		}
		if err != nil {
			return vm.throw(err)
		}
		return v
	}).(*goja.Object)
	vm.must(f.DefineDataProperty("name", vm.rt.ToValue("parse"), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	vm.must(obj.DefineDataProperty("parse", f, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
}
