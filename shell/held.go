package shell

import (
	"strings"

	"respect/guard"
	"respect/guard/plan"
)

// What a script prints while its writes wait for their question is about what has not happened, and may not. So it is held back from the first such write on, and shown when
// what it was printed behind has its outcome.

// held is a text that waits.
type held struct {
	text   string
	behind int // guarded writes that were issued before it
}

// mostHeld bounds what is held back, in bytes. What would be more has to be shown, and is marked.
const mostHeld = 4 << 20

// print shows what a script prints, or holds it back.
func (s *Shell) print(text string) {
	st := s.run.st
	if st == nil {
		s.out(text)
		return
	}
	issued, settled := st.Pending()
	if s.release(settled); len(s.held) == 0 && issued == settled {
		s.out(text)
		return
	}
	if s.heldBytes += len(text); s.heldBytes > mostHeld {
		s.out(simulated(text))
		return
	}
	s.held = append(s.held, held{text, issued})
}

// release shows what is no longer waiting: a preview carries nothing out, and releases nothing.
func (s *Shell) release(settled int) {
	n := 0
	for n < len(s.held) && s.held[n].behind <= settled {
		s.out(s.held[n].text)
		s.heldBytes -= len(s.held[n].text)
		n++
	}
	s.held = s.held[n:]
}

// outcome releases what the statement has settled by now.
func (s *Shell) outcome(st *guard.Statement) {
	_, settled := st.Pending()
	s.release(settled)
}

// takeHeld is all that waits, and how many lines that is. Nothing waits any more.
func (s *Shell) takeHeld() (text string, lines int) {
	var b strings.Builder
	for _, h := range s.held {
		b.WriteString(h.text)
	}
	s.held, s.heldBytes = nil, 0
	return b.String(), strings.Count(b.String(), "\n")
}

// leaveOut says what a script has printed about writes that were not done. It is not shown.
func (s *Shell) leaveOut() {
	if _, n := s.takeHeld(); n > 0 {
		s.say("left out: " + plan.Plural(int64(n), "line") + " that the script printed about what was not done\n")
	}
}

// afterAll shows what waits though less was done than was foreseen.
func (s *Shell) afterAll() {
	if text, n := s.takeHeld(); n > 0 {
		s.say("what the script printed was about what was foreseen; less was done:\n")
		s.out(text)
	}
}

// simulated marks each line of a text as one about what has not happened.
func simulated(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("SIMULATED: " + line)
	}
	return b.String()
}
