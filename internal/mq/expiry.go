package mq

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Expiry removes old messages from one queue of one manager. It looks at the queue
// from time to time, takes from its head what is old by its timestamp, and gives back
// what is not, in order.
type Expiry struct {
	manager *Manager
	queue   string
	options ExpiryOptions
	log     *slog.Logger
	count   prometheus.Counter

	told bool // that the queue can't be read
}

// ExpiryOptions say when messages are old, and how often that is looked at.
type ExpiryOptions struct {
	Period, Threshold time.Duration
	Log               *slog.Logger
	Metrics           *Metrics
}

const (
	// expiryPrefetch is how many messages are taken at a time; up to so many young ones
	// are given back.
	expiryPrefetch = 16
	// expiryQuiet is how long the next message of a queue may take to come, unless there is none.
	expiryQuiet = 500 * time.Millisecond
)

// NewExpiry makes what looks after the queue; Run starts it.
func NewExpiry(m *Manager, queue string, o ExpiryOptions) *Expiry {
	return &Expiry{
		manager: m, queue: queue, options: o, log: o.Log.With("queue", queue, "manager", m.ID()),
		count: o.Metrics.expired.WithLabelValues(queue, m.ID()),
	}
}

// Run looks at the queue each period, at first after a part of it, until ctx ends. It
// ends for good at a queue that counts deliveries: giving back would use them up, and
// the broker would drop messages that are young.
func (e *Expiry) Run(ctx context.Context) error {
	for pause := rand.N(e.options.Period); sleep(ctx, pause); pause = e.options.Period {
		if e.manager.Disabled() {
			continue
		}
		err := e.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errCountsDeliveries):
			e.log.Error("queue counts deliveries; old messages stay there: set a message-ttl by a policy of the broker instead (mq.monitoring.messages.expiry-listener)")
			<-ctx.Done()
			return nil
		case err != nil && !e.told:
			e.log.Warn("old messages can't be removed; trying at each period", "err", err)
		}
		e.told = err != nil
	}
	return nil
}

var errCountsDeliveries = errors.New("queue counts deliveries")

// pass removes the old messages at the head of the queue.
func (e *Expiry) pass(ctx context.Context) error {
	sub, err := e.manager.broker.Subscribe(ctx, Queue{Name: e.queue, Prefetch: expiryPrefetch})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Close() }() // What it could not flush is removed by the next pass.
	removed, oldest := 0, time.Duration(0)
	for {
		d, err := e.next(ctx, sub)
		if err == nil && d != nil {
			age, expired := e.age(d)
			if expired && !counted(d) && d.Settle(Ack) == nil {
				removed, oldest = removed+1, max(oldest, age)
				e.count.Inc()
				e.log.Debug("message is removed", "message", d.Message.ID, "age", age.String())
				continue
			}
			err = giveBackFrom(ctx, sub, d)
		}
		if removed > 0 {
			e.log.Info("old messages are removed", "removed", removed, "oldest", oldest.Round(time.Second).String())
		}
		return err
	}
}

// next is the next message; nil when there is none.
func (e *Expiry) next(ctx context.Context, sub Subscription) (*Delivery, error) {
	within, cancel := context.WithTimeout(ctx, expiryQuiet)
	defer cancel()
	d, err := sub.Receive(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return nil, nil
	}
	return d, err
}

// age is that of a message, by its timestamp, and whether it is old. One without a
// timestamp never is.
func (e *Expiry) age(d *Delivery) (age time.Duration, expired bool) {
	if d.Message.Timestamp.IsZero() {
		return 0, false
	}
	age = time.Since(d.Message.Timestamp)
	return age, age > e.options.Threshold
}

// headerDeliveryCount is set by RabbitMQ on messages of queues that drop one that was
// delivered too often (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
const headerDeliveryCount = "x-delivery-count"

// counted tells that the queue counts how often the message was delivered.
func counted(d *Delivery) bool {
	for _, h := range d.Message.Headers {
		if h.Name == headerDeliveryCount {
			return true
		}
	}
	return false
}

// giveBackFrom gives back a message and all that were taken behind it, in their order:
// at first it takes no more, or the first would come again behind the others.
func giveBackFrom(ctx context.Context, sub Subscription, d *Delivery) error {
	if err := sub.Cancel(ctx); err != nil {
		return err // The end of the subscription gives back all of them.
	}
	counts := counted(d)
	for err := error(nil); err == nil; d, err = sub.Receive(ctx) {
		if err := d.Settle(Return); err != nil {
			return err
		}
		counts = counts || counted(d)
	}
	if counts {
		return errCountsDeliveries
	}
	return nil
}
