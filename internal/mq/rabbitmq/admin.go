package rabbitmq

import (
	"context"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
)

// Inspect implements [mq.Admin].
func (b *Broker) Inspect(ctx context.Context, queue string) (mq.QueueInfo, error) {
	s, err := b.askingAbout(ctx, queue)
	if err != nil {
		return mq.QueueInfo{}, err
	}
	info, err := s.lookUp(ctx, queue)
	return info, missing("looking up", queue, err)
}

// Purge implements [mq.Admin].
func (b *Broker) Purge(ctx context.Context, queue string) (int, error) {
	s, err := b.askingAbout(ctx, queue)
	if err != nil {
		return 0, err
	}
	var removed atomic.Int64 // the question may outlast ctx
	err = s.aside(ctx, func(ch *throwAway) error {
		n, err := ch.QueuePurge(queue, false)
		removed.Store(int64(n))
		return err
	})
	return int(removed.Load()), missing("purging", queue, err)
}

// askingAbout is the connection for a question about a queue.
func (b *Broker) askingAbout(ctx context.Context, queue string) (*session, error) {
	if err := ValidateQueue(queue); err != nil {
		return nil, err
	}
	return b.asking(ctx)
}

// missing tells by [mq.ErrNoQueue] that err, which may be nil, is about a queue that
// does not exist.
func missing(doing, queue string, err error) error {
	switch {
	case err == nil:
		return nil
	case isCode(err, amqp.NotFound):
		return fmt.Errorf("%w: %q", mq.ErrNoQueue, queue)
	default:
		return fmt.Errorf("%s queue %q: %w", doing, queue, err)
	}
}
