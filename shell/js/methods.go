package js

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// Method is one function of an object, as help and completion have it.
type Method struct{ Object, Name, Args, Help string }

// method of an object of type T. The tables of methods are what help, completion and the engine are made from.
type method[T any] struct {
	name, args, help string
	fn               func(vm *VM, this T, a args) goja.Value
}

// install puts methods on a prototype, and behind them a clear answer for each name that mongosh has and this package has not.
func install[T any](vm *VM, object string, methods []method[T]) *goja.Object {
	proto := vm.rt.NewObject()
	for _, m := range methods {
		reads := onlyReads[object+"."+m.name]
		vm.method(proto, m.name, func(this goja.Value, a args) goja.Value {
			t, ok := export[T](this)
			if !ok {
				return vm.typeError("%s was called on something that is no %s", m.name, strings.ToLower(object))
			}
			a.reads = reads
			return m.fn(vm, t, a)
		})
	}
	for _, m := range absent {
		if m.object != object {
			continue
		}
		for _, name := range strings.Fields(m.names) {
			vm.method(proto, name, func(goja.Value, args) goja.Value { return vm.throw(m.refusal(lowerFirst(object) + "." + name + "()")) })
		}
	}
	return proto
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

func listed[T any](object string, methods []method[T]) []Method {
	var out []Method
	for _, m := range methods {
		out = append(out, Method{object, m.name, m.args, m.help})
	}
	return out
}

// Methods are all that scripts can call, by object: Database, Collection, Cursor, Mongo and others, and "" for what is global.
func Methods() []Method {
	out := slices.Concat(listed("Database", databaseMethods()), listed("Collection", collectionMethods()), listed("Cursor", cursorMethods()), listed("Mongo", mongoMethods()),
		listed("Explainable", explainableMethods()), listed("PlanCache", planCacheMethods()), listed("Bulk", bulkMethods()), listed("BulkFind", bulkFindMethods()),
		listed("ChangeStream", streamMethods()), listed("Session", sessionMethods()), listed("rs", replicaSetMethods()), listed("sh", shardingMethods()))
	for _, c := range constructors {
		out = append(out, Method{"", c.name, c.args, c.help})
	}
	for _, g := range globals() {
		out = append(out, Method{"", g.name, g.args, g.help})
	}
	return out
}

func methodNames() []string {
	var out []string
	for _, m := range Methods() {
		out = append(out, m.Name)
	}
	return out
}

// need throws if an argument is missing.
func (a args) need(i int, what string) {
	if i >= len(a.values) {
		r := &Refusal{Text: fmt.Sprintf("%s: the %s is missing", a.method, what), Method: a.method}
		if what == "filter" {
			r.Hint = "to mean every document, say {} outright"
		}
		a.vm.throw(r)
	}
}

// doc is an argument that must be a document; what says what it is.
func (a args) doc(i int, what string) bson.Raw {
	a.need(i, what)
	raw, err := a.vm.toDocument(a.values[i], what, a.reads)
	a.check(err)
	return raw
}

// optDoc is doc for an argument that may be left out; then it is nil.
func (a args) optDoc(i int, what string) bson.Raw {
	if !a.has(i) {
		return nil
	}
	return a.doc(i, what)
}

func (a args) raw(i int, what string) bson.RawValue {
	a.need(i, what)
	v, err := a.vm.toRaw(a.values[i], what, a.reads)
	a.check(err)
	return v
}

func (a args) check(err error) {
	if err == nil {
		return
	}
	if r, ok := err.(*Refusal); ok {
		r.Method = a.method
	}
	a.vm.throw(err)
}

func (a args) fail(format string, v ...any) {
	a.check(&Refusal{Text: a.method + ": " + fmt.Sprintf(format, v...)})
}

// cannot throws what a script can catch: the call makes sense, and not on this server.
func (a args) cannot(format string, v ...any) {
	a.vm.throw(errors.New(a.method + ": " + fmt.Sprintf(format, v...)))
}

// opts are a method's options, by name. Names that the method does not know are refused.
func (a args) opts(i int, allowed string) options {
	raw := a.optDoc(i, "options")
	o := options{args: a}
	if raw == nil {
		return o
	}
	elems, err := raw.Elements()
	a.check(err)
	known := strings.Fields(allowed)
	for _, e := range elems {
		if !slices.Contains(known, e.Key()) {
			hint := "the options are: " + strings.Join(known, ", ")
			if n := nearest(e.Key(), known); n != "" {
				hint = fmt.Sprintf("did you mean %q?", n)
			}
			a.check(&Refusal{Text: fmt.Sprintf("%s has no option %q", a.method, e.Key()), Hint: hint})
		}
		o.elems = append(o.elems, e)
	}
	return o
}

type options struct {
	args  args
	elems []bson.RawElement
}

// get is an option's value; Type 0 if it was not given, or given as null.
func (o options) get(name string) bson.RawValue {
	for _, e := range o.elems {
		if e.Key() == name && e.Value().Type != bson.TypeNull {
			return e.Value()
		}
	}
	return bson.RawValue{}
}

func (o options) truthy(name string) bool {
	v := o.get(name)
	if b, ok := v.BooleanOK(); ok {
		return b
	}
	f, ok := v.AsFloat64OK()
	return v.Type != 0 && (!ok || f != 0)
}

// add gives an option a value, as if it had been given.
func (o *options) add(name string, v any) {
	raw := bson.Raw(rawOf(bson.D{{Key: name, Value: v}}).Value)
	e, err := raw.IndexErr(0)
	o.args.check(err)
	o.elems = append(o.elems, e)
}

// reading appends what says how is read: a level, or a document with one. Where is read is known: on the server that the shell is connected to.
func (o options) reading(cmd bson.D) bson.D {
	if v := o.get("readPreference"); v.Type != 0 {
		mode, ok := v.StringValueOK()
		if !ok && v.Type == bson.TypeEmbeddedDocument {
			mode, _ = v.Document().Lookup("mode").StringValueOK()
		}
		o.args.vm.readPreference(o.args, mode)
	}
	v := o.get("readConcern")
	if level, ok := v.StringValueOK(); ok {
		return append(cmd, bson.E{Key: "readConcern", Value: bson.D{{Key: "level", Value: level}}})
	}
	return o.copyTo(cmd, "readConcern")
}

// scale is an argument that is a number by which sizes are divided.
func (a args) scale(i int) (n bson.RawValue, ok bool) {
	if isObject(a.at(i)) || !a.has(i) {
		return bson.RawValue{}, false
	}
	n = a.raw(i, "scale")
	if f, isNumber := n.AsFloat64OK(); !isNumber || f < 1 {
		a.fail("the scale must be a number from 1 on")
	}
	return n, true
}

// copyTo appends the named options to a command, under the same names.
func (o options) copyTo(cmd bson.D, names string) bson.D {
	for _, n := range strings.Fields(names) {
		if v := o.get(n); v.Type != 0 {
			cmd = append(cmd, bson.E{Key: n, Value: v})
		}
	}
	return cmd
}

// explain is the verbosity that the option explain asks for, or "". Only what mongosh documents is taken: there, any other value explains too.
func (o options) explain() string {
	v := o.get("explain")
	if v.Type == 0 {
		return ""
	}
	if b, ok := v.BooleanOK(); ok && b {
		return "queryPlanner"
	}
	return verbosityOf(o.args, v)
}

func verbosityOf(a args, v bson.RawValue) string {
	if s, ok := v.StringValueOK(); ok && slices.Contains([]string{"queryPlanner", "executionStats", "allPlansExecution"}, s) {
		return s
	}
	a.fail("explain must be true, 'queryPlanner', 'executionStats' or 'allPlansExecution'")
	return ""
}
