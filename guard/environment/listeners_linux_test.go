package environment

import (
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestListeners: what the kernel answers when asked about a port is what its tables say.
func TestListeners(t *testing.T) {
	for _, tt := range []struct {
		network, address string
	}{{"tcp4", "127.0.0.1:0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", "[::1]:0"}, {"tcp", ":0"}} {
		t.Run(tt.network+" "+tt.address, func(t *testing.T) {
			l, err := net.Listen(tt.network, tt.address)
			if err != nil {
				t.Skipf("SKIPPED: this machine does not listen there: %v", err)
			}
			defer l.Close()
			p := l.Addr().(*net.TCPAddr).Port
			client, err := net.Dial("tcp", l.Addr().String()) // a connection has the same port, and is no listener
			if err == nil {
				defer client.Close()
			}
			asked, err := askedListeners(p)
			if err != nil {
				t.Skipf("SKIPPED: this kernel is not asked, its tables are read: %v", err)
			}
			tabled := map[string]bool{}
			for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
				if err := tabledListeners(table, p, tabled); err != nil {
					t.Fatal(err)
				}
			}
			if len(asked) != 1 || !maps.Equal(asked, tabled) {
				t.Errorf("listeners(%d) = %q, want as in the tables: %q", p, slices.Collect(maps.Keys(asked)), slices.Collect(maps.Keys(tabled)))
			}
			dir := func(pid int) string { return fmt.Sprintf("/proc/%d", pid) }
			if why := listensOn("/proc", dir(os.Getpid()), int64(os.Getpid()), p); why != "" {
				t.Errorf("port %d: %s", p, why)
			}
			if why := listensOn("/proc", dir(os.Getppid()), int64(os.Getppid()), p); why == "" {
				t.Errorf("port %d: the parent process listens there", p)
			}
		})
	}
}

// TestTwoListeners: a second socket on the port, a tunnel's perhaps, is told.
func TestTwoListeners(t *testing.T) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if cerr != nil {
			return cerr
		}
		return err
	}}
	a, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := config.Listen(t.Context(), "tcp4", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, err := listeners("/proc", a.Addr().(*net.TCPAddr).Port)
	if err != nil || len(got) != 2 {
		t.Errorf("listeners = %v, %v, want two", got, err)
	}
}

func BenchmarkListeners(b *testing.B) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	p := l.Addr().(*net.TCPAddr).Port
	b.Run("asked", func(b *testing.B) {
		for b.Loop() {
			if _, err := askedListeners(p); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tables", func(b *testing.B) {
		for b.Loop() {
			for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
				if err := tabledListeners(table, p, map[string]bool{}); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
