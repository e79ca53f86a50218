package mq_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

var (
	errDown = flow.Errorf(flow.DestinationFailed, "connection refused")
	errBad  = flow.Errorf(flow.BadMessage, "no text")
)

// usual are the defaults of the configuration, without chance.
func usual() mq.FailureConfig {
	return mq.FailureConfig{
		Retry: mq.RetryConfig{
			For: time.Hour, Initial: 200 * time.Millisecond, Max: 5 * time.Minute, Multiplier: 2,
			InPlaceMax: 2 * time.Second, MaxInFlightShare: 0.5,
		},
		Brake: mq.BrakeConfig{PermanentShare: 0.9, MinMessages: 20, Window: 30 * time.Second, Pause: 30 * time.Second},
	}
}

// failing are the options of a listener that fails messages by c.
func failing(concurrency int, c mq.FailureConfig) mq.ListenerOptions {
	letters := &mq.DeadLetters{Kind: mq.Quorum, Instance: "pod-1"}
	return mq.ListenerOptions{
		Concurrency: concurrency, Flow: "in",
		Failure: func() *mq.Failure { return &mq.Failure{FailureConfig: c, Park: true, DeadLetters: letters} },
	}
}

// service is a handler that fails as the test wants it and remembers its calls.
type service struct {
	mu    sync.Mutex // guards the rest
	fail  func(*flow.Message) error
	calls []try
	start time.Time
}

type try struct {
	ID       string
	Attempts int
	After    time.Duration // since the first call
}

func (s *service) handle(_ context.Context, m *flow.Message) (*flow.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start.IsZero() {
		s.start = time.Now()
	}
	s.calls = append(s.calls, try{m.ID, m.Attempts, time.Since(s.start)})
	if s.fail == nil {
		return nil, nil
	}
	return nil, s.fail(m)
}

// set changes how calls fail.
func (s *service) set(fail func(*flow.Message) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// always fails each call with err.
func always(err error) func(*flow.Message) error { return func(*flow.Message) error { return err } }

func (s *service) seen() []try {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// of are the calls with a message.
func (s *service) of(id string) []try {
	return slices.DeleteFunc(s.seen(), func(c try) bool { return c.ID != id })
}

func checkOutcomes(t *testing.T, b *bench, want ...mq.Outcome) {
	t.Helper()
	if diff := cmp.Diff(want, b.broker.outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func checkMetric(t *testing.T, b *bench, name string, want float64) {
	t.Helper()
	if got := b.counter(t, name); got != want {
		t.Errorf("%s = %v, want %v", name, got, want)
	}
}

// header is the text of a header; empty when it is missing.
func header(m *flow.Message, name string) string {
	for _, h := range m.Headers {
		if h.Name == name {
			return h.Text()
		}
	}
	return ""
}

// checkLetter holds that there is one dead letter, with such a code after so many tries.
func checkLetter(t *testing.T, b *bench, code, attempts string) {
	t.Helper()
	letters := b.broker.published()
	if len(letters) != 1 {
		t.Fatalf("dead letters = %d, want 1", len(letters))
	}
	if got := header(&letters[0], "x-gateway-error-code"); got != code {
		t.Errorf("code = %q, want %q", got, code)
	}
	if got := header(&letters[0], "x-gateway-attempts"); got != attempts {
		t.Errorf("attempts = %q, want %q", got, attempts)
	}
}

func TestShortOutageIsWaitedForInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.put("Q", flow.Message{ID: "1"})
		stop := b.listenWith(s.handle, failing(2, usual()))
		time.Sleep(time.Second)
		s.set(nil)
		time.Sleep(time.Second)
		stop()
		checkOutcomes(t, b, mq.Ack)
		want := []try{{"1", 0, 0}, {"1", 1, 200 * time.Millisecond}, {"1", 2, 600 * time.Millisecond}, {"1", 3, 1400 * time.Millisecond}}
		if diff := cmp.Diff(want, s.seen()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if got := b.logged.count("trying again in place"); got != 1 {
			t.Errorf("logged %d times, want once a message", got)
		}
		checkMetric(t, b, "gateway_retries_total", 3)
	})
}

// TestLongOutageIsWaitedForOutside: the message is parked, comes back to another
// process, and goes on where it was.
func TestLongOutageIsWaitedForOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.put("Q", flow.Message{ID: "1", UserID: "guest", Headers: []flow.Header{{Name: "n", Value: int32(7)}}})
		stop := b.listenWith(s.handle, failing(2, usual()))
		time.Sleep(2 * time.Second)
		stop()
		stop = b.listenWith(s.handle, failing(2, usual()))
		time.Sleep(8 * time.Second)
		s.set(func(m *flow.Message) error {
			if m.UserID != "guest" || len(m.Headers) != 1 || m.Headers[0] != (flow.Header{Name: "n", Value: int32(7)}) {
				t.Errorf("message = %+v, want what was sent", m)
			}
			return nil
		})
		time.Sleep(time.Minute)
		stop()
		var after []time.Duration
		for i, c := range s.seen() {
			if c.Attempts != i {
				t.Errorf("attempts of call %d = %d", i, c.Attempts)
			}
			after = append(after, c.After)
		}
		const ms = time.Millisecond
		if diff := cmp.Diff([]time.Duration{0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 6200 * ms, 12600 * ms}, after); diff != "" {
			t.Errorf("times of calls (-want +got):\n%s", diff)
		}
		checkOutcomes(t, b, mq.Ack, mq.Ack, mq.Ack, mq.Ack)
		checkMetric(t, b, "gateway_messages_parked_total", 3)
	})
}

func TestMessageIsRetriedForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.put("Q", flow.Message{ID: "1"})
		stop := b.listenWith(s.handle, failing(2, usual()))
		time.Sleep(2 * time.Hour)
		stop()
		calls := s.seen()
		if last := calls[len(calls)-1].After; last < 55*time.Minute || last > time.Hour {
			t.Errorf("last call after %v, want it near the end of the hour", last)
		}
		checkLetter(t, b, "602", fmt.Sprint(len(calls)))
	})
}

// TestRetriesLeaveWorkersToTheHealthy: half of the workers retry in place, and what
// finds no place is parked at once.
func TestRetriesLeaveWorkersToTheHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: func(m *flow.Message) error {
			if m.ID == "well" {
				return nil
			}
			return errDown
		}}
		for range 10 {
			b.broker.put("Q", flow.Message{ID: "ill"})
		}
		for range 50 {
			b.broker.put("Q", flow.Message{ID: "well"})
		}
		stop := b.listenWith(s.handle, failing(4, usual()))
		synctest.Wait()
		if got := len(s.of("well")); got != 50 {
			t.Errorf("healthy messages handled at once = %d, want 50", got)
		}
		parked := b.broker.parked()
		if len(parked) != 8 || parked[0].delay != 1600*time.Millisecond {
			t.Errorf("parked at once = %d, want 8 for the shortest pause", len(parked))
		}
		stop()
	})
}

func TestWhereNothingCanBeParkedMessagesWaitInPlace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*bench, *mq.ListenerOptions)
		logged int
	}{
		{"not wanted", func(_ *bench, o *mq.ListenerOptions) {
			o.Failure = func() *mq.Failure { return &mq.Failure{FailureConfig: usual(), DeadLetters: &mq.DeadLetters{}} }
		}, 0},
		{"not allowed", func(b *bench, _ *mq.ListenerOptions) { b.broker.hold = fmt.Errorf("declaring: %w", mq.ErrNoDelay) }, 1},
		{"the broker can't take the copy", func(b *bench, _ *mq.ListenerOptions) { b.broker.hold = errBad }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: always(errDown)}
				o := failing(4, usual())
				tt.change(b, &o)
				for i := range 4 {
					b.broker.put("Q", flow.Message{ID: fmt.Sprint(i)})
				}
				stop := b.listenWith(s.handle, o)
				time.Sleep(5 * time.Minute)
				if got := b.broker.outcomes(); len(got) > 0 {
					t.Errorf("outcomes = %v, want none yet", got)
				}
				time.Sleep(16 * time.Minute)
				checkOutcomes(t, b, mq.Ack, mq.Ack, mq.Ack, mq.Ack)
				if got := len(b.broker.published()); got != 4 {
					t.Errorf("dead letters = %d, want 4 after ten minutes each", got)
				}
				if got := b.logged.count("they are retried in place"); got != tt.logged {
					t.Errorf("logged %d times, want %d", got, tt.logged)
				}
				stop()
			})
		})
	}
}

// TestParkingThatWasRefusedIsTriedAgain: permissions and brokers change.
func TestParkingThatWasRefusedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.hold = mq.ErrNoDelay
		b.broker.put("Q", flow.Message{ID: "1"})
		stop := b.listenWith(s.handle, failing(1, usual()))
		time.Sleep(30 * time.Second)
		b.broker.mu.Lock()
		b.broker.hold = nil
		b.broker.mu.Unlock()
		time.Sleep(2 * time.Minute)
		stop()
		if got := len(b.broker.parked()); got != 1 {
			t.Errorf("parked = %d, want 1", got)
		}
		if got := b.logged.count("held back outside of the gateway again"); got != 1 {
			t.Errorf("logged %d times, want once", got)
		}
	})
}

func TestMessageWhoseHeadersDoNotFitIsNotParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.put("Q", flow.Message{ID: "1", Headers: []flow.Header{{Name: "large", Value: string(make([]byte, 60<<10))}}})
		stop := b.listenWith(s.handle, failing(1, usual()))
		time.Sleep(time.Minute)
		stop()
		if got := len(b.broker.parked()); got != 0 {
			t.Errorf("parked = %d, want none: a header would be lost", got)
		}
		checkOutcomes(t, b, mq.Return)
	})
}

// TestParkingThatFailsLosesNothing: the message goes back to its queue, the later
// the more often it was delivered.
func TestParkingThatFailsLosesNothing(t *testing.T) {
	for _, tt := range []struct {
		deliveries int
		want       time.Duration
	}{{0, time.Second}, {1, 2 * time.Second}, {9, 512 * time.Second}, {1000, 512 * time.Second}} {
		t.Run(fmt.Sprint(tt.deliveries), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: always(errDown)}
				b.broker.hold = mq.ErrUnknown
				c := usual()
				c.Retry.InPlaceMax = 0
				b.broker.put("Q", flow.Message{ID: "1", Source: flow.Source{Deliveries: tt.deliveries}})
				stop := b.listenWith(s.handle, failing(1, c))
				time.Sleep(tt.want - time.Millisecond)
				checkOutcomes(t, b)
				time.Sleep(2 * time.Millisecond)
				checkOutcomes(t, b, mq.Return)
				stop()
			})
		})
	}
}

// TestMessageWaitsOutsideForItsDeadLetter: while the dead letter queue is full, no
// worker is held, and no delivery of the message is counted.
func TestMessageWaitsOutsideForItsDeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		var full atomic.Bool
		full.Store(true)
		b.broker.publish = func(to flow.Address, _ *flow.Message) error {
			if to.Key == "Q.DLQ" && full.Load() {
				return mq.ErrNacked
			}
			return nil
		}
		b.broker.put("Q", flow.Message{ID: "1", Persistence: flow.Persistent})
		stop := b.listenWith(s.handle, failing(1, usual()))
		time.Sleep(time.Minute)
		full.Store(false)
		time.Sleep(time.Minute)
		stop()
		var pauses []time.Duration
		for _, p := range b.broker.parked() {
			pauses = append(pauses, p.delay)
		}
		const ms = time.Millisecond
		if diff := cmp.Diff([]time.Duration{1600 * ms, 1600 * ms, 1600 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms}, pauses); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		if i := slices.IndexFunc(b.broker.outcomes(), func(o mq.Outcome) bool { return o != mq.Ack }); i >= 0 {
			t.Errorf("outcome %d = %v, want none that the broker counts", i, b.broker.outcomes()[i])
		}
		if got := header(&b.broker.published()[0], "x-gateway-attempts"); got != "9" {
			t.Errorf("attempts = %q, want all", got)
		}
	})
}

// TestRefusedCopyIsPublishedAgain: a quorum queue that is new may have no leader.
func TestRefusedCopyIsPublishedAgain(t *testing.T) {
	for name, fail := range map[string]error{"parked": errDown, "dead letter": errBad} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: always(fail)}
				refuse := func(err error) {
					b.broker.mu.Lock()
					defer b.broker.mu.Unlock()
					b.broker.hold, b.broker.publish = err, func(flow.Address, *flow.Message) error { return err }
				}
				refuse(mq.ErrNacked)
				c := usual()
				c.Retry.InPlaceMax = 0
				b.broker.put("Q", flow.Message{ID: "1"})
				stop := b.listenWith(s.handle, failing(1, c))
				time.Sleep(time.Second)
				refuse(nil)
				time.Sleep(time.Second)
				stop()
				if got := len(b.broker.parked()) + len(b.broker.published()); got != 1 {
					t.Errorf("copies = %d, want 1", got)
				}
				checkOutcomes(t, b, mq.Ack)
			})
		})
	}
}

func TestWhatBecomesOfAMessage(t *testing.T) {
	for _, tt := range []struct {
		action  mq.FailureAction
		want    mq.Outcome
		after   time.Duration
		letters int
		metric  string
	}{
		{mq.DeadLetter, mq.Ack, 0, 1, "gateway_messages_dead_lettered_total"},
		{mq.RejectIt, mq.Reject, 0, 0, "gateway_messages_rejected_total"},
		{mq.Requeue, mq.Return, time.Second, 0, "gateway_messages_requeued_total"},
		{mq.Discard, mq.Ack, 0, 0, "gateway_messages_discarded_total"},
	} {
		for _, exhausted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, exhausted %t", tt.action, exhausted), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, s := newBench(), &service{fail: always(errBad)}
					c := usual()
					c.OnPermanent = tt.action
					if exhausted {
						s.fail = always(errDown)
						c.Retry.Attempts = 1
						c.OnPermanent, c.OnExhausted = "", tt.action
					}
					b.broker.put("Q", flow.Message{ID: "1"})
					stop := b.listenWith(s.handle, failing(1, c))
					time.Sleep(tt.after)
					synctest.Wait()
					checkOutcomes(t, b, tt.want)
					stop()
					if got := len(b.broker.published()); got != tt.letters {
						t.Errorf("dead letters = %d, want %d", got, tt.letters)
					}
					if got := len(s.seen()); got != 1 {
						t.Errorf("calls = %d, want 1", got)
					}
					checkMetric(t, b, tt.metric, 1)
				})
			})
		}
	}
}

// TestRequeueWaitsWithinTheShare: messages that go back for ever leave workers to
// the others.
func TestRequeueWaitsWithinTheShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		c := usual()
		c.OnPermanent = mq.Requeue
		for range 3 {
			b.broker.put("Q", flow.Message{ID: "1"})
		}
		stop := b.listenWith(s.handle, failing(4, c))
		for _, want := range []int{0, 2, 3} {
			synctest.Wait()
			if got := len(b.broker.outcomes()); got != want {
				t.Errorf("given back = %d, want %d", got, want)
			}
			time.Sleep(time.Second)
		}
		stop()
	})
}

func TestMessageIsNotHandledAfterItsDeadline(t *testing.T) {
	for _, tt := range []struct {
		name     string
		expiry   time.Duration
		fail     error
		hang     time.Duration // of each call
		attempts string
	}{
		{"no try fits any more", 25 * time.Second, errDown, 0, "10"},
		{"passed in place", 300 * time.Millisecond, errDown, 0, "2"},
		{"passed in the call", time.Second, errDown, 2 * time.Second, "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: always(tt.fail)}
				late := 0
				o := failing(1, usual())
				o.Late = func() { late++ }
				b.broker.put("Q", flow.Message{ID: "1", Expiry: tt.expiry})
				stop := b.listenWith(func(ctx context.Context, m *flow.Message) (*flow.Message, error) {
					time.Sleep(tt.hang)
					return s.handle(ctx, m)
				}, o)
				time.Sleep(10 * time.Minute)
				stop()
				checkLetter(t, b, "608", tt.attempts)
				calls := s.seen()
				if last := calls[len(calls)-1]; last.After >= tt.expiry {
					t.Errorf("last call after %v, want none after the deadline", last.After)
				}
				if late != 1 {
					t.Errorf("late messages = %d, want 1", late)
				}
			})
		})
	}
}

// TestDeadlineOutlivesTheProcess: nobody reads the queue when the message comes back.
func TestDeadlineOutlivesTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.put("Q", flow.Message{ID: "1", Expiry: time.Minute})
		stop := b.listenWith(s.handle, failing(1, usual()))
		time.Sleep(2 * time.Second)
		stop()
		time.Sleep(time.Minute)
		calls := len(s.seen())
		s.set(nil)
		stop = b.listenWith(s.handle, failing(1, usual()))
		synctest.Wait()
		stop()
		if got := len(s.seen()); got != calls {
			t.Errorf("calls after the deadline = %d, want none", got-calls)
		}
		checkLetter(t, b, "608", "4")
	})
}

func TestStopWhileMessagesWait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*bench, *mq.FailureConfig)
		after  time.Duration
	}{
		{"for their next try in place", func(*bench, *mq.FailureConfig) {}, 100 * time.Millisecond},
		{"for a place", func(b *bench, c *mq.FailureConfig) { b.broker.hold = mq.ErrNoDelay; c.Retry.InPlaceMax = 0 }, time.Minute},
		{"to go back", func(_ *bench, c *mq.FailureConfig) { c.Retry.For, c.OnExhausted = 0, mq.Requeue }, 100 * time.Millisecond},
		{"to go back, not parked", func(b *bench, c *mq.FailureConfig) { b.broker.hold = mq.ErrUnknown; c.Retry.InPlaceMax = 0 }, 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: always(errDown)}
				c := usual()
				tt.change(b, &c)
				for range 4 {
					b.broker.put("Q", flow.Message{ID: "1"})
				}
				stop := b.listenWith(s.handle, failing(4, c))
				time.Sleep(tt.after)
				start, before := time.Now(), len(b.broker.outcomes())
				stop()
				if took := time.Since(start); took != 0 {
					t.Errorf("stopping took %v, want no time", took)
				}
				for _, o := range b.broker.outcomes()[before:] {
					if o != mq.Return {
						t.Errorf("outcome = %v, want return", o)
					}
				}
				if got := len(b.broker.outcomes()) + len(b.broker.parked()); got < 4 {
					t.Errorf("settled = %d, want 4", got)
				}
			})
		})
	}
}

// TestLostSubscriptionEndsTheWaiting: the broker delivers the message again, and two
// would retry it.
func TestLostSubscriptionEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errDown)}
		b.broker.put("Q", flow.Message{ID: "1"})
		stop := b.listenWith(s.handle, failing(1, usual())) // nobody is left to receive
		time.Sleep(100 * time.Millisecond)
		b.broker.cut()
		time.Sleep(time.Minute)
		stop()
		if got := len(s.seen()); got != 1 {
			t.Errorf("calls = %d, want 1", got)
		}
		checkMetric(t, b, "gateway_messages_stale_total", 1)
	})
}

// TestLostMessagesAreNoDeadLetters: the broker delivers the message again, and would have
// two letters of it.
func TestLostMessagesAreNoDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, goOn := newBench(), make(chan struct{})
		b.broker.put("Q", flow.Message{ID: "1"})
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) {
			<-goOn
			return nil, errBad
		})
		synctest.Wait()
		b.broker.cut()
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		if got := len(b.broker.published()); got != 0 {
			t.Errorf("dead letters = %d before the message comes again, want none", got)
		}
		b.broker.put("Q", flow.Message{ID: "1"})
		synctest.Wait()
		stop()
		if got := len(b.broker.published()); got != 1 {
			t.Errorf("dead letters = %d, want 1", got)
		}
	})
}

func TestManyDeliveriesAreWarnedOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{}
		o := failing(1, usual())
		o.DeliveryLimit = true
		for _, n := range []int{0, 9, 10, 11} {
			b.broker.put("Q", flow.Message{ID: fmt.Sprint(n), Source: flow.Source{Deliveries: n}})
		}
		stop := b.listenWith(s.handle, o)
		synctest.Wait()
		stop()
		if got := b.logged.count("delivery limit"); got != 1 {
			t.Errorf("logged %d times, want once", got)
		}
	})
}
