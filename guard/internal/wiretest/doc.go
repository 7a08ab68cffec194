// Package wiretest has two servers for tests, which speak MongoDB's wire protocol.
//
//	Double  a proxy in front of a real server. It records every command on the wire, loses and delays replies, and does what the
//	        embedded server does not: whole-document equality ($$ROOT, $bsonSize), so that the real road is walked too.
//	Fake    answers from a function of the test's, for replies that are large or impossible.
//
// Neither becomes a second database: Double keeps no data, Fake has no commands of its own but the handshake.
package wiretest
