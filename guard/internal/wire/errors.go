package wire

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// Error is a command that did not succeed.
type Error struct {
	// Reply is the server's answer; nil when there was none.
	Reply bson.Raw
	// Code and Name are the server's (0 and "" without an answer or a code).
	// Source: https://www.mongodb.com/docs/manual/reference/error-codes/
	Code int32
	Name string
	// Message is the server's, or what the driver says of the connection. Untrusted text.
	Message string
	// Sent is false when it is certain that the server has not seen the command.
	Sent bool
	// Canceled is true when the context ended.
	Canceled bool
}

// Error implements error.
func (e *Error) Error() string {
	if e.Name != "" {
		return fmt.Sprintf("%s (%s)", e.Message, e.Name)
	}
	return e.Message
}

// Answered says whether the server's answer is known: its refusal is then final, nothing is in doubt.
func (e *Error) Answered() bool { return e.Reply != nil }

// AsError finds an *Error in err's chain.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

func toError(err error, sent bool) error {
	e := &Error{Message: err.Error(), Sent: sent, Canceled: errors.Is(err, context.Canceled)}
	var ce mongo.CommandError
	var we mongo.WriteException
	switch {
	case errors.As(err, &ce) && len(ce.Raw) > 0:
		e.Reply, e.Code, e.Name, e.Message = ce.Raw, ce.Code, ce.Name, ce.Message
	case errors.As(err, &we) && len(we.Raw) > 0:
		e.Reply = we.Raw
		if len(we.WriteErrors) > 0 {
			e.Code, e.Message = int32(we.WriteErrors[0].Code), we.WriteErrors[0].Message
		} else if we.WriteConcernError != nil {
			e.Code, e.Name, e.Message = int32(we.WriteConcernError.Code), we.WriteConcernError.Name, we.WriteConcernError.Message
		}
	}
	return e
}
