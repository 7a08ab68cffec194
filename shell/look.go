package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/plan"
	"respect/replay"
	"respect/replay/backup"
	"respect/replay/journal"
	"respect/shell/render"
)

// subject is what somebody looks at: a plan, the statement that it comes from, and what became of it.
type subject struct {
	plan  *plan.Plan
	text  string // the statement; "" if it is not known
	state string
	after string // the hash of after.idx that the record has; "" if it was not carried out here
}

// State says what became of a plan that was carried out, or tried.
func stateOf(c *journal.Change) string {
	switch {
	case c.Running:
		return "is being carried out"
	case c.CutOff:
		return "CUT OFF in the middle"
	}
	text := map[replay.Status]string{
		replay.StatusApplied: "applied", replay.StatusPartly: "PARTLY APPLIED", replay.StatusRejected: "rejected, nothing was changed", replay.StatusUnknown: "OUTCOME UNKNOWN",
		replay.StatusUndone: "applied, and undone since",
	}[c.Status]
	if c.UndoneBy != "" {
		text += " by " + c.UndoneBy
	}
	return text
}

// States of plans that were not carried out.
const (
	stateAsked     = "asked about, nothing is changed yet"
	stateDeclined  = "declined, nothing was changed"
	statePreviewed = "previewed, nothing was changed"
)

// look shows something of a plan, line by line. each may end it with an error.
type look func(x subject, s render.Style, each func(line string) error) error

// errEnough ends a look early.
var errEnough = errors.New("enough")

var (
	sampleWord = regexp.MustCompile(`^sample(?:\s+([1-9][0-9]{0,5}))?$`)
	diffWord   = regexp.MustCompile(`^diff\s+(\S.*)$`)
)

// lookFor is what words at a question, or at the prompt, want to look at: details, sample N, diff ID.
func lookFor(text string) (look, bool) {
	text = strings.TrimSpace(text)
	if text == "details" {
		return details, true
	}
	if m := sampleWord.FindStringSubmatch(text); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			n = 5
		}
		return func(x subject, s render.Style, each func(string) error) error { return samples(x, s, n, each) }, true
	}
	if m := diffWord.FindStringSubmatch(text); m != nil {
		return func(x subject, s render.Style, each func(string) error) error { return diffOf(x, s, m[1], each) }, true
	}
	return nil, false
}

// misused is how a word that looks is meant, where it came without what it needs, and what can be answered at all, where somebody asks for help. Who wants to look
// closer has not declined.
func misused(text string) (look, bool) {
	usage := map[string][]string{
		"details": {"details shows every fact and every document; it takes nothing behind it"},
		"sample":  {"sample N shows N documents, from all over the plan: sample 10"},
		"diff":    {"diff ID shows what happens to one document, all of it: diff 64b0c0f10000000000000001"},
	}
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	lines, ok := usage[word]
	if word == "help" || word == "?" {
		return questionHelp, true
	}
	return func(_ subject, _ render.Style, each func(string) error) error { return all(lines, each) }, ok
}

// questionHelp says what can be answered to a question.
func questionHelp(x subject, s render.Style, each func(string) error) error {
	rows := [][2]string{{"details", "every fact, every field that changes, every document"}}
	if x.plan.Documents() > 0 {
		rows = append(rows, [2]string{"sample N", "N documents, from all over the plan"}, [2]string{"diff ID", "one document, by its _id, all of it"})
	}
	if x.plan.Divisible() && !x.plan.Estimate() {
		rows = append(rows, [2]string{"first N", "plan the first N documents alone, and the rest after them"})
	}
	if x.plan.Estimate() {
		rows = append(rows, [2]string{"full", "look at all documents, then ask again"})
	} else {
		rows = append(rows, [2]string{"the phrase", "typed as it stands there: carries it out"})
	}
	rows = append(rows, [2]string{"no", "or anything else, Enter alone, or Ctrl-C: nothing is changed"})
	for _, r := range rows {
		if err := all(s.Columns(r[0], 12, r[1]), each); err != nil {
			return err
		}
	}
	return nil
}

func all(lines []string, each func(string) error) error {
	for _, l := range lines {
		if err := each(l); err != nil {
			return err
		}
	}
	return nil
}

// details is all of a plan: what it says, the fields that change, every document.
func details(x subject, s render.Style, each func(string) error) error {
	lines := s.Title(x.plan, x.text, x.state)
	for _, f := range x.plan.Facts() {
		lines = append(lines, s.Labelled(strings.ToUpper(string(f.Severity)), f.Code+": "+f.Text)...)
	}
	if err := all(append(lines, s.AllChanges(x.plan)...), each); err != nil {
		return err
	}
	return documents(x, s, false, func(plan.Item) bool { return true }, each)
}

// samples are n documents, spread over the whole plan, of each kind of operation at least one.
func samples(x subject, s render.Style, n int64, each func(string) error) error {
	if err := all(s.Title(x.plan, x.text, x.state), each); err != nil {
		return err
	}
	total := x.plan.Documents()
	if total == 0 {
		return each("no document is changed")
	}
	step := max(total/min(n, total), 1)
	left := n
	kinds := map[string]bool{}
	return documents(x, s, false, func(it plan.Item) bool {
		kind := it.NS + "\x00" + it.Op
		if kinds[kind] && (it.N%step != 0 || left <= 0) {
			return false
		}
		kinds[kind] = true
		left--
		return true
	}, each)
}

// diffOf is one document, by its _id as it is printed, as it stands in quotation marks, or by its digits.
func diffOf(x subject, s render.Style, id string, each func(string) error) error {
	if err := all(s.Title(x.plan, x.text, x.state), each); err != nil {
		return err
	}
	found := false
	err := documents(x, s, true, func(it plan.Item) bool {
		hit := isDocument(it, id)
		found = found || hit
		return hit
	}, each)
	if err == nil && !found {
		return each("no document of this plan has the _id " + render.Safe(id))
	}
	return err
}

// documents are those documents of a plan that want chooses, each with what happens to it; with whole nothing of it is cut.
func documents(x subject, s render.Style, whole bool, want func(plan.Item) bool, each func(string) error) (err error) {
	images := x.plan.Images()
	left, err := backup.OpenLeft(x.plan.Dir(), x.after)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close(), left.Close()) }()
	return x.plan.Items(func(it plan.Item) error {
		if !want(it) {
			return nil
		}
		lines, err := documentLines(x, s, whole, images, left, it)
		if err != nil {
			return err
		}
		return all(lines, each)
	})
}

func documentLines(x subject, s render.Style, whole bool, images *plan.Images, left *backup.Left, it plan.Item) ([]string, error) {
	before, err := images.Before(it)
	if err != nil {
		return nil, err
	}
	after, open, err := x.plan.AfterOf(images, left, it, before)
	if err != nil {
		return nil, err
	}
	id := render.Safe(string(it.ID))
	if v, err := it.DocumentID(); err == nil {
		id = render.Inline(v, 200)
	}
	title := fmt.Sprintf("%s %s %s", it.Op, render.Safe(it.NS), id)
	if doc := before; doc != nil && it.Op != "delete" {
		if asked := s.Fields(doc, x.plan.Asked(it)); asked != "" {
			title += "  " + asked
		}
	}
	out := []string{render.Cut(title, max(s.Width, 80)-1)}
	one := func(mark string, doc bson.Raw) []string {
		if whole {
			return append(out, s.Document(mark, doc, 2)...)
		}
		return append(out, s.Marked(mark, doc, 2))
	}
	switch {
	case before != nil && after != nil:
		return append(out, s.Diff(before, after, 2, whole, open...)...), nil
	case before != nil && it.Op == "delete":
		return one("-", before), nil
	case before != nil:
		out = one(" ", before)
		return append(out, s.Columns("", 2, "what it becomes is not known beforehand: "+it.Unpredictable)...), nil
	case after != nil:
		return one("+", after), nil
	}
	return out, nil
}
