package main

import (
	"context"
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

// client is a microservice that calls the process under measurement.
type client struct {
	conn *grpc.ClientConn
	// call makes a call, and returns the reply of a request.
	call func(context.Context, *gateway.ProtoMessage) (*gateway.ProtoMessage, error)
	// replies adds up what was returned.
	replies tally
}

func dial(p *process, s scenario) (*client, error) {
	conn, err := grpc.NewClient("passthrough:///"+p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn}
	if s.asks() {
		stub := gateway.NewMessageSyncChannelClient(conn)
		c.call = func(ctx context.Context, m *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
			return stub.ProcessMessage(ctx, m, grpc.WaitForReady(true))
		}
		return c, nil
	}
	stub := gateway.NewMessageAsyncChannelClient(conn)
	c.call = func(ctx context.Context, m *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
		_, err := stub.ProcessMessage(ctx, m, grpc.WaitForReady(true))
		return nil, err
	}
	return c, nil
}

func (c *client) close() { _ = c.conn.Close() }

// pass makes the call of a message.
func (c *client) pass(m *gateway.ProtoMessage) (reply *gateway.ProtoMessage, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if reply, err = c.call(ctx, m); reply != nil {
		c.replies.count(reply)
	}
	return reply, err
}

// crowd makes as many calls as the meter wants, callers at once, and returns
// how long those behind the warm-up took.
func (c *client) crowd(s scenario, m *meter) ([]time.Duration, error) {
	body := s.body()
	times := make([]time.Duration, m.to)
	var next atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, callers)
	for range callers {
		group.Go(func() {
			for i := next.Add(1) - 1; i < m.to; i = next.Add(1) - 1 {
				begin := time.Now()
				if _, err := c.pass(protoMessage(s, int(i), body)); err != nil {
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
// or not, and returns how late those behind the warm-up were answered.
func (c *client) pace(s scenario, schedule *schedule, m *meter) ([]time.Duration, error) {
	body := s.body()
	var group sync.WaitGroup
	failed := make(chan error, schedule.total)
	err := schedule.run(func(i int) error {
		group.Go(func() {
			if _, err := c.pass(protoMessage(s, i, body)); err != nil {
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
	case err = <-failed:
	default:
	}
	return schedule.measured(), err
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

// measured are the delays behind the warm-up.
func (s *schedule) measured() []time.Duration {
	var times []time.Duration
	for i := s.warmUp; i < s.total; i++ {
		times = append(times, time.Duration(s.delays[i].Load()))
	}
	return times
}

// percentiles are the 50th and the 99th, in milliseconds.
func percentiles(times []time.Duration) (p50, p99 float64) {
	slices.Sort(times)
	at := func(share float64) float64 {
		return float64(times[int(share*float64(len(times)-1))].Microseconds()) / 1e3
	}
	return at(0.50), at(0.99)
}
