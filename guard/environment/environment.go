// Package environment finds out which environment a deployment is: development, staging, production, or unknown, which is
// treated as production.
//
//	collectors (collect.go, local_linux.go) ─► Observation ─► Judge ─► []Evidence ─► Classify ─► Environment
//	  read-only commands, /proc                 a value        pure      with reasons   pure       the most dangerous answer wins
//
// Evidence comes from the server's own marker, from the rules of policy files and from profiles, from what the server says of itself, from
// names, and, for a server on loopback, from the process table of this machine. Loopback alone says nothing: localhost:27017 may be a tunnel.
//
// Which server it is, is another question, and has its own value: Identity (identity.go), with three answers to whether two are the same. It decides for whom
// a marker speaks, and package guard asks it before each write (check.go).
package environment

import (
	"slices"

	"respect/replay"
)

// Environment of a deployment. The zero value is Unknown.
type Environment uint8

// The environments.
const (
	Unknown Environment = iota // treated as production
	Development
	Staging
	Production
)

var names = [...]string{"unknown", "development", "staging", "production"}

// String is the environment's name as it stands in markers, policy files and JSON.
func (e Environment) String() string {
	if int(e) < len(names) {
		return names[e]
	}
	return names[Unknown]
}

// Parse is the inverse of String for the three that can be given.
func Parse(s string) (Environment, bool) {
	i := slices.Index(names[:], s)
	return Environment(max(i, 0)), i > 0
}

// Effective is the environment whose rules apply: those of production for Unknown.
func (e Environment) Effective() Environment {
	if e == Unknown {
		return Production
	}
	return e
}

// danger orders environments: what is said to be production is more certain than what is unknown.
func (e Environment) danger() int {
	return map[Environment]int{Development: 0, Staging: 1, Unknown: 2, Production: 3}[e]
}

// Max is the more dangerous of two.
func Max(a, b Environment) Environment {
	if b.danger() > a.danger() {
		return b
	}
	return a
}

// Evidence is one thing that was seen and what it says.
type Evidence struct {
	Source string      // marker, policy, profile, server, name, loopback, process
	Says   Environment // only if Decides
	// Decides is false for what is shown and says nothing about the environment.
	Decides bool
	// Raises: it counts only upwards. Without other evidence the environment stays unknown, which is above all but production.
	Raises bool
	// StandsBack: it counts only where nothing else decides.
	StandsBack bool
	Why        string // a sentence; may hold untrusted text
	Scope      string // the one database that it speaks for; "" for the deployment
}

// Record is the evidence as the journal has it.
func (e Evidence) Record() replay.Evidence {
	r := replay.Evidence{Source: e.Source, Why: e.Why, Scope: e.Scope}
	if e.Decides {
		r.Says = e.Says.String()
	}
	return r
}

// Classify is the most dangerous answer among those that speak for the deployment and, if db is not "", for that database.
// Without any answer, apart from those that only raise, it is Unknown.
func Classify(evidence []Evidence, db string) Environment {
	var first, last, raised []Environment
	for _, e := range evidence {
		switch {
		case !e.Decides || (e.Scope != "" && e.Scope != db):
		case e.Raises:
			raised = append(raised, e.Says)
		case e.StandsBack:
			last = append(last, e.Says)
		default:
			first = append(first, e.Says)
		}
	}
	switch {
	case len(first) > 0:
		return highest(append(first, raised...))
	case len(last) > 0:
		return highest(append(last, raised...))
	}
	return highest(append(raised, Unknown))
}

// highest is the most dangerous of some.
func highest(all []Environment) Environment {
	return slices.MaxFunc(all, func(a, b Environment) int { return a.danger() - b.danger() })
}

// Disagree says whether evidence for one thing gives different answers.
func Disagree(evidence []Evidence) bool {
	var said []Environment
	for _, e := range evidence {
		if e.Decides && !e.StandsBack && !slices.Contains(said, e.Says) {
			said = append(said, e.Says)
		}
	}
	return len(said) > 1
}
