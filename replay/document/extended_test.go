package document

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestExtended(t *testing.T) {
	oid, err := bson.ObjectIDFromHex("64b0c0f10000000000000004")
	if err != nil {
		t.Fatal(err)
	}
	dec, err := bson.ParseDecimal128("-12.340")
	if err != nil {
		t.Fatal(err)
	}
	for want, v := range map[string]any{
		`1.5`:                                  1.5,
		`3.0`:                                  3.0,
		`1e+300`:                               1e300,
		`"a\u202e\u001bé"`:                     "a\u202e\x1bé",
		`{"a": [1, null, {"b": true}]}`:        bson.D{{Key: "a", Value: bson.A{int32(1), nil, bson.D{{Key: "b", Value: true}}}}},
		`{"$oid": "64b0c0f10000000000000004"}`: oid,
		`{"$numberLong": "9007199254740993"}`:  int64(9007199254740993),
		`{"$numberDecimal": "-12.340"}`:        dec,
		`{"$date": "2026-11-20T18:00:00Z"}`:    bson.DateTime(1795197600000),
		`{"$date": {"$numberLong": "-1"}}`:     bson.DateTime(-1),
		`{"$binary": {"base64": "AQI=", "subType": "00"}}`:          bson.Binary{Data: []byte{1, 2}},
		`{"$regularExpression": {"pattern": "^a", "options": "i"}}`: bson.Regex{Pattern: "^a", Options: "i"},
		`{"$timestamp": {"t": 5, "i": 6}}`:                          bson.Timestamp{T: 5, I: 6},
		`{"$code": "f()"}`:                                          bson.JavaScript("f()"),
		`{"$code": "f()", "$scope": {"x": 1}}`:                      bson.CodeWithScope{Code: "f()", Scope: bson.D{{Key: "x", Value: int32(1)}}},
		`{"$symbol": "s"}`:                                          bson.Symbol("s"),
		`{"$undefined": true}`:                                      bson.Undefined{},
		`{"$minKey": 1}`:                                            bson.MinKey{},
		`{"$maxKey": 1}`:                                            bson.MaxKey{},
		`{"$dbPointer": {"$ref": "c", "$id": {"$oid": "64b0c0f10000000000000004"}}}`: bson.DBPointer{DB: "c", Pointer: oid},
	} {
		b, err := bson.Marshal(bson.D{{Key: "v", Value: v}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Extended(b)
		if err != nil || string(got) != `{"v": `+want+`}` {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
		// The driver reads the same from it.
		var back bson.D
		if err := bson.UnmarshalExtJSON(got, false, &back); err != nil {
			t.Errorf("%s: %v", got, err)
		}
		for i := range b {
			if got, err := Extended(b[:i]); err == nil {
				t.Errorf("%d of %d bytes are %s", i, len(b), got)
			}
		}
	}
	deep := bson.D{}
	for range MaxDepth + 1 {
		deep = bson.D{{Key: "d", Value: deep}}
	}
	b, err := bson.Marshal(deep)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Extended(b); err == nil {
		t.Error("it reads without bound")
	}
}

func FuzzExtended(f *testing.F) {
	for _, s := range []string{"0500000000", "0c0000001061000100000000", "10000000047800080000000a30000000", "16000000137600" + strings.Repeat("ff", 16) + "00"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := Extended(doc)
		if err != nil {
			return
		}
		if !json.Valid(got) {
			t.Errorf("%x is %q, which is no JSON", doc, got)
		}
	})
}
