package mq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

const patience = 5 * time.Second

// run runs managers until the test calls stop.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	for _, m := range b.managers.All() {
		go func() { _ = m.Run(ctx); ended <- struct{}{} }()
	}
	return func() {
		cancel()
		for range b.managers.All() {
			<-ended
		}
	}
}

// twoManagers is a bench with managers M and N, up.
func twoManagers() (b *bench, second *memory, stop func()) {
	b = newBench()
	second = newMemory()
	b.add("N", second)
	stop = b.run()
	synctest.Wait()
	return b, second, stop
}

func fail(err error) func(flow.Address, *flow.Message) error {
	return func(flow.Address, *flow.Message) error { return err }
}

func TestPublishesInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, second, stop := twoManagers()
		defer stop()
		p := mq.NewPublisher(b.managers, patience)
		for range 10 {
			if _, err := p.Handle(t.Context(), &flow.Message{To: flow.Address{Key: "out"}}); err != nil {
				t.Fatal(err)
			}
		}
		if m, n := len(b.broker.published()), len(second.published()); m != 5 || n != 5 {
			t.Errorf("published = %d and %d, want 5 and 5", m, n)
		}
	})
}

func TestPublishFailures(t *testing.T) {
	for _, tt := range []struct {
		name           string
		first, second  error
		to             flow.Address
		code           flow.Code
		is             error
		text           string
		wantM, wantN   int
		class          flow.Class
		succeedsSecond bool
	}{
		{name: "the next manager is tried", first: mq.ErrNacked, succeedsSecond: true},
		{name: "an unknown outcome is tried elsewhere", first: mq.ErrUnknown, succeedsSecond: true},
		{
			name: "each once, then 603 with both reasons", first: mq.ErrReturned, second: mq.ErrNacked, code: flow.BrokerFailed,
			is: mq.ErrReturned, text: `publishing to "out": manager "`, class: flow.Transient,
		},
		{
			name: "a bad message is not tried elsewhere", first: flow.Errorf(flow.BadMessage, "header too long"),
			second: flow.Errorf(flow.BadMessage, "header too long"), code: flow.BadMessage, text: "header too long",
		},
		{
			name: "the manager of the address only", to: flow.Address{Manager: "M"}, first: mq.ErrReturned,
			code: flow.BrokerFailed, is: mq.ErrReturned, text: `manager "M"`, class: flow.Transient,
		},
		{
			name: "a manager that is not configured", to: flow.Address{Manager: "QM7"},
			code: flow.BrokerFailed, text: `manager "QM7" is not configured; there are M, N`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, second, stop := twoManagers()
				defer stop()
				b.broker.publish, second.publish = fail(tt.first), fail(tt.second)
				tt.to.Key = "out"
				_, err := mq.NewPublisher(b.managers, patience).Handle(t.Context(), &flow.Message{To: tt.to})
				if tt.succeedsSecond {
					if err != nil || len(second.published()) != 1 {
						t.Errorf("err = %v, published on the second = %d, want nil and 1", err, len(second.published()))
					}
					return
				}
				if flow.CodeOf(err) != tt.code || flow.ClassOf(err) != tt.class {
					t.Errorf("code, class = %d, %d, want %d, %d", flow.CodeOf(err), flow.ClassOf(err), tt.code, tt.class)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("error %q does not wrap %q", err, tt.is)
				}
				if !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error = %q, want %q in it", err, tt.text)
				}
			})
		})
	}
}

func TestPublishTellsHowLongItWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.check = errCut
		b.broker.publish = func(flow.Address, *flow.Message) error {
			time.Sleep(20 * time.Millisecond)
			return nil
		}
		stop := b.run()
		defer stop()
		time.AfterFunc(time.Second, func() {
			b.broker.mu.Lock()
			defer b.broker.mu.Unlock()
			b.broker.check = nil
		})
		m, start := &flow.Message{To: flow.Address{Key: "out"}}, time.Now()
		if _, err := mq.NewPublisher(b.managers, patience).Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); m.Away != took || took < time.Second {
			t.Errorf("away for %v of %v, want all of it", m.Away, took)
		}
	})
}

func TestPublishWaitsForAManager(t *testing.T) {
	down := errors.New("dial tcp 127.0.0.1:5672: connection refused")
	t.Run("that comes in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.broker.check = down
			stop := b.run()
			defer stop()
			time.AfterFunc(time.Second, func() {
				b.broker.mu.Lock()
				defer b.broker.mu.Unlock()
				b.broker.check = nil
			})
			_, err := mq.NewPublisher(b.managers, patience).Handle(t.Context(), &flow.Message{To: flow.Address{Key: "out"}})
			if err != nil {
				t.Errorf("Handle = %v, want nil once the manager is up", err)
			}
		})
	})
	t.Run("that does not come", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.broker.check = down
			stop := b.run()
			defer stop()
			start := time.Now()
			_, err := mq.NewPublisher(b.managers, patience).Handle(t.Context(), &flow.Message{To: flow.Address{Key: "out"}})
			if flow.CodeOf(err) != flow.BrokerFailed || !errors.Is(err, down) {
				t.Errorf("Handle = %v, want 603 with the cause", err)
			}
			if got := time.Since(start); got != patience {
				t.Errorf("waited %v, want %v", got, patience)
			}
		})
	})
	t.Run("no longer than the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := mq.NewPublisher(b.managers, patience).Handle(ctx, &flow.Message{To: flow.Address{Key: "out"}})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Handle = %v, want the end of the caller's time", err)
			}
		})
	})
}

func TestManagerTellsChangesNotTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.check = errors.New("connection refused")
		stop := b.run()
		defer stop()
		time.Sleep(10 * time.Minute) // on the fake clock
		if got := b.logged.count("manager is down"); got != 1 {
			t.Errorf("logged down %d times, want once", got)
		}
		b.broker.mu.Lock()
		b.broker.check = nil
		b.broker.mu.Unlock()
		time.Sleep(time.Minute)
		if b.logged.count("manager is up") != 1 || !b.managers.Available() {
			t.Error("the manager did not come up once")
		}
		b.broker.states <- mq.State{Status: mq.Blocked, Err: errors.New("low on memory")}
		synctest.Wait()
		if b.managers.Available() || b.manager.State().Status != mq.Blocked {
			t.Errorf("state = %v, want blocked", b.manager.State().Status)
		}
		b.broker.states <- mq.State{Status: mq.Up}
		synctest.Wait()
		if !b.managers.Available() {
			t.Error("the manager is not available after the block")
		}
	})
}

func TestManagerDeclaresQueuesEachTimeItComesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		other := newMemory()
		b.managers.Add("N", other, mq.ManagerOptions{
			Queues: []mq.Queue{{Name: "out", Kind: mq.Classic}, {Name: "theirs"}},
			Log:    b.log, Metrics: b.metrics,
		})
		stop := b.run()
		defer stop()
		synctest.Wait()
		other.states <- mq.State{Status: mq.Down, Err: errCut}
		synctest.Wait()
		want := []mq.Queue{{Name: "out", Kind: mq.Classic}, {Name: "out", Kind: mq.Classic}}
		if diff := cmp.Diff(want, other.declared); diff != "" {
			t.Errorf("declared (-want +got):\n%s", diff)
		}
	})
}

func TestQueuesToDeclareCanBeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		down := newMemory()
		down.check = errCut
		b.add("N", down)
		stop := b.run()
		defer stop()
		synctest.Wait()
		next := []mq.Queue{{Name: "next", Kind: mq.Quorum}}
		b.managers.Declare(t.Context(), next)
		if diff := cmp.Diff(next, b.broker.declared); diff != "" {
			t.Errorf("declared at once (-want +got):\n%s", diff)
		}
		if len(down.declared) != 0 {
			t.Errorf("declared %v on a broker that is down", down.declared)
		}
		down.mu.Lock()
		down.check = nil
		down.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		if diff := cmp.Diff(next, down.declared); diff != "" {
			t.Errorf("declared when the broker is up (-want +got):\n%s", diff)
		}
	})
}

func ExamplePublisher() {
	b := newBench()
	stop := b.run()
	defer stop()
	publisher := mq.NewPublisher(b.managers, patience)
	_, err := publisher.Handle(context.Background(), &flow.Message{Body: []byte("<order/>"), To: flow.Address{Key: "orders"}})
	fmt.Println(err, len(b.broker.published()))
	// Output: <nil> 1
}

func TestManagerThatIsReachedElsewhereIsTriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.check = errors.New("connection refused")
		b.broker.missing = true
		stopManagers := b.run()
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
		time.Sleep(10 * time.Minute) // on the fake clock: both pause for long now
		b.broker.mu.Lock()
		b.broker.check, b.broker.missing = nil, false
		b.broker.mu.Unlock()
		for !b.managers.Available() && b.counter(t, "gateway_queue_subscribed") == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if !b.managers.Available() || b.counter(t, "gateway_queue_subscribed") != 1 {
			t.Error("one side was reached, and the other one still pauses")
		}
		stop()
		stopManagers()
	})
}

func TestRequestThatWasNotSentIsNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		r := b.requester(nil)
		r.Direct(b.manager, r.Take)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := r.Handle(ctx, &flow.Message{ID: "m-1", To: flow.Address{Key: "OUT"}})
		if flow.CodeOf(err) != flow.BrokerFailed || !strings.Contains(err.Error(), `manager "M" is down; nothing was sent`) {
			t.Errorf("Handle = %v, want 603 that tells why nothing was sent", err)
		}
	})
}
