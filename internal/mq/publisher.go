package mq

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mqgateway/internal/flow"
)

// Publisher is the target that puts messages on queues: over the managers that
// are available in turn, each at most once a message.
type Publisher struct {
	managers *Managers
	patience time.Duration
	metrics  *Metrics
	turn     atomic.Uint64
}

// NewPublisher publishes over managers. A call waits up to patience for one of
// them to become available.
func NewPublisher(managers *Managers, patience time.Duration, metrics *Metrics) *Publisher {
	return &Publisher{managers: managers, patience: patience, metrics: metrics}
}

// Handle publishes the message to in.To and returns without a reply once a
// broker has confirmed it. It is a [flow.Handler]. An error has the code
// BrokerFailed, or BadMessage for a message that no broker can take.
func (p *Publisher) Handle(ctx context.Context, in *flow.Message) (*flow.Message, error) {
	candidates, err := p.candidates(in.To)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, in, candidates); err != nil {
		return nil, err
	}
	first := int(p.turn.Add(1) % uint64(len(candidates)))
	var tried causes
	for i := range candidates {
		m := candidates[(first+i)%len(candidates)]
		if !m.available() {
			continue
		}
		err := m.Publish(ctx, in.To, in)
		if err == nil || flow.CodeOf(err) == flow.BadMessage {
			return nil, err
		}
		tried = append(tried, fmt.Errorf("manager %q: %w", m.id, err))
	}
	if len(tried) == 0 {
		return nil, unavailable(candidates)
	}
	return nil, flow.Errorf(flow.BrokerFailed, "publishing to %q: %w", in.To, tried)
}

// candidates are the managers that an address allows.
func (p *Publisher) candidates(to flow.Address) ([]*Manager, error) {
	if to.Manager == "" {
		return p.managers.all, nil
	}
	var ids []string
	for _, m := range p.managers.all {
		if m.id == to.Manager {
			return []*Manager{m}, nil
		}
		ids = append(ids, m.id)
	}
	return nil, flow.Errorf(flow.BrokerFailed, "publishing to %q: manager %q is not configured; there are %s",
		to, to.Manager, strings.Join(ids, ", ")).WithClass(flow.Permanent)
}

// await waits until one of the managers is available.
func (p *Publisher) await(ctx context.Context, in *flow.Message, candidates []*Manager) error {
	if anyAvailable(candidates) {
		return nil
	}
	start := time.Now()
	defer func() { in.Away += time.Since(start) }()
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	for {
		changed := p.managers.changed.wait()
		if anyAvailable(candidates) {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			return unavailable(candidates)
		case <-ctx.Done():
			return flow.Errorf(flow.BrokerFailed, "waiting for a manager: %w", context.Cause(ctx))
		}
	}
}

// unavailable tells of every manager why it takes no messages.
func unavailable(candidates []*Manager) error {
	var why causes
	for _, m := range candidates {
		if s := m.State(); s.Err != nil {
			why = append(why, fmt.Errorf("manager %q is %s: %w", m.id, s.Status, s.Err))
		} else {
			why = append(why, fmt.Errorf("manager %q is %s", m.id, s.Status))
		}
	}
	return flow.Errorf(flow.BrokerFailed, "no manager takes messages: %w", why)
}

func anyAvailable(managers []*Manager) bool {
	return slices.ContainsFunc(managers, (*Manager).available)
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
