// Package js is the JavaScript quarantine: the one importer of goja. It turns calls of mongosh's API into (database, command
// bytes) for a Runner, and replies into values.
//
//	"db.users.deleteOne({_id: 1})" ─► goja ─► methods (collection.go, …: tables of name, arguments, help, function)
//	                                           └► convert.go: JavaScript to BSON, once and strictly ─► Runner.Run(bytes)
//	reply ─► value.go: documents that keep the BSON types of what nobody touched ─► tree.go ─► text, running no user code
//
// Every text that becomes code, typed, loaded or made at run time, is looked at before it is compiled: source.go, scan.go, literals.go, code.go.
//
// It decides nothing: every command goes to the Runner as bytes, whatever called it. It has no timers, no require, no process, no
// files except load(). What mongosh has and this package has not says so by name (notyet.go).
//
// A VM belongs to one goroutine.
package js

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/shell/render"
)

// Target is a connection that commands go to. It is opaque here.
type Target any

// Runner runs commands. It is all that JavaScript can reach.
type Runner interface {
	// Run sends a command, or keeps it for later. place names where in the script the call stands. An error that wraps a *Stop ends the statement:
	// the script cannot catch it. A *ServerError becomes an exception that it can.
	Run(ctx context.Context, t Target, db string, cmd bson.Raw, place string) (Reply, error)
	// MaxStatements is how many statements one command should hold at most.
	MaxStatements(t Target) int
	// Fits is an error, a *Stop, if a statement takes no further writes of that number and size. They are not issued by it.
	Fits(t Target, writes, bytes int) error
}

// Reply is a server's reply, or the promise of one.
type Reply interface {
	// Raw is the reply. For a write that waits for its plan it may plan, and ask the operator.
	Raw(ctx context.Context) (bson.Raw, error)
	// Known is the reply, if it is known without asking the operator; nil if it is not. look says that reads may find out whether a server would refuse it.
	Known(ctx context.Context, look bool) (bson.Raw, error)
}

// Stop is an error that ends the statement at once, past every catch.
type Stop struct{ Err error }

func (s *Stop) Error() string { return s.Err.Error() }

// Unwrap is the reason.
func (s *Stop) Unwrap() error { return s.Err }

// ServerError is what a server answered; scripts can catch it.
type ServerError struct {
	Code    int32
	Name    string
	Message string   // whole, as it is shown
	Text    string   // the server's own; "" if it is Message
	Reply   bson.Raw // whole, or nil
}

func (e *ServerError) Error() string { return e.Message }

// Refusal is a value that is not turned into BSON, or a call that makes no sense. Nothing was sent.
type Refusal struct {
	Text string
	Hint string
	Code string // a fact's code, where one says it
	// Namespace and Method that were called, where known.
	Namespace, Method string
}

func (r *Refusal) Error() string { return r.Text }

// Config is what a VM works with.
type Config struct {
	Runner Runner
	// Connect opens another deployment and says which database its connection string names. Nil: there are no others.
	Connect  func(ctx context.Context, uri string) (t Target, db string, err error)
	Print    func(text string)                   // print(), console.log(): one call a line, already safe
	Warn     func(text string)                   // what nobody printed and a person should know; nil: it is not said
	ReadFile func(name string) ([]byte, error)   // load(); nil: there is none
	Loaded   func(name string, src []byte) error // is told of what load() is about to run, and may refuse it; may be nil
	NewID    func() bson.ObjectID
	Sleep    func(ctx context.Context, d time.Duration) error
	Version  string
	// Memory is how many bytes a script may take; 0: what is reasonable on this machine.
	Memory uint64
	// Exhausted is told that an engine which was left behind takes memory without end. It is called from another goroutine, and should end the process.
	Exhausted func()
}

// VM is a JavaScript world with a current database.
type VM struct {
	cfg      Config
	rt       *goja.Runtime
	ctx      context.Context // of the statement that runs; nil between statements
	db       *goja.Object
	current  *database
	protos   protos
	aborted  error
	it       *cursor // what "it" goes on with
	pageSize int     // how many documents a page has
	loading  int
	ignored  []*goja.Promise // that were rejected, and that nobody looks at
	door     door
	stopping atomic.Bool                   // the engine is to stop
	joining  []*goja.Object                // arrays whose elements become text,
	thrown   map[*goja.Object]*ServerError // errors of this statement
	catches  bool                          // the statement may catch what it throws
	nested   int                           // maxNested
	shown    showing                       // of the tree at hand
	joined   int                           // and how many elements of them did
	patience time.Duration                 // with an engine that is to stop
	lost     bool                          // the engine did not
	probe    goja.Callable
	name     string // of the statement
	src      string
	pristine
	// reordered are the fields of object literals that JavaScript does not keep in the order they were typed in, inexact the numbers that are not what
	// was typed: see literals.go.
	reordered map[string][]string
	inexact   map[float64]string
}

// pristine are built-ins taken before any user code could replace them.
type pristine struct {
	objectProto, arrayProto, dateProto, regexpProto *goja.Object
	descriptor, keys, parseJSON                     goja.Callable
	funcToString, regexpSource                      callOn
	regexpFlags                                     []regexpFlag
	newDate, newRegExp, newError, newSyntaxError    goja.Constructor
	builtins                                        map[*goja.Object]string        // prototypes of Map, Set and their kind
	unboxed, eachMember                             map[string]goja.Callable       // valueOf of Number and its kind, forEach of Map and Set
	constants                                       map[*goja.Object]bson.RawValue // MinKey and MaxKey, which are values without being called
}

// callOn is a built-in method as a function of its object.
type callOn func(this *goja.Object) (goja.Value, error)

type regexpFlag struct {
	flag byte
	get  callOn
}

// maxCalls is how deep functions may call each other.
const maxCalls = 2000

// BatchSize is how many documents are shown at a time.
const BatchSize = 20

// New makes a VM whose db is the named database of t.
func New(cfg Config, t Target, db string) (*VM, error) {
	vm := &VM{cfg: cfg, rt: goja.New(), reordered: map[string][]string{}, inexact: map[float64]string{}, pageSize: BatchSize, patience: patience, nested: maxNested}
	if vm.cfg.Memory == 0 {
		vm.cfg.Memory = machineMemory()
	}
	vm.rt.SetMaxCallStackSize(maxCalls)
	vm.rt.SetPromiseRejectionTracker(func(p *goja.Promise, op goja.PromiseRejectionOperation) {
		vm.ignored = slices.DeleteFunc(vm.ignored, func(q *goja.Promise) bool { return p == q })
		if op == goja.PromiseRejectionReject {
			vm.ignored = append(vm.ignored, p)
		}
	})
	vm.rt.SetParserOptions(parser.WithDisableSourceMaps) // by default a comment in a script makes the parser read a file
	if err := firstError(vm.keepPristine(), vm.keepProbe()); err != nil {
		return nil, err
	}
	if err := firstError(vm.defineCode(), vm.defineOperators(), vm.boundNatives()); err != nil {
		return nil, err
	}
	vm.defineTypes()
	vm.defineGlobals()
	vm.defineDB()
	vm.Use(t, db)
	return vm, nil
}

func (vm *VM) keepPristine() error {
	object := vm.rt.GlobalObject().Get("Object").ToObject(vm.rt)
	proto := func(class string) *goja.Object {
		return vm.rt.GlobalObject().Get(class).ToObject(vm.rt).Get("prototype").ToObject(vm.rt)
	}
	vm.objectProto, vm.arrayProto, vm.dateProto, vm.regexpProto = proto("Object"), proto("Array"), proto("Date"), proto("RegExp")
	var ok1, ok2, ok3, ok4, ok5, ok6 bool
	vm.descriptor, ok1 = goja.AssertFunction(object.Get("getOwnPropertyDescriptor"))
	vm.keys, ok2 = goja.AssertFunction(object.Get("keys"))
	vm.newDate, ok3 = goja.AssertConstructor(vm.rt.Get("Date"))
	vm.newRegExp, ok4 = goja.AssertConstructor(vm.rt.Get("RegExp"))
	vm.newError, ok5 = goja.AssertConstructor(vm.rt.Get("Error"))
	vm.newSyntaxError, ok6 = goja.AssertConstructor(vm.rt.Get("SyntaxError"))
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 {
		return errors.New("js: internal error: the engine lacks a built-in")
	}
	vm.builtins = map[*goja.Object]string{}
	for _, class := range strings.Fields("Map Set WeakMap WeakSet WeakRef ArrayBuffer DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array " +
		"Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array BigInt Symbol Error Boolean Number String") {
		if v := vm.rt.Get(class); v != nil {
			vm.builtins[proto(class)] = class
		}
	}
	vm.unboxed, vm.eachMember = map[string]goja.Callable{}, map[string]goja.Callable{}
	for _, class := range []string{"Number", "Boolean", "String"} {
		vm.unboxed[class], _ = goja.AssertFunction(proto(class).Get("valueOf"))
	}
	for _, class := range []string{"Map", "Set"} {
		vm.eachMember[class], _ = goja.AssertFunction(proto(class).Get("forEach"))
	}
	return vm.keepMethods(proto("Function"))
}

// keepMethods keeps what the conversion asks functions and regular expressions.
func (vm *VM) keepMethods(function *goja.Object) error {
	toString, ok := goja.AssertFunction(function.Get("toString"))
	if !ok {
		return errors.New("js: internal error: the engine lacks Function.prototype.toString")
	}
	vm.funcToString = func(this *goja.Object) (goja.Value, error) { return toString(this) }
	getter := func(name string) (callOn, error) {
		d, err := vm.descriptor(goja.Undefined(), vm.regexpProto, vm.rt.ToValue(name))
		if err != nil || goja.IsUndefined(d) {
			return nil, err
		}
		get, ok := goja.AssertFunction(d.ToObject(vm.rt).Get("get"))
		if !ok {
			return nil, fmt.Errorf("js: internal error: RegExp.prototype.%s is no getter", name)
		}
		return func(this *goja.Object) (goja.Value, error) { return get(this) }, nil
	}
	var err error
	if vm.regexpSource, err = getter("source"); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		flag byte
	}{{"global", 'g'}, {"ignoreCase", 'i'}, {"multiline", 'm'}, {"dotAll", 's'}, {"unicode", 'u'}, {"sticky", 'y'}, {"hasIndices", 'd'}, {"unicodeSets", 'v'}} {
		get, err := getter(f.name)
		if err != nil {
			return err
		}
		if get != nil { // the engine knows the flag
			vm.regexpFlags = append(vm.regexpFlags, regexpFlag{f.flag, get})
		}
	}
	return nil
}

// builtin names the built-in class that an object is of, if the engine does not tell it otherwise.
func (vm *VM) builtin(obj *goja.Object) string {
	for p := obj.Prototype(); p != nil; p = p.Prototype() {
		if _, isProxy := inner(p).(goja.Proxy); isProxy {
			return "" // asking it for its prototype would run a script's code
		}
		if name := vm.builtins[p]; name != "" {
			return name
		}
	}
	return ""
}

// Filter is a filter that is written as JavaScript, for words of the shell. The expression can reach no server.
func (vm *VM) Filter(ctx context.Context, src string) (raw bson.Raw, err error) {
	r, err := vm.Eval(ctx, "filter", "("+src+")")
	if err != nil {
		return nil, err
	}
	err = vm.run(ctx, func() error {
		raw, err = vm.toDocument(r.v, "filter", false)
		return err
	})
	return raw, err
}

// Use makes the named database of t the current one.
func (vm *VM) Use(t Target, db string) {
	d := &database{vm: vm, target: t, name: db}
	vm.outside(func() { vm.current = d })
	vm.db = vm.databaseObject(d)
}

// Database is the name of the current database, which a script may have changed by assigning to db. It runs no code of a script.
func (vm *VM) Database() (Target, string) { return vm.current.target, vm.current.name }

// defineDB makes db a property that cannot be defined anew: what is set is a database, and looking at it is asking nobody.
func (vm *VM) defineDB() {
	get := func(goja.FunctionCall) goja.Value { return vm.db }
	set := func(call goja.FunctionCall) goja.Value {
		d, ok := export[*database](call.Argument(0))
		if !ok {
			return vm.typeError("db must be a database: use another name for what is none")
		}
		vm.outside(func() { vm.current = d })
		vm.db = call.Argument(0).ToObject(vm.rt)
		return goja.Undefined()
	}
	vm.must(vm.rt.GlobalObject().DefineAccessorProperty("db", vm.rt.ToValue(get), vm.rt.ToValue(set), goja.FLAG_FALSE, goja.FLAG_TRUE))
}

func (vm *VM) warn(format string, a ...any) {
	if vm.cfg.Warn != nil {
		vm.outside(func() { vm.cfg.Warn(fmt.Sprintf(format, a...)) })
	}
}

func (vm *VM) must(err error) {
	if err != nil {
		panic("js: internal error: " + err.Error())
	}
}

// Result is what a statement evaluated to.
type Result struct {
	v      goja.Value
	cursor *cursor
}

// Cursor says whether the result is a cursor, whose documents are shown.
func (r Result) Cursor() bool { return r.cursor != nil }

// Empty says that there is nothing to show.
func (r Result) Empty() bool { return r.v == nil || goja.IsUndefined(r.v) }

// Eval runs one statement. If it evaluates to a cursor, its first documents are fetched by Page, while the statement still runs.
func (vm *VM) Eval(ctx context.Context, name, src string) (Result, error) {
	vm.catches = false
	p, err := vm.compile(name, src)
	if err != nil {
		return Result{}, err
	}
	vm.name, vm.src, vm.thrown = name, src, map[*goja.Object]*ServerError{}
	var r Result
	err = vm.run(ctx, func() error {
		v, err := vm.rt.RunProgram(p)
		if err != nil {
			return err
		}
		if p, ok := export[*goja.Promise](v); ok {
			r, err = vm.settled(p)
			return err
		}
		c, _ := export[*cursor](v)
		r = Result{v: v, cursor: c}
		return nil
	})
	if err != nil {
		return Result{}, err
	}
	return r, nil
}

// settled is what an async function came to: its jobs have all run when the statement ends.
func (vm *VM) settled(p *goja.Promise) (Result, error) {
	switch p.State() {
	case goja.PromiseStateFulfilled:
		c, _ := export[*cursor](p.Result())
		return Result{v: p.Result(), cursor: c}, nil
	case goja.PromiseStateRejected:
		vm.ignored = slices.DeleteFunc(vm.ignored, func(q *goja.Promise) bool { return p == q })
		at, direct := vm.thrownAt(p.Result())
		return Result{}, vm.uncaught(p.Result(), at, direct)
	}
	return Result{}, errors.New("the promise is never settled: there are no timers here")
}

// explain makes an engine's error one for people.
func (vm *VM) explain(err error) error {
	var interrupted *goja.InterruptedError
	var overflow *goja.StackOverflowError
	var ex *goja.Exception
	switch {
	case errors.As(err, &interrupted):
		return ErrInterrupted
	case errors.As(err, &overflow):
		return fmt.Errorf("RangeError: functions call each other deeper than %d levels", maxCalls)
	case errors.As(err, &ex):
		return vm.uncaught(ex.Value(), position(ex), len(ex.Stack()) > 0 && ex.Stack()[0].SrcName() == vm.name)
	}
	return err
}

// uncaught is what was thrown, or what a promise was rejected with, at a place. direct says that it was thrown there, and not by a function of the language that
// was called there.
func (vm *VM) uncaught(v goja.Value, at place, direct bool) *Exception {
	text := vm.errorText(v)
	if direct {
		text = vm.named(v, text, at)
	}
	if m := uncallable.FindStringSubmatch(text); m != nil {
		callee := ""
		if direct {
			callee = vm.callee(at)
		}
		text = vm.notCallable(callee, m[1])
	}
	return &Exception{text: text, at: at.String()}
}

// thrownAt is where an error says that it was made: that of a rejected promise is known from its stack alone.
func (vm *VM) thrownAt(v goja.Value) (at place, direct bool) {
	obj, ok := v.(*goja.Object)
	if !ok || obj.ClassName() != "Error" || vm.described() != "" {
		return place{}, false
	}
	stack := vm.ownText(obj, "stack")
	if m := stackLine.FindStringSubmatchIndex(stack); m != nil {
		at.file = stack[m[2]:m[3]]
		at.line, _ = strconv.Atoi(stack[m[4]:m[5]])
		at.column, _ = strconv.Atoi(stack[m[6]:m[7]])
		direct = !strings.Contains(stack[:m[0]], "\tat ")
	}
	return at, direct
}

var stackLine = regexp.MustCompile(`\tat (?:[^\n]* \()?([^\s()]+):(\d+):(\d+)\(`)

// uncallable is what the engine says when something is called that is no function; in it, perhaps, what that is.
var uncallable = regexp.MustCompile(`^TypeError: (?:what was called is not a function|Not a function: \[object Object\]|(?:Value is not an object|Not a function): (.*))$`)

// notCallable says what was called that is no function: db.users.fnid() is the collection users.fnid, db.c.find()() a cursor.
func (vm *VM) notCallable(callee, value string) string {
	if word := lastWord.FindString(callee); value == "" && (word != "" || callee == "") {
		return vm.noFunction(word, callee)
	}
	if callee == "" {
		callee = "what was called"
	}
	text := "TypeError: " + callee + " is not a function"
	if value != "" {
		text += "; it is " + value
	}
	return render.Safe(text)
}

// callee is the expression that was called, as it stands in the statement.
func (vm *VM) callee(at place) string {
	if at.file != vm.name {
		return ""
	}
	lines := strings.Split(vm.src, "\n")
	if at.line < 1 || at.line > len(lines) || at.column < 1 || at.column > len(lines[at.line-1]) {
		return ""
	}
	s := lines[at.line-1][:at.column-1]
	depth, i := 0, len(s)
	for ; i > 0; i-- {
		switch c := s[i-1]; {
		case c == ')' || c == ']':
			depth++
		case (c == '(' || c == '[') && depth > 0:
			depth--
		case depth == 0 && c != '.' && !lastWord.MatchString(s[i-1:i]):
			return s[i:]
		}
	}
	return s[i:]
}

var lastWord = regexp.MustCompile(`[\w$]+$`)

// noFunction names what is no function, and the method that was probably meant. of is what it was called on, as it stands in the script; "" if that is not known.
func (vm *VM) noFunction(name, of string) string {
	text := fmt.Sprintf("TypeError: %q is not a function", name)
	others := slices.DeleteFunc(methodNames(), func(n string) bool { return n == name })
	if near := nearest(name, others); near != "" && (of == "" && lastWord.FindString(name) == name || shellsOwn.MatchString(of)) {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return render.Safe(text)
}

// shellsOwn are expressions that begin with an object of the shell's.
var shellsOwn = regexp.MustCompile(`^(db|rs|sh)\b`)

// named says of an error which the engine throws what it is about, as it stands in the script.
func (vm *VM) named(v goja.Value, text string, at place) string {
	obj, ok := v.(*goja.Object)
	if !ok || vm.described() != "" {
		return text
	}
	message := vm.ownText(obj, "message")
	if m := noMember.FindStringSubmatch(message); m != nil {
		if of := vm.callee(at); strings.HasSuffix(of, "."+m[1]) {
			return vm.noFunction(m[1], of)
		}
		return text
	}
	if m := noProperty.FindStringSubmatch(message); m != nil {
		text = "TypeError: Cannot read properties of undefined or null (reading " + render.Quote(m[1]) + ")"
		if of := strings.TrimSuffix(vm.callee(at), "."); of != "" && of != vm.callee(at) && !strings.HasSuffix(message, "or null") { // of a call the place is another one
			text += ": that is what " + of + " is"
		}
		return render.Safe(text)
	}
	return text
}

var noProperty = regexp.MustCompile(`^Cannot read property '([^']*)' of undefined`)

// ErrInterrupted is the error of a script that was ended with Ctrl-C.
var ErrInterrupted = errors.New("interrupted")

// Exception is what a script threw and did not catch.
type Exception struct{ text, at string }

// Error implements error. Safe on a terminal.
func (e *Exception) Error() string {
	if e.at == "" {
		return "Uncaught " + e.text
	}
	return "Uncaught " + e.text + " (" + e.at + ")"
}

// place is where in a script something stands; empty if that is not known.
type place struct {
	file         string
	line, column int
}

func (p place) String() string {
	if p.file == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d:%d", render.Safe(p.file), p.line, p.column)
}

// position is where something was thrown: in the script's own text.
func position(ex *goja.Exception) place {
	for _, f := range ex.Stack() {
		if p := f.Position(); p.Line > 0 && f.SrcName() != "" && f.SrcName() != "<native>" {
			return place{f.SrcName(), p.Line, p.Column}
		}
	}
	return place{}
}

var noMember = regexp.MustCompile(`Object has no member '([^']+)'`)

// errorText is an exception's text, made without running user code.
func (vm *VM) errorText(v goja.Value) string {
	obj, ok := v.(*goja.Object)
	switch {
	case !ok || obj.ClassName() != "Error":
		return vm.thrownText(v)
	case vm.described() != "":
		return notRead
	}
	name, message := vm.ownText(obj, "name"), vm.ownText(obj, "message")
	if e := vm.thrown[obj]; e != nil && (message == e.Text || message == e.Message) {
		return strings.ReplaceAll(render.SafeLines(e.Message), "\n", "\n  ")
	}
	if m := noMember.FindStringSubmatch(message); m != nil {
		return vm.noFunction(m[1], "")
	}
	if message == "Dynamic object is not callable" { // a collection, mostly
		message = "what was called is not a function"
	}
	if name == "" {
		name = "Error"
	}
	if !strings.HasPrefix(message, name) {
		message = name + ": " + message
	}
	// Further lines are set in: none can pass for a line of ours.
	return strings.ReplaceAll(render.SafeLines(message), "\n", "\n  ")
}

// thrownText is the text of a thrown value that is no error: perhaps the result of a write that was not carried out.
func (vm *VM) thrownText(v goja.Value) string {
	text, was := "a result of what was not carried out", vm.aborted
	err := vm.inEngine(func() { text = render.Inline(vm.treeOf(v, maxText), 500) })
	if err != nil {
		vm.rt.ClearInterrupt()
	}
	vm.aborted = was
	return text
}

// ownText reads a data property of an error, from it or from its prototypes. Requires described() == "".
func (vm *VM) ownText(obj *goja.Object, key string) string {
	for o := obj; o != nil; o = o.Prototype() {
		if _, isProxy := inner(o).(goja.Proxy); isProxy {
			return ""
		}
		if v, getter := vm.property(o, key); v != nil && !getter {
			if s, ok := exported[string](v); ok {
				return s
			}
		}
	}
	return ""
}

// abort ends the statement from inside a function that the engine called: it unwinds the script, and no catch and no finally sees it.
// The engine knows one such error, its own for interrupts; what it means is in vm.aborted. The engine still closes iterators on its way out: the
// interrupt ends what that calls.
func (vm *VM) abort(err error) goja.Value {
	if vm.aborted == nil {
		vm.aborted = err
	}
	vm.rt.Interrupt(err)
	panic(&goja.InterruptedError{})
}

// inEngine calls f as a function of the engine, so that what it throws is an error here.
func (vm *VM) inEngine(f func()) error {
	call, ok := goja.AssertFunction(vm.rt.ToValue(func(goja.FunctionCall) goja.Value { f(); return goja.Undefined() }))
	if !ok {
		panic("js: internal error: a function is none")
	}
	_, err := call(goja.Undefined())
	if vm.aborted != nil {
		return vm.aborted
	}
	return vm.explain(err)
}

// throw never returns: it throws what scripts can catch, and ends the statement for the rest.
func (vm *VM) throw(err error) goja.Value {
	var stop *Stop
	var refusal *Refusal
	var server *ServerError
	var interrupted *goja.InterruptedError
	var ex *goja.Exception
	switch {
	case errors.As(err, &interrupted):
		panic(interrupted)
	case errors.As(err, &ex):
		panic(ex.Value())
	case errors.As(err, &stop), errors.As(err, &refusal):
		return vm.abort(err)
	case vm.ctx != nil && vm.ctx.Err() != nil:
		return vm.abort(ErrInterrupted)
	case errors.As(err, &server):
		panic(vm.serverError(server))
	}
	panic(vm.errorObject("Error", err.Error(), nil))
}

func (vm *VM) errorObject(name, message string, more map[string]any) *goja.Object {
	obj, err := vm.newError(nil, vm.rt.ToValue(message))
	vm.must(err)
	vm.put(obj, "name", name)
	for k, v := range more {
		vm.put(obj, k, v)
	}
	return obj
}

// put makes a field of a new object. Setting it would run the setters that a script gave to a prototype.
func (vm *VM) put(obj *goja.Object, key string, v any) {
	vm.must(obj.DefineDataProperty(key, vm.rt.ToValue(v), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE))
}

func (vm *VM) typeError(format string, a ...any) goja.Value {
	panic(vm.rt.NewTypeError("%s", fmt.Sprintf(format, a...)))
}

// inner is the Go value behind an object of ours, a Proxy, a Promise or a Date; nil for any other. The engine's own Export copies an object and runs
// its getters to do so: it is called only where the type says that there is nothing to run.
func inner(obj *goja.Object) any {
	if innerTypes[obj.ExportType()] {
		return obj.Export()
	}
	return nil
}

var innerTypes = map[reflect.Type]bool{
	reflect.TypeFor[*document](): true, reflect.TypeFor[*array](): true, reflect.TypeFor[*wrapped](): true, reflect.TypeFor[*lazy](): true,
	reflect.TypeFor[*database](): true, reflect.TypeFor[*collection](): true, reflect.TypeFor[*cursor](): true, reflect.TypeFor[*mongo](): true,
	reflect.TypeFor[*explainable](): true, reflect.TypeFor[*planCache](): true, reflect.TypeFor[*replicaSet](): true, reflect.TypeFor[*sharding](): true,
	reflect.TypeFor[*bulk](): true, reflect.TypeFor[*bulkFind](): true, reflect.TypeFor[*stream](): true, reflect.TypeFor[*session](): true,
	reflect.TypeFor[goja.Proxy](): true, reflect.TypeFor[*goja.Promise](): true, reflect.TypeFor[time.Time](): true,
}

// export is the Go value of type T behind an object.
func export[T any](v goja.Value) (T, bool) {
	var zero T
	obj, ok := v.(*goja.Object)
	if !ok {
		return zero, false
	}
	t, ok := inner(obj).(T)
	return t, ok
}

// exported is a primitive as a Go value.
func exported[T any](v goja.Value) (T, bool) {
	var zero T
	if v == nil || isObject(v) {
		return zero, false
	}
	t, ok := v.Export().(T)
	return t, ok
}

// place names where in the script a command is issued.
func (vm *VM) place() string {
	for _, f := range vm.rt.CaptureCallStack(12, nil) {
		if p := f.Position(); p.Line > 0 && f.SrcName() != "" && f.SrcName() != "<native>" {
			return fmt.Sprintf("%s:%d:%d", f.SrcName(), p.Line, p.Column)
		}
	}
	return ""
}

// send runs a command and throws what went wrong.
func (vm *VM) send(t Target, db string, cmd bson.D) Reply {
	raw, err := bson.Marshal(cmd)
	if err != nil {
		vm.throw(err)
	}
	return vm.sendRaw(t, db, raw)
}

func (vm *VM) sendRaw(t Target, db string, raw bson.Raw) Reply {
	r, err := vm.run1(t, db, raw)
	if err != nil {
		vm.throw(err)
	}
	return r
}

func (vm *VM) run1(t Target, db string, raw bson.Raw) (Reply, error) {
	if vm.ctx == nil {
		panic("js: internal error: a command outside of a statement")
	}
	vm.goOn()
	var r Reply
	var err error
	at := vm.place()
	vm.outside(func() { r, err = vm.cfg.Runner.Run(vm.ctx, t, db, raw, at) })
	return r, err
}

// goOn does not return if the statement has ended: whatever the engine calls on its way out, nothing more is sent.
func (vm *VM) goOn() {
	if vm.aborted != nil {
		vm.abort(vm.aborted)
	}
}

func (vm *VM) reply(r Reply) bson.Raw {
	vm.goOn()
	ctx := vm.ctx
	if ctx == nil {
		ctx = context.Background() // the statement is over: what is read now was settled with it
	}
	var raw bson.Raw
	var err error
	vm.outside(func() { raw, err = r.Raw(ctx) })
	if err != nil {
		vm.throw(err)
	}
	return raw
}
