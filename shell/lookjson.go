package shell

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/plan"
	"respect/replay/backup"
	"respect/replay/diff"
	"respect/shell/render"
)

// What is looked at, as --json prints it: one JSON object a plan, whose documents are written one after the other, since there may be many.
//
//	{"change", "state", "statement", "summary", "facts", "documents": [{"op", "namespace", "id", "before", "after", "open", "diff"}]}

// lookHead is what stands before the documents.
type lookHead struct {
	Change    string      `json:"change"`
	State     string      `json:"state"` // what became of it, in words
	Statement string      `json:"statement,omitempty"`
	Summary   string      `json:"summary"`
	Facts     []plan.Fact `json:"facts"`
}

// lookedDocument is one of them. before and after are relaxed Extended JSON, null where there is none or it is not known.
type lookedDocument struct {
	Op        string          `json:"op"`
	Namespace string          `json:"namespace"`
	ID        json.RawMessage `json:"id"` // {"_id": …}
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
	Open      []string        `json:"open,omitempty"`          // paths of after that are not known
	Diff      []diff.Change   `json:"diff,omitempty"`          // where there is a before and an after
	Unknown   string          `json:"unpredictable,omitempty"` // why after is not known, or not in all fields
}

// lookJSON prints what details, sample or diff show of the last preview, or of a change.
func (s *Shell) lookJSON(id, word, args string) int {
	subjects, code := s.subjects(id)
	found := false
	for _, x := range subjects {
		err := s.planLook(x, chooser(x.plan, word, args, &found))
		if err != nil {
			s.say("error: " + render.SafeLines(err.Error()) + "\n")
			return ExitError
		}
	}
	if code == ExitDone && word == "diff" && !found {
		s.say("error: no document of this plan has the _id " + render.Safe(args) + "\n")
		return ExitError
	}
	return code
}

// chooser says which documents of a plan are wanted.
func chooser(p *plan.Plan, word, args string, found *bool) func(plan.Item) bool {
	switch word {
	case "sample":
		n, err := strconv.ParseInt(args, 10, 64)
		if err != nil {
			n = 5
		}
		step, left := max(p.Documents()/max(min(n, p.Documents()), 1), 1), n
		return func(it plan.Item) bool {
			if it.N%step != 0 || left == 0 {
				return false
			}
			left--
			return true
		}
	case "diff":
		return func(it plan.Item) bool {
			hit := isDocument(it, args)
			*found = *found || hit
			return hit
		}
	}
	return func(plan.Item) bool { return true }
}

// isDocument says whether a document has the _id that somebody means: as it is printed, as it stands in quotation marks, by its digits, or as Extended JSON.
func isDocument(it plan.Item, id string) bool {
	v, err := it.DocumentID()
	if err != nil {
		return false
	}
	want, shown := strings.Trim(id, `"'`), render.Inline(v, 1000)
	return shown == id || strings.Trim(shown, `"'`) == want || strings.Contains(shown, "('"+want+"')") || string(it.ID) == id
}

func (s *Shell) planLook(x subject, want func(plan.Item) bool) (err error) {
	p := x.plan
	head, err := IndentJSON(lookHead{p.Change(), x.state, x.text, p.Summary(), notNil(p.Facts())})
	if err != nil {
		return err
	}
	s.out(strings.TrimSuffix(head, "\n}\n") + ",\n  \"documents\": [")
	images := p.Images()
	left, err := backup.OpenLeft(p.Dir(), x.after)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, images.Close(), left.Close()) }()
	before := "\n    "
	err = p.Items(func(it plan.Item) error {
		if !want(it) {
			return nil
		}
		doc, err := looked(p, images, left, it)
		if err != nil {
			return err
		}
		text, err := IndentJSON(doc)
		if err != nil {
			return err
		}
		s.out(before + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n    "))
		before = ",\n    "
		return nil
	})
	if before != "\n    " {
		s.out("\n  ")
	}
	s.out("]\n}\n")
	return err
}

func looked(p *plan.Plan, images *plan.Images, left *backup.Left, it plan.Item) (lookedDocument, error) {
	out := lookedDocument{Op: it.Op, Namespace: it.NS, ID: it.ID, Before: json.RawMessage("null"), After: json.RawMessage("null"), Open: it.Open, Unknown: it.Unpredictable}
	before, err := images.Before(it)
	if err != nil {
		return out, err
	}
	after, open, err := p.AfterOf(images, left, it, before)
	if err != nil {
		return out, err
	}
	if out.Open = open; after != nil && len(open) == 0 {
		out.Unknown = ""
	}
	if before != nil && after != nil {
		out.Diff = diff.Between(before, after, open...)
	}
	if out.Before, err = extended(before); err == nil {
		out.After, err = extended(after)
	}
	return out, err
}

// extended is a document as relaxed Extended JSON; null is none.
func extended(doc bson.Raw) (json.RawMessage, error) {
	if doc == nil {
		return json.RawMessage("null"), nil
	}
	return bson.MarshalExtJSON(doc, false, false)
}
