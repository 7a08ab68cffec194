// Package terminal is the terminal quarantine: the one importer of go-prompt and of x/term.
//
//	bytes ─► keys.go: one token a key, a paste is one token ─► Editor (go-prompt's line editor and menu)   the prompt
//	                                                       └─► Confirm: flushed, typed, not pasted          a question
//
// go-prompt v0.2.6 never restores the terminal, loses signals and answers questions from a paste. So only its line editor, menu and renderer are used: one
// Prompt for the life of the shell, Input once per line, with our own reader, writer, terminal modes and signals.
//
// A question is answered only by keys that were pressed after it was shown: what was typed ahead is flushed, a paste is refused, with
// brackets or without, and so is what comes faster than fingers. A program that types as slowly as a person cannot be told from
// one here; against that stands the random code in the phrase, and a second person.
package terminal
