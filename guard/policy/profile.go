package policy

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"respect/guard/environment"
)

// A file of profiles:
//
//	profiles:
//	  prod-eu:
//	    uri: mongodb://ann@db1.example.net,db2.example.net/famigo?replicaSet=rs0
//	    environment: production          # can only raise
//	    password: {command: [pass, show, mongodb/prod-eu]}     # or {env: VARIABLE}, or prompt

// Profile is a connection with a name.
type Profile struct {
	Name        string
	URI         string                  // without a password
	Environment environment.Environment // Unknown if it says nothing; staging or production
	// Where the password comes from: a variable, or what a program prints, or, with neither, whoever sits there.
	PasswordEnv     string
	PasswordCommand []string

	File         string
	Line, Column int
}

// Where is the place of the profile in its file.
func (p Profile) Where() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

var profileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ParseProfiles reads a file of profiles. An error is an *Error.
func ParseProfiles(name string, text []byte) ([]Profile, error) {
	s := source{name}
	top, err := s.read(text)
	if err != nil || top == nil {
		return nil, err
	}
	entries, err := s.mapping(top, "the file", "profiles")
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	entries, err = s.entries(entries[0].value, "profiles")
	if err != nil {
		return nil, err
	}
	var out []Profile
	for _, e := range entries {
		if !profileName.MatchString(e.name) {
			return nil, s.at(e.key, "letters, digits, dots, dashes and underscores", "%q cannot be the name of a profile", e.name)
		}
		p, err := parseProfile(s, e)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func parseProfile(s source, e entry) (Profile, error) {
	p := Profile{Name: e.name, File: s.name, Line: e.key.Line, Column: e.key.Column}
	entries, err := s.mapping(e.value, "a profile", "uri", "environment", "password")
	if err != nil {
		return p, err
	}
	var password *yaml.Node
	for _, e := range entries {
		switch e.name {
		case "uri":
			p.URI, err = parseURI(s, e.value)
		case "environment":
			var i int
			i, err = s.choice(e.value, "environment", environmentWords())
			if p.Environment = environments[i]; err == nil && p.Environment == environment.Development {
				err = s.at(e.value, "leave it out; the marker on the server says it for everybody: respect mark development URI", "a profile can only raise an environment, and development is the lowest")
			}
		case "password":
			password = e.value
			err = parsePassword(s, e.value, &p)
		}
		if err != nil {
			return p, err
		}
	}
	if p.URI == "" {
		return p, s.at(e.key, "uri: mongodb://…", "the profile %s has no uri", p.Name)
	}
	if user, _ := userOf(p.URI); password != nil && user == "" {
		return p, s.at(password, "mongodb://user@…", "there is a password, and the uri of %s names no user", p.Name)
	}
	return p, nil
}

// parseURI refuses what is secret. It must not quote it either.
func parseURI(s source, n *yaml.Node) (string, error) {
	const hint = "take it out of the uri and say where it comes from: password: {env: VARIABLE}, {command: [program, argument]} or prompt"
	uri, err := s.text(n, "uri")
	if err != nil {
		if n.Kind == yaml.ScalarNode { // the hint would quote it
			err = s.at(n, "", "uri must be a connection string")
		}
		return "", err
	}
	if !strings.HasPrefix(uri, "mongodb://") && !strings.HasPrefix(uri, "mongodb+srv://") {
		return "", s.at(n, "it begins with mongodb:// or mongodb+srv://", "uri must be a connection string")
	}
	if _, secret := userOf(uri); secret {
		return "", s.at(n, hint, "the uri holds a password, and this file is not the place for one")
	}
	_, query, _ := strings.Cut(uri, "?")
	for _, param := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, value, _ := strings.Cut(param, "=")
		k, v := strings.ToLower(key), strings.ToLower(value)
		if strings.Contains(k, "password") || strings.Contains(k, "%") || k == "authmechanismproperties" && strings.Contains(v, "token") {
			return "", s.at(n, "leave it out, and give the whole connection string on the command line where it is needed", "the uri holds a secret in %q, and this file is not the place for one", key)
		}
	}
	return uri, nil
}

// userOf is the user of a connection string, and whether there is a password, be it empty. In doubt, what stands before an "@" is one.
func userOf(uri string) (user string, password bool) {
	_, tail, _ := strings.Cut(uri, "://")
	at := strings.LastIndexByte(tail, '@')
	if at < 0 {
		return "", false
	}
	if i := strings.IndexAny(tail, "/?"); i >= 0 && i < at && !strings.Contains(tail[:i], "@") && !strings.Contains(tail[:at], ":") {
		return "", false // an "@" in the options
	}
	user, _, password = strings.Cut(tail[:at], ":")
	return user, password
}

func parsePassword(s source, n *yaml.Node, p *Profile) error {
	const hint = "{env: VARIABLE}, {command: [program, argument]}, or prompt"
	if n.Kind == yaml.ScalarNode {
		if n.Value == "prompt" && n.Tag == "!!str" {
			return nil
		}
		return s.at(n, hint, "a password is not written here; this says where it comes from") // without quoting what may be one
	}
	entries, err := s.mapping(n, "password", "env", "command")
	if err != nil {
		return err
	}
	if len(entries) != 1 {
		return s.at(n, hint, "password comes from one place")
	}
	v := entries[0].value
	if entries[0].name == "env" {
		p.PasswordEnv, err = s.text(v, "env")
		return err
	}
	if _, err := s.items(v, "command"); err != nil {
		return err
	}
	p.PasswordCommand, err = s.texts(v, "command")
	return err
}
