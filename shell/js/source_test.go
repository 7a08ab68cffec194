package js

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// What is too deep for the parser's stack, or takes it too long, is refused before it is parsed. What is not is run.
func TestDeepSources(t *testing.T) {
	t.Parallel()
	rep := strings.Repeat
	for _, tt := range []struct{ name, src, want string }{
		{"brackets", rep("(", 1_000_000) + "1", "brackets are nested deeper"},
		{"signs", "x = " + rep("!", 1_000_000) + "1", "operators stand in one expression"},
		{"signs after brackets", rep("!(", 4000) + rep("!", 50_000) + "1", "operators stand in one expression"},
		{"signs in brackets", rep(rep("!", 10)+"(", 3000) + "1", "operators stand in one expression"},
		{"minus", "x = " + rep("- ", 1_000_000) + "1", "operators stand in one expression"},
		{"words", "x = " + rep("typeof ", 1_000_000) + "1", "operators stand in one expression"},
		{"new", rep("new ", 1_000_000) + "X", "operators stand in one expression"},
		{"conditions", "x = " + rep("a ? 1 : ", 1_000_000) + "1", "operators stand in one expression"},
		{"arrows", "x = " + rep("a => ", 1_000_000) + "1", "operators stand in one expression"},
		{"statements", rep("if (a)\n", 1_000_000) + "1", "operators stand in one expression"},
		{"labels", rep("a: ", 1_000_000) + "1", "operators stand in one expression"},
		{"else", rep("if (a) {} else ", 1_000_000) + "1", "operators stand in one expression"},
		{"parameters", rep("(a = ", 40) + "1" + rep(") => 1", 40), "parameters of functions are nested deeper"},
		{"parameters in objects", rep("({a = ", 40) + "1" + rep("}) => 1", 40), "parameters of functions are nested deeper"},
		{"asynchronous parameters", rep("async (a = ", 40) + "1" + rep(") => 1", 40), "parameters of functions are nested deeper"},
		{"a chain", rep("1 + ", 15_000) + "1", "expressions are nested deeper than 5000 levels"},
		{"a chain of strings", rep("'x' + ", 6_000) + "'x'", "expressions are nested deeper than 5000 levels"},
		{"a chain of conditions", rep("true && ", 6_000) + "1", "expressions are nested deeper than 5000 levels"},
		{"a chain of calls", "f" + rep("()", 6_000), "expressions are nested deeper than 5000 levels"},
		{"a chain of members", "globalThis" + rep(".a", 6_000), "expressions are nested deeper than 5000 levels"},
		{"literals in a chain", rep("1 + ", 4_000) + "{a: 1, a: 2}", "twice"},

		{"a shorter chain", rep("1 + ", 4_900) + "1", ""},
		{"a long list", "[" + rep("-1, ", 100_000) + "1]", ""},
		{"a long list of documents", "[" + rep("{a: -1, b: [!0, {c: 'x'}]}, ", 15_000) + "1]", ""},
		{"many lines without semicolons", rep("x = -1 + 2 * 3\n", 8_000), ""},
		{"many calls without semicolons", rep("x = ((a) => a)(1)\n", 8_000), ""},
		{"many statements", rep("if (1) { x = 1 } else { x = 2 }\n", 10_000), ""},
		{"many blocks on a line", rep("if (1) { x = 1 } ", 15_000), ""},
		{"many functions", rep("function f(a) { return a ? 1 : 2 }\n", 10_000), ""},
		{"callbacks in callbacks", rep("((a) => [a].map((b) => ", 50) + "1" + rep("))(1)", 50), ""},
		{"curried", rep("(a) => ", 500) + "1", ""},
		{"a wide object", "JSON.parse(JSON.stringify({" + wide(20_000) + "a: 1}))", ""},
		{"a wide object with a field twice", "({" + wide(100) + "x5: 1})", "twice"},
		{"a long string", "'" + rep("!-({[", 100_000) + "'", ""},
		{"a long comment", "// " + rep("!-({[", 100_000) + "\n1 /* " + rep("((", 50_000) + " */", ""},
		{"a long template", "`" + rep("!-({[", 100_000) + "${1}" + rep("(", 10_000) + "`", ""},
		{"a regular expression", "/" + rep("!?", 20_000) + "[/(]/", ""},
		{"base64", "BinData(0, '" + rep("ab+/", 100_000) + "')", ""},
	} {
		start := time.Now()
		_, _, err := eval(t, &fake{}, tt.src)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %.200v, want %q", tt.name, err, tt.want)
		}
		_ = Complete(tt.src)
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s: took %s", tt.name, d)
		}
	}
}

// wide is so many fields of an object.
func wide(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x%d: %d, ", i, i)
	}
	return b.String()
}

// A comment in a script makes the parser read no file, and moves no position.
func TestSourceMaps(t *testing.T) {
	t.Parallel()
	for _, js := range []string{"throw new Error('x')", "eval(\"throw new Error('x')//\" + tail)", "Function('throw new Error(\"x\")//' + tail)()"} {
		// A map of one segment, which says that everything stands in evil.js.
		for _, tail := range []string{"data:application/json;base64,eyJ2ZXJzaW9uIjozLCJzb3VyY2VzIjpbImV2aWwuanMiXSwibmFtZXMiOltdLCJtYXBwaW5ncyI6IkFBQUEifQ==", filepath.Join(t.TempDir(), "none.map")} {
			tail = "\n//# sourceMappingURL=" + tail
			_, _, err := eval(t, &fake{}, "var tail = `"+tail+"`;"+js+tail)
			if err == nil || strings.Contains(err.Error(), "evil") {
				t.Errorf("%s: %v", js, err)
			}
		}
	}
}

// What is given to eval and Function is looked at like what is typed.
func TestCodeAtRunTime(t *testing.T) {
	t.Parallel()
	const drop = `app {"drop": "c"}`
	for _, tt := range []struct{ js, want, err string }{
		// It is honoured or refused, however it gets there.
		{`eval("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`(0, eval)("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`globalThis.eval("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`const e = eval; e("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`eval.call(null, "db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`['db.c.deleteMany({a: 1, a: 2})'].map(eval)`, "", `the field "a" twice`},
		{`const {eval: e} = {eval}; e("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`eval("const o = {eval}; o.eval('db.c.deleteMany({a: 1, a: 2})')")`, "", `the field "a" twice`},
		{`const {eval: e} = globalThis; e("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`eval?.("db.c.deleteMany({a: 1, a: 2})")`, "", `the field "a" twice`},
		{`(function() { eval("db.c.deleteMany({a: 1, a: 2})") })()`, "", `the field "a" twice`},
		{`eval(...["db.c.deleteMany({a: 1, a: 2})"])`, "", `the field "a" twice`},
		{`eval("eval('db.c.deleteMany({a: 1, a: 2})')")`, "", `the field "a" twice`},
		{`eval("(0, eval)('db.c.deleteMany({a: 1, a: 2})')")`, "", `the field "a" twice`},
		{`eval("eval(\"eval('db.c.deleteMany({a: 1, a: 2})')\")")`, "", `the field "a" twice`},
		{`Function("db.c.deleteMany({a: 1, a: 2})")()`, "", `the field "a" twice`},
		{`new Function("x", "db.c.deleteMany({a: 1, a: x})")(1)`, "", `the field "a" twice`},
		{`Function("x = {a: 1, a: 2}", "db.c.deleteMany(x)")()`, "", `the field "a" twice`},
		{`(() => {}).constructor("db.c.deleteMany({a: 1, a: 2})")()`, "", `the field "a" twice`},
		{`(function*() {}).constructor("yield db.c.deleteMany({a: 1, a: 2})")().next()`, "", `the field "a" twice`},
		{`(async () => {}).constructor("db.c.deleteMany({a: 1, a: 2})")()`, "", `the field "a" twice`},
		{`Object.getPrototypeOf((async () => {}).constructor)("db.c.deleteMany({a: 1, a: 2})")()`, "", `the field "a" twice`},
		{`Reflect.construct(Function, ["db.c.deleteMany({a: 1, a: 2})"])()`, "", `the field "a" twice`},
		{`class F extends Function {}; new F("db.c.deleteMany({a: 1, a: 2})")()`, "", `the field "a" twice`},
		{`eval("db.c.insertOne({b: 1, 2: 1})")`, "", "typed with the fields b, 2"},
		{`Function("return {b: 1, 2: 1}")().b; db.c.insertOne(Function("return {b: 1, 2: 1}")())`, "", "typed with the fields b, 2"},
		{`eval("db.c.find({a: 12345678901234567890})")`, "", "typed as 12345678901234567890"},
		{`eval('('.repeat(1e6))`, "", "brackets are nested deeper"},
		{`eval('x = ' + '!'.repeat(1e6) + 1)`, "", "operators stand in one expression"},
		{`Function('1' + '+1'.repeat(6000))`, "", "nested deeper than 5000"},
		{`try { eval('{a: 1, a: 2}.x, {b: 1, b: 2}') } catch { db.c.drop() }`, drop, ""}, // a syntax error is caught
		{`try { eval('({b: 1, b: 2})') } catch { db.c.drop() }`, "", `the field "b" twice`},

		// It works as in any other JavaScript.
		{`eval('db.c.drop()')`, drop, ""},
		{`(c => eval('c.drop()'))(db.c)`, drop, ""},
		{`function f(c) { 'use strict'; var x = 1; eval('x = 2'); if (x === 2) eval('c.drop()') }; f(db.c)`, drop, ""},
		{`(function() { eval('var y = db.c'); y.drop() })()`, drop, ""},
		{`(function(c) { eval("eval('c.drop()')") })(db.c)`, drop, ""},
		{`(function(c) { eval("eval((1, 'c.drop()'))") })(db.c)`, drop, ""},
		{`(function(c) { if (eval(c) === c) c.drop() })(db.c)`, drop, ""},
		{`eval('let z = 1'); eval('let z = 2; var y = 2'); (0, eval)('let z = 3'); (0, eval)('let z = 4'); if (z + y === 6) db.c.drop()`, drop, ""},
		{`if (eval() === undefined && eval(5) === 5 && eval('') === undefined && typeof eval === 'function') db.c.drop()`, drop, ""},
		{`const f = new Function('a', 'b = 2', '...c', 'return a + b + c.length'); if (f(1) === 3 && f.name === 'anonymous' && f instanceof Function && f(1, 2, 3) === 4) db.c.drop()`, drop, ""},
		{`if (Function()() === undefined && Function('a,b', 'return a')(1) === 1 && Function.prototype.constructor === Function && (() => 1) instanceof Function) db.c.drop()`, drop, ""},
		{`class F extends Function { x() { return 1 } }; const g = new F('return 2'); if (g() === 2 && g.x() === 1 && g instanceof F) db.c.drop()`, drop, ""},
		{`const G = (function*() {}).constructor; if ([...G('yield 1; yield 2')()].length === 2 && G !== Function) db.c.drop()`, drop, ""},
		{`(async () => {}).constructor('await 1; db.c.drop()')()`, drop, ""},
		{`eval('(async () => { for await (const d of [db.c]) d.drop() })()')`, drop, ""},
		{`try { eval('await 1') } catch (e) { if (e instanceof SyntaxError) db.c.drop() }`, drop, ""},
		{`try { eval('x =') } catch (e) { if (e instanceof SyntaxError) db.c.drop() }`, drop, ""},
		{`try { Function('}); db.d.drop(); (function() {') } catch (e) { if (e instanceof SyntaxError) db.c.drop() }`, drop, ""},
		{`try { Function('a) {}, function(', '') } catch (e) { if (e instanceof SyntaxError) db.c.drop() }`, drop, ""},
		{`db.c.find({$where: function() { return eval('1') }}).toArray()`, `app {"find": "c","filter": {"$where": {"$code":"function() { return eval('1') }"}}}`, ""},
		{`db.c.find({$where: eval("(function() { return eval('1') })")}).toArray()`, "", "was made by eval and calls eval"},
		{`db.c.find({$where: Function('return true')}).toArray()`, `app {"find": "c","filter": {"$where": {"$code":"function anonymous(\n) {\nreturn true\n}"}}}`, ""},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, s, err, tt.want)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s\n %v, want %q", tt.js, err, tt.err)
		}
	}
}

// await at the top, as mongosh's prompt has it.
func TestAwaitAtTheTop(t *testing.T) {
	t.Parallel()
	vm, _ := newVM(t, &fake{answer: oneDocument})
	for _, tt := range []struct{ js, want string }{
		{`await db.c.findOne()`, "[object Object]"},
		{`(await db.c.findOne()).l`, "5"},
		{`const a = await Promise.resolve(1), {l} = await db.c.findOne(), [b] = await [7]`, "undefined"},
		{`a + '' + l + b`, "157"},
		{`const a = await 2; let c; var d = await 3; class E { static x = await5() }; function await5() { return 5 }; a`, "2"},
		{`[a, c, d, E.x].join() + typeof await5`, "2,,3,5function"},
		{`for (const x of [1, 2]) { await x }; 9`, "9"},
		{`let n = 0; for await (const d of db.c.find()) n += d.d; n`, "1"},
		{`async function g() { let s = 0; for await (const d of db.c.find()) s++; return s }; await g()`, "1"},
		{`await (async () => 6)()`, "6"},
		{`(async () => await 1)()`, "1"},
		{`const h = async () => { await 1 }; typeof h`, "function"},
		{`if (await true) 1; else 2`, "undefined"},
		{`var await_ = 1; 'await'`, "await"},
		{`await Promise.all([1, Promise.resolve(2)])`, "1,2"},
	} {
		r, err := vm.Eval(t.Context(), "test", tt.js)
		if err != nil {
			t.Errorf("%s: %v", tt.js, err)
		} else if got := r.v.String(); got != tt.want {
			t.Errorf("%s = %s, want %s", tt.js, got, tt.want)
		}
	}
	for js, want := range map[string]string{
		`await nosuch()`: "nosuch is not defined", `await Promise.reject(new Error('x'))`: "Uncaught Error: x", `await 1 })(); (async () => {`: "SyntaxError", `await {a: 1, a: 2}`: "twice",
		"1;\nawait 2; throw new Error('here')": "here", "await 2; x.nosuch()": "x is not defined (test:1:10)", "await db.c.nosuch()": "\"nosuch\" is not a function (test:1:18)", "1;\nawait db.c.nosuch()": "\"nosuch\" is not a function", `await 1 await`: "SyntaxError",
	} {
		if _, err := vm.Eval(t.Context(), "test", js); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", js, err, want)
		}
	}
	for src, want := range map[string]bool{"await db.c.find(": false, "await db.c.find()": true, "for await (const x of y) {": false, "await {": false, "await )": true, "const a = await": false} {
		if got := Complete(src); got != want {
			t.Errorf("Complete(%q) = %v, want %v", src, got, want)
		}
	}
}

// Digits may be set apart, which the engine does not know.
func TestSeparatedDigits(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{`1_000_000`: "1000000", `[0xff_ff, 1_0.5, 1_000n, 0b1_1]`: "65535,10.5,1000,3", `'1_000' + /1_0/.source`: "1_0001_0", `var a_1 = 2; a_1`: "2", "`${1_0}1_0`": "101_0"} {
		vm, _ := newVM(t, &fake{})
		if r, err := vm.Eval(t.Context(), "test", js); err != nil || r.v.String() != want {
			t.Errorf("%s = %v (%v), want %s", js, r.v, err, want)
		}
	}
	if _, _, err := eval(t, &fake{}, `1__0`); err == nil {
		t.Error("1__0 is taken")
	}
}

// A promise that is rejected and that nobody looks at is an error of the statement, as an exception is.
func TestUnhandledRejections(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		{`Promise.reject(new Error('x')); 1`, "x"},
		{`(async () => { throw 5 })(); db.c.find()`, "5"},
		{`[1].forEach(async () => { await 0; throw new Error('later') })`, "later"},
		{`db.c.find().forEach(async () => { await 0; db.c.fails() })`, "not a function"},
		{`db.c.find().map(async d => { throw new Error('while printing') })`, "while printing"},
		{`Promise.reject(1).catch(() => 2)`, ""},
		{`const p = Promise.reject(1); p.then(() => 0).catch(() => 0); 1`, ""},
		{`(async () => { try { await Promise.reject(1) } catch {} })()`, ""},
		{`(async () => { throw new Error('result') })()`, "Uncaught Error: result"},
	} {
		f := &fake{answer: func(db string, cmd bson.Raw) (bson.D, error) { return oneDocument(db, cmd) }}
		_, _, err := eval(t, f, tt.js)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.js, err, tt.want)
		}
	}
}
