package guard

import (
	"strings"
	"testing"
	"time"

	"respect/guard/policy"
)

var steady = policy.Pace{Batch: 100 * time.Millisecond, Busy: 100, MaxLag: time.Second, StopLag: time.Minute}

// TestPacer: batches grow to the time that policy gives them, shrink when the server takes longer, and make room when it is busy with others.
func TestPacer(t *testing.T) {
	t.Parallel()
	t.Run("grows to its limit on a quick server, without rest", func(t *testing.T) {
		p := newPacer(steady, 1000)
		for range 10 {
			if rest := p.took(p.size, time.Duration(p.size)*time.Microsecond); rest != 0 {
				t.Fatalf("rests for %v", rest)
			}
		}
		if p.size != 1000 {
			t.Errorf("size %d, want 1000", p.size)
		}
	})
	t.Run("keeps to the target on a slow one", func(t *testing.T) {
		p := newPacer(steady, 1000)
		for range 20 {
			p.took(p.size, time.Duration(p.size)*2*time.Millisecond)
		}
		if d := time.Duration(p.size) * 2 * time.Millisecond; d > 2*steady.Batch || d < steady.Batch/4 {
			t.Errorf("a batch of %d documents takes %v, want about %v", p.size, d, steady.Batch)
		}
	})
	t.Run("one document that takes long is a batch of one", func(t *testing.T) {
		p := newPacer(steady, 1000)
		for range 20 {
			p.took(p.size, time.Duration(p.size)*time.Second)
		}
		if p.size != 1 {
			t.Errorf("size %d, want 1", p.size)
		}
	})
	t.Run("rests while the server is busy, and stops resting", func(t *testing.T) {
		p := newPacer(steady, 1000)
		p.took(100, 10*time.Millisecond)
		var last time.Duration
		for range 4 {
			rest := p.took(100, 90*time.Millisecond)
			if rest < last || rest == 0 {
				t.Fatalf("rests for %v after %v", rest, last)
			}
			last = rest
		}
		if last != 90*time.Millisecond {
			t.Errorf("rests for %v after a batch of 90 ms", last)
		}
		if rest := p.took(1000, time.Hour); rest > maxRest {
			t.Errorf("rests for %v at once", rest)
		}
		for range 6 {
			last = p.took(100, 10*time.Millisecond)
		}
		if last != 0 {
			t.Errorf("still rests for %v", last)
		}
	})
	t.Run("a server of this process's own that is slow is not busy with others", func(t *testing.T) {
		p := newPacer(steady, 1000)
		p.ours = true
		p.took(100, 10*time.Millisecond)
		for range 4 {
			if rest := p.took(100, 90*time.Millisecond); rest != 0 {
				t.Fatalf("rests for %v", rest)
			}
		}
		p.took(100, time.Second)
		if p.size != 10 {
			t.Errorf("size %d after a batch that took ten times as long as it may, want 10", p.size)
		}
	})
	t.Run("a share of the time", func(t *testing.T) {
		half := steady
		half.Busy = 25
		p := newPacer(half, 1000)
		if rest := p.took(100, 40*time.Millisecond); rest != 120*time.Millisecond {
			t.Errorf("rests for %v, want 120ms", rest)
		}
	})
	t.Run("a clock that jumps", func(t *testing.T) {
		p := newPacer(steady, 1000)
		for _, d := range []time.Duration{-time.Hour, 0, 24 * time.Hour, time.Millisecond} {
			if rest := p.took(100, d); rest < 0 || p.size < 1 || p.size > 1000 {
				t.Errorf("after %v: rest %v, size %d", d, rest, p.size)
			}
		}
	})
	t.Run("the zero pace", func(t *testing.T) {
		p := newPacer(policy.Pace{}, 0)
		if p.took(1, time.Millisecond) < 0 || p.size != 1 {
			t.Errorf("size %d", p.size)
		}
	})
}

// TestResting: the server is said to be busy only where it takes longer than it did.
func TestResting(t *testing.T) {
	t.Parallel()
	p := newPacer(policy.Pace{Batch: 100 * time.Millisecond, Busy: 50}, 1000)
	for _, c := range []struct {
		took time.Duration
		busy bool
	}{{50 * time.Millisecond, false}, {60 * time.Millisecond, false}, {900 * time.Millisecond, true}} {
		rest := p.took(100, c.took)
		if got := strings.Contains(p.resting(), "busy"); rest == 0 || got != c.busy {
			t.Errorf("after %v it rests %v: %s", c.took, rest, p.resting())
		}
	}
}
