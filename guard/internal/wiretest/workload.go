package wiretest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Workload is what other clients would be: single documents are read by _id, at a steady rate, on connections of their own and without a driver. Each
// connection reads one at a time, so there should be more of them than reads become due while the server is busy with something else.
type Workload struct {
	Address        string
	DB, Collection string
	Documents      int     // their _ids are the int32 below
	Rate           float64 // reads a second, over all connections; more than 0
	Connections    int     // 32 if 0
}

// Latencies are how long reads took, shortest first.
type Latencies []time.Duration

// P is the latency that a part of the reads did not exceed; 0 if there were none. Requires 0 < part <= 1.
func (l Latencies) P(part float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)-1, int(part*float64(len(l))))]
}

// String is a line of a table: how many, p50, p99, the longest.
func (l Latencies) String() string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%6d reads  p50 %8.2f ms  p99 %8.2f ms  max %8.2f ms", len(l), ms(l.P(0.5)), ms(l.P(0.99)), ms(l.P(1)))
}

// Run reads until ctx ends. A read that could not begin when it was due, because the one before was not over, counts from when it was due: a server that
// stands still for a second makes all reads of that second slow, not one.
func (w Workload) Run(ctx context.Context) (Latencies, error) {
	n := w.Connections
	if n == 0 {
		n = 32
	}
	each := time.Duration(float64(n) / w.Rate * float64(time.Second))
	start := time.Now()
	lists, errs := make([]Latencies, n), make([]error, n)
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			lists[i], errs[i] = w.connection(ctx, start.Add(each*time.Duration(i)/time.Duration(n)), each, i)
		})
	}
	done.Wait()
	out := slices.Concat(lists...)
	slices.Sort(out)
	return out, errors.Join(errs...)
}

func (w Workload) connection(ctx context.Context, due time.Time, each time.Duration, seed int) (out Latencies, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.Address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for i := seed; ; i++ {
		from := due
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
				return out, nil
			case <-time.After(wait):
			}
			from = time.Now()
		} else if ctx.Err() != nil {
			return out, nil
		}
		if err := w.read(c, int32(i*7919%max(1, w.Documents))); err != nil {
			return out, err
		}
		out = append(out, time.Since(from))
		due = due.Add(each)
	}
}

func (w Workload) read(c net.Conn, id int32) error {
	cmd := encode(bson.D{
		{Key: "find", Value: w.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: id}}}, {Key: "limit", Value: int32(1)}, {Key: "singleBatch", Value: true},
		{Key: "$db", Value: w.DB},
	})
	if err := (message{id: 1, op: opMsg}).withDocument(cmd).writeTo(c); err != nil {
		return err
	}
	m, err := readMessage(c)
	if err != nil {
		return err
	}
	reply, err := m.document()
	if err != nil {
		return err
	}
	if !succeeded(reply) {
		return fmt.Errorf("a read of the workload: %v", reply)
	}
	return nil
}
