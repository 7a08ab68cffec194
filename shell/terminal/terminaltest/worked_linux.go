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

// Worked is for how long processes have been on a processor or waiting for their turn, all threads together: those that are named, and all others of the
// sessions that they lead. What has ended is no longer counted.
func Worked(processes ...int) (sum time.Duration) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
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
			sum += worked(pid, w[11:13])
		}
	}
	return sum
}

// worked is that of one process; times are its processor times in ticks, for kernels that do not tell for how long a thread waited.
func worked(pid int, times []string) (sum time.Duration) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(threads) > 0 {
		for _, name := range threads {
			b, err := os.ReadFile(name)
			if w := strings.Fields(string(b)); err == nil && len(w) == 3 {
				sum += nanoseconds(w[0]) + nanoseconds(w[1])
			}
		}
		return sum
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	for _, t := range times {
		sum += nanoseconds(t) * tick
	}
	return sum
}

func nanoseconds(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(n)
}
