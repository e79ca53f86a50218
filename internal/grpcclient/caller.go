package grpcclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// Caller calls microservices. It may be used by many goroutines at once.
type Caller struct {
	settings *settingsBook
	targets  targets
	closed   atomic.Bool
}

// Open makes a caller; it connects when the first call needs it. Close has to be
// called.
func Open(cfg Config) (*Caller, error) {
	c := &Caller{settings: newSettingsBook(cfg.Settings)}
	if cfg.Routing == direct {
		c.targets = newDirectTargets()
		return c, nil
	}
	m, err := newMesh(c.settings.fallback)
	if err != nil {
		return nil, fmt.Errorf("opening the gRPC client (grpc.client.settings.default): %w", err)
	}
	c.targets = m
	return c, nil
}

// Close ends all connections. Calls that are still in hand, and later ones, fail
// with class Stopping.
func (c *Caller) Close() error {
	c.closed.Store(true)
	return c.targets.close()
}

// Async hands m to MessageAsyncChannel of its route's destination and returns no
// reply. It is nil only once the service has answered. A service that can't be
// reached fails the call at once: waiting is for whoever retries. Errors are
// [flow.Error]s that wrap the gRPC status, if there is one.
func (c *Caller) Async(ctx context.Context, m *flow.Message) (*flow.Message, error) {
	return nil, c.call(ctx, m, gateway.MessageAsyncChannel_ProcessMessage_FullMethodName, new(gateway.Heartbeat))
}

// call is one unary call of a method of the message's destination, with options
// of its own beside those of the settings.
func (c *Caller) call(ctx context.Context, m *flow.Message, method string, answer any, own ...grpc.CallOption) error {
	authority := m.Route.Destination
	if authority == "" {
		return flow.Errorf(flow.Internal, "message of route %q has no destination", m.Route.Name)
	}
	s := c.settings.of(authority)
	request, err := s.request(m)
	if err != nil {
		return err
	}
	defer request.Free()
	pool, conn, err := c.targets.take(authority, s)
	if err != nil {
		return notPrepared(authority, err)
	}
	defer conn.release()
	work, cancel := context.WithTimeout(ctx, s.timeout(m))
	defer cancel()
	options := append(slices.Clip(s.options), grpc.CallAuthority(authority))
	start := time.Now()
	err = conn.Invoke(s.context(work), method, request, answer, append(options, own...)...)
	m.Away += time.Since(start)
	if err != nil {
		return failure{
			authority: authority, address: pool.address, size: request.Len(),
			stopping: c.closed.Load() || errors.Is(ctx.Err(), context.Canceled),
		}.of(err)
	}
	return nil
}
