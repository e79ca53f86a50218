package mq

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/flow"
)

// Listener is the source that reads one queue of one manager: it hands each
// message to a handler and settles it by what the handler returns.
type Listener struct {
	manager *Manager
	queue   Queue
	handler flow.Handler
	options ListenerOptions
	log     *slog.Logger
	count   listenerCounts

	// slots bounds the messages in work, over all subscriptions: while the workers
	// of a lost one still finish, the next one has so many fewer.
	slots   chan struct{}
	workers sync.WaitGroup

	subscribed atomic.Bool

	// What follows is for messages that fail.
	parking *parking
	share   share
	brake   *brake
	warned  atomic.Bool
	// unwritten and unparked are set while that was told of dead letters that can't be
	// written, and of messages that can't be parked.
	unwritten, unparked atomic.Bool
}

// ListenerOptions are what a listener needs beside its queue and handler.
type ListenerOptions struct {
	// Concurrency is the number of messages in work at once, from 1.
	Concurrency int
	// Grace is how long messages in work may go on after Run was told to stop.
	Grace flow.Grace
	// Replies tells that callers wait for what is in the queue: it is read while
	// reading is paused, and for a while on a manager that is disabled.
	Replies bool
	// Flow is the name of the flow that the messages enter, for metrics.
	Flow string
	// Failure says what becomes of messages that fail; it is asked for each of them.
	Failure func() *Failure
	// Prepare, when set, is called before each try to subscribe; its error is as one of
	// subscribing.
	Prepare func(context.Context) error
	// DeliveryLimit tells that the broker may drop a message that was delivered too often.
	DeliveryLimit bool
	// Late is called for each message whose deadline passed before it could be handled;
	// nil is not.
	Late func()
	// NewID makes an id for a message that has none.
	NewID   func() string
	Log     *slog.Logger
	Metrics *Metrics
}

// NewListener makes a listener; Run starts it.
func NewListener(m *Manager, q Queue, h flow.Handler, o ListenerOptions) *Listener {
	l := &Listener{
		manager: m, queue: q, handler: h, options: o,
		log:   o.Log.With("queue", q.Name, "manager", m.ID()),
		count: o.Metrics.listener(o.Flow, q.Name, m.ID()),
		slots: make(chan struct{}, o.Concurrency),
	}
	l.brake = newBrake(func() BrakeConfig { return o.Failure().Brake }, l.log, l.count.braked, l.count.brakes)
	l.parking = &parking{manager: m, queue: q.Name, log: l.log}
	return l
}

// Run reads the queue until ctx ends, through every loss of the subscription and
// every pause; see [Managers.SetReading] and [Managers.SetDisabled].
// Then it stops taking, gives back what nobody has begun, waits for what is in
// work within the grace, and returns nil.
func (l *Listener) Run(ctx context.Context) error {
	work, cancel := l.options.Grace.Context(ctx)
	defer cancel()
	defer l.workers.Wait()
	for ctx.Err() == nil {
		reading, leave := l.gate().enter(ctx)
		l.readWhile(reading, work)
		leave()
		if ctx.Err() == nil {
			l.log.Info("reading the queue is paused")
		}
	}
	return nil
}

// gate is open while the configuration lets the queue be read.
func (l *Listener) gate() *gate {
	if l.options.Replies {
		return &l.manager.replies
	}
	return &l.manager.reads
}

// readWhile reads the queue until ctx ends.
func (l *Listener) readWhile(ctx, work context.Context) {
	for ctx.Err() == nil {
		long, within, leave := l.brake.period(ctx)
		queue := l.queue
		if long {
			queue.Prefetch = 1
		}
		l.readAs(within, work, queue)
		leave()
	}
}

// steady is how long a subscription lasts at least that had no trouble of its own.
const steady = time.Second

// readAs reads the queue with one subscription after the other until ctx ends. A lost
// one is replaced at once; where they end as soon as they begin, one begins a second.
func (l *Listener) readAs(ctx, work context.Context, queue Queue) {
	for brief := false; ctx.Err() == nil; {
		sub := l.subscribe(ctx, queue)
		if sub == nil {
			return
		}
		began := time.Now()
		l.setSubscribed(true)
		err := l.read(ctx, work, sub)
		l.setSubscribed(false)
		if ctx.Err() == nil {
			l.log.Warn("reading the queue was interrupted; subscribing again", "err", err)
		}
		rest := steady - time.Since(began)
		if brief && rest > 0 {
			sleep(ctx, rest)
		}
		brief = rest > 0
	}
}

// Subscribed tells that the queue is being read.
func (l *Listener) Subscribed() bool { return l.subscribed.Load() }

func (l *Listener) setSubscribed(now bool) {
	l.subscribed.Store(now)
	if now {
		l.count.subscribed.Set(1)
	} else {
		l.count.subscribed.Set(0)
	}
	l.manager.changed.broadcast()
}

// subscribe tries until it has a subscription; it returns nil when ctx ends
// before. It logs the first failure, and a later one of another kind.
func (l *Listener) subscribe(ctx context.Context, queue Queue) Subscription {
	pauses := reconnecting()
	told := noTrouble
	for ctx.Err() == nil {
		sub, err := l.open(ctx, queue)
		if err == nil {
			l.manager.reach()
			l.log.Info("reading the queue")
			return sub
		}
		if ctx.Err() != nil {
			break
		}
		told = l.tell(err, told)
		l.manager.sleep(ctx, pauses.NextBackOff())
	}
	return nil
}

// open tries once to subscribe.
func (l *Listener) open(ctx context.Context, queue Queue) (Subscription, error) {
	if l.options.Prepare != nil {
		if err := l.options.Prepare(ctx); err != nil {
			return nil, err
		}
	}
	return l.manager.broker.Subscribe(ctx, queue)
}

// trouble is why a queue is not read.
type trouble uint8

const (
	noTrouble trouble = iota
	queueMissing
	queueUnreadable
	// brokerAway: the manager is down, and tells so itself, once for all queues.
	brokerAway
)

// tell logs a failure to subscribe, unless the last one was of the same kind: what a
// broker refuses when it is back is news.
func (l *Listener) tell(err error, last trouble) trouble {
	now := queueUnreadable
	switch {
	case errors.Is(err, ErrNoQueue):
		now = queueMissing
	case l.manager.State().Status == Down:
		now = brokerAway
	}
	switch now {
	case last, brokerAway:
	case queueMissing:
		l.log.Error("queue is missing; trying until it is there", "err", err)
	default:
		l.log.Error("queue can't be read; trying until it can be", "err", err)
	}
	return now
}

// read runs workers on a subscription until it is lost or ctx ends. It does not
// wait for messages in work when it is lost, so that the next subscription can
// start; their settling is stale.
func (l *Listener) read(ctx, work context.Context, sub Subscription) error {
	lost := make(chan error, 1)
	hold, release := context.WithCancelCause(ctx)
	defer release(ErrStale)
	for {
		select {
		case l.slots <- struct{}{}:
			l.workers.Go(func() {
				defer func() { <-l.slots }()
				err := l.work(hold, work, sub)
				select {
				case lost <- err:
				default:
				}
			})
		case err := <-lost:
			_ = sub.Close() // it is gone: nothing is left to flush
			return err
		case <-sub.Lost(): // perhaps no worker is free to notice
			err := lossOf(ctx, sub)
			_ = sub.Close()
			return err
		case <-ctx.Done():
			l.drain(work, sub)
			return nil
		}
	}
}

// lossOf is why a subscription is lost. What it still hands out is stale.
func lossOf(ctx context.Context, sub Subscription) error {
	for {
		if _, err := sub.Receive(ctx); err != nil {
			return err
		}
	}
}

// drain ends a subscription in order: no more deliveries, what nobody has begun
// goes back at once, what is in work is waited for.
func (l *Listener) drain(work context.Context, sub Subscription) {
	if err := sub.Cancel(work); err != nil {
		l.log.Warn("cancelling the subscription", "err", err)
	}
	for {
		d, err := sub.Receive(work)
		if err != nil {
			break
		}
		l.settle(d, Return)
	}
	l.workers.Wait()
	if err := sub.Close(); err != nil {
		l.log.Warn("closing the subscription; unsettled messages are delivered again", "err", err)
	}
}

// work handles deliveries, one after the other, until there are no more. hold ends
// when they can't be held any longer: the listener stops, or the subscription is lost,
// which is [ErrStale] as its cause.
func (l *Listener) work(hold, work context.Context, sub Subscription) error {
	for {
		d, err := sub.Receive(work)
		if err != nil {
			return err
		}
		if hold.Err() != nil {
			l.settle(d, Return)
			continue
		}
		l.count.inWork.Inc()
		l.settle(d, l.handle(hold, work, d))
		l.count.inWork.Dec()
	}
}

// settle tells the broker the outcome. A stale delivery is only counted: the
// broker delivers the message again.
func (l *Listener) settle(d *Delivery, o Outcome) {
	err := d.Settle(o)
	switch {
	case err == nil:
		l.count.settled[o].Inc()
	case errors.Is(err, ErrStale):
		l.count.stale.Inc()
	default:
		l.log.Warn("settling a message; it is delivered again", "message", d.Message.ID, "outcome", o.String(), "err", err)
	}
}

// listenerCounts are the metrics of one listener, looked up once.
type listenerCounts struct {
	subscribed, inWork prometheus.Gauge
	settled            [Reject + 1]prometheus.Counter
	stale              prometheus.Counter
	braked             prometheus.Gauge
	brakes             prometheus.Counter
	// fates are counted by code.
	fates map[fate]func(flow.Code)
}
