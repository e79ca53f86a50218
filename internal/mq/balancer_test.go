package mq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// paced is a memory broker that takes its time for confirms, and for checks when it
// hangs.
type paced struct {
	*memory
	takes                                     atomic.Int64 // nanoseconds to a confirm
	hangs                                     atomic.Bool  // nothing is answered
	lost                                      atomic.Bool  // it hangs before the message is sent
	full                                      atomic.Bool  // it takes no new connections
	confirmed, inFlight, most, checks, probes atomic.Int64
}

func newPaced(takes time.Duration) *paced {
	p := &paced{memory: newMemory()}
	p.takes.Store(int64(takes))
	return p
}

var errFull = errors.New("connection limit is reached")

// confirmTimeout is that of the paced brokers.
const confirmTimeout = 5 * time.Second

func (p *paced) Publish(ctx context.Context, _ flow.Address, _ *flow.Message) error {
	p.most.Store(max(p.most.Load(), p.inFlight.Add(1)))
	defer p.inFlight.Add(-1)
	takes := time.Duration(p.takes.Load())
	if p.hangs.Load() {
		takes = confirmTimeout
	}
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return mq.ErrUnknown
	}
	if takes == confirmTimeout && p.lost.Load() {
		return errCut
	}
	if takes == confirmTimeout {
		return mq.ErrUnknown
	}
	p.confirmed.Add(1)
	return nil
}

func (p *paced) Check(ctx context.Context) error {
	p.checks.Add(1)
	return p.answer(ctx)
}

func (p *paced) Probe(ctx context.Context) error {
	p.probes.Add(1)
	if p.full.Load() {
		return errFull
	}
	return p.answer(ctx)
}

func (p *paced) answer(ctx context.Context) error {
	if p.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.memory.Check(ctx)
}

// refuse makes the broker down, or up again with nil.
func (p *paced) refuse(err error) {
	p.mu.Lock()
	p.check = err
	p.mu.Unlock()
	if err != nil {
		p.states <- mq.State{Status: mq.Down, Err: err}
	}
}

// several runs managers M0, M1 … of brokers; the test calls stop.
func several(health mq.HealthConfig, brokers ...*paced) (b *bench, stop func()) {
	b = newBench()
	b.managers = &mq.Managers{}
	for i, broker := range brokers {
		b.managers.Add(fmt.Sprintf("M%d", i), broker, mq.ManagerOptions{
			Health: health, ConfirmTimeout: confirmTimeout, ReplyWait: replyWait, Log: b.log, Metrics: b.metrics,
		})
	}
	stop = b.run()
	synctest.Wait()
	return b, stop
}

// traffic sends messages at a rate for a while, each by a goroutine of its own, and
// returns how many each broker has confirmed of them, and the errors. It does not wait for the last ones.
func traffic(ctx context.Context, p *mq.Publisher, rate int, d time.Duration, brokers ...*paced) (shares []int, failed *atomic.Int64) {
	before := make([]int64, len(brokers))
	for i, b := range brokers {
		before[i] = b.confirmed.Load()
	}
	failed = &atomic.Int64{}
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-tick.C
		go func() {
			if _, err := p.Handle(ctx, &flow.Message{To: flow.Address{Key: "out"}}); err != nil {
				failed.Add(1)
			}
		}()
	}
	for i, b := range brokers {
		shares = append(shares, int(b.confirmed.Load()-before[i]))
	}
	return shares, failed
}

// about tells that got is within a tenth of want.
func about(got, want int) bool { return got >= want*9/10 && got <= want*11/10 }

func TestManagersThatAreEqualShareEqually(t *testing.T) {
	for _, kind := range []string{mq.Common, mq.Smart} {
		for _, rate := range []int{20, 500} {
			t.Run(fmt.Sprintf("%s, %d a second", kind, rate), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					brokers := []*paced{newPaced(5 * time.Millisecond), newPaced(5 * time.Millisecond), newPaced(5 * time.Millisecond)}
					b, stop := several(mq.HealthConfig{Type: kind}, brokers...)
					defer stop()
					p := mq.NewPublisher(b.managers, patience)
					got, _ := traffic(t.Context(), p, rate, 12*time.Second, brokers...)
					for _, n := range got {
						if !about(n, rate*4) {
							t.Errorf("shares = %v, want %d each", got, rate*4)
						}
					}
					brokers[2].refuse(errCut)
					time.Sleep(time.Second) // what was on its way is there
					got, failed := traffic(t.Context(), p, rate, 12*time.Second, brokers...)
					if !about(got[0], rate*6) || !about(got[1], rate*6) || got[2] != 0 || failed.Load() != 0 {
						t.Errorf("shares with one down = %v, %d failed, want %d, %[3]d, 0", got, failed.Load(), rate*6)
					}
					time.Sleep(time.Second)
				})
			})
		}
	}
}

func TestSmartAvoidsSlowManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers := []*paced{newPaced(5 * time.Millisecond), newPaced(100 * time.Millisecond), newPaced(5 * time.Millisecond)}
		b, stop := several(mq.HealthConfig{Type: mq.Smart}, brokers...)
		defer stop()
		p := mq.NewPublisher(b.managers, patience)
		traffic(t.Context(), p, 500, 5*time.Second, brokers...)
		got, _ := traffic(t.Context(), p, 500, 20*time.Second, brokers...)
		if got[1] > 10_000*5/100 || got[1] == 0 {
			t.Errorf("shares = %v, want the slow one below 5 %%, and tried", got)
		}
		brokers[1].takes.Store(int64(5 * time.Millisecond))
		traffic(t.Context(), p, 500, 20*time.Second, brokers...)
		got, _ = traffic(t.Context(), p, 500, 20*time.Second, brokers...)
		if !about(got[1], 10_000/3) {
			t.Errorf("shares = %v, want a third for the one that is fast again", got)
		}
		time.Sleep(time.Second)
	})
}

func TestSmartRampsUpReturningManagers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers := []*paced{newPaced(5 * time.Millisecond), newPaced(5 * time.Millisecond), newPaced(5 * time.Millisecond)}
		b, stop := several(mq.HealthConfig{Type: mq.Smart}, brokers...)
		defer stop()
		p := mq.NewPublisher(b.managers, patience)
		brokers[1].refuse(errCut)
		time.Sleep(30 * time.Second) // the others have their full share
		brokers[1].refuse(nil)
		for brokers[1].confirmed.Load() == 0 {
			traffic(t.Context(), p, 500, 100*time.Millisecond, brokers...)
		}
		last := 0
		for _, tt := range []struct {
			during time.Duration
			share  float64 // at most
		}{{2 * time.Second, 0.09}, {8 * time.Second, 0.21}, {8 * time.Second, 0.34}, {20 * time.Second, 0.35}} {
			got, _ := traffic(t.Context(), p, 500, tt.during, brokers...)
			all := got[0] + got[1] + got[2]
			if float64(got[1]) > tt.share*float64(all) || got[1] <= last*int(tt.during.Seconds()) {
				t.Errorf("share = %d of %d, want at most %v of them, and more than the %d a second of before", got[1], all, tt.share, last)
			}
			last = got[1] / int(tt.during.Seconds())
		}
		if got, _ := traffic(t.Context(), p, 500, 10*time.Second, brokers...); !about(got[1], 5000/3) {
			t.Errorf("shares in the end = %v, want a third each", got)
		}
		time.Sleep(time.Second)
	})
}

func TestManagerThatHangs(t *testing.T) {
	for _, tt := range []struct {
		name, kind string
		lost       bool
		most       int64 // callers that it may hold
	}{
		{"Common", mq.Common, false, 140},
		{"Smart", mq.Smart, false, 20},
		{"Smart, before anything is sent", mq.Smart, true, 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				brokers := []*paced{newPaced(5 * time.Millisecond), newPaced(5 * time.Millisecond), newPaced(5 * time.Millisecond)}
				b, stop := several(mq.HealthConfig{Type: tt.kind}, brokers...)
				defer stop()
				p := mq.NewPublisher(b.managers, patience)
				traffic(t.Context(), p, 800, 10*time.Second, brokers...)
				brokers[1].hangs.Store(true)
				brokers[1].lost.Store(tt.lost)
				_, failed := traffic(t.Context(), p, 800, confirmTimeout, brokers...)
				if most := brokers[1].most.Load(); most > tt.most {
					t.Errorf("%d callers hung with the manager, want at most %d", most, tt.most)
				}
				got, late := traffic(t.Context(), p, 800, 20*time.Second, brokers...)
				if !about(got[0], 8_000) || !about(got[2], 8_000) {
					t.Errorf("shares = %v, want those of two", got)
				}
				if b.managers.All()[1].State().Status != mq.Down {
					t.Error("the manager that answers no check is not down")
				}
				brokers[1].hangs.Store(false)
				traffic(t.Context(), p, 800, 40*time.Second, brokers...)
				got, _ = traffic(t.Context(), p, 800, 10*time.Second, brokers...)
				if !about(got[1], 8000/3) {
					t.Errorf("shares after it goes on = %v, want a third", got)
				}
				time.Sleep(confirmTimeout)
				if failed.Load()+late.Load() != 0 {
					t.Errorf("%d messages failed, want each sent elsewhere", failed.Load()+late.Load())
				}
			})
		})
	}
}

// Weights that differ by little, as those of managers that came up one after the other,
// let none hold callers when it hangs, the strongest neither.
func TestSmartKeepsCallersFromAHungManagerWhileAllRampUp(t *testing.T) {
	for hung := range 3 {
		synctest.Test(t, func(t *testing.T) {
			brokers := []*paced{newPaced(time.Millisecond), newPaced(time.Millisecond), newPaced(time.Millisecond)}
			for i := range 2 {
				brokers[i+1].check = errCut
				time.AfterFunc(time.Duration(i+1)*time.Second, func() { brokers[i+1].refuse(nil) })
			}
			b, stop := several(mq.HealthConfig{Type: mq.Smart, Period: time.Second}, brokers...)
			defer stop()
			p := mq.NewPublisher(b.managers, patience)
			time.Sleep(5 * time.Second)
			traffic(t.Context(), p, 100, time.Second, brokers...)
			brokers[hung].hangs.Store(true)
			traffic(t.Context(), p, 100, confirmTimeout-time.Second, brokers...)
			if most := brokers[hung].most.Load(); most > 10 {
				t.Errorf("%d callers hung with M%d", most, hung)
			}
			time.Sleep(2 * confirmTimeout)
		})
	}
}

func TestEachManagerIsTriedOnceWithTheSameID(t *testing.T) {
	for _, kind := range []string{mq.Common, mq.Smart} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.managers = &mq.Managers{}
				var mu sync.Mutex
				var tried []string
				for i, err := range []error{mq.ErrNacked, mq.ErrReturned, errCut, mq.ErrUnknown} {
					broker := newMemory()
					broker.publish = func(_ flow.Address, m *flow.Message) error {
						mu.Lock()
						defer mu.Unlock()
						tried = append(tried, fmt.Sprintf("%s on M%d", m.ID, i))
						return err
					}
					b.managers.Add(fmt.Sprintf("M%d", i), broker, mq.ManagerOptions{Health: mq.HealthConfig{Type: kind}, Log: b.log, Metrics: b.metrics})
				}
				stop := b.run()
				defer stop()
				synctest.Wait()
				_, err := mq.NewPublisher(b.managers, patience).Handle(t.Context(), &flow.Message{ID: "m-1", To: flow.Address{Key: "out"}})
				if flow.CodeOf(err) != flow.BrokerFailed {
					t.Errorf("err = %v, want 603", err)
				}
				for i := range 4 {
					if n := strings.Count(strings.Join(tried, ","), fmt.Sprintf("m-1 on M%d", i)); n != 1 {
						t.Errorf("M%d was tried %d times, want once: %v", i, n, tried)
					}
				}
				if b.managers.All()[1].State().Status != mq.Up {
					t.Error("a message that is unroutable has taken its manager out")
				}
			})
		})
	}
}

func TestCallerWhoGivesUpIsNotSentElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brokers := []*paced{newPaced(time.Second), newPaced(time.Second)}
		b, stop := several(mq.HealthConfig{}, brokers...)
		defer stop()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := mq.NewPublisher(b.managers, patience).Handle(ctx, &flow.Message{To: flow.Address{Key: "out"}})
		if flow.CodeOf(err) != flow.BrokerFailed || brokers[0].most.Load()+brokers[1].most.Load() != 1 {
			t.Errorf("err = %v, want 603 after one try", err)
		}
	})
}
