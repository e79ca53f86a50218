package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"mqgateway/internal/mq"
)

// The outcomes as the server knows them
// (https://docs.nats.io/using-nats/developer/develop_jetstream/consumers).
var (
	ack        = []byte("+ACK")
	nak        = []byte("-NAK")
	term       = []byte("+TERM")
	inProgress = []byte("+WPI")

	outcomes = [...][]byte{mq.Ack: ack, mq.Retry: nak, mq.Return: nak, mq.Reject: term}
)

// Settle implements [mq.Settler]. No answer is awaited: an outcome that is lost
// with its connection means that the message is delivered again, which at least
// once allows.
func (s *subscription) Settle(d *mq.Delivery, o mq.Outcome) error {
	return s.settle(d.Tag, outcomes[o])
}

func (s *subscription) settle(tag uint64, outcome []byte) error {
	if s.session.lost() {
		return mq.ErrStale
	}
	s.mu.Lock()
	h, ok := s.out[tag]
	delete(s.out, tag)
	s.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: it is settled, or its subscription is closed", mq.ErrStale)
	}
	if err := s.session.nc.Publish(h.reply, outcome); err != nil {
		return fmt.Errorf("%w: %w", mq.ErrStale, err)
	}
	s.pull()
	return nil
}

// Cancel implements [mq.Subscription].
func (s *subscription) Cancel(ctx context.Context) error {
	s.mu.Lock()
	first := !s.cancelled
	s.cancelled = true
	s.mu.Unlock()
	if first {
		// An invalid subscription is drained already, with its connection.
		if err := s.sub.Drain(); err != nil && !s.session.nc.IsClosed() {
			return fmt.Errorf("cancelling the subscription to %q: %w", s.queue, err)
		}
	}
	select {
	case <-s.drained:
		return nil
	case <-s.session.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cancelling the subscription to %q: %w", s.queue, ctx.Err())
	}
}

// Close implements [mq.Subscription].
func (s *subscription) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if !first {
		s.work.Wait()
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.broker.timeout)
	defer cancel()
	err := s.Cancel(ctx)
	close(s.stop)
	s.work.Wait()
	s.end(errSubscriptionClosed)
	s.broker.forget(s)
	if s.session.nc.IsClosed() {
		<-s.session.gone
		s.lose()
		return nil
	}
	naks(s.session.nc, s.abandon())
	_ = s.asked.Unsubscribe() // fails when the connection is gone, and it with that
	flushErr := s.session.nc.FlushWithContext(ctx)
	if flushErr != nil && !s.session.nc.IsClosed() { // the loss of the connection is no fault of Close
		err = errors.Join(err, fmt.Errorf("flushing what was settled on %q: %w", s.queue, flushErr))
	}
	return err
}

// orphan is an unsettled message of a lost connection.
type orphan struct {
	tag uint64
	hold
	until time.Time // after this the server has given it to somebody itself
}

// abandon takes all that is unsettled, in the order of delivery.
func (s *subscription) abandon() []orphan {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := make([]orphan, 0, len(s.out))
	for tag, h := range s.out {
		left = append(left, orphan{tag: tag, hold: h, until: h.heard.Add(s.ackWait)})
	}
	clear(s.out)
	slices.SortFunc(left, func(a, b orphan) int { return cmp.Compare(a.tag, b.tag) })
	return left
}

// lose ends the subscription with its connection. The server does not know that
// nobody works on its messages any more: the next Subscribe tells it.
func (s *subscription) lose() {
	s.end(s.lossCause())
	left := s.abandon()
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	s.broker.orphans[s.queue] = append(s.broker.orphans[s.queue], left...)
}

func (s *subscription) lossCause() error { return cmp.Or(s.session.err, errClosed) }

// giveBack returns what lost connections left of a queue.
func (b *Broker) giveBack(s *session, queue string) {
	b.mu.Lock()
	left := b.orphans[queue]
	delete(b.orphans, queue)
	b.mu.Unlock()
	now := time.Now()
	naks(s.nc, slices.DeleteFunc(left, func(o orphan) bool { return now.After(o.until) }))
}

func naks(nc *nats.Conn, left []orphan) {
	for _, o := range left {
		_ = nc.Publish(o.reply, nak) // what is lost comes back after the ack wait
	}
}
