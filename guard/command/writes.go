package command

import (
	"errors"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Op is what a statement does to a document.
type Op uint8

// The operations on documents.
const (
	Insert  Op = iota + 1 // a new document
	Update                // by update operators or an aggregation pipeline
	Replace               // by a whole document
	Delete
)

var opNames = [...]string{"", "insert", "update", "replace", "delete"}

// String is the operation in words.
func (o Op) String() string { return opNames[o] }

// Write is one statement of a document write. All its fields point into the command's bytes.
type Write struct {
	Op     Op
	NS     Namespace
	Filter bson.Raw // which documents; nil for Insert
	Doc    bson.Raw // the document of Insert and Replace
	// Update is a document of operators or an array of stages.
	Update bson.RawValue
	Multi  bool // all that match, not the first
	Upsert bool
	// FindAndModify says that the statement is a findAndModify, which returns a document; New, that it returns the one after.
	FindAndModify, New bool

	// The following have Type 0 when they were not given.
	Sort, Collation, Hint, ArrayFilters, Fields, Constants bson.RawValue

	Let          bson.RawValue // of the command
	BypassChecks bool          // bypassDocumentValidation
}

// Pipeline says that the update is an aggregation pipeline.
func (w Write) Pipeline() bool { return w.Update.Type == bson.TypeArray }

// ID is the value of _id that an insert carries; Type 0 if it has none.
func (w Write) ID() bson.RawValue { return w.Doc.Lookup("_id") }

// insert: https://www.mongodb.com/docs/manual/reference/command/insert/
func insert(p *parsing) error {
	if err := onCollection(p); err != nil {
		return err
	}
	v, _ := p.field("documents")
	docs, err := documents(v)
	if err != nil {
		return fmt.Errorf("insert: documents: %w", err)
	}
	base, err := p.common()
	if err != nil {
		return err
	}
	for _, d := range docs {
		w := base
		w.Op, w.Doc = Insert, d
		p.writes = append(p.writes, w)
	}
	return nonEmpty(p)
}

// update: https://www.mongodb.com/docs/manual/reference/command/update/
func update(p *parsing) error {
	return p.statements("updates", set("q u c upsert multi collation arrayFilters hint sort"), func(w *Write, s bson.Raw) error {
		var err error
		if w.Multi, err = boolean(s, "multi"); err != nil {
			return err
		}
		if w.Upsert, err = boolean(s, "upsert"); err != nil {
			return err
		}
		w.ArrayFilters, w.Sort, w.Constants = s.Lookup("arrayFilters"), s.Lookup("sort"), s.Lookup("c")
		return w.setUpdate(s.Lookup("u"))
	})
}

// deleteRule: https://www.mongodb.com/docs/manual/reference/command/delete/
func deleteRule(p *parsing) error {
	return p.statements("deletes", set("q limit collation hint"), func(w *Write, s bson.Raw) error {
		w.Op = Delete
		v, err := s.LookupErr("limit")
		if err != nil {
			return errors.New("delete: limit is missing")
		}
		n, ok := v.AsFloat64OK()
		if !ok || (n != 0 && n != 1) {
			return errors.New("delete: limit must be 0 or 1")
		}
		w.Multi = n == 0
		return nil
	})
}

// findAndModify: https://www.mongodb.com/docs/manual/reference/command/findAndModify/
func findAndModify(p *parsing) error {
	if err := onCollection(p); err != nil {
		return err
	}
	w, err := p.common()
	if err != nil {
		return err
	}
	w.FindAndModify = true
	w.Filter = bson.Raw{5, 0, 0, 0, 0}
	if v, ok := p.field("query"); ok && v.Type != bson.TypeNull {
		if w.Filter, ok = v.DocumentOK(); !ok {
			return errors.New("findAndModify: query is not a document")
		}
	}
	for key, into := range map[string]*bson.RawValue{"sort": &w.Sort, "collation": &w.Collation, "hint": &w.Hint, "arrayFilters": &w.ArrayFilters, "fields": &w.Fields} {
		*into, _ = p.field(key)
	}
	if w.Upsert, err = boolean(p.raw, "upsert"); err != nil {
		return err
	}
	if w.New, err = boolean(p.raw, "new"); err != nil {
		return err
	}
	remove, err := boolean(p.raw, "remove")
	if err != nil {
		return err
	}
	u, has := p.field("update")
	switch {
	case remove && (has || w.Upsert || w.New):
		return errors.New("findAndModify: remove goes with neither update nor upsert nor new")
	case remove:
		w.Op = Delete
	case !has:
		return errors.New("findAndModify: neither update nor remove is given")
	default:
		if err := w.setUpdate(u); err != nil {
			return err
		}
	}
	p.writes = []Write{w}
	return nil
}

// common is what all statements of a command share.
func (p *parsing) common() (Write, error) {
	ns, err := p.collection()
	if err != nil {
		return Write{}, err
	}
	w := Write{NS: ns}
	w.Let, _ = p.field("let")
	if w.BypassChecks, err = boolean(p.raw, "bypassDocumentValidation"); err != nil {
		return Write{}, err
	}
	return w, nil
}

func (p *parsing) statements(key string, known map[string]bool, fill func(*Write, bson.Raw) error) error {
	if err := onCollection(p); err != nil {
		return err
	}
	v, _ := p.field(key)
	docs, err := documents(v)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.name, key, err)
	}
	base, err := p.common()
	if err != nil {
		return err
	}
	for i, s := range docs {
		w := base
		if err := statement(&w, s, known); err != nil {
			return fmt.Errorf("%s: %s[%d]: %w", p.name, key, i, err)
		}
		if err := fill(&w, s); err != nil {
			return fmt.Errorf("%s: %s[%d]: %w", p.name, key, i, err)
		}
		p.writes = append(p.writes, w)
	}
	return nonEmpty(p)
}

func statement(w *Write, s bson.Raw, known map[string]bool) error {
	elems, err := s.Elements()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range elems {
		if !known[e.Key()] || seen[e.Key()] {
			return fmt.Errorf("the field %q is unknown or stands twice", e.Key())
		}
		seen[e.Key()] = true
	}
	var ok bool
	if w.Filter, ok = s.Lookup("q").DocumentOK(); !ok {
		return errors.New("the filter q is not a document")
	}
	w.Collation, w.Hint = s.Lookup("collation"), s.Lookup("hint")
	return nil
}

// setUpdate tells operators from a replacement as the server does: by the first field.
func (w *Write) setUpdate(u bson.RawValue) error {
	w.Update = u
	if u.Type == bson.TypeArray {
		w.Op = Update
		return nil
	}
	doc, ok := u.DocumentOK()
	if !ok {
		return errors.New("the update is neither a document nor a pipeline")
	}
	elems, err := doc.Elements()
	if err != nil {
		return err
	}
	operators := 0
	for _, e := range elems {
		if strings.HasPrefix(e.Key(), "$") {
			operators++
		}
	}
	switch operators {
	case 0:
		if w.Multi {
			return errors.New("multi is not allowed with a replacement document: did you forget $set?")
		}
		w.Op, w.Doc = Replace, doc
	case len(elems):
		w.Op = Update
	default:
		return errors.New("the update mixes operators and fields")
	}
	return nil
}

func nonEmpty(p *parsing) error {
	if len(p.writes) == 0 {
		return fmt.Errorf("%s has no statement", p.name)
	}
	return nil
}

// boolean reads an option that must be a boolean or a number; a missing one or null is false.
func boolean(doc bson.Raw, key string) (bool, error) {
	v, err := doc.LookupErr(key)
	if err != nil || v.Type == bson.TypeNull {
		return false, nil
	}
	if b, ok := v.BooleanOK(); ok {
		return b, nil
	}
	if f, ok := v.AsFloat64OK(); ok {
		return f != 0, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", key)
}
