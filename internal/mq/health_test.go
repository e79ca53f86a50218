package mq_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// health is a configuration with thresholds.
var health = mq.HealthConfig{Type: mq.Smart, Period: time.Second, AttemptsUp: 3, AttemptsDown: 2}

func TestChecksInARowDecide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newPaced(0)
		b, stop := several(health, broker)
		defer stop()
		after := func(d time.Duration, what string, want bool) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if got := b.managers.Available(); got != want {
				t.Errorf("%s: available = %t, want %t", what, got, want)
			}
		}
		answer := func(err error) {
			broker.mu.Lock()
			defer broker.mu.Unlock()
			broker.check = err
		}
		after(1900*time.Millisecond, "after two good checks", false)
		after(200*time.Millisecond, "after three", true)
		answer(errCut)
		after(time.Second, "after one that failed", true)
		answer(nil)
		after(time.Second, "after one between that was good", true)
		answer(errCut)
		after(time.Second, "after another one that failed", true)
		after(time.Second, "after two in a row", false)
		answer(nil)
		after(1900*time.Millisecond, "after two good checks again", false)
		after(2*time.Second, "after three again", true)
	})
}

func TestDriverIsBelievedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newPaced(0)
		b, stop := several(health, broker)
		defer stop()
		time.Sleep(3 * time.Second)
		tell := func(s mq.Status, want bool) {
			t.Helper()
			broker.states <- mq.State{Status: s}
			synctest.Wait()
			if got := b.managers.Available(); got != want {
				t.Errorf("available = %t when the driver says %s, want %t", got, s, want)
			}
		}
		tell(mq.Up, true)
		tell(mq.Blocked, false)
		tell(mq.Up, true)
		tell(mq.Down, false)
		tell(mq.Up, false) // checks say when
		tell(mq.Blocked, false)
		time.Sleep(3 * time.Second)
		if got := b.managers.All()[0].State().Status; got != mq.Blocked {
			t.Errorf("state after three good checks of a broker that is blocked = %s", got)
		}
		tell(mq.Up, true)
	})
}

func TestCommonChecksBesideTheConnection(t *testing.T) {
	for _, tt := range []struct {
		kind           string
		checks, probes int64
	}{{mq.Common, 1, 10}, {mq.Smart, 11, 0}} {
		synctest.Test(t, func(t *testing.T) {
			broker := newPaced(0)
			_, stop := several(mq.HealthConfig{Type: tt.kind}, broker)
			defer stop()
			time.Sleep(52 * time.Second)
			if c, p := broker.checks.Load(), broker.probes.Load(); c != tt.checks || p != tt.probes {
				t.Errorf("%s: %d checks of the connection, %d of others, want %d and %d", tt.kind, c, p, tt.checks, tt.probes)
			}
		})
	}
}

// TestBrokerThatTakesNoConnectionsStaysOut: the connection that lives must not bring it
// in again.
func TestBrokerThatTakesNoConnectionsStaysOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newPaced(0)
		b, stop := several(mq.HealthConfig{Type: mq.Common}, broker)
		defer stop()
		broker.full.Store(true)
		time.Sleep(mq.DefaultPeriod + time.Millisecond)
		for range 600 {
			if b.managers.Available() {
				t.Fatal("the manager is available")
			}
			time.Sleep(100 * time.Millisecond)
		}
		broker.full.Store(false)
		time.Sleep(mq.DefaultPeriod)
		synctest.Wait()
		if !b.managers.Available() {
			t.Error("the manager is not available a period after it takes connections again")
		}
	})
}

func TestFirstCheckIsDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newPaced(0)
		b, stop := several(mq.HealthConfig{Delay: 10 * time.Second}, broker)
		defer stop()
		time.Sleep(9 * time.Second)
		if broker.checks.Load() != 0 || b.managers.Available() {
			t.Errorf("%d checks before the delay, want none, and no messages", broker.checks.Load())
		}
		time.Sleep(2 * time.Second)
		if !b.managers.Available() {
			t.Error("the manager is not available after the delay")
		}
	})
}

func TestManagerThatIsBackIsFoundWithinAPeriod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newPaced(0)
		broker.check = errCut
		b, stop := several(mq.HealthConfig{}, broker)
		defer stop()
		time.Sleep(10 * time.Minute)
		broker.mu.Lock()
		broker.check = nil
		broker.mu.Unlock()
		time.Sleep(mq.DefaultPeriod)
		synctest.Wait()
		if !b.managers.Available() {
			t.Error("the manager is not available a period after it came back")
		}
	})
}

func TestMissingConfirmAsksForACheckOfItsConnection(t *testing.T) {
	for _, kind := range []string{mq.Common, mq.Smart} {
		synctest.Test(t, func(t *testing.T) {
			broker := newPaced(0)
			b, stop := several(mq.HealthConfig{Type: kind, Period: time.Hour}, broker)
			defer stop()
			time.Sleep(2 * time.Second)
			broker.takes.Store(int64(confirmTimeout))
			p := mq.NewPublisher(b.managers, patience)
			for range 10 {
				go func() { _, _ = p.Handle(context.Background(), &flow.Message{}) }()
			}
			time.Sleep(confirmTimeout)
			synctest.Wait()
			if got := broker.checks.Load(); got != 2 {
				t.Errorf("%s: checks = %d, want the first, and one for all confirms that are missing", kind, got)
			}
			if !b.managers.Available() {
				t.Errorf("%s: a manager that answers checks is not available", kind)
			}
		})
	}
}

func TestDisabledManagerIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers := []*paced{newPaced(0), newPaced(0)}
		b, stop := several(mq.HealthConfig{}, brokers...)
		defer stop()
		b.managers.SetDisabled([]string{"M1"})
		synctest.Wait()
		checks := brokers[1].checks.Load() + brokers[1].probes.Load()
		p := mq.NewPublisher(b.managers, patience)
		for range 10 {
			if _, err := p.Handle(t.Context(), &flow.Message{To: flow.Address{Key: "out"}}); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		_, err := p.Handle(t.Context(), &flow.Message{To: flow.Address{Key: "out", Manager: "M1"}})
		if flow.CodeOf(err) != flow.BrokerFailed || !strings.Contains(err.Error(), `manager "M1" is disabled`) || time.Since(start) != 0 {
			t.Errorf("err = %v after %v, want 603 at once that says so", err, time.Since(start))
		}
		time.Sleep(time.Minute)
		if n := brokers[1].checks.Load() + brokers[1].probes.Load(); n != checks || brokers[1].confirmed.Load() != 0 {
			t.Errorf("%d checks and %d messages on a disabled manager", n-checks, brokers[1].confirmed.Load())
		}
		brokers[1].check = errCut
		b.managers.SetDisabled(nil)
		synctest.Wait()
		if b.managers.All()[1].State().Status == mq.Up {
			t.Error("the manager is enabled, and up without a check")
		}
		brokers[1].refuse(nil)
		time.Sleep(mq.DefaultPeriod)
		synctest.Wait()
		if got := b.managers.All()[1].State().Status; got != mq.Up {
			t.Errorf("state = %s, want up after a good check", got)
		}
		b.managers.SetDisabled([]string{"M0", "M1"})
		if b.managers.Available() {
			t.Error("available, and all managers are disabled")
		}
	})
}

// TestMaintenanceOfADisabledManagerIsNotLogged: nobody tries to reach it.
func TestMaintenanceOfADisabledManagerIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newPaced(0)
		b, stop := several(mq.HealthConfig{}, broker)
		defer stop()
		b.managers.SetDisabled([]string{"M0"})
		broker.refuse(errCut)
		synctest.Wait()
		if got := b.logged.count("manager is down"); got != 0 {
			t.Errorf("the log says %d times that a disabled manager is down, and tried", got)
		}
		b.managers.SetDisabled(nil)
		synctest.Wait()
		if got := b.logged.count("manager is down; trying until it answers"); got != 1 {
			t.Errorf("the log says %d times that the enabled manager is down, want once", got)
		}
	})
}

// hanging is a broker that makes no queue.
type hanging struct{ *memory }

func (hanging) Declare(ctx context.Context, _ mq.Queue) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestDeclaringEndsWithAStop, which is no fault of a broker.
func TestDeclaringEndsWithAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newMemory()
		b := newBenchOn(broker, hanging{broker})
		defer b.run()()
		synctest.Wait()
		declare := func(d time.Duration) {
			ctx, cancel := context.WithCancel(t.Context())
			defer time.AfterFunc(d, cancel).Stop()
			b.managers.Declare(ctx, []mq.Queue{{Name: "out", Kind: mq.Quorum}})
		}
		start := time.Now()
		declare(time.Second)
		if took, told := time.Since(start), b.logged.count("queue can't be declared"); took != time.Second || told != 0 {
			t.Errorf("a stop after a second is waited for for %v and logged %d times, want a second and no log", took, told)
		}
		declare(time.Hour)
		if told := b.logged.count("queue can't be declared"); told != 1 {
			t.Errorf("a broker that hangs is logged %d times, want once", told)
		}
	})
}

func TestWhatMetricsTellOfManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := several(mq.HealthConfig{}, newPaced(0), newPaced(0))
		defer stop()
		for _, tt := range []struct {
			metric string
			want   float64
		}{{"gateway_manager_up", 2}, {"gateway_manager_weight", 2}, {"gateway_manager_disabled", 0}, {"gateway_manager_in_flight", 0}, {"gateway_manager_checks_total", 2}} {
			if got := b.counter(t, tt.metric); got != tt.want {
				t.Errorf("%s = %v, want %v", tt.metric, got, tt.want)
			}
		}
		b.managers.SetDisabled([]string{"M1"})
		if up, weight, disabled := b.counter(t, "gateway_manager_up"), b.counter(t, "gateway_manager_weight"), b.counter(t, "gateway_manager_disabled"); up != 1 || weight != 1 || disabled != 1 {
			t.Errorf("with one of two disabled: up %v, weight %v, disabled %v, want 1 each", up, weight, disabled)
		}
	})
}
