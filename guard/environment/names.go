package environment

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"
)

// Names raise: a word for production counts wherever it stands. Words for staging and development lower to staging at most, since what is lowered wrongly is
// then still backed up, and only where they stand as somebody who runs servers has put them: as a whole label below the registered domain of the host that was
// dialled, or in the set's name. acme.dev and sandbox.co are organisations, hosts that are only listed may never be reached, and everybody calls databases
// and users as they like.
var (
	productionWords  = []string{"prod", "prd", "live", "production"}
	stagingWords     = []string{"staging", "stage", "stg", "uat", "qa", "preprod", "preproduction"}
	developmentWords = []string{"dev", "develop", "development", "sandbox", "test", "testing"}
)

func judgeNames(o Observation) []Evidence {
	out := raisingNames(o)
	for _, lower := range []struct {
		what, name string
		words      []string
	}{
		{"the host that was dialled", o.Address, labels(o)},
		{"the replica set's name", o.SetName, wholeWords(o.SetName)},
	} {
		if e, ok := lowering(lower.what, lower.name, lower.words); ok {
			out = append(out, e)
		}
	}
	return out
}

// raisingNames are those that hold a word for production.
func raisingNames(o Observation) (out []Evidence) {
	listed := "the host name"
	if o.SRV {
		listed = "the service name"
	}
	type named struct{ what, name string }
	names := []named{}
	for _, h := range o.Hosts {
		names = append(names, named{listed, h})
	}
	names = append(names, named{"the host that was dialled", o.Address}, named{"the replica set's name", o.SetName}, named{"the server calls itself", o.Me},
		named{"the server calls itself", o.ServerHost}, named{"the server's machine", o.Hostname})
	for _, m := range o.Members {
		names = append(names, named{"the member", m})
	}
	names = append(names, named{"the database user", o.User})
	seen := map[string]bool{}
	for _, n := range names {
		if word := containsWord(n.name, productionWords); word != "" && !seen[n.name] {
			seen[n.name] = true
			out = append(out, Evidence{Source: "name", Says: Production, Decides: true, Why: fmt.Sprintf("%s %q contains %q", n.what, n.name, word)})
		}
	}
	return out
}

// lowering is what a name says with a word for staging or development. One that says development stands back behind everything else: it is no reason
// to take what a marker calls development for more.
func lowering(what, name string, words []string) (Evidence, bool) {
	for _, word := range words {
		e := Evidence{Source: "name", Says: Staging, Decides: true, Why: fmt.Sprintf("%s %q has the word %q", what, name, word)}
		switch {
		case slices.Contains(stagingWords, word):
			return e, true
		case slices.Contains(developmentWords, word):
			e.StandsBack, e.Why = true, e.Why+" (a name lowers to staging at most)"
			return e, true
		}
	}
	return Evidence{}, false
}

var label = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)

// labels are those of the host that was dialled that stand below its registered domain; none if that cannot be said, or if the host is this machine: a name
// for a tunnel says nothing.
func labels(o Observation) []string {
	host, _, err := net.SplitHostPort(o.Address)
	if err != nil {
		host = o.Address
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if _, err := netip.ParseAddr(host); err == nil || len(o.Remote) == 0 || o.Here() {
		return nil
	}
	all := strings.Split(host, ".")
	for _, l := range all {
		if !label.MatchString(l) {
			return nil // not what a resolver would have understood; also names outside of ASCII, which the list has in another form
		}
	}
	registered, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return nil // a top-level domain, or a name without one
	}
	return all[:len(all)-1-strings.Count(registered, ".")]
}

// wholeWords are the words of a name between characters that are neither letters nor digits.
func wholeWords(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// containsWord finds a word that stands alone: between characters that are no letters, or between letters of different case (prodEU).
func containsWord(name string, words []string) string {
	var b strings.Builder
	prev := ' '
	for _, r := range name {
		if unicode.IsUpper(r) && unicode.IsLower(prev) {
			b.WriteByte(' ')
		}
		prev = r
		if unicode.IsLetter(r) {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteByte(' ')
		}
	}
	for _, part := range strings.Fields(b.String()) {
		if slices.Contains(words, part) {
			return part
		}
	}
	return ""
}

// JudgeDatabase says what a database's name means, for commands that write to it. It can only raise: "test" is the default
// database everywhere.
func JudgeDatabase(db string) []Evidence {
	if w := containsWord(db, productionWords); w != "" {
		return []Evidence{{Source: "name", Says: Production, Decides: true, Scope: db, Why: fmt.Sprintf("the database name %q contains %q", db, w)}}
	}
	return nil
}
