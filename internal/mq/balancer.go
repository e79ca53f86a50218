package mq

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mqgateway/internal/flow"
)

// route is a way to send messages to one manager.
type route interface {
	manager() *Manager
	// ready tells why nothing can be sent that way now; nil when it can.
	ready() error
	// send publishes a message; w is who waits for its reply, nil where nobody does.
	send(ctx context.Context, w *waiter, m *flow.Message) error
}

// balancer sends messages by the routes that are ready, each at most once a message.
type balancer struct {
	routes []route
	// changed is signalled when a route may have become ready.
	changed *signal
	// patience is how long a message waits for a route.
	patience time.Duration
	turn     atomic.Uint64
}

// send returns nil once a broker has confirmed the message. An error has the code
// BrokerFailed, or BadMessage for a message that no broker can take.
func (b *balancer) send(ctx context.Context, w *waiter, m *flow.Message) error {
	routes, err := b.allowed(m.To)
	if err != nil {
		return err
	}
	if err := b.await(ctx, m, routes); err != nil {
		return err
	}
	var tried []route
	var failed causes
	for {
		r := b.next(routes, tried)
		if r == nil {
			break
		}
		err := r.send(ctx, w, m)
		if err == nil || flow.CodeOf(err) == flow.BadMessage {
			return err
		}
		tried = append(tried, r)
		failed = append(failed, fmt.Errorf("manager %q: %w", r.manager().id, err))
		if ctx.Err() != nil || w.answered() {
			break
		}
	}
	if len(tried) == 0 {
		return notReady(routes)
	}
	return flow.Errorf(flow.BrokerFailed, "publishing to %q: %w", m.To, failed)
}

// allowed are the routes that an address leaves.
func (b *balancer) allowed(to flow.Address) ([]route, error) {
	if to.Manager == "" {
		return b.routes, nil
	}
	var ids []string
	for i, r := range b.routes {
		if r.manager().id != to.Manager {
			ids = append(ids, r.manager().id)
			continue
		}
		if err := r.ready(); errors.Is(err, errManagerDisabled) {
			return nil, flow.Errorf(flow.BrokerFailed, "publishing to %q: manager %q %w", to, to.Manager, err)
		}
		return b.routes[i : i+1], nil
	}
	return nil, flow.Errorf(flow.BrokerFailed, "publishing to %q: manager %q is not configured; there are %s",
		to, to.Manager, strings.Join(ids, ", ")).WithClass(flow.Permanent)
}

// maxAhead is how many more unconfirmed messages than the least busy one a manager may
// have that gets messages in turn: one that hangs can't take all callers.
const maxAhead = 128

// next is the route for the next try; nil when none is left.
func (b *balancer) next(routes, tried []route) route {
	var room [16]route
	able := room[:0]
	for _, r := range routes {
		if r.ready() == nil && !slices.Contains(tried, r) {
			able = append(able, r)
		}
	}
	switch len(able) {
	case 0:
		return nil
	case 1:
		return able[0]
	}
	turn := b.turn.Add(1)
	if able[0].manager().smart() {
		return leastBusy(able, turn)
	}
	return inTurn(able, turn)
}

// inTurn is the first route, from one that changes with each message, whose manager is
// not too far ahead of the least busy one.
func inTurn(routes []route, turn uint64) route {
	most := leastInFlight(routes) + maxAhead
	n := uint64(len(routes))
	for i := range n {
		r := routes[(turn+i)%n]
		if r.manager().load.inFlight.Load() <= most {
			return r
		}
	}
	return routes[turn%n] // all are busier by now
}

func leastInFlight(routes []route) int64 {
	least := int64(math.MaxInt64)
	for _, r := range routes {
		least = min(least, r.manager().load.inFlight.Load())
	}
	return least
}

// await waits until one of the routes is ready.
func (b *balancer) await(ctx context.Context, m *flow.Message, routes []route) error {
	if anyReady(routes) {
		return nil
	}
	start := time.Now()
	defer func() { m.Away += time.Since(start) }()
	timer := time.NewTimer(b.patience)
	defer timer.Stop()
	for {
		changed := b.changed.wait()
		if anyReady(routes) {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			if anyReady(routes) { // by the time alone
				return nil
			}
			return notReady(routes)
		case <-ctx.Done():
			return flow.Errorf(flow.BrokerFailed, "%w; nothing was sent: %w", notReady(routes), context.Cause(ctx))
		}
	}
}

func anyReady(routes []route) bool {
	return slices.ContainsFunc(routes, func(r route) bool { return r.ready() == nil })
}

// notReady tells of every route why nothing can be sent by it.
func notReady(routes []route) error {
	var why causes
	for _, r := range routes {
		if err := r.ready(); err != nil {
			why = append(why, fmt.Errorf("manager %q %w", r.manager().id, err))
		}
	}
	return flow.Errorf(flow.BrokerFailed, "%w: %w", errNotReady, why)
}

// errNotReady tells that a message was not sent anywhere.
var errNotReady = errors.New("no manager takes messages")

// causes are several errors on one line.
type causes []error

// Error implements error.
func (c causes) Error() string {
	texts := make([]string, len(c))
	for i, err := range c {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives the causes to [errors.Is] and [errors.As].
func (c causes) Unwrap() []error { return c }
