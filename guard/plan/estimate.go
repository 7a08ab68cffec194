package plan

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/replay"
)

// A statement that selects more documents than policy has a preview look at is planned from a sample: what the server gives first. Such a plan is an
// estimate. It says so, it says what a look at all would cost, and it cannot be carried out.

// estimateSample documents are looked at for an estimate, or as many as a preview may look at.
const estimateSample = 2000

// sampledPart is what was looked at instead of all.
type sampledPart struct {
	ns      string
	looked  int64
	matched int64 // at least
	took    time.Duration
}

// small is a collection that is read without counting first.
const small = 10_000

// expect is how many documents a statement selects, as far as that can be told without a second look at all of them; 0 if it cannot.
func (b *Builder) expect(ctx context.Context, w command.Write, info *collectionInfo) (int64, error) {
	full := b.cfg.Full
	switch {
	case !w.Multi:
		return 1, nil
	case len(w.Filter) == 5:
		return info.total, nil
	case info.total <= small && (full == 0 || info.total <= full):
		return 0, nil
	case !served(w, info) && (full == 0 || info.total <= full):
		return 0, nil // counting would read the whole collection, and so will the plan
	}
	cmd := bson.D{{Key: "count", Value: w.NS.Collection}, {Key: "query", Value: w.Filter}}
	if full > 0 {
		cmd = append(cmd, bson.E{Key: "limit", Value: full + 1}) // the server stops counting there
	}
	for key, v := range map[string]bson.RawValue{"collation": w.Collation, "hint": w.Hint} {
		if v.Type != 0 {
			cmd = append(cmd, bson.E{Key: key, Value: v})
		}
	}
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return 0, err
	}
	reply, err := b.cfg.Reader.Read(ctx, w.NS.DB, raw)
	if a, ok := b.cfg.Reader.(interface{ Answered(error) bool }); err != nil && ok && a.Answered(err) {
		return 0, nil // $near and its kind cannot be counted
	}
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", w.NS, err)
	}
	n, _ := reply.Lookup("n").AsInt64OK()
	return n, nil
}

// every so many documents somebody is told how far the plan is.
const tellEvery = 1000

// looked counts a document, and tells how far the plan is.
func (b *Builder) looked(doc bson.Raw) error {
	b.read.Documents++
	b.read.Bytes += int64(len(doc))
	if b.cfg.Progress == nil || b.read.Documents%tellEvery != 0 {
		return nil
	}
	b.read.Expected = max(b.expected, 0)
	return b.cfg.Progress(b.read)
}

func (b *Builder) now() time.Time {
	if b.cfg.Now == nil {
		return time.Time{}
	}
	return b.cfg.Now()
}

// estimateFacts say that this is an estimate, of what, and what it would cost to know.
func (b *Builder) estimateFacts() []Fact {
	s := b.sampled
	if s == nil || s.looked == 0 {
		return nil
	}
	more, total := "", s.matched
	if b.atLeast() {
		more, total = "more than ", b.cfg.Full
	}
	bytes := int64(float64(b.read.Bytes) / float64(s.looked) * float64(total))
	text := fmt.Sprintf("this is an ESTIMATE from the first %s of %s%s of %s: it cannot be confirmed; to look at all of them, answer full: %s%s to read and as much on disk at most",
		Plural(s.looked, "document"), more, Number(total), s.ns, more, sizeText(bytes))
	data := map[string]any{"namespace": s.ns, "looked": s.looked, "matched": total, "bytes": bytes}
	if s.took > 0 {
		d := time.Duration(float64(s.took) / float64(s.looked) * float64(total)).Round(time.Second)
		text += fmt.Sprintf(", about %v", max(d, time.Second))
		data["seconds"] = int64(d.Seconds())
	}
	return []Fact{fact(Estimate, Danger, data, "%s", text)}
}

func sizeText(n int64) string {
	switch {
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 1<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// atLeast says that how many documents an estimate is about is not known, since the server was not asked to count to the end.
func (b *Builder) atLeast() bool {
	s := b.sampled
	if s == nil || s.matched <= b.cfg.Full {
		return false
	}
	c := b.stats[s.ns].count.Total
	return c == nil || s.matched < *c
}

// scale makes counts of a sample those of the whole, as it looks.
func (b *Builder) scale(c replay.Count) replay.Count {
	s := b.sampled
	if s == nil || c.Namespace != s.ns || s.looked == 0 {
		return c
	}
	times := func(n int64) int64 { return int64(float64(n) / float64(s.looked) * float64(s.matched)) }
	c.Matched, c.Updated, c.Replaced, c.Deleted, c.Unchanged = times(c.Matched), times(c.Updated), times(c.Replaced), times(c.Deleted), times(c.Unchanged)
	return c
}
