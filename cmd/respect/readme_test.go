//go:build !race

// Building is what takes the time here, and the race detector finds nothing in it.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/embedded/embeddedtest"
	"respect/guard/policy"
)

// readme is the README's code blocks of one language, line by line.
func readme(t *testing.T, lang string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?s)```"+lang+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(m[1]), "\n")...)
	}
	return lines
}

// wantStatus is the exit status of a README's command that does not end with 0, and says why.
var wantStatus = map[string]int{
	"respect undo": 1, // nothing was changed from here
	"respect redo": 1, // nor taken back
}

// TestREADME runs every command that the README shows, on a staging server of the test's where it names one; with -short not those that build.
func TestREADME(t *testing.T) {
	t.Parallel()
	binary := embeddedtest.Binary(t)
	s := embeddedtest.Start(t, "staging")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	env := append(os.Environ(), "RESPECT_STATE_DIR="+t.TempDir(), "GOBIN="+bin, "PATH="+bin+":"+filepath.Dir(binary)+":"+os.Getenv("PATH"))
	lines := readme(t, "sh")
	if want := []string{"go run ./cmd/respect demo", "go test ./..."}; !slices.Equal(lines[:2], want) {
		t.Fatalf("the set-up commands are %q, want %q", lines[:2], want)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if version := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(mod)[1]; !bytes.Contains(text, append([]byte("Needs Go "), version...)) {
		t.Errorf("the README does not say that Go %s is needed", version)
	}
	for _, line := range lines {
		if line == "go test ./..." {
			continue // this is it
		}
		if testing.Short() && strings.Contains(line, "go ") {
			continue // it builds the program
		}
		run := strings.NewReplacer("mongodb://localhost:27017/famigo", s.URI+"famigo", "mongodb://localhost:27017", s.URI, "/tmp/respect", filepath.Join(bin, "built")).Replace(line)
		cmd := exec.Command("bash", "-c", run)
		cmd.Dir, cmd.Env = root, env
		cmd.Stdin = strings.NewReader("db.families.countDocuments({})\n")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		status := cmd.ProcessState.ExitCode()
		if status != wantStatus[line] {
			t.Errorf("%s: status %d (%v)\n%s", line, status, err, &out)
		}
		if strings.HasPrefix(line, "go run") && !strings.Contains(out.String(), "300") {
			t.Errorf("%s: it did not count the families:\n%s", line, &out)
		}
	}
	for i, err := range readmeFiles(t) {
		if err != nil {
			t.Errorf("the README's file %d: %v", i+1, err)
		}
	}
	js := readme(t, "js")
	if len(js) < 6 {
		t.Fatalf("%d statements", len(js))
	}
	for _, line := range js {
		if doc, ok := strings.CutPrefix(line, `db.getSiblingDB("respect").environment.insertOne(`); ok {
			checkMarkerLine(t, binary, s, strings.TrimSuffix(doc, ")"))
			continue
		}
		out, err := exec.Command(binary, "plan", "--state-dir", t.TempDir(), "-e", line, s.URI+"famigo").CombinedOutput()
		want := ""
		if strings.Contains(line, "updateOne") {
			want = "did you forget $set"
		}
		if (err != nil) != (want != "") || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// readmeFiles reads the README's policy of a user and its profiles.
func readmeFiles(t *testing.T) []error {
	t.Helper()
	text := strings.Join(readme(t, "yaml"), "\n")
	at := strings.Index(text, "profiles:\n")
	if at < 0 {
		t.Fatal("there are no profiles")
	}
	f, err := policy.Parse("README.md", []byte(text[:at]))
	if err == nil {
		_, err = policy.Combine(nil, f)
	}
	_, perr := policy.ParseProfiles("README.md", []byte(text[at:]))
	return []error{err, perr}
}

// checkMarkerLine puts the document that the README gives for containers onto a server, as mongosh would, and asks what it is then.
func checkMarkerLine(t *testing.T, binary string, s *embeddedtest.Server, doc string) {
	t.Helper()
	out, err := exec.Command(binary, "--state-dir", t.TempDir(), "-e", "EJSON.stringify("+doc+", {relaxed: false})", s.URI).Output()
	var d bson.D
	if err == nil {
		err = bson.UnmarshalExtJSON(out, true, &d)
	}
	if err == nil {
		_, err = s.Client(t).Database("respect").Collection("environment").ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: "environment"}}, d)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", doc, err, out)
	}
	if out, err = exec.Command(binary, "classify", "--state-dir", t.TempDir(), s.URI).Output(); err != nil || !strings.HasPrefix(string(out), "DEVELOPMENT") {
		t.Errorf("the marker for containers: %v\n%s", err, out)
	}
}

// TestREADMEPictures: what the README shows is there.
func TestREADMEPictures(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(string(text), -1)
	if len(links) < 3 {
		t.Fatal("there are no links")
	}
	for _, m := range links {
		if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
			t.Error(fmt.Errorf("the README names %s: %w", m[1], err))
		}
	}
}
