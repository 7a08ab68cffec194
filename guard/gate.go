package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/environment"
	"respect/guard/internal/wire"
	"respect/guard/plan"
	"respect/guard/policy"
	"respect/replay"
	"respect/replay/durable"
)

// Journal is the record that a Gate writes. *journal.Writer implements it.
type Journal interface {
	// Append writes one event; Sync makes all that was appended durable. After an error of either, every later call must fail. Append may be called from
	// several goroutines.
	Append(kind replay.Kind, body any) error
	Sync() error
	// Seal signs where the record stands and makes it durable, here and wherever else seals belong. An error that wraps journal.ErrWitness says that
	// elsewhere failed, and nothing else.
	Seal() error
	// Standing is an error if what was written is not found again under its own name: nothing may be done then that it should speak of. With readBack the end of
	// it is compared byte by byte.
	Standing(readBack bool) error
	// Session is the name of the session.
	Session() string
}

// Operator is the person at the terminal. A Gate calls it from the goroutine that runs the statement, one call at a time.
type Operator interface {
	// Present says whether somebody is there who can be asked. If not, Ask and Reason are not called: what would ask is refused.
	Present() bool
	// Ask shows a question and returns what was answered, how, and the exact text that was shown. It decides nothing: the Gate compares.
	// An error means that nobody could be asked.
	Ask(ctx context.Context, q Question) (Answer, error)
	// Reason asks what the session is for. An empty answer is no reason.
	Reason(ctx context.Context, env environment.Environment) (Answer, error)
	// Notice says something before it happens that costs others: it asks nothing.
	Notice(text string)
	// Progress is called between batches and while a change waits. It returns at once, and may pause or stop what has not begun.
	Progress(Progress) Control
	// Receipt shows what a guarded write came to, and returns what was shown, colours and all.
	Receipt(Receipt) string
}

// Question is what an Operator is asked.
type Question struct {
	Plan        *plan.Plan
	Environment environment.Environment
	Deployment  string // its name
	Text        string // the statement, secrets redacted
	Phrase      string // what must be typed, with the random code if there is one
	Why         string // which rule asks
	// Shown must be called with what stands on the screen, colours and all, each time before an answer is waited for, and Looked with what was looked at in
	// between. After an error of theirs, which the record could not be written, Ask must return it.
	Shown  func(screen string) error
	Looked func(Look) error
}

// Manner says how an answer came.
type Manner string

// The manners. Only Typed can confirm.
const (
	Typed    Manner = "typed"
	Pasted   Manner = "pasted"
	Aborted  Manner = "aborted" // Ctrl-C, Ctrl-D, Esc
	TimedOut Manner = "timeout"
)

// Answer is what came back from the terminal.
type Answer struct {
	Text   string
	Manner Manner
	Screen string // exactly what was shown, colours and all
	Note   string // why the terminal did not take it as typed, if it did not
}

// Look is what was looked at while a question stood.
type Look struct {
	Asked  string    // what was typed
	Screen string    // what was shown, colours and all
	At     time.Time // when it was asked for
}

// Progress of a change, or of the plan for one.
type Progress struct {
	Change      string
	Planning    bool  // documents are being looked at; nothing is changed yet
	Done, Total int64 // documents; Total may be a guess while planning
	Bytes       int64 // looked at while planning
	Applied     int64
	Skipped     int64
	Batches     int64
	Rate        float64       // documents a second
	Elapsed     time.Duration // since the change began
	Left        time.Duration // as it looks; 0 if nobody can tell
	What        string        // for schema work: the step
	Waiting     string        // what the change waits for; "" if it does not. Untrusted text
	Paused      bool          // because the operator wants it
}

// Control is what the operator wants between batches.
type Control uint8

// The controls. The zero value goes on.
const (
	Go    Control = iota
	Pause         // ask again in a moment
	Stop          // begin nothing more
)

// Receipt sets what was predicted beside what the server did.
type Receipt struct {
	Change      string
	Environment environment.Environment
	Deployment  string
	Summary     string
	Status      replay.Status
	Predicted   []replay.Count
	Actual      []replay.Count
	Skipped     []string // documents that were left alone
	Alarm       []string // differences
	Error       string
	Undoes      string
	Took        time.Duration
	Batches     int64
	ReadBack    int64 // documents that were looked at again after they were written
	Resumable   bool  // what is left can be planned again: documents that were left alone, or those after which it was stopped
}

// Config is what a Gate works with.
type Config struct {
	FS       durable.FS
	StateDir string
	Journal  Journal
	Now      func() time.Time
	Wait     func(context.Context, time.Duration) // does nothing for a while; nil: a timer
	Rand     io.Reader                            // cryptographic: ids and codes
	Who      string                               // user@host, for the comment on each command
	Operator Operator                             // nil: there is no terminal; what would ask is refused
	Reason   string                               // given beforehand; "" means that production asks
	Policy   *policy.Policy                       // nil: policy.Default
	// NewID makes the _id of documents that come without one.
	NewID func() bson.ObjectID
}

// Gate is one shell session: the policy, the record and the operator. It belongs to one goroutine; Deployment.Read is the
// one method below it that others may call.
type Gate struct {
	cfg      Config
	reason   string
	changes  []string // carried out in this session, oldest first
	previews []Seen   // of the last statement, whose files are still there
	looked   map[string]*looked
	shown    shown
	loaded   map[string]bool // hashes of the files whose text is recorded
	screen   replay.Screen
	last     *Statement // the one that began last
	wrote    bool       // one before it changed something
}

// New begins a session on an open journal.
func New(cfg Config) (*Gate, error) {
	if cfg.Policy == nil {
		cfg.Policy = policy.Default()
	}
	g := &Gate{cfg: cfg, looked: map[string]*looked{}, loaded: map[string]bool{}}
	if cfg.Reason != "" {
		g.reason = replay.WithoutCredentials(cfg.Reason)
		if err := g.record(replay.KindReason, replay.Reason{Text: g.reason, Manner: "flag"}); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Seen is a plan that somebody saw and that was not carried out.
type Seen struct {
	Plan     *plan.Plan
	Text     string // the statement, secrets redacted
	Declined bool   // it was asked about; otherwise it was only previewed
}

// Previews are the plans that the last statement only previewed, or that were declined; their files go when the next one begins.
func (g *Gate) Previews() []Seen { return g.previews }

func (g *Gate) forgetPreviews() {
	for _, s := range g.previews {
		_ = s.Plan.Discard() // files that nobody refers to
	}
	g.previews = nil
}

// Close ends what the gate holds. The journal is its owner's to close.
func (g *Gate) Close() {
	g.endShown()
	g.forgetPreviews()
}

// Changes are the changes that were carried out in this session, oldest first.
func (g *Gate) Changes() []string { return g.changes }

// record appends an event without the passwords of connection strings, behind what was shown before it. It is durable at the next sync.
func (g *Gate) record(kind replay.Kind, body any) error {
	g.noteWrite(body)
	g.flushShown()
	if err := g.cfg.Journal.Append(kind, withoutCredentials(body)); err != nil {
		return fmt.Errorf("the record cannot be written: %w", err)
	}
	return nil
}

func (g *Gate) recordSync(kind replay.Kind, body any) error {
	if err := g.record(kind, body); err != nil {
		return err
	}
	if err := g.cfg.Journal.Sync(); err != nil {
		return fmt.Errorf("the record cannot be written: %w", err)
	}
	return nil
}

// recordSealed appends an event and seals the record behind it.
func (g *Gate) recordSealed(kind replay.Kind, body any) error {
	if err := g.record(kind, body); err != nil {
		return err
	}
	if err := g.cfg.Journal.Seal(); err != nil {
		return fmt.Errorf("the record cannot be sealed: %w", err)
	}
	return nil
}

// standing says that the record is not where it was written, before something is done that it would not know of.
func (g *Gate) standing(readBack bool) *Refused {
	if err := g.cfg.Journal.Standing(readBack); err != nil {
		return &Refused{Text: "the record is gone or was changed: " + err.Error(), Hints: []string{"state directory: " + g.cfg.StateDir, "leave, look at who touched it, and begin again"}}
	}
	return nil
}

// wait does nothing for a while, or until ctx ends.
func (g *Gate) wait(ctx context.Context, d time.Duration) {
	if g.cfg.Wait != nil {
		g.cfg.Wait(ctx, d)
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (g *Gate) changeDir(change string) string {
	return filepath.Join(g.cfg.StateDir, "changes", change)
}

// Target says which deployment to connect to.
type Target struct {
	URI      string
	Password func(user string) (string, error) // called when the URI has a user and no password; may be nil
	// Ours says that this process has just started the server, which is checked to be empty: evidence for development, used to load the demo's data.
	Ours bool
	// Inside says that the server runs inside this process, for this session: when it is slow, it is not busy with others.
	Inside bool
	// Profile that the URI comes from. What it says of the environment can only raise it.
	Profile environment.Profile
}

// Connect dials a deployment, finds out which environment it is, and records both.
func (g *Gate) Connect(ctx context.Context, t Target) (*Deployment, error) {
	server, err := wire.Dial(ctx, wire.Config{URI: t.URI, Password: t.Password})
	if err != nil {
		return nil, err
	}
	d := &Deployment{gate: g, server: server, target: t, main: cursors{}, side: cursors{}, databases: map[string]speaks{}, shapes: map[string]*knownShape{}}
	if err := d.classify(ctx); err != nil {
		return nil, errors.Join(err, server.Close(ctx))
	}
	if err := d.probe(ctx); err != nil {
		return nil, errors.Join(err, server.Close(ctx))
	}
	return d, nil
}
