package guard_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/guard/command"
	"respect/guard/embedded/embeddedtest"
	"respect/guard/internal/wiretest"
)

// readsAsDocumented are the commands that may be reads, with the arguments that their pages have. The key is the row's name, or a name and a note.
var readsAsDocumented = map[string]string{
	"aggregate":                `{"aggregate": "people", "pipeline": [{"$match": {"age": {"$gt": 1}}}, {"$group": {"_id": "$age", "n": {"$sum": 1}}}], "cursor": {"batchSize": 10}, "allowDiskUse": true, "comment": "x"}`,
	"aggregate of a database":  `admin: {"aggregate": 1, "pipeline": [{"$currentOp": {"allUsers": true}}], "cursor": {}}`,
	"availableQueryOptions":    `{"availableQueryOptions": 1}`,
	"balancerCollectionStatus": `admin: {"balancerCollectionStatus": "@.people"}`,
	"balancerStatus":           `admin: {"balancerStatus": 1}`,
	"buildInfo":                `{"buildInfo": 1}`,
	"checkMetadataConsistency": `{"checkMetadataConsistency": 1, "checkIndexes": true, "cursor": {}}`,
	"checkShardingIndex":       `{"checkShardingIndex": "@.people", "keyPattern": {"age": 1}}`,
	"collMod":                  `{"collMod": "people", "index": {"keyPattern": {"age": 1}, "unique": true}, "dryRun": true}`,
	"collStats":                `{"collStats": "people", "scale": 1024}`,
	"connPoolStats":            `admin: {"connPoolStats": 1}`,
	"connectionStatus":         `{"connectionStatus": 1, "showPrivileges": true}`,
	"count":                    `{"count": "people", "query": {"age": {"$gt": 1}}, "limit": 5, "skip": 0}`,
	"currentOp":                `admin: {"currentOp": true, "$all": true, "$ownOps": false, "$or": [{"op": "command"}], "secs_running": {"$gt": 5}}`,
	"dataSize":                 `{"dataSize": "@.people", "estimate": true}`,
	"dbStats":                  `{"dbStats": 1, "scale": 1, "freeStorage": 1}`,
	"distinct":                 `{"distinct": "people", "key": "age", "query": {"age": {"$gt": 1}}}`,
	"explain of find":          `{"explain": {"find": "people", "filter": {"age": 1}}, "verbosity": "queryPlanner"}`,
	"explain of count":         `{"explain": {"count": "people"}, "verbosity": "executionStats"}`,
	"explain of aggregate":     `{"explain": {"aggregate": "people", "pipeline": [{"$match": {}}], "cursor": {}}, "verbosity": "queryPlanner"}`,
	"explain of delete":        `{"explain": {"delete": "people", "deletes": [{"q": {}, "limit": 0}]}, "verbosity": "executionStats"}`,
	"explain of update":        `{"explain": {"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 0}}, "multi": true}]}, "verbosity": "allPlansExecution"}`,
	"explain of findAndModify": `{"explain": {"findAndModify": "people", "query": {}, "remove": true}, "verbosity": "queryPlanner"}`,
	"filemd5":                  `{"filemd5": {"$oid": "650000000000000000000000"}, "root": "fs"}`,
	"find":                     `{"find": "people", "filter": {"age": {"$gt": 1}}, "sort": {"age": 1}, "projection": {"name": 1}, "skip": 0, "limit": 5, "batchSize": 2, "comment": "x"}`,
	"geoSearch":                `{"geoSearch": "people", "near": [1, 1], "search": {"type": "x"}, "maxDistance": 6, "limit": 5}`,
	"getAuditConfig":           `admin: {"getAuditConfig": 1}`,
	"getClusterParameter":      `admin: {"getClusterParameter": "*"}`,
	"getCmdLineOpts":           `admin: {"getCmdLineOpts": 1}`,
	"getDefaultRWConcern":      `admin: {"getDefaultRWConcern": 1, "inMemory": true}`,
	"getFreeMonitoringStatus":  `admin: {"getFreeMonitoringStatus": 1}`,
	"getLog":                   `admin: {"getLog": "startupWarnings"}`,
	"getParameter":             `admin: {"getParameter": {"showDetails": true, "allParameters": true}}`,
	"getShardMap":              `admin: {"getShardMap": 1}`,
	"getShardVersion":          `admin: {"getShardVersion": "@.people", "fullMetadata": true}`,
	"hello":                    `{"hello": 1, "saslSupportedMechs": "@.ann", "comment": "x"}`,
	"hostInfo":                 `admin: {"hostInfo": 1}`,
	"isMaster":                 `{"isMaster": 1}`,
	"isdbgrid":                 `{"isdbgrid": 1}`,
	"listCollections":          `{"listCollections": 1, "filter": {"name": "people"}, "nameOnly": true, "authorizedCollections": true, "cursor": {}}`,
	"listCommands":             `{"listCommands": 1}`,
	"listDatabases":            `admin: {"listDatabases": 1, "nameOnly": true, "filter": {"name": "x"}}`,
	"listIndexes":              `{"listIndexes": "people", "cursor": {}}`,
	"listShards":               `admin: {"listShards": 1}`,
	"lockInfo":                 `admin: {"lockInfo": 1}`,
	"mapReduce":                `{"mapReduce": "people", "map": "function() { emit(this.age, 1) }", "reduce": "function(k, v) { return v.length }", "out": {"inline": 1}, "query": {"age": 1}}`,
	"netstat":                  `admin: {"netstat": 1}`,
	"ping":                     `{"ping": 1}`,
	"planCacheListFilters":     `{"planCacheListFilters": "people"}`,
	"profile":                  `{"profile": -1}`,
	"replSetGetConfig":         `admin: {"replSetGetConfig": 1, "commitmentStatus": true}`,
	"replSetGetStatus":         `admin: {"replSetGetStatus": 1, "initialSync": 1}`,
	"rolesInfo":                `{"rolesInfo": 1, "showPrivileges": true, "showBuiltinRoles": true}`,
	"serverStatus":             `admin: {"serverStatus": 1, "repl": 0, "metrics": 0, "locks": 0}`,
	"shardConnPoolStats":       `admin: {"shardConnPoolStats": 1}`,
	"shardDrainingStatus":      `admin: {"shardDrainingStatus": "shard1"}`,
	"shardingState":            `admin: {"shardingState": 1}`,
	"top":                      `admin: {"top": 1}`,
	"usersInfo":                `{"usersInfo": {"forAllDBs": true}, "showCustomData": true, "showPrivileges": false, "showAuthenticationRestrictions": true, "filter": {}}`,
	"validate":                 `{"validate": "people", "background": true}`,
	"validateDBMetadata":       `{"validateDBMetadata": 1, "db": "@", "collection": "people", "apiParameters": {"version": "1", "strict": true, "deprecationErrors": true}}`,
	"whatsmyuri":               `{"whatsmyuri": 1}`,
}

// neverMet are the reads that no server has met yet which knows them: the embedded one answers that there is no such command. Of those only
// the manual is known. A run with RESPECT_TEST_MONGODB shows more.
const neverMet = "aggregate of a database, availableQueryOptions, balancerCollectionStatus, balancerStatus, checkMetadataConsistency, checkShardingIndex, collMod, " +
	"connPoolStats, filemd5, geoSearch, getAuditConfig, getClusterParameter, getDefaultRWConcern, getShardMap, getShardVersion, isdbgrid, " +
	"listShards, lockInfo, mapReduce, netstat, planCacheListFilters, profile, replSetGetConfig, replSetGetStatus, rolesInfo, shardConnPoolStats, " +
	"shardDrainingStatus, shardingState, top, usersInfo, validateDBMetadata"

// TestRowsThatReadChangeNothing runs each command of the table that may be a read with its documented arguments on the embedded server, through the
// gate, and compares all that the server holds before and after. What arrived is what was asked for, byte for byte.
func TestRowsThatReadChangeNothing(t *testing.T) {
	t.Parallel()
	own, err := start("production") // nobody else may change what is compared
	if err != nil {
		t.Fatal(err)
	}
	s := &server{uri: own.URI, db: "reads", double: wiretest.NewDouble(t, own.Address, false)}
	s.client(t)
	s.uri = s.double.URI()
	names, err := s.other.ListDatabaseNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name != "respect" { // the demo's data would only take time
			if err := s.other.Database(name).Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.people(t)
	if _, err := s.other.Database("readstoo").Collection("others").InsertOne(t.Context(), bson.D{{Key: "_id", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	s.command(t, `{"createIndexes": "people", "indexes": [{"key": {"age": 1}, "name": "age_1"}]}`)
	b := s.bench(t)
	b.op.absent = true
	before := everything(t, s)
	if len(before) < 3 {
		t.Fatalf("only %v are compared", slices.Collect(maps.Keys(before)))
	}
	unknown := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(readsAsDocumented)) {
		cmd := strings.ReplaceAll(readsAsDocumented[name], "@", s.db)
		met, err := s.asks(t, b, cmd)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !met {
			unknown[name] = true
		}
		if after := everything(t, s); !maps.EqualFunc(before, after, sameState) {
			t.Fatalf("%s changed something: before %v, after %v", name, before, after)
		}
	}
	getMore(t, s, b)
	if after := everything(t, s); !maps.EqualFunc(before, after, sameState) {
		t.Error("getMore changed something")
	}
	if got := strings.Join(slices.Sorted(maps.Keys(unknown)), ", "); got != neverMet {
		t.Errorf("the embedded server does not know\n%s\nwant\n%s", got, neverMet)
	}
	if len(b.op.asked) > 0 || len(b.changes()) > 0 {
		t.Errorf("%d questions, %d changes", len(b.op.asked), len(b.changes()))
	}
	t.Logf("%d reads: %d met a server that knows them", len(readsAsDocumented)+1, len(readsAsDocumented)+1-len(unknown))
}

// TestEachReadIsRun: no row of class Read without its arguments above.
func TestEachReadIsRun(t *testing.T) {
	t.Parallel()
	rows := map[string]bool{"getMore": true}
	for name := range readsAsDocumented {
		row, _, _ := strings.Cut(name, " ")
		rows[row] = true
	}
	for _, r := range command.Rows() {
		if r.Class == command.Read && !rows[r.Names[0]] {
			t.Errorf("%s is not run", r.Names[0])
		}
	}
}

// asks runs a read and says whether the server knows the command.
func (s *server) asks(t *testing.T, b *bench, cmd string) (met bool, err error) {
	t.Helper()
	s.forget()
	_, _, err = b.run(cmd)
	db, text := s.db, cmd
	if name, rest, ok := strings.Cut(cmd, ": "); ok && !strings.HasPrefix(cmd, "{") {
		db, text = name, rest
	}
	sent := s.commands()
	want := raw(t, text)
	at := slices.IndexFunc(sent, func(c wiretest.Command) bool { // heartbeats are there too
		return c.DB == db && bytes.HasPrefix(c.Doc[4:], want[4:len(want)-1])
	})
	if at < 0 {
		return false, fmt.Errorf("%v was sent, %w", sent, err)
	}
	body := sent[at].Doc
	asked, _ := want.Elements()
	got, _ := body.Elements()
	for _, e := range got[len(asked):] {
		if !slices.Contains([]string{"$db", "lsid", "$clusterTime", "$readPreference", "maxTimeMS"}, e.Key()) {
			return false, fmt.Errorf("%s was added", e)
		}
	}
	if err == nil {
		return true, nil
	}
	if testing.Verbose() {
		t.Log(err)
	}
	for _, says := range []string{"no such command", "not implemented", "not supported", "must specify a collection name or 1"} {
		if strings.Contains(err.Error(), says) {
			return false, nil
		}
	}
	return false, err
}

// getMore reads on with a cursor of its own.
func getMore(t *testing.T, s *server, b *bench) {
	t.Helper()
	st, err := b.gate.Begin(guard.Input{Text: "getMore", Manner: "typed", Mode: guard.Execute})
	if err != nil {
		t.Fatal(err)
	}
	run := func(cmd string) bson.Raw {
		r, err := st.Run(t.Context(), b.d, s.db, raw(t, cmd))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := r.Raw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	id := run(`{"find": "people", "batchSize": 1}`).Lookup("cursor", "id").Int64()
	if id == 0 {
		t.Fatal("there is no cursor")
	}
	more := run(fmt.Sprintf(`{"getMore": {"$numberLong": "%d"}, "collection": "people", "batchSize": 1}`, id))
	if docs, err := more.Lookup("cursor", "nextBatch").Array().Values(); err != nil || len(docs) != 1 {
		t.Errorf("getMore: %s, %v", more, err)
	}
	run(fmt.Sprintf(`{"killCursors": "people", "cursors": [{"$numberLong": "%d"}]}`, id))
}

// everything is the state of all databases.
func everything(t *testing.T, s *server) map[string]state {
	t.Helper()
	names, err := s.other.ListDatabaseNames(context.Background(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]state{}
	for _, n := range names {
		out[n] = embeddedtest.StateOf(t, s.other, n)
	}
	return out
}

func sameState(a, b state) bool { return maps.EqualFunc(a, b, slices.Equal[[]string]) }
