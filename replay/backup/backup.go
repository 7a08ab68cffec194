// Package backup looks after the files of changes when nobody works with them: checked against the record, deleted when they are old, and carried to
// another machine.
//
//	changes/<change>/… ─► Verify ─► what is missing or was changed
//	                   └► Prune  ─► recorded, then deleted; never what an unfinished change needs
//	                   └► Export ─► one .tar.gz ─► Import ─► undo --from
//
// It imports the standard library and the record alone, as all of replay does: who checks backups needs nothing of the program that made them.
package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// Dir is where the files of a change are.
func Dir(stateDir, change string) string { return filepath.Join(stateDir, "changes", change) }

// Report is what was found of one change.
type Report struct {
	Change   string   `json:"change"`
	Files    int      `json:"files"`
	Bytes    int64    `json:"bytes"`
	Pruned   bool     `json:"pruned"`   // deleted, as the record says
	Problems []string `json:"problems"` // what is not as the record has it
}

// wanted are the files of a change with their hashes: what was saved, and what was written down of its end.
func wanted(c *journal.Change) []replay.SavedFile {
	var out []replay.SavedFile
	if c.Saved != nil {
		out = append(out, c.Saved.Files...)
	}
	if !slices.ContainsFunc(out, func(f replay.SavedFile) bool { return f.Name == "plan.jsonl" }) && c.Intent.Digest != "" {
		out = append(out, replay.SavedFile{Name: "plan.jsonl", Bytes: -1, SHA256: c.Intent.Digest})
	}
	if h := c.AfterHash(); h != "" {
		out = append(out, replay.SavedFile{Name: "after.idx", Bytes: -1, SHA256: h})
	}
	return out
}

// Verify reads every file of a change and compares it with the record. An error means that one could not be read.
func Verify(dir string, c *journal.Change) (Report, error) {
	r := Report{Change: c.ID, Problems: []string{}, Pruned: c.Pruned != nil}
	if r.Pruned {
		return r, nil
	}
	for _, f := range wanted(c) {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			r.Problems = append(r.Problems, fmt.Sprintf("%q is no name of a file of a change", f.Name))
			continue
		}
		n, sum, err := hashFile(dir, filepath.FromSlash(f.Name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			r.Problems = append(r.Problems, f.Name+" is missing")
			continue
		case errors.Is(err, durable.ErrNotPlain):
			r.Problems = append(r.Problems, f.Name+" is no regular file")
			continue
		case err != nil:
			return r, err
		case sum != f.SHA256:
			r.Problems = append(r.Problems, fmt.Sprintf("%s was changed: its hash is %s, the record says %s", f.Name, sum, f.SHA256))
		}
		r.Files++
		r.Bytes += n
	}
	return r, nil
}

func hashFile(dir, name string) (n int64, sum string, err error) {
	f, err := durable.OpenBelow(dir, name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close() // read only
	h := sha256.New()
	n, err = io.Copy(h, f)
	return n, hex.EncodeToString(h.Sum(nil)), err
}

// Rule says which files may go. The zero Rule lets none go.
type Rule struct {
	OlderThan time.Duration // of changes that are at least so old; 0: age alone is no reason
	Keep      int64         // bytes that all together may take; the oldest go first; negative: there is no limit
}

// Candidate is a change whose files a rule lets go, or would if nothing needed them.
type Candidate struct {
	Change *journal.Change
	Bytes  int64
	Needed string // why they stay all the same; "" if they go
}

// Prunable are the changes whose files a rule lets go, oldest first.
func Prunable(stateDir string, changes []*journal.Change, rule Rule, now time.Time) ([]Candidate, error) {
	needed := unfinished(changes)
	var all []Candidate
	var total int64
	for _, c := range changes {
		if c.Pruned != nil {
			continue
		}
		n, err := size(Dir(stateDir, c.ID))
		if err != nil {
			return nil, err
		}
		total += n
		all = append(all, Candidate{Change: c, Bytes: n, Needed: needed[c.ID]})
	}
	var out []Candidate
	for _, c := range all {
		old := rule.OlderThan > 0 && now.Sub(c.Change.Time) >= rule.OlderThan
		large := rule.Keep >= 0 && total > rule.Keep
		if !old && !large || c.Bytes == 0 {
			continue
		}
		if c.Needed == "" {
			total -= c.Bytes
		}
		out = append(out, c)
	}
	return out, nil
}

// unfinished says of which changes the files are needed, and why.
func unfinished(changes []*journal.Change) map[string]string {
	needed := map[string]string{}
	for _, c := range changes {
		why := ""
		switch {
		case c.Running:
			why = "is being carried out"
		case c.CutOff:
			why = "was cut off, and nobody has looked since"
		case c.Doubtful:
			why = "came to an end that is not known"
		default:
			continue
		}
		needed[c.ID] = "it " + why
		for _, other := range []string{c.Intent.Undoes, c.Intent.Resumes} {
			if other != "" {
				needed[other] = c.ID + ", which works on it, " + why
			}
		}
	}
	return needed
}

func size(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return n, err
}

// Recorder writes down what is done; *journal.Writer implements it.
type Recorder interface {
	Append(kind replay.Kind, body any) error
	Seal() error
}

// Prune deletes the files of a change. The record says so before.
func Prune(fsys durable.FS, rec Recorder, stateDir string, c Candidate, why string) error {
	if !journal.ValidChange(c.Change.ID) {
		return fmt.Errorf("%q is no change", c.Change.ID)
	}
	if c.Needed != "" {
		return fmt.Errorf("the files of change %s are needed: %s", c.Change.ID, c.Needed)
	}
	if err := rec.Append(replay.KindPruned, replay.Pruned{Change: c.Change.ID, Bytes: c.Bytes, Why: why}); err != nil {
		return err
	}
	if err := rec.Seal(); err != nil {
		return err
	}
	dir := Dir(stateDir, c.Change.ID)
	if err := fsys.RemoveAll(dir); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(dir))
}

// Strays are directories that no change needs, and that nobody has written to for a day: of previews and questions whose program was killed. Each is known to the record
// as planned and never begun, or holds a plan that was never finished; of others nobody can tell, and they stay. The record must verify.
func Strays(stateDir string, record *journal.Record, now time.Time) (names []string, size int64, err error) {
	entries, err := os.ReadDir(filepath.Join(stateDir, "changes"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	for _, e := range entries {
		dir := filepath.Join(stateDir, "changes", e.Name())
		c := record.Plans[e.Name()]
		if !e.IsDir() || c != nil && c.Tried() || strings.HasPrefix(e.Name(), ".") || (c == nil || c.Planned.Change == "") && finished(dir) {
			continue
		}
		last, n, err := touched(dir)
		if err != nil {
			return nil, 0, err
		}
		if now.Sub(last) >= 24*time.Hour {
			names, size = append(names, e.Name()), size+n
		}
	}
	return names, size, nil
}

// finished says whether a directory holds a whole plan: what was carried out does.
func finished(dir string) bool {
	f, err := durable.Open(filepath.Join(dir, "plan.jsonl"))
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return true
	}
	const most = 4 << 20 // a line of totals is shorter
	tail := make([]byte, min(info.Size(), most))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return true
	}
	last := bytes.TrimSuffix(tail, []byte("\n"))
	return bytes.HasPrefix(last[bytes.LastIndexByte(last, '\n')+1:], []byte(`{"totals":`))
}

// touched is when something below a directory was written last, and how much there is.
func touched(dir string) (last time.Time, bytes int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.ModTime().After(last) {
			last = info.ModTime()
		}
		if !e.IsDir() {
			bytes += info.Size()
		}
		return nil
	})
	return last, bytes, err
}
