package shell

import "regexp"

var (
	// secretCalls are commands and methods whose arguments hold passwords.
	secretCalls = regexp.MustCompile(`(?i)createUser|updateUser|changeUserPassword|saslStart|saslContinue|\bauth(enticate)?\b|pwd|passw(or)?d|passphrase`)
	// credentials in a connection string.
	credentials = regexp.MustCompile(`(mongodb(?:\+srv)?://[^\s:/@'"]*:)[^\s@'"]*@`)
)

// Secret says that an entry may hold a password: it is kept out of history.
func Secret(text string) bool { return secretCalls.MatchString(text) || credentials.MatchString(text) }

// RedactInput is an entry as it may be recorded. What may hold a password is recorded without any of its arguments.
func RedactInput(text string) string {
	if m := secretCalls.FindString(text); m != "" {
		return "[redacted: an entry with " + m + ", which may hold a password]"
	}
	return credentials.ReplaceAllString(text, "$1***@")
}
