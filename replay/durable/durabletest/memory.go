package durabletest

import (
	"os"
	"testing"

	"respect/replay/durable"
)

// roomInMemory is how much a memory file system must have left for tests to work in it: a container's /dev/shm often has 64 MB.
const roomInMemory = 1 << 30

// MemoryDir is where a test may put what needs no disk, because what it does with it has nothing to do with durability, or because a Crash says what would
// be left: nothing waits there for a disk. It is t.TempDir where there is no such memory.
func MemoryDir(t testing.TB) string {
	t.Helper()
	parent := memory()
	if parent == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "respect-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// MkdirMemory is os.MkdirTemp in memory, or where that makes directories if there is none.
func MkdirMemory(pattern string) (string, error) { return os.MkdirTemp(memory(), pattern) }

// memory is a directory that is memory and has room; "" if there is none.
func memory() string {
	const shm = "/dev/shm"
	if free, err := durable.Free(shm); err != nil || free < roomInMemory || durable.Volatile(shm) == "" {
		return ""
	}
	return shm
}
