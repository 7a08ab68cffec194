package replay

import (
	"regexp"
	"strings"
	"unicode"
)

var (
	// uriScheme begins a connection string, also as it stands in a literal of JavaScript or JSON.
	uriScheme = regexp.MustCompile(`(?i)mongodb(?:(?:\+|\\x2b|\\u002b)srv)?(?::|\\x3a|\\u003a)(?:\\?/|\\x2f|\\u002f){2}`)
	uriAt     = regexp.MustCompile(`(?i)@|\\x40|\\u0040|\\u\{0*40\}|\\100`)
	uriColon  = regexp.MustCompile(`(?i)[:@]|\\x3a|\\u003a|\\u\{0*3a\}|\\72|\\x40|\\u0040|\\u\{0*40\}|\\100`)
	// uriHosts is a complete list of hosts: what stands behind a colon is a port.
	uriHosts = regexp.MustCompile(`^(?:\[[0-9a-fA-F:.%]*\]|[^:,\[\]{}$]+)(?::[0-9]{1,5})?(?:,(?:\[[0-9a-fA-F:.%]*\]|[^:,\[\]{}$]+)(?::[0-9]{1,5})?)*,?$`)
	// uriOption are options of a connection string that hold secrets.
	uriOption = regexp.MustCompile(`(?i)((?:[?&;]|\\x26|\\u0026)(?:[a-z]*passwo?r?d[a-z]*|[a-z]*passphrase|authmechanismproperties)=)[^&;\s]+`)
	// awsToken is a session token wherever it stands.
	awsToken = regexp.MustCompile("(?i)(AWS_SESSION_TOKEN\\\\?[\"'`]?\\s*[:=]\\s*\\\\?[\"'`]?)[^\\s&,;\"'`\\\\]+")
)

// WithoutCredentials is text in which the passwords of connection strings, and what else of them is secret, stand as ***. It is for prose, for error messages and
// for code alike, and errs on the side of hiding more: a password may hold by mistake what should stand escaped.
// WithoutCredentials(WithoutCredentials(s)) == WithoutCredentials(s).
func WithoutCredentials(text string) string {
	if !mayHoldCredentials(text) {
		return text // by far the most text, and it may be long
	}
	var b strings.Builder
	done := 0
	for _, u := range ConnectionStrings(text) {
		if u.Begin < done {
			continue // within one that was hidden
		}
		b.WriteString(text[done:u.Begin])
		b.WriteString(u.hidden(text[u.Begin:u.End]))
		done = u.End
	}
	b.WriteString(text[done:])
	return awsToken.ReplaceAllString(b.String(), "$1***")
}

func mayHoldCredentials(text string) bool {
	for _, sign := range []string{":/", `:\`, `\x3a`, `\x3A`, `\u003a`, `\u003A`, "AWS_SESSION_TOKEN", "aws_session_token"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// ConnectionString is where one stands in a text: what follows its scheme.
type ConnectionString struct {
	Begin, End int
	Quoted     bool // it is a literal, and Text[End] is its quote
	Whole      bool // its hosts are all there: nothing more of it can hold a password
}

// ConnectionStrings are those that a text holds.
func ConnectionStrings(text string) (out []ConnectionString) {
	for _, at := range uriScheme.FindAllStringIndex(text, -1) {
		u := ConnectionString{Begin: at[1]}
		u.End, u.Quoted = literalEnd(text, at[0], at[1])
		if !uriAt.MatchString(text[u.Begin:u.End]) {
			hosts := text[u.Begin:u.End]
			end := strings.IndexAny(hosts, `/?\`)
			if end >= 0 {
				hosts = hosts[:end]
			}
			fine := uriHosts.MatchString(strings.TrimRight(hosts, `.:;)]}'"`+"`"))
			u.Whole = fine && (end >= 0 || !u.Quoted)
			if !fine && hosts != "" { // a password that holds a quote or a space: it goes on to the last @ of the line
				line := text[u.Begin:]
				if i := strings.IndexByte(line, '\n'); i >= 0 {
					line = line[:i]
				}
				if ats := uriAt.FindAllStringIndex(line, -1); len(ats) > 0 && u.Begin+ats[len(ats)-1][1] > u.End {
					u.End, u.Quoted = u.Begin+ats[len(ats)-1][1], false
				}
			}
		} else {
			u.Whole = true
		}
		out = append(out, u)
	}
	return out
}

// literalEnd is where a connection string ends: at the quote that it began with, or at a space.
func literalEnd(text string, scheme, begin int) (end int, quoted bool) {
	if scheme > 0 && strings.IndexByte("'\"`", text[scheme-1]) >= 0 {
		quote, depth := text[scheme-1], backslashes(text[:scheme-1])
		for i := begin; i < len(text); i++ {
			if text[i] == '\n' && quote != '`' {
				break
			}
			if text[i] == quote && backslashes(text[begin:i]) <= depth {
				return i - min(backslashes(text[begin:i]), depth), true
			}
		}
	}
	if i := strings.IndexFunc(text[begin:], unicode.IsSpace); i >= 0 {
		return begin + i, false
	}
	return len(text), false
}

func backslashes(s string) int { return len(s) - len(strings.TrimRight(s, `\`)) }

// hidden is what follows the scheme, without what is secret.
func (u ConnectionString) hidden(s string) string {
	from, to := 0, 0
	if ats := uriAt.FindAllStringIndex(s, -1); len(ats) > 0 {
		to = ats[len(ats)-1][0]
		if c := uriColon.FindStringIndex(s[:to]); c != nil {
			from = c[1]
			if s[c[0]] != ':' {
				return s[:c[0]] + ":***" + options(s[to:]) // a user with an @: nobody knows where the password begins
			}
		} else {
			from = to
		}
	} else if !u.Whole {
		if to = strings.IndexAny(s, "/?"); to < 0 {
			to = len(s)
		}
		from = to
		if !uriHosts.MatchString(s[:to]) {
			if c := strings.IndexByte(s[:to], ':'); c >= 0 {
				from = c + 1
			}
		}
	}
	if from < to {
		return s[:from] + "***" + options(s[to:])
	}
	return s[:to] + options(s[to:])
}

func options(s string) string { return uriOption.ReplaceAllString(s, "$1***") }
