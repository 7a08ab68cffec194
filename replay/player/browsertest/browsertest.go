// Package browsertest looks at pages with a headless Chromium, through its DevTools protocol. For tests only.
package browsertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Page is a page in a Chromium of its own, which ends with the test. It belongs to one goroutine.
type Page struct {
	t       testing.TB
	in      *os.File
	session string

	mu       sync.Mutex
	next     int
	waiting  map[int]chan reply
	loaded   chan struct{}
	requests []string
	said     []string
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

// patience is how long an answer may take on a busy machine.
const patience = 60 * time.Second

// Start starts a browser with an empty page of this size. Where there is no Chromium the test is skipped, and says so loudly.
func Start(t testing.TB, width, height int) *Page {
	t.Helper()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("SKIPPED, and no page was looked at: there is no Chromium; install chromium")
	}
	readsHere, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, writesHere, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--user-data-dir="+home, fmt.Sprintf("--window-size=%d,%d", width, height), "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.ExtraFiles = []*os.File{readsHere, writesHere} // 3 and 4
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = readsHere.Close(), writesHere.Close()
	p := &Page{t: t, in: in, waiting: map[int]chan reply{}, loaded: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() { defer close(done); p.read(out) }()
	t.Cleanup(func() {
		_ = in.Close() // the browser ends
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = out.Close()
		<-done
		if t.Failed() {
			t.Logf("the browser said: %.2000s", log.String())
		}
	})
	var target struct{ TargetID, SessionID string }
	p.Call("Target.createTarget", map[string]any{"url": "about:blank", "newWindow": true, "width": width, "height": height}, &target)
	p.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	p.session = target.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.Call(domain+".enable", nil, nil)
	}
	return p
}

// read hands on what the browser says, until it ends.
func (p *Page) read(out *os.File) {
	br := bufio.NewReader(out)
	for {
		text, err := br.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			reply
		}
		if json.Unmarshal(bytes.TrimSuffix(text, []byte{0}), &m) != nil {
			continue
		}
		p.mu.Lock()
		if c := p.waiting[m.ID]; m.ID > 0 && c != nil {
			delete(p.waiting, m.ID)
			c <- m.reply
		}
		p.event(m.Method, m.Params)
		p.mu.Unlock()
	}
}

func (p *Page) event(method string, params json.RawMessage) {
	switch method {
	case "Page.loadEventFired":
		select {
		case p.loaded <- struct{}{}:
		default:
		}
	case "Network.requestWillBeSent":
		var e struct{ Request struct{ URL string } }
		if json.Unmarshal(params, &e) == nil {
			p.requests = append(p.requests, e.Request.URL)
		}
	case "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening":
		p.said = append(p.said, method+" "+string(params))
	}
}

// Call calls a method of the protocol. result may be nil.
func (p *Page) Call(method string, params, result any) {
	p.t.Helper()
	if params == nil {
		params = struct{}{}
	}
	m := map[string]any{"method": method, "params": params}
	if p.session != "" {
		m["sessionId"] = p.session
	}
	answer := make(chan reply, 1)
	p.mu.Lock()
	p.next++
	m["id"] = p.next
	p.waiting[p.next] = answer
	p.mu.Unlock()
	text, err := json.Marshal(m)
	if err == nil {
		_, err = p.in.Write(append(text, 0))
	}
	if err != nil {
		p.t.Fatalf("%s: %v", method, err)
	}
	select {
	case r := <-answer:
		if r.Error != nil {
			err = errors.New(r.Error.Message)
		} else if result != nil {
			err = json.Unmarshal(r.Result, result)
		}
		if err != nil {
			p.t.Fatalf("%s: %v", method, err)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s: the browser does not answer", method)
	}
}

// Open shows a file.
func (p *Page) Open(file string) {
	p.t.Helper()
	select {
	case <-p.loaded:
	default:
	}
	p.Call("Page.navigate", map[string]any{"url": "file://" + file}, nil)
	select {
	case <-p.loaded:
	case <-time.After(patience):
		p.t.Fatalf("%s does not load", file)
	}
}

// Eval evaluates an expression and returns its value, as text if it is one, and as JSON otherwise.
func (p *Page) Eval(expression string) string {
	p.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	p.Call("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true}, &r)
	if r.ExceptionDetails != nil {
		p.t.Fatalf("%s: %s", expression, r.ExceptionDetails)
	}
	var s string
	if json.Unmarshal(r.Result.Value, &s) == nil {
		return s
	}
	return string(r.Result.Value)
}

// Key presses a key: a character, Tab or Enter.
func (p *Page) Key(key string) {
	p.t.Helper()
	k := map[string]any{"type": "keyDown", "key": key}
	switch key {
	case "Tab":
		k["windowsVirtualKeyCode"], k["code"] = 9, "Tab"
	case "Enter":
		k["windowsVirtualKeyCode"], k["code"], k["text"] = 13, "Enter", "\r"
	default:
		k["text"] = key
	}
	p.Call("Input.dispatchKeyEvent", k, nil)
	p.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key}, nil)
}

// Media sets a media type, "" or print, and features such as prefers-color-scheme: dark.
func (p *Page) Media(media string, features ...string) {
	p.t.Helper()
	list := []map[string]string{}
	for _, f := range features {
		name, value, _ := strings.Cut(f, ": ")
		list = append(list, map[string]string{"name": name, "value": value})
	}
	p.Call("Emulation.setEmulatedMedia", map[string]any{"media": media, "features": list}, nil)
}

// Scripts lets pages that are opened from now on run scripts, or not.
func (p *Page) Scripts(on bool) {
	p.t.Helper()
	p.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Picture is a screenshot of what is in view, as PNG.
func (p *Page) Picture() []byte {
	p.t.Helper()
	return p.bytes("Page.captureScreenshot", nil)
}

// PDF is the page as it is printed.
func (p *Page) PDF() []byte {
	p.t.Helper()
	return p.bytes("Page.printToPDF", map[string]any{"printBackground": true})
}

func (p *Page) bytes(method string, params any) []byte {
	p.t.Helper()
	var r struct{ Data []byte }
	p.Call(method, params, &r)
	return r.Data
}

// Node is what an assistive technology is told of an element.
type Node struct{ Role, Name string }

// Accessible are the elements of the page as an assistive technology has them, without those that it leaves out.
func (p *Page) Accessible() (out []Node) {
	p.t.Helper()
	type value struct{ Value any }
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name value
		}
	}
	p.Call("Accessibility.getFullAXTree", nil, &tree)
	for _, n := range tree.Nodes {
		if !n.Ignored {
			out = append(out, Node{fmt.Sprint(n.Role.Value), fmt.Sprint(n.Name.Value)})
		}
	}
	return out
}

// Requests are the addresses of all that was asked for, but for the files that were opened.
func (p *Page) Requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.requests), func(u string) bool { return strings.HasPrefix(u, "file://") || u == "about:blank" })
}

// Said is all that the browser and the page's scripts have complained about: errors, broken rules of the content security policy, alerts.
func (p *Page) Said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.said)
}
