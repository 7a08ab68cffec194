package player

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"respect/replay"
)

// Clock is the time in which a session is played.
type Clock struct {
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
}

// Player plays a session again: it writes what stood on the operator's screen, and nothing else unless Notes or Size want it.
type Player struct {
	Out   io.Writer
	Clock Clock
	Speed float64       // 1 is the session's own; 0 is at once
	Idle  time.Duration // the longest wait, before Speed; 0 is no limit
	From  time.Duration // what was before this is shown at once
	// Color shows what was on the screen with its colours.
	Color bool
	// Notes are shown between the lines of the screen, which stand behind a bar then: who, where, how it was answered, what was done.
	Notes bool
	// Keys are those that were pressed; Help lists them. nil: there is nobody to press them.
	Keys <-chan rune
	// Size is that of the terminal that is played to, which has a line about what is played at its end. nil: it is no terminal.
	Size func() (columns, rows int)
	// More makes the tape longer, and says whether it may become longer still. nil: the session is over.
	More func() (bool, error)
}

// Help lists the keys, in a line that fits 80 columns.
const Help = "space pause, . step, n question, w write, r refusal, g time, +- speed, q leave"

// poll is how often a session that is running is looked at.
const poll = 200 * time.Millisecond

// Play plays a tape to its end. It returns nil when q ends it.
func (p *Player) Play(ctx context.Context, t *Tape) error {
	g := game{Player: p, tape: t, speed: p.Speed, at: p.From, until: p.From}
	for {
		leave, err := g.wait(ctx)
		if leave || err != nil {
			return errors.Join(err, g.leave())
		}
		if err := g.show(t.Frames[g.i]); err != nil {
			return err
		}
		g.i++
	}
}

type game struct {
	*Player
	tape   *Tape
	i      int           // the frame that comes next
	at     time.Duration // where in the session this is
	until  time.Duration // what was before this is shown at once
	speed  float64
	paused bool
	goal   Mark   // the mark that is gone to
	queue  []rune // keys that were pressed meanwhile
	gone   bool   // there will be no more keys
	last   string // of what was shown: what is to be known of it
	note   string // on the line at the end, until a key is pressed
	entry  *string

	inLine   bool // the cursor stands behind text
	standing bool // the line at the end does
}

// wait waits until the next frame is to be shown. It says whether to leave.
func (g *game) wait(ctx context.Context) (leave bool, err error) {
	left := time.Duration(0)
	if !g.end() {
		if left = g.tape.Frames[g.i].At - g.at; g.Idle > 0 {
			left = min(left, g.Idle)
		}
	}
	for {
		switch {
		case ctx.Err() != nil:
			return true, ctx.Err()
		case !g.end() && (g.goal != "" || g.tape.Frames[g.i].At <= g.until):
			return g.listen(), nil
		case len(g.queue) > 0:
			k := g.queue[0]
			g.queue = g.queue[1:]
			i := g.i
			if next, leave := g.key(k); leave || next && !g.end() {
				return leave, nil
			}
			if g.i != i || !g.end() && g.tape.Frames[g.i].At <= g.until {
				return g.wait(ctx)
			}
			continue
		case g.gone, g.end() && g.More == nil:
			return true, nil
		case !g.end() && !g.paused && (left <= 0 || g.speed <= 0):
			return g.listen(), nil
		}
		began := g.Clock.Now()
		over, err := g.rest(ctx, left)
		switch {
		case err != nil:
			return true, err
		case over && !g.end():
			return false, nil
		case over:
			if leave, err = g.grow(); leave || err != nil {
				return leave, err
			}
			left = 0
		case !g.paused:
			left -= time.Duration(float64(g.Clock.Now().Sub(began)) * g.speed)
		}
	}
}

func (g *game) end() bool { return g.i == len(g.tape.Frames) }

// rest waits for a time or a key. It says whether the time is over.
func (g *game) rest(ctx context.Context, left time.Duration) (over bool, err error) {
	if err := g.status(); err != nil {
		return false, err
	}
	var timer <-chan time.Time
	switch {
	case g.paused:
	case g.end():
		timer = g.Clock.After(poll)
	default:
		timer = g.Clock.After(time.Duration(float64(max(left, 0)) / max(g.speed, minSpeed)))
	}
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer:
		return true, nil
	case k, ok := <-g.Keys:
		g.pressed(k, ok)
		return false, nil
	}
}

func (g *game) pressed(k rune, ok bool) {
	if !ok {
		g.gone, g.Keys = true, nil
		return
	}
	g.queue = append(g.queue, k)
}

// grow looks for more of a session that is running. It says whether there will be none.
func (g *game) grow() (leave bool, err error) {
	more, err := g.More()
	if err != nil {
		return true, err
	}
	return !more && g.end(), nil
}

// listen takes keys while nobody waits for them. Only Ctrl-C has an effect at once: what is shown may be long.
func (g *game) listen() (leave bool) {
	select {
	case k, ok := <-g.Keys:
		g.pressed(k, ok)
		return ok && k == ctrlC
	default:
		return false
	}
}

const (
	ctrlC    = 0x03
	escape   = 0x1b
	minSpeed = 1.0 / 64
	maxSpeed = 1024
)

// key does what a key asks. It says whether the next frame is wanted now, or to leave.
func (g *game) key(k rune) (next, leave bool) {
	g.note = ""
	if g.entry != nil && k != ctrlC {
		g.enter(k)
		return false, false
	}
	switch k {
	case 'q', ctrlC:
		return false, true
	case ' ':
		g.paused = !g.paused
	case '.':
		g.paused = true
		return true, false
	case '+':
		g.speed = min(max(g.speed, minSpeed)*2, maxSpeed)
	case '-':
		g.speed = max(g.speed/2, minSpeed)
	case 'g':
		g.entry = new(string)
	case '?':
		g.note = Help
	case 'n', 'w', 'r':
		return g.seekMark(map[rune]Mark{'n': Question, 'w': Write, 'r': Refusal}[k]), false
	}
	return false, false
}

// seekMark goes to the next of these marks. A session that is running may still get one.
func (g *game) seekMark(m Mark) (next bool) {
	for _, f := range g.tape.Frames[g.i:] {
		if f.Mark == m {
			g.goal, g.paused = m, false
			return true
		}
	}
	if g.More != nil {
		g.goal, g.paused = m, false
		return false
	}
	g.paused, g.note = true, "no further "+string(m)
	return false
}

// enter takes a key of a time that is gone to.
func (g *game) enter(k rune) {
	switch {
	case k == '\r' || k == '\n':
		to, err := Offset(*g.entry)
		if g.entry = nil; err != nil {
			g.note = err.Error()
			return
		}
		g.seek(to)
	case k == escape:
		g.entry = nil
	case (k == 0x7f || k == '\b') && *g.entry != "":
		*g.entry = (*g.entry)[:len(*g.entry)-1]
	case strings.ContainsRune("0123456789:hms", k) && len(*g.entry) < 12:
		*g.entry += string(k)
	}
}

// seek goes to a time, forth or back.
func (g *game) seek(to time.Duration) {
	to = min(to, g.tape.Length())
	if to < g.at {
		g.i, g.last = 0, ""
		_ = g.clear() // what cannot be written now cannot be written in a moment either
	}
	g.at, g.until, g.goal = to, to, ""
}

// Offset reads a time since a session began: 90, 1:30, 1:02:03, 1m30s.
func Offset(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no time since the begin; 1:30 and 1m30s are", replay.Safe(text))
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	var out time.Duration
	parts := strings.Split(text, ":")
	if len(parts) > 3 {
		return 0, wrong
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 24)
		if err != nil || i > 0 && n > 59 {
			return 0, wrong
		}
		out = out*60 + time.Duration(n)*time.Second
	}
	return out, nil
}

// show writes a frame.
func (g *game) show(f Frame) error {
	text, err := g.tape.Text(f)
	if err != nil {
		return err
	}
	if !g.Color {
		text = replay.Uncolored(text)
	}
	notes, err := g.tape.Notes(f)
	if err != nil {
		return err
	}
	g.remember(f, notes)
	if f.Clear {
		if err := g.clear(); err != nil {
			return err
		}
	}
	if err := g.print(text); err != nil {
		return err
	}
	if g.Notes || len(f.loud) > 0 {
		if err := g.say(notes); err != nil {
			return err
		}
	}
	g.at = max(g.at, f.At)
	if g.goal != "" && f.Mark == g.goal {
		g.goal, g.paused = "", true
	}
	return nil
}

// remember keeps what the line at the end says of a frame.
func (g *game) remember(f Frame, notes []string) {
	switch {
	case f.Label != "":
		g.last = f.Label
	case len(notes) > 0:
		g.last = notes[0]
	}
	if g.Size != nil && f.Window.Columns > 0 {
		if w, _ := g.Size(); w < f.Window.Columns {
			g.last = fmt.Sprintf("the session's terminal had %d columns and %d rows: a window of that size shows it as it was", f.Window.Columns, f.Window.Rows)
		}
	}
}

// bar stands before what was on the screen where notes stand between.
const bar = "\u2502 "

// print writes what was on the screen.
func (g *game) print(text string) error {
	if text == "" {
		return nil
	}
	var b strings.Builder
	g.wipe(&b)
	if !g.Notes {
		b.WriteString(text)
	} else {
		for line := range strings.Lines(text) {
			if !g.inLine {
				b.WriteString(bar)
			}
			b.WriteString(line)
			g.inLine = !strings.HasSuffix(line, "\n")
		}
	}
	g.inLine = !strings.HasSuffix(text, "\n")
	_, err := io.WriteString(g.Out, b.String())
	return err
}

// say writes notes, in lines of their own.
func (g *game) say(notes []string) error {
	var b strings.Builder
	g.wipe(&b)
	if g.inLine && len(notes) > 0 {
		b.WriteByte('\n')
		g.inLine = false
	}
	for _, n := range notes {
		b.WriteString(n + "\n")
	}
	_, err := io.WriteString(g.Out, b.String())
	return err
}

// clear clears a terminal. Where there is none, nothing is taken back.
func (g *game) clear() error {
	if g.Size == nil {
		return nil
	}
	g.standing, g.inLine = false, false
	_, err := io.WriteString(g.Out, "\x1b[H\x1b[2J")
	return err
}

// leave gives the terminal back.
func (g *game) leave() error {
	var b strings.Builder
	g.wipe(&b)
	if g.inLine && g.Size != nil {
		b.WriteByte('\n')
	}
	_, err := io.WriteString(g.Out, b.String())
	return err
}

// status writes the line at the end of a terminal: below the cursor, which stays where it is.
func (g *game) status() error {
	if g.Size == nil {
		return nil
	}
	columns, rows := g.Size()
	if columns < 8 || rows < 3 {
		return nil
	}
	var b strings.Builder
	g.wipe(&b)
	// Down and up again: so there is a row below.
	fmt.Fprintf(&b, "\x1bD\x1b[A\x1b7\r\n\x1b[7m%s\x1b[0m\x1b[K\x1b8", cut(g.line(), columns-1))
	g.standing = true
	_, err := io.WriteString(g.Out, b.String())
	return err
}

// line is what the line at the end says: the most important first, since it may be cut.
func (g *game) line() string {
	if g.entry != nil {
		return "go to (minutes:seconds, Enter): " + *g.entry + "_"
	}
	if g.note == Help {
		return "[" + Help + "]"
	}
	parts := []string{fmt.Sprintf("%s of %s", clock(g.at), clock(g.tape.Length()))}
	switch {
	case g.paused:
		parts = append(parts, "PAUSED")
	case g.end():
		parts = append(parts, "LIVE")
	case g.speed != 1:
		parts = append(parts, fmt.Sprintf("%gx", g.speed))
	}
	parts = append(parts, "?: keys")
	for _, p := range []string{g.note, g.last} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return "[" + strings.Join(parts, "  ") + "]"
}

// wipe takes the line at the end away.
func (g *game) wipe(b *strings.Builder) {
	if g.standing {
		b.WriteString("\x1b7\x1b[B\r\x1b[2K\x1b8")
		g.standing = false
	}
}

// cut shortens text to a number of columns.
func cut(s string, columns int) string {
	n := 0
	for i, r := range s {
		if n += width(r); n > columns {
			return s[:i]
		}
	}
	return s
}

// width is the number of columns of a character, at most: what is called wide takes two.
func width(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}

// clock is a time as players show it.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	s := fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	return strings.TrimPrefix(s, "00:")
}
