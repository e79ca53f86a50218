package mq

import (
	"context"
	"errors"
	"fmt"
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

// balancer sends messages by the routes that are ready, in turn, each at most once
// a message.
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
	first := int(b.turn.Add(1) % uint64(len(routes)))
	var tried causes
	for i := range routes {
		r := routes[(first+i)%len(routes)]
		if r.ready() != nil {
			continue
		}
		err := r.send(ctx, w, m)
		if err == nil || flow.CodeOf(err) == flow.BadMessage {
			return err
		}
		tried = append(tried, fmt.Errorf("manager %q: %w", r.manager().id, err))
	}
	if len(tried) == 0 {
		return notReady(routes)
	}
	return flow.Errorf(flow.BrokerFailed, "publishing to %q: %w", m.To, tried)
}

// allowed are the routes that an address leaves.
func (b *balancer) allowed(to flow.Address) ([]route, error) {
	if to.Manager == "" {
		return b.routes, nil
	}
	var ids []string
	for i, r := range b.routes {
		if r.manager().id == to.Manager {
			return b.routes[i : i+1], nil
		}
		ids = append(ids, r.manager().id)
	}
	return nil, flow.Errorf(flow.BrokerFailed, "publishing to %q: manager %q is not configured; there are %s",
		to, to.Manager, strings.Join(ids, ", ")).WithClass(flow.Permanent)
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

var (
	// errNotReady tells that a message was not sent anywhere.
	errNotReady       = errors.New("no manager takes messages")
	errManagerDown    = errors.New("is down")
	errManagerBlocked = errors.New("is blocked")
)

// ready tells why the manager takes no messages now; nil when it does.
func (m *Manager) ready() error {
	s := m.State()
	why := errManagerDown
	switch s.Status {
	case Up:
		return nil
	case Blocked:
		why = errManagerBlocked
	case Down:
	}
	if s.Err != nil {
		return fmt.Errorf("%w: %w", why, s.Err)
	}
	return why
}

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
