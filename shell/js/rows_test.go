package js

import (
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// bigs has 64-bit integers beyond what a JavaScript number can count.
func bigs(string, bson.Raw) (bson.D, error) {
	doc := bson.D{{Key: "_id", Value: int32(1)}, {Key: "user_id", Value: int64(708198820995006475)}, {Key: "next", Value: int64(708198820995006476)}, {Key: "small", Value: int64(5)}, {Key: "name", Value: "Ann"}}
	return bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: "app.c"}, {Key: "firstBatch", Value: bson.A{doc}}}}, {Key: "ok", Value: 1.0}}, nil
}

// 64-bit integers are exact, or refused: in texts, comparisons, sums and sorting.
func TestExact64(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{
		`db.users.find().forEach(d => print(d.user_id + ',' + d.name)); ''`: "708198820995006475,Ann\n",
		"db.c.findOne().user_id + ''":                                       "708198820995006475",
		"`${db.c.findOne().user_id}`":                                       "708198820995006475",
		`[db.c.findOne().user_id, 'x'].join(';')`:                           "708198820995006475;x",
		`const d = db.c.findOne(); [d.user_id < d.next, d.user_id > d.next, d.user_id < 5, d.small < 6].join()`: "true,false,false,true",
		`const d = db.c.findOne(); d.user_id == '708198820995006475'`:                                           "true",
		`const d = db.c.findOne(); d.next - d.user_id`:                                                          "1n",
		`db.c.findOne().small + 1`: "6",
		`[Long('708198820995006476'), Long('708198820995006475')].sort((a, b) => a - b)[0] + ''`: "708198820995006475",
		`[Long('3'), Long('1')].toSorted((a, b) => a - b)[0] + ''`:                               "1",
		`Math.max(Long('5'), 3)`: "5", `isNaN(Long('5'))`: "false", `Long('708198820995006475').toString(16)`: "9d4071353c2000b", `NumberLong(255).toString(16)`: "ff", `NumberInt(5).toString(2)`: "101",
		`new Long(1, 2)`: "Long('8589934593')", `Long(5).equals(5)`: "true", `Long(5).equals(NumberInt(5))`: "true", `Long(5).equals('6')`: "false", `NumberInt(5).equals(Long('5'))`: "true",
		`ObjectId('507f1f77bcf86cd799439011').equals('507f1f77bcf86cd799439011')`: "true", `ObjectId('507f1f77bcf86cd799439011').equals('x')`: "false",
		`[ObjectId() instanceof ObjectId, Long(1) instanceof Long, Long(1) instanceof NumberLong, NumberInt(1) instanceof Long, UUID() instanceof UUID, ISODate() instanceof Date, db.c.findOne().user_id instanceof Long].join()`: "true,true,true,false,true,true,true",
		`JSON.stringify({a: NumberInt(5), b: Double(1.5), c: Decimal128('1.50'), d: Long('5'), e: ObjectId('507f1f77bcf86cd799439011')})`:                                                                                          `{"a":5,"b":1.5,"c":{"$numberDecimal":"1.50"},"d":"5","e":"507f1f77bcf86cd799439011"}`,
	} {
		_, got, err := eval(t, &fake{answer: bigs}, js)
		if err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", js, got, err, want)
		}
	}
	for _, js := range []string{`db.c.findOne().user_id + 1`, `db.c.findOne().user_id * 2`, `Math.max(db.c.findOne().user_id)`, `+db.c.findOne().user_id`, `db.c.findOne().user_id.toNumber()`, `NumberInt(5).toString(99)`} {
		if _, got, err := eval(t, &fake{answer: bigs}, js); err == nil {
			t.Errorf("%s: %s, which has lost digits", js, got)
		}
	}
}

// What the language's own objects hold is shown, as mongosh shows it.
func TestShowsObjects(t *testing.T) {
	t.Parallel()
	for js, want := range map[string]string{
		`new Map()`: "Map(0) {}", `new Map([["a", 1], ["b", {c: 2}]])`: "Map(2) { 'a' => 1, 'b' => { c: 2 } }", `new Set([1, 'a', {b: 1}])`: "Set(3) { 1, 'a', { b: 1 } }",
		`({m: new Map([[1, 2]]), s: new Set(["a"])})`: "{ m: Map(1) { 1 => 2 }, s: Set(1) { 'a' } }", `new WeakMap()`: "WeakMap { <items unknown> }",
		`({a: new Map([["k", {deep: {er: {est: 1}}}]])})`: "{\n  a: Map(1) {\n    'k' => { deep: { er: { est: 1 } } }\n  }\n}",
		`new Uint8Array([1, 2, 3])`:                       "Uint8Array(3) [ 1, 2, 3 ]", `new Float64Array([1.5])`: "Float64Array(1) [ 1.5 ]", `new BigInt64Array([5n])`: "BigInt64Array(1) [ 5n ]", `new ArrayBuffer(2)`: "ArrayBuffer { [Uint8Contents]: <00 00>, byteLength: 2 }",
		`[function f() {}, () => 1, class C {}]`: "[ [Function: f], [Function (anonymous)], [class C] ]", `class B {}; class D extends B {}; D`: "[class D extends B]", `class P { constructor() { this.x = 1 } }; new P()`: "P { x: 1 }",
		`({a: function named() {}, b: class K {}, c: Symbol("s"), d: async () => {}})`: "{\n  a: [Function: named],\n  b: [class K],\n  c: Symbol(s),\n  d: [AsyncFunction: d]\n}",
		`[1,,3]`: "[ 1, <1 empty item>, 3 ]", `[,,]`: "[ <2 empty items> ]", `Object(1)`: "[Number: 1]", `Object('s')`: "[String: 's']", `/x/g`: "/x/g", `Object.create(null)`: "[Object: null prototype] {}", `({[Symbol('k')]: 1})`: "{ [Symbol(k)]: 1 }",
		`print(new Set([1]))`: "Set(1) { 1 }\nundefined", `const m = new Map(); m.set('me', m); m`: "Map(1) { 'me' => [Circular] }", `Object.create(Map.prototype)`: "Map {}", `new Map(Array(101).fill().map((_, i) => [i, i])).size`: "101",
		`print('a\tb\nc')`: "a\tb\nc\nundefined", `print('a\x1b[31m\r')`: `a\x1B[31m\r` + "\nundefined", `['a\tb']`: `[ 'a\tb' ]`, `print('\t')`: "\t\nundefined",
		`Map.prototype.forEach = () => { db.evil.drop() }; new Map([[1, 2]])`: "Map(1) { 1 => 2 }", `class E { get x() { db.evil.drop() } static get name() { db.evil.drop() } }; new E()`: "{}",
	} {
		f := &fake{}
		commands, got, err := eval(t, f, js)
		if err != nil || got != want || len(commands) > 0 {
			t.Errorf("%s: %q %v %v, want %q", js, got, err, commands, want)
		}
	}
}

// Rows of a comparison with mongosh in which the result was another.
func TestAsMongosh(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ js, sends, err string }{
		{`db.c.update({a: 1}, {b: 1})`, "", "update: the update has no operators"},
		{`db.c.update({a: 1}, {})`, "", "update: the update has no operators"},
		{`db.c.update({a: 1}, {b: 1}, {multi: true})`, "", "update: the update has no operators"},
		{`db.c.explain().update({a: 1}, {b: 1})`, "", "update: the update has no operators"},
		{`db.c.update({a: 1}, [{$set: {b: 1}}])`, `app {"update": "c","updates": [{"q": {"a": {"$numberInt":"1"}},"u": [{"$set": {"b": {"$numberInt":"1"}}}],"multi": false}]}`, ""},
		{`db.c.find().limit(5).count()`, `app {"count": "c","query": {},"limit": {"$numberInt":"5"}}`, ""},
		{`db.c.find().skip(40).limit(2).count()`, `app {"count": "c","query": {},"skip": {"$numberInt":"40"},"limit": {"$numberInt":"2"}}`, ""},
		{`let let = 1`, "", "SyntaxError: let is disallowed as a lexically bound name"},
		{`const noinit`, "", "SyntaxError: Missing initializer in const declaration"},
		{`(() => { const noinit; })()`, "", "SyntaxError: Missing initializer in const declaration"},
		{`for (const x of []) {} for (const x in {}) {} for (let i = 0; i < 0;) {} let y; const z = 1, {a} = {}`, "", ""},
	} {
		f := &fake{}
		got, _, err := eval(t, f, tt.js)
		sent := ""
		if len(got) > 0 {
			sent = got[0]
		}
		if sent != tt.sends || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("%s\n sends %s (%v)\n want  %s (%s)", tt.js, sent, err, tt.sends, tt.err)
		}
	}
}
