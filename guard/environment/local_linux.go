package environment

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startTolerance is how far a server's own word about its start may be from its process's: it reads the clock when it is under way.
const startTolerance = 3 * time.Second

// local shows that the process which the server calls itself is one of this machine and listens on the port that was dialled. A tunnel's socket belongs to ssh
// or kubectl; but their number may be the far server's, and so may that of a container's process. So all must agree: the number's process is in this pid
// namespace, runs the executable that the server tells, started when the server did, and it alone holds the sockets that listen on the port.
// It cannot be shown for a process of another user, or for one in a container.
func local(o Observation) Local { return localIn("/proc", o, time.Now) }

// localIn is local with another root of the process table.
// Format: https://man7.org/linux/man-pages/man5/proc.5.html
func localIn(proc string, o Observation, now func() time.Time) Local {
	p := port(o.Address)
	// Process 1 is what a server in a container calls itself, and here it may hold any socket for others.
	if o.PID <= 1 || p == 0 {
		return Local{Why: "the server does not tell a process id that means something on this machine"}
	}
	dir := filepath.Join(proc, strconv.FormatInt(o.PID, 10))
	began, err := startOf(dir)
	if err != nil {
		return Local{Why: fmt.Sprintf("the server says it is process %d, and none that can be looked at on this machine is", o.PID)}
	}
	for _, look := range []func() string{
		func() string { return namespaceOf(proc, dir, o.PID) },
		func() string { return executableOf(dir, o.PID, o.Executable) },
		func() string { return startedThen(proc, began, o, now) },
		func() string { return listensOn(proc, dir, o.PID, p) },
	} {
		if why := look(); why != "" {
			return Local{Why: why}
		}
	}
	if again, err := startOf(dir); err != nil || again != began {
		return Local{Why: fmt.Sprintf("process %d ended while it was looked at", o.PID)}
	}
	return Local{Shown: true, Why: fmt.Sprintf("the server is process %d of this machine (%s), which listens on port %d", o.PID, o.Executable, p)}
}

// namespaceOf says what is wrong with a process's pid namespace. The process table may show those of containers, whose servers know other numbers of themselves.
func namespaceOf(proc, dir string, pid int64) string {
	own, err := os.Readlink(filepath.Join(proc, "self/ns/pid"))
	if err != nil {
		return "the pid namespace of this process cannot be read: " + err.Error()
	}
	switch ns, err := os.Readlink(filepath.Join(dir, "ns/pid")); {
	case err != nil:
		return fmt.Sprintf("the server says it is process %d, and that one's pid namespace cannot be read: %v", pid, err)
	case ns != own:
		return fmt.Sprintf("process %d of this machine is in another pid namespace", pid)
	}
	return ""
}

// executableOf says what is wrong with the program that a process runs.
func executableOf(dir string, pid int64, told string) string {
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	if err != nil {
		return fmt.Sprintf("which program process %d runs cannot be read: %v", pid, err)
	}
	exe = strings.TrimSuffix(exe, " (deleted)") // it was upgraded meanwhile
	if told == "" || path.Base(told) != path.Base(exe) {
		return fmt.Sprintf("process %d of this machine runs %s, and the server says it is %q", pid, exe, told)
	}
	return ""
}

// ticksPerSecond of the times in /proc/<pid>/stat: USER_HZ, which is 100 on all machines that Go knows.
const ticksPerSecond = 100

// startOf is when a process started, in ticks since the machine did.
func startOf(dir string) (int64, error) {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, err
	}
	// The second field is the command's name in parentheses, and may hold anything.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("%s/stat has too few fields", dir)
	}
	return strconv.ParseInt(fields[19], 10, 64)
}

// startedThen says what is wrong with the start of a process.
func startedThen(proc string, began int64, o Observation, now func() time.Time) string {
	b, err := os.ReadFile(filepath.Join(proc, "uptime"))
	if err != nil {
		return "when this machine started cannot be read: " + err.Error()
	}
	text, _, _ := strings.Cut(string(b), " ")
	up, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return "when this machine started cannot be read: " + err.Error()
	}
	age := time.Duration(up*float64(time.Second)) - time.Duration(began)*(time.Second/ticksPerSecond)
	switch started := now().Add(-age); {
	case o.Started.IsZero():
		return "the server does not tell when it was started"
	case started.Sub(o.Started).Abs() > startTolerance:
		return fmt.Sprintf("process %d of this machine was started at %s, and the server says %s", o.PID, stamp(started), stamp(o.Started))
	}
	return ""
}

// listensOn says what is wrong with the sockets that listen on a port: /proc/net/tcp names them, /proc/<pid>/fd their owner.
func listensOn(proc, dir string, pid int64, port int) string {
	inodes, err := listeners(proc, port)
	if err != nil {
		return "which process listens there cannot be read: " + err.Error()
	}
	all := len(inodes)
	fds, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return fmt.Sprintf("what process %d has open cannot be read: %v", pid, err)
	}
	defer fds.Close() // read only
	strike(fds, inodes)
	switch {
	case all == 0 || len(inodes) == all:
		return fmt.Sprintf("process %d of this machine does not listen on port %d", pid, port)
	case len(inodes) > 0:
		return fmt.Sprintf("process %d of this machine listens on port %d, and so does another, a tunnel perhaps", pid, port)
	}
	return ""
}

// strike takes the sockets that a process has open out of inodes. dir is its directory of open files; those that it opened first come first, and a server listens
// before it has thousands of connections and files.
func strike(dir *os.File, inodes map[string]bool) {
	for len(inodes) > 0 {
		fds, err := dir.Readdirnames(64)
		for _, fd := range fds {
			link, err := os.Readlink(filepath.Join(dir.Name(), fd))
			if err != nil {
				continue // closed meanwhile
			}
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				delete(inodes, strings.TrimSuffix(inode, "]"))
			}
		}
		if err != nil {
			return // the end, or the process has ended
		}
	}
}
