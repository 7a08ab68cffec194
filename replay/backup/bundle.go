package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"respect/replay"
	"respect/replay/durable"
	"respect/replay/journal"
)

// A bundle is a .tar.gz of one change:
//
//	<change>/record/<session>.jsonl   the lines of the record that tell of the change, as they stand there, and the first line of their session
//	<change>/plan.jsonl, …            its files
//
// Each line has its hash, and the lines have the hashes of the files, so that a bundle that was damaged, or edited in one place, shows. Who wrote it, it does
// not prove: that is for the record itself, with its seals.

// maxBundle bounds what a bundle may unpack to, in bytes, beyond what its record says of the files.
const maxBundle = 64 << 20

// Export writes the bundle of a change. Its files are checked first: a bundle of damaged ones is not made.
func Export(w io.Writer, stateDir string, sessions []*journal.Session, c *journal.Change) error {
	dir := Dir(stateDir, c.ID)
	switch r, err := Verify(dir, c); {
	case err != nil:
		return err
	case r.Pruned:
		return fmt.Errorf("the files of change %s were deleted on %s", c.ID, c.PrunedAt.Format("2006-01-02"))
	case len(r.Problems) > 0:
		return fmt.Errorf("change %s is not as the record has it: %s", c.ID, strings.Join(r.Problems, "; "))
	}
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, s := range sessions {
		lines, err := linesOf(s, c.ID)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			continue
		}
		if err := entry(t, path.Join(c.ID, "record", s.ID+".jsonl"), int64(len(lines)), bytes.NewReader(lines)); err != nil {
			return err
		}
	}
	for _, f := range wanted(c) {
		if err := addFile(t, path.Join(c.ID, f.Name), filepath.Join(dir, filepath.FromSlash(f.Name))); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

func addFile(t *tar.Writer, name, from string) error {
	f, err := durable.Open(from)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return entry(t, name, info.Size(), f)
}

func entry(t *tar.Writer, name string, size int64, r io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, Typeflag: tar.TypeReg, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err := io.CopyN(t, r, size)
	return err
}

// linesOf are the lines of a session that tell of a change; none if it says nothing of it.
func linesOf(s *journal.Session, change string) ([]byte, error) {
	var out []byte
	said := false
	for _, e := range s.Events {
		if e.Kind != replay.KindOpen && (!journal.TellsOfChange(e.Kind) || e.Kind == replay.KindPruned) {
			continue
		}
		var body struct{ Change string }
		if err := e.Decode(&body); err != nil {
			return nil, err
		}
		if e.Kind != replay.KindOpen && body.Change != change {
			continue
		}
		said = said || e.Kind != replay.KindOpen
		line, err := journal.Line(e)
		if err != nil {
			return nil, err
		}
		out = append(out, line...)
	}
	if !said {
		return nil, nil
	}
	return out, nil
}

// Import unpacks a bundle into a directory, which it makes, and returns its change and where the files are. What is not as the bundle's own record says is an error.
func Import(r io.Reader, dir string) (c *journal.Change, files string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, "", fmt.Errorf("this is no bundle of a change: %w", err)
	}
	u := unpacking{dir: dir, left: maxBundle}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = u.entry(h, t)
		}
		if err != nil {
			return nil, "", fmt.Errorf("this is no bundle of a change, or it is damaged: %w", err)
		}
	}
	changes, err := journal.Changes(u.sessions)
	if err != nil {
		return nil, "", err
	}
	if len(changes) != 1 || changes[0].ID != u.change {
		return nil, "", fmt.Errorf("this is no bundle of one change: it tells of %d", len(changes))
	}
	files = filepath.Join(dir, u.change)
	switch r, err := Verify(files, changes[0]); {
	case err != nil:
		return nil, "", err
	case len(r.Problems) > 0:
		return nil, "", fmt.Errorf("the bundle is not as its own record says: %s", strings.Join(r.Problems, "; "))
	}
	return changes[0], files, nil
}

// unpacking is a bundle on its way out.
type unpacking struct {
	dir      string
	change   string
	sessions []*journal.Session
	left     int64 // bytes that may still come
}

func (u *unpacking) entry(h *tar.Header, r io.Reader) error {
	name := path.Clean(h.Name)
	change, rest, ok := strings.Cut(name, "/")
	if h.Typeflag != tar.TypeReg || !ok || name != h.Name || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\:") {
		return fmt.Errorf("it holds %q", h.Name)
	}
	if u.change == "" {
		u.change = change
	}
	if u.left -= h.Size; change != u.change || h.Size < 0 || u.left < 0 {
		return fmt.Errorf("it holds more than one change, or more than its record says: %q", h.Name)
	}
	if id, ok := strings.CutPrefix(rest, "record/"); ok {
		return u.record(strings.TrimSuffix(id, ".jsonl"), r)
	}
	file := filepath.Join(u.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := durable.OS{}.Create(file)
	if err != nil {
		return err
	}
	_, err = io.CopyN(f, r, h.Size)
	return errors.Join(err, f.Close())
}

// record reads the lines of one session. What they say of the size of files may come.
func (u *unpacking) record(session string, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s := &journal.Session{ID: session}
	for line := range bytes.Lines(b) {
		e, err := journal.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return err
		}
		s.Events = append(s.Events, e)
		if e.Kind == replay.KindOpen {
			if err := e.Decode(&s.Open); err != nil {
				return err
			}
		}
		var saved replay.Saved
		if e.Kind == replay.KindSaved && e.Decode(&saved) == nil {
			for _, f := range saved.Files {
				u.left += max(f.Bytes, 0)
			}
		}
	}
	u.sessions = append(u.sessions, s)
	return nil
}
