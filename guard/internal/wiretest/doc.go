// Package wiretest has servers for tests, which speak MongoDB's wire protocol.
//
//	Double      a proxy in front of a real server. It records every command on the wire, loses, delays and cuts off what a test tells it to, and does
//	            what the embedded server does not: whole-document equality ($$ROOT, $bsonSize), so that the real road is walked too.
//	ReplicaSet  doubles in front of one server that say they are the members of a set: hello, retryable writes, step-down in the middle of a batch,
//	            cluster times, cursors that one member knows, replication lag.
//	Fake        answers from a function of the test's, for replies that are impossible or broken.
//	Memory      a server of its own with a few documents and an identity, for tests that need several, restarted, and anew thousands of times.
//	Forwarder   a tunnel whose other end is moved between two messages.
//	Bulk        one large collection at full speed that keeps no documents, for measuring what a client costs; with a Service, a server that is as slow
//	            as it is told, on which a Workload of other clients measures what a change does to them.
//
//	client ─► Double ─► hook: Before ─► hook: OnCommand ─► Fault ─► statement by statement, or whole ─► the server behind
//	            │                                            └► answer instead, close, hang, delay, step down
//	            └► Commands: what was sent, in order
//
// None becomes a second database: Double and ReplicaSet keep no documents, Fake has no commands of its own but the handshake, and Bulk and Memory refuse whatever
// goes beyond what a guard needs to change a collection; what a filter or an update means they do not judge.
//
// What is said here of MongoDB was read in its manual, in the drivers' specifications and in the server's source; the lines that obey them name them. It has
// never been compared with a running mongod. Known to differ: see ReplicaSet.
package wiretest
