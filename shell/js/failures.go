package js

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// What a server refuses belongs to the script: it is thrown at its call, with mongosh's class and fields, whether the server said so or the guard foresaw it.
// That is foreseen at the call only where somebody may catch it: elsewhere it ends the script all the same, and needs no read of its own.

// catches says whether a program may catch what is thrown.
func catches(n any) bool {
	switch n := n.(type) {
	case *ast.TryStatement:
		return n.Catch != nil
	case *ast.DotExpression:
		return n.Identifier.Name == "catch"
	}
	return false
}

// failedIn is the server's error in a reply to a write, or nil.
func failedIn(raw bson.Raw) *ServerError {
	first := doc(at(raw, "writeErrors", 0))
	if first == nil {
		return nil
	}
	text, _ := first.Lookup("errmsg").StringValueOK()
	code, _ := first.Lookup("code").AsInt64OK()
	e := &ServerError{Code: int32(code), Text: text, Message: "MongoServerError: " + text, Reply: raw}
	if code == 11000 {
		e.Name, e.Message = "DuplicateKey", "MongoServerError[DuplicateKey]: "+text
	}
	return e
}

// at is an element of an array in a document.
func at(raw bson.Raw, field string, i int) bson.RawValue {
	values := elements(raw.Lookup(field))
	if i >= len(values) {
		return bson.RawValue{}
	}
	return values[i]
}

func elements(v bson.RawValue) []bson.RawValue {
	arr, ok := v.ArrayOK()
	if !ok {
		return nil
	}
	values, err := arr.Values()
	if err != nil {
		return nil
	}
	return values
}

// write sends a command of one statement, and throws what the server refuses, or would.
func (c *collection) write(cmd bson.D) Reply {
	r, failed := c.attempt(cmd)
	if failed != nil {
		c.vm.throw(failed)
	}
	return r
}

// attempt sends a write. Statements of it that fail are returned, with the reply that says which; everything else that goes wrong is thrown.
func (c *collection) attempt(cmd bson.D) (Reply, *ServerError) {
	vm := c.vm
	raw, err := bson.Marshal(cmd)
	if err != nil {
		vm.throw(err)
	}
	r, err := vm.run1(c.db.target, c.db.name, raw)
	if failed := asServer(err); failed != nil && at(failed.Reply, "writeErrors", 0).Type != 0 {
		return known(failed.Reply), failed
	}
	if err != nil {
		vm.throw(err)
	}
	var reply bson.Raw
	vm.outside(func() { reply, err = r.Known(vm.ctx, vm.catches) })
	if err != nil {
		vm.throw(err)
	}
	return r, failedIn(reply)
}

// serverError is a MongoServerError. e.message is the server's text; what is shown where nobody catches it says more.
func (vm *VM) serverError(e *ServerError) *goja.Object {
	text := e.Text
	if text == "" {
		text = e.Message
	}
	obj := vm.errorObject("MongoServerError", text, map[string]any{"code": e.Code, "codeName": e.Name})
	if first := doc(at(e.Reply, "writeErrors", 0)); first != nil {
		vm.put(obj, "index", vm.fromRaw(orNull(first.Lookup("index"))))
		vm.put(obj, "errmsg", text)
		vm.put(obj, "errorResponse", vm.fromRaw(rawOf(bson.D{{Key: "message", Value: text}, {Key: "errmsg", Value: text}, {Key: "code", Value: e.Code}, {Key: "index", Value: orNull(first.Lookup("index"))}})))
	} else if e.Reply != nil {
		for _, key := range []string{"ok", "errmsg"} {
			if v, err := e.Reply.LookupErr(key); err == nil {
				vm.put(obj, key, vm.fromRaw(v))
			}
		}
		vm.put(obj, "errorResponse", vm.documentObject(e.Reply))
	}
	vm.thrown[obj] = e
	return obj
}

// throwFailed throws what failed of these commands, if anything did.
func (vm *VM) throwFailed(groups []*bulkGroup, inserted bson.D) {
	var failed []*ServerError
	for _, g := range groups {
		if g.failed != nil {
			failed = append(failed, g.failed)
		}
	}
	if len(failed) > 0 {
		vm.throwBulk(groups, failed, inserted)
	}
}

// ordered says whether the first operation that fails is the last one.
func (o options) ordered() bool { v := o.get("ordered"); return v.Type == 0 || o.truthy("ordered") }

// throwBulk throws a MongoBulkWriteError: the first of the errors, with all of them and with what the other operations did.
func (vm *VM) throwBulk(groups []*bulkGroup, failed []*ServerError, inserted bson.D) {
	first := failed[0]
	obj := vm.errorObject("MongoBulkWriteError", first.Text, map[string]any{"code": first.Code})
	all := bson.A{}
	var refused []string // inserts
	for _, g := range groups {
		if g.failed == nil {
			continue
		}
		for _, v := range elements(g.failed.Reply.Lookup("writeErrors")) {
			e := bson.D{}
			i, _ := doc(v).Lookup("index").AsInt64OK()
			for _, key := range []string{"code", "errmsg", "keyPattern", "keyValue", "errInfo"} {
				if f := doc(v).Lookup(key); f.Type != 0 {
					e = append(e, bson.E{Key: key, Value: f})
				}
			}
			if i >= 0 && i < int64(len(g.at)) {
				if g.command == "insert" {
					refused = append(refused, itoa(g.at[i]))
				}
				e = append(bson.D{{Key: "index", Value: int32(g.at[i])}}, e...)
			}
			all = append(all, e)
		}
	}
	inserted = slices.DeleteFunc(inserted, func(e bson.E) bool { return slices.Contains(refused, e.Key) })
	vm.put(obj, "writeErrors", vm.fromRaw(rawOf(all)))
	result := vm.bulkResult(groups, inserted).ToObject(vm.rt)
	vm.put(obj, "result", result)
	for _, key := range []string{"insertedCount", "matchedCount", "modifiedCount", "deletedCount", "upsertedCount", "insertedIds", "upsertedIds"} {
		vm.put(obj, key, result.Get(key))
	}
	shown := *first
	shown.Message = strings.Replace(first.Message, "MongoServerError", "MongoBulkWriteError", 1)
	vm.thrown[obj] = &shown
	panic(obj)
}

// known is a reply that is there.
type known bson.Raw

// Raw implements Reply.
func (k known) Raw(context.Context) (bson.Raw, error) { return bson.Raw(k), nil }

// Known implements Reply.
func (k known) Known(context.Context, bool) (bson.Raw, error) { return bson.Raw(k), nil }

func asServer(err error) *ServerError {
	var stop *Stop
	var server *ServerError
	if errors.As(err, &stop) || !errors.As(err, &server) {
		return nil
	}
	return server
}
