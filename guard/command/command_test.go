package command

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// js is a command in relaxed Extended JSON.
func js(t testing.TB, s string) bson.Raw {
	t.Helper()
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(s), false, &d); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		cmd     string
		class   Class
		targets string // "" where it does not matter
	}{
		// Reads.
		{`{"find":"c","filter":{"a":1}}`, Read, ""},
		{`{"count":"c"}`, Read, ""},
		{`{"distinct":"c","key":"a"}`, Read, ""},
		{`{"ping":1}`, Read, ""},
		{`{"ismaster":1}`, Read, ""},
		{`{"serverStatus":1,"repl":0}`, Read, ""},
		{`{"aggregate":"c","pipeline":[],"cursor":{}}`, Read, ""},
		{`{"aggregate":1,"pipeline":[{"$currentOp":{}}],"cursor":{}}`, Read, ""},
		{`{"aggregate":"c","pipeline":[{"$set":{"a":1}},{"$match":{"$expr":{"$eq":["$a","$out"]}}}],"cursor":{}}`, Read, ""},
		{`{"aggregate":"c","pipeline":[{"$facet":{"x":[{"$count":"n"}]}}],"cursor":{}}`, Read, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":1}}`, Read, ""},
		{`{"explain":{"delete":"c","deletes":[{"q":{},"limit":0}]},"verbosity":"queryPlanner"}`, DocumentWrite, "app.c"},
		{`{"profile":-1}`, Read, ""},
		{`{"usersInfo":1}`, Read, ""},

		// Writes that do not look like it.
		{`{"aggregate":"c","pipeline":[{"$out":"x"}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$out":{"db":"prod","coll":"x"}}],"cursor":{"batchSize":0}}`, DocumentWrite, "prod.x"},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":{"db":"prod","coll":"users"}}}],"cursor":{}}`, DocumentWrite, "prod.users"},
		{`{"aggregate":"c","pipeline":[{"$facet":{"x":[{"$merge":"y"}]}}],"cursor":{}}`, DocumentWrite, "app.y"},
		{`{"aggregate":"c","pipeline":[{"$lookup":{"from":"d","pipeline":[{"$merge":"x"}],"as":"y"}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$out":"system.users"}],"cursor":{}}`, Security, "app.system.users"},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":"inline"}`, DocumentWrite, "app.inline"},
		{`{"mapreduce":"c","map":"m","reduce":"r","out":{"reduce":"x","db":"prod"}}`, DocumentWrite, "prod.x"},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":1,"db":"x"}}`, Unknown, ""},
		{`{"profile":-1,"slowms":0}`, Operations, ""},
		{`{"usersInfo":1,"showCredentials":true}`, Security, ""},
		{`{"validate":"c"}`, Operations, "app.c"},
		{`{"getMore":{"$numberLong":"7"},"collection":"c"}`, Unknown, ""},
		{`{"killCursors":"c","cursors":[{"$numberLong":"7"}]}`, Operations, ""},

		// Document writes.
		{`{"insert":"c","documents":[{"a":1}]}`, DocumentWrite, "app.c"},
		{`{"delete":"c","deletes":[{"q":{},"limit":0}]}`, DocumentWrite, "app.c"},
		{`{"findandmodify":"c","query":{},"remove":true}`, DocumentWrite, "app.c"},
		{`{"insert":"system.views","documents":[{"_id":"x"}]}`, Security, "app.system.views"},

		// Schema.
		{`{"drop":"c"}`, Schema, "app.c"},
		{`{"dropDatabase":1}`, Schema, "app"},
		{`{"deleteIndexes":"c","index":"*"}`, Schema, "app.c"},

		// Rules that make a read of some forms only.
		{`{"profile":-1.0}`, Read, ""},
		{`{"profile":-0.5}`, Operations, ""},
		{`{"profile":-2}`, Operations, ""},
		{`{"profile":{"$numberDouble":"NaN"}}`, Operations, ""},
		{`{"profile":{"$numberDouble":"-Infinity"}}`, Operations, ""},
		{`{"profile":{"$numberDecimal":"-1"}}`, Unknown, ""},
		{`{"profile":true}`, Unknown, ""},
		{`{"profile":-1,"sampleRate":1}`, Operations, ""},
		{`{"profile":-1,"filter":{}}`, Operations, ""},
		{`{"profile":0}`, Operations, "app"},
		{`{"usersInfo":1,"showCredentials":false}`, Read, ""},
		{`{"usersInfo":1,"showCredentials":null}`, Security, ""},
		{`{"usersInfo":1,"showCredentials":{"$numberDecimal":"0"}}`, Security, ""},
		{`{"validate":"c","background":true}`, Read, ""},
		{`{"validate":"c","background":true,"repair":false,"full":false,"checkBSONConformance":true}`, Read, ""},
		{`{"validate":"c","background":1}`, Operations, "app.c"},
		{`{"validate":"c","background":false}`, Operations, "app.c"},
		{`{"validate":"c","background":true,"full":true}`, Operations, "app.c"},
		{`{"validate":"c","background":true,"repair":true}`, Operations, "app.c"},
		{`{"validate":"c","background":true,"fixMultikey":1}`, Operations, "app.c"},
		{`{"validate":"c","background":true,"metadata":true}`, Operations, "app.c"},
		{`{"validate":"c","background":true,"enforceFastCount":true}`, Unknown, ""},
		{`{"validate":1,"background":true}`, Unknown, ""},
		{`{"validate":"system.users"}`, Security, "app.system.users"},
		{`{"collMod":"c","index":{"keyPattern":{"a":1},"unique":true},"dryRun":true,"comment":"x","maxTimeMS":5,"writeConcern":{"w":1}}`, Read, ""},
		{`{"collMod":"c","index":{"keyPattern":{"a":1},"unique":true}}`, Schema, "app.c"},
		{`{"collMod":"c","index":{"keyPattern":{"a":1},"unique":true},"dryRun":1}`, Schema, "app.c"},
		{`{"collMod":"c","index":{"keyPattern":{"a":1},"unique":true},"dryRun":false}`, Schema, "app.c"},
		{`{"collMod":"c","index":{"keyPattern":{"a":1},"hidden":true},"dryRun":true}`, Schema, "app.c"},
		{`{"collMod":"c","index":{"name":"a_1","unique":true,"prepareUnique":true},"dryRun":true}`, Schema, "app.c"},
		{`{"collMod":"c","index":{"name":"a_1","unique":false},"dryRun":true}`, Schema, "app.c"},
		{`{"collMod":"c","index":{"name":"a_1","unique":true},"validator":{},"dryRun":true}`, Schema, "app.c"},
		{`{"collMod":"c","index":5,"dryRun":true}`, Unknown, ""},
		{`{"collMod":"c","dryRun":true}`, Schema, "app.c"},
		{`{"collMod":1,"dryRun":true}`, Unknown, ""},
		{`{"collMod":"c","frobnicate":true}`, Unknown, ""},
		{`{"currentOp":1,"$all":true,"$ownOps":true}`, Read, ""},
		{`{"currentOp":1,"$or":[{"op":"command"}],"$and":[],"$nor":[]}`, Read, ""},
		{`{"dbHash":1}`, Operations, "app"},
		{`{"dbhash":1,"collections":["c"]}`, Operations, "app"},
		{`{"getLog":"global"}`, Read, ""},
		{`{"getLog":"global","clear":true}`, Unknown, ""},
		{`{"top":1}`, Read, ""},
		{`{"replSetGetStatus":1,"initialSync":1}`, Read, ""},
		{`{"filemd5":1,"root":"fs"}`, Read, ""},
		{`{"dataSize":"prod.c","estimate":true}`, Read, ""},
		{`{"dataSize":"c"}`, Unknown, ""},
		{`{"dataSize":1}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":true}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":0}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"inline":"1"}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":5}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r"}`, Unknown, ""},
		{`{"mapReduce":1,"map":"m","reduce":"r","out":{"inline":1}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"merge":"x","nonAtomic":true,"sharded":true}}`, DocumentWrite, "app.x"},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"replace":"x","merge":"y"}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"replace":5}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"replace":"x","db":5}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"replace":"x","db":"a.b"}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"db":"b"}}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":"a$b"}`, Unknown, ""},
		{`{"mapReduce":"c","map":"m","reduce":"r","out":{"replace":"x","db":"admin"}}`, Security, "admin.x"},

		// All namespaces, in other databases too.
		{`{"aggregate":"c","pipeline":[{"$out":"x"},{"$match":{}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$facet":{"a":[{"$out":"x"}],"b":[{"$match":{}}]}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":"replace"}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":[{"$set":{"a":1}}],"on":"_id","let":{},"whenNotMatched":"insert"}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$out":{"db":"config","coll":"x","timeseries":{}}}],"cursor":{}}`, Cluster, "config.x"},
		{`{"aggregate":"c","pipeline":[{"$facet":{"a":[{"$out":"x"}],"b":[{"$merge":{"into":{"db":"prod","coll":"y"}}}]}}],"cursor":{}}`, DocumentWrite, "app.x, prod.y"},
		{`{"aggregate":"c","pipeline":[{"$unionWith":{"coll":"d","pipeline":[{"$out":"x"}]}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$rankFusion":{"input":{"pipelines":{"a":[{"$out":"x"}]}}}}],"cursor":{}}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$scoreFusion":{"input":{"pipelines":{"a":[{"$match":{}}]}}}}],"cursor":{}}`, Read, ""},
		{`{"bulkWrite":1,"ops":[{"insert":0,"document":{}}],"nsInfo":[{"ns":"a.x"},{"ns":"b.y"}]}`, Unknown, "a.x, b.y, app"}, // not sent to admin
		{`{"bulkWrite":1,"ops":[],"nsInfo":[]}`, Unknown, "app"},
		{`{"bulkWrite":1,"ops":[],"nsInfo":5}`, Unknown, "app"},
		{`{"bulkWrite":1,"ops":[],"nsInfo":[{"ns":"prod.x"},{"ns":"y"}]}`, Unknown, "prod.x, app"},
		{`{"bulkWrite":1,"ops":[],"nsInfo":[{"ns":"a.x","collectionUUID":1}]}`, Unknown, "app"},
		{`{"bulkWrite":1,"ops":[],"nsInfo":[{"ns":"a.x"}],"zap":1}`, Unknown, "a.x, app"},
		{`{"applyOps":[{"op":"i","ns":"prod.c","o":{}},{"op":"n","ns":"","o":{}},{"op":"c","ns":"x.$cmd","o":{"drop":"c"}}]}`, Cluster, "prod.c, , x"},
		{`{"applyOps":[{"op":"c","ns":"x.$cmd","o":{"renameCollection":"y.a","to":"z.b"}}]}`, Cluster, "x, y.a, z.b"},
		{`{"applyOps":[{"op":"c","ns":"x.$cmd","o":{"applyOps":[{"op":"d","ns":"prod.c","o":{}}]}}]}`, Cluster, "x, prod.c"},
		{`{"applyOps":[{"op":"i","ns":"admin.system.users","o":{}}]}`, Security, "admin.system.users"},
		{`{"applyOps":[{"op":"i","ns":"prod.c","o":{}},{"op":"c","ns":"x.$cmd","o":{"applyOps":5}}]}`, Unknown, "prod.c, x, app"},
		{`{"applyOps":[{"op":"c","ns":"x.$cmd","o":5}]}`, Unknown, ""},
		{`{"applyOps":[{"op":"c","ns":"x.$cmd","o":{"renameCollection":"a"}}]}`, Unknown, ""},
		{`{"applyOps":[{"ns":"x.c"}]}`, Unknown, ""},
		{`{"applyOps":[{"op":"i"}]}`, Unknown, ""},
		{`{"applyOps":[{"op":"i","ns":"x"}]}`, Unknown, ""},
		{`{"applyOps":1}`, Unknown, ""},
		{`{"cloneCollectionAsCapped":"c","toCollection":"x","size":1}`, Schema, "app.x"},
		{`{"cloneCollectionAsCapped":"c","toCollection":"system.x","size":1}`, Security, "app.system.x"},
		{`{"cloneCollectionAsCapped":"c","toCollection":"a$b","size":1}`, Unknown, ""},
		{`{"cloneCollectionAsCapped":"c","size":1}`, Unknown, ""},
		{`{"cloneCollectionAsCapped":1,"toCollection":"x","size":1}`, Unknown, ""},
		{`{"convertToCapped":"c","size":1}`, Schema, "app.c"},
		{`{"convertToCapped":"c","size":1,"zap":1}`, Unknown, "app.c, app"},
		{`{"create":"system.views","capped":true,"size":1}`, Security, "app.system.views"},
		{`{"create":"c","zap":1}`, Unknown, ""},
		{`{"createIndexes":"c","indexes":[]}`, Schema, "app.c"},
		{`{"drop":"c","zap":1}`, Unknown, ""},
		{`{"drop":5}`, Unknown, ""},
		{`{"drop":".c"}`, Unknown, ""},
		{`{"drop":""}`, Unknown, ""},
		{`{"shardCollection":"prod.c","key":{"a":1}}`, Cluster, "prod.c"},
		{`{"shardCollection":"prod","key":{"a":1}}`, Unknown, ""},
		{`{"shardCollection":1}`, Unknown, ""},
		{`{"moveChunk":"config.c"}`, Cluster, "config.c"},
		{`{"enableSharding":"prod"}`, Cluster, "prod"},
		{`{"movePrimary":"prod","to":"x"}`, Cluster, "prod"},
		{`{"movePrimary":5}`, Unknown, ""},
		{`{"movePrimary":"a.b"}`, Unknown, ""},
		{`{"dbCheck":1}`, Cluster, "app"},
		{`{"dbCheck":"c"}`, Cluster, "app.c"},
		{`{"dbCheck":true}`, Unknown, ""},
		{`{"compact":"c"}`, Server, "app.c"},
		{`{"compact":"system.js"}`, Security, "app.system.js"},
		{`{"planCacheClear":"c"}`, Operations, "app.c"},
		{`{"killOp":1,"op":5}`, Operations, "app"},
		{`{"createUser":"u","pwd":"p","roles":[]}`, Security, "app"},
		{`{"setParameter":1,"logLevel":1}`, Server, "app"},
		{`{"replSetStepDown":1}`, Cluster, "app"},

		// Whatever is not sure is Unknown.
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","zap":1}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$merge":{"on":"_id"}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":[{"$out":"y"}]}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":[{"$zap":"y"}]}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":5}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":{"coll":5}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":{"db":5,"coll":"x"}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":{"db":"a.b","coll":"x"}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":"a$b"}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":""}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[5],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":{"0":{"$match":{}}},"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","cursor":{}}`, Unknown, ""},
		{`{"aggregate":2,"pipeline":[],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":true,"pipeline":[],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"a$b","pipeline":[],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[],"cursor":{},"zap":1}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$facet":5}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$facet":{"a":5}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$facet":{"a":[{"$zap":1}]}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$lookup":5}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$lookup":{"from":"d","pipeline":5}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$rankFusion":5}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$rankFusion":{}}],"cursor":{}}`, Unknown, ""},
		{`{"explain":5}`, Unknown, ""},
		{`{"explain":{}}`, Unknown, ""},
		{`{"explain":{"find":"c","zap":1}}`, Unknown, ""},
		{`{"explain":{"delete":"c","deletes":[{"q":{},"limit":0,"zap":1}]}}`, Unknown, ""},
		{`{"explain":{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}}}],"zap":1}}`, Unknown, ""},
		{`{"explain":{"find":"c"},"zap":1}`, Unknown, ""},
		{`{"explain":{"explain":{"find":"c"}}}`, Unknown, ""},
		{`{"explain":{"bulkWrite":1,"ops":[],"nsInfo":[{"ns":"a.b"}]}}`, Unknown, ""},
		{`{"explain":{"find":"c","lsid":{}}}`, Unknown, ""},
		{`{"explain":{"insert":"c","documents":[{"a":1}]}}`, Unknown, ""},
		{`{"explain":{"count":"c"}}`, Read, ""},
		{`{"explain":{"distinct":"c","key":"a"}}`, Read, ""},
		{`{"explain":{"findAndModify":"c","remove":true}}`, DocumentWrite, "app.c"},
		{`{"explain":{"mapReduce":"c","map":"m","reduce":"r","out":"x"}}`, DocumentWrite, "app.x"},
		{`{"explain":{"update":"c","updates":[{"q":{},"u":{}}]}}`, DocumentWrite, "app.c"},
		{`{"explain":{"findandmodify":"c","remove":true}}`, DocumentWrite, "app.c"},
		{`{"explain":{"mapreduce":"c","map":"m","reduce":"r","out":"x"}}`, DocumentWrite, "app.x"},
		{`{"explain":{"aggregate":"c","pipeline":[{"$out":"x"}],"cursor":{}}}`, DocumentWrite, "app.x"},
		{`{"getMore":7,"collection":"c"}`, Unknown, ""},
		{`{"getMore":{"$numberLong":"7"}}`, Unknown, ""},
		{`{"killCursors":"c","cursors":5}`, Unknown, ""},
		{`{"killCursors":"c","cursors":[7]}`, Unknown, ""},
		{`{"find":5}`, Unknown, ""},
		{`{"find":"c","zap":1}`, Unknown, ""},
		{`{"count":"a$b"}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{},"limit":0.5}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{},"limit":true}]}`, Unknown, ""},
		{`{"delete":"c","deletes":5}`, Unknown, ""},
		{`{"delete":5,"deletes":[{"q":{},"limit":0}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"limit":0}]}`, Unknown, ""},
		{`{"insert":"c","documents":[]}`, Unknown, ""},
		{`{"insert":"c","documents":[5]}`, Unknown, ""},
		{`{"insert":5,"documents":[{"a":1}]}`, Unknown, ""},
		{`{"insert":"c","documents":[{"a":1}],"bypassDocumentValidation":"x"}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":5}]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{}}],"bypassDocumentValidation":"x"}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"multi":"x"}]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"upsert":"x"}]}`, Unknown, ""},
		{`{"findAndModify":"c","query":5,"remove":true}`, Unknown, ""},
		{`{"findAndModify":5,"query":{},"remove":true}`, Unknown, ""},
		{`{"findAndModify":"c","remove":true,"upsert":true}`, Unknown, ""},
		{`{"findAndModify":"c","remove":true,"new":true}`, Unknown, ""},
		{`{"findAndModify":"c","remove":"x"}`, Unknown, ""},
		{`{"findAndModify":"c","remove":"x","update":{"a":1}}`, Unknown, ""},
		{`{"findAndModify":"c","update":{"a":1},"new":"x"}`, Unknown, ""},
		{`{"findAndModify":"c","update":{"a":1},"upsert":"x"}`, Unknown, ""},
		{`{"findAndModify":"c","update":{"a":1},"bypassDocumentValidation":"x"}`, Unknown, ""},
		{`{"findAndModify":"c","update":5}`, Unknown, ""},
		{`{"aGgregate":"c","pipeline":[],"cursor":{}}`, Unknown, ""},
		{`{"Find":"c"}`, Unknown, ""},
		{`{"find":"c","delete":"c","deletes":[{"q":{},"limit":0}]}`, Unknown, ""},
		{`{"commitTransaction":1}`, Unknown, ""},
		{`{"multicast":1,"db":"admin","command":{"dropDatabase":1}}`, Unknown, ""},
		{`{"_shardsvrDropDatabase":1}`, Unknown, ""},
		{`{"clusterDelete":"c"}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$emit":{}}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$match":{},"$out":"x"}],"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":{"0":{"$out":"x"}},"cursor":{}}`, Unknown, ""},
		{`{"aggregate":"c","pipeline":[{"$out":{"s3":{"bucket":"b"}}}],"cursor":{}}`, Unknown, ""},
		{`{"explain":{"drop":"c"}}`, Unknown, ""},
		{`{"explain":{"aggregate":"c","pipeline":[{"$merge":{"into":"x"}}],"cursor":{}}}`, DocumentWrite, "app.x"},
		{`{"explain":{"aggregate":"c","pipeline":[{"$facet":{"a":[{"$out":"x"}]}}],"cursor":{}}}`, DocumentWrite, "app.x"},
		{`{"explain":{"aggregate":"c","pipeline":[{"$out":{"db":"admin","coll":"x"}}],"cursor":{}}}`, Security, "admin.x"},
		{`{"explain":{"delete":"system.users","deletes":[{"q":{},"limit":0}]}}`, Security, "app.system.users"},
		{`{"aggregate":"c","pipeline":[{"$out":"x"}],"cursor":{},"explain":true}`, DocumentWrite, "app.x"},
		{`{"aggregate":"c","pipeline":[{"$match":{}}],"cursor":{},"explain":true}`, Read, ""},
		{`{"create":"v","viewOn":"c","pipeline":[{"$out":"x"}]}`, Unknown, "app.v, app"},
		{`{"create":"v","viewOn":"c","pipeline":[{"$lookup":{"from":"c","as":"d","pipeline":[{"$merge":"x"}]}}]}`, Unknown, "app.v, app"},
		{`{"create":"v","viewOn":"c","pipeline":{"0":{"$out":"x"}}}`, Unknown, "app.v, app"},
		{`{"create":"v","viewOn":"c","pipeline":[{"$match":{}}]}`, Schema, "app.v"},
		{`{"collMod":"v","viewOn":"c","pipeline":[{"$out":"x"}]}`, Unknown, "app.v, app"},
		{`{"update":"c","updates":[{"q":{},"u":[{"$out":"x"}]}]}`, Unknown, "app.c, app"},
		{`{"update":"c","updates":[{"q":{},"u":[{"$set":{"a":1}},{"$merge":"x"}]}]}`, Unknown, "app.c, app"},
		{`{"findAndModify":"c","update":[{"$lookup":{"from":"c","as":"d","pipeline":[]}}]}`, Unknown, "app.c, app"},
		{`{"aggregate":"c","pipeline":[{"$merge":{"into":"x","whenMatched":[{"$out":"y"}]}}],"cursor":{}}`, Unknown, "app"},
		{`{"explain":{"aggregate":"c","pipeline":[{"$zap":1}],"cursor":{}}}`, Unknown, ""},
		{`{"explain":{"find":"c","$db":"other"}}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{},"limit":0}],"explain":true}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{},"limit":2}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":{}}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[{"q":5,"limit":1}]}`, Unknown, ""},
		{`{"delete":"c","deletes":[]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"a":1,"$set":{"b":1}}}]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"a":1},"multi":true}]}`, Unknown, ""},
		{`{"update":"c","updates":[{"q":{},"u":{"$set":{"a":1}},"zap":true}]}`, Unknown, ""},
		{`{"findAndModify":"c","remove":true,"update":{"a":1}}`, Unknown, ""},
		{`{"findAndModify":"c"}`, Unknown, ""},
		{`{"insert":"a$b","documents":[{"a":1}]}`, Unknown, ""},
		{`{"renameCollection":"a.x","to":"b.x"}`, Unknown, ""}, // not sent to admin
	} {
		c, err := Parse("app", js(t, tt.cmd), nil)
		if err != nil {
			t.Errorf("Parse(%s): %v", tt.cmd, err)
			continue
		}
		if c.Class() != tt.class {
			t.Errorf("Parse(%s) = %v (%s), want %v", tt.cmd, c.Class(), c.Why(), tt.class)
		}
		if got := namespaces(c.Targets()); tt.targets != "" && got != tt.targets {
			t.Errorf("Parse(%s) targets %s, want %s", tt.cmd, got, tt.targets)
		}
		if c.Class() == Read && len(c.Targets()) > 0 {
			t.Errorf("Parse(%s) is a read with targets %v", tt.cmd, c.Targets())
		}
	}
}

func TestSystemNamespacesAreRaised(t *testing.T) {
	for _, tt := range []struct {
		db, coll string
		want     Class
	}{
		{"admin", "system.users", Security},
		{"admin", "anything", Security},
		{"config", "chunks", Cluster},
		{"local", "oplog.rs", Cluster},
		{"respect", "environment", Security},
		{"respect", "anything", Security},
		{"app", "respect.environment", Security},
		{"app", "system.js", Security},
		{"app", "systems", DocumentWrite},
		{"respected", "environment", DocumentWrite},
	} {
		c, err := Parse(tt.db, js(t, fmt.Sprintf(`{"delete":%q,"deletes":[{"q":{},"limit":0}]}`, tt.coll)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.Class() != tt.want {
			t.Errorf("delete in %s.%s is %v, want %v", tt.db, tt.coll, c.Class(), tt.want)
		}
		if (c.Writes() != nil) != (tt.want == DocumentWrite) {
			t.Errorf("delete in %s.%s has writes %v", tt.db, tt.coll, c.Writes())
		}
	}
}

func TestOwnCursorsOnly(t *testing.T) {
	owned := func(id int64, ns Namespace) bool { return id == 7 && ns.Collection == "c" }
	for cmd, want := range map[string]Class{
		`{"getMore":{"$numberLong":"7"},"collection":"c"}`:                        Read,
		`{"getMore":{"$numberLong":"8"},"collection":"c"}`:                        Unknown,
		`{"getMore":{"$numberLong":"7"},"collection":"d"}`:                        Unknown, // our cursor, and not there
		`{"killCursors":"c","cursors":[{"$numberLong":"7"}]}`:                     Session,
		`{"killCursors":"c","cursors":[{"$numberLong":"7"},{"$numberLong":"8"}]}`: Operations,
		`{"killCursors":"c","cursors":[{"$numberLong":"8"},{"$numberLong":"7"}]}`: Operations,
		`{"killCursors":"c","cursors":[{"$numberLong":"7"},7]}`:                   Unknown,
	} {
		c, err := Parse("app", js(t, cmd), owned)
		if err != nil {
			t.Fatal(err)
		}
		if c.Class() != want {
			t.Errorf("Parse(%s) = %v, want %v", cmd, c.Class(), want)
		}
	}
}

// P2: the command keeps its own copy, so that nobody can change what was classified.
func TestParseCopiesTheBytes(t *testing.T) {
	cmd := js(t, `{"find":"c"}`)
	c, err := Parse("app", cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range cmd {
		cmd[i] = 0
	}
	if got, _ := c.Raw().Lookup("find").StringValueOK(); got != "c" {
		t.Errorf("the command changed with the caller's bytes: %v", c.Raw())
	}
}

// In no environment may a user choose where, in whose name or how unacknowledged a command runs.
func TestForbiddenFields(t *testing.T) {
	for _, cmd := range []string{
		`{"find":"c","$db":"prod"}`, `{"find":"c","lsid":{}}`, `{"find":"c","startTransaction":true}`, `{"find":"c","shardVersion":1}`,
		`{"currentOp":1,"$db":"prod"}`, `{"find":"c","$or":[]}`, `{"ping":1,"$all":true}`,
		`{"insert":"c","documents":[{"a":1}],"writeConcern":{"w":0}}`, `{"drop":"c","writeConcern":{"w":0.0}}`, `{"drop":"c","writeConcern":0}`,
		// What servers round to 0.
		`{"drop":"c","writeConcern":{"w":0.5}}`, `{"drop":"c","writeConcern":{"w":{"$numberDouble":"NaN"}}}`, `{"drop":"c","writeConcern":{"w":{"$numberDecimal":"0"}}}`,
		`{"drop":"c","writeConcern":{"w":-1}}`, `{"drop":"c","writeConcern":{"w":false}}`, `{"drop":"c","writeConcern":{"w":null}}`, `{"drop":"c","writeConcern":{"j":true,"w":0}}`,
	} {
		if c, err := Parse("app", js(t, cmd), nil); err == nil {
			t.Errorf("Parse(%s) = %v, want an error", cmd, c.Class())
		}
	}
	raw, err := bson.Marshal(bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: bson.D{}}, {Key: "filter", Value: bson.D{}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("app", raw, nil); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a field that stands twice: %v", err)
	}
}

// TestAcknowledged: what waits for an answer may be asked for.
func TestAcknowledged(t *testing.T) {
	for _, wc := range []string{`{}`, `{"w":1}`, `{"w":{"$numberLong":"2"}}`, `{"w":3.0}`, `{"w":"majority","wtimeout":5}`, `{"w":{"dc":1}}`, `{"j":true}`} {
		c, err := Parse("app", js(t, `{"drop":"c","writeConcern":`+wc+`}`), nil)
		if err != nil || c.Class() != Schema {
			t.Errorf("writeConcern %s: %v, %v", wc, c, err)
		}
	}
}

// twice is a document with a field that stands twice, which Extended JSON cannot say.
func twice(t testing.TB, key string, values ...any) bson.Raw {
	t.Helper()
	var d bson.D
	for _, v := range values {
		d = append(d, bson.E{Key: key, Value: v})
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestFieldsThatStandTwice: where two fields of one name could mean one thing to us and another to the server.
func TestFieldsThatStandTwice(t *testing.T) {
	out := bson.A{bson.D{{Key: "$out", Value: "x"}}}
	pipeline := func(stage string, arg any) bson.D {
		return bson.D{{Key: "aggregate", Value: "c"}, {Key: "pipeline", Value: bson.A{bson.D{{Key: stage, Value: arg}}}}, {Key: "cursor", Value: bson.D{}}}
	}
	coll := func(key, a, b string) bson.D {
		return bson.D{{Key: "coll", Value: "x"}, {Key: "replace", Value: "x"}, {Key: key, Value: a}, {Key: key, Value: b}}
	}
	statement := func(name, list string, fields ...bson.E) bson.D {
		return bson.D{{Key: name, Value: "c"}, {Key: list, Value: bson.A{append(bson.D{{Key: "q", Value: bson.D{}}}, fields...)}}}
	}
	for _, cmd := range []bson.D{
		pipeline("$out", coll("db", "a", "b")[2:]),
		pipeline("$out", bson.D{{Key: "coll", Value: "x"}, {Key: "db", Value: "a"}, {Key: "db", Value: "b"}}),
		pipeline("$merge", twice(t, "into", "x", "y")),
		pipeline("$merge", bson.D{{Key: "into", Value: bson.D{{Key: "coll", Value: "x"}, {Key: "db", Value: "a"}, {Key: "db", Value: "b"}}}}),
		pipeline("$lookup", twice(t, "pipeline", bson.A{}, out)),
		pipeline("$unionWith", twice(t, "pipeline", bson.A{}, out)),
		pipeline("$rankFusion", twice(t, "input", bson.D{{Key: "pipelines", Value: bson.D{}}}, bson.D{{Key: "pipelines", Value: bson.D{{Key: "a", Value: out}}}})),
		pipeline("$scoreFusion", bson.D{{Key: "input", Value: twice(t, "pipelines", bson.D{}, bson.D{{Key: "a", Value: out}})}}),
		{{Key: "mapReduce", Value: "c"}, {Key: "out", Value: bson.D{{Key: "replace", Value: "x"}, {Key: "db", Value: "a"}, {Key: "db", Value: "b"}}}},
		{{Key: "bulkWrite", Value: 1}, {Key: "nsInfo", Value: bson.A{twice(t, "ns", "a.x", "b.y")}}},
		{{Key: "applyOps", Value: bson.A{bson.D{{Key: "op", Value: "i"}, {Key: "ns", Value: "a.x"}, {Key: "ns", Value: "b.y"}}}}},
		{{Key: "applyOps", Value: bson.A{bson.D{{Key: "op", Value: "c"}, {Key: "ns", Value: "a.$cmd"}, {Key: "o", Value: twice(t, "applyOps", bson.A{}, bson.A{})}}}}},
		statement("delete", "deletes", bson.E{Key: "limit", Value: 1}, bson.E{Key: "limit", Value: 0}),
		statement("update", "updates", bson.E{Key: "u", Value: bson.D{{Key: "a", Value: 1}}}, bson.E{Key: "u", Value: bson.A{}}),
	} {
		raw, err := bson.Marshal(cmd)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse("app", raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.Class() != Unknown {
			t.Errorf("Parse(%s) = %v, want unknown", raw, c.Class())
		}
	}
	index := twice(t, "unique", true, false)
	raw, err := bson.Marshal(bson.D{{Key: "collMod", Value: "c"}, {Key: "index", Value: index}, {Key: "dryRun", Value: true}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Parse("app", raw, nil); err != nil || c.Class() != Schema {
		t.Errorf("Parse(%s) = %v, %v, want schema", raw, c.Class(), err)
	}
	raw, err = bson.Marshal(bson.D{{Key: "drop", Value: "c"}, {Key: "writeConcern", Value: twice(t, "w", 1, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Parse("app", raw, nil); err == nil {
		t.Errorf("Parse(%s) = %v, want an error", raw, c.Class())
	}
}

func TestNoCommandAtAll(t *testing.T) {
	for _, tt := range []struct {
		db  string
		cmd bson.Raw
	}{
		{"app", append(js(t, `{"find":"c"}`), "\x10a\x00\x01\x00\x00\x00\x00"...)}, {"app", append(js(t, `{"find":"c"}`), 0)}, // more behind the end
		{"app", bson.Raw("\x1e\x00\x00\x00\x02find\x00\x02\x00\x00\x00c\x00\x03filter\x00\x05\x00\x00\x00\x07\x00")}, // a filter without its end
		{"app", nil}, {"app", bson.Raw{5, 0, 0, 0, 0}}, {"app", bson.Raw{1, 2, 3}}, {"", js(t, `{"find":"c"}`)}, {"a.b", js(t, `{"find":"c"}`)}, {"a b", js(t, `{"find":"c"}`)},
	} {
		if c, err := Parse(tt.db, tt.cmd, nil); err == nil {
			t.Errorf("Parse(%q, %v) = %v, want an error", tt.db, tt.cmd, c.Class())
		}
	}
}

// TestWellFormed: what is damaged anywhere is no command, however deep.
func TestWellFormed(t *testing.T) {
	whole := js(t, `{"find":"c","filter":{"a":[{"b":{"c":1}}],"d":{"$code":"x","$scope":{"e":{"f":1}}}}}`)
	if _, err := Parse("app", whole, nil); err != nil {
		t.Fatal(err)
	}
	for _, inner := range []string{"filter", "a", "b", "$scope", "e"} {
		damaged := slices.Clone(whole)
		key := strings.TrimPrefix(inner, "$scope")
		at := bytes.Index(damaged, append([]byte{3}, key+"\x00"...)) + len(key) + 2
		switch inner {
		case "a":
			at = bytes.Index(damaged, []byte("\x04a\x00")) + 3
		case "$scope":
			at = bytes.Index(damaged, []byte("x\x00")) + 2
		}
		size := int(binary.LittleEndian.Uint32(damaged[at:]))
		damaged[at+size-1] = 7 // its last byte
		if c, err := Parse("app", damaged, nil); err == nil {
			t.Errorf("%s does not end, and is %v", inner, c.Class())
		}
	}
	for _, d := range []struct {
		at string
		by byte
	}{{"\x10c\x00", 0x42}, {"\x10f\x00", 0x42}, {"\x0fd\x00", 0x42}, {"\x02\x00\x00\x00x\x00", 0x77}} { // types that there are not, and code that is longer than its place
		damaged := slices.Clone(whole)
		damaged[bytes.Index(damaged, []byte(d.at))] = d.by
		if c, err := Parse("app", damaged, nil); err == nil {
			t.Errorf("%q is %#x, and the command is %v", d.at, d.by, c.Class())
		}
	}
	for i := range whole { // whatever is cut off
		if c, err := Parse("app", whole[:i], nil); err == nil {
			t.Errorf("%d bytes are %v", i, c.Class())
		}
	}
	nested := func(depth int) bson.Raw {
		var v any = 1
		for range depth {
			v = bson.D{{Key: "a", Value: v}}
		}
		raw, err := bson.Marshal(bson.D{{Key: "find", Value: "c"}, {Key: "filter", Value: v}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if _, err := Parse("app", nested(200), nil); err != nil {
		t.Error(err)
	}
	if _, err := Parse("app", nested(201), nil); err == nil {
		t.Error("it nests without end")
	}
}

func TestTheZeroClassIsUnknown(t *testing.T) {
	var c Class
	if c != Unknown || c.String() != "unknown" {
		t.Errorf("the zero Class is %v", c)
	}
}

func ExampleParse() {
	cmd, err := bson.Marshal(bson.D{
		{Key: "aggregate", Value: "orders"},
		{Key: "pipeline", Value: bson.A{bson.D{{Key: "$out", Value: bson.D{{Key: "db", Value: "prod"}, {Key: "coll", Value: "users"}}}}}},
		{Key: "cursor", Value: bson.D{}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := Parse("staging", cmd, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Class(), c.Targets())
	// Output: document write [prod.users]
}
