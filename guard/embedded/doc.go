// Package embedded is a MongoDB-compatible server inside the process: FerretDB v1 on SQLite, for the demo and for tests.
//
//	clients ─► front ─► FerretDB ─► SQLite
//	            front.go: lets nobody in before the data is whole, and one write at a time
//	            lookup.go: brings commands into a form that FerretDB looks up
//
// It is a standalone without $expr, transactions, views, validators, users, and it accepts some options that it then
// ignores. What it refuses, MongoDB may well be able to do: the shell says so (Explain).
//
// The build tag respect_no_embedded leaves it and its 100 modules out, and so does the race detector, under which it is
// about ten times slower: tests start "respect demo --serve" as a child process built without -race.
// It sends nothing anywhere: telemetry is off when FerretDB is embedded, and its logs are discarded unless a writer is given.
//
// A write that was answered survives the end of the process, and may not survive a power cut.
package embedded

import "io"

// Options say where the server keeps its data and where it listens.
type Options struct {
	// Dir is an existing directory for the data, one SQLite file a database. It is locked: one server a directory.
	Dir string
	// Address is host:port; port 0 means any free one. Empty means 127.0.0.1:0.
	Address string
	// Logs receives the server's own log; nil discards it.
	Logs io.Writer
}

// Version names the module and version that is embedded.
const Version = "FerretDB v1.24.2 (SQLite)"
