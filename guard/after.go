package guard

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/bits"
	"path/filepath"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
)

// What the change left is read back and compared with what was foreseen: all of it, where that is not more than these, and otherwise a sample.
const (
	readBackDocuments = 100_000
	readBackBytes     = 256 << 20
	verifySample      = 1000 // foreseeable after-images that a sample has at least
)

// sampled says whether the foreseeable documents of the batch at hand are read back: all where they are not too many, and otherwise the first batches, then each whose number is
// a power of two, so that a change of any size is looked at from its begin to its end and costs next to nothing for it.
func (x *execution) sampled() bool {
	if x.plan.Documents() <= readBackDocuments && x.plan.Backup().Bytes <= readBackBytes {
		return true
	}
	return x.verified < verifySample || x.mismatch || bits.OnesCount64(uint64(x.batches)) == 1
}

// readBack compares documents with what was foreseen, and writes down what could not be.
func (x *execution) readBack(ctx context.Context, ns command.Namespace, sent []work) error {
	var look []work
	sampled := x.sampled()
	for _, w := range sent {
		h := x.after[w.item.N]
		if h.state == afterUnread || sampled && (h.state == afterHere || h.state == afterGone) {
			look = append(look, w)
		}
	}
	if len(look) == 0 {
		return nil
	}
	now, err := x.find(ctx, ns, look)
	if err != nil {
		x.warn("the documents could not be read back: %v", err)
		return nil // what was changed is known; what it looks like is not
	}
	for _, w := range look {
		x.verified++
		x.compare(w, now[key(w)])
	}
	return nil
}

func (x *execution) compare(w work, current bson.Raw) {
	h := &x.after[w.item.N]
	if h.state == afterGone {
		if current != nil {
			x.warn("%s %s was deleted, and is there again, by somebody else's doing or the server's", w.item.NS, w.item.ID)
		}
		return
	}
	if current == nil {
		x.warn("%s %s is not there any more after the change", w.item.NS, w.item.ID)
		return
	}
	sum := sha256.Sum256(current)
	switch {
	case h.state != afterHere:
		h.sum, h.state = sum, afterHere
		x.keepReading(current)
	case h.sum != sum && !x.differs[w.item.N]:
		// The server did something else, or somebody wrote since: that cannot be told. What was foreseen stays what undo compares with, so that it
		// leaves this document alone.
		x.mismatch, x.differs[w.item.N] = true, true
		if len(x.alarm) < 100 {
			x.warn("%s %s is not as the preview showed it, by this change or by somebody else's since: it is now %s", w.item.NS, w.item.ID, shorten(current.String(), 500))
		}
	}
}

// finish reads back all that was not, if one document was not as foreseen, and writes after.idx.
func (x *execution) finish(ctx context.Context) {
	if x.after == nil {
		return
	}
	if x.mismatch && !x.unknown {
		x.readAllBack(ctx)
	}
	x.closeReadings()
	if err := x.writeAfter(); err != nil {
		x.warn("after.idx could not be written, so that undo will go by what was foreseen: %v", err)
	}
}

func (x *execution) readAllBack(ctx context.Context) {
	var group []work
	looked := int64(0)
	defer func() { x.verified = max(x.verified, looked) }()
	flush := func() error {
		if len(group) == 0 {
			return nil
		}
		ns, err := command.ParseNamespace(group[0].item.NS)
		if err != nil {
			return err
		}
		now, err := x.find(ctx, ns, group)
		if err != nil {
			return err
		}
		for _, w := range group {
			x.compare(w, now[key(w)])
		}
		looked += int64(len(group))
		group = nil
		return nil
	}
	err := x.plan.Items(func(it plan.Item) error {
		if x.after[it.N].state != afterHere {
			return nil
		}
		if len(group) > 0 && (group[0].item.NS != it.NS || len(group) == 500) {
			if err := flush(); err != nil {
				return err
			}
		}
		group = append(group, work{item: it})
		return nil
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		x.warn("not all documents could be read back: %v", err)
	}
}

// writeAfter writes after.idx: one line a document, in the order of the plan.
func (x *execution) writeAfter() error {
	name := filepath.Join(x.plan.Dir(), "after.idx")
	f, err := x.gate.cfg.FS.Create(name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	w := bufio.NewWriter(f)
	for _, h := range x.after {
		line := h.line()
		sum.Write([]byte(line))
		if _, err := w.WriteString(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close(), x.gate.cfg.FS.SyncDir(x.plan.Dir())); err != nil {
		return err
	}
	x.afterHex = hex.EncodeToString(sum.Sum(nil))
	return nil
}

func (h afterHash) line() string {
	switch h.state {
	case afterGone:
		return "\n"
	case afterHere:
		return hex.EncodeToString(h.sum[:]) + "\n"
	case afterUnread:
		return "?\n"
	}
	return "-\n"
}
