package mq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// shop is a number of instances on one broker, which share reply queue R. Only the
// first one reads R, so that a test knows who takes a reply.
type shop struct {
	broker    *memory
	instances []*desk
}

// openShop runs instances with the tags a, b, c …; the test calls close.
func openShop(n int, change func(*mq.SharedOptions)) *shop {
	s := &shop{broker: newMemory()}
	s.broker.routes = true
	for _, queue := range []string{"R", "OUT", "R.UNCLAIMED", "R.DLQ"} {
		s.broker.queue(queue)
	}
	for i := range n {
		s.open(string(rune('a'+i)), change)
	}
	return s
}

func (s *shop) open(tag string, change func(*mq.SharedOptions), others ...*memory) *desk {
	var reader mq.Broker = s.broker
	if len(s.instances) > 0 {
		reader = &elsewhere{s.broker, s.broker.queue("R of " + tag)}
	}
	return s.openOn(tag, reader, change, others...)
}

// openOn opens an instance on the broker as it is seen through reader.
func (s *shop) openOn(tag string, reader mq.Broker, change func(*mq.SharedOptions), others ...*memory) *desk {
	b := newBenchOn(s.broker, reader)
	for i, other := range others {
		b.add(fmt.Sprint("N", i), other)
	}
	r := mq.NewRequester(b.managers, mq.RequesterOptions{Tag: tag, Wait: replyWait, Patience: patience, Log: b.log, Metrics: b.metrics})
	o := mq.SharedOptions{
		Queue: "R", Instance: tag, Allow: func(string) error { return nil },
		Replies:      flow.Chain(r.Take, r.FailUnreadable, refuse("unreadable")),
		UnclaimedTTL: time.Minute,
		Listener: mq.ListenerOptions{
			Grace: flow.Grace(grace), Failure: deadLetters(&mq.DeadLetters{}), NewID: func() string { return "made" }, Log: b.log, Metrics: b.metrics,
		},
	}
	if change != nil {
		change(&o)
	}
	shared := r.Shared(o)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	stopManagers := b.run()
	synctest.Wait() // Managers that are down tell so by themselves.
	running.Go(func() { _ = shared.Run(ctx) })
	synctest.Wait()
	d := &desk{bench: b, requester: r, stop: func() { cancel(); running.Wait(); stopManagers() }}
	s.instances = append(s.instances, d)
	return d
}

func (s *shop) close() {
	for _, d := range s.instances {
		d.stop()
	}
}

// reply puts a reply on R, which a takes.
func (s *shop) reply(m flow.Message) {
	s.broker.put("R", m)
	synctest.Wait()
}

// elsewhere is a broker whose queue R is another one, where nothing comes.
type elsewhere struct {
	*memory
	empty chan *mq.Delivery
}

func (e *elsewhere) Subscribe(ctx context.Context, q mq.Queue) (mq.Subscription, error) {
	sub, err := e.memory.Subscribe(ctx, q)
	if err == nil && q.Name == "R" {
		sub.(*memorySub).deliveries = e.empty
	}
	return sub, err
}

// replies counts the replies of an instance by what became of them.
func (d *desk) replies(t *testing.T) string {
	t.Helper()
	var counts []string
	for _, result := range []string{"matched", "late", "unclaimed", "handed_over", "asked"} {
		if n := d.outcomesOf(t, result); n > 0 {
			counts = append(counts, fmt.Sprintf("%s %v", result, n))
		}
	}
	return strings.Join(counts, ", ")
}

// want holds what each instance counted, in order, and that all of R is settled.
func (s *shop) want(t *testing.T, counts ...string) {
	t.Helper()
	for i, want := range counts {
		if got := s.instances[i].replies(t); got != want {
			t.Errorf("instance %d counted %q, want %q", i, got, want)
		}
	}
	if got := s.broker.outcomes(); slices.ContainsFunc(got, func(o mq.Outcome) bool { return o != mq.Ack }) {
		t.Errorf("outcomes = %v, want acks", got)
	}
}

// kinds are the replies that instances left for each other, as "kind to queue".
func (s *shop) kinds() []string {
	var kinds []string
	for _, m := range s.broker.published() {
		for _, h := range m.Headers {
			if h.Name == "x-gateway-reply-kind" {
				kinds = append(kinds, h.Text()+" to "+m.To.Key)
			}
		}
	}
	return kinds
}

func TestSharedRepliesFindTheirInstances(t *testing.T) {
	for _, tt := range []struct {
		name     string
		request  flow.Message // through instance b
		selector string
		reply    flow.Message
		took     time.Duration
		kinds    int
		taker, b string
	}{
		{
			name: "by the tag of the message id", request: flow.Message{ID: "b" + uuid}, reply: flow.Message{CorrelID: "b" + uuid},
			kinds: 1, taker: "handed_over 1", b: "matched 1",
		},
		{
			name: "by the tag of the correlation id", request: flow.Message{ID: "m-1", CorrelID: "b" + uuid}, reply: flow.Message{CorrelID: "b" + uuid},
			kinds: 1, taker: "handed_over 1", b: "matched 1",
		},
		{
			name: "by the selector", request: flow.Message{ID: "m-1"}, selector: "S",
			reply: flow.Message{CorrelID: "m-1", Headers: []flow.Header{{Name: "S", Value: "b"}}},
			kinds: 1, taker: "handed_over 1", b: "matched 1",
		},
		{
			name: "by the selector, as bytes", request: flow.Message{ID: "m-1"}, selector: "S",
			reply: flow.Message{CorrelID: "m-1", Headers: []flow.Header{{Name: "S", Value: []byte("b")}}},
			kinds: 1, taker: "handed_over 1", b: "matched 1",
		},
		{
			name: "by asking, the caller's message id", request: flow.Message{ID: "m-1"}, reply: flow.Message{CorrelID: "m-1"},
			kinds: 4, taker: "asked 1", b: "matched 1",
		},
		{
			name: "by asking, the caller's correlation id", request: flow.Message{ID: "m-1", CorrelID: "c-1"}, reply: flow.Message{CorrelID: "c-1"},
			kinds: 4, taker: "asked 1", b: "matched 1",
		},
		{
			name: "by asking, an id that looks like one of an instance", request: flow.Message{ID: "orders" + uuid}, reply: flow.Message{CorrelID: "orders" + uuid},
			kinds: 5, taker: "asked 1", b: "matched 1",
		},
		{
			name: "by asking, the selector names nobody", request: flow.Message{ID: "m-1"}, selector: "S",
			reply: flow.Message{CorrelID: "m-1", Headers: []flow.Header{{Name: "S", Value: "gone"}}},
			kinds: 5, taker: "asked 1", b: "matched 1",
		},
		{
			name: "by asking, an id with the tag of the taker", request: flow.Message{ID: "m-1", CorrelID: "a" + uuid}, reply: flow.Message{CorrelID: "a" + uuid},
			kinds: 3, taker: "late 1", b: "matched 1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(3, func(o *mq.SharedOptions) { o.Selector = tt.selector })
				defer s.close()
				c := s.instances[1].call(t.Context(), tt.request)
				tt.reply.Body = []byte("reply")
				start := time.Now()
				s.reply(tt.reply)
				if c.got() != "reply" || time.Since(start) != 0 {
					t.Errorf("call = %q after %v, want the reply at once", c.got(), time.Since(start))
				}
				if kinds := s.kinds(); len(kinds) != tt.kinds {
					t.Errorf("left for other instances: %q, want %d messages", kinds, tt.kinds)
				}
				s.want(t, tt.taker, tt.b, "")
			})
		})
	}
}

func TestReplyStaysAsItWasOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		for _, id := range []string{"b" + uuid, "m-1"} {
			c := s.instances[1].call(t.Context(), flow.Message{ID: id})
			s.reply(flow.Message{
				ID: "r-1", CorrelID: id, Body: []byte("reply"), UserID: "partner", Expiry: time.Minute, Persistence: flow.NonPersistent, Type: flow.Reply,
				Headers: []flow.Header{{Name: "n", Value: int32(7)}, {Name: "CC", Value: []any{"other"}}, {Name: "x-gateway-reply-kind", Value: "claim"}},
			})
			got := c.reply
			if got == nil || got.ID != "r-1" || got.UserID != "partner" || got.Expiry != time.Minute || got.Persistence != flow.NonPersistent || got.Type != flow.Reply {
				t.Fatalf("%s: reply = %+v, %v, want it as it was sent", id, got, c.err)
			}
			if got.Source.Queue != "R" || got.Source.Manager != "M" || len(got.Headers) != 2 || got.Headers[0].Value != int32(7) || got.Headers[1].Name != "CC" {
				t.Errorf("%s: reply has source %+v and headers %v, want R and its own", id, got.Source, got.Headers)
			}
		}
		for _, m := range s.broker.published() {
			if m.To.Key != "OUT" && (m.UserID != "" || m.Expiry == time.Minute || slices.ContainsFunc(m.Headers, func(h flow.Header) bool { return h.Name == "CC" })) {
				t.Errorf("message for another instance = %+v, want nothing that harms it on its way", m)
			}
		}
	})
}

func TestReplyThatNobodyKnowsIsPutAside(t *testing.T) {
	for _, tt := range []struct {
		name, correlID string
		taker, b       string
	}{
		{"no tag", "theirs", "unclaimed 1, asked 1", ""},
		{"no id", "", "unclaimed 1, asked 1", ""},
		{"tag of nobody", "orders" + uuid, "unclaimed 1, asked 1", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(2, nil)
				defer s.close()
				s.reply(flow.Message{CorrelID: tt.correlID, Body: []byte("theirs")})
				if got := s.broker.outcomes(); len(s.broker.queue("R.UNCLAIMED")) != 0 || slices.Contains(got[len(got)-1:], mq.Retry) {
					t.Error("put aside before anybody could claim it")
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if len(s.broker.queue("R.UNCLAIMED")) != 1 {
					t.Fatal("the reply is not on R.UNCLAIMED")
				}
				aside := <-s.broker.queue("R.UNCLAIMED")
				if string(aside.Message.Body) != "theirs" || aside.Message.CorrelID != tt.correlID {
					t.Errorf("put aside = %+v, want the reply", aside.Message)
				}
				s.want(t, tt.taker, tt.b)
			})
		})
	}
}

func TestLateRepliesAreDroppedByWhoKnowsThem(t *testing.T) {
	for _, tt := range []struct {
		name     string
		id       string // of a request through b that has got no reply
		answered bool   // but for this: it has
		taker, b string
	}{
		{name: "the tag tells", id: "b" + uuid, taker: "handed_over 1", b: "late 1"},
		{name: "asking tells", id: "m-1", taker: "late 1, asked 1"},
		{name: "a second reply, by the tag", id: "b" + uuid, answered: true, taker: "handed_over 2", b: "matched 1, late 1"},
		{name: "a second reply, by asking", id: "m-1", answered: true, taker: "late 1, asked 2", b: "matched 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(3, nil)
				defer s.close()
				c := s.instances[1].call(t.Context(), flow.Message{ID: tt.id})
				if tt.answered {
					s.reply(flow.Message{CorrelID: tt.id})
				}
				<-c.done
				s.reply(flow.Message{CorrelID: tt.id})
				s.want(t, tt.taker, tt.b, "")
				if len(s.broker.queue("R.UNCLAIMED")) != 0 {
					t.Error("a late reply is put aside")
				}
			})
		})
	}
}

// A caller that tries again under the same id, through another instance, waits for what
// the first instance holds for late.
func TestIDUsedAgainThroughAnotherInstance(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answered bool // the first request
	}{{"after the time is over", false}, {"after a reply", true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(3, nil)
				defer s.close()
				first := s.instances[0].call(t.Context(), flow.Message{ID: "m-1"})
				if tt.answered {
					s.reply(flow.Message{CorrelID: "m-1"})
				}
				<-first.done
				second := s.instances[1].call(t.Context(), flow.Message{ID: "m-1"})
				s.reply(flow.Message{CorrelID: "m-1", Body: []byte("reply")})
				if second.got() != "reply" {
					t.Errorf("second call = %q, want the reply", second.got())
				}
			})
		})
	}
}

// Replies to two callers that chose one message id, in two instances, come together to
// the first one: the caller of one is gone while the other reply is made readable.
func TestRepliesToOneIDThatComeTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		together := make(chan struct{})
		s := openShop(3, func(o *mq.SharedOptions) {
			give := o.Replies
			o.Replies = func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
				if o.Instance == "a" {
					<-together
				}
				in.ContentType = "made readable"
				return give(ctx, in)
			}
		})
		defer s.close()
		first := s.instances[0].call(t.Context(), flow.Message{ID: "m-1"})
		second := s.instances[1].call(t.Context(), flow.Message{ID: "m-1"})
		s.reply(flow.Message{CorrelID: "m-1", Body: []byte("reply")})
		s.reply(flow.Message{CorrelID: "m-1", Body: []byte("reply")})
		close(together)
		synctest.Wait()
		if first.got() != "reply" || second.got() != "reply" {
			t.Errorf("calls = %q, %q, want the reply in both", first.got(), second.got())
		}
		for _, m := range s.broker.published() {
			if m.To.Key != "OUT" && m.ContentType != "" {
				t.Errorf("reply has content type %q on its way to the other instance, want it as it was sent", m.ContentType)
			}
		}
	})
}

func TestCorrelationIDOfTwoInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(3, nil)
		defer s.close()
		one := s.instances[1].call(t.Context(), flow.Message{ID: "m-1", CorrelID: "same"})
		two := s.instances[2].call(t.Context(), flow.Message{ID: "m-2", CorrelID: "same"})
		s.reply(flow.Message{CorrelID: "same", Body: []byte("whose?")})
		if one.got() != "whose?" || two.got() != "whose?" {
			t.Errorf("calls = %q, %q, want both to have it, since nobody can tell", one.got(), two.got())
		}
		if got := s.instances[0].logged.count("by a correlation id that both chose"); got != 1 {
			t.Errorf("warnings = %d, want 1", got)
		}
	})
}

func TestOwnRepliesPassThoseThatWaitForTheirClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		c := s.instances[0].call(t.Context(), flow.Message{ID: "m-1"})
		other := s.instances[1].call(t.Context(), flow.Message{ID: "b" + uuid})
		for i := range 300 {
			s.broker.put("R", flow.Message{CorrelID: fmt.Sprintf("theirs-%d", i)})
		}
		s.broker.put("R", flow.Message{CorrelID: "m-1", Body: []byte("mine")}, flow.Message{CorrelID: "b" + uuid, Body: []byte("b's")})
		synctest.Wait()
		if c.got() != "mine" || other.got() != "b's" {
			t.Errorf("calls = %q, %q, want their replies at once", c.got(), other.got())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s.want(t, "matched 1, unclaimed 300, handed_over 1, asked 300", "matched 1")
	})
}

func TestUnreadableReplyOfAnotherInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		for _, id := range []string{"b" + uuid, "m-1"} {
			c := s.instances[1].call(t.Context(), flow.Message{ID: id})
			s.reply(flow.Message{CorrelID: id, Body: []byte("unreadable")})
			if flow.CodeOf(c.err) != flow.BadMessage {
				t.Errorf("%s: call = %q, want 606 at once", id, c.got())
			}
			if len(s.broker.queue("R.DLQ")) != 1 {
				t.Fatalf("%s: the reply is not on R.DLQ", id)
			}
			<-s.broker.queue("R.DLQ")
		}
	})
}

func TestRequestsSayWhereRepliesGo(t *testing.T) {
	for _, tt := range []struct {
		name        string
		change      func(*mq.SharedOptions)
		replyTo     string // of the caller
		queue       string
		manager     string
		selector    any
		wantRefused string
	}{
		{name: "single", queue: "R", manager: "M"},
		{name: "everywhere", change: func(o *mq.SharedOptions) { o.Everywhere = true }, queue: "R"},
		{name: "selector", change: func(o *mq.SharedOptions) { o.Everywhere, o.Selector, o.Instance = true, "S", "pod-1" }, queue: "R", selector: "pod-1"},
		{name: "of the caller", replyTo: "MINE", queue: "MINE", manager: "M"},
		{name: "the default, by the caller", change: refuseQueues, replyTo: "R", queue: "R", manager: "M"},
		{name: "refused", change: refuseQueues, replyTo: "MINE", wantRefused: "mq.syncReceiver.allowedReplyQueues"},
		{name: "none", change: func(o *mq.SharedOptions) { o.Queue = "" }, wantRefused: "mq.syncReceiver.defaultReceiveQueue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := openShop(1, tt.change)
				defer s.close()
				c := s.instances[0].call(t.Context(), flow.Message{
					ID: "m-1", ReplyTo: tt.replyTo, ReplyToManager: "caller's", Headers: []flow.Header{{Name: "S", Value: "caller's"}},
				})
				if tt.wantRefused != "" {
					if flow.CodeOf(c.err) != flow.BadMessage || !strings.Contains(c.got(), tt.wantRefused) || len(s.broker.published()) != 0 {
						t.Errorf("call = %q, want 606 that names %s, and nothing sent", c.got(), tt.wantRefused)
					}
					return
				}
				sent := s.broker.published()[0]
				if sent.ReplyTo != tt.queue || sent.ReplyToManager != tt.manager {
					t.Errorf("request: replies to %q on %q, want %q on %q", sent.ReplyTo, sent.ReplyToManager, tt.queue, tt.manager)
				}
				selector := any("caller's")
				if tt.selector != nil {
					selector = tt.selector
				}
				if len(sent.Headers) != 1 || sent.Headers[0].Value != selector {
					t.Errorf("request: headers = %v, want S = %v", sent.Headers, selector)
				}
				s.broker.put(tt.queue, flow.Message{CorrelID: "m-1", Body: []byte("reply")})
				synctest.Wait()
				if c.got() != "reply" {
					t.Errorf("call = %q, want the reply", c.got())
				}
			})
		})
	}
}

func refuseQueues(o *mq.SharedOptions) {
	o.Allow = func(q string) error {
		return flow.Errorf(flow.BadMessage, "%q is not among mq.syncReceiver.allowedReplyQueues", q)
	}
}

func TestReplyQueueOfCallersIsClosedWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(1, nil)
		defer s.close()
		d := s.instances[0]
		open := func() float64 { return d.counter(t, "gateway_reply_queues_open") }
		c := d.call(t.Context(), flow.Message{ID: "m-1", ReplyTo: "MINE"})
		if got := open(); got != 2 {
			t.Errorf("open reply queues = %v, want 2", got)
		}
		<-c.done // After replyWait.
		s.broker.put("MINE", flow.Message{CorrelID: "m-1"})
		time.Sleep(9 * time.Minute)
		if got := open(); got != 2 {
			t.Errorf("open reply queues before the time = %v, want 2", got)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if got := open(); got != 1 {
			t.Errorf("open reply queues after 10 idle minutes = %v, want 1", got)
		}
		again := d.call(t.Context(), flow.Message{ID: "m-2", ReplyTo: "MINE"})
		s.broker.put("MINE", flow.Message{CorrelID: "m-2", Body: []byte("reply")})
		synctest.Wait()
		if again.got() != "reply" {
			t.Errorf("call = %q, want the reply by the queue that is open again", again.got())
		}
	})
}

// A change of the configuration may make it a queue of other messages, which have to
// stay there.
func TestReplyQueueThatMayNotBeNamedAnyMoreIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Bool
		s := openShop(1, func(o *mq.SharedOptions) {
			o.Allow = func(string) error {
				if refused.Load() {
					return flow.Errorf(flow.BadMessage, "it is a queue of the gateway's other messages")
				}
				return nil
			}
		})
		defer s.close()
		d := s.instances[0]
		c := d.call(t.Context(), flow.Message{ID: "m-1", ReplyTo: "MINE"})
		refused.Store(true)
		<-c.done // After replyWait.
		for range 4 {
			s.broker.put("MINE", flow.Message{ID: "no reply"})
			time.Sleep(30 * time.Second)
		}
		if got := d.counter(t, "gateway_reply_queues_open"); got != 1 || len(s.broker.queue("MINE")) == 0 {
			t.Errorf("open reply queues = %v, %d messages left in the other one, want it read no more", got, len(s.broker.queue("MINE")))
		}
	})
}

// A caller may have named a queue of other messages by mistake.
func TestReplyQueueIsClosedWhenOnlyForeignMessagesCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		c := s.instances[0].call(t.Context(), flow.Message{ID: "m-1", ReplyTo: "MINE"})
		<-c.done // After replyWait.
		for range 24 {
			s.broker.put("MINE", flow.Message{CorrelID: "no reply"}, flow.Message{CorrelID: "b" + uuid})
			time.Sleep(30 * time.Second)
		}
		if got := s.instances[0].counter(t, "gateway_reply_queues_open"); got != 1 || len(s.broker.queue("MINE")) == 0 {
			t.Errorf("open reply queues = %v, %d messages left in the other one, want it read no more", got, len(s.broker.queue("MINE")))
		}
	})
}

func TestReplyQueuesOfCallersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(1, nil)
		defer s.close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		refused := 0
		for i := range 70 {
			if c := s.instances[0].call(ctx, flow.Message{ID: fmt.Sprint(i), ReplyTo: fmt.Sprintf("MINE.%d", i)}); c.got() != "(waits)" {
				refused++
				if flow.CodeOf(c.err) != flow.Overloaded {
					t.Errorf("call = %q, want 607", c.got())
				}
			}
		}
		if refused != 70-63 {
			t.Errorf("refused = %d, want all but 63 beside the default", refused)
		}
		cancel()
		synctest.Wait()
	})
}

func TestNotReadyUntilRepliesReachTheInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := newMemory()
		broker.routes, broker.missing = true, true
		s := &shop{broker: broker}
		d := s.open("a", nil)
		defer s.close()
		if d.requester.Ready() {
			t.Error("ready while the queue of the instance can't be made")
		}
		if got := d.logged.count(`rights configure, write and read on R\\.GW`); got != 1 {
			t.Errorf("log lines that name the rights = %d, want 1:\n%s", got, d.logged.b.String())
		}
		broker.mu.Lock()
		broker.missing = false
		broker.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if !d.requester.Ready() {
			t.Error("not ready although all can be read")
		}
		q := broker.declared[len(broker.declared)-1]
		if q.Name != "R.GW.a" || q.TTL != replyWait || q.Expires != time.Minute || q.Kind != mq.Classic {
			t.Errorf("queue of the instance = %+v", q)
		}
	})
}

func TestGroupThatIsGoneIsJoinedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		remove := func() {
			s.broker.mu.Lock()
			defer s.broker.mu.Unlock()
			clear(s.broker.groups)
		}
		remove()
		time.Sleep(31 * time.Second)
		c := s.instances[1].call(t.Context(), flow.Message{ID: "m-1"})
		s.reply(flow.Message{CorrelID: "m-1", Body: []byte("reply")})
		if c.got() != "reply" {
			t.Errorf("call = %q, want the reply: all have joined again by themselves", c.got())
		}
		remove()
		s.reply(flow.Message{CorrelID: "theirs"})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(s.broker.queue("R.UNCLAIMED")) != 1 {
			t.Error("a reply stays in hand when the group is gone")
		}
	})
}

func TestHandOverIsTriedUntilTheBrokerTakesIt(t *testing.T) {
	for _, id := range []string{"b" + uuid, "m-1"} {
		synctest.Test(t, func(t *testing.T) {
			s := openShop(2, nil)
			defer s.close()
			c := s.instances[1].call(t.Context(), flow.Message{ID: id})
			down := func(err error) {
				s.broker.mu.Lock()
				defer s.broker.mu.Unlock()
				s.broker.publish = fail(err)
			}
			down(mq.ErrUnknown)
			s.reply(flow.Message{CorrelID: id, Body: []byte("reply")})
			time.Sleep(5 * time.Second)
			down(nil)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if c.got() != "reply" {
				t.Errorf("%s: call = %q, want the reply", id, c.got())
			}
		})
	}
}

// A reply tells that the broker has the request, whatever becomes of the confirm.
func TestRequestThatIsAnsweredIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(0, nil)
		defer s.close()
		other := newMemory()
		d := s.open("a", nil, other)
		sent := 0
		answered := func(b *memory) func(flow.Address, *flow.Message) error {
			return func(_ flow.Address, m *flow.Message) error {
				sent++
				b.queues["R"] <- &mq.Delivery{Message: flow.Message{CorrelID: m.ID, Body: []byte("quick")}}
				b.mu.Unlock() // Others may use the broker meanwhile.
				defer b.mu.Lock()
				time.Sleep(time.Second)
				return mq.ErrUnknown
			}
		}
		s.broker.publish, other.publish = answered(s.broker), answered(other)
		c := d.call(t.Context(), flow.Message{ID: "m-1"})
		<-c.done
		if c.got() != "quick" || sent != 1 {
			t.Errorf("call = %q, sent %d times, want the reply, and the request sent once", c.got(), sent)
		}
	})
}

// In a cluster, the queue of an instance can be down, and refuse what the others take.
func TestReplyThatIsClaimedNeedNotReachAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(3, nil)
		defer s.close()
		s.broker.mu.Lock()
		s.broker.partly = mq.ErrNacked
		s.broker.mu.Unlock()
		c := s.instances[1].call(t.Context(), flow.Message{ID: "m-1"})
		s.reply(flow.Message{CorrelID: "m-1", Body: []byte("reply")})
		if c.got() != "reply" {
			t.Errorf("call = %q, want the reply at once", c.got())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		s.want(t, "asked 1", "matched 1", "")
		if questions := len(s.kinds()) - 1; questions != 3 {
			t.Errorf("questions = %d, want one to each instance", questions)
		}
		late := s.instances[0].call(t.Context(), flow.Message{ID: "m-2"})
		<-late.done
		s.reply(flow.Message{CorrelID: "m-2"})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.want(t, "late 1, asked 1", "matched 1", "")
	})
}

// The queue of an instance may have been deleted, and is made again at once.
func TestReplyForAnInstanceWhoseQueueIsBeingMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		c := s.instances[1].call(t.Context(), flow.Message{ID: "b" + uuid})
		s.broker.mu.Lock()
		queue, group := s.broker.queues["R.GW.b"], s.broker.groups["R.GW"]
		delete(s.broker.queues, "R.GW.b")
		s.broker.groups["R.GW"] = []string{"R.GW.a"}
		s.broker.mu.Unlock()
		s.reply(flow.Message{CorrelID: "b" + uuid, Body: []byte("reply")})
		s.broker.mu.Lock()
		s.broker.queues["R.GW.b"], s.broker.groups["R.GW"] = queue, group
		s.broker.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c.got() != "reply" || len(s.broker.queue("R.UNCLAIMED")) != 0 {
			t.Errorf("call = %q, %d replies put aside, want the reply", c.got(), len(s.broker.queue("R.UNCLAIMED")))
		}
		s.want(t, "handed_over 1, asked 1", "matched 1")
	})
}

func TestReplyThatCannotBePutAsideGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		s.broker.mu.Lock()
		delete(s.broker.queues, "R.UNCLAIMED")
		s.broker.mu.Unlock()
		s.reply(flow.Message{CorrelID: "theirs"})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := s.broker.outcomes(); !slices.Contains(got, mq.Return) {
			t.Errorf("outcomes = %v, want the reply back in its queue", got)
		}
		s.reply(flow.Message{CorrelID: "theirs", Source: flow.Source{Deliveries: 5}})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		returned := func() int {
			return len(slices.DeleteFunc(s.broker.outcomes(), func(o mq.Outcome) bool { return o != mq.Return }))
		}
		if got := returned(); got != 1 {
			t.Errorf("replies back in their queue = %d, want the one that the broker does not count", got)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := returned(); got != 2 {
			t.Errorf("replies back in their queue = %d, want both", got)
		}
	})
}

func TestRepliesOnOtherManagers(t *testing.T) {
	for _, tt := range []struct {
		name       string
		everywhere bool
		missing    bool // R is missing on the other manager
		down       bool // the other manager is down
		ready      bool
	}{
		{name: "single", ready: true},
		{name: "single, unread elsewhere", missing: true, ready: true},
		{name: "everywhere", everywhere: true, ready: true},
		{name: "everywhere, unread elsewhere", everywhere: true, missing: true},
		{name: "everywhere, elsewhere is down", everywhere: true, missing: true, down: true, ready: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, other := &shop{broker: newMemory()}, newMemory()
				s.broker.routes, other.routes, other.missing = true, true, tt.missing
				s.broker.queue("OUT")
				other.queue("OUT")
				if tt.down {
					other.check = errCut
				}
				d := s.open("a", func(o *mq.SharedOptions) { o.Everywhere = tt.everywhere }, other)
				defer s.close()
				if got := d.requester.Ready(); got != tt.ready {
					t.Fatalf("ready = %t, want %t", got, tt.ready)
				}
				if !tt.ready {
					time.Sleep(patience)
					if !d.requester.Ready() {
						t.Error("a manager whose reply queue can't be read holds up the others")
					}
				}
				if tt.missing {
					return
				}
				for i, replyOn := range []*memory{s.broker, other, s.broker, other} { // requests take turns
					id := fmt.Sprint("m-", i)
					c := d.call(t.Context(), flow.Message{ID: id})
					replyOn.put("R", flow.Message{CorrelID: id, Body: []byte("reply")})
					synctest.Wait()
					if c.got() != "reply" {
						t.Errorf("call = %q, want the reply, on whichever manager it comes", c.got())
					}
				}
			})
		})
	}
}

func TestReplyThatNobodyCanBeAskedForIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openShop(2, nil)
		defer s.close()
		s.broker.mu.Lock()
		s.broker.mute = errors.New("access refused")
		s.broker.mu.Unlock()
		s.reply(flow.Message{CorrelID: "theirs"})
		if len(s.broker.queue("R.UNCLAIMED")) != 0 {
			t.Error("put aside at once: the broker may take the question later")
		}
		time.Sleep(replyWait + 5*time.Second)
		synctest.Wait()
		if len(s.broker.queue("R.UNCLAIMED")) != 1 || s.instances[0].logged.count("instances can't be asked") != 1 {
			t.Error("the reply is still in hand when nobody can wait for it any more, or the log says nothing")
		}
	})
}
