package rabbitmq

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// SharedChannel is the channel that publishes share now, to see that it is still
// the same later; nil when there is none.
func (b *Broker) SharedChannel() any {
	s := b.publishing.peek()
	if s == nil {
		return nil
	}
	if w := s.window.peek(); w != nil {
		return w
	}
	return nil
}

// InFlight is how many publishes on that channel wait for their confirms.
func (b *Broker) InFlight() int {
	w, ok := b.SharedChannel().(*window)
	if !ok {
		return 0
	}
	return len(w.all) - len(w.places)
}

// PublishUnchecked publishes what the guards would refuse.
func (b *Broker) PublishUnchecked(ctx context.Context, to flow.Address, p *amqp.Publishing) error {
	s, err := b.publishing.get(ctx)
	if err != nil {
		return err
	}
	return s.publish(ctx, &s.window, to, p)
}

// PublishUncheckedOn is the same on an inbox.
func PublishUncheckedOn(ctx context.Context, i mq.Inbox, to flow.Address, p *amqp.Publishing) error {
	return i.(*inbox).publish(ctx, to, p)
}

// NodeOfReply is the node that a reply address names, as the broker writes it.
func NodeOfReply(key string) (string, error) {
	p, err := parseReply(key)
	if err != nil {
		return "", err
	}
	return p.node(), nil
}

// Look looks the queue of a silent subscription up, which had no reader before.
func Look(s mq.Subscription) { s.(*subscription).look(true) }

// AtLeast tells that the version of a server is known and not before another one.
func AtLeast(text string, major, minor int) bool { return version(text).atLeast(major, minor) }
