package js

import (
	"os"
	"strconv"
	"strings"
)

// A script may take half of what the machine or the container has, within these bounds.
const (
	leastMemory = 256 << 20
	mostMemory  = 2 << 30
)

func machineMemory() uint64 {
	total := uint64(mostMemory) * 2
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
				if n, err := strconv.ParseUint(f[1], 10, 64); err == nil {
					total = min(total, n<<10)
				}
			}
		}
	}
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err == nil { // or "max"
			total = min(total, n)
		}
	}
	return min(max(total/2, leastMemory), mostMemory)
}
