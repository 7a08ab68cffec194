package terminaltest

import (
	"sync"
	"time"
)

// Nothing here has a deadline that a slow machine can miss. A test waits as long as what it waits for gets on: while the program writes, or while it or one
// of its servers uses the processor or waits for its turn. It gives up when all that has stood still for patience.
const (
	patience = time.Minute
	sample   = time.Second
	longest  = 2 * sample // that a sample counts: a machine may have slept in between
)

// Signal is told that something has changed, for those who wait for it.
type Signal struct {
	mu      sync.Mutex
	changed chan struct{}
}

// Tell wakes all who wait.
func (s *Signal) Tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// Next is closed with the next change.
func (s *Signal) Next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return s.changed
}

// Until waits until ok is true, and looks at each change. It returns false if there was none for long, while none of the processes, nor another of a session that
// one of them leads, did anything.
func Until(change *Signal, ok func() bool, processes ...int) bool {
	return until(change, ok, patience, processes)
}

func until(change *Signal, ok func() bool, patience time.Duration, processes []int) bool {
	idle := time.Duration(0)
	before, work := time.Now(), time.Duration(-1)
	for {
		next := change.Next()
		if ok() {
			return true
		}
		if idle >= patience {
			return false
		}
		select {
		case <-next:
			idle = 0
			continue
		case <-time.After(min(sample, patience)):
		}
		ran, waited := Worked(processes...)
		now, worked := time.Now(), ran+waited
		if passed := now.Sub(before); work >= 0 && (worked-work).Abs() < passed/10 {
			idle += min(passed, longest)
		}
		before, work = now, worked
	}
}
