package terminaltest

import (
	"os/exec"
	"testing"
	"time"
)

// TestPatience: who waits gives up when nothing gets on, and not before.
func TestPatience(t *testing.T) {
	if !known {
		t.Skip("SKIPPED: whether a process works is known on Linux only")
	}
	const patience = 300 * time.Millisecond
	never := func() bool { return false }
	for _, tt := range []struct {
		name, script string
		atLeast      time.Duration
	}{
		{"nothing gets on", "read x", patience},
		{"the program works for a while", "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; read x", 0},
		{"a child of it works for a while", "(i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done); read x", 0},
		{"it writes now and then", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done; read x", 1400 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := Start(exec.Command("sh", "-c", "echo begun; "+tt.script+"; echo over; read x"), 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Expect("begun"); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if until(&s.change, never, patience, []int{s.cmd.Process.Pid}) {
				t.Fatal("what never comes has come")
			}
			if took := time.Since(begun); took < tt.atLeast {
				t.Errorf("gave up after %s", took)
			}
			worked, _ := Worked(s.cmd.Process.Pid)
			if err := s.Send("x\r"); err != nil {
				t.Fatal(err)
			}
			if err := s.Expect("over"); err != nil {
				t.Fatal(err)
			}
			if all, _ := Worked(s.cmd.Process.Pid); all-worked > patience/3 {
				t.Errorf("it was left with %s of work before it", all-worked)
			}
		})
	}
}

// TestEnd: what will not come from a program that has ended is told at once.
func TestEnd(t *testing.T) {
	s, err := Start(exec.Command("sh", "-c", "echo something; exit 3"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Expect("something"); err != nil {
		t.Error(err)
	}
	if err := s.Expect("something"); err == nil {
		t.Error("it was found twice")
	}
	if code, err := s.Wait(); code != 3 || err != nil {
		t.Errorf("Wait = %d, %v, want 3", code, err)
	}
}

func TestPlain(t *testing.T) {
	const out = "a\x1b[1;31mb\x1b[0m\r\nc\x1b7d\x1b[2"
	var p plain
	for i := range len(out) {
		p.write(out[i : i+1])
	}
	if got := p.text.String(); got != "ab\ncd" || Plain(out) != got {
		t.Errorf("plain %q, and as a whole %q, want %q", got, Plain(out), "ab\ncd")
	}
}
