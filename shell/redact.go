package shell

import (
	"regexp"
	"strings"

	"respect/replay"
)

var (
	// secretCalls are commands and methods whose arguments hold passwords.
	secretCalls = regexp.MustCompile(`(?i)createUser|updateUser|changeUserPassword|saslStart|saslContinue|\bauth(enticate)?\b|pwd|passw(or)?d|passphrase|AWS_SESSION_TOKEN|AWS_SECRET_ACCESS_KEY|secretAccessKey`)
	// connects is where a connection is asked for, which takes a password as its third argument.
	connects = regexp.MustCompile("\\b(?:connect|Mongo)\\b(?:[\"'`\\])\\s]|/\\*(?s:.*?)\\*/|\\?\\.|\\.(?:call|apply|bind)\\b)*\\(")
)

// Secret says that an entry may hold a password: it is kept out of history.
func Secret(text string) bool { return RedactInput(text) != text }

// RedactInput is an entry as it may be recorded. What may hold a password anywhere is recorded without any of its arguments, and connection strings without
// theirs.
func RedactInput(text string) string {
	if m := secretCalls.FindString(text); m != "" {
		return "[redacted: an entry with " + m + ", which may hold a password]"
	}
	for _, at := range connects.FindAllStringIndex(text, -1) {
		if severalArguments(text[at[1]:]) {
			return "[redacted: an entry that connects with more than a connection string, which may hold a password]"
		}
	}
	for _, u := range replay.ConnectionStrings(text) {
		if putTogether(text, u) {
			return "[redacted: an entry that puts a connection string together, which may hold a password]"
		}
	}
	return replay.WithoutCredentials(text)
}

// putTogether says that parts of a connection string stand elsewhere in the text.
func putTogether(text string, u replay.ConnectionString) bool {
	if strings.Contains(text[u.Begin:u.End], "${") {
		return true
	}
	if !u.Quoted || u.Whole {
		return false
	}
	next := strings.TrimLeft(strings.TrimLeft(text[u.End:], `\`)[1:], " \t\r\n")
	return strings.HasPrefix(next, "+") || strings.HasPrefix(next, ".concat")
}

// severalArguments says whether the arguments that begin here, up to their closing parenthesis, are more than one. What does not close is.
func severalArguments(text string) bool {
	depth, comma := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth < 0 {
				return false
			}
		case ',':
			comma = comma || depth == 0
		case ' ', '\t', '\r', '\n':
			continue
		}
		if comma && text[i:] != "" && text[i] != ',' {
			return true
		}
	}
	return comma
}
