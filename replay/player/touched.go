package player

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/journal"
)

// Touch is one change that was to change one document.
type Touch struct {
	Session     string        `json:"session"`
	User        string        `json:"user"`
	Host        string        `json:"host"`
	Change      string        `json:"change"`
	Time        time.Time     `json:"time"`
	Deployment  string        `json:"deployment"`
	Environment string        `json:"environment"`
	Namespace   string        `json:"namespace"`
	ID          string        `json:"id"` // Extended JSON
	Op          string        `json:"op"` // insert, update, replace, delete
	Status      replay.Status `json:"status"`
	LeftAlone   bool          `json:"leftAlone,omitempty"` // the outcome names it among the documents that were skipped
	UndoneBy    string        `json:"undoneBy,omitempty"`
	Undoes      string        `json:"undoes,omitempty"`
	Before      *Document     `json:"before"` // as it was backed up; nil if there was none
	After       *Document     `json:"after"`  // as it was foreseen; nil if there is none, or it could not be foreseen
}

// Document is a document in the files of a change.
type Document struct {
	SHA256 string          `json:"sha256"`         // of its BSON, in hex, as the plan has it
	Text   json.RawMessage `json:"text,omitempty"` // Extended JSON; nothing if only its hash was kept
}

// planItem is what a line of a plan file says of a document. The format is guard/plan's; an auditor reads it without that package.
type planItem struct {
	Document *struct {
		NS     string          `json:"ns"`
		Op     string          `json:"op"`
		ID     json.RawMessage `json:"id"`
		Before *planImage      `json:"before"`
		After  *planImage      `json:"after"`
	} `json:"document"`
}

type planImage struct {
	At     int64  `json:"at"` // in the file below before or after; -1: only the hash was kept
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

var errImage = errors.New("is not what the plan says")

// read finds a document in a file of a change, and believes it if it has the plan's hash.
func (im *planImage) read(dir, which, ns string) (*Document, error) {
	if im == nil {
		return nil, nil
	}
	d := &Document{SHA256: im.SHA256}
	if im.At < 0 {
		return d, nil
	}
	f, name, err := openImages(dir, which, ns)
	if err != nil {
		return d, err
	}
	defer f.Close() // read only
	if im.Bytes < 0 || im.Bytes > 64<<20 {
		return d, fmt.Errorf("%s: %w", name, errImage)
	}
	doc := make([]byte, im.Bytes)
	if _, err := io.CopyN(io.Discard, f, im.At); err != nil {
		return d, fmt.Errorf("%s: %w", name, err)
	}
	if _, err := io.ReadFull(f, doc); err != nil {
		return d, fmt.Errorf("%s: %w", name, err)
	}
	if sum := sha256.Sum256(doc); hex.EncodeToString(sum[:]) != im.SHA256 {
		return d, fmt.Errorf("%s, byte %d: %w", name, im.At, errImage)
	}
	if d.Text, err = extended(doc); err != nil {
		return d, fmt.Errorf("%s, byte %d: %w", name, im.At, err)
	}
	return d, nil
}

// openImages opens the documents of a namespace below before or after: named and compressed as mongodump --gzip does it, or as changes of format
// version 1 had them.
func openImages(dir, which, ns string) (r io.ReadCloser, name string, err error) {
	db, coll, _ := strings.Cut(ns, ".")
	name = filepath.Join(which, db, escapedName(coll)+".bson.gz")
	old := filepath.Join(which, url.PathEscape(db), url.PathEscape(coll)+".bson")
	if !filepath.IsLocal(name) || !filepath.IsLocal(old) {
		return nil, name, fmt.Errorf("%s: %w", name, errImage)
	}
	f, err := os.Open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(filepath.Join(dir, old))
		return f, old, err
	}
	if err != nil {
		return nil, name, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, name, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return packed{z, f}, name, nil
}

// packed is a compressed file.
type packed struct {
	io.Reader
	f *os.File
}

// Close implements io.Closer.
func (p packed) Close() error { return p.f.Close() }

// escapedName is a collection's name as mongodump makes a file's name of it.
func escapedName(coll string) string {
	const longest, kept = 238, 208
	name := url.PathEscape(coll)
	if len(name) <= longest {
		return name
	}
	sum := sha1.Sum([]byte(coll))
	return name[:kept] + "%24" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// Touched finds the changes whose plans hold a document: by its _id as it is printed or in Extended JSON, by its hexadecimal digits or its bare value; with
// a namespace or collection and a slash before it, only there; with * at its end, by its beginning. Plan files that are not those that were
// confirmed are problems, and so are documents that have not the plan's hash.
func Touched(stateDir string, sessions []*journal.Session, id string) ([]Touch, []journal.Problem, error) {
	changes, err := journal.Changes(sessions)
	if err != nil {
		return nil, nil, err
	}
	who := map[string]replay.Who{}
	for _, s := range sessions {
		who[s.ID] = s.Open.Who
	}
	want := newWanted(id)
	touches, problems := []Touch{}, []journal.Problem(nil)
	for _, c := range changes {
		found, err := inPlan(stateDir, c, want)
		if err != nil {
			problems = append(problems, journal.Problem{Session: c.Session, Err: fmt.Errorf("change %s: %w", c.ID, err)})
		}
		for _, t := range found {
			t.User, t.Host = who[c.Session].User, who[c.Session].Host
			touches = append(touches, t)
		}
	}
	return touches, problems, nil
}

var errPlan = errors.New("its plan is not the one that was confirmed")

// inPlan reads a plan file line by line, hashing it as it goes. What it found in a file that does not verify is returned all the same.
func inPlan(stateDir string, c *journal.Change, want wanted) (out []Touch, err error) {
	if c.ID != filepath.Base(c.ID) || strings.HasPrefix(c.ID, ".") {
		return nil, fmt.Errorf("%q is no name of a change", c.ID)
	}
	f, err := os.Open(filepath.Join(stateDir, "changes", c.ID, "plan.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	sum := sha256.New()
	var images error
	err = eachLine(f, sum, func(line []byte) error {
		var item planItem
		if err := json.Unmarshal(line, &item); err != nil {
			return fmt.Errorf("%w: %w", errPlan, err)
		}
		d := item.Document
		if d == nil || !want.fits(d.NS, d.ID) {
			return nil
		}
		t := Touch{
			Session: c.Session, Change: c.ID, Time: c.Time, Deployment: c.Intent.Deployment, Environment: c.Intent.Environment,
			Namespace: d.NS, Op: d.Op, ID: idText(d.ID), Status: c.Status, UndoneBy: c.UndoneBy, Undoes: c.Intent.Undoes,
			LeftAlone: leftAlone(c, d.NS, d.ID),
		}
		dir := filepath.Dir(f.Name())
		var before, after error
		t.Before, before = d.Before.read(dir, "before", d.NS)
		t.After, after = d.After.read(dir, "after", d.NS)
		images = errors.Join(images, before, after)
		out = append(out, t)
		return nil
	})
	if err != nil {
		return out, err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.Intent.Digest {
		return out, fmt.Errorf("%w: the record says SHA-256 %s, the file has %s", errPlan, c.Intent.Digest, got)
	}
	return out, images
}

func eachLine(r io.Reader, sum hash.Hash, each func([]byte) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadBytes('\n')
		sum.Write(line)
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if err := each(text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// leftAlone says whether the outcome names a document among those that it skipped.
func leftAlone(c *journal.Change, ns string, id json.RawMessage) bool {
	if c.Outcome == nil {
		return false
	}
	for _, s := range c.Outcome.Skipped {
		if !strings.HasPrefix(s, ns) {
			continue
		}
		for _, leaf := range leaves(id) {
			if at := strings.Index(s, leaf); at >= len(ns) && leaf != "" && delimited(s, at, len(leaf)) {
				return true
			}
		}
	}
	return false
}

func delimited(s string, at, n int) bool {
	word := func(i int) bool {
		return i >= 0 && i < len(s) && (s[i] == '_' || s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z')
	}
	return !word(at-1) && !word(at+n)
}

// wanted is a document that somebody looks for.
type wanted struct {
	whole  string // as it was given, for ids that hold a slash
	ns, id string
	begins bool
}

func newWanted(text string) wanted {
	w := wanted{whole: text, id: text}
	if ns, id, ok := strings.Cut(text, "/"); ok && ns != "" && id != "" {
		w.ns, w.id = ns, id
	}
	w.id = bare(w.id)
	if strings.HasSuffix(w.id, "*") && len(w.id) > 1 {
		w.id, w.begins = strings.TrimSuffix(w.id, "*"), true
	}
	return w
}

// bare takes the constructor and the quotation marks from an _id as the shell prints it.
func bare(id string) string {
	id = strings.TrimSpace(id)
	for _, name := range []string{"ObjectId", "UUID", "Long", "NumberLong", "NumberInt", "Int32", "Decimal128", "NumberDecimal", "ISODate"} {
		if rest, ok := strings.CutPrefix(id, name+"("); ok && strings.HasSuffix(rest, ")") {
			id = strings.TrimSpace(strings.TrimSuffix(rest, ")"))
		}
	}
	if n := len(id); n >= 2 && id[0] == id[n-1] && strings.ContainsRune(`"'`, rune(id[0])) {
		id = id[1 : n-1]
	}
	return id
}

func (w wanted) fits(ns string, id json.RawMessage) bool {
	if w.is(w.id, id) {
		_, coll, _ := strings.Cut(ns, ".")
		if w.ns == "" || w.ns == ns || w.ns == coll {
			return true
		}
	}
	return w.ns != "" && w.is(w.whole, id)
}

func (w wanted) is(want string, id json.RawMessage) bool {
	if compact(json.RawMessage(want)) == compact(id) || compact(json.RawMessage(want)) == idText(id) {
		return true
	}
	for _, leaf := range leaves(id) {
		if strings.EqualFold(leaf, want) || w.begins && len(leaf) > len(want) && strings.EqualFold(leaf[:len(want)], want) {
			return true
		}
	}
	return false
}

// idText is the value of _id without the document around it.
func idText(id json.RawMessage) string {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(id, &doc); err == nil && len(doc) == 1 && doc["_id"] != nil {
		return compact(doc["_id"])
	}
	return compact(id)
}

func compact(text json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return string(text)
	}
	return b.String()
}

// leaves are the strings, numbers and truth values in an _id, whatever type they are wrapped in.
func leaves(id json.RawMessage) (out []string) {
	dec := json.NewDecoder(bytes.NewReader(id))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, x := range v {
				walk(x)
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		case string:
			out = append(out, v)
		case json.Number:
			out = append(out, v.String())
		case bool:
			out = append(out, fmt.Sprint(v))
		}
	}
	walk(v)
	return out
}

// TouchText is what is known of a document, oldest first, in words.
func TouchText(touches []Touch) string {
	var b strings.Builder
	for _, t := range touches {
		became := string(t.Status)
		switch {
		case t.UndoneBy != "":
			became += " by " + t.UndoneBy
		case t.LeftAlone:
			became += ", this document was left alone"
		}
		fmt.Fprintf(&b, "%s  %-7s %s _id %s: %s  %s@%s  change %s, session %s\n", t.Time.Format(stamp), replay.Safe(t.Op), replay.Safe(t.Namespace), replay.Safe(t.ID),
			replay.Safe(became), replay.Safe(t.User), replay.Safe(t.Host), replay.Safe(t.Change), replay.Safe(t.Session))
		if t.Undoes != "" {
			fmt.Fprintf(&b, "  takes back %s\n", replay.Safe(t.Undoes))
		}
		for _, x := range []struct {
			name string
			doc  *Document
		}{{"before", t.Before}, {"after", t.After}} {
			switch {
			case x.doc == nil:
			case x.doc.Text == nil:
				fmt.Fprintf(&b, "  %s: SHA-256 %s\n", x.name, replay.Safe(x.doc.SHA256))
			default:
				fmt.Fprintf(&b, "  %s: %s\n", x.name, replay.Safe(string(x.doc.Text)))
			}
		}
	}
	return b.String()
}
