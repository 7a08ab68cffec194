package plan

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"respect/guard/command"
)

// Shape is how large a collection is, and by what it can be searched. The zero Shape is of an empty one.
type Shape struct {
	Documents int64 // as its metadata says
	info      *collectionInfo
}

// ShapeOf asks the server.
func ShapeOf(ctx context.Context, r Reader, ns command.Namespace) (Shape, error) {
	info, err := describe(ctx, r, ns)
	if err != nil || info.kind == "view" {
		return Shape{}, err
	}
	return Shape{Documents: info.total, info: info}, nil
}

// Serves says whether an index begins with a field that a filter asks about. Whether the server chooses it is not said.
func (s Shape) Serves(filter bson.Raw) bool {
	return s.info == nil || len(conditionsOf(filter)) == 0 || served(command.Write{Filter: filter}, s.info)
}
