package command

import (
	"errors"
	"fmt"

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
	return p.statements("updates", updateFields, func(w *Write, s *statement) error {
		var err error
		if w.Multi, err = truth("multi", s.multi); err != nil {
			return err
		}
		if w.Upsert, err = truth("upsert", s.upsert); err != nil {
			return err
		}
		w.ArrayFilters, w.Sort, w.Constants = s.arrayFilters, s.sort, s.c
		return w.setUpdate(s.u)
	})
}

// deleteRule: https://www.mongodb.com/docs/manual/reference/command/delete/
func deleteRule(p *parsing) error {
	return p.statements("deletes", deleteFields, func(w *Write, s *statement) error {
		w.Op = Delete
		if s.limit.Type == 0 {
			return errors.New("delete: limit is missing")
		}
		n, ok := s.limit.AsFloat64OK()
		if !ok || (n != 0 && n != 1) {
			return errors.New("delete: limit must be 0 or 1")
		}
		w.Multi = n == 0
		return nil
	})
}

// statement is an element of updates or deletes. Fields that it has not are of Type 0.
type statement struct {
	q, u, c, upsert, multi, collation, arrayFilters, hint, sort, limit bson.RawValue
	at, doc                                                            bson.RawValue // of bulkWrite: the number of the namespace, the document
}

// place is where a field of a statement goes.
type place func(*statement) *bson.RawValue

var (
	updateFields = map[string]place{
		"q": func(s *statement) *bson.RawValue { return &s.q }, "u": func(s *statement) *bson.RawValue { return &s.u },
		"c": func(s *statement) *bson.RawValue { return &s.c }, "upsert": func(s *statement) *bson.RawValue { return &s.upsert },
		"multi": func(s *statement) *bson.RawValue { return &s.multi }, "collation": func(s *statement) *bson.RawValue { return &s.collation },
		"arrayFilters": func(s *statement) *bson.RawValue { return &s.arrayFilters }, "hint": func(s *statement) *bson.RawValue { return &s.hint },
		"sort": func(s *statement) *bson.RawValue { return &s.sort },
	}
	deleteFields = map[string]place{
		"q": updateFields["q"], "limit": func(s *statement) *bson.RawValue { return &s.limit }, "collation": updateFields["collation"], "hint": updateFields["hint"],
	}
)

// bulkFields are those of the operations of bulkWrite, by their first field.
var bulkFields = map[string]map[string]place{
	"insert": {"insert": func(s *statement) *bson.RawValue { return &s.at }, "document": func(s *statement) *bson.RawValue { return &s.doc }},
	"update": {
		"update": func(s *statement) *bson.RawValue { return &s.at }, "filter": updateFields["q"], "updateMods": updateFields["u"], "constants": updateFields["c"],
		"upsert": updateFields["upsert"], "multi": updateFields["multi"], "collation": updateFields["collation"], "arrayFilters": updateFields["arrayFilters"],
		"hint": updateFields["hint"], "sort": updateFields["sort"],
	},
	"delete": {
		"delete": func(s *statement) *bson.RawValue { return &s.at }, "filter": updateFields["q"], "multi": updateFields["multi"],
		"collation": updateFields["collation"], "hint": updateFields["hint"],
	},
}

// bulkWrite has statements of all kinds, each in a namespace of nsInfo.
// Source: https://www.mongodb.com/docs/manual/reference/command/bulkWrite/ (8.0)
func bulkWrite(p *parsing) error {
	v, _ := p.field("nsInfo")
	infos, err := documents(v)
	if err != nil {
		return fmt.Errorf("bulkWrite: nsInfo: %w", err)
	}
	for _, i := range infos {
		if err := once(i, "ns"); err != nil {
			return fmt.Errorf("bulkWrite: nsInfo: %w", err)
		}
		s, _ := i.Lookup("ns").StringValueOK()
		ns, err := ParseNamespace(s)
		if err != nil {
			return fmt.Errorf("bulkWrite: %w", err)
		}
		p.targets = append(p.targets, ns)
	}
	base := Write{}
	base.Let, _ = p.field("let")
	if base.BypassChecks, err = boolean(p.raw, "bypassDocumentValidation"); err != nil {
		return err
	}
	v, _ = p.field("ops")
	ops, err := documents(v)
	if err != nil {
		return fmt.Errorf("bulkWrite: ops: %w", err)
	}
	if p.db != "admin" {
		return errors.New("bulkWrite must be sent to the database admin")
	}
	var writes []Write
	for i, op := range ops {
		w := base
		if err := w.bulk(op, p.targets); err != nil {
			return fmt.Errorf("bulkWrite: ops[%d]: %w", i, err)
		}
		writes = append(writes, w)
	}
	p.writes = writes
	return nonEmpty(p)
}

// bulk is one operation of bulkWrite.
func (w *Write) bulk(op bson.Raw, in []Namespace) error {
	first, err := op.IndexErr(0)
	if err != nil {
		return errors.New("it is empty")
	}
	known := bulkFields[first.Key()]
	if known == nil {
		return fmt.Errorf("the operation %q is unknown", first.Key())
	}
	s, err := readStatement(op, known)
	if err != nil {
		return err
	}
	n, ok := s.at.AsInt64OK()
	if f, _ := s.at.AsFloat64OK(); !ok || n < 0 || n >= int64(len(in)) || f != float64(n) {
		return errors.New("it is in a namespace that nsInfo does not have")
	}
	w.NS = in[n]
	if first.Key() == "insert" {
		w.Op = Insert
		if w.Doc, ok = s.doc.DocumentOK(); !ok {
			return errors.New("document is not a document")
		}
		return nil
	}
	if w.Filter, ok = s.q.DocumentOK(); !ok {
		return errors.New("filter is not a document")
	}
	w.Collation, w.Hint, w.ArrayFilters, w.Sort, w.Constants = s.collation, s.hint, s.arrayFilters, s.sort, s.c
	if w.Multi, err = truth("multi", s.multi); err != nil {
		return err
	}
	if first.Key() == "delete" {
		w.Op = Delete
		return nil
	}
	if w.Upsert, err = truth("upsert", s.upsert); err != nil {
		return err
	}
	return w.setUpdate(s.u)
}

// readStatement takes a statement apart. A field that is not known, or stands twice, is an error.
func readStatement(doc bson.Raw, known map[string]place) (s statement, err error) {
	err = eachElement(doc, func(key []byte, v bson.RawValue) error {
		where := known[string(key)]
		if where == nil || where(&s).Type != 0 {
			return fmt.Errorf("the field %q is unknown or stands twice", key)
		}
		*where(&s) = v
		return nil
	})
	return s, err
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

func (p *parsing) statements(key string, known map[string]place, fill func(*Write, *statement) error) error {
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
	p.writes = make([]Write, 0, len(docs))
	for i, doc := range docs {
		w := base
		s, err := readStatement(doc, known)
		if err == nil {
			var ok bool
			if w.Filter, ok = s.q.DocumentOK(); !ok {
				err = errors.New("the filter q is not a document")
			}
			w.Collation, w.Hint = s.collation, s.hint
		}
		if err == nil {
			err = fill(&w, &s)
		}
		if err != nil {
			p.writes = nil
			return fmt.Errorf("%s: %s[%d]: %w", p.name, key, i, err)
		}
		p.writes = append(p.writes, w)
	}
	return nonEmpty(p)
}

// setUpdate tells operators from a replacement as the server does: by the first field.
func (w *Write) setUpdate(u bson.RawValue) error {
	w.Update = u
	if u.Type == bson.TypeArray {
		w.Op = Update
		return updatePipeline(u)
	}
	doc, ok := u.DocumentOK()
	if !ok {
		return errors.New("the update is neither a document nor a pipeline")
	}
	operators, fields := 0, 0
	err := eachElement(doc, func(key []byte, _ bson.RawValue) error {
		if fields++; len(key) > 0 && key[0] == '$' {
			operators++
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch operators {
	case 0:
		if w.Multi {
			return errors.New("multi is not allowed with a replacement document: did you forget $set?")
		}
		w.Op, w.Doc = Replace, doc
	case fields:
		w.Op = Update
	default:
		return errors.New("the update mixes operators and fields")
	}
	return nil
}

// updatePipeline says what stands in the pipeline of an update that changes more, or looks further, than at the one document.
func updatePipeline(v bson.RawValue) error {
	stages, err := documents(v)
	if err != nil {
		return fmt.Errorf("the pipeline of the update: %w", err)
	}
	for _, s := range stages {
		elems, err := s.Elements()
		if err != nil || len(elems) != 1 {
			return errors.New("a stage of the update's pipeline must have exactly one field")
		}
		if name := elems[0].Key(); !updateStages[name] {
			return fmt.Errorf("an update's pipeline has no stage %q", name)
		}
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
	return truth(key, doc.Lookup(key))
}

// truth is the value of an option; Type 0 is a missing one.
func truth(key string, v bson.RawValue) (bool, error) {
	if v.Type == 0 || v.Type == bson.TypeNull {
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
