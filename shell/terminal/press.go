package terminal

import (
	"context"
	"fmt"
	"time"
)

// Presses delivers keys as they are pressed, Ctrl-C too, until ctx ends or the terminal is gone; then the channel is closed, and nothing reads the
// terminal any more. What is pasted, and named keys, are left out. Nothing is echoed. Restore or Close set the old mode.
func (t *TTY) Presses(ctx context.Context) (<-chan rune, error) {
	if err := t.raw(); err != nil {
		return nil, fmt.Errorf("the terminal gives no keys: %w", err)
	}
	return presses(ctx, t), nil
}

func presses(ctx context.Context, t reader) <-chan rune {
	keys := make(chan rune, 16)
	go func() {
		defer close(keys)
		var tok tokenizer
		for ctx.Err() == nil {
			b, err := t.read(50 * time.Millisecond)
			if err != nil {
				return
			}
			tokens := tok.feed(b)
			if len(b) == 0 {
				tokens = tok.flush()
			}
			for _, k := range tokens {
				if k.Kind != Rune && k.Kind != Control {
					continue
				}
				select {
				case keys <- k.Rune:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return keys
}

// Pressed is the key that was pressed since it was asked last, while a statement runs (Busy), or 0. It does not wait. alone says that it was one key and no more:
// who types a line means none of its letters. All are lost, like everything that is typed while a change is being made.
func (t *TTY) Pressed() (key rune, alone bool) {
	b, err := t.poll()
	if err != nil || len(b) == 0 {
		return 0, false
	}
	return rune(b[0]), len(b) == 1
}
