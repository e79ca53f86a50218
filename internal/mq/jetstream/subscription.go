package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// subscription reads one queue on one connection.
type subscription struct {
	broker  *Broker
	session *session
	queue   string
	pulls   pulls
	sub     *nats.Subscription
	asked   *nats.Subscription // how many messages are in hand
	ackWait time.Duration      // of the consumer
	ahead   time.Duration      // how far the server's clock is ahead of ours

	buffer  chan arrival  // holds what prefetch allows, so that the sender never waits
	drained chan struct{} // closed when Cancel is through
	over    chan struct{} // closed when nothing more can be received
	stop    chan struct{} // closed by Close
	work    sync.WaitGroup

	mu sync.Mutex
	// guarded by mu
	cause     error           // why it is over
	cancelled bool            // no more pulls
	closed    bool            // nothing can be settled any more
	out       map[uint64]hold // what is unsettled, by tag
}

// arrival is a message as it came.
type arrival struct {
	msg  *nats.Msg
	meta *nats.MsgMetadata
}

// hold is an unsettled message: where its outcome goes, and when the server last
// heard of it.
type hold struct {
	reply string
	heard time.Time
}

var _ mq.Subscription = (*subscription)(nil)

// errSubscriptionClosed ends receiving on a subscription that was closed.
var errSubscriptionClosed = errors.New("subscription is closed")

// Subscribe implements [mq.Broker].
func (b *Broker) Subscribe(ctx context.Context, q mq.Queue) (mq.Subscription, error) {
	session, err := b.reading.session(ctx)
	if err != nil {
		return nil, err
	}
	consumer, err := b.ensure(ctx, session, q)
	if err != nil {
		return nil, err
	}
	info := consumer.CachedInfo()
	if info.Config.AckPolicy != jetstream.AckExplicitPolicy || info.Config.DeliverSubject != "" {
		return nil, fmt.Errorf("consumer %q of stream %q is no pull consumer with explicit acks: remove it, and it is made anew",
			consumerName, info.Stream)
	}
	s := b.newSubscription(session, q, info)
	if err := s.start(); err != nil {
		return nil, fmt.Errorf("subscribing to %q: %w", q.Name, err)
	}
	return s, nil
}

func (b *Broker) newSubscription(session *session, q mq.Queue, info *jetstream.ConsumerInfo) *subscription {
	prefetch := max(q.Prefetch, 1)
	s := &subscription{
		broker:  b,
		session: session,
		queue:   q.Name,
		ackWait: cmp.Or(info.Config.AckWait, defaultAckWait),
		buffer:  make(chan arrival, prefetch),
		drained: make(chan struct{}),
		over:    make(chan struct{}),
		stop:    make(chan struct{}),
		out:     make(map[uint64]hold, prefetch),
	}
	s.pulls = newPulls(session.nc, info, prefetch)
	if !info.TimeStamp.IsZero() {
		s.ahead = time.Until(info.TimeStamp)
	}
	return s
}

// start gives back what a lost connection left, and asks for messages.
func (s *subscription) start() error {
	s.broker.giveBack(s.session, s.queue)
	var err error
	if s.sub, err = s.session.nc.Subscribe(s.pulls.inbox, s.arrive); err != nil {
		return err
	}
	if err := s.sub.SetPendingLimits(-1, -1); err != nil {
		return err
	}
	s.sub.SetClosedHandler(func(string) { close(s.drained) })
	if s.asked, err = s.session.nc.Subscribe(heldSubject(s.queue), s.tellHeld); err != nil {
		return err
	}
	if !s.broker.track(s) {
		_ = s.sub.Unsubscribe()
		_ = s.asked.Unsubscribe()
		return errClosed
	}
	ctx, cancel := context.WithCancel(s.broker.ctx)
	s.work.Go(func() {
		defer cancel()
		s.watch()
	})
	s.work.Go(func() { s.remind(ctx) })
	s.pull()
	return nil
}

// arrive takes whatever the server sends; nats.go calls it one at a time.
func (s *subscription) arrive(msg *nats.Msg) {
	if msg.Reply == "" {
		s.status(msg)
		return
	}
	meta, err := msg.Metadata()
	if err != nil {
		return // somebody else wrote to our inbox
	}
	s.mu.Lock()
	s.pulls.delivered()
	s.out[meta.Sequence.Consumer] = hold{reply: msg.Reply, heard: s.pulls.heard}
	s.mu.Unlock()
	select {
	case s.buffer <- arrival{msg, meta}:
	default: // more than we asked for
		_ = s.settle(meta.Sequence.Consumer, nak)
	}
}

// status takes what the server says about a pull.
func (s *subscription) status(msg *nats.Msg) {
	s.mu.Lock()
	err := s.pulls.answered(msg)
	s.mu.Unlock()
	if err != nil {
		s.end(err)
		return
	}
	s.pull()
}

// pull asks for as many messages as prefetch leaves room for, if that is worth it.
func (s *subscription) pull() {
	s.mu.Lock()
	if s.cancelled || s.cause != nil {
		s.mu.Unlock()
		return
	}
	request := s.pulls.next(len(s.out))
	s.mu.Unlock()
	if request == nil {
		return
	}
	if err := s.session.nc.PublishRequest(s.pulls.subject, s.pulls.inbox, request); err != nil {
		s.end(err)
	}
}

// Receive implements [mq.Subscription].
func (s *subscription) Receive(ctx context.Context) (*mq.Delivery, error) {
	for {
		a, err := s.next(ctx)
		if err != nil {
			return nil, err
		}
		d := &mq.Delivery{Message: decode(a.msg, a.meta), Tag: a.meta.Sequence.Consumer, Settler: s}
		if s.expired(&d.Message, a.meta) {
			_ = s.Settle(d, mq.Ack)
			continue
		}
		d.Message.Source = flow.Source{
			Queue:       s.queue,
			Manager:     s.broker.manager,
			RoutingKey:  s.queue,
			Redelivered: a.meta.NumDelivered > 1,
			Delayed:     wasHeldBack(s.queue, a.msg),
			Deliveries:  int(a.meta.NumDelivered) - 1,
		}
		return d, nil
	}
}

// Lost implements [mq.Subscription].
func (s *subscription) Lost() <-chan struct{} { return s.session.gone }

// next waits for a message. What arrived before the subscription ended is not
// handed out after that, but what arrived before Cancel is.
func (s *subscription) next(ctx context.Context) (arrival, error) {
	select {
	case <-s.over:
		return arrival{}, s.reason()
	default:
	}
	select {
	case a := <-s.buffer:
		return a, nil
	case <-s.over:
		return arrival{}, s.reason()
	case <-ctx.Done():
		return arrival{}, ctx.Err()
	case <-s.drained:
	}
	select {
	case a := <-s.buffer:
		return a, nil
	case <-s.over:
		return arrival{}, s.reason()
	default:
		return arrival{}, s.exhausted()
	}
}

// exhausted is why there is nothing more: nats.go drains a subscription, too,
// when its connection ends.
func (s *subscription) exhausted() error {
	if s.session.lost() || s.session.nc.IsClosed() {
		<-s.session.gone
		s.end(s.lossCause())
		return s.reason()
	}
	return mq.ErrCancelled
}

// expired tells that the life of the message was over before it was delivered.
func (s *subscription) expired(m *flow.Message, meta *nats.MsgMetadata) bool {
	return m.Expiry > 0 && time.Since(meta.Timestamp)+s.ahead >= m.Expiry
}

// end makes Receive return the cause.
func (s *subscription) end(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = s.session.explain(cause)
		close(s.over)
	}
}

func (s *subscription) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}
