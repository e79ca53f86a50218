package mq_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// put adds n messages of one id.
func (b *bench) put(id string, n int) {
	for range n {
		b.broker.put("Q", flow.Message{ID: id})
	}
}

// checkCalls holds how often the service was called.
func checkCalls(t *testing.T, s *service, want int) {
	t.Helper()
	if got := len(s.seen()); got != want {
		t.Errorf("calls = %d, want %d", got, want)
	}
}

// TestQueueThatFailsForGoodIsPaused: twenty dead letters, then one message every 30 s,
// and all again once it succeeds.
func TestQueueThatFailsForGoodIsPaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		b.put("1", 60)
		stop := b.listenWith(s.handle, failing(1, usual()))
		synctest.Wait()
		checkCalls(t, s, 20)
		checkMetric(t, b, "gateway_queue_braked", 1)
		time.Sleep(29 * time.Second)
		checkCalls(t, s, 20)
		time.Sleep(2 * time.Second)
		checkCalls(t, s, 21)
		time.Sleep(30 * time.Second)
		checkCalls(t, s, 22)
		s.set(nil)
		time.Sleep(30 * time.Second)
		checkCalls(t, s, 60)
		stop()
		checkMetric(t, b, "gateway_queue_braked", 0)
		checkMetric(t, b, "gateway_queue_brakes_total", 1)
		for _, text := range []string{"nearly all messages of the queue fail for good", "the queue's messages are handled again"} {
			if got := b.logged.count(text); got != 1 {
				t.Errorf("%q is logged %d times, want once", text, got)
			}
		}
		if got := len(b.broker.published()); got != 22 {
			t.Errorf("dead letters = %d, want 22", got)
		}
	})
}

// TestBrakeThatIsPulledForLongHoldsNothing: RabbitMQ would take back what is held, and
// drop what it took back too often.
func TestBrakeThatIsPulledForLongHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		b.put("1", 60)
		stop := b.listenWith(s.handle, failing(8, usual()))
		synctest.Wait()
		full := b.broker.prefetches()[0]
		time.Sleep(6 * time.Minute)
		before := len(b.broker.outcomes())
		if got := count(b.broker.outcomes(), mq.Return); got < 8 {
			t.Errorf("given back = %d, want all that were taken", got)
		}
		b.put("2", 3)
		time.Sleep(10 * time.Minute)
		if got := b.broker.outcomes()[before:]; count(got, mq.Return) > 0 {
			t.Errorf("outcomes = %v, want nothing given back again", got)
		}
		s.set(nil)
		b.put("3", 5)
		time.Sleep(time.Minute)
		stop()
		if got := fmt.Sprint(b.broker.prefetches()); got != fmt.Sprint([]int{full, 1, full}) {
			t.Errorf("prefetches = %s, want %d, then 1 for the probes, then %d again", got, full, full)
		}
	})
}

func count(outcomes []mq.Outcome, of mq.Outcome) (n int) {
	for _, o := range outcomes {
		if o == of {
			n++
		}
	}
	return n
}

// TestOneMessageProbes: all workers hold a message, and one is handled.
func TestOneMessageProbes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		probe error
		calls int // after the pause
	}{
		{"which fails for good", errBad, 21},
		{"which succeeds", nil, 40},
		{"which may succeed later", errDown, 40},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: always(errBad)}
				c := usual()
				c.Retry.InPlaceMax = 0 // parked at once
				b.put("1", 20)
				stop := b.listenWith(s.handle, failing(8, c))
				synctest.Wait()
				b.put("2", 20)
				synctest.Wait()
				checkCalls(t, s, 20)
				s.set(func(m *flow.Message) error {
					if m.ID == "1" {
						t.Error("a message of before the pause is handled again")
					}
					return tt.probe
				})
				time.Sleep(30*time.Second + time.Millisecond)
				checkCalls(t, s, tt.calls)
				stop()
			})
		})
	}
}

func TestBrakeNeedsNearlyAllOfEnough(t *testing.T) {
	mixed := func(good, bad int) (ids []string) {
		for i := range good + bad {
			ids = append(ids, map[bool]string{true: "good", false: "bad"}[i < good])
		}
		return ids
	}
	for _, tt := range []struct {
		name   string
		ids    []string
		pause  time.Duration // between messages
		change func(*mq.FailureConfig)
		want   float64
	}{
		{"too few", mixed(0, 19), 0, nil, 0},
		{"enough", mixed(0, 20), 0, nil, 1},
		{"not nearly all", mixed(3, 26), 0, nil, 0},
		{"nearly all", mixed(3, 27), 0, nil, 1},
		{"too slow", mixed(0, 100), 2 * time.Second, nil, 0},
		{"what was good is long ago", mixed(60, 40), time.Second, nil, 1},
		{"switched off", mixed(0, 99), 0, func(c *mq.FailureConfig) { c.Brake.Pause = 0 }, 0},
		{"discarded", mixed(0, 20), 0, func(c *mq.FailureConfig) { c.OnPermanent = mq.Discard }, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBench(), &service{fail: func(m *flow.Message) error {
					if m.ID == "good" {
						return nil
					}
					return errBad
				}}
				c := usual()
				if tt.change != nil {
					tt.change(&c)
				}
				stop := b.listenWith(s.handle, failing(4, c))
				for _, id := range tt.ids {
					b.put(id, 1)
					synctest.Wait()
					time.Sleep(tt.pause)
				}
				checkMetric(t, b, "gateway_queue_braked", tt.want)
				stop()
			})
		})
	}
}

// TestBrakeNoticesARolloutSoon: what was good before does not count for a whole window.
func TestBrakeNoticesARolloutSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{}
		stop := b.listenWith(s.handle, failing(4, usual()))
		pass := func(seconds int) {
			for range seconds * 10 {
				b.put("1", 10) // 100 a second
				time.Sleep(100 * time.Millisecond)
			}
		}
		pass(60)
		checkMetric(t, b, "gateway_queue_braked", 0)
		s.set(always(errBad))
		pass(2)
		checkMetric(t, b, "gateway_queue_braked", 0) // it might be one bad sender
		pass(5)
		checkMetric(t, b, "gateway_queue_braked", 1)
		stop()
		if letters := len(b.broker.published()); letters < 250 || letters > 500 {
			t.Errorf("dead letters = %d, want those of three to five seconds", letters)
		}
	})
}

// TestBrakeForgetsNoSuccesses: those since the last failure are taken for even.
func TestBrakeForgetsNoSuccesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{}
		stop := b.listenWith(s.handle, failing(4, usual()))
		for range 600 { // one a second
			b.put("1", 1)
			time.Sleep(time.Second)
		}
		s.set(always(errBad))
		for i, want := range []float64{0, 0, 1} { // 30 succeeded within the window
			b.put("1", 90+i)
			synctest.Wait()
			checkMetric(t, b, "gateway_queue_braked", want)
		}
		stop()
	})
}

// TestStopWhilePaused: what is held goes back at once, untouched.
func TestStopWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		b.put("1", 50)
		stop := b.listenWith(s.handle, failing(8, usual()))
		synctest.Wait()
		before, start := len(b.broker.outcomes()), time.Now()
		stop()
		if took := time.Since(start); took != 0 {
			t.Errorf("stopping took %v, want no time", took)
		}
		after := b.broker.outcomes()[before:]
		if before+len(after) != 50 {
			t.Errorf("settled = %d, want 50", before+len(after))
		}
		for _, o := range after {
			if o != mq.Return {
				t.Errorf("outcome = %v, want return", o)
			}
		}
		checkCalls(t, s, before)
	})
}

// TestProbeThatIsRetriedInPlace holds up nobody: it did not fail for good.
func TestProbeThatIsRetriedInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		b.broker.hold = mq.ErrNoDelay
		b.put("1", 20)
		stop := b.listenWith(s.handle, failing(4, usual()))
		synctest.Wait()
		s.set(func(m *flow.Message) error {
			if m.ID == "2" {
				return errDown
			}
			return nil
		})
		b.put("2", 1)
		time.Sleep(30*time.Second + time.Millisecond)
		b.put("3", 5)
		synctest.Wait()
		checkMetric(t, b, "gateway_queue_braked", 0)
		if got := len(s.of("3")); got != 5 {
			t.Errorf("messages handled beside the probe = %d, want 5", got)
		}
		stop()
	})
}

// TestBrakeThatIsSwitchedOff lets go with its next probe, whatever becomes of that.
func TestBrakeThatIsSwitchedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		c := usual()
		o := failing(1, c)
		letters := o.Failure().DeadLetters
		var now atomic.Pointer[mq.FailureConfig]
		now.Store(&c)
		o.Failure = func() *mq.Failure { return &mq.Failure{FailureConfig: *now.Load(), DeadLetters: letters} }
		b.put("1", 20)
		stop := b.listenWith(s.handle, o)
		synctest.Wait()
		off := usual()
		off.Brake.Pause = 0
		now.Store(&off)
		b.put("2", 1)
		time.Sleep(30*time.Second + time.Millisecond)
		checkMetric(t, b, "gateway_queue_braked", 0)
		stop()
	})
}

// TestProbeThatIsInterrupted leaves the probing to another message.
func TestProbeThatIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBench(), &service{fail: always(errBad)}
		b.put("1", 20)
		stop := b.listenWith(s.handle, failing(1, usual()))
		synctest.Wait()
		s.set(always(fmt.Errorf("calling: %w", errInterrupted)))
		b.put("2", 1)
		time.Sleep(31 * time.Second)
		s.set(nil)
		b.put("3", 1)
		synctest.Wait()
		checkMetric(t, b, "gateway_queue_braked", 0)
		checkCalls(t, s, 22)
		stop()
	})
}

var errInterrupted = flow.Errorf(flow.DestinationFailed, "cancelled").WithClass(flow.Stopping)
