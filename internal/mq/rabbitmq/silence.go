package rabbitmq

import (
	"context"
	"errors"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// What ends a subscription that the broker has lost without a word.
var (
	errDeleted   = errors.New("the queue was deleted, and the broker did not tell")
	errForgotten = errors.New("the broker has forgotten the subscription, and did not tell")
)

// guard looks after a subscription until its channel is gone, and tells that. The
// library sends to cancels when the broker cancels, and closes it with the channel.
func (s *subscription) guard(cancels <-chan string, silence time.Duration) {
	s.watch(cancels, silence)
	for range cancels { // until the channel is gone
	}
	close(s.lost)
}

// watch looks a queue up whenever nothing has come from it for a while, as long as
// it is read. The broker can lose a consumer without basic.cancel:
// RabbitMQ 4.0 takes a classic queue for down in the first moments after a start;
// one that is deleted then is struck off the list, and its process lives on with
// the consumer.
func (s *subscription) watch(cancels <-chan string, silence time.Duration) {
	tick := time.NewTicker(silence)
	defer tick.Stop()
	unread := false
	for {
		select {
		case <-cancels:
			return
		case <-tick.C:
		}
		if s.cancelled.Load() {
			return
		}
		if s.heard.Swap(false) {
			unread = false
			continue
		}
		unread = s.look(unread)
		if s.forgotten.Load() != nil {
			return
		}
	}
}

// look ends the reading when the queue is missing, or when it has no reader twice
// in a row: a quorum queue without a leader tells of none, too, for a moment.
// Deliveries in work would be repeated for nothing then, and are waited for.
func (s *subscription) look(unreadBefore bool) (unread bool) {
	ctx, cancel := context.WithTimeout(context.Background(), s.session.broker.closeTimeout)
	defer cancel()
	queue, err := s.session.lookUp(ctx, s.queue)
	switch {
	case isCode(err, amqp.NotFound):
		s.forget(errDeleted)
	case err != nil: // nobody can tell for now
	case queue.Consumers == 0 && s.acks.inWork.Load() == 0:
		if unreadBefore {
			s.forget(errForgotten)
		}
		return true
	}
	return false
}

// forget ends the reading for a reason. When the broker does not answer, the next
// look tries again.
func (s *subscription) forget(reason error) {
	s.forgotten.Store(&reason)
	ctx, cancel := context.WithTimeout(context.Background(), s.session.broker.closeTimeout)
	defer cancel()
	if err := s.call(ctx, func() error { return s.ch.Cancel(s.tag, false) }); err != nil {
		s.forgotten.Store(nil)
	}
}
