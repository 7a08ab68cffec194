package terminal

import (
	"context"
	"io"
	"testing"
	"time"
)

// pressed is a terminal on which these reads come in, and then nothing.
type pressed struct {
	reads []string
	end   error
}

func (p *pressed) Write(b []byte) (int, error) { return len(b), nil }

func (p *pressed) raw() error { return nil }

func (p *pressed) Busy() error { return nil }

func (p *pressed) discard() error { return nil }

func (p *pressed) arrive(d time.Duration) (b []byte, from, to time.Time, err error) {
	b, err = p.read(d)
	return b, from, to, err
}

func (p *pressed) read(time.Duration) ([]byte, error) {
	if len(p.reads) == 0 {
		return nil, p.end
	}
	b := p.reads[0]
	p.reads = p.reads[1:]
	return []byte(b), nil
}

func TestPressesAreKeysOnly(t *testing.T) {
	got := ""
	for k := range presses(t.Context(), &pressed{reads: []string{" ", "n", "\x1b[A", "\x1b[200~wq\x1b[201~", "ä.", "\x03"}, end: io.EOF}) {
		got += string(k)
	}
	if want := " nä.\x03"; got != want {
		t.Errorf("keys %q, want %q", got, want)
	}
}

func TestPressesEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	keys := presses(ctx, &pressed{})
	cancel()
	for range keys {
		t.Error("a key")
	}
}
