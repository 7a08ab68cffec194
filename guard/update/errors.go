package update

import (
	"errors"
	"fmt"
)

// ErrNotPredictable is wrapped by errors that say why an after-image cannot be computed here.
var ErrNotPredictable = errors.New("cannot be computed exactly")

// Error is what the server would answer.
type Error struct {
	Code    int32
	Name    string
	Message string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Message, e.Name) }

func unpredictable(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrNotPredictable}, a...)...)
}

// https://www.mongodb.com/docs/manual/reference/error-codes/
func badValue(format string, a ...any) error {
	return &Error{2, "BadValue", fmt.Sprintf(format, a...)}
}
func failedToParse(format string, a ...any) error {
	return &Error{9, "FailedToParse", fmt.Sprintf(format, a...)}
}
func typeMismatch(format string, a ...any) error {
	return &Error{14, "TypeMismatch", fmt.Sprintf(format, a...)}
}
func pathNotViable(format string, a ...any) error {
	return &Error{28, "PathNotViable", fmt.Sprintf(format, a...)}
}
func conflicting(path, at string) error {
	return &Error{40, "ConflictingUpdateOperators", fmt.Sprintf("Updating the path '%s' would create a conflict at '%s'", path, at)}
}
func dollarPrefixed(field, where string) error {
	return &Error{52, "DollarPrefixedFieldName", fmt.Sprintf("The dollar ($) prefixed field '%s' in '%s' is not allowed in the context of %s.", field, field, where)}
}
func notSingleValue(format string, a ...any) error {
	return &Error{54, "NotSingleValueField", "cannot infer query fields to set, " + fmt.Sprintf(format, a...)}
}
func immutable(path string) error {
	return &Error{66, "ImmutableField", fmt.Sprintf("Performing an update on the path '%s' would modify the immutable field '%s'", path, path)}
}

// asError says whether the server would answer with an error.
func asError(err error, into **Error) bool { return errors.As(err, into) }
