package mqtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

const (
	// patience is how long something that has to happen may take. Machines that run
	// tests stand still at times.
	patience = time.Minute
	// silence is how long the suite watches for something that must not happen.
	silence = 200 * time.Millisecond
)

// fixture is what the check of a rule works with. Its methods fail the test;
// they are for the test's own goroutine, but for publishing.
type fixture struct {
	*testing.T
	h        Harness
	features Features
	queues   int
}

// open opens a broker that is closed at the end.
func (f *fixture) open() mq.Broker {
	f.Helper()
	b := f.h.Open(f.T)
	f.Cleanup(func() {
		if err := b.Close(); err != nil {
			f.Errorf("closing the broker: %v", err)
		}
	})
	return b
}

// name is the name of a queue that does not exist.
func (f *fixture) name() string {
	f.queues++
	return "orders.in-" + strconv.Itoa(f.queues)
}

// queue makes a queue and returns its name.
func (f *fixture) queue() string {
	f.Helper()
	name := f.name()
	f.h.MakeQueue(f.T, name)
	return name
}

// ctx ends when patience does.
func (f *fixture) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	f.Cleanup(cancel)
	return ctx
}

// message is a persistent message with that id and body.
func message(id string) *flow.Message {
	return &flow.Message{ID: id, Persistence: flow.Persistent, Body: []byte(id)}
}

// ids are n different ids.
func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("message-%04d", i)
	}
	return all
}

// publish publishes messages of these ids, one after the other.
func (f *fixture) publish(b mq.Broker, queue string, ids ...string) {
	f.Helper()
	for _, id := range ids {
		f.put(b, queue, message(id))
	}
}

// put publishes a message.
func (f *fixture) put(b mq.Broker, queue string, m *flow.Message) {
	f.Helper()
	if err := b.Publish(f.ctx(), to(queue), m); err != nil {
		f.Fatalf("publishing %q to %q: %v", m.ID, queue, err)
	}
}

// fill publishes messages of these ids at once.
func (f *fixture) fill(b mq.Broker, queue string, ids []string) {
	f.Helper()
	f.send(b, queue, ids)()
}

// send begins to publish messages of these ids at once; wait waits for the end.
func (f *fixture) send(b mq.Broker, queue string, ids []string) (wait func()) {
	errs := make(chan error, len(ids))
	ctx := f.ctx()
	for _, id := range ids {
		go func() { errs <- b.Publish(ctx, to(queue), message(id)) }()
	}
	return func() {
		f.Helper()
		for range ids {
			if err := <-errs; err != nil {
				f.Fatalf("publishing to %q: %v", queue, err)
			}
		}
	}
}

// subscribe reads a queue until the end of the test.
func (f *fixture) subscribe(b mq.Broker, queue string, prefetch int) mq.Subscription {
	f.Helper()
	s, err := b.Subscribe(f.ctx(), mq.Queue{Name: queue, Prefetch: prefetch})
	if err != nil {
		f.Fatalf("subscribing to %q: %v", queue, err)
	}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Errorf("closing the subscription to %q: %v", queue, err)
		}
	})
	return s
}

// resubscribe subscribes as soon as that works again.
func (f *fixture) resubscribe(b mq.Broker, queue string, prefetch int) mq.Subscription {
	f.Helper()
	f.eventually("Check succeeds", func() bool { return b.Check(f.ctx()) == nil })
	s := f.subscribeAs(b, mq.Queue{Name: queue, Prefetch: prefetch})
	f.Cleanup(func() { _ = s.Close() })
	return s
}

// subscribeAs subscribes as soon as that works.
func (f *fixture) subscribeAs(b mq.Broker, q mq.Queue) (s mq.Subscription) {
	f.Helper()
	f.eventually("Subscribe succeeds", func() (ok bool) {
		var err error
		s, err = b.Subscribe(f.ctx(), q)
		return err == nil
	})
	return s
}

// receive takes the next delivery.
func (f *fixture) receive(s mq.Subscription) *mq.Delivery {
	f.Helper()
	d, err := s.Receive(f.ctx())
	if err != nil {
		f.Fatalf("receiving: %v", err)
	}
	return d
}

// receiveAll takes n deliveries, which have to be of different messages.
func (f *fixture) receiveAll(s mq.Subscription, n int) map[string]*mq.Delivery {
	f.Helper()
	all := make(map[string]*mq.Delivery, n)
	for range n {
		d := f.receive(s)
		if all[d.Message.ID] != nil {
			f.Fatalf("message %q was delivered twice", d.Message.ID)
		}
		all[d.Message.ID] = d
	}
	return all
}

// receiveNone watches that no delivery comes.
func (f *fixture) receiveNone(s mq.Subscription) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), silence)
	defer cancel()
	d, err := s.Receive(ctx)
	if err == nil {
		f.Fatalf("received %q, want none", d.Message.ID)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		f.Fatalf("receiving: %v, want %v", err, context.DeadlineExceeded)
	}
}

// awaitEnd receives until a subscription ends by the broker's will, or with its
// connection.
func (f *fixture) awaitEnd(s mq.Subscription) {
	f.Helper()
	ctx := f.ctx()
	for {
		switch _, err := s.Receive(ctx); {
		case err == nil:
		case ctx.Err() != nil:
			f.Fatal("the subscription does not end")
		case errors.Is(err, mq.ErrCancelled):
			f.Fatalf("Receive() = %v, which is for Cancel", err)
		default:
			return
		}
	}
}

func (f *fixture) settle(d *mq.Delivery, o mq.Outcome) {
	f.Helper()
	if err := d.Settle(o); err != nil {
		f.Fatalf("settling %q by %s: %v", d.Message.ID, o, err)
	}
}

// close closes a broker, a subscription or an inbox before the end of the test.
func (f *fixture) close(c io.Closer) {
	f.Helper()
	if err := c.Close(); err != nil {
		f.Fatalf("closing %T: %v", c, err)
	}
}

// closeByMany is close by several goroutines at once.
func (f *fixture) closeByMany(c io.Closer) {
	f.Helper()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := c.Close(); err != nil {
				f.Errorf("closing %T: %v", c, err)
			}
		})
	}
	group.Wait()
}

// eventually waits until the condition holds.
func (f *fixture) eventually(what string, holds func() bool) {
	f.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			f.Fatalf("after %s it still does not hold that %s", patience, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// holds waits until a queue has so many messages.
func (f *fixture) holds(queue string, want int) {
	f.Helper()
	got := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if got = f.h.Messages(f.T, queue); got == want {
			return
		}
		if time.Now().After(deadline) {
			f.Fatalf("queue %q has %d messages, want %d", queue, got, want)
		}
	}
}
