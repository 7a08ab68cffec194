// Package policy says what an environment asks of a command: run it, back up first, ask for a typed confirmation, ask for a second person, or
// refuse.
//
// Pure. The default policy is one table (defaults); reading a policy file that tightens it is not built yet.
package policy

import (
	"fmt"

	"respect/guard/command"
	"respect/guard/environment"
)

// Action is what must happen before a command is sent. The zero value refuses.
type Action uint8

// The actions, from the strictest to the freest.
const (
	Refuse  Action = iota // not at all
	Approve               // preview, backup, typed confirmation, and a second person
	Confirm               // preview, backup, typed confirmation
	Backup                // backup, without a question
	Run                   // send it
)

var actionNames = [...]string{"refuse", "second person", "confirm", "back up", "run"}

// String is the action in words.
func (a Action) String() string { return actionNames[a] }

// sentence is what the action means for a command.
func (a Action) sentence() string {
	return [...]string{"is refused", "needs a second person", "must be confirmed", "is backed up first", "runs"}[a]
}

// Verdict is an action with its reason.
type Verdict struct {
	Action Action
	// Why says which rule gives this action, in a sentence.
	Why string
	// AskReason says that the session must have said what it is for.
	AskReason bool
}

// Guarded says whether the command may only run as a plan that was backed up.
func (v Verdict) Guarded() bool { return v.Action < Run }

// defaults is the whole default policy. A class that is missing in a row is refused.
var defaults = map[environment.Environment]map[command.Class]Action{
	environment.Development: {
		command.Read: Run, command.Session: Run, command.DocumentWrite: Run, command.Schema: Run, command.Operations: Run,
		command.Security: Run, command.Cluster: Run, command.Server: Run, command.Unknown: Run,
	},
	environment.Staging: {
		command.Read: Run, command.Session: Run, command.DocumentWrite: Backup, command.Schema: Confirm, command.Operations: Run,
		command.Security: Confirm, command.Cluster: Confirm, command.Server: Confirm, command.Unknown: Confirm,
	},
	environment.Production: {
		command.Read: Run, command.Session: Run, command.DocumentWrite: Confirm, command.Schema: Confirm, command.Operations: Confirm,
		command.Security: Refuse, command.Cluster: Refuse, command.Server: Refuse, command.Unknown: Refuse,
	},
}

// The sizes from which schema work on production needs a second person.
const (
	LargeDocuments = 10_000
	LargeBytes     = 1 << 30
)

// Caps of one statement: more than this in one plan is refused, since half a loop is worse than none.
const (
	MaxOperations   = 100_000
	MaxCommandBytes = 256 << 20
)

// MaxTimeMS is how long a read may take on production, in milliseconds, if it does not say so itself.
const MaxTimeMS = 60_000

// Decide says what env asks for a command of class c.
func Decide(env environment.Environment, c command.Class) Verdict {
	v := Verdict{Action: defaults[env.Effective()][c]}
	called := env.String()
	if env == environment.Unknown {
		called = "an unknown environment (treated as production)"
	}
	v.Why = fmt.Sprintf("%s work on %s %s", kind(c), called, v.Action.sentence())
	v.AskReason = env.Effective() == environment.Production && v.Guarded() && v.Action != Refuse
	return v
}

// kind is a class as it stands before "work".
func kind(c command.Class) string {
	switch c {
	case command.DocumentWrite:
		return "document"
	case command.Unknown:
		return "unknown"
	}
	return c.String()
}

// Size tightens a verdict for schema work on production that takes much with it.
func Size(v Verdict, env environment.Environment, c command.Class, documents, bytes int64) Verdict {
	if env.Effective() != environment.Production || c != command.Schema || v.Action < Approve {
		return v
	}
	if documents <= LargeDocuments && bytes <= LargeBytes {
		return v
	}
	v.Action = Approve
	v.Why = fmt.Sprintf("%s work on %s over %d documents or %d MiB %s", c, env, LargeDocuments, LargeBytes>>20, v.Action.sentence())
	return v
}
