package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/policy"
	"respect/replay"
)

// adminFile is the administrator's policy.
type adminFile struct {
	path  string
	owner int // who must own the file and its directory
}

// admins is the one place that says where it is. No flag and no variable moves it; only tests look elsewhere, through the field of app.
var admins = adminFile{path: "/etc/respect/policy.yaml", owner: 0}

// configDir is where the user's files are.
func configDir() (string, error) {
	base := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(base) { // a relative one is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest/
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("where your policy and profiles are: %w", err)
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "respect"), nil
}

// invalid is an error in a file of configuration: nothing runs.
func invalid(err error) error {
	var e *policy.Error
	if errors.As(err, &e) {
		return &usage{text: e.Error(), hint: e.Hint}
	}
	return &usage{text: err.Error()}
}

// files are the policy files.
type files struct {
	admin, user         *policy.File // nil where there is none
	adminPath, userPath string
}

// policyFiles reads the administrator's file and the user's. A file that is not there says nothing; one that cannot be read, or understood, or that
// others could have written, is an error.
func (a *app) policyFiles() (f files, err error) {
	if f.admin, f.adminPath, err = a.admin.policy(); err != nil {
		return f, err
	}
	f.user, f.userPath, err = userPolicy()
	return f, err
}

func (f adminFile) policy() (*policy.File, string, error) {
	text, err := f.read()
	return parsePolicy(f.path, text, err)
}

func userPolicy() (*policy.File, string, error) {
	dir, err := configDir()
	if err != nil {
		return nil, "", invalid(err)
	}
	path := filepath.Join(dir, "policy.yaml")
	text, err := readFile(path)
	return parsePolicy(path, text, err)
}

// parsePolicy reads the text of a file; nil is no file.
func parsePolicy(path string, text []byte, err error) (*policy.File, string, error) {
	if err != nil {
		return nil, path, invalid(err)
	}
	if text == nil {
		return nil, path, nil
	}
	f, err := policy.Parse(path, text)
	if err != nil {
		return nil, path, invalid(err)
	}
	return f, path, nil
}

// policy is what is in force.
func (a *app) policy() (*policy.Policy, error) {
	f, err := a.policyFiles()
	if err != nil {
		return nil, err
	}
	p, err := policy.Combine(f.admin, f.user)
	if err != nil {
		return nil, invalid(err)
	}
	return p, nil
}

// policyHashes are the files that a policy was read from, as they are now.
func (a *app) policyHashes() (out []replay.File) {
	paths := []string{a.admin.path}
	if dir, err := configDir(); err == nil {
		paths = append(paths, filepath.Join(dir, "policy.yaml"))
	}
	for _, p := range paths {
		if b, err := os.ReadFile(p); err == nil {
			out = append(out, replay.File{Path: p, SHA256: fmt.Sprintf("%x", sha256.Sum256(b))})
		}
	}
	return out
}

// read is the administrator's file; nil if there is none. What is looked at is what is then read.
func (f adminFile) read() ([]byte, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the administrator's policy cannot be read: %w", err)
	}
	defer file.Close() // read only
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	dir, err := os.Stat(filepath.Dir(f.path))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no ordinary file", f.path)
	}
	for _, i := range []struct {
		info fs.FileInfo
		path string
	}{{info, f.path}, {dir, filepath.Dir(f.path)}} {
		uid, known := ownerOf(i.info)
		if why := f.untrusted(i.path, i.info.Mode().Perm(), uid, known); why != "" {
			return nil, errors.New(why)
		}
	}
	b, err := io.ReadAll(file)
	if b == nil {
		b = []byte{}
	}
	return b, err
}

// untrusted says why somebody else than the administrator may have written a file, or put it into its directory; "" if nobody may.
func (f adminFile) untrusted(path string, mode fs.FileMode, uid int, known bool) string {
	switch {
	case !known:
		return fmt.Sprintf("who owns %s cannot be told here, so that it cannot count; take it away", path)
	case uid != f.owner:
		return fmt.Sprintf("%s belongs to user %d; the administrator's policy and its directory must belong to root", path, uid)
	case mode&0o022 != 0:
		return fmt.Sprintf("%s can be written by others than its owner (%v): chmod go-w %s", path, mode, path)
	}
	return ""
}

// readFile is a file's content; nil if there is none.
func readFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if b == nil {
		b = []byte{}
	}
	return b, err
}

// place is a deployment as it was named: by a connection string, or by a profile.
type place struct {
	uri     string
	profile *policy.Profile
	inside  bool // this process, for this session
}

func isURI(s string) bool {
	return strings.HasPrefix(s, "mongodb://") || strings.HasPrefix(s, "mongodb+srv://")
}

// reserved cannot be names of profiles: they are commands.
func reserved() []string {
	names := []string{"help"}
	for _, c := range new(app).root().Commands() { // another one: making it sets the flags anew
		names = append(names, c.Name())
	}
	return names
}

// profiles are the user's.
func (a *app) profiles() ([]policy.Profile, error) {
	dir, err := configDir()
	if err != nil {
		return nil, invalid(err)
	}
	path := filepath.Join(dir, "profiles.yaml")
	text, err := readFile(path)
	if err != nil {
		return nil, invalid(err)
	}
	ps, err := policy.ParseProfiles(path, text)
	if err != nil {
		return nil, invalid(err)
	}
	for _, p := range ps {
		if slices.Contains(reserved(), p.Name) {
			return nil, &usage{text: fmt.Sprintf("%s:%d:%d: a profile cannot be called %s, which is a command", p.File, p.Line, p.Column, p.Name)}
		}
	}
	return ps, nil
}

// where finds what an argument names: a connection string, or a profile.
func (a *app) where(arg string) (place, error) {
	if isURI(arg) {
		return place{uri: arg}, nil
	}
	ps, err := a.profiles()
	if err != nil {
		return place{}, err
	}
	names := []string{}
	for i, p := range ps {
		if p.Name == arg {
			return place{uri: p.URI, profile: &ps[i]}, nil
		}
		names = append(names, p.Name)
	}
	u := &usage{
		text: fmt.Sprintf("%q is neither a command nor a connection string", guard.Redact(arg)),
		hint: "a connection string begins with mongodb:// or mongodb+srv://; there are no profiles",
	}
	if len(names) > 0 {
		u.text = fmt.Sprintf("%q is neither a command, a profile nor a connection string", guard.Redact(arg))
		u.hint = "a connection string begins with mongodb:// or mongodb+srv://; the profiles are " + strings.Join(names, ", ")
	}
	if near := policy.Nearest(arg, names); near != "" {
		u.hint = "did you mean the profile " + near + "?"
	}
	return place{}, u
}

// named is the profile of a connection string that a change remembers, so that what it says of the environment, and where its password is, count again.
func (a *app) named(uri string) (place, error) {
	ps, err := a.profiles()
	if err != nil {
		return place{}, err
	}
	for i, p := range ps {
		if p.URI == uri {
			return place{uri: uri, profile: &ps[i]}, nil
		}
	}
	return place{uri: uri}, nil
}

// says is what the profile says of the environment.
func (p place) says() environment.Profile {
	if p.profile == nil {
		return environment.Profile{}
	}
	return environment.Profile{Name: p.profile.Name, Says: p.profile.Environment, Where: p.profile.Where()}
}

// password is what the profile gives; ok is false if it gives none, and somebody must be asked. It is kept nowhere.
func (p place) password(ctx context.Context, stderr io.Writer) (text string, ok bool, err error) {
	switch {
	case p.profile == nil:
	case p.profile.PasswordEnv != "":
		if text = os.Getenv(p.profile.PasswordEnv); text == "" {
			return "", false, fmt.Errorf("the profile %s takes its password from $%s, which is not set (%s)", p.profile.Name, p.profile.PasswordEnv, p.profile.Where())
		}
		return text, true, nil
	case len(p.profile.PasswordCommand) > 0:
		if text, err = passwordFrom(ctx, p.profile.PasswordCommand, stderr); err != nil {
			return "", false, fmt.Errorf("the profile %s takes its password from %s: %w (%s)", p.profile.Name, p.profile.PasswordCommand[0], err, p.profile.Where())
		}
		return text, true, nil
	}
	return "", false, nil
}

// passwordFrom is the first line that a program prints. An error never quotes it.
func passwordFrom(ctx context.Context, argv []string, stderr io.Writer) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = stderr
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if line = bytes.TrimSuffix(line, []byte("\r")); len(line) == 0 {
		return "", errors.New("it printed nothing")
	}
	return string(line), nil
}
