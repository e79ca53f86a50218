package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// maxInFlight is the number of publishes that wait for their confirms at once.
const maxInFlight = 1024

// errChannelDied tells that the channel ended while a publish was in flight on it,
// by an exception that one of those in flight brought about.
var errChannelDied = errors.New("channel is gone")

// errCulprit is [errChannelDied] of a publish that nothing else was in flight beside.
var errCulprit = fmt.Errorf("%w, and nothing else was in flight", errChannelDied)

// window is a channel in confirm mode with a bounded number of publishes in
// flight.
type window struct {
	session *session
	ch      *amqp.Channel
	// returns has room for a return of each publish in flight, so that the
	// library never waits to hand one over.
	returns chan amqp.Return
	// loss waits for the end of the channel and tells why it came; nil when it was
	// closed in order.
	loss func() error
	// culprit is the only place in flight when the channel died, nil of several. It
	// is asked before any place is released.
	culprit func() *place

	// places holds the free ones.
	places chan *place
	// clearing is held by who takes all of them.
	clearing chan struct{}

	mu  sync.Mutex // guards the contents of all
	all []place
}

// place is one publish in flight: what a return of it would look like.
type place struct {
	taken             bool
	exchange, key, id string
	// returned is the broker's reason; empty when the message was not returned.
	returned string
}

// openWindow opens the channel that publishes share.
func (s *session) openWindow() (*window, error) {
	ch, err := s.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	return s.newWindow(ch, ch.NotifyClose(make(chan *amqp.Error, 1)), maxInFlight)
}

// newWindow puts a channel into confirm mode, for size publishes at once.
func (s *session) newWindow(ch *amqp.Channel, closes chan *amqp.Error, size int) (*window, error) {
	w := &window{
		session: s, ch: ch,
		returns: ch.NotifyReturn(make(chan amqp.Return, size)),
		loss:    sync.OnceValue(func() error { return s.lossBy(<-closes) }),
		places:  make(chan *place, size),
		all:     make([]place, size),

		clearing: make(chan struct{}, 1),
	}
	w.culprit = sync.OnceValue(w.only)
	for i := range w.all {
		w.places <- &w.all[i]
	}
	if err := ch.Confirm(false); err != nil {
		_ = ch.Close()
		return nil, fmt.Errorf("asking for confirms: %w", err)
	}
	return w, nil
}

// publish sends a message and waits for what becomes of it. When the error is
// [errChannelDied], the message may be what ended the channel.
func (w *window) publish(ctx context.Context, to flow.Address, p *amqp.Publishing) error {
	timeout := w.session.broker.confirmTimeout
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	pl, err := w.begin(ctx, timer.C, len(p.Body))
	if err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	w.take(pl, to, p.MessageId)
	// The broker returns a mandatory reply even if it was delivered.
	confirm, err := w.ch.PublishWithDeferredConfirm(to.Exchange, to.Key, !isDirectReply(to), false, *p)
	w.session.socket.leave(len(p.Body))
	if err != nil {
		w.release(pl)
		if !w.ch.IsClosed() { // the connection is on its way out
			return fmt.Errorf("%w: %w", mq.ErrUnknown, err)
		}
		return w.died(errChannelDied)
	}
	select {
	case <-confirm.Done():
		return w.judge(pl, confirm.Acked())
	case <-timer.C:
		w.abandon(pl, confirm)
		return fmt.Errorf("%w: no confirm within %s", mq.ErrUnknown, timeout)
	case <-ctx.Done():
		w.abandon(pl, confirm)
		return fmt.Errorf("%w: %w", mq.ErrUnknown, context.Cause(ctx))
	}
}

// begin waits for a place, and for room on the socket for a message of that size.
func (w *window) begin(ctx context.Context, timeout <-chan time.Time, size int) (*place, error) {
	waited := w.session.broker.confirmTimeout
	var pl *place
	select {
	case pl = <-w.places:
	case <-timeout:
		return nil, fmt.Errorf("all %d places for messages without a confirm were taken for %s", len(w.all), waited)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for {
		full := w.session.socket.enter(size)
		if full == nil {
			return pl, nil
		}
		select {
		case <-full:
			continue
		case <-timeout:
			w.places <- pl
			return nil, fmt.Errorf("the connection had no room for %s: the broker reads too slowly", waited)
		case <-ctx.Done():
			w.places <- pl
			return nil, context.Cause(ctx)
		}
	}
}

// take notes what is in flight. It comes before sending: a return may be quick.
func (w *window) take(pl *place, to flow.Address, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*pl = place{taken: true, exchange: to.Exchange, key: to.Key, id: id}
}

// release frees a place and tells whether its message was returned, or was the
// only one under which the channel died. The broker sends a return before the
// confirm of the same message, so that it is among those that came until now.
func (w *window) release(pl *place) (returned string, culprit bool) {
	culprit = w.ch.IsClosed() && w.culprit() == pl
	w.mu.Lock()
	w.sortReturns()
	returned = pl.returned
	*pl = place{}
	w.mu.Unlock()
	w.places <- pl
	return returned, culprit
}

// sortReturns marks everything in flight that looks like a message that was
// returned. Messages with the same id can't be told apart: those that were
// routed are sent twice then, and none is lost. The caller holds mu.
func (w *window) sortReturns() {
	for {
		select {
		case r, ok := <-w.returns:
			if !ok {
				w.returns = nil // blocks for ever, as an empty channel
				return
			}
			w.mark(&r)
		default:
			return
		}
	}
}

func (w *window) mark(r *amqp.Return) {
	for i := range w.all {
		pl := &w.all[i]
		if pl.taken && pl.id == r.MessageId && pl.key == r.RoutingKey && pl.exchange == r.Exchange {
			pl.returned = r.ReplyText
		}
	}
}

// judge tells what became of a message whose wait is over.
func (w *window) judge(pl *place, acked bool) error {
	returned, culprit := w.release(pl)
	switch {
	case returned != "":
		return fmt.Errorf("%w: no queue takes it (%s)", mq.ErrReturned, returned)
	case acked:
		return nil
	case !w.ch.IsClosed():
		return mq.ErrNacked
	default:
		if culprit {
			return w.died(errCulprit)
		}
		return w.died(errChannelDied)
	}
}

// only is the one place that is taken; nil when there are several.
func (w *window) only() (one *place) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.all {
		if !w.all[i].taken {
			continue
		}
		if one != nil {
			return nil
		}
		one = &w.all[i]
	}
	return one
}

// clear waits until nothing is in flight, and keeps all places but one until
// release is called.
func (w *window) clear(ctx context.Context) (release func(), err error) {
	timeout := w.session.broker.confirmTimeout
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("other messages had no confirm for %s", timeout))
	defer cancel()
	var kept []*place
	select {
	case w.clearing <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("nothing was sent: %w", context.Cause(ctx))
	}
	release = func() {
		for _, pl := range kept {
			w.places <- pl
		}
		<-w.clearing
	}
	for len(kept) < len(w.all)-1 {
		select {
		case pl := <-w.places:
			kept = append(kept, pl)
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("nothing was sent: %w", context.Cause(ctx))
		}
	}
	return release, nil
}

// died tells whether the channel, which is closed, went with its connection or
// alone, which is the given error.
func (w *window) died(alone error) error {
	loss := cmp.Or(w.loss(), errClosed)
	if w.session.conn.IsClosed() {
		return fmt.Errorf("%w: %w", mq.ErrUnknown, loss)
	}
	return fmt.Errorf("%w: %w", alone, loss)
}

// abandon keeps the place of a message that nobody waits for any more until its
// confirm comes or the channel ends.
func (w *window) abandon(pl *place, confirm *amqp.DeferredConfirmation) {
	w.session.broker.tasks.run(func() {
		<-confirm.Done()
		w.release(pl)
	})
}
