// Package journal is the file that a session leaves behind: its format, how it is written, verified and read.
//
//	Writer ─► lines ─► Seal ─► heads.notes, witness
//	               └─► Scan ─► Verify ─┬► Record: sessions, problems, changes ─► package player, changes, prune
//	               └─► index ─► Indexed ─┘
//
// What events say of changes is folded in one place (fold.go), and put in order in one place (order.go), whoever asks.
//
// # Format, version 2
//
// State lives in one directory (mode 0700; files 0600):
//
//	sessions/<session>/journal.jsonl   the journal
//	sessions/<session>/journal.idx     where lines stand in it (index.go); derived, never needed, never trusted
//	sessions/<session>/lock            flock(2)-ed by the process that writes it
//	heads.notes                        the seals of all sessions, in the order in which they were made
//	keys/seal.key, keys/seal.pub       the key that seals, private and public
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
// then and that no earlier session names; so a session that is removed as a whole is missed by a later one. A session that ended in order has
// a line of kind "close", behind which only its seal may stand. A line without "\n" at the end of the file is torn: a crash
// came while it was written. Whatever else does not verify was not written by this program.
//
// Lines are appended; those that something depends on are synced before it happens: intent before the first byte of a
// guarded write, outcome before it is reported. A file whose writer is gone is never appended to: what is found out later about its changes is
// a "recovery" event in a later session.
//
// # Seals
//
// A line of kind "seal" has the body {"note":"…"}. The note is a signed note as golang.org/x/mod/sumdb/note specifies it, Ed25519, under the key
// that the session's first line names in "key". Its text is four lines, each ended by "\n":
//
//	respect journal
//	<session>
//	<N> <H>            of the line before the seal
//	<T>                when it was sealed
//
// Since H covers all lines before it, a seal covers the whole session up to itself. A session seals its first line, each intent before the
// change, each outcome after it, and its close, and goes on only then: one that names a key and has an input, a plan, an intent, an outcome or a close behind such
// a line without a seal in between was not written by this program. A session that names no key stands in no state directory that has one, unless a
// sealed session names it in "previous".
//
// When a seal is durable in the journal, its note is appended, behind an empty line, to heads.notes and to the witness that the first line names in "witness":
// a file, best on another machine's disk, which may be shared by many state directories. A note that a crash cut off is the beginning of one that a
// journal has. Where it fails, it is appended together with the next one; so the
// last notes of a session may be missing in heads.notes, and none that stands before another one.
//
// # What it proves
//
// To who has nothing but the state directory: that lines up to the last seal of each session were not edited, inserted, removed or reordered, and that no session
// was removed that a later one names, by anybody who does not have the private key; and what comes behind the last seal, by anybody who did not compute
// every hash after it anew. Who can write there can take away the end: the newest sessions with their notes, and what of a session stands behind a seal. The
// latter looks like a crash and is reported as such, not as tampering; the former is known to a witness alone.
//
// The operator has the key. To who trusts the witness, or knows the public key from before (Options.Keys): that the operator did not do it either, as
// far as the witness has seals. What was never sealed before the machine was taken over is proven by nothing.
//
// # Verifying without this program
//
// For each session: compute H of each line, compare P with the H before it, N with its place. For each line of kind "seal": verify the note under the key,
// compare its session, N and H. See that no session goes on without a seal where one belongs. For each "previous" entry, each note of heads.notes and each note of the witness under a known key: the session is
// there, its line N has that H, and right behind it stands the seal with this note, byte for byte; "previous" names last lines.
//
// # Version 1
//
// Had no seals, no keys and no heads.notes; "close" was always the last line. It is still read (testdata/format1).
package journal
