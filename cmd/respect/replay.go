package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"respect/replay/journal"
	"respect/replay/player"
	"respect/shell"
	"respect/shell/terminal"
)

func (a *app) replay() *cobra.Command {
	c := &cobra.Command{Use: "replay", Short: "look at recorded sessions", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return &usage{text: "list, show, play, search, export or verify?", hint: cmd.CommandPath() + " --help"}
	}}
	c.AddCommand(a.replayList(), a.replaySearch(), a.replayShow(), a.replayPlay(), a.replayExport(),
		&cobra.Command{Use: "verify [ID]", Short: "check that records were not edited", Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error { return a.replayVerify(args) }},
	)
	return c
}

// record is all that the state directory has of sessions.
type record struct {
	dir      string
	sessions []*journal.Session
	between  []journal.Problem
}

func (a *app) readRecord() (r record, err error) {
	if r.dir, err = a.stateDir(); err != nil {
		return r, err
	}
	r.sessions, r.between, err = journal.ReadAll(r.dir)
	return r, err
}

// sessionFilter are the flags that choose sessions.
type sessionFilter struct {
	player.Filter
	since, until string
}

func (f *sessionFilter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.User, "user", "", "of this user, of the system or the database; a part of the name will do")
	c.Flags().StringVar(&f.Deployment, "deployment", "", "on this deployment; a part of its name or address will do")
	c.Flags().StringVar(&f.Environment, "environment", "", "on production, staging, development or unknown")
	c.Flags().StringVar(&f.since, "since", "", `not over before this: 2h, "3 days ago", yesterday, monday, "last week", 2026-11-20, "2026-11-20 18:00"`)
	c.Flags().StringVar(&f.until, "until", "", "begun by the end of this; as --since")
	c.Flags().BoolVar(&f.Writes, "writes", false, "that wrote something")
	c.Flags().BoolVar(&f.Undone, "undone", false, "of which a change was taken back")
	c.Flags().BoolVar(&f.Refusals, "refusals", false, "in which something was refused or declined")
}

func (f *sessionFilter) resolve() error {
	now := time.Now()
	if f.since != "" {
		from, _, err := player.When(f.since, now)
		if err != nil {
			return &usage{text: "--since: " + err.Error()}
		}
		f.Since = from
	}
	if f.until != "" {
		_, to, err := player.When(f.until, now)
		if err != nil {
			return &usage{text: "--until: " + err.Error()}
		}
		f.Until = to
	}
	if f.Environment = strings.ToLower(f.Environment); f.Environment != "" {
		for _, e := range []string{"production", "staging", "development", "unknown"} {
			if strings.HasPrefix(e, f.Environment) {
				return nil
			}
		}
		return &usage{text: fmt.Sprintf("%q is no environment", f.Environment), hint: "production, staging, development or unknown"}
	}
	return nil
}

func (a *app) replayList() *cobra.Command {
	var f sessionFilter
	c := &cobra.Command{Use: "list", Short: "sessions, oldest first; those that do not verify in any case", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		if err := f.resolve(); err != nil {
			return err
		}
		r, err := a.readRecord()
		if err != nil {
			return err
		}
		lines, err := player.List(r.sessions, f.Filter)
		if err != nil {
			return err
		}
		if a.flags.json != "" {
			return status(a.printJSON(lines))
		}
		for _, l := range lines {
			fmt.Fprintln(a.out, listed(l))
			if l.Problems > 0 {
				fmt.Fprintf(a.out, "  DOES NOT VERIFY: respect replay verify %s\n", safe(l.Session))
			}
		}
		for _, p := range r.between {
			fmt.Fprintf(a.out, "DOES NOT VERIFY: %s\n", safe(p.String()))
		}
		return nil
	}}
	f.flags(c)
	c.Flags().StringVar(&f.Text, "text", "", "in which this text stands")
	return c
}

func listed(l player.Line) string {
	changes := fmt.Sprintf("%d change(s)", l.Changes)
	if l.Undone > 0 {
		changes += fmt.Sprintf(" of which %d undone", l.Undone)
	}
	if l.Unguarded > 0 {
		changes += fmt.Sprintf(", %d unguarded write(s)", l.Unguarded)
	}
	return fmt.Sprintf("%s  %-10s %-11s %-8s %d statement(s), %s, %d refusal(s)  %s",
		safe(l.Session), safe(l.User), safe(strings.ToUpper(l.Environment)), l.State, l.Statements, changes, l.Refusals, safe(strings.Join(l.Deployments, ", ")))
}

func (a *app) replaySearch() *cobra.Command {
	var f sessionFilter
	var onlyID bool
	c := &cobra.Command{
		Use: "search TEXT", Short: "where a text stands in records, and who changed the document with this _id", Args: cobra.ArbitraryArgs,
		Long: "search looks for a text in what was typed, shown, sent, answered and refused, and for a document in the plans of all changes.\n" +
			"An _id is given as it is printed, as its digits alone, or as Extended JSON; with a collection before it, families/64b0c0f10000000000000004; with * behind its beginning.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return &usage{text: "one text is wanted", hint: cmd.CommandPath() + ` "deleteMany"`}
			}
			if err := f.resolve(); err != nil {
				return err
			}
			return a.search(args[0], f.Filter, onlyID)
		},
	}
	f.flags(c)
	c.Flags().BoolVar(&onlyID, "id", false, "look for a document only")
	return c
}

func (a *app) search(text string, f player.Filter, onlyID bool) error {
	r, err := a.readRecord()
	if err != nil {
		return err
	}
	lines, err := player.List(r.sessions, f)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, l := range lines {
		wanted[l.Session] = true
	}
	touches, problems, err := player.Touched(r.dir, r.sessions, text)
	if err != nil {
		return err
	}
	found := struct {
		Documents []player.Touch `json:"documents"`
		Hits      []player.Hit   `json:"hits"`
	}{[]player.Touch{}, []player.Hit{}}
	for _, t := range touches {
		if wanted[t.Session] {
			found.Documents = append(found.Documents, t)
		}
	}
	if !onlyID {
		var chosen []*journal.Session
		for _, s := range r.sessions {
			if wanted[s.ID] {
				chosen = append(chosen, s)
			}
		}
		if found.Hits, err = player.Search(chosen, text); err != nil {
			return err
		}
	}
	if a.flags.json != "" {
		if err := status(a.printJSON(found)); err != nil {
			return err
		}
	} else {
		fmt.Fprint(a.out, player.TouchText(found.Documents), player.HitText(found.Hits))
	}
	// What a record that does not verify hides is not found: that must not look like "nobody".
	for _, s := range r.sessions {
		problems = append(problems, s.Problems...)
	}
	return a.doubts(append(problems, r.between...))
}

// doubts says what does not verify, on standard error, where the answer itself cannot hold it.
func (a *app) doubts(problems []journal.Problem) error {
	for _, p := range problems {
		fmt.Fprintf(a.err, "DOES NOT VERIFY: %s\n", safe(p.String()))
	}
	if len(problems) > 0 {
		return exit(shell.ExitRecord)
	}
	return nil
}

// findSession finds a session by its name or the beginning or end of it; without one, the last.
func findSession(dir, id string) (*journal.Session, error) {
	ids, err := journal.SessionIDs(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, s := range ids {
		if s == id {
			found = []string{s}
			break
		}
		if strings.HasPrefix(s, id) || strings.HasSuffix(s, id) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 0 && id == "":
		return nil, fmt.Errorf("there are no sessions in %s", dir)
	case len(found) == 0:
		return nil, fmt.Errorf("there is no session %q; respect replay list lists them", id)
	case id != "" && len(found) > 1:
		return nil, fmt.Errorf("%q means %d sessions; give more of the name", id, len(found))
	}
	return journal.ReadSession(dir, found[len(found)-1])
}

// oneSession is the session that the arguments name.
func (a *app) oneSession(args []string) (*journal.Session, error) {
	if len(args) > 1 {
		return nil, &usage{text: "one session at a time"}
	}
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	return findSession(dir, strings.Join(args, ""))
}

// oneRecord is that session with what the others say of it.
func (a *app) oneRecord(args []string) (player.Record, error) {
	s, err := a.oneSession(args)
	if err != nil {
		return player.Record{}, err
	}
	r, err := a.readRecord()
	if err != nil {
		return player.Record{}, err
	}
	changes, err := journal.Changes(r.sessions)
	return player.Record{Session: s, Changes: changes, Between: r.between}, err
}

// believed is the exit status of what was printed of a session.
func believed(problems int) error {
	if problems > 0 {
		return exit(shell.ExitRecord)
	}
	return nil
}

func (a *app) replayShow() *cobra.Command {
	var writes bool
	c := &cobra.Command{Use: "show [ID]", Short: "a session: what was typed, shown, answered and changed", Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error {
		if !writes {
			s, err := a.oneSession(args)
			if err != nil {
				return err
			}
			text, err := player.Story(s)
			if err != nil {
				return err
			}
			fmt.Fprint(a.out, text)
			return believed(len(s.Problems))
		}
		r, err := a.oneRecord(args)
		if err != nil {
			return err
		}
		text, err := player.Writes(r.Session, r.Changes)
		if err != nil {
			return err
		}
		fmt.Fprint(a.out, text)
		return believed(len(r.Session.Problems))
	}}
	c.Flags().BoolVar(&writes, "writes", false, "only what was changed, with the preview as it was shown and the receipt")
	return c
}

func (a *app) replayExport() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "export [ID] --format cast|html|json|txt", Short: "a session as one file, for somebody without this program", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			known := false
			for _, f := range player.Formats {
				known = known || f == format
			}
			if !known {
				return &usage{text: fmt.Sprintf("%q is no format", format), hint: "--format " + strings.Join(player.Formats, ", --format ")}
			}
			r, err := a.oneRecord(args)
			if err != nil {
				return err
			}
			if err := player.Export(a.out, format, r); err != nil {
				return err
			}
			return believed(len(r.Problems()))
		},
	}
	c.Flags().StringVar(&format, "format", "html", "cast (for asciinema), html, json or txt")
	return c
}

func (a *app) replayPlay() *cobra.Command {
	var p player.Player
	c := &cobra.Command{
		Use: "play [ID]", Short: "a session again, in its own time", Args: cobra.ArbitraryArgs,
		Long: "play shows a session as its operator saw it. In a terminal: space pauses, . goes on by one step, n goes to the next question, w to the\n" +
			"next write, r to the next refusal, + and - change the speed, q leaves. In a pipe there are no keys.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case math.IsNaN(p.Speed) || math.IsInf(p.Speed, 0) || p.Speed < 0:
				return &usage{text: "--speed is a number from 0", hint: "--speed 1 is the session's own, --speed 10 ten times as fast, --speed 0 at once"}
			case p.Idle < 0 || p.From < 0:
				return &usage{text: "--idle and --from are not negative", hint: "--idle 2s --from 10m"}
			}
			s, err := a.oneSession(args)
			if err != nil {
				return err
			}
			frames, err := player.Frames(s)
			if err != nil {
				return err
			}
			p.Out, p.Clock = a.out, player.Clock{Now: time.Now, After: time.After}
			if err := a.play(cmd.Context(), &p, frames); err != nil {
				return err
			}
			return believed(len(s.Problems))
		},
	}
	c.Flags().Float64Var(&p.Speed, "speed", 1, "how many times as fast; 0 is at once")
	c.Flags().DurationVar(&p.Idle, "idle", 2*time.Second, "the longest wait; 0 waits as long as it took")
	c.Flags().DurationVar(&p.From, "from", 0, "what was before this is shown at once: 10m30s")
	return c
}

// play gives the player the keys of the terminal, if it plays to one.
func (a *app) play(ctx context.Context, p *player.Player, frames []player.Frame) (err error) {
	ctx, stop := interruptible(ctx)
	defer stop()
	if out, ok := a.out.(*os.File); ok && isTerminal(out) {
		if tty, terr := terminal.Open(); terr == nil {
			reading, cancel := context.WithCancel(ctx)
			defer func() { err = errors.Join(err, tty.Close()) }()
			keys, kerr := tty.Presses(reading)
			if kerr != nil {
				cancel()
				return kerr
			}
			defer func() { // before the terminal is given back nobody may read it
				cancel()
				for range keys {
				}
			}()
			p.Keys, p.Width = keys, func() int { w, _ := tty.Size(); return w }
		}
	}
	if err = p.Play(ctx, frames); errors.Is(err, context.Canceled) {
		return exit(shell.ExitError)
	}
	return err
}

// replayVerify checks one session, or all of them and what they say of each other.
func (a *app) replayVerify(args []string) error {
	if len(args) > 1 {
		return &usage{text: "one session at a time, or all without an argument"}
	}
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	all, between, err := journal.ReadAll(dir)
	if err != nil {
		return err
	}
	want := ""
	if len(args) == 1 {
		s, err := findSession(dir, args[0])
		if err != nil {
			return err
		}
		want = s.ID
	}
	var problems []string
	for _, s := range all {
		if want != "" && s.ID != want {
			continue
		}
		fmt.Fprintf(a.out, "%s  %d event(s)  %s\n", s.ID, len(s.Events), verdict(s))
		for _, p := range s.Problems {
			problems = append(problems, p.String())
		}
	}
	for _, p := range between {
		if want == "" || p.Session == want {
			problems = append(problems, p.String())
		}
	}
	for _, p := range problems {
		fmt.Fprintf(a.out, "DOES NOT VERIFY: %s\n", safe(p))
	}
	if len(problems) > 0 {
		return exit(shell.ExitRecord)
	}
	fmt.Fprintln(a.out, "the chain holds; not witnessed: somebody who can write these files could have written all of it anew")
	return nil
}

func verdict(s *journal.Session) string {
	switch {
	case len(s.Problems) > 0:
		return "DOES NOT VERIFY"
	case s.Live:
		return "verifies so far; it is running"
	case !s.Closed:
		return "verifies; ends without close: crash or truncation"
	}
	return "verifies"
}
