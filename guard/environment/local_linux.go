package environment

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// local shows that the process which the server calls itself listens on the dialled port of this machine: /proc/net/tcp names
// the socket, /proc/<pid>/fd its owner. A tunnel's socket belongs to ssh or kubectl, whatever pid the far server has.
// It cannot be shown for a process of another user, or for one in a container.
func local(address string, pid int64) Local {
	p := port(address)
	// Process 1 is what a server in a container calls itself, and here it may hold any socket for others.
	if pid <= 1 || p == 0 {
		return Local{Why: "the server does not tell a process id that means something on this machine"}
	}
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if err := listeners(table, p, inodes); err != nil {
			return Local{Why: "which process listens there cannot be read: " + err.Error()}
		}
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		return Local{Why: fmt.Sprintf("the server says it is process %d, and none that can be looked at on this machine is", pid)}
	}
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok && inodes[strings.TrimSuffix(inode, "]")] {
			return Local{Shown: true, Why: fmt.Sprintf("the server is process %d of this machine, which listens on port %d", pid, p)}
		}
	}
	return Local{Why: fmt.Sprintf("process %d of this machine does not listen on port %d", pid, p)}
}

// listeners collects the inodes of the sockets that listen on a port.
// Format: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
func listeners(table string, port int, inodes map[string]bool) error {
	f, err := os.Open(table)
	if os.IsNotExist(err) {
		return nil // no IPv6
	}
	if err != nil {
		return err
	}
	defer f.Close() // read only
	const listen = "0A"
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		w := strings.Fields(sc.Text())
		if len(w) < 10 || w[3] != listen {
			continue
		}
		_, hex, _ := strings.Cut(w[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			inodes[w[9]] = true
		}
	}
	return sc.Err()
}
