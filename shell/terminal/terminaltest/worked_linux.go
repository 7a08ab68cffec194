package terminaltest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// known says whether Worked is.
const known = true

// Worked is for how long processes have been on a processor, and waiting for their turn, all threads together: those that are named, and all others of the
// sessions that they lead. What has ended is no longer counted.
func Worked(processes ...int) (ran, waited time.Duration) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, 0
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		// The name of the program, in parentheses, may hold anything. Behind it: state, parent, group, session. Source: proc_pid_stat(5)
		_, rest, _ := strings.Cut(string(b)[strings.LastIndexByte(string(b), ')')+1:], " ")
		w := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil || len(w) < 15 {
			continue
		}
		session, err := strconv.Atoi(w[3])
		if err == nil && (slices.Contains(processes, pid) || slices.Contains(processes, session)) {
			r, w := worked(pid, w[11:13])
			ran, waited = ran+r, waited+w
		}
	}
	return ran, waited
}

// worked is that of one process; times are its processor times in ticks, for kernels that do not tell for how long a thread waited.
func worked(pid int, times []string) (ran, waited time.Duration) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(threads) > 0 {
		for _, name := range threads {
			b, err := os.ReadFile(name)
			if w := strings.Fields(string(b)); err == nil && len(w) == 3 {
				ran, waited = ran+nanoseconds(w[0]), waited+nanoseconds(w[1])
			}
		}
		return ran, waited
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	for _, t := range times {
		ran += nanoseconds(t) * tick
	}
	return ran, 0
}

func nanoseconds(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}
