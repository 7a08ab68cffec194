package command

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// row is what is known of one command before its arguments are looked at.
type row struct {
	names   string // canonical first, then aliases, as the server's registry has them
	class   Class
	options string // the fields it may have besides the first and the generic ones; "*" means any
	rule    rule   // looks at the arguments; nil: the class stands, the target of what is no read is the database
	why     string
}

// generic are fields that any command may have.
// Source: https://www.mongodb.com/docs/manual/reference/command/ (each page), idl/generic_argument.idl.
const generic = "comment maxTimeMS readConcern writeConcern readOnce"

// internalFields are set by drivers and by servers to each other. A user who sets one could make the command run elsewhere,
// in another session, or as part of a transaction.
var internalFields = set("lsid txnNumber txnRetryCounter autocommit startTransaction coordinator stmtId stmtIds " +
	"shardVersion databaseVersion isTimeseriesNamespace collectionUUID encryptionInformation rawData " +
	"mayBypassWriteBlocking fromMongos fromRouter needsMerge exchange originalQuery originalCollation runtimeConstants legacyRuntimeConstants " +
	"isClusterQueryWithoutShardKeyCmd allowImplicitCollectionCreation startOrContinueTransaction maxTimeMSOpOnly tracking_info " +
	"clientOperationKey versionContext sampleId tenantId expectPrefix use44SortKeys useNewUpsert temp isMapReduceCommand " +
	"bypassEmptyTsReplacement apiVersion apiStrict apiDeprecationErrors help requestResumeToken resumeAfter")

// table has one row a command. A command that is not here is Unknown. Sorted by class, then by name.
//
// Rows of class Read are those whose manual page says what they return and nothing of a change. The rest of what servers
// know, internal commands above all, is left to the rule for absent names.
var table = []row{
	// Reads. https://www.mongodb.com/docs/manual/reference/command/<name>/
	{names: "aggregate", class: DocumentWrite, options: "pipeline explain allowDiskUse cursor bypassDocumentValidation collation hint let", rule: aggregate, why: "the pipeline has a stage that is not known to be a read"},
	{names: "availableQueryOptions", class: Read},
	{names: "balancerCollectionStatus", class: Read, rule: fromNamespace},
	{names: "balancerStatus", class: Read},
	{names: "buildInfo buildinfo", class: Read},
	{names: "checkMetadataConsistency", class: Read, options: "cursor checkIndexes"},
	{names: "checkShardingIndex", class: Read, options: "keyPattern", rule: fromNamespace},
	{names: "collStats collstats", class: Read, options: "scale", rule: readCollection},
	{names: "connPoolStats", class: Read},
	{names: "connectionStatus", class: Read, options: "showPrivileges"},
	{names: "count", class: Read, options: "query limit skip hint collation fields", rule: readCollection},
	{names: "currentOp", class: Read, options: "*"}, // fields filter; forbiddenField lets its documented $ fields pass
	{names: "dataSize datasize", class: Read, options: "keyPattern min max estimate", rule: fromNamespace},
	{names: "dbStats dbstats", class: Read, options: "scale freeStorage"},
	{names: "distinct", class: Read, options: "key query collation hint", rule: readCollection},
	{names: "explain", class: Unknown, options: "verbosity", rule: explain, why: "the explained command is not known to be explainable"},
	{names: "filemd5", class: Read, options: "root"},
	{names: "find", class: Read, options: "filter sort projection hint skip limit batchSize singleBatch max min returnKey showRecordId tailable awaitData oplogReplay noCursorTimeout allowPartialResults collation allowDiskUse let", rule: find},
	{names: "geoSearch", class: Read, options: "near search maxDistance limit", rule: readCollection}, // 4.4 only
	{names: "getAuditConfig", class: Read},
	{names: "getClusterParameter", class: Read},
	{names: "getCmdLineOpts", class: Read},
	{names: "getDefaultRWConcern", class: Read, options: "inMemory"},
	{names: "getFreeMonitoringStatus", class: Read},
	{names: "getLog", class: Read},
	{names: "getMore", class: Unknown, options: "collection batchSize", rule: getMore, why: "the cursor is not one that this session opened with a read"},
	{names: "getParameter", class: Read, options: "*"},
	{names: "getShardMap", class: Read},
	{names: "getShardVersion", class: Read, options: "fullMetadata"},
	{names: "hello", class: Read, options: "saslSupportedMechs"},
	{names: "hostInfo", class: Read},
	{names: "isMaster ismaster", class: Read, options: "saslSupportedMechs"},
	{names: "isdbgrid", class: Read},
	{names: "listCollections", class: Read, options: "filter nameOnly authorizedCollections cursor"},
	{names: "listCommands", class: Read},
	{names: "listDatabases", class: Read, options: "filter nameOnly authorizedDatabases"},
	{names: "listIndexes", class: Read, options: "cursor", rule: readCollection},
	{names: "listShards listshards", class: Read},
	{names: "lockInfo", class: Read},
	{names: "mapReduce mapreduce", class: DocumentWrite, options: "map reduce finalize out query sort limit scope jsMode verbose collation bypassDocumentValidation", rule: mapReduce, why: "only out: {inline: 1} is known to be a read"},
	{names: "netstat", class: Read},
	{names: "ping", class: Read},
	{names: "planCacheListFilters", class: Read, rule: readCollection},
	{names: "profile", class: Operations, options: "slowms sampleRate filter", rule: profile, why: "sets the profiling level"},
	{names: "replSetGetConfig", class: Read, options: "commitmentStatus"},
	{names: "replSetGetStatus", class: Read, options: "initialSync"},
	{names: "rolesInfo", class: Read, options: "showPrivileges showBuiltinRoles showAuthenticationRestrictions"},
	{names: "serverStatus", class: Read, options: "*"},
	{names: "shardDrainingStatus", class: Read},
	{names: "shardConnPoolStats", class: Read},
	{names: "shardingState", class: Read},
	{names: "top", class: Read},
	{names: "usersInfo", class: Security, options: "showCredentials showCustomData showPrivileges showAuthenticationRestrictions filter", rule: usersInfo, why: "showCredentials returns password verifiers"},
	{names: "validateDBMetadata", class: Read, options: "db collection apiParameters"},
	{names: "whatsmyuri", class: Read},

	// Our own session and cursors.
	{names: "killCursors", class: Operations, options: "cursors", rule: killCursors, why: "ends a cursor that this session did not open"},
	{names: "refreshSessions", class: Session, options: ""},
	{names: "startSession", class: Session, options: ""},

	// Document writes, which can be taken apart into statements.
	{names: "delete", class: DocumentWrite, options: "deletes ordered let", rule: deleteRule, why: "deletes documents"},
	{names: "findAndModify findandmodify", class: DocumentWrite, options: "query sort remove update new fields upsert bypassDocumentValidation collation arrayFilters hint let", rule: findAndModify, why: "changes or deletes a document"},
	{names: "insert", class: DocumentWrite, options: "documents ordered bypassDocumentValidation", rule: insert, why: "inserts documents"},
	{names: "update", class: DocumentWrite, options: "updates ordered bypassDocumentValidation let", rule: update, why: "changes documents"},
	{names: "bulkWrite", class: DocumentWrite, options: "ops nsInfo ordered bypassDocumentValidation errorsOnly cursor let", rule: bulkWrite, why: "changes documents in many namespaces"},

	// Schema.
	{names: "cloneCollectionAsCapped", class: Schema, options: "toCollection size", rule: cloneCollectionAsCapped, why: "copies a collection into a capped one"},
	{names: "collMod", class: Schema, options: "index validator validationLevel validationAction viewOn pipeline cappedSize cappedMax expireAfterSeconds timeseries changeStreamPreAndPostImages recordPreImages dryRun", rule: collMod, why: "changes a collection's options"},
	{names: "convertToCapped", class: Schema, options: "size", rule: onCollection, why: "drops the indexes and what does not fit"},
	{names: "create", class: Schema, options: "capped timeseries expireAfterSeconds clusteredIndex changeStreamPreAndPostImages recordPreImages autoIndexId size max storageEngine validator validationLevel validationAction indexOptionDefaults viewOn pipeline collation encryptedFields", rule: create, why: "creates a collection or a view"},
	{names: "createIndexes", class: Schema, options: "indexes commitQuorum", rule: onCollection, why: "builds indexes"},
	{names: "createSearchIndexes", class: Schema, options: "indexes", rule: onCollection, why: "builds search indexes"},
	{names: "drop", class: Schema, options: "", rule: onCollection, why: "drops a collection"},
	{names: "dropDatabase", class: Schema, options: "", rule: onDatabase, why: "drops a database"},
	{names: "dropIndexes deleteIndexes", class: Schema, options: "index", rule: onCollection, why: "drops indexes"},
	{names: "dropSearchIndex", class: Schema, options: "id name", rule: onCollection, why: "drops a search index"},
	{names: "reIndex", class: Schema, options: "", rule: onCollection, why: "drops and builds all indexes"},
	{names: "renameCollection", class: Schema, options: "to dropTarget", rule: renameCollection, why: "renames a collection"},
	{names: "setIndexCommitQuorum", class: Schema, options: "indexNames commitQuorum", rule: onCollection, why: "changes how many members must have built an index"},
	{names: "updateSearchIndex", class: Schema, options: "id name definition", rule: onCollection, why: "changes a search index"},

	// Operations.
	{names: "dbHash dbhash", class: Operations, options: "collections", rule: onDatabase, why: "blocks all writes to the database until it is done"},
	{names: "endSessions", class: Operations, options: "*", why: "ends server sessions and aborts their transactions"},
	{names: "killAllSessions", class: Operations, options: "*", why: "ends server sessions and what runs in them"},
	{names: "killAllSessionsByPattern", class: Operations, options: "*", why: "ends server sessions and what runs in them"},
	{names: "killOp", class: Operations, options: "op", why: "ends an operation"},
	{names: "killSessions", class: Operations, options: "*", why: "ends server sessions and what runs in them"},
	{names: "logApplicationMessage", class: Operations, options: "", why: "writes to the audit log"},
	{names: "planCacheClear", class: Operations, options: "*", rule: onCollection, why: "makes the server plan queries again"},
	{names: "planCacheClearFilters", class: Operations, options: "*", rule: onCollection, why: "removes index filters"},
	{names: "planCacheSetFilter", class: Operations, options: "*", rule: onCollection, why: "forces queries on an index"},
	{names: "validate", class: Operations, options: "full repair fixMultikey metadata checkBSONConformance background", rule: validate, why: "locks the collection, and corrects its counts"},

	// Security.
	{names: "authenticate", class: Security, options: "*", why: "changes who this connection is"},
	{names: "createRole", class: Security, options: "*"},
	{names: "createUser", class: Security, options: "*"},
	{names: "dropAllRolesFromDatabase", class: Security, options: "*"},
	{names: "dropAllUsersFromDatabase", class: Security, options: "*"},
	{names: "dropRole", class: Security, options: "*"},
	{names: "dropUser", class: Security, options: "*"},
	{names: "grantPrivilegesToRole", class: Security, options: "*"},
	{names: "grantRolesToRole", class: Security, options: "*"},
	{names: "grantRolesToUser", class: Security, options: "*"},
	{names: "invalidateUserCache", class: Security, options: "*"},
	{names: "logout", class: Security, options: "*", why: "changes who this connection is"},
	{names: "revokePrivilegesFromRole", class: Security, options: "*"},
	{names: "revokeRolesFromRole", class: Security, options: "*"},
	{names: "revokeRolesFromUser", class: Security, options: "*"},
	{names: "saslContinue", class: Security, options: "*", why: "changes who this connection is"},
	{names: "saslStart", class: Security, options: "*", why: "changes who this connection is"},
	{names: "setAuditConfig", class: Security, options: "*"},
	{names: "setUserWriteBlockMode", class: Security, options: "*"},
	{names: "updateRole", class: Security, options: "*"},
	{names: "updateUser", class: Security, options: "*"},

	// Cluster.
	{names: "abortMoveCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "abortReshardCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "abortUnshardCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "addShard addshard", class: Cluster, options: "*"},
	{names: "addShardToZone addshardtozone", class: Cluster, options: "*"},
	{names: "analyzeShardKey", class: Cluster, options: "*", rule: onNamespace},
	{names: "appendOplogNote", class: Cluster, options: "*"},
	{names: "applyOps", class: Cluster, options: "*", rule: applyOps, why: "applies raw oplog entries to any namespace"},
	{names: "balancerStart", class: Cluster, options: "*"},
	{names: "balancerStop", class: Cluster, options: "*"},
	{names: "cleanupOrphaned", class: Cluster, options: "*", rule: onNamespace},
	{names: "cleanupReshardCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "clearJumboFlag", class: Cluster, options: "*", rule: onNamespace},
	{names: "commitReshardCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "commitShardRemoval", class: Cluster, options: "*"},
	{names: "commitTransitionToDedicatedConfigServer", class: Cluster, options: "*"},
	{names: "configureCollectionBalancing", class: Cluster, options: "*", rule: onNamespace},
	{names: "configureQueryAnalyzer", class: Cluster, options: "*", rule: onNamespace},
	{names: "dbCheck", class: Cluster, options: "*", rule: onCollectionOrDatabase},
	{names: "enableSharding enablesharding", class: Cluster, options: "*", rule: onNamed},
	{names: "flushRouterConfig flushrouterconfig", class: Cluster, options: "*"},
	{names: "mergeAllChunksOnShard", class: Cluster, options: "*", rule: onNamespace},
	{names: "mergeChunks", class: Cluster, options: "*", rule: onNamespace},
	{names: "moveChunk movechunk", class: Cluster, options: "*", rule: onNamespace},
	{names: "moveCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "movePrimary moveprimary", class: Cluster, options: "*", rule: onNamed},
	{names: "moveRange", class: Cluster, options: "*", rule: onNamespace},
	{names: "refineCollectionShardKey", class: Cluster, options: "*", rule: onNamespace},
	{names: "removeQuerySettings", class: Cluster, options: "*"},
	{names: "removeShard removeshard", class: Cluster, options: "*"},
	{names: "removeShardFromZone removeshardfromzone", class: Cluster, options: "*"},
	{names: "replSetAbortPrimaryCatchUp", class: Cluster, options: "*"},
	{names: "replSetFreeze", class: Cluster, options: "*"},
	{names: "replSetInitiate", class: Cluster, options: "*"},
	{names: "replSetMaintenance", class: Cluster, options: "*"},
	{names: "replSetReconfig", class: Cluster, options: "*"},
	{names: "replSetResizeOplog", class: Cluster, options: "*"},
	{names: "replSetStepDown", class: Cluster, options: "*"},
	{names: "replSetStepUp", class: Cluster, options: "*"},
	{names: "replSetSyncFrom", class: Cluster, options: "*"},
	{names: "resetPlacementHistory", class: Cluster, options: "*"},
	{names: "reshardCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "setAllowMigrations", class: Cluster, options: "*", rule: onNamespace},
	{names: "setClusterParameter", class: Cluster, options: "*"},
	{names: "setDefaultRWConcern", class: Cluster, options: "*"},
	{names: "setFeatureCompatibilityVersion", class: Cluster, options: "*"},
	{names: "setQuerySettings", class: Cluster, options: "*"},
	{names: "shardCollection shardcollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "split", class: Cluster, options: "*", rule: onNamespace},
	{names: "startShardDraining", class: Cluster, options: "*"},
	{names: "startTransitionToDedicatedConfigServer", class: Cluster, options: "*"},
	{names: "stopShardDraining", class: Cluster, options: "*"},
	{names: "stopTransitionToDedicatedConfigServer", class: Cluster, options: "*"},
	{names: "transitionFromDedicatedConfigServer", class: Cluster, options: "*"},
	{names: "transitionToDedicatedConfigServer", class: Cluster, options: "*"},
	{names: "transitionToShardedCluster", class: Cluster, options: "*"},
	{names: "unshardCollection", class: Cluster, options: "*", rule: onNamespace},
	{names: "updateZoneKeyRange updatezonekeyrange", class: Cluster, options: "*", rule: onNamespace},

	// Server.
	{names: "autoCompact", class: Server, options: "*"},
	{names: "cleanupStructuredEncryptionData", class: Server, options: "*", rule: onCollection},
	{names: "compact", class: Server, options: "*", rule: onCollection},
	{names: "compactStructuredEncryptionData", class: Server, options: "*", rule: onCollection},
	{names: "configureFailPoint", class: Server, options: "*"},
	{names: "dropConnections", class: Server, options: "*"},
	{names: "fsync", class: Server, options: "*", why: "may block all writes"},
	{names: "fsyncUnlock", class: Server, options: "*"},
	{names: "logRotate", class: Server, options: "*"},
	{names: "rotateCertificates", class: Server, options: "*"},
	{names: "setFreeMonitoring", class: Server, options: "*"},
	{names: "setParameter", class: Server, options: "*"},
	{names: "shutdown", class: Server, options: "*", why: "stops the server"},
}

// readStages are the aggregation stages that write nothing and hold no pipeline; those that hold one are in parsing.stage. Any other
// makes an aggregate a write.
// Sources: https://www.mongodb.com/docs/manual/reference/mql/aggregation-stages/; in the server only $out and $merge are write stages.
var readStages = set("$addFields $bucket $bucketAuto $changeStream $changeStreamSplitLargeEvent $collStats $count $currentOp " +
	"$densify $documents $fill $geoNear $group $indexStats $limit $listClusterCatalog $listLocalSessions " +
	"$listSampledQueries $listSearchIndexes $listSessions $match $planCacheStats $project $querySettings $queryStats " +
	"$redact $replaceRoot $replaceWith $sample $score $search $searchMeta $set $setWindowFields " +
	"$shardedDataDistribution $skip $sort $sortByCount $sql $unset $unwind $vectorSearch")

// wrappers carry a command or a pipeline inside. Each is as dangerous as the worst of what is taken out of it.
//
//	aggregate            the stages that hold pipelines ($facet, $lookup, $unionWith, $rankFusion, $scoreFusion); its own option explain
//	$merge, update       whenMatched and the updates that are pipelines: only stages that change the one document
//	create, collMod      the pipeline of a view, which must not write
//	explain              the command
//	applyOps             the entries, and the commands among them
//	getMore              the command that opened the cursor
//	bulkWrite            the operations
//
// explainable are the commands that explain can wrap.
// Source: https://www.mongodb.com/docs/manual/reference/command/explain/
var explainable = set("aggregate count distinct find findAndModify findandmodify delete update mapReduce mapreduce")

// updateStages are the stages that an update may have: they change the one document.
// Source: https://www.mongodb.com/docs/manual/tutorial/update-documents-with-aggregation-pipeline/
var updateStages = set("$addFields $set $project $unset $replaceRoot $replaceWith")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

func (r row) canonical() string {
	name, _, _ := strings.Cut(r.names, " ")
	return name
}

var index = sync.OnceValue(func() map[string]row {
	m := map[string]row{}
	for _, r := range table {
		for _, n := range strings.Fields(r.names) {
			if _, taken := m[n]; taken {
				panic("command: internal error: two rows for " + n)
			}
			m[n] = r
		}
	}
	return m
})

// rowFor finds a command by its exact name.
func rowFor(name string) (row, bool) {
	r, ok := index()[name]
	return r, ok
}

func names() []string {
	var out []string
	for n := range index() {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// Row is a row of the table for people: help, documentation, tests.
type Row struct {
	Names []string // canonical name first
	Class Class    // before arguments are looked at
	Why   string
}

// Rows are all rows of the table, in its order.
func Rows() []Row {
	var out []Row
	for _, r := range table {
		out = append(out, Row{Names: strings.Fields(r.names), Class: r.class, Why: r.why})
	}
	return out
}

// unknownOption: an option that is not known may do anything.
func (r row) unknownOption(elems []bson.RawElement) string {
	if r.options == "*" {
		return ""
	}
	known := set(r.options + " " + generic)
	for _, e := range elems[1:] {
		if !known[e.Key()] {
			return fmt.Sprintf("%s has no option %q that is known", r.canonical(), e.Key())
		}
	}
	return ""
}
