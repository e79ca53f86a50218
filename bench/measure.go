package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"mqgateway/api/proto/gateway"
)

// callers is how many calls wait at once for a provider that is saturated.
const callers = 64

// sample measures one side once.
func (b *bench) sample(s scenario, side string, like *gateway.ProtoMessage) (sample, error) {
	if err := b.broker.renew(s.Queue); err != nil {
		return sample{}, err
	}
	switch {
	case s.Flow == consuming && s.Rate == 0:
		return b.drain(s, side, like)
	case s.Flow == consuming:
		return b.trickle(s, side, like)
	default:
		return b.provide(s, side)
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
	return b.finish(s, p, m, 0, func() error { return sums.check(int(m.to), like) })
}

// finish waits for the last message, reads the meter, stops the process, and
// makes sure that nothing was lost or done twice.
func (b *bench) finish(s scenario, p *process, m *meter, remaining int, check func() error) (sample, error) {
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
	return got, b.broker.holds(remaining)
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
	got, err := b.finish(s, p, m, 0, func() error { return sums.check(schedule.total, like) })
	got.P50, got.P99 = schedule.percentiles()
	return got, err
}

// provide lets callers call a provider, as fast as they can or at a fixed rate.
func (b *bench) provide(s scenario, side string) (sample, error) {
	p, err := b.start(s, side)
	if err != nil {
		return sample{}, err
	}
	c, err := dial(p)
	if err != nil {
		return sample{}, err
	}
	defer c.close()
	body := s.body()
	if s.Rate > 0 {
		schedule := newSchedule(s.Rate)
		m := newMeter(schedule.warmUp, schedule.total-schedule.warmUp)
		m.process.Store(p)
		if err := c.pace(s, schedule, m, body); err != nil {
			return sample{}, err
		}
		got, err := b.finish(s, p, m, schedule.total, nothing)
		got.P50, got.P99 = schedule.percentiles()
		return got, err
	}
	m := newMeter(b.warmUp(), b.options.messages)
	m.process.Store(p)
	times, err := c.crowd(s, m, body)
	if err != nil {
		return sample{}, fmt.Errorf("%w; it printed:\n%s", err, p.printed())
	}
	got, err := b.finish(s, p, m, int(m.to), nothing)
	got.P50, got.P99 = percentiles(times)
	return got, err
}

// nothing is to be checked where each call was answered.
func nothing() error { return nil }

// client is a microservice that calls the process under measurement.
type client struct {
	conn *grpc.ClientConn
	stub gateway.MessageAsyncChannelClient
}

func dial(p *process) (*client, error) {
	conn, err := grpc.NewClient("passthrough:///"+p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return &client{conn, gateway.NewMessageAsyncChannelClient(conn)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

func (c *client) call(ctx context.Context, m *gateway.ProtoMessage) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := c.stub.ProcessMessage(ctx, m, grpc.WaitForReady(true))
	return err
}

// crowd makes as many calls as the meter wants, callers at once, and returns
// how long those behind the warm-up took.
func (c *client) crowd(s scenario, m *meter, body string) ([]time.Duration, error) {
	times := make([]time.Duration, m.to)
	var next atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, callers)
	for range callers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < m.to; i = next.Add(1) - 1 {
				begin := time.Now()
				if err := c.call(context.Background(), protoMessage(s, int(i), body)); err != nil {
					failed <- err
					return
				}
				times[i] = time.Since(begin)
				m.hit()
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return nil, err
	default:
		return times[m.from:], nil
	}
}

// pace makes calls at the times of a schedule, whether earlier ones are answered
// or not.
func (c *client) pace(s scenario, schedule *schedule, m *meter, body string) error {
	var group sync.WaitGroup
	failed := make(chan error, schedule.total)
	err := schedule.run(func(i int) error {
		group.Go(func() {
			if err := c.call(context.Background(), protoMessage(s, i, body)); err != nil {
				failed <- err
				return
			}
			schedule.arrived(i)
			m.hit()
		})
		return nil
	})
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return err
	}
}

// schedule is an open loop: messages have their times, and their delay counts
// from there, also where they could not be sent in time.
type schedule struct {
	begin         time.Time
	pause         time.Duration
	total, warmUp int
	delays        []atomic.Int64
}

func newSchedule(rate int) *schedule {
	total := rate * int(pacedTime/time.Second)
	return &schedule{pause: time.Second / time.Duration(rate), total: total, warmUp: total / 4, delays: make([]atomic.Int64, total)}
}

func (s *schedule) planned(i int) time.Time { return s.begin.Add(time.Duration(i) * s.pause) }

// run calls send for each message at its time.
func (s *schedule) run(send func(i int) error) error {
	s.begin = time.Now().Add(100 * time.Millisecond)
	for i := range s.total {
		time.Sleep(time.Until(s.planned(i)))
		if err := send(i); err != nil {
			return err
		}
	}
	return nil
}

func (s *schedule) arrived(i int) { s.delays[i].Store(int64(time.Since(s.planned(i)))) }

// percentiles are those of the delays behind the warm-up.
func (s *schedule) percentiles() (p50, p99 float64) {
	var times []time.Duration
	for i := s.warmUp; i < s.total; i++ {
		times = append(times, time.Duration(s.delays[i].Load()))
	}
	return percentiles(times)
}

// percentiles are the 50th and the 99th, in milliseconds.
func percentiles(times []time.Duration) (p50, p99 float64) {
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[int(share*float64(len(times)-1))].Microseconds()) / 1e3
	}
	return at(0.50), at(0.99)
}
