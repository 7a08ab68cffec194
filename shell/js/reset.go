package js

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/dop251/goja"
)

// What ends a script past every catch leaves goja as it was in that moment, if that was inside a generator or an async function: its call stack has entries that
// nobody takes off. From then on it believes that it is called by a script, and runs no job of a promise any more. goja has no function that makes its machine
// a new one and leaves the variables. So its fields are set here to what they are in a new one. That they are there is looked at when a VM is made, and that it worked
// after each time (works): where it did not, the engine is given up.

// kept are the fields of goja's machine that a reset leaves alone.
var kept = map[string]bool{"r": true, "maxCallStackSize": true, "interrupted": true, "interruptVal": true, "interruptLock": true, "profTracker": true}

// machine is goja's machine, the field vm of a runtime.
func (vm *VM) machine() reflect.Value {
	m := field(reflect.ValueOf(vm.rt).Elem(), "vm")
	if !m.IsValid() || m.Kind() != reflect.Pointer {
		return reflect.Value{}
	}
	return m.Elem()
}

// field is a field of a struct that can be set, though its package does not export it.
func field(of reflect.Value, name string) reflect.Value {
	f := of.FieldByName(name)
	if !f.IsValid() {
		return f
	}
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// reset makes the machine of an engine that was stopped a new one. Nothing that was queued there runs any more; objects and variables stay.
func (vm *VM) reset() {
	m, rt := vm.machine(), reflect.ValueOf(vm.rt).Elem()
	for i := range m.NumField() {
		if name := m.Type().Field(i).Name; !kept[name] {
			field(m, name).SetZero()
		}
	}
	field(m, "sb").SetInt(-1)
	field(m, "stash").Set(field(field(rt, "global"), "stash").Addr())
	field(rt, "jobQueue").SetZero()
	field(rt, "toStringStack").SetZero()
}

// keepProbe makes the function by which works finds out whether an engine works. In it there is nothing that a script could have replaced.
func (vm *VM) keepProbe() error {
	m, rt := vm.machine(), reflect.ValueOf(vm.rt).Elem()
	if !m.IsValid() || !field(m, "sb").CanInt() || !field(m, "stash").IsValid() || !field(rt, "jobQueue").IsValid() || !field(rt, "toStringStack").IsValid() {
		return errors.New("js: internal error: the engine is not the one that reset.go knows")
	}
	v, err := vm.rt.RunString(`(f => (async () => { await 0; f() })())`)
	if err != nil {
		return err
	}
	vm.probe, _ = goja.AssertFunction(v)
	return nil
}

// works says whether the engine runs functions and the jobs of promises, and is where it was when they are done.
func (vm *VM) works() bool {
	calls := 0
	v, err := vm.probe(goja.Undefined(), vm.rt.ToValue(func(goja.FunctionCall) goja.Value { calls++; return goja.Undefined() }))
	p, ok := export[*goja.Promise](v)
	return err == nil && ok && calls == 1 && p.State() == goja.PromiseStateFulfilled && field(vm.machine(), "callStack").Len() == 0
}
