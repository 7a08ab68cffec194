package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/guard/update"
)

// $out, $merge and mapReduce into a collection let the server write what it computes, unseen. On guarded deployments they are planned as the difference
// that they make: what they compute is read, each document of it is compared with what stands in the collection, and the inserts, replacements, updates and
// deletes that are needed become one bulkWrite, which is shown, pinned, backed up and undone like any other. Documents that stay as they are, and
// those that others write meanwhile, are not touched.
//
// That is not the server's own way: it swaps the whole collection for $out, and would lose what others write between backup and swap.
// Here readers see old and new documents side by side while the change runs, and the collection keeps its identity and its order.

// outputs plans what such a command would write, and carries it out.
func (s *Statement) outputs(ctx context.Context, d *Deployment, c *command.Command, o *command.Output, v policy.Verdict, j Judged) (*Reply, error) {
	if err := s.Settle(ctx); err != nil { // it may read what is queued
		return nil, err
	}
	if s.overlapsPlanned(o.Read) || s.overlapsPlanned(c) {
		return nil, s.stop(ErrIncomplete)
	}
	s.announce(ctx, d, o.Read)
	if ms := d.boundsReads(o.Read); ms > 0 {
		o.Read = o.Read.Bounded(ms)
	}
	p := &output{Output: o, s: s, d: d, most: s.gate.cfg.Policy.MaxOperations(j.Environment), bytes: s.gate.cfg.Policy.MaxCommandBytes(j.Environment)}
	err := p.compute(ctx)
	if err == nil {
		err = p.operations(ctx)
	}
	var r *Refused
	if errors.As(err, &r) {
		return nil, s.refuse(r)
	}
	if err != nil {
		return nil, s.fail(err)
	}
	reply := &Reply{raw: outputReply(c, o)}
	if len(p.ops) == 0 {
		if o.Replaces && len(p.results) == 0 && !p.exists {
			return reply, s.createEmpty(ctx, d, o.Into, v, j)
		}
		if s.gate.cfg.Operator != nil {
			s.gate.cfg.Operator.Notice(fmt.Sprintf("%s: %s computed, and %s stays as it is", o.By, plan.Plural(int64(len(p.results)), "document"), o.Into))
		}
		return reply, nil
	}
	bulk, err := p.bulkWrite()
	if err != nil {
		return nil, s.fail(err)
	}
	if _, err := s.enqueue(ctx, d, bulk, v, j); err != nil {
		return nil, err
	}
	s.queue[len(s.queue)-1].facts = []plan.Fact{p.fact()}
	return reply, s.Settle(ctx)
}

// createEmpty is what $out does with nothing: the collection is there afterwards.
func (s *Statement) createEmpty(ctx context.Context, d *Deployment, ns command.Namespace, v policy.Verdict, j Judged) error {
	raw, err := bson.Marshal(bson.D{{Key: "create", Value: ns.Collection}})
	if err != nil {
		return err
	}
	c, err := command.Parse(ns.DB, raw, nil)
	if err != nil {
		return err
	}
	_, err = s.settleAlone(ctx, d, c, v, j)
	return err
}

// output is such a command while it is looked at.
type output struct {
	*command.Output
	s           *Statement
	d           *Deployment
	most, bytes int64 // of operations, and of their documents
	results     []bson.Raw
	size        int64
	exists      bool  // the collection
	deleted     int64 // of what it holds, since that is not among the results
	ops         bson.A
}

// add keeps one computed document.
func (o *output) add(doc bson.Raw) error {
	o.size += int64(len(doc))
	if int64(len(o.results)) >= o.most || o.size > o.bytes {
		return o.tooMuch()
	}
	elems, err := doc.Elements()
	if err != nil {
		return err
	}
	for _, e := range elems {
		if strings.HasPrefix(e.Key(), "$") {
			return fmt.Errorf("%s of a document with the field %q %w", o.By, e.Key(), plan.ErrNotPlanned)
		}
	}
	o.results = append(o.results, slices.Clone(doc))
	return nil
}

func (o *output) tooMuch() error {
	return &Refused{
		Text:  fmt.Sprintf("%s would write more than %d documents or %.3g MiB", o.By, o.most, float64(o.bytes)/(1<<20)),
		Hints: []string{"put a $match or a $limit before it, and do it in parts"},
	}
}

// compute reads what would be written.
func (o *output) compute(ctx context.Context) error {
	r := planReader{o.d}
	if o.By == "mapReduce" {
		reply, err := r.Read(ctx, o.Read.Database(), o.Read.Raw())
		if err != nil {
			return err
		}
		arr, ok := reply.Lookup("results").ArrayOK()
		if !ok {
			return errors.New("mapReduce: the reply has no results")
		}
		values, err := arr.Values()
		if err != nil {
			return err
		}
		for _, v := range values {
			doc, ok := v.DocumentOK()
			if !ok {
				return errors.New("mapReduce: a result is no document")
			}
			if err := o.add(doc); err != nil {
				return err
			}
		}
		return nil
	}
	return plan.Each(ctx, r, o.Read.Database(), o.Read.Raw(), o.add)
}

// operations are what makes the collection what it shall be.
func (o *output) operations(ctx context.Context) error {
	kind, err := plan.Kind(ctx, planReader{o.d}, o.Into)
	if err != nil {
		return err
	}
	if o.exists = kind != ""; o.exists && kind != "collection" {
		return fmt.Errorf("%w: %s is a %s", plan.ErrUnpinnable, o.Into, kind)
	}
	if o.Replaces {
		return o.replaceAll(ctx)
	}
	return o.merge(ctx)
}

// replaceAll: the collection holds the results and nothing else.
func (o *output) replaceAll(ctx context.Context) error {
	mine := map[plan.IDHash]int{}
	for i, doc := range o.results {
		id := doc.Lookup("_id")
		if id.Type == 0 {
			o.results[i] = withID(doc, o.s.gate.cfg.NewID())
			continue
		}
		if _, twice := mine[plan.KeyOf(id)]; twice {
			return &plan.Foreseen{Code: 11000, Name: "DuplicateKey", Message: fmt.Sprintf("%s: two of the documents that it computes have the _id %s", o.By, id)}
		}
		mine[plan.KeyOf(id)] = i
	}
	there := map[int]bool{}
	if o.exists {
		find, err := bson.Marshal(bson.D{{Key: "find", Value: o.Into.Collection}, {Key: "projection", Value: bson.D{{Key: "_id", Value: int32(1)}}}})
		if err != nil {
			return err
		}
		err = plan.Each(ctx, planReader{o.d}, o.Into.DB, find, func(doc bson.Raw) error {
			id := doc.Lookup("_id")
			if i, stays := mine[plan.KeyOf(id)]; stays {
				there[i] = true
				return nil
			}
			if int64(len(o.ops)) >= o.most {
				return o.tooMuch()
			}
			o.deleted++
			return o.op(bson.D{{Key: "delete", Value: int32(0)}, {Key: "filter", Value: byID(id)}, {Key: "multi", Value: false}})
		})
		if err != nil {
			return err
		}
	}
	for i, doc := range o.results {
		if there[i] {
			if err := o.replace(doc.Lookup("_id"), doc); err != nil {
				return err
			}
		} else if err := o.insert(doc); err != nil {
			return err
		}
	}
	return nil
}

func byID(id bson.RawValue) bson.D { return bson.D{{Key: "_id", Value: id}} }

// op adds one operation. Its bytes are copied: documents of a batch are valid only while it is looked at.
func (o *output) op(d bson.D) error {
	raw, err := bson.Marshal(d)
	o.ops = append(o.ops, bson.Raw(raw))
	return err
}

func (o *output) insert(doc bson.Raw) error {
	if doc.Lookup("_id").Type == 0 {
		doc = withID(doc, o.s.gate.cfg.NewID())
	}
	return o.op(bson.D{{Key: "insert", Value: int32(0)}, {Key: "document", Value: doc}})
}

// replace puts a document in the place of another. Where both are the same the plan sees that, and counts it as unchanged.
func (o *output) replace(id bson.RawValue, doc bson.Raw) error {
	return o.op(bson.D{{Key: "update", Value: int32(0)}, {Key: "filter", Value: byID(id)}, {Key: "updateMods", Value: doc}, {Key: "multi", Value: false}})
}

// withID gives a document a new _id, in front.
func withID(doc bson.Raw, id bson.ObjectID) bson.Raw {
	raw, err := bson.Marshal(bson.D{{Key: "_id", Value: id}})
	if err != nil {
		panic("guard: internal error: " + err.Error()) // an ObjectID
	}
	out := append(raw[:len(raw)-1], doc[4:]...)
	out[0], out[1], out[2], out[3] = byte(len(out)), byte(len(out)>>8), byte(len(out)>>16), byte(len(out)>>24)
	return out
}

// joined is how many results are looked for in one round trip.
const joined = 100

// merge: each result meets the one document that is equal to it in the fields of On, or none.
func (o *output) merge(ctx context.Context) error {
	if err := o.unique(ctx); err != nil {
		return err
	}
	seen := map[string]bool{}
	for start := 0; start < len(o.results); start += joined {
		group := o.results[start:min(start+joined, len(o.results))]
		filters := bson.A{}
		for _, doc := range group {
			f, err := o.key(doc)
			if err != nil {
				return err
			}
			if seen[string(f)] {
				return fmt.Errorf("$merge: two of the documents that it computes meet the same document: that %w", plan.ErrNotPlanned)
			}
			seen[string(f)] = true
			filters = append(filters, f)
		}
		var found []bson.Raw
		if o.exists {
			find, err := bson.Marshal(bson.D{{Key: "find", Value: o.Into.Collection}, {Key: "filter", Value: bson.D{{Key: "$or", Value: filters}}}})
			if err != nil {
				return err
			}
			err = plan.Each(ctx, planReader{o.d}, o.Into.DB, find, func(doc bson.Raw) error {
				found = append(found, slices.Clone(doc))
				return nil
			})
			if err != nil {
				return err
			}
		}
		for i, doc := range group {
			if err := o.meet(doc, filters[i].(bson.Raw), found); err != nil {
				return err
			}
		}
	}
	return nil
}

// key is the filter that finds the document that a result meets.
func (o *output) key(doc bson.Raw) (bson.Raw, error) {
	var f bson.D
	for _, name := range o.On {
		v, ok := update.Lookup(doc, name)
		if !ok && name == "_id" && len(o.On) == 1 {
			v = bson.RawValue{Type: bson.TypeObjectID, Value: idBytes(o.s.gate.cfg.NewID())} // the server gives it one, which meets nothing
		} else if !ok || v.Type == bson.TypeNull || v.Type == bson.TypeUndefined || v.Type == bson.TypeArray {
			return nil, &plan.Foreseen{Code: 51132, Name: "Location51132", Message: fmt.Sprintf("$merge write error: 'on' field cannot be missing, null, undefined or an array: %s of %s", name, doc)}
		}
		f = append(f, bson.E{Key: name, Value: bson.D{{Key: "$eq", Value: v}}})
	}
	return bson.Marshal(f)
}

func idBytes(id bson.ObjectID) []byte { return id[:] }

// unique: the server wants a unique index over the fields of On, so that a result meets one document at most.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/merge/#on-field
func (o *output) unique(ctx context.Context) error {
	if len(o.On) == 1 && o.On[0] == "_id" || !o.exists {
		return nil
	}
	raw, err := bson.Marshal(bson.D{{Key: "listIndexes", Value: o.Into.Collection}})
	if err != nil {
		return err
	}
	ok := false
	err = plan.Each(ctx, planReader{o.d}, o.Into.DB, raw, func(spec bson.Raw) error {
		is, _ := spec.Lookup("unique").BooleanOK()
		keys, _ := spec.Lookup("key").DocumentOK()
		elems, err := keys.Elements()
		if err != nil {
			return err
		}
		_, perr := spec.LookupErr("partialFilterExpression")
		all := is && perr != nil && len(elems) == len(o.On)
		for _, e := range elems {
			all = all && slices.Contains(o.On, e.Key())
		}
		ok = ok || all
		return nil
	})
	if err == nil && !ok {
		err = &plan.Foreseen{Code: 51183, Name: "Location51183", Message: "Cannot find index to verify that join fields will be unique"}
	}
	return err
}

// meet decides about one result of $merge.
func (o *output) meet(doc, key bson.Raw, found []bson.Raw) error {
	f, err := update.ParseFilter(key)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(found, func(d bson.Raw) bool { return f.Match(d) == update.Yes })
	if at < 0 {
		switch o.WhenNotMatched {
		case "discard":
			return nil
		case "fail":
			return &plan.Foreseen{Code: 13113, Name: "MergeStageNoMatchingDocument", Message: fmt.Sprintf("$merge could not find a matching document in the target collection for %s", key)}
		}
		return o.insert(doc)
	}
	there := found[at].Lookup("_id")
	if id := doc.Lookup("_id"); id.Type != 0 && !update.Equal(id, there) && (o.WhenMatched == "replace" || o.WhenMatched == "merge") {
		return &plan.Foreseen{Code: 66, Name: "ImmutableField", Message: fmt.Sprintf("$merge failed to update the matching document, did you attempt to modify the _id or the shard key? It computes %s for the document %s", id, there)}
	}
	switch o.WhenMatched {
	case "keepExisting":
		return nil
	case "fail":
		return &plan.Foreseen{Code: 11000, Name: "DuplicateKey", Message: fmt.Sprintf("$merge: a document that equals %s is there, and whenMatched is fail", key)}
	case "replace":
		return o.replace(there, doc)
	case "merge":
		set, plain := setOf(doc, found[at])
		switch {
		case plain && len(set) == 0:
			return nil
		case plain:
			return o.op(bson.D{{Key: "update", Value: int32(0)}, {Key: "filter", Value: byID(there)}, {Key: "updateMods", Value: bson.D{{Key: "$set", Value: set}}}, {Key: "multi", Value: false}})
		}
		stage := bson.D{{Key: "$replaceWith", Value: bson.D{{Key: "$mergeObjects", Value: bson.A{"$$ROOT", bson.D{{Key: "$literal", Value: doc}}}}}}}
		return o.op(bson.D{{Key: "update", Value: int32(0)}, {Key: "filter", Value: byID(there)}, {Key: "updateMods", Value: bson.A{stage}}, {Key: "multi", Value: false}})
	}
	return o.op(bson.D{
		{Key: "update", Value: int32(0)}, {Key: "filter", Value: byID(there)}, {Key: "updateMods", Value: o.Pipeline},
		{Key: "constants", Value: bson.D{{Key: "new", Value: doc}}}, {Key: "multi", Value: false},
	})
}

// setOf is what $mergeObjects does, as operands of $set, where that is the same: names without dots, and new fields in the order in which $set adds them.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/set/#behavior (5.0: in lexicographic order)
func setOf(doc, there bson.Raw) (set bson.D, plain bool) {
	elems, err := doc.Elements()
	if err != nil {
		return nil, false
	}
	last := ""
	for _, e := range elems {
		name := e.Key()
		if name == "_id" {
			continue
		}
		if name == "" || strings.ContainsAny(name, ".$") {
			return nil, false
		}
		if _, err := there.LookupErr(name); err != nil {
			if name < last {
				return nil, false
			}
			last = name
		}
		set = append(set, bson.E{Key: name, Value: e.Value()})
	}
	return set, true
}

// bulkWrite is one command of all operations.
func (o *output) bulkWrite() (*command.Command, error) {
	cmd := bson.D{{Key: "bulkWrite", Value: int32(1)}, {Key: "ops", Value: o.ops}, {Key: "nsInfo", Value: bson.A{bson.D{{Key: "ns", Value: o.Into.String()}}}}}
	if o.BypassChecks {
		cmd = append(cmd, bson.E{Key: "bypassDocumentValidation", Value: true})
	}
	raw, err := bson.Marshal(cmd)
	if err != nil {
		return nil, err
	}
	c, err := command.Parse("admin", raw, nil)
	if err == nil && c.Class() != command.DocumentWrite {
		err = fmt.Errorf("%s %w: %s", o.By, plan.ErrNotPlanned, c.Why())
	}
	return c, err
}

// fact says where the documents come from, and what is not as the server would do it.
func (o *output) fact() plan.Fact {
	n := int64(len(o.results))
	f := plan.Fact{
		Code: plan.ComputedOutput, Severity: plan.Warn, Text: fmt.Sprintf("%s computed %s for %s", o.By, plan.Plural(n, "document"), o.Into),
		Data: map[string]any{"namespace": o.Into.String(), "by": o.By, "computed": n, "deleted": o.deleted},
	}
	if !o.Replaces {
		return f
	}
	f.Text += map[bool]string{true: ", which will hold it and nothing else", false: ", which will hold them and nothing else"}[n == 1]
	switch {
	case o.deleted == 1:
		f.Text += ": 1 other goes"
	case o.deleted > 0:
		f.Text += fmt.Sprintf(": %s others go", plan.Number(o.deleted))
	}
	if o.deleted > 0 {
		f.Severity = plan.Danger
	}
	f.Text += "; they are written one by one, so that readers meanwhile see old and new ones"
	return f
}

// outputReply is what the server answers to such a command.
func outputReply(c *command.Command, o *command.Output) bson.Raw {
	ns := c.Database() + ".$cmd.aggregate"
	if len(c.Sources()) > 0 {
		ns = c.Sources()[0].String()
	}
	answer := bson.E{Key: "cursor", Value: bson.D{{Key: "firstBatch", Value: bson.A{}}, {Key: "id", Value: int64(0)}, {Key: "ns", Value: ns}}}
	switch {
	case o.By == "mapReduce" && o.Into.DB != c.Database():
		answer = bson.E{Key: "result", Value: bson.D{{Key: "db", Value: o.Into.DB}, {Key: "collection", Value: o.Into.Collection}}}
	case o.By == "mapReduce":
		answer = bson.E{Key: "result", Value: o.Into.Collection}
	}
	raw, err := bson.Marshal(bson.D{answer, {Key: "ok", Value: float64(1)}})
	if err != nil {
		panic("guard: internal error: " + err.Error())
	}
	return raw
}
