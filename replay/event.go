// Package replay is the vocabulary of audit: what can be said about a session, one event at a time.
//
// It imports the standard library only, and so do the packages below it, but for the signed notes of golang.org/x/mod in replay/journal: an auditor must
// not need to trust what he audits. How events are stored and what makes the store tamper-evident is in replay/journal.
package replay

import (
	"encoding/json"
	"time"
)

// Event is one line of a journal.
type Event struct {
	Seq  uint64          // 0, 1, 2, … in its session
	Time time.Time       // UTC, as this machine's clock had it; nothing depends on its order
	Kind Kind            // says what Body holds
	Body json.RawMessage // one of the types below, as JSON
	Prev string          // Hash of the event before; 64 zeros in the first
	Hash string          // hex SHA-256, see replay/journal

	// At and Size are where the line stands in its file, without its newline: known of events that were read.
	At, Size int64
	// Load reads the body of an event that was left out of memory because it is long; nil if Body holds it.
	Load func() (json.RawMessage, error)
}

// Decode reads the body into the type that belongs to the event's kind.
func (e Event) Decode(into any) error {
	body, err := e.Bytes()
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// Bytes are the body as it was recorded.
func (e Event) Bytes() (json.RawMessage, error) {
	if e.Body == nil && e.Load != nil {
		return e.Load()
	}
	return e.Body, nil
}

// Kind names what an event says. Kinds are added, never renamed or reused.
type Kind string

// The kinds, in the order in which a session usually has them.
const (
	KindOpen     Kind = "open"     // Open: always the first
	KindConnect  Kind = "connect"  // Connect
	KindReason   Kind = "reason"   // Reason
	KindInput    Kind = "input"    // Input
	KindLoaded   Kind = "loaded"   // Loaded: before it runs
	KindCommand  Kind = "command"  // Command: one that was sent, guarded or not
	KindPlanned  Kind = "planned"  // Planned
	KindLooked   Kind = "looked"   // Looked
	KindDecided  Kind = "decided"  // Decided
	KindSaved    Kind = "saved"    // Saved
	KindIntent   Kind = "intent"   // Intent: durable before the first byte of a guarded write leaves
	KindProgress Kind = "progress" // Progress
	KindOutcome  Kind = "outcome"  // Outcome
	KindReceipt  Kind = "receipt"  // Receipt
	KindRefused  Kind = "refused"  // Refused
	KindOutput   Kind = "output"   // Output
	KindRecovery Kind = "recovery" // Recovery: the late outcome of another session's change
	KindPruned   Kind = "pruned"   // Pruned: recorded before the files are deleted
	KindSecurity Kind = "security" // Security
	KindAsked    Kind = "asked"    // Asked: before somebody answers, so that a question that was never answered is in the record too
	KindScreen   Kind = "screen"   // Screen: the size of the terminal, at the begin and when it changes
	KindSeal     Kind = "seal"     // Seal: behind Close the last, without which the end of the session is not sealed
	KindClose    Kind = "close"    // Close: the last but for its seal; without it the session was cut off
)

// Open begins a session.
type Open struct {
	Format   int    `json:"format"` // of the journal: 2; 1 had no seals
	Session  string `json:"session"`
	Previous []Head `json:"previous"` // sessions that ended before and that no earlier session has named: a removed one shows
	Who      Who    `json:"who"`
	Build    Build  `json:"build"`
	Key      string `json:"key,omitempty"`     // public, of the seals
	Witness  string `json:"witness,omitempty"` // where seals are written besides; "" if nowhere
	Policy   []File `json:"policy,omitempty"`  // the files that were in force
	Output   string `json:"output,omitempty"`  // how much of what is shown is recorded: full, writes, digest, off; "" is full
}

// File is a file by its name and content.
type File struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"` // hex
}

// Seal is a signed note that says where the chain stands; replay/journal has its format.
type Seal struct {
	Note string `json:"note"`
}

// Screen is the size of the terminal, in characters.
type Screen struct {
	Columns int `json:"columns"`
	Rows    int `json:"rows"`
}

// Head is where the chain of a session ended.
type Head struct {
	Session string `json:"session"`
	Seq     uint64 `json:"seq"`
	Hash    string `json:"hash"`
	Closed  bool   `json:"closed"` // false: the session was cut off
}

// Who sat at the terminal, as the operating system has it.
type Who struct {
	User     string `json:"user"`
	UID      int    `json:"uid"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Terminal string `json:"terminal,omitempty"` // device name; "" without a terminal
	SSH      string `json:"ssh,omitempty"`      // SSH_CONNECTION
}

// Build says which program wrote the journal.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Driver   string `json:"driver"`
	Commands string `json:"commands"` // version of the command table
}

// Evidence is one reason for an environment.
type Evidence struct {
	Source string `json:"source"`          // marker, policy, server, name, loopback, process
	Says   string `json:"says,omitempty"`  // development, staging, production, or "" for nothing
	Why    string `json:"why"`             // a sentence
	Scope  string `json:"scope,omitempty"` // the one database it speaks for; "" for the deployment
}

// Connect is a deployment that was dialled and classified, first or again.
type Connect struct {
	Deployment  string            `json:"deployment"`
	URI         string            `json:"uri"` // without secrets
	Address     string            `json:"address"`
	Environment string            `json:"environment"`
	Evidence    []Evidence        `json:"evidence"`
	Identity    map[string]string `json:"identity"`
	User        string            `json:"user,omitempty"`  // database user
	Roles       []string          `json:"roles,omitempty"` // of the database user: role@database
}

// Reason is what the operator said the session is for.
type Reason struct {
	Text    string `json:"text"`
	Manner  string `json:"manner"`            // typed, pasted, flag; aborted: none was given, and Text is what stood there
	Screen  string `json:"screen,omitempty"`  // how it was asked for
	Written string `json:"written,omitempty"` // Screen with its colours, if it had any
}

// Input is one statement.
type Input struct {
	Text   string `json:"text"`             // secrets redacted
	Manner string `json:"manner"`           // typed, pasted, recalled, argument, file, pipe, undo, mark, seed
	Mode   string `json:"mode"`             // run, preview; dropped: left with Ctrl-C, or empty
	Prompt string `json:"prompt,omitempty"` // that it was typed behind; lines behind the first stand behind "... "
	Screen string `json:"screen,omitempty"` // how it stood there with its prompts, if Text does not tell: the lines of a paste stand in one row
}

// Loaded is a file that a statement is about to run as part of itself.
type Loaded struct {
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`            // hex, of the file as it was read
	Text    string `json:"text,omitempty"`    // secrets redacted; of a long one the beginning
	Dropped int64  `json:"dropped,omitempty"` // bytes of the redacted text that are not in Text
	Again   bool   `json:"again,omitempty"`   // the session loaded the same before: the text stands there
}

// Command is one command that was sent to a server.
type Command struct {
	Deployment string   `json:"deployment"`
	Database   string   `json:"database"`
	Name       string   `json:"name"`
	Class      string   `json:"class"`
	Namespaces []string `json:"namespaces,omitempty"` // that it may change
	Text       string   `json:"text,omitempty"`       // relaxed Extended JSON, shortened, secrets redacted; for writes
	Change     string   `json:"change,omitempty"`
	Micros     int64    `json:"micros"`
	Bytes      int      `json:"bytes"` // of the reply
	Error      string   `json:"error,omitempty"`
}

// Fact is one thing that a preview said.
type Fact struct {
	Code     string          `json:"code"`
	Severity string          `json:"severity"` // info, warn, danger
	Text     string          `json:"text"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// Count says what a change is expected to do, or did, in one namespace.
type Count struct {
	Namespace string `json:"namespace"`
	Matched   int64  `json:"matched"`
	Total     *int64 `json:"total"` // documents in the namespace; nil where that says nothing
	Inserted  int64  `json:"inserted,omitempty"`
	Updated   int64  `json:"updated,omitempty"`
	Replaced  int64  `json:"replaced,omitempty"`
	Deleted   int64  `json:"deleted,omitempty"`
	Unchanged int64  `json:"unchanged,omitempty"` // matched, and already as asked
	Skipped   int64  `json:"skipped,omitempty"`   // no longer as previewed, left alone
	Schema    string `json:"schema,omitempty"`    // for schema work: what is done, for example "drop"
}

// Field says in how many documents of a namespace something happens to a field.
type Field struct {
	Namespace string `json:"namespace"`
	Path      string `json:"path"`
	Gone      int64  `json:"gone,omitempty"`
	Changed   int64  `json:"changed,omitempty"`
	New       int64  `json:"new,omitempty"`
}

// Changed is the number of documents that are changed.
func (c Count) Changed() int64 { return c.Inserted + c.Updated + c.Replaced + c.Deleted }

// Planned is a plan as the operator is about to be asked about it.
type Planned struct {
	Change      string  `json:"change"`
	Digest      string  `json:"digest"` // hex SHA-256 of plan.jsonl
	Deployment  string  `json:"deployment"`
	Environment string  `json:"environment"`
	Class       string  `json:"class"`
	Summary     string  `json:"summary"`
	Commands    int     `json:"commands"`
	Counts      []Count `json:"counts"`
	Facts       []Fact  `json:"facts"`
	Fields      []Field `json:"fields,omitempty"` // that change, the most important first; of very many not all
	Undoes      string  `json:"undoes,omitempty"` // the change that this one takes back
	Preview     bool    `json:"preview,omitempty"`
}

// Asked is a question as it stands on the screen. Journals before 2026-12 do not have it; there Decided alone tells.
type Asked struct {
	Change  string `json:"change"`
	Screen  string `json:"screen"`            // exactly what is shown, without colours
	Written string `json:"written,omitempty"` // with them, if it had any: Painted
}

// Looked is what somebody looked at before he answered a question.
type Looked struct {
	Change  string `json:"change"`
	Asked   string `json:"asked"`             // what was typed: details, sample 5, diff ID
	Screen  string `json:"screen"`            // exactly what was shown, without colours, with the answers between two pages; shortened if it is long
	Since   int64  `json:"since,omitempty"`   // microseconds from asking for it to recording it
	Written string `json:"written,omitempty"` // Screen with its colours, if it had any and is whole
}

// Decided is the answer to a question.
type Decided struct {
	Change   string `json:"change"`
	Screen   string `json:"screen"` // exactly what was shown, without colours
	Phrase   string `json:"phrase"` // what would have confirmed; "" where policy asks no question
	Answer   string `json:"answer"` // what was typed
	Manner   string `json:"manner"` // typed, pasted, aborted, timeout, none, not asked
	Accepted bool   `json:"accepted"`
	Why      string `json:"why,omitempty"` // why it was not accepted
}

// SavedFile is one file of a backup.
type SavedFile struct {
	Name   string `json:"name"` // relative to the change's directory, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex, of the bytes as read back
}

// Saved says that the backup is on disk, synced, read back and compared.
type Saved struct {
	Change    string      `json:"change"`
	Documents int64       `json:"documents"`
	Bytes     int64       `json:"bytes"`
	Files     []SavedFile `json:"files"`
}

// Intent says what is about to be done.
type Intent struct {
	Change      string  `json:"change"`
	Digest      string  `json:"digest"`
	Deployment  string  `json:"deployment"`
	URI         string  `json:"uri"` // without the password
	Environment string  `json:"environment"`
	Summary     string  `json:"summary"`
	Counts      []Count `json:"counts"`
	Road        string  `json:"road"` // how the still-as-previewed condition is checked: expr, fields
	SessionID   string  `json:"lsid,omitempty"`
	TxnFirst    int64   `json:"txn_first,omitempty"` // first txnNumber; batches count up from it
	Undoes      string  `json:"undoes,omitempty"`
	Only        string  `json:"only,omitempty"`    // of an undo: a filter; the rest of the change was left as it is
	Resumes     string  `json:"resumes,omitempty"` // the change that was cut off, of which this does the rest
}

// Progress is one batch, or one step of schema work, done.
type Progress struct {
	Change  string `json:"change"`
	Step    string `json:"step"`
	Done    int64  `json:"done"`    // documents looked at so far
	Applied int64  `json:"applied"` // of which changed
	Skipped int64  `json:"skipped"` // of which left alone
}

// Status of a change.
type Status string

// The statuses. StatusUndone is never an outcome: it is folded from the outcome of an undo.
const (
	StatusApplied  Status = "applied"  // all that was previewed
	StatusPartly   Status = "partly"   // some of it; the rest was not done or was left alone
	StatusRejected Status = "rejected" // nothing was changed
	StatusUnknown  Status = "unknown"  // cut off, or the answer was lost and examination could not decide
	StatusUndone   Status = "undone"   // applied, and taken back since
)

// Outcome is what a guarded write came to.
type Outcome struct {
	Change    string   `json:"change"`
	Status    Status   `json:"status"`
	Counts    []Count  `json:"counts"`              // what the server really did
	Predicted []Count  `json:"predicted,omitempty"` // what the plan said
	Skipped   []string `json:"skipped,omitempty"`   // namespaces with _ids of documents left alone, the first 100
	Alarm     []string `json:"alarm,omitempty"`     // differences between predicted and actual
	Error     string   `json:"error,omitempty"`
	After     string   `json:"after,omitempty"`  // hex SHA-256 of after.idx
	Micros    int64    `json:"micros,omitempty"` // from the intent on
	Batches   int64    `json:"batches,omitempty"`
	ReadBack  int64    `json:"readBack,omitempty"` // documents that were looked at again after they were written
}

// Refused is a statement, a command or a plan that the guard stopped.
type Refused struct {
	Text  string   `json:"text"`
	Hints []string `json:"hints,omitempty"`
	Code  string   `json:"code,omitempty"` // a fact's code, where one says it
}

// Receipt is what was shown of the outcome of a change.
type Receipt struct {
	Change  string `json:"change"`
	Screen  string `json:"screen"`            // exactly what was shown, without colours
	Written string `json:"written,omitempty"` // with them, if it had any
}

// Output is a piece of what was shown as a result. A statement that showed more than policy has recorded ends with one that says how much.
type Output struct {
	Text    string `json:"text"`
	Written string `json:"written,omitempty"` // with its colours, if it had any and all of it is recorded
	Error   bool   `json:"error,omitempty"`
	Since   int64  `json:"since,omitempty"`   // microseconds from showing its begin to recording it
	Dropped int64  `json:"dropped,omitempty"` // bytes that the statement showed and that are not recorded
	SHA256  string `json:"sha256,omitempty"`  // hex, of these bytes, in the order in which they were shown; "" if policy wants none
}

// Recovery is what was found out later about a change whose session was cut off.
type Recovery struct {
	Change  string  `json:"change"`
	Session string  `json:"session"` // that was cut off
	Status  Status  `json:"status"`
	Counts  []Count `json:"counts"`
	Found   string  `json:"found"` // a sentence
	After   string  `json:"after,omitempty"`
}

// Pruned says that the files of a change, its backup among them, are deleted: it cannot be taken back any more.
type Pruned struct {
	Change string `json:"change"`
	Bytes  int64  `json:"bytes"`
	Why    string `json:"why"` // the rule, in words
}

// Security is a broken invariant, or an attempt.
type Security struct {
	Text string `json:"text"`
}

// Close ends a session in order.
type Close struct {
	Code int `json:"code"` // exit status
}
