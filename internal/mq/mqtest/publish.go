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

var publishRules = []rule{
	{
		name:    "many publish at once",
		explain: "64 goroutines that publish at once all get their confirms, and each message is in the queue once",
		check:   manyPublish,
	},
	{
		name:    "unroutable is returned",
		explain: "a message for a queue that does not exist is ErrReturned, and no other publish in flight is hurt",
		check:   unroutableIsReturned,
	},
	{
		name:    "exchanges route",
		explain: "a message for an exchange comes to the queues that it routes to; without such a queue, or without the exchange, it is ErrReturned",
		check:   exchangesRoute,
	},
	{
		name:    "an ended context sends nothing",
		explain: "Publish with a context that has ended returns an error that says so, and sends nothing",
		check:   endedContext,
	},
	{
		name:    "a context that ends never lies",
		explain: "when the context ends while a message is published, nil is returned only if the broker has it, and later publishes work",
		check:   contextEndsDuringPublish,
	},
}

func manyPublish(f *fixture) {
	b, queue := f.open(), f.queue()
	const publishers, each = 64, 10
	errs := make(chan error)
	for p := range publishers {
		go func() {
			for i := range each {
				errs <- b.Publish(f.Context(), to(queue), message(fmt.Sprintf("%d-%d", p, i)))
			}
		}()
	}
	for range publishers * each {
		if err := <-errs; err != nil {
			f.Errorf("publishing: %v", err)
		}
	}
	f.holds(queue, publishers*each)
	f.receiveAll(f.subscribe(b, queue, publishers*each), publishers*each)
}

// background publishes from several goroutines until stop is called, which
// returns the ids that were confirmed. Every error fails the test.
func (f *fixture) background(b mq.Broker, queue string, publishers int) (stop func() []string) {
	ctx, cancel := context.WithCancel(f.ctx())
	var group sync.WaitGroup
	var mu sync.Mutex
	var confirmed []string
	for p := range publishers {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("background-%d-%d", p, i)
				// Stopping lets the last publish finish.
				if err := b.Publish(context.WithoutCancel(ctx), to(queue), message(id)); err != nil {
					f.Errorf("publishing in the background: %v", err)
					return
				}
				mu.Lock()
				confirmed = append(confirmed, id)
				mu.Unlock()
			}
		})
	}
	return func() []string {
		cancel()
		group.Wait()
		return confirmed
	}
}

// hasAll reads a queue, which nobody else reads, to its end and reports ids that
// are missing in it.
func (f *fixture) hasAll(b mq.Broker, queue string, ids []string) {
	f.Helper()
	s := f.resubscribe(b, queue, 1000)
	seen := map[string]bool{}
	f.eventually("the queue is empty", func() bool {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), silence)
			d, err := s.Receive(ctx)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) {
				return f.h.Messages(f.T, queue) == 0
			}
			if err != nil {
				f.Fatalf("receiving: %v", err)
			}
			seen[d.Message.ID] = true
			f.settle(d, mq.Ack)
		}
	})
	for _, id := range ids {
		if !seen[id] {
			f.Errorf("message %q was confirmed and is lost", id)
		}
	}
}

func unroutableIsReturned(f *fixture) {
	b, queue, missing := f.open(), f.queue(), f.name()
	stop := f.background(b, queue, 8)
	for i := range 50 {
		if err := b.Publish(f.ctx(), to(missing), message(fmt.Sprint("unroutable-", i))); !errors.Is(err, mq.ErrReturned) {
			f.Errorf("publishing to a queue that does not exist: %v, want %v", err, mq.ErrReturned)
		}
	}
	confirmed := stop()
	f.holds(queue, len(confirmed))
	if got := f.h.Messages(f.T, missing); got != -1 {
		f.Errorf("the missing queue exists now, with %d messages", got)
	}
}

func exchangesRoute(f *fixture) {
	b, queue := f.open(), f.queue()
	maker, ok := f.h.(ExchangeMaker)
	if !ok {
		if err := b.Publish(f.ctx(), flow.Address{Exchange: "none", Key: queue}, message("m")); !errors.Is(err, mq.ErrReturned) {
			f.Errorf("publishing to an exchange, which the product does not have: %v, want %v", err, mq.ErrReturned)
		}
		return
	}
	maker.MakeExchange(f.T, "orders", "new", queue)
	if err := b.Publish(f.ctx(), flow.Address{Exchange: "orders", Key: "new"}, message("m")); err != nil {
		f.Fatalf("publishing to an exchange: %v", err)
	}
	for _, a := range []flow.Address{{Exchange: "orders", Key: "old"}, {Exchange: "missing", Key: "new"}} {
		if err := b.Publish(f.ctx(), a, message("m")); !errors.Is(err, mq.ErrReturned) {
			f.Errorf("publishing to %q: %v, want %v", a, err, mq.ErrReturned)
		}
	}
	f.publish(b, queue, "to the queue")
	s := f.subscribe(b, queue, 2)
	if source := f.receive(s).Message.Source; source.Exchange != "orders" || source.RoutingKey != "new" {
		f.Errorf("source = %+v, want exchange %q and routing key %q", source, "orders", "new")
	}
}

func endedContext(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "before")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 20 {
		err := b.Publish(ctx, to(queue), message("m"))
		if !errors.Is(err, context.Canceled) || errors.Is(err, mq.ErrUnknown) {
			f.Errorf("Publish() = %v, want %v and that nothing was sent", err, context.Canceled)
		}
	}
	f.publish(b, queue, "after")
	f.holds(queue, 2)
}

func contextEndsDuringPublish(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "first")
	var mu sync.Mutex
	confirmed := []string{"first"}
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			id := fmt.Sprint("m-", i)
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*20*time.Microsecond)
			defer cancel()
			switch err := b.Publish(ctx, to(queue), message(id)); {
			case err == nil:
				mu.Lock()
				confirmed = append(confirmed, id)
				mu.Unlock()
			case !errors.Is(err, context.DeadlineExceeded):
				f.Errorf("publishing %q: %v, want %v", id, err, context.DeadlineExceeded)
			}
		})
	}
	group.Wait()
	f.publish(b, queue, "last")
	f.hasAll(b, queue, append(confirmed, "last"))
}
