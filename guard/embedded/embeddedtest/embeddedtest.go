// Package embeddedtest starts the embedded server as a child process, built without the race detector, under which it is ten times
// slower. For tests only.
package embeddedtest

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/replay/durable"
	"respect/replay/durable/durabletest"
)

var build = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD", "GOCACHE").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		return "", fmt.Errorf("go env said %q", out)
	}
	// Each checkout has its own: tests of two of them may run at once.
	dir := filepath.Join(lines[1], "respect-test", fmt.Sprintf("%x", sha256.Sum256([]byte(lines[0])))[:12])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	// Packages are tested in parallel: one builds, the others wait. The linker is not run if nothing changed.
	for {
		lock, err := durable.Acquire(filepath.Join(dir, "lock"))
		if err == nil {
			defer lock.Release() //nolint:errcheck // the process ends the lock too
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	binary := filepath.Join(dir, "respect")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/respect")
	cmd.Dir = filepath.Dir(lines[0])
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

// Build is Binary for callers without a test at hand.
func Build() (string, error) { return build() }

// Binary is the path of the program, built without the race detector and with the embedded server.
func Binary(t testing.TB) string {
	t.Helper()
	b, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Server is a running server.
type Server struct {
	URI     string // without a database, with a slash at its end
	Address string
	Dir     string
	cmd     *exec.Cmd
}

// Start starts a server with the demo's data, marked as env. It is stopped when the test ends.
func Start(t testing.TB, env string) *Server {
	t.Helper()
	return StartIn(t, durabletest.MemoryDir(t), env)
}

// StartIn is Start with a directory of the caller's.
func StartIn(t testing.TB, dir, env string) *Server {
	t.Helper()
	s, err := Run(Binary(t), dir, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// GCPercent is how much garbage a server of the tests makes before it collects it, and a test that makes much itself: a sixth of the server's processor time went
// into looking again and again through a few megabytes.
const GCPercent = 400

// Run starts a server. The caller stops it.
func Run(binary, dir, env string) (*Server, error) {
	cmd := exec.Command(binary, "demo", "--serve", "127.0.0.1:0", "--dir", dir, "--env", env)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOGC=%d", GCPercent))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if uri, ok := strings.CutPrefix(sc.Text(), "serving: "); ok {
			uri = strings.TrimSuffix(uri, "famigo")
			return &Server{URI: uri, Address: strings.Trim(strings.TrimPrefix(uri, "mongodb://"), "/"), Dir: dir, cmd: cmd}, nil
		}
	}
	_ = cmd.Wait() // it has said why on standard error
	return nil, fmt.Errorf("%s demo --serve ended before it served", binary)
}

// PID is the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stop ends the server.
func (s *Server) Stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = s.cmd.Process.Kill()
		<-done
	}
}

// Client is another client of the server, which knows nothing of guards: tests use it to set things up, to interfere, and to look.
func (s *Server) Client(t testing.TB) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().ApplyURI(s.URI).SetDirect(true).SetRetryWrites(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // the server may have been stopped
		defer cancel()
		_ = c.Disconnect(ctx)
	})
	return c
}

// State is all that a database holds: per collection its documents, indexes and options as canonical Extended JSON, in which equal means
// equal bytes. The order of documents is not part of it.
type State map[string][]string

// StateOf reads the state of a database.
func StateOf(t testing.TB, c *mongo.Client, db string) State {
	t.Helper()
	ctx := context.Background()
	all := func(cur *mongo.Cursor, err error) (docs []bson.Raw) {
		t.Helper()
		if err == nil {
			err = cur.All(ctx, &docs)
		}
		if err != nil {
			t.Fatal(err)
		}
		return docs
	}
	out := State{}
	for _, spec := range all(c.Database(db).ListCollections(ctx, bson.D{})) {
		name := spec.Lookup("name").StringValue()
		if strings.HasPrefix(name, "system.") {
			continue
		}
		var list []string
		add := func(prefix string, docs ...bson.Raw) {
			for _, d := range docs {
				text, err := bson.MarshalExtJSON(d, true, false)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, prefix+string(text))
			}
		}
		if o, ok := spec.Lookup("options").DocumentOK(); ok {
			add("options ", o)
		}
		coll := c.Database(db).Collection(name)
		add("", all(coll.Find(ctx, bson.D{}))...)
		add("index ", all(coll.Indexes().List(ctx))...)
		slices.Sort(list)
		out[name] = list
	}
	return out
}
