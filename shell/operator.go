package shell

import (
	"context"
	"errors"
	"fmt"
	"io"

	"respect/guard"
	"respect/guard/environment"
	"respect/guard/plan"
	"respect/shell/render"
	"respect/shell/terminal"
)

// Operator is the person at a terminal. It implements guard.Operator.
type Operator struct {
	TTY   *terminal.TTY
	Err   io.Writer // receipts go here
	Color bool
	// Before is called before a question is shown: what was printed is recorded in order. May be nil.
	Before func()
}

func (o *Operator) style() render.Style {
	w, _ := o.TTY.Size()
	return render.Style{Color: o.Color, Width: min(w, 120)}
}

// Ask implements guard.Operator. The text that is returned as Screen is what was shown, without colours.
func (o *Operator) Ask(ctx context.Context, q guard.Question) (guard.Answer, error) {
	if o.Before != nil {
		o.Before()
	}
	_, height := o.TTY.Size()
	text := func(s render.Style) string {
		return "\n" + s.Plan(q.Plan, q.Environment, height) + "\n" + s.Instruction(q.Phrase) + "\n" + render.Otherwise + "\n"
	}
	shown := o.style()
	plain := shown
	plain.Color = false
	a, err := o.TTY.Confirm(ctx, text(shown), "> ")
	return guard.Answer{Text: a.Text, Manner: guard.Manner(a.Manner), Note: a.Note, Screen: text(plain)}, err
}

// Reason implements guard.Operator.
func (o *Operator) Reason(ctx context.Context, env environment.Environment) (guard.Answer, error) {
	if o.Before != nil {
		o.Before()
	}
	prompt := func(s render.Style) string {
		return "\n" + s.Banner(env, "asks once a session") + "\nWhat is this session for? A sentence or a ticket, for the record; it confirms nothing.\n> "
	}
	shown := o.style()
	plain := shown
	plain.Color = false
	a, err := o.TTY.ReadText(ctx, prompt(shown), false)
	return guard.Answer{Text: a.Text, Manner: guard.Manner(a.Manner), Screen: prompt(plain)}, err
}

// Progress implements guard.Operator.
func (o *Operator) Progress(p guard.Progress) guard.Control {
	if p.What == "" && p.Total > 200 {
		fmt.Fprintf(o.Err, "\r%s of %s documents\x1b[K", plan.Number(p.Done), plan.Number(p.Total))
		if p.Done == p.Total {
			fmt.Fprint(o.Err, "\r\x1b[K")
		}
	}
	return guard.Go
}

// Receipt implements guard.Operator.
func (o *Operator) Receipt(r guard.Receipt) {
	fmt.Fprint(o.Err, receiptText(o.style(), r))
}

func receiptText(s render.Style, r guard.Receipt) string {
	return s.Receipt(r.Environment, r.Deployment, r.Change, r.Status, r.Predicted, r.Actual, r.Skipped, r.Alarm, r.Error, r.Undoes)
}

// Present implements guard.Operator.
func (o *Operator) Present() bool { return true }

// Silent is nobody: it prints receipts and cannot be asked. It implements guard.Operator.
type Silent struct {
	Err   io.Writer
	Style render.Style
}

// Present implements guard.Operator.
func (*Silent) Present() bool { return false }

// Ask implements guard.Operator.
func (*Silent) Ask(context.Context, guard.Question) (guard.Answer, error) {
	return guard.Answer{}, errNobody
}

// Reason implements guard.Operator.
func (*Silent) Reason(context.Context, environment.Environment) (guard.Answer, error) {
	return guard.Answer{}, errNobody
}

var errNobody = errors.New("there is no terminal")

// Progress implements guard.Operator.
func (*Silent) Progress(guard.Progress) guard.Control { return guard.Go }

// Receipt implements guard.Operator.
func (o *Silent) Receipt(r guard.Receipt) { fmt.Fprint(o.Err, receiptText(o.Style, r)) }
