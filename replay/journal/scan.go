package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"

	"respect/replay"
)

// Scan reads lines and hands each verified event to each, in order. It stops at the first line that does not verify, whose
// problem is returned with its line number. torn is the length of an incomplete last line. Memory is bounded by a few parts of the file and its longest line.
// An event and what it holds may be kept, unless passing is set: then it belongs to each until that returns, and memory is used again.
//
//	reader ─► parts of whole lines ─► parsed and hashed on all processors ─► in order: chain ─► each
func Scan(r io.Reader, passing bool, each func(replay.Event) error) (torn, line int, err error) {
	s := scan{parts: make(chan *part, runtime.GOMAXPROCS(0)+1), quit: make(chan struct{}), free: make(chan []byte, runtime.GOMAXPROCS(0)+3)}
	go s.read(r)
	defer s.end()
	c := chain{prev: zeroHash}
	for p := range s.parts {
		<-p.done
		for i := range p.events {
			line++
			if err := c.follow(p.events[i], line); err != nil {
				return 0, line, err
			}
			if err := each(p.events[i]); err != nil {
				return 0, line, err
			}
		}
		if p.err != nil {
			return 0, line + 1, p.err
		}
		torn = p.torn
		if passing {
			select {
			case s.free <- p.buf:
			default:
			}
		}
	}
	return torn, line + 1, nil
}

// chain is what the next line must follow.
type chain struct {
	prev string
	seq  uint64
}

func (c *chain) follow(e replay.Event, line int) error {
	if e.Seq != c.seq || e.Prev != c.prev {
		return fmt.Errorf("%w: seq %d prev %s, wanted seq %d prev %s", ErrChain, e.Seq, e.Prev, c.seq, c.prev)
	}
	if (c.seq == 0) != (e.Kind == replay.KindOpen) {
		return fmt.Errorf("%w: kind %s as line %d", ErrChain, e.Kind, line)
	}
	c.prev, c.seq = e.Hash, c.seq+1
	return nil
}

// partSize is how much of a file is parsed together; the first parts are smaller.
const partSize = 1 << 20

// part are whole lines, one behind the other, and what they say.
type part struct {
	lines  []byte
	buf    []byte // that they stand in
	at     int64  // where they begin in the file
	events []replay.Event
	torn   int
	err    error
	done   chan struct{} // closed when events are there
}

func (p *part) parse() {
	defer close(p.done)
	at := p.at
	for rest := p.lines; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			p.torn = len(rest)
			return
		}
		e, err := ParseLine(rest[:i])
		if err != nil {
			p.err = err
			return
		}
		e.At, e.Size = at, int64(i)
		p.events = append(p.events, e)
		rest, at = rest[i+1:], at+int64(i)+1
	}
}

// scan reads a file ahead of who looks at it.
type scan struct {
	parts chan *part
	quit  chan struct{}
	free  chan []byte // buffers that may be used again
}

// buffer is one of so many bytes, with anything in it.
func (s *scan) buffer(n int) []byte {
	select {
	case b := <-s.free:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]byte, n)
}

// read cuts the file into parts. It ends when the file does, or when nobody wants more.
func (s *scan) read(r io.Reader) {
	defer close(s.parts)
	var rest []byte
	at := int64(0)
	hand := func(lines, buf []byte, err error) bool {
		p := &part{lines: lines, buf: buf, at: at, done: make(chan struct{})}
		at += int64(len(lines))
		if err != nil {
			p.err = err
			close(p.done)
		} else {
			go p.parse()
		}
		select {
		case s.parts <- p:
			return err == nil
		case <-s.quit:
			return false
		}
	}
	for size := 16 << 10; ; size = min(4*size, partSize) {
		buf := s.buffer(len(rest) + size) // rest may stand in a buffer that is free already: nobody else writes to those
		n := copy(buf, rest)
		m, err := io.ReadFull(r, buf[n:])
		buf = buf[:n+m]
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			if len(buf) > 0 {
				hand(buf, buf, nil)
			}
			return
		case err != nil:
			hand(nil, nil, err)
			return
		}
		end := bytes.LastIndexByte(buf, '\n') + 1
		if end == 0 && len(buf) > maxLine {
			hand(nil, nil, fmt.Errorf("%w: longer than %d bytes", ErrFormat, maxLine))
			return
		}
		if end > 0 && !hand(buf[:end:end], buf, nil) {
			return
		}
		rest = buf[end:]
	}
}

// end lets go of what was read ahead.
func (s *scan) end() {
	close(s.quit)
	for p := range s.parts {
		<-p.done
	}
}
