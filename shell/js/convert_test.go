package js

import (
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Every kind of value that JavaScript has and BSON has not, or has otherwise: what is sent, or why nothing is.
func TestConversion(t *testing.T) {
	t.Parallel()
	const refuse, sends = "refuse", "sends"
	for _, tt := range []struct{ js, how, want string }{
		// Nothing, where something was meant.
		{`let r = db.none.findOne(); db.c.deleteMany({customerId: r?._id})`, refuse, "filter.customerId is undefined"},
		{`db.c.find({a: {$in: [1, void 0]}}).toArray()`, refuse, "filter.a.$in[1] is undefined"},
		{`db.c.updateOne({a: 1}, {$set: {x: {}.y}})`, refuse, "update.$set.x is undefined"},
		{`db.c.insertMany([{a: 1}, undefined])`, refuse, "documents[1] is undefined"},
		{`db.c.insertMany([{a: 1}, , {b: 1}])`, refuse, "documents[1] is undefined"},
		{`db.c.aggregate([{$match: {a: undefined}}])`, refuse, "pipeline[0].$match.a is undefined"},
		{`db.runCommand({find: 'c', filter: {a: undefined}})`, refuse, "command.filter.a is undefined"},
		{`db.c.bulkWrite([{deleteMany: {filter: {a: undefined}}}])`, refuse, "operations[0].deleteMany.filter.a is undefined"},
		{`db.c.find({}, {a: undefined})`, refuse, "projection.a is undefined"},
		{`db.c.find().sort({a: undefined})`, refuse, "sort.a is undefined"},
		{`db.c.deleteMany({a: [1, , 2]})`, refuse, "filter.a[1] is a hole in the array"},
		{`db.c.deleteMany({a: new Array(3)})`, refuse, "filter.a[0] is a hole in the array"},

		// What is an object in JavaScript and no document.
		{`db.c.deleteMany({a: Symbol('x')})`, refuse, "filter.a is a symbol"},
		{`db.c.deleteMany({[Symbol('x')]: 1})`, refuse, "filter has a field that is called by a symbol"},
		{`db.c.deleteMany({a: () => 1})`, refuse, "filter.a is a function"},
		{`db.c.deleteMany({a: class {}})`, refuse, "filter.a is a function"},
		{`db.c.deleteMany({a: async () => 1})`, refuse, "filter.a is a function"},
		{`db.c.deleteMany({$where: print})`, refuse, "filter.$where is a function of the shell"},
		{`db.c.deleteMany({a: Promise.resolve(1)})`, refuse, "filter.a is a Promise"},
		{`db.c.deleteMany({a: {then() {}}})`, refuse, "filter.a.then is a function"},
		{`db.c.deleteMany(new Map([['a', 1]]))`, refuse, "filter is a Map"},
		{`db.c.find({a: {$in: new Set([1])}}).toArray()`, refuse, "filter.a.$in is a Set"},
		{`db.c.deleteMany({a: new WeakMap()})`, refuse, "filter.a is a WeakMap"},
		{`db.c.deleteMany({a: new WeakSet()})`, refuse, "filter.a is a WeakSet"},
		{`db.c.deleteMany({a: new ArrayBuffer(2)})`, refuse, "filter.a is an ArrayBuffer"},
		{`db.c.deleteMany({a: new Uint8Array(2)})`, refuse, "filter.a is an Uint8Array"},
		{`db.c.deleteMany({a: new DataView(new ArrayBuffer(2))})`, refuse, "filter.a is a DataView"},
		{`db.c.deleteMany(new Proxy({}, {}))`, refuse, "filter is a Proxy"},
		{`db.c.deleteMany({a: new Proxy([], {})})`, refuse, "filter.a is a Proxy"},
		{`db.c.deleteMany({a: process})`, refuse, "filter.a is a Proxy"},
		{`db.c.deleteMany({a: new TypeError('x')})`, refuse, "filter.a is an Error"},
		{`db.c.deleteMany({a: new Number(5)})`, refuse, "filter.a is a Number"},
		{`db.c.deleteMany({a: new String('5')})`, refuse, "filter.a is a String"},
		{`db.c.deleteMany({a: new Boolean(false)})`, refuse, "filter.a is a Boolean"},
		{`db.c.deleteMany({a: Object(1n)})`, refuse, "filter.a is a BigInt"},
		{`db.c.deleteMany({a: Object(Symbol())})`, refuse, "filter.a is a Symbol"},
		{`(function() { db.c.deleteMany({a: arguments}) })()`, refuse, "filter.a is an Arguments"},
		{`db.c.deleteMany({a: (function*() {})()})`, refuse, "filter.a is an instance of a class"},
		{`db.c.deleteMany({a: [][Symbol.iterator]()})`, refuse, "filter.a is"},
		{`class C { a = 1 }; db.c.deleteMany(new C())`, refuse, "filter is an instance of a class"},
		{`class A extends Array {}; db.c.deleteMany({a: A.of(1)})`, refuse, "filter.a is an instance of a class"},
		{`class D extends Date {}; db.c.deleteMany({a: new D()})`, refuse, "filter.a is an instance of a class"},
		{`class R extends RegExp {}; db.c.deleteMany({a: new R('x')})`, refuse, "filter.a is an instance of a class"},
		{`db.c.deleteMany({a: Object.setPrototypeOf([1], null)})`, refuse, "filter.a is an instance of a class"},
		{`db.c.deleteMany({a: Object.setPrototypeOf(new Date(), null)})`, refuse, "filter.a is an instance of a class"},
		{`db.c.deleteMany({a: Object.setPrototypeOf(/x/, null)})`, refuse, "filter.a is an instance of a class"},
		{`db.c.deleteMany({a: Object.setPrototypeOf({}, Array.prototype)})`, refuse, "filter.a is an instance of a class"},
		{`db.c.deleteMany(Object.create({a: 1}))`, refuse, "filter is an instance of a class"},
		{`db.c.deleteMany({__proto__: {a: 1}})`, refuse, "filter is an instance of a class"},
		{`for (const o of [Math, JSON, EJSON, console, globalThis]) db.c.deleteMany({a: o})`, refuse, "filter.a has the hidden field"},
		{`db.c.deleteMany({a: db})`, refuse, "filter.a is a database of the shell"},
		{`db.c.deleteMany({a: db.c})`, refuse, "filter.a is a collection of the shell"},
		{`db.c.deleteMany({a: db.c.find()})`, refuse, "filter.a is a cursor of the shell"},
		{`db.c.deleteMany({a: db.getMongo()})`, refuse, "filter.a is a mongo of the shell"},
		{`db.c.deleteMany({a: db.c.explain()})`, refuse, "filter.a is an explainable of the shell"},
		{`db.c.deleteMany({a: db.c.getPlanCache()})`, refuse, "filter.a is a planCache of the shell"},
		{`db.c.deleteMany({a: rs})`, refuse, "filter.a is a replicaSet of the shell"},
		{`db.c.deleteMany({a: sh})`, refuse, "filter.a is a sharding of the shell"},
		{`db.c.deleteMany({a: db.c.initializeOrderedBulkOp()})`, refuse, "filter.a is a bulk of the shell"},
		{`db.c.deleteMany({a: db.c.initializeOrderedBulkOp().find({})})`, refuse, "filter.a is a bulkFind of the shell"},
		{`db.c.deleteMany({a: db.getMongo().startSession()})`, refuse, "filter.a is a session of the shell"},

		{`db.c.deleteMany([{a: 1}])`, refuse, "filter must be a document, and is an array"},
		{`db.c.deleteMany('x')`, refuse, "filter must be a document, and is string"},
		{`db.c.deleteMany(5)`, refuse, "filter must be a document, and is 32-bit integer"},
		{`db.c.deleteMany(ObjectId())`, refuse, "filter must be a document, and is objectID"},
		{`db.c.deleteMany(null)`, refuse, "filter must be a document, and is null"},

		// Accessors, and what would be left out.
		{`db.c.deleteMany({get a() { return 1 }})`, refuse, "filter.a is computed by a getter"},
		{`db.c.deleteMany({set a(v) {}})`, refuse, "filter.a is computed by a getter"},
		{`db.c.deleteMany({a: Object.defineProperty([1], 0, {get() { return 2 }})})`, refuse, "filter.a[0] is computed by a getter"},
		{`db.c.deleteMany(Object.defineProperty({}, 'a', {value: 1}))`, refuse, `filter has the hidden field "a"`},
		{`db.c.deleteMany(Object.defineProperty({a: 1}, 'b', {value: 1}))`, refuse, `filter has the hidden field "b"`},
		{`db.c.deleteMany({get '\ufffd'() { return 1 }})`, refuse, "is computed by a getter"},
		{`let a = [1]; a.b = 2; db.c.deleteMany({a})`, refuse, `filter.a is an array with a field "b" beside its elements`},
		{`db.c.deleteMany({toBSON() { return {} }})`, refuse, "filter has a toBSON"},
		{`db.c.deleteMany({a: {b: {toBSON() { return 1 }}}})`, refuse, "filter.a.b has a toBSON, which is called in reads alone"},
		{`db.c.updateOne({}, {$set: {a: {toBSON() { return 1 }}}})`, refuse, "update.$set.a has a toBSON"},
		{`db.c.insertOne({a: {toBSON() { return 1 }}})`, refuse, "document.a has a toBSON"},
		{`db.c.findOneAndDelete({toBSON() { return {} }})`, refuse, "filter has a toBSON"},
		{`db.runCommand({ping: 1, toBSON() { return {drop: 'c'} }})`, refuse, "command has a toBSON"},
		{`db.runCommand({find: 'c', toBSON() { return {drop: 'c'} }})`, refuse, "command has a toBSON"},
		{`db.runCommand({delete: 'c', deletes: [{q: {toBSON() { return {} }}, limit: 0}]})`, refuse, "command.deletes[0].q has a toBSON"},
		{`db.c.find({get toBSON() { return () => ({}) }}).toArray()`, refuse, "filter has a toBSON that is computed by a getter"},
		{`db.c.find({toBSON() { return {toBSON() { return {} }} }}).toArray()`, refuse, "filter.toBSON() has a toBSON itself"},
		{`db.c.find({toBSON() {}}).toArray()`, refuse, "filter.toBSON() is undefined"},
		{`db.c.find({toBSON() { return 'x' }}).toArray()`, refuse, "filter must be a document"},
		{`db.c.find({toBSON() { return new Map() }}).toArray()`, refuse, "filter.toBSON() is a Map"},
		{`db.c.find({toBSON() { return this }}).toArray()`, refuse, "filter.toBSON() has a toBSON itself"},
		{`db.c.find({toBSON() { Object.prototype.value = 1; return {a: 1} }}).toArray()`, refuse, "Object.prototype has a property value"},
		{`class C { toBSON() { return {} } }; db.c.find(new C()).toArray()`, refuse, "filter is an instance of a class"},
		{`db.c.find(Object.create({toBSON() { return {} }})).toArray()`, refuse, "filter is an instance of a class"},
		{`db.c.deleteMany(Object.defineProperty({a: 1}, 'toBSON', {value() { return {} }}))`, refuse, "filter has a toBSON"},

		// Values that would become others.
		{`db.c.deleteMany({a: new Date('2024-13-45')})`, refuse, "filter.a is an invalid date"},
		{`db.c.deleteMany({a: 9007199254740993})`, refuse, "filter.a is an integer beyond 2^53"},
		{`db.c.deleteMany({a: -9007199254740993})`, refuse, "filter.a is an integer beyond 2^53"},
		{`db.c.deleteMany({a: 2n ** 63n})`, refuse, "filter.a is a BigInt that does not fit 64 bits"},
		{`db.c.deleteMany({a: -(2n ** 63n) - 1n})`, refuse, "filter.a is a BigInt that does not fit 64 bits"},
		{`db.c.deleteMany({a: '\ud800x'})`, refuse, "filter.a holds half of a surrogate pair"},
		{`db.c.deleteMany({a: 'x\udc00'})`, refuse, "filter.a holds half of a surrogate pair"},
		{`db.c.deleteMany({'a\0b': 1})`, refuse, "NUL"},
		{`let d = db.c.findOne(); d['a\0b'] = 1; db.c.insertOne(d)`, refuse, "NUL"},
		{`db.c.deleteMany({a: new RegExp('a\0b')})`, refuse, "filter.a holds a NUL"},
		{`db.c.deleteMany({a: BSONRegExp('a\0b')})`, refuse, "NUL"},
		{`db.c.deleteMany({a: /x/g})`, refuse, "the flag 'g'"},
		{`db.c.deleteMany({a: Double(undefined)})`, refuse, "Double wants a number"},

		{`db.c.deleteMany({a: 12345678901234567890})`, refuse, "filter.a was typed as 12345678901234567890, and a JavaScript number has lost some of the digits"},
		{`db.c.deleteMany({a: [-0xffff_ffff_ffff_ffff_1]})`, refuse, "filter.a[0] was typed as 0xffffffffffffffff1"},
		{`db.c.deleteMany({a: NumberDecimal(12345678901234567890)})`, refuse, "NumberDecimal: the number has lost digits"},
		{`db.c.deleteMany({a: NumberDecimal(9007199254740993)})`, refuse, "NumberDecimal: the number has lost digits"},
		{`db.c.deleteMany({'\ud800': 1})`, refuse, "a field name in filter holds half of a surrogate pair"},
		{`db.c.deleteMany({a: {'x\udfff': 1, 'x\ufffd': 2}})`, refuse, ""},
		{`let o = {'x\ufffd': 2}; o['x\udfff'] = 1; db.c.deleteMany(o)`, refuse, "a field name in filter holds half of a surrogate pair"},
		{`let d = db.c.findOne(); d['\ud800'] = 1; db.c.deleteMany(d)`, refuse, "a field name holds half of a surrogate pair"},
		{`let d = db.c.findOne(); d.arr[9e6] = 1; db.c.deleteMany(d)`, refuse, "an array of 9000000 elements fits no document"},
		{`let d = db.c.findOne(); d.arr.length = 9e6; db.c.deleteMany(d)`, refuse, "an array of 9000000 elements fits no document"},

		// Names and order.
		{`db.c.deleteMany({a: 1, b: 2, a: 3})`, refuse, `the field "a" twice`},
		{`db.c.deleteMany({'a': 1, a: 3})`, refuse, `the field "a" twice`},
		{`let a = 1; db.c.deleteMany({a, a: 3})`, refuse, `the field "a" twice`},
		{`const f = () => ({x: [{a: {$gt: 1}, a: {$lt: 5}}]})`, refuse, `the field "a" twice`},
		{`db.c.insertOne({b: 1, 1: 2})`, refuse, "document was typed with the fields b, 1"},
		{`db.c.insertOne({a: {2: 1, 1: 2}})`, refuse, "document.a was typed with the fields 2, 1"},
		{`db.c.find({a: {b: 1, 0: 2}}).toArray()`, refuse, "filter.a was typed with the fields b, 0"},
		{`db.c.find().sort({b: 1, 2: 1})`, refuse, "sort has a field called 2"},
		{`db.runCommand(JSON.parse('{"ping": 1, "1": {}}'))`, refuse, "command has a field called 1"},

		{`db.c.insertOne(JSON.parse('{"_id": 1, "a": 1, "a": 2}'))`, refuse, `the field "a" twice`},
		{`db.c.find(JSON.parse('{"x": [{"a": 1, "\\u0061": 2}]}')).toArray()`, refuse, `the field "a" twice`},
		{`db.c.insertOne(JSON.parse('{"_id": 1, "2": 2}'))`, refuse, "typed with the fields _id, 2"},
		{`db.c.aggregate(JSON.parse('[{"$sort": {"b": 1, "2": 1}}]'))`, refuse, "pipeline[0].$sort was typed with the fields b, 2"},
		{`db.c.insertOne(JSON.parse('{"_id": 1, "a": "{\\"b\\": 1, \\"b\\": 2}", "l": ["a", "a"], "o": {"a": 1}, "p": {"a": 1, "b" : {"b": 1}}}'))`, sends,
			`{"_id": {"$numberInt":"1"},"a": "{\"b\": 1, \"b\": 2}","l": ["a","a"],"o": {"a": {"$numberInt":"1"}},"p": {"a": {"$numberInt":"1"},"b": {"b": {"$numberInt":"1"}}}}`},
		{`db.c.insertOne(JSON.parse('{"2": 1, "b": 3}'))`, sends, `{"_id": {"$oid":"010000000000000000000000"},"2": {"$numberInt":"1"},"b": {"$numberInt":"3"}}`},

		// Too deep, too long, without end.
		{`JSON.parse('['.repeat(1e6) + ']'.repeat(1e6))`, refuse, "JSON is nested too deep"},
		{`EJSON.parse('['.repeat(1e6) + ']'.repeat(1e6))`, refuse, "nested too deep"},
		{`let a = {}; a.b = {c: [a]}; db.c.deleteMany(a)`, refuse, "filter.b.c[0] contains itself"},
		{`let a = []; a.push(a); db.c.deleteMany({a})`, refuse, "filter.a[0] contains itself"},
		{`let d = {}, e = d; for (let i = 0; i < 200; i++) e = e.a = {}; db.c.insertOne(d)`, refuse, "is nested deeper than"},
		{`db.c.deleteMany({a: new Array(20000000)})`, refuse, "filter.a is too long"},
		{`db.c.insertMany(new Array(20000000))`, refuse, "an array of 20000000 elements is too long"},
		{`db.c.insertOne({a: 'x'.repeat(17 * 1024 * 1024)})`, refuse, "document.a is a string of 17825792 bytes"},
		{`let s = 'x'.repeat(5 << 20); db.c.insertOne({a: s, b: s, c: s, d: s})`, refuse, "document is 20971557 bytes long"},
		{`let s = 'x'.repeat(15 << 20); db.runCommand({insert: 'c', documents: [{s}, {s}, {s}, {s}]})`, refuse, "command.documents is longer than 48000000 bytes"},

		// What is sent as it was meant.
		{`db.c.insertOne({_id: 1, z: -0, n: NaN, i: Infinity, b: 5n, l: 9223372036854775807n, e: 1e19})`, sends,
			`{"_id": {"$numberInt":"1"},"z": {"$numberDouble":"-0.0"},"n": {"$numberDouble":"NaN"},"i": {"$numberDouble":"Infinity"},"b": {"$numberLong":"5"},"l": {"$numberLong":"9223372036854775807"},"e": {"$numberDouble":"1E+19.0"}}`},
		{`db.c.insertOne({_id: 2147483647, a: 2147483648, b: -2147483648, c: 9007199254740991})`, sends,
			`{"_id": {"$numberInt":"2147483647"},"a": {"$numberDouble":"2.147483648E+09"},"b": {"$numberInt":"-2147483648"},"c": {"$numberDouble":"9.007199254740991E+15"}}`},
		{`db.c.insertOne({_id: 1, s: '\ud83d\ude00', r: '\ufffd'})`, sends, `{"_id": {"$numberInt":"1"},"s": "😀","r": "` + "\ufffd" + `"}`},
		{`db.c.insertOne(EJSON.parse('{"_id": 1, "a": 1, "a": 2, "1": 3}'))`, sends, `{"_id": {"$numberInt":"1"},"a": {"$numberInt":"1"},"a": {"$numberInt":"2"},"1": {"$numberInt":"3"}}`},
		{`db.c.insertOne({_id: 1, 1: 2})`, refuse, "typed with the fields _id, 1"},
		{`db.c.insertOne({1: 2, _id: 1})`, sends, `{"1": {"$numberInt":"2"},"_id": {"$numberInt":"1"}}`},
		{`db.c.insertOne({_id: 1, a: /[\\/]/, b: /\\\//, c: /a\/b/, m: /x/usmi, d: new RegExp('/'), e: new RegExp('\\\\/'), f: new RegExp('[/]\\d'), g: /(?:)/i, h: new RegExp('a\n\u2028\\n'), i: /\u00e9\\u002f/})`, sends,
			`{"_id": {"$numberInt":"1"},"a": {"$regularExpression":{"pattern":"[\\\\/]","options":""}},"b": {"$regularExpression":{"pattern":"\\\\/","options":""}},"c": {"$regularExpression":{"pattern":"a/b","options":""}},"m": {"$regularExpression":{"pattern":"x","options":"imsu"}},"d": {"$regularExpression":{"pattern":"/","options":""}},"e": {"$regularExpression":{"pattern":"\\\\/","options":""}},"f": {"$regularExpression":{"pattern":"[/]\\d","options":""}},"g": {"$regularExpression":{"pattern":"","options":"i"}},"h": {"$regularExpression":{"pattern":"a\\n\u2028\\n","options":""}},"i": {"$regularExpression":{"pattern":"\\u00e9\\\\u002f","options":""}}}`},
		{`db.c.insertOne({_id: 1, ['__proto__']: 2})`, sends, `{"_id": {"$numberInt":"1"},"__proto__": {"$numberInt":"2"}}`},
		{`db.c.insertOne(Object.assign(Object.create(null), {_id: 1}))`, sends, `{"_id": {"$numberInt":"1"}}`},
		{`Object.prototype.toBSON = Object.prototype.x = () => ({}); db.c.insertOne({_id: 1})`, sends, `{"_id": {"$numberInt":"1"}}`},
		{`let o = {a: 1}; db.c.insertOne({_id: 1, o, p: o})`, sends, `{"_id": {"$numberInt":"1"},"o": {"a": {"$numberInt":"1"}},"p": {"a": {"$numberInt":"1"}}}`},
		{`db.c.insertOne({_id: 1, a: {}, b: {a: 1, ...{a: 2}}, ['c']: 1})`, sends, `{"_id": {"$numberInt":"1"},"a": {},"b": {"a": {"$numberInt":"2"}},"c": {"$numberInt":"1"}}`},
		{`db.c.insertOne({_id: 1, toBSON: 1, 'x\ufffd': 2, d: NumberDecimal(1.5), e: 12345678901234567168, f: 1e20})`, sends,
			`{"_id": {"$numberInt":"1"},"toBSON": {"$numberInt":"1"},"x` + "\ufffd" + `": {"$numberInt":"2"},"d": {"$numberDecimal":"1.5"},"e": {"$numberDouble":"1.2345678901234567E+19"},"f": {"$numberDouble":"1E+20.0"}}`},
		{`db.c.insertOne({_id: Double(5), a: Double('1.5'), b: Double(Long('5')), c: Double(1e17)})`, sends,
			`{"_id": {"$numberDouble":"5.0"},"a": {"$numberDouble":"1.5"},"b": {"$numberDouble":"5.0"},"c": {"$numberDouble":"1E+17.0"}}`},
	} {
		f := &fake{answer: func(_ string, cmd bson.Raw) (bson.D, error) {
			if s, _ := cmd.Lookup("find").StringValueOK(); s == "none" {
				return nil, nil
			}
			return oneDocument("", cmd)
		}}
		got, _, err := eval(t, f, tt.js)
		switch last := ""; tt.how {
		case refuse:
			for _, c := range got {
				if !strings.Contains(c, `"limit": {"$numberLong":"1"},"singleBatch": true`) { // the findOne before it
					t.Errorf("%s\n sent %.200s", tt.js, c)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s\n %v\n want %q", tt.js, err, tt.want)
			}
		case sends:
			if len(got) > 0 {
				last = got[len(got)-1]
			}
			if err != nil || last != `app {"insert": "c","documents": [`+tt.want+`]}` {
				t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, last, err, tt.want)
			}
		}
	}
}

// The conversion runs no code of the script: nothing is sent but the find, and it holds what was written.
func TestConversionRunsNoUserCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		// A toBSON is the one exception, and only in reads: it is called once, like a function that the script calls itself.
		{`let n = 0; db.c.find({toBSON() { return {a: ++n} }}).toArray(); if (n !== 1) db.x.drop()`, `{"a": {"$numberInt":"1"}}`},
		{`const f = {a: {toBSON() { return [1, {toBSON: () => 2}] }}}; db.c.find(f).toArray()`, `{"a": [{"$numberInt":"1"},{"$numberInt":"2"}]}`},
		{`db.runCommand({find: 'c', filter: {toBSON() { return {$where: 'x'} }}}); 0`, `{"$where": "x"}`},
		{`db.c.find({toBSON() { return EJSON.parse('{"toBSON": 1}') }}).toArray()`, `{"toBSON": {"$numberInt":"1"}}`},
		{`const c = db.c.find({toBSON() { return this.b }, b: {a: 1}}); c.toArray()`, `{"a": {"$numberInt":"1"}}`},
		{`db.c.find({a: {toBSON() { throw 1 }}}).toArray()`, ``},
		{`let f = function() { return 1 }; f.toString = () => { db.x.drop(); return 'evil' }; db.c.find({$where: f}).toArray()`, `{"$where": {"$code":"function() { return 1 }"}}`},
		{`Function.prototype.toString = () => { db.x.drop(); return 'evil' }; db.c.find({$where: function() { return 1 }}).toArray()`, `{"$where": {"$code":"function() { return 1 }"}}`},
		{`let re = /x/i; Object.defineProperty(re, 'source', {get() { db.x.drop(); return 'y' }}); Object.defineProperty(re, 'ignoreCase', {value: false}); db.c.find({a: re}).toArray()`, `{"a": {"$regularExpression":{"pattern":"x","options":"i"}}}`},
		{`RegExp.prototype.toString = () => { db.x.drop(); return '/e/' }; db.c.find({a: /y/i}).toArray()`, `{"a": {"$regularExpression":{"pattern":"y","options":"i"}}}`},
		{`Object.defineProperty(RegExp.prototype, 'flags', {get() { db.x.drop(); return '' }}); db.c.find({a: /y/i}).toArray()`, `{"a": {"$regularExpression":{"pattern":"y","options":"i"}}}`},
		{`let d = new Date(5); d.getTime = d.valueOf = d.toISOString = () => { db.x.drop(); return 6 }; db.c.find({a: d}).toArray()`, `{"a": {"$date":{"$numberLong":"5"}}}`},
		{`Date.prototype.getTime = Date.prototype.valueOf = () => { db.x.drop() }; db.c.find({a: new Date(5)}).toArray()`, `{"a": {"$date":{"$numberLong":"5"}}}`},
		{`Array.prototype[Symbol.iterator] = Array.prototype.toJSON = function*() { db.x.drop() }; db.c.find({a: [1]}).toArray()`, `{"a": [{"$numberInt":"1"}]}`},
		{`Object.prototype.toJSON = Object.prototype.valueOf = () => db.x.drop(); db.c.find({a: 1}).toArray()`, `{"a": {"$numberInt":"1"}}`},
		{`Object.defineProperty(Object.prototype, 'get', {get() { db.x.drop() }, configurable: true}); db.c.find({a: 1}).toArray()`, ``},
		{`Object.defineProperty(Object.prototype, 'value', {set() { db.x.drop() }, configurable: true}); db.c.find({a: 1}).toArray()`, ``},
		{`Object.defineProperty(Object.prototype, 'writable', {set() { db.x.drop() }, configurable: true}); db.c.insertMany([{a: 1}])`, ``},
		{`Object.defineProperty(Object.prototype, 'configurable', {set() { db.x.drop() }, configurable: true}); ({a: 1})`, ``},
		{`Object.defineProperty(Object.prototype, 'enumerable', {set() { db.x.drop() }, configurable: true}); throw new Error('x')`, ``},
		{`Object.defineProperty(Object.prototype, 'value', {set() { db.x.drop() }, configurable: true}); Timestamp({t: 1, i: 1})`, ``},
		{`Object.defineProperty(Object.prototype, 'value', {set() { db.x.drop() }, configurable: true}); EJSON.stringify({}, {relaxed: true})`, ``},
		{`Object.defineProperty(Object.prototype, 'value', {get() { db.x.drop() }, configurable: true}); db.c.find({a: 1}).toArray()`, ``},
		{`db.c.find(Object.create(new Proxy({}, {getPrototypeOf() { db.x.drop(); return null }}))).toArray()`, ``},
		{`db.c.find({a: new Proxy({}, {ownKeys() { db.x.drop(); return [] }, get() { db.x.drop() }})}).toArray()`, ``},
		{`db.c.find({a: {[Symbol.toPrimitive]() { db.x.drop() }}}).toArray()`, ``},
		{`Code({toString() { db.x.drop() }})`, ``},
	} {
		f := &fake{answer: oneDocument}
		got, _, err := eval(t, f, tt.js)
		want := ""
		if tt.want != "" {
			want = `app {"find": "c","filter": ` + tt.want + `}`
		}
		if s := strings.Join(got, "\n"); s != want {
			t.Errorf("%s\n sends %s (%v)\n want  %s", tt.js, s, err, want)
		}
	}
}

// What is called and is no function is named.
func TestNotCallable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, want string }{
		{`let z; z()`, "z is not a function; it is undefined"},
		{`let zz = 5; zz()`, "zz is not a function; it is 5"},
		{`"a"()`, "is not a function; it is a"},
		{`db.c.find()()`, "db.c.find() is not a function"},
		{`1; db.c.find({a: [1, (2)]}).toArray()()`, "db.c.find({a: [1, (2)]}).toArray() is not a function"},
		{"1;\n  db.c()", `"c" is not a function`},
		{`db.c.fnid({})`, `"fnid" is not a function; did you mean "find"?`},
		{`eval('db.c.fnid({})')`, `is not a function`},
		{`db.c.find().nosuch()`, `"nosuch" is not a function`},
		{`(async () => { await 1; db.c.fnid({}) })()`, `"fnid" is not a function; did you mean "find"?`},
		{`(async () => { await 1; db.c.fnid({}) })(); 1`, `(in a promise) TypeError: "fnid" is not a function; did you mean "find"? (test:1:34)`},
		{`let e = new Error('x'); e.stack = 'x\n\tat \x1b[2J:1:1(1)'; (async () => { throw e })()`, `Uncaught Error: x (`},
	} {
		_, _, err := eval(t, &fake{}, tt.js)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.js, err, tt.want)
		}
	}
}

// A toBSON is called in what reads, and in nothing else.
func TestToBSON(t *testing.T) {
	t.Parallel()
	const x = `{toBSON() { return {a: 'x'} }}`
	for _, js := range []string{
		`db.c.find(X).toArray()`, `db.c.findOne(X)`, `db.c.find({}, X).toArray()`, `db.c.find({}, {}, {sort: X}).toArray()`, `db.c.count(X)`, `db.c.countDocuments(X)`, `db.c.distinct('a', X)`, `db.c.aggregate([{$match: X}])`, `db.c.aggregate({$match: X})`,
		`db.aggregate([{$match: X}])`, `db.c.find().sort(X).toArray()`, `db.c.find().projection(X).toArray()`, `db.c.find().min(X).toArray()`, `db.c.find().max(X).toArray()`, `db.c.find().collation(X).toArray()`,
		`db.c.explain().find(X).finish()`, `db.c.explain().count(X)`, `db.c.explain().distinct('a', X)`, `db.c.explain().aggregate([X])`, `db.c.getPlanCache().list([X])`,
		`db.runCommand({find: 'c', filter: X})`, `db.adminCommand({aggregate: 1, pipeline: [X]})`, `db.runCommand({count: 'c', query: X})`, `db.c.runCommand({distinct: 'c', query: X})`, `db.c.runCommand('find', {filter: X})`,
	} {
		f := &fake{}
		got, _, err := eval(t, f, strings.ReplaceAll(js, "X", x))
		if err != nil || len(got) != 1 || !strings.Contains(got[0], `{"a": "x"}`) {
			t.Errorf("%s: sends %v, %v", js, got, err)
		}
	}
	for _, js := range []string{
		`db.c.deleteOne(X)`, `db.c.deleteMany(X)`, `db.c.remove(X)`, `db.c.updateOne(X, {$set: {a: 1}})`, `db.c.updateMany({}, {$set: X})`, `db.c.replaceOne({}, X)`, `db.c.update({}, {$set: X})`, `db.c.insertOne(X)`, `db.c.insertMany([X])`, `db.c.insert(X)`,
		`db.c.findOneAndUpdate(X, {$set: {a: 1}})`, `db.c.findOneAndDelete(X)`, `db.c.findOneAndReplace({}, X)`, `db.c.findAndModify({query: X, remove: true})`, `db.c.bulkWrite([{deleteOne: {filter: X}}])`, `db.c.initializeOrderedBulkOp().find(X)`,
		`db.c.createIndex(X)`, `db.c.explain().remove(X)`, `db.c.explain().update(X, {$set: {a: 1}})`, `db.c.mapReduce('m', 'r', {out: {inline: 1}, query: X})`, `db.createCollection('x', {validator: X})`, `db.createView('v', 'c', [X])`, `DBRef('c', X)`, `Code('x', X)`,
		`db.runCommand(X)`, `db.runCommand({delete: 'c', deletes: [X]})`, `db.runCommand({findAndModify: 'c', query: X})`, `db.runCommand({explain: {delete: 'c', deletes: [X]}})`, `db.runCommand({ping: X})`, `db.c.runCommand('delete', {deletes: [X]})`,
		`db.runCommand({find: 'c', toBSON() { return {drop: 'c'} }})`, `db.runCommand(new Proxy({find: 'c', filter: X}, {}))`,
		`EJSON.stringify(X)`, `bsonsize(X)`,
	} {
		f := &fake{}
		got, _, err := eval(t, f, strings.ReplaceAll(js, "X", x))
		if err == nil || len(got) > 0 || !strings.Contains(err.Error(), "toBSON") && !strings.Contains(err.Error(), "Proxy") {
			t.Errorf("%s: sends %v, %v", js, got, err)
		}
	}
}

// Where a function stands for code, and where the order of fields means nothing.
func TestPlacesOfValues(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"$where", "map", "reduce", "finalize", "body", "init", "accumulate", "merge", "$code"} {
		f := &fake{}
		got, _, err := eval(t, f, `db.c.find({'`+key+`': function() {}}).toArray()`)
		if err != nil || len(got) != 1 || !strings.Contains(got[0], `"`+key+`": {"$code":"function() {}"}`) {
			t.Errorf("a function as %s: %v %v", key, got, err)
		}
	}
	for _, key := range []string{"filter", "query", "q", "$match", "projection", "fields", "$project", "options"} {
		f := &fake{}
		got, _, err := eval(t, f, `db.c.insertOne({_id: 'x', `+key+`: {b: 'y', 2: 'z'}})`)
		if err != nil || len(got) != 1 || !strings.Contains(got[0], `"2": "z","b": "y"`) {
			t.Errorf("another order in %s: %v %v", key, got, err)
		}
	}
	for _, key := range []string{"value", "writable", "get", "set", "enumerable", "configurable"} {
		f := &fake{}
		got, _, err := eval(t, f, `Object.defineProperty(Object.prototype, '`+key+`', {value: 1, configurable: true}); db.c.find({a: 1}).toArray()`)
		if err == nil || !strings.Contains(err.Error(), "Object.prototype has a property "+key) || len(got) > 0 {
			t.Errorf("%s on Object.prototype: %v %v", key, got, err)
		}
		_, printed, err := eval(t, f, `Object.defineProperty(Object.prototype, '`+key+`', {value: 1, configurable: true}); ({a: 1})`)
		if err != nil || printed != notRead {
			t.Errorf("%s on Object.prototype: printed %s, %v", key, printed, err)
		}
		if _, printed, err = eval(t, f, `Object.defineProperty(Object.prototype, '`+key+`', {value: 1, configurable: true}); delete Object.prototype.`+key+`; db.c.find({a: 1}).toArray(); 'x' + 1`); err != nil || printed != "x1" {
			t.Errorf("%s on Object.prototype, and gone: printed %s, %v", key, printed, err)
		}
		if _, _, err = eval(t, f, `Object.defineProperty(Object.prototype, '`+key+`', {value: 1, configurable: true}); throw new Error('x')`); err == nil || !strings.Contains(err.Error(), notRead) {
			t.Errorf("%s on Object.prototype, thrown: %v", key, err)
		}
	}
}

// No trap, getter or setter of a script's is run by a call that is refused for it.
func TestNobodyIsAsked(t *testing.T) {
	t.Parallel()
	const trap = `{ownKeys() { print('asked'); return [] }, get() { print('asked') }, getOwnPropertyDescriptor() { print('asked') }, getPrototypeOf() { print('asked'); return null }, has() { print('asked') }}`
	const setter = `Object.defineProperty(Object.prototype, 'value', {set() { print('asked') }}); `
	for _, js := range []string{
		`db.runCommand(new Proxy({find: 'c'}, TRAP))`, `db.c.find(new Proxy({}, TRAP)).toArray()`, `db.c.find().sort(new Proxy({}, TRAP))`, `db.c.insertMany(new Proxy([], TRAP))`, `db.c.insertMany([new Proxy({}, TRAP)])`, `db.c.createIndex(new Proxy({}, TRAP))`,
		`db.c.createIndexes([new Proxy({}, TRAP)])`, `db.c.deleteMany({}, new Proxy({}, TRAP))`, `db.c.aggregate(new Proxy([], TRAP))`, `db.c.bulkWrite([new Proxy({}, TRAP)])`, `db.c.find(Object.create(new Proxy({}, TRAP))).toArray()`, `db.c.find({a: [new Proxy([], TRAP)]}).toArray()`,
		`EJSON.stringify(new Proxy({}, TRAP))`, `Timestamp(new Proxy({}, TRAP))`, `db.c.watch(new Proxy([], TRAP))`, `sh.shardCollection('x.c', new Proxy({}, TRAP))`, `db.c.stats(new Proxy({}, TRAP))`,
		`SETTER db.runCommand({find: 'c', toBSON: 1})`, `SETTER db.c.find({toBSON() {}}).toArray()`, `SETTER db.c.insertMany([{a: 1}])`, `SETTER db.c.createIndexes([{a: 1}])`, `SETTER db.c.mapReduce(function() {}, 'x', 'y')`, `SETTER EJSON.stringify({a: 1})`,
		`db.c.find({get a() { print('asked') }}).toArray()`, `db.c.find({get toBSON() { print('asked') }}).toArray()`, `db.c.find({a: Object.defineProperty([], 0, {get() { print('asked') }})}).toArray()`, `db.c.insertMany([{get a() { print('asked') }}])`,
	} {
		f := &fake{}
		got, out, err := eval(t, f, strings.NewReplacer("TRAP", trap, "SETTER", setter).Replace(js))
		if err == nil || len(got) > 0 || out != "" {
			t.Errorf("%s: sends %v, prints %q, %v", js, got, out, err)
		}
	}
}

// What JavaScript has otherwise goes back as it came, also when it was looked at.
func TestLookedAt(t *testing.T) {
	t.Parallel()
	doc := bson.D{{Key: "r", Value: bson.Regex{Pattern: `a\/b`, Options: "i"}}, {Key: "x", Value: bson.Regex{Pattern: "b", Options: "x"}}, {Key: "late", Value: bson.DateTime(9e15)}, {Key: "early", Value: bson.DateTime(-9e15)}, {Key: "u", Value: bson.Undefined{}}, {Key: "n", Value: nil}}
	f := &fake{answer: func(string, bson.Raw) (bson.D, error) {
		return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: bson.A{doc}}}}}, nil
	}}
	got, _, err := eval(t, f, `const d = db.c.findOne(); for (const k of Object.keys(d)) [d[k], String(d[k])]; JSON.stringify(d); db.c.insertOne(d)`)
	want, _ := bson.Marshal(append(bson.D{{Key: "_id", Value: bson.ObjectID{1}}}, doc...))
	if err != nil || got[len(got)-1] != `app {"insert": "c","documents": [`+bson.Raw(want).String()+`]}` {
		t.Errorf("sent %v, %v\nwant %s", got, err, bson.Raw(want))
	}
}
