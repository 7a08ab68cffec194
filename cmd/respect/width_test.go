package main

import (
	"os/exec"
	"strings"
	"testing"

	"respect/guard/embedded/embeddedtest"
	"respect/shell/render"
	"respect/shell/terminal/terminaltest"
)

// What respect itself says is broken at words, on a terminal of any width: no row is wider, unless it is one word that somebody copies.
func TestNothingIsBrokenInAWord(t *testing.T) {
	t.Parallel()
	binary := embeddedtest.Binary(t)
	s, err := embeddedtest.Run(binary, t.TempDir(), "staging")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	p := newProgram(t, binary, "")
	uri := s.URI + "famigo"
	run := func(width int, args ...string) string {
		cmd := exec.Command(binary, args...)
		cmd.Env = append([]string(nil), p.env...)
		tty, err := terminaltest.Start(cmd, width, 24)
		if err != nil {
			t.Fatal(err)
		}
		defer tty.Close()
		if _, err := tty.Wait(); err != nil {
			t.Fatal(err)
		}
		return terminaltest.Plain(tty.Output())
	}
	run(80, "--reason", "ticket 4711: the trial families that were written twice by the nightly import are put right", "-e", `db.families.updateMany({plan: "trial"}, {$set: {plan: "free", note: "was a trial that was written twice by the nightly import"}})`, uri)
	for _, width := range []int{60, 80} {
		for _, args := range [][]string{
			{"changes"}, {"changes", "show", ""}, {"changes", "verify"}, {"changes", "prune", "--keep", "0"}, {"replay", "list"}, {"replay", "show"}, {"replay", "verify"}, {"replay", "search", "trial"},
			{"--help"}, {"changes", "--help"}, {"replay", "verify", "--help"}, {"nonsense"}, {"changes", "--nonsense"}, {"plan", uri}, {"undo", "no-such-change-anywhere"},
			{"classify", uri}, {"-e", "help", uri}, {"-e", "env", uri}, {"-e", "changes", uri}, {"-e", "undo nonsense", uri}, {"-e", "show nonsense", uri}, {"-e", "undo this and that", uri},
			{"-e", `db.families.deleteMany({_id: undefined})`, uri}, {"mark", "nonsense", uri}, {"policy", "check"},
		} {
			if args[len(args)-1] == "" {
				args[len(args)-1] = "2"
			}
			out := run(width, args...)
			if strings.TrimSpace(out) == "" {
				t.Errorf("respect %v says nothing", args)
			}
			for line := range strings.Lines(out) {
				line = strings.TrimRight(line, "\r\n ")
				if render.Width(line) > width && len(strings.Fields(line)) > 1 {
					t.Errorf("respect %v at %d columns, %d: %q", args, width, render.Width(line), line)
				}
			}
		}
	}
}
