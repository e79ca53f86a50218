package mqtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"mqgateway/internal/mq"
)

var closeRules = []rule{
	{
		name:    "closing twice is safe",
		explain: "Close of a broker or a subscription may be called twice, and by several goroutines",
		check:   closingTwice,
	},
	{
		name:    "a closed broker does nothing",
		explain: "after Close every call on the broker is an error at once, and States is closed",
		check:   closedBroker,
	},
	{
		name:    "Close gives back what is unsettled",
		explain: "messages in hand when the broker is closed are delivered to others at once",
		check:   closeGivesBack,
	},
	{
		name:    "states are told",
		explain: "States tells Up once messages can be published, and Down after the connection is lost",
		check:   statesAreTold,
	},
}

func closingTwice(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "m")
	s := f.subscribe(b, queue, 1)
	f.receive(s)
	f.closeByMany(s)
	f.closeByMany(b)
	f.holds(queue, 1)
	if err := f.open().Close(); err != nil {
		f.Errorf("closing a broker that was never used: %v", err)
	}
}

func closedBroker(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "m")
	f.close(b)
	calls := map[string]func(context.Context) error{
		"Check":   b.Check,
		"Publish": func(ctx context.Context) error { return b.Publish(ctx, to(queue), message("late")) },
		"Subscribe": func(ctx context.Context) error {
			_, err := b.Subscribe(ctx, mq.Queue{Name: queue, Prefetch: 1})
			return err
		},
	}
	if broadcaster, ok := b.(mq.Broadcaster); ok {
		calls["Join"] = func(ctx context.Context) error { return broadcaster.Join(ctx, "group", mq.Queue{Name: queue}) }
		calls["Broadcast"] = func(ctx context.Context) error { return broadcaster.Broadcast(ctx, "group", message("late")) }
	}
	if delayer, ok := b.(mq.Delayer); ok {
		calls["PublishLater"] = func(ctx context.Context) error {
			return delayer.PublishLater(ctx, queue, time.Minute, message("late"))
		}
	}
	if admin, ok := b.(mq.Admin); ok {
		calls["Inspect"] = func(ctx context.Context) error {
			_, err := admin.Inspect(ctx, queue)
			return err
		}
		calls["Purge"] = func(ctx context.Context) error {
			_, err := admin.Purge(ctx, queue)
			return err
		}
	}
	for name, call := range calls {
		if err := call(f.ctx()); err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mq.ErrUnknown) {
			f.Errorf("%s after Close = %v, want an error that says so", name, err)
		}
	}
	f.eventually("States is closed", func() bool {
		select {
		case _, ok := <-b.States():
			return !ok
		default:
			return false
		}
	})
	f.holds(queue, 1)
}

func closeGivesBack(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, ids(5)...)
	f.receiveAll(f.subscribe(b, queue, 5), 3)
	other := f.subscribe(f.open(), queue, 5)
	f.close(b)
	f.receiveAll(other, 5)
}

// watched keeps the states of a broker.
type watched struct {
	mu   sync.Mutex
	seen []mq.State
}

// watch reads the states of a broker until it is closed.
func (f *fixture) watch(b mq.Broker) *watched {
	w := &watched{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range b.States() {
			w.mu.Lock()
			w.seen = append(w.seen, s)
			w.mu.Unlock()
		}
	}()
	f.Cleanup(func() {
		_ = b.Close()
		<-done
	})
	return w
}

// told tells whether a status was told since the last time it was asked for.
func (w *watched) told(status mq.Status) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.seen {
		if s.Status == status {
			w.seen = w.seen[i+1:]
			return true
		}
	}
	return false
}

func statesAreTold(f *fixture) {
	b, queue := f.open(), f.queue()
	w := f.watch(b)
	f.publish(b, queue, "m")
	f.eventually("Up is told", func() bool { return w.told(mq.Up) })
	f.h.Break(f.T)
	f.eventually("Down is told", func() bool { return w.told(mq.Down) })
	f.eventually("Check succeeds", func() bool { return b.Check(f.ctx()) == nil })
	f.eventually("Up is told again", func() bool { return w.told(mq.Up) })
}
