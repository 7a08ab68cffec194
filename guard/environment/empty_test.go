package environment

import (
	"context"
	"errors"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

var errRefused = errors.New("not authorized")

// catalogue is a server with some collections. A database that is nil may not be looked at.
type catalogue struct {
	t   *testing.T
	dbs map[string][]string
	// lists is false if databases may not be listed.
	lists bool
}

func (c catalogue) Answered(err error) bool { return errors.Is(err, errRefused) }

func (c catalogue) Read(_ context.Context, db string, cmd bson.Raw) (bson.Raw, error) {
	all := bson.A{}
	if cmd.Lookup("listDatabases").Type != 0 {
		// A server that is not asked for all leaves out what the user may not see.
		if yes, ok := cmd.Lookup("authorizedDatabases").BooleanOK(); !ok || yes || !c.lists {
			return nil, errRefused
		}
		for name := range c.dbs {
			all = append(all, bson.D{{Key: "name", Value: name}})
		}
		return rawOf(c.t, bson.D{{Key: "databases", Value: all}}), nil
	}
	names := c.dbs[db]
	if yes, ok := cmd.Lookup("authorizedCollections").BooleanOK(); !ok || yes || names == nil {
		return nil, errRefused
	}
	for _, n := range names {
		all = append(all, bson.D{{Key: "name", Value: n}})
	}
	return rawOf(c.t, bson.D{{Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "firstBatch", Value: all}}}}), nil
}

func TestEmpty(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    catalogue
		want bool
	}{
		{"nothing", catalogue{lists: true}, true},
		{"a new mongod", catalogue{lists: true, dbs: map[string][]string{"admin": {"system.version"}, "config": {}, "local": {"startup_log"}}}, true},
		{"a new set with a user and a marker", catalogue{lists: true, dbs: map[string][]string{
			"admin": {"system.version", "system.users", "system.keys"}, "config": {"system.sessions", "transactions", "image_collection", "system.preimages"},
			"local":   {"startup_log", "oplog.rs", "replset.election", "replset.minvalid", "replset.initialSyncId", "replset.oplogTruncateAfterPoint", "system.replset", "system.rollback.id"},
			"respect": {"environment"},
		}}, true},
		{"a shard", catalogue{lists: true, dbs: map[string][]string{"config": {"cache.collections", "cache.chunks.config.system.sessions", "localReshardingOperations.donor", "rangeDeletions"}}}, true},
		{"another database", catalogue{lists: true, dbs: map[string][]string{"admin": {}, "famigo": {}}}, false},
		{"a database with a name like that of another", catalogue{lists: true, dbs: map[string][]string{"Admin": {}}}, false},
		{"documents in admin", catalogue{lists: true, dbs: map[string][]string{"admin": {"system.version", "families"}}}, false},
		{"a collection in config", catalogue{lists: true, dbs: map[string][]string{"config": {"transactions", "families"}}}, false},
		{"a collection in local", catalogue{lists: true, dbs: map[string][]string{"local": {"startup_log", "families"}}}, false},
		{"a collection in respect", catalogue{lists: true, dbs: map[string][]string{"respect": {"environment", "families"}}}, false},
		{"stored functions", catalogue{lists: true, dbs: map[string][]string{"admin": {"system.js"}}}, false},
		{"a time series", catalogue{lists: true, dbs: map[string][]string{"admin": {"system.buckets.weather"}}}, false},
		{"MongoDB's names, elsewhere", catalogue{lists: true, dbs: map[string][]string{"admin": {"startup_log"}}}, false},
		{"the beginning of MongoDB's names", catalogue{lists: true, dbs: map[string][]string{"config": {"cache."}}}, false},
		{"MongoDB's names in other letters", catalogue{lists: true, dbs: map[string][]string{"admin": {"system.Version"}}}, false},
		{"databases may not be listed", catalogue{}, false},
		{"a database may not be looked at", catalogue{lists: true, dbs: map[string][]string{"admin": nil}}, false},
	} {
		tt.c.t = t
		if got, err := Empty(t.Context(), tt.c); got != tt.want || err != nil {
			t.Errorf("%s: Empty = %v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}
