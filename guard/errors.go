package guard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/internal/wire"
	"respect/replay"
)

// Refused is what the guard did not let through, or what the operator declined. Nothing of it was sent.
type Refused struct {
	Text     string   // what was wrong
	Hints    []string // what to do
	Code     string   // a fact's code, where one says it
	Declined bool     // the operator's answer
	Record   bool     // the record, or what it vouches for, does not verify
	// Applied is what the same statement changed before: ids of changes, and in words what was written without a plan.
	Applied []string
}

// Error implements error.
func (r *Refused) Error() string { return "refused: " + r.Text }

// Lines are the refusal as it is shown: what was wrong, what to do, whether anything was changed.
func (r *Refused) Lines() []string {
	out := []string{"refused: " + r.Text}
	for _, h := range r.Hints {
		out = append(out, "hint: "+h)
	}
	if len(r.Applied) > 0 {
		return append(out, "nothing further was changed; already applied: "+strings.Join(r.Applied, ", "))
	}
	return append(out, "nothing was changed")
}

// ErrIncomplete ends a preview at a point where later code depends on what was only planned.
var ErrIncomplete = errors.New("what follows depends on this change, and a preview carries nothing out")

// ServerError is the server's answer to a command that it did not carry out.
type ServerError struct {
	Code     int32
	Name     string
	Message  string   // untrusted text
	Foreseen bool     // the preview knew it: nothing was sent
	Planning bool     // it refused a read of the plan: nothing else was sent
	Embedded bool     // the embedded server said so, of something that MongoDB can do
	Bulk     bool     // it is about one of several statements of a command: Reply tells which, and what the others did
	Reply    bson.Raw // the server's answer, or what it would be; nil if that is not known
	Bounded  int64    // a read took longer than these milliseconds, which policy gives it; 0 if that was not it
}

// Error implements error.
func (e *ServerError) Error() string {
	s := "MongoServerError"
	if e.Reply.Lookup("writeErrors").Type != 0 && e.Bulk {
		s = "MongoBulkWriteError"
	}
	if e.Name != "" {
		s += "[" + e.Name + "]"
	}
	s += ": " + replay.Safe(e.Message) // it is one line: nothing in it can pass for a line of ours
	if e.Foreseen {
		s += " (foreseen by the preview; nothing was sent)"
	}
	if e.Planning {
		s += " (asked for the preview; nothing was changed)"
	}
	if e.Embedded {
		s += "\nnote: this is the embedded server (FerretDB), which cannot do this; MongoDB may"
	}
	if e.Bounded > 0 {
		s += fmt.Sprintf("\nnote: here a read may take %v, unless it says .maxTimeMS(n) itself", time.Duration(e.Bounded)*time.Millisecond)
	}
	return s
}

// ErrUnknownOutcome is wrapped by the error of an unguarded write whose answer was lost.
var ErrUnknownOutcome = errors.New("the connection was lost and the outcome is unknown: look before you type it again")

// fromWire turns an error of the connection into one for people.
func (d *Deployment) fromWire(err error, write bool) error {
	e, ok := wire.AsError(err)
	switch {
	case !ok:
		return err
	case e.Answered():
		// 50 MaxTimeMSExpired, 59 CommandNotFound, 238 NotImplemented: https://www.mongodb.com/docs/manual/reference/error-codes/
		se := &ServerError{Code: e.Code, Name: e.Name, Message: e.Message, Reply: e.Reply, Embedded: d.software.embedded && (e.Code == 238 || e.Code == 59)}
		if !write && e.Code == 50 {
			se.Bounded = d.gate.cfg.Policy.MaxTimeMS(d.env)
		}
		return se
	case e.Canceled && !write:
		return errInterrupted
	case write && e.Sent:
		return fmt.Errorf("%w (%s)", ErrUnknownOutcome, e.Message)
	case d.software.embedded && e.Sent:
		return fmt.Errorf("the connection to the embedded server (FerretDB) was closed before it answered: %s; if it still runs, this may be a value that it cannot store, such as Decimal128 or NaN", e.Message)
	}
	return fmt.Errorf("the server at %s cannot be reached: %s", d.server.Address(), e.Message)
}

// Ended is the cause of a context's end, if that is not the operator's Ctrl-C: a signal, an output that cannot be written.
type Ended struct{ Why string } // for example: by the signal SIGTERM

// Error implements error.
func (e *Ended) Error() string { return "ended " + e.Why }

// endedBy is why a context ended, if somebody else than the operator ended it.
func endedBy(ctx context.Context) *Ended {
	var e *Ended
	if errors.As(context.Cause(ctx), &e) {
		return e
	}
	return nil
}

var errInterrupted = errors.New("interrupted")

// Interrupted says whether an error is of a read that was ended with Ctrl-C.
func Interrupted(err error) bool { return errors.Is(err, errInterrupted) }
