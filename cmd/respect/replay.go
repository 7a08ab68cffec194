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
		return &usage{text: "list, show, play, search, export, verify or key?", hint: cmd.CommandPath() + " --help"}
	}}
	c.AddCommand(a.replayList(), a.replaySearch(), a.replayShow(), a.replayPlay(), a.replayExport(), a.replayVerify(), a.replayKey())
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
	all, err := journal.ReadAll(r.dir)
	if err != nil {
		return r, err
	}
	r.sessions, r.between = all.Sessions, all.Problems
	return r, nil
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

const aboutVerify = `verify checks every line of every session against its hash, every seal against its signature, and what sessions, the list
of seals (heads.notes) and the witness say of each other. What it finds is named with session and line, and ends it with status 5.

Seals are checked under the key that the state directory holds; an auditor names the one he was given before: --key, with what
"respect replay key" printed, or with a file that holds it. Seals prove nothing against who has the key. Against him there is the
witness: a file, best on another machine's disk, to which policy (record: witness) has every seal written as it is made.`

// replayVerify checks one session, or all of them and what they say of each other.
func (a *app) replayVerify() *cobra.Command {
	var o journal.Options
	var keys []string
	c := &cobra.Command{Use: "verify [ID]", Short: "check that records were not edited", Long: aboutVerify, Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return &usage{text: "one session at a time, or all without an argument"}
		}
		for _, k := range keys {
			text, err := keyNamed(k)
			if err != nil {
				return err
			}
			o.Keys = append(o.Keys, text)
		}
		return a.verify(args, o)
	}}
	c.Flags().StringArrayVar(&keys, "key", nil, "a public key that is trusted, or a file with one; may be given several times")
	c.Flags().StringVar(&o.Witness, "witness", "", "the file of the witness; without it, the one that policy names")
	return c
}

// keyNamed is a public key as it was given: itself, or the file that holds it.
func keyNamed(s string) (string, error) {
	if b, err := os.ReadFile(s); err == nil {
		s = strings.TrimSpace(string(b))
	}
	if err := journal.CheckKey(s); err != nil {
		return "", &usage{text: fmt.Sprintf("--key: %q is no public key and no file with one: %v", safe(s), err), hint: "respect replay key prints the key of a state directory"}
	}
	return s, nil
}

func (a *app) verify(args []string, o journal.Options) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	if o.Witness == "" {
		if p, err := a.policy(); err == nil { // an auditor may have none
			o.Witness = p.Record().Witness
		}
	}
	want := ""
	if len(args) == 1 {
		s, err := findSession(dir, args[0])
		if err != nil {
			return err
		}
		want = s.ID
	}
	all, err := journal.Verify(dir, o)
	if err != nil {
		return err
	}
	report := verifyReport(all, want)
	if a.flags.json != "" {
		if err := status(a.printJSON(report)); err != nil {
			return err
		}
	} else {
		for _, s := range report.Sessions {
			fmt.Fprintf(a.out, "%s  %d event(s)  %s\n", safe(s.Session), s.Events, safe(s.Verdict))
		}
		for _, p := range report.Problems {
			fmt.Fprintf(a.out, "DOES NOT VERIFY: %s\n", safe(p))
		}
		fmt.Fprintln(a.out, safe(report.Result))
	}
	if len(report.Problems) > 0 {
		return exit(shell.ExitRecord)
	}
	return nil
}

// verified is what verify --json prints.
type verified struct {
	Result    string            `json:"result"`
	Verifies  bool              `json:"verifies"`
	Witnessed bool              `json:"witnessed"` // every session, to its last seal
	Witness   string            `json:"witness"`   // the file; "" if none was compared
	Keys      []string          `json:"keys"`      // that were trusted
	Sessions  []verifiedSession `json:"sessions"`
	Problems  []string          `json:"problems"`
}

type verifiedSession struct {
	Session   string `json:"session"`
	Events    int    `json:"events"`
	Seals     int    `json:"seals"`
	Sealed    int    `json:"sealed"` // events up to the last seal, with it
	Closed    bool   `json:"closed"`
	Running   bool   `json:"running"`
	Torn      int    `json:"torn"`
	Witnessed bool   `json:"witnessed"`
	Verdict   string `json:"verdict"`
}

// verifyReport is what was found of one session, or of all.
func verifyReport(all *journal.Record, want string) verified {
	out := verified{Witness: all.Witness, Keys: append([]string{}, all.Keys...), Sessions: []verifiedSession{}, Problems: []string{}}
	sealed, witnessed := 0, 0
	for _, s := range all.Sessions {
		if want != "" && s.ID != want {
			continue
		}
		r := player.Record{Session: s, Between: all.Problems, Witness: all.Witness}
		verdict := r.Verdict()
		out.Sessions = append(out.Sessions, verifiedSession{s.ID, s.Lines, s.Seals, s.Sealed, s.Closed, s.Live, s.Torn, s.Witnessed, verdict})
		for _, p := range s.Problems {
			out.Problems = append(out.Problems, p.String())
		}
		if s.Seals > 0 {
			sealed++
		}
		if s.Witnessed {
			witnessed++
		}
	}
	for _, p := range all.Problems {
		if want == "" || p.Session == want || p.Session == "" {
			out.Problems = append(out.Problems, p.String())
		}
	}
	n := len(out.Sessions)
	out.Verifies, out.Witnessed = len(out.Problems) == 0, n > 0 && witnessed == n
	switch {
	case !out.Verifies:
		out.Result = fmt.Sprintf("%d problem(s): this record is not as it was written", len(out.Problems))
	case n == 0:
		out.Result = "there are no sessions"
	default:
		out.Result = fmt.Sprintf("the chain holds; %d of %d session(s) sealed", sealed, n)
	}
	switch {
	case n == 0:
	case out.Witnessed:
		out.Result += "; witnessed, all to their last seal, by " + all.Witness
	case all.Witness != "":
		out.Result += fmt.Sprintf("; witnessed %d, not witnessed %d, by %s", witnessed, n-witnessed, all.Witness)
	default:
		out.Result += "; not witnessed: somebody who can write these files and has their key could have written all of it anew"
	}
	return out
}

func (a *app) replayKey() *cobra.Command {
	return &cobra.Command{
		Use: "key", Short: "print the public key under which records are sealed", Args: noArgs,
		Long: "key prints the public key of this state directory, for who shall verify its records later: respect replay verify --key.\nThe private key lies beside it, in keys/, and is made with the first session.",
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.stateDir()
			if err != nil {
				return err
			}
			key, err := journal.PublicKey(dir)
			switch {
			case err != nil:
				return err
			case key == "":
				return fmt.Errorf("there is no key in %s: it is made with the first session", dir)
			}
			fmt.Fprintln(a.out, safe(key))
			return nil
		},
	}
}
