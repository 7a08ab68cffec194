package environment

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain plays the server that listens, when it is started as that.
func TestMain(m *testing.M) {
	if os.Getenv("RESPECT_TEST_LISTEN") == "" {
		os.Exit(m.Run())
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // ends with the test
}

// listening is a child process that listens, as what it would say of itself. attr may put it into other namespaces.
func listening(t *testing.T, attr *syscall.SysProcAttr) (Observation, error) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), "RESPECT_TEST_LISTEN=1"), attr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		return Observation{}, err
	}
	started := time.Now()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return Observation{Address: strings.TrimSpace(line), PID: int64(cmd.Process.Pid), Executable: filepath.Base(exe), Started: started}, nil
}

func TestLocalProcess(t *testing.T) {
	server, err := listening(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := listening(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := net.Listen("tcp", "127.0.0.1:0") // belongs to the process of the test
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	change := func(f func(*Observation)) Observation {
		o := server
		f(&o)
		return o
	}
	for _, tt := range []struct {
		name string
		o    Observation
		why  string
	}{
		{"what it says is true", server, "which listens on port"},
		{"by name", change(func(o *Observation) { o.Address = "localhost:" + p }), "which listens on port"},
		{"its whole path", change(func(o *Observation) { o.Executable = "/opt/bin/" + o.Executable }), "which listens on port"},
		{"started a little later", change(func(o *Observation) { o.Started = o.Started.Add(2 * time.Second) }), "which listens on port"},
		{"another program", change(func(o *Observation) { o.Executable = "mongod" }), "runs"},
		{"no program", change(func(o *Observation) { o.Executable = "" }), "runs"},
		{"another start", change(func(o *Observation) { o.Started = o.Started.Add(-time.Minute) }), "was started at"},
		{"a start to come", change(func(o *Observation) { o.Started = o.Started.Add(time.Minute) }), "was started at"},
		{"no start", change(func(o *Observation) { o.Started = time.Time{} }), "does not tell when"},
		{"another process that would do", change(func(o *Observation) { o.PID = other.PID }), "does not listen"},
		{"a tunnel", change(func(o *Observation) { o.Address = tunnel.Addr().String() }), "does not listen"},
		{"nobody", change(func(o *Observation) { o.PID = 1 << 30 }), "none that can be looked at"},
		{"the first process", change(func(o *Observation) { o.PID = 1 }), "means something"},
		{"a negative number", change(func(o *Observation) { o.PID = -server.PID }), "means something"},
		{"a socket in the file system", change(func(o *Observation) { o.Address = "/tmp/mongodb-" + p + ".sock" }), "means something"},
	} {
		got := local(tt.o)
		if got.Shown != strings.HasPrefix(tt.why, "which listens") || !strings.Contains(got.Why, tt.why) {
			t.Errorf("%s: %+v, want %q", tt.name, got, tt.why)
		}
	}

	second, err := net.Listen("tcp", "127.0.0.2:"+p)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got := local(server); got.Shown || !strings.Contains(got.Why, "and so does another") {
		t.Errorf("two listen on one port: %+v", got)
	}
}

// The number that a far server tells may be that of a process in a container here, which the process table shows.
func TestLocalOtherPidNamespace(t *testing.T) {
	o, err := listening(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID})
	if err != nil {
		o, err = listening(t, &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWPID | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		})
	}
	if err != nil {
		t.Skipf("SKIPPED, seen only with a process table that is made up (TestLocalMadeUp): no pid namespace can be made here: %v", err)
	}
	if got := local(o); got.Shown || !strings.Contains(got.Why, "pid namespace") {
		t.Errorf("local(%+v) = %+v", o, got)
	}
}

// madeUp is a process table with one process, which says of itself what the observation says.
func madeUp(t *testing.T) (proc string, o Observation) {
	t.Helper()
	proc = t.TempDir()
	for name, text := range map[string]string{
		"uptime":    "5000.25 9000.00\n",
		"4711/stat": "4711 (a) S 1 (b) S 1 4711 4711 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 400025 1 1 18446744073709551615 1 1 0 0\n",
		"net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
			"   0: 0100007F:69DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1\n",
	} {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"self/ns/pid": "pid:[1]", "4711/ns/pid": "pid:[1]", "4711/exe": "/usr/bin/mongod (deleted)", "4711/fd/3": "socket:[77]"} {
		link(t, filepath.Join(proc, name), to)
	}
	return proc, Observation{Address: "localhost:27101", PID: 4711, Executable: "mongod", Started: may.Add(-1000 * time.Second)}
}

func link(t *testing.T, path, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestLocalMadeUp(t *testing.T) {
	now := func() time.Time { return may }
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, proc string)
		why   string // "" if it is shown
	}{
		{"as it says", func(*testing.T, string) {}, ""},
		{"another pid namespace", func(t *testing.T, proc string) { link(t, filepath.Join(proc, "4711/ns/pid"), "pid:[2]") }, "another pid namespace"},
		{"a pid namespace that cannot be read", func(t *testing.T, proc string) { remove(t, proc, "4711/ns") }, "cannot be read"},
		{"a process table of another pid namespace", func(t *testing.T, proc string) { remove(t, proc, "self") }, "cannot be read"},
		{"ssh", func(t *testing.T, proc string) { link(t, filepath.Join(proc, "4711/exe"), "/usr/bin/ssh") }, "runs /usr/bin/ssh"},
		{"a program that cannot be read", func(t *testing.T, proc string) { remove(t, proc, "4711/exe") }, "cannot be read"},
		{"no uptime", func(t *testing.T, proc string) { remove(t, proc, "uptime") }, "cannot be read"},
		{"nonsense for an uptime", func(t *testing.T, proc string) { write(t, proc, "uptime", "long") }, "cannot be read"},
		{"a machine that runs for longer", func(t *testing.T, proc string) { write(t, proc, "uptime", "6000.00 1") }, "was started at"},
		{"no start", func(t *testing.T, proc string) { write(t, proc, "4711/stat", "4711 (x) S 1") }, "none that can be looked at"},
		{"nothing open that can be seen", func(t *testing.T, proc string) { remove(t, proc, "4711/fd") }, "cannot be read"},
		{"another socket", func(t *testing.T, proc string) { link(t, filepath.Join(proc, "4711/fd/3"), "socket:[78]") }, "does not listen"},
		{"no sockets", func(t *testing.T, proc string) { remove(t, proc, "net") }, "does not listen"},
	} {
		proc, o := madeUp(t)
		tt.spoil(t, proc)
		got := localIn(proc, o, now)
		if got.Shown != (tt.why == "") || !strings.Contains(got.Why, tt.why) {
			t.Errorf("%s: %+v, want %q", tt.name, got, tt.why)
		}
	}
}

func remove(t *testing.T, proc, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(proc, name)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, proc, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
