package wiretest

import (
	"sync"
	"time"
)

// Service is how long a server takes for a command. The commands of all connections stand in one queue, so that a client that keeps the server busy
// makes the others wait. The zero value takes no time. When the machine is idle a wait is up to a millisecond too long, for that client only.
type Service struct {
	Servers     int           // so many commands are served at once; 1 if 0
	Base        time.Duration // of each command
	PerDocument time.Duration // of each document that it reads or writes, in addition
	// Slice, when not 0, is after how long a command goes to the end of the queue, for what is left of it. A mongod lets others in about every 10 ms.
	// Source: https://www.mongodb.com/docs/manual/faq/concurrency/ (yielding); internalQueryExecYieldPeriodMS
	Slice time.Duration
}

// queue is where commands stand. Its times are reckoned, not slept, so that a late waker makes nobody else late.
type queue struct {
	mu      sync.Mutex
	service Service
	free    []time.Time // of each server: when it will have nothing to do
}

func (q *queue) set(s Service) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.service, q.free = s, make([]time.Time, max(1, s.Servers))
}

// serve waits until a command on so many documents has been served.
func (q *queue) serve(documents int) {
	q.mu.Lock()
	s := q.service
	q.mu.Unlock()
	left := s.Base + time.Duration(documents)*s.PerDocument
	for left > 0 {
		slice := left
		if s.Slice > 0 {
			slice = min(left, s.Slice)
		}
		time.Sleep(time.Until(q.book(time.Now(), slice)))
		left -= slice
	}
}

// book takes a place at the end of the queue, for a time, and is when that will be over.
func (q *queue) book(now time.Time, length time.Duration) time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := 0
	for i, t := range q.free {
		if t.Before(q.free[first]) {
			first = i
		}
	}
	start := now
	if q.free[first].After(start) {
		start = q.free[first]
	}
	q.free[first] = start.Add(length)
	return q.free[first]
}
