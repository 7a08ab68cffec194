package player

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"respect/replay"
	"respect/replay/diff"
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
	ID          string        `json:"id"`                  // Extended JSON
	Op          string        `json:"op"`                  // insert, update, replace, delete
	Did         string        `json:"did"`                 // what came of it: op, or nothing, or unknown
	Status      replay.Status `json:"status"`              // of the change as a whole
	LeftAlone   bool          `json:"leftAlone,omitempty"` // the change was carried out, and not on this document
	UndoneBy    string        `json:"undoneBy,omitempty"`
	Undoes      string        `json:"undoes,omitempty"`
	Before      *Document     `json:"before"`         // as it was backed up; nil if there was none
	After       *Document     `json:"after"`          // as it was foreseen; nil if there is none, or it could not be foreseen
	Diff        []diff.Change `json:"diff,omitempty"` // where both are known
}

// What a change did with a document, beside the names of operations.
const (
	didNothing = "nothing"
	didUnknown = "unknown"
)

// Touched finds the changes whose plans hold a document, and hands over each: by its _id as it is printed or in Extended JSON, by its hexadecimal digits or its
// bare value; with a namespace or collection and a slash before it, only there; with * at its end, by its beginning. Plan files that are not those that were
// confirmed are problems, and so are documents that have not the plan's hash. pruned are changes whose plans were deleted, as the record says: whether they hold the
// document is not known any more. An error of each ends it.
func (a *Archive) Touched(id string, wanted func(session string) bool, each func(Touch) error) (pruned []string, problems []journal.Problem, err error) {
	want := newWanted(id)
	for _, c := range a.Record.Changes {
		switch {
		case !wanted(c.Session):
			continue
		case c.Pruned != nil:
			pruned = append(pruned, c.ID)
			continue
		}
		problem := func(err error) {
			problems = append(problems, journal.Problem{Session: c.Session, Err: fmt.Errorf("change %s: %w", c.ID, err)})
		}
		var failed error
		err := a.documents(c, func(d planDocument, sp *spools) error {
			if !want.fits(d.NS, d.ID) {
				return nil
			}
			failed = each(touch(c, d, sp))
			return failed
		})
		if failed != nil {
			return pruned, problems, failed
		}
		if err != nil {
			problem(err)
		}
	}
	return pruned, problems, nil
}

// touch is one document of a change.
func touch(c *journal.Change, d planDocument, sp *spools) Touch {
	t := Touch{
		Session: c.Session, Change: c.ID, Time: c.Time, Deployment: c.Intent.Deployment, Environment: c.Intent.Environment,
		Namespace: d.NS, Op: d.Op, Did: d.Op, ID: idText(d.ID), Status: c.Status, UndoneBy: c.UndoneBy, Undoes: c.Intent.Undoes, User: c.Who.User, Host: c.Who.Host,
	}
	left, known := sp.left.Line(int64(d.N))
	switch {
	case c.Status == replay.StatusRejected:
		t.Did = didNothing
	case known && left == untouched, leftAlone(c, d.NS, d.ID):
		t.Did, t.LeftAlone, t.UndoneBy = didNothing, true, ""
	case !known && c.Status == replay.StatusUnknown:
		t.Did = didUnknown
	}
	t.Before, t.After = sp.images(d)
	if t.Before != nil && t.Before.bson != nil && t.After != nil && t.After.bson != nil {
		t.Diff = diff.Between(t.Before.bson, t.After.bson)
	}
	return t
}

// untouched stands in after.idx for a document that the change left as it was. The format is guard/plan's.
const untouched = "-"

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

// String is what is known of a document, in lines.
func (t Touch) String() string {
	var b strings.Builder
	op, became := t.Op, string(t.Status)
	switch {
	case t.LeftAlone:
		op, became = "(none)", "left alone by a change that was to "+t.Op+" it"
	case t.UndoneBy != "":
		became += " by " + t.UndoneBy
	}
	fmt.Fprintf(&b, "%s  %-7s %s _id %s: %s  %s@%s  change %s, session %s\n", t.Time.Format(stamp), replay.Safe(op), replay.Safe(t.Namespace), replay.Safe(t.ID),
		replay.Safe(became), replay.Safe(t.User), replay.Safe(t.Host), replay.Safe(t.Change), replay.Safe(t.Session))
	if t.Undoes != "" {
		fmt.Fprintf(&b, "  takes back %s\n", replay.Safe(t.Undoes))
	}
	for _, l := range images(t.Op, t.Before, t.After) {
		b.WriteString("  " + replay.Safe(l.String()) + "\n")
	}
	return b.String()
}
