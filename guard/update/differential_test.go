package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard/embedded/embeddedtest"
)

// The same updates, foreseen here and done by a server: the sample of cases, the rows of the tables, and updates made up at random.

// statement is one update of a collection that holds one document, or none.
type statement struct {
	name                   string
	filter, update, before bson.Raw // before is nil for an empty collection
	arrayFilters           []bson.Raw
	upsert                 bool
}

// disagreement is what a server is known to answer differently.
type disagreement struct {
	why  string
	when func(s statement, o outcome) bool
}

// mentions says whether a statement has one of these names, or a value of one of these types, anywhere.
func mentions(s statement, names []string, types ...bson.Type) bool {
	docs := append([]bson.Raw{s.filter, s.update, s.before}, s.arrayFilters...)
	return slices.ContainsFunc(docs, func(d bson.Raw) bool { return within(d, names, types) })
}

func within(doc []byte, names []string, types []bson.Type) bool {
	e := scan(doc)
	for e.more() {
		for _, part := range strings.Split(string(e.key), ".") {
			if slices.Contains(names, part) {
				return true
			}
		}
		if slices.Contains(types, e.t) {
			return true
		}
		if (e.t == bson.TypeEmbeddedDocument || e.t == bson.TypeArray) && within(e.val, names, types) {
			return true
		}
	}
	return false
}

// deep says whether something holds of a value anywhere in a statement.
func deep(s statement, holds func(value) bool) bool {
	var look func(doc []byte) bool
	look = func(doc []byte) bool {
		e := scan(doc)
		for e.more() {
			v := e.value()
			if holds(v) || (v.is(bson.TypeEmbeddedDocument) || v.is(bson.TypeArray)) && look(v.b) {
				return true
			}
		}
		return false
	}
	return look(s.filter) || look(s.update) || s.before != nil && look(s.before)
}

// onEmbedded is what FerretDB v1.24 does not do as MongoDB does. Statements of the first kind are not even sent: they cost the connection.
var onEmbedded = struct{ never, known []disagreement }{
	never: []disagreement{
		{"a type that costs the connection", func(s statement, _ outcome) bool {
			return mentions(s, nil, bson.TypeDecimal128, bson.TypeMinKey, bson.TypeMaxKey, bson.TypeJavaScript, bson.TypeCodeWithScope, bson.TypeSymbol, bson.TypeUndefined, bson.TypeDBPointer)
		}},
		{"a million elements", func(s statement, _ outcome) bool {
			return deepName(s.update, func(part string) bool { return len(part) > 6 && part[0] == '1' })
		}},
		{"NaN, infinities and -0", func(s statement, _ outcome) bool {
			return deep(s, func(v value) bool {
				f, ok := v.real()
				return v.is(bson.TypeDouble) && ok && (f != f || f-f != 0 || f == 0 && v.b[7] != 0)
			})
		}},
	},
	known: []disagreement{
		{"arrayFilters, $[], $[identifier], $", func(s statement, _ outcome) bool {
			return len(s.arrayFilters) > 0 || deepName(s.update, func(part string) bool { return strings.HasPrefix(part, "$[") || part == "$" })
		}},
		{"modifiers of $push", func(s statement, _ outcome) bool { return mentions(s, []string{"$position", "$slice", "$sort"}) }},
		{"$pull with a condition", func(s statement, _ outcome) bool { return mentions(s, []string{"$pull"}) }},
		{"$unset takes elements out of arrays", func(s statement, _ outcome) bool { return mentions(s, []string{"$unset"}) }},
		{"$each: empty, with arrays, beside other names", func(s statement, _ outcome) bool { return mentions(s, []string{"$each"}) }},
		{"arrays in arrays, names with dots and dollars", func(_ statement, o outcome) bool {
			return strings.Contains(o.err, "nested arrays are not supported") || strings.Contains(o.err, "invalid key")
		}},
		{"the order of names with numbers, and of paths", func(_ statement, o outcome) bool {
			return o.after != nil && bytes.Equal(sorted(o.foreseen), sorted(o.after)) && len(o.foreseen) > 0 && !bytes.Equal(o.foreseen, o.after)
		}},
		{"counts a document as modified that is not", func(s statement, o outcome) bool { return bytes.Equal(s.before, o.after) && o.modified == 1 }},
		{"-0", func(_ statement, o outcome) bool {
			return deep(statement{update: o.foreseen, filter: o.foreseen}, func(v value) bool { return v.is(bson.TypeDouble) && v.double() == 0 && v.b[7] != 0 })
		}},
		{"$inc makes no long of an int", func(s statement, o outcome) bool {
			return mentions(s, []string{"$inc"}) && deep(statement{update: o.foreseen, filter: o.foreseen}, func(v value) bool {
				n, ok := v.integer()
				return ok && v.is(bson.TypeInt64) && n != int64(int32(n))
			})
		}},
		{"$currentDate with a dotted path", func(s statement, _ outcome) bool { return mentions(s, []string{"$currentDate"}) }},
		{"upserts by a filter with operators", func(s statement, _ outcome) bool {
			return s.before == nil && deepName(s.filter, func(n string) bool { return n[:min(1, len(n))] == "$" })
		}},
		{"upserts by a filter with a regular expression or operators cost the connection", func(s statement, _ outcome) bool {
			return s.before == nil && mentions(statement{filter: s.filter}, nil, bson.TypeRegex)
		}},
		{"what is in _id", func(s statement, _ outcome) bool { return mentions(statement{filter: s.update}, []string{"_id"}) }},
		{"$rename through arrays, over conflicts, and out of order", func(s statement, _ outcome) bool { return mentions(s, []string{"$rename"}) }},
	},
}

// sorted is a document with its fields in the order of their names, at every depth.
func sorted(doc []byte) []byte {
	var fields [][]byte
	s := scan(doc)
	for s.more() {
		v := s.val
		if s.t == bson.TypeEmbeddedDocument {
			v = sorted(v)
		}
		fields = append(fields, slices.Concat([]byte{byte(s.t)}, s.key, []byte{0}, v))
	}
	slices.SortFunc(fields, bytes.Compare)
	return bytes.Join(fields, nil)
}

func deepName(doc []byte, holds func(part string) bool) bool {
	e := scan(doc)
	for e.more() {
		if slices.ContainsFunc(strings.Split(string(e.key), "."), holds) || e.t == bson.TypeEmbeddedDocument && deepName(e.val, holds) {
			return true
		}
	}
	return false
}

// onMongoDB is what a real server is known, from its source, to answer differently than the cases in testdata, which no real server was asked.
var onMongoDB = []disagreement{
	{"an _id that becomes an equal number of another type is refused", func(s statement, _ outcome) bool { return s.name == "_id-0003" }},
}

func statements(t *testing.T) (out []statement) {
	for _, c := range cases(t) {
		if c.pipeline() || c.Multi {
			continue
		}
		s := statement{name: c.ID, filter: parseJSON(t, c.Filter), update: parseJSON(t, c.Update), arrayFilters: c.options(t).ArrayFilters, upsert: c.Upsert}
		if !c.empty() {
			s.before = parseJSON(t, c.Before)
		}
		out = append(out, s)
	}
	for i, r := range slices.Concat(rows, driverRows) {
		s := statement{name: fmt.Sprintf("row %d", i), filter: relaxed(t, `{}`), update: relaxed(t, r.update), before: relaxed(t, r.before)}
		if r.filter != "" {
			s.filter = relaxed(t, r.filter)
		}
		for _, f := range r.arrayFilters {
			s.arrayFilters = append(s.arrayFilters, relaxed(t, f))
		}
		out = append(out, s)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 600 {
		g := generator{rng}
		out = append(out, statement{name: fmt.Sprintf("random %d", i), filter: marshal(t, g.filter()), update: marshal(t, g.update()), before: marshal(t, g.document())})
	}
	return out
}

// foresee is what this package says of a statement; matched is false if the filter selects nothing.
func (s statement) foresee() (img Image, matched bool, err error) {
	opts := Options{Filter: s.filter, ArrayFilters: s.arrayFilters}
	name, _ := first(s.update)
	replacement := !strings.HasPrefix(name, "$")
	m := No
	if s.before != nil {
		m = Match(s.filter, s.before)
	}
	switch {
	case m == Undecidable:
		return img, false, ErrNotPredictable
	case m == No && !s.upsert:
		if !replacement {
			_, err = Parse(s.update, opts)
		}
		return Image{After: s.before, Modified: No}, false, err
	case m == No:
		img, err = ForeseeUpsert(s.filter, s.update, replacement, opts, nil)
		return img, false, err
	case replacement:
		img, err = ForeseeReplace(s.before, s.update)
		return img, true, err
	}
	p, err := Parse(s.update, opts)
	if err != nil {
		return img, true, err
	}
	img, err = p.Foresee(s.before)
	return img, true, err
}

// outcome is what a server did, beside what was foreseen.
type outcome struct {
	foreseen bson.Raw
	after    bson.Raw
	modified int64
	err      string
}

var errNotStored = errors.New("not stored")

func (s statement) run(ctx context.Context, coll *mongo.Collection) (o outcome, err error) {
	if _, err := coll.DeleteMany(ctx, bson.D{}); err != nil {
		return o, err
	}
	if s.before != nil {
		if _, err := coll.InsertOne(ctx, s.before); err != nil {
			return o, fmt.Errorf("%w: %v", errNotStored, err)
		}
	}
	one := bson.D{{Key: "q", Value: s.filter}, {Key: "u", Value: s.update}, {Key: "upsert", Value: s.upsert}}
	if len(s.arrayFilters) > 0 {
		one = append(one, bson.E{Key: "arrayFilters", Value: s.arrayFilters})
	}
	reply, err := coll.Database().RunCommand(ctx, bson.D{{Key: "update", Value: coll.Name()}, {Key: "updates", Value: bson.A{one}}}).Raw()
	var refused mongo.CommandError
	var failed mongo.WriteException
	switch {
	case errors.As(err, &refused):
		o.err = refused.Message
	case errors.As(err, &failed):
		o.err = failed.Error()
	case err != nil:
		return o, err
	default:
		o.modified, _ = reply.Lookup("nModified").AsInt64OK()
		if list, ok := reply.Lookup("writeErrors").ArrayOK(); ok {
			o.err = list.String()
		}
	}
	o.after, err = coll.FindOne(ctx, bson.D{}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = nil
	}
	return o, err
}

// differs says how an outcome differs from what was foreseen; "" if it does not.
func differs(s statement, img Image, matched bool, foreseen error, o outcome) string {
	switch {
	case foreseen != nil && o.err == "":
		return fmt.Sprintf("foreseen the error %v, done %s", foreseen, o.after)
	case foreseen != nil:
		return ""
	case o.err != "":
		return fmt.Sprintf("foreseen %s, refused: %s", img.After, o.err)
	case o.after == nil && img.After == nil:
		return ""
	case o.after == nil || !sameBut(img, o.after):
		return fmt.Sprintf("foreseen %s but %v, done %s", img.After, img.Unknown, o.after)
	case matched && img.Modified != Undecidable && (img.Modified == Yes) != (o.modified == 1):
		return fmt.Sprintf("foreseen modified %v, done nModified %d", img.Modified, o.modified)
	}
	return ""
}

// compareWith compares every nth statement.
func compareWith(t *testing.T, client *mongo.Client, nth int, never, known []disagreement) {
	var mu sync.Mutex
	agreed, open, reasons := 0, 0, map[string]int{}
	reason := func(list []disagreement, s statement, o outcome) string {
		for _, d := range list {
			if d.when(s, o) {
				return d.why
			}
		}
		return ""
	}
	one := func(coll *mongo.Collection, s statement) {
		if why := reason(never, s, outcome{}); why != "" {
			mu.Lock()
			defer mu.Unlock()
			reasons["not sent: "+why]++
			return
		}
		img, matched, foreseen := s.foresee()
		o, err := outcome{}, error(nil)
		if !errors.Is(foreseen, ErrNotPredictable) {
			o, err = s.run(t.Context(), coll)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case errors.Is(foreseen, ErrNotPredictable):
			open++
		case errors.Is(err, errNotStored):
			reasons["a document that the server does not store"]++
		case err != nil:
			t.Errorf("%s: %v", s.name, err)
		default:
			o.foreseen = img.After
			how := differs(s, img, matched, foreseen, o)
			why := reason(known, s, o)
			switch {
			case how == "":
				agreed++
			case why != "":
				reasons[why]++
			default:
				t.Errorf("%s: %s on %s (filter %s):\n%s", s.name, s.update, s.before, s.filter, how)
			}
		}
	}
	work := make(chan statement)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			coll := client.Database("updates").Collection(fmt.Sprintf("c%d", i))
			for s := range work {
				one(coll, s)
			}
		})
	}
	var all []statement
	for i, s := range statements(t) {
		if i%nth == 0 {
			all = append(all, s)
			work <- s
		}
	}
	close(work)
	wg.Wait()
	t.Logf("%d statements: %d agree, %d not predictable", len(all), agreed, open)
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%d × %s", reasons[why], why)
	}
	if agreed < len(all)/3 {
		t.Errorf("only %d of %d statements were compared", agreed, len(all))
	}
}

// The embedded server is slow, and stands in for a real one: half of the statements have to do.
func TestEmbeddedServer(t *testing.T) {
	s := embeddedtest.Start(t, "development")
	compareWith(t, s.Client(t), 2, onEmbedded.never, onEmbedded.known)
}

func TestMongoDB(t *testing.T) {
	uri := os.Getenv("RESPECT_TEST_MONGODB")
	if uri == "" {
		t.Skip("SKIPPED, and not compared with a real MongoDB: RESPECT_TEST_MONGODB names no server")
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	compareWith(t, client, 1, nil, onMongoDB)
}

// generator makes up small documents and updates whose names and values meet.
type generator struct{ *rand.Rand }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

func (g generator) scalar() any {
	return pick[any](g, int32(0), int32(1), int32(2), int32(7), int64(1), int64(5_000_000_000), 0.5, 1.0, 2.5, "", "a", "b", true, false, nil,
		bson.ObjectID{1}, bson.DateTime(0), bson.DateTime(1577934245000))
}

func (g generator) value(depth int) any {
	switch n := g.IntN(10); {
	case n < 2 && depth > 0:
		d := bson.D{}
		for _, k := range []string{"x", "y", "z"} {
			if g.IntN(2) == 0 {
				d = append(d, bson.E{Key: k, Value: g.value(depth - 1)})
			}
		}
		return d
	case n < 4 && depth > 0:
		a := bson.A{}
		for range g.IntN(4) {
			a = append(a, g.value(depth-1))
		}
		return a
	}
	return g.scalar()
}

func (g generator) document() bson.D {
	d := bson.D{{Key: "_id", Value: int32(1)}}
	for _, k := range []string{"c", "a", "d", "b"} {
		if g.IntN(4) > 0 {
			d = append(d, bson.E{Key: k, Value: g.value(2)})
		}
	}
	return d
}

func (g generator) path() string {
	p := pick(g, "a", "b", "c", "d", "e")
	for g.IntN(3) == 0 {
		p += "." + pick(g, "x", "y", "0", "1", "3")
	}
	return p
}

func (g generator) filter() bson.D {
	if g.IntN(3) > 0 {
		return bson.D{{Key: "_id", Value: int32(1)}}
	}
	v := any(g.value(1))
	switch g.IntN(4) {
	case 0:
		v = bson.D{{Key: pick(g, "$gt", "$gte", "$lt", "$lte", "$ne"), Value: g.scalar()}}
	case 1:
		v = bson.D{{Key: pick(g, "$in", "$nin"), Value: bson.A{g.scalar(), g.scalar()}}}
	}
	return bson.D{{Key: g.path(), Value: v}}
}

func (g generator) update() bson.D {
	u := bson.D{}
	for range 1 + g.IntN(3) {
		op := pick(g, "$set", "$set", "$unset", "$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$pop", "$pull", "$pullAll", "$bit", "$rename", "$setOnInsert")
		if slices.ContainsFunc(u, func(e bson.E) bool { return e.Key == op }) {
			continue
		}
		u = append(u, bson.E{Key: op, Value: bson.D{{Key: g.path(), Value: g.argument(op)}}})
	}
	return u
}

func (g generator) argument(op string) any {
	switch op {
	case "$inc", "$mul":
		return pick[any](g, int32(0), int32(1), int32(-3), int64(2), 0.5, 2.0, int32(2147483647))
	case "$pop":
		return pick[any](g, int32(1), int32(-1))
	case "$pullAll":
		return bson.A{g.value(1), g.value(0)}
	case "$bit":
		return bson.D{{Key: pick(g, "and", "or", "xor"), Value: pick[any](g, int32(5), int64(6))}}
	case "$rename":
		return g.path()
	case "$push", "$addToSet":
		if g.IntN(3) == 0 {
			return bson.D{{Key: "$each", Value: bson.A{g.value(1), g.value(0)}}}
		}
	case "$pull":
		if g.IntN(3) == 0 {
			return bson.D{{Key: pick(g, "$gt", "$lte", "$ne"), Value: g.scalar()}}
		}
	}
	return g.value(2)
}

// Updates made up at random obey the laws.
func TestLaws(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	known := 0
	for range 20_000 {
		g := generator{rng}
		before, u, filter := marshal(t, g.document()), marshal(t, g.update()), marshal(t, g.filter())
		p, err := Parse(u, Options{Filter: filter})
		if err != nil {
			continue
		}
		keep := bytes.Clone(before)
		img, err := p.Foresee(before)
		if !bytes.Equal(keep, before) {
			t.Fatal("Foresee changed the document it was given")
		}
		if err != nil {
			continue
		}
		known++
		if !valid(img.After) {
			t.Fatalf("%s on %s: %x is not BSON", u, before, []byte(img.After))
		}
		count(t, before, img)
		untouched(t, p, before, img.After)
		undone(t, before, img)
		twice(t, u, before, img)
	}
	if known < 5000 {
		t.Errorf("only %d updates were foreseen", known)
	}
}
