package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"respect/replay/backup"
	"respect/replay/durable"
	"respect/replay/journal"
	"respect/replay/player"
	"respect/shell"
	"respect/shell/render"
)

// changeFilter are the flags that choose changes.
type changeFilter struct {
	shell.ChangeFilter
	since, until string
}

func (f *changeFilter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.since, "since", "", `not before this: 2h, "3 days ago", yesterday, monday, 2026-11-20, "2026-11-20 18:00"`)
	c.Flags().StringVar(&f.until, "until", "", "begun by the end of this; as --since")
	c.Flags().StringVar(&f.User, "user", "", "by this user@host; a part of it will do")
	c.Flags().StringVar(&f.Namespace, "namespace", "", "in this namespace, or in any of this database")
}

func (f *changeFilter) resolve() (err error) {
	f.Since, f.Until, err = between(f.since, f.until)
	return err
}

// between are the times that --since and --until mean; zero for those that are not given.
func between(since, until string) (from, to time.Time, err error) {
	now := time.Now()
	if since != "" {
		if from, _, err = player.When(since, now); err != nil {
			return from, to, &usage{text: "--since: " + err.Error()}
		}
	}
	if until != "" {
		if _, to, err = player.When(until, now); err != nil {
			return from, to, &usage{text: "--until: " + err.Error()}
		}
	}
	return from, to, nil
}

func (a *app) changes() *cobra.Command {
	listing := func(use, short string) *cobra.Command {
		var f changeFilter
		c := &cobra.Command{Use: use, Short: short, Args: noArgs, RunE: func(*cobra.Command, []string) error { return a.listChanges(&f) }}
		f.flags(c)
		return c
	}
	c := listing("changes", "what was changed from here")
	c.AddCommand(
		listing("list", "all changes, the first first"),
		&cobra.Command{Use: "show ID", Short: "all that the record has of one change", Args: cobra.ArbitraryArgs, RunE: func(_ *cobra.Command, args []string) error {
			return a.showChange(args)
		}},
		&cobra.Command{
			Use: "verify [ID]", Short: "check the record, and the files of changes against it, backups first of all", Args: cobra.ArbitraryArgs,
			Long: "verify checks the record as respect replay verify does, reads every file of every change, or of one, and compares its hash with the record's.\nIt ends with status 5 if something differs or is missing.",
			RunE: func(_ *cobra.Command, args []string) error { return a.verifyChanges(args) },
		},
		a.pruneChanges(), a.exportChange(),
	)
	return c
}

func (a *app) listChanges(f *changeFilter) error {
	if err := f.resolve(); err != nil {
		return err
	}
	record, err := a.record()
	if err != nil {
		return err
	}
	changes := f.Of(record.Changes)
	if a.flags.json == "" {
		a.say("%s", shell.ListChanges(changes))
		return orRecord(nil, record)
	}
	out := []shell.ChangeJSON{}
	for _, c := range changes {
		out = append(out, shell.ToJSON(c))
	}
	return orRecord(status(a.printJSON(out)), record)
}

func (a *app) showChange(args []string) error {
	c, record, err := a.oneChange(args)
	if err != nil {
		return err
	}
	if a.flags.json != "" {
		full, err := shell.ToFullJSON(c)
		if err != nil {
			return err
		}
		return orRecord(status(a.printJSON(full)), record)
	}
	text, err := shell.ShowChange(c)
	if err != nil {
		return err
	}
	a.say("%s", text)
	return orRecord(nil, record)
}

// record is the record of the state directory, verified as replay verify does it. What does not verify was warned of.
func (a *app) record() (*journal.Record, error) {
	all, err := a.archive()
	if err != nil {
		return nil, err
	}
	fmt.Fprint(a.err, a.foldedErr(shell.Unverified(all.Record.AllProblems())))
	return all.Record, nil
}

// orRecord is the end of a command that has shown what there is of a record: with status 5 if that does not verify.
func orRecord(err error, record *journal.Record) error {
	if err == nil && len(record.AllProblems()) > 0 {
		return exit(shell.ExitRecord)
	}
	return err
}

// oneChange is the change that the arguments name.
func (a *app) oneChange(args []string) (*journal.Change, *journal.Record, error) {
	if len(args) != 1 {
		return nil, nil, &usage{text: "which change?", hint: "respect changes lists them"}
	}
	record, err := a.record()
	if err != nil {
		return nil, nil, err
	}
	c, err := shell.FindChange(record.Changes, args[0])
	return c, record, err
}

func (a *app) verifyChanges(args []string) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	record, err := a.record()
	if err != nil {
		return err
	}
	changes := record.Changes
	if len(args) > 0 {
		c, err := shell.FindChange(changes, args[0])
		if err != nil {
			return err
		}
		changes = []*journal.Change{c}
	}
	reports, wrong := []backup.Report{}, 0
	for _, c := range changes {
		r, err := backup.Verify(backup.Dir(dir, c.ID), c)
		if err != nil {
			return err
		}
		reports = append(reports, r)
		wrong += len(r.Problems)
	}
	if a.flags.json != "" {
		err = status(a.printJSON(reports))
	} else {
		printReports(a, reports)
	}
	if err == nil && wrong > 0 {
		return exit(shell.ExitRecord)
	}
	return orRecord(err, record)
}

func printReports(a *app, reports []backup.Report) {
	for _, r := range reports {
		switch {
		case r.Pruned:
			a.say("%s  deleted by prune\n", safe(r.Change))
		case len(r.Problems) == 0:
			a.say("%s  verifies: %d file(s), %s\n", safe(r.Change), r.Files, render.Bytes(r.Bytes))
		default:
			a.say("%s  DOES NOT VERIFY\n", safe(r.Change))
		}
		for _, p := range r.Problems {
			a.say("  %s\n", safe(p))
		}
	}
	if len(reports) == 0 {
		a.say("nothing was changed from here\n")
	}
}

const aboutPrune = `prune deletes the files of old changes: their plans and backups. The record keeps what was done; only taking it back is no longer possible.

  respect changes prune --older-than 90d             what would go
  respect changes prune --older-than 90d --delete    and it goes
  respect changes prune --keep 20GiB --delete        the oldest go until the rest fits

A change that is being carried out, was cut off, or came to an end that is not known keeps its files, and so does one that such a change works on.
Previews that a killed program left behind go too, a day later.`

func (a *app) pruneChanges() *cobra.Command {
	var age, keep string
	var really bool
	c := &cobra.Command{Use: "prune --older-than AGE|--keep SIZE", Short: "delete the files of old changes", Long: aboutPrune, Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		rule, err := pruneRule(age, keep)
		if err != nil {
			return err
		}
		return a.prune(rule, strings.TrimSpace(orNot("--older-than ", age)+" "+orNot("--keep ", keep)), really)
	}}
	c.Flags().StringVar(&age, "older-than", "", "of changes that are at least so old: 90d, 36h")
	c.Flags().StringVar(&keep, "keep", "", "of the oldest, until the rest takes no more than this: 20GiB, 500MiB")
	c.Flags().BoolVar(&really, "delete", false, "delete them; without it they are only listed")
	return c
}

func orNot(flag, value string) string {
	if value == "" {
		return ""
	}
	return flag + value
}

// pruneRule reads what may go. Nothing goes without being asked for.
func pruneRule(age, keep string) (rule backup.Rule, err error) {
	rule.Keep = -1
	if age == "" && keep == "" {
		return rule, &usage{text: "how old, or how much?", hint: "respect changes prune --older-than 90d"}
	}
	if age != "" {
		d := age
		if days, ok := strings.CutSuffix(age, "d"); ok {
			n, err := strconv.ParseUint(days, 10, 16)
			if err != nil || n == 0 {
				return rule, &usage{text: fmt.Sprintf("--older-than: %q is no age", age), hint: "90d, 36h"}
			}
			d = strconv.FormatUint(24*n, 10) + "h"
		}
		if rule.OlderThan, err = time.ParseDuration(d); err != nil || rule.OlderThan <= 0 {
			return rule, &usage{text: fmt.Sprintf("--older-than: %q is no age", age), hint: "90d, 36h"}
		}
	}
	if keep != "" {
		if rule.Keep, err = parseSize(keep); err != nil {
			return rule, &usage{text: "--keep: " + err.Error(), hint: "20GiB, 500MiB, 0"}
		}
	}
	return rule, nil
}

func parseSize(s string) (int64, error) {
	for unit, factor := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			v, err := strconv.ParseUint(n, 10, 20)
			if err != nil {
				return 0, fmt.Errorf("%q is no size", s)
			}
			return int64(v) * factor, nil
		}
	}
	if s == "0" {
		return 0, nil
	}
	return 0, fmt.Errorf("%q is no size", s)
}

func (a *app) prune(rule backup.Rule, why string, really bool) (err error) {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	record, err := a.record()
	if err != nil {
		return err
	}
	if len(record.AllProblems()) > 0 {
		fmt.Fprint(a.err, a.foldedErr("error: nothing is deleted while the record does not verify: what a backup is needed for is not known\n"))
		return exit(shell.ExitRecord)
	}
	now := time.Now()
	list, err := backup.Prunable(dir, record.Changes, rule, now)
	if err != nil {
		return err
	}
	strays, strayBytes, err := backup.Strays(dir, record, now)
	if err != nil {
		return err
	}
	p := pruning{Going: []prunedChange{}, Staying: []prunedChange{}, Leftovers: append([]string{}, strays...), Bytes: strayBytes}
	for _, c := range list {
		x := prunedChange{c.Change.ID, c.Change.Time.UTC().Format(time.RFC3339), c.Change.Intent.Summary, c.Bytes, c.Needed}
		if c.Needed != "" {
			p.Staying = append(p.Staying, x)
			continue
		}
		p.Going, p.Bytes = append(p.Going, x), p.Bytes+c.Bytes
	}
	if a.flags.json == "" {
		a.listPruning(list, strays)
	}
	switch something := len(p.Going)+len(strays) > 0; {
	case something && really:
		if err := a.delete(dir, list, strays, why); err != nil {
			return err
		}
		p.Deleted = true
	case a.flags.json != "":
	case !something:
		a.say("nothing goes\n")
		return nil
	default:
		a.say("%d change(s) and %d leftover(s), %s; nothing was deleted: --delete deletes them\n", len(p.Going), len(strays), render.Bytes(p.Bytes))
		return nil
	}
	if a.flags.json != "" {
		return status(a.printJSON(p))
	}
	a.say("%d change(s) and %d leftover(s) deleted, %s\n", len(p.Going), len(strays), render.Bytes(p.Bytes))
	return nil
}

// pruning is what prune --json prints.
type pruning struct {
	Going     []prunedChange `json:"going"`
	Staying   []prunedChange `json:"staying"`   // although the rule lets them go
	Leftovers []string       `json:"leftovers"` // of previews and questions that were cut off
	Bytes     int64          `json:"bytes"`     // of what goes
	Deleted   bool           `json:"deleted"`
}

type prunedChange struct {
	ID      string `json:"id"`
	Time    string `json:"time"`
	Summary string `json:"summary"`
	Bytes   int64  `json:"bytes"`
	Needed  string `json:"needed,omitempty"` // why it stays
}

func (a *app) listPruning(list []backup.Candidate, strays []string) {
	for _, c := range list {
		what := "goes"
		if c.Needed != "" {
			what = "STAYS: " + c.Needed
		}
		a.say("%s  %s  %10s  %s  %s\n", safe(c.Change.ID), c.Change.Time.UTC().Format("2006-01-02"), render.Bytes(c.Bytes), safe(what), safe(c.Change.Intent.Summary))
	}
	for _, s := range strays {
		a.say("%s  left by a preview or a question that was cut off\n", safe(s))
	}
}

// delete deletes in a session of its own: the record says so before.
func (a *app) delete(dir string, list []backup.Candidate, strays []string, why string) error {
	p, err := a.policy()
	if err != nil {
		return err
	}
	s, err := a.open(dir, false, p)
	if err != nil {
		return err
	}
	gone := 0
	for _, c := range list {
		if c.Needed != "" {
			continue
		}
		if err = backup.Prune(durable.OS{}, s.journal, dir, c, "respect changes prune "+why); err != nil {
			break
		}
		gone++
	}
	for _, name := range strays {
		if err == nil {
			err = os.RemoveAll(backup.Dir(dir, name))
		}
	}
	code := shell.ExitDone
	if err != nil {
		code = shell.ExitError
		err = fmt.Errorf("%d change(s) were deleted, then: %w", gone, err)
	}
	return errors.Join(err, s.close(code))
}

func (a *app) exportChange() *cobra.Command {
	return &cobra.Command{
		Use: "export ID [FILE]", Short: "a change with its backup as one file, for undo --from on another machine", Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return &usage{text: "which change?", hint: cmd.UseLine()}
			}
			c, _, err := a.oneChange(args[:1])
			if err != nil {
				return err
			}
			name := c.ID + ".tar.gz"
			if len(args) == 2 {
				name = args[1]
			}
			if err := a.export(c, name); err != nil {
				return err
			}
			a.say("%s holds change %s; it is production data as it was, keep it as such\non another machine: respect undo --from %s\n", safe(name), safe(c.ID), safe(filepath.Base(name)))
			return nil
		},
	}
}

// export writes a bundle. A file that is there is not overwritten, and one that could not be finished does not stay.
func (a *app) export(c *journal.Change, name string) (err error) {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	record, err := journal.Indexed(dir)
	if err != nil {
		return err
	}
	f, err := durable.OS{}.Create(name)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; name another file", name)
	}
	if err != nil {
		return err
	}
	if err = backup.Export(f, dir, record.Sessions, c); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

// brought is a change from another state directory, unpacked.
type brought struct {
	change *journal.Change
	files  string
	dir    string
}

func (b *brought) remove() error { return os.RemoveAll(b.dir) }

// bring unpacks a bundle. If the change is known here too, what is known of it counts.
func (a *app) bring(file, id string) (*brought, error) {
	dir, err := a.stateDir()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	letters, err := journal.Letters(8, rand.Reader)
	if err != nil {
		return nil, err
	}
	b := &brought{dir: filepath.Join(dir, "brought", letters)}
	if b.change, b.files, err = backup.Import(f, b.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", file, err), b.remove())
	}
	if id != "" && !strings.HasPrefix(b.change.ID, id) && !strings.HasSuffix(b.change.ID, id) {
		return nil, errors.Join(&usage{text: fmt.Sprintf("%s holds change %s, not %s", file, b.change.ID, id)}, b.remove())
	}
	changes, problems, err := shell.ReadChanges(dir)
	fmt.Fprint(a.err, shell.Unverified(problems))
	if err != nil {
		return nil, errors.Join(err, b.remove())
	}
	for _, c := range changes {
		if c.ID == b.change.ID {
			known := *c
			known.Pruned = nil // its files are here again
			b.change = &known
		}
	}
	return b, nil
}
