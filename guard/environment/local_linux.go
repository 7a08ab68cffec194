package environment

import (
	"bufio"
	"errors"
	"fmt"
	"io"
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
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		return Local{Why: fmt.Sprintf("the server says it is process %d, and none that can be looked at on this machine is", pid)}
	}
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if err := listeners(table, p, inodes); err != nil {
			return Local{Why: "which process listens there cannot be read: " + err.Error()}
		}
	}
	all := len(inodes)
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := strings.CutPrefix(link, "socket:["); ok {
			delete(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	switch {
	case all > 0 && len(inodes) == 0:
		return Local{Shown: true, Why: fmt.Sprintf("the server is process %d of this machine, which listens on port %d", pid, p)}
	case len(inodes) < all:
		return Local{Why: fmt.Sprintf("process %d of this machine listens on port %d, and so does another, a tunnel perhaps", pid, p)}
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
	// Listening sockets come first. What follows takes the kernel some 20 ms to walk through, so it is read in small pieces.
	r := bufio.NewReaderSize(f, 192)
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		w := strings.Fields(line)
		if first || len(w) < 10 {
			continue
		}
		if w[3] != listen {
			return nil
		}
		_, hex, _ := strings.Cut(w[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			inodes[w[9]] = true
		}
	}
}
