// Package guard is the one road from what an operator typed to a server. It imports no shell, no JavaScript and no terminal: it cannot be
// persuaded by what it guards.
//
//	Statement.Run(db, bytes)                                                         statement.go
//	 ├ command.Parse      what may it do? unknown = write                            command/table.go
//	 ├ read               ─► settle what it depends on ─► send (bounded on production)
//	 ├ Statement.decide   environment of all its targets ─► policy                   environment/, policy/ (default and files)
//	 ├ refused            ─► nothing was sent
//	 ├ document write     ─► queue ──┐ nothing is sent
//	 │   $out, $merge, mapReduce: what they compute is read; the difference that it makes is the write      output.go
//	 ├ schema             ───────────┤
//	 └ not guarded        ─► confirm ─► send │ recorded, on the verified connection                                identity.go
//	                                 ▼
//	 plan (reads only, one pass): pinned documents, before-images, facts, digest     plan/
//	                                 ▼
//	 Statement.carryOut                                                              carryout.go
//	   confirm ─► ask ─► confirm ─► room? ─► seal the backup ─► intent + sync, read back ─► execute ─► outcome + sync ─► receipt
//	                                                                       execute.go, steps.go: confirm before each write
//
// confirm asks the server, on the very connection, who it is and what its marker says (identity.go): a tunnel may have been pointed elsewhere, and a marker raised.
//
// A command can leave the process in five places, the calls of wire.Server.Run; internal/wire lets only those bytes pass that it was permitted.
//
//	Statement.send      statement.go   what policy does not guard: reads, and writes on the connection whose server was classified
//	execution.command   execute.go     what was confirmed, on that connection
//	Deployment.aside    deployment.go  one write: the end of an index build that the change itself began, while its connection waits for that build
//	Deployment.Read     deployment.go  reads, and nothing else, on the side connection
//	mainReader.Read     deployment.go  reads, and nothing else
//
// Undo is a plan like any other (undo.go, plan/undo.go), and so is the marker (mark.go). After a crash a later session asks Gate.Recover what came of
// a change; the journal is the only truth about outcomes (replay/journal).
//
// # Promises
//
// Where the code keeps each, and which test fails if it does not. The tests named Test… are in this package unless a path is given.
//
//	P1  No way around         command.Parse, command/table.go: no row, no read      TestP1NoWayAround, TestP1ReadsCannotWrite,
//	                                                                                TestEvasions, FuzzPrograms
//	                          internal/wire: the tripwire                           internal/wire TestTripwire
//	P2  What was shown runs   plan/: one file, its digest; plan.Derive,             TestP2InterferenceDuringTheQuestion,
//	                          execution.batch: byte-for-byte re-read, condition     TestP2InterferenceInTheLastMoment,
//	                                                                                TestP2NewDocumentsAreLeftAlone,
//	                                                                                TestForeignWritesAreNeverLost
//	P3  Fail closed           carryOut: every way out before the intent             TestP3FailClosed, TestP3JournalFails,
//	                                                                                TestP3UnknownCountsAsProduction
//	P4  A person answers      accept in carryout.go; shell/terminal's Confirm       TestP4APersonAnswers, TestP4NothingRunsAfterANo,
//	                                                                                cmd/respect TestScript (conference_evening)
//	P5  Undoable, or said     Plan.Seal, execution.drop, plan.Undo, plan/run.go     TestGuardedWrites, TestCommandsWithAnInverse,
//	                                                                                TestKillMatrix, shell TestIncidents
//	P6  Recorded before       recordSync of the intent in carryOut                  TestP6RecordedBeforeItHappens, TestKillMatrix
//	P7  Reads are free        Statement.read, command.Bounded                       TestP7ReadsAreFree
//	P8  Gentle                plan.Reader; execution.documents: batches, stop       TestP8Gentle, TestPacer
//	P9  Untrusted text        replay.Safe, shell/render                             shell/render TestNothingHostileIsPrinted,
//	                                                                                cmd/respect TestScript (hostile)
//	P10 Receipt tells truth   execution.readBack, sortOut, examine                  TestP10TheReceiptTellsTheTruth, TestLostReplies
//
// # Not seen to run on a real MongoDB
//
// The tests run over FerretDB, and over a double that adds whole-document equality to it. Written from the manual and not yet seen on a
// mongod:
//
//	the road with $expr, $$ROOT and $bsonSize (plan.StillAs) against a real planner; what undo sends for unusual documents ($replaceWith of a $literal)
//	write concern errors; the delay of secondaries (replSetGetConfig) and their lag (replSetGetStatus) under load
//	index builds: their progress in currentOp, finding one again, stopping it (indexbuild.go)
//	a mongos: shard keys in filters, statements that move a document, drops before 5.0, renaming aside in a sharded database
//	views, time series, clustered, capped and encrypted collections in plans; bypassDocumentValidation in undo
//	pipelines that the server evaluates on documents that are handed to it ($documents, 5.1); mapReduce inline; $merge by its stages' words (output.go)
//	the announcement of collection scans by a real explain (announce.go)
//	all of plan/run.go (collMod, views, users, roles, parameters, the profiler, killOp, cloneCollectionAsCapped) and the shell's show users, roles, profile
//	and logs, which have met only answers that tests make up
//
// Set RESPECT_TEST_MONGODB to a server for tests and run the tests of this package to see them.
package guard
