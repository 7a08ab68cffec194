package update

import (
	"fmt"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// sample is a document of 20 fields and about one kilobyte, as applications have them.
func sample(b testing.TB) bson.Raw {
	b.Helper()
	doc := bson.D{{Key: "_id", Value: bson.ObjectID{1}}}
	for i := range 14 {
		doc = append(doc, bson.E{Key: fmt.Sprintf("field%02d", i), Value: strings.Repeat("x", 40)})
	}
	doc = append(doc,
		bson.E{Key: "count", Value: int32(7)},
		bson.E{Key: "address", Value: bson.D{{Key: "city", Value: "Bern"}, {Key: "zip", Value: "3011"}}},
		bson.E{Key: "tags", Value: bson.A{"a", "b", "c", "d"}},
		bson.E{Key: "items", Value: bson.A{bson.D{{Key: "k", Value: 1}, {Key: "n", Value: 2}}, bson.D{{Key: "k", Value: 2}, {Key: "n", Value: 3}}}},
		bson.E{Key: "active", Value: true},
	)
	raw, err := bson.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func marshal(b testing.TB, d any) bson.Raw {
	b.Helper()
	raw, err := bson.Marshal(d)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func BenchmarkApply(b *testing.B) {
	doc := sample(b)
	for _, bm := range []struct {
		name    string
		update  bson.D
		filters []bson.D
	}{
		{"set", bson.D{{Key: "$set", Value: bson.D{{Key: "field07", Value: "new"}}}}, nil},
		{"set new", bson.D{{Key: "$set", Value: bson.D{{Key: "brandnew", Value: "new"}}}}, nil},
		{"set nested", bson.D{{Key: "$set", Value: bson.D{{Key: "address.city", Value: "Basel"}}}}, nil},
		{"no change", bson.D{{Key: "$set", Value: bson.D{{Key: "count", Value: int32(7)}}}}, nil},
		{"inc", bson.D{{Key: "$inc", Value: bson.D{{Key: "count", Value: int32(1)}}}}, nil},
		{"unset", bson.D{{Key: "$unset", Value: bson.D{{Key: "field03", Value: ""}}}}, nil},
		{"push", bson.D{{Key: "$push", Value: bson.D{{Key: "tags", Value: "e"}}}}, nil},
		{"addToSet", bson.D{{Key: "$addToSet", Value: bson.D{{Key: "tags", Value: "e"}}}}, nil},
		{"pull", bson.D{{Key: "$pull", Value: bson.D{{Key: "items", Value: bson.D{{Key: "k", Value: 2}}}}}}, nil},
		{"arrayFilters", bson.D{{Key: "$set", Value: bson.D{{Key: "items.$[i].n", Value: 9}}}}, []bson.D{{{Key: "i.k", Value: 2}}}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			var opts Options
			for _, f := range bm.filters {
				opts.ArrayFilters = append(opts.ArrayFilters, marshal(b, f))
			}
			p, err := Parse(marshal(b, bm.update), opts)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(doc)))
			for b.Loop() {
				if _, err := p.Apply(doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("replace", func(b *testing.B) {
		with := marshal(b, bson.D{{Key: "a", Value: 1}, {Key: "b", Value: "two"}})
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Replace(doc, with); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	doc := sample(b)
	filter := marshal(b, bson.D{{Key: "count", Value: bson.D{{Key: "$gte", Value: 5}}}, {Key: "items.k", Value: 2}, {Key: "active", Value: true}})
	b.ReportAllocs()
	for b.Loop() {
		if Match(filter, doc) != Yes {
			b.Fatal("no match")
		}
	}
}
