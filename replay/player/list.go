package player

import (
	"strings"
	"time"

	"respect/replay"
	"respect/replay/journal"
)

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
func List(sessions []*journal.Session, f Filter) ([]Line, error) {
	changes, err := journal.Changes(sessions)
	if err != nil {
		return nil, err
	}
	undone := map[string]int{}
	for _, c := range changes {
		if c.Status == replay.StatusUndone {
			undone[c.Session]++
		}
	}
	lines := []Line{}
	for _, s := range sessions {
		l, err := Summarize(s)
		if err != nil {
			return nil, err
		}
		l.Undone = undone[s.ID]
		keep := l.Problems > 0 || f.line(l)
		if keep && l.Problems == 0 && f.Text != "" {
			hits, err := Search([]*journal.Session{s}, f.Text)
			if err != nil {
				return nil, err
			}
			keep = len(hits) > 0
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
