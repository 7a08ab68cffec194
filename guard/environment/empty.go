package environment

import (
	"context"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// own are the collections that MongoDB itself keeps in its databases, and this program in its own. What ends with * is a beginning of names. What is not
// here was made by somebody, also where it has a name that later versions of MongoDB give their own: then a question is asked too many.
// Sources: https://www.mongodb.com/docs/manual/reference/system-collections/, https://www.mongodb.com/docs/manual/reference/config-database/,
// https://www.mongodb.com/docs/manual/reference/local-database/, and the names in src/mongo/db/namespace_string_reserved.def.h of its source.
var own = map[string][]string{
	"admin": {"system.users", "system.roles", "system.version", "system.keys", "system.new_users", "system.backup_users", "system.indexes", "system.namespaces"},
	"config": {
		"system.sessions", "system.preimages", "system.indexBuilds", "system.change_collection", "system.sharding_ddl_coordinators", "system.indexes", "system.namespaces",
		"transactions", "image_collection", "transaction_coordinators", "external_validation_keys", "clusterParameters", "vectorClock", "version", "settings",
		"databases", "collections", "chunks", "shards", "mongos", "tags", "changelog", "actionlog", "lockpings", "locks", "migrations", "placementHistory",
		"rangeDeletions", "rangeDeletionsForRename", "migrationCoordinators", "migrationRecipients", "reshardingOperations", "localReshardingOperations.*", "cache.*",
		"tenantMigrationDonors", "tenantMigrationRecipients", "shardSplitDonors", "csrs.indexes", "shard.indexes", "shard.collections", "shard.databases",
		"sampledQueries", "sampledQueriesDiff", "analyzeShardKeySplitPoints", "queryAnalyzers", "queryShapeRepresentativeQueries",
	},
	"local": {
		"startup_log", "oplog.rs", "oplog.$main", "me", "slaves", "sources", "clustermanager", "replset.election", "replset.minvalid", "replset.initialSyncId",
		"replset.oplogTruncateAfterPoint", "system.replset", "system.rollback.id", "system.healthlog", "system.indexBuilds", "system.indexes", "system.namespaces",
		"system.tenantMigration.oplogView",
	},
	"respect": {"environment"},
}

// Empty says whether a server was seen to hold no user data: no databases but MongoDB's own and ours, and in those no collections but MongoDB's own and
// ours. What the user may not see is not seen to be empty.
func Empty(ctx context.Context, r Reader) (bool, error) {
	// authorizedDatabases and authorizedCollections would leave out, without a word, what the user may not see.
	reply, err := optional(ctx, r, "admin", bson.D{{Key: "listDatabases", Value: int32(1)}, {Key: "nameOnly", Value: true}, {Key: "authorizedDatabases", Value: false}})
	if err != nil {
		return false, err
	}
	list, ok := reply.Lookup("databases").ArrayOK()
	if !ok {
		return false, nil
	}
	values, err := list.Values()
	if err != nil {
		return false, err
	}
	for _, v := range values {
		doc, _ := v.DocumentOK()
		db := text(doc, "name")
		if _, known := own[db]; !known {
			return false, nil
		}
		if empty, err := onlyOwn(ctx, r, db); !empty || err != nil {
			return false, err
		}
	}
	return true, nil
}

// onlyOwn says whether one of MongoDB's own databases, or ours, was seen to hold nothing else.
func onlyOwn(ctx context.Context, r Reader, db string) (bool, error) {
	reply, err := optional(ctx, r, db, bson.D{
		{Key: "listCollections", Value: int32(1)}, {Key: "nameOnly", Value: true}, {Key: "authorizedCollections", Value: false},
		{Key: "cursor", Value: bson.D{{Key: "batchSize", Value: int32(1000)}}}, // a server without data has fewer
	})
	if err != nil {
		return false, err
	}
	list, ok := reply.Lookup("cursor", "firstBatch").ArrayOK()
	if id, _ := reply.Lookup("cursor", "id").AsInt64OK(); !ok || id != 0 {
		return false, nil
	}
	values, err := list.Values()
	if err != nil {
		return false, err
	}
	for _, v := range values {
		doc, _ := v.DocumentOK()
		if !isOwn(db, text(doc, "name")) {
			return false, nil
		}
	}
	return true, nil
}

func isOwn(db, name string) bool {
	for _, o := range own[db] {
		if begin, ok := strings.CutSuffix(o, "*"); o == name || ok && strings.HasPrefix(name, begin) && len(name) > len(begin) {
			return true
		}
	}
	return false
}
