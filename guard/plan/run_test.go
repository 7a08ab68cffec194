package plan

import (
	"strings"
	"testing"
)

// TestWithoutSecrets: what may be a password is in no form of a command that is written down, not even while it is planned.
func TestWithoutSecrets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cmd    string
		secret bool
	}{
		{`{"createUser": "eve", "pwd": "kestrel", "roles": []}`, true},
		{`{"updateUser": "eve", "pwd": "kestrel"}`, true},
		{`{"setParameter": 1, "ldapQueryPassword": "kestrel"}`, true},
		{`{"setParameter": 1, "tlsX509ClusterAuthDNOverride": "cn", "opensslCipherSecret": "kestrel"}`, true},
		{`{"collMod": "users", "validator": {"pwd": {"$exists": true}}}`, false},
	} {
		in := raw(t, c.cmd)
		out, redacted, err := withoutSecrets(in)
		if err != nil || redacted != c.secret || strings.Contains(string(out), "kestrel") {
			t.Errorf("%s: %v, redacted %v (%v)", c.cmd, out, redacted, err)
		}
		if !c.secret && string(out) != string(in) {
			t.Errorf("%s was changed: %s", c.cmd, out)
		}
	}
}
