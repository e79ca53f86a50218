package middleware

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"mqgateway/internal/flow"
)

// RetryOptions say how failures that may pass are retried in place, while the
// message stays unacknowledged.
type RetryOptions struct {
	// Initial is the first pause, Max the longest; each is Multiplier times the one
	// before, and Jitter is the share of it that is random.
	Initial, Max       time.Duration
	Multiplier, Jitter float64
	// For bounds the retrying of one message; then its last error is returned. It
	// has to stay below the time that the broker waits for an acknowledgement.
	For time.Duration
	// Stopping is closed when the gateway stops: a message that pauses then is
	// given up at once, with an error of class Stopping.
	Stopping <-chan struct{}
	Log      *slog.Logger
}

// Retry calls the handler again while it fails with errors of class Transient.
func (m *Metrics) Retry(name string, o RetryOptions) flow.Middleware {
	return func(next flow.Handler) flow.Handler {
		return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
			reply, err := next(ctx, in)
			if err == nil || flow.ClassOf(err) != flow.Transient {
				return reply, err
			}
			o.Log.Warn("destination failed; retrying", "flow", name, "message", in.ID,
				"route", in.Route.Name, "destination", in.Route.Destination, "code", int(flow.CodeOf(err)), "err", err)
			return m.retry(ctx, in, next, err, name, o)
		}
	}
}

// retry tries again, with pauses, until the handler succeeds or fails for good.
func (m *Metrics) retry(ctx context.Context, in *flow.Message, next flow.Handler, err error, name string, o RetryOptions) (reply *flow.Message, _ error) {
	end := time.NewTimer(o.For)
	defer end.Stop()
	pauses := o.backoff()
	for err != nil && flow.ClassOf(err) == flow.Transient {
		if stop := o.pause(ctx, in, pauses.NextBackOff(), end.C, err); stop != nil {
			return nil, stop
		}
		m.retries.WithLabelValues(name, strconv.Itoa(int(flow.CodeOf(err)))).Inc()
		reply, err = next(ctx, in)
	}
	return reply, err
}

// pause lets time pass before the next try after err. It returns the error of the
// message when there is to be no other try.
func (o RetryOptions) pause(ctx context.Context, in *flow.Message, length time.Duration, end <-chan time.Time, err error) error {
	start := time.Now()
	defer func() { in.Away += time.Since(start) }()
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-end:
		return err
	case <-o.Stopping:
	case <-ctx.Done():
	}
	return flow.Errorf(flow.CodeOf(err), "stopping before the next try: %w", err).WithClass(flow.Stopping)
}

func (o RetryOptions) backoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = o.Initial, o.Max
	b.Multiplier, b.RandomizationFactor = o.Multiplier, o.Jitter
	b.Reset()
	return b
}
