package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
)

// maxPrefetch is what the protocol can say.
const maxPrefetch = 1<<16 - 1

// Subscribe implements [mq.Broker].
func (b *Broker) Subscribe(ctx context.Context, q mq.Queue) (mq.Subscription, error) {
	s, err := b.consuming.get(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.ensure(ctx, q); err != nil {
		return nil, err
	}
	sub, err := await(ctx, &b.tasks,
		func() (*subscription, error) { return s.consume(q) },
		func(abandoned *subscription) { _ = abandoned.ch.Close() })
	if err != nil {
		return nil, fmt.Errorf("subscribing to %q: %w", q.Name, err)
	}
	return sub, nil
}

// consume starts to read a queue on a channel of its own.
func (s *session) consume(q mq.Queue) (*subscription, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	sub := &subscription{
		session: s, ch: ch, queue: q.Name, tag: consumerTag(s.broker.instance),
		rpc: make(chan struct{}, 1), lost: make(chan struct{}),
	}
	closes := ch.NotifyClose(make(chan *amqp.Error, 1))
	cancels := ch.NotifyCancel(make(chan string, 1))
	sub.loss = sync.OnceValue(func() error {
		select {
		case reason := <-closes:
			return s.lossBy(reason)
		default: // the channel lives
			return nil
		}
	})
	prefetch := min(max(q.Prefetch, 1), maxPrefetch)
	sub.acks = newAcks(ch, prefetch)
	if err := ch.Qos(prefetch, 0, false); err != nil {
		_ = ch.Close()
		return nil, fmt.Errorf("setting prefetch %d: %w", prefetch, err)
	}
	sub.deliveries, err = ch.Consume(q.Name, sub.tag, false, false, false, false, nil)
	if err != nil {
		_ = ch.Close()
		return nil, err
	}
	if !s.broker.tasks.run(func() { sub.guard(cancels, s.broker.silence) }) {
		_ = ch.Close()
		return nil, errClosed
	}
	return sub, nil
}

// consumerTag is another one at each try: the broker may hold on to an old one
// for a while, and closes the connection that uses it again.
func consumerTag(instance string) string {
	const maxName = 200
	return instance[:min(len(instance), maxName)] + "." + rand.Text()
}

// subscription is one reader of a queue, on a channel of its own.
type subscription struct {
	session    *session
	ch         *amqp.Channel
	queue, tag string
	deliveries <-chan amqp.Delivery
	acks       *acks
	// rpc is held while the channel waits for an answer.
	rpc chan struct{}
	// cancelled is set when we ended the reading ourselves.
	cancelled atomic.Bool
	// lost is closed when the channel is gone.
	lost chan struct{}
	// heard is set when something was received; watch clears it.
	heard atomic.Bool
	// forgotten is why watch ended the reading.
	forgotten atomic.Pointer[error]
	// loss reads why the channel ended; to be called when there are no more
	// deliveries.
	loss func() error
}

// Receive implements [mq.Subscription].
func (s *subscription) Receive(ctx context.Context) (*mq.Delivery, error) {
	select {
	case d, ok := <-s.deliveries:
		if !ok {
			return nil, s.end()
		}
		s.heard.Store(true)
		s.acks.begin()
		return s.delivery(&d), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Lost implements [mq.Subscription].
func (s *subscription) Lost() <-chan struct{} { return s.lost }

// errBrokerCancelled is what remains when the channel lives and nobody here
// cancelled (https://www.rabbitmq.com/docs/consumer-cancel).
var errBrokerCancelled = errors.New("the broker ended the subscription: the queue was deleted, or can't be read for now")

// end tells why there are no more deliveries.
func (s *subscription) end() error {
	if loss := s.loss(); loss != nil {
		return fmt.Errorf("reading %q: %w", s.queue, loss)
	}
	forgotten := s.forgotten.Load()
	switch {
	case s.cancelled.Load():
		return mq.ErrCancelled
	case forgotten != nil:
		return fmt.Errorf("reading %q: %w", s.queue, *forgotten)
	case s.ch.IsClosed():
		return fmt.Errorf("reading %q: %w", s.queue, errClosed)
	default:
		return fmt.Errorf("reading %q: %w", s.queue, errBrokerCancelled)
	}
}

// Settle implements [mq.Settler].
func (s *subscription) Settle(d *mq.Delivery, o mq.Outcome) error {
	if s.ch.IsClosed() {
		return mq.ErrStale
	}
	return s.acks.settle(d.Tag, o)
}

// Cancel implements [mq.Subscription].
func (s *subscription) Cancel(ctx context.Context) error {
	s.cancelled.Store(true)
	err := s.call(ctx, func() error { return s.ch.Cancel(s.tag, false) })
	if err != nil {
		return fmt.Errorf("cancelling the subscription to %q: %w", s.queue, err)
	}
	return nil
}

// Close implements [mq.Subscription].
func (s *subscription) Close() error {
	s.cancelled.Store(true)
	s.acks.close()
	ctx, cancel := context.WithTimeout(context.Background(), s.session.broker.closeTimeout)
	defer cancel()
	if err := s.call(ctx, s.ch.Close); err != nil && !s.ch.IsClosed() {
		return fmt.Errorf("closing the subscription to %q: %w", s.queue, err)
	}
	return nil
}

// call waits for an answer on the channel, which can wait for one at a time.
func (s *subscription) call(ctx context.Context, do func() error) error {
	select {
	case s.rpc <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return s.session.broker.tasks.wait(ctx, func() error {
		defer func() { <-s.rpc }()
		return do()
	})
}
