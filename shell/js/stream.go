package js

import (
	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// stream is mongosh's ChangeStreamCursor. It has no end: next waits, tryNext looks.
type stream struct {
	fixedObject
	cur *cursor
	on  string
}

// watch opens a change stream. It begins here, and not at the first look.
// Source: https://www.mongodb.com/docs/manual/reference/method/db.collection.watch/, …/operator/aggregation/changeStream/
func watch(vm *VM, d *database, on any, name string, a args, fixed bson.D) goja.Value {
	const stage = "fullDocument fullDocumentBeforeChange resumeAfter startAfter startAtOperationTime showExpandedEvents"
	const known = stage + " batchSize maxAwaitTimeMS collation comment " + readOptions
	var o options
	pipeline := bson.A{nil}
	if obj, ok := a.at(0).(*goja.Object); ok && obj.ClassName() != "Array" {
		o = a.opts(0, known) // db.c.watch({fullDocument: 'updateLookup'})
	} else {
		for _, s := range list(vm, a.at(0)) {
			if a.has(0) {
				doc, err := vm.toDocument(s, "pipeline", true)
				a.check(err)
				pipeline = append(pipeline, doc)
			}
		}
		o = a.opts(1, known)
	}
	pipeline[0] = bson.D{{Key: "$changeStream", Value: o.copyTo(append(bson.D{}, fixed...), stage)}}
	cur := &cursor{vm: vm, db: d, await: o.get("maxAwaitTimeMS"), command: bson.D{{Key: "aggregate", Value: on}, {Key: "pipeline", Value: pipeline}, {Key: "cursor", Value: o.copyTo(bson.D{}, "batchSize")}}}
	cur.command = o.reading(o.copyTo(cur.command, "collation comment"))
	cur.begin()
	return vm.shellObject(&stream{cur: cur, on: name}, vm.protos.stream)
}

// try is the next event, or nil if there is none now.
func (s *stream) try() goja.Value {
	if len(s.cur.buffer) == 0 && s.cur.id != 0 && !s.cur.closed {
		s.cur.more()
	}
	if doc := s.cur.buffered(); doc != nil {
		s.cur.token = doc.Lookup("_id")
		return s.cur.vm.documentObject(doc)
	}
	return nil
}

// wait is whether there is another event; it waits until there is.
func (s *stream) wait(a args) bool {
	for len(s.cur.buffer) == 0 && s.cur.id != 0 && !s.cur.closed {
		s.cur.more() // the server waits; Ctrl-C ends it
	}
	if s.cur.closed {
		a.fail("the change stream is closed")
	}
	return len(s.cur.buffer) > 0
}

func streamMethods() []method[*stream] {
	not := func(name, why string) method[*stream] {
		return method[*stream]{name, "", "a change stream has no end: " + why, func(_ *VM, _ *stream, a args) goja.Value {
			return a.vm.throw(&Refusal{Text: "a change stream has no end: there is no " + name + "()", Hint: why, Method: name})
		}}
	}
	return []method[*stream]{
		not("batchSize", "use the option batchSize of watch()"),
		{"close", "", "close it", func(_ *VM, s *stream, _ args) goja.Value { s.cur.close(); return goja.Undefined() }},
		not("forEach", "use for (const event of stream), which ends when there is none"),
		{"getResumeToken", "", "where a stream with resumeAfter goes on", func(vm *VM, s *stream, _ args) goja.Value {
			if s.cur.token.Type == 0 {
				return goja.Undefined()
			}
			return vm.fromRaw(s.cur.token)
		}},
		{"hasNext", "", "wait for the next event", func(vm *VM, s *stream, a args) goja.Value { return vm.rt.ToValue(s.wait(a)) }},
		{"isClosed", "", "whether it is closed", func(vm *VM, s *stream, _ args) goja.Value {
			return vm.rt.ToValue(s.cur.closed || s.cur.begun && s.cur.id == 0)
		}},
		not("isExhausted", "use isClosed(), or tryNext()"),
		{"itcount", "", "count the events that are there", func(vm *VM, s *stream, _ args) goja.Value {
			n := 0
			for s.try() != nil {
				n++
			}
			return vm.rt.ToValue(n)
		}},
		not("map", "change the events with stages of the pipeline"),
		not("maxTimeMS", "use the option maxAwaitTimeMS of watch()"),
		{"next", "", "wait for the next event and return it", func(_ *VM, s *stream, a args) goja.Value {
			if !s.wait(a) {
				return goja.Null()
			}
			return s.try()
		}},
		not("objsLeftInBatch", "use tryNext()"),
		{"pretty", "", "does nothing: all is printed pretty", func(vm *VM, s *stream, _ args) goja.Value { return vm.shellObject(s, vm.protos.stream) }},
		not("toArray", "use for (const event of stream), which ends when there is none"),
		{"tryNext", "", "the next event, or null if there is none now", func(_ *VM, s *stream, a args) goja.Value {
			if s.cur.closed {
				a.fail("the change stream is closed")
			}
			if v := s.try(); v != nil {
				return v
			}
			return goja.Null()
		}},
	}
}
