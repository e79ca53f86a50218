package mqtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"mqgateway/internal/mq"
)

var receiveRules = []rule{
	{
		name:    "Receive ends with its context",
		explain: "Receive returns the context's error when that ends; no message is lost by it, and the subscription goes on",
		check:   receiveEndsWithContext,
	},
	{
		name:    "many receive at once",
		explain: "many goroutines that receive and settle at once get each message exactly once, and the queue is empty at the end",
		check:   manyReceive,
	},
	{
		name:    "prefetch bounds what is out",
		explain: "no more messages than prefetch are delivered and unsettled; each that is settled lets one more come",
		check:   prefetchBounds,
	},
	{
		name:    "a slow message holds up none",
		explain: "while one message is in work for long, all the others behind it are delivered",
		check:   slowMessage,
	},
	{
		name:    "two subscriptions share a queue",
		explain: "two readers of a queue get each message once between them",
		check:   twoSubscriptions,
	},
	{
		name:    "Cancel ends in order",
		explain: "after Cancel what was delivered before can be received, then Receive is ErrCancelled; what is in hand can be settled; the rest stays in the queue",
		check:   cancelEnds,
	},
	{
		name:    "Cancel wakes who waits",
		explain: "a Receive that waits while the subscription is cancelled returns ErrCancelled",
		check:   cancelWakes,
	},
	{
		name:    "Close wakes who waits",
		explain: "a Receive that waits while the subscription or the broker is closed returns an error, and so does one that comes after that",
		check:   closeWakes,
	},
}

func receiveEndsWithContext(f *fixture) {
	b, queue := f.open(), f.queue()
	s := f.subscribe(b, queue, 10)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Receive(ctx); !errors.Is(err, context.Canceled) {
		f.Errorf("Receive() = %v, want %v", err, context.Canceled)
	}
	f.receiveNone(s)

	const n = 50
	wait := f.send(b, queue, ids(n))
	seen := map[string]bool{}
	for deadline := time.Now().Add(patience); len(seen) < n; {
		if time.Now().After(deadline) {
			f.Fatalf("only %d of %d messages came", len(seen), n)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		d, err := s.Receive(ctx)
		cancel()
		switch {
		case err == nil:
			seen[d.Message.ID] = true
			f.settle(d, mq.Ack)
		case !errors.Is(err, context.DeadlineExceeded):
			f.Fatalf("Receive() = %v, want %v", err, context.DeadlineExceeded)
		}
	}
	wait()
	f.holds(queue, 0)
}

// work receives until the subscription ends, with several goroutines, and tells
// how often each message came. handle may keep a delivery without settling it.
func (f *fixture) work(s mq.Subscription, workers int, handle func(*mq.Delivery)) (wait func() map[string]int) {
	var group sync.WaitGroup
	var mu sync.Mutex
	count := map[string]int{}
	for range workers {
		group.Go(func() {
			for {
				d, err := s.Receive(context.Background())
				if err != nil {
					return
				}
				mu.Lock()
				count[d.Message.ID]++
				mu.Unlock()
				handle(d)
			}
		})
	}
	return func() map[string]int {
		group.Wait()
		return count
	}
}

// acks settles by Ack and reports errors.
func (f *fixture) acks(d *mq.Delivery) {
	if err := d.Settle(mq.Ack); err != nil {
		f.Errorf("settling %q: %v", d.Message.ID, err)
	}
}

// times reports messages that did not come as often as they should.
func (f *fixture) times(counts map[string]int, ids []string, want int) {
	f.Helper()
	for _, id := range ids {
		if counts[id] != want {
			f.Errorf("message %q came %d times, want %d", id, counts[id], want)
		}
	}
}

func manyReceive(f *fixture) {
	b, queue, all := f.open(), f.queue(), ids(1000)
	s := f.subscribe(b, queue, 64)
	wait := f.work(s, 32, f.acks)
	f.fill(b, queue, all)
	f.holds(queue, 0)
	f.close(s)
	f.times(wait(), all, 1)
	f.holds(queue, 0)
}

func prefetchBounds(f *fixture) {
	b, queue := f.open(), f.queue()
	const prefetch = 5
	f.fill(b, queue, ids(4*prefetch))
	s := f.subscribe(b, queue, prefetch)
	var out []*mq.Delivery
	for range prefetch {
		out = append(out, f.receive(s))
	}
	f.receiveNone(s)
	for _, o := range []mq.Outcome{mq.Ack, mq.Reject, mq.Ack} {
		f.settle(out[0], o)
		out = append(out[1:], f.receive(s))
		f.receiveNone(s)
	}
}

func slowMessage(f *fixture) {
	b, queue := f.open(), f.queue()
	const n = 200
	f.fill(b, queue, ids(n))
	s := f.subscribe(b, queue, 4)
	slow := f.receive(s)
	for range n - 1 {
		f.settle(f.receive(s), mq.Ack)
	}
	f.holds(queue, 1)
	f.settle(slow, mq.Ack)
	f.holds(queue, 0)
}

func twoSubscriptions(f *fixture) {
	b, queue, all := f.open(), f.queue(), ids(200)
	one, two := f.subscribe(b, queue, 5), f.subscribe(f.open(), queue, 5)
	waitOne, waitTwo := f.work(one, 2, f.acks), f.work(two, 2, f.acks)
	f.fill(b, queue, all)
	f.holds(queue, 0)
	f.close(one)
	f.close(two)
	counts := waitOne()
	for id, n := range waitTwo() {
		counts[id] += n
	}
	f.times(counts, all, 1)
}

func cancelEnds(f *fixture) {
	b, queue := f.open(), f.queue()
	const n, prefetch = 40, 10
	f.fill(b, queue, ids(n))
	s := f.subscribe(b, queue, prefetch)
	taken := []*mq.Delivery{f.receive(s), f.receive(s), f.receive(s)}
	if err := s.Cancel(f.ctx()); err != nil {
		f.Fatalf("Cancel() = %v", err)
	}
	for {
		d, err := s.Receive(f.ctx())
		if errors.Is(err, mq.ErrCancelled) {
			break
		}
		if err != nil {
			f.Fatalf("Receive() after Cancel = %v, want %v", err, mq.ErrCancelled)
		}
		taken = append(taken, d)
	}
	if len(taken) > prefetch {
		f.Errorf("%d messages were delivered, prefetch is %d", len(taken), prefetch)
	}
	for _, d := range taken {
		f.settle(d, mq.Ack)
	}
	f.close(s)
	f.holds(queue, n-len(taken))
}

func cancelWakes(f *fixture) {
	b, queue := f.open(), f.queue()
	s := f.subscribe(b, queue, 1)
	ended := f.waiting(s, 3)
	if err := s.Cancel(f.ctx()); err != nil {
		f.Fatalf("Cancel() = %v", err)
	}
	for range 3 {
		if err := <-ended; !errors.Is(err, mq.ErrCancelled) {
			f.Errorf("Receive() = %v, want %v", err, mq.ErrCancelled)
		}
	}
}

// waiting starts goroutines that receive, and gives the errors that they end with.
func (f *fixture) waiting(s mq.Subscription, n int) <-chan error {
	ended := make(chan error, n)
	ctx := f.ctx()
	for range n {
		go func() {
			_, err := s.Receive(ctx)
			if ctx.Err() != nil {
				err = nil // it was left waiting
			}
			ended <- err
		}()
	}
	return ended
}

func closeWakes(f *fixture) {
	b, queue := f.open(), f.queue()
	one, two := f.subscribe(b, queue, 1), f.subscribe(b, queue, 1)
	endedOne, endedTwo := f.waiting(one, 3), f.waiting(two, 3)
	f.close(one)
	for range 3 {
		if err := <-endedOne; err == nil {
			f.Error("Receive() ends without an error when the subscription is closed")
		}
	}
	f.close(b)
	for range 3 {
		if err := <-endedTwo; err == nil {
			f.Error("Receive() ends without an error when the broker is closed")
		}
	}
	for _, s := range []mq.Subscription{one, two} {
		if _, err := s.Receive(f.ctx()); err == nil || errors.Is(err, context.DeadlineExceeded) {
			f.Errorf("Receive() after Close = %v, want an error at once", err)
		}
	}
}
