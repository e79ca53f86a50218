package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// Join implements [mq.Broadcaster]. The stream of the queue gets a subject that
// names the group, by which the server finds the streams of the whole group.
func (b *Broker) Join(ctx context.Context, group string, q mq.Queue) error {
	s, err := b.publishing.session(ctx)
	if err != nil {
		return err
	}
	if _, err := b.ensure(ctx, s, q); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if err := b.join(ctx, s, group, q.Name); err != nil {
		return s.explain(fmt.Errorf("joining queue %q to group %q: %w", q.Name, group, err))
	}
	return nil
}

func (b *Broker) join(ctx context.Context, s *session, group, queue string) error {
	if group == "" {
		return errors.New("the name of the group is empty")
	}
	member := memberSubject(group, queue)
	stream, err := s.js.Stream(ctx, streamName(queue))
	if err != nil || slices.Contains(stream.CachedInfo().Config.Subjects, member) {
		return err
	}
	_, err = b.changeStream(ctx, s, queue, func(_ string, cfg jetstream.StreamConfig) (jetstream.StreamConfig, error) {
		if !slices.Contains(cfg.Subjects, member) {
			cfg.Subjects = append(cfg.Subjects, member)
		}
		return cfg, nil
	})
	return err
}

// Broadcast implements [mq.Broadcaster]. It looks the group up each time: a queue
// that joined gets the very next message.
func (b *Broker) Broadcast(ctx context.Context, group string, m *flow.Message) error {
	s, err := b.publishing.session(ctx)
	if err != nil {
		return err
	}
	queues, err := b.members(ctx, s, group)
	if err != nil {
		return err
	}
	return b.publishAll(ctx, group, queues, m)
}

// members are the queues of a group.
func (b *Broker) members(ctx context.Context, s *session, group string) ([]string, error) {
	if group == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	streams, err := list(ctx, s, memberSubjects(group))
	if err != nil {
		return nil, s.explain(fmt.Errorf("message was not sent: looking up group %q: %w", group, err))
	}
	queues := make([]string, 0, len(streams))
	for _, stream := range streams {
		if queue, ok := queueName(stream); ok {
			queues = append(queues, queue)
		}
	}
	return queues, nil
}

// list returns the streams that take messages from the subject.
func list(ctx context.Context, s *session, subject string) ([]string, error) {
	lister := s.js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
	var streams []string
	for stream := range lister.Name() {
		streams = append(streams, stream)
	}
	return streams, lister.Err()
}

// publishAll publishes to all queues at once. One that is gone is none of the group
// any more.
func (b *Broker) publishAll(ctx context.Context, group string, queues []string, m *flow.Message) error {
	errs := make(chan error, len(queues))
	for _, queue := range queues {
		go func() { errs <- b.Publish(ctx, flow.Address{Key: queue}, m) }()
	}
	delivered := 0
	var failed error
	for range queues {
		switch err := <-errs; {
		case err == nil:
			delivered++
		case errors.Is(err, mq.ErrReturned):
		case failed == nil || errors.Is(err, mq.ErrUnknown):
			failed = err
		}
	}
	switch {
	case failed != nil:
		return fmt.Errorf("broadcasting to group %q, of which %d of %d queues have the message: %w", group, delivered, len(queues), failed)
	case delivered == 0:
		return fmt.Errorf("%w: there is no queue in group %q", mq.ErrReturned, group)
	default:
		return nil
	}
}
