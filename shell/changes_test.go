package shell

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"respect/replay"
	"respect/replay/journal"
)

// poison fills every text below v with an escape sequence and a bidirectional override.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("\x1b[2J\u202e\u009bx")
	case reflect.Pointer:
		if v.Type() != reflect.TypeFor[*time.Location]() {
			v.Set(reflect.New(v.Type().Elem()))
			poison(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() && v.Type() != reflect.TypeFor[time.Time]() {
				poison(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			poison(v.Index(0))
		}
	case reflect.Int64:
		v.SetInt(1)
	}
}

// TestForgedChanges: a journal is a file like any other. Whatever stands in it does nothing to the terminal of who lists what was changed.
func TestForgedChanges(t *testing.T) {
	t.Parallel()
	for _, state := range []struct{ cutOff, running, pruned, recovered bool }{{}, {cutOff: true}, {running: true}, {pruned: true}, {recovered: true}} {
		var c journal.Change
		poison(reflect.ValueOf(&c).Elem())
		c.CutOff, c.Running = state.cutOff, state.running
		if !state.pruned {
			c.Pruned = nil
		}
		if !state.recovered {
			c.Recovery = nil
		}
		show, err := ShowChange(&c)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"list": ListChanges([]*journal.Change{&c}), "show": show} {
			if text != replay.SafeLines(text) {
				t.Errorf("%+v: %s: %q", state, name, text)
			}
		}
	}
}

// Undo without an id goes one further back each time, redo forward again; what was made since is the last again.
func TestUndoGoesBackAndRedoForward(t *testing.T) {
	t.Parallel()
	s := &journal.Session{ID: "s"}
	add := func(kind replay.Kind, body any) {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		s.Events = append(s.Events, replay.Event{Seq: uint64(len(s.Events)), Kind: kind, Body: raw})
	}
	does := func(id, undoes string, status replay.Status) {
		add(replay.KindIntent, replay.Intent{Change: id, Undoes: undoes})
		add(replay.KindOutcome, replay.Outcome{Change: id, Status: status})
	}
	last := func(of func([]*journal.Change) (*journal.Change, error)) string {
		changes, err := journal.Changes([]*journal.Session{s})
		if err != nil {
			t.Fatal(err)
		}
		c, err := of(changes)
		if err != nil {
			return ""
		}
		return c.ID
	}
	n := 0
	for _, step := range []struct{ does, want string }{
		{"a", "a b c"}, {"undo", "c"}, {"undo", "b"}, {"undo", "a"}, {"undo", ""}, {"redo", "a"}, {"redo", "b"}, {"redo", "c"}, {"redo", ""},
		{"undo", "c"}, {"undo", "b"}, {"redo", "b"}, {"undo", "b"}, {"d", "d"}, {"undo", "d"}, {"undo", "a"}, {"redo", "a"},
		{"partly", "e"}, {"undo partly", "e"}, {"undo", "a"}, // what others changed is left, and undo goes on
	} {
		status := replay.StatusApplied
		if step.does == "undo partly" {
			status = replay.StatusPartly
		}
		got := ""
		switch step.does {
		case "a":
			does("a", "", status)
			does("b", "", status)
			does("c", "", status)
			got = "a b c"
		case "d":
			does("d", "", status)
			got = "d"
		case "partly":
			does("e", "", replay.StatusPartly)
			got = "e"
		default:
			of, word := shellUndo, "undo"
			if step.does == "redo" {
				of, word = LastUndo, "redo"
			}
			n++
			if id := last(of); id != "" {
				does(fmt.Sprintf("%s-%d", word, n), id, status)
				got = rootOf(t, s, id)
			}
		}
		if got != step.want {
			t.Fatalf("step %d, %s: %q, want %q", n, step.does, got, step.want)
		}
	}
}

func shellUndo(changes []*journal.Change) (*journal.Change, error) { return FindChange(changes, "") }

// rootOf is the change that one took back, or made again, in the end.
func rootOf(t *testing.T, s *journal.Session, id string) string {
	t.Helper()
	changes, err := journal.Changes([]*journal.Session{s})
	if err != nil {
		t.Fatal(err)
	}
	h := lineageOf(changes)
	_, root := h.back(h.byID[id])
	return root.ID
}
