package js

import (
	"context"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// Tree is what a result looks like, as a tree for render.Value. It runs no user code: getters are named, not called. The error is that of a write whose
// result is to be shown and that was not carried out.
func (vm *VM) Tree(ctx context.Context, r Result) (tree any, err error) {
	err = vm.run(ctx, func() error { return vm.inEngine(func() { tree = vm.tree(r.v) }) })
	return tree, err
}

const (
	maxDepth = 100
	maxAgain = 1 << 14 // values that are shown again: objects that stand in each other many times over have more
	maxText  = 1 << 12 // values of what was thrown, of which a line is shown
)

// showing is what a tree has come to.
type showing struct {
	values, again int
	seen          map[*goja.Object]bool
	most          int // values that are shown; 0: all
}

func (vm *VM) tree(v goja.Value) any { return vm.treeOf(v, 0) }

func (vm *VM) treeOf(v goja.Value, most int) any {
	if isObject(v) && vm.described() != "" {
		return render.Token(notRead)
	}
	vm.shown = showing{most: most, seen: map[*goja.Object]bool{}}
	return vm.branch(v, nil)
}

// enough says whether no more is shown. v is what comes next.
func (s *showing) enough(v goja.Value) bool {
	s.values++
	if obj, ok := v.(*goja.Object); ok {
		if s.seen[obj] {
			s.again++
		}
		s.seen[obj] = true
	}
	return s.again > maxAgain || s.most > 0 && s.values > s.most
}

func (vm *VM) branch(v goja.Value, above []*goja.Object) any {
	if vm.shown.values&1023 == 0 {
		vm.pause()
	}
	if vm.shown.enough(v) {
		return render.Token("[not shown: too many values]")
	}
	switch {
	case v == nil || goja.IsUndefined(v):
		return render.Undefined{}
	case goja.IsNull(v):
		return nil
	}
	obj, ok := v.(*goja.Object)
	if !ok {
		return primitive(v)
	}
	if slices.Contains(above, obj) {
		return render.Token("[Circular]")
	}
	if len(above) > maxDepth {
		return render.Token("[Object]")
	}
	return vm.objectTree(obj, append(above, obj))
}

func primitive(v goja.Value) any {
	if s, ok := v.(*goja.Symbol); ok {
		return render.Token(symbolText(s))
	}
	switch x := v.Export().(type) {
	case string:
		return x
	case bool:
		return x
	case int64:
		return float64(x)
	case float64:
		return x
	case fmt.Stringer: // *big.Int
		return render.Token(x.String() + "n")
	}
	return render.Token(v.String())
}

func (vm *VM) objectTree(obj *goja.Object, above []*goja.Object) any {
	switch x := inner(obj).(type) {
	case *document:
		o := make(render.Object, len(x.keys))
		for i, k := range x.keys {
			o[i] = render.Field{Key: k, Value: vm.slotTree(&x.slots[i], above)}
		}
		return o
	case *array:
		l := make(render.List, len(x.slots))
		for i := range x.slots {
			l[i] = vm.slotTree(&x.slots[i], above)
		}
		return l
	case *wrapped:
		return wrappedTree(x)
	case *lazy:
		o := render.Object{}
		for _, k := range x.names {
			o = append(o, render.Field{Key: k, Value: vm.branch(x.Get(k), above)})
		}
		return o
	case *database:
		return render.Token(x.name)
	case *collection:
		return render.Token(x.db.name + "." + x.name)
	case *mongo:
		return render.Token("connection to " + vm.describeTarget(x.target))
	case *cursor:
		return render.Token("[cursor]")
	case *explainable:
		return render.Token("Explainable(" + x.coll.db.name + "." + x.coll.name + ")")
	case *planCache:
		return render.Token("PlanCache for collection " + x.coll.name)
	case *replicaSet:
		return render.Token("[rs]")
	case *sharding:
		return render.Token("[sh]")
	case *bulk:
		return rawOf(x.counts())
	case *bulkFind:
		return render.Token("BulkFindOp")
	case *stream:
		return render.Token("ChangeStreamCursor on " + x.on)
	case *session:
		return render.Token("[session]")
	case goja.Proxy:
		return render.Token("[Proxy]")
	case *goja.Promise:
		return render.Token("[Promise]")
	case time.Time:
		return rawOf(bson.DateTime(x.UnixMilli()))
	}
	if _, ok := goja.AssertFunction(obj); ok {
		return vm.functionTree(obj)
	}
	switch class := obj.ClassName(); class {
	case "Error":
		return render.Token("[" + vm.errorText(obj) + "]")
	case "Date":
		return render.Token("Invalid Date")
	case "RegExp":
		return vm.regexpTree(obj)
	case "Array":
		return vm.listTree(obj, above)
	case "Number", "Boolean", "String":
		if v, err := vm.unboxed[class](obj); err == nil {
			if s, ok := exported[string](v); ok {
				return render.Token("[String: " + render.Quote(s) + "]")
			}
			return render.Token("[" + class + ": " + render.Value(primitive(v)) + "]")
		}
	case "Object":
		if tree, ok := vm.builtinTree(obj, above); ok {
			return tree
		}
		return vm.plainTree(obj, above)
	}
	return render.Token("[" + obj.ClassName() + "]")
}

// builtinTree shows what the language's own collections hold.
func (vm *VM) builtinTree(obj *goja.Object, above []*goja.Object) (tree any, ok bool) {
	name := vm.builtin(obj)
	switch of := obj.ExportType(); {
	case name == "Map" || name == "Set":
		return vm.membersTree(obj, name, above)
	case name == "WeakMap" || name == "WeakSet":
		return render.Token(name + " { <items unknown> }"), true
	case name == "Symbol" || name == "BigInt":
		return render.Token("[" + name + "]"), true
	case of == reflect.TypeFor[goja.ArrayBuffer]():
		return bufferTree(obj.Export().(goja.ArrayBuffer).Bytes()), true
	case strings.HasSuffix(name, "Array") && of != nil && of.Kind() == reflect.Slice: // the engine's own numbers
		return typedTree(name, reflect.ValueOf(obj.Export())), true
	}
	return nil, false
}

// most is how many elements of a Map, a Set or a typed array are shown, as in mongosh.
const most = 100

func more(n int) render.Token {
	s := "s"
	if n == most+1 {
		s = ""
	}
	return render.Token(fmt.Sprintf("... %d more item%s", n-most, s))
}

func typedTree(name string, values reflect.Value) any {
	l := render.List{}
	n := values.Len()
	for i := range min(n, most) {
		switch e := values.Index(i); {
		case strings.HasPrefix(name, "Big"):
			l = append(l, render.Token(fmt.Sprint(e.Interface())+"n"))
		case e.CanInt():
			l = append(l, float64(e.Int()))
		case e.CanUint():
			l = append(l, float64(e.Uint()))
		default:
			l = append(l, e.Float())
		}
	}
	if n > most {
		l = append(l, more(n))
	}
	return render.Named{Name: fmt.Sprintf("%s(%d)", name, n), Of: l}
}

func bufferTree(b []byte) any {
	text := fmt.Sprintf("% x", b[:min(len(b), 50)])
	if len(b) > 50 {
		text += fmt.Sprintf(" ... %d more bytes", len(b)-50)
	}
	return render.Named{Name: "ArrayBuffer", Of: render.Members{render.Token("[Uint8Contents]: <" + text + ">"), render.Token(fmt.Sprintf("byteLength: %d", len(b)))}}
}

// membersTree shows what a Map or a Set has. The engine's own function goes through it, whatever a script has made of that.
func (vm *VM) membersTree(obj *goja.Object, class string, above []*goja.Object) (tree any, ok bool) {
	m := render.Members{}
	n := 0
	_, err := vm.eachMember[class](obj, vm.rt.ToValue(func(c goja.FunctionCall) goja.Value {
		switch n++; {
		case n > most:
		case class == "Map":
			m = append(m, render.Pair{Key: vm.branch(c.Argument(1), above), Value: vm.branch(c.Argument(0), above)})
		default:
			m = append(m, vm.branch(c.Argument(0), above))
		}
		return goja.Undefined()
	}))
	if vm.pause(); err != nil {
		return nil, false // it has the prototype, and is none
	}
	if n > most {
		m = append(m, more(n))
	}
	return render.Named{Name: fmt.Sprintf("%s(%d)", class, n), Of: m}, true
}

// functionTree names a function, a class, and what it extends.
func (vm *VM) functionTree(obj *goja.Object) any {
	v, _ := vm.property(obj, "name")
	name, _ := exported[string](v)
	text, err := vm.functionText(obj)
	switch {
	case err == nil && classHead.MatchString(text):
		if name == "" {
			name = "(anonymous)"
		}
		of := ""
		if p := obj.Prototype(); p != nil {
			if _, isProxy := inner(p).(goja.Proxy); !isProxy {
				v, _ := vm.property(p, "name")
				if s, _ := exported[string](v); s != "" {
					of = " extends " + s
				}
			}
		}
		return render.Token("[class " + name + of + "]")
	case name == "":
		return render.Token("[Function (anonymous)]")
	}
	kind := "Function"
	if m := functionHead.FindStringSubmatch(text); err == nil && m != nil {
		kind = map[bool]string{true: "Async"}[m[1] != ""] + map[bool]string{true: "Generator"}[m[2] != "" || m[3] != ""] + "Function"
	}
	return render.Token("[" + kind + ": " + name + "]")
}

var (
	classHead    = regexp.MustCompile(`^class\b`)
	functionHead = regexp.MustCompile(`^(async\b)?\s*(?:function\s*(\*)|(\*))?`)
)

// regexpTree shows a regular expression as it was written: a BSON one where BSON has its flags.
func (vm *VM) regexpTree(obj *goja.Object) any {
	c := converter{vm: vm}
	if v := c.regexp(obj, ""); c.err == nil {
		return v
	}
	source, err := vm.regexpSource(obj)
	s, ok := exported[string](source)
	if err != nil || !ok {
		return render.Token("[RegExp]")
	}
	flags := ""
	for _, f := range vm.regexpFlags {
		if on, err := f.get(obj); err == nil && on.ToBoolean() {
			flags += string(f.flag)
		}
	}
	return render.Token("/" + s + "/" + flags)
}

func (vm *VM) slotTree(s *slot, above []*goja.Object) any {
	if s.js == nil || (s.raw.Type != 0 && !isObject(s.js)) {
		return s.raw
	}
	return vm.branch(s.js, above)
}

func isObject(v goja.Value) bool { _, ok := v.(*goja.Object); return ok }

// wrappedTree shows Int32 and Double by name where a script made them, as mongosh does; a server's are plain numbers.
func wrappedTree(w *wrapped) any {
	switch w.raw.Type {
	case bson.TypeInt32:
		return render.Token(fmt.Sprintf("Int32(%d)", w.raw.Int32()))
	case bson.TypeDouble:
		return render.Token("Double(" + render.Number(w.raw.Double()) + ")")
	}
	return w.raw
}

func (vm *VM) listTree(obj *goja.Object, above []*goja.Object) any {
	lv, _ := vm.property(obj, "length")
	n, _ := exported[int64](lv)
	l := render.List{}
	holes := 0
	filled := func() {
		if holes > 0 {
			l = append(l, render.Token(fmt.Sprintf("<%d empty item%s>", holes, map[bool]string{true: "s"}[holes > 1])))
			holes = 0
		}
	}
	for i := range int(min(n, maxArray)) {
		v, getter := vm.property(obj, itoa(i))
		if v == nil && !getter {
			if holes++; holes&1023 == 0 {
				vm.pause()
			}
			continue
		}
		filled()
		if getter {
			l = append(l, render.Token("[Getter]"))
			continue
		}
		l = append(l, vm.branch(v, above))
	}
	filled()
	return l
}

func (vm *VM) plainTree(obj *goja.Object, above []*goja.Object) any {
	o := render.Object{}
	for _, k := range obj.Keys() {
		v, getter := vm.property(obj, k)
		if getter {
			o = append(o, render.Field{Key: k, Value: render.Token("[Getter]")})
			continue
		}
		o = append(o, render.Field{Key: k, Value: vm.branch(v, above)})
	}
	for _, s := range obj.Symbols() {
		d, err := vm.descriptor(goja.Undefined(), obj, s)
		if err != nil || goja.IsUndefined(d) {
			continue
		}
		var value any = render.Token("[Getter]")
		if desc := d.ToObject(vm.rt); slices.Contains(desc.Keys(), "value") {
			value = vm.branch(desc.Get("value"), above)
		}
		o = append(o, render.Field{Key: "[" + symbolText(s) + "]", Symbol: true, Value: value})
	}
	if name := vm.className(obj); name != "" {
		return render.Named{Name: name, Of: o}
	}
	return o
}

func symbolText(s *goja.Symbol) string { return "Symbol(" + s.String() + ")" }

// className is how an object of a class is told from a plain one, or "". It runs no code: only what stands in the prototype's own fields is read.
func (vm *VM) className(obj *goja.Object) string {
	p := obj.Prototype()
	switch {
	case p == nil:
		return "[Object: null prototype]"
	case p == vm.objectProto:
		return ""
	}
	if _, isProxy := inner(p).(goja.Proxy); isProxy {
		return ""
	}
	v, _ := vm.property(p, "constructor")
	f, ok := v.(*goja.Object)
	if !ok {
		return ""
	}
	if _, isProxy := inner(f).(goja.Proxy); isProxy {
		return ""
	}
	name, _ := vm.property(f, "name")
	text, _ := exported[string](name)
	return text
}
