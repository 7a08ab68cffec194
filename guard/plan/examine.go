package plan

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/replay"
)

// Examination is what a look at the server says of a change that was cut off.
type Examination struct {
	Applied    int64 // documents and steps that are as the change was to leave them
	NotApplied int64 // that are as before
	Unclear    int64 // that are neither: changed by the change or by others
	Found      []string
	Counts     []replay.Count
}

// Status is what the change came to, as far as it can be told.
func (e Examination) Status() replay.Status {
	switch {
	case e.Unclear > 0:
		return replay.StatusUnknown
	case e.Applied == 0:
		return replay.StatusRejected
	case e.NotApplied == 0:
		return replay.StatusApplied
	}
	return replay.StatusPartly
}

// Examine looks at each document of a change, and at each of its steps, with reads only.
func Examine(ctx context.Context, r Reader, p *Plan) (Examination, error) {
	x := examiner{r: r, p: p, counts: map[string]*replay.Count{}}
	err := x.documents(ctx)
	if err == nil {
		err = x.steps(ctx)
	}
	for _, ns := range x.order {
		x.out.Counts = append(x.out.Counts, *x.counts[ns])
	}
	return x.out, err
}

type examiner struct {
	r      Reader
	p      *Plan
	out    Examination
	counts map[string]*replay.Count
	order  []string
}

func (x *examiner) count(ns string) *replay.Count {
	if x.counts[ns] == nil {
		x.counts[ns], x.order = &replay.Count{Namespace: ns}, append(x.order, ns)
	}
	return x.counts[ns]
}

func (x *examiner) documents(ctx context.Context) error {
	var group []Item
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := x.group(ctx, group)
		group = group[:0]
		return err
	}
	err := x.p.Items(func(it Item) error {
		if len(group) > 0 && (group[0].NS != it.NS || len(group) == maxGroup) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, it)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func (x *examiner) group(ctx context.Context, items []Item) error {
	now, err := documentsByID(ctx, x.r, items)
	if err != nil {
		return err
	}
	for _, it := range items {
		id, err := it.DocumentID()
		if err != nil {
			return err
		}
		x.one(it, now[KeyOf(id)])
	}
	return nil
}

func (x *examiner) one(it Item, now bson.Raw) {
	c := x.count(it.NS)
	c.Matched++
	switch {
	case it.Before.Is(now):
		x.out.NotApplied++
		c.Unchanged++
	case it.Op == "delete" && now == nil:
		x.out.Applied++
		c.Deleted++
	case it.After != nil && it.After.Is(now):
		x.out.Applied++
		switch it.Op {
		case "insert":
			c.Inserted++
		case "replace":
			c.Replaced++
		default:
			c.Updated++
		}
	default:
		x.out.Unclear++
		c.Skipped++
	}
}

func (x *examiner) steps(ctx context.Context) error {
	for _, s := range x.p.steps {
		if s.Do == DoRun {
			if err := x.run(ctx, s); err != nil {
				return err
			}
			continue
		}
		done, left, found, err := x.step(ctx, s)
		if err != nil {
			return err
		}
		x.out.Applied, x.out.NotApplied = x.out.Applied+done, x.out.NotApplied+left
		x.out.Found = append(x.out.Found, found)
		if done > 0 {
			x.count(s.NS).Schema = s.Do
		}
	}
	return nil
}

// another says whether a collection is shown to be another one than that of a step: its UUID is drawn when it is made.
func another(here *collectionInfo, s Step) bool {
	return here.exists && s.UUID != "" && here.uuid != "" && here.uuid != s.UUID
}

// step counts the parts of a step that were done and that were not. One that was cut off in its middle has both.
func (x *examiner) step(ctx context.Context, s Step) (done, left int64, found string, err error) {
	ns, err := command.ParseNamespace(s.NS)
	if err != nil {
		return 0, 0, "", err
	}
	here, err := describe(ctx, x.r, ns)
	if err != nil {
		return 0, 0, "", err
	}
	there := &collectionInfo{}
	if s.To != "" {
		to, err := command.ParseNamespace(s.To)
		if err == nil {
			there, err = describe(ctx, x.r, to)
		}
		if err != nil {
			return 0, 0, "", err
		}
	}
	whole := func(yes bool) (int64, int64, string, error) {
		if yes {
			return 1, 0, s.Do + " " + s.NS + ": done", nil
		}
		return 0, 1, s.Do + " " + s.NS + ": not done", nil
	}
	switch s.Do {
	case DoDrop:
		if there.exists {
			return 1, 0, fmt.Sprintf("%s was set aside as %s and not dropped", s.NS, s.To), nil
		}
		return whole(!here.exists || another(here, s)) // the name may be taken again
	case DoDropEmpty:
		if there.exists {
			return 1, 1, fmt.Sprintf("%s was set aside as %s, with %s, and neither dropped nor put back", s.NS, s.To, Plural(there.total, "document")), nil
		}
		return whole(!here.exists)
	case DoCreate:
		return whole(here.exists)
	case DoRename:
		switch {
		case !here.exists, there.exists && s.UUID != "" && there.uuid == s.UUID:
			return whole(true)
		case there.exists && (s.UUID == "" || there.uuid == ""):
			x.out.Unclear++
			return 0, 0, fmt.Sprintf("%s and %s are both there, by this change or by somebody else's doing", s.NS, s.To), nil
		}
		return whole(false)
	case DoDropIndexes, DoCreateIndexes:
		for _, spec := range s.Specs {
			is := slices.ContainsFunc(here.indexes, func(i bson.Raw) bool { return sameIndex(i, spec) })
			if is == (s.Do == DoCreateIndexes) {
				done++
			} else {
				left++
			}
		}
		return done, left, fmt.Sprintf("%s %s: %d done, %d not done", s.Do, s.NS, done, left), nil
	}
	return 0, 0, "", fmt.Errorf("internal error: nobody knows how to look at %q", s.Do)
}

// run looks whether the thing that a command changes is as it was before.
func (x *examiner) run(ctx context.Context, s Step) error {
	now, err := Look(ctx, x.r, s)
	if err != nil {
		return err
	}
	x.count(s.NS).Schema = s.Verb
	switch {
	case s.Look == "", s.Redacted && bytes.Equal(now, s.Was): // a new password is seen nowhere
		x.out.Unclear++
		x.out.Found = append(x.out.Found, s.Verb+" "+s.NS+": whether it was carried out cannot be seen")
	case bytes.Equal(now, s.Was):
		x.out.NotApplied++
		x.out.Found = append(x.out.Found, s.Verb+" "+s.NS+": not done")
	default:
		x.out.Applied++
		x.out.Found = append(x.out.Found, s.Verb+" "+s.NS+": done, by this change or by somebody else")
	}
	return nil
}
