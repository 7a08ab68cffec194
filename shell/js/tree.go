package js

import (
	"context"
	"fmt"
	"slices"
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
	return render.Token(v.String()) // a symbol
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
		name, _ := vm.property(obj, "name")
		if s, ok := exported[string](name); ok && s != "" {
			return render.Token("[Function: " + s + "]")
		}
		return render.Token("[Function (anonymous)]")
	}
	switch obj.ClassName() {
	case "Error":
		return render.Token("[" + vm.errorText(obj) + "]")
	case "Date":
		return render.Token("Invalid Date")
	case "RegExp":
		c := converter{vm: vm}
		if v := c.regexp(obj, ""); c.err == nil {
			return v
		}
		return render.Token("[RegExp]")
	case "Array":
		return vm.listTree(obj, above)
	case "Object":
		return vm.plainTree(obj, above)
	}
	return render.Token("[" + obj.ClassName() + "]")
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
	for i := range int(min(n, maxArray)) {
		v, getter := vm.property(obj, itoa(i))
		switch {
		case getter:
			l = append(l, render.Token("[Getter]"))
		case v == nil:
			l = append(l, render.Token("<empty item>"))
		default:
			l = append(l, vm.branch(v, above))
		}
	}
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
	return o
}
