package player

import (
	"errors"
	"slices"
	"strings"
	"time"

	"respect/replay"
)

// Line is one session in a list.
type Line struct {
	Session     string    `json:"session"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"` // of the last event
	User        string    `json:"user"`
	Host        string    `json:"host"`
	Deployments []string  `json:"deployments"`
	Environment string    `json:"environment"` // the most dangerous
	Statements  int       `json:"statements"`  // that were run or previewed
	Changes     int       `json:"changes"`
	Undone      int       `json:"undone"`    // changes that were taken back since; List fills it
	Unguarded   int       `json:"unguarded"` // writes that no question was asked about, and no backup made
	Declined    int       `json:"declined"`  // questions that were not answered as they wanted
	Refusals    int       `json:"refusals"`
	State       string    `json:"state"`     // closed, running, cut off
	Problems    int       `json:"problems"`  // of its record, by itself and in what others say of it
	Witnessed   bool      `json:"witnessed"` // to its last seal
	Verifies    bool      `json:"verifies"`  // as replay verify says it, of the session and of the state directory as a whole
	Verdict     string    `json:"verdict"`   // in words
	Reasons     []string  `json:"reasons"`   // that were given

	DatabaseUsers []string `json:"databaseUsers"`
	environments  []string
	addresses     []string
}

var danger = map[string]int{"development": 1, "staging": 2, "unknown": 3, "production": 4}

// Summarize makes the list's line of a session.
func (r Record) Summarize() (Line, error) {
	s := r.Session
	l := Line{
		Session: s.ID, User: s.Open.Who.User, Host: s.Open.Who.Host, Deployments: []string{}, DatabaseUsers: []string{}, Problems: r.problems(), State: r.State(),
		Witnessed: s.Witnessed, Verifies: len(r.Problems()) == 0, Verdict: r.Verdict(), Reasons: []string{},
	}
	return l, r.events(func(e replay.Event) error {
		if l.Start.IsZero() {
			l.Start = e.Time
		}
		l.End = e.Time
		return l.count(e)
	})
}

// count adds one event to a line.
func (l *Line) count(e replay.Event) error {
	count := map[replay.Kind]func() error{
		replay.KindConnect: into(e, func(c replay.Connect) {
			if len(l.Deployments) == 0 || l.Deployments[len(l.Deployments)-1] != c.Deployment {
				l.Deployments = append(l.Deployments, c.Deployment)
			}
			if danger[c.Environment] > danger[l.Environment] {
				l.Environment = c.Environment
			}
			l.environments, l.addresses = append(l.environments, c.Environment), append(l.addresses, c.Address)
			if c.User != "" && !slices.Contains(l.DatabaseUsers, c.User) {
				l.DatabaseUsers = append(l.DatabaseUsers, c.User)
			}
		}),
		replay.KindReason: into(e, func(b replay.Reason) {
			if b.Manner != "aborted" && !slices.Contains(l.Reasons, b.Text) {
				l.Reasons = append(l.Reasons, b.Text)
			}
		}),
		replay.KindInput: into(e, func(i replay.Input) {
			if i.Mode != "dropped" {
				l.Statements++
			}
		}),
		replay.KindIntent:  func() error { l.Changes++; return nil },
		replay.KindRefused: func() error { l.Refusals++; return nil },
		replay.KindCommand: into(e, func(c replay.Command) {
			if unguarded(c) {
				l.Unguarded++
			}
		}),
		replay.KindDecided: into(e, func(d replay.Decided) {
			if !d.Accepted && d.Why != anotherPlan {
				l.Declined++
			}
		}),
	}[e.Kind]
	if count == nil {
		return nil
	}
	return count()
}

// reads says whether a command only reads, or is of a session's upkeep.
func reads(c replay.Command) bool { return c.Class == "read" || c.Class == "session" }

// unguarded says whether a command wrote outside of a change.
func unguarded(c replay.Command) bool { return !reads(c) && c.Change == "" }

// Filter says which sessions are wanted. Its zero value wants all.
type Filter struct {
	User        string    // part of the name at the operating system, or of a database user
	Deployment  string    // part of a deployment's name or address
	Environment string    // the beginning of its name
	Since       time.Time // the session was not over before this
	Until       time.Time // the session had begun before this
	Writes      bool      // something was written, guarded or not
	Undone      bool      // a change of it was taken back since
	Refusals    bool      // something was refused, or a question was declined
	Text        string    // stands somewhere in it
}

// List makes the lines of the sessions that a filter lets through. A session that does not verify is always among them: what its record
// hides cannot be told, and a filter must not hide it.
func (a *Archive) List(f Filter) ([]Line, error) {
	undone := map[string]int{}
	for _, c := range a.Record.Changes {
		if c.Status == replay.StatusUndone {
			undone[c.Session]++
		}
	}
	lines := []Line{}
	for _, r := range a.Sessions() {
		l, err := r.Summarize()
		if err != nil {
			return nil, err
		}
		l.Undone = undone[l.Session]
		keep := l.Problems > 0 || f.line(l)
		if keep && l.Problems == 0 && f.Text != "" {
			err := r.Search(f.Text, func(Hit) error { return errEnough })
			if err != nil && !errors.Is(err, errEnough) {
				return nil, err
			}
			keep = err != nil
		}
		if keep {
			lines = append(lines, l)
		}
	}
	return lines, nil
}

func (f Filter) line(l Line) bool {
	switch {
	case !some(f.User, append([]string{l.User, l.User + "@" + l.Host}, l.DatabaseUsers...)),
		!some(f.Deployment, append(l.addresses, l.Deployments...)),
		!f.Since.IsZero() && l.End.Before(f.Since),
		!f.Until.IsZero() && !l.Start.Before(f.Until),
		f.Writes && l.Changes+l.Unguarded == 0,
		f.Undone && l.Undone == 0,
		f.Refusals && l.Refusals+l.Declined == 0:
		return false
	}
	for _, e := range l.environments {
		if strings.HasPrefix(e, strings.ToLower(f.Environment)) {
			return true
		}
	}
	return f.Environment == ""
}

// some says whether part stands in one of the texts, in any case.
func some(part string, texts []string) bool {
	if part == "" {
		return true
	}
	for _, t := range texts {
		if fold(t, part) >= 0 {
			return true
		}
	}
	return false
}
