package environment

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// listeners are the inodes of the sockets that listen on a port of this machine. The kernel is asked for just those; where it does not answer such
// questions, or the process table is another one, the tables of all sockets are read.
func listeners(proc string, port int) (map[string]bool, error) {
	if proc == "/proc" {
		if inodes, err := askedListeners(port); err == nil {
			return inodes, nil
		}
	}
	inodes := map[string]bool{}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		if err := tabledListeners(filepath.Join(proc, table), port, inodes); err != nil {
			return nil, err
		}
	}
	return inodes, nil
}

// Numbers of the socket monitoring interface. Source: sock_diag(7), include/uapi/linux/sock_diag.h and inet_diag.h
const (
	netlinkSockDiag  = 4
	sockDiagByFamily = 20
	tcpListen        = 10
	diagRequestSize  = 56 // struct inet_diag_req_v2: family, protocol, ext, pad, states uint32, and the socket
	diagReplySize    = 72 // struct inet_diag_msg
	diagPortAt       = 4  // in a reply: the socket's own port, in network order
	diagInodeAt      = 68 // in a reply
)

// askedListeners asks the kernel through netlink. It takes as long as there are listeners, where the tables take as long as there are connections.
func askedListeners(port int) (map[string]bool, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkSockDiag)
	if err != nil {
		return nil, err
	}
	defer func() { _ = syscall.Close(fd) }() // nothing is written
	patience := syscall.NsecToTimeval(int64(time.Second))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
		return nil, err
	}
	inodes := map[string]bool{}
	for _, family := range []byte{syscall.AF_INET, syscall.AF_INET6} {
		request := make([]byte, syscall.NLMSG_HDRLEN+diagRequestSize)
		binary.NativeEndian.PutUint32(request, uint32(len(request)))
		binary.NativeEndian.PutUint16(request[4:], sockDiagByFamily)
		binary.NativeEndian.PutUint16(request[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
		body := request[syscall.NLMSG_HDRLEN:]
		body[0], body[1] = family, syscall.IPPROTO_TCP
		binary.NativeEndian.PutUint32(body[4:], 1<<tcpListen)
		binary.BigEndian.PutUint16(body[8:], uint16(port))
		if err := syscall.Sendto(fd, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
			return nil, err
		}
		if err := receiveListeners(fd, port, inodes); err != nil {
			return nil, err
		}
	}
	return inodes, nil
}

// receiveListeners reads an answer to its end.
func receiveListeners(fd, port int, inodes map[string]bool) error {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch {
			case m.Header.Type == syscall.NLMSG_DONE:
				return nil
			case m.Header.Type != sockDiagByFamily || len(m.Data) < diagReplySize:
				return errors.New("the kernel does not tell which sockets listen")
			case int(binary.BigEndian.Uint16(m.Data[diagPortAt:])) == port:
				inodes[strconv.FormatUint(uint64(binary.NativeEndian.Uint32(m.Data[diagInodeAt:])), 10)] = true
			}
		}
	}
}

// tabledListeners collects the inodes of the sockets that listen on a port from one of the kernel's tables.
// Format: https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html
func tabledListeners(table string, port int, inodes map[string]bool) error {
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
