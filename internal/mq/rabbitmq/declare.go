package rabbitmq

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
)

// maxTTL is the longest life of a message, and of a queue without readers, in
// milliseconds (https://www.rabbitmq.com/docs/ttl).
const maxTTL = 1<<32 - 1

// deliveryLimit is the argument of a quorum queue by whose value it drops messages.
const deliveryLimit = "x-delivery-limit"

// Declare implements [mq.Declarer].
func (b *Broker) Declare(ctx context.Context, q mq.Queue) error {
	s, err := b.asking(ctx)
	if err != nil {
		return err
	}
	return s.ensure(ctx, q)
}

// asking is the connection for questions: that of readers where there is one, since
// a blocked publishing connection would not answer.
func (b *Broker) asking(ctx context.Context) (*session, error) {
	if s := b.consuming.peek(); s != nil {
		return s, nil
	}
	return b.publishing.get(ctx)
}

// ensure looks a queue up, and makes it when it is missing and may be made. Each
// question has a channel of its own, since a negative answer closes it.
func (s *session) ensure(ctx context.Context, q mq.Queue) error {
	if err := ValidateQueue(q.Name); err != nil {
		return err
	}
	_, err := s.lookUp(ctx, q.Name)
	switch {
	case err == nil:
		return nil
	case !isCode(err, amqp.NotFound):
		return fmt.Errorf("looking up queue %q: %w", q.Name, err)
	case q.Kind == mq.Existing:
		return fmt.Errorf("%w: %q: create it, or set mq.connection.declareQueues (%w)", mq.ErrNoQueue, q.Name, err)
	}
	if err := s.declare(ctx, q.Name, s.arguments(q)); err != nil {
		return fmt.Errorf("declaring %s queue %q: %w", q.Kind, q.Name, err)
	}
	return nil
}

// ValidateQueue tells why no queue can have that name.
func ValidateQueue(name string) error {
	if len(name) > maxShort {
		return fmt.Errorf("queue %q: the name has %d bytes; the limit is %d", clip(name), len(name), maxShort)
	}
	if strings.HasPrefix(name, directReplyTo) {
		return fmt.Errorf("%w: %q: it is a reply address of RabbitMQ", mq.ErrNoQueue, clip(name))
	}
	return nil
}

// declare makes a durable queue.
func (s *session) declare(ctx context.Context, name string, args amqp.Table) error {
	return s.aside(ctx, func(ch *throwAway) error {
		_, err := ch.QueueDeclare(name, true, false, false, false, args)
		return err
	})
}

// lookUp asks about a queue. A missing one is the broker's exception [amqp.NotFound].
func (s *session) lookUp(ctx context.Context, queue string) (mq.QueueInfo, error) {
	var info atomic.Pointer[mq.QueueInfo] // the question may outlast ctx
	err := s.aside(ctx, func(ch *throwAway) error {
		found, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		info.Store(&mq.QueueInfo{Messages: found.Messages, Consumers: found.Consumers})
		return err
	})
	if err != nil {
		return mq.QueueInfo{}, err
	}
	return *info.Load(), nil
}

// arguments are those of a new queue. Servers before 4.0 take a delivery limit
// of -1 for one that is exceeded already, and have none unless told
// (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
func (s *session) arguments(q mq.Queue) amqp.Table {
	args := amqp.Table{amqp.QueueTypeArg: string(q.Kind)}
	if q.Unlimited && q.Kind == mq.Quorum && s.serverVersion().atLeast(4, 0) {
		args[deliveryLimit] = int64(-1)
	}
	if q.Expires > 0 {
		args["x-expires"] = wireTTL(q.Expires)
	}
	if q.TTL > 0 {
		args["x-message-ttl"] = wireTTL(q.TTL)
	}
	return args
}

// wireTTL is a life in the milliseconds that the broker takes.
func wireTTL(life time.Duration) int64 { return min(max(life.Milliseconds(), 1), maxTTL) }

// knowsExchange looks an exchange up, and remembers that it exists. A missing one
// is [mq.ErrReturned]; any other error means that nobody could tell.
func (s *session) knowsExchange(ctx context.Context, name string) error {
	if _, ok := s.exchanges.Load(name); ok || name == "" {
		return nil
	}
	ctx, cancel := s.broker.patient(ctx)
	defer cancel()
	err := s.lookUpExchange(ctx, name)
	switch {
	case err == nil:
		s.exchanges.Store(name, true)
		return nil
	case isCode(err, amqp.NotFound):
		return fmt.Errorf("%w: exchange %q does not exist", mq.ErrReturned, name)
	default:
		return fmt.Errorf("looking up exchange %q: %w", name, err)
	}
}

// lookUpExchange asks whether an exchange exists. A missing one is the broker's
// exception [amqp.NotFound].
func (s *session) lookUpExchange(ctx context.Context, name string) error {
	return s.aside(ctx, func(ch *throwAway) error {
		return ch.ExchangeDeclarePassive(name, amqp.ExchangeDirect, true, false, false, false, nil)
	})
}
