package mq

import (
	"context"
	"errors"
	"time"

	"mqgateway/internal/flow"
)

// handle passes a message to the handler, again while that may help, and turns what
// became of it into an outcome. hold ends when the message can't be held any longer,
// work when nothing can be done with it.
func (l *Listener) handle(hold, work context.Context, d *Delivery) Outcome {
	probe, ok := l.brake.enter(hold)
	if !ok {
		return Return
	}
	t := l.take(d)
	m, err := l.try(work, d, t)
	if err == nil {
		l.brake.leave(probe, notFailedForGood)
		return Ack
	}
	f := failing{Listener: l, delivery: d, message: m, tries: t, seat: seat{in: &l.share}, probe: probe}
	defer f.seat.leave()
	outcome := f.settle(hold, work, err)
	l.brake.leave(f.probe, f.told)
	return outcome
}

// manyDeliveries of a message bring it close to where a broker drops it.
const manyDeliveries = 10

// take makes the message what its sender sent, and tells what is known of its tries.
func (l *Listener) take(d *Delivery) (t tries) {
	if d.Message.Source.Delayed {
		t = unpark(&d.Message)
	}
	takeMark(&d.Message)
	if d.Message.ID == "" {
		d.Message.ID, d.Message.IDMade = l.options.NewID(), true
	}
	if d.Message.Expiry > 0 && t.deadline.IsZero() {
		t.deadline = time.Now().Add(d.Message.Expiry)
	}
	if l.options.DeliveryLimit && d.Message.Source.Deliveries >= manyDeliveries && !l.warned.Swap(true) {
		l.log.Warn("a message was delivered many times: the broker drops it at the queue's delivery limit, unless it dead-letters",
			"message", d.Message.ID, "deliveries", d.Message.Source.Deliveries)
	}
	return t
}

// try passes the message to the handler once, unless its deadline has passed. The
// handler gets a copy, which is returned: the delivery keeps the message as it was
// sent.
func (l *Listener) try(work context.Context, d *Delivery, t tries) (*flow.Message, error) {
	m := d.Message
	m.Attempts = t.attempts
	if !t.deadline.IsZero() && t.late(time.Now()) {
		return &m, errLate
	}
	_, err := l.handler(work, &m)
	return &m, err
}

// errLate is why a message is not handled any more.
var errLate = flow.Errorf(flow.ReplyTimeout, "the deadline has passed, which is the first taking of the message and its Expiry")

// failing is a message that failed, until it is settled.
type failing struct {
	*Listener
	delivery *Delivery
	// message is what the handler left of it at its last try.
	message *flow.Message
	tries   tries
	// seat lets it be retried in place.
	seat seat
	// told is what the brake is told; probe tells that it waits for that.
	told  told
	probe bool
	// stays tells that this message can't be parked.
	stays bool
}

// settle decides what becomes of the message, does it, and returns the outcome.
func (f *failing) settle(hold, work context.Context, err error) Outcome {
	f.failed(err)
	for {
		v := f.decide(hold, err)
		switch v.fate {
		case done:
			f.told = notFailedForGood
			return Ack
		case again:
			f.about(err).Log(work, f.level(again, err), "message failed; trying again in place", "err", err)
			if !sleep(hold, f.jittered(v.pause)) {
				return Return
			}
			if f.message, err = f.try(work, f.delivery, f.tries); err != nil {
				f.failed(err)
			}
		case park:
			if o, settled := f.park(hold, work, err, v.pause); settled {
				return o
			}
		default:
			return f.finish(hold, work, v.fate, err)
		}
	}
}

// failed counts a try.
func (f *failing) failed(err error) {
	if errors.Is(err, errLate) || flow.ClassOf(err) == flow.Stopping {
		return
	}
	f.tries = f.tries.failed(time.Now())
	if f.probe && flow.ClassOf(err) == flow.Transient {
		f.brake.leave(true, notFailedForGood) // others need not wait for its next tries
		f.probe = false
	}
}

// decide is the fate of the message, after it has found a place to wait for its next
// try. Where there is none in place it is parked; where it can't be parked, it waits
// for one.
func (f *failing) decide(hold context.Context, err error) verdict {
	if errors.Is(err, errLate) {
		return verdict{fate: expired}
	}
	policy := f.options.Failure()
	c := policy.FailureConfig
	w := ways{park: f.parks(policy)}
	w.place = !w.park || !f.tries.parked
	v := fateOf(err, f.tries, w, c, time.Now())
	switch {
	case v.fate != again || f.seat.take(f.seats()):
		return v
	case w.park:
		w.place = false
	case !f.sit(hold, f.tries.end(w, c.Retry)):
		return verdict{fate: untouched}
	}
	return fateOf(err, f.tries, w, c, time.Now())
}

// parks tells that the message can wait outside of the process, as far as it is known.
func (f *failing) parks(policy *Failure) bool {
	return policy.Park && !f.stays && f.parking.open(time.Now()) && f.parking.takes(&f.delivery.Message)
}

// sit waits for a place to retry the message in, until end at most. It tells
// whether the message can be held that long.
func (f *failing) sit(hold context.Context, end time.Time) bool {
	within, cancel := context.WithDeadline(hold, end)
	defer cancel()
	f.seat.wait(within, f.seats())
	return hold.Err() == nil
}

// seats is how many workers may have a failed message in hand.
func (f *failing) seats() int {
	share := f.options.Failure().Retry.MaxInFlightShare
	return max(1, int(share*float64(f.options.Concurrency)))
}
