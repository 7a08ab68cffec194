package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"respect/guard/embedded/embeddedtest"
	"respect/shell/terminal/terminaltest"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "respect" { // not as a command of a script
		// Scripts wait for a finger most of the time.
		flag.Parse()
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){
		"respect": func() {
			// Without the terminal that the tests were started from. A command that tty runs leads its session, and keeps its own.
			_, _ = syscall.Setsid()
			os.Exit(start())
		},
	})
}

// TestScript runs testdata/script: what a user could have typed.
func TestScript(t *testing.T) {
	t.Parallel()
	binary := embeddedtest.Binary(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("RESPECT_STATE_DIR", e.WorkDir+"/state")
			e.Setenv("PLAIN", binary)
			e.Setenv("HOME", e.WorkDir)
			e.Values[serverPIDs{}] = new([]int)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve, "tunnel": tunnel, "status": exitStatus, "tty": tty, "other": other, "pick": pick,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// serverPIDs names the processes of a script's servers.
type serverPIDs struct{}

// serve starts a server and puts its connection string into $URI, without the database into $SERVER, and host and port into $ADDRESS:
// serve production [dir].
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: serve environment [directory]")
	}
	dir := ts.MkAbs("server-" + args[0])
	if len(args) == 2 {
		dir = ts.MkAbs(args[1])
	}
	s, err := embeddedtest.Run(ts.Getenv("PLAIN"), dir, args[0])
	ts.Check(err)
	ts.Defer(s.Stop)
	pids := ts.Value(serverPIDs{}).(*[]int)
	*pids = append(*pids, s.PID())
	ts.Setenv("URI", s.URI+"famigo")
	ts.Setenv("SERVER", strings.TrimSuffix(s.URI, "/"))
	ts.Setenv("ADDRESS", s.Address)
}

// tunnel lets $URI reach the server through another port of this machine, which belongs to a process that is not the server.
func tunnel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: tunnel")
	}
	address := ts.Getenv("ADDRESS")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				}()
			}
		}
	}()
	ts.Setenv("URI", "mongodb://"+l.Addr().String()+"/famigo")
}

// exitStatus runs a program as exec does and wants this exit status: status 3 respect -e … $URI.
func exitStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status code program args…")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("exit status %d, not %s", got, args[0])
	}
}

// pick puts what the first group of a pattern finds in a file into a variable: pick NAME FILE PATTERN.
func pick(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: pick NAME FILE PATTERN")
	}
	m := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) < 2 {
		ts.Fatalf("%s has no %s", args[1], args[2])
	}
	ts.Setenv(args[0], m[1])
}

// other is another client of the server, which knows nothing of guards: other db.collection insert|delete|update|drop JSON… db.* is the
// whole database.
func other(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) < map[string]int{"insert": 3, "delete": 3, "update": 4}[args[1]] {
		ts.Fatalf("usage: other db.collection insert|delete|update|drop [JSON [JSON]]")
	}
	ctx := context.Background()
	c, err := mongo.Connect(options.Client().ApplyURI(ts.Getenv("SERVER")).SetDirect(true).SetRetryWrites(false))
	ts.Check(err)
	defer func() { ts.Check(c.Disconnect(ctx)) }()
	db, coll, _ := strings.Cut(args[0], ".")
	coll, err = strconv.Unquote(`"` + coll + `"`)
	ts.Check(err)
	target := c.Database(db).Collection(coll)
	var docs []bson.D
	for _, a := range args[2:] {
		var d bson.D
		ts.Check(bson.UnmarshalExtJSON([]byte(a), false, &d))
		docs = append(docs, d)
	}
	switch args[1] {
	case "insert":
		_, err = target.InsertOne(ctx, docs[0])
	case "delete":
		_, err = target.DeleteMany(ctx, docs[0])
	case "update":
		_, err = target.UpdateMany(ctx, docs[0], docs[1])
	case "drop":
		if coll == "*" {
			err = target.Database().Drop(ctx)
		} else {
			err = target.Drop(ctx)
		}
	default:
		err = fmt.Errorf("other cannot %s", args[1])
	}
	ts.Check(err)
}

// tty runs a program on a terminal and plays a file of steps: tty steps respect -e … $URI. Its screen goes to stdout.
//
//	expect TEXT   wait until TEXT stands in the output, behind what was expected before
//	type TEXT     type it key by key         key NAME    ctrl-c, ctrl-d, escape, tab, up, enter, backspace, ctrl-r
//	run TEXT      enter it at the prompt, without the pace of a finger
//	line TEXT     type it, then Enter        burst TEXT  all at once, as a paste without brackets; \r is Enter
//	ready         wait until a question takes its answer, whose first keys nobody sees before
//	phrase        type what the question wants, when it takes it, then Enter
//	paste TEXT    a bracketed paste          paste-phrase  … of what the question wants
//	last TEXT     wait until TEXT is the last line of the screen
//	insist KEY    press a key again and again, as somebody does who is not heard, until the program ends
//	rests         wait until the program waits for somebody: it neither writes nor works
//	exit CODE     the program ends with this status
//	absent TEXT   it stands nowhere in the output so far
//	never TEXT    these bytes stand nowhere in it, escape sequences included; \x1b is Escape
//	other …       as the command other       signal NAME   SIGTERM, SIGHUP or SIGQUIT
//	raw PATTERN   the output with its escape sequences matches     no-raw PATTERN  … does not
func tty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: tty steps program args…")
	}
	steps := strings.ReplaceAll(ts.ReadFile(args[0]), "$ADDRESS", ts.Getenv("ADDRESS"))
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	if args[1] == "respect" {
		path = lookIn(ts.Getenv("PATH"), "respect")
	}
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, k := range []string{"PATH", "HOME", "RESPECT_STATE_DIR", "XDG_CONFIG_HOME", "TMPDIR", "NO_COLOR"} {
		if v := ts.Getenv(k); v != "" {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	s, err := terminaltest.Start(cmd, 0, 0)
	ts.Check(err)
	defer s.Close()
	s.Watch(*ts.Value(serverPIDs{}).(*[]int)...)
	for n, line := range strings.Split(steps, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if words := stepWords.FindAllString(line, -1); words[0] == "other" {
			for i := range words {
				words[i] = strings.Trim(words[i], "'")
			}
			other(ts, false, words[1:])
			continue
		}
		if name, ok := strings.CutPrefix(line, "signal "); ok {
			ts.Check(cmd.Process.Signal(signals[name]))
			continue
		}
		if err := step(s, line); err != nil {
			ts.Fatalf("%s:%d: %s: %v", args[0], n+1, line, err)
		}
	}
	_, err = ts.Stdout().Write([]byte(s.Screen() + "\n"))
	ts.Check(err)
}

// stepWords are words, and what stands between apostrophes.
var stepWords = regexp.MustCompile(`'[^']*'|\S+`)

var signals = map[string]os.Signal{"SIGTERM": syscall.SIGTERM, "SIGHUP": syscall.SIGHUP, "SIGQUIT": syscall.SIGQUIT}

func lookIn(path, name string) string {
	for _, dir := range strings.Split(path, string(os.PathListSeparator)) {
		if fi, err := os.Stat(dir + "/" + name); err == nil && fi.Mode()&0o111 != 0 {
			return dir + "/" + name
		}
	}
	return name
}

var keys = map[string]string{"ctrl-c": "\x03", "ctrl-d": "\x04", "ctrl-r": "\x12", "escape": "\x1b", "tab": "\t", "up": "\x1b[A", "down": "\x1b[B", "enter": "\r", "backspace": "\x7f"}

func step(s *terminaltest.Session, line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb {
	case "expect":
		return s.Expect(arg)
	case "absent":
		if strings.Contains(terminaltest.Plain(s.Output()), arg) {
			return fmt.Errorf("it is there; the screen:\n%s", s.Screen())
		}
		return nil
	case "never":
		bytes, err := strconv.Unquote(`"` + arg + `"`)
		if err == nil && strings.Contains(s.Output(), bytes) {
			err = fmt.Errorf("it is there; the screen:\n%s", s.Screen())
		}
		return err
	case "raw", "no-raw":
		pattern, err := regexp.Compile(arg)
		if err == nil && pattern.MatchString(s.Output()) != (verb == "raw") {
			err = fmt.Errorf("the output is %q", s.Output())
		}
		return err
	case "type":
		return s.Type(arg)
	case "line":
		if err := s.Type(arg); err != nil {
			return err
		}
		return s.Enter()
	case "run":
		if err := s.TypeFast(arg); err != nil {
			return err
		}
		return s.Enter()
	case "ready":
		return s.Ready()
	case "last":
		return s.Last(arg)
	case "insist":
		return insist(s, arg)
	case "rests":
		return s.Rests()
	case "phrase", "paste-phrase":
		if err := s.Ready(); err != nil {
			return err
		}
		phrase, err := s.Phrase()
		if err != nil {
			return err
		}
		if verb == "paste-phrase" {
			return s.Paste(phrase)
		}
		if err := s.Type(phrase); err != nil {
			return err
		}
		return s.Enter()
	case "paste":
		return s.Paste(strings.ReplaceAll(arg, `\n`, "\n"))
	case "burst":
		return s.Send(strings.ReplaceAll(arg, `\r`, "\r"))
	case "key":
		if arg == "enter" {
			return s.Enter()
		}
		return s.Send(keys[arg])
	case "exit":
		code, err := s.Wait()
		if want, _ := strconv.Atoi(arg); err == nil && code != want {
			err = fmt.Errorf("status %d; the screen:\n%s", code, s.Screen())
		}
		return err
	}
	return fmt.Errorf("what is %q?", verb)
}

// insist presses a key until the program ends. Two signals that come at once are one, so that no number of keys is enough on every machine.
func insist(s *terminaltest.Session, key string) error {
	pressed := time.Time{}
	return s.Until("an end", func() bool {
		if !s.Ended() && time.Since(pressed) > time.Second/2 {
			pressed = time.Now()
			_ = s.Send(keys[key]) // it may have ended just now
		}
		return s.Ended()
	})
}
