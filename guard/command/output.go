package command

import (
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Output is what a command does that lets the server compute documents and write them somewhere: aggregate with $out or $merge, mapReduce with a collection.
type Output struct {
	// Read is the same command without the part that writes: its result is what would be written. Of class Read.
	Read *Command
	By   string // $out, $merge or mapReduce
	Into Namespace
	// Replaces says that Into holds the result and nothing else afterwards. The fields below are then not used.
	Replaces bool
	On       []string // $merge: the fields by which a document is found in Into
	// WhenMatched is replace, merge, keepExisting, fail, or pipeline, which is then Pipeline.
	WhenMatched string
	Pipeline    bson.RawValue
	// WhenNotMatched is insert, discard or fail.
	WhenNotMatched string
	BypassChecks   bool // bypassDocumentValidation
}

// Output takes such a command apart; nil for all others. The error says what of it is not understood, or cannot be told from the result alone.
//
// Sources: https://www.mongodb.com/docs/manual/reference/operator/aggregation/out/, …/merge/, https://www.mongodb.com/docs/manual/reference/command/mapReduce/
func (c *Command) Output() (*Output, error) {
	if c.class != DocumentWrite {
		return nil, nil
	}
	if c.wrapped != nil {
		return nil, errors.New("an explanation of a write")
	}
	if err := misplaced(c); err != nil {
		return nil, err
	}
	if len(c.targets) != 1 {
		return nil, nil
	}
	o := &Output{Into: c.targets[0]}
	var err error
	if o.BypassChecks, err = boolean(c.raw, "bypassDocumentValidation"); err != nil {
		return nil, err
	}
	switch c.name {
	case "aggregate":
		err = o.aggregate(c)
	case "mapReduce":
		err = o.mapReduce(c)
	default:
		return nil, nil
	}
	if err == nil && o.Read.class != Read {
		err = fmt.Errorf("what is left of it without %s is no read: %s", o.By, o.Read.why)
	}
	if err == nil && o.Read.live {
		err = fmt.Errorf("%s of what has no end", o.By)
	}
	if err != nil {
		return nil, err
	}
	return o, nil
}

// Misplaced is the stage, $out or $merge, that has another behind it: the server takes it in no place but the last.
type Misplaced string

// Error is the server's own.
func (m Misplaced) Error() string { return string(m) + " can only be the final stage in the pipeline" }

func misplaced(c *Command) error {
	if c.name != "aggregate" {
		return nil
	}
	v, _ := c.Lookup("pipeline")
	stages, _ := documents(v) // it was classified: each is a document of one field
	for _, s := range stages[:max(len(stages)-1, 0)] {
		if name := s.Index(0).Key(); name == "$out" || name == "$merge" {
			return Misplaced(name)
		}
	}
	return nil
}

// aggregate: only the last stage writes.
func (o *Output) aggregate(c *Command) error {
	v, _ := c.Lookup("pipeline")
	stages, _ := documents(v) // it was classified: each is a document of one field
	last := stages[len(stages)-1].Index(0)
	switch o.By = last.Key(); o.By {
	case "$out":
		o.Replaces = true
		if doc, ok := last.Value().DocumentOK(); ok {
			if _, err := doc.LookupErr("timeseries"); err == nil {
				return errors.New("$out into a time series")
			}
		}
	case "$merge":
		if err := o.merge(last.Value()); err != nil {
			return fmt.Errorf("$merge: %w", err)
		}
	default:
		return errors.New("$out or $merge inside of another stage")
	}
	return o.without(c, func(key string, v bson.RawValue) (any, bool) {
		switch key {
		case "pipeline":
			return stages[:len(stages)-1], true
		case "cursor": // batchSize 0 would put the work off
			return bson.D{}, true
		}
		return v, key != "bypassDocumentValidation" && key != "writeConcern"
	})
}

func (o *Output) merge(arg bson.RawValue) error {
	o.On, o.WhenMatched, o.WhenNotMatched = []string{"_id"}, "merge", "insert"
	doc, ok := arg.DocumentOK()
	if !ok {
		return nil // the name of a collection
	}
	if _, err := doc.LookupErr("let"); err == nil {
		return errors.New("let")
	}
	if v, err := doc.LookupErr("on"); err == nil {
		if o.On, ok = fieldNames(v); !ok {
			return errors.New("on is neither a field nor a list of fields")
		}
	}
	if v, err := doc.LookupErr("whenMatched"); err == nil {
		if v.Type == bson.TypeArray {
			o.WhenMatched, o.Pipeline = "pipeline", v
		} else if o.WhenMatched, _ = v.StringValueOK(); !slices.Contains([]string{"replace", "merge", "keepExisting", "fail"}, o.WhenMatched) {
			return errors.New("whenMatched is not understood")
		}
	}
	if v, err := doc.LookupErr("whenNotMatched"); err == nil {
		if o.WhenNotMatched, _ = v.StringValueOK(); !slices.Contains([]string{"insert", "discard", "fail"}, o.WhenNotMatched) {
			return errors.New("whenNotMatched is not understood")
		}
	}
	return nil
}

// fieldNames are one name, or several, none twice.
func fieldNames(v bson.RawValue) ([]string, bool) {
	if s, ok := v.StringValueOK(); ok {
		return []string{s}, s != ""
	}
	arr, _ := v.ArrayOK()
	values, _ := arr.Values() // of no array: none
	var out []string
	for _, v := range values {
		s, _ := v.StringValueOK() // of no string: "", which is no name
		if s == "" || slices.Contains(out, s) {
			return nil, false
		}
		out = append(out, s)
	}
	return out, len(out) > 0
}

func (o *Output) mapReduce(c *Command) error {
	o.By, o.Replaces = c.name, true
	out, _ := c.Lookup("out")
	if doc, ok := out.DocumentOK(); ok {
		if _, err := doc.LookupErr("reduce"); err == nil {
			return errors.New("mapReduce with out.reduce: the server's own code makes of two documents one")
		}
		if _, err := doc.LookupErr("merge"); err == nil {
			o.Replaces, o.On, o.WhenMatched, o.WhenNotMatched = false, []string{"_id"}, "replace", "insert"
		}
	}
	return o.without(c, func(key string, v bson.RawValue) (any, bool) {
		if key == "out" {
			return bson.D{{Key: "inline", Value: int32(1)}}, true
		}
		return v, key != "bypassDocumentValidation" && key != "writeConcern"
	})
}

// without makes Read of the fields that keep keeps.
func (o *Output) without(c *Command, keep func(key string, v bson.RawValue) (any, bool)) error {
	elems, _ := c.raw.Elements() // it was parsed
	var d bson.D
	for _, e := range elems {
		if v, ok := keep(e.Key(), e.Value()); ok {
			d = append(d, bson.E{Key: e.Key(), Value: v})
		}
	}
	raw, err := bson.Marshal(d)
	if err != nil {
		return err
	}
	o.Read, err = Parse(c.db, raw, nil)
	return err
}
