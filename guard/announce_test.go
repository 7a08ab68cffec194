package guard_test

import (
	"strings"
	"testing"

	"respect/guard/internal/wiretest"
)

// A read of a whole large collection is announced on production before it is sent. What an index serves, what is small, and what nobody reads is not, and the
// server is asked about a collection once in a while only.
func TestScansAreAnnounced(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		documents   int
		absent      bool
		development bool
		cmds        []string
		want        int
	}{
		{"find", 150_000, false, false, []string{`{"find": "big", "filter": {"n": 5}}`}, 1},
		{"count, distinct, aggregate", 150_000, false, false, []string{`{"count": "big", "query": {"n": 5}}`, `{"distinct": "big", "key": "n", "query": {"n": 5}}`, `{"aggregate": "big", "pipeline": [{"$match": {"n": 5}}, {"$count": "n"}], "cursor": {}}`}, 3},
		{"by _id", 150_000, false, false, []string{`{"find": "big", "filter": {"_id": 5}}`, `{"count": "big", "query": {"_id": {"$in": [1, 2]}}}`}, 0},
		{"everything", 150_000, false, false, []string{`{"find": "big"}`, `{"find": "big", "filter": {}}`, `{"count": "big"}`}, 0},
		{"small", 99_999, false, false, []string{`{"find": "big", "filter": {"n": 5}}`}, 0},
		{"nobody is there", 150_000, true, false, []string{`{"find": "big", "filter": {"n": 5}}`}, 0},
		{"development", 150_000, false, true, []string{`{"find": "big", "filter": {"n": 5}}`}, 0},
	} {
		cfg := wiretest.BulkConfig{Documents: tt.documents}
		if tt.development {
			cfg.Marker = doc(t, `{"_id": "environment", "value": "development", "deployment": "any", "by": "test", "at": {"$date": "2026-11-01T00:00:00Z"}}`)
		}
		bulk := wiretest.NewBulk(t, cfg)
		b := (&server{uri: bulk.URI(), db: "app"}).bench(t)
		b.op.absent = tt.absent
		for _, cmd := range tt.cmds {
			_, _, _ = b.run(cmd) // this server does not know most of them; that they are announced is what matters
		}
		if len(b.op.notices) != tt.want {
			t.Errorf("%s: %q, want %d", tt.name, b.op.notices, tt.want)
		}
		for _, n := range b.op.notices {
			if !strings.Contains(n, "app.big begins with a field of this filter: the server reads all 150,000 documents") {
				t.Errorf("%s: %q", tt.name, n)
			}
		}
		if asked := bulk.Served()["listIndexes"]; asked > 1 {
			t.Errorf("%s: the indexes were asked for %d times", tt.name, asked)
		}
	}
}
