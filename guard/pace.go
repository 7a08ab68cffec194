package guard

import (
	"time"

	"respect/guard/environment"
	"respect/guard/policy"
)

// pacer decides how large the next batch of a change is and how long to rest before it. Pure: durations in, numbers out.
//
//	a batch took longer than policy's target      ─► the next one is smaller
//	the server takes longer for each document
//	than it did when it was quickest              ─► it is busy with others: rest, and longer each time
//	otherwise                                     ─► larger again, and less rest
//
// A server that this process runs for itself is not busy with others when it is slow: then only the first line holds.
//
// The ideas are those of gh-ost's throttling: https://github.com/github/gh-ost/blob/master/doc/throttle.md
type pacer struct {
	pace policy.Pace
	most int // documents that one batch may have
	size int
	unit time.Duration // the least that a document has taken
	nice float64       // times the duration of the last batch that is rested
	ours bool          // nobody else waits for this server
}

// firstBatch is where a change begins: small, since nobody knows yet how long a document takes.
const firstBatch = 100

const (
	slow    = 4.0 // times the least that a document has taken
	niceMin = 0.25
	niceMax = 1.0 // a busy server gets half of the time, and never more than maxRest at once
	maxRest = time.Second
	// noise is what a batch may take without anything being concluded from it.
	noise = 5 * time.Millisecond
)

func newPacer(p policy.Pace, most int) *pacer {
	return &pacer{pace: p, most: max(most, 1), size: min(firstBatch, max(most, 1))}
}

// pacer is for a change of a deployment in an environment.
func (d *Deployment) pacer(env environment.Environment) *pacer {
	p := newPacer(d.gate.cfg.Policy.Pace(env), d.MaxStatements())
	p.ours = d.inside()
	return p
}

// inside says whether the server runs inside this process, for this session.
func (d *Deployment) inside() bool { return d.target.Inside && d.software.embedded }

// took notes that a batch of n documents took d, and returns how long to rest now.
func (p *pacer) took(n int, d time.Duration) (rest time.Duration) {
	if n < 1 || d < 0 { // a clock that was set back says nothing
		return 0
	}
	unit := d / time.Duration(n)
	if p.unit == 0 || unit < p.unit {
		p.unit = max(unit, 1)
	}
	switch {
	case p.ours:
	case d > noise && float64(unit) > slow*float64(p.unit):
		p.nice = min(max(2*p.nice, niceMin), niceMax)
	case p.nice > niceMin:
		p.nice /= 2
	default:
		p.nice = 0
	}
	switch target := p.pace.Batch; {
	case d > target:
		p.size = max(int(float64(n)*float64(target)/float64(d)), 1)
	case d < target/2 && n >= p.size:
		p.size = p.size * 2
	}
	p.size = min(p.size, p.most)
	busy := min(max(p.pace.Busy, 1), 100)
	return d*time.Duration(100-busy)/time.Duration(busy) + min(time.Duration(float64(d)*p.nice), maxRest)
}

// resting is why there is a rest behind the last batch. That the server is busy is said only where it takes longer than it did.
func (p *pacer) resting() string {
	if p.nice > 0 {
		return "the server is busy: it takes longer for each document than it did"
	}
	return "making room for others between two batches, as policy wants it"
}
