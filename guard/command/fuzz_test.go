package command

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	"go.mongodb.org/mongo-driver/v2/bson"
)

var mayRead = set(reads)

// laws are what must be true of any bytes.
func laws(t *testing.T, b bson.Raw) {
	t.Helper()
	before := bytes.Clone(b)
	c, err := Parse("app", b, nil)
	if !bytes.Equal(before, b) {
		t.Fatalf("Parse changed its input: %x is %x", before, b)
	}
	if err != nil {
		if c != nil {
			t.Fatalf("both a command and %v", err)
		}
		return
	}
	first, err := b.IndexErr(0)
	if err != nil {
		t.Fatal(err)
	}
	elems, err := b.Elements()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range elems {
		if internalFields[e.Key()] || strings.HasPrefix(e.Key(), "$") && first.Key() != "currentOp" {
			t.Fatalf("%s was not refused for %s", b, e.Key())
		}
	}
	if !bytes.Equal(c.Raw(), b) {
		t.Fatalf("%s became %s", b, c.Raw())
	}
	if again, err := Parse("app", b, nil); err != nil || again.Class() != c.Class() || !slices.Equal(again.Targets(), c.Targets()) {
		t.Fatalf("%s was %v, and is %v, %v", b, c.Class(), again.Class(), err)
	}
	switch c.Class() {
	case Read:
		if !mayRead[c.Name()] {
			t.Fatalf("%s is a read by a row that is none", b)
		}
		if r, ok := rowFor(first.Key()); !ok || r.canonical() != c.Name() {
			t.Fatalf("%s is a read without a row of this very name", b)
		}
		if len(c.Targets()) > 0 || len(c.Writes()) > 0 {
			t.Fatalf("%s is a read that changes %v", b, c.Targets())
		}
		if c.Name() == "aggregate" {
			if at := writeStage(elems[1:]); at != "" {
				t.Fatalf("%s is a read with %s", b, at)
			}
		}
	case Session:
	default:
		if len(c.Targets()) == 0 {
			t.Fatalf("%s is %v and changes nothing?", b, c.Class())
		}
		if (c.Class() == DocumentWrite || c.Class() == Schema) && slices.ContainsFunc(c.Targets(), func(n Namespace) bool { s, _ := systemNamespace(n); return s != Unknown }) {
			t.Fatalf("%s is a %v of %v", b, c.Class(), c.Targets())
		}
	}
	for _, w := range c.Writes() {
		if c.Class() != DocumentWrite || w.Op == 0 || !slices.Contains(c.Targets(), w.NS) {
			t.Fatalf("%s is %v with %v in %v", b, c.Class(), w.Op, w.NS)
		}
	}
	for _, variant := range caseVariants(first.Key()) {
		if _, ok := rowFor(variant); ok {
			continue // an alias that servers know
		}
		v, err := Parse("app", rename(t, elems, variant), nil)
		if err == nil && v.Class() != Unknown {
			t.Fatalf("%s is %v", v.Raw(), v.Class())
		}
	}
}

// notPipelines are the fields below which a document with the name of a stage is data.
var notPipelines = set("explain allowDiskUse cursor bypassDocumentValidation maxTimeMS readOnce $match $literal $documents $currentOp let hint comment filter query readConcern writeConcern sort projection $expr $project $set $addFields " +
	"$group $redact $replaceRoot $replaceWith $search $searchMeta $vectorSearch $geoNear $sql key min max collation scope map reduce finalize")

// writeStage looks for a document that could be a stage that writes, in any array at any depth, and knows nothing of what takes a pipeline.
func writeStage(elems []bson.RawElement) string {
	for _, e := range elems {
		if notPipelines[e.Key()] {
			continue
		}
		v := e.Value()
		if v.Type != bson.TypeArray && v.Type != bson.TypeEmbeddedDocument {
			continue
		}
		inner, err := bson.Raw(v.Value).Elements()
		if err != nil {
			return "something that cannot be read"
		}
		if v.Type == bson.TypeArray {
			for _, s := range inner {
				if d, ok := s.Value().DocumentOK(); ok {
					if k, err := d.IndexErr(0); err == nil && (k.Key() == "$out" || k.Key() == "$merge" || k.Key() == "$emit" || k.Key() == "$externalFunction") {
						return k.Key()
					}
				}
			}
		}
		if at := writeStage(inner); at != "" {
			return at
		}
	}
	return ""
}

func caseVariants(name string) []string {
	var out []string
	for _, v := range []string{strings.ToUpper(name), strings.ToLower(name), title(name), name + " ", " " + name, name + "\u200b", flip(name)} {
		if v != name {
			out = append(out, v)
		}
	}
	return out
}

func title(name string) string {
	if name == "" {
		return "X"
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// flip changes the case of the last letter.
func flip(name string) string {
	r := []rune(name)
	if len(r) == 0 {
		return "x"
	}
	if i := len(r) - 1; unicode.IsLower(r[i]) {
		r[i] = unicode.ToUpper(r[i])
	} else {
		r[i] = unicode.ToLower(r[i])
	}
	return string(r)
}

func rename(t *testing.T, elems []bson.RawElement, name string) bson.Raw {
	t.Helper()
	d := bson.D{{Key: strings.ReplaceAll(name, "\x00", ""), Value: elems[0].Value()}}
	for _, e := range elems[1:] {
		d = append(d, bson.E{Key: e.Key(), Value: e.Value()})
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Skip("not BSON that can be written again")
	}
	return raw
}

func FuzzParse(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		f.Add([]byte(randomCommand(r)))
	}
	for _, s := range []string{`{"aggregate":"c","pipeline":[{"$lookup":{"pipeline":[{"$out":"x"}]}}]}`, `{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}}}]}`,
		`{"applyOps":[{"op":"c","ns":"a.$cmd","o":{"applyOps":[]}}]}`, `{"bulkWrite":1,"ops":[],"nsInfo":[{"ns":"a.b"}]}`, `{"mapReduce":"c","out":{"inline":1}}`} {
		f.Add([]byte(js(f, s)))
	}
	f.Fuzz(func(t *testing.T, b []byte) { laws(t, b) })
}

// TestRandomCommands is the same without an engine: commands built from the table's own names, options, stages and values.
func TestRandomCommands(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	classes := map[Class]int{}
	for range 4000 {
		b := randomCommand(r)
		laws(t, b)
		if c, err := Parse("app", b, nil); err == nil {
			classes[c.Class()]++
		}
	}
	for c := Unknown; c <= Server; c++ {
		if classes[c] < 5 {
			t.Errorf("only %d of 4000 commands were %v", classes[c], c)
		}
	}
}

// TestInternalFields: each, in any command, whatever its value.
func TestInternalFields(t *testing.T) {
	fields := strings.Fields("lsid txnNumber txnRetryCounter autocommit startTransaction coordinator stmtId stmtIds shardVersion databaseVersion isTimeseriesNamespace " +
		"collectionUUID encryptionInformation rawData mayBypassWriteBlocking fromMongos fromRouter needsMerge exchange originalQuery originalCollation runtimeConstants " +
		"legacyRuntimeConstants isClusterQueryWithoutShardKeyCmd allowImplicitCollectionCreation startOrContinueTransaction maxTimeMSOpOnly tracking_info " +
		"clientOperationKey versionContext sampleId tenantId expectPrefix use44SortKeys useNewUpsert temp isMapReduceCommand bypassEmptyTsReplacement " +
		"apiVersion apiStrict apiDeprecationErrors help requestResumeToken resumeAfter $db $readPreference $clusterTime $audit $client $configServerState $_requestResumeToken $tenant $unknown")
	for _, cmd := range []string{"find", "insert", "aggregate", "serverStatus", "getParameter", "currentOp", "setParameter", "frobnicate"} {
		for _, f := range fields {
			for _, v := range []any{1, nil, true, bson.D{}, "x"} {
				raw, err := bson.Marshal(bson.D{{Key: cmd, Value: "c"}, {Key: f, Value: v}})
				if err != nil {
					t.Fatal(err)
				}
				if c, err := Parse("app", raw, nil); err == nil {
					t.Errorf("Parse(%s) = %v, want an error", raw, c.Class())
				}
			}
		}
	}
	for f := range internalFields {
		if !slices.Contains(fields, f) {
			t.Errorf("%s is not in this test", f)
		}
	}
}

// TestReadStages: one that is added to the list has to be added here too, and one that goes would make a read ask.
func TestReadStages(t *testing.T) {
	stages := strings.Fields("$addFields $bucket $bucketAuto $changeStream $changeStreamSplitLargeEvent $collStats $count $currentOp $densify $documents $facet $fill " +
		"$geoNear $graphLookup $group $indexStats $limit $listClusterCatalog $listLocalSessions $listSampledQueries $listSearchIndexes $listSessions $lookup $match " +
		"$planCacheStats $project $querySettings $queryStats $rankFusion $redact $replaceRoot $replaceWith $sample $score $scoreFusion $search $searchMeta $set " +
		"$setWindowFields $shardedDataDistribution $skip $sort $sortByCount $sql $unionWith $unset $unwind $vectorSearch")
	for _, s := range stages {
		c, err := Parse("app", js(t, `{"aggregate":"c","pipeline":[{"`+s+`":{"input":{"pipelines":{}}}}],"cursor":{}}`), nil)
		switch {
		case err != nil:
			t.Error(err)
		case s == "$facet":
			if c.Class() != Unknown { // its branches are no pipelines
				t.Errorf("%s is %v", s, c.Class())
			}
		case c.Class() != Read:
			t.Errorf("%s is %v", s, c.Class())
		case c.Live() != (s == "$changeStream"):
			t.Errorf("%s is live: %v", s, c.Live())
		}
	}
	for s := range readStages {
		if !slices.Contains(stages, s) {
			t.Errorf("%s is not in this test", s)
		}
	}
}

// randomCommand is a command document with plausible parts in implausible places.
func randomCommand(r *rand.Rand) bson.Raw {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	row := table[r.IntN(len(table))]
	if r.IntN(3) == 0 { // those with rules
		row, _ = rowFor(pick(strings.Fields("aggregate aggregate aggregate explain mapReduce profile validate collMod usersInfo applyOps bulkWrite find update delete insert findAndModify")))
	}
	d := bson.D{{Key: pick(strings.Fields(row.names)), Value: randomFirst(r, row.canonical())}}
	switch row.canonical() {
	case "aggregate":
		d = append(d, bson.E{Key: "pipeline", Value: randomPipeline(r, 3)}, bson.E{Key: "cursor", Value: bson.D{}})
	case "mapReduce":
		d = append(d, bson.E{Key: "out", Value: []any{"x", bson.D{{Key: "inline", Value: 1}}, bson.D{{Key: "merge", Value: "x"}, {Key: "db", Value: pick(databases)}}, 5}[r.IntN(4)]})
	case "insert":
		d = append(d, bson.E{Key: "documents", Value: bson.A{bson.D{{Key: "a", Value: 1}}}})
	case "delete":
		d = append(d, bson.E{Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: r.IntN(3)}}}})
	case "update":
		d = append(d, bson.E{Key: "updates", Value: bson.A{bson.D{{Key: "q", Value: bson.D{}}, {Key: "u", Value: randomValue(r, 2)}, {Key: "multi", Value: r.IntN(2) == 0}}}})
	case "bulkWrite":
		d = append(d, bson.E{Key: "nsInfo", Value: bson.A{bson.D{{Key: "ns", Value: pick(databases) + "." + pick(collections)}}}},
			bson.E{Key: "ops", Value: bson.A{bson.D{{Key: "delete", Value: r.IntN(3)}, {Key: "filter", Value: bson.D{}}, {Key: "multi", Value: randomValue(r, 1)}}, bson.D{{Key: "insert", Value: 0}, {Key: "document", Value: randomValue(r, 2)}}}})
	}
	options := strings.Fields(row.options + " " + generic)
	for range r.IntN(4) {
		key := pick(options)
		switch r.IntN(12) {
		case 0:
			key = pick([]string{"zap", "$db", "lsid", "Filter", "dryrun", "", "$out", "help"})
		case 1:
			key = pick(options)
		}
		d = append(d, bson.E{Key: key, Value: randomValue(r, 3)})
	}
	if r.IntN(10) == 0 {
		d[0].Key = pick(caseVariants(d[0].Key))
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		panic(err)
	}
	return raw
}

var (
	databases   = []string{"app", "prod", "admin", "config", "local", "respect", "$external", "a.b", ""}
	collections = []string{"c", "x", "system.users", "respect.environment", "a$b", ".", ""}
)

func randomFirst(r *rand.Rand, name string) any {
	switch {
	case name == "explain" && r.IntN(8) > 0:
		return randomCommand(r)
	case name == "applyOps":
		op := bson.D{{Key: "op", Value: []string{"i", "u", "d", "n", "c"}[r.IntN(5)]}, {Key: "ns", Value: databases[r.IntN(len(databases))] + "." + collections[r.IntN(len(collections))]}, {Key: "o", Value: bson.D{}}}
		return bson.A{op}
	}
	return []any{1, 1, -1, "c", "c", "c", "app.c", "prod.c", "system.users", bson.D{}, true, 0.5, nil, int64(7)}[r.IntN(14)]
}

func randomPipeline(r *rand.Rand, depth int) bson.A {
	out := bson.A{}
	stages := strings.Fields("$match $project $group $sort $limit $facet $lookup $unionWith $graphLookup $rankFusion $scoreFusion $out $merge $emit $changeStream $documents $zap")
	for range r.IntN(3) {
		name := stages[r.IntN(len(stages))]
		if r.IntN(3) > 0 {
			name = stages[r.IntN(5)]
		}
		var arg any
		switch name {
		case "$facet":
			arg = bson.D{{Key: "a", Value: nested(r, depth)}, {Key: "b", Value: nested(r, depth)}}
		case "$lookup", "$unionWith", "$graphLookup":
			arg = bson.D{{Key: "from", Value: "d"}, {Key: "pipeline", Value: nested(r, depth)}}
		case "$rankFusion", "$scoreFusion":
			arg = bson.D{{Key: "input", Value: bson.D{{Key: "pipelines", Value: bson.D{{Key: "a", Value: nested(r, depth)}}}}}}
		case "$out", "$merge":
			arg = []any{"x", bson.D{{Key: "db", Value: "prod"}, {Key: "coll", Value: "x"}}, bson.D{{Key: "into", Value: "x"}}, 5}[r.IntN(4)]
		default:
			arg = bson.D{}
		}
		stage := bson.D{{Key: name, Value: arg}}
		if r.IntN(20) == 0 {
			stage = append(stage, bson.E{Key: "$out", Value: "x"})
		}
		out = append(out, stage)
	}
	return out
}

func nested(r *rand.Rand, depth int) any {
	if depth == 0 || r.IntN(10) == 0 {
		return randomValue(r, 1)
	}
	return randomPipeline(r, depth-1)
}

func randomValue(r *rand.Rand, depth int) any {
	if depth > 0 && r.IntN(3) == 0 {
		keys := []string{"a", "w", "q", "u", "db", "coll", "ns", "unique", "keyPattern", "$set", "pipeline", "$out", "_id"}
		var d bson.D
		for range r.IntN(3) {
			d = append(d, bson.E{Key: keys[r.IntN(len(keys))], Value: randomValue(r, depth-1)})
		}
		if r.IntN(3) == 0 {
			return bson.A{d}
		}
		return d
	}
	return []any{true, true, false, 0, 1, -1, 0.5, "x", nil, int64(1), bson.A{}, bson.D{}}[r.IntN(12)]
}
