package policy

import (
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Output says how much is recorded of what is shown as a result. Questions, plans, answers, receipts and refusals are always recorded.
type Output uint8

// The ways of recording, from the strictest to the freest.
const (
	OutputFull   Output = iota // all of it, up to the limit
	OutputWrites               // of statements that plan a change as full, of others as digest
	OutputDigest               // how long it was, and its SHA-256
	OutputOff                  // how long it was
)

var outputWords = []string{"full", "writes", "digest", "off"}

// String is the word that a file has.
func (o Output) String() string { return outputWords[o] }

// OutputLimit is how many bytes of what a statement shows are recorded without a file.
const OutputLimit = 1 << 20

// Record is what is kept of a session beside what the guard needs. A user's file can only ask for more of it.
type Record struct {
	Output  Output
	Limit   int64  // bytes of what one statement shows; the rest is counted and marked
	Witness string // a file to which seals are written besides; "" is none

	from [3]string // file:line of each; "" is built in
}

// recordKeys are the keys in the order of from.
var recordKeys = []string{"output", "limit", "witness"}

func defaultRecord() Record { return Record{Limit: OutputLimit} }

// Record is what is kept of sessions.
func (p *Policy) Record() Record {
	if p.table == nil {
		return defaultRecord()
	}
	return p.record
}

// recordEntry is one key of record: in a file. Of numbers the smaller is the stricter, as everywhere.
type recordEntry struct {
	key  int
	n    int64
	text string
}

func (f *File) parseRecord(s source, n *yaml.Node) error {
	entries, err := s.mapping(n, "record", recordKeys...)
	if err != nil {
		return err
	}
	for _, e := range entries {
		var r recordEntry
		switch e.name {
		case "output":
			i, err := s.choice(e.value, "way of recording output", outputWords)
			if err != nil {
				return err
			}
			r = recordEntry{0, int64(i), outputWords[i]}
		case "limit":
			v, err := s.number(e.value, e.name, byteUnits, 1<<10, 1<<30)
			if err != nil {
				return err
			}
			r = recordEntry{1, -v, inUnits(v, byteUnits)}
		case "witness":
			t, err := s.text(e.value, e.name)
			if err != nil {
				return err
			}
			if !filepath.IsAbs(t) {
				return s.at(e.value, "for example /mnt/audit/respect.notes", "%s is no absolute path", e.name)
			}
			r = recordEntry{2, 0, filepath.Clean(t)}
		}
		f.record = append(f.record, placed[recordEntry]{r, e.value})
	}
	return nil
}

// with is what f makes of r. only says that f can only ask for more.
func (r Record) with(f *File, s source, only bool) (Record, error) {
	for _, e := range f.record {
		was := [...]string{r.Output.String(), inUnits(r.Limit, byteUnits), r.Witness}[e.v.key]
		looser := [...]bool{e.v.n > int64(r.Output), -e.v.n < r.Limit, r.Witness != "" && e.v.text != r.Witness}[e.v.key]
		if looser && only {
			return r, s.at(e.node, "", "record.%s: %s is not as strict as %s, which is %s; a user's policy can only ask for more", recordKeys[e.v.key], e.v.text, was, value{from: r.from[e.v.key]}.origin())
		}
		switch e.v.key {
		case 0:
			r.Output = Output(e.v.n)
		case 1:
			r.Limit = -e.v.n
		case 2:
			r.Witness = e.v.text
		}
		r.from[e.v.key] = fmt.Sprintf("%s:%d", f.name, e.node.Line)
	}
	return r, nil
}

// Settings are what is in force, one line each.
func (r Record) Settings() []Setting {
	values := [...]string{r.Output.String(), inUnits(r.Limit, byteUnits), r.Witness}
	var out []Setting
	for i, v := range values {
		if v != "" {
			out = append(out, Setting{Class: "record", Setting: recordKeys[i], Value: v, From: value{from: r.from[i]}.origin()})
		}
	}
	return out
}

// format is the record part of a policy file.
func (r Record) format() string {
	var b strings.Builder
	b.WriteString("record:\n")
	for _, s := range r.Settings() {
		v := s.Value
		if s.Setting == "witness" {
			v = quote(v)
		}
		fmt.Fprintf(&b, "  %s: %s # %s\n", s.Setting, v, s.From)
	}
	return b.String()
}
