package shell

import (
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
		for name, text := range map[string]string{"list": ListChanges([]*journal.Change{&c}), "show": ShowChange(&c)} {
			if text != replay.SafeLines(text) {
				t.Errorf("%+v: %s: %q", state, name, text)
			}
		}
	}
}
