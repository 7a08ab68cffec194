package shell

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"respect/guard"
	"respect/guard/environment"
	"respect/replay/durable"
	"respect/shell/js"
	"respect/shell/render"
	"respect/shell/terminal"
)

// Interactive reads statements from the terminal until the operator leaves. It returns the exit status of the session.
func (s *Shell) Interactive(ctx context.Context) int {
	var ed *terminal.Editor
	s.cat = newCatalogue(s.cfg.Deployment, s.cfg.Database, func() { ed.Refresh() })
	defer s.cat.close()
	h := openHistory(s.cfg.StateDir)
	ed = terminal.NewEditor(s.cfg.TTY, s.cfg.Style.Color, h.lines, func(text string) []terminal.Suggestion {
		var out []terminal.Suggestion
		for _, x := range s.cat.complete(text) {
			if x.Text == render.Safe(x.Text) {
				out = append(out, terminal.Suggestion{Text: x.Text, Help: x.Help})
			}
		}
		return out
	})
	worst := ExitDone
	for !s.exiting && ctx.Err() == nil {
		s.prompted = s.prompt().Text
		s.cfg.Gate.Screen(s.cfg.TTY.Size())
		text, manner, err := s.readStatement(ctx, ed)
		if err != nil || strings.TrimSpace(text) == "" {
			if gerr := s.cfg.Gate.Dropped(s.input(text, manner, guard.Execute)); gerr != nil {
				s.say(render.SafeLines(gerr.Error()) + "\n")
			}
		}
		switch {
		case err != nil && !errors.Is(err, terminal.ErrInterrupted):
			return worst
		case err != nil || strings.TrimSpace(text) == "":
			continue
		}
		if !Secret(text) {
			ed.Remember(text)
			h.add(text)
		}
		code := s.execInterruptible(ctx, text, manner)
		if code == ExitPartly {
			worst = ExitPartly
		}
		s.cat.changed()
	}
	return worst
}

// execInterruptible runs one statement; Ctrl-C ends it and not the shell.
func (s *Shell) execInterruptible(ctx context.Context, text, manner string) int {
	ctx, stop := Interruptible(ctx, s.cfg.TTY, s.cfg.Err, s.cfg.Gate.Aside)
	defer stop()
	return s.Exec(ctx, text, manner)
}

// readStatement reads lines until they are a whole statement. With an error it returns what there was until then.
func (s *Shell) readStatement(ctx context.Context, ed *terminal.Editor) (text, manner string, err error) {
	prompt := s.prompt()
	s.stood = ""
	rows := []string{}
	for {
		line, err := ed.ReadLine(ctx, prompt)
		if len(rows) > 0 {
			text += "\n"
		}
		text += line.Text
		rows = append(rows, line.Row)
		if strings.Contains(line.Text, "\n") { // a paste: several lines in one row
			s.stood = s.prompted + strings.Join(rows, "\n... ") + "\n"
		} else if s.stood != "" {
			s.stood += "... " + line.Row + "\n"
		}
		if manner == "" || line.Manner != "typed" {
			manner = line.Manner
		}
		if err != nil || whole(text) {
			return text, manner, err
		}
		prompt = terminal.Prompt{Text: "... ", Color: prompt.Color}
	}
}

func whole(text string) bool {
	if _, args, ok := findWord(text); ok {
		return !strings.HasPrefix(strings.TrimSpace(text), "preview") || js.Complete(args)
	}
	return js.Complete(text)
}

// prompt says where one is: the database, and in capitals the environment if it is dangerous.
func (s *Shell) prompt() terminal.Prompt {
	_, db := s.vm.Database()
	name := render.Cut(render.Safe(db), 30)
	env, _ := Standing(s.here(), db)
	switch env.Effective() {
	case environment.Production:
		word := "PRODUCTION"
		if env == environment.Unknown {
			word = "UNKNOWN=PRODUCTION"
		}
		return terminal.Prompt{Text: word + " " + name + "> ", Color: terminal.Danger}
	case environment.Staging:
		return terminal.Prompt{Text: "staging " + name + "> ", Color: terminal.Caution}
	}
	return terminal.Prompt{Text: name + "> ", Color: terminal.Calm}
}

// mayEnd says whether a statement may end with this line. A long list, one element a line, would be parsed again for each.
func mayEnd(text, line string) bool {
	line = strings.TrimSpace(line)
	return len(text) < 16<<10 || (line != "" && strings.ContainsRune(");}]`'\"", rune(line[len(line)-1])))
}

// Lines runs what is piped in, statement by statement, and stops at the first that fails.
func (s *Shell) Lines(ctx context.Context, in io.Reader) int {
	sc := bufio.NewScanner(in)
	sc.Buffer(make([]byte, 64<<10), 64<<20)
	text := ""
	for sc.Scan() {
		if text != "" {
			text += "\n"
		}
		text += sc.Text()
		if !mayEnd(text, sc.Text()) || !whole(text) {
			continue
		}
		if code := s.Exec(ctx, text, "pipe"); code != ExitDone {
			return s.afterWrites(code)
		}
		text = ""
		if s.exiting || ctx.Err() != nil {
			return ExitDone
		}
	}
	if err := sc.Err(); err != nil {
		s.say("error: " + render.SafeLines(err.Error()) + "\n")
		return ExitError
	}
	if strings.TrimSpace(text) != "" {
		return s.afterWrites(s.Exec(ctx, text, "pipe")) // not whole: the engine says what is missing
	}
	return ExitDone
}

// Script is a whole script, and how it came: as an argument, or as a file.
type Script struct{ Text, Manner string }

// Scripts runs scripts one after the other, each a statement with the variables of those before it, up to the first that does not end well. What the last one
// comes to is printed, as in mongosh.
func (s *Shell) Scripts(ctx context.Context, list []Script) int {
	for i, one := range list {
		s.quiet = i < len(list)-1
		code := s.Exec(ctx, one.Text, one.Manner)
		switch {
		case i == 0 && (len(list) == 1 || code != ExitDone):
			return code
		case code != ExitDone:
			return s.afterWrites(code)
		case s.exiting || ctx.Err() != nil:
			return ExitDone
		}
	}
	return ExitDone
}

// afterWrites is the exit status of several statements of which the last did not end well: what those before it changed stands.
func (s *Shell) afterWrites(code int) int {
	if code != ExitDone && s.cfg.Gate.Wrote() {
		return ExitPartly
	}
	return code
}

// history is the file of entries, one JSON string a line, oldest first. Entries that may hold a password are not in it.
type history struct {
	name  string
	lines []string
}

const maxHistory = 1000

// openHistory reads the history. Without it the shell works as well.
func openHistory(stateDir string) *history {
	h := &history{name: filepath.Join(stateDir, "history.jsonl")}
	f, err := os.Open(h.name)
	if err != nil {
		return h
	}
	defer f.Close() // read only
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var line string
		if json.Unmarshal(sc.Bytes(), &line) == nil && line != "" {
			h.lines = append(h.lines, strings.ReplaceAll(line, "\n", "\u23ce"))
		}
	}
	if len(h.lines) > maxHistory {
		h.lines = h.lines[len(h.lines)-maxHistory:]
	}
	return h
}

// add appends an entry. A history that cannot be written is no reason to stop.
func (h *history) add(text string) {
	b, err := json.Marshal(text)
	if err != nil {
		return
	}
	f, err := durable.OS{}.Append(h.name)
	if err != nil {
		return
	}
	_, _ = f.Write(append(b, '\n'))
	_ = f.Close()
}
