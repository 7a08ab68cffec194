package plan

import (
	"bytes"
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// Left is what a change has not done.
type Left struct {
	Documents int64
	Unclear   int64 // documents of which it cannot be told
	bits      []uint64
}

// Has says whether the change has not done a document.
func (l *Left) Has(it Item) bool {
	at := it.N / 64
	return at >= 0 && at < int64(len(l.bits)) && l.bits[at]&(1<<(it.N%64)) != 0
}

func (l *Left) add(n int64) {
	l.Documents++
	l.bits[n/64] |= 1 << (n % 64)
}

// LeftOf finds out which documents a change has not done, with reads only: from after, which says what it left of each, or, if that is nil because the
// change was cut off, from a look at each document. What is neither as before nor as the change was to leave it is unclear, and not among them.
func LeftOf(ctx context.Context, r Reader, p *Plan, after []string) (*Left, error) {
	l := &Left{bits: make([]uint64, p.Documents()/64+1)}
	doubtful := func(int64) bool { return true }
	if after != nil {
		some := false
		for n, line := range after {
			if line == notApplied && int64(n) < p.Documents() {
				l.add(int64(n))
			}
			some = some || line == unknown
		}
		if !some {
			return l, nil
		}
		doubtful = func(n int64) bool { return n < int64(len(after)) && after[n] == unknown }
	}
	var group []Item
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		err := l.look(ctx, r, group)
		group = group[:0]
		return err
	}
	err := p.Items(func(it Item) error {
		if it.N >= p.Documents() {
			return fmt.Errorf("document %d of %d", it.N, p.Documents())
		}
		if !doubtful(it.N) {
			return nil
		}
		if len(group) > 0 && (group[0].NS != it.NS || len(group) == maxGroup) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, it)
		return nil
	})
	if err == nil {
		err = flush()
	}
	return l, err
}

func (l *Left) look(ctx context.Context, r Reader, items []Item) error {
	now, err := documentsByID(ctx, r, items)
	if err != nil {
		return err
	}
	for _, it := range items {
		id, err := it.DocumentID()
		if err != nil {
			return err
		}
		switch current := now[KeyOf(id)]; {
		case it.Before.Is(current):
			l.add(it.N)
		case it.Op == "delete" && current == nil, it.After != nil && it.After.Is(current):
		default:
			l.Unclear++
		}
	}
	return nil
}

// documentsByID reads the documents of items, which are of one namespace, as they are now.
func documentsByID(ctx context.Context, r Reader, items []Item) (map[IDHash]bson.Raw, error) {
	ns, err := command.ParseNamespace(items[0].NS)
	if err != nil {
		return nil, err
	}
	ids := bson.A{}
	for _, it := range items {
		id, err := it.DocumentID()
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	now := map[IDHash]bson.Raw{}
	err = iterate(ctx, r, ns.DB, bson.D{
		{Key: "find", Value: ns.Collection}, {Key: "filter", Value: bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}},
	}, func(doc bson.Raw) error {
		now[KeyOf(doc.Lookup("_id"))] = bytes.Clone(doc)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the documents of %s: %w", ns, err)
	}
	return now, nil
}
