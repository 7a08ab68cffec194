package journal

import (
	"crypto/sha256"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"respect/replay"
)

// The benchmarks run what is measured and a bare program side by side: machines are noisy, what counts is the ratio.
//
//	go test ./replay/journal -run XXX -bench . -benchtime 3x -megabytes 1024

var megabytes = flag.Int("megabytes", 64, "how large the journal of the benchmarks is")

// large is a state directory with one closed session that is so large, most of it output, with a change near its begin and one near its end.
func large(b *testing.B) (dir, id string) {
	b.Helper()
	s := sealed{dir: b.TempDir(), witness: filepath.Join(b.TempDir(), "witness")}
	w := s.open(b, 1)
	change := func(id string) {
		if err := w.Append(replay.KindIntent, replay.Intent{Change: id, Summary: "deletes 2"}); err != nil {
			b.Fatal(err)
		}
		if err := w.Append(replay.KindOutcome, replay.Outcome{Change: id, Status: replay.StatusApplied}); err != nil {
			b.Fatal(err)
		}
		if err := w.Seal(); err != nil {
			b.Fatal(err)
		}
	}
	change("first")
	text := strings.Repeat("  { _id: ObjectId('64b0c0f10000000000000001'), name: 'Family Huber' },\n", 100)
	for w.size < int64(*megabytes)<<20 {
		if err := w.Append(replay.KindInput, replay.Input{Text: "db.families.find()", Manner: "typed", Mode: "run"}); err != nil {
			b.Fatal(err)
		}
		if err := w.Append(replay.KindCommand, replay.Command{Database: "famigo", Name: "find", Class: "read", Micros: 1500, Bytes: 7000}); err != nil {
			b.Fatal(err)
		}
		if err := w.Append(replay.KindOutput, replay.Output{Text: text}); err != nil {
			b.Fatal(err)
		}
	}
	change("last")
	if err := w.Close(0); err != nil {
		b.Fatal(err)
	}
	return s.dir, w.Session()
}

// BenchmarkVerify checks every line and seal of a journal, beside hashing the same file as sha256sum does.
func BenchmarkVerify(b *testing.B) {
	dir, id := large(b)
	name := file(dir, id)
	var hashing, ours time.Duration
	var peak uint64
	var size int64
	for b.Loop() {
		start := time.Now()
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		h := sha256.New()
		if size, err = io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, 1<<20)); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
		hashing += time.Since(start)

		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start = time.Now()
		r, err := Verify(dir, Options{})
		if err != nil || len(r.AllProblems()) > 0 || !r.Sessions[0].Closed {
			b.Fatal(err, r.AllProblems())
		}
		ours += time.Since(start)
		runtime.ReadMemStats(&after)
		peak = max(peak, after.HeapSys)
	}
	b.SetBytes(2 * size)
	b.ReportMetric(hashing.Seconds()/ours.Seconds(), "x-sha256")
	b.ReportMetric(float64(size)/ours.Seconds()*float64(b.N)/1e6, "MB/s-verify")
	b.ReportMetric(float64(peak>>20), "MiB-heap")
}

// BenchmarkSeek opens a state directory and finds its last change: through the index, and reading the whole journal.
func BenchmarkSeek(b *testing.B) {
	dir, id := large(b)
	find := func() {
		record, err := Indexed(dir)
		if err != nil {
			b.Fatal(err)
		}
		if changes := record.Changes; len(changes) != 2 || changes[1].ID != "last" {
			b.Fatalf("%d changes", len(changes))
		}
	}
	var with, without time.Duration
	for b.Loop() {
		start := time.Now()
		find()
		with += time.Since(start)
		if err := os.Remove(filepath.Join(dir, "sessions", id, indexFile)); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		find() // which leaves an index again
		without += time.Since(start)
	}
	b.ReportMetric(float64(with.Microseconds())/float64(b.N), "µs-with-index")
	b.ReportMetric(without.Seconds()/with.Seconds(), "x-without")
}

// BenchmarkRecord is what a statement costs the record: its input, a read, and a page of output.
func BenchmarkRecord(b *testing.B) {
	s := sealed{dir: b.TempDir(), witness: filepath.Join(b.TempDir(), "witness")}
	w := s.open(b, 1)
	text := strings.Repeat("  { _id: ObjectId('64b0c0f10000000000000001'), name: 'Family Huber' },\n", 20)
	b.ReportAllocs()
	for b.Loop() {
		for kind, body := range map[replay.Kind]any{
			replay.KindInput:   replay.Input{Text: "db.families.find()", Manner: "typed", Mode: "run"},
			replay.KindCommand: replay.Command{Database: "famigo", Name: "find", Class: "read", Micros: 1500, Bytes: 7000},
			replay.KindOutput:  replay.Output{Text: text},
		} {
			if err := w.Append(kind, body); err != nil {
				b.Fatal(err)
			}
		}
	}
}
