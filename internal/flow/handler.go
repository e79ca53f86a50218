package flow

import (
	"context"
	"slices"
)

// Handler takes a message and returns its reply, or the error that decides its
// fate. The reply is nil where none is due. A handler may be called by many
// goroutines at once and has to return soon after ctx ends.
type Handler func(ctx context.Context, in *Message) (reply *Message, err error)

// Middleware wraps a handler with one concern.
type Middleware func(next Handler) Handler

// Chain puts middleware around a handler; the first one runs first.
func Chain(target Handler, middleware ...Middleware) Handler {
	for _, wrap := range slices.Backward(middleware) {
		target = wrap(target)
	}
	return target
}
