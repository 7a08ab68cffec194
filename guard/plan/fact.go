package plan

import (
	"encoding/json"
	"fmt"

	"respect/replay"
)

// Severity of a fact. Where a danger is shown, the confirmation asks for a random code as well.
type Severity string

// The severities.
const (
	Info   Severity = "info"
	Warn   Severity = "warn"
	Danger Severity = "danger"
)

// Fact is one thing that the preview says. Codes are part of the outside contract: they are added, never renamed.
type Fact struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"` // a sentence; may hold untrusted text
	Data     any      `json:"data,omitempty"`
}

// The codes that are said today.
const (
	Matched           = "matched"
	EmptyFilter       = "empty-filter"
	AllDocuments      = "all-documents"
	NoMatch           = "no-match"
	NoChange          = "no-change"
	UndefinedValue    = "undefined-value"
	RemovesFields     = "removes-fields"
	ReplacesDocument  = "replaces-document"
	CreatesDocument   = "creates-document"
	CreatesCollection = "creates-collection"
	FromLoop          = "from-loop"
	SystemCollection  = "system-collection"
	DropsIndex        = "drops-index"
	DropsCollection   = "drops-collection"
	NotPinnable       = "not-pinnable"
	Irreversible      = "irreversible"
	PartialUndo       = "partial-undo"
	NotPredictable    = "not-predictable"
	Large             = "large"

	NullMatchesMissing    = "null-matches-missing"
	TypeMismatch          = "type-mismatch"
	UnknownField          = "unknown-field"
	EmptyList             = "empty-list"
	OverwritesSubdocument = "overwrites-subdocument"
	TypeChange            = "type-change"
	RenamesField          = "renames-field"
	ArrayShrinks          = "array-shrinks"
	DistinctBefore        = "distinct-before"
	UniqueConflict        = "unique-conflict"
	CollectionScan        = "collection-scan"
	FoundBy               = "found-by"    // the index by which the documents are found, and how many are examined
	OneOfMany             = "one-of-many" // others match as well, and one is taken
	Recalled              = "recalled"

	TTLDeletes        = "ttl-deletes"
	ChangesOptions    = "changes-options" // options of a collection, a parameter, the profiler: old and new
	ChangesAccess     = "changes-access"  // who may do what
	FieldsOnly        = "fields-only"     // an undo sets back only the change's own fields in documents that others changed since
	Conflicts         = "conflicts"       // an undo leaves documents alone that others changed since
	DiffersFromFind   = "differs-from-find"
	Repeated          = "repeated"
	ValidatorConflict = "validator-conflict"
	VolatileBackup    = "volatile-backup"
	NotAtomic         = "not-atomic"
	UnprovenServer    = "unproven-server"  // the server does not say enough of itself to be told from another one behind the same connection
	OtherDeployment   = "other-deployment" // an undo is to be made elsewhere than the change was
	LeavesChunks      = "leaves-chunks"    // GridFS: the files go, what they hold stays
	LowersMarker      = "lowers-marker"
	FromFile          = "from-file" // an undo of a change that was made in another state directory

	ComputedOutput = "computed-output" // what is written was computed by $out, $merge or mapReduce

	Estimate = "estimate" // only a sample was looked at
	Part     = "part"     // some of the documents that were planned before
)

func fact(code string, s Severity, data any, format string, a ...any) Fact {
	return Fact{Code: code, Severity: s, Text: fmt.Sprintf(format, a...), Data: data}
}

// Record is the fact as the journal has it.
func (f Fact) Record() replay.Fact {
	r := replay.Fact{Code: f.Code, Severity: string(f.Severity), Text: f.Text}
	if f.Data != nil {
		if data, err := json.Marshal(f.Data); err == nil {
			r.Data = data
		}
	}
	return r
}

// Plural is "1 document", "2 documents".
func Plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + one + "s"
}

// Number has thousands separated, for reading; what is typed has plain digits.
func Number(n int64) string {
	s := fmt.Sprint(n)
	neg := n < 0
	if neg {
		s = s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}
