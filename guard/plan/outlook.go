package plan

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
	"respect/guard/update"
)

// foreseen is what the server will make of a document.
type foreseen struct {
	after    bson.Raw // nil for a delete, and where nothing of it is sure
	open     []string // paths of after that are not known
	why      string   // what is not known, and why; "" if all is
	modified update.Answer
	err      error
	send     bool // after itself is sent, in place of the update
	// The hashes of both images, hex; "" where they were not needed or not taken yet.
	beforeSum, afterSum string
}

// documents foresees what the statement at hand makes of documents that it selected, on all processors, and adds them in their order. Their bytes are the
// caller's.
func (b *Builder) documents(p Pending, docs []bson.Raw) error {
	all := make([]foreseen, len(docs))
	const few = 64 // documents are no work for a second processor
	share := max(len(docs)/runtime.GOMAXPROCS(0)+1, few)
	var wait sync.WaitGroup
	for start := 0; start < len(docs); start += share {
		end := min(start+share, len(docs))
		if end == len(docs) {
			b.outlook(p, docs[start:end], all[start:end])
			break
		}
		wait.Go(func() { b.outlook(p, docs[start:end], all[start:end]) })
	}
	wait.Wait()
	for i, doc := range docs {
		if err := b.document(p, doc, all[i]); err != nil {
			return err
		}
	}
	return nil
}

// outlook foresees documents. It only reads what the Builder has.
func (b *Builder) outlook(p Pending, docs []bson.Raw, out []foreseen) {
	o, err := b.newOutlook(p.write())
	for i, doc := range docs {
		if err != nil {
			out[i] = failed(err)
			continue
		}
		out[i] = o.foresee(doc)
		out[i].beforeSum = hashOf(doc)
		if after := out[i].after; after != nil && out[i].modified != update.No && len(out[i].open) == 0 {
			out[i].afterSum = hashOf(after)
		}
	}
}

// outlook is a statement that was parsed to be applied to documents, by one goroutine.
type outlook struct {
	b        *Builder
	w        command.Write
	update   *update.Update
	pipeline *update.Pipeline
}

func (b *Builder) newOutlook(w command.Write) (*outlook, error) {
	o := &outlook{b: b, w: w}
	if w.Op != command.Update {
		return o, nil
	}
	var err error
	if w.Pipeline() {
		o.pipeline, err = update.ParsePipeline(w.Update.Array())
		if errors.Is(err, update.ErrNotPredictable) {
			return o, nil
		}
		return o, err
	}
	opts, err := updateOptions(w, b.infos[w.NS.String()].collation())
	if err != nil {
		return nil, err
	}
	o.update, err = update.Parse(w.Update.Document(), opts)
	return o, err
}

// failed is an error as it is answered: one that the server would give, or that nothing can be known.
func failed(err error) foreseen {
	var server *update.Error
	switch {
	case errors.Is(err, update.ErrNotPredictable):
		return foreseen{why: strings.TrimPrefix(err.Error(), update.ErrNotPredictable.Error()+": "), modified: update.Undecidable}
	case errors.As(err, &server):
		err = &Foreseen{server.Code, server.Name, server.Message}
	}
	return foreseen{err: err}
}

// foresee is what the server will make of a document, as far as it can be known.
func (o *outlook) foresee(before bson.Raw) foreseen {
	var img update.Image
	var err error
	switch {
	case o.w.Op == command.Delete:
		return foreseen{modified: update.Yes}
	case o.w.Op == command.Replace:
		img, err = update.ForeseeReplace(before, o.w.Doc)
	case o.w.Pipeline():
		img, err = o.foreseePipeline(before)
	default:
		if err := o.placeable(before); err != nil {
			return failed(err)
		}
		img, err = o.update.Foresee(before)
	}
	if err != nil {
		return failed(err)
	}
	f := foreseen{after: img.After, modified: img.Modified}
	if len(img.Unknown) == 0 && img.Modified != update.Yes && bytes.Equal(before, img.After) {
		f.modified = update.No // whatever the server counts: the document is the same
	}
	for _, u := range img.Unknown {
		f.open = append(f.open, u.Path)
		if why := u.Path + ": " + u.Why; f.why == "" {
			f.why = why
		} else if !strings.Contains(f.why, why) {
			f.why += "; " + why
		}
	}
	return f
}

// placeable: without $expr a positional $ is sent as the number of the element that it means, which must be known.
func (o *outlook) placeable(before bson.Raw) error {
	if o.b.cfg.Header.Road != RoadFields || !positional(o.w.Update) {
		return nil
	}
	_, err := placed(o.update, o.w.Update, before)
	return err
}

// foreseePipeline is what the server made of a document in evaluate; where it could not, what is known here of its stages and expressions.
func (o *outlook) foreseePipeline(before bson.Raw) (update.Image, error) {
	made := &o.b.made
	if made.why == "" {
		after := made.after[KeyOf(before.Lookup("_id"))]
		if after == nil {
			return update.Image{}, fmt.Errorf("%w: an aggregation pipeline, of which the server gave no result for this document", update.ErrNotPredictable)
		}
		img := update.Image{After: after, Modified: update.Yes}
		if bytes.Equal(before, after) {
			img.Modified = update.No
		}
		return img, nil
	}
	err := fmt.Errorf("%w: %s", update.ErrNotPredictable, made.why)
	if o.pipeline == nil {
		return update.Image{}, err
	}
	img, perr := o.pipeline.Foresee(before)
	if errors.Is(perr, update.ErrNotPredictable) {
		perr = err
	}
	return img, perr
}

// updateOptions are what belongs to an update besides its operators.
func updateOptions(w command.Write, collated bool) (update.Options, error) {
	opts := update.Options{Filter: w.Filter, Collated: w.Collation.Type != 0 || collated}
	arr, ok := w.ArrayFilters.ArrayOK()
	if !ok {
		return opts, nil
	}
	list, err := arr.Values()
	if err != nil {
		return opts, err
	}
	for _, v := range list {
		doc, ok := v.DocumentOK()
		if !ok {
			return opts, &Foreseen{14, "TypeMismatch", "arrayFilters wants documents"}
		}
		opts.ArrayFilters = append(opts.ArrayFilters, doc)
	}
	return opts, nil
}
