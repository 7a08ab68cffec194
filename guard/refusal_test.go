package guard_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"respect/guard"
)

// TestRefusalsSayWhatWouldAllowThem: the rule that a hint names lets the same command pass, once it was confirmed. Where no rule would, none is named.
func TestRefusalsSayWhatWouldAllowThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cmd, rule string }{
		{`{"compact": "users"}`, "policy: {production: {server: confirm}}"},
		{`admin: {"setParameter": 1, "cursorTimeoutMillis": 1}`, "policy: {production: {server: confirm}}"},
		{`admin: {"balancerStop": 1}`, "policy: {production: {cluster: confirm}}"},
		{`{"createUser": "eve", "pwd": "kestrel-7431", "roles": []}`, "policy: {production: {security: confirm}}"},
		{`{"frobnicate": 1}`, ""},
	} {
		s, _ := catalogueServer(t, "production")
		_, _, err := s.bench(t).run(c.cmd)
		var r *guard.Refused
		if !errors.As(err, &r) || len(r.Hints) != 1 {
			t.Fatalf("%s: %v", c.cmd, err)
		}
		at, rule, _ := strings.Cut(r.Hints[0], " in /etc/respect/policy.yaml: ")
		if rule != c.rule || rule != "" && at != "an administrator can allow it" {
			t.Errorf("%s: hint: %s", c.cmd, r.Hints[0])
		}
		if rule == "" {
			rule = "policy: {production: {unknown: confirm}}"
		}
		b := s.benchWith(t, rule)
		_, _, err = b.run(c.cmd)
		if allowed := !errors.As(err, &r) && len(b.op.asked) == 1; allowed != (c.rule != "") { // this server may not know it
			t.Errorf("%s under %s: %d questions, %v", c.cmd, rule, len(b.op.asked), err)
		}
		// Who forbids it himself is not told to ask the administrator.
		_, class, _ := strings.Cut(strings.TrimSuffix(rule, ": confirm}}"), "{production: {")
		if _, _, err = s.benchWith(t, "policy: {production: {"+class+": refuse}}").run(c.cmd); !errors.As(err, &r) || slices.ContainsFunc(r.Hints, func(h string) bool { return strings.Contains(h, "policy.yaml") }) {
			t.Errorf("%s, forbidden: %v", c.cmd, r)
		}
	}
}
