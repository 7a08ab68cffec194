package player

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// Follow is a tape that grows with a session that is running.
type Follow struct {
	*Tape
	lock string
	head replay.Head // of what the tape has
	end  int64       // in the file
}

// Follow makes the tape of a session of which more may come. The caller closes it.
func (r Record) Follow() (*Follow, error) {
	t, err := r.Tape()
	if err != nil {
		return nil, err
	}
	return &Follow{Tape: t, lock: filepath.Join(filepath.Dir(r.file()), "lock"), head: r.Session.Head(), end: r.Session.Bytes}, nil
}

// Grow adds what was recorded since. It says whether there may be more: whether the session is running. Each line is checked against its hash and the line before
// it; the seals are not.
func (f *Follow) Grow() (more bool, err error) {
	if more, err = durable.Held(f.lock); err != nil {
		return false, err
	}
	in := bufio.NewReader(io.NewSectionReader(f.file, f.end, math.MaxInt64-f.end))
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // a line that is not whole is being written
			if len(line) > 0 && !more {
				f.cut.add(Frame{loud: []string{fmt.Sprintf("the last line is torn (%d bytes): the program was stopped while it was written", len(line))}})
			}
			return more, nil
		}
		if err != nil {
			return false, err
		}
		if err := f.line(line[:len(line)-1]); err != nil {
			return false, err
		}
	}
}

func (f *Follow) line(text []byte) error {
	e, err := journal.ParseLine(text)
	if err == nil && (e.Prev != f.head.Hash || e.Seq != f.head.Seq+1) {
		err = journal.ErrChain
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", f.head.Seq+2, err)
	}
	e.At, e.Size = f.end, int64(len(text))
	f.head.Seq, f.head.Hash, f.end = e.Seq, e.Hash, f.end+e.Size+1
	return f.cut.event(e)
}
