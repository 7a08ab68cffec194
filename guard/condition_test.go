package guard_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard/plan"
)

// alike are values that servers take as equal and that are not the same bytes, in groups.
func alike(t *testing.T, decimals bool) [][]any {
	t.Helper()
	out := [][]any{{int32(1), int64(1), 1.0}, {int32(0), int64(0), 0.0}, {int32(-7), int64(-7), -7.0}}
	if !decimals { // FerretDB stores neither -0.0 nor Decimal128
		return out
	}
	out[1] = append(out[1], math.Copysign(0, -1))
	var tenths []any
	for _, s := range []string{"1.1", "1.10", "11E-1", "1.100"} {
		d, err := bson.ParseDecimal128(s)
		if err != nil {
			t.Fatal(err)
		}
		tenths = append(tenths, d)
	}
	one, err := bson.ParseDecimal128("1.00")
	if err != nil {
		t.Fatal(err)
	}
	out[0] = append(out[0], one)
	return append(out, tenths)
}

// TestTheConditionSeesBytes: the condition that pins a document holds for its own bytes, and for none that a server takes as equal.
func TestTheConditionSeesBytes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *server) {
		groups := alike(t, s.real)
		coll := s.other.Database(s.db).Collection("bytes")
		if s.double != nil {
			c, err := mongo.Connect(options.Client().ApplyURI(s.uri).SetDirect(true).SetRetryReads(false))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Disconnect(t.Context()) })
			coll = c.Database(s.db).Collection("bytes")
		}
		r := rand.New(rand.NewPCG(1, 2))
		held := 0
		for n := range 150 {
			// A document of some shape, and the same with another value of the same group in one place.
			g := groups[r.IntN(len(groups))]
			v, w := g[r.IntN(len(g))], g[r.IntN(len(g))]
			shape := func(v any) bson.D {
				switch n % 5 {
				case 0:
					return bson.D{{Key: "_id", Value: int32(n)}, {Key: "a", Value: v}, {Key: "s", Value: "x"}}
				case 1:
					return bson.D{{Key: "_id", Value: int32(n)}, {Key: "in", Value: bson.D{{Key: "b", Value: bson.D{{Key: "c", Value: v}}}}}}
				case 2:
					return bson.D{{Key: "_id", Value: int32(n)}, {Key: "list", Value: bson.A{"x", v, true, 2.5}}}
				case 3:
					return bson.D{{Key: "_id", Value: int32(n)}, {Key: "items", Value: bson.A{bson.D{{Key: "qty", Value: v}, {Key: "s", Value: "y"}}, bson.D{{Key: "price", Value: 9.5}}, "z"}}}
				}
				return bson.D{{Key: "_id", Value: int32(n)}, {Key: "m", Value: bson.A{bson.D{{Key: "in", Value: bson.D{{Key: "k", Value: v}}}}, bson.D{{Key: "in", Value: "no"}}}}}
			}
			stored, err := bson.Marshal(shape(v))
			if err != nil {
				t.Fatal(err)
			}
			shown, err := bson.Marshal(shape(w))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := coll.InsertOne(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			still, err := plan.StillAs(shown, plan.RoadExpr, nil)
			if err != nil {
				t.Fatal(err)
			}
			filter := append(bson.D{{Key: "_id", Value: int32(n)}}, bson.E{Key: "$expr", Value: still.Lookup("$expr")})
			err = coll.FindOne(t.Context(), filter).Err()
			if err != nil && err != mongo.ErrNoDocuments {
				t.Fatalf("%v with %v: %v", shape(v), filter, err)
			}
			if got, want := err == nil, bytes.Equal(stored, shown); got != want {
				t.Errorf("stored %v, shown %v: the condition holds: %v, want %v", bson.Raw(stored), bson.Raw(shown), got, want)
			}
			if err == nil {
				held++
			}
		}
		if held == 0 || held == 150 {
			t.Errorf("the condition held %d times of 150", held)
		}
	}, "double", "mongod")
}
