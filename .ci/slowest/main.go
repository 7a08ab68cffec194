// Command slowest shows what "go test ./..." would show without -v, of its output with -v on standard input, and behind it the tests that took longest
// and those that were skipped. It ends with status 1 if a package failed; then all that its failed tests said is shown.
//
//	GOFLAGS=-v go test ./... | go run ./.ci/slowest
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() {
	s := &suite{out: os.Stdout}
	if err := s.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "slowest:", err)
		os.Exit(1)
	}
	s.summary(10)
	if s.failed {
		os.Exit(1)
	}
}

// suite is what has been read so far.
type suite struct {
	out     io.Writer
	tests   []test // of packages that are over; their subtests too
	skipped []string
	failed  bool

	pkg []string            // the lines of the running package
	ran []test              // its tests
	own map[string][]string // what each of them said
	now string              // the test that is speaking
}

type test struct {
	pkg, name, result string
	seconds           float64
}

var (
	mark   = regexp.MustCompile(`^=== (?:RUN|PAUSE|CONT|NAME) +(\S+)$`)
	result = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(([\d.]+)s\)$`)
	over   = regexp.MustCompile(`^(ok  |FAIL|\?   )\t(\S+)`)
)

func (s *suite) read(in io.Reader) error {
	lines := bufio.NewReader(in) // a line may be of any length
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			s.line(strings.TrimSuffix(line, "\n"))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *suite) line(line string) {
	if s.own == nil {
		s.own = map[string][]string{}
	}
	s.pkg = append(s.pkg, line)
	if m := mark.FindStringSubmatch(line); m != nil {
		s.now = m[1]
		return
	}
	if m := result.FindStringSubmatch(line); m != nil {
		seconds, _ := strconv.ParseFloat(m[3], 64) // the pattern is one of numbers
		s.ran = append(s.ran, test{name: m[2], result: m[1], seconds: seconds})
		s.now = m[2] // what a test has logged stands behind its result where it has run alone
		return
	}
	if m := over.FindStringSubmatch(line); m != nil {
		s.end(m[1], m[2], line)
		return
	}
	s.own[s.now] = append(s.own[s.now], line)
}

// end is the end of a package.
func (s *suite) end(how, name, line string) {
	if how == "FAIL" {
		s.failed = true
		s.tell()
	}
	fmt.Fprintln(s.out, line)
	for _, t := range s.ran {
		t.pkg = name
		s.tests = append(s.tests, t)
		if t.result == "SKIP" {
			said := strings.TrimSpace(strings.Join(s.own[t.name], " "))
			s.skipped = append(s.skipped, fmt.Sprintf("%s %s: %s", name, t.name, said))
		}
	}
	s.pkg, s.ran, s.own, s.now = nil, nil, nil, ""
}

// tell shows what failed; all, if no test says that it did: the package did not build, or panicked, or took too long.
func (s *suite) tell() {
	failed := 0
	for _, t := range s.ran {
		if t.result != "FAIL" {
			continue
		}
		failed++
		fmt.Fprintf(s.out, "--- FAIL: %s (%.2fs)\n", t.name, t.seconds)
		for _, l := range s.own[t.name] {
			fmt.Fprintln(s.out, l)
		}
	}
	panicked := slices.ContainsFunc(s.pkg, func(l string) bool { return strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") })
	if failed == 0 || panicked {
		fmt.Fprintln(s.out, strings.Join(s.pkg[:len(s.pkg)-1], "\n"))
	}
}

// summary names the n slowest tests, without those that only wait for their parts, and what was skipped.
func (s *suite) summary(n int) {
	parents := map[string]bool{}
	for _, t := range s.tests {
		if i := strings.LastIndexByte(t.name, '/'); i >= 0 {
			parents[t.pkg+" "+t.name[:i]] = true
		}
	}
	leaves := slices.DeleteFunc(slices.Clone(s.tests), func(t test) bool { return parents[t.pkg+" "+t.name] })
	slices.SortStableFunc(leaves, func(a, b test) int { return cmp.Compare(b.seconds, a.seconds) })
	fmt.Fprintf(s.out, "\nthe slowest of %d tests:\n", len(leaves))
	for _, t := range leaves[:min(n, len(leaves))] {
		fmt.Fprintf(s.out, "%7.1f s  %s %s\n", t.seconds, t.pkg, t.name)
	}
	if len(s.skipped) > 0 {
		fmt.Fprintf(s.out, "\nskipped: %d\n", len(s.skipped))
		for _, l := range s.skipped {
			fmt.Fprintln(s.out, "  "+l)
		}
	}
}
