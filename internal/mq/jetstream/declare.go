package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/mq"
)

// codeNotClustered: the server stands alone and can't replicate.
const codeNotClustered jetstream.ErrorCode = 10074

// clusterReplicas is how many servers of a cluster hold a message before it
// counts as accepted: two may have it when one fails.
const clusterReplicas = 3

// Declare implements [mq.Declarer]. Both kinds of queue are the same.
func (b *Broker) Declare(ctx context.Context, q mq.Queue) error {
	s, err := b.publishing.session(ctx)
	if err != nil {
		return err
	}
	_, err = b.ensure(ctx, s, q)
	return err
}

// ensure looks a queue up, makes what is missing of it, and returns its
// consumer. The stream is only made when q.Kind lets us; the consumer is the
// reader's part, and always.
func (b *Broker) ensure(ctx context.Context, s *session, q mq.Queue) (jetstream.Consumer, error) {
	if err := ValidateQueue(q.Name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, streamName(q.Name))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if q.Kind == mq.Existing {
			return nil, fmt.Errorf("%w: NATS has no stream %q for queue %q; make it, or set mq.connection.declareQueues", mq.ErrNoQueue, streamName(q.Name), q.Name)
		}
		stream, err = createStream(ctx, s, q)
	}
	if err != nil {
		return nil, s.explain(fmt.Errorf("looking up queue %q: %w", q.Name, err))
	}
	info := stream.CachedInfo()
	consumer, err := stream.Consumer(ctx, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg := b.consumerConfig(expiresOf(info))
		cfg.FilterSubjects = deliverable(q.Name, info.Config.Subjects)
		consumer, err = stream.CreateConsumer(ctx, cfg)
	} else if err == nil && takesSchedules(q.Name, info.Config) {
		consumer, err = refilter(ctx, s, q.Name, info.Config.Subjects, consumer)
	}
	if err != nil {
		return nil, s.explain(fmt.Errorf("looking up the consumer of queue %q: %w", q.Name, err))
	}
	return consumer, nil
}

// createStream makes the stream of a queue. Another process may do the same at
// the same time: the server takes equal requests as one. Who makes a queue that
// goes without a reader takes away those of others that had to go.
func createStream(ctx context.Context, s *session, q mq.Queue) (jetstream.Stream, error) {
	cfg := jetstream.StreamConfig{
		Name:        streamName(q.Name),
		Description: "queue " + q.Name,
		Subjects:    []string{subjectName(q.Name)},
		Retention:   jetstream.WorkQueuePolicy,
		Storage:     jetstream.FileStorage,
		Discard:     jetstream.DiscardNew,
		AllowMsgTTL: true,
		Replicas:    1,
	}
	expire(&cfg, q)
	if q.Expires > 0 {
		sweep(ctx, s)
	}
	if s.nc.ConnectedClusterName() != "" {
		cfg.Replicas = clusterReplicas
	}
	stream, err := s.js.CreateStream(ctx, cfg)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == codeNotClustered {
		cfg.Replicas = 1
		stream, err = s.js.CreateStream(ctx, cfg)
	}
	return stream, err
}

// changeStream changes the stream of a queue. Changes by one broker don't undo each other.
func (b *Broker) changeStream(ctx context.Context, s *session, queue string, change func(queue string, cfg jetstream.StreamConfig) (jetstream.StreamConfig, error)) (jetstream.Stream, error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	stream, err := s.js.Stream(ctx, streamName(queue))
	if err != nil {
		return nil, err
	}
	cfg, err := change(queue, stream.CachedInfo().Config)
	if err != nil {
		return nil, err
	}
	return s.js.UpdateStream(ctx, cfg)
}

// consumerConfig delivers for ever, and bounds nothing: each reader asks for
// what it can take. The server takes the consumer away when its queue stays for
// so long without a request, and without a sign of life of a message in work,
// which comes several times in each ack wait.
func (b *Broker) consumerConfig(expires time.Duration) jetstream.ConsumerConfig {
	if expires > 0 {
		expires = max(expires, b.ackWait)
	}
	return jetstream.ConsumerConfig{
		Durable:       consumerName,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       b.ackWait,
		MaxDeliver:    -1,
		MaxAckPending: -1,
		MaxWaiting:    maxWaiting,

		InactiveThreshold: expires,
	}
}
