package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// PublishLater implements [mq.Delayer]. Messages wait in a queue that nobody reads,
// one for each source queue and length of delay, such as orders.in.RETRY.30000ms;
// when their time is over the broker moves them to the source queue, and forgets
// them only once they are there. These queues stay for ever.
//
// The Exchange and RoutingKey of m.Source come back with the message.
func (b *Broker) PublishLater(ctx context.Context, queue string, delay time.Duration, m *flow.Message) error {
	if m.Expiry != 0 {
		return fmt.Errorf("nothing was sent: holding back a message whose expiry is %s, which ought to be 0", m.Expiry)
	}
	waiting, err := newDelayQueue(queue, delay)
	if err != nil {
		return err
	}
	waits := parkedCopy(queue, m)
	to := flow.Address{Key: waiting.name}
	s, p, err := b.prepare(ctx, to, &waits)
	if err != nil {
		return err
	}
	p.UserId = s.address.username // whereby the copy is known to be ours
	for range 2 {
		if err = s.ensureDelay(ctx, waiting); err != nil {
			return err
		}
		if err = s.publish(ctx, &s.window, to, p); !errors.Is(err, mq.ErrReturned) {
			return err
		}
		s.delays.Delete(waiting.name) // somebody deleted it
	}
	return err
}

// delayQueue is the queue of messages that wait for so long for their source queue.
type delayQueue struct {
	name, source string
	ms           int64
}

func newDelayQueue(source string, delay time.Duration) (delayQueue, error) {
	ms := max(int64((delay+time.Millisecond-1)/time.Millisecond), 1)
	q := delayQueue{name: fmt.Sprintf("%s%s%dms", source, delayInfix, ms), source: source, ms: ms}
	if ms > maxTTL {
		return q, fmt.Errorf("%w: for %s; the limit is %s", mq.ErrNoDelay, delay, maxTTL*time.Millisecond)
	}
	if err := ValidateQueue(q.name); err != nil {
		return q, fmt.Errorf("%w: delay %w", mq.ErrNoDelay, err)
	}
	return q, nil
}

// ValidateDelay tells why messages of a queue can't be held back for so long.
func ValidateDelay(queue string, delay time.Duration) error {
	_, err := newDelayQueue(queue, delay)
	return err
}

// arguments let no message get lost: it is confirmed by a majority of nodes, and by
// the source queue before it is forgotten here
// (https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering).
func (q delayQueue) arguments(limit bool) amqp.Table {
	args := amqp.Table{
		amqp.QueueTypeArg:           amqp.QueueTypeQuorum,
		"x-message-ttl":             q.ms,
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": q.source,
		"x-dead-letter-strategy":    "at-least-once",
		"x-overflow":                "reject-publish",
	}
	if limit {
		args[deliveryLimit] = int64(-1)
	}
	return args
}

// ensureDelay makes a delay queue, once for each connection.
func (s *session) ensureDelay(ctx context.Context, q delayQueue) error {
	if _, ok := s.delays.Load(q.name); ok {
		return nil
	}
	select {
	case s.declaring <- struct{}{}:
		defer func() { <-s.declaring }()
	case <-ctx.Done():
		return fmt.Errorf("nothing was sent: %w", context.Cause(ctx))
	}
	if _, ok := s.delays.Load(q.name); ok {
		return nil
	}
	err := s.declareDelay(ctx, q)
	switch {
	case err == nil:
		s.delays.Store(q.name, true)
		return nil
	case errors.Is(err, mq.ErrNoDelay):
		return err
	default:
		return fmt.Errorf("nothing was sent: declaring delay queue %q: %w", q.name, err)
	}
}

// declareDelay does not look the queue up first: declaring one that exists tells
// that it is what it has to be, and without its arguments messages would stay in it
// for ever. A user who may not declare queues gets those that an operator made.
func (s *session) declareDelay(ctx context.Context, q delayQueue) error {
	if v := s.serverVersion(); !v.atLeast(3, 10) {
		return fmt.Errorf("%w: RabbitMQ %s is too old; 3.10 and later can", mq.ErrNoDelay, v)
	}
	unlimited := s.serverVersion().atLeast(4, 0)
	err := s.declare(ctx, q.name, q.arguments(unlimited))
	if unlimited && isCode(err, amqp.PreconditionFailed) { // made before the broker was 4.0
		err = s.declare(ctx, q.name, q.arguments(false))
	}
	if isCode(err, amqp.AccessRefused) {
		if _, missing := s.lookUp(ctx, q.name); missing == nil {
			return nil
		}
	}
	if isCode(err, amqp.AccessRefused) || isCode(err, amqp.PreconditionFailed) {
		return fmt.Errorf("%w: declaring delay queue %q: %w", mq.ErrNoDelay, q.name, err)
	}
	return err
}

// serverVersion is the broker's, empty when it does not tell.
func (s *session) serverVersion() version {
	text, _ := s.conn.Properties["version"].(string)
	return version(text)
}

// version is that of a broker, such as 3.10.8.
type version string

// atLeast tells that a version is known and not before another one.
func (v version) atLeast(major, minor int) bool {
	first, rest, _ := strings.Cut(string(v), ".")
	second, _, _ := strings.Cut(rest, ".")
	m, err := strconv.Atoi(first)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(second)
	return m > major || m == major && err == nil && n >= minor
}
