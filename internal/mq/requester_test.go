package mq_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

const (
	replyWait = 30 * time.Second
	// uuid ends ids that gateways make; made is one of the instance with the tag "tag".
	uuid = ".01906f1e-0000-7000-8000-000000000000"
	made = "tag" + uuid
)

// desk is a bench with a requester whose replies come by queue R.
type desk struct {
	*bench
	requester *mq.Requester
	stop      func()
}

// newDesk runs a requester in mode UNIQUE; the test calls stop.
func newDesk() *desk {
	b := newBench()
	r := b.requester(&mq.DeadLetters{Queue: "R.UNCLAIMED", Kind: mq.Quorum})
	ctx, cancel := context.WithCancel(context.Background())
	replies := mq.NewListener(b.manager, mq.Queue{Name: "R", Prefetch: 100}, flow.Chain(r.Take, r.FailUnreadable, refuse("unreadable")), mq.ListenerOptions{
		Replies: true, Concurrency: 4, Grace: flow.Grace(grace), Failure: deadLetters(&mq.DeadLetters{}), NewID: func() string { return "made" }, Log: b.log, Metrics: b.metrics,
	})
	r.Unique(b.manager, "R", replies)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = replies.Run(ctx) }()
	stopManagers := b.run()
	synctest.Wait()
	return &desk{bench: b, requester: r, stop: func() { cancel(); <-ended; stopManagers() }}
}

func (b *bench) requester(unclaimed *mq.DeadLetters) *mq.Requester {
	return mq.NewRequester(b.managers, mq.RequesterOptions{
		Tag: "tag", Wait: replyWait, Patience: patience, Unclaimed: unclaimed, Log: b.log, Metrics: b.metrics,
	})
}

// refuse is middleware that can't read a body.
func refuse(body string) flow.Middleware {
	return func(next flow.Handler) flow.Handler {
		return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
			if string(in.Body) == body {
				return nil, flow.Errorf(flow.BadMessage, "body is not text")
			}
			return next(ctx, in)
		}
	}
}

// call is a request in the background.
type call struct {
	done  chan struct{}
	reply *flow.Message
	err   error
}

func (d *desk) call(ctx context.Context, request flow.Message) *call {
	c := &call{done: make(chan struct{})}
	request.To = flow.Address{Key: "OUT"}
	go func() {
		defer close(c.done)
		c.reply, c.err = d.requester.Handle(ctx, &request)
	}()
	synctest.Wait()
	return c
}

// reply puts a reply on the reply queue and lets it be read.
func (d *desk) reply(correlID, body string) {
	d.broker.put("R", flow.Message{CorrelID: correlID, Body: []byte(body)})
	synctest.Wait()
}

// got is the body of the reply that a call has, or its error.
func (c *call) got() string {
	select {
	case <-c.done:
		if c.err != nil {
			return c.err.Error()
		}
		return string(c.reply.Body)
	default:
		return "(waits)"
	}
}

func TestRepliesFindTheirCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		byID := d.call(t.Context(), flow.Message{ID: "m-1", CorrelID: "c-1"})
		byCorrel := d.call(t.Context(), flow.Message{ID: "m-2", CorrelID: "c-2"})
		d.reply("c-2", "two")
		d.reply("m-1", "one")
		if byID.got() != "one" || byCorrel.got() != "two" {
			t.Errorf("replies = %q, %q, want one, two", byID.got(), byCorrel.got())
		}
		for _, sent := range d.broker.published() {
			if sent.ReplyTo != "R" || sent.ReplyToManager != "M" || sent.To.Key != "OUT" {
				t.Errorf("request %s: reply to %q on %q, sent to %q", sent.ID, sent.ReplyTo, sent.ReplyToManager, sent.To)
			}
		}
		if got := d.counter(t, "gateway_requests_waiting"); got != 0 {
			t.Errorf("waiting = %v, want 0", got)
		}
		d.stop()
	})
}

func TestSharedCorrelationIDMatchesNeither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		first := d.call(t.Context(), flow.Message{ID: "m-1", CorrelID: "same"})
		second := d.call(t.Context(), flow.Message{ID: "m-2", CorrelID: "same"})
		d.reply("same", "whose?")
		d.reply("m-1", "one")
		d.reply("same", "whose?") // the first is gone, and this may still be its reply
		if first.got() != "one" || second.got() != "(waits)" {
			t.Errorf("replies = %q, %q, want one and nothing", first.got(), second.got())
		}
		d.reply("m-2", "two")
		third := d.call(t.Context(), flow.Message{ID: "m-3", CorrelID: "same"})
		d.reply("same", "three")
		if second.got() != "two" || third.got() != "three" {
			t.Errorf("replies = %q, %q, want two, three", second.got(), third.got())
		}
		d.stop()
	})
}

func TestMessageIDInFlightIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		first := d.call(t.Context(), flow.Message{ID: "m-1"})
		second := d.call(t.Context(), flow.Message{ID: "m-1"})
		if flow.CodeOf(second.err) != flow.BadMessage || !strings.Contains(second.got(), `"m-1"`) {
			t.Errorf("second call = %q, want 606 with the id", second.got())
		}
		d.reply("m-1", "one")
		if first.got() != "one" {
			t.Errorf("first call = %q, want its reply", first.got())
		}
		d.stop()
	})
}

func TestWaitEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration // of the caller; 0 is never
		gives bool          // the caller gives up, other than by a deadline
		took  time.Duration
		class flow.Class
		text  string
	}{
		{name: "by maxProcessingTime", took: replyWait, class: flow.Transient, text: "mq.syncReceiver.maxProcessingTime"},
		{name: "by the caller's deadline", after: time.Second, took: time.Second, class: flow.Transient, text: "caller's deadline"},
		{name: "by the caller", after: time.Second, gives: true, took: time.Second, class: flow.Stopping, text: "gave up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.gives {
					time.AfterFunc(tt.after, cancel)
				} else if tt.after > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.after)
					defer cancel()
				}
				start := time.Now()
				c := d.call(ctx, flow.Message{ID: "m-1"})
				<-c.done
				if flow.CodeOf(c.err) != flow.ReplyTimeout || flow.ClassOf(c.err) != tt.class || !strings.Contains(c.got(), tt.text) {
					t.Errorf("err = %v, want 608 with %q", c.err, tt.text)
				}
				if got := time.Since(start); got != tt.took {
					t.Errorf("waited %v, want %v", got, tt.took)
				}
				d.reply("m-1", "late")
				if got := d.outcomesOf(t, "late"); got != 1 {
					t.Errorf("late replies = %v, want 1", got)
				}
				if diff := cmp.Diff([]mq.Outcome{mq.Ack}, d.broker.outcomes()); diff != "" {
					t.Errorf("a late reply is dropped (-want +got):\n%s", diff)
				}
				d.stop()
			})
		})
	}
}

// outcomesOf counts replies by whose they were.
func (b *bench) outcomesOf(t *testing.T, result string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "gateway_replies_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestDuplicateReplyIsLateAndForeignOneIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.call(t.Context(), flow.Message{ID: "m-1"})
		d.reply("m-1", "one")
		d.reply("m-1", "again")
		d.reply(made, "of a request that this instance made")
		d.reply("elsewhere", "theirs")
		if late, foreign := d.outcomesOf(t, "late"), d.outcomesOf(t, "unclaimed"); late != 2 || foreign != 1 {
			t.Errorf("late, foreign = %v, %v, want 2, 1", late, foreign)
		}
		aside := d.broker.published()[1:]
		if len(aside) != 1 || aside[0].To.Key != "R.UNCLAIMED" || string(aside[0].Body) != "theirs" {
			t.Errorf("put aside = %v, want the foreign reply on R.UNCLAIMED", aside)
		}
		d.stop()
	})
}

func TestUnreadableReplyFailsItsCallerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		c := d.call(t.Context(), flow.Message{ID: "m-1"})
		d.reply("m-1", "unreadable")
		if flow.CodeOf(c.err) != flow.BadMessage || c.got() != "body is not text" {
			t.Errorf("call = %q, want 606", c.got())
		}
		letters := d.broker.published()[1:]
		if len(letters) != 1 || letters[0].To.Key != "R.DLQ" {
			t.Errorf("dead letters = %v, want the reply on R.DLQ", letters)
		}
		d.stop()
	})
}

func TestRequestThatIsNotPublishedFailsAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code flow.Code
	}{
		{"unroutable", mq.ErrReturned, flow.BrokerFailed},
		{"nacked", mq.ErrNacked, flow.BrokerFailed},
		{"unknown", mq.ErrUnknown, flow.BrokerFailed},
		{"refused", flow.Errorf(flow.BadMessage, "header too long"), flow.BadMessage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				d.broker.publish = fail(tt.err)
				c := d.call(t.Context(), flow.Message{ID: "m-1"})
				if flow.CodeOf(c.err) != tt.code || !errors.Is(c.err, tt.err) {
					t.Errorf("call = %q, want %d at once", c.got(), tt.code)
				}
				d.stop()
			})
		})
	}
}

func TestReplyBeforeTheConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.broker.publish = func(_ flow.Address, m *flow.Message) error {
			d.broker.queues["R"] <- &mq.Delivery{Message: flow.Message{CorrelID: m.ID, Body: []byte("quick")}}
			return nil
		}
		if c := d.call(t.Context(), flow.Message{ID: "m-1"}); c.got() != "quick" {
			t.Errorf("call = %q, want the reply", c.got())
		}
		d.stop()
	})
}

func TestReplyThatIsThereWinsOverTheEndOfItsWait(t *testing.T) {
	for _, tt := range []struct {
		name  string
		after time.Duration
		err   error
	}{
		{"the confirm is lost", time.Millisecond, mq.ErrUnknown},
		{"the time is over", replyWait, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk()
				d.broker.publish = func(_ flow.Address, m *flow.Message) error {
					d.broker.queues["R"] <- &mq.Delivery{Message: flow.Message{CorrelID: m.ID, Body: []byte("quick")}}
					d.broker.mu.Unlock() // Others may use the broker meanwhile.
					defer d.broker.mu.Lock()
					time.Sleep(tt.after)
					return tt.err
				}
				c := d.call(t.Context(), flow.Message{ID: "m-1"})
				<-c.done
				if c.got() != "quick" {
					t.Errorf("call = %q, want the reply, which is counted as matched", c.got())
				}
				d.stop()
			})
		})
	}
}

func TestRequestWaitsUntilRepliesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.missing = true
		r := b.requester(nil)
		replies := mq.NewListener(b.manager, mq.Queue{Name: "R"}, r.Take, mq.ListenerOptions{Concurrency: 1, Log: b.log, Metrics: b.metrics})
		r.Unique(b.manager, "R", replies)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = replies.Run(ctx) }()
		stopManagers := b.run()
		synctest.Wait()
		if r.Ready() {
			t.Error("ready while the reply queue is not read")
		}
		_, err := r.Handle(t.Context(), &flow.Message{ID: "m-1", To: flow.Address{Key: "OUT"}})
		if flow.CodeOf(err) != flow.BrokerFailed || !strings.Contains(err.Error(), "replies are not read yet") || len(b.broker.published()) != 0 {
			t.Errorf("Handle = %v, want 603 and nothing sent", err)
		}
		cancel()
		<-ended
		stopManagers()
	})
}

// inbox is a direct reply address in memory.
type inbox struct {
	*memory
	replies chan *flow.Message
	lost    chan struct{}
}

func (i *inbox) Address() string { return "direct" }

func (i *inbox) Receive(ctx context.Context) (*flow.Message, error) {
	select {
	case m := <-i.replies:
		return m, nil
	case <-i.lost:
		return nil, errCut
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// directMemory is a memory broker with direct reply addresses.
type directMemory struct {
	*memory
	opened chan *inbox
}

func (b *directMemory) OpenInbox(context.Context) (mq.Inbox, error) {
	i := &inbox{memory: b.memory, replies: make(chan *flow.Message, 10), lost: make(chan struct{})}
	b.opened <- i
	return i, nil
}

func TestDirectReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		broker := &directMemory{memory: newMemory(), opened: make(chan *inbox, 10)}
		b.managers = &mq.Managers{}
		b.manager = b.managers.Add("M", broker, mq.ManagerOptions{Log: b.log, Metrics: b.metrics})
		r := b.requester(nil)
		way := r.Direct(b.manager, r.Take)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = way.Run(ctx) }()
		stopManagers := b.run()
		synctest.Wait()
		d := &desk{bench: b, requester: r}

		first := <-broker.opened
		answered := d.call(t.Context(), flow.Message{ID: "m-1"})
		first.replies <- &flow.Message{CorrelID: "m-1", Body: []byte("one")}
		first.replies <- &flow.Message{CorrelID: "theirs"}
		synctest.Wait()
		if answered.got() != "one" || broker.published()[0].ReplyTo != "direct" {
			t.Errorf("call = %q, sent with reply to %q", answered.got(), broker.published()[0].ReplyTo)
		}
		lost := d.call(t.Context(), flow.Message{ID: "m-2"})
		close(first.lost)
		synctest.Wait()
		if flow.CodeOf(lost.err) != flow.BrokerFailed || !errors.Is(lost.err, errCut) {
			t.Errorf("call on a lost reply address = %q, want 603 at once", lost.got())
		}
		second := <-broker.opened
		again := d.call(t.Context(), flow.Message{ID: "m-3"})
		second.replies <- &flow.Message{CorrelID: "m-3", Body: []byte("three")}
		synctest.Wait()
		if again.got() != "three" {
			t.Errorf("call on the next reply address = %q, want three", again.got())
		}
		cancel()
		<-ended
		stopManagers()
	})
}
