package mq

import (
	"context"
	"time"

	"mqgateway/internal/flow"
)

// Publisher is the target that puts messages on queues, over all managers.
type Publisher struct{ over balancer }

// NewPublisher publishes over managers, all of which have been added. A call waits
// up to patience for one of them to become available.
func NewPublisher(managers *Managers, patience time.Duration) *Publisher {
	p := &Publisher{over: balancer{changed: &managers.changed, patience: patience}}
	for _, m := range managers.all {
		p.over.routes = append(p.over.routes, oneWay{m})
	}
	return p
}

// finishing is a publisher for what was begun before a manager was disabled: it
// publishes there, too.
func (p *Publisher) finishing() *Publisher {
	f := &Publisher{over: balancer{changed: p.over.changed, patience: p.over.patience}}
	for _, r := range p.over.routes {
		f.over.routes = append(f.over.routes, lastWay{oneWay{r.manager()}})
	}
	return f
}

// Handle publishes the message to in.To and returns without a reply once a
// broker has confirmed it. It is a [flow.Handler]. An error has the code
// BrokerFailed, or BadMessage for a message that no broker can take.
func (p *Publisher) Handle(ctx context.Context, in *flow.Message) (*flow.Message, error) {
	return nil, p.over.send(ctx, nil, in)
}

// oneWay sends what nobody waits for a reply to.
type oneWay struct{ *Manager }

func (o oneWay) manager() *Manager { return o.Manager }

func (o oneWay) send(ctx context.Context, _ *waiter, m *flow.Message) error {
	return o.Publish(ctx, m.To, m)
}

// lastWay is open while the manager is disabled.
type lastWay struct{ oneWay }

func (l lastWay) ready() error { return l.connected() }
