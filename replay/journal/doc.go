// Package journal is the file that a session leaves behind: its format, how it is written, verified and read.
//
// # Format, version 1
//
// State lives in one directory (mode 0700; files 0600):
//
//	sessions/<session>/journal.jsonl   the journal
//	sessions/<session>/lock            flock(2)-ed by the process that writes it
//	changes/<change>/…                 immutable files of a change (package guard/plan)
//
// A session's name is its start, UTC, and random letters: 20261122T184702.482Z-k7q3m. A journal is a
// sequence of lines, each ended by one "\n" (0x0a) and each one JSON object with exactly these members in this order and without white space:
//
//	{"seq":N,"time":"T","kind":"K","body":B,"prev":"P","hash":"H"}
//
//	N  0, 1, 2, … decimal
//	T  RFC 3339, UTC, nanoseconds as needed
//	K  a kind (package replay), letters a–z
//	B  one JSON object; what its members mean is told by package replay
//	P  the H of the line before; 64 zeros in the first line
//	H  lower-case hex SHA-256 of the line's bytes from its first "{" to the quotation mark that ends P
//
// Characters that could act on a terminal or on a reader's eyes (C0, C1, bidirectional and zero-width) stand as \u escapes
// in all strings, so that the file can be shown with cat and less.
//
// The first line has kind "open" and names, in "previous", the last seq and hash of every session that had ended by
// then and that no earlier session names; so a session that is removed as a whole is missed by a later one. The last line of
// a session that ended in order has kind "close". A line without "\n" at the end of the file is torn: a crash
// came while it was written. Whatever else does not verify was not written by this program.
//
// Lines are appended; those that something depends on are synced before it happens: intent before the first byte of a
// guarded write, outcome before it is reported. A file whose writer is gone is never appended to: what is found out later about its changes is
// a "recovery" event in a later session.
//
// What the chain proves: that lines were not edited, inserted, removed or reordered by somebody who did not recompute every
// hash after them. It does not prove who wrote it: signatures and a witness are not part of version 1.
package journal
