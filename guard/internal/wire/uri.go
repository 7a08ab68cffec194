package wire

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The parts of a connection string that matter before anything is dialled. The driver's own parser looks
// up SRV records, which a redaction must not do.

func splitURI(uri string) (scheme, user, password, hosts, rest string, ok bool) {
	scheme, tail, ok := strings.Cut(uri, "://")
	if !ok {
		return "", "", "", "", "", false
	}
	authority := tail
	if i := strings.IndexAny(tail, "/?"); i >= 0 {
		// A password may hold an unescaped slash or question mark by mistake: what stands before the last "@" is secret.
		if at := strings.LastIndexByte(tail, '@'); at > i {
			i = at + strings.IndexAny(tail[at:]+"/", "/?")
		}
		authority, rest = tail[:i], tail[i:]
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user, password, _ = strings.Cut(authority[:at], ":")
		authority = authority[at+1:]
	}
	return scheme, user, password, authority, rest, true
}

func checkScheme(uri string) error {
	if !strings.HasPrefix(uri, "mongodb://") && !strings.HasPrefix(uri, "mongodb+srv://") {
		return fmt.Errorf("connection string: %q does not begin with mongodb:// or mongodb+srv://", Redact(uri))
	}
	return nil
}

// Redact is the connection string without its password and without values that may be secret, for people and for the record.
func Redact(uri string) string {
	scheme, user, password, hosts, rest, ok := splitURI(uri)
	if !ok {
		if i := strings.LastIndexByte(uri, '@'); i >= 0 {
			return "***" + uri[i:]
		}
		return uri
	}
	var b strings.Builder
	b.WriteString(scheme + "://")
	if user != "" || password != "" {
		b.WriteString(user)
		if password != "" {
			b.WriteString(":***")
		}
		b.WriteByte('@')
	}
	b.WriteString(hosts)
	path, query, has := strings.Cut(rest, "?")
	b.WriteString(path)
	if has {
		params := strings.Split(query, "&")
		for i, p := range params {
			key, _, _ := strings.Cut(p, "=")
			if k := strings.ToLower(key); strings.Contains(k, "password") || k == "authmechanismproperties" {
				params[i] = key + "=***"
			}
		}
		b.WriteString("?" + strings.Join(params, "&"))
	}
	return b.String()
}

// WithoutPassword is the connection string with the password taken out and all else kept, so that it can be dialled again after
// asking for it. That is what a change remembers.
func WithoutPassword(uri string) string {
	scheme, user, password, hosts, rest, ok := splitURI(uri)
	if !ok || password == "" {
		return uri
	}
	return scheme + "://" + user + "@" + hosts + rest
}

// withStandIn is the connection string with something in place of a password that it lacks; asks is false if it needs none, or has one.
func withStandIn(uri string) (with string, asks bool) {
	scheme, user, password, hosts, rest, ok := splitURI(uri)
	if !ok || user == "" || password != "" || strings.HasPrefix(uri, scheme+"://"+user+":") || !needsPassword(rest) {
		return uri, false
	}
	return scheme + "://" + user + ":x@" + hosts + rest, true
}

// needsPassword says whether the authentication mechanism of a connection string's options takes one.
func needsPassword(rest string) bool {
	_, query, _ := strings.Cut(rest, "?")
	for _, p := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		if key, value, _ := strings.Cut(p, "="); strings.EqualFold(key, "authMechanism") {
			return slices.Contains([]string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "MONGODB-CR", ""}, strings.ToUpper(value))
		}
	}
	return true
}

// Database is the default database that the connection string names, or "".
func Database(uri string) string {
	_, _, _, _, rest, ok := splitURI(uri)
	if !ok || !strings.HasPrefix(rest, "/") {
		return ""
	}
	path, _, _ := strings.Cut(rest[1:], "?")
	if db, err := url.PathUnescape(path); err == nil {
		return db
	}
	return path
}

// User is the user that the connection string names, or "".
func User(uri string) string {
	_, user, _, _, _, _ := splitURI(uri)
	if u, err := url.PathUnescape(user); err == nil {
		return u
	}
	return user
}

// Hosts are the hosts that the connection string names, with ports where given; for mongodb+srv the one service name.
func Hosts(uri string) []string {
	_, _, _, hosts, _, ok := splitURI(uri)
	if !ok || hosts == "" {
		return nil
	}
	return strings.Split(hosts, ",")
}
