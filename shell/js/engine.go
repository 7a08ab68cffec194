package js

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/dop251/goja"
)

// The engine is told to stop, and looks whether it was told between two instructions. One instruction may call a function of the language that takes for
// ever, or all memory. So
//
//	the caller ─► run ─► a goroutine: the engine ─► outside(): the Runner, the printer, a file
//	              └► waits: for the end, for Ctrl-C, for too much memory
//
// An engine that was told to stop and does not is left behind: nothing of it reaches the outside any more, and its VM is of no use. Who is outside is never left behind:
// whoever was called there minds the context itself.

// Patience is how long an engine may take to stop.
const (
	patience       = 2 * time.Second
	memoryPatience = 200 * time.Millisecond
	lookEvery      = 20 * time.Millisecond
)

// door is what stands between an engine and the outside.
type door struct {
	mu     sync.Mutex
	beyond int       // calls to the outside that have not returned
	back   time.Time // when the last one returned
	shut   bool      // for good
}

// outside calls f, which reaches out of the engine. An engine that was left behind ends here.
func (vm *VM) outside(f func()) {
	vm.door.mu.Lock()
	if vm.door.shut {
		vm.door.mu.Unlock()
		runtime.Goexit()
	}
	vm.door.beyond++
	vm.door.mu.Unlock()
	f() // a panic in it is not the engine's: beyond stays what it is
	vm.door.mu.Lock()
	vm.door.beyond--
	vm.door.back = time.Now()
	vm.door.mu.Unlock()
}

// maxStatements is how many statements one command should hold at most.
func (vm *VM) maxStatements(t Target) (n int) {
	vm.outside(func() { n = vm.cfg.Runner.MaxStatements(t) })
	return n
}

// tally counts what a list comes to while it becomes commands, and ends the statement before more is made than it takes.
type tally struct {
	vm            *VM
	target        Target
	writes, bytes int
	looked        [2]int // at these it was asked last
}

// tally begins with a list of so many writes.
func (vm *VM) tally(t Target, writes int) *tally {
	c := &tally{vm: vm, target: t, writes: writes}
	c.ask()
	return c
}

func (c *tally) ask() {
	c.vm.pause()
	var err error
	if c.vm.outside(func() { err = c.vm.cfg.Runner.Fits(c.target, c.writes, c.bytes) }); err != nil {
		c.vm.throw(err)
	}
}

// made is told of the i-th write, and of its size.
func (c *tally) made(i, bytes int) {
	const often, large = 256, 1 << 20
	if c.bytes += bytes; i-c.looked[0] >= often || c.bytes-c.looked[1] >= large {
		c.looked = [2]int{i, c.bytes}
		c.ask()
	}
}

// close shuts the door, if nobody is outside, or came back only now.
func (d *door) close(patience time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = d.shut || d.beyond == 0 && time.Since(d.back) >= patience
	return d.shut
}

func (d *door) out() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.beyond > 0
}

// Lost is the error of a statement whose engine did not stop. The VM is of no use any more, and all variables are gone.
type Lost struct{ Err error }

func (l *Lost) Error() string {
	return l.Err.Error() + "; it did not stop, and was left behind: the variables of this session are gone"
}

// Unwrap is why it was to stop.
func (l *Lost) Unwrap() error { return l.Err }

// errMemory is why an engine was stopped that took too much memory.
type errMemory struct{ limit uint64 }

func (e errMemory) Error() string {
	return fmt.Sprintf("RangeError: the script takes more than %d MiB of memory", e.limit>>20)
}

// turn is one run of an engine.
type turn struct {
	done     chan struct{}
	returned bool
	err      error
	panicked any // what went wrong outside
}

func (vm *VM) start(f func() error) *turn {
	t := &turn{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		defer func() {
			if x := recover(); x != nil {
				t.panicked = fmt.Sprintf("%v\n\n%s", x, debug.Stack())
			}
		}()
		t.err = vm.survive(f)
		t.returned = true
	}()
	return t
}

// wait waits for the end of a turn, and stops it where ctx ends or memory does. why is what it was stopped for.
func (vm *VM) wait(ctx context.Context, t *turn) (why error, lost bool) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	heap := heapNow()
	ended, late := ctx.Done(), (<-chan time.Time)(nil)
	stop := func(reason error, wait time.Duration) {
		if why == nil {
			why = reason
		}
		vm.stopping.Store(true)
		vm.rt.Interrupt(reason)
		ended, late = nil, time.After(wait)
	}
	for {
		select {
		case <-t.done:
			return why, false
		case <-ended:
			stop(ErrInterrupted, vm.patience)
		case <-tick.C:
			if late == nil && !vm.door.out() && heapNow() > heap+vm.cfg.Memory {
				stop(errMemory{vm.cfg.Memory}, min(vm.patience, memoryPatience))
			}
		case <-late:
			if vm.door.close(vm.patience) {
				go vm.leftBehind(t, heap)
				return why, true
			}
			late = time.After(vm.patience)
		}
	}
}

// leftBehind looks after an engine that did not stop, until it has: if it takes memory without end, the process has to end before the machine ends it.
func (vm *VM) leftBehind(t *turn, heap uint64) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.done:
			return
		case <-tick.C:
			if vm.cfg.Exhausted != nil && heapNow() > heap+2*vm.cfg.Memory {
				vm.cfg.Exhausted()
			}
		}
	}
}

// heapNow is how much memory is in use: what the last collection found, or, between two of them, half of all there is, if that is more.
func heapNow() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return max(s[0].Value.Uint64(), s[1].Value.Uint64()/2)
}

// run calls f with ctx as the context of all commands. Ending ctx interrupts the script.
func (vm *VM) run(ctx context.Context, f func() error) error {
	if vm.lost {
		return errors.New("js: internal error: this VM was left behind")
	}
	vm.ctx, vm.aborted, vm.ignored, vm.door.beyond = ctx, nil, nil, 0
	vm.rt.ClearInterrupt()
	vm.stopping.Store(false)
	t := vm.start(f)
	why, lost := vm.wait(ctx, t)
	if lost {
		vm.lost = true
		return &Lost{why}
	}
	if t.panicked != nil {
		panic(t.panicked)
	}
	if !t.returned { // a test that failed outside has ended its goroutine
		runtime.Goexit()
	}
	vm.ctx = nil
	return vm.ended(t.err, why)
}

// ended is what a turn came to. why is what it was stopped for.
func (vm *VM) ended(err, why error) error {
	vm.rt.ClearInterrupt()
	vm.stopping.Store(false)
	vm.joining = nil
	if unwound := new(goja.Exception); err != nil && !errors.As(err, &unwound) || vm.aborted != nil {
		vm.reset()
		vm.lost = !vm.works()
	}
	var interrupted *goja.InterruptedError
	switch {
	case vm.aborted != nil:
		err = vm.aborted
	case errors.As(err, &interrupted) && why != nil:
		err = why
	case err == nil && len(vm.ignored) > 0:
		v := vm.ignored[0].Result()
		at, direct := vm.thrownAt(v)
		ex := vm.uncaught(v, at, direct)
		ex.text = "(in a promise) " + ex.text
		return ex
	default:
		err = vm.explain(err)
	}
	if vm.lost {
		return &Lost{err}
	}
	return err
}

// survive calls f. What goes wrong in Go (a string or a buffer longer than memory can be, a reply that is not what it should be) ends the statement and not the
// process.
// What goes wrong beyond, in the Runner, is not ours to go on from.
func (vm *VM) survive(f func() error) (err error) {
	defer func() {
		x := recover()
		if failed, ok := x.(error); ok && !vm.door.out() {
			err = fmt.Errorf("RangeError: the JavaScript engine cannot do this: %w", failed)
			return
		}
		if x != nil {
			panic(x)
		}
	}()
	return f()
}

// Lost says whether the VM's engine was left behind: then all that is left to do is to make another.
func (vm *VM) Lost() bool { return vm.lost }
