package wiretest

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// TestQueue: commands follow each other on one server, share several, and find an idle one idle.
func TestQueue(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	start := time.Unix(1000, 0)
	for _, tt := range []struct {
		servers int
		ask     [][2]time.Duration // when, for how long
		over    []time.Duration
	}{
		{1, [][2]time.Duration{{0, 10 * ms}, {0, 10 * ms}, {5 * ms, 1 * ms}}, []time.Duration{10 * ms, 20 * ms, 21 * ms}},
		{2, [][2]time.Duration{{0, 10 * ms}, {0, 4 * ms}, {1 * ms, 1 * ms}}, []time.Duration{10 * ms, 4 * ms, 5 * ms}},
		{1, [][2]time.Duration{{0, 10 * ms}, {30 * ms, 5 * ms}}, []time.Duration{10 * ms, 35 * ms}},
	} {
		var q queue
		q.set(Service{Servers: tt.servers})
		for i, a := range tt.ask {
			if got := q.book(start.Add(a[0]), a[1]).Sub(start); got != tt.over[i] {
				t.Errorf("%d servers, %v: command %d is over after %v, want %v", tt.servers, tt.ask, i, got, tt.over[i])
			}
		}
	}
}

// TestLatencies: the parts of a list.
func TestLatencies(t *testing.T) {
	t.Parallel()
	var l Latencies
	if l.P(0.99) != 0 {
		t.Error("none is not 0")
	}
	for i := range 1000 {
		l = append(l, time.Duration(i))
	}
	if l.P(0.5) != 500 || l.P(0.99) != 990 || l.P(1) != 999 {
		t.Errorf("%v %v %v", l.P(0.5), l.P(0.99), l.P(1))
	}
}

// change updates all documents of a server, batch by batch, with a pause behind each, until the context ends.
func change(ctx context.Context, t testing.TB, b *Bulk, batch int, pause time.Duration) {
	p := dial(t, b.Address(), "app")
	for n := int32(10); ; n++ {
		for at := 0; at < b.cfg.Documents; at += batch {
			if ctx.Err() != nil {
				return
			}
			var list []bson.D
			for i := at; i < min(at+batch, b.cfg.Documents); i++ {
				list = append(list, bson.D{{Key: "q", Value: bson.D{{Key: "_id", Value: int32(i)}}}, {Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: n}}}}}})
			}
			if r, err := p.try(update(list...)); err != nil || !succeeded(r) {
				t.Errorf("%v, %v", r, err)
				return
			}
			time.Sleep(pause)
		}
	}
}

// TestWorkload: a foreign workload waits behind a change, less if the change is done in small batches with pauses, or if the server lets others in between.
func TestWorkload(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it measures for half a second each time")
	}
	measure := func(service Service, batch int, pause time.Duration) Latencies {
		b := NewBulk(t, BulkConfig{Documents: 10_000})
		b.SetService(service)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		over := make(chan struct{})
		go func() {
			defer close(over)
			if batch > 0 {
				change(ctx, t, b, batch, pause)
			}
		}()
		l, err := Workload{Address: b.Address(), DB: "app", Collection: "big", Documents: 10_000, Rate: 200}.Run(ctx)
		<-over
		if err != nil || len(l) < 20 {
			t.Fatalf("%v, %v", l, err)
		}
		return l
	}
	service := Service{Base: 100 * time.Microsecond, PerDocument: 100 * time.Microsecond}
	sliced := service
	sliced.Slice = 2 * time.Millisecond
	alone := measure(service, 0, 0)
	unpaced := measure(service, 500, 0)
	paced := measure(service, 20, 10*time.Millisecond)
	between := measure(sliced, 500, 0)
	t.Logf("\nalone          %v\nunpaced        %v\npaced          %v\nunpaced, slice %v", alone, unpaced, paced, between)
	// A batch of 500 takes 50 ms, one of 20 takes 2 ms; margins are wide, since other tests run on the same machine.
	if unpaced.P(0.5) < 10*time.Millisecond || unpaced.P(0.99) < 25*time.Millisecond {
		t.Errorf("nobody waits behind a change: %v", unpaced)
	}
	for name, l := range map[string]Latencies{"alone": alone, "paced": paced, "between slices": between} {
		if l.P(0.5) > unpaced.P(0.5)/2 {
			t.Errorf("%s: %v, and behind the change: %v", name, l, unpaced)
		}
	}
}

// TestWorkloadStandsStill: a read that was due while the one before waited counts from when it was due.
func TestWorkloadStandsStill(t *testing.T) {
	t.Parallel()
	b := NewBulk(t, BulkConfig{Documents: 10})
	b.SetService(Service{Base: 20 * time.Millisecond})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	l, err := Workload{Address: b.Address(), DB: "app", Collection: "big", Documents: 10, Rate: 500, Connections: 1}.Run(ctx)
	if err != nil || l.P(0.9) < 60*time.Millisecond {
		t.Errorf("%v, %v", l, err)
	}
}
