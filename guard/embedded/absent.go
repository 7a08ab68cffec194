//go:build respect_no_embedded || race

package embedded

import (
	"context"
	"errors"
)

// Available says whether this build contains the server.
const Available = false

// Server cannot be had in this build.
type Server struct{}

// Start reports that this build has no embedded server.
func Start(Options) (*Server, error) {
	return nil, errors.New("this build of respect has no embedded server (built with the tag respect_no_embedded or with -race)")
}

// Address is empty.
func (*Server) Address() string { return "" }

// URI is empty.
func (*Server) URI() string { return "" }

// Inside is empty.
func (*Server) Inside() string { return "" }

// Open does nothing.
func (*Server) Open() error { return nil }

// Close does nothing.
func (*Server) Close() error { return nil }

// IndexIDs does nothing.
func (*Server) IndexIDs(context.Context) error { return nil }
