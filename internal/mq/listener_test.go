package mq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

const grace = 30 * time.Second

// listen runs a listener of queue Q until stop is called. What fails is not tried
// again.
func (b *bench) listen(concurrency int, h flow.Handler) (stop func()) {
	return b.listenWith(h, mq.ListenerOptions{
		Concurrency: concurrency, Failure: deadLetters(&mq.DeadLetters{Kind: mq.Quorum, Instance: "pod-1"}),
	})
}

// listenWith is listen with options of the test's own.
func (b *bench) listenWith(h flow.Handler, o mq.ListenerOptions) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	o.Grace, o.NewID, o.Log, o.Metrics = flow.Grace(grace), func() string { return "made-id" }, b.log, b.metrics
	l := mq.NewListener(b.manager, mq.Queue{Name: "Q", Prefetch: 100}, h, o)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = l.Run(ctx) }()
	return func() { cancel(); <-ended }
}

// deadLetters is what becomes of messages that failed.
func deadLetters(to *mq.DeadLetters) func() *mq.Failure {
	return func() *mq.Failure { return &mq.Failure{DeadLetters: to} }
}

func TestFateOfAMessageIsItsError(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		want    mq.Outcome
		letters int
	}{
		{"done", nil, mq.Ack, 0},
		{"bad message", flow.Errorf(flow.BadMessage, "no text"), mq.Ack, 1},
		{"no route", flow.Errorf(flow.RouteNotFound, "nothing"), mq.Ack, 1},
		{"destination refuses for good", flow.Errorf(flow.DestinationFailed, "unimplemented").WithClass(flow.Permanent), mq.Ack, 1},
		{"defect without a code", errors.New("oops"), mq.Ack, 1},
		{"destination is down, and there is no time for tries", flow.Errorf(flow.DestinationFailed, "refused"), mq.Ack, 1},
		{"stopping", flow.Errorf(flow.DestinationFailed, "cancelled").WithClass(flow.Stopping), mq.Return, 0},
		{"context ended", fmt.Errorf("calling: %w", context.Canceled), mq.Return, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.broker.put("Q", flow.Message{ID: "1"})
				stop := b.listen(2, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, tt.err })
				synctest.Wait()
				stop()
				if diff := cmp.Diff([]mq.Outcome{tt.want}, b.broker.outcomes()); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
				if got := len(b.broker.published()); got != tt.letters {
					t.Errorf("dead letters = %d, want %d", got, tt.letters)
				}
			})
		})
	}
}

func TestDeadLetterKeepsTheMessageAndTellsWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		sent := flow.Message{
			CorrelID: "c", UserID: "guest", Expiry: 5 * time.Second, Persistence: flow.NonPersistent, Body: []byte("body"),
			Headers: []flow.Header{{Name: "n", Value: int32(7)}, {Name: "CC", Value: []any{"x"}}, {Name: "x-death", Value: []any{}}},
		}
		b.broker.put("Q", sent)
		stop := b.listen(1, func(_ context.Context, m *flow.Message) (*flow.Message, error) {
			m.Body, m.Headers = []byte("changed on the way"), nil
			m.Route.Name = "orders"
			return nil, flow.Errorf(flow.RouteNotFound, "no entry %q", "orders")
		})
		synctest.Wait()
		stop()
		letters := b.broker.published()
		if len(letters) != 1 {
			t.Fatalf("dead letters = %d, want 1", len(letters))
		}
		got := letters[0]
		want := flow.Message{
			ID: "made-id", IDMade: true, CorrelID: "c", Attempts: 1, Route: flow.Route{Name: "orders"}, Persistence: flow.Persistent, Body: []byte("body"),
			Source: flow.Source{Queue: "Q", Manager: "M"}, To: flow.Address{Key: "Q.DLQ"},
			Headers: []flow.Header{
				{Name: "n", Value: int32(7)},
				{Name: "x-gateway-original-CC", Value: []any{"x"}},
				{Name: "x-gateway-original-x-death", Value: []any{}},
				{Name: "x-gateway-id-made", Value: "true"},
				{Name: "x-gateway-original-user-id", Value: "guest"},
				{Name: "x-gateway-original-expiration", Value: "5000"},
				{Name: "x-gateway-original-delivery-mode", Value: "1"},
				{Name: "x-gateway-error-code", Value: "601"},
				{Name: "x-gateway-error", Value: `no entry "orders"`},
				{Name: "x-gateway-source-queue", Value: "Q"},
				{Name: "x-gateway-failed-at", Value: time.Now().UTC().Format(time.RFC3339Nano)},
				{Name: "x-gateway-instance", Value: "pod-1"},
				{Name: "x-gateway-attempts", Value: "1"},
				{Name: "x-gateway-route", Value: "orders"},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dead letter (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]mq.Queue{{Name: "Q.DLQ", Kind: mq.Quorum, Unlimited: true}}, b.broker.declared); diff != "" {
			t.Errorf("declared (-want +got):\n%s", diff)
		}
	})
}

func TestLargestHeadersOfADeadLetterAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.put("Q", flow.Message{ID: "1", Headers: []flow.Header{
			{Name: "large", Value: strings.Repeat("x", 40<<10)},
			{Name: "larger", Value: strings.Repeat("x", 70<<10)},
			{Name: "small", Value: "kept"},
		}})
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) {
			return nil, flow.Errorf(flow.BadMessage, "headers are too large")
		})
		synctest.Wait()
		stop()
		headers := map[string]string{}
		for _, h := range b.broker.published()[0].Headers {
			headers[h.Name] = h.Text()
		}
		if headers["small"] != "kept" || len(headers["large"]) != 40<<10 {
			t.Error("headers that fit are missing")
		}
		if _, ok := headers["larger"]; ok || headers["x-gateway-cut"] != "larger" {
			t.Errorf("x-gateway-cut = %q, want the one that does not fit", headers["x-gateway-cut"])
		}
	})
}

// A broker may take less than what a dead letter adds to a message.
func TestDeadLetterIsCutToWhatTheBrokerTakes(t *testing.T) {
	sent := flow.Message{ID: "1", Body: []byte("body"), Headers: []flow.Header{
		{Name: "small", Value: strings.Repeat("x", 60)}, {Name: "large", Value: strings.Repeat("x", 2000)},
	}}
	for _, tt := range []struct {
		name   string
		limit  int // of the headers' names and texts
		reason int
		want   []string // names of headers
	}{
		{"all", 10_000, 1024, []string{"small", "large", "x-gateway-error"}},
		{"short reason", 3000, 100, []string{"small", "large", "x-gateway-error"}},
		{"without the largest header", 1000, 100, []string{"small", "x-gateway-cut", "x-gateway-error"}},
		{"without headers of the message", 300, 100, []string{"x-gateway-cut", "x-gateway-error"}},
		{"nothing", 100, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				var letters []flow.Message
				b.broker.publish = func(_ flow.Address, m *flow.Message) error {
					size := 0
					for _, h := range m.Headers {
						size += len(h.Name) + len(h.Text())
					}
					if size > tt.limit {
						return flow.Errorf(flow.BadMessage, "%d bytes are too many", size)
					}
					letters = append(letters, *m)
					return nil
				}
				b.broker.put("Q", sent)
				stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) {
					return nil, flow.Errorf(flow.BadMessage, "no text: %s", strings.Repeat("y", 2000))
				})
				synctest.Wait()
				stop()
				if len(letters) != 1 {
					t.Fatalf("dead letters = %d, want 1", len(letters))
				}
				var names []string
				reason := 0
				for _, h := range letters[0].Headers {
					switch h.Name {
					case "x-gateway-error":
						reason = len(h.Text())
						names = append(names, h.Name)
					case "small", "large", "x-gateway-cut":
						names = append(names, h.Name)
					}
				}
				if diff := cmp.Diff(tt.want, names); diff != "" || reason != tt.reason || string(letters[0].Body) != "body" {
					t.Errorf("headers (-want +got):\n%sreason of %d bytes, want %d; body %q", diff, reason, tt.reason, letters[0].Body)
				}
			})
		})
	}
}

func TestDeadLetterThatCannotBeWrittenLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.publish = func(flow.Address, *flow.Message) error { return mq.ErrNacked }
		b.broker.put("Q", flow.Message{ID: "1"})
		start := time.Now()
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) {
			return nil, flow.Errorf(flow.BadMessage, "no text")
		})
		time.Sleep(grace) // on the fake clock
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]mq.Outcome{mq.Return}, b.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		if b.logged.count("dead letter can't be written") != 1 {
			t.Error("the failure is not logged once")
		}
		if time.Since(start) < time.Second {
			t.Error("the message went back without a pause")
		}
	})
}

// A full dead letter queue is one line in the log, not two for each message and second.
func TestDeadLettersThatCannotBeWrittenAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var full atomic.Bool
		full.Store(true)
		b.broker.publish = func(flow.Address, *flow.Message) error {
			if full.Load() {
				return mq.ErrNacked
			}
			return nil
		}
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) {
			return nil, flow.Errorf(flow.BadMessage, "no text")
		})
		for range 3 {
			b.broker.put("Q", flow.Message{ID: "1"})
			time.Sleep(grace)
		}
		if got := b.logged.count("dead letter can't be written"); got != 1 {
			t.Errorf("logged %d times, want once", got)
		}
		full.Store(false)
		b.broker.put("Q", flow.Message{ID: "1"}, flow.Message{ID: "2"})
		time.Sleep(grace)
		stop()
		if got := b.logged.count("dead letters can be written again"); got != 1 {
			t.Errorf("the end is logged %d times, want once", got)
		}
	})
}

func TestLostSubscriptionIsReplacedWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		var inWork, most atomic.Int32
		hold := make(chan struct{})
		stop := b.listen(3, func(_ context.Context, m *flow.Message) (*flow.Message, error) {
			most.Store(max(most.Load(), inWork.Add(1)))
			defer inWork.Add(-1)
			if m.ID == "slow" {
				<-hold
			}
			return nil, nil
		})
		b.broker.put("Q", flow.Message{ID: "slow"}, flow.Message{ID: "slow"})
		synctest.Wait()
		b.broker.cut()
		for range 10 {
			b.broker.put("Q", flow.Message{ID: "fast"})
		}
		synctest.Wait()
		if got := len(b.broker.outcomes()); got != 10 {
			t.Errorf("settled on the new subscription = %d, want 10 while two of the old one are in work", got)
		}
		if most.Load() > 3 {
			t.Errorf("in work at once = %d, want at most 3 over all subscriptions", most.Load())
		}
		close(hold)
		synctest.Wait()
		stop()
		if got := len(b.broker.outcomes()); got != 10 {
			t.Errorf("settled = %d, want 10: a stale delivery is never settled", got)
		}
		if got := b.counter(t, "gateway_messages_stale_total"); got != 2 {
			t.Errorf("stale = %v, want 2", got)
		}
	})
}

// With all workers busy nobody receives, and the loss has to be noticed all the same.
func TestLossIsNoticedWhileAllWorkersAreBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		hold := make(chan struct{})
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) {
			<-hold
			return nil, nil
		})
		b.broker.put("Q", flow.Message{ID: "1"})
		synctest.Wait()
		b.broker.cut()
		synctest.Wait()
		if got := len(b.broker.prefetches()); got != 2 {
			t.Errorf("subscriptions = %d while the message is in work, want another one at once", got)
		}
		if b.logged.count("reading the queue was interrupted") != 1 {
			t.Error("the loss is not logged while the message is in work")
		}
		b.broker.put("Q", flow.Message{ID: "1"}) // as the broker does
		close(hold)
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, b.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

// flapping is a broker whose subscriptions end as soon as they begin.
type flapping struct{ *memory }

func (b flapping) Subscribe(ctx context.Context, q mq.Queue) (mq.Subscription, error) {
	s, err := b.memory.Subscribe(ctx, q)
	b.cut()
	return s, err
}

func TestSubscriptionsThatEndAtOnceAreNotMadeInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newMemory()
		b := newBenchOn(broker, flapping{broker})
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
		time.Sleep(time.Minute) // on the fake clock
		stop()
		if got := len(broker.prefetches()); got < 50 || got > 70 {
			t.Errorf("subscriptions in a minute = %d, want one a second", got)
		}
	})
}

func TestSubscriptionsThatAreLostOftenAreReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
		for range 20 {
			time.Sleep(2 * time.Second) // on the fake clock
			before := len(b.broker.prefetches())
			b.broker.cut()
			synctest.Wait()
			if len(b.broker.prefetches()) == before {
				t.Errorf("the loss of subscription %d is not followed by another one at once", before)
			}
		}
		stop()
	})
}

func TestStopGivesBackWhatIsNotBegunAndFinishesTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		stop := b.listen(2, func(ctx context.Context, _ *flow.Message) (*flow.Message, error) {
			select {
			case <-time.After(grace / 2):
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		b.broker.put("Q", make([]flow.Message, 10)...)
		synctest.Wait()
		stop()
		acked, returned := 0, 0
		for i, o := range b.broker.outcomes() {
			switch o {
			case mq.Ack:
				acked++
			case mq.Return:
				returned++
				if acked > 0 {
					t.Errorf("outcome %d is a return after an ack, want returns at once", i)
				}
			}
		}
		if acked != 2 || returned != 8 {
			t.Errorf("acked, returned = %d, %d, want 2, 8", acked, returned)
		}
	})
}

func TestGraceBoundsStopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		stop := b.listen(1, func(ctx context.Context, _ *flow.Message) (*flow.Message, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		b.broker.put("Q", flow.Message{ID: "1"})
		synctest.Wait()
		start := time.Now()
		stop()
		if got := time.Since(start); got != grace {
			t.Errorf("stopping took %v, want the grace of %v", got, grace)
		}
		if diff := cmp.Diff([]mq.Outcome{mq.Return}, b.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

// That the broker is away is told by its manager, once for all queues.
func TestRefusalIsToldOnceWhenABrokerThatWasAwayIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		answers := func(check, refuse error) {
			b.broker.mu.Lock()
			b.broker.check, b.broker.refuse = check, refuse
			b.broker.mu.Unlock()
			time.Sleep(time.Minute) // on the fake clock
		}
		refused := errors.New("connection refused")
		b.broker.check, b.broker.refuse = refused, refused
		stopManagers := b.run()
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
		answers(refused, refused)
		answers(nil, errors.New("no right to read"))
		if all, refusals := b.logged.count("queue can't be read"), b.logged.count("no right to read"); all != 1 || refusals != 1 {
			t.Errorf("logged %d times, the refusal %d times, want the refusal alone", all, refusals)
		}
		stop()
		stopManagers()
	})
}

func TestMissingQueueIsToldOnceAndReadWhenItAppears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.missing = true
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
		time.Sleep(time.Minute) // on the fake clock
		if got := b.logged.count("queue is missing"); got != 1 {
			t.Errorf("logged %d times, want once", got)
		}
		b.broker.mu.Lock()
		b.broker.missing = false
		b.broker.mu.Unlock()
		b.broker.put("Q", flow.Message{ID: "1"})
		time.Sleep(time.Minute)
		stop()
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, b.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}
