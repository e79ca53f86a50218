package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// inbox is a channel of its own on the publishing connection: the replies come
// by the channel of the requests.
type inbox struct {
	session    *session
	window     *window
	deliveries <-chan amqp.Delivery
	// closed is closed by close, which ends the channel once.
	closed chan struct{}
	close  func() error
}

// OpenInbox implements [mq.Inboxer] by RabbitMQ's direct reply-to.
//
// Replies are not acknowledged, so that no prefetch bounds them: those that
// nobody has received yet are held in memory. As many can be expected as there
// are requests that wait, which is for the caller to bound, and to receive them
// without delay.
//
// What can end the channel is refused as by [Broker.Publish]. The first request to
// an exchange has the channel for itself, so that one that the user may not write
// to is found out: it costs the inbox once, and is refused with [mq.ErrNacked]
// from then on.
func (b *Broker) OpenInbox(ctx context.Context) (mq.Inbox, error) {
	s, err := b.publishing.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening an inbox: %w", err)
	}
	if err := s.blockade(); err != nil { // which answers nothing
		return nil, fmt.Errorf("opening an inbox: %w", err)
	}
	i, err := await(ctx, &b.tasks, s.openInbox, func(abandoned *inbox) { _ = abandoned.window.ch.Close() })
	if err != nil {
		return nil, fmt.Errorf("opening an inbox: %w", err)
	}
	return i, nil
}

func (s *session) openInbox() (*inbox, error) {
	w, err := s.openWindow()
	if err != nil {
		return nil, err
	}
	deliveries, err := w.ch.Consume(directReplyTo, consumerTag(s.broker.instance), true, false, false, false, nil)
	if err != nil {
		_ = w.ch.Close()
		return nil, fmt.Errorf("reading %q: %w", directReplyTo, err)
	}
	i := &inbox{session: s, window: w, deliveries: deliveries, closed: make(chan struct{})}
	i.close = sync.OnceValue(i.hangUp)
	return i, nil
}

// Address implements [mq.Inbox].
func (i *inbox) Address() string { return directReplyTo }

// Publish implements [mq.Inbox]. When the channel ends under a message that was
// alone on it, the error is that of the broker's reason; of several none is blamed.
func (i *inbox) Publish(ctx context.Context, to flow.Address, m *flow.Message) error {
	p, err := i.session.prepare(ctx, to, m)
	if err != nil {
		return err
	}
	return i.publish(ctx, to, p)
}

func (i *inbox) publish(ctx context.Context, to flow.Address, p *amqp.Publishing) error {
	if err := i.over(); err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	if err := i.session.find(ctx, to); err != nil {
		return err
	}
	if _, suspect := i.session.suspects.Load(to.Exchange); suspect {
		return fmt.Errorf("%w: a message to exchange %q ended a channel before; the user may not be allowed to write there", mq.ErrNacked, to.Exchange)
	}
	err := i.send(ctx, to, p)
	switch {
	case errors.Is(err, errCulprit):
		return i.session.refusal(to, err)
	case errors.Is(err, errChannelDied):
		if isCode(err, amqp.NotFound) {
			i.session.exchanges.Clear()
		}
		return fmt.Errorf("%w: %w", mq.ErrUnknown, err)
	}
	return err
}

// send sends a message, and the first one to an exchange alone.
func (i *inbox) send(ctx context.Context, to flow.Address, p *amqp.Publishing) error {
	if _, ok := i.session.writable.Load(to.Exchange); ok {
		return i.window.publish(ctx, to, p)
	}
	release, err := i.window.clear(ctx)
	if err != nil {
		return err
	}
	defer release()
	err = i.window.publish(ctx, to, p)
	if err == nil || errors.Is(err, mq.ErrReturned) {
		i.session.writable.Store(to.Exchange, true)
	}
	return err
}

// Receive implements [mq.Inbox].
func (i *inbox) Receive(ctx context.Context) (*flow.Message, error) {
	select {
	case d, ok := <-i.deliveries:
		if !ok {
			return nil, i.end()
		}
		m := new(flow.Message)
		i.session.read(m, &d, directReplyTo)
		return m, nil
	case <-i.closed:
		return nil, errInboxClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var errInboxClosed = errors.New("inbox is closed")

// over tells why nothing can be sent any more; nil while it can.
func (i *inbox) over() error {
	select {
	case <-i.closed:
		return errInboxClosed
	default:
	}
	if !i.window.ch.IsClosed() {
		return nil
	}
	return fmt.Errorf("inbox is lost: %w", cmp.Or(i.window.loss(), errClosed))
}

// end tells why no more replies come. Without them the channel is of no use.
func (i *inbox) end() error {
	if err := i.over(); err != nil {
		return err
	}
	_ = i.Close()
	return fmt.Errorf("inbox is lost: %w", errBrokerCancelled)
}

// Close implements [mq.Inbox]. Publishes that wait for a confirm end with
// [mq.ErrUnknown].
func (i *inbox) Close() error { return i.close() }

func (i *inbox) hangUp() error {
	close(i.closed)
	ctx, cancel := context.WithTimeout(context.Background(), i.session.broker.closeTimeout)
	defer cancel()
	if i.session.blockade() != nil {
		cancel() // no answer comes until the broker has recovered
	}
	err := i.session.broker.tasks.wait(ctx, i.window.ch.Close)
	if err == nil || i.window.ch.IsClosed() || i.session.blockade() != nil {
		return nil
	}
	return fmt.Errorf("closing the inbox: %w", err)
}
