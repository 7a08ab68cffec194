package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"respect/guard/plan"
	"respect/replay/journal"
	"respect/replay/player"
	"respect/shell"
	"respect/shell/render"
)

func (a *app) replay() *cobra.Command {
	c := &cobra.Command{Use: "replay", Short: "look at recorded sessions", Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return &usage{text: "list, show, play, search, export, verify or key?", hint: cmd.CommandPath() + " --help"}
	}}
	c.AddCommand(a.replayList(), a.replaySearch(), a.replayShow(), a.replayPlay(), a.replayExport(), a.replayVerify(), a.replayKey())
	return c
}

// archive is the record of the state directory, verified, against the witness too if policy names one.
func (a *app) archive() (*player.Archive, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	witness := a.witness()
	all, err := player.Open(dir, journal.Options{Witness: witness})
	if err != nil && witness != "" { // it may be on a disk that is not there now; what there is here can be looked at all the same
		fmt.Fprintf(a.err, "warning: %s\n", safe(err.Error()))
		all, err = player.Open(dir, journal.Options{})
	}
	if err != nil {
		return nil, err
	}
	all.Foresee = foresee()
	return all, nil
}

// witness is the file that policy names; an auditor may have none.
func (a *app) witness() string {
	p, err := a.policy()
	if err != nil {
		fmt.Fprintf(a.err, "warning: no witness is compared: %s\n", safe(err.Error()))
		return ""
	}
	return p.Record().Witness
}

// foresee computes what updates made of documents as the guard did it, so that it need not be trusted: who asks compares hashes.
func foresee() player.Foresee {
	var p *plan.Plan
	at := ""
	return func(dir, digest string, item, before []byte) ([]byte, error) {
		if at != dir {
			var err error
			if p, err = plan.Open(dir, digest); err != nil {
				return nil, err
			}
			at = dir
		}
		var it plan.Item
		if err := json.Unmarshal(item, &it); err != nil {
			return nil, err
		}
		after, _, err := p.Foresee(it, before)
		return after, err
	}
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
	var err error
	if f.Since, f.Until, err = between(f.since, f.until); err != nil {
		return err
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
		all, err := a.archive()
		if err != nil {
			return err
		}
		lines, err := all.List(f.Filter)
		if err != nil {
			return err
		}
		if a.flags.json != "" {
			if err := status(a.printJSON(lines)); err != nil {
				return err
			}
			return a.doubts(all.Record.AllProblems())
		}
		for _, l := range lines {
			fmt.Fprint(a.out, a.folded(listed(l)))
		}
		for _, p := range all.Record.Problems {
			fmt.Fprint(a.out, a.folded(fmt.Sprintf("DOES NOT VERIFY: %s\n", safe(p.String()))))
		}
		if len(all.Record.AllProblems()) > 0 {
			return exit(shell.ExitRecord)
		}
		return nil
	}}
	f.flags(c)
	c.Flags().StringVar(&f.Text, "text", "", "in which this text stands")
	return c
}

// listed is a session in the list: what was done in a line, then why, and whether its record verifies.
func listed(l player.Line) string {
	changes := fmt.Sprintf("%d change(s)", l.Changes)
	if l.Undone > 0 {
		changes += fmt.Sprintf(" of which %d undone", l.Undone)
	}
	if l.Unguarded > 0 {
		changes += fmt.Sprintf(", %d unguarded write(s)", l.Unguarded)
	}
	if l.Declined > 0 {
		changes += fmt.Sprintf(", %d declined", l.Declined)
	}
	out := fmt.Sprintf("%s  %-10s %-11s %-8s %d statement(s), %s, %d refusal(s)  %s\n",
		safe(l.Session), safe(l.User), safe(strings.ToUpper(l.Environment)), l.State, l.Statements, changes, l.Refusals, safe(strings.Join(l.Deployments, ", ")))
	for _, r := range l.Reasons {
		out += "  for " + safe(r) + "\n"
	}
	verdict := l.Verdict
	if l.Problems > 0 {
		verdict += ": respect replay verify " + l.Session
	}
	return out + "  " + safe(verdict) + "\n"
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
	all, err := a.archive()
	if err != nil {
		return err
	}
	lines, err := all.List(f)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, l := range lines {
		wanted[l.Session] = true
	}
	out := &found{out: a.out, json: a.flags.json != "", columns: columns(a.out)}
	out.list("documents")
	pruned, problems, err := all.Touched(text, func(id string) bool { return wanted[id] }, func(t player.Touch) error { return out.add(t, t.String()) })
	if err != nil {
		return err
	}
	out.list("hits")
	for _, r := range all.Sessions() {
		if onlyID || !wanted[r.Session.ID] {
			continue
		}
		if err := r.Search(text, func(h player.Hit) error { return out.add(h, h.String()+"\n") }); err != nil {
			return err
		}
	}
	if len(pruned) > 0 {
		out.list("pruned")
		for _, id := range pruned {
			if err := out.add(id, ""); err != nil {
				return err
			}
		}
		fmt.Fprint(a.err, a.foldedErr(fmt.Sprintf("not looked into, since their plans were deleted by prune: %s\n", safe(strings.Join(pruned, ", ")))))
	}
	out.list("")
	// What a record that does not verify hides is not found: that must not look like "nobody".
	return a.doubts(append(problems, all.Record.AllProblems()...))
}

// found writes what was found as it is found: as text, or as one JSON object of lists.
type found struct {
	out     io.Writer
	json    bool
	columns int // of a terminal
	lists   int
	n       int // of the list
}

// list begins a list; without a name it ends the last one.
func (f *found) list(name string) {
	if !f.json {
		return
	}
	switch {
	case f.lists == 0:
		fmt.Fprint(f.out, "{")
	case f.n > 0:
		fmt.Fprint(f.out, "\n  ]")
	default:
		fmt.Fprint(f.out, "]")
	}
	if f.lists++; name == "" {
		fmt.Fprint(f.out, "\n}\n")
		return
	}
	if f.lists > 1 {
		fmt.Fprint(f.out, ",")
	}
	fmt.Fprintf(f.out, "\n  %q: [", name)
	f.n = 0
}

func (f *found) add(v any, text string) error {
	if f.json {
		indented, err := shell.IndentJSON(v)
		if err != nil {
			return err
		}
		comma := ""
		if f.n > 0 {
			comma = ","
		}
		text = comma + "\n    " + strings.ReplaceAll(strings.TrimSuffix(indented, "\n"), "\n", "\n    ")
	} else {
		text = render.Fold(text, f.columns)
	}
	f.n++
	_, err := io.WriteString(f.out, text)
	return err
}

// doubts says what does not verify, on standard error, where the answer itself cannot hold it.
func (a *app) doubts(problems []journal.Problem) error {
	for _, p := range problems {
		fmt.Fprint(a.err, a.foldedErr(fmt.Sprintf("DOES NOT VERIFY: %s\n", safe(p.String()))))
	}
	if len(problems) > 0 {
		return exit(shell.ExitRecord)
	}
	return nil
}

// findSession finds a session by its name or the beginning or end of it; without one, the last that began.
func findSession(all *player.Archive, id string) (r player.Record, err error) {
	var found []player.Record
	for _, r := range all.Sessions() {
		if r.Session.ID == id {
			return r, nil
		}
		if strings.HasPrefix(r.Session.ID, id) || strings.HasSuffix(r.Session.ID, id) {
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 0 && id == "":
		return r, fmt.Errorf("there are no sessions in %s", all.Dir)
	case len(found) == 0:
		return r, fmt.Errorf("there is no session %q; respect replay list lists them", id)
	case id != "" && len(found) > 1:
		return r, fmt.Errorf("%q means %d sessions; give more of the name", id, len(found))
	}
	return found[len(found)-1], nil
}

// oneRecord is the session that the arguments name, with what all others say of it.
func (a *app) oneRecord(args []string) (r player.Record, err error) {
	if len(args) > 1 {
		return r, &usage{text: "one session at a time"}
	}
	all, err := a.archive()
	if err != nil {
		return r, err
	}
	return findSession(all, strings.Join(args, ""))
}

// believed is the exit status of what was printed of a session.
func believed(r player.Record) error {
	if len(r.Problems()) > 0 {
		return exit(shell.ExitRecord)
	}
	return nil
}

func (a *app) replayShow() *cobra.Command {
	var writes bool
	c := &cobra.Command{Use: "show [ID]", Short: "a session: what was typed, shown, answered and changed", Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error {
		r, err := a.oneRecord(args)
		if err != nil {
			return err
		}
		tell := r.Story
		if writes {
			tell = r.Writes
		}
		out := &folding{w: a.out, columns: columns(a.out)}
		if err := errors.Join(tell(out), out.Flush()); err != nil {
			return err
		}
		return believed(r)
	}}
	c.Flags().BoolVar(&writes, "writes", false, "only what was changed, with the preview as it was shown and the receipt")
	return c
}

func (a *app) replayExport() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "export [ID] --format cast|html|json|txt", Short: "a session as one file, for somebody without this program", Args: cobra.ArbitraryArgs,
		Long: "export writes a session to standard output. cast is asciicast v2, which asciinema plays, with markers at questions and writes. html is one page that needs\n" +
			"nothing else and loads nothing: verification, changes with previews, documents, answers and receipts, playback, timeline. json has the journal's own lines.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(player.Formats, format) {
				return &usage{text: fmt.Sprintf("%q is no format", format), hint: "--format " + strings.Join(player.Formats, ", --format ")}
			}
			r, err := a.oneRecord(args)
			if err != nil {
				return err
			}
			if err := r.Export(a.out, format); err != nil {
				return err
			}
			return believed(r)
		},
	}
	c.Flags().StringVar(&format, "format", "html", "cast (for asciinema), html, json or txt")
	return c
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
		o.Witness = a.witness()
	}
	all, err := player.Open(dir, o)
	if err != nil {
		return err
	}
	want := ""
	if len(args) == 1 {
		r, err := findSession(all, args[0])
		if err != nil {
			return err
		}
		want = r.Session.ID
	}
	report := verifyReport(all, want)
	if a.flags.json != "" {
		if err := status(a.printJSON(report)); err != nil {
			return err
		}
	} else {
		for _, s := range report.Sessions {
			fmt.Fprint(a.out, a.folded(fmt.Sprintf("%s  %d event(s)  %s\n", safe(s.Session), s.Events, safe(s.Verdict))))
		}
		for _, p := range report.Problems {
			fmt.Fprint(a.out, a.folded(fmt.Sprintf("DOES NOT VERIFY: %s\n", safe(p))))
		}
		fmt.Fprint(a.out, a.folded(safe(report.Result)+"\n"))
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
func verifyReport(in *player.Archive, want string) verified {
	all := in.Record
	out := verified{Witness: all.Witness, Keys: append([]string{}, all.Keys...), Sessions: []verifiedSession{}, Problems: []string{}}
	sealed, witnessed := 0, 0
	for _, r := range in.Sessions() {
		s := r.Session
		if want != "" && s.ID != want {
			continue
		}
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
		out.Result += "; not witnessed: somebody who can write these files could have taken away the newest of it, and, with their key, have written all of it anew"
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
