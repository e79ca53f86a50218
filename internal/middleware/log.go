package middleware

import (
	"context"
	"log/slog"

	"mqgateway/internal/flow"
)

// LogFailures logs what fails in the flow of that name. It is for sources whose
// caller gets the error; a listener logs what becomes of its messages itself.
func LogFailures(log *slog.Logger, name string) flow.Middleware {
	return func(next flow.Handler) flow.Handler {
		return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
			reply, err := next(ctx, in)
			if err != nil {
				log.WarnContext(ctx, "message is refused to its caller", "flow", name, "message", in.ID,
					"queue", in.To.String(), "code", int(flow.CodeOf(err)), "err", err)
			}
			return reply, err
		}
	}
}
