package plan

import (
	"os/exec"
	"strings"
	"testing"

	"respect/replay"
)

// TestRestoreText: RESTORE.txt is read on terminals, and its command is pasted into shells. Names of strangers do nothing to the one and reach
// mongorestore through the other as they are.
func TestRestoreText(t *testing.T) {
	t.Parallel()
	for _, ns := range []string{"a.b", "a.it's $HOME `x` \\n", "a.\x1b]0;owned\x07b", "a.\u202eevil\u2066a", "a.new\nline'", "a.\xff\xfe0", "a.\u009b31m'\\'"} {
		p := &Plan{header: Header{Change: "c-1", Deployment: "d\x1b[2J\u202e"}, totals: totals{Counts: []replay.Count{{Namespace: ns}}}}
		p.header.Environment = "\x1b[31m"
		text := string(restoreText(p))
		if text != replay.SafeLines(text) {
			t.Errorf("%q: %q", ns, text)
		}
		_, command, _ := strings.Cut(text, "    mongorestore ")
		got, err := exec.Command("bash", "-c", "printf '%s|' "+command).Output()
		if err != nil {
			t.Fatal(err)
		}
		if want := "--gzip|--uri|URI|--nsInclude|" + ns + "|--nsFrom|" + ns + "|--nsTo|" + ns + "_before_c_1|before/|"; string(got) != want {
			t.Errorf("%q becomes %q", ns, got)
		}
	}
}
