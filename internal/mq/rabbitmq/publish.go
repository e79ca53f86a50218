package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// Publish implements [mq.Broker].
func (b *Broker) Publish(ctx context.Context, to flow.Address, m *flow.Message) error {
	s, p, err := b.prepare(ctx, to, m)
	if err != nil {
		return err
	}
	return s.publish(ctx, &s.window, to, p)
}

// prepare makes what is published on the publishing connection, outside of inboxes.
func (b *Broker) prepare(ctx context.Context, to flow.Address, m *flow.Message) (*session, *amqp.Publishing, error) {
	s, err := b.publishing.getWithin(ctx, b.confirmTimeout)
	if err != nil {
		return nil, nil, fmt.Errorf("nothing was sent: %w", err)
	}
	if m.ReplyTo == directReplyTo {
		return nil, nil, flow.Errorf(flow.BadMessage, "ReplyToQ %q is for requests whose sender waits on the same channel; the broker would refuse it", m.ReplyTo)
	}
	p, err := s.prepare(ctx, to, m)
	return s, p, err
}

// prepare makes what is published, or tells why nothing can be.
func (s *session) prepare(ctx context.Context, to flow.Address, m *flow.Message) (*amqp.Publishing, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("nothing was sent: %w", context.Cause(ctx))
	}
	p, err := s.outgoing(to, m)
	if err != nil {
		return nil, err
	}
	if err := s.blockade(); err != nil {
		return nil, fmt.Errorf("nothing was sent: %w", err)
	}
	return p, nil
}

// publish sends a message on a channel that many share. When that ends under it,
// the message is tried once more, alone.
func (s *session) publish(ctx context.Context, shared *lazy[window], to flow.Address, p *amqp.Publishing) error {
	if err := s.find(ctx, to); err != nil {
		return err
	}
	if _, suspect := s.suspects.Load(to.Exchange); suspect {
		return s.publishAlone(ctx, to, p)
	}
	w, err := shared.getWithin(ctx, s.broker.confirmTimeout)
	if err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	err = w.publish(ctx, to, p)
	if !errors.Is(err, errChannelDied) {
		return err
	}
	if isCode(err, amqp.NotFound) {
		s.exchanges.Clear()
	}
	return s.publishAlone(ctx, to, p)
}

// find looks up what the broker would end a channel over, or a connection, if it
// were missing.
func (s *session) find(ctx context.Context, to flow.Address) error {
	var err error
	if isDirectReply(to) {
		err = s.knowsReply(ctx, to.Key)
	} else {
		err = s.knowsExchange(ctx, to.Exchange)
	}
	if err == nil || errors.Is(err, mq.ErrReturned) || flow.CodeOf(err) == flow.BadMessage {
		return err
	}
	return fmt.Errorf("nothing was sent: %w", err)
}

// patient bounds what a publish waits for beside its confirm, so that a broker that
// hangs holds nobody longer.
func (b *Broker) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, b.confirmTimeout, fmt.Errorf("no answer within %s", b.confirmTimeout))
}

// publishAlone sends a message on a channel of its own, so that if it ends that
// channel it is known to be the reason, and nobody else suffers. Whatever is not
// known for sure is [mq.ErrUnknown]: the message may have been sent before.
func (s *session) publishAlone(ctx context.Context, to flow.Address, p *amqp.Publishing) error {
	ctx, cancel := s.broker.patient(ctx)
	defer cancel()
	err := s.knowsExchange(ctx, to.Exchange)
	if err == nil {
		err = s.aside(ctx, func(ch *throwAway) error {
			w, err := s.newWindow(ch.Channel, ch.closes, 1)
			if err != nil {
				return err
			}
			return w.publish(ctx, to, p)
		})
	}
	switch {
	case err == nil:
		s.suspects.Delete(to.Exchange)
		return nil
	case errors.Is(err, errChannelDied):
		return s.refusal(to, err)
	case errors.Is(err, mq.ErrReturned), errors.Is(err, mq.ErrNacked), errors.Is(err, mq.ErrUnknown):
		return err
	default:
		return fmt.Errorf("%w: %w", mq.ErrUnknown, err)
	}
}

// refusal is the error of a message that ended the channel that it was alone on.
func (s *session) refusal(to flow.Address, err error) error {
	reason, ok := errors.AsType[*amqp.Error](err)
	if !ok {
		return fmt.Errorf("%w: %w", mq.ErrUnknown, err)
	}
	switch reason.Code {
	case amqp.PreconditionFailed:
		return flow.Errorf(flow.BadMessage, "the broker refuses the message: %s", reason.Reason)
	case amqp.NotFound:
		s.exchanges.Clear()
		return fmt.Errorf("%w: %s", mq.ErrReturned, reason.Reason)
	default: // 403 above all: the user may not write there
		s.suspects.Store(to.Exchange, true)
		return fmt.Errorf("%w: %s", mq.ErrNacked, reason.Reason)
	}
}
