package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/plan"
	"respect/shell/render"
)

// look shows something of a plan, line by line. each may end it with an error.
type look func(p *plan.Plan, s render.Style, each func(line string) error) error

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
		return func(p *plan.Plan, s render.Style, each func(string) error) error { return samples(p, s, n, each) }, true
	}
	if m := diffWord.FindStringSubmatch(text); m != nil {
		return func(p *plan.Plan, s render.Style, each func(string) error) error { return diffOf(p, s, m[1], each) }, true
	}
	return nil, false
}

// misused is how a word that looks is meant, where it came without what it needs. Who wants to look closer has not declined.
func misused(text string) (look, bool) {
	usage := map[string]string{
		"details": "details shows every fact and every document; it takes nothing behind it",
		"sample":  "sample N shows N documents, from all over the plan: sample 10",
		"diff":    "diff ID shows what happens to one document: diff 64b0c0f10000000000000001",
	}
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	line, ok := usage[word]
	return func(_ *plan.Plan, _ render.Style, each func(string) error) error { return each(line) }, ok
}

// details is all of a plan: what it says, the steps of schema work, every document.
func details(p *plan.Plan, s render.Style, each func(string) error) error {
	for _, f := range p.Facts() {
		for _, l := range s.Labelled(strings.ToUpper(string(f.Severity)), f.Code+": "+f.Text) {
			if err := each(l); err != nil {
				return err
			}
		}
	}
	return documents(p, s, func(plan.Item) bool { return true }, each)
}

// samples are n documents, spread over the whole plan.
func samples(p *plan.Plan, s render.Style, n int64, each func(string) error) error {
	total := p.Documents()
	if total == 0 {
		return each("no document is changed")
	}
	step := max(total/min(n, total), 1)
	left := n
	return documents(p, s, func(it plan.Item) bool {
		if it.N%step != 0 || left == 0 {
			return false
		}
		left--
		return true
	}, each)
}

// diffOf is one document, by its _id as it is printed, as it stands in quotation marks, or by its digits.
func diffOf(p *plan.Plan, s render.Style, id string, each func(string) error) error {
	want := strings.Trim(id, `"'`)
	found := false
	err := documents(p, s, func(it plan.Item) bool {
		v, err := it.DocumentID()
		if err != nil {
			return false
		}
		shown := render.Inline(v, 1000)
		hit := shown == id || strings.Trim(shown, `"'`) == want || strings.Contains(shown, "('"+want+"')") || string(it.ID) == id
		found = found || hit
		return hit
	}, each)
	if err == nil && !found {
		return each("no document of this plan has the _id " + render.Safe(id))
	}
	return err
}

// documents are those documents of a plan that want chooses, each with what happens to it.
func documents(p *plan.Plan, s render.Style, want func(plan.Item) bool, each func(string) error) (err error) {
	images := p.Images()
	defer func() { err = errors.Join(err, images.Close()) }()
	return p.Items(func(it plan.Item) error {
		if !want(it) {
			return nil
		}
		lines, err := document(p, images, it)
		if err != nil {
			return err
		}
		for _, l := range lines {
			if err := each(l); err != nil {
				return err
			}
		}
		return nil
	})
}

func document(p *plan.Plan, images *plan.Images, it plan.Item) ([]string, error) {
	const long = 4000
	before, err := images.Before(it)
	if err != nil {
		return nil, err
	}
	after, err := images.After(it)
	if err != nil {
		return nil, err
	}
	var open []string
	if after == nil && it.Op == "update" {
		if after, open, err = p.Foresee(it, before); err != nil {
			return nil, err
		}
	}
	id := render.Safe(string(it.ID))
	if v, err := it.DocumentID(); err == nil {
		id = render.Inline(v, 200)
	}
	out := []string{fmt.Sprintf("%s %s %s", it.Op, render.Safe(it.NS), id)}
	switch {
	case before != nil && after != nil:
		for _, l := range render.DiffBut(before, after, open) {
			out = append(out, "  "+l)
		}
	case before != nil && it.Op == "delete":
		out = append(out, "  - "+render.Inline(before, long))
	case before != nil:
		out = append(out, "  now: "+render.Inline(before, long), "  what it becomes is not known beforehand: "+render.Safe(it.Unpredictable))
	case after != nil:
		out = append(out, "  + "+render.Inline(bson.Raw(after), long))
	}
	return out, nil
}
