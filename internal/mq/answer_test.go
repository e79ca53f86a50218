package mq_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// counter is a bench whose listener answers each request with a reply to OUT.
type counter struct {
	*bench
	calls atomic.Int32
	stop  func()
	// failed are the codes of replies that no queue takes.
	failed []flow.Code
}

// newCounter runs a listener that answers; call stands for the service and may be
// nil; the test calls stop.
func newCounter(call func() error) *counter {
	c := &counter{bench: newBench()}
	stopManagers := c.run()
	answerer := mq.NewAnswerer(mq.AnswererOptions{
		Publisher: mq.NewPublisher(c.managers, patience), Managers: c.managers,
		Failure: deadLetters(&mq.DeadLetters{Kind: mq.Quorum}), Log: c.log, Metrics: c.metrics, Flow: "in",
		Failed: func(code flow.Code) { c.failed = append(c.failed, code) },
	})
	service := func(_ context.Context, in *flow.Message) (*flow.Message, error) {
		c.calls.Add(1)
		if call != nil {
			if err := call(); err != nil {
				return nil, err
			}
		}
		return &flow.Message{ID: "reply-" + in.ID, CorrelID: in.ID, Body: []byte("reply"), To: flow.Address{Key: "OUT"}}, nil
	}
	stopListener := c.listen(4, flow.Chain(service, answerer.Middleware))
	c.stop = func() { stopListener(); stopManagers() }
	return c
}

// TestARequestIsAwayWhileItsReplyIsPublished: nobody takes the confirm, or what
// passes until the broker gives one, for the gateway's own time.
func TestARequestIsAwayWhileItsReplyIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		stopManagers := b.run()
		answerer := mq.NewAnswerer(mq.AnswererOptions{
			Publisher: mq.NewPublisher(b.managers, patience), Managers: b.managers, Failure: deadLetters(&mq.DeadLetters{}), Log: b.log, Metrics: b.metrics,
		})
		tries := 0
		b.broker.publish = func(flow.Address, *flow.Message) error {
			time.Sleep(time.Second)
			if tries++; tries == 1 {
				return mq.ErrNacked
			}
			return nil
		}
		answer := answerer.Middleware(func(context.Context, *flow.Message) (*flow.Message, error) {
			return &flow.Message{ID: "r-1", To: flow.Address{Key: "OUT"}}, nil
		})
		m, start := &flow.Message{ID: "1"}, time.Now()
		if _, err := answer(t.Context(), m); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); m.Away != took || took < 2*time.Second {
			t.Errorf("away for %v of %v, want all of it", m.Away, took)
		}
		stopManagers()
	})
}

func TestReplyIsPublishedBeforeTheRequestIsDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(nil)
		c.broker.publish = func(flow.Address, *flow.Message) error {
			if len(c.broker.settled) > 0 {
				t.Error("the request is settled before its reply is confirmed")
			}
			return nil
		}
		c.broker.put("Q", flow.Message{ID: "1"})
		synctest.Wait()
		c.stop()
		sent := c.broker.published()
		if len(sent) != 1 || sent[0].To.Key != "OUT" || sent[0].CorrelID != "1" {
			t.Errorf("published = %v, want the reply on OUT", sent)
		}
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, c.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

func TestReplyInHandIsPublishedAgainAndTheServiceNotCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(nil)
		tries := 0
		c.broker.publish = func(flow.Address, *flow.Message) error {
			if tries++; tries < 5 {
				return mq.ErrUnknown
			}
			return nil
		}
		c.broker.put("Q", flow.Message{ID: "1"})
		time.Sleep(time.Minute) // on the fake clock
		c.stop()
		if c.calls.Load() != 1 || tries != 5 {
			t.Errorf("calls, tries to publish = %d, %d, want 1, 5", c.calls.Load(), tries)
		}
		if got := c.logged.count("reply can't be published"); got != 1 {
			t.Errorf("logged %d times, want once", got)
		}
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, c.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

func TestReplyInHandIsPublishedAsSoonAsAManagerTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(nil)
		for range 10 {
			c.broker.states <- mq.State{Status: mq.Blocked, Err: errors.New("low on memory")}
			synctest.Wait()
			c.broker.put("Q", flow.Message{ID: "1"})
			time.Sleep(10*time.Minute + time.Second) // on the fake clock, between two tries
			before := len(c.broker.published())
			c.broker.states <- mq.State{Status: mq.Up}
			synctest.Wait()
			if got := len(c.broker.published()) - before; got != 1 {
				t.Errorf("replies published with the return of the manager = %d, want 1", got)
			}
			time.Sleep(time.Minute)
		}
		c.stop()
	})
}

func TestReplyThatNoQueueTakesIsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(nil)
		c.broker.publish = func(to flow.Address, _ *flow.Message) error {
			if to.Key == "OUT" {
				return mq.ErrReturned
			}
			return nil
		}
		c.broker.put("Q", flow.Message{ID: "1"})
		time.Sleep(time.Minute) // on the fake clock
		c.stop()
		letters := c.broker.published()
		if len(letters) != 1 || letters[0].To.Key != "Q.DLQ" || string(letters[0].Body) != "reply" {
			t.Fatalf("dead letters = %v, want the reply on Q.DLQ", letters)
		}
		for _, h := range letters[0].Headers {
			if h.Name == "x-gateway-error-code" && h.Text() != "603" {
				t.Errorf("code = %s, want 603", h.Text())
			}
		}
		if diff := cmp.Diff([]flow.Code{flow.BrokerFailed}, c.failed); diff != "" {
			t.Errorf("codes told (-want +got):\n%s", diff)
		}
		checkMetric(t, c.bench, "gateway_messages_dead_lettered_total", 1)
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, c.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
}

func TestFailedRequestIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(func() error { return flow.Errorf(flow.BadMessage, "not this one") })
		c.broker.put("Q", flow.Message{ID: "1", Body: []byte("request")})
		synctest.Wait()
		c.stop()
		letters := c.broker.published()
		if len(letters) != 1 || letters[0].To.Key != "Q.DLQ" || string(letters[0].Body) != "request" {
			t.Errorf("published = %v, want the request on Q.DLQ alone", letters)
		}
	})
}

func TestRequestThatComesAgainIsNotHandledAgain(t *testing.T) {
	again := func(m flow.Message) *mq.Delivery {
		m.Source = flow.Source{Queue: "Q", Manager: "M", Redelivered: true}
		return &mq.Delivery{Message: m}
	}
	first := flow.Message{ID: "1", CorrelID: "c", Body: []byte("request")}
	t.Run("after it was answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCounter(nil)
			c.broker.put("Q", first)
			synctest.Wait()
			c.broker.queue("Q") <- again(first)
			synctest.Wait()
			c.stop()
			if c.calls.Load() != 1 || len(c.broker.outcomes()) != 2 {
				t.Errorf("calls, settled = %d, %d, want 1, 2", c.calls.Load(), len(c.broker.outcomes()))
			}
		})
	})
	t.Run("while its reply is in hand", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCounter(nil)
			c.broker.publish = fail(mq.ErrUnknown)
			c.broker.put("Q", first)
			synctest.Wait()
			c.broker.cut()
			c.broker.queue("Q") <- again(first)
			synctest.Wait()
			c.broker.mu.Lock()
			c.broker.publish = nil
			c.broker.mu.Unlock()
			time.Sleep(time.Minute) // on the fake clock
			c.stop()
			if c.calls.Load() != 1 || len(c.broker.published()) != 1 {
				t.Errorf("calls, replies = %d, %d, want 1, 1", c.calls.Load(), len(c.broker.published()))
			}
			if diff := cmp.Diff([]mq.Outcome{mq.Ack}, c.broker.outcomes()); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("but one that was parked is, since it was not answered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCounter(nil)
			c.broker.put("Q", first)
			synctest.Wait()
			parked := again(first)
			parked.Message.Source.Delayed = true
			c.broker.queue("Q") <- parked
			synctest.Wait()
			c.stop()
			if got := c.calls.Load(); got != 2 {
				t.Errorf("calls = %d, want 2", got)
			}
		})
	})
	for _, tt := range []struct {
		name  string
		later time.Duration
		calls int32
	}{
		{"without an id of its own, soon", time.Minute, 1},
		{"but one without an id of its own is later, since it may be another one", 10 * time.Minute, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCounter(nil)
				anonymous := flow.Message{CorrelID: "always the same", Body: []byte("request")}
				c.broker.put("Q", anonymous)
				synctest.Wait()
				time.Sleep(tt.later)
				c.broker.queue("Q") <- again(anonymous)
				synctest.Wait()
				c.stop()
				if got := c.calls.Load(); got != tt.calls {
					t.Errorf("calls = %d, want %d", got, tt.calls)
				}
			})
		})
	}
	t.Run("but another one of the same id is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCounter(nil)
			c.broker.put("Q", first, flow.Message{ID: "1", CorrelID: "c", Body: []byte("another")}, first)
			synctest.Wait()
			c.broker.queue("Q") <- again(flow.Message{ID: "1", CorrelID: "c", Body: []byte("a third")})
			synctest.Wait()
			c.stop()
			if got := c.calls.Load(); got != 4 {
				t.Errorf("calls = %d, want 4", got)
			}
		})
	})
}

func TestStoppingWithAReplyInHandGivesTheRequestBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(nil)
		c.broker.publish = fail(errors.Join(mq.ErrUnknown))
		c.broker.put("Q", flow.Message{ID: "1"})
		synctest.Wait()
		c.stop()
		if diff := cmp.Diff([]mq.Outcome{mq.Return}, c.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		if c.logged.count("reply can't be published") == 0 || strings.Contains(c.logged.b.String(), "dead letter") {
			t.Error("the log does not tell of the reply, or tells of a dead letter")
		}
	})
}

// The reply address is that of the request's manager: another one would have no
// such queue, or a queue of the same name that somebody else reads.
func TestReplyWaitsForItsManagerWhileOthersAreUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, other, stopManagers := twoManagers()
		answerer := mq.NewAnswerer(mq.AnswererOptions{
			Publisher: mq.NewPublisher(b.managers, patience), Managers: b.managers, Failure: deadLetters(&mq.DeadLetters{}), Log: b.log, Metrics: b.metrics,
		})
		stop := b.listen(1, flow.Chain(func(context.Context, *flow.Message) (*flow.Message, error) {
			b.broker.mu.Lock()
			b.broker.check = errCut
			b.broker.mu.Unlock()
			b.broker.states <- mq.State{Status: mq.Down, Err: errCut}
			time.Sleep(time.Second) // until that is known
			return &flow.Message{Body: []byte("reply"), To: flow.Address{Key: "back", Manager: "M"}}, nil
		}, answerer.Middleware))
		b.broker.put("Q", flow.Message{ID: "1"})
		time.Sleep(time.Minute)
		if n := len(b.broker.outcomes()); len(b.broker.published()) != 0 || len(other.published()) != 0 || n != 0 {
			t.Errorf("published %v and %v, %d settled, want the reply in hand", b.broker.published(), other.published(), n)
		}
		b.broker.mu.Lock()
		b.broker.check = nil
		b.broker.mu.Unlock()
		time.Sleep(time.Minute)
		if len(b.broker.published()) != 1 || len(other.published()) != 0 {
			t.Errorf("published %v and %v, want the reply on its own manager", b.broker.published(), other.published())
		}
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, b.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		stop()
		stopManagers()
	})
}
