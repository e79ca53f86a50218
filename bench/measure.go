package main

import (
	"context"
	"fmt"
	"time"

	"mqgateway/api/proto/gateway"
)

// sample measures one side once.
func (b *bench) sample(s scenario, side string, like *gateway.ProtoMessage) (sample, error) {
	if err := b.broker.renew(s); err != nil {
		return sample{}, err
	}
	switch {
	case s.reads() && s.Rate == 0:
		return b.drain(s, side, like)
	case s.reads():
		return b.trickle(s, side, like)
	default:
		return b.provide(s, side, like)
	}
}

// warmUp is the number of messages before those that are measured.
func (b *bench) warmUp() int { return b.options.messages / 4 }

// drain lets a consumer empty a full queue.
func (b *bench) drain(s scenario, side string, like *gateway.ProtoMessage) (sample, error) {
	m := newMeter(b.warmUp(), b.options.messages)
	if err := b.broker.fill(s, int(m.to)); err != nil {
		return sample{}, err
	}
	var sums tally
	b.service.observe(func(ctx context.Context, in *gateway.ProtoMessage) {
		sums.add(ctx, in)
		m.hit()
	})
	p, err := b.start(s, side)
	if err != nil {
		return sample{}, err
	}
	return b.finish(s, p, m, func() error { return sums.check(int(m.to), like) })
}

// finish waits for the last message, reads the meter, stops the process, and
// makes sure that nothing was lost or done twice.
func (b *bench) finish(s scenario, p *process, m *meter, check func() error) (sample, error) {
	m.process.Store(p)
	if err := p.await(m.done); err != nil {
		return sample{}, err
	}
	got, err := m.sample()
	if err != nil {
		return sample{}, err
	}
	if got.OwnP50, got.OwnP99, err = p.ownTimes(s.Flow); err != nil {
		return sample{}, err
	}
	if err := p.stop(); err != nil {
		return sample{}, err
	}
	if err := check(); err != nil {
		return sample{}, err
	}
	for queue, messages := range s.remaining(int(m.to)) {
		if err := b.broker.holds(queue, messages); err != nil {
			return sample{}, err
		}
	}
	return got, nil
}

// remaining is what the queues hold after so many messages.
func (s scenario) remaining(messages int) map[string]int {
	switch s.Flow {
	case providing:
		return map[string]int{queue: messages}
	case answering:
		return map[string]int{queue: 0, replyQueue: messages}
	case asking:
		return map[string]int{queue: 0, replyQueue: 0}
	default:
		return map[string]int{queue: 0}
	}
}

// trickle lets a consumer read what arrives at a fixed rate.
func (b *bench) trickle(s scenario, side string, like *gateway.ProtoMessage) (sample, error) {
	schedule := newSchedule(s.Rate)
	m := newMeter(schedule.warmUp, schedule.total-schedule.warmUp)
	var sums tally
	b.service.observe(func(ctx context.Context, in *gateway.ProtoMessage) {
		schedule.arrived(indexOf(in.GetMessageId()))
		sums.add(ctx, in)
		m.hit()
	})
	p, err := b.start(s, side)
	if err != nil {
		return sample{}, err
	}
	m.process.Store(p)
	if err := b.broker.awaitReader(); err != nil {
		return sample{}, err
	}
	body := []byte(s.body())
	if err := schedule.run(func(i int) error {
		return b.broker.ch.Publish("", queue, true, false, publishing(s, i, body))
	}); err != nil {
		return sample{}, err
	}
	got, err := b.finish(s, p, m, func() error { return sums.check(schedule.total, like) })
	got.P50, got.P99 = percentiles(schedule.measured())
	return got, err
}

// provide lets callers call a provider, as fast as they can or at a fixed rate.
func (b *bench) provide(s scenario, side string, like *gateway.ProtoMessage) (sample, error) {
	if s.asks() {
		r, err := b.respond(unseen)
		if err != nil {
			return sample{}, err
		}
		defer r.close()
	}
	p, err := b.start(s, side)
	if err != nil {
		return sample{}, err
	}
	c, err := dial(p, s)
	if err != nil {
		return sample{}, err
	}
	defer c.close()
	var m *meter
	var times []time.Duration
	if s.Rate > 0 {
		schedule := newSchedule(s.Rate)
		m = newMeter(schedule.warmUp, schedule.total-schedule.warmUp)
		m.process.Store(p)
		times, err = c.pace(s, schedule, m)
	} else {
		m = newMeter(b.warmUp(), b.options.messages)
		m.process.Store(p)
		times, err = c.crowd(s, m)
	}
	if err != nil {
		return sample{}, fmt.Errorf("%w; it printed:\n%s", err, p.printed())
	}
	got, err := b.finish(s, p, m, func() error {
		if !s.asks() {
			return nil // Each call was answered.
		}
		return c.replies.check(int(m.to), like)
	})
	got.P50, got.P99 = percentiles(times)
	return got, err
}
