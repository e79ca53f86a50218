package middleware

import (
	"context"
	"runtime/debug"

	"mqgateway/internal/flow"
)

// Recover turns a panic into an error of code Internal that names where it
// came from, so that a defect costs one message and not the process.
func Recover(next flow.Handler) flow.Handler {
	return func(ctx context.Context, in *flow.Message) (reply *flow.Message, err error) {
		defer func() {
			if p := recover(); p != nil {
				reply, err = nil, flow.Errorf(flow.Internal, "panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(ctx, in)
	}
}
