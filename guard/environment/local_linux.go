package environment

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// local shows that the process which the server calls itself listens on the dialled port of this machine: the kernel names
// the sockets, /proc/<pid>/fd their owner. A tunnel's socket belongs to ssh or kubectl, whatever pid the far server has.
// It cannot be shown for a process of another user, or for one in a container.
func local(address string, pid int64) Local {
	p := port(address)
	// Process 1 is what a server in a container calls itself, and here it may hold any socket for others.
	if pid <= 1 || p == 0 {
		return Local{Why: "the server does not tell a process id that means something on this machine"}
	}
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return Local{Why: fmt.Sprintf("the server says it is process %d, and none that can be looked at on this machine is", pid)}
	}
	defer dir.Close() // read only
	inodes, err := listeners(p)
	if err != nil {
		return Local{Why: "which process listens there cannot be read: " + err.Error()}
	}
	all := len(inodes)
	strike(dir, inodes)
	switch {
	case all > 0 && len(inodes) == 0:
		return Local{Shown: true, Why: fmt.Sprintf("the server is process %d of this machine, which listens on port %d", pid, p)}
	case len(inodes) < all:
		return Local{Why: fmt.Sprintf("process %d of this machine listens on port %d, and so does another, a tunnel perhaps", pid, p)}
	}
	return Local{Why: fmt.Sprintf("process %d of this machine does not listen on port %d", pid, p)}
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
