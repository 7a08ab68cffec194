package player

import (
	"fmt"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/journal"
)

// Mark says what a frame is, for those who look for it.
type Mark string

// The marks.
const (
	Question Mark = "question"
	Write    Mark = "write"
	Refusal  Mark = "refusal"
)

// Frame is a piece of a session as it is played.
type Frame struct {
	At    time.Duration // since the session began; never less than that of the frame before
	Text  string        // lines, safe on a terminal; each ends with a newline
	Mark  Mark          // "" for what nobody jumps to
	Label string        // of a marked frame: one line, safe
}

// Frames is a session as its operator saw it: the statements, what they showed, the previews, the answers, the receipts.
// A preview stands where it was shown, not where it was answered.
func Frames(s *journal.Session) ([]Frame, error) {
	f := framer{predicted: map[string][]replay.Count{}, shown: map[uint64]bool{}}
	if len(s.Events) == 0 {
		return nil, nil
	}
	f.begin = s.Events[0].Time
	for i, e := range s.Events {
		f.at = max(f.at, e.Time.Sub(f.begin))
		if err := f.event(e, s.Events[i+1:]); err != nil {
			return nil, fmt.Errorf("seq %d: %w", e.Seq, err)
		}
	}
	var tail strings.Builder
	tellProblems(&tail, s)
	if !s.Closed && !s.Live && len(s.Problems) == 0 {
		tail.WriteString("the record ends without close: crash or truncation\n")
	}
	if tail.Len() > 0 {
		f.frames = append(f.frames, Frame{At: f.at, Text: tail.String()})
	}
	return f.frames, nil
}

type framer struct {
	begin     time.Time
	at        time.Duration
	frames    []Frame
	predicted map[string][]replay.Count
	shown     map[uint64]bool // the answers, by seq, whose question stands already
}

func (f *framer) say(lines ...string) { f.mark("", "", lines...) }

func (f *framer) mark(m Mark, label string, lines ...string) {
	if len(lines) == 0 {
		return
	}
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.TrimRight(replay.Safe(l), " ") + "\n")
	}
	f.frames = append(f.frames, Frame{At: f.at, Text: b.String(), Mark: m, Label: replay.Safe(label)})
}

func (f *framer) event(e replay.Event, rest []replay.Event) error {
	show := map[replay.Kind]func() error{
		replay.KindOpen: into(e, func(b replay.Open) {
			f.say(fmt.Sprintf("session %s: %s on %s, %s, respect %s", replay.Safe(b.Session), replay.Safe(b.Who.User), replay.Safe(b.Who.Host), e.Time.Format(stamp), replay.Safe(b.Build.Version)))
		}),
		replay.KindConnect: into(e, func(b replay.Connect) { f.say(tellConnect(b)...) }),
		replay.KindReason:  into(e, func(b replay.Reason) { f.say(block("reason: ", b.Text)...) }),
		replay.KindInput: into(e, func(b replay.Input) {
			lines := append([]string{""}, block("> ", b.Text)...)
			if b.Manner != "typed" {
				lines = append(lines, "  ("+replay.Safe(b.Manner)+")")
			}
			f.say(lines...)
		}),
		replay.KindCommand: into(e, func(b replay.Command) {
			if unguarded(b) {
				f.mark(Write, "write: "+replay.Safe(b.Name)+" "+replay.Safe(strings.Join(b.Namespaces, ", ")), tellCommand(b)...)
			}
		}),
		replay.KindPlanned: into(e, func(b replay.Planned) { f.planned(b, rest) }),
		replay.KindDecided: into(e, func(b replay.Decided) { f.decided(b, e.Seq) }),
		replay.KindIntent: into(e, func(b replay.Intent) {
			f.predicted[b.Change] = b.Counts
			f.mark(Write, "write: "+replay.Safe(b.Summary), fmt.Sprintf("(change %s begins: %s)", replay.Safe(b.Change), replay.Safe(b.Summary)))
		}),
		replay.KindOutcome: into(e, func(b replay.Outcome) { f.say(append([]string{""}, receipt(b, f.predicted[b.Change])...)...) }),
		replay.KindRefused: into(e, func(b replay.Refused) {
			first, _, _ := strings.Cut(b.Text, "\n")
			f.mark(Refusal, "refusal: "+replay.Safe(first), append(block("refused: ", b.Text), hints(b.Hints)...)...)
		}),
		replay.KindOutput: into(e, func(b replay.Output) {
			var lines []string
			if b.Text != "" {
				lines = strings.Split(replay.SafeLines(strings.TrimSuffix(b.Text, "\n")), "\n")
			}
			if b.Dropped > 0 {
				lines = append(lines, fmt.Sprintf("(%d bytes that were shown are not recorded)", b.Dropped))
			}
			f.say(lines...)
		}),
		replay.KindSaved: func() error { return nil },
	}[e.Kind]
	if show != nil {
		return show()
	}
	lines, err := tell(e)
	if err == nil {
		f.say(lines...)
	}
	return err
}

// planned shows the question that follows a plan, if one does.
func (f *framer) planned(p replay.Planned, rest []replay.Event) {
	if p.Preview {
		f.say("(previewed: " + replay.Safe(p.Summary) + ")")
		return
	}
	for _, e := range rest {
		if e.Kind != replay.KindDecided {
			continue
		}
		var d replay.Decided
		if err := e.Decode(&d); err != nil || d.Change != p.Change {
			continue // one that cannot be read is reported when it is its turn
		}
		if d.Screen != "" {
			f.question(d, p.Summary)
			f.shown[e.Seq] = true
		}
		return
	}
	f.say("(planned " + replay.Safe(p.Change) + ": " + replay.Safe(p.Summary) + ")")
}

func (f *framer) question(d replay.Decided, summary string) {
	f.mark(Question, strings.TrimSpace("question: "+replay.Safe(summary)), strings.Split(strings.TrimRight(replay.SafeLines(d.Screen), "\n"), "\n")...)
}

func (f *framer) decided(d replay.Decided, seq uint64) {
	if d.Manner == "not asked" {
		f.say("(policy asks no question for " + replay.Safe(d.Change) + ")")
		return
	}
	if d.Screen != "" && !f.shown[seq] {
		f.question(d, d.Change)
	}
	verdict := "accepted"
	mark, label := Mark(""), ""
	if !d.Accepted {
		verdict = "NOT ACCEPTED: " + replay.Safe(d.Why)
		mark, label = Refusal, "refusal: "+replay.Safe(d.Why)
	}
	f.mark(mark, label, "> "+replay.Safe(d.Answer), fmt.Sprintf("  (%s; %s)", replay.Safe(d.Manner), verdict))
}
