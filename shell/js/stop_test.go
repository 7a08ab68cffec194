package js

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dop251/goja"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// declines is a Runner that ends the statement at a drop, as a declined question does.
func declines() *fake {
	return &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
		if e, _ := cmd.IndexErr(0); e.Key() == "drop" {
			return nil, &Stop{Err: errors.New("declined")}
		}
		return nil, nil
	}}
}

// What is stopped in its middle, wherever that is, leaves an engine in which everything runs as before.
func TestStoppedEngineGoesOn(t *testing.T) {
	t.Parallel()
	for _, js := range []string{
		`db.c.drop()`,
		`await 1; db.c.drop()`,
		`for (const x of (function* () { yield 1; db.c.drop() })()) {}`,
		`var g = (function* () { try { yield 1; db.c.drop() } finally { yield 2 } })(); g.next(); g.next()`,
		`(function* () { yield* (function* () { yield* (function* () { db.c.drop() })() })() })().next()`,
		`[...(function* () { yield db.c.drop() })()]`,
		`(async () => { await 1; db.c.drop() })()`,
		`(async () => { for await (const x of (async function* () { yield 1; await 2; db.c.drop() })()) {} })()`,
		`(async () => { await Promise.all([1, 2].map(async () => { await 1; db.c.drop() })) })()`,
		`Promise.resolve().then(() => { db.c.drop() })`,
		`new Promise(() => db.c.drop())`,
		`[2, 1].sort(() => db.c.drop())`,
		`'x'.replace(/x/, () => db.c.drop())`,
		`JSON.stringify({toJSON() { (function* () { yield db.c.drop() })().next() }})`,
		`class A { static *g() { yield db.c.drop() } }; A.g().next()`,
		`var {a} = {get a() { return [...(function* () { yield db.c.drop() })()] }}`,
		`(function f(n) { for (const x of (function* () { yield n ? f(n - 1) : db.c.drop() })()) {} })(20)`,
		`for (const x of (function* () { try { yield 1 } finally { db.c.drop() } })()) break`,
		`(function* () { (function f() { f() })() })().next()`, // too deep is uncatchable too
		`for (const x of (function* () { for (;;) yield 1 })()) {}`,
		`await 1; for (;;) {}`,
		`(function* () { for (;;) {} })().next()`,
	} {
		vm, out := newVM(t, declines())
		exec := func(src string) error {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := vm.Eval(ctx, "test", src)
			return err
		}
		if err := exec(`var kept = 7, f = () => kept, gen = (function* () { yield 1; yield 2 })(); gen.next()`); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if exec(js) == nil {
				t.Fatalf("%s: it was not stopped", js)
			}
		}
		out.Reset()
		for _, src := range []string{
			`Promise.resolve(1).then(x => print('then', x))`,
			`const r = await db.c.countDocuments({}); print('awaited', r)`,
			`(async () => { await 1; print('async') })()`,
			`print([...(function* () { yield 1; yield 2 })()].length, f(), gen.next().value)`,
			`try { null.x } catch (e) { print('caught') }`,
			`(function g(n) { return n && g(n - 1) })(1500); for (const x of [1, 2]) print(x)`,
		} {
			if err := exec(src); err != nil {
				t.Errorf("%s\nthen %s: %v", js, src, err)
			}
		}
		if want := "then 1\nawaited 0\nasync\n2 7 2\ncaught\n1\n2\n"; out.String() != want {
			t.Errorf("%s\nthen printed %q, want %q", js, out, want)
		}
	}
}

// A dozen expressions that never end are tried here, each for so long.
func init() { matchTime = 300 * time.Millisecond }

// No call of the language's own functions takes all time or all memory: it is refused, in a moment and with an error that a script can catch.
func TestNativesAreBounded(t *testing.T) {
	t.Parallel()
	vm, _ := newVM(t, declines())
	vm.nested = 1 << 16
	for _, js := range []string{
		`'x'.repeat(2 ** 29)`, `'xy'.padEnd(2 ** 40)`, `'x'.padStart(2 ** 29)`, `'x'.repeat({valueOf: () => 2 ** 29})`,
		`''.concat(...Array(100).fill('x'.repeat(2 ** 23)))`,
		`Array(100).fill('x'.repeat(2 ** 23)).join('')`, `Array(2 ** 20).join('x'.repeat(2 ** 10))`, `String(Array(1000).fill(Array(1000).fill('x'.repeat(1000))))`,
		`let a = ['x']; for (let i = 0; i < 60; i++) a = [a, a]; String(a)`, `let a = ['x']; for (let i = 0; i < 60; i++) a = [a, a]; a.flat(Infinity)`,
		`let a = []; for (let i = 0; i < 1e5; i++) a = [a]; String(a)`, `let a = []; a[0] = a; a.flat(Infinity)`,
		`let a = {x: 1}; for (let i = 0; i < 60; i++) a = {a, b: a}; JSON.stringify(a)`, `let a = {x: 1}; for (let i = 0; i < 60; i++) a = {a, b: a}; JSON.stringify(a, ['a', 'b'])`,
		`let a = {x: 1}; for (let i = 0; i < 60; i++) a = {a, b: a}; JSON.stringify(a, (k, v) => v, 2)`, `let a = []; for (let i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a)`,
		`'x'.repeat(2 ** 20).replace(/x/g, 'y'.repeat(2 ** 20))`, `'x'.repeat(2 ** 20).replaceAll('x', 'y'.repeat(2 ** 20))`, `'x'.repeat(2 ** 20).replace(/x/g, '$\x60$\x60')`, `'x'.repeat(2 ** 20).replaceAll('x', "$'")`,
		`'x'.repeat(2 ** 26).split('')`, `'x'.repeat(2 ** 26).split(/x/)`, `'x'.repeat(2 ** 26).match(/x/g)`, `'x,'.repeat(2 ** 26).split(',')`,
		`Array.from({length: 2 ** 53})`, `Array.from({length: 2 ** 32 - 1}, () => 1)`, `Array.prototype.fill.call({length: 2 ** 53 - 1}, 0)`, `Array(2 ** 32 - 1).fill(0)`, `Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)`,
		`Array.prototype.reverse.call({length: 2 ** 53 - 1})`, `Array(4e9).sort()`, `Array(4e9).join()`, `Array(4e9).map(x => x)`, `[...Array(4e9).keys()]`, `[...Array.prototype.values.call({length: 2 ** 53})]`, `[].concat(Array(4e9), Array(4e9))`,
		`Array(4e9).includes(1)`, `Array(4e9).reduce((a, b) => a, 0)`, `[].includes.call(new Proxy({length: 2 ** 53}, {}), 1)`, `[1].toSpliced.call({length: 2 ** 40}, 1)`, `[1].with.call({length: 2 ** 40}, 0, 1)`,
		`Math.max.apply(null, {length: 1e9})`, `Reflect.apply(Math.max, null, {length: 1e9})`, `Reflect.construct(Array, {length: 1e9})`, `String.fromCharCode.apply(null, Array(1e7))`, `String.raw({raw: {length: 2 ** 53}})`,
		`new ArrayBuffer(2 ** 40)`, `new ArrayBuffer(2 ** 60)`, `new Uint8Array(2 ** 40)`, `new Float64Array(2 ** 30)`, `new Float64Array({length: 2 ** 40})`, `Uint8Array.from({length: 2 ** 40})`, `class B extends Uint8Array {}; new B(2 ** 40)`,
		`2n ** 10n ** 10n`, `let n = 10n ** 8n; 10n ** n`, `let n = 10n ** 12n; 1n << n`, `let n = 10n ** 12n, x = 3n; x **= n`, `let n = 10n ** 12n, x = 3n; x <<= n`, `BigInt.asUintN(2 ** 50, -1n)`, `BigInt('9'.repeat(1e8))`, `let n = 10n ** 9n; eval('2n ** n')`, `2n ** Long('9007199254740993')`, `let n = {valueOf: () => 10n ** 12n}; 1n << n`, `let x = 2n; x **= Long('9007199254740993')`,
		`globalThis.n = 10n ** 9n; (0, eval)('2n ** n')`, `let n = 10n ** 9n; Function('n', 'return 2n ** n')(n)`, `let n = 10n ** 9n; ((x = 2n ** n) => x)()`,
		`/^(a+)+$/.test('a'.repeat(40) + 'b'), /^(?=(a+)+$)/.test('a'.repeat(40) + 'b')`, `/(?:(a|aa)+)+\1b/.exec('a'.repeat(60))`, `'a'.repeat(60).replace(/(?:(a+)+)\1b/g, 'x')`, `'a'.repeat(60).match(/(?:(a+)+)\1b/g)`, `'a'.repeat(60).search(/(?:(a+)+)\1b/)`,
		`'a'.repeat(60).split(/(?:(a+)+)\1b/)`, `[...'a'.repeat(60).matchAll(/(?:(a+)+)\1b/g)]`, `'a'.repeat(60).replace(/(?:(a+)+)\1b/, x => x)`, `let r = /(?:(a+)+)\1b/y; r.test('a'.repeat(60))`,
		`new RegExp('x'.repeat(2 ** 24))`, `RegExp('x'.repeat(2 ** 24))`,
	} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		r, err := vm.Eval(ctx, "test", "try { "+js+" } catch (e) { if (e.name != 'RangeError') throw e; 'bounded' }")
		cancel()
		took := time.Since(start)
		if err != nil || r.v.String() != "bounded" {
			t.Errorf("%s: %v, after %v", js, err, took)
		}
		if took > time.Minute { // on a busy machine
			t.Errorf("%s took %v", js, took)
		}
		if vm.Lost() {
			t.Fatalf("%s: the engine is lost", js)
		}
	}
}

// What is bounded does what it did.
func TestBoundedNativesAreTheLanguages(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{
		`[1, [2, [3, [4]]]].flat(Infinity).join()`: "1,2,3,4", `[1, [2, [3]]].flat().length`: "3", `[[], [[]], null, undefined, 1].join('-')`: "---" + "-1", `String([1, [2, 3]])`: "1,2,3",
		`let a = [1]; a.push(a); String(a)`: "1,", `[].concat(1, [2], [[3]]).length`: "3", `[3, 1, 2].sort().join('')`: "123", `Array.from('abc').join('.')`: "a.b.c", `Array.from({length: 3}, (_, i) => i).join('')`: "012",
		`'a1b2'.replace(/\d/g, '<$&>')`: "a<1>b<2>", `'a1b2'.replace(/[a-z]/g, c => c.toUpperCase())`: "A1B2", `'aXbX'.replaceAll('X', '$$')`: "a$b$", `'a,b'.split(',').length`: "2", `'ab'.split('').join('|')`: "a|b", `'a'.split().length`: "1",
		`JSON.stringify({a: [1, {b: 'x'}], c: undefined})`: `{"a":[1,{"b":"x"}]}`, `JSON.stringify({a: 1, b: {a: 2, c: 3}}, ['a', 'b'])`: `{"a":1,"b":{"a":2}}`, `JSON.stringify({a: 1}, (k, v) => k ? v + 1 : v)`: `{"a":2}`, `JSON.stringify([1], null, 1)`: "[\n 1\n]",
		`String(JSON.stringify(undefined))`: "undefined", `JSON.stringify({toJSON() { return [1] }})`: "[1]", `let r = []; JSON.stringify({a: {b: 1}}, function (k, v) { r.push(this === undefined, k); return v }); r.join()`: "false,,false,a,false,b",
		`2n ** 10n`: "1024", `let n = 3n; n **= 2n; n <<= 2n; n`: "36", `let x = 2, y = 3; x ** y ** 2`: "512", `let s = 3; 1 << s`: "8", `let o = {n: 2}; o.n **= o.n; o.n`: "4", `eval('let q = 3; 2 ** q ** (1, 2) + (1 << q)')`: "520", `let z = 5n; -(2n ** z)`: "-32",
		`Math.max.apply(null, [1, 2])`: "2", `new Uint8Array([1, 2]).length`: "2", `new Uint8Array(new ArrayBuffer(8)).length`: "8", `class B extends Uint8Array {}; new B(2) instanceof B`: "true", `BigInt('12') + BigInt.asUintN(8, 257n)`: "13",
		`/b/.test('abc') + ':' + /(?<=a)b/.exec('abc').index`: "true:1", `[...'a1b2'.matchAll(/\d/g)].length`: "2", `'abc'.search(/c/)`: "2", `'abc'.match(/x/)`: "null", `'x'.repeat(3) + 'x'.padStart(3, '-') + ''.concat('a', 1, null)`: "xxx--xa1null",
		`'[' + [1, 2].concat([3]) + ']' + [].concat`: "[1,2,3]function concat() { [native code] }", `Array.prototype.join.name + Array.prototype.join.length + 'x'.padStart.length`: "join11", `String.raw` + "`a\\n${1}`": `a\n1`,
		`try { [Symbol()].join() } catch (e) { e.name }`: "TypeError", `try { Array.prototype.map.call(null) } catch (e) { e.name }`: "TypeError", `'\ud800'.concat('x').length`: "2", `['\ud800', 1].join('').charCodeAt(0)`: "55296",
		`[1, , 3].join()`: "1,,3", `Array.prototype.join.call({length: 2, 0: 'a', 1: 'b'}, '+')`: "a+b", `Array.prototype.map.call('ab', x => x + x).join()`: "aa,bb",
	} {
		vm, _ := newVM(t, &fake{})
		r, err := vm.Eval(t.Context(), "test", js)
		if err != nil || r.v.String() != want {
			t.Errorf("%s: %v %v, want %s", js, r.v, err, want)
		}
	}
}

// An engine that does not stop is left behind. Nothing that it does later reaches anything.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	f := &fake{}
	vm, out := newVM(t, f)
	vm.patience = 50 * time.Millisecond
	free, after := make(chan bool), make(chan bool)
	vm.method(vm.rt.GlobalObject(), "hangs", func(goja.Value, args) goja.Value { <-free; return goja.Undefined() })
	vm.cfg.Warn = func(string) { t.Error("a warning") }
	vm.cfg.ReadFile = func(string) ([]byte, error) { t.Error("a file is read"); return nil, nil }
	vm.method(vm.rt.GlobalObject(), "later", func(goja.Value, args) goja.Value {
		defer close(after)
		// What an engine that was not stopped in time might still do, if it went on.
		for _, g := range []func(){
			func() { vm.sendRaw(nil, "app", bson.Raw(rawOf(bson.D{{Key: "drop", Value: "c"}}).Value)) }, func() { vm.show("x") }, func() { vm.sleep(0) },
			func() { vm.reply(fixed{}) }, func() { load(vm, args{vm: vm, values: []goja.Value{vm.rt.ToValue("x")}}) }, func() { vm.Use(nil, "other") }, func() { vm.warn("x") },
		} {
			gone := make(chan bool)
			go func() { defer close(gone); g(); t.Error("it came back") }()
			<-gone
		}
		return goja.Undefined()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := vm.Eval(ctx, "test", `const r = 1; try { hangs() } finally { later() }; db.c.drop(); print('x')`)
	if lost := new(Lost); !errors.As(err, &lost) || !errors.Is(err, ErrInterrupted) || !vm.Lost() {
		t.Fatalf("%v", err)
	}
	vm.stopping.Store(false)
	vm.rt.ClearInterrupt() // as if it had not been told
	close(free)
	<-after
	if len(f.commands) > 0 || out.Len() > 0 {
		t.Errorf("sent %v, printed %q", f.commands, out)
	}
	if _, name := vm.Database(); name != "app" {
		t.Errorf("the database is %s", name)
	}
}

// Who is outside of the engine is waited for, however long it takes: a question that stands, a command that is under way.
func TestOutsideIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	f := &fake{}
	vm, _ := newVM(t, f)
	vm.patience = 250 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(string, bson.Raw) (bson.D, error) {
		cancel()
		time.Sleep(300 * time.Millisecond)
		return nil, nil
	}
	_, err := vm.Eval(ctx, "test", `db.c.drop(); db.d.drop()`)
	if !errors.Is(err, ErrInterrupted) || vm.Lost() || len(f.commands) != 1 {
		t.Errorf("%v, sent %v", err, f.commands)
	}
}

// What takes memory without end is stopped before the machine stops it.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 64 << 20
	for _, js := range []string{`const a = []; for (;;) a.push({x: [1, 2, 3]})`, `let s = 'x'; for (;;) s += s`, `const m = new Map(); for (let i = 0; ; i++) m.set(i, {})`, `const l = []; for (;;) l.push(new ArrayBuffer(1e6))`} {
		vm, _ := newVM(t, &fake{})
		vm.cfg.Memory = limit
		_, err := vm.Eval(t.Context(), "test", "(() => { "+js+" })()")
		if err == nil || !strings.Contains(err.Error(), "takes more than 64 MiB of memory") || vm.Lost() {
			t.Errorf("%s: %v", js, err)
		}
		if r, err := vm.Eval(t.Context(), "test", `await 2`); err != nil || r.v.String() != "2" {
			t.Errorf("%s\nthen %v %v", js, r.v, err)
		}
		runtime.GC()
	}
	vm, _ := newVM(t, &fake{})
	exhausted, free := make(chan bool), make(chan bool)
	vm.cfg.Memory, vm.cfg.Exhausted, vm.patience = limit, sync.OnceFunc(func() { close(exhausted) }), 20*time.Millisecond
	vm.method(vm.rt.GlobalObject(), "eats", func(goja.Value, args) goja.Value {
		var all [][]byte
		for {
			select {
			case <-free:
				return vm.rt.ToValue(len(all))
			default:
				if len(all) < 512 {
					all = append(all, make([]byte, 1<<20))
				}
				time.Sleep(time.Millisecond)
			}
		}
	})
	_, err := vm.Eval(t.Context(), "test", `eats()`)
	if !vm.Lost() || err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("%v", err)
	}
	<-exhausted
	close(free)
}

// What is shown, thrown or sent is bounded as well: objects that stand in each other many times over.
func TestShownIsBounded(t *testing.T) {
	t.Parallel()
	const many = `let a = ['x']; for (let i = 0; i < 60; i++) a = i % 2 ? [a, a] : {a, b: a}; `
	vm, out := newVM(t, &fake{})
	vm.cfg.Print = func(s string) { out.WriteString(s[max(0, len(s)-500):]) }
	for _, js := range []string{many + `a`, many + `print(a)`, many + `tojson(a).slice(-500)`, many + `throw a`, many + `db.c.find(a[0])`, many + `Promise.reject(a); 0`, many + `console.log(a)`, many + `EJSON.stringify(a[0])`, many + `throw Object.assign(new Error('x'), {a})`} {
		out.Reset()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // what becomes BSON is refused when it is too long, or stopped
		r, err := vm.Eval(ctx, "test", js)
		if err == nil {
			_, err = vm.Tree(ctx, r)
		}
		if cancel(); vm.Lost() || errors.Is(err, ErrInterrupted) && !strings.Contains(js, "a[0]") {
			t.Errorf("%s: %v", js, err)
		}
	}
}

// A list that is too long for a statement is refused by its length, and one that is too large when it is: not after all of it was copied.
func TestCapsAreSeenEarly(t *testing.T) {
	t.Parallel()
	for _, js := range []string{
		`const a = []; a.length = 9e6; db.c.insertMany(a)`, `const a = []; a.length = 9e6; db.c.bulkWrite(a)`, `db.c.insertMany(Array(2000).fill({get x() { throw 'converted' }}))`,
		`const d = {x: 'x'.repeat(2e6)}; db.c.insertMany([...Array(700).fill(d), {get x() { throw 'converted' }}])`,
		`const d = {insertOne: {document: {x: 'x'.repeat(2e6)}}}; db.c.bulkWrite([...Array(700).fill(d), {get x() { throw 'converted' }}])`,
		`const b = db.c.initializeOrderedBulkOp(); for (let i = 0; ; i++) b.insert({i})`,
	} {
		f := &fake{most: 1000}
		start := time.Now()
		_, _, err := eval(t, f, js)
		if err == nil || err.Error() != "more than a statement takes" || len(f.commands) > 0 {
			t.Errorf("%s: %v, sent %d", js, err, len(f.commands))
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", js, took)
		}
	}
}
