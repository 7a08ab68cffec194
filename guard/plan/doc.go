// Package plan makes, stores and opens the immutable value that says what one question is about.
//
//	queued statements ─► Builder ─► reads only ─► documents pinned, before-images spooled, after-images computed ─► Plan
//	schema commands   ─► Schema  ─► reads only ─► what goes, what is saved, the inverse                          ─► Plan
//	a change          ─► Undo    ─► reads only ─► three-way: before, after, now                                 ─► Plan
//
// A plan is made by planning or by opening its file; it has no setters. What is shown, confirmed, executed and undone is the file:
//
//	changes/<change>/plan.jsonl                       header, commands, one line a document with its hashes, totals; the
//	                                                  digest is the SHA-256 of this file
//	changes/<change>/before/<db>/<collection>.bson.gz before-images, as mongodump --gzip writes them, with <collection>.metadata.json.gz
//	changes/<change>/after/<db>/<collection>.bson.gz  documents that will be inserted or replace others
//	changes/<change>/after/step-<n>.bson              what a command left that is not about documents
//	changes/<change>/after.idx                        one line a document: the hash of its after-image as the server has it
//	changes/<change>/RESTORE.txt                      how to restore without this program
//
// What is sent is a pure function of the plan file and the spooled images (Derive). The condition that a document is still as
// it was shown is written by one pure function (StillAs), whose comment says what it cannot see.
//
// Not seen to run on a real mongod yet: the expr road (whole-document equality), shard keys, collations, pipeline updates and how they are
// foreseen ($documents), arrayFilters, and all of run.go.
package plan
