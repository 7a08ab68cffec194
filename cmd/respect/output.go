package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"respect/guard"
	"respect/shell"
	"respect/shell/render"
	"respect/shell/terminal"
)

// results is standard output. It remembers the first error of a write, and ends with it what is being done: nobody would see what comes of it. A change that
// runs ends after its running batch.
type results struct {
	w   io.Writer
	end context.CancelCauseFunc
	mu  sync.Mutex
	err error
}

// Write implements io.Writer.
func (r *results) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.w.Write(p)
	if err != nil {
		r.err = err
		r.end(&guard.Ended{Why: "because standard output could not be written: " + plain(err).Error()})
	}
	return n, err
}

// failed is the error of the first write that failed.
func (r *results) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// plain is an error of a file without the file.
func plain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// unwritten is what is said of an output that failed, and the exit status that it deserves. Who reads no more, as head does, has what he wanted: nothing is said.
func (a *app) unwritten(code int, applied bool) (text string, _ int) {
	err := a.results.failed()
	if err == nil {
		return "", code
	}
	if code == shell.ExitDone || code == shell.ExitError {
		code = shell.ExitError
		if applied {
			code = shell.ExitPartly
		}
	}
	if errors.Is(err, syscall.EPIPE) {
		return "", code
	}
	return fmt.Sprintf("error: what was asked for could not be written to standard output: %s\n", safe(plain(err).Error())), code
}

// file is the file below a writer, if there is one.
func file(w io.Writer) *os.File {
	if r, ok := w.(*results); ok {
		w = r.w
	}
	f, _ := w.(*os.File)
	return f
}

// folded is text for people on standard output, as wide as their terminal; where there is none, a line stays a line.
func (a *app) folded(text string) string { return render.Fold(text, columns(a.out)) }

// say writes text for people to standard output, as wide as their terminal.
func (a *app) say(format string, args ...any) {
	fmt.Fprint(a.out, a.folded(fmt.Sprintf(format, args...)))
}

// foldedErr is folded for standard error.
func (a *app) foldedErr(text string) string { return render.Fold(text, columns(a.err)) }

// columns are those of a terminal; 0 for what is none.
func columns(w io.Writer) int {
	f := file(w)
	if !isTerminal(f) {
		return 0
	}
	return terminal.Columns(f)
}

// folding folds what is written to it line by line, for what is long. Its end, without a newline, waits for Flush.
type folding struct {
	w       io.Writer
	columns int
	rest    []byte
}

// Write implements io.Writer.
func (f *folding) Write(p []byte) (int, error) {
	if f.columns == 0 {
		return f.w.Write(p)
	}
	f.rest = append(f.rest, p...)
	end := bytes.LastIndexByte(f.rest, '\n') + 1
	if end == 0 {
		return len(p), nil
	}
	_, err := io.WriteString(f.w, render.Fold(string(f.rest[:end]), f.columns))
	f.rest = append(f.rest[:0], f.rest[end:]...)
	return len(p), err
}

// Flush writes what is left.
func (f *folding) Flush() error {
	_, err := f.w.Write(f.rest)
	f.rest = nil
	return err
}
