package shell

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard"
	"respect/shell/js"
)

// runner hands the commands of a script to the statement that runs. It implements js.Runner.
type runner struct{ st *guard.Statement }

// Run implements js.Runner.
func (r *runner) Run(ctx context.Context, t js.Target, db string, cmd bson.Raw, place string) (js.Reply, error) {
	if r.st == nil {
		return nil, errors.New("internal error: a command outside of a statement")
	}
	r.st.At(place)
	reply, err := r.st.Run(ctx, t.(*guard.Deployment), db, cmd)
	if err != nil {
		return nil, scriptError(r.st, err)
	}
	return jsReply{r.st, reply}, nil
}

// MaxStatements implements js.Runner.
func (r *runner) MaxStatements(t js.Target) int { return t.(*guard.Deployment).MaxStatements() }

// Fits implements js.Runner.
func (r *runner) Fits(t js.Target, writes, bytes int) error {
	if r.st == nil {
		return errors.New("internal error: a write outside of a statement")
	}
	if err := r.st.Fits(t.(*guard.Deployment), writes, bytes); err != nil {
		return scriptError(r.st, err)
	}
	return nil
}

type jsReply struct {
	st *guard.Statement
	r  *guard.Reply
}

// Raw implements js.Reply.
func (j jsReply) Raw(ctx context.Context) (bson.Raw, error) {
	raw, err := j.r.Raw(ctx)
	if err != nil {
		return nil, scriptError(j.st, err)
	}
	return raw, nil
}

// Known implements js.Reply.
func (j jsReply) Known(ctx context.Context, look bool) (bson.Raw, error) {
	raw, err := j.r.Known(ctx, look)
	if err != nil {
		return nil, scriptError(j.st, err)
	}
	return raw, nil
}

// scriptError says which errors a script may catch: what a server answered. What the guard stopped ends the statement.
func scriptError(st *guard.Statement, err error) error {
	if st.Stopped() != nil {
		return &js.Stop{Err: err}
	}
	var se *guard.ServerError
	if errors.As(err, &se) {
		return &js.ServerError{Code: se.Code, Name: se.Name, Message: err.Error(), Text: se.Message, Reply: se.Reply}
	}
	return err
}
