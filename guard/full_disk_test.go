package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"respect/guard/internal/wiretest"
	"respect/replay"
	"respect/replay/durable"
)

// fillingDisk is a disk on which backups have room for so many bytes.
type fillingDisk struct {
	durable.OS
	room *atomic.Int64
}

type fillingFile struct {
	durable.File
	room *atomic.Int64
}

func (d fillingDisk) Create(name string) (durable.File, error) {
	f, err := d.OS.Create(name)
	if err == nil && strings.HasSuffix(name, ".gz") {
		return fillingFile{f, d.room}, nil
	}
	return f, err
}

func (f fillingFile) Write(b []byte) (int, error) {
	if f.room.Add(-int64(len(b))) < 0 {
		_, _ = f.File.Write(b[:len(b)/2]) // as disks do
		return len(b) / 2, syscall.ENOSPC
	}
	return f.File.Write(b)
}

// TestDiskFillsDuringABackup: space that runs out while a backup is made, after the check found enough, ends the change before anything is lost: nothing is
// deleted, a collection that was set aside has its name again, and no half-made file is left. With room it is made.
func TestDiskFillsDuringABackup(t *testing.T) {
	t.Parallel()
	for name, cmd := range map[string]string{
		"drop":   `{"drop": "people"}`,
		"delete": `{"delete": "people", "deletes": [{"q": {}, "limit": 0}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachRoadInMemory(t, func(t *testing.T, s *server) {
				for i := range 300 {
					s.setup(t, "people", fmt.Sprintf(`{"_id": %d, "text": "%x"}`, i, i*i*7919))
				}
				before := s.state(t)
				for _, room := range []int64{0, 300, 2000} {
					disk := fillingDisk{room: new(atomic.Int64)}
					disk.room.Store(room)
					b := s.benchIn(t, t.TempDir(), disk)
					s.forget()
					_, _, err := b.run(cmd)
					if !errors.Is(err, syscall.ENOSPC) && (err == nil || !strings.Contains(err.Error(), "no space left on device")) {
						t.Fatalf("room for %d bytes: %v", room, err)
					}
					same(t, "after the disk was full", before, s.state(t))
					for _, c := range wiretest.Writes(s.commands()) {
						if c.Name != "renameCollection" {
							t.Errorf("room for %d bytes: %s was sent", room, c.Doc)
						}
					}
					for _, f := range b.files() {
						if strings.HasSuffix(f, ".gz") {
							t.Errorf("room for %d bytes: %s is left", room, f)
						}
					}
					if changes := b.changes(); len(changes) == 1 && changes[0].Status == replay.StatusApplied {
						t.Errorf("room for %d bytes: the record says %s", room, changes[0].Status)
					}
					disk.room.Store(1 << 30)
					if _, _, err := b.run(cmd); err != nil {
						t.Fatalf("with room: %v", err)
					}
					if _, err := b.undo(b.last()); err != nil {
						t.Fatal(err)
					}
					same(t, "after undo", before, s.state(t))
				}
			})
		})
	}
}
