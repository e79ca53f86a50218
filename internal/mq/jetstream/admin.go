package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/mq"
)

const (
	// heldPrefix begins the subjects on which readers are asked how many messages they
	// have in hand. Every user may subscribe there.
	heldPrefix = nats.InboxPrefix + "mq-held."
	// heldWait is how long their answers are waited for.
	heldWait = 250 * time.Millisecond
	// purgeBatch is how many messages are fetched at once to be forgotten.
	purgeBatch = 100
)

// Inspect implements [mq.Admin]. The server counts as unsettled what was given back
// and nobody took since: the readers know better. It does not tell who reads.
func (b *Broker) Inspect(ctx context.Context, queue string) (mq.QueueInfo, error) {
	if err := ValidateQueue(queue); err != nil {
		return mq.QueueInfo{}, fmt.Errorf("%w: %w", mq.ErrNoQueue, err)
	}
	s, err := b.publishing.session(ctx)
	if err != nil {
		return mq.QueueInfo{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	n, err := s.waiting(ctx, queue)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return mq.QueueInfo{}, fmt.Errorf("%w: NATS has no stream %q for queue %q", mq.ErrNoQueue, streamName(queue), queue)
	case err != nil:
		return mq.QueueInfo{}, s.explain(fmt.Errorf("looking up queue %q: %w", queue, err))
	}
	return mq.QueueInfo{Messages: n}, nil
}

// waiting counts the messages that nobody has in hand.
func (s *session) waiting(ctx context.Context, queue string) (int, error) {
	stream, err := s.js.Stream(ctx, streamName(queue))
	if err != nil {
		return 0, err
	}
	consumer, err := stream.Consumer(ctx, consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return deliverableMessages(ctx, stream, queue)
	}
	if err != nil {
		return 0, err
	}
	info := consumer.CachedInfo()
	return int(info.NumPending) + info.NumAckPending - s.held(ctx, queue, info.NumAckPending), nil
}

// deliverableMessages counts what is not held back.
func deliverableMessages(ctx context.Context, stream jetstream.Stream, queue string) (int, error) {
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(laterSubjects(queue)))
	if err != nil {
		return 0, err
	}
	n := info.State.Msgs
	for _, heldBack := range info.State.Subjects {
		n -= min(n, heldBack)
	}
	return int(n), nil
}

// held counts what the readers of a queue have in hand, up to most.
func (s *session) held(ctx context.Context, queue string, most int) int {
	if most == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, heldWait)
	defer cancel()
	inbox := s.nc.NewInbox()
	answers, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return 0
	}
	defer func() { _ = answers.Unsubscribe() }() // fails when the connection is gone, and the answers with it
	if err := s.nc.PublishRequest(heldSubject(queue), inbox, nil); err != nil {
		return 0
	}
	n := 0
	for n < most {
		answer, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			break // there are no readers, or all have answered
		}
		if held, err := strconv.Atoi(string(answer.Data)); err == nil && held > 0 {
			n += held
		}
	}
	return min(n, most)
}

func heldSubject(queue string) string { return heldPrefix + escape(queue, false) }

// tellHeld answers who asks how many messages we have in hand.
func (s *subscription) tellHeld(question *nats.Msg) {
	s.mu.Lock()
	n := len(s.out)
	s.mu.Unlock()
	_ = question.Respond(strconv.AppendInt(nil, int64(n), 10)) // who does not hear it waits no longer than he can
}

// Purge implements [mq.Admin]. It takes the messages as a reader would: a purge of
// the stream would remove those in hand, too, and those that are held back.
func (b *Broker) Purge(ctx context.Context, queue string) (int, error) {
	if err := ValidateQueue(queue); err != nil {
		return 0, fmt.Errorf("%w: %w", mq.ErrNoQueue, err)
	}
	s, err := b.publishing.session(ctx)
	if err != nil {
		return 0, err
	}
	consumer, err := b.ensure(ctx, s, mq.Queue{Name: queue})
	if err != nil {
		return 0, err
	}
	info := consumer.CachedInfo()
	most, n := int(info.NumPending)+info.NumAckPending, 0
	for n < most {
		taken, err := b.discard(ctx, s, info, min(most-n, purgeBatch))
		n += taken
		if err != nil {
			return n, s.explain(fmt.Errorf("purging queue %q, after %d messages: %w", queue, n, err))
		}
		if taken == 0 {
			break // somebody else has the rest
		}
	}
	return n, nil
}

// discard acknowledges up to n messages that wait, and returns how many.
func (b *Broker) discard(ctx context.Context, s *session, consumer *jetstream.ConsumerInfo, n int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	inbox := s.nc.NewInbox()
	messages, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = messages.Unsubscribe() }() // fails when the connection is gone, and the messages with it
	request := fmt.Appendf(nil, `{"batch":%d,"no_wait":true}`, n)
	if err := s.nc.PublishRequest(nextSubject(consumer), inbox, request); err != nil {
		return 0, err
	}
	var replies []string
	for len(replies) < n {
		msg, err := messages.NextMsgWithContext(ctx)
		if err != nil {
			answer(s.nc, replies, nak)
			return 0, err
		}
		if msg.Reply == "" {
			break // a status: there are no more
		}
		replies = append(replies, msg.Reply)
	}
	return s.acknowledge(ctx, replies)
}

// acknowledge has the server confirm the last ack, before which it has taken the others.
func (s *session) acknowledge(ctx context.Context, replies []string) (int, error) {
	if len(replies) == 0 {
		return 0, nil
	}
	last := len(replies) - 1
	answer(s.nc, replies[:last], ack)
	if _, err := s.nc.RequestWithContext(ctx, replies[last], ack); err != nil {
		return 0, err
	}
	return len(replies), nil
}

func answer(nc *nats.Conn, replies []string, outcome []byte) {
	for _, reply := range replies {
		_ = nc.Publish(reply, outcome) // what is lost comes back after the ack wait
	}
}
