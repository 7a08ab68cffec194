package guard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
	"respect/replay"
)

// steps carries out the schema work that belongs before, or after, the documents of the plan.
func (x *execution) steps(ctx context.Context, last bool) {
	do := map[string]func(context.Context, plan.Step, command.Namespace) error{
		plan.DoDrop: x.drop, plan.DoDropEmpty: x.dropEmpty, plan.DoDropIndexes: x.dropIndexes,
		plan.DoCreate: x.create, plan.DoCreateIndexes: x.createIndexes, plan.DoRename: x.rename,
	}
	for _, s := range x.plan.Steps() {
		if s.Last != last || x.fatal != nil {
			continue
		}
		if err := x.standing(); err != nil {
			x.fail(err)
			return
		}
		if s.Do == plan.DoRun {
			if err := x.runCommand(ctx, s); err != nil {
				x.fail(fmt.Errorf("%s %s: %w", s.Verb, s.NS, err))
				return
			}
			continue
		}
		ns, err := command.ParseNamespace(s.NS)
		if err == nil && do[s.Do] == nil {
			err = fmt.Errorf("internal error: nobody knows how to %s", s.Do)
		}
		skipped := x.nSkipped
		if err == nil {
			err = do[s.Do](ctx, s, ns)
		}
		if err == nil && x.nSkipped == skipped {
			x.didStep(s)
		}
		if err != nil {
			x.fail(fmt.Errorf("%s %s: %w", s.Do, s.NS, err))
			return
		}
		if err := x.stepDone(s.Do + " " + s.NS); err != nil {
			x.fail(err)
		}
	}
}

func (x *execution) stepDone(step string) error {
	if x.gate.cfg.Operator != nil {
		x.gate.cfg.Operator.Progress(Progress{Change: x.plan.Change(), What: step})
	}
	return x.gate.recordSync(replay.KindProgress, replay.Progress{Change: x.plan.Change(), Step: step})
}

// schema sends one schema command. If its answer is lost, done looks whether it was carried out.
func (x *execution) schema(ctx context.Context, db string, cmd bson.D, done func() (bool, error)) error {
	if err := x.confirm(ctx); err != nil {
		return err
	}
	cmd = append(cmd, x.gate.comment(x.plan.Change()))
	reply, err := x.ask(ctx, db, cmd)
	switch {
	case lost(err):
		if ok, derr := done(); derr != nil {
			x.unknown, x.changed = true, true
			return fmt.Errorf("the answer was lost (%v), and what came of it cannot be looked at: %w", err, derr)
		} else if !ok {
			return fmt.Errorf("the connection was lost before it was carried out: %w", err)
		}
	case err != nil:
		return x.d.fromWire(err, true)
	}
	x.changed = true
	if reply != nil {
		return x.majority(ctx, reply)
	}
	return nil
}

// exists says whether a collection is there, asked on the connection of the change.
func (x *execution) exists(ctx context.Context, ns command.Namespace) (bool, error) {
	reply, err := x.ask(ctx, ns.DB, bson.D{{Key: "listCollections", Value: int32(1)}, {Key: "filter", Value: bson.D{{Key: "name", Value: ns.Collection}}}, {Key: "nameOnly", Value: true}})
	if err != nil {
		return false, err
	}
	arr, ok := reply.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return false, errors.New("listCollections: the reply has no collections")
	}
	values, err := arr.Values()
	return len(values) > 0, err
}

func (x *execution) move(ctx context.Context, from, to command.Namespace) error {
	return x.schema(ctx, "admin", bson.D{{Key: "renameCollection", Value: from.String()}, {Key: "to", Value: to.String()}, concern()}, func() (bool, error) {
		there, err := x.exists(ctx, to)
		if err != nil || !there || plan.IsAside(to.Collection) { // nobody else uses such a name, and the old one may be taken again at once
			return there, err
		}
		here, err := x.exists(ctx, from)
		if err == nil && here {
			err = fmt.Errorf("%s and %s are both there, by this change or by somebody else's doing", from, to)
		}
		return !here, err
	})
}

// drop takes a collection away without losing what others write meanwhile: it is renamed aside, backed up and verified there, and only then
// dropped. If the backup fails it gets its name back.
func (x *execution) drop(ctx context.Context, s plan.Step, ns command.Namespace) error {
	if s.To == "" {
		return x.dropInPlace(ctx, s, ns)
	}
	aside, err := command.ParseNamespace(s.To)
	if err != nil {
		return err
	}
	if err := x.move(ctx, ns, aside); err != nil {
		return err
	}
	if err := x.stepDone("renamed aside to " + s.To); err != nil {
		return errors.Join(err, x.putBack(ctx, ns, aside))
	}
	if s.Keep {
		x.count(s.NS).Schema = s.Do
		return nil
	}
	documents, err := x.saveCollection(ctx, s, aside, nil)
	if err != nil {
		return errors.Join(fmt.Errorf("back it up: %w", err), x.putBack(ctx, ns, aside))
	}
	if documents != s.Documents {
		x.warn("%s had %d documents when it was dropped; the preview counted %d (all are in the backup)", s.NS, documents, s.Documents)
	}
	if err := x.remove(ctx, aside); err != nil {
		return err
	}
	c := x.count(s.NS)
	c.Schema, c.Deleted = s.Do, documents
	return nil
}

// dropInPlace is for a collection that cannot be renamed: it is backed up where it is, and looked at once more. If it is not what the backup holds, it is left.
// What others write in the moment after that is lost, which the preview said.
func (x *execution) dropInPlace(ctx context.Context, s plan.Step, ns command.Namespace) error {
	var saved, now setHash
	documents, err := x.saveCollection(ctx, s, ns, saved.add)
	if err != nil {
		return fmt.Errorf("back it up: %w", err)
	}
	if err := x.each(ctx, ns, now.add); err != nil {
		return fmt.Errorf("look at it once more: %w", err)
	}
	if saved != now {
		x.leave(s.NS, s.NS+" was changed by somebody else while it was backed up, and is left")
		return nil
	}
	if documents != s.Documents {
		x.warn("%s had %d documents when it was dropped; the preview counted %d (all are in the backup)", s.NS, documents, s.Documents)
	}
	if err := x.remove(ctx, ns); err != nil {
		return err
	}
	c := x.count(s.NS)
	c.Schema, c.Deleted = s.Do, documents
	return nil
}

// setHash tells sets of documents apart, whatever their order: several shards answer in any.
type setHash struct {
	n   int64
	sum [4]uint64
}

func (h *setHash) add(doc bson.Raw) error {
	one := sha256.Sum256(doc)
	for i := range h.sum {
		h.sum[i] += binary.LittleEndian.Uint64(one[8*i:])
	}
	h.n++
	return nil
}

// putBack gives a collection its name back. What fails here is said: the documents are there, under the other name.
func (x *execution) putBack(ctx context.Context, ns, aside command.Namespace) error {
	if err := x.move(ctx, aside, ns); err != nil {
		return fmt.Errorf("it is kept as %s, and could not be renamed back: %w", aside, err)
	}
	x.changed = false
	return nil
}

func (x *execution) remove(ctx context.Context, ns command.Namespace) error {
	return x.schema(ctx, ns.DB, bson.D{{Key: "drop", Value: ns.Collection}, concern()}, func() (bool, error) {
		there, err := x.exists(ctx, ns)
		return !there, err
	})
}

// saveCollection copies a whole collection into the change's backup, synced, read back and compared, and records it. Each document is handed to also, if that
// is not nil.
func (x *execution) saveCollection(ctx context.Context, s plan.Step, from command.Namespace, also func(bson.Raw) error) (int64, error) {
	b, err := x.plan.NewCollectionBackup(x.gate.cfg.FS, s)
	if err != nil {
		return 0, err
	}
	err = x.each(ctx, from, func(doc bson.Raw) error {
		if also != nil {
			if err := also(doc); err != nil {
				return err
			}
		}
		return b.Add(doc)
	})
	saved, serr := b.Seal(x.plan.Change())
	if err = errors.Join(err, serr); err != nil {
		return 0, errors.Join(err, b.Discard())
	}
	return saved.Documents, x.gate.recordSync(replay.KindSaved, saved)
}

// each hands every document of a collection to f.
func (x *execution) each(ctx context.Context, ns command.Namespace, f func(bson.Raw) error) error {
	cmd := bson.D{{Key: "find", Value: ns.Collection}}
	for batch := "firstBatch"; ; batch = "nextBatch" {
		reply, err := x.ask(ctx, ns.DB, cmd)
		if err != nil {
			return err
		}
		id, err := plan.EachIn(reply, batch, f)
		if err != nil || id == 0 {
			return err
		}
		cmd = bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: ns.Collection}}
	}
}

// dropEmpty drops a collection that must hold nothing. It is renamed aside first, so that a document that arrives in between is seen.
func (x *execution) dropEmpty(ctx context.Context, s plan.Step, ns command.Namespace) error {
	aside, err := command.ParseNamespace(s.To)
	if err != nil {
		return fmt.Errorf("internal error: a step that drops %s knows no name for it meanwhile: %w", s.NS, err)
	}
	if err := x.move(ctx, ns, aside); err != nil {
		return err
	}
	changed := x.changed
	empty := errors.New("it is not empty any more")
	err = x.each(ctx, aside, func(bson.Raw) error { return empty })
	if errors.Is(err, empty) {
		x.leave(s.NS, s.NS+" holds documents by now, and is left")
		err = x.putBack(ctx, ns, aside)
		x.changed = changed
		return err
	}
	if err != nil {
		return errors.Join(err, x.putBack(ctx, ns, aside))
	}
	return x.remove(ctx, aside)
}

func (x *execution) indexes(ctx context.Context, ns command.Namespace) ([]bson.Raw, error) {
	reply, err := x.ask(ctx, ns.DB, bson.D{{Key: "listIndexes", Value: ns.Collection}})
	if err != nil {
		return nil, err
	}
	arr, ok := reply.Lookup("cursor", "firstBatch").ArrayOK()
	if !ok {
		return nil, errors.New("listIndexes: the reply has no indexes")
	}
	values, err := arr.Values()
	if err != nil {
		return nil, err
	}
	var out []bson.Raw
	for _, v := range values {
		out = append(out, v.Document())
	}
	return out, nil
}

func hasIndex(all []bson.Raw, name string) bool {
	return slices.ContainsFunc(all, func(i bson.Raw) bool { n, _ := i.Lookup("name").StringValueOK(); return n == name })
}

func (x *execution) dropIndexes(ctx context.Context, s plan.Step, ns command.Namespace) error {
	now, err := x.indexes(ctx, ns)
	if err != nil {
		return x.d.fromWire(err, false)
	}
	for _, spec := range s.Specs {
		name := bson.Raw(spec).Lookup("name").StringValue()
		if !slices.ContainsFunc(now, func(i bson.Raw) bool { return slices.Equal(i, spec) }) {
			x.leave(s.NS, fmt.Sprintf("%s index %s: is not as in the preview any more", s.NS, name))
			continue
		}
		err := x.schema(ctx, ns.DB, bson.D{{Key: "dropIndexes", Value: ns.Collection}, {Key: "index", Value: name}, concern()}, func() (bool, error) {
			all, err := x.indexes(ctx, ns)
			return !hasIndex(all, name), err
		})
		if err != nil {
			return err
		}
		x.didStep(s)
	}
	return nil
}

func (x *execution) createIndexes(ctx context.Context, s plan.Step, ns command.Namespace) error {
	specs := bson.A{}
	for _, spec := range s.Specs {
		elems, err := bson.Raw(spec).Elements()
		if err != nil {
			return err
		}
		clean := bson.D{}
		for _, e := range elems {
			// ns: servers before 4.4 list it, and no later one takes it. v: 2 is what every server makes since 3.4, and FerretDB takes no v.
			if v, _ := e.Value().AsInt64OK(); e.Key() != "ns" && !(e.Key() == "v" && v == 2) {
				clean = append(clean, bson.E{Key: e.Key(), Value: e.Value()})
			}
		}
		specs = append(specs, clean)
	}
	return x.build(ctx, s, ns, bson.D{{Key: "createIndexes", Value: ns.Collection}, {Key: "indexes", Value: specs}, concern()})
}

func (x *execution) create(ctx context.Context, s plan.Step, ns command.Namespace) error {
	cmd := bson.D{{Key: "create", Value: ns.Collection}}
	elems, err := bson.Raw(s.Options).Elements()
	if err != nil {
		return err
	}
	for _, e := range elems {
		cmd = append(cmd, bson.E{Key: e.Key(), Value: e.Value()})
	}
	return x.schema(ctx, ns.DB, append(cmd, concern()), func() (bool, error) { return x.exists(ctx, ns) })
}

func (x *execution) rename(ctx context.Context, s plan.Step, ns command.Namespace) error {
	to, err := command.ParseNamespace(s.To)
	if err != nil {
		return err
	}
	return x.move(ctx, ns, to)
}

// withConcern are the commands of such steps that take a write concern.
var withConcern = map[string]bool{
	"collMod": true, "create": true, "drop": true, "createUser": true, "dropUser": true, "updateUser": true, "grantRolesToUser": true, "revokeRolesFromUser": true,
	"createRole": true, "dropRole": true, "updateRole": true, "grantRolesToRole": true, "revokeRolesFromRole": true, "grantPrivilegesToRole": true, "revokePrivilegesFromRole": true,
}

// runCommand sends a step's command, if the thing is still as it was shown, and writes down what it left.
func (x *execution) runCommand(ctx context.Context, s plan.Step) error {
	now, err := plan.Look(ctx, planReader{x.d}, s)
	if err != nil {
		return x.d.fromWire(err, false)
	}
	if !bytes.Equal(now, s.Was) {
		x.leave(s.NS, s.NS+" was changed by somebody else since the preview, and is left alone")
		return nil
	}
	raw, err := x.plan.Command(s)
	if err != nil {
		return err
	}
	elems, err := raw.Elements()
	if err != nil {
		return err
	}
	var cmd bson.D
	for _, e := range elems {
		if e.Key() != "comment" && (e.Key() != "writeConcern" || !withConcern[s.Verb]) {
			cmd = append(cmd, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	if withConcern[s.Verb] {
		cmd = append(cmd, concern())
	}
	err = x.schema(ctx, s.DB, cmd, func() (bool, error) {
		left, err := plan.Look(ctx, planReader{x.d}, s)
		if err == nil && (s.Look == "" || s.Redacted && bytes.Equal(left, s.Was)) {
			err = errors.New("nothing tells whether it was carried out")
		}
		return err == nil && !bytes.Equal(left, s.Was), err
	})
	if err != nil {
		return err
	}
	x.count(s.NS).Schema = s.Verb
	left, err := plan.Look(ctx, planReader{x.d}, s)
	if err != nil {
		x.warn("%s %s was carried out, and what it left could not be looked at: %v", s.Verb, s.NS, err)
	} else if saved, err := x.plan.SaveAfter(x.gate.cfg.FS, s, left); err != nil {
		x.warn("%s %s was carried out, and what it left could not be written down: %v", s.Verb, s.NS, err)
	} else if err := x.gate.record(replay.KindSaved, saved); err != nil {
		return err
	}
	return x.stepDone(s.Verb + " " + s.NS)
}
