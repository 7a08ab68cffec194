package player

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// Clock is the time in which a session is played.
type Clock struct {
	Now   func() time.Time
	After func(time.Duration) <-chan time.Time
}

// Player plays a session again.
type Player struct {
	Out   io.Writer
	Clock Clock
	Speed float64       // 1 is the session's own; 0 is at once
	Idle  time.Duration // the longest wait, before Speed; 0 is no limit
	From  time.Duration // what was before this is printed at once
	// Keys are those that were pressed: space pauses, . goes on by one step, n w r go to the next question, write or refusal, + and - change the speed, q leaves.
	// nil: there is nobody to press them, and nothing is written but the session.
	Keys  <-chan rune
	Width func() int // of the terminal; for the line that a pause shows
}

// Play prints frames in their time. It returns nil when q ends it.
func (p *Player) Play(ctx context.Context, frames []Frame) error {
	g := game{Player: p, speed: p.Speed, frames: frames}
	for i, f := range frames {
		g.i = i
		gap := f.At - max(g.shown(), p.From)
		if p.Idle > 0 {
			gap = min(gap, p.Idle)
		}
		leave, err := g.wait(ctx, gap)
		if leave || err != nil {
			return err
		}
		if _, err := io.WriteString(p.Out, f.Text); err != nil {
			return err
		}
		if g.goal != "" && f.Mark == g.goal {
			g.goal, g.paused = "", true
		}
	}
	return nil
}

type game struct {
	*Player
	frames []Frame
	i      int // the frame that is waited for
	speed  float64
	paused bool
	goal   Mark   // the mark that is gone to
	queue  []rune // keys that were pressed meanwhile
	gone   bool   // there will be no more keys
	note   string // for the line of the pause
}

// wait waits for the time of the next frame, or for somebody to ask for it. It says whether to leave.
func (g *game) wait(ctx context.Context, left time.Duration) (leave bool, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return true, err
		}
		if g.goal != "" {
			return g.listen(), nil
		}
		if len(g.queue) > 0 {
			k := g.queue[0]
			g.queue = g.queue[1:]
			if next, leave := g.key(k); next || leave {
				return leave, nil
			}
			continue
		}
		if g.gone {
			return true, nil
		}
		if !g.paused && (left <= 0 || g.speed <= 0) {
			return g.listen(), nil
		}
		var timer <-chan time.Time
		began := g.Clock.Now()
		if g.paused {
			if err := g.status(); err != nil {
				return true, err
			}
		} else {
			timer = g.Clock.After(time.Duration(float64(max(left, 0)) / max(g.speed, minSpeed)))
		}
		select {
		case <-ctx.Done():
			return true, g.wipe(ctx.Err())
		case <-timer:
			return false, nil
		case k, ok := <-g.Keys:
			if err := g.wipe(nil); err != nil {
				return true, err
			}
			if !g.paused {
				left -= time.Duration(float64(g.Clock.Now().Sub(began)) * g.speed)
			}
			if !ok {
				return true, nil
			}
			g.queue = append(g.queue, k)
		}
	}
}

// listen takes keys while nobody waits for them. Only Ctrl-C has an effect at once: what is printed may be long.
func (g *game) listen() (leave bool) {
	select {
	case k, ok := <-g.Keys:
		if !ok {
			g.gone, g.Keys = true, nil
			return false
		}
		g.queue = append(g.queue, k)
		return k == ctrlC
	default:
		return false
	}
}

const (
	ctrlC    = 0x03
	minSpeed = 1.0 / 64
	maxSpeed = 1024
)

// key does what a key asks. It says whether the next frame is wanted now, or to leave.
func (g *game) key(k rune) (next, leave bool) {
	g.note = ""
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
	case 'n', 'w', 'r':
		goal := map[rune]Mark{'n': Question, 'w': Write, 'r': Refusal}[k]
		for _, f := range g.frames[g.i:] {
			if f.Mark == goal {
				g.goal, g.paused = goal, false
				return true, false
			}
		}
		g.paused, g.note = true, "no further "+string(goal)
	}
	return false, false
}

// status is the line of a pause. It is taken away when a key is pressed.
func (g *game) status() error {
	text := fmt.Sprintf("[%s of %s  space: go on  .: step  n: question  w: write  r: refusal  + -: speed %gx  q: leave]", clock(g.shown()), clock(g.frames[len(g.frames)-1].At), g.speed)
	if g.note != "" {
		text = "[" + g.note + "  " + text[1:]
	}
	width := 80
	if g.Width != nil {
		width = g.Width()
	}
	if n := max(width-1, 1); len(text) > n {
		text = text[:n]
	}
	_, err := io.WriteString(g.Out, text)
	return err
}

// shown is the time of what stands on the screen.
func (g *game) shown() time.Duration {
	if g.i == 0 {
		return 0
	}
	return g.frames[g.i-1].At
}

func (g *game) wipe(cause error) error {
	if !g.paused {
		return cause
	}
	if _, err := io.WriteString(g.Out, "\r\x1b[K"); err != nil {
		return err
	}
	return cause
}

// clock is a time as players show it.
func clock(d time.Duration) string {
	d = d.Round(time.Second)
	s := fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
	return strings.TrimPrefix(s, "00:")
}
