package journal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"respect/replay"
)

// rewrite writes a session anew, with every hash right, as somebody can who does not have the key. keep decides about each line and may change its body.
func (s sealed) rewrite(t testing.TB, id string, keep func(*replay.Event) bool) {
	t.Helper()
	name := filepath.Join(s.dir, "sessions", id, "journal.jsonl")
	var out bytes.Buffer
	prev, seq := strings.Repeat("0", 64), uint64(0)
	for _, line := range bytes.Split(bytes.TrimSuffix(readFile(t, name), []byte("\n")), []byte("\n")) {
		e, err := ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		if !keep(&e) {
			continue
		}
		e.Seq, e.Prev = seq, prev
		out.Write(encodeLine(&e))
		prev, seq = e.Hash, seq+1
	}
	writeFile(t, name, out.Bytes())
	// The notes of this session, and what is derived, are taken away as well.
	notes := readFile(t, filepath.Join(s.dir, "heads.notes"))
	var left []byte
	for _, n := range splitNotes(notes) {
		if !bytes.Contains(n, []byte("\n"+id+"\n")) {
			left = append(append(left, '\n'), n...)
		}
	}
	writeFile(t, filepath.Join(s.dir, "heads.notes"), left)
	_ = os.Remove(filepath.Join(s.dir, "sessions", id, "journal.idx"))
}

// TestForgedWithoutTheKey: the newest session, which no other one names, written anew with right hashes and without its seals, or with those alone that still hold.
func TestForgedWithoutTheKey(t *testing.T) {
	body := func(t *testing.T, e *replay.Event, change func(map[string]any)) {
		var m map[string]any
		if err := json.Unmarshal(e.Body, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		e.Body = b
	}
	ofChange := map[replay.Kind]bool{replay.KindIntent: true, replay.KindOutcome: true}
	for name, keep := range map[string]func(t *testing.T, e *replay.Event) bool{
		"without seals": func(_ *testing.T, e *replay.Event) bool { return e.Kind != replay.KindSeal && !ofChange[e.Kind] },
		"without seals and without a key": func(t *testing.T, e *replay.Event) bool {
			if e.Kind == replay.KindOpen {
				body(t, e, func(m map[string]any) { delete(m, "key") })
			}
			return e.Kind != replay.KindSeal && !ofChange[e.Kind]
		},
		"as of an old format": func(t *testing.T, e *replay.Event) bool {
			if e.Kind == replay.KindOpen {
				body(t, e, func(m map[string]any) { delete(m, "key"); m["format"] = 1 })
			}
			return e.Kind != replay.KindSeal && !ofChange[e.Kind]
		},
		"without the seals of the change": func() func(*testing.T, *replay.Event) bool {
			seals := 0
			return func(_ *testing.T, e *replay.Event) bool {
				if e.Kind == replay.KindSeal {
					seals++
					return seals == 1 // of the first line, which holds
				}
				return true
			}
		}(),
	} {
		for _, alone := range []bool{false, true} {
			s := recordSealed(t)
			public := mustKey(t, s.dir)
			newest := s.ids[2]
			if alone {
				for _, id := range s.ids[:2] {
					if err := os.RemoveAll(filepath.Join(s.dir, "sessions", id)); err != nil {
						t.Fatal(err)
					}
				}
				writeFile(t, filepath.Join(s.dir, "heads.notes"), nil)
			}
			n := 0
			s.rewrite(t, newest, func(e *replay.Event) bool {
				n++
				if alone && e.Kind == replay.KindOpen {
					body(t, e, func(m map[string]any) { m["previous"] = []any{} })
				}
				return keep(t, e)
			})
			for what, o := range map[string]Options{"with the key": {Keys: []string{public}}, "without": {}} {
				if name == "as of an old format" && alone && what == "without" {
					continue // the first session of an old directory looks like this
				}
				if ps := found(t, s.dir, o); len(ps) == 0 {
					t.Errorf("%s, alone %v, %s: verifies", name, alone, what)
				}
			}
		}
	}
}

// TestOldSessionsBehindASeal: what was recorded before there was a key is vouched for by the first session that has one.
func TestOldSessionsBehindASeal(t *testing.T) {
	s := sealed{dir: t.TempDir(), witness: filepath.Join(t.TempDir(), "witness")}
	w, err := Create(config(t, s.dir, 1))
	if err == nil {
		err = w.Close(0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if ps := found(t, s.dir, Options{}); ps != nil {
		t.Errorf("before there is a key: %v", ps)
	}
	if err := s.open(t, 2).Close(0); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{}, {Keys: []string{mustKey(t, s.dir)}}} {
		if ps := found(t, s.dir, o); ps != nil {
			t.Errorf("%v: %v", o, ps)
		}
	}
}
