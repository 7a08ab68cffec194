package plan

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/replay"
	"respect/replay/durable"
)

// formatVersion of a change's files. Version 1 had images that were not compressed; it is still read.
const formatVersion = 2

// Header is the first line of a plan file: what was known before anything was read.
type Header struct {
	Version     int               `json:"version"`
	Change      string            `json:"change"`
	Created     time.Time         `json:"created"`
	Deployment  string            `json:"deployment"` // its name on the screen
	Identity    map[string]string `json:"identity"`   // what the connection must show again
	Environment string            `json:"environment"`
	Evidence    []replay.Evidence `json:"evidence"`
	Class       string            `json:"class"`
	Road        Road              `json:"road"`
	Undoes      string            `json:"undoes,omitempty"`
	Only        string            `json:"only,omitempty"`     // of an undo: the filter of the documents that are taken back
	Fields      bool              `json:"fields,omitempty"`   // of an undo: where others changed a document since, only the change's own fields are set back
	Resumes     string            `json:"resumes,omitempty"`  // the change that was cut off, of which this does the rest
	Preview     bool              `json:"preview,omitempty"`  // made to be looked at; cannot be carried out
	Manner      string            `json:"manner,omitempty"`   // how the statement came: typed, recalled, pasted, file, …
	Software    string            `json:"software,omitempty"` // mongodb, where the server is known to be MongoDB itself
}

// MongoDB is the Software of a server that is known to be MongoDB itself.
const MongoDB = "mongodb"

// commandLine holds a command's exact bytes.
type commandLine struct {
	N    int    `json:"n"`
	DB   string `json:"db"`
	BSON []byte `json:"bson"` // base64 in JSON
}

// Item is one document of a plan.
type Item struct {
	N         int64           `json:"n"`
	Command   int             `json:"c"` // index of the command it comes from; -1 for an undo
	Statement int             `json:"s"` // index of the statement in it
	NS        string          `json:"ns"`
	Op        string          `json:"op"`               // insert, update, replace, delete
	ID        json.RawMessage `json:"id"`               // canonical Extended JSON of {_id: …}, for people and searches
	Key       []byte          `json:"key,omitempty"`    // the type and the bytes of the _id, where Extended JSON does not give them back
	Before    *Image          `json:"before,omitempty"` // nil for an insert
	// After is nil for a delete, and where the after-image cannot be foreseen.
	After         *Image   `json:"after,omitempty"`
	Unpredictable string   `json:"unpredictable,omitempty"` // why After is nil although there will be a document, or is not known in all fields
	Open          []string `json:"open,omitempty"`          // paths of After that cannot be foreseen; all others are exact
	Upsert        bool     `json:"upsert,omitempty"`
}

// Image is a document in a spool file, or only its hash.
type Image struct {
	At     int64  `json:"at"` // byte offset in before/… or after/…; -1: not spooled
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// totals is the last line.
type totals struct {
	Documents int64          `json:"documents"`
	Counts    []replay.Count `json:"counts"`
	Facts     []Fact         `json:"facts"`
	Changes   []PathChange   `json:"changes,omitempty"`
	Saved     Backup         `json:"backup"`
	Estimate  bool           `json:"estimate,omitempty"`
	AtLeast   bool           `json:"atLeast,omitempty"` // the counts of an estimate are what there is at least
	Typed     string         `json:"typed,omitempty"`   // hex SHA-256 of the commands as they were typed: the same for the same work
	Creates   []string       `json:"creates,omitempty"` // namespaces that do not exist and that inserts create
	// ShardKeys are the fields of the shard keys of those namespaces that are sharded.
	ShardKeys map[string][]string `json:"shardKeys,omitempty"`
	// Collated are those of the namespaces that have a collation of their own, which a statement that names none would use.
	Collated []string `json:"collated,omitempty"`
}

// Backup says what is saved before the change.
type Backup struct {
	Possible  bool  `json:"possible"`
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

// line is any line of the file: exactly one member is set.
type line struct {
	Plan     *Header      `json:"plan,omitempty"`
	Command  *commandLine `json:"command,omitempty"`
	Document *Item        `json:"document,omitempty"`
	Step     *Step        `json:"step,omitempty"`
	Totals   *totals      `json:"totals,omitempty"`
}

func hashOf(doc []byte) string {
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:])
}

// Road is how a derived statement makes sure that its document is still as it was shown.
type Road string

// The roads. See StillAs.
const (
	RoadExpr     Road = "expr"     // the whole document, by the server
	RoadReturned Road = "returned" // the same as far as the server can, and the document that findAndModify returns
	RoadFields   Road = "fields"   // touched fields, and the document that findAndModify returns
)

// Plan is the immutable value that one question is about.
type Plan struct {
	dir      string
	digest   string
	header   Header
	commands []*command.Command
	steps    []Step
	totals   totals
	samples  []Sample
	results  map[resultKey]*Result
	blocks   blockSums // of the file: what is read of it later is compared with them before it is used
	sp       *spool    // of a plan that was just made
	secret   bson.Raw  // the command with its secrets, only of a plan that was just made
}

// Dir is the directory of the change.
func (p *Plan) Dir() string { return p.dir }

// Command is the command of a step that runs one, with its secrets. They are in no file: of a plan that was opened, not made, it fails where there are any.
func (p *Plan) Command(s Step) (bson.Raw, error) {
	switch {
	case !s.Redacted:
		return s.Run, nil
	case p.secret == nil:
		return nil, errors.New("the command held a secret, which was not kept")
	}
	return p.secret, nil
}

// afterName is the file that says what a step left.
func (s Step) afterName(steps []Step) string {
	for n, x := range steps {
		if x.Do == DoRun && x.NS == s.NS && x.Verb == s.Verb && bytes.Equal(x.Run, s.Run) {
			return fmt.Sprintf("after/step-%d.bson", n)
		}
	}
	return ""
}

// SaveAfter writes down what a step left, as Look tells it: durable, read back, for the record.
func (p *Plan) SaveAfter(fsys durable.FS, s Step, left bson.Raw) (replay.Saved, error) {
	name := s.afterName(p.steps)
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := fsys.MkdirAll(filepath.Dir(file)); err != nil {
		return replay.Saved{}, err
	}
	if err := durable.WriteFile(fsys, file, left); err != nil {
		return replay.Saved{}, err
	}
	saved, _, err := readBack(p.dir, filepath.FromSlash(name))
	saved.Name = name
	return replay.Saved{Change: p.Change(), Files: []replay.SavedFile{saved}}, err
}

// After is what a step left, or nil if that could not be written down.
func (p *Plan) After(s Step, saved []replay.SavedFile) (bson.Raw, error) {
	name := s.afterName(p.steps)
	i := slices.IndexFunc(saved, func(f replay.SavedFile) bool { return f.Name == name })
	if i < 0 {
		return nil, nil
	}
	f, err := durable.OpenBelow(p.dir, filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if hashOf(b) != saved[i].SHA256 {
		return nil, fmt.Errorf("%s was changed: its hash is not that of the record", name)
	}
	return b, nil
}

// Digest is the hex SHA-256 of the plan file.
func (p *Plan) Digest() string { return p.digest }

// Header is the plan's first line. Callers must not modify what it points to.
func (p *Plan) Header() Header { return p.header }

// Change is the id under which the plan is carried out.
func (p *Plan) Change() string { return p.header.Change }

// Commands are the commands as typed; none for an undo. Callers must not modify the slice.
func (p *Plan) Commands() []*command.Command { return p.commands }

// Steps are the parts of schema work, in order. Callers must not modify the slice.
func (p *Plan) Steps() []Step { return p.steps }

// Creates are the namespaces that did not exist and that the plan's inserts create. Callers must not modify the slice.
func (p *Plan) Creates() []string { return p.totals.Creates }

// Counts say what the plan does in each namespace. Callers must not modify the slice.
func (p *Plan) Counts() []replay.Count { return p.totals.Counts }

// Facts are what the preview says, the most important first. Callers must not modify the slice.
func (p *Plan) Facts() []Fact { return p.totals.Facts }

// Changes are what happens to each field over all documents, the most important first. Callers must not modify the slice.
func (p *Plan) Changes() []PathChange { return p.totals.Changes }

// Backup says what is saved before the change.
func (p *Plan) Backup() Backup { return p.totals.Saved }

// Samples are some of the documents, only of a plan that was just made. Callers must not modify the slice.
func (p *Plan) Samples() []Sample { return p.samples }

// Documents is the number of documents that the plan would change.
func (p *Plan) Documents() int64 { return p.totals.Documents }

// Empty says that nothing would change: no question is asked.
func (p *Plan) Empty() bool { return p.totals.Documents == 0 && len(p.steps) == 0 }

// Estimate says that only a sample was looked at: the plan cannot be carried out.
func (p *Plan) Estimate() bool { return p.totals.Estimate }

// Divisible says that some of its documents could be planned without the others.
func (p *Plan) Divisible() bool {
	return p.Resumable() && p.totals.Documents > 1
}

// Resumable says that what is left of it could be planned again.
func (p *Plan) Resumable() bool {
	return len(p.steps) == 0 && p.header.Undoes == "" && len(p.commands) > 0 && p.header.Class == command.DocumentWrite.String()
}

// Danger says whether a fact is a danger.
func (p *Plan) Danger() bool {
	for _, f := range p.totals.Facts {
		if f.Severity == Danger {
			return true
		}
	}
	return false
}

// Open reads a plan file and checks it against its digest, unless that is "".
func Open(dir, digest string) (*Plan, error) {
	p := &Plan{dir: dir}
	f, err := durable.Open(filepath.Join(dir, planFile))
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", dir, err)
	}
	defer f.Close() // read only
	h, sums := sha256.New(), &blockHasher{}
	err = scan(io.TeeReader(f, io.MultiWriter(h, sums)), func(l line) error {
		switch {
		case l.Plan != nil:
			if l.Plan.Version < 1 || l.Plan.Version > formatVersion {
				return fmt.Errorf("format version %d, this program reads up to %d", l.Plan.Version, formatVersion)
			}
			p.header = *l.Plan
		case l.Command != nil:
			c, err := command.Parse(l.Command.DB, l.Command.BSON, nil)
			if err != nil {
				return err
			}
			p.commands = append(p.commands, c)
		case l.Step != nil:
			p.steps = append(p.steps, *l.Step)
		case l.Totals != nil:
			p.totals = *l.Totals
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", dir, err)
	}
	p.digest, p.blocks = hex.EncodeToString(h.Sum(nil)), sums.sums()
	if digest != "" && digest != p.digest {
		return nil, fmt.Errorf("plan %s: its digest is %s, the record says %s", dir, p.digest, digest)
	}
	if p.header.Change == "" {
		return nil, fmt.Errorf("plan %s: no header", dir)
	}
	return p, nil
}

// Ends are the header of a plan and the hash of its commands as they were typed, read from the two ends of its file.
func Ends(dir string) (h Header, typed string, err error) {
	f, err := durable.Open(filepath.Join(dir, planFile))
	if err != nil {
		return h, "", err
	}
	defer f.Close() // read only
	first, err := bufio.NewReader(f).ReadBytes('\n')
	if err != nil {
		return h, "", err
	}
	l, err := parseLine(first)
	if err != nil || l.Plan == nil {
		return h, "", errors.Join(errors.New("no header"), err)
	}
	last, err := lastLine(f)
	if err != nil {
		return h, "", err
	}
	end, err := parseLine(last)
	if err != nil || end.Totals == nil {
		return h, "", errors.Join(errors.New("no totals"), err)
	}
	return *l.Plan, end.Totals.Typed, nil
}

// lastLine is the last line of a file, if it is not longer than a totals line may sensibly be.
func lastLine(f *os.File) ([]byte, error) {
	const most = 4 << 20
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	for size := int64(16 << 10); ; size *= 4 {
		from := max(info.Size()-size, 0)
		b := make([]byte, info.Size()-from)
		if _, err := f.ReadAt(b, from); err != nil {
			return nil, err
		}
		b = bytes.TrimSuffix(b, []byte("\n"))
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 || from == 0 {
			return b[i+1:], nil
		}
		if size > most {
			return nil, errors.New("its last line is too long")
		}
	}
}

// Items hands each document of the plan to each, in order. What of the file is not as it was written, or as it was when it was opened, is handed to nobody.
func (p *Plan) Items(each func(Item) error) error {
	f, err := durable.Open(filepath.Join(p.dir, planFile))
	if err != nil {
		return err
	}
	defer f.Close() // read only
	return scan(&blockReader{r: f, sums: p.blocks}, func(l line) error {
		if l.Document == nil {
			return nil
		}
		return each(*l.Document)
	})
}

// scan hands each line of a plan file to each.
func scan(r io.Reader, each func(line) error) error {
	br := bufio.NewReaderSize(r, 256<<10)
	for n := 1; ; n++ {
		b, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(b) == 0 {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		l, err := parseLine(b)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := each(l); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}

func parseLine(b []byte) (l line, err error) {
	if it, ok := parseItem(bytes.TrimSuffix(b, []byte("\n"))); ok {
		return line{Document: &it}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	return l, dec.Decode(&l)
}

// ofUndo says that an item comes from no typed statement: it puts back what was there before another change.
func (it Item) ofUndo() bool { return it.Command < 0 }

// write returns the statement that an item comes from; ok is false for an item of an undo.
func (p *Plan) write(it Item) (command.Write, bool, error) {
	if it.ofUndo() {
		return command.Write{}, false, nil
	}
	if it.Command >= len(p.commands) || it.Statement < 0 || it.Statement >= len(p.commands[it.Command].Writes()) {
		return command.Write{}, false, fmt.Errorf("document %d names statement %d of command %d, which is not there", it.N, it.Statement, it.Command)
	}
	return p.commands[it.Command].Writes()[it.Statement], true, nil
}

// typeable is a name as it is shown in a phrase: what a keyboard may not have stands as an escape.
func typeable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > ' ' && r < 0x7f && r != '\\' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// typedLength is how long a phrase for several namespaces may become: nobody types a longer one without a mistake.
const typedLength = 60

// Phrase is what must be typed to confirm: each namespace with the number of documents that would change, schema work as verb,
// namespace and number; without the random code. Where that would be long it is how many namespaces and how many documents: see Coded.
func (p *Plan) Phrase() string {
	words := p.phraseWords()
	phrase := strings.Join(words, " ")
	if len(words) < 2 || len(phrase) <= typedLength {
		return phrase
	}
	documents := int64(0)
	names := map[string]bool{}
	for _, s := range p.steps {
		if s.Phrase != "" {
			documents += s.Documents
			names[s.NS] = true
		}
	}
	for _, c := range p.totals.Counts {
		if n := c.Changed(); n > 0 && c.Schema == "" {
			documents += n
			names[c.Namespace] = true
		}
	}
	return fmt.Sprintf("%d namespaces %d", max(len(names), len(words)), documents)
}

// Coded says that a random code stands behind the phrase: a danger is shown, or the phrase does not name what changes.
func (p *Plan) Coded() bool {
	words := p.phraseWords()
	return p.Danger() || len(words) > 1 && len(strings.Join(words, " ")) > typedLength
}

func (p *Plan) phraseWords() (words []string) {
	for _, s := range p.steps {
		if s.Phrase != "" {
			words = append(words, s.Phrase)
		}
	}
	for _, c := range p.totals.Counts {
		if n := c.Changed(); n > 0 {
			words = append(words, fmt.Sprintf("%s %d", typeable(c.Namespace), n))
		}
	}
	return words
}
