package mq_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// subscriptions is how often the queue was subscribed to.
func (b *memory) subscriptions() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subs)
}

func TestPausedQueueKeepsItsMessages(t *testing.T) {
	for _, tt := range []struct {
		name          string
		pause, resume func(*mq.Managers)
	}{
		{"readEnabled", func(ms *mq.Managers) { ms.SetReading(false) }, func(ms *mq.Managers) { ms.SetReading(true) }},
		{"disableManagerIds", func(ms *mq.Managers) { ms.SetDisabled([]string{"M"}) }, func(ms *mq.Managers) { ms.SetDisabled(nil) }},
		{
			"both", func(ms *mq.Managers) { ms.SetReading(false); ms.SetDisabled([]string{"M"}); ms.SetReading(true) },
			func(ms *mq.Managers) { ms.SetReading(false); ms.SetDisabled(nil); ms.SetReading(true) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				stopManagers := b.run()
				var handled atomic.Int64
				goOn := make(chan struct{})
				stop := b.listen(2, func(context.Context, *flow.Message) (*flow.Message, error) {
					handled.Add(1)
					<-goOn
					return nil, nil
				})
				for i := range 5 {
					b.broker.put("Q", flow.Message{ID: strconv.Itoa(i)})
				}
				synctest.Wait()
				tt.pause(b.managers)
				synctest.Wait()
				if diff := cmp.Diff([]mq.Outcome{mq.Return, mq.Return, mq.Return}, b.broker.outcomes()); diff != "" {
					t.Errorf("what nobody has begun (-want +got):\n%s", diff)
				}
				close(goOn)
				synctest.Wait()
				if diff := cmp.Diff([]mq.Outcome{mq.Return, mq.Return, mq.Return, mq.Ack, mq.Ack}, b.broker.outcomes()); diff != "" {
					t.Errorf("what was in work is finished (-want +got):\n%s", diff)
				}
				b.broker.put("Q", flow.Message{ID: "later"})
				time.Sleep(time.Hour)
				if handled.Load() != 2 || b.broker.subscriptions() != 1 || b.counter(t, "gateway_queue_subscribed") != 0 {
					t.Errorf("handled %d, %d subscriptions: the queue is read while it is paused", handled.Load(), b.broker.subscriptions())
				}
				tt.resume(b.managers)
				time.Sleep(time.Minute)
				if handled.Load() != 3 || b.broker.subscriptions() != 2 {
					t.Errorf("handled %d, %d subscriptions, want that the message that came meanwhile is read", handled.Load(), b.broker.subscriptions())
				}
				if got := b.logged.count("reading the queue is paused"); got != 1 {
					t.Errorf("the log tells of %d pauses, want 1", got)
				}
				stop()
				stopManagers()
			})
		})
	}
}

func TestQueueThatIsPausedFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.managers.SetReading(false)
		stop := b.listen(1, func(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil })
		time.Sleep(time.Hour)
		if b.broker.subscriptions() != 0 {
			t.Error("the queue is read")
		}
		stop()
	})
}

// A manager that is enabled for a moment is disabled as any other.
func TestManagerThatIsDisabledTwiceIsReadNoLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		d.managers.SetDisabled([]string{"M"})
		synctest.Wait()
		d.managers.SetDisabled(nil)
		d.managers.SetDisabled([]string{"M"})
		time.Sleep(replyWait + time.Second)
		if d.counter(t, "gateway_queue_subscribed") != 0 {
			t.Error("replies are read for ever on a manager that is disabled")
		}
		d.stop()
	})
}

// A caller who waits for a reply gets it, whatever the configuration takes out
// meanwhile.
func TestPauseLeavesRepliesToTheirCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		c := d.call(t.Context(), flow.Message{ID: "m-1"})
		d.managers.SetReading(false)
		d.managers.SetDisabled([]string{"M"})
		time.Sleep(replyWait - time.Second)
		d.reply("m-1", "one")
		if c.got() != "one" {
			t.Errorf("reply on a disabled manager = %q, want it read", c.got())
		}
		time.Sleep(2 * time.Second)
		if d.counter(t, "gateway_queue_subscribed") != 0 {
			t.Error("replies are read for ever on a manager that is disabled")
		}
		d.managers.SetDisabled(nil)
		time.Sleep(time.Minute)
		if again := d.call(t.Context(), flow.Message{ID: "m-2"}); again.got() != "(waits)" {
			t.Errorf("call on the manager that is enabled again = %q, want it sent", again.got())
		}
		d.reply("m-2", "two")
		d.stop()
	})
}

func TestReplyInHandIsPublishedOnTheDisabledManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		stopManagers := b.run()
		answerer := mq.NewAnswerer(mq.AnswererOptions{
			Publisher: mq.NewPublisher(b.managers, patience), Managers: b.managers, Failure: deadLetters(&mq.DeadLetters{}), Log: b.log, Metrics: b.metrics,
		})
		goOn := make(chan struct{})
		stop := b.listen(1, flow.Chain(func(context.Context, *flow.Message) (*flow.Message, error) {
			<-goOn
			return &flow.Message{Body: []byte("reply"), To: flow.Address{Key: "back", Manager: "M"}}, nil
		}, answerer.Middleware))
		b.broker.put("Q", flow.Message{ID: "1"})
		synctest.Wait()
		b.managers.SetDisabled([]string{"M"})
		close(goOn)
		time.Sleep(time.Second)
		if sent := b.broker.published(); len(sent) != 1 || sent[0].To.Key != "back" {
			t.Errorf("published = %v, want the reply", sent)
		}
		if diff := cmp.Diff([]mq.Outcome{mq.Ack}, b.broker.outcomes()); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
		stop()
		stopManagers()
	})
}
