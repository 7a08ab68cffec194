// Package policy says what an environment asks of a command: run it, back up first, ask for a typed confirmation, ask for a second person, or
// refuse.
//
//	defaults, caps (here)                    ─┐
//	Parse(/etc/respect/policy.yaml)  ─► File ─┼► Combine ─► Policy ─► Decide, Size, limits
//	Parse(~/.config/…/policy.yaml)   ─► File ─┘    the second file can only tighten
//
// A policy is a table of numbers, one for each environment, class and setting, in which a smaller one is always stricter. That is what makes
// tightening a comparison. The files are strict YAML (yaml.go, file.go); profiles of connections are read here too (profile.go), since this
// package is the door of the YAML library.
//
// Pure: who reads the files, and who may have written them, is for the caller.
package policy

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

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
	// Large says that the size of the change asks for it.
	Large bool
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

// Caps of one statement: more than this in one plan is refused, since half a loop is worse than none. A file can only lower them: one plan holds
// no more.
const (
	MaxOperations   = 100_000
	MaxCommandBytes = 256 << 20
)

// MaxTimeMS is how long a read may take on production, in milliseconds, if it does not say so itself.
const MaxTimeMS = 60_000

// FullPreview is how many documents a preview looks at before it becomes an estimate.
const FullPreview = 1_000_000

// Pace is how gentle a change is to its server.
type Pace struct {
	Batch   time.Duration // a batch is made so large that it takes about this long
	Busy    int           // percent of the time spent on batches; the rest is rest
	MaxLag  time.Duration // the change waits while a secondary is further behind
	StopLag time.Duration // and stops where one is that far behind
}

// defaultPace is the pace in every environment.
var defaultPace = Pace{Batch: 250 * time.Millisecond, Busy: 100, MaxLag: 10 * time.Second, StopLag: 2 * time.Minute}

// setting is what is said of a class in an environment.
type setting uint8

const (
	action         setting = iota // an Action
	largeDocuments                // from more than these on,
	largeBytes                    // or these,
	largeAction                   // this Action at most
	maxTime                       // of a read, in milliseconds
	maxOperations                 // of a statement
	maxBytes                      // of a statement's commands
	paceBatch                     // of a change: how long a batch should take, in milliseconds
	paceBusy                      // how much of the time is spent on batches, in percent
	paceLag                       // how far a secondary may be behind, in milliseconds, before the change waits
	paceStop                      // and before it stops
	fullPreview                   // documents that a preview looks at without being asked for all
	volatileAction                // this Action at most, where the backup does not outlive the container or the boot
	lowerMarker                   // this Action for a marker that says less than before
	keepDropped                   // a dropped collection of more bytes is kept under another name, and not copied
)

// cell is a place in the table of a policy.
type cell struct {
	env   environment.Environment
	class command.Class
	what  setting
}

// value is what stands there. Of every setting the smaller number is the stricter one.
type value struct {
	n    int64
	from string // file:line; "" for what is built in
}

// none is the value where there is no limit.
const none = math.MaxInt64

// Policy is what is asked of each class in each environment, and which deployments are which environment. It is immutable. The zero value refuses all.
type Policy struct {
	table  map[cell]value
	rules  []environment.Rule
	record Record
}

// Default is the policy without any file.
func Default() *Policy {
	p := &Policy{table: map[cell]value{}, record: defaultRecord()}
	for env, row := range defaults {
		for class, a := range row {
			p.table[cell{env, class, action}] = value{n: int64(a)}
		}
		p.table[cell{env, command.DocumentWrite, maxOperations}] = value{n: MaxOperations}
		p.table[cell{env, command.DocumentWrite, maxBytes}] = value{n: MaxCommandBytes}
		p.table[cell{env, command.DocumentWrite, paceBatch}] = value{n: defaultPace.Batch.Milliseconds()}
		p.table[cell{env, command.DocumentWrite, paceBusy}] = value{n: int64(defaultPace.Busy)}
		p.table[cell{env, command.DocumentWrite, paceLag}] = value{n: defaultPace.MaxLag.Milliseconds()}
		p.table[cell{env, command.DocumentWrite, paceStop}] = value{n: defaultPace.StopLag.Milliseconds()}
		p.table[cell{env, command.DocumentWrite, fullPreview}] = value{n: FullPreview}
		p.table[cell{env, command.Security, lowerMarker}] = value{n: int64(Approve)}
	}
	p.table[cell{environment.Production, command.Schema, largeDocuments}] = value{n: LargeDocuments}
	p.table[cell{environment.Production, command.Schema, largeBytes}] = value{n: LargeBytes}
	p.table[cell{environment.Production, command.Read, maxTime}] = value{n: MaxTimeMS}
	return p
}

// look is what stands in the table. Where nothing stands there is no limit, and no class that may run.
func (p *Policy) look(env environment.Environment, c command.Class, what setting) value {
	v, ok := p.table[cell{env.Effective(), c, what}]
	switch {
	case ok:
		return v
	case what == action:
		return value{n: int64(Refuse)}
	case what == largeAction && p.hasLarge(env, c):
		return value{n: int64(Approve)}
	}
	return value{n: none}
}

// hasLarge says whether the size of a change matters.
func (p *Policy) hasLarge(env environment.Environment, c command.Class) bool {
	return p.look(env, c, largeDocuments).n != none || p.look(env, c, largeBytes).n != none
}

// Rules say which environment a deployment is.
func (p *Policy) Rules() []environment.Rule { return slices.Clone(p.rules) }

// MaxTimeMS is how long a read may take, in milliseconds, if it does not say so itself; 0 is as long as it takes.
func (p *Policy) MaxTimeMS(env environment.Environment) int64 {
	if v := p.look(env, command.Read, maxTime).n; v != none {
		return v
	}
	return 0
}

// MaxOperations is how many operations a statement may queue.
func (p *Policy) MaxOperations(env environment.Environment) int64 {
	return min(p.look(env, command.DocumentWrite, maxOperations).n, MaxOperations)
}

// MaxCommandBytes is how large the commands may be that a statement queues.
func (p *Policy) MaxCommandBytes(env environment.Environment) int64 {
	return min(p.look(env, command.DocumentWrite, maxBytes).n, MaxCommandBytes)
}

// Pace is how gentle a change has to be.
func (p *Policy) Pace(env environment.Environment) Pace {
	of := func(what setting) time.Duration {
		return time.Duration(min(p.look(env, command.DocumentWrite, what).n, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond
	}
	return Pace{Batch: of(paceBatch), Busy: int(min(p.look(env, command.DocumentWrite, paceBusy).n, 100)), MaxLag: of(paceLag), StopLag: of(paceStop)}
}

// FullPreview is how many documents a preview looks at without being asked for all of them.
func (p *Policy) FullPreview(env environment.Environment) int64 {
	return p.look(env, command.DocumentWrite, fullPreview).n
}

// Volatile tightens a verdict for a change whose backup would be on storage that does not outlive this container or boot.
func (p *Policy) Volatile(v Verdict, env environment.Environment, c command.Class) Verdict {
	asked := p.look(env, c, volatileAction)
	if int64(v.Action) <= asked.n {
		return v
	}
	v.Action = Action(asked.n)
	v.Why = fmt.Sprintf("%s work on %s whose backup would not outlive this container or boot %s%s", kind(c), called(env), v.Action.sentence(), says(asked))
	return v
}

// LowerMarker is what a marker of env asks before it is made to say less. Only the administrator's file can make it less than a second person.
func (p *Policy) LowerMarker(env environment.Environment) Verdict {
	asked := p.look(env, command.Security, lowerMarker)
	v := Verdict{Action: Action(asked.n), AskReason: true}
	v.Why = fmt.Sprintf("lowering a marker of %s %s%s", called(env), v.Action.sentence(), says(asked))
	return v
}

// KeepsDropped says whether a collection of so many bytes is kept under another name when it is dropped, instead of being copied.
func (p *Policy) KeepsDropped(env environment.Environment, bytes int64) bool {
	return bytes > p.look(env, command.Schema, keepDropped).n
}

// Decide says what env asks for a command of class c.
func (p *Policy) Decide(env environment.Environment, c command.Class) Verdict {
	asked := p.look(env, c, action)
	v := Verdict{Action: Action(asked.n)}
	v.Why = fmt.Sprintf("%s work on %s %s%s", kind(c), called(env), v.Action.sentence(), says(asked))
	v.AskReason = env.Effective() == environment.Production && v.Guarded() && v.Action != Refuse
	return v
}

func called(env environment.Environment) string {
	if env == environment.Unknown {
		return "an unknown environment (treated as production)"
	}
	return env.String()
}

// says names the file that says so, if one does.
func says(v value) string {
	if v.from == "" {
		return ""
	}
	return " (" + v.from + ")"
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

// Size tightens a verdict for a change that takes much with it.
func (p *Policy) Size(v Verdict, env environment.Environment, c command.Class, documents, bytes int64) Verdict {
	docs, size := p.look(env, c, largeDocuments), p.look(env, c, largeBytes)
	asked := p.look(env, c, largeAction)
	if documents <= docs.n && bytes <= size.n || int64(v.Action) <= asked.n {
		return v
	}
	v.Action, v.Large = Action(asked.n), true
	var over []string
	if docs.n != none {
		over = append(over, fmt.Sprintf("%d documents%s", docs.n, says(docs)))
	}
	if size.n != none {
		over = append(over, inUnits(size.n, byteUnits)+says(size))
	}
	v.Why = fmt.Sprintf("%s work on %s over %s %s%s", kind(c), called(env), strings.Join(over, " or "), v.Action.sentence(), says(asked))
	return v
}
