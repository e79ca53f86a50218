package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// Join implements [mq.Broadcaster]: a group is an exchange of its name. One that
// exists is taken as it is.
func (b *Broker) Join(ctx context.Context, group string, q mq.Queue) error {
	s, err := b.asking(ctx)
	if err != nil {
		return err
	}
	if err := s.ensureExchange(ctx, group); err != nil {
		return err
	}
	if err := s.ensure(ctx, q); err != nil {
		return err
	}
	err = s.aside(ctx, func(ch *throwAway) error { return ch.QueueBind(q.Name, "", group, false, nil) })
	if err != nil {
		return fmt.Errorf("binding queue %q to exchange %q: %w", q.Name, group, err)
	}
	return nil
}

// ensureExchange looks an exchange up, and makes it a fan-out when it is missing, which
// goes with its last queue.
func (s *session) ensureExchange(ctx context.Context, name string) error {
	switch {
	case name == "":
		return errors.New("the group has no name")
	case len(name) > maxShort:
		return fmt.Errorf("group %q: the name has %d bytes; the limit is %d", clip(name), len(name), maxShort)
	}
	err := s.lookUpExchange(ctx, name)
	switch {
	case err == nil:
		return nil
	case !isCode(err, amqp.NotFound):
		return fmt.Errorf("looking up exchange %q: %w", name, err)
	}
	err = s.aside(ctx, func(ch *throwAway) error {
		return ch.ExchangeDeclare(name, amqp.ExchangeFanout, true, true, false, false, nil)
	})
	if err != nil {
		return fmt.Errorf("declaring exchange %q: %w", name, err)
	}
	return nil
}

// Broadcast implements [mq.Broadcaster]. It has a channel that broadcasts share: a
// group can vanish at any time, and the channel goes with it.
func (b *Broker) Broadcast(ctx context.Context, group string, m *flow.Message) error {
	if group == "" {
		return fmt.Errorf("%w: the group has no name", mq.ErrReturned)
	}
	to := flow.Address{Exchange: group}
	s, p, err := b.prepare(ctx, to, m)
	if err != nil {
		return err
	}
	return s.publish(ctx, &s.broadcasts, to, p)
}
