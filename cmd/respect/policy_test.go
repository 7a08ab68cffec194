package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdministratorsPolicy: the administrator's file loosens and tightens, the user's is measured by it, and one that others may have written lets
// nothing run.
func TestAdministratorsPolicy(t *testing.T) {
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	dir := t.TempDir()
	path, mine := filepath.Join(dir, "policy.yaml"), filepath.Join(config, "respect", "policy.yaml")
	write := func(path, text string, mode fs.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	call := func(owner int, args ...string) (code int, out, errs string) {
		var o, e bytes.Buffer
		a := &app{out: &o, err: &e, admin: adminFile{path: path, owner: owner}}
		code = a.run(t.Context(), args)
		return code, o.String(), e.String()
	}
	me := os.Getuid()
	const loose = "environments:\n  - {environment: staging, match: {hosts: tunnel}}\npolicy:\n  production:\n    security: confirm\n"

	write(path, loose, 0o644)
	write(mine, "policy: {production: {security: approve}}\n", 0o644)
	if code, out, errs := call(me, "policy", "check"); code != 0 || !strings.Contains(out, "approve   "+mine+":1\n") || !strings.Contains(out, "hosts tunnel  "+path+":2\n") {
		t.Errorf("status %d\n%s%s", code, out, errs)
	}
	write(mine, "policy: {production: {security: run}}\n", 0o644)
	if code, _, errs := call(me, "policy", "check"); code != 2 || !strings.Contains(errs, mine+":1:33: security on production: run is looser than confirm, which is "+path+":5;") {
		t.Errorf("status %d: %s", code, errs)
	}
	if err := os.Remove(mine); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"policy", "check"}, {"policy", "show"}, {"-e", "1", "mongodb://127.0.0.1:1"}, {"classify", "mongodb://127.0.0.1:1"}} {
		for _, tt := range []struct {
			name, text string
			mode       fs.FileMode
			dirMode    fs.FileMode
			owner      int
			want       string
		}{
			{"written by the group", loose, 0o664, 0o755, me, path + " can be written by others"},
			{"written by all", loose, 0o646, 0o755, me, path + " can be written by others"},
			{"in a directory of all", loose, 0o644, 0o777, me, dir + " can be written by others"},
			{"of somebody else", loose, 0o644, 0o755, me + 1, "must belong to root"},
			{"wrong", "policy: 7\n", 0o644, 0o755, me, path + ":1:9: policy must be a mapping"},
		} {
			write(path, tt.text, tt.mode)
			if err := os.Chmod(dir, tt.dirMode); err != nil {
				t.Fatal(err)
			}
			if code, out, errs := call(tt.owner, args...); code != 2 || out != "" || !strings.Contains(errs, tt.want) {
				t.Errorf("%s, %q: status %d, want 2 and %q\n%s%s", tt.name, args, code, tt.want, out, errs)
			}
		}
	}
}

// TestAdministratorsPath: it is fixed.
func TestAdministratorsPath(t *testing.T) {
	if want := (adminFile{path: "/etc/respect/policy.yaml", owner: 0}); admins != want {
		t.Errorf("the administrator's file is %+v, want %+v", admins, want)
	}
}
