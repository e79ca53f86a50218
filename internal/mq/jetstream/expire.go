package jetstream

import (
	"cmp"
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/mq"
)

const (
	// expiresKey marks the streams of queues that go without a reader; its value is
	// the duration.
	expiresKey = "mq-expires"
	// leastExpires is the shortest life that the server gives to messages.
	leastExpires = 100 * time.Millisecond
)

// expire gives the stream of a new queue its life, and that of its messages.
func expire(cfg *jetstream.StreamConfig, q mq.Queue) {
	if q.TTL > 0 {
		cfg.MaxAge = max(q.TTL, leastExpires)
	}
	if q.Expires > 0 {
		life := max(q.Expires, leastExpires)
		cfg.MaxAge = min(cmp.Or(cfg.MaxAge, life), life)
		cfg.Metadata = map[string]string{expiresKey: life.String()}
	}
}

// expiresOf is how long the queue of the stream stays without a reader; 0 is for ever.
func expiresOf(info *jetstream.StreamInfo) time.Duration {
	life, err := time.ParseDuration(info.Config.Metadata[expiresKey])
	if err != nil {
		return 0
	}
	return life
}

// sweep deletes queues whose life is over: the server has taken their consumer
// away. It does what it may, and what is left is for the next one who makes such a
// queue: no failure is told.
func sweep(ctx context.Context, s *session) {
	list := s.js.ListStreams(ctx, jetstream.WithStreamListSubject(subjectPrefix+">"))
	for info := range list.Info() {
		life := expiresOf(info)
		if life > 0 && info.State.Consumers == 0 && info.TimeStamp.Sub(info.Created) > life {
			_ = s.js.DeleteStream(ctx, info.Config.Name)
		}
	}
}
