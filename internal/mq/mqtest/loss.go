package mqtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

var lossRules = []rule{
	{
		name:    "a lost connection ends receiving",
		explain: "when the connection is lost, every Receive returns an error that is neither the context's nor ErrCancelled",
		check:   lossEndsReceiving,
	},
	{
		name:    "a lost connection is told to who does not receive",
		explain: "Lost is closed when the connection is lost, whoever receives and however many messages are in hand, and not before",
		check:   lossIsTold,
	},
	{
		name:    "stale deliveries are not settled",
		explain: "settling a delivery of a lost connection is ErrStale, whatever the outcome and however late; its message is delivered again, and no other is touched",
		check:   staleDeliveries,
	},
	{
		name:    "publishing survives lost connections",
		explain: "while connections are lost under load, every message whose Publish was nil is in its queue, and publishing works again by itself",
		check:   publishingSurvives,
	},
	{
		name:    "reading survives lost connections",
		explain: "while connections are lost under load, every message is received at least once by whoever subscribes again, and the queue is empty at the end",
		check:   readingSurvives,
	},
	{
		name:    "closing after a loss is safe",
		explain: "Close and Cancel of a subscription whose connection is lost return, and Close is no error",
		check:   closingAfterLoss,
	},
}

func lossEndsReceiving(f *fixture) {
	b, queue := f.open(), f.queue()
	s := f.subscribe(b, queue, 10)
	ended := f.waiting(s, 5)
	f.h.Break(f.T)
	for range 5 {
		if err := <-ended; err == nil || errors.Is(err, mq.ErrCancelled) || errors.Is(err, context.Canceled) {
			f.Errorf("Receive() = %v, want the loss of the connection", err)
		}
	}
}

func lossIsTold(f *fixture) {
	b, queue := f.open(), f.queue()
	f.fill(b, queue, ids(3))
	s := f.subscribe(b, queue, 2)
	f.settle(f.receive(s), mq.Return)
	f.receive(s)
	select {
	case <-s.Lost():
		f.Error("a loss is told of a connection that lives")
	case <-time.After(silence):
	}
	f.h.Break(f.T)
	select {
	case <-s.Lost():
	case <-f.ctx().Done():
		f.Fatal("the loss of the connection is not told")
	}
	f.awaitEnd(s)
}

func staleDeliveries(f *fixture) {
	b, queue := f.open(), f.queue()
	const n = 10
	f.fill(b, queue, ids(n))
	s := f.subscribe(b, queue, n)
	old := f.receiveAll(s, n)
	for _, id := range ids(n)[:4] {
		f.settle(old[id], mq.Ack)
		delete(old, id)
	}
	f.holds(queue, len(old))
	f.h.Break(f.T)
	f.awaitEnd(s)
	f.allStale(old)

	s = f.resubscribe(b, queue, n)
	again := f.receiveAll(s, len(old))
	for id := range old {
		if d := again[id]; d == nil || !d.Message.Source.Redelivered {
			f.Errorf("message %q is not delivered again and marked as redelivered", id)
		}
	}
	f.allStale(old)
	f.receiveNone(s)
	f.holds(queue, len(old))
	for _, d := range again {
		f.settle(d, mq.Ack)
	}
	f.holds(queue, 0)
}

// allStale tries every outcome on old deliveries.
func (f *fixture) allStale(old map[string]*mq.Delivery) {
	f.Helper()
	for id, d := range old {
		for _, o := range []mq.Outcome{mq.Ack, mq.Retry, mq.Return, mq.Reject} {
			if err := d.Settle(o); !errors.Is(err, mq.ErrStale) {
				f.Errorf("settling %q of a lost connection by %s: %v, want %v", id, o, err, mq.ErrStale)
			}
		}
	}
}

// losses breaks the connections again and again while a load runs.
func (f *fixture) losses() {
	for range 4 {
		time.Sleep(silence)
		f.h.Break(f.T)
	}
}

func publishingSurvives(f *fixture) {
	b, queue := f.open(), f.queue()
	stop := make(chan struct{})
	var group sync.WaitGroup
	var mu sync.Mutex
	var confirmed []string
	for p := range 16 {
		group.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("%d-%d", p, i)
				switch err := b.Publish(f.Context(), to(queue), message(id)); {
				case err == nil:
					mu.Lock()
					confirmed = append(confirmed, id)
					mu.Unlock()
				case errors.Is(err, mq.ErrReturned), flow.CodeOf(err) == flow.BadMessage:
					f.Errorf("publishing while connections are lost: %v, which blames the message", err)
					return
				default:
					time.Sleep(time.Millisecond) // as who calls would
				}
			}
		})
	}
	f.losses()
	close(stop)
	group.Wait()
	f.eventually("publishing works again", func() bool {
		err := b.Publish(f.ctx(), to(queue), message("last"))
		return err == nil
	})
	f.hasAll(b, queue, append(confirmed, "last"))
}

func readingSurvives(f *fixture) {
	b, queue, all := f.open(), f.queue(), ids(3000)
	f.fill(b, queue, all[:1000])
	f.fill(b, queue, all[1000:2000])
	f.fill(b, queue, all[2000:])
	ctx, cancel := context.WithCancel(context.Background())
	seen := make(chan map[string]int)
	go func() { seen <- f.readUntil(ctx, b, queue) }()
	f.losses()
	f.holds(queue, 0)
	cancel()
	counts := <-seen
	for _, id := range all {
		if counts[id] == 0 {
			f.Errorf("message %q was never received", id)
		}
	}
}

// readUntil reads a queue with eight workers and subscribes again after each
// loss. Acks may come too late for their connection.
func (f *fixture) readUntil(ctx context.Context, b mq.Broker, queue string) map[string]int {
	counts := map[string]int{}
	for ctx.Err() == nil {
		s, err := b.Subscribe(ctx, mq.Queue{Name: queue, Prefetch: 16})
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		closed := context.AfterFunc(ctx, func() { _ = s.Close() })
		wait := f.work(s, 8, func(d *mq.Delivery) {
			time.Sleep(3 * time.Millisecond)
			if err := d.Settle(mq.Ack); err != nil && !errors.Is(err, mq.ErrStale) {
				f.Errorf("settling %q: %v, want nil or %v", d.Message.ID, err, mq.ErrStale)
			}
		})
		for id, n := range wait() {
			counts[id] += n
		}
		closed()
		_ = s.Close()
	}
	return counts
}

func closingAfterLoss(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "m")
	s := f.subscribe(b, queue, 10)
	d := f.receive(s)
	f.h.Break(f.T)
	f.awaitEnd(s)
	_ = s.Cancel(f.ctx())
	f.close(s)
	f.close(s)
	if err := d.Settle(mq.Ack); !errors.Is(err, mq.ErrStale) {
		f.Errorf("settling after Close: %v, want %v", err, mq.ErrStale)
	}
	f.receive(f.resubscribe(b, queue, 1))
}
