package mq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"mqgateway/internal/flow"
)

// Failure says what becomes of messages that failed. It never changes; a change of
// the configuration makes another one, which holds for what fails from then on.
type Failure struct {
	FailureConfig
	// Park lets messages wait for their next try outside of the process, where the broker
	// is a [Delayer].
	Park bool
	// DeadLetters takes messages that failed for good.
	DeadLetters *DeadLetters
}

// DeadLetters writes messages that failed for good to a queue beside their own.
type DeadLetters struct {
	// Queue is where they go; empty is the message's own queue with .DLQ behind it.
	Queue string
	// Kind is how a missing queue is declared; Existing never declares it.
	Kind QueueKind
	// TTL is how long they stay there, where it is declared; 0 is for ever.
	TTL time.Duration
	// Instance is the name of this process, for the reader of a dead letter.
	Instance string

	declared sync.Map // queue@manager -> struct{}, once it is known to exist
}

// Write publishes a copy of the message to its dead letter queue on the manager
// that it came from and returns once that is confirmed. The name of the queue is
// returned with an error, too. m has the route and the number of tries, beside what was sent.
func (dl *DeadLetters) Write(ctx context.Context, on *Manager, m *flow.Message, cause error) (queue string, err error) {
	queue = dl.Queue
	if queue == "" {
		queue = m.Source.Queue + ".DLQ"
	}
	if err := dl.declare(ctx, on, queue); err != nil {
		return queue, err
	}
	for _, f := range fits(m.Headers) {
		letter := dl.letter(m, cause, f)
		err = insist(ctx, func() error { return on.Publish(ctx, flow.Address{Key: queue}, &letter) })
		if flow.CodeOf(err) != flow.BadMessage {
			break
		}
	}
	if errors.Is(err, ErrReturned) {
		dl.declared.Delete(queue + "@" + on.ID())
	}
	return queue, err
}

// fit is how many bytes of a message's headers and of the reason a letter has at most.
type fit struct{ headers, reason int }

// shortReason is enough to tell what was wrong.
const shortReason = 100

// fits are what is tried, one after the other, until the broker takes the letter: it
// may take less than others do, or the message fills what it takes, and in its own
// queue the message would come back for ever. What can be told again goes first. They
// are few, since a broker may end a channel over each of them.
func fits(headers []flow.Header) []fit {
	const fewer, least = 4, 128
	all := []fit{{maxHeaders, maxErrorText}, {maxHeaders, shortReason}}
	for size := min(headersSize(headers), maxHeaders) / fewer; size >= least; size /= fewer {
		all = append(all, fit{size, shortReason})
	}
	return append(all, fit{0, shortReason}, fit{})
}

// insist publishes again, for a second and a half at most, while the broker refuses
// the message: a quorum queue that has just been made may have no leader yet.
func insist(ctx context.Context, publish func() error) error {
	err := publish()
	for pause := 50 * time.Millisecond; errors.Is(err, ErrNacked) && pause < time.Second && sleep(ctx, pause); pause *= 2 {
		err = publish()
	}
	return err
}

// declare makes the queue when it may be made, once for each manager.
func (dl *DeadLetters) declare(ctx context.Context, on *Manager, queue string) error {
	declarer, ok := on.broker.(Declarer)
	key := queue + "@" + on.ID()
	if _, known := dl.declared.Load(key); known || !ok || dl.Kind == Existing {
		return nil
	}
	if err := declarer.Declare(ctx, Queue{Name: queue, Kind: dl.Kind, Unlimited: true, TTL: dl.TTL}); err != nil {
		return fmt.Errorf("declaring the dead letter queue: %w", err)
	}
	dl.declared.Store(key, struct{}{})
	return nil
}

// letter is the message aside, with the reason.
func (dl *DeadLetters) letter(m *flow.Message, cause error, f fit) flow.Message {
	if f.reason == 0 {
		return bare(m)
	}
	letter := putAsideWithin(f.headers, m)
	add := func(name, value string) {
		letter.Headers = append(letter.Headers, flow.Header{Name: name, Value: value})
	}
	add(headerErrorCode, strconv.Itoa(int(flow.CodeOf(cause))))
	add(headerError, truncate(cause.Error(), f.reason))
	add(headerSourceQueue, m.Source.Queue)
	add(headerFailedAt, time.Now().UTC().Format(time.RFC3339Nano))
	add(headerInstance, dl.Instance)
	if m.Attempts > 0 {
		add(headerAttempts, strconv.Itoa(m.Attempts))
	}
	if m.Route.Name != "" {
		add(headerRoute, m.Route.Name)
	}
	return letter
}
