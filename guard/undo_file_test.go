package guard_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"respect/guard"
	"respect/guard/internal/wiretest"
	"respect/replay"
)

// P3: a change that comes from a file is believed nothing. Whoever wrote it, the undo is asked about like any other work on what it would really touch, and
// nothing but ordinary documents, collections and indexes can be touched by it.
func TestUndoFromAFileThatLies(t *testing.T) {
	t.Parallel()
	s := production(t, "proxy")
	s.people(t)
	b := s.bench(t)
	if _, _, err := b.run(`{"update": "people", "updates": [{"q": {}, "u": {"$set": {"age": 7}}, "multi": true}]}`); err != nil {
		t.Fatal(err)
	}
	c := b.last()
	honest, err := os.ReadFile(filepath.Join(b.dir, "changes", c.ID, "plan.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	ns := s.db + ".people"
	step := func(json string) func([]byte) []byte {
		return func(plan []byte) []byte {
			at := bytes.LastIndex(plan[:len(plan)-1], []byte("\n")) + 1
			return bytes.Join([][]byte{plan[:at], []byte(json + "\n"), plan[at:]}, nil)
		}
	}
	replace := func(old, new string) func([]byte) []byte {
		return func(plan []byte) []byte { return bytes.ReplaceAll(plan, []byte(old), []byte(new)) }
	}
	const noSuch = "cannot be taken back from a file"
	for _, tt := range []struct {
		name string
		lie  func([]byte) []byte
		want string // of the refusal; "" if it is asked about
	}{
		{"nothing", func(p []byte) []byte { return p }, ""},
		{"it was only a read", replace(`"class":"document write"`, `"class":"read"`), noSuch + ": it is read work"},
		{"it was of no class", replace(`"class":"document write"`, `"class":""`), noSuch},
		{"it was security work", replace(`"class":"document write"`, `"class":"security"`), "a marker is not taken back"},
		{"it was operations", replace(`"class":"document write"`, `"class":"operations"`), noSuch + ": it is operations work"},
		{"the marker was changed", replace(`"ns":"`+ns+`"`, `"ns":"respect.environment"`), "respect.environment is no ordinary collection"},
		{"users were changed", replace(`"ns":"`+ns+`"`, `"ns":"admin.system.users"`), "admin.system.users is no ordinary collection"},
		{"a command was run", step(`{"step":{"do":"run","ns":"` + ns + `","verb":"collMod","db":"admin","run":"BQAAAAA=","inverse":["BQAAAAA="]}}`), "it ran collMod, whose inverse would come from the file"},
		{"the marker was dropped", step(`{"step":{"do":"drop","ns":"respect.environment","to":"` + ns + `"}}`), "respect.environment is no ordinary collection"},
		{"the marker was renamed", step(`{"step":{"do":"rename","ns":"` + ns + `","to":"respect.environment"}}`), "respect.environment is no ordinary collection"},
		{"an empty collection was a view", step(`{"step":{"do":"dropEmpty","ns":"` + ns + `","options":"EwAAAAJ2aWV3T24AAgAAAHgAAA=="}}`), `with the option "viewOn"`},
		{"the marker was created", replace(`{"totals":{`, `{"totals":{"creates":["respect.environment"],`), "respect.environment is no ordinary collection"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(b.dir, "changes", c.ID))); err != nil {
			t.Fatal(err)
		}
		plan := tt.lie(bytes.Clone(honest))
		if err := os.WriteFile(filepath.Join(dir, "plan.jsonl"), plan, 0o600); err != nil {
			t.Fatal(err)
		}
		lie := *c
		lie.Intent.Digest = fmt.Sprintf("%x", sha256.Sum256(plan))
		b.op.asked = nil
		b.op.answer = func(guard.Question) guard.Answer { return guard.Answer{Manner: guard.Aborted} }
		s.forget()
		st, err := b.gate.Begin(guard.Input{Text: "undo --from", Manner: "undo"})
		if err != nil {
			t.Fatal(err)
		}
		err = st.Undo(t.Context(), b.d, &lie, guard.UndoOptions{Dir: dir})
		var refused *guard.Refused
		switch {
		case !errors.As(err, &refused):
			t.Errorf("%s: not refused: %v", tt.name, err)
		case tt.want == "" && (!refused.Declined || len(b.op.asked) != 1):
			t.Errorf("%s: it was not asked about: %v", tt.name, err)
		case tt.want != "" && !strings.Contains(refused.Text, tt.want):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if w := wiretest.Writes(s.commands()); len(w) > 0 {
			t.Errorf("%s: sent %v", tt.name, w)
		}
	}
	if b.last().Status != replay.StatusApplied {
		t.Error("the change was taken back")
	}
}
