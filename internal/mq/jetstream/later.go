package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// The headers of a schedule, and of the message that comes of it
// (https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-51.md).
const (
	scheduleHeader  = "Nats-Schedule"
	targetHeader    = "Nats-Schedule-Target"
	schedulerHeader = "Nats-Scheduler"
	// scheduleTime is long enough for the headers of a schedule not to be shorter than
	// those that replace them: what a limit on the size of messages lets in, it has to
	// let out.
	scheduleTime = "2006-01-02T15:04:05.000Z"
	// neverExpires keeps a message that is held back for longer than its queue keeps
	// messages.
	neverExpires = "never"
)

// PublishLater implements [mq.Delayer]. The message becomes a schedule in the
// stream of the queue, which is changed for that when it has to be.
func (b *Broker) PublishLater(ctx context.Context, queue string, delay time.Duration, m *flow.Message) error {
	if err := ValidateQueue(queue); err != nil {
		return fmt.Errorf("%w: %w", mq.ErrReturned, err)
	}
	if m.Expiry != 0 {
		return fmt.Errorf("message was not sent: one that expires, as this does after %v, can't be held back", m.Expiry)
	}
	msg, err := encode(queue, m)
	if err != nil {
		return err
	}
	s, err := b.publishing.session(ctx)
	if err != nil {
		return err
	}
	err = b.schedule(ctx, s, queue, delay, msg)
	if errors.Is(err, errNoSchedules) || errors.Is(err, nats.ErrNoResponders) {
		// The queue may have been made anew since we looked.
		b.delays.forget(queue)
		err = b.schedule(ctx, s, queue, delay, msg)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return b.unroutable(ctx, s, queue)
	case errors.Is(err, errNoSchedules):
		return noDelay(queue, err)
	default:
		return err
	}
}

// schedule publishes msg, to come to the queue after the delay.
func (b *Broker) schedule(ctx context.Context, s *session, queue string, delay time.Duration, msg *nats.Msg) error {
	ahead, err := b.delays.ready(ctx, s, queue)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("message was not sent: %w", err)
	}
	due := time.Now().Add(ahead + delay + time.Millisecond) // of which the format cuts off a part
	msg.Subject = laterPrefix + escape(queue, false) + "." + rand.Text()
	msg.Header.Set(scheduleHeader, "@at "+due.UTC().Format(scheduleTime))
	msg.Header.Set(targetHeader, dueSubject(queue))
	msg.Header.Set(jetstream.MsgTTLHeader, neverExpires)
	err = b.send(ctx, s, msg)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeMessageSchedulesDisabled {
		return fmt.Errorf("%w: %w", errNoSchedules, api)
	}
	return err
}

// errNoSchedules: the stream takes no schedules, although it was found to.
var errNoSchedules = errors.New("stream takes no schedules")

// wasHeldBack tells that msg is what became of a schedule of the queue. Who may
// publish to the subject of the queue alone can't make it look so.
func wasHeldBack(queue string, msg *nats.Msg) bool {
	scheduler := msg.Header[schedulerHeader]
	return msg.Subject == dueSubject(queue) && len(scheduler) == 1 && matches(laterSubjects(queue), scheduler[0])
}

// matches tells that the subject is one of those that end in a wildcard of one token.
func matches(wildcard, subject string) bool {
	prefix := wildcard[:len(wildcard)-1]
	return len(subject) > len(prefix) && subject[:len(prefix)] == prefix
}

// delays remembers which queues hold messages back.
type delays struct {
	// look makes a queue hold messages back, and returns the server's lead.
	look func(s *session, queue string) (time.Duration, error)

	mu     sync.Mutex
	queues map[string]*delayable // guarded by mu
	closed bool                  // guarded by mu
	work   sync.WaitGroup        // the looks under way
}

// delayable is what was found out about a queue on a session.
type delayable struct {
	session *session
	done    chan struct{} // closed when the rest is valid
	until   time.Time     // it is looked at again after that
	ahead   time.Duration // how far the server's clock is ahead of ours, at most
	err     error
}

// delayMemory is how long it is taken for granted that a queue holds messages back,
// or can't.
const delayMemory = time.Minute

// ready returns the server's lead once the queue holds messages back. One look at a
// queue serves all who wait for it.
func (d *delays) ready(ctx context.Context, s *session, queue string) (time.Duration, error) {
	known := d.join(s, queue)
	if known == nil {
		return 0, errClosed
	}
	select {
	case <-known.done:
		return known.ahead, known.err
	case <-ctx.Done():
		return 0, fmt.Errorf("message was not sent: %w", ctx.Err())
	}
}

// join returns what is known, or begins to look; nil after close.
func (d *delays) join(s *session, queue string) *delayable {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	known := d.queues[queue]
	if known == nil || known.session != s || known.over() {
		known = &delayable{session: s, done: make(chan struct{})}
		d.queues[queue] = known
		d.work.Go(func() { d.run(known, queue) })
	}
	return known
}

func (d *delays) run(k *delayable, queue string) {
	defer close(k.done)
	k.ahead, k.err = d.look(k.session, queue)
	if k.err == nil || errors.Is(k.err, mq.ErrNoDelay) {
		k.until = time.Now().Add(delayMemory)
	}
}

// over tells that it is time to look again.
func (k *delayable) over() bool {
	select {
	case <-k.done:
		return time.Now().After(k.until)
	default:
		return false
	}
}

func (d *delays) forget(queue string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.queues, queue)
}

// close waits for the looks under way, whose context is over.
func (d *delays) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.work.Wait()
}
