package update

import "go.mongodb.org/mongo-driver/v2/bson"

// Position is the number of the element that the positional $ behind an array's path means in a document: the one by which the filter of the update's Options
// selected it. It is an *Error if the filter elects none, and wraps ErrNotPredictable where that cannot be told.
// Source: https://www.mongodb.com/docs/manual/reference/operator/update/positional/
func (p *Update) Position(doc bson.Raw, array string) (int, error) {
	a := &application{p: p, doc: doc}
	return a.position(array)
}
