package command

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// testdata/commands.tsv has every server command that was found in the sources and manuals of 4.4 to 8.x, with a class that somebody gave it
// before this table was written. The two are compared, and each disagreement stands here with its reason.

// listClasses says which class of ours a class of the list is.
var listClasses = map[string]Class{
	"read": Read, "data-write": DocumentWrite, "ddl": Schema, "cluster-admin": Cluster, "server-admin": Server, "security": Security,
	"diagnostic-with-side-effect": Operations, "session/transaction-control": Session, "auth/handshake": Security,
}

// stricter are rows that say another class than the list. None may say Read but those under lower.
var stricter = map[string]string{
	"applyOps appendOplogNote cleanupOrphaned": "the oplog's and the shards' own work: Cluster, and no plan could take it apart",
	"analyzeShardKey dbCheck":                  "they write to config and to the health log: Cluster",
	"dbHash dbhash":                            "the manual: it prevents writes until it is done",
	"getMore":                                  "Unknown, until a rule finds that the cursor is our own",
	"explain":                                  "Unknown, until a rule finds that the explained command can be",
	"usersInfo":                                "Security, until a rule finds that no credentials are asked for",
	"profile":                                  "Operations, until a rule finds that only the level is read: the list says both",
	"aggregate mapReduce mapreduce":            "DocumentWrite, until a rule finds nothing that writes: the list says both",
	"compactStructuredEncryptionData cleanupStructuredEncryptionData": "they rewrite the server's own metadata: Server",
	"setUserWriteBlockMode":   "who may write is Security",
	"endSessions killCursors": "they end what others run: Operations, unless the cursor is our own",
	"killOp killSessions killAllSessions killAllSessionsByPattern": "they end what clients run, not the server: Operations",
}

var lower = map[string]string{
	"hello isMaster ismaster": "handshakes that only answer; an option that could log in is not known to the row",
}

// absent are commands without a row: they are Unknown, which is treated like a write.
var absent = map[string]string{
	"getQueryableEncryptionCountInfo planCacheListPlans planCacheListQueryShapes getDiagnosticData getDatabaseVersion getShardingReady " +
		"getChangeStreamState getTrafficRecordingStatus listDatabasesForAllTenants echo driverOIDTest splitVector autoSplitVector replSetGetRBID " +
		"getTransitionToDedicatedConfigServerStatus waitForFailPoint connPoolSync cursorInfo whatsmysni oidcListKeys getMetricsFilteringAllowlist " +
		"listMetricsFilteringAllowlist listSearchIndexes repairCursor features": "a read, perhaps, but no page of the manual of 4.4 to 8.x says what it does, or it is called internal",
	"eval $eval group geoNear parallelCollectionScan cloneCollection clone copydb copydbgetnonce copydbsaslstart repairDatabase touch " +
		"authSchemaUpgrade forceerror forceError diagLogging resync getnonce getPrevError resetError getLastError getlasterror": "gone before 4.4, or with it; an acknowledged write has no use for the last",
	"mapreduce.shardedfinish doTxn createUnsplittableCollection replicateSearchIndexCommand internalRenameIfOptionsAndIndexesMatch " +
		"renameDatabaseForRestore voteCommitImportCollection voteCommitIndexBuild voteAbortIndexBuild clearJoinPlanCache " +
		"handshake refreshLogicalSessionCacheNow reapLogicalSessionCacheNow prepareTransaction coordinateCommitTransaction voteCommitTransaction " +
		"voteAbortTransaction releaseMemory analyze makeSnapshot setCommittedSnapshot pinHistoryReplicated stageDebug setChangeStreamState " +
		"replSetHeartbeat replSetRequestVotes replSetUpdatePosition untrackUnshardedCollection changePrimary splitChunk setShardVersion unsetSharding " +
		"waitForOngoingChunkSplits repairShardedCollectionChunksHistory recreateRangeDeletionTasks upgradeDowngradeViewlessTimeseries " +
		"timeseriesCatalogBucketParamsChanged rewriteCollection abortRewriteCollection configureBackgroundTask " +
		"enableCoordinatorForCreateIndexes donorStartMigration donorForgetMigration donorAbortMigration donorStartSplit donorForgetSplit " +
		"donorAbortSplit recipientSyncData recipientForgetMigration recipientVoteImportedFiles multicast": "servers send it to each other, or it carries other commands",
	"godinsert captrunc emptycapped cpuload sleep sysprofile httpClientRequest logMessage clearLog rotateFTDC ferretDebugError": "for the server's own tests",
	"commitTransaction abortTransaction": "the shell opens no transaction, and so ends none",
	"exportCollection importCollection hotBackup createBackup setProfilingFilterGlobally startRecordingTraffic stopRecordingTraffic startTrafficRecording " +
		"stopTrafficRecording oidcRefreshKeys updateMetricsFilteringAllowlist": "Enterprise, Percona or undocumented; files on the server",
	"processStreamProcessor createStreamProcessor startStreamProcessor stopStreamProcessor dropStreamProcessor modifyStreamProcessor " +
		"startSampleStreamProcessor getMoreSampleStreamProcessor listStreamProcessors listStreamConnections getStreamProcessorStats listWorkspaceDefaults " +
		"storageSetConfig storageGetConfig storageValidateConfig sqlSetSchema sqlGetSchema sqlGenerateSchema sqlGetResultSchema createStore dropStore " +
		"customAction": "Atlas Stream Processing, Data Federation and others: no database server",
	"*": "the list's own rule for absent names",
}

// internal are the beginnings of names that servers and their tests keep to themselves.
var internal = []string{"_", "cluster", "streams_", "test", "replSetTest"}

func isInternal(name string) bool {
	return slices.ContainsFunc(internal, func(p string) bool {
		rest, ok := strings.CutPrefix(name, p)
		return ok && (p != "cluster" && p != "test" || rest[0] >= 'A' && rest[0] <= 'Z')
	})
}

func byName(groups map[string]string) map[string]string {
	out := map[string]string{}
	for names, why := range groups {
		for _, n := range strings.Fields(names) {
			out[n] = why
		}
	}
	return out
}

func TestTableAgainstTheList(t *testing.T) {
	b, err := os.ReadFile("testdata/commands.tsv")
	if err != nil {
		t.Fatal(err)
	}
	stricter, lower, absent := byName(stricter), byName(lower), byName(absent)
	unused := maps.Clone(stricter)
	maps.Copy(unused, lower)
	maps.Copy(unused, absent)
	listed := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		f := strings.Split(line, "\t")
		for _, name := range append([]string{f[0]}, strings.FieldsFunc(f[1], func(r rune) bool { return r == ',' || r == ' ' })...) {
			if listed[name] {
				t.Errorf("%s stands twice in the list", name)
			}
			listed[name] = true
			r, ok := rowFor(name)
			want, one := listClasses[f[2]] // not one where the list says "read or write"
			switch {
			case !ok && isInternal(name):
			case !ok:
				if absent[name] == "" {
					t.Errorf("%s (%s) has no row and no reason", name, f[2])
				}
				delete(unused, name)
			case isInternal(name):
				t.Errorf("%s has a row and is internal", name)
			case one && r.class == want:
			case r.class == Read:
				if lower[name] == "" {
					t.Errorf("%s is a read here and %s in the list", name, f[2])
				}
				delete(unused, name)
			default:
				if stricter[name] == "" {
					t.Errorf("%s is %v here and %s in the list", name, r.class, f[2])
				}
				delete(unused, name)
			}
			if ok && r.canonical() != f[0] && name == f[0] {
				t.Errorf("%s is an alias of %s here, and a name of its own in the list", name, r.canonical())
			}
			if ok && name != f[0] && r.canonical() != f[0] {
				t.Errorf("%s is an alias of %s in the list and of %s here", name, f[0], r.canonical())
			}
		}
	}
	if len(listed) < 500 {
		t.Errorf("the list has %d names", len(listed))
	}
	for name, why := range unused {
		t.Errorf("%s is a disagreement no more (%s)", name, why)
	}
	for _, n := range names() {
		if !listed[n] {
			t.Errorf("%s has a row and is not in the list", n)
		}
	}
}

// reads are the rows that a command may become a read by: those of class Read, and those whose rule lowers them. One more has to be added here too.
const reads = "aggregate availableQueryOptions balancerCollectionStatus balancerStatus buildInfo checkMetadataConsistency checkShardingIndex collMod collStats " +
	"connPoolStats connectionStatus count currentOp dataSize dbStats distinct explain filemd5 find geoSearch getAuditConfig getClusterParameter getCmdLineOpts " +
	"getDefaultRWConcern getFreeMonitoringStatus getLog getMore getParameter getShardMap getShardVersion hello hostInfo isMaster isdbgrid listCollections " +
	"listCommands listDatabases listIndexes listShards lockInfo mapReduce netstat ping planCacheListFilters profile replSetGetConfig replSetGetStatus " +
	"rolesInfo serverStatus shardConnPoolStats shardDrainingStatus shardingState top usersInfo validate validateDBMetadata whatsmyuri"

// TestOnlyTheseRead gives each row the plainest command. It is a read, if it is, by a row that stands above.
func TestOnlyTheseRead(t *testing.T) {
	known := set(reads)
	for _, r := range table {
		if r.class == Read && !known[r.canonical()] {
			t.Errorf("%s is a read", r.canonical())
		}
		for _, name := range strings.Fields(r.names) {
			for _, arg := range []string{`1`, `"c"`, `"d.c"`, `true`, `{}`} {
				c, err := Parse("app", js(t, `{"`+name+`":`+arg+`}`), nil)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if c.Class() == Read && !known[c.Name()] {
					t.Errorf("{%s: %s} is a read", name, arg)
				}
				if changes := c.Class() != Read && c.Class() != Session; changes != (len(c.Targets()) > 0) {
					t.Errorf("{%s: %s} is %v of %v", name, arg, c.Class(), c.Targets())
				}
			}
		}
	}
	for name := range known {
		if _, ok := rowFor(name); !ok {
			t.Errorf("there is no row for %s", name)
		}
	}
}

// TestUnknownOptions: no row takes an option that it does not know, but those whose fields have names of their own, and those of classes that
// are refused or asked about as a whole.
func TestUnknownOptions(t *testing.T) {
	open := set("currentOp getParameter serverStatus endSessions killAllSessions killAllSessionsByPattern killSessions planCacheClear planCacheClearFilters planCacheSetFilter")
	for _, r := range table {
		if r.options == "*" && !open[r.canonical()] && r.class < Security {
			t.Errorf("%s takes any option", r.canonical())
		}
		if r.options == "*" {
			continue
		}
		if c := parse(t, "app", `{"`+r.canonical()+`":"c","zap":1}`); c.Class() != Unknown || !strings.Contains(c.Why(), `no option "zap"`) {
			t.Errorf("%s takes the option zap: %v, %s", r.canonical(), c.Class(), c.Why())
		}
	}
}

// TestNamespacesOfOtherDatabases: commands that are sent to admin and work on a namespace, or a database, which they name.
func TestNamespacesOfOtherDatabases(t *testing.T) {
	for _, name := range strings.Fields("abortMoveCollection abortReshardCollection abortUnshardCollection analyzeShardKey cleanupOrphaned cleanupReshardCollection " +
		"clearJumboFlag commitReshardCollection configureCollectionBalancing configureQueryAnalyzer mergeAllChunksOnShard mergeChunks moveChunk moveCollection " +
		"moveRange refineCollectionShardKey reshardCollection setAllowMigrations shardCollection split unshardCollection updateZoneKeyRange") {
		if c := parse(t, "admin", `{"`+name+`":"prod.c"}`); namespaces(c.Targets()) != "prod.c" || c.Class() != Cluster {
			t.Errorf("%s is %v of %v", name, c.Class(), c.Targets())
		}
	}
	for _, name := range []string{"enableSharding", "movePrimary"} {
		if c := parse(t, "admin", `{"`+name+`":"prod"}`); namespaces(c.Targets()) != "prod" {
			t.Errorf("%s is of %v", name, c.Targets())
		}
	}
	for _, name := range strings.Fields("collMod compact cleanupStructuredEncryptionData compactStructuredEncryptionData convertToCapped create createIndexes createSearchIndexes " +
		"drop dropIndexes dropSearchIndex planCacheClear planCacheClearFilters planCacheSetFilter reIndex setIndexCommitQuorum updateSearchIndex validate dbCheck") {
		if c := parse(t, "app", `{"`+name+`":"c"}`); namespaces(c.Targets()) != "app.c" {
			t.Errorf("%s is of %v", name, c.Targets())
		}
	}
}
